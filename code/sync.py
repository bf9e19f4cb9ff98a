"""Batch normalization over a batch that lies in pieces on several workers.

A worker is one of the processes that train copies of one net together, each on its own
piece of every batch. Between processes on processors messages go by gloo, between GPUs
by NCCL. `torchrun` starts the workers, `workers` brings them together, and `convert`
gives a net layers that take their statistics over all pieces.

Sources: Chan, Golub and LeVeque, The American Statistician 37(3), 1983, join the
variances of two samples; Peng and others, CVPR 2018, normalize over several GPUs.
"""

import contextlib
import datetime
from collections import Counter

import torch
import torch.distributed as dist

from bn import TORCH_LAYERS, BatchNorm, batch_norm, constructor_arguments

# What this process has sent for its layers: "messages", and the "floats" in them.
sent = Counter()


@contextlib.contextmanager
def workers(backend=None, timeout=60, **options):
    """Join the other workers; leave them at the end, or when something goes wrong.

    Args:
        backend: "gloo" or "nccl"; None leaves the choice to torch.
        timeout: for how many seconds a worker waits for the others before it fails.
        options: more arguments of `torch.distributed.init_process_group`. None are
            needed in a program that `torchrun` has started.

    Yields:
        This worker's rank, from 0, and the number of workers.

    Raises:
        ConnectionError: a message between the workers failed; the likely causes are
            named.
    """
    limit = datetime.timedelta(seconds=timeout)
    with _explained("join the other workers"):
        dist.init_process_group(backend, timeout=limit, **options)
    try:
        with _explained("exchange gradients"):  # as DDP does
            yield dist.get_rank(), dist.get_world_size()
    finally:
        dist.destroy_process_group()


class AllReduce(torch.autograd.Function):
    r"""The sum of a tensor over all workers, with a gradient.

    .. math:: y_k = \sum_i x_i \quad \text{on each worker } k, \qquad
        \frac{\partial L}{\partial x_i} = \sum_k \frac{\partial L_k}{\partial y_k}

    L is the sum of the workers' losses. As what a worker puts in comes out on every
    worker, its gradient is gathered from all of them: the gradient of an all-reduce is
    an all-reduce. `torch.distributed.all_reduce` changes its tensor in place and sends
    nothing in the backward pass. Each pass is one message. Every worker must call it,
    with a tensor of the same shape.
    """

    @staticmethod
    def forward(ctx, x, group):
        ctx.group = group
        total = x.clone(memory_format=torch.contiguous_format)
        with _message(total, group):
            dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx, grad):
        return AllReduce.apply(grad, ctx.group), None


class JointMoments(torch.autograd.Function):
    r"""Mean, biased variance and size of a batch that lies in pieces on all workers.

    .. math:: \mu = \sum_i \frac{n_i}{n} \mu_i, \qquad
        \sigma^2 = \sum_i \frac{n_i}{n} \left(\sigma_i^2 + (\mu_i - \mu)^2\right)

    where piece i has n_i values per channel. No squares of values are summed, so a
    mean that is large against the spread does no harm. The gradient with respect to a
    value x of any piece gathers what all workers make of the two statistics:

    .. math:: \frac{\partial L}{\partial x} = \frac{1}{n} \left( \sum_k
        \frac{\partial L_k}{\partial \mu} + 2 (x - \mu) \sum_k
        \frac{\partial L_k}{\partial \sigma^2} \right)

    One message in each pass: 2C + 1 floats forward, which every worker gets from every
    other, and 2C back, which are summed. Every worker must take part in both, one with
    an empty piece, too. There is a second derivative.

    Shapes: x (N, C, ...), N from 0; mean and variance (1, C, 1, ...); size (1,).
    """

    @staticmethod
    def forward(ctx, x, group):
        ctx.group = group
        n, features = x.numel() // x.shape[1], x.shape[1]
        own = x.new_zeros(2 * features + 1)
        if n:
            axes = [axis for axis in range(x.dim()) if axis != 1]
            var, mean = torch.var_mean(x, axes, correction=0)
            own = torch.cat([mean, var, own[-1:] + n])
        pieces = [torch.empty_like(own) for _ in range(dist.get_world_size(group))]
        with _message(own, group):
            dist.all_gather(pieces, own, group=group)
        means, variances, sizes = torch.stack(pieces).split([features, features, 1], 1)
        total = sizes.sum(0)
        mean = (sizes / total * means).sum(0)
        var = (sizes / total * (variances + (means - mean) ** 2)).sum(0)
        shape = (1, features) + (1,) * (x.dim() - 2)
        mean, var = mean.reshape(shape), var.reshape(shape)
        ctx.save_for_backward(x, mean, total)
        ctx.mark_non_differentiable(total)
        return mean, var, total

    @staticmethod
    def backward(ctx, grad_mean, grad_var, _):
        x, mean, total = ctx.saved_tensors
        grads = AllReduce.apply(torch.cat([grad_mean, grad_var]), ctx.group)
        grad_mean, grad_var = grads.split(1)
        return (grad_mean + 2 * (x - mean) * grad_var) / total, None


class SyncBatchNorm(BatchNorm):
    """Batch normalization with the statistics of the batch on all workers.

    In training mode it equals one `BatchNorm` on the joined batch: in outputs, in
    running statistics, and in the gradient with respect to its input, which is that of
    the sum of all workers' losses. The gradients of `gamma` and `beta` are those of
    the worker's own loss; their sum over the workers is that of the one layer. DDP
    takes their mean instead, as it does with every parameter's: so if each loss is a
    mean over a piece, and all pieces have the same size, what an optimizer gets is
    the gradient of the mean over the joined batch.

    In evaluation mode, without a process group and with one worker it is `BatchNorm`
    and sends nothing. Otherwise every worker must call it equally often, forward and
    backward; a piece may have any size, 0 included, if the whole has two values per
    channel.

    Args:
        process_group: the workers who share statistics; None means all.
        all others: those of `BatchNorm`.

    Raises:
        ConnectionError: a worker does not answer; the likely causes are named.
        what `BatchNorm` raises, the sizes taken over all workers.

    >>> SyncBatchNorm(1, num_dims=2)(torch.tensor([[1.], [7.], [9.], [15.]])).shape
    torch.Size([4, 1])
    """

    def __init__(self, *args, process_group=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.process_group = process_group

    def normalize(
        self, x, running_mean, running_var, gamma, beta, training, momentum, eps
    ):
        """What `bn.batch_norm` computes, with statistics over all pieces."""
        if not self._talks():
            return batch_norm(
                x, running_mean, running_var, gamma, beta, training, momentum, eps
            )
        z = x.to(torch.promote_types(x.dtype, torch.float32))
        mean, var, n = JointMoments.apply(z, self.process_group)
        if x.numel() < 2 * self.num_features and n < 2:
            raise ValueError(
                "SyncBatchNorm expects at least 2 values per channel on all workers "
                f"together to compute batch statistics, but got {int(n)}"
            )
        if running_mean is not None:
            with torch.no_grad():
                running_mean += momentum * (mean - running_mean)
                running_var += momentum * (var * n / (n - 1) - running_var)
        return batch_norm(x, mean, var, gamma, beta, eps=eps)

    def _talks(self):
        return (
            self.training
            and dist.is_available()
            and dist.is_initialized()
            and dist.get_world_size(self.process_group) > 1
        )

    def _check_size(self, x):
        if not self._talks():
            super()._check_size(x)


def convert(net, process_group=None):
    """Replace every `BatchNorm` in `net` by a `SyncBatchNorm`, in place.

    Parameters, buffers and modes are kept. Subclasses of `BatchNorm` stay as they are.

    Args:
        net: a module.
        process_group: the workers who share statistics; None means all.

    Returns:
        `net`; if it is itself a `BatchNorm`, the layer that replaces it.

    Raises:
        TypeError: `net` contains a batch normalization of torch, which would go on
            without the other workers. `bn.from_torch` copies it into a `BatchNorm`.

    >>> convert(torch.nn.Sequential(BatchNorm(3, num_dims=2)))[0]
    SyncBatchNorm(3, num_dims=2, eps=1e-05, momentum=0.1, ...)
    """
    theirs = tuple(TORCH_LAYERS.values())
    made = {}
    for name, module in net.named_modules():
        if isinstance(module, theirs):
            kind = type(module).__name__
            raise TypeError(f"convert expects bn.BatchNorm, but {name!r} is a {kind}")
        if type(module) is BatchNorm:
            made[module] = _synchronized(module, process_group)
    for name, module in list(net.named_modules(remove_duplicate=False)):
        if name and module in made:
            parent, _, child = name.rpartition(".")
            setattr(net.get_submodule(parent), child, made[module])
    return made.get(net, net)


def _synchronized(layer, process_group):
    new = SyncBatchNorm(
        num_dims=layer.num_dims,
        process_group=process_group,
        **constructor_arguments(layer),
    )
    for name, tensor in (*layer.named_parameters(), *layer.named_buffers()):
        setattr(new, name, tensor)
    new.track_running_stats = layer.track_running_stats
    return new.train(layer.training)


@contextlib.contextmanager
def _message(tensor, group):
    """Count a message of this process, and explain its failure."""
    with _explained("exchange batch statistics"):
        yield
    sent["messages"] += 1
    sent["floats"] += tensor.numel()


@contextlib.contextmanager
def _explained(purpose):
    """Say what is likely to have happened when a message between workers fails."""
    try:
        yield
    except RuntimeError as error:
        # Gloo's errors have no class of their own, but begin with a file of its source.
        if not (isinstance(error, dist.DistError) or "/gloo/" in str(error)):
            raise
        who = f"worker {dist.get_rank()}" if dist.is_initialized() else "a worker"
        raise ConnectionError(
            f"{who} could not {purpose}. Likely another worker has ended (then its "
            "own error says why), has run fewer steps, because its part of the data is "
            "smaller, calls other layers, or takes longer than the timeout. "
            f"torch says: {error}"
        ) from error
