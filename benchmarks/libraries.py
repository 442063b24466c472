"""The libraries that a benchmark runs beside tapegrad, each behind the same few names. Install with the extra `peers`.

load(peer) gives the adapter of a library; where it is not installed that is an ImportError. An adapter F has
    sigmoid, tanh, relu, exp, cross_entropy
    step(loss, inputs, parameters)    a function that computes loss(F, p=parameters, **inputs) and all gradients, to the end,
                                      and returns them in the order of the parameters
    compiled(loss)                    the loss, compiled by a library that is to compile it
    record(f, *arrays)                runs the scalar f on these leaves, recorded; calling what it returns walks back
"""

import sys

import numpy as np

MODULES = {"tapegrad": "tapegrad", "tg.compile": "tapegrad", "tg.nn": "tapegrad", "torch": "torch", "nn.LSTM": "torch",
           "torch.compile": "torch", "jax": "jax", "autograd": "autograd", "mygrad": "mygrad", "micrograd": "micrograd",
           "numpy": "numpy"}
TITLES = {"tapegrad": "tapegrad", "tg.compile": "tg.compile", "tg.nn": "tg.nn, compiled", "torch": "PyTorch",
          "nn.LSTM": "nn.LSTM", "torch.compile": "torch.compile", "jax": "JAX", "autograd": "autograd", "mygrad": "MyGrad",
          "micrograd": "micrograd", "numpy": "NumPy"}


def convert(make, inputs):
    """The inputs of a loss, arrays and lists of arrays by name, each array made into a library's own."""
    return {name: [make(x) for x in value] if isinstance(value, list) else make(value) for name, value in inputs.items()}


class Eager:
    """A library with tensors, backward() and .grad; `make` makes a tensor of an array."""

    def __init__(self, make, functions, labels=None):
        self.array, self.labels = make, labels or (lambda x: x)
        for name, function in functions.items():
            setattr(self, name, function)

    def parameter(self, x):
        """A leaf whose gradient is wanted."""
        return self.array(x, requires_grad=True)

    def constant(self, x):
        """A constant; integers are labels."""
        return self.labels(x) if x.dtype.kind == "i" else self.array(x)

    def backward(self, loss, parameters):
        """The gradients of the parameters."""
        for parameter in parameters:
            parameter.grad = None
        loss.backward()
        return [parameter.grad for parameter in parameters]

    def compiled(self, loss):
        return loss

    def sweeps(self, loss, inputs, parameters):
        """(forward, backward): forward() is the loss, backward(loss) the list of gradients."""
        loss, inputs = self.compiled(loss), convert(self.constant, inputs)
        p = {name: self.parameter(value) for name, value in parameters.items()}
        leaves = list(p.values())
        return lambda: loss(self, p=p, **inputs), lambda value: self.backward(value, leaves)

    def step(self, loss, inputs, parameters):
        forward, backward = self.sweeps(loss, inputs, parameters)
        return lambda: backward(forward())

    def record(self, f, *arrays):
        leaves = [self.parameter(x) for x in arrays]
        value = f(*leaves)
        return lambda: self.backward(value, leaves)


def tapegrad():
    import tapegrad as tg

    return Eager(tg.tensor, {name: getattr(tg, name) for name in ("sigmoid", "tanh", "relu", "exp", "cross_entropy")})


def tapegrad_compile():
    import tapegrad as tg

    class Compiled(Eager):
        """tapegrad, the loss compiled by tg.compile."""

        def compiled(self, loss):
            return tg.compile(loss, fallback="error")

    F = tapegrad()
    F.__class__ = Compiled
    return F


def torch():
    import torch

    torch.set_num_threads(1)
    functions = {name: getattr(torch, name) for name in ("sigmoid", "tanh", "relu", "exp")}
    functions["cross_entropy"] = torch.nn.functional.cross_entropy
    return Eager(torch.tensor, functions, labels=torch.tensor)


def torch_compile():
    import torch as library

    class Compiled(Eager):
        """PyTorch, the loss compiled by Inductor."""

        def compiled(self, loss):
            return library.compile(loss)

    F = torch()
    F.__class__ = Compiled
    return F


def mygrad():
    import mygrad as mg
    from mygrad.nnet.activations import relu, sigmoid
    from mygrad.nnet.losses import softmax_crossentropy

    class MyGrad(Eager):
        """MyGrad says constant where others say requires_grad, and its .grad cannot be set."""

        def backward(self, loss, parameters):
            for parameter in parameters:
                parameter.null_grad()
            loss.backward()
            return [parameter.grad for parameter in parameters]

    return MyGrad(lambda x, requires_grad=False: mg.tensor(x, constant=not requires_grad),
                  {"sigmoid": sigmoid, "tanh": mg.tanh, "relu": relu, "exp": mg.exp, "cross_entropy": softmax_crossentropy})


def micrograd():
    from micrograd.engine import Value

    class Micrograd(Eager):
        """A scalar engine: an array is its first number. It sorts the graph by recursion, so that long loops go deep."""

        def backward(self, loss, parameters):
            for parameter in parameters:
                parameter.grad = 0
            sys.setrecursionlimit(100_000)
            loss.backward()
            return [parameter.grad for parameter in parameters]

    return Micrograd(lambda x, requires_grad=False: Value(float(x[0])), {})


def autograd():
    import autograd.numpy as anp
    from autograd import grad, make_vjp

    class Autograd:
        """autograd differentiates functions: there is no backward() of its own."""

        tanh, exp = staticmethod(anp.tanh), staticmethod(anp.exp)
        sigmoid = staticmethod(lambda x: 0.5 * (anp.tanh(0.5 * x) + 1))
        relu = staticmethod(lambda x: anp.maximum(x, 0))

        def cross_entropy(self, x, targets):
            top = anp.max(x, axis=1, keepdims=True)
            logs = x - top - anp.log(anp.sum(anp.exp(x - top), axis=1, keepdims=True))
            return -anp.mean(logs[np.arange(len(targets)), targets])

        def step(self, loss, inputs, parameters):
            gradient = grad(lambda p: loss(self, p=p, **inputs))
            return lambda: list(gradient(parameters).values())

        def record(self, f, *arrays):
            walk_back, value = make_vjp(f, argnum=tuple(range(len(arrays))))(*arrays)
            return lambda: walk_back(np.ones_like(value))

    return Autograd()


def jax():
    import jax
    from jax import numpy as jnp

    class Jax:
        """JAX compiles the whole step; the inputs are its arguments, not constants."""

        sigmoid, tanh, relu, exp, scan = map(staticmethod, (jax.nn.sigmoid, jnp.tanh, jax.nn.relu, jnp.exp, jax.lax.scan))

        def cross_entropy(self, x, targets):
            return -jnp.mean(jax.nn.log_softmax(x)[np.arange(len(targets)), targets])

        def step(self, loss, inputs, parameters):
            inputs, p = convert(jnp.asarray, inputs), {name: jnp.asarray(value) for name, value in parameters.items()}
            compiled = jax.jit(jax.value_and_grad(lambda p, inputs: loss(self, p=p, **inputs)))

            def step():
                _, found = jax.block_until_ready(compiled(p, inputs))
                return [found[name] for name in p]          # JAX sorts the names

            return step

    return Jax()


LOADERS = {"tapegrad": tapegrad, "tg.compile": tapegrad_compile, "torch": torch, "torch.compile": torch_compile, "jax": jax,
           "autograd": autograd, "mygrad": mygrad, "micrograd": micrograd}


def load(peer):
    """The adapter of a peer."""
    return LOADERS[peer]()
