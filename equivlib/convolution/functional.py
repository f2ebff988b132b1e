"""The convolution itself, as patches times a matrix."""

from __future__ import annotations

import math
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike

from .geometry import Geometry, checked_shape
from .options import GeometryOptions, PerAxis, check_names, lists_options
from .patches import Array, as_array, columns_of, image_of, inside, padded_shape, positions

#: Columns are made and used for a few samples at a time, so that they stay in the cache.
TILE_BYTES = 2 * 2**20

#: From here on a product for each tap beats one of all columns (measured over 90 layers).
CHANNELS_FOR_TAPS, COLUMNS_FOR_TAPS = 16, 2**18


@lists_options
def conv(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    **options: Unpack[GeometryOptions],
) -> Array:
    r"""Convolve, in the sense of deep learning: the kernel slides without being reversed.

    .. math:: y[u, o] = b[u] + \sum_{c, a} w[u, c, a] \; x[c, \, s\,o + d\,a - p]

    for each output channel u, with one o and one a per spatial axis. The sum is over the channels c
    of u's group, and outside of the input x is what ``padding_mode`` says, by default 0.

    Parameters
    ----------
    x : array_like, shape ``(*batch, in_channels, *spatial)``
        Any number of batch axes, none included.
    weight : array_like, shape ``(out_channels, in_channels // groups, *kernel)``
        Its axes tell how many axes of ``x`` are spatial.
    bias : array_like, shape ``(out_channels,)``, optional
    **options : GeometryOptions

    Returns
    -------
    ndarray, shape ``(*batch, out_channels, *spatial_out)``
        The dtype that numpy gives to products of ``x`` and ``weight``: integers, fractions and
        symbols stay exact.

    Raises
    ------
    ValueError
        If ``x``, ``weight`` and ``bias`` do not fit each other, or an option is unknown or out of
        range.

    See Also
    --------
    conv_matrix : the matrix of the same map.

    Examples
    --------
    Two taps over three numbers::

        x = [1 2 4]    weight = [-1 1]    y = [-1*1 + 1*2, -1*2 + 1*4]

    >>> conv([[1, 2, 4]], [[[-1, 1]]])
    array([[1, 2]])

    scipy's correlation, which shares no code with it, agrees:

    >>> import numpy as np
    >>> from scipy.signal import correlate2d
    >>> rng = np.random.default_rng(0)
    >>> image, kernel = rng.integers(9, size=(5, 6)), rng.integers(9, size=(3, 2))
    >>> y = conv(image[None], kernel[None, None])
    >>> bool((y[0] == correlate2d(image, kernel, mode="valid")).all())
    True
    """
    check_names(options, "conv", ("bias",))
    x, weight = as_array("x", x), as_array("weight", weight)
    geometry, batch = batched_geometry(x, weight, options)
    dtype = np.result_type(x, weight)
    if bias is not None:
        bias = _checked_bias(bias, geometry.out_channels)
        dtype = np.result_type(dtype, bias)
    samples = x.reshape(math.prod(batch), *geometry.input_shape).astype(dtype, copy=False)
    y = forward(samples, weight.astype(dtype, copy=False), geometry)
    if bias is not None:
        y += bias.reshape(-1, *(1,) * geometry.ndim)
    return y.reshape(*batch, *geometry.output_shape)


def batched_geometry(
    x: Array, weight: Array, options: GeometryOptions
) -> tuple[Geometry, tuple[int, ...]]:
    """Return the geometry of ``weight`` and the last axes of ``x``, and the batch axes before."""
    split = x.ndim - weight.ndim + 1
    if weight.ndim < 3 or split < 0:
        raise ValueError(
            f"x (of shape {x.shape}) must be (*batch, in_channels, *spatial) and weight (of shape "
            f"{weight.shape}) (out_channels, in_channels // groups, *kernel), with as many "
            "spatial as kernel axes and at least one"
        )
    return Geometry(weight.shape, x.shape[split:], **options), x.shape[:split]


def forward(x: Array, weight: Array, geometry: Geometry) -> Array:
    """Return ``W x`` for a checked batch ``(batch, *input_shape)`` of the dtype of ``weight``."""
    if _taps_pay(geometry, weight.dtype):
        return _forward_by_taps(x, weight, geometry)
    groups, places = geometry.groups, positions(geometry)
    rows = weight.reshape(groups, geometry.out_channels // groups, -1)
    y = np.empty((len(x), *rows.shape[:2], places), dtype=weight.dtype)
    step = _samples_at_once(geometry, x)
    tile = np.empty((step, groups, rows.shape[2], places), dtype=x.dtype)
    for start in range(0, len(x), step):
        samples = x[start : start + step]
        columns = tile[: len(samples)]
        columns_of(samples, geometry, into=columns)
        np.matmul(rows, columns, out=y[start : start + step])
    return y.reshape(len(x), *geometry.output_shape)


def _taps_pay(geometry: Geometry, dtype: np.dtype[np.generic]) -> bool:
    """Return whether every tap reads one block of the image, and that is faster than columns."""
    blocks = set(geometry.stride) == {1} and geometry.padding_mode == "zeros"
    return (
        blocks
        and geometry.groups == 1
        and geometry.in_channels >= max(CHANNELS_FOR_TAPS, geometry.out_channels)
        and _columns_nbytes(geometry, dtype) >= COLUMNS_FOR_TAPS
        and dtype.char in "fdFD"
    )


def _forward_by_taps(x: Array, weight: Array, geometry: Geometry) -> Array:
    """Return ``W x`` as the sum over the taps of their weights times the shifted image.

    With stride 1 and the channels last, what one tap reads at all positions is one contiguous
    block of the padded image. BLAS multiplies it where it lies and adds to the sums; the few
    positions between two lines are computed too and left out at the end.
    """
    from scipy.linalg import get_blas_funcs  # 50 ms that an import alone does not pay

    gemm = get_blas_funcs("gemm", dtype=weight.dtype)
    padded, outputs = padded_shape(geometry), geometry.output_shape[1:]
    steps = [math.prod(padded[axis + 1 :]) for axis in range(geometry.ndim)]
    span = 1 + sum((o - 1) * step for o, step in zip(outputs, steps, strict=True))

    image = np.zeros((math.prod(padded), geometry.in_channels), weight.dtype)
    inner = image.reshape(*padded, -1)[inside(geometry)]
    sums = np.empty((outputs[0] * steps[0], geometry.out_channels), weight.dtype)
    wanted = sums.reshape(outputs[0], *padded[1:], -1)[tuple(slice(o) for o in outputs)]
    taps = []
    for tap in np.ndindex(*geometry.kernel_size):
        place = np.subtract(geometry.kernel_size, 1) - tap if geometry.flip else np.asarray(tap)
        start = int(place * geometry.dilation @ steps)
        taps.append((np.asfortranarray(weight[:, :, *tap]), image[start : start + span].T))

    y = np.empty((len(x), *geometry.output_shape), weight.dtype)
    for sample, result in zip(x, y, strict=True):
        inner[...] = np.moveaxis(sample, 0, -1)
        for number, (weights, block) in enumerate(taps):
            gemm(1, weights, block, beta=number > 0, c=sums[:span].T, overwrite_c=True)
        result[...] = np.moveaxis(wanted, -1, 0)
    return y


def backward(y: Array, weight: Array, geometry: Geometry) -> Array:
    """Return ``Wᵀ y`` for a checked batch ``(batch, *output_shape)``: no conjugation."""
    groups, places = geometry.groups, positions(geometry)
    per_group = geometry.out_channels // groups
    columns_to_rows = weight.reshape(groups, per_group, -1).swapaxes(1, 2)
    x = np.empty((len(y), *geometry.input_shape), dtype=weight.dtype)
    step = _samples_at_once(geometry, y)
    for start in range(0, len(y), step):
        samples = y[start : start + step].reshape(-1, groups, per_group, places)
        x[start : start + step] = image_of(columns_to_rows @ samples, geometry)
    return x


def weight_gradient(x: Array, grad: Array, geometry: Geometry) -> Array:
    r"""Return the gradient of the weight for checked batches of inputs and of output gradients.

    The fully connected layer has the gradient :math:`g x^T`, a number for each entry of its
    matrix. Entries that are one weight are tied, so their numbers are summed:
    :math:`\langle E_t, \, g x^T \rangle` for the tap t, which is g times the columns.
    """
    groups, places = geometry.groups, positions(geometry)
    per_group = geometry.out_channels // groups
    rows = math.prod(geometry.weight_shape[1:])
    total = np.zeros((groups, per_group, rows), dtype=np.result_type(x, grad))
    step = _samples_at_once(geometry, x)
    tile = np.empty((step, groups, rows, places), dtype=x.dtype)
    for start in range(0, len(x), step):
        samples = x[start : start + step]
        columns = tile[: len(samples)]
        columns_of(samples, geometry, into=columns)
        grads = grad[start : start + step].reshape(-1, groups, per_group, places)
        total += np.matmul(grads, columns.swapaxes(2, 3)).sum(axis=0)
    return total.reshape(geometry.weight_shape)


def _samples_at_once(geometry: Geometry, batch: Array) -> int:
    """Return how many samples have columns that fit a tile together, at least one."""
    return max(1, min(len(batch), TILE_BYTES // _columns_nbytes(geometry, batch.dtype)))


def _columns_nbytes(geometry: Geometry, dtype: np.dtype[np.generic]) -> int:
    """Count the bytes of the columns of one sample."""
    rows = geometry.in_channels * math.prod(geometry.kernel_size)
    return rows * positions(geometry) * dtype.itemsize


@lists_options
def conv_transpose(
    y: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    output_padding: PerAxis = 0,
    output_shape: PerAxis | None = None,
    **options: Unpack[GeometryOptions],
) -> Array:
    r"""Apply the transposed convolution: multiply by the transpose of the matrix of ``conv``.

    .. math:: x[c, j] = b[c] + \sum_{u, o, a} w[u, c, a] \; \delta(j, \, s\,o + d\,a - p) \; y[u, o]

    This is for zero padding and one group. In general it is not the inverse of :func:`conv`.
    Nothing is conjugated, so for complex weights it is not the adjoint either.

    Parameters
    ----------
    y : array_like, shape ``(*batch, in_channels, *spatial)``
    weight : array_like, shape ``(in_channels, out_channels // groups, *kernel)``
        The same array as for the convolution whose transpose this is.
    bias : array_like, shape ``(out_channels,)``, optional
    output_padding : int or tuple of N int, default 0
        Chooses among the sizes that the convolution takes to the size of ``y``: so many elements
        more at the high end. Less than the stride or the dilation.
    output_shape : tuple of N int, optional
        Chooses the size itself.
    **options : GeometryOptions

    Returns
    -------
    ndarray, shape ``(*batch, out_channels, *spatial_out)``
        As PyTorch and ONNX define it; along each axis ``stride * (spatial - 1) + dilation *
        (kernel - 1) + 1 - low - high + output_padding`` elements. The options are those of the
        convolution; with ``padding="same"`` there are ``stride * spatial`` elements.

    Raises
    ------
    ValueError
        If ``y``, ``weight`` and ``bias`` do not fit each other, an option is unknown or out of
        range, or ``output_shape`` cannot be reached.

    See Also
    --------
    conv_matrix : its transpose is the matrix of this map.

    Examples
    --------
    Two numbers with stride 2, each writing the kernel once; where they overlap they add up::

        y = [1 10]    weight = [1 2 3]    x = [1 2 3 . .] + [. . 10 20 30]

    >>> conv_transpose([[1, 10]], [[[1, 2, 3]]], stride=2)
    array([[ 1,  2, 13, 20, 30]])

    With stride 1 it is numpy's full convolution:

    >>> import numpy as np
    >>> y, k = np.array([3, 1, 4]), np.array([1, 5])
    >>> bool((conv_transpose(y[None], k[None, None])[0] == np.convolve(y, k)).all())
    True
    """
    check_names(options, "conv_transpose", ("bias", "output_padding", "output_shape"))
    y, weight = as_array("y", y), as_array("weight", weight)
    ndim, split = weight.ndim - 2, y.ndim - weight.ndim + 1
    if ndim < 1 or split < 0:
        raise ValueError(
            f"y (of shape {y.shape}) must be (*batch, in_channels, *spatial) and weight (of shape "
            f"{weight.shape}) (in_channels, out_channels // groups, *kernel), with as many "
            "spatial as kernel axes and at least one"
        )
    batch, shape = y.shape[:split], checked_shape("y.shape", y.shape[split:])
    geometry = Geometry.of_transpose(
        weight.shape, shape[1:], output_padding=output_padding, output_shape=output_shape, **options
    )
    if shape[0] != geometry.out_channels:
        raise ValueError(
            f"y (of shape {y.shape}) must have in_channels = {geometry.out_channels} channels for "
            f"weight (of shape {weight.shape})"
        )
    dtype = np.result_type(y, weight)
    if bias is not None:
        bias = _checked_bias(bias, geometry.in_channels)
        dtype = np.result_type(dtype, bias)
    samples = y.reshape(math.prod(batch), *shape).astype(dtype, copy=False)
    # An output_padding of a stride or more leaves the last outputs of the convolution without a y.
    missing = [(0, n - m) for n, m in zip(geometry.output_shape[1:], shape[1:], strict=True)]
    if any(high for _, high in missing):
        samples = np.pad(samples, [(0, 0), (0, 0), *missing])
    x = backward(samples, weight.astype(dtype, copy=False), geometry)
    if bias is not None:
        x += bias.reshape(-1, *(1,) * geometry.ndim)
    return x.reshape(*batch, *geometry.input_shape)


def _checked_bias(bias: ArrayLike, channels: int) -> Array:
    array = as_array("bias", bias)
    if array.shape != (channels,):
        raise ValueError(
            f"bias (of shape {array.shape}) must have shape (out_channels,) = ({channels},)"
        )
    return array
