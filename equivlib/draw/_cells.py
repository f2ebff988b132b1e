"""Cells of a drawn array: squares with a colour and a text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ..convolution.patches import Array
from ..labels import written
from ._style import GRID, INK


def signed(value: object) -> str:
    """Return a number with a minus sign as long as a plus."""
    return written(value).replace("-", "−")


def grid(axes: Axes, shape: tuple[int, ...]) -> Axes:
    """Set axes so that each entry of an array takes a unit square, the first at the top left."""
    axes.set_xlim(0, shape[1])
    axes.set_ylim(shape[0], 0)
    axes.set_axis_off()
    return axes


def cell(
    axes: Axes, at: tuple[float, float], text: str, colour: str, size: float, bold: bool = False
) -> None:
    """Draw one cell, with a thick frame if it is the one that is meant."""
    row, column = at
    axes.add_patch(rectangle(column, row, 1, colour, GRID, 0.6))
    axes.text(
        column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=size,
        weight="bold" if bold else "normal", linespacing=1.1,
    )  # fmt: skip
    if bold:
        axes.add_patch(rectangle(column, row, 1, "none", INK, 2))


def half(axes: Axes, at: tuple[float, float], colour: str) -> None:
    """Fill the lower right half of a cell."""
    row, column = at
    corners = [(column + 1, row), (column + 1, row + 1), (column, row + 1)]
    axes.fill(*zip(*corners, strict=True), facecolor=colour, edgecolor="none", zorder=1.5)


def mark_row(axes: Axes, row: int, columns: int) -> None:
    """Draw a thick frame around a row of cells."""
    axes.add_patch(rectangle(0, row, columns, "none", INK, 2))


def lines(
    draw: Callable[..., object], at: Sequence[float] | Array, end: float, colour: str, width: float
) -> None:
    """Draw lines across a grid, from 0 to ``end``; ``draw`` is ``axes.hlines`` or ``vlines``."""
    draw(at, 0, end, colors=colour, linewidth=width, zorder=3, clip_on=False)


def rectangle(x: float, y: float, width: float, face: str, edge: str, line: float) -> Rectangle:
    """Return a rectangle of height 1; one that is a frame alone lies over the filled ones."""
    return Rectangle(
        (x, y), width, 1, facecolor=face, edgecolor=edge, linewidth=line, clip_on=False,
        zorder=2 if face == "none" else 1,
    )  # fmt: skip
