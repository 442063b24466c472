"""`tapegrad.linalg`: see functions/linalg.py."""

from tapegrad.functions.linalg import *  # noqa: F403
from tapegrad.functions.linalg import __all__, __doc__  # noqa: F401
