"""Pictures of the figures, as SVG, for paper and for readers without JavaScript."""

import torch

from bn import batch_norm


def batch_picture(x, gamma, beta, eps, low=-4, high=20):
    """Two number lines from `low` to `high`, x above and y below, joined by threads."""
    column = torch.tensor(x, dtype=torch.float64).reshape(-1, 1)
    scale = torch.tensor([[gamma]], dtype=torch.float64)
    shift = torch.tensor([[beta]], dtype=torch.float64)
    y = batch_norm(column, None, None, scale, shift, eps=eps).flatten().tolist()

    def place(value):
        return round(20 + 600 * (value - low) / (high - low), 1)

    parts = [
        '<svg viewBox="0 0 640 180" role="img" aria-label="The batch and its image">'
    ]
    for height, name in ((40, "x"), (140, "y")):
        parts.append(f'<path class="bn-line" d="M20 {height}H620"/>')
        parts.append(f'<text x="4" y="{height + 5}">{name}</text>')
    for before, after in zip(x, y, strict=True):
        top, bottom = place(before), place(after)
        parts.append(f'<path class="bn-thread" d="M{top} 40L{bottom} 140"/>')
        parts.append(f'<circle class="bn-in" cx="{top}" cy="40" r="8"/>')
        parts.append(f'<circle class="bn-out" cx="{bottom}" cy="140" r="6"/>')
    return "".join([*parts, "</svg>"])
