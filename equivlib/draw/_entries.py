"""Where each weight stands in the matrix, and how it is called: what the figures of W read."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from ..convolution.axis import PADDING, Index
from ..convolution.geometry import Geometry
from ..convolution.patches import positions
from ..convolution.pattern import pattern
from ..labels import TAP_COLOURS, labels
from ._cells import cell, half
from ._style import EMPTY, PAPER, TEXT

LARGEST = 0.42  # inches of the side of a cell at most
ROOM = 0.34  # inches for the title of a matrix


class Entries(NamedTuple):
    """The summands of the entries of W, one for each pair of an output and a weight it uses."""

    rows: Index
    columns: Index
    #: Flat index into the weight.
    weights: Index


def entries_of(geometry: Geometry) -> Entries:
    """Return all summands, those of one entry in the order of their taps; nothing dense is made."""
    table = pattern(geometry)
    outputs, taps = np.nonzero(table != PADDING)
    elements = table[outputs, taps]
    out_channels, per_group = geometry.weight_shape[:2]
    u, c = (axis.reshape(-1, 1) for axis in np.indices((out_channels, per_group)))
    first = u // (out_channels // geometry.groups) * per_group
    rows = u * positions(geometry) + outputs
    columns = (first + c) * int(np.prod(geometry.spatial_shape)) + elements
    weights = (u * per_group + c) * table.shape[1] + taps
    return Entries(rows.ravel(), columns.ravel(), weights.ravel())


def summed(entries: Entries) -> dict[tuple[int, int], list[int]]:
    """Return, for each entry of W that is not empty, the weights that are summed in it."""
    found: dict[tuple[int, int], list[int]] = {}
    for row, column, weight in zip(*(part.tolist() for part in entries), strict=True):
        found.setdefault((row, column), []).append(weight)
    return found


def weight_labels(geometry: Geometry, names: str) -> list[str]:
    """Return a name for each weight: its letter with its index along every axis longer than 1."""
    return labels(names, geometry.weight_shape)


def rows_in_words(geometry: Geometry, named: list[str]) -> str:
    """Return the matrix spelled out: a dot for an empty entry, a bar between rows."""
    found = summed(entries_of(geometry))
    rows, columns = geometry.matrix_shape

    def entry(at: tuple[int, int]) -> str:
        return "+".join(named[t] for t in found[at]) if at in found else "."

    return " | ".join(" ".join(entry((i, j)) for j in range(columns)) for i in range(rows))


def tap_colour(weight: int | None) -> str:
    """Return the colour of a labelled weight; after nine they begin again."""
    return PAPER if weight is None else TAP_COLOURS[weight % len(TAP_COLOURS)]


def matrix_cells(axes: Axes, geometry: Geometry, named: list[str], size: float) -> None:
    """Draw W with every entry as a labelled cell."""
    found = summed(entries_of(geometry))
    for row, column in np.ndindex(*geometry.matrix_shape):
        weights = found.get((row, column), [])
        colour = tap_colour(weights[0]) if weights else EMPTY
        cell(axes, (row, column), "\n+".join(named[t] for t in weights), colour, size)
        if len(set(weights)) > 1:  # a second weight takes half of the cell
            half(axes, (row, column), tap_colour(weights[1]))


def require_one_channel(geometry: Geometry) -> None:
    """Refuse what cannot be drawn entry by entry."""
    if geometry.weight_shape[:2] != (1, 1) or geometry.ndim > 2:
        raise ValueError(
            f"weight_shape (={geometry.weight_shape}) must be (1, 1, *kernel) with one or two "
            "spatial axes to be drawn"
        )


def text_size(unit: float, most: float) -> float:
    """Return the points of text in cells of so many inches: readable as far as it fits."""
    return min(most, max(unit * 31, TEXT if unit > 0.2 else 0))
