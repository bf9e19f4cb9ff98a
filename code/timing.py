"""Timing: several functions take turns, so that a slow moment hits all of them."""

import statistics
import time

import torch

WARM_UP = 3  # calls: to compile, to record a CUDA graph, to replay it


def take_turns(functions, repetitions, device="cpu", least=0.02):
    """How many seconds a call of each function takes, measured in turns.

    Args:
        functions: a dictionary of functions without arguments, by name.
        repetitions: number of turns of each function.
        device: where they compute. Timings wait until it has finished.
        least: a function is called so often in its turn that it takes about as many
            seconds, and at least once.

    Returns:
        A dictionary of lists: for each name, the mean seconds of a call in each turn.

    Raises:
        ValueError: `repetitions` is less than 1.

    >>> seconds = take_turns({"nothing": lambda: None}, 5, least=0.001)
    >>> len(seconds["nothing"])
    5
    """
    if repetitions < 1:
        raise ValueError(f"repetitions must be at least 1, got {repetitions}")
    calls = {}
    for name, function in functions.items():
        for _ in range(WARM_UP):
            once = _seconds(function, 1, device)
        calls[name] = max(1, round(least / max(once, 1e-7)))
    turns = {name: [] for name in functions}
    for _ in range(repetitions):
        for name, function in functions.items():
            turns[name].append(_seconds(function, calls[name], device) / calls[name])
    return turns


def medians(turns):
    """The median of what `take_turns` measured for each function.

    >>> medians({"a": [3.0, 1.0, 2.0]})
    {'a': 2.0}
    """
    return {name: statistics.median(values) for name, values in turns.items()}


def synchronize(device):
    """Wait until the device has done what it was told; a processor always has."""
    if torch.device(device).type != "cpu":
        torch.accelerator.synchronize(device)


def _seconds(function, calls, device):
    """Seconds that so many calls take, the device's part included."""
    synchronize(device)
    start = time.perf_counter()
    for _ in range(calls):
        function()
    synchronize(device)
    return time.perf_counter() - start
