"""Values of the oracle: operations copy what they read, so a write is seen by what reads the tensor or the array afterwards,
and by nothing else."""

from contextlib import contextmanager

import numpy as np

from fuzz.infinitesimal import Undefined
from fuzz.machine import Escape, Machine
from fuzz.operations import ALONG, REDUCING
from fuzz.registers import Node, Refused, Tensor


class Values(Machine):
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
        retained, t.retained = t.retained, None
        t.array, t.node = z.array, z.node
        if retained is not None and t.node is not None:
            t.retain()

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
