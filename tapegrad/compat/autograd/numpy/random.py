"""`autograd.numpy.random`: the names of tapegrad.numpy.random."""

from __future__ import annotations

from tapegrad.compat.autograd.faces import face_of
from tapegrad.numpy import random as _ours

__all__ = list(_ours.__all__)

__getattr__, __dir__ = face_of(_ours, globals())
