"""A fully connected layer as a kernel, what a crop shares with the whole, what an output sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from ..convolution.functional import conv
from ..convolution.geometry import Geometry
from ..convolution.options import GeometryOptions
from ..convolution.patches import Array, as_array
from ..labels import TAP_COLOURS, labels, written
from .cells import cell, grid, half
from .style import (
    EMPTY,
    GRID,
    INK,
    PAPER,
    TEXT,
    WIDTH,
    Drawing,
    axes_at,
    house_style,
    text_width,
    title,
)  # fmt: skip

LARGEST = 0.3  # inches, the side of a cell
EDGE, ROOM = 0.08, 0.3  # inches, around the figure and for the title of a panel
SHARED, DIFFERENT = TAP_COLOURS[4], TAP_COLOURS[3]

Layers: TypeAlias = Mapping[str, tuple[ArrayLike, GeometryOptions]]
#: The same by the number of weights.
Sizes: TypeAlias = Mapping[str, tuple[int, GeometryOptions]]


def full_extent(
    kernel_size: tuple[int, int],
    input_size: tuple[int, int],
    *,
    at: tuple[int, int] = (0, 0),
    names: str = "w",
) -> Drawing:
    """A row of a fully connected layer, the same numbers as a kernel, and that kernel elsewhere.

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


def crop(layers: Layers, x: ArrayLike, begin: int, size: int) -> Drawing:
    """A chain of layers on a whole row of numbers, and on a piece of it alone.

    What the piece gives as the whole does has one colour; what differs has another and a frame.

    Parameters
    ----------
    layers : mapping of str to (kernel, options)
        Name, weights and options of each layer, as in :func:`~equivlib.conv`; one channel on one
        axis.
    x : array_like, shape ``(n,)``
        The whole input.
    begin, size : int
        Where the crop begins, a multiple of the product of all strides, and how long it is.

    Returns
    -------
    Drawing

    Raises
    ------
    ValueError
        If there is no layer or x is no row, or the crop begins between two outputs or leaves x.

    Examples
    --------
    >>> sums = {"sums": ([1, 1], {"padding": 1})}
    >>> crop(sums, [3, 1, 4, 1], 1, 2)  # doctest: +NORMALIZE_WHITESPACE
    The whole: input 3 1 4 1; sums 3 4 5 5 1. The crop of 2 numbers from place 1 alone:
    input 1 4; sums 1 5 4, of which 0 and 2 differ.
    """
    row = as_array("x", x)
    if row.ndim != 1:
        raise ValueError(f"x (of shape {row.shape}) must be one row of numbers")
    whole = _levels(layers, row)
    stride = whole[-1].step
    if begin % stride or not 0 <= begin <= begin + size <= len(row) or size < 1:
        raise ValueError(
            f"begin (={begin}) must be a multiple of the total stride {stride}, and the crop "
            f"of size (={size}) must lie inside the {len(row)} numbers of x"
        )
    part = _levels(layers, row[begin : begin + size])
    equal = [
        one.values == all_.values[begin // all_.step :][: len(one.values)]
        for one, all_ in zip(part, whole, strict=True)
    ]
    with house_style():
        figure = _crop_figure(whole, part, equal, begin)
    alone = "; ".join(
        _in_words(level) + _differing(same) for level, same in zip(part, equal, strict=True)
    )
    alt = (
        f"The whole: {'; '.join(map(_in_words, whole))}. The crop of {size} numbers from place "
        f"{begin} alone: {alone}."
    )
    return Drawing(figure, alt)


def receptive_field(layers: Sizes, size: int, outputs: Sequence[int]) -> Drawing:
    """What one or two outputs of a chain of layers depend on, from layer to layer.

    Parameters
    ----------
    layers : mapping of str to (number of weights, options)
        Name, number of weights and options of each layer, as in :class:`~equivlib.Geometry`; on
        one axis.
    size : int
        Numbers of the input.
    outputs : sequence of int
        One or two outputs of the last layer.

    Returns
    -------
    Drawing

    Raises
    ------
    ValueError
        If there is no layer, or an output does not exist.

    Examples
    --------
    >>> layers = {"conv": (3, {}), "pool": (2, {"stride": 2})}
    >>> receptive_field(layers, 8, [0, 1])  # doctest: +NORMALIZE_WHITESPACE
    Numbers in each layer: input 8, conv 6, pool 3. Output 0 sees places 0 to 3 of the input,
    output 1 sees places 2 to 5: 4 places each, 2 apart.
    """
    kernels: Layers = {
        name: (np.ones(m, dtype=int), options) for name, (m, options) in layers.items()
    }
    levels = _levels(kernels, np.zeros(size, dtype=int))
    there = len(levels[-1].values)
    if len(outputs) not in (1, 2) or not all(0 <= i < there for i in outputs):
        raise ValueError(f"outputs (={list(outputs)}) must be one or two from 0 to {there - 1}")
    last = levels[-1]
    seen = [last.field(i) for i in outputs]
    with house_style():
        figure = _field_figure(levels, outputs)
    sizes = ", ".join(f"{level.name} {len(level.values)}" for level in levels)
    told = ", ".join(
        f"output {i} sees places {first} to {end}" + " of the input" * (not place)
        for place, (i, (first, end)) in enumerate(zip(outputs, seen, strict=True))
    )
    apart = f" each, {last.step * abs(outputs[-1] - outputs[0])} apart" if len(outputs) == 2 else ""
    alt = f"Numbers in each layer: {sizes}. {told[0].upper()}{told[1:]}: {last.span} places{apart}."
    return Drawing(figure, alt)


class Level(NamedTuple):
    """The numbers after a layer: number i depends on ``span`` places from ``step * i - over``."""

    name: str
    values: Array
    step: int
    span: int
    over: int
    #: What the next layer reads with each number: taps, dilation, stride, padding on either side.
    read: tuple[int, int, int, int, int] = (1, 1, 1, 0, 0)

    def field(self, i: int) -> tuple[int, int]:
        """The first and the last place of the input that number i depends on."""
        first = self.step * i - self.over
        return first, first + self.span - 1

    def left(self, i: int) -> float:
        """Where the cell of number i begins: over the middle of what it depends on."""
        return self.step * i - self.over + (self.span - 1) / 2


def _levels(layers: Layers, x: Array) -> list[Level]:
    if not layers:
        raise ValueError(f"layers (={dict(layers)}) must hold one layer or more")
    levels = [Level("input", x, 1, 1, 0)]
    for name, (weights, options) in layers.items():
        kernel = as_array(name, weights)
        if kernel.ndim != 1:
            raise ValueError(f"{name} (of shape {kernel.shape}) must be one row of weights")
        before = levels[-1]
        weight, row = kernel[None, None], before.values[None]
        (axis,) = Geometry(weight.shape, row.shape, **options).axes
        if axis.mode != "zeros":
            raise ValueError(f"padding_mode (={axis.mode!r}) of {name} must be 'zeros'")
        reads = axis.taps, axis.dilation, axis.stride, axis.low, axis.high
        levels[-1] = before._replace(read=reads)
        levels.append(
            Level(
                name,
                conv(row, weight, **options)[0],
                before.step * axis.stride,
                before.span + (axis.extent - 1) * before.step,
                before.over + axis.low * before.step,
            )
        )
    return levels


def _by(sizes: Sequence[int]) -> str:
    return " × ".join(map(str, sizes))


def _rows(array: Array) -> str:
    return " | ".join(" ".join(row) for row in array)


def _in_words(level: Level) -> str:
    return " ".join([level.name, *map(written, level.values)])


def _differing(same: Array) -> str:
    if same.all():
        return ""
    at = [str(i) for i in np.flatnonzero(~same)]
    listed = " and ".join([", ".join(at[:-1]), at[-1]] if len(at) > 1 else at)
    return f", of which {listed} differ{'s' * (len(at) == 1)}"


def _extent_figure(kernel: Array, larger: Array, positions: Sequence[int]) -> Figure:
    gap = 0.5  # cells between the two images
    across = max(kernel.size, kernel.shape[1] + gap + larger.shape[1])
    side = min(LARGEST + 0.06, (WIDTH - 2 * EDGE) / across)
    below = EDGE + 2 * ROOM + side
    tall = max(kernel.shape[0], larger.shape[0])
    figure = Figure(figsize=(WIDTH, below + tall * side + EDGE), layout=None, facecolor=PAPER)
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
        axes.set_title(told, fontsize=9, color=INK, pad=4, loc="left")
        for at in np.ndindex(*array.shape):
            name = str(array[at])
            shown = "" if name == "." else name
            cell(axes, at, shown, colours.get(name, EMPTY), TEXT)
    return figure


def _canvas(
    levels: Sequence[Level], rows: float, panels: int = 1, extra: float = 0
) -> tuple[Figure, list[Axes], float]:
    """Axes below each other in which a number of the input takes a unit square of that side.

    Each has so many rows of squares, and ``extra`` inches below them.
    """
    margin = EDGE + max(text_width(level.name) for level in levels) + 0.1
    over = [_reach(level) for level in levels]
    first, end = min(low for low, _ in over), max(high for _, high in over)
    side = min(LARGEST, (WIDTH - margin - EDGE) / (end - first))
    height = rows * side + extra
    room = ROOM if panels > 1 else EDGE
    figure = Figure(figsize=(WIDTH, panels * (room + height) + EDGE), layout=None, facecolor=PAPER)
    drawn = []
    for panel in range(panels):
        top = (panel + 1) * room + panel * height
        axes = axes_at(figure, margin, top, (end - first) * side, height)
        axes.set_xlim(first, end)
        axes.set_ylim(height / side, 0)
        axes.set_axis_off()
        drawn.append(axes)
    return figure, drawn, side


def _reach(level: Level) -> tuple[float, float]:
    """From where to where the cells of a level go, those of its padding included."""
    _, _, _, low, high = level.read
    return level.left(-low), level.left(len(level.values) - 1 + high) + 1


def _name(axes: Axes, level: Level, y: float, side: float) -> None:
    first, _ = axes.get_xlim()
    axes.text(
        first - 0.07 / side, y + 0.5, level.name, ha="right", va="center", fontsize=TEXT, color=INK
    )


def _padding(axes: Axes, level: Level, y: float, text: str, shift: int = 0) -> None:
    """The places that the next layer reads before and behind the numbers, dashed."""
    _, _, _, low, high = level.read
    count = len(level.values)
    for i in [*range(-low, 0), *range(count, count + high)]:
        at = level.left(i) + shift
        axes.add_patch(
            Rectangle((at, y), 1, 1, facecolor=PAPER, edgecolor=GRID, linewidth=0.8,
                      linestyle=(0, (2, 2)), clip_on=False)
        )  # fmt: skip
        axes.text(at + 0.5, y + 0.5, text, ha="center", va="center", fontsize=TEXT, color=INK)


def _crop_figure(
    whole: Sequence[Level], part: Sequence[Level], equal: Sequence[Array], begin: int
) -> Figure:
    gap = 1.5
    rows = gap * (len(whole) - 1) + 1
    figure, (above, below), side = _canvas(whole, rows, panels=2)
    title(above, "on the whole input")
    title(below, "on the crop alone")
    for place, (all_, one, same) in enumerate(zip(whole, part, equal, strict=True)):
        y, ahead = gap * place, begin // all_.step
        for axes, level, shift in ((above, all_, 0), (below, one, begin)):
            _name(axes, level, y, side)
            _padding(axes, level, y, "0", shift)
        for i, value in enumerate(all_.values):
            inside = 0 <= i - ahead < len(same)
            colour = (SHARED if same[i - ahead] else DIFFERENT) if inside else EMPTY
            cell(above, (y, all_.left(i)), written(value), colour, TEXT)
        for i, value in enumerate(one.values):
            colour = SHARED if same[i] else DIFFERENT
            cell(below, (y, one.left(i) + begin), written(value), colour, TEXT, bold=not same[i])
    return figure


def _field_figure(levels: Sequence[Level], outputs: Sequence[int]) -> Figure:
    gap, line = 2.0, 0.34  # cells from row to row; inches for what an output sees
    deep = gap * (len(levels) - 1) + 1
    figure, (axes,), side = _canvas(levels, deep, extra=line * len(outputs))
    sets = _dependencies(levels, outputs)
    for place, (level, depends) in enumerate(zip(levels, sets, strict=True)):
        y = gap * (len(levels) - 1 - place)
        _name(axes, level, y, side)
        _padding(axes, level, y, "")
        for i in range(len(level.values)):
            by = [number for number, some in enumerate(depends) if i in some]
            colours = [(SHARED, DIFFERENT)[number] for number in by] or [EMPTY]
            cell(axes, (y, level.left(i)), "", colours[0], TEXT)
            if len(colours) == 2:
                half(axes, (y, level.left(i)), colours[1])
        if place + 1 < len(levels):
            _lines(axes, levels, place, sets, y, gap)
    for number, i in enumerate(outputs):
        first, end = levels[-1].field(i)
        top = deep + (line * number + 0.06) / side
        y = top + 0.08 / side
        axes.plot([first, first, end + 1, end + 1], [top, y, y, top], color=INK, linewidth=1.2,
                  linestyle=("-", (0, (4, 1.5)))[number], clip_on=False)  # fmt: skip
        axes.text((first + end + 1) / 2, y + 0.03 / side, f"output {i}: places {first} to {end}",
                  ha="center", va="top", fontsize=TEXT, color=INK)  # fmt: skip
    return figure


def _dependencies(levels: Sequence[Level], outputs: Sequence[int]) -> list[list[set[int]]]:
    """For each level and output the numbers, padding included, that it depends on."""
    sets = [[{i} for i in outputs]]
    for level in reversed(levels[:-1]):
        taps, dilation, stride, low, _ = level.read
        offsets = [dilation * a - low for a in range(taps)]
        sets.insert(0, [{stride * i + o for i in some for o in offsets} for some in sets[0]])
    return sets


def _lines(
    axes: Axes,
    levels: Sequence[Level],
    place: int,
    sets: list[list[set[int]]],
    y: float,
    gap: float,
) -> None:
    """From the ends of what an output depends on in one row to those in the row above."""
    here, above = levels[place], levels[place + 1]
    for number, (low, high) in enumerate(zip(sets[place], sets[place + 1], strict=True)):
        style = ("-", (0, (4, 1.5)))[number]
        for end, side in ((min, 0), (max, 1)):
            xs = [here.left(end(low)) + side, above.left(end(high)) + side]
            axes.plot(xs, [y, y - gap + 1], color=INK, linewidth=0.9, linestyle=style)
