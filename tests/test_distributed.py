"""Several processes: that they train as one, and that all of them end when one does. Those that need an MPI start mpiexec."""

import os
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from threading import Timer

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import data, nn
from tapegrad.core.reduction import reducers
from tapegrad.errors import CompileError, DtypeError, GradientError

TESTS = Path(__file__).parent
EXAMPLES = TESTS.parent / "examples"
MPIEXEC = Path(sys.executable).parent / "mpiexec"       # a wheel's, which is that of mpi4py
needs_mpi = pytest.mark.skipif(not find_spec("mpi4py") or not MPIEXEC.exists(), reason="no mpi4py and MPI of wheels")
ENVIRONMENT = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "PYTHONUNBUFFERED": "1",
               "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
               "PYTHONPATH": os.pathsep.join([str(TESTS.parent), os.environ.get("PYTHONPATH", "")])}


def start(n, *command, cwd=None):
    return subprocess.Popen([MPIEXEC, "-n", str(n), sys.executable, *map(str, command)], cwd=cwd, env=ENVIRONMENT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(process, seconds=100):
    try:
        return process.communicate(timeout=seconds)
    finally:
        process.kill()


def lives(pid):
    """Whether a process runs. One that has ended may still be there for a parent to ask how."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat")
        return not Path("/proc/self").exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


# Alone

def test_a_process_alone():
    model = nn.Linear(2, 3)
    parallel = tg.distributed.DataParallel(tg.distributed.broadcast(model))
    assert (tg.distributed.rank(), tg.distributed.world_size()) == (0, 1) and not reducers
    z = parallel(np.ones((4, 2), "f4"))
    np.testing.assert_array_equal(z.data, model(np.ones((4, 2), "f4")).data)
    assert parallel.examples == 4 and parallel.state_dict().keys() == model.state_dict().keys()
    with tg.no_grad():
        parallel(np.ones((5, 2), "f4"))
    assert parallel.examples == 4
    tg.distributed.DataParallel(model, batch_axis=1)(np.ones((5, 2, 2), "f4"))
    assert tg.distributed.all_gather("x") == ["x"] and tg.distributed.share(0) == slice(0, 0)


def test_a_shard_is_a_sampler():
    sampler = tg.distributed.shard(data.BatchSampler(7, 3, shuffle=True, seed=1))
    assert sorted(np.concatenate(list(sampler))) == list(range(7))
    again = tg.distributed.shard(data.BatchSampler(7, 3, shuffle=True, seed=2))
    again.load_state_dict(sampler.state_dict())
    for ids, others in zip(sampler, again):
        np.testing.assert_array_equal(ids, others)


def leaf(name, *shape):
    return tg.tensor(np.random.default_rng(len(name)).uniform(1, 2, shape), requires_grad=True, name=name)


@pytest.mark.parametrize("call, error, words", [
    (lambda: tg.distributed.broadcast("weights"), TypeError, "broadcast: str"),
    (lambda: tg.distributed.shard(3), TypeError, "a sampler of batches that has a length"),
    (lambda: list(tg.distributed.shard([1, 2])), TypeError, "the places of a batch are needed"),
    (lambda: tg.distributed.all_reduce(np.array(["a"])), DtypeError, "all_reduce: <U1"),
    (lambda: tg.distributed.all_reduce(2 * leaf("x", 2)), GradientError, "all_reduce of a tensor that requires a gradient"),
    (lambda: setattr(tg.distributed.DataParallel(nn.Linear(1, 1)), "examples", 2 * leaf("x")), GradientError, "float(x)"),
    (lambda: tg.distributed.DataParallel([]), ValueError, "no parameters"),
    (lambda: tg.distributed.DataParallel([1.0]), TypeError, "1.0 among the parameters"),
    (lambda: tg.distributed.DataParallel([nn.Parameter(np.ones(2))])(1), TypeError, "not a module that could be called"),
    (lambda: tg.distributed.DataParallel(nn.ReLU()), ValueError, "no parameters"),
    (lambda: tg.distributed.DataParallel(nn.Linear(1, 1))(2.0), TypeError, "with the axis 0 of the examples"),
    (lambda: tg.distributed.init(timeout=0), ValueError, "timeout=0"),
])
def test_bad_calls(call, error, words):
    with pytest.raises(error, match=re.escape(words)):
        call()


def test_a_replay_counts_the_examples_again():
    parallel = tg.distributed.DataParallel([nn.Parameter(np.ones(2))])

    @tg.compile(fallback="error")
    def step(x):
        parallel.examples = len(x)
        return x.sum()

    for _ in range(3):
        parallel.examples = 9
        step(np.ones((4, 2)))
        assert parallel.examples == 4


@pytest.mark.parametrize("call, words", [(tg.distributed.all_gather, "it uses what all_gather returns"),
                                         (tg.distributed.all_reduce, "it uses what all_reduce returns"),
                                         (lambda x: tg.distributed.broadcast([x]), "it uses what broadcast returns")])
def test_what_ranks_say_to_each_other_is_not_replayed(call, words):
    """A replay would do without the others, which would wait."""
    with pytest.raises(CompileError, match=words):
        tg.compile(lambda x: (x * 2, call(x))[0], fallback="error")(tg.ones(2))


@pytest.mark.parametrize("launcher", ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"])
def test_mpiexec_without_mpi4py_is_an_error(launcher):
    code = ("import sys; sys.modules['mpi4py'] = None\nimport tapegrad as tg\n"
            "tg.distributed.init(); print(tg.distributed.rank())")
    for size, words in (("1", "0\n"), ("2", "mpiexec has started 2 processes, and mpi4py is not installed")):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, launcher: size})
        assert words in done.stdout + done.stderr and (done.returncode == 0) == (size == "1")


# What a sweep tells

class Doubling:
    """A reducer that needs no other process: notes what it is told, and doubles."""

    def __init__(self, *tensors):
        self.tensors, self.told, self.found, self.errors = tensors, [], None, []

    def __enter__(self):
        reducers.append(self)
        return self

    def __exit__(self, *error):
        reducers.remove(self)

    def begin(self):
        self.names = {x._register: x.name for x in self.tensors}
        return self.names

    def final(self, leaf, delta):
        self.told.append((self.names[leaf], None if delta is None else np.array(delta), len(tg.tape().entries)))

    def progress(self):
        pass

    def finish(self, found):
        self.found = {self.names[leaf]: d for leaf, d in found.items() if leaf in self.names}
        found.update({leaf: 2 * d for leaf, d in found.items() if leaf in self.names})

    def abandon(self, error):
        self.errors.append(error)


def test_deltas_are_told_as_soon_as_they_are_final():
    a, b, c, unused = leaf("a", 3, 3), leaf("b", 3), leaf("c", 3), leaf("unused", 3)
    x = np.ones((2, 3))
    elsewhere = tg.tanh(unused)

    def loss():
        h = x @ a + b
        return ((tg.tanh(h @ a) * c).sum() + (h * c).sum())

    loss().backward()
    wanted = {x.name: x.grad for x in (a, b, c)}
    for x_ in (a, b, c):
        x_.zero_grad()
    with Doubling(a, b, c, unused) as seen:
        loss().backward()
    assert [name for name, *_ in seen.told] == ["c", "b", "a", "unused"] and seen.told[3][1] is None
    for (name, delta, _), x_ in zip(seen.told, (c, b, a)):
        np.testing.assert_array_equal(delta, wanted[name])
        np.testing.assert_array_equal(x_.grad, 2 * wanted[name])
    assert set(seen.found) == {"a", "b", "c"} and elsewhere.requires_grad


def test_sweeps_of_functions_tell_nothing():
    a = leaf("a", 3)
    with Doubling(a) as seen:
        np.testing.assert_array_equal(tg.grad(lambda x: (x * x).sum())(a).data, 2 * a.data)
        np.testing.assert_array_equal(tg.autograd.grad((a * a).sum(), a)[0].data, 2 * a.data)
        assert not seen.told and seen.found is None
        tg.checkpoint(lambda x: (x * a).sum())(np.ones(3)).backward()
        np.testing.assert_array_equal(a.grad, [2, 2, 2])
        assert len(seen.told) == 1
        with pytest.raises(GradientError, match="off the tape"):
            (a * a).sum().backward(create_graph=True)
        assert isinstance(seen.errors[0], GradientError)


def test_a_sweep_that_fails_tells_it():
    a = leaf("a", 3)
    with Doubling(a) as seen:
        z = a * a
        z.register_hook(lambda d: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            z.sum().backward()
    assert isinstance(seen.errors[0], ZeroDivisionError) and a.grad is None and seen.found is None


def test_when_one_reducer_fails_at_the_end_the_others_are_told():
    a, b = leaf("a", 3), leaf("b", 3)
    with Doubling(a) as one, Doubling(b) as other:
        one.finish = lambda found: 1 / 0
        with pytest.raises(ZeroDivisionError):
            (a * b).sum().backward()
    assert isinstance(other.errors[0], ZeroDivisionError) and not one.errors and a.grad is b.grad is None


# Together

@needs_mpi
@pytest.mark.parametrize("n", [2, 3])
def test_ranks_train_as_one_process_does(n):
    """And what does not fit is an error on each. The checks are in ranks.py."""
    out, err = ended(start(n, "-W", "error", TESTS / "ranks.py", n))
    assert out.count("ok") == n, err


ENDING = """
import sys
import numpy as np, tapegrad as tg
tg.distributed.init(timeout=6)
model = tg.distributed.DataParallel(tg.nn.Linear(2, 2))
if tg.distributed.rank() == 1:
    {what}
print("waiting", flush=True)
model(np.ones((1, 2), "f4")).sum().backward()
print("not reached")
"""


@needs_mpi
@pytest.mark.parametrize("what, words", [("raise ValueError('rank 1 is ill')", "rank 1 is ill"),
                                         ("sys.exit(3)", "rank 0 waits for rank 1, which has ended"),
                                         ("import time; time.sleep(60)", "rank 0 has waited 6 s for the others")])
def test_a_rank_that_ends_ends_all(what, words, tmp_path):
    (tmp_path / "program.py").write_text(ENDING.format(what=what))
    process = start(2, tmp_path / "program.py")
    out, err = ended(process, 20)
    assert process.returncode != 0 and words in err and "not reached" not in out


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    pytest.importorskip("safetensors")
    pytest.importorskip("tqdm")
    folder = tmp_path_factory.mktemp("data")
    for part, times in (("train", 25), ("valid", 5)):
        lines = [f"{name} {'x' * (k % 4)}\t{label}\n" for k in range(times)
                 for name, label in (("Ulm", "Place"), ("Rosa", "Species"), ("Ann Lee", "Person"))]
        (folder / f"names.{part}").write_text("".join(lines))
    return "--dataset", folder / "names", "--num-hid", 8, "--max-len", 8, "--batch-size", 7, "--names", ""


@needs_mpi
@pytest.mark.slow
def test_the_example_on_two_ranks(names, tmp_path):
    """Dropout included, whose masks are those of the joint batch."""
    load = pytest.importorskip("safetensors.numpy").load_file
    flags = EXAMPLES / "train_lstm.py", *names, "--epochs", 1, "--no-compile"
    out, err = ended(start(2, *flags, "--distributed", "--out", "two", cwd=tmp_path))
    assert "test loss" in out and out.count("epoch  1") == 1, err
    subprocess.run([sys.executable, *map(str, flags), "--out", "one"], cwd=tmp_path, env=ENVIRONMENT, check=True,
                   capture_output=True)
    one, two = (load(tmp_path / folder / "weights.safetensors") for folder in ("one", "two"))
    for name, array in one.items():
        np.testing.assert_allclose(two[name], array, atol=2e-5, err_msg=name)


@needs_mpi
def test_the_step_that_is_measured():
    pytest.importorskip("tqdm")
    code = ("from averaging import Step, parameters\nstep = Step(2)\nstep.alone()\n"
            "print(f'{sum([x.size for x in parameters(step.model).values()]):,} parameters')")
    done = subprocess.run([sys.executable, "-c", code], cwd=TESTS.parent / "benchmarks", env=ENVIRONMENT, capture_output=True,
                          text=True)
    assert done.stdout.strip() in (TESTS.parent / "docs" / "distributed.md").read_text() and done.returncode == 0, done.stderr


@needs_mpi
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_rank_that_is_killed_ends_all_and_the_checkpoint_is_whole(names, tmp_path):
    flags = EXAMPLES / "train_mlp.py", *names, "--epochs", 100_000, "--distributed", "--checkpoint", "run"
    process = start(2, "-c", "import os, sys, runpy; open(f'{os.getpid()}.pid', 'w').close(); sys.argv[:] = sys.argv[1:]; "
                    "sys.path[0] = os.path.dirname(sys.argv[0]); runpy.run_path(sys.argv[0], run_name='__main__')", *flags,
                    cwd=tmp_path)
    watchdog = Timer(100, process.kill)
    watchdog.start()
    for line in process.stdout:
        if line.startswith("epoch  3"):
            break
    watchdog.cancel()
    pids = [int(path.stem) for path in tmp_path.glob("*.pid")]      # by files: what two ranks print may be mixed
    assert len(pids) == 2
    os.kill(pids[1], signal.SIGKILL)
    start_of_end = time.monotonic()
    ended(process, 10)
    assert process.returncode != 0 and time.monotonic() - start_of_end < 10
    while any(map(lives, pids)):
        assert time.monotonic() - start_of_end < 10
        time.sleep(0.1)
    found = tg.load(tmp_path / "run")
    assert len(found["where"]["history"]) >= 2
