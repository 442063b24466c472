import pytest

import tapegrad as tg


@pytest.fixture(autouse=True)
def empty_tape():
    """Every test begins with an empty tape that records."""
    tg.tape().entries.clear()
    assert tg.tape().recording
