"""Graphs of computations, as data: the representation of everything that is not eager.

A graph consists of nodes (primitives/node.py), Node(row, operands, static, shape, dtype): a row of the registry applied to
nodes or constants. It has inputs, outputs, the nodes between them in order, and names for nodes.

Where graphs come from
    capture.py    a tape: the entries between given inputs and a tensor, with names and the values of the inputs
    wengert/      a Wengert list, for values of given shapes (wengert/program.py)
    rules         DG rows run over `nodes`, the third vocabulary F

What is done with graphs
    reverse.py    the symbolic reverse walk: the deltas of a graph are nodes, too. Either the rules are run over nodes, which
                  gives a graph of rows that can be written out or differentiated again; or each rule is one node, which runs
                  fastest over arrays
    verify.py     checks that a graph is valid; run it after every pass
    run.py        evaluates the nodes in order, over arrays
    numpy_text.py, numpy_forms.py, numpy_helpers.py   a graph and its deltas as a NumPy program
    wengert/listing.py      a graph as a Wengert list
    primitives/scalar.py    scalar nodes as the source of a numba kernel

Why the bits agree. In float64 a delta has the same bits wherever it is computed, because deltas are added in the order of the
nodes that use a value, from the last to the first, and broadcasting is undone by one function, `fit` of core/sweep.py. The
eager sweep walks entries, not nodes: creating a node would take longer than many operations do.

How to write a pass. A pass takes a Graph and returns a Graph. Nodes are immutable: unchanged ones are shared, others are
created anew, operands first. `Graph` sorts nodes by their serial numbers, which puts operands before their users. Nodes are
hashable, as keys of dicts and sets; x == y is a node, so compare with `is`. Run `verify` on the result.

`static` holds the static arguments of the row. Operands are nodes, Python numbers or arrays; in the node of a whole
derivative also None and shapes. A row need not be in the registry: it has `name`, `g`, `dg`, `reads`, `arity`, `variadic`,
`elementwise`, and optionally `expand`, which returns its result as nodes of other rows when its derivative is needed.
"""

from tapegrad.graph.capture import Capture
from tapegrad.graph.graph import Graph
from tapegrad.graph.reverse import Reverse
from tapegrad.graph.run import Ready, evaluated
from tapegrad.graph.verify import GraphError, verify

__all__ = ["Capture", "Graph", "GraphError", "Ready", "Reverse", "evaluated", "verify"]
