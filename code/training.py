"""The training loop: it knows no data set and no model."""

import itertools
import math
import os
import sys
import time
from dataclasses import dataclass, field

import torch
from torch import nn
from tqdm import tqdm

from compiled import Compiled

_LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)  # what the initializers draw


@dataclass
class History:
    """What a run of `train` measured, one entry per finished epoch.

    Losses are cross-entropies in nats, averaged over the examples as they were
    trained on; accuracies are fractions from 0 to 1; seconds are those of the
    training part of an epoch, without the evaluation.
    """

    train_loss: list = field(default_factory=list)
    train_acc: list = field(default_factory=list)
    test_acc: list = field(default_factory=list)
    seconds: list = field(default_factory=list)
    num_examples: int = 0
    diverged: bool = False

    @property
    def examples_per_sec(self):
        """Examples trained on per second, over the finished epochs; 0 without one."""
        return self.num_examples / sum(self.seconds) if self.seconds else 0.0


def try_gpu():
    """The accelerator there is (NVIDIA, AMD, Apple, Intel), else the CPU.

    The CPU, too, if the environment variable TRY_GPU is 0. `make test` and
    `make execute` set it, as the stored outputs were made on a CPU.

    >>> isinstance(try_gpu(), torch.device)
    True
    """
    if os.environ.get("TRY_GPU") != "0" and torch.accelerator.is_available():
        return torch.device(torch.accelerator.current_accelerator().type, 0)
    return torch.device("cpu")


def init_xavier(module):
    """Draw the weights of a linear or convolutional layer as Xavier Glorot proposed.

    Weights are uniform in +-sqrt(6 / (fan_in + fan_out)); biases stay as they are.
    Use it as `net.apply(init_xavier)`. Source: Glorot and Bengio, AISTATS 2010.

    >>> net = nn.Sequential(nn.Linear(2, 4), nn.Sigmoid()).apply(init_xavier)
    >>> bool(net[0].weight.abs().max() <= 1)  # sqrt(6 / (2 + 4))
    True
    """
    if isinstance(module, _LINEAR):
        nn.init.xavier_uniform_(module.weight)


def init_he(module):
    """Draw the weights of a linear or convolutional layer as Kaiming He proposed.

    Weights are normal with variance 2 / fan_in, which keeps the scale of activations
    from layer to layer of ReLUs; biases are 0. Use it as `net.apply(init_he)`.
    Source: He, Zhang, Ren and Sun, ICCV 2015.

    >>> net = nn.Sequential(nn.Linear(2, 4), nn.ReLU()).apply(init_he)
    >>> net[0].bias.tolist()
    [0.0, 0.0, 0.0, 0.0]
    """
    if isinstance(module, _LINEAR):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def evaluate(net, data_iter, device=None):
    """Accuracy of `net` over `data_iter`, in evaluation mode.

    The mode that each part of `net` was in is restored afterwards.

    Args:
        net: maps a batch X to scores of shape (N, classes).
        data_iter: an iterable over batches (X, y).
        device: where `net` is, to which the batches are moved; None leaves them.

    Returns:
        The fraction of examples, from 0 to 1, whose class has the highest score.

    Raises:
        ValueError: there are no examples.

    >>> scores = torch.tensor([[2., 1.], [0., 3.], [1., 0.], [5., 4.]])
    >>> evaluate(nn.Identity(), [(scores, torch.tensor([0, 1, 1, 0]))])
    0.75
    """
    return _evaluate(net, net, data_iter, device)


def train(
    net,
    train_iter,
    test_iter,
    num_epochs,
    lr,
    device=None,
    on_step=None,
    on_epoch=None,
    compile=False,
):
    """Train a classifier with stochastic gradient descent and cross-entropy.

    Weights are first drawn by `init_xavier`. While it runs, a bar shows the epoch,
    the accuracies and the time left. At the end the last epoch's figures are printed.
    If the mean loss of an epoch is not finite, the run has diverged, and stops with a
    message. That is noticed at the end of the epoch, not at the step: looking at every
    loss would make a GPU wait.

    Args:
        net: maps a batch X to logits of shape (N, classes).
        train_iter, test_iter: iterables over batches (X, y).
        num_epochs: passes over `train_iter`, at least 1.
        lr: learning rate.
        device: where to train; `try_gpu()` if None.
        on_step: called with the number of updates made so far, first with 0, after
            the weights are drawn, then after every update. It may look at `net`.
        on_epoch: called with the `History` so far after every finished epoch.
        compile: whether to have `torch.compile` make one program of the net's forward
            and backward passes, on CUDA as a graph. That takes seconds in the first
            step, and in the first evaluation, and rounds differently. Batches of
            another size than the first go through `net` as it is. Where compiling
            fails, a line says why, and the run goes on without it.

    Returns:
        A `History`. If the run was stopped, it holds the epochs before that and
        `diverged` is true.

    Raises:
        ValueError: `num_epochs` is less than 1, or an iterable gives no example, as
            one that can be used only once does in the second epoch.
    """
    if num_epochs < 1:
        raise ValueError(f"num_epochs must be at least 1, got {num_epochs}")
    device = try_gpu() if device is None else torch.device(device)
    net.apply(init_xavier)
    net.to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    forward = predict = net
    if compile:
        torch.compiler.reset()  # it compiles nets of one kind only so many times
        mode = "reduce-overhead" if device.type == "cuda" else None
        forward, predict = Compiled(net, mode), Compiled(net, mode)
    history = History()
    steps = itertools.count()
    if on_step is not None:
        on_step(next(steps))
    bar = tqdm(range(num_epochs), unit="epoch", leave=False, file=sys.stderr)
    for epoch in bar:
        start = time.perf_counter()
        net.train()
        loss, acc, n = _train_epoch(
            forward, train_iter, optimizer, device, on_step, steps
        )
        seconds = time.perf_counter() - start
        if not math.isfinite(loss):
            history.diverged = True
            bar.close()
            print(
                f"stopped in epoch {epoch + 1} of {num_epochs}: the loss is {loss}; "
                f"a learning rate below {lr} may help"
            )
            return history
        history.train_loss.append(loss)
        history.train_acc.append(acc)
        if compile and forward.problem:
            predict = net  # the reason was told once
        history.test_acc.append(_evaluate(net, predict, test_iter, device))
        history.seconds.append(seconds)
        history.num_examples += n
        bar.set_postfix(train_acc=acc, test_acc=history.test_acc[-1])
        if on_epoch is not None:
            on_epoch(history)
    print(
        f"loss {history.train_loss[-1]:.3f}, train acc {history.train_acc[-1]:.3f}, "
        f"test acc {history.test_acc[-1]:.3f}\n"
        f"{history.examples_per_sec:.1f} examples/sec on {device}"
    )
    return history


def fit(net, X, y, lr, batch_size, steps, on_step=None):
    """Train `net` as it is on examples in memory, for a number of steps.

    This is `train` for short experiments: stochastic gradient descent on the
    cross-entropy, with mini-batches from shuffled passes over the examples.

    Args:
        net: maps a batch of examples to logits; its weights are not drawn anew.
        X, y: all examples and their classes, on the device of `net`.
        lr: learning rate.
        batch_size: examples in a mini-batch; the last one of a pass may be smaller.
        steps: number of updates.
        on_step: called after every update with the number of updates made.

    Returns:
        `net`, in training mode.

    Raises:
        ValueError: there are no examples.

    >>> X, y = torch.tensor([[-2.], [-1.], [1.], [2.]]), torch.tensor([0, 0, 1, 1])
    >>> net = fit(nn.Linear(1, 2), X, y, lr=1, batch_size=2, steps=50)
    >>> evaluate(net, [(X, y)])
    1.0
    """
    if len(X) == 0:
        raise ValueError("fit expects at least one example, got none")
    net.train()
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    step = 0
    while step < steps:
        for i in torch.randperm(len(X)).split(batch_size)[: steps - step]:
            _update(net, optimizer, X[i], y[i])
            step += 1
            if on_step is not None:
                on_step(step)
    return net


def _update(forward, optimizer, X, y):
    """One step of gradient descent on the cross-entropy; returns logits and loss."""
    optimizer.zero_grad()
    logits = forward(X)
    loss = nn.functional.cross_entropy(logits, y)
    loss.backward()
    optimizer.step()
    return logits, loss


@torch.no_grad()
def _evaluate(net, forward, data_iter, device):
    """The work of `evaluate`; `forward` is `net` itself, or `net` compiled."""
    modes = {module: module.training for module in net.modules()}
    net.eval()
    correct, total = 0, 0
    try:
        for X, y in data_iter:
            X, y = X.to(device), y.to(device)
            correct += (forward(X).argmax(dim=1) == y).sum()
            total += len(y)
    finally:
        for module, mode in modes.items():
            module.training = mode
    if total == 0:
        raise ValueError("evaluate expects at least one example, got none")
    return float(correct) / total


def _train_epoch(forward, train_iter, optimizer, device, on_step, steps):
    """One pass; returns mean loss, accuracy and the number of examples."""
    # The sums stay on the device: reading them each step would make it wait.
    sums = torch.zeros(2, device=device)
    n = 0
    for X, y in train_iter:
        X, y = X.to(device), y.to(device)
        logits, loss = _update(forward, optimizer, X, y)
        with torch.no_grad():
            hits = (logits.argmax(dim=1) == y).sum()
            sums += torch.stack([loss * len(y), hits.to(loss.dtype)])
        n += len(y)
        if on_step is not None:
            on_step(next(steps))
    if n == 0:
        raise ValueError("train_iter must give at least one example, but gave none")
    loss_sum, hits = sums.tolist()  # waits for the device, so timings are right
    return loss_sum / n, hits / n, n
