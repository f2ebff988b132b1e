"""The linked picture: input, kernel, matrix and output of one layer, joined number by number."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Unpack, cast

import numpy as np
from numpy.typing import ArrayLike

from ..convolution.geometry import Geometry
from ..convolution.options import GeometryOptions, check_names, lists_options
from ..convolution.patches import as_array
from .code import code
from .facts import facts
from .page import Facts, Picture
from .svg import LABELLED, static
from .words import WORDS

#: What a page can still draw and a reader still point at.
MOST_ROWS, MOST_ENTRIES = 1024, 20_000


class Explorer(Picture):
    """A layer to point at; a notebook shows it, and a page keeps it without a server.

    Made by :func:`explore`. Its representations are HTML with everything in it, a picture in SVG
    where scripts are stripped, and a line of text.
    """

    kind = "layer"

    def facts(self, setting: int = 0) -> Facts:
        """Return all that one setting shows: labels, values, and which place each weight reads."""
        shown: Facts = copy.deepcopy(self._data["settings"][setting])
        return shown


class Variant(GeometryOptions, total=False):
    """Options of one setting, and its weight if that differs too."""

    weight: ArrayLike


@lists_options
def explore(
    weight: ArrayLike,
    input_shape: tuple[int, ...],
    *,
    x: ArrayLike | None = None,
    variants: Mapping[str, Variant] | None = None,
    names: str = "k",
    **options: Unpack[GeometryOptions],
) -> Explorer:
    r"""Show a layer and its matrix so that every number can be pointed at.

    .. math:: y = W x, \qquad W = \sum_t k_t E_t

    Pointing at an output shows its patch and its row of W, at an input its column, at a weight
    :math:`k_t` every place where it stands in W, at an entry of W its weight, input and output. All
    numbers are computed here; the page only draws them.

    Parameters
    ----------
    weight : array_like, shape ``(out_channels, in_channels // groups, *kernel)``
        One or two spatial axes.
    input_shape : tuple of int
        ``(in_channels, *spatial)``.
    x : array_like, shape ``input_shape``, optional
        The input; 1, 2, 3, ... unless given.
    variants : mapping of str to mapping, optional
        Settings to switch between in place: a title and the options that differ from ``options``.
        ``weight`` may be among them, where groups ask for another shape.
    names : str, default "k"
        Letter of the weights.
    **options : GeometryOptions

    Returns
    -------
    Explorer
        The same text on every platform, for the same numbers.

    Raises
    ------
    ValueError
        More than two spatial axes, a matrix too large to point at (the message has the limit), or
        what :class:`~equivlib.Geometry` refuses.

    See Also
    --------
    equivlib.draw.layer : the same as a figure for print.

    Examples
    --------
    Two weights over three inputs::

        x = [1 2 3]    k = [5 7]    W = [k0 k1  .]    y = [19 31]
                                        [ . k0 k1]

    >>> shown = explore([[[5, 7]]], (1, 3))
    >>> shown
    explore: input 1 × 3, kernel 1 × 1 × 2, output 1 × 2; W is 2 × 3, 4 of its 6 entries not empty

    What it shows is what NumPy computes:

    >>> shown.facts()["y"]["values"] == [str(v) for v in np.correlate([1, 2, 3], [5, 7])]
    True
    """
    check_names(options, "explore", ("x", "variants", "names"))
    weight = as_array("weight", weight)
    chosen: dict[str, Variant] = {"": {}} if variants is None else dict(variants)
    if not chosen:
        raise ValueError("variants (={}) must hold at least one title with its options")
    layers = []
    for title, changed in chosen.items():
        own = as_array("weight", changed.get("weight", weight))
        others = {key: value for key, value in changed.items() if key != "weight"}
        given = cast(GeometryOptions, {**options, **others})
        layers.append((title, own, given, _checked(Geometry(own.shape, input_shape, **given))))
    shape = layers[0][3].input_shape
    given_x = np.arange(1, np.prod(shape) + 1).reshape(shape) if x is None else as_array("x", x)
    if given_x.shape != shape:
        raise ValueError(f"x (of shape {given_x.shape}) must have input_shape (={shape})")
    settings = [
        {
            "title": title,
            **facts(own, given_x, names, given),
            "code": code(own, given_x, given, geometry),
        }
        for title, own, given, geometry in layers
    ]
    told = _told(layers[0][3], len(layers))
    data = {"labelled": LABELLED, "words": WORDS, "settings": settings}
    return Explorer(data, static(settings[0], told), told)


def _checked(geometry: Geometry) -> Geometry:
    """Refuse what cannot be drawn, before any work."""
    if geometry.ndim > 2:
        raise ValueError(
            f"input_shape (={geometry.input_shape}) must have one or two spatial axes to be drawn"
        )
    rows, columns = geometry.matrix_shape
    if max(rows, columns) > MOST_ROWS or geometry.nnz > MOST_ENTRIES:
        raise ValueError(
            f"weight_shape (={geometry.weight_shape}) and input_shape (={geometry.input_shape}) "
            f"make a matrix of {rows} × {columns} with {geometry.nnz} entries; at most "
            f"{MOST_ROWS} × {MOST_ROWS} with {MOST_ENTRIES} can be pointed at"
        )
    return geometry


def _told(geometry: Geometry, settings: int) -> str:
    shapes = geometry.input_shape, geometry.weight_shape, geometry.output_shape
    sizes = [" × ".join(map(str, shape)) for shape in shapes]
    rows, columns = geometry.matrix_shape
    more = f"; {settings} settings" if settings > 1 else ""
    return (
        f"explore: input {sizes[0]}, kernel {sizes[1]}, output {sizes[2]}; W is {rows} × "
        f"{columns}, {geometry.nnz} of its {rows * columns} entries not empty{more}"
    )
