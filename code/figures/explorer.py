"""Recorded runs of LeNet over learning rates: where and how each net trains."""

import statistics

import traitlets

from figures.figure import Figure
from records import read_record

NETS = {"bn": "#0072b2", "plain": "#d55e00"}
RATES, SEEDS = (0.01, 0.03, 0.1, 0.3, 1, 3), range(5)
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
        "the outermost bins. Beyond ±4 a sigmoid hardly answers."
    )
    rate = traitlets.Int(RATES.index(1), min=0, max=len(RATES) - 1).tag(sync=True)
    step = traitlets.Int(6, min=0, max=11).tag(sync=True)
    data = traitlets.Dict(read_only=True).tag(sync=True)

    @traitlets.default("data")
    def _recorded(self):
        return condense(read_record("lenet_rates")["runs"])

    def __repr__(self):
        return f"Explorer(rate={self.rate}, step={self.step})"

    def picture(self):
        return _picture(self.data, self.rate)


def condense(runs):
    """What the figure needs of the runs of `measurements/lenet_rates.py`."""
    first = runs["bn lr=1 seed=0"]
    steps = list(first["pre_activations"])
    data = {"rates": list(RATES), "steps": [int(step) for step in steps]}
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


def _picture(data, rate):
    """The learning curves at one rate: thin for each run, thick for the median."""
    ends = {net: data[net]["median"][rate][-1] for net in NETS}
    title = f"Training accuracy over ten epochs at learning rate {data['rates'][rate]}"
    label = f"{title}: with batch norm {ends['bn']:.2f}, plain {ends['plain']:.2f}"
    parts = [
        f'<svg viewBox="0 0 640 250" fill="currentColor" role="img" '
        f'aria-label="{label}"><text x="30" y="14">{title}</text>'
    ]
    for value, y in ((0, 220), (1, 20)):
        parts.append(f'<path class="bn-grid" stroke="#8a9099" d="M30 {y}H630"/>')
        parts.append(f'<text x="14" y="{y + 5}">{value}</text>')
    for epoch in (1, 10):
        parts.append(f'<text x="{60 * epoch + 26}" y="240">{epoch}</text>')
    for net, color in NETS.items():
        name = f'x="620" y="{236 - 200 * ends[net]:.0f}" text-anchor="end"'
        text = {"bn": "batch norm", "plain": "plain"}[net]
        parts.append(f'<text class="bn-ink bn-{net}" {name}>{text}</text>')
        runs, middle = data[net]["train_acc"][rate], data[net]["median"][rate]
        for run, width in [*((run, 1) for run in runs), (middle, 3)]:
            points = [f"{90 + 60 * i} {220 - 200 * v:.1f}" for i, v in enumerate(run)]
            looks = f'fill="none" stroke="{color}" style="stroke-width:{width}px"'
            d = "L".join(points)
            parts.append(f'<path class="bn-curve bn-{net}" {looks} d="M{d}"/>')
    return "".join([*parts, "</svg>"])
