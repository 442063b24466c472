"""What networks are made of, and two small ones, written once over tapegrad and PyTorch, whose names are the same.

LAYERS are run forward and backward from 1,000 to 1,000,000 elements; CONVOLUTIONS are ten shapes that small networks use;
NETWORKS are steps: the loss and all gradients. float32, one thread.
"""

import libraries
import numpy as np

SIZES = [1_000, 10_000, 100_000, 1_000_000]
CONVOLUTIONS = {        # (N, channels, height, width), (channels out, channels in, kernel), stride, padding
    "32x1x8x8-16k3": ((32, 1, 8, 8), (16, 1, 3, 3), 1, 1),
    "32x16x4x4-32k3": ((32, 16, 4, 4), (32, 16, 3, 3), 1, 1),
    "128x16x8x8-32k3": ((128, 16, 8, 8), (32, 16, 3, 3), 1, 1),
    "32x1x28x28-8k3": ((32, 1, 28, 28), (8, 1, 3, 3), 1, 1),
    "32x8x14x14-16k3": ((32, 8, 14, 14), (16, 8, 3, 3), 1, 1),
    "64x1x28x28-6k5": ((64, 1, 28, 28), (6, 1, 5, 5), 1, 2),
    "64x6x14x14-16k5": ((64, 6, 14, 14), (16, 6, 5, 5), 1, 0),
    "8x3x32x32-32k3": ((8, 3, 32, 32), (32, 3, 3, 3), 1, 1),
    "16x32x16x16-64k3s2": ((16, 32, 16, 16), (64, 32, 3, 3), 2, 1),
    "16x64x8x8-64k1": ((16, 64, 8, 8), (64, 64, 1, 1), 1, 0),
}


def modules(peer):
    """(functions, modules, tensor) of a peer."""
    if libraries.MODULES[peer] == "torch":
        import torch

        torch.set_num_threads(1)
        torch.manual_seed(0)
        return torch.nn.functional, torch.nn, torch.tensor
    import tapegrad as tg

    tg.manual_seed(0)
    return tg, tg.nn, tg.tensor


def rows(n, width=64):
    return max(1, n // width), width


def planes(n):
    """(N, 8, 8, 8) of about n elements."""
    return max(2, n // 512), 8, 8, 8


def softmax(F, x, p, ids):
    return F.softmax(x, -1)


def cross_entropy(F, x, p, ids):
    return F.cross_entropy(x, ids)


def heads(n):
    """(N, 4, 32, 16) of about n elements."""
    return max(1, n // 2048), 4, 32, 16


# name: function of (F, a float leaf of the shape, parameters, integers), the shape, those of the parameters
LAYERS = {
    "gelu": (lambda F, x, p, ids: F.gelu(x), rows, ()),
    "layer_norm": (lambda F, x, p, ids: F.layer_norm(x, (64,), *p), rows, ((64,), (64,))),
    "batch_norm": (lambda F, x, p, ids: F.batch_norm(x, None, None, *p, training=True), planes, ((8,), (8,))),
    "max_pool2d": (lambda F, x, p, ids: F.max_pool2d(x, 2), planes, ()),
    "avg_pool2d": (lambda F, x, p, ids: F.avg_pool2d(x, 2), planes, ()),
    "cross_entropy, 10 classes": (cross_entropy, lambda n: rows(n, 10), ()),
    "cross_entropy, 100 classes": (cross_entropy, lambda n: rows(n, 100), ()),
    "softmax": (softmax, rows, ()),
    "softmax, 10 classes": (softmax, lambda n: rows(n, 10), ()),
    "softmax, 1000 classes": (softmax, lambda n: rows(n, 1000), ()),
    "embedding": (lambda F, x, p, ids: F.embedding(ids, p[0]), lambda n: rows(n, 32), ((100, 32),)),
    "dropout": (lambda F, x, p, ids: F.dropout(x, 0.3, True), rows, ()),
    "attention": (lambda F, x, p, ids: F.scaled_dot_product_attention(x, x, x), heads, ()),
    "group_norm": (lambda F, x, p, ids: F.group_norm(x, 2, *p), planes, ((8,), (8,))),
    "rms_norm": (lambda F, x, p, ids: F.rms_norm(x, (64,), *p), rows, ((64,),)),
}


def layer_step(peer, name, n, dtype="f4"):
    """step() runs a layer forward and backward."""
    F, _, tensor = modules(peer)
    f, shape, parameters = LAYERS[name]
    random = np.random.default_rng(0)
    x = tensor(random.normal(size=shape(n)).astype(dtype), requires_grad=True)
    p = [tensor(random.normal(size=size).astype(dtype), requires_grad=True) for size in parameters]
    ids = tensor(random.integers(0, 10 if "10 classes" in name else 100, x.shape[0]))
    d = f(F, x, p, ids)
    d = tensor(random.normal(size=tuple(d.shape)).astype(dtype))

    def step():
        for leaf in (x, *p):
            leaf.grad = None
        f(F, x, p, ids).backward(d)

    return step


def convolution_step(peer, shape, dtype="f4"):
    """step() runs a convolution forward and backward, to its input, too."""
    F, _, tensor = modules(peer)
    (x, W, stride, padding), random = CONVOLUTIONS[shape], np.random.default_rng(0)
    x, W, b = (tensor(random.normal(size=size).astype(dtype), requires_grad=True) for size in (x, W, W[:1]))
    d = tensor(random.normal(size=tuple(F.conv2d(x, W, b, stride, padding).shape)).astype(dtype))

    def step():
        x.grad = W.grad = b.grad = None
        F.conv2d(x, W, b, stride, padding).backward(d)

    return step


def digits(nn):
    """A convolutional net for scikit-learn's digits, 8 x 8."""
    return nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
                         nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))


def transformer(nn):
    """Two blocks with exact GELU, over 32 places of 64 features."""
    blocks = [nn.TransformerEncoderLayer(64, 4, 256, dropout=0.0, activation="gelu", batch_first=True) for _ in range(2)]
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(32 * 64, 10))


NETWORKS = {"digits CNN, batch 32": (digits, (32, 1, 8, 8)), "digits CNN, batch 128": (digits, (128, 1, 8, 8)),
            "transformer, batch 8": (transformer, (8, 32, 64)), "transformer, batch 32": (transformer, (32, 32, 64))}


def network_step(peer, name):
    """step() computes the loss of a network, compiled if the peer compiles, and all gradients, which it returns."""
    make, shape = NETWORKS[name]
    weights = make(modules("tapegrad")[1]).state_dict()         # the same for all peers
    F, nn, tensor = modules(peer)
    net, random = make(nn), np.random.default_rng(0)
    net.load_state_dict({key: tensor(value) for key, value in weights.items()})
    x, target = tensor(random.normal(size=shape).astype("f4")), tensor(random.integers(0, 10, shape[0]))
    loss = libraries.load(peer).compiled(lambda x, target: F.cross_entropy(net(x), target))
    parameters = list(net.parameters())

    def step():
        net.zero_grad()
        loss(x, target).backward()
        return [p.grad for p in parameters]

    return step
