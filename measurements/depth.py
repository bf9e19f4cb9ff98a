"""Measure variances and gradients, layer by layer, in deep nets before training.

    python measurements/depth.py                        # all nets
    python measurements/depth.py --nets "batch norm"    # one of them

Every net has a first linear layer onto 256 units, then `depth` equal layers, then a
linear layer onto the ten classes. Each of nine seeds draws weights and 256 images of
Fashion-MNIST; the record has the medians over the seeds, and the growth from layer to
layer for each. On one CPU core all nets together take two minutes. A net that the
record already holds is not measured again, so the script resumes where it was stopped.
It writes `results/depth.json`, where each net says on which hardware, with which
versions and on which day it was measured.
"""

import argparse
import math
import sys
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch import nn
from tqdm import tqdm

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "code"))

from bn import BatchNorm
from fashion_mnist import load
from nets import Residual, layer_outputs, mlp, residual_mlp
from records import read_record, stamp, write_record
from training import init_he

WIDTH, BATCH_SIZE = 256, 256
DEPTHS = (2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 60, 80, 100)
SEEDS = range(9)
# Variances below this are not recorded: the outputs, of size 0.1 or so, then differ
# by little more than the rounding errors of float64.
FLOOR = 1e-30


def without_skips(depth, width, **options):
    """As many equal layers as `residual_mlp` has blocks, after a first one."""
    return mlp(depth + 1, width, **options)


# The net of so many layers of so many units, by name.
NETS = {
    "plain": without_skips,
    "plain, He": partial(without_skips, init=init_he),
    "batch norm": partial(without_skips, norm=BatchNorm, init=init_he),
    "residual": partial(residual_mlp, init=init_he),
    "residual + batch norm": partial(residual_mlp, norm=BatchNorm, init=init_he),
    "SkipInit": partial(residual_mlp, skipinit=True, init=init_he),
}


def measure(net, depth, seed, data):
    """Variance and gradient norm in each of the equal layers, from the first up.

    The variance is that of a unit's output h over the batch, averaged over the units.
    The gradient is that of the batch's mean cross-entropy with respect to the layer's
    outputs for the whole batch, and its norm the root of the sum of squares.
    """
    torch.manual_seed(seed)
    chosen = torch.randperm(len(data[0]))[:BATCH_SIZE]
    X, y = data[0][chosen].double() / 255, data[1][chosen]
    layers = nn.Linear, Residual
    *outputs, logits = layer_outputs(NETS[net](depth, WIDTH).double(), X, layers)[1:]
    loss = nn.functional.cross_entropy(logits, y)
    gradients = torch.autograd.grad(loss, outputs)
    variance = [h.var(dim=0, correction=0).mean().item() for h in outputs]
    return variance, [gradient.norm().item() for gradient in gradients]


def slope(values):
    """Of the least-squares line through the values of layers 1, 2, ..."""
    values = torch.as_tensor(values, dtype=torch.float64)
    layers = torch.arange(len(values)) - (len(values) - 1) / 2
    return (layers.double() @ values / layers.square().sum()).item()


def growth(values):
    """The factor a layer, upwards, that fits best: the line through the logarithms."""
    return math.exp(slope(torch.tensor(values, dtype=torch.float64).log()))


def short(value):
    """To four significant digits."""
    return float(f"{value:.4g}")


def run(net, data):
    """Measure one net at all depths; returns what goes into the record.

    Nets of several depths begin with the same layers, hence with the same variances,
    so these stand there once. What grows per layer stands there for each seed: the
    factor and the step of the variance on the way up, that of the gradient downwards.
    """
    result = {"variance": [], "gradient": {}, "growth": {}}
    for depth in tqdm(DEPTHS, net):
        runs = [measure(net, depth, seed, data) for seed in SEEDS]
        variance, gradient = (
            [median(values) for values in zip(*kind, strict=True)]
            for kind in zip(*runs, strict=True)
        )
        assert variance[: len(result["variance"])] == result["variance"]
        result["variance"] = variance
        result["gradient"][str(depth)] = [short(g) for g in gradient]
        resolved = [[v for v in variance if v > FLOOR] for variance, _ in runs]
        result["growth"][str(depth)] = {
            "variance": [short(growth(v)) for v in resolved],
            "variance_step": [short(slope(v)) for v, _ in runs],
            "gradient": [short(1 / growth(g)) for _, g in runs],
        }
    result["variance"] = [short(v) if v > FLOOR else None for v in variance]
    return {**result, "measured": stamp("cpu")}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", nargs="+", choices=NETS, default=NETS)
    args = parser.parse_args()
    record = read_record("depth", default={"runs": {}})
    data = load()
    for net in args.nets:
        if net not in record["runs"]:
            record["runs"][net] = run(net, data)
            write_record("depth", record)


if __name__ == "__main__":
    main()
