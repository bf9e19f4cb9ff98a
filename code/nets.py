"""The networks that the chapters and the measurements train.

Every one takes `norm`, which makes a normalization layer from the number of features
and the number of axes of its input: `bn.BatchNorm` is one. Without it, the net has no
normalization.
"""

import copy

import torch
from torch import nn

from bn import TORCH_LAYERS, BatchNorm, fold


def lenet(norm=None):
    """LeNet with sigmoids for 28 x 28 images in 10 classes.

    Two convolutions and three linear layers; `norm` comes before each sigmoid.
    Source: LeCun, Bottou, Bengio and Haffner, Proceedings of the IEEE, 1998, with
    max-pooling and without the original's padding.

    >>> sum(p.numel() for p in lenet().parameters())
    44426
    """
    return nn.Sequential(
        *_block(nn.Conv2d(1, 6, kernel_size=5), norm, nn.Sigmoid()),
        nn.MaxPool2d(kernel_size=2, stride=2),
        *_block(nn.Conv2d(6, 16, kernel_size=5), norm, nn.Sigmoid()),
        nn.MaxPool2d(kernel_size=2, stride=2),
        nn.Flatten(),
        *_block(nn.Linear(16 * 4 * 4, 120), norm, nn.Sigmoid()),
        *_block(nn.Linear(120, 84), norm, nn.Sigmoid()),
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


def _block(linear, norm, activation):
    """A linear or convolutional layer, its normalization if any, its activation."""
    if norm is None:
        return [linear, activation]
    num_dims = 4 if isinstance(linear, nn.Conv2d) else 2
    return [linear, norm(linear.weight.shape[0], num_dims), activation]
