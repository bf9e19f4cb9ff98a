"""The numbers of the landing page are those of the record and of the chapters."""

import re
from statistics import mean

import nbformat

import cover
from test_book import ROOT, read

INDEX = "chapters/index.md"


def test_the_figure_shows_the_record():
    picture = (ROOT / "_static" / "lenet-curves.png").read_bytes()
    digest = cover.digest(cover.curves())
    assert digest.encode() in picture, "run make cover"


def test_the_figures_digest_changes_with_its_values():
    values = cover.curves()
    before = cover.digest(values)
    values["bn"][4][9] += 0.0001
    assert cover.digest(values) != before


def test_the_figures_alternative_text_has_the_means_over_the_seeds():
    expected = [
        f"{round(mean(run[epoch] for run in runs), 2):g}"
        for runs in cover.curves().values()
        for epoch in (0, -1)
    ]
    (alt,) = re.findall(r"^:alt: (.*)", read(INDEX), re.MULTILINE)
    assert re.findall(r"\d*\.\d+", alt) == expected


def test_the_example_of_a_claim_is_one_that_a_chapter_stored():
    (example,) = re.findall(r"^```text\n(✓ .*?)\n```", read(INDEX), re.DOTALL | re.M)
    sentence, *rest = example.splitlines()
    values = re.split(r"\s{2,}|\n", "\n".join(rest).strip())
    assert len(values) == 3
    book = nbformat.read(ROOT / "chapters" / "02-transform.ipynb", nbformat.NO_CONVERT)
    claims = [
        output.data["text/plain"]
        for cell in book.cells
        for output in cell.get("outputs", [])
        if "text/plain" in output.get("data", {})
    ]
    assert f"{sentence} ({', '.join(values)})" in claims
