"""Tell what kind of thing a name names, a person, a place, .., from its characters, with one hidden layer.

    python examples/train_mlp.py
    python examples/train_mlp.py --recipe course        # as the assignment asks for it
"""

from command_line import main  # before NumPy, whose threads it limits
from training import Recipe, keep

import tapegrad as tg
from tapegrad import one_hot, relu


class CourseMLP:
    """relu(relu(x W1 + b1) W2 + b2), where x is the one-hot rows of all characters, one after the other."""

    def __init__(self, init, characters, max_len, num_hid, classes):
        self.W1, self.b1 = init.weight(max_len * characters, num_hid), init.bias(num_hid, 0.1)
        self.W2, self.b2 = init.weight(num_hid, classes), init.bias(classes, 0.1)

    def __call__(self, ids, drop=keep):
        names, max_len = ids.shape
        x = one_hot(ids, len(self.W1) // max_len, dtype=self.W1.dtype).reshape(names, -1)
        h = relu(x @ self.W1 + self.b1)
        return relu(h @ self.W2 + self.b2)


class MLP:
    """relu(x W1 + b1) W2 + b2, where x is the embeddings E of all characters, one after the other."""

    def __init__(self, init, characters, max_len, num_hid, classes):
        self.E = init.normal(characters, 16)
        self.W1, self.b1 = init.weight(max_len * 16, num_hid), init.bias(num_hid)
        self.W2, self.b2 = init.weight(num_hid, classes), init.bias(classes)

    def __call__(self, ids, drop=keep):
        x = drop(self.E[ids].reshape(len(ids), -1))
        h = drop(relu(x @ self.W1 + self.b1))
        return h @ self.W2 + self.b2


RECIPES = {
    "default": Recipe(MLP, max_len=24, num_hid=512, batch_size=64, epochs=30, init_lr=2e-3, seed=0, dropout=0.4),
    "course": Recipe(CourseMLP, max_len=10, num_hid=50, batch_size=64, epochs=15, init_lr=0.5, seed=65,
                     optimizer=tg.optim.SGD, cosine=False),
}

if __name__ == "__main__":
    main("mlp", RECIPES)
