"""The table of the MNIST-1D benchmark, repeated with ten seeds.

The models, their training and the data are those of the benchmark's authors
(github.com/greydanus/mnist1d, notebooks/models.py): logistic regression, a perceptron with one
shortcut, a network of three convolutions; Adam with the rate 0.01, batches of 100, 6,000 steps; on
the published data set, as it is and with the positions in another order. As theirs, these runs have
no search of a rate and no validation set, so they repeat a table and compare nothing else.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from equivlib import Network
from equivlib.train import Adam, cross_entropy, fit
from experiments import nets, protocol, results

#: Seed of the published data set; how many examples train and judge.
DATA_SEED, EXAMPLES, JUDGED = 42, 4000, 1000
RATE = 0.01
#: Steps after which a network is judged; the last ends the training.
WATCH = 0, 1000, 2000, 4000, 6000
MODELS = "logistic", "mlp", "cnn"


def settings(runs: list[results.Run]) -> list[dict[str, Any]]:
    """Each model on each order of the positions, ten times."""
    return [
        {
            "part": "published",
            "model": model,
            "shuffled": shuffled,
            "seed": seed,
        }
        for shuffled in (False, True)
        for model in MODELS
        for seed in protocol.SEEDS
    ]


def network(model: str, rng: np.random.Generator) -> Network:
    """A new network of one of the three kinds."""
    if model == "cnn":
        return nets.network("cnn", rng)
    if model == "mlp":
        return nets.mlp(rng, 100)
    layers = [nets.dense(nets.LENGTH, nets.CLASSES, rng)]
    return Network(layers, (nets.LENGTH,))


def run(setting: dict[str, Any]) -> dict[str, Any]:
    """Accuracy after some steps; every example is seen equally often."""
    seed = setting["seed"]
    x, y = nets.generated(DATA_SEED, EXAMPLES + JUDGED)
    if setting["shuffled"]:
        order = np.random.default_rng(seed).permutation(nets.LENGTH)
        x = x[:, order]
    rng = np.random.default_rng(seed)
    net, optimizer = network(setting["model"], rng), Adam(RATE)
    inputs = x.reshape(-1, *net.input_shape)
    waiting = np.empty(0, int)
    found = [protocol.accuracy(net, x[EXAMPLES:], y[EXAMPLES:])]
    for first, last in pairwise(WATCH):
        wanted = (last - first) * protocol.BATCH
        while len(waiting) < wanted:
            waiting = np.append(waiting, rng.permutation(EXAMPLES))
        now, waiting = waiting[:wanted], waiting[wanted:]
        fit(
            net,
            inputs[now],
            y[now],
            loss=cross_entropy,
            optimizer=optimizer,
            batch_size=protocol.BATCH,
            seed=int(rng.integers(2**31)),
        )
        found.append(protocol.accuracy(net, x[EXAMPLES:], y[EXAMPLES:]))
    return {"accuracy": found}
