"""Axes with curves that are told apart without colour, and a key above them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)

from ..convolution.patches import Array
from ._series import Curve
from ._style import (
    HEAD,
    INK,
    LINES,
    MARKED,
    TEXT,
    WIDTH,
    Line,
    axes_at,
    figure_of,
    halo,
    text_width,
)

TALL = 2.06  # inches of the axes
LEFT, RIGHT, BOTTOM = 0.58, 0.14, 0.5  # inches around the axes
EDGE, LINE = 0.08, 0.16  # inches above all text, and of a line of it
KEY = 0.5  # inches of a sample in the key and the space around it


def plot(
    curves: Mapping[str, Curve],
    labels: tuple[str, str],
    log: tuple[bool, bool],
    limits: tuple[tuple[float, float], tuple[float, float]] | None = None,
    note: str = "",
) -> Figure:
    """Draw all curves in one pair of axes, x and y each linear or logarithmic.

    Above them, from top to bottom: what y is, a note on what is the same for all, the key.
    """
    head = [*fitted(on_scale(labels[1], log[1]), HEAD), *(fitted(note, TEXT) if note else [])]
    across = max(1, int((WIDTH - 2 * EDGE) / (KEY + max(map(text_width, curves)))))
    top = EDGE + LINE * (len(head) + math.ceil(len(curves) / across)) + 0.1
    figure = figure_of(top + TALL + BOTTOM)
    axes = axes_at(figure, LEFT, top, WIDTH - LEFT - RIGHT, TALL)
    floor = min(curve.y.min() for curve in curves.values()) / 3 if log[1] else -np.inf
    for place, (line, curve) in enumerate(zip(LINES, curves.values(), strict=False)):
        _draw(axes, curve, line, place, floor)
    axes.set_xscale("log" if log[0] else "linear")
    axes.set_yscale("log" if log[1] else "linear")
    axes.margins(0.03)
    if limits:
        axes.set(xlim=limits[0], ylim=limits[1])
    _dress_scales(axes, on_scale(labels[0], log[0]), log)
    write_head(figure, head, len(fitted(note, TEXT)) if note else 0)
    write_key(figure, list(curves), across, EDGE + LINE * len(head), samples=True)
    return figure


def on_scale(label: str, log: bool) -> str:
    """Return the label of an axis, which says so if the axis is logarithmic."""
    return f"{label} (log scale)" if log else label


def fitted(text: str, size: float) -> list[str]:
    """Return a text in lines as wide as the figure at most."""
    letters = len(text)
    while letters > 8 and any(
        text_width(line, size) > WIDTH - 2 * EDGE for line in textwrap.wrap(text, letters)
    ):
        letters -= 1
    return textwrap.wrap(text, letters)


def write_head(figure: Figure, lines: Sequence[str], notes: int) -> None:
    """Write lines from the top left corner on; the last ones are notes, and smaller."""
    height = figure.get_figheight()
    for place, line in enumerate(lines):
        size = TEXT if place >= len(lines) - notes else HEAD
        y = 1 - (EDGE + place * LINE) / height
        figure.text(EDGE / WIDTH, y, line, fontsize=size, va="top")


def write_key(figure: Figure, names: Sequence[str], across: int, top: float, samples: bool) -> None:
    """Draw the key in rows above the axes, where none of its signs is taken for a point."""
    handles = [
        Line2D(
            [], [], color=line.colour, marker=line.marker, markersize=5.5, linewidth=1.5,
            linestyle=line.dash if samples else "none", **MARKED,
        )
        for line, _ in zip(LINES, names, strict=False)
    ]  # fmt: skip
    figure.legend(
        handles, list(names), loc="upper left", ncols=across,
        bbox_to_anchor=(EDGE, figure.get_figheight() - top),
        bbox_transform=figure.dpi_scale_trans, handlelength=2.6 if samples else 1,
        handletextpad=0.4, columnspacing=1.0, borderaxespad=0, borderpad=0.1, labelspacing=0.25,
    )  # fmt: skip


def _draw(axes: Axes, curve: Curve, line: Line, place: int, floor: float) -> None:
    """Draw a line with markers, its interval as a band, with bars at the points if they are few.

    If the runs are drawn, they take the place of the band.
    """
    few = len(curve.x) <= 12
    low, high = np.maximum(curve.y - curve.spread, floor), curve.y + curve.spread
    axes.plot(
        curve.x, curve.y, color=line.colour, linestyle=line.dash, marker=line.marker, markersize=5,
        linewidth=1.5, zorder=3, markevery=1 if few else (0.025 * place, 0.15), **MARKED,
    )  # fmt: skip
    if curve.runs is not None:
        _bars(axes, curve, line, low, high)
        axes.plot(
            np.broadcast_to(curve.x, curve.runs.shape).ravel(), curve.runs.ravel(),
            linestyle="none", marker=line.marker, markersize=3, markeredgewidth=0,
            color=line.colour, alpha=0.45, zorder=2,
        )  # fmt: skip
    elif curve.spread.any():
        axes.fill_between(curve.x, low, high, color=line.colour, alpha=0.18, linewidth=0)
        if few:
            _bars(axes, curve, line, low, high)
        else:
            for edge in (low, high):
                axes.plot(
                    curve.x, edge, color=line.colour, linestyle=line.dash, linewidth=0.6, alpha=0.7
                )


def _bars(axes: Axes, curve: Curve, line: Line, low: Array, high: Array) -> None:
    """Draw the interval at each point."""
    axes.errorbar(
        curve.x, curve.y, yerr=(curve.y - low, high - curve.y), fmt="none",
        ecolor=line.colour, elinewidth=0.9, capsize=2.5, capthick=0.9,
    )  # fmt: skip


def _dress_scales(axes: Axes, x_label: str, log: tuple[bool, bool]) -> None:
    """Draw ticks, grid and the label of x; that of y is a line above, easier to read."""
    for axis, logarithmic in zip((axes.xaxis, axes.yaxis), log, strict=True):
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())
        if logarithmic:
            mark_log(axis)
        else:
            axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(FuncFormatter(_tick))
    dress(axes, x_label)
    axes.tick_params(length=4)
    axes.tick_params(which="minor", color=INK, length=2, width=0.5)


def dress(axes: Axes, x_label: str) -> None:
    """Draw a faint grid below all else and the label of x; leave out the right and top frame."""
    axes.tick_params(color=INK, length=3)
    axes.set_facecolor("none")
    axes.grid()
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.set_xlabel(x_label)


def mark_log(axis: Axis) -> None:
    """Draw ticks that get closer towards each power of ten, the mark of a logarithmic axis."""
    low, high = sorted(axis.get_view_interval())
    decades = np.log10(high / low)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    axis.set_minor_locator(
        FixedLocator([n * 10.0**power for power in powers for n in range(2, 10)])
    )
    axis.set_minor_formatter(NullFormatter())
    if decades < 0.7:  # hardly a power of ten in it
        axis.set_major_locator(MaxNLocator(4))
    else:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2.2 else (1,), numticks=7))
    axis.set_major_formatter(FuncFormatter(_tick))


def guides(axes: Axes, slopes: Sequence[float]) -> None:
    """Draw dotted lines of given slopes, with names, from a left corner of logarithmic axes.

    A line that rises starts in the lower corner, one that falls in the upper one.
    """
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    for slope in slopes:
        start, end = (low, high) if slope > 0 else (high, low)
        x = min(right, left * (end / start) ** (1 / slope))
        y = start * (x / left) ** slope
        axes.plot(
            [left, x], [start, y], color="#777777", linewidth=1, linestyle=(0, (1, 2)), zorder=1
        )
        axes.annotate(
            f"slope {slope:g}", (x, y), xytext=(-5, -7 if slope > 0 else 7),
            textcoords="offset points", ha="right", va="top" if slope > 0 else "bottom",
            zorder=2, path_effects=halo(),
        )  # fmt: skip
    axes.set_xlim(left, right)
    axes.set_ylim(low, high)


def scales_in_words(log_x: bool, log_y: bool) -> str:
    """Return which axes are logarithmic, if any."""
    if log_x and log_y:
        return ", both axes logarithmic"
    return f", {'x' if log_x else 'y'} axis logarithmic" if log_x or log_y else ""


def guides_in_words(slopes: Sequence[float]) -> str:
    """Return the slopes of the guide lines, if there are any."""
    told = " and ".join(f"{slope:g}" for slope in slopes)
    return f", guide lines of slope {told}" if slopes else ""


def _tick(value: float, _: int | None = None) -> str:
    return f"{value:g}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
