"""The matrix of a convolution with one channel, drawn in labelled cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..convolution.axis import PADDING
from ..convolution.functional import conv
from ..convolution.geometry import Geometry
from ..convolution.options import GeometryOptions, check_names, lists_options
from ..convolution.patches import Array, as_array
from ..convolution.pattern import pattern
from ..labels import written
from .cells import cell, grid, mark_row
from .entries import matrix_cells, rows_in_words, tap_colour, weight_labels
from .style import (
    EMPTY,
    PAPER,
    TEXT,
    WIDTH,
    Drawing,
    as_plane,
    axes_at,
    check_across,
    house_style,
    size_in_words,
    title,
)

TWO_LINES = 1.35  # how much larger a cell is that holds a label and a number


@lists_options
def layer(
    weight: ArrayLike,
    x: ArrayLike,
    *,
    output: int = 0,
    names: str = "k",
    **options: Unpack[GeometryOptions],
) -> Drawing:
    """One layer twice: the kernel on its patch, and the row of the matrix that does the same.

    Parameters
    ----------
    weight : array_like, shape ``(1, 1, *kernel)``
        One or two spatial axes, one channel in and out.
    x : array_like, shape ``(1, *spatial)``
    output : int, default 0
        The output position, counted row-major, whose patch and row are marked.
    names : str
        Letter of the weights.
    **options : GeometryOptions

    Returns
    -------
    Drawing

    Raises
    ------
    ValueError
        If there is more than one channel or more than two spatial axes, or no such output.

    Examples
    --------
    >>> layer([[[1, -2]]], [[3, 1, 4]], output=1)  # doctest: +NORMALIZE_WHITESPACE
    Input of 1 × 3, kernel of 1 × 2, output of 1 × 2, and the matrix W of 2 rows and 3 columns with
    4 entries that are not empty. Output 1 is marked: it reads k0 on x[1], k1 on x[2], and row 1 of
    W holds the same weights in the same columns; its value is -7.
    """
    check_names(options, "layer", ("output", "names"))
    x, weight = as_array("x", x), as_array("weight", weight)
    geometry = Geometry(weight.shape, x.shape, **options)
    require_one_channel(geometry)
    y = conv(x, weight, **options)[0]
    if not 0 <= output < y.size:
        raise ValueError(f"output (={output}) must be a position from 0 to {y.size - 1}")
    labels = weight_labels(geometry, names)
    taps = {int(j): t for t, j in enumerate(pattern(geometry)[output]) if j != PADDING}
    planes = as_plane(x[0]), as_plane(weight[0, 0]), as_plane(y)
    with house_style():
        figure = _layer_figure(geometry, planes, labels, taps, output, names)
    used = ", ".join(f"{labels[t]} on x[{j}]" for j, t in sorted(taps.items()))
    image, kernel, result = (size_in_words(plane) for plane in planes)
    rows, columns = geometry.matrix_shape
    alt = (
        f"Input of {image}, kernel of {kernel}, output of {result}, and the matrix W of {rows} "
        f"rows and {columns} columns with {geometry.nnz} entries that are not empty. Output "
        f"{output} is marked: it reads {used}, and row {output} of W holds the same weights in "
        f"the same columns; its value is {written(y.flat[output])}."
    )
    return Drawing(figure, alt)


def matrices(
    cases: Mapping[str, GeometryOptions],
    weight_shape: Sequence[int],
    input_shape: Sequence[int],
    *,
    names: str = "k",
    across: int = 2,
) -> Drawing:
    """The matrices of one kernel under several options, side by side, equal weights alike.

    Parameters
    ----------
    cases : mapping of str to mapping
        Title and geometry options of each matrix.
    weight_shape, input_shape : tuple of int
        As in :class:`~equivlib.Geometry`; one channel in and out.
    names : str
        Letter of the weights.
    across : int, default 2
        Matrices in a row of the figure.

    Returns
    -------
    Drawing

    Raises
    ------
    ValueError
        If there is no case, more than one channel, or more than two spatial axes.

    See Also
    --------
    structure : one matrix of any number of channels, axes and rows.

    Examples
    --------
    >>> cases = {"valid": {}, "stride 2": {"stride": 2}}
    >>> matrices(cases, (1, 1, 2), (1, 4))  # doctest: +NORMALIZE_WHITESPACE
    Matrices of the same kernel, row by row, a dot for an empty entry:
    valid: k0 k1 . . | . k0 k1 . | . . k0 k1; stride 2: k0 k1 . . | . . k0 k1.
    """
    if not cases:
        raise ValueError("cases (={}) must hold at least one title with its options")
    check_across(across)
    geometries = {
        title: Geometry(tuple(weight_shape), tuple(input_shape), **options)
        for title, options in cases.items()
    }
    for geometry in geometries.values():
        require_one_channel(geometry)
    labels = weight_labels(geometry, names)
    with house_style():
        figure = _matrices_figure(geometries, labels, across)
    told = (f"{name}: {rows_in_words(g, labels)}" for name, g in geometries.items())
    alt = f"Matrices of the same kernel, row by row, a dot for an empty entry: {'; '.join(told)}."
    return Drawing(figure, alt)


def _layer_figure(
    geometry: Geometry,
    planes: tuple[Array, Array, Array],
    labels: list[str],
    taps: dict[int, int],
    output: int,
    names: str,
) -> Figure:
    """Input, kernel and output in a row, W below."""
    image, kernel, result = planes
    rows, columns = geometry.matrix_shape
    widths = [image.shape[1], kernel.shape[1] * TWO_LINES, result.shape[1]]
    tallest = max(image.shape[0], kernel.shape[0] * TWO_LINES, result.shape[0])
    heights = [tallest + 0.7, rows]
    unit = WIDTH / max(sum(widths) + 3.4, columns + 1.2)
    figure = Figure(figsize=(WIDTH, unit * sum(heights) + 0.75), layout=None)

    def place(left: float, top: float, shape: tuple[int, ...], text: str, scale: float = 1) -> Axes:
        side = unit * scale
        size = shape[1] * side, shape[0] * side
        drawn = axes_at(figure, left * unit, 0.3 + top * unit, *size)
        title(grid(drawn, shape), text)
        return drawn

    gap = (WIDTH / unit - sum(widths)) / 4
    lefts = np.cumsum([gap, *(w + gap for w in widths[:2])])
    size = _text_size(unit, 9.5)
    drawn = place(lefts[0], 0, image.shape, "input x")
    for j, value in enumerate(image.flat):
        cell(drawn, divmod(j, widths[0]), written(value), tap_colour(taps.get(j)), size)
    drawn = place(lefts[1], 0, kernel.shape, f"kernel {names}", TWO_LINES)
    for t, value in enumerate(kernel.flat):
        text = f"{labels[t]}\n{written(value)}"
        cell(drawn, divmod(t, kernel.shape[1]), text, tap_colour(t), _text_size(unit, 8.5))
    drawn = place(lefts[2], 0, result.shape, "output y")
    for o, value in enumerate(result.flat):
        colour = PAPER if o == output else EMPTY
        cell(drawn, divmod(o, widths[2]), written(value), colour, size, bold=o == output)
    shape = geometry.matrix_shape
    text = f"the same as one matrix W, {rows} × {columns}"
    drawn = place((WIDTH / unit - columns) / 2, heights[0] + 0.3 / unit, shape, text)
    matrix_cells(drawn, geometry, labels, _text_size(unit, 8.5))
    mark_row(drawn, output, columns)
    return figure


def _matrices_figure(geometries: Mapping[str, Geometry], labels: list[str], across: int) -> Figure:
    columns = max(g.matrix_shape[1] for g in geometries.values())
    each = list(geometries.items())
    lines = [each[i : i + across] for i in range(0, len(each), across)]
    unit = WIDTH / (across * (columns + 0.9) + 0.3)
    heights = [max(g.matrix_shape[0] for _, g in line) for line in lines]
    figure = Figure(figsize=(WIDTH, sum(h * unit + 0.42 for h in heights) + 0.1), layout=None)
    total, top = figure.get_figheight(), 0.0
    for line, height in zip(lines, heights, strict=True):
        top += 0.34
        for place, (name, geometry) in enumerate(line):
            shape = geometry.matrix_shape
            left = (0.6 + place * (columns + 0.9)) * unit
            box = (left / WIDTH, 1 - (top + shape[0] * unit) / total)
            drawn = figure.add_axes((*box, shape[1] * unit / WIDTH, shape[0] * unit / total))
            title(grid(drawn, shape), name)
            matrix_cells(drawn, geometry, labels, _text_size(unit, 8.5))
        top += height * unit + 0.08
    return figure


def _text_size(unit: float, most: float) -> float:
    """Points of the text in cells of so many inches: readable as long as the cells can hold it."""
    return min(most, max(unit * 31, TEXT if unit > 0.2 else 0))


def require_one_channel(geometry: Geometry) -> None:
    """Refuse what cannot be drawn entry by entry."""
    if geometry.weight_shape[:2] != (1, 1) or geometry.ndim > 2:
        raise ValueError(
            f"weight_shape (={geometry.weight_shape}) must be (1, 1, *kernel) with one or two "
            "spatial axes to be drawn"
        )
