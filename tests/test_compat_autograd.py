"""tapegrad.compat.autograd without autograd: what is there, derivatives against differences, install and uninstall."""

import doctest
import importlib
import math
import sys
import types

import numpy as np
import pytest
from oracle import jacobian as differences

import tapegrad as tg
import tapegrad.numpy as anp
from tapegrad import errors
from tapegrad.compat import autograd as ag
from tapegrad.compat.autograd import (
    builtins,
    core,
    elementwise_grad,
    extend,
    grad,
    hessian,
    jacobian,
    make_jvp,
    make_vjp,
    misc,
    test_util,
    tracer,
    util,
    wrap_util,
)
from tapegrad.compat.autograd.extend import defvjp, primitive
from tapegrad.compat.autograd.misc.fixed_points import fixed_point
from tapegrad.compat.autograd.misc.flatten import flatten, flatten_func
from tapegrad.compat.autograd.misc.optimizers import adam, rmsprop, sgd
from tapegrad.compat.autograd.test_util import check_grads

X = np.array([0.5, -1.0, 2.0])
A = np.arange(6.0).reshape(2, 3) / 5 - 0.3
NAMES = {
    ag: """checkpoint deriv elementwise_grad grad grad_and_aux grad_named hessian hessian_tensor_product hessian_vector_product
        holomorphic_grad jacobian make_ggnvp make_hvp make_jvp make_jvp_reversemode make_vjp multigrad_dict primitive
        tensor_jacobian_product value_and_grad vector_jacobian_product install uninstall""",
    core: "defvjp defvjp_argnum defvjp_argnums defjvp defjvp_argnum defjvp_argnums def_linear primitive_vjps vspace VSpace",
    extend: "Box JVPNode SparseObject VJPNode VSpace notrace_primitive primitive register_notrace vspace",
    tracer: "Box Node getval isbox notrace_primitive primitive trace", builtins: "dict isinstance list tuple type",
    misc: "const_graph flatten", test_util: "check_equivalent check_grads check_jvp check_vjp combo_check",
    util: "func quick_grad_check subval subvals toposort", wrap_util: "unary_to_nary wraps"}


def number(x):
    return anp.sum(anp.sin(x) * x[0]) + anp.tanh(x[1] * x[2])


def vector(x):
    return anp.dot(A, anp.sin(x) * x)


def close(x, y):
    np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("module", NAMES, ids=lambda module: module.__name__)
def test_the_names(module):
    for name in NAMES[module].split():
        assert callable(getattr(module, name)) or name == "primitive_vjps", name


class TestOperators:
    def test_gradients(self):
        close(grad(number)(X), differences(number, X))
        close(grad(lambda c, x: c * number(x), 1)(3.0, X), 3 * differences(number, X))
        value, gradient = ag.value_and_grad(number)(X)
        close(value, number(X))
        close(gradient, differences(number, X))
        close(elementwise_grad(anp.tanh)(X), 1 - np.tanh(X) ** 2)
        close(ag.grad_named(lambda c, x: c * number(x), "c")(3.0, X), number(X))
        gradient, aux = ag.grad_and_aux(lambda x: (number(x), {"x": 2 * x, "name": "aux"}))(X)
        close(gradient, differences(number, X))
        assert type(aux["x"]) is np.ndarray and aux["name"] == "aux"

    def test_matrices(self):
        close(jacobian(vector)(X), differences(vector, X))
        close(hessian(number)(X), differences(grad(number), X))
        assert jacobian(lambda x: anp.outer(x, x))(X).shape == (3, 3, 3)
        assert hessian(vector)(X).shape == (2, 3, 3)

    def test_products(self):
        v, u = np.array([1.0, -2.0, 0.5]), np.array([2.0, 3.0])
        J, H = differences(vector, X), differences(grad(number), X)
        close(ag.hessian_vector_product(number)(X, v), H @ v)
        close(ag.make_hvp(number)(X)[0](v), H @ v)
        close(ag.vector_jacobian_product(vector)(X, u), u @ J)
        close(make_vjp(vector)(X)[0](u), u @ J)
        close(make_jvp(vector)(X)(v)[1], J @ v)
        close(ag.make_jvp_reversemode(vector)(X)(v), J @ v)
        close(ag.make_ggnvp(vector)(X)(v), J.T @ (J @ v))
        close(ag.deriv(lambda t: anp.sin(t) * t)(0.5), np.sin(0.5) + 0.5 * np.cos(0.5))

    def test_any_order(self):
        f = anp.tanh
        for _ in range(3):
            close(elementwise_grad(f)(X), np.diagonal(differences(f, X)))
            f = elementwise_grad(f)
        close(grad(lambda x: x * grad(lambda y: x * y ** 2)(3.0))(2.0), 24.0)

    def test_several_arguments(self):
        assert grad(lambda x, y: x * y, [0, 1])(2.0, 3.0) == (3.0, 2.0)
        assert ag.multigrad_dict(lambda x, y=3.0: x * y)(2.0) == {"x": 3.0, "y": 2.0}
        with pytest.raises(TypeError, match="argnum"):
            grad(number, "x")

    def test_structures(self):
        found = grad(lambda p: anp.sum(p["W"] * p["b"][0]) + p["b"][1])({"W": X, "b": (2.0, 1.0)})
        close(found["W"], np.full(3, 2.0))
        close(found["b"], (X.sum(), 1.0))
        assert type(found["b"]) is tuple and type(found["b"][0]) is np.float64

    def test_arrays_in_arrays_out(self):
        """Numbers where autograd gives numbers; arrays of integers are differentiated by as floats."""
        assert type(grad(anp.sin)(0.5)) is np.float64
        value, gradient = ag.value_and_grad(number)(X)
        assert type(value) is np.float64 and type(gradient) is np.ndarray
        assert grad(number)(X.astype(np.float32)).dtype == np.float32
        close(grad(lambda x: anp.sum(x ** 2))(np.array([1, 2])), [2.0, 4.0])
        kept = []
        grad(lambda x: (kept.append(tracer.getval(x)), number(x))[1])(X)
        assert type(kept[0]) is np.ndarray

    def test_complex_numbers(self):
        """The conjugate of tapegrad's convention; of a holomorphic function the complex derivative."""
        z = 1 + 2j
        close(ag.holomorphic_grad(lambda z: z ** 3)(z), 3 * z ** 2)
        close(grad(lambda z: anp.real(z * anp.conj(z)))(z), 2 * np.conj(z))
        close(make_vjp(lambda z: z ** 2)(z)[0](1j), 2j * z)
        close(make_jvp(lambda z: z ** 2)(z)(1j)[1], 2j * z)

    def test_names(self):
        named = grad(number, 0)
        assert named.__name__ == "grad_of_number_wrt_argnum_0" and "grad of function number" in named.__doc__

    def test_errors(self):
        with pytest.raises(TypeError, match="single real number"):
            grad(lambda x: x * 2)(X)
        with pytest.raises(TypeError, match="single real number"):
            grad(lambda x: x * 1j)(1.0)
        with pytest.raises(TypeError, match="real numbers"):
            elementwise_grad(lambda x: x * 1j)(X)
        with pytest.raises(TypeError):
            grad(lambda x: anp.allclose(x, x))(X)
        with pytest.raises(TypeError):
            grad(anp.sin)(1)

    def test_a_constant_warns(self):
        with pytest.warns(UserWarning, match="independent"):
            assert grad(lambda x: 1.0)(2.0) == 0.0
        with pytest.warns(UserWarning, match="independent"):
            assert make_jvp(lambda x: np.ones(2))(2.0)(1.0)[1].tolist() == [0.0, 0.0]
        with pytest.warns(UserWarning, match="independent"):
            assert jacobian(lambda x: np.ones(2))(X).shape == (2, 3)

    def test_checkpoint(self):
        runs = []
        f = ag.checkpoint(lambda x: (runs.append(1), number(x))[1])
        close(grad(f)(X), differences(number, X))
        assert len(runs) > 1


class TestRest:
    def test_flatten(self):
        value = {"b": [X, 2.0], "a": (A, [])}
        vector, unflatten = flatten(value)
        assert vector.tolist() == [*A.ravel(), *X, 2.0]
        again = unflatten(vector)
        assert type(again["a"]) is tuple and again["b"][1] == 2.0 and list(again) == ["b", "a"]
        close(again["a"][0], A)
        close(grad(lambda v: anp.sum(unflatten(v)["b"][0] ** 2))(vector), [0.0] * 6 + list(2 * X) + [0.0])
        f, unflatten, vector = flatten_func(lambda pair: (pair[1], pair[0]), (X, 1.0))
        assert f(vector).tolist() == [1.0, *X]
        assert flatten([])[0].size == 0
        for wrong in (np.zeros(3), np.zeros((4, 1)), 1.0):
            with pytest.raises(errors.ShapeError, match=r"\(4,\)"):
                flatten_func(lambda x: x, (X, 1.0))[1](wrong)

    @pytest.mark.parametrize("optimizer", [sgd, rmsprop, adam])
    def test_optimizers(self, optimizer):
        seen = []
        found = optimizer(grad(lambda p, i=0: anp.sum((p["x"] - X) ** 2)), {"x": np.zeros(3)},
                          callback=lambda x, i, g: seen.append((i, x["x"].shape, g["x"].shape)), num_iters=300, step_size=0.05)
        close(np.abs(found["x"] - X).max() < 0.1, True)
        assert len(seen) == 300 and seen[0] == (0, (3,), (3,))

    def test_fixed_point(self):
        root = lambda a: fixed_point(lambda a: lambda x: (x + a / x) / 2, a, 1.0, lambda x, y: abs(x - y), 1e-12)  # noqa: E731
        assert root(4.0) == 2.0 and grad(root)(4.0) == 0.25
        close(grad(grad(root))(4.0), -1 / 32)

    def test_check_grads_finds_what_is_wrong(self):
        wrong = primitive(lambda x: x ** 2)
        defvjp(wrong, lambda ans, x: lambda g: g * x)
        np.random.seed(0)
        with pytest.raises(AssertionError, match=r"\(VJP\) check of"):
            check_grads(wrong, modes=["rev"])(3.0)
        with pytest.raises(AssertionError, match="mismatch"):
            check_grads(wrong, modes=["fwd"])(3.0)
        with pytest.raises(ValueError, match="mode"):
            check_grads(wrong, modes=["back"])(3.0)
        with pytest.warns(UserWarning, match="deprecated"):
            util.quick_grad_check(lambda x, y: x * y, 2.0, (3.0,))

    def test_vector_spaces(self):
        space = core.vspace({"a": X, "b": [1.0, 1j]})
        assert space.size == 6 and len(list(space.standard_basis())) == 6
        x, y = space.randn(), space.randn()
        close(space.inner_prod(x, space.add(y, space.scalar_mul(y, 2.0))), 3 * space.inner_prod(x, y))
        assert space == core.vspace(space.zeros()) and space != core.vspace(X)
        with pytest.raises(TypeError, match="vector space"):
            core.vspace("text")

    def test_builtins(self):
        kinds = []
        grad(lambda x: (kinds.append((builtins.isinstance(x, np.ndarray), builtins.type(x))), anp.sum(x))[1])(X)
        assert kinds == [(True, np.ndarray)] and builtins.tuple is tuple
        assert isinstance({}, builtins.DictBox) and isinstance([], builtins.SequenceBox)

    def test_numpy(self):
        np_ = ag.numpy
        assert np_.where(True, 1.0, 2) == 1.0 and type(np_.where(True, 1, 2)) is int
        assert np_.where(condition=[True], x=X[:1], y=X[1:2]) == X[0]
        assert np_.tanh is anp.tanh and np_.int64(3) == 3
        close(grad(lambda x: anp.sum(np_.make_diagonal(x, axis1=-1, axis2=-2) ** 2))(X), 2 * X)
        close(jacobian(lambda a: np_.linalg.eigh(a)[0])(np.diag(X)), differences(lambda a: np.linalg.eigh(a)[0], np.diag(X)))
        for matrix in ([[1.0, 5.0], [0.0, 2.0]], np.array([[1.0, 5.0], [0.0, 2.0]])):
            close(np_.linalg.eigvalsh(matrix, UPLO="u"), np.linalg.eigvalsh([[1.0, 5.0], [5.0, 2.0]]))
        for matrix in (np.eye(2), tg.tensor(np.eye(2))):
            with pytest.raises(ValueError, match="UPLO"):
                np_.linalg.eigh(matrix, UPLO="X")
        matrices = np.random.default_rng(0).normal(size=(5, 4, 4))
        for triangle in "LU":                           # vectors have the same signs with a gradient and without
            traced = make_vjp(lambda a, triangle=triangle: np_.linalg.eigh(a, triangle)[1])(matrices)[1]
            close(np_.linalg.eigh(matrices, triangle)[1], traced)
        vjps = importlib.import_module(f"{np_.__name__}.numpy_vjps")
        close(vjps.unbroadcast_f(X, lambda g: g)(np.ones((2, 3))), np.full(3, 2.0))
        close(vjps.repeat_to_match_shape(X, (2, 3), float, 0, False)[0], np.stack([X, X]))


class TestDifferent:
    """What compat/README.md says is different."""

    def test_item_assignment(self):
        def assigned(x):
            z = x * 1
            z[0] = 3 * x[1]
            return anp.sum(z ** 2)

        close(grad(assigned)(X), [0.0, 20 * X[1], 2 * X[2]])

        def of_the_argument(x):
            x[0] = 1.0

        with pytest.raises(errors.GradientError):
            grad(of_the_argument)(X)

    @pytest.mark.parametrize("reads", [float, math.sin, np.asarray])
    def test_what_loses_the_gradient(self, reads):
        with pytest.raises(errors.GradientError, match="lost"):
            grad(lambda x: reads(x) * x)(0.5)

    def test_an_unknown_derivative(self):
        pytest.importorskip("scipy")
        with pytest.raises(errors.GradientError):
            grad(lambda order: ag.scipy.special.jv(order, 1.0))(0.5)

    def test_boxes(self):
        assert ag.numpy.numpy_boxes.ArrayBox is tg.Tensor is tracer.Box and not hasattr(tracer.Box, "register")


class TestScipy:
    def test_stats_are_modules(self):
        pytest.importorskip("scipy")
        norm = importlib.import_module("tapegrad.compat.autograd.scipy.stats.norm")
        assert norm.pdf(0.0) == ag.scipy.stats.norm.pdf(0.0) and isinstance(norm, types.ModuleType)
        close(grad(lambda x: norm.logpdf(x, 1.0, 2.0))(0.5), 0.125)
        close(ag.scipy.special.gammaln(5.0), ag.scipy.misc.logsumexp(np.log([4.0] * 6)) * 0 + np.log(24.0))

    @pytest.mark.parametrize("mode", ["full", "valid", "same"])
    @pytest.mark.parametrize("axes, dot_axes", [(None, ((), ())), (([1], [0]), ((), ())), (([0], [1]), ([1], [0])),
                                                (([], []), ([0], [0]))])
    def test_convolve(self, mode, axes, dot_axes):
        """Against sums of products of single elements."""
        pytest.importorskip("scipy")
        from tapegrad.compat.autograd.scipy.signal import convolve
        a, b = np.random.default_rng(0).normal(size=(4, 4)), np.random.default_rng(1).normal(size=(4, 4))
        a, b = (a, b[:2, :3]) if axes is None else (a, b[:3] if axes[1] == [0] else b[:, :2])
        found = convolve(a, b, axes, dot_axes, mode)
        along = ([0, 1], [0, 1]) if axes is None else axes
        free = [[i for i in range(2) if i not in along[k] and i not in dot_axes[k]] for k in range(2)]
        full = np.zeros([a.shape[i] for i in free[0]] + [b.shape[i] for i in free[1]]
                        + [a.shape[i] + b.shape[j] - 1 for i, j in zip(*along)])
        for i in np.ndindex(a.shape):
            for j in np.ndindex(b.shape):
                if all(i[p] == j[q] for p, q in zip(*dot_axes)):
                    outer = *[i[k] for k in free[0]], *[j[k] for k in free[1]]
                    full[(*outer, *[i[p] + j[q] for p, q in zip(*along)])] += a[i] * b[j]
        cut = [slice(None)] * (full.ndim - len(along[0]))
        for p, q in zip(*along):
            n, m = a.shape[p], b.shape[q]
            length = n + m - 1 if mode == "full" else n if mode == "same" else n - m + 1
            start = {"full": 0, "same": (m - 1) // 2, "valid": m - 1}[mode]
            cut.append(slice(start, start + length))
        close(found, full[tuple(cut)])
        check_grads(lambda a, b: convolve(a, b, axes, dot_axes, mode), (0, 1), modes=["rev"], order=1)(a, b)

    def test_convolve_refuses(self):
        pytest.importorskip("scipy")
        from tapegrad.compat.autograd.scipy.signal import convolve
        with pytest.raises(errors.ShapeError, match="inside"):
            convolve(np.ones((2, 3)), np.ones((3, 2)), mode="valid")
        with pytest.raises(ValueError, match="mode"):
            convolve(X, X, mode="wrap")


@pytest.mark.parametrize("name", [".core", ".tracing", ".vspaces", ".misc.flatten", ".misc.fixed_points", ".misc.tracers",
                                  ".scipy.signal"])
def test_the_examples_in_docstrings(name, capsys):
    if name == ".scipy.signal":
        pytest.importorskip("scipy")
    module = importlib.import_module(f"tapegrad.compat.autograd{name}")
    names = {**vars(module), "tg": tg, "np": np, "__name__": "example"}
    ours = [public for public in module.__all__
            if str(getattr(getattr(module, public), "__module__", None)).startswith("tapegrad.compat")]
    tests = [test for public in ours for test in doctest.DocTestFinder().find(
        getattr(module, public), public, module=False, globs=names) if test.examples]
    assert tests
    for test in tests:
        failed, _ = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS).run(test)
        assert not failed, capsys.readouterr().out


@pytest.fixture
def installed():
    # As install() and uninstall() leave them, so do the tests: whoever has imported autograd finds it again.
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "autograd"}
    ag.install()
    yield
    ag.uninstall()
    assert before == {name: module for name, module in sys.modules.items() if name.split(".")[0] == "autograd"}


class TestInstalling:
    def test_every_import(self, installed):
        for name in ("", ".numpy", ".numpy.linalg", ".numpy.fft", ".numpy.random", ".numpy.numpy_boxes", ".numpy.numpy_vjps",
                     ".extend", ".core", ".tracer", ".misc", ".misc.flatten", ".misc.optimizers", ".misc.fixed_points",
                     ".test_util", ".builtins", ".differential_operators", ".wrap_util", ".util"):
            module = importlib.import_module(f"autograd{name}")
            assert module is importlib.import_module(f"tapegrad.compat.autograd{name}")
            assert module.__spec__.name == module.__name__ == f"tapegrad.compat.autograd{name}"
        with pytest.raises(ImportError):
            importlib.import_module("autograd.nothing_like_it")

    def test_a_program(self, installed):
        names = {}
        exec("""
import autograd.numpy as np
from autograd import grad
from autograd.misc.optimizers import sgd
from autograd.misc import flatten
from autograd.extend import primitive, defvjp
import autograd.numpy.random as npr

@primitive
def cube(x):
    return x ** 3
defvjp(cube, lambda ans, x: lambda g: g * 3 * x ** 2)
found = grad(lambda x: np.sum(cube(x)))(np.array([1.0, 2.0]))
vector = flatten([found, 1.0])[0]
""", names)
        assert names["found"].tolist() == [3.0, 12.0] and names["vector"].size == 3

    def test_what_was_there_comes_back(self):
        fake = types.ModuleType("autograd")
        before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "autograd"}
        sys.modules["autograd"] = fake
        try:
            ag.install()
            ag.install()                                # the second time, too
            assert importlib.import_module("autograd") is ag
            ag.uninstall()
            assert sys.modules["autograd"] is fake
            ag.uninstall()
            assert sys.modules["autograd"] is fake
        finally:
            del sys.modules["autograd"]
            sys.modules.update(before)
