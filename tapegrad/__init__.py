"""tapegrad: reverse-mode automatic differentiation on a tape that you can read.

In the order in which to read the code:

    registers    what stands behind a name on the tape: an entry, a leaf
    tape         the Wengert list, one per thread; how entries leave it
    listing      the names under which it is read
    primitives   the registry: a row per operation, G and DG side by side
    kernels      the numba kernels of the rows that have one
    tensor       the array and its register; value semantics
    record       how a row becomes a function that appends to the tape
    sweep        the reverse sweep
    functions    what users call, family by family
    operators    what + and x.sum() and np.sin(x) mean
    optim        gradient descent
    autograd, functional, checkpointing, gradcheck    derivatives of functions, of any order, and whether they are right
    extend       new primitives
    anomaly      where the first NaN comes from
    wengert      lists of (z, g, (y1, .., yk)) as data: evaluated, differentiated, read and written
    xman         the expression manager, which writes such lists from formulas
"""

from tapegrad import autograd, linalg, operators, optim
from tapegrad.anomaly import detect_anomaly
from tapegrad.checkpointing import checkpoint
from tapegrad.extend import primitive
from tapegrad.functional import elementwise_grad, grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from tapegrad.gradcheck import gradcheck
from tapegrad.functions import (
    absolute, add, argmax, argmin, astype, broadcast_to, ceil, concatenate, cos, cross_entropy, divide, equal, exp, floor,
    floor_divide, greater, greater_equal, isfinite, isinf, isnan, less, less_equal, log, log_softmax, logical_and,
    logical_not, logical_or, logsumexp, matmul, max, maximum, mean, min, minimum, multiply, negative, not_equal, one_hot,
    ones_like, power, relu, reshape, rint, sigmoid, sign, sin, softmax, sqrt, square, stack, subtract, sum, tanh, transpose,
    true_divide, where, zeros_like,
)
from tapegrad.functions import (
    avg_pool1d, avg_pool2d, batch_norm, binary_cross_entropy, binary_cross_entropy_with_logits, celu, conv1d, conv2d,
    conv_transpose1d, conv_transpose2d, convolve, cosine_similarity, dropout, elu, embedding, erf, erfc, gelu, glu,
    hardsigmoid, hardswish, hardtanh, hinge_embedding_loss, huber_loss, kl_div, l1_loss, layer_norm, leaky_relu, linear,
    logsigmoid, margin_ranking_loss, max_pool1d, max_pool2d, mish, mse_loss, nll_loss, normalize, prelu, relu6, rms_norm,
    scaled_dot_product_attention, selu, silu, smooth_l1_loss, soft_margin_loss, softplus, softsign, swish, tanhshrink,
)
from tapegrad.functions import (
    angle, conj, conjugate, corrcoef, cov, cumulative_prod, cumulative_sum, i0, imag, polyval, real, real_if_close, unwrap,
    vander, full, geomspace, linspace, logspace,
)
from tapegrad.functions import (
    abs, acos, acosh, all, allclose, amax, amin, any, arccos, arccosh, arcsin, arcsinh, arctan, arctan2, arctanh,
    argpartition, argsort, around, array_equal, array_equiv, asin, asinh, atan, atan2, atanh, average, bincount,
    bitwise_and, bitwise_or, bitwise_xor, cbrt, clip, copysign, cosh, count_nonzero, cumprod, cumsum, deg2rad, degrees,
    diff, digitize, divmod, ediff1d, exp2, expm1, fabs, fix, float_power, fmax, fmin, fmod, gcd, gradient, heaviside, hypot,
    interp, invert, isclose, iscomplex, isin, isneginf, isposinf, isreal, lcm, ldexp, left_shift, lexsort, log10, log1p,
    log2, logaddexp, logaddexp2, logical_xor, median, mod, modf, nan_to_num, nanargmax, nanargmin, nancumprod, nancumsum,
    nanmax, nanmean, nanmedian, nanmin, nanpercentile, nanprod, nanquantile, nanstd, nansum, nanvar, nextafter, partition,
    percentile, positive, pow, prod, ptp, quantile, rad2deg, radians, reciprocal, remainder, right_shift, round,
    searchsorted, signbit, sinc, sinh, sort, spacing, std, tan, topk, trapezoid, trunc, unique, var,
)
from tapegrad.functions import (
    append, argwhere, array_split, atleast_1d, atleast_2d, atleast_3d, block, broadcast_arrays, choose, column_stack, compress,
    concat, cross, delete, diag, diagflat, diagonal, dot, dsplit, dstack, einsum, empty_like, expand_dims, extract, flatnonzero,
    flatten, flip, fliplr, flipud, full_like, hsplit, hstack, inner, insert, kron, matrix_transpose, matvec, meshgrid,
    moveaxis, nonzero, outer, pad, permute_dims, ravel, repeat, resize, roll, rollaxis, rot90, select, split, squeeze,
    swapaxes, take, take_along_axis, tensordot, tile, trace, tril, triu, unstack, vdot, vecdot, vecmat, vsplit, vstack,
)
from tapegrad.tape import enable_grad, no_grad, tape
from tapegrad.tensor import Tensor, from_dlpack, tensor

__version__ = "0.1.0"
