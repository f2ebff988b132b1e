"""Can a fully connected network find the convolution by itself? MNIST-1D, in many settings.

The models are those of the MNIST-1D benchmark (github.com/greydanus/mnist1d, notebooks/models.py):
logistic regression, a perceptron with one shortcut, a network of three convolutions. "dense" has
the shapes of that convolutional network and none of its ties; "local" has its zeros, not its
sharing; "soft" is dense with a penalty on the distance from the convolutions.

Runs of the search and final runs have different seeds, and with that different data. A final run is
judged on examples that no choice has seen.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from mnist1d.data import get_dataset_args, make_dataset
from numpy.lib.stride_tricks import sliding_window_view

from equivlib import Geometry, conv_matrix, to_mlp
from equivlib.layers import (
    Add,
    Conv,
    Dense,
    Flatten,
    Network,
    ReLU,
)
from equivlib.train import Adam, cross_entropy, fit, predict
from experiments import results

LENGTH, CLASSES, CHANNELS = 40, 10, 25
BATCH = 100
HELD_OUT = 2000  # examples that judge a run
POOLS = 4000, 12000  # examples that are made for training

SEEDS = range(10)
SEARCH_SEEDS = 100, 101
RATES = 0.001, 0.003, 0.01, 0.03

#: Steps after which a network is judged; the last ends the training.
WATCH = 0, 50, 100, 200, 500, 1000, 2000
FURTHER = 1000  # steps after those, once the ties of a trained network are let go
PUBLISHED_STEPS, PUBLISHED_RATE = 6000, 0.01

SIZES = {
    "cnn": (250, 500, 1000, 2000, 4000),
    "mlp": (250, 1000, 4000, 12000),
}
SEARCHED = "mlp", "cnn", "dense", "local", "soft", "released", "pulled"
RELEASES = 0, 50, 200, 500
STRENGTHS = 0.001, 0.01, 0.1, 1.0
SHARES = 0.1, 1.0
COPIES = 5, 40
WIDTHS = 50, 200, 400


# Data ---------------------------------------------------------------------------------------------


@lru_cache(maxsize=24)
def made(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """MNIST-1D with its published settings, another seed and another number of examples."""
    args = get_dataset_args()
    args.seed, args.num_samples, args.train_split = seed, count, 1.0
    made_ = make_dataset(args)
    return made_["x"].astype(np.float32), made_["y"].astype(np.int64)


def examples(seed: int, count: int) -> tuple[np.ndarray, ...]:
    """Training examples, and others to judge by, of a seed."""
    pool = next(pool for pool in POOLS if pool >= count)
    x, y = made(seed, pool + HELD_OUT)
    return x[:count], y[:count], x[pool:], y[pool:]


def published(shuffled: bool, seed: int) -> tuple[np.ndarray, ...]:
    """The data set of the benchmark, 4,000 and 1,000; its positions in another order if asked."""
    x, y = made(42, 5000)
    if shuffled:
        x = x[:, np.random.default_rng(seed).permutation(LENGTH)]
    return x[:4000], y[:4000], x[4000:], y[4000:]


def with_shifts(
    x: np.ndarray, y: np.ndarray, copies: int, rng: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Each example and some of its circular shifts, all different, 40 of them at most."""
    shifts = np.stack(
        [
            np.append(0, 1 + rng.permutation(LENGTH - 1)[: copies - 1])
            for _ in x
        ]
    )
    places = (np.arange(LENGTH) - shifts[:, :, None]) % LENGTH
    rolled = np.take_along_axis(x[:, None, :], places, axis=2)
    return rolled.reshape(-1, LENGTH), np.repeat(y, copies)


# Models -------------------------------------------------------------------------------------------


def uniform(
    shape: tuple[int, ...], inputs: int, rng: Any
) -> np.ndarray:
    """PyTorch's default for weights and biases alike: within one over the root of the inputs."""
    bound = 1 / np.sqrt(inputs)
    return rng.uniform(-bound, bound, shape).astype(np.float32)


def dense(inputs: int, units: int, rng: Any) -> Dense:
    """A fully connected layer as PyTorch starts it."""
    return Dense(
        uniform((units, inputs), inputs, rng),
        uniform((units,), inputs, rng),
    )


class Quick(Conv):
    """Conv on one axis with stride 2 and one zero on each side, made for many small steps: with the
    channels last in memory each patch is one piece, and the patches of the forward pass are kept
    for the gradient. The chapter asserts that it is the same."""

    def __init__(self, weight: Any, bias: Any) -> None:
        super().__init__(weight, bias, stride=2, padding=1)

    def forward(self, *xs: np.ndarray) -> np.ndarray:
        (x,), (units, inputs, kernel) = xs, self.weight.shape
        padded = np.zeros((len(x), x.shape[2] + 2, inputs), x.dtype)
        padded[:, 1:-1] = x.swapaxes(1, 2)
        patches = sliding_window_view(
            padded.reshape(len(x), -1), kernel * inputs, axis=1
        )[:, :: 2 * inputs]
        self.outputs = patches.shape[1]
        self.patches = patches.reshape(-1, kernel * inputs)
        y = self.patches @ self._rows().T + self.bias
        return y.reshape(len(x), -1, units).swapaxes(1, 2)

    def _rows(self) -> np.ndarray:
        return self.weight.swapaxes(1, 2).reshape(len(self.weight), -1)

    def backward(self, xs: Any, y: np.ndarray, grad: np.ndarray) -> Any:
        (x,), (_, inputs, kernel) = xs, self.weight.shape
        back = self._flat(grad) @ self._rows()
        back = back.reshape(len(x), -1, kernel, inputs)
        result = np.zeros((len(x), x.shape[2] + 2, inputs), grad.dtype)
        for tap in range(kernel):
            read = slice(tap, tap + 2 * self.outputs - 1, 2)
            result[:, read] += back[:, :, tap]
        return (result[:, 1:-1].swapaxes(1, 2),)

    def weight_gradient(self, x: np.ndarray, grad: np.ndarray) -> Any:
        units, inputs, kernel = self.weight.shape
        rows = self._flat(grad).T @ self.patches
        return rows.reshape(units, kernel, inputs).swapaxes(1, 2)

    def _flat(self, grad: np.ndarray) -> np.ndarray:
        return grad.swapaxes(1, 2).reshape(-1, grad.shape[1])


def convolution(inputs: int, kernel: int, rng: Any) -> Quick:
    """A convolutional layer of the benchmark as PyTorch starts it."""
    return Quick(
        uniform((CHANNELS, inputs, kernel), inputs * kernel, rng),
        uniform((CHANNELS,), inputs * kernel, rng),
    )


def logistic(rng: Any) -> Network:
    """One affine layer."""
    return Network([dense(LENGTH, CLASSES, rng)], (LENGTH,))


def mlp(rng: Any, units: int = 100) -> Network:
    """The perceptron of the benchmark: two hidden layers, a shortcut past the second."""
    layers = [
        dense(LENGTH, units, rng),
        ReLU(),
        dense(units, units, rng),
        ReLU(),
        Add(1, 3),
        dense(units, CLASSES, rng),
    ]
    return Network(layers, (LENGTH,))


def cnn(rng: Any) -> Network:
    """The convolutional network of the benchmark."""
    layers = []
    for inputs, kernel in ((1, 5), (CHANNELS, 3), (CHANNELS, 3)):
        layers += [convolution(inputs, kernel, rng), ReLU()]
    layers += [Flatten(), dense(5 * CHANNELS, CLASSES, rng)]
    return Network(layers, (1, LENGTH))


@lru_cache(maxsize=1)
def geometries() -> tuple[Geometry, ...]:
    """Those of the three convolutions."""
    net = cnn(np.random.default_rng(0))
    shapes = [net.input_shape, *net.shapes]
    return tuple(
        layer.geometry(shapes[place])
        for place, layer in enumerate(net.layers)
        if isinstance(layer, Conv)
    )


class Ties:
    """Which entries of the matrix of a convolution are one weight: `project`, fast enough for
    every step of a training. The chapter asserts that it is the same."""

    def __init__(self, geometry: Geometry) -> None:
        names = np.arange(1, 1 + np.prod(geometry.weight_shape))
        named = conv_matrix(
            names.reshape(geometry.weight_shape),
            geometry.input_shape,
            stride=geometry.stride,
            padding=geometry.padding,
        ).toarray()
        self.mask = (named > 0).astype(np.float32)
        self.places = np.flatnonzero(named)
        self.names = named.ravel()[self.places] - 1
        self.counts = np.bincount(self.names, minlength=len(names))

    def means(self, matrix: np.ndarray) -> np.ndarray:
        """The nearest kernel, flat: the mean over the places of each weight."""
        there = matrix.ravel()[self.places]
        sums = np.bincount(
            self.names, there, minlength=len(self.counts)
        )
        return (sums / self.counts).astype(matrix.dtype)

    def difference(self, matrix: np.ndarray) -> np.ndarray:
        """The matrix minus the nearest convolution."""
        rest = matrix.copy()
        rest.ravel()[self.places] -= self.means(matrix)[self.names]
        return rest

    def distances(self, matrix: np.ndarray) -> list[float]:
        """How much of the norm of a matrix lies where a convolution has zeros, and how much is
        lost by sharing the rest. Their squares and that of the nearest convolution sum to 1."""
        rest, norm = self.difference(matrix), np.linalg.norm(matrix)
        outside = np.linalg.norm(rest * (1 - self.mask)) / norm
        unshared = np.linalg.norm(rest * self.mask) / norm
        return [round(float(outside), 6), round(float(unshared), 6)]


@lru_cache(maxsize=1)
def ties() -> tuple[Ties, ...]:
    """Those of the three convolutions."""
    return tuple(map(Ties, geometries()))


class Local(Dense):
    """A dense layer whose zeros stay: where the mask is 0, the gradient is 0 and nothing moves."""

    mask: np.ndarray

    def weight_gradient(self, x: np.ndarray, grad: np.ndarray) -> Any:
        return (grad.T @ x) * self.mask


class Soft(Dense):
    """A dense layer whose loss has the term strength * distance², distance that from the
    convolutions."""

    ties: Ties
    strength: float

    def weight_gradient(self, x: np.ndarray, grad: np.ndarray) -> Any:
        pull = np.float32(2 * self.strength)
        return grad.T @ x + pull * self.ties.difference(self.weight)


def released(net: Network, *, zeros: bool = False) -> Network:
    """The perceptron that equals a convolutional network, its weights free, or all but the zeros."""
    plain = [
        Conv(layer.weight, layer.bias, stride=2, padding=1)
        if isinstance(layer, Quick)
        else layer
        for layer in net.layers
    ]
    chain = to_mlp(Network(plain, net.input_shape))
    layers: list[Any] = []
    waiting = iter(ties())
    for layer in chain.layers:
        if not isinstance(layer, Dense):
            layers.append(layer)
            continue
        weight = layer.weight
        weight = getattr(weight, "toarray", lambda w=weight: w)()
        kept = Dense(np.array(weight), np.array(layer.bias))
        tie = next(waiting, None)
        if zeros and tie is not None:
            kept = Local(kept.weight, kept.bias)
            kept.mask = tie.mask
        layers.append(kept)
    return Network(layers, chain.input_shape)


def fresh(kind: str, rng: Any, strength: float = 0.0) -> Network:
    """New weights in the shapes of the convolutional network: "dense", "local" or "soft"."""
    layers: list[Any] = []
    for geometry, tie in zip(geometries(), ties(), strict=True):
        units, inputs = geometry.matrix_shape
        layer = dense(inputs, units, rng)
        if kind == "local":
            reads = int(np.prod(geometry.weight_shape[1:]))
            start = dense(reads, units, rng)  # for the bias
            weight = uniform((units, inputs), reads, rng) * tie.mask
            layer = Local(weight, start.bias)
            layer.mask = tie.mask
        elif kind == "soft":
            layer = Soft(layer.weight, layer.bias)
            layer.ties, layer.strength = tie, strength
        layers += [layer, ReLU()]
    return Network(
        [*layers, dense(5 * CHANNELS, CLASSES, rng)], (LENGTH,)
    )


class Pull(Adam):
    """Adam, and after each of its steps a share of the way to the nearest convolutions."""

    def __init__(self, rate: float, share: float) -> None:
        super().__init__(rate)
        self.share = share

    def step(self, net: Network) -> None:
        super().step(net)
        for place, tie in enumerate(ties()):
            weight = net.layers[2 * place].params["weight"]
            weight -= np.float32(self.share) * tie.difference(weight)


# Training -----------------------------------------------------------------------------------------


def accuracy(net: Network, x: np.ndarray, y: np.ndarray) -> float:
    """The share of examples whose class is right."""
    right = (
        predict(net, x.reshape(-1, *net.input_shape)).argmax(axis=1)
        == y
    )
    return round(float(right.mean()), 6)


def train(
    net: Network, data: tuple[np.ndarray, ...], rate: float, rng: Any, watch: tuple[int, ...],
    share: float = 0.0,
) -> dict[str, list[Any]]:  # fmt: skip
    """Train by Adam, each example equally often, and tell what is seen after each of some steps."""
    x, y, judging, truth = data
    inputs = x.reshape(-1, *net.input_shape)
    optimizer = Pull(rate, share) if share else Adam(rate)
    waiting = np.empty(0, int)
    seen = [look(net, judging, truth)]
    for first, last in pairwise(watch):
        wanted = (last - first) * BATCH
        while len(waiting) < wanted:
            waiting = np.append(waiting, rng.permutation(len(inputs)))
        now, waiting = waiting[:wanted], waiting[wanted:]
        fit(
            net,
            inputs[now],
            y[now],
            loss=cross_entropy,
            optimizer=optimizer,
            batch_size=BATCH,
            seed=int(rng.integers(2**31)),
        )
        seen.append(look(net, judging, truth))
    return {
        name: [one[name] for one in seen]
        for name in ("accuracy", "distance")
        if name in seen[0]
    }


def look(net: Network, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Accuracy, and for shapes of the convolutional network how far each layer is from one."""
    seen: dict[str, Any] = {"accuracy": accuracy(net, x, y)}
    affine = [layer for layer in net.layers if isinstance(layer, Dense)]
    if len(affine) == 4:
        seen["distance"] = [
            tie.distances(layer.weight)
            for tie, layer in zip(ties(), affine, strict=False)
        ]
    return seen


# Runs ---------------------------------------------------------------------------------------------


def settings(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The published table, the search for rates, and with its rates everything else."""
    table = [
        {
            "part": "published",
            "model": model,
            "shuffled": shuffled,
            "seed": seed,
        }
        for shuffled in (False, True)
        for model in ("logistic", "mlp", "cnn")
        for seed in SEEDS
    ]
    searched = [
        {"part": "search", "model": model, "rate": rate, "seed": seed}
        for model in SEARCHED
        for rate in RATES
        for seed in SEARCH_SEEDS
    ]
    if results.missing(searched, runs):
        return searched
    best = {model: chosen(runs, model)[0] for model in SEARCHED}
    final: list[dict[str, Any]] = [
        {"part": "further", "rates": [best["cnn"], best["released"]]}
    ]
    final += [
        {"part": "size", "model": model, "n": n, "rate": best[model]}
        for model in SIZES
        for n in SIZES[model]
    ]
    final += [
        {"part": "fresh", "kind": kind, "rate": best[kind]}
        for kind in ("dense", "local")
    ]
    final += [
        {
            "part": "release",
            "after": after,
            "zeros": zeros,
            "rates": [
                best["cnn"],
                best["local" if zeros else "released"],
            ],
        }
        for after, zeros in [(k, False) for k in RELEASES] + [(0, True)]
    ]
    final += [
        {"part": "soft", "strength": strength, "rate": best["soft"]}
        for strength in STRENGTHS
    ]
    final += [
        {"part": "pulled", "share": share, "rate": best["pulled"]}
        for share in SHARES
    ]
    final += [
        {"part": "shifts", "copies": copies, "rate": best["mlp"]}
        for copies in COPIES
    ]
    final += [
        {"part": "width", "width": width, "rate": best["mlp"]}
        for width in WIDTHS
    ]
    seeded = [
        {**setting, "seed": seed} for setting in final for seed in SEEDS
    ]
    return searched + table + seeded


def chosen(runs: list[dict[str, Any]], model: str) -> tuple[float, int]:
    """Rate and number of steps with the best mean accuracy of the search."""
    found = {
        rate: np.mean(
            [
                run["result"]["accuracy"]
                for run in results.select(
                    runs, part="search", model=model, rate=rate
                )
            ],
            axis=0,
        )
        for rate in RATES
    }
    rate = max(found, key=lambda rate: found[rate].max())
    return rate, WATCH[int(found[rate].argmax())]


def run(setting: dict[str, Any]) -> dict[str, Any]:
    """One of the settings: accuracy after some steps, and the distance from the convolutions."""
    part, seed = setting["part"], setting["seed"]
    rng = np.random.default_rng(seed)
    if part == "published":
        model = {"logistic": logistic, "mlp": mlp, "cnn": cnn}[
            setting["model"]
        ]
        data = published(setting["shuffled"], seed)
        watch = (0, 1000, 2000, 4000, PUBLISHED_STEPS)
        return train(model(rng), data, PUBLISHED_RATE, rng, watch)
    data = examples(seed, setting.get("n", POOLS[0]))
    if part == "further":
        return further(data, setting["rates"], rng)
    if part == "release":
        return release(data, setting, rng)
    if part == "search" and setting["model"] == "released":
        rates = [0.005, setting["rate"]]
        return release(
            data, {"after": 100, "zeros": False, "rates": rates}, rng
        )
    kind = setting.get("model", setting.get("kind", part))
    if kind in ("mlp", "shifts"):
        net = mlp(rng)
    elif kind == "width":
        net = mlp(rng, setting["width"])
    elif kind == "cnn":
        net = cnn(rng)
    elif kind == "pulled":
        net = released(cnn(rng))
    else:
        net = fresh(kind, rng, setting.get("strength", 0.1))
    if part == "shifts":
        data = (
            *with_shifts(*data[:2], setting["copies"], rng),
            *data[2:],
        )
    share = setting.get("share", 0.1) if kind == "pulled" else 0.0
    return train(net, data, setting["rate"], rng, WATCH, share)


def release(
    data: tuple[np.ndarray, ...], setting: dict[str, Any], rng: Any
) -> dict[str, Any]:
    """Train the convolutional network for some steps, then its perceptron for the rest."""
    after, (tied, free) = setting["after"], setting["rates"]
    net = cnn(rng)
    before = train(
        net, data, tied, rng, tuple(s for s in WATCH if s <= after)
    )
    rest = train(
        released(net, zeros=setting["zeros"]),
        data,
        free,
        rng,
        tuple(s for s in WATCH if s >= after),
    )
    return {
        "accuracy": before["accuracy"] + rest["accuracy"][1:],
        "distance": rest["distance"],
    }


def further(
    data: tuple[np.ndarray, ...], rates: list[float], rng: Any
) -> dict[str, Any]:
    """Train the convolutional network to the end; then it and its perceptron, each for itself."""
    net = cnn(rng)
    before = train(net, data, rates[0], rng, WATCH)
    watch = (0, FURTHER // 10, FURTHER // 2, FURTHER)
    seed = int(rng.integers(2**31))
    free = train(
        released(net),
        data,
        rates[1],
        np.random.default_rng(seed),
        watch,
    )
    tied = train(
        net, data, rates[1], np.random.default_rng(seed), watch
    )
    return {
        "before": before["accuracy"],
        "tied": tied["accuracy"],
        "free": free["accuracy"],
        "distance": free["distance"],
    }
