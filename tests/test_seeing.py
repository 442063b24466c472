"""The tape as a table and as a drawing."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import tapegrad as tg


def leaf(values, name=None):
    return tg.tensor(values, requires_grad=True, name=name)


class Cell:
    def __init__(self):
        self.W, self.U = leaf(np.eye(2) / 2), leaf(np.eye(2) / 3)

    def __call__(self, xs):
        h = np.zeros((3, 2))
        for x in xs:
            h = tg.tanh(x @ self.W + h @ self.U)
        return h


def recurrent(steps=20):
    cell = Cell()
    with tg.traced() as t:
        loss = tg.sum(cell(np.ones((steps, 3, 2))))
        loss.backward()
    return t, loss


class TestShow:
    def test_the_living_tape(self):
        x = leaf([[1.0, 2.0]], name="x")
        h = tg.exp(x)
        loss = (h * h).sum()
        shown = tg.tape().show()
        assert [row["entry"] for row in shown.rows] == str(tg.tape()).splitlines()
        assert list(shown.rows[0]) == ["#", "entry", "shape", "dtype", "kept bytes"]
        assert [row["kept bytes"] for row in shown.rows] == ["16", "0", "0"]       # exp and multiply share one buffer
        loss.backward()
        assert len(tg.tape().show()) == 0 and "0 entries" in str(tg.tape().show())

    def test_a_trace_after_backward(self):
        t, loss = recurrent(3)
        rows = t.show().rows
        assert len(tg.tape()) == 0 and len(rows) == 13
        assert rows[0]["line"].startswith("test_seeing.py:") and rows[0]["entry"] == "z1 = matmul(c1, W)"
        assert {"value", "delta", "forward us", "backward us"} <= set(rows[0])
        assert [row["entry"].split(" = ")[0] for row in rows if "tanh" in row["entry"]] == ["h", "h_2", "z10"]
        assert rows[-1]["entry"] == "loss = sum(z10, axis=None, keepdims=False)" and rows[-1]["delta"] == "1"

    def test_a_trace_without_deltas_says_why(self):
        x = tg.tensor([1.0, 2.0], requires_grad=True)
        with tg.traced() as t:
            loss = tg.square(x).sum()
        loss.backward()
        assert "no deltas: no backward() of these entries ran inside of `with tg.traced()`" in str(t.show())
        assert "no deltas" in t.show()._repr_html_()
        with tg.traced() as t:
            tg.square(x).sum().backward()
        assert "no deltas" not in str(t.show()) and "no deltas" not in str(tg.tape().show())

    def test_a_part(self):
        t, loss = recurrent(5)
        shown = t.show(first=2, last=4)
        assert [row["#"] for row in shown.rows] == ["2", "3"] and "2 of them shown" in str(shown)

    def test_html(self):
        t, loss = recurrent(2)
        text = t.show()._repr_html_()
        tree = ElementTree.fromstring(text)
        assert len(tree.findall(".//tbody/tr")) == len(t) and t._repr_html_() == text
        x = leaf([1.0], name="a<b")
        y = x * 2  # noqa: F841
        assert "a&lt;b" in tg.tape()._repr_html_()

    def test_names_are_unique(self):
        t, loss = recurrent(4)
        assert len({row["entry"].split(" = ")[0] for row in t.show().rows}) == len(t)


class TestDraw:
    def test_folded(self):
        t, loss = recurrent(20)
        text = t.draw(format="mermaid")
        assert text.startswith("flowchart TD") and "h = tanh × 20" in text and text.count("-.->") == 1
        assert len(text.splitlines()) < 20
        assert len(t.draw(format="mermaid", fold=False).splitlines()) > 100

    def test_two_layers_stay_two(self):
        one, two = Cell(), Cell()
        with tg.traced() as t:
            one(two(np.ones((2, 3, 2))) + np.zeros((2, 3, 2)))
        assert t.draw(format="mermaid").count("tanh × 2") == 2

    def test_layers_in_a_loop_are_one(self):
        layers = [leaf(np.eye(2), name=f"W{i}") for i in range(3)]
        with tg.traced() as t:
            h = np.ones((1, 2))
            for W in layers:
                h = tg.sigmoid(h @ W)
        text = t.draw(format="mermaid")
        assert text.count("sigmoid × 3") == 1 and '(["W2<br/>2 x 2"])' in text

    def test_shapes_that_differ(self):
        with tg.traced() as t:
            for n in (2, 3):
                leaf(np.ones(n)) * 2
        assert "2 .. 3" in t.draw(format="dot")

    @pytest.mark.parametrize("fold", [True, False])
    def test_svg(self, fold):
        t, loss = recurrent(6)
        tree = ElementTree.fromstring(t.draw(fold=fold))
        space = "{http://www.w3.org/2000/svg}"
        boxes = [[float(box.get(key)) for key in ("x", "y", "width", "height")] for box in tree.iter(f"{space}rect")]
        assert len(tree.findall(f"{space}g")) == len(boxes) - 1
        for i, (x, y, w, h) in enumerate(boxes[1:]):            # the first is the ground
            for X, Y, W, _ in boxes[i + 2:]:
                assert y != Y or x + w <= X or X + W <= x
            assert boxes[0][0] <= x and x + w <= boxes[0][0] + boxes[0][2] and y + h <= boxes[0][1] + boxes[0][3]
        assert t.draw(fold=fold)._repr_svg_() is not None

    def test_the_living_tape_and_constants(self):
        x = leaf([1.0], name="x")
        c = tg.tensor([2.0], name='a "c"')
        y = x * c + 3  # noqa: F841
        assert 'a \\"c\\"' in tg.tape().draw(format="dot", constants=True) and "a " not in tg.tape().draw(format="dot")
        assert "#quot;c#quot;" in tg.tape().draw(format="mermaid", constants=True)

    def test_empty(self):
        for format in ("svg", "dot", "mermaid"):
            assert tg.tape().draw(format=format)

    def test_files(self, tmp_path):
        t, loss = recurrent(2)
        for ending, start in (("svg", "<svg"), ("dot", "digraph"), ("mmd", "flowchart")):
            path = tmp_path / f"tape.{ending}"
            text = t.draw(path)
            assert path.read_text(encoding="utf-8") == text and text.startswith(start)
        with pytest.raises(ValueError, match="svg, dot or mermaid"):
            t.draw(tmp_path / "tape.pdf")
        with pytest.raises(ValueError, match="'png'"):
            t.draw(format="png")

    def test_many_entries(self):
        """A thousand layers are drawn in linear time, folded or not."""
        x = leaf(np.ones(2), name="x")
        with tg.traced() as t:
            y = x
            for _ in range(1000):
                y = y * x
        assert t.draw(fold=False).count("<rect") == 1002 and t.draw().count("<rect") == 3

    def test_names_of_many_entries(self):
        """h, h_2, .., h_20000 are given in linear time, and a chain of notes is freed without recursion."""
        x = leaf(np.ones(2), name="x")
        with tg.traced() as t:
            h = x
            for _ in range(20000):
                h = h * x
        assert t.show().rows[-1]["entry"] == "h_20000 = multiply(h_19999, x)"
