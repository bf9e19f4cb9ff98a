"""The record of which deep nets train at which rates."""

import pytest

import depth_rates
from fashion_mnist import load_standardized
from records import read_record

RUNS = read_record("depth_rates")["runs"]


def test_the_record_has_the_whole_grid():
    assert set(RUNS) == {
        f"{name}, depth={depth}, seed={seed}"
        for name in depth_rates.NAMES
        for depth in depth_rates.DEPTHS
        for seed in depth_rates.SEEDS
    }
    for run in RUNS.values():
        for kind in ("accuracy", "accuracy_by_batches"):
            assert list(run[kind]) == [str(rate) for rate in depth_rates.RATES]
            assert all(a is None or 0 <= a <= 1 for a in run[kind].values())


@pytest.fixture(scope="module")
def data():
    X, y, X_test, y_test = load_standardized()
    return (X, y), list(zip(X_test.split(500), y_test.split(500), strict=True))


@pytest.mark.parametrize("name", ["residual + batch norm", "SkipInit"])
def test_a_part_of_the_record_is_measured_again(name, data):
    again = depth_rates.run(name, 5, 0.1, 0, *data)
    recorded = RUNS[f"{name}, depth=5, seed=0"]
    for kind, accuracy in zip(("accuracy", "accuracy_by_batches"), again, strict=True):
        # Rounding on another processor changes what 200 steps lead to, a little.
        assert accuracy == pytest.approx(recorded[kind]["0.1"], abs=0.03)


def test_without_batch_norm_both_accuracies_are_the_same():
    for key, run in RUNS.items():
        if "batch norm" not in key:
            assert run["accuracy"] == run["accuracy_by_batches"]


def test_a_run_that_diverges_has_no_accuracy(data):
    assert depth_rates.run("plain, He", 5, 10, 0, *data) == (None, None)
    assert RUNS["plain, He, depth=5, seed=0"]["accuracy"]["10"] is None
