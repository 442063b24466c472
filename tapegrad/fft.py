"""`tapegrad.fft`: see functions/fft.py."""

from tapegrad.functions.fft import *  # noqa: F403
from tapegrad.functions.fft import __all__
from tapegrad.functions.keywords import explained as _explained

globals().update({name: _explained(globals()[name], __name__) for name in __all__})
