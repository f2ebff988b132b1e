"""Singular values, from the largest down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from ..convolution.patches import Array
from ._axes import plot
from ._series import Curve, check_names, vector
from ._style import INK, Drawing, house_style


def spectrum(values: Mapping[str, ArrayLike], *, log: bool = True) -> Drawing:
    """Draw the singular values of one or several matrices, each sorted from the largest down.

    Parameters
    ----------
    values : mapping of str to array_like
        Name and singular values, in any order, of one to six matrices.
    log : bool, default True
        Logarithmic axis. Values that are 0 up to rounding, so at most ``n * 2**-52`` times
        the largest of the n, are drawn on a line of their own and counted in the alt text.

    Returns
    -------
    Drawing

    Raises
    ------
    ValueError
        If there are no values, some are negative, or all of a series are 0.

    Examples
    --------
    >>> spectrum({"circle": [1.0, 2.0, 0.0]})  # doctest: +NORMALIZE_WHITESPACE
    Singular values from the largest down, logarithmic axis. circle: 3 values, largest 2, middle 1,
    smallest 0; 1 of them 0 up to rounding.
    """
    check_names("values", values)
    arrays = {name: vector(f"values[{name!r}]", given) for name, given in values.items()}
    for name, array in arrays.items():
        if (array < 0).any() or not array.any():
            raise ValueError(
                f"values[{name!r}] (from {array.min():.3g} to {array.max():.3g}) must hold "
                "singular values: none negative, not all 0"
            )
    descending = {name: np.sort(array)[::-1] for name, array in arrays.items()}
    floor = _floor(list(descending.values())) if log else None
    drawn = {
        name: Curve(
            np.arange(1, len(s) + 1), np.where(_is_rounding(s), floor or s, s), np.zeros(len(s))
        )
        for name, s in descending.items()
    }
    with house_style():
        figure = plot(drawn, ("number", "singular value"), (False, log))
        if floor:
            _mark_floor(figure.axes[0], floor)
    told = "; ".join(f"{name}: {_spectrum_in_words(s, log)}" for name, s in descending.items())
    kind = "logarithmic" if log else "linear"
    return Drawing(figure, f"Singular values from the largest down, {kind} axis. {told}.")


def _is_rounding(s: Array) -> Array:
    """Return which of descending singular values cannot be told from 0."""
    return np.asarray(s <= len(s) * np.finfo(float).eps * s[0])


def _floor(spectra: Sequence[Array]) -> float | None:
    """Return where values that are 0 up to rounding are drawn, if any: below all others."""
    if not any(_is_rounding(s).any() for s in spectra):
        return None
    return float(min(s[~_is_rounding(s)].min() for s in spectra)) / 5


def _mark_floor(axes: Axes, floor: float) -> None:
    axes.axhline(floor, color=INK, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.annotate(
        "0 up to rounding", (0, floor), xycoords=("axes fraction", "data"), xytext=(4, 3),
        textcoords="offset points",
    )  # fmt: skip


def _spectrum_in_words(s: Array, log: bool) -> str:
    count = f"{len(s)} value{'s' * (len(s) != 1)}"
    told = f"{count}, largest {s[0]:.3g}, middle {np.median(s):.3g}, smallest {s[-1]:.3g}"
    lost = int(_is_rounding(s).sum())
    return told + (f"; {lost} of them 0 up to rounding" if lost and log else "")
