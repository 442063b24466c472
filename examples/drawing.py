"""Pictures, by matplotlib: it is imported when one is drawn, since that takes longer than a short run."""

import os

from tapegrad.files import replacing


def figure(width, height, columns=1):
    """(figure, its axes side by side)."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    return made, made.subplots(1, columns, squeeze=False)[0]


def save(path, figure):
    """Write a picture to a file, whose folder is made, and say so."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=150)
    print(f"saved {path}")
