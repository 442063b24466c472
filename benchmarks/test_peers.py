"""What peers.py compares computes the same, and the command runs with the peers that are installed."""

import re
import subprocess
import sys
from importlib import util
from pathlib import Path

import libraries
import likelihood
import numpy as np
import pytest
import sampling
from models import GATES, MODULES, SIZES, lstm_step, mlp_step, recurrent_step, unpacked
from networks import NETWORKS, network_step

HERE = Path(__file__).parent
PARTS = ("startup", "memory", "size", "growth", "lstm", "mlp", "compiled", "operations", "kernels")
SMALLEST = SIZES["N16-D80-H32-M10"]


def same(ours, theirs):
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, np.asarray(other), atol=1e-6)


@pytest.mark.parametrize("peer", ["tg.compile", "tg.nn", "torch", "nn.LSTM", "jax", "autograd", "mygrad"])
def test_the_peers_compute_the_same_lstm(peer):
    pytest.importorskip(libraries.MODULES[peer])
    theirs = lstm_step(peer, *SMALLEST)()
    same(lstm_step("tapegrad", *SMALLEST)(), unpacked(theirs) if peer in MODULES else theirs)


@pytest.mark.parametrize("kind", GATES)
def test_the_modules_compute_the_same_as_the_steps_written_by_hand(kind):
    same(recurrent_step("tg.compile", kind, *SMALLEST)(), unpacked(recurrent_step("tg.nn", kind, *SMALLEST)(), kind))


@pytest.mark.parametrize("name", list(NETWORKS)[::2])
@pytest.mark.parametrize("peer", ["tg.compile", "torch"])
def test_the_peers_compute_the_same_network(peer, name):
    pytest.importorskip(libraries.MODULES[peer])
    for mine, other in zip(network_step("tapegrad", name)(), network_step(peer, name)(), strict=True):
        np.testing.assert_allclose(mine, np.asarray(other), atol=1e-5)


@pytest.mark.parametrize("one_hot", [True, False])
@pytest.mark.parametrize("peer", ["torch", "jax", "autograd", "mygrad"])
def test_the_peers_compute_the_same_mlp(peer, one_hot):
    pytest.importorskip(peer)
    same(mlp_step("tapegrad", one_hot)(), mlp_step(peer, one_hot)())


@pytest.mark.parametrize("way, peer", [(way, peer) for way, peers in sampling.WAYS.items() for peer in peers])
def test_the_peers_draw_the_same_samples(way, peer):
    pytest.importorskip(libraries.MODULES[peer])
    mine, theirs = sampling.sampler("tapegrad", "a gradient at a time"), sampling.sampler(peer, way)
    for _ in range(5):
        np.testing.assert_allclose(mine(), theirs(), rtol=1e-9)


def test_the_peers_compute_the_same_likelihood(capsys):
    """In both ways to write it; the program compares values and gradients before it measures."""
    pytest.importorskip("torch")
    likelihood.main(["--points", "20", "--seconds", "0"])
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[:2] for row in rows] == [["| by_product", "20"], ["| by_differences", "20"]]


@pytest.mark.parametrize("peer", ["tapegrad", "torch", "autograd", "mygrad", "micrograd"])
def test_the_peers_record_the_same_products(peer):
    pytest.importorskip(peer)
    x, y = np.full(4, 2.0, np.float32), np.full(4, 3.0, np.float32)
    z = lambda x, y: x * y if peer == "micrograd" else (x * y).sum()  # noqa: E731
    for gradient, expected in zip(libraries.load(peer).record(z, x, y)(), (3, 2), strict=True):
        assert np.all(np.asarray(gradient) == expected)


def command(*arguments, before="pass"):
    """What peers.py prints in a process of its own."""
    code = f"import sys; sys.path.insert(0, {str(HERE)!r}); {before}; import peers; peers.main({list(map(str, arguments))!r})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_command_with_what_is_installed():
    said = command("--quick", "--parts", "lstm", "operations", "size")
    columns = [line for line in said.splitlines() if line.startswith("| ms")]
    installed = [peer for peer, module in libraries.MODULES.items() if util.find_spec(module)]
    for peer in {*installed} - {"torch.compile", "micrograd", "numpy"}:
        assert libraries.TITLES[peer] in columns[0]
    assert "left out of" not in said and "| N16-D80-H32-M10 |" in said and "N32" not in said


def test_every_part_without_a_peer(tmp_path):
    said = command("--quick", "--write", tmp_path, "--parts", *PARTS,
                   before="sys.modules.update(dict.fromkeys(['torch', 'jax', 'autograd', 'mygrad', 'micrograd']))")
    assert "* not installed, left out: PyTorch" in said and "ratio to" not in said
    assert "## Peak memory, the steps' own part" in said
    for row in ("x one-hot", "x * y, recorded", "relu, 2,048 float64", "tapegrad", "10,000 entries"):
        assert f"| {row} | " in said
    assert (tmp_path / "RESULTS.md").read_text() in said
    if util.find_spec("matplotlib"):
        assert {path.name for path in (tmp_path / "pictures").iterdir()} == {"peers.svg", "growth.svg"}


def test_parts_that_are_not_run_stay_in_the_file_with_their_day(tmp_path):
    results = tmp_path / "RESULTS.md"
    for part in ("size", "operations"):
        command("--quick", "--peers", "tapegrad", "--write", tmp_path, "--parts", part)
        text = results.read_text()
        day = re.search(r"\* (.*), `python", text)[1]
        results.write_text(text.replace(f"<!-- size, {day}", "<!-- size, 1 May 2020"))
    assert "* of 1 May 2020, with what was installed then: size\n" in text and text.count("# tapegrad beside") == 1
    assert text.index("## Overhead of one operation") < text.index("<!-- size, 1 May 2020 -->\n## Installed size")
    command("--quick", "--peers", "tapegrad", "--write", tmp_path, "--parts", "size")
    text = results.read_text()
    assert "1 May 2020" not in text and "## Overhead of one operation" in text and text.count("## Installed size") == 1


def test_the_shipped_results_are_those_of_all_parts():
    said = command(before="import peers; found = peers.sections(peers.HERE / 'RESULTS.md'); "
                          "assert found.keys() == peers.PARTS.keys(); print(peers.document('', [], found)); sys.exit()")
    assert said.partition("<!--")[2] == (HERE / "RESULTS.md").read_text().partition("<!--")[2] + "\n"
