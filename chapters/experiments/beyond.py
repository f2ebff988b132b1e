"""The matrix of a layer in blocks on a cluster: growth, the largest one, and what goes wrong.

The layer has 64 channels, to 64, and 3 x 3 weights. Weights and inputs are small integers, so that
float32 computes exactly, and every way of computing gives the same numbers. The runs:

``growth``
    what it takes to build the matrix on some workers and to apply it, for several sizes;
``gathered``
    all blocks to one worker, whose limit of memory is less than that;
``nearest``
    a matrix that is no convolution, projected in blocks;
``largest``
    the second layer of VGG on images of 224 x 224, block by block, each built, used and dropped.
"""

from __future__ import annotations

import time
from typing import Any

import dask
import numpy as np
from distributed import Client, KilledWorker, wait

from equivlib import Geometry
from experiments import protocol
from experiments.strips import (
    Blocks,
    Unbuilt,
    builds,
    built,
    by_scipy,
    cluster,
    joined,
    nearest_in,
    numbers,
    peaks,
    received,
)

ALONE = True
#: Of the layer on images of 56 x 56: its matrix takes 904 MB, and a worker may take this much.
MEMORY = 600 * 10**6
SIDE, BUILT, APPLIED = 224, 3, 3


def tasks() -> list[protocol.Task]:
    """Nothing is searched; what is timed is repeated."""
    growing = [(56, 1), (56, 2), (56, 4), (28, 2), (112, 2)]
    once = {"gathered": 30, "nearest": 120, "largest": 300}
    return [
        protocol.Task(
            {"what": "growth", "side": side, "workers": workers},
            seconds=20,
            judges=(0,),
        )
        for side, workers in growing
    ] + [
        protocol.Task({"what": what}, seconds=seconds, judges=(0,))
        for what, seconds in once.items()
    ]


def run(setting: dict[str, Any]) -> dict[str, Any]:
    """One of them."""
    seed = setting["seed"]
    if setting["what"] == "growth":
        return growth(setting["side"], setting["workers"], seed)
    return {
        "gathered": gathered,
        "nearest": nearest,
        "largest": largest,
    }[setting["what"]](seed)


def worked(client: Client) -> list[float]:
    """Processor seconds of the busiest worker since the last call: its own, and the system's.

    The system's are mostly for handing out memory, which may take ten times as long as what is
    done with it, or nothing. Other programs do not count.
    """

    def spent(dask_worker: Any) -> list[float]:
        import resource  # here: the chapter, which Windows runs too, does not need it

        used = resource.getrusage(resource.RUSAGE_SELF)
        now = np.array([used.ru_utime, used.ru_stime])
        before = getattr(dask_worker, "seconds", np.zeros(2))
        dask_worker.seconds = now
        return [float(each) for each in now - before]

    return max(client.run(spent).values())


def emptied(client: Client) -> None:
    """Wait until the workers hold nothing any more."""
    while any(
        client.run(lambda dask_worker: len(dask_worker.data)).values()
    ):
        time.sleep(0.1)


def growth(side: int, workers: int, seed: int) -> dict[str, Any]:
    """What building the matrix of a layer and applying it to an image takes."""
    weight, x = numbers(side, 1, seed)
    geometry = Geometry(weight.shape, x.shape[1:], padding=1)
    limit = geometry.nbytes("float32") // workers + 4 * 10**8
    with cluster(workers, limit) as client:
        build = []
        for _ in range(BUILT):
            matrix = None
            emptied(client)
            worked(client)
            matrix = Blocks(
                client, weight, x.shape[1:], workers, padding=1
            )
            wait(matrix.blocks)
            build.append(worked(client))
        equal, apply = [], []
        expected = by_scipy(x, weight, 1)
        for _ in range(APPLIED):
            equal.append(bool((matrix @ x == expected).all()))
            apply.append(worked(client))
        return {
            "equal": all(equal),
            "build": build,
            "apply": apply,
            "received": received(client) // APPLIED,
            "blocks": builds(client)[-workers:].tolist(),
            "peaks": peaks(client),
        }


def gathered(seed: int) -> dict[str, Any]:
    """All blocks to one worker, which may not take so much memory; then the matrix once more."""
    weight, x = numbers(56, 1, seed)
    once = {"distributed.scheduler.allowed-failures": 0}
    with dask.config.set(once), cluster(4, MEMORY) as client:
        matrix = Blocks(client, weight, x.shape[1:], 8, padding=1)
        wait(matrix.blocks)
        counted = client.submit(len, matrix.blocks, pure=False)
        try:
            counted.result()
            outcome = "held"
        except KilledWorker:
            outcome = "KilledWorker"
        del counted
        equal = bool((matrix @ x == by_scipy(x, weight, 1)).all())
        return {
            "outcome": outcome,
            "equal": equal,
            "builds": len(builds(client)),
        }


def largest(seed: int) -> dict[str, Any]:
    """The second layer of VGG: block by block, each built, used and dropped."""
    weight, x = numbers(SIDE, 1, seed)
    with cluster(2, 10**9) as client:
        worked(client)
        matrix = Blocks(
            client, weight, x.shape[1:], 32, kept=False, padding=1
        )
        y = matrix @ x
        return {
            "seconds": worked(client),
            "equal": bool((y == by_scipy(x, weight, 1)).all()),
            "blocks": builds(client).tolist(),
            "received": received(client),
            "peaks": peaks(client),
        }


def disturbed(matrix: Unbuilt, seed: int) -> Any:
    """A block with noise on all that it stores: no convolution any more."""
    found = built(matrix)
    noise = np.random.default_rng([seed, matrix.part.start])
    found.data += noise.standard_normal(found.nnz, found.dtype)
    return found


def nearest(seed: int) -> dict[str, Any]:
    """Noise of variance 1 on the matrix for 28 x 28, projected in blocks and as a whole."""
    weight, x = numbers(28, 1, seed)
    with cluster(2, 10**9) as client:
        matrix = Blocks(
            client, weight, x.shape[1:], 8, kept=False, padding=1
        )
        blocks = [
            matrix.on(r, disturbed, each, seed)
            for r, each in enumerate(matrix.blocks)
        ]
        found = client.gather(
            [
                matrix.on(r, nearest_in, each, part, matrix.geometry)
                for r, (each, part) in enumerate(
                    zip(blocks, matrix.parts, strict=True)
                )
            ]
        )
        kernel, distance = joined(found)
        return {
            "distance": distance,
            "stored": int(builds(client)[:, 0].sum()),
            "away": float(np.sqrt(np.mean(np.square(kernel - weight)))),
        }
