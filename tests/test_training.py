"""The training loop of `code/training.py`, on data that takes milliseconds."""

import copy
import math
import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset

from bn import BatchNorm
from training import History, evaluate, fit, init_he, init_xavier, train, try_gpu


def points(n, seed=0):
    """Points of the plane in two classes, on either side of an empty strip."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 2
    X = torch.randn(n, 2, generator=generator)
    X[:, 0] = (2 * y - 1) * (0.5 + X[:, 0].abs())
    return X, y


def batches(n=40, size=10, seed=0):
    X, y = points(n, seed)
    return list(zip(X.split(size), y.split(size), strict=True))


def make_net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(2, 8), BatchNorm(8, num_dims=2), nn.ReLU(), nn.Linear(8, 2)
    )


def test_training_learns_to_separate_two_classes():
    history = train(make_net(), batches(), batches(seed=1), 8, lr=0.5, device="cpu")
    assert history.train_acc[-1] == 1 and history.test_acc[-1] == 1
    assert history.train_loss[-1] < 0.1 < history.train_loss[0]
    assert not history.diverged


def test_a_run_is_summed_up_in_two_lines(capsys):
    history = train(make_net(), batches(), batches(seed=1), 2, lr=0.1, device="cpu")
    out = capsys.readouterr().out
    values = (history.train_loss[-1], history.train_acc[-1], history.test_acc[-1])
    first, second = out.splitlines()
    assert first == "loss {:.3f}, train acc {:.3f}, test acc {:.3f}".format(*values)
    assert re.fullmatch(r"\d+\.\d examples/sec on cpu", second)
    assert out.endswith("\n")


def test_the_history_has_one_entry_per_epoch():
    history = train(make_net(), batches(35), batches(), 3, lr=0.1, device="cpu")
    for name in ("train_loss", "train_acc", "test_acc", "seconds"):
        values = getattr(history, name)
        assert len(values) == 3, name
        assert all(isinstance(value, float) for value in values), name
    assert history.num_examples == 3 * 35


def test_losses_and_accuracies_are_means_over_examples_not_over_batches():
    net = nn.Sequential(nn.Linear(2, 2))
    history = train(net, batches(7, size=4), batches(9, size=5), 1, lr=0, device="cpu")
    X, y = points(7)
    assert history.train_loss[0] == pytest.approx(F.cross_entropy(net(X), y).item())
    assert history.train_acc[0] == pytest.approx(accuracy(net, X, y))
    assert history.test_acc[0] == pytest.approx(accuracy(net, *points(9)))


def accuracy(net, X, y):
    return (net(X).argmax(dim=1) == y).double().mean().item()


def test_one_update_is_a_step_of_gradient_descent():
    net = nn.Linear(2, 2)
    drawn = []

    def remember(step):
        if step == 0:
            drawn.append(copy.deepcopy(net))

    X, y = points(10)
    train(net, [(X, y)], [(X, y)], 1, lr=0.3, device="cpu", on_step=remember)
    start = drawn[0]
    F.cross_entropy(start(X), y).backward()
    for before, after in zip(start.parameters(), net.parameters(), strict=True):
        assert_close(after, before - 0.3 * before.grad)


def test_rates_are_examples_over_the_seconds_of_training():
    assert History(seconds=[1.0, 3.0], num_examples=8).examples_per_sec == 2
    assert History().examples_per_sec == 0


def test_a_run_that_diverges_at_once_says_so_and_stops(capsys):
    history = train(make_net(), batches(), batches(), 3, lr=1e38, device="cpu")
    out = capsys.readouterr().out
    pattern = (
        r"stopped in epoch 1 of 3: the loss is (nan|inf); "
        r"a learning rate below 1e\+38 may help\n"
    )
    assert re.fullmatch(pattern, out)
    assert history == History(diverged=True)
    assert history.examples_per_sec == 0


def test_a_run_that_diverges_later_keeps_the_epochs_before(capsys):
    net = make_net()

    def spoil(step):
        if step == 9:  # in the third epoch of four batches each
            nn.init.constant_(net[0].weight, math.nan)

    history = train(net, batches(), batches(), 5, lr=0.1, device="cpu", on_step=spoil)
    out = capsys.readouterr().out
    assert out == (
        "stopped in epoch 3 of 5: the loss is nan; a learning rate below 0.1 may help\n"
    )
    assert history.diverged
    assert len(history.train_loss) == len(history.test_acc) == 2
    assert all(math.isfinite(loss) for loss in history.train_loss)
    assert history.num_examples == 80


@pytest.mark.parametrize("num_epochs", [0, -1])
def test_a_run_has_at_least_one_epoch(num_epochs):
    net = make_net()
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(ValueError, match=f"at least 1, got {num_epochs}$"):
        train(net, batches(), batches(), num_epochs, lr=0.1, device="cpu")
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name]), name


@pytest.mark.parametrize(
    ("train_iter", "test_iter", "message"),
    [
        ([], batches(), "train_iter must give at least one example, but gave none"),
        (iter(batches()), batches(), "train_iter must give at least one"),  # epoch 2
        (batches(), [], "evaluate expects at least one example, got none"),
    ],
)
def test_training_needs_examples(train_iter, test_iter, message):
    with pytest.raises(ValueError, match=message):
        train(make_net(), train_iter, test_iter, 2, lr=0.1, device="cpu")


def test_fitting_and_evaluating_need_examples():
    X, y = points(0)
    with pytest.raises(ValueError, match="fit expects at least one example, got none"):
        fit(make_net(), X, y, lr=0.1, batch_size=2, steps=1)
    with pytest.raises(ValueError, match="evaluate expects at least one example"):
        evaluate(make_net(), [])


def test_on_step_is_called_with_the_number_of_updates():
    steps = []
    train(make_net(), batches(), batches(), 3, 0.1, "cpu", on_step=steps.append)
    assert steps == list(range(13))


def test_on_epoch_is_called_with_the_history_so_far():
    losses = []
    train(
        make_net(),
        batches(),
        batches(),
        3,
        0.1,
        "cpu",
        on_epoch=lambda history: losses.append(list(history.train_loss)),
    )
    assert [len(seen) for seen in losses] == [1, 2, 3]
    assert losses[0] == losses[2][:1]


def test_on_step_sees_the_net_after_each_update():
    net = make_net()
    weights, constructed = [], net[0].weight.clone()
    train(
        net,
        batches(),
        batches(),
        num_epochs=1,
        lr=0.1,
        device="cpu",
        on_step=lambda step: weights.append(net[0].weight.detach().clone()),
    )
    assert torch.equal(weights[-1], net[0].weight)
    for before, after in zip([constructed, *weights], weights, strict=False):
        assert not torch.equal(before, after)


class Unsized:
    """Batches of which nobody knows the number before the end."""

    def __iter__(self):
        yield from batches()


def test_batches_need_no_length():
    steps = []
    train(make_net(), Unsized(), Unsized(), 2, 0.1, "cpu", on_step=steps.append)
    assert steps == list(range(9))


def test_the_same_seed_gives_the_same_run():
    runs = []
    for seed in (0, 0, 1):
        net = make_net(seed)
        history = train(net, batches(), batches(), 2, lr=0.1, device="cpu")
        runs.append((history.train_loss, net.state_dict()))
    (losses, state), (same_losses, same_state), (other_losses, _) = runs
    assert losses == same_losses != other_losses
    for name, tensor in state.items():
        assert torch.equal(tensor, same_state[name]), name


def test_a_data_loader_of_torch_serves_as_batches():
    torch.manual_seed(0)
    train_iter = DataLoader(TensorDataset(*points(40)), batch_size=16, shuffle=True)
    test_iter = DataLoader(TensorDataset(*points(30, seed=1)), batch_size=16)
    history = train(make_net(), train_iter, test_iter, 8, lr=0.5, device="cpu")
    assert history.test_acc[-1] == 1
    assert history.num_examples == 8 * 40


def test_training_chooses_the_device_itself(monkeypatch, capsys):
    monkeypatch.setattr("training.try_gpu", lambda: torch.device("cpu"))
    train(make_net(), batches(), batches(), num_epochs=1, lr=0.1)
    assert capsys.readouterr().out.endswith("on cpu\n")


def test_training_runs_in_training_mode_and_evaluation_does_not():
    net, modes = make_net(), []
    net.register_forward_pre_hook(
        lambda module, inputs: modes.append((module.training, torch.is_grad_enabled()))
    )
    train(net.eval(), batches(20), batches(10), num_epochs=2, lr=0.1, device="cpu")
    assert modes == 2 * [(True, True), (True, True), (False, False)]
    assert net[1].num_batches_tracked.item() == 4


def test_compiling_is_for_training_and_for_evaluation(monkeypatch):
    made = []

    class Fake:
        problem = None

        def __init__(self, module, mode):
            made.append(self)
            self.module, self.mode, self.calls = module, mode, []

        def __call__(self, X):
            self.calls.append((self.module.training, torch.is_grad_enabled()))
            return self.module(X)

    monkeypatch.setattr("training.Compiled", Fake)
    net = make_net()
    train(net, batches(20), batches(10), 2, 0.1, "cpu", compile=True)
    training, evaluation = made
    assert training.calls == 4 * [(True, True)]
    assert evaluation.calls == 2 * [(False, False)]
    assert all(fake.module is net and fake.mode is None for fake in made)
    made.clear()
    Fake.problem = "no compiler"
    train(net, batches(20), batches(10), 2, 0.1, "cpu", compile=True)
    assert [len(fake.calls) for fake in made] == [4, 0]  # nobody is told twice


# --- evaluate --------------------------------------------------------------------


def test_accuracy_counts_examples_over_all_batches():
    logits = torch.tensor([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0], [5.0, 4.0]])
    y = torch.tensor([0, 1, 1, 0])
    data = list(zip(logits.split(3), y.split(3), strict=True))
    assert evaluate(nn.Identity(), data) == 0.75
    assert isinstance(evaluate(nn.Identity(), data, "cpu"), float)


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_restores_the_mode_of_every_part(training):
    net = make_net().train(training)
    net[1].train(not training)  # as a frozen batch norm is, in a net that trains
    before = [module.training for module in net.modules()]
    running_mean = net[1].running_mean.clone()
    evaluate(net, batches())
    assert [module.training for module in net.modules()] == before
    assert torch.equal(net[1].running_mean, running_mean)


def test_evaluation_restores_the_modes_after_an_error():
    net = make_net()
    net[1].eval()
    with pytest.raises(RuntimeError, match="shapes"):
        evaluate(net, [(torch.ones(4, 5), torch.zeros(4))])
    assert net.training and not net[1].training


# --- fit -------------------------------------------------------------------------


def test_fitting_trains_the_net_as_it_is():
    net = make_net().eval()
    weight = net[0].weight.detach().clone()
    assert fit(net, *points(40), lr=0, batch_size=10, steps=1) is net
    assert torch.equal(net[0].weight, weight)
    assert net.training
    fit(net, *points(40), lr=0.5, batch_size=10, steps=40)
    assert evaluate(net, batches(seed=1)) == 1
    assert net[1].num_batches_tracked.item() == 41


def test_fitting_takes_steps_over_shuffled_passes():
    net, sizes, seen, steps = nn.Linear(1, 2), [], [], []

    def remember(module, inputs):
        sizes.append(len(inputs[0]))
        seen.extend(inputs[0].flatten().tolist())

    net.register_forward_pre_hook(remember)
    X, y = torch.arange(7.0).unsqueeze(1), torch.zeros(7, dtype=torch.int64)
    torch.manual_seed(0)
    fit(net, X, y, lr=0, batch_size=3, steps=8, on_step=steps.append)
    assert sizes == [3, 3, 1, 3, 3, 1, 3, 3]
    assert steps == [1, 2, 3, 4, 5, 6, 7, 8]
    assert sorted(seen[:7]) == sorted(seen[7:14]) == X.flatten().tolist()
    assert X.flatten().tolist() != seen[:7] != seen[7:14]


def test_steps_of_fitting_are_steps_of_gradient_descent():
    torch.manual_seed(0)
    net = nn.Linear(2, 2)
    expected, (X, y) = copy.deepcopy(net), points(10)
    fit(net, X, y, lr=0.3, batch_size=10, steps=2)
    for _ in range(2):
        loss = F.cross_entropy(expected(X), y)
        gradients = torch.autograd.grad(loss, list(expected.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(
                expected.parameters(), gradients, strict=True
            ):
                parameter -= 0.3 * gradient
    for ours, theirs in zip(net.parameters(), expected.parameters(), strict=True):
        assert_close(ours, theirs)


# --- Initial weights -------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "fan_in", "fan_out"),
    [
        (nn.Linear(300, 100), 300, 100),
        (nn.Conv1d(8, 40, 5), 8 * 5, 40 * 5),
        (nn.Conv2d(8, 40, 5), 8 * 25, 40 * 25),
        (nn.Conv3d(8, 24, 3), 8 * 27, 24 * 27),
    ],
)
def test_weights_are_uniform_within_xaviers_bounds(layer, fan_in, fan_out):
    torch.manual_seed(0)
    bias = layer.bias.clone()
    init_xavier(layer)
    bound = math.sqrt(6 / (fan_in + fan_out))
    assert 0.98 * bound < layer.weight.abs().max() <= bound
    assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert torch.equal(layer.bias, bias)


@pytest.mark.parametrize(
    ("layer", "fan_in"),
    [
        (nn.Linear(300, 100), 300),
        (nn.Conv1d(8, 400, 5), 8 * 5),
        (nn.Conv2d(8, 80, 5, bias=False), 8 * 25),
        (nn.Conv3d(8, 80, 3), 8 * 27),
    ],
)
def test_weights_are_normal_with_hes_variance(layer, fan_in):
    torch.manual_seed(0)
    init_he(layer)
    assert layer.weight.var().item() == pytest.approx(2 / fan_in, rel=0.05)
    assert layer.weight.abs().max() > 3 * math.sqrt(2 / fan_in)  # not uniform
    assert layer.bias is None or layer.bias.eq(0).all()


@pytest.mark.parametrize("init", [init_xavier, init_he])
def test_layers_of_other_kinds_keep_their_parameters(init):
    layer = BatchNorm(3, num_dims=2)
    nn.init.constant_(layer.beta, 2)
    init(layer)
    assert layer.gamma.eq(1).all() and layer.beta.eq(2).all()


# --- try_gpu ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["cuda", "mps", "xpu"])
def test_the_accelerator_is_chosen_where_there_is_one(kind, monkeypatch):
    monkeypatch.delenv("TRY_GPU", raising=False)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(
        torch.accelerator, "current_accelerator", lambda: torch.device(kind)
    )
    assert try_gpu() == torch.device(kind, 0)
    monkeypatch.setenv("TRY_GPU", "0")
    assert try_gpu() == torch.device("cpu")


def test_the_processor_is_chosen_where_there_is_no_accelerator(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert try_gpu() == torch.device("cpu")
