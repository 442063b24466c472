"""Sphinx's configuration of the documentation; README.md beside this file says how to build it."""

import os
import re
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import flowcharts  # noqa: E402
import reference_pages  # noqa: E402
from docutils import nodes  # noqa: E402
from sphinx.util.docutils import SphinxDirective  # noqa: E402

import tapegrad  # noqa: E402

project, author, copyright = "tapegrad", "The tapegrad contributors", "2026, the tapegrad contributors"
version = release = tapegrad.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc"]
exclude_patterns = ["build", "README.md"]
html_theme, html_title = "furo", f"tapegrad {release}"
html_theme_options = {"navigation_with_keys": True}
html_favicon, html_copy_source = "_static/icon.svg", False
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "off"               # the tests run the lessons
autodoc_typehints = "none"
autodoc_member_order = "bysource"
python_display_short_literal_types = True


def _docstring(app, what, name, obj, options, lines):
    lines[:] = reference_pages.restructured("\n".join(lines))


def _included(app, path, parent, content):
    """Texts that stand beside the code link to it; here, only what is a page is a link. A flowchart becomes a picture."""
    def picture(match):
        (HERE / "reference" / "rooms.svg").write_text(flowcharts.drawn(match[1]), encoding="utf-8")
        return "![the rooms of the library, and what each imports](../reference/rooms.svg)"

    def link(match):
        text, target = match[1], match[2]
        page = {"CONVENTIONS.md": "conventions.md", "VOCABULARY.md": "vocabulary.md"}.get(Path(target).name)
        return f"[{text}]({page})" if page else f"`{text.replace(chr(92), '')}`"

    content[0] = re.sub(r"^```mermaid\n(.*?)^```$", picture, content[0], flags=re.MULTILINE | re.DOTALL)
    content[0] = re.sub(r"(?<!!)\[([^\]]+)\]\((?!https?:|#)([^)]+)\)", link, content[0])


class Pictures(SphinxDirective):
    """The pictures that a pattern names, with the content, or else their own names, as captions; nothing, if there are none."""

    required_arguments, has_content = 1, True

    def run(self):
        folder, _, pattern = self.arguments[0].rpartition("/")
        found = []
        for path in sorted((Path(self.env.doc2path(self.env.docname)).parent / folder).glob(pattern)):
            words = " ".join(self.content) or path.stem.replace("-", " ")
            found += [nodes.paragraph("", words), nodes.image(uri=f"{folder}/{path.name}", alt=words)]
        return found


def setup(app):
    app.add_directive("pictures", Pictures)
    app.connect("builder-inited", lambda app: reference_pages.write(HERE / "reference"))
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("include-read", _included)
