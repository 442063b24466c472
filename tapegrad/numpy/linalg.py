"""`tapegrad.numpy.linalg`: the names of numpy.linalg, for arrays and for tensors. See tapegrad/numpy/__init__.py."""

from __future__ import annotations

import numpy.linalg as theirs

from tapegrad.functions import linalg as ours
from tapegrad.numpy.dispatch import Names

__all__ = list(theirs.__all__)

_names = Names(globals(), theirs, "np.linalg", lambda name: getattr(ours, name, None))
__dir__, __getattr__ = _names.dir, _names.get
