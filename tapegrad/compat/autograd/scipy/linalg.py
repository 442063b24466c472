"""`autograd.scipy.linalg`: the names of tapegrad.scipy.linalg."""

from __future__ import annotations

from tapegrad.compat.autograd.faces import face_of
from tapegrad.scipy import linalg as _ours

__getattr__, __dir__ = face_of(_ours, globals())
