"""`tapegrad.numpy.fft`: the names of numpy.fft, for arrays and for tensors. See tapegrad/numpy/__init__.py."""

from __future__ import annotations

import numpy.fft as theirs

from tapegrad.functions import fft as ours
from tapegrad.numpy.dispatch import Names

__all__ = list(theirs.__all__)

_names = Names(globals(), theirs, "np.fft", lambda name: getattr(ours, name, None))
__dir__, __getattr__ = _names.dir, _names.get
