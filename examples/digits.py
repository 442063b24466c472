"""Handwritten digits, read by a small convolutional network.

    python examples/digits.py

1,797 pictures of 8 x 8 pixels come with scikit-learn. Two convolutions, each followed by a pool that halves the picture, and a
linear layer.
"""

import numpy as np
from module_training import Run, main

import tapegrad as tg
from tapegrad import nn
from tapegrad.data import DataLoader, TensorDataset


def network():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.25), nn.Linear(32 * 2 * 2, 10))


def run(flags):
    from sklearn.datasets import load_digits

    data = load_digits()
    x, y = (data.images[:, None] / 16).astype(np.float32), data.target
    order = np.random.default_rng(0).permutation(len(y))
    train, test = (order[:200], order[1400:1500]) if flags.quick else (order[:1400], order[1400:])
    module = network()
    loader = DataLoader(TensorDataset(x[train], y[train]), batch_size=32, shuffle=True, seed=flags.seed)

    def accuracy():
        with tg.no_grad():
            return f"{np.mean(module(tg.tensor(x[test])).data.argmax(1) == y[test]):.3f} of the other digits are read"

    Run(flags, module, lambda x, y: tg.cross_entropy(module(x), y), loader, rate=3e-3).train(accuracy)


if __name__ == "__main__":
    main("digits", __doc__, run, epochs=15)
