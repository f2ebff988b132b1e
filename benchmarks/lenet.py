"""Train LeNet on Fashion-MNIST, convert it, and compare every prediction of the three forms.

    python -m benchmarks.lenet FOLDER

FOLDER holds the four files of Fashion-MNIST as published (train-images-idx3-ubyte.gz and so on);
Debian's package dataset-fashion-mnist puts them into /usr/share/datasets/fashion-mnist.
"""

from __future__ import annotations

import copy
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equivlib import Network, to_cnn, to_mlp
from equivlib.layers import Conv, Dense, Flatten, MaxPool, ReLU
from equivlib.rounding import error_bound
from equivlib.train import Adam, cross_entropy, fit, he_normal, predict
from tools.fashion import idx

Array = NDArray[Any]
EPOCHS, BATCH = 6, 64


def images(folder: Path, part: str) -> tuple[Array, Array]:
    """Return the images of (1, 28, 28) between 0 and 1, and their labels."""
    x = idx(folder / f"{part}-images-idx3-ubyte.gz")[:, None].astype(np.float32) / 255
    return x, idx(folder / f"{part}-labels-idx1-ubyte.gz").astype(np.int64)


def lenet(seed: int = 0) -> Network:
    """Return LeNet-5 with ReLU and max pooling, 61,706 numbers, as it is taught today."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> tuple[Array, Array]:
        return he_normal(shape, rng), np.zeros(shape[0], np.float32)

    return Network(
        [
            Conv(*normal(6, 1, 5, 5), padding=2), ReLU(), MaxPool(2),
            Conv(*normal(16, 6, 5, 5)), ReLU(), MaxPool(2), Flatten(),
            Dense(*normal(120, 400)), ReLU(), Dense(*normal(84, 120)), ReLU(),
            Dense(*normal(10, 84)),
        ],
        (1, 28, 28),
    )  # fmt: skip


def in_type(net: Network, dtype: Any) -> Network:
    """Return the same network with its numbers in another type."""
    layers = copy.deepcopy(net.layers)
    for layer in layers:
        for name, value in layer.params.items():
            layer.params[name] = value.astype(dtype)
    return Network(layers, net.input_shape)


def main() -> int:
    """Print the table."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(sys.argv[1])
    x, labels = images(folder, "train")
    test, truth = images(folder, "t10k")
    net, start = lenet(), time.perf_counter()
    for epoch in range(EPOCHS):
        optimizer = Adam(2e-3 * 0.6**epoch)
        (loss,) = fit(
            net, x, labels, loss=cross_entropy, optimizer=optimizer, batch_size=BATCH,
            seed=epoch, progress=sys.stderr.isatty(),
        )  # fmt: skip
        right = (predict(net, test).argmax(1) == truth).mean()
        taken = time.perf_counter() - start
        print(f"epoch {epoch + 1}: loss {loss:.3f}, test {right:.2%}, {taken:.0f} s", flush=True)
    print("\n| numbers | form | accuracy | other predictions | largest difference | bound |")
    print("| --- | --- | --- | --- | --- | --- |")
    for dtype in (np.float64, np.float32):
        cnn = in_type(net, dtype)
        mlp = to_mlp(cnn)
        pointwise = to_cnn(in_type(net, dtype))
        inputs = test.astype(dtype)
        scores = predict(cnn, inputs)
        forms = {
            "convolutions": scores,
            "perceptron": predict(mlp, inputs.reshape(len(test), -1)),
            "fully convolutional": predict(pointwise, inputs).reshape(scores.shape),
        }
        bound = error_bound(cnn, inputs[:20], dtype).max()
        for name, found in forms.items():
            wrong = int((found.argmax(1) != scores.argmax(1)).sum())
            most = abs(found - scores).max()
            right = (found.argmax(1) == truth).mean()
            print(
                f"| {np.dtype(dtype).name} | {name} | {right:.2%} | {wrong} of {len(test):,} "
                f"| {most:.1e} | {bound:.0e} |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
