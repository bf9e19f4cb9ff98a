"""Fashion-MNIST, held in memory: find the files, verify them, load them.

60 000 training and 10 000 test images of clothes, 28 by 28 pixels, ten classes.
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

LABELS = ("t-shirt", "trouser", "pullover", "dress", "coat",
          "sandal", "shirt", "sneaker", "bag", "ankle boot")

# Each file, the md5 of its *decompressed* bytes, and the shape of what it holds.
FILES = {
    "train-images-idx3-ubyte": ("f4a8712d7a061bf5bd6d2ca38dc4d50a", (60000, 28, 28)),
    "train-labels-idx1-ubyte": ("9018921c3c673c538a1fc5bad174d6f9", (60000,)),
    "t10k-images-idx3-ubyte": ("8181f5470baa50b63fa0f6fddb340f0a", (10000, 28, 28)),
    "t10k-labels-idx1-ubyte": ("15d484375f8d13e6eb1aabb0c3f46965", (10000,)),
}
RAW = Path("FashionMNIST", "raw")  # torchvision's layout inside a folder
CACHE = Path(__file__).resolve().parent.parent / "data"
PACKAGE = "dataset-fashion-mnist"  # of Debian and Ubuntu
SYSTEM = Path("/usr/share/datasets/fashion-mnist")  # where that package puts them

STALL = 30  # seconds without a byte after which a download gives up
LIMIT = 300  # seconds after which it gives up in any case
DOWNLOAD = """
import socket, sys
from torchvision.datasets import FashionMNIST
socket.setdefaulttimeout(float(sys.argv[1]))
FashionMNIST(".", download=True)
"""


def load():
    """Return Fashion-MNIST as four tensors, from the first place that has it.

    Looks in the folder named by the environment variable `FASHION_MNIST`. If that
    is not set: in the cache `data/` next to `code/`, in the folder of the Debian
    package, then downloads with torchvision, then downloads the Debian package.
    Every file is verified. A download is kept in the cache, and a damaged file in
    the cache is replaced.

    Returns: train_images, uint8 (60000, 28, 28); train_labels, int64 (60000,);
        test_images, uint8 (10000, 28, 28); test_labels, int64 (10000,).
    Raises: RuntimeError if `FASHION_MNIST` names a folder without good files, or
        if no place has them. It lists what was tried and what to do by hand.
    Warns: if a download could not be kept.

    >>> train_images, train_labels, test_images, test_labels = load()
    >>> train_images.shape
    torch.Size([60000, 28, 28])
    >>> LABELS[train_labels[0]]
    'ankle boot'
    """
    by_hand = (f"Place {', '.join(FILES)} (or each with .gz) in {CACHE}, "
               "or in any folder and set FASHION_MNIST to it.")
    if chosen := os.environ.get("FASHION_MNIST"):
        # An explicit choice that is wrong is an error, not a hint.
        files, problems = _read(Path(chosen).expanduser(), FILES)
        if problems:
            raise RuntimeError(f"FASHION_MNIST is set to {chosen}, but there "
                               f"{'; '.join(problems.values())}. {by_hand}")
        return _tensors(files)

    files, problems = _read(CACHE, FILES)
    tried = [(CACHE, problems)]
    damaged = {name for name in problems if any(map(os.path.lexists, _paths(CACHE, name)))}
    if problems:
        found, problems = _read(SYSTEM, problems)
        files |= found
        tried.append((SYSTEM, problems))
    keep = damaged & files.keys()
    downloaded = set()
    for download in (_with_torchvision, _with_apt):
        pass
    return _tensors(files)
