"""Fashion-MNIST, held in memory: find the files, verify them, serve mini-batches.

60 000 training and 10 000 test images of clothes in ten classes, 28 by 28 pixels.
Source: Xiao, Rasul and Vollgraf, "Fashion-MNIST: a Novel Image Dataset for
Benchmarking Machine Learning Algorithms", 2017, arXiv:1708.07747.
"""

import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
import warnings
import zlib
from pathlib import Path

import torch

LABELS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
          "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")  # fmt: skip
# Each file, the md5 of its *decompressed* bytes, the shape of what it holds.
FILES = {
    "train-images-idx3-ubyte": ("f4a8712d7a061bf5bd6d2ca38dc4d50a", (60000, 28, 28)),
    "train-labels-idx1-ubyte": ("9018921c3c673c538a1fc5bad174d6f9", (60000,)),
    "t10k-images-idx3-ubyte": ("8181f5470baa50b63fa0f6fddb340f0a", (10000, 28, 28)),
    "t10k-labels-idx1-ubyte": ("15d484375f8d13e6eb1aabb0c3f46965", (10000,)),
}
RAW = Path("FashionMNIST", "raw")  # where torchvision puts the files in a folder
CACHE = Path(__file__).resolve().parent.parent / "data"
SYSTEM = Path("/usr/share/datasets/fashion-mnist")  # where Debian's package puts them

# Two ways to download into the working folder. Each runs as a process of its own,
# which can be ended: after 30 s without a byte, and after LIMIT seconds in any case.
LIMIT = 600
TORCHVISION = """
import socket
from torchvision.datasets import FashionMNIST
socket.setdefaulttimeout(30)
FashionMNIST(".", download=True)
"""
APT = """
apt() {
    timeout 180 apt-get -qq -o APT::Sandbox::User=root -o Dir::Cache="$PWD" \\
        -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 \\
        -o Acquire::Retries=0 "$@"
}
apt download dataset-fashion-mnist || {  # the machine's lists are missing or old
    mkdir -p lists/partial
    own="-oDir::State::Lists=$PWD/lists"
    apt "$own" update || true  # one archive may fail, and another have it
    apt "$own" download dataset-fashion-mnist
}
dpkg-deb --extract dataset-fashion-mnist_*.deb .  # needs no root, installs nothing
mv usr/share/datasets/fashion-mnist/* .
"""


def load():
    """Return train_images, train_labels, test_images, test_labels.

    Reads the folder that the environment variable FASHION_MNIST names. If it is not
    set, looks in the cache `data/` beside `code/`, then where Debian's package puts
    the files, then downloads with torchvision, then downloads Debian's package.
    Verifies every file. Keeps downloads in the cache, and repairs a damaged cache.

    Shapes: uint8 (60000, 28, 28), int64 (60000,), uint8 (10000, 28, 28),
    int64 (10000,).
    Raises: RuntimeError if a good file is missing in the folder of FASHION_MNIST, or
    in every source. It says what was tried, and how to place the files by hand.
    Warns: if a download could not be kept.

    >>> train_images, train_labels, test_images, test_labels = load()
    >>> train_images.shape, LABELS[train_labels[0]]
    (torch.Size([60000, 28, 28]), 'Ankle boot')
    """
    sources = {
        str(CACHE): CACHE,
        str(SYSTEM): SYSTEM,
        "torchvision's download": [sys.executable, "-c", TORCHVISION],
    }
    if shutil.which("apt-get"):
        sources["Debian's package"] = ["sh", "-ec", APT]
    if chosen := os.environ.get("FASHION_MNIST"):
        # Whoever names a folder means that one: never use another silently.
        sources = {f"FASHION_MNIST={chosen}": Path(chosen).expanduser()}

    files, tried = {}, []
    for name, source in sources.items():
        download = isinstance(source, list)
        try:
            missing = [file for file in FILES if file not in files]
            found, problems = (_download if download else _read)(source, missing)
        except Exception as error:  # whatever it was, the next source may do
            found, problems = {}, [str(error) or repr(error)]
        files |= found
        # The package's files need no copy, but a cache that is there is made whole.
        if found and (download or name == str(SYSTEM) and CACHE.is_dir()):
            try:
                _keep(found)
            except OSError as error:  # what was read is good all the same
                if download:
                    warnings.warn(f"cannot keep Fashion-MNIST: {error}", stacklevel=2)
        if len(files) == len(FILES):
            return tuple(_tensor(file, files[file]) for file in FILES)
        tried.append(f"- {name}: {'; '.join(problems)}")
    by_hand = f"""To place it by hand, put {", ".join(FILES)} (or each with .gz)
in a folder and set FASHION_MNIST to it, or unset that and put them in {CACHE}."""
    tried = "\n".join(tried)
    raise RuntimeError(f"Fashion-MNIST was not found. Tried:\n{tried}\n{by_hand}")


def _read(folder, names):
    """Return the good files in `folder` as {name: bytes}, and what is wrong."""
    files, problems = {}, []
    for name in names:
        wrong = []
        for path in (RAW / name, name, RAW / f"{name}.gz", f"{name}.gz"):
            try:
                data = (folder / path).read_bytes()
                data = gzip.decompress(data) if str(path).endswith(".gz") else data
            except (FileNotFoundError, NotADirectoryError):
                continue
            except (OSError, EOFError, zlib.error) as error:
                wrong.append(f"{path} cannot be read ({error})")
                continue
            if hashlib.md5(data, usedforsecurity=False).hexdigest() == FILES[name][0]:
                files[name] = data
                break
            wrong.append(f"{path} is damaged (wrong md5)")
        else:
            problems += wrong or [f"no {name}"]
    return files, problems


def _tensor(name, data):
    """Return what the IDX file `name` holds, given its bytes."""
    shape = FILES[name][1]
    header = 4 + 4 * len(shape)  # bytes: a magic number and the length of each axis
    values = torch.frombuffer(bytearray(data), dtype=torch.uint8, offset=header)
    return values.reshape(shape).long() if "labels" in name else values.reshape(shape)


def _download(command, names):
    """Run `command` in a temporary folder and read what it leaves there."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                timeout=LIMIT,
                text=True,
                errors="replace",
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"not done after {LIMIT} s") from None
        if done.returncode:
            # What is indented is detail: lines of code in a traceback, apt's hashes.
            said = [line for line in done.stdout.splitlines() if line[:1].strip()]
            raise RuntimeError(" ".join(said[-3:]) or f"exit status {done.returncode}")
        return _read(Path(folder), names)


def _keep(files):
    """Store files in the cache: each whole or not at all, even if we are killed."""
    folder = CACHE / RAW
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        part = folder / f"{name}.{uuid.uuid4().hex}.part"  # no other process's
        try:
            part.write_bytes(data)
            os.replace(part, folder / name)
        finally:
            part.unlink(missing_ok=True)


class Batches:
    """Mini-batches of images held in memory, converted to float one batch at a time.

    Each pass yields (X, y): X is float32 (B, 1, H, W) in [0, 1], y is int64 (B,). B
    is `batch_size`, or what is left in the last batch. With `shuffle`, each pass
    takes a new permutation from torch's global CPU generator, so that
    `torch.manual_seed` fixes the order on every device.

    Shapes: images, uint8 (N, H, W); labels, int64 (N,).
    Raises: ValueError if `batch_size` is not a positive integer, or if the numbers of
    images and labels differ.

    >>> batches = Batches(torch.zeros(5, 28, 28, dtype=torch.uint8), torch.arange(5), 2)
    >>> [y.tolist() for X, y in batches]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, images, labels, batch_size, shuffle=False):
        if type(batch_size) is not int or batch_size < 1:
            raise ValueError(f"batch_size must be a positive integer: {batch_size!r}")
        if len(images) != len(labels):
            raise ValueError(f"{len(images)} images, but {len(labels)} labels")
        self.images, self.labels = images, labels
        self.batch_size, self.shuffle = batch_size, shuffle
        self.num_examples = len(labels)

    def __len__(self):
        return -(-self.num_examples // self.batch_size)  # rounded up

    def __iter__(self):
        draw = torch.randperm if self.shuffle else torch.arange
        order = draw(self.num_examples, device="cpu").to(self.images.device)
        for start in range(0, self.num_examples, self.batch_size):
            rows = order[start : start + self.batch_size]
            yield self.images[rows].unsqueeze(1).float() / 255, self.labels[rows]

    def to(self, device):
        """Return these batches with their tensors on `device`."""
        images, labels = self.images.to(device), self.labels.to(device)
        return Batches(images, labels, self.batch_size, self.shuffle)


def load_data_fashion_mnist(batch_size):
    """Return `Batches` of the training set, shuffled, and of the test set, not.

    Raises: as `load` and `Batches`.

    >>> train_iter, test_iter = load_data_fashion_mnist(256)
    >>> len(train_iter), len(test_iter)
    (235, 40)
    """
    train_images, train_labels, test_images, test_labels = load()
    return (
        Batches(train_images, train_labels, batch_size, shuffle=True),
        Batches(test_images, test_labels, batch_size),
    )


def load_standardized():
    """Return X, y, X_test, y_test with all images in memory as standardized numbers.

    From every pixel the mean of all pixels of the training set is subtracted, and the
    result divided by their standard deviation: two numbers, the same for every pixel
    and for the test set, too.

    Shapes: X, float32 (60000, 1, 28, 28); X_test, float32 (10000, 1, 28, 28); labels,
        int64.
    Raises: as `load`.

    >>> X, y, X_test, y_test = load_standardized()
    >>> print(f"{X.mean().abs():.3f} {X.std():.3f}, {X_test.mean():.3f}")
    0.000 1.000, 0.002
    """
    images, labels, test_images, test_labels = load()
    X, X_test = (t[:, None].float() / 255 for t in (images, test_images))
    std, mean = torch.std_mean(X)
    return (X - mean) / std, labels, (X_test - mean) / std, test_labels
