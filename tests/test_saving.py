"""tg.save and tg.load: what goes there and back, runs that go on, files that are damaged or not ours, and never half a file."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import nn
from tapegrad.errors import DtypeError, ShapeError, StateError

safetensors = pytest.importorskip("safetensors.numpy")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.safetensors"


@pytest.mark.parametrize("value", [
    np.arange(6.0).reshape(2, 3), np.array(2.5), np.zeros((0, 3)), np.array([True, False]), np.arange(4, dtype="i2"),
    np.ones(2, "f2"),
    np.ones(3, "f4"), np.array([1 + 2j, 3]), np.ones((2, 1), "c8"), np.array(1j), np.arange(6.0).reshape(2, 3).T,
    np.arange(8.0)[::2],
    np.ones(2, ">f8"), np.array([np.nan, np.inf, -0.0]), np.arange(3, dtype="u8")], ids=lambda x: f"{x.dtype}{x.shape}")
def test_arrays(path, value):
    tg.save(path, x=value)
    x = tg.load(path)["x"]
    assert x.dtype == value.dtype.newbyteorder("=") and x.shape == value.shape
    assert x.tobytes() == value.astype(x.dtype).tobytes()
    held = np.zeros(value.shape, x.dtype)
    assert tg.load(path, x=held)["x"] is held
    np.testing.assert_array_equal(held, value)


@pytest.mark.parametrize("value", [
    3, -2.5, True, None, 1 - 2j, complex("inf"), "a text: ü",
    float("inf"), 0.1, 2 ** 200, [1, [2.0, "x"]], (1, (2, 3)), {"a": {"b": 1}, 2: (True,)},
    [], {}, ()],
    ids=repr)
def test_plain_values(path, value):
    tg.save(path, x=value)
    found = tg.load(path)["x"]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("value", [np.float32(2.5), np.float64(2.5), np.int64(3), np.complex64(1j), np.True_], ids=repr)
def test_numpys_numbers(path, value):
    tg.save(path, x=value)
    found = tg.load(path, x=value.dtype.type(0))["x"]
    assert found == value and type(found) is type(value)
    with pytest.raises(StateError, match="x is .*, and a int16 is wanted"):
        tg.load(path, x=np.int16(0))


def test_structures_of_arrays(path):
    tg.save(path, x={"a": [np.ones(2), (tg.tensor([3.0]), np.float32(2))]})
    found = tg.load(path)["x"]
    assert found["a"][1][0].tolist() == [3] and found["a"][1][1].dtype == np.float32
    np.testing.assert_array_equal(found["a"][0], [1, 1])


@pytest.mark.parametrize("kind", ["PCG64", "MT19937", "Philox", "SFC64", "PCG64DXSM"])
def test_generators(path, kind):
    one, other = (np.random.Generator(getattr(np.random, kind)(seed)) for seed in (1, 2))
    one.normal(size=5), one.integers(9)
    tg.save(path, random=one)
    wanted = one.normal(size=3), one.integers(100, size=4)
    tg.load(path, random=other)
    for x, y in zip(wanted, (other.normal(size=3), other.integers(100, size=4))):
        np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(tg.load(path)["random"].normal(size=3), wanted[0])


def test_the_file_is_readable_elsewhere(path):
    net = nn.Linear(2, 3)
    tg.save(path, model=net, epoch=3)
    found = safetensors.load_file(path)
    assert sorted(found) == ["model.bias", "model.weight"]
    np.testing.assert_array_equal(found["model.weight"], net.weight.data)
    with safetensors.safe_open(path, framework="numpy") as file:
        assert json.loads(file.metadata()["tapegrad"])["objects"]["epoch"] == 3


def test_tensors_are_written_to(path):
    x, y = nn.Parameter([1.0, 2.0]), nn.Parameter([0.0, 0.0])
    tg.save(path, x=x)
    z = (y * y).sum()
    tg.load(path, x=y)
    assert y.tolist() == [1, 2] and y.requires_grad
    z.backward()
    assert y.grad.tolist() == [0, 0]                    # of the values that were recorded


class Run:
    """A model with all that has a state, trained batch by batch."""

    def __init__(self, seed):
        tg.manual_seed(seed)
        rng = np.random.default_rng(0)
        self.model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))
        self.optimizer = tg.optim.Adam([{"params": self.model[0].parameters(), "lr": 0.02},
                                        {"params": list(self.model.parameters())[2:]}])
        self.scheduler = tg.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, 20)
        dataset = tg.data.TensorDataset(rng.normal(size=(22, 4)).astype("f4"), rng.integers(0, 3, 22))
        self.loader = tg.data.DataLoader(dataset, 4, shuffle=True, seed=seed)
        self.step = 0

    def objects(self):
        return {"model": self.model, "optimizer": self.optimizer, "scheduler": self.scheduler, "loader": self.loader,
                "random": tg.generator(), "step": self.step}

    def go(self, steps, at=None, path=None):
        while self.step < steps:
            for x, y in self.loader:
                if self.step == steps:
                    break
                self.optimizer.zero_grad()
                tg.cross_entropy(self.model(x), y).backward()
                self.optimizer.step()
                self.scheduler.step()
                self.step += 1
                if self.step == at:
                    tg.save(path, **self.objects())
        return self.model.state_dict()


@pytest.mark.parametrize("at", [1, 5, 6, 12, 15])
def test_a_run_goes_on_bit_for_bit(path, at):
    """From the middle of an epoch, and its end: weights, statistics, dropout and the order of batches."""
    wanted = Run(1).go(17, at, path)
    again = Run(2)
    again.step = tg.load(path, **again.objects())["step"]
    assert again.step == at
    for key, held in again.go(17).items():
        np.testing.assert_array_equal(held, wanted[key], err_msg=key)


class TestWhatDoesNotFit:
    def saved(self, path):
        rng = np.random.default_rng(1)
        tg.save(path, model=nn.Linear(2, 3), x=np.ones(3), random=rng, epoch=2, other=nn.Linear(2, 2))

    @pytest.mark.parametrize("objects, error, words", [
        (lambda: {"model": nn.Linear(3, 3)}, ShapeError, "weight is float32 \\(3, 2\\) for float32 \\(3, 3\\)"),
        (lambda: {"model": nn.Linear(2, 3, dtype="f8")}, DtypeError, "weight is float32 \\(3, 2\\) for float64 \\(3, 2\\)"),
        (lambda: {"model": nn.Linear(2, 3, bias=False)}, StateError, "bias is unknown"),
        (lambda: {"x": np.ones(4)}, ShapeError, "load: x is float64 \\(3,\\) for float64 \\(4,\\)"),
        (lambda: {"x": np.ones(3, "f4")}, DtypeError, "load: x is float64 \\(3,\\) for float32 \\(3,\\)"),
        (lambda: {"x": np.broadcast_to(1.0, 3)}, StateError, "x is an array that can only be read"),
        (lambda: {"x": nn.Linear(2, 3)}, StateError, "x is float64 \\(3,\\), not the state of a Linear"),
        (lambda: {"random": np.random.Generator(np.random.MT19937(0))}, StateError,
         "random is Generator, not a generator by MT19937"),
        (lambda: {"epoch": 2.5}, StateError, "epoch is 2, and a float is wanted"),
        (lambda: {"epoch": np.ones(1)}, ShapeError, "epoch is 2 for"),
        (lambda: {"nothing": 1}, StateError, "there is no nothing; there are model, x, random, epoch, other")])
    def test_nothing_is_changed(self, path, objects, error, words):
        """What was filled before the one that does not fit is what it was."""
        self.saved(path)
        net, array, rng = nn.Linear(2, 2), np.zeros(3), np.random.default_rng(5)
        before, numbers = net.state_dict(), rng.bit_generator.state
        given = {"other": net, "x": array, "random": rng} | objects()
        states = {name: held.state_dict() for name, held in given.items() if isinstance(held, nn.Module)}
        with pytest.raises(error, match=words):
            tg.load(path, **given)
        assert not array.any() and rng.bit_generator.state == numbers
        for key, held in before.items():
            np.testing.assert_array_equal(net.state_dict()[key], held)
        for name, state in states.items():
            for key, held in state.items():
                np.testing.assert_array_equal(given[name].state_dict()[key], held)

    def test_an_object_of_a_user_that_fails_half_way(self, path):
        class Half:
            def __init__(self):
                self.a = self.b = 0

            def state_dict(self):
                return {"a": self.a, "b": self.b}

            def load_state_dict(self, state):
                self.a = state["a"]
                if state["b"] < 0:
                    raise ValueError("b")
                self.b = state["b"]

        one = Half()
        one.a, one.b = 1, -1
        tg.save(path, x=np.ones(2), half=one)
        array, other = np.zeros(2), Half()
        with pytest.raises(ValueError, match="b"):
            tg.load(path, x=array, half=other)
        assert not array.any() and other.state_dict() == {"a": 0, "b": 0}

    @pytest.mark.parametrize("value, error, words", [
        (lambda: print, TypeError, "save: x is builtin_function_or_method; what can be saved"),
        (lambda: [object()], TypeError, "save: x.0 is object"),
        (lambda: {1.5: 1}, TypeError, "x has keys"), (lambda: np.array(["a"]), DtypeError, "save: x is <U1"),
        (lambda: np.ones(1, np.longdouble), DtypeError, "save: x is"),
        (lambda: {"a.b": np.ones(1), "a": {"b": np.ones(1)}}, ValueError, "two arrays")])
    def test_what_cannot_be_saved_leaves_the_file(self, path, value, error, words):
        tg.save(path, x=1)
        with pytest.raises(error, match=words):
            tg.save(path, x=value())
        assert tg.load(path) == {"x": 1} and os.listdir(path.parent) == [path.name]


class TestFiles:
    def whole(self, path):
        tg.save(path, model=nn.Linear(20, 30), epoch=1)
        return path.read_bytes()

    @pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 0.5, 0.999])
    def test_truncated(self, path, share):
        content = self.whole(path)
        path.write_bytes(content[:int(len(content) * share)])
        net = nn.Linear(20, 30)
        before = net.state_dict()
        with pytest.raises(StateError, match="load: .*no file that tg.save has written, or it is damaged"):
            tg.load(path, model=net)
        for key, held in before.items():
            np.testing.assert_array_equal(net.state_dict()[key], held)

    def test_a_pickle_in_disguise(self, path):
        """It is not run."""
        class Trap:
            def __reduce__(self):
                return os.mkdir, (str(path) + ".sprung",)

        path.write_bytes(pickle.dumps(Trap()))
        with pytest.raises(StateError, match="no file that tg.save"):
            tg.load(path)
        assert not os.path.exists(str(path) + ".sprung")

    @pytest.mark.parametrize("manifest", [
        "{", "[]", "{}", '{"format": "tapegrad state", "version": 2, "objects": {}}',
        '{"format": "tapegrad state", "version": 1}',
        *['{"format": "tapegrad state", "version": 1, "objects": {"x": WORD}}'.replace("WORD", word) for word in (
            '{"array": "y"}', '{"odd": 1}', '{"array": ["x"]}', '{"generator": {"dict": [["bit_generator", "os"]]}}',
            '{"dict": [1]}', '{"float": "x"}', '{"a": 1, "b": 2}', '{"complex": "z"}', "[" * 100000)]])
    def test_manifests_that_are_none(self, path, manifest):
        safetensors.save_file({"z": np.ones(2, "i8")}, path, metadata={"tapegrad": manifest})
        with pytest.raises(StateError, match="load: "):
            tg.load(path)

    def test_arrays_of_others(self, path):
        safetensors.save_file({"weight": np.ones(2)}, path)
        with pytest.raises(StateError, match="arrays that tg.save has not written; safetensors.numpy.load_file"):
            tg.load(path)

    def test_no_file(self, path):
        with pytest.raises(FileNotFoundError):
            tg.load(path)
        with pytest.raises(FileNotFoundError):
            tg.save(path.parent / "nowhere" / "run", x=1)

    def test_without_safetensors(self, path):
        code = f"import sys; sys.modules['safetensors'] = None\nimport tapegrad as tg\ntg.save({str(path)!r}, x=1)"
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert "ImportError: save: the package safetensors is needed; pip install 'tapegrad[saving]'" in result.stderr

    def test_a_write_that_fails_leaves_the_file(self, path, monkeypatch):
        content = self.whole(path)
        for name in ("fsync", "replace"):
            with monkeypatch.context() as patch:
                def fail(*_):
                    raise OSError("no space left")

                patch.setattr(os, name, fail)
                with pytest.raises(OSError, match="no space left"):
                    tg.save(path, epoch=2)
            assert path.read_bytes() == content and os.listdir(path.parent) == [path.name]

    def test_a_process_that_is_killed_leaves_a_whole_file(self, path):
        """kill -9 at some moments of a loop that saves: what is there can always be loaded."""
        code = ("import sys, numpy as np, tapegrad as tg\nk = 0\nwhile True:\n    k += 1\n"
                f"    tg.save({str(path)!r}, x=np.full(300_000, float(k)), k=k)\n    print(k, flush=True)")
        for wait in (0.0, 0.013, 0.04):
            process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
            process.stdout.readline()
            time.sleep(wait)
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
            found = tg.load(path)
            assert (found["x"] == found["k"]).all() and found["k"] >= 1
            for other in path.parent.iterdir() if self.without_names(path.parent) else ():
                assert tg.load(other)["k"] >= 1

    @staticmethod
    def without_names(folder):
        """Whether there are files without a name here."""
        try:
            os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY))
        except (AttributeError, OSError):
            return False
        return True

    def test_without_files_that_have_no_name(self, path, monkeypatch):
        tg.save(path, k=1)
        mode = path.stat().st_mode
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
        tg.save(path, k=2)
        assert tg.load(path)["k"] == 2 and path.stat().st_mode == mode and os.listdir(path.parent) == [path.name]


def test_what_would_be_lost_is_refused(path):
    tg.save(path, x=1)
    for objects, error, words in [({"x": np.ma.array([1.0, 2.0], mask=[True, False])}, DtypeError, "its mask would be lost"),
                                  ({"__metadata__": np.ones(2)}, ValueError, "save: __metadata__ is what safetensors calls")]:
        with pytest.raises(error, match=words):
            tg.save(path, **objects)
    assert tg.load(path) == {"x": 1}


def test_paths(path, tmp_path):
    """A path of bytes, and a link, which leads to the file afterwards, too."""
    tg.save(os.fsencode(path), x=1)
    assert tg.load(os.fsencode(path)) == {"x": 1}
    link = tmp_path / "last"
    try:
        link.symlink_to(path)
    except OSError:
        pytest.skip("no links here")
    tg.save(link, x=2)
    assert link.is_symlink() and tg.load(path) == {"x": 2} and sorted(os.listdir(tmp_path)) == ["last", path.name]
