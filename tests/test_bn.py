"""The layer of `code/bn.py`: rebuilt in torch and compared, then worked by hand."""

import copy
import inspect
import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import update_bn
from torch.testing import assert_close

import bn
from bn import (
    BatchNorm,
    ClosedFormBatchNorm,
    Normalize,
    batch_norm,
    closed_form_batch_norm,
    from_torch,
    recalibrate,
    to_torch,
)
from conformance import (
    BFLOAT16,
    CHECKS,
    FLOAT32,
    SHAPES,
    TOLERANCES,
    TRACING,
    deviation,
    run,
)
from memory import bytes_saved
from nets import lenet

ALL_DIMS = (2, 3, 4, 5)
EVERY_DIM = pytest.mark.parametrize("num_dims", ALL_DIMS)
KINDS = BatchNorm, ClosedFormBatchNorm
FOUR = torch.tensor([[1.0], [7.0], [9.0], [15.0]])  # mean 8, variance 25


def random(*shape, seed=0, dtype=torch.float64):
    """Normally distributed values, the same on every call."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


@pytest.fixture(params=KINDS, ids=["autograd", "closed-form"])
def kind(request):
    """The class of the layer; `kind.normalize` is its function."""
    return request.param


def statistics(layer):
    """Copies of the buffers, the counter included."""
    return {name: buffer.clone() for name, buffer in layer.named_buffers()}


def assert_same_statistics(layer, before):
    assert before.keys() == dict(layer.named_buffers()).keys()
    for name, buffer in layer.named_buffers():
        assert torch.equal(buffer, before[name]), name


# --- Against torch ---------------------------------------------------------------


@EVERY_DIM
@pytest.mark.parametrize("name", [*CHECKS, *TRACING])
def test_the_layer_agrees_with_torch(kind, name, num_dims):
    check = {**CHECKS, **TRACING}[name]
    assert check(num_dims, kind) <= TOLERANCES[name]


def test_run_returns_every_deviation_by_name():
    deviations = run(2)
    assert list(deviations) == list(CHECKS)
    assert all(0 <= value <= TOLERANCES[name] for name, value in deviations.items())
    only = {"output, training mode": CHECKS["output, training mode"]}
    assert list(run(2, only)) == list(only)


def test_the_deviation_is_relative_above_one_and_absolute_below():
    assert deviation(torch.tensor([9.0]), torch.tensor([10.0])) == 0.1
    assert deviation(torch.tensor([0.25]), torch.tensor([0.5])) == 0.25
    pair = [torch.tensor(1.0), "name"], (torch.tensor(1.5), "name")
    assert deviation(*pair) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (torch.ones(2), torch.ones(2, 1)),
        (torch.ones(2), torch.ones(2).double()),
        (torch.tensor([math.nan]), torch.ones(1)),
        (torch.tensor([math.nan]), torch.tensor([math.nan])),
        ("gamma", "weight"),
        ([True], [False]),
    ],
)
def test_what_is_not_comparable_deviates_without_bound(ours, theirs):
    assert deviation(ours, theirs) == math.inf


def test_a_missing_result_is_a_mismatch():
    with pytest.raises(ValueError, match="longer"):
        deviation([1], [1, 1])


def replaced(old, new):
    """`batch_norm` with one piece of its source replaced."""
    source = inspect.getsource(batch_norm)
    assert source.count(old) == 1, f"{old!r} is not in batch_norm once"
    namespace = {"torch": torch, "_all_but_channels": bn._all_but_channels}
    exec(source.replace(old, new), namespace)
    return namespace["batch_norm"]


@EVERY_DIM
@pytest.mark.parametrize(
    ("old", "new"),
    [
        # normalize by the unbiased variance
        ("z.square().mean(axes, keepdim=True)", "z.var(axes, keepdim=True)"),
        ("var * n / (n - 1)", "var"),  # accumulate the biased one
        ("_all_but_channels(z)", "_all_but_channels(z)[1:]"),  # the wrong axes
        ("momentum * (mean - running_mean)", "(1 - momentum) * (mean - running_mean)"),
        ("torch.sqrt(var + eps)", "(torch.sqrt(var) + eps)"),
        ("z = z - mean", "z = z + mean"),
        ("z - running_mean", "z + running_mean"),
        ("z = z + beta", "z = z - beta"),
    ],
)
def test_the_checks_notice_a_wrong_formula(old, new, num_dims, monkeypatch):
    monkeypatch.setattr(BatchNorm, "normalize", staticmethod(replaced(old, new)))
    failed = []
    for name, check in CHECKS.items():
        try:
            if check(num_dims) > TOLERANCES[name]:
                failed.append(name)
        except (RuntimeError, ValueError) as error:  # shapes that do not fit
            failed.append(f"{name}: {error}")
    assert failed


@EVERY_DIM
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("tracked", [True, False])
def test_the_function_agrees_with_torchs(kind, num_dims, training, affine, tracked):
    x = 2 + 3 * random(*SHAPES[num_dims])
    shape = (1, 3) + (1,) * (num_dims - 2)
    vectors = [random(3, seed=seed).abs() + 0.5 for seed in range(4)]
    mean, var, gamma, beta = vectors
    if not tracked:
        mean = var = None
    if not affine:
        gamma = beta = None
    copies = [None if v is None else v.clone() for v in (mean, var)]
    ours = [
        None if v is None else v.clone().reshape(shape)
        for v in (mean, var, gamma, beta)
    ]
    y = kind.normalize(x, *ours, training=training, momentum=0.3, eps=0.01)
    expected = F.batch_norm(
        x, *copies, gamma, beta, training or not tracked, momentum=0.3, eps=0.01
    )
    assert_close(y, expected, rtol=0, atol=1e-13)
    for statistic, copied, start in zip(ours[:2], copies, (mean, var), strict=True):
        if tracked:
            assert_close(statistic.flatten(), copied, rtol=0, atol=1e-13)
            assert torch.equal(statistic.flatten(), start) != training


def test_the_defaults_are_torchs():
    ours = inspect.signature(BatchNorm).parameters
    theirs = inspect.signature(nn.BatchNorm2d).parameters
    for name in ("eps", "momentum", "affine", "track_running_stats"):
        assert ours[name].default == theirs[name].default


# --- Worked by hand --------------------------------------------------------------


def test_a_batch_of_four_is_normalized_as_by_hand(kind):
    y = kind.normalize(FOUR, eps=0)
    assert_close(y.flatten(), torch.tensor([-1.4, -0.2, 0.2, 1.4]))


def test_gamma_and_beta_scale_and_shift_the_batch_of_four(kind):
    y = kind.normalize(FOUR, gamma=torch.tensor([[10.0]]), beta=torch.tensor([[3.0]]))
    assert_close(y.flatten(), torch.tensor([-11.0, 1.0, 5.0, 17.0]), rtol=0, atol=1e-4)


def test_the_first_batch_moves_the_statistics_by_a_tenth(kind):
    layer = kind(1, num_dims=2)
    layer(FOUR)
    assert layer.running_mean.item() == pytest.approx(0.8)  # 0.9 * 0 + 0.1 * 8
    assert layer.running_var.item() == pytest.approx(0.9 + 0.1 * 100 / 3)  # 4.2333
    assert layer.num_batches_tracked.item() == 1


def test_momentum_is_the_weight_of_the_newest_batch(kind):
    for momentum, mean in ((0, 0.0), (0.25, 2.0), (1, 8.0)):
        layer = kind(1, num_dims=2, momentum=momentum)
        layer(FOUR)
        assert layer.running_mean.item() == mean


def test_without_momentum_every_batch_has_the_same_weight(kind):
    layer = kind(1, num_dims=2, momentum=None)
    for shift in (0, 1, 5):
        layer(FOUR + shift)
    assert layer.running_mean.item() == pytest.approx(8 + 2)
    assert layer.running_var.item() == pytest.approx(100 / 3)


def test_evaluation_uses_the_running_statistics_for_one_example(kind):
    layer = kind(1, num_dims=2, eps=0)
    layer.running_mean.fill_(8)
    layer.running_var.fill_(25)
    assert_close(layer.eval()(torch.tensor([[18.0]])), torch.tensor([[2.0]]))


def test_eps_is_added_to_the_variance_inside_the_root(kind):
    y = kind.normalize(FOUR, eps=11.0)  # sqrt(25 + 11) = 6
    assert_close(y.flatten(), torch.tensor([-7.0, -1.0, 1.0, 7.0]) / 6)


def test_a_constant_channel_gives_beta():
    x = torch.full((4, 2), 7.0)
    for kind, limit in ((BatchNorm, 0), (ClosedFormBatchNorm, 1e-3)):
        layer = kind(2, num_dims=2)
        nn.init.constant_(layer.beta, 3)
        # The closed form adds 7 / sqrt(eps), 2214, and takes it away again.
        assert_close(layer(x), torch.full((4, 2), 3.0), rtol=0, atol=limit)


@EVERY_DIM
def test_parameters_and_statistics_are_shaped_to_broadcast(num_dims):
    layer = BatchNorm(3, num_dims)
    shape = (1, 3) + (1,) * (num_dims - 2)
    for name in ("gamma", "beta", "running_mean", "running_var"):
        assert getattr(layer, name).shape == shape, name
    assert layer(random(*SHAPES[num_dims]).float()).shape == SHAPES[num_dims]


def test_the_layer_says_how_it_was_made():
    assert repr(BatchNorm(6, 4, momentum=None)) == (
        "BatchNorm(6, num_dims=4, eps=1e-05, momentum=None, affine=True, "
        "track_running_stats=True)"
    )


# --- Derivatives -----------------------------------------------------------------


@EVERY_DIM
@pytest.mark.parametrize("training", [True, False])
def test_first_and_second_derivatives_agree_with_finite_differences(
    kind, num_dims, training
):
    shape = {2: (4, 2), 3: (3, 2, 2), 4: (2, 2, 2, 2), 5: (2, 2, 1, 2, 2)}[num_dims]
    layer = kind(2, num_dims).double().train(training)
    parameters = dict(layer.named_parameters())

    def function(x, gamma, beta):
        with torch.no_grad():  # the statistics are where they were for every point
            layer.reset_running_stats()
        values = {"gamma": gamma, "beta": beta}
        return torch.func.functional_call(layer, values, x)

    x = random(*shape)
    gamma = 1 + 0.3 * random(*parameters["gamma"].shape, seed=1)
    beta = random(*parameters["beta"].shape, seed=2)
    inputs = [tensor.requires_grad_() for tensor in (x, gamma, beta)]
    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs)


def test_gradients_through_evaluation_survive_a_later_training_step(kind):
    layer = kind(1, num_dims=2, eps=0)
    layer.running_var.fill_(4)
    x = FOUR.clone().requires_grad_()
    y = layer.eval()(x)
    layer.train()(FOUR)  # moves the running variance
    y.sum().backward()
    assert_close(x.grad, torch.full((4, 1), 0.5))


# --- The closed form of the gradient ----------------------------------------------


def replaced_class(old, new):
    """`Normalize` with one piece of its source replaced."""
    source = inspect.getsource(Normalize)
    assert source.count(old) == 1, f"{old!r} is not in Normalize once"
    namespace = dict(vars(bn))
    exec(source.replace(old, new), namespace)
    return namespace["Normalize"]


@EVERY_DIM
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("-scale * dbeta / m", "0 * dbeta"),  # nothing through the mean
        ("-scale * inv_std * dgamma / m", "0 * dgamma"),  # nothing through the variance
        ("-scale * inv_std * dgamma / m", "-scale * inv_std * dgamma / (m - 1)"),
        ("- mean * dbeta", ""),  # x in place of x - mean
        ("dx = scale * g", "dx = g"),
        ("if ctx.of_batch:", "if True:"),  # evaluation as training
        ("and torch.is_grad_enabled()", "and False"),  # no second derivatives
    ],
)
def test_the_checks_notice_a_wrong_gradient(old, new, num_dims, monkeypatch):
    monkeypatch.setattr(bn, "Normalize", replaced_class(old, new))
    names = [name for name in CHECKS if "gradient" in name or "derivative" in name]
    checks = {name: CHECKS[name] for name in names}
    deviations = run(num_dims, checks, ClosedFormBatchNorm)
    assert any(value > TOLERANCES[name] for name, value in deviations.items())


@EVERY_DIM
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_gradients_go_where_they_are_needed(num_dims, training, affine):
    shape = (1, 3) + (1,) * (num_dims - 2)
    x, dy = 2 + 3 * random(*SHAPES[num_dims]), random(*SHAPES[num_dims], seed=1)
    running = [random(*shape, seed=seed).abs() + 0.5 for seed in (2, 3)]
    gamma, beta = (random(*shape, seed=seed) for seed in (4, 5))
    inputs = (x, gamma, beta) if affine else (x, None, None)
    for needed in itertools.product([True, False], repeat=3 if affine else 1):
        gradients = []
        for function in (batch_norm, closed_form_batch_norm):
            leaves = [None if v is None else v.clone() for v in inputs]
            for leaf, need in zip(leaves, needed, strict=False):
                leaf.requires_grad_(need)
            y = function(leaves[0], *map(torch.clone, running), *leaves[1:], training)
            assert y.requires_grad == any(needed)
            if any(needed):
                y.backward(dy)
            gradients.append([None if v is None else v.grad for v in leaves])
        for ours, theirs, need in zip(*gradients, needed, strict=False):
            assert (ours is not None) == (theirs is not None) == need
            if need:
                assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_only_the_input_and_a_few_numbers_are_kept():
    x = random(16, 3, 8, 8).float().requires_grad_()
    size = x.untyped_storage().nbytes()
    kept = {kind: bytes_saved(kind(3, num_dims=4), x) for kind in KINDS}
    assert kept[ClosedFormBatchNorm] == size + 3 * 3 * 4  # gamma, mean, 1 / std
    assert kept[BatchNorm] >= 2 * size


def test_nothing_large_is_kept_where_constants_are_enough():
    layer = ClosedFormBatchNorm(3, num_dims=4).eval().requires_grad_(False)
    x = random(16, 3, 8, 8).float().requires_grad_()
    assert bytes_saved(layer, x) == 3 * 3 * 4
    layer.beta.requires_grad_()
    assert bytes_saved(layer, x) == 3 * 3 * 4


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_gradient_in_half_precision_is_computed_in_single(dtype):
    x, dy = 2 + 3 * random(64, 3, 4, 4, dtype=dtype), random(64, 3, 4, 4, dtype=dtype)
    gradients = []
    for kind, cast in ((ClosedFormBatchNorm, dtype), (BatchNorm, torch.float64)):
        layer, z = kind(3, num_dims=4), x.to(cast, copy=True).requires_grad_()
        if cast == torch.float64:
            layer.double()
        layer(z).backward(dy.to(cast))
        gradients.append([z.grad, layer.gamma.grad, layer.beta.grad])
    (dx, *parameters), expected = gradients
    assert dx.dtype == dtype and parameters[0].dtype == torch.float32
    assert deviation(dx.double(), expected[0]) <= torch.finfo(dtype).eps
    for ours, theirs in zip(parameters, expected[1:], strict=True):
        assert deviation(ours.double(), theirs) <= FLOAT32


def test_autocast_does_not_reach_the_gradient(kind):
    x = (2 + 3 * random(64, 3)).float()
    gradients = []
    for enabled in (True, False):
        layer, z = kind(3, num_dims=2), x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            layer(z).pow(3).sum().backward()
        gradients.append([z.grad, layer.gamma.grad, layer.beta.grad])
    assert deviation(*gradients) == 0


def test_the_gradient_far_from_zero_is_as_good_as_torchs(kind):
    x, dy = random(256, 3) + 1e4, 1 + random(256, 3, seed=1)
    x = x.float().double()  # what single precision makes of it
    layers = [BatchNorm(3, 2).double(), kind(3, 2), nn.BatchNorm1d(3)]
    gradients = []
    for layer in layers:
        z = x.to(layer.running_var.dtype, copy=True).requires_grad_()
        layer(z).backward(dy.to(z.dtype))
        gradients.append(z.grad.double())
    exact, ours, theirs = gradients
    assert deviation(ours, exact) <= 2 * deviation(theirs, exact)


# --- Defects of other layers that this one must not have --------------------------


def test_the_mode_is_the_modules_and_not_autograds(kind):
    layer = kind(1, num_dims=2)
    before = statistics(layer)
    x = FOUR.clone().requires_grad_()
    y = layer.eval()(x)
    assert y.requires_grad
    assert_close(y, FOUR, rtol=1e-4, atol=0)  # mean 0 and variance 1 were used
    assert_same_statistics(layer, before)
    with torch.no_grad():
        y = layer.train()(FOUR)
    assert y.mean().item() == pytest.approx(0, abs=1e-6)
    assert layer.running_mean.item() == pytest.approx(0.8)


def test_a_reloaded_layer_predicts_the_same(kind):
    layer = kind(3, num_dims=2)
    for seed in range(5):
        layer(5 + random(8, 3, seed=seed).float())
    state = layer.state_dict()
    names = ["gamma", "beta", "running_mean", "running_var", "num_batches_tracked"]
    assert list(state) == names
    reloaded = kind(3, num_dims=2)
    reloaded.load_state_dict(state)
    x = random(1, 3).float()
    assert torch.equal(layer.eval()(x), reloaded.eval()(x))
    assert not torch.equal(kind(3, num_dims=2).eval()(x), reloaded(x))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_a_change_of_dtype_reaches_all_but_the_counter(kind, dtype):
    layer = kind(3, num_dims=2).to(dtype)
    kept = layer.state_dict()
    assert kept.pop("num_batches_tracked").dtype == torch.int64
    assert {tensor.dtype for tensor in kept.values()} == {dtype}
    assert layer(random(8, 3, dtype=dtype)).dtype == dtype


def test_a_change_of_device_reaches_everything(kind):
    layer = kind(3, num_dims=2).to("meta")
    assert {tensor.device.type for tensor in layer.state_dict().values()} == {"meta"}


def test_a_hundred_steps_leave_no_graph_behind(kind):
    layer = kind(3, num_dims=4)
    buffers = dict(layer.named_buffers())
    for seed in range(100):
        layer(random(2, 3, 2, 2, seed=seed).float().requires_grad_())
    for name, buffer in layer.named_buffers():
        assert buffer is buffers[name], f"{name} is not updated in place"
        assert buffer.grad_fn is None and not buffer.requires_grad, name
    assert_same_statistics(copy.deepcopy(layer), statistics(layer))
    assert layer.num_batches_tracked.item() == 100


def test_the_running_variance_is_unbiased_and_the_normalization_is_not(kind):
    x = random(16, 1)
    layer = kind(1, num_dims=2, eps=0, momentum=1).double()
    y = layer(x)
    assert y.var(correction=0).item() == pytest.approx(1, abs=1e-12)
    assert layer.running_var.item() == pytest.approx(x.var(correction=1).item())


def test_the_variance_survives_a_mean_of_ten_thousand(kind):
    x = random(256, 1)
    layer = kind(1, num_dims=2, momentum=1)
    y = layer((x + 1e4).float())
    assert layer.running_var.item() == pytest.approx(x.var().item(), rel=1e-3)
    assert y.std(correction=0).item() == pytest.approx(1, rel=1e-3)


def test_a_reset_returns_the_layer_to_its_first_state():
    layer = BatchNorm(3, num_dims=2)
    first = copy.deepcopy(layer.state_dict())
    layer(5 + random(8, 3).float())
    layer.reset_running_stats()
    assert_same_statistics(layer, statistics(BatchNorm(3, num_dims=2)))
    layer(5 + random(8, 3).float())
    nn.init.constant_(layer.gamma, 7)
    nn.init.constant_(layer.beta, 7)
    layer.reset_parameters()
    for name, tensor in layer.state_dict().items():
        assert torch.equal(tensor, first[name]), name


def test_a_reset_keeps_what_the_layer_was_told_not_to_have():
    layer = BatchNorm(3, num_dims=2, affine=False, track_running_stats=False)
    layer.reset_parameters()
    assert layer.state_dict() == {}


@EVERY_DIM
def test_channels_are_normalized_apart_from_each_other(kind, num_dims):
    x = random(*SHAPES[num_dims])
    y = kind.normalize(x)
    z = x.clone()
    z[:, 2] = 100 * z[:, 2] ** 2
    assert torch.equal(kind.normalize(z)[:, :2], y[:, :2])
    assert not torch.equal(kind.normalize(z)[:, 2], y[:, 2])


def test_frozen_parameters_do_not_freeze_the_statistics(kind):
    layer = kind(1, num_dims=2).requires_grad_(False)
    layer(FOUR)
    assert layer.running_mean.item() == pytest.approx(0.8)


def test_one_cumulative_average_is_exact_in_double_precision(kind):
    layer = kind(1, num_dims=2, momentum=None).double()
    batches = [random(4, 1, seed=seed) for seed in range(3)]
    for x in batches:
        layer(x)
    mean = torch.stack(batches).mean().item()
    assert layer.running_mean.item() == pytest.approx(mean, rel=1e-14, abs=1e-15)


def test_the_batch_is_left_as_it_was(kind):
    x = random(8, 3).float()
    before = x.clone()
    kind(3, num_dims=2)(x)
    assert torch.equal(x, before)


# --- Bad input -------------------------------------------------------------------

EXPECTED = "expects a batch with 4 axes, channels on axis 1 and 3 of them, but got "


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.ones(3), ValueError, f"{EXPECTED}shape (3,)"),
        (torch.ones(8, 3), ValueError, f"{EXPECTED}shape (8, 3)"),
        (torch.ones(8, 3, 2), ValueError, f"{EXPECTED}shape (8, 3, 2)"),
        (torch.ones(8, 3, 2, 2, 2), ValueError, f"{EXPECTED}shape (8, 3, 2, 2, 2)"),
        (torch.tensor(1.0), ValueError, f"{EXPECTED}shape ()"),
        (torch.ones(8, 1, 2, 2), ValueError, f"{EXPECTED}shape (8, 1, 2, 2)"),
        (torch.ones(8, 2, 2, 3), ValueError, f"{EXPECTED}shape (8, 2, 2, 3)"),
        (torch.ones(8, 0, 2, 2), ValueError, f"{EXPECTED}shape (8, 0, 2, 2)"),
        (
            torch.ones(8, 3, 2, 2, dtype=torch.uint8),
            TypeError,
            "expects floating-point values, got torch.uint8",
        ),
        (
            torch.ones(8, 3, 2, 2, dtype=torch.bool),
            TypeError,
            "expects floating-point values, got torch.bool",
        ),
        (
            torch.ones(8, 3, 2, 2, dtype=torch.complex64),
            TypeError,
            "expects floating-point values, got torch.complex64",
        ),
        ([[1.0]], TypeError, f"{EXPECTED}a list instead of a tensor"),
        (torch.ones(8, 3, 2, 2).numpy(), TypeError, "a ndarray instead of a tensor"),
        (None, TypeError, f"{EXPECTED}a NoneType instead of a tensor"),
    ],
)
def test_bad_input_is_named_and_leaves_the_statistics_alone(
    kind, x, error, message, training
):
    layer = kind(3, num_dims=4)
    layer(random(*SHAPES[4]).float())
    layer.train(training)
    before = statistics(layer)
    with pytest.raises(error) as raised:
        layer(x)
    assert message in str(raised.value)
    assert_same_statistics(layer, before)


@pytest.mark.parametrize(
    ("shape", "n"),
    [
        ((1, 3), 1),
        ((0, 3), 0),
        ((1, 3, 1), 1),
        ((2, 3, 0), 0),
        ((1, 3, 1, 1), 1),
        ((0, 3, 4, 4), 0),
        ((1, 3, 1, 1, 1), 1),
    ],
)
def test_batch_statistics_need_two_values_per_channel(kind, shape, n):
    message = f"at least 2 values per channel .* {n}$"
    layer = kind(3, num_dims=len(shape))
    before = statistics(layer)
    with pytest.raises(ValueError, match=message) as raised:
        layer(torch.ones(shape))
    assert str(shape) in str(raised.value)
    assert_same_statistics(layer, before)
    assert layer.eval()(torch.ones(shape)).shape == shape  # needs none
    layer = kind(3, num_dims=len(shape), track_running_stats=False).eval()
    with pytest.raises(ValueError, match=message):
        layer(torch.ones(shape))


@pytest.mark.parametrize("momentum", [0.1, None])
def test_what_the_computation_refuses_is_not_counted(kind, momentum):
    layer = kind(3, num_dims=2, momentum=momentum)
    layer.running_mean = layer.running_mean.to("meta")  # as on another device
    with pytest.raises(RuntimeError, match="device"):
        layer(random(8, 3).float())
    assert layer.num_batches_tracked.item() == 0
    assert layer.running_var.eq(1).all()


def test_two_values_per_channel_are_enough(kind):
    y = kind(1, num_dims=4, eps=0)(torch.tensor([3.0, 5.0]).reshape(1, 1, 1, 2))
    assert y.flatten().tolist() == [-1, 1]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"num_features": 3.0}, TypeError, "num_features must be an int, got 3.0"),
        ({"num_features": True}, TypeError, "num_features must be an int, got True"),
        ({"num_features": "3"}, TypeError, "num_features must be an int, got '3'"),
        ({"num_features": None}, TypeError, "num_features must be an int, got None"),
        ({"num_features": 0}, ValueError, "num_features must be at least 1, got 0"),
        ({"num_features": -1}, ValueError, "num_features must be at least 1, got -1"),
        ({"num_dims": 1}, ValueError, "num_dims must be 2, 3, 4 or 5, got 1"),
        ({"num_dims": 6}, ValueError, "num_dims must be 2, 3, 4 or 5, got 6"),
        ({"num_dims": 4.0}, TypeError, "num_dims must be an int, got 4.0"),
        ({"num_dims": True}, TypeError, "num_dims must be an int, got True"),
        ({"eps": -1e-5}, ValueError, "eps must be finite and not negative, got -1e-05"),
        ({"eps": math.nan}, ValueError, "eps must be finite and not negative, got nan"),
        ({"eps": math.inf}, ValueError, "eps must be finite and not negative, got inf"),
        ({"eps": True}, TypeError, "eps must be a number, got True"),
        ({"eps": None}, TypeError, "eps must be a number, got None"),
        ({"momentum": -0.1}, ValueError, "from 0 to 1, or None, got -0.1"),
        ({"momentum": 1.1}, ValueError, "from 0 to 1, or None, got 1.1"),
        ({"momentum": math.nan}, ValueError, "from 0 to 1, or None, got nan"),
        ({"momentum": "0.1"}, TypeError, "momentum must be a number, got '0.1'"),
        ({"momentum": False}, TypeError, "momentum must be a number, got False"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, error, message):
    with pytest.raises(error) as raised:
        BatchNorm(**{"num_features": 3, "num_dims": 4, **arguments})
    assert message in str(raised.value)


# --- In a network ----------------------------------------------------------------


def test_lenet_trains_and_predicts_and_shows_its_gamma():
    net = lenet(BatchNorm)  # test_nets.py has it written out
    y = net(random(4, 1, 28, 28).float())
    assert y.shape == (4, 10)
    y.sum().backward()
    assert net[1].gamma.reshape((-1,)).shape == (6,)
    assert net[1].beta.reshape((-1,)).shape == (6,)
    assert net[1].gamma.grad.shape == (1, 6, 1, 1)
    assert [net[i].num_batches_tracked.item() for i in (1, 5, 10, 13)] == [1] * 4
    assert net.eval()(random(1, 1, 28, 28).float()).shape == (1, 10)


def test_a_cumulative_average_is_traced_without_a_break(kind):
    torch.compiler.reset()
    layer = kind(1, num_dims=2, momentum=None)
    traced = torch.compile(layer, fullgraph=True, backend="aot_eager")
    for shift in (0, 1, 5):
        traced(FOUR + shift)
    assert layer.running_mean.item() == pytest.approx(10)


def test_an_exported_layer_takes_batches_of_any_size(kind):
    layer = kind(3, num_dims=4)
    batch = torch.export.Dim("batch", min=2)
    program = torch.export.export(
        layer, (torch.ones(4, 3, 2, 2),), dynamic_shapes=({0: batch},)
    )
    exported = program.module()
    for n in (2, 7):
        x = random(n, 3, 2, 2, seed=n).float()
        assert_close(exported(x), layer(x))
        assert_close(exported.running_var, layer.running_var)


# --- Statistics that are not tracked, or no longer, or only later -----------------


@pytest.mark.parametrize("training", [True, False])
def test_tracking_that_is_switched_on_without_buffers_uses_the_batch(kind, training):
    ours = kind(3, num_dims=2, momentum=None, track_running_stats=False)
    theirs = nn.BatchNorm1d(3, momentum=None, track_running_stats=False)
    x = 2 + 3 * random(8, 3).float()
    for layer in (ours, theirs):
        layer.train(training).track_running_stats = True
    assert_close(ours(x), theirs(x))
    ours.reset_parameters()
    assert statistics(ours) == {}


# --- Recalibration ---------------------------------------------------------------


def net_with_two_layers():
    """One layer of ours and one of torch's, with statistics that are not the first."""
    torch.manual_seed(0)
    net = nn.Sequential(
        BatchNorm(3, num_dims=2, momentum=0.3),
        nn.Linear(3, 4),
        nn.BatchNorm1d(4, momentum=None),
    ).double()
    net(5 + random(8, 3, seed=9))
    return net


def all_statistics(net):
    return {name: buffer.clone() for name, buffer in net.named_buffers()}


def test_recalibration_averages_means_and_unbiased_variances():
    net = net_with_two_layers()
    # Batches of different sizes have the same weight.
    batches = [seed + random(4 + seed, 3, seed=seed) for seed in range(5)]
    recalibrate(net, iter(batches))
    copied = copy.deepcopy(net).train()
    for layer, inputs in (
        (net[0], batches),
        (net[2], [copied[1](copied[0](X)) for X in batches]),
    ):
        mean = torch.stack([X.mean(0) for X in inputs]).mean(0)
        var = torch.stack([X.var(0, correction=1) for X in inputs]).mean(0)
        assert_close(layer.running_mean.flatten(), mean, rtol=1e-13, atol=1e-13)
        assert_close(layer.running_var.flatten(), var, rtol=1e-13, atol=1e-13)
        assert layer.num_batches_tracked.item() == 5


@pytest.mark.parametrize("num_dims", bn.TORCH_LAYERS)
def test_recalibration_treats_torchs_layers_as_ours(kind, num_dims):
    theirs = bn.TORCH_LAYERS[num_dims](3).double()
    ours = from_torch(theirs, num_dims, kind)
    batches = [random(*SHAPES[num_dims], seed=seed) for seed in range(3)]
    recalibrate(ours, batches)
    recalibrate(theirs, batches)
    for name, buffer in ours.named_buffers():
        assert_close(buffer.flatten(), getattr(theirs, name).flatten())
    assert theirs.num_batches_tracked == 3


def broken_batches():
    yield random(8, 3)
    raise OSError("no more")


@pytest.mark.parametrize(
    ("batches", "error"),
    [
        ([random(8, 3), random(8, 3)], None),
        ([], ValueError),
        ([random(8, 3), random(8, 2)], ValueError),
        ([random(8, 3), random(8, 3).float()], RuntimeError),  # fails in the middle
        (broken_batches(), OSError),
    ],
)
def test_recalibration_restores_modes_and_momenta(batches, error):
    net = net_with_two_layers()
    net[0].eval()  # frozen, in a net that trains
    modes = [module.training for module in net.modules()]
    before = all_statistics(net)
    if error is None:
        assert recalibrate(net, batches) is net
    else:
        with pytest.raises(error):
            recalibrate(net, batches)
    assert [module.training for module in net.modules()] == modes
    assert (net[0].momentum, net[2].momentum) == (0.3, None)
    changed = [not torch.equal(b, before[name]) for name, b in net.named_buffers()]
    assert all(changed) if error is None else not any(changed)


def test_recalibration_that_is_interrupted_leaves_the_statistics_as_they_were():
    net = net_with_two_layers()
    buffers, before = dict(net.named_buffers()), all_statistics(net)
    calls = iter([None, KeyboardInterrupt()])

    def interrupt(module, inputs):
        if error := next(calls):
            raise error

    net[1].register_forward_pre_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        recalibrate(net, 3 * [random(8, 3)])
    assert_same_statistics(net, before)
    assert all(buffers[name] is buffer for name, buffer in net.named_buffers())


def test_recalibration_without_batches_says_so():
    with pytest.raises(ValueError, match="at least one batch, got none"):
        recalibrate(BatchNorm(3, num_dims=2), iter([]))


def test_recalibration_runs_other_parts_in_evaluation_mode():
    layer = BatchNorm(3, num_dims=2).double()
    net = nn.Sequential(nn.Dropout(0.5), layer)
    batches = [random(8, 3, seed=seed) for seed in range(2)]
    recalibrate(net, batches)  # dropout would change the mean
    mean = torch.stack(batches).mean((0, 1))
    assert_close(layer.running_mean.flatten(), mean)
    assert net.training and net[0].training


def test_recalibration_is_what_torch_has_for_averaged_weights():
    ours, theirs = net_with_two_layers(), to_torch_all(net_with_two_layers())
    batches = [seed + random(8, 3, seed=seed) for seed in range(5)]
    recalibrate(ours, batches)
    update_bn(batches, theirs)
    for name, buffer in ours.named_buffers():
        assert_close(buffer.flatten(), theirs.get_buffer(name).flatten())


def to_torch_all(net):
    return nn.Sequential(*(to_torch(m) if type(m) is BatchNorm else m for m in net))


def test_recalibration_with_equal_batches_finds_the_exact_mean_of_the_data():
    data = 5 + 3 * random(60, 4)
    layer = nn.Sequential(BatchNorm(4, num_dims=2)).double()
    variances = []
    for seed in range(200):
        order = torch.randperm(60, generator=torch.Generator().manual_seed(seed))
        recalibrate(layer, data[order].split(10))
        assert_close(layer[0].running_mean.flatten(), data.mean(0))
        variances.append(layer[0].running_var.flatten().clone())
    # Unbiased, over the ways in which the data may fall into batches.
    variances = torch.stack(variances) / data.var(0, correction=1)
    assert (variances - 1).abs().max() > 0.02
    assert (variances.mean(0) - 1).abs().max() < 0.02


def test_recalibration_leaves_a_net_without_batch_norm_as_it_is():
    net = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    before = copy.deepcopy(net.state_dict())
    assert recalibrate(net, [random(8, 3).float()]) is net
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_recalibration_passes_over_layers_that_track_nothing():
    off = BatchNorm(3, num_dims=2)
    off.track_running_stats = False
    without = nn.BatchNorm1d(3, track_running_stats=False)
    without.track_running_stats = True
    net = nn.Sequential(off, without, BatchNorm(3, num_dims=2))
    before = statistics(off)
    recalibrate(net, [random(8, 3).float()])
    assert_same_statistics(off, before)
    assert net[2].num_batches_tracked == 1


# --- Conversions -----------------------------------------------------------------


@EVERY_DIM
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"eps": 0.1, "momentum": 0.3},
        {"momentum": None},
        {"affine": False},
        {"track_running_stats": False},
        {"affine": False, "track_running_stats": False},
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_copy_behaves_as_its_source_in_both_directions(
    kind, num_dims, arguments, dtype
):
    theirs = bn.TORCH_LAYERS[num_dims](3, **arguments).to(dtype)
    if theirs.affine:
        nn.init.constant_(theirs.weight, 2)
        nn.init.constant_(theirs.bias, 3)
        theirs.bias.requires_grad_(False)
    theirs(1 + random(*SHAPES[num_dims], dtype=dtype))
    theirs.eval()
    ours = from_torch(theirs, num_dims, kind)
    back = to_torch(ours)
    assert type(ours) is kind and type(back) is type(theirs)
    assert ours.num_dims == num_dims and repr(back) == repr(theirs)
    assert not ours.training and not back.training
    assert from_torch(copy.deepcopy(theirs).train(), num_dims).training
    trainable = [p.requires_grad for p in theirs.parameters()]
    assert trainable == ([True, False] if theirs.affine else [])
    assert [p.requires_grad for p in ours.parameters()] == trainable
    assert [p.requires_grad for p in back.parameters()] == trainable
    assert list(back.state_dict()) == list(theirs.state_dict())
    for name, tensor in theirs.state_dict().items():
        assert back.state_dict()[name].dtype == tensor.dtype, name
        assert torch.equal(back.state_dict()[name], tensor), name
    x = random(*SHAPES[num_dims], dtype=dtype)
    limit = BFLOAT16 if dtype == torch.bfloat16 else FLOAT32
    assert deviation(ours(x), theirs(x)) <= limit


def test_a_copy_shares_nothing_with_its_source(kind):
    x = random(*SHAPES[4]).float()
    for convert, source in (
        (from_torch, nn.BatchNorm2d(3)),
        (to_torch, kind(3, 4)),
    ):
        before = copy.deepcopy(source.state_dict())
        changed = convert(source)
        changed(x)
        nn.init.constant_(next(changed.parameters()), 7)
        for name, tensor in source.state_dict().items():
            assert torch.equal(tensor, before[name]), name


def without_shift():
    """A layer of torch's with a weight and no bias, as torch 2.15 can construct."""
    if "bias" in inspect.signature(nn.BatchNorm1d).parameters:
        return nn.BatchNorm1d(3, bias=False)
    layer = nn.BatchNorm1d(3)
    layer.bias = None
    return layer


def test_a_layer_without_shift_becomes_one_whose_shift_stays_zero():
    theirs = without_shift()
    nn.init.constant_(theirs.weight, 2)
    ours = from_torch(theirs)
    assert ours.gamma.requires_grad and not ours.beta.requires_grad
    assert ours.beta.eq(0).all()
    x = random(8, 3).float()
    assert_close(ours(x), theirs(x))
    back = to_torch(ours)
    assert back.weight.requires_grad and not back.bias.requires_grad
    assert_close(back(x), theirs(x))


def test_statistics_that_are_no_longer_tracked_are_copied_too():
    theirs = nn.BatchNorm1d(3)
    theirs(5 + random(8, 3).float())
    theirs.track_running_stats = False
    ours = from_torch(theirs)
    x = random(8, 3).float()
    for layer in (ours, to_torch(ours)):
        before = statistics(layer)
        assert_close(layer(x), theirs(x))
        assert_same_statistics(layer, before)
        assert_close(layer.eval()(x), copy.deepcopy(theirs).eval()(x))


class Ours(BatchNorm):
    """A layer that might compute something else."""


class Theirs(nn.BatchNorm2d):
    """A layer that might compute something else."""


@pytest.mark.parametrize(
    "layer",
    [
        Theirs(3),
        nn.LazyBatchNorm1d(),
        nn.SyncBatchNorm(3),
        nn.InstanceNorm2d(3),
        BatchNorm(3, num_dims=4),
        nn.BatchNorm2d,
        None,
    ],
)
def test_only_torchs_three_layers_are_copied_from_torch(layer):
    expected = "expected one of BatchNorm1d, BatchNorm2d, BatchNorm3d, got "
    with pytest.raises(TypeError) as raised:
        from_torch(layer)
    assert str(raised.value) == expected + type(layer).__name__


@pytest.mark.parametrize("layer", [Ours(3, num_dims=4), nn.BatchNorm2d(3), None])
def test_only_our_layer_is_copied_to_torch(layer):
    with pytest.raises(TypeError) as raised:
        to_torch(layer)
    assert str(raised.value) == f"expected a BatchNorm, got {type(layer).__name__}"


@pytest.mark.parametrize(
    ("layer", "num_dims"),
    [(nn.BatchNorm1d(3), 4), (nn.BatchNorm2d(3), 3), (nn.BatchNorm3d(3), 2)],
)
def test_a_copy_cannot_take_another_number_of_axes(layer, num_dims):
    with pytest.raises(ValueError, match=rf"{type(layer).__name__} .* not {num_dims}"):
        from_torch(layer, num_dims)


# --- Properties, for random shapes and values -------------------------------------


def random_case(seed):
    """A batch of random shape, mean and scale, with gamma and beta to match."""
    generator = torch.Generator().manual_seed(seed)

    def integer(low, high):
        return int(torch.randint(low, high + 1, (), generator=generator))

    num_dims = integer(2, 5)
    shape = (integer(2, 6), integer(1, 4), *(integer(1, 4) for _ in range(num_dims)))
    shape = shape[:num_dims]
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    x = x * 10 ** integer(-1, 2) + integer(-50, 50)
    gamma, beta = torch.randn(
        (2, 1, shape[1], *[1] * (num_dims - 2)),
        generator=generator,
        dtype=torch.float64,
    )
    return x, gamma, beta, [axis for axis in range(num_dims) if axis != 1]


@pytest.mark.parametrize("seed", range(20))
def test_the_output_has_mean_beta_and_standard_deviation_gamma(kind, seed):
    x, gamma, beta, axes = random_case(seed)
    y = kind.normalize(x, gamma=gamma, beta=beta, eps=0)
    var, mean = torch.var_mean(y, axes, correction=0, keepdim=True)
    assert_close(mean, beta, rtol=0, atol=1e-9)
    assert_close(var.sqrt(), gamma.abs(), rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_the_output_ignores_the_scale_and_shift_of_the_input(kind, seed):
    x, gamma, beta, _ = random_case(seed)
    y = kind.normalize(x, gamma=gamma, beta=beta, eps=0)
    for scale, shift in ((3.0, 0.0), (0.01, -7.0)):
        z = kind.normalize(scale * x + shift, gamma=gamma, beta=beta, eps=0)
        assert_close(z, y, rtol=0, atol=1e-9)
    assert_close(
        kind.normalize(-x, gamma=-gamma, beta=beta, eps=0), y, rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_the_examples_does_not_matter(kind, seed):
    x, gamma, beta, _ = random_case(seed)
    y = kind.normalize(x, gamma=gamma, beta=beta)
    z = kind.normalize(x.flip(0), gamma=gamma, beta=beta)
    assert_close(z, y.flip(0), rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_the_gradient_has_no_part_along_shift_and_scale(kind, seed):
    x, gamma, beta, axes = random_case(seed)
    x = (x - x.mean()) / x.std()  # so that the gradient is of order 1
    x.requires_grad_()
    weights = random(*x.shape, seed=seed)
    y = kind.normalize(x, gamma=gamma, beta=beta, eps=0)
    (gradient,) = torch.autograd.grad((weights * y).sum(), x)
    limit = 1e-9 * (1 + gradient.abs().max())
    assert gradient.sum(axes).abs().max() <= limit
    assert (gradient * x).sum(axes).abs().max() <= limit
