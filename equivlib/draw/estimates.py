"""Means of samples with their intervals: along an axis of numbers, or one row for each name."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from ..convolution.patches import Array, as_array
from ._axes import LINE, dress, fitted, mark_log, on_scale, plot, write_head, write_key
from ._series import (
    Curve,
    check_interval,
    check_pairs,
    check_positive,
    finite,
    half_width,
    is_ascending,
)
from ._style import LINES, MARKED, TEXT, WIDTH, Drawing, axes_at, figure_of, house_style, text_width

Samples = Sequence[ArrayLike]
STEP, BETWEEN = 0.17, 0.14  # inches of a row that one series takes, and between two rows
EDGE, BELOW = 0.12, 0.5  # inches around the axes
NAME = 20  # letters of a row's name in one line

#: Where a sample stands: at a number, or in the row of a name.
Place: TypeAlias = float | str


def estimates(
    series: Mapping[str, tuple[Sequence[Place], Samples]],
    *,
    labels: tuple[str, str],
    log_x: bool = False,
    log_y: bool = False,
    interval: float = 0.95,
    note: str = "",
) -> Drawing:
    r"""Draw means of samples with their confidence intervals, for each of several methods.

    A sample of n numbers with mean m and standard deviation s is drawn as
    :math:`m \pm t \, s / \sqrt{n}`, t the quantile of Student's distribution with n - 1 degrees of
    freedom; a sample of one number, say a published one, as a point. Where x are numbers, points
    are joined as in :func:`curves`, whose runs all reach from the first x to the last. Where x are
    names, each has a row, and its values lie along it.

    Parameters
    ----------
    series : mapping of str to (x, samples)
        Name of one to six series; ``x`` ascending numbers, or names, in all series alike; as many
        samples, each a sequence of one number or more.
    labels : tuple of str
        Of x and of the values.
    log_x, log_y : bool, default False
        Logarithmic axes, of the values ``log_y``.
    interval : float, default 0.95
        Probability of the interval.
    note : str, optional
        What is the same for all, such as the size of a batch: a line above the axes.

    Returns
    -------
    Drawing

    Raises
    ------
    ValueError
        If a series does not have a sample of finite numbers for each of its x, the x are neither
        ascending numbers nor different names, or ``interval`` is not between 0 and 1.

    Examples
    --------
    >>> measured = {"here": (["dense", "conv"], [[64.0, 66.0], [93.0, 95.0]])}
    >>> published = {"published": (["dense", "conv"], [[68], [94]])}
    >>> estimates(published | measured, labels=("model", "accuracy"))
    ... # doctest: +NORMALIZE_WHITESPACE
    accuracy for each model, mean and 95 % t-interval. published: dense 68, conv 94. here, 2 runs:
    dense 65 ± 12.7, conv 94 ± 12.7.
    """
    check_pairs(series, "samples")
    check_interval(interval)
    checked = {name: _checked(name, given) for name, given in series.items()}
    named = {isinstance(x[0], str) for x, _ in checked.values()}
    if len(named) > 1 or (True in named and log_x):
        raise ValueError("the x of all series must be numbers, or names without log_x")
    drawn = {name: _curve(x, samples, interval) for name, (x, samples) in checked.items()}
    check_positive(drawn, (log_x, log_y), ("x", "mean"))
    with house_style():
        if True in named:
            rows = list(dict.fromkeys(str(name) for x, _ in checked.values() for name in x))
            places = {name: [str(place) for place in x] for name, (x, _) in checked.items()}
            figure = _rows(drawn, places, rows, on_scale(labels[1], log_y), note)
            if log_y:
                figure.axes[0].set_xscale("log")
                mark_log(figure.axes[0].xaxis)
        else:
            figure = plot(drawn, labels, (log_x, log_y), note=note)
    told = " ".join(_in_words(name, *checked[name], drawn[name]) for name in checked)
    several = any(len(sample) > 1 for _, samples in checked.values() for sample in samples)
    spread = f", mean and {100 * interval:g} % t-interval" if several else ""
    head = f"{labels[1]} for each {labels[0]}{spread}."
    return Drawing(figure, f"{head}{note and f' {note}.'} {told}")


def _checked(name: str, given: tuple[Sequence[Place], Samples]) -> tuple[list[Place], list[Array]]:
    """Return the x of a series and its samples, or the error that names it."""
    what = f"series[{name!r}]"
    x, samples = list(given[0]), [as_array(f"{what}[1]", sample) for sample in given[1]]
    if len(x) != len(samples) or not x:
        raise ValueError(
            f"{what} (of {len(x)} x and {len(samples)} samples) must have a sample for each x, and "
            "at least one"
        )
    samples = [
        finite(f"{what}[1] at {place!r}", sample, ndim=1)
        for place, sample in zip(x, samples, strict=True)
    ]
    names = [isinstance(place, str) for place in x]
    right = len(set(x)) == len(x) if all(names) else not any(names) and is_ascending(x)
    if not right:
        raise ValueError(f"{what}[0] (={x!r}) must be ascending numbers, or names, all different")
    return x, samples


def _curve(x: list[Place], samples: list[Array], interval: float) -> Curve:
    """Compute means and half intervals; places of names are filled in when all rows are known."""
    places = np.zeros(len(x)) if isinstance(x[0], str) else np.asarray(x, float)
    spread = [half_width(s, interval) if len(s) > 1 else 0.0 for s in samples]
    return Curve(places, np.array([s.mean() for s in samples]), np.array(spread))


def _rows(
    drawn: Mapping[str, Curve],
    names: Mapping[str, list[str]],
    rows: list[str],
    label: str,
    note: str,
) -> Figure:
    """Draw one row for each name, the series below each other in it, their names above."""
    told = [textwrap.fill(row, NAME) for row in rows]
    left = 0.16 + max(map(text_width, told))
    height = max(len(drawn) * STEP, 0.13 * max(t.count("\n") + 1 for t in told)) + BETWEEN
    across = max(1, int((WIDTH - 2 * EDGE) / (0.5 + max(map(text_width, drawn)))))
    notes = fitted(note, TEXT) if note else []
    key = 0.18 * math.ceil(len(drawn) / across) if len(drawn) > 1 else 0
    top = EDGE + LINE * len(notes) + key
    figure = figure_of(top + height * len(rows) + BELOW)
    axes = axes_at(figure, left, top, WIDTH - left - EDGE, height * len(rows))
    first = (len(drawn) - 1) / 2
    for place, (line, (name, curve)) in enumerate(zip(LINES, drawn.items(), strict=False)):
        lower = np.array([rows.index(row) for row in names[name]])
        axes.errorbar(
            curve.y, lower + (place - first) * STEP / height, xerr=curve.spread, fmt=line.marker,
            color=line.colour, markersize=5.5, elinewidth=1.2, capsize=2.5, capthick=1.2,
            label=name, zorder=3, **MARKED,
        )  # fmt: skip
    _dress_rows(axes, told, label)
    write_head(figure, notes, len(notes))
    if len(drawn) > 1:
        write_key(figure, list(drawn), across, 0.04 + LINE * len(notes), samples=False)
    return figure


def _dress_rows(axes: Axes, told: list[str], label: str) -> None:
    """Write the names on the left; draw a line between rows and a faint grid."""
    axes.set_yticks(range(len(told)), told)
    axes.set_ylim(len(told) - 0.5, -0.5)
    axes.set_yticks(np.arange(1, len(told)) - 0.5, minor=True)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.margins(x=0.05)
    dress(axes, label)
    axes.tick_params(axis="y", which="both", length=0)
    axes.grid(False, axis="y")
    axes.grid(axis="y", which="minor", color="#c9c9c4")
    axes.spines["left"].set_visible(False)


def _in_words(name: str, x: list[Place], samples: list[Array], curve: Curve) -> str:
    """Tell every point of a series, and of how many runs."""
    counts = {len(sample) for sample in samples} - {1}
    runs = f", {min(counts)} to {max(counts)} runs" if len(counts) > 1 else ""
    if len(counts) == 1:
        runs = f", {counts.pop()} runs"
    points = [
        f"{place if isinstance(place, str) else format(place, 'g')} {mean:.3g}"
        + (f" ± {half:.3g}" if len(sample) > 1 else "")
        for place, sample, mean, half in zip(x, samples, curve.y, curve.spread, strict=True)
    ]
    return f"{name}{runs}: {', '.join(points)}."
