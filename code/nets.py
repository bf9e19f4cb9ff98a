"""The networks that the chapters and the measurements train.

Every one takes `norm`, which makes a normalization layer from the number of features
and the number of axes of its input: `bn.BatchNorm` is one. Without it, the net has no
normalization.
"""

from torch import nn

from bn import TORCH_LAYERS


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


def mlp(depth, width, norm=None, activation=nn.ReLU, num_inputs=784, num_outputs=10):
    """A multilayer perceptron with `depth` hidden layers of `width` units.

    Inputs of any shape are flattened to `num_inputs`; `norm` comes before each
    activation.

    >>> [type(layer).__name__ for layer in mlp(1, 8)]
    ['Flatten', 'Linear', 'ReLU', 'Linear']
    """
    layers, inputs = [nn.Flatten()], num_inputs
    for _ in range(depth):
        layers += _block(nn.Linear(inputs, width), norm, activation())
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, num_outputs))


def torch_batch_norm(num_features, num_dims):
    """PyTorch's own batch normalization, made the way `bn.BatchNorm` is.

    >>> torch_batch_norm(6, num_dims=4)
    BatchNorm2d(6, eps=1e-05, momentum=0.1, affine=True, ...)
    """
    return TORCH_LAYERS[num_dims](num_features)


def _block(linear, norm, activation):
    """A linear or convolutional layer, its normalization if any, its activation."""
    if norm is None:
        return [linear, activation]
    num_dims = 4 if isinstance(linear, nn.Conv2d) else 2
    return [linear, norm(linear.weight.shape[0], num_dims), activation]
