"""cblas_sgemm and cblas_dgemm, with 64-bit integers, as functions of an address: z = alpha x @ y + beta z, by rows."""

import numba
from llvmlite import ir
from numba.extending import intrinsic

FORM, SIZE = numba.int32, numba.int64


@intrinsic
def gemm(typing, place, layout, form_x, form_y, m, n, k, alpha, x, ldx, y, ldy, beta, z, ldz):
    """Call the function at an address, which is of the precision of alpha."""
    parameters = (FORM,) * 3 + (SIZE,) * 3 + (alpha, SIZE, SIZE, SIZE, SIZE, alpha, SIZE, SIZE)

    def call(context, builder, signature, operands):
        place, *given = operands
        function = ir.FunctionType(ir.VoidType(), [context.get_value_type(kind) for kind in parameters])
        builder.call(builder.inttoptr(place, function.as_pointer()), given)
        return context.get_dummy_value()

    return numba.void(numba.intp, *parameters), call
