"""Learning curves that grow while a net trains."""

import html

import traitlets
from IPython.display import display

from figures.figure import Figure

KINDS = {"bn": "#0072b2", "plain": "#d55e00", "other": "#7b3fa0"}


class Curves(Figure):
    """Training and test accuracy of one or more runs, epoch by epoch.

    Traits: `epochs`, how many there will be; `runs`, one dictionary for each run, with
    its name, its kind ("bn", "plain" or "other", which chooses the colour) and the
    lists `train_loss`, `train_acc` and `test_acc`; `epoch`, the one whose numbers are
    shown, or 0 for the last.

    >>> curves = Curves(epochs=2)
    >>> curves.add("flat", "plain", train_loss=[2.3], train_acc=[0.1], test_acc=[0.1])
    >>> [run["name"] for run in curves.runs]
    ['flat']
    """

    name = "curves"
    caption = "Accuracy on the training and on the test images after each epoch."
    epochs = traitlets.Int(10, min=1).tag(sync=True)
    epoch = traitlets.Int(0).tag(sync=True)
    runs = traitlets.List(traitlets.Dict(), []).tag(sync=True)

    def add(self, name, kind, train_loss=(), train_acc=(), test_acc=()):
        """Draw one more run.

        Raises:
            ValueError: `kind` is none of "bn", "plain" and "other".
        """
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {list(KINDS)}, got {kind!r}")
        self.runs = [*self.runs, _run(name, kind, train_loss, train_acc, test_acc)]

    def follow(self, name, kind):
        """Show the figure with one more run, which grows while a net trains.

        Returns:
            A function of a `training.History`, to be passed to `training.train` as
            `on_epoch`. The stored output shows the run as far as it has come.
        """
        place = len(self.runs)
        self.add(name, kind)
        handle = display(self, display_id=True)

        def on_epoch(history):
            lists = history.train_loss, history.train_acc, history.test_acc
            runs = [*self.runs]
            runs[place] = _run(name, kind, *lists)
            self.runs = runs
            if handle:  # the stored output, too, is to show what there is
                handle.update(self)

        return on_epoch

    def picture(self):
        return _picture(self.epochs, self.runs)


def _run(name, kind, *lists):
    names = "train_loss", "train_acc", "test_acc"
    rounded = [[round(float(v), 6) for v in values] for values in lists]
    return {"name": name, "kind": kind, **dict(zip(names, rounded, strict=True))}


def _picture(epochs, runs):
    """Two panels from 0 to 1, with a line for each run."""
    ends = [
        f"{run['name']} {run['test_acc'][-1]:.2f}" for run in runs if run["test_acc"]
    ]
    label = html.escape(f"Test accuracy after {epochs} epochs: {', '.join(ends)}")
    parts = [
        f'<svg viewBox="0 0 640 224" fill="currentColor" role="img" '
        f'aria-label="{label}">'
    ]
    panels = (("train_acc", "training accuracy"), ("test_acc", "test accuracy"))
    for left, (key, title) in zip((30, 350), panels, strict=True):
        parts.append(f'<text x="{left}" y="16">{title}</text>')
        for value, y in ((0, 200), (1, 30)):
            line = f'stroke="#8a9099" d="M{left} {y}h270"'
            parts.append(f'<path class="bn-grid" {line}/>')
            parts.append(f'<text x="{left - 16}" y="{y + 5}">{value}</text>')
        step = 270 / max(1, epochs - 1)
        for row, run in enumerate(runs):
            kind = run["kind"]
            values = enumerate(run[key])
            points = [f"{left + step * i:.1f} {200 - 170 * v:.1f}" for i, v in values]
            if points:
                looks = f'class="bn-curve bn-{kind}" fill="none" stroke="{KINDS[kind]}"'
                parts.append(f'<path {looks} d="M{"L".join(points)}"/>')
                place = f'text-anchor="end" x="{left + 270}" y="{172 + 18 * row}"'
                parts.append(
                    f'<text class="bn-ink bn-{kind}" {place}>'
                    f"{html.escape(run['name'])}</text>"
                )
        for epoch in (1, epochs):
            x = left + step * (epoch - 1)
            parts.append(f'<text text-anchor="middle" x="{x:g}" y="218">{epoch}</text>')
    return "".join([*parts, "</svg>"])
