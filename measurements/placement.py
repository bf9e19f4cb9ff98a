"""Train LeNet with batch norm at several places: does it matter?

    python measurements/placement.py                        # the whole grid
    python measurements/placement.py --rates 1 --seeds 0 1

The nets are LeNet with sigmoids; what follows a convolution comes in another order in
each of them. One net has the usual order but no bias before batch norm. All nets of a
seed start from the same weights and see the same images in the same order: one epoch
of all of Fashion-MNIST, standardized, in batches of 256. The record has the accuracy
on the test images with the running statistics, and after the statistics were measured
afresh on 5120 training images.

On one CPU core this takes about ten minutes. Runs that the record already holds are
not repeated, so the script resumes where it was stopped. It writes
`results/placement.json`, where each run says on which hardware, with which versions
and on which day it was measured.
"""

import argparse
import sys
from pathlib import Path

import torch
from tqdm import tqdm

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "code"))

from bn import recalibrate
from fashion_mnist import load_standardized
from nets import lenet, torch_batch_norm, without_bias
from records import read_record, stamp, write_record
from training import evaluate, fit, init_xavier

ORDERS = {
    "norm, activation, pool": ("norm", "activation", "pool"),
    "pool, norm, activation": ("pool", "norm", "activation"),
    "activation, norm, pool": ("activation", "norm", "pool"),
    "activation, pool, norm": ("activation", "pool", "norm"),
}
NO_BIAS = "no bias"  # and the first order
NAMES = [*ORDERS, NO_BIAS]
RATES = (0.1, 1)
SEEDS = range(5)
BATCH_SIZE, STEPS, FRESH = 256, 235, 5120


def make(name):
    """A net, whose weights depend on the seed only."""
    net = lenet(torch_batch_norm, ORDERS.get(name, next(iter(ORDERS.values()))))
    net.apply(init_xavier)
    return without_bias(net) if name == NO_BIAS else net


def run(name, lr, seed, X, y, test, steps=STEPS):
    """Train once; returns both accuracies."""
    torch.manual_seed(seed)
    net = fit(make(name), X, y, lr, BATCH_SIZE, steps)
    running = evaluate(net, test)
    fresh = evaluate(recalibrate(net, X[:FRESH].split(BATCH_SIZE)), test)
    return {"accuracy_running": round(running, 4), "accuracy": round(fresh, 4)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    args = parser.parse_args()
    record = read_record("placement", default={"runs": {}})
    X, y, X_test, y_test = load_standardized()
    test = list(zip(X_test.split(500), y_test.split(500), strict=True))
    for seed, lr, name in tqdm(
        [(s, r, n) for s in args.seeds for r in args.rates for n in NAMES]
    ):
        key = f"{name}, lr={lr:g}, seed={seed}"
        if key in record["runs"]:
            continue
        measured = run(name, lr, seed, X, y, test)
        record["runs"][key] = {**measured, "measured": stamp("cpu")}
        write_record("placement", record)


if __name__ == "__main__":
    main()
