"""Sphinx extension: brings the twins of the interactive figures to life.

The modules `code/figures/*.js` are wrapped into one classic script, since browsers
load no module scripts from `file://`. A shim of a few lines stands in for the widget's
model. The directive `book-figure` puts a figure on a page that is not a notebook.
"""

import json
import sys
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive

FIGURES = Path(__file__).resolve().parent.parent / "code" / "figures"

SCRIPT = """(() => {
const figures = {%s};
for (const [i, el] of document.querySelectorAll("[data-figure]").entries()) {
  const [picture, caption, data] = el.children;
  const state = JSON.parse(data.textContent), listeners = {};
  const model = {
    get: (name) => state[name],
    set(name, value) {
      if (JSON.stringify(value) === JSON.stringify(state[name])) return;
      state[name] = value;
      for (const listener of listeners["change:" + name] ?? []) listener();
    },
    on(event, f) { (listeners[event] ??= []).push(f); },
    save_changes() {},
  };
  const live = document.createElement("div"), paper = document.createElement("div");
  live.className = "bn-live";
  paper.className = "bn-paper";
  el.insertBefore(live, picture);
  try {
    figures[el.dataset.figure].render({ model, el: live });
    paper.append(picture);
    // When readers come back, a browser would put old values into fresh controls.
    for (const input of live.querySelectorAll("input")) input.autocomplete = "off";
    el.insertBefore(paper, caption);
    caption.id = `bn-caption-${i}`;
    el.setAttribute("role", "group");
    el.setAttribute("aria-labelledby", caption.id);
  } catch (error) {
    live.remove(); // the picture stays
    console.error(error);
  }
}
})();
"""


def wrap(path):
    """A figure's module as an expression that has its default export as value."""
    module = path.read_text(encoding="utf-8")
    module = module.replace("export default", "return")
    return f"{json.dumps(path.stem)}: (() => {{\n{module}}})()"


def write_assets(app):
    """Put script and style where Sphinx finds static files of its build."""
    static = Path(app.outdir, "_static")
    static.mkdir(parents=True, exist_ok=True)
    modules = ",\n".join(wrap(path) for path in sorted(FIGURES.glob("*.js")))
    (static / "figures.js").write_text(SCRIPT % modules, encoding="utf-8")
    style = (FIGURES / "figures.css").read_text(encoding="utf-8")
    (static / "figures.css").write_text(style, encoding="utf-8")


def add_assets(app, pagename, templatename, context, doctree):
    """Load them on pages that have a figure, and on no others."""
    raw = [] if doctree is None else doctree.findall(nodes.raw)
    if any("data-figure=" in node.astext() for node in raw):
        app.add_js_file("figures.js", loading_method="defer")
        app.add_css_file("figures.css")


class BookFigure(Directive):
    """The twin of the figure whose class is named, in its first state."""

    required_arguments = 1

    def run(self):
        import figures

        name = self.arguments[0]
        if name not in figures.__all__:
            raise self.error(f"there is no figure {name!r}")
        return [nodes.raw("", getattr(figures, name)().twin(), format="html")]


def setup(app):
    sys.path.insert(0, str(FIGURES.parent))
    app.add_directive("book-figure", BookFigure)
    app.connect("builder-inited", write_assets)
    app.connect("html-page-context", add_assets)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
