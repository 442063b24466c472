"""Random programs of everything that has a state, against oracles that say plainly what it must be. See fuzz/.

Steps are operations, reads and writes of parts, of `.data`, of constants, modes, sweeps, hooks, checkpoints, derivatives of
functions, users' primitives, exceptions, threads, traces. Oracles: exact derivatives, forwards, by numbers with infinitesimals;
and PyTorch where it is installed. TAPEGRAD_FUZZ=20000 runs so many programs, TAPEGRAD_FUZZ_SEED=1000 begins at that seed. A
failure prints the shortest program that shows it, to be pasted as a test.
"""

import os
import threading

import numpy as np
import pytest
from fuzz import infinitesimal as R
from fuzz.comparing import check, differs, run_seed, shortest
from fuzz.engines import Infinitesimals
from fuzz.model import Model
from fuzz.operations import ALONG, BINARY, ELEMENTWISE, OPERATIONS, REDUCING
from fuzz.ours import Ours
from fuzz.programs import program

import tapegrad as tg

PROGRAMS, SEED, BATCH = int(os.environ.get("TAPEGRAD_FUZZ", "200")), int(os.environ.get("TAPEGRAD_FUZZ_SEED", "0")), 50


def run_batch(start, record_property, tried=Ours):
    compared = 0
    for seed in range(start, start + BATCH):
        failure, n = run_seed(seed, tried)
        assert failure is None, failure
        compared += n
    record_property("programs compared", BATCH)
    record_property("values compared", compared)


@pytest.mark.parametrize("start", range(SEED, SEED + PROGRAMS, BATCH))
def test_random_programs(start, record_property):
    run_batch(start, record_property)
    assert tg.tape().recording


@pytest.mark.parametrize("start", range(SEED, SEED + PROGRAMS // 2, BATCH))
def test_pytorch_agrees_with_the_oracle(start, record_property):
    pytest.importorskip("torch")
    from fuzz.pytorch import PyTorch
    run_batch(start, record_property, lambda: Model(PyTorch()))


def test_random_programs_in_threads_at_once():
    failures = []

    def work(seeds):
        for seed in seeds:
            try:
                failures.append(run_seed(seed)[0])
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=work, args=(range(10**6 + 10 * k, 10**6 + 10 * k + 10),)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == [None] * 40


REFUSED = {                                             # what the model refuses: in the words of both libraries
    "a write into a leaf": lambda L, x: x.__setitem__(0, 1.0),
    "+= on a leaf": lambda L, x: x.__iadd__(1.0),
    "backward from what requires no gradient": lambda L, x: x.detach().sum().backward(),
    "backward from more than a number": lambda L, x: (x * x).backward(),
    "a gradient of another shape": lambda L, x: (x * x).backward(L.ones(2)),
    "backward through what was consumed": lambda L, x: [z.backward() for z in [(x * x).sum()] * 2],
    "backward to what was consumed": lambda L, x: [(h * h).sum().backward() for h in [x * x] * 2],
    "a hook of a constant": lambda L, x: x.detach().register_hook(print),
    "retain_grad of a constant": lambda L, x: x.detach().retain_grad(),
    "requires_grad off for a result": lambda L, x: setattr(x * x, "requires_grad", False),
    "requires_grad of integers": lambda L, x: setattr(L.arange(3), "requires_grad", True),
    "a gradient of a constant": lambda L, x: L.autograd.grad((x * x).sum(), x.detach()),
    "a gradient of what was not used": lambda L, x: L.autograd.grad((x * x).sum(), x * 1),
    "+= that would broadcast": lambda L, x: (x * 1).__iadd__(L.ones((2, 3))),
    "operands that do not fit": lambda L, x: x * L.ones(2),
}


@pytest.mark.parametrize("library", ("tapegrad", "torch"))
@pytest.mark.parametrize("step", REFUSED.values(), ids=REFUSED)
def test_what_is_refused_is_refused_by_pytorch_too(library, step):
    L = pytest.importorskip(library)
    x = L.tensor([1.0, 2.0, 3.0], requires_grad=True)
    with pytest.raises((RuntimeError, ValueError, TypeError)):
        step(L, x)
    np.testing.assert_array_equal(x.detach().numpy(), [1, 2, 3])


class TestTheOracle:
    def test_programs_are_reproducible(self):
        assert program(3, Infinitesimals())[0] == program(3, Infinitesimals())[0]

    @pytest.mark.parametrize("name", [*ELEMENTWISE, *BINARY, *REDUCING, *ALONG])
    def test_derivatives_against_differences(self, name):
        rng = np.random.default_rng(1)
        arrays = [rng.uniform(-1, 1, (3, 3)) + 0.3 * np.eye(3) for _ in range(1 + (name in BINARY))]
        if name == "scaled":
            arrays[1] = np.array(0.5)
        parameters = () if name in ELEMENTWISE or name in BINARY else (1,)

        def f(*xs):
            return OPERATIONS[name][2](*xs, *parameters)

        moved = [rng.normal(size=x.shape) for x in arrays]
        found = f(*[R.Number({0: x, 1: u, 2: u}) for x, u in zip(arrays, moved)]).parts

        def at(h):
            return f(*[R.number(x + h * u) for x, u in zip(arrays, moved)]).value

        sign = -1 if name == "reversed_gradient" else 1
        np.testing.assert_allclose(found.get(1, 0.0), sign * (at(1e-6) - at(-1e-6)) / 2e-6, 1e-6, 1e-7)
        np.testing.assert_allclose(found.get(3, 0.0), (at(1e-4) - 2 * at(0) + at(-1e-4)) / 1e-8, 1e-4, 1e-5)


class TestItFindsFaults:
    FAULTS = {
        "a wrong derivative": ("tanh", lambda: tg.primitive(lambda d, z, x: d * (1 - z * x), name="wrong")(np.tanh)),
        "a wrong second derivative": ("square", lambda: tg.primitive(lambda d, z, x: d * (x.detach() * 2 if isinstance(
            x, tg.Tensor) else x * 2), name="wrong2")(np.square)),
        "an operation that shares its operand": ("negative", lambda: lambda x: x.__imul__(-1) if not x.is_leaf else -x),
    }

    @pytest.mark.parametrize("name, fault", FAULTS.values(), ids=FAULTS)
    def test_in_few_programs(self, monkeypatch, name, fault):
        monkeypatch.setitem(OPERATIONS, name, (fault(), *OPERATIONS[name][1:]))
        for seed in range(400):
            steps, _ = program(seed, Infinitesimals())
            if differs(steps):
                few = shortest(steps)
                assert len(few) <= 9 and any(name in str(step) for step in few)
                with pytest.raises(AssertionError):
                    check(few)
                return
        raise AssertionError("not found")
