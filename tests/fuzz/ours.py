"""A program on tapegrad."""

import threading
from contextlib import contextmanager, nullcontext

import numpy as np

import tapegrad as tg
from fuzz.machine import Escape, Machine
from fuzz.operations import OPERATIONS

CONTEXTS = {"no_grad": tg.no_grad, "enable_grad": tg.enable_grad, "thread": nullcontext,
            "traced": lambda: tg.traced(values=True, deltas=True)}


def copied(x):
    """An array with the elements of a tensor, in a way that does not lend that of the tensor."""
    return np.array(x.tolist()).reshape(x.shape)


class Ours(Machine):
    def refused(self, error):
        return {kind.__name__ for kind in type(error).__mro__} | {f"{type(error).__name__}: {error}"}

    def look(self, x):
        if isinstance(x, np.ndarray):
            return {"": x.copy()}
        if isinstance(x, tg.Tensor):
            return {"": copied(x), ".grad": None if x.grad is None else copied(x.grad)}
        return None

    @contextmanager
    def entered(self, kind):
        with CONTEXTS[kind]():
            yield

    def block(self, kind, steps):
        if kind != "thread":
            return super().block(kind, steps)
        failed = []

        def run():
            try:
                super(Ours, self).block(kind, steps)
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]

    # Values

    def leaf(self, z, values):
        self.names[z] = tg.tensor(values, requires_grad=True)

    def plain(self, z, values):
        self.names[z] = tg.tensor(values)

    def array(self, z, values):
        self.names[z] = np.array(values)

    def large(self, z, seed):
        self.names[z] = np.random.default_rng(seed).normal(size=(3, 4000))

    def view(self, z, c, index):
        self.names[z] = self.names[c][index]

    def same(self, z, t):
        self.names[z] = self.names[t]

    def detach(self, z, t):
        self.names[z] = self.names[t].detach()

    def op(self, z, name, operands, parameters):
        self.names[z] = OPERATIONS[name][0](*map(self.operand, operands), *parameters)

    # Writing

    def set(self, t, index, y):
        self.names[t][index] = self.operand(y)

    def inplace(self, t, operator, y):
        x, y = self.names[t], self.operand(y)
        if operator == "+=":
            x += y
        elif operator == "-=":
            x -= y
        else:
            x *= y
        assert x is self.names[t]

    def data(self, t, index, number):
        self.names[t].data[index] = number

    def replace(self, t, c):
        self.names[t].data = self.names[c]

    def lend(self, z, t):
        self.names[z] = self.names[t].data

    def write(self, c, index, number):
        self.names[c][index] = number

    def require(self, t, wanted):
        self.names[t].requires_grad = wanted

    # Sweeps

    def backward(self, t, gradient, retain, create):
        self.names[t].backward(self.operand(gradient), retain_graph=retain, create_graph=create)

    def gradients(self, zs, outputs, seeds, inputs, retain, create):
        found = tg.autograd.grad([self.names[z] for z in outputs], [self.names[x] for x in inputs],
                                 [self.operand(seed) for seed in seeds], retain_graph=retain, create_graph=create,
                                 allow_unused=True)
        for z, x, g in zip(zs, inputs, found):
            self.names[z] = tg.zeros(self.names[x].shape) if g is None else g

    def zero(self, t):
        self.names[t].zero_grad()

    def scale(self, t, factor):
        self.names[t].grad *= factor

    def give(self, t, c):
        self.names[t].grad = self.names[c]

    def keep(self, z, t):
        self.names[z] = self.names[t].grad

    def hook(self, h, t, factor):
        def function(d):
            assert h not in self.seen, "a hook that saw two deltas in a sweep"
            self.seen[h] = copied(d)
            if factor == "raise":
                raise Escape
            return None if factor is None else d * factor

        self.names[h] = self.names[t].register_hook(function)

    def unhook(self, h):
        self.names[h]()

    def retain(self, t):
        self.names[t].retain_grad()

    # Functions of functions

    def checkpoint(self, z, body, operands):
        self.names[z] = tg.checkpoint(self.function(body))(*map(self.operand, operands))

    def grad(self, z, body, operands, argnum):
        f = self.function(body)
        self.names[z] = tg.grad(lambda *xs: f(*xs).sum(), argnum)(*map(self.operand, operands))

    def vjp(self, z, p, body, operands):
        self.names[z], self.names[p] = tg.vjp(self.function(body), *map(self.operand, operands))

    def pull(self, zs, p, seed):
        for z, g in zip(zs, self.names[p](self.operand(seed))):
            self.names[z] = g

    def jvp(self, zs, body, x, tangent):
        self.names[zs[0]], self.names[zs[1]] = tg.jvp(self.function(body), (self.names[x],), (self.operand(tangent),))

    def hvp(self, z, body, x, tangent):
        f = self.function(body)
        self.names[z], = tg.hvp(lambda x: f(x).sum(), (self.names[x],), (self.operand(tangent),))

    def jacobian(self, z, body, x):
        self.names[z] = tg.jacobian(self.function(body))(self.names[x])

    def garbage(self, t, n):
        """Entries that nothing can reach."""
        for _ in range(n):
            self.names[t] * 2.0

    def tape(self):
        assert str(tg.tape()).count("\n") + 1 >= len(tg.tape())
