"""A program on an oracle: what tensors, the tape and gradients are, said as plainly as possible, and slowly.

A tensor is an array and a node, or none; a node is a register. An operation copies the values that it reads, so that a write is
seen by what reads the tensor or the array afterwards, and by nothing else. What must be refused is refused here by the names of
the errors; what the conventions leave open raises Undefined, and changes nothing.
"""

from contextlib import contextmanager, nullcontext

import numpy as np

from fuzz.infinitesimal import Undefined
from fuzz.machine import Escape, Machine
from fuzz.operations import ALONG, REDUCING

NO, MAYBE, YES = range(3)


class Refused(Exception):
    def __init__(self, *kinds):
        super().__init__(*kinds)
        self.kinds = set(kinds)


class Tensor:
    def __init__(self, array, node=None):
        array, self.fixed = np.asarray(array), False
        array = array if array.flags.writeable else array.copy()
        self.array, self.node, self.retained, self.on_tape = array, node, None, node is not None

    @property
    def where(self):
        """What holds its gradient."""
        return self.node if self.node is not None and self.node.is_leaf else self.retained


class Node:
    """A register.

    parents   nodes that its delta flows to, if it has one; maybe: those that it may flow to
    sure      whether it is one: a gradient that turns out to be a constant has none
    run       (outputs, targets) of the sweep that a gradient is the result of
    stale     a function that says whether what it read has changed
    """

    def __init__(self, thread, shape, parents=(), maybe=(), sure=True, is_leaf=False):
        self.thread, self.shape, self.is_leaf = thread, shape, is_leaf
        self.parents, self.maybe = [list(dict.fromkeys(x for x in xs if x is not None)) for xs in (parents, maybe)]
        self.sure, self.payload, self.run, self.stale = sure, None, None, None
        self.hooks, self.retained, self.consumed, self.grad, self.order, self.unclear = [], [], NO, None, 0, False

    @property
    def factor(self):
        return float(np.prod([h.factor for h in self.hooks if h.active and h.factor not in (None, "raise")]))


class Retained:
    """unclear: whether a gradient of zeros may as well be none, or another array."""

    grad, unclear = None, False


class Hook:
    def __init__(self, name, factor):
        self.name, self.factor, self.active = name, factor, True


class Pullback:
    pass


def reached(nodes, thread, maybe=False):
    """What deltas of nodes flow to in a thread; consumed nodes and those of other threads are an end."""
    found, todo = {}, [node for node in nodes if node is not None]
    while todo:
        node = todo.pop()
        if node not in found:
            found[node] = None
            if node.consumed != YES and (node.thread == thread or node.is_leaf):
                todo += node.parents + (node.maybe if maybe else [])
    return found


def depends(node, targets, known):
    if node not in known:
        known[node] = node in targets or any(depends(y, targets, known) for y in (*node.parents, *node.maybe))
    return known[node]


class Model(Machine):
    def __init__(self, engine):
        super().__init__()
        self.engine, self.recording, self.thread, self.threads, self.made, self.unclear = engine, True, 0, 0, [], []

    def refused(self, error):
        if isinstance(error, Refused):
            return error.kinds
        if isinstance(error, Escape):
            return {"Escape"}
        if isinstance(error, self.engine.errors):       # of NumPy or PyTorch
            return {"ValueError", "IndexError", "TypeError"}
        raise error

    def look(self, x):
        if isinstance(x, np.ndarray):
            return {"": x.copy()}
        if isinstance(x, Tensor):
            grad = None if x.where is None else x.where.grad
            return {"": x.array.copy(), ".grad": None if grad is None else np.array(self.pair(grad)[1])}
        return None

    @contextmanager
    def entered(self, kind):
        before = self.recording, self.thread
        if kind == "thread":
            self.threads += 1
            self.thread, self.recording = self.threads, True
        elif kind != "traced":
            self.recording = kind == "enable_grad"
        try:
            yield
        finally:
            self.recording, self.thread = before

    # Values

    def leaf(self, z, values):
        self.names[z] = self.new_leaf(np.array(values))

    def new_leaf(self, array):
        node = Node(None, array.shape, is_leaf=True)
        node.payload = self.engine.leaf(array)
        return Tensor(array, node)

    def plain(self, z, values):
        self.names[z] = Tensor(np.array(values))

    def array(self, z, values):
        self.names[z] = np.array(values)

    def large(self, z, seed):
        self.names[z] = np.random.default_rng(seed).normal(size=(3, 4000))

    def view(self, z, c, index):
        self.names[z] = self.names[c][index]

    def same(self, z, t):
        self.names[z] = self.names[t]

    def detach(self, z, t):
        self.names[z] = Tensor(self.names[t].array.copy())

    def op(self, z, name, operands, parameters):
        operands = [self.operand(x) for x in operands]
        if not any(isinstance(x, Tensor) for x in operands):
            raise Undefined("NumPy's own operation")
        if name in {**REDUCING, **ALONG} and 0 in operands[0].array.shape:
            raise Undefined("a reduction of nothing")
        self.names[z] = self.apply(name, parameters, *operands)

    def pair(self, x):
        return (x.node, x.array) if isinstance(x, Tensor) else (None, np.asarray(x, float))

    def apply(self, name, parameters, *operands):
        pairs = [self.pair(x) for x in operands]
        value, payload = self.engine.apply(name, parameters, pairs)
        value = np.array(value)
        if not np.all(abs(value) < 50.0):
            raise Undefined("large numbers")
        nodes = [node for node, _ in pairs if node is not None]
        if not self.recording or not nodes or name == "floor":
            return Tensor(value)
        return Tensor(value, self.node(value.shape, payload, nodes))

    def node(self, shape, payload, parents=(), maybe=(), sure=None):
        sure = any(y.sure for y in parents) if sure is None else sure
        node = Node(self.thread, shape, [y for y in parents if y.sure or not sure], [
            *maybe, *[y for y in parents if sure and not y.sure]], sure)
        node.payload = payload
        self.made.append(node)
        return node

    # Writing

    def refuse_write(self, t):
        self.certain(t)
        if t.node is not None and (t.node.is_leaf or t.fixed) and self.recording:
            raise Refused("GradientError")

    def set(self, t, index, y):
        t = self.checked(self.names[t])
        self.refuse_write(t)
        self.become(t, self.apply("assigned", (index,), t, self.operand(y)))

    def inplace(self, t, operator, y):
        t = self.checked(self.names[t])
        self.refuse_write(t)
        z = self.apply({"+=": "add", "-=": "subtract", "*=": "multiply"}[operator], (), t, self.operand(y))
        if z.array.shape != t.array.shape:
            raise Refused("ShapeError")
        self.become(t, z)

    def become(self, t, z):
        if t.node is not None and not self.recording:
            np.copyto(t.array, z.array)
            return
        if t.retained is not None:
            t.retained = None
            if z.node is not None:
                self.retain_node(t, z.node)
        t.array, t.node = z.array, z.node

    def data(self, t, index, number):
        self.names[t].array[index] = number

    def replace(self, t, c):
        t, c = self.names[t], self.names[c]
        if c.shape != t.array.shape:
            raise Refused("ShapeError")
        t.array = c

    def lend(self, z, t):
        self.names[z] = self.names[t].array

    def write(self, c, index, number):
        if any(np.may_share_memory(self.names[c], x) for x in self.unclear):
            raise Undefined("an array that may be that of a gradient")
        self.names[c][index] = number

    def require(self, t, wanted):
        t = self.names[t]
        if t.node is not None and not t.node.is_leaf:
            self.certain(t)
            if not wanted:
                raise Refused("GradientError")
        elif not wanted:
            t.node = None
        elif t.node is None:
            t.node = self.new_leaf(t.array).node

    def certain(self, *tensors):
        if any(t.node is not None and not t.node.sure for t in tensors):
            raise Undefined("whether this requires a gradient")

    # Sweeps

    def check_walk(self, nodes, retain, inputs):
        """What a sweep from nodes reaches: (for certain, perhaps). Refused where it meets what is gone."""
        sure = reached(nodes, self.thread)
        perhaps = [node for node in reached(nodes, self.thread, maybe=True) if node not in sure]
        kinds, possible = [{kind for node in nodes for kind in self.troubles(node, certain, inputs)}
                           for nodes, certain in ((sure, True), ([*sure, *perhaps], False))]
        if kinds:
            if not retain:
                for node in [*sure, *perhaps]:
                    if node.thread == self.thread:
                        node.consumed = max(node.consumed, MAYBE)
            raise Refused(*possible)
        if possible:
            raise Undefined("a sweep that may be refused")
        return sure, perhaps

    def troubles(self, node, certain, inputs):
        """The kinds of errors that a sweep raises at a node, for certain or perhaps."""
        if not node.is_leaf:
            if node.consumed == YES or node.consumed and not certain:
                yield "ConsumedTapeError"
            if node.consumed != YES and node.thread != self.thread:
                yield "ThreadError"
            elif node.consumed != YES and node.stale is not None and node.stale():
                yield "GradientError"
        if any(h.active and h.factor == "raise" for h in node.hooks) and (
                not node.is_leaf or inputs is None or node in inputs):
            yield "Escape"

    def check_rules(self, nodes, targets):
        """Undefined for targets whose delta depends on what a derivative reads, an operand or the result, if it is walked."""
        for node in nodes:
            if node.run is not None:
                outputs, wanted = node.run
                known = {}
                between = [y for y in reached(outputs, self.thread, maybe=True) if depends(y, wanted, known)]
                if any(y in targets and not y.is_leaf for y in between):
                    raise Undefined("the delta of a result in a sweep over a sweep")

    def swept(self, outputs, seeds, inputs, retain, create):
        """{node: (delta, payload)} of nodes with gradients, hooks, and of inputs, before hooks."""
        nodes = [t.node for t in outputs]
        sure, perhaps = self.check_walk(nodes, retain or create, inputs)
        everything = [*sure, *perhaps]
        targets = [node for node in everything
                   if node.is_leaf or node.retained or node in (inputs or ()) or any(h.active for h in node.hooks)]
        self.check_rules(everything, targets)
        factors = {node: node.factor for node in everything if not node.is_leaf and node.factor != 1}
        found = self.engine.gradients([(t.node, self.pair(seed)) for t, seed in zip(outputs, seeds)], targets, factors)
        if create and any(not self.engine_can(node) for node in everything):
            raise Undefined("derivatives of a higher order")
        found = dict(zip(targets, found))
        for node in found:
            if not np.all(abs(found[node][0]) < 1e3):
                raise Undefined("large numbers")
        return found, sure, perhaps

    def engine_can(self, node):
        return node.run is None or node.order < self.engine.order

    def commit(self, sure, perhaps):
        for node in sure:
            node.consumed = YES if not node.is_leaf else NO
        for node in perhaps:
            node.consumed = max(node.consumed, MAYBE) if not node.is_leaf else NO

    def hooked(self, node, d, seen):
        """A delta after the hooks of a node."""
        for h in node.hooks:
            if h.active:
                seen[h.name] = d
                d = d if h.factor in (None, "raise") else np.array(d * h.factor)
        return d

    def result(self, outputs, targets, array, payload, sure, maybe=(), parents=()):
        """A gradient on the tape."""
        maybe = [*maybe, *reached(outputs, self.thread, maybe=True)]
        node = self.node(array.shape, payload, parents, maybe, sure)
        array, node.run = np.array(array), (outputs, targets)
        node.order = 1 + max([y.order for y in maybe if y.run is not None], default=0)
        if node.order > self.engine.order:
            raise Undefined("derivatives of a higher order")
        return Tensor(array, node)

    def seeds(self, outputs, seeds):
        found = []
        for t, seed in zip(outputs, seeds):
            if t.node is None:
                raise Refused("GradientError")
            self.certain(t)
            if seed is None and t.array.size != 1:
                raise Refused("GradientError")
            if seed is not None and self.pair(seed)[1].shape != t.array.shape:
                raise Refused("ShapeError")
            found.append(np.ones(t.array.shape) if seed is None else seed)
        return found

    def backward(self, t, gradient, retain, create):
        with self.entered("enable_grad") if create else nullcontext():
            self.swept_to_leaves(t, gradient, retain, create)

    def swept_to_leaves(self, t, gradient, retain, create):
        t = self.names[t]
        seeds = self.seeds([t], [self.operand(gradient)])
        if not create:
            seeds = [self.pair(seed)[1] for seed in seeds]
        found, sure, perhaps = self.swept([t], seeds, None, retain, create)
        seen, grads = {}, []
        for node, (d, payload) in found.items():
            after = self.hooked(node, d, seen)
            maybe = [y for seed in seeds if (y := self.pair(seed)[0]) is not None]
            for where in [node] * node.is_leaf + node.retained:
                new = after
                if create and node not in sure:
                    raise Undefined("whether there is a gradient")
                if create:
                    new = self.result([t.node], [node], d, payload, True, maybe, [node] * node.is_leaf)
                    if node.factor != 1:
                        if where is not node:
                            raise Undefined("hooks that change what is differentiated twice")
                        new = self.apply("multiply", (), new, node.factor)
                grads.append((where, self.added(where.grad, new), node in perhaps))
        for where, grad, unclear in grads:
            if unclear and isinstance(where.grad, np.ndarray):
                self.unclear.append(where.grad)
            where.grad, where.unclear = grad, unclear or where.unclear and where.grad is None
        self.seen.update({name: np.array(d) for name, d in seen.items()})
        if not (retain or create):
            self.commit(sure, perhaps)

    def added(self, held, new):
        if held is None:
            return new
        if isinstance(held, Tensor) or isinstance(new, Tensor):
            return self.apply("add", (), held, new)
        return np.array(held + new)

    def gradients(self, zs, outputs, seeds, inputs, retain, create):
        outputs, inputs = [self.names[z] for z in outputs], [self.names[x] for x in inputs]
        self.certain(*outputs, *inputs)
        if any(x.node is None for x in [*outputs, *inputs]):
            raise Refused("GradientError")
        seeds = self.seeds(outputs, [self.operand(seed) for seed in seeds])
        if not create:
            seeds = [self.pair(seed)[1] for seed in seeds]
        registers = [x.node for x in inputs]
        found, sure, perhaps = self.swept(outputs, seeds, registers, retain, create)
        seen, results = {}, []
        for node, (d, _) in found.items():
            if not node.is_leaf or node in registers:
                after = self.hooked(node, d, seen)
                found[node] = (after, found[node][1])
        for x in inputs:
            d, payload = found.get(x.node, (np.zeros(x.array.shape), None))
            z = Tensor(np.array(d))
            if create and x.node in perhaps:
                raise Undefined("whether this requires a gradient")
            if create and x.node in sure:
                if x.node.factor != 1:
                    raise Undefined("hooks that change what is differentiated twice")
                maybe = [y for seed in seeds if (y := self.pair(seed)[0]) is not None]
                z = self.result([t.node for t in outputs], [x.node], d, payload, True, maybe, [x.node] * x.node.is_leaf)
            results.append(z)
        self.seen.update({name: np.array(d) for name, d in seen.items()})
        self.names.update(zip(zs, results))
        if not (retain or create):
            self.commit(sure, perhaps)

    def held(self, t):
        t = self.names[t]
        self.certain(t)
        return t.where

    def zero(self, t):
        if (where := self.held(t)) is not None:
            where.grad, where.unclear = None, False

    def scale(self, t, factor):
        where = self.held(t)
        if where is None or where.grad is None or where.unclear:
            raise Undefined("no gradient")
        if isinstance(where.grad, Tensor):
            self.refuse_write(where.grad)
            self.become(where.grad, self.apply("multiply", (), where.grad, factor))
        else:
            where.grad *= factor

    def give(self, t, c):
        where, c = self.held(t), self.names[c]
        if where is None:
            raise Refused("GradientError")
        if c.shape != self.names[t].array.shape:
            raise Refused("ShapeError")
        where.grad, where.unclear = c, False

    def keep(self, z, t):
        where = self.held(t)
        if where is None or where.grad is None or where.unclear:
            raise Undefined("no gradient")
        self.names[z] = where.grad

    def hook(self, h, t, factor):
        t = self.names[t]
        self.certain(t)
        if t.node is None:
            raise Refused("GradientError")
        self.names[h] = Hook(h, factor)
        t.node.hooks.append(self.names[h])

    def unhook(self, h):
        self.names[h].active = False

    def retain(self, t):
        t = self.names[t]
        self.certain(t)
        if t.node is None:
            raise Refused("GradientError")
        if not t.node.is_leaf and t.retained is None:
            self.retain_node(t, t.node)

    def retain_node(self, t, node):
        t.retained = Retained()
        node.retained.append(t.retained)

    def tape(self):
        pass

    def garbage(self, t, n):
        self.certain(self.checked(self.names[t]))

    # Functions of functions

    def ran(self, f, arguments, own=None):
        """(the result, the nodes made, the nodes from outside that it reads, which its own arguments are not)"""
        recording, self.recording = self.recording, True
        made, self.made = self.made, []
        own = [x.node for x in (arguments if own is None else own) if isinstance(x, Tensor)]
        try:
            z = f(*arguments)
        finally:
            self.recording, mine = recording, self.made
            self.made = made + mine
        if not isinstance(z, Tensor):
            raise Undefined("a function that returns no tensor")
        inside = {*mine, *own}
        outside = [y for node in [*mine, z.node] if node is not None
                   for y in ([node] if node not in inside else [*node.parents, *node.maybe]) if y not in inside]
        return z, mine, list(dict.fromkeys(outside))

    def own(self, x):
        """A tensor that stands for an argument that is differentiated by."""
        array = np.array(self.pair(x)[1])
        if isinstance(x, Tensor) and x.node is not None and self.recording:
            self.certain(x)
            return Tensor(array, self.node(array.shape, self.engine.alias(x.node, array), [x.node]))
        z = self.new_leaf(array)
        self.made.append(z.node)
        return z

    def checkpoint(self, z, body, operands):
        f, arguments = self.function(body), [self.operand(x) for x in operands]
        if not self.recording:
            self.names[z] = self.checked(f(*arguments))
            return
        saved = self.copies(arguments)
        out, made, outside = self.ran(f, self.passed(arguments))
        nodes = [x.node for x in saved if isinstance(x, Tensor) and x.node is not None] + outside
        self.certain(*[x for x in saved if isinstance(x, Tensor)])
        if any(not y.sure for y in outside):
            raise Undefined("whether this requires a gradient")
        array = out.array.copy()
        sure = reached([out.node], self.thread)
        for y in made:                                  # what the function has given away of its run can't be walked
            y.consumed = YES
        if not nodes:
            self.names[z] = Tensor(array)
            return
        node = self.node(array.shape, self.engine.alias(out.node, array), [y for y in nodes if y in sure],
                         [y for y in nodes if y not in sure], True)
        node.stale = self.staleness(f, body, saved, array)
        self.names[z] = Tensor(array.copy(), node)

    def passed(self, arguments):
        """What a checkpoint runs its function on: leaves for what requires a gradient, into which nothing can be written."""
        found = [Tensor(x.array.copy(), x.node) if isinstance(x, Tensor) and x.node is not None else x for x in arguments]
        for x in found:
            if isinstance(x, Tensor):
                x.fixed = x.node is not None
        return found

    def copies(self, arguments):
        return [Tensor(x.array.copy(), x.node) if isinstance(x, Tensor) else np.array(x) for x in arguments]

    def checked(self, z):
        if not isinstance(z, Tensor):
            raise Undefined("an array where a tensor is needed")
        return z

    def staleness(self, f, body, saved, array):
        read = [self.names[name] for name in read_by(body) if name in self.names]
        before = [(x.array.copy(), x.node) if isinstance(x, Tensor) else (np.array(x), None) for x in read
                  if isinstance(x, (Tensor, np.ndarray))]
        read = [x for x in read if isinstance(x, (Tensor, np.ndarray))]

        def stale():
            now = [(x.array, x.node) if isinstance(x, Tensor) else (x, None) for x in read]
            if all(np.array_equal(a, b) and m is n for (a, m), (b, n) in zip(before, now)):
                return False
            names, log = self.names, self.made
            try:
                again, _, _ = self.ran(f, self.passed(self.copies(saved)))
            except (ValueError, IndexError, Refused):
                raise Undefined("a function that is refused when it is run again") from None
            finally:
                self.names, self.made = names, log
            if np.allclose(again.array, array, 1e-3, 1e-3):
                raise Undefined("a function that reads another value, and has the same")
            return True

        return stale

    def differentiated(self, f, arguments, positions):
        """(z, own arguments, nested, sure): a run of a function, to be differentiated by some of its arguments."""
        arguments = list(arguments)
        passed = [self.own(arguments[i]) for i in positions]
        chosen = [Tensor(x.array, x.node) for x in passed]      # the function may write into what it is passed
        for i, x in zip(positions, passed):
            arguments[i] = x
        z, _, outside = self.ran(f, arguments, chosen)
        entries = any(not x.node.is_leaf for x in chosen)
        if any(not y.sure for y in outside):
            raise Undefined("whether this requires a gradient")
        return z, chosen, self.recording and (entries or bool(outside))

    def inner_gradients(self, z, seed, chosen, on_tape):
        """The gradients of an inner run: tensors."""
        if z.node is not None:
            self.certain(z)
            self.check_inner(z, chosen)
            if not on_tape:
                seed = self.pair(seed)[1]
            found = self.engine.gradients([(z.node, self.pair(seed))], [x.node for x in chosen], {})
        else:
            found = [(np.zeros(x.array.shape), None) for x in chosen]
        results = []
        for x, (d, payload) in zip(chosen, found):
            if not on_tape or payload is None and x.node.is_leaf:
                results.append(Tensor(d))
                results[-1].on_tape = on_tape
                continue
            maybe = [y for y in (self.pair(seed)[0], x.node) if y is not None]
            payload = self.engine.leaf(d) if payload is None else payload
            results.append(self.result([z.node], [x.node], d, payload, not x.node.is_leaf, maybe))
        return results

    def check_inner(self, z, chosen):
        """Whether a sweep over a run meets what is gone: nodes between its result and its arguments."""
        known, inner = {}, []
        for node in reached([z.node], self.thread, maybe=True):
            if depends(node, [x.node for x in chosen], known) and node not in [x.node for x in chosen]:
                inner.append(node)
        for node in inner:
            if node.stale is not None and node.stale() or node.consumed or node.hooks:
                raise Undefined("a sweep that may be refused")

    def grad(self, z, body, operands, argnum):
        f, operands = self.function(body), [self.operand(x) for x in operands]
        found = self.gradient(lambda *xs: self.apply("sum", (None,), self.checked(f(*xs))), operands, argnum)
        self.names[z] = found if isinstance(operands[argnum], Tensor) or found.on_tape else found.array

    def gradient(self, f, arguments, argnum=0):
        out, chosen, nested = self.differentiated(f, arguments, [argnum])
        return self.inner_gradients(out, np.ones(out.array.shape), chosen, nested)[0]

    def vjp(self, z, p, body, operands):
        arguments = [self.operand(x) for x in operands]
        out, chosen, nested = self.differentiated(self.function(body), arguments, range(len(arguments)))
        pullback = self.names[p] = Pullback()
        pullback.out, pullback.chosen, pullback.nested, pullback.recording = out, chosen, nested, self.recording
        pullback.array, pullback.node = out.array.copy(), out.node
        self.names[z] = out if nested else Tensor(out.array.copy())

    def pull(self, zs, p, seed):
        p, seed = self.names[p], self.operand(seed)
        if self.pair(seed)[1].shape != p.array.shape:
            raise Refused("ShapeError")
        out = Tensor(p.array, p.node)
        inner = [node for node in reached([p.node], self.thread) if depends(node, [x.node for x in p.chosen], {})]
        gone = {"ConsumedTapeError" for node in inner if node.consumed == YES}
        if any(not node.is_leaf and node.thread != self.thread for node in inner):
            raise Undefined("a pullback in another thread")
        if gone:
            raise Refused(*gone)
        if isinstance(seed, Tensor):
            self.certain(seed)
        on_tape = self.recording and (p.nested or p.recording and self.pair(seed)[0] is not None)
        self.names.update(zip(zs, self.inner_gradients(out, seed, p.chosen, on_tape)))

    def jvp(self, zs, body, x, tangent):
        x, tangent = self.checked(self.names[x]), self.operand(tangent)
        out, chosen, nested = self.differentiated(self.function(body), [x], [0])
        if self.pair(tangent)[1].shape != x.array.shape:
            raise Refused("ShapeError")
        if isinstance(tangent, Tensor):
            self.certain(tangent)
        create = nested or self.recording and self.pair(tangent)[0] is not None
        self.names[zs[0]] = out if nested else Tensor(out.array.copy())
        moved = Tensor(np.zeros(out.array.shape))
        if out.node is not None:
            self.certain(out)
            self.check_inner(out, chosen)
            array, payload = self.engine.tangent(out.node, chosen[0].node, self.pair(tangent))
            moved = Tensor(array)
            if create:
                maybe = [y for y in (self.pair(tangent)[0], chosen[0].node) if y is not None]
                moved = self.result([out.node], [chosen[0].node], array, payload, False, maybe)
        self.names[zs[1]] = moved

    def hvp(self, z, body, x, tangent):
        f, tangent = self.function(body), self.operand(tangent)

        def directional(x):
            g = self.gradient(lambda x: self.apply("sum", (None,), self.checked(f(x))), [x])
            return self.apply("sum", (None,), self.apply("multiply", (), g, tangent))

        self.names[z] = self.gradient(directional, [self.names[x]])

    def jacobian(self, z, body, x):
        out, chosen, nested = self.differentiated(self.function(body), [self.names[x]], [0])
        x = chosen[0]
        shape = (*out.array.shape, *x.array.shape)
        if out.node is None or not out.array.size:
            if nested:
                raise Undefined("whether this requires a gradient")
            self.names[z] = Tensor(np.zeros(shape))
            return
        self.certain(out)
        self.check_inner(out, chosen)
        array, payload = self.engine.jacobian(out.node, x.node)
        self.names[z] = (self.result([out.node], [x.node], array, payload, not x.node.is_leaf, [x.node]) if nested
                         else Tensor(array))


def read_by(body):
    """The names that the steps of a body mention, those of bodies in it included."""
    found = []
    for step in body:
        for x in step[1:]:
            if isinstance(x, str):
                found.append(x)
            elif isinstance(x, list):
                found += [y for y in x if isinstance(y, str)] + read_by([y for y in x if isinstance(y, tuple)])
    return found


