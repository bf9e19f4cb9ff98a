"""The figure of a batch: every number that it shows is held against the layer."""

import random
import re

import pytest
import torch

from bn import batch_norm
from conftest import alive, touch
from figures import Batch

STATES = 50


def normalized(x, gamma, beta, eps):
    """x_hat and y by the book's own layer."""
    column = torch.tensor(x, dtype=torch.float64).reshape(-1, 1)
    x_hat = batch_norm(column, eps=eps)
    return x_hat.flatten().tolist(), (gamma * x_hat + beta).flatten().tolist()


def test_the_picture_shows_where_the_examples_go():
    def place(value):
        return 20 + 600 * (value + 4) / 24

    circles = re.findall(r'class="bn-out" [^>]*cx="([-\d.]+)"', Batch().picture())
    _, y = normalized([1.0, 7.0, 9.0, 15.0], 1.0, 0.0, 1e-5)
    assert [float(c) for c in circles] == pytest.approx(list(map(place, y)), abs=0.06)


@pytest.fixture
def figure(browser, server):
    with alive(browser, server, "02-transform", "batch") as figure:
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
    touch(figure, (x, y), (x + 50, y), (x + 100, y))
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
