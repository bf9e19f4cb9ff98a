"""Drawing. Nothing is computed here that the book teaches."""

import matplotlib.pyplot as plt

BN, PLAIN = "#0072B2", "#D55E00"  # with batch norm, without normalization
MUTED = "#666666"


def label_line(ax, x, y, text, color, dx=5, dy=0, **kwargs):
    """Write `text` beside the point (x, y), `dx` and `dy` points away from it."""
    kwargs = {"va": "center", "fontsize": 10, **kwargs}
    ax.annotate(
        text, (x, y), (dx, dy), textcoords="offset points", color=color, **kwargs
    )


def learning_curves(histories):
    """Two panels, of training and of test accuracy, with one line per run over epochs.

    Args:
        histories: maps a label to a `training.History` and a colour.

    Returns:
        The figure and its axes.
    """
    fig, axes = plt.subplots(1, 2)
    titles = {"train_acc": "training accuracy", "test_acc": "test accuracy"}
    for ax, (name, title) in zip(axes, titles.items(), strict=True):
        for label, (history, color) in histories.items():
            values = getattr(history, name)
            epochs = range(1, len(values) + 1)
            ax.plot(epochs, values, "o-", color=color, markersize=3, label=label)
        ax.set(xlabel="epoch", title=title)
    axes[0].legend(loc="lower right")
    return fig, axes
