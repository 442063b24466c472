"""What the tests of optimisers share: each of them with several options, and parameters."""

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.optim import SGD, Adagrad, Adam, AdamW, NAdam, RMSprop

SHAPES = [(17, 9), (32,), (), (0, 3), (5, 1, 7), (531,)]
CASES = [(SGD, {"lr": 0.02}), (SGD, {"lr": 0.02, "weight_decay": 0.1}), (SGD, {"lr": 0.02, "momentum": 0.9}),
         (SGD, {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.1}), (SGD, {"lr": 0.02, "momentum": 0.9, "nesterov": True}),
         (SGD, {"lr": 0.02, "momentum": 0.5, "nesterov": True, "weight_decay": 0.1}), (SGD, {"lr": 1}),
         (SGD, {"lr": 0.02, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1}), (SGD, {"lr": 0.02, "maximize": True}),
         (Adam, {}), (Adam, {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-3}), (Adam, {"lr": 0.01, "weight_decay": 0.1}),
         (Adam, {"lr": 0.01, "betas": (0.0, 0.0)}), (Adam, {"lr": 0.01, "betas": (0.5, 0.5), "amsgrad": True}),
         (AdamW, {"lr": 0.01, "weight_decay": 0.3, "betas": (0.5, 0.5), "amsgrad": True, "maximize": True}),
         (AdamW, {}), (AdamW, {"lr": 0.01, "weight_decay": 0.3, "betas": (0.5, 0.99)}), (AdamW, {"weight_decay": 0.0}),
         (NAdam, {}), (NAdam, {"lr": 0.01, "betas": (0.5, 0.99), "weight_decay": 0.1, "momentum_decay": 0.1}),
         (NAdam, {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
         (RMSprop, {}), (RMSprop, {"lr": 0.02, "alpha": 0.8, "momentum": 0.9, "weight_decay": 0.1}),
         (RMSprop, {"alpha": 0.9, "centered": True, "eps": 1e-3}), (RMSprop, {"maximize": True}),
         (NAdam, {"maximize": True, "weight_decay": 0.1}), (Adagrad, {"lr": 0.1, "maximize": True}),
         (Adagrad, {}), (Adagrad, {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5})]
cases = pytest.mark.parametrize("optimiser, options", CASES, ids=lambda value: getattr(value, "__name__", str(value)))


def without_compiler(monkeypatch):
    monkeypatch.setattr("tapegrad.optim.fused.fused", lambda name, dtype: None)


def numbers(dtype, shapes=SHAPES, seed=0):
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.integers(-3, 2)
    return [np.asarray(rng.normal(0, scale, shape), dtype) if np.dtype(dtype).kind == "f" else
            np.asarray(rng.normal(0, scale, shape) + 1j * rng.normal(0, scale, shape), dtype) for shape in shapes]


def leaves(arrays):
    return [tg.tensor(array, requires_grad=True) for array in arrays]
