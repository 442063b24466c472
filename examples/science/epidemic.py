"""A fixed point, differentiated implicitly: how infectious was an influenza, if two thirds fell ill?

    python examples/science/epidemic.py

Of 763 boys in a boarding school in England, 512 had influenza in January 1978. In an epidemic in which every case infects R
others at first, the share z that falls ill in the end satisfies z = 1 - exp(-R z). z is found by repetition, its derivatives by
R by the implicit function theorem: nothing of the repetitions is on the tape. The R of greatest likelihood, with its standard
error from the second derivative. Kermack and McKendrick (1927); data: British Medical Journal 1978, 1, 587.
"""

import numpy as np
from running import main

import tapegrad as tg
from tapegrad.scipy import optimize, stats

BOYS, ILL = 763, 512


def final_size(R):
    """The share that falls ill in the end, for R > 1."""
    return tg.custom_fixed_point(lambda z, R: 1 - tg.exp(-R * z), 0.9, R)


def loss(R):
    return -stats.binom.logpmf(ILL, BOYS, final_size(R))


def fit():
    """(R, its standard error)."""
    R = optimize.minimize(lambda x: loss(x[0]), np.array([2.0]), method="L-BFGS-B", bounds=[(1.1, 10.0)]).x[0]
    return R, float(tg.grad(tg.grad(loss))(R)) ** -0.5


def run():
    R, error = fit()
    slope = float(tg.grad(final_size)(R))
    print(f"R = {R:.3f} +- {error:.3f}; at R, the share {final_size(R).item():.3f} grows by {slope:.3f} for each 1 of R")
    print(f"a vaccine for {1 - 1 / R:.2f} of the boys would have brought R down to 1")

    def draw(axes):
        many = np.linspace(1.05, 3, 60)
        axes.plot(many, [final_size(x).item() for x in many])
        axes.plot(many, ILL / BOYS + slope * (many - R), "--", linewidth=1)
        axes.errorbar([R], [ILL / BOYS], xerr=[2 * error], fmt="o")
        axes.set(xlabel="R", ylabel="share that falls ill", ylim=(0, 1))

    return draw


if __name__ == "__main__":
    main("epidemic", __doc__, run)
