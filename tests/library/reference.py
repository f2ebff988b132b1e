"""The convolution by its definition, in plain Python loops: slow, exact, and meant to be read.

    y[o, i] = sum over c, a of  weight[o, c, a] * x[first + c, place(i, a)]

`i`, `a` and `place` are multi-indices, one number per spatial axis; `first` is the first input
channel of the group of `o`. Along one axis, the tap `a` of the window at position `i` stands at

    place = stride * i + dilation * a - low

and the padding mode says which element that is when it lies outside the input. Nothing here
comes from `equivlib`. The numbers may be of any type, and are only ever multiplied and added.
"""

from itertools import product
from typing import NamedTuple

import numpy as np

#: What numpy.pad calls each padding mode.
NUMPY_NAME = {
    "zeros": "constant",
    "circular": "wrap",
    "reflect": "reflect",
    "replicate": "edge",
    "symmetric": "symmetric",
}
MODES = tuple(NUMPY_NAME)


def extend(place, size, mode):
    """Return the element of an axis of `size` at `place` of the extended axis; None for a 0."""
    if mode == "zeros":
        return place if 0 <= place < size else None
    if mode == "reflect" and size == 1:
        return 0
    first, last = 0, size - 1
    while not first <= place <= last:
        below = place < first
        if mode == "circular":  # the axis follows itself
            place = place + size if below else place - size
        elif mode == "replicate":  # one step nearer to the edge
            place = place + 1 if below else place - 1
        elif mode == "reflect":  # a mirror in the middle of the edge element
            edge = first if below else last
            place = edge - (place - edge)
        elif mode == "symmetric":  # a mirror between the edge element and its outer neighbour
            inner, outer = (first, first - 1) if below else (last, last + 1)
            place = inner - (place - outer)
    return place


class Axis(NamedTuple):
    """One spatial axis of a convolution."""

    size: int
    kernel: int
    stride: int
    dilation: int
    low: int = 0
    high: int = 0

    @property
    def positions(self):
        """The number of windows: they start at 0, stride, ... while the last tap still fits."""
        reach = self.dilation * (self.kernel - 1)
        return len(range(0, self.low + self.size + self.high - reach, self.stride))

    def padded(self, padding, number):
        """Return the same axis, the `number`-th, with its padding."""
        if padding == "valid":
            return self
        if padding in ("same", "same_lower"):  # the least padding that gives enough windows
            total = 0
            while self._replace(high=total).positions < -(-self.size // self.stride):
                total += 1
            small, large = total // 2, total - total // 2
            ends = (small, large) if padding == "same" else (large, small)
        else:
            ends = padding if isinstance(padding, int) else padding[number]
            ends = (ends, ends) if isinstance(ends, int) else ends
        return self._replace(low=ends[0], high=ends[1])


def axes(
    kernel_size,
    sizes,
    *,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
    padding_mode="zeros",
    flip=False,
):
    """Return one `Axis` for each spatial axis; of all options the last three do not matter."""
    result = []
    for number, (size, kernel) in enumerate(zip(sizes, kernel_size, strict=True)):
        step = stride if isinstance(stride, int) else stride[number]
        spread = dilation if isinstance(dilation, int) else dilation[number]
        result.append(Axis(size, kernel, step, spread).padded(padding, number))
    return result


def reads(kernel_size, sizes, *, padding_mode="zeros", flip=False, **options):
    """Yield (position, tap, place) for every window and tap; place is None where it reads a 0."""
    along = axes(kernel_size, sizes, **options)
    for position in product(*(range(axis.positions) for axis in along)):
        for tap in product(*(range(axis.kernel) for axis in along)):
            place = []
            for axis, i, a in zip(along, position, tap, strict=True):
                offset = axis.kernel - 1 - a if flip else a
                outside = axis.stride * i + axis.dilation * offset - axis.low
                place.append(extend(outside, axis.size, padding_mode))
            yield position, tap, None if None in place else tuple(place)


def output_shape(weight_shape, input_shape, **options):
    """Return the shape of the output, (out_channels, *positions)."""
    along = axes(weight_shape[2:], input_shape[1:], **options)
    return (weight_shape[0], *(axis.positions for axis in along))


def products(weight_shape, input_shape, *, groups=1, **options):
    """Yield (output index, weight index, input index) for every product in the sum above."""
    out_channels, group_size, *kernel_size = weight_shape
    for position, tap, place in reads(kernel_size, input_shape[1:], **options):
        if place is None:
            continue
        for o in range(out_channels):
            group = o // (out_channels // groups)
            for c in range(group_size):
                yield (o, *position), (o, c, *tap), (group * group_size + c, *place)


def conv(x, weight, **options):
    """Return the convolution of one input, an object array."""
    y = np.zeros(output_shape(weight.shape, x.shape, **options), dtype=object)
    x, weight = x.astype(object), weight.astype(object)
    for target, tap, source in products(weight.shape, x.shape, **options):
        y[target] += weight[tap] * x[source]
    return y


def entries(weight, input_shape, **options):
    """Return the entries of the matrix that the geometry connects, as {(row, column): value}."""
    weight = weight.astype(object)
    rows = flat_index(output_shape(weight.shape, input_shape, **options))
    columns = flat_index(input_shape)
    found = {}
    for target, tap, source in products(weight.shape, input_shape, **options):
        place = rows[target], columns[source]
        found[place] = found.get(place, 0) + weight[tap]
    return found


def matrix(weight, input_shape, **options):
    """Return the matrix, a dense object array."""
    height = len(flat_index(output_shape(weight.shape, input_shape, **options)))
    dense = np.zeros((height, len(flat_index(input_shape))), dtype=object)
    for place, value in entries(weight, input_shape, **options).items():
        dense[place] = value
    return dense


def im2col(x, kernel_size, **options):
    """Return the columns of one input, an object array: rows (channel, tap), columns positions."""
    channels, *sizes = x.shape
    rows = flat_index((channels, *kernel_size))
    columns = flat_index(output_shape((1, 1, *kernel_size), x.shape, **options)[1:])
    result = np.zeros((len(rows), len(columns)), dtype=object)
    x = x.astype(object)
    for position, tap, place in reads(kernel_size, sizes, **options):
        for channel in range(channels) if place is not None else ():
            result[rows[channel, *tap], columns[position]] = x[channel, *place]
    return result


def flat_index(shape):
    """Number the elements of an array of this shape in row-major order: {index: number}."""
    return {index: number for number, index in enumerate(product(*map(range, shape)))}


def integers(shape, seed=0, dtype=np.int64):
    """Return small random integers, on which int64 and float64 arithmetic are exact."""
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(dtype)


def gaussian_integers(shape, seed=0):
    """Return complex numbers with small integer parts, on which complex128 arithmetic is exact."""
    return integers(shape, seed) + 1j * integers(shape, seed + 1)
