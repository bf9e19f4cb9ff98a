"""Claims: sentences of the book that are asserted where they stand."""

import html
from dataclasses import dataclass

from IPython.display import display


@dataclass(frozen=True)
class Claim:
    """A sentence that held, with the values that were measured for it."""

    sentence: str
    measured: dict

    def __str__(self):
        values = ", ".join(f"{k} {v}" for k, v in self.measured.items())
        return f"✓ {self.sentence}" + (f" ({values})" if values else "")

    __repr__ = __str__

    def _repr_html_(self):
        values = "".join(
            f"<span><b>{html.escape(name)}</b> {html.escape(value)}</span> "
            for name, value in self.measured.items()
        )
        return (
            '<div class="claim"><p><span aria-hidden="true">✓ </span>'
            f"{html.escape(self.sentence)}</p>"
            f"{f'<p>{values.strip()}</p>' if values else ''}</div>"
        )


def claim(sentence, holds, **measured):
    """Assert a sentence of the text and show what was measured for it.

    Args:
        sentence: the statement, as a reader should understand it.
        holds: whether the measurement bears it out.
        measured: the values behind it; numbers are shown to three digits.

    Raises:
        AssertionError: `holds` is false. The message has the measured values.

    >>> claim("two is less than three", 2 < 3, two=2, ratio=2 / 3)
    ✓ two is less than three (two 2, ratio 0.667)
    """
    values = {name.replace("_", " "): _text(v) for name, v in measured.items()}
    result = Claim(sentence, values)
    if not holds:
        raise AssertionError(f"does not hold: {str(result).removeprefix('✓ ')}")
    display(result)


def _text(value):
    """A number to three digits; lists and tensors element by element."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(v) for v in value)
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(value)
