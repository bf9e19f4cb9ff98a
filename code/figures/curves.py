"""Learning curves that grow while a net trains."""

import html
import math

import traitlets
from IPython.display import display

from figures.figure import Figure

KINDS = {"bn": "#0072b2", "plain": "#d55e00", "other": "#7b3fa0"}
# The accuracies of a run: what they are called, and how their lines look.
WHAT = {"train_acc": "training", "test_acc": "test", "fresh": "test, fresh"}
STROKES = {
    "train_acc": 'stroke-width="1.4" opacity="0.8"',
    "test_acc": 'stroke-width="2.6"',
    "fresh": 'stroke-width="2.6" stroke-dasharray="0.1 5" stroke-linecap="round"',
}


class Curves(Figure):
    """Training and test accuracy of one or more runs, epoch by epoch.

    Traits: `epochs`, how many there will be; `runs`, one dictionary for each run, with
    its name, its kind ("bn", "plain" or "other", which chooses the colour), the lists
    `train_loss`, `train_acc` and `test_acc` and, if they are known, the test accuracies
    with `fresh` statistics; `epoch`, the one whose numbers are shown, or 0 for the last
    that all runs have reached.

    >>> curves = Curves(epochs=2)
    >>> curves.add("flat", "plain", train_loss=[2.3], train_acc=[0.1], test_acc=[0.1])
    >>> [run["name"] for run in curves.runs]
    ['flat']
    """

    name = "curves"
    caption = (
        "Accuracy after each epoch: on the training images, averaged over the epoch, "
        "thin, and on the test images, at its end, thick; dotted, if there, with batch "
        "norm’s statistics measured afresh. The scale stretches as errors become few: "
        "from 0.8 to 0.9 they halve."
    )
    epochs = traitlets.Int(10, min=1).tag(sync=True)
    epoch = traitlets.Int(0).tag(sync=True)
    runs = traitlets.List(traitlets.Dict(), []).tag(sync=True)

    def add(self, name, kind, train_loss=(), train_acc=(), test_acc=(), fresh=()):
        """Draw one more run.

        Args:
            name: stands beside its lines.
            kind: "bn", "plain" or "other", which chooses the colour.
            train_loss, train_acc, test_acc: numbers, one for each finished epoch.
            fresh: test accuracies of the same nets with fresh statistics, if known.
                What the running statistics cost is then marked.

        Raises:
            ValueError: `kind` is none of "bn", "plain" and "other".
        """
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {list(KINDS)}, got {kind!r}")
        run = _run(name, kind, train_loss, train_acc, test_acc)
        if fresh:
            run["fresh"] = _rounded(fresh)
        self.runs = [*self.runs, run]

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
        return _picture(self.epochs, self.epoch, self.runs)


def _run(name, kind, *lists):
    names = "train_loss", "train_acc", "test_acc"
    rounded = dict(zip(names, map(_rounded, lists), strict=True))
    return {"name": name, "kind": kind, **rounded}


def _rounded(values):
    return [round(float(value), 6) for value in values]


# The picture: the same marks as in the live figure, at the same places in px.
WIDTH, LEFT, RIGHT, TOP, ZERO, AXIS, ROW = 690, 56, 136, 14, 240, 296, 34
GREY = 'stroke="#8a9099" stroke-width="1"'


def _picture(epochs, chosen, runs):
    lines = [
        {"run": run, "key": key, "values": run[key]}
        for run in runs
        for key in WHAT
        if run.get(key)
    ]
    lengths = [len(line["values"]) for line in lines]
    epoch = min(chosen or min([*lengths, epochs]), max([*lengths, 1]))
    ends = [f"{run['name']} {_number(run['test_acc'], epoch)}" for run in runs]
    label = html.escape(f"Test accuracy after epoch {epoch}: {', '.join(ends)}")
    losses = [f"{run['name']} {_number(run['train_loss'], epoch)}" for run in runs]
    parts = [
        f'<svg viewBox="0 0 690 392" fill="currentColor" font-family="sans-serif" '
        f'font-size="14" role="img" aria-label="{label}">',
        _write(0, f"Accuracy after epoch {epoch} of {epochs}", 18, "title"),
        _write(0, f"Training loss: {', '.join(losses)}", 39),
        '<g transform="translate(0 52)">',
        *_chart(epochs, epoch, runs, lines),
        "</g>",
    ]
    return "".join([*parts, "</svg>"])


def _chart(epochs, epoch, runs, lines):
    """Lines over the epochs; the height is the logarithm of the share of errors."""
    every = [value for line in lines for value in line["values"]]
    low, right = _level(min([*every, 0.8])), WIDTH - RIGHT
    unit = (ZERO - TOP) / (_level(max([*every, 0.9])) - low) / 1.05

    def across(epoch):
        return LEFT + (right - LEFT) * (epoch - 1) / max(1, epochs - 1)

    def up(value):
        return ZERO - unit * (_level(value) - low)

    def path(kind, points, looks):
        d = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        return f'<path class="bn-{kind}" {looks} d="M{d}"/>'

    last = ZERO + 16
    for value in (0, 0.1, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99):
        if 0 <= (y := up(value)) <= last - 16:
            last = y
            yield path("grid", [(34, y), (right, y)], GREY)
            yield _write(28, value, y + 5, anchor="end")
    looks = 'stroke="#8a9099" stroke-width="4"'
    yield path("track", [(LEFT, AXIS), (right, AXIS)], looks)
    for e in range(1, epochs + 1, math.ceil(epochs / 10)):
        yield _write(across(e), e, AXIS + 24, anchor="middle")
    yield _write((LEFT + right) / 2, "epoch", AXIS + 40, anchor="middle")
    x = across(epoch)
    yield path("line", [(x, TOP), (x, AXIS)], GREY)
    yield f'<circle class="bn-in" cx="{x:.1f}" cy="{AXIS}" r="9" fill="#555"/>'

    for k, run in enumerate(runs):
        if epoch > len(run.get("fresh", [])):
            continue
        kind, color, test = run["kind"], KINDS[run["kind"]], run["test_acc"]
        fresh = map(max, run["fresh"], test)
        upper = [(across(e), up(value)) for e, value in enumerate(fresh, 1)]
        lower = [(across(e), up(value)) for e, value in enumerate(test, 1)]
        looks = f'fill="{color}" opacity="0.14"'
        yield path(f"lost bn-{kind}", [*upper, *lower[::-1]], looks)
        looks = f'stroke="{color}" stroke-width="5" opacity="0.6"'
        yield path(
            f"loss bn-{kind}",
            [lower[epoch - 1], (x, up(run["fresh"][epoch - 1]))],
            looks,
        )
        gap = run["fresh"][epoch - 1] - test[epoch - 1]
        words = f"{gap:.3f} lost to" if gap > 0 else "nothing lost to"
        place, y = (
            (-10, "end") if x > 160 else (10, "start"),
            up(min(test)) + 24 - 40 * k,
        )
        yield _ink(kind, x + place[0], words, y, place[1])
        yield _ink(kind, x + place[0], "the running statistics", y + 17, place[1])

    y = TOP - ROW  # of labels, which neither overlap nor leave the figure

    def here(line):
        return line["values"][min(epoch, len(line["values"])) - 1]

    ranked = sorted(lines, key=here, reverse=True)
    for below, line in zip(range(len(lines))[::-1], ranked, strict=True):
        kind, key, values = line["run"]["kind"], line["key"], line["values"]
        points = [(across(e), up(value)) for e, value in enumerate(values, 1)]
        y = max(y + ROW, min(up(here(line)), AXIS + 26 - ROW * below))
        looks = f'stroke="{KINDS[kind]}"'
        yield path(f"lead bn-{kind}", [points[:epoch][-1], (right + 10, y)], looks)
        looks = f'fill="none" {looks} {STROKES[key]}'
        yield path(f"curve bn-{kind} bn-{key}", points, looks)
        if epoch <= len(values):
            (at, height), r = points[epoch - 1], 3.5 if key == "train_acc" else 5
            place = f'cx="{at:.1f}" cy="{height:.1f}" r="{r}" fill="{KINDS[kind]}"'
            yield f'<circle class="bn-dot bn-{kind}" {place}/>'
        name = line["run"]["name"]
        name = f"{name[:13]}…" if len(name) > 14 else name
        yield _ink(kind, right + 14, name, y - 2, "start")
        text = f"{WHAT[key]} {_number(values, epoch)}"
        yield _ink(kind, right + 14, text, y + 13, "start", 400)


def _level(value):
    return -math.log(max(1 - value, 0.001))


def _number(values, epoch):
    return f"{values[epoch - 1]:.3f}" if epoch <= len(values) else "–"


def _write(x, text, y, kind="quiet", anchor="start"):
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    weight = ' font-weight="600"' if kind == "title" else ""
    return f'<text class="bn-{kind}"{weight} {place}>{html.escape(str(text))}</text>'


def _ink(kind, x, text, y, anchor, weight=600):
    looks = f'class="bn-ink bn-{kind}" fill="{KINDS[kind]}" font-weight="{weight}"'
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f"<text {looks} {place}>{html.escape(text)}</text>"
