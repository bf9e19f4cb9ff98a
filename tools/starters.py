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
TAGS = ["answer", "check"]
IMPORT = ast.Import | ast.ImportFrom
UNFINISHED = '    raise NotImplementedError("this function is yours to write")'
INTRO = """# Exercises: {title}

These belong to [a chapter]({page}) of the book on batch normalization, which has the
solutions, too. Stars tell the effort: one for minutes, two for a quarter of an hour,
three for an hour or an open end.

Fill in what is left open below *Your answer*, and run the check after it: it prints ✓,
or it stops and says what is wrong. Exercises without a check are for paper."""


def kinds(cell):
    return [tag for tag in cell.metadata.get("tags", []) if tag in TAGS]


def assigned(node):
    """The names that a statement assigns to, in their order."""
    targets = node.targets if isinstance(node, ast.Assign) else []
    parts = [part for target in targets for part in ast.walk(target)]
    return [
        part.id
        for part in parts
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
    ]


def defined(source):
    """The names that a cell's source defines for the cells after it."""
    symbols = symtable(source, "cell", "exec").get_symbols()
    return {s.get_name() for s in symbols if s.is_assigned() or s.is_imported()}


def used(source):
    """The names of the notebook that a cell's source reads, in functions as well."""

    def names(table):
        for symbol in table.get_symbols():
            everywhere = table.get_type() == "module" or symbol.is_global()
            if symbol.is_referenced() and everywhere:
                yield symbol.get_name()
        for inner in table.get_children():
            yield from names(inner)

    return set(names(symtable(source, "cell", "exec"))) - set(dir(builtins))


def needed(cells, wanted):
    """The sources that define the names wanted, and what these need, in their order.

    Cells come whole, but if only imports are needed from one, then these alone.
    """
    imports, found = [], []
    for cell in reversed(cells):
        body = ast.parse(cell.source).body
        lines = [
            ast.unparse(node)
            for node in body
            if isinstance(node, IMPORT) and defined(ast.unparse(node)) & wanted
        ]
        rest = [ast.unparse(node) for node in body if not isinstance(node, IMPORT)]
        if defined("\n".join(rest)) & wanted:
            found.append(cell.source)
            wanted = wanted - defined(cell.source) | used(cell.source)
        else:
            imports += lines[::-1]
            wanted = wanted - defined("\n".join(lines))
    return [*filter(None, ["\n".join(imports[::-1])]), *found[::-1]]


def stub(answer, check):
    """The answer without what is to be found.

    Imports stay. Of what the check uses, functions keep their first lines and their
    docstring, and variables their name.
    """
    lines, wanted = answer.splitlines(), used(check)
    left = ["# Your answer:"]
    for node in ast.parse(answer).body:
        if isinstance(node, IMPORT):
            left += lines[node.lineno - 1 : node.end_lineno]
        elif isinstance(node, ast.FunctionDef) and node.name in wanted:
            start = min([node, *node.decorator_list], key=lambda n: n.lineno).lineno
            documented = ast.get_docstring(node) is not None
            end = node.body[0].end_lineno if documented else node.body[0].lineno - 1
            left += ["", "", *lines[start - 1 : end], UNFINISHED, "", ""]
        else:
            left += [f"{name} = ..." for name in assigned(node) if name in wanted]
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join(left).strip())


def guarded(answer, check):
    """The check, which first tells which names are still to be filled in."""
    names = [name for node in ast.parse(answer).body for name in assigned(node)]
    guards = [
        f'assert {name} is not ..., "{name} is yours to fill in"'
        for name in dict.fromkeys(names)
        if name in used(check)
    ]
    return "\n".join([*guards, check])


def exercises(notebook):
    """The exercises of a chapter: (title, label, text, hint, cells tagged) of each.

    Raises:
        ValueError: cells are tagged that are no answer, or no check, of an exercise.
    """
    text, tagged = [], {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text.append(cell.source)
        elif kinds(cell):
            labels = SOLUTION.findall("\n".join(text))
            tagged.setdefault(labels[-1] if labels else None, []).append(cell)
    found = EXERCISE.findall("\n\n".join(text))
    answers = [(*exercise, tagged.pop(exercise[1], [])) for exercise in found]
    for _, label, _, _, cells in answers:
        if [kind for cell in cells for kind in kinds(cell)] not in ([], TAGS):
            raise ValueError(f"{label}: expected an answer and then a check")
    if tagged:
        raise ValueError(f"cells are tagged that belong to no exercise: {[*tagged]}")
    return answers


def starter(notebook, page):
    """The starter of a chapter, given the address of the chapter's page.

    Raises:
        ValueError: an exercise is not in the form that CONTRIBUTING.md asks for.
    """

    def outside(text):
        """The text of an exercise, for readers who do not have the other chapters."""
        text = re.sub(r"\s*\{cite:\w\}`.*?`", "", text)
        text = re.sub(r"\{eq\}`(.*?)`", rf"[this equation]({page}#equation-\1)", text)
        if role := re.search(r"\{[\w:]+\}`", text):
            raise ValueError(f"{role[0]} in an exercise means nothing outside the book")
        there = page.rsplit("/", 1)[0]
        return re.sub(r"\]\((\d\d-[\w-]+)\.ipynb", rf"]({there}/\1.html", text.strip())

    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    setup, before = code[0].source, [cell for cell in code[1:] if not kinds(cell)]
    questions, wanted = [], set()
    for number, exercise in enumerate(exercises(notebook), start=1):
        title, _, text, hint, cells = exercise
        text = f"## {number}. {title}\n\n{outside(text)}"
        if hint:
            text += f"\n\n<details><summary>Hint</summary>\n\n{outside(hint)}\n\n"
            text += "</details>"
        questions.append(new_markdown_cell(text))
        if cells:
            answer, check = (cell.source for cell in cells)
            both = f"{answer}\n{check}"
            wanted |= used(both) - defined(both)
            for tag, source in zip(
                TAGS, (stub(answer, check), guarded(answer, check)), strict=True
            ):
                questions.append(new_code_cell(source, metadata={"tags": [tag]}))
    title = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
    shared = [new_code_cell(source) for source in needed(before, wanted)]
    if shared:
        shared.insert(0, new_markdown_cell("What the exercises take from the chapter:"))
    made = new_notebook()
    made.cells = [
        new_markdown_cell(INTRO.format(title=title, page=page)),
        new_code_cell(setup, metadata={"tags": ["hide-input"]}),
        *shared,
        *questions,
    ]
    for number, cell in enumerate(made.cells):
        cell.id = f"cell-{number}"  # the same every time
    return tidy(made)


def starters(root=ROOT):
    """The starters of all chapters, by the paths at which they are stored."""
    return {
        root / "starters" / path.name: starter(
            nbformat.read(path, nbformat.NO_CONVERT),
            f"{site(root)}chapters/{path.stem}.html",
        )
        for path in sorted(root.glob("chapters/[0-9][0-9]-*.ipynb"))
    }


def main():
    for path, notebook in starters().items():
        path.parent.mkdir(exist_ok=True)
        write(notebook, path)


if __name__ == "__main__":
    main()
