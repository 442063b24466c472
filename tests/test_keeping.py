"""A tape in a file: what goes round, what is found out by evaluating it again, and files that are none."""

import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from cases import CASES
from test_table import drawn, function

import tapegrad as tg
from tapegrad.errors import ConsumedTapeError, DtypeError, GradientError, ShapeError, WengertError

random = np.random.default_rng(0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tape.npz"


def model():
    W = tg.tensor(random.normal(size=(4, 3)), requires_grad=True, name="W")
    b = tg.tensor(random.normal(size=3), requires_grad=True, name="b")
    x = tg.tensor(random.normal(size=(5, 4)), name="x")
    loss = (-tg.log_softmax(tg.tanh(x @ W + b))[np.arange(5), np.array([0, 1, 2, 0, 1])]).mean()
    loss.name = "loss"
    return loss, W, b


@pytest.mark.parametrize("values", [False, True])
def test_round_trip(path, values):
    loss, W, b = model()
    listed = tg.tape().wengert()
    tg.save_tape(path, loss, values=values)
    kept = tg.load_tape(path)
    assert [(z, g) for z, g, _ in kept.wengert()] == [(z, g) for z, g, _ in listed]
    assert kept.wengert() == tg.wengert.parse(kept.text)
    assert set(kept.leaves) == {"W", "b"} and set(kept.constants) == {"x"}
    assert kept.values["loss"] == loss.item() and kept.eval()["loss"] == loss.item()
    deltas = kept.backprop()
    found = kept.gradients()
    doubled = kept.gradients(seed=2.0)
    loss.backward()
    for name, leaf in {"W": W, "b": b}.items():
        np.testing.assert_array_equal(found[name], leaf.grad)
        np.testing.assert_array_equal(deltas[name], leaf.grad)
        np.testing.assert_array_equal(doubled[name], 2 * leaf.grad)
    assert os.listdir(path.parent) == ["tape.npz"]


def test_the_file_is_text_and_arrays(path):
    loss, W, b = model()
    tg.save_tape(path, loss)
    with zipfile.ZipFile(path) as archive:
        lines = archive.read("tape.txt").decode().splitlines()
        assert json.loads(archive.read("manifest.json"))["format"] == "tapegrad tape"
    assert lines[:3] == ["z1 = matmul(x, W)", "z2 = add(z1, b)", "z3 = tanh(z2)"]
    assert lines[4].endswith("= getitem(z4, index=z5.index)") and lines[-1].startswith("loss = mean(")
    with np.load(path, allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["leaves/W"], W.data)
        assert sorted(name for name in arrays if name.startswith("static/")) == ["static/z5.index.0", "static/z5.index.1"]


def test_a_whole_tape(path):
    x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    y = tg.exp(x)
    z = tg.sin(x)                                       # noqa: F841 -- alive, and so on the tape
    tg.save_tape(path, tg.tape())
    assert tg.load_tape(path).wengert() == [("y", "exp", ("x",)), ("z", "sin", ("x",))]
    tg.save_tape(path, y)
    assert tg.load_tape(path).text == "y = exp(x)\n"


def test_without_the_code_that_made_it(path):
    """In another process; the values are those of this one, but for the last bit: its kernels may be others."""
    loss, *leaves = model()
    tg.save_tape(path, loss)
    code = f"import tapegrad as tg; k = tg.load_tape({str(path)!r}); print(k.eval()['loss'], k.gradients()['b'].sum())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    value = float(run.split()[0])
    assert value == pytest.approx(loss.item(), rel=1e-14)


def test_replaced_values(path):
    loss, W, b = model()
    tg.save_tape(path, loss)
    kept = tg.load_tape(path)
    before = kept.eval()["loss"]
    assert kept.eval(W=0 * kept.leaves["W"], b=[0, 0, 0])["loss"] == pytest.approx(np.log(3))
    assert kept.gradients(b=tg.zeros(3))["W"].shape == W.shape
    assert kept.eval()["loss"] == before
    with pytest.raises(WengertError, match="cannot replace z1; expected one of W, b, x"):
        kept.eval(z1=1.0)
    with pytest.raises(ShapeError, match="entry 1, z1 = matmul"):
        kept.eval(W=np.ones((2, 2)))


ROUND_TRIPS = [pytest.param(case, static, id=f"{case.name}-{str(static)[:30]}") for case in CASES for static in case.static[:3]]


@pytest.mark.parametrize("case, static", ROUND_TRIPS)
def test_every_primitive_goes_round(case, static, path):
    xs = [tg.tensor(x, requires_grad=x.dtype.kind in "fc", name=f"x{i}") for i, x in enumerate(drawn(case, case.shapes[0]))]
    z = function(case, static)(*xs)
    loss = ((tg.abs(z) if z.dtype.kind == "c" else z) * 1.5).sum()
    tg.save_tape(path, loss)
    found = tg.load_tape(path).gradients()
    loss.backward()
    for x in xs:
        if x.grad is not None:
            np.testing.assert_array_equal(found[x.name], x.grad)


def test_a_users_primitive(path):
    @tg.primitive(lambda delta, out, x, n, scale: delta * n * scale * x ** (n - 1))
    def kept_power(x, n, scale=1.0):
        return scale * x ** n

    x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    loss = kept_power(x, 3, scale=2.0).sum()
    tg.save_tape(path, loss)
    kept = tg.load_tape(path)
    assert kept.text.splitlines()[0] == "z1 = kept_power(x, 3, scale=2.0)"
    np.testing.assert_allclose(kept.gradients()["x"], [6.0, 24.0])
    other = tg.load_tape(path, G={"kept_power": lambda x, n, scale: 0 * x}, DG={"kept_power": [
        lambda delta, out, x, n, scale: delta, None]})
    assert other.eval()[kept.wengert()[-1][0]] == 0


# What can't be saved

def test_names_become_names(path):
    x = tg.tensor([1.0], requires_grad=True, name="layer 1/x")
    y = tg.tensor([1.0], requires_grad=True, name="inf")
    tg.save_tape(path, (x * y).sum())
    assert set(tg.load_tape(path).leaves) == {"layer_1_x", "inf_2"}


def unsaved_leaf(alive):
    b = tg.tensor([1.0, 2.0], requires_grad=True, name="b")
    alive["b"] = b
    return tg.square(b + 1.0).sum()


def test_a_leaf_that_no_entry_has_saved(path):
    alive = {}
    loss = unsaved_leaf(alive)
    tg.save_tape(path, loss)
    assert tg.load_tape(path).leaves["b"].tolist() == [1.0, 2.0]
    alive["b"].data[:] = 5.0
    with pytest.raises(WengertError, match=r"square\(..\) differs from the recorded value|add\(..\) differs.*values of b may"):
        tg.save_tape(path, loss)
    tg.save_tape(path, loss, leaves={"b": [1.0, 2.0]})
    alive.clear()
    with pytest.raises(GradientError, match=r"the leaf b, float64 \(2,\), is unknown.*leaves=\{'b': array\}"):
        tg.save_tape(path, loss)
    with pytest.raises(ShapeError, match=r"for the leaf b, got float64 \(3,\)"):
        tg.save_tape(path, loss, leaves={"b": np.ones(3)})
    with pytest.raises(DtypeError, match="float32"):
        tg.save_tape(path, loss, leaves={"b": np.ones(2, np.float32)})
    with pytest.raises(GradientError, match="there is no leaf 'c'; the leaves are b"):
        tg.save_tape(path, loss, leaves={"c": 1})


def test_a_saved_value_that_was_changed_is_kept_as_it_was(path):
    x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    loss = (x * x).sum()
    x.data[:] = 7.0
    tg.save_tape(path, loss)
    assert tg.load_tape(path).leaves["x"].tolist() == [1.0, 2.0]


def test_what_is_no_tape(path):
    x = tg.tensor([1.0], requires_grad=True)
    with pytest.raises(GradientError, match="the tape is empty"):
        tg.save_tape(path, tg.tape())
    with pytest.raises(GradientError, match="not a result on the tape"):
        tg.save_tape(path, x)
    with pytest.raises(TypeError, match="save_tape: expected a tensor or a tape"):
        tg.save_tape(path, np.ones(2))
    loss = (x * x).sum()
    loss.backward()
    with pytest.raises(ConsumedTapeError, match="save_tape: .* consumed by backward"):
        tg.save_tape(path, loss)
    loss = tg.checkpoint(lambda x: x * x)(x).sum()
    with pytest.raises(WengertError, match="checkpoint"):
        tg.save_tape(path, loss)
    assert not path.exists() and os.listdir(path.parent) == []


# Files that are none

def rewritten(path, **changed):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members |= {name: content for name, content in changed.items() if content is not None}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            if changed.get(name, b"") is not None:
                archive.writestr(name, content)


def test_foreign_and_damaged_files(path):
    path.write_bytes(b"no zip")
    with pytest.raises(WengertError, match="tape.npz was not written by save_tape"):
        tg.load_tape(path)
    np.savez(path, x=np.ones(2))
    with pytest.raises(WengertError, match="tape.npz was not written by save_tape"):
        tg.load_tape(path)
    with pytest.raises(FileNotFoundError):
        tg.load_tape(path.with_name("nothing"))
    loss, *leaves = model()
    tg.save_tape(path, loss)
    whole = path.read_bytes()
    path.write_bytes(whole[:len(whole) // 2])
    with pytest.raises(WengertError, match="tape.npz"):
        tg.load_tape(path)
    path.write_bytes(whole.replace(b"tanh", b"tomh"))
    with pytest.raises(WengertError, match="CRC"):
        tg.load_tape(path)


@pytest.mark.parametrize("changed, message", [
    ({"tape.txt": "z1 = matmul(x W)"}, "line 1, column"),
    ({"leaves/W.npy": None}, "the array of W is missing"),
    ({"static/z5.index.0.npy": None}, "z5.index.0"),
    ({"leaves/W.npy": b"\x93NUMPY"}, "damaged"),
    ({"manifest.json": json.dumps({"format": "tapegrad tape", "version": 99})}, "expected version 1 of the format, got 99"),
    ({"manifest.json": json.dumps({"format": "other", "version": 1})}, "format is 'other'"),
    ({"manifest.json": "[]"}, "damaged")])
def test_a_member_that_is_wrong(changed, message, path):
    loss, *leaves = model()
    tg.save_tape(path, loss)
    rewritten(path, **changed)
    with pytest.raises(WengertError, match=message):
        tg.load_tape(path)


def test_nothing_is_unpickled(path):
    loss, *leaves = model()
    tg.save_tape(path, loss)
    objects = path.with_name("objects.npy")
    np.save(objects, np.array([{}], dtype=object), allow_pickle=True)
    rewritten(path, **{"leaves/W.npy": objects.read_bytes()})
    with pytest.raises(WengertError, match="allow_pickle"):
        tg.load_tape(path)


# What has changed

def saved(path, loss):
    tg.save_tape(path, loss)
    return tg.load_tape(path)


def test_diff(path):
    W = tg.tensor(np.ones((3, 2)), requires_grad=True, name="W")
    x = tg.tensor(np.ones((4, 3)), name="x")

    def loss(middle=lambda z: z, axis=0):
        return tg.sum(tg.sum(tg.exp(middle(x @ W)), axis=axis))

    first = saved(path, loss())
    same = first.diff(saved(path, loss()))
    assert not same and str(same) == "no difference"

    longer = first.diff(saved(path, loss(lambda z: tg.sin(z) * 2.0)))
    assert [g for _, g, _ in longer.added] == ["sin", "multiply"] and not longer.removed
    assert [(a[1], a[2], b[2]) for a, b in longer.changed] == [("exp", ("z1",), ("z3",))]
    assert set(longer.values) == {"z2", "z3", "loss"} and "+ z2 = sin(z1)" in str(longer)

    assert [g for _, g, _ in saved(path, loss(tg.sin)).diff(first).removed] == ["sin"]
    other_axis = first.diff(saved(path, loss(axis=1)))
    assert [a[0] for a, _ in other_axis.changed] == ["z3"] and other_axis.values["z3"] == np.inf
    assert "~ z3 = sum(z2, axis=(0,), keepdims=False) -> z3 = sum(z2, axis=(1,), keepdims=False)" in str(other_axis)
    assert "z3: float64 (2,) -> float64 (4,)" in str(other_axis)

    W.data[0, 0] += 0.5
    other_values = first.diff(saved(path, loss()))
    assert not (other_values.added or other_values.removed or other_values.changed)
    assert other_values.values["W"] == 0.5 and other_values.values["z1"] == 0.5 and "x" not in other_values.values


def test_diff_of_names_that_coincide(path):
    """exp(z2) stands in both lists, where z2 is not the same."""
    x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    first, second = saved(path, tg.exp(tg.exp(tg.sin(x)))), saved(path, tg.exp(tg.sin(tg.exp(x))))
    assert first.wengert()[2][1:] == second.wengert()[2][1:] == ("exp", ("z2",))
    difference = first.diff(second)
    assert not difference.added and not difference.removed and len(difference.changed) == 3


def test_diff_of_an_index(path):
    x = tg.tensor(np.arange(4.0), requires_grad=True, name="x")
    first, second = [saved(path, x[np.array(ids)].sum()) for ids in ([0, 1], [0, 3])]
    assert [a[1] for a, _ in first.diff(second).changed] == ["getitem"]


def test_long_tapes(path):
    x = tg.tensor(1.0, requires_grad=True, name="x")
    y = x
    for _ in range(5000):
        y = y + 1e-3
    kept = saved(path, y * y)
    assert kept.gradients()["x"] == pytest.approx(12.0) and not kept.diff(tg.load_tape(path))
