"""How far is the big MLP behind the convolutional network, and does more data close the gap?

Networks of one shape, with and without the zeros and the ties of the convolutions, and ordinary
perceptrons of two widths, each trained to its plateau on 1,000 to 60,000 examples of MNIST-1D; also
with early stopping (the weights at the best validation score of the same run). ``regularised`` adds
weight decay, ``largest`` the most examples.

Each run is judged at its end and at its best validation score. Networks of the shape of the
convolutional one are also asked how much locality and sharing they have: see ``measures``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from equivlib import Network
from equivlib.train import Adam
from experiments import measures, nets, protocol
from experiments.protocol import Plateau, Task

SIZES = 1000, 4000, 12_000, 30_000, 60_000
MODELS = "cnn", "local", "ties", "free", "mlp 100", "mlp 400"
#: Sizes at which the network with ties only is trained; its steps are slow.
TIES_SIZES = 1000, 4000, 60_000
#: Where a search starts.
RATES = {
    "cnn": (0.003, 0.01, 0.03),
    "local": (0.003, 0.01, 0.03),
    "ties": (0.001, 0.003, 0.01),
    "free": (0.001, 0.003, 0.01),
    "mlp 100": (0.001, 0.003, 0.01),
    "mlp 400": (0.001, 0.003, 0.01),
}
#: Milliseconds of one step, and about how many thousands of steps a run takes, by size.
STEP = {
    "cnn": 1.3,
    "local": 1.4,
    "ties": 3.0,
    "free": 2.1,
    "mlp 100": 0.45,
    "mlp 400": 2.1,
}
STEPS = dict(
    zip((*SIZES, nets.POOLS[-1]), (4, 5, 9, 13, 15, 25), strict=True)
)


def task(model: str, size: int, **more: Any) -> Task:
    """One variant at one size; ``more`` goes to the task."""
    return Task(
        {"model": model, "examples": size},
        RATES[model],
        seconds=STEP[model] * STEPS[size] + size / 20_000,
        **more,
    )


def tasks() -> list[Task]:
    """Small sizes first."""
    return [
        task(model, size)
        for size in SIZES
        for model in MODELS
        if model != "ties" or size in TIES_SIZES
    ]


def network(model: str, rng: np.random.Generator) -> Network:
    """A new network."""
    if model.startswith("mlp"):
        return nets.mlp(rng, int(model.split()[1]))
    return nets.network(model, rng)


def train(
    net: Network,
    setting: dict[str, Any],
    data: protocol.Data,
    valid: protocol.Data,
    rng: np.random.Generator,
) -> Any:
    """Train to the plateau by Adam, at the rate and with the weight decay of the setting."""
    decay = setting.get("decay", 0.0)
    return protocol.train(
        net,
        data,
        valid,
        rate=setting["rate"],
        rng=rng,
        plateau=Plateau.of(len(data[0])),
        optimizer=partial(Adam, weight_decay=decay, decoupled=True),
    )


def run(setting: dict[str, Any]) -> dict[str, Any]:
    """Train one network to its plateau and judge it."""
    seed, judging = setting["seed"], not setting["search"]
    data, valid, judges = nets.examples(seed, setting["examples"])
    rng = np.random.default_rng([seed, 1])
    net = network(setting["model"], rng)
    shaped = judging and setting["model"] in nets.KINDS
    start = measures.of(net, judges[0], seed) if shaped else None
    out = train(net, setting, data, valid, rng)
    result = out.record()
    if judging:
        result["train"] = protocol.accuracy(
            net, data[0][:20_000], data[1][:20_000]
        )
        result["test"] = protocol.accuracy(net, *judges)
        if shaped:
            result["start"] = start
            result["end"] = measures.of(net, judges[0], seed)
        out.restore(net)
        result["early"] = protocol.accuracy(net, *judges)
    return result
