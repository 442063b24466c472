"""The command line of these examples."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import drawing  # noqa: E402
from commands import ends, parser_of  # noqa: E402


def main(name, text, run):
    """run() returns draw(axes): its picture is saved as NAME.png in the folder of --out, unless that is empty."""
    parser = parser_of(name, text, "science")
    out = parser.parse_args().out
    with ends(parser):
        draw = run()
        if out:
            figure, (axes,) = drawing.figure(6, 4)
            draw(axes)
            drawing.save(os.path.join(out, f"{name}.png"), figure)
