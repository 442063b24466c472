"""Debugging: the tape as a table and as a drawing, where a gradient or a NaN comes from, what memory and time go to.

    watching               what is looked at while the operations of a thread run
    anomaly                the first NaN or infinity
    notes, tracing         what is remembered of entries, also when they are gone
    show, table            the entries as a table
    draw, folding, svg     the entries as a drawing in which loops are folded
    provenance             the parts of a gradient
    blame, reasons         the first entry that is not finite, and why
    memory, profile        what memory and time go to
    check                  every derivative against differences
    stepping               backward() entry by entry
"""

from tapegrad.debug.blame import blame
from tapegrad.debug.check import check
from tapegrad.debug.draw import draw
from tapegrad.debug.memory import memory
from tapegrad.debug.profile import profile
from tapegrad.debug.provenance import provenance
from tapegrad.debug.show import show
from tapegrad.debug.stepping import backward_steps

__all__ = ["backward_steps", "blame", "check", "draw", "memory", "profile", "provenance", "show"]
