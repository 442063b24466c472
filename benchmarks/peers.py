"""The libraries that a benchmark runs beside tapegrad, each behind the same few names. Install with the extra `peers`.

A peer is a function that returns its adapter, or skips the benchmark where the library is not installed:
    parameter(array)    a leaf whose gradient is wanted
    array(array)        a constant
    names of functions  sigmoid, tanh, relu, exp, cross_entropy
    backward(loss, parameters)    the gradients of the parameters, computed to the end
"""

import numpy as np
import pytest


def _eager(make, functions):
    """The adapter of a library with tensors, backward() and .grad; `make` makes a tensor of an array."""
    class Eager:
        array = staticmethod(make)

        @staticmethod
        def parameter(x):
            return make(x, requires_grad=True)

        @staticmethod
        def backward(loss, parameters):
            for parameter in parameters:
                parameter.grad = None
            loss.backward()
            return [np.asarray(parameter.grad) for parameter in parameters]

    for name, function in functions.items():
        setattr(Eager, name, staticmethod(function))
    return Eager


def tapegrad():
    import tapegrad as tg

    return _eager(tg.tensor, {name: getattr(tg, name) for name in ("sigmoid", "tanh", "relu", "exp", "cross_entropy")})


def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    functions = {name: getattr(torch, name) for name in ("sigmoid", "tanh", "relu", "exp")}
    return _eager(torch.tensor, functions | {"cross_entropy": torch.nn.functional.cross_entropy})


def autograd():
    pytest.importorskip("autograd")
    import autograd.numpy as anp

    def cross_entropy(x, targets):
        top = anp.max(x, axis=1, keepdims=True)
        logs = x - top - anp.log(anp.sum(anp.exp(x - top), axis=1, keepdims=True))
        return -anp.mean(logs[np.arange(len(targets)), targets])

    class Autograd:
        """autograd has no backward(): `step` differentiates the whole function."""

        tanh, exp = anp.tanh, anp.exp
        sigmoid = staticmethod(lambda x: 0.5 * (anp.tanh(0.5 * x) + 1))
        relu = staticmethod(lambda x: anp.maximum(x, 0))

    Autograd.cross_entropy = staticmethod(cross_entropy)
    return Autograd


def jax():
    jax = pytest.importorskip("jax")
    from jax import numpy as jnp

    def cross_entropy(x, targets):
        return -jnp.mean(jax.nn.log_softmax(x)[np.arange(len(targets)), targets])

    class Jax:
        """JAX compiles the whole step."""

        sigmoid, tanh, relu, exp = jax.nn.sigmoid, jnp.tanh, jax.nn.relu, jnp.exp

    Jax.cross_entropy = staticmethod(cross_entropy)
    return Jax
