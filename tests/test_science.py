"""The examples of science: what they find, against what is known of it."""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import tapegrad as tg

stats = pytest.importorskip("scipy.stats")
FOLDER = Path(__file__).parents[1] / "examples" / "science"


@pytest.fixture
def example(monkeypatch):
    """A function that gives the example of a name."""
    for folder in (FOLDER, FOLDER.parent):
        monkeypatch.syspath_prepend(str(folder))
    return import_module


def test_counts_have_the_means_of_their_groups(example):
    """With one word in every name, the rate of a kind is its mean, and the error of its logarithm 1 / sqrt(its sum)."""
    kind, letters = np.repeat([0, 1, 2], 40), np.random.default_rng(0).poisson(np.repeat([3.0, 8.0, 20.0], 40)).astype(float)
    words = np.where(np.arange(120) % 2, 1.0, 2.0)
    module = example("poisson_regression")
    found, errors = module.fit(kind, words, letters)
    slopes = tg.grad(lambda p: module.loss(p, kind, words, letters))(found)
    np.testing.assert_allclose(slopes, 0, atol=2e-3)
    rates = np.exp(found[kind] + found[-1] * (words - 1))
    np.testing.assert_allclose(np.bincount(kind, rates), np.bincount(kind, letters), rtol=1e-4)
    x = np.column_stack([np.eye(3)[kind], words - 1])
    np.testing.assert_allclose(errors, np.sqrt(np.diag(np.linalg.inv(x.T * rates @ x))), rtol=1e-6)


def test_the_likelihood_of_a_gaussian_process(example):
    module, random = example("gaussian_process"), np.random.default_rng(0)
    x, p = random.normal(size=(30, 2)), np.array([0.3, -0.5, 0.1, 0.4])
    scaled = x / np.exp(p[2:])
    K = np.exp(2 * p[0] - 0.5 * ((scaled[:, None] - scaled) ** 2).sum(-1)) + np.exp(2 * p[1]) * np.eye(30)
    y = random.multivariate_normal(np.zeros(30), K)
    wanted = -stats.multivariate_normal(cov=K).logpdf(y) - 15 * np.log(2 * np.pi)
    np.testing.assert_allclose(module.loss(tg.tensor(p), x, y).data, wanted)
    tg.gradcheck(lambda p: module.loss(p, x, y), p)
    assert module.loss(tg.tensor(module.fit(x, y, 10)), x, y).item() < wanted
    mean, deviation = module.predict(p, x, y, x)
    gain = np.linalg.solve(K, K - np.exp(2 * p[1]) * np.eye(30))
    np.testing.assert_allclose(mean, gain.T @ y)
    np.testing.assert_allclose(deviation ** 2, np.diag(K - (K - np.exp(2 * p[1]) * np.eye(30)) @ gain))


def test_samples_have_the_covariance_of_a_normal_distribution(example):
    module, inverse = example("hamiltonian"), np.array([[2.0, 1.0], [1.0, 2.0]])
    found, accepted = module.sample(tg.value_and_grad(lambda w: 0.5 * w @ inverse @ w), np.zeros(2), 700, step=0.4, leaps=5)
    assert accepted > 0.9
    np.testing.assert_allclose(np.cov(found.T), np.linalg.inv(inverse), atol=0.2)


def test_the_posterior_of_a_logistic_regression(example):
    module, random = example("hamiltonian"), np.random.default_rng(0)
    x, y, w = random.normal(size=(20, 3)), random.choice([-1.0, 1.0], 20), random.normal(size=3)
    wanted = np.log1p(np.exp(-y * (x @ w))).sum() - stats.norm(0, 2).logpdf(w).sum() + 3 * stats.norm(0, 2).logpdf(0)
    np.testing.assert_allclose(module.potential(w, x, y).data, wanted)


def test_the_solution_and_the_fit_of_a_differential_equation(example, monkeypatch):
    from scipy.integrate import solve_ivp

    module = example("predator_prey")
    u, v = module.solution(tg.tensor(module.START))
    a, b, c, d, *animals = np.exp(module.START)
    wanted = solve_ivp(lambda t, n: n * (a - b * n[1], d * n[0] - c), (0, 20), animals, t_eval=np.arange(21), rtol=1e-9)
    np.testing.assert_allclose(np.exp([u.data, v.data]), wanted.y, rtol=1e-4)
    monkeypatch.setattr(module, "solution", lambda x, solution=module.solution: solution(x, steps=3))
    found = module.fit()
    # The medians of a posterior distribution of the same data: B. Carpenter, Predator-prey population dynamics (2018), table 1.
    np.testing.assert_allclose(np.exp(found.x), [0.55, 0.028, 0.80, 0.024, 34, 5.9], rtol=0.05)


def test_the_final_size_of_an_epidemic(example):
    module = example("epidemic")
    R, error = module.fit()
    z = module.ILL / module.BOYS
    np.testing.assert_allclose(R, -np.log(1 - z) / z, rtol=1e-5)
    slope = z * (1 - z) / (1 - R * (1 - z))
    np.testing.assert_allclose(tg.grad(module.final_size)(R), slope, rtol=1e-4)
    np.testing.assert_allclose(error, np.sqrt(z * (1 - z) / module.BOYS) / slope, rtol=1e-3)


@pytest.mark.parametrize("name", ["epidemic", "hamiltonian"])
def test_the_command_line(example, name, capsys, monkeypatch, tmp_path):
    module = example(name)
    if name == "hamiltonian":
        pytest.importorskip("sklearn")
        monkeypatch.setattr(module, "sample", lambda *args, **options: (np.random.default_rng(0).normal(size=(1000, 10)), 1.0))
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--out", str(tmp_path)])
    module.main(name, module.__doc__, module.run)
    assert (tmp_path / f"{name}.png").stat().st_size > 1000 and "saved" in capsys.readouterr().out


def test_the_command_line_says_what_is_missing(example, capsys, monkeypatch):
    module = example("hamiltonian")
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    monkeypatch.setattr(sys, "argv", ["hamiltonian.py"])
    with pytest.raises(SystemExit) as end:
        module.main("hamiltonian", module.__doc__, module.run)
    assert end.value.code == 2 and "pip install tapegrad[examples]" in capsys.readouterr().err
