"""Draw the figure of the landing page from the record of `lenet_rates.py`.

    python measurements/cover.py

Writes `_static/lenet-curves.png`, with the digest of what it shows in its metadata.
"""

import hashlib
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "code"))

import matplotlib.pyplot as plt

from plots import BN, PLAIN, label_line
from records import read_record

SEEDS = range(5)


def curves():
    """Training accuracies over the epochs: for `bn` and `plain`, a list per seed."""
    runs = read_record("lenet_rates")["runs"]
    return {
        name: [runs[f"{name} lr=1 seed={seed}"]["train_acc"] for seed in SEEDS]
        for name in ("bn", "plain")
    }


def digest(values):
    """The SHA-256 of the values, by which a test knows that the figure shows them."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def main():
    plt.style.use(ROOT / "code" / "book.mplstyle")
    values = curves()
    fig, ax = plt.subplots()
    for name, label, color in (("bn", "batch norm", BN), ("plain", "plain", PLAIN)):
        for acc in values[name]:
            ax.plot(range(1, len(acc) + 1), acc, color=color, lw=1.2, alpha=0.8)
        label_line(ax, len(acc), acc[-1], label, color)
    ax.set(xlabel="epoch", ylabel="training accuracy", ylim=(0, 1), xlim=(0.8, 11.6))
    description = f"SHA-256 of the plotted values: {digest(values)}"
    metadata = {"Description": description}
    fig.savefig(ROOT / "_static" / "lenet-curves.png", metadata=metadata)


if __name__ == "__main__":
    main()
