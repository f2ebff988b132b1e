"""The convolution itself, as patches times a matrix."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .geometry import Geometry
from .patches import Array, as_array, columns_of, image_of, positions

#: Columns are made and used for a few samples at a time, so that they stay in the cache.
TILE_BYTES = 4 * 2**20


def conv(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, **options: Any) -> Array:
    r"""Convolve, in the sense of deep learning: the kernel slides without being reversed.

    .. math:: y[u, o] = b[u] + \sum_{c, a} w[u, c, a] \; x[c, \, s\,o + d\,a - p]

    for each output channel u, with one o and one a per spatial axis.

    Parameters
    ----------
    x : array_like, shape ``(*batch, in_channels, *spatial)``
        Any number of batch axes, none included.
    weight : array_like, shape ``(out_channels, in_channels // groups, *kernel)``
        Its axes tell how many axes of ``x`` are spatial.
    bias : array_like, shape ``(out_channels,)``, optional
    **options
        ``stride``, ``padding``, ``dilation``, ``groups``, ``padding_mode``, ``flip`` as in
        :class:`~equivlib.Geometry`.

    Returns
    -------
    ndarray, shape ``(*batch, out_channels, *spatial_out)``
        The dtype that numpy gives to products of ``x`` and ``weight``: integers, fractions and
        symbols stay exact.

    Raises
    ------
    ValueError
        Names the argument, its value and the rule it breaks.

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
    x, weight = as_array("x", x), as_array("weight", weight)
    geometry, batch = batched_geometry(x, weight, options)
    dtype = np.result_type(x, weight)
    if bias is not None:
        bias = as_array("bias", bias)
        if bias.shape != (geometry.out_channels,):
            raise ValueError(
                f"bias (of shape {bias.shape}) must have shape (out_channels,) = "
                f"({geometry.out_channels},)"
            )
        dtype = np.result_type(dtype, bias)
    samples = x.reshape(math.prod(batch), *geometry.input_shape).astype(dtype, copy=False)
    y = forward(samples, weight.astype(dtype, copy=False), geometry)
    if bias is not None:
        y += bias.reshape(-1, *(1,) * geometry.ndim)
    return y.reshape(*batch, *geometry.output_shape)


def batched_geometry(
    x: Array, weight: Array, options: dict[str, Any]
) -> tuple[Geometry, tuple[int, ...]]:
    """The geometry that ``weight`` and the last axes of ``x`` have, and the batch axes before."""
    split = x.ndim - weight.ndim + 1
    if weight.ndim < 3 or split < 0:
        raise ValueError(
            f"x (of shape {x.shape}) must be (*batch, in_channels, *spatial) and weight (of shape "
            f"{weight.shape}) (out_channels, in_channels // groups, *kernel), with as many "
            "spatial as kernel axes and at least one"
        )
    return Geometry(weight.shape, x.shape[split:], **options), x.shape[:split]


def forward(x: Array, weight: Array, geometry: Geometry) -> Array:
    """``W x`` for a checked batch ``(batch, *input_shape)`` of the dtype of ``weight``."""
    groups, places = geometry.groups, positions(geometry)
    rows = weight.reshape(groups, geometry.out_channels // groups, -1)
    y = np.empty((len(x), *rows.shape[:2], places), dtype=weight.dtype)
    sample_bytes = geometry.in_channels * math.prod(geometry.kernel_size) * places * x.itemsize
    step = max(1, TILE_BYTES // sample_bytes)
    for start in range(0, len(x), step):
        columns = columns_of(x[start : start + step], geometry)
        np.matmul(
            rows, columns.reshape(-1, groups, rows.shape[2], places), out=y[start : start + step]
        )
    return y.reshape(len(x), *geometry.output_shape)


def backward(y: Array, weight: Array, geometry: Geometry) -> Array:
    """``Wᵀ y`` for a checked batch ``(batch, *output_shape)``: no conjugation."""
    groups, places = geometry.groups, positions(geometry)
    columns_to_rows = weight.reshape(groups, geometry.out_channels // groups, -1).swapaxes(1, 2)
    columns = columns_to_rows @ y.reshape(len(y), groups, geometry.out_channels // groups, places)
    return image_of(columns, geometry)
