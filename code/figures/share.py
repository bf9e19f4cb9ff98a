"""Which numbers of a batch of images share one mean?"""

import itertools

import traitlets

from figures.figure import Figure

KINDS = {
    "batch": "batch norm",
    "layer": "layer norm",
    "instance": "instance norm",
    "group": "group norm (2 groups)",
}


class Share(Figure):
    """The numbers of a batch of images that share one mean.

    Traits: `kind`, one of "batch", "layer", "instance" and "group" (two groups);
    `cell`, the chosen number's example, channel, row and column in a batch of shape
    (3, 4, 4, 4), counted from 0; `sizes`, a shape (N, C, H, W) to count for;
    `kinds`, what they are called.

    >>> Share(kind="layer")
    Share(cell=[1, 1, 1, 1], kind='layer', sizes=[256, 6, 24, 24])
    """

    name = "share"
    caption = (
        "Three examples (columns) with four channels (rows) of four by four numbers. "
        "Point at a number: all that share its mean turn blue. The two greys tell the "
        "other crowds apart, each with a mean of its own."
    )
    kind = traitlets.Enum([*KINDS], "batch").tag(sync=True)
    cell = traitlets.List(traitlets.Int(), [1, 1, 1, 1]).tag(sync=True)
    sizes = traitlets.List(traitlets.Int(), [256, 6, 24, 24]).tag(sync=True)
    kinds = traitlets.List(default_value=[*KINDS.items()], read_only=True).tag(
        sync=True, data=True
    )

    def picture(self):
        return _picture(self.kind, self.cell)


def _picture(kind, cell):
    """Sheets of numbers, a column an example, a row a channel, the crowd marked."""
    n, c = cell[:2]
    crowd = {
        "batch": lambda example, channel: [channel],
        "layer": lambda example, channel: [example],
        "instance": lambda example, channel: [example, channel],
        "group": lambda example, channel: [example, channel // 2],
    }[kind]
    crowds = [crowd(*place) for place in itertools.product(range(3), range(4))]
    count = crowds.count(crowd(n, c))
    parts = [
        '<svg viewBox="0 0 270 350" fill="currentColor" role="img" '
        f'aria-label="{16 * count} of 192 numbers share a mean with the chosen one">'
    ]
    looks = {
        "bn-cell": 'fill="#d0d3d8"',
        'bn-cell" data-odd="1': 'fill="#eceef0"',
        "bn-lit": 'fill="#56b4e9"',
        "bn-chosen": 'fill="#0072b2" stroke="#000"',
    }
    for example, channel, row, column in itertools.product(range(3), *[range(4)] * 3):
        own = crowd(example, channel)
        mark = 'bn-cell" data-odd="1' if sum(own) % 2 else "bn-cell"
        if own == crowd(n, c):
            mark = "bn-lit"
        if [example, channel, row, column] == list(cell):
            mark = "bn-chosen"
        x, y = example * 86 + column * 18, channel * 86 + row * 18
        place = f'x="{x}" y="{y}" width="16" height="16"'
        parts.append(f'<rect class="{mark}" {looks[mark]} {place}/>')
    return "".join([*parts, "</svg>"])
