"""`autograd.scipy.integrate`: the names of tapegrad.scipy.integrate."""

from __future__ import annotations

from tapegrad.compat.autograd.faces import face_of
from tapegrad.scipy import integrate as _ours

__getattr__, __dir__ = face_of(_ours, globals())
