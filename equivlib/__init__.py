"""The exact matrix of any convolution.

A convolutional layer is a fully connected layer whose weight matrix repeats a few numbers at fixed
places. ``equivlib`` builds that matrix, applies it without building it, takes it apart again, and
proves the formula of its entries with symbols.
"""

from . import layers
from .axis import PADDING_MODES
from .converse import NotAConvolution, kernel_from_matrix, project
from .convert import ConversionTable, UnsupportedLayer, conversion_table, to_cnn, to_mlp
from .explore import Explorer, NetworkExplorer, explore, explore_network
from .functional import conv, conv_transpose
from .geometry import Geometry
from .layers import Network
from .matrix import (
    MatrixTooLarge,
    conv_matrix,
    conv_operator,
    dense_to_conv,
    dense_to_pointwise,
    dot_test,
    tap_matrix,
)
from .patches import col2im, im2col
from .recognition import recognize
from .spectrum import operator_norm, singular_values

__all__ = [
    "PADDING_MODES",
    "ConversionTable",
    "Explorer",
    "Geometry",
    "MatrixTooLarge",
    "Network",
    "NetworkExplorer",
    "NotAConvolution",
    "UnsupportedLayer",
    "col2im",
    "conv",
    "conv_matrix",
    "conv_operator",
    "conv_transpose",
    "conversion_table",
    "dense_to_conv",
    "dense_to_pointwise",
    "dot_test",
    "explore",
    "explore_network",
    "im2col",
    "kernel_from_matrix",
    "layers",
    "operator_norm",
    "project",
    "recognize",
    "singular_values",
    "tap_matrix",
    "to_cnn",
    "to_mlp",
]

__version__ = "0.1.0"
