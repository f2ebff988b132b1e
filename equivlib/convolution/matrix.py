"""The matrix of a convolution: built at once, by blocks of rows, or only applied."""

from __future__ import annotations

import math
import numbers
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike

from .axis import Index
from .csr import csr_arrays, row_numbers, stored_count
from .functional import backward, forward
from .geometry import FORMATS, Format, Geometry, check_format, checked_shape, matrix_nbytes
from .options import GeometryOptions, check_names, lists_options
from .patches import Array, as_array, is_module

if TYPE_CHECKING:
    from scipy.sparse import csr_array, sparray
    from scipy.sparse.linalg import LinearOperator

#: What ``conv_matrix`` may take unless told otherwise: 4 GiB.
MAX_BYTES = 4 * 2**30

#: Stored numbers that are spread over a dense matrix at a time, to bound the scratch memory.
DENSE_BLOCK = 2**20


class MatrixTooLarge(ValueError):
    """The matrix would take more memory than ``max_bytes``; nothing was allocated."""


@overload
def conv_matrix(
    weight: ArrayLike,
    input_shape: Sequence[int],
    *,
    format: Literal["csr"] = "csr",
    max_bytes: float = MAX_BYTES,
    rows: slice | None = None,
    **options: Unpack[GeometryOptions],
) -> csr_array: ...
@overload
def conv_matrix(
    weight: ArrayLike,
    input_shape: Sequence[int],
    *,
    format: Literal["dense"],
    max_bytes: float = MAX_BYTES,
    rows: slice | None = None,
    **options: Unpack[GeometryOptions],
) -> Array: ...
@overload
def conv_matrix(
    weight: ArrayLike,
    input_shape: Sequence[int],
    *,
    format: Format,
    max_bytes: float = MAX_BYTES,
    rows: slice | None = None,
    **options: Unpack[GeometryOptions],
) -> csr_array | Array: ...
@lists_options
def conv_matrix(
    weight: ArrayLike,
    input_shape: Sequence[int],
    *,
    format: Format = "csr",
    max_bytes: float = MAX_BYTES,
    rows: slice | None = None,
    **options: Unpack[GeometryOptions],
) -> csr_array | Array:
    r"""Return the matrix W with ``W @ x.ravel() == conv(x, weight).ravel()`` for every ``x``.

    .. math:: W[(u, o), (c, j)] = \sum_a w[u, c, a] \; \delta(j, \, s\,o + d\,a - p)

    with zero padding and one group. In the other padding modes j is compared with the element that
    is shown at that place, and entries between channels of different groups are 0. In
    floating-point numbers both sides round in their own order.

    Rows and columns count outputs and inputs row-major over (channels, \*spatial).

    Parameters
    ----------
    weight : array_like, shape ``(out_channels, in_channels // groups, *kernel)``
        Numbers, or exact objects: fractions and sympy expressions. A convolution of PyTorch stands
        for its weight and its options.
    input_shape : tuple of int
        ``(in_channels, *spatial)``, without batch.
    format : {"csr", "dense"}
    max_bytes : int, default 4 GiB
        Refuse to build anything larger.
    rows : slice, optional
        Build only these rows, as ``W[rows]``, at the cost of these rows.
    **options : GeometryOptions

    Returns
    -------
    scipy.sparse.csr_array or ndarray, shape ``(prod(output_shape), prod(input_shape))``
        dtype of ``weight``. The sparse form is canonical: indices sorted, nothing twice, no
        padding; int32 indices while they fit. Which entries it stores depends on the geometry
        alone, so a weight that happens to be 0 is stored as 0. Where two taps read the same
        element, as mirrored padding makes them, the entry is their sum.
        If ``weight`` holds sympy expressions: a sympy matrix, sparse or dense.

    Raises
    ------
    MatrixTooLarge
        With the size in both formats, before anything is allocated.
    ValueError
        If the shapes do not fit each other, an option is unknown or out of range, ``format``,
        ``rows`` or ``max_bytes`` is none of those above, or scipy cannot store the type of
        ``weight``.

    See Also
    --------
    conv_operator : the same map with nothing built.

    Examples
    --------
    A kernel [k0 k1 k2] over four elements has two output positions, so two rows::

        k0 k1 k2  .
         . k0 k1 k2

    >>> conv_matrix([[[1, 2, 3]]], (1, 4), format="dense")
    array([[1, 2, 3, 0],
           [0, 1, 2, 3]])

    :func:`scipy.linalg.convolution_matrix` builds the one-channel, one-axis case:

    >>> import numpy as np
    >>> from scipy.linalg import convolution_matrix
    >>> ours = conv_matrix([[[1, 2, 3]]], (1, 5), padding=2, flip=True)
    >>> bool((ours.toarray() == convolution_matrix([1, 2, 3], 5)).all())
    True
    """
    check_names(options, "conv_matrix", ("format", "max_bytes", "rows"))
    weight, options = _of_module(weight, options)
    weight = as_array("weight", weight)
    geometry = Geometry(weight.shape, input_shape, **options)
    check_format(format)
    sympy = _sympy_of(weight)
    if format == "csr" and sympy is None and weight.dtype.char in "Oe":
        raise ValueError(
            f"weight (of dtype {weight.dtype}) cannot be stored by scipy.sparse: "
            "use format='dense', or convert the weight"
        )
    start, stop = _row_range(rows, geometry.matrix_shape[0])
    shape = (stop - start, geometry.matrix_shape[1])
    _check_size(shape, stored_count(geometry, start, stop), weight, format, max_bytes)
    if sympy is not None:
        return _sympy_matrix(sympy, csr_arrays(geometry, weight, start, stop), shape, format)
    if format == "dense":
        return _dense(geometry, weight, start, stop)
    matrix = scipy.sparse.csr_array(csr_arrays(geometry, weight, start, stop), shape=shape)
    matrix.has_sorted_indices = True  # known by construction; spares scipy a pass over it
    matrix.has_canonical_format = True
    return matrix


def _of_module(weight: ArrayLike, options: GeometryOptions) -> tuple[ArrayLike, GeometryOptions]:
    """Return the weight and the options of a convolution of PyTorch; anything else as it is."""
    if not is_module(weight):
        return weight, options
    kind = type(weight).__name__
    if not hasattr(weight, "padding_mode") or getattr(weight, "transposed", True):
        raise ValueError(
            f"weight (a module {kind}) must be a convolution; equivlib.interop.torch.from_torch "
            "makes a network of any other"
        )
    if options:
        raise ValueError(
            f"the options of weight (a module {kind}) are its own: {', '.join(options)} must not "
            "be given beside it"
        )
    module: Any = weight
    own: GeometryOptions = {
        "stride": module.stride,
        "padding": module.padding,
        "dilation": module.dilation,
        "groups": module.groups,
        "padding_mode": module.padding_mode,
    }
    return module.weight, own


@lists_options
def tap_matrix(
    tap: Sequence[int],
    weight_shape: Sequence[int],
    input_shape: Sequence[int],
    **options: Unpack[GeometryOptions],
) -> csr_array:
    r"""Return the matrix :math:`E_t` of one tap: where the weight ``weight[tap]`` stands in W.

    .. math:: W = \sum_t w_t E_t

    Parameters
    ----------
    tap : tuple of int
        Index into the weight: ``(out_channel, in_channel, *position)``.
    weight_shape, input_shape : tuple of int
        As in :class:`~equivlib.Geometry`.
    **options : GeometryOptions

    Returns
    -------
    scipy.sparse.csr_array
        1 where the weight stands, nothing elsewhere. At most one 1 in a row, because a tap reads
        one place for each output.

    Raises
    ------
    ValueError
        If ``tap`` is not an index into ``weight_shape``, or for the shapes and options that
        :func:`conv_matrix` refuses.

    Examples
    --------
    The second of two taps over three elements::

        .  1  .
        .  .  1

    >>> tap_matrix((0, 0, 1), (1, 1, 2), (1, 3)).toarray()
    array([[0, 1, 0],
           [0, 0, 1]])

    All taps, each times its weight, add up to the matrix:

    >>> import numpy as np
    >>> weight = np.array([[[3, 5]]])
    >>> total = sum(weight[t] * tap_matrix(t, (1, 1, 2), (1, 3)) for t in np.ndindex(1, 1, 2))
    >>> bool((total.toarray() == conv_matrix(weight, (1, 3)).toarray()).all())
    True
    """
    check_names(options, "tap_matrix")
    shape = tuple(weight_shape)
    if len(tap) != len(shape) or not all(0 <= t < n for t, n in zip(tap, shape, strict=True)):
        raise ValueError(f"tap (={tap!r}) must be an index into weight_shape (={shape})")
    one_hot = np.zeros(shape, dtype=np.int64)
    one_hot[tuple(tap)] = 1
    matrix = conv_matrix(one_hot, input_shape, **options)
    matrix.eliminate_zeros()
    return matrix


@lists_options
def conv_operator(
    weight: ArrayLike, input_shape: Sequence[int], **options: Unpack[GeometryOptions]
) -> LinearOperator:
    r"""Return the map of :func:`conv_matrix` as a linear operator: applied, never built.

    Parameters
    ----------
    weight : array_like
    input_shape : tuple of int
        As for :func:`conv_matrix`.
    **options : GeometryOptions

    Returns
    -------
    scipy.sparse.linalg.LinearOperator
        ``matvec`` and ``matmat`` convolve; ``rmatvec`` and ``rmatmat`` apply the conjugate
        transpose. dtype of ``weight``.

    Raises
    ------
    ValueError
        If the shapes do not fit each other, or an option is unknown or out of range.

    Examples
    --------
    It is the matrix that its own columns spell out::

        k0 k1  .
         . k0 k1

    >>> import numpy as np
    >>> operator = conv_operator([[[1, 2]]], (1, 3))
    >>> operator @ np.eye(3, dtype=int)
    array([[1, 2, 0],
           [0, 1, 2]])

    Here, with a real kernel, its adjoint is numpy's full convolution with the kernel:

    >>> operator.rmatvec(np.array([10, 1])) == np.convolve([10, 1], [1, 2])
    array([ True,  True,  True])
    """
    from scipy.sparse.linalg import LinearOperator  # here: it would double the time of the import

    check_names(options, "conv_operator")
    weight = as_array("weight", weight)
    geometry = Geometry(weight.shape, input_shape, **options)

    def matmat(x: Array) -> Array:
        dtype = np.result_type(weight, x)
        batch = np.ascontiguousarray(x.T, dtype=dtype).reshape(-1, *geometry.input_shape)
        y = forward(batch, weight.astype(dtype, copy=False), geometry)
        return y.reshape(len(batch), geometry.matrix_shape[0]).T

    def rmatmat(y: Array) -> Array:
        dtype = np.result_type(weight, y)
        batch = np.ascontiguousarray(y.T, dtype=dtype).reshape(-1, *geometry.output_shape)
        x = backward(batch, weight.astype(dtype, copy=False).conj(), geometry)
        return x.reshape(len(batch), geometry.matrix_shape[1]).T

    return LinearOperator(
        geometry.matrix_shape,
        matvec=lambda x: matmat(x.reshape(-1, 1))[:, 0],
        rmatvec=lambda y: rmatmat(y.reshape(-1, 1))[:, 0],
        matmat=matmat,
        rmatmat=rmatmat,
        dtype=weight.dtype,
    )


def dense_to_conv(matrix: ArrayLike, input_shape: Sequence[int]) -> Array:
    r"""Return the kernel with which a convolution is the fully connected layer of ``matrix``.

    Each row, reshaped to the input, is the kernel of one output channel. It is as large as the
    input, so without padding it has one position there; on a larger input it slides.

    Parameters
    ----------
    matrix : array_like, shape ``(units, prod(input_shape))``
    input_shape : tuple of int
        ``(in_channels, *spatial)`` of the input that was flattened row-major.

    Returns
    -------
    ndarray, shape ``(units, *input_shape)``

    Raises
    ------
    ValueError
        If ``matrix`` does not have two axes, or its columns are not as many as the elements of
        ``input_shape``.

    Examples
    --------
    Two units on an image of 2 x 2, ``[a b c d]`` becoming ``a b`` over ``c d``:

    >>> import numpy as np
    >>> layer = np.arange(8).reshape(2, 4)
    >>> weight = dense_to_conv(layer, (1, 2, 2))
    >>> weight[1]
    array([[[4, 5],
            [6, 7]]])
    >>> bool((conv_matrix(weight, (1, 2, 2)).toarray() == layer).all())
    True
    """
    layer = _as_layer(matrix)
    shape = checked_shape("input_shape", input_shape)
    if layer.shape[1] != math.prod(shape):
        raise ValueError(
            f"matrix (of shape {layer.shape}) must have prod(input_shape) = {math.prod(shape)} "
            f"columns for input_shape (={shape})"
        )
    return layer.reshape(len(layer), *shape)


def dense_to_pointwise(matrix: ArrayLike) -> Array:
    r"""Return the 1 x 1 kernel with which a convolution of one pixel is the fully connected layer.

    Parameters
    ----------
    matrix : array_like, shape ``(units, features)``

    Returns
    -------
    ndarray, shape ``(units, features, 1, 1)``
        To be used on images of ``(features, height, width)``; on one pixel it is the layer, and on
        a larger image it is the layer on each pixel by itself.

    Raises
    ------
    ValueError
        If ``matrix`` has not two axes.

    Examples
    --------
    Three features become the three channels of one pixel, each row a kernel of 1 x 1::

        0 1 2        unit 0 weighs the channels by 0, 1, 2
        3 4 5        unit 1 by 3, 4, 5

    >>> import numpy as np
    >>> layer = np.arange(6).reshape(2, 3)
    >>> weight = dense_to_pointwise(layer)
    >>> weight.shape
    (2, 3, 1, 1)
    >>> bool((conv_matrix(weight, (3, 1, 1)).toarray() == layer).all())
    True
    """
    return _as_layer(matrix)[:, :, None, None]


def dot_test(
    operator: LinearOperator | Array | sparray, *, seed: int = 0, rtol: float | None = None
) -> None:
    r"""Check that an operator and its adjoint belong together.

    .. math:: \langle A x, y \rangle = \langle x, A^* y \rangle

    for random complex x and y (real ones for a real operator). An adjoint that is wrong by more
    than the tolerance fails for almost every x and y.

    Parameters
    ----------
    operator : LinearOperator, ndarray or sparse array
        Anything that :func:`scipy.sparse.linalg.aslinearoperator` takes.
    seed : int, default 0
        Seed of the random vectors.
    rtol : float, optional
        Allowed difference relative to ``|Ax| |y|`` or ``|x| |A*y|``, the larger one. By default
        ``2 n eps``, n the sum of rows and columns: more than rounding does, unless the sums in
        ``Ax`` and ``A*y`` cancel almost completely.

    Raises
    ------
    AssertionError
        With both sides, their difference, and what was allowed.

    Examples
    --------
    >>> import numpy as np
    >>> weight = np.array([[[1, 2j, -1]]])
    >>> dot_test(conv_operator(weight, (1, 6), stride=2))

    The matrix itself, as its own adjoint, fails unless it is symmetric:

    >>> from scipy.sparse.linalg import LinearOperator
    >>> W = np.array([[1.0, 2.0], [0.0, 1.0]])
    >>> wrong = LinearOperator((2, 2), matvec=lambda x: W @ x, rmatvec=lambda y: W @ y)
    >>> try:
    ...     dot_test(wrong)
    ... except AssertionError as error:
    ...     print("but <x, A*y>" in str(error))
    True
    """
    from scipy.sparse.linalg import aslinearoperator

    A = aslinearoperator(operator)
    rng = np.random.default_rng(seed)
    is_complex = np.issubdtype(A.dtype, np.complexfloating)
    x, y = (
        rng.standard_normal(n) + (1j * rng.standard_normal(n) if is_complex else 0)
        for n in (A.shape[1], A.shape[0])
    )
    image, back = A.matvec(x), A.rmatvec(y)
    left, right = np.vdot(y, image), np.vdot(back, x)
    precision = np.result_type(A.dtype, np.float32) if A.dtype.kind in "fc" else np.float64
    rtol = 2 * sum(A.shape) * float(np.finfo(precision).eps) if rtol is None else rtol
    allowed = rtol * max(
        np.linalg.norm(image) * np.linalg.norm(y), np.linalg.norm(x) * np.linalg.norm(back)
    )
    if not abs(left - right) <= allowed:
        raise AssertionError(
            f"<Ax, y> = {left:.6f} but <x, A*y> = {right:.6f}: they differ by "
            f"{abs(left - right):.3g}, and {allowed:.3g} is allowed"
        )


def _as_layer(matrix: ArrayLike) -> Array:
    layer = as_array("matrix", matrix)
    if layer.ndim != 2:
        raise ValueError(f"matrix (of shape {layer.shape}) must have two axes, (units, features)")
    return layer


def _row_range(rows: object, count: int) -> tuple[int, int]:
    if rows is None:
        return 0, count
    if not isinstance(rows, slice) or rows.step not in (None, 1):
        raise ValueError(f"rows (={rows!r}) must be a slice with step 1")
    try:
        start, stop, _ = rows.indices(count)
    except TypeError:
        raise ValueError(f"rows (={rows!r}) must have integer ends") from None
    return start, max(start, stop)


def _check_size(
    shape: tuple[int, int], nnz: int, weight: Array, format: Format, max_bytes: float
) -> None:
    checked_limit(max_bytes)
    size = {name: matrix_nbytes(*shape, nnz, weight.dtype, name) for name in FORMATS}
    if size[format] > max_bytes:
        raise MatrixTooLarge(
            f"the matrix of shape {shape} would take {readable(size['csr'])} as csr and "
            f"{readable(size['dense'])} dense; format (={format!r}) is over max_bytes "
            f"(={max_bytes}); rows= builds a part of it, conv_operator applies it unbuilt"
        )


def checked_limit(max_bytes: float) -> None:
    """Refuse a limit that is no positive number."""
    number = isinstance(max_bytes, numbers.Real) and not isinstance(max_bytes, bool)
    if not number or not max_bytes > 0:
        raise ValueError(f"max_bytes (={max_bytes!r}) must be a positive number of bytes")


def readable(size: int) -> str:
    """Return a number of bytes in decimal units, as disks and networks count."""
    value, unit = float(size), "bytes"
    for larger in ("kB", "MB", "GB", "TB", "PB", "EB"):
        if value < 999.5:  # what rounds to 1000 belongs to the next unit
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}" if value < 999.5 else f"{value:.0f} {unit}"


def _dense(geometry: Geometry, weight: Array, start: int, stop: int) -> Array:
    dense = np.zeros((stop - start, geometry.matrix_shape[1]), dtype=weight.dtype)
    longest_row = max(1, math.prod(weight.shape[1:]))
    step = max(1, DENSE_BLOCK // longest_row)
    for low in range(start, stop, step):
        data, indices, indptr = csr_arrays(geometry, weight, low, min(low + step, stop))
        dense[low - start + row_numbers(indptr), indices] = data
    return dense


def _sympy_of(weight: Array) -> ModuleType | None:
    """Return sympy if the weight holds its expressions: whoever made them has imported it."""
    sympy = sys.modules.get("sympy")
    if sympy is None or weight.dtype != object:
        return None
    return sympy if any(isinstance(entry, sympy.Basic) for entry in weight.flat) else None


def _sympy_matrix(
    sympy: ModuleType, arrays: tuple[Array, Index, Index], shape: tuple[int, int], format: Format
) -> csr_array | Array:
    data, indices, indptr = arrays
    rows = row_numbers(indptr)
    places = zip(rows.tolist(), indices.tolist(), strict=True)
    matrix = sympy.SparseMatrix(*shape, dict(zip(places, data, strict=True)))
    return matrix if format == "csr" else sympy.Matrix(matrix)
