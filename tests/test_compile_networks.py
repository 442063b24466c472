"""tg.compile of what networks are made of: other values of the same shapes are replayed, with the results and gradients of an
eager call, and what a network keeps between its calls moves as it does then."""

import numpy as np
import pytest
from compiled_calls import replays, strict

import tapegrad as tg
from tapegrad import nn

rng = np.random.default_rng(0)
STEPS = 3


def normal(*shape):
    return rng.normal(size=shape)


def positive(*shape):
    return rng.uniform(0.1, 0.9, shape)


def below(n, *shape):
    return rng.integers(0, n, shape)


def hidden(*shape):
    """A mask, some of whose rows hide everything."""
    mask = rng.random(shape) < 0.5
    mask[0] = True
    return mask


# (function, a function that makes its inputs): of more elements than could be compared at each call
FUNCTIONS = {
    "hardshrink": (tg.hardshrink, lambda: [normal(9, 10)]), "softshrink": (tg.softshrink, lambda: [normal(9, 10)]),
    "threshold": (lambda x: tg.threshold(x, 0.1, 2.0), lambda: [normal(9, 10)]),
    "masked_softmax": (tg.masked_softmax, lambda: [normal(9, 10), ~hidden(9, 10)]),
    "masked_softmax of numbers": (tg.masked_softmax, lambda: [normal(9, 10), np.where(hidden(9, 10), -np.inf, 0.5)]),
    "attention": (tg.scaled_dot_product_attention, lambda: [*normal(3, 2, 9, 4), ~hidden(9, 9)]),
    "pad": (lambda x: tg.pad(x, 2, "reflect"), lambda: [normal(9, 10)]),
    "scatter_add": (lambda x, i, y: tg.scatter_add(x, 0, i, y), lambda: [normal(9, 10), below(9, 8, 10), normal(8, 10)]),
    "index_add": (lambda x, i, y: tg.index_add(x, 1, i, y), lambda: [normal(2, 9), below(9, 80), normal(2, 80)]),
    "masked_fill": (lambda x, mask: tg.masked_fill(x, mask, 1.0), lambda: [normal(9, 10), hidden(9, 10)]),
    "gaussian_nll_loss": (tg.gaussian_nll_loss, lambda: [normal(9, 10), normal(9, 10), positive(9, 10)]),
    "poisson_nll_loss": (lambda x, y: tg.poisson_nll_loss(x, y, full=True), lambda: [normal(9, 10), 4 * positive(9, 10)]),
    "binary_cross_entropy": (tg.binary_cross_entropy, lambda: [positive(9, 10), positive(9, 10)]),
    "ctc_loss": (lambda x, y: tg.ctc_loss(tg.log_softmax(x), y, [9] * 30, [3] * 30), lambda: [normal(9, 30, 5),
                                                                                            1 + below(4, 30, 3)])}


def result(f, xs):
    leaves = [tg.tensor(x, requires_grad=x.dtype.kind == "f") for x in xs]
    z = f(*leaves)
    (z * z).sum().backward()
    return [z.data, *[x.grad for x in leaves if x.requires_grad]]


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_other_values_are_replayed(name):
    f, make = FUNCTIONS[name]
    compiled = strict(f)
    for _ in range(STEPS):
        xs = make()
        for found, wanted in zip(result(compiled, xs), result(f, xs), strict=True):
            np.testing.assert_allclose(found, wanted, 1e-10, 1e-12)
    assert sum(replays(compiled)) == STEPS - 1


def test_an_index_is_checked_at_each_call():
    f = strict(lambda x, i: tg.index_add(x, 0, i, np.ones(2)))
    x = tg.tensor(np.zeros(3))
    np.testing.assert_array_equal(f(x, np.array([0, 2])).data, [1, 0, 1])
    np.testing.assert_array_equal(f(x, np.array([1, 1])).data, [0, 2, 0])
    with pytest.raises(IndexError, match="index_add: an index from 1 to 3 for an axis of length 3"):
        f(x, np.array([1, 3]))


def trained(compiled, zero):
    tg.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4), nn.Dropout(0.25), nn.Linear(4, 2))
    optimizer = tg.optim.Adam(net.parameters(), lr=0.05, amsgrad=True)

    def step(x, y):
        zero(net, optimizer)
        loss = tg.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    step, data = compiled(step), np.random.default_rng(1)
    for _ in range(5):
        step(data.normal(size=(6, 3)).astype("f4"), data.integers(0, 2, 6))
    return net, step


@pytest.mark.parametrize("zero", [lambda net, optimizer: optimizer.zero_grad(), lambda net, optimizer: net.zero_grad(),
                                  lambda net, optimizer: optimizer.zero_grad(set_to_none=False),
                                  lambda net, optimizer: net.zero_grad(False)])
def test_statistics_of_batches_move_at_each_call(zero):
    (net, _), (other, step) = trained(lambda f: f, zero), trained(strict, zero)
    assert replays(step)[-1] >= 3 and net[1].num_batches_tracked.item() == other[1].num_batches_tracked.item() == 5
    for key, held in net.state_dict().items():
        np.testing.assert_allclose(other.state_dict()[key], held, 1e-5, 1e-6, err_msg=key)


# Modules, whose attributes are read by names that are computed

class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.scales = nn.ParameterList([np.ones(4), np.full(4, 2.0)])

    def forward(self, x):
        for scale in self.scales:
            x = x * scale
        return x


MODULES = {
    "LSTM": (lambda: nn.LSTM(3, 4, bidirectional=True, dtype="f8"), lambda: [normal(5, 2, 3)]),
    "GRU with lengths": (lambda: nn.GRU(3, 4, num_layers=2, dtype="f8"), lambda: [normal(5, 2, 3), None, np.array([5, 3])]),
    "RNN": (lambda: nn.RNN(3, 4, dtype="f8"), lambda: [normal(5, 2, 3)]),
    "CrossEntropyLoss": (nn.CrossEntropyLoss, lambda: [normal(90, 4), below(4, 90)]),
    "NLLLoss": (lambda: nn.NLLLoss(weight=positive(4)), lambda: [normal(90, 4), below(4, 90)]),
    "BCEWithLogitsLoss": (lambda: nn.BCEWithLogitsLoss(pos_weight=positive(4)), lambda: [normal(30, 4), positive(30, 4)]),
    "Softmax": (lambda: nn.Softmax(0), lambda: [normal(30, 4)]), "LogSoftmax": (nn.LogSoftmax, lambda: [normal(30, 4)]),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(2, 3, 2, dtype="f8"), lambda: [normal(2, 2, 30)]),
    "ParameterList": (Scaled, lambda: [normal(30, 4)])}


def first(z):
    return z[0] if isinstance(z, tuple) else z


@pytest.mark.slow
@pytest.mark.parametrize("name", MODULES)
def test_modules_are_replayed(name):
    make, inputs = MODULES[name]
    module = make()
    compiled = strict(module)
    for _ in range(STEPS):
        xs = inputs()
        for p in module.parameters():
            p.data[...] *= 1.25
        np.testing.assert_allclose(first(compiled(*xs)).data, first(module(*xs)).data, 1e-10, 1e-12)
    assert sum(replays(compiled)) == STEPS - 1


@pytest.mark.parametrize("module, option, wanted", [
    (nn.LeakyReLU(0.5), "negative_slope", -0.25), (nn.ELU(1.0), "alpha", 0.25 * np.expm1(-1)), (nn.Dropout(0.0), "p", 0.0),
    (nn.MarginRankingLoss(), "margin", 0.25)])
def test_options_are_read_at_each_call(module, option, wanted):
    compiled, x = strict(module), np.array([-1.0])
    inputs = [x] * (3 if option == "margin" else 1)
    for _ in range(2):
        compiled(*inputs)
    setattr(module, option, 0.25 if option != "p" else 1.0)
    assert compiled(*inputs).data == pytest.approx(wanted)
