"""The training explorer: what it shows is what the record says."""

import random
import re
from statistics import median

import pytest

from conftest import alive, touch
from figures import Explorer
from figures.explorer import RATES, SEEDS
from records import read_record

RUNS = read_record("lenet_rates")["runs"]
STEPS = [int(step) for step in RUNS["bn lr=1 seed=0"]["pre_activations"]]
NETS = {"batch norm": "bn", "plain": "plain"}


def runs(net, rate):
    return [RUNS[f"{net} lr={rate:g} seed={seed}"] for seed in SEEDS]


def final(net, rate, key):
    """The median of what five runs reached in the end."""
    if key == "test_acc" and net == "bn":
        key = "test_acc_recalibrated"
    return median(run[key][-1] for run in runs(net, rate))


def beyond(net, rate, step, layer):
    """The share of pre-activations beyond ±4, in percent."""
    counts = RUNS[f"{net} lr={rate:g} seed=0"]["pre_activations"][str(step)][layer]
    centres = [-8 + 0.2 * (i + 0.5) for i in range(80)]
    outside = sum(c for c, z in zip(counts, centres, strict=True) if abs(z) > 4)
    return 100 * outside / sum(counts)


def per_thousand(net, rate, step, layer):
    """The shares of pre-activations in bins of 0.4, per thousand."""
    bins = RUNS[f"{net} lr={rate:g} seed=0"]["pre_activations"][str(step)][layer]
    pairs = zip(bins[::2], bins[1::2], strict=True)
    return [1000 * (a + b) / sum(bins) for a, b in pairs]


def points(line):
    """The points of a path as pairs of numbers."""
    pairs = re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", line.get_attribute("d"))
    return [(float(x), float(y)) for x, y in pairs]


def test_the_grid_is_complete():
    assert len(RATES) >= 6 and min(RATES) == 0.01 and max(RATES) == 3
    assert len(SEEDS) >= 5
    for net in NETS.values():
        for rate in RATES:
            assert all(len(run["train_acc"]) == 10 for run in runs(net, rate))


def test_what_a_page_ships_is_small():
    assert len(Explorer().twin()) < 300_000


def test_the_histograms_are_those_of_the_record():
    data = Explorer().data
    for net in NETS.values():
        for r, rate in enumerate(RATES):
            for s, step in enumerate(STEPS):
                for layer, shown in enumerate(data[net]["counts"][r][s]):
                    shares = per_thousand(net, rate, step, layer)
                    assert shown == pytest.approx(shares, abs=0.5)


def test_the_picture_has_the_runs_and_their_median_at_the_rate():
    picture = Explorer(rate=0).picture()
    for net in NETS.values():
        lines = re.findall(rf'class="bn-curve bn-{net}".*? d="M(.*?)"', picture)
        assert len(lines) == len(SEEDS) + 1
        middle = [float(point.split()[1]) for point in lines[-1].split("L")]
        accuracy = [run["train_acc"] for run in runs(net, 0.01)]
        expected = [228 - 200 * median(epoch) for epoch in zip(*accuracy, strict=True)]
        assert middle == pytest.approx(expected, abs=0.06)
        shares = re.findall(rf'class="bn-ink bn-{net}"[^>]*>(\d+) %', picture)
        expected = [beyond(net, 0.01, 235, layer) for layer in range(4)]
        assert [int(share) for share in shares] == pytest.approx(expected, abs=0.51)


@pytest.fixture(params=["06-lenet", "index"])
def explorer(browser, server, request):
    with alive(browser, server, request.param, "explorer") as figure:
        yield figure


def agrees(figure, rate, step):
    """All that is shown belongs to this rate and this number of updates."""
    lr, updates = RATES[rate], STEPS[step]
    texts = figure.locator("output").all_inner_texts()
    assert texts == [f"{lr:g}", f"{updates}, epoch {updates / 235:.1f}"]
    words = figure.locator("[aria-live=polite]").inner_text()
    assert words.startswith(f"At {lr:g},")
    for name, net in NETS.items():
        shown = re.search(rf"{name} (\d\.\d+) and (\d\.\d+)", words).groups()
        expected = [final(net, lr, key) for key in ("train_acc", "test_acc")]
        assert [float(v) for v in shown] == pytest.approx(expected, abs=0.00051)
        spoken = re.search(rf"{name} [^(]*\(beyond ±4: ([\d, ]+) %\)", words)[1]
        shares = [beyond(net, lr, updates, layer) for layer in range(4)]
        assert [int(v) for v in spoken.split(",")] == pytest.approx(shares, abs=0.51)

    band, curves, layers = figure.locator("svg").all()
    for net in NETS.values():
        *thin, thick = curves.locator(f".bn-curve.bn-{net}").all()
        accuracy = [run["train_acc"] for run in runs(net, lr)]
        accuracy.append([median(epoch) for epoch in zip(*accuracy, strict=True)])
        for line, values in zip([*thin, thick], accuracy, strict=True):
            shown = [(224 - y) / 212 for _, y in points(line)]
            assert shown == pytest.approx(values, abs=0.0005)
        ends = [(124 - y) / 112 for _, y in points(band.locator(f".bn-curve.bn-{net}"))]
        assert ends == pytest.approx(
            [final(net, r, "train_acc") for r in RATES], abs=0.001
        )
        dot = band.locator(f".bn-dot.bn-{net}")
        assert (124 - float(dot.get_attribute("cy"))) / 112 == pytest.approx(
            ends[rate], abs=0.001
        )
        percents = layers.locator(f".bn-ink.bn-{net}").all_text_contents()
        shares = [beyond(net, lr, updates, layer) for layer in range(4)]
        assert [int(text.split()[0]) for text in percents] == pytest.approx(
            shares, abs=0.51
        )
        sign = -1 if net == "bn" else 1
        for layer, area in enumerate(layers.locator(f".bn-area.bn-{net}").all()):
            zero = 56 * (layer + 0.5) + sign
            heights = [sign * (y - zero) / 25 * 350 for _, y in points(area)[1:-1:2]]
            counts = per_thousand(net, lr, updates, layer)
            assert heights == pytest.approx([min(350, c) for c in counts], abs=1.3)


def test_it_opens_at_rate_1_after_the_first_epoch(explorer):
    agrees(explorer, RATES.index(1), STEPS.index(235))


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


def test_pointing_at_the_band_chooses_the_rate(explorer):
    band = explorer.locator("svg").first
    box = band.bounding_box()
    places = [
        (box["x"] + 34 + (box["width"] - 46) * share, box["y"] + 50)
        for share in (0.21, 0.98)
    ]
    explorer.page.mouse.click(*places[0])
    agrees(explorer, 1, STEPS.index(235))
    touch(explorer, places[1])
    agrees(explorer, 5, STEPS.index(235))


def test_the_buttons_set_the_states_that_they_name(explorer):
    for button in explorer.get_by_role("button").all():
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
