"""The bug clinic: every case has the same shape, is short, and stands alone."""

import ast
import re

import pytest
from mdit_py_plugins.anchors.index import slugify

from test_notebooks import code_cells, load, tags

BOOK = load("14-clinic")
PARTS = "Symptom", "Cause", "Fix", "A test that would have caught it"


def cases():
    """The cells of each case, by its title, and before them those that all share."""
    found = {None: []}
    title = None
    for cell in BOOK.cells:
        if cell.cell_type == "markdown" and (new := re.match("## (.*)", cell.source)):
            title = new[1]
        found.setdefault(title, []).append(cell)
    return found


SECTIONS = cases()
START, END = "What do you see?", "Check yourself"
NAMES = list(SECTIONS)[2 : list(SECTIONS).index(END)]


def text(cells):
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def code(cells):
    """The sources that a reader sees, without those that draw a figure."""
    shown = [cell for cell in cells if "hide-input" not in tags(cell)]
    return [cell.source for cell in shown if cell.cell_type == "code"]


def lines_of_code(source):
    """Lines other than imports, claims and blank ones."""
    lines = source.splitlines()
    left = set(range(1, len(lines) + 1))
    for node in ast.walk(ast.parse(source)):
        call = getattr(getattr(node, "value", None), "func", None)
        claim = isinstance(node, ast.Expr) and getattr(call, "id", "") == "claim"
        if claim or isinstance(node, (ast.Import, ast.ImportFrom)):
            left -= set(range(node.lineno, node.end_lineno + 1))
    return sum(bool(lines[k - 1].strip()) for k in left)


def test_there_are_at_least_twelve_cases():
    assert list(SECTIONS)[1] == START
    assert len(NAMES) >= 12


def test_the_tables_of_symptoms_lead_to_every_case():
    links = re.findall(r"\| \[(.*)\]\(#(.*)\) \|", text(SECTIONS[START]))
    assert [title for title, _ in links] == NAMES
    assert all(slugify(title) == anchor for title, anchor in links)


@pytest.mark.parametrize("name", NAMES)
def test_a_case_has_all_parts_in_order(name):
    assert tuple(re.findall(r"\*\*([^*]*?)\.?\*\*", text(SECTIONS[name]))) == PARTS


@pytest.mark.parametrize("name", NAMES)
def test_ten_lines_reproduce_the_symptom(name):
    cells = SECTIONS[name]
    starts = [k for k, cell in enumerate(cells) if "**Cause.**" in cell.source]
    sources = code(cells[: starts[0]])
    assert 1 <= sum(map(lines_of_code, sources)) <= 10
    assert "claim(" in sources[-1]


@pytest.mark.parametrize("name", NAMES)
def test_fix_and_test_are_claimed(name):
    *_, fix, test = code(SECTIONS[name])
    assert "claim(" in fix
    assert "catches(" in test


@pytest.fixture(scope="module")
def shared():
    """What the cells at the beginning define; the first one only finds the code."""
    namespace = {}
    for source in code(SECTIONS[START]):
        exec(source, namespace)
    return namespace


@pytest.mark.parametrize("name", NAMES)
def test_a_case_runs_without_the_others(name, shared):
    namespace = dict(shared)
    for source in code(SECTIONS[name]):
        exec(source, namespace)


def test_the_setup_is_before_all_sections():
    assert SECTIONS[None][1] is code_cells(BOOK)[0]


def test_the_modules_have_the_indices_that_the_text_names(shared):
    kinds = [type(module).__name__ for module in shared["trained"]]
    assert kinds == ["Flatten", *3 * ["Linear", "BatchNorm", "ReLU"], "Linear"]
    assert "1, 4 and 7 are linear,\n2, 5 and 8 are batch norm" in text(SECTIONS[START])
