"""Patches of an image, and the columns that they become."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from itertools import groupby, product
from typing import Literal, NamedTuple, Unpack

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from ..convolution.axis import PADDING
from ..convolution.geometry import Geometry, kernel_shape
from ..convolution.options import GeometryOptions, PerAxis, check_names, lists_options
from ..convolution.patches import Array, as_array, im2col, inside, positions
from ..labels import written
from ._cells import grid
from ._style import (
    EMPTY,
    GRID,
    HEAD,
    LINES,
    PAPER,
    WIDTH,
    Drawing,
    Line,
    as_plane,
    axes_at,
    figure_of,
    halo,
    house_style,
    numbers_width,
    size_in_words,
    text_width,
)


class Patch(NamedTuple):
    """One patch: its position in the output, and what it reads."""

    output: int
    #: For each axis, the places of the padded image that its taps read.
    places: list[list[int]]
    values: Array


@lists_options
def patches(
    image: ArrayLike,
    kernel_size: PerAxis,
    outputs: Sequence[int],
    **options: Unpack[GeometryOptions],
) -> Drawing:
    """Draw patches marked on an image, and each as the column that ``im2col`` makes of it.

    Parameters
    ----------
    image : array_like, shape ``(height, width)`` or ``(width,)``
        One channel. Its values are written into the cells if these have room.
    kernel_size : int or tuple of int
    outputs : sequence of int
        One to six different output positions, counted row-major, whose patches are marked.
    **options : GeometryOptions

    Returns
    -------
    Drawing
        Each patch has a frame with its own colour and dash and the number of its output position;
        what is hatched falls on padding.

    Raises
    ------
    ValueError
        If ``image`` does not have one or two axes of real numbers, ``outputs`` are not one to nine
        different positions, or an option is unknown or out of range.

    Examples
    --------
    >>> patches([[1, 2, 3], [4, 5, 6]], 2, [0, 1])  # doctest: +NORMALIZE_WHITESPACE
    Image of 2 × 3, no padding; patches of 2 × 2 for output positions 0, 1 of 1 × 2, each a column
    of 4 values. Position 0 reads rows 0, 1 and columns 0, 1: 1 2 4 5. Position 1 reads rows 0, 1
    and columns 1, 2: 2 3 5 6.
    """
    check_names(options, "patches")
    array = as_array("image", image)
    if array.ndim not in (1, 2) or array.dtype.kind not in "iuf":
        raise ValueError(
            f"image (of shape {array.shape} and dtype {array.dtype}) must have one or two axes "
            "and real numbers"
        )
    kernel = kernel_shape(kernel_size, array.ndim)
    geometry = Geometry((1, 1, *kernel), (1, *array.shape), **options)
    chosen = _checked_outputs(outputs, positions(geometry))
    columns = im2col(array[None], kernel, **options)
    found = [Patch(o, _places(geometry, o), columns[:, o]) for o in chosen]
    with house_style():
        figure = _figure(geometry, array, found)
    return Drawing(figure, _in_words(geometry, array, found))


def _checked_outputs(outputs: object, count: int) -> list[int]:
    given = list(outputs) if isinstance(outputs, (Sequence, np.ndarray)) else []
    whole = all(isinstance(o, (int, np.integer)) and 0 <= o < count for o in given)
    if not whole or not 1 <= len(given) <= len(LINES) or len(set(given)) < len(given):
        raise ValueError(
            f"outputs (={outputs!r}) must be one to {len(LINES)} different positions from 0 "
            f"to {count - 1}"
        )
    return [int(o) for o in given]


def _places(geometry: Geometry, output: int) -> list[list[int]]:
    at = np.unravel_index(output, geometry.output_shape[1:])
    return [
        [tap.start + int(o) * tap.step for tap in axis.tap_slices()]
        for axis, o in zip(geometry.axes, at, strict=True)
    ]


def _padded(geometry: Geometry, image: Array) -> tuple[Array, Array]:
    """Return the image as its padding shows it, and which of its places are padding."""
    shown = np.ix_(*(axis.padded() for axis in geometry.axes))
    zero = reduce(np.logical_or.outer, (axis.padded() == PADDING for axis in geometry.axes))
    padded = np.where(zero, 0, image[shown])
    input_places = np.zeros(padded.shape, dtype=bool)
    input_places[inside(geometry)] = True
    return as_plane(padded), as_plane(~input_places)


def _cells(patch: Patch) -> list[tuple[int, int]]:
    """Return the row and column of the padded image for each tap, in the order of the column."""
    rows, columns = ([0], *patch.places)[-2:]
    return list(product(rows, columns))


def _figure(geometry: Geometry, image: Array, found: list[Patch]) -> Figure:
    """Draw the image on the left, the columns on the right."""
    padded, outside = _padded(geometry, image)
    taps = math.prod(geometry.kernel_size)
    written = numbers_width(padded) + 0.06
    # Too much to be read: the columns are strips of grey.
    many = taps > 40 or len(found) * (written + 0.1) > 2.4
    wide = 0.24 if many else max(written, 0.24)
    names = ["" if many else ", ".join(map(str, tap)) for tap in np.ndindex(*geometry.kernel_size)]
    margin = max(map(text_width, names)) + 0.21
    right = len(found) * (wide + 0.1) - 0.1
    unit = min((WIDTH - right - margin - 0.4) / padded.shape[1], 5 / padded.shape[0], 0.42)
    side = min(0.22, 3 / taps)
    width, depth = padded.shape[1] * unit, padded.shape[0] * unit
    margin = max(margin, 1.9 - width - right)  # beside each other, both labels need that
    figure = figure_of(max(depth, taps * side) + 0.76)
    start = (WIDTH - width - margin - right) / 2
    axes = axes_at(figure, start, 0.6, width, depth)
    _draw_image(axes, padded, outside, unit >= max(written, 0.18))
    left = start + width + margin
    strip = axes_at(figure, left, 0.6, right, taps * side)
    _name_columns(axes, strip, names)
    for place, (line, patch) in enumerate(zip(LINES, found, strict=False)):
        _frame(axes, patch, line, place, unit)
        column = axes_at(figure, left, 0.6, wide, taps * side)
        _draw_column(grid(column, (taps, 1)), patch, line, padded, outside, not many)
        left += wide + 0.1
    return figure


def _name_columns(image: Axes, strip: Axes, names: list[str]) -> None:
    """Write the labels of both panels, and the tap of each row of the columns."""
    strip.set_axis_off()
    image.set_title("image", pad=20, loc="left")
    strip.annotate(
        "columns of im2col", (1, 1), xycoords="axes fraction", xytext=(0, 20),
        textcoords="offset points", fontsize=HEAD, ha="right",
    )  # fmt: skip
    for tap, name in enumerate(names):
        strip.annotate(
            name, (0, 1 - (tap + 0.5) / len(names)), xycoords="axes fraction", xytext=(-4, 0),
            textcoords="offset points", ha="right", va="center",
        )  # fmt: skip


def _draw_image(axes: Axes, padded: Array, outside: Array, written: bool) -> None:
    """Draw the padded image: numbers in cells, or grey levels; padding is hatched."""
    grid(axes, padded.shape)
    if written:
        for at, value in np.ndenumerate(padded):
            _value(axes, (at[0], at[1]), value, bool(outside[at]))
    else:
        bounds = (0, padded.shape[1], padded.shape[0], 0)
        axes.imshow(padded, cmap="gray", extent=bounds, aspect="auto", interpolation="nearest")
    rows, columns = (np.flatnonzero((~outside).any(axis=axis)) for axis in (1, 0))
    (top, bottom), (left, right) = (rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1)
    height, width = padded.shape
    _hatch(axes, (0, 0), (top, width), written)
    _hatch(axes, (bottom, 0), (height - bottom, width), written)
    _hatch(axes, (top, 0), (bottom - top, left), written)
    _hatch(axes, (top, right), (bottom - top, width - right), written)


def _hatch(axes: Axes, at: tuple[int, int], size: tuple[int, int], written: bool) -> None:
    """Hatch rows and columns of padding at once; over grey levels on ground of its own."""
    if min(size) > 0:
        area = Rectangle(
            at[::-1], size[1], size[0], facecolor="none" if written else PAPER, edgecolor=GRID,
            linewidth=0, hatch="////", clip_on=False,
        )  # fmt: skip
        axes.add_patch(area)


def _value(axes: Axes, at: tuple[int, int], value: object, padding: bool) -> None:
    row, column = at
    face = EMPTY if padding else PAPER
    axes.add_patch(
        Rectangle((column, row), 1, 1, facecolor=face, edgecolor=GRID, lw=0.6, clip_on=False)
    )
    axes.text(
        column + 0.5, row + 0.5, written(value), ha="center", va="center",
        path_effects=halo(2.5, EMPTY) if padding else None,
    )  # fmt: skip


def _frame(axes: Axes, patch: Patch, line: Line, place: int, unit: float) -> None:
    """Frame what a patch reads: each cell by itself if there are gaps between them."""
    rows, columns = (_spans(sorted(places)) for places in ([0], *patch.places)[-2:])
    inset = min(0.02 * place / unit, 0.3)  # frames that share a side lie side by side
    for (top, bottom), (left, right) in product(rows, columns):
        frame = Rectangle(
            (left + inset, top + inset), right - left - 2 * inset, bottom - top - 2 * inset,
            fill=False, edgecolor=line.colour, linestyle=line.dash, linewidth=1.8, zorder=4,
            clip_on=False, path_effects=halo(),
        )  # fmt: skip
        axes.add_patch(frame)
    corner, end, start = columns[0][0] + inset, columns[-1][1] - inset, rows[0][0] + inset
    if unit > 0.25:
        _badge(axes, (corner, start), (0, 0), "center", patch, line)
    elif corner + end > axes.get_xlim()[1]:  # beside a patch that is smaller than its number
        _badge(axes, (corner, start), (-5, 5), "right", patch, line)
    else:
        _badge(axes, (end, start), (5, 5), "left", patch, line)


def _spans(places: list[int]) -> list[tuple[int, int]]:
    """Return the first and last edge of the stretches that ascending places make up."""
    if places[-1] - places[0] == len(places) - 1:
        return [(places[0], places[-1] + 1)]
    return [(place, place + 1) for place in places]


def _badge(
    axes: Axes,
    at: tuple[float, float],
    away: tuple[float, float],
    side: Literal["left", "center", "right"],
    patch: Patch,
    line: Line,
) -> None:
    """Write the number of the output position, in a box of the patch's own colour."""
    axes.annotate(
        str(patch.output), at, xytext=away, textcoords="offset points",
        weight="bold", ha=side, va="center", zorder=5, annotation_clip=False,
        bbox={"boxstyle": "round,pad=0.15", "facecolor": PAPER, "edgecolor": line.colour},
    )  # fmt: skip


def _draw_column(
    axes: Axes, patch: Patch, line: Line, padded: Array, outside: Array, written: bool
) -> None:
    """Draw the values of a patch from top to bottom, framed and numbered as on the image."""
    if not written:
        limits = {"vmin": padded.min(), "vmax": padded.max()}
        bounds = (0, 1, len(patch.values), 0)
        axes.imshow(
            patch.values[:, None], cmap="gray", extent=bounds, aspect="auto",
            interpolation="nearest", **limits,
        )  # fmt: skip
    padding = [bool(outside[at]) for at in _cells(patch)]
    if written:
        for tap, value in enumerate(patch.values):
            _value(axes, (tap, 0), value, padding[tap])
    start = 0
    for is_padding, stretch in groupby(padding):
        length = len(list(stretch))
        if is_padding:
            _hatch(axes, (start, 0), (length, 1), written)
        start += length
    frame = Rectangle(
        (0, 0), 1, len(patch.values), fill=False, edgecolor=line.colour, linestyle=line.dash,
        linewidth=1.8, zorder=4, clip_on=False,
    )  # fmt: skip
    axes.add_patch(frame)
    _badge(axes, (0.5, 0), (0, 9), "center", patch, line)


def _in_words(geometry: Geometry, image: Array, found: list[Patch]) -> str:
    _, outside = _padded(geometry, image)
    padding = f"padding {geometry.padding} of mode {geometry.padding_mode}"
    padding = padding if any(map(any, geometry.padding)) else "no padding"
    kernel, shape = (
        " × ".join(map(str, sizes)) for sizes in (geometry.kernel_size, geometry.output_shape[1:])
    )
    named = f"position{'s' * (len(found) > 1)} {', '.join(str(patch.output) for patch in found)}"
    count = len(found[0].values)
    told = (
        f"Image of {size_in_words(as_plane(image))}, {padding}; patches of {kernel} for output "
        f"{named} of {shape}, each a column of {count} values."
    )
    for patch in found:
        told += f" {_patch_in_words(geometry, patch, outside, count)}"
    return told


def _patch_in_words(geometry: Geometry, patch: Patch, outside: Array, count: int) -> str:
    each = [
        f"{name} {', '.join(str(place - axis.low) for place in places)}"
        for name, places, axis in zip(
            ("rows", "columns")[-geometry.ndim :], patch.places, geometry.axes, strict=True
        )
    ]
    told = f"Position {patch.output} reads {' and '.join(each)}"
    beside = sum(bool(outside[at]) for at in _cells(patch))
    told += f" ({beside} of its {count} values fall on padding)" if beside else ""
    if count > 36:
        return told + "."
    return told + f": {' '.join(written(value) for value in patch.values)}."
