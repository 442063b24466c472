"""The verifier, to be run after every pass: raises GraphError, which names the invalid node."""


from tapegrad.errors import WengertError
from tapegrad.graph.graph import Graph, operands_of
from tapegrad.graph.reverse import Derivative
from tapegrad.primitives.node import inferred


class GraphError(WengertError):
    """A graph that is invalid."""


def verify(graph: Graph) -> Graph:
    """Return the graph if it is valid; raise GraphError otherwise.

    - A node occurs once, after its operands; every operand is a node of the graph, one of its inputs, or a constant.
    - Its number of operands is that of its row, and its shape and dtype are those that the row gives for them.
    - Outputs are nodes of the graph or inputs; only inputs have no row; names are unique and belong to nodes of the graph.
    """
    defined, names = set(graph.inputs), dict(graph.names)
    for node in graph.inputs:
        if len(defined) != len(graph.inputs):
            raise GraphError(f"{_shown(node, names)}: an input is given twice")
    for position, node in enumerate(graph.nodes):
        where = f"node {position}, {_shown(node, names)}"
        if node in defined:
            raise GraphError(f"{where}: it is defined twice")
        if node.row is None:
            raise GraphError(f"{where}: it has no row, and is not an input")
        for y in operands_of(node):
            if y not in defined:
                raise GraphError(f"{where}: its operand {_shown(y, names)} is not defined before it")
        if node.row.arity not in (None, len(node.operands)):
            raise GraphError(f"{where}: {node.row.name} expected {node.row.arity} operands, got {len(node.operands)}")
        if not isinstance(node.row, Derivative):
            try:
                wanted = inferred(node.row, node.operands, node.static)
            except Exception as error:
                raise GraphError(f"{where}: {node.row.name} does not take its operands: {error}") from error
            if (node.shape, node.dtype) != wanted:
                raise GraphError(f"{where}: expected {wanted[1]} {wanted[0]}, got {node.dtype} {node.shape}")
        defined.add(node)
    for node in (*graph.outputs, *names):
        if node not in defined:
            raise GraphError(f"{_shown(node, names)}: it is an output or has a name, but is not in the graph")
    if len(set(names.values())) != len(names):
        raise GraphError("two nodes have the same name")
    return graph


def _shown(node, names):
    known = names.get(node)
    return f"{known} = {node!r}" if known else repr(node)
