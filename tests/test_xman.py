"""The expression manager: names by reflection, sequences of operations, and course programs that run on it."""

import sys

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import wengert, xman
from tapegrad.errors import WengertError
from tapegrad.xman import Operation, Register, XMan, XManFunctions


class f(XManFunctions):
    @staticmethod
    def half(a):
        return XManFunctions.registerDefinedByOperator("half", a)

    @staticmethod
    def relu(a):
        return XManFunctions.registerDefinedByOperator("relu", a)

    @staticmethod
    def square(a):
        return XManFunctions.registerDefinedByOperator("square", a)


class Triangle(XMan):
    h = f.input()
    w = f.input()
    area = f.half(f.mul(h, w))


def test_it_is_part_of_tapegrad():
    assert tg.xman is xman and tg.wengert is wengert


def test_triangle():
    xm = Triangle().setup()
    sequence = xm.operationSequence(xm.area)
    assert sequence == [("z1", "mul", ("h", "w")), ("area", "half", ("z1",))]
    values = wengert.eval(sequence, xm.inputDict(h=3.0, w=4.0))
    assert values["area"] == 6
    assert {name: float(d) for name, d in wengert.backprop(sequence, values).items()} == {
        "area": 1, "z1": 0.5, "h": 2, "w": 1.5}


def test_names_are_those_of_variables_of_the_class_its_bases_and_the_instance():
    class Prism(Triangle):
        length = f.param(default=2.0)
        volume = Triangle.area * length

    xm = Prism()
    xm.twice = xm.volume + xm.volume
    xm.setup()
    assert xm.twice.name == "twice"
    assert xm.operationSequence(xm.twice) == [
        ("z1", "mul", ("h", "w")), ("area", "half", ("z1",)), ("volume", "mul", ("area", "length")),
        ("twice", "add", ("volume", "volume"))]
    assert [name for name, _ in xm.namedRegisterItems()] == ["area", "h", "length", "twice", "volume", "w"]
    assert xm.registers()["length"] is Prism.length and set(xm.registers()) == {
        "area", "h", "length", "twice", "volume", "w", "z1"}


def test_setup_is_idempotent_and_names_what_was_added():
    xm = Triangle().setup()
    before = dict(xm.registers())
    assert xm.setup() is xm and xm.registers() == before
    xm.more = f.half(f.half(xm.area))
    xm.setup()
    assert xm.operationSequence("more")[-2:] == [("z2", "half", ("area",)), ("more", "half", ("z2",))]
    assert Triangle().setup().operationSequence(Triangle.area) == [("z1", "mul", ("h", "w")), ("area", "half", ("z1",))]


def test_explicit_names_stay_and_numbers_are_not_given_twice():
    xm = XMan()
    xm.x, xm.z1 = f.input(name="input", default=3.0), f.param(default=2.0)
    xm.out = f.square(xm.x * xm.z1)
    assert xm.setup().operationSequence(xm.out) == [("z2", "mul", ("input", "z1")), ("out", "square", ("z2",))]


def test_roles_and_input_dict():
    xm = XMan()
    xm.x, xm.W = f.input(), f.param(default=2.0)
    xm.b = f.param(default=0.0)
    xm.o = f.relu(xm.x * xm.W + xm.b)
    xm.setup()
    assert [name for name in sorted(xm.registers()) if xm.isParam(name)] == ["W", "b"]
    assert xm.isInput("x") and xm.isOpOutput("o") and xm.isOpOutput("z1") and not xm.isOpOutput("x")
    assert xm.inputDict(x=1.0) == {"x": 1.0, "W": 2.0, "b": 0.0}
    assert xm.inputDict(x=1.0, W=5.0)["W"] == 5.0 and xm.W.default == 2.0
    assert xm.o.role == "operationOutput" and xm.W.role == "param"
    with pytest.raises(KeyError, match="y"):
        xm.isParam("y")


def test_a_missing_input_is_named():
    xm = Triangle().setup()
    values = xm.inputDict(h=1.0)
    with pytest.raises(KeyError, match="w has no value: it has no default; pass it as inputDict"):
        values["w"]
    with pytest.raises(WengertError, match=r"entry 1, z1 = mul\(h, w\): w has no value"):
        wengert.eval(xm.operationSequence(xm.area), values)
    values["w"] = 2.0
    assert wengert.eval(xm.operationSequence(xm.area), values)["area"] == 1


def test_operators_with_registers_numbers_and_arrays():
    xm = XMan()
    xm.x = f.input(default=np.array([1.0, 2.0]))
    xm.out = 3 * (10 - xm.x) + xm.x * 2 - np.array([1.0, 1.0]) + (1 + xm.x) - xm.x
    sequence = xm.setup().operationSequence(xm.out)
    values = wengert.eval(sequence, xm.inputDict())
    np.testing.assert_array_equal(values["out"], [29.0, 28.0])
    np.testing.assert_array_equal(wengert.backprop(sequence, values)["x"], [-1.0, -1.0])
    left = np.array([1.0, 1.0]) * xm.x
    assert isinstance(left, Register) and left.inputsTo()[1] is xm.x


def test_inputs_and_operations_can_be_read():
    area, product = Triangle.area, Triangle.area.inputsTo()[0]
    assert product.inputsTo() == (Triangle.h, Triangle.w) and Triangle.h.inputsTo() == ()
    assert product.definedAs.fun == "mul" and product.definedAs.outputReg is product
    xm = XMan()
    xm.x = f.input()
    y = f.half(xm.x)
    assert y.definedAs.asStringTuple() == ("???", "half", ("???",)) and "without a name" in repr(y)
    xm.y = y
    xm.setup()
    assert y.definedAs.asStringTuple() == ("y", "half", ("x",)) and str(y.definedAs) == "y = f.half(x)"
    assert isinstance(area.definedAs, Operation)


def test_each_operation_once_in_the_order_of_operands():
    xm = XMan()
    xm.x = f.input()
    xm.a, xm.b = f.square(xm.x), f.half(xm.x)
    xm.c = xm.a * xm.b
    xm.d = f.add(xm.c, xm.b) - xm.a
    xm.setup()
    assert [z for z, _, _ in xm.operationSequence(xm.d)] == ["a", "b", "c", "z1", "d"]
    assert [z for z, _, _ in xm.operationSequence(xm.d, previouslyDefined={"a", "c"})] == ["b", "z1", "d"]
    assert xm.operationSequence(xm.x) == [] == xm.operationSequence(xm.d, {"d"})


def test_what_is_wrong_is_said():
    with pytest.raises(WengertError, match="Triangle: the registers have no names yet; call setup"):
        Triangle().operationSequence(Triangle.area)
    with pytest.raises(WengertError, match="call setup"):
        Triangle().inputDict()
    with pytest.raises(WengertError, match="no register 'height' in this Triangle"):
        Triangle().setup().inputDict(height=3)
    xm = Triangle().setup()
    with pytest.raises(WengertError, match="call setup.. again"):
        xm.operationSequence(f.half(xm.area))
    with pytest.raises(WengertError, match="half: expected registers, numbers or arrays as arguments, got str"):
        f.half("h")
    with pytest.raises(WengertError, match="expected a role among .*, got .output."):
        Register(role="output")
    xm.one, xm.two = f.input(name="x"), f.input(name="x")
    with pytest.raises(WengertError, match="two registers have the name 'x'"):
        xm.setup()
    loop = XMan()
    loop.a = f.half(f.input())
    loop.b = f.half(loop.a)
    loop.a.definedAs.args = (loop.b,)
    with pytest.raises(WengertError, match="depends on itself"):
        loop.setup().operationSequence(loop.b)


def chain(n):
    """x_{k+1} = (x_k + x_k) * c, n operations, and the branch of every tenth added at the end."""
    xm = XMan()
    xm.x, xm.c = f.input(default=1.0), f.param(default=0.5)
    h = xm.x
    while n > 0:
        h = (h + h) * xm.c
        n -= 2
    xm.loss = h
    return xm


def counted(function, *args):
    """What a function returns, and how many calls it makes: a measure of its work that no other program disturbs."""
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        return function(*args), calls
    finally:
        sys.setprofile(None)


def calls_of(n):
    """The calls in setup, operationSequence, eval and backprop on a chain of n operations."""
    xm = chain(n)
    _, setup = counted(xm.setup)
    sequence, ordering = counted(xm.operationSequence, xm.loss)
    values, evaluation = counted(wengert.eval, sequence, xm.inputDict())
    deltas, backward = counted(wengert.backprop, sequence, values)
    assert len(sequence) == n and values["loss"] == 1 and deltas["x"] == 1 and deltas["c"] == n
    return np.array([setup, ordering, evaluation, backward])


def test_deep_formulas_need_no_recursion_and_linear_work():
    calls_of(100)                                       # what is done once
    small, large = calls_of(1000), calls_of(10_000)
    assert (large < 11 * small).all(), (small, large)


def test_wide_formulas():
    xm = XMan()
    xm.x = f.input(default=1.0)
    squares = [f.square(xm.x) for _ in range(10_000)]
    total = squares[0]
    for square in squares[1:]:
        total = square + total
    xm.total = total
    sequence = xm.setup().operationSequence(xm.total)
    assert len(sequence) == 19_999
    assert wengert.backprop(sequence, xm.inputDict())["x"] == 20_000


# A course program: functions, dictionaries, evaluator and training loop of its own; only the formulas are tapegrad's.

class net(XManFunctions):
    @staticmethod
    def relu(a):
        return XManFunctions.registerDefinedByOperator("relu", a)

    @staticmethod
    def sigmoid(a):
        return XManFunctions.registerDefinedByOperator("sigmoid", a)

    @staticmethod
    def tanh(a):
        return XManFunctions.registerDefinedByOperator("tanh", a)

    @staticmethod
    def ele_mul(a, b):
        return XManFunctions.registerDefinedByOperator("ele_mul", a, b)

    @staticmethod
    def softMax(a):
        return XManFunctions.registerDefinedByOperator("softMax", a)

    @staticmethod
    def crossEnt(p, t):
        return XManFunctions.registerDefinedByOperator("crossEnt", p, t)

    @staticmethod
    def mean(a):
        return XManFunctions.registerDefinedByOperator("mean", a)


def _soft_max(x):
    z = np.exp(x - x.max(axis=1, keepdims=True))
    return z / z.sum(axis=1, keepdims=True)


def _cut(delta, x):
    """A delta summed to the shape of x."""
    return delta if delta.shape == x.shape else delta.sum(axis=0).reshape(x.shape)


EVAL_FUNS = {
    "add": lambda x1, x2: x1 + x2,
    "subtract": lambda x1, x2: x1 - x2,
    "mul": np.dot,
    "ele_mul": lambda x1, x2: x1 * x2,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "softMax": _soft_max,
    "crossEnt": lambda p, t: -(t * np.log(p)).sum(axis=1),
    "mean": np.mean,
}
BP_FUNS = {
    "add": [lambda delta, out, x1, x2: _cut(delta, x1), lambda delta, out, x1, x2: _cut(delta, x2)],
    "subtract": [lambda delta, out, x1, x2: _cut(delta, x1), lambda delta, out, x1, x2: _cut(-delta, x2)],
    "mul": [lambda delta, out, x1, x2: delta.dot(x2.T), lambda delta, out, x1, x2: x1.T.dot(delta)],
    "ele_mul": [lambda delta, out, x1, x2: _cut(delta * x2, x1), lambda delta, out, x1, x2: _cut(delta * x1, x2)],
    "relu": [lambda delta, out, x: delta * (x > 0)],
    "sigmoid": [lambda delta, out, x: delta * out * (1 - out)],
    "tanh": [lambda delta, out, x: delta * (1 - out * out)],
    "softMax": [lambda delta, out, x: out * (delta - (delta * out).sum(axis=1, keepdims=True))],
    "crossEnt": [lambda delta, out, p, t: -delta[:, None] * t / p, lambda delta, out, p, t: -delta[:, None] * np.log(p)],
    "mean": (lambda delta, out, x: delta * np.ones(x.shape) / x.size,),
}


class Autograd:
    def __init__(self, xman):
        self.xman = xman

    def eval(self, opseq, valueDict):
        for (dstName, funName, inputNames) in opseq:
            inputValues = list(map(lambda a: valueDict[a], inputNames))
            fun = EVAL_FUNS[funName]
            result = fun(*inputValues)
            valueDict[dstName] = result
        return valueDict

    def bprop(self, opseq, valueDict, **deltaDict):
        for (dstName, funName, inputNames) in self.optimizeForBProp(opseq):
            delta = deltaDict[dstName]
            if funName in BP_FUNS:
                values = [delta, valueDict[dstName]] + list(map(lambda a: valueDict[a], inputNames))
                for i in range(len(inputNames)):
                    result = BP_FUNS[funName][i](*values)
                    self.incrementBy(deltaDict, inputNames[i], result)
        return deltaDict

    def optimizeForBProp(self, opseq):
        return opseq[::-1]

    def incrementBy(self, deltas, key, inc):
        if key not in deltas:
            deltas[key] = 0
        deltas[key] = deltas[key] + inc


CHARACTERS, MAX_LEN, HIDDEN, CLASSES = 7, 4, 6, 3


def glorot(rng, rows, columns):
    a = np.sqrt(6 / (rows + columns))
    return rng.uniform(-a, a, (rows, columns))


class MLP:
    def __init__(self, rng):
        self.rng = rng
        self.my_xman = self._build()

    def _build(self):
        x = XMan()
        x.inputs = f.input(name="x", default=np.zeros((1, MAX_LEN * CHARACTERS)))
        x.y = f.input(default=np.zeros((1, CLASSES)))
        x.W1 = f.param(default=glorot(self.rng, MAX_LEN * CHARACTERS, HIDDEN))
        x.b1 = f.param(name="b1", default=0.1 * self.rng.uniform(size=HIDDEN))
        x.W2 = f.param(name="W2", default=glorot(self.rng, HIDDEN, CLASSES))
        x.b2 = f.param(name="b2", default=0.1 * self.rng.uniform(size=CLASSES))
        x.output = net.softMax(net.relu(net.relu(x.inputs * x.W1 + x.b1) * x.W2 + x.b2))
        x.loss = net.mean(net.crossEnt(x.output, x.y))
        return x.setup()

    def inputs(self, names):
        return {"x": names.reshape(len(names), -1)}


class LSTM(MLP):
    def _build(self):
        x = XMan()
        x.y = f.input()
        for g in ("i", "f", "o", "c"):
            setattr(x, "W" + g, f.param(default=glorot(self.rng, CHARACTERS, HIDDEN)))
            setattr(x, "U" + g, f.param(default=glorot(self.rng, HIDDEN, HIDDEN)))
            setattr(x, "b" + g, f.param(default=np.zeros(HIDDEN)))
        x.W2, x.b2 = f.param(default=glorot(self.rng, HIDDEN, CLASSES)), f.param(default=0.1 * np.ones(CLASSES))
        x.h0, x.c0 = f.input(default=np.zeros((1, HIDDEN))), f.input(default=np.zeros((1, HIDDEN)))
        h, c = x.h0, x.c0
        for t in range(MAX_LEN):
            xt = f.input(name=f"x{t + 1}")
            setattr(x, f"in{t + 1}", xt)
            i, forget, o = (net.sigmoid(xt * getattr(x, "W" + g) + h * getattr(x, "U" + g) + getattr(x, "b" + g))
                            for g in "ifo")
            new = net.tanh(xt * x.Wc + h * x.Uc + x.bc)
            c = net.ele_mul(forget, c) + net.ele_mul(i, new)
            h = net.ele_mul(o, net.tanh(c))
            setattr(x, f"h{t + 1}", h)
        x.output = net.softMax(net.relu(h * x.W2 + x.b2))
        x.loss = net.mean(net.crossEnt(x.output, x.y))
        return x.setup()

    def inputs(self, names):
        return {f"x{t + 1}": names[:, t] for t in range(MAX_LEN)}


def course_data():
    """Names whose class is given by their last character, one-hot."""
    rng = np.random.default_rng(3)
    ids = rng.integers(0, CHARACTERS, (48, MAX_LEN))
    return np.eye(CHARACTERS)[ids], np.eye(CLASSES)[ids[:, -1] % CLASSES]


def course_training(model, epochs=30):
    """The loss per epoch of the program's own evaluator; value and delta of the last batch."""
    names, y = course_data()
    xm, autograd, losses = model.my_xman, Autograd(model.my_xman), []
    opseq = xm.operationSequence(xm.loss)
    value_dict = xm.inputDict()
    for _ in range(epochs):
        total = 0.0
        for k in range(0, len(names), 16):
            value_dict.update(model.inputs(names[k:k + 16]))
            value_dict["y"] = y[k:k + 16]
            vd = autograd.eval(opseq, value_dict)
            gd = autograd.bprop(opseq, value_dict, loss=np.float64(1.0))
            total += vd["loss"]
            last = {name: np.copy(value) for name, value in vd.items()}
            for rname in gd:
                if xm.isParam(rname):
                    value_dict[rname] = value_dict[rname] - 0.3 * gd[rname]
        losses.append(total / 3)
    return losses, opseq, last, gd


@pytest.mark.parametrize("build", [MLP, LSTM])
def test_a_course_program_runs_and_agrees_with_ours(build):
    model = build(np.random.default_rng(0))
    losses, opseq, values, deltas = course_training(model)
    assert losses[-1] < 0.6 * losses[0]
    inputs = {name: values[name] for name, register in model.my_xman.registers().items() if not register.definedAs}
    ours = [(z, "hadamard" if g == "ele_mul" else g, ys) for z, g, ys in opseq]
    for list_, G, DG in ((ours, None, None), (opseq, EVAL_FUNS, BP_FUNS),
                         (opseq, {"ele_mul": np.multiply}, {"ele_mul": BP_FUNS["ele_mul"]})):
        found = wengert.eval(list_, inputs, G)
        back = wengert.backprop(list_, found, DG, G=G)
        for name in values:
            np.testing.assert_allclose(found[name], values[name], atol=1e-12)
            if not name.startswith("output"):
                np.testing.assert_allclose(back[name], deltas[name], atol=1e-12, err_msg=name)


def test_ours_can_be_the_dictionaries_of_a_course_program(monkeypatch):
    losses = course_training(LSTM(np.random.default_rng(0)), epochs=3)[0]
    monkeypatch.setitem(globals(), "EVAL_FUNS", {**wengert.G, "ele_mul": wengert.G["hadamard"]})
    monkeypatch.setitem(globals(), "BP_FUNS", {**wengert.DG, "ele_mul": wengert.DG["hadamard"]})
    np.testing.assert_allclose(course_training(LSTM(np.random.default_rng(0)), epochs=3)[0], losses, atol=1e-12)


def test_a_model_built_over_shared_registers():
    """One instance per length, all over the class's parameters."""
    class Power(XMan):
        x = f.input()

        def __init__(self, n):
            h = self.x
            for _ in range(n):
                h = h * self.x
            self.out = h

    for n in (1, 3, 2):
        xm = Power(n).setup()
        sequence = xm.operationSequence(xm.out)
        assert len(sequence) == n and wengert.backprop(sequence, xm.inputDict(x=2.0))["x"] == (n + 1) * 2 ** n
