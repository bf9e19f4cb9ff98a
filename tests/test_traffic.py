"""What a computation moves, as `code/traffic.py` counts it."""

import pytest
import torch
from torch import nn

from bn import BatchNorm
from traffic import traffic

X = torch.ones(64, 4, 5, 5)


def tensors(function):
    """The names of the calls that move a tensor of the size of X, and how many."""
    return [
        (name, size // X.nbytes) for name, size in traffic(function) if size >= X.nbytes
    ]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda: X + X, [("add", 3)]),
        (lambda: X.mean(), [("mean", 1)]),
        (lambda: X.clone().add_(X), [("clone", 2), ("add_", 3)]),
        (lambda: X.reshape(64, 100).t().unsqueeze(0).detach(), []),
        (lambda: torch.cat([X, X]), [("cat", 4)]),
    ],
)
def test_a_call_reads_its_inputs_and_writes_its_outputs(function, expected):
    assert tensors(function) == expected


def test_what_is_repeated_is_read_once():
    (name, size), *others = traffic(lambda: X + torch.ones(4, 1, 1).expand_as(X))[-1:]
    assert (name, size, others) == ("add", 2 * X.nbytes + 4 * 4, [])


def test_a_part_of_a_tensor_counts_as_that_part():
    assert traffic(lambda: X[:8] + 1) == [("add", X.nbytes // 4)]


def test_backward_passes_are_counted():
    x = X.clone().requires_grad_()
    assert tensors(lambda: x.mul(2).backward(X))[:2] == [("mul", 2), ("mul", 2)]


def test_the_readable_layer_moves_twelve_tensors_forward():
    x = torch.randn(X.shape)
    calls = tensors(lambda: BatchNorm(4, num_dims=4)(x))
    statistics = [("mean", 1), ("sub", 2), (calls[2][0], 2), ("mean", 1)]
    assert calls[2][0] in ("pow", "square")
    assert calls == [*statistics, ("div", 2), ("mul", 2), ("add", 2)]


def test_inside_the_frameworks_call_nothing_is_seen():
    [(_, moved)] = tensors(lambda: nn.BatchNorm2d(4)(X))
    assert moved == 2
