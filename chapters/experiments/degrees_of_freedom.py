"""How many samples three layers need that differ in their ties alone.

An input has two channels of ``places`` numbers, all independent and normal, and belongs to class 1
if its first channel has the larger sum of squares: the task of Li, Zhang and Arora (2021). The
network is one layer, the square of each number, the mean of each channel, and a layer with two
outputs. The first layer is

``conv``
    a 1 x 1 convolution;
``local``
    locally connected: the same places, each with weights of its own;
``dense``
    fully connected.

Each of them can be what those above it are. Every run is made for a learning rate and a number of steps
that a search found for its kind of network and its task, from seeds that are used for nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from equivlib import Network
from equivlib.layers import (
    AdaptiveAvgPool,
    Conv,
    Dense,
    Flatten,
    Layer,
    Rearrange,
)
from equivlib.train import SGD, cross_entropy
from experiments import results

KINDS = ("conv", "local", "dense")
PLACES = (3, 6, 12, 24)
CHANNELS = 4
# Samples for each degree of freedom; more for the convolution, whose runs differ much.
MULTIPLES = {
    "conv": (1, 2, 3, 4, 6, 8, 12, 16),
    "local": (1, 2, 3, 4, 6),
    "dense": (1, 2, 3, 4, 6),
}
WIDTHS = (2, 8, 32, 128)
FEW = 100  # samples of the runs with other widths
MANY = 1000  # samples of the runs on rotated inputs
SEEDS = range(10)
SEARCH_SEEDS = range(100, 102)
RATES = (0.01, 0.03, 0.1)  # 0.3 was tried: with it most of them diverge
STEPS = (100, 200, 400, 800, 1600)
BATCH = 64
VALIDATED = 1000
TESTED = 4000


class Square(Layer):
    """The square of each number."""

    def forward(self, *xs: np.ndarray) -> np.ndarray:
        return xs[0] * xs[0]

    def backward(
        self,
        xs: tuple[np.ndarray, ...],
        y: np.ndarray,
        grad: np.ndarray,
    ) -> tuple[np.ndarray, ...]:
        return (2 * xs[0] * grad,)


def freedom(kind: str, places: int) -> int:
    """The dimension of the space of the quadratic forms that a network can make."""
    inputs = 2 * places
    return {
        "conv": 3,
        "local": 3 * places,
        "dense": inputs * (inputs + 1) // 2,
    }[kind]


def samples(
    places: int, count: int, seed: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and classes. Of one seed, fewer samples are the first of more."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, 2, places)).astype(np.float32)
    energy = (x * x).sum(axis=2)
    return x, (energy[:, 0] > energy[:, 1]).astype(int)


def rotation(places: int, seed: int) -> np.ndarray:
    """A random orthogonal matrix for the flattened inputs."""
    rng = np.random.default_rng([seed, 3])
    normal = rng.standard_normal((2 * places, 2 * places))
    return np.linalg.qr(normal)[0].astype(np.float32)


def rotated(x: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """Each input x as Q x."""
    return (x.reshape(len(x), -1) @ Q.T).reshape(x.shape)


def network(
    kind: str, places: int, channels: int, seed: int
) -> Network:
    """A new network with normally distributed weights in its first layer."""
    rng = np.random.default_rng([seed, 2])

    def normal(*shape: int) -> np.ndarray:
        scale = math.sqrt(1 / shape[1])
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    n, U = places, channels
    if kind == "conv":
        first = [Conv(normal(U, 2, 1))]
    elif kind == "local":  # one group of channels for each place
        by_place = np.arange(2 * n).reshape(2, n).T.reshape(2 * n, 1)
        by_channel = np.arange(U * n).reshape(n, U).T
        first = [
            Rearrange(by_place),
            Conv(normal(U * n, 2, 1), groups=n),
            Rearrange(by_channel),
        ]
    else:
        whole = Dense(normal(U * n, 2 * n))
        first = [
            Flatten(),
            whole,
            Rearrange(np.arange(U * n).reshape(U, n)),
        ]
    signs = np.where(np.arange(U) % 2, -1, 1)
    out = (math.sqrt(n / U) * signs / 2).astype(np.float32)
    last = Dense(np.array([-out, out]), np.zeros(2, np.float32))
    return Network(
        [*first, Square(), AdaptiveAvgPool(1), Flatten(), last], (2, n)
    )


def accuracy(net: Network, x: np.ndarray, classes: np.ndarray) -> float:
    """The share of inputs that get their class."""
    parts = range(0, len(x), 500)
    right = [
        (net(x[i : i + 500]).argmax(axis=1) == classes[i : i + 500])
        for i in parts
    ]
    return float(np.concatenate(right).mean())


def train(
    net: Network,
    x: np.ndarray,
    classes: np.ndarray,
    *,
    rate: float,
    steps: int,
    seed: int,
    watch: Any = lambda done: None,
) -> None:
    """Gradient descent with momentum 0.9 on batches, and ``watch`` after each step."""
    rng = np.random.default_rng([seed, 4])
    optimizer = SGD(rate, momentum=0.9)
    done = 0
    while done < steps:
        order = rng.permutation(len(x))
        for start in range(0, len(x), BATCH):
            batch = order[start : start + BATCH]
            _, grad = cross_entropy(net(x[batch]), classes[batch])
            net.backward(grad, to_input=False)
            optimizer.step(net)
            done += 1
            watch(done)
            if done == steps:
                return


def tasks() -> list[dict[str, Any]]:
    """What is learned by what, without learning rate, steps and seed."""
    grow = [
        {
            "part": "samples",
            "kind": kind,
            "places": places,
            "channels": CHANNELS,
            "samples": 3 * freedom(kind, places),
            "rotated": False,
        }
        for kind in KINDS
        for places in PLACES
    ]
    widen = [
        {
            "part": "width",
            "kind": kind,
            "places": 8,
            "channels": width,
            "samples": FEW,
            "rotated": False,
        }
        for kind in ("conv", "dense")
        for width in WIDTHS
    ]
    turn = [
        {
            "part": "rotation",
            "kind": kind,
            "places": 8,
            "channels": CHANNELS,
            "samples": MANY,
            "rotated": turned,
        }
        for kind in KINDS
        for turned in (False, True)
    ]
    return grow + widen + turn


def counts(task: dict[str, Any], *, search: bool) -> list[int]:
    """The numbers of samples that a task is done with; the search takes three and most for each."""
    if task["part"] != "samples":
        return [task["samples"]]
    one = freedom(task["kind"], task["places"])
    all_of_them = MULTIPLES[task["kind"]]
    chosen = (3, all_of_them[-1]) if search else all_of_them
    return [multiple * one for multiple in chosen]


def settings(runs: list[results.Run]) -> list[dict[str, Any]]:
    """First the search, for every task alike; then, with what it found, the runs that count."""
    search = [
        {
            **task,
            "samples": count,
            "search": True,
            "rate": rate,
            "seed": seed,
        }
        for task in tasks()
        for count in counts(task, search=True)
        for rate in RATES
        for seed in SEARCH_SEEDS
    ]
    if results.missing(search, runs):
        return search
    final = []
    for task in tasks():
        rate, steps = chosen(task, runs)
        fixed = {"search": False, "rate": rate, "steps": steps}
        final += [
            {**task, "samples": count, **fixed, "seed": seed}
            for count in counts(task, search=False)
            for seed in SEEDS
        ]
    return search + final


def chosen(
    task: dict[str, Any], runs: list[results.Run]
) -> tuple[float, int]:
    """Learning rate and steps: the fewest steps that are nearly best in the search.

    Nearly: at most half a percentage point below the best mean accuracy, which is less than chance
    makes of a few runs with a thousand inputs each. Of several rates the best.
    """
    means = {}
    for rate in RATES:
        found = [
            run
            for count in counts(task, search=True)
            for run in results.select(
                runs,
                **{
                    **task,
                    "samples": count,
                    "search": True,
                    "rate": rate,
                },
            )
        ]
        right = np.mean(
            [run["result"]["valid"] for run in found], axis=0
        )
        means |= {
            (rate, steps): round(float(mean), 6)
            for steps, mean in zip(STEPS, right, strict=True)
        }
    enough = max(means.values()) - 0.005
    good = [pair for pair, mean in means.items() if mean >= enough]
    return min(good, key=lambda pair: (pair[1], -means[pair], pair[0]))


def run(setting: dict[str, Any]) -> dict[str, Any]:
    """Train one network; accuracies while it learns in the search, else at the end."""
    places, seed = setting["places"], setting["seed"]
    x, classes = samples(places, setting["samples"], [seed, 0])
    count = VALIDATED if setting["search"] else TESTED
    test, truth = samples(places, count, [seed, 1])
    if setting["rotated"]:
        Q = rotation(places, seed)
        x, test = rotated(x, Q), rotated(test, Q)
    net = network(setting["kind"], places, setting["channels"], seed)
    valid = []

    def watch(done: int) -> None:
        if setting["search"] and done in STEPS:
            valid.append(round(accuracy(net, test, truth), 6))

    with np.errstate(all="ignore"):  # some learning rates are too large
        train(
            net,
            x,
            classes,
            rate=setting["rate"],
            steps=STEPS[-1] if setting["search"] else setting["steps"],
            seed=seed,
            watch=watch,
        )
        right = {
            "train": round(accuracy(net, x, classes), 6),
            "test": round(accuracy(net, test, truth), 6),
        }
    return {"valid": valid} if setting["search"] else right


def needed(
    runs: list[results.Run], kind: str, places: int, level: float
) -> np.ndarray:
    """For each seed the number of samples from which on the test accuracy is at least a level.

    Between two numbers of samples the accuracy is taken as a straight line over the logarithm. NaN
    where it is below the level at the end.
    """
    task = {"part": "samples", "kind": kind, "places": places}
    tried = counts(task, search=False)
    found = [
        results.select(runs, **task, search=False, samples=count)
        for count in tried
    ]
    right = np.transpose(
        [results.values(each, "test") for each in found]
    )
    return np.array([crossing(tried, row, level) for row in right])


def crossing(
    counts: Sequence[int], right: Sequence[float], level: float
) -> float:
    """From where on a curve is at least at a level."""
    below = [i for i, value in enumerate(right) if value < level]
    if not below:
        return float(counts[0])
    i = below[-1]
    if i + 1 == len(counts):
        return math.nan
    part = (level - right[i]) / (right[i + 1] - right[i])
    return float(counts[i] * (counts[i + 1] / counts[i]) ** part)
