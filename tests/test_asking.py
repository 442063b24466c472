"""Asking the tape: the parts of a gradient, the first NaN and its reason, memory, time, and derivatives that are wrong."""

import json

import numpy as np
import pytest
from watching import called_in

import tapegrad as tg
from tapegrad import errors


def leaf(values, dtype=None, name=None):
    return tg.tensor(values, dtype=dtype, requires_grad=True, name=name)


RANDOM = np.random.default_rng(0)
W0, X0 = RANDOM.normal(size=(3, 3)) / 3, RANDOM.normal(size=(7, 4, 3))


def recurrent(W, xs, h=0.0):
    for x in xs:
        h = tg.tanh(x + h @ W)
    return h


class TestProvenance:
    @pytest.mark.parametrize("by, n", [("entry", 7), ("line", 1), ("step", 7)])
    def test_parts_are_the_gradient(self, by, n):
        W = leaf(W0, name="W")
        with tg.traced(deltas=True) as t:
            loss = recurrent(W, X0, np.ones((4, 3))).sum()
            parts = tg.provenance(loss, W, by)
            again = tg.provenance(loss, W, by)
            loss.backward()
        noted = tg.provenance(t, W, by)
        for found in (parts, again, noted):
            assert len(found) == n and found.by == by and found.name == "W"
            (np.testing.assert_allclose if by == "line" else np.testing.assert_array_equal)(found.sum(), W.grad)
        assert list(parts) == list(noted)

    def test_a_step_is_what_one_step_gives(self):
        """Against a model with weights of its own for every step."""
        W, own = leaf(W0), [leaf(W0) for _ in X0]
        with tg.traced():
            parts = tg.provenance(recurrent(W, X0, np.ones((4, 3))).sum(), W, by="step")
        h = np.ones((4, 3))
        for x, of_step in zip(X0, own):
            h = tg.tanh(x + h @ of_step)
        h.sum().backward()
        for k, of_step in enumerate(own):
            np.testing.assert_allclose(parts[k], of_step.grad, rtol=1e-12)
        assert list(parts.norms) == list(range(7)) and parts.norms[0] < parts.norms[6]

    def test_used_twice_in_an_entry_and_broadcast(self):
        b = leaf([1.0, 2.0])
        loss = (b * b + np.ones((3, 2)) * b).sum()
        parts = tg.provenance(loss, b)
        assert list(parts) == ["z1 = multiply(b, b)", "z2 = multiply(c1, b)"]
        assert all(part.shape == (2,) for _, part in parts.items())
        loss.backward()
        np.testing.assert_array_equal(parts.sum(), b.grad)

    def test_of_a_result(self):
        x = leaf([1.0, 2.0])
        h = x * 3
        loss = (h * h + tg.exp(h)).sum()
        h.retain_grad()
        parts = tg.provenance(loss, h)
        loss.backward()
        np.testing.assert_array_equal(parts.sum(), h.grad)
        assert len(parts) == 2 and parts.name == "h"

    def test_the_tape_is_as_before(self):
        x = leaf([1.0, 2.0])
        loss = (x[:1] * x[1:] + x[0]).sum()
        tg.provenance(loss, x)
        assert x.grad is None and len(tg.tape()) == 6
        loss.backward()
        assert x.grad.tolist() == [3, 1]

    def test_lines(self):
        x = leaf([1.0, 2.0])
        with tg.traced():
            a = x * 2
            b = x * 3 + x
            parts = tg.provenance((a + b).sum(), x, by="line")
        assert [part.tolist() for _, part in parts.items()] == [[2, 2], [4, 4]]
        assert all(label.startswith("test_asking.py:") for label in parts)

    def test_shown(self, tmp_path):
        pytest.importorskip("matplotlib")
        W = leaf(W0)
        with tg.traced():
            loss = recurrent(W, X0, np.ones((4, 3))).sum()
            parts = tg.provenance(loss, W, by="step")
        assert str(parts).splitlines()[-1].startswith("   6") and "<table" in parts._repr_html_()
        by_step = parts.plot(tmp_path / "steps.png")
        assert parts.plot(axes=by_step).axes is parts.plot(axes=by_step.axes).axes is by_step.axes
        plot = tg.provenance(loss, W).plot(tmp_path / "entries.svg")
        assert plot._repr_svg_().startswith("<?xml") and "<svg" in plot._repr_svg_() and plot.figure is plot.axes.figure
        plot.save(tmp_path / "again.png")
        assert (tmp_path / "again.png").read_bytes().startswith(b"\x89PNG")
        assert (tmp_path / "steps.png").stat().st_size > 1000 and (tmp_path / "entries.svg").stat().st_size > 1000

    def test_refused(self):
        x, y = leaf([1.0]), leaf([2.0])
        loss = (x * 2).sum()
        with pytest.raises(ValueError, match="by must be one of"):
            tg.provenance(loss, x, by="time")
        with pytest.raises(errors.GradientError, match="does not depend"):
            tg.provenance(loss, y)
        with pytest.raises(errors.GradientError, match="tg.traced"):
            tg.provenance(loss, x, by="step")
        with pytest.raises(errors.GradientError, match="require a gradient"):
            tg.provenance(loss, tg.tensor([1.0]))
        with tg.traced() as t:
            (x * 2).sum().backward()
        with pytest.raises(errors.GradientError, match="deltas=True"):
            tg.provenance(t, x)
        loss.backward()
        with pytest.raises(errors.ConsumedTapeError):
            tg.provenance(loss, y)


BAD = {
    "log of a negative": (lambda x: tg.log(x), [1.0, -2.0]),
    "log of zero": (lambda x: tg.log(x), [1.0, 0.0]),
    "square root of a negative": (lambda x: tg.sqrt(x), [1.0, -2.0]),
    "division by zero": (lambda x: 1 / x, [1.0, 0.0]),
    "0 / 0": (lambda x: x / x, [1.0, 0.0]),
    "overflow: exp(1000": (lambda x: tg.exp(x), [1.0, 1000.0]),
    "overflow: multiply": (lambda x: x * 1e200, [1.0, 1e200]),
    "power of a negative": (lambda x: x ** 0.5, [1.0, -1.0]),
    "zero to a negative": (lambda x: x ** -1.5, [1.0, 0.0]),
    "arcsin outside": (lambda x: tg.arcsin(x), [0.5, 2.0]),
    "NaN came in": (lambda x: x + 1, [0.5, np.nan]),
    "inf - inf: subtract": (lambda x: x - np.inf, [1.0, np.inf]),
    "0 * inf": (lambda x: x * 0.0, [1.0, np.inf]),
    "infinity came in": (lambda x: x + 1, [0.5, np.inf]),
    "overflow: the operands of sum": (lambda x: tg.sum(x), [1e308, 1e308]),
    "inf - inf, or 0 * inf": (lambda x: tg.sum(x), [np.inf, -np.inf]),
    "NaN came in with an operand: 1": (lambda x: tg.sum(x), [1.0, np.nan]),
}


class TestBlame:
    @pytest.mark.filterwarnings("ignore::RuntimeWarning")
    @pytest.mark.parametrize("words", BAD)
    def test_forward(self, words):
        function, values = BAD[words]
        x = leaf(values)
        with tg.traced() as t:
            good = x * 1 if np.isfinite(values).all() else x
            bad = function(good)
            loss = tg.sum(bad * 2)
        for found in (t.blame(), tg.blame(loss), tg.tape().blame(), tg.blame(t)):
            assert found and found.phase == "forward" and words in found.why
            assert found.note.g in found.entry and found.place.rsplit("/")[-1].startswith("test_asking.py:")
        del good
        loss.backward()
        assert words in t.blame().why and words in tg.blame(loss).why

    @pytest.mark.parametrize("traced", [True, False])
    def test_backward(self, traced):
        x = leaf([4.0, 0.0], name="x")
        if traced:
            with tg.traced() as t:
                loss = tg.sqrt(x * x).sum()
                loss.backward()
            found = t.blame()
            assert "tg.sqrt(x * x)" in str(found)
        else:
            found = tg.blame(tg.sqrt(x * x).sum())
        assert found.phase == "backward" and "z1 = multiply" not in found.entry and "sqrt" in found.entry
        assert "derivative of sqrt is infinite" in found.why and found.operand == 0
        assert (x.grad is not None) == traced

    @pytest.mark.filterwarnings("ignore::RuntimeWarning")
    def test_without_a_trace(self):
        x = leaf([4.0, -1.0], name="x")
        h = x * 2
        loss = tg.log(h).sum()
        for found in (tg.blame(), tg.blame(loss), tg.tape().blame()):
            assert found.phase == "forward" and "log(h)" in found.entry and "log of a negative number: log(-2)" in found.why
        loss.backward()
        with pytest.raises(errors.GradientError, match="consumed"):
            tg.blame(loss)

    def test_kept_gradient(self):
        """retain_grad() gives an entry one more operand, which has no name."""
        x = leaf([0.0])
        with tg.traced() as t:
            h = tg.sin(x)
            h.retain_grad()
            loss = tg.sqrt(h) + h
            loss.backward(np.array([np.inf]))
        assert t.blame().phase == "backward" and "delta that came to add" in str(t.blame())
        h = tg.sin(x)
        h.retain_grad()
        assert not tg.blame(h) and "the known values of 1 entries are finite" in str(tg.blame(h))

    def test_nothing_to_blame(self):
        x = leaf([4.0])
        with tg.traced() as t:
            loss = (x * x).sum()
        assert not t.blame() and not tg.blame(loss) and "finite" in str(t.blame()) and not tg.blame()
        loss.backward()
        assert not t.blame()


class TestMemory:
    def test_what_backward_needs(self):
        x = leaf(np.ones((100, 10)), name="x")
        h = tg.exp(x)
        loss = (h * h * 2).sum()
        found = tg.tape().memory()
        assert found.total == 8000 and found.given == 0 and found.by_operation == {"exp": 8000, "multiply": 0, "sum": 0}
        loss.backward()
        assert tg.tape().memory().total == 0

    def test_leaves_are_apart(self):
        W, x = leaf(np.ones((10, 5))), np.ones((3, 10))
        h = x @ W  # noqa: F841
        y = W * W  # noqa: F841
        found = tg.tape().memory()
        assert found.total == 0 and found.given == 400 + 240

    def test_by_line_and_after_the_fact(self):
        x = leaf(np.ones(100))
        with tg.traced() as t:
            h = tg.exp(x)
            y = tg.sin(h)
            y.sum().backward()
        found = t.memory()
        assert found.total == 800 and list(found.by_line.values()) == [800, 0, 0] and len(tg.tape()) == 0
        assert "exp" in str(found) and "test_asking.py" in str(found) and found._repr_html_().count("<table") == 2


class TestProfile:
    def test_numbers(self):
        W = leaf(W0)
        with tg.traced() as t:
            recurrent(W, X0, np.ones((4, 3))).sum().backward()
        found = t.profile()
        assert found.by_operation["tanh"][0] == 7 and found.forward > 0 and found.backward > 0
        assert sum(n for n, _, _ in found.by_operation.values()) == sum(n for n, _, _ in found.by_line.values()) == len(t)
        assert sum(seconds for _, seconds, _ in found.by_line.values()) == pytest.approx(found.forward)
        assert "tanh" in str(found) and "<table" in found._repr_html_()

    def test_trace_events(self, tmp_path):
        """The structure that the trace-event format asks for: complete events, in time, one after the other."""
        W = leaf(W0)
        with tg.traced() as t:
            recurrent(W, X0, np.ones((4, 3))).sum().backward()
        t.profile().save(tmp_path / "trace.json")
        content = json.loads((tmp_path / "trace.json").read_text())
        meta, *events = content["traceEvents"]
        assert meta["ph"] == "M" and meta["name"] == "process_name" and content["displayTimeUnit"] == "ms"
        assert len(events) == 2 * len(t)
        for event in events:
            assert event.keys() == {"name", "cat", "ph", "ts", "dur", "pid", "tid", "args"} and event["ph"] == "X"
            assert event["ts"] >= 0 and event["dur"] >= 0 and event["args"]["line"].startswith(__file__)
        assert [event["ts"] for event in events] == sorted(event["ts"] for event in events)
        assert events[0]["ts"] == 0 and events[0]["cat"] == "forward" and events[-1]["cat"] == "backward"
        for before, after in zip(events, events[1:]):
            assert before["ts"] + before["dur"] <= after["ts"] + 1e-3

    def test_not_timed(self):
        x = leaf([1.0])
        y = x * 2  # noqa: F841
        with pytest.raises(errors.GradientError, match="tg.traced"):
            tg.tape().profile()


class TestCheck:
    def test_all_right(self):
        x = leaf(RANDOM.normal(size=(4, 3)), dtype="float32")
        W = leaf(W0, dtype="float32")
        with tg.traced(values=True) as t:
            h = tg.relu(x @ W) + tg.sigmoid(x) * tg.abs(x)
            h = tg.concatenate([h, tg.exp(x)], axis=1)[:, [0, 2, 2]]
            tg.cross_entropy(h, np.array([0, 1, 2, 0])).backward()
            tg.max(x * 0 + np.ones(3)).backward()
            tg.where(x > 0, x, 2 * x).sum(axis=0).reshape(3, 1).var().backward()
            tg.prod(x).backward()
        found = t.check()
        assert found and not found.wrong and found.checked > 25 and "0 wrong" in str(found)

    def test_a_wrong_one(self):
        wrong = tg.primitive(lambda delta, out, x: delta * np.sin(x), name="wrong_on_purpose")(np.sin)
        x = leaf([0.5, 1.0])
        with tg.traced(values=True) as t:
            wrong(tg.exp(x)).sum()
        found = t.check()
        assert not found and len(found.wrong) == 1 and found.wrong[0] == found.worst
        entry, operand, derivative, difference, error = found.worst
        assert "wrong_on_purpose(z1)" in entry and operand == 0 and error > 0.01 and "WRONG" in str(found)

    def test_a_kink_is_not_wrong(self):
        x = leaf([0.0, 1.0, 1.0])
        with tg.traced(values=True) as t:
            (tg.relu(x) + tg.abs(x)).sum() + tg.max(x) + tg.maximum(x, 1.0).sum()
        assert t.check()

    def test_what_is_left_out(self):
        x = leaf([1.0, np.nan])
        with tg.traced(values=True) as t:
            x * 2
            leaf([1 + 1j]) * 2
        assert t.check().checked == 0 and t.check().worst is None
        with tg.traced() as t:
            x * 2
        with pytest.raises(errors.GradientError, match="values=True"):
            t.check()


class TestStepping:
    def model(self):
        W = leaf([[0.5, -1.0], [0.25, 0.0]])
        x = tg.tensor([[1.0, 2.0]], name="x")
        h = tg.tanh(x @ W)
        loss = (h * h).sum()
        return W, h, loss

    def test_the_steps_of_backward(self):
        W, h, loss = self.model()
        steps = tg.backward_steps(loss)
        assert len(tg.tape()) == 0 and [step.name for step in steps] == ["loss", "z2", "h", "z1"]
        assert [step.index for step in steps] == [3, 2, 1, 0]
        got = W.grad
        W, h, loss = self.model()
        loss.backward()
        np.testing.assert_array_equal(got, W.grad)
        np.testing.assert_array_equal(steps[-1].contributions[0][2], W.grad)
        assert steps.stopped is None

    def test_contributions_are_the_delta(self):
        W, h, loss = self.model()
        steps = tg.backward_steps(loss)
        added = sum(c for step in steps for y, _, c in step.contributions if y == "h")
        np.testing.assert_array_equal(added, steps[2].delta)
        assert [(y, g) for y, g, _ in steps[1].contributions] == [("h", "multiply")] * 2

    def test_text(self):
        W, h, loss = self.model()
        steps = tg.backward_steps(loss)
        text, html = str(steps), steps._repr_html_()
        assert repr(steps) == text and repr(steps[0]) == str(steps[0]) and "<table" in html
        assert len(steps.table()) == len(steps) and all(step.name in html for step in steps)
        assert "z2 = multiply(h, h)\n    delta[z2] = [[1., 1.]]\n    delta[h] += delta[z2] d(multiply)/dh = " in text

    @pytest.mark.parametrize("stop, names", [("z2", ["loss", "z2"]), (1, ["loss", "z2", "h"]), ("nobody", None),
                                             (lambda step: step.delta.ndim == 2, ["loss", "z2"]),
                                             ("delta not finite", None)])
    def test_stop(self, stop, names):
        W, h, loss = self.model()
        steps = tg.backward_steps(loss, stop=stop)
        assert [step.name for step in steps] == (names or ["loss", "z2", "h", "z1"])
        assert (steps.stopped is None) == (names is None) and W.grad is not None

    def test_stop_where_it_is_not_finite(self):
        x = leaf([1.0, 0.0])
        h = tg.sqrt(x)
        loss = (h * 2).sum()
        steps = tg.backward_steps(loss, stop="delta not finite")
        assert steps.stopped.name == "h" and len(steps) == 3 and x.grad[1] == np.inf

    def test_retained(self):
        W, h, loss = self.model()
        h.retain_grad()
        one = tg.backward_steps(loss, retain_graph=True)
        assert not called_in(lambda: loss.backward(retain_graph=True)) and h.grad is not None
        two = tg.backward_steps(loss)
        assert str(one) == str(two) and "the kept gradient" in str(one)

    def test_refused(self):
        W, h, loss = self.model()
        with pytest.raises(errors.GradientError, match="needs a scalar"):
            tg.backward_steps(h)
        with pytest.raises(TypeError, match="stop must be"):
            tg.backward_steps(loss, stop=1.5)
        assert not called_in(loss.backward) and W.grad is not None


def test_names_are_functions():
    for name in ("trace", "provenance", "blame", "backward_steps"):
        assert callable(getattr(tg, name)) and name in dir(tg)
