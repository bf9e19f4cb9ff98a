"""Measure what batch norm costs: the layer alone, in LeNet, and in a whole epoch.

    python measurements/throughput.py
    python measurements/throughput.py --repetitions 3     # quicker, and less sure

For each device there is, the processor with two threads, it measures in one process

- the layer alone, forward and backward, at several shapes: the readable version of the
  book, the closed form, PyTorch's own, each as it is and under `torch.compile`, and,
  as the unit, a copy of a tensor of the same size;
- LeNet, in examples per second of forward, backward and update, and in prediction;
- an epoch with data and evaluation, the book's `train` beside `train_ch6` of D2L, the
  package of the textbook "Dive into Deep Learning", version 0.17.6. It is installed
  into a folder of its own, gets the book's copy of Fashion-MNIST, and draws nothing.

Versions take turns, so that a slow moment of the machine hits all of them. As numbers
of different runs should not be compared, it always runs as a whole, in less than ten
minutes. It writes `results/throughput.json` and prints goals and results side by side.
"""

import argparse
import contextlib
import gc
import importlib
import io
import statistics
import struct
import subprocess
import sys
import time
import types
import warnings
from itertools import pairwise
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "code"))

from bn import BatchNorm, ClosedFormBatchNorm
from compiled import Compiled
from fashion_mnist import Batches, load
from memory import bytes_saved
from nets import fold_all, lenet, torch_batch_norm
from records import read_record, stamp, write_record
from timing import medians, synchronize, take_turns
from training import train, try_gpu

THREADS = 2  # on a processor
BATCH_SIZE = 256
SHAPES = (256, 6, 24, 24), (64, 64, 32, 32), (256, 120)
# One axis at a time: batch, channels, image size.
SWEEP = {
    "batch size": [(n, 64, 16, 16) for n in (1, 4, 16, 64, 256)],
    "channels": [(64, c, 16, 16) for c in (1, 4, 16, 64, 256)],
    "image size": [(64, 64, s, s) for s in (2, 4, 8, 16, 32)],
}
PEER = HERE.parent / "_build" / "d2l"
PEER_PACKAGE = "d2l==0.17.6"


class TextbookBatchNorm(nn.Module):
    """The layer as the textbook's chapter describes it, in words of this book's own.

    The package has no such layer, so it is rebuilt here for its speed: mean, mean
    square of the differences, quotient by the root, scale and shift, each line a
    call; running statistics are plain tensors, replaced in each step, and the mode is
    taken from whether gradients are recorded.
    """

    def __init__(self, num_features, num_dims):
        super().__init__()
        shape = (1, num_features) + (1,) * (num_dims - 2)
        self.axes = [axis for axis in range(num_dims) if axis != 1]
        self.gamma = nn.Parameter(torch.ones(shape))
        self.beta = nn.Parameter(torch.zeros(shape))
        self.running = torch.zeros(shape), torch.ones(shape)

    def forward(self, x):
        mean, var = self.running = [t.to(x.device) for t in self.running]
        if torch.is_grad_enabled():
            mean = x.mean(self.axes, keepdim=True)
            var = ((x - mean) ** 2).mean(self.axes, keepdim=True)
            old = zip(self.running, (mean, var), strict=True)
            self.running = [0.9 * r + 0.1 * new.detach() for r, new in old]
        return self.gamma * ((x - mean) / torch.sqrt(var + 1e-5)) + self.beta


def by_var_mean(
    x, running_mean, running_var, gamma, beta, training, momentum=0.1, eps=1e-5
):
    """`bn.batch_norm` in training, with mean and variance from one call.

    It moves less through memory, and PyTorch has a call for it. But on a processor
    that call goes from number to number.
    """
    axes = [axis for axis in range(x.dim()) if axis != 1]
    var, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    n = x.numel() // x.shape[1]
    with torch.no_grad():
        running_mean += momentum * (mean - running_mean)
        running_var += momentum * (var * n / (n - 1) - running_var)
    return gamma * ((x - mean) / torch.sqrt(var + eps)) + beta


class VarMeanBatchNorm(BatchNorm):
    """A `BatchNorm` for training that computes by `by_var_mean`."""

    normalize = staticmethod(by_var_mean)


VERSIONS = {
    "readable": BatchNorm,
    "closed form": ClosedFormBatchNorm,
    "framework": torch_batch_norm,
}


def compiled_norm(norm):
    """As `norm`, but each layer is compiled, for itself."""

    def make(num_features, num_dims):
        layer = norm(num_features, num_dims)
        layer.compile(dynamic=False)
        return layer

    return make


def lenet_by_pairs(norm):
    """LeNet with each normalization and the sigmoid after it compiled as one."""
    net = lenet(norm)
    for i, (layer, activation) in enumerate(pairwise(list(net))):
        if isinstance(activation, nn.Sigmoid):
            net[i], net[i + 1] = nn.Sequential(layer, activation), nn.Identity()
            net[i].compile(dynamic=False)
    return net


def layer_functions(norm, x):
    """What is timed of a layer: the forward pass, and both passes."""
    layer = norm(x.shape[1], x.dim()).to(x.device)
    needed = [x, *layer.parameters()]
    dy = torch.randn_like(x)
    return {
        "forward": lambda: layer(x),
        "both": lambda: torch.autograd.grad(layer(x), needed, dy),
    }


def measure_layer(shape, versions, repetitions, device):
    """Seconds of each version's passes at one shape, and of a copy."""
    torch.compiler.reset()  # one function is compiled for eight shapes, and no more
    x = torch.randn(shape, device=device, requires_grad=True)
    source, target = x.detach(), torch.empty_like(x)
    functions = {("copy", "once"): lambda: target.copy_(source)}
    for name, norm in versions.items():
        for passes, function in layer_functions(norm, x).items():
            functions[name, passes] = function
    measured = {}
    turns = take_turns(functions, repetitions, device)
    for (name, passes), seconds in turns.items():
        measured.setdefault(name, {})[passes] = rounded(seconds)
    return measured


def measure_calls(shape, repetitions, device):
    """Seconds of a layer's calls, each alone, and of a copy."""
    x = torch.randn(shape, device=device)
    target = torch.empty_like(x)
    axes = [axis for axis in range(x.dim()) if axis != 1]
    c = x.mean(axes, keepdim=True)
    functions = {
        "copy": lambda: target.copy_(x),
        "var_mean": lambda: torch.var_mean(x, axes, correction=0, keepdim=True),
        "mean": lambda: x.mean(axes, keepdim=True),
        "sub": lambda: x - c,
        "square": lambda: x.square(),
        "div": lambda: x / c,
        "mul": lambda: x * c,
        "add": lambda: x + c,
    }
    turns = take_turns(functions, repetitions, device)
    return {name: rounded(seconds) for name, seconds in turns.items()}


def measure_machine(repetitions, device):
    """Operations per second in a product of matrices: what arithmetic could do."""
    n = 1024 if torch.device(device).type == "cpu" else 8192
    a, b = torch.randn(2, n, n, device=device)
    [seconds] = medians(take_turns({"": lambda: a @ b}, repetitions, device)).values()
    return {"operations_per_second": rounded([2 * n**3 / seconds])[0]}


def measure_lenet(repetitions, device):
    """Examples per second of training steps on one batch in memory, by version."""
    torch.compiler.reset()
    torch._dynamo.config.recompile_limit = 64  # forward is compiled for each layer
    X = torch.rand(BATCH_SIZE, 1, 28, 28, device=device)
    y = torch.randint(10, (BATCH_SIZE,), device=device)
    graphs = "reduce-overhead" if X.is_cuda else None

    def step(net, mode=None, whole=False):
        net = net.to(device)
        forward = Compiled(net, mode) if whole else net
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

        def take():
            optimizer.zero_grad()
            cross_entropy(forward(X), y).backward()
            optimizer.step()

        return take

    functions = {
        "textbook": step(lenet(TextbookBatchNorm)),
        "readable, by var_mean": step(lenet(VarMeanBatchNorm)),
    }
    for name in ("readable", "closed form"):
        layers = step(lenet(compiled_norm(VERSIONS[name])))
        functions[f"{name}, layers compiled"] = layers
    for name, norm in VERSIONS.items():
        functions[f"{name}, with sigmoids compiled"] = step(lenet_by_pairs(norm))
    for name, norm in {"none": None, **VERSIONS}.items():
        functions[name] = step(lenet(norm))
        functions[f"{name}, net compiled"] = step(lenet(norm), graphs, whole=True)
    turns = take_turns(functions, repetitions, device, least=0.3)
    return {k: rounded([BATCH_SIZE / s for s in v]) for k, v in turns.items()}


def measure_profile(device, steps=10):
    """The share of each operation in the time of training steps of LeNet.

    The net has PyTorch's own layer and is not compiled. Shares below a hundredth are
    left out.
    """
    X = torch.rand(BATCH_SIZE, 1, 28, 28, device=device)
    y = torch.randint(10, (BATCH_SIZE,), device=device)
    net = lenet(torch_batch_norm).to(device)
    kinds = torch.profiler.ProfilerActivity
    activities = [kinds.CPU, kinds.CUDA] if X.is_cuda else [kinds.CPU]
    with torch.profiler.profile(activities=activities) as profile:
        for _ in range(steps):
            net.zero_grad()
            cross_entropy(net(X), y).backward()
    kind = "self_device_time_total" if X.is_cuda else "self_cpu_time_total"
    times_ = {event.key: getattr(event, kind) for event in profile.key_averages()}
    total = sum(times_.values())
    return {
        name.removeprefix("aten::"): round(value / total, 3)
        for name, value in sorted(times_.items(), key=lambda item: -item[1])
        if value > total / 100
    }


def measure_prediction(repetitions, device):
    """Images per second of LeNet in evaluation mode, by version."""
    X = torch.rand(BATCH_SIZE, 1, 28, 28, device=device)

    def predict(net):
        def answer():
            with torch.no_grad():
                net(X)

        net = net.to(device).eval()
        return answer

    functions = {"none": predict(lenet())}
    for name in ("readable", "framework"):
        functions[name] = predict(lenet(VERSIONS[name]))
        functions[f"{name}, folded"] = predict(fold_all(lenet(VERSIONS[name])))
    turns = take_turns(functions, repetitions, device, least=0.2)
    return {k: rounded([BATCH_SIZE / s for s in v]) for k, v in turns.items()}


def install_peer():
    """Import D2L from a folder of its own; returns the module, or None if it fails."""
    if not (PEER / "d2l").exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        done = subprocess.run([*pip, "--target", str(PEER), PEER_PACKAGE])
        if done.returncode:
            return None
    sys.path.append(str(PEER))
    try:
        importlib.import_module("pandas")
    except ImportError:  # D2L imports it and does not need it here
        sys.modules["pandas"] = types.ModuleType("pandas")
    d2l = importlib.import_module("d2l.torch")
    # What it draws while it trains takes time, too; that is left out of its account.
    d2l.Animator = lambda **options: types.SimpleNamespace(add=lambda x, y: None)
    return d2l


def peer_data(d2l):
    """What D2L's own function loads, from the book's copy of the data."""
    raw = PEER / "data" / "FashionMNIST" / "raw"
    work = PEER / "work"  # D2L looks in ../data
    work.mkdir(parents=True, exist_ok=True)
    raw.mkdir(parents=True, exist_ok=True)
    train_images, train_labels, test_images, test_labels = load()
    for name, tensor in (
        ("train-images-idx3-ubyte", train_images),
        ("train-labels-idx1-ubyte", train_labels.byte()),
        ("t10k-images-idx3-ubyte", test_images),
        ("t10k-labels-idx1-ubyte", test_labels.byte()),
    ):
        header = 0x800 + tensor.dim(), *tensor.shape
        data = struct.pack(f">{len(header)}I", *header) + tensor.numpy().tobytes()
        (raw / name).write_bytes(data)
    with contextlib.chdir(work):
        return d2l.load_data_fashion_mnist(BATCH_SIZE)


def measure_epochs(repetitions, device):
    """Seconds of an epoch with data and evaluation, D2L's and ours, by version.

    Compiling happens in an epoch before, and is recorded apart.
    """
    images = load()
    data = [
        Batches(*images[:2], BATCH_SIZE, shuffle=True).to(device),
        Batches(*images[2:], BATCH_SIZE).to(device),
    ]
    d2l = install_peer()
    theirs = d2l and quietly(lambda: peer_data(d2l))

    def d2l_epoch(norm):
        return lambda: d2l.train_ch6(lenet(norm), *theirs, 1, 0.1, device)

    def ours(norm):
        return lambda: train(lenet(norm), *data, 1, 0.1, device)

    functions = {
        "ours, from scratch": ours(BatchNorm),
        "ours, concise": ours(torch_batch_norm),
    }
    if d2l:
        functions["D2L, from scratch"] = d2l_epoch(TextbookBatchNorm)
        functions["D2L, concise"] = d2l_epoch(torch_batch_norm)
    else:
        print(f"{PEER_PACKAGE} could not be installed; its epochs are left out")
    seconds = {name: [] for name in functions}
    compiled = {  # a net, and whether to compile it as a whole
        "ours, from scratch, closed form, compiled": (lenet, ClosedFormBatchNorm, True),
        "ours, from scratch, with sigmoids compiled": (
            lenet_by_pairs, BatchNorm, False),
        "ours, concise, compiled": (lenet, torch_batch_norm, True),
    }  # fmt: skip
    seconds |= {name: [] for name in compiled}
    first = {name: [] for name in compiled}
    for repetition in range(repetitions):
        progress(f"epochs, turn {repetition + 1} of {repetitions}")
        for name, function in functions.items():
            start = time.perf_counter()
            quietly(function)
            synchronize(device)
            seconds[name].append(time.perf_counter() - start)
        for name, (make, norm, whole) in compiled.items():
            ends = [time.perf_counter()]
            net = make(norm)
            quietly(lambda net=net, ends=ends, whole=whole: train(
                net, *data, 2, 0.1, device, compile=whole,
                on_epoch=lambda history: ends.append(time.perf_counter()),
            ))  # fmt: skip
            seconds[name].append(ends[2] - ends[1])
            first[name].append(ends[1] - ends[0])
        gc.collect()
    return {
        "seconds": {name: rounded(values) for name, values in seconds.items()},
        "first epoch, with compiling": {k: rounded(v) for k, v in first.items()},
    }


def goals(run):
    """What was aimed at and what came out: a list of (what, goal, result).

    A goal is a pair of relation and number; a result is None if it was not measured.
    """

    def layer(shape, name, passes="both"):
        measured = run["layer"].get(shape, {}).get(name)
        return measured and statistics.median(measured[passes])

    def ratio(a, b):
        return None if not (a and b) else a / b

    def median(section, name):
        values = run.get(section, {}).get(name)
        return values and statistics.median(values)

    def lenet_ratio(a, b):
        return ratio(median("lenet", a), median("lenet", b))

    rows = []
    for shape, goal in (("256x6x24x24", 1.5), ("64x64x32x32", 1.2)):
        for name in ("readable", "closed form"):
            result = ratio(layer(shape, "framework"), layer(shape, f"{name}, compiled"))
            what = f"layer at {shape}, {name}, compiled, against PyTorch's"
            rows.append((what, ">", goal, result))
    scratch = [
        name for name in run["lenet"] if name.startswith(("readable", "closed form"))
    ]
    best = max(scratch, key=lambda name: median("lenet", name))
    rows += [
        ("LeNet, best from scratch, against PyTorch's", ">", 1.0,
         lenet_ratio(best, "framework")),
        ("LeNet, readable, against the textbook's", ">", 1.1,
         lenet_ratio("readable", "textbook")),
    ]  # fmt: skip
    epochs = run.get("epochs", {}).get("seconds", {})
    for kind, goal in (("from scratch", 3.0), ("concise", 2.5)):
        times = {k: statistics.median(v) for k, v in epochs.items() if v}
        mine = [v for k, v in times.items() if k.startswith(f"ours, {kind}")]
        result = ratio(times.get(f"D2L, {kind}"), min(mine, default=None))
        rows.append((f"epoch, {kind}, D2L's seconds over ours", ">", goal, result))
    saved = run["saved"]
    rows.append(("bytes saved for backward, closed form over readable", "<", 0.5,
                 ratio(saved["closed form"], saved["readable"])))  # fmt: skip
    copies = [
        ratio(layer("64x64x32x32", name), layer("64x64x32x32", "copy", "once"))
        for name in run["layer"].get("64x64x32x32", {})
        if name.startswith(("readable", "closed form"))
    ]
    rows.append(("best layer at 64x64x32x32, in copies", "<", 8.0,
                 min(filter(None, copies), default=None)))  # fmt: skip
    return [
        {"what": what, "relation": relation, "goal": goal,
         "result": result and round(result, 3)}
        for what, relation, goal, result in rows
    ]  # fmt: skip


def measure(device, repetitions):
    """Everything on one device; returns what goes into the record."""
    versions = {
        "textbook": TextbookBatchNorm,
        "readable, by var_mean": VarMeanBatchNorm,
        **VERSIONS,
    }
    for name in VERSIONS:
        versions[f"{name}, compiled"] = compiled_norm(VERSIONS[name])
    run = {"repetitions": repetitions, "machine": measure_machine(repetitions, device)}
    run["calls"] = measure_calls(SHAPES[1], repetitions, device)
    run["layer"] = {}
    for shape in SHAPES:
        progress(f"layer at {times(shape)}")
        run["layer"][times(shape)] = measure_layer(shape, versions, repetitions, device)
    run["sweep"] = {}
    few = {name: versions[name] for name in ("readable", "readable, compiled",
                                             "framework")}  # fmt: skip
    for axis, shapes in SWEEP.items():
        for shape in shapes:
            if times(shape) not in run["sweep"]:
                progress(f"{axis}: layer at {times(shape)}")
                run["sweep"][times(shape)] = measure_layer(
                    shape, few, repetitions, device
                )
    progress("LeNet")
    run["lenet"] = measure_lenet(repetitions, device)
    run["profile"] = measure_profile(device)
    run["prediction"] = measure_prediction(repetitions, device)
    x = torch.randn(SHAPES[0], requires_grad=True)
    run["saved"] = {
        name: round(bytes_saved(norm(x.shape[1], x.dim()), x) / x.nbytes, 3)
        for name, norm in VERSIONS.items()
    }
    run["epochs"] = measure_epochs(max(1, repetitions // 3), device)
    run["goals"] = goals(run)
    run["measured"] = stamp(device)
    return run


def times(shape):
    """A shape as text: 256x6x24x24."""
    return "x".join(map(str, shape))


def rounded(values):
    """With four digits, which is more than is sure."""
    return [float(f"{value:.4g}") for value in values]


def quietly(function):
    """Call it, and keep what it prints to itself."""
    nowhere = io.StringIO()
    with (
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
        warnings.catch_warnings(action="ignore"),  # D2L's four workers on two cores
    ):
        return function()


def progress(what):
    print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)


def show(run):
    """Print what came out, and goals and results side by side."""
    print(f"\n{run['measured']['device']}, {run['measured']['threads']} threads")
    for section, unit in (("lenet", "trained on"), ("prediction", "classified")):
        print(f"LeNet, images {unit} per second: median, least and most")
        for name, values in run[section].items():
            middle = statistics.median(values)
            print(f"  {name:30} {middle:9.0f} {min(values):9.0f} {max(values):9.0f}")
    print("an epoch with data and evaluation, in seconds: median, least and most")
    for name, values in run["epochs"]["seconds"].items():
        middle = statistics.median(values)
        print(f"  {name:30} {middle:9.2f} {min(values):9.2f} {max(values):9.2f}")
    for shape, layer in run["layer"].items():
        [copy] = medians({"": layer["copy"]["once"]}).values()
        print(f"layer at {shape}, in copies: forward, both passes")
        for name, passes in layer.items():
            if name != "copy":
                values = [statistics.median(v) / copy for v in passes.values()]
                print(f"  {name:30} {values[0]:9.1f} {values[1]:9.1f}")
    print(f"{'':55} {'goal':>8} {'result':>8}")
    for row in run["goals"]:
        result = "not measured" if row["result"] is None else f"{row['result']:.2f}"
        goal = f"{row['relation']} {row['goal']:g}"
        print(f"{row['what']:55} {goal:>8} {result:>8}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=9)
    args = parser.parse_args()
    record = read_record("throughput", default={"runs": {}})
    # OMP_NUM_THREADS may say one, for the sake of numbers that are the same everywhere.
    torch.set_num_threads(THREADS)
    for device in dict.fromkeys([torch.device("cpu"), try_gpu()]):
        progress(f"on {device}")
        run = measure(device, args.repetitions)
        record["runs"][device.type] = run
        write_record("throughput", record)
        show(run)
    if record["runs"].keys() <= {"cpu"}:
        print("One GPU, from scratch and concise: still to be measured")


if __name__ == "__main__":
    main()
