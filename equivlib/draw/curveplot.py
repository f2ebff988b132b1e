"""Axes with curves that are told apart without colour, each named at its end."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from scipy.special import stdtrit

from ..patches import Array
from .style import GRID, INK, LINES, TEXT, WIDTH, Line, axes_at, text_width

HEIGHT = 2.9  # inches
LEFT, TOP, BOTTOM = 0.58, 0.34, 0.5  # inches around the axes
LEADER, HANDLE = 0.22, 0.16  # inches from the axes to the handle of a name, and of the handle


class Curve(NamedTuple):
    """What is drawn of one series."""

    x: Array
    y: Array
    #: Half the width of the interval around each y.
    spread: Array


def half_width(runs: Array, interval: float) -> Array:
    """Half of Student's interval for the mean of independent runs, along the first axis."""
    quantile = float(stdtrit(len(runs) - 1, (1 + interval) / 2))
    return np.asarray(quantile * runs.std(axis=0, ddof=1) / math.sqrt(len(runs)))


def plot(
    curves: Mapping[str, Curve],
    labels: tuple[str, str],
    log: tuple[bool, bool],
    limits: tuple[tuple[float, float], tuple[float, float]] | None = None,
) -> Figure:
    """All curves in one pair of axes, x and y each linear or logarithmic, perhaps with limits."""
    names = [textwrap.fill(name, 16) for name in curves]
    right = LEADER + HANDLE + 0.14 + max(map(text_width, names))
    figure = Figure(figsize=(WIDTH, HEIGHT), layout=None)
    axes = axes_at(figure, LEFT, TOP, WIDTH - LEFT - right, HEIGHT - TOP - BOTTOM)
    floor = min(curve.y.min() for curve in curves.values()) / 3 if log[1] else -np.inf
    for place, (line, curve) in enumerate(zip(LINES, curves.values(), strict=False)):
        _draw(axes, curve, line, place, floor)
    axes.set_xscale("log" if log[0] else "linear")
    axes.set_yscale("log" if log[1] else "linear")
    axes.margins(0.03)
    if limits:
        axes.set(xlim=limits[0], ylim=limits[1])
    _dress(axes, labels[0], log)
    figure.text(0.08 / WIDTH, 1 - 0.08 / HEIGHT, labels[1], fontsize=9, color=INK, va="top")
    _name_ends(axes, names, list(curves.values()))
    return figure


def _draw(axes: Axes, curve: Curve, line: Line, place: int, floor: float) -> None:
    """A line with markers; its interval as a band, with bars at the points if they are few."""
    few = len(curve.x) <= 12
    low, high = np.maximum(curve.y - curve.spread, floor), curve.y + curve.spread
    axes.plot(
        curve.x, curve.y, color=line.colour, linestyle=line.dash, marker=line.marker, markersize=5,
        linewidth=1.5, markeredgecolor="white", markeredgewidth=0.5, zorder=3,
        markevery=1 if few else (0.025 * place, 0.15),
    )  # fmt: skip
    if curve.spread.any():
        axes.fill_between(curve.x, low, high, color=line.colour, alpha=0.18, linewidth=0)
        if few:
            axes.errorbar(
                curve.x, curve.y, yerr=(curve.y - low, high - curve.y), fmt="none",
                ecolor=line.colour, elinewidth=0.9, capsize=2.5, capthick=0.9,
            )  # fmt: skip
        else:
            for edge in (low, high):
                axes.plot(
                    curve.x, edge, color=line.colour, linestyle=line.dash, linewidth=0.6, alpha=0.7
                )


def _dress(axes: Axes, x_label: str, log: tuple[bool, bool]) -> None:
    """Ticks, a faint grid and the label of x; that of y is a line above, easier to read."""
    for axis, limits, logarithmic in zip(
        (axes.xaxis, axes.yaxis), (axes.get_xlim(), axes.get_ylim()), log, strict=True
    ):
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())
        if logarithmic:
            short = np.log10(limits[1] / limits[0]) < 2.2
            axis.set_major_locator(LogLocator(subs=(1, 2, 5) if short else (1,), numticks=7))
        else:
            axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(FuncFormatter(_tick))
    axes.tick_params(labelsize=TEXT, color=INK, labelcolor=INK, length=3)
    axes.set_facecolor("none")
    axes.grid(color="#e2e2de", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.set_xlabel(x_label, fontsize=9, color=INK)


def _tick(value: float, _: int | None = None) -> str:
    return f"{value:g}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")


def _name_ends(axes: Axes, names: list[str], curves: list[Curve]) -> None:
    """Each name on the right, at the height of its curve's end or as near as others let it."""
    box = axes.get_position()
    width, height = box.width * WIDTH, box.height * HEIGHT
    ends = [(curve.x[-1], curve.y[-1]) for curve in curves]
    at = axes.transAxes.inverted().transform(axes.transData.transform(ends))
    heights = [0.135 * (name.count("\n") + 1) + 0.05 for name in names]
    moved = spread_out(at[:, 1] * height, np.array(heights), height) / height
    for line, name, start, y in zip(LINES, names, at, moved, strict=False):
        x = 1 + LEADER / width
        axes.plot(
            [start[0], x], [start[1], y], color=GRID, linewidth=0.7, transform=axes.transAxes,
            clip_on=False, zorder=1,
        )  # fmt: skip
        handle = [x, x + HANDLE / 2 / width, x + HANDLE / width]
        axes.plot(
            handle, [y] * 3, color=line.colour, linestyle="-", linewidth=1.5, marker=line.marker,
            markersize=5, markeredgecolor="white", markeredgewidth=0.5, markevery=[1],
            transform=axes.transAxes, clip_on=False, zorder=3,
        )  # fmt: skip
        axes.text(
            x + (HANDLE + 0.05) / width, y, name, fontsize=TEXT, color=INK, va="center",
            transform=axes.transAxes, linespacing=1.1,
        )  # fmt: skip


def spread_out(wanted: Array, sizes: Array, room: float) -> Array:
    """Places near the wanted ones, in the same order, with room for the size of each.

    Examples
    --------
    >>> print(spread_out(np.array([1.0, 1.1, 3.0]), np.array([0.5, 0.5, 0.5]), 4.0))
    [1.  1.5 3. ]
    """
    order = np.argsort(wanted, kind="stable")
    placed = wanted[order].astype(float)
    sizes = sizes[order]
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + (sizes[i] + sizes[i - 1]) / 2)
    placed[-1] = min(placed[-1], max(room, wanted.max()))
    for i in range(len(placed) - 1, 0, -1):
        placed[i - 1] = min(placed[i - 1], placed[i] - (sizes[i] + sizes[i - 1]) / 2)
    result = np.empty(len(placed))
    result[order] = placed
    return result
