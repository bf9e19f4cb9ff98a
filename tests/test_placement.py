"""The record of LeNet with batch norm at several places."""

import pytest
import torch
from torch import nn

import placement
from fashion_mnist import load_standardized
from placement import NAMES, NO_BIAS, ORDERS, RATES, SEEDS
from records import read_record

RUNS = read_record("placement")["runs"]


def test_the_record_has_the_whole_grid():
    assert set(RUNS) == {
        f"{name}, lr={lr:g}, seed={seed}"
        for name in NAMES
        for lr in RATES
        for seed in SEEDS
    }
    for run in RUNS.values():
        assert list(run) == ["accuracy_running", "accuracy", "measured"]
        assert 0 <= run["accuracy"] <= 1 and 0 <= run["accuracy_running"] <= 1


def test_all_nets_of_a_seed_start_from_the_same_weights():
    nets = []
    for name in NAMES:
        torch.manual_seed(0)
        nets.append(placement.make(name))
    kinds = nn.Conv2d, nn.Linear
    first, *others = ([m for m in net if isinstance(m, kinds)] for net in nets)
    for layers in others:
        for a, b in zip(first, layers, strict=True):
            assert torch.equal(a.weight, b.weight)
            assert b.bias is None or torch.equal(a.bias, b.bias)
    biases = [sum(layer.bias is None for layer in layers) for layers in others]
    assert biases == [0, 0, 0, 4] and NAMES[-1] == NO_BIAS


@pytest.mark.parametrize(("name", "order"), ORDERS.items())
def test_a_name_says_the_order(name, order):
    kinds = {"norm": nn.BatchNorm2d, "activation": nn.Sigmoid, "pool": nn.MaxPool2d}
    assert name == ", ".join(order)
    assert [type(m) for m in placement.make(name)[1:4]] == [kinds[k] for k in order]


def test_a_run_is_repeatable_and_learns():
    X, y, X_test, y_test = load_standardized()
    test = [(X_test[:500], y_test[:500])]
    runs = [placement.run(NO_BIAS, 1, 0, X, y, test, steps=10) for _ in range(2)]
    assert runs[0] == runs[1]
    assert runs[0]["accuracy"] > 0.2
