"""The measurements that the book shows but does not repeat on the page.

A record is a JSON file in `measurements/results/`. Each run in it has, besides its
numbers, the `stamp` of the machine and the day on which they were measured.
"""

import datetime
import json
import os
import platform
from pathlib import Path

import torch

RESULTS = Path(__file__).resolve().parent.parent / "measurements" / "results"


def read_record(name, default=None):
    """The record `name`, a dictionary; `default` if there is none and it is given.

    Raises:
        FileNotFoundError: there is no such record and no default.
    """
    path = RESULTS / f"{name}.json"
    if default is not None and not path.exists():
        return default
    return json.loads(path.read_text(encoding="utf-8"))


def write_record(name, record):
    """Store the dictionary `record` under `name`.

    A reader of the file never sees half of it: it is replaced in one step.

    Raises:
        TypeError, ValueError: JSON cannot represent the record; NaN and infinity, too,
            are not part of JSON. The old record is then still there.
    """
    text = json.dumps(record, separators=(",", ":"), allow_nan=False)
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def stamp(device):
    """Where, with what and when something is measured: for a run's `"measured"`.

    >>> list(stamp("cpu"))
    ['date', 'device', 'threads', 'python', 'torch']
    """
    return {
        "date": datetime.date.today().isoformat(),
        "device": describe_device(torch.device(device)),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def describe_device(device):
    """A name for the hardware: the accelerator's, or the processor's.

    >>> isinstance(describe_device(torch.device("cpu")), str)
    True
    """
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return device.type
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"
