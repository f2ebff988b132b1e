"""The matrix beside its transpose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..convolution.geometry import Geometry
from ..convolution.options import GeometryOptions, check_names, lists_options
from ._cells import cell, grid
from ._entries import (
    LARGEST,
    ROOM,
    entries_of,
    matrix_cells,
    require_one_channel,
    rows_in_words,
    summed,
    tap_colour,
    weight_labels,
)
from ._style import EMPTY, INK, TEXT, WIDTH, Drawing, axes_at, figure_of, house_style


@lists_options
def transpose(
    weight_shape: Sequence[int],
    input_shape: Sequence[int],
    *,
    column: int,
    names: str = "k",
    **options: Unpack[GeometryOptions],
) -> Drawing:
    """Draw W beside its transpose, with one column of W marked that is a row of the other.

    Parameters
    ----------
    weight_shape, input_shape : tuple of int
        As in :class:`~equivlib.Geometry`; one channel in and out.
    column : int
        The input position, counted row-major, whose column is marked.
    names : str
        Letter of the weights.
    **options : GeometryOptions

    Returns
    -------
    Drawing

    Raises
    ------
    ValueError
        If there is more than one channel or more than two spatial axes, or no such column.

    Examples
    --------
    >>> transpose((1, 1, 2), (1, 3), column=1)  # doctest: +NORMALIZE_WHITESPACE
    The matrix W, row by row, a dot for an empty entry: k0 k1 . | . k0 k1. Its transpose:
    k0 . | k1 k0 | . k1. Column 1 of W is marked, and row 1 of the transpose: k1 k0.
    """
    check_names(options, "transpose", ("names",))
    geometry = Geometry(tuple(weight_shape), tuple(input_shape), **options)
    require_one_channel(geometry)
    columns = geometry.matrix_shape[1]
    if not 0 <= column < columns:
        raise ValueError(f"column (={column}) must be a position from 0 to {columns - 1}")
    labels = weight_labels(geometry, names)
    with house_style():
        figure = _transpose_figure(geometry, column, labels)
    words = rows_in_words(geometry, labels)
    turned = [" ".join(line) for line in zip(*map(str.split, words.split(" | ")), strict=True)]
    alt = (
        f"The matrix W, row by row, a dot for an empty entry: {words}. Its transpose: "
        f"{' | '.join(turned)}. Column {column} of W is marked, and row {column} of the transpose: "
        f"{turned[column]}."
    )
    return Drawing(figure, alt)


def _transpose_figure(geometry: Geometry, column: int, labels: list[str]) -> Figure:
    rows, columns = geometry.matrix_shape
    unit = min(LARGEST, WIDTH / (rows + columns + 2.4))
    height = ROOM + max(rows, columns) * unit + 0.08
    figure = figure_of(height)
    gap = (WIDTH - (rows + columns) * unit) / 3
    found = summed(entries_of(geometry))
    drawn = axes_at(figure, gap, ROOM, columns * unit, rows * unit)
    grid(drawn, (rows, columns)).set_title("W")
    matrix_cells(drawn, geometry, labels, TEXT)
    _frame(drawn, (0, column), (rows, 1))
    drawn = axes_at(figure, 2 * gap + columns * unit, ROOM, rows * unit, columns * unit)
    grid(drawn, (columns, rows)).set_title("Wᵀ")
    for j, i in np.ndindex(columns, rows):
        weights = found.get((i, j), [])
        text = "\n+".join(labels[t] for t in weights)
        cell(drawn, (j, i), text, tap_colour(weights[0]) if weights else EMPTY, TEXT)
    _frame(drawn, (column, 0), (1, rows))
    return figure


def _frame(axes: Axes, at: tuple[int, int], size: tuple[int, int]) -> None:
    """Draw a thick frame around a block of cells."""
    (row, column), (height, width) = at, size
    axes.add_patch(
        Rectangle(
            (column, row), width, height, facecolor="none", edgecolor=INK, linewidth=2,
            clip_on=False, zorder=3,
        )
    )  # fmt: skip
