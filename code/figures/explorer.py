"""Recorded runs of LeNet over learning rates: where and how each net trains."""

import math
import statistics

import traitlets

from figures.figure import Figure
from records import read_record

NETS = {"bn": "#0072b2", "plain": "#d55e00"}
NAMES = {"bn": "batch norm", "plain": "plain"}
RATES, SEEDS = (0.01, 0.03, 0.1, 0.3, 1, 3), range(5)
# The positions of the second slider are numbers of updates, of which an epoch has 235;
# below them it says updates at first, then epochs. Accuracies start with epoch 1.
STEPS = (0, 10, 100, 235, 470, 940, 1410, 1880, 2350)
TICKS = (0, 10, 100, 1, 2, 4, 6, 8, 10)
EPOCHS = (3, 4, 4.5, 5, 5.5, 6, 6.5, 7, 7.5, 8)  # where epochs 1 to 10 lie among them
# What is written into the charts: texts, places on their axes and heights.
AXES = [
    {
        "title": "Where does each net learn?",
        "label": "learning rate",
        "ticks": RATES,
        "under": [("learning rate", 2.5, 246)],
        "early": 0,
    },
    {
        "title": "How they learn",
        "label": "updates",
        "ticks": TICKS,
        "under": [("updates", 1, 286), ("epochs", 5.5, 286), ("first epoch", 1.5, 28)],
        "early": EPOCHS[0],
    },
]
LAYERS = ["conv 1", "conv 2", "linear 1", "linear 2"]
TEXTS = [
    *((name, 0.02, 25 + 61.5 * i, "start") for i, name in enumerate(LAYERS)),
    *((f"{4 * i}".replace("-", "−"), 0.5 + i / 4, 270, "middle") for i in (-1, 0, 1)),
    *(("saturated", place, 286) for place in (0.125, 0.875)),
]
# What the buttons say and set.
TRIES = {
    "0.01: only one starts": {"rate": 0, "step": 8},
    "1: the first epoch": {"rate": 4, "step": 3},
    "1: the end": {"rate": 4, "step": 8},
    "3: nothing breaks": {"rate": 5, "step": 8},
}
SATURATED = 4.0  # beyond, a sigmoid is within 2 % of 0 or 1


class Explorer(Figure):
    """Learning curves and pre-activations of LeNet with and without batch norm.

    The runs are those of `measurements/lenet_rates.py`, whose record is condensed: the
    histograms of seed 0 become shares per thousand in bins of 0.4, and test accuracies
    are those with recalibrated statistics where there are running ones.

    Traits: `rate` and `step`, the positions of the chosen learning rate and number of
    updates in `RATES` and `STEPS`; `data`, the condensed record and all words.

    >>> explorer = Explorer(rate=0)
    >>> explorer.data["axes"][0]["ticks"][explorer.rate]
    0.01
    """

    name = "explorer"
    caption = (
        "LeNet on Fashion-MNIST. The scale stretches as errors become few: from 0.8 to "
        "0.9 they halve. Test accuracies are with fresh statistics. Beyond ±4 a "
        "sigmoid hardly answers; the histograms, of one run, gather at their edges "
        "what lies beyond ±8 and are cut at 30 % a bin."
    )
    rate = traitlets.Int(RATES.index(1), min=0, max=len(RATES) - 1).tag(sync=True)
    step = traitlets.Int(3, min=0, max=len(STEPS) - 1).tag(sync=True)
    data = traitlets.Dict(read_only=True).tag(sync=True, data=True)

    @traitlets.default("data")
    def _recorded(self):
        return condense(read_record("lenet_rates")["runs"])

    def picture(self):
        return _picture(self.data, self.rate, self.step)


def condense(runs):
    """What the figure needs of the runs of `measurements/lenet_rates.py`."""
    data = {net: _condense_net(net, runs) for net in NETS}
    axes = [
        {
            **axis,
            "ticks": [*axis["ticks"]],
            "under": [[*text] for text in axis["under"]],
        }
        for axis in AXES
    ]
    words = {"axes": axes, "title": "What enters the sigmoids", "tries": TRIES}
    words |= {"texts": [[*text] for text in TEXTS], "epochs": [*EPOCHS]}
    return data | words | _describe(data)


def _condense_net(net, runs):
    grid = [
        [runs[f"{net} lr={rate:g} seed={seed}"] for seed in SEEDS] for rate in RATES
    ]
    test = "test_acc_recalibrated" if net == "bn" else "test_acc"
    histograms = [
        [seeds[0]["pre_activations"][str(step)] for step in STEPS] for seeds in grid
    ]
    accuracy = [[run["train_acc"] for run in seeds] for seeds in grid]
    median = [
        [round(statistics.median(epoch), 4) for epoch in zip(*seeds, strict=True)]
        for seeds in accuracy
    ]
    ends = [[run[-1] for run in seeds] for seeds in accuracy]
    return {
        "name": NAMES[net],
        "train_acc": accuracy,
        "median": median,
        "final": [[i, run[-1]] for i, run in enumerate(median)],
        "spread": [[i, max(runs)] for i, runs in enumerate(ends)]
        + [[i, min(runs)] for i, runs in enumerate(ends)][::-1],
        "test_acc": [
            statistics.median(run[test][-1] for run in seeds) for seeds in grid
        ],
        "counts": _map_layers(_per_thousand, histograms),
        "shares": _map_layers(_beyond, histograms),
    }


def _map_layers(function, histograms):
    return [[[function(c) for c in layers] for layers in steps] for steps in histograms]


def _per_thousand(counts):
    pairs = zip(counts[::2], counts[1::2], strict=True)
    return [round(1000 * sum(pair) / sum(counts)) for pair in pairs]


def _beyond(counts, limit=8.0):
    """The share of values beyond +-SATURATED in equal bins from -limit to limit."""
    inner = round(len(counts) * (1 - SATURATED / limit) / 2)
    return f"{100 * (1 - sum(counts[inner:-inner]) / sum(counts)):.0f} %"


def _describe(data):
    """The words that change with the sliders: read under the titles, and said."""
    moments = ["before training"]
    moments += [f"after {updates} updates" for updates in TICKS[1:3]]
    moments += [f"after epoch {epoch}" for epoch in TICKS[3:]]

    def both(text):
        return ", ".join(f"{NAMES[net]} {text(data[net])}" for net in NETS)

    rates = range(len(RATES))
    test = [both(lambda net, i=i: f"{net['test_acc'][i]:.3f}") for i in rates]
    ends = [both(lambda net, i=i: f"{net['final'][i][1]:.3f}") for i in rates]
    shares = [
        [
            f"{moment}; beyond ±4: "
            + both(lambda net, i=i, k=k: ", ".join(net["shares"][i][k]))
            for k, moment in enumerate(moments)
        ]
        for i in rates
    ]
    return {
        "notes": [
            [
                "Training accuracy after ten epochs. "
                f"On test images at rate {RATES[i]:g}: {test[i]}."
                for i in rates
            ],
            [f"at rate {rate:g}: five runs of each and their median" for rate in RATES],
            [f"{moment}, and how much lies beyond ±4" for moment in moments],
        ],
        "said": [[[f"{RATES[i]:g}: {ends[i]}"] for i in rates], shares],
    }


# The picture: the same marks as in the live figure, at the same places in px.
TALL, LEFT, RIGHT, TOP, ZERO, AXIS = (250, 290), 56, 34, 12, 80, 44
ROW, CAP, SHARES = 61.5, 300, 46
GREY = 'stroke="#8a9099" stroke-width="1"'


def _picture(data, rate, step):
    ends = {net: data[net]["final"][rate][1] for net in NETS}
    label = (
        f"LeNet at learning rate {RATES[rate]} reaches training accuracy "
        f"{ends['bn']:.2f} with batch norm and {ends['plain']:.2f} without"
    )
    bands = {net: [data[net]["spread"], data[net]["final"]] for net in NETS}
    curves = {
        net: [
            [*zip(EPOCHS, run, strict=True)]
            for run in [*data[net]["train_acc"][rate], data[net]["median"][rate]]
        ]
        for net in NETS
    }
    panels = (
        (0, 0, AXES[0]["title"], rate, _chart(0, 690, rate, bands)),
        (0, 306, AXES[1]["title"], rate, _chart(1, 337, step, curves)),
        (353, 306, data["title"], step, _histograms(data, 337, rate, step)),
    )
    parts = [
        f'<svg viewBox="0 0 690 648" fill="currentColor" font-family="sans-serif" '
        f'font-size="14" role="img" aria-label="{label}">'
    ]
    for (x, y, title, now, marks), notes in zip(panels, data["notes"], strict=True):
        parts.append(_write(x, title, y + 18, "start", "title"))
        parts.append(_write(x, notes[now], y + 39, "start"))
        parts.append(f'<g transform="translate({x} {y + 52})">{"".join(marks)}</g>')
    return "".join([*parts, "</svg>"])


def _chart(i, width, now, lines):
    """Accuracies over an axis; the height is the logarithm of the share of errors."""
    axis, bottom = AXES[i], TALL[i] - AXIS

    def across(place):
        return LEFT + (width - LEFT - RIGHT) * place / (len(axis["ticks"]) - 1)

    def up(value):
        unit = (TALL[i] - ZERO - TOP) / 1.2
        return TALL[i] - ZERO + unit * math.log10(1 - value)

    yield _path(
        "early",
        [
            (LEFT, TOP),
            (across(axis["early"]), TOP),
            (across(axis["early"]), bottom),
            (LEFT, bottom),
        ],
        'fill="#8a9099" opacity="0.12"',
    )
    for value in (0, 0.5, 0.8, 0.9):
        yield _path("grid", [(34, up(value)), (width, up(value))], GREY)
        yield _write(28, value, up(value) + 5, "end")
    yield _path(
        "track",
        [(LEFT, bottom), (width - RIGHT, bottom)],
        'stroke="#8a9099" stroke-width="4"',
    )
    yield _path("line", [(across(now), 34), (across(now), bottom)], GREY)
    place = f'cx="{across(now):.1f}" cy="{bottom}"'
    yield f'<circle class="bn-in" {place} r="9" fill="#555"/>'
    for place, tick in enumerate(axis["ticks"]):
        yield _write(across(place), tick, bottom + 24)
    for text, place, y in axis["under"]:
        yield _write(across(place), text, y)
    for side, (net, color) in zip((-1, 1), NETS.items(), strict=True):
        *others, main = [
            [(across(place), up(value)) for place, value in line] for line in lines[net]
        ]
        for line in others:
            if i:
                looks = f'fill="none" stroke="{color}" opacity="0.55"'
                yield _path(f"curve bn-thin bn-{net}", line, looks)
            else:
                looks = f'fill="{color}" opacity="0.2"'
                yield _path(f"spread bn-{net}", line, looks)
        looks = f'fill="none" stroke="{color}" stroke-width="2.2"'
        yield _path(f"curve bn-{net}", main, looks)
        x, y = main[0]
        place = (x - 10, y + 5, "end") if i else (x + 8, y + 5 - 17 * side, "start")
        yield _ink(net, place[0], NAMES[net], *place[1:])
        for (x, y), (place, value) in zip(main, lines[net][-1], strict=True):
            if place == now:
                looks = f'class="bn-dot bn-{net}" fill="{color}"'
                yield f'<circle {looks} cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
                place = x + 12 * side, f"{value:.3f}", y + 5 + 17 * side
                yield _ink(net, *place, "middle")


def _histograms(data, width, rate, step):
    """What enters the sigmoids, batch norm above the line of a layer, plain below."""
    edge, tall = width - SHARES, 4 * ROW
    for x in (0, 0.75 * edge):
        corners = [(x, 0), (x + edge / 4, 0), (x + edge / 4, tall), (x, tall)]
        yield _path("early", corners, 'fill="#8a9099" opacity="0.12"')
    yield _path("line", [(edge / 2, 0), (edge / 2, tall)], GREY)
    for text, place, *rest in TEXTS:
        yield _write(edge * place, text, *rest)
    for side, (net, color) in zip((-1, 1), NETS.items(), strict=True):
        for layer, counts in enumerate(data[net]["counts"][rate][step]):
            zero = ROW * (layer + 0.5) + side
            scale = side * (ROW / 2 - 3) / CAP
            outline = [
                (edge * (k + 0.5) / len(counts), zero + scale * min(CAP, count))
                for k, count in enumerate(counts)
            ]
            corners = [(0, zero), *outline, (edge, zero)]
            yield _path(f"area bn-{net}", corners, f'fill="{color}"')
            share = data[net]["shares"][rate][step][layer]
            yield _ink(net, width, share, zero + 5 + 12 * side, "end")


def _path(kind, points, looks):
    d = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path class="bn-{kind}" {looks} d="M{d}"/>'


def _write(x, text, y, anchor="middle", kind="quiet"):
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    weight = ' font-weight="600"' if kind == "title" else ""
    return f'<text class="bn-{kind}"{weight} {place}>{text}</text>'


def _ink(net, x, text, y, anchor):
    place = f'fill="{NETS[net]}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="bn-ink bn-{net}" font-weight="600" {place}>{text}</text>'
