"""A tape as a NumPy program: the same bits as the eager step, and text to be read."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cases import CASES
from test_table import drawn, function

import tapegrad as tg
from tapegrad.core.record import recorded
from tapegrad.errors import ConsumedTapeError, GradientError, WengertError
from tapegrad.kernels.elementwise import PLAIN

HERE = Path(__file__).parent
COMPLEX = {"fft", "ifft", "rfft"}
# Tolerances in float32: gelu_slope has a zero, near which terms cancel; silu multiplies a denormal number; the rounding of what
# gelu_tanh takes the sigmoid of is multiplied by it.
LOOSE = {"gelu_slope": (1e-6, 1e-6), "silu": (1e-6, 1e-37), "gelu_tanh": (1e-5, 1e-37)}


def run(program):
    """(value, gradients) of an exported program, in a namespace of its own."""
    names = {"__name__": "exported"}
    exec(compile(program.text, "exported", "exec"), names)
    return names["step"](**program.inputs)


def same_bits(x, y):
    return np.shape(x) == np.shape(y) and x.dtype == y.dtype and np.array_equal(x, y, equal_nan=True)


def mlp(dtype=np.float64):
    random = np.random.default_rng(0)
    p = {"W1": random.normal(size=(4, 8)), "b1": random.normal(size=8), "W2": random.normal(size=(8, 3)), "b2": np.zeros(3)}
    p = {name: tg.tensor(value.astype(dtype), requires_grad=True, name=name) for name, value in p.items()}
    x = tg.tensor(random.normal(size=(6, 4)).astype(dtype), name="x")
    h = tg.exp(x @ p["W1"] + p["b1"])
    loss = (-tg.log_softmax(h / 3 @ p["W2"] + p["b2"])[np.arange(6), np.array([0, 1, 2, 0, 1, 2])]).mean()
    h.name, loss.name = "h", "loss"
    return loss, p


MLP = '''\
def step(W1, b1, W2, b2, x, z7_index, z7_index_2):
    z1 = x.dot(W1)                                            # matmul, (6, 8)
    z2 = z1 + b1                                              # add, (6, 8)
    h = np.exp(z2)                                            # exp, (6, 8)
    z3 = h / 3                                                # divide, (6, 8)
    z4 = z3.dot(W2)                                           # matmul, (6, 3)
    z5 = z4 + b2                                              # add, (6, 3)
    z6 = log_softmax(z5, 1)                                   # log_softmax, (6, 3)
    z7 = z6[z7_index, z7_index_2]                             # getitem, (6,)
    z8 = -z7                                                  # negative, (6,)
    loss = z8.mean()                                          # mean
'''


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_mlp(dtype):
    loss, p = mlp(dtype)
    program = tg.export_numpy(loss)
    value, gradients = run(program)
    loss.backward()
    assert same_bits(value, loss.data)
    assert list(gradients) == list(p) and all(same_bits(gradients[name], p[name].grad) for name in p)


def test_the_text():
    loss, p = mlp()
    text = str(tg.export_numpy(loss))
    assert MLP in text and text == str(tg.export_numpy(loss))
    lines = [re.sub(r"  +", "  ", line.strip()) for line in text.splitlines()]
    for line in ["W1  float64 (4, 8), leaf", "x  float64 (6, 4)", "z7_index  int64 (6,)",
                 "d_loss = np.float64(1)",
                 "d_b2 = np.ones(6).dot(d_z5)  # z5 = add(z4, b2)",
                 "d_W2 = z3.T.dot(d_z5)  # z4 = matmul(z3, W2)",
                 "d_z2 = strong_multiply(d_z5.dot(W2.T) / 3, h)  # h = exp(z2)",
                 "d_b1 = np.ones(6).dot(d_z2)  # z2 = add(z1, b1)",
                 "d_W1 = x.T.dot(d_z2)  # z1 = matmul(x, W1)",
                 'return loss, {"W1": d_W1, "b1": d_b1, "W2": d_W2, "b2": d_b2}']:
        assert line in lines, line
    assert "d_x" not in text and "d_z1 " not in text
    loss.backward()


LSTM = """
import sys
sys.path.insert(0, sys.argv[1])
import models, numpy as np, tapegrad as tg
sizes = models.SIZES["N16-D80-H32-M10"]
xs, targets, p = models.lstm_data(*sizes, np.dtype(sys.argv[3]))
xs = [tg.tensor(x, name=f"x{t}") for t, x in enumerate(xs)]
p = {name: tg.tensor(value, requires_grad=True, name=name) for name, value in p.items()}
h, c = [tg.tensor(np.zeros((sizes[0], sizes[2]), sys.argv[3]), name=name) for name in ("h0", "c0")]
loss = models.lstm_loss(tg, xs, targets, p, h, c)
loss.name = "loss"
tg.export_numpy(loss, sys.argv[2] + "/step.py")
loss.backward()
np.savez(sys.argv[2] + "/eager.npz", loss=loss.data, **{name: leaf.grad for name, leaf in p.items()})
"""
# A fresh process tells by its sys.modules, which is public, what was loaded.
PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import step
with np.load(sys.argv[1] + "/step.npz") as inputs:
    loss, gradients = step.step(**inputs)
np.savez(sys.argv[1] + "/program.npz", loss=loss, **gradients)
print([name for name in sys.modules if name.split(".")[0] in ("tapegrad", "numba")])
"""


def python(code, *arguments, **environment):
    ran = subprocess.run([sys.executable, *([] if code is None else ["-c", code]), *map(str, arguments)], text=True,
                         capture_output=True, env={**os.environ, **environment})
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def lstm(folder, dtype, **environment):
    """(what the eager step gives, what its program gives), each in a process of its own."""
    python(LSTM, HERE.parent / "benchmarks", folder, dtype, **environment)
    assert python(PROGRAM, folder) == "[]\n"
    return [dict(np.load(folder / name)) for name in ("eager.npz", "program.npz")]


@pytest.mark.parametrize("dtype, environment", [("float64", {}), ("float64", {"NUMBA_DISABLE_JIT": "1"}),
                                                ("float32", {"NUMBA_DISABLE_JIT": "1"})])
def test_lstm_to_the_last_bit(tmp_path, dtype, environment):
    """Loss and all gradients of the LSTM step, beside the kernels and beside the NumPy formulas that stand in for them."""
    eager, program = lstm(tmp_path, dtype, **environment)
    assert len(eager) == 15 and eager["loss"].dtype == dtype
    for name in eager:
        assert eager[name].dtype == program[name].dtype and eager[name].tobytes() == program[name].tobytes(), name


def test_lstm_beside_the_kernels_of_float32(tmp_path):
    """They have fused multiply-adds: to 1e-6 of the largest element of a gradient."""
    eager, program = lstm(tmp_path, "float32")
    for name in eager:
        assert np.max(np.abs(eager[name] - program[name])) <= 1e-6 * np.max(np.abs(eager[name])), name


def everything(dtype, n=300_000):
    """Numbers with all bits at random, numbers of the usual sizes, and the special ones."""
    random, info, unsigned = np.random.default_rng(0), np.finfo(dtype), f"u{np.dtype(dtype).itemsize}"
    special = [0, np.inf, np.nan, 1, info.max, info.tiny, info.smallest_subnormal, 7 * info.smallest_subnormal, 1e30, 1e-30]
    return np.concatenate([
        random.integers(0, np.iinfo(unsigned).max, n, unsigned, endpoint=True).view(dtype),
        *[x.astype(dtype) for x in (random.normal(0, 3, n), random.uniform(-110, 50, n), random.uniform(-750, 750, n))],
        np.array([*special, *np.negative(special)], dtype)])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", PLAIN)
def test_kernels_are_written_to_the_last_bit(name, dtype):
    """z and the derivative: denormal and huge numbers, zeros with their signs, infinities and NaN, all layouts.

    Of a product of two NaN it is open which one it is.
    """
    x = everything(dtype)
    layouts = x, x[-20:].reshape(4, 5).T, x[-60:].reshape(3, 4, 5)[:, ::-1, ::2], *[x[i].reshape(()) for i in range(-20, 0)]
    for data in layouts:
        d = np.random.default_rng(1).permutation(x)[:data.size].reshape(data.shape)
        leaf = tg.tensor(data, requires_grad=True, name="x")
        with np.errstate(all="ignore"):
            z = getattr(recorded, name)(leaf)
            z.name = "z"
            loss = (z * tg.tensor(d, name="d")).sum()
            loss.name = "loss"
            text = tg.export_numpy(loss).text.replace("return loss, {", "return z, {")
            names = {"__name__": "exported"}
            exec(compile(text, "exported", "exec"), names)
            written, gradients = names["step"](data, d)
            loss.backward()
        assert written.dtype == dtype and written.strides == z.data.strides
        if dtype == "float32" and name != "relu":       # fused multiply-add
            if name in LOOSE:
                np.testing.assert_allclose(written, z.data, *LOOSE[name])
            else:
                np.testing.assert_array_max_ulp(written, z.data, 5)
            continue
        assert written.tobytes() == z.data.tobytes()
        found = np.where(np.isnan(gradients["x"]) & (d == 0), leaf.grad, gradients["x"])     # a delta of 0 stops in the sweep
        found, wanted = [np.where(np.isnan(c), np.nan, c) for c in (found, leaf.grad)]
        assert found.dtype == dtype and found.tobytes() == wanted.tobytes()


def test_the_lstms_text_is_clean_and_runs(tmp_path):
    lstm(tmp_path, "float64")
    text = (tmp_path / "step.py").read_text()
    lines = text.splitlines()
    assert max(map(len, lines)) <= 120
    stripped = [re.sub(r"  +", "  ", line.strip()) for line in lines]
    for line in ["z5 = sigmoid(z4)  # sigmoid, (16, 32)", "d_z4 = d_z23 * z21 * (z5 * (1 - z5))  # z5 = sigmoid(z4)",
                 "d_bi += np.ones(16).dot(d_z4)  # z4 = add(z3, bi)", "d_z25 += d_z29.dot(Ui.T)  # z27 = matmul(z25, Ui)",
                 "d_Ui += z25.T.dot(d_z29)", "d_W2 = z250.T.dot(d_z252)"]:
        assert line in stripped, line
    imported = [line for line in lines if re.match(r"\s*(import|from)\b", line)]
    assert imported == ["from pathlib import Path", "import numpy as np"]
    assert python(None, tmp_path / "step.py").startswith("loss = 1.6")
    pytest.importorskip("ruff")
    python(None, "-m", "ruff", "check", "--config", HERE.parent / ".ci" / "ruff.toml", tmp_path / "step.py")


# Their operators are functions of tapegrad, which a program in NumPy does not have: export_numpy says so.
OF_TAPEGRAD = {"special_solve_triangular", "special_matrix_function", "special_solve_sylvester", "special_lfilter",
               "special_spline", "sparse_matmul"}


WRITTEN = [case for case in CASES if case.name not in {*COMPLEX, *OF_TAPEGRAD}]


@pytest.mark.parametrize("case", WRITTEN, ids=lambda case: case.name)
def test_every_primitive_is_written(case):
    """All rows with real results, and the same bits."""
    for shapes in case.shapes:
        for static in case.static[:4]:
            xs = [tg.tensor(x, requires_grad=x.dtype.kind == "f", name=f"x{i}") for i, x in enumerate(drawn(case, shapes))]
            z = function(case, static)(*xs)
            weights = tg.tensor(np.random.default_rng(3).normal(size=z.shape).astype(z.dtype), name="w")
            loss = (z * weights).sum() + (z * 2.0).sum()
            if z.dtype.kind == "c" or not loss.requires_grad:
                continue
            with np.errstate(all="ignore"):
                value, gradients = run(tg.export_numpy(loss))
            loss.backward()
            assert same_bits(value, loss.data)
            for x in xs:
                if x.requires_grad:
                    found = gradients[x.name]
                    assert not found.any() if x.grad is None else same_bits(found, x.grad), (shapes, static)


STEPS = [
    lambda x, y, a, b: x + y, lambda x, y, a, b: x - y, lambda x, y, a, b: x * y * 0.5, lambda x, y, a, b: tg.sin(x),
    lambda x, y, a, b: -x, lambda x, y, a, b: tg.where(tg.greater(x, 0), x, y), lambda x, y, a, b: tg.broadcast_to(x, (4, 4)),
    lambda x, y, a, b: a @ b * 0.3, lambda x, y, a, b: a.T, lambda x, y, a, b: a.T.reshape(16)[:8].sum() * 0.1 + x,
    lambda x, y, a, b: a.reshape(16).reshape((4, 4)), lambda x, y, a, b: a[:, 1:3].sum(axis=1) + y,
    lambda x, y, a, b: a[np.array([0, 0, 2, 1])], lambda x, y, a, b: tg.concatenate([a, b])[1:5],
    lambda x, y, a, b: a.mean(axis=0), lambda x, y, a, b: tg.softmax(a, axis=1)]


def grown(seed):
    """(a loss, its leaves): operations drawn at random, with views, repeated operands and elements, arrays in any order."""
    random = np.random.default_rng(seed)
    values = [random.normal(size=(4, 4)), np.asfortranarray(random.normal(size=(4, 4))), random.normal(size=(4, 8))[:, ::2],
              random.normal(size=4), random.normal()]
    leaves = [tg.tensor(value, requires_grad=True, name=f"x{i}") for i, value in enumerate(values)]
    pool = list(leaves)
    for _ in range(random.integers(3, 16)):
        matrices = [x for x in pool if x.ndim == 2]
        x, y = [pool[i] for i in random.integers(len(pool), size=2)]
        a, b = [matrices[i] for i in random.integers(len(matrices), size=2)]
        pool.append(STEPS[random.integers(len(STEPS))](x, y, a, b))
    return sum((x * float(random.normal())).sum() for x in pool[-4:]), leaves


@pytest.mark.parametrize("seed", range(60))
def test_random_expressions(seed):
    """The same bits, signs of zeros included: deltas are added in the same order, and in the same places."""
    loss, leaves = grown(seed)
    value, gradients = run(tg.export_numpy(loss))
    loss.backward()
    assert value == loss.item()
    for x in leaves:
        if x.name in gradients:
            assert gradients[x.name].tobytes() == x.grad.tobytes(), x.name


def test_deltas_of_elements():
    """They are added in place, as the sweep does: a slice by +=, repeated rows by np.add.at."""
    x = tg.tensor(np.arange(12.0).reshape(4, 3), requires_grad=True, name="x")
    loss = (x[1:3] * x[np.array([0, 0])] + tg.square(x[:, 1]).sum()).sum() + tg.exp(x).sum()
    program = tg.export_numpy(loss)
    assert re.search(r"^    d_x\[1:3\] \+= ", program.text, re.M) and "d_x[:, 1] += " in program.text
    assert re.search(r"^    np.add.at\(d_x, z\d+_index, ", program.text, re.M)
    gradients = run(program)[1]
    loss.backward()
    assert gradients["x"].tobytes() == x.grad.tobytes()


def test_gradients_that_are_one_array():
    """What the sweep hands on without a copy, the program doesn't give out twice, and doesn't add to in place."""
    x, y = [tg.tensor([1.0, 2.0], requires_grad=True, name=name) for name in "xy"]
    z = x + y
    value, gradients = run(tg.export_numpy((z * z + x).sum()))
    assert gradients["y"].tolist() == [4.0, 8.0] and gradients["x"].tolist() == [5.0, 9.0]
    gradients["x"] += 1
    assert gradients["y"].tolist() == [4.0, 8.0]
    value, gradients = run(tg.export_numpy((x + y).sum()))
    gradients["x"] += 1
    assert gradients["y"].tolist() == [1.0, 1.0]


def test_a_leaf_that_was_changed():
    """A step of an optimiser between: the program's inputs would not be those of the tape."""
    b = tg.tensor(np.ones(3, np.float32), requires_grad=True, name="b")
    loss = tg.square(b + 1.0).sum()
    b.data[:] -= np.float32(1e-4)
    with pytest.raises(WengertError, match="export_numpy: .* differs from the recorded value. The values of b may"):
        tg.export_numpy(loss)
    assert run(tg.export_numpy(loss, leaves={"b": np.ones(3, np.float32)}))[0] == 12.0


def test_wrt():
    loss, p = mlp()
    whole, part = tg.export_numpy(loss), tg.export_numpy(loss, wrt=["b2"])
    assert "d_W1" not in part.text and "d_z3" not in part.text and "d_W1" in whole.text
    gradients = run(part)[1]
    assert list(gradients) == ["b2"] and same_bits(gradients["b2"], run(whole)[1]["b2"])
    with pytest.raises(GradientError, match="there is no leaf 'c'; the leaves are W1, b1, W2, b2"):
        tg.export_numpy(loss, wrt=["c"])


def test_names_that_python_has_taken():
    x = tg.tensor([1.0], requires_grad=True, name="lambda")
    y = tg.tensor([1.0], requires_grad=True, name="softmax")
    z = tg.tensor([1.0], requires_grad=True, name="my weight")
    program = tg.export_numpy((tg.softmax(x * z, axis=0) * y * z).sum(), name="step")
    assert list(program.inputs) == ["lambda_2", "my_weight", "softmax_2"]
    assert run(program)[0] == 1.0
    with pytest.raises(ValueError, match="name must be a Python identifier and not a keyword, got 'a b'"):
        tg.export_numpy((x * y).sum(), name="a b")
    with pytest.raises(ValueError, match="the name 'scatter' is used by the program"):
        tg.export_numpy(x[[0, 0]].sum(), name="scatter")


def test_a_hundred_operands():
    xs = [tg.tensor([float(i)], requires_grad=True, name=f"long_name_of_operand_{i}") for i in range(100)]
    loss = (tg.concatenate(xs) * tg.stack(xs).reshape(100)).sum()
    program = tg.export_numpy(loss)
    assert max(map(len, program.text.splitlines())) <= 120
    value, gradients = run(program)
    assert value == loss.item() and gradients["long_name_of_operand_7"] == [14.0]


def test_long_programs():
    x = tg.tensor(0.5, requires_grad=True, name="x")
    y = x
    for _ in range(3000):
        y = tg.sin(y) + x
    value, gradients = run(tg.export_numpy(y))
    y.backward()
    assert value == y.item() and gradients["x"] == x.grad


def test_what_has_no_program(tmp_path):
    x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    with pytest.raises(GradientError, match="not a result on the tape"):
        tg.export_numpy(x)
    with pytest.raises(TypeError, match="export_numpy: expected a tensor, got Tape"):
        tg.export_numpy(tg.tape())
    with pytest.raises(GradientError, match=r"expected a scalar result, got shape \(2,\)"):
        tg.export_numpy(x * x)

    @tg.primitive(lambda delta, out, x: delta)
    def exported_by_a_user(x):
        return x + 0

    with pytest.raises(WengertError, match="export_numpy: exported_by_a_user cannot be written"):
        tg.export_numpy(exported_by_a_user(x).sum())
    with pytest.raises(WengertError, match="export_numpy: rfft cannot be written in NumPy: its result is complex"):
        tg.export_numpy(tg.abs(tg.fft.rfft(x)).sum())
    with pytest.raises(WengertError, match="export_numpy: checkpoint cannot be written"):
        tg.export_numpy(tg.checkpoint(lambda x: x * x)(x).sum())
    y = tg.exp(x)
    y.register_hook(lambda d: 2 * d)
    with pytest.raises(WengertError, match="exp cannot be written in NumPy: y has a hook"):
        tg.export_numpy(y.sum())
    loss = (x * x).sum()
    loss.backward()
    with pytest.raises(ConsumedTapeError, match="export_numpy: .*consumed"):
        tg.export_numpy(loss, tmp_path / "step.py")
    assert not list(tmp_path.iterdir())
