"""Names written letter by letter, by a recurrent network that has read names.

    python examples/letters.py

A GRU reads the letters of a name and says at each place which letter comes next, given the kind of thing that is named. A new
name is drawn letter by letter, each from the probabilities that the network gives after those before.
"""

import numpy as np
from module_training import Run, main
from names_data import read_shipped

import tapegrad as tg
from tapegrad import nn
from tapegrad.data import BucketBatchSampler, DataLoader, pad_sequence

END = "\n"                                              # before the first letter, and after the last
IGNORED = -100


class Writer(nn.Module):
    def __init__(self, letters, kinds, width=128):
        super().__init__()
        self.letter, self.kind = nn.Embedding(letters, width // 2), nn.Embedding(kinds, width // 2)
        self.gru, self.next = nn.GRU(width, width, batch_first=True), nn.Linear(width, letters)

    def forward(self, letters, kinds, state=None):
        """(scores of the next letter (N, times, letters), state) after letters (N, times) of names of kinds (N,)."""
        kinds = tg.repeat(self.kind(kinds)[:, None], letters.shape[1], axis=1)
        h, state = self.gru(tg.concatenate([self.letter(letters), kinds], -1), state)
        return self.next(h), state


def draw(module, letters, kind, random, longest=40):
    """A new name of a kind."""
    at, state, name = letters.index(END), None, ""
    with tg.no_grad():
        while len(name) < longest:
            scores, state = module(np.array([[at]]), np.array([kind]), state)
            p = tg.softmax(scores[0, 0] / 0.8, axis=-1).data.astype(float)      # sharper than what was learned
            at = random.choice(len(p), p=p / p.sum())
            if letters[at] == END:
                break
            name += letters[at]
    return name


def run(flags):
    data = read_shipped()
    part = data.train.some(600) if flags.quick else data.train
    letters = sorted({END}.union(*data.train.names))
    number = {letter: k for k, letter in enumerate(letters)}
    lines = [np.array([number[letter] for letter in END + name + END]) for name in part.names]
    module = Writer(len(letters), len(data.labels))

    def batch(items):
        lines, kinds = zip(*items)
        shown = pad_sequence([line[:-1] for line in lines], batch_first=True)
        wanted = pad_sequence([line[1:] for line in lines], batch_first=True, padding_value=IGNORED)
        return shown.data.astype(int), wanted.data.astype(int), np.array(kinds)

    def loss(shown, wanted, kinds):
        scores, _ = module(shown, kinds)
        return tg.cross_entropy(tg.reshape(scores, (-1, len(letters))), wanted.ravel(), ignore_index=IGNORED)

    def some():
        random = np.random.default_rng(flags.seed)
        return ", ".join(f"{draw(module, letters, k, random)} ({label})" for k, label in enumerate(data.labels))

    sampler = BucketBatchSampler([len(line) for line in lines], 64, seed=flags.seed)
    loader = DataLoader(list(zip(lines, part.y)), batch_sampler=sampler, collate_fn=batch)
    Run(flags, module, loss, loader, rate=5e-3).train(some)


if __name__ == "__main__":
    main("letters", __doc__, run, epochs=5)
