"""Modules: what they hold, their state, settings, text, derivatives against differences, errors; with PyTorch they are compared
in test_nn_pytorch.py.
"""

import copy
import pickle
import re

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import nn
from tapegrad.errors import DtypeError, GradientError, ShapeError, StateError


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


class Two(nn.Module):
    """Parameters and a buffer of its own, a module, and one that is there twice."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(2, 3)
        self.scale = nn.Parameter(np.ones(3, "f4"))
        self.register_buffer("seen", np.array(0))
        self.register_buffer("scratch", np.zeros(2), persistent=False)
        self.same = self.inner
        self.constant = tg.tensor([1.0])
        self.register_parameter("none", None)

    def forward(self, x):
        return self.same(self.inner(x)[..., :2]) * self.scale


class TestWhatIsInside:
    def test_names(self):
        module = Two()
        assert [name for name, _ in module.named_parameters()] == ["scale", "inner.weight", "inner.bias"]
        assert [name for name, _ in module.named_parameters(recurse=False)] == ["scale"]
        assert [name for name, _ in module.named_buffers()] == ["seen", "scratch"]
        assert list(module.state_dict()) == ["scale", "seen", "inner.weight", "inner.bias", "same.weight", "same.bias"]
        assert [name for name, _ in module.named_modules()] == ["", "inner"] and len(list(module.children())) == 1
        assert len(list(module.parameters())) == 3 and len(list(module.buffers())) == 2

    def test_a_subclass_need_not_call_init(self):
        class Bare(nn.Module):
            def __init__(self):
                self.w = nn.Parameter(np.ones(2))

        assert list(Bare().state_dict()) == ["w"] and Bare().training

    def test_a_frozen_parameter_stays_one(self):
        module = nn.Linear(2, 3)
        module.requires_grad_(False)
        assert len(list(module.parameters())) == 2 and not module.weight.requires_grad
        assert not module(np.ones((1, 2), "f4")).requires_grad
        module.zero_grad(), module.requires_grad_()
        assert module(np.ones((1, 2), "f4")).requires_grad

    def test_what_may_be_assigned(self):
        module = Two()
        module.scale = nn.Parameter(np.zeros(3, "f4"))
        module.seen = tg.tensor(5)
        module.none = nn.Parameter(np.ones(1))
        assert {"scale", "none"} <= set(module.state_dict()) and module.state_dict()["seen"] == 5
        module.inner = nn.Identity()
        assert "inner.weight" not in module.state_dict()
        del module.scale
        assert "scale" not in module.state_dict()
        with pytest.raises(AttributeError):
            module.scale  # noqa: B018
        for name, held, words in (("none", 3.0, "assigned to the parameter none"), ("none", tg.ones(1), "the parameter none"),
                                  ("seen", np.ones(2), "assigned to the buffer seen")):
            with pytest.raises(TypeError, match=words):
                setattr(module, name, held)

    def test_a_result_is_no_parameter(self):
        module = Two()
        module.last = module.scale * 2
        assert "last" not in module.state_dict()

    def test_names_that_are_not_allowed(self):
        for call in (lambda m: m.register_buffer("a.b", None), lambda m: m.register_parameter("forward", None),
                     lambda m: m.register_module("", nn.Identity())):
            with pytest.raises(ValueError, match="the name"):
                call(nn.Module())
        with pytest.raises(ValueError, match="result on the tape"):
            nn.Module().register_parameter("w", nn.Parameter([1.0]) * 2)
        with pytest.raises(TypeError, match="register_parameter: w is float64"):
            nn.Module().register_parameter("w", np.ones(1))

    def test_parameter(self):
        data = np.ones(2, "f4")
        x = nn.Parameter(data)
        data[:] = 0
        assert type(x) is tg.Tensor and x.requires_grad and x.is_leaf and x.dtype == np.float32 and x.tolist() == [1, 1]
        assert nn.Parameter(x * 2).is_leaf and not nn.Parameter([1.0], requires_grad=False).requires_grad
        with pytest.raises(DtypeError):
            nn.Parameter([1, 2])


def test_parameters_have_names_on_the_tape():
    net, x = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2)), np.ones((1, 2), "f4")
    z = net(x)
    leaves = [y for _, _, ys in tg.tape() for y in ys if "weight" in y or "bias" in y]
    assert leaves == ["weight", "bias", "weight_2", "bias_2"] and z.shape == (1, 2)
    own = nn.Parameter([1.0])
    own.name = "mine"
    net.own = own
    assert net.own.name == "mine" and net[0].weight.name == "weight"


class TestRegistering:
    def test_a_parameter_that_is_frozen_from_the_start_is_one(self):
        module = nn.Module()
        module.table = pickle.loads(pickle.dumps(copy.copy(nn.Parameter(np.eye(2), requires_grad=False))))
        assert list(module.state_dict()) == ["table"] and [name for name, _ in module.named_parameters()] == ["table"]
        other = copy.deepcopy(module)
        other.load_state_dict({"table": np.zeros((2, 2))})
        assert module.requires_grad_().table.requires_grad and not other.table.data.any()

    def test_an_optimiser_takes_what_is_frozen(self):
        net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
        net[0].requires_grad_(False)
        optimizer, before = tg.optim.Adam(copy.deepcopy(net).parameters()), net.state_dict()
        optimizer = tg.optim.Adam(net.parameters())
        for frozen in (True, False):
            net[0].requires_grad_(not frozen)
            optimizer.zero_grad()
            net(np.ones((1, 2), "f4")).sum().backward()
            optimizer.step()
            assert (net[0].weight.data == before["0.weight"]).all() == frozen
        assert (net[1].weight.data != before["1.weight"]).all()

    @pytest.mark.parametrize("call, words", [
        (lambda m: m.register_buffer("scale", np.ones(1)), "Two.register_buffer: there is an attribute scale already, float32"),
        (lambda m: m.register_parameter("seen", nn.Parameter([1.0])), "register_parameter: there is an attribute seen already"),
        (lambda m: m.register_parameter("training", nn.Parameter([1.0])), "there is an attribute training already, True"),
        (lambda m: m.register_module("scale", nn.ReLU()), "register_module: there is an attribute scale already"),
        (lambda m: m.register_buffer("inner", np.ones(1)), "there is an attribute inner already, Linear"),
        (lambda m: nn.ModuleDict({"training": nn.ReLU()}), "there is an attribute training already")])
    def test_names_that_are_taken(self, call, words):
        module = Two()
        before = list(module.state_dict())
        with pytest.raises(ValueError, match=words):
            call(module)
        assert list(module.state_dict()) == before and module.training is True

    def test_what_is_none_may_be_replaced(self):
        module = Two()
        module.register_parameter("none", nn.Parameter([1.0]))
        module.register_buffer("seen", np.array(1))
        module.register_module("same", nn.ReLU())
        assert "none" in module.state_dict() and module.seen.item() == 1 and isinstance(module.same, nn.ReLU)
        module.scale = None
        module.register_buffer("scale", np.ones(1))
        assert [name for name, _ in module.named_parameters(recurse=False)] == ["none"]
        assert [name for name, _ in module.named_buffers()] == ["seen", "scratch", "scale"]

    @pytest.mark.parametrize("part", [3, tg.relu, np.ones(2)])
    def test_a_module_stays_one(self, part):
        module = Two()
        with pytest.raises(TypeError, match="assigned to the module inner; assign a module or None"):
            module.inner = part
        with pytest.raises(TypeError, match="Two.register_module: other is .*; give a module or None"):
            module.register_module("other", part)
        module.inner = None
        assert module.inner is None and list(module.state_dict()) == ["scale", "seen", "same.weight", "same.bias"]

    def test_a_copy_has_names_of_its_own(self):
        module = Two()
        other = copy.copy(module)
        other.more = nn.Parameter([1.0])
        del other.scale
        assert [name for name, _ in module.named_parameters(recurse=False)] == ["scale"]
        assert [name for name, _ in other.named_parameters(recurse=False)] == ["more"] and other.inner is module.inner

    @pytest.mark.parametrize("make", [
        lambda: nn.TransformerEncoderLayer(4, 2, 8), lambda: nn.TransformerEncoderLayer(4, 2, 8, activation=tg.tanh),
        lambda: nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.GELU("tanh"), nn.LSTM(3, 2))])
    def test_modules_are_pickled(self, make):
        module = make()
        other = pickle.loads(pickle.dumps(module))
        assert repr(other) == repr(module) and getattr(other, "activation", None) is getattr(module, "activation", None)
        for key, held in module.state_dict().items():
            np.testing.assert_array_equal(other.state_dict()[key], held)

    @pytest.mark.parametrize("zero", [lambda m: m.zero_grad(False), lambda m: m.scale.zero_grad(False),
                                      lambda m: tg.optim.SGD([m.scale]).zero_grad(set_to_none=False)])
    def test_gradients_of_zeros(self, zero):
        module = Two()
        module.scale.sum().backward()
        zero(module)
        np.testing.assert_array_equal(module.scale.grad, np.zeros(3, "f4"))
        assert module.inner.weight.grad is None


class TestState:
    def test_there_and_back(self):
        one, other = Two(), Two()
        assert other.load_state_dict(one.state_dict()) == ([], [])
        for key, held in one.state_dict().items():
            np.testing.assert_array_equal(other.state_dict()[key], held)

    def test_it_is_a_copy(self):
        module = nn.Linear(2, 3)
        state = module.state_dict()
        before = state["weight"].copy()
        module.weight.data[...] += 1
        np.testing.assert_array_equal(state["weight"], before)
        module.load_state_dict(state)
        state["weight"][...] = 0
        np.testing.assert_array_equal(module.weight.data, before)

    def test_loading_leaves_what_is_recorded(self):
        module = nn.Linear(2, 3)
        x = tg.tensor(np.ones((1, 2), "f4"), requires_grad=True)
        z, before = module(x).sum(), module.weight.data.copy()
        module.load_state_dict({key: held + 1 for key, held in module.state_dict().items()})
        z.backward()
        np.testing.assert_allclose(x.grad[0], before.sum(0), rtol=1e-6)

    def test_parameters_stay_the_same_tensors(self):
        module = nn.Linear(2, 3)
        held = module.weight
        module.load_state_dict(nn.Linear(2, 3).state_dict())
        assert module.weight is held

    @pytest.mark.parametrize("change, error, words", [
        (lambda s: s.pop("0.bias"), StateError, "Sequential.load_state_dict: 0.bias is missing"),
        (lambda s: s.update(extra=1), StateError, "extra is unknown"),
        (lambda s: (s.pop("0.bias"), s.pop("1.bias"), s.update(x=0)), StateError, "0.bias, 1.bias are missing; x is unknown"),
        (lambda s: s.update({"1.weight": np.zeros((2, 3), "f4")}), ShapeError,
         "1.weight is float32 \\(2, 3\\) for float32 \\(3, 3\\)"),
        (lambda s: s.update({"1.weight": np.zeros((3, 3))}), DtypeError,
         "1.weight is float64 \\(3, 3\\) for float32 \\(3, 3\\)"),
        (lambda s: s.update({"1.weight": np.zeros((3, 3), "f4").astype(object)}), DtypeError, "1.weight is object"),
        (lambda s: s.update({"1.weight": "weights"}), ShapeError, "1.weight")])
    def test_what_does_not_fit_changes_nothing(self, change, error, words):
        module, before = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3)), None
        before, state = module.state_dict(), {key: held + 1 for key, held in module.state_dict().items()}
        change(state)
        with pytest.raises(error, match=words):
            module.load_state_dict(state)
        for key, held in before.items():
            np.testing.assert_array_equal(module.state_dict()[key], held)

    def test_not_strict(self):
        module = nn.Linear(2, 3)
        left = module.load_state_dict({"weight": np.ones((3, 2), "f4"), "more": np.ones(1)}, strict=False)
        assert left.missing_keys == ["bias"] and left.unexpected_keys == ["more"] and module.weight.data.all()
        with pytest.raises(ShapeError):
            module.load_state_dict({"weight": np.ones((2, 3), "f4")}, strict=False)

    def test_what_is_no_state(self):
        with pytest.raises(StateError, match="list; a dictionary"):
            nn.Linear(2, 3).load_state_dict([1])

    @pytest.mark.parametrize("again", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
    def test_copies(self, again):
        module = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.BatchNorm1d(3), nn.Dropout(0.5))
        other = again(module)
        assert repr(other) == repr(module) and other[0].weight is not module[0].weight
        for key, held in module.state_dict().items():
            np.testing.assert_array_equal(other.state_dict()[key], held)
        other[0].weight.data[...] = 0
        assert module[0].weight.data.any()
        other(np.ones((4, 2), "f4")).sum().backward()
        assert other[0].weight.grad is not None and module[0].weight.grad is None


class TestSettings:
    def test_training(self):
        net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout()))
        assert net.eval() is net and not any(module.training for module in net.modules())
        assert net.train() is net and all(module.training for module in net.modules())

    def test_zero_grad(self):
        module = nn.Linear(2, 3)
        module(np.ones((1, 2), "f4")).sum().backward()
        module.zero_grad()
        assert module.weight.grad is None

    def test_apply_is_from_the_inside(self):
        seen = []
        net = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Tanh()))
        assert net.apply(lambda module: seen.append(type(module).__name__)) is net
        assert seen == ["ReLU", "Tanh", "Sequential", "Sequential"]

    def test_forward_is_needed(self):
        with pytest.raises(NotImplementedError, match="Module defines no forward"):
            nn.Module()(1)

    def test_text(self):
        assert repr(nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.LeakyReLU(0.2, inplace=True),
                                  nn.ModuleDict({"a": nn.LSTM(2, 3, 2)}),
                                  nn.MaxPool2d(2), nn.BatchNorm1d(3), nn.Dropout(0.1), nn.CrossEntropyLoss())) == """Sequential(
  (0): Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
  (1): LeakyReLU(negative_slope=0.2)
  (2): ModuleDict(
    (a): LSTM(2, 3, num_layers=2)
  )
  (3): MaxPool2d(kernel_size=2, padding=0, dilation=1, ceil_mode=False)
  (4): BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
  (5): Dropout(p=0.1)
  (6): CrossEntropyLoss(ignore_index=-100, reduction='mean', label_smoothing=0.0)
)"""


class TestContainers:
    def test_sequential(self):
        net = nn.Sequential({"first": nn.Linear(2, 3), "then": nn.ReLU()})
        assert list(net.state_dict()) == ["first.weight", "first.bias"] and net(np.ones((1, 2), "f4")).shape == (1, 3)
        net = nn.Sequential(nn.Linear(2, 3)).append(nn.ReLU()).extend([nn.Linear(3, 2)]).insert(1, nn.Tanh())
        assert [type(part).__name__ for part in net] == ["Linear", "Tanh", "ReLU", "Linear"] and net[-1] is net[3]
        assert list(net.state_dict()) == ["0.weight", "0.bias", "3.weight", "3.bias"] and len(net[1:3]) == 2
        del net[1]
        net[0] = nn.Identity()
        assert [type(part).__name__ for part in net] == ["Identity", "ReLU", "Linear"]
        assert list(net.state_dict()) == ["2.weight", "2.bias"]
        assert net.pop(1).extra_repr() == "" and [type(part).__name__ for part in net] == ["Identity", "Linear"]
        net += [nn.ReLU()]
        assert [type(part).__name__ for part in net + net[:1]] == ["Identity", "Linear", "ReLU", "Identity"]
        del net[:2]
        assert len(net) == 1 and isinstance(net + [nn.ReLU()], nn.Sequential)
        net.extend(net).append(net[0])
        with pytest.raises(IndexError, match="Sequential: module 3 of 3"):
            net[3]
        with pytest.raises(TypeError, match="make it one, as nn.ReLU"):
            nn.Sequential(tg.relu)

    def test_a_slice_keeps_the_names(self):
        net = nn.Sequential({"up": nn.Linear(2, 3), "down": nn.Linear(3, 2)})
        assert list(net[1:].state_dict()) == ["down.weight", "down.bias"] and net[1:][0] is net[1]
        net = nn.Sequential(*[nn.Linear(2, 2) for _ in range(3)])[1:]
        assert list(net.state_dict()) == ["1.weight", "1.bias", "2.weight", "2.bias"]
        net.append(nn.Identity())
        assert len(net) == 3 and net[1].weight.shape == (2, 2)

    def test_what_is_there_twice(self):
        part = nn.Linear(2, 2)
        net = nn.Sequential(part, part)
        assert len(net) == 2 and [name for name, _ in net.named_children()] == ["0"] and repr(net).count("Linear") == 2

    def test_lists_and_dictionaries(self):
        parts = nn.ModuleList([nn.Linear(2, 2)]).append(nn.Linear(2, 2))
        assert len(parts) == 2 and len(parts[:1]) == 1 and len(list(parts.parameters())) == 4
        named = nn.ModuleDict({"b": nn.Linear(2, 2)})
        named["a"] = nn.ReLU()
        assert list(named.keys()) == [n for n, _ in named.items()] == ["b", "a"] and "a" in named and len(named) == 2
        del named["b"]
        assert not list(named.parameters()) and len(list(named.values())) == 1
        assert isinstance(named.pop("a"), nn.ReLU) and not len(named)
        named.update({"x": nn.ReLU(), "y": nn.ReLU()})
        named.clear()
        assert not len(named) and len(parts + parts) == 4 and isinstance(parts + parts, nn.ModuleList)
        with pytest.raises(TypeError, match="ModuleDict: 1.0 among"):
            named["c"] = 1.0


    def test_lists_and_dictionaries_of_parameters(self):
        own = nn.Parameter(np.ones(2))
        scales = nn.ParameterList([own, np.zeros(3)])
        scales += [tg.tensor([1.0])]
        scales[1] = np.ones(4)
        assert len(scales) == 3 and scales[0] is own and [x.shape for x in scales] == [(2,), (4,), (1,)]
        assert list(scales.state_dict()) == ["0", "1", "2"] and all(x.requires_grad for x in scales) and len(scales[1:]) == 2
        net = nn.Module()
        net.scales, net.named = scales, nn.ParameterDict({"a": own})
        net.named["b"] = np.zeros(1)
        assert [name for name, _ in net.named_parameters()] == ["scales.0", "scales.1", "scales.2", "named.b"]
        assert list(net.named.keys()) == ["a", "b"] and net.named.pop("a") is own and "a" not in net.named
        net.named.clear()
        assert not len(net.named) and list(pickle.loads(pickle.dumps(net)).state_dict()) == ["scales.0", "scales.1", "scales.2"]
        with pytest.raises(ValueError, match="ParameterDict.register_parameter: the name 'a.b'"):
            net.named["a.b"] = own
        with pytest.raises(KeyError):
            del net.named["c"]
        with pytest.raises(IndexError):
            scales[3]


# Derivatives: a module, and inputs

CASES = [
    (nn.Linear(3, 2, dtype="f8"), [normal(4, 3)]), (nn.Conv2d(2, 3, 2, padding=1, dtype="f8"), [normal(1, 2, 3, 3)]),
    (nn.ConvTranspose1d(2, 3, 2, stride=2, dtype="f8"), [normal(1, 2, 3)]), (nn.BatchNorm1d(3, dtype="f8"), [normal(4, 3)]),
    (nn.GroupNorm(2, 4, dtype="f8"), [normal(2, 4)]), (nn.LayerNorm(3, dtype="f8"), [normal(2, 3)]),
    (nn.RMSNorm(3, dtype="f8"), [normal(2, 3)]),
    (nn.RNN(2, 3, bidirectional=True, dtype="f8"), [normal(3, 2, 2)]),
    (nn.GRU(2, 3, num_layers=2, dtype="f8"), [normal(3, 2, 2)]),
    (nn.LSTM(2, 3, proj_size=2, dtype="f8"), [normal(3, 2, 2)]), (nn.LSTMCell(2, 3, dtype="f8"), [normal(2, 2)]),
    (nn.MultiheadAttention(4, 2, dtype="f8"), [normal(3, 2, 4), normal(2, 2, 4, seed=1), normal(2, 2, 4, seed=2)]),
    (nn.TransformerEncoderLayer(4, 2, 3, 0.0, "gelu", dtype="f8"), [normal(3, 2, 4)]), (nn.PReLU(dtype="f8"), [normal(2, 3)]),
]


@pytest.mark.parametrize("module, inputs", CASES, ids=[type(module).__name__ for module, _ in CASES])
def test_derivatives_against_differences(module, inputs):
    """By the inputs and all parameters."""
    names = [name for name, _ in module.named_parameters()]

    def called(*arrays):
        held = dict(zip(names, arrays[len(inputs):]))
        for name, array in held.items():
            where, _, last = name.rpartition(".")
            vars(dict(module.named_modules())[where])[last] = array
        return module(*arrays[:len(inputs)])

    assert tg.gradcheck(called, *inputs, *[held.data.copy() for held in dict(module.named_parameters()).values()])


@pytest.mark.parametrize("name", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_lengths_are_examples_by_themselves(name, bidirectional):
    """What is beyond the end of an example changes nothing, and its outputs and deltas are 0 there."""
    module = getattr(nn, name)(2, 3, 2, bidirectional=bidirectional, dtype="f8")
    x, lengths = tg.tensor(normal(5, 3, 2), requires_grad=True), [5, 2, 0]
    z, last = module(x, lengths=lengths)
    states = last if isinstance(last, tuple) else (last,)
    for k, n in enumerate(lengths):
        np.testing.assert_array_equal(z.data[n:, k], 0)
        if n:
            alone, final = module(x.data[:n, k:k + 1])
            np.testing.assert_allclose(z.data[:n, k], alone.data[:, 0], rtol=1e-13, atol=1e-15)
            for state, wanted in zip(states, final if isinstance(final, tuple) else (final,)):
                np.testing.assert_allclose(state.data[:, k], wanted.data[:, 0], rtol=1e-13, atol=1e-15)
    assert not states[0].data[:, 2].any()
    (z * normal(*z.shape)).sum().backward()
    assert not x.grad[2:, 1].any() and not x.grad[:, 2].any() and x.grad[:2, 1].all()


@pytest.mark.parametrize("name", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("behind", [np.nan, np.inf, 1e30])
def test_what_is_behind_the_end_is_not_read(name, behind):
    module, x = getattr(nn, name)(2, 3, bidirectional=True), normal(4, 2, 2).astype("f4")
    found = []
    for number in (0.0, behind):
        x[2:, 0] = number
        given = tg.tensor(x, requires_grad=True)
        module.zero_grad()
        output, last = module(given, lengths=[2, 4])
        (output.sum() + sum((z * z).sum() for z in (last if name == "LSTM" else [last]))).backward()
        found.append([output.data, given.grad, *[p.grad for p in module.parameters()]])
    for one, other in zip(*found):
        np.testing.assert_array_equal(one, other)


def test_dropout_is_of_training_only():
    x = np.ones((20, 30, 2), "f4")
    for module in (nn.Dropout(0.5), nn.Dropout1d(0.5), nn.Dropout2d(0.5)):
        z = module(x).data
        assert set(np.unique(z)) == {0, 2} and (module.eval()(x).data == 1).all()
        assert (z[..., 0] == z[..., 1]).all() == ("d" in type(module).__name__)
    tg.manual_seed(1)
    one = nn.Dropout()(x)
    tg.manual_seed(1)
    np.testing.assert_array_equal(nn.Dropout()(x).data, one.data)


@pytest.mark.parametrize("module, shape", [(nn.Dropout1d(), (4, 50)), (nn.Dropout1d(), (3, 4, 50)),
                                           (nn.Dropout2d(), (3, 4, 5, 10))])
def test_dropout_drops_whole_channels(module, shape):
    z = module(np.ones(shape)).data.reshape(-1, 50)
    assert set(z.min(1)) == {0.0, 2.0} and (z.min(1) == z.max(1)).all()


def test_attention_without_queries():
    attention = nn.MultiheadAttention(4, 2, add_bias_kv=True)
    z, weights = attention(np.ones((0, 3, 4), "f4"), *[np.ones((5, 3, 4), "f4")] * 2)
    assert z.shape == (0, 3, 4) and weights.shape == (3, 0, 6)


def test_dropout_between_layers():
    module = nn.GRU(2, 8, num_layers=2, dropout=0.5)
    x = normal(3, 4, 2).astype("f4")
    assert (module(x)[0].data != module(x)[0].data).any()
    module.eval()
    np.testing.assert_array_equal(module(x)[0].data, module(x)[0].data)


def test_a_seed_makes_the_same_parameters():
    made = [tg.manual_seed(3) and nn.Sequential(nn.Linear(2, 3), nn.LSTM(3, 4), nn.MultiheadAttention(4, 2)).state_dict()
            for _ in range(2)]
    for key, held in made[0].items():
        np.testing.assert_array_equal(made[1][key], held)


def test_parameters_are_float32():
    net = nn.TransformerEncoderLayer(8, 2, 16)
    assert {p.dtype.name for p in net.parameters()} == {"float32"} and net(np.ones((2, 1, 8), "f4")).dtype == np.float32


def test_embedding():
    module = nn.Embedding(5, 3, padding_idx=-1)
    assert module.padding_idx == 4
    assert not module.weight.data[4].any() and module.weight.data[:4].all()
    (module([4, 1]) * 2.0).sum().backward()
    assert not module.weight.grad[4].any() and module.weight.grad[1].tolist() == [2, 2, 2]
    frozen = nn.Embedding.from_pretrained(normal(4, 2))
    assert not frozen.weight.requires_grad and list(frozen.state_dict()) == ["weight"] and frozen([1]).shape == (1, 2)


def test_a_query_that_may_look_at_nothing():
    module = nn.MultiheadAttention(4, 2, batch_first=True)
    x = normal(1, 3, 4).astype("f4")
    z, weights = module(x, x, x, key_padding_mask=np.ones((1, 3), bool))
    np.testing.assert_array_equal(weights.data, 0)
    np.testing.assert_array_equal(z.data, 0)
    causal, _ = module(x, x, x, is_causal=True)
    shorter, _ = module(x[:, :2], x[:, :2], x[:, :2], is_causal=True)
    np.testing.assert_allclose(causal.data[:, :2], shorter.data, rtol=1e-5)


def test_running_statistics_move_in_training_only():
    module, x = nn.BatchNorm1d(3), normal(8, 3).astype("f4") + 2
    module(x)
    assert module.num_batches_tracked.item() == 1
    np.testing.assert_allclose(module.running_mean.data, 0.1 * x.mean(0), rtol=1e-5)
    before = module.state_dict()
    module.eval()(x)
    for key, held in module.state_dict().items():
        np.testing.assert_array_equal(held, before[key])


def test_inplace_is_taken_and_the_input_stays():
    x = np.array([-1.0, 2.0])
    assert nn.ReLU(inplace=True)(x).tolist() == [0, 2] and x[0] == -1


def test_orthogonal_is_orthogonal():
    for shape in ((3, 5), (5, 3), (4, 2, 2)):
        x = nn.init.orthogonal_(tg.zeros(shape), gain=2.0).data.reshape(shape[0], -1)
        square = x @ x.T if x.shape[0] <= x.shape[1] else x.T @ x
        np.testing.assert_allclose(square, 4 * np.eye(len(square)), atol=1e-12)


def test_vectors_of_parameters():
    net = nn.Linear(2, 3)
    vector = nn.utils.parameters_to_vector(net.parameters())
    nn.utils.vector_to_parameters(vector * 2, net.parameters())
    np.testing.assert_array_equal(nn.utils.parameters_to_vector(net.parameters()).data, vector.data * 2)


@pytest.mark.parametrize("call, error, words", [
    (lambda: nn.Linear(-1, 2), ValueError, "Linear: weight of shape \\(2, -1\\); lengths are integers"),
    (lambda: nn.Linear(2.0, 3), ValueError, "Linear: weight of shape"),
    (lambda: nn.GRUCell(2, -3), ValueError, "GRUCell: weight"),
    (lambda: nn.MultiheadAttention(0, 1), ValueError, "embed_dim=0 in num_heads=1"),
    (lambda: nn.MultiheadAttention(4, 2, dropout=2.0), ValueError, "MultiheadAttention: dropout=2.0"),
    (lambda: nn.TransformerEncoderLayer(4, 2, activation=3), ValueError, "activation=3; it is 'relu', 'gelu', or a function"),
    (lambda: nn.Conv2d(3, 4, 3, 2, "same", padding_mode="reflect"), ValueError,
     "Conv2d: padding='same' with stride=\\(2, 2\\)"),
    (lambda: nn.Conv1d(3, 4, 3, 2, "same"), ValueError, "Conv1d: padding='same' with stride"),
    (lambda: nn.Conv1d(3, 4, 3, padding="full"), ValueError, "Conv1d: padding='full'; it is 'same', 'valid'"),
    (lambda: nn.ConvTranspose1d(3, 4, 3, padding="same"), ValueError, "ConvTranspose1d: padding='same'; it is an integer"),
    (lambda: nn.Upsample(3, recompute_scale_factor=True)(np.ones((1, 1, 2))), ValueError, "recompute_scale_factor with size"),
    (lambda: nn.Dropout1d()(np.ones((2, 3, 4, 5))), ShapeError, "Dropout1d: input float64 \\(2, 3, 4, 5\\)"),
    (lambda: nn.CrossEntropyLoss(ignore_index=1)([[1.0, 2.0]], [[0.5, 0.5]]), ValueError,
     "ignore_index=1 with a target of dist"),
    (lambda: nn.ModuleList([nn.ReLU()])["0"], TypeError, "integer"),
    (lambda: nn.Linear(2, 3)(np.ones((1, 3), "f4")), ShapeError, "linear: input float32 \\(1, 3\\), weight float32 \\(3, 2\\)"),
    (lambda: nn.Embedding(3, 2, padding_idx=3), IndexError, "Embedding: padding_idx=3 for 3 rows"),
    (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError, "Conv2d: 3 channels in and 4 out in 2 groups"),
    (lambda: nn.Conv2d(3, 4, (3,)), ValueError, "Conv2d: kernel_size=\\(3,\\)"),
    (lambda: nn.Conv1d(3, 4, 3, padding_mode="mirror"), ValueError, "padding_mode='mirror'"),
    (lambda: nn.ConvTranspose2d(3, 4, 3, padding_mode="reflect"), ValueError, "it is 'zeros'"),
    (lambda: nn.BatchNorm2d(3)(np.ones((2, 3))), ShapeError,
     "BatchNorm2d: input float64 \\(2, 3\\); it is \\(N, 3, ..\\) with 4 axes"),
    (lambda: nn.GroupNorm(2, 3), ValueError, "GroupNorm: 3 channels in 2 groups"),
    (lambda: nn.Dropout(1.5), ValueError, "Dropout: p=1.5"),
    (lambda: nn.LSTM(2, 3, dropout=2.0), ValueError, "LSTM: dropout=2.0"),
    (lambda: nn.LSTM(2, 3, proj_size=3), ValueError, "LSTM: proj_size=3"),
    (lambda: nn.GRU(2, 0), ValueError, "GRU: num_layers=1"),
    (lambda: nn.RNN(2, 3, nonlinearity="sin"), ValueError, "RNN: nonlinearity='sin'"),
    (lambda: nn.LSTM(2, 3)(np.ones((4, 1, 3))), ShapeError, "LSTM: input float64 \\(4, 1, 3\\); it is \\(T, N, 2\\)"),
    (lambda: nn.LSTM(2, 3)(np.ones((4, 1, 2)), np.ones((1, 1, 3))), ShapeError,
     "LSTM: states float64 \\(1, 1, 3\\); the shapes are"),
    (lambda: nn.GRU(2, 3)(np.ones((4, 1, 2)), np.ones((1, 2, 3))), ShapeError, "GRU: states float64 \\(1, 2, 3\\)"),
    (lambda: nn.GRU(2, 3)(np.ones((4, 2, 2)), lengths=[5, 1]), ShapeError,
     "GRU: lengths int64 \\(2,\\) \\[5, 1\\]; 2 integers from 0"),
    (lambda: nn.LSTMCell(2, 3)(np.ones((1, 2)), (np.ones((1, 3)), np.ones((2, 3)))), ShapeError, "LSTMCell: state"),
    (lambda: nn.GRUCell(2, 3)(np.ones((1, 3))), ShapeError, "GRUCell: input"),
    (lambda: nn.MultiheadAttention(5, 2), ValueError, "embed_dim=5 in num_heads=2"),
    (lambda: nn.MultiheadAttention(4, 2)(*[np.ones((3, 1, 5))] * 3), ShapeError,
     "MultiheadAttention: query float64 \\(3, 1, 5\\)"),
    (lambda: nn.MultiheadAttention(4, 2)(*[np.ones((3, 1, 4))] * 3, attn_mask=np.ones((2, 3))), ShapeError,
     "attn_mask float64"),
    (lambda: nn.MultiheadAttention(4, 2)(*[np.ones((3, 1, 4))] * 3, attn_mask=np.ones((3, 3), int)), DtypeError,
     "a mask int64"),
    (lambda: nn.MultiheadAttention(4, 2)(*[np.ones((3, 1, 4))] * 3, np.ones((3, 1), bool)), ShapeError,
     "key_padding_mask float64 \\(3, 1\\); it is \\(1, 3\\)"),
    (lambda: nn.TransformerEncoderLayer(4, 2, activation="sin"), ValueError, "activation='sin'"),
    (lambda: nn.ReLU(3, 4), TypeError, "ReLU: too many positional"),
    (lambda: nn.MaxPool2d(), TypeError, "MaxPool2d: missing .* 'kernel_size'"),
    (lambda: nn.CrossEntropyLoss(reduction="max")([[1.0]], [0]), ValueError, "reduction='max'"),
    (lambda: nn.init.xavier_uniform_(tg.zeros(3)), ShapeError, "xavier_uniform_: float64 \\(3,\\)"),
    (lambda: nn.init.kaiming_normal_(tg.zeros((3, 2)), mode="in"), ValueError, "kaiming_normal_: mode='in'"),
    (lambda: nn.init.calculate_gain("sin"), ValueError, "nonlinearity='sin'"),
    (lambda: nn.init.trunc_normal_(tg.zeros(3), mean=9.0), ValueError, "trunc_normal_: \\[-2.0, 2.0\\] for mean=9.0"),
    (lambda: nn.init.eye_(tg.zeros(3)), ShapeError, "eye_"), (lambda: nn.init.dirac_(tg.zeros((3, 3))), ShapeError, "dirac_"),
    (lambda: nn.utils.clip_grad_norm_([1.0], 1.0), TypeError, "1.0 among the parameters"),
    (lambda: nn.utils.clip_grad_value_([], -1.0), ValueError, "clip_value=-1.0"),
    (lambda: nn.utils.vector_to_parameters(np.ones(3), [nn.Parameter(np.ones(2))]), ShapeError,
     "float64 \\(3,\\) for 2 numbers")])
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_norm_of_half_floats():
    x = nn.Parameter(np.ones(3, "f2"))
    x.grad = np.full(3, 300, "f2")
    assert nn.utils.clip_grad_norm_([x], 1.0).item() == pytest.approx(300 * 3 ** 0.5, rel=1e-3)
    np.testing.assert_allclose(x.grad, 3 ** -0.5, rtol=2e-3)


def test_a_norm_that_is_not_finite():
    x = nn.Parameter([1.0, 2.0])
    x.grad = np.array([np.inf, 1.0])
    with pytest.raises(GradientError, match="the norm of the gradients is inf"):
        nn.utils.clip_grad_norm_([x], 1.0, error_if_nonfinite=True)
    assert nn.utils.clip_grad_norm_([x], 1.0).item() == np.inf and np.isnan(x.grad[0])


def test_every_module_is_documented():
    for name in nn.__all__:
        assert re.search(r">>> ", getattr(nn, name).__doc__ or "") or name in ("init", "utils"), name
