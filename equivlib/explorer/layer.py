"""The linked picture: input, kernel, matrix and output of one layer, joined number by number."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Mapping, Sequence
from typing import Unpack, cast

import numpy as np
from numpy.typing import ArrayLike

from ..convolution.geometry import Geometry
from ..convolution.options import GeometryOptions, check_names, lists_options
from ..convolution.patches import Array, as_array
from ..labels import check_text, written
from .code import code
from .facts import facts
from .page import Picture
from .svg import LABELLED, static
from .typed import ArrayTold, LayerFacts, LayerPage, LayerTold, ResultsTold, SettingTold, Start

#: What a page can still draw and a reader still point at.
MOST_ROWS, MOST_ENTRIES = 1024, 20_000
#: A script computes with numbers of 53 bits: sums of such numbers are still exact.
MOST_EXACT = 10**12
CONTROLS = ("edit", "options", "free", "own", "gradient", "guide")
TIES = ("convolution", "local", "full")
STEPS = range(1, 7)
FLAGS = (False, True)


class Explorer(Picture):
    """A layer to point at; a notebook shows it, and a page keeps it without a server.

    Made by :func:`explore`. Its representations are HTML with everything in it, a picture in SVG
    where scripts are stripped, and a line of text.
    """

    kind = "layer"

    def __init__(self, page: LayerPage, settings: list[LayerFacts], told: str) -> None:
        super().__init__(page, static(settings[0], told), told)
        self._settings = settings

    def facts(self, setting: int = 0) -> LayerFacts:
        """Return all that one setting shows: labels, values, and which place each weight reads."""
        return copy.deepcopy(self._settings[setting])


class Variant(GeometryOptions, total=False):
    """Options of one setting, and its weight if that differs too."""

    weight: ArrayLike


@lists_options
def explore(
    weight: ArrayLike,
    input_shape: tuple[int, ...],
    *,
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    variants: Mapping[str, Variant] | None = None,
    names: str = "k",
    start: Start | None = None,
    controls: Sequence[str] | None = None,
    **options: Unpack[GeometryOptions],
) -> Explorer:
    r"""Show a layer and its matrix so that every number can be pointed at.

    .. math:: y = W x, \qquad W = \sum_t k_t E_t

    Pointing at an output shows its patch and its row of W, at an input its column, at a weight
    :math:`k_t` every place where it stands in W, at an entry of W its weight, input and output. In
    a page each number can be changed, sizes and options too, and the entries of W can be freed.

    Parameters
    ----------
    weight : array_like, shape ``(out_channels, in_channels // groups, *kernel)``
        One or two spatial axes.
    input_shape : tuple of int
        ``(in_channels, *spatial)``.
    x : array_like, shape ``input_shape``, optional
        The input; 1, 2, 3, ... unless given.
    y : array_like, shape of the output, optional
        What W is applied to when it is read by columns; W x unless given.
    variants : mapping of str to mapping, optional
        Settings to switch between in place: a title and the options that differ from ``options``.
        ``weight`` may be among them, where groups ask for another shape.
    names : str, default "k"
        Letter of the weights.
    start : mapping, optional
        What is shown first: ``setting`` (a title of ``variants``), ``at`` (what is marked:
        ``"y1"``, ``"k0"``, ``"W[0, 2]"``), ``columns`` and ``numbers`` (bool), ``tie``
        (``"local"`` or ``"full"``: entries of W that are free), ``guide`` (a step, 1 to 6).
    controls : sequence of str, optional
        Which controls there are, of ``"edit"``, ``"options"``, ``"free"``, ``"own"``,
        ``"gradient"`` and ``"guide"``; all of them unless given.
    **options : GeometryOptions

    Returns
    -------
    Explorer
        The same text on every platform, for the same numbers.

    Raises
    ------
    ValueError
        More than two spatial axes, a matrix too large to point at (the message has the limit), a
        start or a control that there is not, a name or title with characters that no page can
        hold, or what :class:`~equivlib.Geometry` refuses.

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
    check_names(options, "explore", ("x", "y", "variants", "names", "start", "controls"))
    weight = as_array("weight", weight)
    check_text("names", names)
    check_text("variants", *(variants or ()))
    chosen: dict[str, Variant] = {"": {}} if variants is None else dict(variants)
    if not chosen:
        raise ValueError("variants (={}) must hold at least one title with its options")
    layers = []
    for title, changed in chosen.items():
        own = as_array("weight", changed.get("weight", weight))
        _check_exact("weight", own)
        others = {key: value for key, value in changed.items() if key != "weight"}
        given = cast(GeometryOptions, {**options, **others})
        layers.append((title, own, given, _checked(Geometry(own.shape, input_shape, **given))))
    shape = layers[0][3].input_shape
    given_x = np.arange(1, np.prod(shape) + 1).reshape(shape) if x is None else as_array("x", x)
    if given_x.shape != shape:
        raise ValueError(f"x (of shape {given_x.shape}) must have input_shape (={shape})")
    _check_exact("x", given_x)
    first = layers[0][3]
    told = _told(first, len(layers))
    shown: list[LayerFacts] = [
        {
            **facts(own, given_x, names, given),
            "title": title,
            "code": code(own, given_x, given, geometry),
        }
        for title, own, given, geometry in layers
    ]
    page: LayerPage = {
        "labelled": LABELLED,
        "most": {"rows": MOST_ROWS, "entries": MOST_ENTRIES},
        "names": names,
        "x": _array(given_x),
        "settings": [
            _setting(layer, given_x, fact) for layer, fact in zip(layers, shown, strict=True)
        ],
        "start": _start(start, list(chosen), shown),
    }
    if controls is not None:
        page["controls"] = _controls(controls)
    if y is not None:
        given_y = as_array("y", y)
        if given_y.shape != first.output_shape:
            raise ValueError(
                f"y (of shape {given_y.shape}) must have the output's shape {first.output_shape}"
            )
        _check_exact("y", given_y)
        page["y"] = _array(given_y)
    return Explorer(page, shown, told)


def _check_exact(name: str, values: Array) -> None:
    """Refuse exact numbers, such as symbols, that write themselves as what no page can hold."""
    if values.dtype == object:
        check_text(name, *map(written, values.flat))


def _setting(
    layer: tuple[str, Array, GeometryOptions, Geometry], x: Array, shown: LayerFacts
) -> SettingTold:
    """Tell the page a setting: what it computes with, and the results that it cannot compute."""
    title, weight, _, geometry = layer
    told: LayerTold = {
        "input": list(geometry.input_shape),
        "weight": list(geometry.weight_shape),
        "stride": list(geometry.stride),
        "padding": [list(pair) for pair in geometry.padding],
        "dilation": list(geometry.dilation),
        "groups": geometry.groups,
        "mode": geometry.padding_mode,
        "flip": geometry.flip,
    }
    setting: SettingTold = {
        "title": title,
        "layer": told,
        "weight": _array(weight),
        "code": shown["code"],
    }
    if not (_is_plain(weight) and _is_plain(x)):
        results: ResultsTold = {
            "y": shown["y"]["values"],
            "back": shown["x"]["back"],
            "sums": shown["sums"],
            "rounded": shown["rounded"],
        }
        setting["results"] = results
        setting["weight"] = {"texts": shown["k"]["values"]}
    return setting


def _is_plain(values: Array) -> bool:
    """Return whether a script can compute with the numbers as they are."""
    if values.dtype.kind not in "biuf":
        return False
    return all(math.isfinite(value) and abs(value) < MOST_EXACT for value in values.flat)


def _array(values: Array) -> ArrayTold:
    if not _is_plain(values):
        return {"texts": [written(value) for value in values.flat]}
    whole = values.astype(int) if values.dtype.kind == "b" else values
    return {"values": [int(v) if v == int(v) else v for v in whole.ravel().tolist()]}


def _start(start: Start | None, titles: list[str], shown: list[LayerFacts]) -> Start:
    """Refuse a first state that there is not."""
    asked: Start = {} if start is None else start
    for name, value in asked.items():
        if name not in Start.__annotations__:
            raise ValueError(
                f"start (with {name!r}) must have names of {', '.join(Start.__annotations__)}"
            )
        choices = {"setting": titles, "tie": TIES, "guide": STEPS}
        allowed = {**choices, "columns": FLAGS, "numbers": FLAGS}.get(name)
        if allowed is not None and value not in allowed:
            raise ValueError(f"start[{name!r}] (={value!r}) must be one of {allowed}")
    if "at" in asked:
        setting = asked.get("setting", titles[0])
        _check_cell(asked["at"], shown[titles.index(setting)])
    return asked


def _check_cell(at: str, facts: LayerFacts) -> None:
    """Refuse the name of a cell that there is not."""
    x, k, y = (facts[kind]["labels"] for kind in ("x", "k", "y"))
    entry = re.fullmatch(r"W\[(\d+), (\d+)\]", at)
    inside = entry is not None and int(entry[1]) < len(y) and int(entry[2]) < len(x)
    if not (inside or at in (*x, *k, *y)):
        raise ValueError(
            f"start['at'] (={at!r}) must be one of {x[0]} to {x[-1]}, {k[0]} to {k[-1]}, "
            f"{y[0]} to {y[-1]} or an entry of W, W[0, 0] to W[{len(y) - 1}, {len(x) - 1}]"
        )


def _controls(controls: Sequence[str]) -> list[str]:
    for name in controls:
        if name not in CONTROLS:
            raise ValueError(f"controls (with {name!r}) must be of {', '.join(CONTROLS)}")
    return list(controls)


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
