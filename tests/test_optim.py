"""The optimisers against the formulas of their papers, written out, and against PyTorch."""

import os
import re
import subprocess
import sys
from math import nan

import numpy as np
import pytest
from optimisers import cases, leaves, numbers, without_compiler

import tapegrad as tg
from tapegrad.errors import ShapeError
from tapegrad.kernels.compile import compiler
from tapegrad.kernels.optimisers import fused
from tapegrad.optim import SGD, Adagrad, Adam, AdamW, NAdam, Optimizer, RMSprop

needs_numba = pytest.mark.skipif(compiler() is None, reason="numba is missing or switched off")
STEPS = 40
dtypes = pytest.mark.parametrize("dtype", ["f4", "f8"])


def formula(optimiser, xs, gs_of_steps, lr=1e-3, momentum=0, weight_decay=None, nesterov=False, betas=(0.9, 0.999), eps=None,
            alpha=0.99, centered=False, lr_decay=0, initial_accumulator_value=0, momentum_decay=4e-3,
            decoupled_weight_decay=False, dampening=0, amsgrad=False, maximize=False):
    """The papers' formulas in longdouble, one real parameter after the other."""
    weight_decay = (0.01 if optimiser is AdamW else 0) if weight_decay is None else weight_decay
    eps = (1e-10 if optimiser is Adagrad else 1e-8) if eps is None else eps
    results = []
    for k, x in enumerate(xs):
        x = np.array(x, np.longdouble)
        v = m = b = top = np.zeros_like(x)
        s, mus = np.full_like(x, initial_accumulator_value), np.longdouble(1)
        for t, gs in enumerate(gs_of_steps, 1):
            g = gs[k].astype(np.longdouble) * (-1 if maximize else 1)
            if optimiser is AdamW or decoupled_weight_decay:
                x = x - lr * weight_decay * x
            else:
                g = g + weight_decay * x
            if optimiser is SGD:
                v = momentum * v + g * (1 if t == 1 else 1 - dampening)
                x = x - lr * (g + momentum * v if nesterov else v if momentum else g)
            elif optimiser is Adagrad:
                s = s + g * g
                x = x - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(s) + eps)
            elif optimiser is RMSprop:
                v, m = alpha * v + (1 - alpha) * g * g, alpha * m + (1 - alpha) * g
                step = g / (np.sqrt(v - m * m if centered else v) + eps)
                b = momentum * b + step
                x = x - lr * b
            elif optimiser is NAdam:
                m, v = betas[0] * m + (1 - betas[0]) * g, betas[1] * v + (1 - betas[1]) * g * g
                mu, following = (betas[0] * (1 - np.longdouble(0.96) ** (i * momentum_decay) / 2) for i in (t, t + 1))
                mus = mus * mu
                ahead = (1 - mu) / (1 - mus) * g + following / (1 - mus * following) * m
                x = x - lr * ahead / (np.sqrt(v / (1 - betas[1] ** t)) + eps)
            else:
                m, v = betas[0] * m + (1 - betas[0]) * g, betas[1] * v + (1 - betas[1]) * g * g
                top = np.maximum(top, v) if amsgrad else v
                x = x - lr * (m / (1 - betas[0] ** t)) / (np.sqrt(top / (1 - betas[1] ** t)) + eps)
        results.append(x)
    return results


def close(found, wanted, dtype, steps=STEPS):
    """To a few units in the last place of the largest element per step made."""
    unit = np.finfo(dtype).eps
    for x, y in zip(found, wanted, strict=True):
        assert x.dtype == dtype and x.shape == y.shape
        np.testing.assert_allclose(x, np.asarray(y, x.dtype), rtol=4 * unit, atol=steps * unit * np.abs(y).max(initial=0))


@cases
@dtypes
def test_against_the_formulas(both_paths, optimiser, options, dtype):
    xs, gs = numbers(dtype), [numbers(dtype, seed=t) for t in range(1, STEPS)]
    ps = leaves(xs)
    descent = optimiser(ps, **{"lr": 1e-3} | options)
    for of_step in gs:
        for p, g in zip(ps, of_step):
            p.grad = g
        descent.step()
    close([p.data for p in ps], formula(optimiser, xs, gs, **options), dtype)


@cases
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16"])
def test_against_pytorch(both_paths, optimiser, options, dtype):
    """With parameters that have no gradient in some steps, and a rate that changes."""
    torch = pytest.importorskip("torch")
    xs = numbers(dtype)
    ps, ts = leaves(xs), [torch.tensor(x, requires_grad=True) for x in xs]
    ours, theirs = (make(of, **{"lr": 1e-3} | options)
                    for make, of in ((optimiser, ps), (getattr(torch.optim, optimiser.__name__), ts)))
    rates = theirs.param_groups[0]
    for step in range(1, STEPS):
        ours.zero_grad()
        theirs.zero_grad()
        for k, (p, t, g) in enumerate(zip(ps, ts, numbers(dtype, seed=step))):
            if (step + k) % 3 or step > 25:
                p.grad, t.grad = g, torch.tensor(g)
        ours.lr = rates["lr"] = ours.lr * (0.9 if step % 10 == 0 else 1)
        ours.step()
        theirs.step()
    if optimiser is NAdam:                              # whose product of momenta is float32 in PyTorch
        for p, t in zip(ps, ts):
            np.testing.assert_allclose(p.data, t.detach().numpy(), rtol=1e-5, atol=1e-8)
    else:
        close([p.data for p in ps], [t.detach().numpy() for t in ts], dtype)


@cases
def test_the_kernel_and_the_arrays_agree(monkeypatch, optimiser, options):
    """In float64 and float32 at once, on arrays that are contiguous and arrays that are not."""
    results = []
    for prepare in (lambda monkeypatch: None, without_compiler):
        prepare(monkeypatch)
        xs = numbers("f8") + numbers("f4") + [np.asfortranarray(x) for x in numbers("f4", [(8, 5)])]
        ps = leaves(xs)
        assert not ps[-1].data.flags.c_contiguous
        descent = optimiser(ps, **{"lr": 1e-3} | options)
        for t in range(10):
            for p, g in zip(ps, numbers("f8", [x.shape for x in xs], seed=t)):
                p.grad = g.astype(p.dtype)
            descent.step()
        results.append([p.data for p in ps])
    for x, y in zip(*results):
        close([x], [y], x.dtype, 10)


@needs_numba
def test_what_goes_through_the_kernel(monkeypatch):
    """All that models are made of; also gradients that are views, which are copied."""
    pytest.importorskip("numba")
    monkeypatch.setattr(Adam, "_step_on_arrays", None)
    x, y, z = leaves([np.ones((3, 4), "f4"), np.ones((3, 4)), np.ones(2, "c16")])
    x.grad, y.grad, z.grad = np.ones((4, 3), "f4").T, np.broadcast_to(2.0, (3, 4)), np.ones(4, "c16")[::2]
    Adam([x, y, z], lr=0.5).step()
    for p in x, y, z:
        np.testing.assert_allclose(p.data, np.full(p.shape, 0.5), rtol=1e-6)


@needs_numba
def test_there_is_a_kernel_for_what_models_are_made_of():
    pytest.importorskip("numba")
    for name in "sgd", "adam":
        for dtype in np.dtype("f4"), np.dtype("f8"):
            assert fused(name, dtype) is not None
        assert fused(name, np.dtype("f2")) is fused(name, np.dtype(">f4")) is None


@needs_numba
@pytest.mark.parametrize("name, vectors", [("sgd", [r"fmul .*<\d+ x float>"]),
                                           ("adam", [r"llvm\.sqrt\.v\d+f32", r"fdiv .*<\d+ x float>"])])
def test_the_loops_are_vectors_of_their_precision(name, vectors):
    """In the code that LLVM made; numba's literals would widen float32."""
    numba = pytest.importorskip("numba")
    from tapegrad.kernels.jit import optimisers
    function, signature = optimisers.functions(np.float32)[name]
    text, = numba.njit(signature, **optimisers.OPTIONS)(function).inspect_llvm().values()
    for pattern in vectors:
        assert re.search(pattern, text)
    assert not re.search(r"fpext .*float|<\d+ x double>", text)


@cases
def test_float16(optimiser, options):
    """In float32, rounded at each step: an element whose gradient is 0 stays."""
    x = tg.tensor(np.ones(4, "f2"), requires_grad=True)
    descent = optimiser([x], **{"lr": 1e-3} | options | {"weight_decay": 0.0})
    x.grad = np.array([0, 1, -1, 0.5], "f2") * np.float16(-1 if options.get("maximize") else 1)
    descent.step()
    assert x.dtype == np.float16 and x.data[0] == 1 and x.data[1] < 1 < x.data[2]


def test_adam_by_hand(both_paths):
    x = tg.tensor([1.0], requires_grad=True)
    optimiser = Adam([x], lr=0.5)
    (x * 4).sum().backward()
    optimiser.step()                                    # the first step is lr * sign(g)
    np.testing.assert_allclose(x.data, [0.5], rtol=1e-8)


def test_adam_after_many_steps(both_paths):
    """The powers of the betas."""
    x = tg.tensor([1.0], requires_grad=True)
    optimiser = Adam([x], lr=0.5, betas=(0.99999, 0.9999999), eps=0.0)
    state = optimiser.state_dict()
    state["state"][0] |= {"steps": 1_000_000, "m": np.array([3.0]), "v": np.array([4.0])}
    optimiser.load_state_dict(state)
    x.grad = np.array([3.0])
    optimiser.step()
    t, b1, b2 = 1_000_001, np.longdouble(0.99999), np.longdouble(0.9999999)
    square = (b2 * 4 + (1 - b2) * 9) / (1 - b2 ** t)
    np.testing.assert_allclose(x.data[0], float(1 - 0.5 * (3 / (1 - b1 ** t)) / np.sqrt(square)), rtol=1e-9)


class TestGradients:
    def test_none_leaves_a_parameter(self, both_paths):
        x, y = leaves([np.ones(1), np.ones(1)])
        x.sum().backward()
        SGD([x, y], lr=1.0, weight_decay=0.1).step()
        assert x.data[0] < 0.5 and y.data == 1

    def test_none_stops_the_count(self, both_paths):
        """The first step of Adam is lr * sign(g), at whichever step of the optimiser it comes."""
        x, y = leaves([np.ones(2), np.ones(2)])
        optimiser = Adam([x, y], lr=0.5, eps=0.0)
        for step in range(3):
            x.grad = np.full(2, 3.0)
            y.grad = np.full(2, -7.0) if step == 2 else None
            optimiser.step()
        np.testing.assert_allclose(y.data, [1.5, 1.5], rtol=1e-15)

    def test_tensors(self, both_paths):
        """After create_graph=True."""
        x = tg.tensor([1.0, 2.0], requires_grad=True)
        (x * x).sum().backward(create_graph=True)
        assert isinstance(x.grad, tg.Tensor)
        SGD([x], 0.25).step()
        np.testing.assert_array_equal(x.data, [0.5, 1.0])

    def test_fortran_order_and_broadcast(self, both_paths):
        x = tg.tensor(np.zeros((2, 3)), requires_grad=True)
        g = np.arange(6.0).reshape(2, 3)
        for grad, expected in ((np.asfortranarray(g), -g), (np.broadcast_to(np.ones(3), (2, 3)), -g - 1)):
            x.grad = grad
            SGD([x], 1.0).step()
            np.testing.assert_array_equal(x.data, expected)

    def test_wrong_shape_and_dtype(self, both_paths):
        x = tg.tensor(np.zeros((2, 3), "f4"), requires_grad=True)
        for wrong in np.ones((3, 2), "f4"), np.ones((2, 3)):
            with pytest.raises(ValueError, match="grad"):
                x.grad = wrong
        x.grad = np.ones((2, 3), "f4")
        x.grad.resize((2, 2), refcheck=False)           # behind the tensor's back
        with pytest.raises(ShapeError, match=r"SGD: .* \(2, 2\) for a parameter float32 \(2, 3\)"):
            SGD([x], 0.1).step()

    @pytest.mark.parametrize("make", [lambda p: SGD(p, 0.1, momentum=0.9), Adam, AdamW])
    def test_infinities_stay_where_they_are(self, both_paths, make):
        x = tg.tensor([1.0, np.inf, 2.0], requires_grad=True)
        x.grad = np.array([np.nan, 1.0, 1.0])
        make([x]).step()
        assert np.isnan(x.data[0]) and x.data[1] == np.inf and x.data[2] < 2


def test_a_closure_is_called_first_and_records():
    x = tg.tensor([2.0], requires_grad=True)
    for make in (lambda p: SGD(p, 0.1), Adam, RMSprop):
        def closure():
            x.grad = None
            loss = (x * x).sum()
            loss.backward()
            return loss

        with tg.no_grad():
            before = x.item()
            assert make([x]).step(closure).item() == before ** 2 and x.item() < before


class TestBadCalls:
    def test_parameters(self):
        x = tg.tensor([1.0], requires_grad=True)
        for wrong, error, message in [
                ([tg.tensor([1.0])], ValueError, "leaf"), ([x * 2], ValueError, "leaf"), ([], ValueError, "SGD: .* empty"),
                ([x, x], ValueError, "SGD: .* twice"), (x, TypeError, "SGD: .* not one tensor"),
                ([x, np.ones(2)], TypeError, r"SGD: float64 \(2,\)"), ({"x": x}, TypeError, "SGD: str")]:
            with pytest.raises(error, match=message):
                SGD(wrong, lr=0.1)

    @pytest.mark.parametrize("optimiser, options, message", [
        (SGD, {"lr": -0.1}, "SGD: lr=-0.1 is negative"), (SGD, {"lr": nan}, "SGD: lr=nan"),
        (SGD, {"lr": 0.1, "momentum": -0.5}, "SGD: momentum=-0.5"),
        (SGD, {"lr": 0.1, "weight_decay": -0.5}, "SGD: weight_decay=-0.5"),
        (SGD, {"lr": 0.1, "nesterov": True}, "SGD: nesterov=True with momentum=0.0"),
        (Adam, {"lr": -1.0}, "Adam: lr=-1.0"), (Adam, {"betas": (1.0, 0.9)}, r"Adam: betas=\(1.0, 0.9\)"),
        (Adam, {"betas": (0.9, -0.1)}, r"Adam: betas=\(0.9, -0.1\)"), (Adam, {"betas": (0.9,)}, r"Adam: betas=\(0.9,\)"),
        (Adam, {"eps": -1e-8}, "Adam: eps=-1e-08"), (AdamW, {"weight_decay": -0.1}, "AdamW: weight_decay=-0.1"),
        (AdamW, {"betas": (0.9, 1.5)}, r"AdamW: betas=\(0.9, 1.5\)")])
    def test_hyperparameters(self, optimiser, options, message):
        with pytest.raises(ValueError, match=message):
            optimiser([tg.tensor([1.0], requires_grad=True)], **options)


def test_an_optimiser_of_a_user():
    class Signs(Optimizer):
        def move(self, i, x, g):
            x -= self.lr * np.sign(g)

    x, y = leaves([np.ones(2), np.ones(2)])
    (3 * x).sum().backward()
    Signs([x, y], 0.25).step()
    assert x.tolist() == [0.75, 0.75] and y.tolist() == [1, 1]


SCRIPT = """
import sys, numpy as np, tapegrad as tg
if WITHOUT: sys.modules["numba"] = None
x = tg.tensor(np.linspace(-1, 1, 100, dtype="f4"), requires_grad=True)
for make in (lambda p: tg.optim.SGD(p, 0.1, momentum=0.9), tg.optim.Adam):
    descent = make([x])
    assert "numba" not in sys.modules or WITHOUT or make is tg.optim.Adam
    for _ in range(5):
        descent.zero_grad()
        (x ** 3).sum().backward()
        descent.step()
from tapegrad.kernels.optimisers import fused
print(fused("adam", x.dtype) is None, x.data.tobytes().hex())
"""


def fresh(without=False, **environment):
    code = SCRIPT.replace("WITHOUT", str(without))
    result = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True,
                            env=os.environ | environment)
    assert result.returncode == 0, result.stderr
    plain, data = result.stdout.split()
    return plain == "True", np.frombuffer(bytes.fromhex(data), "f4")


@needs_numba
def test_without_a_compiler():
    (none, expected), (plain, x), (missing, y) = fresh(), fresh(NUMBA_DISABLE_JIT="1"), fresh(without=True)
    assert (none, plain, missing) == (False, True, True)
    np.testing.assert_array_equal(x, y)
    close([x], [expected], "f4", 10)


@needs_numba
def test_the_cache_of_kernels(tmp_path):
    """Written, used again, and done without where it is broken or can't be written."""
    cache = tmp_path / "cache"
    _, expected = fresh(NUMBA_CACHE_DIR=str(cache))
    files = sorted(cache.rglob("*.nbc"))
    assert len(files) == 2                              # sgd and adam in float32
    dates = [file.stat().st_mtime_ns for file in files]
    np.testing.assert_array_equal(fresh(NUMBA_CACHE_DIR=str(cache))[1], expected)
    assert [file.stat().st_mtime_ns for file in files] == dates
    for file in cache.rglob("*.nb[ic]"):
        file.write_bytes(b"garbage")
    plain, x = fresh(NUMBA_CACHE_DIR=str(cache))
    assert not plain
    np.testing.assert_array_equal(x, expected)
    (tmp_path / "file").write_text("")
    plain, x = fresh(NUMBA_CACHE_DIR=str(tmp_path / "file" / "below"))
    assert not plain
    np.testing.assert_array_equal(x, expected)
