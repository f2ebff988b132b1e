"""Pooling layers: the largest number or the average of each window; and interpolation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import reduce
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..convolution.axis import Index
from ..convolution.functional import backward as transposed
from ..convolution.functional import forward as convolved
from ..convolution.geometry import Geometry
from ..convolution.options import (
    POOL_DEFAULTS,
    GeometryOptions,
    Pairs,
    PerAxis,
    PoolOptions,
    check_names,
    lists_pool_options,
)
from ..convolution.patches import Array, as_array, taps
from .base import Arrays, Layer, Shape


class _Pool(Layer):
    """A layer that sees its input through windows, in each channel by itself."""

    def __init__(
        self, kernel_size: PerAxis, source: int | None, options: PoolOptions, *own: str
    ) -> None:
        check_names(options, self.name, (*own, "source"), POOL_DEFAULTS)
        super().__init__(source=source)
        self.kernel_size = kernel_size
        self.options = options

    def details(self) -> list[str]:
        return [str(self.kernel_size), *(f"{k}={v!r}" for k, v in self.options.items())]

    def geometry(self, shape: Shape) -> Geometry:
        """Return the depthwise convolution that reads the windows of an input of this shape."""
        return Geometry.of_pool(shape, self.kernel_size, **self.options)

    def output_shape(self, *shapes: Shape) -> Shape:
        return self.geometry(shapes[0]).output_shape


def one_channel(geometry: Geometry) -> Geometry:
    """Return what a pooling layer reads in each channel."""
    options: GeometryOptions = {**geometry.options, "groups": 1}
    return Geometry((1, 1, *geometry.kernel_size), (1, *geometry.spatial_shape), **options)


def check_windows(geometry: Geometry) -> None:
    """Refuse a window without an element: it has no largest one and no average."""
    if not all(len(run.elements) for axis in geometry.axes for run in axis.runs):
        raise ValueError(
            f"padding (={geometry.padding}) must leave an element of the input (of spatial shape "
            f"{geometry.spatial_shape}) in each window of kernel_size (={geometry.kernel_size})"
        )


@lists_pool_options
class MaxPool(_Pool):
    r"""The largest number of each window. Padding is never chosen.

    .. math:: y[c, o] = \max_a \; x[c, \, s\,o + d\,a - p]

    Parameters
    ----------
    kernel_size : int or tuple of N int
    source : int, optional
        Position of the layer that it reads, if that is not the one before it.
    **options
        ``stride`` (by default ``kernel_size``), ``padding``, ``dilation`` and ``ceil_mode`` as in
        :meth:`Geometry.of_pool <equivlib.Geometry.of_pool>`.

    Raises
    ------
    ValueError
        If an option is unknown; and when the input's shape is known, if an option is out of range
        for it or a window has no element of the input.

    Notes
    -----
    The gradient goes to the first largest element of a window, row by row.

    Examples
    --------
    ::

        [-5 -2] [-1 -4]  becomes  -2 -1

    >>> import numpy as np
    >>> MaxPool(2).forward(np.array([[[-5, -2, -1, -4]]]))
    array([[[-2, -1]]])

    Overlapping windows are those of scipy's filter:

    >>> from scipy.ndimage import maximum_filter
    >>> x = np.random.default_rng(0).integers(-9, 9, size=(6, 7))
    >>> y = MaxPool(3, stride=1, padding=1).forward(x[None, None])
    >>> bool((y == maximum_filter(x, size=3, mode="nearest")).all())
    True
    """

    def __init__(
        self, kernel_size: PerAxis, *, source: int | None = None, **options: Unpack[PoolOptions]
    ) -> None:
        super().__init__(kernel_size, source, options)

    def output_shape(self, *shapes: Shape) -> Shape:
        geometry = self.geometry(shapes[0])
        check_windows(geometry)
        return geometry.output_shape

    def _padded(self, shape: Shape) -> Geometry:
        """Return the same windows on an input as large as the padded one, so without padding."""
        geometry = self.geometry(shape)
        sizes = (axis.low + axis.size + axis.high for axis in geometry.axes)
        options: GeometryOptions = {**geometry.options, "padding": 0}
        return Geometry(geometry.weight_shape, (shape[0], *sizes), **options)

    def _pad(self, x: Array) -> Array:
        padding = self.geometry(x.shape[1:]).padding
        if not any(low or high for low, high in padding):
            return x
        lowest = np.iinfo(x.dtype).min if x.dtype.kind in "iu" else -math.inf
        return np.pad(x, [(0, 0), (0, 0), *padding], constant_values=lowest)

    def forward(self, *xs: Array) -> Array:
        padded = self._pad(xs[0])
        views = (padded[places] for _, places in taps(self._padded(xs[0].shape[1:])))
        y: Array = next(views).copy()
        for view in views:
            np.maximum(y, view, out=y)
        return y

    def backward(self, xs: Arrays, y: Array, grad: Array) -> Arrays:
        padded = self._pad(xs[0])
        back = np.zeros(padded.shape, dtype=grad.dtype)
        waiting = np.ones(y.shape, dtype=bool)
        for _, places in taps(self._padded(xs[0].shape[1:])):
            chosen = waiting & (padded[places] == y)
            back[places] += np.where(chosen, grad, 0)
            waiting &= ~chosen
        each = zip(self.geometry(xs[0].shape[1:]).padding, xs[0].shape[2:], strict=True)
        inside = (slice(low, low + size) for (low, _), size in each)
        return (back[(slice(None), slice(None), *inside)],)


@lists_pool_options
class AvgPool(_Pool):
    r"""The average of each window.

    .. math:: y[c, o] = \frac{1}{K_o} \sum_a x[c, \, s\,o + d\,a - p]

    Parameters
    ----------
    kernel_size : int or tuple of N int
    count_include_pad : bool, default True
        Whether :math:`K_o` counts padding, as in PyTorch. What ``ceil_mode`` lets a window reach
        over the padded end never counts.
    source : int, optional
        Position of the layer that it reads, if that is not the one before it.
    **options
        ``stride`` (by default ``kernel_size``), ``padding`` and ``ceil_mode`` as in
        :meth:`Geometry.of_pool <equivlib.Geometry.of_pool>`.

    Raises
    ------
    ValueError
        If an option is unknown; and when the input's shape is known, if an option is out of range
        for it or a window has no element of the input.

    Examples
    --------
    ::

        [1 2] [3 6]  becomes  1.5 4.5

    >>> import numpy as np
    >>> AvgPool(2).forward(np.array([[[1.0, 2.0, 3.0, 6.0]]]))
    array([[[1.5, 4.5]]])

    Fractions stay exact, and windows are those of numpy:

    >>> from fractions import Fraction
    >>> x = np.array([Fraction(n) for n in (1, 2, 4, 8)])
    >>> y = AvgPool(3, stride=1).forward(x[None, None])[0, 0]
    >>> [str(value) for value in y]
    ['7/3', '14/3']
    >>> bool((y * 3 == np.lib.stride_tricks.sliding_window_view(x, 3).sum(axis=1)).all())
    True
    """

    def __init__(
        self,
        kernel_size: PerAxis,
        *,
        count_include_pad: bool = True,
        source: int | None = None,
        **options: Unpack[PoolOptions],
    ) -> None:
        super().__init__(kernel_size, source, options, "count_include_pad")
        self.count_include_pad = count_include_pad

    def details(self) -> list[str]:
        return super().details() + ["count_include_pad=False"] * (not self.count_include_pad)

    def padding(self, shape: Shape) -> Pairs:
        """Return the padding in full, without what ``ceil_mode`` adds."""
        return Geometry.pool_padding(shape, self.kernel_size, **self.options)

    def counts_by_axis(self, geometry: Geometry) -> list[Index]:
        """Return for each axis what the sums are divided by: :math:`K_o` is a product of these."""
        if not self.count_include_pad:
            return [axis.counts() for axis in geometry.axes]
        # An input that is as large as the padded one has elements wherever padding counts.
        pairs = list(zip(geometry.axes, self.padding(geometry.input_shape), strict=True))
        overhang = tuple((0, axis.high - high) for axis, (_, high) in pairs)
        sizes = tuple(low + axis.size + high for axis, (low, high) in pairs)
        options: GeometryOptions = {**one_channel(geometry).options, "padding": overhang}
        padded = Geometry((1, 1, *geometry.kernel_size), (1, *sizes), **options)
        return [axis.counts() for axis in padded.axes]

    def counts(self, geometry: Geometry) -> Array:
        """Return the numbers :math:`K_o` that the sums are divided by: ``(*positions,)``."""
        counts: Array = reduce(np.multiply.outer, self.counts_by_axis(geometry))
        return counts

    def output_shape(self, *shapes: Shape) -> Shape:
        geometry = self.geometry(shapes[0])
        if any(dilation > 1 for dilation in geometry.dilation):
            raise ValueError("dilation is no option of average pooling")
        check_windows(geometry)
        return geometry.output_shape

    def forward(self, *xs: Array) -> Array:
        geometry = self.geometry(xs[0].shape[1:])
        ones = np.ones(geometry.weight_shape, dtype=xs[0].dtype)
        return divided(convolved(xs[0], ones, geometry), self.counts(geometry))

    def backward(self, xs: Arrays, y: Array, grad: Array) -> Arrays:
        geometry = self.geometry(xs[0].shape[1:])
        shares = divided(grad, self.counts(geometry))
        ones = np.ones(geometry.weight_shape, dtype=shares.dtype)
        return (transposed(shares, ones, geometry),)


def divided(total: Array, counts: Array) -> Array:
    """Return ``total / counts``, exact for exact objects, else in the precision of ``total``."""
    if total.dtype == object:
        inverse = [Fraction(1, int(n)) for n in counts.flat]
        shares: Array = total * np.array(inverse, dtype=object).reshape(counts.shape)
        return shares
    precision = total.dtype if total.dtype.kind in "fc" else np.dtype(np.float64)
    quotient: Array = total / counts.astype(precision)
    return quotient


class AdaptiveAvgPool(Layer):
    r"""Averages over as many windows as the output is to have, whatever the input.

    .. math:: y[c, o] = \text{mean of } x[c, j] \text{ for }
              \lfloor o n / m \rfloor \le j < \lceil (o + 1) n / m \rceil

    along each axis, for n elements and m outputs.

    Parameters
    ----------
    output_size : int or tuple of N int
    source : int, optional
        Position of the layer that it reads, if that is not the one before it.

    Raises
    ------
    ValueError
        When the input's shape is known: if ``output_size`` is not a positive integer, or one for
        each spatial axis.

    Examples
    --------
    Two averages of three numbers share the middle one::

        [1 2] . and . [2 6]  become  1.5 4

    >>> import numpy as np
    >>> AdaptiveAvgPool(2).forward(np.array([[[1.0, 2.0, 6.0]]]))
    array([[[1.5, 4. ]]])
    >>> x = np.random.default_rng(0).integers(9, size=(1, 2, 4, 6))
    >>> bool((AdaptiveAvgPool(1).forward(x)[..., 0, 0] == x.mean(axis=(2, 3))).all())
    True
    """

    def __init__(self, output_size: int | Sequence[int], *, source: int | None = None) -> None:
        super().__init__(source=source)
        self.output_size = output_size

    def details(self) -> list[str]:
        return [str(self.output_size)]

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        size, ndim = self.output_size, len(shape) - 1
        sizes = tuple(size) if isinstance(size, (Sequence, np.ndarray)) else (size,) * ndim
        whole = all(isinstance(m, (int, np.integer)) and not isinstance(m, bool) for m in sizes)
        if ndim < 1 or len(sizes) != ndim or not whole or not all(m >= 1 for m in sizes):
            raise ValueError(
                f"output_size (={size!r}) must be an integer of at least 1, or one for each of the "
                f"{ndim} spatial axes of the input (of shape {shape})"
            )
        return shape[0], *(int(m) for m in sizes)

    def bounds(self, shape: Shape) -> list[tuple[Index, Index]]:
        """Return for each axis the first element of each window, and the first after it."""
        sizes = zip(shape[1:], self.output_shape(shape)[1:], strict=True)
        return [(np.arange(m) * n // m, -(-(np.arange(m) + 1) * n // m)) for n, m in sizes]

    def averages(self, shape: Shape, dtype: DTypeLike) -> list[Array]:
        """Return for each axis the matrix that averages along it."""
        each = zip(shape[1:], self.bounds(shape), strict=True)
        return [_averages(n, begins, ends, np.dtype(dtype)) for n, (begins, ends) in each]

    def forward(self, *xs: Array) -> Array:
        matrices = self.averages(xs[0].shape[1:], xs[0].dtype)
        return _along_axes(xs[0], matrices)

    def backward(self, xs: Arrays, y: Array, grad: Array) -> Arrays:
        matrices = self.averages(xs[0].shape[1:], grad.dtype)
        return (_along_axes(grad, [matrix.T for matrix in matrices]),)


class Resample(Layer):
    r"""A matrix along each spatial axis, the same in every channel: interpolation.

    .. math:: y[c, o_1, \dots, o_N] = \sum_{j} M_1[o_1, j_1] \cdots M_N[o_N, j_N] \;
              x[c, j_1, \dots, j_N]

    Parameters
    ----------
    *matrices : array_like, shape ``(outputs, inputs)``
        One for each spatial axis. They are fixed: training does not change them.
    source : int, optional
        Position of the layer that it reads, if that is not the one before it.

    Raises
    ------
    ValueError
        If one is no matrix; and when the input's shape is known, if their columns are not as many
        as it has elements along each spatial axis.

    Examples
    --------
    Two numbers become three, with their mean between them::

        [1 5]  becomes  1 3 5

    >>> import numpy as np
    >>> between = Resample([[1, 0], [0.5, 0.5], [0, 1]])
    >>> y = between.forward(np.array([[[1.0, 5.0]]]))
    >>> y
    array([[[1., 3., 5.]]])
    >>> bool((y[0, 0] == np.interp([0, 0.5, 1], [0, 1], [1, 5])).all())
    True
    """

    def __init__(self, *matrices: ArrayLike, source: int | None = None) -> None:
        super().__init__(source=source)
        self.matrices = tuple(as_array("matrices", matrix) for matrix in matrices)
        for matrix in self.matrices:
            if matrix.ndim != 2 or 0 in matrix.shape:
                raise ValueError(
                    f"matrices (one of shape {matrix.shape}) must have two axes, (outputs, "
                    "inputs), none empty"
                )

    def details(self) -> list[str]:
        return [f"{matrix.shape[1]} to {matrix.shape[0]}" for matrix in self.matrices]

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        read = tuple(matrix.shape[1] for matrix in self.matrices)
        if shape[1:] != read or not read:
            raise ValueError(
                f"the input (of shape {shape}) must have the spatial shape {read} for matrices of "
                f"{', '.join(str(matrix.shape) for matrix in self.matrices)}"
            )
        return shape[0], *(matrix.shape[0] for matrix in self.matrices)

    def _beside(self, x: Array) -> list[Array]:
        """Return the matrices in the precision of floating-point numbers, as averages are."""
        if x.dtype.kind not in "fc":
            return list(self.matrices)
        return [matrix.astype(x.dtype) for matrix in self.matrices]

    def forward(self, *xs: Array) -> Array:
        return _along_axes(xs[0], self._beside(xs[0]))

    def backward(self, xs: Arrays, y: Array, grad: Array) -> Arrays:
        return (_along_axes(grad, [matrix.T for matrix in self._beside(grad)]),)


def _averages(n: int, begins: Index, ends: Index, dtype: np.dtype[np.generic]) -> Array:
    met = (begins[:, None] <= np.arange(n)) & (np.arange(n) < ends[:, None])
    ones = met.astype(dtype if dtype.kind in "fcO" else np.float64)
    return divided(ones, np.broadcast_to((ends - begins)[:, None], ones.shape))


def _along_axes(x: Array, matrices: Sequence[Array]) -> Array:
    for axis, matrix in enumerate(matrices, start=2):
        x = np.moveaxis(np.moveaxis(x, axis, -1) @ matrix.T, -1, axis)
    return x
