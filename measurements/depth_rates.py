"""Train nets of several depths at many learning rates: which of them learn?

    python measurements/depth_rates.py                       # the whole grid
    python measurements/depth_rates.py --nets SkipInit --seeds 0

The nets are those of `depth.py` with He's initialization, 64 units a layer. Each run
takes 200 steps with mini-batches of 128 standardized images of Fashion-MNIST. The
record has its accuracies on the test images, rate by rate, or null if the run diverged:
if, in one of the looks that are taken after every tenth step, the last layer's biases
were not finite. Where a net has batch norm, PyTorch's layer is used, which is faster
than the book's and computes the same.

On one CPU core a seed takes three minutes. Runs that the record already holds are not
repeated, so the script resumes where it was stopped. It writes
`results/depth_rates.json`, where each net, depth and seed says on which hardware, with
which versions and on which day it was measured.
"""

import argparse
import sys
from pathlib import Path

import torch
from tqdm import tqdm

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "code"))

from depth import NETS
from fashion_mnist import load_standardized
from nets import torch_batch_norm
from records import read_record, stamp, write_record
from training import evaluate, fit

DEPTHS = (5, 10, 20, 50, 120)
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)
SEEDS = range(3)
NAMES = [name for name in NETS if name != "plain"]
WIDTH, BATCH_SIZE, STEPS = 64, 128, 200


class DivergedError(Exception):
    """The net's numbers are not finite any more."""


@torch.no_grad()
def accuracy_by_batches(net, test):
    """Accuracy in training mode: every test batch is normalized by itself."""
    net.train()
    hits = sum((net(X).argmax(dim=1) == y).sum().item() for X, y in test)
    return hits / sum(len(y) for _, y in test)


def run(name, depth, lr, seed, data, test):
    """Train once; returns both accuracies, or None twice if the run diverged."""
    torch.manual_seed(seed)
    options = {"norm": torch_batch_norm} if "batch norm" in name else {}
    net = NETS[name](depth, WIDTH, **options)

    def on_step(step):
        if step % 10 == 0 and not net[-1].bias.isfinite().all():
            raise DivergedError

    try:
        fit(net, *data, lr, BATCH_SIZE, STEPS, on_step)
    except DivergedError:
        return None, None
    return round(evaluate(net, test), 4), round(accuracy_by_batches(net, test), 4)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    args = parser.parse_args()
    record = read_record("depth_rates", default={"runs": {}})
    X, y, X_test, y_test = load_standardized()
    test = list(zip(X_test.split(500), y_test.split(500), strict=True))
    grid = [(n, d, s) for s in args.seeds for d in DEPTHS for n in args.nets]
    for name, depth, seed in tqdm(grid):
        key = f"{name}, depth={depth}, seed={seed}"
        if key in record["runs"]:
            continue
        runs = [run(name, depth, lr, seed, (X, y), test) for lr in RATES]
        accuracy, by_batches = (
            dict(zip(map(str, RATES), values, strict=True))
            for values in zip(*runs, strict=True)
        )
        record["runs"][key] = {
            "accuracy": accuracy,
            "accuracy_by_batches": by_batches,
            "measured": stamp("cpu"),
        }
        write_record("depth_rates", record)


if __name__ == "__main__":
    main()
