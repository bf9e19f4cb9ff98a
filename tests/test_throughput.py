"""The measurement of speeds: what it compares and stores; no speed is judged."""

import sys
import types

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torchvision.datasets import FashionMNIST

import throughput
from bn import BatchNorm
from nets import lenet
from records import read_record
from seeds import set_seed
from throughput import (
    TextbookBatchNorm,
    VarMeanBatchNorm,
    compiled_norm,
    goals,
    layer_functions,
    lenet_by_pairs,
)

RUNS = read_record("throughput")["runs"]


def made_up(**lenet):
    """A run in which a copy takes 1 ms, and all else a few."""
    both = {"textbook": 40, "readable": 20, "closed form": 12, "framework": 10}
    layer = {name: {"forward": [ms / 4], "both": [ms]} for name, ms in both.items()}
    layer["readable, compiled"] = {"forward": [2.0], "both": [5.0, 100.0, 4.0]}
    layer["closed form, compiled"] = {"forward": [2.0], "both": [8.0]}
    layer["copy"] = {"once": [1.0]}
    return {
        "layer": {"256x6x24x24": layer, "64x64x32x32": layer},
        "lenet": {name: [speed] for name, speed in lenet.items()},
        "saved": {"readable": 3.0, "closed form": 1.0, "framework": 1.0},
        "epochs": {
            "seconds": {
                "D2L, from scratch": [8.0, 9.0, 20.0],
                "D2L, concise": [6.0],
                "ours, from scratch": [4.0],
                "ours, from scratch, compiled": [3.0],
                "ours, concise": [2.0],
                "ours, concise, compiled": [2.5],
            }
        },
    }


SPEEDS = {
    "readable": 6.0, "textbook": 5.0, "framework": 10.0, "readable, by var_mean": 5.5,
    "closed form": 8.0, "readable, net compiled": 12.0, "none": 99.0,
}  # fmt: skip


def test_results_are_ratios_of_medians_within_a_run():
    results = [row["result"] for row in goals(made_up(**SPEEDS))]
    assert results == [2, 1.25, 2, 1.25, 1.2, 1.2, 3, 3, 0.333, 5]


def test_what_was_not_measured_has_no_result():
    run = made_up(**SPEEDS)
    del run["epochs"]["seconds"]["D2L, concise"], run["layer"]["64x64x32x32"]
    results = [row["result"] for row in goals(run)]
    assert [i for i, result in enumerate(results) if result is None] == [2, 3, 7, 9]


@pytest.mark.parametrize("name", RUNS)
def test_the_record_has_goals_and_results_side_by_side(name):
    run = RUNS[name]
    assert run["goals"] == goals(run)
    assert all(row["result"] is not None for row in run["goals"])
    assert run["measured"].keys() >= {"date", "device", "threads", "torch"}


@pytest.mark.parametrize("name", RUNS)
def test_the_record_has_every_repetition(name):
    run = RUNS[name]
    layers = [*run["layer"].values(), *run["sweep"].values()]
    values = [v for layer in layers for passes in layer.values() for v in passes]
    assert values
    for layer in layers:
        for passes in layer.values():
            for seconds in passes.values():
                assert len(seconds) == run["repetitions"] and min(seconds) > 0
    for section in (run["lenet"], run["prediction"]):
        for speeds in section.values():
            assert len(speeds) == run["repetitions"]


def test_the_processor_is_in_the_record():
    assert "cpu" in RUNS


@pytest.mark.parametrize("shape", [(8, 3), (4, 3, 5, 5)])
def test_the_textbooks_layer_computes_batch_norm(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    ours = TextbookBatchNorm(3, len(shape))
    theirs = (nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d)(3)
    assert_close(ours(x), theirs(x))
    assert_close(ours.running[0].flatten(), theirs.running_mean)
    with torch.no_grad():  # its running variance is the biased one
        mean, var = ours.running
        assert_close(ours(x), (x - mean) / torch.sqrt(var + 1e-5))


@pytest.mark.parametrize("shape", [(8, 3), (4, 3, 5, 5)])
def test_by_var_mean_the_layer_is_the_same(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    layers = [kind(3, len(shape)) for kind in (VarMeanBatchNorm, BatchNorm)]
    for layer in layers:
        nn.init.constant_(layer.gamma, 2)
        nn.init.constant_(layer.beta, 1)
    assert_close(*[layer(x) for layer in layers])
    assert_close(*[layer.state_dict() for layer in layers])


def test_what_is_timed_is_the_forward_pass_and_both():
    x = torch.randn(4, 3, 5, 5, requires_grad=True)
    functions = layer_functions(BatchNorm, x)
    assert functions["forward"]().shape == x.shape
    shapes = [gradient.shape for gradient in functions["both"]()]
    assert shapes == [x.shape, (1, 3, 1, 1), (1, 3, 1, 1)]
    assert x.grad is None


def test_a_compiled_layer_keeps_its_names(monkeypatch):
    compiled = []
    monkeypatch.setattr(
        nn.Module, "compile", lambda self, **options: compiled.append(self)
    )
    layer = compiled_norm(BatchNorm)(3, 4)
    assert compiled == [layer]
    assert list(layer.state_dict()) == list(BatchNorm(3, 4).state_dict())


def test_lenet_by_pairs_is_lenet(monkeypatch):
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda self, **_: compiled.append(self))
    x = torch.rand(8, 1, 28, 28)
    set_seed(0)
    expected = lenet(BatchNorm)(x)
    set_seed(0)
    assert torch.equal(lenet_by_pairs(BatchNorm)(x), expected)
    assert [[type(layer) for layer in pair] for pair in compiled] == [
        [BatchNorm, nn.Sigmoid]
    ] * 4


def test_a_small_measurement_has_the_form_of_the_record():
    measured = throughput.measure_layer((4, 3, 2, 2), {"readable": BatchNorm}, 2, "cpu")
    assert {name: list(passes) for name, passes in measured.items()} == {
        "copy": ["once"],
        "readable": ["forward", "both"],
    }
    assert all(len(s) == 2 for passes in measured.values() for s in passes.values())


def test_the_peer_gets_the_books_data(monkeypatch, tmp_path):
    images = torch.arange(2 * 28 * 28).reshape(2, 28, 28).to(torch.uint8)
    labels = torch.tensor([3, 9])
    monkeypatch.setattr(throughput, "PEER", tmp_path / "d2l")
    monkeypatch.setattr(throughput, "load", lambda: (images, labels, images, labels))

    def load(batch_size):
        return [
            FashionMNIST("../data", train, download=True) for train in (True, False)
        ]

    for data in throughput.peer_data(
        types.SimpleNamespace(load_data_fashion_mnist=load)
    ):
        assert torch.equal(data.data, images) and torch.equal(data.targets, labels)


def test_a_peer_that_cannot_be_installed_is_left_out(monkeypatch, tmp_path):
    monkeypatch.setattr(throughput, "PEER", tmp_path)
    monkeypatch.setattr(throughput, "PEER_PACKAGE", "no such package")
    assert throughput.install_peer() is None
    assert str(tmp_path) not in sys.path
