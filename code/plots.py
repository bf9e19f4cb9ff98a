"""Drawing. Nothing is computed here that the book teaches."""

BN, PLAIN = "#0072B2", "#D55E00"  # with batch norm, without normalization
MUTED = "#666666"


def label_line(ax, x, y, text, color, dx=5, dy=0, **kwargs):
    """Write `text` beside the point (x, y), `dx` and `dy` points away from it."""
    kwargs = {"va": "center", "fontsize": 10, **kwargs}
    ax.annotate(
        text, (x, y), (dx, dy), textcoords="offset points", color=color, **kwargs
    )
