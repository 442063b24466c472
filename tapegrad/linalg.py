"""`tapegrad.linalg`: see functions/linalg.py."""

from tapegrad.functions.keywords import explained as _explained
from tapegrad.functions.linalg import *  # noqa: F403
from tapegrad.functions.linalg import __all__

globals().update({name: _explained(globals()[name], __name__) for name in __all__})
