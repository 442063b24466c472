"""The house: what an import costs, the direction in which imports run, and memory that stays flat."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tarfile
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import flowcharts
import pytest

import tapegrad

PACKAGE = Path(tapegrad.__file__).parent


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_import_neither_imports_numba_nor_compiles():
    assert run("import sys, tapegrad; print('numba' in sys.modules, 'llvmlite' in sys.modules)") == "False False\n"


def test_arithmetic_needs_no_numba():
    assert run("import sys, tapegrad as tg\nx = tg.tensor([1.], requires_grad=True)\n"
               "tg.softmax(tg.exp(x) @ x.reshape(1, 1) + x).sum().backward()\nprint('numba' in sys.modules)") == "False\n"


def module_of(path):
    return ".".join(("tapegrad", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


MODULES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def imports(module):
    """The modules of tapegrad that a module imports, anywhere in its text but for what only type checkers read."""
    found, waiting = set(), [ast.parse(MODULES[module].read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tapegrad":
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.add(name if name in MODULES else node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names if alias.name.split(".")[0] == "tapegrad")
        waiting += ast.iter_child_nodes(node)
    return found - {module}


def room(module):
    return ".".join(module.split(".")[:2])


def in_order(graph):
    """The nodes of {node: those it needs}, each after what it needs; CycleError where there is no such order."""
    return list(TopologicalSorter(graph).static_order())


def test_files_import_one_way():
    """No file imports itself by way of others. A room's __init__ stands for the files that it imports."""
    order = in_order({module: imports(module) for module in MODULES})
    assert len(order) == len(MODULES)


def rooms():
    """{room: the rooms that it imports}"""
    graph = {}
    for module in MODULES:
        graph.setdefault(room(module), set()).update(room(other) for other in imports(module))
    return {name: others - {name} for name, others in graph.items()}


def test_rooms_import_one_way():
    """A room is a folder, or a file beside them; there is an order in which each needs only those before it."""
    graph = rooms()
    assert len(in_order(graph)) == len(graph)


def test_the_picture_of_the_rooms():
    """README draws every room; an arrow is an import, and a room imports what lies below it by arrows, and nothing else."""
    text = (PACKAGE / "README.md").read_text(encoding="utf-8")
    home = {f"tapegrad.{name.strip().rstrip('/')}": node
            for node, names, _ in flowcharts.NODE.findall(text) for name in names.split("·")}
    graph = {name: others - {"tapegrad"} for name, others in rooms().items() if name not in ("tapegrad", "tapegrad.__main__")}
    assert set(home) == set(graph)
    imported = {(home[name], home[other]) for name, others in graph.items() for other in others if home[name] != home[other]}
    arrows, below = set(flowcharts.EDGE.findall(text)), {}
    assert arrows <= imported
    for node in in_order({node: {b for a, b in arrows if a == node} for node in home.values()}):
        below[node] = {b for a, other in arrows if a == node for b in {other} | below[other]}
    assert {(node, other) for node, other in imported if other not in below[node]} == set()


def test_every_room_is_explained():
    """In the table of README, and in the package's docstring."""
    table = re.findall(r"\]\((\w+)(?:\.py)?\)", (PACKAGE / "README.md").read_text(encoding="utf-8"))
    listed = re.findall(r"^ {4}(\w+(?:, \w+)*)  ", tapegrad.__doc__, re.MULTILINE)
    there = {name.removeprefix("tapegrad.") for name in rooms()} - {"tapegrad", "__main__"}
    assert there - set(table) == set() == there ^ {name for names in listed for name in names.split(", ")}


FLAT = """
import gc, resource, numpy as np, tapegrad as tg
gc.COLLECTION()
x = tg.tensor(np.random.default_rng(0).normal(size=(64, 256)), requires_grad=True)
W = tg.tensor(np.random.default_rng(0).normal(size=(256, 256)) / 30, requires_grad=True)
optimiser = tg.optim.SGD([W], lr=1e-3)
def forward():
    h = x
    for _ in range(5):
        h = tg.exp(-(h @ W + 1.0))
    return h.mean()
def train():
    optimiser.zero_grad()
    forward().backward()
    optimiser.step()
peaks = []
for _ in range(4):
    for _ in range(REPEAT):
        STEP()
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(peaks[-1] - peaks[0])
"""


@pytest.mark.parametrize("collection", ["enable", "disable"])
@pytest.mark.parametrize("step, repeat", [("forward", 100), ("train", 50)])
def test_resident_memory_is_flat(step, repeat, collection):
    """The peak after four rounds is that after the first, to within 4 MB (one pass alone makes 2 MB of results).

    It does not need garbage collection for that: nothing that a step leaves behind holds itself.
    """
    assert int(run(FLAT.replace("STEP", step).replace("REPEAT", str(repeat)).replace("COLLECTION", collection))) < 4096


def test_what_an_import_loads():
    """Only what computing and walking back need; the rest comes when it is asked for."""
    loaded = run("import sys, tapegrad; print(*sorted(m for m in sys.modules if m.startswith('tapegrad.')))").split()
    assert {room(module) for module in loaded} <= {
        f"tapegrad.{name}" for name in ("errors", "typing", "kernels", "primitives", "core", "functions", "debug")}
    assert {module for module in loaded if room(module) == "tapegrad.debug"} <= {"tapegrad.debug", "tapegrad.debug.views"}
    families = {module.split(".")[2] for module in loaded if module.count(".") == 2 and room(module) == "tapegrad.functions"}
    assert not families & set(tapegrad.functions.FAMILIES)


def test_no_name_is_given_twice():
    functions = set(dir(tapegrad.functions))
    assert not functions & {*" ".join(tapegrad.LATER.values()).split(), *tapegrad.MODULES}
    assert len(functions) == sum(len(names.split()) for names in tapegrad.functions.FAMILIES.values())


def test_every_name_is_there():
    for name in dir(tapegrad):
        assert getattr(tapegrad, name) is not None
    for family, names in tapegrad.functions.FAMILIES.items():
        for name in names.split():
            assert callable(getattr(tapegrad, name)), f"{family}.{name}"
    with pytest.raises(AttributeError, match="nothing_like_it"):
        getattr(tapegrad, "nothing_like_it")  # noqa: B009


def test_dir_shows_the_public_names_only():
    """Completion offers what users call: no helper, and no module but those that are documented."""
    assert {"Tensor", "tensor", "tape", "no_grad", "softmax", "matmul", "grad", "traced", "export_numpy"} < set(dir(tapegrad))
    for name in set(dir(tapegrad)) - {"__version__"}:
        value = getattr(tapegrad, name)
        assert not name.startswith("_") and (callable(value) or name in tapegrad.MODULES), name
    for name in tapegrad.MODULES:
        module = getattr(tapegrad, name)
        assert set(module.__all__) <= set(dir(module)) and module.__doc__
    assert run("import tapegrad as tg\nbefore = dir(tg)\n[getattr(tg, name) for name in before]\n"
               "import tapegrad.debug.svg, tapegrad.functions.losses\nprint(dir(tg) == before)") == "True\n"


def test_families_define_what_users_call_and_nothing_else():
    """Editors read the stars in functions/__init__.py: a helper in a family would be offered as tg's."""
    for family, names in tapegrad.functions.FAMILIES.items():
        tree = ast.parse(MODULES[f"tapegrad.functions.{family}"].read_text())
        made = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        made |= {name.id for node in tree.body if isinstance(node, (ast.Assign, ast.AnnAssign)) for name in ast.walk(node)
                 if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)}
        assert {name for name in made if not name.startswith("_")} <= set(names.split()), family


@pytest.mark.parametrize("name, meant", [("sotfmax", "softmax"), ("cat", "concatenate"), ("unsqueeze", "expand_dims")])
def test_a_name_that_is_not_there_gets_a_suggestion(name, meant):
    with pytest.raises(AttributeError, match=f"no function '{name}'; did you mean {meant}\\?"):
        getattr(tapegrad, name)


def test_no_function_is_hidden_by_a_file():
    """tg.gradcheck must not become the module of that name when something imports it."""
    assert run("import tapegrad as tg, tapegrad.transforms.gradient_check, tapegrad.xman, tapegrad.functions.losses\n"
               "import types\nnames = set(dir(tg)) - set(tg.MODULES)\n"
               "print([n for n in names if isinstance(getattr(tg, n), types.ModuleType)])") == "[]\n"


ROOT = PACKAGE.parent


@pytest.mark.skipif(not (ROOT / "setup.cfg").exists(), reason="not a clone")
def test_what_is_distributed(tmp_path):
    """The source archive has what its tests need; a wheel, which is what build_py copies, the texts beside the code."""
    pytest.importorskip("setuptools")
    clone = tmp_path / "clone"
    tools = (".git", ".venv", "*cache*", ".hypothesis", "*.egg-info", "runs", "build", "dist", "reference")
    shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(*tools))
    for command in (["sdist", "--dist-dir", "dist"], ["build_py", "--build-lib", "lib"]):
        subprocess.run([sys.executable, "-c", f"from setuptools import setup; setup(script_args={command})"], cwd=clone,
                       capture_output=True, check=True)
    archive, = (clone / "dist").glob("*.tar.gz")
    with tarfile.open(archive) as files:
        packed = {name.partition("/")[2] for name in files.getnames()}
    there = {str(path.relative_to(clone)) for folder in ("tests", "examples", "benchmarks", "docs", "tapegrad") for path in
             (clone / folder).rglob("*") if path.is_file() and path.suffix not in (".pyc", ".nbi", ".nbc")}
    assert {"tests/conftest.py", "tests/cases/__init__.py", "tests/oracle.py", "examples/train_lstm.py",
            "examples/data/names.tsv", "docs/lessons/1-lists.ipynb", "docs/conf.py"} <= there
    assert {"README.md", "CHANGELOG.md", "CITATION.cff", "LICENSE", "setup.cfg", "pyproject.toml", ".ci/release",
            ".ci/common"} <= packed
    assert there - packed == set() and not [name for name in packed if "__pycache__" in name]
    built = {str(path.relative_to(clone / "lib")) for path in (clone / "lib").rglob("*") if path.is_file()}
    assert built == {name for name in there if name.startswith("tapegrad/")}
    assert {f"tapegrad/{name}" for name in ("README.md", "CONVENTIONS.md", "VOCABULARY.md", "py.typed")} <= built


def test_from_the_parent_folder_of_a_clone(tmp_path):
    """There, the clone itself is a folder named tapegrad; that is no package, and must not hide the one that is installed."""
    (tmp_path / "tapegrad").mkdir()
    found = subprocess.run([sys.executable, "-c", "import tapegrad; print(tapegrad.tensor(1.0))"], cwd=tmp_path,
                           capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert found.stdout == "tensor(1.)\n", found.stderr
