"""The house style: one sheet for all figures, their colours and sizes, and what a figure is.

The colours are Paul Tol's (Technical Note SRON/EPS/TN/09-002), told apart with every kind of colour
vision. Text has at least 8 points on a width of 4.2 inches: 9 px high on a screen of 390 px.
"""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patheffects import withStroke
from matplotlib.textpath import TextPath
from matplotlib.typing import LineStyleType

from ..convolution.patches import Array
from ..labels import written

# The "iridescent" scheme without its ends: lightness falls from each colour to the next.
RAMP = (
    "#D0E7CA", "#C2E3D2", "#B5DDD8", "#A8D8DC", "#9BD2E1", "#8DCBE4",
    "#81C4E7", "#7BBCE7", "#7EB2E4", "#88A5DD", "#9398D2", "#9B8AC4", "#9D7DB2", "#9A709E",
    "#906388", "#805770", "#684957",
)  # fmt: skip
# The "BuRd" scheme: as dark on either side, white in the middle.
DIVERGING = (
    "#2166AC", "#4393C3", "#92C5DE", "#D1E5F0", "#F7F7F7", "#FDDBC7", "#F4A582", "#D6604D",
    "#B2182B",
)  # fmt: skip
INK, GRID, PAPER, EMPTY = "#1b1b1b", "#9a9a9a", "#fdfdfb", "#f1f1ee"

WIDTH = 4.2  # inches
DPI = 200
TEXT, HEAD = 8.0, 9.0  # points: the smallest, and of titles and of the names of axes

#: What matplotlib draws all figures with, over its own defaults.
STYLE: dict[str, Any] = {
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "text.color": INK,
    "font.size": TEXT,
    "axes.titlesize": HEAD,
    "axes.titlepad": 4,
    "axes.labelsize": HEAD,
    "axes.labelcolor": INK,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": "#e2e2de",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
}
#: The edge that markers have.
MARKED: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.5}


class Line(NamedTuple):
    """How one of several curves is drawn: any one of the three tells it from the others."""

    colour: str
    marker: str
    dash: LineStyleType


# Colours of the "muted" scheme that stand out from the paper by 3 to 1 or more.
LINES = (
    Line("#332288", "o", "-"),
    Line("#CC6677", "s", (0, (5, 1.5))),
    Line("#117733", "^", (0, (1.2, 1.2))),
    Line("#AA4499", "D", (0, (5, 1.5, 1.2, 1.5))),
    Line("#882255", "v", (0, (8, 2))),
    Line("#555555", "X", (0, (3, 1.2, 1.2, 1.2, 1.2, 1.2))),
)


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

    def png(self, dpi: int = DPI) -> bytes:
        """Return the figure as a PNG file, the same bytes every time.

        Parameters
        ----------
        dpi : int, default 200
            Pixels per inch; the figure is 4.2 inches wide.
        """
        buffer = io.BytesIO()
        with house_style():
            self.figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
        return buffer.getvalue()

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, bytes | str], dict[str, object]]:
        width = round(self.figure.get_figwidth() * 130)
        return (
            {"image/png": self.png(), "text/plain": self.alt},
            {"image/png": {"width": width, "alt": self.alt}},
        )


def house_style() -> AbstractContextManager[None]:
    """Return a context in which figures have the book's style, whatever a session has set.

    Make a figure in it; `Drawing` also writes it in it.

    Examples
    --------
    >>> import matplotlib
    >>> from equivlib import draw
    >>> size = matplotlib.rcParams["font.size"]
    >>> with draw.house_style():
    ...     matplotlib.rcParams["font.size"] == draw.TEXT
    True
    >>> matplotlib.rcParams["font.size"] == size
    True
    """
    return matplotlib.style.context(["default", STYLE])


def figure_of(height: float) -> Figure:
    """Return an empty figure of the width that all figures of the book have.

    Parameters
    ----------
    height : float
        In inches; the width is ``draw.WIDTH`` inches.

    Examples
    --------
    >>> from equivlib import draw
    >>> draw.figure_of(2).get_size_inches().tolist() == [draw.WIDTH, 2]
    True
    """
    return Figure(figsize=(WIDTH, height), layout=None)


def axes_at(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Add axes to a figure, placed by inches from its top left corner, and return them.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    left, top, width, height : float
        In inches. What reaches beyond the figure is cut off.

    Examples
    --------
    The lower half of a figure, in matplotlib's shares of the figure from the bottom left corner:

    >>> from equivlib import draw
    >>> axes = draw.axes_at(draw.figure_of(2), 0, 1, draw.WIDTH, 1)
    >>> [float(part) for part in axes.get_position().bounds]
    [0.0, 0.0, 1.0, 0.5]
    """
    across, down = figure.get_size_inches()
    return figure.add_axes(
        (left / across, 1 - (top + height) / down, width / across, height / down)
    )


def check_across(across: object) -> None:
    """Refuse a number of panels in a row that is none."""
    if not isinstance(across, int) or isinstance(across, bool) or across < 1:
        raise ValueError(f"across (={across!r}) must be an integer of at least 1")


def text_width(text: str, size: float = TEXT) -> float:
    """Return the inches that the longest line of a text takes, known before it is drawn."""
    lines = [line for line in text.split("\n") if line.strip()]
    font = FontProperties(family="DejaVu Sans")
    points = (TextPath((0, 0), line, size=size, prop=font).vertices[:, 0].max() for line in lines)
    return float(max(points, default=0.0)) / 72


def numbers_width(array: Array) -> float:
    """Return the inches that each number of an array takes: a digit is the widest of its signs."""
    return text_width("0" * max(len(written(value)) for value in array.flat))


def halo(width: float = 3, colour: str = PAPER) -> list[withStroke]:
    """Return what keeps a text or a line apart from what it lies on."""
    return [withStroke(linewidth=width, foreground=colour)]


def as_plane(array: Array) -> Array:
    """Return an array of one axis as a single row."""
    return array.reshape(1, -1) if array.ndim == 1 else array


def size_in_words(plane: Array) -> str:
    """Write a size as rows × columns."""
    return f"{plane.shape[0]} × {plane.shape[1]}"
