"""A tensor that requires a gradient, in every place for an argument: differentiated or refused, never dropped.

The calls are those of the docstrings' examples; of each, one argument after the other is made such a tensor, and what has a
default, too. Where the call goes through, the gradient is compared with differences: of a constant result they are 0. So it
is for the numbers that modules are made with. Those of optimisers and schedulers are refused.
"""

import doctest
import inspect
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import functions, nn, optim
from tapegrad.errors import GradientError
from tapegrad.optim import lr_scheduler

PLACES = {"": (tg, dir(functions)), "linalg.": (tg.linalg, tg.linalg.__all__), "fft.": (tg.fft, tg.fft.__all__)}
FUNCTIONS = {where + name: getattr(place, name) for where, (place, names) in PLACES.items() for name in names
             if callable(getattr(place, name)) and not inspect.isclass(getattr(place, name))}
# Where differences say nothing: memory as it is, random results, a basis of equal singular values, float32, the rank of a
# correlation, methods of tensors.
SKIPPED = {"empty", "empty_like", "dropout", "linalg.svd", "astype", "corrcoef", "linalg.matrix_transpose", "linalg.vecdot",
           "setitem"}
STEP = 1e-6


def examples_call(name, function):
    """The arguments of the first call of the function in its own example."""
    calls = []

    def spy(*args, **kwargs):
        calls.append((args, kwargs))
        return function(*args, **kwargs)

    where, _, short = name.rpartition(".")
    known = function.__name__
    place = getattr(tg, where) if where else tg
    spied = SimpleNamespace(**{n: getattr(place, n) for n in dir(place) if not n.startswith("_")} | {short: spy, known: spy})
    if where:
        spied = SimpleNamespace(**{n: getattr(tg, n) for n in dir(tg) if not n.startswith("_")} | {where: spied})
    globs = {"tg": spied, "np": np}
    for example in doctest.DocTestParser().get_examples(function.__doc__ or ""):
        try:
            exec(compile(example.source, name, "single"), globs)
        except Exception:
            continue
        if calls:
            return calls[0]
    return None


def plain(x):
    return x.data if isinstance(x, tg.Tensor) else x


def numbers(x):
    """x as an array of floats, or None."""
    if isinstance(x, (str, bool, type(None), slice)) or callable(x):
        return None
    try:
        x = np.asarray(plain(x))
    except Exception:
        return None
    return x.astype(float) if x.dtype.kind in "iuf" and x.size else x if x.dtype.kind == "c" else None


def places(function, args, kwargs):
    """Each place for a number or an array: what the call is with something else there, and the values to try."""
    for i, arg in enumerate(args):
        if numbers(arg) is not None:
            yield i, lambda v, i=i: (args[:i] + (v,) + args[i + 1:], kwargs), [numbers(arg)]
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return
    first = next((numbers(arg) for arg in args if numbers(arg) is not None), np.ones(2))
    given = {p.name for p in parameters[:len(args)]}
    for p in parameters:
        if p.name in given or p.kind not in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) or p.name in ("out", "where"):
            continue
        held = kwargs.get(p.name, p.default)
        tried = [np.ones(()) * 0.7, np.ones(first.shape), np.ones(first.shape[-1:]) * 0.7] if held is None else [numbers(held)]
        if tried[0] is not None:
            yield p.name, lambda v, p=p: (args, kwargs | {p.name: v}), tried


def flat(z):
    if isinstance(z, (tuple, list)):
        return [part for item in z for part in flat(item)]
    return [z] if isinstance(z, (tg.Tensor, np.ndarray, float, complex, np.generic)) else []


def loss(z):
    """A number that depends on all of a result."""
    total = 0.0
    for k, part in enumerate(flat(z)):
        if np.asarray(plain(part)).dtype.kind not in "fc":
            continue
        weight = np.random.default_rng(k).uniform(0.5, 1.5, np.shape(plain(part)))
        total = total + tg.sum(tg.real(part) * weight) + (tg.sum(tg.imag(part) * weight) if np.iscomplexobj(plain(part)) else 0)
    return total


def silently_wrong(function, call, at):
    """What is wrong with the gradient by the argument; None if nothing is, or it is refused."""
    x = tg.tensor(at, requires_grad=True)
    args, kwargs = call(x)
    try:
        z = loss(function(*args, **kwargs))
        if isinstance(z, tg.Tensor) and z.requires_grad:
            z.backward()
    except Exception:
        return None
    ours = np.zeros_like(at) if x.grad is None else x.grad
    step = STEP * np.random.default_rng(7).uniform(0.5, 1.5, at.shape)
    if at.ndim == 2 and np.array_equal(at, at.T):       # a change of a symmetric matrix, see CONVENTIONS.md
        step = (step + step.T) / 2
    sides = []
    for sign in (1, -1):
        args, kwargs = call(tg.tensor(at + sign * step))
        try:
            sides.append(float(np.real(plain(loss(function(*args, **kwargs))))))
        except Exception:
            return None                                 # at the edge of the domain
    middle = float(np.real(plain(z)))
    forward, backward = (sides[0] - middle) / STEP, (middle - sides[1]) / STEP
    ours = float(np.sum((ours.real if np.iscomplexobj(ours) else ours) * step) / STEP)
    low, high = min(forward, backward), max(forward, backward)      # at a corner, anything between; not at a jump
    margin = 1e-4 * (1 + abs(low) + abs(high))
    if np.isfinite([forward, backward, ours]).all() and max(high, -low) < 1e4 and not low - margin <= ours <= high + margin:
        return f"the gradient is {ours:.6g}, the differences are {forward:.6g} and {backward:.6g}"
    return None


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - SKIPPED))
def test_no_gradient_is_dropped(name):
    function = FUNCTIONS[name]
    call = examples_call(name, function)
    assert call is not None, f"no example of {name} calls it"
    found = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for place, with_value, values in places(function, *call):
            for at in values:
                wrong = silently_wrong(function, with_value, at)
                if wrong:
                    found.append(f"{place}={at.tolist()}: {wrong}")
    assert not found, f"{name}: " + "; ".join(found)


def numbers_of(cls):
    """The names of the arguments that are numbers, with values."""
    for name, p in inspect.signature(cls).parameters.items():
        if isinstance(p.default, float) or p.name == "betas" or p.default is p.empty and str(p.annotation).startswith("float"):
            yield name, 0.5 if p.default is p.empty else p.default


MODULES = {name: getattr(nn, name) for name in nn.__all__ if inspect.isclass(getattr(nn, name))}
OPTIMISERS = [cls for cls in vars(optim).values() if inspect.isclass(cls) and cls is not optim.Optimizer]


@pytest.mark.parametrize("name, option, at", [(name, *option) for name, cls in MODULES.items() for option in numbers_of(cls)])
def test_no_gradient_is_dropped_by_a_module(name, option, at):
    """In the example of its docstring, with the option as a tensor: the loss is that of what its modules return."""
    cls = MODULES[name]
    examples, parameters = doctest.DocTestParser().get_examples(cls.__doc__), inspect.signature(cls).parameters

    def example(v):
        found = []

        class Made(cls):
            def __call__(self, *inputs, **options):
                found.append(super().__call__(*inputs, **options))
                return found[-1]

        def make(*args, **kwargs):
            wide = {"dtype": "f8"} if "dtype" in parameters else {}
            return Made(**inspect.signature(cls).bind_partial(*args, **kwargs).arguments | wide | {option: v})

        tg.manual_seed(0)
        spied = {"nn": SimpleNamespace(**vars(nn) | {name: make})}
        globs = {"tg": SimpleNamespace(**{n: getattr(tg, n) for n in dir(tg) if not n.startswith("_")} | spied), "np": np}
        for each in examples:
            exec(compile(each.source, name, "exec"), globs)
        return found

    assert flat(example(at))
    assert silently_wrong(example, lambda v: ((v,), {}), np.asarray(at, float)) is None


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_hyperparameters_have_no_derivative(optimiser):
    parameters, words = [tg.tensor([1.0], requires_grad=True)], f"{optimiser.__name__}: there is no derivative"
    made = optimiser(parameters)
    for name, at in numbers_of(optimiser):
        given = tg.tensor(at, requires_grad=True)
        with pytest.raises(GradientError, match=words):
            optimiser(parameters, **{name: given})
        with pytest.raises(GradientError, match=words):
            setattr(made, name, given)


@pytest.mark.parametrize("name, needed", [
    ("StepLR", {"step_size": 1}), ("MultiStepLR", {"milestones": [1]}), ("ExponentialLR", {"gamma": 0.5}), ("LinearLR", {}),
    ("CosineAnnealingLR", {"T_max": 2}), ("OneCycleLR", {"max_lr": 1.0, "total_steps": 4}), ("ReduceLROnPlateau", {})])
def test_what_makes_a_rate_has_no_derivative(name, needed):
    optimiser = optim.SGD([tg.tensor([1.0], requires_grad=True)], momentum=0.9)
    tried = dict(numbers_of(getattr(lr_scheduler, name)))
    assert tried
    for option, at in tried.items():
        with pytest.raises(GradientError):
            getattr(lr_scheduler, name)(optimiser, **needed | {option: tg.tensor(at, requires_grad=True)})
    assert optimiser.lr == 1e-3
