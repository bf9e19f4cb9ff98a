"""Variances and gradients, layer by layer, in deep nets before training."""

import math
from statistics import median

import traitlets

from figures.figure import Figure
from records import read_record

DEPTHS = [2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 60, 80, 100]
# What theory says of the growth a layer, of the variance on its way up and of the
# gradient on its way down.
THEORY = {
    "plain": ("theory\n0.167", "theory\n0.408"),  # 1/6, √(1/6)
    "plain, He": ("slower\nthe deeper", "theory\n1"),
    "batch norm": ("theory\n1", "theory\n1.21"),  # √(π/(π−1))
    "residual": ("theory\n2", "theory\n1.41"),  # √2
    "residual + batch norm": ("theory\n0.68", ""),  # 1 − 1/π
    "SkipInit": ("theory\n1", "theory\n1"),
}
ROWS = [
    {
        "name": "Forward ↑",
        "what": "variance of a layer’s outputs, relative to the first layer",
        "end": 16,  # the power of ten at the ends of the scale
    },
    {
        "name": "Backward ↓",
        "what": "norm of the gradient, relative to the last layer",
        "end": 8,
    },
]


class Depth(Figure):
    """The variance in each layer on the way up, the gradient's norm on the way down.

    Traits: `depth`, the number of layers, one of those measured; `layer`, the one that
    is read out, counted from 1 at the input; `data`, what the two rows of ladders are
    and, for each net, the medians that `measurements/depth.py` recorded, relative to
    those of the first layer and of the last, with their growth in words.

    >>> Depth(depth=10)
    Depth(depth=10, layer=25)
    """

    name = "depth"
    caption = (
        "Six nets before training; each rung is a layer. Right of the axis its value "
        "has grown on its way, left of it shrunk, on scales of powers of ten. Point at "
        "a layer to read its values\u00a0(●). Medians over nine draws of weights and "
        "images."
    )
    depth = traitlets.Enum(DEPTHS, 50).tag(sync=True)
    layer = traitlets.Int(25, min=1).tag(sync=True)
    data = traitlets.Dict(read_only=True).tag(sync=True, data=True)

    @traitlets.default("data")
    def _recorded(self):
        runs = read_record("depth")["runs"]
        nets = {net: _relative(net, runs[net]) for net in THEORY}
        gradient = nets["batch norm"]["gradient"]
        said = {
            str(depth): "With batch norm the variance stays, and down "
            f"{depth} layers the gradient grows {_times(gradient[str(depth)][0])}."
            for depth in DEPTHS
        }
        return {"rows": ROWS, "nets": nets, "said": said}

    def picture(self):
        return _picture(self.depth, min(self.layer, self.depth), self.data)


def _relative(net, run):
    """The values of a net relative to where they start, and their growth in words."""

    def relative(values, start):
        return [value and float(f"{value / start:.4g}") for value in values]

    return {
        "variance": relative(run["variance"], run["variance"][0]),
        "gradient": {d: relative(v, v[-1]) for d, v in run["gradient"].items()},
        "words": {depth: _words(net, run, depth) for depth in run["gradient"]},
    }


def _words(net, run, depth):
    """The growth over the layers of a net, forward and backward, and the theory."""
    growth = {name: median(values) for name, values in run["growth"][depth].items()}
    words = [f"×{growth[name]:#.3g}\na layer" for name in ("variance", "gradient")]
    if net == "residual + batch norm":  # neither grows by a factor a layer
        gradient = run["gradient"][depth]
        words = [
            f"+{growth['variance_step']:.2f}\na layer",
            f"×{gradient[0] / gradient[-1]:.2g}\nin all",
        ]
    return list(zip(words, THEORY[net], strict=True))


def _times(value):
    """A factor in short: ×0.967, or ×2.3·10⁷."""
    if value is None:
        return "< 10⁻²⁷"  # a variance below 1e-30 is not recorded
    if 1e-3 < value < 1e3:
        return f"×{value:#.3g}".rstrip(".")
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"×{mantissa}·10{_raised(int(exponent))}"


def _raised(power):
    return str(power).translate(str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"))


def _picture(depth, layer, data, width=104, height=180):
    """Two rows of ladders, each ladder over the words of its column."""
    nets, said = data["nets"], data["said"][str(depth)]
    parts = [
        f'<svg viewBox="0 0 640 652" fill="currentColor" role="img" '
        f'aria-label="{said}">'
    ]

    def write(x, y, text, size=12, anchor="middle", weight=400):
        looks = f'style="font-size: {size}px" font-weight="{weight}"'
        parts.append(
            f'<text x="{x}" y="{y}" text-anchor="{anchor}" {looks}>{text}</text>'
        )

    def bold(x, y, text, anchor="middle"):
        write(x, y, text, 14, anchor, 600)

    bold(8, 16, f"{depth} layers", "start")
    write(100, 16, said, 14, "start")
    for column, net in enumerate(nets):
        for y, line in zip((62, 46), reversed(net.split(" + ")), strict=False):
            bold(60 + width * column, y, f"{line} +" if y == 46 else line)
    for backward, (row, top) in enumerate(zip(data["rows"], (108, 396), strict=True)):
        bottom, end = top + height, row["end"]
        bold(8, top - 14, row["name"], "start")
        write(98, top - 14, row["what"], 14, "start")
        for column, (net, shown) in enumerate(nets.items()):
            values = shown["gradient"][str(depth)] if backward else shown["variance"]
            left = 8 + width * column
            middle = left + width // 2
            place = f'x="{left}" y="{top}" width="{width}" height="{height}"'
            parts.append(_ladder(net, values[:depth], end, place, width))
            for x, tick, anchor in (
                (left + 12, f"10{_raised(-end)}", "start"),
                (middle, "1", "middle"),
                (left + 92, f"10{_raised(end)}", "end"),
            ):
                write(x, bottom + 14, tick, anchor=anchor)
            growth, theory = shown["words"][str(depth)][backward]
            bold(middle, bottom + 36, growth.replace("\n", " "))
            write(middle, bottom + 52, theory.replace("\n", " "))
            write(middle, bottom + 68, _times(values[layer - 1]))
        at = round(bottom - height * (layer - 0.5) / depth, 1)
        line = f'd="M8 {at}H{8 + 5.5 * width}"'
        parts.append(f'<path class="bn-line" stroke="#8a9099" {line}/>')
        for x, y, label in (
            (16 + 5.5 * width, at + 4, f"layer {layer}"),
            (16 + width / 2, top + 14, "output"),
            (16 + width / 2, bottom - 8, "input"),
        ):
            write(x, y, label, anchor="start")
    return "".join([*parts, "</svg>"])


def _ladder(net, values, end, place, width):
    """The rungs of a net, and the line along their ends, which a frame cuts off."""
    count = len(values)
    ends = [
        (math.log10(value or 1e-99) / end, -layer - 0.5)
        for layer, value in enumerate(values)
    ]
    stubs = "".join(f"M-.07 {y}h.14" for _, y in ends)
    rungs = "".join(f"M0 {y}H{max(-1, min(1, x)):.4g}" for x, y in ends)
    faded = "".join(f"M{x / abs(x):.0f} {y}H{x:.4g}" for x, y in ends if abs(x) > 1)
    line = "L".join(f"{x:.4g} {y}" for x, y in ends)
    color = "#0072b2" if "batch norm" in net else "#d55e00"
    return (
        f'<svg {place} style="width: {width}px" viewBox="-1.25 {-count} 2.5 {count}" '
        f'preserveAspectRatio="none" fill="none" '
        f'stroke-width="{min(0.45, count / 80)}">'
        f'<path fill="#8a9099" fill-opacity="0.12" d="M-1 0V{-count}H1V0"/>'
        f'<path stroke="#8a9099" opacity="0.5" d="{stubs}"/>'
        f'<g data-net="{net}" stroke="{color}"><path opacity="0.6" d="{rungs}"/>'
        f'<path opacity="0.25" d="{faded}"/><path stroke-width="1.6" '
        f'vector-effect="non-scaling-stroke" d="M{line}"/></g></svg>'
    )
