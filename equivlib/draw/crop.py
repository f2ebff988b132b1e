"""What a crop shares with the whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..convolution.patches import Array, as_array
from ..labels import written
from ._cells import cell
from ._chain import DIFFERENT, SHARED, Layers, Level, canvas, draw_padding, levels_of, write_name
from ._style import EMPTY, TEXT, Drawing, house_style


def crop(layers: Layers, x: ArrayLike, begin: int, size: int) -> Drawing:
    """Draw a chain of layers on a whole row of numbers, and on a piece of it alone.

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
    whole = levels_of(layers, row)
    stride = whole[-1].step
    if begin % stride or not 0 <= begin <= begin + size <= len(row) or size < 1:
        raise ValueError(
            f"begin (={begin}) must be a multiple of the total stride {stride}, and the crop "
            f"of size (={size}) must lie inside the {len(row)} numbers of x"
        )
    part = levels_of(layers, row[begin : begin + size])
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


def _in_words(level: Level) -> str:
    return " ".join([level.name, *map(written, level.values)])


def _differing(same: Array) -> str:
    if same.all():
        return ""
    at = [str(i) for i in np.flatnonzero(~same)]
    listed = " and ".join([", ".join(at[:-1]), at[-1]] if len(at) > 1 else at)
    return f", of which {listed} differ{'s' * (len(at) == 1)}"


def _crop_figure(
    whole: Sequence[Level], part: Sequence[Level], equal: Sequence[Array], begin: int
) -> Figure:
    gap = 1.5
    rows = gap * (len(whole) - 1) + 1
    figure, (above, below), side = canvas(whole, rows, panels=2)
    above.set_title("on the whole input")
    below.set_title("on the crop alone")
    for place, (all_, one, same) in enumerate(zip(whole, part, equal, strict=True)):
        y, ahead = gap * place, begin // all_.step
        for axes, level, shift in ((above, all_, 0), (below, one, begin)):
            write_name(axes, level, y, side)
            draw_padding(axes, level, y, "0", shift)
        for i, value in enumerate(all_.values):
            inside = 0 <= i - ahead < len(same)
            colour = (SHARED if same[i - ahead] else DIFFERENT) if inside else EMPTY
            cell(above, (y, all_.left(i)), written(value), colour, TEXT)
        for i, value in enumerate(one.values):
            colour = SHARED if same[i] else DIFFERENT
            cell(below, (y, one.left(i) + begin), written(value), colour, TEXT, bold=not same[i])
    return figure
