"""A baseline that any network should be compared with: a linear classifier on the n-grams of a name.

A name is the bag of its pieces of 1 to 5 characters, with marks for its beginning and end; each piece is hashed to one
of 2^18 rows of a matrix, and the logits are the sum of these rows over the square root of their number. The gradient
of so few rows is written by hand here, in plain NumPy.
"""

import numpy as np

BITS = 18
BUCKETS = 2 ** BITS
LONGEST = 5


def ngrams(names):
    """(names, pieces) buckets of the pieces of each name; BUCKETS where a shorter name has no piece."""
    marked = [f"\x02{name}\x03" for name in names]
    width = max(map(len, marked))
    codes = np.array([list(map(ord, name)) + [0] * (width - len(name)) for name in marked], dtype=np.uint64)
    pieces, hashed = [], np.zeros_like(codes)
    for n in range(LONGEST):
        last = codes[:, n:]
        hashed = hashed[:, :last.shape[1]] * np.uint64(0x100000001B3) + last        # as FNV does, modulo 2^64
        buckets = (hashed * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - BITS)
        pieces.append(np.where(last > 0, buckets, BUCKETS))
    return np.concatenate(pieces, axis=1).astype(np.int64)


class NgramClassifier:
    """softmax(sum of W[pieces] / sqrt(number of pieces)); the last row of W stays 0 and stands for no piece."""

    def __init__(self, classes):
        self.W = np.zeros((BUCKETS + 1, classes))
        self.squares = np.full_like(self.W, 1e-8)

    def predict(self, pieces):
        """(names, classes) probabilities, and (names, 1) what the sums were divided by."""
        scale = np.sqrt((pieces < BUCKETS).sum(axis=1, keepdims=True))
        logits = self.W[pieces].sum(axis=1) / scale
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True), scale

    def step(self, pieces, y, rate):
        """One step of AdaGrad (Duchi, Hazan and Singer, 2011) on the rows that occur."""
        p, scale = self.predict(pieces)
        p[np.arange(len(y)), y] -= 1
        rows, place = np.unique(pieces, return_inverse=True)
        g = np.zeros((len(rows), p.shape[1]))
        np.add.at(g, place.reshape(pieces.shape), (p / scale)[:, None, :])
        g[rows == BUCKETS] = 0
        self.squares[rows] += g * g
        self.W[rows] -= rate * g / np.sqrt(self.squares[rows])


def baseline(train, test, classes, epochs=3, rate=0.3, batch_size=128):
    """(names, classes) probabilities of the Part `test`, of a classifier trained on the Part `train`."""
    rng = np.random.default_rng(0)
    pieces, classifier = ngrams(train.names), NgramClassifier(classes)
    for _ in range(epochs):
        for i in np.split(rng.permutation(len(train)), range(batch_size, len(train), batch_size)):
            classifier.step(pieces[i], train.y[i], rate)
    return classifier.predict(ngrams(test.names))[0]
