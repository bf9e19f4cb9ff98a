"""Record the brightness of Fashion-MNIST's images, for the figure of batch-mates.

    python measurements/brightness.py

The brightness of an image is the mean of its pixels, from 0 (black) to 1 (white). The
script takes seconds and writes `results/brightness.json`: the brightness of the first
training images, in the order of the data set, and of one test image, a bright
pullover, with three digits; and the mean and the variance over all 60,000 training
images.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "code"))

from fashion_mnist import load
from records import stamp, write_record

NUM_IMAGES = 61 * 16  # 60 batches of the largest size, and one more at hand
PULLOVER = 1  # in the test images


def brightness(images):
    """The mean pixel of each image, in double precision; shape (N,)."""
    return images.double().mean(dim=(1, 2)) / 255


def run():
    """Returns what goes into the record."""
    train_images, _, test_images, _ = load()
    crowd = brightness(train_images)
    return {
        "stream": [round(v, 3) for v in crowd[:NUM_IMAGES].tolist()],
        "yours": round(brightness(test_images)[PULLOVER].item(), 3),
        "mean": round(crowd.mean().item(), 6),
        "variance": round(crowd.var(correction=0).item(), 6),
        "measured": stamp("cpu"),
    }


if __name__ == "__main__":
    write_record("brightness", {"runs": {"Fashion-MNIST": run()}})
