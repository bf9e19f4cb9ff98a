"""Makes slides of the chapters, for teaching: reveal.js, by nbconvert, in one folder.

Each chapter is a column: its question, the figures and claims of each section, and what
one can do afterwards. All of it comes from the stored notebooks. Nothing is fetched
when the slides are shown.
"""

import html
import importlib.util
import re
import shutil
from pathlib import Path

import nbformat
from latex2mathml.converter import convert
from nbconvert.exporters import SlidesExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from pygments.formatters import HtmlFormatter

from epub import CONFIG, ROOT, chapters
from outline import LEARNED, RECURRING, sections

SLIDES = ROOT / "_build" / "slides"
ARCHIVE = ROOT / "_build" / "batch-normalization-slides.zip"
TEMPLATE = Path(__file__).with_suffix("")  # the folder beside this script
REVEAL = Path(importlib.util.find_spec("sphinx_revealjs").origin).parent
DEFINITION = re.compile("^(def|class) ", re.MULTILINE)
FULL = 14  # lines of text on a slide, without its heading


def slide(text, kind="subslide"):
    """A cell that begins a slide."""
    return new_markdown_cell(text, metadata={"slideshow": {"slide_type": kind}})


def plain(text):
    """A chapter's Markdown without links and citations, its formulas as MathML."""
    text = re.sub(r"\s*\{cite:\w\}`.*?`", "", text)
    text = re.sub(r"\{eq\}`.*?`", "the formula", text)
    parts = re.split(r"(`+[^`]+`+)", text)
    parts[::2] = [legible(part) for part in parts[::2]]  # code stays as it is
    return "".join(parts)


def legible(text):
    """Markdown without code, its links as their words and its formulas as MathML."""
    text = re.sub(r"(?<!!)\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"^(\$\$.*?\$\$) \(.*?\)$", r"\1", text, flags=re.M | re.S)
    for pattern, display in ((r"\$\$(.+?)\$\$", "block"), (r"\$(.+?)\$", "inline")):
        text = re.sub(
            pattern,
            lambda match, display=display: convert(match[1].strip(), display=display),
            text,
            flags=re.S,
        )
    return text


def opening(text):
    """How a section begins: its first paragraph, and what that announces by a colon."""
    first, _, rest = text.partition("\n\n")
    if first.rstrip().endswith(":"):
        first += "\n\n" + rest.partition("\n\n")[0]
    return plain(first)


def picture(cell):
    """The picture that a cell has stored, as HTML with its caption, or None."""
    mystnb = cell.metadata.get("mystnb", {})
    shown = None
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if "image/png" in data:
            alt = html.escape(mystnb["image"]["alt"])
            source = f"data:image/png;base64,{data['image/png'].strip()}"
            shown = f'<img alt="{alt}" src="{source}">'
        elif data.get("text/html", "").startswith('<div class="bn-figure"'):
            shown = re.sub(r"<script.*?</script>", "", data["text/html"], flags=re.S)
    caption = html.escape(mystnb.get("figure", {}).get("caption", ""))
    return shown and f'{shown}\n<p class="caption">{caption}</p>'


def shows_code(cell):
    """Whether a cell defines something, in the open, in what fits on a slide."""
    hidden = "hide-input" in cell.metadata.get("tags", [])
    fits = height_of_code(cell) <= FULL
    return bool(DEFINITION.search(cell.source)) and fits and not hidden


def height_of_code(cell):
    """In lines of text, which are larger."""
    return 1 + 0.75 * cell.source.count("\n")


def claims(cell):
    outputs = [o.get("data", {}).get("text/html", "") for o in cell.get("outputs", [])]
    return [text for text in outputs if text.startswith('<div class="claim"')]


def lines(text, width):
    """About how many lines of text a paragraph fills, given how many letters fit."""
    return 1 + len(re.sub("<.*?>", "", text)) // width


def items(cells):
    """What is shown of a section, in its order: cells, each with its height in lines.

    These are its opening, the code that defines something, its claims and its pictures.
    """
    text = opening(cells[0].source)
    height = sum(lines(part, 85) + 0.5 for part in text.split("\n\n") if part)
    yield height + 2 * text.count("<mfrac>"), new_markdown_cell(text)
    for cell in cells[1:]:
        if shown := picture(cell):
            yield FULL, new_markdown_cell(shown)
        elif cell.cell_type == "code" and shows_code(cell):
            yield height_of_code(cell), new_code_cell(cell.source)
        for claimed in claims(cell):
            sentence, *values = claimed.split("</p>")[:-1]
            height = lines(sentence, 85) + 0.7 * sum(lines(v, 120) for v in values)
            yield height + 0.5, new_markdown_cell(claimed)


def slides(notebook, part, number):
    """The slides of a chapter: one for its question, then those of its sections."""
    (question, (text, *_)), *rest = sections(notebook)
    place = f'<p class="part">{part} · {number}</p>'
    yield slide(f"{place}\n\n# {question}\n\n{opening(text.source)}", "slide")
    for title, cells in rest:
        head = f"## {plain(title)}"
        if title == LEARNED:
            yield slide(f"{head}\n\n{plain(cells[0].source)}")
        if title in RECURRING:
            continue
        used = FULL
        for height, cell in items(cells):
            used += height
            if used > FULL:
                yield slide(head)
                used = height
            cell.metadata.slideshow = {"slide_type": "-"}  # below what is there
            yield cell


def deck():
    """All slides, as a notebook."""
    title, author = CONFIG["title"], CONFIG["author"]
    cells = [
        slide(f"# {title}\n\n{author}. Space leads on, Esc shows all slides.", "slide")
    ]
    part, number = "", 0
    for name, _, opens in chapters():
        part = opens or part
        path = ROOT / f"{name}.ipynb"
        if path.exists():
            number += 1
            cells += slides(nbformat.read(path, nbformat.NO_CONVERT), part, number)
    made = new_notebook(cells=cells)
    made.metadata.title = title
    return made


def main():
    shutil.rmtree(SLIDES, ignore_errors=True)
    SLIDES.mkdir(parents=True)
    shutil.copytree(
        REVEAL / "_static" / "revealjs",
        SLIDES / "reveal.js",
        ignore=shutil.ignore_patterns("css", "plugin", "*.map", "*.esm.*", "theme"),
    )
    themes = SLIDES / "reveal.js" / "dist" / "theme"
    themes.mkdir()
    colors = HtmlFormatter(style="default").get_style_defs(".highlight")
    style = (TEMPLATE / "book.css").read_text(encoding="utf-8")
    (themes / "book.css").write_text(f"{style}\n{colors}\n", encoding="utf-8")
    shutil.copy(ROOT / "code" / "figures" / "figures.css", SLIDES)
    exporter = SlidesExporter(
        extra_template_basedirs=[str(TEMPLATE.parent)],
        template_name=TEMPLATE.name,
        reveal_url_prefix="reveal.js",
        reveal_theme="book",
        exclude_input_prompt=True,
    )
    page, _ = exporter.from_notebook_node(deck())
    path = SLIDES / "index.html"
    path.write_text(page, encoding="utf-8")
    shutil.make_archive(ARCHIVE.with_suffix(""), "zip", SLIDES.parent, SLIDES.name)
    print(path, ARCHIVE, sep="\n")


if __name__ == "__main__":
    main()
