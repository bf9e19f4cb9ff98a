"""Train a small net on Fashion-MNIST, each batch in pieces on several workers.

    torchrun --standalone --nproc-per-node 2 code/train_distributed.py --batch 2

For each way to take statistics and for each seed, every worker prints a line of JSON:
the loss of its own pieces, at the first three steps and averaged over the last hundred;
the accuracy of its copy of the net on test images; the first layer's running mean,
averaged over features, and the norm of its weights; how many messages and floats it
sent for statistics. With GPUs enough, each worker takes one.
"""

import argparse
import os

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from bn import BatchNorm
from fashion_mnist import load
from launch import report
from nets import mlp
from seeds import set_seed
from sync import convert, sent, workers
from training import evaluate


def images(number, device):
    """The first images of both sets, standardized by two numbers of the first."""
    X, y, X_test, y_test = load()
    X, X_test = (t[:number, None].to(device).double() / 255 for t in (X, X_test))
    y, y_test = (t[:number].to(device) for t in (y, y_test))
    std, mean = torch.std_mean(X)
    return (X - mean) / std, y, (X_test - mean) / std, y_test


def train(net, X, y, lr, batch, steps, rank=0, size=1):
    """Train on this worker's pieces, of `batch` examples each; returns the losses.

    All workers draw the same order, which is that of `training.fit` with batches of
    `batch * size` examples. Each takes every `size`-th example of a batch.
    """
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    losses = []
    while len(losses) < steps:
        order = torch.randperm(len(X))
        for rows in order.split(batch * size)[: steps - len(losses)]:
            rows = rows[rank::size]
            loss = nn.functional.cross_entropy(net(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
    return torch.stack(losses)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--statistics", nargs="+", default=["own", "joint"])
    parser.add_argument("--batch", type=int, default=2, help="examples of each worker")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--images", type=int, default=5000)
    options = parser.parse_args()
    local, locals_ = (int(os.environ[f"LOCAL_{n}"]) for n in ("RANK", "WORLD_SIZE"))
    gpus = os.environ.get("TRY_GPU") != "0" and torch.cuda.device_count() >= locals_
    device = torch.device("cuda", local) if gpus else torch.device("cpu")
    if gpus:
        torch.cuda.set_device(device)
    X, y, X_test, y_test = images(options.images, device)
    with workers("nccl" if gpus else "gloo") as (rank, size):
        for statistics in options.statistics:
            for seed in options.seeds:
                set_seed(seed)
                net = mlp(3, 100, BatchNorm).double().to(device)
                if statistics == "joint":
                    net = convert(net)
                copy = DistributedDataParallel(net)
                sent.clear()
                losses = train(
                    copy, X, y, options.lr, options.batch, options.steps, rank, size
                )
                report(
                    statistics=statistics,
                    seed=seed,
                    loss=losses[-100:].mean(),
                    first_losses=losses[:3],
                    accuracy=evaluate(net, [(X_test, y_test)]),
                    running_mean=net[2].running_mean.mean(),
                    weights=net[1].weight.norm(),
                    **sent,
                )


if __name__ == "__main__":
    main()
