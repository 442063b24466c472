"""What kind of thing a name names, told by a small transformer.

    python examples/transformer.py

The characters of a name and their places, embedded, go through two blocks of self-attention; the mean over the characters says
the kind. The examples of the course do the same with an LSTM, whose steps follow each other.
"""

import numpy as np
from module_training import Run, main
from names_data import Alphabet, read_shipped

import tapegrad as tg
from tapegrad import nn
from tapegrad.data import BucketBatchSampler, DataLoader, TensorDataset

LONGEST = 40


class Reader(nn.Module):
    def __init__(self, characters, kinds, width=64):
        super().__init__()
        self.character, self.place = nn.Embedding(characters, width), nn.Embedding(LONGEST, width)
        self.blocks = nn.ModuleList([nn.TransformerEncoderLayer(
            width, 4, 2 * width, dropout=0.1, activation="gelu", batch_first=True, norm_first=True) for _ in range(2)])
        self.norm, self.kind = nn.LayerNorm(width), nn.Linear(width, kinds)

    def forward(self, ids):
        """Scores of the kinds (N, kinds) of names (N, LONGEST); only as many characters are read as the longest has."""
        ids = ids[:, (ids == Alphabet.PAD).all(0).argmin():]
        padding = ids == Alphabet.PAD
        h = self.character(ids) + self.place(np.arange(ids.shape[1])[::-1])
        for block in self.blocks:
            h = block(h, src_key_padding_mask=padding)
        weights = (~padding / np.maximum((~padding).sum(1, keepdims=True), 1)).astype(np.float32)
        return self.kind((self.norm(h) * weights[..., None]).sum(1))


def run(flags):
    data = read_shipped()
    parts = [part.some(400) if flags.quick else part for part in (data.train, data.test)]
    alphabet = Alphabet.of(data.train.names)
    (x, y), (test_x, test_y) = [(alphabet.encode(part.names, LONGEST), part.y) for part in parts]
    module = Reader(len(alphabet), len(data.labels))

    def accuracy():
        with tg.no_grad():
            found = np.concatenate([module(rows).data.argmax(1) for rows in np.array_split(test_x, 20)])
        return f"{np.mean(found == test_y):.3f} of the test names are told"

    sampler = BucketBatchSampler((x != Alphabet.PAD).sum(1), 64, seed=flags.seed)
    loader = DataLoader(TensorDataset(x, y), batch_sampler=sampler)
    Run(flags, module, lambda x, y: tg.cross_entropy(module(x), y), loader, rate=2e-3).train(accuracy)


if __name__ == "__main__":
    main("transformer", __doc__, run, epochs=8)
