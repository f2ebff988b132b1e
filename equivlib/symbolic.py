"""Symbols instead of numbers: small cases to look at, and the proof for every size."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import sympy
from numpy.typing import NDArray
from sympy import Expr, IndexedBase, KroneckerDelta, Piecewise, Sum, Symbol, summation

from .labels import labels

KERNEL = IndexedBase("k")
INPUT = IndexedBase("x")


def symbol_array(name: str, shape: Sequence[int]) -> NDArray[np.object_]:
    """Make an array of symbols for :func:`~equivlib.conv` or :func:`~equivlib.conv_matrix`.

    Parameters
    ----------
    name : str
        Each symbol is the name with its index along every axis longer than 1.
    shape : tuple of int

    Returns
    -------
    ndarray of sympy.Symbol

    Examples
    --------
    A kernel of two taps over three elements::

        k0 k1  .
         . k0 k1

    >>> from equivlib import conv_matrix
    >>> conv_matrix(symbol_array("k", (1, 1, 2)), (1, 3), format="dense")
    Matrix([
    [k0, k1,  0],
    [ 0, k0, k1]])

    Putting numbers into the symbols gives the matrix of the numbers:

    >>> kernel = symbol_array("k", (1, 1, 2))
    >>> numbers = dict(zip(kernel.flat, [3, 5]))
    >>> symbolic = conv_matrix(kernel, (1, 3), format="dense").subs(numbers)
    >>> bool((np.array(symbolic, dtype=int) == conv_matrix([[[3, 5]]], (1, 3)).toarray()).all())
    True
    """
    array = np.empty(shape, dtype=object)
    array.ravel()[:] = [Symbol(label) for label in labels(name, shape)]
    return array


@dataclass(frozen=True)
class AxisSymbols:
    """One axis of any size: the symbols of the entry formula.

    Attributes
    ----------
    size : Symbol
        n, a positive integer: inputs along the axis.
    taps : Symbol
        m, a positive integer: weights of the kernel.
    stride : Symbol
        s, a positive integer.
    dilation : Symbol
        d, a positive integer.
    low : Symbol
        p, the padding at the low end: an integer of at least 0.
    output : Symbol
        i, an integer: which output.
    input : Symbol
        j, an integer: which input.
    tap : Symbol
        a, an integer: which weight.
    """

    size: Symbol
    taps: Symbol
    stride: Symbol
    dilation: Symbol
    low: Symbol
    output: Symbol
    input: Symbol
    tap: Symbol

    @property
    def place(self) -> Expr:
        """Where output i and tap a read the input, ``s*i + d*a - p``."""
        return self.stride * self.output + self.dilation * self.tap - self.low


def axis_symbols(number: int | None = None) -> AxisSymbols:
    """Return the symbols of one axis, numbered if there are several.

    Examples
    --------
    >>> axis_symbols().place
    a*d + i*s - p
    >>> axis_symbols(2).place
    a2*d2 + i2*s2 - p2
    """
    tail = "" if number is None else str(number)
    size, taps, stride, dilation = (
        Symbol(letter + tail, integer=True, positive=True) for letter in "nmsd"
    )
    low = Symbol("p" + tail, integer=True, nonnegative=True)
    output, input, tap = (Symbol(letter + tail, integer=True) for letter in "ija")
    return AxisSymbols(size, taps, stride, dilation, low, output, input, tap)


def entry(*axes: AxisSymbols) -> Sum:
    r"""Return the entry formula of the matrix of one channel with zero padding, for every size.

    .. math:: W[i, j] = \sum_a k[a] \prod_{\text{axes}} \delta(j, \, s\,i + d\,a - p)

    Examples
    --------
    With sizes put in, it is an entry of the matrix that the library builds:

    >>> from equivlib import conv_matrix
    >>> axis = axis_symbols()
    >>> sizes = {axis.taps: 2, axis.stride: 2, axis.dilation: 1, axis.low: 1}
    >>> def formula(i, j):
    ...     value = entry(axis).subs({**sizes, axis.output: i, axis.input: j}).doit()
    ...     return value.subs({KERNEL[0]: 5, KERNEL[1]: 7})
    >>> built = conv_matrix([[[5, 7]]], (1, 4), stride=2, padding=1, format="dense")
    >>> all(formula(i, j) == built[i, j] for i in range(3) for j in range(4))
    True
    """
    return Sum(_term(axes), *_tap_limits(axes))


def matrix_times_input(*axes: AxisSymbols) -> Sum:
    r"""Return one entry of ``W @ x``, the sum over the columns carried out for every size.

    The Kronecker delta picks one column if it is there, so that zero padding comes out by itself
    as the second case. Exchanging the two finite sums, over columns and over taps, changes nothing.

    Examples
    --------
    >>> matrix_times_input(axis_symbols()).function
    Piecewise((k[a]*x[a*d + i*s - p], (a*d + i*s - p >= 0) & (n >= a*d + i*s - p + 1)), (0, True))
    """
    term = _term(axes) * INPUT[tuple(axis.input for axis in axes)]
    for axis in axes:
        term = summation(term, (axis.input, 0, axis.size - 1))
    return Sum(term, *_tap_limits(axes))


def convolution(*axes: AxisSymbols) -> Sum:
    r"""Return one output of the convolution by its definition, zeros around the input.

    .. math:: y[i] = \sum_a k[a] \; \bar x[s\,i + d\,a - p]

    Examples
    --------
    >>> convolution(axis_symbols()).limits
    ((a, 0, m - 1),)
    """
    places = tuple(axis.place for axis in axes)
    inside = [sympy.And(axis.place >= 0, axis.place <= axis.size - 1) for axis in axes]
    shown = Piecewise((INPUT[places], sympy.And(*inside)), (0, True))
    return Sum(KERNEL[tuple(axis.tap for axis in axes)] * shown, *_tap_limits(axes))


def difference(*axes: AxisSymbols) -> Expr:
    """Return what a tap adds to ``W @ x`` less what it adds to the convolution: 0 for every size.

    Examples
    --------
    >>> difference(axis_symbols())
    0
    >>> difference(axis_symbols(1), axis_symbols(2))
    0
    """
    ours, defined = matrix_times_input(*axes), convolution(*axes)
    if ours.limits != defined.limits:
        raise ValueError(f"the sums run over different taps: {ours.limits}, {defined.limits}")
    return sympy.simplify(sympy.piecewise_fold(ours.function - defined.function))


def _term(axes: Sequence[AxisSymbols]) -> Expr:
    if not axes:
        raise ValueError("axes (=()) must name at least one axis")
    deltas = math.prod(KroneckerDelta(axis.input, axis.place) for axis in axes)
    return KERNEL[tuple(axis.tap for axis in axes)] * deltas


def _tap_limits(axes: Sequence[AxisSymbols]) -> list[tuple[Expr, int, Expr]]:
    return [(axis.tap, 0, axis.taps - 1) for axis in axes]


def index_below(name: str) -> tuple[Expr, Expr]:
    """Return an index and a size larger than it, both of any value.

    The size is the index plus something, so that sympy knows which of the two is larger.

    Examples
    --------
    >>> i, size = index_below("i")
    >>> size
    i + r_i + 1
    >>> (size - 1 - i).is_nonnegative
    True
    """
    index, more = sympy.symbols(f"{name} r_{name}", integer=True, nonnegative=True)
    return index, index + more + 1


def divided(place: Expr, size: Expr, remainder: Expr) -> tuple[Expr, Expr]:
    """Return the quotient and remainder of an integer division, proved for every size.

    Parameters
    ----------
    place, size : sympy expression
        What is divided, and by what.
    remainder : sympy expression
        What is claimed to be left.

    Returns
    -------
    tuple of sympy expression

    Raises
    ------
    AssertionError
        If sympy cannot prove that the quotient is an integer and the remainder at least 0 and
        smaller than the size.

    Examples
    --------
    >>> i, rows = index_below("i")
    >>> j, columns = index_below("j")
    >>> divided(i * columns + j, columns, j)
    (i, j)
    >>> divided(i * columns + j, rows, j)
    Traceback (most recent call last):
    AssertionError: j is not proved to be the remainder of i*(j + r_j + 1) + j by i + r_i + 1
    """
    quotient = sympy.cancel((place - remainder) / size)
    below = sympy.expand(size - 1 - remainder)
    if not (remainder.is_nonnegative and below.is_nonnegative and quotient.is_integer):
        raise AssertionError(f"{remainder} is not proved to be the remainder of {place} by {size}")
    return quotient, remainder


def kronecker_entry(
    left: Callable[[Expr, Expr], Expr],
    right: Callable[[Expr, Expr], Expr],
    row: tuple[Expr, Expr, Expr],
    column: tuple[Expr, Expr, Expr],
) -> Expr:
    """Return one entry of a Kronecker product of matrices of any size.

    Parameters
    ----------
    left, right : function
        The entries of the two factors.
    row, column : tuple
        The place, the size of the right factor and the remainder, as :func:`divided` takes them.

    Examples
    --------
    >>> a, b = IndexedBase("A"), IndexedBase("B")
    >>> (i1, _), (i2, o2) = index_below("i1"), index_below("i2")
    >>> (j1, _), (j2, n2) = index_below("j1"), index_below("j2")
    >>> row, column = (i1 * o2 + i2, o2, i2), (j1 * n2 + j2, n2, j2)
    >>> kronecker_entry(lambda i, j: a[i, j], lambda i, j: b[i, j], row, column)
    A[i1, j1]*B[i2, j2]
    """
    (left_row, right_row), (left_column, right_column) = divided(*row), divided(*column)
    return left(left_row, left_column) * right(right_row, right_column)


def picked(total: Expr) -> tuple[Expr, set[Expr]]:
    """Return what sums over Kronecker deltas pick: the term, and what has to be at least 0 for it.

    Raises
    ------
    AssertionError
        If another case than 0 is left where a condition does not hold.

    Examples
    --------
    >>> i, j, n = sympy.symbols("i j n", integer=True)
    >>> term, conditions = picked(summation(KroneckerDelta(j, i) * INPUT[j], (j, 0, n - 1)))
    >>> term
    x[i]
    >>> conditions == {i, n - 1 - i}
    True
    """
    conditions: set[Expr] = set()
    while isinstance(total, Piecewise):
        (term, condition), *others = total.args
        if [tuple(other) for other in others] != [(0, True)]:
            raise AssertionError(f"{total} has a second case that is not 0")
        for part in sympy.And.make_args(condition):
            conditions.add(sympy.expand(part.gts - part.lts))
        total = term
    return total, conditions
