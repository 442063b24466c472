"""The difference of two tapes.

Names like z7 count entries, so a new entry shifts all names after it. Entries are therefore matched by their operators, in
order, and names in the second list are replaced by those of the matching entries of the first.
"""

from difflib import SequenceMatcher

import numpy as np

from tapegrad.errors import describe
from tapegrad.wengert.text import entry_text


class Difference:
    """The difference of two Wengert lists. True if there is one; `print` shows it.

    added     entries of the second list only
    removed   entries of the first only
    changed   [(entry of the first, entry of the second)]: the same operator on other operands or static arguments
    values    {name in the first list: difference of its values}: the maximal absolute difference of an element, or infinity
              if the shapes or dtypes differ, or if only one is NaN; equal values are left out
    """

    def __init__(self, first, second, first_values, second_values, first_static, second_static):
        pairs, self.removed, self.added = _matched(first, second)
        name_of = {z: f"{z} of the second" for z, _, _ in second} | {b[0]: a[0] for a, b in pairs}
        self.changed = [(a, b) for a, b in pairs if tuple([_renamed(y, name_of) for y in b[2]]) != _renamed_statics(a, b)]
        known = {id(a) for a, _ in self.changed}
        self.changed += [(a, b) for a, b in pairs
                         if id(a) not in known and _statics(a, first_static) != _statics(b, second_static)]
        defined = {z for z, _, _ in (*first, *second)}
        inputs = [(name, name) for name in first_values if name in second_values and name not in defined]
        self.values, self._told = {}, {}
        for a, b in inputs + [(a[0], b[0]) for a, b in pairs]:
            apart = _apart(first_values[a], second_values[b])
            if apart:
                self.values[a] = apart
                self._told[a] = f"{describe(first_values[a])} -> {describe(second_values[b])}"

    def __bool__(self):
        return bool(self.added or self.removed or self.changed or self.values)

    def __str__(self):
        lines = [f"- {entry_text(entry)}" for entry in self.removed] + [f"+ {entry_text(entry)}" for entry in self.added]
        lines += [f"~ {entry_text(a)} -> {entry_text(b)}" for a, b in self.changed]
        lines += [f"  {name}: {self._told[name] if apart == np.inf else f'up to {apart:.3g} apart'}"
                  for name, apart in self.values.items()]
        return "\n".join(lines) or "no difference"


def _matched(first, second):
    """(pairs of entries that correspond, entries of the first list only, of the second only)"""
    defined = {z for z, _, _ in (*first, *second)}
    keys = [[(g, tuple([y for y in ys if y not in defined and "=" not in y])) for _, g, ys in f] for f in (first, second)]
    start, end = _common(*keys), _common(*[key[::-1] for key in keys])      # SequenceMatcher is quadratic: only for the rest
    end = min(end, len(first) - start, len(second) - start)
    middle, other_middle = first[start:len(first) - end], second[start:len(second) - end]
    pairs, removed, added = list(zip(first[:start], second[:start])), [], []
    matcher = SequenceMatcher(None, *[key[start:len(key) - end] for key in keys], autojunk=False)
    for tag, a, a_end, b, b_end in matcher.get_opcodes():
        if tag == "equal":
            pairs += zip(middle[a:a_end], other_middle[b:b_end])
            continue
        left = other_middle[b:b_end]
        for entry in middle[a:a_end]:
            like = next((other for other in left if other[1] == entry[1]), None)
            if like is None:
                removed.append(entry)
            else:
                pairs.append((entry, like))
                left.remove(like)
        added += left
    return pairs + list(zip(first[len(first) - end:], second[len(second) - end:])), removed, added


def _common(xs, ys):
    """The length of the common prefix of two lists."""
    return next((i for i, (x, y) in enumerate(zip(xs, ys)) if x != y), min(len(xs), len(ys)))


def _renamed(y, name_of):
    return name_of.get(y, y)


def _renamed_statics(a, b):
    """The arguments of a; those named after the entry, like `index=z3.index`, get the names of b."""
    return tuple([y.replace(f"={a[0]}.", f"={b[0]}.") for y in a[2]])


def _statics(entry, static):
    """The static arguments of an entry that hold arrays, as values that compare by ==."""
    found = [static[y.partition("=")[2]] for y in entry[2] if y.partition("=")[2] in static]
    return [[(x.tolist(), x.dtype.str) if isinstance(x, np.ndarray) else x
             for x in (value if type(value) is tuple else (value,))] for value in found]


def _apart(x, y):
    x, y = np.asarray(x), np.asarray(y)
    if x.shape != y.shape or x.dtype != y.dtype:
        return np.inf
    if np.array_equal(x, y, equal_nan=x.dtype.kind in "fc"):
        return 0.0
    with np.errstate(all="ignore"):
        kind = x.dtype if x.dtype.kind in "fc" else float
        apart = np.where((x == y) | (x != x) & (y != y), 0, np.abs(x.astype(kind) - y.astype(kind)))
    return float(np.max(np.nan_to_num(apart, nan=np.inf, posinf=np.inf)))
