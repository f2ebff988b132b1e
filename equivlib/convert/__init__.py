"""A network as another one, equal on every input: Dense and ReLU only, or convolutions only."""

from .network_recognition import recognize_network
from .plan import UnsupportedLayer
from .table import ConversionTable, Cost, conversion_table
from .to_cnn import to_cnn
from .to_mlp import to_mlp

__all__ = [
    "ConversionTable",
    "Cost",
    "UnsupportedLayer",
    "conversion_table",
    "recognize_network",
    "to_cnn",
    "to_mlp",
]
