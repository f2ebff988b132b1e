"""Convert a ResNet-18 for 32 × 32 images: depth, numbers, time, memory, difference for each width.

python -m benchmarks.resnet [WIDTH ...]
"""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equivlib import Network, conversion_table, to_mlp
from equivlib.layers import AdaptiveAvgPool, Add, BatchNorm, Conv, Dense, Flatten, Layer, ReLU

Array = NDArray[Any]
WIDTHS = (8, 16, 64)
SAMPLES = 2
GIB = 2**30


def resnet18(width: int, seed: int = 0) -> Network:
    """Make basic blocks in four stages of two, a 3 × 3 stem, random weights, in float64."""
    rng = np.random.default_rng(seed)
    layers: list[Layer] = []

    def convolution(outputs: int, inputs: int, size: int, stride: int, source: int) -> int:
        """Return a convolution with its normalisation; the position of the latter."""
        scale = np.sqrt(2 / (inputs * size * size))
        weight = rng.normal(scale=scale, size=(outputs, inputs, size, size))
        layers.append(Conv(weight, stride=stride, padding=size // 2, source=source))
        gamma, variance = (rng.uniform(0.5, 1.5, outputs) for _ in range(2))
        beta, mean = (rng.normal(scale=0.1, size=outputs) for _ in range(2))
        layers.append(BatchNorm(gamma, beta, mean, variance))
        return len(layers) - 1

    def activation() -> int:
        layers.append(ReLU())
        return len(layers) - 1

    convolution(width, 3, 3, 1, -1)
    last, channels = activation(), width
    for stage in range(4):
        for block in range(2):
            outputs, stride = width * 2**stage, 2 if stage and not block else 1
            before = last
            convolution(outputs, channels, 3, stride, before)
            inner = convolution(outputs, outputs, 3, 1, activation())
            if stride > 1 or channels != outputs:
                before = convolution(outputs, channels, 1, stride, before)
            layers.append(Add(inner, before))
            last, channels = activation(), outputs
    layers += [AdaptiveAvgPool(1), Flatten(), Dense(rng.normal(scale=0.05, size=(10, channels)))]
    return Network(layers, (3, 32, 32))


def main() -> None:
    """Print a line for each width."""
    print(
        "| width | parameters | depth | stored | dense | sparse | converting | largest difference |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for width in [int(word) for word in sys.argv[1:]] or WIDTHS:
        net = resnet18(width)
        total, count = conversion_table(net).total, sum(v.size for _, _, v in net.parameters())
        x = np.random.default_rng(1).normal(size=(SAMPLES, *net.input_shape))
        start = time.perf_counter()
        mlp = to_mlp(net, max_bytes=16 * GIB)
        taken = time.perf_counter() - start
        y = net(x).reshape(SAMPLES, -1)
        most = abs(mlp(x.reshape(SAMPLES, -1)) - y).max() / abs(y).max()
        print(
            f"| {width} | {count:,} | {total.depth} | {total.stored:,} | {total.dense:.3g} "
            f"| {total.nbytes / GIB:.2f} GiB | {taken:.1f} s | {most:.0e} of the largest output |",
            flush=True,
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\nPeak memory of the process, the last width included: {peak:.2f} GiB")


if __name__ == "__main__":
    main()
