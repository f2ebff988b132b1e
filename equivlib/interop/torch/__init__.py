"""Networks from and to PyTorch modules."""

from .reader import from_torch
from .writer import to_torch

__all__ = ["from_torch", "to_torch"]
