"""Evaluating a Wengert list, and backpropagating through it: what users call."""

from tapegrad.errors import WengertError
from tapegrad.wengert.program import compiled, zeros


def eval(f, val, G=None):
    """{name: value} of all names of a Wengert list: for each entry, val[z] = G[g](val[y1], .., val[yk]).

    f       [(z, g, (y1, .., yk)), ..]
    val     {name: array or number} of what the entries don't define; it is not changed
    G       {operator: function of arrays}, which extends tapegrad's operators or takes the place of some

    Raises WengertError, or ShapeError and the like, with the entry where something is wrong.
    """
    program = compiled(f)
    values = program.evaluated(val, program.users(G, None))
    return dict(val) | {z: values[slot] for z, slot in program.results}


def backprop(f, val, DG=None, seed=1.0, *, G=None, wrt=None):
    """{name: delta} of a Wengert list: delta[yi] += DG[g][i](delta[z], val[z], val[y1], .., val[yk]), from its end.

    f       [(z, g, (y1, .., yk)), ..]
    val     what `eval` gave; what it lacks of that is computed
    DG      {operator: [function(delta, out, y1, .., yk) per argument]}, which extends tapegrad's or takes the place of some;
            None in place of a function for an argument without a derivative
    seed    the delta of the last entry's z: a number, or an array of its shape
    G       as for `eval`, for what val lacks
    wrt     the names whose deltas are wanted, which saves the work for the others; by default all

    A delta has the shape of its value, and is 0 where nothing flows. Deltas may share memory: they are to be read. Raises
    WengertError, or ShapeError and the like, with the entry where something is wrong.
    """
    program = compiled(f)
    if not program.steps:
        raise WengertError("backprop: the list has no entry whose z could be seeded")
    users = program.users(G, DG)
    values = program.evaluated(val, users, known=True)
    if wrt is None:
        wrt = [step.z for step in reversed(program.steps)] + [y for y, (_, operand) in program.inputs.items() if operand]
    for name in wrt:
        if name not in program.slots and name not in val:
            raise WengertError(f"backprop: the delta of {name} is wanted, which is neither in the list nor in val")
    found = program.deltas(values, users, seed, tuple(wrt))
    return {name: found[name] if name in found else zeros(val[name]) for name in wrt}
