"""What modules compute: derivatives against differences, training and evaluation, lengths, initial values, clipping, errors."""

import re

import numpy as np
import pytest

import tapegrad as tg
from tapegrad import nn
from tapegrad.errors import DtypeError, GradientError, ShapeError


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# Derivatives: a module, and inputs

CASES = [
    (nn.Linear(3, 2, dtype="f8"), [normal(4, 3)]), (nn.Conv2d(2, 3, 2, padding=1, dtype="f8"), [normal(1, 2, 3, 3)]),
    (nn.ConvTranspose1d(2, 3, 2, stride=2, dtype="f8"), [normal(1, 2, 3)]), (nn.BatchNorm1d(3, dtype="f8"), [normal(4, 3)]),
    (nn.GroupNorm(2, 4, dtype="f8"), [normal(2, 4)]), (nn.LayerNorm(3, dtype="f8"), [normal(2, 3)]),
    (nn.RMSNorm(3, dtype="f8"), [normal(2, 3)]),
    (nn.RNN(2, 3, bidirectional=True, dtype="f8"), [normal(3, 2, 2)]),
    (nn.GRU(2, 3, num_layers=2, dtype="f8"), [normal(3, 2, 2)]),
    (nn.LSTM(2, 3, proj_size=2, dtype="f8"), [normal(3, 2, 2)]), (nn.LSTMCell(2, 3, dtype="f8"), [normal(2, 2)]),
    (nn.MultiheadAttention(4, 2, dtype="f8"), [normal(3, 2, 4), normal(2, 2, 4, seed=1), normal(2, 2, 4, seed=2)]),
    (nn.TransformerEncoderLayer(4, 2, 3, 0.0, "gelu", dtype="f8"), [normal(3, 2, 4)]), (nn.PReLU(dtype="f8"), [normal(2, 3)]),
]


@pytest.mark.parametrize("module, inputs", CASES, ids=[type(module).__name__ for module, _ in CASES])
def test_derivatives_against_differences(module, inputs):
    """By the inputs and all parameters."""
    names = [name for name, _ in module.named_parameters()]

    def called(*arrays):
        held = dict(zip(names, arrays[len(inputs):]))
        for name, array in held.items():
            where, _, last = name.rpartition(".")
            vars(dict(module.named_modules())[where])[last] = array
        return module(*arrays[:len(inputs)])

    assert tg.gradcheck(called, *inputs, *[held.data.copy() for held in dict(module.named_parameters()).values()])


@pytest.mark.parametrize("name", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_lengths_are_examples_by_themselves(name, bidirectional):
    """What is beyond the end of an example changes nothing, and its outputs and deltas are 0 there."""
    module = getattr(nn, name)(2, 3, 2, bidirectional=bidirectional, dtype="f8")
    x, lengths = tg.tensor(normal(5, 3, 2), requires_grad=True), [5, 2, 0]
    z, last = module(x, lengths=lengths)
    states = last if isinstance(last, tuple) else (last,)
    for k, n in enumerate(lengths):
        np.testing.assert_array_equal(z.data[n:, k], 0)
        if n:
            alone, final = module(x.data[:n, k:k + 1])
            np.testing.assert_allclose(z.data[:n, k], alone.data[:, 0], rtol=1e-13, atol=1e-15)
            for state, wanted in zip(states, final if isinstance(final, tuple) else (final,)):
                np.testing.assert_allclose(state.data[:, k], wanted.data[:, 0], rtol=1e-13, atol=1e-15)
    assert not states[0].data[:, 2].any()
    (z * normal(*z.shape)).sum().backward()
    assert not x.grad[2:, 1].any() and not x.grad[:, 2].any() and x.grad[:2, 1].all()


@pytest.mark.parametrize("name", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("behind", [np.nan, np.inf, 1e30])
def test_what_is_behind_the_end_is_not_read(name, behind):
    module, x = getattr(nn, name)(2, 3, bidirectional=True), normal(4, 2, 2).astype("f4")
    found = []
    for number in (0.0, behind):
        x[2:, 0] = number
        given = tg.tensor(x, requires_grad=True)
        module.zero_grad()
        output, last = module(given, lengths=[2, 4])
        (output.sum() + sum((z * z).sum() for z in (last if name == "LSTM" else [last]))).backward()
        found.append([output.data, given.grad, *[p.grad for p in module.parameters()]])
    for one, other in zip(*found):
        np.testing.assert_array_equal(one, other)


def test_dropout_is_of_training_only():
    x = np.ones((20, 30, 2), "f4")
    for module in (nn.Dropout(0.5), nn.Dropout1d(0.5), nn.Dropout2d(0.5)):
        z = module(x).data
        assert set(np.unique(z)) == {0, 2} and (module.eval()(x).data == 1).all()
        assert (z[..., 0] == z[..., 1]).all() == ("d" in type(module).__name__)
    tg.manual_seed(1)
    one = nn.Dropout()(x)
    tg.manual_seed(1)
    np.testing.assert_array_equal(nn.Dropout()(x).data, one.data)


@pytest.mark.parametrize("module, shape", [(nn.Dropout1d(), (4, 50)), (nn.Dropout1d(), (3, 4, 50)),
                                           (nn.Dropout2d(), (3, 4, 5, 10))])
def test_dropout_drops_whole_channels(module, shape):
    z = module(np.ones(shape)).data.reshape(-1, 50)
    assert set(z.min(1)) == {0.0, 2.0} and (z.min(1) == z.max(1)).all()


def test_attention_without_queries():
    attention = nn.MultiheadAttention(4, 2, add_bias_kv=True)
    z, weights = attention(np.ones((0, 3, 4), "f4"), *[np.ones((5, 3, 4), "f4")] * 2)
    assert z.shape == (0, 3, 4) and weights.shape == (3, 0, 6)


@pytest.mark.parametrize("mask", [{}, {"is_causal": True}, {"attn_mask": np.zeros((0, 0))},
                                  {"key_padding_mask": np.zeros((3, 0), bool)}])
def test_attention_among_no_places(mask):
    x = np.ones((0, 3, 4), "f4")
    z, weights = nn.MultiheadAttention(4, 2)(x, x, x, **mask)
    assert z.shape == (0, 3, 4) and weights.shape == (3, 0, 0)


def test_dropout_between_layers():
    module = nn.GRU(2, 8, num_layers=2, dropout=0.5)
    x = normal(3, 4, 2).astype("f4")
    assert (module(x)[0].data != module(x)[0].data).any()
    module.eval()
    np.testing.assert_array_equal(module(x)[0].data, module(x)[0].data)


def test_a_seed_makes_the_same_parameters():
    made = [tg.manual_seed(3) and nn.Sequential(nn.Linear(2, 3), nn.LSTM(3, 4), nn.MultiheadAttention(4, 2)).state_dict()
            for _ in range(2)]
    for key, held in made[0].items():
        np.testing.assert_array_equal(made[1][key], held)


def test_parameters_are_float32():
    net = nn.TransformerEncoderLayer(8, 2, 16)
    assert {p.dtype.name for p in net.parameters()} == {"float32"} and net(np.ones((2, 1, 8), "f4")).dtype == np.float32


def test_embedding():
    module = nn.Embedding(5, 3, padding_idx=-1)
    assert module.padding_idx == 4
    assert not module.weight.data[4].any() and module.weight.data[:4].all()
    (module([4, 1]) * 2.0).sum().backward()
    assert not module.weight.grad[4].any() and module.weight.grad[1].tolist() == [2, 2, 2]
    frozen = nn.Embedding.from_pretrained(normal(4, 2))
    assert not frozen.weight.requires_grad and list(frozen.state_dict()) == ["weight"] and frozen([1]).shape == (1, 2)


def test_a_query_that_may_look_at_nothing():
    module = nn.MultiheadAttention(4, 2, batch_first=True)
    x = normal(1, 3, 4).astype("f4")
    z, weights = module(x, x, x, key_padding_mask=np.ones((1, 3), bool))
    np.testing.assert_array_equal(weights.data, 0)
    np.testing.assert_array_equal(z.data, 0)
    causal, _ = module(x, x, x, is_causal=True)
    shorter, _ = module(x[:, :2], x[:, :2], x[:, :2], is_causal=True)
    np.testing.assert_allclose(causal.data[:, :2], shorter.data, rtol=1e-5)


def test_running_statistics_move_in_training_only():
    module, x = nn.BatchNorm1d(3), normal(8, 3).astype("f4") + 2
    module(x)
    assert module.num_batches_tracked.item() == 1
    np.testing.assert_allclose(module.running_mean.data, 0.1 * x.mean(0), rtol=1e-5)
    before = module.state_dict()
    module.eval()(x)
    for key, held in module.state_dict().items():
        np.testing.assert_array_equal(held, before[key])


def test_inplace_is_taken_and_the_input_stays():
    x = np.array([-1.0, 2.0])
    assert nn.ReLU(inplace=True)(x).tolist() == [0, 2] and x[0] == -1


def test_orthogonal_is_orthogonal():
    for shape in ((3, 5), (5, 3), (4, 2, 2)):
        x = nn.init.orthogonal_(tg.zeros(shape), gain=2.0).data.reshape(shape[0], -1)
        square = x @ x.T if x.shape[0] <= x.shape[1] else x.T @ x
        np.testing.assert_allclose(square, 4 * np.eye(len(square)), atol=1e-12)


def test_vectors_of_parameters():
    net = nn.Linear(2, 3)
    vector = nn.utils.parameters_to_vector(net.parameters())
    nn.utils.vector_to_parameters(vector * 2, net.parameters())
    np.testing.assert_array_equal(nn.utils.parameters_to_vector(net.parameters()).data, vector.data * 2)


@pytest.mark.parametrize("call, error, words", [
    (lambda: nn.Linear(-1, 2), ValueError, "Linear: weight of shape \\(2, -1\\); lengths are integers"),
    (lambda: nn.Linear(2.0, 3), ValueError, "Linear: weight of shape"),
    (lambda: nn.GRUCell(2, -3), ValueError, "GRUCell: weight"),
    (lambda: nn.MultiheadAttention(0, 1), ValueError, "embed_dim=0 in num_heads=1"),
    (lambda: nn.MultiheadAttention(4, 2, dropout=2.0), ValueError, "MultiheadAttention: dropout=2.0"),
    (lambda: nn.TransformerEncoderLayer(4, 2, activation=3), ValueError, "activation=3; it is 'relu', 'gelu', or a function"),
    (lambda: nn.Conv2d(3, 4, 3, 2, "same", padding_mode="reflect"), ValueError,
     "Conv2d: padding='same' with stride=\\(2, 2\\)"),
    (lambda: nn.Conv1d(3, 4, 3, 2, "same"), ValueError, "Conv1d: padding='same' with stride"),
    (lambda: nn.Conv1d(3, 4, 3, padding="full"), ValueError, "Conv1d: padding='full'; it is 'same', 'valid'"),
    (lambda: nn.ConvTranspose1d(3, 4, 3, padding="same"), ValueError, "ConvTranspose1d: padding='same'; it is an integer"),
    (lambda: nn.Upsample(3, recompute_scale_factor=True)(np.ones((1, 1, 2))), ValueError, "recompute_scale_factor with size"),
    (lambda: nn.Dropout1d()(np.ones((2, 3, 4, 5))), ShapeError, "Dropout1d: input float64 \\(2, 3, 4, 5\\)"),
    (lambda: nn.CrossEntropyLoss(ignore_index=1)([[1.0, 2.0]], [[0.5, 0.5]]), ValueError,
     "ignore_index=1 with a target of dist"),
    (lambda: nn.ModuleList([nn.ReLU()])["0"], TypeError, "integer"),
    (lambda: nn.Linear(2, 3)(np.ones((1, 3), "f4")), ShapeError, "linear: input float32 \\(1, 3\\), weight float32 \\(3, 2\\)"),
    (lambda: nn.Embedding(3, 2, padding_idx=3), IndexError, "Embedding: padding_idx=3 for 3 rows"),
    (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError, "Conv2d: 3 channels in and 4 out in 2 groups"),
    (lambda: nn.Conv2d(3, 4, (3,)), ValueError, "Conv2d: kernel_size=\\(3,\\)"),
    (lambda: nn.Conv1d(3, 4, 3, padding_mode="mirror"), ValueError, "padding_mode='mirror'"),
    (lambda: nn.ConvTranspose2d(3, 4, 3, padding_mode="reflect"), ValueError, "it is 'zeros'"),
    (lambda: nn.BatchNorm2d(3)(np.ones((2, 3))), ShapeError,
     "BatchNorm2d: input float64 \\(2, 3\\); it is \\(N, 3, ..\\) with 4 axes"),
    (lambda: nn.GroupNorm(2, 3), ValueError, "GroupNorm: 3 channels in 2 groups"),
    (lambda: nn.Dropout(1.5), ValueError, "Dropout: p=1.5"),
    (lambda: nn.LSTM(2, 3, dropout=2.0), ValueError, "LSTM: dropout=2.0"),
    (lambda: nn.LSTM(2, 3, proj_size=3), ValueError, "LSTM: proj_size=3"),
    (lambda: nn.GRU(2, 0), ValueError, "GRU: num_layers=1"),
    (lambda: nn.RNN(2, 3, nonlinearity="sin"), ValueError, "RNN: nonlinearity='sin'"),
    (lambda: nn.LSTM(2, 3)(np.ones((4, 1, 3))), ShapeError, "LSTM: input float64 \\(4, 1, 3\\); it is \\(T, N, 2\\)"),
    (lambda: nn.LSTM(2, 3)(np.ones((4, 1, 2)), np.ones((1, 1, 3))), ShapeError,
     "LSTM: states float64 \\(1, 1, 3\\); the shapes are"),
    (lambda: nn.GRU(2, 3)(np.ones((4, 1, 2)), np.ones((1, 2, 3))), ShapeError, "GRU: states float64 \\(1, 2, 3\\)"),
    (lambda: nn.GRU(2, 3)(np.ones((4, 2, 2)), lengths=[5, 1]), ShapeError,
     "GRU: lengths int64 \\(2,\\) \\[5, 1\\]; 2 integers from 0"),
    (lambda: nn.LSTMCell(2, 3)(np.ones((1, 2)), (np.ones((1, 3)), np.ones((2, 3)))), ShapeError, "LSTMCell: state"),
    (lambda: nn.GRUCell(2, 3)(np.ones((1, 3))), ShapeError, "GRUCell: input"),
    (lambda: nn.MultiheadAttention(5, 2), ValueError, "embed_dim=5 in num_heads=2"),
    (lambda: nn.MultiheadAttention(4, 2)(*[np.ones((3, 1, 5))] * 3), ShapeError,
     "MultiheadAttention: query float64 \\(3, 1, 5\\)"),
    (lambda: nn.MultiheadAttention(4, 2)(*[np.ones((3, 1, 4))] * 3, attn_mask=np.ones((2, 3))), ShapeError,
     "attn_mask float64"),
    (lambda: nn.MultiheadAttention(4, 2)(*[np.ones((3, 1, 4))] * 3, attn_mask=np.ones((3, 3), int)), DtypeError,
     "a mask int64"),
    (lambda: nn.MultiheadAttention(4, 2)(*[np.ones((3, 1, 4))] * 3, np.ones((3, 1), bool)), ShapeError,
     "key_padding_mask float64 \\(3, 1\\); it is \\(1, 3\\)"),
    (lambda: nn.TransformerEncoderLayer(4, 2, activation="sin"), ValueError, "activation='sin'"),
    (lambda: nn.ReLU(3, 4), TypeError, "ReLU: too many positional"),
    (lambda: nn.MaxPool2d(), TypeError, "MaxPool2d: missing .* 'kernel_size'"),
    (lambda: nn.CrossEntropyLoss(reduction="max")([[1.0]], [0]), ValueError, "reduction='max'"),
    (lambda: nn.init.xavier_uniform_(tg.zeros(3)), ShapeError, "xavier_uniform_: float64 \\(3,\\)"),
    (lambda: nn.init.kaiming_normal_(tg.zeros((3, 2)), mode="in"), ValueError, "kaiming_normal_: mode='in'"),
    (lambda: nn.init.calculate_gain("sin"), ValueError, "nonlinearity='sin'"),
    (lambda: nn.init.trunc_normal_(tg.zeros(3), mean=9.0), ValueError, "trunc_normal_: \\[-2.0, 2.0\\] for mean=9.0"),
    (lambda: nn.init.trunc_normal_(tg.zeros(3), b=nn.Parameter(1.0)), GradientError, "trunc_normal_: there is no derivative"),
    (lambda: nn.init.eye_(tg.zeros(3)), ShapeError, "eye_"), (lambda: nn.init.dirac_(tg.zeros((3, 3))), ShapeError, "dirac_"),
    (lambda: nn.utils.clip_grad_norm_([1.0], 1.0), TypeError, "1.0 among the parameters"),
    (lambda: nn.utils.clip_grad_value_([], -1.0), ValueError, "clip_value=-1.0"),
    (lambda: nn.utils.vector_to_parameters(np.ones(3), [nn.Parameter(np.ones(2))]), ShapeError,
     "float64 \\(3,\\) for 2 numbers")])
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_norm_of_half_floats():
    x = nn.Parameter(np.ones(3, "f2"))
    x.grad = np.full(3, 300, "f2")
    assert nn.utils.clip_grad_norm_([x], 1.0).item() == pytest.approx(300 * 3 ** 0.5, rel=1e-3)
    np.testing.assert_allclose(x.grad, 3 ** -0.5, rtol=2e-3)


def test_a_norm_that_is_not_finite():
    x = nn.Parameter([1.0, 2.0])
    x.grad = np.array([np.inf, 1.0])
    with pytest.raises(GradientError, match="the norm of the gradients is inf"):
        nn.utils.clip_grad_norm_([x], 1.0, error_if_nonfinite=True)
    assert nn.utils.clip_grad_norm_([x], 1.0).item() == np.inf and np.isnan(x.grad[0])


def test_every_module_is_documented():
    for name in nn.__all__:
        assert re.search(r">>> ", getattr(nn, name).__doc__ or "") or name in ("init", "utils"), name
