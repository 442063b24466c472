"""Keeping a tape: in a file, and as a NumPy program.

    save_tape(path, loss)     what `loss` was computed from, as text and arrays
    load_tape(path)           the same, to be evaluated, differentiated and compared without the code that made it
    export_numpy(loss, path)  the forward and the reverse sweep, written out as a program that needs only NumPy

In the order in which to read the code: files, part, listed, difference, archive; expressions, vocabulary, graph, program.
"""

from tapegrad.export.archive import Kept, load_tape, save_tape
from tapegrad.export.program import NumpyProgram, export_numpy

__all__ = ["Kept", "NumpyProgram", "export_numpy", "load_tape", "save_tape"]
