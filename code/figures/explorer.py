"""Recorded runs of LeNet over learning rates: where and how each net trains."""

import math
import statistics

import traitlets

from figures.figure import Figure
from records import read_record

NETS = {"bn": "#0072b2", "plain": "#d55e00"}
NAMES = {"bn": "batch norm", "plain": "plain"}
RATES, SEEDS = (0.01, 0.03, 0.1, 0.3, 1, 3), range(5)
EPOCHS = range(1, 11)
EPOCH = 235  # updates
RECORDED = (1, 2, 4, 6, 8, 10)  # the epochs after which there are histograms
SEEN = [sum(e <= epoch for e in RECORDED) - 1 for epoch in EPOCHS]  # the last of them
# The titles; the axes of the charts, which are sliders: where they begin, their stops.
PANELS = [
    {
        "title": "Where does each net learn?",
        "label": "learning rate",
        "first": 0,
        "ticks": RATES,
    },
    {"title": "How they learn", "label": "epoch", "first": 1, "ticks": EPOCHS},
    {"title": "What enters the sigmoids", "ticks": ()},
]
LAYERS = ["conv 1", "conv 2", "linear 1", "linear 2"]
# What is written into the histograms: a text, its place across and its height.
TEXTS = [
    *((name, 0.02, 25 + 72.5 * i, "start") for i, name in enumerate(LAYERS)),
    *((f"{4 * i}".replace("-", "−"), 0.5 + i / 4, 314, "middle") for i in (-1, 0, 1)),
    *(("saturated", place, 330) for place in (0.125, 0.875)),
    ("beyond ±4", 1.13, 314, "end"),  # under the shares
]
# What the buttons say and set.
TRIES = {
    "rate 0.01: one starts": {"rate": 0, "epoch": 10},
    "rate 1: first epoch": {"rate": 4, "epoch": 1},
    "rate 1: the end": {"rate": 4, "epoch": 10},
    "rate 3: saturated": {"rate": 5, "epoch": 10},
}
SATURATED = 4.0  # beyond, a sigmoid is within 2 % of 0 or 1


class Explorer(Figure):
    """Learning curves and pre-activations of LeNet with and without batch norm.

    The runs are those of `measurements/lenet_rates.py`, whose record is condensed: the
    histograms of seed 0 become shares per thousand in bins of 0.4, and test accuracies
    are those with recalibrated statistics where there are running ones.

    Traits: `rate`, the position of the chosen learning rate in `RATES`; `epoch`, from
    1 to 10; `data`, the condensed record and all words.

    >>> explorer = Explorer(rate=0)
    >>> explorer.data["panels"][0]["ticks"][explorer.rate]
    0.01
    """

    name = "explorer"
    caption = (
        "LeNet on Fashion-MNIST, with batch norm in blue and without in orange. A thin "
        "line is one run, a thick one the median of five. The scale stretches as "
        "errors become few: from 0.8 to 0.9 they halve. On test images batch norm’s "
        "statistics were measured afresh. Beyond ±4 a sigmoid hardly answers; on the "
        "right stands the share of what lies there. The histograms, of one run, have "
        "batch norm above and gather at their edges what lies beyond ±8."
    )
    rate = traitlets.Int(RATES.index(1), min=0, max=len(RATES) - 1).tag(sync=True)
    epoch = traitlets.Int(1, min=1, max=10).tag(sync=True)
    data = traitlets.Dict(read_only=True).tag(sync=True, data=True)

    @traitlets.default("data")
    def _recorded(self):
        return condense(read_record("lenet_rates")["runs"])

    def picture(self):
        return _picture(self.data, self.rate, self.epoch)


def condense(runs):
    """What the figure needs of the runs of `measurements/lenet_rates.py`."""
    data = {net: _condense_net(net, runs) for net in NETS}
    panels = [{**panel, "ticks": [*panel["ticks"]]} for panel in PANELS]
    words = {"panels": panels, "tries": TRIES}
    words |= {"texts": [[*text] for text in TEXTS], "seen": SEEN}
    return data | words | _describe(data)


def _condense_net(net, runs):
    grid = [
        [runs[f"{net} lr={rate:g} seed={seed}"] for seed in SEEDS] for rate in RATES
    ]
    test = "test_acc_recalibrated" if net == "bn" else "test_acc"
    histograms = [
        [seeds[0]["pre_activations"][str(EPOCH * epoch)] for epoch in RECORDED]
        for seeds in grid
    ]
    runs = [_with_median([run["train_acc"] for run in seeds]) for seeds in grid]
    return {
        "name": NAMES[net],
        "runs": runs,
        "ends": [[lines[run][-1] for lines in runs] for run in range(len(runs[0]))],
        "test_acc": [
            statistics.median(run[test][-1] for run in seeds) for seeds in grid
        ],
        "counts": _map_layers(_per_thousand, histograms),
        "shares": _map_layers(_beyond, histograms),
    }


def _with_median(runs):
    """Runs, and the median of what they reach after each epoch."""
    epochs = zip(*runs, strict=True)
    return [*runs, [round(statistics.median(epoch), 4) for epoch in epochs]]


def _map_layers(function, histograms):
    return [
        [[function(c) for c in layers] for layers in epochs] for epochs in histograms
    ]


def _per_thousand(counts):
    pairs = zip(counts[::2], counts[1::2], strict=True)
    return [round(1000 * sum(pair) / sum(counts)) for pair in pairs]


def _beyond(counts, limit=8.0):
    """The share of values beyond +-SATURATED in equal bins from -limit to limit."""
    inner = round(len(counts) * (1 - SATURATED / limit) / 2)
    return f"{100 * (1 - sum(counts[inner:-inner]) / sum(counts)):.0f} %"


def _describe(data):
    """The words that change with the sliders: read under the titles, and said."""

    def both(text):
        return ", ".join(f"{NAMES[net]} {text(data[net])}" for net in NETS)

    rates = range(len(RATES))
    test = [both(lambda net, i=i: f"{net['test_acc'][i]:.3f}") for i in rates]
    ends = [both(lambda net, i=i: f"{net['ends'][-1][i]:.3f}") for i in rates]
    moments = [
        f"after epoch {RECORDED[seen]}"
        + ("" if RECORDED[seen] == epoch else ", the last recorded")
        for epoch, seen in zip(EPOCHS, SEEN, strict=True)
    ]
    shares = [
        [
            f"{epoch}: accuracy "
            + both(lambda net, i=i, e=epoch: f"{net['runs'][i][-1][e - 1]:.3f}")
            + f"; beyond ±4 {moment}: "
            + both(lambda net, i=i, k=k: ", ".join(net["shares"][i][k]))
            for epoch, moment, k in zip(EPOCHS, moments, SEEN, strict=True)
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
            [f"{moment}, layer by layer" for moment in moments],
        ],
        "said": [[[f"{RATES[i]:g}: {ends[i]}"] for i in rates], shares],
    }


# The picture: the same marks as in the live figure, at the same places in px.
TALL, LEFT, RIGHT, TOP, ZERO, AXIS = (270, 334), 56, 92, 12, 80, 44
ROW, CAP, SHARES = 72.5, 550, 46
GREY = 'stroke="#8a9099" stroke-width="1"'


def _picture(data, rate, epoch):
    ends = {net: data[net]["ends"][-1][rate] for net in NETS}
    label = (
        f"LeNet at learning rate {RATES[rate]} reaches training accuracy "
        f"{ends['bn']:.2f} with batch norm and {ends['plain']:.2f} without"
    )
    ends_of = {net: data[net]["ends"] for net in NETS}
    runs_of = {net: data[net]["runs"][rate] for net in NETS}
    panels = (
        (0, 0, rate, _chart(0, 690, rate, ends_of)),
        (0, 326, rate, _chart(1, 337, epoch - 1, runs_of)),
        (353, 326, epoch - 1, _histograms(data, 337, rate, epoch)),
    )
    parts = [
        f'<svg viewBox="0 0 690 712" fill="currentColor" font-family="sans-serif" '
        f'font-size="14" role="img" aria-label="{label}">'
    ]
    written = zip(panels, PANELS, data["notes"], strict=True)
    for (x, y, now, marks), panel, notes in written:
        parts.append(_write(x, panel["title"], y + 18, "start", "title"))
        parts.append(_write(x, notes[now], y + 39, "start"))
        parts.append(f'<g transform="translate({x} {y + 52})">{"".join(marks)}</g>')
    return "".join([*parts, "</svg>"])


def _chart(i, width, now, lines):
    """Accuracies over an axis; the height is the logarithm of the share of errors."""
    axis, right, bottom = PANELS[i], width - RIGHT, TALL[i] - AXIS

    def across(k):
        return LEFT + (right - LEFT) * k / (len(axis["ticks"]) - 1)

    def up(value):
        unit = (TALL[i] - ZERO - TOP) / 1.12
        return TALL[i] - ZERO + unit * math.log10(1 - value)

    for value in (0, 0.5, 0.8, 0.9):
        yield _path("grid", [(34, up(value)), (right, up(value))], GREY)
        yield _write(28, value, up(value) + 5, "end")
    looks = 'stroke="#8a9099" stroke-width="4"'
    yield _path("track", [(LEFT, bottom), (right, bottom)], looks)
    x = across(now)
    yield f'<circle class="bn-in" cx="{x:.1f}" cy="{bottom}" r="9" fill="#555"/>'
    for k, tick in enumerate(axis["ticks"]):
        yield _write(across(k), tick, bottom + 24)
    yield _write((LEFT + right) / 2, axis["label"], bottom + 40)
    for net, color in NETS.items():
        for run, values in enumerate(lines[net]):
            line = [(across(k), up(value)) for k, value in enumerate(values)]
            looks = f'fill="none" stroke="{color}" stroke-width="2.2"'
            if run in SEEDS:  # and not the median
                looks = f'fill="none" stroke="{color}" opacity="0.55"'
            thin = "thin bn-" * (run in SEEDS)
            yield _path(f"curve bn-{thin}{net}", line, looks)
        x, y, value = across(now), up(lines[net][-1][now]), lines[net][-1][now]
        yield _path("line", [(x, y), (x, bottom - 9)], GREY)
        looks = f'class="bn-dot bn-{net}" fill="{color}"'
        yield f'<circle {looks} cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
        yield _ink(net, right + 10, NAMES[net], line[-1][1] + 5, "start")
        yield _ink(net, x + 10, f"{value:.3f}", y + 21, "start")


def _histograms(data, width, rate, epoch):
    """What enters the sigmoids, batch norm above the line of a layer, plain below."""
    edge, tall, seen = width - SHARES, 4 * ROW, SEEN[epoch - 1]
    for x in (0, 0.75 * edge):
        corners = [(x, 0), (x + edge / 4, 0), (x + edge / 4, tall), (x, tall)]
        yield _path("early", corners, 'fill="#8a9099" opacity="0.12"')
    yield _path("line", [(edge / 2, 0), (edge / 2, tall)], GREY)
    for text, place, *rest in TEXTS:
        yield _write(edge * place, text, *rest)
    for side, (net, color) in zip((-1, 1), NETS.items(), strict=True):
        for layer, counts in enumerate(data[net]["counts"][rate][seen]):
            zero = ROW * (layer + 0.5) + side
            scale = side * (ROW / 2 - 3) / CAP
            outline = [
                (edge * (k + 0.5) / len(counts), zero + scale * count)
                for k, count in enumerate(counts)
            ]
            corners = [(0, zero), *outline, (edge, zero)]
            yield _path(f"area bn-{net}", corners, f'fill="{color}"')
            share = data[net]["shares"][rate][seen][layer]
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
