"""What several processes do together: a program that mpiexec starts (test_distributed.py). Each rank checks, and prints ok."""

import sys
import zlib

import numpy as np

import tapegrad as tg
from tapegrad import data, nn
from tapegrad import distributed as dist
from tapegrad.errors import DistributedError, GradientError, ShapeError

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(37, 6)), rng.integers(0, 3, 37)


def raises(kind, words, call):
    """The error comes on every rank, which can go on."""
    try:
        call()
    except kind as error:
        assert words in str(error), error
    else:
        raise AssertionError(f"no {kind.__name__}: {words}")


def the_same(arrays):
    found = dist.all_gather([zlib.crc32(np.ascontiguousarray(x).tobytes()) for x in arrays])
    return all(sums == found[0] for sums in found)


def net(dtype):
    return nn.Sequential(nn.Linear(6, 40, dtype=dtype), nn.Tanh(), nn.Linear(40, 40, dtype=dtype), nn.ReLU(),
                         nn.Linear(40, 3, dtype=dtype))


def training(dtype, tolerance, bucket_bytes, n=37):
    """Against one process with the joint batches: gradients and weights, over three epochs with batches of 8 and one of 5."""
    x, y = X[:n].astype(dtype), Y[:n]
    tg.manual_seed(7)
    one, mine = net(dtype), None
    tg.manual_seed(8 + dist.rank())
    mine = dist.DataParallel(dist.broadcast(net(dtype)), bucket_bytes=bucket_bytes)
    assert the_same([tg.rand(4).numpy()])
    one.load_state_dict(mine.state_dict())
    optimizers = [tg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9) for model in (one, mine)]
    orders = [data.BatchSampler(n, 8, shuffle=True, seed=seed) for seed in (3, 3 + dist.rank())]     # rank 0's counts
    loaders = [data.DataLoader(data.TensorDataset(x, y), batch_sampler=sampler)
               for sampler in (orders[0], dist.shard(orders[1]))]
    for _ in range(3):
        assert len(loaders[0]) == len(loaders[1])
        for joint, part in zip(*loaders):
            for (of_x, of_y), model, optimizer in zip((joint, part), (one, mine), optimizers):
                optimizer.zero_grad()
                tg.cross_entropy(model(of_x), of_y).backward()
            assert dist.all_reduce(np.array(len(part[1]))) == len(joint[1]) or len(part[1]) == len(joint[1]) < dist.world_size()
            for p, q in zip(one.parameters(), mine.parameters()):
                np.testing.assert_allclose(q.grad, p.grad, rtol=0, atol=tolerance)
            for optimizer in optimizers:
                optimizer.step()
    assert the_same([*mine.state_dict().values(), *[p.grad for p in mine.parameters()]])


def dtypes_and_shapes(bucket_bytes):
    """Of parameters of several dtypes, sums of all kinds of deltas."""
    kinds = {"f2": 1e-3, "f4": 1e-6, "f8": 1e-12, "c8": 1e-6, "c16": 1e-12}
    parameters = [nn.Parameter(np.ones(shape, kind)) for kind in kinds for shape in ((), (2, 3), (0,))]
    parallel = dist.DataParallel(parameters, bucket_bytes=bucket_bytes)
    parallel.examples = 1 + dist.rank()
    loss = 0.0
    for p in parameters:
        loss = loss + (abs(p * p) * (1 + dist.rank())).sum().astype("f8")
    loss.backward()
    n = dist.world_size()
    mean = sum((1 + r) ** 2 for r in range(n)) / sum(1 + r for r in range(n))
    for p in parameters:
        assert p.grad.dtype == p.dtype and p.grad.shape == p.shape
        np.testing.assert_allclose(p.grad, np.full(p.shape, 2 * mean), rtol=kinds[p.dtype.str[1:]])
    half = [nn.Parameter(np.ones((2, 1), "f2"))]
    dist.DataParallel(half, bucket_bytes=bucket_bytes).examples = 1000              # the sum is greater than any float16
    (half[0] * 500).sum().backward()
    np.testing.assert_array_equal(half[0].grad, [[500], [500]])
    np.testing.assert_array_equal(dist.all_reduce(np.ones(2, ">f8")), [n, n])


def unused_parameters():
    """What one rank has not used counts as 0 there; what none has used has no gradient; what is frozen is left alone."""
    a, b, c, d = (nn.Parameter(np.ones(2)) for _ in range(4))
    parallel = dist.DataParallel([a, b, c, d], bucket_bytes=1)
    parallel.examples = 1
    seen = []
    a.register_hook(lambda g: seen.append(g.copy()))
    for _ in range(2):
        loss = (a * 3 * (1 + dist.rank())).sum() + (b.sum() if dist.rank() == 0 else 0.0)
        (loss + d.sum() if d.requires_grad else loss).backward()
        d.requires_grad = False
    n = dist.world_size()
    np.testing.assert_allclose(a.grad, 2 * 3 * (1 + n) / 2)
    np.testing.assert_allclose(seen[0], 3 * (1 + n) / 2)
    np.testing.assert_allclose(b.grad, 2 / n)
    assert c.grad is None
    d.requires_grad = True
    (a.sum() + (d * (1 + dist.rank())).sum()).backward()
    np.testing.assert_allclose(d.grad, (1 + n) / 2)


def tables(dtype, tolerance):
    """Parameters that are larger than a bucket: few of their rows used, all, or none, by all ranks or one."""
    n, r = dist.world_size(), dist.rank()
    start = np.random.default_rng(5).normal(size=(5, 40, 2, 3)).astype(dtype)
    few, whole, turned, partly, never = joint = [nn.Parameter(x) for x in start]
    mine = [nn.Parameter(x) for x in start]
    parallel = dist.DataParallel(mine, bucket_bytes=100)
    ids = np.random.default_rng(6).integers(-40, 40, (n, 4))

    def loss(parameters, k):
        few, whole, turned, partly, _ = parameters
        z = (few[ids[k]] * (1 + k)).sum() + (whole * whole * (1 + k)).sum() + (turned.T[:, :, k] ** 2).sum()
        return abs(z + (partly[3] * few[4]).sum() if k == 0 else z)

    for counts in ([3.0] * n, [1.0 + k for k in range(n)], [2.0 * (k > 0) for k in range(n)]):
        for p in (*joint, *mine):
            p.grad = None
        parallel.examples = counts[r]
        loss(mine, r).backward()
        (sum([loss(joint, k) * counts[k] for k in range(n)]) / sum(counts)).backward()
        for p, q in zip(mine[:-1], joint):
            assert p.grad.dtype == p.dtype and p.grad.flags.owndata and p.grad.flags.writeable
            np.testing.assert_allclose(p.grad, q.grad, rtol=tolerance, atol=tolerance)
        assert mine[-1].grad is None and the_same([p.grad for p in mine[:-1]])
    parallel.examples = float(r > 0)
    mine[0].reshape(-1).backward(np.full(mine[0].size, 1.0 if r else np.inf, dtype))    # a rank without examples adds nothing
    assert np.isfinite(mine[0].grad).all()
    parallel.examples, mine[0].grad = 1.0, None
    mine[0].reshape(-1).backward(np.full(mine[0].size, -0.0 if r else 0.0, dtype))
    assert the_same([mine[0].grad])                     # with the same zeros
    seed, held = np.full(mine[0].shape, 1 + r, dtype), []
    both, mine[0].grad, mine[1].grad = mine[0] + mine[1], None, None
    both.register_hook(held.append)
    both.backward(seed)                                 # one delta, which others hold: averages are not written into it
    assert (seed == 1 + r).all() and (held[0] == 1 + r).all() and not np.shares_memory(mine[0].grad, mine[1].grad)
    np.testing.assert_allclose([mine[0].grad, mine[1].grad], np.full((2, *seed.shape), (1 + n) / 2), rtol=tolerance)


def compiled():
    """A step that is compiled as a whole counts and averages at each replay."""
    model = dist.DataParallel(nn.Linear(6, 3, dtype="f8"))
    tester = nn.Linear(6, 3, dtype="f8")
    tester.load_state_dict(model.state_dict())
    optimizer = tg.optim.SGD(model.parameters(), lr=0.5)

    @tg.compile(fallback="silent")
    def step(x, y):
        loss = tg.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    for n in (8, 8, 7, 7, 8):
        mine = dist.share(n)
        optimizer.zero_grad()
        step(X[:n][mine], Y[:n][mine])
        tester.zero_grad()
        tg.cross_entropy(tester(X[:n]), Y[:n]).backward()
        for p, q in zip(tester.parameters(), model.parameters()):
            np.testing.assert_allclose(q.grad, p.grad, atol=1e-12)
            p.data = p.data - 0.5 * p.grad


def what_does_not_fit():
    r = dist.rank()
    raises(DistributedError, "broadcast: the ranks differ in what they hold", lambda: dist.broadcast(nn.Linear(2 + r, 3)))
    raises(DistributedError, "the ranks differ in what they hold", lambda: dist.DataParallel(nn.Linear(2, 3 + r)))
    raises(DistributedError, "all_reduce: the ranks differ in what they sum; rank 0: float64 (2,), rank 1: float64 (3,)",
           lambda: dist.all_reduce(np.ones(2 + r)))
    raises(DistributedError, "shard: the ranks differ in their samplers", lambda: dist.shard(data.BatchSampler(10 + r, 4)))
    model = nn.Linear(2, 2)
    parallel = dist.DataParallel(model)
    raises(ValueError, "belongs to another DataParallel", lambda: dist.DataParallel(model))
    raises(GradientError, "create_graph=True", lambda: parallel(np.ones((1, 2), "f4")).sum().backward(create_graph=True))
    raises(ValueError, "examples=-1", lambda: setattr(parallel, "examples", -1))
    raises(ShapeError, "", lambda: parallel(np.ones((1, 3), "f4")))
    tensors = [nn.Parameter(np.ones(2))]
    kept = dist.DataParallel(tensors)
    raises(GradientError, "has not been told of how many examples", lambda: tensors[0].sum().backward())
    kept.examples = 1
    tensors[0].sum().backward()
    np.testing.assert_array_equal(tensors[0].grad, [1, 1])
    parallel(np.ones((1, 2), "f4")).sum().backward()


dist.init()
assert dist.world_size() == int(sys.argv[1])
training("f8", 1e-14, 3000)
training("f4", 1e-6, 10 ** 9)
training("f4", 1e-6, 1, n=17)                           # its last batch is of one
dtypes_and_shapes(1)
dtypes_and_shapes(1000)
tables("f4", 1e-5)
tables("f8", 1e-12)
tables("c16", 1e-12)
unused_parameters()
compiled()
what_does_not_fit()
print("ok")
