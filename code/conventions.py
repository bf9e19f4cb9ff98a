"""What other frameworks call the same layer, and how to move one there and back.

`CONVENTIONS` has an entry for each framework: its names, its defaults, and which
momentum and which variance it means. `from_keras`, `from_flax` and `from_onnx` make a
`bn.BatchNorm` of plain arrays, and `to_keras`, `to_flax` and `to_onnx` give them back.
No framework is needed for that; `tests/test_conventions.py` compares entries and
converted layers with the frameworks themselves.
"""

from dataclasses import dataclass

import numpy as np
import torch

from bn import BatchNorm, ClosedFormBatchNorm


@dataclass(frozen=True)
class Convention:
    """Names and defaults of batch normalization in one framework.

    Attributes:
        names: of scale, shift, running mean and running variance.
        momentum: its default value.
        of_newest: whether the momentum is the weight of the newest batch in the
            running statistics. Otherwise it is the weight of the past.
        epsilon: the default value of what is added to the variance.
        correction: what is subtracted from the number of values m, to divide by, when
            a variance is recorded: 0 if it is biased, 1 if it is unbiased. All
            frameworks normalize by the biased one.
        axis: the channels' axis, by default.

    >>> CONVENTIONS["Keras"].newest(0.99)
    0.01
    """

    names: tuple
    momentum: float
    of_newest: bool
    epsilon: float
    correction: int
    axis: int

    def newest(self, momentum):
        """The weight of the newest batch, given the framework's momentum; or back.

        Raises:
            ValueError: the momentum is not from 0 to 1.
        """
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum must be from 0 to 1, got {momentum}")
        # 1 - 0.99 is 0.01 only up to rounding.
        return momentum if self.of_newest else round(1 - momentum, 15)

    def record(self, x, mean=0.0, var=1.0):
        r"""Running mean and variance after a training step, with the default momentum.

        .. math:: \hat\mu' = (1 - \alpha) \hat\mu + \alpha \mu, \quad
                  \hat\sigma'^2 = (1 - \alpha) \hat\sigma^2
                  + \alpha \tfrac{m}{m - c} \sigma^2

        Here alpha is the weight of the newest batch and c the correction.

        Args:
            x: a batch of shape (m, C), an array.
            mean, var: running statistics before the step, numbers or of shape (C,).

        >>> x = np.array([[1.0], [7.0], [9.0], [15.0]])
        >>> mean, var = CONVENTIONS["Keras"].record(x)  # 0.01*8, 0.99 + 0.01*25
        >>> mean.round(6), var.round(6)
        (array([0.08]), array([1.24]))
        """
        a = self.newest(self.momentum)
        batch_mean, batch_var = x.mean(0), x.var(0, ddof=self.correction)
        return (1 - a) * mean + a * batch_mean, (1 - a) * var + a * batch_var


_OURS = ("gamma", "beta", "running_mean", "running_var")
CONVENTIONS = {
    "this book": Convention(_OURS, 0.1, True, 1e-5, 1, axis=1),
    "PyTorch": Convention(
        ("weight", "bias", "running_mean", "running_var"), 0.1, True, 1e-5, 1, axis=1
    ),
    "Keras": Convention(
        ("gamma", "beta", "moving_mean", "moving_variance"), 0.99, False, 1e-3, 0, -1
    ),
    "Flax": Convention(("scale", "bias", "mean", "var"), 0.99, False, 1e-5, 0, -1),
    "ONNX": Convention(
        ("scale", "B", "input_mean", "input_var"), 0.9, False, 1e-5, 0, axis=1
    ),
}


def from_keras(
    gamma,
    beta,
    moving_mean,
    moving_variance,
    momentum=0.99,
    epsilon=1e-3,
    num_dims=2,
):
    """Make a `BatchNorm` of the arrays of a Keras `BatchNormalization`.

    The first four arguments are the layer's `get_weights()`, in their order. Keras has
    the channels last unless told otherwise: give the `BatchNorm` `x.movedim(-1, 1)`.

    Args:
        gamma, beta: scale and shift, of shape (C,). None stands for the missing one of
            a layer with `scale=False` or `center=False`; a 1 or 0 that is not trained
            takes its place. If both are None, the layer is not affine.
        moving_mean, moving_variance: running statistics of shape (C,). Their dtype
            becomes the layer's.
        momentum: Keras's, the weight of the past; the layer gets `1 - momentum`.
        epsilon: added to the variance.
        num_dims: number of axes of the input, from 2 to 5.

    Returns:
        A `BatchNorm` in training mode, with copies of the arrays. Its outputs are those
        of the Keras layer in both modes, and its running mean moves as there. Its
        running variance does not: Keras 3 goes on to record the biased variance, and
        `BatchNorm` the unbiased one, which is m/(m - 1) times as large.

    Raises:
        TypeError: an array has no floating-point values, or a setting is no number.
        ValueError: the arrays do not have one shape (C,), a variance is negative, or a
            setting is out of range.

    Source: https://keras.io/api/layers/normalization_layers/batch_normalization/

    >>> layer = from_keras([2.0], [3.0], [8.0], [25.0], epsilon=0).eval()
    >>> layer(torch.tensor([[15.0]], dtype=torch.float64)).item()  # 2*(15 - 8)/5 + 3
    5.8
    >>> layer.momentum
    0.01
    """
    arrays = gamma, beta, moving_mean, moving_variance
    return _layer("Keras", arrays, momentum, epsilon, num_dims)


def to_keras(layer):
    """Give the arrays and settings of a `BatchNorm` as Keras names them.

    Returns:
        A dict with the arguments of `from_keras` but `num_dims`. The arrays are copies
        of shape (C,); `gamma` and `beta` are None if the layer is not affine. The first
        four values are what a Keras layer's `set_weights` takes.

    Raises:
        TypeError: `layer` is neither a `BatchNorm` nor a `ClosedFormBatchNorm`.
        ValueError: it has no running statistics, or the momentum None, a cumulative
            average, which other frameworks do not have.

    >>> arrays = to_keras(BatchNorm(3, num_dims=4))
    >>> arrays["moving_variance"], arrays["momentum"]
    (array([1., 1., 1.], dtype=float32), 0.9)
    """
    return _arrays("Keras", layer)


def from_flax(scale, bias, mean, var, momentum=0.99, epsilon=1e-5, num_dims=2):
    """Make a `BatchNorm` of the arrays of a Flax `BatchNorm`, of `linen` or `nnx`.

    In `linen`, `scale` and `bias` are in the collection `params`, `mean` and `var` in
    `batch_stats`; in `nnx` they are attributes of the layer. All that `from_keras` says
    holds here, too: channels last, None for what the layer does without, momentum the
    weight of the past, and a biased running variance.

    Args:
        scale, bias: of shape (C,), or None.
        mean, var: running statistics of shape (C,). Their dtype becomes the layer's.
        momentum: Flax's; the layer gets `1 - momentum`.
        epsilon: added to the variance.
        num_dims: number of axes of the input, from 2 to 5.

    Returns:
        A `BatchNorm` in training mode, as from `from_keras`.

    Raises:
        TypeError, ValueError: as `from_keras`.

    Source: https://flax.readthedocs.io/en/latest/api_reference/flax.linen/layers.html

    >>> ones = np.ones(3, np.float32)
    >>> from_flax(ones, None, 0 * ones, ones, num_dims=4)
    BatchNorm(3, num_dims=4, eps=1e-05, momentum=0.01, affine=True, ...)
    """
    return _layer("Flax", (scale, bias, mean, var), momentum, epsilon, num_dims)


def to_flax(layer):
    """Give the arrays and settings of a `BatchNorm` as Flax names them.

    Returns:
        A dict with the arguments of `from_flax` but `num_dims`; see `to_keras`.

    Raises:
        TypeError, ValueError: as `to_keras`.

    >>> list(to_flax(BatchNorm(3, num_dims=4)))
    ['scale', 'bias', 'mean', 'var', 'momentum', 'epsilon']
    """
    return _arrays("Flax", layer)


def from_onnx(scale, B, input_mean, input_var, momentum=0.9, epsilon=1e-5, num_dims=4):
    """Make a `BatchNorm` of the inputs and attributes of an ONNX `BatchNormalization`.

    The channels are on axis 1, as here. The momentum is the weight of the past, and the
    variance that the operator records in training mode is biased.

    Args:
        scale, B: scale and shift, of shape (C,).
        input_mean, input_var: running statistics of shape (C,). Their dtype becomes
            the layer's.
        momentum: ONNX's; the layer gets `1 - momentum`.
        epsilon: added to the variance.
        num_dims: number of axes of the input, from 2 to 5.

    Returns:
        A `BatchNorm` in training mode, as from `from_keras`.

    Raises:
        TypeError, ValueError: as `from_keras`.

    Source: https://onnx.ai/onnx/operators/onnx__BatchNormalization.html, version 15.

    >>> from_onnx([1.0], [0.0], [8.0], [25.0], num_dims=2)
    BatchNorm(1, num_dims=2, eps=1e-05, momentum=0.1, affine=True, ...)
    """
    return _layer(
        "ONNX", (scale, B, input_mean, input_var), momentum, epsilon, num_dims
    )


def to_onnx(layer):
    """Give the inputs and attributes of the ONNX operator that equals a `BatchNorm`.

    Returns:
        A dict with the arguments of `from_onnx` but `num_dims`; see `to_keras`. The
        operator always has scale and shift: for a layer that is not affine, 1 and 0.

    Raises:
        TypeError, ValueError: as `to_keras`.

    >>> to_onnx(BatchNorm(2, num_dims=2, affine=False))["scale"]
    array([1., 1.], dtype=float32)
    """
    arrays = _arrays("ONNX", layer)
    if arrays["scale"] is None:
        arrays["scale"] = np.ones_like(arrays["input_mean"])
        arrays["B"] = np.zeros_like(arrays["input_mean"])
    return arrays


def _layer(framework, arrays, momentum, epsilon, num_dims):
    """Make a layer of scale, shift, mean and variance, the first two perhaps None."""
    convention = CONVENTIONS[framework]
    arrays = [None if array is None else np.array(array) for array in arrays]
    named = dict(zip(convention.names, arrays, strict=True))
    *_, mean, var = arrays
    _check(named, required=convention.names[2:])
    layer = BatchNorm(
        len(mean),
        num_dims,
        eps=epsilon,
        momentum=convention.newest(momentum),
        affine=not (arrays[0] is None and arrays[1] is None),
    ).to(torch.from_numpy(mean).dtype)
    for name, array in zip(_OURS, arrays, strict=True):
        tensor = getattr(layer, name)
        if array is not None:
            tensor.data.copy_(torch.from_numpy(array).reshape(tensor.shape))
        elif tensor is not None:
            tensor.requires_grad_(False)  # the framework's layer has none
    return layer


def _check(named, required):
    """Refuse arrays that cannot be the parameters and statistics of one layer."""
    shape = np.shape(named[required[0]])
    for name, array in named.items():
        if array is None and name not in required:
            continue
        if array is None or array.dtype.kind != "f":
            given = "None" if array is None else array.dtype
            raise TypeError(f"{name} must have floating-point values, got {given}")
        if array.ndim != 1 or array.shape != shape or not array.size:
            raise ValueError(
                f"{', '.join(named)} must have one shape (C,), but {name} has "
                f"{array.shape} and {required[0]} has {shape}"
            )
    if (named[required[1]] < 0).any():
        raise ValueError(f"{required[1]} must not be negative")


def _arrays(framework, layer):
    """The arrays and settings of a layer, by the names of a framework."""
    if type(layer) not in (BatchNorm, ClosedFormBatchNorm):
        raise TypeError(f"expected a BatchNorm, got {type(layer).__name__}")
    if layer.running_mean is None:
        raise ValueError(f"{framework} has no layer without running statistics")
    if layer.momentum is None:
        raise ValueError(f"{framework} has no cumulative average, momentum=None")
    convention = CONVENTIONS[framework]
    tensors = [getattr(layer, name) for name in _OURS]
    arrays = [
        None if t is None else t.detach().cpu().numpy().flatten() for t in tensors
    ]
    return {
        **dict(zip(convention.names, arrays, strict=True)),
        "momentum": convention.newest(layer.momentum),
        "epsilon": layer.eps,
    }
