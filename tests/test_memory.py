"""Bytes that autograd keeps, `code/memory.py`."""

import torch
from torch import nn

from memory import bytes_saved

SIZE = 1000 * 4


def leaf():
    return torch.ones(1000, requires_grad=True)


def test_each_tensor_that_is_kept_counts():
    assert bytes_saved(lambda x: x.exp().exp(), leaf()) == 2 * SIZE
    assert bytes_saved(lambda a, b: a * b, leaf(), leaf()) == 2 * SIZE


def test_a_storage_counts_once_and_as_a_whole():
    assert bytes_saved(lambda x: x * x, leaf()) == SIZE
    assert bytes_saved(lambda x: x[::2] * x[1::2], leaf()) == SIZE


def test_without_gradients_nothing_is_kept():
    assert bytes_saved(torch.exp, leaf().detach()) == 0
    with torch.no_grad():
        assert bytes_saved(torch.exp, leaf()) == 0


def test_a_module_counts_with_its_parameters():
    linear, x = nn.Linear(10, 20, bias=False), torch.ones(5, 10)
    assert bytes_saved(linear, x) == 5 * 10 * 4
    assert bytes_saved(linear, x.requires_grad_()) == 5 * 10 * 4 + 10 * 20 * 4


def test_what_is_freed_and_allocated_anew_counts_twice():
    def function(x):
        x.exp()  # its graph is freed at once
        return x.exp()

    assert bytes_saved(function, leaf()) == 2 * SIZE


def test_the_gradient_is_not_disturbed():
    x, gradients = leaf(), []
    bytes_saved(lambda x: gradients.append(torch.autograd.grad(x.exp().sum(), x)), x)
    assert torch.equal(gradients[0][0], x.detach().exp())
