"""Cost against size, with guide lines and break-even points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from ..convolution.patches import Array
from ._axes import guides, guides_in_words, plot, scales_in_words
from ._series import Curve, as_many, ascending, check_pairs, check_positive, check_slopes, vector
from ._style import INK, Drawing, halo, house_style


def costs(
    series: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    x_label: str,
    y_label: str,
    slopes: Sequence[float] = (1, 2),
    note: str = "",
) -> Drawing:
    """Draw cost against size on logarithmic axes, with guide lines and break-even points.

    A cost proportional to a power of the size is a straight line whose slope is the exponent. Each
    series gets the exponent of its least-squares line; where two series cross, interpolated along
    straight lines of these axes, the size is marked.

    Parameters
    ----------
    series : mapping of str to (sizes, costs)
        Name of one to six series; two arrays of shape ``(points,)``, positive, sizes ascending,
        at least two points.
    x_label, y_label : str
    slopes : sequence of float, default (1, 2)
        Exponents of the guide lines, none of them 0.
    note : str, optional
        What is the same for all, such as the size of a batch: a line above the axes.

    Returns
    -------
    Drawing

    Raises
    ------
    ValueError
        If a series is not a pair of ascending sizes and as many positive costs, there are more than
        six, or a slope is 0.

    Examples
    --------
    >>> series = {"dense": ([1, 10], [1, 100]), "conv": ([1, 10], [5, 50])}
    >>> costs(series, x_label="n", y_label="ms")  # doctest: +NORMALIZE_WHITESPACE
    ms against n, both axes logarithmic, guide lines of slope 1 and 2. dense: from 1 at n = 1 to
    100 at n = 10, exponent 2.00. conv: from 5 at n = 1 to 50 at n = 10, exponent 1.00. dense and
    conv cross at n = 5: before it dense is lower.
    """
    check_pairs(series, "costs")
    drawn = {name: _cost_curve(name, *given) for name, given in series.items()}
    check_positive(drawn, (True, True))
    check_slopes(slopes)
    met = {(a, b): _crossings(drawn[a], drawn[b]) for a, b in combinations(drawn, 2)}
    with house_style():
        figure = plot(drawn, (x_label, y_label), (True, True), note=note)
        guides(figure.axes[0], slopes)
        _mark_crossings(figure.axes[0], [point for points in met.values() for point in points])
    told = [
        f"{name}: from {curve.y[0]:.3g} at {x_label} = {curve.x[0]:g} to {curve.y[-1]:.3g} at "
        f"{x_label} = {curve.x[-1]:g}, exponent {_exponent(curve):.2f}."
        for name, curve in drawn.items()
    ]
    told += [_pair_in_words(drawn, pair, points, x_label) for pair, points in met.items()]
    what = f"{y_label} against {x_label}{scales_in_words(True, True)}{guides_in_words(slopes)}"
    head = f"{what}.{note and f' {note}.'}"
    return Drawing(figure, " ".join([head, *told]))


def _cost_curve(name: str, sizes: ArrayLike, given: ArrayLike) -> Curve:
    x, y = ascending(f"series[{name!r}][0]", sizes), vector(f"series[{name!r}][1]", given)
    return as_many(name, x, y, "cost", "sizes")


def _exponent(curve: Curve) -> float:
    """Return the slope of the least-squares line on logarithmic axes."""
    return float(np.polyfit(np.log(curve.x), np.log(curve.y), 1)[0])


def _common(first: Curve, second: Curve) -> tuple[Array, Array]:
    """Return the logarithms of the sizes both cover, and of the ratio of their costs there."""
    low, high = max(first.x[0], second.x[0]), min(first.x[-1], second.x[-1])
    sizes = np.union1d(first.x, second.x)
    x = np.log(sizes[(sizes >= low) & (sizes <= high)])
    each = (np.interp(x, np.log(curve.x), np.log(curve.y)) for curve in (first, second))
    y, other = each
    return x, y - other


def _crossings(first: Curve, second: Curve) -> list[tuple[float, float]]:
    """Return the size and cost where the two change their order."""
    x, ratio = _common(first, second)
    found = []
    apart = np.flatnonzero(ratio)  # a stretch of equal costs is one crossing, at its middle
    for i, j in pairwise(apart):
        if ratio[i] * ratio[j] < 0:
            if j == i + 1:
                at = x[i] + (x[j] - x[i]) * ratio[i] / (ratio[i] - ratio[j])
            else:
                at = (x[i + 1] + x[j - 1]) / 2
            y = np.interp(at, np.log(first.x), np.log(first.y))
            found.append((math.exp(at), math.exp(y)))
    return found


def _pair_in_words(
    drawn: Mapping[str, Curve],
    pair: tuple[str, str],
    points: list[tuple[float, float]],
    x_label: str,
) -> str:
    x, ratio = _common(*(drawn[name] for name in pair))
    if len(x) == 0:
        return f"{pair[0]} and {pair[1]} have no size in common."
    apart = ratio[ratio != 0]
    if len(apart) == 0:
        return f"{pair[0]} and {pair[1]} cost the same."
    lower = pair[0] if apart[0] < 0 else pair[1]
    if points:
        where = ", ".join(f"{size:.3g}" for size, _ in points)
        before = "it" if len(points) == 1 else "the first"
        told = f"{pair[0]} and {pair[1]} cross at {x_label} = {where}"
        return f"{told}: before {before} {lower} is lower."
    higher = pair[1] if lower == pair[0] else pair[0]
    compared = "lower" if ratio.all() else "nowhere higher"
    least, most = np.exp(np.sort(abs(ratio))[[0, -1]])
    return (
        f"{lower} is {compared} than {higher} at all sizes they share, by a factor of "
        f"{least:.3g} to {most:.3g}."
    )


def _mark_crossings(axes: Axes, points: Sequence[tuple[float, float]]) -> None:
    """Draw a ring at each break-even point, with its size."""
    for x, y in points:
        axes.plot([x], [y], marker="o", markersize=9, fillstyle="none", color=INK, zorder=4)
        axes.annotate(
            f"{x:.3g}", (x, y), xytext=(0, 8), textcoords="offset points",
            weight="bold", ha="right", va="bottom", zorder=5, path_effects=halo(),
        )  # fmt: skip
