"""Random programs: each step is drawn while an oracle runs the ones before it, and kept if the oracle knows what it must do."""

import numpy as np

from fuzz.infinitesimal import Undefined
from fuzz.machine import Escape
from fuzz.model import Model
from fuzz.operations import ALONG, BINARY, ELEMENTWISE, LARGE, REDUCING, SHAPING
from fuzz.registers import Hook, Pullback, Refused, Tensor

SHAPES = [(), (3,), (2,), (2, 2), (1, 3), (2, 1)]
LARGEST = 12                                            # elements of a tensor
SKIP = Undefined, Refused, ValueError, IndexError

WEIGHTS = {
    "op": 34, "leaf": 3, "plain": 1, "array": 2, "large": 0.5, "view": 1, "same": 1, "detach": 1, "require": 1,
    "set": 5, "inplace": 5, "data": 3, "replace": 1, "lend": 2, "write": 3,
    "backward": 12, "gradients": 4, "zero": 1, "scale": 1, "keep": 3, "give": 0.7, "hook": 4, "unhook": 2, "retain": 2,
    "tape": 0.3, "garbage": 0.7,
    "checkpoint": 4, "grad": 5, "vjp": 3, "pull": 3, "jvp": 3, "hvp": 1, "jacobian": 1,
    "no_grad": 2, "enable_grad": 1, "traced": 2, "thread": 2}
FAMILIES = {"elementwise": 7, "binary": 7, "reducing": 3, "along": 3, "shaping": 2, "joining": 1, "getitem": 4, "large": 1}
PURE = {"op": 10, "set": 1, "inplace": 1, "no_grad": 0.7, "checkpoint": 1, "grad": 1, "jvp": 0.5}     # in bodies
SWEEPS = "backward", "gradients", "pull"               # these change what the tape holds where they are refused, too


class Author:
    """rng     what is drawn
    model     the oracle, in the state after the steps so far
    """

    def __init__(self, rng, engine):
        self.rng, self.model, self.counts = rng, Model(engine), {}

    # Drawing

    def chance(self, p):
        return self.rng.random() < p

    def choose(self, things):
        return things[int(self.rng.integers(len(things)))] if things else None

    def kind(self, weights):
        p = np.array(list(weights.values()), float)
        return list(weights)[int(self.rng.choice(len(p), p=p / p.sum()))]

    def fresh(self, letter):
        self.counts[letter] = self.counts.get(letter, -1) + 1
        return f"{letter}{self.counts[letter]}"

    def values(self, shape):
        if self.chance(0.1):                            # with ties
            return self.rng.integers(-1, 2, shape).astype(float).tolist()
        return np.round(self.rng.normal(size=shape), 2).tolist()

    def number(self):
        return float(np.round(self.rng.normal(), 2))

    def of(self, *classes, when=lambda x: True, large=False):
        """The names of what there is, recent ones more often."""
        names = [name for name, x in self.model.names.items() if isinstance(x, classes) and when(x)
                 and (large or not isinstance(x, np.ndarray) or x.size <= LARGEST)]
        return names[-5:] if self.chance(0.7) else names

    def tensor(self, when=lambda x: True):
        return self.choose(self.of(Tensor, when=when))

    def known(self, name):
        x = self.model.names[name]
        return x.array if isinstance(x, Tensor) else x

    def operand(self, when=lambda x: True):
        """A tensor, now and then an array or a number."""
        if self.chance(0.15) and (name := self.choose(self.of(np.ndarray, when=when))):
            return name
        return self.tensor() if self.chance(0.85) else self.number()

    def index(self, shape):
        """An index into an array of the shape."""
        if 0 in shape or not shape:
            return ...
        n, which = shape[0], int(self.rng.integers(8))
        simple = [int(self.rng.integers(-n, n)), slice(1, None), slice(None, None, -1), slice(0, 2),
                  [int(i) for i in self.rng.integers(0, n, 3)], (slice(None),) * (len(shape) - 1) + (slice(0, 2),),
                  [bool(b) for b in self.rng.integers(0, 2, n)], (..., 0)]
        return simple[which]

    # Programs

    def write(self, length):
        steps = []
        for kind in ("leaf", "leaf", "plain", "array"):
            self.attempt(kind, steps, 0)
        self.grow(length, steps, 0)
        self.differentiate(steps)
        return steps

    def differentiate(self, steps):
        """Sweeps from a recent tensor, and over the sweep: so that most of what has been computed is differentiated twice."""
        recent = self.of(Tensor, when=lambda t: t.node is not None and not t.node.is_leaf)
        if not recent:
            return
        t = self.choose(recent)
        seed = self.values(self.known(t).shape)
        if not self.attempt("backward", steps, 0, ("backward", t, seed, False, True)):
            self.attempt("backward", steps, 0, ("backward", t, seed, False, False))
            return
        for x in self.of(Tensor, when=lambda x: x.node is not None and x.node.is_leaf and isinstance(x.node.grad, Tensor))[-2:]:
            g = self.fresh("g")
            if self.attempt("keep", steps, 0, ("keep", g, x)):
                self.attempt("backward", steps, 0, ("backward", g, self.values(self.known(g).shape), True, False))

    def grow(self, length, steps, depth):
        tries = 0
        while len(steps) < length and tries < 6 * length:
            tries += 1
            self.attempt(self.kind(WEIGHTS), steps, depth)

    def attempt(self, kind, steps, depth, step=None):
        """Add a step of the kind, drawn or given, if it makes sense; whether it does."""
        if kind in ("no_grad", "enable_grad", "traced", "thread"):
            if depth < 2:
                inner = []
                with self.model.entered(kind):
                    self.grow(int(self.rng.integers(1, 7)), inner, depth + 1)
                if self.chance(0.2):
                    inner.append(("raise",))
                steps.append((kind, inner))
            return False
        step = step or getattr(self, f"a_{kind}")()
        if step is None or any(x is None for x in step[1:2]):
            return False
        undo = self.state()
        try:
            self.model.perform(step)
        except Undefined:
            undo()
            return False
        outcome = self.model.log[-1]["outcome"]
        if outcome != {"ok"} and kind not in SWEEPS and not self.chance(0.03 if "ValueError" in outcome else 0.3):
            undo()                                      # enough of these
            self.model.log.pop()
            return False
        steps.append(step)
        return outcome == {"ok"}

    def state(self):
        """A function that undoes what a step has done that was no sweep."""
        model = self.model
        names = dict(model.names)
        values = [(x, x.array if isinstance(x, Tensor) else x, np.array(self.known(name)), getattr(x, "node", None),
                   getattr(x, "retained", None)) for name, x in names.items() if isinstance(x, (Tensor, np.ndarray))]

        def undo():
            model.names = names
            for x, array, value, node, retained in values:
                if isinstance(x, Tensor):
                    x.array, x.node, x.retained = array, node, retained
                if array.flags.writeable:
                    array[...] = value

        return undo

    # Steps: None where there is nothing to take

    def a_leaf(self):
        return "leaf", self.fresh("x"), self.values(self.choose(SHAPES))

    def a_plain(self):
        return "plain", self.fresh("p"), self.values(self.choose(SHAPES))

    def a_array(self):
        return "array", self.fresh("c"), self.values(self.choose(SHAPES[1:]))

    def a_large(self):
        return "large", self.fresh("c"), int(self.rng.integers(1000))

    def a_view(self):
        c = self.choose(self.of(np.ndarray, when=lambda c: c.ndim > 0, large=True))
        return c and ("view", self.fresh("c"), c, self.choose([slice(1, None), slice(None, None, -1)]))

    def a_same(self):
        return "same", self.fresh("t"), self.tensor()

    def a_detach(self):
        return "detach", self.fresh("t"), self.tensor()

    def a_op(self, z=None, x=None, other=None):
        """An operation; `x`, `other` are drawn from what there is, or, in bodies, given."""
        x, other = x or self.tensor(), self.operand() if other is None else other
        shape, ndim = self.known(x).shape, self.known(x).ndim
        family = self.kind(FAMILIES)
        operands, parameters = [x], ()
        axis = int(self.rng.integers(ndim)) if ndim else None
        if family == "elementwise":
            name = self.choose(list(ELEMENTWISE))
        elif family == "binary":
            name, operands = self.choose(list(BINARY)), [x, other]
            if isinstance(other, str) and self.chance(0.3):
                operands.reverse()
            if not any(isinstance(self.model.names[y], Tensor) for y in operands if isinstance(y, str)):
                return None
            if name not in ("add", "subtract", "multiply", "maximum") and isinstance(operands[1], float):
                return None
            if isinstance(self.model.names[operands[0]], np.ndarray) and name in ("where", "scaled", "matmul", "hypot"):
                return None
        elif family == "reducing":
            name, parameters = self.choose(list(REDUCING)), (self.choose([None, axis]),)
        elif family == "getitem":
            name, parameters = "getitem", (self.index(shape),)
        elif family == "large":
            c = self.choose(self.of(np.ndarray, when=lambda c: c.size > LARGEST, large=True))
            if c is None or not isinstance(self.model.names[x], Tensor):
                return None
            name, operands = self.choose(list(LARGE)), [x, c]
        elif family == "shaping":
            name = self.choose(list(SHAPING))
        elif axis is None:
            return None
        elif family == "along":
            name, parameters = self.choose(list(ALONG)), (axis,)
        else:
            name, parameters = "concatenate", (axis,)
            operands = [x, x] if not isinstance(other, str) else [x, other]
        return "op", z or self.fresh("t"), name, operands, parameters

    def a_set(self, t=None, y=None):
        t = t or self.tensor()
        return "set", t, self.index(self.known(t).shape), self.operand() if y is None else y

    def a_inplace(self, t=None, y=None):
        return "inplace", t or self.tensor(), self.choose(["+=", "-=", "*="]), self.operand() if y is None else y

    def a_data(self):
        t = self.tensor()
        return "data", t, self.choose([..., self.index(self.known(t).shape)]), self.number()

    def a_replace(self):
        t = self.tensor()
        shape = self.known(t).shape
        c = self.choose(self.of(np.ndarray, when=lambda c: c.shape == shape and c.flags.writeable))
        return c and ("replace", t, c)

    def a_lend(self):
        return "lend", self.fresh("c"), self.tensor()

    def a_write(self):
        c = self.choose(self.of(np.ndarray, when=lambda c: c.flags.writeable, large=True))
        return c and ("write", c, self.choose([..., self.index(self.known(c).shape)]), self.number())

    def a_require(self):
        return "require", self.tensor(), bool(self.chance(0.6))

    def a_backward(self):
        t = self.tensor(lambda t: t.node is not None) if self.chance(0.95) else self.tensor()
        if t is None:
            return None
        shape, gradient = self.known(t).shape, None
        if self.known(t).size != 1 and self.chance(0.97) or self.chance(0.2):
            gradient = self.choose(self.of(Tensor, np.ndarray, when=lambda x: getattr(x, "array", x).shape == shape)
                                   ) if self.chance(0.3) else None
            gradient = gradient or self.values(shape)
        create = bool(self.chance(0.25))
        return "backward", t, gradient, bool(self.chance(0.4)), create

    def a_gradients(self):
        outputs = [self.tensor(lambda t: t.node is not None) for _ in range(self.choose([1, 1, 2]))]
        inputs = [self.tensor(lambda t: t.node is not None) for _ in range(self.choose([1, 2]))]
        if None in outputs + inputs:
            return None
        create = bool(self.chance(0.5))
        return ("gradients", [self.fresh("g") for _ in inputs], outputs, [self.values(self.known(z).shape) for z in outputs],
                inputs, create or bool(self.chance(0.5)), create)

    def graded(self):
        return self.choose(self.of(Tensor, when=lambda t: t.where is not None and t.where.grad is not None))

    def a_zero(self):
        return "zero", self.graded()

    def a_scale(self):
        return "scale", self.graded(), self.choose([0.5, 2.0])

    def a_keep(self):
        t = self.graded()
        return t and ("keep", self.fresh("g"), t)

    def a_give(self):
        t = self.tensor()
        shape = self.known(t).shape
        c = self.choose(self.of(np.ndarray, when=lambda c: c.shape == shape and c.flags.writeable))
        return c and ("give", t, c)

    def a_hook(self):
        factor = "raise" if self.chance(0.08) else self.choose([None, None, 2.0, -0.5])
        return "hook", self.fresh("h"), self.tensor(lambda t: t.node is not None), factor

    def a_unhook(self):
        return "unhook", self.choose(self.of(Hook))

    def a_retain(self):
        return "retain", self.tensor(lambda t: t.node is not None)

    def a_tape(self):
        return ("tape",)

    def a_garbage(self):
        return "garbage", self.tensor(), int(self.rng.integers(1, 200))

    # Functions

    def body(self, arguments, depth=1):
        """The steps of a function of arguments, drawn while it is run on their values; None where there is none."""
        model = self.model
        before, names, steps = model.names, dict(model.names), []
        for i, x in enumerate(arguments):
            x = model.operand(x)
            names[f"a{i}"] = Tensor(np.array(model.pair(x)[1]), model.node(model.pair(x)[1].shape, model.engine.leaf(
                model.pair(x)[1]), sure=True)) if isinstance(x, Tensor) else x.copy()
        outer = [name for name in self.of(Tensor, np.ndarray) if not name.startswith(("a", "b"))]
        local, depths = [f"a{i}" for i in range(len(arguments))], 0
        model.names = names
        recording, model.recording = model.recording, True
        try:
            for _ in range(int(self.rng.integers(1, 4))):
                kind = self.kind(PURE)
                x = self.choose(local)
                other = self.choose(local) if self.chance(0.5) or not outer else self.choose(outer)
                mine = [name for name in local if name.startswith("b") or self.chance(0.3)]
                if kind == "op":
                    step = self.a_op(self.fresh("b"), x, other)
                elif kind in ("set", "inplace"):
                    t = self.choose(mine)
                    step = t and getattr(self, f"a_{kind}")(t, other)
                elif kind == "no_grad":
                    step = self.a_op(self.fresh("b"), x, other)
                    step = step and ("no_grad", [step])
                elif depth == 0 or depths:
                    step = None
                else:
                    inner, depths = self.body([x], depth - 1), 1
                    step = None if not inner else (
                        ("checkpoint", self.fresh("b"), inner, [x]) if kind == "checkpoint" else
                        ("grad", self.fresh("b"), inner, [x], 0) if kind == "grad" else
                        ("jvp", [self.fresh("b"), self.fresh("b")], inner, x, x))
                if not step:
                    continue
                try:
                    model.carry_out([step])
                except (*SKIP, Escape):
                    continue
                steps.append(step)
                made = step[1][0][1] if kind == "no_grad" else step[1]
                local += [name for name in (made if isinstance(made, list) else [made]) if name not in local]
        finally:
            model.names, model.recording = before, recording
        if steps and self.chance(0.03):
            steps.append(("raise",))
        while steps and (len(steps[-1]) > 1 and not isinstance(steps[-1][1], str)):
            steps.pop()                                 # the last names the result
        return steps or None

    def arguments(self, n):
        return [self.tensor() if i == 0 or self.chance(0.8) else self.choose(self.of(np.ndarray)) or self.tensor()
                for i in range(n)]

    def a_checkpoint(self):
        operands = self.arguments(self.choose([1, 2]))
        body = self.body(operands)
        return body and ("checkpoint", self.fresh("t"), body, operands)

    def a_grad(self):
        operands = self.arguments(self.choose([1, 2]))
        body = self.body(operands)
        return body and ("grad", self.fresh("g"), body, operands, int(self.rng.integers(
            len([x for x in operands if isinstance(self.model.names[x], Tensor)]) == len(operands) and len(operands) or 1)))

    def a_vjp(self):
        operands = [self.tensor() for _ in range(self.choose([1, 2]))]
        body = self.body(operands)
        return body and ("vjp", self.fresh("t"), self.fresh("f"), body, operands)

    def a_pull(self):
        p = self.choose(self.of(Pullback))
        if p is None:
            return None
        pullback = self.model.names[p]
        shape = pullback.out.array.shape
        seed = self.choose(self.of(Tensor, when=lambda x: x.array.shape == shape)) if self.chance(0.4) else None
        return "pull", [self.fresh("g") for _ in pullback.chosen], p, seed or self.values(shape)

    def a_jvp(self):
        x = self.tensor()
        shape, body = self.known(x).shape, self.body([x])
        tangent = self.choose(self.of(Tensor, when=lambda t: t.array.shape == shape)) if self.chance(0.5) else None
        return body and ("jvp", [self.fresh("t"), self.fresh("g")], body, x, tangent or self.values(shape))

    def a_hvp(self):
        x = self.tensor()
        body = self.body([x], 0)
        return body and ("hvp", self.fresh("g"), body, x, self.values(self.known(x).shape))

    def a_jacobian(self):
        x = self.tensor(lambda t: t.array.size <= 3)
        body = x and self.body([x], 0)
        return body and ("jacobian", self.fresh("g"), body, x)


def program(seed, engine):
    """(steps, the oracle's log) of a seed."""
    author = Author(np.random.default_rng(seed), engine)
    steps = author.write(int(author.rng.integers(6, 24)))
    return steps, author.model.finish()
