"""Matrices with the number of weights in each column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from ..convolution.geometry import Geometry
from ..convolution.options import GeometryOptions
from ._cells import grid
from ._entries import (
    LARGEST,
    ROOM,
    entries_of,
    matrix_cells,
    require_one_channel,
    rows_in_words,
    weight_labels,
)
from ._style import HEAD, TEXT, WIDTH, Drawing, axes_at, figure_of, house_style


def column_counts(
    cases: Mapping[str, tuple[Sequence[int], Sequence[int], GeometryOptions]], *, names: str = "k"
) -> Drawing:
    """Draw matrices one below the other, and under each column how many weights it holds.

    So often does the transposed convolution write the place of that column.

    Parameters
    ----------
    cases : mapping of str to (weight_shape, input_shape, options)
        Title and geometry of each matrix, as in :class:`~equivlib.Geometry`; one channel in and
        out.
    names : str
        Letter of the weights.

    Returns
    -------
    Drawing

    Raises
    ------
    ValueError
        If there is no case, more than one channel, or more than two spatial axes.

    Examples
    --------
    >>> cases = {"n = 5": ((1, 1, 3), (1, 5), {"stride": 2})}
    >>> column_counts(cases)  # doctest: +NORMALIZE_WHITESPACE
    Matrices row by row, a dot for an empty entry, and the weights in each column: n = 5:
    k0 k1 k2 . . | . . k0 k1 k2, weights 1 1 2 1 1.
    """
    if not cases:
        raise ValueError("cases (={}) must hold at least one title with its geometry")
    geometries = {
        name: Geometry(tuple(weight_shape), tuple(input_shape), **options)
        for name, (weight_shape, input_shape, options) in cases.items()
    }
    for geometry in geometries.values():
        require_one_channel(geometry)
    with house_style():
        figure = _counts_figure(geometries, names)
    told = (
        f"{name}: {rows_in_words(g, weight_labels(g, names))}, weights "
        f"{' '.join(map(str, _counts(g)))}"
        for name, g in geometries.items()
    )
    alt = "Matrices row by row, a dot for an empty entry, and the weights in each column: "
    return Drawing(figure, f"{alt}{'; '.join(told)}.")


def _counts(geometry: Geometry) -> list[int]:
    """Return how many weights each column of W holds; where two are added, both count."""
    found = np.bincount(entries_of(geometry).columns, minlength=geometry.matrix_shape[1])
    return [int(count) for count in found]


def _counts_figure(geometries: Mapping[str, Geometry], names: str) -> Figure:
    widest = max(g.matrix_shape[1] for g in geometries.values())
    unit = min(LARGEST, WIDTH / (widest + 0.6))
    below = 0.26
    heights = [ROOM + g.matrix_shape[0] * unit + below for g in geometries.values()]
    figure = figure_of(sum(heights) + 0.06)
    top = 0.0
    for (name, geometry), height in zip(geometries.items(), heights, strict=True):
        rows, columns = geometry.matrix_shape
        left = (WIDTH - widest * unit) / 2
        drawn = axes_at(figure, left, top + ROOM, columns * unit, rows * unit)
        grid(drawn, (rows, columns)).set_title(name)
        matrix_cells(drawn, geometry, weight_labels(geometry, names), TEXT)
        for j, count in enumerate(_counts(geometry)):
            drawn.text(
                j + 0.5, rows + 0.12 / unit, f"{count}", ha="center", va="center", fontsize=HEAD,
                weight="bold",
            )  # fmt: skip
        top += height
    return figure
