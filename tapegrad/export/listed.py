"""A part of a tape as a Wengert list that can be evaluated, and the check that it gives what was recorded."""

import numpy as np

from tapegrad import wengert
from tapegrad.errors import WengertError
from tapegrad.wengert.text import literal


def evaluated(part, leaves):
    """(list, static arguments with arrays, leaves' values, constants' values, all values)"""
    f, static = listed(part)
    starting, constants = part.starting_values(leaves)
    arguments = {name: static_value(value, lambda array: array) for name, value in static.items()}
    with np.errstate(all="ignore"):
        found = wengert.eval(f, {**starting, **constants, **arguments})
    _compare(part, found)
    return f, static, starting, constants, found


def listed(part):
    """(the Wengert list, {name: an array, or a list of the items of a tuple with arrays} of what has no text)."""
    f, static = [], {}
    for entry in part.entries:
        z = part.name(entry)
        ys = [part.name(y) for y in entry.operands]
        for key, value in _arguments(entry):
            items = value if type(value) is tuple else (value,)
            if any(isinstance(item, np.ndarray) for item in items):
                name = f"{z}.{key or len(ys)}"
                static[name] = list(value) if type(value) is tuple else value
                ys.append(f"{key}={name}" if key else name)
            else:
                text = _text(value, entry, key, part.caller)
                ys.append(f"{key}={text}" if key else text)
        f.append((z, entry.g.name, tuple(ys)))
    return f, static


def _arguments(entry):
    """(name or None, value) of the static arguments. A user's primitive has no names for those that it is given by position."""
    names, static = entry.g.static_names, entry.static
    found = list(zip(names, static))
    for value in static[len(names):]:
        found += value.items() if isinstance(value, dict) else [(None, value)]
    return found


def _text(value, entry, key, caller):
    if isinstance(value, tuple):
        value = tuple([item.item() if isinstance(item, np.generic) else item for item in value])
    text = repr(value.item() if isinstance(value, np.generic) else value)
    try:
        literal(text)
    except WengertError:
        raise WengertError(f"{caller}: {entry.g.name}: its argument {key or 'by position'}, a {type(value).__name__}, can't "
                           "be written as text") from None
    return text


def static_value(pieces, load):
    """A static argument, of an array or of the items of a tuple."""
    return tuple([load(piece) for piece in pieces]) if type(pieces) is list else load(pieces)


def _compare(part, found):
    """Raise unless the list gives what was recorded: a tensor that was looked up may have been changed since."""
    looked_up = [part.name(y) for y in (*part.leaves, *part.constants) if id(y) not in part.known]
    for entry in part.entries if looked_up else ():
        known = part.known.get(id(entry))
        if known is None:
            continue
        z = np.asarray(found[part.name(entry)])
        eps = np.finfo(known.dtype).eps if known.dtype.kind in "fc" else 0
        apart = 100 * eps * np.max(np.abs(known), initial=0, where=np.isfinite(known))
        if z.shape != known.shape or not np.allclose(z, known, rtol=0, atol=apart, equal_nan=True):
            raise WengertError(f"{part.caller}: {part.name(entry)} = {entry.g.name}(..) is not what was recorded. The values "
                               f"of {', '.join(looked_up)} may have been changed since: do this before that, or give the "
                               "values that leaves had then in leaves={name: array}")
