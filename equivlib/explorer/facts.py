"""Every number and every link of the linked picture, looked up in the library's own tables.

The picture without scripts is drawn from these facts. The script computes the same ones anew after
each change (``static/model.js``), and tests compare them with these. A place is a place of the
padded input, counted row-major over (channel, padded spatial axes): so a zero of the padding can be
pointed at like any input.
"""

from __future__ import annotations

import math

import numpy as np

from ..convolution.axis import PADDING, Index
from ..convolution.functional import conv, conv_transpose
from ..convolution.geometry import Geometry
from ..convolution.matrix import conv_matrix, tap_matrix
from ..convolution.options import GeometryOptions
from ..convolution.patches import Array, inside, padded_shape
from ..convolution.pattern import pattern
from ..labels import TAP_COLOURS, labels, written
from .typed import LayerFacts, Reasons


def facts(weight: Array, x: Array, names: str, options: GeometryOptions) -> LayerFacts:
    """Return one setting of the picture, ready for JSON: shapes, labels, values and links.

    Rows are outputs, columns are inputs, weights are counted row-major; ``reads`` gives for each
    row the place that each weight of its output channel reads, in the order of ``weights``.
    """
    geometry = Geometry(weight.shape, x.shape, **options)
    y = conv(x, weight, **options)
    back = conv_transpose(y, weight, output_shape=geometry.spatial_shape, **geometry.options)
    element, places = _padded(geometry)
    rows, columns = _reads(places, geometry), _columns(element, geometry)
    return {
        "x": {
            "shape": plane(geometry.input_shape),
            "padded": plane((geometry.in_channels, *padded_shape(geometry))),
            "inside": _inside(geometry),
            "labels": labels("x", x.shape),
            "values": [written(value) for value in x.flat],
            "back": [written(value) for value in back.flat],
        },
        "k": {
            "shape": [*weight.shape[:2], *plane((1, *geometry.kernel_size))[1:]],
            "labels": labels(names, weight.shape),
            "values": [written(value) for value in weight.flat],
            "counts": _counts(geometry),
            "hues": hues(weight),
        },
        "y": {
            "shape": plane(geometry.output_shape),
            "labels": labels("y", y.shape),
            "values": [written(value) for value in y.flat],
            "start": _start(columns, rows),
        },
        "reads": rows,
        "weights": np.arange(weight.size).reshape(len(weight), -1).tolist(),
        "columns": columns,
        "sums": _sums(weight, geometry),
        "why": _reasons(geometry, element, places),
        "rounded": any(is_rounded(array) for array in (x, weight, y, back)),
    }


def _padded(geometry: Geometry) -> tuple[Index, Index]:
    """Return the element each padded place shows, and the padded places each position's taps read.

    Both are patterns of the library: of a single tap over the padded input, and of the kernel over
    an input that is padded already.
    """
    one, ndim = (1, 1), geometry.ndim
    shows = Geometry(
        (*one, *(1,) * ndim),
        (1, *geometry.spatial_shape),
        padding=geometry.padding,
        padding_mode=geometry.padding_mode,
    )
    kernel = Geometry(
        (*one, *geometry.kernel_size),
        (1, *padded_shape(geometry)),
        stride=geometry.stride,
        dilation=geometry.dilation,
        flip=geometry.flip,
    )
    return pattern(shows)[:, 0], pattern(kernel)


def _inside(geometry: Geometry) -> list[int]:
    """Return 1 for each padded place of all channels that is no padding."""
    marks = np.zeros((geometry.in_channels, *padded_shape(geometry)), dtype=int)
    marks[:, *inside(geometry)] = 1
    return marks.ravel().tolist()


def _columns(element: Index, geometry: Geometry) -> list[int]:
    """Return for each padded place of all channels its column of W, or ``PADDING``."""
    size = math.prod(geometry.spatial_shape)
    channels = np.arange(geometry.in_channels)[:, None]
    return np.where(element == PADDING, PADDING, channels * size + element).ravel().tolist()


def _counts(geometry: Geometry) -> list[int]:
    """Count the entries of W at which each weight stands."""
    shapes = geometry.weight_shape, geometry.input_shape
    return [
        tap_matrix(tap, *shapes, **geometry.options).nnz
        for tap in np.ndindex(*geometry.weight_shape)
    ]


def _sums(weight: Array, geometry: Geometry) -> dict[int, str]:
    """Return the entries of W that are sums of several weights, by their flat index."""
    if geometry.padding_mode == "zeros":
        return {}
    shown = geometry.input_shape, geometry.options
    W, met = (
        np.asarray(conv_matrix(kernel, shown[0], format="dense", **shown[1]))
        for kernel in (weight, np.ones(geometry.weight_shape, dtype=int))
    )
    return {int(at): written(W.flat[at]) for at in np.flatnonzero(met > 1)}


def _reads(places: Index, geometry: Geometry) -> list[list[int]]:
    """Return for each row of W the places that the weights of its output channel read."""
    per_channel = math.prod(padded_shape(geometry))
    own = np.arange(geometry.in_channels).reshape(geometry.groups, -1)
    of_group = [
        (channels[:, None] * per_channel + places[:, None, :]).reshape(len(places), -1).tolist()
        for channels in own
    ]
    repeated = geometry.out_channels // geometry.groups
    return [row for rows in of_group for _ in range(repeated) for row in rows]


def _start(columns: list[int], rows: list[list[int]]) -> int:
    """Return the output to begin with: the middle one of those that read the most inputs."""
    read = [len({columns[place] for place in row} - {int(PADDING)}) for row in rows]
    most = [row for row, count in enumerate(read) if count == max(read)]
    return most[len(most) // 2]


def _reasons(geometry: Geometry, element: Index, places: Index) -> Reasons:
    """Return why entries of W that one might expect to be filled are empty; nothing where none are.

    ``gaps``: for each position the inputs between its taps, which dilation leaves out. ``edges``:
    for each position the inputs at which the diagonal of a tap would go on, had the tap not met
    padding. ``groups``: of each input and of each output channel.
    """
    padded, low = padded_shape(geometry), np.array([axis.low for axis in geometry.axes])
    steps = [math.prod(geometry.spatial_shape[axis + 1 :]) for axis in range(geometry.ndim)]
    at = np.stack(np.unravel_index(places, padded), axis=-1)
    all_places = np.stack(np.unravel_index(np.arange(len(element)), padded), axis=-1)
    gaps, edges = [], []

    def is_diagonal(position: int, tap: int, j: int) -> bool:
        """Return whether the tap reads a neighbour of j from a neighbouring position."""
        return any(
            0 <= position + by < len(places)
            and element[places[position + by, tap]] == j + by != PADDING
            for by in (-1, 1)
        )

    for position, (taps, read) in enumerate(zip(at, places, strict=True)):
        between = ((all_places >= taps.min(axis=0)) & (all_places <= taps.max(axis=0))).all(axis=1)
        shown = {*element[read].tolist(), PADDING}
        gaps.append(sorted(set(element[between].tolist()) - shown))
        goes_on = ((taps - low) @ steps).tolist()
        empty = set(element.tolist()) - shown
        met = np.flatnonzero(element[read] == PADDING).tolist()
        edges.append(
            {
                goes_on[tap]: tap
                for tap in met
                if goes_on[tap] in empty and is_diagonal(position, tap, goes_on[tap])
            }
        )
    reasons: Reasons = {}
    if any(gaps):
        reasons["gaps"] = gaps
    if any(edges):
        reasons["edges"] = edges
    if geometry.groups > 1:
        channels = geometry.in_channels, geometry.out_channels
        reasons["groups"] = [
            np.repeat(range(geometry.groups), n // geometry.groups).tolist() for n in channels
        ]
    return reasons


def plane(shape: tuple[int, ...]) -> list[int]:
    """Return (channels, height, width); one spatial axis is a plane of one line."""
    return list(shape) if len(shape) == 3 else [shape[0], 1, shape[1]]


def hues(weight: Array) -> int:
    """Count the weights after which colours begin again: those of a kernel if they are many."""
    return weight.size if weight.size <= len(TAP_COLOURS) else math.prod(weight.shape[2:])


def is_rounded(values: Array) -> bool:
    """Return whether some number is shown with fewer digits than it has."""
    inexact = values.dtype.kind in "fc"
    return inexact and any(complex(written(value)) != value for value in values.flat)
