"""Paths over 25 steps: optimisers, L-BFGS and schedulers against PyTorch's figures, which are recorded, and against PyTorch."""

import json
from pathlib import Path

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import DtypeError, ShapeError, StateError
from tapegrad.optim import lr_scheduler

RECORDED = Path(__file__).parent / "data" / "optimiser_paths.json"
STEPS = 25
SGD = {"lr": 0.1, "momentum": 0.9}

# name: what is made of (the schedulers of a library, an optimiser with two groups)
SCHEDULERS = {
    "StepLR": lambda s, o: s.StepLR(o, 4, 0.5), "MultiStepLR": lambda s, o: s.MultiStepLR(o, [3, 3, 9], 0.3),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.9),
    "LinearLR": lambda s, o: s.LinearLR(o), "LinearLR down": lambda s, o: s.LinearLR(o, 1.0, 0.2, 12),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 10, 1e-3), "CosineAnnealingLR up": lambda s,
    o: s.CosineAnnealingLR(o, 7),
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda epoch: 0.95 ** epoch),
    "LambdaLR of groups": lambda s, o: s.LambdaLR(o, [lambda epoch: 0.95 ** epoch, lambda epoch: 1 / (1 + epoch)]),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, 1.0, 30),
    "OneCycleLR linear": lambda s, o: s.OneCycleLR(o, [1.0, 0.5], epochs=3, steps_per_epoch=10, anneal_strategy="linear",
                                                   pct_start=0.4),
    "OneCycleLR three phases": lambda s, o: s.OneCycleLR(o, 1.0, 26, three_phase=True, div_factor=10.0, final_div_factor=100.0),
    "OneCycleLR momenta": lambda s, o: s.OneCycleLR(o, [1.0, 0.5], 26, base_momentum=[0.8, 0.7], max_momentum=[0.9, 0.95]),
    "OneCycleLR rates only": lambda s, o: s.OneCycleLR(o, 1.0, 26, cycle_momentum=False),
    "SequentialLR": lambda s, o: s.SequentialLR(o, [s.LinearLR(o, 0.1, total_iters=5), s.CosineAnnealingLR(o, 20)], [5]),
    "SequentialLR of three": lambda s, o: s.SequentialLR(
        o, [s.ExponentialLR(o, 0.9), s.StepLR(o, 2, 0.5), s.LambdaLR(o, lambda epoch: 1 / (1 + epoch))], [4, 13]),
    "two at once": lambda s, o: [s.ExponentialLR(o, 0.95), s.StepLR(o, 6, 0.5)],
    "a linear and a cosine": lambda s, o: [s.LinearLR(o, 0.5, total_iters=6), s.CosineAnnealingLR(o, 50, 1e-3)],
}
QUANTITIES = [3.0, 2.5, 2.5, 2.4999, 2.6, 2.3, 2.3, 2.3, 2.3, 2.1, 2.2, 2.3, 2.4, 2.2, 2.2, 2.2, 2.2, 2.2, 1.0, 1.1, 1.1, 1.1,
              1.1, 1.1, 1.1]
PLATEAUS = {
    "least": {"patience": 2}, "greatest": {"mode": "max", "factor": 0.5, "patience": 3}, "absolute": {
        "threshold_mode": "abs", "threshold": 0.3, "patience": 1, "factor": 0.5},
        "cooldown": {"patience": 1, "cooldown": 3, "factor": 0.5},
    "bounds": {"patience": 0, "min_lr": [0.01, 0.03], "factor": 0.5}, "greatest absolute": {
        "mode": "max", "threshold_mode": "abs", "threshold": 0.2, "patience": 2},
}
OPTIMISERS = {
    "SGD": ("SGD", {"lr": 0.02}), "SGD nesterov": ("SGD", {"lr": 0.02, "momentum": 0.8, "nesterov": True, "weight_decay": 0.1}),
    "Adam": ("Adam", {"lr": 0.05}), "AdamW": ("AdamW", {"lr": 0.05, "weight_decay": 0.2}), "NAdam": ("NAdam", {"lr": 0.05}),
    "RMSprop": ("RMSprop", {"lr": 0.02}), "RMSprop centered": ("RMSprop", {"lr": 0.02, "momentum": 0.5, "centered": True}),
    "Adagrad": ("Adagrad", {"lr": 0.2, "lr_decay": 0.01}),
    "LBFGS": ("LBFGS", {"lr": 0.05, "max_iter": 3, "history_size": 4}),
    "LBFGS strong Wolfe": ("LBFGS", {"max_iter": 2, "history_size": 3, "line_search_fn": "strong_wolfe"}),
    "LBFGS few evaluations": ("LBFGS", {"lr": 2.0, "max_iter": 6, "max_eval": 3, "line_search_fn": "strong_wolfe"}),
}


def rates_of(optimiser):
    return [[group["lr"],
             *([group["momentum"]] if "momentum" in group else group["betas"][:1])] for group in optimiser.param_groups]


def scheduled(library, name):
    """The rates and momenta of two groups at each step."""
    tensor = tg.tensor if library is tg else __import__("torch").tensor
    x, y = (tensor(1.0, requires_grad=True) for _ in range(2))
    momentum = {"momentum": 0.9, "lr": 0.1}
    optimiser = library.optim.SGD([{"params": [x]}, {"params": [y], "lr": 0.05}], **momentum)
    found = SCHEDULERS[name](library.optim.lr_scheduler, optimiser)
    path = [rates_of(optimiser)]
    for _ in range(STEPS):
        optimiser.step()
        for scheduler in found if isinstance(found, list) else [found]:
            scheduler.step()
        path.append(rates_of(optimiser))
    return path


def plateau(library, name):
    tensor = tg.tensor if library is tg else __import__("torch").tensor
    optimiser = library.optim.SGD([{"params": [tensor(1.0, requires_grad=True)]},
                                   {"params": [tensor(1.0, requires_grad=True)], "lr": 0.05}], lr=0.1, momentum=0.0)
    scheduler = library.optim.lr_scheduler.ReduceLROnPlateau(optimiser, **PLATEAUS[name])
    path = []
    for quantity in QUANTITIES:
        scheduler.step(tensor(quantity))
        path.append(rates_of(optimiser))
    return path


def descent(library, name):
    """The losses of 25 steps, of a function with a bent valley, saddles and two parameters."""
    tensor = tg.tensor if library is tg else __import__("torch").tensor
    x = tensor(np.linspace(-1.2, 1.5, 6).reshape(2, 3), requires_grad=True)
    y = tensor(np.array([0.5, -0.3, 1.0]), requires_grad=True)
    kind, options = OPTIMISERS[name]
    optimiser = getattr(library.optim, kind)([x, y], **options)
    losses = []

    def closure():
        optimiser.zero_grad()
        z = x[1] - x[0] * x[0]
        loss = (z * z).sum() * 3 + ((1 - x[0]) ** 2).sum() + ((y * y - 1) ** 2 * 0.5 + y * x[1] * 0.3).sum()
        loss.backward()
        return loss

    for _ in range(STEPS):
        losses.append(optimiser.step(closure).item())
    return losses


PATHS = {"scheduled": (scheduled, SCHEDULERS), "plateau": (plateau, PLATEAUS), "descent": (descent, OPTIMISERS)}
CASES = [pytest.param(kind, name, id=f"{kind} {name}") for kind, (_, names) in PATHS.items() for name in names]


def record():
    """Write the recorded paths; run with PyTorch, python -c "import test_lr_scheduler as t; t.record()"."""
    import torch
    found = {kind: {name: path(torch, name) for name in names} for kind, (path, names) in PATHS.items()}
    RECORDED.write_text(json.dumps(found).replace("}, ", "},\n").replace(']], "', ']],\n"').replace('], "', '],\n"') + "\n")


@pytest.mark.parametrize("kind, name", CASES)
def test_the_path_is_that_recorded_of_pytorch(kind, name):
    wanted = json.loads(RECORDED.read_text())[kind][name]
    np.testing.assert_allclose(PATHS[kind][0](tg, name), wanted, rtol=1e-9 if kind != "descent" else 1e-6, atol=1e-12)


@pytest.mark.filterwarnings("ignore:.*lr_scheduler.step.*:UserWarning", "ignore:.*epoch parameter.*:UserWarning")
@pytest.mark.parametrize("kind, name", CASES)
def test_the_path_is_that_of_pytorch(kind, name):
    torch = pytest.importorskip("torch")
    np.testing.assert_allclose(PATHS[kind][0](tg, name), PATHS[kind][0](torch, name), rtol=1e-9 if kind != "descent" else 1e-6,
                               atol=1e-12)


def two_groups(**options):
    x, y = (tg.tensor([1.0], requires_grad=True) for _ in range(2))
    return tg.optim.SGD([{"params": [x]}, {"params": [y], "lr": 0.05}], **{**SGD, **options})


@pytest.mark.parametrize("name", [name for name, make in SCHEDULERS.items() if " " not in name or name.startswith("Seq")])
def test_going_on_from_the_state(name):
    """Of optimiser and scheduler, in the middle: the rates of the rest are the same bit for bit."""
    optimiser = two_groups()
    scheduler = SCHEDULERS[name](lr_scheduler, optimiser)
    for _ in range(11):
        scheduler.step()
    saved = [json.loads(json.dumps(of.state_dict(), default=np.ndarray.tolist)) for of in (optimiser, scheduler)]
    wanted = []
    for _ in range(10):
        scheduler.step()
        wanted.append(rates_of(optimiser))
    other = two_groups()
    again = SCHEDULERS[name](lr_scheduler, other)
    for group, held in zip(other.param_groups, saved[0]["param_groups"]):
        group.update({key: value for key, value in held.items() if key != "params"})
    again.load_state_dict(saved[1])
    found = []
    for _ in range(10):
        again.step()
        found.append(rates_of(other))
    assert found == wanted


def test_going_on_from_an_epoch():
    optimiser = two_groups()
    first = lr_scheduler.ExponentialLR(optimiser, 0.5)
    for _ in range(3):
        first.step()
    again = lr_scheduler.ExponentialLR(optimiser, 0.5, last_epoch=first.last_epoch)
    assert again.last_epoch == 4 and optimiser.param_groups[0]["lr"] == 0.1 * 0.5 ** 4 == first.rate(0.1, 4)


@pytest.mark.parametrize("make", [lambda o, last: lr_scheduler.ExponentialLR(o, 0.5, last_epoch=last),
                                  lambda o, last: lr_scheduler.CosineAnnealingLR(o, 9, 1e-3, last_epoch=last),
                                  lambda o, last: lr_scheduler.LinearLR(o, 0.5, total_iters=6, last_epoch=last)])
def test_going_on_with_a_loaded_optimiser(make):
    """Whose rates are those that the scheduler had set for the next step already."""
    optimiser, other = two_groups(), two_groups()
    first = make(optimiser, -1)
    for _ in range(3):
        first.step()
    other.load_state_dict(optimiser.state_dict())
    again = make(other, first.last_epoch - 1)
    assert rates_of(other) == rates_of(optimiser) and again.last_epoch == first.last_epoch
    first.step(), again.step()
    assert rates_of(other) == rates_of(optimiser)
    with pytest.raises(ValueError, match="last_epoch=2 without initial_lr in group 0"):
        make(two_groups(), 2)


def test_going_on_from_the_state_of_a_plateau():
    one, other = two_groups(), two_groups()
    first, again = (lr_scheduler.ReduceLROnPlateau(o, patience=1) for o in (one, other))
    for quantity in QUANTITIES[:8]:
        first.step(quantity)
    other.load_state_dict(one.state_dict())
    again.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for quantity in QUANTITIES[8:]:
        first.step(quantity), again.step(tg.tensor(quantity))
        assert rates_of(one) == rates_of(other) and again.get_last_lr() == first.get_last_lr()


def test_a_rate_that_a_user_changes_is_multiplied():
    optimiser = two_groups()
    scheduler = lr_scheduler.StepLR(optimiser, 1, 0.5)
    optimiser.param_groups[0]["lr"] = 1.0
    scheduler.step()
    assert [group["lr"] for group in optimiser.param_groups] == [0.5, 0.025] == scheduler.get_last_lr()


def test_groups_that_are_added_afterwards():
    optimiser, more = two_groups(), {"params": [tg.tensor(1.0, requires_grad=True)], "lr": 0.8}
    scheduler, fixed = lr_scheduler.ExponentialLR(optimiser, 0.5), lr_scheduler.LambdaLR(optimiser, lambda epoch: 1.0)
    scheduler.step()
    optimiser.add_param_group(more)
    saved = scheduler.state_dict()
    scheduler.step()
    assert saved["base_lrs"] == [0.1, 0.05]
    assert [group["lr"] for group in optimiser.param_groups] == scheduler.get_last_lr() == pytest.approx([0.025, 0.0125, 0.4])
    with pytest.raises(ValueError, match="LambdaLR: the optimiser has 1 groups of parameters that were added"):
        fixed.step()


def test_a_closure_without_a_loss():
    with pytest.raises(TypeError, match="LBFGS: the closure has returned None"):
        tg.optim.LBFGS([tg.tensor(1.0, requires_grad=True)]).step(lambda: None)


@pytest.mark.parametrize("make, words", [
    (lambda o: lr_scheduler.CosineAnnealingLR(o, 0), "CosineAnnealingLR: T_max=0"),
    (lambda o: lr_scheduler.StepLR(o, 0), "StepLR: step_size=0"), (lambda o: lr_scheduler.LinearLR(o, 0.0), "start_factor=0.0"),
    (lambda o: lr_scheduler.LambdaLR(o, [abs]), "LambdaLR: 1 functions for 2 groups"),
    (lambda o: lr_scheduler.OneCycleLR(o, 1.0), "give total_steps"),
    (lambda o: lr_scheduler.OneCycleLR(o, [1.0], 9), "1 values of max_lr"),
    (lambda o: lr_scheduler.OneCycleLR(o, 1.0, 9, anneal_strategy="up"), "anneal_strategy='up'"),
    (lambda o: lr_scheduler.OneCycleLR(tg.optim.Adagrad(o.parameters), 1.0, 9), "Adagrad, which has no momentum"),
    (lambda o: [lr_scheduler.OneCycleLR(o, 1.0, 2).step() for _ in range(2)] and lr_scheduler.OneCycleLR(o, 1.0, 1).step(),
     "step 2 of 1"),
    (lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.StepLR(o, 1)], [3]), "1 schedulers and 1 milestones"),
    (lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.StepLR(o, 1)] * 3, [3, 1]), "they ascend"),
    (lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.StepLR(two_groups(), 1)], []), "not a schedule of this optimiser"),
    (lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=1.5), "factor=1.5"),
    (lambda o: lr_scheduler.ReduceLROnPlateau(o, "least"), "mode='least'"),
    (lambda o: lr_scheduler.ReduceLROnPlateau(o, min_lr=[0.1]), "1 values of min_lr"),
    (lambda o: lr_scheduler.StepLR(o, 1).load_state_dict({"epoch": 1}), "StepLR.load_state_dict: dict"),
    (lambda o: lr_scheduler.StepLR(o, 1).load_state_dict({"last_epoch": 1, "base_lrs": [1.0], "last_lrs": [1.0]}),
     "of 1 groups for 2")])
def test_errors(make, words):
    with pytest.raises(ValueError, match=words):
        make(two_groups())


def test_a_scheduler_of_no_optimiser():
    with pytest.raises(TypeError, match="StepLR: 3"):
        lr_scheduler.StepLR(3, 1)


class TestLBFGS:
    def made(self, x, **options):
        optimiser = tg.optim.LBFGS([x], **options)

        def closure():
            optimiser.zero_grad()
            loss = (x[0] - 1) ** 2 + 10 * (x[1] - x[0] ** 2) ** 2
            loss.backward()
            return loss

        return optimiser, closure

    @pytest.mark.parametrize("dtype, within", [("f8", 1e-6), ("f4", 1e-2)])
    def test_it_arrives(self, dtype, within):
        x = tg.tensor([-1.0, 2.0], dtype=dtype, requires_grad=True)
        optimiser, closure = self.made(x, line_search_fn="strong_wolfe", max_iter=50)
        optimiser.step(closure)
        assert x.dtype == dtype
        np.testing.assert_allclose(x.data, [1, 1], atol=within)
        before = x.data.copy()
        optimiser.step(closure)
        np.testing.assert_allclose(x.data, before, atol=within)

    def test_going_on_from_the_state(self):
        x, y = (tg.tensor([-1.0, 2.0], requires_grad=True) for _ in range(2))
        (one, closure), (other, again) = (self.made(z, max_iter=2, line_search_fn="strong_wolfe") for z in (x, y))
        one.step(closure), one.step(closure)
        y.data[...] = x.data
        other.load_state_dict(one.state_dict())
        for _ in range(3):
            one.step(closure), other.step(again)
        np.testing.assert_array_equal(x.data, y.data)

    def test_errors(self):
        x = tg.tensor([-1.0, 2.0], requires_grad=True)
        optimiser, closure = self.made(x)
        with pytest.raises(TypeError, match="step\\(\\) without a closure"):
            optimiser.step()
        with pytest.raises(ValueError, match="line_search_fn='wolfe'"):
            self.made(x, line_search_fn="wolfe")
        with pytest.raises(ValueError, match="LBFGS: 2 groups"):
            tg.optim.LBFGS([{"params": [x]}, {"params": [tg.tensor(1.0, requires_grad=True)]}])
        with pytest.raises(DtypeError, match="one real dtype"):
            tg.optim.LBFGS([x, tg.tensor(np.ones(1, "f4"), requires_grad=True)])
        optimiser.step(closure)
        saved = optimiser.state_dict()
        for change, error, words in [({"memory": None}, StateError, "no memory of LBFGS"),
                                     ({"memory": saved["memory"] | {"direction": np.ones(3)}}, ShapeError,
                                      "float64 \\(3,\\) for 2"),
                                     ({"memory": saved["memory"] | {"steps": [np.ones(2, "f4")]}}, DtypeError,
                                      "float32 \\(2,\\)")]:
            with pytest.raises(error, match=words):
                optimiser.load_state_dict(saved | change)
