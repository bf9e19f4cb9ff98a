"""The networks that the chapters and the measurements train.

Every one takes `norm`, which makes a normalization layer from the number of features
and the number of axes of its input: `bn.BatchNorm` is one. Without it, the net has no
normalization.
"""

import copy
import itertools

import torch
from torch import nn

from bn import TORCH_LAYERS, BatchNorm, fold


def lenet(norm=None, order=("norm", "activation", "pool"), activation=nn.Sigmoid):
    """LeNet with sigmoids for 28 x 28 images in 10 classes.

    Two convolutions and three linear layers; what follows each of them but the last
    does so in the given `order`, and the max-pooling follows convolutions only.
    Source: LeCun, Bottou, Bengio and Haffner, Proceedings of the IEEE, 1998, with
    max-pooling and without the original's padding.

    Args:
        norm: makes the normalization layers; without it there are none.
        order: the words "norm", "activation" and "pool", in any order.
        activation: makes the activations.

    Raises:
        ValueError: `order` has other words, or one of them is missing.

    >>> sum(p.numel() for p in lenet().parameters())
    44426
    >>> net = lenet(BatchNorm, order=("pool", "activation", "norm"))
    >>> [type(layer).__name__ for layer in net[:4]]
    ['Conv2d', 'MaxPool2d', 'Sigmoid', 'BatchNorm']
    """
    if sorted(order) != ["activation", "norm", "pool"]:
        raise ValueError(f"order must have norm, activation and pool, got {order}")
    return nn.Sequential(
        *_block(nn.Conv2d(1, 6, kernel_size=5), norm, activation(), order),
        *_block(nn.Conv2d(6, 16, kernel_size=5), norm, activation(), order),
        nn.Flatten(),
        *_block(nn.Linear(16 * 4 * 4, 120), norm, activation(), order),
        *_block(nn.Linear(120, 84), norm, activation(), order),
        nn.Linear(84, 10),
    )


def mlp(
    depth,
    width,
    norm=None,
    activation=nn.ReLU,
    num_inputs=784,
    num_outputs=10,
    init=None,
):
    """A multilayer perceptron with `depth` hidden layers of `width` units.

    Inputs of any shape are flattened to `num_inputs`; `norm` comes before each
    activation. `init` draws the weights of each linear layer as soon as it is made, so
    that with one seed nets of several depths begin with the same layers; without it,
    PyTorch's own initialization stays.

    >>> [type(layer).__name__ for layer in mlp(1, 8)]
    ['Flatten', 'Linear', 'ReLU', 'Linear']
    """
    layers, inputs = [nn.Flatten()], num_inputs
    for _ in range(depth):
        layers += _block(_linear(inputs, width, init), norm, activation())
        inputs = width
    return nn.Sequential(*layers, _linear(inputs, num_outputs, init))


class Residual(nn.Module):
    r"""A block that adds its input to what its branch f makes of it.

    .. math:: y = x + \alpha \, f(x)

    alpha is 1. With `skipinit` it is a learned number that starts at 0, so that the
    block starts as the identity.

    Args:
        branch: a module whose output has the shape of its input.
        skipinit: whether to learn alpha.

    Attributes:
        alpha: the parameter, of shape (1,); None if not `skipinit`.

    Sources: He, Zhang, Ren and Sun, CVPR 2016; SkipInit is from De and Smith, NeurIPS
    2020.

    >>> x = torch.tensor([[-3.], [2.]])
    >>> Residual(nn.ReLU())(x).flatten().tolist()
    [-3.0, 4.0]
    >>> Residual(nn.ReLU(), skipinit=True)(x).flatten().tolist()
    [-3.0, 2.0]
    """

    def __init__(self, branch, skipinit=False):
        super().__init__()
        self.branch = branch
        self.alpha = nn.Parameter(torch.zeros(1)) if skipinit else None

    def forward(self, x):
        """The block's input, plus its branch's output."""
        out = self.branch(x)
        return x + (out if self.alpha is None else self.alpha * out)


def residual_mlp(
    depth,
    width,
    norm=None,
    skipinit=False,
    num_inputs=784,
    num_outputs=10,
    init=None,
):
    """A multilayer perceptron with skip connections: `depth` blocks of `width` units.

    A linear layer leads from the inputs, flattened, to the blocks; each of these is a
    `Residual` around normalization, if any, ReLU and linear layer. After the last block
    come normalization, ReLU and the linear layer for the outputs. Without the skip
    connections this is `mlp(depth + 1, width, norm)`. `init` is that of `mlp`.

    >>> [type(layer).__name__ for layer in residual_mlp(2, 8)]
    ['Flatten', 'Linear', 'Residual', 'Residual', 'ReLU', 'Linear']
    """

    def activation():
        return [norm(width, 2), nn.ReLU()] if norm else [nn.ReLU()]

    layers = [nn.Flatten(), _linear(num_inputs, width, init)]
    for _ in range(depth):
        branch = nn.Sequential(*activation(), _linear(width, width, init))
        layers.append(Residual(branch, skipinit))
    return nn.Sequential(*layers, *activation(), _linear(width, num_outputs, init))


def layer_outputs(net, X, kinds=nn.Linear):
    """What each layer of certain kinds puts out on the way of `X` through a net.

    Args:
        net: an `nn.Sequential`, such as `mlp` and `residual_mlp` make. Only its own
            layers are looked at, not those inside a `Residual`.
        X: a batch of inputs.
        kinds: a class, or a tuple of classes; linear layers by default, of which the
            last one gives the logits.

    Returns:
        A list of tensors, from the first layer up. Gradients flow through them.

    >>> [len(z[0]) for z in layer_outputs(mlp(2, 8), torch.zeros(1, 784))]
    [8, 8, 10]
    """
    outputs = []
    for layer in net:
        X = layer(X)
        if isinstance(layer, kinds):
            outputs.append(X)
    return outputs


def torch_batch_norm(num_features, num_dims):
    """PyTorch's own batch normalization, made the way `bn.BatchNorm` is.

    >>> torch_batch_norm(6, num_dims=4)
    BatchNorm2d(6, eps=1e-05, momentum=0.1, affine=True, ...)
    """
    return TORCH_LAYERS[num_dims](num_features)


def group_norm(num_groups):
    """What makes PyTorch's group normalization, the way `bn.BatchNorm` is made.

    Args:
        num_groups: groups in each layer; it must divide every number of features. With
            1, all features of an example share a mean, as in layer normalization.

    Source: Wu and He, ECCV 2018.

    >>> group_norm(2)(6, num_dims=4)
    GroupNorm(2, 6, eps=1e-05, affine=True...)
    """
    return lambda num_features, num_dims: nn.GroupNorm(num_groups, num_features)


@torch.no_grad()
def without_bias(net):
    """A copy of a net without the biases that batch normalization makes useless.

    Those are the biases of linear layers and convolutions right before a batch
    normalization. All other parameters are copied, so that in training both nets give
    the same, up to rounding. In evaluation mode they do so once the running means,
    which start at 0, have found the biases, too.

    Args:
        net: an `nn.Sequential`, such as `lenet` and `mlp` make.

    >>> net = without_bias(mlp(1, 8, BatchNorm))
    >>> [layer.bias is None for layer in (net[1], net[-1])]
    [True, False]
    """
    net = copy.deepcopy(net)
    for layer, following in itertools.pairwise(net):
        if isinstance(following, (BatchNorm, *TORCH_LAYERS.values())):
            layer.bias = None
    return net


def fold_all(net):
    """A copy of a net for prediction, each batch norm folded into the layer before it.

    Args:
        net: an `nn.Sequential`, such as `lenet` and `mlp` make. Each batch
            normalization in it, the book's or PyTorch's, comes right after a linear
            layer or convolution.

    Returns:
        An `nn.Sequential` in evaluation mode without batch normalization, which gives
        what `net` gives in evaluation mode, and shares nothing with it.

    Raises:
        TypeError, ValueError: as `fold`, for a layer that cannot be folded.

    >>> [type(layer).__name__ for layer in fold_all(mlp(1, 8, BatchNorm))]
    ['Flatten', 'Linear', 'ReLU', 'Linear']
    """
    layers = []
    for layer in copy.deepcopy(net):
        if isinstance(layer, (BatchNorm, *TORCH_LAYERS.values())):
            layers.append(fold(layers.pop() if layers else None, layer))
        else:
            layers.append(layer)
    return nn.Sequential(*layers).eval()


def _linear(inputs, outputs, init):
    """A linear layer, its weights drawn by `init` if that is given."""
    layer = nn.Linear(inputs, outputs)
    return layer if init is None else layer.apply(init)


def _block(linear, norm, activation, order=("norm", "activation")):
    """A linear or convolutional layer, and what follows it, in order.

    That is its normalization, if any, its activation and, if the order has it, the
    pooling of a convolution.
    """
    convolution = isinstance(linear, nn.Conv2d)
    followers = {"activation": activation}
    if norm is not None:
        followers["norm"] = norm(linear.weight.shape[0], 4 if convolution else 2)
    if convolution:
        followers["pool"] = nn.MaxPool2d(kernel_size=2, stride=2)
    return [linear, *(followers[name] for name in order if name in followers)]
