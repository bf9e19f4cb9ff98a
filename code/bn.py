"""Batch normalization from scratch.

`batch_norm` is the mathematics and `BatchNorm` is the bookkeeping around it: the
parameters, the running statistics and the two modes. `ClosedFormBatchNorm` is the same
layer with its gradient written out, by `Normalize`, instead of left to autograd. All of
them agree with PyTorch's own `torch.nn.BatchNorm1d`, `2d` and `3d`, which
`tests/test_bn.py` holds them to.

Source: Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training
by Reducing Internal Covariate Shift", ICML 2015, Algorithms 1 and 2.
"""

import copy
import itertools
import math

import torch
from torch import nn

# Torch's layer for inputs with so many axes.
TORCH_LAYERS = {
    2: nn.BatchNorm1d,
    3: nn.BatchNorm1d,
    4: nn.BatchNorm2d,
    5: nn.BatchNorm3d,
}


def batch_norm(
    x,
    running_mean=None,
    running_var=None,
    gamma=None,
    beta=None,
    training=False,
    momentum=0.1,
    eps=1e-5,
):
    r"""Normalize each channel of a batch, then scale and shift it.

    .. math:: y = \gamma \, \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    The statistics mu and sigma^2 (biased: divided by the number of values) are the
    batch's own when `training` is true or when there are no running statistics.
    Otherwise they are the running ones. In training, the running statistics move,
    in place, a fraction `momentum` of the way towards the batch's mean and its
    unbiased variance.

    Args:
        x: a batch of shape (N, C, ...), with the channels on axis 1.
        running_mean, running_var: tensors that broadcast against `x`, such as
            (1, C) or (1, C, 1, 1), or None.
        gamma, beta: scale and shift of the same shape, or None for 1 and 0.
        training: whether to use and record the statistics of this batch.
        momentum: weight of this batch in the running statistics, from 0 to 1.
        eps: added to the variance, in the square of the unit of `x`.

    Returns:
        A tensor with the shape and dtype of `x`. Half precision is computed in
        single precision inside.

    It checks nothing; `BatchNorm` refuses bad input before it calls this function.

    Source: Ioffe and Szegedy (2015), Algorithm 1.

    >>> x = torch.tensor([[1.], [7.], [9.], [15.]])
    >>> batch_norm(x, eps=0).flatten()
    tensor([-1.4000, -0.2000,  0.2000,  1.4000])
    """
    z = x.to(torch.promote_types(x.dtype, torch.float32))
    if training or running_mean is None:
        axes = _all_but_channels(z)
        mean = z.mean(axes, keepdim=True)
        z = z - mean
        var = z.square().mean(axes, keepdim=True)
        if running_mean is not None:
            n = x.numel() // x.shape[1]  # values per channel
            with torch.no_grad():
                running_mean += momentum * (mean - running_mean)
                running_var += momentum * (var * n / (n - 1) - running_var)
    else:
        z, var = z - running_mean, running_var
    z = z / torch.sqrt(var + eps)
    if gamma is not None:
        z = gamma * z
    if beta is not None:
        z = z + beta
    return z.to(x.dtype)


class BatchNorm(nn.Module):
    r"""Batch normalization of inputs with 2 to 5 axes, the channels on axis 1.

    .. math:: y = \gamma \, \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    In training mode mu and sigma^2 come from the batch, over all axes but the
    channels'; in evaluation mode they are the running statistics collected in
    training. One class serves `nn.BatchNorm1d` (`num_dims` 2 or 3), `nn.BatchNorm2d`
    (4) and `nn.BatchNorm3d` (5).

    Args:
        num_features: number of channels C.
        num_dims: number of axes of the input: 2 for (N, C), 3 for (N, C, L),
            4 for (N, C, H, W), 5 for (N, C, D, H, W).
        eps: added to the variance, so that a constant channel divides by no zero.
        momentum: weight of the newest batch in the running statistics. None gives
            every batch the same weight (a cumulative average).
        affine: whether to learn a scale `gamma` and a shift `beta` per channel.
        track_running_stats: whether to keep running statistics. Without them the
            layer uses the batch's statistics in both modes.

    Attributes:
        gamma, beta: parameters, 1 and 0 at first, of shape (1, C, 1, ...), with
            `num_dims` axes; None if not `affine`.
        running_mean, running_var: buffers of the same shape, 0 and 1 at first; None
            if not tracked. The running variance is the unbiased one.
        num_batches_tracked: buffer, number of batches seen in training.
        normalize: the function that computes, `batch_norm`. A subclass can put one
            with the same arguments in its place.

    Shape:
        Input and output: (N, C) up to (N, C, D, H, W), as `num_dims` says.

    Raises:
        TypeError: an argument or the input is of the wrong type.
        ValueError: an argument is out of range; or the input has another number of
            axes or channels, or, where batch statistics are needed, fewer than two
            values per channel. The running statistics are then left as they were.

    Source: Ioffe and Szegedy (2015), sections 3 to 3.2.

    >>> layer = BatchNorm(1, num_dims=2)
    >>> _ = layer(torch.tensor([[1.], [7.], [9.], [15.]]))
    >>> layer.running_mean.item(), layer.running_var.item()  # 0.1*8, 0.9+0.1*100/3
    (0.800..., 4.233...)
    """

    normalize = staticmethod(batch_norm)

    def __init__(
        self,
        num_features,
        num_dims,
        eps=1e-5,
        momentum=0.1,
        affine=True,
        track_running_stats=True,
    ):
        super().__init__()
        _check_arguments(num_features, num_dims, eps, momentum)
        self.num_features, self.num_dims = num_features, num_dims
        self.eps, self.momentum = eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        shape = (1, num_features) + (1,) * (num_dims - 2)
        for name, value in (("gamma", torch.ones), ("beta", torch.zeros)):
            parameter = nn.Parameter(value(shape)) if affine else None
            self.register_parameter(name, parameter)
        for name, value in (
            ("running_mean", torch.zeros(shape)),
            ("running_var", torch.ones(shape)),
            ("num_batches_tracked", torch.tensor(0)),
        ):
            self.register_buffer(name, value if track_running_stats else None)

    def forward(self, x):
        """Normalize the batch `x`; in training mode, record its statistics."""
        self._check_input(x)
        mean, var, momentum = self.running_mean, self.running_var, self.momentum
        if self.training and not self.track_running_stats:
            mean = var = None  # nothing to record
        recording = self.training and mean is not None
        if recording and momentum is None:
            momentum = 1 / (self.num_batches_tracked + 1).to(var.dtype)
        y = self.normalize(  # batch_norm, unless a subclass has another function
            x,
            mean,
            var,
            self.gamma,
            self.beta,
            self.training,
            momentum,
            self.eps,
        )
        if recording:
            self.num_batches_tracked += 1
        return y

    def reset_running_stats(self):
        """Forget the batches seen so far: mean 0, variance 1, count 0."""
        if self.track_running_stats and self.running_mean is not None:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self):
        """Return to the state after construction: gamma 1, beta 0, no statistics."""
        self.reset_running_stats()
        if self.affine:
            nn.init.ones_(self.gamma)
            nn.init.zeros_(self.beta)

    def extra_repr(self):
        return (
            f"{self.num_features}, num_dims={self.num_dims}, eps={self.eps}, "
            f"momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )

    def _check_input(self, x):
        """Refuse an input that would give a wrong answer instead of none."""
        expected = f"BatchNorm expects a batch with {self.num_dims} axes, channels on "
        expected += f"axis 1 and {self.num_features} of them, but got "
        if not isinstance(x, torch.Tensor):
            raise TypeError(f"{expected}a {type(x).__name__} instead of a tensor")
        if x.dim() != self.num_dims or x.shape[1] != self.num_features:
            raise ValueError(f"{expected}shape {tuple(x.shape)}")
        if not x.is_floating_point():
            raise TypeError(f"BatchNorm expects floating-point values, got {x.dtype}")
        if self.training or self.running_mean is None:
            self._check_size(x)

    def _check_size(self, x):
        """Refuse a batch that has no statistics, or useless ones."""
        n = x.numel() // self.num_features
        if n < 2:
            raise ValueError(
                "BatchNorm expects at least 2 values per channel to compute "
                f"batch statistics, but shape {tuple(x.shape)} has {n}"
            )


class Normalize(torch.autograd.Function):
    r"""Normalize by given statistics, scale and shift; the gradient is in closed form.

    .. math:: \frac{\partial L}{\partial x_i} =
        \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}} \Bigl(g_i - \frac{1}{m} \sum_j g_j
        - \frac{\hat{x}_i}{m} \sum_j g_j \hat{x}_j \Bigr)

    Here g is the gradient of a loss L by the output, and the sums run over the m
    values of a channel: they are the gradients by beta and gamma. Where the statistics
    are constants, only the first term is left.

    Args of `Normalize.apply`, by position:
        x, gamma, beta, eps: as in `batch_norm`.
        mean, var: the biased statistics, of shape (1, C, ...). No gradient goes there.
        of_batch: whether they are those of `x` itself, or constants.

    Returns:
        A tensor with the shape and dtype of `x`. For its gradients, which have any
        order, it keeps `x`, `gamma` and two numbers per channel.

    Source: Ioffe and Szegedy (2015), section 3, has the gradient step by step.

    >>> x = torch.tensor([[1.], [7.], [9.], [15.]], requires_grad=True)
    >>> var, mean = torch.var_mean(x.detach(), correction=0)
    >>> Normalize.apply(x, None, None, mean, var, True, 0.0)[0].backward()
    >>> x.grad.flatten()
    tensor([ 0.0520, -0.0640, -0.0360,  0.0480])
    """

    @staticmethod
    def forward(ctx, x, gamma, beta, mean, var, of_batch, eps):
        inv_std = torch.rsqrt(var + eps)
        needs_x, needs_gamma, *_ = ctx.needs_input_grad
        kept = x if needs_gamma or (of_batch and needs_x) else None
        ctx.save_for_backward(kept, gamma, mean, inv_std)
        ctx.of_batch, ctx.eps = of_batch, eps
        scale = inv_std if gamma is None else gamma * inv_std
        shift = -mean * scale if beta is None else beta - mean * scale
        return torch.addcmul(shift, _at_least_single(x), scale).to(x.dtype)

    @staticmethod
    def backward(ctx, dy):
        x, gamma, mean, inv_std = ctx.saved_tensors
        needs_x, needs_gamma, needs_beta, *_ = ctx.needs_input_grad
        g, axes = _at_least_single(dy), _all_but_channels(dy)
        dx = dgamma = dbeta = None
        if needs_beta or x is not None:
            dbeta = g.sum(axes, keepdim=True)
        if x is not None:
            z = _at_least_single(x)
            if ctx.of_batch and torch.is_grad_enabled():
                # For second derivatives the statistics must depend on x.
                var, mean = torch.var_mean(z, axes, correction=0, keepdim=True)
                inv_std = torch.rsqrt(var + ctx.eps)
            dgamma = ((g * z).sum(axes, keepdim=True) - mean * dbeta) * inv_std
        if needs_x:
            scale = inv_std if gamma is None else gamma * inv_std
            if ctx.of_batch:  # g, x and 1, each times a number per channel
                m = z.numel() // z.shape[1]
                slope = -scale * inv_std * dgamma / m
                constant = -scale * dbeta / m - slope * mean
                dx = torch.addcmul(constant, z, slope).addcmul_(g, scale)
            else:
                dx = scale * g
            dx = dx.to(dy.dtype)
        dgamma = dgamma if needs_gamma else None
        dbeta = dbeta if needs_beta else None
        return dx, dgamma, dbeta, None, None, None, None


def closed_form_batch_norm(
    x,
    running_mean=None,
    running_var=None,
    gamma=None,
    beta=None,
    training=False,
    momentum=0.1,
    eps=1e-5,
):
    """Compute what `batch_norm` does, with the gradient in closed form.

    Arguments and results are those of `batch_norm`, up to rounding: scale and shift
    are folded into one multiplication and addition. No gradient goes to the running
    statistics. See `Normalize` for the formula and for what is kept.

    Source: Ioffe and Szegedy (2015), Algorithm 1 and section 3.

    >>> x = torch.tensor([[1.], [7.], [9.], [15.]])
    >>> closed_form_batch_norm(x, eps=0).flatten()
    tensor([-1.4000, -0.2000,  0.2000,  1.4000])
    """
    z = _at_least_single(x.detach())
    of_batch = training or running_mean is None
    if of_batch:
        axes = _all_but_channels(z)
        mean = z.mean(axes, keepdim=True)
        # In two passes, each vectorized: on a CPU much faster than torch.var_mean.
        var = (z - mean).square_().mean(axes, keepdim=True)
        if running_mean is not None:
            n = z.numel() // z.shape[1]  # values per channel
            running_mean += momentum * (mean - running_mean)
            running_var += momentum * (var * n / (n - 1) - running_var)
    else:  # a copy, as the next batch may change the original before backward
        mean, var = running_mean.to(z.dtype, copy=True), running_var.to(z.dtype)
    return Normalize.apply(x, gamma, beta, mean, var, of_batch, eps)


class ClosedFormBatchNorm(BatchNorm):
    """A `BatchNorm` with its gradient in closed form.

    It computes the same, up to rounding, and keeps less for the backward pass: its
    input and a few numbers per channel. The transforms of `torch.func` refuse it.

    >>> ClosedFormBatchNorm(6, num_dims=4)
    ClosedFormBatchNorm(6, num_dims=4, eps=1e-05, momentum=0.1, affine=True, ...)
    """

    normalize = staticmethod(closed_form_batch_norm)


@torch.no_grad()
def recalibrate(net, batches):
    """Replace all running statistics in `net` by averages over `batches`.

    A moving average lags behind weights that move. This is the procedure of the paper
    instead: freeze the weights, send batches through, and average their means and
    their unbiased variances, every batch with the same weight.

    With batches of one size, the mean of the first layer's inputs is exact, and the
    variance right on average over how the data may fall into batches. Deeper layers
    get inputs that the layers below normalized by each batch's own statistics, as in
    training, so large batches, drawn at random, give the better estimate.

    Args:
        net: a module. Every `BatchNorm`, `nn.BatchNorm1d`, `2d` and `3d` in it that
            tracks running statistics is recalibrated, and so are subclasses of these
            (`nn.SyncBatchNorm` is none). All other parts run in evaluation mode. A
            net without such layers stays as it is.
        batches: an iterable of inputs to `net`, on its device.

    Returns:
        `net`, whose modes and momenta are as they were.

    Raises:
        ValueError: there are no batches.
        Whatever `net` raises for a batch. After any error, an interrupt included, the
        statistics are as they were.

    Source: Ioffe and Szegedy (2015), Algorithm 2, steps 7 to 12.

    >>> batches = [torch.tensor([[1.], [3.]]), torch.tensor([[5.], [9.]])]
    >>> layer = recalibrate(BatchNorm(1, num_dims=2), batches)
    >>> layer.running_mean.item(), layer.running_var.item()  # (2 + 7)/2, (2 + 8)/2
    (4.5, 5.0)
    """
    batches = iter(batches)
    try:
        first = next(batches)
    except StopIteration:
        raise ValueError("recalibrate expects at least one batch, got none") from None
    kinds = (BatchNorm, *TORCH_LAYERS.values())
    layers = [
        module
        for module in net.modules()
        if isinstance(module, kinds)
        and module.track_running_stats
        and module.running_mean is not None
    ]
    old = [(buffer, buffer.clone()) for layer in layers for buffer in layer.buffers()]
    modes = {module: module.training for module in net.modules()}
    momenta = {layer: layer.momentum for layer in layers}
    net.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # every batch has the same weight
        layer.train()
    try:
        for X in itertools.chain([first], batches):
            net(X)
    except BaseException:
        for buffer, value in old:
            buffer.copy_(value)
        raise
    finally:
        for layer, momentum in momenta.items():
            layer.momentum = momentum
        for module, mode in modes.items():
            module.training = mode
    return net


@torch.no_grad()
def fold(linear, norm):
    r"""Fold batch normalization into the linear layer or convolution before it.

    In evaluation mode both are affine maps, and so is one after the other:

    .. math:: W' = s W, \quad b' = s (b - \hat\mu) + \beta, \quad
              s = \frac{\gamma}{\sqrt{\hat\sigma^2 + \epsilon}}

    with one s for each output of the linear layer, or channel of the convolution.

    Args:
        linear: an `nn.Linear`, `nn.Conv1d`, `nn.Conv2d` or `nn.Conv3d`.
        norm: the `BatchNorm`, or one of PyTorch's, that follows it; its running
            statistics are used, whatever mode it is in.

    Returns:
        A copy of `linear`, with a bias, that gives what both give in evaluation mode.

    Raises:
        TypeError: one of the two layers is of another kind.
        ValueError: they do not fit, or `norm` has no running statistics.

    >>> linear, norm = nn.Linear(1, 1), BatchNorm(1, num_dims=2, eps=0)
    >>> for tensor, value in zip(
    ...     (linear.weight, linear.bias, norm.running_mean, norm.running_var),
    ...     (2, 1, 8, 25), strict=True,
    ... ):
    ...     _ = tensor.data.fill_(value)
    >>> folded = fold(linear, norm)  # (2x + 1 - 8)/5
    >>> folded.weight.item(), folded.bias.item()
    (0.4..., -1.39...)
    """
    if not isinstance(linear, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        raise TypeError(f"expected a linear layer, got {type(linear).__name__}")
    if not isinstance(norm, BatchNorm):
        norm = from_torch(norm)
    channels, weight = len(linear.weight), linear.weight
    if norm.num_features != channels:
        raise ValueError(f"{channels} outputs, but {norm.num_features} features")
    if norm.running_mean is None:
        raise ValueError("a layer without running statistics cannot be folded")
    scale = 1 / torch.sqrt(norm.running_var + norm.eps).flatten()
    shift = -scale * norm.running_mean.flatten()
    if norm.affine:
        scale, shift = (norm.gamma.flatten() * v for v in (scale, shift))
        shift = shift + norm.beta.flatten()
    if linear.bias is not None:
        shift = shift + scale * linear.bias
    scale = scale.reshape(-1, *[1] * (weight.dim() - 1))
    folded = copy.deepcopy(linear)
    folded.weight = nn.Parameter((scale * weight).to(weight.dtype))
    folded.bias = nn.Parameter(shift.to(weight.dtype))
    return folded


def from_torch(layer, num_dims=None, kind=BatchNorm):
    """Copy an `nn.BatchNorm1d`, `2d` or `3d` into a `BatchNorm`.

    Args:
        layer: the layer to copy; its parameters and statistics are cloned.
        num_dims: number of axes of the input. Only `nn.BatchNorm1d` leaves a choice:
            2, the default, or 3.
        kind: `BatchNorm`, or a subclass of it to copy into.

    Raises:
        TypeError: `layer` is none of the three.
        ValueError: `layer` does not take inputs with `num_dims` axes.

    >>> from_torch(nn.BatchNorm2d(6)).gamma.shape
    torch.Size([1, 6, 1, 1])
    """
    given = type(layer)
    dims = tuple(axes for axes, known in TORCH_LAYERS.items() if known is given)
    if not dims:
        names = ", ".join(dict.fromkeys(k.__name__ for k in TORCH_LAYERS.values()))
        raise TypeError(f"expected one of {names}, got {given.__name__}")
    num_dims = dims[0] if num_dims is None else num_dims
    if num_dims not in dims:
        raise ValueError(f"{given.__name__} takes {dims} axes, not {num_dims}")
    copy = kind(num_dims=num_dims, **constructor_arguments(layer))
    _copy_state(layer, copy, dict(zip(_TORCH_NAMES, _OUR_NAMES, strict=True)))
    return copy


def to_torch(layer):
    """Copy a `BatchNorm` into the `nn.BatchNorm1d`, `2d` or `3d` that equals it.

    Raises:
        TypeError: `layer` is neither a `BatchNorm` nor a `ClosedFormBatchNorm`; other
            subclasses may compute something else.

    >>> to_torch(BatchNorm(6, num_dims=4))
    BatchNorm2d(6, eps=1e-05, momentum=0.1, affine=True, ...)
    """
    if type(layer) not in (BatchNorm, ClosedFormBatchNorm):
        raise TypeError(f"expected a BatchNorm, got {type(layer).__name__}")
    copy = TORCH_LAYERS[layer.num_dims](**constructor_arguments(layer))
    _copy_state(layer, copy, dict(zip(_OUR_NAMES, _TORCH_NAMES, strict=True)))
    return copy


def constructor_arguments(layer):
    """The arguments that make a layer like this one, of either library.

    Args:
        layer: a `BatchNorm` or one of PyTorch's.

    >>> constructor_arguments(nn.BatchNorm2d(6))["num_features"]
    6
    """
    names = ("num_features", "eps", "momentum", "affine")
    arguments = {name: getattr(layer, name) for name in names}
    # The attribute may have been switched off since; the statistics are still there.
    return {**arguments, "track_running_stats": layer.running_mean is not None}


def _at_least_single(x):
    """`x` itself or, in place of half precision, `x` in single precision."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _all_but_channels(x):
    """The axes over which statistics are taken."""
    return [axis for axis in range(x.dim()) if axis != 1]


_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_OUR_NAMES = ("gamma", "beta", *_STATISTICS)
_TORCH_NAMES = ("weight", "bias", *_STATISTICS)


def _copy_state(source, target, new_names):
    """Copy parameters, buffers, dtype, device and mode from one layer to the other."""
    state = source.state_dict()
    for tensor in state.values():
        if tensor.is_floating_point():
            target.to(tensor.device, tensor.dtype)
            break
    renamed = {new_names[name]: tensor for name, tensor in state.items()}
    target.load_state_dict(
        {
            name: renamed.get(name, tensor).reshape(tensor.shape)
            for name, tensor in target.state_dict().items()
        }
    )
    trained = {new_names[k] for k, p in source.named_parameters() if p.requires_grad}
    for name, parameter in target.named_parameters():
        # Newer versions of torch can leave the bias out: a shift that stays 0.
        parameter.requires_grad_(name in trained)
    target.track_running_stats &= source.track_running_stats
    target.train(source.training)


def _check_arguments(num_features, num_dims, eps, momentum):
    """Refuse constructor arguments that make no sense."""
    for name, value in (("num_features", num_features), ("num_dims", num_dims)):
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name} must be an int, got {value!r}")
    if num_features < 1:
        raise ValueError(f"num_features must be at least 1, got {num_features}")
    if not 2 <= num_dims <= 5:
        raise ValueError(f"num_dims must be 2, 3, 4 or 5, got {num_dims}")
    optional = {} if momentum is None else {"momentum": momentum}
    for name, value in {"eps": eps, **optional}.items():
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise TypeError(f"{name} must be a number, got {value!r}")
    if not (math.isfinite(eps) and eps >= 0):
        raise ValueError(f"eps must be finite and not negative, got {eps}")
    if momentum is not None and not 0 <= momentum <= 1:
        raise ValueError(f"momentum must be from 0 to 1, or None, got {momentum}")
