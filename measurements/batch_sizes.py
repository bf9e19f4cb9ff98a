"""Train LeNet with batch norm, group norm or neither, at batch sizes from 2 to 128.

    python measurements/batch_sizes.py
    python measurements/batch_sizes.py --norms group --sizes 8 32

The net is LeNet with ReLUs, and each run sees 5000 standardized images of
Fashion-MNIST, so a run with small batches has more steps. The learning rate of a net
and a batch size is the one of a few that is best, with seed 0, on 2000 training images
that are held out. With it the net is trained from three more seeds, and these runs are
tested on all test images. Nets with batch norm are evaluated twice: with the running
statistics, and after their statistics were measured afresh on 5120 training images.

On one CPU core this takes less than ten minutes. Runs that the record already holds are
not repeated, so the script resumes where it was stopped. It writes
`results/batch_sizes.json`, where each run says on which hardware, with which versions
and on which day it was measured.
"""

import argparse
import sys
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "code"))

from bn import recalibrate
from fashion_mnist import load_standardized
from nets import group_norm, lenet, torch_batch_norm
from records import read_record, stamp, write_record
from training import evaluate, fit, init_xavier

NORMS = {"batch": torch_batch_norm, "group": group_norm(2), "none": None}
# Learning rates to choose from, by batch size; so many that none at an edge is best.
RATES = {
    2: (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1),
    8: (0.003, 0.01, 0.03, 0.1, 0.3),
    32: (0.01, 0.03, 0.1, 0.3, 1),
    128: (0.01, 0.03, 0.1, 0.3, 1),
}
SEARCH, SEEDS = 0, (1, 2, 3)
EXAMPLES, HELD_OUT, FRESH = 5000, 2000, 5120


def trained(norm, size, lr, seed, X, y):
    """LeNet after one run."""
    torch.manual_seed(seed)
    net = lenet(norm, activation=nn.ReLU).apply(init_xavier)
    return fit(net, X[:50_000], y[:50_000], lr, size, steps=EXAMPLES // size)


def renewed(name, net, X):
    """The net with statistics measured afresh, if it has any."""
    return recalibrate(net, X[:FRESH].split(256)) if name == "batch" else net


def search(name, size, lr, X, y):
    """How good a rate is, on training images that are held out."""
    net = renewed(name, trained(NORMS[name], size, lr, SEARCH, X, y), X)
    return {"held_out": evaluate(net, [(X[-HELD_OUT:], y[-HELD_OUT:])])}


def run(name, size, lr, seed, X, y, test):
    """What a run with the best rate reaches on the test images."""
    net = trained(NORMS[name], size, lr, seed, X, y)
    result = {"lr": lr}
    if name == "batch":
        result["accuracy_running"] = round(evaluate(net, test), 4)
    return {**result, "accuracy": round(evaluate(renewed(name, net, X), test), 4)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--norms", nargs="+", choices=NORMS, default=NORMS)
    parser.add_argument("--sizes", type=int, nargs="+", choices=RATES, default=RATES)
    args = parser.parse_args()
    record = read_record("batch_sizes", default={"runs": {}})
    X, y, X_test, y_test = load_standardized()
    test = list(zip(X_test.split(500), y_test.split(500), strict=True))

    def once(key, measure, *arguments):
        if key not in record["runs"]:
            measured = measure(*arguments)
            record["runs"][key] = {**measured, "measured": stamp("cpu")}
            write_record("batch_sizes", record)
        return record["runs"][key]

    for name, size in tqdm([(n, s) for s in args.sizes for n in args.norms]):
        here = f"{name}, batch={size}"
        found = {
            lr: once(f"{here}, lr={lr:g}", search, name, size, lr, X, y)["held_out"]
            for lr in RATES[size]
        }
        best = max(found, key=found.get)
        for seed in SEEDS:
            key = f"{here}, seed={seed}"
            if record["runs"].get(key, {}).get("lr") != best:  # a rate was added
                record["runs"].pop(key, None)
            once(key, run, name, size, best, seed, X, y, test)


if __name__ == "__main__":
    main()
