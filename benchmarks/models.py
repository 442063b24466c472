"""The step that everything is judged by, the same elementary operations in tapegrad and in PyTorch.

x_t one-hot (M steps of N names with D characters) -> LSTM with W_i U_i b_i, .. of their own -> relu(h W2 + b2) ->
softmax cross-entropy: the loss and all gradients, float32.
"""

import numpy as np

SIZES = {"N16 D80 H32 M10": (16, 80, 32, 10), "N32 D80 H64 M20": (32, 80, 64, 20),
         "N64 D80 H128 M20": (64, 80, 128, 20), "N128 D128 H256 M30": (128, 128, 256, 30)}
CLASSES = 5


def lstm_data(N, D, H, M, dtype=np.float32, seed=0):
    """One-hot inputs, targets, and the parameters by name, as arrays."""
    random = np.random.default_rng(seed)
    xs = [np.eye(D, dtype=dtype)[random.integers(0, D, N)] for _ in range(M)]
    targets = random.integers(0, CLASSES, N)
    parameters = {}
    for gate in "ifoc":
        parameters |= {f"W{gate}": random.normal(0, 0.1, (D, H)), f"U{gate}": random.normal(0, 0.1, (H, H)),
                       f"b{gate}": np.zeros(H)}
    parameters |= {"W2": random.normal(0, 0.1, (H, CLASSES)), "b2": np.full(CLASSES, 0.1)}
    return xs, targets, {name: value.astype(dtype) for name, value in parameters.items()}


def lstm_loss(F, xs, targets, p, h, c):
    """The loss, written once: F has sigmoid, tanh, relu and cross_entropy; arrays of F's library do the rest."""
    for x in xs:
        i = F.sigmoid(x @ p["Wi"] + h @ p["Ui"] + p["bi"])
        f = F.sigmoid(x @ p["Wf"] + h @ p["Uf"] + p["bf"])
        o = F.sigmoid(x @ p["Wo"] + h @ p["Uo"] + p["bo"])
        c = f * c + i * F.tanh(x @ p["Wc"] + h @ p["Uc"] + p["bc"])
        h = o * F.tanh(c)
    return F.cross_entropy(F.relu(h @ p["W2"] + p["b2"]), targets)


def tapegrad_lstm(N, D, H, M, dtype=np.float32):
    """(forward, backward): forward() is the loss, backward(loss) the gradients by name."""
    import tapegrad as tg

    xs, targets, p = lstm_data(N, D, H, M, dtype)
    xs = [tg.tensor(x) for x in xs]
    p = {name: tg.tensor(value, requires_grad=True) for name, value in p.items()}
    h, c = tg.tensor(np.zeros((N, H), dtype)), tg.tensor(np.zeros((N, H), dtype))

    def backward(loss):
        for value in p.values():
            value.grad = None
        loss.backward()
        return {name: value.grad for name, value in p.items()}

    return lambda: lstm_loss(tg, xs, targets, p, h, c), backward


def torch_lstm(N, D, H, M, dtype=np.float32):
    """As tapegrad_lstm, in PyTorch."""
    import torch

    class F:
        sigmoid, tanh, relu = torch.sigmoid, torch.tanh, torch.relu
        cross_entropy = torch.nn.functional.cross_entropy

    xs, targets, p = lstm_data(N, D, H, M, dtype)
    xs, targets = [torch.tensor(x) for x in xs], torch.tensor(targets)
    p = {name: torch.tensor(value, requires_grad=True) for name, value in p.items()}
    h, c = torch.tensor(np.zeros((N, H), dtype)), torch.tensor(np.zeros((N, H), dtype))

    def backward(loss):
        for value in p.values():
            value.grad = None
        loss.backward()
        return {name: value.grad.numpy() for name, value in p.items()}

    return lambda: lstm_loss(F, xs, targets, p, h, c), backward
