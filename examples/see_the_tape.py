"""Look at what an LSTM puts on the tape: the listing, the drawing, the gradient through time, and where a NaN comes from.

    python examples/see_the_tape.py             # writes to runs/seen/
    python examples/see_the_tape.py --to DIR

It writes listing.txt and listing.html, lstm.svg (and .dot and .mmd), gradient_through_time.svg, profile.json (for
ui.perfetto.dev or chrome://tracing), questions.txt (memory, profile, check) and blame.txt.
"""

import argparse
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")      # before NumPy: the matrices are small

import numpy as np  # noqa: E402
from train_lstm import CourseLSTM  # noqa: E402
from training import Init  # noqa: E402

import tapegrad as tg  # noqa: E402

NAMES, CHARACTERS, TIME, HIDDEN, CLASSES = 32, 80, 20, 32, 5


def batch():
    """(ids, y) of made-up names."""
    rng = np.random.default_rng(0)
    return rng.integers(0, CHARACTERS, (NAMES, TIME)), rng.integers(0, CLASSES, NAMES)


def seen(model, ids, y, put):
    """One step that is traced, and everything that can be asked about it."""
    tg.cross_entropy(model(ids), y).backward()          # compiles the kernels
    with tg.traced(values=True) as t:
        loss = tg.cross_entropy(model(ids), y)
        cell = model.cell
        through_time = [tg.provenance(loss, W, by="step") for W in (cell.U_i, cell.U_f, cell.U_o, cell.U_c)]
        loss.backward()
    put("listing.txt", f"{t.show()}\n")
    put("listing.html", t.show()._repr_html_())
    for ending in ("svg", "dot", "mmd"):
        put(f"lstm.{ending}", t.draw(format={"mmd": "mermaid"}.get(ending, ending)))
    put("questions.txt", "\n\n".join(map(str, [t.memory(), t.profile(), t.check(), through_time[0]])) + "\n")
    t.profile().save(put("profile.json"))
    plot = None
    for parts in through_time:
        plot = parts.plot(axes=plot)
    plot.axes.set_title("where the gradients of the recurrent weights come from: norms of their parts by time step",
                        fontsize=10)
    plot.axes.legend()
    plot.save(put("gradient_through_time.svg"))


def blamed(model, ids, y, put):
    """A step that goes wrong: the weights have grown until a score overflows."""
    model.W2.data *= 1e38
    with np.errstate(all="ignore"), tg.traced() as t:
        scores = model(ids) * 1e4
        loss = tg.cross_entropy(scores, y)
        loss.backward()
    put("blame.txt", f"the loss is {loss.item()}\n\n{t.blame()}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", default=os.path.join("runs", "seen"), metavar="DIR",
                        help="the folder to write to (default: %(default)s)")
    folder = parser.parse_args().to
    os.makedirs(folder, exist_ok=True)

    def put(name, text=None):
        path = os.path.join(folder, name)
        if text is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        return path

    ids, y = batch()
    model = CourseLSTM(Init(0, "float32"), CHARACTERS, TIME, HIDDEN, CLASSES)
    seen(model, ids, y, put)
    blamed(model, ids, y, put)
    with open(put("blame.txt"), encoding="utf-8") as file:
        print(file.read())
    print(f"written to {folder}: {', '.join(sorted(os.listdir(folder)))}")


if __name__ == "__main__":
    main()
