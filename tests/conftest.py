import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")     # before NumPy: two threads on busy cores wait for each other

import pytest  # noqa: E402
from optimisers import without_compiler  # noqa: E402

import tapegrad as tg  # noqa: E402


@pytest.fixture(autouse=True)
def empty_tape():
    """Every test begins with an empty tape that records."""
    tg.tape().entries.clear()
    assert tg.tape().recording


@pytest.fixture(params=["kernel", "arrays"])
def both_paths(request, monkeypatch):
    """Both ways of making an optimiser's step; the second is that of a machine without numba."""
    if request.param == "arrays":
        without_compiler(monkeypatch)


def pytest_terminal_summary(terminalreporter):
    """How many rows and cells of the table of primitives, and random programs, the run has been through."""
    passed = terminalreporter.stats.get("passed", [])
    cells = [report for report in passed if "test_table.py" in report.nodeid]
    if cells:
        from cases import CASES, CONSTANT

        terminalreporter.write_line(f"table of primitives: {len(CASES) + len(CONSTANT)} rows, {len(cells)} cells passed")
    fuzzed = [dict(report.user_properties) for report in passed if "test_fuzz.py" in report.nodeid and report.user_properties]
    if fuzzed:
        kinds = "programs compared", "values compared"
        terminalreporter.write_line(", ".join([f"{sum([counts[what] for counts in fuzzed])} {what}" for what in kinds]))
