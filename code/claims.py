"""Claims: sentences of the book that are asserted where they stand.

A claim is true or false, or what is measured for it must keep a bound. Sentence, values
and bounds are part of the stored output, from which the page of all claims is made.
"""

import html
import re
from dataclasses import dataclass

from IPython.display import display


@dataclass(frozen=True)
class Measured:
    """A value, or a list of values, and the bounds that each of them must keep.

    >>> print(Measured(2 / 3, low=0.5))
    0.667 > 0.5
    """

    value: object
    low: float = None
    high: float = None

    @property
    def bounded(self):
        return (self.low, self.high) != (None, None)

    @property
    def margin(self):
        """How far the value nearest to a bound lies on its right side.

        >>> above([2.0, 1.0], 1.25).margin
        -0.25
        >>> within(2.75, 1.0, 3.0).margin
        0.25
        """
        values = self.value if isinstance(self.value, list) else [self.value]
        gaps = [v - self.low for v in values if self.low is not None]
        gaps += [self.high - v for v in values if self.high is not None]
        return min(gaps, key=lambda gap: (gap == gap, gap))  # NaN, if there is one

    @property
    def limits(self):
        if self.low is None:
            return f" < {_text(self.high)}" if self.bounded else ""
        if self.high is None:
            return f" > {_text(self.low)}"
        return f" in {_text(self.low)} to {_text(self.high)}"

    def __str__(self):
        return _text(self.value) + self.limits


def above(value, low):
    """A value, or several, each of which must be greater than `low`."""
    return Measured(_plain(value), low=_plain(low))


def below(value, high):
    """A value, or several, each of which must be less than `high`."""
    return Measured(_plain(value), high=_plain(high))


def within(value, low, high):
    """A value, or several, each of which must lie between `low` and `high`."""
    return Measured(_plain(value), _plain(low), _plain(high))


@dataclass(frozen=True)
class Claim:
    """A sentence, whether it holds, and what was measured, by name."""

    sentence: str
    holds: bool
    measured: dict

    def __str__(self):
        values = ", ".join(f"{name} {value}" for name, value in self.measured.items())
        mark = "✓" if self.holds else "✗"
        return f"{mark} {self.sentence}" + (f" ({values})" if values else "")

    __repr__ = __str__

    @property
    def anchor(self):
        """The id of its box on a page, for links.

        >>> Claim("γ = 1 gives x̂ back", True, {}).anchor
        'claim-1-gives-x-back'
        """
        return "-".join(["claim", *re.findall("[a-z0-9]+", self.sentence.lower())][:12])

    def _repr_html_(self):
        values = " ".join(
            f"<span><b>{html.escape(name)}</b> "
            f'<span class="value">{html.escape(_text(value.value))}</span>'
            f"{html.escape(value.limits)}</span>"
            for name, value in self.measured.items()
        )
        return (
            f'<div class="claim" id="{self.anchor}"><p>'
            f'<span aria-hidden="true">{str(self)[0]} </span>'
            f"{html.escape(self.sentence)}</p>"
            f"{f'<p>{values}</p>' if values else ''}</div>"
        )


def claim(sentence, holds=True, **measured):
    """Assert a sentence of the text and show what was measured for it.

    Args:
        sentence: the statement, as a reader should understand it.
        holds: whether it is true, as far as that is no matter of a bound.
        measured: the values behind it; those made by `above`, `below` and `within`
            must keep their bounds. Numbers are shown to three digits.

    Raises:
        AssertionError: the sentence does not hold. What was measured is shown, too.

    >>> claim("two is less than three", 2 < 3, two=2)
    ✓ two is less than three (two 2)
    >>> claim("the net learns", accuracy=above(2 / 3, 0.5))
    ✓ the net learns (accuracy 0.667 > 0.5)
    """
    values = {
        name.replace("_", " "): v if isinstance(v, Measured) else Measured(_plain(v))
        for name, v in measured.items()
    }
    kept = all(value.margin > 0 for value in values.values() if value.bounded)
    result = Claim(sentence, bool(holds) and kept, values)
    display(result)
    if not result.holds:
        raise AssertionError(f"does not hold: {str(result).removeprefix('✗ ')}")


def stored_claims(notebook):
    """The claims in the stored outputs of a notebook, in order.

    Values are numbers, or lists of numbers, as far as they can be.

    >>> import nbformat.v4 as nb
    >>> claimed = Claim("it is so", True, {"size": above([0.25, 1.0], 0.125)})
    >>> data = {"text/html": claimed._repr_html_()}
    >>> output = nb.new_output("display_data", data)
    >>> cell = nb.new_code_cell("", outputs=[output])
    >>> [stored] = stored_claims(nb.new_notebook(cells=[cell]))
    >>> stored, stored.measured["size"].margin
    (✓ it is so (size 0.25, 1 > 0.125), 0.125)
    """
    from bs4 import BeautifulSoup  # only those who make the book need it

    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    for output in outputs:
        text = output.get("data", {}).get("text/html", "")
        if text.startswith('<div class="claim"'):
            statement, *measured = BeautifulSoup(text, "html.parser")("p")
            mark, sentence = statement.get_text().split(" ", 1)
            spans = measured[0]("span", class_=None) if measured else []
            values = {span.b.get_text(): _read(span) for span in spans}
            yield Claim(sentence, mark == "✓", values)


def _read(span):
    """What was measured, from the HTML of a claim."""
    texts = span.find(class_="value").get_text().split(", ")
    try:
        values = [_number(text) for text in texts]
    except ValueError:
        values = [", ".join(texts)]
    limits = span.find(class_="value").next_sibling or ""
    relation, *bounds = limits.replace(" to ", " ").split() or [""]
    bounds = {"": (), "<": (None, *bounds), ">": bounds, "in": bounds}[relation]
    bounds = [None if bound is None else _number(bound) for bound in bounds]
    return Measured(values if len(values) > 1 else values[0], *bounds)


def _number(text):
    return int(text) if text.removeprefix("-").isdigit() else float(text)


def _plain(value):
    """Tensors and arrays as numbers or lists of numbers; all else as it is."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def _text(value):
    """A number to three digits; lists element by element."""
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)
