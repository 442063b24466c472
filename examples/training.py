"""Training a model that maps character ids to logits: batches, the loop, evaluation, and the gradient check.

A model is an object whose attributes are its parameters, tensors, or parts that have parameters in turn. It is called
as `model(ids, drop)`, and applies `drop` to what is to be dropped out in training. It returns logits, or those of several
readers, whose losses and probabilities are averaged.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import cos, pi

import numpy as np
from names_data import Alphabet
from tqdm import tqdm

import tapegrad as tg

DIVERGED = 1e3          # a loss of nats per name: that of equally probable labels is below 2


@dataclass(frozen=True)
class Recipe:
    """A model and how it is trained."""

    model: type
    max_len: int                # characters of a name that are read
    num_hid: int                # hidden units
    batch_size: int
    epochs: int
    init_lr: float
    seed: int
    optimizer: Callable = tg.optim.Adam
    cosine: bool = True         # the rate falls to 0 along a cosine; otherwise it is constant
    dropout: float = 0.0        # share of what the model drops that is set to 0
    hidden: float = 0.0         # share of the training characters that become UNKNOWN, so that it learns what these are
    longest: int = 1            # the ids of a character are its own and those of the pieces of 2 to so many that end with it
    crossed: float = 0.0        # share of the training names that are crossed with another of their label
    smoothing: float = 0.0      # share of the uniform distribution in the labels that are trained for
    bucket: int = 0             # batches are of names of one length, rounded up to a multiple of this; 0: of any length


def parameters(model, prefix=""):
    """The tensors of a model by name: `W2`, and `cell.W_i` for those of its part `cell`."""
    found = {}
    for name, value in vars(model).items():
        found |= {prefix + name: value} if isinstance(value, tg.Tensor) else parameters(value, f"{prefix}{name}.")
    return found


class Stopped(Exception):
    """Training has ended before its last epoch. `code` is the exit code; `saved` says what is left of it."""

    def __init__(self, why, code):
        super().__init__(why)
        self.code, self.saved = code, "nothing was saved"


class Init:
    """Makes the parameters of a model."""

    def __init__(self, seed, dtype):
        self.rng, self.dtype = np.random.default_rng(seed), dtype

    def weight(self, fan_in, fan_out):
        """Uniform on (-a, a) with a = sqrt(6 / (fan_in + fan_out)): Glorot and Bengio (2010)."""
        a = np.sqrt(6 / (fan_in + fan_out))
        return tg.tensor(self.rng.uniform(-a, a, (fan_in, fan_out)), dtype=self.dtype, requires_grad=True)

    def normal(self, rows, columns):
        """Standard normal: the embeddings of characters."""
        return tg.tensor(self.rng.normal(size=(rows, columns)), dtype=self.dtype, requires_grad=True)

    def zeros(self, rows, columns):
        return tg.tensor(np.zeros((rows, columns)), dtype=self.dtype, requires_grad=True)

    def bias(self, n, value=0.0):
        return tg.tensor(np.full(n, value), dtype=self.dtype, requires_grad=True)


def zeros(rows, columns, dtype):
    """A constant, (rows, columns) of 0."""
    return tg.tensor(np.zeros((rows, columns), dtype))


def keep(x):
    """What stands for dropout outside of training."""
    return x


def hide(ids, share, rng):
    """The ids with UNKNOWN in place of a share of the characters."""
    return np.where((rng.random(ids.shape) < share) & (ids != Alphabet.PAD), Alphabet.UNKNOWN, ids) if share else ids


def batches(ids, y, size, rng=None, bucket=0):
    """A list of (ids, y) of at most `size` names, shuffled by `rng`.

    With a `bucket`, the names of a batch have one length, rounded up to a multiple of it, and the padding beyond that is cut
    off. Names that are shuffled then come in full batches, the last of a length filled up with some of this length again: a
    training step is compiled for each shape.
    """
    order = np.arange(len(y)) if rng is None else rng.permutation(len(y))
    if not bucket:
        return [(ids[i], y[i]) for i in np.split(order, range(size, len(y), size))]
    characters = ids[order] if ids.ndim == 2 else ids[order, :, 0]
    length = np.maximum((characters != Alphabet.PAD).sum(axis=1), 1)
    length = np.minimum(-(-length // bucket) * bucket, ids.shape[1])
    cut = []
    for n in np.unique(length):
        of_length = order[length == n]
        if rng is not None:
            of_length = np.resize(of_length, -(-len(of_length) // size) * size)
        cut += [(ids[i, -n:], y[i]) for i in np.split(of_length, range(size, len(of_length), size))]
    if rng is not None:
        rng.shuffle(cut)
    return cut


def loss_of(logits, y, smoothing=0.0):
    """The mean cross-entropy of logits, (names, labels), or of those of several readers, (readers, names, labels)."""
    if logits.ndim == 2:
        return tg.cross_entropy(logits, y, label_smoothing=smoothing)
    return sum([loss_of(z, y, smoothing) for z in logits]) / len(logits)


def figures(p, y):
    """(mean loss, accuracy, predicted labels) of (names, labels) probabilities."""
    predicted = p.argmax(axis=1)
    return -np.log(p[np.arange(len(y)), y]).mean(), (predicted == y).mean(), predicted


def evaluate(model, ids, y, bucket=0):
    """The figures of what a model predicts."""
    return figures(predict(model, ids, bucket), y)


@tg.no_grad()
def predict(model, ids, bucket=0):
    """(names, labels) probabilities, the means of those of a model's readers."""
    positions = np.arange(len(ids))
    found = {}
    for batch, where in batches(ids, positions, 500, bucket=bucket):
        p = tg.softmax(model(batch).astype("float64")).data
        found.update(zip(where, p.mean(axis=0) if p.ndim == 3 else p))
    return np.array([found[i] for i in positions])


def train(model, draw, validation, recipe, report, compiled=True):
    """Train on what draw(rng) gives for each epoch, (ids, y), and leave the model with the weights that had the least loss on
    the (ids, y) `validation`.

    The step is compiled by tg.compile, or, without `compiled`, run as it is written.

    Returns a row per epoch, which `report` is called with: loss, accuracy, validation loss and accuracy, seconds; and None,
    or why it stopped before the last epoch: Ctrl-C, or a loss that is not a number any more, or absurdly large.
    """
    rng = np.random.default_rng(recipe.seed)
    tg.manual_seed(recipe.seed)
    optimizer = recipe.optimizer(parameters(model).values(), lr=recipe.init_lr)
    step = step_of(model, optimizer, recipe)
    if compiled:
        step = tg.compile(step)
    history, best, best_weights = [], evaluate(model, *validation, recipe.bucket)[0], copies(model)
    try:
        for row in epochs(model, draw, validation, recipe, optimizer, step, rng):
            if row[2] < best:
                best, best_weights = row[2], copies(model)
            history.append(row)
            report(len(history), *row)
        stopped = None
    except KeyboardInterrupt:
        stopped = Stopped(f"interrupted in epoch {len(history) + 1}", 130)
    except Stopped as diverged:
        stopped = diverged
    for name, parameter in parameters(model).items():
        parameter.data = best_weights[name]
    return history, stopped


def step_of(model, optimizer, recipe):
    """The step of training with a batch: a function of ids and y that returns loss and logits."""
    drop = partial(tg.dropout, p=recipe.dropout) if recipe.dropout else keep
    smoothing = recipe.smoothing

    def step(ids, y):
        logits = model(ids, drop)
        loss = loss_of(logits, y, smoothing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss, logits

    return step


def epochs(model, draw, validation, recipe, optimizer, step, rng):
    """Train, and yield a row per epoch; Stopped if the loss says that this leads nowhere."""
    for epoch in range(recipe.epochs):
        start, loss_sum, hits, seen = time.perf_counter(), 0.0, 0, 0
        todo = batches(*draw(rng), recipe.batch_size, rng, recipe.bucket)
        bar = tqdm(todo, desc=f"epoch {epoch + 1}", unit="batch", leave=False, disable=None)
        for i, (ids, y) in enumerate(bar):
            if recipe.cosine:
                optimizer.lr = recipe.init_lr * (1 + cos(pi * (epoch + i / len(todo)) / recipe.epochs)) / 2
            loss, logits = step(hide(ids, recipe.hidden, rng), y)
            if not loss.item() < DIVERGED:
                bar.close()
                raise Stopped(f"the loss is {loss.item():.3g} in batch {i + 1} of epoch {epoch + 1}: training diverges at a "
                              f"learning rate of {optimizer.lr:.3g}; try a smaller --init-lr", 1)

            seen += len(y)
            loss_sum += loss.item() * len(y)
            hits += np.mean(logits.argmax(axis=-1).data == y) * len(y)
            bar.set_postfix(loss=f"{loss_sum / seen:.3f}", accuracy=f"{hits / seen:.3f}", refresh=False)
        seconds = time.perf_counter() - start
        valid_loss, valid_accuracy, _ = evaluate(model, *validation, recipe.bucket)
        yield loss_sum / seen, hits / seen, valid_loss, valid_accuracy, seconds


def copies(model):
    """The values of the parameters by name."""
    return {name: parameter.data.copy() for name, parameter in parameters(model).items()}
