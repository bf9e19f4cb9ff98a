"""Sphinx extension: the directive `book-index` makes an index of terms.

A line of its body is a term and, after bars, other forms of it. The entry leads to the
sections of the chapters that have the term in their title, or use it most.
"""

import re
import sys
from pathlib import Path

import nbformat
from docutils import nodes
from docutils.parsers.rst import Directive

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

from outline import RECURRING, sections

PLACES = 4  # at most, for each term
IN_TITLE = 1000  # what a title counts for


def texts(notebook):
    """The titles of a chapter's sections, and their texts without code."""
    for title, cells in sections(notebook):
        if title not in RECURRING:
            markdown = [c.source for c in cells if c.cell_type == "markdown"]
            yield title, "\n\n".join(markdown)


def pattern(forms):
    """What finds a term in a text, in the singular or the plural, in any case."""
    letters = "|".join(re.escape(form.strip()) + r"(?:e?s)?" for form in forms)
    return re.compile(rf"(?<![\w-])(?:{letters})(?![\w-])", re.IGNORECASE)


def places(line, chapters):
    """The sections that a line of the index leads to, as pairs of page and title."""
    term = pattern(line.split("|"))
    found = []
    for order, (page, title, text) in enumerate(chapters):
        uses = len(term.findall(text)) + IN_TITLE * bool(term.search(title))
        if uses:
            found.append((-uses, order, page, title))
    if len(found) > PLACES:  # a single mention counts only if nothing says more
        found = [place for place in found if place[0] < -1] or found
    best = sorted(found)[:PLACES]
    return [place[2:] for place in sorted(best, key=lambda place: place[1])]


class BookIndex(Directive):
    has_content = True

    def run(self):
        env = self.state.document.settings.env
        chapters = []
        for path in sorted(Path(env.srcdir, "chapters").glob("*.ipynb")):
            env.note_dependency(str(path))
            notebook = nbformat.read(path, nbformat.NO_CONVERT)
            chapters += [(path.stem, *section) for section in texts(notebook)]
        questions = {}
        for page, title, _ in chapters:
            questions.setdefault(page, title)
        items = []
        for line in sorted(self.content, key=str.lower):
            found = places(line, chapters)
            if not found:
                raise self.error(f"no section speaks of {line!r}")
            entry = nodes.paragraph(
                "", "", nodes.strong("", line.split("|")[0].strip())
            )
            for separator, (page, title) in zip(
                [": ", *["; "] * PLACES], found, strict=False
            ):
                address = env.app.builder.get_relative_uri(
                    env.docname, f"chapters/{page}"
                )
                if title != questions[page]:
                    address += f"#{nodes.make_id(title)}"
                entry += nodes.Text(separator)
                entry += nodes.reference(
                    "", f"{int(page[:2])} {title}", refuri=address, internal=True
                )
            items.append(nodes.list_item("", entry))
        return [nodes.bullet_list("", *items, classes=["index"])]


def setup(app):
    app.add_directive("book-index", BookIndex)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
