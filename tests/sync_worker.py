"""What one worker does for test_sync.py: `python sync_worker.py PART RANK SIZE FOLDER`.

It leaves what it computed, by name, in the file RANK.pt of the folder. The worker's
pieces are those of `pieces`, which the tests join.
"""

import os
import sys
import time
import warnings
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "code"))

import sync
from bn import BatchNorm
from nets import mlp
from sync import SyncBatchNorm, convert, sent, workers

TIMEOUT = 2  # seconds, where a worker dies; elsewhere it is longer
DDP_SIZES = {"equal": (4, 4, 4), "unequal": (1, 5, 3)}
# By name: the examples of each worker, the shape of an example, the layer's arguments.
CASES = {
    "2 axes": ((4, 4, 4), (5,), {}),
    "3 axes": ((2, 3, 1), (4, 6), {}),
    "4 axes": ((4, 4, 4), (3, 4, 4), {}),
    "5 axes": ((1, 2, 1), (2, 2, 3, 2), {}),
    "unequal": ((1, 6, 3), (5,), {}),
    "unequal images": ((1, 3, 2), (3, 4, 4), {}),
    "an empty piece": ((3, 0, 2), (5,), {}),
    "an empty piece of images": ((0, 3, 1), (3, 4, 4), {}),
    "one value each": ((1, 1, 1), (5,), {}),
    "all but one empty": ((0, 6, 0), (5,), {}),
    "cumulative": ((4, 2, 3), (5,), {"momentum": None}),
    "without gamma": ((4, 2, 3), (5,), {"affine": False}),
    "without statistics": ((4, 2, 3), (5,), {"track_running_stats": False}),
    "far from 0": ((4, 2, 3), (5,), {}),
}


def pieces(name, step, size, dtype=torch.float64):
    """The inputs of all workers, and the weights of the outputs in their losses."""
    examples, shape, _ = CASES[name]
    shape = (sum(examples[:size]), *shape)
    generator = torch.Generator().manual_seed(100 * list(CASES).index(name) + step)
    x, w = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    x = 3 * x + (1e4 if name == "far from 0" else 1)
    return [t.to(dtype).split(examples[:size]) for t in (x, w)]


def layer_for(name, kind):
    """A layer of a case in double precision, whose gamma and beta are not 1 and 0."""
    _, shape, arguments = CASES[name]
    layer = kind(shape[0], num_dims=len(shape) + 1, **arguments).double()
    if layer.affine:
        with torch.no_grad():
            layer.gamma += torch.arange(shape[0]).reshape(layer.gamma.shape)
            layer.beta += 0.5
    return layer


def run(layer, x, w):
    """Outputs, gradients and the gradient of the gradient's square."""
    x = x.clone().requires_grad_()
    y = layer(x)
    loss = (w * y**2).sum()
    (grad,) = torch.autograd.grad(loss, x, create_graph=True)
    own = []
    if layer.affine:
        own = torch.autograd.grad(loss, [*layer.parameters()], retain_graph=True)
    (second,) = torch.autograd.grad((grad**2).sum(), x)
    return {"y": y.detach(), "grad": grad.detach(), "own": own, "second": second}


def state(layer):
    return {name: buffer.clone() for name, buffer in layer.named_buffers()}


def cases(rank, size):
    results = {}
    for name in CASES:
        layer = layer_for(name, SyncBatchNorm)
        for step in range(2):
            x, w = pieces(name, step, size)
            result = run(layer, x[rank], w[rank])
        results[name] = {**result, "state": state(layer)}
    return results


def precisions(rank, size):
    """Inputs far from 0 in single precision, and in half precision."""
    results = {}
    for dtype in (torch.float32, torch.bfloat16):
        x, _ = pieces("far from 0", 0, size, dtype)
        results[dtype] = SyncBatchNorm(5, num_dims=2)(x[rank]).detach()
    return results


def counts(rank, size):
    """What is sent, by occasion."""
    counted = {}

    def count(occasion):
        counted[occasion] = dict(sent)
        sent.clear()

    layer, x = SyncBatchNorm(6, num_dims=4), torch.randn(2, 6, 3, 3)
    x.requires_grad_()
    sent.clear()
    y = layer(x)
    count("forward")
    (y**2).sum().backward()
    count("backward")
    layer.eval()
    layer(x).sum().backward()
    count("evaluation")
    SyncBatchNorm(6, num_dims=4, track_running_stats=False).eval()(x)
    count("evaluation without statistics")
    BatchNorm(6, num_dims=4)(x)
    count("BatchNorm")
    return counted


def all_reduces(rank, size):
    """The same gradient by this book's all-reduce and by torch's."""
    import torch.distributed.nn.functional as theirs

    results = {}
    for name in ("ours", "torch"):
        x = torch.arange(3.0, dtype=torch.float64) + rank
        x.requires_grad_()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch means to remove it
            ours = name == "ours"
            y = sync.AllReduce.apply(x, None) if ours else theirs.all_reduce(x)
            loss = ((rank + 1) * y**3).sum()
            (grad,) = torch.autograd.grad(loss, x, create_graph=True)
            (second,) = torch.autograd.grad(grad.sum(), x)
        results[name] = y.detach(), grad.detach(), second
    return results


def errors(rank, size):
    """What is said of a batch that is too small, and by torch's own layer."""
    said = {}
    layer = SyncBatchNorm(5, num_dims=2)
    for name, function in (
        ("too small", lambda: layer(torch.ones(int(rank == 0), 5))),
        ("torch", lambda: nn.SyncBatchNorm(5)(torch.randn(4, 5))),
    ):
        try:
            function()
        except ValueError as error:
            said[name] = str(error)
    return {**said, "state": state(layer)}


def net_for(kind):
    torch.manual_seed(0)
    net = mlp(2, 7, BatchNorm, num_inputs=6, num_outputs=3).double()
    return convert(net) if kind == "joint" else net


def data(name, size):
    """A batch for the net, its classes, and which rows each worker has."""
    sizes = DDP_SIZES[name][:size]
    rows = torch.arange(sum(sizes))
    X = (torch.arange(6) + 6 * rows[:, None]).double().sin()
    return X, rows % 3, rows.split(sizes)


def ddp(rank, size):
    """A net's gradients after DDP; losses are means over pieces."""
    results = {}
    for kind, name in (("joint", "equal"), ("joint", "unequal"), ("own", "equal")):
        X, y, parts = data(name, size)
        mine = parts[rank]
        net = net_for(kind)
        copy = DistributedDataParallel(net)
        loss = nn.functional.cross_entropy(copy(X[mine]), y[mine])
        (loss * len(mine) * size / len(X)).backward()
        results[kind, name] = [p.grad for p in net.parameters()]
    return results


def groups(rank, size):
    """Statistics of some of the workers: all but the last, and the last alone."""
    parts = [list(range(size - 1)), [size - 1]]
    made = [dist.new_group(part) for part in parts]
    layer = SyncBatchNorm(5, num_dims=2, process_group=made[rank == size - 1]).double()
    x, _ = pieces("2 axes", 0, size)
    sent.clear()
    return {"y": layer(x[rank]).detach(), "messages": sent["messages"]}


def check(rank, size, folder):
    with workers("gloo", 30, **rendezvous(folder, rank, size)):
        parts = cases, precisions, counts, all_reduces, errors, ddp, groups
        return {part.__name__: part(rank, size) for part in parts}


def rendezvous(folder, rank, size, name="together"):
    return {"init_method": f"file://{folder}/{name}", "rank": rank, "world_size": size}


def die(rank, size, folder):
    """Worker 1 is lost on several occasions; worker 0 notes what it is told, when."""

    def silent(layer):
        time.sleep(TIMEOUT + 1)

    def gone(layer):
        pass  # leaves the group

    def gone_before_backward(layer):
        layer(torch.ones(2, 3, requires_grad=True))

    noted = {}
    layer = SyncBatchNorm(3, num_dims=2)
    for loss in (silent, gone, gone_before_backward, gone):
        name = loss.__name__ + (" from DDP" if loss.__name__ in noted else "")
        start = time.monotonic()
        try:
            there = rendezvous(folder, rank, size, name)
            with workers("gloo", TIMEOUT, **there):
                net = nn.Linear(3, 3) if "DDP" in name else layer
                copy = DistributedDataParallel(net) if "DDP" in name else net
                layer(torch.randn(2, 3))  # all is well
                start = time.monotonic()
                if rank == 1:
                    loss(layer)
                else:
                    copy(torch.randn(2, 3, requires_grad=True)).sum().backward()
        except ConnectionError as error:
            noted[name] = str(error), time.monotonic() - start
        else:
            noted[name] = None
    return noted


if __name__ == "__main__":
    torch.set_num_threads(1)
    part, rank, size, folder = sys.argv[1:]
    result = {"check": check, "die": die}[part](int(rank), int(size), folder)
    torch.save(result, f"{folder}/{rank}.pt")
    if part == "die" and rank == "1":
        os._exit(1)
