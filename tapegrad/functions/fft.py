"""`tapegrad.fft`: the discrete Fourier transforms under the names, arguments and results of numpy.fft.

    fft(x)[k] = sum_j x[j] exp(-2 pi i j k / n)          ifft(x)[j] = 1/n sum_k x[k] exp(2 pi i j k / n)

n is the length along the axis: with n= (or s=, one for each of several axes) x is cut, or padded with zeros, to it first.
`norm` says which of the two is divided by n: "backward" (the default) ifft, "forward" fft, "ortho" both by sqrt(n).
rfft is the first half, n // 2 + 1 elements, of fft of a real x, whose other half is the conjugate of it; irfft is the
inverse, with n = 2 (m - 1) by default. float32 gives complex64. The transforms are linear, and so their derivatives are
transforms: see primitives/fourier.py, and primitives/complex_parts.py for what the delta of a complex number is.
"""

from operator import index

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.functions.arguments import normalized_axis, single_axis, value
from tapegrad.functions.complex_parts import conj
from tapegrad.functions.shaping import roll
from tapegrad.functions.tensor import Tensor
from tapegrad.primitives.fourier import ADJOINT

__all__ = ["fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifft2", "ifftn", "ifftshift", "ihfft", "irfft",
           "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn"]


def _norm(name, norm):
    if norm is not None and norm not in ADJOINT:
        raise ValueError(f"{name}: norm={norm!r}; it is None, 'backward', 'ortho' or 'forward'")
    return norm or "backward"


def _resized(name, x, n, axis):
    """x cut, or padded with zeros at the end, to the length n along `axis`."""
    n = index(n)
    if n < 1:
        raise ShapeError(f"{name}: n={n} of {describe(value(x))}; at least one element is transformed")
    shape = value(x).shape
    if n < shape[axis]:
        return recorded.getitem(x, (slice(None),) * axis + (slice(n),))
    if n > shape[axis]:
        zeros = np.zeros((*shape[:axis], n - shape[axis], *shape[axis + 1:]), value(x).dtype)
        return recorded.concatenate((x, zeros), axis)
    return x


def _axes(name, x, s, axes):
    """(axes counted from 0, the length along each or None)."""
    if axes is None:
        axes = range(value(x).ndim) if s is None else range(-len(s), 0)
    axes = normalized_axis(name, x, tuple(axes))
    lengths = [None] * len(axes) if s is None else [None if n is None or n == -1 else n for n in s]
    if len(lengths) != len(axes):
        raise ShapeError(f"{name}: {len(lengths)} lengths s={tuple(s)} for {len(axes)} axes {axes}")
    return axes, lengths


def _complex(name, row, x, axes, lengths, norm):
    for axis, n in zip(axes, lengths):
        x = _resized(name, x, value(x).shape[axis] if n is None else n, axis)
    return row(x, axes, _norm(name, norm)) if axes else recorded.alias(x)


def fft(a, n=None, axis=-1, norm=None):
    """The transform along one axis: sum_j x[j] exp(-2 pi i j k / n). Derivative: the adjoint, n ifft(d)."""
    return _complex("fft", recorded.fft, a, (single_axis("fft", a, axis),), (n,), norm)


def ifft(a, n=None, axis=-1, norm=None):
    """The inverse of fft along one axis. Derivative: the adjoint, fft(d) / n."""
    return _complex("ifft", recorded.ifft, a, (single_axis("ifft", a, axis),), (n,), norm)


def fftn(a, s=None, axes=None, norm=None):
    """The transform along several axes, by default all. Derivative: the adjoint, n ifftn(d)."""
    return _complex("fftn", recorded.fft, a, *_axes("fftn", a, s, axes), norm)


def ifftn(a, s=None, axes=None, norm=None):
    """The inverse of fftn. Derivative: the adjoint, fftn(d) / n."""
    return _complex("ifftn", recorded.ifft, a, *_axes("ifftn", a, s, axes), norm)


def fft2(a, s=None, axes=(-2, -1), norm=None):
    """fftn along two axes."""
    return fftn(a, s, axes, norm)


def ifft2(a, s=None, axes=(-2, -1), norm=None):
    """ifftn along two axes."""
    return ifftn(a, s, axes, norm)


def rfft(a, n=None, axis=-1, norm=None):
    """The first n // 2 + 1 elements of fft of a real x. Derivative: the real part of the adjoint."""
    if value(a).dtype.kind == "c":
        raise DtypeError(f"rfft: {describe(value(a))}; a real dtype is needed, or fft")
    axis = single_axis("rfft", a, axis)
    n = value(a).shape[axis] if n is None else n
    return recorded.rfft(_resized("rfft", a, n, axis), axis, _norm("rfft", norm))


def irfft(a, n=None, axis=-1, norm=None):
    """The real x, of n elements, whose rfft is a; by default n = 2 (m - 1) for m elements along the axis.

    As in numpy.fft, the imaginary part of the first element, and for an even n of the last, is not read.
    """
    axis = single_axis("irfft", a, axis)
    n = 2 * (value(a).shape[axis] - 1) if n is None else index(n)
    if n < 1:
        raise ShapeError(f"irfft: n={n} of {describe(value(a))}; at least one element is transformed")
    return recorded.irfft(_resized("irfft", a, n // 2 + 1, axis), n, axis, _norm("irfft", norm))


def rfftn(a, s=None, axes=None, norm=None):
    """rfft along the last of the axes, then fft along the others."""
    (*rest, last), (*lengths, n) = _several("rfftn", a, s, axes)
    return _complex("rfftn", recorded.fft, rfft(a, n, last, norm), tuple(rest), lengths, norm)


def irfftn(a, s=None, axes=None, norm=None):
    """The inverse of rfftn: ifft along all axes but the last, then irfft along that one."""
    (*rest, last), (*lengths, n) = _several("irfftn", a, s, axes)
    return irfft(_complex("irfftn", recorded.ifft, a, tuple(rest), lengths, norm), n, last, norm)


def _several(name, x, s, axes):
    axes, lengths = _axes(name, x, s, axes)
    if not axes:
        raise ShapeError(f"{name}: no axes of {describe(value(x))}; at least one is transformed")
    return axes, lengths


def rfft2(a, s=None, axes=(-2, -1), norm=None):
    """rfftn along two axes."""
    return rfftn(a, s, axes, norm)


def irfft2(a, s=None, axes=(-2, -1), norm=None):
    """irfftn along two axes."""
    return irfftn(a, s, axes, norm)


def hfft(a, n=None, axis=-1, norm=None):
    """The real spectrum of a signal of which the first half is given, the rest being its conjugate: n irfft(conj(a))."""
    return irfft(conj(a), n, axis, ADJOINT[_norm("hfft", norm)])


def ihfft(a, n=None, axis=-1, norm=None):
    """The inverse of hfft: conj(rfft(a)) / n."""
    return conj(rfft(a, n, axis, ADJOINT[_norm("ihfft", norm)]))


def fftshift(x, axes=None):
    """The element of frequency 0 moved to the middle of the axes, by default all."""
    return _shifted("fftshift", x, axes, 1)


def ifftshift(x, axes=None):
    """The inverse of fftshift."""
    return _shifted("ifftshift", x, axes, -1)


def _shifted(name, x, axes, sign):
    axes = tuple(range(value(x).ndim)) if axes is None else normalized_axis(name, x, axes)
    return roll(x, tuple([sign * (value(x).shape[i] // 2) for i in axes]), axes)


def fftfreq(n, d=1.0):
    """The frequencies of the elements of fft, of n samples d apart: a constant."""
    return Tensor(np.fft.fftfreq(n, d))


def rfftfreq(n, d=1.0):
    """The frequencies of the elements of rfft, of n samples d apart: a constant."""
    return Tensor(np.fft.rfftfreq(n, d))
