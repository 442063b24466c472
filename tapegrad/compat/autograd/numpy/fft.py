"""`autograd.numpy.fft`: the names of tapegrad.numpy.fft."""

from __future__ import annotations

from tapegrad.compat.autograd.faces import face_of
from tapegrad.numpy import fft as _ours

__all__ = list(_ours.__all__)

__getattr__, __dir__ = face_of(_ours, globals())
