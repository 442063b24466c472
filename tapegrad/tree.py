"""Nested structures: dicts, lists, tuples and named tuples of leaves."""


def leaves(tree):
    """The leaves in order, depth first."""
    if isinstance(tree, dict):
        return [leaf for value in tree.values() for leaf in leaves(value)]
    if isinstance(tree, (list, tuple)):
        return [leaf for value in tree for leaf in leaves(value)]
    return [tree]


def rebuild(tree, replacements):
    """The same structure with its leaves taken, in order, from the iterator `replacements`."""
    if isinstance(tree, dict):
        return type(tree)((key, rebuild(value, replacements)) for key, value in tree.items())
    if isinstance(tree, (list, tuple)):
        values = [rebuild(value, replacements) for value in tree]
        return type(tree)(*values) if hasattr(tree, "_fields") else type(tree)(values)
    return next(replacements)


def same(one, other):
    """Whether two structures differ only in their leaves."""
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return not isinstance(other, (dict, list, tuple))
