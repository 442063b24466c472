"""A Gaussian process, its length scales fitted by the gradient of the marginal likelihood.

    python examples/science/gaussian_process.py

From four measurements of 442 patients, the progression of their diabetes a year later (the data come with scikit-learn). The
covariance of two patients is s^2 exp(-|x - x'|^2 / 2), each measurement divided by a length scale of its own, and that of a
patient with itself has the noise besides. What does not matter gets a long scale. Rasmussen and Williams, Gaussian Processes
for Machine Learning (2006), chapter 5.
"""

import numpy as np
from running import main

import tapegrad as tg
from tapegrad.scipy import optimize

FEATURES = ("bmi", "bp", "s5", "age")


def covariance(parameters, x, z):
    """Of the rows of x and z; parameters are logarithms: s, the noise, and a length per column."""
    scaled, others = x / tg.exp(parameters[2:]), z / tg.exp(parameters[2:])
    distances = (scaled * scaled).sum(1)[:, None] + (others * others).sum(1) - 2 * scaled @ others.T
    return tg.exp(2 * parameters[0] - 0.5 * distances)


def loss(parameters, x, y):
    """The negative logarithm of the marginal likelihood, without its constant."""
    noise = tg.exp(2 * parameters[1]) * np.eye(len(x))
    factor = tg.linalg.cholesky(covariance(parameters, x, x) + noise)
    white = tg.linalg.solve(factor, y)
    return 0.5 * (white * white).sum() + tg.log(tg.diagonal(factor)).sum()


def fit(x, y, steps=60):
    start = np.zeros(2 + x.shape[1])
    return optimize.minimize(lambda p: loss(p, x, y), start, method="L-BFGS-B", options={"maxiter": steps}).x


def predict(parameters, x, y, z):
    """(mean, standard deviation) of y at the rows of z."""
    p = tg.tensor(parameters)
    K = covariance(p, x, x).data + np.exp(2 * parameters[1]) * np.eye(len(x))
    across = covariance(p, z, x).data
    variance = np.exp(2 * parameters[0]) - (across * np.linalg.solve(K, across.T).T).sum(1) + np.exp(2 * parameters[1])
    return across @ np.linalg.solve(K, y), np.sqrt(variance)


def run():
    from sklearn.datasets import load_diabetes

    data = load_diabetes()
    x = data.data[:, [data.feature_names.index(name) for name in FEATURES]]
    x, y = x / x.std(0), (data.target - data.target.mean()) / data.target.std()
    order = np.random.default_rng(0).permutation(len(x))
    train, test = order[:300], order[300:]
    parameters = fit(x[train], y[train])
    mean, deviation = predict(parameters, x[train], y[train], x[test])
    lengths = ", ".join(f"{name} {length:.2f}" for name, length in zip(FEATURES, np.exp(parameters[2:])))
    print(f"length scales: {lengths}; noise {np.exp(parameters[1]):.2f}")
    print(f"of the variance of the other patients {1 - np.mean((y[test] - mean) ** 2) / np.var(y[test]):.2f} is explained; "
          f"{np.mean(abs(y[test] - mean) < 2 * deviation):.2f} are within two standard deviations")

    def draw(axes):
        grid = np.linspace(x[:, 0].min(), x[:, 0].max(), 100)
        at = np.zeros((100, len(FEATURES)))
        at[:, 0] = grid
        middle, width = predict(parameters, x[train], y[train], at)
        axes.plot(x[:, 0], y, ".", color="0.6")
        axes.plot(grid, middle)
        axes.fill_between(grid, middle - 2 * width, middle + 2 * width, alpha=0.2)
        axes.set(xlabel=f"{FEATURES[0]}, the others at their means", ylabel="progression")

    return draw


if __name__ == "__main__":
    main("gaussian_process", __doc__, run)
