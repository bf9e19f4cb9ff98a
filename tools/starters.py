"""Make a starter of each chapter: its exercises, with the answers left out.

    python tools/starters.py

Writes `starters/NN-name.ipynb` for every chapter: the chapter's setup, the cells that
the exercises build on, and each exercise with its hint. Of a solution, the cell tagged
`answer` becomes a stub, in which functions keep their first lines and names are set to
`...`. The cell tagged `check` follows: it fails until the stub is filled in, and then
says whether the answer is right. Exercises without such cells are for paper.
"""

import ast
import builtins
import re
from pathlib import Path
from symtable import symtable
from typing import NamedTuple

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from repository import site
from tidy import tidy, write

ROOT = Path(__file__).resolve().parent.parent
EXERCISE = re.compile(
    r"^:::\{exercise\} *([^\n]*)\n:label: (\S+)\n(.*?)^:::$"
    r"(?:\s+^:::\{hint\}\n(?::class:[^\n]*\n)?(.*?)^:::$)?",
    re.MULTILINE | re.DOTALL,
)
SOLUTION = re.compile(r"^:::\{solution(?:-start)?\} (\S+)$", re.MULTILINE)
ROLES = ["answer", "check"]
IMPORT = ast.Import | ast.ImportFrom
UNFINISHED = 'raise NotImplementedError("{} is yours to write")'
INTRO = """# Exercises: {title}

These belong to [a chapter]({page}) of the book on batch normalization, which has the
solutions, too. Stars tell the effort: one for minutes, two for a quarter of an hour,
three for an hour or an open end.

Fill in what is left open below *Your answer*, and run the check after it: it prints ✓,
or it stops and says what is wrong. Exercises without a check are for paper."""


class Exercise(NamedTuple):
    """An exercise; one for paper has no cells, others have an answer and a check."""

    title: str
    label: str
    text: str
    hint: str
    cells: list


def role(cell):
    """Whether a cell is an answer or a check; None if it is neither."""
    return next((tag for tag in cell.metadata.get("tags", []) if tag in ROLES), None)


def defined(source):
    """The names that source defines for what comes after it."""
    symbols = symtable(source, "cell", "exec").get_symbols()
    return {s.get_name() for s in symbols if s.is_assigned() or s.is_imported()}


def read(source):
    """The names of the notebook that source reads, in functions as well."""

    def names(table):
        for symbol in table.get_symbols():
            everywhere = table.get_type() == "module" or symbol.is_global()
            if symbol.is_referenced() and everywhere:
                yield symbol.get_name()
        for inner in table.get_children():
            yield from names(inner)

    return set(names(symtable(source, "cell", "exec")))


def used(source):
    """The names that source reads before it defines them, but for Python's own."""
    found, here = set(), set(dir(builtins))
    for node in ast.parse(source).body:
        statement = ast.unparse(node)
        # An assignment reads before it defines; of a loop or a function it is its own.
        own = set() if isinstance(node, ast.Assign) else defined(statement)
        if isinstance(node, ast.AugAssign):
            found |= defined(statement) - here
        found |= read(statement) - here - own
        here |= defined(statement)
    return found


def needed(cells, wanted):
    """The sources that define the names wanted, and what these need, in their order.

    Cells come whole, but if only imports are needed from one, then these alone.

    Raises:
        ValueError: no cell defines a name.
    """
    imports, found = [], []
    for cell in reversed(cells):
        body = ast.parse(cell.source).body
        lines = [ast.unparse(node) for node in body if isinstance(node, IMPORT)]
        lines = [line for line in lines if defined(line) & wanted]
        rest = [ast.unparse(node) for node in body if not isinstance(node, IMPORT)]
        if defined("\n".join(rest)) & wanted:
            found.append(cell.source)
            wanted = wanted - defined(cell.source) | used(cell.source)
        else:
            imports += lines[::-1]
            wanted = wanted - defined("\n".join(lines))
    if wanted:
        raise ValueError(f"no cell before the exercises defines {sorted(wanted)}")
    return [*filter(None, ["\n".join(imports[::-1])]), *found[::-1]]


def open_names(answer, check):
    """The variables that an answer assigns and its check reads, in their order."""
    assignments = [n for n in ast.parse(answer).body if isinstance(n, ast.Assign)]
    parts = [part for node in assignments for part in ast.walk(node)]
    names = [
        part.id
        for part in parts
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
    ]
    wanted = defined(answer) & read(check)  # not the variables of a comprehension
    return [name for name in dict.fromkeys(names) if name in wanted]


def stub(answer, check):
    """The answer without what is to be found.

    Imports stay. Of what the check uses, functions keep their first lines and their
    docstring, and variables their name.

    Raises:
        ValueError: the check uses what is neither a function nor a plain variable.
    """
    wanted, imports, functions = read(check), [], []
    for node in ast.parse(answer).body:
        if isinstance(node, IMPORT):
            imports.append(ast.unparse(node))
        elif isinstance(node, ast.FunctionDef) and node.name in wanted:
            first = node.body[:1] if ast.get_docstring(node) is not None else []
            node.body = [*first, *ast.parse(UNFINISHED.format(node.name)).body]
            functions.append(ast.unparse(node))
    variables = [f"{name} = ..." for name in open_names(answer, check)]
    parts = ["\n".join(["# Your answer:", *imports]), *functions, "\n".join(variables)]
    if not functions:
        parts = ["\n".join(filter(None, parts))]
    made = "\n\n\n".join(filter(None, parts))
    if lost := wanted & defined(answer) - defined(made):
        raise ValueError(f"no stub can be made for {sorted(lost)}")
    return made


def guarded(answer, check):
    """The check, which first tells which names are still to be filled in."""
    guards = [
        f'assert {name} is not ..., "{name} is yours to fill in"'
        for name in open_names(answer, check)
    ]
    return "\n".join([*guards, check])


def exercises(notebook):
    """The exercises of a chapter.

    Raises:
        ValueError: cells are tagged that are no answer, or no check, of an exercise.
    """
    text, tagged = [], {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text.append(cell.source)
        elif role(cell):
            labels = SOLUTION.findall("\n".join(text))
            tagged.setdefault(labels[-1] if labels else None, []).append(cell)
    found = EXERCISE.findall("\n\n".join(text))
    answers = [Exercise(*texts, tagged.pop(texts[1], [])) for texts in found]
    for exercise in answers:
        if [role(cell) for cell in exercise.cells] not in ([], ROLES):
            raise ValueError(f"{exercise.label}: expected an answer and then a check")
    if tagged:
        raise ValueError(f"cells are tagged that belong to no exercise: {[*tagged]}")
    return answers


def outside(text, page):
    """The text of an exercise, for readers who have nothing of the book but this.

    Raises:
        ValueError: it has what means nothing there.
    """
    text = re.sub(r"\s*\{cite:p\}`.*?`", "", text.strip())
    text = re.sub(r"\{eq\}`(.*?)`", rf"[this equation]({page}#equation-\1)", text)
    there = page.rpartition("/")[0]
    text = re.sub(r"\]\((\d\d-[\w-]+)\.ipynb", rf"]({there}/\1.html", text)
    if strange := re.search(
        r"\{[\w:]+\}`|^(`|:){3,}\{|\]\((?!https)", text, re.MULTILINE
    ):
        raise ValueError(f"{strange[0]} in an exercise means nothing outside the book")
    return text


def starter(notebook, page):
    """The starter of a chapter, given the address of the chapter's page.

    Raises:
        ValueError: an exercise is not in the form that CONTRIBUTING.md asks for.
    """
    setup, *code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    questions, wanted = [], set()
    for number, exercise in enumerate(exercises(notebook), start=1):
        text = f"## {number}. {exercise.title}\n\n{outside(exercise.text, page)}"
        if exercise.hint:
            hint = outside(exercise.hint, page)
            text += f"\n\n<details><summary>Hint</summary>\n\n{hint}\n\n</details>"
        questions.append(new_markdown_cell(text))
        if exercise.cells:
            answer, check = (cell.source for cell in exercise.cells)
            wanted |= used(f"{answer}\n{check}")
            made = stub(answer, check), guarded(answer, check)
            questions += [
                new_code_cell(source, metadata={"tags": [tag]})
                for tag, source in zip(ROLES, made, strict=True)
            ]
    before = [cell for cell in code if not role(cell)]
    shared = needed(before, wanted - defined(setup.source))
    shared = [new_code_cell(source) for source in shared]
    if shared:
        shared.insert(0, new_markdown_cell("What the exercises take from the chapter:"))
    title = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
    made = new_notebook()
    made.cells = [
        new_markdown_cell(INTRO.format(title=title, page=page)),
        new_code_cell(setup.source, metadata={"tags": ["hide-input"]}),
        *shared,
        *questions,
    ]
    for number, cell in enumerate(made.cells):
        cell.id = f"cell-{number}"  # the same every time
    return tidy(made)


def starters(root):
    """The starters of all chapters, by the paths at which they are stored."""
    return {
        root / "starters" / path.name: starter(
            nbformat.read(path, nbformat.NO_CONVERT),
            f"{site(root)}chapters/{path.stem}.html",
        )
        for path in sorted(root.glob("chapters/[0-9][0-9]-*.ipynb"))
    }


def main(root=ROOT):
    made = starters(root)
    (root / "starters").mkdir(exist_ok=True)
    for path in root.glob("starters/*.ipynb"):
        if path not in made:
            path.unlink()
    for path, notebook in made.items():
        write(notebook, path)


if __name__ == "__main__":
    main()
