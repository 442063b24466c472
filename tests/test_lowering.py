"""Kernels compiled from text (kernels/jit/lowering.py): each against the same text, run by Python on NumPy's numbers."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tapegrad.kernels.compile import compiler
from tapegrad.kernels.formulas import formulas
from tapegrad.primitives.scalar import FORMS

pytestmark = pytest.mark.skipif(compiler() is None, reason="numba is missing or switched off")
rng = np.random.default_rng(0)


def by_python(text, number, arrays, words):
    """Run a kernel's text by Python: operands are positions among the arrays."""
    def put(base, index, value, k, n, kind):
        arrays[base][index] = value

    names = vars(formulas(number)) | {
        "np": np, "number": number, "int64": np.int64, "int32": np.int32, "zeros": np.zeros, "put": put,
        "get": lambda base, index, k, n, kind: arrays[base][index]}
    exec(text, names)       # noqa: S102
    with np.errstate(all="ignore"):
        names["kernel"](words)


def compiled(text, number, arrays, words, operands):
    """Run it compiled; words[i] for i in `operands` is the position of an array, whose address takes its place."""
    import ctypes

    from tapegrad.kernels.jit import texts

    words = np.array([arrays[word].__array_interface__["data"][0] if i in operands else word for i, word in enumerate(words)])
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(texts.kernel(text, number))(words.__array_interface__["data"][0])


def assert_alike(text, number, arrays, words, operands, ulps=0):
    """Both runs of a text leave the same in all arrays, up to so many units in the last place."""
    copies = [array.copy() for array in arrays]
    by_python(text, number, copies, words)
    compiled(text, number, arrays, words, operands)
    for x, y in zip(arrays, copies):
        if ulps:
            np.testing.assert_array_max_ulp(x, y, ulps)
        else:
            np.testing.assert_array_equal(x, y)


precisions = pytest.mark.parametrize("number", [np.float32, np.float64])
EDGES = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-30, -1e-30, 3.5, -2.5, 20.0, -100.0, 700.0]
# Units in the last place: x * y + z is rounded once, and the rounding of what gelu_tanh takes the sigmoid of multiplied by it.
LOOSE = dict.fromkeys(("exp", "sigmoid", "silu", "tanh", "erf", "erfc", "erf_slope", "gelu", "gelu_slope"), 16)
LOOSE["gelu_tanh"] = 99


@precisions
@pytest.mark.parametrize("name", sorted(FORMS))
def test_a_form_computes_what_numpy_does(name, number):
    form = FORMS[name]
    x = np.array([*EDGES, *rng.normal(0, 3, 50)], number)
    y = np.array([*EDGES[::-1], *rng.normal(0, 3, 50)], number)
    z = np.zeros_like(x)
    text = ("def kernel(p):\n    n, z, x, y = p[0], p[1], p[2], p[3]\n    for i in range(n):\n"
            "        u, v = get(x, i, 1, 3, number), get(y, i, 2, 3, number)\n"
            f"        put(z, i, number({form.format('u', 'v')}), 0, 3, number)\n")
    assert_alike(text, number, [z, x, y], [len(x), 0, 1, 2], {1, 2, 3}, LOOSE.get(name, 16 * ("np." in form)))


@precisions
@pytest.mark.parametrize("body, result", [
    ("a = 0\n    for i in range(n):\n        a += i\n    put(z, 0, number(a), 0, 1, number)", 45),
    ("a, b = int64(1), int64(0)\n    while a < 100:\n        a, b = a * 2, b + 1\n    put(z, 0, number(b), 0, 1, number)", 7),
    ("a = 0\n    for i in range(1, n, 4):\n        if i == 5:\n            a += 100\n        elif i > 5:\n            a += 10\n"
     "        else:\n            a += 1\n    put(z, 0, number(a), 0, 1, number)", 111),
    ("a = n // 4 * 4 if n > 3 and not n == 5 else -1\n    put(z, 0, number(a), 0, 1, number)", 8),
    ("a = min(n, 3) + max(n, 30) + (n >> 1) + (n << 1) + (n & 6) + (n | 1) + (n ^ 3)\n    put(z, 0, number(a), 0, 1, number)",
     80),
    ("a = number(3)\n    put(z, 0, a ** 5 + a ** number(0.5) * number(0), 0, 1, number)", 243),
    ("for i in range(n):\n        if i == 4:\n            put(z, 0, number(i), 0, 1, number)\n            return\n"
     "    put(z, 0, number(-1), 0, 1, number)", 4),
    ("a = int32(1) << int32(31)\n    put(z, 0, number(1 if a < 0 or 0 <= n < 3 else 0), 0, 1, number)", 1)])
def test_statements(body, result, number):
    z = np.zeros(1, number)
    compiled(f"def kernel(p):\n    n, z = p[0], p[1]\n    {body}\n", number, [z], [10, 0], {1})
    assert z[0] == result


@pytest.mark.parametrize("body", [
    "put(z, 0, open('/dev/null'), 0, 1, number)", "put(z, 0, unknown(n), 0, 1, number)", "a = [n]", "a = n / 2",
    "a = n\n    a = number(n) * number(0.5)", "a = number(n) + int32(n)", "a = n + 0.5", "a = number(n) & number(1)",
    "a = n % 3", "a = n is 3", "a = +n", "a = -(n < 3)", "for i in range(n, 0, -1): pass", "for i in range(0, 9, n): pass",
    "for i in range(n): pass\n    else: put(z, 0, number(1), 0, 1, number)", "a = b = n", "a = number(n, order=1)",
    "a = n if number(n) else 1", "a = np.float32(n) + 1 if n == 1 else np.float64(n)", "while n: pass", "with n: pass"])
def test_what_is_not_of_the_language_is_refused(body):
    from tapegrad.kernels.jit import texts

    with pytest.raises(TypeError, match="kernel"):
        texts.kernel(f"def kernel(p):\n    n, z = p[0], p[1]\n    {body}\n", np.float64)


def early(x):
    if x > 0:
        return 1
    return 0


def chosen(x):
    y = 1
    if x > 0:
        y = 2
    return y


def counted(x):
    while x > 0:
        x = x - 1
    return x


def nothing(x):
    x + 1


@pytest.mark.parametrize("function", [early, chosen, counted, nothing])
def test_a_function_in_the_place_of_its_call_has_no_branches(function):
    """What it assigns to are values: of two branches, that of the last would be taken."""
    from tapegrad.kernels.jit.lowering import Lowering

    with pytest.raises(TypeError, match="kernel can't have"):
        Lowering("def kernel(n):\n    return function(n)\n", "kernel", {"function": function}, [np.int64], np.int64)


def test_a_function_that_the_c_library_does_not_have(monkeypatch):
    from tapegrad.kernels.jit import lowering, texts

    monkeypatch.setitem(lowering.LIBRARY, np.expm1, "expm1_of_nobody")
    with pytest.raises(RuntimeError, match="no expm1_of_nobody"):
        texts.kernel("def kernel(p):\n    put(p[0], 0, np.expm1(get(p[0], 0, 0, 1, number)), 0, 1, number)\n", np.float64)


PROGRAM = """
import numpy as np, tapegrad as tg
from tapegrad.kernels.jit import machine_code
compiled = []
make = machine_code._compiled
machine_code._compiled = lambda module: compiled.append(1) or make(module)
@tg.compile(fallback="error")
def f(x):
    return (tg.tanh(x) * x).sum()
x = tg.tensor(np.linspace(-1, 1, 7), requires_grad=True)
for _ in range(2):
    f(x).backward()
assert np.allclose(x.grad, 2 * (np.tanh(x.data) + x.data * (1 - np.tanh(x.data) ** 2)))
print(len(compiled))
"""


def run(**environment):
    """How many kernels a new process compiles."""
    root = str(Path(__file__).parents[1])
    ran = subprocess.run([sys.executable, "-W", "error", "-c", PROGRAM], capture_output=True, text=True, check=False,
                         env={**os.environ, "PYTHONPATH": root, **environment})
    assert ran.returncode == 0, ran.stderr
    return int(ran.stdout)


def test_the_code_that_reads_objects_is_that_of_their_layout(monkeypatch):
    from tapegrad.kernels import objects
    from tapegrad.kernels.jit import interpreter, machine_code

    keys = []
    monkeypatch.setattr(machine_code, "address", lambda key, make: keys.append(key) or 0)
    for longer in (0, 0, 16):
        monkeypatch.setattr(objects, "ITEMS", objects.ITEMS + longer)
        spec = importlib.util.spec_from_file_location("another_interpreter", interpreter.__file__)
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("value, on", [("0", True), ("1", False), ("yes", True)])       # what is no number, numba ignores
def test_numbas_switch(value, on, monkeypatch):
    from tapegrad.kernels import compile as policy

    monkeypatch.setenv("NUMBA_DISABLE_JIT", value)
    monkeypatch.delitem(sys.modules, "numba", raising=False)
    policy.enabled.cache_clear()
    try:
        assert policy.enabled() is on
    finally:
        policy.enabled.cache_clear()


@pytest.mark.slow
def test_the_cache_is_used_and_healed(tmp_path):
    files = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    count = run(**files)
    assert count and not run(**files)
    cached = list(tmp_path.rglob("tapegrad_*.o"))
    assert len(cached) == count
    cached[0].write_bytes(b"garbage")
    cached[1].write_bytes(cached[1].read_bytes()[:-1])
    assert run(**files) == 2 and not run(**files)
    assert run(**files, NUMBA_CPU_NAME="x86-64-v2", NUMBA_CPU_FEATURES="") == count     # another processor, other code


@pytest.mark.slow
def test_without_a_cache_each_process_compiles(tmp_path):
    (tmp_path / "file").write_text("")
    nowhere = {"NUMBA_CACHE_DIR": str(tmp_path / "file" / "folder")}
    assert run(**nowhere) == run(**nowhere) > 0
