"""A network as another one, equal on every input: Dense and ReLU only, or (plain) convolutions."""

from .conversion_table import ConversionTable, Cost, conversion_table
from .network_recognition import recognize_network
from .plain import PlainReport, Rewriting, plain_report, to_plain
from .plan import UnsupportedLayer
from .to_cnn import to_cnn
from .to_mlp import to_mlp

__all__ = [
    "ConversionTable",
    "Cost",
    "PlainReport",
    "Rewriting",
    "UnsupportedLayer",
    "conversion_table",
    "plain_report",
    "recognize_network",
    "to_cnn",
    "to_mlp",
    "to_plain",
]
