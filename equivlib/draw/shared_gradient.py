"""The gradient of a free matrix, and its sum for each weight of a shared one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..convolution.geometry import Geometry
from ..convolution.options import GeometryOptions, check_names, lists_options
from ..convolution.patches import Array, as_array
from ..labels import written
from ._cells import cell, grid
from ._entries import (
    LARGEST,
    ROOM,
    entries_of,
    require_one_channel,
    summed,
    tap_colour,
    weight_labels,
)
from ._style import EMPTY, HEAD, PAPER, TEXT, WIDTH, Drawing, axes_at, figure_of, house_style


@lists_options
def shared_gradient(
    weight_shape: Sequence[int],
    x: ArrayLike,
    g: ArrayLike,
    *,
    names: str = "k",
    **options: Unpack[GeometryOptions],
) -> Drawing:
    r"""Draw the gradient of a free matrix, :math:`g\, x^{\mathsf T}`, and its sum for each weight.

    Parameters
    ----------
    weight_shape : tuple of int
        As in :class:`~equivlib.Geometry`; one channel in and out.
    x : array_like, shape ``(1, *spatial)``
        The input.
    g : array_like, shape ``(1, *output)``
        The gradient with respect to the output.
    names : str
        Letter of the weights.
    **options : GeometryOptions

    Returns
    -------
    Drawing

    Raises
    ------
    ValueError
        If there is more than one channel or more than two spatial axes, or g has another shape
        than the output.

    Examples
    --------
    >>> shared_gradient((1, 1, 2), [[3, 1, 4]], [[1, 2]])  # doctest: +NORMALIZE_WHITESPACE
    The products g[i] x[j], row by row, those at the places of a weight with its name:
    3 (k0) 1 (k1) 4 | 6 2 (k0) 8 (k1). The sum over the places of k0: 3 + 2 = 5; of k1: 1 + 8 = 9.
    """
    check_names(options, "shared_gradient", ("names",))
    x, g = as_array("x", x), as_array("g", g)
    geometry = Geometry(tuple(weight_shape), x.shape, **options)
    require_one_channel(geometry)
    if g.shape != geometry.output_shape:
        raise ValueError(
            f"g (of shape {g.shape}) must have the shape of the output, {geometry.output_shape}"
        )
    products, labels = np.outer(g, x), weight_labels(geometry, names)
    places = summed(entries_of(geometry))
    sums = _sums(products, places, labels)
    with house_style():
        figure = _shared_figure(products, (x.ravel(), g.ravel()), places, labels, sums)
    rows = " | ".join(
        " ".join(_named(products[i, j], places.get((i, j), []), labels) for j in range(x.size))
        for i in range(g.size)
    )
    told = "; of ".join(sums)
    alt = (
        "The products g[i] x[j], row by row, those at the places of a weight with its name: "
        f"{rows}. The sum over the places of {told}."
    )
    return Drawing(figure, alt)


def _named(value: object, weights: list[int], labels: list[str]) -> str:
    named = "+".join(labels[t] for t in weights)
    return f"{written(value)} ({named})" if named else written(value)


def _sums(
    products: Array, places: Mapping[tuple[int, int], list[int]], labels: list[str]
) -> list[str]:
    """Return for each weight its terms and their sum, written as people do."""
    found = []
    for t, label in enumerate(labels):
        terms = [products[at] for at, weights in sorted(places.items()) for w in weights if w == t]
        text = written(terms[0]) if terms else "0"
        for term in terms[1:]:
            text += f" {'−' if term < 0 else '+'} {written(abs(term))}"
        total = written(sum(terms))
        found.append(f"{label}: {text} = {total}" if len(terms) > 1 else f"{label}: {total}")
    return found


def _shared_figure(
    products: Array,
    factors: tuple[Array, Array],
    places: Mapping[tuple[int, int], list[int]],
    labels: list[str],
    sums: list[str],
) -> Figure:
    """Draw the row of x above, the column of g to the left, the products, and the sums below."""
    (rows, columns), (x, g) = products.shape, factors
    unit = min(LARGEST, WIDTH / (columns + 3))
    gap, line = 0.16, 0.22
    height = ROOM + (rows + 1) * unit + gap + 0.1 + line * (len(sums) + 0.3)
    figure = figure_of(height)
    left = (WIDTH - (columns + 1) * unit - gap) / 2 + unit + gap
    drawn = axes_at(figure, left, ROOM, columns * unit, unit)
    grid(drawn, (1, columns)).set_title("input x")
    for j, value in enumerate(x):
        cell(drawn, (0, j), written(value), PAPER, TEXT)
    top = ROOM + unit + gap
    drawn = grid(axes_at(figure, left - unit - gap, top, unit, rows * unit), (rows, 1))
    drawn.text(-0.3, rows / 2, "g", ha="right", va="center", fontsize=HEAD)
    for i, value in enumerate(g):
        cell(drawn, (i, 0), written(value), PAPER, TEXT)
    drawn = grid(axes_at(figure, left, top, columns * unit, rows * unit), (rows, columns))
    for at in np.ndindex(*products.shape):
        weights = places.get(at, [])
        named = "+".join(labels[t] for t in weights)
        colour = tap_colour(weights[0]) if weights else EMPTY
        text = f"{named}\n{written(products[at])}" if weights else written(products[at])
        cell(drawn, at, text, colour, TEXT)
    for number, text in enumerate(sums):
        at = height - line * (len(sums) - number)
        figure.text(0.5, 1 - at / height, text, ha="center", va="center", fontsize=HEAD)
    return figure
