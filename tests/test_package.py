"""The house: what an import costs, the direction in which imports run, and memory that stays flat."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tapegrad

PACKAGE = Path(tapegrad.__file__).parent
ORDER = ["errors", "ownership", "registers", "listing", "tape", "kernels", "addresses", "indicator", "accumulation",
         "narrow_rows", "primitives.registry", "primitives", "tensor", "record", "sweep", "structure", "functions", "linalg",
         "fft", "operators", "optim_kernels", "optim", "autograd", "functional", "checkpointing", "gradient_check", "extend",
         "watching", "anomaly", "reasons", "notes", "tracing", "seeing.names", "seeing.table", "seeing.show",
         "seeing.folding", "seeing.svg", "seeing.draw", "seeing", "asking.provenance", "asking.blame", "asking.memory",
         "asking.profile", "asking.check", "asking.stepping", "asking", "config", "wengert.text", "wengert.operators",
         "wengert.step", "wengert.program", "wengert.backward", "wengert.evaluation", "wengert.tables", "wengert", "xman",
         "keeping.files", "keeping.part", "keeping.listed", "keeping.difference", "keeping.archive", "keeping.expressions",
         "keeping.vocabulary", "keeping.graph", "keeping.program", "keeping"]


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_import_neither_imports_numba_nor_compiles():
    assert run("import sys, tapegrad; print('numba' in sys.modules, 'llvmlite' in sys.modules)") == "False False\n"


def test_arithmetic_needs_no_numba():
    assert run("import sys, tapegrad as tg\nx = tg.tensor([1.], requires_grad=True)\n"
               "tg.softmax(tg.exp(x) @ x.reshape(1, 1) + x).sum().backward()\nprint('numba' in sys.modules)") == "False\n"


def rank(module):
    parts = module.removeprefix("tapegrad.").split(".")
    name = ".".join(parts)
    return ORDER.index(name if name in ORDER else parts[0])


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    """A file imports only files that come before it in ORDER; the package's own __init__ comes after all."""
    module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
    if module in ("__init__", "__main__"):
        return
    for node in ast.walk(ast.parse(path.read_text())):
        imported = []
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tapegrad"):
            imported = [f"{node.module}.{alias.name}" for alias in node.names] if node.module in (
                "tapegrad", "tapegrad.primitives") else [node.module]
        elif isinstance(node, ast.Import):
            assert not any(alias.name.startswith("tapegrad") for alias in node.names), path
        for name in imported:
            if path.parent.name in ("primitives", "functions") and name.startswith(f"tapegrad.{path.parent.name}"):
                continue                                # the families stand side by side
            assert rank(name) < rank(module), f"{path} imports {name}"


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
    assert set(loaded) == {f"tapegrad.{name}" for name in (
        "errors", "ownership", "registers", "listing", "tape", "kernels", "addresses", "indicator", "accumulation",
        "narrow_rows", "tensor", "record", "sweep", "functions", "operators", "primitives", "primitives.registry",
        "primitives.arithmetic", "primitives.cumulative", "primitives.elementwise", "primitives.complex_parts",
        "primitives.indexing", "primitives.linear", "primitives.network", "primitives.reductions", "primitives.shaping")}


def test_no_name_is_given_twice():
    functions = set(dir(tapegrad.functions))
    assert not functions & {*tapegrad._module_of, *tapegrad.MODULES}
    assert len(functions) == sum(len(names.split()) for names in tapegrad.functions.FAMILIES.values())


def test_every_name_is_there():
    for name in dir(tapegrad):
        assert getattr(tapegrad, name) is not None
    for family, names in tapegrad.functions.FAMILIES.items():
        for name in names.split():
            assert callable(getattr(tapegrad, name)), f"{family}.{name}"
    with pytest.raises(AttributeError, match="nothing_like_it"):
        getattr(tapegrad, "nothing_like_it")  # noqa: B009


def test_no_function_is_hidden_by_a_file():
    """tg.gradcheck must not become the module of that name when something imports it."""
    assert run("import tapegrad as tg, tapegrad.gradient_check, tapegrad.xman, tapegrad.functions.losses\n"
               "import types\nnames = set(dir(tg)) - set(tg.MODULES)\n"
               "print([n for n in names if isinstance(getattr(tg, n), types.ModuleType)\n"
               "       and n in {*tg._module_of, *dir(tg.functions), 'tape', 'tensor'}])") == "[]\n"
