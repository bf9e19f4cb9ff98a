"""The record of LeNet at batch sizes from 2 to 128."""

import pytest
import torch
from torch import nn

import batch_sizes
from batch_sizes import NORMS, RATES, SEEDS
from fashion_mnist import load_standardized
from records import read_record

RUNS = read_record("batch_sizes")["runs"]
CELLS = [(name, size) for name in NORMS for size in RATES]


def test_the_record_has_the_whole_grid():
    searched = {f"{n}, batch={s}, lr={lr:g}" for n, s in CELLS for lr in RATES[s]}
    tested = {f"{n}, batch={s}, seed={seed}" for n, s in CELLS for seed in SEEDS}
    assert set(RUNS) == searched | tested
    for key, run in RUNS.items():
        accuracies = [v for k, v in run.items() if k not in ("measured", "lr")]
        expected = 1 + (key in tested and key.startswith("batch, "))
        assert len(accuracies) == expected
        assert all(0 <= accuracy <= 1 for accuracy in accuracies)
    assert batch_sizes.SEARCH not in SEEDS


@pytest.mark.parametrize(("name", "size"), CELLS)
def test_the_rate_is_the_best_of_those_that_were_searched(name, size):
    found = {
        lr: RUNS[f"{name}, batch={size}, lr={lr:g}"]["held_out"] for lr in RATES[size]
    }
    rates = {RUNS[f"{name}, batch={size}, seed={seed}"]["lr"] for seed in SEEDS}
    assert rates == {max(found, key=found.get)}
    assert min(found) < rates.pop() < max(found)  # no edge of what was tried


def test_every_batch_size_sees_as_many_examples(monkeypatch):
    seen = []

    def fit(net, X, y, lr, size, steps):
        seen.append(size * steps)
        return net

    monkeypatch.setattr(batch_sizes, "fit", fit)
    X, y = torch.zeros(4, 1, 28, 28), torch.zeros(4).long()
    for size in RATES:
        batch_sizes.trained(None, size, 0.1, 0, X, y)
    assert max(seen) == batch_sizes.EXAMPLES
    assert min(seen) > batch_sizes.EXAMPLES - max(RATES)


@pytest.mark.parametrize("name", NORMS)
def test_a_part_of_the_record_is_measured_again(name):
    X, y, X_test, y_test = load_standardized()
    test = list(zip(X_test.split(500), y_test.split(500), strict=True))
    recorded = RUNS[f"{name}, batch=128, seed=1"]
    again = batch_sizes.run(name, 128, recorded["lr"], 1, X, y, test)
    # Rounding on another processor changes what the steps lead to, a little.
    assert again["accuracy"] == pytest.approx(recorded["accuracy"], abs=0.03)


def test_only_a_net_with_batch_norm_is_renewed():
    X = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    net = batch_sizes.lenet(NORMS["batch"])
    mean = net[1].running_mean.clone()
    assert batch_sizes.renewed("none", net, X) is net
    assert torch.equal(net[1].running_mean, mean)
    batch_sizes.renewed("batch", net, X)
    assert not torch.equal(net[1].running_mean, mean)
    assert isinstance(net[1], nn.BatchNorm2d)
