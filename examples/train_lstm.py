"""Tell what kind of thing a name names, a person, a place, .., from its characters, with an LSTM.

The default recipe's model is wide and deep: Cheng et al. (2016), "Wide & Deep Learning for Recommender Systems", section 3.
A linear model, which is wide, knows single pieces of names by heart; LSTMs, which are deep, tell what is like them. Their
logits are added, and they are trained in one step, so that each learns what the other does not know.

    python examples/train_lstm.py
    python examples/train_lstm.py --recipe course       # as the assignment asks for it
"""

from functools import partial

from command_line import main  # before NumPy, whose threads it limits
from names_data import PIECES, Alphabet
from training import Recipe, keep, zeros

import tapegrad as tg
from tapegrad import relu, sigmoid, tanh


class Cell:
    """One LSTM, which reads names from their first character to their last.

    Its gates are sigmoid(x_t W + h U + b), where x_t is a row for each name, made from its character at the time t.
    """

    def __init__(self, init, inputs, num_hid):
        self.W_i, self.U_i, self.b_i = init.weight(inputs, num_hid), init.weight(num_hid, num_hid), init.bias(num_hid)
        self.W_f, self.U_f, self.b_f = init.weight(inputs, num_hid), init.weight(num_hid, num_hid), init.bias(num_hid)
        self.W_o, self.U_o, self.b_o = init.weight(inputs, num_hid), init.weight(num_hid, num_hid), init.bias(num_hid)
        self.W_c, self.U_c, self.b_c = init.weight(inputs, num_hid), init.weight(num_hid, num_hid), init.bias(num_hid)

    def __call__(self, names, times, rows=None):
        """The states h_t, (names, hidden) each, after every time: times[t] says where among `rows` those of x_t are.

        Without `rows` they are one-hot. All rows go through W at once, and x_t W is then looked up; for one-hot rows that is
        W itself.
        """
        W_i, W_f, W_o, W_c = (W if rows is None else rows @ W for W in (self.W_i, self.W_f, self.W_o, self.W_c))
        h = c = zeros(names, len(self.U_i), self.U_i.dtype)
        states = []
        for x in times:
            i = sigmoid(W_i[x] + h @ self.U_i + self.b_i)
            f = sigmoid(W_f[x] + h @ self.U_f + self.b_f)
            o = sigmoid(W_o[x] + h @ self.U_o + self.b_o)
            new = tanh(W_c[x] + h @ self.U_c + self.b_c)
            c = f * c + i * new
            h = o * tanh(c)
            states.append(h)
        return states


class CourseLSTM:
    """relu(h W2 + b2), where h is the state of one cell after the last character."""

    def __init__(self, init, characters, max_len, num_hid, classes):
        self.cell = Cell(init, characters, num_hid)
        self.W2, self.b2 = init.weight(num_hid, classes), init.bias(classes, 0.1)

    def __call__(self, ids, drop=keep):
        h = self.cell(len(ids), ids.T)[-1]
        return relu(h @ self.W2 + self.b2)


class Reader:
    """h W2 + b2, where h is, for each hidden unit, the greatest value over all states of two cells.

    One cell reads the name forwards and the other backwards, and neither has to carry what it saw to the end. At each time
    they read an embedding of the character, a row of E, plus those of the pieces of 2 and more characters that end with it,
    rows of P. There are fewer rows than pieces, so that some share one.
    """

    def __init__(self, init, characters, num_hid, classes):
        self.E, self.P = init.normal(characters, 32), init.zeros(PIECES // 8, 32)
        self.forwards, self.backwards = Cell(init, 32, num_hid), Cell(init, 32, num_hid)
        self.W2, self.b2 = init.weight(2 * num_hid, classes), init.bias(classes)

    def __call__(self, ids, drop):
        names, time, _ = ids.shape
        pieces = tg.sum(self.P[ids[:, :, 1:] % len(self.P)], axis=2)
        x = tg.transpose(self.E[ids[:, :, 0]] + drop(pieces), (1, 0, 2))
        x = tg.reshape(x, (time * names, -1))                   # of all names at the first time, at the second, ..
        times = [slice(t * names, (t + 1) * names) for t in range(time)]
        forwards = tg.max(tg.stack(self.forwards(names, times, x)), axis=0)
        backwards = tg.max(tg.stack(self.backwards(names, times[::-1], x)), axis=0)
        h = drop(tg.concatenate([forwards, backwards], axis=1))
        return h @ self.W2 + self.b2


class Wide:
    """5 z / sqrt(n), where z is the sum of a row of W for each of the n characters and pieces of the name, and of a row of ends
    for each of those that it ends with. Padding counts as a piece in z, not in n.

    Adam moves an element by about its rate in a step, however rare its piece is. The 5 makes that five times the rate here.
    """

    def __init__(self, init, classes):
        self.W, self.ends = init.zeros(PIECES, classes), init.zeros(PIECES // 8, classes)

    def __call__(self, ids):
        n = (ids != Alphabet.PAD).sum(axis=(1, 2)).clip(1)[:, None]
        z = tg.sum(self.W[ids], axis=(1, 2)) + tg.sum(self.ends[ids[:, -1] % len(self.ends)], axis=1)
        return z * (5 / n ** 0.5).astype(z.dtype)


class LSTM:
    """The logits of three readers, (readers, names, labels), to each of which those of one wide part are added.

    They are trained side by side: they err in different names.
    """

    def __init__(self, init, characters, max_len, num_hid, classes):
        self.first, self.second, self.third = (Reader(init, characters, num_hid, classes) for _ in range(3))
        self.wide = Wide(init, classes)

    def __call__(self, ids, drop=keep):
        wide = self.wide(ids)
        return tg.stack([reader(ids, drop) + wide for reader in (self.first, self.second, self.third)])


RECIPES = {
    "default": Recipe(LSTM, max_len=40, num_hid=64, batch_size=64, epochs=7, init_lr=3e-3, seed=0,
                      optimizer=partial(tg.optim.AdamW, weight_decay=0.05), dropout=0.5, hidden=0.1, longest=5, crossed=0.5,
                      smoothing=0.05, bucket=8),
    "course": Recipe(CourseLSTM, max_len=10, num_hid=50, batch_size=64, epochs=15, init_lr=0.5, seed=11,
                     optimizer=tg.optim.SGD, cosine=False),
}

if __name__ == "__main__":
    main("lstm", RECIPES)
