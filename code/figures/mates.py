"""Whom is an example compared with: its batch, or the running statistics?"""

import torch
import traitlets

from bn import batch_norm
from figures.figure import Figure
from records import read_record

RECORD = read_record("brightness")["runs"]["Fashion-MNIST"]
LAST = 60  # the most batches that can be seen
START = {
    **{"size": 8, "seen": 32, "moved": {}, "yours": RECORD["yours"]},
    **{"momentum": 0.1, "mode": "training"},
}
# What the buttons set; what is named last is set last, and what is said is about it.
GLARING = str(
    START["size"] * START["seen"]
)  # the first batch-mate's place at the start
STATES = {
    "a glaring batch-mate": {
        **{name: value for name, value in START.items() if name != "moved"},
        "moved": {GLARING: 1.0},
    },
    "reset": START,
    "momentum 1": {"momentum": 1.0},
    "momentum 0.01": {"momentum": 0.01},
}
LIMITS = [(0, 0.5), (0, 1), (-2.5, 4)]  # of mean, spread and output
TITLES = ["mean of each batch", "spread of each batch", "your output in each batch"]
BOLD = "font-weight: 600"
# What is said of a mode, and when one of the traits has changed.
SAID = {
    "training": {
        "mode": "Your output counts the spreads from the mean of today’s batch to "
        "yours. Drag a grey dot, and it changes.",
        "moved": "A batch-mate moved. The mean and the spread of the batch moved with "
        "it, and so did your output.",
        "yours": "Yours moved, and your output with it. As yours is one of the batch, "
        "its mean and spread moved, too.",
        "seen": "Other batch-mates, and for the same image another output.",
        "size": "A batch of another size, and for the same image another output. The "
        "fewer they are, the more each counts.",
        "momentum": "Only the running statistics have changed, below. In training mode "
        "your output does not rest on them.",
    },
    "prediction": {
        "mode": "Now the ruler starts at the running mean and counts running spreads. "
        "Drag a grey dot: your output stands still.",
        "moved": "A batch-mate moved, and your output did not: in prediction mode it "
        "does not rest on today’s batch.",
        "yours": "Yours moved, and your output with it. The mean and the spread that "
        "it is measured with did not.",
        "seen": "Today’s batch is another one, but your output moved only because the "
        "running statistics have seen more batches, or fewer.",
        "size": "The running statistics have seen batches of another size. The larger "
        "they are, the less they stray from the truth.",
        "momentum": "The running statistics weigh the past in another way: the larger "
        "the momentum, the more the last batch counts.",
    },
}


def _down(value, i):
    """How far down in its panel a value is, of mean (0), spread (1) or output (2)."""
    low, high = LIMITS[i]
    return round(104 * (high - min(high, max(low, value))) / (high - low), 1)


WORDS = {
    mode: {
        **{name: said.get(name, said["mode"]) for name in [*START, "stream", "truth"]},
        "basis": "batch" if mode == "training" else "running",
        "panels": [
            [
                f'<p>{title}</p><i style="top:0">{LIMITS[i][1]}</i>'
                f'<i style="top:{_down(0, i)}px">0</i>',
                *LIMITS[i],
            ]
            for i, title in enumerate(TITLES)
        ],
    }
    for mode, said in SAID.items()
}


class Mates(Figure):
    """One example among strangers, and the running statistics of the batches before.

    Traits: `size`, the batch size; `momentum`; `seen`, how many batches the running
    statistics have seen; `mode`, "training" or "prediction"; `moved`, the values of
    strangers that were dragged, by their place in the stream (as a string); `yours`,
    which in the batch at hand sits in the last stranger's place. The data: `stream`,
    the strangers' values, of which batch k has those from k * size on; `truth`, the
    mean and the variance of all there are; `states`, what the buttons set; `words`,
    what each mode calls things.

    >>> Mates(size=2, seen=0)
    Mates(mode='training', momentum=0.1, moved={}, seen=0, size=2, yours=0.505)
    >>> Mates(seen=0, mode="prediction").output()  # yours as it is
    0.504...
    """

    name = "mates"
    caption = (
        "The brightness of your image, a pullover, in a batch of training images. Blue "
        "is what your output rests on: today’s batch or, in prediction mode, the "
        "running statistics, which start from mean 0 and spread 1 and have not seen "
        "yours; a grey frame then shows where today’s batch lies. The true values are "
        "those of 60,000 images. A dot is a batch; in the last panel, what your output "
        "would have been in it."
    )
    size = traitlets.Int(8, min=2, max=16).tag(sync=True)
    momentum = traitlets.Float(0.1, min=0.01, max=1.0).tag(sync=True)
    seen = traitlets.Int(START["seen"], min=0, max=LAST).tag(sync=True)
    mode = traitlets.Enum(["training", "prediction"], "training").tag(sync=True)
    moved = traitlets.Dict(
        value_trait=traitlets.Float(), key_trait=traitlets.Unicode()
    ).tag(sync=True)
    yours = traitlets.Float(RECORD["yours"], min=0.0, max=1.0).tag(sync=True)
    stream = traitlets.List(traitlets.Float(), RECORD["stream"]).tag(
        sync=True, data=True
    )
    truth = traitlets.List(traitlets.Float(), [RECORD["mean"], RECORD["variance"]]).tag(
        sync=True, data=True
    )
    states = traitlets.Dict(default_value=STATES, read_only=True).tag(
        sync=True, data=True
    )
    words = traitlets.Dict(default_value=WORDS, read_only=True).tag(
        sync=True, data=True
    )

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


def _across(value):
    """The place of a brightness in the picture."""
    return round(14 + 460 * min(1, max(0, value)), 1)


def _text(x, y, words, anchor="start", look=""):
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" style="{look}">{words}</text>'


def _panel(i, training, line, dots, true, used):
    """What was from batch to batch, what is true and, in blue, what is used."""
    grey, blue = 'class="bn-past" stroke="#555"', 'class="bn-used" stroke="#0072b2"'
    seen, low = len(dots), _down(0, i)
    at, goal, end = _down(used, i), _down(true, i), 34 + 9 * (seen + training)
    run = "L".join(f"{34 + 9 * k} {_down(v, i)}" for k, v in enumerate(line))
    dotted = "".join(f"M{43 + 9 * k} {_down(v, i)}h0" for k, v in enumerate(dots))
    past, basis = "", "batch" if training else "running"
    words = [f"{basis} {used:.3f}", f"gap {abs(used - true):.3f}"][i // 2 :]
    if i < 2 or training:
        look = grey if i < 2 else blue
        past = f'<path {look} stroke-width="5" opacity="0.5" d="{dotted}"/>'
    if i < 2 or not training:
        past += f'\n<path {grey if training else blue} stroke-width="2" d="M{run}"/>'
    if goal < 58:
        y = min(max(at, goal + 19), 79) + 5
    else:
        y = min(max(at, 27), goal - 19) - 13
    labels = "\n".join(
        [
            _text(34, -14, TITLES[i], look=BOLD),
            _text(26, 5, LIMITS[i][1], "end") + _text(26, low + 5, 0, "end"),
            _text(582, goal + 5, f"true {true:.3f}"),
            *(_text(end + 17, y + 18 * k, said) for k, said in enumerate(words)),
        ]
    )
    return f"""\
<g transform="translate(0 {290 + 142 * i})">
<g fill="none" stroke-linecap="round">
<path class="bn-line" stroke="#8a9099" d="M34 {low}H574M{34 + 9 * seen} 0V104"/>
<path {grey} stroke-dasharray="5 4" d="M34 {goal}H574"/>
{past}
<path {grey} stroke-width="7" stroke-linecap="butt" opacity="0.4" \
d="M{end} {at}V{goal}"/>
<path {blue} stroke-width="11" d="M{end} {at}h0"/></g>
{labels}
</g>"""


def _picture(figure):
    """Today's batch and your output, over the batches before."""

    def views(mean, var):
        return mean, var**0.5, (figure.yours - mean) / (var + 1e-5) ** 0.5

    def own(batch):
        return views(batch.mean().item(), batch.var(correction=0).item())

    training, mode = figure.mode == "training", f"in {figure.mode} mode"
    line = [views(*statistics) for statistics in figure.running()]
    past = [(figure.batch(k), own(figure.company(k))) for k in range(figure.seen)]
    dots = [(b.mean().item(), b.std().item(), asked[2]) for b, asked in past]
    used = mean, spread, output = own(figure.company()) if training else line[-1]
    true = views(*figure.truth)
    panels = "\n".join(
        _panel(i, training, [v[i] for v in line], [v[i] for v in dots], true[i], v)
        for i, v in enumerate(used)
    )
    gray = "" if training else 'fill="none" stroke="#555" opacity="0.5'
    bands = [(used, 'class="bn-band" fill="#dbe8f2')]
    shapes = "".join(
        f'<path {look}" d="M{_across(m - s)} 26V158H{_across(m + s)}V26"/>'
        for (m, s, _), look in [(own(figure.company()), gray)] * bool(gray) + bands
    )
    beads = "".join(
        f'<circle class="bn-in" fill="#555" opacity="0.75" '
        f'cx="{_across(v)}" cy="{82 - 24 * (i % 3)}" r="10"/>'
        for i, v in enumerate(figure.company()[1:].flatten().tolist())
    )
    shades = "".join(
        f'<path stroke="rgb({17 * i}, {17 * i}, {17 * i})" '
        f'd="M{14 + 28.75 * i} 162h29.25"/>'
        for i in range(16)
    )
    middle, yours = _across(mean), _across(figure.yours)
    steps = range(1, int(abs(output)) + 1)
    steps = [_across(mean + (figure.yours - mean) * k / abs(output)) for k in steps]
    basis = f"{WORDS[figure.mode]['basis']} mean {mean:.3f} ± spread {spread:.3f}"
    big = f"{BOLD}; font-size: 52px; fill: var(--bn-out, #0072b2)"
    labels = "\n".join(
        [
            _text(min(max(middle, 120), 368), 14, basis, "middle", BOLD),
            _text(yours, 107, "yours", "middle", BOLD),
            *(_text(x, 148, k + 1, "middle") for k, x in enumerate(steps[:5])),
            _text(14, 182, "0 = black") + _text(474, 182, "1 = white", "end"),
            _text(524, 62, "your output") + _text(524, 138, mode),
            _text(524, 112, f"{output:+.2f}", look=big),
            _text(0, 232, "The batches before", look=f"{BOLD}; font-size: 17px"),
            _text(304, 692, f"batches seen: {figure.seen}", "middle"),
        ]
    )
    ticks = "".join(f"M{x} 123v10" for x in steps)
    return f"""\
<svg viewBox="0 -4 680 702" fill="currentColor" role="img" \
aria-label="Your output {mode} is {output:+.2f}">
{shapes}
<g fill="none"><g stroke-width="7">{shades}</g>
<path class="bn-line" stroke="#8a9099" d="M14 158H474v8H14z"/>
<path class="bn-used" stroke="#0072b2" stroke-width="2" d="M{middle} 26V158"/>
<path class="bn-used" stroke="#0072b2" stroke-width="2.5" \
d="M{middle} 128H{yours}{ticks}"/></g>
{beads}<circle class="bn-out" fill="#0072b2" cx="{yours}" cy="128" r="10"/>
{labels}
{panels}
</svg>"""
