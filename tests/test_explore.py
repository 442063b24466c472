"""The data of the tape explorer's page: entries, order, deltas and contributions, formulas, escaping, size."""

import gc
import re
import threading
import weakref
from html import escape
from html.parser import HTMLParser

import explored
import numpy as np
import pytest
from explored import leaf, strict

import tapegrad as tg


def array(digest):
    """The array of a digest in full."""
    def number(x):
        return complex(*map(number, x)) if isinstance(x, list) else float(x) if isinstance(x, str) else x

    return np.array([number(x) for x in digest["full"]]).reshape(digest["shape"])


def register(data, name):
    return next(i for i, register in enumerate(data["registers"]) if register["name"] == name)


def value(data, i, what="value"):
    return array(data["digests"][data["registers"][i][what]])


class Page(HTMLParser):
    """The scripts of a page, and the tags that stand in it."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.inside = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.inside = tag == "script"
        if self.inside:
            self.scripts.append("")

    def handle_data(self, data):
        if self.inside:
            self.scripts[-1] += data

    def handle_endtag(self, tag):
        self.inside = False


class TestSweep:
    def test_order(self):
        t, _ = explored.network()
        data = t.explore().data
        n = len(t)
        assert data["steps"][:n] == list(range(n)) and data["steps"][n:] == [-1 - i for i in reversed(range(n))]
        assert [data["operations"][entry["operation"]]["name"] for entry in data["entries"]] == [note.g for note in t.notes]
        assert data["registers"][n - 1]["kind"] == "entry" and data["hints"] == []

    def test_values_and_deltas_against_formulas(self):
        t, p = explored.network()
        data = t.explore().data
        x = value(data, register(data, "x"))
        W1, b1, W2 = (p[name].data for name in ("W1", "b1", "W2"))
        h = np.tanh(x @ W1 + b1)
        s = h @ W2
        dh = 2 * s @ W2.T
        dz = dh * (1 - h * h)
        named = register(data, "h")
        np.testing.assert_allclose(value(data, named), h, rtol=1e-14)
        np.testing.assert_allclose(value(data, named, "delta"), dh, rtol=1e-13)
        for name, gradient in {"W1": x.T @ dz + W1, "b1": dz.sum(axis=0), "W2": h.T @ (2 * s)}.items():
            np.testing.assert_allclose(value(data, register(data, name), "delta"), gradient, rtol=1e-12)

    @pytest.mark.parametrize("make", [lambda: explored.network()[0], lambda: explored.recurrent(values=True, deltas=True)])
    def test_deltas_are_the_sums_of_their_contributions(self, make):
        data = make().explore().data
        sums = {}
        for step in data["steps"]:
            for position, _, digest in data["entries"][-1 - step]["rules"] if step < 0 else ():
                y = data["entries"][-1 - step]["operands"][position]
                sums[y] = sums.get(y, 0) + array(data["digests"][digest])
        assert len(sums) == sum("delta" in register for register in data["registers"]) - 1         # the loss is seeded
        for y, total in sums.items():
            np.testing.assert_array_equal(value(data, y, "delta"), total)

    def test_leaves_have_their_gradients(self):
        t, p = explored.network()
        data = t.explore().data
        for name, parameter in p.items():
            np.testing.assert_array_equal(value(data, register(data, name), "delta"), parameter.grad)

    def test_contributions_are_those_of_backward_steps(self):
        _, x, W, loss = explored.living()
        data = tg.tape().explore().data
        steps = list(tg.backward_steps(loss))
        assert [-1 - step for step in data["steps"] if step < 0] == [step.index for step in steps]
        for step in steps:
            mine = [array(data["digests"][digest]) for _, _, digest in data["entries"][step.index]["rules"]]
            assert len(mine) == len(step.contributions)
            for one, (_, _, other) in zip(mine, step.contributions):
                np.testing.assert_array_equal(one, other)

    def test_a_tape_is_left_as_it_was(self):
        tape, x, W, loss = explored.living()
        before, plans = tape.wengert(), [entry.plan for entry in tape.entries]
        data = tape.explore().data
        assert tape.wengert() == before and [entry.plan for entry in tape.entries] == plans and x.grad is None
        hints = " ".join(data["hints"])
        assert "sweep was run for this page, from loss" in hints and "need `with tg.traced() as t:`" in hints
        loss.backward()
        np.testing.assert_array_equal(value(data, register(data, "x"), "delta"), x.grad)
        np.testing.assert_array_equal(value(data, register(data, "W"), "delta"), W.grad)

    def test_a_trace_whose_sweep_is_to_come(self):
        x = leaf([1.0, 2.0], "x")
        with tg.traced() as t:
            loss = tg.sum(tg.exp(x))
        data = t.explore().data
        np.testing.assert_array_equal(value(data, register(data, "x"), "delta"), np.exp([1.0, 2.0]))
        loss.backward()
        assert "loss.backward" not in str(data["hints"]) and t.notes[0].swept is None

    def test_steps_of_training_take_turns(self):
        x = leaf([1.0, 2.0], "x")
        with tg.traced(values=True, deltas=True) as t:
            for _ in range(2):
                tg.sum(x * x).backward()
        assert t.explore().data["steps"] == [0, 1, -2, -1, 2, 3, -4, -3]

    def test_of_several_sweeps_the_last_is_shown(self):
        x = leaf([1.0, 2.0], "x")
        with tg.traced(values=True, deltas=True) as t:
            h = tg.exp(x)
            first, second = tg.sum(h), tg.sum(h * h)
            first.backward(retain_graph=True)
            second.backward()
        data = t.explore().data
        of_first = data["entries"][register(data, "first")]
        assert [len(rule) for rule in of_first["rules"]] == [2]        # what it added to the delta of h was another sweep's
        np.testing.assert_allclose(value(data, register(data, "h"), "delta"), 2 * np.exp([1.0, 2.0]))
        np.testing.assert_allclose(value(data, register(data, "x"), "delta"), 2 * np.exp([2.0, 4.0]))
        assert "Several sweeps passed h: of each entry the last one" in data["hints"][0]


class TestMissing:
    def test_hooks_are_not_called(self):
        x, called = leaf([1.0]), []
        h = tg.exp(x)
        h.register_hook(lambda d: called.append(d))
        loss = h.sum()  # noqa: F841
        data = tg.tape().explore().data
        assert not called and "there are hooks" in " ".join(data["hints"]) and min(data["steps"]) >= 0

    def test_hooks_of_leaves_are_not_called(self):
        x, called = leaf([1.0], "x"), []
        x.register_hook(lambda d: called.append(d))
        loss = tg.exp(x).sum()  # noqa: F841
        data = tg.tape().explore().data
        assert not called and x.grad is None and value(data, register(data, "x"), "delta") == np.exp(1.0)

    def test_checkpoints_run_again(self):
        x, ran = leaf([1.0, 2.0], "x"), []

        @tg.checkpoint
        def f(x):
            ran.append(len(tg.tape()))
            return tg.exp(x) * x

        loss = f(x).sum()
        before = tg.tape().wengert()
        data = tg.tape().explore().data
        assert len(ran) == 2 and tg.tape().wengert() == before and x.grad is None
        loss.backward()
        np.testing.assert_array_equal(value(data, register(data, "x"), "delta"), x.grad)

    def test_no_scalar(self):
        h = tg.exp(leaf([1.0, 2.0]))  # noqa: F841
        data = tg.tape().explore().data
        assert "no real scalar" in data["hints"][0] and data["steps"] == [0]

    def test_a_sweep_that_fails(self):
        def fails(d, out, x):
            raise ZeroDivisionError("on purpose")

        @tg.primitive(fails)
        def explored_failing(x):
            return 2.0 * x

        loss = tg.sum(explored_failing(leaf([1.0])))
        data = tg.tape().explore().data
        assert "loss raised ZeroDivisionError: on purpose" in data["hints"][0] and data["steps"] == [0, 1]
        assert loss.item() == 2.0 and all(entry.delta is None for entry in tg.tape().entries)

    def test_values_as_they_are_now(self):
        x = leaf([1.0, 2.0], "x")
        y = x + 1.0  # noqa: F841
        data = tg.tape().explore().data
        np.testing.assert_array_equal(value(data, 0), [2.0, 3.0])
        assert "not saved the values of x" in data["hints"][0]

    def test_a_trace_without_arrays(self):
        data = explored.recurrent(steps=3).explore().data
        h = data["registers"][-1 + len(data["entries"])]
        digest = data["digests"][h["delta"]]
        assert "full" not in digest and digest["min"] == digest["max"] == 1.0
        assert all(len(rule) == 2 for entry in data["entries"] for rule in entry["rules"])
        assert "values=True" in data["hints"][0] and "deltas=True" in data["hints"][0]

    def test_no_sweep(self):
        x = leaf([1.0])
        with tg.traced(values=True, deltas=True) as t:
            loss = tg.sum(x * 2.0)
        loss.backward()
        data = t.explore().data
        assert "the reverse sweep needs its backward() inside" in data["hints"][0].replace("The", "the")
        assert data["steps"] == [0, 1]

    def test_compiled_calls(self):
        """They are entries without an operator that could be run again."""
        f, x = tg.compile(lambda x: tg.sum(tg.exp(x))), leaf([1.0, 2.0], "x")
        f(x)
        loss = f(x) * 2.0  # noqa: F841
        data = tg.tape().explore().data
        np.testing.assert_allclose(value(data, register(data, "x"), "delta"), 2 * np.exp([1.0, 2.0]))
        assert not tg.blame()

    def test_of_another_thread(self):
        found = []

        def record():
            loss = tg.sum(tg.exp(leaf([1.0])))
            found.append((tg.tape(), loss))

        thread = threading.Thread(target=record)
        thread.start()
        thread.join()
        data = found[0][0].explore().data
        assert data["steps"] == [0, 1] and len(data["entries"]) == 2

    def test_empty(self):
        page = tg.tape().explore()
        assert page.data["entries"] == page.data["steps"] == [] and page.data["title"] == "tape of 0 entries"


class TestFormulas:
    """The formula of a contribution, computed with NumPy, is the contribution."""

    FUNCTIONS = {
        "tanh": lambda x, y: tg.tanh(x), "sigmoid": lambda x, y: tg.sigmoid(x), "exp": lambda x, y: tg.exp(x),
        "log": lambda x, y: tg.log(x), "sqrt": lambda x, y: tg.sqrt(x), "negative": lambda x, y: -x,
        "add": lambda x, y: x + y, "subtract": lambda x, y: x - y, "multiply": lambda x, y: x * y,
        "divide": lambda x, y: x / y, "matmul": lambda x, y: x @ y, "square": lambda x, y: tg.square(x),
        "power": lambda x, y: x ** 3, "number": lambda x, y: 2.5 * x, "reciprocal": lambda x, y: 1.0 / x,
        "itself": lambda x, y: x * x}

    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_value(self, name):
        x, y = (leaf(np.random.default_rng(seed).uniform(0.5, 2.0, (3, 3)), letter) for seed, letter in enumerate("xy"))
        with tg.traced(values=True, deltas=True) as t:
            z = self.FUNCTIONS[name](x, y)
            z.backward(np.random.default_rng(7).normal(size=(3, 3)))
        data = t.explore().data
        (entry,) = data["entries"]
        assert entry["rules"]
        for _, formula, digest in entry["rules"]:
            given = [value(data, y) if isinstance(y, int) else float(y) for y in entry["operands"]]
            names = {"d": value(data, 0, "delta"), "z": value(data, 0), **{f"y{i}": y for i, y in enumerate(given)}}
            text = "".join(token if isinstance(token, str) else {-1: "d", -2: "z"}.get(token, f"y{token}")
                           for token in data["formulas"][formula])
            for sign, python in {"⊙": "*", "·": "*", "ᵀ": ".T", "²": "**2", "³": "**3", "^": "**"}.items():
                text = text.replace(sign, python)
            found = eval(text, {"exp": np.exp, "sqrt": np.sqrt, "sign": np.sign}, names)
            np.testing.assert_allclose(found, array(data["digests"][digest]), rtol=1e-12)

    def test_text(self):
        x, b = leaf(np.ones((4, 3)), "x"), leaf(np.ones(3), "b")
        loss = tg.sum(x[1:3, ::2]) + tg.sum(x + b)  # noqa: F841
        data = tg.tape().explore().data
        texts = {"".join(map(str, formula)) for formula in data["formulas"]}
        assert "Σ over axis 0 of -1" in texts and "scatter(-1, [1:3, ::2], (4, 3))" in texts

    def test_of_a_user(self):
        data = explored.odd().explore().data
        assert [-1, " · ∂explored_user_primitive/∂", 0] in data["formulas"]

    def test_complex(self):
        c = leaf([1 + 2j], "c")
        loss = tg.real(c * c).sum()  # noqa: F841
        data = tg.tape().explore().data
        assert any("conj(" in "".join(map(str, formula)) for formula in data["formulas"])


class TestPage:
    def test_odd_things_are_escaped(self):
        page = explored.odd().explore()
        parsed = Page(page.html)
        assert len(parsed.scripts) == 2 and "b" not in parsed.tags
        assert page.html.count("</script>") == 2 and explored.NAME not in page.html
        assert strict(parsed.scripts[0]) == page.data
        assert any(register["name"] == explored.NAME for register in page.data["registers"])

    def test_nothing_is_loaded(self):
        page = explored.network()[0].explore()
        parsed = Page(page.html)
        assert not {"link", "img", "iframe", "object", "embed"} & set(parsed.tags)
        loads = r"(?:src|href)=[\"']?https?:|url\([\"']?https?:|@import|fetch\("
        assert "default-src 'none'" in page.html and not re.search(loads, page.html)

    def test_no_array_and_no_trace_is_kept(self):
        def made():
            x = leaf(np.ones((9, 9)), "x")
            with tg.traced(values=True, deltas=True) as t:
                tg.sum(tg.exp(x)).backward()
            return t.explore(), [weakref.ref(kept) for kept in (t, t.notes[0].z, t.notes[0].d, x.grad)]

        page, kept = made()
        gc.collect()
        assert len(page.data["entries"]) == 2 and [ref() for ref in kept] == 4 * [None]

    def test_reasons(self):
        data = explored.odd().explore().data
        names = [data["operations"][entry["operation"]]["name"] for entry in data["entries"]]
        assert "log of a negative number" in data["entries"][names.index("log")]["why"]
        position, reason = data["entries"][len(names) - 1 - names[::-1].index("sqrt")]["whyDelta"]
        assert position == 0 and "derivative of sqrt is infinite" in reason

    def test_a_file_is_written_whole_or_not_at_all(self, tmp_path):
        path = tmp_path / "tape.html"
        t, _ = explored.network()
        page = t.explore(path)
        assert path.read_text(encoding="utf-8") == page.html and [file.name for file in tmp_path.iterdir()] == ["tape.html"]
        with pytest.raises(OSError):
            t.explore(tmp_path / "nowhere" / "tape.html")
        with pytest.raises(OSError):
            t.explore(tmp_path)
        assert path.read_text(encoding="utf-8") == page.html

    def test_in_a_notebook(self):
        page = explored.network()[0].explore()
        found = {}

        class Frame(HTMLParser):
            def handle_starttag(self, tag, attributes):
                found[tag] = dict(attributes)

        Frame().feed(page._repr_html_())
        assert list(found) == ["iframe"] and found["iframe"]["srcdoc"] == page.html
        assert re.fullmatch(r"<explorer of 10 entries, [\d,]+ kB>", repr(page)), repr(page)

    def test_source_lines(self):
        t, _ = explored.network()
        data = t.explore().data
        cut = {}
        for entry in data["entries"]:
            file, line, start, end = entry["place"]
            spans = data["files"][file]["spans"]
            (text,) = [lines[line - first] for first, lines in spans if first <= line < first + len(lines)]
            cut.setdefault(data["operations"][entry["operation"]]["name"], text[start:end])
        assert data["files"][0]["name"] == "explored.py" and entry["line"] == f"explored.py:{line}"
        assert cut["tanh"] == 'tg.tanh(x @ p["W1"] + p["b1"])' and cut["square"] == 'tg.square(h @ p["W2"])'
        assert cut["matmul"] == 'x @ p["W1"]'

    def test_loops_are_groups(self):
        data = explored.recurrent(steps=8, values=True, deltas=True).explore().data
        members = {}
        for i, register in enumerate(data["registers"]):
            members.setdefault(register.get("group"), []).append(i)
        names = {data["operations"][data["entries"][m[0]]["operation"]]["name"]: len(m)
                 for group, m in members.items() if group is not None and m[0] < len(data["entries"])}
        assert names == {"matmul": 8, "add": 8, "tanh": 8}
        assert {group["loop"] for group in data["groups"]} == {0}

    def test_finite_differences(self):
        data = explored.network()[0].explore().data
        checked = [row for entry in data["entries"] for row in entry.get("checked", ())]
        assert len(checked) >= 10 and all(small for *_, small in checked)

        @tg.primitive(lambda d, out, x: 3 * d)
        def explored_wrong(x):
            return 2 * x

        with tg.traced(values=True) as t:
            explored_wrong(leaf([1.0, 2.0]))
        assert [small for *_, small in t.explore().data["entries"][0]["checked"]] == [False]

    def test_conversions_are_too_coarse_for_differences(self):
        with tg.traced(values=True) as t:
            tg.exp(leaf([1.0, 0.3]).astype(np.float32))
        assert t.check() and [len(entry.get("checked", ())) for entry in t.explore().data["entries"]] == [0, 1]

    def test_the_lstm_step_is_small(self):
        import models

        loss, inputs, parameters = models.lstm_problem(*models.SIZES["N16-D80-H32-M10"])
        with tg.traced(values=True, deltas=True) as t:
            loss(tg, **inputs, p={name: leaf(value) for name, value in parameters.items()}).backward()
        page = t.explore()
        assert len(t) == 255 and len(page.html.encode()) < 2_000_000 and not page.data["hints"]

    def test_many_entries(self):
        page = explored.recurrent(steps=250, size=12, rows=12, values=True, deltas=True).explore()
        assert len(page.data["entries"]) > 700 and len(page.html) < 3_000_000


class TestNotebook:
    """What else shows itself in a notebook."""

    def test_hints(self):
        _, x, W, loss = explored.living()
        assert "tg.traced()" in tg.tape()._repr_html_() and "tg.traced()" in tg.tape().memory()._repr_html_()
        assert "tg.traced()" in tg.provenance(loss, x)._repr_html_()
        assert "tg.traced()" in tg.backward_steps(loss)._repr_html_()
        t, p = explored.network()
        for shown in (t, t.memory(), t.profile(), tg.provenance(t, p["W1"]), t.check()):
            assert "<table" in shown._repr_html_() and "tg.traced()" not in shown._repr_html_()

    def test_blame(self):
        x = leaf([-1.0], "<x>")
        with np.errstate(all="ignore"):
            y = tg.log(x)  # noqa: F841
            found = tg.blame()
            with tg.traced() as t:
                z = tg.log(x)  # noqa: F841
        assert "log(&lt;x&gt;)" in found._repr_html_() and "tg.traced()" in found._repr_html_()
        assert "tg.traced()" not in t.blame()._repr_html_()
        tg.tape().entries.clear()
        assert "are finite" in tg.blame()._repr_html_()

    def test_nothing(self):
        with tg.traced() as t:
            pass
        for shown in (tg.tape(), t, t.memory(), t.show(), t.blame(), tg.tape().memory()):
            assert "0 entries" in shown._repr_html_(), shown

    def test_programs(self):
        f = tg.compile(lambda x: tg.sum(tg.where(x < 1.0, x, 2.0 * x)), fallback="silent")
        x = leaf([0.5, 2.0])
        f(x)
        for shown in (f.program(x), f.explain(x)):
            assert shown._repr_html_().startswith("<pre") and f">{escape(shown)}</pre>" in shown._repr_html_()
            assert "&lt;lambda&gt;" in shown._repr_html_()
