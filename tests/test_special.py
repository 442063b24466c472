"""tapegrad.scipy.special against mpmath: values, first and second derivatives, by every argument that has one, over grids.

The grids go to the edges of the domains. What SciPy computes is SciPy's; the tolerances of values say how exact that is,
those of derivatives how exact they are as functions of the same kind.
"""

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("mpmath")

import scipy.special  # noqa: E402
from mpmath import mp  # noqa: E402
from mpmath_oracle import exact, normal, student  # noqa: E402

import tapegrad as tg  # noqa: E402
from tapegrad.errors import DtypeError, GradientError  # noqa: E402
from tapegrad.primitives.special import ROWS  # noqa: E402
from tapegrad.scipy import special  # noqa: E402

LINE = [-30.0, -4.5, -1.0, -1e-3, 1e-8, 0.3, 1.0, 2.5, 7.0, 25.0]
POSITIVE = [1e-6, 1e-2, 0.1, 0.7, 1.0, 2.0, 3.7, 12.0, 60.0]
UNIT = [1e-9, 1e-3, 0.2, 0.5, 0.9, 0.999]
INSIDE = [-0.999, -0.5, -1e-6, 0.2, 0.9]
POLES = [-3.3, -0.5, 0.3, 1.0, 4.5, 20.0]


def quad_owens(h, a):
    return mp.quad(lambda t: mp.exp(-h * h * (1 + t * t) / 2) / (1 + t * t), [0, a]) / (2 * mp.pi)


# name: (mpmath's function, the grid of each argument). An integer is a parameter without a derivative.
FUNCTIONS = {
    "gamma": (mp.gamma, POLES), "rgamma": (mp.rgamma, POLES), "gammaln": (lambda x: mp.log(abs(mp.gamma(x))), POLES),
    "psi": (mp.digamma, POLES),
    "polygamma": (lambda n, x: mp.polygamma(n, x), [0, 1, 2, 5], POSITIVE[2:]),
    "beta": (mp.beta, POSITIVE[2:7], [0.5, 3.0]), "betaln": (lambda a, b: mp.log(abs(mp.beta(a, b))), POSITIVE, [0.5, 40.0]),
    "poch": (mp.rf, [0.5, 2.0], [1.5, 3.0]), "binom": (mp.binomial, [3.5, 8.0], [0.5, 2.0]),
    "gammainc": (lambda a, x: mp.gammainc(a, 0, x, regularized=True), [1, 2, 7], POSITIVE[:-1]),
    "gammaincc": (lambda a, x: mp.gammainc(a, x, mp.inf, regularized=True), [1, 2, 7], POSITIVE[:-1]),
    "betainc": (lambda a, b, x: mp.betainc(a, b, 0, x, regularized=True), [1, 3], [2, 5], UNIT),
    "betaincc": (lambda a, b, x: mp.betainc(a, b, x, 1, regularized=True), [1, 3], [2, 5], UNIT),
    "erf": (mp.erf, INSIDE + [3.0]), "erfc": (mp.erfc, LINE[1:-1]), "erfcx": (lambda x: mp.exp(x * x) * mp.erfc(x), LINE[1:]),
    "erfi": (mp.erfi, LINE[1:8]), "dawsn": (lambda x: mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x), LINE[1:-1]),
    "erfinv": (mp.erfinv, INSIDE), "erfcinv": (lambda y: mp.erfinv(1 - y), UNIT[1:]),
    "ndtr": (normal, LINE[1:-2]), "log_ndtr": (lambda x: mp.log(normal(x)), LINE[:-2]),
    "ndtri": (lambda p: mp.sqrt(2) * mp.erfinv(2 * p - 1), UNIT),
    "owens_t": (quad_owens, [-1.0, 0.3, 2.0], [0.5, 1.0, 3.0]), "stdtr": (student, [1, 3, 10], [-4.0, -0.5, 0.2, 3.0]),
    "expit": (lambda x: 1 / (1 + mp.exp(-x)), LINE), "logit": (lambda x: mp.log(x / (1 - x)), UNIT),
    "log_expit": (lambda x: -mp.log1p(mp.exp(-x)), LINE),
    "xlogy": (lambda x, y: x * mp.log(y), [-1.0, 1e-3, 2.0], POSITIVE),
    "xlog1py": (lambda x, y: x * mp.log1p(y), [-1.0, 2.0], UNIT),
    "entr": (lambda x: -x * mp.log(x), POSITIVE), "rel_entr": (lambda x, y: x * mp.log(x / y), POSITIVE[2:6], POSITIVE[2:6]),
    "kl_div": (lambda x, y: x * mp.log(x / y) - x + y, [0.1, 0.7], [0.2, 1.5]), "exp10": (lambda x: mp.mpf(10) ** x, INSIDE),
    "cosm1": (lambda x: mp.cos(x) - 1, INSIDE), "boxcox": (lambda x, p: (x ** p - 1) / p, POSITIVE, [1, 3]),
    "exp2": (lambda x: mp.mpf(2) ** x, INSIDE), "expm1": (mp.expm1, INSIDE), "log1p": (mp.log1p, INSIDE),
    "cbrt": (mp.cbrt, POSITIVE),
    "j0": (lambda x: mp.besselj(0, x), POSITIVE[2:]), "j1": (lambda x: mp.besselj(1, x), POSITIVE[2:]),
    "jv": (mp.besselj, [0, 1, 3], POSITIVE[2:-1]), "jve": (mp.besselj, [0, 2], POSITIVE[3:-1]),
    "y0": (lambda x: mp.bessely(0, x), POSITIVE[1:]), "y1": (lambda x: mp.bessely(1, x), POSITIVE[1:]),
    "yn": (mp.bessely, [0, 2], POSITIVE[2:-1]), "yv": (mp.bessely, [0, 1, 3], POSITIVE[2:-1]),
    "i0": (lambda x: mp.besseli(0, x), LINE[1:]), "i1": (lambda x: mp.besseli(1, x), LINE[1:]),
    "i0e": (lambda x: mp.besseli(0, x) * mp.exp(-abs(x)), LINE[1:4] + LINE[5:]),
    "i1e": (lambda x: mp.besseli(1, x) * mp.exp(-abs(x)), LINE[1:4] + LINE[5:]),
    "iv": (mp.besseli, [0, 1, 3], POSITIVE[2:]), "ive": (lambda v, x: mp.besseli(v, x) * mp.exp(-x), [0, 2], POSITIVE[2:]),
    "k0": (lambda x: mp.besselk(0, x), POSITIVE), "k1": (lambda x: mp.besselk(1, x), POSITIVE),
    "k0e": (lambda x: mp.besselk(0, x) * mp.exp(x), POSITIVE[2:-1]),
    "k1e": (lambda x: mp.besselk(1, x) * mp.exp(x), POSITIVE[2:-1]),
    "kn": (mp.besselk, [0, 2], POSITIVE[3:7]), "kv": (mp.besselk, [0, 1, 3], POSITIVE[3:7]),
    "kve": (lambda v, x: mp.besselk(v, x) * mp.exp(x), [0, 2], POSITIVE[2:-1]),
    "expi": (mp.ei, LINE[1:3] + POSITIVE[:7]), "exp1": (mp.e1, POSITIVE), "expn": (mp.expint, [1, 2, 5], POSITIVE[2:]),
    "zeta": (lambda x, q: mp.zeta(x, q), [2, 5], POSITIVE[2:-1]), "multigammaln": None, "logsumexp": None, "softmax": None,
    "log_softmax": None, "gammaincinv": None, "gammainccinv": None, "betaincinv": None, "betainccinv": None, "stdtrit": None,
    "ndtri_exp": None, "gammasgn": None, "digamma": None, "jn": None,
}
INVERSES = {"gammaincinv": "gammainc", "gammainccinv": "gammaincc", "betaincinv": "betainc", "betainccinv": "betaincc",
            "stdtrit": "stdtr", "ndtri_exp": "log_ndtr"}


def grids(name):
    """(arguments, the positions of those with a derivative)."""
    axes = FUNCTIONS[name][1:]
    wanted = [i for i, axis in enumerate(axes) if isinstance(axis[0], float)]
    return [x.ravel() for x in np.meshgrid(*axes, indexing="ij")], wanted


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if FUNCTIONS[name]])
def test_against_mpmath(name):
    arguments, wanted = grids(name)
    function = getattr(special, name)
    z = function(*[tg.tensor(x) if i in wanted else x for i, x in enumerate(arguments)])
    np.testing.assert_allclose(z.data, exact(FUNCTIONS[name][0], arguments, (0,) * len(arguments)), rtol=4e-13, atol=1e-300)
    for i in wanted:
        slope = tg.elementwise_grad(function, i)
        once = tuple(int(k == i) for k in range(len(arguments)))
        twice = tuple(2 * k for k in once)
        first, second = exact(FUNCTIONS[name][0], arguments, once), exact(FUNCTIONS[name][0], arguments, twice)
        np.testing.assert_allclose(slope(*arguments), first, rtol=1e-11, atol=1e-13 * np.abs(z.data).max())
        curvature = tg.elementwise_grad(slope, i)(*arguments)
        np.testing.assert_allclose(curvature, second, rtol=1e-9, atol=1e-12 * np.abs(first).max())


@pytest.mark.parametrize("name", INVERSES)
def test_inverses(name):
    """f(f^-1(y)) is y, and its derivatives are 1 and 0."""
    forward, back = getattr(special, INVERSES[name]), getattr(special, name)
    parameters = {"betaincinv": (2, 3), "betainccinv": (2, 3), "ndtri_exp": ()}.get(name, (3,))
    y = np.array([-30.0, -2.0, -0.3]) if name == "ndtri_exp" else np.array([1e-3, 0.2, 0.5, 0.9])

    def identity(y):
        return forward(*parameters, back(*parameters, y))

    np.testing.assert_allclose(identity(tg.tensor(y)).data, y, rtol=1e-12)
    np.testing.assert_allclose(tg.elementwise_grad(identity)(y), 1, rtol=1e-11)
    np.testing.assert_allclose(tg.elementwise_grad(tg.elementwise_grad(identity))(y), 0, atol=1e-8)


def test_every_row_is_compared():
    named = {ufunc.__name__ for ufunc in ROWS if getattr(special, getattr(ufunc, "__name__", ""), None)}
    assert named - {"_hazard", "_polygamma"} <= set(FUNCTIONS)


A, B = np.array([[0.3, -1.2, 2.0], [0.0, 700.0, 1.0]]), np.array([[0.5, 2.0, -0.1], [1.0, 0.0, 3.0]])


@pytest.mark.parametrize("call", [
    lambda F, a, b: F.logsumexp(a, b=abs(b)), lambda F, a, b: F.logsumexp(a, 1, abs(b)), lambda F, a, b: F.logsumexp(a, axis=0),
    lambda F, a, b: F.logsumexp(a, (0, 1), abs(b), True), lambda F, a, b: F.logsumexp(a, 1, b[0] - 1, False, True)[0],
    lambda F, a, b: F.logsumexp(a, 0, -abs(b) - 0.1, True, True)[1], lambda F, a, b: F.logsumexp(a, 1, b[:, :1] + 0.1),
    lambda F, a, b: F.softmax(a), lambda F, a, b: F.softmax(a, axis=1), lambda F, a, b: F.softmax(a, (0, 1)),
    lambda F, a, b: F.log_softmax(a), lambda F, a, b: F.log_softmax(a, 0), lambda F, a, b: F.multigammaln(b + 5.0, 3),
    lambda F, a, b: F.zeta(2.0, b + 3.0), lambda F, a, b: F.polygamma(2, b + 3.0), lambda F, a, b: F.digamma(b + 3.0),
    lambda F, a, b: F.jn(2, a[0]), lambda F, a, b: F.gammasgn(a - 0.5), lambda F, a, b: F.comb(5, [1, 2]),
    lambda F, a, b: F.zeta(3.0),
])
def test_as_scipy(call):
    """SciPy's values for tensors, SciPy's own results without, and derivatives."""
    expected, plain, z = call(scipy.special, A, B), call(special, A, B), call(special, tg.tensor(A), tg.tensor(B))
    np.testing.assert_array_equal(plain, expected)
    assert not isinstance(plain, tg.Tensor)
    np.testing.assert_allclose(getattr(z, "data", z), expected, rtol=1e-13)
    a = np.minimum(A, 3.0)
    if isinstance(z, tg.Tensor) and call(special, *[tg.tensor(x, requires_grad=True) for x in (a, B)]).requires_grad:
        tg.gradcheck(lambda a, b: call(special, a, b), a, B + 0.01, order=2)


@pytest.mark.parametrize("call, at, wanted", [
    (lambda x: special.xlogy(x, 0.0), 0.0, -np.inf), (lambda y: special.xlogy(0.0, y), 0.0, 0.0), (special.entr, 0.0, np.inf),
    (special.log_ndtr, -1e5, 1e5), (special.log_ndtr, 50.0, 0.0), (special.log_expit, -1000.0, 1.0),
    (special.expit, 1000.0, 0.0),
    (special.j1, 0.0, 0.5), (special.i1, 0.0, 0.5), (special.i0e, 0.0, 0.0), (special.logit, 0.0, np.inf),
    (lambda x: special.gammainc(1, x), 0.0, 1.0), (special.erfcx, 1e9, 0.0),
    (lambda x: special.rel_entr(x, 0.5), 0.0, -np.inf), (lambda y: special.kl_div(0.0, y), 0.7, 1.0),
    (special.ndtri, 0.0, np.inf),
])
def test_edges(call, at, wanted):
    with np.errstate(all="ignore"):
        assert tg.grad(call)(at) == pytest.approx(wanted, rel=1e-9, abs=1e-9)


X = np.array([0.5, 1.5])


@pytest.mark.parametrize("call, kind, words", [
    (lambda x: special.gammainc(x, 1.0), GradientError, "gammainc: there is no derivative"),
    (lambda x: special.jv(x, 1.0), GradientError, "jv: there is no derivative"),
    (lambda x: special.zeta(x), GradientError, "zeta"),
    (lambda x: special.struve(1, x), GradientError, "special.struve"), (lambda x: special.ellipk(x), GradientError, "detach"),
    (lambda x: special.gammaln(x, out=np.ones(2)), DtypeError, "gammaln"),
    (lambda x: special.gammaln(x, x), TypeError, "gammaln"),
    (lambda x: special.polygamma(x, 2.0), GradientError, "polygamma"),
    (lambda x: scipy.special.struve(1, x), DtypeError, "struve"),
    (lambda x: tg.real(special.gamma(x + 1j)).sum().backward(), DtypeError, "special_gamma"),
    (lambda x: special.betainc(1.0, x, 0.5), GradientError, "betainc"),
    (lambda x: special.boxcox(2.0, x), GradientError, "boxcox"),
])
def test_refused(call, kind, words):
    with pytest.raises(kind, match=words):
        call(tg.tensor(X, requires_grad=True))


def test_scipys_own_functions_know_tensors():
    x = tg.tensor(X, requires_grad=True)
    z = scipy.special.gammaln(x) * scipy.special.jv(1, x)
    z.sum().backward()
    np.testing.assert_allclose(x.grad, tg.elementwise_grad(lambda x: special.gammaln(x) * special.jv(1, x))(X))


def test_in_lists_and_exported_programs():
    steps = [("z1", "special_gammaln", ("x",)), ("z2", "special_polygamma", ("1", "x")), ("z3", "multiply", ("z1", "z2")),
             ("z", "sum", ("z3",))]
    gradient = tg.grad(lambda x: tg.sum(special.gammaln(x) * special.polygamma(1, x)))(X)
    np.testing.assert_allclose(tg.wengert.backprop(steps, {"x": X})["x"], gradient, rtol=1e-15)
    x = tg.tensor(X, requires_grad=True, name="x")
    program = tg.export_numpy(tg.sum(special.gammaln(x) * special.polygamma(1, x) + special.ndtr(x)))
    names = {}
    exec(compile(program.text, "program", "exec"), names)
    _, found = names["step"](**program.inputs)
    np.testing.assert_allclose(found["x"], gradient + tg.elementwise_grad(special.ndtr)(X), rtol=1e-14)


def test_scipy_missing_is_said():
    code = ("import sys\nsys.modules['scipy'] = None\nimport tapegrad as tg\n"
            "try:\n    tg.scipy.special\nexcept ImportError as error:\n    print(error)")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install tapegrad[scipy]" in ran.stdout


def test_rgamma_at_the_poles_of_gamma():
    """1 / gamma is smooth there: at -n its slope is (-1)^n n!."""
    x = np.array([0.0, -1.0, -2.0, -3.0])
    found = tg.grad(lambda x: tg.scipy.special.rgamma(x).sum())(x)
    np.testing.assert_allclose(found, [1.0, -1.0, 2.0, -6.0], rtol=1e-13)
    assert tg.gradcheck(tg.scipy.special.rgamma, np.array([-2.0, -0.3, 0.4, 0.6, 3.0]), order=2)
    assert not tg.scipy.special.gammasgn(tg.tensor(x + 0.5, requires_grad=True)).requires_grad


def test_small_differences():
    """Of great terms: they keep their digits."""
    second = tg.elementwise_grad(tg.elementwise_grad(special.log_ndtr))
    x = np.array([-1e5, -1e3, -40.0, -6.0])
    wanted = [float(mp.diff(lambda x: mp.log(normal(x)), mp.mpf(at), 2)) for at in x[1:]]
    np.testing.assert_allclose(second(x), [-1 + 1e-10, *wanted], rtol=1e-12)
    np.testing.assert_allclose(tg.elementwise_grad(special.expit)(np.array([25.0, 40.0, 700.0])),
                               np.exp([-25.0, -40.0, -700.0]) / (1 + np.exp([-25.0, -40.0, -700.0])) ** 2, rtol=1e-13)
    for a, b in ((1e-6, 40.0), (1e4, 0.5)):
        for i in range(2):
            with mp.workdps(30):
                wanted = float(mp.psi(0, (a, b)[i]) - mp.psi(0, mp.mpf(a) + b))
            assert tg.grad(special.betaln, i)(a, b) == pytest.approx(wanted, rel=1e-13)


def test_tails_in_exported_programs():
    from tapegrad.scipy import stats

    x = tg.tensor(X * 500, requires_grad=True, name="x")
    program = tg.export_numpy(tg.sum(stats.gamma.logsf(x, 2.5) + stats.t.logpdf(x, 1e4)))
    names = {}
    exec(compile(program.text, "program", "exec"), names)
    _, found = names["step"](**program.inputs)
    wanted = tg.elementwise_grad(lambda x: stats.gamma.logsf(x, 2.5) + stats.t.logpdf(x, 1e4))(X * 500)
    np.testing.assert_allclose(found["x"], wanted, rtol=1e-14)
