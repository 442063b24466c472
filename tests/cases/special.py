"""Rows of SciPy's special functions. A parameter without a derivative is drawn as an integer."""

import numpy as np
import scipy.special

from cases.case import Case, away_from_zero, positive, real
from tapegrad.primitives import special


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
    "real rgamma erfcx erfi dawsn ndtr log_ndtr hazard log_expit exp10 cosm1 j0 j1 i0 i1": (real,),
    "positive gamma gammaln psi entr y0 y1 k0 k1 k0e k1e exp1": (positive,), "away_from_zero i0e i1e expi": (away_from_zero,),
    "inside erfinv": (inside,), "proportion erfcinv ndtri logit": (proportion,), "below_zero ndtri_exp": (below_zero,),
    "positive beta betaln poch xlogy xlog1py rel_entr kl_div": (positive, positive), "large binom": (large, positive),
    "real owens_t": (real, real), "whole polygamma gammainc gammaincc jv yv iv ive kv kve expn": (whole, positive),
    "whole stdtr": (whole, real), "proportion gammaincinv gammainccinv stdtrit": (whole, proportion),
    "proportion betainc betaincc betaincinv betainccinv": (whole, whole, proportion), "positive boxcox": (positive, whole),
    "above zeta": (lambda shape, seed: whole(shape, seed) + 1, positive),
}
REFERENCES = {"hazard": special._hazard}
CASES = [Case(f"special_{name}", operands, reference=REFERENCES.get(name) or getattr(scipy.special, name))
         for names, operands in OPERANDS.items() for name in names.split()[1:]]
CONSTANT = [Case("special_gammasgn", (away_from_zero,), reference=scipy.special.gammasgn)]
