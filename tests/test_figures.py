"""The interactive figures: every number that they show is held against Python's."""

import contextlib
import itertools
import json
import random
import re

import pytest
import torch
from torch import nn

from bn import batch_norm
from figures import Batch, Share

STATES = 50


def normalized(x, gamma, beta, eps):
    """x_hat and y by the book's own layer."""
    column = torch.tensor(x, dtype=torch.float64).reshape(-1, 1)
    x_hat = batch_norm(column, eps=eps)
    return x_hat.flatten().tolist(), (gamma * x_hat + beta).flatten().tolist()


def test_the_state_of_a_figure_is_its_own_traits():
    figure = Batch(x=[1.0, 3.0], gamma=2.0)
    assert figure.state() == {"x": [1.0, 3.0], "gamma": 2.0, "beta": 0.0, "eps": 1e-5}
    assert repr(figure) == "Batch(beta=0.0, eps=1e-05, gamma=2.0, x=[1.0, 3.0])"


def test_the_twin_has_the_state_as_data_a_caption_and_a_picture():
    figure = Batch(x=[2.0, 4.0])
    data = figure._repr_mimebundle_()[0]
    assert data["text/plain"] == repr(figure)
    twin = data["text/html"]
    state = re.search(r'<script type="application/json">(.*?)</script>', twin)[1]
    assert json.loads(state) == figure.state()
    assert figure.caption in twin
    assert twin.count('class="bn-thread"') == 2


def test_the_picture_shows_where_the_examples_go():
    def place(value):
        return 20 + 600 * (value + 4) / 24

    circles = re.findall(r'class="bn-out" cx="([-\d.]+)"', Batch().picture())
    _, y = normalized([1.0, 7.0, 9.0, 15.0], 1.0, 0.0, 1e-5)
    assert [float(c) for c in circles] == pytest.approx(list(map(place, y)), abs=0.06)


@contextlib.contextmanager
def alive(browser, server, chapter, name):
    """The figure `name` on the page of a chapter, once its script has drawn it."""
    context = browser.new_context(
        viewport={"width": 1000, "height": 900}, has_touch=True
    )
    page = context.new_page()
    page.goto(f"{server}chapters/{chapter}.html")
    figure = page.locator(f"[data-figure={name}]")
    figure.locator("input").first.wait_for()
    figure.scroll_into_view_if_needed()
    yield figure
    context.close()


@pytest.fixture
def figure(browser, server):
    with alive(browser, server, "02-transform", "batch") as figure:
        yield figure


@pytest.fixture
def share(browser, server):
    with alive(browser, server, "04-convolution", "share") as figure:
        yield figure


def numbers(figure):
    """The rows of the figure's table: x, x_hat and y."""
    rows = figure.locator("tr").all()
    return [
        [float(cell.replace("−", "-")) for cell in row.locator("td").all_inner_texts()]
        for row in rows
    ]


def agrees(figure, gamma, beta, eps):
    x, x_hat, y = numbers(figure)
    expected_x_hat, expected_y = normalized(x, gamma, beta, eps)
    assert x_hat == pytest.approx(expected_x_hat, abs=0.0051)
    assert y == pytest.approx(expected_y, abs=0.0051)
    points = figure.get_by_role("slider").all()[: len(x)]
    for point, value, image in zip(points, x, y, strict=True):
        text = point.get_attribute("aria-valuetext")
        spoken = [float(word) for word in re.findall(r"-?[\d.]+", text)]
        assert spoken == pytest.approx([value, image], abs=0.0051)
    return x


def centre(point):
    box = point.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_in_random_states_all_numbers_are_those_of_the_layer(figure):
    draw = random.Random(0)
    mouse = figure.page.mouse
    for _state in range(STATES):
        button = figure.get_by_role("button", name=draw.choice(["add", "remove"]))
        if button.is_enabled():
            button.click()
        points = figure.locator("circle[role=slider]").all()
        x, y = centre(draw.choice(points))
        mouse.move(x, y)
        mouse.down()
        mouse.move(x + draw.uniform(-300, 300), y, steps=2)
        mouse.up()
        point = draw.choice(points)
        point.focus()
        for key in draw.choices(["ArrowLeft", "ArrowUp", "PageDown", "End"], k=2):
            point.press(key)
        gamma, beta = draw.randint(0, 80) / 10, draw.randint(-40, 160) / 10
        exponent = draw.choice([-5, -2, 0, 1.5])
        for slider, value in zip(
            figure.locator("input[type=range]").all(),
            (gamma, beta, exponent),
            strict=True,
        ):
            slider.fill(str(value))
        agrees(figure, gamma, beta, 10**exponent)


def test_keys_move_an_example_and_stay_in_the_range(figure):
    point = figure.locator("circle[role=slider]").first
    point.focus()
    for key, expected in (
        ("ArrowRight", 1.1),
        ("ArrowLeft", 1.0),
        ("PageUp", 2.0),
        ("Home", -4.0),
        ("PageDown", -4.0),
        ("End", 20.0),
    ):
        point.press(key)
        assert numbers(figure)[0][0] == expected
    agrees(figure, 1.0, 0.0, 1e-5)


def test_a_finger_drags_an_example(figure):
    x, y = centre(figure.locator("circle[role=slider]").first)
    touch = figure.page.context.new_cdp_session(figure.page)
    for kind, place in (("Start", x), ("Move", x + 50), ("Move", x + 100), ("End", 0)):
        points = [] if kind == "End" else [{"x": place, "y": y}]
        touch.send(
            "Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points}
        )
    assert numbers(figure)[0][0] > 2
    agrees(figure, 1.0, 0.0, 1e-5)


def test_one_example_left_collapses_to_beta(figure):
    figure.get_by_role("button", name="one example left").click()
    figure.locator("input[type=range]").nth(1).fill("3")
    assert numbers(figure) == [[1.0], [0.0], [3.0]]
    assert figure.get_by_role("button", name="remove").is_disabled()


def test_undo_gives_the_batch_back_and_reset_the_start(figure):
    figure.get_by_role("button", name="one outlier").click()
    figure.get_by_role("button", name="undo it").click()
    x, _, y = numbers(figure)
    assert x == [1, 2, 3, 20]
    assert y == pytest.approx(x, abs=0.0051)
    figure.get_by_role("button", name="reset").click()
    assert numbers(figure)[0] == [1, 7, 9, 15]
    assert agrees(figure, 1.0, 0.0, 1e-5) == [1, 7, 9, 15]


def test_mean_and_spread_are_written_out(figure):
    assert figure.locator(".bn-words").text_content() == "mean 8.0, spread 5.0"


def test_it_works_on_a_phone(figure):
    figure.page.set_viewport_size({"width": 390, "height": 800})
    figure.page.wait_for_function(
        "document.querySelector('.bn-figure svg').viewBox.baseVal.width < 390"
    )
    sideways = "document.documentElement.scrollWidth"
    assert figure.page.evaluate(sideways) <= 390
    agrees(figure, 1.0, 0.0, 1e-5)


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
    places = list(itertools.product(range(3), range(4), range(4), range(4)))
    marks = share.locator("rect").evaluate_all("es => es.map(e => e.className.baseVal)")
    return {p for p, m in zip(places, marks, strict=True) if m != "bn-cell"}


KINDS = ["batch", "layer", "instance", "group"]


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


@pytest.mark.parametrize("kind", KINDS)
def test_the_picture_marks_the_same_numbers(kind):
    marks = re.findall(r'<rect class="(.*?)"', Share(kind=kind).picture())
    places, _ = crowd(kind, (3, 4, 4, 4), (1, 1, 1, 1))
    assert sum(mark != "bn-cell" for mark in marks) == len(places)
    assert marks.count("bn-chosen") == 1
