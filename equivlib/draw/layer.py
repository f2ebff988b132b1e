"""One layer with one channel: the kernel on its patch, and the row of the matrix."""

from __future__ import annotations

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
from ._cells import cell, grid, mark_row
from ._entries import matrix_cells, require_one_channel, tap_colour, text_size, weight_labels
from ._style import (
    EMPTY,
    PAPER,
    WIDTH,
    Drawing,
    as_plane,
    axes_at,
    figure_of,
    house_style,
    size_in_words,
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
    """Draw one layer twice: the kernel on its patch, and the row of the matrix that does it.

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


def _layer_figure(
    geometry: Geometry,
    planes: tuple[Array, Array, Array],
    labels: list[str],
    taps: dict[int, int],
    output: int,
    names: str,
) -> Figure:
    """Draw input, kernel and output in a row, W below."""
    image, kernel, result = planes
    rows, columns = geometry.matrix_shape
    widths = [image.shape[1], kernel.shape[1] * TWO_LINES, result.shape[1]]
    tallest = max(image.shape[0], kernel.shape[0] * TWO_LINES, result.shape[0])
    heights = [tallest + 0.7, rows]
    unit = WIDTH / max(sum(widths) + 3.4, columns + 1.2)
    figure = figure_of(unit * sum(heights) + 0.75)

    def place(left: float, top: float, shape: tuple[int, ...], text: str, scale: float = 1) -> Axes:
        side = unit * scale
        size = shape[1] * side, shape[0] * side
        drawn = axes_at(figure, left * unit, 0.3 + top * unit, *size)
        grid(drawn, shape).set_title(text)
        return drawn

    gap = (WIDTH / unit - sum(widths)) / 4
    lefts = np.cumsum([gap, *(w + gap for w in widths[:2])])
    size = text_size(unit, 9.5)
    drawn = place(lefts[0], 0, image.shape, "input x")
    for j, value in enumerate(image.flat):
        cell(drawn, divmod(j, widths[0]), written(value), tap_colour(taps.get(j)), size)
    drawn = place(lefts[1], 0, kernel.shape, f"kernel {names}", TWO_LINES)
    for t, value in enumerate(kernel.flat):
        text = f"{labels[t]}\n{written(value)}"
        cell(drawn, divmod(t, kernel.shape[1]), text, tap_colour(t), text_size(unit, 8.5))
    drawn = place(lefts[2], 0, result.shape, "output y")
    for o, value in enumerate(result.flat):
        colour = PAPER if o == output else EMPTY
        cell(drawn, divmod(o, widths[2]), written(value), colour, size, bold=o == output)
    shape = geometry.matrix_shape
    text = f"the same as one matrix W, {rows} × {columns}"
    drawn = place((WIDTH / unit - columns) / 2, heights[0] + 0.3 / unit, shape, text)
    matrix_cells(drawn, geometry, labels, text_size(unit, 8.5))
    mark_row(drawn, output, columns)
    return figure
