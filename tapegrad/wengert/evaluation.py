"""Evaluating a Wengert list, and backpropagating through it: what users call."""

import numpy as np

from tapegrad.errors import WengertError
from tapegrad.wengert.backward import Backward, leaf_of
from tapegrad.wengert.program import compiled


def eval(f, val, G=None):
    """{name: value} of all names of a Wengert list: for each entry, val[z] = G[g](val[y1], .., val[yk]).

    f       [(z, g, (y1, .., yk)), ..]
    val     {name: array or number} of what the entries don't define; it is not changed
    G       {operator: function of arrays}, which extends tapegrad's operators or takes the place of some

    Raises WengertError, or ShapeError and the like, with the entry where something is wrong.
    """
    program = compiled(f)
    values = program.evaluated(val, G)
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
    values = program.evaluated(val, G, known=True)
    if DG or G:
        backward = _backward(program, values, DG or {}, G or {}, wrt, val)
        found = backward.sweep(seed)
    else:
        backward = _used_again(program, values, wrt) or _backward(program, values, {}, {}, wrt, val)
        found = backward.sweep(seed)
        backward.release()
        program.backwards[_key(wrt)] = backward
    return {name: found[leaf] if leaf in found else np.zeros(leaf.shape, leaf.dtype) for name, leaf in backward.leaves.items()}


def _key(wrt):
    return None if wrt is None else tuple(wrt)


def _used_again(program, values, wrt):
    """The tape that an earlier call has left, if it was for values of the same shapes. Nobody else can have it then."""
    backward = program.backwards.pop(_key(wrt), None)
    if backward is None or not backward.fits(values):
        return None
    backward.renew(values)
    return backward


def _backward(program, values, DG, G, wrt, val):
    if wrt is None:
        wrt = [step.z for step in reversed(program.steps)] + [y for y, (_, operand) in program.inputs.items() if operand]
    leaves = {}
    for name in wrt:
        if name not in program.slots and name not in val:
            raise WengertError(f"backprop: the delta of {name} is wanted, which is neither in the list nor in val")
        leaves[name] = leaf_of(values[program.slots[name]] if name in program.slots else val[name])
    return Backward(program, values, DG, G, leaves)
