"""What the book shows of the library, `code/sources.py`."""

import ast
import inspect

import pytest

import conformance
import sources
from bn import BatchNorm, batch_norm
from sources import show_source, source_without_docstring


def multiply(a, b):
    """Multiply.

    At length.
    """
    # A comment stays.
    return a * b  # so does this


def add(a, b):
    return a + b


def text_first(a):
    "Quoted once."
    "Not the docstring."
    return f"""{a}
    """


def test_the_docstring_is_left_out_and_comments_stay():
    assert source_without_docstring(multiply) == (
        "def multiply(a, b):\n    # A comment stays.\n    return a * b  # so does this"
    )


def test_a_function_without_docstring_is_shown_as_it_is():
    expected = "def add(a, b):\n    return a + b"
    assert source_without_docstring(add) == expected


def test_only_the_docstring_is_left_out():
    assert source_without_docstring(text_first) == (
        'def text_first(a):\n    "Not the docstring."\n    return f"""{a}\n    """'
    )


@pytest.mark.parametrize("function", [batch_norm, BatchNorm, BatchNorm.forward])
def test_what_is_shown_is_the_code_of_the_library(function):
    shown = source_without_docstring(function)
    first, *_ = ast.parse(shown).body
    assert ast.get_docstring(first) is None
    assert not shown.startswith(" ")
    lines = {line.strip() for line in inspect.getsource(function).splitlines()}
    assert {line.strip() for line in shown.splitlines()} <= lines


def test_a_decorator_is_shown():
    shown = source_without_docstring(conformance.input_gradient)
    assert shown.splitlines() == [
        '@check("gradient of the input")',
        "def input_gradient(layer, x):",
        "    return gradients(layer, x)[0]",
    ]


def test_each_function_is_shown_in_a_block_of_its_own(monkeypatch):
    displayed = []
    monkeypatch.setattr(sources, "display", displayed.append)
    assert show_source(add, multiply) is None
    assert [shown.data for shown in displayed] == [
        f"```python\n{source_without_docstring(function)}\n```"
        for function in (add, multiply)
    ]


def test_what_is_shown_is_markdown(capsys):
    show_source(add)
    assert capsys.readouterr().out == "<IPython.core.display.Markdown object>\n"
