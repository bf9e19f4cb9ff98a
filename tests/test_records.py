"""Records of measurements, `code/records.py`."""

import datetime
import json
import math
import os
import platform
from pathlib import Path

import pytest
import torch

import records
from records import describe_device, read_record, stamp, write_record

COMMITTED = sorted(records.RESULTS.glob("*.json"))


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    """A folder for the records that does not exist yet."""
    folder = tmp_path / "measurements" / "results"
    monkeypatch.setattr(records, "RESULTS", folder)
    return folder


def test_what_is_written_is_read_back():
    record = {"accuracy": [0.1, 0.25], "rates": {"0.01": 3}, "name": "Größe"}
    write_record("grid", record)
    assert read_record("grid") == record


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_a_stamp_says_where_with_what_and_when(device):
    days = [datetime.date.today().isoformat()]
    measured = stamp(device)
    days.append(datetime.date.today().isoformat())
    assert measured.pop("date") in days
    assert measured == {
        "device": describe_device(torch.device("cpu")),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    write_record("grid", {"measured": measured})
    assert read_record("grid") == {"measured": measured}


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_every_run_of_a_record_of_the_book_is_stamped(path):
    record = json.loads(path.read_text(encoding="utf-8"))
    assert list(record) == ["runs"]
    for name, run in record["runs"].items():
        assert run["measured"].keys() == stamp("cpu").keys(), name


def test_there_are_records_of_the_book():
    assert COMMITTED


def test_a_record_is_one_json_file(results):
    write_record("grid-0.1", {"n": 1})
    assert [path.name for path in results.iterdir()] == ["grid-0.1.json"]
    text = (results / "grid-0.1.json").read_text(encoding="utf-8")
    assert text.endswith("\n") and json.loads(text) == read_record("grid-0.1")


def test_a_reader_of_the_old_record_never_sees_half_of_the_new(results):
    write_record("grid", {"n": 1})
    path = results / "grid.json"
    with path.open(encoding="utf-8") as old:
        write_record("grid", {"n": 2, "more": list(range(1000))})
        assert json.loads(old.read())["n"] == 1
    assert read_record("grid")["n"] == 2


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_json_has_no_word_for_is_refused(number, results):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_record("grid", {"loss": [1.0, number]})
    assert not results.exists()


def test_a_failure_keeps_the_old_record(monkeypatch, results):
    write_record("grid", {"n": 1})
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_record("grid", {"n": {2}})
    assert read_record("grid")["n"] == 1

    def fail(self, target):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_record("grid", {"n": 2})
    assert read_record("grid")["n"] == 1
    assert [path.name for path in results.iterdir()] == ["grid.json"]


def test_a_missing_record_is_an_error_or_the_default():
    with pytest.raises(FileNotFoundError, match=r"grid\.json"):
        read_record("grid")
    assert read_record("grid", default={}) == {}
    write_record("grid", {"n": 1})
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
