"""What the rows compute fast: every fast version against the plain one, and the same bits in every process."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

from tapegrad.core.sweep import fit
from tapegrad.primitives import arrays, table

ROWS = {name: row for name, row in ((name, table[name]) for name in table)
        if row.g is not row.plain or row.array_dg != row.dg or any(row.accumulate) or row.jointly}
SIZES = (0, 1, 3, 31, 32, 33, 64, 130)
WIDTHS = (1, 5, 16, 33, 80)
LAYOUTS = {
    "in order": lambda x: x,
    "transposed": lambda x: np.asfortranarray(x),
    "every second": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "backwards": lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1],
    "other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
}
SPECIAL = {"finite": (), "nan": (np.nan,), "infinite": (np.inf, -np.inf)}


def one_hot(n, k, random, dtype):
    x = np.zeros((n, k), dtype)
    x[np.arange(n), random.integers(0, k, n)] = 1
    return x


def regular(n, random, dtype):
    return (random.normal(size=(n, n)) / 8 + 4 * np.eye(n)).astype(dtype)


def positive(n, random, dtype):
    x = regular(n, random, dtype)
    return x @ x.T


def elementwise(n, k, normal, random):
    return (normal(n, k),), ()


STEPS = (1, 1), ((1, 1), (0, 1)), (1, 1)                # stride, padding, dilation
LONG_STEPS = (2, 1), ((2, 0), (1, 1)), (1, 2)
SQUARES = (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)


def images(n, k, normal, channels=2):
    return normal(n % 9, channels, 6, k % 7 + 4)


def positions(steps, k, kernel=(3, 2)):
    """Of a kernel on `images`."""
    return [(size + sum(width) - spread * (length - 1) - 1) // step + 1 for size, length, step, width, spread in
            zip((6, k % 7 + 4), kernel, *steps)]


def convolutions(steps):
    """Makers for convolution and the contributions to its operands."""
    return (lambda n, k, normal, random: ((images(n, k, normal), normal(3, 2, 3, 2), normal(3)), (*steps, 1)),
            lambda n, k, normal, random: (
                (normal(n % 9, 3, *positions(steps, k)), normal(3, 2, 3, 2)), ((6, k % 7 + 4), *steps, 1)),
            lambda n, k, normal, random: ((normal(n % 9, 3, *positions(steps, k)), images(n, k, normal)), ((3, 2), *steps, 1)))


def pooled(*static):
    return few(lambda n, k, normal, random: ((images(n, k, normal),), static))


def spread_back(steps, of_x):
    """A maker for the contribution of a pooling, to x or to images of that size."""
    def make(n, k, normal, random):
        d = normal(n % 9, 2, *positions(steps, k))
        return ((d, np.round(images(n, k, normal))), ((3, 2), *steps)) if of_x else ((d,), ((6, k % 7 + 4), (3, 2), *steps))

    return few(make)


def few(make):
    """A maker for a few of the sizes only: what is in NumPy takes long."""
    return lambda n, k, normal, random: make(n, k, normal, random) if n in (0, 3, 33) and k in (5, 33) else None


def many_scores(make):
    """A maker for one size, of which not all scores of a head are computed at a time."""
    return lambda n, k, normal, random: make(n, normal) if (n, k) == (130, 5) else None


CONVOLUTIONS = list(zip(map(few, convolutions(STEPS)), map(few, convolutions(LONG_STEPS))))

# name: makers of (operands, static) of n rows and k columns
OPERANDS = {
    **dict.fromkeys(("sigmoid", "silu", "tanh", "relu", "erf", "erfc", "erf_slope", "gelu", "gelu_slope", "gelu_tanh"),
                    [elementwise]),
    "add": [lambda n, k, normal, random: ((normal(n, k), normal(n, k)), ()),
            lambda n, k, normal, random: ((normal(n, k), normal(k)), ()),
            lambda n, k, normal, random: ((normal(k), normal(n, k)), ())],
    "strong_multiply": [lambda n, k, normal, random: ((normal(n, k) * random.integers(0, 2, (n, k)), normal(n, k)), ())],
    "matmul": [lambda n, k, normal, random: ((normal(n, k), normal(k, 24)), ()),
               lambda n, k, normal, random: ((one_hot(n, k, random, normal(1).dtype), normal(k, 24)), ()),
               lambda n, k, normal, random: ((np.asfortranarray(one_hot(n, k, random, normal(1).dtype)), normal(k, 24)), ()),
               lambda n, k, normal, random: ((normal(2, n, k), normal(k, 3)), ())],
    "linear": [lambda n, k, normal, random: ((normal(n, k), normal(24, k), normal(24)), ()),
               few(lambda n, k, normal, random: ((normal(2, n, k), normal(3, k), normal(3)), ()))],
    "attention_weights": [few(lambda n, k, normal, random: ((normal(2, n, 24), 0.0), (2, 0.5))),
                          few(lambda n, k, normal, random: ((normal(2, n, 24), normal(n, n)), (2, 0.5))),
                          many_scores(lambda n, normal: ((normal(2, n, 6), 0.0), (1, 0.5)))],
    "attention_output": [few(lambda n, k, normal, random: ((normal(2, 2, n, n), normal(2, n, 24)), (2,))),
                         many_scores(lambda n, normal: ((normal(2, 1, n, n), normal(2, n, 6)), (1,)))],
    "layer_norm": [few(lambda n, k, normal, random: ((normal(n, k), normal(k), normal(k)), (1, 1e-5, True))),
                   few(lambda n, k, normal, random: ((normal(2, n, k), normal(k), 0.0), (1, 1e-5, False)))],
    "group_norm": [few(lambda n, k, normal, random: ((normal(n, 3 * k, 2, 3), normal(3 * k), normal(3 * k)), (3, 1e-5))),
                   few(lambda n, k, normal, random: ((normal(n, 2 * k), normal(2 * k), 0.0), (2, 1e-5))),
                   few(lambda n, k, normal, random: ((normal(2, 6, n + 1, 4 * k), 1.0, normal(6)), (6, 0.1)))],
    "batch_norm": [few(lambda n, k, normal, random: ((normal(n + 2, k), normal(k), normal(k)), (None, 1e-5))),
                   few(lambda n, k, normal, random: ((normal(2, k, n + 1), 1.0, normal(k)), (None, 1e-5)))],
    "channel_moments": [few(lambda n, k, normal, random: ((normal(2, k, n + 1),), ()))],
    "convolution": CONVOLUTIONS[0], "convolution_input": CONVOLUTIONS[1], "convolution_weight": CONVOLUTIONS[2],
    "max_pool": [pooled((3, 2), *STEPS), pooled((3, 2), *LONG_STEPS), pooled(*SQUARES)],
    "sum_pool": [pooled((3, 2), *STEPS), pooled((3, 2), *LONG_STEPS), pooled(*SQUARES)],
    "unpool_max": [spread_back(STEPS, True), spread_back(LONG_STEPS, True), lambda n, k, normal, random: (
        (normal(n % 9, 2, 3, k % 7), np.round(normal(n % 9, 2, 6, 2 * (k % 7)))), SQUARES)],
    "unpool_sum": [spread_back(STEPS, False), spread_back(LONG_STEPS, False), lambda n, k, normal, random: (
        (normal(n % 9, 2, 3, k % 7),), ((6, 2 * (k % 7)), *SQUARES))],
    **dict.fromkeys(("softmax", "log_softmax"), [lambda n, k, normal, random: ((normal(n, k),), (1,)),
                                                 lambda n, k, normal, random: ((normal(n, k),), (0,))]),
    "sum": [few(lambda n, k, normal, random, axis=axis: ((normal(n, 9, 2, k % 28),), (axis, k == 5)))
            for axis in (None, (3,), (2,), (1,), (0,), (1, 2))],
    "softmax_cross_entropy": [lambda n, k, normal, random: ((normal(n, k),), (random.integers(0, k, n),))],
    "solve": [lambda n, k, normal, random: ((np.tril(regular(n, random, normal(1).dtype)), normal(n, k)), ()),
              lambda n, k, normal, random: ((np.triu(regular(n, random, normal(1).dtype)), normal(n, k)), ()),
              lambda n, k, normal, random: ((np.tril(regular(n, random, normal(1).dtype)), normal(n)), ()),
              lambda n, k, normal, random: ((regular(n, random, normal(1).dtype), normal(n, k)), ())],
    "cholesky": [lambda n, k, normal, random: ((positive(n, random, normal(1).dtype),), ()) if k == 5 else None],
    "getitem": [lambda n, k, normal, random: ((normal(9, k),), (random.integers(-9, 9, n),)),
                lambda n, k, normal, random: ((normal(9, k),), (slice(2, 7),)),
                lambda n, k, normal, random: ((normal(9, k),), (random.integers(0, 9, (2, n)),)),
                lambda n, k, normal, random: ((normal(n, k),), ((random.integers(0, max(n, 1), n), 0),)) if n else None],
}


def cases(row, dtype, layout, special):
    """(operands, static, z, d, random) of a row, over its makers, sizes and widths."""
    random = np.random.default_rng(0)

    def normal(*shape):
        x = random.normal(size=shape).astype(dtype)
        x.reshape(-1)[random.permutation(x.size)[:len(SPECIAL[special])]] = SPECIAL[special][:x.size]
        return x

    for make in OPERANDS[row.name]:
        for n in SIZES:
            for k in WIDTHS:
                made = make(n, k, normal, random)
                if made is None or row.name in ("softmax", "log_softmax") and min(n, k) == 0:
                    continue
                operands, static = made
                operands = [LAYOUTS[layout](x) if np.ndim(x) else x for x in operands]
                z = row.plain(*operands, *static)
                yield operands, static, z, LAYOUTS[layout](normal(*z.shape)) if z.ndim else normal()


def same(row, found, expected, dtype):
    """Equal where the row is exact, else to rounding, of the size of the terms that were added up."""
    assert found.shape == expected.shape and found.dtype == expected.dtype
    if np.dtype(dtype).char in row.exact:
        np.testing.assert_array_equal(found, expected)
    else:
        np.testing.assert_allclose(found, expected, rtol=200 * np.finfo(dtype).eps, atol=200 * np.finfo(dtype).eps)


def rules(row):
    """(position, the rule over arrays, the plain one) of what has a derivative."""
    if row.has_no_derivative:
        return []
    return [(i, fast, plain) for i, (fast, plain) in enumerate(zip(row.array_dg, row.dg)) if plain is not None]


def saved(row, operands, static, z, i):
    """What the tape keeps for the rule of operand i."""
    keep = row.reads[i]
    kept = [None if how == 0 else value if how == 1 else value.shape for how, value in zip(keep, (z, *operands))]
    return (*kept, *static)


given = [pytest.mark.parametrize("special", SPECIAL), pytest.mark.parametrize("layout", LAYOUTS),
         pytest.mark.parametrize("dtype", ["f4", "f8"]), pytest.mark.parametrize("name", ROWS)]


def over_all(test):
    for mark in given:
        test = mark(test)
    return np.errstate(all="ignore")(test)


def test_every_fast_row_is_compared():
    assert set(ROWS) == set(OPERANDS)


@over_all
def test_forward(name, dtype, layout, special):
    row = table[name]
    for operands, static, z, _ in cases(row, dtype, layout, special):
        before = [np.copy(x) for x in operands]
        same(row, np.asarray(row.g(*operands, *static)), np.asarray(z), dtype)
        for x, y in zip(operands, before):
            np.testing.assert_array_equal(x, y)


@over_all
def test_rules(name, dtype, layout, special):
    row = table[name]
    for operands, static, z, d in cases(row, dtype, layout, special):
        for i, fast, plain in rules(row):
            values = saved(row, operands, static, z, i)
            same(row, fast(arrays, d, *values), plain(arrays, d, *values), dtype)
        arrays.memo.clear()


@over_all
def test_rules_for_all_operands_together(name, dtype, layout, special):
    row = table[name]
    if row.jointly is None:
        return
    for operands, static, z, d in cases(row, dtype, layout, special):
        for wanted in itertools.product((False, True), repeat=row.arity):
            if sum(wanted) > 1:
                values = [x if how == 1 else None for how, x in zip(row.plan(wanted).keep, (z, *operands))]
                found = row.jointly(wanted, d, *values, *static)
                for i, _, plain in rules(row):
                    if wanted[i] and np.ndim(operands[i]):
                        x, c = operands[i], plain(arrays, d, *saved(row, operands, static, z, i))
                        same(row, fit(arrays, found[i], np.shape(x), c.dtype), fit(arrays, c, np.shape(x), c.dtype), dtype)


@over_all
def test_accumulation(name, dtype, layout, special):
    """What is added to an array, or False, and the array as it was. That products are added, test_matrix_products.py says."""
    row = table[name]
    taken = 0
    for operands, static, z, d in cases(row, dtype, layout, special):
        for i, _, plain in rules(row):
            add = row.accumulate[i]
            if add is None:
                continue
            values = saved(row, operands, static, z, i)
            held = np.random.default_rng(1).normal(size=operands[i].shape).astype(operands[i].dtype)
            before, contribution = held.copy(), plain(arrays, d, *values)
            if add(held, d, *values):
                taken += 1
                if contribution.shape != held.shape:
                    extra = contribution.ndim - held.ndim
                    contribution = contribution.sum(axis=tuple(range(extra)))
                same(row, held, (before + contribution).astype(held.dtype), dtype)
            else:
                np.testing.assert_array_equal(held, before)
        arrays.memo.clear()
    assert taken or name not in ("add", "getitem") or layout == "other byte order"


PROGRAMS = {
    "perceptron with cross entropy": """
x, y = normal(64, 40), np.arange(64) % 5
W, b, V, c = leaf(40, 32), leaf(32), leaf(32, 5), leaf(5)
for _ in range(3):
    h = tg.maximum(tg.tensor(x) @ W + b, 0.0)
    tg.cross_entropy(h @ V + c, y).backward(retain_graph=True)
    tg.softmax(h @ V, axis=-1).sum().backward()
""",
    "sums of biases": """
b = leaf(48)
for n in (3, 5, 8, 200):
    (tg.tensor(normal(n, 48)) + b).mean().backward()
z = tg.tensor(normal(64, 48)) + b
((z + b) * (z + b)).sum().backward()
""",
    "products added to a delta": """
U, h = leaf(40, 40), tg.tensor(normal(16, 40))
for _ in range(6):
    h = (h @ U) * 0.1 + h @ (U * 0.5)
(h * h).sum().backward()
""",
    "embeddings": """
W, V = leaf(200, 30), leaf(30, 7)
ids = np.arange(300) * 7 % 200
for part in (ids[:4], ids, ids[::3], ids.reshape(30, 10)):
    ((W[part] @ V) * 0.5).sum().backward()
tg.cross_entropy(W[ids] @ V, ids % 7).backward()
""",
    "one-hot rows": """
W = leaf(80, 32)
for seed in range(3):
    x = np.eye(80, dtype="f4")[np.arange(40) * 7 % 80]
    ((tg.tensor(x) @ W) * 2.0).sum().backward()
    (tg.tensor(normal(40, 80)) @ W).mean().backward()
""",
}
RUN = """
import sys, numpy as np, tapegrad as tg
{first}
for name, code in {programs!r}.items():
    random = np.random.default_rng(0)
    normal = lambda *shape: random.normal(size=shape).astype("f4")
    leaves = []
    def leaf(*shape):
        leaves.append(tg.tensor(normal(*shape), requires_grad=True))
        return leaves[-1]
    exec(code)
    print(name, "|", *[x.grad.tobytes().hex() for x in leaves])
"""


def bits(programs, first=""):
    run = subprocess.run([sys.executable, "-c", RUN.format(first=first, programs=programs)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return dict(line.split(" | ") for line in run.stdout.splitlines())


def test_float32_has_the_same_bits_whatever_was_imported_before():
    """Each program in a process of its own, and after numba and the others."""
    alone = {}
    for name, code in PROGRAMS.items():
        alone |= bits({name: code})
    try:
        import numba  # noqa: F401
    except ImportError:
        first = ""
    else:
        first = "import numba"
    found = bits(dict(reversed(PROGRAMS.items())), first)
    assert set(found) == set(PROGRAMS)
    for name in PROGRAMS:
        assert found[name] == alone[name], name
