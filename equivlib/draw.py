"""Figures of the matrix and of what it does, each with its description in words.

Every function returns a :class:`Drawing`: a matplotlib figure and its alt text, both made from the
same data. Equal weights share a colour and a label, so that nothing is told by colour alone.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from .functional import conv
from .geometry import Geometry
from .matrix import tap_matrix
from .patches import Array, as_array
from .pattern import pattern
from .symbolic import symbol_array

# Paul Tol's "light" scheme (Technical Note SRON/EPS/TN/09-002): made to fill labelled cells, told
# apart with every kind of colour vision.
TAP_COLOURS = (
    "#77AADD", "#EE8866", "#EEDD88", "#FFAABB", "#99DDFF", "#44BB99", "#BBCC33", "#AAAA00",
    "#DDDDDD",
)  # fmt: skip
INK, GRID, PAPER, EMPTY = "#1b1b1b", "#9a9a9a", "#fdfdfb", "#f1f1ee"

WIDTH = 4.2  # inches: a label of 8 points is 9 px high on a screen of 390 px
DPI = 200


@dataclass(frozen=True)
class Drawing:
    """A figure with its alt text; a notebook shows the figure and stores the text beside it.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
    alt : str
        What the figure shows, in words, from the same data.
    """

    figure: Figure
    alt: str

    def __repr__(self) -> str:
        return self.alt

    def png(self) -> bytes:
        """The figure as a PNG file, the same bytes every time."""
        buffer = io.BytesIO()
        self.figure.savefig(
            buffer, format="png", dpi=DPI, facecolor=PAPER, metadata={"Software": None}
        )
        return buffer.getvalue()

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        width = round(self.figure.get_figwidth() * 130)
        return (
            {"image/png": self.png(), "text/plain": self.alt},
            {"image/png": {"width": width, "alt": self.alt}},
        )


def layer(
    weight: ArrayLike, x: ArrayLike, *, output: int = 0, names: str = "k", **options: Any
) -> Drawing:
    """One layer twice: the kernel on its patch, and the row of the matrix that does the same.

    Parameters
    ----------
    weight : array_like, shape ``(1, 1, *kernel)``
        One or two spatial axes, one channel in and out.
    x : array_like, shape ``(1, *spatial)``
    output : int, default 0
        The output position, counted row-major, whose patch and row are marked.
    names : str
        Letter of the weights.
    **options
        As in :class:`~equivlib.Geometry`.

    Returns
    -------
    Drawing
    """
    x, weight = as_array("x", x), as_array("weight", weight)
    geometry = Geometry(weight.shape, x.shape, **options)
    _require_one_channel(geometry)
    y = conv(x, weight, **options)[0]
    if not 0 <= output < y.size:
        raise ValueError(f"output (={output}) must be a position from 0 to {y.size - 1}")
    labels = _tap_labels(geometry, names)
    reads = pattern(geometry)[output]
    read_by = {int(j): labels[t] for t, j in enumerate(reads) if j >= 0}

    kernel = _as_plane(weight[0, 0])
    image, result = _as_plane(x[0]), _as_plane(y)
    rows, columns = geometry.matrix_shape
    widths = [image.shape[1], kernel.shape[1], result.shape[1]]
    heights = [max(image.shape[0], kernel.shape[0], result.shape[0]) + 0.7, rows]
    unit = WIDTH / max(sum(widths) + 4.4, columns + 1.2)
    figure = Figure(figsize=(WIDTH, unit * sum(heights) + 0.75), layout=None)
    total = figure.get_figheight()

    def place(left: float, top: float, plane: Array) -> Axes:
        h, w = plane.shape
        box = (left * unit / WIDTH, 1 - (0.3 + (top + h) * unit) / total)
        return _grid(figure.add_axes((*box, w * unit / WIDTH, h * unit / total)), plane.shape)

    gap = (WIDTH / unit - sum(widths)) / 4
    lefts = np.cumsum([gap, *(w + gap for w in widths[:2])])
    size = min(9.5, unit * 31)
    drawn = place(lefts[0], 0, image)
    _title(drawn, "input x")
    for j, value in enumerate(image.flat):
        label = read_by.get(j)
        _cell(drawn, divmod(j, image.shape[1]), _number(value), _colour(labels, label), size)
    drawn = place(lefts[1], 0, kernel)
    _title(drawn, f"kernel {names}")
    for t, value in enumerate(kernel.flat):
        text = f"{labels[t]}\n{_number(value)}"
        _cell(drawn, divmod(t, kernel.shape[1]), text, _colour(labels, labels[t]), size * 0.85)
    drawn = place(lefts[2], 0, result)
    _title(drawn, "output y")
    for o, value in enumerate(result.flat):
        colour = PAPER if o == output else EMPTY
        _cell(drawn, divmod(o, result.shape[1]), _number(value), colour, size, bold=o == output)
    drawn = place((WIDTH / unit - columns) / 2, heights[0] + 0.3 / unit, np.empty((rows, columns)))
    _title(drawn, f"the same as one matrix W, {rows} × {columns}")
    _matrix_cells(drawn, geometry, labels, min(8.5, unit * 30))
    _mark_row(drawn, output, columns)
    used = ", ".join(f"{label} on x[{j}]" for j, label in sorted(read_by.items()))
    alt = (
        f"Input of {_size(image)}, kernel of {_size(kernel)}, output of {_size(result)}, and the "
        f"matrix W of {rows} rows and {columns} columns with {geometry.nnz} entries that are not "
        f"empty. Output {output} is marked: it reads {used}, and row {output} of W holds the same "
        f"weights in the same columns; its value is {_number(result.flat[output])}."
    )
    return Drawing(figure, alt)


def matrices(
    cases: Mapping[str, Mapping[str, Any]],
    weight_shape: Sequence[int],
    input_shape: Sequence[int],
    *,
    names: str = "k",
    across: int = 2,
) -> Drawing:
    """The matrices of one kernel under several options, side by side, equal weights alike.

    Parameters
    ----------
    cases : mapping of str to mapping
        Title and geometry options of each matrix.
    weight_shape, input_shape : tuple of int
        As in :class:`~equivlib.Geometry`; one channel in and out.
    names : str
        Letter of the weights.
    across : int, default 2
        Matrices in a row of the figure.

    Returns
    -------
    Drawing
    """
    if not cases:
        raise ValueError("cases (={}) must hold at least one title with its options")
    geometries = {
        title: Geometry(tuple(weight_shape), tuple(input_shape), **options)
        for title, options in cases.items()
    }
    columns = max(g.matrix_shape[1] for g in geometries.values())
    lines = [list(geometries.items())[i : i + across] for i in range(0, len(cases), across)]
    unit = WIDTH / (across * (columns + 0.9) + 0.3)
    heights = [max(g.matrix_shape[0] for _, g in line) for line in lines]
    figure = Figure(figsize=(WIDTH, sum(h * unit + 0.42 for h in heights) + 0.1), layout=None)
    total, top, told = figure.get_figheight(), 0.0, []
    for line, height in zip(lines, heights, strict=True):
        top += 0.34
        for number, (title, geometry) in enumerate(line):
            _require_one_channel(geometry)
            rows = geometry.matrix_shape[0]
            left = (0.6 + number * (columns + 0.9)) * unit
            box = (left / WIDTH, 1 - (top + rows * unit) / total)
            shape = geometry.matrix_shape
            drawn = figure.add_axes((*box, shape[1] * unit / WIDTH, rows * unit / total))
            _title(_grid(drawn, shape), title)
            _matrix_cells(drawn, geometry, _tap_labels(geometry, names), min(8.5, unit * 30))
            told.append(f"{title}: {_rows_in_words(geometry, names)}")
        top += height * unit + 0.08
    alt = (
        "Matrices of the same kernel, row by row, a dot for an empty entry: "
        + " ".join(told)[:-1]
        + "."
    )
    return Drawing(figure, alt)


def images(planes: Mapping[str, ArrayLike], *, across: int = 2, of: str = "images") -> Drawing:
    """Grey images side by side, each stretched from its least to its greatest value.

    Parameters
    ----------
    planes : mapping of str to array_like, shape ``(height, width)``
        Title and values of each image.
    across : int, default 2
        Images in a row of the figure.
    of : str
        What they are images of, for the alt text.

    Returns
    -------
    Drawing
    """
    arrays = {title: as_array(title, plane) for title, plane in planes.items()}
    if not arrays or any(plane.ndim != 2 for plane in arrays.values()):
        shapes = {title: plane.shape for title, plane in arrays.items()}
        raise ValueError(f"planes (of shapes {shapes}) must be one or more two-dimensional arrays")
    lines = -(-len(arrays) // across)
    side = (WIDTH - 0.1 * (across + 1)) / across
    tallest = max(plane.shape[0] / plane.shape[1] for plane in arrays.values())
    figure = Figure(figsize=(WIDTH, lines * (side * tallest + 0.36) + 0.1), layout=None)
    total = figure.get_figheight()
    for number, (title, plane) in enumerate(arrays.items()):
        line, column = divmod(number, across)
        left = 0.1 + column * (side + 0.1)
        bottom = total - (line + 1) * (side * tallest + 0.36)
        drawn = figure.add_axes(
            (left / WIDTH, bottom / total, side / WIDTH, side * tallest / total)
        )
        drawn.imshow(plane, cmap="gray", interpolation="nearest")
        drawn.set_xticks([])
        drawn.set_yticks([])
        _title(drawn, title)
    told = ", ".join(f"{title} ({_size(plane)} pixels)" for title, plane in arrays.items())
    return Drawing(figure, f"Grey {of} side by side: {told}.")


def _require_one_channel(geometry: Geometry) -> None:
    if geometry.weight_shape[:2] != (1, 1) or geometry.ndim > 2:
        raise ValueError(
            f"weight_shape (={geometry.weight_shape}) must be (1, 1, *kernel) with one or two "
            "spatial axes to be drawn"
        )


def _as_plane(array: Array) -> Array:
    return array.reshape(1, -1) if array.ndim == 1 else array


def _size(plane: Array) -> str:
    return f"{plane.shape[0]} × {plane.shape[1]}"


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, (float, np.floating)) else str(value)


def _tap_labels(geometry: Geometry, names: str) -> list[str]:
    return [str(symbol) for symbol in symbol_array(names, geometry.kernel_size).flat]


def _entries(geometry: Geometry, labels: Sequence[str]) -> dict[tuple[int, int], list[str]]:
    """For each entry of W that is not empty, the labels of the weights that are summed in it."""
    entries: dict[tuple[int, int], list[str]] = {}
    for tap, label in zip(np.ndindex(*geometry.weight_shape), labels, strict=True):
        places = tap_matrix(tap, geometry.weight_shape, geometry.input_shape, **geometry.options)
        coordinates = places.tocoo()
        for row, column, times in zip(*coordinates.coords, coordinates.data, strict=True):
            entries.setdefault((int(row), int(column)), []).extend([label] * int(times))
    return entries


def _rows_in_words(geometry: Geometry, names: str) -> str:
    entries = _entries(geometry, _tap_labels(geometry, names))
    rows, columns = geometry.matrix_shape
    lines = (
        " ".join("+".join(entries.get((row, column), ["."])) for column in range(columns))
        for row in range(rows)
    )
    return " | ".join(lines) + ";"


def _colour(labels: Sequence[str], label: str | None) -> str:
    return PAPER if label is None else TAP_COLOURS[labels.index(label) % len(TAP_COLOURS)]


def _grid(axes: Axes, shape: tuple[int, ...]) -> Axes:
    axes.set_xlim(0, shape[1])
    axes.set_ylim(shape[0], 0)
    axes.set_axis_off()
    return axes


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, fontsize=9, color=INK, pad=4)


def _cell(
    axes: Axes, at: tuple[int, int], text: str, colour: str, size: float, bold: bool = False
) -> None:
    row, column = at
    axes.add_patch(_rectangle(column, row, 1, colour, GRID, 0.6))
    axes.text(
        column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=size, color=INK,
        weight="bold" if bold else "normal", linespacing=1.1,
    )  # fmt: skip
    if bold:
        axes.add_patch(_rectangle(column, row, 1, "none", INK, 2))


def _matrix_cells(axes: Axes, geometry: Geometry, labels: Sequence[str], size: float) -> None:
    entries = _entries(geometry, labels)
    for at in np.ndindex(*geometry.matrix_shape):
        summed = entries.get((at[0], at[1]))
        colour = EMPTY if summed is None else _colour(labels, summed[0])
        text = "" if summed is None else "\n+".join(summed)
        _cell(axes, (at[0], at[1]), text, colour, size)
        if summed is not None and len(set(summed)) > 1:  # a second weight takes half of the cell
            _half(axes, (at[0], at[1]), _colour(labels, summed[1]))


def _half(axes: Axes, at: tuple[int, int], colour: str) -> None:
    row, column = at
    corners = [(column + 1, row), (column + 1, row + 1), (column, row + 1)]
    axes.fill(*zip(*corners, strict=True), facecolor=colour, edgecolor="none", zorder=1.5)


def _mark_row(axes: Axes, row: int, columns: int) -> None:
    axes.add_patch(_rectangle(0, row, columns, "none", INK, 2))


def _rectangle(x: float, y: float, width: float, face: str, edge: str, line: float) -> Any:
    return Rectangle(
        (x, y), width, 1, facecolor=face, edgecolor=edge, linewidth=line, clip_on=False,
        zorder=2 if face == "none" else 1,
    )  # fmt: skip
