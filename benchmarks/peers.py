"""The libraries that a benchmark runs beside tapegrad, each behind the same few names. Install with the extra `peers`.

A peer is a function that returns its adapter, or skips the benchmark where the library is not installed:
    parameter(array)    a leaf whose gradient is wanted
    array(array)        a constant
    names of functions  sigmoid, tanh, relu, exp, cross_entropy
    backward(loss, parameters)    the gradients of the parameters, computed to the end
"""

import numpy as np
import pytest


def tapegrad():
    import tapegrad as tg

    class Tapegrad:
        sigmoid, tanh, relu, exp, cross_entropy = tg.sigmoid, tg.tanh, tg.relu, tg.exp, tg.cross_entropy
        array = tg.tensor

        @staticmethod
        def parameter(x):
            return tg.tensor(x, requires_grad=True)

        @staticmethod
        def backward(loss, parameters):
            for parameter in parameters:
                parameter.grad = None
            loss.backward()
            return [parameter.grad for parameter in parameters]

    return Tapegrad


def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)

    class Torch:
        sigmoid, tanh, relu, exp = torch.sigmoid, torch.tanh, torch.relu, torch.exp
        cross_entropy = torch.nn.functional.cross_entropy
        array = torch.tensor

        @staticmethod
        def parameter(x):
            return torch.tensor(x, requires_grad=True)

        @staticmethod
        def backward(loss, parameters):
            for parameter in parameters:
                parameter.grad = None
            loss.backward()
            return [parameter.grad.numpy() for parameter in parameters]

    return Torch


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
