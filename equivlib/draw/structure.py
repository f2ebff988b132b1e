"""The structure of W for any convolution: which weight stands where, and in which blocks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Unpack

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..convolution.axis import PADDING
from ..convolution.geometry import Geometry
from ..convolution.options import GeometryOptions, check_names, lists_options
from ..convolution.patches import Array
from ._cells import grid, lines
from ._entries import Entries, entries_of, matrix_cells, rows_in_words, weight_labels
from ._style import (
    EMPTY,
    GRID,
    INK,
    RAMP,
    TEXT,
    WIDTH,
    Drawing,
    axes_at,
    figure_of,
    house_style,
    text_width,
)

#: Summands that are drawn at most: more than a screen has pixels.
MOST_SUMMANDS = 5_000_000
# Light and dark end of the hue of each kernel; lightness falls between them.
HUES = (
    ("#B4CDEB", "#1D4F91"),  # blue
    ("#F8BFAC", "#A03014"),  # red
    ("#B9DDAA", "#17692B"),  # green
    ("#E5B8DB", "#7B1E6E"),  # purple
    ("#E5D38F", "#6B5000"),  # ochre
    ("#A3DFD8", "#00574F"),  # teal
)
TOP, EDGE = 0.24, 0.12  # inches above and around the matrix
FINE = 100  # pixels per inch for a matrix with more rows than that: what a phone shows
BETWEEN = ((1.4, INK), (0.7, "#555555"), (0.4, "#777777"))  # between blocks, from the largest on


class Level(NamedTuple):
    """Blocks of W of one size: rows and columns of each, and what one of them is called."""

    height: int
    width: int
    row_name: str
    column_name: str


@lists_options
def structure(
    weight_shape: Sequence[int],
    input_shape: Sequence[int],
    *,
    names: str = "k",
    blocks: bool = True,
    **options: Unpack[GeometryOptions],
) -> Drawing:
    """Draw the matrix of any convolution as a pattern of its weights, and its blocks.

    Equal weights have the same colour. Where the cells are large enough they have their label too;
    where not, a legend shows each kernel in the same colours, and within a kernel each weight is
    darker than the one before it. Thick lines part the blocks of output and input channels; inside
    these, thin lines part those of each row of the output and of the input, and so on for more
    axes: a convolution of two axes is doubly blocked.

    Parameters
    ----------
    weight_shape, input_shape : tuple of int
        As in :class:`~equivlib.Geometry`: any number of channels, groups and axes.
    names : str
        Letter of the weights.
    blocks : bool, default True
        Draw the lines between blocks.
    **options : GeometryOptions

    Returns
    -------
    Drawing
        Made from the stored entries alone, so that a few thousand rows are no obstacle.

    Raises
    ------
    ValueError
        If the shapes or options are those that :class:`~equivlib.Geometry` refuses, or there is too
        much to draw.

    See Also
    --------
    matrices : several small matrices side by side.

    Examples
    --------
    >>> structure((2, 1, 2), (1, 3))  # doctest: +NORMALIZE_WHITESPACE
    Matrix W of 4 rows and 3 columns: 8 of 12 entries are not empty; 4 different weights, each in 2
    places. 2 × 1 blocks, one for each output and input channel. Row by row, a dot for an empty
    entry: k00 k01 . | . k00 k01 | k10 k11 . | . k10 k11.
    """
    check_names(options, "structure", ("names", "blocks"))
    geometry = Geometry(tuple(weight_shape), tuple(input_shape), **options)
    pairs = math.prod(geometry.weight_shape[:2])
    summands = pairs * math.prod(geometry.output_shape[1:]) * math.prod(geometry.kernel_size)
    if summands > MOST_SUMMANDS:
        raise ValueError(
            f"weight_shape (={geometry.weight_shape}) on input_shape (={geometry.input_shape}) "
            f"puts weights into {summands} places; at most {MOST_SUMMANDS} can be drawn"
        )
    unit = (WIDTH - _left(geometry) - EDGE) / geometry.matrix_shape[1]
    labels = weight_labels(geometry, names) if unit > 0.1 else []
    entries = entries_of(geometry)
    small = bool(labels) and _fits(geometry, entries, labels, unit)
    with house_style():
        if small:
            figure = _labelled_figure(geometry, entries, labels, unit, blocks)
        else:
            figure = _pixel_figure(geometry, entries, names, blocks)
    told = _in_words(geometry, entries)
    if small:
        told += f" Row by row, a dot for an empty entry: {rows_in_words(geometry, labels)}."
    return Drawing(figure, told)


def _fits(geometry: Geometry, entries: Entries, labels: list[str], unit: float) -> bool:
    """Return whether every cell can hold its label at the size of readable text."""
    sums = geometry.nnz < len(entries.rows)
    longest = max(map(text_width, labels)) + (text_width("+") if sums else 0)
    return (
        longest + 0.04 <= unit and geometry.matrix_shape[0] * _cell_height(geometry, entries) <= 7
    )


def _cell_height(geometry: Geometry, entries: Entries) -> float:
    """Return the height in inches: a sum is written in two lines."""
    return 0.28 if geometry.nnz < len(entries.rows) else 0.2


def _shared(geometry: Geometry, entries: Entries) -> Array:
    """Return which summands meet another one in their entry, as with mirrored padding."""
    places = entries.rows * geometry.matrix_shape[1] + entries.columns
    _, group, times = np.unique(places, return_inverse=True, return_counts=True)
    return np.asarray(times[group] > 1)


def _levels(geometry: Geometry) -> list[Level]:
    """Return the blocks from the largest to the smallest: channels, then axis by axis."""
    outputs, inputs = geometry.output_shape, geometry.input_shape
    levels = []
    for axis in range(len(inputs) - 1):
        names = ("out", "in") if axis == 0 else ("y row", "x row")
        if axis and axis < len(inputs) - 2:
            names = ("y slice", "x slice")
        height, width = math.prod(outputs[axis + 1 :]), math.prod(inputs[axis + 1 :])
        levels.append(Level(height, width, *names))
    return levels


def _largest_blocks(geometry: Geometry) -> Level | None:
    """Return the blocks that get names: those of channels, else those of the first axis."""
    rows, columns = geometry.matrix_shape
    several = (b for b in _levels(geometry) if b.height < rows or b.width < columns)
    level = next(several, None)
    return None if level is None or level.height == level.width == 1 else level


def _left(geometry: Geometry) -> float:
    """Return the inches for the names beside W."""
    level = _largest_blocks(geometry)
    if level is None:
        return EDGE
    return text_width(f"{level.row_name} {geometry.matrix_shape[0] // level.height - 1}") + 0.18


def _labelled_figure(
    geometry: Geometry, entries: Entries, labels: list[str], unit: float, blocks: bool
) -> Figure:
    rows, columns = geometry.matrix_shape
    unit = min(unit, 0.42)
    height = rows * max(min(unit, 0.3), _cell_height(geometry, entries))
    figure = figure_of(TOP + height + EDGE)
    left = (WIDTH + _left(geometry) - EDGE - columns * unit) / 2
    axes = axes_at(figure, left, TOP, columns * unit, height)
    matrix_cells(grid(axes, geometry.matrix_shape), geometry, labels, TEXT)
    _draw_blocks(axes, geometry, (height, columns * unit), blocks)
    return figure


def _pixel_figure(geometry: Geometry, entries: Entries, names: str, blocks: bool) -> Figure:
    rows, columns = geometry.matrix_shape
    left = _left(geometry)
    width = WIDTH - left - EDGE
    height = float(np.clip(width * rows / columns, 0.8, 5.5))
    colours = _weight_colours(geometry)
    side = _legend_cell(geometry, _legend_labels(geometry, names))
    legend = max(_legend_planes(geometry)[1] * side, 0.42)  # three lines of text
    figure = figure_of(TOP + height + 0.3 + legend + EDGE)
    axes = axes_at(figure, left, TOP, width, height)
    grid(axes, geometry.matrix_shape)
    image = _raster(geometry, entries, colours, (height, width))
    axes.imshow(image, extent=(0, columns, rows, 0), aspect="auto", interpolation="nearest")
    frame = Rectangle((0, 0), columns, rows, fill=False, edgecolor=INK, lw=0.8, clip_on=False)
    axes.add_patch(frame)
    _draw_blocks(axes, geometry, (height, width), blocks)
    _draw_legend(
        figure, geometry, colours, names, TOP + height + 0.1, geometry.nnz < len(entries.rows)
    )
    return figure


def _raster(
    geometry: Geometry, entries: Entries, colours: Array, inches: tuple[float, float]
) -> Array:
    """Return W in pixels; where several entries share one, their colours are mixed."""
    shape = geometry.matrix_shape
    height, width = (min(n, round(side * FINE)) for n, side in zip(shape, inches, strict=True))
    pixels = entries.rows * height // shape[0] * width + entries.columns * width // shape[1]
    shared, size = _shared(geometry, entries), height * width
    colours = colours[entries.weights]
    colours[shared] = to_rgb(INK)
    met = np.bincount(pixels, minlength=size)
    mixed = [np.bincount(pixels, channel, size) / np.maximum(met, 1) for channel in colours.T]
    image = np.where(met[:, None] > 0, np.stack(mixed, axis=1), to_rgb(EMPTY))
    return image.reshape(height, width, 3).clip(0, 1)


def _weight_colours(geometry: Geometry) -> Array:
    """Return a colour for each weight, darker from tap to tap; every kernel has its own hue."""
    pairs, taps = math.prod(geometry.weight_shape[:2]), math.prod(geometry.kernel_size)
    ramps = [RAMP] if pairs == 1 else HUES
    steps = np.linspace(0, 1, taps)
    shades = [LinearSegmentedColormap.from_list("", ramp)(steps)[:, :3] for ramp in ramps]
    return np.concatenate([shades[pair % len(shades)] for pair in range(pairs)])


def _draw_blocks(axes: Axes, geometry: Geometry, inches: tuple[float, float], blocks: bool) -> None:
    """Draw lines between blocks wide enough to be seen, and the names of the largest."""
    rows, columns = geometry.matrix_shape
    named = _largest_blocks(geometry)
    if named:
        _name_blocks(axes, geometry, named, inches)
    several = [b for b in _levels(geometry) if b.height < rows or b.width < columns]
    for level, (width, colour) in zip(several, BETWEEN, strict=False):
        down, across = rows // level.height, columns // level.width
        single = level.height == level.width == 1  # its lines would hide the entries
        if blocks and not single and inches[0] / down > 0.06 and inches[1] / across > 0.06:
            lines(axes.hlines, np.arange(down + 1) * level.height, columns, colour, width)
            lines(axes.vlines, np.arange(across + 1) * level.width, rows, colour, width)


def _name_blocks(axes: Axes, geometry: Geometry, level: Level, inches: tuple[float, float]) -> None:
    """Write names beside and above the blocks."""
    down = geometry.matrix_shape[0] // level.height
    across = geometry.matrix_shape[1] // level.width
    for i in range(0, down, _step(0.2 / (inches[0] / down))):
        axes.annotate(
            f"{level.row_name} {i}", (0, (i + 0.5) * level.height), xytext=(-4, 0),
            textcoords="offset points", ha="right", va="center",
        )  # fmt: skip
    room = text_width(f"{level.column_name} {across}") + 0.1
    for j in range(0, across, _step(room / (inches[1] / across))):
        axes.annotate(
            f"{level.column_name} {j}", ((j + 0.5) * level.width, 0), xytext=(0, 4),
            textcoords="offset points", ha="center", va="bottom",
        )  # fmt: skip


def _step(least: float) -> int:
    """Return the first of 1, 2, 5, 10, 20, ... that is not less."""
    steps: Iterator[int] = (digit * 10**power for power in range(9) for digit in (1, 2, 5))
    return next(step for step in steps if step >= least)


def _legend_planes(geometry: Geometry) -> tuple[int, int, int]:
    """Return the kernels shown in the legend, and rows and columns of each."""
    pairs = math.prod(geometry.weight_shape[:2])
    kernel = geometry.kernel_size
    return min(pairs, len(HUES)), math.prod(kernel[:-1]), kernel[-1]


def _legend_cell(geometry: Geometry, labels: list[str]) -> float:
    """Return the side of a cell of the legend in inches."""
    kernels, rows, columns = _legend_planes(geometry)
    room = WIDTH - 2 * EDGE - 0.7 * (kernels > 1) - 0.1 * kernels
    wish = max(map(text_width, labels)) + 0.08 if labels else 0.16
    return min(wish, room / (kernels * columns), 2.0 / rows)


def _draw_legend(
    figure: Figure, geometry: Geometry, colours: Array, names: str, top: float, sums: bool
) -> None:
    """Draw every kernel, by its place in the weight, in the colours of its weights."""
    kernels, rows, columns = _legend_planes(geometry)
    labels = _legend_labels(geometry, names)
    side = _legend_cell(geometry, labels)
    left = _left(geometry) if kernels == 1 else EDGE
    for pair in range(kernels):
        u, c = divmod(pair, geometry.weight_shape[1])
        text = f"{names}[{u}, {c}]" if kernels > 1 else f"kernel {names}"
        axes = axes_at(figure, left, top + 0.2, columns * side, rows * side)
        shades = colours[pair * rows * columns :][: rows * columns]
        _legend_kernel(grid(axes, (rows, columns)), (rows, columns), shades, labels)
        axes.text(0, -0.05 / side, text, va="bottom", clip_on=False)
        left += max(columns * side, text_width(text)) + 0.1
    rest = ["colours\nrepeat"] if kernels < math.prod(geometry.weight_shape[:2]) else []
    rest += ["black: a sum"] if sums else []
    figure.text(
        left / WIDTH, 1 - (top + 0.2) / figure.get_figheight(), "\n".join(rest), va="top",
    )  # fmt: skip


def _legend_labels(geometry: Geometry, names: str) -> list[str]:
    """Return the names that the legend shows: of a single kernel, unless it is wide."""
    if _legend_planes(geometry)[0] > 1 or math.prod(geometry.kernel_size) > 50:
        return []
    labels = weight_labels(geometry, names)
    room = (WIDTH - 1) / geometry.kernel_size[-1]
    return labels if max(map(text_width, labels)) + 0.08 <= room else []


def _legend_kernel(axes: Axes, shape: tuple[int, int], shades: Array, labels: list[str]) -> None:
    for t, (row, column) in enumerate(np.ndindex(shape)):
        axes.add_patch(
            Rectangle((column, row), 1, 1, facecolor=tuple(shades[t]), edgecolor=GRID, lw=0.5)
        )
        if labels:
            dark = np.dot(shades[t], (0.299, 0.587, 0.114)) < 0.5
            axes.text(
                column + 0.5, row + 0.5, labels[t], ha="center", va="center",
                color="white" if dark else INK,
            )  # fmt: skip


def _in_words(geometry: Geometry, entries: Entries) -> str:
    rows, columns = geometry.matrix_shape
    weights = math.prod(geometry.weight_shape)
    told = (
        f"Matrix W of {_count(rows, 'row')} and {_count(columns, 'column')}: {geometry.nnz} "
        f"of {rows * columns} entries are not empty; {_count(weights, 'different weight')}, "
        f"{_places_in_words(np.bincount(entries.weights, minlength=weights))}."
    )
    out, into = geometry.out_channels, geometry.in_channels
    if out * into > 1:
        told += f" {out} × {into} blocks, one for each output and input channel"
        empty = out * (into - geometry.weight_shape[1])
        told += f", {empty} of them empty: {geometry.groups} groups." if empty else "."
    if geometry.ndim > 1:
        told += _inner_blocks_in_words(geometry, out * into > 1)
    if geometry.nnz < len(entries.rows):
        shared = _shared(geometry, entries)
        sums = geometry.nnz - int((~shared).sum())
        told += (
            f" {sums} of the entries {'are sums' if sums > 1 else 'is a sum'} of several weights."
        )
    return told


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"


def _places_in_words(places: Array) -> str:
    least, most = int(places.min()), int(places.max())
    each = "each in" if len(places) > 1 else "in"
    told = f"{least} to {_count(most, 'place')}" if least < most else _count(least, "place")
    return f"{each} {told}"


def _inner_blocks_in_words(geometry: Geometry, channels: bool) -> str:
    """Tell how the first spatial axis cuts W, or each block of two channels, into blocks again."""
    read: dict[tuple[int, int], list[int]] = {}
    for (o, a), i in np.ndenumerate(geometry.axes[0].reads()):
        if i != PADDING:
            read.setdefault((o, int(i)), []).append(a)
    what = "slice" if geometry.ndim > 2 else "row"
    down, across = geometry.axes[0].outputs, geometry.axes[0].size
    kinds = len({tuple(taps) for taps in read.values()})
    cut = "Each that is not empty" if channels else "It"
    return (
        f" {cut} is cut into {down} × {across} blocks, one for each {what} of the output and of "
        f"the input: {len(read)} hold entries, and {_count(kinds, 'different one')} among them."
    )
