"""Does weight decay bring the big MLP closer to the convolutional network?

The fully connected networks of ``more_data`` with weight decay, at two numbers of examples. Its
strength is searched together with the learning rate.
"""

from __future__ import annotations

from experiments import more_data
from experiments.more_data import run
from experiments.protocol import Task

__all__ = "run", "tasks"

MODELS = "free", "mlp 100", "mlp 400"
SIZES = 4000, 60_000
DECAYS = 0.01, 0.1, 1.0


def tasks() -> list[Task]:
    """The smaller size first."""
    strengths = tuple({"decay": decay} for decay in DECAYS)
    return [
        more_data.task(model, size, alternatives=strengths)
        for size in SIZES
        for model in MODELS
    ]
