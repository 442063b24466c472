"""tapegrad beside PyTorch, JAX, autograd, MyGrad and micrograd: one command, about eight minutes.

    python benchmarks/peers.py                          all parts, with the peers that are installed
    python benchmarks/peers.py --parts lstm mlp --peers tapegrad torch
    python benchmarks/peers.py --quick                  every part in little: a minute
    python benchmarks/peers.py --write                  also into benchmarks/RESULTS.md and benchmarks/pictures
    python benchmarks/peers.py --write --parts hmc      the others stay there, and RESULTS.md says of which day they are

One thread: the process, with those that it starts, is kept on one processor where the system can do that, because JAX takes
more threads whatever its flags say. The peers run in turns (interleave.py), whole processes in alternation (processes.py).
"""

import argparse
import datetime
import os
import platform
import re
import sys
from importlib import metadata, util
from pathlib import Path

for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"         # before NumPy is loaded

import parts  # noqa: E402
import processes  # noqa: E402
from libraries import MODULES, TITLES  # noqa: E402
from models import SIZES  # noqa: E402

PARTS = {"startup": processes.startup, "memory": processes.peak_memory, "size": processes.installed_size,
         "growth": processes.growth, "lstm": parts.lstm, "products": parts.products, "mlp": parts.mlp,
         "operations": parts.operations, "kernels": parts.kernels, "networks": parts.networks, "compiled": parts.compiled,
         "recurrent": parts.recurrent, "hmc": parts.hmc}
HERE = Path(__file__).parent


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs="+", choices=MODULES, default=list(MODULES), metavar="PEER", help=", ".join(MODULES))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES), metavar="SIZE", help=", ".join(SIZES))
    parser.add_argument("--seconds", type=float, default=2.0, help="that a peer's share of a cell is about (default 2)")
    parser.add_argument("--repeats", type=int, default=5, help="of every fresh process (default 5)")
    parser.add_argument("--quick", action="store_true", help="little of everything, the smallest size, without torch.compile")
    parser.add_argument("--write", nargs="?", type=Path, const=HERE, metavar="FOLDER",
                        help="write RESULTS.md, where parts that are not run stay, and pictures/ there (default: beside this "
                             "file)")
    options = parser.parse_args(arguments)
    options.lengths, options.compile = (1_000, 10_000, 100_000, 1_000_000), not options.quick
    if options.quick:
        options.sizes, options.seconds, options.repeats, options.lengths = options.sizes[:1], 0.05, 1, (1_000, 10_000)
    return options


def pin():
    """Keep this process and those that it starts on one processor; whether that can be done here."""
    if not hasattr(os, "sched_setaffinity"):
        return False
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    return True


def processor():
    """The processor's name."""
    try:
        return re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())[1]
    except (OSError, TypeError):
        return platform.processor() or platform.machine()


def header(peers, missing, pinned):
    """Machine and versions."""
    names = dict.fromkeys(["tapegrad", "numpy", "numba", *(MODULES[peer] for peer in peers)])
    found = processes.run("configuration")
    versions = {name: metadata.version(name) for name in names} | {"tapegrad": found["tapegrad"]}   # of the code that ran
    return [
        f"* {processor()}, {os.cpu_count()} processors, " + ("pinned to one" if pinned else "not pinned: JAX may use several"),
        f"* CPython {platform.python_version()}, " + ", ".join(f"{TITLES.get(name, name)} {versions[name]}" for name in names),
        f"* BLAS of NumPy: {found['blas']}, kernels {found['blas kernels']}; one thread everywhere",
        *(f"* not installed, left out: {TITLES[peer]}" for peer in missing)]


def sections(path):
    """{part: (day, its tables)} of a RESULTS.md, where they follow a comment."""
    found = re.split(r"^<!-- (\w+), (.*) -->\n", path.read_text() if path.exists() else "", flags=re.MULTILINE)[1:]
    return {part: (day, text.rstrip()) for part, day, text in zip(*[iter(found)] * 3) if part in PARTS}


def document(day, head, found):
    """RESULTS.md, written on that day. It says which of the sections are of another."""
    parts, older = sorted(found, key=order), {}
    for part in parts:
        older.setdefault(found[part][0], []).append(part)
    older.pop(day, None)
    lines = [f"* {day}, `python benchmarks/peers.py`", *head]
    lines += [f"* of {before}, with what was installed then: {', '.join(of)}" for before, of in older.items()]
    texts = [f"<!-- {part}, {found[part][0]} -->\n{found[part][1]}" for part in parts]
    return "\n\n".join(["# tapegrad beside its peers", "\n".join(lines), *texts]) + "\n"


def main(arguments=None):
    options = parse(arguments)
    pinned = pin()
    peers = [peer for peer in options.peers if util.find_spec(MODULES[peer])]
    missing = [peer for peer in options.peers if peer not in peers]
    tables = {}
    for name in PARTS:                  # in this order: see fresh.py
        if name in options.parts:
            print(f"{name} ..", file=sys.stderr)
            tables[name] = list(PARTS[name](peers, options))
    day, head = f"{datetime.date.today():%d %B %Y}", header(peers, missing, pinned)
    measured = {part: (day, "\n".join([table.markdown() for table in found]).rstrip())
                for part, found in tables.items() if found}
    print(document(day, head, measured))
    if options.write:
        options.write.mkdir(parents=True, exist_ok=True)
        results = options.write / "RESULTS.md"
        results.write_text(document(day, head, sections(results) | measured))
        if util.find_spec("matplotlib"):
            import pictures

            pictures.draw(tables, options.write / "pictures")
        else:
            print("no pictures: matplotlib is not installed", file=sys.stderr)


def order(part):
    """The steps come before the processes in what is read."""
    return ("lstm", "recurrent", "products", "mlp", "networks", "compiled", "hmc", "operations", "kernels", "startup", "memory",
            "size", "growth").index(part)


if __name__ == "__main__":
    main()
