"""Tables of labels: equal labels share a colour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..convolution.patches import Array
from ._cells import cell, grid, lines
from ._entries import tap_colour
from ._style import (
    EMPTY,
    INK,
    TEXT,
    WIDTH,
    Drawing,
    axes_at,
    check_across,
    figure_of,
    house_style,
    text_width,
)

TOP, GAP, EDGE = 0.26, 0.14, 0.1  # inches above a table, between two of them, around all
LARGEST = 0.42  # inches: the side of a cell at most
Names = tuple[str, str]
#: What a missing entry may be; a number 0 is empty too, as an entry of a matrix.
NOTHING = ("", "0", "0.0")


#: What both of a pair are.
Kind = TypeVar("Kind")


def grids(
    tables: Mapping[str, ArrayLike],
    *,
    across: int = 2,
    blocks: Sequence[int] = (0, 0),
    names: Sequence[str] = ("", ""),
) -> Drawing:
    """Draw tables of labels side by side; equal labels have one colour, in all of them.

    Parameters
    ----------
    tables : mapping of str to array_like, shape ``(rows, columns)`` or ``(columns,)``
        Title and entries of each table: texts, numbers or symbols. An empty text and 0 are empty
        cells.
    across : int, default 2
        Tables in a row of the figure.
    blocks : pair of int
        A thick line after so many rows, and after so many columns; 0 for none.
    names : pair of str
        What a row and a column is, such as ``("out", "in")``; each gets a number. None if empty.

    Returns
    -------
    Drawing

    Raises
    ------
    ValueError
        If there is no table, one has more than two axes, ``blocks`` or ``names`` is no pair, or a
        label is too wide for its cell.

    See Also
    --------
    structure : the matrix of a convolution, without building it.

    Examples
    --------
    >>> grids({"by rows": ["a", "b", "a"], "identity": [["1", 0], [0, "1"]]})
    Tables of labels, row by row, a dot for an empty cell: by rows: a b a; identity: 1 . | . 1.
    """
    arrays = {name: _texts(name, table) for name, table in tables.items()}
    if not arrays:
        raise ValueError("tables (={}) must hold at least one title with its labels")
    check_across(across)
    rows, columns = _pair("blocks", blocks, int)
    if min(rows, columns) < 0:
        raise ValueError(f"blocks (={blocks}) must not be negative")
    with house_style():
        figure = _figure(arrays, across, (rows, columns), _pair("names", names, str))
    told = "; ".join(f"{name}: {_in_words(table)}" for name, table in arrays.items())
    return Drawing(figure, f"Tables of labels, row by row, a dot for an empty cell: {told}.")


def _texts(name: str, table: ArrayLike) -> Array:
    """Return the labels of a table as texts, empty where nothing is."""
    array = np.array(table, dtype=object)
    array = array.reshape(1, -1) if array.ndim == 1 else array
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"tables[{name!r}] (of shape {array.shape}) must have one or two axes")
    texts = [["" if str(entry) in NOTHING else str(entry) for entry in row] for row in array]
    return np.array(texts, dtype=object)


def _pair(name: str, values: Iterable[Kind], kind: type[Kind]) -> tuple[Kind, Kind]:
    found = tuple(values)
    if len(found) != 2 or not all(isinstance(value, kind) for value in found):
        raise ValueError(f"{name} (={values!r}) must be a pair of {kind.__name__}")
    return found[0], found[1]


def _in_words(table: Array) -> str:
    return " | ".join(" ".join(text or "." for text in row) for row in table)


def _figure(
    arrays: Mapping[str, Array], across: int, blocks: tuple[int, int], names: Names
) -> Figure:
    """Lay the tables out in rows, all cells of one size."""
    each = list(arrays.values())
    across = min(across, len(each))
    left = _beside(max(table.shape[0] for table in each), names)
    columns = max(table.shape[1] for table in each)
    unit = min((WIDTH - 2 * EDGE - (across - 1) * GAP) / across - left, LARGEST * columns) / columns
    _check_labels(each, unit)
    rows = [list(arrays.items())[i : i + across] for i in range(0, len(each), across)]
    head = TOP + (0.16 if names[1] else 0)
    side = min(unit, max(0.2, unit * 0.75))
    heights = [head + side * max(table.shape[0] for _, table in line) for line in rows]
    figure = figure_of(sum(heights) + GAP * (len(rows) - 1) + EDGE)
    colours = _colours(each)
    slot = (WIDTH - 2 * EDGE + GAP) / across
    top = 0.0
    for line, height in zip(rows, heights, strict=True):
        for place, (name, table) in enumerate(line):
            width = left + table.shape[1] * unit
            at = EDGE + place * slot + (slot - GAP - width) / 2 + left
            size = table.shape[1] * unit, table.shape[0] * side
            axes = grid(axes_at(figure, at, top + head, *size), table.shape)
            axes.set_title(name)
            if names[1]:
                axes.set_title(name, pad=14)
            _table(axes, table, colours)
            _name(axes, table.shape, names)
            _lines(axes, table.shape, blocks)
        top += height + GAP
    return figure


def _beside(rows: int, names: Names) -> float:
    """Return the inches for the names of the rows."""
    return text_width(f"{names[0]} {rows - 1}") + 0.06 if names[0] else 0.0


def _check_labels(each: list[Array], unit: float) -> None:
    labels = sorted({text for table in each for text in table.flat}, key=text_width)
    if text_width(labels[-1]) + 0.02 > unit:
        raise ValueError(
            f"tables hold the label {labels[-1]!r}, too wide for cells of {unit:.2f} inches"
        )


def _colours(each: list[Array]) -> dict[str, str]:
    """Return a colour for each label, in the order of their first cells; none for an empty cell."""
    met = dict.fromkeys(text for table in each for text in table.flat if text)
    return {"": EMPTY} | {text: tap_colour(place) for place, text in enumerate(met)}


def _table(axes: Axes, table: Array, colours: dict[str, str]) -> None:
    for at in np.ndindex(table.shape):
        text = str(table[at])
        cell(axes, at, text, colours[text], TEXT)


def _name(axes: Axes, shape: tuple[int, ...], names: Names) -> None:
    """Write the number of each row and column, with their names."""
    for row in range(shape[0] if names[0] else 0):
        axes.annotate(
            f"{names[0]} {row}", (0, row + 0.5), xytext=(-3, 0), textcoords="offset points",
            ha="right", va="center",
        )  # fmt: skip
    if names[0] and names[1]:
        axes.annotate(
            names[1], (0, 0), xytext=(-3, 2), textcoords="offset points",
            ha="right", va="bottom",
        )  # fmt: skip
    for column in range(shape[1] if names[1] else 0):
        axes.annotate(
            str(column), (column + 0.5, 0), xytext=(0, 2), textcoords="offset points",
            ha="center", va="bottom",
        )  # fmt: skip


def _lines(axes: Axes, shape: tuple[int, ...], blocks: tuple[int, int]) -> None:
    """Draw thick lines around the blocks."""
    rows, columns = shape
    if blocks[0]:
        lines(axes.hlines, [*range(0, rows, blocks[0]), rows], columns, INK, 1.4)
    if blocks[1]:
        lines(axes.vlines, [*range(0, columns, blocks[1]), columns], rows, INK, 1.4)
