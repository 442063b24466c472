"""The public functions that evaluate a Wengert list and backpropagate through it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tapegrad.errors import WengertError
from tapegrad.wengert.program import compiled, zeros

Entries = Sequence[tuple[str, str, Sequence[Any]]]


def eval(f: Entries, val: Mapping[str, Any], G: Mapping[str, Callable[..., Any]] | None = None) -> dict[str, Any]:
    """{name: value} of all names of a Wengert list: for each entry, val[z] = G[g](val[y1], .., val[yk]).

    f       [(z, g, (y1, .., yk)), ..]
    val     {name: array or number} of the names that no entry defines; it is not modified
    G       {operator: function of arrays}, in addition to tapegrad's operators or instead of some

    Raises WengertError, ShapeError or DtypeError, with the entry in the message.

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
    """{name: delta} of a Wengert list: delta[yi] += DG[g][i](delta[z], val[z], val[y1], .., val[yk]), last entry first.

    f       [(z, g, (y1, .., yk)), ..]
    val     the result of `eval`; missing values are computed
    DG      {operator: [function(delta, out, y1, .., yk) per argument]}, in addition to tapegrad's or instead of some; None
            instead of a function for an argument without a derivative
    seed    the delta of the last entry's z: a number, or an array of its shape
    G       as for `eval`, for values that val lacks
    wrt     the names whose deltas to return; others are not computed; by default all

    A delta has the shape of its value, and is 0 if the result does not depend on it. Deltas may share memory: do not modify
    them. Raises WengertError, ShapeError or DtypeError, with the entry in the message.
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
        raise WengertError("backprop: the list is empty; expected at least one entry")
    users = program.users(G, DG)
    values = program.evaluated(val, users, known=True)
    if wrt is None:
        wrt = [step.z for step in reversed(program.steps)] + [y for y, (_, operand) in program.inputs.items() if operand]
    wrt = tuple(wrt)
    for name in wrt:
        if name not in program.slots and name not in val:
            raise WengertError(f"backprop: {name!r} in wrt is neither in the list nor in val")
    found = program.deltas(values, users, seed, wrt)
    return {name: found[name] if name in found else zeros(val[name]) for name in wrt}
