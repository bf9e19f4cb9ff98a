"""What all interactive figures share."""

import html
import json
import sys
from pathlib import Path

import anywidget

HERE = Path(__file__).resolve().parent

# A view in a notebook: what the module draws and, below it, the caption.
VIEW = """export default {
  render({ model, el }) {
    const [live, caption] = ["div", "p"].map((tag) => document.createElement(tag));
    caption.className = "bn-caption";
    caption.textContent = %s;
    caption.id = `bn-${Math.random().toString(36).slice(2)}`;
    el.setAttribute("role", "group");
    el.setAttribute("aria-labelledby", caption.id);
    el.classList.add("bn-figure");
    el.append(live, caption);
    el.onkeydown = (event) => event.stopPropagation(); // a notebook has keys of its own
    return render({ model, el: live });
  },
};
"""


class Figure(anywidget.AnyWidget):
    """What all figures share.

    A subclass has a name, which is that of its module, `figures/<name>.js`, and a
    caption, declares its state as synchronized traits, and draws a picture of it for
    paper and for readers without JavaScript.
    """

    name = caption = ""
    # ipywidgets before 8, which Colab has, would display without the twin and without
    # an id by which the output can be updated.
    _ipython_display_ = None
    _css = HERE / "figures.css"

    def __init_subclass__(cls, **kwargs):
        if "name" in vars(cls):  # and not a class that traitlets derives from it
            module = (HERE / f"{cls.name}.js").read_text(encoding="utf-8")
            view = VIEW % json.dumps(cls.caption)
            cls._esm = module.replace("export default { render };\n", view)
        super().__init_subclass__(**kwargs)

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
        state = json.dumps(self.state(), allow_nan=False).replace("<", "\\u003c")
        return (
            f'<div class="bn-figure" data-figure="{self.name}">{self.picture()}'
            f'<p class="bn-caption">{html.escape(self.caption)}</p>'
            f'<script type="application/json">{state}</script></div>'
        )

    def __repr__(self):
        """The state without the traits tagged as data."""
        state = ", ".join(
            f"{name}={value!r}"
            for name, value in self.state().items()
            if not self.trait_metadata(name, "data")
        )
        return f"{type(self).__name__}({state})"

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        data = {**data, "text/plain": repr(self)}
        # What Colab prefers of a widget and plain HTML is documented nowhere.
        if "google.colab" not in sys.modules:
            data["text/html"] = self.twin()
        return data, metadata
