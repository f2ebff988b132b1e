"""Runs in a JSON file, and what a mean of them is worth."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats

from equivlib.files import replaced

Run = dict[str, Any]
DATA = Path(__file__).resolve().parents[1] / "data"


def path(name: str) -> Path:
    """The file of an experiment."""
    return DATA / f"{name}.json"


def load(name: str) -> list[Run]:
    """All runs of an experiment so far."""
    return stored(name)["runs"]


def stored(name: str) -> dict[str, Any]:
    """The file of an experiment: its runs, and whether they are all of them."""
    file = path(name)
    if not file.exists():
        return {"experiment": name, "complete": False, "runs": []}
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def load_complete(name: str) -> list[Run]:
    """All runs of an experiment, for a chapter: an error while some are missing."""
    found = stored(name)
    if not found["complete"]:
        raise ValueError(
            f"{path(name).name} is not complete: run `make experiments` first"
        )
    runs: list[Run] = found["runs"]
    return runs


def save(
    name: str, runs: Sequence[Run], *, complete: bool = False
) -> None:
    """Replace the file in one step, in an order that does not depend on who was done first."""
    ordered = sorted(runs, key=lambda run: key(run["setting"]))
    lines = ",\n".join(
        json.dumps(run, sort_keys=True, allow_nan=False)
        for run in ordered
    )
    with replaced(path(name)) as file:
        file.write_text(
            f'{{"experiment": "{name}", "complete": {json.dumps(complete)}, '
            f'"runs": [\n{lines}\n]}}\n',
            encoding="utf-8",
            newline="\n",
        )


def key(setting: dict[str, Any]) -> str:
    """One text for equal settings."""
    return json.dumps(setting, sort_keys=True)


def missing(
    settings: Sequence[dict[str, Any]], runs: Sequence[Run]
) -> list[dict[str, Any]]:
    """The settings without a run."""
    there = {key(run["setting"]) for run in runs}
    return [
        setting for setting in settings if key(setting) not in there
    ]


def select(runs: Sequence[Run], **values: Any) -> list[Run]:
    """The runs whose settings have these values, by seed."""
    found = [
        run
        for run in runs
        if all(
            name in run["setting"] and run["setting"][name] == v
            for name, v in values.items()
        )
    ]
    return sorted(found, key=lambda run: run["setting"].get("seed", 0))


def values(runs: Sequence[Run], name: str) -> np.ndarray:
    """One number of the result of each run."""
    return np.array([run["result"][name] for run in runs])


def interval(
    sample: Sequence[float], level: float = 0.95
) -> tuple[float, float]:
    """Mean of independent runs, and half the width of Student's interval for it."""
    numbers = np.asarray(sample, float)
    if numbers.ndim != 1 or len(numbers) < 2:
        raise ValueError(
            f"sample (of shape {numbers.shape}) must be a list of at least two numbers"
        )
    # Not above: those who only load runs need no figures.
    from equivlib.draw import half_width

    return float(numbers.mean()), float(half_width(numbers, level))


def paired(
    first: Sequence[float], second: Sequence[float]
) -> tuple[float, float, float]:
    """Mean difference of runs with equal seeds, half its 95 % interval, and p of Student's test.

    The test is the paired one: p is the probability of a mean at least as far from zero, were the
    true mean zero and the differences normally distributed.
    """
    difference = np.subtract(first, second)
    mean, half = interval(difference)
    return (
        mean,
        half,
        float(scipy.stats.ttest_rel(first, second).pvalue),
    )


def versions() -> dict[str, str]:
    """What the numbers were made with."""
    made = {
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    return made | {
        name: version(name) for name in ("equivlib", "numpy", "scipy")
    }
