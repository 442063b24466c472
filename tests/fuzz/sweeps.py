"""Sweeps of the oracle: what they reach, consume and refuse, and what becomes of gradients and hooks."""

from contextlib import nullcontext

import numpy as np

from fuzz.infinitesimal import Undefined
from fuzz.registers import MAYBE, NO, YES, Hook, Refused, Tensor, depends, reached
from fuzz.values import Values


class Sweeps(Values):
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
        node = self.node(array.shape, self.engine.again(payload), parents, maybe, sure)
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
            t.retain()

    def tape(self):
        pass

    def garbage(self, t, n):
        self.certain(self.checked(self.names[t]))
