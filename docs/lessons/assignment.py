"""Write the students' version of the lessons: the solutions become an error that says so.

    python docs/lessons/assignment.py FOLDER
"""

import json
import re
import sys
from pathlib import Path

SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION\n.*?### END SOLUTION$", re.MULTILINE | re.DOTALL)
STUB = r"\1# YOUR CODE HERE" + "\n" + r'\1raise NotImplementedError("exercise")'


def student(notebook):
    """A notebook, as a dict, without its solutions and with no cell folded."""
    cells = []
    for cell in notebook["cells"]:
        source = SOLUTION.sub(STUB, "".join(cell["source"]))
        tags = [tag for tag in cell["metadata"].get("tags", []) if tag != "hide-input"]
        cells.append(cell | {"source": source, "metadata": cell["metadata"] | {"tags": tags}})
    return notebook | {"cells": cells}


def main(folder):
    Path(folder).mkdir(parents=True, exist_ok=True)
    for path in sorted(Path(__file__).parent.glob("*.ipynb")):
        notebook = student(json.loads(path.read_text(encoding="utf-8")))
        (Path(folder) / path.name).write_text(json.dumps(notebook, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
