"""Shows on a page what the library says, so that there is one copy of it."""

import ast
import inspect
import textwrap

from IPython.display import Markdown, display


def show_source(*functions):
    """Show the code of functions or methods without their docstrings.

    The text around it explains them at greater length than a docstring could.
    """
    for function in functions:
        display(Markdown(f"```python\n{source_without_docstring(function)}\n```"))


def source_without_docstring(function):
    """The source of a function, comments included, docstring left out.

    >>> print(source_without_docstring(source_without_docstring))  # no quotes
    def source_without_docstring(function):
        source = textwrap.dedent(inspect.getsource(function))
        ...
    """
    source = textwrap.dedent(inspect.getsource(function))
    lines = source.splitlines()
    first, *_ = ast.parse(source).body[0].body
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        del lines[first.lineno - 1 : first.end_lineno]
    return "\n".join(lines)
