"""A convolution's matrix that nobody holds whole: blocks of rows on the workers of a Dask cluster.

The output rows of the image are cut into strips. The rows of the matrix that belong to a strip are
the matrix of a smaller convolution, which is built on one worker, from the kernel. Every input row
is kept by the strip that reads it most; what another strip reads of it, the halo, is sent.

Workers import this module, so it imports no more than they need.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from logging import CRITICAL
from pathlib import Path
from typing import Any, NamedTuple

import dask
import numpy as np
import psutil
from distributed import Client, LocalCluster, get_worker

import equivlib
from equivlib import Geometry

Array = np.ndarray
#: Everything stays in memory and where it is put, and a slow worker is not taken for a lost one.
CONFIG = {
    "distributed.comm.timeouts.connect": "300s",
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.worker-ttl": None,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 1.0,
}


def exports() -> list[str]:
    """What a shell has to set, so that a scheduler or a worker started by hand has it as well."""
    names = (
        key.upper().replace(".", "__").replace("-", "_")
        for key in CONFIG
    )
    return [
        f"export DASK_{name}={value}"
        for name, value in zip(names, CONFIG.values(), strict=True)
    ]


@contextmanager
def cluster(workers: int, memory: int) -> Iterator[Client]:
    """Processes on this machine, each with a limit of its memory in bytes; nothing is logged."""
    loopback = "127.0.0.1"
    with (
        warnings.catch_warnings(action="ignore", category=UserWarning),
        dask.config.set(CONFIG),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=memory,
            host=loopback,
            dashboard_address=f"{loopback}:0",
            silence_logs=CRITICAL + 1,
            env={"PYTHONWARNINGS": "ignore"},
        ) as local,
        Client(local) as client,
    ):
        yield client


# The strips ---------------------------------------------------------------------------------------


class Strip(NamedTuple):
    """Output rows ``start`` to ``stop``, and the inputs between the first and the last they read."""

    start: int
    stop: int
    #: Input rows ``low`` to ``high``, within the image.
    low: int
    high: int
    #: Rows of zeros before and behind them.
    ends: tuple[int, int]


def strip(geometry: Geometry, start: int, stop: int) -> Strip:
    """One strip, with what it reads."""
    axis = geometry.axes[0]
    first = axis.stride * start - axis.low
    last = axis.stride * (stop - 1) - axis.low + axis.extent
    low, high = max(first, 0), min(last, axis.size)
    return Strip(start, stop, low, high, (low - first, last - high))


def cut(geometry: Geometry, parts: int) -> list[Strip]:
    """The image cut into parts of equal height, up to a row."""
    cuts = [
        geometry.output_shape[1] * r // parts for r in range(parts + 1)
    ]
    return [
        strip(geometry, start, stop) for start, stop in pairwise(cuts)
    ]


def uses(geometry: Geometry, parts: Sequence[Strip]) -> Array:
    """How often each strip reads each input row, along the first axis."""
    count = np.zeros((len(parts), geometry.input_shape[1]), int)
    for row, part in zip(count, parts, strict=True):
        read = geometry.axes[0].reads(part.start, part.stop)
        np.add.at(row, read[read >= 0], 1)
    return count


def block(weight: Array, part: Strip, geometry: Geometry) -> Any:
    """The rows of the matrix for a strip: the matrix of a convolution of what it reads."""
    channels, _, *rest = geometry.input_shape
    return equivlib.conv_matrix(
        weight,
        (channels, part.high - part.low, *rest),
        **options_of(part, geometry),
    )


def options_of(part: Strip, geometry: Geometry) -> dict[str, Any]:
    """The options of this convolution: those of the layer, with the zeros of the strip."""
    return {
        "stride": geometry.stride,
        "dilation": geometry.dilation,
        "groups": geometry.groups,
        "padding": (part.ends, *geometry.padding[1:]),
    }


# What a worker does -------------------------------------------------------------------------------


class Unbuilt(NamedTuple):
    """What a block is built from, in place of the block."""

    weight: Array
    part: Strip
    geometry: Geometry


def built(matrix: Any) -> Any:
    """A block, built now if it is not yet there, with a note in the log of the cluster."""
    if not isinstance(matrix, Unbuilt):
        return matrix
    found = block(*matrix)
    get_worker().log_event("built", (found.nnz, nbytes(found)))
    return found


def nbytes(matrix: Any) -> int:
    """Bytes of a matrix in CSR form."""
    return sum(
        part.nbytes
        for part in (matrix.data, matrix.indices, matrix.indptr)
    )


def columns(
    part: Strip, rows: Sequence[Array], pieces: Sequence[Array]
) -> Array:
    """What a strip reads, put together: a column for each input of the batch."""
    batch, channels, _, *rest = pieces[0].shape
    x = np.zeros(
        (batch, channels, part.high - part.low, *rest), pieces[0].dtype
    )
    for row, piece in zip(rows, pieces, strict=True):
        x[:, :, row - part.low] = piece
    return x.reshape(batch, -1).T


def product(
    matrix: Any,
    part: Strip,
    rows: Sequence[Array],
    pieces: Sequence[Array],
) -> Array:
    """The outputs of a strip, a row for each input of the batch."""
    return (built(matrix) @ columns(part, rows, pieces)).T


def normal(
    matrix: Any,
    part: Strip,
    rows: Sequence[Array],
    pieces: Sequence[Array],
) -> Array:
    """The block, then its transpose, for one input: what the strip adds to the inputs it reads."""
    _, channels, _, *rest = pieces[0].shape
    matrix = built(matrix)
    back = matrix.T @ (matrix @ columns(part, rows, pieces))
    return back.T.reshape(1, channels, part.high - part.low, *rest)


def take(x: Array, rows: Array) -> Array:
    """Some of the rows: what is sent."""
    return x[:, :, rows]


def total(
    rows: Array, places: Sequence[Array], parts: Sequence[Array]
) -> Array:
    """The sum of what several strips add to the rows of one."""
    batch, channels, _, *rest = parts[0].shape
    x = np.zeros((batch, channels, len(rows), *rest), parts[0].dtype)
    for place, part in zip(places, parts, strict=True):
        x[:, :, place] += part
    return x


def square(x: Array) -> float:
    """The sum of the squares."""
    return float(np.sum(np.square(x, dtype=np.float64)))


def scaled(x: Array, factor: float) -> Array:
    """A vector of another length."""
    return x * x.dtype.type(factor)


# The matrix ---------------------------------------------------------------------------------------


class Blocks:
    """The matrix of a layer, each block of rows on one worker, or built anew when it is used."""

    def __init__(
        self,
        client: Client,
        weight: Array,
        input_shape: Sequence[int],
        parts: int,
        *,
        kept: bool = True,
        **options: Any,
    ) -> None:
        self.client = client
        self.geometry = Geometry(weight.shape, input_shape, **options)
        self.parts = cut(self.geometry, parts)
        count = uses(self.geometry, self.parts)
        self.read = [np.flatnonzero(row) for row in count]
        owner = np.where(count.any(axis=0), count.argmax(axis=0), -1)
        self.own = [np.flatnonzero(owner == r) for r in range(parts)]
        workers = list(client.nthreads())
        self.where = [
            workers[r * len(workers) // parts] for r in range(parts)
        ]
        self.blocks = [
            Unbuilt(weight, part, self.geometry) for part in self.parts
        ]
        if kept:
            self.blocks = [
                self.on(r, built, each)
                for r, each in enumerate(self.blocks)
            ]

    def on(self, r: int, function: Any, *arguments: Any) -> Any:
        """Let the worker of a strip call a function, another one only if it is gone."""
        return self.client.submit(
            function,
            *arguments,
            workers=[self.where[r]],
            allow_other_workers=True,
            pure=False,
        )

    def hand_out(self, x: Array) -> list[Any]:
        """The rows of a batch, each to its strip; as tasks, which can be done again."""
        return [
            self.on(r, np.ascontiguousarray, x[:, :, rows])
            for r, rows in enumerate(self.own)
        ]

    def inputs(
        self, x: Sequence[Any], r: int
    ) -> tuple[list[Array], list[Any]]:
        """What a strip reads: its own rows, and those of others, which is the halo."""
        rows, pieces = [], []
        for k, own in enumerate(self.own):
            shared = np.intersect1d(own, self.read[r])
            if k == r:
                pieces.append(x[r])
            elif len(shared):
                pieces.append(
                    self.on(k, take, x[k], np.searchsorted(own, shared))
                )
            else:
                continue
            rows.append(shared)
        return rows, pieces

    def __matmul__(self, x: Array) -> Array:
        """Apply the layer to a batch."""
        own = self.hand_out(x)
        y = [
            self.on(r, product, matrix, part, *self.inputs(own, r))
            for r, (matrix, part) in enumerate(
                zip(self.blocks, self.parts, strict=True)
            )
        ]
        channels, _, *rest = self.geometry.output_shape
        found = [
            each.reshape(len(x), channels, -1, *rest)
            for each in self.client.gather(y)
        ]
        return np.concatenate(found, axis=2)

    def normal(self, x: Sequence[Any]) -> list[Any]:
        """The matrix, then its transpose; what a strip adds to rows of others is sent back."""
        z = [
            self.on(r, normal, matrix, part, *self.inputs(x, r))
            for r, (matrix, part) in enumerate(
                zip(self.blocks, self.parts, strict=True)
            )
        ]
        return [
            self.on(r, total, own, *self.returned(z, r))
            for r, own in enumerate(self.own)
        ]

    def returned(
        self, z: Sequence[Any], r: int
    ) -> tuple[list[Array], list[Any]]:
        """What each strip adds to the rows of one, and where."""
        places, parts = [], []
        for k, part in enumerate(self.parts):
            shared = np.intersect1d(self.own[r], self.read[k])
            if len(shared):
                places.append(np.searchsorted(self.own[r], shared))
                parts.append(self.on(k, take, z[k], shared - part.low))
        return places, parts

    def power(self, x: Array, steps: int) -> Iterator[float]:
        """Lower bounds of the norm, one for each step of the power iteration."""
        own, length = self.hand_out(x), float(np.linalg.norm(x))
        for _ in range(steps):
            own = [
                self.on(r, scaled, each, 1 / length)
                for r, each in enumerate(own)
            ]
            own = self.normal(own)
            squares = [
                self.on(r, square, each) for r, each in enumerate(own)
            ]
            length = float(np.sqrt(sum(self.client.gather(squares))))
            yield float(np.sqrt(length))


# What is measured ---------------------------------------------------------------------------------


def received(client: Client) -> int:
    """Bytes of results that workers have received from other workers so far."""
    found = client.run(
        lambda dask_worker: sum(
            one["total"] for one in dask_worker.transfer_incoming_log
        )
    )
    return sum(found.values())


def peaks(client: Client) -> list[int]:
    """The most memory each worker has had, in bytes; what it has now, where this is not Linux."""

    def peak() -> int:
        status = Path("/proc/self/status")
        if not status.exists():
            return int(psutil.Process().memory_info().rss)
        lines = status.read_text().splitlines()
        (line,) = (each for each in lines if each.startswith("VmHWM:"))
        return 1024 * int(line.split()[1])

    return sorted(client.run(peak).values())


def builds(client: Client) -> Array:
    """Numbers and bytes of each block that has been built so far."""
    return np.array([told for _, told in client.get_events("built")])


def kill(client: Client, address: str) -> None:
    """End the process of a worker, at once."""
    process = client.run(os.getpid, workers=[address])[address]
    psutil.Process(process).kill()


def by_scipy(x: Array, weight: Array, padding: int) -> Array:
    """A layer of integers on a batch, by SciPy's Fourier transform and without the library."""
    from scipy.signal import fftconvolve  # here: no worker needs it

    around = (padding, padding)
    padded = np.pad(x, [(0, 0), (0, 0), around, around]).astype(float)
    flipped = weight[:, None, :, ::-1, ::-1].astype(float)
    channels = [
        fftconvolve(padded, kernel, mode="valid", axes=(2, 3)).sum(
            axis=1
        )
        for kernel in flipped
    ]
    return np.stack(channels, axis=1).round()


def numbers(side: int, batch: int, seed: int) -> tuple[Array, Array]:
    """Integers for a kernel of 64 channels to 64, 3 x 3, and for a batch of square images."""
    rng = np.random.default_rng(seed)
    weight = rng.integers(-4, 5, (64, 64, 3, 3)).astype(np.float32)
    x = rng.integers(0, 10, (batch, 64, side, side)).astype(np.float32)
    return weight, x


# The nearest convolution --------------------------------------------------------------------------


class Nearest(NamedTuple):
    """What a block knows of the nearest convolution."""

    weight: Array
    residual: float
    #: At how many places of one pair of channels each tap is.
    places: Array


def nearest_in(matrix: Any, part: Strip, geometry: Geometry) -> Nearest:
    """The convolution nearest to a block."""
    channels, _, *rest = geometry.input_shape
    options = options_of(part, geometry)
    shape = (channels, part.high - part.low, *rest)
    found = equivlib.project(
        matrix, geometry.weight_shape, shape, **options
    )
    kernel = geometry.weight_shape[2:]
    del options["groups"]
    met = equivlib.im2col(
        np.ones((1, *shape[1:])), kernel, **options
    ).sum(axis=1)
    return Nearest(found.weight, found.residual, met.reshape(kernel))


def joined(parts: Sequence[Nearest]) -> tuple[Array, float]:
    """The convolution nearest to all blocks together, and its distance."""
    places = sum(each.places for each in parts)
    weight = sum(
        each.places * each.weight for each in parts
    ) / places.clip(1)
    squares = sum(
        each.residual**2
        + float(np.sum(each.places * np.square(each.weight - weight)))
        for each in parts
    )
    return weight, squares**0.5


if __name__ == "__main__":
    print("\n".join(exports()))
