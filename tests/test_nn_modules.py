"""What every module has: what it holds under which names, state, settings, text; containers of modules and of parameters."""

import copy
import pickle

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import nn
from tapegrad.errors import DtypeError, ShapeError, StateError


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
        for name in ("c", "training"):
            with pytest.raises(KeyError, match=name):
                del named[name]
            with pytest.raises(KeyError, match=name):
                named.pop(name)

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
