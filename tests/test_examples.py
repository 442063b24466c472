"""The examples: that they run as a user runs them, say clearly what is wrong, and that their gradients are right."""

import json
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from compiled_calls import replays

import tapegrad as tg

safetensors = pytest.importorskip("safetensors")
safetensors_numpy = pytest.importorskip("safetensors.numpy")
pytest.importorskip("tqdm")

EXAMPLES = Path(__file__).parents[1] / "examples"
sys.path.insert(0, str(EXAMPLES))

import names_data  # noqa: E402
import train_lstm  # noqa: E402
import train_mlp  # noqa: E402
from checkpoints import NoCheckpoint  # noqa: E402
from gradient_check import TOLERANCE, largest_difference  # noqa: E402
from training import Init, Run, batches, copies, loss_of, parameters, predict, train  # noqa: E402

KINDS = {"mlp": train_mlp, "lstm": train_lstm}
MODELS = {recipe.model.__name__: recipe.model for module in KINDS.values() for recipe in module.RECIPES.values()}
LAST_LINE = re.compile(r"test loss \d+\.\d{3}  test accuracy [01]\.\d{3}")
SAVED = {"weights.safetensors", "curves.png", "confusion.png"}


def call(kind, *flags, cwd):
    command = [sys.executable, str(EXAMPLES / f"train_{kind}.py"), *map(str, flags)]
    return subprocess.run(command, cwd=cwd, capture_output=True, check=False, text=True, encoding="utf-8")


def last_line(done):
    assert done.returncode == 0, done.stderr
    line = done.stdout.splitlines()[-1]
    assert LAST_LINE.fullmatch(line), line
    return line


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """A small data set of one's own, with CRLF, percent-encoding and underscores."""
    folder = tmp_path_factory.mktemp("data")
    for part, times in (("train", 40), ("valid", 10), ("test", 10)):
        lines = [f"{name}_{k}\t{label}\r\n" for k in range(times)
                 for name, label in (("Caf%C3%A9_Ulm", "Place"), ("Rosa_rosa", "Species"), ("Ann_Lee", "Person"))]
        (folder / f"names.{part}").write_text("".join(lines), newline="")
    return folder / "names"


@pytest.fixture(scope="module", params=[(kind, recipe) for kind in KINDS for recipe in ("default", "course")],
                ids=lambda pair: "-".join(pair))
def trained(request, tmp_path_factory):
    """(kind, working directory, finished process) of a --quick run on the names that are shipped."""
    kind, recipe = request.param
    cwd = tmp_path_factory.mktemp(f"{kind}-{recipe}")
    return kind, cwd, call(kind, "--quick", "--max-len", 8, "--num-hid", 8, "--recipe", recipe, "--names", "Noahshire, 中国",
                           cwd=cwd)


def test_a_run_reports_and_saves(trained):
    kind, cwd, done = trained
    last_line(done)
    assert {path.name for path in (cwd / "runs" / kind).iterdir()} == SAVED
    assert (cwd / "runs" / kind / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert len(re.findall(r"^epoch +\d+  train loss .* valid loss .* accuracy .* s$", done.stdout, re.MULTILINE)) == 2
    assert re.search(r"^gradient check: .* \d\.\de-\d\d", done.stdout, re.MULTILINE)
    assert re.search(r"^Noahshire  (\w+ 0\.\d\d *){3}$", done.stdout, re.MULTILINE)
    assert re.search(r"^中国 +(\w+ 0\.\d\d *){3}$", done.stdout, re.MULTILINE)
    assert "baseline of n-grams" in done.stdout
    assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) < 5


def test_saved_weights_give_the_same_figures_again(trained):
    kind, cwd, done = trained
    weights = cwd / "runs" / kind / "weights.safetensors"
    again = call(kind, "--quick", "--load", weights, "--epochs", 0, "--out", "again", cwd=cwd)
    assert last_line(again) == last_line(done)
    assert {path.name for path in (cwd / "again").iterdir()} == {"confusion.png"}


def test_saved_weights_say_what_they_are(trained):
    kind, cwd, _ = trained
    with safetensors.safe_open(cwd / "runs" / kind / "weights.safetensors", "numpy") as file:
        about = json.loads(file.metadata()["about"])
    assert about["kind"] == kind and len(about["labels"]) == 5 and "é" in about["alphabet"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_is_reproducible(kind, prefix, tmp_path):
    flags = ("--dataset", prefix, "--epochs", 1, "--num-hid", 8, "--max-len", 4)        # batches of one length: one program
    first, second, other = (call(kind, *flags, "--seed", seed, "--out", f"{k}", cwd=tmp_path)
                            for k, seed in enumerate((3, 3, 4)))
    assert last_line(first) == last_line(second)
    assert (tmp_path / "0/weights.safetensors").read_bytes() == (tmp_path / "1/weights.safetensors").read_bytes()
    assert (tmp_path / "0/weights.safetensors").read_bytes() != (tmp_path / "2/weights.safetensors").read_bytes()
    assert last_line(other)


def test_without_a_test_part_the_valid_part_is_reported_on(prefix, tmp_path):
    for part in ("train", "valid"):
        (tmp_path / f"set.{part}").write_bytes(prefix.with_suffix(f".{part}").read_bytes())
    done = call("mlp", "--dataset", "set", "--epochs", 3, "--dtype", "float64", cwd=tmp_path)
    last_line(done)
    assert "there is no set.test" in done.stdout


def test_a_second_run_overwrites_nothing_unless_it_is_told_to(prefix, tmp_path):
    flags = "--dataset", prefix, "--epochs", 1, "--num-hid", 8, "--out", "kept", "--seed"
    written = {}
    for seed, more, folder in ((1, (), "kept"), (2, (), "kept-2"), (3, (), "kept-3"), (4, ("--overwrite",), "kept")):
        done = call("mlp", *flags, seed, *more, cwd=tmp_path)
        assert last_line(done) and f"saved in {folder}: " in done.stdout
        now = {path.parent.name: path.read_bytes() for path in tmp_path.glob("*/weights.safetensors")}
        assert {name for name in now if now[name] != written.get(name)} == {folder}
        written = now


def interrupted(kind, *flags, cwd, after):
    """A run that gets Ctrl-C as soon as it has printed a line that starts with `after`."""
    command = [sys.executable, "-u", str(EXAMPLES / f"train_{kind}.py"), *map(str, flags)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "encoding": "utf-8"}
    listens = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731  what a shell starts with & ignores it
    with subprocess.Popen(command, cwd=cwd, preexec_fn=listens, **pipes) as run:
        for line in run.stdout:
            if line.startswith(after):
                break
        for _ in range(20):         # Python drops a Ctrl-C that comes while it frees an object: press it again
            run.send_signal(signal.SIGINT)
            try:
                out, err = run.communicate(timeout=10)
                return run.returncode, out, err
            except subprocess.TimeoutExpired:
                continue
        run.kill()
    raise AssertionError("it did not stop")


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_saves_the_best_weights_so_far_and_says_so(prefix, tmp_path):
    flags = "--dataset", prefix, "--num-hid", 64, "--epochs", 100_000
    code, out, err = interrupted("mlp", *flags, cwd=tmp_path, after="epoch  2")
    assert code == 130 and "Traceback" not in err
    found = re.search(r"interrupted in epoch (\d+); the best weights of (\d+) epochs are in (\S+), test loss", err)
    assert int(found[1]) == int(found[2]) + 1 > 2 and {path.name for path in (tmp_path / found[3]).iterdir()} == SAVED
    code, out, err = interrupted("mlp", *flags, "--out", "none", cwd=tmp_path, after="gradient check")
    assert code == 130 and "interrupted" in err and "Traceback" not in err
    assert ("nothing was saved" in err) != (tmp_path / "none").exists()         # it is in the first epoch, most likely


@pytest.mark.parametrize("kind, recipe", [(kind, recipe) for kind in KINDS for recipe in ("default", "course")])
def test_a_run_that_diverges_stops_and_says_so(kind, recipe, prefix, tmp_path):
    done = call(kind, "--dataset", prefix, "--batch-size", 5, "--recipe", recipe, "--init-lr", 1e9, cwd=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr and not list(tmp_path.glob("runs/*/*"))
    assert re.search(r": the loss is \S+ in batch \d+ of epoch 1: training diverges at a learning rate of .*; try a smaller "
                     "--init-lr; nothing was saved\n$", done.stderr)


@pytest.mark.parametrize("kind", KINDS)
def test_help_shows_the_defaults(kind, tmp_path):
    text = " ".join(call(kind, "--help", cwd=tmp_path).stdout.split())
    for name, recipe in KINDS[kind].RECIPES.items():
        for value in (recipe.max_len, recipe.num_hid, recipe.batch_size, recipe.epochs, recipe.init_lr, recipe.seed):
            assert f"{name}: {value}" in text
    assert f"(default: runs/{kind})" in text and "(default: float32)" in text


# Data

def test_names_are_decoded(prefix):
    data = names_data.read_prefix(prefix)
    assert data.labels == ("Person", "Place", "Species")
    assert data.train.names[:3] == ["Café Ulm 0", "Rosa rosa 0", "Ann Lee 0"]
    assert data.train.y[:3].tolist() == [1, 2, 0]


@pytest.mark.skipif(not Path(names_data.SHIPPED).exists(), reason="the names are not there")
def test_the_shipped_names():
    data = names_data.read_shipped()
    assert (len(data.train), len(data.valid), len(data.test)) == (12000, 1500, 1500)


@pytest.mark.skipif(not Path(names_data.SHIPPED).exists(), reason="the names are not there")
@pytest.mark.parametrize("page", ["inside/gallery.md", "distributed.md"])
def test_the_docs_say_how_many_parameters_the_lstm_has(page):
    alphabet, recipe = names_data.Alphabet.of(names_data.read_shipped().train.names), train_lstm.RECIPES["default"]
    model = recipe.model(Init(0, "float32"), len(alphabet), recipe.max_len, recipe.num_hid, len(names_data.SHIPPED_LABELS))
    count = sum([parameter.size for parameter in parameters(model).values()])
    assert f"{count:,} parameters" in " ".join((EXAMPLES.parent / "docs" / page).read_text(encoding="utf-8").split())


def test_the_alphabet_is_that_of_the_training_names():
    alphabet = names_data.Alphabet.of(["abba", "ac", "c"])
    assert alphabet.characters == "abc" and len(alphabet) == 5
    assert names_data.Alphabet.of(["abba", "ax"]).characters == "ab"
    assert alphabet.encode(["ba?", "abcabc"], max_len=4).tolist() == [[0, 3, 2, 1], [2, 3, 4, 2]]


IDS = np.array([[0, 0, 2], [0, 3, 2], [0, 0, 4], [5, 5, 5], [0, 0, 0]])


def test_pieces_have_the_same_ids_wherever_they_stand():
    ids = names_data.Alphabet("abc").encode(["abab", "cab?"], max_len=5, longest=3)
    characters, twos, threes = np.moveaxis(ids, 2, 0)
    assert characters.tolist() == [[0, 2, 3, 2, 3], [0, 4, 2, 3, 1]] and (ids[:, 0] == 0).all()
    assert twos[0, 2] == twos[0, 4] == twos[1, 3] and threes[0, 4] != threes[1, 3]
    assert len({*twos[:, 1:].flat}) == 6 and len({*threes[:, 1:].flat}) == 8        # their beginnings are pieces, too
    assert 2 <= ids[:, 1:, 1:].min() and ids.max() < names_data.PIECES


def test_names_are_crossed_with_names_of_their_label():
    names, y = ["Ann Lee", "Bo", "Rio Bravo Sur", "Eva Kim", "Lago Azul"], np.array([0, 0, 1, 0, 1])
    part, rng = names_data.Part("train", names, y), np.random.default_rng(0)
    assert names_data.crossed(part, 0.0, rng) == names
    runs = [names_data.crossed(part, 1.0, rng) for _ in range(50)]
    made = [set(found) for found in zip(*runs)]
    assert made[0] == {"Ann Lee", "Ann Kim"} and made[1] == {"Bo"}
    assert made[4] == {"Lago Azul", "Lago Sur", "Lago Bravo Sur"} and {"Rio Azul", "Rio Bravo Azul"} <= made[2]


def test_batches_of_one_length_hold_every_name_once():
    cut = batches(IDS, np.arange(5), size=2, bucket=1)
    assert [(i.shape[1], *y) for i, y in cut] == [(1, 0, 2), (1, 4), (2, 1), (3, 3)]
    assert [(i.shape[1], *y) for i, y in batches(IDS, np.arange(5), size=9, bucket=2)] == [(2, 0, 1, 2, 4), (3, 3)]
    for i, y in cut:
        assert (i == IDS[y, -i.shape[1]:]).all()


def test_shuffled_batches_of_one_length_are_full():
    cut = batches(IDS, np.arange(5), size=2, rng=np.random.default_rng(0), bucket=1)
    assert {i.shape[1]: len(y) for i, y in cut} == {1: 2, 2: 2, 3: 2} and len(cut) == 4
    for i, y in cut:
        assert (i == IDS[y, -i.shape[1]:]).all()
    assert set(np.concatenate([y for _, y in cut])) == {0, 1, 2, 3, 4}


GOOD = "Ann\tPerson\nUlm\tPlace\n"
BAD_DATA = [
    ({}, "set.train: No such file"),
    ({"train": ""}, "set.train: the file is empty"),
    ({"train": "\r\n\r\n"}, "set.train: the file is empty"),
    ({"train": "Ann\tPerson\nUlm Place\n"}, "set.train, line 2: no tab"),
    ({"train": "Ann\tPerson\n\nUlm\tPlace\n"}, "set.train, line 2: no tab"),
    ({"train": "Ann\tPerson\textra\n"}, "set.train, line 1: 3 fields"),
    ({"train": "\tPerson\n"}, "set.train, line 1: there is no name"),
    ({"train": b"Ann\tPerson\nM\xfcller\tPerson\n"}, "set.train, line 2: the text is not UTF-8"),
    ({"train": GOOD}, "set.valid: No such file"),
    ({"train": GOOD, "valid": "Ann\tPerson\r\nUlm\tTown\r\n"}, "set.valid, line 2: unknown label 'Town'"),
    ({"train": GOOD, "valid": GOOD, "test": "Ulm\tTown\n"}, "set.test, line 1: unknown label 'Town'"),
    ({"train": GOOD, "valid": GOOD, "test": ""}, "set.test: the file is empty"),
]


@pytest.mark.parametrize("files, message", BAD_DATA, ids=[message for _, message in BAD_DATA])
def test_bad_data(files, message, tmp_path):
    for part, text in files.items():
        (tmp_path / f"set.{part}").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(names_data.InputError, match=re.escape(message)):
        names_data.read_prefix(tmp_path / "set")


@pytest.mark.parametrize("text, message", [
    ("Ann\tPerson\n", "line 1: 2 fields"),
    ("Ann\tHuman\ttrain\n", "line 1: unknown label 'Human'"),
    ("Ann\tPerson\ttraining\n", "line 1: unknown part 'training'"),
    ("Ann\tPerson\ttrain\n", "no line is of the part valid"),
])
def test_bad_shipped_data(text, message, tmp_path):
    path = tmp_path / "names.tsv"
    path.write_text(text)
    with pytest.raises(names_data.InputError, match=f"names.tsv.*{message}"):
        names_data.read_shipped(path)


def test_what_is_wrong_is_said_without_a_traceback(prefix, tmp_path):
    (tmp_path / "junk").write_bytes(b"not weights")
    safetensors_numpy.save_file({"W1": np.zeros(2)}, tmp_path / "foreign", metadata={"about": "{}"})
    ours = ("--dataset", prefix, "--epochs", 0)
    assert call("mlp", "--dataset", prefix, "--epochs", 1, "--out", "saved", cwd=tmp_path).returncode == 0
    before = sorted(tmp_path.rglob("*"))
    for kind, flags, message in [
        ("lstm", ("--dataset", "nothing"), "nothing.train: No such file"),
        ("mlp", (*ours, "--load", "nothing"), "nothing: No such file"),
        ("mlp", (*ours, "--load", "junk"), "junk: these are not weights"),
        ("mlp", (*ours, "--load", "foreign"), "foreign: these are not weights"),
        ("mlp", (*ours, "--load", "."), ".: "),
        ("lstm", (*ours, "--load", "saved/weights.safetensors"), "saved/weights.safetensors: weights of kind mlp"),
        ("mlp", (*ours, "--load", "saved/weights.safetensors", "--num-hid", 3), "num_hid 512, and 3 is wanted"),
        ("mlp", ("--load", "saved/weights.safetensors"), "saved/weights.safetensors: weights of labels"),
        ("mlp", (*ours, "--out", "junk"), "junk: File exists"),
        ("mlp", (*ours, "--checkpoint", "junk"), "junk: this is no checkpoint of this run: "),
        ("mlp", (*ours, "--batch-size", 0), "--batch-size: 0 is not a number from 1 up"),
        ("mlp", (*ours, "--epoch", 3), "unrecognized arguments: --epoch 3"),
        ("mlp", (*ours, "--epochs", "many"), "--epochs: invalid int value: 'many'"),
    ]:
        done = call(kind, *flags, cwd=tmp_path)
        assert done.returncode == 2, (flags, done)
        assert message in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert sorted(tmp_path.rglob("*")) == before


# Gradients

def small(model, dtype="float64"):
    rng = np.random.default_rng(1)
    shape = (7, 6, 3) if model is train_lstm.LSTM else (7, 6)           # with the ids of pieces
    made, ids, y = model(Init(0, dtype), 12, 6, 5, 3), rng.integers(0, 12, shape), rng.integers(0, 3, 7)
    for parameter in parameters(made).values():             # what begins as 0, too; of pieces the rows that are read
        rows = parameter.data[:12]
        rows += rng.normal(scale=0.1, size=rows.shape)
    return made, ids, y


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_the_gradients_agree_with_central_differences(model):
    assert largest_difference(*small(model), samples=10) < TOLERANCE


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_the_check_notices_a_wrong_derivative(model):
    made, *batch = small(model)
    for parameter in parameters(made).values():
        parameter.register_hook(lambda d: 1.001 * d)
    assert largest_difference(made, *batch) > 10 * TOLERANCE


def test_a_name_has_the_same_probabilities_in_any_batch():
    model, ids, _ = small(train_lstm.LSTM)
    ids[:4, :3] = ids[4] = names_data.Alphabet.PAD           # short names, and one without a character
    together = predict(model, ids, bucket=4)
    alone = np.concatenate([predict(model, row[None], bucket=4) for row in ids])
    np.testing.assert_allclose(together, alone, atol=1e-12)
    np.testing.assert_allclose(together.sum(axis=1), 1)


@pytest.mark.parametrize("kind, recipe", [(kind, recipe) for kind in KINDS for recipe in ("default", "course")])
def test_a_compiled_run_gives_what_the_same_run_gives_uncompiled(kind, recipe, monkeypatch):
    steps, compile = [], tg.compile
    monkeypatch.setattr(tg, "compile", lambda step: steps.append(compile(step)) or steps[-1])
    data = names_data.read_shipped()
    alphabet = names_data.Alphabet.of(data.train.names)
    recipe = replace(KINDS[kind].RECIPES[recipe], max_len=8, num_hid=8, epochs=2, batch_size=16)
    training, valid = [(alphabet.encode(part.names, recipe.max_len, recipe.longest), part.y)
                       for part in (data.train.some(100), data.valid.some(50))]

    def run(compiled):
        model = recipe.model(Init(0, "float64"), len(alphabet), recipe.max_len, recipe.num_hid, len(data.labels))
        history, stopped = train(Run(model, recipe, np.inf), lambda rng: training, valid, recipe, lambda *row: None,
                                 NoCheckpoint(), compiled)
        assert stopped is None
        return np.array(history)[:, :-1], copies(model)

    (found, weights), (expected, their_weights) = run(True), run(False)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    for key, weight in their_weights.items():
        np.testing.assert_allclose(weights[key], weight, atol=1e-9, err_msg=key)
    assert len(steps) == 1 and sum(replays(steps[0])) >= 8


def torch_logits(name, p, ids):
    """The models in PyTorch, with one-hot rows and the equations of the course."""
    torch = pytest.importorskip("torch")
    one_hot = torch.nn.functional.one_hot(torch.tensor(ids), 12).double()
    if name == "LSTM":
        ends = one_hot[:, -1].sum(1) @ p["wide.ends"][:12]
        n = torch.tensor((ids > 0).sum((1, 2))[:, None]).double()
        wide = 5 * (one_hot.sum((1, 2)) @ p["wide.W"][:12] + ends) / torch.sqrt(n)
        one_hot, pieces = one_hot[:, :, 0], one_hot[:, :, 1:].sum(2)

    def states(cell, x):
        h = c = torch.zeros(len(ids), 5, dtype=torch.float64)
        for t in range(x.shape[1]):
            i, f, o = (torch.sigmoid(x[:, t] @ p[f"{cell}.W_{g}"] + h @ p[f"{cell}.U_{g}"] + p[f"{cell}.b_{g}"])
                       for g in "ifo")
            c = f * c + i * torch.tanh(x[:, t] @ p[f"{cell}.W_c"] + h @ p[f"{cell}.U_c"] + p[f"{cell}.b_c"])
            h = o * torch.tanh(c)
            yield h

    if name == "CourseMLP":
        return torch.relu(torch.relu(one_hot.flatten(1) @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"])
    if name == "MLP":
        return torch.relu((one_hot @ p["E"]).flatten(1) @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"]
    if name == "CourseLSTM":
        return torch.relu(list(states("cell", one_hot))[-1] @ p["W2"] + p["b2"])
    found = []
    for reader in ("first", "second", "third"):
        x = one_hot @ p[f"{reader}.E"] + pieces @ p[f"{reader}.P"][:12]
        read = [torch.stack(list(states(f"{reader}.{cell}", way))).amax(0)
                for cell, way in (("forwards", x), ("backwards", x.flip(1)))]
        found.append(torch.cat(read, dim=1) @ p[f"{reader}.W2"] + p[f"{reader}.b2"] + wide)
    return torch.stack(found)


@pytest.mark.parametrize("name", MODELS)
def test_the_gradients_agree_with_pytorch(name):
    torch = pytest.importorskip("torch")
    model, ids, y = small(MODELS[name])
    loss = loss_of(model(ids), y)
    theirs = {key: torch.tensor(value.data.copy(), requires_grad=True) for key, value in parameters(model).items()}
    logits = torch_logits(name, theirs, ids)
    target = torch.tensor(y).expand(logits.shape[:-1])
    their_loss = torch.nn.functional.cross_entropy(logits.reshape(-1, 3), target.reshape(-1))
    loss.backward()
    their_loss.backward()
    assert loss.item() == pytest.approx(their_loss.item(), abs=1e-12)
    for key, parameter in parameters(model).items():
        np.testing.assert_allclose(parameter.grad, theirs[key].grad.numpy(), atol=1e-12, err_msg=key)
