"""Does a network learn any of it by itself? Three published findings, each made small.

``fields``
    Ingrosso and Goldt (PNAS 2022): units of a fully connected network learn to read a small part
    of inputs on a ring if these are not Gaussian, and do not if they are Gaussian with the same
    covariances. Two classes differ in how far neighbouring inputs are alike.
``pruning``
    Pellegrini and Biroli (ICML 2022): the weights that survive when the smallest ones of a fully
    connected network are removed round by round are neighbours. On MNIST-1D.
``tasks``
    Zhou, Knowles and Finn (ICLR 2021): what many tasks have in common is learned, vec W = U v with
    one U for all tasks. For linear tasks the best U is found by a singular value decomposition.

No measure depends on the order of hidden units, or on positive scales that one layer takes and the
next one gives back. (What pruning removes does: the smallest weights of a whole layer.)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import linalg
from scipy.special import erf

from equivlib import Geometry, tap_matrix
from equivlib.layers import Conv, Dense, Flatten, Network, ReLU, Tanh
from experiments import measures, nets, protocol, results
from experiments.protocol import Plateau, Task

Rng = np.random.Generator
Array = np.ndarray


# Localised fields ---------------------------------------------------------------------------------

RING, GAIN = 100, 3.0
#: How far inputs are alike in the two classes: the covariance of the Gaussian process before the
#: gain falls as exp(-(distance / reach)²).
REACHES = 1.0, 3.0
MADE, CHECKED = 200_000, 4000
#: The first weights are those of PyTorch times this; what is left of them hides what is learned.
SMALL = 0.1
#: Inputs that a unit of the convolutional network reads, and by how many the next one is further.
FIELD, STEP, CHANNELS = 9, 5, 4
#: Inputs, network, hidden units, start. The network of the paper has a function like tanh.
FIELDS = (
    ("not Gaussian", "tanh", 40, SMALL),
    ("Gaussian", "tanh", 40, SMALL),
    ("not Gaussian", "free", 10, SMALL),
    ("Gaussian", "free", 10, SMALL),
    ("not Gaussian", "free", 40, SMALL),
    ("Gaussian", "free", 40, SMALL),
    ("not Gaussian", "free", 10, 1.0),
    ("not Gaussian", "convolution", CHANNELS * RING // STEP, 1.0),
)


def process(covariance: Array, count: int, rng: Rng) -> Array:
    """Gaussian inputs on a ring; ``covariance`` is that of the first one with each."""
    scale = np.sqrt(np.maximum(np.fft.fft(covariance).real, 0))
    noise = np.fft.fft(rng.normal(size=(count, RING)))
    return np.fft.ifft(noise * scale).real


def covariance(reach: float) -> Array:
    """Of the first input with each, before the gain."""
    steps = np.arange(RING)
    return np.exp(-((np.minimum(steps, RING - steps) / reach) ** 2))


def ring_inputs(kind: str, reach: float, count: int, rng: Rng) -> Array:
    """Inputs of variance 1; those of the two kinds have equal covariances.

    With z Gaussian of variance 1, erf(gain z / √2) has the covariances 2/π arcsin(share ρ), ρ that
    of z and share = gain² / (1 + gain²): Price's theorem.
    """
    share = GAIN**2 / (1 + GAIN**2)
    before, variance = covariance(reach), 2 / np.pi * np.arcsin(share)
    if kind == "Gaussian":
        same = 2 / np.pi * np.arcsin(share * before) / variance
        return process(same, count, rng)
    z = process(before, count, rng)
    return erf(GAIN * z / math.sqrt(2)) / math.sqrt(variance)


def ring_examples(kind: str, count: int, rng: Rng) -> protocol.Data:
    """Inputs of the two classes, in float32, and their classes."""
    classes = rng.integers(0, 2, count)
    x = np.empty((count, RING), np.float32)
    for one, reach in enumerate(REACHES):
        there = classes == one
        x[there] = ring_inputs(kind, reach, int(there.sum()), rng)
    return x, classes


def ring_network(
    model: str, units: int, start: float, rng: Rng
) -> Network:
    """One hidden layer: fully connected, with ReLU or tanh, or a convolution on the ring."""
    if model != "convolution":
        layers = [
            nets.dense(RING, units, rng),
            Tanh() if model == "tanh" else ReLU(),
            nets.dense(units, 2, rng),
        ]
        for layer in layers[::2]:
            layer.params["weight"] *= np.float32(start)
        return Network(layers, (RING,))
    convolution = Conv(
        nets.uniform((CHANNELS, 1, FIELD), FIELD, rng),
        nets.uniform((CHANNELS,), FIELD, rng),
        stride=STEP,
        padding=FIELD // 2,
        padding_mode="circular",
    )
    last = nets.dense(units, 2, rng)
    return Network([convolution, ReLU(), Flatten(), last], (1, RING))


def participation(weight: Array) -> Array:
    """Inputs times the inverse participation ratio of each row.

    It is 1 if all weights are equally large, 3 on average for many Gaussian ones, and the number of
    inputs over that of the non-zero weights if these are equally large.
    """
    squares = np.square(weight, dtype=float)
    sums = np.maximum(squares.sum(axis=1), 1e-30)
    return weight.shape[1] * (squares**2).sum(axis=1) / sums**2


def in_arc(weight: Array, width: int = FIELD) -> Array:
    """Share of each row's squares in the best arc of the ring."""
    squares = np.square(weight, dtype=float)
    around = np.concatenate([squares, squares[:, : width - 1]], axis=1)
    sums = np.cumsum(np.pad(around, [(0, 0), (1, 0)]), axis=1)
    best = (sums[:, width:] - sums[:, :-width]).max(axis=1)
    return best / np.maximum(squares.sum(axis=1), 1e-30)


def importance(net: Network, x: Array) -> Array:
    """How much each unit moves the outputs, to first order: as ``measures.importance``.

    That one is for chains with ReLU; this one for one hidden layer, with tanh as well.
    """
    first, activation, last = net.layers
    before = x @ first.weight.T + first.bias
    if isinstance(activation, Tanh):
        slope = 1 - np.tanh(before) ** 2
    else:
        slope = (before > 0).astype(float)
    sizes = np.sqrt((before**2).mean(axis=0) * (slope**2).mean(axis=0))
    return sizes * np.linalg.norm(last.weight, axis=0)


def localisation(
    net: Network, x: Array, order: Array
) -> dict[str, Any]:
    """How much of the ring the units of the first layer read, weighted by what they do for ``x``.

    ``participation`` knows nothing of neighbours: it says that weights are few. ``arc`` says that
    they are neighbours, and is compared with the same for the inputs in a random order.
    """
    first = next(one for one in net.layers if isinstance(one, Dense))
    weights = importance(net, x)
    ratios = participation(first.weight)
    top = np.sort(ratios)[-max(1, len(ratios) // 10) :]
    return {
        "participation": measures.mean(ratios, weights),
        "median": round(float(np.median(ratios)), 4),
        "top": round(float(top.mean()), 4),
        "arc": measures.mean(in_arc(first.weight), weights),
        "shuffled arc": measures.mean(
            in_arc(first.weight[:, order]), weights
        ),
    }


def run_fields(setting: results.Run) -> dict[str, Any]:
    """Train one network on inputs of one kind, and look at its first layer."""
    seed = setting["seed"]
    rng = np.random.default_rng([seed, 1])
    train, valid, judges = (
        ring_examples(setting["inputs"], count, rng)
        for count in (MADE, CHECKED, CHECKED)
    )
    model = setting["model"], setting["units"], setting["start"]
    net = ring_network(*model, rng)
    order = rng.permutation(RING)
    seen = judges[0][: measures.RESPONSES]
    before = localisation(nets.matrices(net), seen, order)
    out = protocol.train(
        net,
        train,
        valid,
        rate=setting["rate"],
        rng=rng,
        plateau=Plateau(every=1000, patience=3, most=40_000),
    )
    result = out.record()
    if not setting["search"]:
        chain = nets.matrices(net)
        first = chain.layers[0].weight
        result |= {
            "test": protocol.accuracy(net, *judges),
            "untrained": before,
            "trained": localisation(chain, seen, order),
        }
        if model[0] != "tanh":  # which has no scales to give back
            other = nets.renamed(chain, rng)
            result["renamed"] = localisation(other, seen, order)
        if seed == protocol.SEEDS[0]:  # to be drawn
            largest = np.abs(first).max(axis=1, keepdims=True)
            result["rows"] = np.round(first / largest, 3)[:40].tolist()
    return result


# Pruning ------------------------------------------------------------------------------------------

PRUNED_UNITS, EXAMPLES = 256, 40_000
#: What each round keeps of the weights of the hidden units, and how many rounds there are.
KEPT, ROUNDS = 0.7, 8


class Pruned(Dense):
    """A dense layer whose entries outside of a mask stay 0."""

    mask: Array

    def weight_gradient(self, x: Array, grad: Array) -> Any:
        return super().weight_gradient(x, grad) * self.mask


def pruned(start: Network, mask: Array) -> Network:
    """The network at its start, without the weights of hidden units that are 0 in a mask."""
    first, _, last = start.layers
    layer = Pruned(first.weight * mask, first.bias.copy())
    layer.mask = mask
    return Network(
        [layer, ReLU(), Dense(last.weight.copy(), last.bias.copy())],
        start.input_shape,
    )


def survivors(weight: Array, mask: Array, kept: float) -> Array:
    """The largest weights that are left, so many that they are this share of all entries."""
    sizes = np.where(mask > 0, np.abs(weight), -1.0).ravel()
    order = np.argsort(-sizes, kind="stable")
    chosen = np.zeros(weight.size, np.float32)
    chosen[order[: round(kept * weight.size)]] = 1
    return chosen.reshape(weight.shape)


def distance(mask: Array) -> dict[str, float]:
    """How near to each other the inputs of a unit are: the mean distance of two, against chance.

    Chance is two different inputs, each equally likely (``to any``), or as likely as it is among
    all weights that are left (``to used``): if all units read the middle of the input, that alone
    would make their inputs near to each other.
    """
    length = mask.shape[1]
    apart = np.abs(
        np.subtract.outer(np.arange(length), np.arange(length))
    )
    counts = mask.sum(axis=1).astype(float)
    pairs = counts * (counts - 1)
    there = pairs > 0
    sums = np.einsum("ui,ij,uj->u", mask, apart, mask)
    mean = float(np.mean(sums[there] / pairs[there]))
    used = mask.sum(axis=0) / mask.sum()
    different = 1 - float((used**2).sum())
    by_use = float(used @ apart @ used) / different
    return {
        "to any": round(mean / ((length + 1) / 3), 4),
        "to used": round(mean / by_use, 4),
    }


def trained(
    start: Network, mask: Array, data: Any, rate: float, rng: Rng
) -> tuple[Network, protocol.Outcome]:
    """The network that a mask leaves, from its start to its plateau."""
    net = pruned(start, mask)
    plateau = Plateau(every=400, patience=2, decays=1, most=20_000)
    out = protocol.train(
        net, data[0], data[1], rate=rate, rng=rng, plateau=plateau
    )
    return net, out


def run_pruning(setting: results.Run) -> dict[str, Any]:
    """Train, remove the smallest weights, go back to the start without them, and again."""
    seed, rate = setting["seed"], setting["rate"]
    rng = np.random.default_rng([seed, 1])
    data = nets.examples(seed, EXAMPLES)
    order = np.arange(nets.LENGTH)
    if setting["inputs"] == "shuffled":
        order = rng.permutation(nets.LENGTH)
    data = [(x[:, order], y) for x, y in data]
    start = Network(
        [
            nets.dense(nets.LENGTH, PRUNED_UNITS, rng),
            ReLU(),
            nets.dense(PRUNED_UNITS, nets.CLASSES, rng),
        ],
        (nets.LENGTH,),
    )
    whole = np.ones((PRUNED_UNITS, nets.LENGTH), np.float32)
    mask, rows = whole, []
    for done in range(ROUNDS + 1):
        net, out = trained(start, mask, data, rate, rng)
        if out.valid is None:
            return {"valid": None, "rounds": rows}
        weight = net.layers[0].weight
        if not done:
            first = weight
        rows.append(
            {
                "kept": round(float(mask.mean()), 4),
                "steps": out.steps,
                "test": protocol.accuracy(net, *data[2]),
            }
        )
        if done:
            rows[-1] |= looked_at(mask, order, first, start, rng)
        kept = KEPT ** (done + 1)
        last, mask = mask, survivors(weight, mask, kept)
    result = {"valid": out.valid, "rounds": rows}
    if not setting["search"]:
        others = {
            "at once": survivors(first, whole, float(last.mean())),
            "random": rng.permuted(last, axis=1),
        }
        result["other masks"] = {
            name: protocol.accuracy(
                trained(start, other, data, rate, rng)[0], *data[2]
            )
            for name, other in others.items()
        }
    return result


def looked_at(
    mask: Array, order: Array, first: Array, start: Network, rng: Rng
) -> dict[str, Any]:
    """Distances of what is left: as it is presented, in the true order, and of other masks.

    ``at once`` removes as many in one step, after the first training; ``untrained`` the smallest
    ones of the start; ``random`` has as many in each unit, anywhere.
    """
    whole, kept = np.ones_like(mask), float(mask.mean())
    back = np.argsort(order)
    masks = {
        "presented": mask,
        "true order": mask[:, back],
        "at once": survivors(first, whole, kept)[:, back],
        "untrained": survivors(start.layers[0].weight, whole, kept),
        "random": rng.permuted(mask, axis=1),
    }
    return {name: distance(one) for name, one in masks.items()}


# Ties learned over many tasks ---------------------------------------------------------------------

#: The layer that all tasks share: two channels, five taps, every second place.
TASK_GEOMETRY = Geometry((2, 1, 5), (1, 20), stride=2, padding=1)
COUNTS = 10, 20, 50, 100, 200, 500, 1000
#: Examples of each task, and the noise of their outputs.
SHOTS, NOISE = 40, 1.0
#: Examples of a new task.
FEW = 5
#: Weights in common, the same in an order of outputs of its own for each task, zeros only, none.
KINDS = "convolution", "renamed", "local", "free"


def basis(geometry: Geometry) -> Array:
    """The matrices of the weights, one a row, flat, of length 1: orthogonal."""
    taps = [
        tap_matrix(
            tap,
            geometry.weight_shape,
            geometry.input_shape,
            stride=geometry.stride,
            padding=geometry.padding,
        ).toarray()
        for tap in np.ndindex(*geometry.weight_shape)
    ]
    flat = np.reshape(taps, (len(taps), -1))
    return flat / np.linalg.norm(flat, axis=1, keepdims=True)


def true_matrices(
    kind: str, ties: Array, count: int, rng: Rng
) -> Array:
    """The matrices of some tasks."""
    shape = TASK_GEOMETRY.matrix_shape
    if kind in ("convolution", "renamed"):
        weights = rng.normal(size=(count, len(ties)))
        lengths = np.sqrt(np.count_nonzero(ties, axis=1))
        flat = (weights * lengths) @ ties
    else:
        flat = rng.normal(size=(count, math.prod(shape)))
    if kind == "local":
        flat *= ties.any(axis=0)
    found = flat.reshape(count, *shape)
    if kind == "renamed":
        found = np.stack(
            [one[rng.permutation(len(one))] for one in found]
        )
    return found


def solved(matrices: Array, noise: float, rng: Rng) -> Array:
    """What least squares finds from the examples of each task, without knowing of the others."""
    found = []
    for matrix in matrices:
        x = rng.normal(size=(SHOTS, matrix.shape[1]))
        y = x @ matrix.T + noise * rng.normal(size=(SHOTS, len(matrix)))
        found.append(linalg.lstsq(x, y)[0].T)
    return np.array(found)


def largest_angle(found: Array, ties: Array) -> float:
    """In degrees, between the spans of two sets of rows."""
    angles = linalg.subspace_angles(found.T, ties.T)
    return round(float(np.degrees(angles.max())), 4)


def few_shot(
    space: Array, noise: float, seed: int, ties: Array
) -> float:
    """Error of new convolutions, each found from a few examples inside a space of matrices.

    The distance from the true matrix, as a part of its norm; the mean over thirty tasks, which are
    the same for each space.
    """
    rng, errors = np.random.default_rng([seed, 2]), []
    for truth in true_matrices("convolution", ties, 30, rng):
        x = rng.normal(size=(FEW, truth.shape[1]))
        y = x @ truth.T + noise * rng.normal(size=(FEW, len(truth)))
        outputs = space.reshape(-1, *truth.shape) @ x.T
        fit = linalg.lstsq(
            outputs.reshape(len(space), -1).T, y.T.ravel()
        )[0]
        found = (fit @ space).reshape(truth.shape)
        errors.append(
            np.linalg.norm(found - truth) / np.linalg.norm(truth)
        )
    return round(float(np.mean(errors)), 4)


def run_tasks(setting: results.Run) -> dict[str, Any]:
    """Solutions of many tasks, and the space in which they lie."""
    seed, noise = setting["seed"], setting["noise"]
    rng, ties = np.random.default_rng([seed, 1]), basis(TASK_GEOMETRY)
    truth = true_matrices(setting["kind"], ties, COUNTS[-1], rng)
    flat = solved(truth, noise, rng).reshape(len(truth), -1)
    rows = []
    for count in COUNTS:
        values, found = linalg.svd(flat[:count], full_matrices=False)[
            1:
        ]
        space = found[: len(ties)]
        rows.append(
            {
                "tasks": count,
                "rank": rank(values, noise),
                "angle": largest_angle(space, ties),
                "new task": few_shot(space, noise, seed, ties),
            }
        )
    every = np.eye(flat.shape[1])
    return {
        "counts": rows,
        "values": [round(float(value), 4) for value in values[:40]],
        "new task, true ties": few_shot(ties, noise, seed, ties),
        "new task, no ties": few_shot(every, noise, seed, ties),
    }


def rank(values: Array, noise: float) -> int:
    """How many singular values there are before the noise.

    Without noise, those larger than rounding. With it, those before the largest drop in the first
    half of them; so there must be twice as many tasks as the rank, at least.
    """
    if not noise:
        return int((values > 1e-9 * values[0]).sum())
    half = len(values) // 2
    return int(np.argmax(values[:half] / values[1 : half + 1])) + 1


# Runs ---------------------------------------------------------------------------------------------


def field_task(
    inputs: str, model: str, units: int, start: float
) -> Task:
    """One kind of inputs, network and start."""
    what = {"part": "fields", "inputs": inputs, "model": model}
    return Task(
        what | {"units": units, "start": start},
        (0.003, 0.01, 0.03),
        seconds=12,
    )


def pruning_task(inputs: str) -> Task:
    """With the inputs in their order, or in another one."""
    what = {"part": "pruning", "inputs": inputs}
    return Task(what, (0.003, 0.01, 0.03), seconds=45)


def many_task(kind: str, noise: float) -> Task:
    """No rate is needed."""
    what = {"part": "tasks", "kind": kind, "noise": noise}
    return Task(what, seconds=1)


def tasks() -> list[Task]:
    """The three findings, the cheapest first."""
    many = [many_task(kind, NOISE) for kind in KINDS]
    return [
        many_task("convolution", 0.0),
        *many,
        *(field_task(*one) for one in FIELDS),
        *(pruning_task(inputs) for inputs in ("in order", "shuffled")),
    ]


def run(setting: dict[str, Any]) -> dict[str, Any]:
    """One run of one of the three."""
    parts = {
        "fields": run_fields,
        "pruning": run_pruning,
        "tasks": run_tasks,
    }
    return parts[setting["part"]](setting)
