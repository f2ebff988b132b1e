"""From a matrix back to its kernel: the nearest one, the exact one, or why there is none.

For every pair of an output and an input channel the matrix has one block, and in a convolution the
block is the sum of the same tap patterns, each times its weight. So everything here is read off
the places of the taps, block by block.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING, TypeAlias, Unpack

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from .axis import PADDING, Index
from .csr import csr_arrays, is_sparse, row_numbers
from .geometry import Geometry
from .options import GeometryOptions, check_names, lists_options
from .patches import Array, as_array
from .pattern import pattern

if TYPE_CHECKING:
    from scipy.sparse import sparray

#: A matrix as the functions here compute with it.
Matrix: TypeAlias = Array | csr_array

#: Entries of a dense matrix that are compared at a time, to bound the scratch memory.
BLOCK = 2**20


class NotAConvolution(ValueError):
    """The matrix is not that of such a convolution; the message names an entry."""


@dataclass(frozen=True)
class Projection:
    """The convolution nearest to a matrix.

    Attributes
    ----------
    weight : ndarray, shape ``(out_channels, in_channels // groups, *kernel)``
    residual : float
        Frobenius norm of the difference.
    relative_residual : float
        ``residual`` over the norm of the matrix; 0 for a matrix of zeros.
    """

    weight: Array
    residual: float
    relative_residual: float


@lists_options
def project(
    matrix: ArrayLike | sparray,
    weight_shape: Sequence[int],
    input_shape: Sequence[int],
    **options: Unpack[GeometryOptions],
) -> Projection:
    r"""Return the convolution nearest to a matrix in Frobenius norm.

    .. math:: \min_k \; \big\| M - \sum_t k_t E_t \big\|_F

    Where no output reads one input element with two taps, as with zero padding, this is the mean of
    M over the places of each tap. Other padding can add taps up, and then the normal equations
    :math:`G k = r` with :math:`G_{st} = \langle E_s, E_t \rangle` and
    :math:`r_t = \langle E_t, M \rangle`, the sum of M over the places of tap t, are solved; G is
    the same for every pair of channels.

    Parameters
    ----------
    matrix : ndarray or sparse array, shape ``Geometry(...).matrix_shape``
    weight_shape, input_shape : tuple of int
        As in :class:`~equivlib.Geometry`.
    **options : GeometryOptions

    Returns
    -------
    Projection
        ``.weight``, ``.residual``, ``.relative_residual``. Weights are float64 for a matrix of
        integers, and fractions for one of integers or fractions as objects. A tap that lies in
        padding everywhere gets 0; among equally near convolutions a float one has the smallest
        weights.

    Raises
    ------
    ValueError
        If ``matrix`` does not have the shape of the layer's matrix or holds no numbers, or if the
        shapes or options are those that :class:`~equivlib.Geometry` refuses.

    Examples
    --------
    Each diagonal is replaced by its mean::

        1 3 .        2 4 .
        . 3 5        . 2 4

    >>> import numpy as np
    >>> nearest = project(np.array([[1, 3, 0], [0, 3, 5]]), (1, 1, 2), (1, 3))
    >>> nearest.weight
    array([[[2., 4.]]])
    >>> nearest.residual
    2.0

    numpy's least squares over the tap patterns finds the same, mirrored padding included:

    >>> from equivlib import tap_matrix
    >>> M = np.arange(16.0).reshape(4, 4)
    >>> mirrored = {"padding": 1, "padding_mode": "reflect"}
    >>> shapes = ((1, 1, 3), (1, 4))
    >>> patterns = [tap_matrix((0, 0, t), *shapes, **mirrored).toarray().ravel() for t in range(3)]
    >>> solved = np.linalg.lstsq(np.stack(patterns, axis=1), M.ravel())[0]
    >>> bool(np.allclose(project(M, *shapes, **mirrored).weight.ravel(), solved))
    True
    """
    check_names(options, "project")
    geometry = Geometry(weight_shape, input_shape, **options)
    matrix = checked_matrix(matrix, geometry.matrix_shape)
    weight = _solve(_gram(geometry), _tap_sums(matrix, geometry))
    squared, total = _difference_norms(matrix, weight, geometry)
    residual, norm = math.sqrt(squared), math.sqrt(total)
    return Projection(weight, residual, residual / norm if norm else 0.0)


@lists_options
def kernel_from_matrix(
    matrix: ArrayLike | sparray,
    weight_shape: Sequence[int],
    input_shape: Sequence[int],
    *,
    tol: float = 0,
    **options: Unpack[GeometryOptions],
) -> Array:
    r"""Return the weight whose convolution has this matrix.

    Parameters
    ----------
    matrix : ndarray or sparse array, shape ``Geometry(...).matrix_shape``
    weight_shape, input_shape : tuple of int
        As in :class:`~equivlib.Geometry`.
    tol : float, default 0
        An entry may differ by so much from the one that the weight asks for.
    **options : GeometryOptions

    Returns
    -------
    ndarray, shape ``weight_shape``
        dtype of the matrix. Each weight is read at the first place where its tap stands alone. If
        a tap only ever stands in sums, the weights are those of :func:`project`.

    Raises
    ------
    NotAConvolution
        Names the first entry, row by row, that breaks sharing or sparsity.
    ValueError
        If ``matrix`` does not have the shape of the layer's matrix, ``tol`` is negative, or an
        option is unknown or out of range.

    Examples
    --------
    >>> import numpy as np
    >>> kernel_from_matrix(np.array([[7, 8, 0], [0, 7, 8]]), (1, 1, 2), (1, 3))
    array([[[7, 8]]])
    >>> M = np.array([[7, 8, 0], [0, 7, 9]])
    >>> try:
    ...     kernel_from_matrix(M, (1, 1, 2), (1, 3))
    ... except NotAConvolution as error:
    ...     print(error)
    entry (1, 2) of matrix is 9, but weight[0, 0, 1] is 8 by entry (0, 1)
    """
    check_names(options, "kernel_from_matrix", ("tol",))
    geometry = Geometry(weight_shape, input_shape, **options)
    matrix = checked_matrix(matrix, geometry.matrix_shape)
    if isinstance(tol, bool) or not tol >= 0:
        raise ValueError(f"tol (={tol!r}) must be a number of at least 0")
    alone = _alone(geometry)
    read_only_in_sums = (_reads_somewhere(geometry) & (alone < 0)).any()
    if read_only_in_sums:
        weight = _solve(_gram(geometry), _tap_sums(matrix, geometry))
    else:
        weight = _read_alone(matrix, geometry, alone)
    broken = _first_difference(matrix, weight, geometry, tol)
    if broken is not None:
        raise NotAConvolution(_reason(matrix, weight, geometry, alone, *broken))
    return weight


def checked_matrix(matrix: ArrayLike | sparray, shape: tuple[int, int]) -> Matrix:
    """Return the matrix as an array or as canonical CSR, if it has this shape and holds numbers."""
    if is_sparse(matrix):
        if matrix.dtype.kind not in "iufc":
            raise ValueError(f"matrix (of dtype {matrix.dtype}) must hold numbers")
        matrix = scipy.sparse.csr_array(matrix, copy=True)
        matrix.sum_duplicates()
    else:
        matrix = as_array("matrix", matrix)
    if matrix.shape != shape:
        raise ValueError(
            f"matrix (of shape {matrix.shape}) must have the shape {shape} of "
            "(prod(output_shape), prod(input_shape))"
        )
    return matrix


def take(matrix: Matrix, rows: Index, columns: Index) -> Array:
    """Return the entries of a dense or sparse matrix, in the shape of the indices."""
    if not is_sparse(matrix):
        return matrix[rows, columns]
    rows, columns = np.broadcast_arrays(rows, columns)
    found = matrix[rows.ravel(), columns.ravel()]
    values = found.toarray() if is_sparse(found) else np.asarray(found)
    return values.reshape(rows.shape)


def _columns_of(geometry: Geometry, output_channel: int) -> Index:
    """Return the first column of each input channel that an output channel reads."""
    per_group = geometry.out_channels // geometry.groups
    width = geometry.weight_shape[1]
    first = output_channel // per_group * width
    return (first + np.arange(width)) * math.prod(geometry.spatial_shape)


def _gram(geometry: Geometry) -> NDArray[np.int64]:
    """Return ``<E_s, E_t>`` for the taps of one pair of channels: at how many places both meet."""
    gram = np.ones((1, 1), dtype=np.int64)
    for axis in geometry.axes:
        reads = axis.reads()
        met = reads != PADDING
        along = [((reads == reads[:, [a]]) & met).sum(axis=0) for a in range(axis.taps)]
        gram = np.kron(gram, np.stack(along))
    return gram


def _tap_sums(matrix: Matrix, geometry: Geometry) -> Array:
    """Return ``<E_t, M>`` for every weight: the sum of M over the places of its tap."""
    reads = pattern(geometry)
    met, places = reads != PADDING, reads.clip(0)
    rows = np.arange(len(reads))[:, None]
    exact = matrix.dtype == object
    sums = np.empty(
        (geometry.out_channels, geometry.weight_shape[1], reads.shape[1]),
        dtype=object if exact else np.result_type(matrix.dtype, np.float64),
    )
    for u in range(geometry.out_channels):
        columns = _columns_of(geometry, u)[:, None, None] + places
        values = take(matrix, u * len(reads) + rows[None], columns)
        sums[u] = np.where(met, values, 0).sum(axis=1, dtype=sums.dtype)
    single = matrix.dtype in (np.float32, np.complex64)
    sums = sums.astype(matrix.dtype) if single else sums
    return sums.reshape(geometry.weight_shape)


def _solve(gram: NDArray[np.int64], sums: Array) -> Array:
    """Return a least-squares solution of ``gram @ k = sums`` for every pair of channels."""
    flat = sums.reshape(-1, len(gram))
    if (gram == np.diag(gram.diagonal())).all():
        counts = gram.diagonal()
        if sums.dtype == object:
            solved = flat * np.array([Fraction(1, max(1, int(n))) for n in counts], dtype=object)
        else:
            solved = flat / counts.clip(1)
    elif sums.dtype == object:
        solved = flat @ _exact_inverse(gram)
    else:
        solved = np.linalg.lstsq(gram.astype(float), flat.T, rcond=None)[0].T
    weight: Array = solved.astype(sums.dtype, copy=False).reshape(sums.shape)
    return weight


def _exact_inverse(gram: NDArray[np.int64]) -> Array:
    """Return the inverse over a largest set of independent taps, zero elsewhere, in fractions."""
    size = len(gram)
    rows = [[Fraction(int(x)) for x in line] + [Fraction(int(i == j)) for j in range(size)]
            for i, line in enumerate(gram)]  # fmt: skip
    chosen = _independent(gram)
    for pivot in chosen:
        scale = rows[pivot][pivot]
        rows[pivot] = [x / scale for x in rows[pivot]]
        for other in chosen:
            if other != pivot:
                factor = rows[other][pivot]
                pairs = zip(rows[other], rows[pivot], strict=True)
                rows[other] = [x - factor * y for x, y in pairs]
    inverse = np.full((size, size), Fraction(0), dtype=object)
    for i, j in product(chosen, chosen):
        inverse[i, j] = rows[i][size + j]
    return inverse


def _independent(gram: NDArray[np.int64]) -> list[int]:
    """Return the taps whose patterns are linearly independent and span all the others."""
    chosen: list[int] = []
    for tap in range(len(gram)):
        wider = [*chosen, tap]
        if np.linalg.matrix_rank(gram[np.ix_(wider, wider)]) == len(wider):
            chosen = wider
    return chosen


def _row_blocks(geometry: Geometry, width: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges of rows that together hold about ``BLOCK`` entries of ``width`` a row."""
    rows = geometry.matrix_shape[0]
    step = max(1, BLOCK // max(1, width))
    for start in range(0, rows, step):
        yield start, min(start + step, rows)


def _stored_rows(
    geometry: Geometry, weight: Array, start: int, stop: int
) -> tuple[Array, Index, Index]:
    """Return the convolution's entries as ``(numbers, rows, columns)``, rows counted from start."""
    data, indices, indptr = csr_arrays(geometry, weight, start, stop)
    return data, row_numbers(indptr), indices


def _sparse_convolution(geometry: Geometry, weight: Array) -> csr_array:
    rows, columns = geometry.matrix_shape
    return scipy.sparse.csr_array(csr_arrays(geometry, weight, 0, rows), shape=(rows, columns))


def _square_sum(values: Array) -> float | Fraction:
    if values.dtype == object:
        total: float | Fraction = sum(abs(value) ** 2 for value in values.flat)
        return total
    flat = values.ravel()
    return float(np.vdot(flat, flat).real)


def _difference_norms(matrix: Matrix, weight: Array, geometry: Geometry) -> tuple[float, float]:
    """Return ``|M - W|^2`` and ``|M|^2``."""
    if is_sparse(matrix):
        convolution = _sparse_convolution(geometry, weight)
        return float(_square_sum((matrix - convolution).data)), float(_square_sum(matrix.data))
    if matrix.dtype.kind in "iu":
        matrix = matrix.astype(np.float64)
    total = _square_sum(matrix)
    on_places: float | Fraction = 0
    difference: float | Fraction = 0
    for start, stop in _row_blocks(geometry, math.prod(weight.shape[1:])):
        data, rows, columns = _stored_rows(geometry, weight, start, stop)
        values = matrix[start + rows, columns]
        on_places += _square_sum(values)
        difference += _square_sum(values - data)
    elsewhere = total - on_places
    if matrix.dtype != object and elsewhere < 1e-4 * total:
        elsewhere = _elsewhere(matrix, weight, geometry)  # the subtraction has lost its digits
    return float(difference + elsewhere), float(total)


def _elsewhere(matrix: Array, weight: Array, geometry: Geometry) -> float:
    """Return the square sum of the entries that belong to no tap, summed by themselves."""
    total = 0.0
    for start, stop in _row_blocks(geometry, matrix.shape[1]):
        _, rows, columns = _stored_rows(geometry, weight, start, stop)
        block = matrix[start:stop].copy()
        block[rows, columns] = 0
        total += _square_sum(block)
    return total


def _reads_somewhere(geometry: Geometry) -> NDArray[np.bool_]:
    """Return whether each tap reads any input at all."""
    somewhere: NDArray[np.bool_] = (pattern(geometry) != PADDING).any(axis=0)
    return somewhere


def _alone(geometry: Geometry) -> Index:
    """Return for each tap the first position at which no other reads the same element, or -1."""
    reads = pattern(geometry)
    together = sum((reads == reads[:, [a]]).astype(np.intp) for a in range(reads.shape[1]))
    single = (reads != PADDING) & (together == 1)
    return np.where(single.any(axis=0), single.argmax(axis=0), -1)


def _read_alone(matrix: Matrix, geometry: Geometry, alone: Index) -> Array:
    """Return each weight as it stands where its tap is alone; 0 for a tap that reads nothing."""
    reads = pattern(geometry)
    places = reads[alone, np.arange(len(alone))].clip(0)
    weight = np.zeros((geometry.out_channels, geometry.weight_shape[1], len(alone)), matrix.dtype)
    for u in range(geometry.out_channels):
        columns = _columns_of(geometry, u)[:, None] + places
        values = take(matrix, u * len(reads) + alone.clip(0)[None], columns)
        weight[u] = np.where(alone >= 0, values, 0)
    return weight.reshape(geometry.weight_shape)


def _first_difference(
    matrix: Matrix, weight: Array, geometry: Geometry, tol: float
) -> tuple[int, int] | None:
    """Return the first entry, row by row, that is not within ``tol`` of the convolution's."""
    if is_sparse(matrix):
        convolution = _sparse_convolution(geometry, weight)
        difference = scipy.sparse.coo_array((matrix - convolution).tocsr())
        beyond = np.flatnonzero(~(abs(difference.data) <= tol))
        if not len(beyond):
            return None
        row, column = (axis[beyond[0]] for axis in difference.coords)
        return int(row), int(column)
    for start, stop in _row_blocks(geometry, matrix.shape[1]):
        data, rows, columns = _stored_rows(geometry, weight, start, stop)
        block = matrix[start:stop]
        expected = np.zeros(block.shape, dtype=np.result_type(matrix, weight))
        expected[rows, columns] = data
        differs = block != expected if tol == 0 else ~(abs(block - expected) <= tol)
        found = np.argwhere(differs)
        if len(found):
            return start + int(found[0, 0]), int(found[0, 1])
    return None


def _reason(
    matrix: Matrix, weight: Array, geometry: Geometry, alone: Index, row: int, column: int
) -> str:
    """Return why an entry cannot stand in the matrix of this convolution."""
    reads = pattern(geometry)
    u, position = divmod(row, len(reads))
    channel, element = divmod(column, math.prod(geometry.spatial_shape))
    (value,) = take(matrix, np.array([row]), np.array([column]))
    told = f"entry ({row}, {column}) of matrix is {value}"
    own = channel - int(_columns_of(geometry, u)[0]) // math.prod(geometry.spatial_shape)
    taps = np.flatnonzero(reads[position] == element)
    if not 0 <= own < geometry.weight_shape[1] or not len(taps):
        why = "of another group" if not 0 <= own < geometry.weight_shape[1] else "out of reach"
        return f"{told}, but must be 0: input element {element} of channel {channel} is {why}"
    names = [
        f"weight[{', '.join(map(str, (u, own, *np.unravel_index(tap, geometry.kernel_size))))}]"
        for tap in taps
    ]
    asked = weight.reshape(*weight.shape[:2], -1)[u, own, taps]
    if len(taps) > 1 or alone[taps[0]] < 0:
        return f"{told}, but {' + '.join(names)} is {asked.sum()}"
    where = alone[taps[0]]
    at = (u * len(reads) + where, column - element + reads[where, taps[0]])
    return f"{told}, but {names[0]} is {asked[0]} by entry ({at[0]}, {at[1]})"
