"""What users call, family by family: arguments are put in order here, and the rows of the registry do the rest.

A family is a file of this folder; it is loaded when one of its names is first asked for. A row of the registry that says by
`doc=` what it is has a function of its name, its recorder, and needs no more.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tapegrad.core.record import recorded
from tapegrad.primitives import table

if TYPE_CHECKING:                                       # the families, for editors
    from tapegrad.functions.elementwise import *  # noqa: F403
    from tapegrad.functions.reductions import *  # noqa: F403
    from tapegrad.functions.cumulative import *  # noqa: F403
    from tapegrad.functions.ordering import *  # noqa: F403
    from tapegrad.functions.statistics import *  # noqa: F403
    from tapegrad.functions.polynomials import *  # noqa: F403
    from tapegrad.functions.applying import *  # noqa: F403
    from tapegrad.functions.writing import *  # noqa: F403
    from tapegrad.functions.interpolation import *  # noqa: F403
    from tapegrad.functions.nan_reductions import *  # noqa: F403
    from tapegrad.functions.shaping import *  # noqa: F403
    from tapegrad.functions.joining import *  # noqa: F403
    from tapegrad.functions.selecting import *  # noqa: F403
    from tapegrad.functions.indexing import *  # noqa: F403
    from tapegrad.functions.products import *  # noqa: F403
    from tapegrad.functions.creation import *  # noqa: F403
    from tapegrad.functions.constants import *  # noqa: F403
    from tapegrad.functions.complex_parts import *  # noqa: F403
    from tapegrad.functions.activations import *  # noqa: F403
    from tapegrad.functions.layers import *  # noqa: F403
    from tapegrad.functions.losses import *  # noqa: F403
    from tapegrad.functions.convolution import *  # noqa: F403
    from tapegrad.functions.pooling import *  # noqa: F403
    from tapegrad.functions.affine import *  # noqa: F403
    from tapegrad.functions.distances import *  # noqa: F403
    from tapegrad.functions.likelihoods import *  # noqa: F403
    from tapegrad.functions.random import *  # noqa: F403
    from tapegrad.functions.resampling import *  # noqa: F403
    from tapegrad.functions.scattering import *  # noqa: F403

FAMILIES = {
    "elementwise":
        "abs absolute acos acosh add arccos arccosh arcsin arcsinh arctan arctan2 arctanh asin asinh astype "
        "atan atan2 atanh cbrt ceil clip copysign cos cosh deg2rad degrees divide divmod equal exp exp2 expm1 "
        "fabs float_power floor floor_divide fmax fmin fmod greater greater_equal heaviside hypot i0 isfinite "
        "isinf isnan ldexp less less_equal log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not "
        "logical_or matmul maximum minimum mod modf multiply nan_to_num negative not_equal ones_like positive "
        "pow power rad2deg radians reciprocal remainder rint rsqrt sign sin sinc sinh sqrt square subtract tan tanh "
        "true_divide trunc where zeros_like",
    "reductions": "amax amin argmax argmin average max mean min prod ptp std sum var",
    "cumulative": "cumprod cumsum cumulative_prod cumulative_sum diff ediff1d gradient trapezoid unwrap",
    "ordering": "median nanmedian nanpercentile nanquantile partition percentile quantile sort topk",
    "statistics": "corrcoef cov",
    "polynomials": "poly polyadd polyder polydiv polyfit polyint polymul polysub polyval roots vander",
    "applying": "apply_along_axis apply_over_axes correlate piecewise sort_complex trim_zeros",
    "writing": "copyto fill_diagonal place put put_along_axis putmask",
    "interpolation": "interp",
    "nan_reductions": "nancumprod nancumsum nanmax nanmean nanmin nanprod nanstd nansum nanvar",
    "shaping":
        "atleast_1d atleast_2d atleast_3d broadcast_arrays broadcast_to expand_dims flatten flip fliplr "
        "flipud matrix_transpose meshgrid moveaxis permute_dims ravel reshape resize roll rollaxis rot90 "
        "squeeze swapaxes transpose",
    "joining":
        "append array_split block column_stack concat concatenate delete dsplit dstack hsplit hstack insert "
        "pad repeat split stack tile unstack vsplit vstack",
    "selecting":
        "argwhere choose compress diag diagflat diagonal empty_like extract flatnonzero full_like nonzero "
        "select take take_along_axis trace tril triu",
    "indexing": "getitem setitem",
    "products": "cross dot einsum inner kron matvec outer tensordot vdot vecdot vecmat",
    "creation": "arange array empty eye full geomspace identity linspace logspace ones tri zeros",
    "constants":
        "all allclose any argpartition argsort around array_equal array_equiv bincount bitwise_and bitwise_or "
        "bitwise_xor count_nonzero digitize fix gcd invert isclose iscomplex isin isneginf isposinf isreal "
        "lcm left_shift lexsort logical_xor nanargmax nanargmin nextafter right_shift round searchsorted "
        "signbit spacing unique",
    "complex_parts": "angle conj conjugate imag real real_if_close",
    "activations":
        "celu elu erf erfc gelu glu hardshrink hardsigmoid hardswish hardtanh leaky_relu log_softmax "
        "logsigmoid logsumexp mish prelu relu relu6 selu sigmoid silu softmax softmin softplus softshrink "
        "softsign swish tanhshrink threshold",
    "layers":
        "batch_norm dropout embedding group_norm layer_norm linear masked_softmax normalize one_hot rms_norm "
        "scaled_dot_product_attention",
    "losses":
        "binary_cross_entropy binary_cross_entropy_with_logits cosine_similarity cross_entropy "
        "hinge_embedding_loss huber_loss kl_div l1_loss margin_ranking_loss mse_loss nll_loss smooth_l1_loss "
        "soft_margin_loss",
    "convolution": "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolve",
    "pooling":
        "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool1d adaptive_max_pool2d avg_pool1d "
        "avg_pool2d avg_pool3d max_pool1d max_pool2d max_pool3d",
    "affine": "addbmm addcdiv addcmul addmm addmv addr baddbmm lerp",
    "distances": "cdist cosine_embedding_loss pairwise_distance triplet_margin_loss",
    "likelihoods": "ctc_loss gaussian_nll_loss poisson_nll_loss",
    "random": "bernoulli generator manual_seed multinomial rand rand_like randint randn randn_like randperm",
    "resampling": "fold interpolate pixel_shuffle pixel_unshuffle unfold",
    "scattering": "block_diag diag_embed index_add masked_fill scatter scatter_add",
}
_family_of = {name: family for family, names in FAMILIES.items() for name in names.split()}


# What PyTorch calls by other names.
OTHER_NAMES = {
    "cat": "concatenate", "chunk": "array_split", "clamp": "clip", "index_select": "take",
    "masked_select": "extract", "mm": "matmul", "bmm": "matmul", "mv": "matmul", "movedim": "moveaxis", "permute": "transpose",
    "unsqueeze": "expand_dims", "view": "reshape", "gather": "take_along_axis",
    "from_numpy": "tensor"}


def _suggestion(name: str) -> str:
    """What to write instead of a name that is not there; empty if nothing is like it."""
    if name in FAMILIES or name.startswith("_"):
        return ""
    from difflib import get_close_matches
    other = OTHER_NAMES.get(name) or next(iter(get_close_matches(name, __dir__(), n=1)), None)
    return f"; did you mean {other}?" if other else ""


def __getattr__(name: str) -> Any:
    if name in _family_of:
        function = getattr(import_module(f"tapegrad.functions.{_family_of[name]}"), name)
    elif name in table and table[name].doc:
        function = getattr(recorded, name)
    else:
        raise AttributeError(f"tapegrad has no function {name!r}{_suggestion(name)}")
    globals()[name] = function
    return function


def __dir__() -> list[str]:
    return sorted({*_family_of, *[row.name for row in table.complete().values() if row.doc]})
