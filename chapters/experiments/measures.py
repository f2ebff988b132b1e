"""How much locality and sharing a trained network has, whatever the names of its hidden units are.

Hidden units of a fully connected network have no order, and a unit may be multiplied by a positive
number if what reads it is divided by it. Nothing here depends on either. Means over units are
weighted by how much a unit moves the outputs, which such a change keeps.

All measures read a chain of Dense and ReLU layers; a convolutional network is written as one first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from equivlib.layers import Dense, Network
from equivlib.train import predict
from experiments import nets

#: Inputs that a unit of each layer of the convolutional network can read.
FIELDS = 5, 9, 17
#: By how many inputs the next unit of each layer of it reads further on.
STEPS = 2, 4, 8
#: Examples that a measure looks at.
JACOBIANS, RESPONSES = 200, 1000


def affine(net: Network) -> list[Dense]:
    """The layers with weights, in order."""
    return [one for one in net.layers if isinstance(one, Dense)]


def importance(net: Network, x: np.ndarray) -> list[np.ndarray]:
    """For each hidden layer, how much each unit moves the outputs, to first order.

    The root of the mean square of what it gives before its ReLU, times the same of the derivative
    of the outputs with respect to that. A scale of any hidden unit cancels.
    """
    layers, values = affine(net), responses(net, x)
    last = layers[-1].weight
    slope = np.broadcast_to(last, (len(x), *last.shape))
    found = []
    for layer in reversed(range(len(values))):
        slope = slope * (values[layer] > 0)[:, None, :]
        sizes = (slope.astype(float) ** 2).sum(axis=1).mean(axis=0)
        found.append(
            np.sqrt(
                sizes * (values[layer].astype(float) ** 2).mean(axis=0)
            )
        )
        slope = slope @ layers[layer].weight
    return found[::-1]


def mean(values: np.ndarray, weights: np.ndarray) -> float:
    """Weighted mean, rounded."""
    return round(float(np.average(values, weights=weights)), 4)


def profiles(net: Network, x: np.ndarray) -> list[np.ndarray]:
    """For each hidden layer, units × inputs: how much a unit changes with an input.

    The mean over examples of the square of the derivative, before the unit's own ReLU. In the first
    layer it is the square of the weight.
    """
    hidden = affine(net)[:-1]
    first = hidden[0].weight
    squares = [first.astype(float) ** 2]
    jacobian = np.broadcast_to(first, (len(x), *first.shape))
    values = responses(net, x)
    for layer, before in zip(hidden[1:], values, strict=False):
        jacobian = layer.weight @ ((before > 0)[:, :, None] * jacobian)
        squares.append(
            np.mean(
                np.square(jacobian, dtype=np.float32), axis=0
            ).astype(float)
        )
    return squares


def window_sums(
    profile: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """The sum of each row in each window of neighbouring inputs, and of the whole row."""
    sums = np.cumsum(np.pad(profile, [(0, 0), (1, 0)]), axis=1)
    return sums[:, width:] - sums[:, :-width], sums[:, -1]


def in_window(profile: np.ndarray, width: int) -> np.ndarray:
    """Share of each row's sum in the best window of neighbouring inputs."""
    windows, whole = window_sums(profile, width)
    return windows.max(axis=1) / np.maximum(whole, 1e-30)


def neighbours(weight: np.ndarray) -> np.ndarray:
    """Correlation of the weights of neighbouring inputs, for each unit."""
    products = (weight[:, 1:] * weight[:, :-1]).mean(axis=1)
    return products / np.maximum((weight**2).mean(axis=1), 1e-30)


def correlations(ours: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Of each column of the first with each of the second."""

    def standard(a: np.ndarray) -> np.ndarray:
        a = a - a.mean(axis=0)
        return a / np.maximum(np.linalg.norm(a, axis=0), 1e-12)

    return standard(ours).T @ standard(others)


def best_matches(ours: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each column of the first its largest correlation with a column of the second."""
    return correlations(ours, others).max(axis=1)


def responses(net: Network, x: np.ndarray) -> list[np.ndarray]:
    """Of each hidden layer before its ReLU, examples × units."""
    found = []
    for layer in affine(net)[:-1]:
        x = x @ layer.weight.T + layer.bias
        found.append(x)
        x = np.maximum(x, 0)
    return found


def measure(
    net: Network, x: np.ndarray, rng: np.random.Generator
) -> dict[str, Any]:
    """All measures of a chain of Dense and ReLU, and the same with the inputs in a random order.

    ``window``
        For each hidden layer, the share of a unit's sensitivity in the best window as wide as the
        convolutional network's unit can see.
    ``neighbours``
        Correlation of the weights of neighbouring inputs in the first layer.
    ``sharing``
        For each hidden layer, how well another unit does on the shifted input what a unit does on
        the input: the largest correlation of their responses. Beside it ``renamed inputs``: the
        same for a random permutation of the inputs instead of the shift.
    ``same class``
        The share of inputs that keep their class when they are shifted by two.

    The entry ``shuffled`` has what depends on the order of the inputs, for a random order: what a
    network without any idea of neighbourhood would have.
    """
    order = rng.permutation(x.shape[1])
    weights = importance(net, x[:JACOBIANS])
    squares = profiles(net, x[:JACOBIANS])
    first = affine(net)[0].weight
    x = x[:RESPONSES]
    plain = responses(net, x)

    def matches(change: Any) -> list[float]:
        found = []
        for layer, step in enumerate(STEPS):
            other = responses(net, change(x, step))[layer]
            best = best_matches(other, plain[layer])
            found.append(mean(best, weights[layer]))
        return found

    def windows(columns: Any) -> list[float]:
        return [
            mean(in_window(square[:, columns], width), weight)
            for square, width, weight in zip(
                squares, FIELDS, weights, strict=True
            )
        ]

    classes, shifted = (
        predict(net, one).argmax(axis=1)
        for one in (x, shift(x, STEPS[0]))
    )
    return {
        "window": windows(slice(None)),
        "neighbours": mean(neighbours(first), weights[0]),
        "sharing": matches(shift),
        "renamed inputs": matches(lambda x, step: x[:, order]),
        "same class": round(float((classes == shifted).mean()), 4),
        "shuffled": {
            "window": windows(order),
            "neighbours": mean(neighbours(first[:, order]), weights[0]),
        },
    }


def shift(x: np.ndarray, step: int) -> np.ndarray:
    """Each input moved to the right on a circle."""
    return np.roll(x, step, axis=1)


def of(net: Network, x: np.ndarray, seed: int) -> dict[str, Any]:
    """The measures of a network of the shape of the convolutional one, of any kind."""
    chain = nets.matrices(net)
    return measure(chain, x, np.random.default_rng([seed, 7]))
