"""What a training run shows: learning curves and a confusion matrix as pictures, and names with their probabilities."""

import numpy as np
from drawing import figure
from weights import writing


def print_epoch(epoch, loss, accuracy, valid_loss, valid_accuracy, seconds):
    print(f"epoch {epoch:2}  train loss {loss:.3f} accuracy {accuracy:.3f}  valid loss {valid_loss:.3f} "
          f"accuracy {valid_accuracy:.3f}  {seconds:.1f} s", flush=True)


def print_names(names, probabilities, labels):
    """Each name with its three most probable labels."""
    width = max(map(len, names))
    for name, p in zip(names, probabilities):
        best = np.argsort(-p)[:3]
        print(f"{name:{width}}  " + "  ".join(f"{labels[k]} {p[k]:.2f}" for k in best))


def draw_curves(path, history):
    """Loss and accuracy over the epochs, in training and on the validation names."""
    picture, axes = figure(9, 4, columns=2)
    loss, accuracy, valid_loss, valid_accuracy, _ = zip(*history)
    epochs = range(1, len(history) + 1)
    for ax, title, *curves in ((axes[0], "loss", loss, valid_loss), (axes[1], "accuracy", accuracy, valid_accuracy)):
        for curve, label in zip(curves, ("train", "valid")):
            ax.plot(epochs, curve, label=label, marker="." if len(history) < 3 else None)
        ax.set(xlabel="epoch", title=title)
        ax.grid(alpha=0.3)
        ax.legend()
    _write(path, picture)


def draw_confusion(path, y, predicted, labels):
    """How many names of each label (row) were taken for each label (column)."""
    counts = np.zeros((len(labels), len(labels)), int)
    np.add.at(counts, (y, predicted), 1)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    picture, (ax,) = figure(4.5, 4)
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        ax.text(column, row, count, ha="center", va="center", color="white" if share[row, column] > 0.5 else "black")
    ax.set_xticks(range(len(labels)), labels, rotation=30, ha="right")
    ax.set_yticks(range(len(labels)), labels)
    ax.set(xlabel="predicted", ylabel="true", title="confusion matrix")
    _write(path, picture)


def _write(path, picture):
    with writing(path) as file:
        picture.savefig(file, format="png", dpi=120)
