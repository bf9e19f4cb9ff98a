"""The starters: notebooks of exercises that check the answers of who fills them in."""

import shutil

import matplotlib.pyplot as plt
import nbformat
import pytest
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import starters
from test_book import ROOT
from test_notebooks import NOTEBOOKS, code_cells, load


def run(source, namespace):
    exec(compile(source, "cell", "exec"), namespace)


def wrong(value):
    """Another value of the same kind; None for what has no other."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float | torch.Tensor):
        return 2 * value + 1
    if isinstance(value, str):
        return value + "?"
    if isinstance(value, list | tuple | set) and value:
        kind = type(value)
        return kind(wrong(v) for v in value)
    return None


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_check_fails_before_and_for_wrong_answers_and_passes_with_the_solution(
    name, monkeypatch
):
    monkeypatch.setenv("TRY_GPU", "0")
    monkeypatch.setattr(plt, "show", plt.close)
    namespace = {"plt": plt}
    solved = [e.cells for e in starters.exercises(load(name)) if e.cells]
    # What is stored is what the chapters give: see test_notebooks.py.
    stored = nbformat.read(ROOT / "starters" / f"{name}.ipynb", nbformat.NO_CONVERT)
    code = code_cells(stored)
    setup, *given = [cell for cell in code if not starters.role(cell)]
    assert setup.source == code_cells(load(name))[0].source
    for cell in given:
        run(cell.source, namespace)
    stubs = [cell.source for cell in code if starters.role(cell) == "answer"]
    guarded = [cell.source for cell in code if starters.role(cell) == "check"]
    for stub, guard, (answer, check) in zip(stubs, guarded, solved, strict=True):
        run(stub, namespace)
        with pytest.raises((AssertionError, NotImplementedError)):
            run(guard, namespace)
        run(answer.source, namespace)
        right = {n: namespace[n] for n in starters.open_names(answer.source, guard)}
        for key, value in right.items():
            if (other := wrong(value)) is not None:
                with pytest.raises(Exception):  # noqa: B017, as wrong types raise others
                    run(check.source, namespace | {key: other})
        run(guard, namespace)


EXERCISE = """:::{exercise} ★ A sum
:label: ex-sum

Add 1 and `two` in {eq}`eq-b`, after
[the transform](02-transform.ipynb) {cite:p}`ioffe2015batch`.
:::

:::{hint}
:class: dropdown
See [there](02-transform.ipynb#exercises).
:::

:::{solution-start} ex-sum
:class: dropdown
:::"""


def small_chapter(*code, exercise=EXERCISE):
    cells = [
        new_markdown_cell("# How much is it?"),
        new_code_cell("setup = 1"),
        new_code_cell("unused = 5"),
        new_code_cell("one = 1\nassert one"),
        new_code_cell("two = one + one"),
        new_markdown_cell(exercise),
        *(
            new_code_cell(source, metadata={"tags": [tag]} if tag else {})
            for tag, source in code
        ),
        new_markdown_cell(":::{solution-end}\n:::"),
    ]
    return new_notebook(cells=cells)


ANSWER = '''import math


def add(a, b=1):
    """The sum of a and b."""
    return a + b


def helper():
    pass


three = add(two)
hidden = 7'''
STUB = '''# Your answer:
import math


def add(a, b=1):
    """The sum of a and b."""
    raise NotImplementedError('add is yours to write')


three = ...'''
CHECK = "assert add(1, 2) == three == 3"


def test_a_starter_has_what_is_needed_and_not_the_answer():
    made = starters.starter(
        small_chapter(("answer", ANSWER), ("check", CHECK)), "https://a.b/chapters/c"
    )
    title, setup, _, one, two, exercise, stub, check = made.cells
    assert title.source.startswith("# Exercises: How much is it?")
    assert "https://a.b/chapters/c" in title.source
    assert [setup.source, one.source, two.source] == [
        "setup = 1",
        "one = 1\nassert one",
        "two = one + one",
    ]
    assert exercise.source == (
        "## 1. ★ A sum\n\nAdd 1 and `two` in "
        "[this equation](https://a.b/chapters/c#equation-eq-b), after\n"
        "[the transform](https://a.b/chapters/02-transform.html).\n\n"
        "<details><summary>Hint</summary>\n\n"
        "See [there](https://a.b/chapters/02-transform.html#exercises).\n\n</details>"
    )
    assert stub.source == STUB
    assert check.source == (
        'assert three is not ..., "three is yours to fill in"\n' + CHECK
    )


def test_exercises_without_a_check_are_for_paper():
    made = starters.starter(small_chapter(("", "print(3)")), "https://a.b/c")
    assert [cell.cell_type for cell in made.cells] == ["markdown", "code", "markdown"]


@pytest.mark.parametrize(
    "code, exercise, problem",
    [
        ([("answer", ANSWER)], EXERCISE, "ex-sum: expected an answer and then a check"),
        ([("check", CHECK), ("answer", ANSWER)], EXERCISE, "expected an answer"),
        ([("answer", ANSWER), ("check", CHECK)], "Text", "belong to no exercise"),
        ([], EXERCISE.replace("{cite:p}", "{ref}"), "nothing outside the book"),
        ([], EXERCISE.replace("02-transform.ipynb", "glossary.md"), "nothing outside"),
        ([("answer", "n: int = 3"), ("check", "assert n == 3")], EXERCISE, "no stub"),
        ([("answer", "a = 1"), ("check", "assert a == b")], EXERCISE, "defines .'b'"),
    ],
)
def test_what_is_in_another_form_is_refused(code, exercise, problem):
    with pytest.raises(ValueError, match=problem):
        starters.starter(small_chapter(*code, exercise=exercise), "https://a.b/c")


def test_the_starters_can_be_made_anew(tmp_path):
    for part in ("chapters", "_config.yml"):
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, tmp_path / part)
    (tmp_path / "starters").mkdir()
    (tmp_path / "starters" / "99-gone.ipynb").touch()
    starters.main(tmp_path)
    assert not (tmp_path / "starters" / "99-gone.ipynb").exists()
    for path in (tmp_path / "starters").iterdir():
        assert path.read_bytes() == (ROOT / "starters" / path.name).read_bytes()
