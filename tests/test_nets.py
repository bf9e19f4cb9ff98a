"""The networks of `code/nets.py`."""

from itertools import permutations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from bn import BatchNorm
from nets import (
    Residual,
    fold_all,
    group_norm,
    layer_outputs,
    lenet,
    mlp,
    residual_mlp,
    torch_batch_norm,
    without_bias,
)
from training import fit, init_he


def images(n):
    return torch.rand(n, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def written_out():
    """LeNet with batch norm, written out layer by layer."""
    return nn.Sequential(
        nn.Conv2d(1, 6, kernel_size=5), BatchNorm(6, num_dims=4), nn.Sigmoid(),
        nn.MaxPool2d(kernel_size=2, stride=2),
        nn.Conv2d(6, 16, kernel_size=5), BatchNorm(16, num_dims=4), nn.Sigmoid(),
        nn.MaxPool2d(kernel_size=2, stride=2), nn.Flatten(),
        nn.Linear(256, 120), BatchNorm(120, num_dims=2), nn.Sigmoid(),
        nn.Linear(120, 84), BatchNorm(84, num_dims=2), nn.Sigmoid(),
        nn.Linear(84, 10),
    )  # fmt: skip


def seeded(make, *args, **kwargs):
    torch.manual_seed(0)
    return make(*args, **kwargs)


def test_lenet_with_batch_norm_is_the_network_written_out():
    ours, written = seeded(lenet, BatchNorm), seeded(written_out)
    assert repr(ours) == repr(written)
    assert list(ours.state_dict()) == list(written.state_dict())
    assert torch.equal(ours(images(4)), written(images(4)))


@pytest.mark.parametrize("norm", [None, BatchNorm, torch_batch_norm])
def test_lenet_gives_ten_logits_per_image(norm):
    assert lenet(norm)(images(3)).shape == (3, 10)


def test_each_norm_is_made_for_the_layer_before_it():
    made = []

    def norm(num_features, num_dims):
        made.append((num_features, num_dims))
        return nn.Identity()

    net = lenet(norm)
    assert made == [(6, 4), (16, 4), (120, 2), (84, 2)]
    positions = [i for i, layer in enumerate(net) if isinstance(layer, nn.Identity)]
    assert positions == [1, 5, 10, 13]
    for i in positions:
        assert isinstance(net[i - 1], (nn.Conv2d, nn.Linear))
        assert isinstance(net[i + 1], nn.Sigmoid)


def test_without_norm_the_same_seed_draws_the_same_weights():
    plain, normed = seeded(lenet), seeded(lenet, BatchNorm)
    assert len(plain) == len(normed) - 4
    kept = [layer for layer in normed if not isinstance(layer, BatchNorm)]
    for ours, theirs in zip(plain, kept, strict=True):
        assert repr(ours) == repr(theirs)
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(a, b)


def test_lenet_computes_the_same_with_torchs_layer():
    ours, theirs = seeded(lenet, BatchNorm), seeded(lenet, torch_batch_norm)
    for net in (ours, theirs):
        net(images(8)).square().sum().backward()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_close(a.grad.flatten(), b.grad.flatten(), rtol=1e-4, atol=1e-4)
    assert_close(ours.eval()(images(2)), theirs.eval()(images(2)))


@pytest.mark.parametrize("order", [*permutations(["norm", "activation", "pool"])])
def test_what_follows_lenets_layers_does_so_in_order(order):
    kinds = {"norm": BatchNorm, "activation": nn.ReLU, "pool": nn.MaxPool2d}
    net = lenet(BatchNorm, order, activation=nn.ReLU)
    after_conv = [kinds[name] for name in order]
    after_linear = [kinds[name] for name in order if name != "pool"]
    assert [type(layer) for layer in net] == [
        *2 * [nn.Conv2d, *after_conv],
        nn.Flatten,
        *2 * [nn.Linear, *after_linear],
        nn.Linear,
    ]
    assert net(images(3)).shape == (3, 10)
    plain = [layer for layer in net if not isinstance(layer, BatchNorm)]
    assert repr(nn.Sequential(*plain)) == repr(lenet(None, order, nn.ReLU))


@pytest.mark.parametrize("order", [(), ("norm", "pool"), ("norm", "pool", "relu")])
def test_lenet_refuses_an_order_it_does_not_know(order):
    with pytest.raises(ValueError, match="order must have norm, activation and pool"):
        lenet(BatchNorm, order)


def test_groups_are_those_of_torchs_layer():
    net = lenet(group_norm(2))
    norms = [layer for layer in net if isinstance(layer, nn.GroupNorm)]
    made = [(layer.num_groups, layer.num_channels) for layer in norms]
    assert made == [(2, 6), (2, 16), (2, 120), (2, 84)]
    with pytest.raises(ValueError, match="divisible"):
        group_norm(4)(6, num_dims=4)


@pytest.mark.parametrize("norm", [BatchNorm, torch_batch_norm])
def test_without_its_useless_biases_a_net_trains_alike(norm):
    net = seeded(lenet, norm).double()
    bare = without_bias(net)
    gone = [i for i, layer in enumerate(bare) if getattr(layer, "bias", 0) is None]
    assert gone == [0, 4, 9, 12]
    assert net[0].bias is not None
    X, y = images(32).double(), torch.arange(32) % 10
    for model in (net, bare):
        torch.manual_seed(0)
        fit(model, X, y, lr=0.5, batch_size=16, steps=4)
    assert_close(net(X), bare(X), rtol=1e-6, atol=1e-9)  # with the statistics of X
    assert not torch.equal(net[0].weight, seeded(lenet, norm)[0].weight)


def test_a_bias_that_no_batch_norm_follows_is_kept():
    orders = ("activation", "norm", "pool"), ("pool", "norm", "activation")
    for net in (lenet(), lenet(group_norm(2)), *(lenet(BatchNorm, o) for o in orders)):
        before = [p.shape for p in net.parameters()]
        kept = [p.shape for p in without_bias(net).parameters()]
        linear = isinstance(net[1], nn.MaxPool2d)  # the norms of linear layers do
        assert len(before) - len(kept) == 2 * linear


def test_a_perceptron_has_as_many_hidden_layers_as_it_is_deep():
    net = mlp(3, 8, BatchNorm, activation=nn.Tanh, num_inputs=5, num_outputs=2)
    kinds = [type(layer) for layer in net]
    hidden = [nn.Linear, BatchNorm, nn.Tanh]
    assert kinds == [nn.Flatten, *hidden, *hidden, *hidden, nn.Linear]
    sizes = [(m.in_features, m.out_features) for m in net if isinstance(m, nn.Linear)]
    assert sizes == [(5, 8), (8, 8), (8, 8), (8, 2)]
    norms = [layer for layer in net if isinstance(layer, BatchNorm)]
    assert [(m.num_features, m.num_dims) for m in norms] == 3 * [(8, 2)]
    assert net(torch.ones(4, 5)).shape == (4, 2)


def test_a_perceptron_flattens_images_by_default():
    net = mlp(depth=1, width=8)
    assert net(images(3)).shape == (3, 10)
    assert [type(layer) for layer in net] == [nn.Flatten, nn.Linear, nn.ReLU, nn.Linear]


def test_a_perceptron_without_hidden_layers_is_linear():
    net = mlp(depth=0, width=8)
    assert [type(layer) for layer in net] == [nn.Flatten, nn.Linear]


def test_a_block_adds_its_branch_to_its_input():
    linear = nn.Linear(3, 3)
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    block = Residual(linear)
    assert torch.equal(block(x), x + linear(x))
    assert len(list(block.parameters())) == 2


def test_skipinit_begins_with_the_identity_and_can_leave_it():
    linear = nn.Linear(3, 3)
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    block = Residual(linear, skipinit=True)
    assert torch.equal(block(x), x)
    block(x).square().sum().backward()
    assert block.alpha.shape == (1,)
    assert block.alpha.grad != 0
    with torch.no_grad():
        block.alpha.fill_(0.5)
    assert_close(block(x), x + linear(x) / 2)


@pytest.mark.parametrize("norm", [None, BatchNorm])
@pytest.mark.parametrize("skipinit", [False, True])
def test_a_residual_perceptron_is_a_perceptron_with_shortcuts(norm, skipinit):
    net = seeded(residual_mlp, 2, 8, norm, skipinit)
    plain = seeded(mlp, 3, 8, norm)
    blocks = [layer for layer in net if isinstance(layer, Residual)]
    assert len(blocks) == 2
    scalars = [] if not skipinit else [block.alpha for block in blocks]
    weights = [p for p in net.parameters() if all(p is not s for s in scalars)]
    for a, b in zip(weights, plain.parameters(), strict=True):
        assert torch.equal(a, b)

    # Without the shortcuts it computes the same.
    x = images(4)
    for layer in net:
        x = layer.branch(x) if isinstance(layer, Residual) else layer(x)
    assert_close(x, plain(images(4)))


def test_skipinit_begins_as_a_net_without_blocks():
    deep = seeded(residual_mlp, 20, 8, skipinit=True)
    first, last = deep[1], deep[-1]
    x = images(4)
    assert_close(deep(x), last(torch.relu(first(x.flatten(1)))))


def test_a_residual_perceptron_has_the_sizes_asked_for():
    net = residual_mlp(1, 8, num_inputs=5, num_outputs=2)
    assert net(torch.ones(4, 5)).shape == (4, 2)


@pytest.mark.parametrize("make", [mlp, residual_mlp])
def test_nets_of_several_depths_begin_with_the_same_layers(make):
    short, deep = (seeded(make, depth, 8, init=init_he) for depth in (2, 5))
    pairs = list(zip(short[:-2].parameters(), deep.parameters(), strict=False))
    assert pairs
    for a, b in pairs:
        assert torch.equal(a, b)


@pytest.mark.parametrize("make", [mlp, residual_mlp])
def test_an_initializer_draws_every_linear_layer(make):
    drawn = []
    net = make(3, 8, BatchNorm, init=drawn.append)
    assert drawn == [m for m in net.modules() if isinstance(m, nn.Linear)]


def test_the_outputs_of_layers_are_those_on_the_way():
    net, x = residual_mlp(2, 8), images(3)
    first, logits = layer_outputs(net, x)
    assert torch.equal(first, net[:2](x))
    assert torch.equal(logits, net(x))
    blocks = layer_outputs(net, x, Residual)
    assert torch.equal(blocks[1], net[3](blocks[0]))
    first, *blocks, logits = layer_outputs(net, x, (nn.Linear, Residual))
    gradients = torch.autograd.grad(logits.sum(), [first, *blocks])
    assert [gradient.shape for gradient in gradients] == [(3, 8)] * 3


@pytest.mark.parametrize(
    ("num_dims", "kind"),
    [
        (2, nn.BatchNorm1d),
        (3, nn.BatchNorm1d),
        (4, nn.BatchNorm2d),
        (5, nn.BatchNorm3d),
    ],
)
def test_torchs_layer_is_chosen_by_the_number_of_axes(num_dims, kind):
    layer = torch_batch_norm(6, num_dims)
    assert type(layer) is kind
    assert layer.num_features == 6


@pytest.mark.parametrize("num_dims", [0, 1, 6])
def test_torch_has_no_layer_for_other_numbers_of_axes(num_dims):
    with pytest.raises(KeyError):
        torch_batch_norm(6, num_dims)


@pytest.mark.parametrize("norm", [BatchNorm, torch_batch_norm])
def test_a_folded_net_predicts_the_same_without_batch_norm(norm):
    net = seeded(lenet, norm)
    for _ in range(5):
        net(images(16) + torch.rand(1))  # running statistics of its own
    modes = [module.training for module in net.modules()]
    folded = fold_all(net)
    assert [type(layer) for layer in folded] == [type(layer) for layer in lenet()]
    assert [module.training for module in net.modules()] == modes
    assert not {*folded.parameters()} & {*net.parameters()}
    assert_close(folded(images(4)), net.eval()(images(4)))


def test_batch_norm_that_follows_no_linear_layer_is_not_folded():
    for net in (
        nn.Sequential(BatchNorm(3, 2)),
        nn.Sequential(nn.Linear(3, 3), nn.ReLU(), BatchNorm(3, 2)),
    ):
        with pytest.raises(TypeError, match="expected a linear layer"):
            fold_all(net)
