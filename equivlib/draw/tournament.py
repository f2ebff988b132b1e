"""The maximum of a window as a tournament: pairs meet, the larger number goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from ..convolution.patches import Array, as_array
from ..labels import TAP_COLOURS, written
from ._cells import cell, grid, signed
from ._style import (
    EMPTY,
    GRID,
    HEAD,
    INK,
    PAPER,
    TEXT,
    WIDTH,
    Drawing,
    as_plane,
    axes_at,
    figure_of,
    house_style,
    text_width,
)

SIDE = 0.3  # inches of a cell
EDGE = 0.08  # inches around the figure
FALL = 0.36  # inches from the cells of a round to the winners
LINE = 0.2  # inches of the line of text below a winner
MOST = 9  # candidates
WON = TAP_COLOURS[4]


class Match(NamedTuple):
    """What becomes of one or two candidates, counted from the left."""

    candidates: tuple[int, ...]
    winner: Any
    #: How the winner is made of them; empty for a candidate without an opponent.
    made: str


class Round(NamedTuple):
    """The matches of a round, and how many units its ReLU has."""

    matches: list[Match]
    units: int


def tournament(window: ArrayLike, *, nonnegative: bool = False) -> Drawing:
    """Draw the maximum of a window by ``max(a, b) = b + relu(a - b)``: pairs meet, winners go on.

    Parameters
    ----------
    window : array_like, shape ``(height, width)`` or ``(width,)``
        Two to nine numbers; they meet in row-major order.
    nonnegative : bool, default False
        Whether the network knows that none is negative: then a number that is carried through a
        ReLU takes one unit instead of two.

    Returns
    -------
    Drawing

    Raises
    ------
    ValueError
        If there are other than two to nine numbers, one of them is not real, or is negative
        although ``nonnegative``, or the numbers are too long to be drawn.

    See Also
    --------
    equivlib.to_mlp : builds the matrices of these rounds.

    Examples
    --------
    >>> tournament([[3, 1, 4]])  # doctest: +NORMALIZE_WHITESPACE
    The window, row by row: 3 1 4. Round 1, 5 units: 3 and 1 give 1 + relu(3 − 1) = 3; 4 waits.
    Round 2, 3 units: 3 and 4 give 4 + relu(3 − 4) = 4. The largest number is 4.
    """
    plane = as_plane(as_array("window", window))
    if plane.ndim != 2 or not 2 <= plane.size <= MOST:
        raise ValueError(f"window (of shape {plane.shape}) must hold two to {MOST} numbers")
    if plane.dtype.kind == "c":
        raise ValueError(f"window (of dtype {plane.dtype}) must be real")
    if nonnegative and plane.min() < 0:
        raise ValueError(f"window (with {written(plane.min())}) must not be negative anywhere")
    rounds = _rounds(plane.ravel().tolist(), nonnegative)
    if _closest(plane, rounds) > 1:
        raise ValueError(f"window (={plane.tolist()}) has numbers that are too long to be drawn")
    with house_style():
        figure = _figure(plane, rounds)
    rows = " | ".join(" ".join(map(signed, row)) for row in plane)
    candidates, told = plane.ravel().tolist(), []
    for number, one in enumerate(rounds, 1):
        told.append(_in_words(number, one, candidates))
        candidates = [match.winner for match in one.matches]
    alt = (
        f"The window, row by row: {rows}. {' '.join(told)} The largest number is "
        f"{signed(candidates[0])}."
    )
    return Drawing(figure, alt)


def _rounds(candidates: list[Any], nonnegative: bool) -> list[Round]:
    rounds = []
    while len(candidates) > 1:
        matches = []
        for first in range(0, len(candidates), 2):
            a, *others = candidates[first : first + 2]
            made = "".join(f"{signed(b)} + relu({signed(a)} {_less(b)})" for b in others)
            there = tuple(range(first, first + 1 + len(others)))
            matches.append(Match(there, max(a, *others) if others else a, made))
        carried = 1 if nonnegative else 2
        differences = len(candidates) // 2
        rounds.append(Round(matches, differences + carried * len(matches)))
        candidates = [match.winner for match in matches]
    return rounds


def _closest(plane: Array, rounds: Sequence[Round]) -> float:
    """Return which part of a pair's room in the first round the longest text takes."""
    room = 2 * (WIDTH - 2 * EDGE) / plane.size
    return max(text_width(_close(match.made)) for match in rounds[0].matches) / (room - 0.06)


def _close(text: str) -> str:
    return text.replace(" ", "")


def _less(value: Any) -> str:
    return f"{'+' if value < 0 else '−'} {written(abs(value))}"


def _in_words(number: int, one: Round, candidates: Sequence[Any]) -> str:
    parts = []
    for match in one.matches:
        met = " and ".join(signed(candidates[i]) for i in match.candidates)
        result = f"give {match.made} = {signed(match.winner)}" if match.made else "waits"
        parts.append(f"{met} {result}")
    return f"Round {number}, {one.units} units: {'; '.join(parts)}."


def _figure(plane: Array, rounds: Sequence[Round]) -> Figure:
    """Draw the window, its numbers in a row, and below them one round after the other."""
    size = 0.8 * SIDE
    top = EDGE + LINE + plane.shape[0] * size + 0.12
    height = top + SIDE + len(rounds) * (FALL + SIDE + LINE) + LINE + EDGE
    figure = figure_of(height)
    page = axes_at(figure, 0, 0, WIDTH, height)
    page.set(xlim=(0, WIDTH), ylim=(height, 0))
    page.set_axis_off()
    _window(figure, plane, size)
    slot = (WIDTH - 2 * EDGE) / plane.size
    places = [EDGE + slot * (i + 0.5) for i in range(plane.size)]
    values = plane.ravel().tolist()
    spaced = 2 * slot - 0.06 > max(text_width(match.made) for match in rounds[0].matches)
    y, text = top, 0.0  # the row of candidates, and the room of the text below it
    for one in rounds:
        begin, below = y + SIDE + text, y + SIDE + text + FALL
        winners = []
        for match in one.matches:
            wins = next(i for i in match.candidates if values[i] == match.winner)
            winners.append(sum(places[i] for i in match.candidates) / len(match.candidates))
            for i in match.candidates:
                _square(page, (places[i], y), values[i], i == wins)
                page.plot(
                    [places[i], winners[-1]], [begin, below], zorder=0,
                    color=INK if i == wins else GRID, linewidth=1.8 if i == wins else 0.9,
                    linestyle="-" if i == wins else (0, (4, 2)),
                )  # fmt: skip
            made = match.made if spaced else _close(match.made)
            _write(page, (winners[-1], below + SIDE + 0.03), made)
        places, values = winners, [match.winner for match in one.matches]
        y, text = below, LINE
    _square(page, (places[0], y), values[0], True)
    units = ", ".join(str(one.units) for one in rounds)
    _write(page, (WIDTH / 2, height - EDGE - LINE + 0.04), f"units, round by round: {units}")
    return figure


def _window(figure: Figure, plane: Array, size: float) -> None:
    rows, columns = plane.shape
    left = (WIDTH - columns * size) / 2
    drawn = axes_at(figure, left, EDGE + LINE, columns * size, rows * size)
    grid(drawn, plane.shape).set_title("the window")
    for at in np.ndindex(*plane.shape):
        cell(drawn, at, signed(plane[at]), PAPER, TEXT)


def _square(page: Axes, at: tuple[float, float], value: Any, wins: bool) -> None:
    (x, y), text = at, signed(value)
    wide = max(SIDE, text_width(text, 9) + 0.1)
    page.add_patch(
        Rectangle(
            (x - wide / 2, y), wide, SIDE, facecolor=WON if wins else EMPTY, edgecolor=GRID,
            linewidth=0.6,
        )
    )  # fmt: skip
    page.text(
        x, y + SIDE / 2, text, ha="center", va="center", fontsize=HEAD,
        weight="bold" if wins else "normal",
    )  # fmt: skip


def _write(page: Axes, at: tuple[float, float], text: str) -> None:
    page.text(*at, text, ha="center", va="top")
