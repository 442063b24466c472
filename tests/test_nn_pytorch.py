"""Every module against PyTorch's of the same name: arguments, keys and shapes of the state both ways, outputs, gradients."""

from inspect import Parameter, signature

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import nn

torch = pytest.importorskip("torch")
rng = np.random.default_rng(0)


def normal(*shape):
    return rng.normal(size=shape).astype("f4")


def uniform(*shape):
    return rng.uniform(0.1, 0.9, shape).astype("f4")


IMAGE, SIGNS = normal(2, 4, 6, 5), np.sign(normal(3, 4))
SCORES, CLASSES = normal(3, 4), np.array([1, 3, 0])
IDS = np.array([[0, 2, 2], [5, 1, 2]])
TARGETS = {"MarginRankingLoss": 2, "CosineEmbeddingLoss": 2, "CTCLoss": 0}      # inputs with a gradient that is compared

# (name, arguments, options, inputs)
CASES = [
    ("Linear", (4, 3), {}, [normal(5, 4)]), ("Linear", (4, 3), {"bias": False}, [normal(2, 5, 4)]),
    ("Embedding", (6, 3), {}, [IDS]), ("Embedding", (6, 3), {"padding_idx": 2}, [IDS]),
    ("Identity", (), {}, [normal(3)]), ("Flatten", (), {}, [IMAGE]), ("Flatten", (0, 1), {}, [IMAGE]),
    ("Unflatten", (1, (2, -1)), {}, [IMAGE]),
    ("Conv1d", (4, 6, 3), {}, [normal(2, 4, 9)]),
    ("Conv1d", (4, 6, 3), {"stride": 2, "padding": 1, "groups": 2, "bias": False}, [normal(2, 4, 9)]),
    ("Conv2d", (4, 6, 3), {}, [IMAGE]), ("Conv2d", (4, 6, (3, 2)), {"stride": (2, 1), "dilation": (1, 2), "padding": (1, 0)},
                                         [IMAGE]),
    ("Conv2d", (4, 6, 3), {"padding": "same", "padding_mode": "reflect"}, [IMAGE]),
    ("Conv2d", (4, 6, 3), {"padding": 1, "padding_mode": "replicate"}, [IMAGE]),
    ("Conv2d", (4, 6, (3, 4)), {"padding": "same", "padding_mode": "circular"}, [IMAGE]),
    ("Conv3d", (2, 3, 2), {"padding": 1}, [normal(1, 2, 3, 4, 3)]),
    ("ConvTranspose1d", (4, 6, 3), {"stride": 2, "padding": 1, "output_padding": 1}, [normal(2, 4, 5)]),
    ("ConvTranspose2d", (4, 6, (2, 3)), {"stride": (1, 2), "groups": 2, "bias": False}, [IMAGE]),
    ("ConvTranspose3d", (2, 3, 2), {}, [normal(1, 2, 3, 4, 3)]),
    ("MaxPool1d", (3,), {"stride": 2}, [normal(2, 4, 9)]), ("MaxPool2d", (2,), {"padding": 1, "ceil_mode": True}, [IMAGE]),
    ("MaxPool3d", (2,), {}, [normal(1, 2, 4, 4, 4)]),
    ("AvgPool1d", (3, 2, 1), {}, [normal(2, 4, 9)]), ("AvgPool2d", ((2, 3),), {"padding": 1, "count_include_pad": False},
                                                      [IMAGE]),
    ("AvgPool3d", (2,), {}, [normal(1, 2, 4, 4, 4)]),
    ("AdaptiveAvgPool1d", (4,), {}, [normal(2, 4, 9)]), ("AdaptiveAvgPool2d", ((None, 2),), {}, [IMAGE]),
    ("AdaptiveMaxPool1d", (4,), {}, [normal(2, 4, 9)]), ("AdaptiveMaxPool2d", (3,), {}, [IMAGE]),
    ("Upsample", (), {"scale_factor": 2, "mode": "bilinear", "align_corners": True}, [IMAGE]), ("Upsample", (7,), {}, [IMAGE]),
    ("PixelShuffle", (2,), {}, [IMAGE]), ("PixelUnshuffle", (2,), {}, [normal(2, 4, 6, 4)]),
    ("Unfold", ((2, 3),), {"padding": 1}, [IMAGE]), ("Fold", ((4, 5), 2), {}, [normal(2, 8, 12)]),
    ("BatchNorm1d", (4,), {}, [normal(6, 4)]), ("BatchNorm1d", (4,), {"momentum": None}, [normal(6, 4, 3)]),
    ("BatchNorm2d", (4,), {"affine": False}, [IMAGE]), ("BatchNorm2d", (4,), {"track_running_stats": False}, [IMAGE]),
    ("BatchNorm3d", (2,), {"momentum": 0.5, "eps": 0.1}, [normal(2, 2, 3, 2, 2)]),
    ("LayerNorm", (5,), {}, [IMAGE]), ("LayerNorm", ((6, 5),), {"bias": False}, [IMAGE]),
    ("LayerNorm", (5,), {"elementwise_affine": False}, [IMAGE]), ("RMSNorm", (5,), {}, [IMAGE]),
    ("RMSNorm", ((6, 5),), {"eps": 0.1}, [IMAGE]), ("GroupNorm", (2, 4), {}, [IMAGE]),
    ("GroupNorm", (4, 4), {"affine": False}, [IMAGE]),
    ("Dropout", (0.0,), {}, [IMAGE]), ("Dropout1d", (0.0,), {}, [normal(2, 3, 4)]), ("Dropout2d", (0.0,), {}, [IMAGE]),
    *[(name, (), {}, [normal(3, 4)]) for name in (
        "ReLU ReLU6 LeakyReLU ELU SELU CELU GELU SiLU Mish Sigmoid LogSigmoid Hardsigmoid Hardswish Hardtanh Tanh Tanhshrink "
        "Softplus Softsign Hardshrink Softshrink GLU PReLU").split()],
    ("LeakyReLU", (0.2,), {}, [normal(3, 4)]), ("ELU", (0.5,), {}, [normal(3, 4)]), ("GELU", ("tanh",), {}, [normal(3, 4)]),
    ("Softplus", (2.0, 1.0), {}, [normal(3, 4)]), ("Threshold", (0.1, 2.0), {}, [normal(3, 4)]),
    ("GLU", (0,), {}, [normal(4, 3)]),
    ("PReLU", (4, 0.5), {}, [normal(3, 4, 2)]), ("Hardtanh", (-0.3, 0.2), {}, [normal(3, 4)]),
    ("Softmax", (0,), {}, [normal(3, 4)]), ("LogSoftmax", (-1,), {}, [normal(3, 4)]), ("Softmin", (1,), {}, [normal(3, 4)]),
    ("RNN", (4, 3), {}, [normal(6, 2, 4)]), ("RNN", (4, 3, 2, "relu"), {"batch_first": True},
                                             [normal(2, 6, 4), normal(2, 2, 3)]),
    ("RNN", (4, 3, 2), {"bias": False, "bidirectional": True}, [normal(6, 4)]),
    ("GRU", (4, 3), {}, [normal(6, 2, 4)]), ("GRU", (4, 3, 2), {"bidirectional": True}, [normal(6, 2, 4), normal(4, 2, 3)]),
    ("LSTM", (4, 3), {}, [normal(6, 2, 4)]), ("LSTM", (4, 3), {"bias": False}, [normal(6, 4)]),
    ("LSTM", (4, 3, 2), {"bidirectional": True, "batch_first": True}, [normal(2, 6, 4), (normal(4, 2, 3), normal(4, 2, 3))]),
    ("LSTM", (4, 3, 2), {"proj_size": 2, "bidirectional": True}, [normal(6, 2, 4), (normal(4, 2, 2), normal(4, 2, 3))]),
    ("RNNCell", (4, 3), {"nonlinearity": "relu"}, [normal(2, 4)]), ("GRUCell", (4, 3), {}, [normal(2, 4), normal(2, 3)]),
    ("LSTMCell", (4, 3), {"bias": False}, [normal(2, 4), (normal(2, 3), normal(2, 3))]), ("LSTMCell", (4, 3), {}, [normal(4)]),
    ("MultiheadAttention", (8, 2), {}, [normal(5, 3, 8), normal(6, 3, 8), normal(6, 3, 8)]),
    ("MultiheadAttention", (8, 2), {"batch_first": True, "bias": False}, [normal(3, 5, 8)] * 3),
    ("MultiheadAttention", (16, 2), {"batch_first": True}, [normal(2, 40, 16)] * 3),
    ("MultiheadAttention", (8, 4), {"kdim": 5, "vdim": 6}, [normal(5, 3, 8), normal(6, 3, 5), normal(6, 3, 6)]),
    ("MultiheadAttention", (8, 2), {"add_bias_kv": True, "add_zero_attn": True}, [normal(5, 8), normal(6, 8), normal(6, 8)]),
    ("TransformerEncoderLayer", (8, 2, 16, 0.0), {}, [normal(5, 3, 8)]),
    ("TransformerEncoderLayer", (8, 2, 16, 0.0, "gelu"), {"norm_first": True, "batch_first": True, "bias": False},
     [normal(3, 5, 8)]),
    *[(name, (), {"reduction": reduction}, inputs) for reduction in ("mean", "sum", "none") for name, inputs in [
        ("MSELoss", [normal(3, 4)] * 2), ("L1Loss", [normal(3, 4), normal(3, 4)]),
        ("SmoothL1Loss", [normal(3, 4), normal(3, 4)]),
        ("HuberLoss", [normal(3, 4), normal(3, 4)]), ("BCELoss", [uniform(3, 4), uniform(3, 4)]),
        ("BCEWithLogitsLoss", [normal(3, 4), uniform(3, 4)]), ("CrossEntropyLoss", [SCORES, CLASSES]),
        ("CrossEntropyLoss", [normal(2, 4, 3, 2), rng.integers(0, 4, (2, 3, 2))]),
        ("CrossEntropyLoss", [normal(2, 4, 3), uniform(2, 4, 3)]), ("NLLLoss", [normal(2, 4, 3), rng.integers(0, 4, (2, 3))]),
        ("HingeEmbeddingLoss", [normal(3, 4), SIGNS]), ("SoftMarginLoss", [normal(3, 4), SIGNS]),
        ("MarginRankingLoss", [normal(3, 4), normal(3, 4), SIGNS]),
        ("CosineEmbeddingLoss", [normal(3, 4), normal(3, 4), SIGNS[:, 0]]),
        ("TripletMarginLoss", [normal(3, 4), normal(3, 4), normal(3, 4)]),
        ("GaussianNLLLoss", [normal(3, 4), normal(3, 4), uniform(3, 4)]), ("PoissonNLLLoss", [normal(3, 4), uniform(3, 4)])]],
    ("KLDivLoss", (), {"reduction": "batchmean"}, [normal(3, 4), uniform(3, 4)]),
    ("CrossEntropyLoss", (), {"weight": uniform(4), "ignore_index": 3, "label_smoothing": 0.1}, [SCORES, CLASSES]),
    ("NLLLoss", (), {"weight": uniform(4)}, [SCORES, CLASSES]),
    ("BCEWithLogitsLoss", (), {"weight": uniform(4), "pos_weight": uniform(4)}, [normal(3, 4), uniform(3, 4)]),
    ("CTCLoss", (), {}, [np.log(rng.dirichlet(np.ones(4), (7, 2))).astype("f4"), np.array([[1, 2], [3, 0]]), np.array([7, 6]),
                         np.array([2, 1])]),
    ("PairwiseDistance", (), {"keepdim": True}, [normal(3, 4), normal(3, 4)]),
    ("CosineSimilarity", (0,), {}, [normal(3, 4)] * 2),
]
cases = pytest.mark.parametrize("name, arguments, options, inputs", CASES,
                                ids=[f"{i} {name} {arguments or ''}{list(options) or ''}" for i, (name, arguments, options, _)
                                     in enumerate(CASES)])


def theirs_of(x):
    return torch.tensor(x) if isinstance(x, np.ndarray) else tuple(map(theirs_of, x)) if isinstance(x, tuple) else x


def pair(name, arguments, options):
    ours = getattr(nn, name)(*arguments, **options)
    theirs = getattr(torch.nn, name)(*arguments, **{key: theirs_of(option) for key, option in options.items()})
    return ours, theirs


def flat(z):
    return [part for item in z for part in flat(item)] if isinstance(z, tuple) else [] if z is None else [z]


def weighted(z):
    """A scalar of all outputs, by the same weights in both libraries."""
    total = 0.0
    for k, part in enumerate(flat(z)):
        w = np.random.default_rng(k).uniform(0.5, 1.5, tuple(part.shape)).astype("f4")
        total = total + (part * (w if isinstance(part, tg.Tensor) else torch.tensor(w))).sum()
    return total


def compare(z, y, rtol=1e-5, atol=2e-6):
    for ours, theirs in zip(flat(z), flat(y), strict=True):
        assert ours.shape == tuple(theirs.shape) and ours.dtype == theirs.detach().numpy().dtype
        np.testing.assert_allclose(ours.data, theirs.detach().numpy(), rtol, atol)


def same_gradients(ours, theirs):
    for (name, p), (_, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
@cases
def test_the_same_state_outputs_and_gradients(name, arguments, options, inputs):
    ours, theirs = pair(name, arguments, options)
    assert {k: (v.shape, v.dtype) for k, v in ours.state_dict().items()} == {
        k: (tuple(v.shape), v.numpy().dtype) for k, v in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()})
    theirs.load_state_dict({k: v + 0.1 if v.is_floating_point() else v for k, v in theirs.state_dict().items()})
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})

    wanted = [isinstance(x, np.ndarray) and x.dtype == "f4" and k < TARGETS.get(name, 1 + ("Loss" not in name))
              for k, x in enumerate(inputs)]
    xs = [tg.tensor(x, requires_grad=True) if want else x for x, want in zip(inputs, wanted)]
    us = [torch.tensor(x, requires_grad=True) if want else theirs_of(x) for x, want in zip(inputs, wanted)]
    if inputs[0] is inputs[-1]:
        xs, us = [xs[0]] * len(xs), [us[0]] * len(us)
    z, y = ours(*xs), theirs(*us)
    compare(z, y)
    for k, v in theirs.state_dict().items():            # running statistics
        np.testing.assert_allclose(ours.state_dict()[k], v.numpy(), rtol=1e-5, atol=1e-6)
    if not any(part.requires_grad for part in flat(y)):
        return
    weighted(z).backward()
    weighted(y).backward()
    same_gradients(ours, theirs)
    for x, u in zip(xs, us):
        if isinstance(x, tg.Tensor):
            np.testing.assert_allclose(x.grad, u.grad.numpy(), rtol=1e-4, atol=1e-5)
    ours.eval(), theirs.eval()
    compare(ours(*xs), theirs(*us))


@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
@cases
def test_the_same_numbers_in_float64(name, arguments, options, inputs):
    if "weight" in options or name == "CTCLoss":
        return
    ours, theirs = pair(name, arguments, options)
    if ours.state_dict():
        ours = getattr(nn, name)(*arguments, dtype="f8", **options)
    theirs = theirs.double()
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})

    def wide(x):
        return tuple(map(wide, x)) if isinstance(x, tuple) else x.astype("f8") if x.dtype == "f4" else x

    xs = [wide(x) for x in inputs]
    compare(ours(*xs), theirs(*map(theirs_of, xs)), rtol=1e-12, atol=1e-13)


NAMES = sorted({name for name in nn.__all__ if name not in ("Module", "Parameter", "init", "utils")})
# What PyTorch's take and ours do not: there is one device; deprecated, or for what is not there.
NOT_TAKEN = {"device", "dtype", "size_average", "reduce", "max_norm", "norm_type", "scale_grad_by_freq", "sparse", "_weight",
             "_freeze",
             "return_indices", "args", "kwargs", "mask_check", "enable_nested_tensor",
             "output_size", "min_value", "max_value"}
# Written out in PyTorch's documentation only.
ARGUMENTS = {"RNN": "input_size hidden_size num_layers nonlinearity bias batch_first dropout bidirectional",
             "GRU": "input_size hidden_size num_layers bias batch_first dropout bidirectional",
             "LSTM": "input_size hidden_size num_layers bias batch_first dropout bidirectional proj_size"}


def arguments_of(module):
    return {key: p.default for key, p in signature(module).parameters.items() if key not in NOT_TAKEN - {"output_size"}}


@pytest.mark.parametrize("name", NAMES)
def test_arguments_have_the_names_order_and_defaults_of_pytorch(name):
    ours = arguments_of(getattr(nn, name))
    if name in ARGUMENTS:
        assert list(ours) == ARGUMENTS[name].split()
        return
    theirs = arguments_of(getattr(torch.nn, name))
    if name in ("Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict", "Identity"):
        return
    assert list(ours) == list(theirs)
    for key, default in theirs.items():
        if key not in ("activation", "bias") and default is not Parameter.empty:
            assert ours[key] == default, key


def test_a_module_is_only_of_kinds_that_pytorchs_is_of():
    """So that a program that asks for nn.Conv1d is not answered by a Conv2d."""
    for one in NAMES:
        for other in NAMES:
            if issubclass(getattr(nn, one), getattr(nn, other)):
                assert issubclass(getattr(torch.nn, one), getattr(torch.nn, other)), (one, other)


def test_every_module_is_in_the_table():
    assert set(NAMES) - {name for name, *_ in CASES} == {"Sequential", "ModuleList", "ModuleDict", "ParameterList",
                                                           "ParameterDict", "TransformerEncoder"}


# Recurrent networks over padded batches

@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
@pytest.mark.parametrize("lengths", [[6, 4, 1], [2, 6, 3]])
@pytest.mark.parametrize("name, options", [("RNN", {}), ("GRU", {"num_layers": 2}),
                                           ("LSTM", {"bidirectional": True, "num_layers": 2}),
                                           ("GRU", {"bidirectional": True, "batch_first": True}), ("LSTM", {"proj_size": 2})])
def test_lengths_are_packed_sequences(name, options, lengths):
    ours, theirs = pair(name, (4, 3), options)
    theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()})
    first = options.get("batch_first", False)
    x = normal(3, 6, 4) if first else normal(6, 3, 4)
    given, wanted = tg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    z = ours(given, lengths=lengths)
    rnn = torch.nn.utils.rnn
    packed, last = theirs(rnn.pack_padded_sequence(wanted, torch.tensor(lengths), first, enforce_sorted=False))
    y = rnn.pad_packed_sequence(packed, first, total_length=6)[0], last
    compare(z, y)
    weighted(z).backward()
    weighted(y).backward()
    same_gradients(ours, theirs)
    np.testing.assert_allclose(given.grad, wanted.grad.numpy(), rtol=1e-4, atol=1e-5)


# Attention with masks

CAUSAL, SOME = np.triu(np.ones((5, 5), bool), 1), rng.random((6, 5, 5)) < 0.3
SOME[:, :, 0] = False
PADDING = np.array([[False] * 5, [False, False, True, True, True], [False, True, False, False, True]])


@pytest.mark.parametrize("masks", [
    {"attn_mask": CAUSAL}, {"attn_mask": normal(5, 5)}, {"attn_mask": SOME}, {"key_padding_mask": PADDING},
    {"attn_mask": CAUSAL, "key_padding_mask": PADDING}, {"key_padding_mask": PADDING, "average_attn_weights": False},
    {"need_weights": False}, {"attn_mask": CAUSAL, "is_causal": True}])
@pytest.mark.parametrize("width", [8, 80])              # in elementary operations, and by kernels
def test_masks(masks, width):
    ours, theirs = pair("MultiheadAttention", (width, 2), {"batch_first": True})
    theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()})
    x = normal(3, 5, width)
    z = ours(x, x, x, **masks)
    y = theirs(*[torch.tensor(x)] * 3, **{key: theirs_of(mask) for key, mask in masks.items()})
    compare(z, y)
    weighted(z).backward()
    weighted(y).backward()
    same_gradients(ours, theirs)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor:UserWarning")
@pytest.mark.parametrize("norm_first", [False, True])
def test_an_encoder_of_several_layers(norm_first):
    def made(library):
        layer = library.TransformerEncoderLayer(8, 2, 16, 0.0, norm_first=norm_first, batch_first=True)
        return library.TransformerEncoder(layer, 2, library.LayerNorm(8))

    ours, theirs = made(nn), made(torch.nn)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    x = normal(3, 5, 8)
    z, y = ours(x, CAUSAL, PADDING), theirs(torch.tensor(x), torch.tensor(CAUSAL), torch.tensor(PADDING))
    compare(z, y)
    weighted(z).backward()
    weighted(y).backward()
    same_gradients(ours, theirs)


def test_a_network():
    """State, repr, and 20 steps of training."""
    def made(nn):
        return nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                             nn.Linear(36, 3))

    ours, theirs = made(nn), made(torch.nn)
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    x, labels = normal(10, 1, 8, 8), rng.integers(0, 3, 10)
    one, other = tg.optim.SGD(ours.parameters(), lr=0.05), torch.optim.SGD(theirs.parameters(), lr=0.05)
    for _ in range(20):
        one.zero_grad(), other.zero_grad()
        loss = tg.cross_entropy(ours(x), labels)
        wanted = torch.nn.functional.cross_entropy(theirs(torch.tensor(x)), torch.tensor(labels))
        loss.backward(), wanted.backward()
        one.step(), other.step()
    np.testing.assert_allclose(loss.item(), wanted.item(), rtol=1e-3)
    for key, held in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[key], held.numpy(), rtol=1e-3, atol=1e-4)
    assert [name for name, _ in ours.named_modules()] == [name for name, _ in theirs.named_modules()]


@pytest.mark.parametrize("name, options", [
    ("xavier_uniform_", {"gain": 2.0}), ("xavier_normal_", {}), ("kaiming_uniform_", {"a": 0.3}),
    ("uniform_", {"a": -1.0, "b": 3.0}),
    ("kaiming_normal_", {"mode": "fan_out", "nonlinearity": "relu"}), ("normal_", {"mean": 1.0, "std": 2.0}),
    ("trunc_normal_", {"mean": 0.5, "std": 2.0, "a": -1.0, "b": 2.0}), ("orthogonal_", {"gain": 2.0}),
    ("sparse_", {"sparsity": 0.3}),
    ("eye_", {}), ("ones_", {}), ("zeros_", {}), ("constant_", {"val": 3.0})])
def test_distributions_of_initial_values(name, options):
    """Mean, standard deviation, and the extremes of those that have them."""
    shape = (300, 200)
    x = getattr(nn.init, name)(tg.zeros(shape), **options).data
    y = getattr(torch.nn.init, name)(torch.zeros(shape), **options).numpy()
    scale = y.std() + 1e-3
    assert abs(x.mean() - y.mean()) < 0.02 * scale + 0.005 and abs(x.std() - y.std()) < 0.02 * scale
    if "uniform" in name or "trunc" in name:
        assert abs(x.max() - y.max()) < 0.02 * scale and abs(x.min() - y.min()) < 0.02 * scale


@pytest.mark.parametrize("shape, groups", [((4, 4, 3), 1), ((6, 3, 3, 2), 2), ((2, 4, 3), 1)])
def test_dirac(shape, groups):
    np.testing.assert_array_equal(nn.init.dirac_(tg.ones(shape), groups).data,
                                  torch.nn.init.dirac_(torch.ones(shape), groups).numpy())


@pytest.mark.parametrize("nonlinearity, param", [("linear", None), ("conv2d", None), ("sigmoid", None), ("tanh", None),
                                                 ("relu", None),
                                                 ("leaky_relu", None), ("leaky_relu", 0.3), ("selu", None)])
def test_gains(nonlinearity, param):
    assert nn.init.calculate_gain(nonlinearity, param) == pytest.approx(torch.nn.init.calculate_gain(nonlinearity, param))


@pytest.mark.parametrize("norm_type", [1.0, 2.0, np.inf])
@pytest.mark.parametrize("max_norm", [0.5, 1e3])
def test_clipping(norm_type, max_norm):
    ours, theirs = pair("Linear", (4, 3), {})
    for p, q in zip(ours.parameters(), theirs.parameters()):
        p.grad = normal(*p.shape)
        q.grad = torch.tensor(p.grad)
    norm = nn.utils.clip_grad_norm_(ours.parameters(), max_norm, norm_type)
    wanted = torch.nn.utils.clip_grad_norm_(theirs.parameters(), max_norm, norm_type)
    np.testing.assert_allclose(norm.data, wanted.numpy(), rtol=1e-6)
    same_gradients(ours, theirs)
    nn.utils.clip_grad_value_(ours.parameters(), 0.1)
    torch.nn.utils.clip_grad_value_(theirs.parameters(), 0.1)
    same_gradients(ours, theirs)
    assert all(p.grad.dtype == np.float32 for p in ours.parameters())
