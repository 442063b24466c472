"""What a function may do under vmap: indices, functions, random numbers. A loop over the examples is the oracle."""

import numpy as np
import pytest
from test_vmap import A, X, Y, loop, same

import tapegrad as tg
from tapegrad import errors


class TestIndices:
    IDS, J = np.array([0, 2, 1, 1]), np.array([[0, 1], [2, 2], [1, 0], [-1, 1]])
    Z = np.random.default_rng(3).normal(size=(4, 3, 5, 3))

    @pytest.mark.parametrize("index", [
        lambda i, j: i, lambda i, j: j, lambda i, j: (slice(1, None), j), lambda i, j: (slice(None), slice(None), i),
        lambda i, j: (i, slice(None), j), lambda i, j: (j, i), lambda i, j: (0, slice(None), j), lambda i, j: (None, i),
        lambda i, j: (..., j), lambda i, j: (slice(None), i, j), lambda i, j: (np.array([0, 1]), slice(None), j),
        lambda i, j: (slice(None), np.array([0, 1]), np.array([2, 0])), lambda i, j: (np.array([2, 0]), slice(None), 1),
        lambda i, j: (np.arange(3) > 0, slice(None), i), lambda i, j: True, lambda i, j: (slice(None), None, j, ..., None),
        lambda i, j: (np.array([0, 1]), None, np.array([1, 4])),
    ])
    @pytest.mark.parametrize("mapped", [True, False])
    def test_reading_and_writing(self, index, mapped):
        z = self.Z if mapped else self.Z[0]
        axes = (0 if mapped else None, 0, 0)
        f = lambda z, i, j: z[index(i, j)]  # noqa: E731
        weights = np.random.default_rng(4).normal(size=loop(f, self.Z, self.IDS, self.J).shape)
        each = lambda z: tg.stack([f(z[k] if mapped else z, i, j) for k, (i, j) in enumerate(zip(self.IDS, self.J))])  # noqa: E731
        same(tg.vmap(f, axes)(z, self.IDS, self.J), each(z).data)
        same(tg.grad(lambda z: (tg.vmap(f, axes)(z, self.IDS, self.J) * weights).sum())(z),
             tg.grad(lambda z: (each(z) * weights).sum())(z))

        def written(z, i, j, y):
            z = z * 1.0
            z[index(i, j)] = y
            return z

        places = (axes[0], 0, 0, 0)
        several = lambda y: tg.stack([  # noqa: E731
            written(tg.tensor(z[k] if mapped else z), *each) for k, each in enumerate(zip(self.IDS, self.J, y))])
        if not mapped:
            with pytest.raises(errors.VmapError, match="into a tensor that all examples share"):
                tg.vmap(written, places)(z, self.IDS, self.J, weights)
            return
        v = np.random.default_rng(5).normal(size=z.shape)
        same(tg.vmap(written, places)(z, self.IDS, self.J, weights), several(weights).data)
        if index(1, 1) is not True:
            same(tg.grad(lambda y: (tg.vmap(written, places)(z, self.IDS, self.J, y) * v).sum())(weights),
                 tg.grad(lambda y: (several(y) * v).sum())(weights))

    def test_lists(self):
        i = np.array([[0, 2], [1, 1], [2, 0], [-1, 1]])
        same(tg.vmap(lambda x, i: x[[i[0], i[1]]])(X, i), np.take_along_axis(X, i, 1))
        same(tg.vmap(lambda x, i: x[[i[0], 2]])(X, i), np.stack([X[range(4), i[:, 0]], X[:, 2]], 1))

    def test_in_place(self):
        def f(x):
            y = x * 2
            y[0] = y[1]
            y += x
            return y

        same(tg.vmap(f)(X), loop(lambda x: f(tg.tensor(x)).data, X))
        same(tg.vmap(tg.grad(lambda x: (f(x) ** 2).sum()))(X), loop(tg.grad(lambda x: (f(x) ** 2).sum()), X))
        x = tg.tensor(X)
        tg.vmap(lambda x: x.__setitem__(0, 0.0))(x)
        same(x.data, X)


FUNCTIONS = {
    "hardshrink": tg.hardshrink, "median": lambda x: tg.median(x), "take": lambda x: tg.take(x, tg.argsort(x)),
    "einsum": lambda x: tg.einsum("i,j,ij->i", x, x, A), "logsumexp": lambda x: tg.logsumexp(x, b=np.ones(3)),
    "nanmean": lambda x: tg.nanmean(x), "eigvalsh": lambda x: tg.linalg.eigvalsh(tg.outer(x, x) + A + A.T),
    "cholesky": lambda x: tg.linalg.cholesky(tg.outer(x, x) + np.eye(3)), "solve": lambda x: tg.linalg.solve(A, x),
    "inv": lambda x: tg.linalg.inv(tg.diag(tg.exp(x))), "std": lambda x: tg.std(x, ddof=1), "pad": lambda x: tg.pad(x, (1, 2)),
    "average": lambda x: tg.average(x, weights=tg.exp(x)), "convolve": lambda x: tg.convolve(x, [1.0, 2.0]),
    "sort": lambda x: tg.sort(x), "clip": lambda x: tg.clip(x, -0.5, 0.5), "where": lambda x: tg.where(x > 0, x, tg.exp(x)),
    "cond": lambda x: tg.linalg.cond(tg.outer(x, x) + np.eye(3)), "nan_to_num": tg.nan_to_num,
    "numpy": lambda x: np.sin(x) + np.add(1, x),
    "masked_softmax": lambda x: tg.masked_softmax(x, [True, False, True]), "fft": lambda x: tg.absolute(tg.fft.fft(x)),
    "astype": lambda x: tg.astype(x * 3, int) * x, "embedding": lambda x: tg.embedding([0, 1], tg.outer(x, x)),
    "layer_norm": lambda x: tg.layer_norm(x, 3), "cross_entropy": lambda x: tg.cross_entropy(x, 1), "sign": tg.sign,
    "bce": lambda x: tg.binary_cross_entropy(tg.sigmoid(x), [0.0, 1.0, 1.0]), "cross": lambda x: tg.cross(x, [1.0, 2.0, 3.0]),
    "nanvar": lambda x: tg.nanvar(x), "nanmax": lambda x: tg.nanmax(x), "nanmedian": tg.nanmedian,
    "det": lambda x: tg.linalg.det(tg.outer(x, x) + A),
    "ldexp": lambda x: tg.ldexp(x, tg.astype(x * 3, int)), "bincount": lambda x: tg.bincount([0, 1, 1, 0], x[0]),
    "norm": lambda x: tg.linalg.norm(x), "kron": lambda x: tg.kron(x, x),
}
VALUES = {
    "interp": lambda x: tg.interp(x, [0.0, 1.0], [0.0, 2.0]), "unwrap": lambda x: tg.unwrap(x * 4), "clip": lambda x: tg.clip(
        tg.astype(x * 4, int), -1, 2), "searchsorted": lambda x: tg.searchsorted([0.0, 1.0], x), "argmax": tg.argmax,
    "quantile": lambda x: tg.quantile(x, [0.2, 0.7]), "partition": lambda x: tg.partition(x, 1), "round": tg.round,
    "bincount": lambda x: tg.bincount([0, 1, 1], x), "choose": lambda x: tg.choose([0, 1, 0], [x, x * 2]),
    "any": lambda x: tg.any(x > 1), "pinv": lambda x: tg.linalg.pinv(A, tg.absolute(x[0]) / 4),
    "select": lambda x: tg.select([x > 0, x < -1], [x, x * 2]), "one_hot": lambda x: tg.one_hot(tg.argsort(x), 3),
    "lstsq": lambda x: tg.linalg.lstsq(np.eye(3) + 1, x)[0], "svd": lambda x: tg.linalg.svd(tg.outer(x, x) + A)[1],
    "attention": lambda x: tg.scaled_dot_product_attention(tg.outer(x, x), A, A), "conv1d": lambda x: tg.conv1d(
        x.reshape(1, 1, 3), np.ones((1, 1, 2))), "max_pool1d": lambda x: tg.max_pool1d(x.reshape(1, 1, 3), 2),
}


@pytest.mark.parametrize("name", VALUES)
def test_values(name):
    same(tg.vmap(VALUES[name])(X), loop(lambda x: VALUES[name](tg.tensor(x)).data, X))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    f = FUNCTIONS[name]
    same(tg.vmap(f)(X), loop(lambda x: f(tg.tensor(x)).data, X), rtol=1e-10)
    slope = tg.grad(lambda x: (tg.astype(f(x), float) ** 2).sum())
    same(tg.vmap(slope)(X), loop(slope, X), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("f", [
    lambda x, S: S.stats.norm.logpdf(x, 1.0, abs(x[0]) + 1), lambda x, S: S.stats.gamma.logcdf(abs(x), 2.0),
    lambda x, S: S.special.gammaln(abs(x) + 1), lambda x, S: S.linalg.expm(tg.diag(x)),
    lambda x, S: S.linalg.solve_triangular(np.tri(3), x, lower=True),
    lambda x, S: S.stats.poisson.logpmf(np.arange(3), abs(x)), lambda x, S: S.stats.t.logsf(x * 9, 2.5),
    lambda x, S: S.stats.beta.logpdf(x ** 2 / (1 + x ** 2), 20.0, 30.0 + abs(x[1]))])
def test_functions_of_scipy(f):
    pytest.importorskip("scipy")
    g = lambda x: f(x, tg.scipy)  # noqa: E731
    same(tg.vmap(g)(X), loop(lambda x: g(tg.tensor(x)).data, X))
    slope = tg.grad(lambda x: g(x).sum())
    same(tg.vmap(slope)(X), loop(slope, X), rtol=1e-9)


def test_classes_and_scores_of_different_levels():
    """The classes differ by example of the outer vmap, the scores by example of the inner one, and the other way round."""
    classes = np.array([0, 2, 1, 1])
    wanted = loop(lambda y: loop(lambda x: tg.cross_entropy(tg.tensor(x), int(y)).data, X), classes)
    same(tg.vmap(lambda y: tg.vmap(lambda x: tg.cross_entropy(x, y))(X))(classes), wanted)
    same(tg.vmap(lambda x: tg.vmap(lambda y: tg.cross_entropy(x, y))(classes))(X), wanted.T)


def test_users_primitives():
    cube = tg.primitive(lambda delta, out, x: delta * 3 * x ** 2, name="cube_of_an_example")(lambda x: x ** 3)
    same(tg.vmap(cube)(X), X ** 3)
    same(tg.vmap(tg.grad(lambda x: cube(x).sum()))(X), 3 * X ** 2)


def test_rows_with_a_rule():
    """Those that are done one by one are few, and none of them is common."""
    from tapegrad.primitives import table
    from tapegrad.transforms.batching import rules
    from tapegrad.transforms.extend import users

    slow = {name for name in table if name not in rules and not table[name].pointwise and name not in users
            and table[name].composition is None}
    assert slow <= {"special_solve_triangular", "special_matrix_function", "special_solve_sylvester", "special_lfilter",
                    "channel_moments", "batch_norm", "convolution_weight"}
    assert not {name for name in set(rules) - set(table) - {"pointwise"} if not name.startswith(("special_", "sparse_"))}


class TestRandom:
    def test_each_example_draws_its_own(self):
        tg.manual_seed(3)
        found = tg.vmap(lambda x: x + tg.randn(3))(X)
        tg.manual_seed(3)
        same(found, loop(lambda x: x + tg.randn(3).data, X))

    def test_dropout(self):
        z = tg.vmap(lambda x: tg.dropout(tg.ones(50), 0.5))(X)
        assert len({row.tobytes() for row in z}) == 4
        z = tg.vmap(lambda x: tg.vmap(lambda y: tg.dropout(tg.ones(50), 0.5))(Y))(X)
        assert z.shape == (4, 4, 50) and len({row.tobytes() for row in z.reshape(16, 50)}) == 16

    def test_compiled(self):
        draw = tg.compile(tg.vmap(lambda x: x * 0 + tg.rand(3)), fallback="error")
        one, two = draw(tg.tensor(X)).data.copy(), draw(tg.tensor(X)).data
        assert not (one == two).any() and len(set(two.ravel().tolist())) == 12

    def test_a_seed_is_the_same_for_all(self):
        drop = lambda x: tg.dropout(x, 0.5, rng=3)  # noqa: E731
        same(tg.vmap(drop)(X), loop(lambda x: drop(tg.tensor(x)).data, X))
        both = tg.vmap(lambda x: tg.vmap(lambda y: drop(x * y))(Y))(X)
        same(both, loop(lambda x: loop(lambda y: drop(tg.tensor(x * y)).data, Y), X))

    def test_a_generator_goes_on(self):
        one, other = np.random.default_rng(3), np.random.default_rng(3)
        wanted = loop(lambda x: tg.dropout(tg.tensor(x), 0.5, rng=other).data, X)
        same(tg.vmap(lambda x: tg.dropout(x, 0.5, rng=one))(X), wanted)
