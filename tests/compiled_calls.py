"""What the tests of tg.compile share."""

import tapegrad as tg
from tapegrad.compiler import recording
from tapegrad.compiler.plain import Plain


def replays(compiled):
    return sorted(recording.replays for recording in compiled.cache)


def strict(f):
    return tg.compile(f, fallback="error")


def without_kernels(monkeypatch):
    """Have what is compiled run node by node."""
    monkeypatch.setattr(recording, "program_of", lambda inputs, outputs, wrt, *_: Plain(inputs, outputs, wrt))


def x_of(*values):
    return tg.tensor(values, requires_grad=True)
