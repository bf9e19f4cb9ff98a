"""The index: its entries lead to sections that speak of the term."""

import re

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import term_index
from test_book import read
from test_notebooks import NOTEBOOKS

PAGE = read("chapters/terms.md")
LINES = re.search(r"```\{book-index\}\n(.*?)```", PAGE, re.DOTALL)[1].splitlines()
SECTIONS = [
    (name, *section)
    for name, path in NOTEBOOKS.items()
    for section in term_index.texts(nbformat.read(path, nbformat.NO_CONVERT))
]


@pytest.mark.parametrize(
    "term, place",
    {
        "batch-mates": ("05-prediction", "Your batch-mates change your answer"),
        "condition": ("01-motivation", "Two numbers on very different scales"),
        "dropout": ("05-prediction", "Like dropout, unlike dropout"),
        "fold": ("09-cost", "The cheapest layer is none"),
        "Keras": ("15-conventions", "One step, three answers"),
        "weight decay": ("14-clinic", "Weight decay on the scale"),
    }.items(),
)
def test_a_term_leads_to_where_it_is_explained(term, place):
    [line] = [line for line in LINES if line.startswith(term)]
    assert place in term_index.places(line, SECTIONS)


def test_the_links_of_the_index_lead_to_headings(site):
    body = (site / "chapters" / "terms.html").read_text(encoding="utf-8")
    links = BeautifulSoup(body, "html.parser").select("article .index a")
    assert len(links) > 2 * len(LINES)
    for address in (link["href"] for link in links):
        page, _, anchor = address.partition("#")
        target = (site / "chapters" / page).read_text(encoding="utf-8")
        assert not anchor or f'<section id="{anchor}"' in target, address


def test_a_term_is_sought_in_the_texts_below_titles():
    cells = [
        new_markdown_cell("# Why?\n\nA net.\n\n## Nets\n\nNets and a net."),
        new_code_cell("net = 1"),
        new_markdown_cell("Networks.\n\n## Exercises\n\nA net."),
    ]
    found = list(term_index.texts(new_notebook(cells=cells)))
    assert [title for title, _ in found] == ["Why?", "Nets"]
    chapters = [("01-a", *section) for section in found]
    assert term_index.places("net", chapters) == [("01-a", "Why?"), ("01-a", "Nets")]
    assert term_index.places("net", 5 * chapters) == 4 * [("01-a", "Nets")]
    assert term_index.places("a net", chapters) == [("01-a", "Why?"), ("01-a", "Nets")]
    assert term_index.places("work | networks", chapters) == [("01-a", "Nets")]
    assert term_index.places("work", chapters) == []
