"""Turns and their medians, `code/timing.py`; nobody's seconds are judged."""

import time

import pytest

import timing
from timing import medians, synchronize, take_turns


def test_functions_take_turns():
    called = []
    functions = {name: lambda name=name: called.append(name) for name in "ab"}
    seconds = take_turns(functions, 4, least=0)
    warm_up = timing.WARM_UP
    assert called == [*warm_up * "a", *warm_up * "b", *4 * ["a", "b"]]
    assert {name: len(values) for name, values in seconds.items()} == {"a": 4, "b": 4}


def test_a_turn_has_as_many_calls_as_its_time_allows(monkeypatch):
    clock = 0.0

    def call():
        nonlocal clock
        clock += 0.25

    monkeypatch.setattr(time, "perf_counter", lambda: clock)
    seconds = take_turns({"quarter": call}, 2, least=1)
    assert seconds == {"quarter": [0.25, 0.25]}
    assert clock == 0.25 * (timing.WARM_UP + 2 * 4)


def test_the_device_is_waited_for_before_and_after(monkeypatch):
    happened = []
    monkeypatch.setattr(
        timing.torch.accelerator, "synchronize", lambda device: happened.append(device)
    )
    take_turns({"": lambda: happened.append("call")}, 1, "cuda", least=0)
    once = ["cuda", "call", "cuda"]
    assert happened == (timing.WARM_UP + 1) * once
    happened.clear()
    synchronize("cpu")
    assert happened == []


def test_there_is_at_least_one_turn():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        take_turns({}, 0)


def test_medians_are_taken_by_name():
    assert medians({"a": [1.0, 9.0, 2.0], "b": [4.0]}) == {"a": 2.0, "b": 4.0}
