"""The roofline picture: how fast methods run, below what the machine allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from ..convolution.patches import Array
from ._axes import plot
from ._series import Curve, as_many, check_pairs, check_positive, vector
from ._style import INK, Drawing, halo, house_style


def roofline(
    series: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    peak: float,
    bandwidth: float,
    x_label: str = "multiplications per byte",
    y_label: str = "multiplications per second",
    note: str = "",
    labels: Mapping[str, Sequence[str]] | None = None,
) -> Drawing:
    r"""Draw rates against arithmetic intensity on logarithmic axes, and the roof above them.

    With an intensity of I operations per byte no rate is above
    :math:`\min(peak, \; bandwidth \cdot I)`.

    Parameters
    ----------
    series : mapping of str to (intensities, rates)
        Name of one to six methods; two arrays of shape ``(points,)``, positive, joined in the
        given order.
    peak : float
        Operations per second at most.
    bandwidth : float
        Bytes per second that the memory moves at most.
    x_label, y_label : str
    note : str, optional
        What is the same for all, such as the size of a batch: a line above the axes.
    labels : mapping of str to sequence of str, optional
        For some of the methods a short text beside each point, such as what its rate was measured
        with; an empty one for none.

    Returns
    -------
    Drawing

    Raises
    ------
    ValueError
        If ``peak``, ``bandwidth``, a rate or an intensity is not positive, or a series does not
        have a text for each of its points where ``labels`` names it.

    Examples
    --------
    >>> series = {"dense": ([1, 2], [3e9, 5e9])}
    >>> roofline(series, peak=1e11, bandwidth=1e10)  # doctest: +NORMALIZE_WHITESPACE
    multiplications per second against multiplications per byte, both axes logarithmic, under a roof
    that rises with 1e+10 bytes per second up to 1e+11 multiplications per second at 10
    multiplications per byte. dense: intensity 1 to 2, rate 3e+09 to 5e+09, 25 to 30 % of the roof.
    """
    for name, value in (("peak", peak), ("bandwidth", bandwidth)):
        if not np.isfinite(value) or value <= 0:
            raise ValueError(f"{name} (={value!r}) must be a positive number")
    check_pairs(series, "rates")
    drawn = {name: _points(name, given) for name, given in series.items()}
    check_positive(drawn, (True, True))
    texts = {name: _texts(name, given, drawn) for name, given in (labels or {}).items()}
    limits = _limits(list(drawn.values()), peak, bandwidth)
    with house_style():
        figure = plot(drawn, (x_label, y_label), (True, True), limits, note)
        _draw_roof(figure.axes[0], limits[0], peak, bandwidth)
        for name, each in texts.items():
            _write_labels(figure.axes[0], drawn[name], each)
    told = [
        _in_words(name, curve, peak, bandwidth, texts.get(name, []))
        for name, curve in drawn.items()
    ]
    head = (
        f"{y_label} against {x_label}, both axes logarithmic, under a roof that rises with "
        f"{bandwidth:.3g} bytes per second up to {peak:.3g} {y_label} at {peak / bandwidth:.3g} "
        f"{x_label}.{note and f' {note}.'}"
    )
    return Drawing(figure, " ".join([head, *told]))


def _points(name: str, given: tuple[ArrayLike, ArrayLike]) -> Curve:
    x, y = (vector(f"series[{name!r}][{part}]", given[part]) for part in (0, 1))
    return as_many(name, x, y, "rate", "intensities")


def _texts(name: str, given: Sequence[str], drawn: Mapping[str, Curve]) -> list[str]:
    if name not in drawn:
        raise ValueError(f"labels has {name!r}, which must be one of the names {list(drawn)}")
    if isinstance(given, str) or len(given) != len(drawn[name].x):
        raise ValueError(
            f"labels[{name!r}] (={given!r}) must have a text for each of its "
            f"{len(drawn[name].x)} points"
        )
    return [str(text) for text in given]


def _roof(intensity: Array, peak: float, bandwidth: float) -> Array:
    return np.minimum(peak, bandwidth * intensity)


def _limits(
    curves: list[Curve], peak: float, bandwidth: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return limits with room for all points, the roof over them and its corner."""
    corner = peak / bandwidth
    each = np.concatenate([curve.x for curve in curves])
    left, right = min(float(each.min()), corner) / 1.5, max(float(each.max()), corner) * 3
    low = min(bandwidth * left, *(float(curve.y.min()) for curve in curves)) / 1.5
    high = max(peak, *(float(curve.y.max()) for curve in curves)) * 2.2
    return (left, right), (low, high)


def _draw_roof(axes: Axes, ends: tuple[float, float], peak: float, bandwidth: float) -> None:
    """Draw the roof from one end to the other, its two parts named."""
    x = np.array([ends[0], peak / bandwidth, ends[1]])
    y = _roof(x, peak, bandwidth)
    axes.plot(x, y, color=INK, linewidth=2, zorder=2)
    for name, at, shift in (
        ("peak", ends[1], (-4, 4)),
        ("memory", (ends[0] * peak / bandwidth) ** 0.5, (-6, 2)),
    ):
        axes.annotate(
            name, (at, float(_roof(np.array(at), peak, bandwidth))), xytext=shift,
            textcoords="offset points", ha="right", path_effects=halo(),
        )  # fmt: skip


def _write_labels(axes: Axes, curve: Curve, texts: Sequence[str]) -> None:
    """Write a text to the right of each point."""
    for x, y, text in zip(curve.x, curve.y, texts, strict=True):
        axes.annotate(
            text, (x, y), xytext=(5, 0), textcoords="offset points", ha="left",
            va="center", zorder=5, path_effects=halo(2.5),
        )  # fmt: skip


def _in_words(name: str, curve: Curve, peak: float, bandwidth: float, texts: Sequence[str]) -> str:
    share = 100 * curve.y / _roof(curve.x, peak, bandwidth)
    ranges = [
        _range(values, form)
        for values, form in ((curve.x, ".3g"), (curve.y, ".3g"), (share, ".3g"))
    ]
    named = [text for text in texts if text]
    points = f" ({', '.join(named)})" if named else ""
    return f"{name}{points}: intensity {ranges[0]}, rate {ranges[1]}, {ranges[2]} % of the roof."


def _range(values: Array, form: str) -> str:
    low, high = f"{values.min():{form}}", f"{values.max():{form}}"
    return low if low == high else f"{low} to {high}"
