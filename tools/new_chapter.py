"""Add a chapter to the book: a notebook that obeys all rules and says what goes where.

    python tools/new_chapter.py NAME

Writes `chapters/NN-NAME.ipynb` with the next free number, enters it in `_toc.yml` and
in the table of `chapters/index.md`, and prints its path. The setup cell is copied from
the first chapter. `make new-chapter` executes the notebook, too.
"""

import re
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tidy import tidy, write

ROOT = Path(__file__).resolve().parent.parent
QUESTION = "Which question does this chapter answer?"
OPENING = f"""# {QUESTION}

The first paragraph says, in two or three sentences, what the reader will see. All text
here is to be replaced; the shape can stay."""
TEXT = [
    """## A first idea

Prose stands before almost every cell, and says what is about to happen and why. This
one makes a batch of eight examples with three features.""",
    """
import torch

from seeds import set_seed

set_seed(0)
x = 5 + 2 * torch.randn(8, 3)
""",
    """Then comes a statement about what happens. A claim backs it, which stops the
notebook if it does not hold. Take its bound from several seeds.""",
    """
from bn import BatchNorm
from claims import claim

y = BatchNorm(3, num_dims=2)(x)
claim("after batch normalization, every feature has the mean 0",
      y.mean(0).abs().max() < 1e-5)
""",
    """A figure has a name, a caption and, for readers who cannot see it, a text that
says what it shows. All three stand in the metadata of its cell.""",
    """
fig, ax = plt.subplots()
ax.plot(x[:, 0].tolist(), label="before")
ax.plot(y[:, 0].detach().tolist(), label="after")
ax.set(xlabel="example", ylabel="first feature")
ax.legend()
plt.show()
""",
    """## What you can do now

- One line for each thing that the reader has learned.

## Exercises

:::{exercise} ★ The first
:label: ex-NAME-first

Each chapter has four exercises or more, from one star to three. The text says into
which name an answer goes: put the standard deviation of each feature of `y` into
`spread`.
:::

:::{hint}
:class: dropdown
Each has a hint that helps and does not tell. Which axis has the examples?
:::

:::{solution-start} ex-NAME-first
:class: dropdown
:::""",
    ("answer", "spread = y.std(0, correction=0)"),
    """The cell above is tagged `answer`, and a starter has a stub in its place. The one
below, tagged `check`, has to fail for wrong answers.""",
    (
        "check",
        """
claim("after batch normalization, every feature has the spread 1",
      torch.allclose(spread, torch.ones(3), atol=1e-3))
""",
    ),
    """Then comes the explanation, if one is needed.

:::{solution-end}
:::

:::{exercise} ★★ The second
:label: ex-NAME-second

An answer can be a function, too. Write `center(x)`, which takes the mean from each
feature.
:::

:::{hint}
:class: dropdown
A starter keeps the function's first line and its docstring.
:::

:::{solution-start} ex-NAME-second
:class: dropdown
:::""",
    (
        "answer",
        '''
def center(x):
    """x of shape (N, C), with the mean 0 in each feature."""
    return x - x.mean(0)
''',
    ),
    "A check compares with what was computed in another way:",
    (
        "check",
        """
claim("centered, every feature has the mean 0, and the layer's output stays",
      center(x).mean(0).abs().max() < 1e-5
      and torch.allclose(BatchNorm(3, num_dims=2)(center(x)), y, atol=1e-5))
""",
    ),
    """The layer takes the mean away in any case.

:::{solution-end}
:::

:::{exercise} ★★ The third
:label: ex-NAME-third

Exercises do not need each other's answers. What is left of `x` if it is multiplied by
1000? Put the layer's output into `scaled`.
:::

:::{hint}
:class: dropdown
Make a new layer.
:::

:::{solution-start} ex-NAME-third
:class: dropdown
:::""",
    ("answer", "scaled = BatchNorm(3, num_dims=2)(1000 * x)"),
    "It is what it was:",
    (
        "check",
        """
claim("a thousand times the input gives the same output",
      torch.allclose(scaled, y, atol=1e-4))
""",
    ),
    """The scale of the batch is divided out.

:::{solution-end}
:::

:::{exercise} ★★★ The fourth
:label: ex-NAME-fourth

Not every answer needs code.
:::

:::{hint}
:class: dropdown
What has no tagged cells is for paper.
:::

:::{solution} ex-NAME-fourth
:class: dropdown

But every exercise needs an answer.
:::""",
]
CAPTION = "A feature of eight examples, before and after batch normalization."
ALT = "Afterwards the same zigzag lies around 0 and is half as high."


def notebook(name, setup):
    """Return the new chapter's notebook, given the source of its setup cell."""
    cells = [new_markdown_cell(OPENING), new_code_cell(setup)]
    cells[1].metadata.tags = ["hide-input"]
    for number, text in enumerate(TEXT):
        tag, text = text if isinstance(text, tuple) else (None, text)
        new = new_code_cell if number % 2 else new_markdown_cell
        cells.append(new(text.strip().replace("NAME", name)))
        if tag:
            cells[-1].metadata.tags = [tag]
        if "plt.show()" in text:
            figure = {"name": f"fig-{name}-first", "caption": CAPTION}
            cells[-1].metadata.mystnb = {"figure": figure, "image": {"alt": ALT}}
    return tidy(new_notebook(cells=cells))


def after_last(pattern, addition, path):
    """Return a file's text with an addition after the last match of the pattern."""
    text = path.read_text(encoding="utf-8")
    *_, last = [None, *re.finditer(pattern, text, re.MULTILINE)]
    if last is None:
        raise ValueError(f"{path.name} names no chapter after which to add one")
    return text[: last.end()] + last.expand(addition) + text[last.end() :]


def add(root, name):
    """Add the chapter and return the path of its notebook.

    Raises:
        ValueError: the name is none for a file, or a chapter has it already.
    """
    chapters = sorted(root.glob("chapters/[0-9][0-9]-*.ipynb"))
    if not re.fullmatch("[a-z]+(-[a-z]+)*", name):
        raise ValueError(f"expected small letters and hyphens, got {name!r}")
    if any(path.stem[3:] == name for path in chapters):
        raise ValueError(f"there is a chapter {name} already")
    path = root / "chapters" / f"{int(chapters[-1].stem[:2]) + 1:02}-{name}.ipynb"
    title = name.replace("-", " ").capitalize()
    setup = nbformat.read(chapters[0], nbformat.NO_CONVERT).cells[1].source
    toc, index = root / "_toc.yml", root / "chapters" / "index.md"
    texts = {
        toc: after_last(
            r"^( *)- file: chapters/\d\d-.*\n(?: *title: .*\n)?",
            rf"\1- file: chapters/{path.stem}\n\1  title: {title}\n",
            toc,
        ),
        index: after_last(
            r"^\| \[.*\]\(\d\d-.*\.ipynb\) \|.*\n",
            f"| [{title}]({path.name}) | {QUESTION} |\n",
            index,
        ),
    }
    write(notebook(name, setup), path)
    for file, text in texts.items():
        file.write_text(text, encoding="utf-8", newline="\n")
    return path


if __name__ == "__main__":
    try:
        print(add(ROOT, *sys.argv[1:]).relative_to(ROOT).as_posix())
    except (TypeError, ValueError) as error:
        sys.exit(f"{error}\nUsage: make new-chapter NAME=cousins")
