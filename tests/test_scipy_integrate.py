"""tapegrad.scipy.integrate: SciPy's values, and derivatives by adjoint equations against differences and exact ones."""

import numpy as np
import pytest

pytest.importorskip("scipy")

import scipy.integrate  # noqa: E402

import tapegrad as tg  # noqa: E402
from tapegrad.errors import DtypeError, GradientError  # noqa: E402
from tapegrad.scipy import integrate  # noqa: E402

TIGHT = {"rtol": 1e-11, "atol": 1e-11}
START, RATES, TIMES = np.array([1.0, 0.5]), np.array([0.7, 1.3]), np.array([0.0, 0.4, 1.0])


def prey(y, t, k):
    return tg.stack([k[0] * y[0] - y[0] * y[1], y[0] * y[1] - k[1] * y[1] + 0.1 * t])


def plain(y, t, k):
    return [k[0] * y[0] - y[0] * y[1], y[0] * y[1] - k[1] * y[1] + 0.1 * t]


def test_quad():
    def f(x, c, p):
        return tg.exp(-c[0] * x) * x ** p * c[1]

    c = np.array([1.5, 2.0])
    expected = scipy.integrate.quad(lambda x: np.exp(-1.5 * x) * x ** 2 * 2, 0.2, 3.0)
    assert integrate.quad(f, 0.2, 3.0, (c, 2)) == pytest.approx(expected)
    tg.gradcheck(lambda a, b, c: integrate.quad(f, a, b, (c, 2))[0], np.array(0.2), np.array(3.0), c, order=2, rtol=1e-6)
    z = integrate.quad(f, 0.0, np.inf, (tg.tensor(c, requires_grad=True), 2))[0]
    assert z.requires_grad and z.item() == pytest.approx(2 * 2 / 1.5 ** 3)


def test_odeint():
    expected = scipy.integrate.odeint(plain, START, TIMES, (RATES,))
    np.testing.assert_allclose(integrate.odeint(prey, START, TIMES, (RATES,)), expected, rtol=1e-12)
    z = integrate.odeint(prey, tg.tensor(START, requires_grad=True), TIMES, (RATES,), **TIGHT)
    np.testing.assert_allclose(z.data, expected, rtol=1e-6)
    tg.gradcheck(lambda y, k: integrate.odeint(prey, y, TIMES, (k,), **TIGHT), START, RATES, rtol=1e-5, atol=1e-6)


def test_odeint_second_order():
    """Of y0 exp(-k t): its second derivative by k is t^2 times it."""
    def last(k):
        return integrate.odeint(lambda t, y, k: -k * y, np.array([2.0]), [0.0, 0.8], (k,), tfirst=True, **TIGHT)[-1, 0]

    assert float(tg.grad(tg.grad(last))(0.5)) == pytest.approx(0.64 * 2 * np.exp(-0.4), rel=1e-6)


@pytest.mark.parametrize("method", ["RK45", "DOP853", "LSODA"])
def test_solve_ivp(method):
    def solve(F, y, k, f, **options):
        return F.solve_ivp(f, (0.0, 1.0), y, method, args=(k,), **TIGHT, **options)

    theirs = solve(scipy.integrate, START, RATES, lambda t, y, k: plain(y, t, k))
    ours = solve(integrate, START, RATES, lambda t, y, k: prey(y, t, k))
    np.testing.assert_allclose(ours.y, theirs.y, rtol=1e-12)
    slope = tg.grad(lambda k: solve(integrate, START, k, lambda t, y, k: prey(y, t, k)).y[:, -1].sum())(RATES)
    wanted = tg.grad(lambda k: integrate.odeint(prey, START, [0.0, 1.0], (k,), **TIGHT)[-1].sum())(RATES)
    np.testing.assert_allclose(slope, wanted, rtol=1e-6)
    z = solve(integrate, tg.tensor(START, requires_grad=True), RATES, lambda t, y, k: prey(y, t, k), t_eval=[0.5, 1.0])
    assert z.y.shape == (2, 2) and z.y.requires_grad


K = tg.tensor(2.0, requires_grad=True)


@pytest.mark.parametrize("call, words", [
    (lambda: integrate.odeint(lambda y, t: -K * y, tg.tensor([1.0], requires_grad=True), [0.0, 1.0]), "lost"),
    (lambda: integrate.odeint(lambda y, t, k: -k * y, [1.0], [0.0, K], (1.0,)), "odeint"),
    (lambda: integrate.odeint(lambda y, t, k: -k * y, [1.0], [0.0, 1.0], (K,), full_output=1), "full_output"),
    (lambda: integrate.solve_ivp(lambda t, y, k: -k * y, (0.0, 1.0), [1.0], args=(K,), dense_output=True), "dense_output"),
    (lambda: integrate.quad(lambda x, k: k * x, 0.0, 1.0, (K,), weight="cos", wvar=1.0), "weight="),
    (lambda: integrate.romb(tg.stack([K, K, K])), "romb"),
    (lambda: integrate.solve_ivp(lambda t, y: -y, (0.0, K), np.ones(1)), "no derivative by the argument"),
])
def test_refused(call, words):
    with pytest.raises(GradientError, match=words):
        call()


def test_trapezoid():
    assert integrate.trapezoid([1.0, 3.0]) == 2 and not isinstance(integrate.trapezoid([1.0, 3.0]), tg.Tensor)
    tg.gradcheck(lambda y, x: integrate.trapezoid(y, x), START, RATES, order=2)


def gradients(f, *arrays):
    leaves = [tg.tensor(x, requires_grad=True) for x in arrays]
    f(*leaves).backward()
    return [leaf.grad for leaf in leaves]


@pytest.mark.parametrize("solve", [
    lambda y0, *args: integrate.odeint(lambda y, t, *args: -y * (args[0] if args else 1.0), y0, [0.0, 1.0], args, **TIGHT)[-1],
    lambda y0, *args: integrate.solve_ivp(lambda t, y, *args: -y * (args[0] if args else 1.0), (0.0, 1.0), y0, args=args,
                                          **TIGHT).y[:, -1]])
def test_the_start_in_other_forms(solve):
    """One tensor as the start and as an argument: y = y0 exp(-y0); a list of tensors."""
    slope, = gradients(lambda y0: solve(y0, y0).sum(), np.array([1.5]))
    np.testing.assert_allclose(slope, [np.exp(-1.5) * (1 - 1.5)], rtol=1e-7)
    slopes = gradients(lambda a, b: solve([a, b])[1] * 2 + solve([a, b])[0], 1.0, 2.0)
    np.testing.assert_allclose(slopes, np.exp(-1) * np.array([1, 2]), rtol=1e-7)


def test_one_tensor_as_an_end_and_an_argument():
    slope, = gradients(lambda a: integrate.quad(lambda x, c: c * x, 0.0, a, (a,))[0], 1.5)       # of a^3 / 2
    np.testing.assert_allclose(slope, 1.5 ** 3, rtol=1e-12)
    slope, = gradients(lambda a: integrate.quad(lambda x, c: 2.0 * x, 0.0, a, (a,))[0], 1.5)     # the argument is not read
    np.testing.assert_allclose(slope, 3.0, rtol=1e-12)


def test_arrays_may_be_written_to_before_the_sweep():
    def slope(write):
        k, fixed, start, times = tg.tensor(RATES, requires_grad=True), RATES.copy(), START.copy(), TIMES.copy()
        at = tg.tensor(START)
        z = integrate.odeint(lambda y, t, k, c: prey(y, t, k * c), start, times, (k, fixed), **TIGHT)[-1].sum()
        z = z + integrate.solve_ivp(lambda t, y, k, c: prey(y, t, k * c), (0.0, 1.0), start, args=(k, fixed)).y[:, -1].sum()
        z = z + integrate.quad(lambda x, k, c, at: (k * c * at * x).sum(), 0.0, 1.0, (k, fixed, at))[0]
        if write:
            for array in (fixed, start, times, at.data):
                array[:] = 9.0
        z.backward()
        return k.grad

    np.testing.assert_array_equal(slope(True), slope(False))


def test_complex_numbers():
    theirs, ours = [module.solve_ivp(lambda t, y: 1j * y, (0.0, 1.0), np.array([1.0 + 0j])).y
                    for module in (scipy.integrate, integrate)]
    np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(DtypeError, match="solve_ivp: complex"):
        integrate.solve_ivp(lambda t, y: -y, (0.0, 1.0), tg.tensor([1.0 + 1j], requires_grad=True))


@pytest.mark.parametrize("call", [
    lambda b: integrate.quad(lambda x: x * b, 0.0, 1.0)[0],
    lambda b: integrate.odeint(lambda y, t: -b * y, [1.0], [0.0, 1.0])[1, 0],
    lambda b: integrate.solve_ivp(lambda t, y: -b * y, (0.0, 1.0), [1.0]).y[0, -1],
], ids=["quad", "odeint", "solve_ivp"])
def test_a_tensor_that_is_no_argument_is_refused(call):
    with pytest.raises(GradientError, match="not among its arguments"):
        tg.grad(lambda b: b * call(b))(2.0)
