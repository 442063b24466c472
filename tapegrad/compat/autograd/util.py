"""Small functions of autograd's."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

from tapegrad.compat.autograd.arguments import func, subval, subvals, toposort
from tapegrad.compat.autograd.test_util import check_grads

__all__ = ["func", "quick_grad_check", "subval", "subvals", "toposort"]


def quick_grad_check(fun: Callable[..., Any], arg0: Any, extra_args: Iterable[Any] = (), kwargs: Any = None,
                     verbose: bool = True, eps: float = 1e-4, rtol: float = 1e-4, atol: float = 1e-6, rs: Any = None) -> None:
    """check_grads of the first argument, to first order; deprecated in autograd."""
    warnings.warn("quick_grad_check is deprecated in autograd; use autograd.test_util.check_grads", stacklevel=2)
    check_grads(lambda x: fun(x, *extra_args, **(kwargs or {})), modes=["rev"], order=1)(arg0)
