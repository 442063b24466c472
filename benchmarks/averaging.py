"""What averaging gradients over ranks costs, measured; and what that predicts for more of them. Prints Markdown.

    mpiexec -n 2 python benchmarks/averaging.py
    mpiexec -n 2 python benchmarks/averaging.py --latency 30e-6 --bandwidth 1.25e9      # predict for another network

The step is that of one reader of the LSTM of examples/train_lstm.py, without its pieces of names; and, compiled, that of the
example as it is, whose tables are most of its parameters. Times of the ranks are measured together, from a barrier on, and the
slowest rank's counts; of all repeats the median is given, and the least, which other programs on the machine disturb less.
Where they keep both processors busy, processor time says what there is to do, and the clock says nothing.
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import numpy as np  # noqa: E402
from mpi4py import MPI  # noqa: E402
from names_data import PIECES  # noqa: E402
from train_lstm import RECIPES, Reader  # noqa: E402
from training import Init, keep, parameters, step_of  # noqa: E402

import tapegrad as tg  # noqa: E402
from tapegrad.core.reduction import reducers  # noqa: E402
from tapegrad.distributed import world  # noqa: E402
from tapegrad.distributed.reducer import BUCKET  # noqa: E402

WORLD = MPI.COMM_WORLD
CHARACTERS, LENGTH, HIDDEN, CLASSES = 157, 14, 128, 5
RANKS = 2, 8, 64, 512


def together(call):
    """Seconds of a call that all ranks do at once: those of the slowest."""
    WORLD.Barrier()
    start = time.perf_counter()
    call()
    return WORLD.allreduce(time.perf_counter() - start, MPI.MAX)


def seconds(call, budget):
    """(median, least) of as many calls as fit into a time, in rows, between which the ranks do not compare their clocks."""
    times, end = [], time.perf_counter() + budget
    while WORLD.bcast(time.perf_counter() < end or not times):
        for _ in range(20):
            WORLD.Barrier()
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
    slowest = np.array(times)
    WORLD.Allreduce(MPI.IN_PLACE, slowest, MPI.MAX)
    return float(np.median(slowest)), float(slowest.min())


def ping_pong(n, budget=1.0):
    """Seconds that n bytes take from rank 0 to rank 1."""
    x = np.zeros(n, np.uint8)

    def call():
        for _ in range(10):
            if WORLD.rank == 0:
                WORLD.Send(x, 1), WORLD.Recv(x, 1)
            elif WORLD.rank == 1:
                WORLD.Recv(x, 0), WORLD.Send(x, 0)

    return [t / 20 for t in seconds(call, budget)]


def summed(n, budget=1.0):
    """Seconds of a sum of n bytes of float32, as a bucket's: started, and asked for until it is there."""
    x = np.zeros(n // 4, np.float32)

    def call():
        request = [WORLD.Iallreduce(MPI.IN_PLACE, x)]
        while not MPI.Request.Testall(request):
            pass

    return seconds(call, budget)


def by_first(call):
    """Seconds of a call on rank 0, while the others sleep."""
    start = time.perf_counter()
    if WORLD.rank == 0:
        call()
    taken = time.perf_counter() - start
    request = WORLD.Ibarrier()
    while not request.Test():
        time.sleep(0.001)
    return WORLD.bcast(taken)


def on_processor(call):
    """Seconds of processor time that a call takes on this rank, which sleeps while it waits: other programs disturb it less."""
    request = WORLD.Ibarrier()
    while not request.Test():
        time.sleep(0.002)
    before, (world.SPIN, world.PAUSE) = (world.SPIN, world.PAUSE), (0.0, 0.002)
    start = time.thread_time()
    call()
    taken = time.thread_time() - start
    world.SPIN, world.PAUSE = before
    return taken


class Step:
    """Forward and backward of the reader for n names a rank."""

    def __init__(self, n, bucket_bytes=BUCKET):
        rng = np.random.default_rng(WORLD.rank)
        self.ids, self.y = rng.integers(0, CHARACTERS, (n, LENGTH, 1)), rng.integers(0, CLASSES, n)
        self.model = Reader(Init(0, "float32"), CHARACTERS, HIDDEN, CLASSES)
        self.model.P = tg.zeros((0, 32), dtype="float32")               # the ids have no pieces
        self.share(n, bucket_bytes)
        self.optimizer = tg.optim.Adam(self.learned.values(), lr=1e-3)

    def share(self, n, bucket_bytes=BUCKET):
        self.learned = {name: parameter for name, parameter in parameters(self.model).items() if parameter.requires_grad}
        self.parallel = tg.distributed.DataParallel(self.learned, bucket_bytes=bucket_bytes)
        self.parallel.examples = n
        self.reducer = reducers.pop() if reducers else None

    def forward(self):
        self.optimizer.zero_grad()
        return tg.cross_entropy(self.model(self.ids, keep), self.y)

    def alone(self):
        self.forward().backward()
        self.optimizer.step()

    def averaged(self):
        reducers.append(self.reducer)
        try:
            self.alone()
        finally:
            reducers.clear()

    def sums(self):
        """The sums of one step without the step."""
        requests = [self.reducer.comm.Iallreduce(MPI.IN_PLACE, bucket.buffer) for bucket in self.reducer.buckets]
        while not MPI.Request.Testall(requests):
            pass

    def ready(self):
        """[(bytes, seconds before the end of backward() at which they are final)] of each bucket; the least of some runs."""
        found, put = [], self.reducer.final

        def final(leaf, delta):
            put(leaf, delta)
            while len(moments) < len(self.reducer.requests):
                moments.append(time.perf_counter())

        self.reducer.final = final
        for _ in range(10):
            moments = []
            loss = self.forward()
            reducers.append(self.reducer)
            loss.backward()
            reducers.clear()
            found.append([max(0.0, time.perf_counter() - moment) for moment in moments])
        del self.reducer.final
        return list(zip([bucket.buffer.nbytes for bucket in self.reducer.buckets], np.min(found, axis=0)))


class Example(Step):
    """A training step of the example as it is, for n names of a rank."""

    def __init__(self, n, characters=24):
        rng, recipe = np.random.default_rng(WORLD.rank), RECIPES["default"]
        ids = rng.integers(2, PIECES, (n, characters, recipe.longest))
        ids[:, :, 0] %= CHARACTERS
        self.batch = ids, rng.integers(0, CLASSES, n), n, 0
        self.model = recipe.model(Init(0, "float32"), CHARACTERS, recipe.max_len, recipe.num_hid, CLASSES)
        self.share(n)
        optimizer = recipe.optimizer(self.learned.values(), lr=recipe.init_lr)
        self.step = tg.compile(step_of(self.model, optimizer, recipe))

    def alone(self):
        self.step(*self.batch)


def interleaved(calls, repeats):
    """[(median, least)] of pairs (way to measure, call) that take turns."""
    times = [[] for _ in calls]
    for _ in range(repeats):
        for (measured, call), found in zip(calls, times):
            found.append(measured(call))
    return [(float(np.median(found)), min(found)) for found in times]


def collective(ranks, nbytes, latency, bandwidth):
    """Seconds of a sum over ranks: log2(ranks) rounds to add and as many to hand out, which move each byte twice.

    Source: Thakur, Rabenseifner and Gropp, Optimization of Collective Communication Operations in MPICH (2005).
    """
    rounds = int(np.ceil(np.log2(ranks)))
    return 2 * rounds * latency + 2 * (ranks - 1) / ranks * nbytes / bandwidth


def exposed(ranks, ready, latency, bandwidth):
    """(seconds of all sums, those by which backward() ends later), where the network works beside the processor."""
    now, total = -max(moment for _, moment in ready), 0.0
    for nbytes, moment in ready:
        takes = collective(ranks, nbytes, latency, bandwidth)
        now, total = max(now, -moment) + takes, total + takes
    return total, max(0.0, now)


def table(title, columns, rows):
    if WORLD.rank == 0:
        print(f"\n{title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
        for row in rows:
            print(f"| {' | '.join(map(str, row))} |", flush=True)


def us(pair):
    return f"{1e6 * pair[0]:,.0f} ({1e6 * pair[1]:,.0f})"


def ms(pair):
    return f"{1e3 * pair[0]:.1f} ({1e3 * pair[1]:.1f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--latency", type=float, help="seconds of a message, instead of those measured")
    parser.add_argument("--bandwidth", type=float, help="bytes per second, instead of those measured")
    parser.add_argument("--repeats", type=int, default=60)
    options = parser.parse_args()
    tg.distributed.init()
    if WORLD.size < 2:
        parser.error("start it by mpiexec -n 2")
    lengths = [8, 1 << 10, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22]
    messages, sums = [ping_pong(n) for n in lengths], [summed(n) for n in lengths]
    table(f"Messages, and sums over {WORLD.size} ranks: median (least), in microseconds", ["bytes", "message", "sum", "GB/s"],
          [[f"{n:,}", us(m), us(s), f"{n / m[1] / 1e9:.2f}"] for n, m, s in zip(lengths, messages, sums)])
    latency = options.latency or messages[0][1]
    bandwidth = options.bandwidth or (lengths[-1] - lengths[-3]) / (messages[-1][1] - messages[-3][1])

    steps = {n: Step(n) for n in (64, 32, 16, 8, 1)}
    one_bucket, few = Step(32, 1 << 40), steps[32]
    share = steps[64 // WORLD.size] if 64 // WORLD.size in steps else Step(64 // WORLD.size)
    kinds = [(by_first, steps[64].alone), (together, steps[64].averaged), (together, share.averaged), (together, share.alone),
             (together, one_bucket.averaged), (together, few.averaged), (together, few.alone), (together, few.sums)]
    for _, call in kinds:
        call()
    single, wide, joint, separate, at_once, averaged, half, only = interleaved(kinds, options.repeats)
    table(f"A step of {HIDDEN} hidden units, {LENGTH} characters, in microseconds",
          ["", "time", f"names per second, {WORLD.size} ranks to one"], [
        ["one process, 64 names", us(single), 1],
        ["64 names in all, averaged", us(joint), f"{single[0] / joint[0]:.2f} ({single[1] / joint[1]:.2f})"],
        ["64 names in all, not averaged", us(separate), f"{single[0] / separate[0]:.2f} ({single[1] / separate[1]:.2f})"],
        ["64 names a rank, averaged", us(wide), "{:.2f} ({:.2f})".format(*[WORLD.size * a / b for a, b in zip(single, wide)])],
        ["32 names a rank, not averaged", us(half), ""],
        ["32 names a rank, averaged", us(averaged), ""],
        ["32 names a rank, averaged in one bucket", us(at_once), ""],
        ["the sums alone", us(only), ""]])
    sizes = list(steps)
    calls = [(on_processor, call) for n in sizes for call in (steps[n].alone, steps[n].averaged)]
    taken = [least for _, least in interleaved(calls, options.repeats)]
    alone, averaging = dict(zip(sizes, taken[::2])), dict(zip(sizes, taken[1::2]))
    table("The same in processor time of one rank, least, in milliseconds", ["names a rank", "not averaged", "averaged"],
          [[n, f"{1e3 * alone[n]:.1f}", f"{1e3 * averaging[n]:.1f}"] for n in sizes])
    if WORLD.rank == 0:
        print(f"\nBy these, {WORLD.size} ranks to one: 64 names a rank {WORLD.size * alone[64] / averaging[64]:.2f}, "
              f"64 names shared by two {alone[64] / averaging[32]:.2f}")
    whole, part = Example(64), Example(64 // WORLD.size)
    kinds = [(by_first, whole.alone), (together, whole.alone), (together, whole.averaged), (together, part.alone),
             (together, part.averaged)]
    for _, call in kinds:
        call()
    taken = interleaved([*kinds, *[(on_processor, call) for _, call in kinds[1:]]], options.repeats)
    one, *shared = taken[:len(kinds)]
    rows = zip([f"64 names {of}, {how}" for of in ("a rank", "in all") for how in ("not averaged", "averaged")],
               [WORLD.size, WORLD.size, 1, 1], shared, taken[len(kinds):])
    table("The example as it is, in milliseconds: on the clock, and in processor time of one rank",
          ["", "clock", f"names per second, {WORLD.size} ranks to one", "processor"], [
        ["one process, 64 names", ms(one), 1, ""],
        *[[what, ms(clock), "{:.2f} ({:.2f})".format(*[times * a / b for a, b in zip(one, clock)]), ms(processor)]
          for what, times, clock, processor in rows]])
    added = max(0.0, averaging[64] - alone[64])
    ready = few.ready()
    table("Buckets, and how long before the end of backward() they are final", ["bytes", "microseconds"],
          [[f"{n:,}", f"{1e6 * moment:,.0f}"] for n, moment in ready])

    table(f"Predicted, by processor time: {1e6 * latency:.1f} us, {bandwidth / 1e9:.2f} GB/s; 64 names a rank, or 64 in all",
          ["ranks", "sums, us", "not hidden, us", "64 a rank: speed-up, hidden", "64 a rank: speed-up, nothing hidden",
           "64 in all: speed-up"], [
        [ranks, f"{1e6 * total:,.0f}", f"{1e6 * late:,.0f}", f"{ranks * alone[64] / (alone[64] + added + late):,.1f}",
         f"{ranks * alone[64] / (alone[64] + added + total):,.1f}",
         f"{alone[64] / (np.interp(64 / ranks, *zip(*sorted(alone.items()))) + added + late):.2f}" if ranks <= 64 else "-"]
        for ranks in RANKS for total, late in [exposed(ranks, ready, latency, bandwidth)]])


if __name__ == "__main__":
    main()
