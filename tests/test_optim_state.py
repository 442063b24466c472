"""What an optimiser remembers, and goes on from: its state, and its groups of parameters."""

import numpy as np
import pytest
from optimisers import cases, leaves, numbers

import tapegrad as tg
from tapegrad.errors import DtypeError, ShapeError, StateError
from tapegrad.optim import SGD, Adagrad, Adam, NAdam, RMSprop


class TestState:
    @cases
    def test_goes_on(self, both_paths, optimiser, options):
        xs = numbers("f4") + numbers("f8") + numbers("c8")

        def train(ps, descent, steps):
            for t in steps:
                for p, g in zip(ps, numbers("c16", [x.shape for x in xs], seed=t)):
                    p.grad = (g if p.dtype.kind == "c" else g.real).astype(p.dtype)
                descent.step()
            return [p.data.copy() for p in ps]

        ps = leaves(xs)
        first = optimiser(ps, **{"lr": 1e-3} | options)
        middle = train(ps, first, range(5))
        saved = first.state_dict()
        expected = train(ps, first, range(5, 10))
        others = leaves(middle)
        second = optimiser(others, lr=7.0)
        second.load_state_dict(saved)
        assert second.lr == first.lr
        for x, y in zip(train(others, second, range(5, 10)), expected):
            np.testing.assert_array_equal(x, y)

    def test_amsgrad_is_part_of_it(self):
        x, = leaves([np.ones(2)])
        optimiser = Adam([x], lr=0.5, amsgrad=True)
        x.grad = np.ones(2)
        optimiser.step()
        saved = optimiser.state_dict()
        assert list(saved["state"][0]) == ["steps", "m", "v", "v_max"]
        optimiser.amsgrad = False
        assert list(optimiser.state_dict()["state"][0]) == ["steps", "m", "v"]
        optimiser.step()                                # by the kernel again
        del saved["state"][0]["v_max"]
        with pytest.raises(StateError, match="parameter 0 has steps, m, v, not steps, m, v, v_max"):
            optimiser.load_state_dict(saved)

    def test_what_it_is(self):
        x, y = leaves([np.ones(2), np.ones((1, 2), "c8")])
        optimiser = Adam([x, y], lr=0.5)
        y.grad = np.full((1, 2), 1 + 2j, "c8")
        optimiser.step()
        saved = optimiser.state_dict()
        assert saved["param_groups"] == [{"lr": 0.5, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "amsgrad": False,
                                          "maximize": False, "params": [0, 1]}]
        assert [of["steps"] for of in saved["state"]] == [0, 1]
        assert saved["state"][1]["m"].dtype == np.complex64
        np.testing.assert_allclose(saved["state"][1]["m"], np.full((1, 2), 0.1 + 0.2j), rtol=1e-6)
        y.grad = y.grad + 1
        optimiser.step()
        assert saved["state"][1]["steps"] == 1          # a copy

    @pytest.mark.parametrize("change, error, message", [
        (lambda s: s["state"].pop(), ValueError, "1 parameters; there are 2"),
        (lambda s: s["state"][1].update(m=np.ones(3)), ShapeError, r"m of parameter 1 is float64 \(3,\)"),
        (lambda s: s["state"][1].update(v=np.ones(2, "f4")), DtypeError, r"v of parameter 1 is float32 \(2,\)"),
        (lambda s: s["state"][1].pop("m"), ValueError, "parameter 1 has steps, v, not steps, m, v"),
        (lambda s: s["state"][1].update(steps=-1), ValueError, "parameter 1 has made -1 steps"),
        (lambda s: s["param_groups"][0].pop("eps"), StateError, "not lr, betas, eps, weight_decay"),
        (lambda s: s["param_groups"].append(s["param_groups"][0]), StateError, "groups of 2, 2 parameters; they are of 2"),
        (lambda s: s.pop("state"), StateError, "a dictionary with param_groups and state"),
        (lambda s: s["param_groups"][0].update(lr=-1.0), ValueError, "lr=-1.0 is negative")])
    def test_what_does_not_fit_changes_nothing(self, change, error, message):
        xs = leaves([np.ones(2), np.ones(2)])
        optimiser = Adam(xs, lr=0.5)
        saved = optimiser.state_dict()
        saved["state"][0] |= {"steps": 3, "m": np.ones(2)}
        saved["param_groups"][0]["eps"] = 1.0
        change(saved)
        with pytest.raises(error, match=message):
            optimiser.load_state_dict(saved)
        after = optimiser.state_dict()
        assert after["param_groups"][0]["eps"] == 1e-8 and after["state"][0]["steps"] == 0 and not after["state"][0]["m"].any()


class TestGroups:
    def test_each_has_its_own(self, both_paths):
        """As optimisers by themselves; kernels of each group and dtype."""
        for make, own in ((SGD, {"momentum": 0.5}), (Adam, {"betas": (0.5, 0.9)}), (RMSprop, {"alpha": 0.5}), (Adagrad, {}),
                          (NAdam, {})):
            xs = [np.ones(3), np.ones(2, "f4"), np.ones(4)]
            ps, qs = leaves(xs), leaves(xs)
            together = make([{"params": ps[:2]}, {"params": ps[2], "lr": 0.3, **own}], lr=0.1)
            apart = [make(qs[:2], lr=0.1), make(qs[2:], lr=0.3, **own)]
            for t in range(5):
                for p, q, g in zip(ps, qs, numbers("f8", [x.shape for x in xs], seed=t)):
                    p.grad, q.grad = g.astype(p.dtype), g.astype(p.dtype)
                together.step()
                for one in apart:
                    one.step()
            for p, q in zip(ps, qs):
                np.testing.assert_array_equal(p.data, q.data)

    def test_hyperparameters(self):
        x, y, z = leaves([np.ones(1)] * 3)
        optimiser = SGD([{"params": [x], "lr": 0.5}, {"params": [y]}], lr=0.1)
        optimiser.add_param_group({"params": z, "momentum": 0.9})
        assert [group["lr"] for group in optimiser.param_groups] == [0.5, 0.1, 0.1] and optimiser.parameters == [x, y, z]
        with pytest.raises(ValueError, match="SGD: lr is 0.5, 0.1, 0.1 in its groups"):
            optimiser.lr  # noqa: B018
        optimiser.lr = 0.2
        assert optimiser.lr == 0.2 and [group["momentum"] for group in optimiser.param_groups] == [0.0, 0.0, 0.9]
        with pytest.raises(AttributeError, match="SGD has no attribute 'rate'"):
            optimiser.rate  # noqa: B018

    def test_the_state(self):
        ps, qs = leaves([np.ones(2), np.ones(3)]), leaves([np.ones(2), np.ones(3)])
        one, other = (Adam([{"params": x[:1], "lr": lr}, {"params": x[1:]}], lr=0.1) for x, lr in ((ps, 0.5), (qs, 0.7)))
        for p in ps:
            p.grad = np.ones(p.shape)
        one.step()
        saved = one.state_dict()
        assert [group["params"] for group in saved["param_groups"]] == [[0], [1]]
        other.load_state_dict(saved)
        assert [group["lr"] for group in other.param_groups] == [0.5, 0.1] and other.state_dict()["state"][1]["steps"] == 1

    @pytest.mark.parametrize("groups, error, words", [
        (lambda x: [{"lr": 0.1}], TypeError, "dict for a group"),
        (lambda x: [{"params": []}], ValueError, "of a group is empty"),
        (lambda x: [{"params": [x]}, {"params": [x]}], ValueError, "given twice"),
        (lambda x: [{"params": [x], "rate": 1}], ValueError, "SGD: rate in a group; its hyperparameters are lr, momentum"),
        (lambda x: [{"params": [x], "lr": -1.0}], ValueError, "lr=-1.0"),
        (lambda x: [{"params": [x]}, x], TypeError, "for a group")])
    def test_errors(self, groups, error, words):
        with pytest.raises(error, match=words):
            SGD(groups(tg.tensor([1.0], requires_grad=True)), lr=0.1)
