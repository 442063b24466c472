"""autograd's interface: `from tapegrad.compat.autograd import grad`, or `install()`, and then `import autograd` as ever.

Functions are written with tapegrad.numpy's functions, which are those of `tapegrad.compat.autograd.numpy`. Operators take
arrays, numbers, and dicts, lists and tuples of them, and give such. README.md in the folder above says what is different.

>>> from tapegrad.compat.autograd import grad
>>> import tapegrad.compat.autograd.numpy as anp
>>> grad(anp.tanh)(0.0)
np.float64(1.0)
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tapegrad.compat.autograd.builtins import dict, isinstance, list, tuple, type
from tapegrad.compat.autograd.core import primitive
from tapegrad.compat.autograd.differential_operators import (
    checkpoint, deriv, elementwise_grad, grad, grad_and_aux, grad_named, hessian, hessian_tensor_product,
    hessian_vector_product,
    holomorphic_grad, jacobian, make_ggnvp, make_hvp, make_jvp, make_jvp_reversemode, make_vjp, multigrad_dict,
    tensor_jacobian_product, value_and_grad, vector_jacobian_product)
from tapegrad.compat.autograd.installing import install, uninstall

__all__ = ["checkpoint", "deriv", "elementwise_grad", "grad", "grad_and_aux", "grad_named", "hessian",
           "hessian_tensor_product", "hessian_vector_product", "holomorphic_grad", "install", "jacobian", "make_ggnvp",
           "make_hvp", "make_jvp", "make_jvp_reversemode", "make_vjp", "multigrad_dict", "tensor_jacobian_product",
           "uninstall", "value_and_grad", "vector_jacobian_product"]

MODULES = ("builtins", "core", "differential_operators", "extend", "misc", "numpy", "scipy", "test_util", "tracer", "util",
           "wrap_util")


def __getattr__(name: str) -> Any:
    if name in MODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"tapegrad.compat.autograd has no {name!r}")
