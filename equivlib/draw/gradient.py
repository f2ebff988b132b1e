"""How a gradient goes back through the matrix of one channel: summed, and transposed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from ..convolution.geometry import Geometry
from ..convolution.options import GeometryOptions, check_names, lists_options
from ..convolution.patches import Array, as_array
from ..labels import written
from .cells import cell, grid
from .entries import entries_of, matrix_cells, rows_in_words, summed, tap_colour, weight_labels
from .matrix import require_one_channel
from .style import EMPTY, INK, PAPER, TEXT, WIDTH, Drawing, axes_at, house_style, title

LARGEST = 0.42  # inches, the side of a cell
ROOM = 0.34  # inches, for the title of a panel


@lists_options
def shared_gradient(
    weight_shape: Sequence[int],
    x: ArrayLike,
    g: ArrayLike,
    *,
    names: str = "k",
    **options: Unpack[GeometryOptions],
) -> Drawing:
    r"""The gradient of a free matrix, :math:`g\, x^{\mathsf T}`, and its sum for each weight.

    Parameters
    ----------
    weight_shape : tuple of int
        As in :class:`~equivlib.Geometry`; one channel in and out.
    x : array_like, shape ``(1, *spatial)``
        The input.
    g : array_like, shape ``(1, *output)``
        The gradient with respect to the output.
    names : str
        Letter of the weights.
    **options : GeometryOptions

    Returns
    -------
    Drawing

    Raises
    ------
    ValueError
        If there is more than one channel or more than two spatial axes, or g has another shape
        than the output.

    Examples
    --------
    >>> shared_gradient((1, 1, 2), [[3, 1, 4]], [[1, 2]])  # doctest: +NORMALIZE_WHITESPACE
    The products g[i] x[j], row by row, those at the places of a weight with its name:
    3 (k0) 1 (k1) 4 | 6 2 (k0) 8 (k1). The sum over the places of k0: 3 + 2 = 5; of k1: 1 + 8 = 9.
    """
    check_names(options, "shared_gradient", ("names",))
    x, g = as_array("x", x), as_array("g", g)
    geometry = Geometry(tuple(weight_shape), x.shape, **options)
    require_one_channel(geometry)
    if g.shape != geometry.output_shape:
        raise ValueError(
            f"g (of shape {g.shape}) must have the shape of the output, {geometry.output_shape}"
        )
    products, labels = np.outer(g, x), weight_labels(geometry, names)
    places = summed(entries_of(geometry))
    sums = _sums(products, places, labels)
    with house_style():
        figure = _shared_figure(products, (x.ravel(), g.ravel()), places, labels, sums)
    rows = " | ".join(
        " ".join(_named(products[i, j], places.get((i, j), []), labels) for j in range(x.size))
        for i in range(g.size)
    )
    told = "; of ".join(sums)
    alt = (
        "The products g[i] x[j], row by row, those at the places of a weight with its name: "
        f"{rows}. The sum over the places of {told}."
    )
    return Drawing(figure, alt)


@lists_options
def transpose(
    weight_shape: Sequence[int],
    input_shape: Sequence[int],
    *,
    column: int,
    names: str = "k",
    **options: Unpack[GeometryOptions],
) -> Drawing:
    """The matrix W beside its transpose, with one column of W marked that is a row of the other.

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


def column_counts(
    cases: Mapping[str, tuple[Sequence[int], Sequence[int], GeometryOptions]], *, names: str = "k"
) -> Drawing:
    """Matrices one below the other, and under each column how many weights it holds.

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
    """How many weights each column of W holds; where two are added, both count."""
    found = np.bincount(entries_of(geometry).columns, minlength=geometry.matrix_shape[1])
    return [int(count) for count in found]


def _named(value: object, weights: list[int], labels: list[str]) -> str:
    named = "+".join(labels[t] for t in weights)
    return f"{written(value)} ({named})" if named else written(value)


def _sums(
    products: Array, places: Mapping[tuple[int, int], list[int]], labels: list[str]
) -> list[str]:
    """For each weight its terms and their sum, written as people do."""
    found = []
    for t, label in enumerate(labels):
        terms = [products[at] for at, weights in sorted(places.items()) for w in weights if w == t]
        text = written(terms[0]) if terms else "0"
        for term in terms[1:]:
            text += f" {'−' if term < 0 else '+'} {written(abs(term))}"
        total = written(sum(terms))
        found.append(f"{label}: {text} = {total}" if len(terms) > 1 else f"{label}: {total}")
    return found


def _shared_figure(
    products: Array,
    factors: tuple[Array, Array],
    places: Mapping[tuple[int, int], list[int]],
    labels: list[str],
    sums: list[str],
) -> Figure:
    """The row of x above, the column of g to the left, the products, and the sums below."""
    (rows, columns), (x, g) = products.shape, factors
    unit = min(LARGEST, WIDTH / (columns + 3))
    gap, line = 0.16, 0.22
    height = ROOM + (rows + 1) * unit + gap + 0.1 + line * (len(sums) + 0.3)
    figure = Figure(figsize=(WIDTH, height), layout=None)
    left = (WIDTH - (columns + 1) * unit - gap) / 2 + unit + gap
    drawn = axes_at(figure, left, ROOM, columns * unit, unit)
    title(grid(drawn, (1, columns)), "input x")
    for j, value in enumerate(x):
        cell(drawn, (0, j), written(value), PAPER, TEXT)
    top = ROOM + unit + gap
    drawn = grid(axes_at(figure, left - unit - gap, top, unit, rows * unit), (rows, 1))
    drawn.text(-0.3, rows / 2, "g", ha="right", va="center", fontsize=9, color=INK)
    for i, value in enumerate(g):
        cell(drawn, (i, 0), written(value), PAPER, TEXT)
    drawn = grid(axes_at(figure, left, top, columns * unit, rows * unit), (rows, columns))
    for at in np.ndindex(*products.shape):
        weights = places.get(at, [])
        named = "+".join(labels[t] for t in weights)
        colour = tap_colour(weights[0]) if weights else EMPTY
        text = f"{named}\n{written(products[at])}" if weights else written(products[at])
        cell(drawn, at, text, colour, TEXT)
    for number, text in enumerate(sums):
        at = height - line * (len(sums) - number)
        figure.text(0.5, 1 - at / height, text, ha="center", va="center", fontsize=9, color=INK)
    return figure


def _transpose_figure(geometry: Geometry, column: int, labels: list[str]) -> Figure:
    rows, columns = geometry.matrix_shape
    unit = min(LARGEST, WIDTH / (rows + columns + 2.4))
    height = ROOM + max(rows, columns) * unit + 0.08
    figure = Figure(figsize=(WIDTH, height), layout=None)
    gap = (WIDTH - (rows + columns) * unit) / 3
    found = summed(entries_of(geometry))
    drawn = axes_at(figure, gap, ROOM, columns * unit, rows * unit)
    title(grid(drawn, (rows, columns)), "W")
    matrix_cells(drawn, geometry, labels, TEXT)
    _frame(drawn, (0, column), (rows, 1))
    drawn = axes_at(figure, 2 * gap + columns * unit, ROOM, rows * unit, columns * unit)
    title(grid(drawn, (columns, rows)), "Wᵀ")
    for j, i in np.ndindex(columns, rows):
        weights = found.get((i, j), [])
        text = "\n+".join(labels[t] for t in weights)
        cell(drawn, (j, i), text, tap_colour(weights[0]) if weights else EMPTY, TEXT)
    _frame(drawn, (column, 0), (1, rows))
    return figure


def _counts_figure(geometries: Mapping[str, Geometry], names: str) -> Figure:
    widest = max(g.matrix_shape[1] for g in geometries.values())
    unit = min(LARGEST, WIDTH / (widest + 0.6))
    below = 0.26
    heights = [ROOM + g.matrix_shape[0] * unit + below for g in geometries.values()]
    figure = Figure(figsize=(WIDTH, sum(heights) + 0.06), layout=None)
    top = 0.0
    for (name, geometry), height in zip(geometries.items(), heights, strict=True):
        rows, columns = geometry.matrix_shape
        left = (WIDTH - widest * unit) / 2
        drawn = axes_at(figure, left, top + ROOM, columns * unit, rows * unit)
        title(grid(drawn, (rows, columns)), name)
        matrix_cells(drawn, geometry, weight_labels(geometry, names), TEXT)
        for j, count in enumerate(_counts(geometry)):
            drawn.text(
                j + 0.5, rows + 0.12 / unit, f"{count}", ha="center", va="center", fontsize=9,
                weight="bold", color=INK,
            )  # fmt: skip
        top += height
    return figure


def _frame(axes: Axes, at: tuple[int, int], size: tuple[int, int]) -> None:
    """A thick frame around a block of cells."""
    (row, column), (height, width) = at, size
    axes.add_patch(
        Rectangle(
            (column, row), width, height, facecolor="none", edgecolor=INK, linewidth=2,
            clip_on=False, zorder=3,
        )
    )  # fmt: skip
