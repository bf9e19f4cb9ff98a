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
from figures.depth import DOTTED
from records import read_record

RUNS = read_record("depth")["runs"]
NETS = list(RUNS)
ENDS = 16, 8  # the powers of ten at the ends of the scales, forward and backward
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
    """What is said of a net's growth, forward and backward, in one pattern for all."""
    factors = (median(growth(net, layers, name)) for name in ("variance", "gradient"))
    return [f"×{factor:#.3g} a\u00a0layer" for factor in factors]


# What the sentences of the theory name: numbers, and what stays.
THEORY = {
    "plain": [1 / 6, math.sqrt(1 / 6)],
    "plain, He": [],
    "batch norm": [math.sqrt(math.pi / (math.pi - 1))],
    "residual": [2, math.sqrt(2)],
    "residual + batch norm": [1 - 1 / math.pi],
    "SkipInit": [],
}


def test_theory_is_what_the_formulas_give():
    assert [*THEORY] == NETS
    for net, numbers in THEORY.items():
        text = Depth().data["nets"][net]["theory"]
        digits = re.findall(r"(?:by|adds|=) (\d[\d.]*\d|\d)", text)
        for shown, exact in zip(digits, numbers, strict=True):
            places = len(shown.partition(".")[2])
            assert float(shown) == pytest.approx(round(exact, places))
        stays = {"plain, He": "gradient", "batch norm": "variance", "SkipInit": "both"}
        assert re.findall(r"(\w+) stays?\b", text) == [
            word for name, word in stays.items() if name == net
        ]


def test_where_nothing_was_recorded_the_variance_is_below_what_is_said():
    for net, run in RUNS.items():
        if None in run["variance"]:
            assert net == "plain"
            assert depth.FLOOR / run["variance"][0] < 1e-27


def says(sentence, layers, net):
    """The sentence above the ladders says how far both have come, of which net."""
    pattern = (
        rf"(.*): from the first of {layers} layers to the last, the variance is "
        r"multiplied by (.*); down to the first, the gradient by (.*)\."
    )
    shown = re.fullmatch(pattern, sentence)
    assert shown[1] == net
    variance, gradient = grown(net, layers)
    check(shown[2], variance[layers - 1])
    check(shown[3], gradient[0])


@pytest.mark.parametrize(
    ("layers", "layer", "net"),
    [(50, 25, "batch norm"), (100, 100, "plain"), (2, 1, "residual")],
)
def test_the_picture_shows_the_record_and_its_growth(layers, layer, net):
    picture = Depth(depth=layers, layer=layer, net=net).picture()
    says(html.unescape(re.search('aria-label="(.*?)"', picture)[1]), layers, net)
    texts = [*map(html.unescape, re.findall("<text.*?>(.*?)</text>", picture))]
    says(" ".join(texts[1:3]), layers, net)  # on two lines
    shown = re.search(
        rf"(.*): up to layer {layer} the variance is multiplied by (.*), down to it "
        r"the gradient by (.*)\.",
        " ".join(texts[-2:]),
    )
    assert shown[1] == net
    for text, series in zip(shown.groups()[1:], grown(net, layers), strict=True):
        check(text, series[layer - 1])
    path = r'<path[^>]* d="(.*?)"/>'
    ladders = iter(re.findall(f'<g data-net="(.*?)"[^>]*>{path}{path}{path}', picture))
    factors = iter([text for text in texts if text.endswith("a\u00a0layer")])
    for k, end in enumerate(ENDS):
        for column in NETS:
            name, rungs, beyond, line = next(ladders)
            expected = [place(v, end) for v in grown(column, layers)[k]]
            assert name == column
            assert next(factors) == growth_in_words(column, layers)[k]
            points = [tuple(map(float, p.split())) for p in line[1:].split("L")]
            assert [x for x, _ in points] == pytest.approx(expected, abs=1e-3)
            assert [y for _, y in points] == [-i - 0.5 for i in range(layers)]
            assert_rungs(rungs, beyond, expected)


def assert_rungs(inside, beyond, places):
    """Rungs that end on the scale are in one path, those that go on in the other."""
    for path, far in ((inside, False), (beyond, True)):
        drawn = [i for i, x in enumerate(places) if (abs(x) > 1) == far]
        rungs = numbers(path)
        assert [rung[:2] for rung in rungs] == [[0, -i - 0.5] for i in drawn]
        assert [rung[2] for rung in rungs] == pytest.approx(
            [places[i] for i in drawn], abs=1e-3
        )


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
      color: getComputedStyle(svg.children[3]).stroke,
      view: svg.getAttribute("viewBox").split(" ").map(Number),
      thick: parseFloat(getComputedStyle(svg.children[1]).strokeWidth),
      paths: [...svg.children].map(path => path.getAttribute("d")),
      ticks: [...td.querySelectorAll("span")].map(e => e.textContent),
      ticksAt: [...td.querySelectorAll("span")].map(box),
      ticksSeen: [...td.querySelectorAll("span")].map(
        e => getComputedStyle(e).visibility === "visible"),
      growth: td.querySelector("b").textContent,
      line: parseFloat(getComputedStyle(td, "::before").top) + 0.5,
      layer: getComputedStyle(td, "::after").content,
      dot: box(svg.lastElementChild),
      svg: box(svg),
      td: box(td),
    };
  }),
}))"""


def worth(text):
    """The value of a text like 2.1·10⁻²¹."""
    raised = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
    return float(text.replace("·10", "e").translate(raised))


def check(text, value):
    """A value in words, to three digits."""
    if value is None:
        assert text == "less than 10⁻²⁷"
    else:
        assert worth(text) == pytest.approx(value, rel=0.0051)
        assert ("·" not in text) == (0.01 <= value < 999.5)


def numbers(path):
    """The coordinates in a path, one list for each part that begins with M."""
    return [
        [float(x) for x in re.findall(r"-?[\d.]+(?:e[-+]?\d+)?", part)]
        for part in path.split("M")[1:]
    ]


def agrees(figure, layers, layer, net="batch norm"):
    """Words, controls, ladders and marks are those of the state."""
    deep, at = figure.locator("input[type=range]").all()
    assert deep.input_value() == str(depth.DEPTHS.index(layers))
    assert deep.evaluate("e => e.ariaValueText") == f"{layers} layers"
    assert (at.input_value(), at.get_attribute("max")) == (str(layer), str(layers))
    assert at.evaluate("e => e.ariaValueText") == f"{layer} of {layers}"
    assert figure.locator(".bn-deep b").inner_text() == f"{layers} layers"
    assert figure.locator("[aria-pressed=true]").all_inner_texts() == [net]
    sentence, reading = figure.locator("p:not(.bn-caption)").all_text_contents()
    says(sentence, layers, net)
    theory = Depth().data["nets"][net]["theory"]
    pattern = rf"Up to layer {layer} the variance is multiplied by (.*), "
    pattern += r"down to it the gradient by (.*)\. "
    shown = re.fullmatch(pattern + re.escape(theory), reading).groups()
    for text, series in zip(shown, grown(net, layers), strict=True):
        check(text, series[layer - 1])
    assert figure.locator("thead th").all_text_contents() == NETS
    heights = [-k - 0.5 for k in range(layers)]
    for k, (row, end) in enumerate(zip(figure.evaluate(READ), ENDS, strict=True)):
        assert row["head"].startswith(("Forward ↑", "Backward ↓")[k])
        assert [cell["net"] for cell in row["cells"]] == NETS
        for cell in row["cells"]:
            column, series = cell["net"], grown(cell["net"], layers)[k]
            assert (cell["color"] == row["cells"][2]["color"]) == (
                "batch norm" in column
            )
            assert cell["view"] == [-1, -layers, 2, layers]
            assert 0 < cell["thick"] <= 0.45
            low, one, high = cell["ticks"]
            assert one == "1"
            assert [worth(f"1·{t}") for t in (low, high)] == pytest.approx(
                [10.0**-end, 10.0**end]
            )
            assert cell["ticksSeen"][::2] == [column == NETS[0]] * 2
            places = [place(v, end) for v in series]
            stubs, rungs, beyond, line, mark = cell["paths"]
            (line,) = numbers(line)
            assert numbers(stubs) == [[-0.07, y, 0.14] for y in heights]
            assert_rungs(rungs, beyond, places)
            assert line[1::2] == heights
            assert line[::2] == pytest.approx(places, abs=1e-3)
            assert cell["growth"] == growth_in_words(column, layers)[k]
            # Where all this is on the screen, and the line through all columns.
            box, td = cell["svg"], cell["td"]
            height = box["height"] - 10
            down = box["y"] + 5 + height * (1 - (layer - 0.5) / layers)
            assert td["y"] + cell["line"] == pytest.approx(down, abs=0.6)
            middle = box["x"] + box["width"] / 2
            assert middle == pytest.approx(td["x"] + td["width"] / 2, abs=0.1)
            assert td["width"] - 10.1 <= box["width"] < td["width"]
            tick = cell["ticksAt"][1]
            assert tick["x"] + tick["width"] / 2 == pytest.approx(middle, abs=0.6)
            if column == net:  # the dot is only there
                ((x, y),) = numbers(mark.removesuffix("h0"))
                assert x == pytest.approx(places[layer - 1], abs=1e-3)
                assert y == heights[layer - 1]
                across = middle + box["width"] / 2 * x
                at = cell["dot"]["x"], cell["dot"]["y"]
                assert at == pytest.approx((across, down), abs=0.1)
            else:
                assert mark == ""


def head(figure, net):
    """The button that chooses a net."""
    return figure.get_by_role("button", name=net, exact=True)


def where(ladder, layers, layer, height=0.5):
    """A place in a layer, at `height` of its part of the ladder, on the screen."""
    box = ladder.bounding_box()
    inner = box["height"] - 10
    y = box["y"] + 5 + inner * (1 - (layer - 1 + height) / layers)
    return box["x"] + box["width"] / 2, y


def test_in_random_states_it_shows_what_was_recorded(figure):
    draw = random.Random(0)
    deep, at = figure.locator("input[type=range]").all()
    layers, layer, net = 50, 25, "batch norm"
    agrees(figure, layers, layer)
    ladders = figure.locator("td svg").all()
    assert len(ladders) == 2 * len(NETS)
    for _state in range(STATES):
        layers = draw.choice(depth.DEPTHS)
        deep.fill(str(depth.DEPTHS.index(layers)))
        agrees(figure, layers, min(layer, layers), net)
        layer = draw.randint(1, layers)
        if draw.random() < 0.3:
            net = draw.choice(NETS)
            at.fill(str(layer))
            head(figure, net).click()
        else:
            k, height = draw.randrange(2 * len(NETS)), draw.uniform(0.2, 0.8)
            net = NETS[k % len(NETS)]
            figure.page.mouse.move(*where(ladders[k], layers, layer, height))
        agrees(figure, layers, layer, net)


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
    head(figure, "residual").press("Enter")
    agrees(figure, 2, 2, "residual")


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
        agrees(figure, 50, layer, NETS[net % len(NETS)])


def test_a_pointer_at_the_edge_of_a_ladder_chooses_an_end(figure):
    for y, layer in ((1, 50), (209, 1)):
        figure.locator("td svg").nth(4).hover(position={"x": 30, "y": y})
        agrees(figure, 50, layer, NETS[4])


def test_a_pointer_beside_the_ladders_chooses_nothing(figure):
    for outside in ("tbody th", "td b", "p"):
        figure.locator(outside).first.hover()
        agrees(figure, 50, 25)


def test_what_leaves_the_scale_is_cut_off_dotted_and_read_out(figure):
    deep, at = figure.locator("input[type=range]").all()
    deep.press("End")
    at.press("End")
    head(figure, "plain").press("Space")
    assert "by less than 10⁻²⁷, down to it the gradient by 1.00." in (
        figure.locator("p").last.inner_text()
    )
    plain = figure.evaluate(READ)[0]["cells"][0]
    assert plain["paths"][4] == "M-6.1875,-99.5h0"
    assert plain["td"]["x"] <= plain["svg"]["x"]
    style = "e => getComputedStyle(e).clipPath"
    clip = figure.locator("td svg").first.evaluate(style)
    style = "e => getComputedStyle(e.children[2]).strokeDasharray"
    dashes = figure.locator("td svg").first.evaluate(style)
    assert clip == "inset(-5px 0px)"  # nothing is seen beside the panel
    lengths = [float(length) for length in re.findall(r"[\d.]+", dashes)]
    assert sum(lengths[:-1]) < 1 < lengths[-1]  # the dots end before the panel does
    assert lengths == [float(length) for length in DOTTED.split()]


def test_the_table_is_read_in_order(figure):
    heads = figure.locator("th")
    assert heads.evaluate_all("all => all.map(e => e.scope)") == (
        ["col"] * 6 + ["rowgroup"] * 2
    )
    assert figure.locator("[aria-live=polite]").count() == 2
    assert figure.locator("td").nth(8).inner_text().strip() == "×1.20 a\u00a0layer"


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
        """figure => [...figure.querySelectorAll("th, td *, p, label, button")]
          .map(e => parseFloat(getComputedStyle(e).fontSize))"""
    )
    assert min(sizes) >= 11
    spill = """figure => [...figure.querySelectorAll("th, td :is(b, span)")]
      .filter(e => getComputedStyle(e).visibility === "visible")
      .filter(e => {
        const box = e.closest("th, td").getBoundingClientRect();
        const range = document.createRange();
        range.selectNodeContents(e);
        const text = range.getBoundingClientRect();
        return text.width && (text.left < box.left - 1 || text.right > box.right + 1);
      }).map(e => e.textContent)"""
    assert figure.evaluate(spill) == []
    for row in figure.evaluate(READ):  # the 1 has a line of its own, for want of room
        first, *others = row["cells"]
        low, one, high = first["ticksAt"]
        assert first["ticksSeen"] == [True] * 3
        assert one["bottom"] <= low["top"] + 1 == high["top"] + 1
        assert low["right"] <= high["left"]
        assert not any(seen for cell in others for seen in cell["ticksSeen"])
