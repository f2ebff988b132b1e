"""The convolutional network of ``more_data`` once more, trained by PyTorch instead of this library.

Same data, same start, same batches, same rule for the plateau, written with PyTorch's layers and
its Adam. What agrees cannot be a fault of one of the two programs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from experiments import nets
from experiments.protocol import BATCH, Plateau


def network(rng: np.random.Generator) -> nn.Sequential:
    """The same start, in PyTorch's layers."""
    ours = nets.network("cnn", rng)
    inputs = (1, nets.CHANNELS, nets.CHANNELS)
    layers: list[nn.Module] = []
    for channels, kernel in zip(inputs, nets.KERNELS, strict=True):
        layers += [
            nn.Conv1d(
                channels,
                nets.CHANNELS,
                kernel,
                stride=nets.STRIDE,
                padding=nets.PADDING,
            ),
            nn.ReLU(),
        ]
    places = ours.shapes[-2][0]
    net = nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(places, nets.CLASSES)
    )
    with torch.no_grad():
        for theirs, layer in zip(net, ours.layers, strict=True):
            for name, value in layer.params.items():
                getattr(theirs, name).copy_(torch.from_numpy(value))
    return net


def batches(
    count: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """The examples of each step: every epoch in another order."""
    while True:
        order = rng.permutation(count)
        for start in range(0, count, BATCH):
            yield order[start : start + BATCH]


def accuracy(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """The share of examples whose class is right."""
    with torch.no_grad():
        return round(
            float((net(x).argmax(dim=1) == y).float().mean()), 6
        )


def run(
    setting: dict[str, Any], most: int | None = None
) -> dict[str, Any]:
    """Losses of all steps and accuracy on the judging examples; after ``most`` steps at the latest."""
    seed, rate = setting["seed"], setting["rate"]
    parts = nets.examples(seed, setting["examples"])
    train, valid, judges = (
        (
            torch.from_numpy(x[:, None].copy()),
            torch.from_numpy(y.copy()),
        )
        for x, y in parts
    )
    rng = np.random.default_rng([seed, 1])
    net, rule = network(rng), Plateau.of(len(train[0]))
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    best, bad, cuts, losses = -math.inf, 0, 0, []
    for chosen in batches(len(train[0]), rng):
        rows = torch.from_numpy(chosen)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(
            net(train[0][rows]), train[1][rows]
        )
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        if len(losses) % rule.every == 0:
            score = accuracy(net, *valid)
            best, bad = (score, 0) if score > best else (best, bad + 1)
            if bad == rule.patience:
                bad, cuts = 0, cuts + 1
                optimizer.param_groups[0]["lr"] /= rule.factor
        if cuts > rule.decays or len(losses) == (most or rule.most):
            break
    return {"losses": losses, "test": accuracy(net, *judges)}
