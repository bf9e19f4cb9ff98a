"""The page of questions: each answer is short and leads to a place that checks it."""

import re

import pytest
from mdit_py_plugins.anchors.index import slugify

from outline import sections
from test_book import read
from test_notebooks import NOTEBOOKS, load

PAGE = read("chapters/questions.md")
QUESTIONS = dict(re.findall(r"^## (.+)\n\n((?:(?!##).*\n)+)", PAGE, re.MULTILINE))
LINK = re.compile(r"\]\((\d\d-[a-z-]+)\.ipynb#([\w-]+)\)")


def claims_by_section(book):
    """How many claims each section of a notebook has stored, by the section's slug."""
    return {
        slugify(title): sum(
            "✓ " in output.get("data", {}).get("text/plain", "")
            for cell in cells
            for output in cell.get("outputs", [])
        )
        for title, cells in sections(book)
    }


CLAIMS = {name: claims_by_section(load(name)) for name in NOTEBOOKS}


def test_there_are_the_questions_of_the_forums():
    assert len(QUESTIONS) >= 13
    assert len(QUESTIONS) == PAGE.count("\n## ")
    assert all(question.endswith("?") for question in QUESTIONS)


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_answer_leads_to_a_section_with_a_claim(question):
    links = LINK.findall(QUESTIONS[question])
    assert links
    for chapter, section in links:
        assert CLAIMS[chapter].get(section), f"no claim in {chapter}#{section}"


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_answer_has_one_to_four_sentences(question):
    text = re.sub(r"\]\([^)]*\)", "", QUESTIONS[question])
    assert 1 <= len(re.findall(r"[.!?](?=\s|$)", text)) <= 4
