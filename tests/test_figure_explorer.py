"""The training explorer: what it shows is what the record says."""

import math
import random
import re
from itertools import combinations
from statistics import median

import pytest

from conftest import alive, touch
from figures import Explorer
from figures.explorer import RATES, SEEDS, STEPS
from records import read_record

RUNS = read_record("lenet_rates")["runs"]
NETS = {"batch norm": "bn", "plain": "plain"}
EPOCH = 235  # updates
# Geometry in px: the height of the charts, and what lies in them.
BAND, TIME, LEFT, RIGHT, ZERO, AXIS, TOP = 250, 290, 56, 34, 80, 44, 12
ROW, SHARES, CAP = 61.5, 46, 300


def runs(net, rate):
    return [RUNS[f"{net} lr={rate:g} seed={seed}"] for seed in SEEDS]


def accuracies(net, rate):
    """The training accuracies of five runs after each epoch, and their median."""
    lines = [run["train_acc"] for run in runs(net, rate)]
    return [*lines, [median(epoch) for epoch in zip(*lines, strict=True)]]


def final(net, rate, key):
    """The median of what five runs reached in the end."""
    if key == "test_acc" and net == "bn":
        key = "test_acc_recalibrated"
    return median(run[key][-1] for run in runs(net, rate))


def beyond(net, rate, step):
    """The shares of pre-activations beyond ±4, in percent, layer by layer."""
    centres = [-8 + 0.2 * (i + 0.5) for i in range(80)]
    shares = []
    for counts in RUNS[f"{net} lr={rate:g} seed=0"]["pre_activations"][str(step)]:
        pairs = zip(counts, centres, strict=True)
        outside = sum(count for count, z in pairs if abs(z) > 4)
        shares.append(100 * outside / sum(counts))
    return shares


def per_thousand(net, rate, step, layer):
    """The shares of pre-activations in bins of 0.4, per thousand."""
    bins = RUNS[f"{net} lr={rate:g} seed=0"]["pre_activations"][str(step)][layer]
    pairs = zip(bins[::2], bins[1::2], strict=True)
    return [1000 * (a + b) / sum(bins) for a, b in pairs]


def accuracy(y, tall):
    """What a height stands for: errors are on a logarithmic scale."""
    unit = (tall - ZERO - TOP) / 1.2
    return 1 - 10 ** ((y - (tall - ZERO)) / unit)


def place(updates):
    """Where a number of updates lies on the axis, which is bent at the first epoch."""
    known = zip(STEPS, STEPS[1:], strict=False)
    for i, (before, after) in enumerate(known):
        if before <= updates <= after:
            return i + (updates - before) / (after - before)
    raise ValueError(updates)


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
      said: e.getAttribute("aria-valuetext") })),
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
            for s, step in enumerate(STEPS):
                for layer, shown in enumerate(data[net]["counts"][r][s]):
                    shares = per_thousand(net, rate, step, layer)
                    assert shown == pytest.approx(shares, abs=0.5)


def test_the_slider_says_epochs_where_an_epoch_is_recorded():
    (ticks,) = [a["ticks"] for a in Explorer().data["axes"] if a["label"] == "updates"]
    early = [step for step in STEPS if step < EPOCH]
    assert ticks == early + [step // EPOCH for step in STEPS[len(early) :]]
    recorded = RUNS["bn lr=1 seed=0"]["pre_activations"]
    assert {str(step) for step in STEPS} <= set(recorded)
    assert Explorer().data["epochs"] == [place(EPOCH * e) for e in range(1, 11)]


def test_the_picture_has_the_runs_and_their_median_at_the_rate():
    picture = Explorer(rate=0).picture()
    for net in NETS.values():
        found = re.findall(rf'class="bn-curve[^"]* ?bn-{net}" .*? d="(.*?)"', picture)
        band, *curves = [[y for _, y in points(line)] for line in found]
        ends = [final(net, rate, "train_acc") for rate in RATES]
        assert [accuracy(y, BAND) for y in band] == close(ends)
        assert len(curves) == len(SEEDS) + 1
        for line, values in zip(curves, accuracies(net, 0.01), strict=True):
            assert [accuracy(y, TIME) for y in line] == close(values)
        shares = re.findall(rf'class="bn-ink bn-{net}"[^>]*>(\d+) %', picture)
        assert [int(share) for share in shares] == close(beyond(net, 0.01, 235), 0.51)


def test_the_picture_says_the_numbers_of_its_state():
    picture = Explorer(rate=4, step=len(STEPS) - 1).picture()
    written = re.findall(r">(0\.\d{3})<", picture)
    ends = [final(net, 1, "train_acc") for net in NETS.values()]
    assert [float(value) for value in written] == close([*ends, *ends], 0.00051)
    assert "after epoch 10," in picture


@pytest.fixture(params=["06-lenet", "index"])
def explorer(browser, server, request):
    with alive(browser, server, request.param, "explorer") as figure:
        yield figure


def agrees(figure, rate, step):
    """All that is shown belongs to this rate and this number of updates."""
    lr, updates = RATES[rate], STEPS[step]
    moment = f"after {updates} updates" if updates else "before training"
    moment = f"after epoch {updates // EPOCH}" if updates >= EPOCH else moment
    shown = figure.evaluate(SNAPSHOT)
    notes, (band, curves, layers) = shown["notes"], shown["charts"]
    said = [slider["said"] for slider in shown["sliders"]]
    assert f"On test images at rate {lr:g}:" in notes[0]
    assert notes[1].startswith(f"at rate {lr:g}:")
    assert notes[2].startswith(f"{moment},")
    assert said[0].startswith(f"{lr:g}: ") and said[1].startswith(f"{moment};")
    for name, net in NETS.items():
        (test,) = re.findall(rf"{name} (\d\.\d+)", notes[0])
        assert float(test) == close(final(net, lr, "test_acc"), 0.00051)
        (end,) = re.findall(rf"{name} (\d\.\d+)", said[0])
        assert float(end) == close(final(net, lr, "train_acc"), 0.00051)
        (shares,) = re.findall(rf"{name} ((?:\d+ %(?:, )?)+)", said[1])
        spoken = [int(share) for share in re.findall(r"\d+", shares)]
        assert spoken == close(beyond(net, lr, updates), 0.51)
        shows_rates(band, net, rate)
        shows_time(curves, net, rate, step)
        shows_histograms(layers, net, rate, step)
    on_the_axis(band, shown["sliders"][0], rate, RATES)
    on_the_axis(curves, shown["sliders"][1], step, STEPS)


def shows_rates(band, net, rate):
    """The upper chart: medians, range and, where the thumb is, a number."""
    (line,) = lines(band, "curve", net)
    ends = [final(net, lr, "train_acc") for lr in RATES]
    assert [accuracy(y, BAND) for _, y in line] == close(ends)
    (spread,) = lines(band, "spread", net)
    reached = [[run["train_acc"][-1] for run in runs(net, lr)] for lr in RATES]
    sides = [*map(max, reached), *[min(values) for values in reached][::-1]]
    assert [accuracy(y, BAND) for _, y in spread] == close(sides)
    marked(band, net, line[rate], ends[rate])


def shows_time(curves, net, rate, step):
    """The lower chart: five runs, their median and, from epoch 1 on, a number."""
    drawn = lines(curves, "curve", net)
    values = accuracies(net, RATES[rate])
    unit = (curves["width"] - LEFT - RIGHT) / (len(STEPS) - 1)
    places = [LEFT + unit * place(EPOCH * epoch) for epoch in range(1, 11)]
    for line, expected in zip(drawn, values, strict=True):
        assert [accuracy(y, TIME) for _, y in line] == close(expected)
        assert [x for x, _ in line] == close(places, 0.06)
    if STEPS[step] < EPOCH:
        assert not marks(curves, "dot", net)
        assert len(marks(curves, "ink", net)) == 1
    else:
        epoch = STEPS[step] // EPOCH
        marked(curves, net, drawn[-1][epoch - 1], values[-1][epoch - 1])


def marked(chart, net, point, value):
    """The dot lies on the line, and beside it stands the number."""
    (dot,) = marks(chart, "dot", net)
    assert (float(dot["cx"]), float(dot["cy"])) == close(point, 0.06)
    _name, number = marks(chart, "ink", net)
    assert float(number["text"]) == close(value, 0.00051)
    assert abs(float(number["y"]) - 5 - point[1]) == close(17, 0.1)
    assert abs(float(number["x"]) - point[0]) == close(12, 0.1)


def on_the_axis(chart, slider, position, values):
    """Line, thumb and label stand in one place."""
    last = len(values) - 1
    assert (slider["value"], slider["max"]) == (position, last)
    expected = LEFT + (chart["width"] - LEFT - RIGHT) * position / last
    (line,) = marks(chart, "line")
    assert float(re.match(r"M([\d.]+)", line["d"])[1]) == close(expected, 0.1)
    thumb = 24
    centre = thumb / 2 + (slider["box"]["width"] - thumb) * position / last
    assert slider["box"]["x"] - chart["box"]["x"] + centre == close(expected, 0.6)
    text = f"{values[position]:g}"
    if values is STEPS and values[position] >= EPOCH:
        text = f"{values[position] // EPOCH}"
    labels = [float(m["x"]) for m in marks(chart, "quiet") if m["text"] == text]
    assert any(x == close(expected, 0.1) for x in labels)


def shows_histograms(layers, net, rate, step):
    shares = [int(mark["text"].split()[0]) for mark in marks(layers, "ink", net)]
    assert shares == close(beyond(net, RATES[rate], STEPS[step]), 0.51)
    sign = -1 if net == "bn" else 1
    edge = layers["width"] - SHARES
    areas = lines(layers, "area", net)
    assert len(areas) == 4
    for layer, area in enumerate(areas):
        zero = ROW * (layer + 0.5) + sign
        heights = [sign * (y - zero) / (ROW / 2 - 3) * CAP for _, y in area[1:-1]]
        counts = per_thousand(net, RATES[rate], STEPS[step], layer)
        assert heights == close([min(CAP, count) for count in counts], 1.3)
        centres = [edge * (i + 0.5) / 40 for i in range(40)]
        assert [x for x, _ in area[1:-1]] == close(centres, 0.06)


def test_it_opens_at_rate_1_after_the_first_epoch(explorer):
    agrees(explorer, RATES.index(1), STEPS.index(235))


def test_names_and_numbers_never_overlap(explorer):
    """Neither the two numbers of a chart nor a number and a name."""
    rates, steps = explorer.locator("input").all()
    for page_width in (1000, 390):
        explorer.page.set_viewport_size({"width": page_width, "height": 900})
        explorer.page.wait_for_timeout(100)
        for position in range(len(STEPS)):
            rates.fill(str(min(position, len(RATES) - 1)))
            steps.fill(str(position))
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


def test_sliders_choose_rate_and_step(explorer):
    draw = random.Random(0)
    rates, steps = explorer.locator("input").all()
    for _state in range(8):
        rate, step = draw.randrange(len(RATES)), draw.randrange(len(STEPS))
        rates.fill(str(rate))
        steps.fill(str(step))
        agrees(explorer, rate, step)
    rates.focus()
    explorer.page.keyboard.press("Home")
    explorer.page.keyboard.press("ArrowRight")
    agrees(explorer, 1, step)


def test_a_click_or_a_finger_on_a_chart_moves_its_slider(explorer):
    band, curves, _ = explorer.locator("svg").all()
    start = STEPS.index(235)

    def spot(chart, share):
        box = chart.bounding_box()
        x = box["x"] + LEFT + (box["width"] - LEFT - RIGHT) * share
        return x, box["y"] + 100

    explorer.page.mouse.click(*spot(band, 0.21))
    agrees(explorer, 1, start)
    touch(explorer, spot(band, 0.98))
    agrees(explorer, 5, start)
    explorer.page.mouse.click(*spot(curves, 0.76))
    agrees(explorer, 5, 6)
    touch(explorer, spot(curves, 0.02))
    agrees(explorer, 5, 0)


def test_a_thumb_can_be_dragged_along_its_axis(explorer):
    band = explorer.locator("svg").first
    box = band.bounding_box()
    unit = (box["width"] - LEFT - RIGHT) / (len(RATES) - 1)
    y = box["y"] + BAND - AXIS
    mouse = explorer.page.mouse
    mouse.move(box["x"] + LEFT + 4 * unit, y)
    mouse.down()
    mouse.move(box["x"] + LEFT + 2 * unit + 5, y, steps=4)
    mouse.up()
    agrees(explorer, 2, STEPS.index(235))


def test_the_buttons_set_the_states_that_they_name(explorer):
    buttons = explorer.get_by_role("button").all()
    assert 1 < len(buttons) <= 4
    for button in buttons:
        text = button.inner_text()
        button.click()
        step = 235 if "first epoch" in text else STEPS[-1]
        agrees(explorer, RATES.index(float(text.split(":")[0])), STEPS.index(step))


def test_it_works_on_a_phone(explorer):
    explorer.page.set_viewport_size({"width": 390, "height": 800})
    band = "document.querySelector('[data-figure=explorer] svg')"
    explorer.page.wait_for_function(f"{band}.viewBox.baseVal.width < 390")
    assert explorer.page.evaluate("document.documentElement.scrollWidth") <= 390
    agrees(explorer, RATES.index(1), STEPS.index(235))
    sizes = explorer.locator("text").evaluate_all(
        "all => all.map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 12
    assert math.isclose(
        explorer.page.evaluate(f"{band}.getScreenCTM().a"), 1, rel_tol=0.01
    )
