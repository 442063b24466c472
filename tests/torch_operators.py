"""PyTorch's operators that tapegrad has, too: how a call of PyTorch's is written with tapegrad's functions.

OPERATORS   by PyTorch's names, functions of a sample's arguments, with tensors of tapegrad for those of PyTorch. Most need but
            the names that tapegrad gives to the arguments after the first
THEIRS      what is compared of PyTorch's result, where it is not all of it
SYMMETRIC   of a square matrix, what is Hermitian of it goes in: both differ on what it is beside that
REFUSED     what tapegrad does not offer, of operators that refuse some samples with an error
DIFFERENT   where NumPy or a convention of tapegrad's says something else, and what then is not compared
"""

import math

import numpy as np

import tapegrad as tg

NAMES = {"dim": "axis", "keepdim": "keepdims", "dims": "axis", "correction": "ddof", "interpolation": "method"}
WITHOUT_MEANING = ("device", "requires_grad", "memory_format", "layout", "driver", "out_int32", "sparse", "pin_memory")


def renamed(function, places="", **more):
    """The function, whose arguments after the first have these names; keywords are renamed."""
    names, renames = places.split(), NAMES | more

    def call(x, *arguments, **options):
        if len(arguments) > len(names):
            raise TypeError(f"{function.__name__}: {len(arguments) + 1} arguments")
        given = dict(zip(names, arguments)) | {renames.get(name, name): option for name, option in options.items()}
        return function(x, **given)

    return call


def reduction(function):
    """Of no axes, PyTorch's reduce all."""
    def call(x, dim=None, keepdim=False):
        return function(x, None if dim == () else dim, **{"keepdims": keepdim} if keepdim else {})

    return call


def spread(function):
    def call(x, *arguments, unbiased=True, correction=1, dim=None, keepdim=False):
        if arguments:
            unbiased, = arguments
        return function(x, dim, ddof=0 if not unbiased else 1 if correction is None else correction, keepdims=keepdim)

    return call


def axis_of(function):
    """A function of an axis that is the second argument there."""
    return lambda x, dim, dtype=None: function(x if dtype is None else tg.astype(x, dtype), dim)


def descending(function):
    """PyTorch sorts in descending order, too."""
    def call(x, dim=-1, descending=False, stable=False):
        if x.ndim == 0:
            return tg.reshape(function(tg.reshape(x, (1,)), 0, stable=True), ())
        ordered = function(tg.flip(x, dim) if descending else x, dim, stable=True)
        if not descending:
            return ordered
        return tg.flip(ordered if function is tg.sort else x.shape[dim] - 1 - ordered, dim)

    return call


def scaled(function):
    return lambda x, y, alpha=None: function(x, y if alpha is None else y * alpha)


def divided(x, y, rounding_mode=None):
    return {None: tg.divide, "floor": tg.floor_divide, "trunc": lambda x, y: tg.trunc(tg.divide(x, y))}[rounding_mode](x, y)


def extreme(function, binary):
    """max and min: of all elements, over an axis, or of two tensors."""
    def call(x, *arguments):
        if arguments and isinstance(arguments[0], tg.Tensor):
            return binary(x, *arguments)
        return function(x, *arguments[:1], keepdims=len(arguments) > 1 and arguments[1])

    return call


def flattened(x, start_dim=0, end_dim=-1):
    if x.ndim == 0:
        return tg.reshape(x, (1,))
    start, end = start_dim % x.ndim, end_dim % x.ndim
    return tg.reshape(x, (*x.shape[:start], math.prod(x.shape[start:end + 1]), *x.shape[end + 1:]))


def repeated(x, counts):
    if not counts:
        return x
    return tg.tile(tg.reshape(x, (1,) * (len(counts) - x.ndim) + x.shape), counts)


def split_every(x, size, dim=0):
    if isinstance(size, int):
        return tg.array_split(x, list(range(size, x.shape[dim], size)), dim)
    return tg.split(x, np.cumsum(size)[:-1].tolist(), dim)


def chunked(x, n, dim=0):
    return split_every(x, max(-(-x.shape[dim] // n), 1), dim)


def squeezed(x, dim=None):
    axes = range(x.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    return tg.squeeze(x, tuple(i % x.ndim for i in axes if x.ndim and x.shape[i] == 1))


def gradient(x, spacing=None, dim=None, edge_order=1):
    spacing = [] if spacing is None else spacing if isinstance(spacing, (list, tuple)) else [spacing]
    return tg.gradient(x, *spacing, axis=dim, edge_order=edge_order)


def pooled(function, average=False):
    def call(x, kernel_size, stride=None, padding=0, *more, return_indices=False, divisor_override=None, **options):
        if divisor_override is not None or average and len(more) > 2 and more[2] is not None:
            raise TypeError("divisor_override is not offered")
        if average:
            options |= dict(zip(("ceil_mode", "count_include_pad"), more))
        stride = None if stride is None or stride == () else stride
        return function(x, kernel_size, stride, padding, **options)

    return call


def padded(x, widths, mode="constant", value=0.0):
    pairs = list(zip(widths[::2], widths[1::2]))[::-1]
    if min(widths, default=0) < 0:
        raise ValueError("pad: NumPy's widths are not negative")
    mode = {"replicate": "edge", "circular": "wrap"}.get(mode, mode)
    pairs = [(0, 0)] * (x.ndim - len(pairs)) + pairs
    return tg.pad(x, pairs, mode, **{"constant_values": value or 0} if mode == "constant" else {})


def matrix_norm(x, ord="fro", dim=(-2, -1), keepdim=False):
    return tg.linalg.norm(x, ord, dim, keepdim)


def norm(x, ord=None, dim=None, keepdim=False):
    if ord is None and dim is None or not isinstance(ord, str) and dim is None and x.ndim not in (1, 2):
        z = tg.linalg.norm(tg.ravel(x), ord)
        return tg.reshape(z, (1,) * x.ndim) if keepdim else z
    return tg.linalg.norm(x, ord, dim, keepdim)


def old_norm(x, p="fro", dim=None, keepdim=False):
    if isinstance(p, str):
        return tg.linalg.norm(tg.ravel(x) if p == "fro" and dim is None else x, None if p == "fro" and dim is None else p, dim,
                              keepdim)
    return tg.linalg.vector_norm(x, ord=p, axis=dim, keepdims=keepdim)


def solved(a, b):
    vectors = b.ndim == 1 or a.ndim == b.ndim + 1 and b.shape == a.shape[:-1]
    return tg.linalg.solve(a, b[..., None])[..., 0] if vectors else tg.linalg.solve(a, b)


def gauge_free(vectors):
    """What does not change with the sign of a vector: the squares of its elements."""
    return tg.square(vectors) if vectors.dtype.kind == "f" else vectors * tg.conj(vectors)


def eigh(x, UPLO="L"):
    w, v = tg.linalg.eigh(x, UPLO)
    return w, gauge_free(v)


def svd(x, full_matrices=True, some=False):
    u, s, vh = tg.linalg.svd(x, full_matrices and not some)
    return gauge_free(u), s, gauge_free(vh)


def cross(a, b, dim=-1):
    return tg.cross(a, b, axis=dim)


def quantile(function):
    def call(x, q, dim=None, keepdim=False, interpolation="linear"):
        return function(x, q, dim, method=interpolation, keepdims=keepdim)

    return call


def covariance(x, correction=1, fweights=None, aweights=None):
    return tg.cov(x, ddof=correction, **{k: w for k, w in (("fweights", fweights), ("aweights", aweights)) if w is not None})


def batch_norm(x, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    return tg.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)


def embedding(weight, ids, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False):
    if max_norm is not None or scale_grad_by_freq:
        raise TypeError("embedding: max_norm and scale_grad_by_freq are not offered")
    return tg.embedding(ids, weight, padding_idx)


def dropped(x, p=0.5, training=True):
    if training and p:
        raise TypeError("random")
    return tg.dropout(x, p, training)


def searched(sequence, values, right=False, side="left", sorter=None):
    return tg.searchsorted(sequence, values, "right" if right else side, sorter)


def attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False):
    if dropout_p:
        raise TypeError("random")
    return tg.scaled_dot_product_attention(q, k, v, attn_mask, is_causal=is_causal)


def repeat_interleave(x, repeats, dim=None, output_size=None):
    return tg.repeat(x, repeats, dim)


def unique(x, sorted=True, return_inverse=False, return_counts=False, dim=None):
    return tg.unique(x, return_inverse=return_inverse, return_counts=return_counts, axis=dim)


def where(x, condition, y):
    return tg.where(condition, x, y)


def fourier_n(function):
    def call(x, s=None, dim=None, norm=None):
        if isinstance(dim, int):
            dim = (dim,)
        if dim is None and function in (tg.fft.fft2, tg.fft.ifft2, tg.fft.rfft2, tg.fft.irfft2):
            dim = (-2, -1)
        return function(x, s, dim, norm)

    return call


def put(x, index, values, accumulate=False):
    if accumulate:
        raise TypeError("accumulate=True is not offered")
    z = tg.array(x)
    z[tuple(index)] = values
    return z


def gathered(x, dim, ids):
    if not (x.ndim and ids.ndim):
        return tg.reshape(tg.take(tg.ravel(x), ids), ids.shape)
    if not ids.size:
        return tg.reshape(x[:0] if x.ndim == 1 else tg.ravel(x)[:0], ids.shape)
    part = x[tuple(slice(None) if i == dim % x.ndim else slice(n) for i, n in enumerate(ids.shape))]
    return tg.take_along_axis(part, ids, dim)


def unpacked(function):
    """A function of a list of tensors as one of several."""
    return lambda *xs: function(*(xs[0] if isinstance(xs[0], (list, tuple)) else xs))


def masked_select(x, mask):
    shape = np.broadcast_shapes(x.shape, mask.shape)
    return tg.extract(tg.broadcast_to(mask, shape), tg.broadcast_to(x, shape))


def expanded(x, shape):
    return tg.broadcast_to(x, tuple(x.shape[i - len(shape) + x.ndim] if n == -1 else n for i, n in enumerate(shape)))


def joined(xs, dim=0):
    """PyTorch leaves empty vectors out."""
    return tg.concatenate([x for x in xs if x.shape != (0,)] or xs, dim)


SAME = """
    abs acos acosh add angle argwhere asin asinh atan atan2 atanh bitwise_and bitwise_or bitwise_xor ceil conj copysign
    corrcoef cos cosh deg2rad dot erf erfc exp exp2 expm1 fliplr flipud float_power floor floor_divide fmax fmin fmod
    gcd heaviside hypot i0 imag inner isfinite isinf isnan isneginf isposinf isreal kron lcm ldexp log log10 log1p log2
    logaddexp logaddexp2 logical_and logical_not logical_or logical_xor matmul maximum minimum nextafter outer positive
    pow rad2deg ravel real reciprocal remainder sigmoid sign signbit sin sinc sinh sqrt square tan tanh true_divide
    trunc vdot isin isclose allclose column_stack dstack hstack vstack dsplit hsplit vsplit broadcast_to reshape rot90
    stack diag tril triu trace full full_like ones zeros eye ones_like zeros_like take round
    """
OF_NETWORKS = """
    celu elu gelu hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish relu relu6 selu silu softplus softsign
    tanhshrink glu binary_cross_entropy binary_cross_entropy_with_logits hinge_embedding_loss huber_loss kl_div l1_loss
    layer_norm linear margin_ranking_loss mse_loss nll_loss prelu rms_norm smooth_l1_loss soft_margin_loss conv1d conv2d
    conv_transpose1d conv_transpose2d one_hot
    """
OF_MATRICES = "cond det eigvalsh inv matrix_power multi_dot qr slogdet svdvals cholesky"
OTHER_NAMES = {
    "mul": "multiply", "neg": "negative", "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater",
    "ge": "greater_equal", "bitwise_not": "invert", "bitwise_left_shift": "left_shift", "bitwise_right_shift": "right_shift",
    "mm": "matmul", "bmm": "matmul", "mv": "matmul", "view": "reshape", "permute": "transpose",
    "movedim": "moveaxis", "t": "transpose", "broadcast_tensors": "broadcast_arrays", "clone": "array", "equal": "array_equal",
    "transpose": "swapaxes", "mT": "matrix_transpose"}
OPERATORS = {
    **{name: getattr(tg, name) for name in SAME.split()},
    **{f"nn.functional.{name}": getattr(tg, name) for name in OF_NETWORKS.split()},
    **{f"linalg.{name}": getattr(tg.linalg, name) for name in OF_MATRICES.split()},
    **{theirs: getattr(tg, ours) for theirs, ours in OTHER_NAMES.items()},
    **{f"fft.{name}": renamed(getattr(tg.fft, name), "n axis norm") for name in "fft ifft rfft irfft hfft ihfft".split()},
    **{f"fft.{name}": fourier_n(getattr(tg.fft, name))
       for name in "fft2 fftn ifft2 ifftn irfft2 irfftn rfft2 rfftn".split()},
    **{f"fft.{name}": renamed(getattr(tg.fft, name), "axes", dim="axes") for name in ("fftshift", "ifftshift")},
    **{name: reduction(getattr(tg, name))
       for name in "amax amin mean sum nansum nanmean all any count_nonzero argmax argmin".split()},
    **{f"__r{name}__": getattr(tg.Tensor, f"__r{ours or name}__")
       for name, ours in {"add": "", "div": "truediv", "matmul": "", "mod": "", "mul": "", "pow": "", "sub": ""}.items()},
    **{name: unpacked(getattr(tg, name)) for name in ("atleast_1d", "atleast_2d", "atleast_3d")},
    "prod": lambda x, dim=None, keepdim=False, dtype=None: tg.prod(x, dim, dtype, keepdims=keepdim),
    "logsumexp": lambda x, dim, keepdim=False: tg.logsumexp(
        x, dim if dim and x.ndim else None, keepdims=keepdim),
    "cumsum": renamed(tg.cumsum, "axis"), "cumprod": renamed(tg.cumprod, "axis"),
    "std": spread(tg.std), "var": spread(tg.var), "max": extreme(tg.max, tg.maximum), "min": extreme(tg.min, tg.minimum),
    "quantile": quantile(tg.quantile), "nanquantile": quantile(tg.nanquantile), "cov": covariance,
    "cross": cross, "linalg.cross": cross, "softmax": axis_of(tg.softmax), "log_softmax": axis_of(tg.log_softmax),
    "sort": descending(tg.sort), "argsort": descending(tg.argsort), "msort": lambda x: tg.sort(x, 0),
    "topk": lambda x, k, dim=-1, largest=True, sorted=True: tg.topk(x, k, dim, largest)[0],
    "clamp": lambda x, low=None, high=None: tg.clip(x, low, high),
    "clamp_min": lambda x, low: tg.clip(x, low, None), "clamp_max": lambda x, high: tg.clip(x, None, high),
    "nan_to_num": renamed(tg.nan_to_num, "nan posinf neginf"), "div": divided,
    "sub": scaled(tg.subtract), "add": scaled(tg.add), "rsub": lambda x, y, alpha=1: tg.subtract(y, x * alpha),
    "__getitem__": lambda x, index: x[tuple(index) if type(index) is tuple else index], "index_put": put,
    "einsum": lambda xs, text: tg.einsum(text, *xs), "tensordot": lambda a, b, dims=2: tg.tensordot(a, b, dims),
    "expand": expanded, "flatten": flattened, "flip": renamed(tg.flip, "axis"), "roll": renamed(tg.roll, "shift axis"),
    "squeeze": squeezed, "unsqueeze": renamed(tg.expand_dims, "axis"), "T": lambda x: x.T,
    "mH": lambda x: tg.conj(tg.matrix_transpose(x)), "H": lambda x: tg.conj(tg.transpose(x)), "cat": joined,
    "repeat": repeated, "tile": lambda x, counts: tg.tile(x, counts) if counts else x, "repeat_interleave": repeat_interleave,
    "split": split_every, "split_with_sizes": split_every, "chunk": chunked, "unbind": lambda x, dim=0: tg.unstack(x, axis=dim),
    "tensor_split": lambda x, n, dim=0: tg.array_split(x, n.tolist() if isinstance(n, tg.Tensor) else n, dim),
    "meshgrid": lambda *xs, indexing: unpacked(lambda *xs: tg.meshgrid(*xs, indexing=indexing))(*xs),
    "nn.functional.pad": padded, "constant_pad_nd": lambda x, widths, value=0: padded(x, widths, "constant", value),
    "diagflat": renamed(tg.diagflat, "k", offset="k"),
    "diagonal": renamed(tg.diagonal, "offset axis1 axis2", dim1="axis1", dim2="axis2"),
    "linalg.diagonal": lambda x, offset=0, dim1=-2, dim2=-1: tg.diagonal(x, offset, dim1, dim2),
    "diff": renamed(tg.diff, "n axis prepend append"), "gradient": gradient,
    "trapezoid": renamed(tg.trapezoid, "x"), "trapz": renamed(tg.trapezoid, "x"), "gather": gathered,
    "take_along_dim": lambda x, ids, dim=None: tg.take_along_axis(x, ids, dim),
    "index_select": lambda x, dim, ids: tg.take(x, ids, dim) if x.ndim else x,
    "masked_select": masked_select,
    "masked_fill": lambda x, mask, y: tg.where(mask, y, x), "where": where,
    "select": lambda x, dim, i: tg.take(x, i, dim),
    "nonzero": lambda x, as_tuple=False: tg.nonzero(x if x.ndim else tg.reshape(x, (1,))) if as_tuple else tg.argwhere(x),
    "searchsorted": searched,
    "bucketize": lambda x, edges, right=False: tg.searchsorted(edges, x, "right" if right else "left"),
    "bincount": renamed(tg.bincount, "weights minlength"), "unique": unique, "item": tg.Tensor.item,
    "linspace": lambda a, b, n, dtype=None: tg.linspace(a, b, n, dtype=dtype),
    "logspace": lambda a, b, n, base=10.0, dtype=None: tg.logspace(a, b, n, base=base, dtype=dtype),
    "nn.functional.cross_entropy": lambda x, target, **options: tg.cross_entropy(
        x, target, axis=min(x.ndim - 1, 1), **options),
    "nn.functional.dropout": dropped, "nn.functional.batch_norm": batch_norm, "nn.functional.embedding": embedding,
    "nn.functional.cosine_similarity": renamed(tg.cosine_similarity, "x2 axis eps"),
    "nn.functional.normalize": renamed(tg.normalize, "p axis eps"),
    "nn.functional.scaled_dot_product_attention": attention,
    "nn.functional.max_pool1d": pooled(tg.max_pool1d), "nn.functional.max_pool2d": pooled(tg.max_pool2d),
    "nn.functional.avg_pool1d": pooled(tg.avg_pool1d, True), "nn.functional.avg_pool2d": pooled(tg.avg_pool2d, True),
    "cholesky": tg.linalg.cholesky, "linalg.eigh": eigh,
    "linalg.inv_ex": tg.linalg.inv, "linalg.cholesky_ex": tg.linalg.cholesky,
    "linalg.lstsq": lambda a, b: tg.linalg.lstsq(a, b)[0], "linalg.matrix_norm": matrix_norm, "linalg.norm": norm,
    "linalg.matrix_rank": lambda x, atol=None, rtol=None, hermitian=False: tg.linalg.matrix_rank(x, atol, hermitian, rtol=rtol),
    "norm": old_norm, "linalg.pinv": lambda x, y=None, rtol=None, hermitian=False: tg.linalg.pinv(
        x if y is None else x @ tg.matrix_transpose(y), hermitian=hermitian, rtol=rtol),
    "pinverse": tg.linalg.pinv, "qr": tg.linalg.qr, "linalg.solve": solved, "linalg.svd": svd, "svd": svd,
    "linalg.tensorinv": tg.linalg.tensorinv, "linalg.tensorsolve": renamed(tg.linalg.tensorsolve, "b axes", dims="axes"),
    "linalg.vander": lambda x, N=None: tg.vander(x, N, increasing=True),
    "linalg.vecdot": lambda x, y, dim=-1: tg.vecdot(x, y, axis=dim),
    "linalg.vector_norm": lambda x, ord=2, dim=None, keepdim=False: tg.linalg.vector_norm(
        x, ord=ord, axis=None if dim == () else dim, keepdims=keepdim),
}


THEIRS = {
    **dict.fromkeys(("sort", "topk", "linalg.lstsq", "linalg.inv_ex", "linalg.cholesky_ex"), lambda z: z[0]),
    **dict.fromkeys(("max", "min", "nn.functional.max_pool1d", "nn.functional.max_pool2d"),
                    lambda z: z[0] if isinstance(z, tuple) else z),
    "linalg.eigh": lambda z: (z[0], z[1] * z[1].conj()),
    "linalg.svd": lambda z: (z[0] * z[0].conj(), z[1], z[2] * z[2].conj()),
    "svd": lambda z: (z[0] * z[0].conj(), z[1], (z[2] * z[2].conj()).mT),
}
SYMMETRIC = {("linalg.pinv", "hermitian"), ("cholesky", ""), ("linalg.cholesky", ""), ("linalg.cholesky_ex", "")}
REFUSED = {
    "__rpow__": "integers to negative powers, as in NumPy", "add": "-3 as uint8", "sub": "-3 as uint8", "rsub": "-3 as uint8",
    "full": "-5 as uint8", "cov": "weights of observations", "cumsum": "an axis of a scalar", "cumprod": "an axis of a scalar",
    "einsum": "an ellipsis that the result does not have, as in NumPy", "index_put": "values that are added up",
    "ldexp": "exponents that are no integers, as in NumPy", "linalg.lstsq": "stacks of matrices, as in NumPy",
    "linalg.matrix_rank": "tol and rtol at once, as in NumPy", "linalg.vander": "stacks of vectors, as in NumPy",
    "linalg.svd": "derivatives of all of a full U and V", "svd": "derivatives of all of a full U and V",
    "nextafter": "a derivative", "quantile": "a derivative by q", "nanquantile": "a derivative by q",
    "nn.functional.avg_pool1d": "ceil_mode", "nn.functional.avg_pool2d": "ceil_mode, divisor_override",
    "nn.functional.max_pool1d": "ceil_mode", "nn.functional.max_pool2d": "ceil_mode",
    "nn.functional.batch_norm": "a vector as a batch", "nn.functional.cosine_similarity": "an axis of a scalar",
    "nn.functional.dropout": "PyTorch's random numbers", "nn.functional.embedding": "max_norm, scale_grad_by_freq",
    "nn.functional.hardtanh": "equal bounds", "nn.functional.normalize": "norms of an order that is not positive",
    "nn.functional.pad": "negative widths, as in NumPy", "constant_pad_nd": "negative widths, as in NumPy",
    "nn.functional.scaled_dot_product_attention": "dropout in attention", "searchsorted": "stacks of sequences, as in NumPy",
    "log_softmax": "an axis of a scalar", "softmax": "an axis of a scalar", "topk": "an axis of a scalar",
    "take_along_dim": "indices of several axes without an axis, as in NumPy",
    "tensordot": "axes of length 1 against longer ones",
    "transpose": "an axis of a scalar",
    **{(name, "c"): "complex numbers" for name in """
        cholesky corrcoef linalg.cholesky linalg.cholesky_ex linalg.cond linalg.det linalg.eigh linalg.eigvalsh linalg.inv
        linalg.inv_ex linalg.matrix_norm linalg.matrix_power linalg.norm linalg.pinv linalg.qr linalg.slogdet linalg.solve
        linalg.svdvals linalg.tensorinv linalg.tensorsolve logaddexp logsumexp nn.functional.silu norm pinverse qr sigmoid sinc
        """.split()},
}
DIFFERENT = {
    **dict.fromkeys([("linspace", "i"), ("linspace", "u"), ("logspace", "i"), ("logspace", "u")],
                    ("values", "NumPy rounds integers down")),
    ("linspace", "tensor_overload"): ("values", "NumPy computes in float32 if an end has it"),
    ("logspace", "tensor_overload"): ("values", "NumPy computes in float32 if an end has it"),
    **dict.fromkeys([("nn.functional.avg_pool1d", "i"), ("nn.functional.avg_pool2d", "i")], ("values", "means are floats")),
    ("nn.functional.rms_norm", "c"): ("values", "PyTorch squares complex numbers, tapegrad their absolute values"),
    ("nn.functional.margin_ranking_loss", "u"): ("values", "PyTorch's differences of uint8 wrap around"),
    ("nn.functional.hardtanh", "i"): ("values", "PyTorch rounds the bounds"),
    ("sinc", "i"): ("values", "PyTorch computes it in float32"),
    **dict.fromkeys([("reciprocal", "i"), ("reciprocal", "u")], ("values", "NumPy's are integers")),
    ("argsort", "u"): ("values", "PyTorch's is not stable"),
    ("linalg.norm", "subgradients_at_zero"): ("derivatives", "0, where PyTorch has another subgradient"),
}
