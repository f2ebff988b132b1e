"""A convolutional network let go, a fully connected one pulled or penalised towards convolutions.

All on 4,000 examples of MNIST-1D, each strength and each time of release with a rate of its own:

``release``
    The convolutional network is trained for some steps. Then it goes on as it is (``cnn``), or the
    same function goes on with every entry of its matrices free (``free``), or with all but the
    zeros free (``local``), each at the rate that suits it. The convolutional network goes on at the
    rate of the free one as well. d'Ascoli, Sagun, Biroli and Bruna (NeurIPS 2019) did this.
``penalty``
    A fully connected network with a random start, whose loss has the term strength * distance²,
    distance that of its matrices and biases from convolutions.
``pull``
    The free network starts as a convolutional one, and after each step goes a share of the way to
    the nearest convolutions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from equivlib import Network
from equivlib.layers import Dense
from equivlib.train import Adam, cross_entropy, fit
from experiments import nets, protocol, results
from experiments.protocol import Plateau, Task

EXAMPLES = 4000
#: Steps before the release; ``END`` is the plateau.
END = -1
RELEASES = 0, 100, 300, 1000, END
#: Rates of the convolutional networks and of the free ones, where a search starts.
TIED, FREE, LATE = (
    (0.003, 0.01, 0.03),
    (0.001, 0.003, 0.01),
    (0.0003, 0.001, 0.003),
)
STRENGTHS = 0.0001, 0.001, 0.01, 0.1, 1.0, 10.0
SHARES = 0.001, 0.01, 0.1, 1.0


# What is trained ----------------------------------------------------------------------------------


def rest(layer: Dense, ties: nets.Ties) -> dict[str, np.ndarray]:
    """Weight and bias minus those of the nearest convolution."""
    bias = layer.params["bias"].reshape(nets.CHANNELS, -1)
    mean = bias.mean(axis=1, keepdims=True)
    return {
        "weight": ties.difference(layer.weight),
        "bias": (bias - mean).ravel(),
    }


class Soft(Dense):
    """A dense layer whose loss has the term strength * distance² from the convolutions."""

    ties: nets.Ties
    strength: float

    def parameter_gradients(self, xs: Any, y: Any, grad: Any) -> Any:
        gradients = super().parameter_gradients(xs, y, grad)
        pull = np.float32(2 * self.strength)
        far = rest(self, self.ties)
        return {
            name: gradients[name] + pull * far[name] for name in far
        }


class Kept(Dense):
    """A dense layer whose entries outside the pattern of a convolution stay 0."""

    mask: np.ndarray

    def weight_gradient(self, x: np.ndarray, grad: np.ndarray) -> Any:
        return super().weight_gradient(x, grad) * self.mask


class Pull(Adam):
    """Adam, and after each of its steps a share of the way to the nearest convolutions."""

    share: float = 0.0

    def step(self, net: Network) -> None:
        super().step(net)
        for position, ties in enumerate(nets.ties()):
            layer = net.layers[2 * position]
            for name, far in rest(layer, ties).items():
                layer.params[name] -= np.float32(self.share) * far


def replaced(net: Network, new: Any) -> Network:
    """A network whose three first layers are made anew, by ``new(layer, ties)``."""
    layers = list(net.layers)
    for position, ties in enumerate(nets.ties()):
        layers[2 * position] = new(layers[2 * position], ties)
    return Network(layers, net.input_shape)


def let_go(net: Network, *, zeros: bool = False) -> Network:
    """The fully connected network that equals a convolutional one; its zeros kept if asked."""

    def kept(layer: Dense, ties: nets.Ties) -> Dense:
        new = Kept(layer.weight, layer.bias)
        new.mask = ties.mask
        return new

    chain = nets.matrices(net)
    return replaced(chain, kept) if zeros else chain


def penalised(rng: np.random.Generator, strength: float) -> Network:
    """A new fully connected network with a penalty in its three layers."""

    def soft(layer: Dense, ties: nets.Ties) -> Dense:
        new = Soft(layer.weight, layer.bias)
        new.ties, new.strength = ties, strength
        return new

    return replaced(nets.network("free", rng), soft)


# Runs ---------------------------------------------------------------------------------------------


def release_task(
    after: int, model: str, first: float | None = None
) -> Task:
    """The network after a release, or the convolutional one that goes on.

    ``first`` is the rate before the release, the one that suits the convolutional network.
    """
    before = {"first": first} if after else {}
    rates = LATE if after == END else TIED if model == "cnn" else FREE
    return Task(
        {"part": "release", "after": after, "model": model, **before},
        rates,
        seconds=8 if model == "cnn" else 14,
    )


#: Whose search finds the rate before a release.
START = release_task(0, "cnn")


def tasks(first: float = TIED[1]) -> list[Task]:
    """Releases, penalties, pulls; a guess of the first rate is enough for a plan."""
    released = [
        release_task(after, model, first)
        for after in RELEASES
        for model in ("cnn", "free")
    ]
    kept = [release_task(after, "local", first) for after in (0, END)]
    penalties = [
        Task(
            {"part": "penalty", "strength": strength}, FREE, seconds=20
        )
        for strength in STRENGTHS
    ]
    pulls = [
        Task({"part": "pull", "share": share}, FREE, seconds=20)
        for share in SHARES
    ]
    return [*released, *kept, *penalties, *pulls]


def settings(runs: list[results.Run]) -> list[dict[str, Any]]:
    """All runs that are needed so far; the tied network at the rate of the free one, too."""
    found = protocol.index(runs)
    start = protocol.choice(START, found)
    if start is None:
        return protocol.settings([START], runs)
    first = start["rate"]
    asked = protocol.settings(tasks(first), runs)
    for after in RELEASES:
        tied, free = (
            release_task(after, model, first)
            for model in ("cnn", "free")
        )
        best = [protocol.choice(task, found) for task in (tied, free)]
        if None not in best and best[0] != best[1]:
            asked += [
                {**tied.what, **best[1], "seed": seed, "search": False}
                for seed in protocol.SEEDS
            ]
    return asked


def begin(
    after: int, rate: float, data: Any, rng: np.random.Generator
) -> Network:
    """The convolutional network as it is when it is let go."""
    net = nets.network("cnn", rng)
    train, valid, _ = data
    if after == END:
        protocol.train(net, train, valid, rate=rate, rng=rng)
    elif after:
        fit(
            net,
            train[0].reshape(-1, *net.input_shape),
            train[1],
            loss=cross_entropy,
            optimizer=Adam(rate),
            batch_size=protocol.BATCH,
            epochs=after,
            seed=rng,
            callback=lambda steps, loss: steps == after,
        )
    return net


def run(setting: dict[str, Any]) -> dict[str, Any]:
    """One of the settings, trained to its plateau and judged."""
    seed, part = setting["seed"], setting["part"]
    data = nets.examples(seed, EXAMPLES)
    rng = np.random.default_rng([seed, 1])
    optimizer: Any = Adam
    before = None
    if part == "penalty":
        net = penalised(rng, setting["strength"])
    else:
        net = begin(
            setting.get("after", 0),
            setting.get("first", 0.0),
            data,
            rng,
        )
        before = protocol.accuracy(net, *data[2])
        if part == "pull":
            optimizer = type(
                "Share", (Pull,), {"share": setting["share"]}
            )
        if setting.get("model") != "cnn":
            net = let_go(net, zeros=setting.get("model") == "local")
    out = protocol.train(
        net,
        data[0],
        data[1],
        rate=setting["rate"],
        rng=np.random.default_rng([seed, 2]),
        plateau=Plateau.of(EXAMPLES),
        optimizer=optimizer,
    )
    result = out.record()
    if not setting["search"]:
        result |= {
            "before": before,
            "train": protocol.accuracy(net, *data[0]),
            "test": protocol.accuracy(net, *data[2]),
        }
        if setting.get("model") != "cnn":
            result["distance"] = [
                ties.distances(net.layers[2 * position].weight)
                for position, ties in enumerate(nets.ties())
            ]
        out.restore(net)
        result["early"] = protocol.accuracy(net, *data[2])
    return result
