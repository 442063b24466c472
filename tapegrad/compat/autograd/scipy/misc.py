"""`autograd.scipy.misc`: logsumexp, where SciPy had it once."""

from __future__ import annotations

from tapegrad.scipy.special import logsumexp

__all__ = ["logsumexp"]
