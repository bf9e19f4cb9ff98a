"""Sphinx extension: the directive `book-claims` lists every claim of the book.

It reads the stored outputs of the notebooks and, for the range of values over seeds,
the record of `measurements/claims_over_seeds.py`.
"""

import sys
from pathlib import Path

import nbformat
from docutils import nodes
from docutils.parsers.rst import Directive

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "code"))

from claims import stored_claims
from records import read_record


def spread(runs, claim, name):
    """What the record says about a value of a claim: its range over the seeds."""
    found = [run["claims"].get(claim.sentence, {}).get(name) for run in runs]
    found = [v if isinstance(v, list) else [v] for v in found if v is not None]
    if not found:
        return ""
    low, high = min(map(min, found)), max(map(max, found))
    text = f"{low:.3g} to {high:.3g}" if low < high else f"always {low:.3g}"
    return f"; {len(found)} seeds: {text}"


def item(claim, address, runs):
    """A claim as an entry of a list: the sentence, and what has bounds."""
    link = nodes.reference("", claim.sentence, refuri=f"{address}#{claim.anchor}")
    lines = [nodes.paragraph("", "", link)]
    bounded = {name: m for name, m in claim.measured.items() if m.bounded}
    for name, measured in bounded.items():
        text = f" {measured}, margin {measured.margin:.3g}{spread(runs, claim, name)}"
        lines.append(nodes.paragraph("", "", nodes.strong("", name), nodes.Text(text)))
    if not bounded:
        lines.append(nodes.paragraph("", "exact: true or false"))
    return nodes.list_item("", *lines)


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
            title = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
            section = nodes.section(ids=[f"claims-{path.stem}"])
            link = nodes.reference("", title, refuri=address)
            section += nodes.title("", "", link)
            items = [item(claim, address, runs) for claim in found]
            section += nodes.bullet_list("", *items, classes=["claims"])
            sections.append(section)
        bounded = sum(any(m.bounded for m in c.measured.values()) for c in claims)
        text = (
            f"There are {len(claims)} claims: {bounded} about measured values, which "
            f"have bounds, and {len(claims) - bounded} that are exact."
        )
        return [nodes.paragraph("", text), *sections]


def setup(app):
    app.add_directive("book-claims", BookClaims)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
