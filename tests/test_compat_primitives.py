"""Primitives and traces of tapegrad.compat.autograd: what their derivatives are made of, and what is refused."""

import numpy as np
import pytest
from oracle import jacobian as differences

import tapegrad as tg
import tapegrad.numpy as anp
from tapegrad import errors
from tapegrad.compat import autograd as ag
from tapegrad.compat.autograd import core, elementwise_grad, extend, grad, jacobian, make_jvp, make_vjp, tracer, util
from tapegrad.compat.autograd.extend import defjvp, defjvp_argnum, defvjp, defvjp_argnum, defvjp_argnums, primitive
from tapegrad.compat.autograd.misc.tracers import const_graph, full_graph
from tapegrad.compat.autograd.test_util import check_grads

X = np.array([0.5, -1.0, 2.0])


def close(x, y):
    np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-7)


class TestPrimitives:
    def test_vjps(self):
        @primitive
        def product(x, y, power=1):
            assert type(x) is np.ndarray or np.isscalar(x)
            return (x * y) ** power

        defvjp(product, lambda ans, x, y, power=1: lambda g: g * power * y * (x * y) ** (power - 1),
               lambda ans, x, y, power=1: lambda g: g * power * x * (x * y) ** (power - 1))
        close(grad(lambda x: anp.sum(product(x, 3.0, power=2)))(X), 18 * X)
        close(grad(lambda y: anp.sum(product(X, y, power=2)))(3.0), 6 * (X ** 2).sum())
        check_grads(lambda x, y: product(x, y, power=3), (0, 1), order=2)(X, 2.0)
        assert product(2.0, 3.0) == 6.0

    def test_by_argnum(self):
        f, h = primitive(lambda x, y: x * y), primitive(lambda x, y: x * y)
        defvjp_argnum(f, lambda argnum, ans, args, kwargs: lambda g: g * args[1 - argnum])
        defvjp_argnums(h, lambda argnums, ans, args, kwargs: lambda g: [g * args[1 - i] for i in argnums])
        for function in (f, h):
            assert grad(function, [0, 1])(2.0, 3.0) == (3.0, 2.0)

    def test_only_a_jvp(self):
        """Its transpose is the vjp."""
        f, linear, summed = primitive(lambda x, y: x ** 2 * y), primitive(lambda x: x[::-1]), primitive(lambda x, y: x * y)
        defjvp(f, lambda g, ans, x, y: 2 * x * y * g, lambda g, ans, x, y: x ** 2 * g)
        defjvp(linear, "same")
        defjvp_argnum(summed, lambda i, g, ans, args, kwargs: g * args[1 - i])
        check_grads(lambda x, y: f(x, y), (0, 1))(X, 2 * X)
        close(jacobian(linear)(X), np.eye(3)[::-1])
        assert grad(lambda x: summed(x, x))(3.0) == 6.0

    def test_structures_in_and_out(self):
        @primitive
        def both(pair, c):
            return {"sum": pair[0] + pair[1], "product": c * pair[0] * pair[1]}

        def vjp(ans, pair, c):
            return lambda g: (g["sum"] + c * pair[1] * g["product"], g["sum"] + c * pair[0] * g["product"])

        defvjp(both, vjp, None)

        def f(x, y):
            z = both((x, y), 2.0)
            return anp.sum(anp.sin(z["sum"])) + anp.sum(z["product"] ** 2)

        check_grads(f, (0, 1), modes=["rev"])(X, X + 1)
        close(grad(lambda x: f(x, X))(X), differences(lambda x: f(x, X), X))

    def test_integers_among_results(self):
        """They are indices as before, beside numbers with a derivative."""
        @primitive
        def ordered(x):
            order = np.argsort(x)
            return x[order], order

        defvjp(ordered, lambda ans, x: lambda g: g[0][np.argsort(ans[1])])
        close(grad(lambda x: anp.sum((lambda z: z[0] * X[z[1]])(ordered(x))))(X), X)
        indices = primitive(lambda x: (np.argsort(x), np.argmax(x)))
        defvjp(indices, lambda ans, x: lambda g: 0 * x)
        close(grad(lambda x: anp.sum(x[indices(x)[0][:1]]))(X), [0.0, 1.0, 0.0])

    def test_vjps_that_look_at_elements(self):
        """All rows of a Jacobian at once can't be had of them."""
        square = primitive(lambda x: x ** 2)
        defvjp(square, lambda ans, x: lambda g: 2 * x * g if np.any(tracer.getval(g) != 0) else 0 * g)
        close(jacobian(square)(np.arange(1.0, 30.0)), np.diag(np.arange(2.0, 60.0, 2.0)))
        close(ag.hessian(lambda x: anp.sum(square(x) * x))(np.arange(1.0, 30.0)), np.diag(6 * np.arange(1.0, 30.0)))

    def test_iterables_of_arrays(self):
        for name in ("concatenate", "hstack", "stack", "vstack"):
            function = getattr(ag.numpy, name)
            close(jacobian(lambda x, f=function: f(map(lambda y: y * x, (1.0, 2.0))))(X),
                  jacobian(lambda x, f=function: f([x, 2 * x]))(X))
            close(function({"a": X, "b": X}.values()), function([X, X]))

    def test_complex(self):
        square = primitive(lambda z: z ** 2)
        defvjp(square, lambda ans, z: lambda g: g * 2 * z)
        close(ag.holomorphic_grad(square)(1 + 2j), 2 + 4j)
        check_grads(lambda z: anp.abs(square(z)), modes=["rev"])(np.array([1 + 2j, 0.5j]))

    def test_what_is_not_defined(self):
        f, g = primitive(lambda x: 2 * x), primitive(lambda x, y: x * y)
        defvjp(g, lambda ans, x, y: lambda d: d * y)
        with pytest.raises(NotImplementedError, match="not defined"):
            grad(f)(1.0)
        with pytest.raises(NotImplementedError, match="not defined"):
            grad(g, 1)(1.0, 2.0)
        with pytest.raises(errors.GradientError, match="keyword"):
            grad(lambda x: g(x, y=x))(1.0)
        with pytest.raises(TypeError, match="expected a function"):
            defvjp(f, "same")

    def test_what_does_not_fit(self):
        f, text = primitive(lambda x: 2 * x), primitive(lambda x: "text")
        defvjp(f, lambda ans, x: lambda g: np.ones(5))
        defvjp(text, lambda ans, x: lambda g: g)
        with pytest.raises(errors.ShapeError, match="vjp returned"):
            grad(lambda x: anp.sum(f(x)))(X)
        with pytest.raises(TypeError, match="returned str"):
            grad(text)(1.0)

    def test_arguments_are_not_written_to(self):
        @primitive
        def doubled(x):
            x *= 2
            return x

        defvjp(doubled, lambda ans, x: lambda g: 2 * g)
        with pytest.raises(ValueError, match="read-only"):
            grad(lambda x: anp.sum(doubled(x)))(X)

    def test_a_vjp_does_not_write_into_what_it_gets(self):
        f, h, k = [primitive(lambda x, c: np.exp(x) * c) for _ in range(3)]
        defvjp(f, lambda ans, x, c: lambda g: np.multiply(g, ans, out=g))
        defvjp(h, lambda ans, x, c: lambda g: np.multiply(g, ans, out=ans))
        defvjp(k, lambda ans, x, c: lambda g: np.multiply(g, ans, out=c))
        for function in (f, h, k):
            with pytest.raises(ValueError, match="read-only"):
                elementwise_grad(function)(X, 2 * X)

    def test_what_the_caller_writes_after_the_call(self):
        """Arrays that the vjp reads, wherever they are among the arguments, and where derivatives are taken."""
        @primitive
        def product(x, c, pair=None, named=None):
            return x * c * pair[0] * named["c"]

        defvjp(product, lambda ans, x, c, pair=None, named=None: lambda g: g * c * pair[0] * named["c"])
        at, c, pair, named = X.copy(), X + 1, [X + 2], {"c": X + 3}
        wanted = (X + 1) * (X + 2) * (X + 3)
        vjp, value = make_vjp(lambda x: product(x, c, pair, named=named))(at)
        for array in (at, c, pair[0], named["c"]):
            array[:] = 100.0
        pair[0] = 100.0
        close(value, X * wanted)
        for _ in range(2):
            close(vjp(np.ones(3)), wanted)

    @pytest.mark.parametrize("shared", [False, True])
    def test_integers_among_results_that_are_written_after_the_call(self, shared):
        """Into what was returned, or into the array that the primitive keeps for the next call."""
        own = np.array([1, 2, 3])
        scaled = primitive(lambda x: (2 * x, own))
        defvjp(scaled, lambda ans, x: lambda g: g[0] * ans[1])

        def f(x):
            z, factors = scaled(x)
            (own if shared else factors)[:] = 100
            return anp.sum(z)

        close(grad(f)(X), [1.0, 2.0, 3.0])

    @pytest.mark.parametrize("more", [(), (3.0,)])
    def test_a_tensor_that_no_longer_requires_a_gradient(self, more):
        """The contribution to it goes nowhere, that to the other stays in its place."""
        product = primitive(lambda x, y, c=3.0: x * y * c)
        defvjp(product, lambda ans, x, y, c=3.0: lambda g: g * y * c, lambda ans, x, y, c=3.0: lambda g: g * x * c)
        x, y = tg.tensor(X, requires_grad=True), tg.tensor(X + 1, requires_grad=True)
        z = product(x, y, *more)
        x.requires_grad = False
        z.sum().backward()
        close(y.grad, 3 * X)
        assert x.grad is None

    def test_what_the_caller_writes_before_a_product(self):
        at = X.copy()
        jvp, reverse, ggnvp, hvp = [operator(lambda x: x ** 2)(at) for operator in (
            make_jvp, ag.make_jvp_reversemode, ag.make_ggnvp, lambda f: ag.make_hvp(lambda x: anp.sum(f(x))))]
        at[:] = 100.0
        close(jvp(np.ones(3)), (X ** 2, 2 * X))
        close(reverse(np.ones(3)), 2 * X)
        close(ggnvp(np.ones(3)), 4 * X ** 2)
        close(hvp[0](np.ones(3)), np.full(3, 2.0))

    def test_what_is_in_no_argument(self):
        class Holder:
            def __init__(self, x):
                self.x = x

        f = primitive(lambda x, held: x * anp.sum(held.x))
        defvjp(f, lambda ans, x, held: lambda g: g * held.x)
        with pytest.raises(errors.GradientError, match="in no argument"):
            grad(lambda x: anp.sum(f(x, Holder(x))))(X)
        g = primitive(lambda x, named=None: x * named["c"][0])
        defvjp(g, lambda ans, x, named=None: lambda g: g * named["c"][0])
        with pytest.raises(errors.GradientError, match="keyword argument named"):
            grad(lambda x: anp.sum(g(x, named={"c": [x]})))(X)

    def test_none_and_notrace(self):
        f = primitive(lambda x, n: x * n)
        defvjp(f, lambda ans, x, n: lambda g: g * n, None)
        assert grad(lambda x: f(x, x))(3.0) == 3.0
        constant = extend.notrace_primitive(lambda x: x * 2)
        assert grad(lambda x: x * constant(x))(3.0) == 6.0
        floor = primitive(lambda x: x // 1)
        extend.register_notrace(extend.VJPNode, floor)
        assert grad(lambda x: x * floor(x))(3.5) == 3.0

    def test_sparse(self):
        first = primitive(lambda x: x[0])

        def add(x):
            x[0] += 2.0
            return x

        defvjp(first, lambda ans, x: lambda g: core.SparseObject(core.vspace(x), add))
        close(grad(lambda x: 2.0 * first(x))(X), [2.0, 0.0, 0.0])

    def test_the_old_way(self):
        f = ag.primitive(lambda x, y: x * y)
        with pytest.warns(UserWarning, match="deprecated"):
            f.defvjp(lambda g, ans, vs, gvs, x, y: g * y)
        with pytest.warns(UserWarning, match="deprecated"):
            f.defgrad(lambda ans, x, y: lambda g: g * x, argnum=1)
        assert grad(f, [0, 1])(2.0, 3.0) == (3.0, 2.0)
        with pytest.warns(UserWarning, match="deprecated"):
            f.defvjp_is_zero([1])
        assert grad(f, [0, 1])(2.0, 3.0) == (3.0, 0.0)


class TestTraces:
    def test_nodes(self):
        node = full_graph(lambda x, y: anp.sin(x * y), 2.0, 3.0)
        assert node.value == np.sin(6.0) and node.recipe[0].__name__ == "sin"
        product = node.recipe[3][0][1]
        assert product.recipe[0].__name__ == "multiply" and [i for i, _ in product.recipe[3]] == [0, 1]
        assert len(list(util.toposort(node, lambda node: [parent for _, parent in node.recipe[3]]))) == 5

    def test_const_graph(self):
        runs = []
        f = const_graph(lambda c, x, y: (runs.append(1), c * grad(anp.sin)(x * y) + anp.sum(anp.stack([x, y])))[1], 2.0)
        for x, y in ((1.0, 2.0), (0.5, 3.0)):
            close(f(x, y), 2 * np.cos(x * y) + x + y)
        assert len(runs) == 1
        c = X.copy()
        f = const_graph(lambda c, x: anp.sum(c * x), c)
        f(X)
        c[:] = 100.0                                    # which the trace read, and does not again
        close(f(2 * X), 2 * X @ X)
        with pytest.warns(UserWarning, match="independent"), pytest.raises(ValueError, match="depend"):
            const_graph(lambda x: 1.0)(2.0)

    def test_primitives_need_no_vjp(self):
        f = primitive(lambda x, name: 2 * x)
        names = []
        value, node = tracer.trace(_Names.new_root(names), lambda x: f(anp.exp(x), "name"), 0.0)
        assert value == 2.0 and names == ["exp", f.__name__]
        with pytest.raises(TypeError, match="returned a tuple"):
            tracer.trace(_Names.new_root(names), lambda x: (x, x), 0.0)


class _Names(tracer.Node):
    def __init__(self, value, fun, args, kwargs, parent_argnums, parents):
        self.names = parents[0].names
        self.names.append(fun.__name__)

    def initialize_root(self, names):
        self.names = names
