"""Sphinx extension: the directive `book-claims` lists every claim of the book.

It reads the stored outputs of the notebooks and, for the range of values over seeds,
the record of `measurements/claims_over_seeds.py`.
"""

import math
import sys
from pathlib import Path

import nbformat
from docutils import nodes
from docutils.parsers.rst import Directive

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "code"))

from claims import stored_claims
from records import read_record

WIDTH = 200  # of a drawing, in px


def strip(values, measured):
    """A drawing of values, one dot each, and of the region that they must avoid."""
    bounds = [b for b in (measured.low, measured.high) if b is not None]
    ends = [*values, *bounds]
    logarithmic = min(ends) > 0 and max(ends) > 50 * min(ends)
    scale = math.log if logarithmic else float
    low, high = (scale(end(ends)) for end in (min, max))
    room = 0.1 * (high - low) or 1

    def x(value):
        return round(WIDTH * (scale(value) - low + room) / (high - low + 2 * room), 1)

    dots = "".join(f'<circle cx="{x(v)}" cy="7" r="3.5"/>' for v in values)
    out = []
    if measured.low is not None:
        out.append((0, x(measured.low)))
    if measured.high is not None:
        out.append((x(measured.high), WIDTH))
    rects = "".join(
        f'<rect x="{start}" width="{end - start:.1f}" height="14"/>'
        for start, end in out
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} 14" '
        f'width="{WIDTH}" height="14" '
        f'aria-hidden="true">{rects}<path d="M0 7H{WIDTH}"/>{dots}</svg>'
    )


def seen(runs, claim, name):
    """All values of a bounded quantity in the record, and in how many runs."""
    found = [run["claims"].get(claim.sentence, {}).get(name) for run in runs]
    found = [v if isinstance(v, list) else [v] for v in found if v is not None]
    return [value for values in found for value in values], len(found)


def line(claim, name, runs):
    """What was measured under a name, its margin, and its range over the seeds."""
    measured = claim.measured[name]
    text = f" {measured}, margin {measured.margin:.3g}"
    values, seeds = seen(runs, claim, name)
    paragraph = nodes.paragraph("", "", nodes.strong("", name))
    paragraph += nodes.Text(text)
    if values:
        low, high = min(values), max(values)
        span = f"{low:.3g} to {high:.3g}" if low < high else f"always {low:.3g}"
        paragraph += nodes.Text(f"; {seeds} seeds: {span} ")
        paragraph += nodes.raw("", strip(values, measured), format="html")
    return paragraph


def item(claim, address, runs):
    """A claim as an entry of a list: the sentence, and what has bounds."""
    link = nodes.reference(
        "", claim.sentence, refuri=f"{address}#{claim.anchor}", internal=True
    )
    bounded = [name for name, m in claim.measured.items() if m.bounded]
    lines = [line(claim, name, runs) for name in bounded]
    exact = nodes.paragraph("", "true or false, without a bound")
    return nodes.list_item("", nodes.paragraph("", "", link), *(lines or [exact]))


class BookClaims(Directive):
    """A section for each chapter, with all its claims."""

    def run(self):
        env = self.state.document.settings.env
        record = read_record("claims_over_seeds", default={"runs": {}})
        sections, claims = [], []
        for path in sorted(Path(env.srcdir, "chapters").glob("*.ipynb")):
            env.note_dependency(str(path))
            notebook = nbformat.read(path, nbformat.NO_CONVERT)
            runs = [
                v for k, v in record["runs"].items() if k.startswith(f"{path.stem} ")
            ]
            page = f"chapters/{path.stem}"
            address = env.app.builder.get_relative_uri(env.docname, page)
            found = list(stored_claims(notebook))
            claims += found
            question = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
            title = f"{int(path.stem[:2])}. {question}"
            section = nodes.section(ids=[f"claims-{path.stem}"])
            link = nodes.reference("", title, refuri=address, internal=True)
            section += nodes.title("", "", link)
            items = [item(claim, address, runs) for claim in found]
            section += nodes.bullet_list("", *items, classes=["claims"])
            sections.append(section)
        bounded = sum(any(m.bounded for m in c.measured.values()) for c in claims)
        text = (
            f"There are {len(claims)} claims: {bounded} about values that must keep "
            f"a bound, and {len(claims) - bounded} that are true or false without one."
        )
        return [nodes.paragraph("", text), *sections]


def setup(app):
    app.add_directive("book-claims", BookClaims)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
