"""Chains of layers on one axis: what each number depends on, and where its cell lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from ..convolution.functional import conv
from ..convolution.geometry import Geometry
from ..convolution.options import GeometryOptions
from ..convolution.patches import Array, as_array
from ..labels import TAP_COLOURS
from ._style import GRID, PAPER, WIDTH, axes_at, figure_of, text_width

LARGEST = 0.3  # inches, the side of a cell
EDGE, ROOM = 0.08, 0.3  # inches, around the figure and for the title of a panel
SHARED, DIFFERENT = TAP_COLOURS[4], TAP_COLOURS[3]

#: The weights of each layer and its options, by its name.
Layers: TypeAlias = Mapping[str, tuple[ArrayLike, GeometryOptions]]


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
        """Return the first and the last place of the input that number i depends on."""
        first = self.step * i - self.over
        return first, first + self.span - 1

    def left(self, i: int) -> float:
        """Return where the cell of number i begins: over the middle of what it depends on."""
        return self.step * i - self.over + (self.span - 1) / 2


def levels_of(layers: Layers, x: Array) -> list[Level]:
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


def canvas(
    levels: Sequence[Level], rows: float, panels: int = 1, extra: float = 0
) -> tuple[Figure, list[Axes], float]:
    """Return axes below each other in which a number of the input takes a square of that side.

    Each has so many rows of squares, and ``extra`` inches below them.
    """
    margin = EDGE + max(text_width(level.name) for level in levels) + 0.1
    over = [_reach(level) for level in levels]
    first, end = min(low for low, _ in over), max(high for _, high in over)
    side = min(LARGEST, (WIDTH - margin - EDGE) / (end - first))
    height = rows * side + extra
    room = ROOM if panels > 1 else EDGE
    figure = figure_of(panels * (room + height) + EDGE)
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
    """Return from where to where the cells of a level go, those of its padding included."""
    _, _, _, low, high = level.read
    return level.left(-low), level.left(len(level.values) - 1 + high) + 1


def write_name(axes: Axes, level: Level, y: float, side: float) -> None:
    first, _ = axes.get_xlim()
    axes.text(first - 0.07 / side, y + 0.5, level.name, ha="right", va="center")


def draw_padding(axes: Axes, level: Level, y: float, text: str, shift: int = 0) -> None:
    """Draw dashed the places that the next layer reads before and behind the numbers."""
    _, _, _, low, high = level.read
    count = len(level.values)
    for i in [*range(-low, 0), *range(count, count + high)]:
        at = level.left(i) + shift
        axes.add_patch(
            Rectangle((at, y), 1, 1, facecolor=PAPER, edgecolor=GRID, linewidth=0.8,
                      linestyle=(0, (2, 2)), clip_on=False)
        )  # fmt: skip
        axes.text(at + 0.5, y + 0.5, text, ha="center", va="center")
