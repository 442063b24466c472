"""What the command lines of these examples share: one option, where the picture goes, and what is missing said in one line."""

import argparse
import os


def main(name, text, run):
    """run() returns draw(axes): its picture is saved as NAME.png in the folder of --out, unless that is empty."""
    parser = argparse.ArgumentParser(prog=f"{name}.py", description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=os.path.join("runs", "science"), metavar="DIR",
                        help='where the picture is saved; "" for none (default: %(default)s)')
    out = parser.parse_args().out
    try:
        draw = run()
        if out:
            save(os.path.join(out, f"{name}.png"), draw)
    except ModuleNotFoundError as error:
        parser.exit(2, f"{parser.prog}: error: this example needs {error.name}: pip install tapegrad[examples]\n")
    except OSError as error:
        parser.exit(2, f"{parser.prog}: error: {error.filename}: {error.strerror}\n")
    except KeyboardInterrupt:
        parser.exit(130, f"\n{parser.prog}: interrupted\n")


def save(path, draw):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasAgg(figure)
    draw(figure.add_subplot())
    os.makedirs(os.path.dirname(path), exist_ok=True)
    figure.savefig(path, dpi=150)
    print(f"saved {path}")
