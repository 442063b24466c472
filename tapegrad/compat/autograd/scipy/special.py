"""`autograd.scipy.special`: the names of tapegrad.scipy.special."""

from __future__ import annotations

from tapegrad.compat.autograd.faces import face_of
from tapegrad.scipy import special as _ours

__getattr__, __dir__ = face_of(_ours, globals())
