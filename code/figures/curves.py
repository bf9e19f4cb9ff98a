"""Learning curves that grow while a net trains."""

import html
import math

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
    caption = (
        "Accuracy on the training and on the test images after each epoch. The scale "
        "stretches as errors become few: from 0.8 to 0.9 they halve."
    )
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


# The picture: the same marks as in the live figure, at the same places in px.
TALL, LEFT, TOP, ZERO, AXIS, WIDTH = 290, 56, 12, 80, 44, 337


def _picture(epochs, runs):
    ends = [
        f"{run['name']} {run['test_acc'][-1]:.2f}" for run in runs if run["test_acc"]
    ]
    label = html.escape(f"Test accuracy after {epochs} epochs: {', '.join(ends)}")
    parts = [
        f'<svg viewBox="0 0 690 328" fill="currentColor" font-family="sans-serif" '
        f'font-size="14" role="img" aria-label="{label}">'
    ]
    panels = (("train_acc", "Training accuracy"), ("test_acc", "Test accuracy"))
    for left, (key, title) in zip((0, 353), panels, strict=True):
        title = f'<text class="bn-title" font-weight="600" y="22">{title}</text>'
        panel = "".join(_panel(epochs, runs, key))
        parts.append(
            f'<g transform="translate({left} 0)">{title}'
            f'<g transform="translate(0 36)">{panel}</g></g>'
        )
    return "".join([*parts, "</svg>"])


def _panel(epochs, runs, key):
    """Lines over the epochs; the height is the logarithm of the share of errors."""
    names = 20 + 8 * min(14, max((len(run["name"]) for run in runs), default=0))
    every = [v for run in runs for k in ("train_acc", "test_acc") for v in run[k]]
    best = max([*every, 0.9])

    def level(value):
        return math.log(max(1 - value, 0.001))

    def across(epoch):
        return LEFT + (WIDTH - LEFT - names) * (epoch - 1) / max(1, epochs - 1)

    def up(value):
        return TALL - ZERO - (TALL - ZERO - TOP) * level(value) / level(best) / 1.1

    def write(x, y, text, anchor="middle", looks='class="bn-quiet"'):
        place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
        return f"<text {looks} {place}>{html.escape(str(text))}</text>"

    for value in (0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99):
        if (y := up(value)) > 0:
            d = f"M34 {y:.1f}H{WIDTH - names}"
            yield f'<path class="bn-grid" stroke="#8a9099" d="{d}"/>'
            yield write(28, y + 5, value, "end")
    track = f"M{LEFT} {TALL - AXIS}H{WIDTH - names}"
    yield f'<path class="bn-track" stroke="#8a9099" stroke-width="4" d="{track}"/>'
    for epoch in range(1, epochs + 1, math.ceil(epochs / 10)):
        yield write(across(epoch), TALL - 20, epoch)
    yield write(across((1 + epochs) / 2), TALL - 4, "epoch")
    begun = [run for run in runs if run[key]]
    free = 0  # names do not overlap
    for run in sorted(begun, key=lambda run: -run[key][-1]):
        kind, color = run["kind"], KINDS[run["kind"]]
        points = [f"{across(i):.1f} {up(v):.1f}" for i, v in enumerate(run[key], 1)]
        looks = f'fill="none" stroke="{color}" stroke-width="2.2"'
        yield f'<path class="bn-curve bn-{kind}" {looks} d="M{"L".join(points)}"/>'
        y = max(free, up(run[key][-1]) + 5)
        free = y + 18
        looks = f'class="bn-ink bn-{kind}" fill="{color}" font-weight="600"'
        yield write(across(len(points)) + 10, y, run["name"], "start", looks)
