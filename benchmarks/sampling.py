"""Hamiltonian Monte Carlo on a logistic regression with ten parameters, the same algorithm on several libraries, in float64.

What examples/science/hamiltonian.py does, on numbers drawn at random: 569 observations, 20 leapfrog steps a sample. `WAYS` are
the two ways to write it: a gradient at a time in NumPy's loop, or the loop given to the compiler of the library as a whole.
"""

import numpy as np

SIZE, PARAMETERS, LEAPS, STEP = 569, 10, 20, 0.06
WAYS = {"a gradient at a time": ("tapegrad", "tg.compile", "jax", "autograd"), "all steps compiled": ("tg.compile", "jax")}


def observations():
    """(x, y), y is 1 or -1."""
    random = np.random.default_rng(0)
    x = random.normal(size=(SIZE, PARAMETERS))
    return x, np.where(random.random(SIZE) < 1 / (1 + np.exp(-x @ random.normal(size=PARAMETERS))), 1.0, -1.0)


def library(peer):
    """(value_and_grad of the potential, the peer's compiler of functions)."""
    x, y = observations()
    if peer in ("tapegrad", "tg.compile"):
        import tapegrad as tg

        x = tg.tensor(x)
        gradient = tg.value_and_grad(lambda w: tg.softplus(-y * (x @ w), threshold=40).sum() + (w * w).sum() / 8)
        return gradient, lambda f: tg.compile(f, fallback="error")
    if peer == "jax":
        import jax
        from jax import numpy as jnp

        jax.config.update("jax_enable_x64", True)       # for the rest of the process
        x, y = jnp.asarray(x), jnp.asarray(y)
        return jax.value_and_grad(lambda w: jax.nn.softplus(-y * (x @ w)).sum() + (w * w).sum() / 8), jax.jit
    import autograd.numpy as anp
    from autograd import value_and_grad

    return value_and_grad(lambda w: anp.logaddexp(0, -y * (x @ w)).sum() + (w * w).sum() / 8), None


def leapfrog(gradient, w, p, slope):
    """(w, p, energy, slope) a step later."""
    p = p - 0.5 * STEP * slope
    w = w + STEP * p
    energy, slope = gradient(w)
    return w, p - 0.5 * STEP * slope, energy, slope


def trajectory(peer, way):
    """A function of (w, p, slope) that makes all steps: arrays in, arrays out."""
    gradient, compiler = library(peer)
    if way == "a gradient at a time":
        gradient = gradient if compiler is None or peer == "tapegrad" else compiler(gradient)

        def at(w):
            energy, slope = gradient(w)
            return float(energy), arrayed(slope)

        def steps(w, p, slope):
            for _ in range(LEAPS):
                w, p, energy, slope = leapfrog(at, w, p, slope)
            return w, p, energy, slope

        return steps
    if peer == "jax":
        from jax import lax

        def loop(w, p, slope):
            return lax.fori_loop(0, LEAPS, lambda _, z: leapfrog(gradient, z[0], z[1], z[3]), (w, p, 0.0, slope))
    else:
        def loop(w, p, slope):
            for _ in range(LEAPS):
                w, p, energy, slope = leapfrog(gradient, w, p, slope)
            return w, p, energy, slope

    compiled = compiler(loop)

    def steps(w, p, slope):
        w, p, energy, slope = compiled(w, p, slope)
        return *map(arrayed, (w, p)), float(energy), arrayed(slope)

    return steps


def arrayed(x):
    """The array of a tensor, or of a library's own array."""
    return x.data if type(x).__module__.startswith("tapegrad") else np.asarray(x)


def sampler(peer, way):
    """A function that draws the next sample and returns it, from a seed that is the same for all."""
    steps, random = trajectory(peer, way), np.random.default_rng(1)
    state = steps(np.zeros(PARAMETERS), np.zeros(PARAMETERS), np.zeros(PARAMETERS))

    def sample():
        nonlocal state
        w, _, energy, slope = state
        p = random.normal(size=PARAMETERS)
        moved = steps(w, p, slope)
        if np.log(random.random()) < energy - moved[2] + 0.5 * (p @ p - moved[1] @ moved[1]):
            state = moved
        return state[0]

    return sample
