"""The steps that everything is judged by, written once over the names of a peer (libraries.py): loss and all gradients.

The LSTM: x_t one-hot (M steps of N names with D characters) -> LSTM with W_i U_i b_i, .. of their own -> relu(h W2 + b2) ->
softmax cross-entropy. The GRU: likewise, in PyTorch's form, with a second bias c. The MLP: relu(relu(x W1 + b1) W2 + b2) ->
softmax cross-entropy. Float32, in elementary operations.
"""

import libraries
import networks as nets
import numpy as np

SIZES = {"N16-D80-H32-M10": (16, 80, 32, 10), "N32-D80-H64-M20": (32, 80, 64, 20),
         "N64-D80-H128-M20": (64, 80, 128, 20), "N128-D128-H256-M30": (128, 128, 256, 30)}
MODULES = {"tg.nn": "tg.compile", "nn.LSTM": "torch"}    # peers that run nn.LSTM, and the library of each
GATES = {"LSTM": "ifco", "GRU": "rzn"}
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
    if peer in MODULES:
        return module_step(peer, "LSTM", inputs, parameters)
    if peer == "jax":
        loss, inputs["xs"] = scanned_lstm_loss, np.stack(inputs["xs"])
    return libraries.load(peer).step(loss, inputs, parameters)


def module_step(peer, kind, inputs, parameters):
    """The step of nn.LSTM or nn.GRU with the same numbers. Its gates stand in one matrix, in the order of GATES."""
    library, gates, packed = MODULES[peer], GATES[kind], {}
    F, nn, tensor = libraries.load(library), *nets.modules(library)[1:]
    for theirs, ours in {"weight_ih_l0": "W", "weight_hh_l0": "U", "bias_ih_l0": "b", "bias_hh_l0": "c"}.items():
        blocks = [parameters.get(ours + gate, np.zeros_like(parameters["b" + gate])).T for gate in gates]
        packed[theirs] = tensor(np.concatenate(blocks))
    module = getattr(nn, kind)(*parameters[f"W{gates[0]}"].shape)
    module.load_state_dict(packed)
    p = {name: F.parameter(parameters[name]) for name in ("W2", "b2")}
    leaves = [module.weight_ih_l0, module.weight_hh_l0, module.bias_ih_l0]
    if "c" + gates[0] in parameters:
        leaves.append(module.bias_hh_l0)
    else:                                               # a step with one bias
        module.bias_hh_l0.requires_grad = False
    xs, targets, start = tensor(np.stack(inputs["xs"])), tensor(inputs["targets"]), tensor(inputs["h"][None])
    state, leaves = (start, start) if kind == "LSTM" else start, [*leaves, *p.values()]

    def loss(xs, targets, state):
        _, last = module(xs, state)
        return head(F, (last[0] if kind == "LSTM" else last)[0], targets, p)

    loss = F.compiled(loss)
    return lambda: F.backward(loss(xs, targets, state), leaves)


def unpacked(gradients, kind="LSTM"):
    """The gradients of module_step as those of the steps written by hand, in their order."""
    *packed, W2, b2 = (np.asarray(gradient) for gradient in gradients)
    gates = zip(GATES[kind], *(np.split(x, len(GATES[kind])) for x in packed))
    found = {gate: [x.T for x in blocks] for gate, *blocks in gates}
    return [*(x for gate in ("ifoc" if kind == "LSTM" else GATES[kind]) for x in found[gate]), W2, b2]


def gru_cell(F, x, h, p):
    """h after one more input."""
    r = F.sigmoid(x @ p["Wr"] + h @ p["Ur"] + p["br"] + p["cr"])
    z = F.sigmoid(x @ p["Wz"] + h @ p["Uz"] + p["bz"] + p["cz"])
    n = F.tanh(x @ p["Wn"] + p["bn"] + r * (h @ p["Un"] + p["cn"]))
    return n + z * (h - n)


def gru_loss(F, xs, targets, p, h):
    """The loss of one batch."""
    for x in xs:
        h = gru_cell(F, x, h, p)
    return head(F, h, targets, p)


def recurrent_step(peer, kind, N, D, H, M):
    """The step of an LSTM or a GRU on dense inputs: written by hand, or of the module of "tg.nn"."""
    loss, inputs, parameters = lstm_problem(N, D, H, M)
    random = np.random.default_rng(1)
    inputs["xs"] = [random.normal(size=(N, D)).astype(np.float32) for _ in range(M)]
    if kind == "GRU":
        loss, given = gru_loss, parameters
        parameters = {new + to: given[old + of] for to, of in zip("rzn", "ifc") for new, old in zip("WUbc", "WUbb")}
        parameters |= {name: given[name] for name in ("W2", "b2")}
        del inputs["c"]
    if peer == "tg.nn":
        return module_step(peer, kind, inputs, parameters)
    return libraries.load(peer).step(loss, inputs, parameters)


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
