"""This thread's generator: what draws from it, seeds, distributions, checkpoints, other threads, errors."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import DtypeError, GradientError, ShapeError

DRAWS = {
    "rand": lambda: tg.rand(4, 3), "randn": lambda: tg.randn((4, 3)), "randint": lambda: tg.randint(0, 100, (8,)),
    "randperm": lambda: tg.randperm(20), "rand_like": lambda: tg.rand_like(np.ones(5)),
    "randn_like": lambda: tg.randn_like(np.ones(5)),
    "bernoulli": lambda: tg.bernoulli(np.full(40, 0.5)), "multinomial": lambda: tg.multinomial(np.ones(30), 10),
    "dropout": lambda: tg.dropout(np.ones(40)), "NumPy's": lambda: tg.tensor(tg.generator().normal(size=4)),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_a_seed_makes_it_the_same_again(draw):
    tg.manual_seed(5)
    first, second = draw(), draw()
    tg.manual_seed(5)
    np.testing.assert_array_equal(draw().data, first.data)
    np.testing.assert_array_equal(draw().data, second.data)
    assert (first.data != second.data).any()


def test_a_seed_is_that_of_numpy():
    tg.manual_seed(3)
    np.testing.assert_array_equal(tg.randn(4).data, np.random.default_rng(3).standard_normal(4))


def test_a_seed_keeps_the_generator():
    held = tg.generator()
    assert tg.manual_seed(1) is held is tg.generator()


def test_each_thread_has_its_own():
    tg.manual_seed(1)
    state = tg.generator().bit_generator.state
    with ThreadPoolExecutor(1) as other:
        theirs = other.submit(lambda: (tg.generator(), tg.randn(3), tg.manual_seed(1) and tg.randn(3))).result()
    assert theirs[0] is not tg.generator() and tg.generator().bit_generator.state == state
    np.testing.assert_array_equal(theirs[2].data, tg.randn(3).data)


def test_distributions():
    tg.manual_seed(0)
    x, z = tg.rand(10_000).data, tg.randn(10_000).data
    assert 0 <= x.min() and x.max() < 1 and abs(x.mean() - 0.5) < 0.02 and abs(z.mean()) < 0.05 and abs(z.std() - 1) < 0.05
    assert set(tg.randint(3, 6, (1000,)).tolist()) == {3, 4, 5} and set(tg.randint(2, (100,)).tolist()) == {0, 1}
    assert abs(tg.bernoulli(np.full(10_000, 0.3)).data.mean() - 0.3) < 0.02
    counts = np.bincount(tg.multinomial([1.0, 0.0, 3.0], 10_000, replacement=True).data, minlength=3) / 10_000
    np.testing.assert_allclose(counts, [0.25, 0, 0.75], atol=0.02)
    drawn = tg.multinomial(np.ones((5, 4)), 4)
    assert drawn.shape == (5, 4) and (np.sort(drawn.data, 1) == np.arange(4)).all()


def test_dtypes_and_gradients():
    assert tg.randn(2, dtype="f4").dtype == np.float32 and tg.randn_like(np.ones(2, "f4")).dtype == np.float32
    x = tg.rand(2, requires_grad=True)
    assert x.requires_grad and x.is_leaf and not tg.randn(2).requires_grad and tg.randn().shape == ()


def test_a_checkpoint_draws_the_same_numbers_again():
    """And leaves the generator where the program had it."""
    x = tg.tensor(np.ones(100), requires_grad=True)
    tg.manual_seed(2)
    tg.dropout(x * 2).sum().backward()
    wanted, x.grad = x.grad, None
    tg.manual_seed(2)
    z = tg.checkpoint(lambda x: tg.dropout(x * 2).sum())(x)
    before = tg.generator().bit_generator.state
    z.backward()
    np.testing.assert_array_equal(x.grad, wanted)
    assert tg.generator().bit_generator.state == before


def test_a_checkpoint_refuses_other_random_numbers():
    rng, x = np.random.default_rng(0), tg.tensor(np.ones(100), requires_grad=True)
    z = tg.checkpoint(lambda x: tg.dropout(x * 2, rng=rng).sum())(x)
    with pytest.raises(GradientError, match="random, by another generator than tg.generator"):
        z.backward()


@pytest.mark.parametrize("call, error, words", [
    (lambda: tg.randn(2.5), ShapeError, "randn: a shape \\(2.5,\\)"), (lambda: tg.rand(-1), ShapeError, "rand: a shape"),
    (lambda: tg.randint(3, 3, (2,)), ValueError, "randint: low=3 and high=3"),
    (lambda: tg.randperm(-1), ValueError, "randperm: n=-1"), (lambda: tg.rand_like("a"), DtypeError, "dtype <U1"),
    (lambda: tg.bernoulli([1.5]), ValueError, "bernoulli: probabilities from 1.5"),
    (lambda: tg.bernoulli([1]), DtypeError, "bernoulli: probabilities int64"),
    (lambda: tg.multinomial([1.0, 0.0], 2), ValueError, "multinomial: 2 indices without replacement from 1"),
    (lambda: tg.multinomial([-1.0, 2.0], 1), ValueError, "multinomial: the weights"),
    (lambda: tg.multinomial(np.ones((1, 1, 1)), 1), ShapeError, "multinomial: weights float64 \\(1, 1, 1\\)"),
    (lambda: tg.bernoulli(tg.tensor([0.5], requires_grad=True)), GradientError, "bernoulli: there is no derivative")])
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
