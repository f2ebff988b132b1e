"""The matrix of a convolution as CSR arrays, each written once and in place.

Rows are cut into boxes of output elements, boxes into regions in which every output reads alike.
In the arrays a region is one strided view, so that filling it is a single copy by NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import accumulate, product
from typing import TypeAlias, TypeGuard

import numpy as np
from scipy.sparse import csr_array, issparse

from .axis import Index, Run
from .geometry import Geometry, index_dtype
from .patches import Array

#: A box of output elements: one range for each of (groups, channels of a group, *spatial).
Box: TypeAlias = tuple[range, ...]

#: One run for each spatial axis, with its offset among the stored numbers of its axis and their
#: total.
Region: TypeAlias = tuple[tuple[Run, int, int], ...]


def csr_arrays(
    geometry: Geometry, weight: Array, start: int, stop: int
) -> tuple[Array, Index, Index]:
    """Return ``(data, indices, indptr)``, written in place: nothing else of their size is made."""
    nnz = stored_count(geometry, start, stop)
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


def is_sparse(matrix: object) -> TypeGuard[csr_array]:
    """Return whether a matrix is one of scipy.sparse."""
    return bool(issparse(matrix))


def row_numbers(indptr: Index) -> Index:
    """Return the row of each stored number, counted from the first row."""
    return np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))


def stored_count(geometry: Geometry, start: int, stop: int) -> int:
    """Count the stored numbers of the rows ``start`` to ``stop``."""
    total = 0
    for box in _boxes(_split_output(geometry), start, stop):
        along = (sum(run.stored for run in runs) for runs in _runs_within(geometry, box))
        total += len(box[0]) * len(box[1]) * geometry.weight_shape[1] * math.prod(along)
    return total


def _split_output(geometry: Geometry) -> tuple[int, ...]:
    """Return the output elements by group, channel within the group, and position."""
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
    """Return the runs of each axis, cut to the box."""
    return [
        axis.runs_within(part.start, part.stop)
        for axis, part in zip(geometry.axes, box[2:], strict=True)
    ]


def _row_ends(geometry: Geometry, box: Box, start: int, into: Index) -> None:
    """Return the part of ``indptr`` for the rows of the box, whose numbers begin at ``start``."""
    lengths = np.array([geometry.weight_shape[1]])
    for axis, part in zip(geometry.axes, box[2:], strict=True):
        lengths = np.outer(lengths, axis.counts()[part.start : part.stop]).ravel()
    one_channel = np.cumsum(lengths)  # and every other channel has rows of the same lengths
    starts = start + one_channel[-1] * np.arange(len(into) // len(lengths))
    np.add(starts[:, None], one_channel, out=into.reshape(-1, len(lengths)), casting="same_kind")


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
    """Count the columns between the inputs of one group and those of the next."""
    return geometry.weight_shape[1] * math.prod(geometry.spatial_shape)


def _regions(runs: list[list[Run]]) -> Iterator[Region]:
    """Yield products of one run per axis, each with its offset in its axis and the axis' total."""
    located = []
    for along in runs:
        ends = list(accumulate((run.stored for run in along), initial=0))
        located.append([(run, at, ends[-1]) for run, at in zip(along, ends, strict=False)])
    return product(*located)


def _view(rows: Array, region: Region) -> Array:
    """Return the stored places of a region: axes (..., *positions, numbers of a row).

    Rows are stored one after the other, so axis by axis the region is one stretch of the last
    axis, and within that stretch every position has the same length.
    """
    for run, offset, total in region:
        unit = rows.shape[-1] // total
        stretch = rows[..., offset * unit : (offset + run.stored) * unit]
        rows = stretch.reshape(*rows.shape[:-1], run.stop - run.start, len(run.elements) * unit)
    return rows


def _tap_values(weight: Array, region: Region) -> Array:
    """Return the weights in the order of their elements, summed where taps meet one element."""
    for number, (run, _, _) in enumerate(region, start=3):
        weight = weight.take(run.taps, axis=number)
        if len(run.begins) < len(run.taps):
            weight = np.add.reduceat(weight, run.begins, axis=number, dtype=weight.dtype)
    return weight


def _write_columns(geometry: Geometry, group: int, region: Region, into: Index) -> None:
    """Write the column of each element read: its flat index over (channel, *spatial).

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
