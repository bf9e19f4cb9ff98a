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
    for bead, value, image in zip(beads(figure), x, y, strict=True):
        text = bead.get_attribute("aria-valuetext").replace("−", "-")
        spoken = [float(word) for word in re.findall(r"-?[\d.]+", text)]
        assert spoken == pytest.approx([value, image], abs=0.0051)
        assert float(bead.input_value()) == value
    threads = figure.locator(".bn-thread").evaluate_all(
        "lines => lines.map(l => [l.getAttribute('x1'), l.getAttribute('x2')])"
    )
    for ends, value, image in zip(threads, x, expected_y, strict=True):
        drawn = [float(end.rstrip("%")) for end in ends]
        expected = [100 * (v + 4) / 24 for v in (value, image)]
        assert drawn == pytest.approx(expected, abs=0.01)
    return x


def beads(figure):
    """The examples that are there, as range inputs."""
    return [b for b in figure.locator(".bn-beads input").all() if b.is_visible()]


def centre(figure, bead):
    """Where the thumb of a bead is."""
    box = figure.locator(".bn-beads").bounding_box()
    share = (float(bead.input_value()) + 4) / 24
    return box["x"] + share * box["width"], box["y"] + 64


def test_in_random_states_all_numbers_are_those_of_the_layer(figure):
    draw = random.Random(0)
    mouse = figure.page.mouse
    for _state in range(STATES):
        button = figure.get_by_role("button", name=draw.choice(["add", "remove"]))
        if button.is_enabled():
            button.click()
        x, y = centre(figure, draw.choice(beads(figure)))
        mouse.move(x, y)
        mouse.down()
        mouse.move(x + draw.uniform(-300, 300), y, steps=2)
        mouse.up()
        point = draw.choice(beads(figure))
        point.focus()
        for key in draw.choices(["ArrowLeft", "ArrowUp", "PageDown", "End"], k=2):
            point.press(key)
        gamma, beta = draw.randint(0, 80) / 10, draw.randint(-40, 160) / 10
        exponent = draw.choice([-5, -2, 0, 1.5])
        for slider, value in zip(
            figure.locator("label input").all(),
            (gamma, beta, exponent),
            strict=True,
        ):
            slider.fill(str(value))
        agrees(figure, gamma, beta, 10**exponent)


def test_keys_move_an_example_and_stay_in_the_range(figure):
    point = beads(figure)[0]
    point.focus()
    for key, expected in (
        ("ArrowRight", 1.1),
        ("ArrowLeft", 1.0),
        ("ArrowUp", 1.1),
        ("Home", -4.0),
        ("ArrowDown", -4.0),
        ("End", 20.0),
    ):
        point.press(key)
        assert numbers(figure)[0][0] == expected
    agrees(figure, 1.0, 0.0, 1e-5)


def test_a_finger_drags_an_example(figure):
    x, y = centre(figure, beads(figure)[0])
    touch(figure, (x, y), (x + 50, y), (x + 100, y))
    assert numbers(figure)[0][0] > 2
    agrees(figure, 1.0, 0.0, 1e-5)


def test_one_example_left_collapses_to_beta(figure):
    figure.get_by_role("button", name="one example left").click()
    figure.locator("label input").nth(1).fill("3")
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
    fulcrum = figure.locator("svg svg").get_attribute("x")
    assert float(fulcrum.rstrip("%")) == pytest.approx(50)
    words = figure.locator(".bn-words").text_content()
    assert words.strip() == "mean 8.0, spread 5.0"


def test_it_works_on_a_phone(figure):
    figure.page.set_viewport_size({"width": 390, "height": 800})
    sideways = "document.documentElement.scrollWidth"
    assert figure.page.evaluate(sideways) <= 390
    agrees(figure, 1.0, 0.0, 1e-5)
