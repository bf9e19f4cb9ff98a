"""Interactive figures that live in Jupyter, in Colab and in the static book.

A figure is an anywidget: its traits are its state, and its JavaScript module draws that
state and changes it. In a notebook with a kernel the state is kept in step with
Python. For pages without one, the output also holds a twin as plain HTML: a picture, a
caption and the state as data. `extensions/book_figures.py` brings the twin to life with
the same JavaScript module.
"""

import html
import json
from pathlib import Path

import anywidget
import traitlets

from figures.pictures import batch_picture, share_picture

HERE = Path(__file__).resolve().parent


class Figure(anywidget.AnyWidget):
    """What all figures share.

    A subclass names its module, `figures/<name>.js`, and its caption, declares its
    state as synchronized traits, and draws a picture of it for readers without
    JavaScript.
    """

    name = caption = ""
    _css = HERE / "figures.css"

    def state(self):
        """The traits that make up this figure's state."""
        names = self.trait_names(sync=True)
        inherited = anywidget.AnyWidget.class_trait_names()
        return {
            name: getattr(self, name)
            for name in sorted(names)
            if name not in inherited and not name.startswith("_")
        }

    def picture(self):
        """The figure in this state as an SVG string."""
        raise NotImplementedError

    def twin(self):
        """Plain HTML from which the static page makes the live figure."""
        state = json.dumps(self.state()).replace("</", "<\\/")
        return (
            f'<div class="bn-figure" data-figure="{self.name}">{self.picture()}'
            f"<p>{html.escape(self.caption)}</p>"
            f'<script type="application/json">{state}</script></div>'
        )

    def __repr__(self):
        state = ", ".join(f"{name}={value!r}" for name, value in self.state().items())
        return f"{type(self).__name__}({state})"

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        return {**data, "text/plain": repr(self), "text/html": self.twin()}, metadata


class Batch(Figure):
    """A batch of examples on a number line and, below it, the normalized batch.

    Traits: `x`, the examples; `gamma`, `beta` and `eps`, as in `bn.batch_norm`.

    >>> Batch(x=[1.0, 3.0])
    Batch(beta=0.0, eps=1e-05, gamma=1.0, x=[1.0, 3.0])
    """

    name = "batch"
    caption = (
        "A batch above, the normalized batch below, each example joined to its image."
    )
    _esm = HERE / "batch.js"
    x = traitlets.List(traitlets.Float(), [1.0, 7.0, 9.0, 15.0]).tag(sync=True)
    gamma = traitlets.Float(1.0).tag(sync=True)
    beta = traitlets.Float(0.0).tag(sync=True)
    eps = traitlets.Float(1e-5).tag(sync=True)

    def picture(self):
        return batch_picture(**self.state())


class Share(Figure):
    """The numbers of a batch of images that share one mean.

    Traits: `kind`, one of "batch", "layer", "instance" and "group" (two groups);
    `cell`, the chosen number's example, channel, row and column in a batch of shape
    (3, 4, 4, 4), counted from 0; `sizes`, a shape (N, C, H, W) to count for.

    >>> Share(kind="layer")
    Share(cell=[1, 1, 1, 1], kind='layer', sizes=[256, 6, 24, 24])
    """

    name = "share"
    caption = (
        "Three examples (columns) with four channels (rows) of four by four numbers; "
        "those that share a mean with the chosen one are marked."
    )
    _esm = HERE / "share.js"
    kind = traitlets.Enum(["batch", "layer", "instance", "group"], "batch").tag(
        sync=True
    )
    cell = traitlets.List(traitlets.Int(), [1, 1, 1, 1]).tag(sync=True)
    sizes = traitlets.List(traitlets.Int(), [256, 6, 24, 24]).tag(sync=True)

    def picture(self):
        return share_picture(self.kind, self.cell)
