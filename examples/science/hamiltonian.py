"""Hamiltonian Monte Carlo: samples of a posterior distribution, by its gradient.

    python examples/science/hamiltonian.py

Is a breast tumour malignant? Logistic regression on ten measurements of 569 (they come with scikit-learn), each coefficient
normal with deviation 2 beforehand. A sample is a ball that rolls through the negative logarithm of the posterior for a while
with a random momentum; where it stops is the next one, unless the error in its energy says no. Neal, MCMC using Hamiltonian
dynamics (2011).
"""

import numpy as np
from running import main

import tapegrad as tg


def potential(w, x, y):
    """The negative logarithm of the posterior, without its constant; y is 1 or -1."""
    return tg.softplus(-y * (x @ w)).sum() + (w * w).sum() / 8


def sample(gradient, start, samples, step=0.06, leaps=20, seed=0):
    """(samples, share of accepted ones), of a density whose potential and gradient are `gradient(w)`."""
    random = np.random.default_rng(seed)
    w, (energy, slope) = start, gradient(start)
    found, accepted = [], 0
    for _ in range(samples):
        momentum = random.normal(size=w.shape)
        at, new_energy, new_slope, p = w, energy, slope, momentum
        for _ in range(leaps):
            p = p - 0.5 * step * new_slope
            at = at + step * p
            new_energy, new_slope = gradient(at)
            p = p - 0.5 * step * new_slope
        if np.log(random.random()) < energy - new_energy + 0.5 * (momentum @ momentum - p @ p):
            w, energy, slope, accepted = at, new_energy, new_slope, accepted + 1
        found.append(w)
    return np.array(found), accepted / samples


def run(samples=1000):
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    x = tg.tensor((data.data[:, :10] - data.data[:, :10].mean(0)) / data.data[:, :10].std(0))
    y = np.where(data.target == 0, 1.0, -1.0)           # 0 is malignant there
    found, accepted = sample(tg.value_and_grad(lambda w: potential(w, x, y)), np.zeros(10), samples)
    found = found[samples // 5:]
    print(f"{samples} samples, {accepted:.2f} accepted; the first fifth is left out")
    for name, mean, deviation in zip(data.feature_names, found.mean(0), found.std(0)):
        print(f"{name.removeprefix('mean '):>18}: {mean:6.2f} +- {deviation:.2f}")

    def draw(axes):
        axes.violinplot(found, orientation="horizontal", showmeans=True, showextrema=False)
        axes.axvline(0, color="0.6", linewidth=1)
        axes.set_yticks(range(1, 11), [name.removeprefix("mean ") for name in data.feature_names[:10]])
        axes.set(xlabel="coefficient, in standard deviations of the measurement")

    return draw


if __name__ == "__main__":
    main("hamiltonian", __doc__, run)
