"""The figure of depth: its record repeats, and what it shows is what was recorded."""

import html
import math
import random
import re
from statistics import median

import pytest
import torch
from torch import nn

import depth
from bn import BatchNorm
from conftest import alive, touch
from fashion_mnist import load
from figures import Depth
from records import read_record

RUNS = read_record("depth")["runs"]
NETS = list(RUNS)
ENDS = 16, 8  # the powers of ten at the ends of the scales, forward and backward
EDGE = 1.25  # where a ladder is cut off; the scale ends at 1
STATES = 15


def recorded(net, layers):
    """Variances and gradients, layer by layer."""
    run = RUNS[net]
    return run["variance"][:layers], run["gradient"][str(layers)]


def grown(net, layers):
    """Both, relative to where they start: at the first layer and at the last."""
    variance, gradient = recorded(net, layers)
    return (
        [v and v / variance[0] for v in variance],
        [g / gradient[-1] for g in gradient],
    )


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
    assert NETS == list(depth.NETS) == list(Depth().data["nets"])
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


@pytest.mark.parametrize("net", NETS)
def test_a_net_has_as_many_equal_layers_as_it_is_deep(net):
    layers = [m for m in depth.NETS[net](3, 8).modules() if isinstance(m, nn.Linear)]
    sizes = [(layer.in_features, layer.out_features) for layer in layers]
    assert sizes == [(784, 8), (8, 8), (8, 8), (8, 8), (8, 10)]
    normed = any(isinstance(m, BatchNorm) for m in depth.NETS[net](3, 8).modules())
    assert normed == ("batch norm" in net)
    he = all(layer.bias.abs().max() == 0 for layer in layers)
    assert he == (net != "plain")


def place(value, end):
    """Where a rung ends: at 0 on the axis, at -1 and 1 where the scale does."""
    return math.log10(value or 1e-99) / end


def growth_in_words(net, layers):
    """What is said of a net's growth, forward and backward."""
    up, down = (median(growth(net, layers, name)) for name in ("variance", "gradient"))
    if net == "residual + batch norm":
        gradient = recorded(net, layers)[1]
        step = median(growth(net, layers, "variance_step"))
        return f"+{step:.2f} a layer", f"×{gradient[0] / gradient[-1]:.2g} in all"
    return f"×{up:#.3g} a layer", f"×{down:#.3g} a layer"


THEORY = {
    "plain": (1 / 6, math.sqrt(1 / 6)),
    "plain, He": (None, 1),
    "batch norm": (1, math.sqrt(math.pi / (math.pi - 1))),
    "residual": (2, math.sqrt(2)),
    "residual + batch norm": (1 - 1 / math.pi, None),
    "SkipInit": (1, 1),
}


def test_theory_is_what_the_formulas_give():
    for net, numbers in THEORY.items():
        for words in Depth().data["nets"][net]["words"].values():
            for (_, theory), exact in zip(words, numbers, strict=True):
                if exact is None:
                    assert theory in ("", "slower\nthe deeper")
                else:
                    name, digits = theory.split()
                    assert name == "theory"
                    places = len(digits.partition(".")[2])
                    assert float(digits) == pytest.approx(round(exact, places))


def test_where_nothing_was_recorded_the_variance_is_below_what_is_said():
    for net, run in RUNS.items():
        if None in run["variance"]:
            assert net == "plain"
            assert depth.FLOOR / run["variance"][0] < 1e-27


def said(layers):
    """The sentence above the ladders."""
    gradient = grown("batch norm", layers)[1][0]
    before, number = Depth().data["said"][str(layers)].rstrip(".").split(" ×")
    assert worth(f"×{number}") == pytest.approx(gradient, rel=0.051)
    stays = "With batch norm the variance stays"
    assert before == f"{stays}, and down {layers} layers the gradient grows"
    return f"{before} ×{number}."


@pytest.mark.parametrize(("layers", "layer"), [(50, 25), (100, 100), (2, 1)])
def test_the_picture_shows_the_record_and_its_growth(layers, layer):
    picture = Depth(depth=layers, layer=layer).picture()
    assert said(layers) in picture
    texts = re.findall("<text.*?>(.*?)</text>", picture)
    values = iter([t for t in texts if re.match("×[^ ]*$|<", html.unescape(t))])
    path = r'<path[^>]* d="(.*?)"/>'
    ladders = iter(re.findall(f'<g data-net="(.*?)"[^>]*>{path}{path}{path}', picture))
    for k, end in enumerate(ENDS):
        for net in NETS:
            name, rungs, faded, line = next(ladders)
            series = grown(net, layers)[k]
            expected = [place(v, end) for v in series]
            assert name == net
            assert growth_in_words(net, layers)[k] in [
                t.replace("\n", " ") for t in texts
            ]
            points = [tuple(map(float, p.split())) for p in line[1:].split("L")]
            assert [x for x, _ in points] == pytest.approx(expected, abs=1e-3)
            assert [y for _, y in points] == [-i - 0.5 for i in range(layers)]
            ends = [rung[2] for rung in numbers(rungs)]
            inside = [max(-1, min(1, x)) for x in expected]
            assert ends == pytest.approx(inside, abs=1e-3)
            beyond = [i for i, x in enumerate(expected) if abs(x) > 1]
            assert [rung[1] for rung in numbers(faded)] == [-i - 0.5 for i in beyond]
            check(next(values), series[layer - 1])


@pytest.fixture
def figure(browser, server):
    with alive(browser, server, "01-motivation", "depth") as figure:
        yield figure


READ = """figure => [...figure.querySelectorAll("tbody")].map(row => ({
  head: row.querySelector("th").innerText,
  cells: [...row.querySelectorAll("td")].map(td => {
    const svg = td.querySelector("svg");
    const box = e => e.getBoundingClientRect().toJSON();
    return {
      net: td.dataset.net,
      color: getComputedStyle(svg.children[2]).stroke,
      view: svg.getAttribute("viewBox").split(" ").map(Number),
      thick: parseFloat(getComputedStyle(svg.children[1]).strokeWidth),
      paths: [...svg.children].map(path => path.getAttribute("d")),
      ticks: [...td.querySelectorAll("span")].map(e => e.textContent),
      ticksAt: [...td.querySelectorAll("span")].map(box),
      words: ["b", "small", "i"].map(tag => td.querySelector(tag).textContent),
      line: parseFloat(getComputedStyle(td, "::before").top) + 0.5,
      layer: getComputedStyle(td, "::after").content,
      dot: box(svg.lastElementChild),
      svg: box(svg),
      td: box(td),
    };
  }),
}))"""


def worth(text):
    """The value of a text like ×2.1·10⁻²¹."""
    raised = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
    return float(text.removeprefix("×").replace("·10", "e").translate(raised))


def check(text, value):
    """A value in words: to three digits near 1, to two far from it."""
    if value is None:
        assert text in ("< 10⁻²⁷", "&lt; 10⁻²⁷")
    else:
        assert worth(text) == pytest.approx(
            value, rel=0.0055 if "·" not in text else 0.051
        )
        assert ("·" not in text) == (1e-3 < value < 1e3)


def numbers(path):
    """The coordinates in a path, one list for each part that begins with M."""
    return [
        [float(x) for x in re.findall(r"-?[\d.]+(?:e[-+]?\d+)?", part)]
        for part in path.split("M")[1:]
    ]


def agrees(figure, layers, layer):
    """Words, controls, ladders and marks are those of the state."""
    deep, at = figure.locator("input[type=range]").all()
    assert deep.input_value() == str(depth.DEPTHS.index(layers))
    assert deep.evaluate("e => e.ariaValueText") == f"{layers} layers"
    assert (at.input_value(), at.get_attribute("max")) == (str(layer), str(layers))
    assert at.evaluate("e => e.ariaValueText") == f"{layer} of {layers}"
    outputs = figure.locator("output").all_text_contents()
    assert outputs == [f"{layers} layers", f"{layer} of {layers}"]
    assert figure.locator("p:not(.bn-caption)").all_text_contents() == [said(layers)]
    name = f"growth, theory, and the value in layer {layer}"
    assert figure.locator("table").evaluate("e => e.ariaLabel") == name
    assert figure.locator("thead th").all_text_contents() == NETS
    heights = [-k - 0.5 for k in range(layers)]
    width = figure.bounding_box()["width"] / len(NETS)
    for k, (row, end) in enumerate(zip(figure.evaluate(READ), ENDS, strict=True)):
        assert row["head"].startswith(("Forward ↑", "Backward ↓")[k])
        assert [cell["net"] for cell in row["cells"]] == NETS
        for cell in row["cells"]:
            net, series = cell["net"], grown(cell["net"], layers)[k]
            assert (cell["color"] == row["cells"][2]["color"]) == ("batch norm" in net)
            assert cell["view"] == [-EDGE, -layers, 2 * EDGE, layers]
            assert 0 < cell["thick"] <= 0.45
            low, one, high = cell["ticks"]
            assert one == "1"
            assert [worth(f"1·{t}") for t in (low, high)] == pytest.approx(
                [10.0**-end, 10.0**end]
            )
            places = [place(v, end) for v in series]
            stubs, rungs, (line,), (mark,) = map(numbers, cell["paths"])
            assert stubs == [[-0.07, y, 0.14] for y in heights]
            assert [rung[:2] for rung in rungs] == [[0, y] for y in heights]
            assert [rung[2] for rung in rungs] == pytest.approx(places, abs=1e-3)
            assert line[1::2] == heights
            assert line[::2] == pytest.approx(places, abs=1e-3)
            assert mark[0] == pytest.approx(places[layer - 1], abs=1e-3)
            assert mark[1] == heights[layer - 1]
            grows, theory, value = cell["words"]
            assert grows.replace("\n", " ") == growth_in_words(net, layers)[k]
            words = Depth().data["nets"][net]["words"][str(layers)]
            assert theory == words[k][1]
            check(value, series[layer - 1])
            # Where all this is on the screen, and the line through all columns.
            box, dot = cell["svg"], cell["dot"]
            height = box["height"] - 10
            across = box["x"] + box["width"] * (mark[0] + EDGE) / (2 * EDGE)
            down = box["y"] + 5 + height * (1 - (layer - 0.5) / layers)
            assert [dot["x"], dot["y"]] == pytest.approx([across, down], abs=0.1)
            assert cell["td"]["y"] + cell["line"] == pytest.approx(down, abs=0.6)
            assert box["width"] == pytest.approx(width, abs=0.1)
            assert box["x"] == pytest.approx(cell["td"]["x"], abs=0.1)
            tick = cell["ticksAt"][1]
            middle = box["x"] + box["width"] / 2
            assert tick["x"] + tick["width"] / 2 == pytest.approx(middle, abs=0.6)


def where(ladder, layers, layer, height=0.5):
    """A place in a layer, at `height` of its part of the ladder, on the screen."""
    box = ladder.bounding_box()
    inner = box["height"] - 10
    y = box["y"] + 5 + inner * (1 - (layer - 1 + height) / layers)
    return box["x"] + box["width"] / 2, y


def test_in_random_states_it_shows_what_was_recorded(figure):
    draw = random.Random(0)
    deep, at = figure.locator("input[type=range]").all()
    layers, layer = 50, 25
    agrees(figure, layers, layer)
    ladders = figure.locator("td svg").all()
    assert len(ladders) == 2 * len(NETS)
    for _state in range(STATES):
        layers = draw.choice(depth.DEPTHS)
        deep.fill(str(depth.DEPTHS.index(layers)))
        agrees(figure, layers, min(layer, layers))
        layer = draw.randint(1, layers)
        if draw.random() < 0.3:
            at.fill(str(layer))
        else:
            ladder, height = draw.choice(ladders), draw.uniform(0.2, 0.8)
            figure.page.mouse.move(*where(ladder, layers, layer, height))
        agrees(figure, layers, layer)


def test_keys_change_depth_and_layer(figure):
    deep, at = figure.locator("input[type=range]").all()
    deep.press("ArrowRight")
    deep.press("ArrowRight")
    agrees(figure, 80, 25)
    for key, layer in (("ArrowUp", 26), ("End", 80), ("ArrowLeft", 79), ("Home", 1)):
        at.press(key)
        agrees(figure, 80, layer)
    at.press("End")
    deep.press("Home")
    agrees(figure, 2, 2)


def test_a_shallow_net_does_not_lose_the_chosen_layer(figure):
    deep = figure.locator("input[type=range]").first
    deep.press("Home")
    agrees(figure, 2, 2)
    deep.press("End")
    agrees(figure, 100, 25)


def test_a_finger_chooses_a_layer(figure):
    ladders = figure.locator("td svg")
    for net, layer in ((2, 50), (9, 17)):
        ladders.nth(net).scroll_into_view_if_needed()
        touch(figure, where(ladders.nth(net), 50, layer))
        agrees(figure, 50, layer)


def test_a_pointer_at_the_edge_of_a_ladder_chooses_an_end(figure):
    for y, layer in ((1, 50), (209, 1)):
        figure.locator("td svg").nth(4).hover(position={"x": 30, "y": y})
        agrees(figure, 50, layer)


def test_a_pointer_beside_the_ladders_chooses_nothing(figure):
    for outside in ("th", "td b", "p"):
        figure.locator(outside).first.hover()
        agrees(figure, 50, 25)


def test_what_leaves_the_scale_fades_out_and_is_read_out(figure):
    deep, at = figure.locator("input[type=range]").all()
    deep.press("End")
    at.press("End")
    plain = figure.evaluate(READ)[0]["cells"][0]
    assert plain["words"][2] == "< 10⁻²⁷"
    assert plain["paths"][3] == "M-6.1875 -99.5h0"
    mask = figure.locator("td svg").first.evaluate("e => getComputedStyle(e).maskImage")
    stops = re.findall(r"(rgba?\(.*?\))((?: \d+%)*)", mask)
    inside = [50 * (1 - 1 / EDGE), 50 * (1 + 1 / EDGE)]  # of a hundred parts
    assert stops[0] == stops[-1] == ("rgba(0, 0, 0, 0)", "")
    assert [
        float(x) for _, at in stops for x in re.findall(r"\d+", at)
    ] == pytest.approx(inside)


def test_the_table_is_read_in_order(figure):
    heads = figure.locator("th")
    assert heads.evaluate_all("all => all.map(e => e.scope)") == (
        ["col"] * 6 + ["rowgroup"] * 2
    )
    assert figure.locator("[aria-live=polite]").count() == 1
    assert figure.locator("td").nth(8).inner_text().split("\n")[-3:] == [
        "×1.20 a layer",
        "theory 1.21",
        "×99.3",
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_works_on_a_phone(figure, scheme):
    figure.page.set_viewport_size({"width": 390, "height": 800})
    figure.page.emulate_media(color_scheme=scheme)
    assert figure.page.evaluate("document.documentElement.scrollWidth") <= 390
    deep, at = figure.locator("input[type=range]").all()
    agrees(figure, 50, 25)
    deep.press("End")
    at.press("End")
    agrees(figure, 100, 100)
    assert figure.page.evaluate("document.documentElement.scrollWidth") <= 390
    sizes = figure.evaluate(
        """figure => [...figure.querySelectorAll("th, td *, p, label, output")]
          .map(e => parseFloat(getComputedStyle(e).fontSize))"""
    )
    assert min(sizes) >= 11
    spill = """figure => [...figure.querySelectorAll("th, td :is(b, small, i, span)")]
      .filter(e => getComputedStyle(e).visibility === "visible")
      .filter(e => {
        const box = e.closest("th, td").getBoundingClientRect();
        const range = document.createRange();
        range.selectNodeContents(e);
        const text = range.getBoundingClientRect();
        return text.width && (text.left < box.left - 1 || text.right > box.right + 1);
      }).map(e => e.textContent)"""
    assert figure.evaluate(spill) == []
