"""The parts of peers.py that start fresh processes (fresh.py): import, first step, peak memory, growth; and installed sizes."""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from importlib import metadata, util
from pathlib import Path

from libraries import MODULES, TITLES
from report import Table

FRESH = Path(__file__).with_name("fresh.py")
FIRST_SIZE, MEMORY_SIZE = "N16-D80-H32-M10", "N64-D80-H128-M20"
WITH_A_STEP = ("tapegrad", "torch", "nn.LSTM", "jax", "autograd", "mygrad")


def run(*arguments, **environment):
    """What a fresh process says, as data; None where it failed."""
    ran = subprocess.run([sys.executable, str(FRESH), *map(str, arguments)], capture_output=True, text=True,
                         env=os.environ | environment)
    return json.loads(ran.stdout.splitlines()[-1]) if ran.returncode == 0 else None


def alternating(calls, repeats, table):
    """{peer: {figure: median}} of fresh processes that alternate between the peers, whose arguments are in `calls`."""
    found = {peer: [] for peer in calls}
    for _ in range(repeats):
        for peer, arguments in calls.items():
            found[peer].append(run(*arguments))
    table.notes += [f"{TITLES[peer]} failed and is left out." for peer in calls if None in found[peer]]
    return {peer: {figure: statistics.median(one[figure] for one in all_) for figure in all_[0]}
            for peer, all_ in found.items() if None not in all_}


def startup(peers, options):
    """Import and first call."""
    table, calls = Table("Import and first step", "s"), {}
    for peer in peers:
        if peer in ("micrograd", "numpy"):
            calls[peer] = ("first", "micrograd.engine" if peer == "micrograd" else peer)
        elif peer not in ("nn.LSTM", "torch.compile"):
            calls[peer] = ("first", MODULES[peer], peer, FIRST_SIZE)
    for peer, figures in alternating(calls, options.repeats, table).items():
        table.add(TITLES[peer], figures)
    if "tapegrad" in peers and not options.quick:
        with tempfile.TemporaryDirectory() as empty:
            figures = run(*calls["tapegrad"], NUMBA_CACHE_DIR=empty)
        table.add("tapegrad, numba's cache empty", {"first step": figures["first step"]} if figures else {})
    table.notes.append(f"Processor time of fresh processes, median of {options.repeats} in alternation. An import includes "
                       f"all that it loads, with NumPy; the first step is the import and one LSTM step ({FIRST_SIZE}), with "
                       "what it compiles. tapegrad's kernels come from numba's cache; where it is empty, as once after "
                       "installation, they are compiled. MyGrad loads numba where it is installed.")
    yield table


def peak_memory(peers, options):
    """Peak memory of the LSTM step: of all peers at one size, and of the eager ones at all sizes."""
    table = Table(f"Peak memory, {MEMORY_SIZE}", "MB", 1e-6)
    calls = {peer: ("memory", peer, MEMORY_SIZE) for peer in WITH_A_STEP if peer in peers}
    for peer, figures in alternating(calls, options.repeats, table).items():
        table.add(TITLES[peer], figures)
    table.notes.append(f"ru_maxrss of fresh processes, median of {options.repeats} in alternation. The small step, "
                       f"{FIRST_SIZE}, brings what is loaded and compiled late, numba in tapegrad; the steps' own part is "
                       "what the others add to that and to their inputs. In JAX that includes the code of another size.")
    yield table
    whole, own = Table("Peak memory of the process", "MB", 1e-6), Table("Peak memory, the steps' own part", "MB", 1e-6)
    for size in options.sizes:
        calls = {peer: ("memory", peer, size) for peer in ("tapegrad", "torch") if peer in peers}
        found = alternating(calls, options.repeats, whole)
        whole.add(size, {peer: max(figures.values()) for peer, figures in found.items()})
        own.add(size, {peer: figures["the steps' own part"] for peer, figures in found.items()})
    own.notes.append("As above. A step that is no larger than what the imports have freed adds nothing.")
    yield from (whole, own)


def growth(peers, options):
    """Time and memory per entry against the length of the tape, for tapegrad."""
    times = Table("Growth with the tape: time", "us per entry", 1e6)
    bytes_ = Table("Growth with the tape: memory", "bytes per entry")
    for length in options.lengths if "tapegrad" in peers else ():
        found, traced = run("growth", length), run("traced_growth", length)
        if None in (found, traced):
            times.notes.append(f"{length:,} entries failed and are left out.")
            continue
        row = f"{length:,} entries"
        times.add(row, {name: found[name] for name in ("forward", "backward", "forward, gc off", "backward, gc off")})
        bytes_.add(row, {"after forward": traced["kept"], "most in both sweeps": traced["most"],
                         **({"peak of the process": found["resident"]} if found["resident"] else {})})
    times.notes.append("z = z * y of four float32 in tapegrad, a fresh process per length. CPython's garbage collector walks "
                       "over all living objects now and then, and more often while there are few: that is the difference.")
    bytes_.notes.append("The same chain: bytes as tracemalloc counts them, and the growth of ru_maxrss, which begins where "
                       "the tape no longer fits into what the imports had taken.")
    yield from (times, bytes_)


def requirements(name, found):
    """Add the distribution and what it requires, as far as it is installed, to {name: distribution}."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in found:
        return found
    try:
        found[key] = metadata.distribution(name)
    except metadata.PackageNotFoundError:       # required elsewhere only: on another system, by an older Python
        return found
    for requirement in found[key].requires or ():
        if "extra ==" not in requirement:
            requirements(re.match(r"[\w.-]+", requirement)[0], found)
    return found


def size(distribution):
    """Bytes of its files, without what Python and numba have compiled."""
    if "editable" in (distribution.read_text("direct_url.json") or ""):
        folder = Path(util.find_spec(distribution.name).origin).parent
        paths = [path for path in folder.rglob("*") if path.is_file()]
    else:
        paths = [Path(file.locate()) for file in distribution.files or ()]
    return sum(path.stat().st_size for path in paths if "__pycache__" not in path.parts and path.exists())


def installed_size(peers, options):
    """What a library takes on disk, alone and with its dependencies."""
    table = Table("Installed size", "MB", 1e-6)
    for name in dict.fromkeys(MODULES[peer] for peer in peers):
        sizes = {key: size(distribution) for key, distribution in requirements(name, {}).items()}
        if sizes:
            table.add(TITLES[name], {"alone": sizes[name], "with its dependencies": sum(sizes.values())})
            large = [key for key in sorted(sizes, key=sizes.get, reverse=True) if sizes[key] > 5e6 and key != name]
            small = len(sizes) - 1 - len(large)
            if large:
                table.notes.append(f"{TITLES[name]} brings {', '.join(large + [f'{small} under 5 MB'] * (small > 0))}.")
    table.notes.insert(0, "The files of the distribution and of all that it requires, without extras and what Python or numba "
                          "compiled.")
    yield table
