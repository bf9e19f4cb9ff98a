"""The numbers of the landing page are those of the record and of the chapters."""

import re

import nbformat

from test_book import ROOT, read

INDEX = "chapters/index.md"


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
