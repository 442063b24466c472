"""The tour of the course text: its tables line by line, and its networks trained on a few names."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tapegrad import wengert

EXAMPLES = Path(__file__).parents[1] / "examples"
sys.path.insert(0, str(EXAMPLES))

import names_data  # noqa: E402
import wengert_tour  # noqa: E402


def call(*flags, cwd=None):
    return subprocess.run([sys.executable, str(EXAMPLES / "wengert_tour.py"), *flags], cwd=cwd, capture_output=True, text=True)


@pytest.fixture(scope="module")
def output():
    done = call("--quick")
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if not line.startswith("tapegrad: compiling kernels")]
    assert not said
    return done.stdout


def lines(output, first, count):
    """`count` lines from the one that begins with `first` on, blank ones left out, with single spaces."""
    found = [" ".join(line.split()) for line in output.splitlines() if line.strip()]
    start = found.index(first) + 1
    return found[start:start + count]


def test_table_1(output):
    assert lines(output, "g DG[g][0](d, z, x, y) DG[g][1](d, z, x, y)", 5) == [
        "add d d", "subtract d -d", "multiply (d * y) (d * x)",
        "divide strong_multiply(d, (1 / y)) -strong_multiply(d, (z / y))", "square (d * (2 * x))"]


def test_table_2(output):
    assert lines(output, "Table 2. eval at x1 = 3, x2 = 7", 3) == [
        "z1 = add(x1, x1) add(3, 3) val[z1] = 6", "z2 = add(z1, x2) add(6, 7) val[z2] = 13",
        "f = square(z2) square(13) val[f] = 169"]
    assert lines(output, "Table 2. eval at x = 5", 2) == [
        "z1 = multiply(x, x) multiply(5, 5) val[z1] = 25", "f = multiply(z1, x) multiply(25, 5) val[f] = 125"]


def test_table_3(output):
    assert lines(output, "Table 3. backprop", 7) == [
        "delta[f] = 1", "f = square(z2) DG[square][0] = 26 delta[z2] = 26", "z2 = add(z1, x2) DG[add][0] = 26 delta[z1] = 26",
        "z2 = add(z1, x2) DG[add][1] = 26 delta[x2] = 26", "z1 = add(x1, x1) DG[add][0] = 26 delta[x1] = 26",
        "z1 = add(x1, x1) DG[add][1] = 26 delta[x1] = 26 + 26 = 52", "f(3, 7) = 169, df/dx1 = 52, df/dx2 = 26"]
    assert "f(5) = 125, df/dx = 75" in output


def test_formulas(output):
    assert "[('z1', 'mul', ('h', 'w')), ('area', 'half', ('z1',))]" in output
    losses = [float(loss) for loss in re.findall(r"step +\d+  loss ([\d.e+-]+)$", output, re.M)]
    assert losses[0] == 0.6931 and losses == sorted(losses, reverse=True) and losses[-1] < 0.1
    assert re.search(r"step  20  loss \S+  area 200  height", output)


def test_networks_train(output):
    assert re.search(r"lstm: 256 operations", output) and len(re.findall(r"epoch +\d  valid loss", output)) == 4
    assert re.search(r"^    lstm: least valid loss \d\.\d{3}, test loss \d\.\d{3}, test accuracy 0\.\d{3}$", output, re.M)


def test_bad_data_is_said_without_a_traceback(tmp_path):
    done = call("--dataset", "nothing", cwd=tmp_path)
    assert done.returncode == 2 and "nothing.train: No such file" in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("build", [wengert_tour.mlp, wengert_tour.lstm])
def test_the_gradients_agree_with_central_differences(build):
    rng = np.random.default_rng(0)
    xm, inputs = build(5, 3, rng)
    f = xm.operationSequence(xm.loss)
    val = xm.inputDict(y=np.eye(3)[[0, 1, 2, 0]], **inputs(rng.integers(0, 5, (4, wengert_tour.MAX_LEN))))
    parameters = [name for name in xm.registers() if xm.isParam(name)]
    for name, delta in wengert.backprop(f, val, wrt=parameters).items():
        for k in rng.integers(0, delta.size, 4):
            sides = []
            for side in (1e-6, -1e-6):
                moved = val[name].copy()
                moved.flat[k] += side
                sides.append(wengert.eval(f, val | {name: moved})["loss"])
            assert abs(delta.flat[k] - (sides[0] - sides[1]) / 2e-6) < 1e-7, name


def test_training_learns(capsys):
    """Names whose kind is told by one character."""
    rng = np.random.default_rng(0)
    names = ["".join(rng.choice(list("abcde"), 6)) + "xy"[k % 2] for k in range(300)]
    part = names_data.Part("train", names, np.arange(300) % 2)
    data = names_data.Dataset(("X", "Y"), part, part, part)
    assert wengert_tour.train(wengert_tour.lstm, data, epochs=8, seed=0) < 0.3
