"""Interpolation along one axis: which elements each output reads, and with which weights.

An output i of m lies at a *coordinate* among the n inputs. A rule takes the nearest input, or
weighs those around it; what lies beyond the ends reads the last element.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from ..convolution.axis import Index
from ..convolution.patches import Array


def half_pixel(m: int, n: int, scale: float) -> Array:
    """Return coordinates where pixels are areas: both ends of the input and output agree."""
    places: Array = (np.arange(m) + 0.5) / scale - 0.5
    return places


def pytorch_half_pixel(m: int, n: int, scale: float) -> Array:
    """Return the same, and the first element for a single output."""
    return half_pixel(m, n, scale) if m > 1 else np.zeros(m)


def half_pixel_symmetric(m: int, n: int, scale: float) -> Array:
    """Return the same, centred where scale times n is not whole."""
    return half_pixel(m, n, scale) + n / 2 * (1 - m / (scale * n))


def align_corners(m: int, n: int, scale: float) -> Array:
    """Return coordinates where the first and the last elements agree, of scale times n outputs."""
    length = scale * n
    return np.arange(m) * ((n - 1) / (length - 1)) if m > 1 and length != 1 else np.zeros(m)


def asymmetric(m: int, n: int, scale: float) -> Array:
    """Return coordinates where the first elements agree."""
    places: Array = np.arange(m) / scale
    return places


COORDINATES: Final[dict[str, Callable[[int, int, float], Array]]] = {
    "half_pixel": half_pixel,
    "pytorch_half_pixel": pytorch_half_pixel,
    "half_pixel_symmetric": half_pixel_symmetric,
    "align_corners": align_corners,
    "asymmetric": asymmetric,
}

NEAREST: Final[dict[str, Callable[[Array], Array]]] = {
    "round_prefer_floor": lambda places: np.ceil(places - 0.5),
    "round_prefer_ceil": lambda places: np.floor(places + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def nearest(places: Array, n: int, rounding: Callable[[Array], Array]) -> Index:
    """Return the element that each output takes."""
    return np.clip(rounding(places), 0, n - 1).astype(np.intp)


def linear(places: Array, n: int) -> Array:
    """Return the matrix that joins neighbouring elements by straight lines."""
    begin = np.floor(places)
    after = places - begin
    return _weighted(n, begin, [(0, 1 - after), (1, after)])


def cubic(places: Array, n: int, a: float, *, inside: bool = False) -> Array:
    """Return the matrix of the cubic convolution with parameter a (Keys, 1981).

    If ``inside``, elements beyond the ends count nothing and the other weights sum to 1.
    """
    begin = np.floor(places)
    t = places - begin
    taps = []
    for offset in (-1, 0, 1, 2):
        d = abs(t - offset)
        near = (a + 2) * d**3 - (a + 3) * d**2 + 1
        far = a * (d**3 - 5 * d**2 + 8 * d - 4)
        weight = np.where(d <= 1, near, np.where(d < 2, far, 0))
        there = (begin + offset >= 0) & (begin + offset < n)
        taps.append((offset, np.where(there, weight, 0) if inside else weight))
    matrix = _weighted(n, begin, taps)
    return matrix / matrix.sum(axis=1, keepdims=True) if inside else matrix


def _weighted(n: int, begin: Array, taps: list[tuple[int, Array]]) -> Array:
    """Return the matrix whose rows have each weight at its offset from where they begin."""
    matrix = np.zeros((len(begin), n))
    for offset, weight in taps:
        columns = np.clip(begin + offset, 0, n - 1).astype(np.intp)
        np.add.at(matrix, (np.arange(len(begin)), columns), weight)
    return matrix
