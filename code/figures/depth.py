"""Variances and gradients, layer by layer, in deep nets before training."""

import math
from statistics import median

import traitlets

from figures.figure import Figure
from records import read_record

DEPTHS = [2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 60, 80, 100]
# What is said of the variance on its way up and of the gradient on its way down.
WORDS = {
    "plain": (
        "The variance shrinks, ×{:#.3g} a layer; theory: 1/6 = 0.167.",
        "The gradient shrinks, ×{:#.3g} a layer towards the input; "
        "theory: √(1/6) = 0.408.",
    ),
    "plain, He": (
        "The variance shrinks, ×{:#.3g} a layer, more slowly the deeper the net.",
        "The gradient stays, ×{:#.3g} a layer towards the input; theory: 1.",
    ),
    "batch norm": (
        "The variance stays, ×{:#.3g} a layer; theory: 1.",
        "The gradient grows, ×{:#.3g} a layer towards the input; "
        "theory: √(π/(π−1)) = 1.21.",
    ),
    "residual": (
        "The variance grows, ×{:#.3g} a layer; theory: 2.",
        "The gradient grows, ×{:#.3g} a layer towards the input; theory: √2 = 1.41.",
    ),
    "residual + batch norm": (
        "The variance grows by {:.2f} a layer, linearly; theory: 1 − 1/π = 0.68.",
        "The gradient grows ×{:.2g} in all, from the last layer to the first.",
    ),
    "SkipInit": (
        "The variance stays, ×{:#.3g} a layer: each passes on what it gets.",
        "The gradient stays, ×{:#.3g} a layer towards the input.",
    ),
}


class Depth(Figure):
    """The variance in each layer on the way up, the gradient's norm on the way down.

    Traits: `net`, one of six; `depth`, its number of layers, one of those measured;
    `layer`, the chosen one, counted from 1 at the input; `data`, for each net the
    medians that `measurements/depth.py` recorded, and their growth in words.

    >>> Depth(net="plain", depth=10)
    Depth(depth=10, layer=1, net='plain')
    """

    name = "depth"
    caption = (
        "Nets before training, on scales of powers of ten; each rung is a layer. Left, "
        "how far the variance of its outputs lies from that of the first layer; right, "
        "how far the norm of the gradient by its outputs lies from that of the last. "
        "Medians over nine draws of weights and images."
    )
    net = traitlets.Enum(list(WORDS), "batch norm").tag(sync=True)
    depth = traitlets.Enum(DEPTHS, 50).tag(sync=True)
    layer = traitlets.Int(1, min=1).tag(sync=True)
    data = traitlets.Dict(read_only=True).tag(sync=True, data=True)

    @traitlets.default("data")
    def _recorded(self):
        runs = read_record("depth")["runs"]
        return {
            net: {
                "variance": run["variance"],
                "gradient": run["gradient"],
                "words": {depth: _words(net, run, depth) for depth in run["gradient"]},
            }
            for net, run in ((net, runs[net]) for net in WORDS)
        }

    def picture(self):
        return _picture(self.net, self.depth, self.data[self.net])


def _words(net, run, depth):
    """The growth over the layers of a net, forward and backward."""
    growth = {name: median(values) for name, values in run["growth"][depth].items()}
    up, down = growth["variance"], growth["gradient"]
    if net == "residual + batch norm":  # neither grows by a factor a layer
        gradient = run["gradient"][depth]
        up, down = growth["variance_step"], gradient[0] / gradient[-1]
    texts = WORDS[net][0].format(up), WORDS[net][1].format(down)
    return [text.replace(" = ", "\u00a0=\u00a0") for text in texts]


def _picture(net, depth, data, top=70, bottom=450, reach=120):
    """Two ladders, of variances and of gradients, under the growth in words."""
    step = (bottom - top) / depth
    color = "#0072b2" if "batch norm" in net else "#d55e00"
    values = data["variance"][:depth], data["gradient"][str(depth)]
    label = f"{net}, {depth} layers. {' '.join(data['words'][str(depth)])}"
    parts = [
        f'<svg viewBox="0 0 640 480" fill="currentColor" role="img" '
        f'aria-label="{label}">'
        f'<text x="320" y="60" text-anchor="middle">{net}, {depth} layers</text>'
    ]
    for side, (series, end, title) in enumerate(
        zip(values, (16, 8), ("Forward", "Backward"), strict=True)
    ):
        middle = (160, 480)[side]
        start = series[-side]

        def place(value, middle=middle, end=end):
            power = math.log10(value or 1e-99) / end  # none recorded: it was too small
            return round(middle + reach * max(-1.1, min(1.1, power)), 1)

        words = data["words"][str(depth)][side]
        parts.append(f'<text x="0" y="{16 + 22 * side}">{title}: {words}</text>')
        for sign, label in ((-1, f"1e-{end}"), (0, "1"), (1, f"1e{end}")):
            x = middle + sign * reach
            line = f'd="M{x} {top}V{bottom}"'
            parts.append(f'<path class="bn-line" stroke="#8a9099" {line}/>')
            where = f'x="{x}" y="{bottom + 22}" text-anchor="middle"'
            parts.append(f"<text {where}>{label}</text>")
        rungs = "".join(
            f"M{place(start)} {bottom - (i + 0.5) * step:.1f}H{place(value)}"
            for i, value in enumerate(series)
        )
        looks = f'stroke="{color}" stroke-width="{min(10, 0.8 * step):.1f}"'
        looks += ' stroke-linecap="round"'
        parts.append(f'<path data-net="{net}" {looks} d="{rungs}"/>')
    for height, name in ((top + 10, "output"), (bottom, "input")):
        parts.append(f'<text x="320" y="{height}" text-anchor="middle">{name}</text>')
    return "".join([*parts, "</svg>"])
