"""Networks from and to ONNX files."""

from .reader import load
from .writer import save

__all__ = ["load", "save"]
