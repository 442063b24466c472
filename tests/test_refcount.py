"""Ownership by reference counts: where they can't be trusted, everything is copied and nothing is wrong."""

import subprocess
import sys

import numpy as np

from tapegrad.core.refcount import NEVER, limits


def test_here_they_tell_who_holds_an_array():
    assert NEVER not in limits(sys.getrefcount)


def test_counts_that_do_not_tell_are_not_used():
    assert limits(lambda x: 1) == [NEVER] * 4
    assert limits(lambda x: min(sys.getrefcount(x), 3)).count(NEVER) > 0


PROGRAM = """
import sys
counted = sys.getrefcount
sys.getrefcount = lambda x: FAKE
import numpy as np, tapegrad as tg
W = tg.tensor(np.eye(3) / 2, requires_grad=True)
held = []
for _ in range(3):
    h = np.ones((2, 3))
    for _ in range(4):
        h = tg.tanh(h @ W)
        held.append(h.data)
        held[-1][:] = 7.0
    h.sum().backward()
    held.append(W.grad)
print(len(tg.tape()), W.grad.tolist())
"""


def test_with_counts_that_do_not_tell_gradients_are_the_same():
    found = [subprocess.run([sys.executable, "-c", PROGRAM.replace("FAKE", fake)], capture_output=True, text=True,
                            check=True).stdout for fake in ("counted(x)", "1", "2")]
    assert found[0] == found[1] == found[2]
    assert np.isfinite(eval(found[0].partition(" ")[2])).all()
