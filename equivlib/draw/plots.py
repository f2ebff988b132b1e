"""Curves: spectra, training with its spread over runs, cost against size.

Each curve has a colour, a marker and a dash of its own; a key above the axes has their names.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike

from ..convolution.patches import Array, as_array
from .curveplot import Curve, guides, half_width, plot
from .style import INK, LINES, PAPER, TEXT, Drawing, house_style


def spectrum(values: Mapping[str, ArrayLike], *, log: bool = True) -> Drawing:
    """Singular values of one or several matrices, each sorted from the largest down.

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
        Names the argument, its value and the rule it breaks.

    Examples
    --------
    >>> spectrum({"circle": [1.0, 2.0, 0.0]})  # doctest: +NORMALIZE_WHITESPACE
    Singular values from the largest down, logarithmic axis. circle: 3 values, largest 2, middle 1,
    smallest 0; 1 of them 0 up to rounding.
    """
    _check_count("values", values)
    arrays = {name: _vector(f"values[{name!r}]", given) for name, given in values.items()}
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


def curves(
    series: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    x_label: str,
    y_label: str,
    log_x: bool = False,
    log_y: bool = False,
    interval: float = 0.95,
    slopes: Sequence[float] = (),
    points: bool = False,
    note: str = "",
) -> Drawing:
    r"""The mean over several runs with its confidence interval, for each of several methods.

    With m the mean of n runs and s their standard deviation, the interval is
    :math:`m \pm t \, s / \sqrt{n}`, t the quantile of Student's distribution with n - 1 degrees of
    freedom.

    Parameters
    ----------
    series : mapping of str to (x, runs)
        Name of one to six series; ``x`` of shape ``(points,)``, ascending, ``runs`` of shape
        ``(n_runs, points)`` with at least two runs.
    x_label, y_label : str
    log_x, log_y : bool, default False
        Logarithmic axes.
    interval : float, default 0.95
        Probability of the interval.
    slopes : sequence of float, optional
        Exponents of guide lines, on two logarithmic axes.
    points : bool, default False
        Draw each run as a point, too.
    note : str, optional
        What is the same for all, such as the size of a batch: a line above the axes.

    Returns
    -------
    Drawing

    Raises
    ------
    ValueError
        Names the argument, its value and the rule it breaks.

    Examples
    --------
    >>> runs = [[4.0, 1.0], [6.0, 1.0]]
    >>> curves({"conv": ([0, 10], runs)}, x_label="epoch", y_label="loss")
    ... # doctest: +NORMALIZE_WHITESPACE
    loss against epoch, mean and 95 % t-interval. conv, 2 runs: at epoch = 0 it is 5 ± 12.7, at
    epoch = 10 it is 1 ± 0.
    """
    _check_pairs(series)
    if not isinstance(interval, float) or not 0 < interval < 1:
        raise ValueError(f"interval (={interval!r}) must be a probability between 0 and 1")
    _check_slopes(slopes)
    if slopes and not (log_x and log_y):
        raise ValueError(f"slopes (={tuple(slopes)}) need log_x and log_y")
    checked = {name: _runs(name, *given) for name, given in series.items()}
    drawn = {name: _mean_curve(x, runs, interval) for name, (x, runs) in checked.items()}
    for name, curve in drawn.items():
        _check_positive(f"series[{name!r}]", curve, (log_x, log_y))
    if points:
        drawn = {name: curve._replace(runs=checked[name][1]) for name, curve in drawn.items()}
    with house_style():
        figure = plot(drawn, (x_label, y_label), (log_x, log_y), note=note)
        guides(figure.axes[0], slopes)
    told = " ".join(
        f"{name}, {len(checked[name][1])} runs: at {x_label} = {_at(curve, 0)}, at {x_label} "
        f"= {_at(curve, -1)}."
        for name, curve in drawn.items()
    )
    what = f"{y_label} against {x_label}{_axes_in_words(log_x, log_y)}{_guides_in_words(slopes)}"
    runs = ", each run a point" if points else ""
    head = f"{what}, mean and {100 * interval:g} % t-interval{runs}.{note and f' {note}.'}"
    return Drawing(figure, f"{head} {told}")


def costs(
    series: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    x_label: str,
    y_label: str,
    slopes: Sequence[float] = (1, 2),
    note: str = "",
) -> Drawing:
    """Cost against size on logarithmic axes, with guide lines and break-even points.

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
        Names the argument, its value and the rule it breaks.

    Examples
    --------
    >>> series = {"dense": ([1, 10], [1, 100]), "conv": ([1, 10], [5, 50])}
    >>> costs(series, x_label="n", y_label="ms")  # doctest: +NORMALIZE_WHITESPACE
    ms against n, both axes logarithmic, guide lines of slope 1 and 2. dense: from 1 at n = 1 to
    100 at n = 10, exponent 2.00. conv: from 5 at n = 1 to 50 at n = 10, exponent 1.00. dense and
    conv cross at n = 5: before it dense is lower.
    """
    _check_pairs(series)
    drawn = {name: _cost_curve(name, *given) for name, given in series.items()}
    for name, curve in drawn.items():
        _check_positive(f"series[{name!r}]", curve, (True, True))
    _check_slopes(slopes)
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
    what = f"{y_label} against {x_label}{_axes_in_words(True, True)}{_guides_in_words(slopes)}"
    head = f"{what}.{note and f' {note}.'}"
    return Drawing(figure, " ".join([head, *told]))


def _check_count(name: str, series: Mapping[str, object]) -> None:
    if not isinstance(series, Mapping) or not 1 <= len(series) <= len(LINES):
        given = list(series) if isinstance(series, Mapping) else series
        raise ValueError(
            f"{name} (={given!r}) must map one to {len(LINES)} names to series, so that each has "
            "its own colour, marker and dash"
        )


def _check_slopes(slopes: Sequence[float]) -> None:
    if any(not isinstance(slope, numbers.Real) or slope == 0 for slope in slopes):
        raise ValueError(f"slopes (={tuple(slopes)}) must be numbers other than 0")


def _axes_in_words(log_x: bool, log_y: bool) -> str:
    if log_x and log_y:
        return ", both axes logarithmic"
    return f", {'x' if log_x else 'y'} axis logarithmic" if log_x or log_y else ""


def _guides_in_words(slopes: Sequence[float]) -> str:
    told = " and ".join(f"{slope:g}" for slope in slopes)
    return f", guide lines of slope {told}" if slopes else ""


def _check_pairs(series: Mapping[str, object]) -> None:
    _check_count("series", series)
    for name, given in series.items():
        if not isinstance(given, Sequence) or len(given) != 2:
            raise ValueError(f"series[{name!r}] (={given!r}) must be a pair of x and values")


def _vector(name: str, given: ArrayLike) -> Array:
    array = as_array(name, given)
    if array.ndim != 1 or array.size == 0 or array.dtype.kind == "c":
        raise ValueError(
            f"{name} (of shape {array.shape}, dtype {array.dtype}) must be one axis of real numbers"
        )
    array = array.astype(float)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} (={array.tolist()}) must be finite")
    return array


def _sizes(name: str, given: ArrayLike) -> Array:
    x = _vector(name, given)
    if len(x) < 2 or not (np.diff(x) > 0).all():
        raise ValueError(f"{name} (={x.tolist()}) must hold two or more ascending numbers")
    return x


def _runs(name: str, given_x: ArrayLike, given_runs: ArrayLike) -> tuple[Array, Array]:
    x = _sizes(f"series[{name!r}][0]", given_x)
    runs = as_array(f"series[{name!r}][1]", given_runs)
    if runs.ndim != 2 or len(runs) < 2 or runs.shape[1] != len(x) or runs.dtype.kind == "c":
        raise ValueError(
            f"series[{name!r}][1] (of shape {runs.shape}, dtype {runs.dtype}) must be real runs of "
            f"shape (n_runs, {len(x)}) with n_runs of at least 2"
        )
    runs = runs.astype(float)
    if not np.isfinite(runs).all():
        raise ValueError(f"series[{name!r}][1] must be finite")
    return x, runs


def _cost_curve(name: str, sizes: ArrayLike, given: ArrayLike) -> Curve:
    x, y = _sizes(f"series[{name!r}][0]", sizes), _vector(f"series[{name!r}][1]", given)
    if len(x) != len(y):
        raise ValueError(
            f"series[{name!r}][1] (of length {len(y)}) must have one cost for each of "
            f"{len(x)} sizes"
        )
    return Curve(x, y, np.zeros(len(x)))


def _check_positive(name: str, curve: Curve, log: tuple[bool, bool]) -> None:
    for part, values, needed in zip(("x", "y"), curve[:2], log, strict=True):
        if needed and not (values > 0).all():
            raise ValueError(
                f"{name} (least {part} {values.min():.3g}) must be positive on a logarithmic axis"
            )


def _mean_curve(x: Array, runs: Array, interval: float) -> Curve:
    return Curve(x, runs.mean(axis=0), half_width(runs, interval))


def _at(curve: Curve, place: int) -> str:
    x, y, spread = (part[place] for part in curve[:3])
    return f"{x:g} it is {y:.3g} ± {spread:.3g}"


def _is_rounding(s: Array) -> Array:
    """Which of descending singular values cannot be told from 0."""
    return np.asarray(s <= len(s) * np.finfo(float).eps * s[0])


def _floor(spectra: Sequence[Array]) -> float | None:
    """Where values that are 0 up to rounding are drawn, if there are any: below all others."""
    if not any(_is_rounding(s).any() for s in spectra):
        return None
    return float(min(s[~_is_rounding(s)].min() for s in spectra)) / 5


def _mark_floor(axes: Axes, floor: float) -> None:
    axes.axhline(floor, color=INK, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.annotate(
        "0 up to rounding", (0, floor), xycoords=("axes fraction", "data"), xytext=(4, 3),
        textcoords="offset points", fontsize=TEXT, color=INK,
    )  # fmt: skip


def _spectrum_in_words(s: Array, log: bool) -> str:
    count = f"{len(s)} value{'s' * (len(s) != 1)}"
    told = f"{count}, largest {s[0]:.3g}, middle {np.median(s):.3g}, smallest {s[-1]:.3g}"
    lost = int(_is_rounding(s).sum())
    return told + (f"; {lost} of them 0 up to rounding" if lost and log else "")


def _exponent(curve: Curve) -> float:
    """The slope of the least-squares line on logarithmic axes."""
    return float(np.polyfit(np.log(curve.x), np.log(curve.y), 1)[0])


def _common(first: Curve, second: Curve) -> tuple[Array, Array]:
    """Logarithms of the sizes both cover, and of the ratio of their costs there."""
    low, high = max(first.x[0], second.x[0]), min(first.x[-1], second.x[-1])
    sizes = np.union1d(first.x, second.x)
    x = np.log(sizes[(sizes >= low) & (sizes <= high)])
    each = (np.interp(x, np.log(curve.x), np.log(curve.y)) for curve in (first, second))
    y, other = each
    return x, y - other


def _crossings(first: Curve, second: Curve) -> list[tuple[float, float]]:
    """Size and cost where the two change their order."""
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
    """A ring at each break-even point, with its size."""
    for x, y in points:
        axes.plot([x], [y], marker="o", markersize=9, fillstyle="none", color=INK, zorder=4)
        axes.annotate(
            f"{x:.3g}", (x, y), xytext=(0, 8), textcoords="offset points", fontsize=TEXT,
            weight="bold", color=INK, ha="right", va="bottom", zorder=5,
            path_effects=[withStroke(linewidth=3, foreground=PAPER)],
        )  # fmt: skip
