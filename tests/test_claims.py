"""Claims, `code/claims.py`: raised when false, shown when true."""

import math

import numpy as np
import pytest
import torch
from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
    new_output,
)

from claims import Claim, Measured, above, below, claim, stored_claims, within

NAN = math.nan


def shown(monkeypatch, *args, **kwargs):
    """The claim that `claim` displays."""
    displayed = []
    monkeypatch.setattr("claims.display", displayed.append)
    assert claim(*args, **kwargs) is None
    (result,) = displayed
    return result


def test_a_claim_that_holds_is_shown_in_a_line(capsys):
    claim("two is less than three", 2 < 3, two=2, their_ratio=2 / 3)
    line = "✓ two is less than three (two 2, their ratio 0.667)\n"
    assert capsys.readouterr().out == line


def test_a_claim_without_values_is_shown_without_brackets(capsys):
    claim("true is true", True)
    assert capsys.readouterr().out == "✓ true is true\n"


def test_a_claim_that_fails_raises_with_the_numbers_and_shows_them(capsys):
    with pytest.raises(AssertionError) as raised:
        claim("BN is better", 0.71 > 0.82, with_bn=0.71234, plain=0.82)
    line = "BN is better (with bn 0.712, plain 0.82)"
    assert str(raised.value) == f"does not hold: {line}"
    assert capsys.readouterr().out == f"✗ {line}\n"


@pytest.mark.parametrize("false", [False, np.False_, torch.tensor(False), 0, None])
def test_whatever_is_false_makes_a_claim_fail(false):
    with pytest.raises(AssertionError, match="does not hold: it does"):
        claim("it does", false, value=above(2, 1))


@pytest.mark.parametrize(
    ("measured", "margin", "text"),
    [
        (above(3, 1), 2, "3 > 1"),
        (above([0.5, 0.25, 1.0], 0.125), 0.125, "0.5, 0.25, 1 > 0.125"),
        (above(torch.tensor([0.5, 0.25]), 0.125), 0.125, "0.5, 0.25 > 0.125"),
        (above(np.float32(0.5), torch.tensor(0.25)), 0.25, "0.5 > 0.25"),
        (below(1 / 3, 0.5), 1 / 6, "0.333 < 0.5"),
        (below((1.0, 3.0), 4), 1, "1, 3 < 4"),
        (within(1.25, 1, 1.5), 0.25, "1.25 in 1 to 1.5"),
        (within([1.25, 1.375], 1, 1.5), 0.125, "1.25, 1.38 in 1 to 1.5"),
    ],
)
def test_a_bound_that_is_kept(measured, margin, text, monkeypatch):
    assert measured.bounded
    assert measured.margin == pytest.approx(margin)
    claimed = shown(monkeypatch, "it is so", value=measured)
    assert claimed.holds
    assert str(claimed) == f"✓ it is so (value {text})"


@pytest.mark.parametrize(
    "broken",
    [
        above(1, 1),
        above([2, 0.5], 1),
        above(NAN, 1),
        above([NAN, 2], 1),
        above([2, NAN], 1),
        below(1, 1),
        below([0.5, 2], 1),
        below(NAN, 1),
        below([NAN, 0], 1),
        within(1, 2, 3),
        within(4, 2, 3),
        within([2.5, 4], 2, 3),
        within(NAN, 2, 3),
    ],
)
def test_a_bound_that_is_not_kept(broken):
    with pytest.raises(AssertionError, match="does not hold: it is so"):
        claim("it is so", good=above(1, 0), bad=broken)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1 / 3, "0.333"),
        (1e-7 / 3, "3.33e-08"),
        (float("nan"), "nan"),
        (12, "12"),
        (60000, "60000"),
        (True, "True"),
        ("cpu", "cpu"),
        (np.float64(2 / 3), "0.667"),
        (np.float32(0.1), "0.1"),
        (torch.tensor(0.1), "0.1"),
        (torch.tensor([0.1, 0.25]), "0.1, 0.25"),
        (torch.tensor(3), "3"),
        ([1, 2.0, 1 / 3], "1, 2, 0.333"),
        ([torch.tensor(0.5), 0.25], "0.5, 0.25"),
        ((0.1,), "0.1"),
    ],
)
def test_numbers_are_shown_to_three_digits(monkeypatch, value, text):
    found = shown(monkeypatch, "a", True, value=value)
    assert str(found) == f"✓ a (value {text})"


def test_a_claim_is_shown_to_browsers_as_html(monkeypatch):
    result = shown(monkeypatch, "it holds", True, their_ratio=below(0.5, 0.75), n=2)
    assert result._repr_html_() == (
        '<div class="claim" id="claim-it-holds"><p>'
        '<span aria-hidden="true">✓ </span>it holds</p>'
        '<p><span><b>their ratio</b> <span class="value">0.5</span> &lt; 0.75</span> '
        '<span><b>n</b> <span class="value">2</span></span></p></div>'
    )


def test_text_in_a_claim_cannot_become_html():
    result = Claim("a < b & <script>", True, {"<i>": Measured("<b>")})
    text = result._repr_html_()
    assert "a &lt; b &amp; &lt;script&gt;" in text
    assert "<b>&lt;i&gt;</b> " in text and ">&lt;b&gt;<" in text
    assert "<script>" not in text and "<i>" not in text
    assert str(result) == repr(result) == "✓ a < b & <script> (<i> <b>)"


@pytest.mark.parametrize(
    "measured",
    [
        {},
        {"a": Measured("cpu, cuda")},
        {"a": Measured(12.0), "b c": Measured([1.0, -2.5e-08])},
        {"a": above([1.0, 2.0], 0.5), "b": below(-1.0, 0.0), "c": within(1.0, 0.5, 2)},
    ],
)
@pytest.mark.parametrize("holds", [True, False])
def test_what_is_stored_can_be_read_again(measured, holds):
    claimed = Claim("a < b, in 1 to 2 (so far)", holds, measured)
    data = {"text/html": claimed._repr_html_(), "text/plain": str(claimed)}
    cells = [
        new_markdown_cell("<div class='claim'></div>"),
        new_code_cell("", outputs=[new_output("display_data", data)] * 2),
        new_code_cell("", outputs=[new_output("stream", text="a")]),
    ]
    assert list(stored_claims(new_notebook(cells=cells))) == [claimed] * 2
