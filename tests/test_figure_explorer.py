"""The training explorer: what it shows is what the record says."""

import math
import random
import re
from itertools import combinations
from statistics import median

import pytest

from conftest import alive, touch
from figures import Explorer
from figures.explorer import EPOCHS, RATES, RECORDED, SEEDS, TRIES
from records import read_record

RUNS = read_record("lenet_rates")["runs"]
NETS = {"batch norm": "bn", "plain": "plain"}
UPDATES = 235  # in an epoch
# Geometry in px: the height of the charts, and what lies in them.
RATE, TIME, LEFT, RIGHT, ZERO, AXIS, TOP = 270, 334, 56, 92, 80, 44, 12
ROW, SHARES, CAP = 72.5, 46, 550


def runs(net, rate):
    return [RUNS[f"{net} lr={rate:g} seed={seed}"] for seed in SEEDS]


def accuracies(net, rate):
    """The training accuracies of five runs after each epoch, and their median."""
    lines = [run["train_acc"] for run in runs(net, rate)]
    return [*lines, [median(epoch) for epoch in zip(*lines, strict=True)]]


def ends(net):
    """What five runs reached in the end at each rate, and its median."""
    lines = [[runs(net, rate)[i]["train_acc"][-1] for rate in RATES] for i in SEEDS]
    return [*lines, [median(rate) for rate in zip(*lines, strict=True)]]


def final(net, rate, key):
    """The median of what five runs reached in the end."""
    if key == "test_acc" and net == "bn":
        key = "test_acc_recalibrated"
    return median(run[key][-1] for run in runs(net, rate))


def recorded(epoch):
    """The last epoch until then of which there are histograms."""
    return max(e for e in RECORDED if e <= epoch)


def histograms(net, rate, epoch):
    return RUNS[f"{net} lr={rate:g} seed=0"]["pre_activations"][str(UPDATES * epoch)]


def beyond(net, rate, epoch):
    """The shares of pre-activations beyond ±4, in percent, layer by layer."""
    centres = [-8 + 0.2 * (i + 0.5) for i in range(80)]
    shares = []
    for counts in histograms(net, rate, epoch):
        pairs = zip(counts, centres, strict=True)
        outside = sum(count for count, z in pairs if abs(z) > 4)
        shares.append(100 * outside / sum(counts))
    return shares


def per_thousand(net, rate, epoch, layer):
    """The shares of pre-activations in bins of 0.4, per thousand."""
    bins = histograms(net, rate, epoch)[layer]
    pairs = zip(bins[::2], bins[1::2], strict=True)
    return [1000 * (a + b) / sum(bins) for a, b in pairs]


def accuracy(y, tall):
    """What a height stands for: errors are on a logarithmic scale."""
    unit = (tall - ZERO - TOP) / 1.12
    return 1 - 10 ** ((y - (tall - ZERO)) / unit)


def points(path):
    """The points of the data of a path as pairs of numbers."""
    pairs = re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path)
    return [(float(x), float(y)) for x, y in pairs]


# All that is drawn, read at once: a figure has too many marks to ask for each.
SNAPSHOT = """figure => {
  const box = e => (({ x, y, width, height }) => ({ x, y, width, height }))(
    e.getBoundingClientRect());
  const all = (root, kind) => [...root.querySelectorAll(kind)];
  return {
    notes: all(figure, ".bn-note").map(e => e.innerText),
    sliders: all(figure, "input").map(e => ({
      value: Number(e.value), max: Number(e.max), box: box(e),
      min: Number(e.min), said: e.ariaValueText })),
    pressed: all(figure, "button[aria-pressed=true]").map(e => e.innerText),
    charts: all(figure, "svg").map(svg => ({
      width: svg.viewBox.baseVal.width, box: box(svg),
      marks: all(svg, "*").map(e => ({
        kind: " " + e.getAttribute("class") + " ", text: e.textContent, box: box(e),
        ...Object.fromEntries([...e.attributes].map(a => [a.name, a.value])) })) })),
  };
}"""


def marks(chart, *kinds):
    """The marks of a chart that have all these classes."""
    return [
        mark
        for mark in chart["marks"]
        if all(f" bn-{kind} " in mark["kind"] for kind in kinds)
    ]


def lines(chart, *kinds):
    return [points(mark["d"]) for mark in marks(chart, *kinds)]


def close(values, tolerance=0.001):
    return pytest.approx(values, abs=tolerance)


def test_the_grid_is_complete():
    assert len(RATES) >= 6 and min(RATES) == 0.01 and max(RATES) == 3
    assert len(SEEDS) >= 5
    for net in NETS.values():
        for rate in RATES:
            assert all(len(run["train_acc"]) == 10 for run in runs(net, rate))


def test_what_a_page_ships_is_small():
    assert len(Explorer().twin()) < 100_000


def test_the_histograms_are_those_of_the_record():
    data = Explorer().data
    for net in NETS.values():
        for r, rate in enumerate(RATES):
            for k, epoch in enumerate(RECORDED):
                for layer, shown in enumerate(data[net]["counts"][r][k]):
                    shares = per_thousand(net, rate, epoch, layer)
                    assert shown == pytest.approx(shares, abs=0.5)
                    assert max(shown) <= CAP  # so no peak is cut


def test_every_stop_shows_the_last_histograms_until_then():
    data = Explorer().data
    assert [RECORDED[seen] for seen in data["seen"]] == [*map(recorded, EPOCHS)]
    assert [*map(recorded, EPOCHS)] == [1, 2, 2, 4, 4, 6, 6, 8, 8, 10]
    kept = RUNS["bn lr=1 seed=0"]["pre_activations"]
    assert {str(UPDATES * epoch) for epoch in RECORDED} <= set(kept)


def test_the_picture_has_the_runs_and_their_median_at_the_rate():
    picture = Explorer(rate=0).picture()
    for net in NETS.values():
        found = re.findall(rf'class="bn-curve[^"]*bn-{net}" .*? d="(.*?)"', picture)
        drawn = [[y for _, y in points(line)] for line in found]
        assert len(drawn) == 2 * (len(SEEDS) + 1)
        for line, values in zip(
            drawn, [*ends(net), *accuracies(net, 0.01)], strict=True
        ):
            tall = RATE if len(values) == len(RATES) else TIME
            assert [accuracy(y, tall) for y in line] == close(values)
        shares = re.findall(rf'class="bn-ink bn-{net}"[^>]*>(\d+) %', picture)
        assert [int(share) for share in shares] == close(beyond(net, 0.01, 1), 0.51)


def test_the_picture_says_the_numbers_of_its_state():
    picture = Explorer(rate=4, epoch=10).picture()
    written = re.findall(r">(0\.\d{3})<", picture)
    reached = [final(net, 1, "train_acc") for net in NETS.values()]
    assert [float(value) for value in written] == close([*reached, *reached], 0.00051)
    assert "after epoch 10, layer" in picture
    assert "after epoch 2, the last recorded, layer" in Explorer(epoch=3).picture()


@pytest.fixture(params=["06-lenet", "index"])
def explorer(browser, server, request):
    with alive(browser, server, request.param, "explorer") as figure:
        yield figure


def agrees(figure, rate, epoch):
    """All that is shown belongs to this rate and this epoch."""
    lr, seen = RATES[rate], recorded(epoch)
    late = "" if seen == epoch else ", the last recorded"
    shown = figure.evaluate(SNAPSHOT)
    notes, (band, curves, layers) = shown["notes"], shown["charts"]
    said = [slider["said"] for slider in shown["sliders"]]
    assert f"On test images at rate {lr:g}:" in notes[0]
    assert notes[1].startswith(f"at rate {lr:g}:")
    assert notes[2] == f"after epoch {seen}{late}, layer by layer"
    assert said[0].startswith(f"{lr:g}: ")
    assert said[1].startswith(f"{epoch}: accuracy batch norm ")
    assert f"; beyond ±4 after epoch {seen}{late}: " in said[1]
    texts = [mark["text"] for mark in marks(layers, "quiet")]
    assert texts[:4] == ["conv 1", "conv 2", "linear 1", "linear 2"]
    assert texts[4:] == ["−4", "0", "4", "saturated", "saturated", "beyond ±4"]
    heights = [float(mark["y"]) for mark in marks(layers, "quiet")[:4]]
    assert heights == [25 + ROW * layer for layer in range(4)]
    places = [float(mark["x"]) for mark in marks(layers, "quiet")[4:7]]
    assert places == close([(layers["width"] - SHARES) * k / 4 for k in (1, 2, 3)])
    right = layers["box"]["x"] + layers["box"]["width"]
    assert all(
        mark["box"]["x"] + mark["box"]["width"] <= right
        for mark in marks(layers, "quiet")
    )
    states = {text: (TRIES[text]["rate"], TRIES[text]["epoch"]) for text in TRIES}
    assert shown["pressed"] == [t for t in states if states[t] == (rate, epoch)]
    for name, net in NETS.items():
        (test,) = re.findall(rf"{name} (\d\.\d+)", notes[0])
        assert float(test) == close(final(net, lr, "test_acc"), 0.00051)
        (end,) = re.findall(rf"{name} (\d\.\d+)", said[0])
        assert float(end) == close(final(net, lr, "train_acc"), 0.00051)
        (reached,) = re.findall(rf"{name} (\d\.\d+)", said[1])
        assert float(reached) == close(accuracies(net, lr)[-1][epoch - 1], 0.00051)
        (shares,) = re.findall(rf"{name} ((?:\d+ %(?:, )?)+)", said[1])
        spoken = [int(share) for share in re.findall(r"\d+", shares)]
        assert spoken == close(beyond(net, lr, seen), 0.51)
        shows_accuracies(band, net, ends(net), rate, RATE)
        shows_accuracies(curves, net, accuracies(net, lr), epoch - 1, TIME)
        shows_histograms(layers, net, rate, seen)
    on_the_axis(band, shown["sliders"][0], rate, RATES)
    on_the_axis(curves, shown["sliders"][1], epoch - 1, EPOCHS)


def shows_accuracies(chart, net, expected, position, tall):
    """Five runs, their median and, where the thumb is, its number."""
    drawn = lines(chart, "curve", net)
    assert len(marks(chart, "thin", net)) == len(SEEDS) == len(drawn) - 1
    unit = (chart["width"] - LEFT - RIGHT) / (len(expected[0]) - 1)
    for line, values in zip(drawn, expected, strict=True):
        assert [accuracy(y, tall) for _, y in line] == close(values)
        places = [LEFT + unit * k for k in range(len(values))]
        assert [x for x, _ in line] == close(places, 0.06)
    (dot,) = marks(chart, "dot", net)
    point = drawn[-1][position]
    assert (float(dot["cx"]), float(dot["cy"])) == close(point, 0.06)
    name, number = marks(chart, "ink", net)
    assert float(name["y"]) - 5 == close(drawn[-1][-1][1], 0.1)
    assert float(number["text"]) == close(expected[-1][position], 0.00051)
    assert float(number["y"]) - 21 == close(point[1], 0.1)
    assert float(number["x"]) - 10 == close(point[0], 0.1)


def on_the_axis(chart, slider, position, values):
    """Lines, thumb and label stand in one place."""
    last = len(values) - 1
    assert slider["max"] - slider["min"] == last
    assert slider["value"] - slider["min"] == position
    expected = LEFT + (chart["width"] - LEFT - RIGHT) * position / last
    for line in marks(chart, "line"):
        assert float(re.match(r"M([\d.]+)", line["d"])[1]) == close(expected, 0.1)
    thumb = 24
    centre = thumb / 2 + (slider["box"]["width"] - thumb) * position / last
    assert slider["box"]["x"] - chart["box"]["x"] + centre == close(expected, 0.6)
    text = f"{values[position]:g}"
    labels = [float(m["x"]) for m in marks(chart, "quiet") if m["text"] == text]
    assert any(x == close(expected, 0.1) for x in labels)


def shows_histograms(layers, net, rate, epoch):
    shares = [int(mark["text"].split()[0]) for mark in marks(layers, "ink", net)]
    assert shares == close(beyond(net, RATES[rate], epoch), 0.51)
    sign = -1 if net == "bn" else 1
    edge = layers["width"] - SHARES
    areas = lines(layers, "area", net)
    assert len(areas) == 4
    for layer, area in enumerate(areas):
        zero = ROW * (layer + 0.5) + sign
        heights = [sign * (y - zero) / (ROW / 2 - 3) * CAP for _, y in area[1:-1]]
        counts = per_thousand(net, RATES[rate], epoch, layer)
        assert heights == close(counts, 1.5)
        assert all(abs(y - zero) < ROW / 2 for _, y in area)
        centres = [edge * (i + 0.5) / 40 for i in range(40)]
        assert [x for x, _ in area[1:-1]] == close(centres, 0.06)


def test_it_opens_at_rate_1_after_the_first_epoch(explorer):
    agrees(explorer, RATES.index(1), 1)


def test_names_and_numbers_never_overlap(explorer):
    """Neither the two numbers of a chart nor a number and a name."""
    rates, epochs = explorer.locator("input").all()
    for page_width in (1000, 390):
        explorer.page.set_viewport_size({"width": page_width, "height": 900})
        explorer.page.wait_for_timeout(100)
        for epoch in EPOCHS:
            rates.fill(str(min(epoch - 1, len(RATES) - 1)))
            epochs.fill(str(epoch))
            for chart in explorer.evaluate(SNAPSHOT)["charts"][:2]:
                boxes = [mark["box"] for mark in marks(chart, "ink")]
                right = chart["box"]["x"] + chart["box"]["width"]
                assert all(box["x"] + box["width"] <= right for box in boxes)
                assert not any(overlap(*pair) for pair in combinations(boxes, 2))


def overlap(a, b, margin=4):
    """Whether two boxes share more than the margin of a line of text."""
    across = min(a["x"] + a["width"], b["x"] + b["width"]) - max(a["x"], b["x"])
    down = min(a["y"] + a["height"], b["y"] + b["height"]) - max(a["y"], b["y"])
    return across > 0 and down > margin


def test_sliders_choose_rate_and_epoch(explorer):
    draw = random.Random(0)
    rates, epochs = explorer.locator("input").all()
    for _state in range(8):
        rate, epoch = draw.randrange(len(RATES)), draw.choice(EPOCHS)
        rates.fill(str(rate))
        epochs.fill(str(epoch))
        agrees(explorer, rate, epoch)
    rates.focus()
    explorer.page.keyboard.press("Home")
    explorer.page.keyboard.press("ArrowRight")
    agrees(explorer, 1, epoch)
    epochs.focus()
    explorer.page.keyboard.press("End")
    explorer.page.keyboard.press("ArrowLeft")
    agrees(explorer, 1, 9)


def test_a_click_or_a_finger_on_a_chart_moves_its_slider(explorer):
    band, curves, _ = explorer.locator("svg").all()

    def spot(chart, share):
        box = chart.bounding_box()
        x = box["x"] + LEFT + (box["width"] - LEFT - RIGHT) * share
        return x, box["y"] + 100

    explorer.page.mouse.click(*spot(band, 0.21))
    agrees(explorer, 1, 1)
    touch(explorer, spot(band, 0.98))
    agrees(explorer, 5, 1)
    explorer.page.mouse.click(*spot(curves, 0.76))
    agrees(explorer, 5, 8)
    touch(explorer, spot(curves, 0.02))
    agrees(explorer, 5, 1)


def test_a_thumb_can_be_dragged_along_its_axis(explorer):
    band = explorer.locator("svg").first
    box = band.bounding_box()
    unit = (box["width"] - LEFT - RIGHT) / (len(RATES) - 1)
    y = box["y"] + RATE - AXIS
    mouse = explorer.page.mouse
    mouse.move(box["x"] + LEFT + 4 * unit, y)
    mouse.down()
    mouse.move(box["x"] + LEFT + 2 * unit + 5, y, steps=4)
    mouse.up()
    agrees(explorer, 2, 1)


def test_the_buttons_set_the_states_that_they_name(explorer):
    buttons = explorer.get_by_role("button").all()
    assert [button.inner_text() for button in buttons] == [*TRIES]
    for button in buttons:
        text = button.inner_text()
        button.click()
        epoch = 1 if "first epoch" in text else 10
        rate = float(re.match(r"rate ([\d.]+):", text)[1])
        agrees(explorer, RATES.index(rate), epoch)
        assert button.get_attribute("aria-pressed") == "true"
    explorer.locator("input").first.press("Home")
    explorer.locator("input").last.press("Home")
    assert explorer.locator("[aria-pressed=true]").count() == 0


def test_the_words_on_the_buttons_are_true():
    """At 0.01 only one starts; at 3 both learn, with more than a fifth saturated."""
    low, high = (
        [final(net, r, "train_acc") for net in NETS.values()] for r in (0.01, 3)
    )
    assert low[0] > 0.8 and low[1] < 0.12 and min(high) > 0.8
    assert all(max(beyond(net, 3, 10)) > 20 for net in NETS.values())


def test_it_works_on_a_phone(explorer):
    explorer.page.set_viewport_size({"width": 390, "height": 800})
    band = "document.querySelector('[data-figure=explorer] svg')"
    explorer.page.wait_for_function(f"{band}.viewBox.baseVal.width < 390")
    assert explorer.page.evaluate("document.documentElement.scrollWidth") <= 390
    agrees(explorer, RATES.index(1), 1)
    sizes = explorer.locator("text").evaluate_all(
        "all => all.map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 12
    assert math.isclose(
        explorer.page.evaluate(f"{band}.getScreenCTM().a"), 1, rel_tol=0.01
    )
