"""Gradient descent: each optimiser moves its parameters, tensors, against their `.grad`.

A step writes into the parameters' arrays, or into copies where the tape has saved them (see tensor.py), so a step in
the middle of a recording leaves the recorded values alone.
"""

import numpy as np


class Optimizer:
    """The parameters of a model, and what is common to all ways of moving them. `lr` may be changed between steps."""

    def __init__(self, parameters, lr):
        self.parameters = list(parameters)
        for parameter in self.parameters:
            if not (parameter.requires_grad and parameter.is_leaf):
                raise ValueError(f"{type(self).__name__}: {parameter!r} is not a leaf that requires a gradient")
        if lr < 0:
            raise ValueError(f"{type(self).__name__}: lr={lr} is negative")
        self.lr = lr

    def zero_grad(self):
        """Forget the gradients of all parameters."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self):
        """Move every parameter that has a gradient."""
        for i, parameter in enumerate(self.parameters):
            if parameter.grad is not None:
                self.move(i, parameter.data, parameter.grad)


class SGD(Optimizer):
    """x -= lr * v, with v = momentum * v + g. Source: Robbins and Monro (1951); Polyak (1964) for the momentum."""

    def __init__(self, parameters, lr, momentum=0.0):
        super().__init__(parameters, lr)
        self.momentum = momentum
        self.velocity = {}

    def move(self, i, x, g):
        if self.momentum:
            g = self.velocity[i] = self.momentum * self.velocity.get(i, 0.0) + g
        x -= self.lr * g


class Adam(Optimizer):
    """x -= lr * m' / (sqrt(v') + eps), where m' and v' are the running means of g and |g|^2 without their bias to 0.

    Source: Kingma and Ba, Adam: A Method for Stochastic Optimization (2015), algorithm 1.
    """

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(parameters, lr)
        self.betas, self.eps, self.steps = betas, eps, 0
        self.m = [np.zeros_like(parameter.data) for parameter in self.parameters]
        self.v = [np.zeros_like(parameter.data.real) for parameter in self.parameters]

    def step(self):
        self.steps += 1
        super().step()

    def move(self, i, x, g):
        (beta1, beta2), m, v = self.betas, self.m[i], self.v[i]
        m += (1 - beta1) * (g - m)
        squared = g * g if g.dtype.kind != "c" else (g * g.conj()).real
        v += (1 - beta2) * (squared - v)
        rate = self.lr * (1 - beta2 ** self.steps) ** 0.5 / (1 - beta1 ** self.steps)
        x -= rate * m / (np.sqrt(v) + self.eps * (1 - beta2 ** self.steps) ** 0.5)
