"""What autograd is extended with: primitives, their derivatives, vector spaces."""

from __future__ import annotations

from tapegrad.compat.autograd.core import (
    SparseObject,
    VSpace,
    def_linear,
    defjvp,
    defjvp_argnum,
    defjvp_argnums,
    defvjp,
    defvjp_argnum,
    defvjp_argnums,
    vspace,
)
from tapegrad.compat.autograd.tracer import Box, notrace_primitive, primitive, register_notrace
from tapegrad.compat.autograd.tracing import JVPNode, VJPNode

__all__ = ["Box", "JVPNode", "SparseObject", "VJPNode", "VSpace", "def_linear", "defjvp", "defjvp_argnum", "defjvp_argnums",
           "defvjp", "defvjp_argnum", "defvjp_argnums", "notrace_primitive", "primitive", "register_notrace", "vspace"]
