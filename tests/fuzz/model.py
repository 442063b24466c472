"""A program on an oracle: what tensors, the tape and gradients are, said as plainly as possible, and slowly.

values.py    values, and writes
sweeps.py    backward, gradients, hooks
here         derivatives of functions, and checkpoints

Numbers are an engine's (engines.py, pytorch.py). What must be refused is refused by the names of the errors; what the
conventions leave open raises Undefined: no program goes there.
"""

import numpy as np

from fuzz.infinitesimal import Undefined
from fuzz.registers import YES, Pullback, Refused, Tensor, depends, outside_of, reached
from fuzz.sweeps import Sweeps


class Model(Sweeps):
    def ran(self, f, arguments, own=None):
        """(the result, the nodes made, the nodes from outside that it is computed from, which its own arguments are not)"""
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
        outside = outside_of(inside, z.node)
        if outside and not outside_of(inside, z.node, maybe=False):
            raise Undefined("whether this requires a gradient")
        return z, mine, outside

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
        saved, before = self.copies(arguments), self.read(body)
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
        node.stale = self.staleness(f, before, saved, array)
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

    def read(self, body):
        """[(what a body reads from outside, its value, its node)], before it is run: it may write into that itself."""
        read = [self.names[name] for name in read_by(body) if name in self.names]
        return [(x, np.array(self.pair(x)[1]), self.pair(x)[0]) for x in read if isinstance(x, (Tensor, np.ndarray))]

    def staleness(self, f, before, saved, array):
        def stale():
            if all(np.array_equal(value, self.pair(x)[1]) and node is self.pair(x)[0] for x, value, node in before):
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
        """(z, what stands for the arguments, whether results are on the tape): a run of f, to be differentiated by some."""
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
        self.names[p] = Pullback(out, chosen, nested, self.recording)
        self.names[z] = out if nested else Tensor(out.array.copy())

    def pull(self, zs, p, seed):
        p, seed = self.names[p], self.operand(seed)
        if self.pair(seed)[1].shape != p.out.array.shape:
            raise Refused("ShapeError")
        inner = [node for node in reached([p.out.node], self.thread) if depends(node, [x.node for x in p.chosen], {})]
        gone = {"ConsumedTapeError" for node in inner if node.consumed == YES}
        if any(not node.is_leaf and node.thread != self.thread for node in inner):
            raise Undefined("a pullback in another thread")
        if gone:
            raise Refused(*gone)
        if isinstance(seed, Tensor):
            self.certain(seed)
        on_tape = self.recording and (p.nested or p.recording and self.pair(seed)[0] is not None)
        self.names.update(zip(zs, self.inner_gradients(p.out, seed, p.chosen, on_tape)))

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
