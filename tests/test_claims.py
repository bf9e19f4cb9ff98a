"""Claims, `code/claims.py`: raised when false, shown when true."""

import numpy as np
import pytest
import torch

from claims import Claim, claim


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


def test_a_claim_that_fails_raises_with_the_numbers(monkeypatch):
    displayed = []
    monkeypatch.setattr("claims.display", displayed.append)
    with pytest.raises(AssertionError) as raised:
        claim("BN is better", 0.71 > 0.82, with_bn=0.71234, plain=0.82)
    assert str(raised.value) == (
        "does not hold: BN is better (with bn 0.712, plain 0.82)"
    )
    assert displayed == []


@pytest.mark.parametrize("false", [False, np.False_, torch.tensor(False), 0, None])
def test_whatever_is_false_makes_a_claim_fail(false):
    with pytest.raises(AssertionError, match="does not hold: it does"):
        claim("it does", false)


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
        ((0.1,), "0.1"),
    ],
)
def test_numbers_are_shown_to_three_digits(monkeypatch, value, text):
    assert shown(monkeypatch, "a", True, value=value).measured == {"value": text}


def test_a_claim_is_shown_to_browsers_as_html(monkeypatch):
    result = shown(monkeypatch, "it holds", True, their_ratio=0.5, n=2)
    assert result._repr_html_() == (
        '<div class="claim"><p><span aria-hidden="true">✓ </span>it holds</p>'
        "<p><span><b>their ratio</b> 0.5</span> <span><b>n</b> 2</span></p></div>"
    )


def test_text_in_a_claim_cannot_become_html():
    result = Claim("a < b & <script>", {"<i>": "<b>"})
    text = result._repr_html_()
    assert "a &lt; b &amp; &lt;script&gt;" in text
    assert "<b>&lt;i&gt;</b> &lt;b&gt;" in text
    assert "<script>" not in text and "<i>" not in text
    assert str(result) == repr(result) == "✓ a < b & <script> (<i> <b>)"
