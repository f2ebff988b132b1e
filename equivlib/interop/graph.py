"""The builder with which both readers make a network: its layers, its arithmetic, its end.

A reader takes the arguments out of its framework's graph and calls a method of :class:`Builder`,
which raises an UnsupportedLayer or a ValueError if they cannot be a network. What computes nothing
is in :mod:`views`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from string import ascii_lowercase
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..convert import UnsupportedLayer
from ..convert.plan import network_dtype
from ..convolution.geometry import Geometry
from ..convolution.options import Padding, PaddingMode, PerAxis
from ..convolution.patches import Array, DType
from ..layers import (
    AdaptiveAvgPool,
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    ConvTranspose,
    Dense,
    Layer,
    LeakyReLU,
    Maximum,
    MaxPool,
    Network,
    ReLU,
    ReLU6,
    Resample,
    Softmax,
)
from ..layers.affine import Affine
from ..layers.base import Shape
from ..layers.network import checked_network
from .views import Operand, Value, Views, chosen, located, not_supported

__all__ = ["Builder", "Operand", "Value", "chosen", "float_dtype", "located", "not_supported"]

#: What a reduction makes of the numbers along its axes.
Reduction: TypeAlias = Literal["sum", "mean", "max", "min"]


#: Size of a bound beside which numbers of the usual size lose digits.
FAR = 2**10


class Builder(Views):
    """The layers so far. Its methods append what an operation needs and return its value."""

    def __init__(
        self,
        input_shape: Shape,
        dtype: DTypeLike,
        max_bytes: float,
        batch: int = 0,
        *,
        batched: bool = True,
    ) -> None:
        super().__init__(input_shape, dtype, max_bytes, batch, batched=batched)
        self._shifts: set[int] = set()  # normalisations that only add something
        self.names: dict[int, str] = {}  # what the graph calls the output of a layer

    # --- layers ---------------------------------------------------------------------------------

    def layer(self, layer: Layer, value: Value) -> Value:
        """Add a layer that needs the value in its shape."""
        if not value.batched:
            raise UnsupportedLayer(f"it needs a batch axis before the shape {value.shape}")
        position = self._append(layer, self._ordered(value))
        return Value(position, self.shapes[position])

    def _kept(self, value: Value) -> Value:
        """Return the value as one whose layer has no other elements."""
        if self._whole(value):
            return value
        return Value(self._ordered(value), value.shape, None, value.batched)

    def pointwise(self, layer: Layer, value: Value) -> Value:
        """Add a layer that treats each number by itself, wherever it stands."""
        value = self._kept(value)
        return replace(value, source=self._append(layer, value.source))

    def dense(self, value: Value, weight: Array, bias: Array | None = None) -> Value:
        """Add a matrix times the last axis: fully connected, or 1 x 1 if there are further axes."""
        if weight.ndim != 2 or not value.shape or weight.shape[1] != value.shape[-1]:
            raise ValueError(
                f"a weight of {weight.shape} (units, features) cannot multiply a value of shape "
                f"{value.shape}"
            )
        kept = ascii_lowercase[: len(value.shape) - 1]
        y = self._contracted(value, f"{kept}I", weight, "OI", f"{kept}O")
        if bias is None:
            return y
        layer = self.layers[y.source]
        assert isinstance(layer, Affine)  # made just now, for this value alone
        self.layers[y.source] = layer.replaced(layer.weight, bias)
        return y

    def contract(
        self, value: Value, letters: str, constants: Array, others: str, result: str
    ) -> Value:
        """Sum products of a value and constants, as an einsum over the axes of a sample.

        Letters name the axes of the value, of the constants and of the result.
        """
        for name, shape in ((letters, value.shape), (others, constants.shape)):
            if len(name) != len(shape):
                raise ValueError(f"{len(name)} axes are named of a shape {shape}")
        known = dict(zip(letters, value.shape, strict=True))
        pairs = zip(others, constants.shape, strict=True)
        if any(known.get(name, size) != size for name, size in pairs):
            raise ValueError(
                f"constants of shape {constants.shape} do not fit a value of shape {value.shape}"
            )
        if not set(result) <= {*letters, *others} or len(set(result)) < len(result):
            raise ValueError("each axis of the result must be one of the operands'")
        # In a graph for one sample, a first axis of size 1 becomes the batch at each step.
        opened = self.opened if not value.batched else lambda value: value
        if len(set(letters)) < len(letters):
            value, letters = opened(self.diagonal(value, letters)), "".join(dict.fromkeys(letters))
        gone = [i for i, name in enumerate(letters) if name not in others + result]
        if gone:
            value = opened(self._reduced(value, gone, "sum", keep=False))
            letters = "".join(name for i, name in enumerate(letters) if i not in gone)
        return self._contracted(value, letters, constants, others, result)

    def _contracted(
        self, value: Value, letters: str, constants: Array, others: str, result: str
    ) -> Value:
        """Contract where the letters of the value differ and each is somewhere else too."""
        if not constants.size:
            raise ValueError(f"constants of shape {constants.shape} have no elements")
        size = dict(zip(others, constants.shape, strict=True))
        size |= dict(zip(letters, value.shape, strict=True))
        batch = [name for name in letters if name in others and name in result]
        summed = [name for name in letters if name not in result]
        kept = [name for name in letters if name not in others]
        new = [name for name in result if name not in letters]
        numbers = {name: i for i, name in enumerate(size)}
        order = [numbers[name] for name in (*batch, *new, *summed)]
        weight = np.einsum(constants, [numbers[name] for name in others], order)
        if not new and not summed:
            factor = weight.reshape([size[name] if name in batch else 1 for name in letters])
            y, names = self._affine(value, factor, None), list(letters)
        else:
            places = [letters.index(name) for name in (*batch, *summed, *kept)]
            groups, along = math.prod(size[n] for n in batch), [size[n] for n in kept]
            weight = weight.reshape(groups * math.prod(size[n] for n in new), -1)
            y = self._convolved(self._transposed(value, places), weight, groups, along)
            names = [*batch, *new, *kept]
            shape = tuple(size[name] for name in names)
            y = replace(y, shape=shape, batched=value.batched)
        return self._closed(self._transposed(y, [names.index(name) for name in result]))

    def _convolved(self, value: Value, weight: Array, groups: int, along: Sequence[int]) -> Value:
        """Multiply channels, all that comes before the last axes, by a matrix at each place."""
        channels = groups * weight.shape[1]
        if groups == 1 and math.prod(along) == 1:
            return self._multiplied(self._alone(value, (channels,)), weight)
        taps = (1,) * max(len(along), 1)
        kernel = Conv(weight.reshape(*weight.shape, *taps), groups=groups)
        return self.layer(kernel, self._alone(value, (channels, *(along or (1,)))))

    def _alone(self, value: Value, shape: tuple[int, ...]) -> Value:
        """Return the value of a sample in a shape of its own, for a layer to read."""
        order = None if value.order is None else value.order.reshape(shape)
        return Value(value.source, shape, order)

    def _multiplied(self, value: Value, weight: Array) -> Value:
        """Add a fully connected layer, whose columns take the order of a flat value."""
        if value.order is not None and self._whole(value):
            columns = np.empty_like(weight)
            columns[:, value.order] = weight
            weight, value = columns, Value(value.source, value.shape)
        return self.layer(Dense(weight), value)

    def _affine(self, value: Value, factor: Array | None, shift: Array | None) -> Value:
        """Multiply each number by constants and add constants, to which the value is widened."""
        given = [table for table in (factor, shift) if table is not None]
        for table in given:
            value = self._widened(value, table)
        value = self._kept(value)
        scale, added = (
            self._constants(value, np.asarray(default if table is None else table))
            for table, default in ((factor, 1), (shift, 0))
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
        return replace(value, source=position)

    def _widened(self, value: Value, constants: Array) -> Value:
        """Repeat a value along the axes of size 1 along which constants change."""
        try:
            shape = np.broadcast_shapes(value.shape, constants.shape)
        except ValueError:
            raise ValueError(
                f"constants of shape {constants.shape} do not spread over a value of shape "
                f"{value.shape}"
            ) from None
        if not np.isfinite(constants).all():
            raise ValueError("constants must be finite")
        return self.expand(value, shape)

    def _constants(self, value: Value, constants: Array) -> Array:
        """Return the constants broadcast to the value, as they stand in the output of its layer."""
        spread = np.broadcast_to(constants.astype(self.dtype), value.shape)
        table = np.empty(spread.size, dtype=self.dtype)
        table[slice(None) if value.order is None else value.order.ravel()] = spread.ravel()
        return table

    def _alike(self, values: Sequence[Value]) -> list[Value]:
        """Return values of one shape, repeated along axes of size 1 where others are larger."""
        if len({value.batched for value in values}) > 1 or len({v.rank for v in values}) > 1:
            if self.batch != 1:
                shapes = ", ".join(str(value.shape) for value in values)
                raise UnsupportedLayer(
                    f"values of the shapes {shapes} have batch axes at different places"
                )
            values = [self.opened(value) for value in values]
        try:
            shape = np.broadcast_shapes(*(value.shape for value in values))
        except ValueError:
            shapes = ", ".join(str(value.shape) for value in values)
            raise ValueError(
                f"values of the shapes {shapes} do not spread over each other"
            ) from None
        return [self._closed(self.expand(value, shape)) for value in values]

    def _joined(self, kind: type[Add] | type[Maximum], values: Sequence[Value]) -> Value:
        """Add a layer that joins values number by number."""
        first, *rest = values = [self._kept(value) for value in self._alike(values)]
        alike = all(
            self.shapes[value.source] == self.shapes[first.source]
            and (value.order is first.order or np.array_equal(value.places, first.places))
            for value in rest
        )
        sources = [value.source if alike else self._ordered(value) for value in values]
        order = first.order if alike else None
        joined = Value(self._append(kind(*sources), *sources), first.shape, order, first.batched)
        return self._closed(joined)

    def concat(self, operands: Sequence[Operand], axis: int) -> Value:
        """Put values, and constants, one after the other along an axis; empty ones add nothing."""
        operands = [x for x in operands if isinstance(x, Value) or np.asarray(x).size]
        values = [x for x in operands if isinstance(x, Value)]
        _value(*values[:1])
        if any(x.rank != values[0].rank for x in values):
            raise ValueError("only values of the same number of axes can be joined")
        opened, (place,) = self._located(values[0], [axis])
        if any(x.batched != opened.batched for x in values) and opened.batched:
            opened, place = self.opened(opened), place + 1
        parts: list[Value | Array] = [
            (x if opened.batched else self.opened(x))
            if isinstance(x, Value)
            else self._unbatched(np.asarray(x), opened)
            for x in operands
        ]
        shapes = [x.shape[:place] + x.shape[place + 1 :] for x in parts]
        if any(len(x.shape) != len(opened.shape) for x in parts) or len(set(shapes)) > 1:
            listed = ", ".join(str(x.shape) for x in parts)
            raise ValueError(f"values of the shapes {listed} cannot be joined along axis {axis}")
        total = sum(x.shape[place] for x in parts)
        self.check((*opened.shape[:place], total, *opened.shape[place + 1 :]))
        if len(parts) > 1 and place == 0 and all(map(self._is_plain, parts)):
            sources = [x.source for x in parts if isinstance(x, Value)]
            position = self._append(Concat(*sources), *sources)
            return Value(position, self.shapes[position])
        return self._laid_out(parts, place)

    def _is_plain(self, x: Value | Array) -> bool:
        """Return whether a value is the output of its layer as it is."""
        if not isinstance(x, Value) or not x.batched or x.order is not None:
            return False
        return x.shape == self.shapes[x.source]

    def _laid_out(self, parts: Sequence[Value | Array], place: int) -> Value:
        """Join values and constants: all their layers' elements flat, and where each stands."""
        values = [x for x in parts if isinstance(x, Value)]
        sources = dict.fromkeys(value.source for value in values)
        start, source = dict.fromkeys(sources, 0), values[0].source
        if len(sources) > 1:
            values = [self._kept(value) for value in values]
            sources = dict.fromkeys(value.source for value in values)
            flat = [self._ordered(Value(s, (math.prod(self.shapes[s]),))) for s in sources]
            source = self._append(Concat(*flat), *flat)
            ends = np.cumsum([math.prod(self.shapes[s]) for s in sources])
            start = dict(zip(sources, [0, *ends.tolist()], strict=False))
        seen, places = iter(values), []
        for x in parts:
            if isinstance(x, Value):
                value = next(seen)
                moved = value.places
                places.append(np.where(moved < 0, moved, moved + start[value.source]))
            else:
                places.append(np.full(x.shape, -1))
        plain = Value(source, (), None, values[0].batched)
        y = self._picked(plain, np.concatenate(places, axis=place))
        if len(values) == len(parts):
            return y
        zeros = [
            np.zeros(x.shape, self.dtype) if isinstance(x, Value) else x.astype(self.dtype)
            for x in parts
        ]
        shift = np.concatenate(zeros, axis=place)
        return self._affine(y, None, shift.reshape(y.shape)) if shift.any() else y

    def softmax(self, value: Value, axis: int) -> Value:
        """Add a softmax over one axis."""
        value, (place,) = self._located(value, [axis])
        order = [place, *(i for i in range(len(value.shape)) if i != place)]
        moved = self._transposed(value, order)
        y = self.layer(Softmax(), self._alone(moved, moved.shape))
        y = replace(y, batched=value.batched)
        return self._closed(self._transposed(y, [int(i) for i in np.argsort(order)]))

    def softmax_from(self, value: Value, axis: int) -> Value:
        """Add a softmax over all axes from the one on, at once."""
        value, (place,) = self._located(value, [axis])
        rows = [math.prod(value.shape[:place])] * (place > 0) + [math.prod(value.shape[place:])]
        y = self.softmax(self._alone(value, tuple(rows)), -1)
        return self._closed(replace(self._alone(y, value.shape), batched=value.batched))

    # --- reductions and interpolation -----------------------------------------------------------

    def reduce(
        self, value: Value, axes: Sequence[int] | None, kind: Reduction, *, keep: bool
    ) -> Value:
        """Sum, average, or take the largest or smallest, along axes that stay with size 1 or go."""
        value, places = self._located(value, range(value.rank) if axes is None else axes)
        return self._reduced(value, places, kind, keep=keep)

    def _reduced(
        self, value: Value, places: Sequence[int], kind: Reduction, *, keep: bool
    ) -> Value:
        if kind == "min":
            return self.negative(self._reduced(self.negative(value), places, "max", keep=keep))
        shape = value.shape
        first = 1 if 0 in places or len(shape) == 1 else 0  # as channels of their own
        spatial = [(shape[i], i in places) for i in range(1 - first, len(shape))]
        y = self._alone(value, (1,) * first + shape)
        if not places:
            y = value
        elif kind == "mean":
            sizes = tuple(1 if gone else n for n, gone in spatial)
            y = self.layer(AdaptiveAvgPool(1 if set(sizes) == {1} else sizes), y)
        else:
            window = [n if gone else 1 for n, gone in spatial]
            y = self.layer(self._window(kind, y.shape[0], window), y)
        left = [1 if i in places else n for i, n in enumerate(shape)]
        if not keep:
            left = [n for i, n in enumerate(left) if i not in places]
        order = None if y.order is None else y.order.reshape(left)
        return self._closed(Value(y.source, tuple(left), order, value.batched))

    def _window(self, kind: Reduction, channels: int, window: Sequence[int]) -> Layer:
        """Return the sums or the largest numbers of windows side by side."""
        if kind == "max":
            return MaxPool(tuple(window))
        ones = np.ones((channels, 1, *window), dtype=self.dtype)
        return Conv(ones, groups=channels, stride=tuple(window))

    def largest_of_windows(self, value: Value, sizes: Sequence[int]) -> Value:
        """Take the largest of as many windows as the output is to have along each spatial axis."""
        spatial, ndim = value.shape[1:], len(sizes)
        if len(spatial) != ndim or min(sizes, default=0) < 1:
            raise ValueError(
                f"output_size (={tuple(sizes)}) must fit a value of shape {value.shape}"
            )
        if not any(n % m for n, m in zip(spatial, sizes, strict=True)):
            return self.layer(
                MaxPool(tuple(n // m for n, m in zip(spatial, sizes, strict=True))), value
            )
        for axis, (begins, ends) in enumerate(AdaptiveAvgPool(sizes).bounds(value.shape)):
            widest = int((ends - begins).max())
            # A shorter window reads its last element again.
            windows = np.minimum(begins[:, None] + np.arange(widest), ends[:, None] - 1)
            value = self.take(value, 2 + 2 * axis, windows)
        return self.reduce(value, [3 + 2 * axis for axis in range(ndim)], "max", keep=False)

    def interpolate(self, value: Value, matrices: dict[int, Array]) -> Value:
        """Multiply by a matrix along each of some places in the shape, the first excepted."""
        if not matrices:
            return value
        if 0 in matrices or not value.batched:
            raise UnsupportedLayer("interpolation between channels is not supported")
        each = []
        for place, n in enumerate(value.shape[1:], start=1):
            if place not in matrices:
                self.check((n, n))
            each.append(matrices[place] if place in matrices else np.eye(n, dtype=self.dtype))
        return self.layer(Resample(*each), value)

    # --- arithmetic -----------------------------------------------------------------------------

    def _shared(self, constants: Operand, like: Value) -> tuple[Array, Value]:
        """Return constants without a batch axis, and the value that they go with."""
        array = np.asarray(constants)
        if array.dtype.kind not in "iuf":
            raise ValueError(f"constants (of dtype {array.dtype}) must be real numbers")
        if like.batched and array.ndim >= like.rank and array.shape[0] != 1 and self.batch == 1:
            like = self.opened(like)
        return self._unbatched(array, like), like

    def _unbatched(self, array: Array, like: Value) -> Array:
        """Return constants without their batch axis, along which they must not change."""
        if not like.batched or array.ndim < like.rank:
            return array
        same = array.ndim == like.rank and (
            len(array) == 1 or (len(array) == self.batch and bool((array == array[:1]).all()))
        )
        if not same:
            raise UnsupportedLayer(
                f"constants of shape {array.shape} differ along the batch axis, or widen a value "
                f"of shape {like.shape}"
            )
        first: Array = array[0]
        return first

    def add(self, *operands: Operand) -> Value:
        """Add values, and constants."""
        return self._folded(Add, *operands)

    def larger(self, *operands: Operand) -> Value:
        """Take the largest of values, and of constants: max(x, c) = relu(x - c) + c."""
        return self._folded(Maximum, *operands)

    def smaller(self, *operands: Operand) -> Value:
        """Take the smallest: min(x, y) = -max(-x, -y)."""
        return self.negative(self.larger(*map(self._negated, operands)))

    def _negated(self, x: Operand) -> Operand:
        if isinstance(x, Value):
            return self.negative(x)
        array = np.asarray(x)
        return -array.astype(self.dtype) if array.dtype.kind in "iuf" else array

    def _folded(self, kind: type[Add] | type[Maximum], *operands: Operand) -> Value:
        values = [x for x in operands if isinstance(x, Value)]
        y = self._joined(kind, values) if len(values) > 1 else _value(*values)
        for x in operands:
            if isinstance(x, Value):
                continue
            constants, y = self._shared(x, y)
            if kind is Add:
                y = self._closed(self._affine(y, None, constants))
            else:
                y = self._raised(y, constants)
        return y

    def subtract(self, x: Operand, y: Operand) -> Value:
        """Subtract values, or a value and constants."""
        if not isinstance(y, Value):
            return self.add(_value(x), self._negated(y))
        if isinstance(x, Value):
            return self.add(x, self.negative(y))
        constants, y = self._shared(x, y)
        return self._closed(self._affine(y, np.array(-1), constants))

    def negative(self, value: Value) -> Value:
        """Negate each number."""
        return self._affine(value, np.array(-1), None)

    def multiply(self, x: Operand, y: Operand) -> Value:
        """Multiply a value by constants."""
        if isinstance(x, Value) and isinstance(y, Value):
            raise UnsupportedLayer("a product of two activations is not piecewise linear")
        given, value = (y, x) if isinstance(x, Value) else (x, _value(y))
        constants, value = self._shared(given, value)
        return self._closed(self._affine(value, constants, None))

    def divide(self, x: Operand, y: Operand) -> Value:
        """Divide a value by constants."""
        if isinstance(y, Value):
            raise UnsupportedLayer("division by an activation is not piecewise linear")
        constants, value = self._shared(y, _value(x))
        if not constants.all():
            raise ValueError("the divisor must not be 0")
        return self._closed(self._affine(value, 1 / constants.astype(self.dtype), None))

    # --- activations, pools, padding ------------------------------------------------------------

    def clip(self, value: Value, low: float, high: float) -> Value:
        """Clip to two bounds; the largest number that there is stands for none."""
        if not low <= high:
            raise ValueError(f"the lower bound (={low}) must not exceed the upper one (={high})")
        largest = np.finfo(self.dtype).max
        low, high = (-math.inf if low <= -largest else low), (math.inf if high >= largest else high)
        if (low, high) == (0, 6):
            return self.pointwise(ReLU6(), value)
        if low > -math.inf:
            value = self.pointwise(ReLU(), value) if low == 0 else self._raised(value, low)
        if high < math.inf:
            value = self._lowered(value, high)
        return value

    def _raised(self, value: Value, bounds: ArrayLike) -> Value:
        """Take the larger of a value and constants: relu(x - c) + c.

        A number loses its digits beside a far larger constant, such as the -3.4e38 that stands for
        no bound. There it is x + relu(c - x), which keeps a number that is not below the bound.
        """
        c = np.asarray(bounds)
        if abs(c).max(initial=0) > FAR:
            missing = self.pointwise(ReLU(), self._affine(value, np.array(-1), c))
            return self.add(value, missing)
        y = self.pointwise(ReLU(), self._affine(value, None, -c))
        return self._closed(self._affine(y, None, c))

    def _lowered(self, value: Value, high: float) -> Value:
        """Take the smaller of a value and a constant: b - relu(b - x), or x - relu(x - b)."""
        bound = np.array(high)
        if abs(high) > FAR:
            excess = self.pointwise(ReLU(), self._affine(value, None, -bound))
            return self.subtract(value, excess)
        y = self.pointwise(ReLU(), self._affine(value, np.array(-1), bound))
        return self._affine(y, np.array(-1), bound)

    def leaky(self, value: Value, slopes: Array) -> Value:
        """Multiply negative numbers by slopes: relu(x) - slopes * relu(-x), if they differ."""
        if slopes.size == 1:
            return self.pointwise(LeakyReLU(float(slopes.item())), value)
        slopes, value = self._shared(slopes, value)
        above = self.pointwise(ReLU(), value)
        below = self.pointwise(ReLU(), self.negative(value))
        return self.add(above, self._affine(below, -slopes, None))

    def absolute(self, value: Value) -> Value:
        """Take the absolute value of each number: a leak of slope -1."""
        return self.pointwise(LeakyReLU(-1), value)

    def hard_sigmoid(self, value: Value, slope: float, shift: float) -> Value:
        """Clip a line to 0 and 1."""
        return self.clip(self._affine(value, np.array(slope), np.array(shift)), 0, 1)

    def average(self, value: Value, pool: AvgPool) -> Value:
        """Add average pooling; if it is dilated, a sum of each window, divided by its count."""
        geometry = pool.geometry(value.shape)
        if all(dilation == 1 for dilation in geometry.dilation):
            return self.layer(pool, value)
        ones = np.ones(geometry.weight_shape, dtype=self.dtype)
        sums = self.layer(Conv(ones, **geometry.options), value)
        return self._affine(sums, 1 / pool.counts(geometry), None)

    def divided_sum(self, value: Value, pool: AvgPool, divisor: int) -> Value:
        """Add the sum of each window, divided by a number that is given."""
        if divisor == 0:
            raise ValueError("the divisor must not be 0")
        geometry = pool.geometry(value.shape)
        shares = np.full(geometry.weight_shape, 1 / divisor, dtype=self.dtype)
        return self.layer(Conv(shares, **geometry.options), value)

    def fold(
        self,
        value: Value,
        shape: Sequence[int],
        kernel: Sequence[int],
        *,
        stride: PerAxis = 1,
        padding: Padding = 0,
        dilation: PerAxis = 1,
    ) -> Value:
        """Add columns back to the places that unfold reads them from: a transposed convolution."""
        rows = math.prod(kernel)
        fits = rows > 0 and len(value.shape) == 2 and value.shape[0] % rows == 0
        if not fits or len(shape) != len(kernel):
            raise ValueError(
                f"a value of shape {value.shape} must hold columns of windows of {tuple(kernel)}"
            )
        channels = value.shape[0] // rows
        one, image = (1, channels, *kernel), (channels, *shape)
        windows = Geometry(one, image, stride=stride, padding=padding, dilation=dilation)
        columns = self._reshaped(value, (value.shape[0], *windows.output_shape[1:]))
        self.check((channels, rows, rows))
        taps = np.eye(rows, dtype=self.dtype).reshape(rows, 1, *kernel)
        weight = np.tile(taps, (channels, *(1,) * (len(kernel) + 1)))
        layer = ConvTranspose(
            weight,
            groups=channels,
            output_shape=tuple(shape),
            stride=stride,
            padding=windows.padding,
            dilation=dilation,
        )
        return self.layer(layer, columns)

    def pad(
        self, value: Value, pairs: Sequence[tuple[int, int]], mode: PaddingMode, fill: float = 0
    ) -> Value:
        """Pad the last axes: space with zeros by a depthwise convolution of one tap."""
        ndim, missing = len(value.shape) - 1, value.rank - len(pairs)
        every = [(0, 0)] * missing + list(pairs)
        if missing < 0:
            raise ValueError(f"padding (={tuple(pairs)}) must be of a value of rank {value.rank}")
        if value.batched and any(every[0]):
            if self.batch != 1:
                raise UnsupportedLayer(f"padding (={tuple(pairs)}) must not be of the batch axis")
            value = self.opened(value)
        inner = every[value.batched :]
        plain = value.batched and ndim >= 1 and not any(inner[0]) and not fill
        if not any(map(any, inner)):
            return value
        if plain and min(map(min, inner)) >= 0:
            channels = value.shape[0]
            ones = np.ones((channels, 1, *(1,) * ndim), dtype=self.dtype)
            padding = tuple(inner[1:])
            return self.layer(
                Conv(ones, groups=channels, padding=padding, padding_mode=mode), value
            )
        y = self.padded(value, inner, mode)
        if mode != "zeros" or not fill:
            return y
        cut = [n + min(a, 0) + min(c, 0) for n, (a, c) in zip(value.shape, inner, strict=True)]
        more = [(max(a, 0), max(c, 0)) for a, c in inner]
        shift = np.pad(np.zeros(cut, self.dtype), more, constant_values=fill)
        return self._affine(y, None, shift.reshape(y.shape))

    # --- the end --------------------------------------------------------------------------------

    def network(self, value: Value) -> Network:
        """Make the network with this output, of the layers that it depends on."""
        if not value.shape:
            raise UnsupportedLayer("the output must have an axis besides that of the batch")
        last = self._ordered(value)
        if last == -1:  # the identity, as a network has a layer at least
            last = self._append(LeakyReLU(1), -1)
        layers: list[Layer] = []
        place, readers = {-1: -1}, {last: 0}
        sources = [layer.sources or (p - 1,) for p, layer in enumerate(self.layers)]
        for position in range(last, -1, -1):
            for source in sources[position] if position in readers else ():
                readers[source] = readers.get(source, 0) + 1
        for position, layer in enumerate(self.layers):
            if position not in readers:
                continue
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
        net = Network(layers, self.shapes[-1], dtype=self.dtype)
        net.names = {place[p]: name for p, name in self.names.items() if p in place}
        return net


def _scaled_and_shifted(scale: Array, added: Array) -> BatchNorm:
    zeros, ones = np.zeros_like(scale), np.ones_like(scale)
    return BatchNorm(scale, added, zeros, ones, 0)


def _value(*found: Operand) -> Value:
    """Return the one operand of an operation that must depend on the network's input."""
    (x,) = found or (None,)
    if not isinstance(x, Value):
        raise UnsupportedLayer("it must read a value that depends on the input")
    return x


def float_dtype(net: Network) -> DType:
    """Return the precision in which a network is written: float64 for integers."""
    dtype = network_dtype(checked_network(net))
    if dtype.kind in "iu":
        return np.dtype(np.float64)
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"net (of dtype {dtype}) must hold float32 or float64 numbers")
    return dtype
