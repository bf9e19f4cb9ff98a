"""The sections of a chapter, for what is made of chapters."""

import re

from nbformat.v4 import new_markdown_cell

# Sections that every chapter has, and that say nothing new.
LEARNED = "What you can do now"
RECURRING = ("Check yourself", LEARNED, "Exercises")


def split(text):
    """Yield pairs of a title, at first none, and the text that follows it."""
    title, lines, fence = None, [], ""
    for line in text.splitlines():
        if mark := re.match(r"`{3,}|:{3,}|~{3,}", line):
            fence = "" if fence and line.startswith(fence) else fence or mark[0]
        heading = None if fence else re.match(r"##? (.*)", line)
        if heading:
            yield title, "\n".join(lines).strip()
            title, lines = heading[1], []
        else:
            lines.append(line)
    yield title, "\n".join(lines).strip()


def sections(notebook):
    """The sections: the title and the cells of each, the title not among the cells.

    The first is the chapter's question with what stands before any other section.
    """
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            found[-1][1].append(cell)
            continue
        for title, text in split(cell.source):
            if title is not None:
                found.append((title, []))
            if text:
                found[-1][1].append(new_markdown_cell(text))
    return found
