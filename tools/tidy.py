"""Bring executed notebooks into the form in which they are stored.

    python tools/tidy.py chapters/*.ipynb

Removes what a kernel leaves behind and no reader can use: the views and the state of
widgets, whose identifiers differ from run to run, and the version of Python.
"""

import sys
from pathlib import Path

import nbformat

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def tidy(notebook):
    """Change the notebook in place."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET_VIEW, None)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
        tidy(notebook)
        path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
