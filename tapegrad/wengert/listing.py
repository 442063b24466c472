"""A graph as a Wengert list: the text of a saved tape."""

import numpy as np

from tapegrad.errors import WengertError
from tapegrad.primitives.node import Node
from tapegrad.wengert.text import literal


def listed(graph, caller):
    """(the Wengert list, {name: array, or list of the items of a tuple that contains arrays} of static arguments)."""
    f, static, names = [], {}, graph.names
    for node in graph.nodes:
        z = names[node]
        ys = [names[x] if isinstance(x, Node) else repr(x) for x in node.operands]
        for key, value in _arguments(node):
            items = value if type(value) is tuple else (value,)
            if any(isinstance(item, np.ndarray) for item in items):
                name = f"{z}.{key or len(ys)}"
                static[name] = list(value) if type(value) is tuple else value
                ys.append(f"{key}={name}" if key else name)
            else:
                text = _text(value, node, key, caller)
                ys.append(f"{key}={text}" if key else text)
        f.append((z, node.row.name, tuple(ys)))
    return f, static


def _arguments(node):
    """(name or None, value) of the static arguments. Positional ones of a user's primitive have no names."""
    names, static = node.row.static_names, node.static
    found = list(zip(names, static))
    for value in static[len(names):]:
        found += value.items() if isinstance(value, dict) else [(None, value)]
    return found


def _text(value, node, key, caller):
    if isinstance(value, tuple):
        value = tuple([item.item() if isinstance(item, np.generic) else item for item in value])
    text = repr(value.item() if isinstance(value, np.generic) else value)
    try:
        literal(text)
    except WengertError:
        raise WengertError(f"{caller}: {node.row.name}: its argument {key or 'by position'}, a {type(value).__name__}, "
                           "cannot be written as text") from None
    return text
