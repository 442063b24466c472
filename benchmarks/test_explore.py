"""The tape explorer, of the LSTM step of 255 entries: making the page, opening it in Chromium, and a step in it.

The steps of the page are to be faster than 33 ms, for 30 a second.
"""

import shutil

import models
import pytest

import tapegrad as tg

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FRAME = "new Promise(done => requestAnimationFrame(done))"


@pytest.fixture(scope="module")
def trace():
    loss, inputs, parameters = models.lstm_problem(*models.SIZES["N16-D80-H32-M10"])
    p = {name: tg.tensor(value, requires_grad=True) for name, value in parameters.items()}
    for _ in range(2):                                  # the first step compiles kernels
        with tg.traced(values=True, deltas=True) as t:
            loss(tg, **inputs, p=p).backward()
    return t


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium")
    with api.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def test_page(benchmark, trace):
    assert len(benchmark(trace.explore).data["entries"]) == 255


def test_opened(benchmark, trace, browser, tmp_path):
    trace.explore(tmp_path / "tape.html")

    def opened():
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto((tmp_path / "tape.html").as_uri())
        page.evaluate(FRAME)
        page.close()

    benchmark.pedantic(opened, rounds=5)


@pytest.mark.parametrize("folded", [True, False], ids=["folded", "unfolded"])
def test_step(benchmark, trace, browser, tmp_path, folded):
    trace.explore(tmp_path / "tape.html")
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto((tmp_path / "tape.html").as_uri())
    page.evaluate(f"{'' if folded else 'controls.fold();'} state.set({{playing: true, speed: 30}})")
    benchmark.pedantic(lambda: page.evaluate(f"state.goTo((state.moment + 1) % tape.steps.length); {FRAME}"), rounds=500)
    page.close()
