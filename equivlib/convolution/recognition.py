"""Which convolution a matrix is, found from the matrix alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .axis import Index
from .geometry import Geometry, checked_shape
from .options import GeometryOptions
from .patches import Array
from .projection import Matrix, NotAConvolution, checked_matrix, kernel_from_matrix, take

if TYPE_CHECKING:
    from scipy.sparse import sparray


@dataclass(frozen=True)
class Recognition:
    """A convolution found from its matrix: ``conv_matrix(weight, input_shape, **options)`` is it.

    Attributes
    ----------
    weight : ndarray
    options : GeometryOptions
        A dict of the keywords.
    """

    weight: Array
    options: GeometryOptions


def recognize(
    matrix: ArrayLike | sparray, input_shape: Sequence[int], output_shape: Sequence[int]
) -> Recognition:
    r"""Find the convolution that a matrix is, from the matrix and the shapes of input and output.

    With zero padding, going one output on along an axis moves what is read by the stride
    (``W[i + 1, j + s] == W[i, j]`` where both exist). So a stride is right for an axis if the
    entries depend on ``j - s*i`` alone, and the offsets that occur give dilation, padding and
    kernel.

    Parameters
    ----------
    matrix : ndarray or sparse array, shape ``(prod(output_shape), prod(input_shape))``
    input_shape, output_shape : tuple of int
        ``(in_channels, *spatial)`` and ``(out_channels, *spatial)``.

    Returns
    -------
    Recognition
        ``.weight`` and ``.options`` with which :func:`~equivlib.conv_matrix` gives exactly this
        matrix; that is checked before it is returned. Several may: then the one with the most
        groups, the smallest strides, the widest dilation and the smallest kernel.

    Raises
    ------
    NotAConvolution
        If there is none with zero padding whose dilated kernel is no larger than the input and
        whose padding is smaller than it. Without that bound every matrix would be one. Names an
        entry that breaks it.
    ValueError
        If ``output_shape`` and ``input_shape`` do not have as many axes, or ``matrix`` does not
        have their sizes or holds no numbers.

    Examples
    --------
    The first row lacks the weight that meets the padding, and rows move by two::

        2 3 . . .
        . 1 2 3 .    is the kernel [1 2 3] with stride 2 and padding 1
        . . . 1 2

    >>> import numpy as np
    >>> W = np.array([[2, 3, 0, 0, 0], [0, 1, 2, 3, 0], [0, 0, 0, 1, 2]])
    >>> found = recognize(W, (1, 5), (1, 3))
    >>> found.weight
    array([[[1, 2, 3]]])
    >>> found.options["stride"], found.options["padding"]
    ((2,), ((1, 1),))

    It finds what :func:`scipy.linalg.convolution_matrix` has built:

    >>> from scipy.linalg import convolution_matrix
    >>> recognize(convolution_matrix([1, 2, 3], 5), (1, 5), (1, 7)).weight
    array([[[3, 2, 1]]])
    """
    inputs = checked_shape("input_shape", input_shape)
    outputs = checked_shape("output_shape", output_shape)
    if len(inputs) != len(outputs):
        raise ValueError(
            f"output_shape (={outputs}) must have as many axes as input_shape (={inputs})"
        )
    matrix = checked_matrix(matrix, (math.prod(outputs), math.prod(inputs)))
    entries = _Entries.of(matrix, inputs, outputs)
    groups = _most_groups(entries, inputs[0], outputs[0])
    per_axis = [
        _axis_options(entries, axis, inputs[1 + axis], outputs[1 + axis])
        for axis in range(len(inputs) - 1)
    ]
    for choice in product(*per_axis):
        kernel, stride, dilation, padding = zip(*choice, strict=True)
        weight_shape = (outputs[0], inputs[0] // groups, *kernel)
        options: GeometryOptions = {
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
            "groups": groups,
        }
        if Geometry(weight_shape, inputs, **options).output_shape == outputs:
            weight = kernel_from_matrix(matrix, weight_shape, inputs, **options)
            return Recognition(weight, options)
    raise NotAConvolution(
        f"matrix (of shape {matrix.shape}) is not that of a convolution within the bounds"
    )


@dataclass(frozen=True)
class _Entries:
    """The entries that are not zero, with the channel and the position of row and column."""

    values: Array
    rows: Index
    columns: Index
    out_channel: Index
    in_channel: Index
    output: tuple[Index, ...]
    input: tuple[Index, ...]

    @classmethod
    def of(cls, matrix: Matrix, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> _Entries:
        rows, columns = (np.asarray(index, dtype=np.intp) for index in matrix.nonzero())
        out_channel, *output = np.unravel_index(rows, outputs)
        in_channel, *read = np.unravel_index(columns, inputs)
        values = take(matrix, rows, columns)
        return cls(values, rows, columns, out_channel, in_channel, tuple(output), tuple(read))

    def apart_from(self, axis: int) -> Index:
        """Return one number for everything about an entry but its two places along ``axis``."""
        others = [self.out_channel, self.in_channel]
        for number, (output, read) in enumerate(zip(self.output, self.input, strict=True)):
            if number != axis:
                others += [output, read]
        key = np.zeros(len(self.rows), dtype=np.intp)
        for index in others:
            key = key * (int(index.max(initial=0)) + 1) + index
        return key


def _most_groups(entries: _Entries, in_channels: int, out_channels: int) -> int:
    """Return the largest number of groups whose blocks hold all entries."""
    for groups in range(math.gcd(in_channels, out_channels), 1, -1):
        if in_channels % groups or out_channels % groups:
            continue
        own = entries.out_channel // (out_channels // groups)
        if (own == entries.in_channel // (in_channels // groups)).all():
            return groups
    return 1


#: Which entries are meant.
Mask: TypeAlias = NDArray[np.bool_]

#: Kernel size, stride, dilation and (low, high) padding along one axis.
AxisOptions: TypeAlias = tuple[int, int, int, tuple[int, int]]


def _axis_options(entries: _Entries, axis: int, n: int, outputs: int) -> list[AxisOptions]:
    """Return every (kernel, stride, dilation, padding) along one axis that the entries allow."""
    found, furthest = [], (-1, -1)
    rest = entries.apart_from(axis)
    first = rest == rest[0] if len(rest) else rest == 0
    for stride in range(1, 3 * n if outputs > 1 else 2):
        # Most strides fail on a single row of pixels already.
        broken = _sharing_broken(entries, rest, axis, stride, n, outputs, first)
        if broken is None:
            broken = _sharing_broken(entries, rest, axis, stride, n, outputs, slice(None))
        if broken is None:
            offsets = np.unique(entries.input[axis] - stride * entries.output[axis])
            found += fits(offsets, stride, n, outputs, longest=n)
        else:
            furthest = max(furthest, broken)
    if found:
        return found
    if furthest < (0, 0):
        raise NotAConvolution(
            f"along spatial axis {axis}, {outputs} outputs of {n} inputs need a kernel that "
            f"reaches over more than {n} elements, or a padding of {n} or more"
        )
    row, column = furthest
    raise NotAConvolution(
        f"no stride along spatial axis {axis} explains entry ({row}, {column}) of matrix"
    )


def _sharing_broken(
    entries: _Entries, rest: Index, axis: int, stride: int, n: int, outputs: int, part: slice | Mask
) -> tuple[int, int] | None:
    """Return the first entry of a diagonal ``j - stride*i`` that is not whole or not constant."""
    output = entries.output[axis][part]
    offset = entries.input[axis][part] - stride * output
    rest, values = rest[part], entries.values[part]
    order = np.lexsort((output, offset, rest))
    if not len(order):
        return None
    offset, rest, values, output = offset[order], rest[order], values[order], output[order]
    same = (offset[1:] == offset[:-1]) & (rest[1:] == rest[:-1])
    unequal = np.zeros(len(order), dtype=bool)
    # A neighbour on the diagonal must be the next output, with the same number.
    unequal[1:] = same & ((values[1:] != values[:-1]) | (output[1:] != output[:-1] + 1))
    begins, ends = np.append(True, ~same), np.append(~same, True)
    low = np.maximum(0, -(offset // stride))  # first output whose place is inside
    high = np.minimum(outputs - 1, (n - 1 - offset) // stride)
    broken = unequal | (begins & (output != low)) | (ends & (output != high))
    if not broken.any():
        return None
    at = order[broken]
    places = zip(entries.rows[part][at].tolist(), entries.columns[part][at].tolist(), strict=True)
    return min(places)


def fits(offsets: Index, stride: int, n: int, outputs: int, *, longest: int) -> list[AxisOptions]:
    """Return for each dilation, widest first, the smallest kernel with taps at these offsets.

    The dilated kernel has at most ``longest`` elements, and less than that is padded.
    """
    # Without an entry any kernel will do, as far in the padding as it may lie.
    low, high = (int(offsets[0]), int(offsets[-1])) if len(offsets) else (0, -n)
    step = int(np.gcd.reduce(offsets - low)) if len(offsets) > 1 else 1
    found = []
    for dilation in (d for d in range(step, 0, -1) if step % d == 0):
        fit = _fit(low, high, dilation, stride, n, outputs, longest)
        if fit is not None:
            found.append(fit)
    return found


def _fit(
    low: int, high: int, dilation: int, stride: int, n: int, outputs: int, longest: int
) -> AxisOptions | None:
    for kernel in range(1, (longest - 1) // dilation + 2):
        extent = dilation * (kernel - 1) + 1
        for pad_low in range(max(0, -low), longest):
            if (pad_low + low) % dilation or extent - 1 - pad_low < high:
                continue
            pad_high = max(0, (outputs - 1) * stride + extent - n - pad_low)
            whole = n + pad_low + pad_high - extent
            if pad_high < longest and whole >= 0 and whole // stride + 1 == outputs:
                return kernel, stride, dilation, (pad_low, pad_high)
    return None
