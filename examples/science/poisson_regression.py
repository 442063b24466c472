"""Count regression by maximum likelihood, with standard errors from the Hessian.

    python examples/science/poisson_regression.py

How many letters has a name? Poisson with a rate of its own for each kind of name, times a factor for each further word:
log rate = a[kind] + b (words - 1). At the maximum the inverse of the Hessian of the negative log-likelihood estimates the
covariance of the parameters. A Poisson variable varies by its mean; the dispersion says how far that is from the truth.
"""

import sys
from pathlib import Path

import numpy as np
from running import main

import tapegrad as tg
from tapegrad.scipy import optimize, stats

sys.path.insert(0, str(Path(__file__).parents[1]))

from names_data import read_shipped  # noqa: E402


def rates(parameters, kind, words):
    return tg.exp(parameters[:-1][kind] + parameters[-1] * (words - 1))


def loss(parameters, kind, words, letters):
    """The negative log-likelihood."""
    return -stats.poisson.logpmf(letters, rates(parameters, kind, words)).sum()


def fit(kind, words, letters):
    """(parameters, their standard errors)."""
    start = np.zeros(kind.max() + 2)
    found = optimize.minimize(lambda p: loss(p, kind, words, letters), start, method="BFGS").x
    hessian = tg.hessian(lambda p: loss(p, kind, words, letters))(found)
    return found, np.sqrt(np.diag(np.linalg.inv(hessian)))


def run():
    data = read_shipped()
    names, kind = data.train.names, np.asarray(data.train.y)
    words = np.array([len(name.split()) for name in names], float)
    letters = np.array([sum(map(str.isalpha, name)) for name in names], float)
    found, errors = fit(kind, words, letters)
    for label, value, error in zip((*data.labels, "each word"), found, errors):
        print(f"{label:>13}: {'letters of one word' if label != 'each word' else 'times'} "
              f"{np.exp(value):6.3f}, log {value:6.4f} +- {error:.4f}")
    expected = rates(tg.tensor(found), kind, words).data
    dispersion = ((letters - expected) ** 2 / expected).sum() / (len(names) - len(found))
    print(f"dispersion {dispersion:.2f}: the errors are to be multiplied by {dispersion ** 0.5:.2f}")

    def draw(axes):
        for k, label in enumerate(data.labels):
            axes.stairs(np.bincount(letters[kind == k].astype(int)) / (kind == k).sum(), label=label)
        axes.set(xlabel="letters of a name", ylabel="share")
        axes.legend()

    return draw


if __name__ == "__main__":
    main("poisson_regression", __doc__, run)
