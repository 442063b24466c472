"""The tape explorer's page in headless Chromium: every view and every step without an error, keys, links, search, printing."""

import shutil
import time
from functools import partial
from itertools import count

import explored
import numpy as np
import pytest

import tapegrad as tg
from tapegrad.debug.digest import LEVELS, Digests

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")]


def untraced():
    tape, *held = explored.living()
    return tape.explore() if held else None


PAGES = {"network": lambda: explored.network()[0].explore(), "odd": lambda: explored.odd().explore(), "untraced": untraced,
         "loop": lambda: explored.recurrent(steps=4, values=True, deltas=True).explore(),
         "summaries": lambda: explored.recurrent(steps=3).explore(), "empty": lambda: tg.tape().explore(),
         "maps": lambda: explored.recurrent(steps=3, size=12, rows=12, values=True, deltas=True).explore()}


@pytest.fixture(scope="module")
def window():
    """One window of the browser for all tests, and what its pages said: errors, and requests."""
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page, said = browser.new_page(viewport={"width": 1280, "height": 800}), []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if not request.url.startswith(("file:", "data:")) else None)
        yield page, said
        browser.close()


@pytest.fixture
def visit(window, tmp_path):
    """visit(explorer, fragment) opens its page; at the end there must have been no error, and no request."""
    (page, said), numbers = window, count()
    said.clear()

    def open_page(explorer, fragment="", **preferences):
        file = tmp_path / f"{next(numbers)}.html"
        file.write_text(explorer if isinstance(explorer, str) else explorer.html, encoding="utf-8")
        page.emulate_media(**{"media": "screen", "color_scheme": "light", "reduced_motion": "no-preference", **preferences})
        page.goto(file.as_uri() + fragment)
        return page

    yield open_page
    settle(page)
    assert said == []


def settle(page):
    """Wait for the frame in which the page follows its state."""
    page.evaluate("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")


def until(page, condition):
    """Wait for a condition, which the page's policy does not let it evaluate by itself."""
    end = time.monotonic() + 20
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(20)


def now(page):
    return page.locator("#now").inner_text()


@pytest.mark.parametrize("name", PAGES)
def test_every_step_and_every_view(visit, name):
    page = visit(PAGES[name]())
    page.evaluate("""() => {
        const go = patch => { state.set(patch); state.tell(); };
        const n = tape.steps.length;
        for (const theme of ["light", "dark"]) {
            go({theme});
            for (let moment = 0; moment <= n; moment++) go({moment});
            for (let selected = -1; selected < tape.registers.length; selected++) go({selected});
            go({constants: !state.constants, selected: -1});
            controls.fold();
            state.tell();
        }
        for (let moment = n; moment >= 0; moment--) go({moment});
        graph.fit();
        graph.zoom(3);
        graph.zoom(0.1);
    }""")
    settle(page)
    n = page.evaluate("tape.entries.length")
    assert page.locator("#listing .row.entry").count() == n and page.locator("#title").inner_text().endswith("entries")
    if name == "maps":
        page.evaluate("graph.fit(); state.goTo(tape.turn)")
        settle(page)
        pictures = page.locator(".node .cell.value image").evaluate_all("all => all.map(image => image.getAttribute('href'))")
        assert pictures and all(picture.startswith("data:image/png") for picture in pictures)


def test_what_is_shown_is_what_was_computed(visit):
    t, p = explored.network()
    page = visit(t.explore())
    page.keyboard.press("End")
    settle(page)
    for name, parameter in p.items():
        page.evaluate("name => state.set({selected: tape.registers.findIndex(register => register.name === name)})", name)
        settle(page)
        section = page.locator("#inspector section:has(h3:text-matches('^Delta'))")
        numbers = section.locator("[style]").evaluate_all("cells => cells.map(cell => Number(cell.title))")
        assert numbers == parameter.grad.ravel().tolist(), name
    norms = page.locator("#inspector .parts .arrived .number").all_inner_texts()
    assert norms == [f"{np.linalg.norm(p['W2'].grad):.3g}"]
    row = page.locator("#listing .row.entry").last
    assert row.locator(".summary.value").inner_text() == f"{t.notes[-1].z.item():.3g}"
    assert row.locator(".summary.delta").inner_text() == "1"
    page.evaluate("state.set({selected: -1, moment: tape.turn + 1})")
    settle(page)
    loss, left, right = page.evaluate("[tape.entries.length - 1, ...tape.entries.at(-1).operands].map(y => tape.name(y))")
    assert now(page).split("\n")[0] == "reverse sweep"
    assert f"δ{left} += δ{loss}" in now(page) and f"δ{right} += δ{loss}" in now(page)
    assert page.locator("#source .line.current.reverse").count() == 1
    page.evaluate("state.goTo(tape.entries.findIndex((_, z) => tape.operation(z) === 'tanh') + 1)")
    settle(page)
    assert page.locator("#source .line.current mark").inner_text() == 'tg.tanh(x @ p["W1"] + p["b1"])'
    h = next(note for note in t.notes if note.g == "tanh").z
    cell = page.locator(".node.computing .cell.value text").all_text_contents()
    assert [float(text.replace("−", "-")) for text in cell] == [float(f"{x:.2g}") for x in h.ravel()]


def test_a_folded_node_shows_one_repetition(visit):
    """Forward the last that has been computed, in the sweep the last that has been passed."""
    page = visit(PAGES["loop"]())
    page.evaluate("state.goTo(tape.turn)")
    settle(page)
    badge = page.locator(".node.entry", has_text="tanh").locator(".badge")
    assert badge.text_content() == "4/4" and page.locator(".node.entry .badge").count() == 4
    page.evaluate("state.goTo(4)")
    settle(page)
    assert badge.text_content() == "1/4" and page.locator(".node.computing .badge").text_content() == "2/4"
    page.evaluate("state.goTo(tape.turn + tape.steps.slice(tape.turn).indexOf(-1 - 6) + 1)")       # the third matmul
    settle(page)
    assert page.locator(".node.sweeping .badge").text_content() == "3/4"
    n = page.evaluate("graph.layout.nodes.length")
    page.focus("#drawing")
    page.keyboard.press("Enter")
    settle(page)
    assert page.evaluate("graph.layout.nodes.length") > n
    page.evaluate("controls.fold()")
    settle(page)
    page.locator(".node.entry", has_text="tanh").dblclick()
    settle(page)
    assert page.evaluate("graph.layout.nodes.length") > n


def test_a_wrong_derivative_is_told(visit):
    wrong = tg.primitive(lambda d, out, x: 3 * d, name="explored_wrong_derivative")(lambda x: 2 * x)
    with tg.traced(values=True) as t:
        tg.exp(wrong(explored.leaf([1.0, 2.0])))
    page = visit(t.explore())
    for moment, said, other in [(1, "✗ differs", "✓ agrees"), (2, "✓ agrees", "✗ differs")]:
        page.keyboard.press("ArrowRight")
        settle(page)
        assert said in page.locator("#inspector").inner_text() and other not in page.locator("#inspector").inner_text(), moment


def test_heat_maps_are_read_as_they_were_written(visit):
    page, digests = visit(PAGES["empty"]()), Digests(1)
    x, y = np.random.default_rng(0).normal(size=(2, 10, 10))
    x[0, :3] = np.nan, np.inf, -np.inf
    one, other = (digests.digests[digests.of(array)] for array in (x, y))
    cells, sums = page.evaluate("([x, y]) => [gridOf(x), gridOf(sumOf([x, y]))].map(grid => grid.cells.map(String))",
                                [one, other])
    close = partial(np.testing.assert_allclose, atol=(one["scale"] + other["scale"]) / LEVELS)
    close(np.array(cells, float).reshape(10, 10), x)
    close(np.array(sums, float).reshape(10, 10), x + y)


def test_deltas_grow_contribution_by_contribution(visit):
    page = visit(PAGES["network"]())
    seen = page.evaluate("""() => {
        const y = tape.registers.findIndex(register => register.name === "W1"), seen = [];
        for (let moment = 0; moment <= tape.steps.length; moment++) {
            const {arrived, complete, parts} = tape.delta(y, moment);
            if (arrived !== (seen.at(-1) || [0])[0]) seen.push([arrived, parts.length, complete]);
        }
        const {parts} = tape.delta(y, tape.steps.length);
        const sum = sumOf(parts.map(part => tape.digests[part.digest])).full;
        const whole = tape.digests[tape.registers[y].delta].full;
        return [seen, Math.max(...sum.map((x, i) => Math.abs(x - whole[i])))];
    }""")
    assert seen[0] == [[2, 3, False], [3, 3, True]] and seen[1] < 1e-12


def test_contributions_fly(visit):
    page = visit(PAGES["network"]())
    page.evaluate("state.goTo(tape.turn)")
    settle(page)
    page.keyboard.press("ArrowRight")
    until(page, "document.querySelectorAll('.flights .chip').length === 2")
    left, right = page.locator(".labels .formula").all_text_contents()
    assert left.startswith("+= δ") and right.startswith("+= δ")
    until(page, "document.querySelectorAll('.flights .chip').length === 0")
    assert page.locator(".node.receives .cell.delta.known").count() == 2


def test_a_key_that_is_held(visit):
    """No flights, and no inspector that changes at every frame; when it is let go all is as if each step had been one press."""
    page = visit(PAGES["network"]())
    page.evaluate("state.goTo(tape.turn)")
    settle(page)
    seen = page.evaluate("""async () => {
        const seen = [], frame = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
        let time = 0;
        performance.now = () => time;                   // the inspector's clock
        for (const [after, repeat] of [[1000, false], [10, true], [10, true], [1000, true], [10, true]]) {
            time += after;
            document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight", repeat, bubbles: true}));
            await frame();
            seen.push([tape.name(tape.at(state.moment).z) === inspector.title.firstChild.textContent,
                       document.querySelectorAll(".flights .chip").length > 0]);
        }
        delete performance.now;
        return seen;
    }""")
    assert seen == [[True, True], [False, False], [False, False], [True, False], [False, False]]
    page.keyboard.up("ArrowRight")
    settle(page)
    assert page.evaluate("tape.name(tape.at(state.moment).z) === inspector.title.firstChild.textContent")
    assert page.evaluate("document.getElementById('spoken').textContent === tape.spoken(state.moment)")
    page.keyboard.press("ArrowRight")
    until(page, "document.querySelectorAll('.flights .chip').length > 0")
    page.keyboard.press("Home")
    for _ in range(2):
        page.keyboard.down(" ")                         # the second time it repeats
    page.keyboard.up(" ")
    assert page.evaluate("state.playing")


def test_reduced_motion(visit):
    page = visit(PAGES["network"](), reduced_motion="reduce")
    page.evaluate("state.goTo(tape.turn)")
    settle(page)
    page.keyboard.press("ArrowRight")
    settle(page)
    assert page.locator(".flights .chip").count() == 0 and page.locator(".node.receives .cell.delta.known").count() == 2


def test_keys(visit):
    page = visit(explored.recurrent(values=True, deltas=True).explore())

    def moment():
        settle(page)
        return page.evaluate("state.moment")

    n = page.evaluate("tape.steps.length")
    for key, at in [("ArrowRight", 1), ("Shift+ArrowRight", 11), ("ArrowLeft", 10), ("End", n), ("ArrowRight", n), ("Home", 0),
                    ("ArrowLeft", 0), ("r", n // 2 + 1)]:
        page.keyboard.press(key)
        assert moment() == at, key
    folded = page.locator(".node").count()
    page.keyboard.press("f")
    settle(page)
    assert page.locator("#fold").get_attribute("aria-pressed") == "false"
    assert page.evaluate("graph.layout.nodes.length") > folded
    page.keyboard.press("/")
    page.keyboard.type("tanh")
    assert page.locator("#found li").count() == 8
    page.keyboard.press("Enter")
    settle(page)
    assert page.evaluate("tape.operation(state.selected)") == "tanh" and moment() == n // 2 + 1
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    settle(page)
    assert page.evaluate("state.selected") == -1
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#keys").is_visible()
    page.keyboard.press("Home")
    assert moment() == 0                                # by then the focus has left the button of the dialog, which takes space
    page.evaluate("state.set({speed: 30})")
    page.keyboard.press(" ")
    until(page, "state.moment > 3")
    page.keyboard.press(" ")
    settle(page)
    assert not page.evaluate("state.playing")


def test_list_and_graph_by_keyboard(visit):
    page = visit(PAGES["network"]())
    page.focus("#listing")
    for _ in range(4):                                  # three leaves come first
        page.keyboard.press("ArrowDown")
        settle(page)
    row = page.locator(f"#{page.get_attribute('#listing', 'aria-activedescendant')}")
    assert row.get_attribute("aria-selected") == "true" and "add" in row.inner_text()
    page.keyboard.press("Enter")
    settle(page)
    assert page.evaluate("tape.operation(tape.at(state.moment).z)") == "add"
    page.focus("#drawing")
    page.keyboard.press("ArrowUp")
    settle(page)
    assert page.evaluate("tape.operation(state.selected)") == "matmul"
    page.keyboard.press("ArrowDown")
    settle(page)
    assert page.evaluate("tape.operation(state.selected)") == "add"


def test_screen_reader(visit):
    page = visit(PAGES["network"]())
    page.keyboard.press("ArrowRight")
    settle(page)
    spoken = page.locator("[aria-live=polite]")
    assert spoken.inner_text().startswith("Step 1, forward: z1 = matmul(x, W1)")
    page.keyboard.press("End")
    settle(page)
    assert "reverse" in spoken.inner_text() and "delta W1 gets" in spoken.inner_text()
    assert page.locator("#slider").get_attribute("aria-valuetext") == "step 20 of 20, reverse sweep"
    assert not page.evaluate("[...document.querySelectorAll('button, input, select')].filter("
                             "x => !(x.textContent.trim() || x.getAttribute('aria-label'))).length")
    label = page.locator(".node.leaf").first.get_attribute("aria-label")
    assert "value" in label and "delta" in label
    order = []
    page.evaluate("document.activeElement.blur()")
    for _ in range(40):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
    views = [name for name in order if name in ("query", "listing", "drawing", "source", "inspector", "play", "slider")]
    assert views[:7] == ["query", "listing", "drawing", "source", "inspector", "play", "slider"], order


def test_links(visit):
    t = explored.recurrent(values=True, deltas=True)
    page = visit(t.explore(), "#step=7&register=2&unfolded=0&theme=dark")
    settle(page)
    assert page.evaluate("[state.moment, state.selected, state.unfolded.has(0), state.dark]") == [7, 2, True, True]
    page.keyboard.press("ArrowRight")
    until(page, "location.hash.includes('step=8')")
    assert page.evaluate("location.hash") == "#step=8&register=2&unfolded=0&theme=dark"
    page.evaluate("location.hash = '#step=3'")
    until(page, "state.moment === 3 && state.selected === -1")
    page = visit(t.explore(), "#step=1000000&register=-4&unfolded=x&theme=pink")
    settle(page)
    assert page.evaluate("[state.moment, state.selected]") == [0, -1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_themes(visit, scheme):
    page = visit(PAGES["network"](), color_scheme=scheme)
    brightness = "parseInt(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])"
    assert (page.evaluate(brightness) < 100) == (scheme == "dark")
    page.click("#theme")
    settle(page)
    assert (page.evaluate(brightness) < 100) == (scheme == "light")
    page.click("#theme")
    page.evaluate("state.set({theme: ''})")
    settle(page)
    page.emulate_media(color_scheme="dark" if scheme == "light" else "light")       # the page follows the system
    until(page, f"({brightness} < 100) === {'true' if scheme == 'light' else 'false'}")


def test_the_mouse(visit):
    page = visit(PAGES["network"]())
    page.keyboard.press("End")
    settle(page)
    page.locator(".node.leaf").first.click()
    settle(page)
    assert page.locator("#inspector").get_by_text("Provenance").count() == 1
    page.locator("#inspector .parts .link").first.click()
    settle(page)
    assert page.evaluate("tape.registers[state.selected].kind") == "entry"
    page.get_by_text("To its step in the sweep").click()
    settle(page)
    assert page.evaluate("state.selected") == -1 and page.evaluate("tape.at(state.moment).reverse")
    line = page.locator("#source .line.recorded").first
    line.click()
    settle(page)
    assert "current" in line.get_attribute("class") and page.evaluate("tape.at(state.moment).z >= 0")
    page.locator("#listing .row.entry").nth(3).dblclick()
    settle(page)
    assert page.evaluate("state.moment") == 4
    before = page.evaluate("graph.view.x")
    page.mouse.move(640, 300)
    page.mouse.down()
    page.mouse.move(700, 330, steps=4)
    page.mouse.up()
    assert page.evaluate("graph.view.x") < before
    fitted = page.evaluate("graph.view.scale")
    page.mouse.wheel(0, -300)
    until(page, f"graph.view.scale > {fitted}")
    page.click("#zoom-fit")
    assert page.evaluate("graph.view.scale") == fitted
    page.evaluate("controls.slider.value = 2; controls.slider.dispatchEvent(new Event('input'))")
    settle(page)
    assert page.evaluate("state.moment") == 2


def test_blame(visit):
    page = visit(PAGES["odd"]())
    page.evaluate("state.set({moment: tape.turn, selected: tape.turn - 1})")
    settle(page)
    assert "Not finite since" in page.locator("#inspector").inner_text()
    page.locator("#inspector .blame .link").click()
    settle(page)
    assert "log of a negative number" in page.locator("#inspector").inner_text()
    assert page.locator("#listing b", has_text=explored.NAME).count() == 1


def test_hints(visit):
    page = visit(untraced())
    assert "with tg.traced() as t:" in page.locator("#hints").inner_text()
    assert "with tg.traced() as t:" in page.locator("#source").inner_text()
    page.locator("#hints button").click()
    assert not page.locator("#hints").is_visible()
    assert not visit(PAGES["network"]()).locator("#hints").is_visible()


def test_only_what_is_seen_is_in_the_document(visit):
    page = visit(explored.recurrent(steps=400, values=True, deltas=True).explore())
    n = page.evaluate("tape.entries.length")
    for moment in (0, n // 2, n, 2 * n):
        page.evaluate("moment => state.goTo(moment)", moment)
        settle(page)
        assert page.locator("#listing .row").count() < 60 and page.locator(".node").count() < 20
    page.evaluate("controls.fold()")
    settle(page)
    for moment in (1, n // 3, n, n + n // 2, 2 * n):
        page.evaluate("moment => state.goTo(moment)", moment)
        settle(page)
        assert 0 < page.locator(".node").count() < 120
        assert page.locator(".node.computing, .node.sweeping").count() == 1
    page.evaluate("state.goTo(Math.round(tape.entries.length / 3))")
    settle(page)
    assert page.locator(".edge.stub").count() and page.locator(".stub-name").first.text_content() == "U"


def test_print(visit):
    """On paper there are the whole list and the whole graph if it is not long; afterwards the page is as it was."""
    page = visit(explored.recurrent(steps=16).explore())
    page.keyboard.press("End")
    page.evaluate("controls.fold(); graph.zoom(3)")
    settle(page)
    shown = """() => ["#listing .row", "#graph .node"].map(what => document.querySelectorAll(what).length)"""
    everything = page.evaluate("[listing.rows.length, graph.layout.nodes.length]")
    before, few = page.evaluate("JSON.stringify(graph.view)"), page.evaluate(shown)
    page.evaluate(f"addEventListener('beforeprint', () => {{ window.printed = ({shown})(); }})")
    assert page.pdf().startswith(b"%PDF")
    assert page.evaluate("window.printed") == everything and few[0] < everything[0] and few[1] < everything[1]
    assert page.evaluate(shown) == few and page.evaluate("JSON.stringify(graph.view)") == before
    page.emulate_media(media="print")
    assert page.locator("#now").is_visible() and not page.locator(".player").is_visible()


def test_in_a_notebook(visit):
    """A frame without an address of its own: it works, and does not navigate."""
    page = visit("<!DOCTYPE html><meta charset='utf-8'>" + explored.network()[0].explore()._repr_html_())
    frame = page.frame_locator("iframe")
    frame.locator("#forth").click()
    frame.locator("#forth").click()
    frame.get_by_text("2 / 20").wait_for()
    page.wait_for_timeout(300)
    assert frame.locator("#now").inner_text().startswith("forward")
