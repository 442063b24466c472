"""What the commands of modules and of science share: --out, and, in one line, what is missing or has ended them."""

import argparse
import os
from contextlib import contextmanager

from tapegrad.errors import DtypeError, ShapeError, StateError


def parser_of(name, text, out):
    """The parser of NAME.py, whose option --out is the folder `out` unless it is given."""
    parser = argparse.ArgumentParser(prog=f"{name}.py", description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=os.path.join("runs", out), metavar="DIR",
                        help='where the picture is saved; "" for none (default: %(default)s)')
    return parser


@contextmanager
def ends(parser, checkpoint=None):
    """What ends the command is said in a line: the exit code is 2 for what the user can mend, 130 for Ctrl-C."""
    try:
        yield
    except ModuleNotFoundError as error:
        parser.exit(2, f"{parser.prog}: error: this example needs {error.name}: pip install tapegrad[examples]\n")
    except (OSError, StateError, ShapeError, DtypeError) as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    except KeyboardInterrupt:
        saved = f"; saved in {checkpoint}" if checkpoint and os.path.exists(checkpoint) else ""
        parser.exit(130, f"\n{parser.prog}: interrupted{saved}\n")
