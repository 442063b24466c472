"""`tapegrad.autograd`: gradients of given outputs, in PyTorch's form."""

from tapegrad.transforms.autograd import grad

__all__ = ["grad"]
