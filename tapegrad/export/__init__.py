"""Saving a tape: to a file, or as a NumPy program.

    save_tape(path, loss)     save the tape of `loss`, as text and arrays
    load_tape(path)           load it, to evaluate, differentiate and compare it without the code that recorded it
    export_numpy(loss, path)  the forward and the reverse sweep as a program that needs only NumPy

Reading order: files, difference, archive; program.
"""

from tapegrad.export.archive import Kept, load_tape, save_tape
from tapegrad.export.program import NumpyProgram, export_numpy

__all__ = ["Kept", "NumpyProgram", "export_numpy", "load_tape", "save_tape"]
