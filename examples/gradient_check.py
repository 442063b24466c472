"""Do the gradients of a model agree with central differences?"""

import numpy as np
from training import loss_of, parameters

import tapegrad as tg

TOLERANCE = 1e-7


def largest_difference(model, ids, y, samples=2, eps=1e-6):
    """The largest |dloss/dx - (loss(x + eps) - loss(x - eps)) / (2 eps)| over some elements x of each parameter.

    Half of the elements are chosen where the gradient is not 0: most characters do not occur in a small batch. The
    model should be of float64.
    """
    rng = np.random.default_rng(0)
    loss = loss_of(model(ids), y)
    loss.backward()
    largest = 0.0
    for parameter in parameters(model).values():
        gradient, parameter.grad = parameter.grad, None
        flowing = np.flatnonzero(gradient)
        chosen = rng.integers(gradient.size, size=samples)
        if flowing.size:
            chosen = np.append(chosen, rng.choice(flowing, samples))
        for k in np.unique(chosen):
            where = np.unravel_index(k, gradient.shape)
            x = parameter.data[where]
            above, below = (_loss_at(model, ids, y, parameter, where, x + side) for side in (eps, -eps))
            parameter.data[where] = x
            largest = max(largest, abs(gradient[where] - (above - below) / (2 * eps)))
    return largest


@tg.no_grad()
def _loss_at(model, ids, y, parameter, where, value):
    parameter.data[where] = value
    return loss_of(model(ids), y).item()
