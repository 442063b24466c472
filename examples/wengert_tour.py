"""A walk through the course text on automatic differentiation: Wengert lists, backpropagation, the expression manager.

    python examples/wengert_tour.py                         # ends by training on the names that are shipped
    python examples/wengert_tour.py --dataset PREFIX        # .. on names of your own, see names_data.py
    python examples/wengert_tour.py --epochs 0              # everything but the training

Section by section: a function as a list, what G and DG are (table 1), the list evaluated (table 2) and differentiated (table
3) line by line; then formulas that write their lists themselves: a triangle, logistic regression, a house whose shape is
found by gradient descent, an MLP, and an LSTM unrolled over the first characters of a name.
"""

import argparse
import time

import numpy as np
from names_data import Alphabet, InputError, read_prefix, read_shipped

from tapegrad import wengert
from tapegrad.primitives import table
from tapegrad.xman import XMan, XManFunctions

SAMPLE = """
z1 = add(x1, x1)
z2 = add(z1, x2)
f = square(z2)          # f(x1, x2) = (2 x1 + x2)^2
"""
CUBE = """
z1 = multiply(x, x)
f = multiply(z1, x)     # f(x) = x^3
"""
MAX_LEN, HIDDEN, BATCH, RATE = 10, 50, 64, 0.5


class Symbol:
    """A name in a formula: what is computed from it is the formula's text."""

    def __init__(self, text):
        self.text = text

    def __neg__(self):
        return Symbol(f"-{self.text}")

    def __gt__(self, other):
        return Symbol(f"({self.text} > {_text(other)})")


class Formulas:
    """The vocabulary F of a derivative, over symbols: F.cos(x) is the text cos(x)."""

    def __getattr__(self, name):
        return lambda *arguments: Symbol(f"{name}({', '.join(map(_text, arguments))})")


def _text(value):
    return value.text if isinstance(value, Symbol) else repr(value)


def _operator(symbol):
    def left(x, y):
        return Symbol(f"({_text(x)} {symbol} {_text(y)})")

    return left, lambda x, y: left(y, x)


for _name, _symbol in (("add", "+"), ("sub", "-"), ("mul", "*"), ("truediv", "/")):
    _left, _right = _operator(_symbol)
    setattr(Symbol, f"__{_name}__", _left)
    setattr(Symbol, f"__r{_name}__", _right)


def show_operators():
    """Table 1: the rows of the registry, their derivatives run over symbols."""
    print("\nTable 1. G and DG, where d is the delta of z = g(x, y)\n")
    print(f"    {'g':10}{'DG[g][0](d, z, x, y)':30}DG[g][1](d, z, x, y)")
    for name in ("add", "subtract", "multiply", "divide", "square", "exp", "log", "sigmoid", "tanh", "relu"):
        row = table[name]
        symbols = [Symbol(letter) for letter in ("d", "z", "x", "y")[:2 + row.arity]]
        print(f"    {name:10}" + "".join(f"{_text(rule(Formulas(), *symbols)):30}" for rule in row.dg).rstrip())


def show_eval(f, val):
    """Table 2: for (z, g, ys) in f: val[z] = G[g](val[y1], .., val[yk])."""
    print(f"\nTable 2. eval at {_listed(val)}\n")
    val = dict(val)
    for z, g, ys in f:
        arguments = [val[y] for y in ys]
        val[z] = wengert.G[g](*arguments)
        called = f"{g}({', '.join(f'{y:g}' for y in arguments)})"
        print(f"    {wengert.format([(z, g, ys)]):26}{called:22}val[{z}] = {val[z]:g}")
    return val


def show_backprop(f, val):
    """Table 3: delta[f] = 1; for (z, g, ys) from the end, for each i: delta[yi] += DG[g][i](delta[z], val[z], ..)."""
    print("\nTable 3. backprop\n")
    delta = {f[-1][0]: 1.0}
    print(f"    {'':48}delta[{f[-1][0]}] = 1")
    for z, g, ys in reversed(f):
        for i, y in enumerate(ys):
            c = wengert.DG[g][i](delta[z], val[z], *[val[name] for name in ys])
            before = f"{delta[y]:g} + {c:g} = " if y in delta else ""
            delta[y] = delta.get(y, 0.0) + c
            contribution = f"DG[{g}][{i}] = {c:g}"
            print(f"    {wengert.format([(z, g, ys)]):26}{contribution:22}delta[{y}] = {before}{delta[y]:g}")
    return delta


def _listed(val):
    return ", ".join(f"{name} = {value:g}" for name, value in val.items())


def lists():
    print("1. A function as a Wengert list\n")
    f = wengert.parse(SAMPLE)
    print("   ", "\n    ".join(map(str, f)))
    show_operators()
    val = show_eval(f, {"x1": 3.0, "x2": 7.0})
    delta = show_backprop(f, val)
    assert delta == wengert.backprop(f, val)
    print(f"\n    f(3, 7) = {val['f']:g}, df/dx1 = {delta['x1']:g}, df/dx2 = {delta['x2']:g}")

    cube = wengert.parse(CUBE)
    print("\n    and x^3 as products:")
    val = show_eval(cube, {"x": 5.0})
    delta = show_backprop(cube, val)
    print(f"\n    f(5) = {val['f']:g}, df/dx = {delta['x']:g}")


class f(XManFunctions):
    """The operators that the formulas below are written in."""

    @staticmethod
    def half(a):
        return XManFunctions.registerDefinedByOperator("half", a)

    @staticmethod
    def square(a):
        return XManFunctions.registerDefinedByOperator("square", a)

    @staticmethod
    def sigmoid(a):
        return XManFunctions.registerDefinedByOperator("sigmoid", a)

    @staticmethod
    def tanh(a):
        return XManFunctions.registerDefinedByOperator("tanh", a)

    @staticmethod
    def relu(a):
        return XManFunctions.registerDefinedByOperator("relu", a)

    @staticmethod
    def hadamard(a, b):
        return XManFunctions.registerDefinedByOperator("hadamard", a, b)

    @staticmethod
    def softMax(a):
        return XManFunctions.registerDefinedByOperator("softMax", a)

    @staticmethod
    def crossEnt(p, t):
        return XManFunctions.registerDefinedByOperator("crossEnt", p, t)

    @staticmethod
    def mean(a):
        return XManFunctions.registerDefinedByOperator("mean", a)


class Triangle(XMan):
    h = f.input()
    w = f.input()
    area = f.half(h * w)


class LogisticRegression(XMan):
    x = f.input()
    y = f.input()
    W = f.param(default=np.zeros((2, 2)))
    b = f.param(default=np.zeros(2))
    output = f.softMax(x * W + b)
    loss = f.mean(f.crossEnt(output, y))


class House(XMan):
    """A rectangle under a triangular roof. Its height, width and roof are looked for."""

    height = f.param(default=5.0)
    width = f.param(default=10.0)
    roof = f.param(default=1.0)
    target = f.input(default=200.0)
    area = height * width + f.half(roof * width)
    loss = f.square(area - target)


def formulas():
    print("\n2. Formulas that write their lists\n")
    triangle = Triangle().setup()
    sequence = triangle.operationSequence(triangle.area)
    print("    triangle:", sequence)
    values = wengert.eval(sequence, triangle.inputDict(h=3.0, w=4.0))
    deltas = wengert.backprop(sequence, values)
    print(f"    area(3, 4) = {values['area']:g}, its derivatives {deltas['h']:g} and {deltas['w']:g}")

    rng = np.random.default_rng(0)
    side = np.repeat([0, 1], 50)
    x = rng.normal(size=(100, 2)) + 3 * side[:, None]
    print("\n    logistic regression of two clouds of 50 points:")
    descend(LogisticRegression().setup(), "loss", steps=200, rate=0.5, every=50, x=x, y=np.eye(2)[side])

    print("\n    a house of area 200:")
    found = descend(House().setup(), "loss area height width roof", steps=20, rate=1e-3, every=4)
    assert abs(found["area"] - 200) < 0.01


def descend(xm, shown, steps, rate, every, **inputs):
    """Gradient descent on xm.loss in all parameters of xm; returns the values at the end."""
    sequence = xm.operationSequence(xm.loss)
    print("        " + wengert.format(sequence).replace("\n", "\n        "))
    value = xm.inputDict(**inputs)
    for step in range(steps + 1):
        found = wengert.eval(sequence, value)
        if step % every == 0:
            print(f"        step {step:3}  " + "  ".join(f"{name} {found[name]:.4g}" for name in shown.split()))
        for name, delta in wengert.backprop(sequence, found).items():
            if xm.isParam(name):
                value[name] = value[name] - rate * delta
    return found


def glorot(rng, rows, columns):
    """Uniform on (-a, a) with a = sqrt(6 / (rows + columns))."""
    a = np.sqrt(6 / (rows + columns))
    return rng.uniform(-a, a, (rows, columns))


def mlp(characters, classes, rng):
    """softMax(relu(relu(x W1 + b1) W2 + b2)), where x is the one-hot rows of all characters, one after the other.

    Returns the expression manager, and the function that makes its inputs of character ids, (names, MAX_LEN).
    """
    xm = XMan()
    xm.x, xm.y = f.input(), f.input()
    xm.W1 = f.param(default=glorot(rng, MAX_LEN * characters, HIDDEN))
    xm.b1 = f.param(default=np.full(HIDDEN, 0.1))
    xm.W2 = f.param(default=glorot(rng, HIDDEN, classes))
    xm.b2 = f.param(default=np.full(classes, 0.1))
    hidden = f.relu(xm.x * xm.W1 + xm.b1)
    xm.output = f.softMax(f.relu(hidden * xm.W2 + xm.b2))
    xm.loss = f.mean(f.crossEnt(xm.output, xm.y))
    one_hot = np.eye(characters)
    return xm.setup(), lambda ids: {"x": one_hot[ids].reshape(len(ids), -1)}


def lstm(characters, classes, rng):
    """softMax(relu(h W2 + b2)), where h is the state of an LSTM after the last character; x0, x1, .. are one-hot rows."""
    xm = XMan()
    xm.y = f.input()
    for gate in "ifoc":
        setattr(xm, f"W{gate}", f.param(default=glorot(rng, characters, HIDDEN)))
        setattr(xm, f"U{gate}", f.param(default=glorot(rng, HIDDEN, HIDDEN)))
        setattr(xm, f"b{gate}", f.param(default=np.zeros(HIDDEN)))
    xm.W2, xm.b2 = f.param(default=glorot(rng, HIDDEN, classes)), f.param(default=np.full(classes, 0.1))
    xm.start = f.input(default=np.zeros((1, HIDDEN)))
    h = c = xm.start
    for t in range(MAX_LEN):
        x = f.input()
        setattr(xm, f"x{t}", x)
        i = f.sigmoid(x * xm.Wi + h * xm.Ui + xm.bi)
        forget = f.sigmoid(x * xm.Wf + h * xm.Uf + xm.bf)
        o = f.sigmoid(x * xm.Wo + h * xm.Uo + xm.bo)
        new = f.tanh(x * xm.Wc + h * xm.Uc + xm.bc)
        c = f.hadamard(forget, c) + f.hadamard(i, new)
        h = f.hadamard(o, f.tanh(c))
    xm.output = f.softMax(f.relu(h * xm.W2 + xm.b2))
    xm.loss = f.mean(f.crossEnt(xm.output, xm.y))
    one_hot = np.eye(characters)
    return xm.setup(), lambda ids: {f"x{t}": one_hot[ids[:, t]] for t in range(MAX_LEN)}


def train(build, data, epochs, seed):
    """Train an expression manager by the course's recipe; the least loss on the part valid.

    The model after the epoch with the least loss on valid is the one that is reported on: at the recipe's rate the loss goes
    up and down.
    """
    alphabet, labels = Alphabet.of(data.train.names), np.eye(len(data.labels))
    rng = np.random.default_rng(seed)
    xm, inputs = build(len(alphabet), len(data.labels), rng)
    sequence = xm.operationSequence(xm.loss)
    parameters = [name for name in xm.registers() if xm.isParam(name)]
    value, ids = xm.inputDict(), alphabet.encode(data.train.names, MAX_LEN)

    def evaluate(part, value):
        """(loss, accuracy) on a part of the data."""
        found = wengert.eval(sequence, value | inputs(alphabet.encode(part.names, MAX_LEN)) | {"y": labels[part.y]})
        return found["loss"], (found["output"].argmax(axis=1) == part.y).mean()

    least, best = evaluate(data.valid, value)[0], dict(value)
    print(f"\n    {build.__name__}: {len(sequence)} operations, {sum(value[name].size for name in parameters):,} parameters; "
          f"seed {seed}, rate {RATE}, batches of {BATCH}")
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        for batch in np.split(rng.permutation(len(ids)), range(BATCH, len(ids), BATCH)):
            value.update(inputs(ids[batch]), y=labels[data.train.y[batch]])
            found = wengert.eval(sequence, value)
            for name, delta in wengert.backprop(sequence, found, wrt=parameters).items():
                value[name] = value[name] - RATE * delta
        seconds = time.perf_counter() - start
        loss, accuracy = evaluate(data.valid, value)
        print(f"    epoch {epoch:2}  valid loss {loss:.3f}  accuracy {accuracy:.3f}  {seconds:.2f} s")
        if loss < least:
            least, best = loss, dict(value)
    print("    {}: least valid loss {:.3f}, test loss {:.3f}, test accuracy {:.3f}".format(
        build.__name__, least, *evaluate(data.test, best)))
    return least


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", metavar="PREFIX", help="read PREFIX.train and PREFIX.valid, lines of name<TAB>label, and "
                        "not the names that are shipped")
    parser.add_argument("--epochs", type=int, default=15, metavar="N", help="times through the training names")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the first weights and of the order")
    parser.add_argument("--quick", action="store_true", help="a small part of the names and two epochs: does it run?")
    flags = parser.parse_args()
    try:
        data = read_prefix(flags.dataset) if flags.dataset else read_shipped()
    except InputError as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    lists()
    formulas()
    print("\n3. Networks: what kind of thing does a name name?")
    if flags.quick:
        data.train, data.valid, data.test = data.train.some(600), data.valid.some(200), data.test.some(200)
    for build in (mlp, lstm):
        train(build, data, min(flags.epochs, 2) if flags.quick else flags.epochs, flags.seed)


if __name__ == "__main__":
    main()
