"""Asking the tape: where a gradient or a NaN comes from, what memory and time go to, whether every derivative is right."""

from tapegrad.asking.blame import blame
from tapegrad.asking.check import check
from tapegrad.asking.memory import memory
from tapegrad.asking.profile import profile
from tapegrad.asking.provenance import provenance
from tapegrad.asking.stepping import backward_steps

__all__ = ["backward_steps", "blame", "check", "memory", "profile", "provenance"]
