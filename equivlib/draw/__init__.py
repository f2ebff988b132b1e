"""Figures of the matrix and of what it does, each with its description in words.

Every function returns a :class:`Drawing`: a matplotlib figure and its alt text, both made from the
same data. Nothing is told by colour alone: equal weights share a colour and a label or a place in
the legend, curves have a marker, a dash and a name at their end.
"""

from ..labels import TAP_COLOURS
from .blocks import structure
from .columns import patches
from .gradient import column_counts, shared_gradient, transpose
from .grids import grids
from .heatmap import heat
from .image import images
from .inclusions import inclusions
from .intervals import estimates
from .matrix import layer, matrices
from .plots import costs, curves, spectrum
from .roof import roofline
from .shortcut import shortcut
from .sliding import crop, full_extent, receptive_field
from .style import DPI, LINES, PAPER, WIDTH, Drawing
from .tournament import tournament

__all__ = [
    "DPI",
    "LINES",
    "PAPER",
    "TAP_COLOURS",
    "WIDTH",
    "Drawing",
    "column_counts",
    "costs",
    "crop",
    "curves",
    "estimates",
    "full_extent",
    "grids",
    "heat",
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
