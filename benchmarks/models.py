"""The step that everything is judged by, written once over the names of a peer (peers.py).

x_t one-hot (M steps of N names with D characters) -> LSTM with W_i U_i b_i, .. of their own -> relu(h W2 + b2) ->
softmax cross-entropy: the loss and all gradients, float32, in elementary operations.
"""

import numpy as np
import peers

SIZES = {"N16-D80-H32-M10": (16, 80, 32, 10), "N32-D80-H64-M20": (32, 80, 64, 20),
         "N64-D80-H128-M20": (64, 80, 128, 20), "N128-D128-H256-M30": (128, 128, 256, 30)}
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
    """The loss of one batch."""
    for x in xs:
        i = F.sigmoid(x @ p["Wi"] + h @ p["Ui"] + p["bi"])
        f = F.sigmoid(x @ p["Wf"] + h @ p["Uf"] + p["bf"])
        o = F.sigmoid(x @ p["Wo"] + h @ p["Uo"] + p["bo"])
        c = f * c + i * F.tanh(x @ p["Wc"] + h @ p["Uc"] + p["bc"])
        h = o * F.tanh(c)
    return F.cross_entropy(F.relu(h @ p["W2"] + p["b2"]), targets)


def eager_lstm(make_peer, N, D, H, M, dtype=np.float32):
    """(forward, backward) of an eager peer: forward() is the loss, backward(loss) the list of gradients."""
    F = make_peer()
    xs, targets, p = lstm_data(N, D, H, M, dtype)
    xs, p = [F.array(x) for x in xs], {name: F.parameter(value) for name, value in p.items()}
    if make_peer is peers.torch:
        targets = F.array(targets)
    h, c = F.array(np.zeros((N, H), dtype)), F.array(np.zeros((N, H), dtype))
    return lambda: lstm_loss(F, xs, targets, p, h, c), lambda loss: F.backward(loss, list(p.values()))


def functional_lstm(make_peer, N, D, H, M, dtype=np.float32):
    """The whole step of a peer that differentiates functions: step() is the list of gradients."""
    F = make_peer()
    xs, targets, p = lstm_data(N, D, H, M, dtype)
    zeros = np.zeros((N, H), dtype)

    def loss(p):
        return lstm_loss(F, xs, targets, p, zeros, zeros)

    if make_peer is peers.autograd:
        from autograd import grad
        gradient = grad(loss)
        return lambda: list(gradient(p).values())
    import jax

    gradient = jax.jit(jax.grad(loss))

    def step():
        found = jax.block_until_ready(gradient(p))
        return [found[name] for name in p]              # JAX sorts the names

    return step
