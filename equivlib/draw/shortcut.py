"""A shortcut carried past a layer and its ReLU, by identity matrices in the stacked matrices."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..convolution.patches import Array, as_array
from ..labels import TAP_COLOURS
from ._cells import cell, grid, signed
from ._style import (
    EMPTY,
    HEAD,
    PAPER,
    TEXT,
    WIDTH,
    Drawing,
    axes_at,
    figure_of,
    house_style,
    numbers_width,
)

LARGEST = 0.27  # inches, the side of a cell
EDGE, LINE = 0.08, 0.19  # inches around the figure, and of a line of text
APART = 0.1  # inches between two blocks
AWAY = 0.3  # inches between a matrix and what it gives
NAMES = 0.32  # inches for the names of blocks
#: Of the entries of each block: the layer, I and -I.
COLOURS = TAP_COLOURS[0], TAP_COLOURS[5], TAP_COLOURS[3]
#: Their names, and what the ReLU makes of what they give.
NAMED = ("W{}", "relu(W₁ x)"), ("I", "relu(x)"), ("−I", "relu(−x)")


class Parts(NamedTuple):
    """The two matrices in blocks, and the numbers on the way through them."""

    first: list[Array]
    second: list[Array]
    x: Array
    #: What each block of the first matrix gives, before and behind the ReLU.
    before: list[Array]
    behind: list[Array]
    y: Array
    #: What the layer and its shortcut give: x + second relu(first x).
    wanted: Array
    followed: int


def shortcut(
    first: ArrayLike, second: ArrayLike, x: ArrayLike, *, follow: int = 0, signed: bool = True
) -> Drawing:
    r"""Draw the shortcut ``y = x + second @ relu(first @ x)`` as two matrices around a ReLU.

    The first matrix has the blocks W1, I and -I below each other, the second has W2, I and -I side
    by side, since ``x = relu(x) - relu(-x)``. One number of x is followed: what belongs to it has
    a frame.

    Parameters
    ----------
    first : array_like, shape ``(units, n)``
        The matrix of the layer before the ReLU.
    second : array_like, shape ``(n, units)``
        The matrix of the layer behind it.
    x : array_like, shape ``(n,)``
    follow : int, default 0
        The number of x that is followed.
    signed : bool, default True
        False leaves the blocks -I away, which is right only where x is not negative.

    Returns
    -------
    Drawing

    Raises
    ------
    ValueError
        If the shapes do not fit each other, there is no such number, or there is too much to draw.

    Examples
    --------
    >>> shortcut([[1, 1]], [[2], [0]], [3, -5], follow=1)  # doctest: +NORMALIZE_WHITESPACE
    x is 3 −5. Blocks of the first matrix, row by row: W1: 1 1; I: 1 0 | 0 1; −I: −1 0 | 0 −1. They
    give −2; 3 −5; −3 5, and behind the ReLU 0; 3 0; 0 5. Blocks of the second matrix: W2: 2 | 0;
    I: 1 0 | 0 1; −I: −1 0 | 0 −1. It gives y = 3 −5. Number 1 of x is −5, and 0 − 5 = −5 of it
    arrives at y.
    """
    parts = _parts(first, second, x, follow, signed)
    with house_style():
        figure = _figure(parts)
    alt = (
        f"x is {_row(parts.x)}. Blocks of the first matrix, row by row: "
        f"{_blocks(parts.first, '1')}. They give {_listed(parts.before)}, and behind the ReLU "
        f"{_listed(parts.behind)}. Blocks of the second matrix: {_blocks(parts.second, '2')}. It "
        f"gives y = {_row(parts.y)}{_missed(parts)}. {_followed(parts)}"
    )
    return Drawing(figure, alt)


def _parts(first: Any, second: Any, x: Any, follow: int, signed: bool) -> Parts:
    """Return the blocks and what they give, after a check of all arguments."""
    one, two, row = as_array("first", first), as_array("second", second), as_array("x", x)
    if row.ndim != 1 or not len(row):
        raise ValueError(f"x (of shape {row.shape}) must be one row of numbers")
    if one.ndim != 2 or one.shape[1] != len(row):
        raise ValueError(f"first (of shape {one.shape}) must be (units, {len(row)}), to read x")
    if two.shape != (len(row), len(one)):
        raise ValueError(
            f"second (of shape {two.shape}) must be {(len(row), len(one))}: it reads {len(one)} "
            f"units, and x with {len(row)} numbers is added to what it gives"
        )
    if not 0 <= follow < len(row):
        raise ValueError(f"follow (={follow}) must be a number of x, from 0 to {len(row) - 1}")
    identity = np.eye(len(row), dtype=int)
    signs = (1, -1) if signed else (1,)
    above = [one, *(sign * identity for sign in signs)]
    beside = [two, *(sign * identity for sign in signs)]
    before = [block @ row for block in above]
    behind = [np.maximum(values, 0) for values in before]
    y = sum(block @ values for block, values in zip(beside, behind, strict=True))
    parts = Parts(above, beside, row, before, behind, y, row + two @ behind[0], follow)
    if _side(parts) < max(numbers_width(a) for a in (*above, *beside, *before, row, y)) + 0.02:
        raise ValueError(
            f"first (of shape {one.shape}) and x (={row.tolist()}) give too many numbers, or too "
            "long ones, to be drawn"
        )
    return parts


def _side(parts: Parts) -> float:
    """Return the side of a cell in inches: the second matrix and its output fit the width."""
    across = sum(block.shape[1] for block in parts.second) + 1
    gaps = 2 * EDGE + AWAY + APART * (len(parts.second) - 1)
    return float(min(LARGEST, (WIDTH - gaps) / across))


def _row(values: Array) -> str:
    return " ".join(map(signed, values))


def _listed(blocks: Sequence[Array]) -> str:
    return "; ".join(map(_row, blocks))


def _blocks(blocks: Sequence[Array], layer: str) -> str:
    named = zip((f"W{layer}", "I", "−I"), blocks, strict=False)
    return "; ".join(f"{name}: {' | '.join(map(_row, block))}" for name, block in named)


def _missed(parts: Parts) -> str:
    if (parts.y == parts.wanted).all():
        return ""
    return f", but x added to what the layer gives is {_row(parts.wanted)}"


def _followed(parts: Parts) -> str:
    """Tell the way of number j of x in a sentence."""
    j = parts.followed
    carried = [signed(values[j]) for values in parts.behind[1:]]
    arrives = sum(s * values[j] for s, values in zip((1, -1), parts.behind[1:], strict=False))
    came = f"{' − '.join(carried)} = {signed(arrives)}" if len(carried) > 1 else carried[0]
    return f"Number {j} of x is {signed(parts.x[j])}, and {came} of it arrives at y."


def _figure(parts: Parts) -> Figure:
    """Draw above the first matrix under x and what it gives, below the second under that."""
    unit, n, j = _side(parts), len(parts.x), parts.followed
    gaps = APART * (len(parts.first) - 1)
    rows = sum(map(len, parts.first))
    middle = EDGE + LINE + unit + APART + rows * unit + gaps + 2 * LINE
    height = middle + unit + APART + n * unit + LINE + EDGE
    figure = figure_of(height)
    page = axes_at(figure, 0, 0, WIDTH, height)
    page.set(xlim=(0, WIDTH), ylim=(height, 0))
    page.set_axis_off()
    left = EDGE + NAMES
    right = [left + n * unit + AWAY, left + n * unit + 2 * AWAY + unit]
    _say(page, left + n * unit / 2, EDGE, "x")
    for x, text in zip(right, ("product", "ReLU"), strict=True):
        _say(page, x + unit / 2, EDGE + unit + APART, text)
    _draw(figure, parts.x[None], (left, EDGE + LINE), unit, {(0, j)})
    top = EDGE + LINE + unit + APART
    for place, block in enumerate(parts.first):
        marked = {(j, j)} if place else set()
        _draw(figure, block, (left, top), unit, marked, COLOURS[place])
        for x, values in zip(right, (parts.before[place], parts.behind[place]), strict=True):
            _draw(figure, values[:, None], (x, top), unit, {(j, 0)} if place else set())
        at = top + len(block) * unit / 2
        name, told = NAMED[place]
        page.text(left - 0.08, at, name.format("₁"), ha="right", va="center", fontsize=HEAD)
        page.text(right[1] + unit + 0.1, at, told, va="center")
        top += len(block) * unit + APART
    left = EDGE
    for place, block in enumerate(parts.second):
        marked = {(0, j)} if place else set()
        _draw(figure, parts.behind[place][None], (left, middle), unit, marked)
        marked = {(j, j)} if place else set()
        below = middle + unit + APART
        _draw(figure, block, (left, below), unit, marked, COLOURS[place])
        at = left + block.shape[1] * unit / 2
        _say(page, at, below + n * unit + 0.02, NAMED[place][0].format("₂"))
        left += block.shape[1] * unit + APART
    left += AWAY - APART
    _draw(figure, parts.y[:, None], (left, middle + unit + APART), unit, {(j, 0)})
    _say(page, left + unit / 2, middle + unit + APART + n * unit + 0.02, "y")
    return figure


def _say(page: Axes, x: float, y: float, text: str) -> None:
    page.text(x, y, text, ha="center", va="top", fontsize=HEAD)


def _draw(
    figure: Figure,
    array: Array,
    at: tuple[float, float],
    unit: float,
    marked: Collection[tuple[int, int]],
    colour: str = PAPER,
) -> None:
    """Draw the cells of an array, its top left corner there; zeros of a matrix are empty."""
    rows, columns = array.shape
    axes = grid(axes_at(figure, *at, columns * unit, rows * unit), array.shape)
    for place in np.ndindex(rows, columns):
        empty = colour != PAPER and array[place] == 0
        text = "" if empty else signed(array[place])
        cell(axes, place, text, EMPTY if empty else colour, TEXT, bold=place in marked)
