"""What tapegrad runs on, how fast it is here, and the tapes that tg.save_tape has saved."""

import argparse
import sys


def seconds(text):
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return value


def _config(flags):
    from tapegrad.config import show_config
    show_config()


def _bench(flags):
    from tapegrad.command.bench import bench
    bench(flags.seconds)


def _show(flags):
    from tapegrad.command.saved import show
    show(flags.file)


def _explore(flags):
    from tapegrad.command.saved import explore
    print(explore(flags.file, flags.output))


def _warmup(flags):
    from tapegrad.command.warmup import warmup
    warmup()


def parser():
    from tapegrad import __version__
    parser = argparse.ArgumentParser("python -m tapegrad", description=f"{__doc__} Without a command: config.")
    parser.add_argument("--version", action="version", version=f"tapegrad {__version__}")
    parser.set_defaults(run=_config)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    def command(name, run, text):
        added = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        added.set_defaults(run=run)
        return added

    command("config", _config, "print versions, BLAS, threads, and settings that would be faster")
    bench = command("bench", _bench, "time operations, activations, products, Adam and an LSTM step, after the configuration")
    bench.add_argument("seconds", type=seconds, nargs="?", default=4.0,
                       help="for each line (default: %(default)s; about 50 seconds in total)")
    command("warmup", _warmup, "compile the library's kernels ahead of their first use, once after installation")
    show = command("show", _show, "print a saved tape: entries, shapes, values and deltas")
    explore = command("explore", _explore, "write a page, to open in a browser, that steps through a saved tape")
    for added in (show, explore):
        added.add_argument("file", metavar="FILE", help="written by tg.save_tape")
    explore.add_argument("-o", "--output", metavar="PAGE", help="the HTML file to write (default: FILE, ending in .html)")
    return parser


def command(arguments=None):
    """Run `python -m tapegrad` with these arguments; what is wrong with a file is said in a line, without a traceback."""
    flags = (line := parser()).parse_args(arguments)
    try:
        flags.run(flags)
    except KeyboardInterrupt:
        line.exit(130, "\ninterrupted\n")
    except BrokenPipeError:                             # as by `| head`
        sys.stderr.close()
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        if not hasattr(flags, "file"):
            raise
        line.exit(2, f"{line.prog}: error: {flags.file}: {error}\n")


if __name__ == "__main__":
    command()
