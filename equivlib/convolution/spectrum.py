"""Singular values and norm of a convolution, without its matrix where that can be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .geometry import Geometry
from .matrix import MAX_BYTES, conv_matrix, conv_operator
from .options import GeometryOptions, check_names, lists_options
from .patches import Array, as_array

Values: TypeAlias = NDArray[np.float32 | np.float64]


@lists_options
def singular_values(
    weight: ArrayLike,
    input_shape: Sequence[int],
    *,
    max_bytes: float = MAX_BYTES,
    **options: Unpack[GeometryOptions],
) -> Values:
    r"""Return all singular values of the matrix of a convolution, largest first.

    A convolution with circular padding, stride 1 and as many outputs as inputs is taken apart by
    the Fourier transform: its singular values are those of one small matrix for each group and
    each frequency f,

    .. math:: T_f[u, c] = \sum_a w[u, c, a] \,
              e^{-2 \pi i \, (f_1 d_1 a_1 / n_1 + f_2 d_2 a_2 / n_2 + \dots)}

    with the sizes n of the spatial axes. Up to a factor of modulus 1 it is what the layer does to
    the frequency -f (with ``flip``, to f). For every other geometry, zero padding included, they
    are computed from the matrix, one group at a time.

    Parameters
    ----------
    weight : array_like
        As for :func:`~equivlib.conv_matrix`; real or complex numbers.
    input_shape : tuple of int
    max_bytes : int, default 4 GiB
        Refuse to build a larger dense matrix.
    **options : GeometryOptions

    Returns
    -------
    ndarray, shape ``(min(matrix_shape),)``
        float64 (float32 for single precision), descending. The transform and the decomposition
        are both backward stable, so each value is within ``p U s`` of the true one, where U is the
        unit roundoff, s the largest value and p a factor that grows moderately with the sides of
        the small matrices and the logarithm of their number. So small singular values have an
        absolute, not a relative, accuracy.

    Raises
    ------
    MatrixTooLarge
        If the matrix has to be built and is larger than ``max_bytes``.
    ValueError
        If ``weight`` holds objects, the shapes do not fit each other, or an option is unknown or
        out of range.

    References
    ----------
    H. Sedghi, V. Gupta, P. M. Long, "The Singular Values of Convolutional Layers", ICLR 2019.

    Examples
    --------
    A difference in a circle of four has the singular values of its circulant matrix::

        -1  1  .  .
         . -1  1  .
         .  . -1  1
         1  .  . -1

    >>> circle = {"padding": ((0, 1),), "padding_mode": "circular"}
    >>> values = singular_values([[[-1, 1]]], (1, 4), **circle)
    >>> print(np.round(values + 0.0, 6))
    [2.       1.414214 1.414214 0.      ]

    numpy's decomposition of the matrix agrees:

    >>> W = conv_matrix([[[-1, 1]]], (1, 4), format="dense", **circle)
    >>> bool(np.allclose(values, np.linalg.svd(W, compute_uv=False)))
    True
    """
    check_names(options, "singular_values", ("max_bytes",))
    weight = _inexact(weight)
    geometry = Geometry(weight.shape, input_shape, **options)
    if is_circular(geometry):
        blocks = transfer(weight, geometry)
    else:
        blocks = _group_matrices(weight, geometry, max_bytes)
    values = np.linalg.svd(blocks, compute_uv=False).ravel()
    return np.sort(values)[::-1]


@lists_options
def operator_norm(
    weight: ArrayLike,
    input_shape: Sequence[int],
    *,
    rtol: float = 1e-6,
    seed: int = 0,
    **options: Unpack[GeometryOptions],
) -> float:
    r"""Return the largest singular value, estimated from below.

    It says how much the layer can lengthen an input.

    .. math:: \|W\|_2 = \max_{x \ne 0} \|W x\|_2 / \|x\|_2

    Exact up to rounding where the Fourier transform takes the matrix apart, and for a matrix with
    fewer than 32 rows or columns. Otherwise by the Lanczos method on :math:`W^* W`, which applies
    the layer and its adjoint and builds nothing, so that layers far too large to store are no
    obstacle.

    Parameters
    ----------
    weight : array_like
        As for :func:`~equivlib.conv_matrix`; real or complex numbers.
    input_shape : tuple of int
    rtol : float, default 1e-6
        The returned value has a unit vector v with residual
        :math:`\|W^* W v - \sigma^2 v\| \le \text{rtol} \; \sigma^2`, so some singular value lies
        within relative distance ``rtol`` of it. (W* in the place of W if W has fewer rows.) It is
        never larger than the true norm, but for rounding; that it belongs to the largest is sure
        only up to the chance that the random start is almost orthogonal to it. So this is no
        certificate: :func:`~equivlib.norm_bounds` gives numbers on either side.
    seed : int, default 0
        Of the start.
    **options : GeometryOptions

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If ``weight`` holds objects, ``rtol`` is not between 0 and 1, the shapes do not fit each
        other, or an option is unknown or out of range.

    See Also
    --------
    norm_bounds : certified bounds from both sides.

    Examples
    --------
    A kernel of one weight, on one channel without padding, stretches everything alike::

        3 .
        . 3    has the norm 3

    >>> operator_norm([[[3]]], (1, 2))
    3.0

    The norm of the reshaped kernel is in general something else:

    >>> weight = np.random.default_rng(0).standard_normal((4, 3, 3, 3))
    >>> norm = operator_norm(weight, (3, 8, 8), padding=1)
    >>> reshaped = np.linalg.norm(weight.reshape(4, -1), 2)
    >>> W = conv_matrix(weight, (3, 8, 8), padding=1, format="dense")
    >>> bool(np.isclose(norm, np.linalg.norm(W, 2), rtol=1e-6)), bool(norm > 1.4 * reshaped)
    (True, True)
    """
    check_names(options, "operator_norm", ("rtol", "seed"))
    weight = _inexact(weight)
    geometry = Geometry(weight.shape, input_shape, **options)
    if isinstance(rtol, bool) or not 0 < rtol < 1:
        raise ValueError(f"rtol (={rtol!r}) must be a number between 0 and 1")
    if not weight.any():
        return 0.0
    if is_circular(geometry):
        return float(np.linalg.svd(transfer(weight, geometry), compute_uv=False).max())
    if min(geometry.matrix_shape) < SMALL:
        return float(singular_values(weight, input_shape, **options)[0])
    return _lanczos_norm(weight, geometry, rtol, seed)


#: Below so many rows or columns the Lanczos method has nothing to gain.
SMALL = 32


def is_circular(geometry: Geometry) -> bool:
    """Return whether the matrix is circulant along every axis: Fourier's transform splits it."""
    return all(
        axis.stride == 1
        and axis.outputs == axis.size
        and (axis.mode == "circular" or axis.low == axis.high == 0)
        for axis in geometry.axes
    )


def transfer(weight: Array, geometry: Geometry) -> Array:
    """Return what a circular convolution does to each frequency, but for a factor of modulus 1.

    Returns
    -------
    ndarray, shape ``(groups, frequencies, out_channels // groups, in_channels // groups)``
    """
    spread = np.zeros((*weight.shape[:2], *geometry.spatial_shape), dtype=weight.dtype)
    for tap in np.ndindex(*geometry.kernel_size):
        place = (axis.dilation * a % axis.size for a, axis in zip(tap, geometry.axes, strict=True))
        spread[:, :, *place] += weight[:, :, *tap]
    frequencies = np.fft.fftn(spread, axes=range(2, weight.ndim))
    grouped = frequencies.reshape(geometry.groups, -1, *weight.shape[1:2], spread[0, 0].size)
    return np.moveaxis(grouped, -1, 1)


def _group_matrices(weight: Array, geometry: Geometry, max_bytes: float) -> Array:
    """Return the dense matrix of each group; the matrix of the layer is zero outside of them."""
    options: GeometryOptions = {**geometry.options, "groups": 1}
    shape = (geometry.weight_shape[1], *geometry.spatial_shape)
    per_group = weight.reshape(geometry.groups, -1, *weight.shape[1:])
    return np.stack(
        [
            conv_matrix(part, shape, format="dense", max_bytes=max_bytes, **options)
            for part in per_group
        ]
    )


def _lanczos_norm(weight: Array, geometry: Geometry, rtol: float, seed: int) -> float:
    from scipy.sparse.linalg import LinearOperator, eigsh

    layer = conv_operator(weight, geometry.input_shape, **geometry.options)
    rows, columns = geometry.matrix_shape
    apply, adjoint = (
        (layer.matvec, layer.rmatvec) if rows >= columns else (layer.rmatvec, layer.matvec)
    )
    size = min(rows, columns)
    square = LinearOperator((size, size), matvec=lambda v: adjoint(apply(v)), dtype=weight.dtype)
    start = np.random.default_rng(seed).standard_normal(size).astype(weight.dtype)
    (largest,) = eigsh(square, k=1, which="LM", v0=start, tol=rtol, return_eigenvectors=False)
    return math.sqrt(max(float(largest), 0.0))


def _inexact(weight: ArrayLike) -> Array:
    array = as_array("weight", weight)
    if array.dtype == object:
        raise ValueError("weight (of dtype object) must hold real or complex numbers")
    return array if array.dtype.kind in "fc" else array.astype(np.float64)
