"""Matrices that are not built yet, and the blocks of them that make a fully connected layer.

A converted network is planned before it is built, so each matrix is first only what it would be:
its shape and how many numbers it would store. Then it is built, or applied without being built.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import scipy.sparse

from ..convolution.csr import is_sparse
from ..convolution.geometry import Format, Geometry, index_dtype, matrix_nbytes
from ..convolution.matrix import conv_matrix, conv_operator
from ..convolution.patches import Array, DType
from ..layers.affine import Weight
from ..layers.base import Number

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from scipy.sparse.linalg import LinearOperator

#: A matrix that is built: an ndarray of exact objects, otherwise sparse.
Built: TypeAlias = "csr_array | Array"


def is_exact(dtype: DType) -> bool:
    """Whether numbers are exact objects, whose matrices are ndarrays: scipy.sparse has none."""
    return dtype.kind == "O"


@dataclass(frozen=True)
class Map:
    """A matrix by its shape, its stored numbers, and how it is made.

    Attributes
    ----------
    shape : tuple of int
    nnz : int
        Numbers that its sparse form stores.
    build : callable
        From a dtype to a csr_array, or to an ndarray for exact objects.
    operator : callable
        From a dtype to something with ``@`` and ``.T`` that takes little memory.
    is_identity : bool
    """

    shape: tuple[int, int]
    nnz: int
    build: Callable[[DType], Built]
    operator: Callable[[DType], Weight]
    is_identity: bool = False


def identity(size: int) -> Map:
    """The map that carries a block through a layer unchanged."""

    def build(dtype: DType) -> Built:
        return _diagonal_matrix(np.ones(size, dtype=np.int8), dtype)

    return Map((size, size), size, build, build, is_identity=True)


def diagonal(values: Array, places: int) -> Map:
    """Each channel, of so many places, times a number of its own."""
    size = len(values) * places

    def build(dtype: DType) -> Built:
        return _diagonal_matrix(np.repeat(values, places), dtype)

    return Map((size, size), size, build, build)


def permutation(order: Array) -> Map:
    """Element ``order[i]`` at place i."""
    size = len(order)

    def build(dtype: DType) -> Built:
        if is_exact(dtype):
            return _as_objects(np.eye(size, dtype=int)[order])
        index = index_dtype(size, size, size)
        places = order.astype(index), np.arange(size + 1, dtype=index)
        ones = np.ones(size, dtype=dtype)
        return scipy.sparse.csr_array((ones, *places), shape=(size, size))

    return Map((size, size), size, build, build)


def _diagonal_matrix(values: Array, dtype: DType) -> Built:
    if is_exact(dtype):
        return _as_objects(np.diag(values.astype(object)))
    size = len(values)
    index = index_dtype(size, size, size)
    places = np.arange(size, dtype=index), np.arange(size + 1, dtype=index)
    return scipy.sparse.csr_array((values.astype(dtype), *places), shape=(size, size))


def _as_objects(matrix: Built) -> Array:
    dense = matrix.toarray() if is_sparse(matrix) else matrix
    # Python's integers, not those of numpy, which overflow and do not become fractions.
    return np.array(dense.tolist(), dtype=object).reshape(dense.shape)


def convolution(weight: Array, geometry: Geometry) -> Map:
    """The matrix of a convolution."""
    return Map(
        geometry.matrix_shape,
        geometry.nnz,
        lambda dtype: _built(weight, geometry, dtype),
        lambda dtype: conv_operator(weight.astype(dtype), geometry.input_shape, **geometry.options),
    )


def transposed_convolution(weight: Array, geometry: Geometry, spatial: tuple[int, ...]) -> Map:
    """The matrix of a transposed convolution of ``spatial`` positions.

    With an output_padding of a stride or more, the convolution has more positions than that: those
    that come after are left out.
    """
    along = zip(geometry.axes, spatial, strict=True)
    reads = math.prod(int(axis.counts()[:count].sum()) for axis, count in along)
    nnz = geometry.out_channels * geometry.weight_shape[1] * reads
    inputs = geometry.out_channels * math.prod(spatial)

    def kept() -> Array:
        every = np.arange(geometry.matrix_shape[0]).reshape(geometry.output_shape)
        return every[(slice(None), *(slice(count) for count in spatial))].ravel()

    def build(dtype: DType) -> Built:
        matrix = _built(weight, geometry, dtype)
        matrix = matrix if inputs == matrix.shape[0] else matrix[kept()]
        return matrix.T.tocsr() if is_sparse(matrix) else matrix.T

    def operator(dtype: DType) -> Weight:
        from scipy.sparse.linalg import aslinearoperator

        whole = conv_operator(weight.astype(dtype), geometry.input_shape, **geometry.options).T
        if inputs == whole.shape[1]:
            return whole
        places = kept(), np.arange(inputs)
        placed = scipy.sparse.csr_array(
            (np.ones(inputs, dtype=dtype), places), shape=(whole.shape[1], inputs)
        )
        return whole @ aslinearoperator(placed)

    return Map((geometry.matrix_shape[1], inputs), nnz, build, operator)


def _built(weight: Array, geometry: Geometry, dtype: DType) -> Built:
    return conv_matrix(
        weight.astype(dtype),
        geometry.input_shape,
        format="dense" if is_exact(dtype) else "csr",
        max_bytes=math.inf,  # the plan has been checked as a whole
        **geometry.options,
    )


def fully_connected(weight: Weight) -> Map:
    """The weight of a layer that is fully connected already: every entry counts as stored."""
    units, features = weight.shape

    def build(dtype: DType) -> Built:
        if is_exact(dtype):
            return _as_objects(weight)
        if is_sparse(weight):
            return weight.astype(dtype)
        index = index_dtype(units, features, units * features)
        indices = np.tile(np.arange(features, dtype=index), units)
        ends = np.arange(units + 1, dtype=index) * features
        return scipy.sparse.csr_array(
            (weight.astype(dtype).ravel(), indices, ends), shape=weight.shape
        )

    def operator(dtype: DType) -> Weight:
        return weight if hasattr(weight, "rmatmat") else weight.astype(dtype)

    return Map(weight.shape, weight.nnz if is_sparse(weight) else units * features, build, operator)


def per_channel(
    channels: int, shape: tuple[int, int], nnz: int, make: Callable[[DType], Built]
) -> Map:
    """The same matrix in each channel: ``I ⊗ M``, where ``make`` gives M."""

    def build(dtype: DType) -> Built:
        matrix = make(dtype)
        if is_exact(dtype):
            return _as_objects(np.kron(np.eye(channels, dtype=int).astype(object), matrix))
        return scipy.sparse.kron(scipy.sparse.eye_array(channels, dtype=dtype), matrix, "csr")

    def operator(dtype: DType) -> Weight:
        from scipy.sparse.linalg import LinearOperator

        matrix = make(dtype)

        def apply(one: Built, x: Array) -> Array:
            each = x.reshape(channels, one.shape[1], -1).swapaxes(0, 1)
            y = one @ np.ascontiguousarray(each).reshape(one.shape[1], -1)
            parts: Array = y.reshape(one.shape[0], channels, -1).swapaxes(0, 1)
            return parts.reshape(-1, x.shape[-1])

        return LinearOperator(
            (channels * shape[0], channels * shape[1]),
            matvec=lambda x: apply(matrix, x.reshape(-1, 1))[:, 0],
            rmatvec=lambda y: apply(matrix.T.conj(), y.reshape(-1, 1))[:, 0],
            matmat=lambda x: apply(matrix, x),
            rmatmat=lambda y: apply(matrix.T.conj(), y),
            dtype=dtype,
        )

    return Map((channels * shape[0], channels * shape[1]), channels * nnz, build, operator)


@dataclass(frozen=True)
class Part:
    """Some rows of a layer: the sum of numbers times maps of input blocks, and a bias.

    Attributes
    ----------
    terms : tuple of (number, Map, int)
        The int is the input block.
    bias : ndarray, optional
        A number for each channel, or for each of any equal parts of the rows.
    """

    terms: tuple[tuple[Number, Map, int], ...]
    bias: Array | None = None

    @property
    def size(self) -> int:
        """Number of rows."""
        return self.terms[0][1].shape[0]

    @property
    def carried(self) -> int | None:
        """The block that it passes on unchanged, if it does."""
        factor, of, block = self.terms[0]
        unchanged = len(self.terms) == 1 and self.bias is None and of.is_identity and factor == 1
        return block if unchanged else None


@dataclass
class Stage:
    """One layer of the converted network: a ReLU, or the rows of a Dense layer.

    Attributes
    ----------
    owner : int
        Position of the layer of the given network that it is there for.
    widths : tuple of int
        Sizes of the input blocks.
    parts : list of Part, optional
        None for a ReLU.
    """

    owner: int
    widths: tuple[int, ...]
    parts: list[Part] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Outputs and inputs."""
        rows = sum(self.widths) if self.parts is None else sum(part.size for part in self.parts)
        return rows, sum(self.widths)

    @property
    def nnz(self) -> int:
        """Numbers that the sparse matrix stores."""
        return sum(of.nnz for part in self.parts or [] for _, of, _ in part.terms)

    @property
    def has_bias(self) -> bool:
        """Whether anything is added to the product."""
        return any(part.bias is not None for part in self.parts or [])

    def stored(self, dtype: DType) -> int:
        """Numbers that are stored: all of them for exact objects, which are kept as an ndarray."""
        return math.prod(self.shape) if self.parts and is_exact(dtype) else self.nnz

    def nbytes(self, dtype: DType, *, dense: bool = False) -> int:
        """Bytes of matrix and bias."""
        if self.parts is None:
            return 0
        bias = self.shape[0] * dtype.itemsize if self.has_bias else 0
        form: Format = "dense" if dense or is_exact(dtype) else "csr"
        return matrix_nbytes(*self.shape, self.nnz, dtype, form) + bias

    def bias(self, dtype: DType) -> Array | None:
        """What is added to the product, if anything is."""
        if not self.has_bias or self.parts is None:
            return None
        rows = []
        for part in self.parts:
            each = np.zeros(1, dtype=dtype) if part.bias is None else part.bias
            rows.append(np.repeat(each, part.size // len(each)))
        return np.concatenate(rows).astype(dtype)

    def matrix(self, dtype: DType) -> Built:
        """The matrix as csr_array, or as ndarray for exact objects."""
        assert self.parts is not None
        starts = np.concatenate([[0], np.cumsum(self.widths)])
        if is_exact(dtype):
            dense = np.zeros(self.shape, dtype=object)
            row = 0
            for part in self.parts:
                for factor, of, block in part.terms:
                    columns = slice(starts[block], starts[block + 1])
                    dense[row : row + part.size, columns] = factor * of.build(dtype)
                row += part.size
            return dense
        if len(self.parts) == 1:
            return _csr_rows(self.parts[0], starts, self.shape[1], dtype)
        index = index_dtype(*self.shape, self.nnz)
        data, indices = np.empty(self.nnz, dtype=dtype), np.empty(self.nnz, dtype=index)
        indptr = np.zeros(self.shape[0] + 1, dtype=index)
        row = at = 0
        for part in self.parts:
            rows = _csr_rows(part, starts, self.shape[1], dtype)
            data[at : at + rows.nnz], indices[at : at + rows.nnz] = rows.data, rows.indices
            indptr[row + 1 : row + part.size + 1] = rows.indptr[1:] + index.type(at)
            row, at = row + part.size, at + rows.nnz
        return scipy.sparse.csr_array((data, indices, indptr), shape=self.shape)

    def operator(self, dtype: DType) -> LinearOperator:
        """The matrix as a LinearOperator: applied block by block, never built."""
        from scipy.sparse.linalg import LinearOperator

        parts = self.parts or []
        column = np.concatenate([[0], np.cumsum(self.widths)])
        row = np.concatenate([[0], np.cumsum([part.size for part in parts])])
        terms = [
            (slice(row[i], row[i + 1]), slice(column[block], column[block + 1]), factor, A)
            for i, part in enumerate(parts)
            for factor, of, block in part.terms
            for A in [of.operator(dtype)]
        ]

        def apply(x: Array) -> Array:
            y = np.zeros((self.shape[0], x.shape[1]), dtype=np.result_type(dtype, x))
            for rows, columns, factor, A in terms:
                y[rows] += factor * (A @ x[columns])
            return y

        def adjoint(y: Array) -> Array:
            x = np.zeros((self.shape[1], y.shape[1]), dtype=np.result_type(dtype, y))
            for rows, columns, factor, A in terms:
                x[columns] += (factor * (A.T @ y[rows].conj())).conj()
            return x

        return LinearOperator(
            self.shape,
            matvec=lambda x: apply(x.reshape(-1, 1))[:, 0],
            rmatvec=lambda y: adjoint(y.reshape(-1, 1))[:, 0],
            matmat=apply,
            rmatmat=adjoint,
            dtype=dtype,
        )


def _csr_rows(part: Part, starts: Sequence[int] | Array, columns: int, dtype: DType) -> csr_array:
    """The rows of a part over all columns."""
    shifted = []
    for factor, of, block in sorted(part.terms, key=lambda term: term[2]):
        matrix = of.build(dtype)  # made for this alone, so it may be changed
        assert is_sparse(matrix)
        if factor != 1:
            matrix.data *= dtype.type(factor)
        index = index_dtype(part.size, columns, of.nnz)
        indices, indptr = (a.astype(index, copy=False) for a in (matrix.indices, matrix.indptr))
        if starts[block]:
            indices += index.type(starts[block])
        shape = (part.size, columns)
        shifted.append(scipy.sparse.csr_array((matrix.data, indices, indptr), shape=shape))
    return shifted[0] if len(shifted) == 1 else _interleaved(shifted)


def _interleaved(matrices: list[csr_array]) -> csr_array:
    """The sum of matrices with no column in common, stored zeros included."""
    coordinates = [matrix.tocoo() for matrix in matrices]
    rows = np.concatenate([matrix.coords[0] for matrix in coordinates])
    columns = np.concatenate([matrix.coords[1] for matrix in coordinates])
    data = np.concatenate([matrix.data for matrix in coordinates])
    return scipy.sparse.csr_array((data, (rows, columns)), shape=matrices[0].shape)
