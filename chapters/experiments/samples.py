"""How many samples three layers need that differ in locality and sharing alone.

Three rules say to which of two classes an input belongs.

``energy``
    Two channels of independent normal numbers: which of them has the larger sum of squares? The
    rule of Li, Zhang and Arora (2021). Kernels of 1 x 1.
``second``
    One channel of independent normal numbers: is the sum of all products of a number and the second
    next one positive? No two neighbours say anything about it. Kernels of 3.
``moving``
    Noise, and a pattern of 6 numbers or its negative in one of several patches: which of the two?
    The task of Lahoti, Karp, Winston, Singh and Li (2024). Kernels of one patch, with its stride.

A network is one layer, an activation, the mean over the places for each channel, and a layer with two
outputs. The first layer is

``conv``
    a convolution;
``local``
    locally connected: the same windows, each with weights of its own;
``dense``
    fully connected.

Each of them can be what those above it are. A training ends by what it sees of its own samples: with
any other examples, those would have to be counted too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from equivlib import Network
from equivlib.layers import (
    AdaptiveAvgPool,
    Conv,
    Dense,
    Flatten,
    Layer,
    Rearrange,
    ReLU,
)
from equivlib.train import SGD, Adam, cross_entropy, predict
from experiments import protocol, results

KINDS = ("conv", "local", "dense")
LEVEL = 0.85
#: A walk goes down until it is below this one, so that both are crossed inside.
LOWER = 0.8
#: How many samples are tried, a factor of the root of 2 apart.
LADDER = (1, *(round(2 ** (j / 2)) for j in range(2, 30)))
SEARCHED = 2000  # new inputs in a run of the search
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


class Local(Layer):
    """A convolution on one axis whose kernel is another one at each place, without padding."""

    def __init__(
        self, weight: np.ndarray, bias: np.ndarray | None, stride: int
    ) -> None:
        super().__init__()
        self.params["weight"] = weight  # places, in, taps, out
        if bias is not None:
            self.params["bias"] = bias  # out, places
        self.stride = stride

    def output_shape(self, *shapes: tuple[int, ...]) -> tuple[int, ...]:
        places, _, _, out = self.params["weight"].shape
        return out, places

    def windows(self, x: np.ndarray) -> np.ndarray:
        """What each place reads: places, samples, numbers."""
        places, channels, taps, _ = self.params["weight"].shape
        read = np.lib.stride_tricks.sliding_window_view(x, taps, axis=2)
        read = read[:, :, :: self.stride].transpose(2, 0, 1, 3)
        return read.reshape(places, len(x), channels * taps)

    def forward(self, *xs: np.ndarray) -> np.ndarray:
        weight = self.params["weight"]
        flat = weight.reshape(len(weight), -1, weight.shape[3])
        y = (self.windows(xs[0]) @ flat).transpose(1, 2, 0)
        return y + self.params["bias"] if "bias" in self.params else y

    def parameter_gradients(
        self,
        xs: tuple[np.ndarray, ...],
        y: np.ndarray,
        grad: np.ndarray,
    ) -> dict[str, Any]:
        read = self.windows(xs[0])
        found = read.transpose(0, 2, 1) @ grad.transpose(2, 0, 1)
        gradients = {
            "weight": found.reshape(self.params["weight"].shape)
        }
        if "bias" in self.params:
            gradients["bias"] = grad.sum(axis=0)
        return gradients


# The rules ----------------------------------------------------------------------------------------


def energy(
    size: int, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Two channels of ``size / 2`` places; class 1 if the first has more energy."""
    x = rng.standard_normal((count, 2, size // 2)).astype(np.float32)
    sums = (x * x).sum(axis=2)
    return x, (sums[:, 0] > sums[:, 1]).astype(int)


def second(
    size: int, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Class 1 if a number and the second next one have mostly the same sign."""
    x = rng.standard_normal((count, 1, size)).astype(np.float32)
    sums = (x[:, 0, 2:] * x[:, 0, :-2]).sum(axis=1)
    return x, (sums > 0).astype(int)


PATCH = 6
NOISE = 0.3
PATTERN = np.array([1, -1, 1, 1, -1, -1]) / math.sqrt(PATCH)


def moving(
    size: int, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A pattern of length 1 in one of ``size / 6`` patches; class 1 if it is not negative."""
    patches = size // PATCH
    x = NOISE * rng.standard_normal((count, patches, PATCH))
    classes = rng.integers(0, 2, count)
    x[np.arange(count), rng.integers(0, patches, count)] += (
        2 * classes[:, None] - 1
    ) * PATTERN
    return x.reshape(count, 1, size).astype(np.float32), classes


class Rule(NamedTuple):
    """A task and the layers it is learned with."""

    make: Callable[
        [int, int, np.random.Generator], tuple[np.ndarray, np.ndarray]
    ]
    channels: int
    taps: int
    stride: int
    sizes: tuple[int, ...]  # numbers in an input


RULES = {
    "energy": Rule(energy, 2, 1, 1, (6, 12, 24, 48)),
    "second": Rule(second, 1, 3, 1, (6, 12, 24, 48)),
    "moving": Rule(moving, 1, PATCH, PATCH, (12, 24, 48, 96)),
}


def samples(
    rule: str, size: int, count: int, seed: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and classes. Of one seed, fewer samples are the first of more."""
    x, classes = RULES[rule].make(
        size, LADDER[-1], np.random.default_rng(seed)
    )
    return x[:count], classes[:count]


# The networks -------------------------------------------------------------------------------------


def network(
    rule: str,
    size: int,
    kind: str,
    activation: str,
    channels: int,
    rng: np.random.Generator,
    *,
    taps: int | None = None,
) -> Network:
    """A new network with normally distributed weights in its first layer."""
    of, U = RULES[rule], channels
    n, taps = size // of.channels, taps or of.taps
    places = (n - taps) // of.stride + 1
    relu = activation == "relu"
    read = size if kind == "dense" else of.channels * taps
    scale = math.sqrt((2 if relu else 1) / read)

    def normal(*shape: int) -> np.ndarray:
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    def zeros(*shape: int) -> np.ndarray | None:
        return np.zeros(shape, np.float32) if relu else None

    if kind == "conv":
        kernel = normal(U, of.channels, taps)
        first = [Conv(kernel, zeros(U), stride=of.stride)]
    elif kind == "local":
        kernels = normal(places, of.channels, taps, U)
        first = [Local(kernels, zeros(U, places), of.stride)]
    else:
        first = [
            Flatten(),
            Dense(normal(U * places, size), zeros(U * places)),
            Rearrange(np.arange(U * places).reshape(U, places)),
        ]
    signs = np.where(np.arange(U) % 2, -1, 1)
    out = (math.sqrt(places / U) * signs / 2).astype(np.float32)
    last = Dense(np.array([-out, out]), np.zeros(2, np.float32))
    second_layer = ReLU() if relu else Square()
    return Network(
        [*first, second_layer, AdaptiveAvgPool(1), Flatten(), last],
        (of.channels, n),
    )


def optimizer(name: str, decay: float) -> Callable[[float], SGD | Adam]:
    """Gradient descent with momentum, or Adam; a decay of the weights on top."""

    def make(rate: float) -> SGD | Adam:
        if name == "sgd":
            return SGD(rate, momentum=0.9, weight_decay=decay)
        return Adam(rate, weight_decay=decay, decoupled=True)

    return make


# Training and judging -----------------------------------------------------------------------------


def fits(net: Network, x: np.ndarray, classes: np.ndarray) -> float:
    """How well the samples themselves are learned: minus the loss, to two digits."""
    return -round(cross_entropy(predict(net, x), classes)[0], 2)


def plateau(count: int) -> protocol.Plateau:
    """Checked each epoch or less often: so many epochs without a smaller loss."""
    every = max(50, -(-count // protocol.BATCH))
    return protocol.Plateau(every=every, patience=4, most=8000)


def turned(turn: str, size: int, seed: int) -> np.ndarray | None:
    """What the flattened inputs are multiplied with: nothing, another order, a rotation."""
    rng = np.random.default_rng([seed, 3])
    if turn == "order":
        return np.eye(size, dtype=np.float32)[rng.permutation(size)]
    if turn == "rotation":
        normal = rng.standard_normal((size, size))
        return np.linalg.qr(normal)[0].astype(np.float32)
    return None


class Examples(NamedTuple):
    """Of one seed: inputs and classes to learn, from which the first are taken, and to judge."""

    x: np.ndarray
    classes: np.ndarray
    new: np.ndarray
    truth: np.ndarray


def examples(setting: dict[str, Any], count: int) -> Examples:
    """The examples of a run."""
    rule, size, seed = (
        setting[name] for name in ("rule", "size", "seed")
    )
    tested = SEARCHED if setting["search"] else TESTED
    x, classes = samples(rule, size, count, [seed, 0])
    new, truth = samples(rule, size, tested, [seed, 1])
    Q = turned(setting.get("turn", "none"), size, seed)
    if Q is not None:
        x, new = (
            (a.reshape(len(a), -1) @ Q.T).reshape(a.shape)
            for a in (x, new)
        )
    return Examples(x, classes, new, truth)


def learned(
    setting: dict[str, Any], data: Examples, count: int
) -> dict[str, Any]:
    """One network trained on the first of the samples, and the share of new inputs it gets right."""
    seed = setting["seed"]
    net = network(
        *(setting[name] for name in ("rule", "size", "kind")),
        setting["activation"],
        setting["channels"],
        np.random.default_rng([seed, 2]),
        taps=setting.get("taps"),
    )
    own = data.x[:count], data.classes[:count]
    done = protocol.train(
        net,
        own,
        own,
        score=fits,
        rate=setting["rate"],
        rng=np.random.default_rng([seed, 4]),
        plateau=plateau(count),
        optimizer=optimizer(
            setting["optimizer"], setting.get("decay", 0.0)
        ),
    )
    failed = done.stopped == "diverged"
    return {
        "samples": count,
        "steps": done.steps,
        "stopped": done.stopped,
        "train": None if failed else protocol.accuracy(net, *own),
        "test": None
        if failed
        else protocol.accuracy(net, data.new, data.truth),
    }


def rung(count: float) -> int:
    """The number of samples on the ladder that is nearest."""
    ratios = np.abs(np.log(np.array(LADDER) / count))
    return int(ratios.argmin())


def walk(
    start: int, at: Callable[[int], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Try numbers of samples until the level is crossed inside of those tried.

    From a first one upwards until two in a row are at the level, then downwards until one is below the
    lower level.
    """
    low, high = start, start
    found = {start: at(LADDER[start])}

    def right(j: int) -> float:
        return found[j]["test"] or 0.0 if j in found else 0.0

    while high + 1 < len(LADDER) and not (
        min(right(high), right(high - 1)) >= LEVEL
    ):
        high += 1
        found[high] = at(LADDER[high])
    while low > 0 and right(low) >= LOWER:
        low -= 1
        found[low] = at(LADDER[low])
    return [found[j] for j in sorted(found)]


def crossing(curve: Sequence[dict[str, Any]], level: float) -> float:
    """From how many samples on a curve is at a level; a straight line over the logarithm between two.

    NaN if it is not at the level in the end; its first number of samples if it is nowhere below.
    """
    counts = [one["samples"] for one in curve]
    right = [one["test"] or 0.0 for one in curve]
    below = [i for i, value in enumerate(right) if value < level]
    if not below:
        return float(counts[0])
    if below[-1] + 1 == len(curve):
        return math.nan
    i = below[-1]
    part = (level - right[i]) / (right[i + 1] - right[i])
    return float(counts[i] * (counts[i + 1] / counts[i]) ** part)


def run(setting: dict[str, Any]) -> dict[str, Any]:
    """Train as a setting says: at one number of samples, at two in a search, or on a walk."""
    if "samples" in setting:
        counts = [setting["samples"]]
    else:
        middle = rung(setting["about"])
        counts = [LADDER[max(0, middle - 2)], LADDER[middle]]
    walks = not setting["search"] and "samples" not in setting
    data = examples(setting, LADDER[-1] if walks else counts[-1])

    def at(count: int) -> dict[str, Any]:
        return learned(setting, data, count)

    if walks:
        curve = walk(rung(counts[0]), at)
        needed = crossing(curve, LEVEL)
        return {
            "needed": None if math.isnan(needed) else needed,
            "curve": curve,
        }
    curve = [at(count) for count in counts]
    right = [one["test"] for one in curve]
    valid = None if None in right else float(np.mean(right))
    if setting["search"]:
        return {"valid": valid, "curve": curve}
    return curve[0]


# Which runs ---------------------------------------------------------------------------------------

#: Which activation and optimiser are tried with which rule, and the first rates of their searches.
LEARNERS = (
    ("energy", "square", "sgd"),
    ("energy", "square", "adam"),
    ("energy", "relu", "sgd"),
    ("energy", "relu", "adam"),
    ("second", "square", "sgd"),
    ("second", "square", "adam"),
    ("second", "relu", "sgd"),
    ("second", "relu", "adam"),
    ("moving", "relu", "sgd"),
    ("moving", "relu", "adam"),
)
RATES = {
    ("square", "sgd"): (0.01, 0.03, 0.1),
    ("square", "adam"): (0.003, 0.01, 0.03),
    ("relu", "sgd"): (0.03, 0.1, 0.3),
    ("relu", "adam"): (0.003, 0.01, 0.03),
}
CHANNELS = {"square": 4, "relu": 16}
DECAYS = (0.01, 0.1, 1.0)

#: About how many samples are needed for the second of the sizes, and the power with which that grows,
#: from a few runs. A search trains at this number and at half of it, a walk begins at half of it.
ABOUT = {
    ("energy", "square"): {
        "conv": (11, 0),
        "local": (64, 1),
        "dense": (220, 2),
    },
    ("energy", "relu"): {
        "conv": (23, 0),
        "local": (128, 1.5),
        "dense": (290, 2),
    },
    ("second", "square"): {
        "conv": (11, 0),
        "local": (110, 1.2),
        "dense": (180, 2.1),
    },
    ("second", "relu"): {
        "conv": (45, 0),
        "local": (180, 1.4),
        "dense": (250, 2),
    },
    ("moving", "relu"): {
        "conv": (16, 0.8),
        "local": (45, 2.6),
        "dense": (64, 3.5),
    },
}


def about(rule: str, activation: str, kind: str, size: int) -> int:
    """A number of samples near the one that is looked for."""
    base, power = ABOUT[rule, activation][kind]
    found = base * (size / RULES[rule].sizes[1]) ** power
    return LADDER[min(rung(found), rung(8192))]


def growth(
    rule: str,
    activation: str,
    name: str,
    kind: str,
    size: int,
    alternatives: tuple[dict[str, Any], ...] = ({},),
) -> protocol.Task:
    """How many samples one network needs with inputs of one size."""
    count = about(rule, activation, kind, size)
    what = {
        "part": "growth",
        "rule": rule,
        "activation": activation,
        "optimizer": name,
        "kind": kind,
        "size": size,
        "channels": CHANNELS[activation],
        "about": count,
    }
    once = {"conv": 0.6, "local": 1.1, "dense": 0.5 + count / 2500}[
        kind
    ]
    if activation == "square":
        once /= 2
    return protocol.Task(
        what, RATES[activation, name], 3.2 * once, alternatives
    )


def fixed(
    part: str, seconds: float, rates: tuple[float, ...], **what: Any
) -> protocol.Task:
    """The accuracy of one network with one number of samples."""
    return protocol.Task({"part": part, **what}, rates, seconds)


def decayed() -> list[protocol.Task]:
    """A fully connected network whose weights decay, with the best of three strengths."""
    choices = tuple({"decay": decay} for decay in DECAYS)
    return [
        growth("second", "relu", "adam", "dense", size, choices)
        for size in RULES["second"].sizes[:3]
    ]


def others() -> list[protocol.Task]:
    """Windows of other lengths, other widths, inputs in another order and rotated."""
    second = {
        "rule": "second",
        "size": 24,
        "activation": "relu",
        "optimizer": "adam",
        "kind": "conv",
        "channels": 16,
        "samples": 1000,
    }
    windows = [
        fixed("window", 1.0, RATES["relu", "adam"], **second, taps=taps)
        for taps in (1, 2, 3, 5)
    ]
    energies = {"rule": "energy", "size": 16, "samples": 128}
    widths = [
        fixed(
            "width",
            0.5,
            RATES[activation, name],
            **energies,
            activation=activation,
            optimizer=name,
            kind=kind,
            channels=channels,
        )
        for kind, activation, name in (
            ("conv", "square", "sgd"),
            ("dense", "square", "sgd"),
            ("dense", "relu", "adam"),
        )
        for channels in (2, 8, 32, 128)
    ]
    turns = [
        fixed(
            "turn",
            0.5,
            RATES["square", name],
            **second
            | {
                "size": 16,
                "activation": "square",
                "channels": 4,
                "kind": kind,
                "optimizer": name,
            },
            turn=turn,
        )
        for kind in KINDS
        for name in ("sgd", "adam")
        for turn in ("none", "order", "rotation")
    ]
    return windows + widths + turns


def tasks() -> list[protocol.Task]:
    """All variants: what is the shortest comes first."""
    growing = [
        growth(*learner, kind, size)
        for learner in LEARNERS
        for kind in KINDS
        for size in RULES[learner[0]].sizes
    ]
    return others() + growing + decayed()


# What the runs say ---------------------------------------------------------------------------------


def needs(
    runs: Sequence[results.Run],
    rule: str,
    activation: str,
    name: str,
    kind: str,
    *,
    level: float = LEVEL,
    decay: bool = False,
) -> np.ndarray:
    """Samples needed: a row for each judged run, a column for each size, NaN where not reached."""
    columns = []
    for size in RULES[rule].sizes[: 3 if decay else None]:
        found = [
            one
            for one in results.select(
                runs,
                part="growth",
                search=False,
                rule=rule,
                activation=activation,
                optimizer=name,
                kind=kind,
                size=size,
            )
            if ("decay" in one["setting"]) == decay
        ]
        if len(found) != len(protocol.SEEDS):
            raise ValueError(
                f"runs (of {rule}, {activation}, {name}, {kind}, {size}) must be "
                f"{len(protocol.SEEDS)}, not {len(found)}"
            )
        columns.append(
            [crossing(one["result"]["curve"], level) for one in found]
        )
    return np.transpose(columns)


def reached(needed: np.ndarray) -> int:
    """How many of the sizes, from the first on, every run reached the level with."""
    missed = np.isnan(needed).any(axis=0)
    return int(missed.argmax()) if missed.any() else len(missed)


def exponents(sizes: Sequence[int], needed: np.ndarray) -> np.ndarray:
    """For each run the slope of the samples over the size, both as logarithms, by least squares."""
    count = reached(needed)
    if count < 2:
        raise ValueError(
            f"needed (of shape {needed.shape}) must have at least two sizes that every run reached"
        )
    logs = np.log(np.asarray(sizes[:count]))
    return np.polyfit(logs, np.log(needed[:, :count]).T, 1)[0]


def freedom(rule: str, kind: str, size: int) -> int:
    """The dimension of the space of the quadratic forms that a network with squares can make."""
    if kind == "dense":
        return size * (size + 1) // 2
    if rule == "energy":
        return 3 if kind == "conv" else 3 * (size // 2)
    # Bands: the diagonal and the two beside it. At the borders fewer windows overlap.
    return 6 if kind == "conv" else 3 * size - 3
