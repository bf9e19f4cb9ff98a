"""Pictures of the figures, as SVG, for paper and for readers without JavaScript."""

import itertools

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


def share_picture(kind, cell):
    """Sheets of numbers, a column an example, a row a channel, the crowd marked."""
    n, c = cell[:2]
    averaged = {
        "batch": lambda example, channel: channel == c,
        "layer": lambda example, channel: example == n,
        "instance": lambda example, channel: (example, channel) == (n, c),
        "group": lambda example, channel: example == n and channel // 2 == c // 2,
    }[kind]
    parts = ['<svg viewBox="0 0 270 350" role="img" aria-label="Numbers of a batch">']
    for example, channel, row, column in itertools.product(range(3), *[range(4)] * 3):
        mark = "bn-lit" if averaged(example, channel) else "bn-cell"
        if [example, channel, row, column] == list(cell):
            mark = "bn-chosen"
        x, y = example * 86 + column * 18, channel * 86 + row * 18
        parts.append(f'<rect class="{mark}" x="{x}" y="{y}" width="16" height="16"/>')
    return "".join([*parts, "</svg>"])
