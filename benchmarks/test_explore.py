"""The tape explorer, of the LSTM step of 255 entries and of a tape of 20,000: making the page, opening it, stepping.

A step is one event of a key that is held and the frame that shows it: the next event waits until that frame has been painted.
For 30 steps a second it may take 33 ms. `extra_info` of a step, in what --benchmark-json writes: frames a second; processor
milliseconds per frame, of all threads of the page's process, which other processes disturb less; tasks of more than 50 ms.
"""

import shutil

import models
import numpy as np
import pytest

import tapegrad as tg

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAINTED = "new Promise(done => requestAnimationFrame(() => setTimeout(done)))"       # after a frame, not before it
STEPS = 120
HELD = f"""async () => {{
    const long = [], watch = new PerformanceObserver(list => long.push(...list.getEntries()));
    watch.observe({{entryTypes: ["longtask"]}});
    const begin = performance.now(), from = state.moment;
    for (let i = 0; i < {STEPS}; i++) {{
        document.body.dispatchEvent(new KeyboardEvent("keydown", {{key: "ArrowRight", repeat: true, bubbles: true}}));
        await {PAINTED};
    }}
    const seconds = (performance.now() - begin) / 1000, steps = state.moment - from;
    document.body.dispatchEvent(new KeyboardEvent("keyup", {{key: "ArrowRight", bubbles: true}}));
    watch.disconnect();
    return {{steps, seconds, long: long.length}};
}}"""


def lstm():
    loss, inputs, parameters = models.lstm_problem(*models.SIZES["N16-D80-H32-M10"])
    p = {name: tg.tensor(value, requires_grad=True) for name, value in parameters.items()}
    for _ in range(2):                                  # the first step compiles kernels
        with tg.traced(values=True, deltas=True) as t:
            loss(tg, **inputs, p=p).backward()
    return t


def long():
    rng = np.random.default_rng(0)
    U, h = tg.tensor(rng.normal(size=(8, 8)) / 8, requires_grad=True), np.zeros((4, 8))
    with tg.traced(values=True, deltas=True) as t:
        for x in rng.normal(size=(6667, 4, 8)):
            h = tg.tanh(h @ U + x)
        tg.sum(h).backward()
    return t


ENTRIES = {lstm: 255, long: 20_002}


@pytest.fixture(scope="module", params=ENTRIES, ids=lambda make: make.__name__)
def made(request):
    return request.param(), ENTRIES[request.param]


@pytest.fixture(scope="module")
def address(made, tmp_path_factory):
    path = tmp_path_factory.mktemp("explored") / "tape.html"
    made[0].explore(path)
    return path.as_uri()


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium")
    with api.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def window(browser):
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    yield page
    page.close()


def test_page(benchmark, made):
    trace, entries = made
    page = benchmark.pedantic(trace.explore, rounds=3)
    benchmark.extra_info["bytes"] = len(page.html.encode())
    assert len(page.data["entries"]) == entries


def test_opened(benchmark, window, address):
    def opened():
        window.goto("about:blank")
        window.goto(address)
        window.evaluate(PAINTED)

    benchmark.pedantic(opened, rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("folded", [True, False], ids=["folded", "unfolded"])
@pytest.mark.parametrize("sweep", ["forward", "reverse"])
def test_step(benchmark, window, address, folded, sweep):
    window.goto(address)
    session = window.context.new_cdp_session(window)
    session.send("Performance.enable")

    def spent():
        return next(row["value"] for row in session.send("Performance.getMetrics")["metrics"] if row["name"] == "ProcessTime")

    start = "0" if sweep == "forward" else "tape.turn"
    window.evaluate(f"{'' if folded else 'controls.fold();'} state.goTo({start}); {PAINTED}")
    before = spent()
    found = benchmark.pedantic(window.evaluate, (HELD,), rounds=1)
    assert found["steps"] == STEPS
    benchmark.extra_info |= {"frames a second": STEPS / found["seconds"], "long tasks": found["long"],
                             "processor ms per frame": 1000 * (spent() - before) / STEPS}
