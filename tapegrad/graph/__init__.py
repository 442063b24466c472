"""Graphs: what is computed from what, as data, for everything that is not eager.

A graph holds nodes (primitives/node.py), Node(row, operands, static, shape, dtype): a row of the registry on nodes or
constants. It knows its inputs, its outputs and the nodes between them in order, and what they are called.

Where graphs come from
    capture.py    a tape: the entries between given inputs and a tensor, a name for everything, the values it starts from
    wengert/      a Wengert list, for values of given shapes (wengert/program.py)
    rules         DG rows run over `nodes`, the third vocabulary F

What is done with them
    reverse.py    the symbolic reverse walk: the deltas of a graph are nodes again. Either the rules are run over nodes, and the
                  graph is one of rows, which can be written out or differentiated again; or each rule is one node, which runs
                  fastest over arrays
    verify.py     is a graph as it has to be? To be run after every pass
    run.py        straight through the nodes, over arrays
    numpy_text.py, numpy_forms.py, numpy_helpers.py   the NumPy program of a graph and its deltas
    wengert/listing.py      the Wengert text of a graph
    primitives/scalar.py    the text of a numba kernel, of scalar nodes

Why the bits agree. In float64 a delta has the same bits wherever it is computed, because deltas are added in the order of the
nodes that use a value, from the last to the first, and broadcasting is undone by one function, `fit` of core/sweep.py. Eager
tensors walk entries and not nodes, because making a node per operation would take longer than many an operation.

How to write a pass. A pass takes a Graph and gives a Graph: nodes are never changed, so what stays is shared, and what does
not is made anew, operands first. Nodes have a serial number; sorted by it, operands come before what uses them, and `Graph`
does that. A node is a key of dicts and sets; x == y is a node, so compare with `is`. Run `verify` on the result.

What may be in `static`: what the row takes. What may be among operands: nodes, Python numbers, arrays; in the node of a
whole derivative, None and shapes, too. A row need not be in the registry: it has `name`, `g`, `dg`, `reads`, `arity`,
`variadic`, `elementwise`, and perhaps `expand`, which gives its result by nodes of other rows when its derivative is wanted.
"""

from tapegrad.graph.capture import Capture
from tapegrad.graph.graph import Graph
from tapegrad.graph.reverse import Reverse
from tapegrad.graph.run import Ready, evaluated
from tapegrad.graph.verify import GraphError, verify

__all__ = ["Capture", "Graph", "GraphError", "Ready", "Reverse", "evaluated", "verify"]
