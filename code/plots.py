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


def learning_curves(histories, quantities=("train_acc", "test_acc")):
    """One panel per quantity, one line per run, over the epochs.

    Args:
        histories: maps a label to a `training.History` and a colour.
        quantities: names of the history's lists.

    Returns:
        The figure and its axes.
    """
    names = {
        "train_loss": "training loss (nats)",
        "train_acc": "training accuracy",
        "test_acc": "test accuracy",
    }
    fig, axes = plt.subplots(1, len(quantities), squeeze=False)
    for ax, quantity in zip(axes[0], quantities, strict=True):
        for label, (history, color) in histories.items():
            values = getattr(history, quantity)
            epochs = range(1, len(values) + 1)
            ax.plot(epochs, values, "o-", color=color, markersize=3, label=label)
        ax.set(xlabel="epoch", title=names[quantity])
    axes[0][0].legend(loc="lower right")
    return fig, axes[0]
