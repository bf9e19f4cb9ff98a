"""What all interactive figures share."""

import html
import json
import sys
from pathlib import Path

import anywidget

HERE = Path(__file__).resolve().parent


class Figure(anywidget.AnyWidget):
    """What all figures share.

    A subclass names its module, `figures/<name>.js`, and its caption, declares its
    state as synchronized traits, and draws a picture of it for readers without
    JavaScript.
    """

    name = caption = ""
    # ipywidgets before 8, which Colab has, would display without the twin and without
    # an id by which the output can be updated.
    _ipython_display_ = None
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
        """The figure in this state as an SVG string, or as HTML if it is all text.

        Its elements have attributes for their looks, for viewers without the style
        sheet, and the sheet's classes, for the colours of the page.
        """
        raise NotImplementedError

    def twin(self):
        """Plain HTML from which the static page makes the live figure."""
        state = json.dumps(self.state()).replace("</", "<\\/")
        return (
            f'<div class="bn-figure" data-figure="{self.name}">{self.picture()}'
            f'<p class="bn-caption">{html.escape(self.caption)}</p>'
            f'<script type="application/json">{state}</script></div>'
        )

    def __repr__(self):
        state = ", ".join(f"{name}={value!r}" for name, value in self.state().items())
        return f"{type(self).__name__}({state})"

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        data = {**data, "text/plain": repr(self)}
        # What Colab prefers of a widget and plain HTML is documented nowhere.
        if "google.colab" not in sys.modules:
            data["text/html"] = self.twin()
        return data, metadata
