"""House rules for the notebooks: each rule is a function, each notebook obeys it."""

import ast
import copy
import json
import re
from statistics import median

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from starters import SOLUTION, exercises, starters
from test_book import BRANCH, ROOT, URL, private_paths
from tidy import METADATA, OF_A_CELL

NOTEBOOKS = {path.stem: path for path in sorted(ROOT.glob("chapters/*.ipynb"))}
WORDS_PER_LINE = (3, 15)  # of prose for each line of code; the aim is 5 to 10
RULES = []


def rule(check):
    """Register a function that yields what it finds wrong with a notebook."""
    RULES.append(check)
    return check


def load(name):
    text = NOTEBOOKS[name].read_text(encoding="utf-8")
    return nbformat.reads(text, nbformat.NO_CONVERT)


def code_cells(book):
    return [cell for cell in book.cells if cell.cell_type == "code"]


def prose(book):
    """Return the text of the markdown cells without fences, mathematics, options."""
    text = "\n".join(c.source for c in book.cells if c.cell_type == "markdown")
    return re.sub(
        r"\$\$.*?\$\$(?: *\(.*?\))?|\$[^$\n]*\$|^ *[`:]{3}[^\n]*$|^ *:\w+:[^\n]*$",
        "",
        text,
        flags=re.DOTALL | re.MULTILINE,
    )


def code_lines(cell):
    """Return the lines that are not blank."""
    return [line for line in cell.source.splitlines() if line.strip()]


def tags(cell):
    return cell.metadata.get("tags", [])


def outputs(book):
    return [(cell, output) for cell in code_cells(book) for output in cell.outputs]


def is_picture(output):
    return any(kind.startswith("image/") for kind in output.get("data", {}))


@rule
def is_valid_nbformat_4_5(book):
    if (book.nbformat, book.nbformat_minor) != (4, 5):
        yield f"is nbformat {book.nbformat}.{book.nbformat_minor}"
    try:
        nbformat.validate(copy.deepcopy(book))  # some versions repair what they get
    except (nbformat.ValidationError, Warning) as error:
        yield str(error)


@rule
def has_unique_cell_ids(book):
    ids = [cell.id for cell in book.cells]
    yield from (f"cell {i} is there twice" for i in set(ids) if ids.count(i) > 1)


def claimed(source):
    """Return a pattern for the sentence of each claim in a cell."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "claim":
            sentence = node.args[0]
            parts = getattr(sentence, "values", [sentence])  # of an f-string
            yield "".join(
                re.escape(part.value) if isinstance(part, ast.Constant) else ".*"
                for part in parts
            )


@rule
def stores_only_claims_that_its_cells_make(book):
    # nbval does not compare the outputs of the cells that it is told to ignore.
    for cell in code_cells(book):
        patterns = list(claimed(cell.source))
        stored = [
            text.removeprefix("✓ ")
            for output in cell.outputs
            if (text := output.get("data", {}).get("text/plain", "")).startswith("✓ ")
        ]
        if len(stored) < len(patterns):
            yield f"cell {cell.id} makes claims that are not stored"
        for text in stored:
            if not any(re.match(rf"{pattern}(?: \(|$)", text) for pattern in patterns):
                yield f"cell {cell.id} does not claim: {text}"


@rule
def starts_with_its_only_title(book):
    if not book.cells[0].source.startswith("# ") or book.cells[0].cell_type == "code":
        yield f"cell {book.cells[0].id} is no title"
    titles = re.findall(r"^# .*", _outside_fences(book), re.MULTILINE)
    if len(titles) != 1:
        yield f"has the titles {titles}"


def _outside_fences(book):
    text = "\n".join(c.source for c in book.cells if c.cell_type == "markdown")
    return re.sub(r"^(`{3,}).*?^\1", "", text, flags=re.DOTALL | re.MULTILINE)


@rule
def sets_up_in_its_first_code_cell(book):
    cell = code_cells(book)[0]
    if cell is not book.cells[1] or "hide-input" not in tags(cell):
        yield f"cell {cell.id} is not second, or not tagged hide-input"
    if f'"{URL}"' not in cell.source or f'"{BRANCH}"' not in cell.source:
        yield f"cell {cell.id} lacks {URL} or {BRANCH}, which _config.yml has"


@rule
def was_run_once_from_top_to_bottom(book):
    for count, cell in enumerate(code_cells(book), start=1):
        if cell.execution_count != count:
            yield f"cell {cell.id} has count {cell.execution_count}, not {count}"


@rule
def shows_no_error_and_no_warning(book):
    for cell, output in outputs(book):
        if output.output_type == "error" or output.get("name") == "stderr":
            yield f"cell {cell.id}"


@rule
def has_no_output_over_300_kilobytes(book):
    for cell, output in outputs(book):
        if (size := len(json.dumps(output))) > 300_000:
            yield f"cell {cell.id} has an output of {size} bytes"


@rule
def has_less_than_a_megabyte(book):
    if (size := len(json.dumps(book, ensure_ascii=False).encode())) >= 1_000_000:
        yield f"has {size} bytes"


@rule
def has_code_lines_of_at_most_79_characters(book):
    for cell in code_cells(book):
        for line in cell.source.splitlines():
            if len(line) > 79:
                yield f"cell {cell.id}: {line}"


@rule
def has_code_cells_of_at_most_30_lines_or_45_for_a_class(book):
    for cell in code_cells(book):
        limit = 45 if re.search(r"^class ", cell.source, re.MULTILINE) else 30
        if (count := len(cell.source.splitlines())) > limit:
            yield f"cell {cell.id} has {count} lines"


@rule
def has_code_cells_of_a_median_of_at_most_6_lines(book):
    # The setup cell is the same everywhere, and hidden.
    if (count := median(len(code_lines(c)) for c in code_cells(book)[1:])) > 6:
        yield f"the median is {count}"


@rule
def has_prose_before_four_code_cells_in_five(book):
    kinds = ["code", *(cell.cell_type for cell in book.cells)]
    pairs = zip(kinds, book.cells, strict=False)
    bare = [cell.id for kind, cell in pairs if kind == cell.cell_type == "code"]
    if len(bare) > 0.2 * len(code_cells(book)):
        yield f"none before {', '.join(bare)}"


@rule
def has_as_much_prose_as_its_code_needs(book):
    lines = sum(len(code_lines(cell)) for cell in code_cells(book)[1:])
    words = len(re.findall(r"[^\W\d_][\w'’-]*", prose(book)))
    low, high = WORDS_PER_LINE
    if not low * lines <= words <= high * lines:
        yield f"{words} words to {lines} lines of code: {words / max(lines, 1):.1f}"


@rule
def gives_every_figure_a_name_a_caption_and_an_alternative_text(book):
    for cell, output in outputs(book):
        if is_picture(output):
            mystnb = cell.metadata.get("mystnb", {})
            figure, alt = mystnb.get("figure", {}), mystnb.get("image", {}).get("alt")
            texts = figure.get("name"), figure.get("caption"), alt
            if not all(texts) or alt == figure["caption"]:
                yield f"cell {cell.id} has {texts}"


@rule
def has_a_figure_wherever_it_describes_one(book):
    for cell in book.cells:
        described = {"figure", "image"} & cell.metadata.get("mystnb", {}).keys()
        if described and not any(map(is_picture, cell.get("outputs", []))):
            yield f"cell {cell.id} shows no figure"


@rule
def stores_no_widget(book):
    for cell, output in outputs(book):
        if any("widget" in kind for kind in output.get("data", {})):
            yield f"cell {cell.id}"
    if "widgets" in book.metadata:
        yield "has widget states"


@rule
def asks_colab_for_python_and_a_gpu_and_has_no_other_metadata(book):
    if book.metadata != METADATA:
        yield f"has {book.metadata}: run make tidy"
    for cell in book.cells:
        if strange := cell.metadata.keys() - OF_A_CELL:
            yield f"cell {cell.id} has {strange}: run make tidy"


@rule
def ends_no_cell_in_a_semicolon(book):
    # nbval ignores it, and then finds an output that is not stored.
    for cell in code_cells(book):
        if cell.source.rstrip().endswith(";"):
            yield f"cell {cell.id}"


@rule
def names_no_folder_of_the_machine_it_was_written_on(book):
    def texts(cell):
        yield cell.source
        for output in cell.get("outputs", []):
            data = output.get("data", {}).items()
            yield json.dumps([v for k, v in data if not k.startswith("image/")])
            yield output.get("text", "")

    for cell in book.cells:
        for text in texts(cell):
            for path in private_paths(text):
                yield f"cell {cell.id}: {path}"


@rule
def has_four_exercises_or_more_graded_with_hints_and_solutions(book):
    found = exercises(book)
    labels = [exercise.label for exercise in found]
    text = "\n".join(c.source for c in book.cells if c.cell_type == "markdown")
    if SOLUTION.findall(text) != labels or text.count("{exercise}") != len(labels):
        yield f"has the exercises {labels} and solutions {SOLUTION.findall(text)}"
    if len(found) < 4:
        yield f"has {len(found)} exercises"
    grades = [re.match("★*", exercise.title)[0] for exercise in found]
    if grades != sorted(grades) or not all("" < g <= "★★★" for g in grades):
        yield f"has the grades {grades}"
    for exercise in found:
        if not exercise.hint.strip():
            yield f"gives no hint for {exercise.label}"
        if exercise.cells and "claim(" not in exercise.cells[1].source:
            yield f"claims nothing about the answer to {exercise.label}"
    if sum(not exercise.cells for exercise in found) > 1:
        yield "leaves more than one answer unchecked"


@pytest.mark.parametrize("name", NOTEBOOKS)
@pytest.mark.parametrize("check", RULES, ids=lambda check: check.__name__)
def test_every_notebook(check, name):
    problems = list(check(load(name)))
    assert not problems, f"{name}: " + "\n".join(problems)


def test_there_are_notebooks():
    assert NOTEBOOKS


def test_the_setup_cell_is_the_same_in_every_notebook():
    setups = {name: code_cells(load(name))[0].source for name in NOTEBOOKS}
    first = next(iter(setups.values()), None)
    assert [name for name, source in setups.items() if source != first] == []


def test_nearly_every_output_is_compared_by_nbval():
    cells = [cell for name in NOTEBOOKS for cell in code_cells(load(name))]
    ignored = [cell.id for cell in cells if "nbval-ignore-output" in tags(cell)]
    assert len(ignored) < 0.1 * len(cells)


def test_the_stored_starters_are_made_of_the_chapters():
    made = starters(ROOT)
    assert set(ROOT.glob("starters/*")) == made.keys(), "run make starters"
    for path, starter in made.items():
        stored = nbformat.read(path, nbformat.NO_CONVERT)
        assert stored == starter, f"{path.name} is out of date: run make starters"


def picture(**mystnb):
    data = new_output("display_data", {"image/png": "iVBORw0KGgo="})
    return {"outputs": [data], "metadata": {"mystnb": mystnb} if mystnb else {}}


def good_notebook():
    setup = f'URL, BRANCH = "{URL}", "{BRANCH}"'
    figure = {"name": "fig", "caption": "What it is."}
    cells = [
        new_markdown_cell("# A title"),
        new_code_cell(setup, metadata={"tags": ["hide-input"]}),
        new_markdown_cell("Six words to a single line: $x$."),
        new_code_cell(
            "plot()", **picture(figure=figure, image={"alt": "What it says."})
        ),
        *(cell for number in range(4) for cell in exercise(number)),
    ]
    code = [cell for cell in cells if cell.cell_type == "code"]
    for count, cell in enumerate(code, start=1):
        cell.execution_count = count
    return new_notebook(cells=cells, metadata=METADATA)


def exercise(number):
    text = f"""
:::{{exercise}} ★ Easy
:label: ex-{number}

Put nothing into `answer`. As the page needs prose, this goes on for a while.
:::

:::{{hint}}
It is nothing.
:::

:::{{solution-start}} ex-{number}
:::
"""
    return [
        new_markdown_cell(text),
        new_code_cell("answer = 0", metadata={"tags": ["answer"]}),
        new_markdown_cell("Is it?"),
        new_code_cell(
            'claim("it is", answer == 0)',
            metadata={"tags": ["check"]},
            outputs=[new_output("display_data", {"text/plain": "✓ it is"})],
        ),
    ]


def bad_notebook():
    """Return a notebook that breaks every rule."""
    line = f"print('/{'tmp'}/a')  #" + 80 * "-"  # this file names no folder itself
    bad = [
        new_output("stream", name="stderr", text="oh"),
        new_output("display_data", {"application/vnd.jupyter.widget-view+json": {}}),
        new_output("stream", name="stdout", text="x" * 1_000_000),
        new_output("display_data", {"text/plain": "✓ never claimed (by 2)"}),
    ]
    cells = [
        new_code_cell("\n".join(31 * [line]) + ";", outputs=bad),
        new_code_cell("plot()\n" * 7, **picture()),
        new_code_cell("plot()\n" * 7, metadata={"mystnb": {"figure": {"name": "fig"}}}),
    ]
    book = new_notebook(cells=cells)
    book.nbformat_minor = 4
    cells[1].id = cells[0].id
    return book


@pytest.mark.parametrize("check", RULES, ids=lambda check: check.__name__)
def test_a_rule_can_be_obeyed_and_broken(check):
    assert list(check(good_notebook())) == []
    assert list(check(bad_notebook())) != []
