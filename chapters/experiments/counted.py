"""Numbers that count how often they are multiplied, for chapters that count what a program does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


class Counted:
    """A number that counts how often such numbers are multiplied."""

    times = 0

    def __init__(self, value: Any) -> None:
        self.value = getattr(value, "value", value)

    def __mul__(self, other: Any) -> Counted:
        Counted.times += 1
        return Counted(self.value * Counted(other).value)

    def __add__(self, other: Any) -> Counted:
        return Counted(self.value + Counted(other).value)

    def __sub__(self, other: Any) -> Counted:
        return Counted(self.value - Counted(other).value)

    __rmul__, __radd__ = __mul__, __add__


def counted(array: Any) -> np.ndarray:
    """The same array of numbers that count."""
    return np.vectorize(Counted, otypes=[object])(array)


def values(array: Any) -> np.ndarray:
    """The numbers themselves."""
    return np.vectorize(lambda entry: Counted(entry).value)(array)


def count(
    way: Callable[..., Any], *arrays: Any, **options: Any
) -> tuple[np.ndarray, int]:
    """What a way gives for these arrays, and the multiplications that it took."""
    Counted.times = 0
    result = way(*(counted(array) for array in arrays), **options)
    return values(result), Counted.times
