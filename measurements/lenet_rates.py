"""Train LeNet with and without batch norm, over learning rates and seeds.

    python measurements/lenet_rates.py                    # the whole grid
    python measurements/lenet_rates.py --rates 1 --seeds 0 1 2 3 4

Every run is the chapter's: LeNet, all of Fashion-MNIST, batch size 256, ten epochs.
The whole grid is 60 runs; on one CPU core a run takes one to two minutes. A run that
the record already holds is not repeated, so the script resumes where it was stopped.
It writes `results/lenet_rates.json`, where each run says on which hardware, with which
versions and on which day it was measured.
"""

import argparse
import copy
import sys
from pathlib import Path

import torch
from torch import nn

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "code"))

from bn import BatchNorm, recalibrate
from fashion_mnist import Batches, load, load_data_fashion_mnist
from nets import lenet
from records import read_record, stamp, write_record
from training import evaluate, train, try_gpu

RATES = (0.01, 0.03, 0.1, 0.3, 1, 3)
SEEDS = range(5)
NUM_EPOCHS, BATCH_SIZE = 10, 256
# Updates after which the pre-activations are recorded, for seed 0.
STEPS = (0, 1, 3, 10, 30, 100, 235, 470, 940, 1410, 1880, 2350)
NUM_BINS, LIMIT = 80, 8.0


def pre_activations(net, X):
    """Histogram of what enters each sigmoid for the batch X, in training mode.

    Counts over `NUM_BINS` equal bins from -LIMIT to LIMIT; values beyond are counted
    in the outermost bins. `net` is left as it was.
    """
    net = copy.deepcopy(net).train()
    counts = []

    def count(module, inputs):
        z = inputs[0].detach().clamp(-LIMIT, LIMIT).flatten()
        counts.append(torch.histc(z, NUM_BINS, -LIMIT, LIMIT).int().tolist())

    for module in net:
        if isinstance(module, nn.Sigmoid):
            module.register_forward_pre_hook(count)
    with torch.no_grad():
        net(X)
    return counts


def run(norm, lr, seed, data, sample, device):
    """Train once; returns what goes into the record."""
    torch.manual_seed(seed)
    net = lenet(norm)
    X = next(iter(data[1]))[0].to(device)  # the first test images, never shuffled
    histograms, recalibrated = {}, []

    def on_step(step):
        if seed == 0 and step in STEPS:
            histograms[str(step)] = pre_activations(net, X)
        if norm and step and step % len(data[0]) == 0:
            fresh = recalibrate(copy.deepcopy(net), (X.to(device) for X, _ in sample))
            recalibrated.append(round(evaluate(fresh, data[1], device), 4))

    history = train(net, *data, NUM_EPOCHS, lr, device, on_step)
    result = {
        "train_loss": [round(v, 4) for v in history.train_loss],
        "train_acc": [round(v, 4) for v in history.train_acc],
        "test_acc": [round(v, 4) for v in history.test_acc],
        "diverged": history.diverged,
        "measured": stamp(device),
    }
    if norm:
        result["test_acc_recalibrated"] = recalibrated
    if histograms:
        result["pre_activations"] = histograms
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    args = parser.parse_args()
    record = read_record("lenet_rates", default={"runs": {}})
    data, device = load_data_fashion_mnist(BATCH_SIZE), try_gpu()
    images, labels, *_ = load()
    # What running statistics are recalibrated on: 20 batches of training images.
    sample = Batches(images[: 20 * BATCH_SIZE], labels[: 20 * BATCH_SIZE], BATCH_SIZE)
    grid = [
        (name, norm, lr, seed)
        for lr in args.rates
        for seed in args.seeds
        for name, norm in (("bn", BatchNorm), ("plain", None))
    ]
    for i, (name, norm, lr, seed) in enumerate(grid, 1):
        key = f"{name} lr={lr:g} seed={seed}"
        if key in record["runs"]:
            continue
        print(f"[{i}/{len(grid)}] {key}", flush=True)
        record["runs"][key] = run(norm, lr, seed, data, sample, device)
        write_record("lenet_rates", record)


if __name__ == "__main__":
    main()
