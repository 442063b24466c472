"""NumPy as an oracle: the function of the same name on the same arguments, and its derivatives by differences."""

import numpy as np

import tapegrad as tg


def leaves(z):
    return [y for part in z for y in leaves(part)] if isinstance(z, (list, tuple)) else [z]


def _each(change, argument):
    """The argument with its float arrays changed; lists and tuples of arrays too."""
    if isinstance(argument, np.ndarray) and argument.dtype.kind == "f":
        return change(argument)
    return type(argument)([_each(change, part) for part in argument]) if type(argument) in (list, tuple) else argument


def agree_with_numpy(name, *arguments, of=(tg, np), order=2, **options):
    """Compare the results, shapes and dtypes of tg's and NumPy's function; check derivatives up to `order`; float32 is kept."""
    ours, theirs = (getattr(module, name) for module in of)
    found = ours(*_each(lambda x: tg.tensor(x, requires_grad=True), arguments), **options)
    expected = theirs(*arguments, **options)
    assert type(found) in (tg.Tensor, type(expected))
    for z, wanted in zip(leaves(found), leaves(expected), strict=True):
        np.testing.assert_allclose(z.data, wanted, rtol=1e-12, atol=1e-14)
        assert z.shape == np.shape(wanted) and z.dtype == np.asarray(wanted).dtype
    for z in leaves(ours(*_each(lambda x: x.astype("f4"), arguments), **options)):
        assert z.dtype != np.float64
    if not any(z.requires_grad for z in leaves(found)):
        return
    arrays = []
    _each(lambda x: arrays.append(x) or x, arguments)

    def function(*xs):
        given = iter(xs)
        return leaves(ours(*_each(lambda x: next(given), arguments), **options))

    tg.gradcheck(function, *arrays, order=order)
