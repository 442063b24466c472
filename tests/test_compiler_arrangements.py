"""tg.compile: products of stacks where they are, parts of elementwise functions, and the kernels of softmax."""

import re

import numpy as np
import pytest
from compiled_calls import strict

import tapegrad as tg
from tapegrad.compiler import arrangement
from tapegrad.compiler.views import strided
from tapegrad.graph import Graph
from tapegrad.kernels import program
from tapegrad.primitives.node import Node

needs_programs = pytest.mark.skipif(not program.available(), reason="without numba there are no programs")
PRECISIONS = [(np.float64, 1e-12), (np.float32, 2e-5)]


def agree(f, *leaves, tolerance):
    """f compiled has the value and the gradients of f, twice; returns the text of its program."""
    compiled, found = strict(f), []
    for g in (f, compiled, compiled):
        for leaf in leaves:
            leaf.grad = None
        z = g(*leaves)
        z.backward()
        found.append([z.data, *[leaf.grad for leaf in leaves]])
    for again in found[1:]:
        for x, y in zip(again, found[0], strict=True):
            np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance * np.max(np.abs(y), initial=1))
    return str(compiled.program(*leaves))


def by_python(listed):
    """What a program has Python compute."""
    return re.findall(r"= (\w+)\(.*in Python", listed)


def leaves_of(dtype, *shapes):
    random = np.random.default_rng(0)
    return [tg.tensor(random.normal(size=shape).astype(dtype), requires_grad=True) for shape in shapes]


def steps_of(random, shape):
    """Random steps of a view, and the shape that comes of them."""
    view = []
    for _ in range(random.integers(1, 5)):
        kind = random.integers(3)
        if kind == 0:
            axes = tuple(random.permutation(len(shape)).tolist())
            view.append(("transpose", axes))
            shape = [shape[k] for k in axes]
        elif kind == 1:
            size, shape = int(np.prod(shape)), []
            while size > 1 and len(shape) < 4:
                shape.append(int(random.choice([n for n in range(1, size + 1) if size % n == 0])))
                size //= shape[-1]
            shape.append(size)
            view.append(("reshape", tuple(shape)))
        elif shape and max(shape) > 1:
            index = [slice(low := int(random.integers(n)), int(random.integers(low, n)) + 1) for n in shape]
            if random.integers(2):
                index[0] = index[0].start
            view.append(("getitem", tuple(index)))
            shape = list(np.empty(shape)[tuple(index)].shape)
    return tuple(view)


@pytest.mark.parametrize("padding", [0, 3])
def test_views_have_the_strides_that_numpy_gives_them(padding):
    random, compared = np.random.default_rng(0), 0
    for _ in range(500):
        whole = np.zeros((4, 3, 6 + padding))
        x = seen = whole[..., :6]
        view = steps_of(random, x.shape)
        for name, static in view:
            before, seen = seen, getattr(np, name)(seen, static) if name != "getitem" else seen[static]
            if not np.shares_memory(before, seen):
                break
        start, axes = strided(0, [(n, step // 8) for n, step in zip(x.shape, x.strides)], view)
        if not np.shares_memory(x, seen):
            assert axes is None, view
            continue
        compared += 1
        assert [n for n, _ in axes] == list(seen.shape), view
        assert all(step == other // 8 for (n, step), other in zip(axes, seen.strides) if n > 1), view
        assert start == (seen.__array_interface__["data"][0] - x.__array_interface__["data"][0]) // 8
    assert compared > 100


def attention(x, W, b, V, heads=2):
    n, length, width = x.shape
    z = x @ W + b
    q, k, v = [tg.swapaxes(z[..., i * width:(i + 1) * width].reshape(n, length, heads, -1), 1, 2) for i in range(3)]
    weights = tg.softmax(q @ tg.swapaxes(k, -1, -2) * 0.5, -1)
    return tg.sum(tg.tanh(tg.swapaxes(weights @ v, 1, 2).reshape(n, length, width) @ V) ** 2)


@needs_programs
@pytest.mark.parametrize("dtype, tolerance", PRECISIONS)
def test_attention_is_products_where_the_heads_are(dtype, tolerance):
    x, W, b, V = leaves_of(dtype, (3, 5, 8), (8, 24), (24,), (8, 8))
    text = agree(attention, x, W, b, V, tolerance=tolerance)
    listed = text.partition("what runs")[2]
    assert listed.count("batched_matmul") == 6 and by_python(listed) == ["broadcast_to"] and "transpose(" not in listed, text


STACKS = {"plain": lambda x, y: x @ y, "both turned": lambda x, y: tg.swapaxes(y, -1, -2) @ tg.swapaxes(x, -1, -2),
          "a part of each": lambda x, y: x[1:, :, :3] @ y[1:, :3],
          "the result turned": lambda x, y: tg.swapaxes(x @ y, 0, 1) * 2,
          "the result reshaped": lambda x, y: (x @ y).reshape(2, -1) * 2, "rows": lambda x, y: x[:, :1] @ y,
          "columns": lambda x, y: x @ y[..., :1], "one after the other": lambda x, y: tg.concatenate([x @ y, x @ y * 2], -1),
          "three axes": lambda x, y: x.reshape(2, 3, 1, 4, 5) @ y.reshape(2, 3, 1, 5, 6),
          "three axes turned": lambda x, y: tg.transpose(x.reshape(2, 3, 2, 2, 5), (2, 1, 0, 3, 4)) @ tg.transpose(
              y.reshape(2, 3, 5, 2, 3), (3, 1, 0, 2, 4)),
          "broadcast": lambda x, y: x @ y[:1], "a step": lambda x, y: x[:, ::2] @ y,
          "rows by their numbers": lambda x, y: x[:, np.array([0, 2, 1])] @ y}


@needs_programs
@pytest.mark.parametrize("dtype, tolerance", PRECISIONS)
@pytest.mark.parametrize("name", STACKS)
def test_products_of_stacks(name, dtype, tolerance):
    x, y = leaves_of(dtype, (6, 4, 5), (6, 5, 6))
    agree(lambda x, y: tg.sum(tg.sin(STACKS[name](x, y))), x, y, tolerance=tolerance)


def test_parts_of_elementwise_nodes_are_elementwise_nodes_of_parts():
    x, b = Node(None, (), (), (3, 8), np.dtype(float)), Node(None, (), (), (8,), np.dtype(float))
    z = abs(x * 2 + b)
    graph = arrangement.sliced(Graph([x, b], [z[:, :4], z[:, 4:6][:, 1:]]))
    assert all(node.shape != (3, 8) for node in graph.nodes)
    for kept in ([z[:, :4], z], [z[:, :5], z[:, 3:]], [z[:, ::2]], [z[1:, :3]]):   # all of it, twice, a step, two axes
        graph = Graph([x, b], kept)
        assert [node.row for node in arrangement.sliced(graph).nodes] == [node.row for node in graph.nodes]


CUT = {"columns": lambda z: z[:, :4] * tg.sigmoid(z[..., 4:]), "rows": lambda z: z[0] * z[1] + z[2],
       "a column": lambda z: z[:, 3],
       "a part of a part": lambda z: tg.tanh(z[:, :6])[:, :3] * tg.tanh(z[:, :6])[:, 3:]}


@needs_programs
@pytest.mark.parametrize("name", CUT)
def test_parts_have_the_same_gradients(name):
    x, y, b = leaves_of(np.float64, (3, 8), (3, 1), (8,))
    agree(lambda x, y, b: tg.sum(CUT[name](tg.tanh(x * y + b)) ** 2), x, y, b, tolerance=1e-12)


@needs_programs
@pytest.mark.parametrize("kind, parts", [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_a_recurrent_module_is_a_product_and_a_kernel_a_step(kind, parts):
    steps, n, width, hidden = 5, 3, 7, 4
    module = getattr(tg.nn, kind)(width, hidden)
    x, = leaves_of("f4", (steps, n, width))
    parameters = list(module.parameters())

    def loss(x, *_):
        output, _ = module(x)
        return tg.sum(output[-1] ** 2)

    listed = agree(loss, x, *parameters, tolerance=1e-5).partition("what runs")[2]
    forward, backward = listed.split("backward:")
    forward_kernels, backward_kernels = [len(re.findall(r"= kernel \d+\(", part)) for part in (forward, backward)]
    assert len(re.findall(rf"{n}x{hidden} @ {hidden}x{parts * hidden}\b", forward)) == steps
    assert len(re.findall(rf"{steps * n}x{width} @ {width}x{parts * hidden}\b", forward)) == 1
    assert forward_kernels <= steps + 1 and backward_kernels <= steps + 1
    assert by_python(backward) == ["broadcast_to"], listed


@needs_programs
@pytest.mark.parametrize("directions", [1, 2])
def test_deltas_of_all_steps_are_computed_side_by_side(directions):
    """In one order, which is that of the input, though the steps of the other direction are computed last first."""
    module = tg.nn.LSTM(7, 4, bidirectional=directions == 2)
    x, = leaves_of("f4", (5, 3, 7))
    backward = agree(lambda x, *_: tg.sum(module(x)[0] ** 2), x, *module.parameters(), tolerance=1e-5).partition("backward:")[2]
    assert "15x16" in backward and "x16 copies" not in backward, backward


PICKED = {"a step of a stack": lambda x, y: tg.stack([x, y, x * y])[-1],
          "of the second axis": lambda x, y: tg.stack([x, y], 1)[:, 0],
          "of a transposed stack": lambda x, y: tg.swapaxes(tg.stack([x, y * 2]), 0, 1)[:, 1],
          "of a stack turned round": lambda x, y: tg.transpose(tg.stack([x, y * 2]), (2, 0, 1))[:, 1],
          "all of a piece": lambda x, y: tg.concatenate([x, y])[3:],
          "a part of a piece": lambda x, y: tg.concatenate([x, y], 1)[:, 5:7],
          "a row": lambda x, y: tg.concatenate([x, y])[-2], "of two pieces": lambda x, y: tg.concatenate([x, y])[2:5]}


@needs_programs
@pytest.mark.parametrize("name", PICKED)
def test_parts_of_what_is_joined(name):
    x, y = leaves_of(np.float64, (3, 4), (3, 4))

    def f(x, y):
        return tg.sum(PICKED[name](tg.sin(x), tg.cos(y)) * 2)

    agree(f, x, y, tolerance=1e-12)                     # the gradient of what is left out is 0, not None
    listed = agree(lambda x, y: f(x, y) + tg.sum(x * y), x, y, tolerance=1e-12).partition("what runs")[2]
    assert ("scatter(" in listed) == (name in ("of two pieces", "a part of a piece", "a row")), listed


SOFTMAXES = {"softmax": (lambda x: tg.softmax(x, -1)), "log_softmax": (lambda x: tg.log_softmax(x, -1)),
             "sum": (lambda x: tg.sum(x, -1)), "mean": (lambda x: tg.mean(x, -1)),
             "cross_entropy": (lambda x: tg.cross_entropy(x, np.zeros(x.shape[0], int), reduction="none"))}


@needs_programs
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-13), (np.float32, 1e-6)])
@pytest.mark.parametrize("name", SOFTMAXES)
def test_kernels_of_rows_short_and_long(name, dtype, tolerance):
    f = strict(SOFTMAXES[name])
    for columns in (1, 3, 16, 17, 33, 200):
        x = np.random.default_rng(columns).normal(size=(5, columns), scale=10).astype(dtype)
        if columns > 1:
            x[1, 1], x[2, 0], x[3, 1], x[4] = np.inf, -np.inf, np.nan, -np.inf
        with np.errstate(all="ignore"):
            wide = x.astype(np.longdouble)
            top = wide.max(-1, keepdims=True)
            logs = wide - top - np.log(np.exp(wide - top).sum(-1, keepdims=True))
            expected = {"softmax": np.exp(wide - top) / np.exp(wide - top).sum(-1, keepdims=True), "log_softmax": logs,
                        "sum": wide.sum(-1), "mean": wide.mean(-1), "cross_entropy": -logs[:, 0]}[name]
            for _ in range(2):
                z = f(tg.tensor(x)).data
                np.testing.assert_allclose(z, expected.astype(dtype), rtol=8 * tolerance, atol=8 * tolerance)


MASKED = {"of all": (lambda x, m, c: tg.where(m, x * x, 0.0)), "of rows": (lambda x, m, c: tg.where(c, tg.sin(x), x)),
          "as numbers": (lambda x, m, c: x * x * m + m.astype(x.dtype)),
          "two": (lambda x, m, c: tg.where(tg.logical_and(m, c), x * x, -x)),
          "with a comparison": (lambda x, m, c: tg.where(tg.logical_or(m, x > 0.5), x * x, -x)),
          "not": (lambda x, m, c: tg.where(tg.logical_not(m), x * x, -x)),
          "a part": (lambda x, m, c: tg.where(m[:, 3:], x[:, 3:] ** 2, 1)),
          "a constant": (lambda x, m, c: tg.where(np.eye(5, 40, dtype=bool), x * x, 1))}


@needs_programs
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 2e-6)])
@pytest.mark.parametrize("name", MASKED)
def test_kernels_read_masks(name, dtype, tolerance):
    x, = leaves_of(dtype, (5, 40))
    random = np.random.default_rng(1)
    m, c = tg.tensor(random.random((5, 40)) < 0.5), tg.tensor(random.random((5, 1)) < 0.5)
    listed = agree(lambda x: tg.sum(MASKED[name](x, m, c) * 2), x, tolerance=tolerance).partition("what runs")[2]
    assert not {"where", "multiply", "astype", "logical_and", "logical_not"} & {*by_python(listed)}, listed


RECURRENT = {"two layers both ways": ("LSTM", {"num_layers": 2, "bidirectional": True, "batch_first": True}),
             "projected": ("LSTM", {"proj_size": 2}), "dropout": ("GRU", {"num_layers": 2, "dropout": 0.3}),
             "no bias": ("RNN", {"bias": False, "bidirectional": True})}


@needs_programs
@pytest.mark.parametrize("lengths", [None, [4, 2, 1]])
@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_modules_with_options(name, lengths):
    kind, options = RECURRENT[name]
    module = getattr(tg.nn, kind)(6, 4, **options)
    x, = leaves_of("f4", (3, 4, 6) if "batch_first" in options else (4, 3, 6))

    def loss(x):
        output, last = module(x, lengths=None if lengths is None else np.array(lengths))
        return tg.sum(output ** 2) + tg.sum(output[:, -1]) + tg.sum(last[0])

    compiled, found = strict(loss), []
    for f in (loss, compiled, compiled):
        tg.manual_seed(3)
        x.grad = None
        module.zero_grad()
        z = f(x)
        z.backward()
        found.append([z.data, x.grad, *[p.grad for p in module.parameters()]])
    for again in found[1:]:
        for mine, other in zip(again, found[0], strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)
    assert "where" not in by_python(str(compiled.program(x)).partition("what runs")[2])


CHANNELS = {"a number per channel": ((5, 4, 3, 6), (1, 4, 1, 1)), "without the first axis": ((5, 4, 3, 6), (4, 1, 1)),
            "three axes": ((5, 4, 7), (1, 4, 1)), "of two axes": ((2, 5, 4, 3), (1, 5, 4, 1)),
            "of a height": ((5, 4, 3, 6), (1, 1, 3, 1)),
            "one example": ((1, 4, 3), (4, 1)), "of the first and the third axis": ((5, 4, 3, 6), (5, 1, 3, 1))}


@needs_programs
@pytest.mark.parametrize("dtype, tolerance", PRECISIONS)
@pytest.mark.parametrize("name", CHANNELS)
def test_kernels_have_operands_per_channel(name, dtype, tolerance):
    x, b = leaves_of(dtype, *CHANNELS[name])
    axes = (0, *range(2, x.ndim))

    def f(x, b):
        return tg.sum(tg.sum(x * b + tg.sin(b), axes) ** 2) + tg.sum(tg.mean(x * b, axes, keepdims=True) ** 2)

    listed = agree(f, x, b, tolerance=tolerance).partition("what runs")[2]
    assert ("multiply" in by_python(listed)) == (name == "of the first and the third axis")
    if CHANNELS[name][1][-3:] == (4, 1, 1):
        assert {*by_python(listed)} == {"broadcast_to"}, listed


@needs_programs
def test_what_is_around_an_operand_per_channel_is_one_kernel_with_it():
    x, b = leaves_of(np.float64, (5, 4, 3, 6), (4, 1, 1))
    listed = agree(lambda x, b: tg.sum(tg.tanh(tg.exp(x) * b)), x, b, tolerance=1e-12).partition("what runs")[2]
    assert len(re.findall(r"= kernel \d+\(", listed.partition("backward:")[0])) == 1, listed


@needs_programs
def test_sums_by_channel_of_what_is_a_part_of_something_else():
    x, = leaves_of(np.float64, (5, 4, 3, 6))

    def f(x):
        y = tg.sin(x)
        return tg.sum(tg.concatenate([y, x], -1) @ np.ones((12, 2))) + tg.sum(tg.sum(y, (0, 2, 3)) ** 2)

    agree(f, x, tolerance=1e-12)


@needs_programs
def test_batch_norm_moves_its_statistics():
    nets = [tg.nn.Sequential(tg.nn.Conv2d(3, 4, 3), tg.nn.BatchNorm2d(4)) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    losses = [lambda x: tg.sum(nets[0](x) ** 3), strict(lambda x: tg.sum(nets[1](x) ** 3))]
    for x in np.random.default_rng(0).normal(size=(3, 2, 3, 6, 6)).astype("f4"):
        found = []
        for net, loss in zip(nets, losses):
            net.zero_grad()
            z = loss(tg.tensor(x))
            z.backward()
            found.append([z.data, *[p.grad for p in net.parameters()], *net.state_dict().values()])
        for mine, other in zip(*found, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-4)
    assert nets[1].state_dict()["1.num_batches_tracked"] == 3


@needs_programs
@pytest.mark.parametrize("module", ["attention", "encoder"])
def test_masked_attention(module):
    """Also where a query may look at nothing at one call, and not at the next."""
    net = tg.nn.MultiheadAttention(8, 2, batch_first=True) if module == "attention" else tg.nn.TransformerEncoderLayer(
        8, 2, 16, dropout=0.0, batch_first=True)
    x, = leaves_of("f4", (3, 5, 8))
    causal = np.triu(np.full((5, 5), -np.inf, "f4"), 1)
    blind = np.where(np.arange(5)[:, None] == 2, np.float32(-np.inf), causal)

    def loss(x, mask):
        z = net(x, x, x, attn_mask=mask)[0] if module == "attention" else net(x, src_mask=mask)
        return tg.sum(z ** 3)

    compiled = strict(loss)
    for mask in (causal, causal, blind, causal, blind):
        found = []
        for f in (loss, compiled):
            x.grad = None
            net.zero_grad()
            z = f(x, tg.tensor(mask))
            z.backward()
            found.append([z.data, x.grad, *[p.grad for p in net.parameters()]])
        for mine, other in zip(*found, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-4)
    assert len(compiled.cache) == 2 and sum(recording.replays for recording in compiled.cache) >= 3


@needs_programs
def test_rows_of_a_transposed_weight_are_looked_up_where_the_input_is_one_hot():
    W, b = leaves_of("f4", (24, 64), (24,))
    random = np.random.default_rng(0)
    f = strict(lambda x, W, b: tg.sum(tg.sin(x @ W.T + b)))
    for one_hot in (True, False, True):
        x = np.eye(64, dtype="f4")[random.integers(64, size=40)] if one_hot else random.normal(size=(40, 64)).astype("f4")
        found = []
        for g in (lambda x, W, b: tg.sum(tg.sin(x @ W.T + b)), f):
            W.grad = b.grad = None
            z = g(tg.tensor(x), W, b)
            z.backward()
            found.append([z.data, W.grad, b.grad])
        for mine, other in zip(*found, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-4)
    listed = str(f.program(tg.tensor(x), W, b))
    assert listed.count("by rows") == 2 and "turned_where(" in listed and len(f.cache) == 1, listed
