"""Variances and gradients, layer by layer, in deep nets before training."""

import html
import math
from statistics import median

import traitlets

from figures.figure import Figure
from records import read_record

DEPTHS = [2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 60, 80, 100]
# What theory says of the growth a layer, of the variance on its way up and of the
# gradient on its way down.
THEORY = {
    "plain": "In theory each layer multiplies the variance by 0.167 and the gradient "
    "by 0.408.",  # 1/6, √(1/6)
    "plain, He": "In theory the gradient stays as it is.",
    "batch norm": "In theory the variance stays as it is, and each layer multiplies "
    "the gradient by √(π/(π − 1)) = 1.21.",
    "residual": "In theory each layer multiplies the variance by 2 and the gradient "
    "by 1.41.",  # √2
    "residual + batch norm": "In theory each layer adds 0.68 to the variance, "
    "a factor ever closer to 1.",  # 1 − 1/π
    "SkipInit": "In theory both stay as they are.",
}
ROWS = [
    {
        "name": "Forward ↑",
        "what": "variance of a layer’s outputs, relative to the first layer",
        "end": 16,  # the power of ten at the ends of the scale
        "ticks": ["10⁻¹⁶", "1", "10¹⁶"],
    },
    {
        "name": "Backward ↓",
        "what": "norm of the gradient, relative to the last layer",
        "end": 8,
        "ticks": ["10⁻⁸", "1", "10⁸"],
    },
]

DOTTED = "0.68 0.06 0.04 0.06 0.04 0.06 0.04 99"  # a rung that goes on, also in the CSS


class Depth(Figure):
    """The variance in each layer on the way up, the gradient's norm on the way down.

    Traits: `depth`, the number of layers, one of those measured; `net` and `layer`, the
    ones that are read out, a layer counted from 1 at the input; `data`, what the two
    rows of ladders are and, for each net, the medians that `measurements/depth.py`
    recorded, relative to those of the first layer and of the last, with their growth
    in words and what theory says.

    >>> Depth(depth=10)
    Depth(depth=10, layer=25, net='batch norm')
    """

    name = "depth"
    caption = (
        "Six nets before training; each rung is a layer. Blue: with batch norm. On the "
        "axis a value is 1, unchanged; to the right it has grown, to the left shrunk, "
        "on scales of powers of ten; a dotted rung goes on beyond them. Below a ladder "
        "stands the growth a layer, the factor that fits best. Medians over nine draws "
        "of weights and images."
    )
    depth = traitlets.Enum(DEPTHS, 50).tag(sync=True)
    layer = traitlets.Int(25, min=1).tag(sync=True)
    net = traitlets.Enum([*THEORY], "batch norm").tag(sync=True)
    data = traitlets.Dict(read_only=True).tag(sync=True, data=True)

    @traitlets.default("data")
    def _recorded(self):
        runs = read_record("depth")["runs"]
        nets = {net: _relative(net, runs[net]) for net in THEORY}
        return {"rows": ROWS, "nets": nets, "depths": DEPTHS}

    def picture(self):
        return _picture(self.depth, min(self.layer, self.depth), self.net, self.data)


def _relative(net, run):
    """The values of a net relative to where they start, and their growth in words."""

    def relative(values, start):
        return [value and float(f"{value / start:.4g}") for value in values]

    variance = relative(run["variance"], run["variance"][0])
    gradient = {d: relative(v, v[-1]) for d, v in run["gradient"].items()}
    return {
        "variance": variance,
        "gradient": gradient,
        "said": {
            str(depth): f"{net}: from the first of {depth} layers to the last, the "
            f"variance is multiplied by {_times(variance[depth - 1])}; down to the "
            f"first, the gradient by {_times(gradient[str(depth)][0])}."
            for depth in DEPTHS
        },
        "growth": {depth: _growth(both) for depth, both in run["growth"].items()},
        "theory": THEORY[net],
    }


def _growth(seeds):
    """The factor a layer, of the variance upwards and of the gradient downwards."""
    return [
        f"×{median(seeds[name]):#.3g} a\u00a0layer" for name in ("variance", "gradient")
    ]


def _times(value):
    """A factor to three digits: 0.967, or 2.34·10⁷."""
    if value is None:
        return "less than 10⁻²⁷"  # a variance below 1e-30 is not recorded
    mantissa, exponent = f"{value:.2e}".split("e")
    if -3 < int(exponent) < 3:
        return f"{value:.{2 - int(exponent)}f}"
    return f"{mantissa}·10{_raised(int(exponent))}"


def _raised(power):
    return str(power).translate(str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"))


def _picture(depth, layer, net, data, width=104, height=180):
    """Two rows of ladders, each ladder over the growth of its column."""
    nets = data["nets"]
    said = nets[net]["said"][str(depth)]
    parts = [
        f'<svg viewBox="0 0 640 634" fill="currentColor" role="img" '
        f'aria-label="{html.escape(said)}">'
    ]

    def write(x, y, text, size=12, anchor="middle", weight=400):
        looks = f'style="font-size: {size}px" font-weight="{weight}"'
        parts.append(
            f'<text x="{x}" y="{y}" text-anchor="{anchor}" {looks}>'
            f"{html.escape(str(text))}</text>"
        )

    def bold(x, y, text, anchor="middle"):
        write(x, y, text, 14, anchor, 600)

    bold(8, 16, f"{depth} layers", "start")
    which, how_far = said.split(", the ", 1)  # a line would be too long
    write(100, 16, f"{which},", 13, "start")
    write(100, 34, f"the {how_far}", 13, "start")
    here = []
    for column, name in enumerate(nets):
        for y, line in zip((72, 57), reversed(name.split(" + ")), strict=False):
            bold(60 + width * column, y, f"{line} +" if y == 57 else line)
    for backward, (row, top) in enumerate(zip(data["rows"], (108, 366), strict=True)):
        bottom = top + height
        bold(8, top - 14, row["name"], "start")
        write(98, top - 14, row["what"], 14, "start")
        at = round(bottom - height * (layer - 0.5) / depth, 1)
        for column, (name, shown) in enumerate(nets.items()):
            values = shown["gradient"][str(depth)] if backward else shown["variance"]
            left = 8 + width * column
            place = f'x="{left + 5}" y="{top}" width="{width - 10}" height="{height}"'
            parts.append(_ladder(name, values[:depth], row["end"], place))
            bold(left + width // 2, bottom + 34, shown["growth"][str(depth)][backward])
            if name == net:
                here.append(_times(values[layer - 1]))
                x = _place(values[layer - 1], row["end"])
                x = round(left + width / 2 + (width / 2 - 5) * x, 1)
                looks = f'cx="{x}" cy="{at}" fill="{_color(name)}"'
                parts.append(f'<circle r="4" data-net="{name}" {looks}/>')
        ticks = zip(
            (13, 60, 107), ("start", "middle", "end"), row["ticks"], strict=True
        )
        for x, anchor, tick in ticks:
            write(x, bottom + 14, tick, anchor=anchor)
        line = f'd="M8 {at}H{8 + 5.5 * width}"'
        parts.append(f'<path class="bn-line" stroke="#8a9099" {line}/>')
        for x, y, label in (
            (16 + 5.5 * width, at + 4, f"layer {layer}"),
            (16 + width / 2, top + 14, "output"),
            (16 + width / 2, bottom - 8, "input"),
        ):
            write(x, y, label, anchor="start")
    write(8, 608, f"{net}: up to layer {layer} the variance is multiplied", 14, "start")
    write(8, 626, f"by {here[0]}, down to it the gradient by {here[1]}.", 14, "start")
    return "".join([*parts, "</svg>"])


def _color(net):
    return "#0072b2" if "batch norm" in net else "#d55e00"


def _place(value, end):
    """Where a value lies on the scale, whose ends are -1 and 1."""
    return math.log10(value or 1e-99) / end


def _ladder(net, values, end, place):
    """The rungs of a net, and the line along their ends, which a frame cuts off."""
    count = len(values)
    ends = [(_place(value, end), -layer - 0.5) for layer, value in enumerate(values)]
    stubs = "".join(f"M-.07 {y}h.14" for _, y in ends)
    rungs = "".join(f"M0 {y}H{x:.4g}" for x, y in ends if abs(x) <= 1)
    beyond = "".join(f"M0 {y}H{x:.4g}" for x, y in ends if abs(x) > 1)
    line = "L".join(f"{x:.4g} {y}" for x, y in ends)
    return (
        f'<svg {place} viewBox="-1 {-count} 2 {count}" '
        f'preserveAspectRatio="none" fill="none" '
        f'stroke-width="{min(0.45, count / 80)}">'
        f'<path fill="#8a9099" fill-opacity="0.12" d="M-1 0V-{count}H1V0"/>'
        f'<path stroke="#8a9099" opacity="0.5" d="{stubs}"/>'
        f'<g data-net="{net}" stroke="{_color(net)}"><path opacity="0.6" d="{rungs}"/>'
        f'<path opacity="0.6" stroke-dasharray="{DOTTED}" d="{beyond}"/>'
        f'<path stroke-width="1.6" vector-effect="non-scaling-stroke" d="M{line}"/>'
        "</g></svg>"
    )
