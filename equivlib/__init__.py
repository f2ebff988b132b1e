"""The exact matrix of any convolution.

A convolutional layer is a fully connected layer whose weight matrix repeats a few numbers at fixed
places. ``equivlib`` builds that matrix, applies it without building it, and proves it.
"""

from .axis import PADDING_MODES
from .functional import conv
from .geometry import Geometry
from .matrix import MatrixTooLarge, conv_matrix, conv_operator, tap_matrix
from .patches import col2im, im2col

__all__ = [
    "PADDING_MODES",
    "Geometry",
    "MatrixTooLarge",
    "col2im",
    "conv",
    "conv_matrix",
    "conv_operator",
    "im2col",
    "tap_matrix",
]

__version__ = "0.1.0"
