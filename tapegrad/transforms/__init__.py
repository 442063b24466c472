"""Derivatives of functions: gradients of given outputs, grad and its relatives, checkpoints, checks, new primitives."""
