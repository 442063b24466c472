"""What the tests of tg.compile share."""

import tapegrad as tg


def replays(compiled):
    return sorted(recording.replays for recording in compiled.cache)


def strict(f):
    return tg.compile(f, fallback="error")


def x_of(*values):
    return tg.tensor(values, requires_grad=True)
