"""backward(): accumulation, consumption, dtypes, errors, and agreement with PyTorch where it is installed."""

import copy
import pickle
import textwrap

import numpy as np
import pytest
from cases import CASES

import tapegrad as tg
from tapegrad import errors
from tapegrad.core import sweep
from tapegrad.core.record import recorded
from tapegrad.primitives import arrays


def leaf(values, dtype=None):
    return tg.tensor(values, dtype=dtype, requires_grad=True)


class TestAccumulation:
    def test_gradients_accumulate_over_calls(self):
        x = leaf([1.0, 2.0])
        (x * 3).sum().backward()
        (x * 4).sum().backward()
        np.testing.assert_array_equal(x.grad, [7, 7])
        x.zero_grad()
        assert x.grad is None

    def test_accumulating_leaves_a_gradient_that_was_taken_alone(self):
        x = leaf([1.0, 2.0])
        (x * 3).sum().backward()
        taken = x.grad
        (x * 4).sum().backward()
        np.testing.assert_array_equal(taken, [3, 3])
        np.testing.assert_array_equal(x.grad, [7, 7])

    def test_leaves_do_not_share_a_gradient_array(self):
        x, y, seed = leaf([1.0, 2.0]), leaf([3.0, 4.0]), np.ones(2)
        (x + y).backward(seed)
        x.grad *= 10
        np.testing.assert_array_equal(y.grad, [1, 1])
        np.testing.assert_array_equal(seed, [1, 1])
        z = leaf([[1.0, 2.0]])
        (z.reshape(2) + y).sum().backward()
        assert z.grad.flags.writeable and y.grad.flags.writeable and not np.shares_memory(z.grad, y.grad)

    def test_a_result_used_many_times(self):
        x = leaf(np.linspace(0.1, 1, 5))
        h = tg.exp(x)
        (h * h + h * 2 + h.reshape(5) + tg.square(h)).sum().backward()
        e = np.exp(x.data)
        np.testing.assert_allclose(x.grad, (4 * e + 3) * e)

    def test_backward_from_the_middle_keeps_what_comes_after(self):
        x = leaf([2.0])
        h = x * x
        z = h * x
        h.backward(retain_graph=True)
        z.backward()
        np.testing.assert_array_equal(x.grad, [4 + 12])

    def test_a_leaf_itself(self):
        x = leaf(3.0)
        x.backward()
        assert x.grad == 1.0 and isinstance(x.grad, np.ndarray)

    def test_retain_grad(self):
        x = leaf([1.0, 2.0])
        h = x * 3
        h.retain_grad()
        assert h.grad is None
        (h * h).sum().backward()
        np.testing.assert_array_equal(h.grad, [6, 12])
        np.testing.assert_array_equal(x.grad, [18, 36])

    def test_retain_grad_does_not_show_on_the_tape(self):
        x = leaf([1.0])
        h = x * 3
        h.retain_grad()
        assert tg.tape().wengert() == [("h", "multiply", ("x", "3"))]


@pytest.mark.parametrize("uses", (1, 2, 3))
def test_gradients_of_scalars_are_arrays(uses):
    x, seen = leaf(2.0), []
    h = x * 3
    h.retain_grad()
    for z in (x, h):
        z.register_hook(lambda d: seen.append(type(d)))
    total = sum([h * k + x for k in range(uses)], 0.0)
    for _ in range(3):
        total.backward(retain_graph=True)
        assert type(x.grad) is type(h.grad) is np.ndarray and x.grad.shape == h.grad.shape == ()
    assert set(seen) == {np.ndarray}
    assert x.grad == 3 * (uses + 3 * sum(range(uses)))


class TestConsumption:
    def test_a_second_backward_says_what_to_do(self):
        x = leaf([1.0])
        z = tg.exp(x).sum()
        z.backward()
        with pytest.raises(errors.ConsumedTapeError, match="retain_graph=True"):
            z.backward()
        np.testing.assert_allclose(x.grad, np.exp([1.0]))

    def test_a_consumed_part_is_noticed_and_no_leaf_gets_half_a_gradient(self):
        x, y = leaf([1.0]), leaf([2.0])
        h = tg.exp(x)
        h.sum().backward()
        with pytest.raises(errors.ConsumedTapeError):
            (h * y).sum().backward()
        assert y.grad is None
        tg.exp(y).sum().backward()                      # the deltas that the failed sweep had on the way are gone
        np.testing.assert_array_equal(y.grad, np.exp(y.data))

    def test_retain_graph(self):
        x = leaf([1.0, 3.0])
        z = (x * x).sum()
        z.backward(retain_graph=True)
        z.backward()
        np.testing.assert_array_equal(x.grad, [4, 12])

    def test_detach_cuts(self):
        x = leaf([1.0, 3.0])
        h = (x * x).detach()
        assert h.is_leaf and not h.requires_grad
        (h * x).sum().backward()
        np.testing.assert_array_equal(x.grad, [1, 9])

    def test_a_rule_that_raises_leaves_a_usable_tape(self):
        memory = []

        @tg.primitive(lambda d, out, x: d * memory.pop())
        def times_what_is_there(x):
            return x

        x = leaf([1.0])
        z = tg.sin(times_what_is_there(x)).sum()
        with pytest.raises(IndexError):
            z.backward(retain_graph=True)
        assert x.grad is None
        memory.append(3.0)
        z.backward()
        np.testing.assert_allclose(x.grad, 3 * np.cos([1.0]))


class TestHigherOrder:
    def test_create_graph(self):
        x = leaf([0.5, 2.0])
        (x ** 3).sum().backward(create_graph=True)
        first, x.grad = x.grad, None
        assert isinstance(first, tg.Tensor)
        np.testing.assert_allclose(first.data, 3 * x.data ** 2)
        first.sum().backward(create_graph=True)
        second, x.grad = x.grad, None
        np.testing.assert_allclose(second.data, 6 * x.data)
        second.sum().backward()
        np.testing.assert_allclose(x.grad, [6, 6])


class TestDtypes:
    @pytest.mark.parametrize("number", [2, 2.5, True])
    def test_python_numbers_do_not_widen(self, number):
        x = leaf([1, 2], np.float32)
        for z in (x * number, number * x, x + number, number - x, x / number, number / x, x ** number):
            assert z.dtype == np.float32
            z.sum().backward()
            assert x.grad.dtype == np.float32

    def test_mixed_dtypes_promote_and_come_back(self):
        x, y = leaf([1, 2], np.float32), leaf([3.0, 4.0])
        z = x * y
        assert z.dtype == np.float64
        z.sum().backward()
        assert x.grad.dtype == np.float32 and y.grad.dtype == np.float64

    def test_integers_have_no_gradient(self):
        with pytest.raises(errors.DtypeError, match="int64"):
            tg.tensor([1, 2], requires_grad=True)
        x = tg.tensor([1, 2])
        with pytest.raises(errors.DtypeError):
            x.requires_grad = True
        y = leaf([1.0, 2.0])
        (x * y).sum().backward()
        np.testing.assert_array_equal(y.grad, [1, 2])


class TestBadCalls:
    def test_not_a_scalar(self):
        with pytest.raises(errors.GradientError, match=r"\(2,\)"):
            (leaf([1.0, 2.0]) * 2).backward()

    def test_no_gradient_required(self):
        with pytest.raises(errors.GradientError, match="requires_grad"):
            tg.tensor(2.0).backward()
        with pytest.raises(RuntimeError), tg.no_grad():
            leaf([1.0]).sum().backward()

    @pytest.mark.parametrize("gradient, kind", [(np.ones(3), ValueError), (tg.tensor([1, 1]), TypeError)])
    def test_wrong_gradient(self, gradient, kind):
        with pytest.raises(kind):
            (leaf([1.0, 2.0]) * 2).backward(gradient)

    @pytest.mark.parametrize("call, words", [
        (lambda x, y: x * y, ["multiply", "(3,)", "(4,)", "float64"]),
        (lambda x, y: x @ y, ["matmul", "(3,)", "(4,)"]),
        (lambda x, y: tg.where(x > 0, x, y), ["where", "bool (3,)", "(4,)"]),
        (lambda x, y: x.sum(axis=2), ["sum", "axis 2", "(3,)"]),
        (lambda x, y: x.sum(axis=(0, 0)), ["sum", "twice"]),
        (lambda x, y: x.reshape(2, 2), ["reshape", "(3,)", "(2, 2)"]),
        (lambda x, y: tg.concatenate([x, y.reshape(2, 2)]), ["concatenate", "(2, 2)"]),
        (lambda x, y: tg.concatenate([]), ["concatenate", "nothing"]),
        (lambda x, y: tg.stack([x, y]), ["stack", "(4,)"]),
        (lambda x, y: tg.cross_entropy(x, y), ["cross_entropy", "(3,)", "(4,)"]),
    ])
    def test_shapes_that_do_not_fit(self, call, words):
        with pytest.raises(errors.ShapeError) as caught:
            call(leaf(np.ones(3)), leaf(np.ones(4)))
        for word in words:
            assert word in str(caught.value)

    @pytest.mark.parametrize("call, kind, words", [
        (lambda x: x[5], IndexError, ["getitem", "5"]),
        (lambda x: x[1.5], (TypeError, IndexError), ["getitem"]),
        (lambda x: x[np.ones(3)], TypeError, ["getitem", "float64"]),
        (lambda x: x + "one", TypeError, ["add", "str"]),
        (lambda x: x + None, TypeError, ["add", "NoneType"]),
        (lambda x: tg.tensor(["a"]), TypeError, ["tensor"]),
        (lambda x: tg.cross_entropy(x, np.array(7)), IndexError, ["cross_entropy", "7", "3"]),
        (lambda x: np.subtract.reduce(x), TypeError, ["subtract.reduce"]),
        (lambda x: np.add.accumulate(x, out=np.ones(3)), TypeError, ["add.accumulate"]),
        (lambda x: np.histogram(x), TypeError, ["np.histogram"]),
        (lambda x: np.frexp(x), TypeError, ["frexp"]),
        (lambda x: np.add(x, 1, out=np.ones(3)), TypeError, ["add", "out"]),
    ])
    def test_other_bad_calls(self, call, kind, words):
        with pytest.raises(kind) as caught:
            call(leaf(np.ones(3)))
        for word in words:
            assert word in str(caught.value)

    def test_results_cannot_be_copied(self):
        x = leaf([1.0])
        with pytest.raises(errors.GradientError, match="detach"):
            copy.deepcopy(x * 2)
        for same in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
            assert same.requires_grad and same.data == x.data and same is not x

    def test_shallow_copies_are_on_the_tape(self):
        x = leaf([3.0])
        z = copy.copy(x * x)
        z.sum().backward()
        assert x.grad == 6 and copy.copy(x).requires_grad and copy.copy(x) is not x


def tree(F, x, y, W):
    """An expression with every kind of operation that the models use; F is tapegrad or PyTorch's functions."""
    a = F.tanh(x @ W + y) * F.sigmoid(y) / (2.0 + F.exp(-x[:, :1]))
    b = F.relu(a - 0.1) ** 2 + F.sqrt(F.exp(y)) - abs(y)
    return (b * 0.5 - a).sum() + F.logsumexp(b) + F.cross_entropy(a, np.array([0, 2, 1]))


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 2e-5)])
def test_against_pytorch(dtype, tolerance):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    arrays = [rng.normal(size=shape).astype(dtype) for shape in ((3, 4), (1, 4), (4, 4))]

    class T:
        tanh, sigmoid, relu, exp, sqrt = torch.tanh, torch.sigmoid, torch.relu, torch.exp, torch.sqrt

        @staticmethod
        def cross_entropy(x, target):
            return torch.nn.functional.cross_entropy(x, torch.tensor(target))

        @staticmethod
        def logsumexp(x):
            return torch.logsumexp(x, -1).sum()

    class G:
        tanh, sigmoid, relu, exp, sqrt, cross_entropy = tg.tanh, tg.sigmoid, tg.relu, tg.exp, tg.sqrt, tg.cross_entropy

        @staticmethod
        def logsumexp(x):
            return tg.logsumexp(x, -1).sum()

    ours = [tg.tensor(x, requires_grad=True) for x in arrays]
    theirs = [torch.tensor(x, requires_grad=True) for x in arrays]
    z, t = tree(G, *ours), tree(T, *theirs)
    np.testing.assert_allclose(z.item(), t.item(), rtol=tolerance)
    z.backward()
    t.backward()
    for x, w in zip(ours, theirs):
        np.testing.assert_allclose(x.grad, w.grad.numpy(), rtol=tolerance * 10, atol=tolerance)


class TestTheSweepOfTheDocstring:
    """core/sweep.py opens with a sweep in a few lines: it runs, and the fast one comes to the same."""

    @staticmethod
    def reverse(loss, leaves):
        text = textwrap.dedent(sweep.__doc__.partition("The reverse sweep.")[2].partition("\n\ndelta[y] +=")[0])
        names = {"fit": sweep.fit}
        exec(text, names)
        delta = names["reverse"](arrays, tg.tape().entries, {loss._register: np.ones(loss.shape, loss.dtype)})
        return [delta.get(x._register) for x in leaves]

    @pytest.mark.parametrize("case", CASES, ids=repr)
    def test_every_row(self, case):
        compared = 0
        for shapes in case.shapes:
            for static in case.static:
                xs = [draw(shape, seed) for seed, (draw, shape) in enumerate(zip(case.operands, shapes))]
                xs = [tg.tensor(x, requires_grad=np.asarray(x).dtype.kind == "f") for x in xs]
                op = getattr(recorded, case.name)
                z = op(xs, *static) if case.variadic else op(*xs, *static)
                if not z.requires_grad or z.dtype.kind == "c":
                    continue
                xs, loss = [x for x in xs if x.requires_grad], (z * z + z).sum()
                expected = self.reverse(loss, xs)
                loss.backward()
                for x, delta in zip(xs, expected):
                    np.testing.assert_allclose(0 * x.data if x.grad is None else x.grad, 0 if delta is None else delta,
                                               rtol=1e-13)
                    compared += 1
        assert compared or z.dtype.kind == "c"

    def test_a_recurrent_net(self):
        W, b, h = leaf(np.eye(3) / 3), leaf(np.ones(3)), np.ones((2, 3))
        for _ in range(5):
            h = tg.tanh(h @ W + b * h)
        expected = self.reverse(h.sum(), [W, b])
        h.sum().backward()
        for x, delta in zip([W, b], expected):
            np.testing.assert_allclose(x.grad, delta, rtol=1e-13)


class TestWhatAGradientKeeps:
    """A gradient that is on the tape depends on what it is the gradient of: they go together when the tensor goes."""

    def of_a_leaf(self):
        x = leaf([1.0, 2.0])
        (x * x * x).sum().backward(create_graph=True)
        (x.grad * x.grad).sum().backward(create_graph=True)

    def of_a_result(self):
        x = leaf([1.0, 2.0])
        h = x * x
        h.retain_grad()
        (h * h).sum().backward(create_graph=True)
        x.grad = None

    def of_a_value_before(self):
        x = leaf([1.0, 2.0])
        h = x * x
        h.retain_grad()
        (h * h).sum().backward(create_graph=True)
        h += x
        (h * h).sum().backward(create_graph=True)

    def of_what_is_a_constant_now(self):
        x = leaf([1.0, 2.0])
        (x * x * x).sum().backward(create_graph=True)
        x.requires_grad = False

    @pytest.mark.parametrize("way", ("of_a_leaf", "of_a_result", "of_a_value_before", "of_what_is_a_constant_now"))
    def test_the_tape_is_empty_afterwards(self, way):
        for _ in range(3):
            getattr(self, way)()
        assert len(tg.tape()) == 0

    def test_it_is_there_as_long_as_the_tensor(self):
        x = leaf([1.0, 2.0])
        alias, z = x, (x * x * x).sum()
        del x
        z.backward(create_graph=True)
        del z
        np.testing.assert_array_equal(alias.grad.data, [3, 12])
        g, = tg.autograd.grad(alias.grad.sum(), alias)
        np.testing.assert_array_equal(g.data, [6, 12])
