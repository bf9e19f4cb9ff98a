"""Whom is an example compared with: its batch, or the running statistics?"""

import torch
import traitlets

from bn import batch_norm
from figures.figure import Figure
from records import read_record

RECORD = read_record("brightness")["runs"]["Fashion-MNIST"]
LAST = 60  # the most batches that can be seen


class Mates(Figure):
    """One example among strangers, and the running statistics of the batches before.

    Traits: `size`, the batch size; `momentum`; `seen`, how many batches the running
    statistics have seen; `mode`, "training" or "prediction"; `moved`, the values of
    strangers that were dragged, by their place in the stream (as a string). The data:
    `stream`, the strangers' values, of which batch k has those from k * size on;
    `yours`, which in the batch at hand sits in the last stranger's place; `truth`, the
    mean and the variance of all there are.

    >>> Mates(size=2, seen=0)
    Mates(mode='training', momentum=0.1, moved={}, seen=0, size=2)
    >>> Mates(seen=0, mode="prediction").output()  # yours, 0.505, as it is
    0.504...
    """

    name = "mates"
    caption = (
        "The brightness of your image, a pullover, among strangers. Below, from batch "
        "to batch: a dot is what one batch says, the line what the running statistics "
        "say, dashes the truth over 60,000 images. What your output rests on is blue."
    )
    size = traitlets.Int(8, min=2, max=16).tag(sync=True)
    momentum = traitlets.Float(0.1, min=0.01, max=1.0).tag(sync=True)
    seen = traitlets.Int(20, min=0, max=LAST).tag(sync=True)
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

    def batch(self, k):
        """The strangers of batch k, counted from 0; shape (size, 1)."""
        places = range(k * self.size, (k + 1) * self.size)
        values = [self.moved.get(str(i), self.stream[i]) for i in places]
        return torch.tensor(values, dtype=torch.float64)[:, None]

    def company(self):
        """The batch at hand: yours and all of its strangers but the last."""
        batch = self.batch(self.seen).roll(1, 0)
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


def _picture(figure):
    """The batch at hand on a number line, and the running mean on its way."""

    def across(value):
        return round(16 + 448 * min(1, max(0, value)), 1)

    def at(k, mean):
        return f"{16 + 9 * k} {round(270 - 130 * mean, 1)}"

    training = figure.mode == "training"
    company, running = figure.company(), figure.running()
    mean, var = running[-1]
    if training:
        mean, var = company.mean().item(), company.var(correction=0).item()
    left, right = across(mean - var**0.5), across(mean + var**0.5)
    yours, truth = across(figure.yours), figure.truth[0]
    beads = "".join(
        f'<circle class="bn-in" fill="#555" cx="{across(v)}" cy="{78 - 23 * (i % 3)}" '
        f'r="10"/>'
        for i, v in enumerate(company[1:].flatten().tolist())
    )
    own = [figure.batch(k).mean().item() for k in range(figure.seen)]
    dots = "".join(f"M{at(k, v)}h0" for k, v in enumerate(own, 1))
    line = "L".join(at(k, v) for k, (v, _) in enumerate(running))
    blue = 'bn-used" stroke="#0072b2', 'bn-run" stroke="#555'
    dots_look, line_look = blue if training else blue[::-1]
    return f"""\
<svg viewBox="0 0 640 300" fill="currentColor" role="img" \
aria-label="Your output in {figure.mode} mode is {figure.output():+.2f}">
<rect class="bn-band" fill="#dbe8f2" x="{left}" y="22" width="{right - left:.1f}" \
height="106"/>
<path class="bn-line" stroke="#8a9099" d="M16 128H464M16 270H565"/>
{beads}
<path class="bn-fulcrum" fill="#0072b2" d="M{across(mean)} 140l9 16h-18z"/>
<circle class="bn-out" fill="#0072b2" cx="{yours}" cy="128" r="11"/>
<text text-anchor="middle" x="{yours}" y="112">yours</text>
<text x="16" y="174">0 = black</text>
<text text-anchor="end" x="464" y="174">1 = white</text>
<text x="490" y="66">your output,</text>
<text x="490" y="84">in {figure.mode} mode</text>
<text style="font-size: 40px; fill: var(--bn-out, #0072b2)" x="490" y="124">\
{figure.output():+.2f}</text>
<g fill="none" stroke-width="2" stroke-linecap="round">
<path class="bn-line" stroke="#8a9099" stroke-dasharray="5 4" \
d="M{at(0, truth)}L{at(61, truth)}"/>
<path class="{dots_look}" style="stroke-width: 5" d="{dots}"/>
<path class="{line_look}" d="M{line}"/></g>
<text x="16" y="290">running mean {running[-1][0]:.3f} after {figure.seen} batches, \
true {truth:.3f}</text>
</svg>"""
