"""Records of measurements, `code/records.py`."""

import datetime
import json
import os
import platform
from pathlib import Path

import pytest
import torch

import records
from records import describe_device, read_record, write_record


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    """A folder for the records that does not exist yet."""
    folder = tmp_path / "measurements" / "results"
    monkeypatch.setattr(records, "RESULTS", folder)
    return folder


def test_what_is_written_is_read_back():
    record = {"accuracy": [0.1, 0.25], "rates": {"0.01": 3}, "name": "Größe"}
    write_record("grid", record, "cpu")
    read = read_record("grid")
    assert {name: read[name] for name in record} == record
    assert read.keys() - record.keys() == {"measured"}


def test_a_record_says_where_with_what_and_when_it_was_measured():
    days = [datetime.date.today().isoformat()]
    write_record("grid", {}, torch.device("cpu"))
    days.append(datetime.date.today().isoformat())
    stamp = read_record("grid")["measured"]
    assert stamp.pop("date") in days
    assert stamp == {
        "device": describe_device(torch.device("cpu")),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def test_the_stamp_is_of_the_newest_measurement():
    write_record("grid", {"measured": {"date": "1998-11-01"}}, "cpu")
    assert read_record("grid")["measured"]["date"] >= "2026"


def test_a_record_is_one_json_file(results):
    write_record("grid-0.1", {"n": 1}, "cpu")
    assert [path.name for path in results.iterdir()] == ["grid-0.1.json"]
    text = (results / "grid-0.1.json").read_text(encoding="utf-8")
    assert text.endswith("\n") and json.loads(text) == read_record("grid-0.1")


def test_a_reader_of_the_old_record_never_sees_half_of_the_new(results):
    write_record("grid", {"n": 1}, "cpu")
    path = results / "grid.json"
    with path.open(encoding="utf-8") as old:
        write_record("grid", {"n": 2, "more": list(range(1000))}, "cpu")
        assert json.loads(old.read())["n"] == 1
    assert read_record("grid")["n"] == 2


def test_a_failure_keeps_the_old_record(monkeypatch):
    write_record("grid", {"n": 1}, "cpu")
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_record("grid", {"n": {2}}, "cpu")
    assert read_record("grid")["n"] == 1

    def fail(self, target):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_record("grid", {"n": 2}, "cpu")
    assert read_record("grid")["n"] == 1


def test_a_missing_record_is_an_error_or_the_default():
    with pytest.raises(FileNotFoundError, match=r"grid\.json"):
        read_record("grid")
    assert read_record("grid", default={}) == {}
    write_record("grid", {"n": 1}, "cpu")
    assert read_record("grid", default={})["n"] == 1


def test_an_accelerator_is_described_by_its_name(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA T4")
    assert describe_device(torch.device("cuda", 0)) == "NVIDIA T4"
    assert describe_device(torch.device("mps")) == "mps"


def test_a_processor_is_described_by_its_model_and_cores(monkeypatch):
    info = "processor\t: 0\nmodel name\t: A Processor\nmodel name\t: Another\n"
    monkeypatch.setattr(Path, "read_text", lambda self: info)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert describe_device(torch.device("cpu")) == "A Processor, 2 cores"


def test_a_processor_without_proc_is_described_by_its_architecture(monkeypatch):
    def fail(self):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", fail)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert describe_device(torch.device("cpu")) == "arm64, 2 cores"
