"""Patches as columns and back: ``im2col`` and its adjoint ``col2im``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, TypeAlias, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .geometry import Geometry, checked_shape, kernel_shape
from .options import DEFAULTS, GeometryOptions, PerAxis, check_names, lists_options

Array: TypeAlias = NDArray[Any]
DType: TypeAlias = np.dtype[Any]

#: What picks a part of an array: an int or a slice for each axis.
Selection: TypeAlias = tuple[int | slice, ...]


def is_module(value: object) -> bool:
    """Return whether a value is a module of PyTorch, as its methods tell."""
    return hasattr(value, "named_parameters") and hasattr(value, "forward")


def as_array(name: str, value: ArrayLike) -> Array:
    """Return ``value`` as an array of numbers, or of objects that add and multiply.

    A parameter of PyTorch is read without its gradient. What may hold one is told by its methods,
    so that torch need not be there.
    """
    if is_module(value):
        raise ValueError(
            f"{name} (a module {type(value).__name__}) must hold numbers: give its parameter, or "
            "make a network of it by equivlib.interop.torch.from_torch"
        )
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    array = np.asarray(value)
    if array.dtype.kind not in "iufcO":
        raise ValueError(f"{name} (of dtype {array.dtype}) must hold numbers")
    return array


@lists_options
def im2col(x: ArrayLike, kernel_size: PerAxis, **options: Unpack[GeometryOptions]) -> Array:
    r"""Write the patch that each output position reads as one column.

    With :math:`E` the index pattern, ``columns[c*taps + t, o] = x[c, E[o, t]]``, or 0 in padding.
    Then ``weight.reshape(out_channels, -1) @ columns`` is the convolution with one group.

    Parameters
    ----------
    x : array_like, shape ``(*batch, in_channels, *spatial)``
        Numbers of any kind, exact ones included.
    kernel_size : int or tuple of N int
        A tuple tells how many of the last axes are spatial. With an int, ``x`` has no batch axes.
    **options : GeometryOptions

    Returns
    -------
    ndarray, shape ``(*batch, in_channels * prod(kernel_size), positions)``
        dtype of ``x``; rows in the order of ``torch.nn.functional.unfold``. ``groups`` is checked
        but changes nothing: a group uses the rows of its own channels.

    Raises
    ------
    ValueError
        If ``x`` does not have one axis of channels and a spatial axis for each of ``kernel_size``,
        holds no numbers, or if an option is unknown or out of range.

    See Also
    --------
    col2im : its adjoint.

    Examples
    --------
    A kernel of two taps slides over three numbers, a column for each place::

        x = [1 2 3]    columns = 1 2
                                 2 3

    >>> im2col([[1, 2, 3]], 2)
    array([[1, 2],
           [2, 3]])

    The columns are numpy's windows, one below the other:

    >>> import numpy as np
    >>> image = np.arange(20).reshape(1, 4, 5)
    >>> windows = np.lib.stride_tricks.sliding_window_view(image[0], (2, 3))
    >>> bool((im2col(image, (2, 3)) == windows.reshape(-1, 6).T).all())
    True
    """
    check_names(options, "im2col")
    array = as_array("x", x)
    geometry, batch = _geometry_of(array, kernel_size, options)
    columns = columns_of(array.reshape(math.prod(batch), *geometry.input_shape), geometry)
    return columns.reshape(*batch, *columns.shape[1:])


@lists_options
def col2im(
    columns: ArrayLike,
    input_shape: Sequence[int],
    kernel_size: PerAxis,
    **options: Unpack[GeometryOptions],
) -> Array:
    r"""Add every column back to the places its patch was read from: the adjoint of ``im2col``.

    ``x[c, j]`` is the sum of ``columns[c*taps + t, o]`` over all (o, t) that read ``j``. Overlaps
    add up, so this is in general **not** the inverse of :func:`im2col`.

    Parameters
    ----------
    columns : array_like, shape ``(*batch, in_channels * prod(kernel_size), positions)``
    input_shape : tuple of int
        ``(in_channels, *spatial)`` of the result, without batch.
    kernel_size : int or tuple of N int
    **options : GeometryOptions

    Returns
    -------
    ndarray, shape ``(*batch, *input_shape)``
        dtype of ``columns``.

    Raises
    ------
    ValueError
        If ``columns`` does not end in ``(in_channels * taps, positions)``, or if an option is
        unknown or out of range.

    Examples
    --------
    There and back multiplies each element by the number of times that it is read::

        x = [1 2 3]    patches 1 2, 2 3    sum = [1 2+2 3]

    >>> col2im(im2col([[1, 2, 3]], 2), (1, 3), 2)
    array([[1, 4, 3]])

    It is the adjoint: both sides of the dot test agree.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.integers(9, size=(1, 4, 5)), rng.integers(9, size=(6, 9))
    >>> bool(np.vdot(im2col(x, (2, 3)), y) == np.vdot(x, col2im(y, (1, 4, 5), (2, 3))))
    True
    """
    check_names(options, "col2im")
    array = as_array("columns", columns)
    geometry = _patch_geometry(checked_shape("input_shape", input_shape), kernel_size, options)
    expected = (geometry.in_channels * math.prod(geometry.kernel_size), positions(geometry))
    if array.shape[-2:] != expected:
        raise ValueError(
            f"columns (of shape {array.shape}) must end in (in_channels * taps, positions) = "
            f"{expected} for input_shape (={geometry.input_shape})"
        )
    batch = array.shape[:-2]
    image = image_of(array.reshape(math.prod(batch), *expected), geometry)
    return image.reshape(*batch, *geometry.input_shape)


def columns_of(x: Array, geometry: Geometry, into: Array | None = None) -> Array:
    """Return ``im2col`` of a checked batch ``(batch, *input_shape)``, in an array if given."""
    padded = _pad(x, geometry)
    shape = (*x.shape[:2], *geometry.kernel_size, *geometry.output_shape[1:])
    columns = np.empty(shape, dtype=x.dtype) if into is None else into.reshape(shape)
    for tap, places in taps(geometry):
        columns[tap] = padded[places]
    rows = geometry.in_channels * math.prod(geometry.kernel_size)
    return columns.reshape(len(x), rows, positions(geometry))


def image_of(columns: Array, geometry: Geometry) -> Array:
    """Return ``col2im`` of a checked batch ``(batch, in_channels * taps, positions)``."""
    columns = columns.reshape(
        len(columns), geometry.in_channels, *geometry.kernel_size, *geometry.output_shape[1:]
    )
    padded = np.zeros((*columns.shape[:2], *padded_shape(geometry)), dtype=columns.dtype)
    for tap, places in taps(geometry):
        padded[places] += columns[tap]
    return _fold_padding(padded, geometry)


def taps(geometry: Geometry) -> Iterator[tuple[Selection, Selection]]:
    """Yield for each tap its index into the columns and the places of the padded input it meets."""
    slices = [axis.tap_slices() for axis in geometry.axes]
    all_channels = (slice(None), slice(None))
    for tap in product(*(range(k) for k in geometry.kernel_size)):
        places = (along[a] for along, a in zip(slices, tap, strict=True))
        yield (*all_channels, *tap), (*all_channels, *places)


def padded_shape(geometry: Geometry) -> tuple[int, ...]:
    """Return the sizes of the padded axes."""
    return tuple(axis.low + axis.size + axis.high for axis in geometry.axes)


def inside(geometry: Geometry) -> tuple[slice, ...]:
    """Return where the input lies in its padded axes."""
    return tuple(slice(axis.low, axis.low + axis.size) for axis in geometry.axes)


def _pad(x: Array, geometry: Geometry) -> Array:
    """Return the input as its padding shows it."""
    if not any(axis.low or axis.high for axis in geometry.axes):
        return x
    if geometry.padding_mode == "zeros":
        padded = np.zeros((*x.shape[:2], *padded_shape(geometry)), dtype=x.dtype)
        padded[:, :, *inside(geometry)] = x
        return padded
    for number, axis in enumerate(geometry.axes, start=2):
        x = x.take(axis.padded(), axis=number)
    return x


def _fold_padding(padded: Array, geometry: Geometry) -> Array:
    """Add each padded element to the input element it shows: the adjoint of ``_pad``."""
    if geometry.padding_mode == "zeros":
        return np.ascontiguousarray(padded[:, :, *inside(geometry)])
    for number, axis in enumerate(geometry.axes, start=2):
        rows = np.moveaxis(padded, number, 0)
        shows_itself = rows[axis.low : axis.low + axis.size]
        outside = [*range(axis.low), *range(axis.low + axis.size, len(rows))]
        shown = axis.padded()
        for place in outside:
            shows_itself[shown[place]] += rows[place]
        padded = np.moveaxis(shows_itself, 0, number)
    return np.ascontiguousarray(padded)


def positions(geometry: Geometry) -> int:
    """Return the number of output positions, all axes together."""
    return math.prod(geometry.output_shape[1:])


def _geometry_of(
    x: Array, kernel_size: PerAxis, options: GeometryOptions
) -> tuple[Geometry, tuple[int, ...]]:
    ndim = len(kernel_size) if isinstance(kernel_size, (Sequence, np.ndarray)) else x.ndim - 1
    if x.ndim < ndim + 1:
        raise ValueError(
            f"x (of shape {x.shape}) must be (*batch, in_channels, *spatial) with "
            f"{ndim} spatial axes for kernel_size (={kernel_size!r})"
        )
    split = x.ndim - ndim - 1
    return _patch_geometry(x.shape[split:], kernel_size, options), x.shape[:split]


def _patch_geometry(
    input_shape: tuple[int, ...], kernel_size: PerAxis, options: GeometryOptions
) -> Geometry:
    """Return the geometry of a convolution, here of one output, that reads these patches."""
    kernel = kernel_shape(kernel_size, len(input_shape) - 1)
    groups = options.get("groups", DEFAULTS["groups"])
    whole = isinstance(groups, (int, np.integer)) and not isinstance(groups, bool)
    divides = whole and groups > 0 and input_shape[0] % groups == 0
    channels = input_shape[0] // groups if divides else input_shape[0]
    weight_shape = (groups if divides else 1, channels, *kernel)
    return Geometry(weight_shape, input_shape, **options)
