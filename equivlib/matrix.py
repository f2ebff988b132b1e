"""The matrix of a convolution: built at once, by blocks of rows, or only applied."""

from __future__ import annotations

import math
import numbers
import sys
from collections.abc import Iterator, Sequence
from itertools import accumulate, product
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike

from .axis import Index, Run
from .functional import backward, forward
from .geometry import FORMATS, Format, Geometry, check_format, index_dtype, matrix_nbytes
from .patches import Array, as_array

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator

#: What ``conv_matrix`` may take unless told otherwise: 4 GiB.
MAX_BYTES = 4 * 2**30

#: Stored numbers that are spread over a dense matrix at a time, to bound the scratch memory.
DENSE_BLOCK = 2**20

#: A box of output elements: one range for each of (groups, channels of a group, *spatial).
Box: TypeAlias = tuple[range, ...]

#: One run for each spatial axis, with its offset among the stored numbers of its axis and their
#: total.
Region: TypeAlias = tuple[tuple[Run, int, int], ...]


class MatrixTooLarge(ValueError):
    """The matrix would take more memory than ``max_bytes``; nothing was allocated."""


def conv_matrix(
    weight: ArrayLike,
    input_shape: Sequence[int],
    *,
    format: Format = "csr",
    max_bytes: int = MAX_BYTES,
    rows: slice | None = None,
    **options: Any,
) -> Any:
    r"""The matrix W with ``W @ x.ravel() == conv(x, weight).ravel()`` for every ``x``.

    .. math:: W[(u, o), (c, j)] = \sum_a w[u, c, a] \; \delta(j, \, s\,o + d\,a - p)

    Rows and columns count outputs and inputs row-major over (channels, \*spatial).

    Parameters
    ----------
    weight : array_like, shape ``(out_channels, in_channels // groups, *kernel)``
        Numbers, or exact objects: fractions and sympy expressions.
    input_shape : tuple of int
        ``(in_channels, *spatial)``, without batch.
    format : {"csr", "dense"}
    max_bytes : int, default 4 GiB
        Refuse to build anything larger.
    rows : slice, optional
        Build only these rows, as ``W[rows]``, at the cost of these rows.
    **options
        ``stride``, ``padding``, ``dilation``, ``groups``, ``padding_mode``, ``flip`` as in
        :class:`~equivlib.Geometry`.

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
        Names the argument, its value and the rule it breaks.

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
    _check_size(shape, _count(geometry, start, stop), weight, format, max_bytes)
    if sympy is not None:
        return _sympy_matrix(sympy, _csr_arrays(geometry, weight, start, stop), shape, format)
    if format == "dense":
        return _dense(geometry, weight, start, stop)
    matrix = scipy.sparse.csr_array(_csr_arrays(geometry, weight, start, stop), shape=shape)
    matrix.has_sorted_indices = True  # known by construction; spares scipy a pass over it
    matrix.has_canonical_format = True
    return matrix


def tap_matrix(
    tap: Sequence[int], weight_shape: Sequence[int], input_shape: Sequence[int], **options: Any
) -> Any:
    r"""The matrix :math:`E_t` of one tap: where the weight ``weight[tap]`` stands in W.

    .. math:: W = \sum_t w_t E_t

    Parameters
    ----------
    tap : tuple of int
        Index into the weight: ``(out_channel, in_channel, *position)``.
    weight_shape, input_shape, **options
        As in :class:`~equivlib.Geometry`.

    Returns
    -------
    scipy.sparse.csr_array
        1 where the weight stands, 2 or more where mirrored padding adds it up, nothing elsewhere.

    Raises
    ------
    ValueError
        Names the argument, its value and the rule it breaks.

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
    shape = tuple(weight_shape)
    if len(tap) != len(shape) or not all(0 <= t < n for t, n in zip(tap, shape, strict=True)):
        raise ValueError(f"tap (={tap!r}) must be an index into weight_shape (={shape})")
    one_hot = np.zeros(shape, dtype=np.int64)
    one_hot[tuple(tap)] = 1
    matrix = conv_matrix(one_hot, input_shape, **options)
    matrix.eliminate_zeros()
    return matrix


def conv_operator(weight: ArrayLike, input_shape: Sequence[int], **options: Any) -> LinearOperator:
    r"""The map of :func:`conv_matrix` as a linear operator: applied, never built.

    Parameters
    ----------
    weight, input_shape, **options
        As for :func:`conv_matrix`.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator
        ``matvec`` and ``matmat`` convolve; ``rmatvec`` and ``rmatmat`` apply the conjugate
        transpose. dtype of ``weight``.

    Raises
    ------
    ValueError
        Names the argument, its value and the rule it breaks.

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

    Its adjoint is scipy's correlation with the kernel reversed, zeros around:

    >>> operator.rmatvec(np.array([10, 1])) == np.convolve([10, 1], [1, 2])
    array([ True,  True,  True])
    """
    from scipy.sparse.linalg import LinearOperator  # here: it would double the time of the import

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
    shape: tuple[int, int], nnz: int, weight: Array, format: Format, max_bytes: Any
) -> None:
    number = isinstance(max_bytes, numbers.Real) and not isinstance(max_bytes, bool)
    if not number or not max_bytes > 0:
        raise ValueError(f"max_bytes (={max_bytes!r}) must be a positive number of bytes")
    size = {name: matrix_nbytes(*shape, nnz, weight.dtype, name) for name in FORMATS}
    if size[format] > max_bytes:
        raise MatrixTooLarge(
            f"the matrix of shape {shape} would take {_readable(size['csr'])} as csr and "
            f"{_readable(size['dense'])} dense; format (={format!r}) is over max_bytes "
            f"(={max_bytes}); rows= builds a part of it, conv_operator applies it unbuilt"
        )


def _readable(size: int) -> str:
    """A number of bytes in decimal units, as disks and networks count."""
    value, unit = float(size), "bytes"
    for larger in ("kB", "MB", "GB", "TB", "PB", "EB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:.0f} {unit}"


def _split_output(geometry: Geometry) -> tuple[int, ...]:
    """Output elements by group, channel within the group, and position."""
    per_group = geometry.out_channels // geometry.groups
    return geometry.groups, per_group, *geometry.output_shape[1:]


def _boxes(shape: tuple[int, ...], start: int, stop: int) -> Iterator[Box]:
    """Cut the elements ``start`` to ``stop`` of a row-major array into boxes, in order.

    All of an array is one box. Otherwise there is at most a ragged first and last slice of the
    first axis, cut in the same way, and a box of whole slices between.
    """
    if start >= stop:
        return
    if stop - start == math.prod(shape):
        yield tuple(range(n) for n in shape)
        return
    inner = math.prod(shape[1:])
    first, head = divmod(start, inner)
    last, tail = divmod(stop, inner)
    if first == last:
        yield from _slice_boxes(shape, first, head, tail)
        return
    if head:
        yield from _slice_boxes(shape, first, head, inner)
        first += 1
    if first < last:
        yield (range(first, last), *(range(n) for n in shape[1:]))
    if tail:
        yield from _slice_boxes(shape, last, 0, tail)


def _slice_boxes(shape: tuple[int, ...], at: int, start: int, stop: int) -> Iterator[Box]:
    for box in _boxes(shape[1:], start, stop):
        yield (range(at, at + 1), *box)


def _runs_within(geometry: Geometry, box: Box) -> list[list[Run]]:
    """The runs of each axis, cut to the box."""
    return [
        axis.runs_within(part.start, part.stop)
        for axis, part in zip(geometry.axes, box[2:], strict=True)
    ]


def _count(geometry: Geometry, start: int, stop: int) -> int:
    """Stored numbers of the rows ``start`` to ``stop``."""
    total = 0
    for box in _boxes(_split_output(geometry), start, stop):
        along = (sum(run.stored for run in runs) for runs in _runs_within(geometry, box))
        total += len(box[0]) * len(box[1]) * geometry.weight_shape[1] * math.prod(along)
    return total


def _row_ends(geometry: Geometry, box: Box, start: int, into: Index) -> None:
    """Where each row of the box ends, if its numbers begin at ``start``: its part of ``indptr``."""
    lengths = np.array([geometry.weight_shape[1]])
    for axis, part in zip(geometry.axes, box[2:], strict=True):
        lengths = np.outer(lengths, axis.counts()[part.start : part.stop]).ravel()
    one_channel = np.cumsum(lengths)  # and every other channel has rows of the same lengths
    starts = start + one_channel[-1] * np.arange(len(into) // len(lengths))
    np.add(starts[:, None], one_channel, out=into.reshape(-1, len(lengths)), casting="same_kind")


def _csr_arrays(
    geometry: Geometry, weight: Array, start: int, stop: int
) -> tuple[Array, Index, Index]:
    """``(data, indices, indptr)``, written in place: nothing else of their size is ever made."""
    nnz = _count(geometry, start, stop)
    dtype = index_dtype(stop - start, geometry.matrix_shape[1], nnz)
    data = np.empty(nnz, dtype=weight.dtype)
    indices = np.empty(nnz, dtype=dtype)
    indptr = np.zeros(stop - start + 1, dtype=dtype)
    weight = weight.reshape(geometry.groups, -1, *weight.shape[1:])
    row = 0
    for box in _boxes(_split_output(geometry), start, stop):
        after = row + math.prod(len(part) for part in box)
        _row_ends(geometry, box, int(indptr[row]), indptr[row + 1 : after + 1])
        part = slice(indptr[row], indptr[after])
        if part.start < part.stop:
            _fill_box(geometry, box, weight, data[part], indices[part])
        row = after
    return data, indices, indptr


def _fill_box(geometry: Geometry, box: Box, weight: Array, data: Array, indices: Index) -> None:
    """Write the numbers and the column indices of a box of rows."""
    groups, channels = box[:2]
    weight = weight[groups.start : groups.stop, channels.start : channels.stop]
    data = data.reshape(len(groups), len(channels), -1)
    indices = indices.reshape(data.shape)
    for region in _regions(_runs_within(geometry, box)):
        if not all(run.stored for run, _, _ in region):
            continue  # these positions read padding alone
        values = _tap_values(weight, region)
        once = (1,) * geometry.ndim  # the same numbers at every position
        _view(data, region)[...] = values.reshape(*values.shape[:2], *once, -1)
        # Every output channel of every group reads alike: find out once, then copy.
        _write_columns(geometry, groups.start, region, _view(indices[0, 0], region))
    indices[0, 1:] = indices[0, 0]
    offsets = _group_offset(geometry) * np.arange(1, len(groups), dtype=indices.dtype)
    np.add(indices[0], offsets[:, None, None], out=indices[1:])


def _group_offset(geometry: Geometry) -> int:
    """Columns between the inputs of one group and those of the next."""
    return geometry.weight_shape[1] * math.prod(geometry.spatial_shape)


def _regions(runs: list[list[Run]]) -> Iterator[Region]:
    """Products of one run per axis, each run with its offset in its axis and the axis' total."""
    located = []
    for along in runs:
        ends = list(accumulate((run.stored for run in along), initial=0))
        located.append([(run, at, ends[-1]) for run, at in zip(along, ends, strict=False)])
    return product(*located)


def _view(rows: Array, region: Region) -> Array:
    """The stored places of a region: axes (..., *positions, numbers of a row).

    Rows are stored one after the other, so axis by axis the region is one stretch of the last
    axis, and within that stretch every position has the same length.
    """
    for run, offset, total in region:
        unit = rows.shape[-1] // total
        stretch = rows[..., offset * unit : (offset + run.stored) * unit]
        rows = stretch.reshape(*rows.shape[:-1], run.stop - run.start, len(run.elements) * unit)
    return rows


def _tap_values(weight: Array, region: Region) -> Array:
    """The weights in the order of the elements they meet; taps that meet one element are summed."""
    for number, (run, _, _) in enumerate(region, start=3):
        weight = weight.take(run.taps, axis=number)
        if len(run.begins) < len(run.taps):
            weight = np.add.reduceat(weight, run.begins, axis=number, dtype=weight.dtype)
    return weight


def _write_columns(geometry: Geometry, group: int, region: Region, into: Index) -> None:
    """Column indices of a region: flat index over (channel, *spatial) of each element read.

    An index is a part that grows with the position plus a part for the element among those read,
    so the sum of two small arrays.
    """
    dtype, ndim, sizes = into.dtype, geometry.ndim, geometry.spatial_shape
    first = group * _group_offset(geometry)
    channels = first + math.prod(sizes) * np.arange(geometry.weight_shape[1], dtype=dtype)
    at_position = np.zeros((1,) * ndim, dtype=dtype)
    among_read = channels.reshape(-1, *(1,) * ndim)
    for number, (run, _, _) in enumerate(region):
        step = math.prod(sizes[number + 1 :])
        after = (1,) * (ndim - 1 - number)
        moved = geometry.stride[number] * np.arange(run.stop - run.start, dtype=dtype)
        at_position = at_position + (moved * step).reshape(-1, *after)
        among_read = among_read + (run.elements.astype(dtype) * step).reshape(-1, *after)
    np.add(at_position[..., None], among_read.ravel(), out=into)


def _dense(geometry: Geometry, weight: Array, start: int, stop: int) -> Array:
    dense = np.zeros((stop - start, geometry.matrix_shape[1]), dtype=weight.dtype)
    longest_row = max(1, math.prod(weight.shape[1:]))
    step = max(1, DENSE_BLOCK // longest_row)
    for low in range(start, stop, step):
        data, indices, indptr = _csr_arrays(geometry, weight, low, min(low + step, stop))
        rows = np.repeat(np.arange(low - start, low - start + len(indptr) - 1), np.diff(indptr))
        dense[rows, indices] = data
    return dense


def _sympy_of(weight: Array) -> ModuleType | None:
    """sympy, if the weight holds its expressions: whoever made them has imported it."""
    sympy = sys.modules.get("sympy")
    if sympy is None or weight.dtype != object:
        return None
    return sympy if any(isinstance(entry, sympy.Basic) for entry in weight.flat) else None


def _sympy_matrix(
    sympy: ModuleType, arrays: tuple[Array, Index, Index], shape: tuple[int, int], format: Format
) -> Any:
    data, indices, indptr = arrays
    rows = np.repeat(np.arange(shape[0]), np.diff(indptr))
    places = zip(rows.tolist(), indices.tolist(), strict=True)
    matrix = sympy.SparseMatrix(*shape, dict(zip(places, data, strict=True)))
    return matrix if format == "csr" else sympy.Matrix(matrix)
