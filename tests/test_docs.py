"""The documentation: its code runs, its links lead somewhere, every public name has its entry; and the site, where Sphinx and a
browser are installed."""

import re
import shutil
import subprocess
import sys
import zlib
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from threading import Thread
from types import ModuleType
from urllib.parse import unquote

import pytest
from pages import ROOT, blocks, broken_links, pages, run
from public_names import BAD, PLACES, PUBLIC, error_of, errors, names_of
from public_names import pages as reference

import tapegrad as tg

DOCS = ROOT / "docs"
PAGES = pages("docs")
REFERENCE = reference()
PROGRAMS = {"migrating.md": "tests/test_migrating.py runs its programs"}
NEEDS = {"saving.md": "safetensors", "numpy.md": "scipy"}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_code_runs(page, capsys):
    pytest.importorskip(NEEDS.get(page.name, "tapegrad"))
    result = run(page)
    assert not result.failed, capsys.readouterr().out
    assert not result.attempted or ">>>" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_all_python_is_run_and_all_links_lead_somewhere(page):
    python = [text for language, text in blocks(page) if language in ("python", "pycon", "py")]
    assert page.name in PROGRAMS or all(text.startswith(">>> ") for text in python)
    assert not broken_links(page)


def test_a_page_whose_code_is_wrong_is_found(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("```python\n>>> float(tg.exp(0.0).data)\n2.0\n```\n[there](nowhere.md)")
    assert run(page) == (1, 1) and broken_links(page) == ["nowhere.md"]
    capsys.readouterr()


# The reference

FORMULA = re.compile(r"[Dd]erivative|[Gg]radient|[Ff]ormula| [-=+*/^] |[√Σ∂²]")
EXAMPLE = re.compile(r"^ *>>> .*?(?=\n *\n|\Z)", re.MULTILINE | re.DOTALL)


def said(page, full):
    """What the reference says of a name, besides examples: the introduction of its page, and its own text."""
    return EXAMPLE.sub("", f"{page.intro}\n\n{PUBLIC[full].__doc__}")


def test_every_public_name_is_found():
    """All that tapegrad and its modules list is in the reference, but for modules and for what is NumPy's and SciPy's own."""
    own = {where: place for where, place in PLACES.items() if not where.startswith(("tg.numpy", "tg.scipy"))}
    for name in tg.MODULES:
        assert name in ("compat", "numpy", "scipy") or f"tg.{name}" in own, name
    for where, place in own.items():
        for name in names_of(place):
            value = getattr(place, name)
            assert (f"{where}.{name}" in PUBLIC or isinstance(value, ModuleType) or not callable(value)
                    or not value.__module__.startswith("tapegrad") and where != "tg"), f"{where}.{name}"
    assert {"tg.unique", "tg.grad", "tg.nn.Linear", "tg.compat.autograd.grad"} <= set(PUBLIC)


def test_every_public_name_has_its_entry():
    """What it is, its formula or derivative if it computes, the shapes, the errors, and an example: of each of them, all."""
    found = [full for page in REFERENCE for full in page.names]
    assert sorted(found) == sorted(PUBLIC) and len(found) > 800
    of = {full: page for page in REFERENCE for full in page.names}
    results = {full for full, value in PUBLIC.items() if isinstance(value, type) and issubclass(value, tuple)}
    computed = [full for full in found if of[full].slug not in ("seeing", "keeping", "configuration")]
    complete = {
        "text": [full for full in found if len((PUBLIC[full].__doc__ or "").split(">>>")[0].strip()) > 3],
        "formulas": [full for full in found if full not in computed or FORMULA.search(said(of[full], full))],
        "shapes": [full for full in found if re.search(r"shape|broadcast", said(of[full], full), re.IGNORECASE)],
        "errors": [full for full in found if re.search(r"[A-Z]\w*Error", said(of[full], full))],
        "examples": [full for full in found if ">>>" in PUBLIC[full].__doc__ or full in results]}
    missing = {what: sorted(set(found) - set(there)) for what, there in complete.items()}
    assert missing == {what: [] for what in complete}


@pytest.mark.parametrize("page", REFERENCE, ids=lambda page: page.slug)
def test_the_error_that_a_page_shows_is_one_that_it_speaks_of(page):
    if page.slug.startswith("scipy"):
        pytest.importorskip("scipy")
    kinds = [kind.__name__ for kind in type(error_of(page)).__mro__]
    texts = [page.intro, *[PUBLIC[full].__doc__ for full in page.names]]
    assert any(kind in text for kind in kinds if kind.endswith("Error") for text in texts), kinds


def test_no_page_is_without_a_bad_call():
    assert {page.slug for page in REFERENCE} <= set(BAD)
    assert len({full for page in REFERENCE for full in page.names}) == sum(len(page.names) for page in REFERENCE)
    assert {"ShapeError", "DtypeError", "WengertError"} <= set(errors())


def test_docstrings_become_markup():
    sys.path.insert(0, str(DOCS))
    from reference_pages import restructured

    text = """x ** 2 of `x`, with |x| < 1_000_.

        x       an array, which is
                long
        *rest   more

    An example:
        z = x * y

    >>> 1 + 1
    2
    """
    assert restructured(text) == [
        r"x \*\* 2 of ``x``\ , with \|x\| \< 1\_000\_.", "",
        "* ``x``: an array, which is long", "* ``*rest``: more", "",
        "An example:", "", ".. code-block:: text", "", "   z = x * y", "",
        ">>> 1 + 1", "2", ""]


def test_a_flowchart_is_drawn():
    """Each room above those that it imports; every node and every edge is there."""
    import flowcharts

    text = 'a["one<br>more"]\nb["two"]\nc["three"]\nb --> a\nc --> b\nc --> a\n'
    drawn = flowcharts.drawn(text)
    height = {name: int(re.search(rf'y="(\d+)" text-anchor="middle">{name}<', drawn)[1]) for name in ("one", "two", "three")}
    assert height["three"] < height["two"] < height["one"] and drawn.count('marker-end="url(#arrow)"') == 3
    rooms = flowcharts.drawn((ROOT / "tapegrad" / "README.md").read_text(encoding="utf-8"))
    assert "primitives/" in rooms and "numba, loaded late" in rooms


# The site

@pytest.fixture(scope="module")
def site(tmp_path_factory):
    for package in ("sphinx", "furo", "myst_nb"):
        pytest.importorskip(package)
    folder = tmp_path_factory.mktemp("docs")
    done = subprocess.run([sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", str(DOCS), str(folder)],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_site_has_an_entry_for_every_name(site):
    inventory = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    entries = {line.split()[0] for line in zlib.decompress(inventory).decode().splitlines() if " py:" in line}
    assert {full.replace("tg.", "tapegrad.", 1) for full in PUBLIC} - entries == set()
    assert {f"tapegrad.errors.{name}" for name in errors()} <= entries


@pytest.mark.slow
def test_all_links_of_the_site_lead_somewhere(site):
    texts = {path: path.read_text(encoding="utf-8") for path in site.resolve().rglob("*.html")}
    places = {path: set(re.findall(r'\bid="([^"]+)"', text)) for path, text in texts.items()}
    count = 0
    for path, text in texts.items():
        for target, place in re.findall(r'(?:href|src)="([^"#?]*)[^"#]*(?:#([^"]+))?"', text):
            if not re.match(r"[a-z]+:|//", target):
                there = (path.parent / target).resolve() if target else path
                assert there.exists(), f"{path.name}: {target}"
                assert not place or unquote(place) in places[there], f"{path.name}: {target}#{place}"
                count += bool(place)
    assert count > 1000


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        """Nothing: the log would stand in the tests' output."""


@pytest.fixture
def served(site):
    """The address of the site, as a server of this machine gives it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def browser():
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.slow
@pytest.mark.skipif(browser() is None or find_spec("playwright") is None, reason="no browser, or no playwright")
def test_the_site_in_a_browser(site, served):
    """Search, navigation, pictures, lessons; no error is logged, and nothing is asked of another server."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=browser(), args=["--no-sandbox"])
        page, complaints = opened.new_page(), []
        page.on("response", lambda response: response.status < 400 or complaints.append(response.url))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: request.url.startswith(served) or complaints.append(request.url))
        page.goto(f"{served}/index.html")
        page.get_by_role("link", name="A ten-minute tour").first.click()
        assert page.locator("h1").inner_text().startswith("A ten-minute tour")
        page.get_by_role("link", name="Next").first.click()
        assert "Tutorial" in page.locator("h1").inner_text()
        page.goto(f"{served}/search.html?q=logsumexp")
        page.locator("#search-results li a", has_text="logsumexp").first.wait_for(timeout=20_000)
        page.goto(f"{served}/reference/activations.html#tapegrad.softmax")
        assert page.locator("[id='tapegrad.softmax']").is_visible()
        page.goto(f"{served}/inside/gallery.html")
        assert all(page.evaluate("[...document.querySelectorAll('article img')].map(image => image.naturalWidth > 0)"))
        page.goto(f"{served}/lessons/1-lists.html")
        assert page.locator("details").count() >= 4
        opened.close()
    assert not complaints
