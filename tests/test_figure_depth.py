"""The figure of depth: its record repeats, and what it shows is what was recorded."""

import math
import random
import re
from statistics import median

import pytest
import torch
from torch.testing import assert_close

import depth
from conftest import alive, touch
from fashion_mnist import load
from figures import Depth
from nets import mlp
from records import read_record

RUNS = read_record("depth")["runs"]
NETS = list(RUNS)
ENDS = 16, 8  # the powers of ten that the two sides show on both sides of 1
STATES = 25


def recorded(net, layers):
    """Variances and gradients, layer by layer."""
    run = RUNS[net]
    return run["variance"][:layers], run["gradient"][str(layers)]


def growth(net, layers, name):
    values = RUNS[net]["growth"][str(layers)][name]
    assert len(values) == len(depth.SEEDS)
    return values


@pytest.mark.parametrize("net", ["plain", "residual + batch norm"])
def test_a_part_of_the_record_is_measured_again(net, monkeypatch):
    monkeypatch.setattr(depth, "DEPTHS", (3, 10))
    again = depth.run(net, load())
    variance, gradient = recorded(net, 10)
    assert again["variance"] == pytest.approx(variance, rel=2e-3)
    assert again["gradient"]["10"] == pytest.approx(gradient, rel=2e-3)
    for layers in (3, 10):
        for name, values in again["growth"][str(layers)].items():
            assert values == pytest.approx(growth(net, layers, name), rel=2e-3)


def test_the_record_has_all_nets_and_depths():
    assert NETS == list(depth.NETS) == list(Depth.net.values)
    assert list(depth.DEPTHS) == list(Depth.depth.values)
    for net in NETS:
        for layers in depth.DEPTHS:
            assert [len(values) for values in recorded(net, layers)] == [layers] * 2


@pytest.mark.parametrize("layers", [10, 20, 50, 100])
def test_variances_and_gradients_grow_as_theory_says(layers):
    for net, name, low, high in (
        ("plain", "variance", 0.15, 0.18),  # 1/6
        ("plain", "gradient", 0.38, 0.43),  # sqrt(1/6)
        ("plain, He", "variance", 0.8, 1.02),
        ("plain, He", "gradient", 0.95, 1.05),  # 1
        ("batch norm", "variance", 0.99, 1.01),  # 1
        ("batch norm", "gradient", 1.15, 1.27),  # sqrt(pi / (pi - 1))
        ("residual", "variance", 1.7, 2.3),  # 2
        ("residual", "gradient", 1.35, 1.47),  # sqrt(2)
        ("residual + batch norm", "variance_step", 0.6, 0.78),  # 1 - 1/pi
        ("SkipInit", "variance", 1, 1),
        ("SkipInit", "gradient", 1, 1),
    ):
        values = growth(net, layers, name)
        assert low <= min(values) <= max(values) <= high, (net, name)


def test_with_skips_and_batch_norm_the_variance_grows_along_a_line():
    variance = torch.tensor(recorded("residual + batch norm", 100)[0])
    both = torch.stack([torch.arange(100.0), variance])
    assert torch.corrcoef(both)[0, 1] ** 2 > 0.999


def test_the_plain_variance_shrinks_more_slowly_the_deeper_the_net():
    factors = [median(growth("plain, He", d, "variance")) for d in (2, 5, 10, 20, 100)]
    assert factors == sorted(factors)


IMAGES = torch.rand(8, 784, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("net", ["plain, He", "batch norm"])
def test_without_skips_the_net_is_a_perceptron_of_the_book(net):
    ours = depth.Net(3, **depth.NETS[net])
    theirs = mlp(4, depth.WIDTH, depth.NETS[net].get("norm"))
    with torch.no_grad():
        for a, b in zip(theirs.parameters(), ours.parameters(), strict=True):
            a.copy_(b)
    assert_close(theirs(IMAGES), ours(IMAGES)[0])


def test_a_skip_adds_what_a_layer_gets():
    net = depth.Net(2, skip=True, scale=0.5)
    before, (first, second) = net.first(IMAGES), net(IMAGES)[1]
    assert_close(first, before + net.layers[0](before) / 2)
    assert_close(second, first + net.layers[1](first) / 2)


def place(value, end):
    """Where on a side: from -1 to 1 between its outer lines."""
    return math.log10(value or 1e-99) / end


def test_the_picture_shows_the_record_and_its_growth():
    picture = Depth(net="batch norm", depth=20).picture()
    paths = re.findall(r'data-net="batch norm".*? d="(.*?)"', picture)
    values = recorded("batch norm", 20)
    for middle, end, path, series in zip((160, 480), ENDS, paths, values, strict=True):
        ends = [float(x) for x in re.findall(r"H([-\d.]+)", path)]
        expected = [middle + 120 * place(value, end) for value in series]
        assert ends == pytest.approx(expected, abs=0.06)
    assert "The gradient grows, ×1.21 a layer" in picture


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("layers", [2, 50, 100])
def test_the_words_have_the_growth_of_the_median_seed(net, layers):
    up, down = (median(growth(net, layers, name)) for name in ("variance", "gradient"))
    expected = [f"×{up:#.3g} a layer", f"×{down:#.3g} a layer"]
    if net == "residual + batch norm":
        gradient = recorded(net, layers)[1]
        step = median(growth(net, layers, "variance_step"))
        expected = [f"by {step:.2f} a layer", f"×{gradient[0] / gradient[-1]:.2g} in"]
    words = Depth().data[net]["words"][str(layers)]
    for text, part in zip(words, expected, strict=True):
        assert part in text


@pytest.fixture
def figure(browser, server):
    with alive(browser, server, "01-motivation", "depth") as figure:
        yield figure


READ = """figure => [...figure.querySelectorAll("svg > g > g")].map(side => ({
  ticks: [...side.querySelectorAll("text")].map(e => e.x.baseVal[0].value),
  labels: [...side.querySelectorAll("text")].map(e => e.textContent),
  nets: [...side.querySelectorAll("path[data-net]")].length,
  net: side.querySelector("g").dataset.net,
  rungs: side.querySelector("path[stroke-width]").getAttribute("d"),
  mark: ["cx", "cy"].map(c => Number(side.querySelector("circle").getAttribute(c))),
}))"""


def number(text):
    """The value of a text like 2.16 · 10⁻²¹."""
    raised = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
    return float(text.replace(" · 10", "e").translate(raised))


def agrees(figure, net, layers, layer):
    """Words, controls and marks are those of the state."""
    values = recorded(net, layers)
    reading, *words = figure.locator("p:not(.bn-caption)").all_text_contents()
    before, *shown = re.split(": variance |, gradient ", reading)
    assert before == f"layer {layer} of {layers}"
    for text, series in zip(shown, values, strict=True):
        if series[layer - 1] is None:
            assert text == "below 10⁻³⁰"
        else:
            assert number(text) == pytest.approx(series[layer - 1], rel=0.0051)
    assert words == Depth().data[net]["words"][str(layers)]
    assert figure.locator(":checked").get_attribute("value") == net
    deep, at = figure.locator("input[type=range]").all()
    assert deep.evaluate("e => e.ariaValueText") == f"{layers} layers"
    assert (at.input_value(), at.get_attribute("max")) == (str(layer), str(layers))
    for side, series, end in zip(figure.evaluate(READ), values, ENDS, strict=True):
        ends = [number(f"1 · {side['labels'][i]}") for i in (0, 2)]
        assert ends == pytest.approx([10**-end, 10**end])
        assert (side["net"], side["nets"]) == (net, len(NETS) + 1)
        reach = side["ticks"][2]
        assert side["ticks"] == [-reach, 0, reach] and reach > 40
        backward = series is values[1]
        rungs = [
            [float(x) for x in re.split("[ H]", r)]
            for r in side["rungs"].split("M")[1:]
        ]
        marks = [
            max(-reach - 20, min(reach + 20, reach * place(v, end))) for v in series
        ]
        heights = [-380 * (i + 0.5) / layers for i in range(layers)]
        starts = [marks[-1 if backward else 0]] * layers
        for column, expected in zip(
            zip(*rungs, strict=True), (starts, heights, marks), strict=True
        ):
            assert column == pytest.approx(expected, abs=1e-3)
        assert side["mark"] == pytest.approx([marks[layer - 1], heights[layer - 1]])


def rung(figure, layers, layer, height=0.5):
    """A place in a layer, at `height` of its part of the ladder, in the drawing."""
    box = figure.locator("svg").bounding_box()
    return {"x": box["width"] / 4, "y": 400 - 380 * (layer - 1 + height) / layers}


def test_in_random_states_it_shows_what_was_recorded(figure):
    draw = random.Random(0)
    deep, at = figure.locator("input[type=range]").all()
    net, layers, layer = "batch norm", 50, 1
    agrees(figure, net, layers, layer)
    for _state in range(STATES):
        net, layers = draw.choice(NETS), draw.choice(depth.DEPTHS)
        figure.get_by_role("radio", name=net, exact=True).check()
        deep.fill(str(depth.DEPTHS.index(layers)))
        agrees(figure, net, layers, min(layer, layers))
        layer = draw.randint(1, layers)
        if draw.random() < 0.5:
            at.fill(str(layer))
        else:
            where = rung(figure, layers, layer, draw.uniform(0.2, 0.8))
            figure.locator("svg").hover(position=where)
        agrees(figure, net, layers, layer)


def test_keys_change_net_depth_and_layer(figure):
    deep, at = figure.locator("input[type=range]").all()
    figure.get_by_role("radio", name="batch norm", exact=True).focus()
    figure.page.keyboard.press("ArrowRight")
    agrees(figure, "residual", 50, 1)
    deep.press("ArrowRight")
    deep.press("ArrowRight")
    agrees(figure, "residual", 80, 1)
    for key, layer in (("ArrowUp", 2), ("End", 80), ("ArrowLeft", 79), ("Home", 1)):
        at.press(key)
        agrees(figure, "residual", 80, layer)
    at.press("End")
    deep.press("Home")
    agrees(figure, "residual", 2, 2)


def test_a_finger_chooses_a_layer(figure):
    ladder = figure.locator("svg")
    ladder.scroll_into_view_if_needed()
    for layer in (50, 17):
        box, where = ladder.bounding_box(), rung(figure, 50, layer)
        touch(figure, (box["x"] + where["x"], box["y"] + where["y"]))
        agrees(figure, "batch norm", 50, layer)


def test_buttons_set_the_states_that_the_text_speaks_of(figure):
    figure.locator("input[type=range]").nth(1).fill("9")
    for net, layers in (
        ("plain", 50),
        ("residual", 50),
        ("residual + batch norm", 100),
        ("batch norm", 50),
    ):
        name = f"{net}, {layers} layers"
        figure.get_by_role("button", name=name, exact=True).click()
        agrees(figure, net, layers, 1)


def test_what_leaves_the_scale_ends_beyond_the_outer_line_and_is_read_out(figure):
    figure.get_by_role("button", name="plain, 50 layers").click()
    forward, backward = figure.evaluate(READ)
    assert backward["mark"][0] == backward["ticks"][0] - 20
    figure.locator("input[type=range]").nth(1).fill("50")
    assert "variance below 10⁻³⁰" in figure.locator("p").first.text_content()
    agrees(figure, "plain", 50, 50)


def test_a_pointer_beyond_the_ladder_chooses_an_end(figure):
    ladder = figure.locator("svg")
    for y, layer in ((1, 50), (423, 1)):
        ladder.hover(position={"x": 100, "y": y})
        agrees(figure, "batch norm", 50, layer)


def test_it_works_on_a_phone(figure):
    figure.page.set_viewport_size({"width": 390, "height": 800})
    figure.page.wait_for_function(
        "document.querySelector('.bn-ladder text').x.baseVal[0].value > -70"
    )
    assert figure.page.evaluate("document.documentElement.scrollWidth") <= 390
    agrees(figure, "batch norm", 50, 1)
