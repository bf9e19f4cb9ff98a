"""The index: its entries lead to sections that speak of the term."""

import re
from html.parser import HTMLParser

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import term_index
from test_book import read
from test_notebooks import NOTEBOOKS

PAGE = read("chapters/terms.md")
LINES = re.search(r"```\{book-index\}\n(.*?)```", PAGE, re.DOTALL)[1].splitlines()
SECTIONS = [
    (name, *section)
    for name, path in NOTEBOOKS.items()
    for section in term_index.sections(nbformat.read(path, nbformat.NO_CONVERT))
]


class Links(HTMLParser):
    """The addresses and the texts of a page's links to chapters."""

    def __init__(self):
        super().__init__()
        self.found, self.inside = [], False

    def handle_starttag(self, tag, attributes):
        address = dict(attributes).get("href", "")
        self.inside = tag == "a" and re.match(r"\d\d-[\w-]+\.html", address)
        if self.inside:
            self.found.append((address, ""))

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            address, text = self.found[-1]
            self.found[-1] = address, text + data


@pytest.mark.parametrize("line", LINES)
def test_every_term_has_a_place(line):
    places = term_index.places(line, SECTIONS)
    assert 1 <= len(places) <= term_index.PLACES
    texts = {(name, title): f"{title}\n{text}" for name, title, text in SECTIONS}
    forms = [form.strip().lower() for form in line.split("|")]
    for place in places:
        assert any(form in texts[place].lower() for form in forms)


def test_the_links_of_the_index_lead_to_headings(site):
    links = Links()
    body = (site / "chapters" / "terms.html").read_text(encoding="utf-8")
    links.feed(body.split("<article", 1)[1].split("</article", 1)[0])
    assert len(links.found) > 2 * len(LINES)
    for address, _ in links.found:
        page, _, anchor = address.partition("#")
        target = (site / "chapters" / page).read_text(encoding="utf-8")
        assert not anchor or f'<section id="{anchor}"' in target, address


def test_sections_are_text_below_titles():
    cells = [
        new_markdown_cell("# Why?\n\nA net.\n\n## Nets\n\nNets and a net."),
        new_code_cell("net = 1"),
        new_markdown_cell("Networks.\n\n## Exercises\n\nA net."),
    ]
    found = term_index.sections(new_notebook(cells=cells))
    assert [title for title, _ in found] == ["Why?", "Nets"]
    chapters = [("01-a", *section) for section in found]
    assert term_index.places("net", chapters) == [("01-a", "Nets")]
    assert term_index.places("a net", chapters) == [("01-a", "Why?"), ("01-a", "Nets")]
    assert term_index.places("work | networks", chapters) == [("01-a", "Nets")]
    assert term_index.places("work", chapters) == []
