"""`tapegrad.linalg`: linear algebra under the names, arguments and results of numpy.linalg, for stacks of matrices.

Real matrices only. The functions are in functions/solving.py, decompositions.py, norms.py and products.py; their rows, their
derivatives and the sources of these in primitives/decompositions.py. A matrix that has no inverse, no Cholesky factor, .. is
numpy.linalg.LinAlgError, as in NumPy.
"""

from numpy.linalg import LinAlgError

from tapegrad import functions
from tapegrad.errors import ShapeError, describe
from tapegrad.functions.arguments import value
from tapegrad.functions.decompositions import (
    EighResult,
    QRResult,
    SlogdetResult,
    SVDResult,
    cholesky,
    eigh,
    eigvalsh,
    qr,
    slogdet,
    svd,
    svdvals,
)
from tapegrad.functions.elementwise import matmul
from tapegrad.functions.norms import cond, matrix_norm, matrix_rank, norm, vector_norm
from tapegrad.functions.products import tensordot, vecdot
from tapegrad.functions.shaping import matrix_transpose
from tapegrad.functions.solving import (
    det,
    inv,
    lstsq,
    matrix_power,
    multi_dot,
    pinv,
    solve,
    tensorinv,
    tensorsolve,
)

__all__ = ["EighResult", "LinAlgError", "QRResult", "SVDResult", "SlogdetResult", "cholesky", "cond", "cross", "det",
           "diagonal", "eigh", "eigvalsh", "inv", "lstsq", "matmul", "matrix_norm", "matrix_power", "matrix_rank",
           "matrix_transpose", "multi_dot", "norm", "outer", "pinv", "qr", "slogdet", "solve", "svd", "svdvals", "tensordot",
           "tensorinv", "tensorsolve", "trace", "vecdot", "vector_norm"]


def diagonal(x, /, *, offset=0):
    """The diagonals of the matrices in the last two axes."""
    return functions.diagonal(x, offset, -2, -1)


def trace(x, /, *, offset=0):
    """The sums of the diagonals of the matrices in the last two axes."""
    return functions.trace(x, offset, -2, -1)


def outer(x, y, /):
    """x[i] * y[j] of two vectors."""
    if value(x).ndim != 1 or value(y).ndim != 1:
        raise ShapeError(f"outer: {describe(value(x))} and {describe(value(y))}; vectors are needed")
    return functions.outer(x, y)


def cross(x, y, /, *, axis=-1):
    """The cross product of vectors of length 3 along `axis`."""
    return functions.cross(x, y, axis=axis)
