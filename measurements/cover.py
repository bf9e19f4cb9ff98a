"""Draw the figure of the landing page from the record of `lenet_rates.py`.

    python measurements/cover.py

Writes `_static/lenet-curves.png`.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "code"))

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from plots import BN, PLAIN, label_line
from records import read_record

SEEDS = range(5)


def main():
    plt.style.use(ROOT / "code" / "book.mplstyle")
    runs = read_record("lenet_rates")["runs"]
    fig, ax = plt.subplots(figsize=(5.4, 2.7))
    for name, label, color in (("bn", "batch norm", BN), ("plain", "plain", PLAIN)):
        for seed in SEEDS:
            acc = runs[f"{name} lr=1 seed={seed}"]["train_acc"]
            ax.plot(range(1, len(acc) + 1), acc, color=color, lw=1.2, alpha=0.8)
        label_line(ax, len(acc), acc[-1], label, color)
    ax.set(xlabel="epoch", ylabel="training accuracy", ylim=(0, 1), xlim=(0.8, 11.6))
    fig.savefig(ROOT / "_static" / "lenet-curves.png")


if __name__ == "__main__":
    main()
