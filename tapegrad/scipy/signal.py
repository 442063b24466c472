"""`tapegrad.scipy.signal`: the names of scipy.signal; convolutions and recursive filters take tensors."""

from __future__ import annotations

from typing import Any

from scipy import signal as theirs

from tapegrad import fft, functions
from tapegrad.core.record import recorded
from tapegrad.errors import ShapeError
from tapegrad.errors import describe as described
from tapegrad.functions.arguments import as_tensor, floats, single_axis, value
from tapegrad.functions.tensor import Tensor
from tapegrad.numpy.dispatch import Names
from tapegrad.primitives import scipy_linear as _rows  # noqa: F401
from tapegrad.typing import Axis, TensorLike

__all__ = list(theirs.__all__)
_names = Names(globals(), theirs, "scipy.signal", lambda name: None)
__dir__, __getattr__ = _names.dir, _names.get


@_names.of("fftconvolve")
def fftconvolve(in1: TensorLike, in2: TensorLike, mode: str = "full", axes: Axis = None) -> Tensor:
    """The convolution along `axes`, all of them by default, as the product of Fourier transforms.

    mode   "full", "same" for the middle part of the shape of in1, or "valid" where one lies inside the other

    Derivative: to each, the correlation of d with the other.

    >>> tg.scipy.signal.fftconvolve(tg.tensor([1.0, 2.0]), np.array([1.0, 10.0])).data.round(6)
    array([ 1., 12., 20.])
    """
    x, y = floats(in1), floats(in2)
    if x.ndim != y.ndim:
        raise ShapeError(f"fftconvolve: {described(x)} and {described(y)}; as many axes are needed")
    if mode not in ("full", "same", "valid"):
        raise ValueError(f"fftconvolve: mode={mode!r}; it is 'full', 'same' or 'valid'")
    which = range(x.ndim) if axes is None else [axes] if isinstance(axes, int) else axes
    places = tuple([single_axis("fftconvolve", x, axis) for axis in which])
    sizes = [x.shape[i] + y.shape[i] - 1 for i in places]
    if not places or 0 in (x.size, y.size):
        return x * y
    if x.dtype.kind == "c" or y.dtype.kind == "c":
        z = fft.ifftn(fft.fftn(x, sizes, places) * fft.fftn(y, sizes, places), sizes, places)
    else:
        z = fft.irfftn(fft.rfftn(x, sizes, places) * fft.rfftn(y, sizes, places), sizes, places)
    if mode == "full":
        return z
    fits = all(x.shape[i] >= y.shape[i] for i in places), all(y.shape[i] >= x.shape[i] for i in places)
    if mode == "valid" and not any(fits):
        raise ShapeError(f"fftconvolve: {described(x)} and {described(y)}; for mode='valid' one must lie inside the other")
    index: list[Any] = [slice(None)] * x.ndim
    for i, full in zip(places, sizes):
        length = x.shape[i] if mode == "same" else abs(x.shape[i] - y.shape[i]) + 1
        start = (full - length) // 2
        index[i] = slice(start, start + length)
    return z[tuple(index)]


@_names.of("convolve")
def convolve(in1: TensorLike, in2: TensorLike, mode: str = "full", method: str = "auto") -> Tensor:
    """The convolution of arrays with as many axes: of vectors directly, else, and with method="fft", as fftconvolve.

    z_n = Σ_k x_k v_(n-k). Derivative: the correlation of d with the other operand.

    >>> tg.scipy.signal.convolve(tg.tensor([1.0, 2.0, 3.0]), np.array([1.0, 10.0]), mode="same")
    tensor([ 1., 12., 23.])
    """
    if method not in ("auto", "direct", "fft"):
        raise ValueError(f"convolve: method={method!r}; it is 'auto', 'direct' or 'fft'")
    n, m = value(in1).size, value(in2).size
    if value(in1).ndim != 1 or value(in2).ndim != 1 or method == "fft":
        z: Tensor = fftconvolve(as_tensor(in1), in2, mode)
        return z
    z = functions.convolve(in1, in2, "full" if mode == "same" else mode)
    start = (n + m - 1 - n) // 2
    return z[start:start + n] if mode == "same" else z


@_names.of("lfilter")
def lfilter(b: TensorLike, a: TensorLike, x: TensorLike, axis: int = -1, zi: Any = None) -> Tensor:
    """The z with a[0] z[n] + a[1] z[n - 1] + .. = b[0] x[n] + b[1] x[n - 1] + .. along `axis`, starting at rest.

    Derivative: g is d, filtered backwards by 1 / a; to x, g correlated with b; to b[k], the sum of g[n] x[n - k]; to a[k],
    minus that of g[n] z[n - k]. TypeError for zi=.

    >>> tg.scipy.signal.lfilter([1.0], [1.0, -0.5], tg.tensor([1.0, 0.0, 0.0]))
    tensor([1.  , 0.5 , 0.25])
    >>> tg.grad(lambda x: tg.scipy.signal.lfilter([1.0], [1.0, -0.5], x)[2])(np.zeros(3))
    array([0.25, 0.5 , 1.  ])
    """
    if zi is not None:
        raise TypeError("lfilter: zi= of tensors; put the samples before in front of x instead")
    b, a, x = floats(functions.atleast_1d(b)), floats(functions.atleast_1d(a)), floats(x)
    if b.ndim != 1 or a.ndim != 1 or x.ndim < 1:
        raise ShapeError(f"lfilter: coefficients {described(b)} and {described(a)}, signal {described(x)}; vectors, and at "
                         "least one axis, are needed")
    axis = single_axis("lfilter", x, axis)
    z: Tensor = recorded.special_lfilter(b, a, x if axis == x.ndim - 1 else functions.moveaxis(x, axis, -1))
    return z if axis == x.ndim - 1 else functions.moveaxis(z, -1, axis)
