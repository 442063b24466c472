"""The command line that the examples share: read the names, check the gradients, train, report."""

import argparse
import os
import sys
from dataclasses import replace
from functools import partial

# Before NumPy is imported: with matrices of this size, two threads wait longer for each other than they compute.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import report  # noqa: E402
import weights  # noqa: E402
from baseline import baseline  # noqa: E402
from checkpoints import Checkpoint, NoCheckpoint, checksum  # noqa: E402
from gradient_check import TOLERANCE, largest_difference  # noqa: E402
from names_data import Alphabet, InputError, crossed, read_prefix, read_shipped  # noqa: E402
from training import Init, Run, Stopped, batches, evaluate, figures, parameters, predict, train  # noqa: E402

from tapegrad.distributed import all_gather, init, rank, world_size  # noqa: E402
from tapegrad.errors import DistributedError  # noqa: E402

NAMES = "Noahshire,Grebulons,Anna Lindqvist,The Last Lighthouse,Quercus borealis"
INTERRUPTED = 130
FROM_RECIPE = "max_len", "num_hid", "batch_size", "epochs", "init_lr", "seed"


def main(kind, recipes):
    """Run the example `kind`, whose recipes are given by name. The exit code is 2 where what the user gave is wrong."""
    parser = make_parser(kind, recipes)
    flags = parser.parse_args()
    sys.stdout.reconfigure(errors="replace")        # a name may have characters that the terminal does not
    try:
        if flags.distributed:
            init()
        if rank():                                  # the first process speaks for all
            sys.stdout = open(os.devnull, "w")
        run(kind, recipes, flags)
    except (InputError, DistributedError) as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    except KeyboardInterrupt:
        parser.exit(INTERRUPTED, f"\n{parser.prog}: interrupted; nothing was saved\n")
    except Stopped as stopped:
        parser.exit(stopped.code, None if rank() else f"{parser.prog}: {stopped}; {stopped.saved}\n")


def make_parser(kind, recipes):
    def number(type, least):
        def parse(text):
            value = type(text)
            if not least <= value < float("inf"):
                raise argparse.ArgumentTypeError(f"{text} is not a number from {least} up")
            return value

        parse.__name__ = type.__name__
        return parse

    parser = argparse.ArgumentParser(
        description=f"Tell what kind of thing a name names from its characters, with an {kind.upper()}.",
        epilog="Numbers that are not given are those of the recipe, or of the weights that are loaded.", allow_abbrev=False)

    def add(flag, type, least, metavar, what):
        key = flag[2:].replace("-", "_")
        defaults = "; ".join(f"{name}: {getattr(recipe, key)}" for name, recipe in recipes.items())
        parser.add_argument(flag, type=number(type, least), metavar=metavar, help=f"{what} ({defaults})")

    parser.add_argument("--dataset", metavar="PREFIX", help="read PREFIX.train, PREFIX.valid and PREFIX.test, lines of "
                        "name<TAB>label, and not the names that are shipped")
    parser.add_argument("--recipe", choices=recipes, help="default: what works well (that of the weights, if any "
                        "are loaded); course: the assignment's")
    add("--max-len", int, 1, "N", "characters of a name that are read")
    add("--num-hid", int, 1, "N", "hidden units")
    add("--batch-size", int, 1, "N", "names in a minibatch")
    add("--epochs", int, 0, "N", "times through the training names; 0 only evaluates")
    add("--init-lr", float, 0, "RATE", "learning rate at the start")
    add("--seed", int, 0, "N", "of first weights, order and dropout")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32",
                        help="of the weights and of all that is computed (default: %(default)s)")
    parser.add_argument("--no-compile", action="store_true", help="run a training step operation by operation, as it is with "
                        "--checkpoint and --distributed; by default tg.compile makes one program of the step")
    parser.add_argument("--quick", action="store_true", help="a small part of the names and two epochs: does it run?")
    parser.add_argument("--names", default=NAMES, metavar="A,B,..", help="names to classify at the end (default: %(default)s)")
    parser.add_argument("--out", default=os.path.join("runs", kind), metavar="DIR",
                        help="where to save weights and pictures; if it is not empty, DIR-2, DIR-3, .. (default: %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="save in DIR even if it is not empty")
    parser.add_argument("--load", metavar="FILE", help="start from saved weights")
    parser.add_argument("--checkpoint", metavar="FILE", help="write the run to FILE after every epoch and on Ctrl-C; if there "
                        "is one, go on from it, with the other arguments as they were")
    parser.add_argument("--distributed", action="store_true", help="share the batches with the other processes that mpiexec "
                        "has started: mpiexec -n 2 python examples/..; the first one saves and reports")
    return parser


def run(kind, recipes, flags):
    data = read_prefix(flags.dataset) if flags.dataset else read_shipped()
    if flags.quick:
        data = replace(data, train=data.train.some(600), valid=data.valid.some(200), test=data.test.some(200))
    arrays, saved = weights.read(flags.load) if flags.load else (None, {})
    name, recipe, alphabet = choose(kind, recipes, flags, data, saved)

    def build(dtype):
        made = recipe.model(Init(recipe.seed, dtype), len(alphabet), recipe.max_len, recipe.num_hid, len(data.labels))
        if flags.load:
            weights.put(flags.load, arrays, made)
        return made

    model = build(flags.dtype)
    encode = partial(alphabet.encode, max_len=recipe.max_len, longest=recipe.longest)
    train_ids, valid_ids, test_ids = (encode(part.names) for part in (data.train, data.valid, data.test))
    print(f"{len(data.train)} names to train on, {len(data.valid)} to validate, {len(data.test)} to test; "
          f"{len(data.labels)} labels, {len(alphabet)} characters")
    size = sum(parameter.size for parameter in parameters(model).values())
    print(f"{kind} with {size:,} parameters of {flags.dtype}, recipe {name}: "
          + ", ".join(f"{key} {getattr(recipe, key)}" for key in FROM_RECIPE))

    small = batches(train_ids, data.train.y, 8, bucket=recipe.bucket)
    difference = largest_difference(build("float64"), *small[len(small) // 2])
    print(f"gradient check: largest difference from central differences {difference:.1e}, allowed {TOLERANCE:.0e}")
    if not difference <= TOLERANCE:
        sys.exit("the gradients are wrong")

    def draw(rng):
        names = crossed(data.train, recipe.crossed, rng) if recipe.crossed else None
        return encode(names) if names else train_ids, data.train.y

    about = {"kind": kind, "recipe": name, "alphabet": alphabet.characters, "labels": list(data.labels)}
    about |= {key: getattr(recipe, key) for key in FROM_RECIPE}
    checkpoint = made_checkpoint(flags.checkpoint, model, data, about | {"dtype": flags.dtype})
    progress = Run(model, recipe, evaluate(model, valid_ids, data.valid.y, recipe.bucket)[0])
    checkpoint.resume(progress)
    out = made_directory(flags.out, flags.overwrite) if rank() == 0 else None
    try:
        history, stopped = train(progress, draw, (valid_ids, data.valid.y), recipe, report.print_epoch, checkpoint,
                                 compiled=not (flags.no_compile or flags.checkpoint) and world_size() == 1)
        if stopped and flags.checkpoint:
            stopped.saved = f"{flags.checkpoint} is what the same command goes on from"
        if stopped and not history or out is None:
            raise stopped or SystemExit
    except BaseException:
        remove_if_empty(out)
        raise
    loss, accuracy, predicted = evaluate(model, test_ids, data.test.y, recipe.bucket)

    report.draw_confusion(os.path.join(out, "confusion.png"), data.test.y, predicted, data.labels)
    if history:
        report.draw_curves(os.path.join(out, "curves.png"), history)
        weights.save(os.path.join(out, "weights.safetensors"), model, about)
    print(f"saved in {out}: {', '.join(sorted(os.listdir(out)))}")
    if stopped:
        best = f"the best weights of {len(history)} epochs are in {out}, test loss {loss:.3f}, accuracy {accuracy:.3f}"
        stopped.saved = f"{best}; {stopped.saved}" if flags.checkpoint else best
        raise stopped

    names = [text.strip() for text in flags.names.split(",") if text.strip()]
    if names:
        report.print_names(names, predict(model, encode(names), recipe.bucket), data.labels)
    theirs = figures(baseline(data.train, data.test, len(data.labels)), data.test.y)
    print("baseline of n-grams: loss {:.3f}, accuracy {:.3f}".format(*theirs))
    if data.test is data.valid:
        print(f"there is no {flags.dataset}.test, so that the test figures are those of {flags.dataset}.valid")
    print(f"test loss {loss:.3f}  test accuracy {accuracy:.3f}")


def choose(kind, recipes, flags, data, saved):
    """(name of the recipe, recipe, alphabet) from the flags, the recipe, and what saved weights say of themselves."""
    if saved:
        asked = {"kind": kind, "recipe": flags.recipe, "max_len": flags.max_len, "num_hid": flags.num_hid,
                 "labels": list(data.labels)}
        for key, value in asked.items():
            if value is not None and saved.get(key) != value:
                raise InputError(f"{flags.load}: weights of {key} {saved.get(key)}, and {value} is wanted")
    name = flags.recipe or saved.get("recipe", "default")
    if name not in recipes:
        raise InputError(f"{flags.load}: there is no recipe {name}")
    given = {key: getattr(flags, key) for key in FROM_RECIPE if getattr(flags, key) is not None}
    quick = {"epochs": 2} if flags.quick else {}
    kept = {key: saved[key] for key in ("max_len", "num_hid") if key in saved}
    recipe = replace(recipes[name], **quick | kept | given)
    return name, recipe, Alphabet(saved["alphabet"]) if saved else Alphabet.of(data.train.names)


def made_checkpoint(path, model, data, about):
    """The Checkpoint in the file `path`, if there is to be one. InputError where processes have different data or arguments."""
    about |= {"first weights": checksum(*[parameter.data for parameter in parameters(model).values()]),
              "data": checksum(*[part for half in (data.train, data.valid) for part in ("\n".join(half.names), half.y)])}
    for other, theirs in enumerate(all_gather(about)):
        for key, value in about.items():
            if theirs[key] != value:
                raise InputError(f"process {other} has another {key}: {theirs[key]}, and process {rank()} has {value}")
    return Checkpoint(path, about) if path else NoCheckpoint()


def made_directory(path, overwrite):
    """The directory to save in, which is made: `path`, or, if there is something in it, path-2, path-3, .."""
    found, n = path, 2
    try:
        while not overwrite and os.path.isdir(found) and os.listdir(found):
            found, n = f"{path.rstrip(os.sep)}-{n}", n + 1
        os.makedirs(found, exist_ok=True)
    except OSError as error:
        raise InputError(f"{found}: {error.strerror}") from None
    return found


def remove_if_empty(path):
    if path and not os.listdir(path):
        os.rmdir(path)
