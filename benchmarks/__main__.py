"""Print every measured ratio, each against a peer or the memory floor timed in the same run."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy

import equivlib

from . import cases

ROUNDS = 7
BATCH = 16
#: Kronecker sums and coordinate lists of case B take 3 to 4 GB and many seconds: once is enough.
SLOW_ROUNDS = 1


def seconds(rounds: int, *actions: Callable[[], Any]) -> list[float]:
    """Return the median time of each action, all in turn, so that they see the same machine."""
    times: list[list[float]] = [[] for _ in actions]
    for _ in range(rounds):
        for own, action in zip(times, actions, strict=True):
            start = time.perf_counter()
            result = action()
            own.append(time.perf_counter() - start)
            del result
    return [statistics.median(own) for own in times]


def row(what: str, time_in_seconds: float, ratio: float, against: str) -> None:
    """Print one line of the table."""
    print(f"| {what} | {time_in_seconds * 1e3:.3g} ms | {ratio:.2f} × | {against} |", flush=True)


def build(layer: cases.Case) -> None:
    """Compare building the matrix with the floor and with the two usual ways."""
    geometry = layer.geometry

    def ours() -> Any:
        return equivlib.conv_matrix(layer.weight, layer.input_shape, padding=1)

    floor_time, time_ours = seconds(ROUNDS, lambda: cases.floor(geometry), ours)
    row(f"{layer.name}: write as many bytes, the floor", floor_time, 1, "itself")
    row(f"{layer.name}: conv_matrix", time_ours, time_ours / floor_time, "the floor")
    slow = SLOW_ROUNDS if layer.name == "B" else ROUNDS
    built = ours()
    for name, peer in (
        ("coordinates, then tocsr", cases.by_coordinates),
        ("Kronecker sums", cases.by_kronecker),
    ):
        (peer_time,) = seconds(slow, lambda peer=peer: peer(layer))
        row(f"{layer.name}: {name}", peer_time, peer_time / floor_time, "the floor")
        if layer.name == "A" and abs(peer(layer) - built).max() != 0:
            raise AssertionError(f"{name} builds another matrix")


def peak(layer: cases.Case) -> None:
    """Measure the most memory that building holds, against the size of the result."""
    tracemalloc.start()
    W = equivlib.conv_matrix(layer.weight, layer.input_shape, padding=1)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = W.data.nbytes + W.indices.nbytes + W.indptr.nbytes
    what, against = (
        f"{layer.name}: peak memory of conv_matrix",
        f"the {size / 1e6:.0f} MB it returns",
    )
    print(f"| {what} | {most / 1e6:.0f} MB | {most / size:.3f} × | {against} |", flush=True)


def apply(layer: cases.Case) -> None:
    """Compare three ways to apply the layer, and PyTorch if it is installed."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((BATCH, *layer.input_shape), dtype=np.float32)
    W = equivlib.conv_matrix(layer.weight, layer.input_shape, padding=1)
    flat = np.ascontiguousarray(x.reshape(BATCH, -1).T)
    for batch in (1, BATCH):
        actions: dict[str, Callable[[], Any]] = {
            "conv": lambda batch=batch: equivlib.conv(x[:batch], layer.weight, padding=1),
            "W @ x": lambda batch=batch: W @ flat[:, :batch],
        }
        reference = torch_conv(x[:batch], layer.weight)
        if reference is not None:
            actions["torch conv2d"] = reference
        times = dict(zip(actions, seconds(ROUNDS, *actions.values()), strict=True))
        base = "torch conv2d" if reference is not None else "conv"
        for name, taken in times.items():
            row(f"{layer.name}, batch {batch}: {name}", taken, taken / times[base], base)


def torch_functions() -> Any:
    """Return PyTorch's functions, if PyTorch is there."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_grad_enabled(False)
    return torch.nn.functional


def torch_conv(x: Any, weight: Any) -> Callable[[], Any] | None:
    """Return PyTorch's convolution of the same numbers."""
    functions = torch_functions()
    if functions is None:
        return None
    import torch

    image, kernel = torch.from_numpy(x), torch.from_numpy(weight)
    return lambda: functions.conv2d(image, kernel, padding=1)


def patches(layer: cases.Case) -> None:
    """Time patches as columns and back, one input, against PyTorch's unfold and fold."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((1, *layer.input_shape), dtype=np.float32)
    columns = equivlib.im2col(x, (3, 3), padding=1)
    functions = torch_functions()
    peers: dict[str, Callable[[], Any]] = {}
    if functions is not None:
        import torch

        image, unfolded = torch.from_numpy(x), torch.from_numpy(columns)
        peers["im2col"] = lambda: functions.unfold(image, 3, padding=1)
        peers["col2im"] = lambda: functions.fold(unfolded, layer.input_shape[1:], 3, padding=1)
    ours: dict[str, Callable[[], Any]] = {
        "im2col": lambda: equivlib.im2col(x, (3, 3), padding=1),
        "col2im": lambda: equivlib.col2im(columns, layer.input_shape, (3, 3), padding=1),
    }
    for name, action in ours.items():
        if name in peers:
            taken, base = seconds(ROUNDS, action, peers[name])
            row(f"{layer.name}: {name}", taken, taken / base, "torch")
        else:
            (taken,) = seconds(ROUNDS, action)
            row(f"{layer.name}: {name}", taken, 1, "itself")


def projection() -> None:
    """Compare the nearest convolution to a dense matrix with one pass over its bytes."""
    matrix = np.random.default_rng(3).standard_normal((4096, 4096))
    taken, base = seconds(
        ROUNDS,
        lambda: equivlib.project(matrix, (1, 1, 3, 3), (1, 64, 64), padding=1),
        lambda: np.vdot(matrix, matrix),
    )
    row("project a dense 4096 × 4096 matrix", taken, taken / base, "one pass over it")


def growth() -> None:
    """Time building over three decades of stored numbers: that of one number stays the same."""
    sizes, costs = [], []
    for channels, side in ((4, 28), (8, 56), (16, 90), (32, 144), (64, 112)):
        layer = cases.case("", channels, (channels, side, side))
        geometry = layer.geometry
        (taken,) = seconds(
            ROUNDS,
            lambda layer=layer: equivlib.conv_matrix(
                layer.weight, layer.input_shape, padding=1, max_bytes=2**33
            ),
        )
        sizes.append(geometry.nnz)
        costs.append(taken)
        each = taken / geometry.nnz * 1e9
        print(f"| {geometry.nnz:,} stored numbers | {taken * 1e3:.3g} ms | {each:.2f} ns each | |")
    plot(sizes, costs)


def plot(sizes: list[int], costs: list[float]) -> None:
    """Draw the growth into benchmarks/growth.png, if matplotlib is there."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    figure = Figure(figsize=(4.2, 3), layout="constrained")
    axes = figure.add_subplot()
    axes.loglog(sizes, costs, "o-", color="#1b1b1b", label="measured")
    line = [costs[-1] * n / sizes[-1] for n in sizes]
    axes.loglog(sizes, line, "--", color="#d1495b", label="proportional")
    axes.set_xlabel("stored numbers")
    axes.set_ylabel("seconds to build")
    axes.legend()
    figure.savefig(Path(__file__).with_name("growth.png"), dpi=150)


def import_time() -> None:
    """Compare importing the library with importing what it needs, both compiled before."""
    kept = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}  # as it is for whoever installs it

    def run(code: str) -> Callable[[], Any]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True, env=kept)

    base, ours = seconds(ROUNDS, run("import numpy, scipy.sparse"), run("import equivlib"))
    row("import equivlib", ours, ours / base, "import numpy, scipy.sparse")


def main() -> None:
    """Print the table."""
    print(f"numpy {np.__version__}, scipy {scipy.__version__}, Python {platform.python_version()}")
    print(f"medians of {ROUNDS} rounds in turn; float32, 3 × 3 kernels, padding 1\n")
    print("| what | time | ratio | against |\n| --- | --- | --- | --- |")
    for layer in cases.CASES:
        build(layer)
        peak(layer)
        apply(layer)
        patches(layer)
    projection()
    growth()
    import_time()


if __name__ == "__main__":
    main()
