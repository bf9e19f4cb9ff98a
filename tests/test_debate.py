"""The table of verdicts: it says what the chapter's claims and sections say."""

import re

from test_notebooks import load

NOTEBOOK = "11-debate"
VERDICTS = {"supported", "contradicted", "depends", "undecided"}


def cells(source):
    """The cells of each row of the table in a markdown text, without its header."""
    rows = [line for line in source.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def table():
    (source,) = (
        cell.source for cell in load(NOTEBOOK).cells if "\n|---|" in cell.source
    )
    return cells(source)


def bounds():
    """All bounds of the claims that the chapter stores."""
    stored = "\n".join(
        output.get("data", {}).get("text/plain", "")
        for cell in load(NOTEBOOK).cells
        for output in cell.get("outputs", [])
    )
    value = r"(-?[\d.]+(?:e-?\d+)?)"
    single = re.findall(rf" [<>] {value}", stored)
    double = re.findall(rf" in {value} to {value}", stored)
    return {float(bound) for bound in [*single, *sum(double, ())]}


def measured(text):
    """The numbers in a text, without those of the set-up."""
    text = re.sub(r"rate [\d.]+|\d+ steps", "", text)
    found = re.findall(r"[−-]?\b\d+(?:\.\d+)?(?:e-?\d+)?", text)
    return {float(number.replace("−", "-")) for number in found}


def test_numbers_are_found():
    assert measured("−0.03 to 0.1 after 1000 steps at rate 0.5") == {-0.03, 0.1}
    assert measured("to 1e-9; 9000 times") == {1e-9, 9000}
    assert cells("| a | b |\n|---|---|\n| **c** | |") == [["**c**", ""]]


def test_every_number_in_the_table_is_the_bound_of_a_claim():
    rows = table()
    numbers = set().union(*(measured(what) for _, what, _ in rows))
    assert len(numbers) > 15
    assert numbers <= bounds()


def test_the_table_has_the_verdict_of_every_section():
    text = "\n".join(cell.source for cell in load(NOTEBOOK).cells)
    verdicts = {}
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title = section.splitlines()[0]
        for verdict in re.findall(r"^:::\{admonition\} Verdict: (\w+)$", section, re.M):
            assert title not in verdicts
            verdicts[title] = verdict
    heads = {
        claimed.strip("*"): verdict.strip("*")
        for claimed, what, verdict in table()
        if not what
    }
    assert heads == verdicts
    assert list(heads) == list(verdicts)
    assert len(heads) == 6


def test_every_verdict_is_one_of_four():
    assert {verdict.strip("*") for *_, verdict in table()} == VERDICTS
