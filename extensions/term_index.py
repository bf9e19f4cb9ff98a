"""Sphinx extension: the directive `book-index` makes an index of terms.

A line of its body is a term and, after bars, other forms of it. The entry leads to the
sections of the chapters that have the term in their title, or use it most.
"""

import re
from pathlib import Path

import nbformat
from docutils import nodes
from docutils.parsers.rst import Directive

PLACES = 4  # at most, for each term
WITHOUT = {"Check yourself", "What you can do now", "Exercises"}


def sections(notebook):
    """The sections of a chapter: pairs of title and text, code left out."""
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    _, *parts = re.split(r"^##? (.*)$", text, flags=re.MULTILINE)
    found = zip(parts[::2], parts[1::2], strict=True)
    return [(title, text) for title, text in found if title not in WITHOUT]


def pattern(forms):
    """What finds a term in a text, in the singular or the plural, in any case."""
    letters = "|".join(re.escape(form.strip()) + r"(?:e?s)?" for form in forms)
    return re.compile(rf"(?<![\w-])(?:{letters})(?![\w-])", re.IGNORECASE)


def places(line, chapters):
    """The sections that a line of the index leads to: (page, number, title) of each."""
    term = pattern(line.split("|"))
    found = []
    for order, (page, title, text) in enumerate(chapters):
        uses = len(term.findall(text))
        entitled = bool(term.search(title))
        if entitled or uses:
            found.append((not entitled, -uses, order, page, title))
    # What mentions a term once counts only if nothing says more.
    more = [place for place in found if place[0] is False or place[1] < -1]
    best = sorted(more or found)[:PLACES]
    return [(page, title) for _, _, _, page, title in sorted(best, key=lambda f: f[2])]


class BookIndex(Directive):
    has_content = True

    def run(self):
        env = self.state.document.settings.env
        chapters = []
        for path in sorted(Path(env.srcdir, "chapters").glob("*.ipynb")):
            env.note_dependency(str(path))
            notebook = nbformat.read(path, nbformat.NO_CONVERT)
            chapters += [(path.stem, *section) for section in sections(notebook)]
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
