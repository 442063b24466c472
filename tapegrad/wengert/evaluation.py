"""Evaluating a Wengert list, and backpropagating through it: what users call."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tapegrad.errors import WengertError
from tapegrad.wengert.program import compiled, zeros

Entries = Sequence[tuple[str, str, Sequence[Any]]]


def eval(f: Entries, val: Mapping[str, Any], G: Mapping[str, Callable[..., Any]] | None = None) -> dict[str, Any]:
    """{name: value} of all names of a Wengert list: for each entry, val[z] = G[g](val[y1], .., val[yk]).

    f       [(z, g, (y1, .., yk)), ..]
    val     {name: array or number} of what the entries don't define; it is not changed
    G       {operator: function of arrays}, which extends tapegrad's operators or takes the place of some

    Raises WengertError, or ShapeError and the like, with the entry where something is wrong.

    >>> from tapegrad import wengert
    >>> values = wengert.eval([("z1", "add", ("x", "x")), ("f", "square", ("z1",))], {"x": 3.0})
    >>> float(values["z1"]), float(values["f"])
    (6.0, 36.0)
    """
    program = compiled(f)
    values = program.evaluated(val, program.users(G, None))
    return dict(val) | {z: values[slot] for z, slot in program.results}


def backprop(f: Entries, val: Mapping[str, Any], DG: Mapping[str, Any] | None = None, seed: Any = 1.0, *,
             G: Mapping[str, Callable[..., Any]] | None = None, wrt: Iterable[str] | None = None) -> dict[str, Any]:
    """{name: delta} of a Wengert list: delta[yi] += DG[g][i](delta[z], val[z], val[y1], .., val[yk]), from its end.

    f       [(z, g, (y1, .., yk)), ..]
    val     what `eval` gave; what it lacks of that is computed
    DG      {operator: [function(delta, out, y1, .., yk) per argument]}, which extends tapegrad's or takes the place of some;
            None in place of a function for an argument without a derivative
    seed    the delta of the last entry's z: a number, or an array of its shape
    G       as for `eval`, for what val lacks
    wrt     the names whose deltas are wanted, which saves the work for the others; by default all

    A delta has the shape of its value, and is 0 where nothing flows. Deltas may share memory, and are to be read only. Raises
    WengertError, or ShapeError and the like, with the entry where something is wrong.
    Source: Griewank and Walther, Evaluating Derivatives (2008), section 3.2.

    >>> from tapegrad import wengert
    >>> deltas = wengert.backprop([("z1", "add", ("x", "x")), ("f", "square", ("z1",))], {"x": 3.0})
    >>> float(deltas["x"])
    24.0
    >>> cube = {"cube": [lambda delta, out, x: delta * 3 * x ** 2]}
    >>> float(wengert.backprop([("f", "cube", ("x",))], {"x": 2.0, "f": 8.0}, cube)["x"])
    12.0
    """
    program = compiled(f)
    if not program.steps:
        raise WengertError("backprop: the list has no entry whose z could be seeded")
    users = program.users(G, DG)
    values = program.evaluated(val, users, known=True)
    if wrt is None:
        wrt = [step.z for step in reversed(program.steps)] + [y for y, (_, operand) in program.inputs.items() if operand]
    wrt = tuple(wrt)
    for name in wrt:
        if name not in program.slots and name not in val:
            raise WengertError(f"backprop: the delta of {name} is wanted, which is neither in the list nor in val")
    found = program.deltas(values, users, seed, wrt)
    return {name: found[name] if name in found else zeros(val[name]) for name in wrt}
