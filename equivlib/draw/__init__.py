"""Figures of the matrix and of what it does, each with its description in words.

Every function returns a :class:`Drawing`: a matplotlib figure and its alt text, both made from the
same data. Nothing is told by colour alone: equal weights share a colour and a label or a place in
the legend, curves have a marker, a dash and a name at their end. A figure of one's own has the same
style if it is made by :func:`figure_of` inside of ``with house_style():``.
"""

from ..labels import TAP_COLOURS
from ._series import half_width
from ._style import (
    DPI,
    INK,
    LINES,
    PAPER,
    RAMP,
    TEXT,
    WIDTH,
    Drawing,
    axes_at,
    figure_of,
    house_style,
)
from .column_counts import column_counts
from .costs import costs
from .crop import crop
from .curves import curves
from .estimates import estimates
from .full_extent import full_extent
from .grids import grids
from .heat import heat
from .images import images
from .inclusions import inclusions
from .layer import layer
from .matrices import matrices
from .patches import patches
from .receptive_field import receptive_field
from .roofline import roofline
from .shared_gradient import shared_gradient
from .shortcut import shortcut
from .spectrum import spectrum
from .structure import structure
from .tournament import tournament
from .transpose import transpose

__all__ = [
    "DPI",
    "INK",
    "LINES",
    "PAPER",
    "RAMP",
    "TAP_COLOURS",
    "TEXT",
    "WIDTH",
    "Drawing",
    "axes_at",
    "column_counts",
    "costs",
    "crop",
    "curves",
    "estimates",
    "figure_of",
    "full_extent",
    "grids",
    "half_width",
    "heat",
    "house_style",
    "images",
    "inclusions",
    "layer",
    "matrices",
    "patches",
    "receptive_field",
    "roofline",
    "shared_gradient",
    "shortcut",
    "spectrum",
    "structure",
    "tournament",
    "transpose",
]
