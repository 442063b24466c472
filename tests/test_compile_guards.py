"""tg.compile: what a function has read is compared before a replay, wherever it stands."""

import builtins
from argparse import Namespace
from collections import ChainMap, UserDict
from contextvars import ContextVar
from dataclasses import astuple, dataclass
from operator import attrgetter
from threading import local
from types import MappingProxyType, ModuleType, SimpleNamespace

import numpy as np
import pytest
from compiled_calls import replays, strict, x_of

import tapegrad as tg

SCALE = 2.0
WEIGHT = tg.tensor([1.0, 2.0], requires_grad=True)
OPTIONS = {"power": 2, "shift": [1.0, 2.0]}


class Config:
    rate = 0.5


def test_branches_are_guarded():
    lines = []

    @strict
    def f(x):
        if x.sum() > 0:
            return x * 2
        return x * 3 if float(x.detach()[0]) == -1.0 else x * 4

    for values, factor in [((1.0, 2.0), 2), ((-1.0, 0.0), 3), ((-2.0, 0.0), 4)] * 3:
        lines.append(f(x_of(*values)).tolist() == [factor * v for v in values])
    assert all(lines) and len(f.cache) == 3 and sum(replays(f)) == 6


def test_a_loop_whose_length_is_a_value():
    @strict
    def f(x, n):
        for _ in range(int(n)):
            x = x * 2
        return x

    for n in (1, 2, 3, 1, 2, 3):
        assert f(x_of(1.0), tg.tensor(n)).item() == 2.0 ** n
    assert replays(f) == [1, 1, 1]


def test_what_differs_at_each_call_is_run_as_it_is():
    @tg.compile
    def f(x):
        return x * float(x.detach().sum())

    with pytest.warns(UserWarning, match=r"f is run as it is.*differs from call to call.*test_compile_guards.py:\d+"):
        for i in range(30):
            assert f(x_of(float(i))).item() == float(i * i)
    assert len(f.cache) < 12


def test_large_arrays_that_leave_are_run_as_they_are():
    f = tg.compile(lambda x: x * np.asarray(x.detach()).sum())
    x = tg.tensor(np.ones(100), requires_grad=True)
    with pytest.warns(UserWarning, match="looks at the elements of float64 .100,., more than 64"):
        assert f(x).tolist() == [100.0] * 100
    for _ in range(3):
        assert f(x).tolist() == [100.0] * 100          # said once


@pytest.mark.parametrize("read", [lambda x: np.asarray(x), lambda x: x.tolist(), lambda x: x.data, lambda x: x.numpy(),
                                  lambda x: f"{x}" and 1.0, lambda x: repr(x) and 2.0, lambda x: [float(v) for v in x],
                                  lambda x: np.array(x), lambda x: bool((x > 0).all()), lambda x: hash(x.tolist()[0]) % 7,
                                  lambda x: np.allclose(x, 1.0), lambda x: x.sum().item(), lambda x: int(x[0])])
def test_every_way_to_look_at_elements_is_seen(read):
    def f(x):
        return tg.tensor(1.0) * np.sum(read(x.detach()))

    compiled = strict(f)
    for values in [(1.0, 2.0), (1.0, 1.0), (3.0, 4.0), (1.0, 2.0)]:
        assert compiled(tg.tensor(values)).item() == f(tg.tensor(values)).item()


def test_closures_and_globals_are_compared():
    global SCALE, WEIGHT
    factor, table, config = 2.0, {"a": [1.0, 2.0]}, Config()

    @strict
    def f(x):
        return x * factor * SCALE * table["a"][1] * config.rate * OPTIONS["shift"][0] * Config.rate

    x = x_of(1.0)
    try:
        for change in ("", "factor = 3.0", "SCALE", "table", "list", "attribute", "class", "options"):
            if change == "factor = 3.0":
                factor = 3.0
            elif change == "SCALE":
                SCALE = 5.0
            elif change == "table":
                table["a"] = [1.0, 7.0]
            elif change == "list":
                table["a"][1] = 8.0
            elif change == "attribute":
                config.rate = 11.0
            elif change == "class":
                Config.rate = 13.0
            elif change == "options":
                OPTIONS["shift"][0] = 17.0
            for _ in range(2):
                assert f(x).item() == f.fun(x).item(), change
        assert replays(f) == [1] * 8
    finally:
        SCALE, Config.rate, OPTIONS["shift"][0] = 2.0, 0.5, 1.0


ls = 0.0


def test_a_global_of_the_name_of_an_attribute_is_not_read():
    global ls
    flags = SimpleNamespace(ls=3.0)

    @strict
    def f(x):
        return x * flags.ls

    for ls in (1.0, 2.0, 3.0, 4.0):                     # noqa: B007
        assert f(x_of(1.0)).item() == 3.0
    assert replays(f) == [3]


def test_a_global_that_comes_later_is_read():
    @strict
    def f(x):
        try:
            return x * LATE                             # noqa: F821
        except NameError:
            return x

    try:
        for value in (1.0, 1.0, 5.0, 7.0):
            if value > 1:
                globals()["LATE"] = value
            assert f(x_of(2.0)).item() == 2 * value
    finally:
        del globals()["LATE"]


def test_globals_by_their_name_are_run_as_they_are():
    global SCALE
    f = tg.compile(lambda x: x * globals()["SCALE"], fallback="silent")
    try:
        for SCALE in (2.0, 3.0):
            assert f(x_of(1.0)).item() == SCALE
    finally:
        SCALE = 2.0
    assert "it calls globals" in f.explain(x_of(1.0))


HELD = {"rate": 2.0}
PLACES = [(kind(rate=2.0), lambda held, value: setattr(held, "rate", value)) for kind in (SimpleNamespace, Namespace)]
PLACES += [(held, lambda held, value: HELD.update(rate=value)) for held in (MappingProxyType(HELD), ChainMap(HELD))]
PLACES += [(UserDict(rate=2.0), lambda held, value: held.update(rate=value)), (local(), lambda held, value: setattr(
    held, "rate", value)), (ContextVar("rate"), lambda held, value: held.set(value))]


@pytest.mark.parametrize("held, put", PLACES, ids=lambda x: type(x).__name__)
def test_what_objects_of_pythons_library_hold_is_compared(held, put):
    def f(x):
        return x * (held.get() if isinstance(held, ContextVar) else held["rate"] if hasattr(held, "keys") else held.rate)

    compiled = tg.compile(f, fallback="silent")         # a ContextVar is not replayed
    for value in (2.0, 3.0, 3.0, 4.0):
        put(held, value)
        assert compiled(x_of(1.0)).item() == value
    assert isinstance(held, ContextVar) or replays(compiled) == [0, 0, 1]


def test_modules_that_are_imported_inside_are_read(tmp_path, monkeypatch):
    (tmp_path / "rates_of_a_user").mkdir()
    (tmp_path / "rates_of_a_user" / "__init__.py").write_text("""from . import inner
def f(x):
    from .inner import rate
    return x * rate""")
    (tmp_path / "rates_of_a_user" / "inner.py").write_text("rate = 2.0")
    monkeypatch.syspath_prepend(tmp_path)
    import rates_of_a_user
    from rates_of_a_user import inner

    @strict
    def f(x):
        import rates_of_a_user.inner as held
        return x * held.rate

    for compiled in (f, strict(rates_of_a_user.f)):
        for inner.rate in (2.0, 3.0, 3.0):
            assert compiled(x_of(1.0)).item() == inner.rate
        assert replays(compiled) == [0, 1]


def test_types_of_values_are_compared():
    factor = 1
    f = strict(lambda x: x * factor)
    x = tg.tensor([1, 2])
    assert f(x).dtype == np.int64
    factor = 1.0
    assert f(x).dtype == np.float64
    factor = True
    assert f(x).dtype == np.int64
    factor = 0.0
    assert not np.signbit(f(x_of(1.0)).data[0])
    factor = -0.0
    assert np.signbit(f(x_of(1.0)).data[0])
    factor = float("nan")
    for _ in range(2):
        assert np.isnan(f(x_of(1.0)).data[0])
    assert len(f.cache) == 6


def test_tensors_that_it_closes_over_are_read_at_each_call():
    W = x_of(2.0)
    f = strict(lambda x: x * W)
    for value in (2.0, 3.0, 4.0):
        W.data[...] = value
        z = f(x_of(5.0))
        z.backward()
        assert z.item() == 5 * value
    assert W.grad.item() == 15.0 and replays(f) == [2]
    W = x_of(10.0)
    assert f(x_of(5.0)).item() == 50.0 and replays(f) == [3]
    W = tg.tensor([1.0, 2.0])
    assert f(x_of(5.0)).tolist() == [5.0, 10.0] and len(f.cache) == 2


def test_arrays_that_it_closes_over_are_compared():
    array = np.array([1.0, 2.0])
    f = strict(lambda x: x * array)
    for _ in range(2):
        assert f(x_of(1.0, 1.0)).tolist() == array.tolist()
    array[0] = 7.0
    assert f(x_of(1.0, 1.0)).tolist() == [7.0, 2.0]
    assert "tensor, or an argument, is faster" in f.explain(x_of(1.0, 1.0))


def helper(x):
    return x * SCALE


def test_functions_that_it_calls_are_read():
    global SCALE, helper
    f = strict(lambda x: helper(x) + 1)
    before = helper
    try:
        for scale in (2.0, 3.0):
            SCALE = scale
            for _ in range(2):
                assert f(x_of(1.0)).item() == scale + 1
        helper = lambda x: x * 100  # noqa: E731
        assert f(x_of(1.0)).item() == 101.0
    finally:
        SCALE, helper = 2.0, before


def test_one_tensor_by_two_paths():
    a = b = x_of(2.0)
    f = strict(lambda: a * b)
    assert [f().item() for _ in range(2)] == [4.0, 4.0]
    b = x_of(5.0)
    assert [f().item() for _ in range(2)] == [10.0, 10.0]
    g = strict(lambda x, y: x * y)
    for y in (a, b, a, b):
        z = g(a, y)
        a.grad = None
        z.backward()
        assert z.item() == a.item() * y.item() and a.grad.item() == (4.0 if y is a else 5.0)


class Model:
    def __init__(self):
        self.W, self.scale, self.layers = x_of(2.0), 3.0, [x_of(1.0), x_of(2.0)]

    @tg.compile
    def forward(self, x):
        for layer in self.layers:
            x = x + layer
        return x * self.W * self.scale

    def loss(self, x):
        return (self.forward(x) ** 2).sum()


def test_methods():
    model, other = Model(), Model()
    other.W = x_of(100.0)
    for _ in range(3):
        assert model.forward(x_of(1.0)).item() == 24.0
        assert other.forward(x_of(1.0)).item() == 1200.0
    model.scale = 4.0
    assert model.forward(x_of(1.0)).item() == 32.0
    model.layers.append(x_of(1.0))
    assert model.forward(x_of(1.0)).item() == 40.0
    step = strict(model.loss)
    for _ in range(3):
        assert step(x_of(1.0)).item() == 1600.0
    assert replays(step) == [2]


@pytest.mark.parametrize("argument", [lambda: {1, 2}, lambda: [1, [2]], lambda: {"k": {3}}, lambda: Model(), lambda: object()])
def test_unhashable_and_other_arguments(argument):
    f = tg.compile(lambda x, other: x * 2, fallback="silent")
    x = x_of(1.0)
    for _ in range(3):
        assert f(x, argument()).item() == 2.0


def test_the_cache_is_bounded():
    f = tg.compile(lambda x, n: x * n, fallback="silent")
    for n in range(200):
        assert f(x_of(1.0), n).item() == n
    assert len(f.cache) <= 64


class Inner:
    def __init__(self, factor):
        self.factor = factor


class Outer:
    def __init__(self, *inner):
        self.inner = {"a": [inner]}

    def forward(self, x):
        for (part,) in self.inner["a"]:
            x = x * part.factor
        return x


def test_objects_in_objects_are_read():
    inner = Inner(2.0)
    outer = Outer(inner)
    f = strict(lambda x: outer.forward(x))
    for factor in (2.0, 3.0, tg.tensor(4.0), tg.tensor(5.0)):
        inner.factor = factor
        for _ in range(2):
            assert f(x_of(1.0)).item() == float(factor)
    assert sorted(replays(f)) == [1, 1, 3]


CONFIG, RATE, HALF = SimpleNamespace(rate0=2.0, rate1=3.0, unread=0), "rate0", attrgetter("rate0")
READS = {
    "formatted": lambda x, i=0: x * getattr(CONFIG, f"rate{i}"), "joined": lambda x, i=0: x * getattr(CONFIG, "rate" + str(i)),
    "argument": lambda x, name="rate" "0": x * getattr(CONFIG, name), "global": lambda x: x * getattr(CONFIG, RATE),
    "default": lambda x: x * getattr(CONFIG, "rate" + "012"[0], 1.0), "conditional": lambda x: x * getattr(
        CONFIG, "rate0" if x.ndim else "rate1"), "mapped": lambda x: x * [*map(getattr, [CONFIG], ["rate" + str(0)])][0],
    "mapped beside a constant": lambda x: x * next(map(getattr, [CONFIG], ["rate" + str(0)]), "rate1"),
    "by another name": lambda x, i=0, get=getattr: x * get(CONFIG, f"rate{i}"),
    "of builtins": lambda x, i=0: x * builtins.getattr(CONFIG, f"rate{i}"),
    "star": lambda x: x * getattr(*[CONFIG, "rate" + str(0)]), "attrgetter": lambda x: x * HALF(CONFIG),
    "attrgetter made inside": lambda x, i=0: x * attrgetter(f"rate{i}")(CONFIG),
    "__getattribute__": lambda x, i=0: x * CONFIG.__getattribute__(f"rate{i}"),
    "vars": lambda x, i=0: x * vars(CONFIG)[f"rate{i}"], "constant": lambda x: x * getattr(CONFIG, "rate0", 1.0)}


@pytest.mark.parametrize("how", READS)
def test_attributes_by_names_that_are_computed_are_compared(how, monkeypatch):
    f = strict(READS[how])
    for _ in range(2):
        assert f(x_of(1.0)).item() == 2
    monkeypatch.setattr(CONFIG, "rate0", 5.0)
    assert f(x_of(1.0)).item() == 5
    monkeypatch.setattr(CONFIG, "unread", 1)
    assert f(x_of(1.0)).item() == 5
    if how == "constant":                               # what else the object has is not compared then
        assert replays(f)[-1] >= 1 and len(f.cache) == 2


class Slotted:
    __slots__ = "rate0",
    rate1 = 2.0


class Derived(Slotted):
    pass


SLOTTED = Slotted()
SETTINGS = ModuleType("settings")


@dataclass
class Record:
    rate: float = 2.0


RECORD = Record()


@pytest.mark.parametrize("f, of, name", [
    (lambda x, i=0: x * getattr(SLOTTED, f"rate{i}"), SLOTTED, "rate0"),
    (lambda x, i=1: x * getattr(Slotted, f"rate{i}"), Slotted, "rate1"),
    (lambda x, i=1: x * getattr(Derived(), f"rate{i}"), Slotted, "rate1"),
    (lambda x, i=0: x * getattr(SETTINGS, f"rate{i}"), SETTINGS, "rate0"),
    (lambda x: x * astuple(RECORD)[0], RECORD, "rate")])
def test_slots_classes_modules_and_fields_by_names_that_are_computed(f, of, name):
    setattr(of, name, 2.0)
    f = strict(f)
    for value in (2.0, 2.0, 5.0, 2.0):
        setattr(of, name, value)
        assert f(x_of(1.0)).item() == value


def test_what_the_code_that_has_run_does_not_read_is_not_compared():
    unread = Inner(2.0)

    def other(x):
        return x * unread.factor

    f = strict(lambda x, n: x * 2 if n else other(x))
    for n in (1, 0):
        f(x_of(1.0), n)
    unread.factor = 3.0
    assert [f(x_of(1.0), n).item() for n in (1, 0)] == [2.0, 3.0]
    assert sorted(replays(f)) == [0, 0, 1]


class Maker:
    def __init__(self):
        self.factor = SCALE


def test_code_that_is_found_when_it_is_called_is_read():
    global SCALE
    f = strict(lambda x: x * Maker().factor)
    try:
        for scale in (2.0, 3.0):
            SCALE = scale
            assert [f(x_of(1.0)).item() for _ in range(2)] == [scale, scale]
    finally:
        SCALE = 2.0
    assert replays(f) == [1, 1]
