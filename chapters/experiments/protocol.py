"""How every experiment of part III searches, trains, judges and compares.

Each variant of a network gets a learning rate of its own. A search with seeds that never judge
tries three rates and goes on until the best of them lies inside the range tried. Strengths of decay
are searched in the same way, each with rates of its own. The runs that count have other seeds, and
with that other data, another start and another order. Training divides the rate twice, each time
after a plateau of a validation set, and ends at the third plateau. The examples that judge a run
are used for nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from equivlib import Network
from equivlib.train import Adam, cross_entropy, fit, predict
from experiments import results

Setting = dict[str, Any]
Data = tuple[np.ndarray, np.ndarray]

#: Seeds of the runs that count, and those of the search.
SEEDS = range(10)
SEARCH_SEEDS = (100, 101, 102)
#: What a search may try, of learning rates and of strengths of decay, about a factor of the root
#: of 10 apart.
LADDER = tuple(
    float(f"{digit}e{power}")
    for power in range(-6, 2)
    for digit in (1, 3)
)
BATCH = 100


# Which runs ---------------------------------------------------------------------------------------


class Task(NamedTuple):
    """One variant: what it is, and how its rate is found."""

    #: Names the variant; can be written as JSON.
    what: Setting
    #: The first rates of the search, neighbours on the ladder. Without any there is no search.
    rates: tuple[float, ...] = ()
    #: About how many seconds one run takes on one core, for the plan.
    seconds: float = 1.0
    #: Each is searched by itself, and only the best one is judged.
    alternatives: tuple[Setting, ...] = ({},)
    judges: Sequence[int] = SEEDS
    #: The first strengths of a decay of the weights, neighbours on the ladder, in place of
    #: alternatives: they are searched as the rates are, each with a search of its own.
    decays: tuple[float, ...] = ()


def settings(
    tasks: Sequence[Task], runs: Sequence[results.Run]
) -> list[Setting]:
    """All runs that are needed, as far as the runs so far tell: searches, then what they chose."""
    found = index(runs)
    asked = []
    for task in tasks:
        asked += searches(task, found)
        best = choice(task, found)
        if best is not None:  # it is empty where there is no search
            asked += [
                {**task.what, **best, "seed": seed, "search": False}
                for seed in task.judges
            ]
    return asked


def searches(task: Task, found: Mapping[str, Any]) -> list[Setting]:
    """The runs of the searches of a task."""
    return [
        {
            **task.what,
            **other,
            "rate": rate,
            "seed": seed,
            "search": True,
        }
        for other in alternatives(task, found)
        for rate in tried({**task.what, **other}, task.rates, found)[0]
        for seed in SEARCH_SEEDS
    ]


def index(runs: Sequence[results.Run]) -> dict[str, Any]:
    """The results by the text of their settings."""
    return {results.key(run["setting"]): run["result"] for run in runs}


def alternatives(task: Task, found: Mapping[str, Any]) -> list[Setting]:
    """What is searched by itself: the strengths of the decay so far, or a fixed list."""
    if not task.decays:
        return list(task.alternatives)

    def score(decay: float) -> float | None:
        what = {**task.what, "decay": decay}
        rate = tried(what, task.rates, found)[1]
        return None if rate is None else mean_score(what, rate, found)

    decays, _ = widened(task.decays, score, f"strengths of {task.what}")
    return [{"decay": decay} for decay in decays]


def tried(
    what: Setting, rates: Sequence[float], found: Mapping[str, Any]
) -> tuple[list[float], float | None]:
    """The rates of a search, and the best of them once it lies inside."""
    return widened(
        rates, lambda rate: mean_score(what, rate, found), f"{what}"
    )


def widened(
    first: Sequence[float],
    score: Callable[[float], float | None],
    name: str,
) -> tuple[list[float], float | None]:
    """The values of the ladder that a search has to try, and the best once it lies inside.

    ``score`` of a value is None as long as it is not known.
    """
    rungs = sorted(LADDER.index(value) for value in first)
    while rungs:
        scores = [score(LADDER[rung]) for rung in rungs]
        if None in scores:
            return [LADDER[rung] for rung in rungs], None
        best = max(range(len(rungs)), key=lambda i: (scores[i], -i))
        if scores[best] == -math.inf:  # all of them diverged
            rungs.insert(0, rungs[0] - 1)
        elif best == 0:
            rungs.insert(0, rungs[0] - 1)
        elif best == len(rungs) - 1:
            rungs.append(rungs[-1] + 1)
        else:
            return [LADDER[rung] for rung in rungs], LADDER[rungs[best]]
        if rungs[0] < 0 or rungs[-1] == len(LADDER):
            raise ValueError(
                f"the search of {name} reaches an end of the ladder, {LADDER}"
            )
    return [], None


def mean_score(
    what: Setting, rate: float, found: Mapping[str, Any]
) -> float | None:
    """Mean validation score of a rate; minus infinity if a run diverged, None if one is missing."""
    scores = []
    for seed in SEARCH_SEEDS:
        setting = {**what, "rate": rate, "seed": seed, "search": True}
        result = found.get(results.key(setting))
        if result is None:
            return None
        scores.append(result["valid"])
    return -math.inf if None in scores else float(np.mean(scores))


def choice(task: Task, found: Mapping[str, Any]) -> Setting | None:
    """The alternative and the rate with the best search, once all searches are done."""
    if not task.rates:
        return dict(task.alternatives[0])
    best = []
    for place, other in enumerate(alternatives(task, found)):
        what = {**task.what, **other}
        rate = tried(what, task.rates, found)[1]
        if rate is None:
            return None
        score = mean_score(what, rate, found)
        best.append((score, -place, {**other, "rate": rate}))
    return max(best, key=lambda one: one[:2])[2]


def chosen(task: Task, runs: Sequence[results.Run]) -> Setting | None:
    """What the search of a task has found, or None."""
    return choice(task, index(runs))


def judged(
    task: Task, runs: Sequence[results.Run]
) -> list[results.Run]:
    """The runs of a task that count, by seed; an error if one of them is missing."""
    best = chosen(task, runs)
    found = results.select(
        runs, **task.what, **(best or {}), search=False
    )
    seeds = [run["setting"]["seed"] for run in found]
    if best is None or seeds != sorted(task.judges):
        raise ValueError(f"the runs of {task.what} are not complete")
    return found


class Plan(NamedTuple):
    """How much is left to do, an estimate."""

    runs: int
    seconds: float


def plan(tasks: Sequence[Task], runs: Sequence[results.Run]) -> Plan:
    """Runs that are missing and their seconds, if each search ends with the rates it has."""
    found = index(runs)
    count, seconds = 0, 0.0
    for task in tasks:
        left = sum(
            results.key(setting) not in found
            for setting in searches(task, found)
        )
        best = choice(task, found)
        done = best is not None and [
            seed
            for seed in task.judges
            if results.key(
                {**task.what, **best, "seed": seed, "search": False}
            )
            in found
        ]
        left += len(task.judges) - len(done or [])
        count += left
        seconds += left * task.seconds
    return Plan(count, seconds)


# Training -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plateau:
    """When a rate has given what it can: so many checks in a row without a new best score."""

    every: int = 200  # steps between two checks
    patience: int = 5
    factor: float = 5.0  # by which the rate is divided
    decays: int = 2
    most: int = 60_000  # steps after which a run ends in any case

    @classmethod
    def of(cls, examples: int, **options: Any) -> Plateau:
        """One check an epoch, but not more often than every 200 steps nor less than every 600."""
        return cls(
            every=int(np.clip(examples // BATCH, 200, 600)), **options
        )


@dataclass
class Outcome:
    """What a training did."""

    steps: int = 0
    stopped: str = "cap"  # or "plateau", "diverged"
    valid: float | None = None  # score at the end
    best: float = -math.inf  # best score on the way
    best_step: int = 0
    curve: list[tuple[int, float, float]] = field(
        default_factory=list
    )  # steps, score, rate
    best_params: list[dict[str, Any]] = field(default_factory=list)

    def restore(self, net: Network) -> None:
        """Give a network the weights that it had at its best score: early stopping."""
        for layer, params in zip(
            net.layers, self.best_params, strict=True
        ):
            layer.params.update(params)

    def record(self) -> dict[str, Any]:
        """What is stored of it."""
        cuts = [
            after[0]
            for before, after in pairwise(self.curve)
            if after[2] < before[2]
        ]
        return {
            "steps": self.steps,
            "stopped": self.stopped,
            "valid": self.valid,
            "best": self.best if self.curve else None,
            "best_step": self.best_step,
            "every": self.curve[0][0] if self.curve else None,
            "scores": [score for _, score, _ in self.curve],
            "cuts": cuts,  # the first checks with a divided rate
        }


def accuracy(net: Network, x: np.ndarray, labels: np.ndarray) -> float:
    """The share of examples whose class is right."""
    outputs = predict(net, x.reshape(-1, *net.input_shape))
    return round(float((outputs.argmax(axis=1) == labels).mean()), 6)


def train(
    net: Network,
    train: Data,
    valid: Data,
    *,
    rate: float,
    rng: np.random.Generator,
    plateau: Plateau | None = None,
    loss: Any = cross_entropy,
    score: Callable[..., float] = accuracy,
    optimizer: Callable[[float], Any] = Adam,
    batch: int = BATCH,
    watch: Callable[[int, Network], object] = lambda steps, net: None,
) -> Outcome:
    """Train a network to its plateau.

    ``score`` of the network on the validation examples is better if it is higher. ``watch`` is
    called after each step.
    """
    x, targets = train
    rule = plateau or Plateau.of(len(x))
    moved, out = optimizer(rate), Outcome()
    bad, cuts = 0, 0

    def after(steps: int, value: float) -> bool:
        nonlocal bad, cuts
        out.steps = steps
        watch(steps, net)
        if not math.isfinite(value):
            out.stopped, out.valid = "diverged", None
            return True
        if steps % rule.every:
            return steps >= rule.most
        out.valid = score(net, *valid)
        if not math.isfinite(out.valid):
            out.stopped, out.valid = "diverged", None
            return True
        out.curve.append((steps, out.valid, moved.rate))
        bad = 0 if out.valid > out.best else bad + 1
        if not bad:
            out.best, out.best_step = out.valid, steps
            out.best_params = [
                dict(layer.params) for layer in net.layers
            ]
        if bad == rule.patience:
            bad, cuts = 0, cuts + 1
            if cuts > rule.decays:
                out.stopped = "plateau"
                return True
            moved.rate /= rule.factor
        return steps >= rule.most

    with np.errstate(all="ignore"):  # a rate may be too large
        fit(
            net,
            x.reshape(-1, *net.input_shape),
            targets,
            loss=loss,
            optimizer=moved,
            batch_size=batch,
            epochs=rule.most,
            seed=rng,
            callback=after,
        )
    return out


# Comparing ----------------------------------------------------------------------------------------


class Comparison(NamedTuple):
    """Two variants on the same seeds."""

    name: str
    mean: float
    half: float
    p: float
    #: After Holm's correction for all comparisons made together.
    corrected: float


def compare(
    pairs: Mapping[str, tuple[Sequence[float], Sequence[float]]],
) -> list[Comparison]:
    """First minus second of each pair, with Student's paired test, corrected by Holm's rule.

    Holm: of m comparisons the smallest p is multiplied by m, the next one by m - 1, and so on; none
    becomes smaller than one before it, none larger than 1. The probability that any of them is
    called different though all are equal stays at most the level of the test.
    """
    tests = {
        name: results.paired(*pair) for name, pair in pairs.items()
    }
    order = sorted(tests, key=lambda name: tests[name][2])
    corrected, largest = {}, 0.0
    for place, name in enumerate(order):
        p = min(1.0, tests[name][2] * (len(order) - place))
        largest = max(largest, p)
        corrected[name] = largest
    return [
        Comparison(name, *tests[name], corrected[name])
        for name in tests
    ]
