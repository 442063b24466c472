"""Rows of SciPy's special functions. A parameter without a derivative is drawn as an integer."""

import numpy as np
import scipy.special
import scipy.stats

import tapegrad.primitives.special  # noqa: F401, which has the rows
from cases.case import Case, away_from_zero, positive, real


def whole(shape, seed):
    return np.random.default_rng(seed).integers(1, 4, size=shape).astype(np.int8)


def large(shape, seed):
    return 2 + positive(shape, seed)


def proportion(shape, seed):
    return np.random.default_rng(seed).uniform(0.1, 0.9, size=shape)


def inside(shape, seed):
    return np.random.default_rng(seed).uniform(-0.9, 0.9, size=shape)


def below_zero(shape, seed):
    return -positive(shape, seed)


OPERANDS = {
    "real rgamma erfcx erfi dawsn ndtr log_ndtr hazard hazard_excess expit log_expit exp10 cosm1 j0 j1 i0 i1": (real,),
    "positive gamma gammaln psi entr y0 y1 k0 k1 k0e k1e exp1": (positive,), "away_from_zero i0e i1e expi": (away_from_zero,),
    "inside erfinv": (inside,), "proportion erfcinv ndtri logit": (proportion,), "below_zero ndtri_exp": (below_zero,),
    "positive beta betaln poch xlogy xlog1py rel_entr kl_div": (positive, positive), "large binom": (large, positive),
    "real owens_t": (real, real), "whole polygamma gammainc gammaincc jv yv iv ive kv kve expn": (whole, positive),
    "whole stdtr": (whole, real), "proportion gammaincinv gammainccinv stdtrit": (whole, proportion),
    "proportion betainc betaincc betaincinv betainccinv": (whole, whole, proportion), "positive boxcox": (positive, whole),
    "whole polygamma_step": (whole, positive, positive), "positive log_gamma_density log_t_density": (positive, positive),
    "proportion log_beta_density": (positive, positive, proportion), "whole log_stdtr stdtr_hazard": (whole, real),
    "whole log_gammainc log_gammaincc gammainc_hazard gammaincc_hazard": (whole, positive),
    "whole log_betainc log_betaincc betainc_hazard betaincc_hazard": (whole, whole, proportion),
    "above zeta": (lambda shape, seed: whole(shape, seed) + 1, positive),
}


def hazard(x):
    return scipy.stats.norm.pdf(x) / scipy.special.ndtr(x)


def of_stats(name, method, *, minus=None):
    """A method of scipy.stats, its shapes first; with `minus`, its exponential over that of the method `minus`."""
    distribution = getattr(scipy.stats, name)

    def function(*operands):
        operands = [np.asarray(x, float) for x in operands]     # of small integers SciPy computes in float16
        z = getattr(distribution, method)(operands[-1], *operands[:-1])
        return z if minus is None else np.exp(z - getattr(distribution, minus)(operands[-1], *operands[:-1]))

    return function


REFERENCES = {
    "hazard": hazard, "hazard_excess": lambda x: hazard(x) + x, "log_gamma_density": of_stats("gamma", "logpdf"),
    "log_t_density": of_stats("t", "logpdf"),
    "log_beta_density": of_stats("beta", "logpdf"),
    "polygamma_step": lambda n, x, h: scipy.special.polygamma(n, x + h) - scipy.special.polygamma(n, x),
}
for row, name in (("gammainc", "gamma"), ("betainc", "beta"), ("stdtr", "t")):
    for end, method in (("", "logcdf"), ("c", "logsf")):
        REFERENCES[f"log_{row}{end}"] = of_stats(name, method)
        REFERENCES[f"{row}{end}_hazard"] = of_stats(name, "logpdf", minus=method)
CASES = [Case(f"special_{name}", operands, reference=REFERENCES.get(name) or getattr(scipy.special, name))
         for names, operands in OPERANDS.items() for name in names.split()[1:]]
CONSTANT = [Case("special_gammasgn", (away_from_zero,), reference=scipy.special.gammasgn)]
