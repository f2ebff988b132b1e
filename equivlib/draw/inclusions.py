"""Which layers contain which: convolutions, locally connected layers, all matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Unpack

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from ..convolution.geometry import Geometry
from ..convolution.options import GeometryOptions, check_names, lists_options
from ._cells import cell, grid
from ._entries import entries_of, summed, tap_colour, weight_labels
from ._style import (
    EMPTY,
    HEAD,
    INK,
    TEXT,
    WIDTH,
    Drawing,
    axes_at,
    figure_of,
    house_style,
    text_width,
)

FREE = "#dfe6ee"  # of an entry with a weight of its own
PAPERS = ("#f4f4f0", "#e9e9e2", "#fdfdfb")  # of the three sets, from the outermost on
EDGE, GAP = 0.05, 0.13  # inches around all, and between one frame and the next
LINE = 0.17  # inches of a line of text
MOST = 0.3  # inches of a cell at most
MATRICES = 1.85  # inches that a matrix may take

Found = Mapping[tuple[int, int], str]


class Kind(NamedTuple):
    """One of the three sets of layers."""

    name: str
    #: What holds for its matrices.
    rule: str
    free: int
    #: What stands in each entry that is not empty.
    labels: Found
    #: What an entry is filled with, by its label.
    colours: Mapping[str, str]


@lists_options
def inclusions(
    weight_shape: Sequence[int],
    input_shape: Sequence[int],
    *,
    names: str = "k",
    **options: Unpack[GeometryOptions],
) -> Drawing:
    """Draw three sets of layers, one inside the other, each with a matrix and its free numbers.

    The innermost are the convolutions of one geometry. Around them are the locally connected
    layers: as many zeros, and a weight of its own in every other entry. Around both are all
    matrices of this shape, the fully connected layers.

    Parameters
    ----------
    weight_shape, input_shape : tuple of int
        As in :class:`~equivlib.Geometry`, so small that the entries can be labelled.
    names : str
        Letter of the weights of the convolution; those of the two other layers are called w.
    **options : GeometryOptions

    Returns
    -------
    Drawing

    Raises
    ------
    ValueError
        If the shapes or options are those that :class:`~equivlib.Geometry` refuses, the padding
        mode is not ``'zeros'``, or the matrix is too large to draw.

    Examples
    --------
    >>> inclusions((1, 1, 2), (1, 3))  # doctest: +NORMALIZE_WHITESPACE
    Three sets, one inside the other, each with a matrix of 2 rows and 3 columns, row by row, a dot
    for an empty entry. All matrices (fully connected), 6 free numbers: w0 w1 w2 | w3 w4 w5. Inside
    them the locally connected layers (locality), 4 free numbers: w0 w1 . | . w2 w3. Inside these
    the convolutions (locality and weight sharing), 2 free numbers: k0 k1 . | . k0 k1.
    """
    check_names(options, "inclusions", ("names",))
    geometry = Geometry(tuple(weight_shape), tuple(input_shape), **options)
    if geometry.padding_mode != "zeros":
        raise ValueError(
            f"padding_mode (={geometry.padding_mode!r}) must be 'zeros': with any other a locally "
            "connected layer is not defined"
        )
    kinds = _kinds(geometry, names)
    rows, columns = geometry.matrix_shape
    unit = min(MOST, MATRICES / columns)
    if max(text_width(text) for kind in kinds for text in kind.colours) + 0.04 > unit or rows > 8:
        raise ValueError(
            f"weight_shape (={geometry.weight_shape}) on input_shape (={geometry.input_shape}) "
            f"has a matrix of {rows} × {columns}; it must have 8 rows at most and cells that hold "
            "their labels"
        )
    with house_style():
        figure = _figure(kinds, geometry.matrix_shape, unit)
    every, local, shared = (
        f"{_count(kind)}: {_spelled(kind.labels, geometry.matrix_shape)}" for kind in kinds
    )
    alt = (
        f"Three sets, one inside the other, each with a matrix of {rows} rows and {columns} "
        f"columns, row by row, a dot for an empty entry. All matrices (fully connected), {every}. "
        f"Inside them the locally connected layers (locality), {local}. Inside these the "
        f"convolutions (locality and weight sharing), {shared}."
    )
    return Drawing(figure, alt)


def _kinds(geometry: Geometry, names: str) -> tuple[Kind, Kind, Kind]:
    """Return all matrices, the locally connected layers and the convolutions, in this order."""
    rows, columns = geometry.matrix_shape
    held = summed(entries_of(geometry))
    named = weight_labels(geometry, names)
    every = [(i, j) for i in range(rows) for j in range(columns)]
    used = {weights[0] for weights in held.values()}
    shared = {at: named[weights[0]] for at, weights in held.items()}
    colours = {named[t]: tap_colour(t) for t in sorted(used)}
    return (
        _free("all matrices\n(fully connected)", "", every),
        _free("locally connected", "locality", sorted(held)),
        Kind("convolutions", "locality and\nweight sharing", len(used), shared, colours),
    )


def _free(name: str, rule: str, entries: Sequence[tuple[int, int]]) -> Kind:
    """Return the layers with a weight of its own in each of these entries."""
    labels = {at: f"w{number}" for number, at in enumerate(entries)}
    return Kind(name, rule, len(entries), labels, dict.fromkeys(labels.values(), FREE))


def _figure(kinds: Sequence[Kind], shape: tuple[int, int], unit: float) -> Figure:
    """Draw frames one inside the other; in each, above the next, its words and its matrix."""
    tall = max(shape[0] * unit, 5 * LINE) + GAP
    height = 2 * EDGE + len(kinds) * (tall + 2 * GAP) - GAP
    figure = figure_of(height)
    page = axes_at(figure, 0, 0, WIDTH, height)
    page.set(xlim=(0, WIDTH), ylim=(height, 0))
    page.set_axis_off()
    for depth, kind in enumerate(kinds):
        inside = EDGE + depth * GAP
        top = EDGE + depth * (tall + GAP)
        size = WIDTH - 2 * inside, height - top - inside
        page.add_patch(
            FancyBboxPatch(
                (inside, top), *size, boxstyle="round,pad=0,rounding_size=0.1",
                facecolor=PAPERS[depth], edgecolor=INK, linewidth=1,
            )
        )  # fmt: skip
        _words(page, kind, inside + GAP, top + GAP)
        left = WIDTH - EDGE - len(kinds) * GAP - shape[1] * unit
        matrix = axes_at(figure, left, top + GAP, shape[1] * unit, shape[0] * unit)
        grid(matrix, shape)
        for i in range(shape[0]):
            for j in range(shape[1]):
                text = kind.labels.get((i, j), "")
                cell(matrix, (i, j), text, kind.colours.get(text, EMPTY), TEXT)
    return figure


def _words(page: Axes, kind: Kind, left: float, top: float) -> None:
    page.text(left, top, kind.name, fontsize=HEAD, weight="bold", va="top")
    below = top + LINE * (kind.name.count("\n") + 1) + 0.04
    told = f"{_count(kind)}\n{kind.rule}"
    page.text(left, below, told, fontsize=HEAD, va="top", linespacing=1.3)


def _count(kind: Kind) -> str:
    return f"{kind.free} free number{'s' * (kind.free != 1)}"


def _spelled(labels: Found, shape: tuple[int, int]) -> str:
    rows = (" ".join(labels.get((i, j), ".") for j in range(shape[1])) for i in range(shape[0]))
    return " | ".join(rows)
