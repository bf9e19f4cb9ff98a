"""Prints the pages of the EPUB (`tools/epub.py`) as one PDF, by headless Chromium.

The cheat sheet is printed a second time, on a sheet of its own.
"""

import html
import importlib.util
import json
import posixpath
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import NamedTuple

import matplotlib
from playwright.sync_api import sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.generic import Fit

import title_page
from epub import CITATION, CONFIG, PAGES, ROOT, STYLES, chapters
from install_browser import FLAGS, find_chromium
from repository import site

BOOK = ROOT / "_build" / "batch-normalization.pdf"
SHEET = PAGES / "book.html"  # all pages in one
CHEAT_SHEET = ROOT / "_build" / "cheat-sheet.pdf"
XHTML, MATHML = "{http://www.w3.org/1999/xhtml}", "{http://www.w3.org/1998/Math/MathML}"
MATHJAX = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent
DEJAVU = (Path(matplotlib.get_data_path()) / "fonts" / "ttf").as_uri()
# MathJax has set the mathematics, and every font is there.
READY = "MathJax.startup.promise.then(() => document.fonts.ready).then(() => null)"


class Entry(NamedTuple):
    """A line of the table of contents; a chapter has a question, maybe empty."""

    id: str
    title: str
    question: str = None
    part: str = None


def anchor(page, fragment=""):
    """The id on the sheet of a page, or of a place on it."""
    return "-".join(filter(None, [Path(page).stem, fragment]))


def move(page, address):
    """An address on a page as one on the sheet."""
    path, _, fragment = address.partition("#")
    if "://" in address:
        return address
    if path and not path.endswith(".xhtml"):
        return posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
    return "#" + anchor(path or page, fragment)


def on_the_web(page, address):
    """An address on a page as one on the book's site."""
    here = posixpath.join(posixpath.dirname(page), address)
    return site() + posixpath.normpath(here).replace(".xhtml", ".html")


def read(page, move=move):
    """The body of a page, its ids and addresses those of the sheet, formulas in TeX."""
    main = ET.parse(PAGES / page).find(f".//{XHTML}div[@role='main']")
    for element in main.iter():
        if element.tag == f"{MATHML}math":
            inline = element.get("display") == "inline"
            tex, tail = element.get("alttext"), element.tail
            element.clear()
            element.tag, element.attrib = "span", {"class": "tex"}
            element.text, element.tail = (
                rf"\({tex}\)" if inline else rf"\[{tex}\]",
                tail,
            )
        element.tag = element.tag.rpartition("}")[2]
        if "id" in element.attrib:
            element.set("id", anchor(page, element.get("id")))
        for name in {"href", "src"} & element.attrib.keys():
            element.set(name, move(page, element.get(name)))
        if element.tag == "details":
            element.set("open", "")
    return main


def contents(bodies):
    """The entries of the EPUB's table of contents, with what the PDF's has beside."""
    parts = {name: part for name, _, part in chapters()}
    for link in ET.parse(PAGES / "nav.xhtml").iter(f"{XHTML}a"):
        address, title = link.get("href"), link.text
        place, name = move("nav.xhtml", address)[1:], address.removesuffix(".xhtml")
        if name not in parts:
            yield Entry(place, title)
            continue
        heading = bodies[name].find(".//h1")
        question = "".join(heading.itertext())
        number = heading.findtext("span[@class='section-number']", "")
        same = question == title
        yield Entry(
            place, title, "" if same else question.removeprefix(number), parts[name]
        )


def table_of_contents(entries, pages):
    """The table of contents as HTML, given the page of each id."""
    lines = ['<nav class="contents"><h1>Contents</h1><ol>']
    for entry in entries:
        if entry.part:
            lines.append(f'<li class="part">{html.escape(entry.part)}</li>')
        kind = "section" if entry.question is None else "chapter"
        title = f"<b>{html.escape(entry.title)}</b>"
        if entry.question:
            title += f" <i>{html.escape(entry.question)}</i>"
        lines.append(
            f'<li class="{kind}"><a href="#{entry.id}"><span>{title}</span>'
            f'<span class="page">{pages.get(entry.id, 0)}</span></a></li>'
        )
    return "\n".join([*lines, "</ol></nav>"])


def sheet(bodies, entries, pages):
    """The whole book as one HTML page."""
    running_titles = "\n".join(
        f"@page p{entry.id} {{ @top-right {{ content: {json.dumps(entry.title)} }} }}"
        for entry in entries
        if entry.question is not None
    )
    articles = "\n".join(
        f'<article id="{anchor(name)}" style="page: p{anchor(name)}">'
        f"{ET.tostring(body, encoding='unicode', method='html')}</article>"
        for name, body in bodies.items()
    )
    markup = "\n".join(
        [title_page.markup(), table_of_contents(entries, pages), articles]
    )
    return document(CONFIG["title"], markup, "title_page.css", running_titles)


def document(title, markup, style, rules=""):
    """A page as HTML, with what printing needs: fonts, styles and formulas."""
    styles = [PAGES / "_static" / name for name in STYLES]
    styles += [ROOT / "tools" / name for name in ("pdf.css", style)]
    css = "\n".join(path.read_text(encoding="utf-8") for path in styles)
    return f"""<!doctype html>
<html lang="{CONFIG["sphinx"]["config"]["language"]}">
<head><meta charset="utf-8"><title>{html.escape(title)}</title>
<style>{title_page.faces()}
@font-face {{ font-family: "Book Mono"; src: url("{DEJAVU}/DejaVuSansMono.ttf"); }}
@font-face {{ font-family: "Book Symbols"; src: url("{DEJAVU}/DejaVuSans.ttf"); }}
{css}
{rules}</style>
<script>MathJax = {{ options: {{
  ignoreHtmlClass: "body", processHtmlClass: "tex",
  enableMenu: false, enableAssistiveMml: false,
}} }};</script>
<script src="{(MATHJAX / "static/mathjax/tex-chtml.js").as_uri()}"></script>
</head><body>
{markup}
</body></html>"""


def page_numbers(pdf):
    """The page on which each id is that the book refers to."""
    return {
        name.removeprefix("/"): pdf.get_destination_page_number(place) + 1
        for name, place in pdf.named_destinations.items()
    }


def finish(pdf, entries, pages):
    """Write the PDF with bookmarks and with what a library wants to know."""
    # Chromium's own bookmarks garble headings that a line or page break falls into.
    writer, chapter = PdfWriter(BOOK, incremental=True), None
    for entry in entries:
        top = pdf.named_destinations[f"/{entry.id}"].top
        section = entry.question is None
        title = ": ".join(filter(None, [entry.title, entry.question]))
        item = writer.add_outline_item(
            title=title,
            page_number=pages[entry.id] - 1,
            parent=chapter if section else None,
            fit=Fit.xyz(top=top),
            is_open=False,
        )
        chapter = chapter if section else item
    writer.page_mode = "/UseOutlines"
    writer.create_viewer_preferences().display_doctitle = True
    writer.add_metadata(
        {
            "/Title": CONFIG["title"],
            "/Author": CONFIG["author"],
            "/Subject": " ".join(CITATION["abstract"].split()),
            "/Creator": CONFIG["repository"]["url"],
        }
    )
    writer.write(BOOK)


def cheat_sheet():
    """The cheat sheet as an HTML page, whose links lead to the book's site."""
    name = "chapters/cheatsheet"
    body = read(f"{name}.xhtml", on_the_web)
    markup = ET.tostring(body, encoding="unicode", method="html")
    title = f"{CONFIG['title']}: {body.findtext('.//h1')}"
    return document(title, markup, "cheat_sheet.css")


def print_sheet(page, source, text, path):
    """Write HTML beside the pages of the EPUB, and print it."""
    source.write_text(text, encoding="utf-8")
    page.goto(source.as_uri())
    page.evaluate(READY)
    page.pdf(path=path, prefer_css_page_size=True, tagged=True)


def main():
    bodies = {name: read(f"{name}.xhtml") for name, *_ in chapters()}
    entries = list(contents(bodies))
    pages = {}
    chromium = find_chromium()  # starts a Playwright of its own
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(color_scheme="light")
        for _ in range(2):  # the page numbers are known once it is printed
            numbers = pages
            print_sheet(page, SHEET, sheet(bodies, entries, numbers), BOOK)
            pdf = PdfReader(BOOK)
            pages = page_numbers(pdf)
        print_sheet(page, PAGES / "cheat-sheet.html", cheat_sheet(), CHEAT_SHEET)
        browser.close()
    if pages != numbers:
        raise SystemExit("the numbers in the table of contents moved what they count")
    finish(pdf, entries, pages)
    print(BOOK, CHEAT_SHEET, sep="\n")


if __name__ == "__main__":
    main()
