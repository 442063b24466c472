import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")     # before NumPy: two threads on busy cores wait for each other

import pytest  # noqa: E402

import tapegrad as tg  # noqa: E402


@pytest.fixture(autouse=True)
def empty_tape():
    """Every test begins with an empty tape that records."""
    tg.tape().entries.clear()
    assert tg.tape().recording
