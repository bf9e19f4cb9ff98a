"""The figure of shared means: what it marks is what torch's layers average."""

import itertools
import random
import re

import pytest
import torch
from torch import nn

from conftest import alive
from figures import Share

KINDS = ["batch", "layer", "instance", "group"]
PLACES = [*itertools.product(range(3), range(4), range(4), range(4))]


@pytest.fixture
def share(browser, server):
    with alive(browser, server, "04-convolution", "share") as figure:
        yield figure


def crowd(kind, shape, cell):
    """The places that torch's layer `kind` averages with `cell`, and how many means.

    They are those on which its output in `cell` depends.
    """
    n, c, h, w = shape
    layer = {
        "batch": nn.BatchNorm2d(c),
        "layer": nn.LayerNorm([c, h, w]),
        "instance": nn.InstanceNorm2d(c),
        "group": nn.GroupNorm(2, c),
    }[kind]
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(layer(x)[tuple(cell)], x)
    places = {tuple(place) for place in gradient.nonzero().tolist()}
    return places, x.numel() // len(places)


def lit(share):
    """The places whose numbers are marked, in the order in which they are drawn."""
    marks = share.locator("rect").evaluate_all("es => es.map(e => e.className.baseVal)")
    return {p for p, m in zip(PLACES, marks, strict=True) if m != "bn-cell"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_marked_numbers_are_those_that_the_layer_averages(share, kind):
    draw = random.Random(kind)
    share.get_by_role("radio", name=kind).check()
    for _cell in range(5):
        cell = [draw.randrange(size) for size in (3, 4, 4, 4)]
        for slider, value in zip(
            share.locator("input[type=range]").all(), cell, strict=True
        ):
            slider.fill(str(value + 1))
        places, means = crowd(kind, (3, 4, 4, 4), cell)
        assert lit(share) == places
        words = share.locator(".bn-words").inner_text()
        assert f"= {len(places)} numbers share one mean; {means} means" in words
        heads = share.locator("[data-own=true]").all_text_contents()
        assert heads == [f"example {cell[0] + 1}", f"channel {cell[1] + 1}"]


def test_pointing_at_a_number_chooses_it(share):
    share.locator("rect").nth(64 + 16 * 3 + 5).hover()
    assert [int(i.input_value()) for i in share.locator("input[type=range]").all()] == [
        2,
        4,
        2,
        2,
    ]
    share.locator("rect").first.tap()
    assert lit(share) == crowd("batch", (3, 4, 4, 4), (0, 0, 0, 0))[0]


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_of_ones_own_are_counted_as_the_layer_does(share, kind):
    share.get_by_role("radio", name=kind).check()
    for shape in ((5, 6, 3, 2), (2, 4, 7, 1)):
        for field, size in zip(
            share.locator("input[type=number]").all(), shape, strict=True
        ):
            field.fill(str(size))
        places, means = crowd(kind, shape, (0, 0, 0, 0))
        words = share.locator(".bn-result").inner_text()
        assert f"= {len(places)} numbers share one mean; {means} means" in words


def test_the_first_convolution_of_lenet_shares_147456_numbers(share):
    assert "= 147,456 numbers" in share.locator(".bn-result").inner_text()


def test_channels_that_do_not_split_are_refused(share):
    share.get_by_role("radio", name="group").check()
    share.get_by_label("channels", exact=True).fill("5")
    assert "5 channels do not split" in share.locator(".bn-result").inner_text()


def test_keys_choose_a_number_and_its_crowd(share):
    slider = share.get_by_label("channel", exact=True)
    for key, channel in (("End", 3), ("ArrowLeft", 2), ("Home", 0)):
        slider.press(key)
        places, _ = crowd("batch", (3, 4, 4, 4), (1, channel, 1, 1))
        assert lit(share) == places
    share.get_by_role("radio", name="batch").press("ArrowDown")
    places, means = crowd("layer", (3, 4, 4, 4), (1, 0, 1, 1))
    assert lit(share) == places
    assert share.locator(".bn-words").inner_text() == (
        f"4 channels × 4 × 4 places = {len(places)} numbers share one mean; "
        f"{means} means in all"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_crowds_side_by_side_have_different_shades(share, kind):
    share.get_by_role("radio", name=kind).check()
    shades = share.locator("rect").evaluate_all("es => es.map(e => e.dataset.odd)")
    shade = dict(zip(PLACES, shades, strict=True))
    for n, c in itertools.product(range(3), range(4)):
        crowded, _ = crowd(kind, (3, 4, 4, 4), (n, c, 0, 0))
        assert len({shade[place] for place in crowded}) == 1
        for beside in ((n + 1, c, 0, 0), (n, c + 1, 0, 0)):
            if beside in shade and beside not in crowded:
                assert shade[beside] != shade[n, c, 0, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_picture_marks_the_same_numbers(kind):
    picture = Share(kind=kind).picture()
    rects = re.findall(
        r'<rect class="(.*?)"( data-odd="1")? .*?x="(\d+)" y="(\d+)"', picture
    )
    places, _ = crowd(kind, (3, 4, 4, 4), (1, 1, 1, 1))
    marks = {}
    for mark, odd, x, y in rects:
        (n, w), (c, h) = (divmod(int(v), 86) for v in (x, y))
        marks[n, c, h // 18, w // 18] = mark
        if mark == "bn-cell":
            sheets = {"batch": c, "layer": n, "instance": n + c, "group": n + c // 2}
            assert (odd != "") == (sheets[kind] % 2 == 1)
    assert set(marks) == set(PLACES)
    assert {place for place in PLACES if marks[place] != "bn-cell"} == places
    assert [p for p in PLACES if marks[p] == "bn-chosen"] == [(1, 1, 1, 1)]
