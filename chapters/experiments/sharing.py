"""Does a trained network share more between its places than being local brings by itself?

A unit that reads five neighbouring inputs resembles many others that do, so a measure of sharing is
high for a network with random weights too, if it is local. Here networks of ``more_data`` are
trained again, at the rates that were found there, and each unit of the first layer is compared
twice: as it is, and with its weights in mirror image, which is as smooth. Only the weights in a
unit's window count, because a part that all units have in common outside of their windows would fit
whatever is moved, and its mirror image would not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from equivlib import Network
from experiments import measures, more_data, nets, protocol, results
from experiments.protocol import Task

#: Networks and numbers of examples.
NETWORKS = (
    ("cnn", 4000),
    ("local", 4000),
    ("free", 4000),
    ("cnn", 60_000),
    ("local", 60_000),
    ("free", 60_000),
)


def tasks(before: list[results.Run] | None = None) -> list[Task]:
    """Each network at the rate that ``more_data`` found; a guess is enough for a plan."""
    before = results.load("more_data") if before is None else before
    found = []
    for model, size in NETWORKS:
        task = more_data.task(model, size)
        best = protocol.chosen(task, before) or {"rate": task.rates[1]}
        found.append(Task({**task.what, **best}, seconds=task.seconds))
    return found


def settings(runs: list[results.Run]) -> list[dict[str, Any]]:
    """Ten judged runs of each; nothing is searched here."""
    before = results.load_complete("more_data")
    return protocol.settings(tasks(before), runs)


def best_windows(weight: np.ndarray, width: int) -> np.ndarray:
    """Where the best window of neighbouring inputs of each row begins."""
    windows, _ = measures.window_sums(weight.astype(float) ** 2, width)
    return windows.argmax(axis=1)


def in_windows(
    weight: np.ndarray, start: np.ndarray, width: int
) -> np.ndarray:
    """Each row with zeros outside of its window."""
    places = np.arange(weight.shape[1])
    inside = (start[:, None] <= places) & (
        places < start[:, None] + width
    )
    return weight * inside


def mirrored(
    weight: np.ndarray, start: np.ndarray, width: int
) -> np.ndarray:
    """Each row reversed, on a circle, about the middle of its window."""
    places = np.arange(weight.shape[1])
    swapped = (2 * start[:, None] + width - 1 - places) % len(places)
    return np.take_along_axis(weight, swapped, axis=1)


def best_among(
    ours: np.ndarray,
    others: np.ndarray,
    allowed: np.ndarray,
    weights: np.ndarray,
) -> float:
    """Mean over columns of the largest correlation with an allowed column of the second.

    Columns without any allowed one are left out.
    """
    products = measures.correlations(ours, others)
    best = np.where(allowed, products, -1).max(axis=1)
    some = allowed.any(axis=1)
    return measures.mean(best[some], weights[some])


def sharing(
    weight: np.ndarray, x: np.ndarray, weights: np.ndarray
) -> dict[str, float]:
    """How well others do on the moved input what a unit, or its mirror image, does on the input.

    Among the units whose window lies where the moved input came from, and, as a control, among
    those whose window lies as far away on the other side.
    """
    step, width = measures.STEPS[0], measures.FIELDS[0]
    start = best_windows(weight, width)
    units = in_windows(weight, start, width)
    images = mirrored(units, start, width)
    # Moved to the right, a unit sees what stood further left before.
    places = {"there": start - step, "other side": start + step}
    moved, responses = measures.shift(x, step), x @ units.T
    return {
        f"{name}, {where}": best_among(
            moved @ unit.T,
            responses,
            start[None, :] == place[:, None],
            weights,
        )
        for where, place in places.items()
        for name, unit in (("as it is", units), ("mirrored", images))
    }


def of(net: Network, x: np.ndarray) -> dict[str, float]:
    """The measure of the first layer; each unit weighs what it moves the outputs."""
    weights = measures.importance(net, x[: measures.JACOBIANS])[0]
    first = measures.affine(net)[0].weight
    return sharing(first, x[: measures.RESPONSES], weights)


def run(setting: dict[str, Any]) -> dict[str, Any]:
    """One network, untrained and trained; the trained one with other names for its units, too."""
    seed = setting["seed"]
    train, valid, judges = nets.examples(seed, setting["examples"])
    rng = np.random.default_rng([seed, 1])
    net = more_data.network(setting["model"], rng)
    start = of(nets.matrices(net), judges[0])
    more_data.train(net, setting, train, valid, rng)
    chain = nets.matrices(net)
    other = nets.renamed(chain, np.random.default_rng([seed, 9]))
    return {
        "test": protocol.accuracy(net, *judges),
        "start": start,
        "end": of(chain, judges[0]),
        "renamed": of(other, judges[0]),
    }
