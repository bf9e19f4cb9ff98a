"""Whom is an example compared with: its batch, or the running statistics?"""

import torch
import traitlets

from bn import batch_norm
from figures.figure import Figure
from records import read_record

RECORD = read_record("brightness")["runs"]["Fashion-MNIST"]
LAST = 60  # the most batches that can be seen
START = {"size": 8, "momentum": 0.1, "seen": 32, "mode": "training", "moved": {}}
STATES = {
    "a glaring stranger": {"moved": {"256": 1.0}},
    "impatient": {"momentum": 1.0, "mode": "prediction"},
    "patient": {"momentum": 0.01, "mode": "prediction", "seen": LAST},
    "reset": {},
}
# The labels of the batches and of the outputs; figures.css has the place of each.
TAPE = [
    *("0 = black", "truth", "1 = white", "yours", "today’s batch"),
    *("running mean ± spread", "start: mean 0, spread 1"),
]
TRAIL = ["−4", "truth", "4", "0", "line: prediction", "dots: training"]


class Mates(Figure):
    """One example among strangers, and the running statistics of the batches before.

    Traits: `size`, the batch size; `momentum`; `seen`, how many batches the running
    statistics have seen; `mode`, "training" or "prediction"; `moved`, the values of
    strangers that were dragged, by their place in the stream (as a string). The data:
    `stream`, the strangers' values, of which batch k has those from k * size on;
    `yours`, which in the batch at hand sits in the last stranger's place; `truth`, the
    mean and the variance of all there are; `states`, what the buttons set; `words`,
    the labels, as HTML.

    >>> Mates(size=2, seen=0)
    Mates(mode='training', momentum=0.1, moved={}, seen=0, size=2)
    >>> Mates(seen=0, mode="prediction").output()  # yours, 0.505, as it is
    0.504...
    """

    name = "mates"
    caption = (
        "The brightness of your image, a pullover, among strangers; below, the batches "
        "before, newest first, each a dot at its mean. The ruler counts the spreads "
        "between the mean and yours: your output, drawn again on the right. What it "
        "rests on is blue. Truth: 60,000 images."
    )
    size = traitlets.Int(8, min=2, max=16).tag(sync=True)
    momentum = traitlets.Float(0.1, min=0.01, max=1.0).tag(sync=True)
    seen = traitlets.Int(START["seen"], min=0, max=LAST).tag(sync=True)
    mode = traitlets.Enum(["training", "prediction"], "training").tag(sync=True)
    moved = traitlets.Dict(
        value_trait=traitlets.Float(), key_trait=traitlets.Unicode()
    ).tag(sync=True)
    stream = traitlets.List(traitlets.Float(), RECORD["stream"]).tag(
        sync=True, data=True
    )
    yours = traitlets.Float(RECORD["yours"]).tag(sync=True, data=True)
    truth = traitlets.List(traitlets.Float(), [RECORD["mean"], RECORD["variance"]]).tag(
        sync=True, data=True
    )
    states = traitlets.Dict(
        default_value={name: {**START, **state} for name, state in STATES.items()},
        read_only=True,
    ).tag(sync=True, data=True)
    words = traitlets.List(
        default_value=["".join(f"<i>{w}</i>" for w in part) for part in (TAPE, TRAIL)],
        read_only=True,
    ).tag(sync=True, data=True)

    def batch(self, k):
        """The strangers of batch k, counted from 0; shape (size, 1)."""
        places = range(k * self.size, (k + 1) * self.size)
        values = [self.moved.get(str(i), self.stream[i]) for i in places]
        return torch.tensor(values, dtype=torch.float64)[:, None]

    def company(self, k=None):
        """Yours and all strangers but the last of batch k, or of the one at hand."""
        batch = self.batch(self.seen if k is None else k).roll(1, 0)
        batch[0] = self.yours
        return batch

    def running(self):
        """The running mean and variance after 0, 1, ..., `seen` batches."""
        mean = torch.zeros(1, 1, dtype=torch.float64)
        var = torch.ones(1, 1, dtype=torch.float64)
        history = [(0.0, 1.0)]
        for k in range(self.seen):
            batch_norm(self.batch(k), mean, var, training=True, momentum=self.momentum)
            history.append((mean.item(), var.item()))
        return history

    def output(self):
        """What becomes of yours in this mode, with gamma 1 and beta 0."""
        mean, var = torch.tensor(self.running()[-1], dtype=torch.float64).reshape(
            2, 1, 1
        )
        training = self.mode == "training"
        return batch_norm(self.company(), mean, var, training=training)[0].item()

    def picture(self):
        return _picture(self)


def _moments(batch):
    return batch.mean().item(), batch.var(correction=0).item()


def _across(value):
    """The place of a brightness in the picture."""
    return round(14 + 400 * min(1, max(0, value)), 1)


def _along(output):
    """The place of an output in the picture."""
    return round(564 + 26 * min(4, max(-4, output)), 1)


def _marks(at, line, dots, goal, start, end, count, blue_line, blue_dots):
    """The past, a row for each batch, and over it a ruler that counts the spreads."""
    gray, blue = 'bn-past" stroke="#555', 'bn-used" stroke="#0072b2'
    top = 144 + 4 * len(dots)
    steps = range(1, int(count) + 1)
    ticks = "".join(f"M{at(start + (end - start) * k / count)} 128v8" for k in steps)
    path = "L".join(f"{at(v)} {top - 4 * k}" for k, v in enumerate(line))
    dotted = "".join(f"M{at(v)} {top - 4 * k - 2}h0" for k, v in enumerate(dots))
    return f"""\
<path class="{gray}" stroke-dasharray="5 4" d="M{at(goal)} 144V384"/>
<path class="{blue if blue_dots else gray}" stroke-width="4.5" opacity="0.6" \
d="{dotted}"/>
<path class="{blue if blue_line else gray}" stroke-width="2" d="M{path}"/>
<path class="{gray}" stroke-width="7" stroke-linecap="butt" opacity="0.4" \
d="M{at(line[-1])} 148H{at(goal)}"/>
<path class="{blue}" opacity="0.6" d="M{at(end)} 112V384"/>
<path class="{blue}" stroke-width="2.5" d="M{at(start)} 132H{at(end)}{ticks}"/>
<path class="{blue}" stroke-width="22" d="M{at(end)} 112h0"/>"""


def _picture(figure):
    """Today's batch over the past ones and, beside them, your output over its past."""

    def judge(mean, var):
        return (figure.yours - mean) / (var + 1e-5) ** 0.5

    training, output = figure.mode == "training", figure.output()
    running, (true, true_var) = figure.running(), figure.truth
    now, now_var = running[-1]
    mean, var = _moments(figure.company()) if training else running[-1]
    said, goal = judge(now, now_var), judge(true, true_var)
    past = range(figure.seen)
    own = [figure.batch(k).mean().item() for k in past]
    asked = [judge(*_moments(figure.company(k))) for k in past]
    size = abs(output)
    tape = _marks(
        *(_across, [m for m, _ in running], own, true),
        *(mean, figure.yours, size, not training, False),
    )
    line = [judge(*statistics) for statistics in running]
    trail = _marks(_along, line, asked, goal, 0, output, size, not training, training)
    sides = [
        [
            f"{_across(m + sign * v**0.5)} {144 + 4 * (figure.seen - k)}"
            for k, (m, v) in enumerate(running)
        ]
        for sign in (-1, 1)
    ]
    river = "L".join(sides[0] + sides[1][::-1])
    band = 'bn-band" fill="#dbe8f2'
    faded = 'bn-river" opacity="0.12" fill="#555'
    left, right = _across(mean - var**0.5), _across(mean + var**0.5)
    edges = [_across(true + sign * true_var**0.5) for sign in (-1, 1)]
    pale = 0.75 if training else 0.45
    beads = "".join(
        f'<circle class="bn-in" fill="#555" opacity="{pale}" cx="{_across(v)}" '
        f'cy="{74 - 27 * (i % 3)}" r="10"/>'
        for i, v in enumerate(figure.company()[1:].flatten().tolist())
    )
    shades = "".join(
        f'<path stroke="rgb({17 * i}, {17 * i}, {17 * i})" d="M{14 + 25 * i} 388h25"/>'
        for i in range(16)
    )
    beside = _across(figure.yours) + 12
    foot = 161 + 4 * min(54, max(26, figure.seen))
    basis = "batch" if training else "running"
    places = [
        *((14, 410), (_across(true), 410), (414, 410), (beside + 4, 117), (414, 14)),
        *((beside, foot - 22), (beside, foot)),
        *((460, 410), (_along(goal), 410), (668, 410), (564, 410)),
        *((460, foot - 22), (460, foot)),
        *((beside, 168), (beside, 186), (beside, 204), (beside, 222)),
        *((460, 168), (460, 186), (460, 204), (460, 14), (460, 86)),
    ]
    words = [
        *(*TAPE, *TRAIL),
        f"running mean {now:.3f}",
        f"true {true:.3f}, gap {abs(now - true):.3f}",
        f"running spread {now_var**0.5:.3f}",
        f"true {true_var**0.5:.3f}, gap {abs(now_var**0.5 - true_var**0.5):.3f}",
        f"prediction {said:.3f}",
        f"true {goal:.3f},",
        f"gap {abs(said - goal):.3f}",
        f"your output, in {figure.mode} mode",
        f"{basis} mean {mean:.3f}, spread {var**0.5:.3f}",
    ]
    anchors = {1: "middle", 2: "end", 4: "end", 8: "middle", 9: "end", 10: "middle"}
    texts = "\n".join(
        f'<text text-anchor="{anchors.get(i, "start")}" x="{x}" y="{y}">{text}</text>'
        for i, ((x, y), text) in enumerate(zip(places, words, strict=True))
    )
    return f"""\
<svg viewBox="0 -4 680 420" fill="currentColor" role="img" \
aria-label="Your output in {figure.mode} mode is {output:+.2f}">
<path class="{faded if training else band}" d="M{river}"/>
<path class="{band}" d="M{left} 144V0H{right}V144"/>
{beads}
<g fill="none" stroke-linecap="round">
<g stroke-width="8" stroke-linecap="butt">{shades}</g>
<path class="bn-past" stroke="#555" d="M14 384H414v8H14zM460 384H668"/>
<path class="bn-past" stroke="#555" opacity="0.45" stroke-dasharray="5 4" \
d="M{edges[0]} 144V384M{edges[1]} 144V384"/>
<path class="bn-used" stroke="#0072b2" stroke-width="2" d="M{_across(mean)} 0V144"/>
{tape}
{trail}</g>
{texts}
<text style="font-size: 44px; font-weight: 600; fill: var(--bn-out, #0072b2)" \
x="458" y="60">{output:+.2f}</text>
</svg>"""
