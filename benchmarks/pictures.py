"""The pictures of peers.py: SVG on white, with text as text."""

import matplotlib
import numpy as np
from libraries import TITLES
from report import significant

matplotlib.use("agg")

from matplotlib import pyplot as plt  # noqa: E402

COLOURS = {"tapegrad": "#c8321e", "tg.compile": "#e8862e", "tg.nn": "#f0b97d", "torch": "#4a4a4a", "nn.LSTM": "#8f8f8f",
           "torch.compile": "#c4c4c4", "jax": "#2f6db5", "autograd": "#5b9a57", "mygrad": "#b58a2f", "micrograd": "#8a5ba8",
           "numpy": "#6fb1c9"}
REFERENCES = ("torch", "tapegrad")
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "tapegrad", "font.family": "sans-serif", "font.size": 9,
         "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10, "axes.titlelocation": "left"}


def bars(axes, rows, table, title):
    """A group of bars per row and a bar per peer: times relative to the first of REFERENCES, with the times themselves."""
    position, places = 0.0, []
    reference = next((peer for peer in REFERENCES if all(peer in row for row in rows.values())), None)
    for row in rows.values():
        shown = [peer for peer in TITLES if peer in row]
        for peer in shown:
            seconds, ratio = row[peer]
            relative = ratio or seconds / row[reference or shown[0]][0]
            axes.barh(position, relative, height=0.85, color=COLOURS[peer], label=TITLES[peer])
            axes.text(relative, position, f" {significant(seconds * table.scale)} {table.unit}", va="center", fontsize=7)
            position += 1
        places.append(position - (len(shown) + 1) / 2)
        position += 0.8
    axes.set_yticks(places, rows)
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.axvline(1, color="#999999", lw=0.8, zorder=0)
    axes.set_title(title)
    axes.set_xlabel(f"time relative to {TITLES.get(reference, 'the first')}; shorter is faster")


def legend(figure, axes):
    """One legend for all axes, a line per peer."""
    found = {}
    for one in axes:
        handles, labels = one.get_legend_handles_labels()
        found |= dict(zip(labels, handles))
    titles = [title for title in TITLES.values() if title in found]
    figure.legend([found[title] for title in titles], titles, loc="outside lower center", ncols=len(titles), frameon=False,
                  fontsize=8, handlelength=1, columnspacing=1.2)


def peers(tables):
    """The LSTM step, and the overhead of one operation with the MLP step beside it; None where a part was not run."""
    if not tables.keys() >= {"lstm", "operations", "mlp"}:
        return None
    others = [(table, title) for part, title in (("operations", "Overhead, four float32"), ("mlp", "MLP step, 800-50-5"))
              for table in tables[part]]
    figure = plt.figure(figsize=(9.2, 5.6), layout="constrained")
    grid = figure.add_gridspec(len(others), 2)
    axes = [figure.add_subplot(grid[:, 0])]
    lstm = tables["lstm"][0]
    names = {row: row.replace("-", ", ", 3).replace(", H", "\nH", 1) for row in lstm.rows}
    rows = {names[row]: found for row, found in lstm.rows.items()}
    bars(axes[0], rows, lstm, "LSTM step: loss and all gradients")
    for place, (table, title) in enumerate(others):
        axes.append(figure.add_subplot(grid[place, 1]))
        rows = {row.replace(", recorded", ",\nrecorded").replace("backward, per", "backward,\nper").partition(" of ")[0]: found
                for row, found in table.rows.items()}
        bars(axes[-1], rows, table, title)
    legend(figure, axes)
    return figure


def growth(tables):
    """Time and memory of the whole chain against its length, with lines of slope 1."""
    times, bytes_ = tables.get("growth", (None, None))
    if times is None or not times.rows:
        return None
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.2, 3.6), layout="constrained")
    lengths = np.array([int(row.split()[0].replace(",", "")) for row in times.rows])
    for name, colour, style in (("forward", "#c8321e", "o-"), ("forward, gc off", "#e6a79e", "o--"),
                                ("backward", "#2f6db5", "s-"), ("backward, gc off", "#9dbfe2", "s--")):
        left.plot(lengths, [row[name][0] for row in times.rows.values()] * lengths, style, color=colour, label=name, ms=4)
    for name, colour, style in (("after forward", "#c8321e", "o-"), ("peak of the process", "#4a4a4a", "s--")):
        megabytes = [row.get(name, (np.nan,))[0] for row in bytes_.rows.values()] * lengths / 1e6
        right.plot(lengths, megabytes, style, color=colour, label=name, ms=4)
    for axes, title, unit in ((left, "Time", "seconds"), (right, "Memory", "MB")):
        axes.set(xscale="log", yscale="log", xlabel="entries on the tape", ylabel=unit)
        axes.set_title(f"{title} of z = z * y, four float32")
        low = axes.get_lines()[0].get_ydata()[-1] / lengths[-1]
        axes.plot(lengths, lengths * low, ":", color="#999999", lw=1, label="slope 1", zorder=0)
        axes.legend(frameon=False, fontsize=8)
    return figure


def draw(tables, folder):
    """Write the pictures that the tables allow."""
    folder.mkdir(parents=True, exist_ok=True)
    with plt.rc_context(STYLE):
        for picture in (peers, growth):
            figure = picture(tables)
            if figure is not None:
                figure.savefig(folder / f"{picture.__name__}.svg", metadata={"Date": None}, facecolor="white")
                plt.close(figure)
