"""Fit a model with an optimiser of SciPy: value_and_grad is what `minimize(.., jac=True)` asks for.

    python examples/fit_scipy.py

The model is multinomial logistic regression: p = softmax(x W + b), where x says which pairs of neighbouring characters a
name has. Its loss is convex, and L-BFGS, which needs the gradient at every step, finds the minimum.
"""

import argparse
from collections import Counter

import numpy as np
from names_data import InputError, read_shipped

import tapegrad as tg

PAIRS, PENALTY = 800, 1e-4


def pairs(name):
    marked = f"^{name.lower()}$"
    return {marked[i:i + 2] for i in range(len(marked) - 1)}


def features(names, known):
    """(names, pairs): 1.0 where the name has the pair."""
    return np.array([[pair in found for pair in known] for found in map(pairs, names)], dtype=float)


def loss(w, x, y, classes):
    """Mean cross-entropy, and a penalty on W; w holds W and b, one after the other."""
    W, b = w[:-classes].reshape(-1, classes), w[-classes:]
    return tg.cross_entropy(x @ W + b, y) + PENALTY * (W * W).sum()


def accuracy(w, x, y, classes):
    W, b = w[:-classes].reshape(-1, classes), w[-classes:]
    return np.mean((x @ W + b).argmax(axis=1) == y)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    try:
        from scipy.optimize import minimize
        data = read_shipped()
    except ModuleNotFoundError:
        parser.exit(2, f"{parser.prog}: error: this example needs SciPy: pip install scipy\n")
    except InputError as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, f"\n{parser.prog}: interrupted\n")
    classes = len(data.labels)
    counts = Counter(pair for name in data.train.names for pair in pairs(name))
    known = [pair for pair, _ in counts.most_common(PAIRS)]
    x = tg.tensor(features(data.train.names, known))
    found = minimize(tg.value_and_grad(loss), np.zeros((len(known) + 1) * classes), args=(x, data.train.y, classes), jac=True,
                     method="L-BFGS-B", options={"maxiter": 300})
    print(f"{found.nit} iterations, {found.nfev} evaluations: {found.message}")
    print(f"loss {found.fun:.4f}, largest element of its gradient {np.abs(found.jac).max():.1e}")
    for part in (data.train, data.valid, data.test):
        print(f"{part.name} accuracy {accuracy(found.x, features(part.names, known), part.y, classes):.3f}")


if __name__ == "__main__":
    main()
