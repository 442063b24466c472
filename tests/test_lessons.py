"""The lessons run, with their solutions; without them, every check fails."""

import json
from pathlib import Path

import pytest

LESSONS = Path(__file__).parents[1] / "docs" / "lessons"


@pytest.fixture(params=sorted(LESSONS.glob("*.ipynb")), ids=lambda path: path.stem)
def lesson(request):
    return json.loads(request.param.read_text(encoding="utf-8"))


@pytest.fixture
def assignment(monkeypatch):
    monkeypatch.syspath_prepend(str(LESSONS))
    import assignment

    return assignment


def codes(notebook):
    """[(tags, source)] of the cells of code."""
    return [(cell["metadata"].get("tags", []), "".join(cell["source"])) for cell in notebook["cells"]
            if cell["cell_type"] == "code"]


def test_there_are_three():
    assert len(list(LESSONS.glob("*.ipynb"))) == 3


@pytest.mark.slow
def test_a_lesson_runs_in_jupyter(lesson):
    """With its kernel, as in a course: no cell raises an error."""
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    import nbformat
    from nbclient import NotebookClient

    NotebookClient(nbformat.reads(json.dumps(lesson), 4), timeout=120, kernel_name="python3").execute()


def test_the_solutions_pass_the_checks(lesson, capsys):
    names = {"__name__": "lesson"}
    for _, source in codes(lesson):
        exec(source, names)


def test_without_a_solution_its_check_fails(lesson, assignment):
    """One exercise at a time is left open; the check that follows it fails, whatever is solved besides."""
    solved, opened = codes(lesson), codes(assignment.student(lesson))
    exercises = [i for i, ((_, one), (_, other)) in enumerate(zip(solved, opened)) if one != other]
    assert len(exercises) >= 4
    for exercise in exercises:
        names, failed = {"__name__": "lesson"}, []
        for i in range(exercise + 2):
            tags, source = opened[i] if i == exercise else solved[i]
            if i < exercise and "check" in tags:
                continue
            try:
                exec(source, names)
            except Exception:
                failed.append(i)
        assert "check" in solved[exercise + 1][0] and failed[-1] == exercise + 1


def test_the_students_version_has_no_solutions(lesson, assignment):
    for tags, source in codes(assignment.student(lesson)):
        assert "SOLUTION" not in source and "hide-input" not in tags


def test_notebooks_have_no_output(lesson):
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in lesson["cells"]
               if cell["cell_type"] == "code")


def test_the_command(assignment, tmp_path, monkeypatch):
    assignment.main(tmp_path / "students")
    assert len(list((tmp_path / "students").glob("*.ipynb"))) == 3
