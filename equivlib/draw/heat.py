"""Arrays as heat maps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..convolution.patches import Array, as_array
from ..labels import written
from ._style import (
    DIVERGING,
    INK,
    PAPER,
    WIDTH,
    Drawing,
    as_plane,
    axes_at,
    check_across,
    figure_of,
    house_style,
    numbers_width,
    size_in_words,
    text_width,
)

COLOURS = LinearSegmentedColormap.from_list("signed", DIVERGING)
FEW = 36  # values that a description spells out


def heat(planes: Mapping[str, ArrayLike], *, across: int = 2, of: str = "values") -> Drawing:
    """Draw arrays as heat maps on one scale: blue below zero, white at zero, red above.

    The scale is the same on both sides of zero, and begins at zero where nothing is negative.

    Parameters
    ----------
    planes : mapping of str to array_like, shape ``(height, width)`` or ``(width,)``
        Title and real, finite values of each map: a kernel, a weight, a difference.
    across : int, default 2
        Maps in a row of the figure.
    of : str
        What the values are, for the colour bar and the alt text.

    Returns
    -------
    Drawing
        Values are written into the cells where they fit; where not, dashes mark what is negative.

    Raises
    ------
    ValueError
        If there is no plane, one has more than two axes, or holds a number that is not real and
        finite.

    Examples
    --------
    >>> heat({"difference": [[-1, 0, 1]]}, of="weights")
    Signed weights on one scale from -1 to 1: difference (1 × 3): -1 0 1.
    """
    arrays = {name: _real_plane(name, plane) for name, plane in planes.items()}
    if not arrays:
        raise ValueError("planes (={}) must hold at least one title with its values")
    check_across(across)
    limit = max(float(abs(plane).max()) for plane in arrays.values()) or 1.0
    low = -limit if any((plane < 0).any() for plane in arrays.values()) else 0.0
    with house_style():
        figure = _heat_figure(arrays, min(across, len(arrays)), low, limit, of)
    told = "; ".join(f"{name} {_plane_in_words(plane)}" for name, plane in arrays.items())
    what = f"Signed {of}" if low else of[:1].upper() + of[1:]
    return Drawing(figure, f"{what} on one scale from {written(low)} to {written(limit)}: {told}.")


def _real_plane(name: str, values: ArrayLike) -> Array:
    plane = as_plane(as_array(f"planes[{name!r}]", values))
    if plane.ndim != 2 or plane.size == 0:
        raise ValueError(
            f"planes[{name!r}] (of shape {plane.shape}) must have one or two axes and a value"
        )
    if plane.dtype.kind == "c" or not np.isfinite(plane.astype(float)).all():
        raise ValueError(f"planes[{name!r}] (of dtype {plane.dtype}) must be real and finite")
    return plane


def _plane_in_words(plane: Array) -> str:
    """Return all values of a small plane; the extremes with their places of a large one."""
    if plane.size <= FEW:
        rows = (" ".join(written(value) for value in row) for row in plane)
        return f"({size_in_words(plane)}): {' | '.join(rows)}"
    low, high = (
        tuple(int(i) for i in np.unravel_index(place, plane.shape))
        for place in (plane.argmin(), plane.argmax())
    )
    below, zero = int((plane < 0).sum()), int((plane == 0).sum())
    return (
        f"({size_in_words(plane)}): least {written(plane[low])} in row {low[0]}, column {low[1]}, "
        f"greatest {written(plane[high])} in row {high[0]}, column {high[1]}, {below} values "
        f"negative, {zero} zero, {plane.size - below - zero} positive"
    )


def _heat_figure(
    arrays: Mapping[str, Array], across: int, low: float, limit: float, of: str
) -> Figure:
    lines = -(-len(arrays) // across)
    gap = 0.12
    room = (WIDTH - _bar_room(low, limit) - gap * (across + 1)) / across
    unit = min(min(room / plane.shape[1], 5 / plane.shape[0]) for plane in arrays.values())
    unit = min(unit, 0.6)
    height = max(plane.shape[0] for plane in arrays.values()) * unit
    height, stretch = (height, 1.0) if height > 0.3 else (0.3, 0.3 / height)
    figure = figure_of(max(lines * (height + 0.36), 1.3) + 0.1)
    scale = Normalize(-limit, limit)
    for place, (name, plane) in enumerate(arrays.items()):
        line, column = divmod(place, across)
        size = plane.shape[1] * unit, plane.shape[0] * unit * stretch
        left = gap + column * (room + gap) + (room - size[0]) / 2
        axes = axes_at(figure, left, 0.3 + line * (height + 0.36), *size)
        shades = COLOURS(scale(plane.astype(float)))
        axes.imshow(shades, interpolation="nearest", aspect="auto")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(name)
        _write(axes, plane, shades, unit)
    _colour_bar(figure, low, limit, of)
    return figure


def _write(axes: Axes, plane: Array, shades: Array, unit: float) -> None:
    """Write the values where the cells have room; else put dashes on what is negative."""
    fits = unit > 0.15 and numbers_width(plane) + 0.06 <= unit
    step = 1 if fits else math.ceil(0.09 / unit)
    for row, column in product(*(range(step // 2, n, step) for n in plane.shape)):
        value = plane[row, column]
        dark = np.dot(shades[row, column, :3], (0.299, 0.587, 0.114)) < 0.55
        colour = PAPER if dark else INK
        if fits:
            axes.text(column, row, written(value), ha="center", va="center", color=colour)
        elif value < 0:
            ends = [column - 0.25 * step, column + 0.25 * step]
            axes.plot(ends, [row, row], color=colour, linewidth=0.7)


def _ticks(low: float, limit: float) -> dict[float, str]:
    """Return where the colour bar has marks, and what stands there."""
    return {value: written(value) for value in (low, 0.0, limit)}


def _colour_bar(figure: Figure, low: float, limit: float, of: str) -> None:
    height = min(figure.get_figheight() - 0.5, 2.5)
    axes = axes_at(figure, WIDTH - _bar_room(low, limit) + 0.06, 0.3, 0.12, height)
    bar = figure.colorbar(ScalarMappable(Normalize(-limit, limit), COLOURS), cax=axes)
    ticks = _ticks(low, limit)
    bar.set_ticks(list(ticks), labels=list(ticks.values()))
    axes.set_ylim(low, limit)
    axes.tick_params(length=2, pad=2)
    top = 1 - 0.24 / figure.get_figheight()
    figure.text(1 - 0.05 / WIDTH, top, of, ha="right")


def _bar_room(low: float, limit: float) -> float:
    return max(map(text_width, _ticks(low, limit).values())) + 0.32
