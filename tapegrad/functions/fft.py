"""`tapegrad.fft`: the discrete Fourier transforms under the names, arguments and results of numpy.fft.

    fft(x)[k] = sum_j x[j] exp(-2 pi i j k / n)          ifft(x)[j] = 1/n sum_k x[k] exp(2 pi i j k / n)

n is the length along the axis: with n= (or s=, one for each of several axes) x is cut, or padded with zeros, to it first.
`norm` says which of the two is divided by n: "backward" (the default) ifft, "forward" fft, "ortho" both by sqrt(n).
rfft is the first half, n // 2 + 1 elements, of fft of a real x, whose other half is the conjugate of it; irfft is the
inverse, with n = 2 (m - 1) by default. float32 gives complex64. The transforms are linear, and so their derivatives are
transforms: see primitives/fourier.py, and primitives/complex_parts.py for what the delta of a complex number is.

All raise ShapeError for axes that there are not and for lengths below 1, ValueError for another norm, and
TypeError for an out=.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import index

import numpy as np

from tapegrad.core.record import recorded
from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.functions.arguments import constant, like, normalized_axis, refuse_out, single_axis
from tapegrad.functions.complex_parts import conj
from tapegrad.functions.elementwise import positive
from tapegrad.functions.shaping import roll
from tapegrad.functions.tensor import Tensor
from tapegrad.primitives.fourier import ADJOINT
from tapegrad.typing import Axis, TensorLike

__all__ = ["fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifft2", "ifftn", "ifftshift", "ihfft", "irfft",
           "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn"]


def _norm(name: str, norm: str | None) -> str:
    if norm is not None and norm not in ADJOINT:
        raise ValueError(f"{name}: norm={norm!r}; it is None, 'backward', 'ortho' or 'forward'")
    return norm or "backward"


def _resized(name: str, x: TensorLike, n: int, axis: int) -> TensorLike:
    """x cut, or padded with zeros at the end, to the length n along `axis`."""
    n = index(n)
    if n < 1:
        raise ShapeError(f"{name}: n={n} of {describe(like(x))}; at least one element is transformed")
    shape = like(x).shape
    if n < shape[axis]:
        x = recorded.getitem(x, (slice(None),) * axis + (slice(n),))
    if n > shape[axis]:
        zeros = np.zeros((*shape[:axis], n - shape[axis], *shape[axis + 1:]), like(x).dtype)
        x = recorded.concatenate((x, zeros), axis)
    return x


def _axes(name: str, x: TensorLike, s: Sequence[int | None] | None,
          axes: Sequence[int] | None) -> tuple[tuple[int, ...], list[int | None]]:
    """(axes counted from 0, the length along each or None)."""
    if axes is None:
        axes = range(like(x).ndim) if s is None else range(-len(s), 0)
    counted = normalized_axis(name, x, tuple(axes))
    lengths: list[int | None] = [None] * len(counted) if s is None else [None if n is None or n == -1 else n for n in s]
    if len(lengths) != len(counted):
        raise ShapeError(f"{name}: {len(lengths)} lengths s={s} for {len(counted)} axes {counted}")
    return counted, lengths


def _complex(name: str, row: Callable[..., Tensor], x: TensorLike, axes: tuple[int, ...], lengths: Sequence[int | None],
             norm: str | None) -> Tensor:
    for axis, n in zip(axes, lengths):
        x = _resized(name, x, like(x).shape[axis] if n is None else n, axis)
    return row(x, axes, _norm(name, norm)) if axes else positive(x)


def fft(a: TensorLike, n: int | None = None, axis: int = -1, norm: str | None = None, out: None = None) -> Tensor:
    """The transform along one axis: sum_j x[j] exp(-2 pi i j k / n). Derivative: the adjoint, n ifft(d).

    >>> tg.fft.fft(np.array([1.0, 2.0, 3.0, 4.0]))
    tensor([10.+0.j, -2.+2.j, -2.+0.j, -2.-2.j], dtype=complex128)
    >>> tg.grad(lambda x: tg.square(tg.abs(tg.fft.fft(x))).sum())(np.array([1.0, 2.0])).round(6)
    array([4., 8.])
    """
    refuse_out("fft", out)
    return _complex("fft", recorded.fft, a, (single_axis("fft", a, axis),), (n,), norm)


def ifft(a: TensorLike, n: int | None = None, axis: int = -1, norm: str | None = None, out: None = None) -> Tensor:
    """The inverse of fft along one axis. Derivative: the adjoint, fft(d) / n.

    >>> tg.fft.ifft(np.array([10, -2 + 2j, -2, -2 - 2j]))
    tensor([1.+0.j, 2.+0.j, 3.+0.j, 4.+0.j], dtype=complex128)
    """
    refuse_out("ifft", out)
    return _complex("ifft", recorded.ifft, a, (single_axis("ifft", a, axis),), (n,), norm)


def fftn(a: TensorLike, s: Sequence[int | None] | None = None, axes: Sequence[int] | None = None,
         norm: str | None = None, out: None = None) -> Tensor:
    """The transform along several axes, by default all. Derivative: the adjoint, n ifftn(d).

    >>> tg.fft.fftn(np.array([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[10.+0.j, -2.+0.j],
            [-4.+0.j,  0.+0.j]], dtype=complex128)
    """
    refuse_out("fftn", out)
    return _complex("fftn", recorded.fft, a, *_axes("fftn", a, s, axes), norm)


def ifftn(a: TensorLike, s: Sequence[int | None] | None = None, axes: Sequence[int] | None = None,
          norm: str | None = None, out: None = None) -> Tensor:
    """The inverse of fftn. Derivative: the adjoint, fftn(d) / n.

    >>> tg.fft.ifftn(np.array([[10.0, -2.0], [-4.0, 0.0]]))
    tensor([[1.+0.j, 2.+0.j],
            [3.+0.j, 4.+0.j]], dtype=complex128)
    """
    refuse_out("ifftn", out)
    return _complex("ifftn", recorded.ifft, a, *_axes("ifftn", a, s, axes), norm)


def fft2(a: TensorLike, s: Sequence[int | None] | None = None, axes: Sequence[int] = (-2, -1),
         norm: str | None = None, out: None = None) -> Tensor:
    """fftn along two axes.

    >>> tg.fft.fft2(np.ones((3, 2, 2)))[0]
    tensor([[4.+0.j, 0.+0.j],
            [0.+0.j, 0.+0.j]], dtype=complex128)
    """
    refuse_out("fft2", out)
    return fftn(a, s, axes, norm)


def ifft2(a: TensorLike, s: Sequence[int | None] | None = None, axes: Sequence[int] = (-2, -1),
          norm: str | None = None, out: None = None) -> Tensor:
    """ifftn along two axes.

    >>> tg.fft.ifft2(np.array([[4.0, 0.0], [0.0, 0.0]]))
    tensor([[1.+0.j, 1.+0.j],
            [1.+0.j, 1.+0.j]], dtype=complex128)
    """
    refuse_out("ifft2", out)
    return ifftn(a, s, axes, norm)


def rfft(a: TensorLike, n: int | None = None, axis: int = -1, norm: str | None = None, out: None = None) -> Tensor:
    """The first n // 2 + 1 elements of fft of a real x. Derivative: the real part of the adjoint. DtypeError for a complex x.

    >>> tg.fft.rfft(np.array([1.0, 2.0, 3.0, 4.0]))
    tensor([10.+0.j, -2.+2.j, -2.+0.j], dtype=complex128)
    """
    refuse_out("rfft", out)
    if like(a).dtype.kind == "c":
        raise DtypeError(f"rfft: {describe(like(a))}; a real dtype is needed, or fft")
    axis = single_axis("rfft", a, axis)
    n = like(a).shape[axis] if n is None else n
    return recorded.rfft(_resized("rfft", a, n, axis), axis, _norm("rfft", norm))


def irfft(a: TensorLike, n: int | None = None, axis: int = -1, norm: str | None = None, out: None = None) -> Tensor:
    """The real x, of n elements, whose rfft is a; by default n = 2 (m - 1) for m elements along the axis.

    As in numpy.fft, the imaginary part of the first element, and for an even n of the last, is not read.

    >>> tg.fft.irfft(np.array([10, -2 + 2j, -2]))
    tensor([1., 2., 3., 4.])
    """
    refuse_out("irfft", out)
    axis = single_axis("irfft", a, axis)
    n = 2 * (like(a).shape[axis] - 1) if n is None else index(n)
    if n < 1:
        raise ShapeError(f"irfft: n={n} of {describe(like(a))}; at least one element is transformed")
    return recorded.irfft(_resized("irfft", a, n // 2 + 1, axis), n, axis, _norm("irfft", norm))


def rfftn(a: TensorLike, s: Sequence[int | None] | None = None, axes: Sequence[int] | None = None,
          norm: str | None = None, out: None = None) -> Tensor:
    """rfft along the last of the axes, then fft along the others.

    >>> tg.fft.rfftn(np.array([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[10.+0.j, -2.+0.j],
            [-4.+0.j,  0.+0.j]], dtype=complex128)
    """
    refuse_out("rfftn", out)
    (*rest, last), (*lengths, n) = _several("rfftn", a, s, axes)
    return _complex("rfftn", recorded.fft, rfft(a, n, last, norm), tuple(rest), lengths, norm)


def irfftn(a: TensorLike, s: Sequence[int | None] | None = None, axes: Sequence[int] | None = None,
           norm: str | None = None, out: None = None) -> Tensor:
    """The inverse of rfftn: ifft along all axes but the last, then irfft along that one.

    >>> tg.fft.irfftn(np.array([[10.0, -2.0], [-4.0, 0.0]]))
    tensor([[1., 2.],
            [3., 4.]])
    """
    refuse_out("irfftn", out)
    (*rest, last), (*lengths, n) = _several("irfftn", a, s, axes)
    return irfft(_complex("irfftn", recorded.ifft, a, tuple(rest), lengths, norm), n, last, norm)


def _several(name: str, x: TensorLike, s: Sequence[int | None] | None,
             axes: Sequence[int] | None) -> tuple[tuple[int, ...], list[int | None]]:
    counted, lengths = _axes(name, x, s, axes)
    if not counted:
        raise ShapeError(f"{name}: no axes of {describe(like(x))}; at least one is transformed")
    return counted, lengths


def rfft2(a: TensorLike, s: Sequence[int | None] | None = None, axes: Sequence[int] = (-2, -1),
          norm: str | None = None, out: None = None) -> Tensor:
    """rfftn along two axes.

    >>> tg.fft.rfft2(np.ones((3, 2, 2)))[0]
    tensor([[4.+0.j, 0.+0.j],
            [0.+0.j, 0.+0.j]], dtype=complex128)
    """
    refuse_out("rfft2", out)
    return rfftn(a, s, axes, norm)


def irfft2(a: TensorLike, s: Sequence[int | None] | None = None, axes: Sequence[int] = (-2, -1),
           norm: str | None = None, out: None = None) -> Tensor:
    """irfftn along two axes.

    >>> tg.fft.irfft2(np.array([[4.0, 0.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [1., 1.]])
    """
    refuse_out("irfft2", out)
    return irfftn(a, s, axes, norm)


def hfft(a: TensorLike, n: int | None = None, axis: int = -1, norm: str | None = None, out: None = None) -> Tensor:
    """The real spectrum of a signal of which the first half is given, the rest being its conjugate: n irfft(conj(a)).

    >>> tg.fft.hfft(np.array([1.0, 2.0, 3.0]))
    tensor([ 8., -2.,  0., -2.])
    """
    refuse_out("hfft", out)
    return irfft(conj(a), n, axis, ADJOINT[_norm("hfft", norm)])


def ihfft(a: TensorLike, n: int | None = None, axis: int = -1, norm: str | None = None, out: None = None) -> Tensor:
    """The inverse of hfft: conj(rfft(a)) / n.

    >>> tg.fft.ihfft(np.array([8.0, -2.0, 0.0, -2.0])).real
    tensor([1., 2., 3.])
    """
    refuse_out("ihfft", out)
    return conj(rfft(a, n, axis, ADJOINT[_norm("ihfft", norm)]))


def fftshift(x: TensorLike, axes: Axis = None) -> Tensor:
    """The element of frequency 0 moved to the middle of the axes, by default all.

    >>> tg.fft.fftshift(np.array([0.0, 1.0, 2.0, -2.0, -1.0]))
    tensor([-2., -1.,  0.,  1.,  2.])
    """
    return _shifted("fftshift", x, axes, 1)


def ifftshift(x: TensorLike, axes: Axis = None) -> Tensor:
    """The inverse of fftshift.

    >>> tg.fft.ifftshift(np.array([-2.0, -1.0, 0.0, 1.0, 2.0]))
    tensor([ 0.,  1.,  2., -2., -1.])
    """
    return _shifted("ifftshift", x, axes, -1)


def _shifted(name: str, x: TensorLike, axes: Axis, sign: int) -> Tensor:
    counted = tuple(range(like(x).ndim)) if axes is None else normalized_axis(name, x, axes)
    return roll(x, tuple([sign * (like(x).shape[i] // 2) for i in counted]), counted)


def fftfreq(n: int, d: float = 1.0) -> Tensor:
    """The frequencies of the elements of fft, of n samples d apart: a constant.

    >>> tg.fft.fftfreq(4, 0.5)
    tensor([ 0. ,  0.5, -1. , -0.5])
    """
    return Tensor(np.fft.fftfreq(n, constant("fftfreq", d)))


def rfftfreq(n: int, d: float = 1.0) -> Tensor:
    """The frequencies of the elements of rfft, of n samples d apart: a constant.

    >>> tg.fft.rfftfreq(4, 0.5)
    tensor([0. , 0.5, 1. ])
    """
    return Tensor(np.fft.rfftfreq(n, constant("rfftfreq", d)))
