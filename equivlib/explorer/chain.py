"""Every number and every link of a network beside its perceptron, from the conversion itself."""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np

from ..convert import to_mlp
from ..convert.plan import make_plan, network_dtype
from ..convolution.csr import is_sparse
from ..convolution.patches import Array
from ..convolution.pattern import pattern
from ..labels import labels, written
from ..layers import (
    Add,
    Concat,
    Conv,
    ConvTranspose,
    Dense,
    Flatten,
    Layer,
    LeakyReLU,
    Maximum,
    MaxPool,
    Network,
    ReLU,
    ReLU6,
)
from ..layers.affine import Weight
from ..layers.base import Number
from ..layers.pooling import one_channel
from .facts import hues, is_rounded, plane
from .typed import Form, Made, NetworkFacts, Part, StageFacts, UnitFacts, Weighted

#: What an activation does to each number, as it is written.
SIGNS = {ReLU: "relu", LeakyReLU: "leaky", ReLU6: "relu6", Flatten: "same"}


def chain_facts(net: Network, x: Array, start: str | None = None) -> NetworkFacts:
    """Describe the layers, the stages of the perceptron, and where each finds the other.

    ``start`` is the label of the unit to begin with. A unit is counted row-major in its layer; the
    input is layer -1. ``reads`` lists for each unit what it is made of: (layer, unit, factor,
    weight), the weight counted in the layer's kernel or -1 if it has none.
    """
    mlp, plan = to_mlp(net), make_plan(net, network_dtype(net))
    values = _values(net, x)
    shapes = [net.input_shape, *net.shapes]
    names = ["x", *(chr(ord("a") + position % 23) for position in range(len(net.layers)))]
    sides: list[UnitFacts] = [
        {
            "name": "input" if position < 0 else net.layers[position].name,
            "shape": _unit_plane(shapes[position + 1]),
            "labels": labels(names[position + 1], shapes[position + 1]),
            "values": [written(value) for value in values[position + 1].flat],
            **(_made_of(net, position) if position >= 0 else Made()),
        }
        for position in range(-1, len(net.layers))
    ]
    state = x.ravel()
    stages: list[StageFacts] = []
    for stage, layer in zip(plan.stages, mlp.layers, strict=True):
        state = layer.forward(state[None])[0]
        told = [written(value) for value in state]
        stages.append({"owner": stage.owner, "values": told, **_weights(layer)})
    forms: dict[int, Form] = {
        position: [form.stage, [[written(factor), start] for factor, start in form.terms]]
        for position, form in plan.forms.items()
    }
    forms[len(net.layers) - 1] = [len(stages) - 1, [["1", 0]]]
    shown = [*values, *(value for _, _, value in net.parameters() if isinstance(value, np.ndarray))]
    rounded = any(is_rounded(array) for array in shown)
    return {
        "layers": sides,
        "stages": stages,
        "forms": forms,
        "rounded": rounded,
        "start": _start(sides, values) if start is None else _labelled(sides, start),
        "walks": start is None,
    }


def _labelled(sides: list[UnitFacts], label: str) -> str:
    """Return the unit of this label, as ``layer,unit``."""
    for place, side in enumerate(sides):
        if label in side["labels"]:
            return f"{place - 1},{side['labels'].index(label)}"
    ends = [f"{side['labels'][0]} to {side['labels'][-1]}" for side in sides]
    raise ValueError(f"start (={label!r}) must be a unit of the network: {', '.join(ends)}")


def _start(sides: list[UnitFacts], values: list[Array]) -> str:
    """Return the unit to begin with, as ``layer,unit``: one to follow through the network.

    It is in the first layer with a kernel, or in the last layer if none has one. Of the units that
    read the most it is the greatest: an activation or a maximum behind it lets it pass.
    """
    kernels = [place for place, side in enumerate(sides) if "kernel" in side]
    place = kernels[0] if kernels else len(sides) - 1
    reads: list[list[Part]] = sides[place].get("reads") or [[]] * len(sides[place]["values"])
    most = max(len(read) for read in reads)
    flat = values[place].ravel().tolist()
    units = [unit for unit, read in enumerate(reads) if len(read) == most]
    return f"{place - 1},{max(units, key=lambda unit: flat[unit])}"


def _values(net: Network, x: Array) -> list[Array]:
    """Return the input and the output of each layer, without batch."""
    values = [x[None]]
    for position, layer in enumerate(net.layers):
        values.append(layer.forward(*(values[s + 1] for s in net.sources(position))))
    return [value[0] for value in values]


def _unit_plane(shape: tuple[int, ...]) -> list[int]:
    return [1, 1, *shape] if len(shape) == 1 else plane(shape)


def _weights(layer: Layer) -> Weighted:
    """Describe a stage of the perceptron: its kind, what each unit reads, with which factor."""
    if not isinstance(layer, Dense):
        return {"kind": "ReLU"}
    rows = _rows(layer.weight)
    reads: list[list[list[int | str]]] = [
        [[column, written(value)] for column, value in row] for row in rows
    ]
    bias = [] if layer.bias is None else [written(value) for value in layer.bias]
    return {"kind": "Dense", "reads": reads, "bias": bias, "wide": layer.weight.shape[1]}


def _rows(matrix: Weight) -> list[list[tuple[int, Number]]]:
    """Return the columns and the numbers of each row; a matrix of exact objects is an ndarray."""
    if isinstance(matrix, np.ndarray):
        return [[(int(j), row[j]) for j in np.flatnonzero(row)] for row in matrix]
    assert is_sparse(matrix)  # a perceptron that is built holds no operators
    pairs = list(zip(matrix.indices.tolist(), matrix.data, strict=True))
    return [pairs[a:b] for a, b in itertools.pairwise(matrix.indptr.tolist())]


def _made_of(net: Network, position: int) -> Made:
    """Return how each unit of a layer is made of units of the layers that it reads."""
    layer, sources = net.layers[position], net.sources(position)
    size = math.prod(net.shapes[position])
    if isinstance(layer, Add):
        return {"sign": "", "reads": [[[s, u, "1", -1] for s in sources] for u in range(size)]}
    if isinstance(layer, Maximum):
        return {"sign": "max", "reads": [[[s, u, "1", -1] for s in sources] for u in range(size)]}
    if isinstance(layer, Concat):
        sizes = [math.prod(shape) for shape in net.input_shapes(position)]
        pairs = zip(sources, sizes, strict=True)
        return {"sign": "", "reads": [[[s, u, "1", -1]] for s, n in pairs for u in range(n)]}
    (source,) = sources
    (shape,) = net.input_shapes(position)
    if isinstance(layer, MaxPool):
        reads = pattern(one_channel(layer.geometry(shape)))
        along = math.prod(shape[1:])
        windows: list[list[Part]] = [
            [[source, channel * along + int(j), "1", -1] for j in window if j >= 0]
            for channel in range(shape[0])
            for window in reads
        ]
        return {"sign": "max", "reads": windows}
    # The nearest class that has a sign, so a class of one's own is what it comes from.
    sign = next((SIGNS[kind] for kind in type(layer).__mro__ if kind in SIGNS), None)
    if sign is not None:
        alone: Made = {
            "sign": sign,
            "reads": [[[source, u, "1", -1]] for u in range(size)],
        }
        if isinstance(layer, LeakyReLU):
            alone["slope"] = written(layer.slope)
        return alone
    return {"sign": "", **_affine(layer, shape, source)}


def _affine(layer: Layer, shape: tuple[int, ...], source: int) -> Made:
    """Describe a layer with a matrix: rows, bias, which weight of its kernel stands where."""
    alone = _matrix_of(_alone(layer), shape)
    rows = _rows(alone.weight)
    told: Made = {"bias": [] if alone.bias is None else [written(value) for value in alone.bias]}
    numbers = [[-1] * len(row) for row in rows]
    if (
        isinstance(layer, (Conv, ConvTranspose))
        and layer.options.get("padding_mode", "zeros") == "zeros"
    ):
        # The same layer with its weights counted 1, 2, 3, ...: each entry tells which it is.
        weight = layer.weight
        counted = np.arange(1, weight.size + 1, dtype=float).reshape(weight.shape)
        places = _matrix_of(_alone(layer.replaced(counted, None)), shape)
        counts = _rows(places.weight)
        numbers = [[int(number) - 1 for _, number in row] for row in counts]
        told["kernel"] = {
            "shape": [*weight.shape[:2], *plane((1, *weight.shape[2:]))[1:]],
            "values": [written(value) for value in weight.flat],
            "hues": hues(weight),
        }
        rows = [  # exact zeros are stored nowhere, so the rows are taken from the counted weights
            list(zip([column for column, _ in row], weight.ravel()[of], strict=True))
            for row, of in zip(counts, numbers, strict=True)
        ]
    told["reads"] = [
        [[source, c, written(f), number] for (c, f), number in zip(row, of, strict=True)]
        for row, of in zip(rows, numbers, strict=True)
    ]
    return told


def _matrix_of(layer: Layer, shape: tuple[int, ...]) -> Dense:
    """Return a layer that is affine, as the only layer of a perceptron."""
    (dense,) = to_mlp(Network([layer], shape)).layers
    assert isinstance(dense, Dense)
    return dense


def _alone(layer: Layer) -> Layer:
    """Return the layer, reading what comes before it."""
    one = copy.copy(layer)
    one.sources = ()
    return one
