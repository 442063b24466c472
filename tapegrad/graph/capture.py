"""The graph of a part of a tape."""

from tapegrad.core.entry import Handle
from tapegrad.primitives.node import Node


def enter(entries, of):
    """Put the node of every entry of a tape into `of`, {id of a register: its node}, which has those of the leaves.

    Constants stand in the nodes as their arrays, unless they have a node in `of`.
    """
    for entry in entries:
        operands = [of.get(id(y), y._value if isinstance(y, Handle) else y) for y in entry.operands]
        of[id(entry)] = Node(entry.g, tuple(operands), entry.static, entry.shape, entry.dtype)
