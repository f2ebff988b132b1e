"""The exact matrix of any convolution.

A convolutional layer is a fully connected layer whose weight matrix repeats a few numbers at fixed
places. ``equivlib`` builds that matrix, applies it without building it, takes it apart again, and
proves the formula of its entries with symbols.
"""

from typing import TYPE_CHECKING

from . import layers
from .convert import (
    ConversionTable,
    PlainReport,
    UnsupportedLayer,
    conversion_table,
    plain_report,
    recognize_network,
    to_cnn,
    to_mlp,
    to_plain,
)
from .convolution import (
    PADDING_MODES,
    Geometry,
    GeometryOptions,
    MatrixTooLarge,
    NormBounds,
    NotAConvolution,
    Projection,
    Recognition,
    col2im,
    conv,
    conv_matrix,
    conv_operator,
    conv_transpose,
    dense_to_conv,
    dense_to_pointwise,
    dot_test,
    im2col,
    kernel_from_matrix,
    norm_bounds,
    operator_norm,
    project,
    recognize,
    singular_values,
    tap_matrix,
)
from .convolution.pattern import pattern
from .explorer import Explorer, NetworkExplorer, explore, explore_network
from .layers import Network
from .lipschitz import lipschitz_bound

if not TYPE_CHECKING:  # a type checker then still says which names there are
    from ._moved import __getattr__  # noqa: F401

__all__ = [
    "PADDING_MODES",
    "ConversionTable",
    "Explorer",
    "Geometry",
    "GeometryOptions",
    "MatrixTooLarge",
    "Network",
    "NetworkExplorer",
    "NormBounds",
    "NotAConvolution",
    "PlainReport",
    "Projection",
    "Recognition",
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
    "lipschitz_bound",
    "norm_bounds",
    "operator_norm",
    "pattern",
    "plain_report",
    "project",
    "recognize",
    "recognize_network",
    "singular_values",
    "tap_matrix",
    "to_cnn",
    "to_mlp",
    "to_plain",
]

__version__ = "0.1.0"
