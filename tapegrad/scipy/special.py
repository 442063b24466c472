"""`tapegrad.scipy.special`: the names of scipy.special, for arrays and for tensors. See tapegrad/scipy/__init__.py.

SciPy computes the values, in its dtypes; the derivatives are functions of the same kind, so that there are derivatives of
any order (primitives/special.py). A parameter that has none in SciPy, such as the order of a Bessel function, is a constant:
a tensor there that requires a gradient is a GradientError. Values may be complex, derivatives not: that is a DtypeError.
"""

from __future__ import annotations

import math
from typing import Any

from scipy import special as theirs

from tapegrad import functions
from tapegrad.core.record import recorded
from tapegrad.functions.arguments import constant, refuse_out, value
from tapegrad.functions.scipy_functions import special_function
from tapegrad.functions.tensor import Tensor
from tapegrad.numpy.dispatch import Names, on_values
from tapegrad.typing import Axis, TensorLike

__all__ = list(theirs.__all__)
_names = Names(globals(), theirs, "scipy.special", lambda name: None)
__dir__, __getattr__ = _names.dir, _names.get


def _special(name: str, what: str, derivative: str, at: str, shown: str, slope: str) -> Any:
    """The function of that name, with an example at the arguments `at`; integers there are parameters without a derivative."""
    given, slopes = at.split(", "), [f"array({number})" for number in slope.split()]
    wanted = tuple(i for i, x in enumerate(given) if "." in x)
    call = f"tg.scipy.special.{name}"
    by = "" if wanted == (0,) else f", {wanted[0] if len(wanted) == 1 else wanted}"
    tensors = ", ".join([f"tg.tensor({x})" if "." in x else x for x in given])
    ours = special_function(getattr(theirs, name))
    assert ours is not None
    ours.__doc__ = (f"{what}. Derivative: {derivative}.\n\n>>> {call}({tensors})\ntensor({shown})\n"
                    f">>> tg.grad({call}{by})({at})\n"
                    f"{slopes[0] if len(wanted) == 1 else '(' + ', '.join(slopes) + ')'}\n")
    return _names.of(name)(ours)


gamma = _special("gamma", "The gamma function, int_0^inf t^(x-1) e^-t dt", "d z psi(x)", "4.5", "11.6317284", "16.15496939")
rgamma = _special("rgamma", "1 / gamma(x), 0 at the poles of gamma", "-d z psi(x)", "4.5", "0.08597175", "-0.11940366")
gammaln = _special("gammaln", "log |gamma(x)|", "d psi(x)", "4.5", "2.45373657", "1.38887093")
psi = _special(
    "psi", "The digamma function, the derivative of gammaln",
    "d polygamma(1, x)", "2.0", "0.42278434", "0.64493407")
beta = _special(
    "beta", "gamma(a) gamma(b) / gamma(a + b)",
    "d z (psi(a) - psi(a + b)), d z (psi(b) - psi(a + b))", "2.0, 3.0", "0.08333333", "-0.09027778 -0.04861111")
betaln = _special(
    "betaln", "log |beta(a, b)|",
    "d (psi(a) - psi(a + b)), d (psi(b) - psi(a + b))", "2.0, 3.0", "-2.48490665", "-1.08333333 -0.58333333")
poch = _special(
    "poch", "gamma(z + m) / gamma(z)",
    "d poch(z, m) (psi(z + m) - psi(z)), d poch(z, m) psi(z + m)", "2.0, 3.0", "24.", "26. 36.14682404")
binom = _special(
    "binom", "The binomial coefficient, also of real numbers",
    "d z (psi(x + 1) - psi(x - y + 1)), d z (psi(x - y + 1) - psi(y + 1))", "5.0, 2.0", "10.", "4.5 3.33333333")
gammainc = _special(
    "gammainc", "The lower incomplete gamma function, over gamma(a)",
    "to x, d x^(a-1) e^-x / gamma(a); to a none", "2, 1.5", "0.4421746", "0.33469524")
gammaincc = _special(
    "gammaincc", "The upper incomplete gamma function, over gamma(a): 1 - gammainc(a, x)",
    "to x, -d x^(a-1) e^-x / gamma(a); to a none", "2, 1.5", "0.5578254", "-0.33469524")
gammaincinv = _special(
    "gammaincinv", "The z with gammainc(a, z) = y",
    "to y, d gamma(a) z^(1-a) e^z; to a none", "2, 0.5", "1.67834699", "3.19164869")
gammainccinv = _special(
    "gammainccinv", "The z with gammaincc(a, z) = y",
    "to y, -d gamma(a) z^(1-a) e^z; to a none", "2, 0.25", "2.69263453", "-5.48553395")
betainc = _special(
    "betainc", "The incomplete beta function, over beta(a, b)",
    "to x, d x^(a-1) (1-x)^(b-1) / beta(a, b); to a and b none", "2, 3, 0.25", "0.26171875", "1.6875")
betaincc = _special(
    "betaincc", "1 - betainc(a, b, x)",
    "to x, -d x^(a-1) (1-x)^(b-1) / beta(a, b); to a and b none", "2, 3, 0.25", "0.73828125", "-1.6875")
betaincinv = _special(
    "betaincinv", "The z with betainc(a, b, z) = y",
    "to y, d beta(a, b) z^(1-a) (1-z)^(1-b); to a and b none", "2, 3, 0.5", "0.38572757", "0.57255344")
betainccinv = _special(
    "betainccinv", "The z with betaincc(a, b, z) = y",
    "to y, -d beta(a, b) z^(1-a) (1-z)^(1-b); to a and b none", "2, 3, 0.25", "0.54367829", "-0.73609606")
erf = _special("erf", "2/sqrt(pi) int_0^x exp(-t^2) dt", "d 2/sqrt(pi) exp(-x^2)", "0.5", "0.52049988", "0.87878258")
erfc = _special(
    "erfc", "1 - erf(x), exact where erf rounds to 1",
    "-d 2/sqrt(pi) exp(-x^2)", "0.5", "0.47950012", "-0.87878258")
erfcx = _special("erfcx", "exp(x^2) erfc(x), without overflow", "d (2 x z - 2/sqrt(pi))", "0.5", "0.61569034", "-0.51268882")
erfi = _special("erfi", "2/sqrt(pi) int_0^x exp(t^2) dt", "d 2/sqrt(pi) exp(x^2)", "0.5", "0.61495209", "1.44886753")
dawsn = _special(
    "dawsn", "Dawson's integral, exp(-x^2) int_0^x exp(t^2) dt",
    "d (1 - 2 x z)", "0.5", "0.42443638", "0.57556362")
erfinv = _special("erfinv", "The z with erf(z) = y", "d sqrt(pi)/2 exp(z^2)", "0.5", "0.47693628", "1.11258482")
erfcinv = _special("erfcinv", "The z with erfc(z) = y", "-d sqrt(pi)/2 exp(z^2)", "0.25", "0.81341985", "-1.71749977")
ndtr = _special(
    "ndtr", "The distribution function of the normal distribution",
    "d exp(-x^2/2) / sqrt(2 pi)", "1.0", "0.84134475", "0.24197072")
log_ndtr = _special(
    "log_ndtr", "log(ndtr(x)), exact where ndtr is 0",
    "d exp(-x^2/2) / (sqrt(2 pi) ndtr(x))", "-40.0", "-804.60844201", "40.02496885")
ndtri = _special("ndtri", "The z with ndtr(z) = y", "d sqrt(2 pi) exp(z^2/2)", "0.75", "0.67448975", "3.14686508")
ndtri_exp = _special(
    "ndtri_exp", "The z with log_ndtr(z) = y",
    "d sqrt(2 pi) exp(z^2/2 + y)", "-5.0", "-2.47093864", "0.35761704")
owens_t = _special(
    "owens_t", "Owen's T, int_0^a exp(-h^2 (1 + t^2) / 2) / (1 + t^2) dt / (2 pi)",
    "-d (ndtr(a h) - 1/2) exp(-h^2/2) / sqrt(2 pi), d exp(-h^2 (1 + a^2) / 2) / (2 pi (1 + a^2))",
    "0.5, 1.0", "0.10667106", "-0.06740729 0.061975")
stdtr = _special(
    "stdtr", "The distribution function of Student's distribution",
    "to t, d times the density; to df none", "3, 1.0", "0.80449889", "0.20674834")
stdtrit = _special(
    "stdtrit", "The z with stdtr(df, z) = p",
    "to p, d over the density at z; to df none", "3, 0.75", "0.76489233", "3.8853569")
expit = _special("expit", "The logistic function, 1 / (1 + e^-x)", "d z (1 - z)", "0.0", "0.5", "0.25")
logit = _special("logit", "log(x / (1 - x)), the inverse of expit", "d / (x (1 - x))", "0.75", "1.09861229", "5.33333333")
log_expit = _special("log_expit", "log(expit(x)), exact where expit is 0", "d expit(-x)", "-1.0", "-1.31326169", "0.73105858")
xlogy = _special(
    "xlogy", "x log(y), and 0 where x is 0",
    "d log(y), d x / y", "2.0, 3.0", "2.19722458", "1.09861229 0.66666667")
xlog1py = _special(
    "xlog1py", "x log(1 + y), and 0 where x is 0",
    "d log(1 + y), d x / (1 + y)", "2.0, 0.5", "0.81093022", "0.40546511 1.33333333")
entr = _special("entr", "-x log(x), 0 at 0, -inf below", "-d (log(x) + 1)", "0.5", "0.34657359", "-0.30685282")
rel_entr = _special(
    "rel_entr", "x log(x / y), 0 where x is 0 and y >= 0, inf elsewhere below",
    "d (log(x / y) + 1), -d x / y", "0.5, 0.25", "0.34657359", "1.69314718 -2.")
kl_div = _special(
    "kl_div", "x log(x / y) - x + y, y where x is 0, inf below",
    "d log(x / y), d (1 - x / y)", "0.5, 0.25", "0.09657359", "0.69314718 -1.")
exp10 = _special("exp10", "10^x", "log(10) d z", "2.0", "100.", "230.2585093")
exp2 = _special("exp2", "2^x", "log(2) d z", "3.0", "8.", "5.54517744")
expm1 = _special("expm1", "e^x - 1, exact where x is small", "d e^x", "1.0", "1.71828183", "2.71828183")
log1p = _special("log1p", "log(1 + x), exact where x is small", "d / (1 + x)", "1.0", "0.69314718", "0.5")
cbrt = _special("cbrt", "The cube root", "d / (3 z^2)", "8.0", "2.", "0.08333333")
cosm1 = _special("cosm1", "cos(x) - 1, exact where x is small", "-d sin(x)", "0.5", "-0.12241744", "-0.47942554")
boxcox = _special(
    "boxcox", "(x^lmbda - 1) / lmbda, and log(x) where lmbda is 0",
    "to x, d x^(lmbda - 1); to lmbda none", "2.0, 2", "1.5", "2.")
j0 = _special("j0", "The Bessel function of the first kind and order 0", "-d j1(x)", "1.0", "0.76519769", "-0.44005059")
j1 = _special(
    "j1", "The Bessel function of the first kind and order 1",
    "d (j0(x) - jv(2, x)) / 2", "1.0", "0.44005059", "0.3251471")
jv = _special(
    "jv", "The Bessel function of the first kind and order v",
    "to z, d (jv(v - 1, z) - jv(v + 1, z)) / 2; to v none", "2, 1.5", "0.23208767", "0.24848628")
jve = _special(
    "jve", "jv, scaled by exp(-|imag(z)|), which is 1 here",
    "to z, as jv; to v none", "2, 1.5", "0.23208767", "0.24848628")
y0 = _special("y0", "The Bessel function of the second kind and order 0", "-d y1(x)", "1.0", "0.08825696", "0.78121282")
y1 = _special(
    "y1", "The Bessel function of the second kind and order 1",
    "d (y0(x) - yv(2, x)) / 2", "1.0", "-0.78121282", "0.86946979")
yn = _special(
    "yn", "The Bessel function of the second kind and integer order n",
    "to x, d (yn(n - 1, x) - yn(n + 1, x)) / 2; to n none", "2, 1.5", "-0.93219376", "0.83061639")
yv = _special(
    "yv", "The Bessel function of the second kind and order v",
    "to z, d (yv(v - 1, z) - yv(v + 1, z)) / 2; to v none", "2, 1.5", "-0.93219376", "0.83061639")
i0 = _special("i0", "The modified Bessel function of the first kind and order 0", "d i1(x)", "1.0", "1.26606588", "0.5651591")
i0e = _special("i0e", "exp(-|x|) i0(x)", "d (i1e(x) - sign(x) z)", "1.0", "0.46575961", "-0.25784919")
i1 = _special(
    "i1", "The modified Bessel function of the first kind and order 1",
    "d (i0(x) + iv(2, x)) / 2", "1.0", "0.5651591", "0.70090677")
i1e = _special("i1e", "exp(-|x|) i1(x)", "d ((i0e(x) + ive(2, x)) / 2 - sign(x) z)", "1.0", "0.20791042", "0.04993878")
iv = _special(
    "iv", "The modified Bessel function of the first kind and order v",
    "to z, d (iv(v - 1, z) + iv(v + 1, z)) / 2; to v none", "2, 1.5", "0.33783462", "0.53122027")
ive = _special(
    "ive", "exp(-|z|) iv(v, z)",
    "to z, d ((ive(v - 1, z) + ive(v + 1, z)) / 2 - sign(z) ive(v, z)); to v none", "2, 1.5", "0.07538109", "0.04315017")
k0 = _special(
    "k0", "The modified Bessel function of the second kind and order 0",
    "-d k1(x)", "1.0", "0.42102444", "-0.60190723")
k0e = _special("k0e", "exp(x) k0(x)", "d (z - k1e(x))", "1.0", "1.14446308", "-0.49169041")
k1 = _special(
    "k1", "The modified Bessel function of the second kind and order 1",
    "-d (k0(x) + kv(2, x)) / 2", "1.0", "0.60190723", "-1.02293167")
k1e = _special("k1e", "exp(x) k1(x)", "d (z - (k0e(x) + kve(2, x)) / 2)", "1.0", "1.63615349", "-1.14446308")
kn = _special(
    "kn", "The modified Bessel function of the second kind and integer order n",
    "to x, -d (kn(n - 1, x) + kn(n + 1, x)) / 2; to n none", "2, 1.5", "0.58365596", "-1.05559575")
kv = _special(
    "kv", "The modified Bessel function of the second kind and order v",
    "to z, -d (kv(v - 1, z) + kv(v + 1, z)) / 2; to v none", "2, 1.5", "0.58365596", "-1.05559575")
kve = _special(
    "kve", "exp(z) kv(v, z)",
    "to z, d (kve(v, z) - (kve(v - 1, z) + kve(v + 1, z)) / 2); to v none", "2, 1.5", "2.61576455", "-2.11508739")
expi = _special(
    "expi", "The exponential integral, the principal value of int_-inf^x e^t / t dt",
    "d e^x / x", "1.0", "1.89511782", "2.71828183")
exp1 = _special("exp1", "int_1^inf exp(-x t) / t dt", "-d e^-x / x", "1.0", "0.21938393", "-0.36787944")
expn = _special(
    "expn", "int_1^inf exp(-x t) / t^n dt",
    "to x, -d expn(n - 1, x); to n none", "2, 1.0", "0.14849551", "-0.21938393")
digamma, jn = psi, jv


@_names.of("polygamma")
def polygamma(n: Any, x: TensorLike) -> Tensor:
    """The n-th derivative of psi. Derivative: to x, d polygamma(n + 1, x); to n none.

    >>> tg.scipy.special.polygamma(1, tg.tensor(2.0))
    tensor(0.64493407)
    >>> tg.grad(tg.scipy.special.polygamma, 1)(1, 2.0)
    array(-0.40411381)
    """
    n = constant("polygamma", n)
    return recorded.special_polygamma(n if n.ndim else n.item(), x)


@_names.of("multigammaln")
def multigammaln(a: TensorLike, d: int) -> Tensor:
    """The logarithm of the gamma function in d dimensions: the sum of gammaln(a - i/2) for i < d, and d (d-1)/4 log(pi).

    Derivative: to a. ValueError where a <= (d-1)/2, as in SciPy.

    >>> tg.scipy.special.multigammaln(tg.tensor(3.0), 2)
    tensor(1.55019499)
    """
    d = int(constant("multigammaln", d))
    theirs.multigammaln(value(a), d)                    # which checks the domain
    z = d * (d - 1) / 4 * math.log(math.pi)
    for i in range(d):
        z = gammaln(functions.subtract(a, i / 2)) + z
    return z if isinstance(z, Tensor) else Tensor(z)


@_names.of("gammasgn")
def gammasgn(x: TensorLike, /) -> Tensor:
    """The sign of gamma(x). Not differentiable: the result is a constant.

    >>> tg.scipy.special.gammasgn(tg.tensor([-0.5, 0.5]))
    tensor([-1.,  1.])
    """
    return recorded.special_gammasgn(x)


@_names.of("zeta")
def zeta(x: Any, q: TensorLike | None = None, out: None = None) -> Any:
    """The Hurwitz zeta function, the sum of (q + k)^-x over k = 0, 1, .. Derivative: to q, -d x zeta(x + 1, q); to x none.

    >>> tg.scipy.special.zeta(2, tg.tensor(1.5))
    tensor(0.9348022)
    >>> tg.grad(tg.scipy.special.zeta, 1)(2, 1.5)
    array(-0.82879664)
    """
    if q is None:
        return on_values("scipy.special.zeta", theirs.zeta, x)
    refuse_out("zeta", out)
    x = constant("zeta", x)
    return recorded.special_zeta(x if x.ndim else x.item(), q)


@_names.of("logsumexp")
def logsumexp(a: TensorLike, axis: Axis = None, b: TensorLike | None = None, keepdims: bool = False,
              return_sign: bool = False) -> Any:
    """log(sum(b exp(a))) over `axis`; with return_sign=True, (log |sum|, its sign). Derivative: to a and to b; see
    tg.logsumexp.

    >>> tg.scipy.special.logsumexp(tg.tensor([0.0, 0.0]), b=[0.5, 1.5])
    tensor(0.69314718)
    >>> tg.grad(lambda b: tg.scipy.special.logsumexp([0.0, 0.0], b=b))(np.array([0.5, 1.5]))
    array([0.5, 0.5])
    """
    if not return_sign:
        return functions.logsumexp(a, axis, b, keepdims)
    signs = theirs.logsumexp(value(a), axis, None if b is None else value(b), True, True)[1]
    flipped = functions.multiply(1.0 if b is None else b, signs)
    if not keepdims:
        signs = signs.reshape(theirs.logsumexp(value(a), axis, None if b is None else value(b)).shape)
    return functions.logsumexp(a, axis, flipped, keepdims), Tensor(signs)


@_names.of("softmax")
def softmax(x: TensorLike, axis: Axis = None) -> Tensor:
    """exp(x) / sum(exp(x)) over `axis`, all axes by default. Derivative: z (d - sum(d z)).

    >>> tg.scipy.special.softmax(tg.tensor([[0.0, 0.0], [0.0, 0.0]]))
    tensor([[0.25, 0.25],
            [0.25, 0.25]])
    """
    return functions.softmax(x, axis) if isinstance(axis, int) else functions.exp(log_softmax(x, axis))


@_names.of("log_softmax")
def log_softmax(x: TensorLike, axis: Axis = None) -> Tensor:
    """log(softmax(x)) over `axis`, all axes by default. Derivative: d - softmax(x) sum(d).

    >>> tg.scipy.special.log_softmax(tg.tensor([0.0, 1000.0]))
    tensor([-1000.,     0.])
    """
    if isinstance(axis, int):
        return functions.log_softmax(x, axis)
    return functions.subtract(x, functions.logsumexp(x, axis, keepdims=True))
