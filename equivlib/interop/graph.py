"""The builder with which both readers make a network: its values, its arithmetic, its messages.

A framework's graph reshapes and transposes between its layers. Such an operation computes nothing,
so it makes no layer: a :class:`Value` is the output of a layer *seen* in a shape and an order of
its own. The order is dealt with where it matters: a fully connected layer has its columns
permuted, a convolution reads the value put in order, and two transpositions that undo each other
leave no trace.

A reader takes the arguments out of its framework's graph and calls a method of :class:`Builder`,
which raises an UnsupportedLayer or a ValueError if they cannot be a network.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from ..convert import UnsupportedLayer
from ..convert.plan import network_dtype
from ..convolution.matrix import readable
from ..convolution.options import PaddingMode
from ..convolution.patches import Array, DType
from ..layers import (
    AdaptiveAvgPool,
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
from ..layers.network import checked_network

T = TypeVar("T")


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

    @property
    def rank(self) -> int:
        """Number of axes, counted with that of the batch."""
        return len(self.shape) + 1


#: An operand of arithmetic: a value, or constants that are the same for every sample.
Operand: TypeAlias = Value | Array | float


class Builder:
    """The layers so far. Its methods append what an operation needs and return its value.

    Axes are counted as in the frameworks: 0 is the batch, and -1 the last axis.
    """

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

    def _ordered(self, value: Value) -> int:
        """Return the position of a layer whose output is the value, in its shape and row by row."""
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

    def _seen(self, value: Value, order: Array) -> Value:
        """Return the value's elements in another order or shape: places in it, row by row."""
        places = order if value.order is None else value.order.ravel()[order]
        kept = bool((places.ravel() == np.arange(places.size)).all())
        return Value(value.source, places.shape, None if kept else places)

    def _reshaped(self, value: Value, shape: Sequence[int]) -> Value:
        if math.prod(shape) != math.prod(value.shape) or not shape or min(shape) < 1:
            raise ValueError(f"a value of shape {value.shape} cannot have the shape {tuple(shape)}")
        order = None if value.order is None else value.order.reshape(shape)
        return Value(value.source, tuple(shape), order)

    def _transposed(self, value: Value, axes: Sequence[int]) -> Value:
        """Return axes in another order, counted without that of the batch."""
        order = value.places.transpose(axes)
        return self._seen(Value(value.source, value.shape), order)

    def _axes(self, value: Value, axes: Iterable[int], new: int = 0) -> list[int]:
        """Return axes counted from the front without the batch axis, which they must not name."""
        rank, found = value.rank + new, []
        for axis in axes:
            if not -rank <= axis < rank:
                raise ValueError(f"axis (={axis}) must be at least {-rank} and less than {rank}")
            if axis % rank == 0:
                raise UnsupportedLayer(f"axis (={axis}) must not be that of the batch")
            found.append(axis % rank - 1)
        if len(set(found)) < len(found):
            raise ValueError(f"axes (={tuple(axes)}) must differ from each other")
        return found

    def reshape(self, value: Value, target: Sequence[int]) -> Value:
        """Reshape row by row; the batch is its size, 0 or -1, and one other size can be -1 instead.

        So the first size is 0 where the batch stays, and -1 where it takes what is left.
        """
        first, *inner = target or [1]
        if first not in (0, -1, self.batch) or not inner:
            raise UnsupportedLayer(
                f"the shape {tuple(target)} must begin with the size of the batch, and have "
                "another axis"
            )
        if inner.count(-1) == 1 and first != -1:
            others = -math.prod(inner)
            inner[inner.index(-1)] = math.prod(value.shape) // others if others else 0
        return self._reshaped(value, inner)

    def flatten(self, value: Value, start: int = 1, end: int = -1) -> Value:
        """Make one axis of those from the one to the other."""
        (first,), (last,) = self._axes(value, [start]), self._axes(value, [end])
        shape = value.shape
        middle = math.prod(shape[first : last + 1])
        return self._reshaped(value, (*shape[:first], middle, *shape[last + 1 :]))

    def unflatten(self, value: Value, axis: int, sizes: Sequence[int]) -> Value:
        """Make several axes of one."""
        (place,) = self._axes(value, [axis])
        return self.reshape(value, [0, *value.shape[:place], *sizes, *value.shape[place + 1 :]])

    def permute(self, value: Value, axes: Sequence[int]) -> Value:
        """Put all axes in another order."""
        rank = value.rank
        if [axis % rank for axis in axes[:1]] != [0]:
            raise UnsupportedLayer(f"the axes {tuple(axes)} must leave the batch axis first")
        if len(axes) != rank:
            raise ValueError(f"the axes {tuple(axes)} must be those of a value of rank {rank}")
        return self._transposed(value, self._axes(value, axes[1:]))

    def swap(self, value: Value, first: int, second: int) -> Value:
        """Exchange two axes."""
        (i,), (j,) = self._axes(value, [first]), self._axes(value, [second])
        order = list(range(len(value.shape)))
        order[i], order[j] = order[j], order[i]
        return self._transposed(value, order)

    def squeeze(self, value: Value, axes: Sequence[int], *, strict: bool = True) -> Value:
        """Remove axes of size 1; larger ones among those named stay, unless it is strict."""
        if not axes:
            raise UnsupportedLayer("the axes must be named, because the batch may have size 1")
        named = self._axes(value, axes)
        gone = [place for place in named if value.shape[place] == 1]
        if strict and len(gone) < len(named):
            raise ValueError(f"axes (={tuple(axes)}) must have size 1 in the shape {value.shape}")
        return self._reshaped(value, [n for i, n in enumerate(value.shape) if i not in gone])

    def unsqueeze(self, value: Value, axes: Sequence[int]) -> Value:
        """Add axes of size 1, at these places in the result."""
        new, old = self._axes(value, axes, new=len(axes)), iter(value.shape)
        count = len(value.shape) + len(axes)
        return self._reshaped(value, [1 if i in new else next(old) for i in range(count)])

    def take(self, value: Value, axis: int, places: Array) -> Value:
        """Take elements of a flat value, if that only changes their order."""
        self._axes(value, [axis])
        whole = sorted(places.ravel().tolist()) == list(range(math.prod(value.shape)))
        if len(value.shape) != 1 or not whole or places.dtype.kind not in "iu":
            raise UnsupportedLayer("indices are supported where they permute a flat value")
        return self._seen(value, places)

    # --- layers ---------------------------------------------------------------------------------

    def layer(self, layer: Layer, value: Value) -> Value:
        """Add a layer that needs the value in its shape."""
        position = self._append(layer, self._ordered(value))
        return Value(position, self.shapes[position])

    def pointwise(self, layer: Layer, value: Value) -> Value:
        """Add a layer that treats each number by itself, wherever it stands."""
        return Value(self._append(layer, value.source), value.shape, value.order)

    def dense(self, value: Value, weight: Array, bias: Array | None = None) -> Value:
        """Add a matrix times the last axis: fully connected, or 1 x 1 if there are further axes."""
        if weight.ndim != 2 or weight.shape[1] != value.shape[-1]:
            raise ValueError(
                f"a weight of {weight.shape} (units, features) cannot multiply a value of shape "
                f"{value.shape}"
            )
        if len(value.shape) > 1:
            last = len(value.shape) - 1
            moved = self._transposed(value, [last, *range(last)])
            y = self.layer(Conv(weight.reshape(*weight.shape, *(1,) * last), bias), moved)
            return self._transposed(y, [*range(1, last + 1), 0])
        if value.order is not None:
            columns = np.empty_like(weight)
            columns[:, value.order] = weight
            weight = columns
        return self.layer(Dense(weight, bias), Value(value.source, value.shape))

    def _affine(self, value: Value, factor: Array | None, shift: Array | None) -> Value:
        """Multiply each number by a constant, and add a constant."""
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
            source = self._ordered(Value(source, (scale.size,)))
        position = self._append(_scaled_and_shifted(scale, added), source)
        if factor is None:
            self._shifts.add(position)
        return Value(position, value.shape, value.order)

    def _constants(self, value: Value, constants: Array) -> Array:
        """Return the constants broadcast to the value, as they stand in the output of its layer."""
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

    def _sum(self, *values: Value) -> Value:
        """Add the sum of values of one shape."""
        first, *rest = values
        if any(value.shape != first.shape for value in rest):
            shapes = ", ".join(str(value.shape) for value in values)
            raise ValueError(f"only values of one shape can be added, not of {shapes}")
        alike = all(
            self.shapes[value.source] == self.shapes[first.source]
            and (value.order is first.order or np.array_equal(value.places, first.places))
            for value in rest
        )
        sources = [value.source if alike else self._ordered(value) for value in values]
        order = first.order if alike else None
        return Value(self._append(Add(*sources), *sources), first.shape, order)

    def softmax(self, value: Value, axis: int) -> Value:
        """Add a softmax over one axis."""
        (place,) = self._axes(value, [axis])
        order = [place, *(i for i in range(len(value.shape)) if i != place)]
        y = self.layer(Softmax(), self._transposed(value, order))
        return self._transposed(y, [int(i) for i in np.argsort(order)])

    def softmax_from(self, value: Value, axis: int) -> Value:
        """Add a softmax over all axes from the one on, at once."""
        (place,) = self._axes(value, [axis])
        rows = [math.prod(value.shape[:place])] * (place > 0) + [math.prod(value.shape[place:])]
        return self._reshaped(self.softmax(self._reshaped(value, rows), -1), value.shape)

    def mean(self, value: Value, axes: Sequence[int] | None, *, keep: bool) -> Value:
        """Average over all spatial axes, which stay with size 1 or go."""
        spatial = list(range(1, len(value.shape)))
        whole = axes and all(-value.rank <= axis < value.rank for axis in axes)
        if not whole or sorted(axis % value.rank - 1 for axis in axes or ()) != spatial:
            raise UnsupportedLayer(
                f"the mean is supported over all spatial axes only, not over {axes}"
            )
        y = self.layer(AdaptiveAvgPool(1), value)
        return y if keep else self._reshaped(y, value.shape[:1])

    # --- arithmetic -----------------------------------------------------------------------------

    def add(self, *operands: Operand) -> Value:
        """Add values of one shape, and constants."""
        values = [x for x in operands if isinstance(x, Value)]
        y = self._sum(*values) if len(values) > 1 else _value(*values)
        for x in operands:
            if not isinstance(x, Value):
                y = self._affine(y, None, _shared(x, y))
        return y

    def subtract(self, x: Operand, y: Operand) -> Value:
        """Subtract values of one shape, or a value and constants."""
        if not isinstance(y, Value):
            value = _value(x)
            return self._affine(value, None, -_shared(y, value))
        if isinstance(x, Value):
            return self._sum(x, self.negative(y))
        return self._affine(y, np.array(-1), _shared(x, y))

    def negative(self, value: Value) -> Value:
        """Negate each number."""
        return self._affine(value, np.array(-1), None)

    def multiply(self, x: Operand, y: Operand) -> Value:
        """Multiply a value by constants."""
        if isinstance(x, Value) and isinstance(y, Value):
            raise UnsupportedLayer("a product of two activations is not piecewise linear")
        if isinstance(x, Value):
            return self._affine(x, _shared(y, x), None)
        value = _value(y)
        return self._affine(value, _shared(x, value), None)

    def divide(self, x: Operand, y: Operand) -> Value:
        """Divide a value by constants."""
        if isinstance(y, Value):
            raise UnsupportedLayer("division by an activation is not piecewise linear")
        value = _value(x)
        constants = _shared(y, value)
        if not constants.all():
            raise ValueError("the divisor must not be 0")
        return self._affine(value, 1 / constants, None)

    # --- activations, pools, padding ------------------------------------------------------------

    def clip(self, value: Value, low: float, high: float) -> Value:
        """Clip to two bounds: max(x, a) = relu(x - a) + a, and min(x, b) = b - relu(b - x)."""
        if not low <= high:
            raise ValueError(f"the lower bound (={low}) must not exceed the upper one (={high})")
        if (low, high) == (0, 6):
            return self.pointwise(ReLU6(), value)
        shifted = low not in (0, -math.inf)
        if low > -math.inf:
            y = self._affine(value, None, np.array(-low)) if shifted else value
            y = self.pointwise(ReLU(), y)
            value = self._affine(y, None, np.array(low)) if shifted else y
        if high < math.inf:
            y = self._affine(value, np.array(-1), np.array(high))
            y = self.pointwise(ReLU(), y)
            value = self._affine(y, np.array(-1), np.array(high))
        return value

    def leaky(self, value: Value, slopes: Array) -> Value:
        """Multiply negative numbers by slopes: relu(x) - slopes * relu(-x), if they differ."""
        if slopes.size == 1:
            return self.pointwise(LeakyReLU(float(slopes.item())), value)
        slopes = _shared(slopes, value)
        above = self.pointwise(ReLU(), value)
        below = self.pointwise(ReLU(), self.negative(value))
        return self._sum(above, self._affine(below, -slopes, None))

    def average(self, value: Value, pool: AvgPool) -> Value:
        """Add average pooling; if it is dilated, a sum of each window, divided by its count."""
        geometry = pool.geometry(value.shape)
        if all(dilation == 1 for dilation in geometry.dilation):
            return self.layer(pool, value)
        ones = np.ones(geometry.weight_shape, dtype=self.dtype)
        sums = self.layer(Conv(ones, **geometry.options), value)
        return self._affine(sums, 1 / pool.counts(geometry), None)

    def pad(
        self, value: Value, pairs: Sequence[tuple[int, int]], mode: PaddingMode, fill: float = 0
    ) -> Value:
        """Add padding of the last axes, by itself: a depthwise convolution with one tap."""
        if mode == "zeros" and fill:
            raise UnsupportedLayer(f"padding with {fill} is not supported, only with 0")
        channels, ndim = value.shape[0], len(value.shape) - 1
        padding = [(0, 0)] * (ndim - len(pairs)) + list(pairs)
        others, padding = padding[: len(padding) - ndim], padding[len(padding) - ndim :]
        if ndim < 1 or any(map(any, others)) or any(min(ends) < 0 for ends in padding):
            raise UnsupportedLayer(
                f"padding (={tuple(pairs)}) must be of spatial axes alone, and not negative"
            )
        ones = np.ones((channels, 1, *(1,) * ndim), dtype=self.dtype)
        conv = Conv(ones, groups=channels, padding=tuple(padding), padding_mode=mode)
        return self.layer(conv, value)

    # --- the end --------------------------------------------------------------------------------

    def network(self, value: Value) -> Network:
        """Make the network with this output."""
        if self._ordered(value) == -1:
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
        return Network(layers, self.shapes[-1], dtype=self.dtype)


def _scaled_and_shifted(scale: Array, added: Array) -> BatchNorm:
    zeros, ones = np.zeros_like(scale), np.ones_like(scale)
    return BatchNorm(scale, added, zeros, ones, 0)


def _value(*found: Operand) -> Value:
    """Return the one operand of an operation that must depend on the network's input."""
    (x,) = found or (None,)
    if not isinstance(x, Value):
        raise UnsupportedLayer("it must read a value that depends on the input")
    return x


def _shared(constants: Operand, like: Value) -> Array:
    """Return the constants without a batch axis, along which they must not change."""
    array = np.asarray(constants)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"constants (of dtype {array.dtype}) must be real numbers")
    if array.ndim < like.rank:
        return array
    if array.ndim > like.rank or len(array) != 1:
        raise UnsupportedLayer(
            f"constants of shape {array.shape} differ along the batch axis, or widen a value of "
            f"shape {like.shape}"
        )
    first: Array = array[0]
    return first


# --- messages, and what both writers ask of a network -------------------------------------------


@contextmanager
def located(place: str) -> Iterator[None]:
    """Name the place in front of a message about the network that is read or written.

    Other exceptions are no fault of that network, and pass as they are.
    """
    try:
        yield
    except UnsupportedLayer as error:
        raise UnsupportedLayer(f"{place}: {error}") from None
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


def chosen(table: Mapping[str, T], key: str, what: str) -> T:
    """Return the entry of a table, or an UnsupportedLayer that names what is in it."""
    if key not in table:
        raise not_supported(f"{what} (={key!r})", table)
    return table[key]


def not_supported(what: str, known: Iterable[str]) -> UnsupportedLayer:
    """Return the error for something that has no rule; it lists what has one."""
    return UnsupportedLayer(f"{what} is not supported; supported are {', '.join(sorted(known))}")


def float_dtype(net: Network) -> DType:
    """Return the precision in which a network is written: float64 for integers."""
    dtype = network_dtype(checked_network(net))
    if dtype.kind in "iu":
        return np.dtype(np.float64)
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"net (of dtype {dtype}) must hold float32 or float64 numbers")
    return dtype
