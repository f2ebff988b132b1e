"""Does a quarter of a million examples close the gap?

Three networks of ``more_data`` on four times its most examples. A run takes about a minute, so there
are five judges.
"""

from __future__ import annotations

from experiments import more_data, nets
from experiments.more_data import run
from experiments.protocol import Task

__all__ = "run", "tasks"

MODELS = "cnn", "local", "free"
SIZE = nets.POOLS[-1]
JUDGES = range(5)


def tasks() -> list[Task]:
    """One for each network."""
    return [
        more_data.task(model, SIZE, judges=JUDGES) for model in MODELS
    ]
