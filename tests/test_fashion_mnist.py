"""The data: what it is, how it is served, and that no fault spoils or loses it.

All on the real files, with real damage. torchvision and apt-get really run, against
servers and archives on this machine; nothing here needs another network.
"""

import errno
import gzip
import hashlib
import http.server
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import fashion_mnist
from fashion_mnist import (
    APT,
    FILES,
    RAW,
    SYSTEM,
    TORCHVISION,
    Batches,
    load,
    load_data_fashion_mnist,
)

TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = FILES
OFF = "raise SystemExit('switched off')"
needs_apt = pytest.mark.skipif(
    not (shutil.which("apt-get") and shutil.which("dpkg-deb")),
    reason="apt-get and dpkg-deb are only on Debian and Ubuntu, and only used there",
)


@pytest.fixture(scope="session")
def data():
    """The four tensors, from whatever source this machine really has."""
    return load()


@pytest.fixture(scope="session")
def good(data):
    """A folder with the four raw files and one with each as .gz. Both must survive."""
    with tempfile.TemporaryDirectory() as folder:
        raw, gz = Path(folder, "raw"), Path(folder, "gz")
        raw.mkdir()
        gz.mkdir()
        for tensor, (name, (_, shape)) in zip(data, FILES.items(), strict=True):
            header = struct.pack(f">{1 + len(shape)}i", 2048 + len(shape), *shape)
            content = header + tensor.to(torch.uint8).numpy().tobytes()
            (raw / name).write_bytes(content)
            (gz / f"{name}.gz").write_bytes(gzip.compress(content, 1))
        yield SimpleNamespace(raw=raw, gz=gz)
        assert sound(raw) == set(FILES), "a source folder was written to"


@pytest.fixture
def places(monkeypatch):
    """An empty cache, no system folder, no download: a test adds what it needs."""
    with tempfile.TemporaryDirectory() as folder:
        places = SimpleNamespace(
            cache=Path(folder, "book", "data"),
            system=Path(folder, "system"),
            root=Path(folder),
        )
        monkeypatch.setattr(fashion_mnist, "CACHE", places.cache)
        monkeypatch.setattr(fashion_mnist, "SYSTEM", places.system)
        monkeypatch.setattr(fashion_mnist, "TORCHVISION", OFF)
        monkeypatch.setattr(fashion_mnist, "APT", "echo switched off; exit 1")
        monkeypatch.delenv("FASHION_MNIST", raising=False)
        for name in ("no_proxy", "all_proxy", "http_proxy", "https_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        yield places


def put(source, folder, names=FILES):
    """Place good files in a folder, as hard links: a write into one would show."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        for path in source.glob(f"{name}*"):
            os.link(path, folder / path.name)


def sound(folder):
    """The names of the good raw files in a folder, judged without the library."""
    return {
        name
        for name, (md5, _) in FILES.items()
        if (folder / name).is_file()
        and hashlib.md5((folder / name).read_bytes()).hexdigest() == md5
    }


def same(tensors, data):
    return all(
        a.dtype == b.dtype and torch.equal(a, b)
        for a, b in zip(tensors, data, strict=True)
    )


def names_in(folder):
    return {path.name for path in folder.rglob("*") if not path.is_dir()}


def truncate(path):
    path.write_bytes(taken(path)[:-1000])


def flip_one_byte(path):
    content = bytearray(taken(path))
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path):
    path.write_bytes(taken(path)[:0])


def write_html(path):
    path.write_bytes(taken(path)[:0] + b"<html>404</html>")


def make_a_folder(path):
    path.unlink()
    path.mkdir()


def make_a_dead_link(path):
    path.unlink()
    path.symlink_to("nowhere")


def taken(path):
    """Return the bytes of a file and unlink it, so that no hard link is written to."""
    content = path.read_bytes()
    path.unlink()
    return content


def downloads_from(folder, monkeypatch):
    """Let the download be a process that finds the files at once."""
    monkeypatch.setattr(
        fashion_mnist,
        "TORCHVISION",
        "import os\n"
        f"for name in os.listdir({str(folder)!r}):\n"
        f"    os.symlink(os.path.join({str(folder)!r}, name), name)",
    )


# What the data is.


def test_the_shapes_and_types_are_those_promised(data):
    assert [tuple(t.shape) for t in data] == [
        (60000, 28, 28),
        (60000,),
        (10000, 28, 28),
        (10000,),
    ]
    assert [t.dtype for t in data] == [torch.uint8, torch.int64] * 2


def test_every_class_has_6000_training_and_1000_test_images(data):
    assert data[1].bincount().tolist() == [6000] * 10
    assert data[3].bincount().tolist() == [1000] * 10


def test_the_values_are_the_known_ones(data):
    assert data[0].sum(dtype=torch.int64) == 3_431_114_169
    assert data[2].sum(dtype=torch.int64) == 573_469_082
    assert data[1][:10].tolist() == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]
    assert data[3][:10].tolist() == [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]
    # The mean and the standard deviation that everyone normalizes with.
    pixels = data[0].float() / 255
    assert (round(pixels.mean().item(), 4), round(pixels.std().item(), 4)) == (
        0.2860,
        0.3530,
    )


def test_torchvision_reads_the_same_values_and_names_the_same_classes(
    data, good, places
):
    from torchvision.datasets import FashionMNIST

    put(good.raw, places.root / RAW)
    train, test = (FashionMNIST(places.root, train=which) for which in (True, False))
    assert same(data, (train.data, train.targets, test.data, test.targets))
    assert list(fashion_mnist.LABELS) == FashionMNIST.classes


def test_importing_the_module_does_not_import_torchvision():
    code = "import sys, fashion_mnist; sys.exit('torchvision' in sys.modules)"
    folder = Path(fashion_mnist.__file__).parent
    assert subprocess.run([sys.executable, "-c", code], cwd=folder).returncode == 0


# How it is served.


def test_a_batch_is_what_torchvision_makes_of_the_images(data):
    from torchvision.transforms.functional import to_tensor

    X, y = next(iter(Batches(data[0], data[1], 7)))
    assert torch.equal(X, torch.stack([to_tensor(i.numpy()) for i in data[0][:7]]))
    assert X.dtype == torch.float32 and X.shape == (7, 1, 28, 28)
    assert X.min() == 0 and X.max() == 1
    assert y.dtype == torch.int64 and torch.equal(y, data[1][:7])


def test_a_pass_without_shuffling_keeps_the_order_and_the_odd_last_batch(data):
    batches = Batches(data[2], data[3], 256)
    passes = [list(batches) for _ in range(2)]
    assert [len(y) for _, y in passes[0]] == [256] * 39 + [16]
    assert len(batches) == 40 and batches.num_examples == 10000
    for batch in passes:
        assert torch.equal(torch.cat([y for _, y in batch]), data[3])
        assert torch.equal(
            torch.cat([X for X, _ in batch]).squeeze(1), data[2].float() / 255
        )


def numbered(n, batch_size, **options):
    """Batches whose labels tell which image it is: image i is filled with i."""
    images = torch.arange(n, dtype=torch.uint8).reshape(n, 1, 1).expand(n, 28, 28)
    return Batches(images, torch.arange(n), batch_size, **options)


def test_a_shuffled_pass_has_every_image_once_with_its_label():
    batches = list(numbered(250, 32, shuffle=True))
    assert [len(y) for _, y in batches] == [32] * 7 + [26]
    assert sorted(torch.cat([y for _, y in batches]).tolist()) == list(range(250))
    for X, y in batches:
        assert torch.equal((X * 255).round().long()[:, 0, 5, 5], y)


def test_every_shuffled_pass_takes_a_new_order_that_the_seed_fixes():
    batches = numbered(100, 100, shuffle=True)

    def orders(seed):
        torch.manual_seed(seed)
        return [next(iter(batches))[1].tolist() for _ in range(2)]

    first, second = orders(0)
    assert first != second and first != list(range(100))
    assert orders(0) == [first, second] != orders(1)


def test_the_order_comes_from_torchs_global_cpu_generator():
    torch.manual_seed(5)
    expected = torch.randperm(100)
    torch.manual_seed(5)
    assert torch.equal(next(iter(numbered(100, 100, shuffle=True)))[1], expected)


def test_a_pass_without_shuffling_leaves_the_generator_alone():
    state = torch.get_rng_state()
    list(numbered(10, 3))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_move_to_a_device_and_leave_the_original_where_it_was(shuffle):
    here = numbered(10, 4, shuffle=shuffle)
    there = here.to("meta")
    assert [(X.device.type, X.shape[0], y.device.type) for X, y in there] == [
        ("meta", 4, "meta"),
        ("meta", 4, "meta"),
        ("meta", 2, "meta"),
    ]
    assert (len(there), there.num_examples, there.shuffle) == (3, 10, shuffle)
    assert all(X.device.type == "cpu" for X, _ in here)


@pytest.mark.parametrize("device", ["cpu"] + ["cuda"] * torch.cuda.is_available())
def test_the_seed_fixes_the_same_order_on_every_device(device):
    here, labels = numbered(100, 32, shuffle=True), []
    for batches in (here, here.to(device)):
        torch.manual_seed(0)
        labels.append(torch.cat([y.cpu() for _, y in batches]))
    assert torch.equal(*labels)


@pytest.mark.parametrize("shuffle", [False, True])
def test_the_order_is_moved_to_the_device_of_the_images(shuffle):
    class Images:
        device, rows = torch.device("meta"), []

        def __len__(self):
            return 4

        def __getitem__(self, rows):
            self.rows.append(rows.device.type)
            return torch.zeros(len(rows), 28, 28, device="meta")

    list(Batches(Images(), torch.zeros(4, device="meta"), 2, shuffle))
    assert Images.rows == ["meta", "meta"]


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_default_device_does_not_disturb_batches_elsewhere(shuffle):
    with torch.device("meta"):
        X, y = next(
            iter(
                Batches(
                    torch.zeros(4, 28, 28, device="cpu"),
                    torch.zeros(4, device="cpu"),
                    2,
                    shuffle,
                )
            )
        )
    assert X.device.type == y.device.type == "cpu"


@pytest.mark.parametrize("size", [0, -1, 2.0, "256", None, True])
def test_a_batch_size_that_is_no_positive_integer_is_refused(size):
    with pytest.raises(ValueError, match="batch_size must be a positive integer"):
        numbered(10, size)


def test_images_and_labels_of_different_number_are_refused():
    with pytest.raises(ValueError, match="4 images, but 3 labels"):
        Batches(torch.zeros(4, 28, 28), torch.zeros(3), 2)


def test_the_training_set_is_shuffled_and_the_test_set_is_not(data):
    train_iter, test_iter = load_data_fashion_mnist(100)
    assert (len(train_iter), len(test_iter)) == (600, 100)
    assert train_iter.shuffle and not test_iter.shuffle
    assert torch.equal(train_iter.images, data[0])
    assert torch.equal(test_iter.labels, data[3])


# Where it is looked for.


@pytest.mark.parametrize("kind", ["raw", "gz"])
@pytest.mark.parametrize("where", [Path(), RAW], ids=["flat", "as torchvision's"])
def test_the_named_folder_is_read_in_every_layout(
    kind, where, data, good, places, monkeypatch
):
    put(getattr(good, kind), places.root / "mine" / where)
    monkeypatch.setenv("FASHION_MNIST", str(places.root / "mine"))
    assert same(load(), data)
    assert not places.cache.exists()


def test_the_named_folder_may_start_with_a_tilde(data, good, places, monkeypatch):
    put(good.raw, places.root / "mine")
    monkeypatch.setenv("HOME", str(places.root))
    monkeypatch.setenv("FASHION_MNIST", "~/mine")
    assert same(load(), data)


def test_the_named_folder_goes_before_a_damaged_cache_and_leaves_it_alone(
    data, good, places, monkeypatch
):
    put(good.raw, places.cache / RAW)
    truncate(places.cache / RAW / TRAIN_IMAGES)
    put(good.gz, places.system)
    monkeypatch.setenv("FASHION_MNIST", str(places.system))
    assert same(load(), data)
    assert sound(places.cache / RAW) == set(FILES) - {TRAIN_IMAGES}


@pytest.mark.parametrize("damage", [truncate, flip_one_byte, empty, Path.unlink])
@pytest.mark.parametrize("kind", ["raw", "gz"])
def test_a_named_folder_without_good_data_is_an_error_that_says_which_file(
    damage, kind, good, places, monkeypatch
):
    put(good.raw, places.cache / RAW)  # must not be used silently
    put(getattr(good, kind), places.root / "mine")
    damage(next((places.root / "mine").glob(f"{TEST_LABELS}*")))
    monkeypatch.setenv("FASHION_MNIST", str(places.root / "mine"))
    with pytest.raises(RuntimeError) as error:
        load()
    found = next(line for line in str(error.value).split("\n") if line[0] == "-")
    assert f"FASHION_MNIST={places.root / 'mine'}" in found
    assert TEST_LABELS in found and TRAIN_IMAGES not in found


@pytest.mark.parametrize(
    "make",
    [lambda path: None, Path.mkdir, Path.touch],
    ids=["missing", "empty", "a file"],
)
def test_a_name_that_is_no_folder_of_data_is_an_error(make, good, places, monkeypatch):
    put(good.raw, places.cache / RAW)
    make(places.root / "mine")
    monkeypatch.setenv("FASHION_MNIST", str(places.root / "mine"))
    with pytest.raises(RuntimeError, match="FASHION_MNIST=.*mine: no train-images"):
        load()


def test_an_empty_name_counts_as_none(data, good, places, monkeypatch):
    put(good.raw, places.cache)
    monkeypatch.setenv("FASHION_MNIST", "")
    assert same(load(), data)


def test_the_system_folder_is_read_and_not_copied(data, good, places):
    put(good.gz, places.system)
    assert same(load(), data)
    assert not places.cache.exists()


def test_a_good_cache_needs_no_other_source_and_stays_as_it_is(data, good, places):
    put(good.raw, places.cache / RAW)
    before = {path: path.stat() for path in (places.cache / RAW).iterdir()}
    assert same(load(), data)
    after = {path: path.stat().st_mtime_ns for path in (places.cache / RAW).iterdir()}
    assert after == {path: stat.st_mtime_ns for path, stat in before.items()}


def test_pieces_from_two_places_make_a_whole(data, good, places):
    put(good.raw, places.cache / RAW, [TRAIN_IMAGES, TEST_LABELS])
    put(good.gz, places.system, [TRAIN_LABELS, TEST_IMAGES])
    assert same(load(), data)


def test_a_good_copy_beside_a_damaged_one_is_found(data, good, places):
    put(good.raw, places.cache / RAW)
    put(good.gz, places.cache)
    truncate(places.cache / RAW / TRAIN_IMAGES)
    assert same(load(), data)


# A damaged cache.


@pytest.mark.parametrize(
    "damage",
    [truncate, flip_one_byte, empty, write_html, Path.unlink, make_a_dead_link],
)
@pytest.mark.parametrize("name", [TRAIN_IMAGES, TEST_LABELS])
def test_a_damaged_cache_is_repaired_from_the_system_folder(
    damage, name, data, good, places
):
    put(good.raw, places.cache / RAW)
    put(good.gz, places.system)
    damage(places.cache / RAW / name)
    assert same(load(), data)
    assert sound(places.cache / RAW) == names_in(places.cache) == set(FILES)
    shutil.rmtree(places.system)
    assert same(load(), data)


def test_a_damaged_cache_is_repaired_by_a_download(data, good, places, monkeypatch):
    put(good.raw, places.cache / RAW)
    flip_one_byte(places.cache / RAW / TRAIN_IMAGES)
    downloads_from(good.gz, monkeypatch)
    assert same(load(), data)
    assert sound(places.cache / RAW) == names_in(places.cache) == set(FILES)


def test_a_repair_replaces_a_link_and_not_what_it_points_to(data, good, places):
    other = places.root / "other"
    other.write_bytes(b"someone else's file")
    put(good.raw, places.cache / RAW)
    put(good.gz, places.system)
    (places.cache / RAW / TRAIN_LABELS).unlink()
    (places.cache / RAW / TRAIN_LABELS).symlink_to(other)
    assert same(load(), data)
    assert other.read_bytes() == b"someone else's file"
    assert not (places.cache / RAW / TRAIN_LABELS).is_symlink()


def test_a_cache_that_cannot_be_repaired_still_gives_the_data_quietly(
    data, good, places
):
    put(good.raw, places.cache / RAW)
    put(good.gz, places.system)
    make_a_folder(places.cache / RAW / TRAIN_IMAGES)  # a file cannot replace it
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert same(load(), data)
    assert names_in(places.cache) == set(FILES) - {TRAIN_IMAGES}


def test_when_all_is_damaged_the_error_lists_every_reason_and_nothing_is_lost(
    good, places
):
    put(good.raw, places.cache / RAW)
    put(good.gz, places.system)
    truncate(places.cache / RAW / TRAIN_IMAGES)
    truncate(places.system / f"{TRAIN_IMAGES}.gz")
    with pytest.raises(RuntimeError) as error:
        load()
    message = str(error.value)
    assert f"{places.cache}: {RAW / TRAIN_IMAGES} is damaged (wrong md5)" in message
    assert f"{places.system}: {TRAIN_IMAGES}.gz cannot be read (Compressed" in message
    assert "torchvision's download: switched off" in message
    if shutil.which("apt-get"):
        assert "Debian's package: switched off" in message
    by_hand = message.split("To place it by hand")[1]
    assert all(name in by_hand for name in (*FILES, "FASHION_MNIST", str(places.cache)))
    assert sound(places.cache / RAW) == set(FILES) - {TRAIN_IMAGES}
    assert names_in(places.cache) == set(FILES)


def test_without_apt_get_the_error_does_not_mention_it(places, monkeypatch):
    monkeypatch.setenv("PATH", str(places.root))
    with pytest.raises(RuntimeError) as error:
        load()
    assert "Debian" not in str(error.value)


# A cache that cannot be written.


@pytest.mark.parametrize("blocked", [Path(), RAW.parent, RAW])
def test_a_file_in_the_way_of_the_cache_costs_a_warning_only(
    blocked, data, good, places, monkeypatch
):
    (places.cache / blocked).parent.mkdir(parents=True, exist_ok=True)
    (places.cache / blocked).write_text("in the way")
    downloads_from(good.gz, monkeypatch)
    with pytest.warns(UserWarning, match="cannot keep Fashion-MNIST"):
        assert same(load(), data)
    assert (places.cache / blocked).read_text() == "in the way"


@pytest.mark.parametrize("call", ["open", "replace", "mkdir"])
def test_a_read_only_cache_costs_a_warning_only(call, data, good, places, monkeypatch):
    """Root may write everywhere: the refusal of the system is put in by hand."""
    put(good.raw, places.cache / RAW, [TEST_IMAGES])
    downloads_from(good.gz, monkeypatch)
    names = {
        "open": (Path, "write_bytes"),
        "replace": (os, "replace"),
        "mkdir": (Path, "mkdir"),
    }

    def refuse(*args, **options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch, pytest.warns(UserWarning, match="Read-only"):
        patch.setattr(*names[call], refuse)
        assert same(load(), data)
    assert names_in(places.cache) == sound(places.cache / RAW) == {TEST_IMAGES}


def test_a_cache_where_no_folder_can_be_made_costs_a_warning_only(
    data, good, places, monkeypatch
):
    """Even root cannot make a folder in /proc."""
    monkeypatch.setattr(fashion_mnist, "CACHE", Path("/proc/book/data"))
    downloads_from(good.gz, monkeypatch)
    with pytest.warns(UserWarning, match="cannot keep Fashion-MNIST.*/proc"):
        assert same(load(), data)


def test_an_interrupt_while_writing_leaves_nothing_behind(good, places, monkeypatch):
    downloads_from(good.gz, monkeypatch)

    def write_half(path, data):
        with open(path, "wb") as file:
            file.write(data[: len(data) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(KeyboardInterrupt):
        load()
    assert not names_in(places.cache)


def test_a_disk_that_fills_up_while_writing_loses_nothing(
    data, good, places, monkeypatch
):
    """The system cuts every file off at 1 MB, and then raises an error."""
    put(good.raw, places.cache / RAW, [TEST_IMAGES, TEST_LABELS])
    downloads_from(good.gz, monkeypatch)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.warns(UserWarning, match="File too large"):
            assert same(load(), data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names_in(places.cache) == sound(places.cache / RAW)
    assert sound(places.cache / RAW) >= {TEST_IMAGES, TEST_LABELS}
    assert same(load(), data)  # the disk has room again
    assert sound(places.cache / RAW) == set(FILES)


def test_a_full_disk_for_the_download_is_an_error_and_the_next_source_is_tried(
    places, monkeypatch
):
    full = "raise OSError(errno.ENOSPC, 'No space left on device')"
    if Path("/dev/full").exists():  # Linux has it
        full = "os.write(os.open('/dev/full', os.O_WRONLY), b'x')"
    monkeypatch.setattr(fashion_mnist, "TORCHVISION", f"import errno, os; {full}")
    with pytest.raises(RuntimeError, match="No space left on device") as error:
        load()
    if shutil.which("apt-get"):
        assert "Debian's package: switched off" in str(error.value)


def test_without_a_temporary_folder_the_error_says_so(places, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(places.root / "nowhere"))
    with pytest.raises(RuntimeError, match="No such file or directory.*nowhere"):
        load()


# Several processes, and processes that die.

PROCESS = """
import sys
sys.path.insert(0, {code!r})
from pathlib import Path
import fashion_mnist, torch
fashion_mnist.CACHE = Path({cache!r})
fashion_mnist.SYSTEM = Path({system!r})
fashion_mnist.TORCHVISION = {torchvision!r}
{extra}
print("ready", flush=True)
input()
print([t.sum(dtype=torch.int64).item() for t in fashion_mnist.load()])
"""


def start(places, extra=""):
    code = PROCESS.format(
        code=str(Path(fashion_mnist.__file__).parent),
        cache=str(places.cache),
        system=str(places.system),
        torchvision=fashion_mnist.TORCHVISION,
        extra=extra,
    )
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def test_two_processes_may_fill_an_empty_cache_at_once(data, good, places, monkeypatch):
    downloads_from(good.gz, monkeypatch)
    processes = [start(places) for _ in range(2)]
    assert [p.stdout.readline() for p in processes] == ["ready\n"] * 2
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    sums = str([t.sum(dtype=torch.int64).item() for t in data]) + "\n"
    assert [p.communicate(timeout=60)[0] for p in processes] == [sums] * 2
    assert [p.returncode for p in processes] == [0, 0]
    assert names_in(places.cache) == sound(places.cache / RAW) == set(FILES)


def test_a_process_killed_while_it_writes_leaves_no_half_file(
    data, good, places, monkeypatch
):
    downloads_from(good.gz, monkeypatch)
    process = start(
        places,
        extra="""
import time
def write_half(path, data):
    with open(path, "wb") as file:
        file.write(data[:len(data) // 2])
        file.flush()
        print("half", flush=True)
        time.sleep(600)
Path.write_bytes = write_half
""",
    )
    process.stdin.write("go\n")
    process.stdin.flush()
    assert [process.stdout.readline() for _ in range(2)] == ["ready\n", "half\n"]
    process.kill()
    assert process.wait() == -signal.SIGKILL
    process.communicate()
    [part] = (places.cache / RAW).iterdir()
    assert part.name not in FILES and part.stat().st_size > 0
    assert same(load(), data)
    assert sound(places.cache / RAW) == set(FILES)


# The network.


class Mirror(http.server.BaseHTTPRequestHandler):
    """A proxy for all hosts that has the files, or garbage, or nothing to say."""

    folder = None

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.server.mood == "silent":
            self.server.over.wait()
            return
        content = b"<html>Please log in to this hotel's network.</html>"
        if self.server.mood == "good":
            content = (self.server.folder / self.path.rsplit("/")[-1]).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def mirror(good, monkeypatch, places):
    """A server that torchvision and apt-get reach instead of the real hosts."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    server.handle_error = lambda *args: None  # a client that hangs up
    server.mood, server.folder, server.asked = "good", good.gz, []
    server.over = threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()


def patient_for_one_second(script):
    assert "30" in script
    return script.replace("30", "1")


def test_torchvision_downloads_into_an_empty_cache_once(
    data, good, places, mirror, monkeypatch
):
    # The .gz files made here have another md5 than those that torchvision expects.
    md5s = [
        (path.name, hashlib.md5(path.read_bytes()).hexdigest())
        for path in good.gz.iterdir()
    ]
    monkeypatch.setattr(
        fashion_mnist,
        "TORCHVISION",
        TORCHVISION.replace(
            "FashionMNIST(", f"FashionMNIST.resources = {md5s}\nFashionMNIST("
        ),
    )
    assert same(load(), data)
    assert {url.rsplit("/")[-1] for url in mirror.asked} == names_in(good.gz)
    assert names_in(places.cache) == sound(places.cache / RAW) == set(FILES)
    monkeypatch.setattr(fashion_mnist, "TORCHVISION", OFF)
    assert same(load(), data)


def test_garbage_from_the_network_is_refused_and_not_kept(places, mirror, monkeypatch):
    mirror.mood = "garbage"
    monkeypatch.setattr(fashion_mnist, "TORCHVISION", TORCHVISION)
    with pytest.raises(RuntimeError, match="torchvision.*not found or corrupted"):
        load()
    assert not places.cache.exists()


def test_a_download_of_other_data_is_refused_and_not_kept(good, places, monkeypatch):
    put(good.gz, places.root / "other")
    content = bytearray((good.raw / TEST_LABELS).read_bytes())
    content[-1] ^= 1
    (places.root / "other" / f"{TEST_LABELS}.gz").unlink()
    (places.root / "other" / f"{TEST_LABELS}.gz").write_bytes(gzip.compress(content))
    downloads_from(places.root / "other", monkeypatch)
    with pytest.raises(RuntimeError, match=f"{TEST_LABELS}.gz is damaged"):
        load()
    assert TEST_LABELS not in names_in(places.cache)


def test_a_silent_network_is_given_up(places, mirror, monkeypatch):
    mirror.mood = "silent"
    script = patient_for_one_second(TORCHVISION)
    monkeypatch.setattr(fashion_mnist, "TORCHVISION", script)
    with pytest.raises(RuntimeError, match="torchvision's download:.*timed out"):
        load()
    assert len(mirror.asked) == 1


def test_a_slow_network_is_given_up_and_the_process_is_ended(places, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "LIMIT", 1)
    monkeypatch.setattr(
        fashion_mnist,
        "TORCHVISION",
        "import os, pathlib, time\n"
        f"pathlib.Path({str(places.root / 'pid')!r})"
        ".write_text(str(os.getpid()))\ntime.sleep(600)",
    )
    with pytest.raises(RuntimeError, match="torchvision.*: not done after 1 s"):
        load()
    with pytest.raises(ProcessLookupError):
        os.kill(int((places.root / "pid").read_text()), 0)


def test_without_a_network_the_error_says_so(places, monkeypatch):
    """torchvision and apt-get really run, and find that nobody answers."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{unused.getsockname()[1]}")
        monkeypatch.setattr(fashion_mnist, "TORCHVISION", TORCHVISION)
        monkeypatch.setattr(fashion_mnist, "APT", APT)
        with pytest.raises(RuntimeError) as error:
            load()
    lines = str(error.value).split("\n")
    assert any("torchvision" in line and "Connection refused" in line for line in lines)
    if shutil.which("apt-get"):
        assert any("Debian" in line and "E: " in line for line in lines)
    assert not places.cache.exists()


# The Debian package, with the real apt-get and dpkg-deb and an archive made here.


@pytest.fixture
def archive(good, places, monkeypatch):
    """An archive with one package, and an apt that knows of no other."""
    root = places.root
    put(good.gz, root / "package" / SYSTEM.relative_to("/"))
    control = (
        "Package: dataset-fashion-mnist\nVersion: 1\nArchitecture: all\n"
        "Maintainer: Nobody <nobody@example.org>\nDescription: a test\n"
    )
    (root / "package" / "DEBIAN").mkdir()
    (root / "package" / "DEBIAN" / "control").write_text(control)
    (root / "archive").mkdir()
    deb = root / "archive" / "dataset.deb"
    subprocess.run(
        ["dpkg-deb", "-Znone", "--root-owner-group", "--build", root / "package", deb],
        check=True,
        capture_output=True,
    )
    (root / "archive" / "Packages").write_text(
        f"{control}Filename: ./dataset.deb\nSize: {deb.stat().st_size}\n"
        f"SHA256: {hashlib.sha256(deb.read_bytes()).hexdigest()}\n"
    )
    (root / "lists" / "partial").mkdir(parents=True)
    (root / "status").touch()  # of the packages installed: none
    sources = root / "sources.list"
    sources.write_text(f"deb [trusted=yes] file:{root}/archive ./\n")
    (root / "apt.conf").write_text(f"""
        Dir::Etc::sourcelist "{sources}"; Dir::Etc::sourceparts "/dev/null";
        Dir::State::Lists "{root}/lists"; Dir::State::status "{root}/status";""")
    monkeypatch.setenv("APT_CONFIG", str(root / "apt.conf"))
    monkeypatch.setattr(fashion_mnist, "APT", APT)
    return SimpleNamespace(deb=deb, sources=sources, lists=root / "lists")


@needs_apt
def test_apt_brings_the_data_where_the_machine_has_no_package_lists(
    data, places, archive
):
    assert same(load(), data)
    assert names_in(places.cache) == sound(places.cache / RAW) == set(FILES)
    assert not names_in(archive.lists), "the machine's own lists were changed"


@needs_apt
def test_apt_brings_the_data_with_the_lists_of_the_machine(
    data, places, archive, monkeypatch
):
    subprocess.run(
        [
            "apt-get",
            "-qq",
            "-oAPT::Sandbox::User=root",
            "update",
            f"-oDir::Cache={places.root}",
        ],
        check=True,
    )
    monkeypatch.setattr(fashion_mnist, "APT", APT.replace('apt "$own"', "false"))
    assert same(load(), data)


@needs_apt
def test_apt_brings_the_data_although_another_archive_is_dead(
    data, places, archive, mirror
):
    dead = "deb [trusted=yes] http://archive.invalid/ ./\n"
    archive.sources.write_text(dead + archive.sources.read_text())
    mirror.mood = "garbage"
    assert same(load(), data)
    assert mirror.asked


@needs_apt
def test_apt_refuses_a_package_that_was_tampered_with(places, archive):
    content = bytearray(archive.deb.read_bytes())
    content[len(content) // 2] ^= 1
    archive.deb.write_bytes(content)
    with pytest.raises(RuntimeError, match="Debian's package: .*E: "):
        load()
    assert not places.cache.exists()


@needs_apt
def test_apt_gives_a_silent_archive_up(places, archive, mirror, monkeypatch):
    mirror.mood = "silent"
    archive.sources.write_text("deb [trusted=yes] http://archive.invalid/ ./\n")
    monkeypatch.setattr(fashion_mnist, "APT", patient_for_one_second(APT))
    started = time.monotonic()
    with pytest.raises(RuntimeError, match="Debian's package: .*E: "):
        load()
    assert mirror.asked and time.monotonic() - started < 30
