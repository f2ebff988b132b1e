"""Take a small part of Fashion-MNIST for the book, by a fixed rule.

python tools/fashion.py FOLDER

FOLDER holds the four files of Fashion-MNIST as published (train-images-idx3-ubyte.gz and so on);
Debian's package dataset-fashion-mnist puts them into /usr/share/datasets/fashion-mnist. The first
200 training images and the first 50 test images of each class are kept, in the published order.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import Any

import numpy as np

TARGET = Path(__file__).resolve().parents[1] / "chapters" / "data" / "fashion.npz"
CLASSES, TRAINING, TEST = 10, 200, 50


def idx(path: Path) -> Any:
    """Read an array in the format of the MNIST files: its shape, then one byte for each number."""
    raw = gzip.decompress(path.read_bytes())
    ndim = raw[3]
    shape = np.frombuffer(raw, ">i4", ndim, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * ndim).reshape(shape)


def first_of_each(folder: Path, part: str, count: int) -> tuple[Any, Any]:
    """Return the images and labels: the first ``count`` of each class, in the published order."""
    images = idx(folder / f"{part}-images-idx3-ubyte.gz")
    labels = idx(folder / f"{part}-labels-idx1-ubyte.gz")
    chosen = [np.flatnonzero(labels == label)[:count] for label in range(CLASSES)]
    kept = np.sort(np.concatenate(chosen))
    return images[kept], labels[kept]


def main() -> int:
    """Write the file."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(sys.argv[1])
    x, labels = first_of_each(folder, "train", TRAINING)
    test, truth = first_of_each(folder, "t10k", TEST)
    np.savez_compressed(TARGET, x=x, labels=labels, test=test, truth=truth)
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
