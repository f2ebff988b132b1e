"""What the readers build a network with, whatever the framework: values, and layers that read them.

A framework's graph reshapes and transposes between its layers. Such an operation computes nothing,
so it makes no layer: a :class:`Value` is the output of a layer *seen* in a shape and an order of
its own. The order is dealt with where it matters: a fully connected layer has its columns
permuted, a convolution reads the value put in order, and two transpositions that undo each other
leave no trace.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from ..convolution.matrix import readable
from ..convolution.options import PaddingMode
from ..convolution.patches import Array
from ..layers import (
    Add,
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Flatten,
    Layer,
    LeakyReLU,
    Network,
    Rearrange,
    ReLU,
    ReLU6,
    Softmax,
)
from ..layers.affine import Affine
from ..layers.base import Shape


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the graph, without its batch axis.

    Attributes
    ----------
    source : int
        Position of the layer whose output holds its elements, -1 for the input.
    shape : tuple of int
        As the graph sees it.
    order : ndarray of int, optional
        Of that shape: the place of each element in the flattened output of the layer. None if
        they stand there in the same order, row by row.
    """

    source: int
    shape: Shape
    order: Array | None = None

    @property
    def places(self) -> Array:
        """The order, in any case."""
        if self.order is None:
            return np.arange(math.prod(self.shape)).reshape(self.shape)
        return self.order


class Builder:
    """The layers so far. Its methods append what an operation needs and return its value."""

    def __init__(
        self, input_shape: Shape, dtype: DTypeLike, max_bytes: float, batch: int = 0
    ) -> None:
        self.layers: list[Layer] = []
        self.shapes: dict[int, Shape] = {-1: input_shape}
        self.dtype, self.max_bytes = np.dtype(dtype), max_bytes
        self.batch = batch  # samples at a time that the graph is fixed to, 0 if it is open
        self.input = Value(-1, input_shape)
        self._shifts: set[int] = set()  # normalisations that only add something
        self._in_order: dict[int, tuple[Value, int]] = {}
        self._check(input_shape)

    def _check(self, shape: Shape) -> None:
        size = math.prod(shape) * 8  # as numbers, or as their places
        if size > self.max_bytes:
            raise ValueError(
                f"a value of shape {shape} takes {readable(size)}, over max_bytes "
                f"(={self.max_bytes})"
            )

    def _append(self, layer: Layer, *sources: int) -> int:
        shape = layer.output_shape(*(self.shapes[source] for source in sources))
        self._check(shape)
        layer.sources = () if sources == (len(self.layers) - 1,) else sources
        self.layers.append(layer)
        self.shapes[len(self.layers) - 1] = shape
        return len(self.layers) - 1

    def in_order(self, value: Value) -> int:
        """Position of a layer whose output is the value, in its shape and row by row."""
        if value.order is None and value.shape == self.shapes[value.source]:
            return value.source
        known = self._in_order.get(id(value))
        if known is not None:
            return known[1]
        flat = value.order is None and len(value.shape) == 1
        layer = Flatten() if flat else Rearrange(value.places)
        position = self._append(layer, value.source)
        self._in_order[id(value)] = value, position  # kept, so that its id stays its own
        return position

    # --- what computes nothing ------------------------------------------------------------------

    def seen(self, value: Value, order: Array) -> Value:
        """The value's elements in another order or shape: places in it, row by row."""
        places = order if value.order is None else value.order.ravel()[order]
        kept = bool((places.ravel() == np.arange(places.size)).all())
        return Value(value.source, places.shape, None if kept else places)

    def reshape(self, value: Value, shape: Sequence[int]) -> Value:
        """Row by row, in another shape."""
        if math.prod(shape) != math.prod(value.shape) or not shape:
            raise ValueError(f"a value of shape {value.shape} cannot have the shape {tuple(shape)}")
        order = None if value.order is None else value.order.reshape(shape)
        return Value(value.source, tuple(shape), order)

    def transpose(self, value: Value, axes: Sequence[int]) -> Value:
        """The axes in another order."""
        if sorted(axes) != list(range(len(value.shape))):
            raise ValueError(f"axes {tuple(axes)} must be those of a value of shape {value.shape}")
        order = value.places.transpose(axes)
        return self.seen(Value(value.source, value.shape), order)

    # --- layers ---------------------------------------------------------------------------------

    def layer(self, layer: Layer, value: Value) -> Value:
        """A layer that needs the value in its shape."""
        position = self._append(layer, self.in_order(value))
        return Value(position, self.shapes[position])

    def pointwise(self, layer: Layer, value: Value) -> Value:
        """A layer that treats each number by itself, wherever it stands."""
        return Value(self._append(layer, value.source), value.shape, value.order)

    def dense(self, value: Value, weight: Array, bias: Array | None = None) -> Value:
        """A matrix times the last axis: fully connected, or 1 x 1 if there are further axes."""
        if weight.ndim != 2 or weight.shape[1] != value.shape[-1]:
            raise ValueError(
                f"a weight of {weight.shape} (units, features) cannot multiply a value of shape "
                f"{value.shape}"
            )
        if len(value.shape) > 1:
            last = len(value.shape) - 1
            moved = self.transpose(value, [last, *range(last)])
            y = self.layer(Conv(weight.reshape(*weight.shape, *(1,) * last), bias), moved)
            return self.transpose(y, [*range(1, last + 1), 0])
        if value.order is not None:
            columns = np.empty_like(weight)
            columns[:, value.order] = weight
            weight = columns
        return self.layer(Dense(weight, bias), Value(value.source, value.shape))

    def affine(self, value: Value, factor: Array | None, shift: Array | None) -> Value:
        """Each number times a constant, plus a constant."""
        scale, added = (
            self._constants(value, np.asarray(default if given is None else given))
            for given, default in ((factor, 1), (shift, 0))
        )
        channels = self.shapes[value.source][0]
        source = value.source
        tables = [table.reshape(channels, -1) for table in (scale, added)]
        if all((table == table[:, :1]).all() for table in tables):
            scale, added = (table[:, 0].copy() for table in tables)
        else:  # a number for each element: each is a channel of the flattened value
            source = self.in_order(Value(source, (scale.size,)))
        position = self._append(_scaled_and_shifted(scale, added), source)
        if factor is None:
            self._shifts.add(position)
        return Value(position, value.shape, value.order)

    def _constants(self, value: Value, constants: Array) -> Array:
        """Constants broadcast to the value, as they stand in the output of its layer."""
        try:
            spread = np.broadcast_to(constants.astype(self.dtype), value.shape)
        except ValueError:
            raise ValueError(
                f"constants of shape {constants.shape} do not spread over a value of shape "
                f"{value.shape}"
            ) from None
        table = np.empty(spread.size, dtype=self.dtype)
        table[slice(None) if value.order is None else value.order.ravel()] = spread.ravel()
        return table

    def sum(self, *values: Value) -> Value:
        """The sum of values of one shape."""
        first, *rest = values
        if any(value.shape != first.shape for value in rest):
            shapes = ", ".join(str(value.shape) for value in values)
            raise ValueError(f"only values of one shape can be added, not of {shapes}")
        alike = all(
            self.shapes[value.source] == self.shapes[first.source]
            and (value.order is first.order or np.array_equal(value.places, first.places))
            for value in rest
        )
        sources = [value.source if alike else self.in_order(value) for value in values]
        order = first.order if alike else None
        return Value(self._append(Add(*sources), *sources), first.shape, order)

    def softmax(self, value: Value, axis: int) -> Value:
        """Over one axis."""
        others = [i for i in range(len(value.shape)) if i != axis]
        y = self.layer(Softmax(), self.transpose(value, [axis, *others]))
        back = np.argsort([axis, *others])
        return self.transpose(y, [int(i) for i in back])

    def clip(self, value: Value, low: float, high: float) -> Value:
        """Between two bounds: max(x, a) = relu(x - a) + a, and min(x, b) = b - relu(b - x)."""
        if not low <= high:
            raise ValueError(f"the lower bound (={low}) must not exceed the upper one (={high})")
        if (low, high) == (0, 6):
            return self.pointwise(ReLU6(), value)
        shifted = low not in (0, -math.inf)
        if low > -math.inf:
            y = self.affine(value, None, np.array(-low)) if shifted else value
            y = self.pointwise(ReLU(), y)
            value = self.affine(y, None, np.array(low)) if shifted else y
        if high < math.inf:
            y = self.affine(value, np.array(-1), np.array(high))
            y = self.pointwise(ReLU(), y)
            value = self.affine(y, np.array(-1), np.array(high))
        return value

    def leaky(self, value: Value, slopes: Array) -> Value:
        """A slope for each negative number: relu(x) - slopes * relu(-x), if they differ."""
        if slopes.size == 1:
            return self.pointwise(LeakyReLU(float(slopes.item())), value)
        above = self.pointwise(ReLU(), value)
        below = self.pointwise(ReLU(), self.affine(value, np.array(-1), None))
        return self.sum(above, self.affine(below, -slopes, None))

    def average(self, value: Value, pool: AvgPool) -> Value:
        """Average pooling, dilated too: then a sum of each window, divided by its count."""
        geometry = pool.geometry(value.shape)
        if all(dilation == 1 for dilation in geometry.dilation):
            return self.layer(pool, value)
        ones = np.ones(geometry.weight_shape, dtype=self.dtype)
        sums = self.layer(Conv(ones, **geometry.options), value)
        return self.affine(sums, 1 / pool.counts(geometry), None)

    def pad(self, value: Value, pairs: Sequence[tuple[int, int]], mode: PaddingMode) -> Value:
        """Padding by itself: a depthwise convolution with one tap."""
        channels, ndim = value.shape[0], len(value.shape) - 1
        ones = np.ones((channels, 1, *(1,) * ndim), dtype=self.dtype)
        conv = Conv(ones, groups=channels, padding=tuple(pairs), padding_mode=mode)
        return self.layer(conv, value)

    # --- the end --------------------------------------------------------------------------------

    def network(self, value: Value) -> Network:
        """The network with this output."""
        if self.in_order(value) == -1:
            self._append(LeakyReLU(1), -1)  # the identity, as a network has a layer at least
        layers: list[Layer] = []
        place = {-1: -1}
        readers: dict[int, int] = {}
        sources = [layer.sources or (p - 1,) for p, layer in enumerate(self.layers)]
        for source in (source for each in sources for source in each):
            readers[source] = readers.get(source, 0) + 1
        for position, layer in enumerate(self.layers):
            (source, *_) = sources[position]
            before = layers[place[source]] if source >= 0 else None
            alone = position in self._shifts and readers[source] == 1
            if alone and isinstance(before, Affine) and isinstance(layer, BatchNorm):
                layers[place[source]] = layer.folded(before)
                place[position] = place[source]
                continue
            moved = tuple(place[source] for source in sources[position])
            follows = moved == (len(layers) - 1,)
            layer.sources = () if follows else moved
            layers.append(layer)
            place[position] = len(layers) - 1
        return Network(layers, self.shapes[-1])


def _scaled_and_shifted(scale: Array, added: Array) -> BatchNorm:
    zeros, ones = np.zeros_like(scale), np.ones_like(scale)
    return BatchNorm(scale, added, zeros, ones, 0)
