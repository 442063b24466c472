"""The parameters of a differential equation, fitted to data through its solution, compiled.

    python examples/science/predator_prey.py

Furs of hares and lynxes, in thousands, that trappers sold to the Hudson's Bay Company from 1900 to 1920. Lotka and Volterra:

    hares' = (a - b lynxes) hares        lynxes' = (d hares - c) lynxes

The solution is a Python loop of Runge-Kutta steps over two scalars, and the loss the squared errors of its logarithms in every
year. `tg.compile` makes one loop over machine numbers of it, and of its reverse sweep. Data: C. G. Hewitt, The Conservation of
the Wild Life of Canada (1921).
"""

import numpy as np
from running import main

import tapegrad as tg
from tapegrad.scipy import optimize

YEARS = np.arange(1900, 1921)
HARES = np.array([30, 47.2, 70.2, 77.4, 36.3, 20.6, 18.1, 21.4, 22, 25.4, 27.1, 40.3, 57, 76.6, 52.3, 19.5, 11.2, 7.6, 14.6,
                  16.2, 24.7])
LYNXES = np.array([4, 6.1, 9.8, 35.2, 59.4, 41.7, 19, 13, 8.3, 9.1, 7.4, 8, 12.3, 19.5, 45.7, 51.1, 29.7, 15.8, 9.7, 10.1, 8.6])
START = np.log([0.5, 0.025, 0.8, 0.025, 30.0, 5.0])     # of a, b, c, d, and the animals of 1900
STEPS = 20                                              # of Runge and Kutta in a year


def slope(u, v, a, b, c, d):
    """The derivatives of the logarithms u and v of the two numbers by time."""
    return a - b * tg.exp(v), d * tg.exp(u) - c


def step(u, v, rates, h):
    """The classical rule of order 4."""
    k1, l1 = slope(u, v, *rates)
    k2, l2 = slope(u + 0.5 * h * k1, v + 0.5 * h * l1, *rates)
    k3, l3 = slope(u + 0.5 * h * k2, v + 0.5 * h * l2, *rates)
    k4, l4 = slope(u + h * k3, v + h * l3, *rates)
    return u + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), v + h / 6 * (l1 + 2 * l2 + 2 * l3 + l4)


def solution(logarithms, steps=STEPS):
    """The logarithms of hares and lynxes at the beginning of every year."""
    rates, u, v = [tg.exp(x) for x in logarithms[:4]], logarithms[4], logarithms[5]
    found = [(u, v)]
    for _ in YEARS[1:]:
        for _ in range(steps):
            u, v = step(u, v, rates, 1 / steps)
        found.append((u, v))
    return [tg.stack(part) for part in zip(*found)]


@tg.compile
def loss(logarithms):
    u, v = solution(logarithms)
    return ((u - np.log(HARES)) ** 2).sum() + ((v - np.log(LYNXES)) ** 2).sum()


def fit(steps=200):
    return optimize.minimize(loss, START, method="BFGS", options={"maxiter": steps})


def run():
    found = fit()
    a, b, c, d, hares, lynxes = np.exp(found.x)
    error = np.sqrt(found.fun / (2 * len(YEARS) - len(found.x)))
    print(f"a = {a:.3f}, b = {b:.4f}, c = {c:.3f}, d = {d:.4f}; in 1900 {hares:.1f} and {lynxes:.1f} thousand")
    print(f"{found.nfev} evaluations; the numbers of a year are off by a factor of {np.exp(error):.2f}")

    def draw(axes):
        for name, data, line in zip(("hares", "lynxes"), (HARES, LYNXES), solution(tg.tensor(found.x))):
            axes.plot(YEARS, data, "o", label=name)
            axes.plot(YEARS, np.exp(line.data), color=axes.lines[-1].get_color())
        axes.set(ylabel="thousands of furs", xticks=YEARS[::5])
        axes.legend()

    return draw


if __name__ == "__main__":
    main("predator_prey", __doc__, run)
