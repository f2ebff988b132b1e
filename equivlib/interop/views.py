"""Values of a graph, and what a graph does to them without computing anything.

A framework's graph reshapes, transposes, slices and pads between its layers. Such an operation
computes nothing, so it makes no layer: a :class:`Value` is the output of a layer *seen* in a shape
and an order of its own. The order is dealt with where it matters: a fully connected layer has its
columns permuted, a convolution reads the value put in order, and two transpositions that undo each
other leave no trace.

**The batch.** A value has the shape of one sample. Where a graph is made for one sample, it may
also drop the batch axis, move it, or never have had one; then its values say so
(``batched=False``), and a first axis of size 1 counts as the batch.
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
from ..convolution.axis import PADDING, Axis
from ..convolution.geometry import Geometry
from ..convolution.matrix import readable
from ..convolution.options import GeometryOptions, PaddingMode
from ..convolution.patches import Array, im2col
from ..layers import AvgPool, Conv, ConvTranspose, Flatten, Layer, MaxPool, Rearrange
from ..layers.base import Shape

T = TypeVar("T")

#: Ends of slices from here on mean the end of an axis, however long.
END = 2**31 - 1

#: Most characters of a message about a file.
LONGEST = 4000

#: Most windows along an axis that read padding.
WINDOWS = 2**16


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
        Of that shape: the place of each element in the flattened output of the layer, or -1 for a
        zero. None if they stand there in the same order, row by row.
    batched : bool
        Whether the graph sees a batch axis before this shape.
    """

    source: int
    shape: Shape
    order: Array | None = None
    batched: bool = True

    @property
    def places(self) -> Array:
        """The order, in any case."""
        if self.order is None:
            return np.arange(math.prod(self.shape)).reshape(self.shape)
        return self.order

    @property
    def rank(self) -> int:
        """Number of axes, counted with that of the batch."""
        return len(self.shape) + self.batched


#: An operand of arithmetic: a value, or constants that are the same for every sample.
Operand: TypeAlias = Value | Array | float


class Views:
    """The layers so far, and the values seen otherwise: every method returns such a value.

    Axes are counted as in the frameworks: 0 is the batch, and -1 the last axis.
    """

    def __init__(
        self,
        input_shape: Shape,
        dtype: DTypeLike,
        max_bytes: float,
        batch: int = 0,
        *,
        batched: bool = True,
    ) -> None:
        self.layers: list[Layer] = []
        self.shapes: dict[int, Shape] = {-1: input_shape}
        self.dtype, self.max_bytes = np.dtype(dtype), max_bytes
        self.batch = batch  # samples at a time that the graph is fixed to, 0 if it is open
        self.input = Value(-1, input_shape, batched=batched)
        self._in_order: dict[object, tuple[Value, int]] = {}
        self.check(input_shape)
        if not batched:
            self.input = self._closed(self.input)

    def check(self, shape: Sequence[int]) -> None:
        """Refuse a value of a shape that takes too much, before anything of it is made."""
        size = math.prod(shape) * 8  # as numbers, or as their places
        if size > self.max_bytes:
            raise ValueError(
                f"a value of shape {tuple(shape)} takes {readable(size)}, over max_bytes "
                f"(={self.max_bytes})"
            )

    def sizes(self, value: Value) -> tuple[int, ...]:
        """Return the shape that the graph sees, with 0 for a batch that is open."""
        return (self.batch, *value.shape) if value.batched else value.shape

    def _check_windows(self, layer: Layer, shape: Shape) -> None:
        """Refuse padding that is absurdly wide: each window that reads it is worked out alone."""
        if not isinstance(layer, Conv | ConvTranspose | MaxPool | AvgPool):
            return
        for axis in layer.geometry(shape).axes:
            beyond = axis.outputs - len(axis.inside)
            if beyond > WINDOWS:
                raise ValueError(
                    f"padding (={(axis.low, axis.high)}) makes {beyond} windows that read it, over "
                    f"{WINDOWS}"
                )
            self.check((beyond, axis.taps))

    def _append(self, layer: Layer, *sources: int) -> int:
        self._check_windows(layer, self.shapes[sources[0]])
        shape = layer.output_shape(*(self.shapes[source] for source in sources))
        self.check(shape)
        layer.sources = () if sources == (len(self.layers) - 1,) else sources
        self.layers.append(layer)
        self.shapes[len(self.layers) - 1] = shape
        return len(self.layers) - 1

    def _ordered(self, value: Value) -> int:
        """Return the position of a layer whose output is the value, in its shape and row by row."""
        shape = value.shape or (1,)
        if value.order is None and shape == self.shapes[value.source]:
            return value.source
        key = (value.source, shape) if value.order is None else id(value)
        if key not in self._in_order:
            flat = value.order is None and len(shape) == 1
            size = None if self._whole(value) else math.prod(self.shapes[value.source])
            layer = Flatten() if flat else Rearrange(value.places.reshape(shape), size=size)
            # The value is kept too, so that its id stays its own.
            self._in_order[key] = value, self._append(layer, value.source)
        return self._in_order[key][1]

    def _whole(self, value: Value) -> bool:
        """Return whether the value has each element of its layer once."""
        if value.order is None:
            return True
        places, size = value.order.ravel(), math.prod(self.shapes[value.source])
        seen = np.zeros(size, dtype=bool)
        seen[places[places >= 0]] = True
        return places.size == size and bool(seen.all())

    # --- shapes and axes ------------------------------------------------------------------------

    def _picked(self, value: Value, places: Array) -> Value:
        """Return these places of the layer whose output the value is; -1 shows a zero."""
        size = math.prod(self.shapes[value.source])
        kept = places.size == size and bool((places.ravel() == np.arange(size)).all())
        order = None if kept else places
        return self._closed(Value(value.source, places.shape, order, value.batched))

    def _reshaped(self, value: Value, shape: Sequence[int]) -> Value:
        if math.prod(shape) != math.prod(value.shape) or (shape and min(shape) < 1):
            raise ValueError(f"a value of shape {value.shape} cannot have the shape {tuple(shape)}")
        order = None if value.order is None else value.order.reshape(shape)
        return self._closed(Value(value.source, tuple(shape), order, value.batched))

    def opened(self, value: Value) -> Value:
        """Return the value with the batch as its first axis, in a graph for one sample."""
        if not value.batched:
            return value
        shape = (1, *value.shape)
        order = None if value.order is None else value.order.reshape(shape)
        return Value(value.source, shape, order, batched=False)

    def _closed(self, value: Value) -> Value:
        """Return the value with its first axis as the batch, if that can be."""
        if value.batched or len(value.shape) < 2 or value.shape[0] != 1:
            return value
        shape = value.shape[1:]
        order = None if value.order is None else value.order.reshape(shape)
        return Value(value.source, shape, order)

    def _located(self, value: Value, axes: Iterable[int], new: int = 0) -> tuple[Value, list[int]]:
        """Return the places of axes in the shape of the value, which may be opened for them.

        An axis must be that of the batch only if the graph is made for one sample.
        """
        named, rank, found = tuple(axes), value.rank + new, []
        for axis in named:
            if not -rank <= axis < rank:
                raise ValueError(f"axis (={axis}) must be at least {-rank} and less than {rank}")
            if axis % rank == 0 and value.batched and self.batch != 1:
                raise UnsupportedLayer(f"axis (={axis}) must not be that of the batch")
            found.append(axis % rank)
        if len(set(found)) < len(found):
            raise ValueError(f"axes (={named}) must differ from each other")
        if value.batched and 0 in found:
            value = self.opened(value)
        return value, [axis - value.batched for axis in found]

    def reshape(self, value: Value, target: Sequence[int]) -> Value:
        """Reshape row by row; the batch is its size, 0 or -1, and one other size can be -1 instead.

        So the first size is 0 where the batch stays, and -1 where it takes what is left.
        """
        if self.batch == 1:
            return self._reshaped_alone(value, list(target))
        first, *inner = target or [1]
        if first not in (0, -1, self.batch) or (not inner and math.prod(value.shape) > 1):
            raise UnsupportedLayer(
                f"the shape {tuple(target)} must begin with the size of the batch, and have "
                "another axis"
            )
        if inner.count(-1) == 1 and first != -1:
            _fill(inner, math.prod(value.shape))
        return self._reshaped(value, inner)

    def _reshaped_alone(self, value: Value, target: list[int]) -> Value:
        """Reshape the one sample that a graph is made for, batch axis included."""
        if target[:1] == [0]:
            target[0] = 1
        if target.count(-1) == 1:
            _fill(target, math.prod(value.shape))
        return self._reshaped(self.opened(value), target)

    def flatten(self, value: Value, start: int = 1, end: int = -1) -> Value:
        """Make one axis of those from the one to the other."""
        value, (first,) = self._located(value, [start])
        value, (last,) = self._located(value, [end])
        shape = value.shape
        middle = math.prod(shape[first : last + 1])
        return self._reshaped(value, (*shape[:first], middle, *shape[last + 1 :]))

    def matrix(self, value: Value, axis: int) -> Value:
        """Make two axes: one of those before the axis, and one of the others."""
        if not -value.rank <= axis <= value.rank:
            raise ValueError(
                f"axis (={axis}) must be at least {-value.rank} and at most {value.rank}"
            )
        before = axis if axis >= 0 else axis + value.rank
        if value.batched and before == 1:
            return self._reshaped(value, [math.prod(value.shape)])
        if value.batched and self.batch != 1:
            raise UnsupportedLayer(f"axis (={axis}) must be 1, so that the batch axis stays")
        value = self.opened(value)
        sizes = math.prod(value.shape[:before]), math.prod(value.shape[before:])
        return self._reshaped(value, sizes)

    def unflatten(self, value: Value, axis: int, sizes: Sequence[int]) -> Value:
        """Make several axes of one."""
        value, (place,) = self._located(value, [axis])
        inner = list(sizes)
        if inner.count(-1) == 1:
            _fill(inner, value.shape[place])
        return self._reshaped(value, [*value.shape[:place], *inner, *value.shape[place + 1 :]])

    def permute(self, value: Value, axes: Sequence[int]) -> Value:
        """Put all axes in another order."""
        rank = value.rank
        if value.batched and [axis % rank for axis in axes[:1]] != [0] and self.batch != 1:
            raise UnsupportedLayer(f"the axes {tuple(axes)} must leave the batch axis first")
        if len(axes) != rank:
            raise ValueError(f"the axes {tuple(axes)} must be those of a value of rank {rank}")
        stays = value.batched and axes[0] % rank == 0
        value, places = self._located(value, axes[1:] if stays else axes)
        return self._transposed(value, places)

    def _transposed(self, value: Value, axes: Sequence[int]) -> Value:
        """Return axes in another order, counted without that of the batch."""
        if list(axes) == sorted(axes):
            return value
        return self._picked(value, value.places.transpose(axes))

    def swap(self, value: Value, first: int, second: int) -> Value:
        """Exchange two axes."""
        value, (i,) = self._located(value, [first])
        value, (j,) = self._located(value, [second])
        order = list(range(len(value.shape)))
        order[i], order[j] = order[j], order[i]
        return self._transposed(value, order)

    def squeeze(self, value: Value, axes: Sequence[int], *, strict: bool = True) -> Value:
        """Remove axes of size 1; larger ones among those named stay, unless it is strict."""
        if not axes and not self.batch:
            raise UnsupportedLayer("the axes must be named, because the batch may have size 1")
        if not axes:
            sizes = self.sizes(value)
            axes = [axis for axis, size in enumerate(sizes) if size == 1]
        value, named = self._located(value, axes)
        gone = [place for place in named if value.shape[place] == 1]
        if strict and len(gone) < len(named):
            raise ValueError(f"axes (={tuple(axes)}) must have size 1 in the shape {value.shape}")
        return self._reshaped(value, [n for i, n in enumerate(value.shape) if i not in gone])

    def unsqueeze(self, value: Value, axes: Sequence[int]) -> Value:
        """Add axes of size 1, at these places in the result."""
        value, new = self._located(value, axes, new=len(axes))
        old, count = iter(value.shape), len(value.shape) + len(axes)
        return self._reshaped(value, [1 if i in new else next(old) for i in range(count)])

    # --- selections -----------------------------------------------------------------------------

    def take(self, value: Value, axis: int, indices: Array) -> Value:
        """Take the elements at indices along an axis, which becomes the axes of the indices."""
        value, (place,) = self._located(value, [axis])
        size, shape = value.shape[place], value.shape
        if indices.dtype.kind not in "iu" or indices.size == 0:
            raise ValueError(f"indices (of dtype {indices.dtype}) must be integers, at least one")
        if indices.min() < -size or indices.max() >= size:
            raise ValueError(f"indices must be at least {-size} and less than {size}")
        self.check((*shape[:place], *indices.shape, *shape[place + 1 :]))
        return self._picked(value, np.take(value.places, indices, axis=place))

    def cut(self, value: Value, slices: Mapping[int, slice]) -> Value:
        """Take a part of the elements along some axes."""
        named = dict(slices)
        for axis in (0, -value.rank):
            if value.batched and axis in named and self._is_all(named[axis]):
                del named[axis]
        value, places = self._located(value, named)
        parts = [slice(None)] * len(value.shape)
        for place, part in zip(places, named.values(), strict=True):
            parts[place] = part
        picked = value.places[tuple(parts)]
        if picked.size == 0:
            raise ValueError(f"a slice of the shape {value.shape} has no elements")
        return self._picked(value, picked)

    def _is_all(self, part: slice) -> bool:
        """Return whether a slice leaves the whole batch."""
        if part.step not in (None, 1) or part.start not in (None, 0):
            return False
        return part.stop is None or part.stop >= (self.batch or END)

    def split(self, value: Value, axis: int, sizes: Sequence[int]) -> list[Value]:
        """Cut an axis into parts of these sizes."""
        opened, (place,) = self._located(value, [axis])
        if sum(sizes) != opened.shape[place] or min(sizes, default=0) < 1:
            raise ValueError(
                f"the sizes {tuple(sizes)} must be positive and sum to {opened.shape[place]}"
            )
        ends = np.cumsum(sizes)
        cuts = [slice(int(end - size), int(end)) for end, size in zip(ends, sizes, strict=True)]
        return [self.cut(value, {axis: part}) for part in cuts]

    def flip(self, value: Value, axes: Sequence[int]) -> Value:
        """Reverse axes."""
        value, places = self._located(value, axes)
        return self._picked(value, np.flip(value.places, tuple(places)))

    def roll(self, value: Value, shifts: Sequence[int], axes: Sequence[int]) -> Value:
        """Move the elements along axes, those at one end to the other."""
        value, places = self._located(value, axes)
        return self._picked(value, np.roll(value.places, tuple(shifts), tuple(places)))

    def diagonal(self, value: Value, subscripts: str) -> Value:
        """Take the elements whose indices with the same letter agree, as in an einsum."""
        letters = "".join(dict.fromkeys(subscripts))
        numbers = {letter: i for i, letter in enumerate(letters)}
        operand = [numbers[letter] for letter in subscripts]
        return self._picked(value, np.einsum(value.places, operand, [*numbers.values()]))

    def expand(self, value: Value, shape: Sequence[int]) -> Value:
        """Repeat along axes of size 1, as broadcasting does, until the shape is this one."""
        wide = np.broadcast_shapes(value.shape, tuple(shape))
        if wide == value.shape:
            return value
        self.check(wide)
        return self._picked(value, np.broadcast_to(value.places, wide))

    def tile(self, value: Value, repeats: Sequence[int]) -> Value:
        """Repeat the whole along each axis, the batch included."""
        counts = list(repeats)
        if len(counts) != value.rank or min(counts, default=1) < 1:
            raise ValueError(f"repeats (={tuple(counts)}) must be one number for each axis")
        if value.batched and counts[0] != 1:
            if self.batch != 1:
                raise UnsupportedLayer("it repeats samples of the batch")
            value = self.opened(value)
        inner = counts[value.batched :] if value.batched else counts
        self.check([n * count for n, count in zip(value.shape, inner, strict=True)])
        return self._picked(value, np.tile(value.places, inner))

    def padded(self, value: Value, pairs: Sequence[tuple[int, int]], mode: PaddingMode) -> Value:
        """Show more elements at both ends of each axis of a sample, or fewer where negative."""
        parts, shape = [], []
        for n, (low, high) in zip(value.shape, pairs, strict=True):
            first, last = max(-low, 0), n - max(-high, 0)
            if first >= last or (mode != "zeros" and min(low, high) < 0):
                raise ValueError(f"padding (={(low, high)}) must leave some of {n} elements")
            low, high = max(low, 0), max(high, 0)
            self.check([last - first + low + high])
            along = Axis(last - first, 1, 1, 1, low, high, mode, False).padded()
            parts.append(np.where(along < 0, PADDING, along + first))
            shape.append(len(along))
        self.check(shape)
        places = value.places[np.ix_(*parts)]
        for axis, along in enumerate(parts):
            places[(slice(None),) * axis + (along < 0,)] = PADDING
        return self._picked(value, places)

    def unfold(self, value: Value, kernel: Sequence[int], options: GeometryOptions) -> Value:
        """Write the patch that each position of a window reads as one column."""
        if not value.batched or len(value.shape) != len(kernel) + 1:
            raise ValueError(f"kernel (={tuple(kernel)}) must fit a value of shape {value.shape}")
        geometry = Geometry((1, value.shape[0], *kernel), value.shape, **options)
        self.check((value.shape[0], *kernel, *geometry.output_shape))
        # Shifted by one, so that the zeros of padding are told from the first place.
        return self._picked(value, im2col(value.places + 1, tuple(kernel), **options) - 1)


def _fill(sizes: list[int], total: int) -> None:
    """Put what is left of a number of elements in the place of -1."""
    others = -math.prod(sizes)
    sizes[sizes.index(-1)] = total // others if others else 0


# --- messages -----------------------------------------------------------------------------------


@contextmanager
def located(place: str) -> Iterator[None]:
    """Name the place in front of a message about the network that is read or written.

    Other exceptions are no fault of that network, and pass as they are.
    """
    try:
        yield
    except UnsupportedLayer as error:
        raise UnsupportedLayer(printable(f"{place}: {error}")) from None
    except ValueError as error:
        raise ValueError(printable(f"{place}: {error}")) from None


def printable(text: str) -> str:
    """Return a text with escapes for what a terminal would obey: names in files can hold it.

    Of one that is absurdly long, such as a list of a thousand numbers, the middle is left out.
    """
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]} ... {text[-LONGEST // 4 :]}"
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


def chosen(table: Mapping[str, T], key: str, what: str) -> T:
    """Return the entry of a table, or an UnsupportedLayer that names what is in it."""
    if key not in table:
        raise not_supported(f"{what} (={key!r})", table)
    return table[key]


def not_supported(what: str, known: Iterable[str]) -> UnsupportedLayer:
    """Return the error for something that has no rule; it lists what has one."""
    return UnsupportedLayer(f"{what} is not supported; supported are {', '.join(sorted(known))}")
