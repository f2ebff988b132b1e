"""Network morphism: a trained CNN made wider or deeper without changing its function, trained on.

The parent has two convolutions of 3 x 3 with stride 2, 4 and 8 channels, on images of 14 x 14 from
Fashion-MNIST. It is trained for ten epochs, then grown, then all are trained for ten more:

``as it was``
    the parent itself;
``wider, equal shares``
    every hidden channel twice, and each copy passes on half: the copies cannot be told apart;
``wider, a share for each copy``
    one copy passes on more than the other, by a random share;
``wider, a share for each weight``
    every outgoing weight is divided between the two copies in its own way;
``deeper``
    one more convolution in front of the fully connected layer, with the identity as its kernel;
``from scratch``
    a network as wide as the wider ones, from random weights, for the same ten epochs alone.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from equivlib.layers import Conv, Dense, Flatten, Network, ReLU
from equivlib.train import Adam, cross_entropy, fit, predict
from experiments import protocol, results

Array = np.ndarray

KINDS = (
    "as it was",
    "wider, equal shares",
    "wider, a share for each copy",
    "wider, a share for each weight",
    "deeper",
    "from scratch",
)
CHANNELS = 4, 8
PIXELS, CLASSES = 14, 10
EPOCHS, BATCH = 10, 50
#: Of the parent, and of the network from scratch. The parent's children have rates of their own,
#: each found by a search from these three on.
PARENT_RATE, RATES = 3e-3, (1e-3, 3e-3, 1e-2)
VALIDATED = 400


@lru_cache(maxsize=1)
def images() -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """The 2,000 and the 500 images with their classes; each pixel the mean of four, mean 0."""
    with np.load(
        results.DATA / "fashion.npz", allow_pickle=False
    ) as file:
        x, labels, test, truth = (
            file[name] for name in ("x", "labels", "test", "truth")
        )
    small = [
        part.reshape(-1, 1, PIXELS, 2, PIXELS, 2).mean(axis=(3, 5))
        / 255
        for part in (x, test)
    ]
    middle = small[0].mean()
    return (
        (small[0] - middle, labels.astype(int)),
        (small[1] - middle, truth.astype(int)),
    )


def drawn(seed: int) -> tuple[protocol.Data, protocol.Data]:
    """1,600 images to train with and 400 to validate with, others for each seed."""
    x, labels = images()[0]
    order = np.random.default_rng([17, seed]).permutation(len(x))
    first, last = order[VALIDATED:], order[:VALIDATED]
    return (x[first], labels[first]), (x[last], labels[last])


def network(
    rng: np.random.Generator, channels: tuple[int, int]
) -> Network:
    """Two convolutions with stride 2 and a fully connected layer, from random weights."""

    def normal(*shape: int) -> Array:
        return rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:]))

    first, second = channels
    same = {"stride": 2, "padding": 1}
    return Network(
        [
            Conv(normal(first, 1, 3, 3), np.zeros(first), **same),
            ReLU(),
            Conv(normal(second, first, 3, 3), np.zeros(second), **same),
            ReLU(),
            Flatten(),
            Dense(normal(CLASSES, second * 16), np.zeros(CLASSES)),
        ],
        (1, PIXELS, PIXELS),
    )


def trained_on(
    net: Network,
    seed: int,
    rate: float,
    part: int,
    epochs: int = EPOCHS,
    callback: Any = None,
) -> list[float]:
    """Train in place with Adam; ``part`` 0 is the parent's training, 1 that after it."""
    return fit(
        net,
        *drawn(seed)[0],
        loss=cross_entropy,
        optimizer=Adam(rate),
        epochs=epochs,
        batch_size=BATCH,
        seed=np.random.default_rng([part, seed]),
        callback=callback,
    )


@lru_cache(maxsize=16)
def parent(seed: int) -> Network:
    """The trained parent; not to be changed."""
    net = network(np.random.default_rng([4, seed]), CHANNELS)
    trained_on(net, seed, PARENT_RATE, 0)
    return net


def copied(net: Network) -> Network:
    """The same layers with arrays of their own."""
    first, _, second, _, _, last = net.layers
    return rebuilt(
        *(
            (layer.weight.copy(), layer.bias.copy())
            for layer in (first, second, last)
        )
    )


def rebuilt(*parts: tuple[Array, Array]) -> Network:
    """A network of this form from weights and biases: two convolutions or more, and the last."""
    *convolutions, last = parts
    layers: list[Any] = []
    for place, (weight, bias) in enumerate(convolutions):
        layers += [
            Conv(weight, bias, stride=2 if place < 2 else 1, padding=1),
            ReLU(),
        ]
    return Network(
        [*layers, Flatten(), Dense(*last)], (1, PIXELS, PIXELS)
    )


def divided(
    weight: Array, kind: str, rng: np.random.Generator
) -> Array:
    """The weights behind a widened layer: its inputs come twice, and each pair adds up to ``weight``.

    So for the matrix P that uses each input twice, the result times P is ``weight``.
    """
    inputs = weight.shape[1]
    if kind == "wider, a share for each weight":
        size = np.sqrt(np.mean(weight**2))
        moved = rng.normal(size=weight.shape) * size
    else:
        equal = kind == "wider, equal shares"
        share = (
            np.zeros(inputs)
            if equal
            else rng.uniform(-0.3, 0.3, inputs)
        )
        moved = weight * share.reshape(-1, *[1] * (weight.ndim - 2))
    both = np.stack([weight / 2 + moved, weight / 2 - moved], axis=2)
    return both.reshape(len(weight), 2 * inputs, *weight.shape[2:])


def widened(
    net: Network, kind: str, rng: np.random.Generator
) -> Network:
    """Every hidden channel twice, in the three ways of the wider kinds."""
    first, _, second, _, _, last = net.layers
    channels = len(second.weight)
    places = last.weight.reshape(CLASSES, channels, -1)
    return rebuilt(
        (first.weight.repeat(2, axis=0), first.bias.repeat(2)),
        (
            divided(second.weight, kind, rng).repeat(2, axis=0),
            second.bias.repeat(2),
        ),
        (
            divided(places, kind, rng).reshape(CLASSES, -1),
            last.bias.copy(),
        ),
    )


def deepened(net: Network) -> Network:
    """One more convolution, whose kernel is the identity."""
    first, _, second, _, _, last = copied(net).layers
    units = len(second.weight)
    identity = np.zeros((units, units, 3, 3))
    identity[:, :, 1, 1] = np.eye(units)
    return rebuilt(
        (first.weight, first.bias),
        (second.weight, second.bias),
        (identity, np.zeros(units)),
        (last.weight, last.bias),
    )


def child(kind: str, seed: int) -> Network:
    """The network of this kind before it is trained on."""
    rng = np.random.default_rng([5, seed])
    if kind == "from scratch":
        return network(rng, (2 * CHANNELS[0], 2 * CHANNELS[1]))
    if kind == "as it was":
        return copied(parent(seed))
    if kind == "deeper":
        return deepened(parent(seed))
    return widened(parent(seed), kind, rng)


def apart(net: Network) -> list[float]:
    """How far the two copies of each channel are apart, relative to the convolution, for both."""
    return [
        float(
            np.linalg.norm(layer.weight[::2] - layer.weight[1::2])
            / np.linalg.norm(layer.weight)
        )
        for layer in net.layers
        if isinstance(layer, Conv)
    ]


def losses(net: Network, part: protocol.Data) -> tuple[float, float]:
    """Mean cross-entropy and share of right answers."""
    x, labels = part
    logits = predict(net, x)
    loss = cross_entropy(logits, labels)[0]
    return loss, float((logits.argmax(axis=1) == labels).mean())


def run(setting: dict[str, Any]) -> dict[str, Any]:
    """Train a child for ten epochs; the lists have an entry before the first and after each."""
    kind, seed = setting["kind"], setting["seed"]
    net = child(kind, seed)
    training, validation = drawn(seed)
    test = images()[1]
    result: dict[str, Any] = {
        name: [] for name in ("train", "test", "right")
    }
    if kind != "from scratch":
        outputs = (predict(n, test[0]) for n in (net, parent(seed)))
        result["born"] = float(abs(np.subtract(*outputs)).max())

    def look(*_: Any) -> None:
        result["train"].append(losses(net, training)[0])
        for name, value in zip(
            ("test", "right"), losses(net, test), strict=True
        ):
            result[name].append(value)

    look()
    steps = len(training[0]) // BATCH
    trained_on(
        net,
        seed,
        setting["rate"],
        1,
        callback=lambda done, _: look() if done % steps == 0 else None,
    )
    if kind.startswith("wider"):
        result["apart"] = apart(net)
    result["valid"] = -losses(net, validation)[0]
    return result


def task(kind: str) -> protocol.Task:
    """One kind; those that start at the parent search for a rate, the other has the parent's."""
    if kind == "from scratch":
        what = {"kind": kind, "rate": PARENT_RATE}
        return protocol.Task(what, seconds=6)
    return protocol.Task({"kind": kind}, RATES, seconds=6)


def tasks() -> list[protocol.Task]:
    """The six kinds."""
    return [task(kind) for kind in KINDS]
