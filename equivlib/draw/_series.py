"""Series of numbers for figures: what is drawn of them, and what they must be.

Each check raises a ValueError that names the argument and its value.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..convolution.patches import Array, as_array
from ._style import LINES


class Curve(NamedTuple):
    """What is drawn of one series."""

    x: Array
    y: Array
    #: Half the width of the interval around each y.
    spread: Array
    #: What each y is the mean of, to be drawn as well: one row for each run.
    runs: Array | None = None


def half_width(runs: ArrayLike, interval: float = 0.95) -> Array:
    r"""Return half the width of Student's interval for the mean of independent runs.

    .. math:: t_{(1 + p)/2,\, n - 1} \cdot s / \sqrt n

    for n runs along the first axis with standard deviation s, and p the ``interval``.

    Parameters
    ----------
    runs : array_like, shape ``(runs, ...)``
        At least two.
    interval : float, default 0.95
        Probability of the interval, between 0 and 1.

    Returns
    -------
    ndarray, shape ``(...)``

    Raises
    ------
    ValueError
        If there are fewer than two runs, or the probability is not between 0 and 1.

    Examples
    --------
    In a table of Student's distribution the quantile for two degrees of freedom is 4.303.

    >>> import math
    >>> from equivlib import draw
    >>> round(float(draw.half_width([1.0, 2.0, 3.0])), 2), round(4.303 / math.sqrt(3), 2)
    (2.48, 2.48)
    """
    runs = np.asarray(runs)
    if runs.ndim == 0 or len(runs) < 2:
        raise ValueError(
            f"runs (shape {runs.shape}) must have at least two runs along its first axis, because "
            "one run has no spread"
        )
    check_interval(interval)
    from scipy import stats  # takes as long to load as all the rest, and few figures need it

    _, quantile = stats.t.interval(interval, len(runs) - 1)
    return np.asarray(quantile * stats.sem(runs))


def check_names(name: str, series: Mapping[str, object]) -> None:
    """Refuse more series than there are lines told apart."""
    if not isinstance(series, Mapping) or not 1 <= len(series) <= len(LINES):
        given = list(series) if isinstance(series, Mapping) else series
        raise ValueError(
            f"{name} (={given!r}) must map one to {len(LINES)} names to series, so that each has "
            "its own colour, marker and dash"
        )


def check_pairs(series: Mapping[str, object], second: str) -> None:
    """Refuse series that have not two parts each, the second with this name."""
    check_names("series", series)
    for name, given in series.items():
        if not isinstance(given, Sequence) or len(given) != 2:
            raise ValueError(f"series[{name!r}] (={given!r}) must be a pair of x and {second}")


def check_interval(interval: float) -> None:
    """Refuse a probability that is 0, 1 or outside."""
    if not isinstance(interval, float) or not 0 < interval < 1:
        raise ValueError(f"interval (={interval!r}) must be a probability between 0 and 1")


def check_slopes(slopes: Sequence[float]) -> None:
    """Refuse exponents of guide lines that are level."""
    if any(not isinstance(slope, numbers.Real) or slope == 0 for slope in slopes):
        raise ValueError(f"slopes (={tuple(slopes)}) must be numbers other than 0")


def check_positive(
    drawn: Mapping[str, Curve], log: tuple[bool, bool], parts: tuple[str, str] = ("x", "y")
) -> None:
    """Refuse numbers along a logarithmic axis that are not positive; ``parts`` names x and y."""
    for name, curve in drawn.items():
        for part, values, needed in zip(parts, curve[:2], log, strict=True):
            if needed and not (values > 0).all():
                raise ValueError(
                    f"series[{name!r}] (least {part} {values.min():.3g}) must be positive and "
                    "finite on a logarithmic axis"
                )


def vector(name: str, given: ArrayLike) -> Array:
    """Return one axis of finite real numbers, at least one."""
    return finite(name, as_array(name, given), ndim=1)


def finite(name: str, array: Array, ndim: int) -> Array:
    """Return so many axes of finite real numbers, at least one, as floats."""
    if array.ndim != ndim or array.size == 0 or array.dtype.kind == "c":
        axes = "one axis" if ndim == 1 else f"{ndim} axes"
        raise ValueError(
            f"{name} (of shape {array.shape}, dtype {array.dtype}) must be {axes} of real numbers"
        )
    array = array.astype(float)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite")
    return array


def is_ascending(x: Sequence[Any] | Array) -> bool:
    """Return whether finite numbers grow from each to the next."""
    values = np.asarray(x, float)
    return bool(np.isfinite(values).all() and (np.diff(values) > 0).all())


def ascending(name: str, given: ArrayLike) -> Array:
    """Return two or more numbers, each larger than the one before."""
    x = vector(name, given)
    if len(x) < 2 or not is_ascending(x):
        raise ValueError(f"{name} (={x.tolist()}) must hold two or more ascending numbers")
    return x


def as_many(name: str, x: Array, y: Array, what: str, places: str) -> Curve:
    """Return a curve through points, with one y (``what``) for each x (``places``)."""
    if len(x) != len(y):
        raise ValueError(
            f"series[{name!r}] (of shapes {x.shape} and {y.shape}) must have one {what} for each "
            f"of {len(x)} {places}"
        )
    return Curve(x, y, np.zeros(len(x)))
