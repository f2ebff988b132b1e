"""A fully connected layer of which nobody knows where its units stand, and how it is compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Rational
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..convolution.axis import Index
from ..convolution.patches import Array
from ..convolution.projection import NotAConvolution
from ..layers.base import Number, Shape

Mask: TypeAlias = NDArray[np.bool_]

#: Roundings, in units of the machine's epsilon, by which floats may miss an equality: a row and a
#: column are each scaled once, on both sides of a comparison, and there is room for more layers.
ROUNDINGS = 64

#: Weights by which units are looked up, before their whole rows are compared.
PIVOTS = 4


# --- numbers ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Numbers:
    """How numbers are compared: exactly, or up to rounding, or up to noise.

    Attributes
    ----------
    exact : bool
        Whether all are integers or fractions.
    dtype : data type
        Of the network that is returned.
    rounding : float
        Relative, of one entry.
    tol : float
        Relative to the largest weight of a channel.
    """

    exact: bool
    dtype: np.dtype[np.generic]
    rounding: float
    tol: float

    @classmethod
    def of(cls, arrays: Sequence[Array], tol: float) -> Numbers:
        """Return how the numbers of these arrays are compared."""
        kinds = {array.dtype.kind for array in arrays}
        exact = all(_is_exact(array) for array in arrays)
        if exact or "O" in kinds:
            whole = exact and "O" not in kinds
            dtype = np.dtype(np.int64 if whole else object if exact else np.float64)
        else:
            dtype = np.result_type(*(array.dtype for array in arrays))
        floats = [array.dtype for array in arrays if array.dtype.kind == "f"]
        eps = max((float(np.finfo(kind).eps) for kind in floats), default=2.0**-52)
        return cls(exact, dtype, ROUNDINGS * eps, tol)

    def array(self, values: Array) -> Array:
        """Return the values as this computes with them: Python's exact numbers, or float64."""
        if not self.exact:
            return values.astype(np.float64)
        flat = values.astype(object).flat
        exact = [value if isinstance(value, int) else _simple(Fraction(value)) for value in flat]
        return objects(exact, values.shape)

    def given(self, values: Array) -> Array:
        """Return the values as a network holds them."""
        if not self.exact:
            return values.astype(self.dtype)
        flat = [Fraction(value) for value in values.flat]
        largest = max((abs(value) for value in flat), default=0)
        if self.dtype.kind == "i" and largest < 2**63 and all(v.denominator == 1 for v in flat):
            return np.array([int(value) for value in flat], dtype=np.int64).reshape(values.shape)
        return objects(flat, values.shape)

    def ratio(self, top: Array | Number, bottom: Array | Number) -> Array:
        """Return the quotients; exact ones are integers or fractions."""
        if not self.exact:
            quotient: Array = np.asarray(top) / np.asarray(bottom)
            return quotient
        pairs = np.broadcast(np.asarray(top, dtype=object), np.asarray(bottom, dtype=object))
        return objects([_simple(Fraction(a) / b) if a else 0 for a, b in pairs], pairs.shape)

    def near(self, values: Array, expected: Array | Number, size: Array | Number) -> Mask:
        """Return where values are those expected; ``size`` is the largest of their channel."""
        if self.exact and not self.tol:
            return np.asarray(values == expected, dtype=bool)
        bound = self.tol * np.asarray(size) + self.rounding * abs(np.asarray(expected))
        return np.asarray(abs(values - expected) <= bound, dtype=bool)

    def factors(self, rows: Array, pattern: Array) -> tuple[Array, Number]:
        """Return the factor of each row to the pattern, as a number each and one to divide by.

        The first number of the pattern is the strongest one. It decides, but where there is noise
        all do.
        """
        if not self.tol:
            return rows[:, 0] * sign(pattern[0]), abs(pattern[0])
        square = np.square(pattern).sum()
        return rows @ pattern, square

    def factor(self, values: Array) -> Number:
        """Return the positive number whose quotients with the values are their normal form."""
        if not self.exact:
            return float(abs(values).max(initial=0)) or 1.0
        parts = [Fraction(value) for value in values.flat if value]
        if not parts:
            return 1
        top = math.gcd(*(part.numerator for part in parts))
        return Fraction(top, math.lcm(*(part.denominator for part in parts)))


def _simple(value: Fraction) -> int | Fraction:
    """Return an integer where a fraction is one: it is faster."""
    return value.numerator if value.denominator == 1 else value


def _is_exact(array: Array) -> bool:
    if array.dtype.kind in "iu":
        return True
    return array.dtype == object and all(isinstance(value, Rational) for value in array.flat)


def objects(values: Sequence[object], shape: Shape) -> Array:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array.reshape(shape)


def sign(value: Number) -> int:
    return int(value > 0) - int(value < 0)


# --- one layer, as it is given ------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Grid:
    """Where the units of a layer stand, as far as the layer itself can tell.

    Attributes
    ----------
    shape : tuple of int
        ``(channels, *spatial)``.
    order : ndarray of int
        The unit at each place of the flattened grid.
    scale : ndarray
        Its row is so many times that of the convolution.
    twin : ndarray of int
        Places of one number have parallel rows: their units may be exchanged.
    gauge : ndarray
        The row of a place is so many times the normal form of its parallels.
    silent : ndarray of bool
        Whether row and bias are zero, so that the scale of the unit is not known.
    """

    shape: Shape
    order: Index
    scale: Array
    twin: Index
    gauge: Array
    silent: Mask


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a layer over the grid that it reads, each with its bias as last number.

    Attributes
    ----------
    rows : ndarray, shape ``(units, places + 1)``
    factor : ndarray, shape ``(units,)``
        The row of the layer is so many times the one here, which has integers if it is exact.
    seen : ndarray, of the same shape
        The same, but the columns of units that cannot be told apart sorted in each row: that does
        not depend on which of them is which.
    certain : ndarray of bool, shape ``(places + 1,)``
        The columns in which the rows of a channel are moved copies all the same: those of units
        without twins, and of channels that are equal at all places.
    mixed : list of ndarray of int
        The other columns, those of each set of twins by themselves.
    reads : ndarray of bool, of the shape of ``rows``
        Where an entry is not zero.
    size : ndarray, shape ``(units,)``
        The largest weight, or bias if all weights are zero.
    refuse : callable
        Notes a reason why the layer is not a convolution in one of the ways that are tried.
    """

    grid: Grid
    numbers: Numbers
    rows: Array
    factor: Array
    seen: Array
    certain: Mask
    mixed: list[Index]
    reads: Mask
    size: Array
    refuse: Callable[[NotAConvolution], None]

    @classmethod
    def of(
        cls,
        matrix: Array,
        bias: Array,
        grid: Grid,
        numbers: Numbers,
        refuse: Callable[[NotAConvolution], None],
    ) -> Rows:
        """Return the rows of a matrix whose columns are the units that the grid orders."""
        columns = matrix[:, grid.order] * grid.scale
        rows = np.concatenate([columns, bias[:, None]], axis=1)
        factor = numbers.array(np.ones(len(rows), dtype=int))
        if numbers.exact:
            factor = objects([numbers.factor(row) for row in rows], factor.shape)
            rows = numbers.ratio(rows, factor[:, None])
        certain = _certain(grid)
        seen, mixed = rows.copy(), []
        for number in np.flatnonzero(np.bincount(grid.twin) > 1):
            twins = np.flatnonzero(grid.twin == number)
            if not certain[twins].all():
                mixed.append(twins)
                seen[:, twins] = seen[:, twins] * grid.gauge[twins]
            seen[:, twins] = np.sort(seen[:, twins], axis=1)
        weights, biases = abs(rows[:, :-1]).max(axis=1), abs(rows[:, -1])
        size = np.where(weights > 0, weights, biases)
        reads = ~numbers.near(seen, 0, size[:, None])
        return cls(grid, numbers, rows, factor, seen, certain, mixed, reads, size, refuse)

    @property
    def weighted(self) -> Mask:
        """Whether a unit has a weight that is not zero."""
        return np.asarray(self.reads[:, :-1].any(axis=1))

    def is_local(self) -> bool:
        """Return whether most units that read anything read less than the full extent."""
        spatial = self.grid.shape[1:]
        reads = self.reads[self.weighted, :-1].reshape(-1, *self.grid.shape)
        full = np.ones(len(reads), dtype=bool)
        for axis, n in enumerate(spatial):
            others = tuple(a for a in range(1, reads.ndim) if a != 2 + axis)
            along = np.asarray(reads.any(axis=others))
            full &= along[:, 0] & along[:, n - 1]
        return bool(2 * full.sum() < len(full))

    def matches(
        self, expected: Array, known: Mask, size: Number, free: Mask
    ) -> tuple[Index, Array]:
        """Return the free units with the expected numbers up to a factor, and the factors.

        None if no expected weight is known: then everything would match.
        """
        strength = np.where(known, abs(expected), 0)[:-1]
        strong = np.flatnonzero(~self.numbers.near(strength, 0, size))
        units = np.flatnonzero(free)
        if not len(strong):
            return units[:0], np.empty(0)
        best = strong[[strength[strong].argmax()]]
        few = strong[:: -(-len(strong) // PIVOTS)]
        for others in (few, np.flatnonzero(known)):
            columns = np.concatenate([best, others])
            rows, pattern = self.seen[np.ix_(units, columns)], expected[columns]
            top, bottom = self.numbers.factors(rows, pattern)
            against = top[:, None]
            near = self.numbers.near(rows * bottom, against * pattern, against * size)
            same = (top > 0) & near.all(axis=1)
            units, top = units[same], top[same]
        return units, self.numbers.ratio(top, bottom)

    def name(self, column: int) -> str:
        """Return what messages call a number of a row."""
        if column == self.rows.shape[1] - 1:
            return "bias"
        at = ", ".join(str(int(i)) for i in np.unravel_index(column, self.grid.shape))
        return f"weight at ({at})"


def _certain(grid: Grid) -> Mask:
    """Return which columns are certain, in the sense of :class:`Rows`."""
    twin = grid.twin.reshape(grid.shape[0], -1)
    counts = np.bincount(grid.twin)
    equal: dict[tuple[int, ...], list[int]] = {}
    for channel, numbers in enumerate(twin.tolist()):
        equal.setdefault(tuple(numbers), []).append(channel)
    certain = np.ones(twin.shape, dtype=bool)
    for channels in equal.values():
        certain[channels] = counts[twin[channels]] == len(channels)
    return np.append(certain.ravel(), True)
