"""The steps that everything is judged by, written once over the names of a peer (libraries.py): loss and all gradients.

The LSTM: x_t one-hot (M steps of N names with D characters) -> LSTM with W_i U_i b_i, .. of their own -> relu(h W2 + b2) ->
softmax cross-entropy. The MLP: relu(relu(x W1 + b1) W2 + b2) -> softmax cross-entropy. Float32, in elementary operations.
"""

import libraries
import numpy as np

SIZES = {"N16-D80-H32-M10": (16, 80, 32, 10), "N32-D80-H64-M20": (32, 80, 64, 20),
         "N64-D80-H128-M20": (64, 80, 128, 20), "N128-D128-H256-M30": (128, 128, 256, 30)}
CLASSES = 5
MLP_SIZES = (64, 80, 10, 50)        # names, characters of the alphabet, characters of a name, hidden units


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


def lstm_cell(F, x, h, c, p):
    """(h, c) after one more character."""
    i = F.sigmoid(x @ p["Wi"] + h @ p["Ui"] + p["bi"])
    f = F.sigmoid(x @ p["Wf"] + h @ p["Uf"] + p["bf"])
    o = F.sigmoid(x @ p["Wo"] + h @ p["Uo"] + p["bo"])
    c = f * c + i * F.tanh(x @ p["Wc"] + h @ p["Uc"] + p["bc"])
    return o * F.tanh(c), c


def head(F, h, targets, p):
    """The loss of hidden units."""
    return F.cross_entropy(F.relu(h @ p["W2"] + p["b2"]), targets)


def lstm_loss(F, xs, targets, p, h, c):
    """The loss of one batch."""
    for x in xs:
        h, c = lstm_cell(F, x, h, c, p)
    return head(F, h, targets, p)


def scanned_lstm_loss(F, xs, targets, p, h, c):
    """The same for JAX: unrolled, the loop takes 3 to 11 s to compile, not 1, and then 1.3 to 3.1 times as long to run."""
    (h, c), _ = F.scan(lambda state, x: (lstm_cell(F, x, *state, p), None), (h, c), xs)
    return head(F, h, targets, p)


def lstm_problem(N, D, H, M, dtype=np.float32):
    """(loss, inputs, parameters) of the LSTM."""
    xs, targets, parameters = lstm_data(N, D, H, M, dtype)
    zeros = np.zeros((N, H), dtype)
    return lstm_loss, {"xs": xs, "targets": targets, "h": zeros, "c": zeros}, parameters


def lstm_step(peer, N, D, H, M):
    """The whole step of a peer: step() is the list of gradients."""
    loss, inputs, parameters = lstm_problem(N, D, H, M)
    if peer == "nn.LSTM":
        return nn_lstm_step(inputs, parameters)
    if peer == "jax":
        loss, inputs["xs"] = scanned_lstm_loss, np.stack(inputs["xs"])
    return libraries.load(peer).step(loss, inputs, parameters)


def nn_lstm_step(inputs, parameters):
    """torch.nn.LSTM with the same numbers. Its gates stand side by side in one matrix, in the order i f c o."""
    F = libraries.torch()
    import torch

    (D, H), packed = parameters["Wi"].shape, {}
    for theirs, ours in {"weight_ih_l0": "W", "weight_hh_l0": "U", "bias_ih_l0": "b"}.items():
        packed[theirs] = torch.tensor(np.concatenate([parameters[ours + gate].T for gate in "ifco"]))
    lstm = torch.nn.LSTM(D, H)
    lstm.load_state_dict(packed | {"bias_hh_l0": torch.zeros(4 * H)})
    lstm.bias_hh_l0.requires_grad_(False)
    p = {name: F.parameter(parameters[name]) for name in ("W2", "b2")}
    xs, targets, state = torch.tensor(np.stack(inputs["xs"])), torch.tensor(inputs["targets"]), torch.tensor(inputs["h"])[None]
    leaves = [lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0, *p.values()]

    def step():
        _, (h, _) = lstm(xs, (state, state))
        return F.backward(head(F, h[0], targets, p), leaves)

    return step


def unpacked(gradients):
    """The gradients of nn_lstm_step as those of the other peers, in their order."""
    W, U, b, W2, b2 = (np.asarray(gradient) for gradient in gradients)
    gates = {gate: (w.T, u.T, v) for gate, w, u, v in zip("ifco", *(np.split(x, 4) for x in (W, U, b)))}
    return [*(x for gate in "ifoc" for x in gates[gate]), W2, b2]


def mlp_loss(F, x, targets, p):
    """The loss of one batch."""
    return head(F, F.relu(x @ p["W1"] + p["b1"]), targets, p)


def mlp_problem(one_hot, dtype=np.float32, seed=0):
    """(loss, inputs, parameters) of the course's MLP. x is 10 characters, one-hot side by side, or dense normal numbers."""
    N, D, M, H = MLP_SIZES
    random = np.random.default_rng(seed)
    x = np.eye(D)[random.integers(0, D, (N, M))].reshape(N, M * D) if one_hot else random.normal(size=(N, M * D))
    parameters = {"W1": random.normal(0, 0.1, (M * D, H)), "b1": np.full(H, 0.1),
                  "W2": random.normal(0, 0.1, (H, CLASSES)), "b2": np.full(CLASSES, 0.1)}
    inputs = {"x": x.astype(dtype), "targets": random.integers(0, CLASSES, N)}
    return mlp_loss, inputs, {name: value.astype(dtype) for name, value in parameters.items()}


def mlp_step(peer, one_hot):
    """The whole step of a peer: step() is the list of gradients."""
    return libraries.load(peer).step(*mlp_problem(one_hot))
