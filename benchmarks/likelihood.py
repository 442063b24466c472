"""Value and gradient of a Gaussian process's log marginal likelihood, float64, on tapegrad and on PyTorch, in turns.

    python benchmarks/likelihood.py                     100, 400 and 1000 points
    python benchmarks/likelihood.py --points 200 --seconds 5

The covariance is that of a squared exponential with a length per column, plus noise; its squared distances are written in two
ways: from a matrix product, and from the differences of all pairs of points. Then a Cholesky factor and one triangular system.
"""

import argparse
import os

for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"         # before NumPy is loaded

import numpy as np  # noqa: E402
from interleave import interleave, timed  # noqa: E402

COLUMNS = 3
PARAMETERS = np.array([0.0, -1.0, *np.linspace(0.1, 0.3, COLUMNS)])     # logarithms: scale, noise, lengths


def by_product(scaled):
    return (scaled * scaled).sum(1)[:, None] + (scaled * scaled).sum(1) - 2 * scaled @ scaled.T


def by_differences(scaled):
    return ((scaled[:, None, :] - scaled[None, :, :]) ** 2).sum(-1)


def negative_likelihood(F, solve, distances, x, y, eye):
    """The function of the parameters, written with the functions of a library."""
    def loss(p):
        squared = distances(x / F.exp(p[2:]))
        factor = F.linalg.cholesky(F.exp(2 * p[0] - 0.5 * squared) + F.exp(2 * p[1]) * eye)
        white = solve(factor, y)
        return 0.5 * (white * white).sum() + F.log(F.diagonal(factor)).sum()

    return loss


def runs_of(distances, points):
    """{library: what computes the value and the gradient}."""
    import torch

    import tapegrad as tg

    torch.set_num_threads(1)
    x = np.random.default_rng(0).normal(size=(points, COLUMNS))
    data = x, np.sin(x.sum(1)), np.eye(points)
    ours = tg.value_and_grad(negative_likelihood(tg, tg.linalg.solve, distances, *data))
    theirs = negative_likelihood(torch, lambda a, b: torch.linalg.solve_triangular(a, b[:, None], upper=False)[:, 0], distances,
                                 *map(torch.tensor, data))

    def of_torch():
        p = torch.tensor(PARAMETERS, requires_grad=True)
        value = theirs(p)
        value.backward()
        return value.item(), p.grad.numpy()

    return {"tapegrad": lambda: ours(PARAMETERS), "PyTorch": of_torch}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, nargs="+", default=[100, 400, 1000])
    parser.add_argument("--seconds", type=float, default=4.0, help="per row (default 4)")
    options = parser.parse_args(arguments)
    print("| squared distances | points | tapegrad, ms | PyTorch, ms | ratio |\n|---|---|---|---|---|")
    for distances in (by_product, by_differences):
        for points in options.points:
            runs = runs_of(distances, points)
            (value, gradient), (expected, slope) = [run() for run in runs.values()]
            np.testing.assert_allclose([float(value), *gradient], [expected, *slope], rtol=1e-6)
            repeats = max(1, int(0.005 / timed(runs["tapegrad"])()))
            found = interleave({name: timed(run, repeats) for name, run in runs.items()}, options.seconds, "PyTorch")
            (ours, ratio), (theirs, _) = found["tapegrad"], found["PyTorch"]
            print(f"| {distances.__name__} | {points} | {ours * 1e3:.2f} | {theirs * 1e3:.2f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
