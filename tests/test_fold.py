"""Folding batch normalization into the layer before it: `fold` in `code/bn.py`."""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from bn import TORCH_LAYERS, BatchNorm, fold
from test_bn import random

LINEAR = {
    "linear": (lambda: nn.Linear(4, 6), (5, 4)),
    "linear without bias": (lambda: nn.Linear(4, 6, bias=False), (5, 4)),
    "1d": (lambda: nn.Conv1d(4, 6, 3), (2, 4, 7)),
    "2d": (lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), (2, 4, 7, 8)),
    "3d": (lambda: nn.Conv3d(4, 6, 2, bias=False), (2, 4, 3, 4, 5)),
}


def trained(norm):
    """The layer in evaluation mode, with statistics and parameters of its own."""
    for i, tensor in enumerate([*norm.parameters(), *norm.buffers()]):
        if tensor.is_floating_point():
            tensor.data = 0.5 + random(*tensor.shape, seed=i).abs().to(tensor.dtype)
    return norm.eval()


@pytest.mark.parametrize("torchs", [False, True])
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("kind", LINEAR)
def test_folded_two_layers_are_one(kind, affine, torchs):
    make, shape = LINEAR[kind]
    linear, x = make().double(), random(*shape)
    if torchs:
        norm = TORCH_LAYERS[len(shape)](6, affine=affine)
    else:
        norm = BatchNorm(6, len(shape), affine=affine)
    norm = trained(norm.double())
    before = copy.deepcopy((linear.state_dict(), norm.state_dict()))
    folded = fold(linear, norm)
    assert type(folded) is type(linear) and folded.bias is not None
    assert_close(folded(x), norm(linear(x)))
    for module, state in zip((linear, norm), before, strict=True):
        for name, tensor in module.state_dict().items():
            assert torch.equal(tensor, state[name])


@pytest.mark.parametrize("bias", [False, True])
def test_torch_folds_a_convolution_to_the_same(bias):
    conv, norm = nn.Conv2d(4, 6, 3, bias=bias).eval(), trained(nn.BatchNorm2d(6))
    ours, theirs = fold(conv, norm), nn.utils.fuse_conv_bn_eval(conv, norm)
    assert_close(ours.weight, theirs.weight)
    assert_close(ours.bias, theirs.bias)


def test_what_is_folded_keeps_its_type_and_can_be_trained():
    linear = nn.Linear(4, 6).to(torch.bfloat16)
    folded = fold(linear, trained(BatchNorm(6, num_dims=2)))
    assert folded.weight.dtype == folded.bias.dtype == torch.bfloat16
    assert folded.weight.requires_grad and folded.bias.requires_grad


@pytest.mark.parametrize(
    ("linear", "norm", "error", "message"),
    [
        (nn.ReLU(), BatchNorm(6, 2), TypeError, "expected a linear layer, got ReLU"),
        (None, BatchNorm(6, 2), TypeError, "expected a linear layer, got NoneType"),
        (nn.Linear(4, 6), nn.LayerNorm(6), TypeError, "got LayerNorm"),
        (nn.Linear(4, 6), BatchNorm(5, 2), ValueError, "6 outputs, but 5 features"),
        (
            nn.Linear(4, 6),
            BatchNorm(6, 2, track_running_stats=False),
            ValueError,
            "without running statistics",
        ),
    ],
)
def test_what_cannot_be_folded_is_refused(linear, norm, error, message):
    with pytest.raises(error, match=message):
        fold(linear, norm)
