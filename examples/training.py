"""Training a model that maps character ids to logits: batches, the loop, evaluation, and the gradient check.

A model is an object whose attributes are its parameters, tensors, or parts that have parameters in turn. It is called
as `model(ids, drop)`, and applies `drop` to what is to be dropped out in training. It returns logits, or those of several
readers, whose losses and probabilities are averaged.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi

import numpy as np
from names_data import Alphabet
from tqdm import tqdm

import tapegrad as tg
from tapegrad.distributed import DataParallel, all_reduce, share

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


def dropout(rate, names, first):
    """x * mask / (1 - rate), where a new mask sets each element to 0 with probability `rate`.

    x has a row for each name that this process has, from the `first` on, of the `names` of a batch; the mask is drawn for all,
    so that several processes drop what one would.
    """
    def drop(x):
        mask = tg.dropout(tg.ones((names, *x.shape[1:]), dtype=x.dtype), rate)
        return x * mask[first:first + len(x)]

    return drop if rate else keep


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


class Run:
    """What a training run is made of, and where it is; a checkpoint holds all of it. `loss` is that of the first weights.

    draw(rng) gives the (ids, y) of an epoch.

    order   the state that rng had at the start of the epoch; its names are drawn, and its batches shuffled, by that
    step    the number of batches that the epoch has had, from which there are the sums, and the seconds
    """

    def __init__(self, model, recipe, loss):
        self.model, self.rng = model, np.random.default_rng(recipe.seed)
        tg.manual_seed(recipe.seed)
        self.optimizer = recipe.optimizer(parameters(model).values(), lr=recipe.init_lr)
        self.history, self.best, self.best_weights, self.order = [], loss, copies(model), {}
        self.begin_epoch()

    def begin_epoch(self):
        self.step, self.loss_sum, self.hits, self.seen, self.seconds = 0, 0.0, 0.0, 0, 0.0

    def batches(self, draw, recipe):
        """Those of this epoch, in the order that it began with."""
        now = self.rng.bit_generator.state
        self.order = self.rng.bit_generator.state = self.order if self.step else now
        todo = batches(*draw(self.rng), recipe.batch_size, self.rng, recipe.bucket)
        if self.step:
            self.rng.bit_generator.state = now
        return todo


def train(run, draw, validation, recipe, report, checkpoint, compiled=True):
    """Train on what draw(rng) gives for each epoch, (ids, y), and leave the run's model with the weights that had the least
    loss on the (ids, y) `validation`.

    The step is compiled by tg.compile, or, without `compiled`, run as it is written.

    Returns a row per epoch, which `report` is called with: loss, accuracy, validation loss and accuracy, seconds; and None,
    or why it stopped before the last epoch: Ctrl-C, a checkpoint that can't be written, or a loss that is not a number any
    more, or absurdly large.
    """
    stopped = None
    try:
        with checkpoint:
            for row in epochs(run, draw, validation, recipe, checkpoint, compiled):
                if row[2] < run.best:
                    run.best, run.best_weights = row[2], copies(run.model)
                run.history.append(row)
                report(len(run.history), *row)
                checkpoint.save(run)
    except KeyboardInterrupt:
        stopped = Stopped(f"interrupted in epoch {len(run.history) + 1}", 130)
    except OSError as error:
        stopped = Stopped(f"{checkpoint.path}: {error.strerror}", 1)
    except Stopped as diverged:
        stopped = diverged
    for name, parameter in parameters(run.model).items():
        parameter.data = run.best_weights[name]
    return run.history, stopped


def step_of(model, optimizer, recipe):
    """The step of training with a batch: a function of ids and y, which returns loss and logits.

    ids and y are the part of a batch of `names` that this process has, from the `first` on.
    """
    rate, smoothing = recipe.dropout, recipe.smoothing

    def step(ids, y, names, first):
        logits = model(ids, dropout(rate, names, first))
        loss = loss_of(logits, y, smoothing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss, logits

    return step


def epochs(run, draw, validation, recipe, checkpoint, compiled):
    """Train, and yield a row per epoch; Stopped if the loss says that this leads nowhere.

    Of several processes each has a part of each batch; the gradients and the loss are those of the whole batch.
    """
    model, optimizer, rng = run.model, run.optimizer, run.rng
    parallel = DataParallel(parameters(model))
    learn = step_of(model, optimizer, recipe)
    if compiled:
        learn = tg.compile(learn)
    for epoch in range(len(run.history), recipe.epochs):
        start = time.perf_counter() - run.seconds
        todo = run.batches(draw, recipe)
        bar = tqdm(todo[run.step:], desc=f"epoch {epoch + 1}", unit="batch", leave=False, disable=None, initial=run.step,
                   total=len(todo))
        for step, (ids, y) in enumerate(bar, run.step):
            if recipe.cosine:
                optimizer.lr = recipe.init_lr * (1 + cos(pi * (epoch + step / len(todo)) / recipe.epochs)) / 2
            mine = share(len(y))
            parallel.examples = len(y[mine])
            loss, logits = learn(hide(ids, recipe.hidden, rng)[mine], y[mine], len(y), mine.start)

            right = np.mean(logits.data.argmax(axis=-1) == y[mine])
            sums = np.array([loss.item(), right, 1.0, 0.0]) * len(y[mine]) + [0, 0, 0, checkpoint.asked]
            loss_of_all, hits, names, asked = all_reduce(sums).tolist()
            if not (mean := loss_of_all / names) < DIVERGED:
                bar.close()
                raise Stopped(f"the loss is {mean:.3g} in batch {step + 1} of epoch {epoch + 1}: training diverges at a "
                              f"learning rate of {optimizer.lr:.3g}; try a smaller --init-lr", 1)

            run.step, run.seen = step + 1, run.seen + len(y)
            run.loss_sum += mean * len(y)
            run.hits += hits * len(y) / names
            run.seconds = time.perf_counter() - start
            bar.set_postfix(loss=f"{run.loss_sum / run.seen:.3f}", accuracy=f"{run.hits / run.seen:.3f}", refresh=False)
            if asked:
                bar.close()
                checkpoint.save(run)
                raise KeyboardInterrupt
        valid_loss, valid_accuracy, _ = evaluate(model, *validation, recipe.bucket)
        row = run.loss_sum / run.seen, run.hits / run.seen, valid_loss, valid_accuracy, run.seconds
        run.begin_epoch()
        yield row


def copies(model):
    """The values of the parameters by name."""
    return {name: parameter.data.copy() for name, parameter in parameters(model).items()}
