"""One convolutional layer: its map, its matrix, and the way back from the matrix."""

from .functional import conv, conv_transpose
from .geometry import Geometry
from .matrix import (
    MatrixTooLarge,
    conv_matrix,
    conv_operator,
    dense_to_conv,
    dense_to_pointwise,
    dot_test,
    tap_matrix,
)
from .norms import NormBounds, norm_bounds
from .options import PADDING_MODES, GeometryOptions
from .patches import col2im, im2col
from .projection import NotAConvolution, Projection, kernel_from_matrix, project
from .recognition import Recognition, recognize
from .spectrum import operator_norm, singular_values

__all__ = [
    "PADDING_MODES",
    "Geometry",
    "GeometryOptions",
    "MatrixTooLarge",
    "NormBounds",
    "NotAConvolution",
    "Projection",
    "Recognition",
    "col2im",
    "conv",
    "conv_matrix",
    "conv_operator",
    "conv_transpose",
    "dense_to_conv",
    "dense_to_pointwise",
    "dot_test",
    "im2col",
    "kernel_from_matrix",
    "norm_bounds",
    "operator_norm",
    "project",
    "recognize",
    "singular_values",
    "tap_matrix",
]
