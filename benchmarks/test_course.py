"""An epoch of the course's recipes on as many names as the assignment has, each step compiled or eager.

    pytest benchmarks/test_course.py --benchmark-group-by=param:kind --benchmark-columns=median,iqr,rounds
"""

import sys
from pathlib import Path

import numpy as np
import pytest

import tapegrad as tg

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
pytest.importorskip("tqdm")
pytest.importorskip("safetensors")

import train_lstm  # noqa: E402
import train_mlp  # noqa: E402
from names_data import Alphabet, read_shipped  # noqa: E402
from training import Init, batches, parameters, step_of  # noqa: E402

NAMES = 18_312


@pytest.mark.parametrize("kind", ["lstm", "mlp"])
@pytest.mark.parametrize("how", ["compiled", "eager"])
def test_epoch(benchmark, kind, how):
    data, recipe = read_shipped(), {"lstm": train_lstm, "mlp": train_mlp}[kind].RECIPES["course"]
    alphabet = Alphabet.of(data.train.names)
    ids = np.resize(alphabet.encode(data.train.names, recipe.max_len), (NAMES, recipe.max_len))
    y = np.resize(data.train.y, NAMES)
    model = recipe.model(Init(recipe.seed, "float32"), len(alphabet), recipe.max_len, recipe.num_hid, len(data.labels))
    step = step_of(model, recipe.optimizer(parameters(model).values(), lr=recipe.init_lr), recipe)
    if how == "compiled":
        step = tg.compile(step, fallback="error")
    todo = batches(ids, y, recipe.batch_size, np.random.default_rng(0))

    def epoch():
        for batch in todo:
            loss, _ = step(*batch, len(batch[1]), 0)
        return loss.item()

    assert np.isfinite(benchmark.pedantic(epoch, rounds=5, warmup_rounds=1))
