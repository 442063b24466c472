"""`autograd.numpy.linalg`: the names of tapegrad.numpy.linalg. eigh reads one triangle, and so does its gradient."""

from __future__ import annotations

from typing import Any

from tapegrad import numpy as anp
from tapegrad.compat.autograd.faces import face_of
from tapegrad.numpy import linalg as _ours
from tapegrad.numpy.dispatch import holds_tensor

__all__ = list(_ours.__all__)

_dot = anp.matmul


def T(x: Any) -> Any:
    """x with its last two axes exchanged."""
    return anp.swapaxes(x, -1, -2)


def _read(a: Any, UPLO: str) -> tuple[Any, str]:
    """The matrix and the triangle for NumPy: one whose other triangle is the conjugate of the one that is read, so that all of
    the gradient is by that one; the lower, so that vectors have the same signs with a gradient and without.
    """
    if UPLO not in ("U", "u") and not (UPLO in ("L", "l") and holds_tensor((a,))):
        return a, UPLO
    strict = anp.tril(a, -1) if UPLO in ("L", "l") else anp.triu(a, 1)
    return strict + anp.conj(T(strict)) + anp.multiply(a, anp.eye(anp.shape(a)[-1])), "L"


def eigh(a: Any, UPLO: str = "L") -> Any:
    """NumPy's eigh; the gradient is by the triangle that is read, as autograd has it."""
    return _ours.eigh(*_read(a, UPLO))


def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    """NumPy's eigvalsh; the gradient is by the triangle that is read."""
    return _ours.eigvalsh(*_read(a, UPLO))


__getattr__, __dir__ = face_of(_ours, globals())
