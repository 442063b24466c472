"""The parts of peers.py that run all peers in turns in one process. A part is a generator of tables (report.py)."""

import time

import activations
import libraries
import models
import networks as nets
import numpy as np
import sampling
from interleave import interleave, timed
from report import Table

BASELINE = "torch"
COMPILED_SIZE = "N32-D80-H64-M20"
REPEATED = 1000


def fill(table, row, peers, make, seconds):
    """One row: the runs that make(peer) gives, in turns. A peer that cannot run is a note of the table."""
    runs = {}
    for peer in peers:
        start = time.perf_counter()
        try:
            runs[peer] = make(peer)
            runs[peer]()
        except Exception as error:              # one peer's failure, be it no compiler, is not the others'
            runs.pop(peer, None)
            reason = str(error).strip().partition("\n")[0][:100]
            table.notes.append(f"{libraries.TITLES[peer]} is left out of {row}: {type(error).__name__}: {reason}")
            continue
        if peer == "torch.compile":
            took = time.perf_counter() - start
            table.notes.append(f"torch.compile took {took:.0f} s to compile {row}, or to find it in its cache.")
    table.rows[row] = interleave(runs, seconds, table.baseline)


def only(peers, *wanted):
    return [peer for peer in wanted if peer in peers]


def lstm(peers, options):
    """The LSTM step at its sizes."""
    peers = only(peers, "tapegrad", "tg.compile", "tg.nn", "torch", "nn.LSTM", "torch.compile", "jax", "autograd", "mygrad")
    table = Table("LSTM step", "ms", 1e3, BASELINE)
    table.notes.append("Loss and all gradients, float32. tapegrad, PyTorch, autograd and MyGrad run the same elementary "
                       "operations in a Python loop; tg.nn is tapegrad's nn.LSTM, compiled; nn.LSTM is PyTorch's own layer; "
                       "JAX compiles a lax.scan.")
    for size in options.sizes:
        at_size = [peer for peer in peers if peer != "torch.compile" or options.compile and size == COMPILED_SIZE]
        fill(table, size, at_size, lambda peer, size=size: timed(models.lstm_step(peer, *models.SIZES[size])),
             options.seconds * 4)
    yield table


def recurrent(peers, options):
    """The modules LSTM and GRU, compiled, beside the same steps written by hand."""
    table = Table("nn.LSTM and nn.GRU of tapegrad beside the loops written by hand, both compiled", "ms", 1e3, "tg.compile")
    table.notes.append("Loss and all gradients, float32, dense inputs.")
    for kind in models.GATES:
        for size in options.sizes:
            fill(table, f"{kind} {size}", only(peers, "tg.compile", "tg.nn"),
                 lambda peer, case=(kind, size): timed(models.recurrent_step(peer, case[0], *models.SIZES[case[1]])),
                 options.seconds)
    yield table


def products(peers, options):
    """How much of the compiled LSTM step is matrix products."""
    if "tg.compile" not in peers:
        return
    table = Table("The compiled LSTM step: how much of it is matrix products", "us", 1e6, "instructions")
    table.notes.append("Every instruction by itself, the least of 20 runs, from the step's `profile`, without the call, its "
                       "guards and backward() around them. Look-ups of one-hot rows are no products.")
    for size in options.sizes:
        loss, inputs, parameters = models.lstm_problem(*models.SIZES[size])
        F = libraries.load("tg.compile")
        inputs, p = libraries.convert(F.constant, inputs), {name: F.parameter(value) for name, value in parameters.items()}
        profile = str(F.compiled(loss).profile(F, p=p, **inputs)).splitlines()
        times = {line: float(line.split()[0]) / 1e6 for line in profile}
        gemm = sum(seconds for line, seconds in times.items() if "@" in line and "by rows" not in line)
        total = sum(times.values())
        table.rows[size] = {"instructions": (total, 1), "matrix products": (gemm, gemm / total)}
    yield table


def mlp(peers, options):
    """The MLP step on one-hot and on dense inputs."""
    N, D, M, H = models.MLP_SIZES
    table = Table("MLP step", "ms", 1e3, BASELINE)
    table.notes.append(f"{N} names, {M * D}-{H}-{models.CLASSES}: loss and all gradients, float32.")
    for name, one_hot in {"x one-hot": True, "x dense": False}.items():
        fill(table, name, only(peers, "tapegrad", "tg.compile", "torch", "jax", "autograd", "mygrad"),
             lambda peer, one_hot=one_hot: timed(models.mlp_step(peer, one_hot), calls=5), options.seconds * 2)
    yield table


def total(z):
    return z.sum() if hasattr(z, "sum") else z          # a number of micrograd is one already


OPERATIONS = {"x * y": lambda x, y: x * y, "x.sum()": lambda x, y: x.sum(), "x.reshape(2, 2)": lambda x, y: x.reshape(2, 2),
              "x[1:3]": lambda x, y: x[1:3]}


def recorded(peer, operation):
    """A run: the operation, recorded and let go of, seconds for one."""
    x, y = (np.ones(4, np.float32) for _ in range(2))
    found = []

    def many(x, y):
        start = time.perf_counter()
        for _ in range(REPEATED):
            operation(x, y)
        found.append((time.perf_counter() - start) / REPEATED)
        return total(x * y)

    F = None if peer == "numpy" else libraries.load(peer)

    def run():
        if F is None:
            many(x, y)
        else:
            F.record(many, x, y)()
        return found.pop()

    return run


def chain_backward(peer):
    """A run: backward through a chain of products, seconds for one of them."""
    F, (x, y) = libraries.load(peer), (np.ones(4, np.float32) for _ in range(2))

    def chain(x, y):
        z = x
        for _ in range(REPEATED):
            z = z * y
        return total(z)

    def run():
        walk_back = F.record(chain, x, y)
        return timed(walk_back)() / REPEATED

    return run


def operations(peers, options):
    """The overhead of one recorded operation, and of walking back over it."""
    peers = only(peers, "tapegrad", "torch", "autograd", "mygrad", "micrograd")
    table = Table("Overhead of one operation", "us", 1e6, BASELINE)
    table.notes.append("Four float32 (micrograd: one number, in Python); autograd inside of a trace. JAX records nothing while "
                       "it runs.")
    for name, operation in OPERATIONS.items():
        able = [peer for peer in [*peers, "numpy"] if peer != "micrograd" or name == "x * y"]
        fill(table, f"{name}, recorded", able, lambda peer, operation=operation: recorded(peer, operation), options.seconds * 2)
    fill(table, f"backward, per entry of {REPEATED:,} products", peers, chain_backward, options.seconds * 2)
    yield table


def kernels(peers, options):
    """Activations, forward and derivative."""
    table = Table("Activations, forward and derivative", "us", 1e6, BASELINE)
    table.notes.append("PyTorch's kernels are called below its autograd; NumPy's are the usual expressions.")
    for dtype in ("float32", "float64"):
        for name in activations.NUMPY:
            for size in activations.SIZES:
                fill(table, f"{name}, {size:,} {dtype}", only(peers, "tapegrad", "torch", "numpy"),
                     lambda peer, case=(name, size, dtype): timed(activations.activation_step(peer, *case),
                                                                  calls=max(1, 100_000 // case[1])), options.seconds * 0.7)
    yield table


def networks(peers, options):
    """The layers of networks, convolutions, and small networks. About a minute: there are many."""
    peers = only(peers, "tapegrad", "torch")
    steps = {f"{name}, {size:,}": lambda peer, case=(name, size): nets.layer_step(peer, *case)
             for name in nets.LAYERS for size in nets.SIZES if size in options.lengths}
    steps |= {f"conv2d {name}": lambda peer, name=name: nets.convolution_step(peer, name) for name in nets.CONVOLUTIONS}
    steps |= {name: lambda peer, name=name: nets.network_step(peer, name) for name in nets.NETWORKS}
    table = Table("Layers and networks, forward and backward", "us", 1e6, BASELINE)
    table.notes.append("float32, both eager. conv2d: batch x channels x height x width - channels out, k kernel, s stride.")
    for name, make in steps.items():
        fill(table, name, peers, lambda peer, make=make: timed(make(peer)), options.seconds * 0.3)
    yield table


def compiled(peers, options):
    """Small networks, compiled."""
    table = Table("Networks, compiled: loss and all gradients", "us", 1e6, "torch.compile" if options.compile else BASELINE)
    peers = only(peers, "tapegrad", "tg.compile", "torch", *["torch.compile"] * options.compile)
    for name in nets.NETWORKS:
        fill(table, name, peers, lambda peer, name=name: timed(nets.network_step(peer, name)), options.seconds * 2)
    yield table


def hmc(peers, options):
    """Hamiltonian Monte Carlo: time per leapfrog step. Last, because it has JAX compute in float64."""
    table = Table("Hamiltonian Monte Carlo: a leapfrog step", "us", 1e6, "jax")
    table.notes.append(
        f"Logistic regression, {sampling.SIZE} observations, {sampling.PARAMETERS} parameters, float64: the time of a sample, "
        f"with its random numbers and whether it is accepted, by its {sampling.LEAPS} steps. A gradient at a time: JAX and "
        "tg.compile compile the gradient, tapegrad and autograd record it, and the loop around it is Python's.")
    for way, able in sampling.WAYS.items():
        def run(peer, way=way):
            timed_sample = timed(sampling.sampler(peer, way), calls=10)
            return lambda: timed_sample() / sampling.LEAPS

        fill(table, way, only(peers, *able), run, options.seconds * 2)
    yield table
