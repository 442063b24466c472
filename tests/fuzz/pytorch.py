"""PyTorch as an engine: a payload is what a register is there, and derivatives are PyTorch's own.

The tape of a node is kept for as long as the node lives; what is consumed, and what is refused for it, is the model's affair.
"""

import numpy as np

from fuzz.operations import OPERATIONS, T


class Replaced(T.autograd.Function):
    """Another value, with the derivative of the one before: what a write to .data makes."""

    @staticmethod
    def forward(ctx, x, value):
        return value.clone()

    @staticmethod
    def backward(ctx, d):
        return d, None


class Held:
    """z, to be hooked, and `use`, which everything else is computed from: its delta is that of z before hooks."""

    def __init__(self, z):
        self.z = z if z.requires_grad else z.detach().clone().requires_grad_()
        self.use = self.z.view_as(self.z)


class PyTorch:
    order = 3
    errors = ValueError, IndexError, TypeError, RuntimeError, KeyError, AttributeError

    def leaf(self, array):
        return Held(T.tensor(array, dtype=T.float64))

    def again(self, payload):
        return Held(payload.use.view_as(payload.use))

    def tensor(self, node, array):
        array = T.tensor(np.array(array), dtype=T.float64)
        if node is None:
            return array
        use = node.payload.use
        return use if T.equal(use.detach(), array) else Replaced.apply(use, array)

    def alias(self, node, array):
        z = self.tensor(node, array)
        return Held(z.view_as(z))

    def apply(self, name, parameters, operands):
        z = OPERATIONS[name][1](*[self.tensor(node, array) for node, array in operands], *parameters)
        return z.numpy(force=True).copy(), Held(z)

    def gradients(self, outputs, targets, factors):
        hooks = [node.payload.z.register_hook(lambda d, factor=factor: d * factor) for node, factor in factors.items()]
        try:
            found = self.deltas([node.payload.use for node, _ in outputs], [target.payload.use for target in targets],
                                [self.tensor(*seed) for _, seed in outputs])
        finally:
            for hook in hooks:
                hook.remove()
        return [(d.numpy(force=True).copy(), Held(d)) for d in found]

    def deltas(self, outputs, targets, seeds):
        if not targets:
            return []
        found = T.autograd.grad(outputs, targets, seeds, retain_graph=True, create_graph=True, allow_unused=True)
        return [T.zeros(x.shape, dtype=T.float64) if d is None else d for d, x in zip(found, targets)]

    def tangent(self, output, target, tangent):
        z, x = output.payload.use, target.payload.use
        u = T.zeros(z.shape, dtype=T.float64, requires_grad=True)
        pulled, = self.deltas([z], [x], [u])
        moved = self.deltas([pulled], [u], [self.tensor(*tangent)])[0] if pulled.requires_grad else T.zeros_like(u)
        return moved.numpy(force=True).copy(), Held(moved)

    def jacobian(self, output, target):
        z, x = output.payload.use, target.payload.use
        rows = [self.deltas([z], [x], [T.tensor(row.reshape(z.shape))])[0] for row in np.eye(z.numel())]
        matrix = T.stack(rows).reshape((*z.shape, *x.shape))
        return matrix.numpy(force=True).copy(), Held(matrix)
