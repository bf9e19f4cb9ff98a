"""Bring notebooks into the form in which they are stored.

    python tools/tidy.py chapters/*.ipynb

Whatever saved them, Colab, VS Code or an old Jupyter: afterwards they have the format,
the identifiers and the metadata that the book and Colab need, and no others. Of the
outputs, only the views of widgets go, whose identifiers differ from run to run. Cells,
other outputs and execution counts stay as they are.
"""

import os
import sys
import warnings
from pathlib import Path

import nbformat

METADATA = {
    "accelerator": "GPU",
    "colab": {"gpuType": "T4", "provenance": [], "toc_visible": True},
    "kernelspec": {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}
OF_A_CELL = {"mystnb", "tags"}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def tidy(notebook):
    """Return the notebook in its stored form; the one given is changed, too."""
    notebook = nbformat.v4.upgrade(notebook, from_minor=notebook.nbformat_minor)
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        kept = OF_A_CELL & cell.metadata.keys()
        cell.metadata = nbformat.from_dict({key: cell.metadata[key] for key in kept})
        for output in cell.get("outputs", []):
            for kind in [*output.get("data", {})]:
                if kind == WIDGET_VIEW or kind.startswith("application/vnd.google."):
                    del output.data[kind]
    with warnings.catch_warnings(action="ignore"):
        _, notebook = nbformat.validator.normalize(notebook)  # no identifier twice
    return notebook


def write(notebook, path):
    """Store a notebook: all of it or, if the process is ended, nothing."""
    part = path.with_suffix(".part")
    text = nbformat.writes(notebook) + "\n"
    try:
        part.write_text(text, encoding="utf-8", newline="\n")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def main(paths):
    """Tidy what can be read as a notebook; name what cannot, and leave it."""
    bad = False
    for path in paths:
        try:
            stored = path.read_bytes().decode()
            notebook = tidy(nbformat.v4.reads(stored))
        except Exception as error:  # there are as many as ways to spoil a file
            bad = True
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            print(f"{path} is left as it is; {reason}", file=sys.stderr)
        else:
            if nbformat.writes(notebook) + "\n" != stored:  # else its time stays, too
                write(notebook, path)
                print(path)
    return bad


if __name__ == "__main__":
    sys.exit(main(map(Path, sys.argv[1:])))
