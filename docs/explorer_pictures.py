"""Take the pictures of the tape explorer anew: docs/pictures/explorer-*.png, of the pages of examples/explore_the_tape.py.

    python docs/explorer_pictures.py

It needs playwright, Pillow, and Chromium on the path.
"""

import shutil
import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "examples"))

from explore_the_tape import PAGES  # noqa: E402

SIZE, COLOURS = {"width": 1440, "height": 860}, 200
START = "state.goTo(0)"
STILL = "document.getAnimations().forEach(flight => { flight.pause(); flight.currentTime = 300; })"
SELECT = "state.set({selected: tape.registers.findIndex(register => register.name === '%s')})"
# name of the picture: (page, dark or light, what is done before it is taken, milliseconds to wait)
PICTURES = {
    "forward": ("network", "light", ["state.goTo(4)"], 400),
    "reverse": ("network", "dark", ["state.goTo(tape.turn + 6)"], 400),
    "flying": ("network", "light", ["state.goTo(tape.turn + 7)", "state.goTo(tape.turn + 8)", STILL], 200),
    "lstm": ("lstm", "dark", ["state.goTo(Math.round(tape.turn * 1.5))", SELECT % "U_f"], 700),
    "blame": ("blamed", "light", ["state.goTo(tape.turn)", SELECT % "weighted"], 400),
}


def main():
    browser_path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser_path is None:
        sys.exit("explorer_pictures: no Chromium on the path")
    with sync_playwright() as p, tempfile.TemporaryDirectory() as folder:
        browser = p.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        for name, make in PAGES.items():
            make().save(Path(folder) / f"{name}.html")
        for name, (page_name, scheme, actions, wait) in PICTURES.items():
            page = browser.new_page(viewport=SIZE, color_scheme=scheme)
            page.goto((Path(folder) / f"{page_name}.html").as_uri())
            for action in [START, *actions]:
                page.evaluate(action)
                page.evaluate("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")
            page.wait_for_timeout(wait)
            picture = Image.open(BytesIO(page.screenshot())).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
            path = HERE / "pictures" / f"explorer-{name}.png"
            path.parent.mkdir(exist_ok=True)
            picture.save(path, optimize=True)
            print(path.name, path.stat().st_size)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
