"""Recorded runs of LeNet over learning rates: where and how each net trains."""

import statistics

import traitlets

from figures.figure import Figure
from records import read_record

NETS = {"bn": "#0072b2", "plain": "#d55e00"}
RATES, SEEDS = (0.01, 0.03, 0.1, 0.3, 1, 3), range(5)
LAYERS = ["conv 1", "conv 2", "linear 1", "linear 2"]
# What the buttons say, and the positions of rate and step that they set.
TRIES = {
    "0.01: only one starts": [0, 11],
    "1: the first epoch": [4, 6],
    "1: the end": [4, 11],
    "3: the end": [5, 11],
}
SATURATED = 4.0  # beyond, a sigmoid is within 2 % of 0 or 1


class Explorer(Figure):
    """Learning curves and pre-activations of LeNet with and without batch norm.

    The runs are those of `measurements/lenet_rates.py`, whose record is condensed: the
    histograms of seed 0 become shares per thousand in bins of 0.4, and test accuracies
    are those with recalibrated statistics where there are running ones.

    Traits: `rate` and `step`, the positions of the chosen learning rate and number of
    updates in `data["rates"]` and `data["steps"]`; `data`, the condensed record.

    >>> explorer = Explorer(rate=0)
    >>> explorer.data["rates"][explorer.rate]
    0.01
    """

    name = "explorer"
    caption = (
        "LeNet on Fashion-MNIST. Thin lines are single runs, thick ones medians. The "
        "histograms, of one run, face each other, batch norm above and plain below "
        "the line; they are cut at 35 % a bin, and what lies beyond ±8 is counted in "
        "the outermost bins. The percentages lie beyond ±4, where a sigmoid hardly "
        "answers."
    )
    rate = traitlets.Int(RATES.index(1), min=0, max=len(RATES) - 1).tag(sync=True)
    step = traitlets.Int(6, min=0, max=11).tag(sync=True)
    data = traitlets.Dict(read_only=True).tag(sync=True, data=True)

    @traitlets.default("data")
    def _recorded(self):
        return condense(read_record("lenet_rates")["runs"])

    def picture(self):
        return _picture(self.data, self.rate, self.step)


def condense(runs):
    """What the figure needs of the runs of `measurements/lenet_rates.py`."""
    first = runs["bn lr=1 seed=0"]
    steps = list(first["pre_activations"])
    data = {"rates": list(RATES), "steps": [int(step) for step in steps]}
    data |= {"layers": LAYERS, "tries": TRIES}
    for net in NETS:
        grid = [
            [runs[f"{net} lr={rate:g} seed={seed}"] for seed in SEEDS] for rate in RATES
        ]
        test = "test_acc_recalibrated" if net == "bn" else "test_acc"
        histograms = [
            [seeds[0]["pre_activations"][step] for step in steps] for seeds in grid
        ]
        accuracy = [[run["train_acc"] for run in seeds] for seeds in grid]
        data[net] = {
            "train_acc": accuracy,
            "median": [
                [
                    round(statistics.median(epoch), 4)
                    for epoch in zip(*seeds, strict=True)
                ]
                for seeds in accuracy
            ],
            "test_acc": [
                statistics.median(run[test][-1] for run in seeds) for seeds in grid
            ],
            "counts": _map_layers(_per_thousand, histograms),
            "beyond": _map_layers(_beyond, histograms),
        }
    return data


def _map_layers(function, histograms):
    return [[[function(c) for c in layers] for layers in steps] for steps in histograms]


def _per_thousand(counts):
    pairs = zip(counts[::2], counts[1::2], strict=True)
    return [round(1000 * sum(pair) / sum(counts)) for pair in pairs]


def _beyond(counts, limit=8.0):
    """The share of values beyond +-SATURATED in equal bins from -limit to limit."""
    inner = round(len(counts) * (1 - SATURATED / limit) / 2)
    return round(1 - sum(counts[inner:-inner]) / sum(counts), 4)


def _picture(data, rate, step):
    """The learning curves at one rate and, beside them, the facing histograms."""
    ends = {net: data[net]["median"][rate][-1] for net in NETS}
    what = f"LeNet at learning rate {data['rates'][rate]}"
    label = f"{what} reaches training accuracy {ends['bn']:.2f} with batch norm"
    updates = data["steps"][step]
    parts = [
        f'<svg viewBox="0 0 640 262" fill="currentColor" role="img" '
        f'aria-label="{label} and {ends["plain"]:.2f} without">'
        f'<text x="20" y="14">{what}: training accuracy</text>'
        f'<text x="370" y="14">Inputs of sigmoids, {updates} updates</text>'
        '<text x="20" y="244">1</text>'
        '<text x="302" y="244" text-anchor="end">10 epochs</text>'
    ]
    for value, y in ((0, 228), (1, 28)):
        parts.append(f'<path class="bn-grid" stroke="#8a9099" d="M20 {y}H302"/>')
        parts.append(f'<text x="4" y="{y + 5}">{value}</text>')
    for value in (-8, -4, 0, 4, 8):
        x = 505 + 15 * value
        parts.append(f'<path class="bn-grid" stroke="#8a9099" d="M{x} 24V228"/>')
        parts.append(f'<text x="{x}" y="244" text-anchor="middle">{value}</text>')
    for side, (net, color) in zip((-1, 1), NETS.items(), strict=True):
        place = f'x="302" y="{200 + 9 * side}" text-anchor="end"'
        name = "batch norm" if net == "bn" else net
        parts.append(f'<text class="bn-ink bn-{net}" {place}>{name}</text>')
        runs, middle = data[net]["train_acc"][rate], data[net]["median"][rate]
        for run, width in [*((run, 1) for run in runs), (middle, 3)]:
            points = [f"{24 + 30 * i} {228 - 200 * v:.1f}" for i, v in enumerate(run)]
            looks = f'fill="none" stroke="{color}" style="stroke-width:{width}px"'
            d = "L".join(points)
            parts.append(f'<path class="bn-curve bn-{net}" {looks} d="M{d}"/>')
        for layer, counts in enumerate(data[net]["counts"][rate][step]):
            zero = 52 + 50 * layer + side
            outline = "".join(
                f"V{zero + side * 22 * min(350, count) / 350:.1f}h6" for count in counts
            )
            d = f"M385 {zero}{outline}V{zero}z"
            parts.append(f'<path class="bn-area bn-{net}" fill="{color}" d="{d}"/>')
            share = f"{100 * data[net]['beyond'][rate][step][layer]:.0f} %"
            place = f'x="380" y="{zero + 5 + 9 * side}" text-anchor="end"'
            parts.append(f'<text class="bn-ink bn-{net}" {place}>{share}</text>')
    return "".join([*parts, "</svg>"])
