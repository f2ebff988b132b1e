"""The figure of what emerges: fields on a ring, distances under pruning, ties over many tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from equivlib.draw import (
    INK,
    LINES,
    RAMP,
    TEXT,
    WIDTH,
    Drawing,
    axes_at,
    figure_of,
    house_style,
)
from experiments import emergence, results

#: Values, and the samples of runs at each of them.
Series = tuple[Sequence[float], Sequence[np.ndarray]]
SHADES = LinearSegmentedColormap.from_list("ramp", ["#ffffff", *RAMP])
HEIGHT, PANEL = 6.6, 1.35  # inches: of the figure, of each plot


def fields(runs: list[results.Run], inputs: str) -> np.ndarray:
    """Sizes of the first weights of one trained network, units in the order of their largest."""
    (first,) = results.select(
        runs,
        part="fields",
        inputs=inputs,
        model="tanh",
        seed=0,
        search=False,
    )
    rows = np.abs(first["result"]["rows"])
    return rows[np.argsort(rows.argmax(axis=1), kind="stable")]


def distances(runs: list[results.Run]) -> dict[str, Series]:
    """Distance of two inputs of a unit against the share of weights left, in percent."""

    def series(inputs: str, mask: str) -> Series:
        found = results.select(
            runs, part="pruning", inputs=inputs, search=False
        )
        rounds = [run["result"]["rounds"][1:] for run in found]
        kept = [100 * one["kept"] for one in rounds[0]]
        values = [
            [one[mask]["to used"] for one in some] for some in rounds
        ]
        return kept, list(np.array(values).T)

    return {
        "in order": series("in order", "true order"),
        "shuffled, true order": series("shuffled", "true order"),
        "shuffled, as seen": series("shuffled", "presented"),
        "random mask": series("in order", "random"),
    }


def angles(runs: list[results.Run]) -> dict[str, Series]:
    """Largest angle from the space of the convolutions against the number of tasks."""
    kinds = {
        "convolutions": "convolution",
        "outputs renamed": "renamed",
        "zeros only": "local",
        "nothing in common": "free",
    }
    found = {}
    for name, kind in kinds.items():
        some = results.select(
            runs, part="tasks", kind=kind, noise=emergence.NOISE
        )
        values = [
            [one["angle"] for one in run["result"]["counts"]]
            for run in some
        ]
        found[name] = emergence.COUNTS, list(np.array(values).T)
    return found


def draw(runs: list[results.Run]) -> Drawing:
    """All three, below each other."""
    with house_style():
        figure = figure_of(HEIGHT)
        planes = {
            kind: fields(runs, kind)
            for kind in ("not Gaussian", "Gaussian")
        }
        head(figure, 0.05, "1. Sizes of first weights: unit × place")
        for place, (name, plane) in enumerate(planes.items()):
            axes = axes_at(figure, 0.45 + 1.9 * place, 0.5, 1.75, 1.0)
            axes.imshow(
                plane, cmap=SHADES, aspect="auto", vmin=0, vmax=1
            )
            axes.set_title(
                f"{name} inputs", fontsize=TEXT, color=INK, pad=3
            )
            axes.set_xticks([]), axes.set_yticks([])
        lower, upper = distances(runs), angles(runs)
        title = "2. Distance of a unit's inputs, over chance"
        axes = plot(
            figure, 1.75, title, lower, "weights left, % (log scale)"
        )
        axes.invert_xaxis()
        axes.axhline(1, color=INK, linewidth=0.7)
        title = "3. Angle to the convolutions, degrees"
        axes = plot(figure, 4.15, title, upper, "tasks (log scale)")
        axes.set_ylim(0, 95)
    return Drawing(figure, words(planes, lower, upper))


def head(figure: Figure, top: float, text: str) -> None:
    """The title of a panel."""
    figure.text(
        0.08 / WIDTH,
        1 - top / HEIGHT,
        text,
        fontsize=9,
        color=INK,
        va="top",
    )


def plot(
    figure: Figure,
    top: float,
    title: str,
    curves: Mapping[str, Series],
    label: str,
) -> Axes:
    """Means with their intervals, the key between title and axes."""
    head(figure, top, title)
    axes = axes_at(figure, 0.45, top + 0.58, WIDTH - 0.6, PANEL)
    for line, (name, (x, samples)) in zip(
        LINES, curves.items(), strict=False
    ):
        means, halves = np.array(
            [results.interval(sample) for sample in samples]
        ).T
        axes.errorbar(
            x, means, yerr=halves, fmt=line.marker, color=line.colour,
            linestyle=line.dash, markersize=4.5, linewidth=1.4,
            markeredgecolor="white", markeredgewidth=0.5,
            elinewidth=1.1, label=name,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(
        FixedLocator([round(value) for value in x])
    )
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    axes.tick_params(
        labelsize=TEXT, color=INK, labelcolor=INK, length=3
    )
    axes.set_xlabel(label, fontsize=TEXT, color=INK)
    axes.grid(axis="y", color="#e2e2de", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.08, 1.0), ncols=2,
        frameon=False, fontsize=TEXT, handlelength=2.6, borderpad=0.1,
        labelspacing=0.2, columnspacing=1.0, labelcolor=INK,
    )  # fmt: skip
    return axes


def words(
    planes: Mapping[str, np.ndarray],
    lower: Mapping[str, Series],
    upper: Mapping[str, Series],
) -> str:
    """What the figure shows, from the same numbers."""

    def half(plane: np.ndarray) -> str:
        shares = emergence.in_arc(plane)
        return f"{np.median(shares):.0%}"

    fields_ = ", ".join(
        f"{half(plane)} for {name} inputs"
        for name, plane in planes.items()
    )

    def ends(curves: Mapping[str, Series], unit: str, of: str) -> str:
        return "; ".join(
            f"{name} from {np.mean(s[0]):.3g} at {x[0]:.4g}{unit} {of} to "
            f"{np.mean(s[-1]):.3g} at {x[-1]:.4g}{unit}"
            for name, (x, s) in curves.items()
        )

    return (
        "Three panels. 1: the first weights of two trained networks, one row a unit, by the place "
        f"of the largest. The best arc of {emergence.FIELD} of {emergence.RING} places holds, in "
        f"the median unit, of the sum of squares: {fields_}. 2: the distance of two inputs of a "
        f"unit over chance, mean and 95 % t-interval: {ends(lower, ' %', 'of weights left')}. 3: "
        "the largest angle, in degrees, between the space found from the tasks and the "
        f"convolutions: {ends(upper, '', 'tasks')}."
    )


def table(runs: list[results.Run]) -> list[tuple[Any, ...]]:
    """Rows for the table of the section: what, and in the three kinds of runs."""

    def told(sample: Sequence[float], digits: int = 2) -> str:
        mean, half = results.interval(sample)
        return f"{mean:.{digits}f} ± {half:.{digits}f}"

    def of_fields(
        name: str, model: str, inputs: str, when: str, units: int
    ) -> Any:
        found = results.select(
            runs, part="fields", inputs=inputs, model=model, units=units,
            search=False, start=emergence.SMALL if units < 80 else 1.0,
        )  # fmt: skip
        parts = [run["result"][when] for run in found]
        columns = [
            [part[key] for part in parts]
            for key in ("participation", "arc")
        ]
        return name, told(columns[0], 1), told(columns[1])

    return [
        of_fields(
            "tanh, untrained", "tanh", "not Gaussian", "untrained", 40
        ),
        of_fields("tanh, Gaussian", "tanh", "Gaussian", "trained", 40),
        of_fields(
            "tanh, not Gaussian", "tanh", "not Gaussian", "trained", 40
        ),
        of_fields("ReLU, Gaussian", "free", "Gaussian", "trained", 40),
        of_fields(
            "ReLU, not Gaussian", "free", "not Gaussian", "trained", 40
        ),
        of_fields(
            "convolution", "convolution", "not Gaussian", "trained", 80
        ),
    ]
