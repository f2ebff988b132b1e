"""A fully connected layer as a kernel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ..convolution.geometry import Geometry
from ..convolution.patches import Array
from ..labels import TAP_COLOURS, labels
from ._cells import cell, grid
from ._style import EMPTY, TEXT, WIDTH, Drawing, axes_at, figure_of, house_style, text_width

LARGEST = 0.36  # inches, the side of a cell
EDGE, ROOM = 0.08, 0.3  # inches, around the figure and for the title of a panel


def full_extent(
    kernel_size: tuple[int, int],
    input_size: tuple[int, int],
    *,
    at: tuple[int, int] = (0, 0),
    names: str = "w",
) -> Drawing:
    """Draw a row of a fully connected layer, the same numbers as a kernel, and it elsewhere.

    Parameters
    ----------
    kernel_size : tuple of int
        Rows and columns that the fully connected layer reads, of one channel.
    input_size : tuple of int
        A larger input.
    at : tuple of int
        The position on the larger input at which the kernel is drawn.
    names : str
        Letter of the weights.

    Returns
    -------
    Drawing

    Raises
    ------
    ValueError
        If the kernel does not fit into the input, or there is no such position.

    Examples
    --------
    >>> full_extent((1, 2), (2, 3), at=(1, 0))  # doctest: +NORMALIZE_WHITESPACE
    A row of W: w0 w1. The same numbers as a kernel on 1 × 2 inputs, one position: w0 w1.
    On 2 × 3 inputs it has 2 × 2 positions; in row 1, column 0 it lies so, a dot for no weight:
    . . . | w0 w1 .
    """
    geometry = Geometry((1, 1, *kernel_size), (1, *input_size))
    _, *positions = geometry.output_shape
    if len(at) != 2 or not all(0 <= i < o for i, o in zip(at, positions, strict=True)):
        raise ValueError(f"at (={at}) must be one of the {_by(positions)} positions")
    kernel = np.array(labels(names, (1, int(np.prod(kernel_size)))), dtype=object)
    kernel = kernel.reshape(kernel_size)
    larger = np.full(input_size, ".", dtype=object)
    larger[at[0] : at[0] + kernel_size[0], at[1] : at[1] + kernel_size[1]] = kernel
    with house_style():
        figure = _extent_figure(kernel, larger, positions)
    alt = (
        f"A row of W: {' '.join(kernel.flat)}. The same numbers as a kernel on "
        f"{_by(kernel_size)} inputs, one position: {_rows(kernel)}. On {_by(input_size)} inputs "
        f"it has {_by(positions)} positions; in row {at[0]}, column {at[1]} it lies so, a dot for "
        f"no weight: {_rows(larger)}"
    )
    return Drawing(figure, alt)


def _by(sizes: Sequence[int]) -> str:
    return " × ".join(map(str, sizes))


def _rows(array: Array) -> str:
    return " | ".join(" ".join(row) for row in array)


def _extent_figure(kernel: Array, larger: Array, positions: Sequence[int]) -> Figure:
    gap = 0.5  # cells between the two images
    across = max(kernel.size, kernel.shape[1] + gap + larger.shape[1])
    side = min(LARGEST, (WIDTH - 2 * EDGE) / across)
    below = EDGE + 2 * ROOM + side
    tall = max(kernel.shape[0], larger.shape[0])
    figure = figure_of(below + tall * side + EDGE)
    colours = dict(zip(kernel.flat, np.resize(TAP_COLOURS, kernel.size), strict=True))
    on_larger = f"on {_by(larger.shape)}: {_by(positions)} positions"
    right = WIDTH - EDGE - max(larger.shape[1] * side, text_width(on_larger, 9))
    places = [
        (f"a row of W: {kernel.size} numbers", kernel.reshape(1, -1), EDGE, EDGE + ROOM),
        ("as a kernel: 1 position", kernel, EDGE, below),
        (on_larger, larger, right, below),
    ]
    for told, array, left, top in places:
        axes = axes_at(figure, left, top, array.shape[1] * side, array.shape[0] * side)
        grid(axes, array.shape)
        axes.set_title(told, loc="left")
        for at in np.ndindex(*array.shape):
            name = str(array[at])
            shown = "" if name == "." else name
            cell(axes, at, shown, colours.get(name, EMPTY), TEXT)
    return figure
