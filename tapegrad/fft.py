"""`tapegrad.fft`: see functions/fft.py."""

from tapegrad.functions.fft import *  # noqa: F403
from tapegrad.functions.fft import __all__, __doc__  # noqa: F401
