"""A batch of examples and its normalized image."""

import torch
import traitlets

from bn import batch_norm
from figures.figure import Figure


class Batch(Figure):
    """A batch of examples on a number line and, below it, the normalized batch.

    Traits: `x`, one to eight examples; `gamma`, `beta` and `eps`, as in
    `bn.batch_norm`.

    >>> Batch(x=[1.0, 3.0])
    Batch(beta=0.0, eps=1e-05, gamma=1.0, x=[1.0, 3.0])
    """

    name = "batch"
    caption = (
        "A batch above, the normalized batch below, each example joined to its image."
    )
    x = traitlets.List(traitlets.Float(), [1.0, 7.0, 9.0, 15.0], 1, 8).tag(sync=True)
    gamma = traitlets.Float(1.0).tag(sync=True)
    beta = traitlets.Float(0.0).tag(sync=True)
    eps = traitlets.Float(1e-5, min=0.0).tag(sync=True)

    def picture(self):
        return _picture(**self.state())


def _picture(x, gamma, beta, eps, low=-4, high=20):
    """Two number lines from `low` to `high`, x above and y below, joined by threads."""
    column = torch.tensor(x, dtype=torch.float64).reshape(-1, 1)
    scale = torch.tensor([[gamma]], dtype=torch.float64)
    shift = torch.tensor([[beta]], dtype=torch.float64)
    y = batch_norm(column, None, None, scale, shift, eps=eps).flatten().tolist()

    def place(value):
        return round(20 + 600 * (value - low) / (high - low), 1)

    parts = [
        '<svg viewBox="0 0 640 180" fill="currentColor" role="img" '
        f'aria-label="{len(x)} examples and, below them, their normalized image">'
    ]
    for height, name in ((40, "x"), (140, "y")):
        parts.append(f'<path class="bn-line" stroke="#8a9099" d="M20 {height}H620"/>')
        parts.append(f'<text x="4" y="{height + 5}">{name}</text>')
    for before, after in zip(x, y, strict=True):
        top, bottom = place(before), place(after)
        thread = f"M{top} 40L{bottom} 140"
        parts.append(f'<path class="bn-thread" stroke="#0072b2" d="{thread}"/>')
        parts.append(f'<circle class="bn-in" fill="#555" cx="{top}" cy="40" r="8"/>')
        parts.append(
            f'<circle class="bn-out" fill="#0072b2" cx="{bottom}" cy="140" r="6"/>'
        )
    return "".join([*parts, "</svg>"])
