"""Means over several runs with their intervals: training, for example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from numpy.typing import ArrayLike

from ..convolution.patches import Array, as_array
from ._axes import guides, guides_in_words, plot, scales_in_words
from ._series import (
    Curve,
    ascending,
    check_interval,
    check_pairs,
    check_positive,
    check_slopes,
    finite,
    half_width,
)
from ._style import Drawing, house_style


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
    r"""Draw the mean over several runs with its confidence interval, for each of several methods.

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
        If a series is not a pair of ascending x and two or more runs of finite numbers,
        ``interval`` is not between 0 and 1, or ``slopes`` are given without both logarithmic axes.

    Examples
    --------
    >>> runs = [[4.0, 1.0], [6.0, 1.0]]
    >>> curves({"conv": ([0, 10], runs)}, x_label="epoch", y_label="loss")
    ... # doctest: +NORMALIZE_WHITESPACE
    loss against epoch, mean and 95 % t-interval. conv, 2 runs: at epoch = 0 it is 5 ± 12.7, at
    epoch = 10 it is 1 ± 0.
    """
    check_pairs(series, "runs")
    check_interval(interval)
    check_slopes(slopes)
    if slopes and not (log_x and log_y):
        raise ValueError(f"slopes (={tuple(slopes)}) need log_x and log_y")
    checked = {name: _runs(name, *given) for name, given in series.items()}
    drawn = {name: _mean_curve(x, runs, interval) for name, (x, runs) in checked.items()}
    check_positive(drawn, (log_x, log_y))
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
    what = f"{y_label} against {x_label}{scales_in_words(log_x, log_y)}{guides_in_words(slopes)}"
    runs = ", each run a point" if points else ""
    head = f"{what}, mean and {100 * interval:g} % t-interval{runs}.{note and f' {note}.'}"
    return Drawing(figure, f"{head} {told}")


def _runs(name: str, given_x: ArrayLike, given_runs: ArrayLike) -> tuple[Array, Array]:
    x = ascending(f"series[{name!r}][0]", given_x)
    runs = as_array(f"series[{name!r}][1]", given_runs)
    if runs.ndim != 2 or len(runs) < 2 or runs.shape[1] != len(x) or runs.dtype.kind == "c":
        raise ValueError(
            f"series[{name!r}][1] (of shape {runs.shape}, dtype {runs.dtype}) must be real runs of "
            f"shape (n_runs, {len(x)}) with n_runs of at least 2"
        )
    return x, finite(f"series[{name!r}][1]", runs, ndim=2)


def _mean_curve(x: Array, runs: Array, interval: float) -> Curve:
    return Curve(x, runs.mean(axis=0), half_width(runs, interval))


def _at(curve: Curve, place: int) -> str:
    x, y, spread = (part[place] for part in curve[:3])
    return f"{x:g} it is {y:.3g} ± {spread:.3g}"
