"""A batch of examples and what batch norm makes of it."""

import torch
import traitlets

from bn import batch_norm
from figures.figure import Figure


class Batch(Figure):
    """A batch of examples on a number line and, below it, what becomes of it.

    Traits: `x`, one to eight examples; `gamma`, `beta` and `eps`, as in
    `bn.batch_norm`.

    >>> Batch(x=[1.0, 3.0])
    Batch(beta=0.0, eps=1e-05, gamma=1.0, x=[1.0, 3.0])
    """

    name = "batch"
    caption = (
        "A batch x, the normalized batch x̂, and y: a thread follows each example. Drag "
        "a grey dot. The bands reach one spread σ, the standard deviation, to either "
        "side of the mean: x̂ has mean 0 and spread 1. ε is a small number added to σ²."
    )
    x = traitlets.List(traitlets.Float(), [1.0, 7.0, 9.0, 15.0], 1, 8).tag(sync=True)
    gamma = traitlets.Float(1.0).tag(sync=True)
    beta = traitlets.Float(0.0).tag(sync=True)
    eps = traitlets.Float(1e-5, min=1e-5).tag(sync=True)

    def picture(self):
        return _picture(**self.state())


def _write(value):
    return f"{round(float(value), 1) + 0:.1f}".replace("-", "−")


def _picture(x, gamma, beta, eps):
    """The number lines x, x_hat and y from -4 to 20, joined by threads."""
    column = torch.tensor(x, dtype=torch.float64).reshape(-1, 1)
    x_hat = batch_norm(column, None, None, eps=eps)
    y = gamma * x_hat + beta
    mean, spread = column.mean().item(), column.std(correction=0).item()

    def place(value):
        return round(40 + 24 * (value + 4), 1)

    def text(value, height, words, anchor="middle", look="font-weight: 600"):
        return (
            f'<text x="{place(value)}" y="{height}" text-anchor="{anchor}" '
            f'style="{look}">{words}</text>'
        )

    ticks = "".join(f"M{place(value)} 251v10" for value in (0, 5, 10, 15, 20))
    halo = "font-weight: 600; paint-order: stroke; stroke: var(--bn-page, #fff); "
    halo += "stroke-width: 5px"
    middle, right = place(mean), place(mean + spread)
    parts = [
        '<svg viewBox="0 0 640 290" fill="currentColor" role="img" '
        f'aria-label="{len(x)} examples and, below them, the same '
        'normalized, and then scaled and shifted">',
        f'<path class="bn-band" fill="#dbe8f2" '
        f'd="M{place(mean - spread)} 44V84H{right}V44"/>',
        '<path class="bn-band" fill="#dbe8f2" '
        f'd="M{place(-1.0)} 140V180H{place(1.0)}V140"/>',
        '<g fill="none"><path class="bn-line" stroke="#8a9099" '
        f'd="M40 64h576M40 160h576M40 256h576{ticks}"/>',
        '<path class="bn-used" stroke="#0072b2" stroke-width="1.5" '
        f'd="M{middle} 36H{right}M{middle} 32v8M{right} 32v8"/>',
    ]
    ways = zip(x, x_hat.flatten().tolist(), y.flatten().tolist(), strict=True)
    ways = [[place(value) for value in way] for way in ways]
    for a, b, c in ways:
        thread = f"M{a} 64L{b} 160 {c} 256"
        parts.append(f'<path class="bn-thread" stroke="#0072b2" d="{thread}"/>')
    parts.append("</g>")
    for way in ways:
        for i, at in enumerate(way):
            look = 'bn-out" fill="#0072b2" r="6.5' if i else 'bn-in" fill="#555" r="10'
            parts.append(f'<circle class="{look}" cx="{at}" cy="{64 + 96 * i}"/>')
    parts += [
        f'<path class="bn-fulcrum" fill="#0072b2" d="M{middle} 84l9 15h-18z"/>',
        text(max(mean, -0.5) - 1 / 3, 41, f"mean μ {_write(mean)}", "end"),
        text(mean + spread / 2, 24, f"spread σ {_write(spread)}"),
        *(
            text(-5, 69 + 96 * i, name, look="font-style: italic")
            for i, name in enumerate(("x", "x̂", "y"))
        ),
        text(20, 144, "normalize: x̂ = (x − μ) / √(σ² + ε)", "end", ""),
        text(20, 186, "scale and shift: y = γ x̂ + β", "end", ""),
        *(
            text(end, 242, words, anchor, halo)
            for end, beyond, words, anchor in (
                (-4, y.min() < -4, f"← {_write(y.min())}", "start"),
                (20, y.max() > 20, f"{_write(y.max())} →", "end"),
            )
            if beyond
        ),
        *(text(value, 280, value, look="") for value in (0, 5, 10, 15, 20)),
    ]
    return "".join([*parts, "</svg>"])
