"""What autograd keeps in memory for the way back."""

import torch


def bytes_saved(function, *inputs):
    """Count the bytes that are kept for the backward pass when `function` is called.

    A storage counts once, however many tensors look at it, and as a whole. It counts
    also if something else keeps it anyway, as an input or a parameter.

    Args:
        function: a module, or any other function of tensors.
        inputs: what it is called with. Unless one of them, or a parameter, requires a
            gradient, nothing is kept.

    Returns:
        The number of bytes.

    >>> x = torch.ones(10, requires_grad=True)  # 40 bytes
    >>> bytes_saved(torch.exp, x), bytes_saved(torch.sin, x), bytes_saved(torch.neg, x)
    (40, 40, 0)
    """
    storages = {}  # holding them, so that no place in memory is used twice

    def keep(tensor):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        function(*inputs)
    return sum(storage.nbytes() for storage in storages.values())
