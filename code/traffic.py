"""Counting what a computation moves through memory, call by call."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def traffic(function):
    """The bytes that each call inside `function()` reads and writes.

    A call is one of PyTorch's operations, those of a backward pass included. It counts
    as reading each of its inputs once and writing each of its outputs once. What one
    call does inside, such as reading its input twice, cannot be seen; nor can caches.
    A tensor that is changed in place counts as read, too, even by `copy_`.
    Calls that only look at a tensor in another shape move nothing and are left out.

    Returns:
        A list of pairs, in order: the name of the operation, and its bytes.

    >>> x = torch.ones(1000)  # 4000 bytes
    >>> traffic(lambda: (2 * x.view(10, 100)).sum())
    [('mul', 8000), ('sum', 4004)]
    """
    with _Count() as count:
        function()
    return count.calls


class _Count(TorchDispatchMode):
    """While it is active, every operation comes by here."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        read, written = _tensors((args, kwargs)), _tensors(out)
        places = {tensor.untyped_storage().data_ptr() for tensor in read}
        if not func._schema.is_mutable:
            written = [
                tensor
                for tensor in written
                if tensor.untyped_storage().data_ptr() not in places
            ]
            if not written:
                return out  # a view
        size = sum(map(_bytes, [*read, *written]))
        self.calls.append((func.overloadpacket.__name__, size))
        return out


def _tensors(values):
    return [value for value in tree_leaves(values) if isinstance(value, torch.Tensor)]


def _bytes(tensor):
    """What it takes in memory: a value that is repeated along an axis is there once."""
    return min(tensor.nbytes, tensor.untyped_storage().nbytes())
