"""Linear operators that describe a matrix without building it, and the stages made of them.

A network is planned before anything is built, so a matrix is first an operator: it knows its shape
and how many numbers its sparse form stores. Then it is built, or applied without being built. A
stage is one layer of the converted network: an affine map, whose matrix consists of operators as
blocks, or a ReLU.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import scipy.sparse

from ..convolution.csr import is_sparse
from ..convolution.geometry import Format, Geometry, index_dtype, matrix_nbytes
from ..convolution.matrix import conv_matrix, conv_operator
from ..convolution.patches import Array, DType
from ..layers import AdaptiveAvgPool, AvgPool, Dense, Layer, ReLU
from ..layers.affine import Weight
from ..layers.base import Number, Shape
from ..layers.pooling import divided, one_channel

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from scipy.sparse.linalg import LinearOperator
#: A matrix that is built: an ndarray of exact objects, otherwise sparse.
Built: TypeAlias = "csr_array | Array"


def is_exact(dtype: DType) -> bool:
    """Return whether numbers are exact objects, whose matrices are ndarrays, not sparse."""
    return dtype.kind == "O"


def as_objects(matrix: Weight) -> Array:
    """Return the matrix as an ndarray of Python's numbers, which neither overflow nor round."""
    dense = matrix.toarray() if is_sparse(matrix) else matrix
    return np.array(dense.tolist(), dtype=object).reshape(dense.shape)


class Operator(ABC):
    """A matrix that is described and not built.

    Attributes
    ----------
    shape : tuple of int
        Outputs and inputs.
    nnz : int
        Numbers that the sparse form stores, known without building it.
    """

    def __init__(self, shape: tuple[int, int], nnz: int) -> None:
        self.shape, self.nnz = shape, nnz

    @abstractmethod
    def to_csr(self, dtype: DType) -> csr_array:
        """Build the sparse matrix; the caller owns its arrays and may change them."""

    def to_objects(self) -> Array:
        """Build the dense matrix of exact objects; here for operators with integer entries."""
        return as_objects(self.to_csr(np.dtype(np.int64)))

    def build(self, dtype: DType) -> Built:
        """Build the matrix in the form that can hold the dtype."""
        return self.to_objects() if is_exact(dtype) else self.to_csr(dtype)

    def sliceable(self, dtype: DType) -> Built:
        """Return something whose rows can be taken, of the dtype or one that becomes it."""
        return self.to_csr(dtype)

    def as_linear_operator(self, dtype: DType) -> LinearOperator:
        """Return something that applies the matrix and its adjoint, and takes little memory."""
        return _applied(self.build(dtype), dtype)


def _applied(matrix: Built, dtype: DType) -> LinearOperator:
    """Return a matrix as a LinearOperator that conjugates vectors, so the matrix is not copied."""
    return _linear_operator(
        matrix.shape, lambda x: matrix @ x, lambda y: (matrix.T @ y.conj()).conj(), dtype
    )


def _linear_operator(
    shape: tuple[int, int],
    apply: Callable[[Array], Array],
    adjoint: Callable[[Array], Array],
    dtype: DType,
) -> LinearOperator:
    """Return a LinearOperator from what it does to the columns of a matrix, and its adjoint."""
    from scipy.sparse.linalg import LinearOperator

    return LinearOperator(
        shape,
        matvec=lambda x: apply(x.reshape(-1, 1))[:, 0],
        rmatvec=lambda y: adjoint(y.reshape(-1, 1))[:, 0],
        matmat=apply,
        rmatmat=adjoint,
        dtype=dtype,
    )


class Identity(Operator):
    """The identity: it carries a block through a stage unchanged."""

    def __init__(self, size: int) -> None:
        super().__init__((size, size), size)

    def to_csr(self, dtype: DType) -> csr_array:
        return _one_in_each_row(np.ones(self.nnz, dtype=dtype), np.arange(self.nnz))


class Diagonal(Operator):
    """A diagonal matrix in which each number stands ``repeats`` times: a scale for each channel."""

    def __init__(self, values: Array, repeats: int) -> None:
        size = len(values) * repeats
        super().__init__((size, size), size)
        self.values, self.repeats = values, repeats

    def to_csr(self, dtype: DType) -> csr_array:
        values = np.repeat(self.values, self.repeats).astype(dtype)
        return _one_in_each_row(values, np.arange(self.nnz))

    def to_objects(self) -> Array:
        return as_objects(np.diag(np.repeat(self.values, self.repeats).astype(object)))


class Selection(Operator):
    """Output i is input ``places[i]`` of so many, or 0 where that is -1."""

    def __init__(self, places: Array, inputs: int) -> None:
        super().__init__((len(places), inputs), int((places >= 0).sum()))
        self.places = places

    def to_csr(self, dtype: DType) -> csr_array:
        read = self.places >= 0
        index = index_dtype(*self.shape, self.nnz)
        indptr = np.zeros(len(read) + 1, dtype=index)
        np.cumsum(read, out=indptr[1:])
        data, indices = np.ones(self.nnz, dtype=dtype), self.places[read].astype(index)
        return scipy.sparse.csr_array((data, indices, indptr), shape=self.shape)


class Joined(Operator):
    """Factors times copies of a block of so many numbers, each from some row on."""

    def __init__(self, size: int, rows: int, copies: Sequence[tuple[Number, int]]) -> None:
        super().__init__((rows, size), size * len(copies))
        self.copies = sorted(copies, key=lambda copy: copy[1])

    def to_csr(self, dtype: DType) -> csr_array:
        rows, size = self.shape
        index = index_dtype(rows, size, self.nnz)
        counts = np.zeros(rows + 1, dtype=index)
        for _, first in self.copies:
            counts[first + 1 : first + size + 1] = 1
        data = np.repeat([factor for factor, _ in self.copies], size).astype(dtype)
        indices = np.tile(np.arange(size, dtype=index), len(self.copies))
        indptr = np.cumsum(counts, dtype=index)
        return scipy.sparse.csr_array((data, indices, indptr), shape=self.shape)

    def to_objects(self) -> Array:
        rows, size = self.shape
        matrix = np.zeros((rows, size), dtype=object)
        for factor, first in self.copies:
            matrix[first + np.arange(size), np.arange(size)] = factor
        return as_objects(matrix)


def _one_in_each_row(values: Array, columns: Array) -> csr_array:
    size = len(values)
    index = index_dtype(size, size, size)
    places = columns.astype(index), np.arange(size + 1, dtype=index)
    return scipy.sparse.csr_array((values, *places), shape=(size, size))


class Matrix(Operator):
    """A matrix that is there already: ndarray, sparse array or LinearOperator.

    An ndarray counts every entry as stored, as a fully connected layer does.
    """

    def __init__(self, matrix: Weight) -> None:
        nnz = matrix.nnz if is_sparse(matrix) else math.prod(matrix.shape)
        super().__init__(matrix.shape, nnz)
        self.matrix = matrix

    def to_csr(self, dtype: DType) -> csr_array:
        if is_sparse(self.matrix):
            return self.matrix.astype(dtype)
        rows, columns = self.shape
        index = index_dtype(rows, columns, self.nnz)
        indices = np.tile(np.arange(columns, dtype=index), rows)
        indptr = np.arange(rows + 1, dtype=index) * columns
        data = self.matrix.astype(dtype).ravel()
        return scipy.sparse.csr_array((data, indices, indptr), shape=self.shape)

    def to_objects(self) -> Array:
        return as_objects(self.matrix)

    def sliceable(self, dtype: DType) -> Built:
        return self.matrix  # as it is: a copy would be as large

    def as_linear_operator(self, dtype: DType) -> LinearOperator:
        from scipy.sparse.linalg import aslinearoperator

        if hasattr(self.matrix, "rmatmat"):
            return aslinearoperator(self.matrix)
        return _applied(self.matrix.astype(dtype), dtype)


class Convolution(Operator):
    """The matrix of a convolution."""

    def __init__(self, weight: Array, geometry: Geometry) -> None:
        super().__init__(geometry.matrix_shape, geometry.nnz)
        self.weight, self.geometry = weight, geometry

    def to_csr(self, dtype: DType) -> csr_array:
        # Without a limit, here and below: the plan has been checked as a whole.
        weight, shape = self.weight.astype(dtype), self.geometry.input_shape
        return conv_matrix(weight, shape, max_bytes=math.inf, **self.geometry.options)

    def to_objects(self) -> Array:
        weight, shape = self.weight.astype(object), self.geometry.input_shape
        options = self.geometry.options
        return conv_matrix(weight, shape, format="dense", max_bytes=math.inf, **options)

    def as_linear_operator(self, dtype: DType) -> LinearOperator:
        shape, options = self.geometry.input_shape, self.geometry.options
        return conv_operator(self.weight.astype(dtype), shape, **options)


class TransposedConvolution(Operator):
    """The matrix of a transposed convolution that reads ``spatial`` positions.

    It is the transpose of a convolution's. With an output_padding of a stride or more, the
    convolution has more positions than that: those that come after are left out.
    """

    def __init__(self, convolution: Convolution, spatial: tuple[int, ...]) -> None:
        geometry = convolution.geometry
        along = zip(geometry.axes, spatial, strict=True)
        reads = math.prod(int(axis.counts()[:count].sum()) for axis, count in along)
        inputs = geometry.out_channels * math.prod(spatial)
        nnz = geometry.out_channels * geometry.weight_shape[1] * reads
        super().__init__((geometry.matrix_shape[1], inputs), nnz)
        self.convolution, self.spatial = convolution, spatial

    def to_csr(self, dtype: DType) -> csr_array:
        matrix = self.convolution.to_csr(dtype)
        return (matrix[self._positions()] if self._leaves_out else matrix).T.tocsr()

    def to_objects(self) -> Array:
        matrix = self.convolution.to_objects()
        return (matrix[self._positions()] if self._leaves_out else matrix).T

    def as_linear_operator(self, dtype: DType) -> LinearOperator:
        from scipy.sparse.linalg import aslinearoperator

        whole, inputs = self.convolution.as_linear_operator(dtype).T, self.shape[1]
        if not self._leaves_out:
            return whole
        ones, places = np.ones(inputs, dtype=dtype), (self._positions(), np.arange(inputs))
        placed = scipy.sparse.csr_array((ones, places), shape=(whole.shape[1], inputs))
        return whole @ aslinearoperator(placed)

    @property
    def _leaves_out(self) -> bool:
        return self.shape[1] < self.convolution.shape[0]

    def _positions(self) -> Array:
        """Return the rows of the convolution that are not left out."""
        geometry = self.convolution.geometry
        every = np.arange(geometry.matrix_shape[0]).reshape(geometry.output_shape)
        rows: Array = every[(slice(None), *(slice(count) for count in self.spatial))].ravel()
        return rows


class Average(Operator):
    """The averages over the windows of one channel."""

    def __init__(self, layer: AvgPool, geometry: Geometry) -> None:
        one = one_channel(geometry)
        super().__init__(one.matrix_shape, one.nnz)
        self.sums = Convolution(np.ones(one.weight_shape, dtype=int), one)
        self.layer, self.geometry = layer, geometry

    def to_csr(self, dtype: DType) -> csr_array:
        matrix = self.sums.to_csr(dtype)
        counts = self.layer.counts(self.geometry).ravel()
        matrix.data /= np.repeat(counts, np.diff(matrix.indptr)).astype(dtype)
        return matrix

    def to_objects(self) -> Array:
        sums = self.sums.to_objects()
        counts = self.layer.counts(self.geometry).reshape(-1, 1)
        return divided(sums, np.broadcast_to(counts, sums.shape))


class AdaptiveAverage(Operator):
    """The averages over the windows of one channel: the Kronecker product of those of each axis."""

    def __init__(self, layer: AdaptiveAvgPool, input_shape: Shape) -> None:
        shape = math.prod(layer.output_shape(input_shape)[1:]), math.prod(input_shape[1:])
        sizes = (ends - begins for begins, ends in layer.bounds(input_shape))
        super().__init__(shape, math.prod(int(size.sum()) for size in sizes))
        self.layer, self.input_shape = layer, input_shape

    def to_csr(self, dtype: DType) -> csr_array:
        product = np.ones((1, 1), dtype=dtype)
        for matrix in self.layer.averages(self.input_shape, dtype):
            product = scipy.sparse.kron(product, scipy.sparse.csr_array(matrix), "csr")
        return product

    def to_objects(self) -> Array:
        return reduce(np.kron, self.layer.averages(self.input_shape, object))


class Kronecker(Operator):
    """The Kronecker product of matrices: one along each axis."""

    def __init__(self, matrices: Sequence[Array]) -> None:
        rows, columns = (math.prod(matrix.shape[i] for matrix in matrices) for i in (0, 1))
        stored = math.prod(int(np.count_nonzero(matrix)) for matrix in matrices)
        super().__init__((rows, columns), stored)
        self.matrices = matrices

    def to_csr(self, dtype: DType) -> csr_array:
        product = np.ones((1, 1), dtype=dtype)
        for matrix in self.matrices:
            one = scipy.sparse.csr_array(matrix.astype(dtype))
            product = scipy.sparse.kron(product, one, "csr")
        return product

    def to_objects(self) -> Array:
        return as_objects(reduce(np.kron, [matrix.astype(object) for matrix in self.matrices]))


class PerChannel(Operator):
    """The same operator in each channel: ``I ⊗ M``, block diagonal."""

    def __init__(self, channels: int, one: Operator) -> None:
        rows, columns = one.shape
        super().__init__((channels * rows, channels * columns), channels * one.nnz)
        self.channels, self.one = channels, one

    def to_csr(self, dtype: DType) -> csr_array:
        diagonal = scipy.sparse.eye_array(self.channels, dtype=dtype)
        return scipy.sparse.kron(diagonal, self.one.to_csr(dtype), "csr")

    def to_objects(self) -> Array:
        diagonal = np.eye(self.channels, dtype=int).astype(object)
        return as_objects(np.kron(diagonal, self.one.to_objects()))

    def as_linear_operator(self, dtype: DType) -> LinearOperator:
        matrix = self.one.build(dtype)
        return _linear_operator(
            self.shape,
            lambda x: self._apply(matrix, x),
            lambda y: self._apply(matrix.T, y.conj()).conj(),
            dtype,
        )

    def _apply(self, matrix: Built, x: Array) -> Array:
        """Return one product for all channels: they become columns."""
        each = x.reshape(self.channels, matrix.shape[1], -1).swapaxes(0, 1)
        y = matrix @ np.ascontiguousarray(each).reshape(matrix.shape[1], -1)
        channels: Array = y.reshape(matrix.shape[0], self.channels, -1).swapaxes(0, 1)
        return channels.reshape(-1, x.shape[-1])


# --- stages -------------------------------------------------------------------------------------


class Term(NamedTuple):
    """A number times an operator on one of the input blocks of a stage."""

    factor: Number
    operator: Operator
    block: int

    def __str__(self) -> str:
        sign = {"1": "", "-1": "-"}.get(str(self.factor), f"{self.factor} ")
        name = "" if isinstance(self.operator, Identity) else f"{type(self.operator).__name__} "
        return f"{sign}{name}b{self.block}"


@dataclass(frozen=True, eq=False)
class BlockRow:
    """Some rows of an affine stage: the sum of a few terms, and a bias.

    Attributes
    ----------
    terms : tuple of Term
        No two of them of the same block.
    bias : ndarray, optional
        A number for each channel, or for each of any equal parts of the rows.
    """

    terms: tuple[Term, ...]
    bias: Array | None = None

    @property
    def size(self) -> int:
        """Number of rows."""
        return self.terms[0].operator.shape[0]

    @property
    def copied_block(self) -> int | None:
        """The block that the rows pass on unchanged, if they do."""
        term, *others = self.terms
        unchanged = isinstance(term.operator, Identity) and term.factor == 1
        return term.block if unchanged and not others and self.bias is None else None

    def to_csr(self, starts: list[int], dtype: DType) -> csr_array:
        """Return the rows over all columns; input block i begins at column ``starts[i]``."""
        shape = self.size, starts[-1]
        shifted = []
        for factor, operator, block in sorted(self.terms, key=lambda term: term.block):
            matrix = operator.to_csr(dtype)
            if factor != 1:
                matrix.data *= dtype.type(factor)
            index = index_dtype(*shape, operator.nnz)
            indices, indptr = (a.astype(index, copy=False) for a in (matrix.indices, matrix.indptr))
            if starts[block]:
                indices += index.type(starts[block])
            shifted.append(scipy.sparse.csr_array((matrix.data, indices, indptr), shape=shape))
        return shifted[0] if len(shifted) == 1 else _interleaved(shifted)

    def __str__(self) -> str:
        text = " + ".join([*map(str, self.terms), *["bias"] * (self.bias is not None)])
        return text.replace("+ -", "- ")


def _interleaved(matrices: list[csr_array]) -> csr_array:
    """Return the sum of matrices with no column in common, stored zeros included."""
    coordinates = [matrix.tocoo() for matrix in matrices]
    rows = np.concatenate([matrix.coords[0] for matrix in coordinates])
    columns = np.concatenate([matrix.coords[1] for matrix in coordinates])
    data = np.concatenate([matrix.data for matrix in coordinates])
    return scipy.sparse.csr_array((data, (rows, columns)), shape=matrices[0].shape)


def _starts(sizes: Iterable[int]) -> list[int]:
    """Return where blocks of these sizes begin, and where the last one ends."""
    return list(accumulate(sizes, initial=0))


class AffineStage(Operator):
    """A Dense layer of the converted network: a matrix of blocks, and a bias.

    Attributes
    ----------
    owner : int
        Position of the layer of the given network that the stage is there for.
    widths : tuple of int
        Sizes of the input blocks.
    rows : tuple of BlockRow
        One for each output block.
    dense : int
        Numbers of the matrix if every entry was stored.
    has_bias : bool
        Whether anything is added to the product.
    """

    def __init__(self, owner: int, widths: tuple[int, ...], rows: tuple[BlockRow, ...]) -> None:
        shape = sum(row.size for row in rows), sum(widths)
        super().__init__(shape, sum(term.operator.nnz for row in rows for term in row.terms))
        self.owner, self.widths, self.rows = owner, widths, rows
        self.dense = math.prod(shape)
        self.has_bias = any(row.bias is not None for row in rows)

    def stored(self, dtype: DType) -> int:
        """Count the stored numbers: all of them for exact objects, which are kept as an ndarray."""
        return self.dense if is_exact(dtype) else self.nnz

    def nbytes(self, dtype: DType, *, dense: bool = False) -> int:
        """Count the bytes of matrix and bias."""
        bias = self.shape[0] * dtype.itemsize if self.has_bias else 0
        form: Format = "dense" if dense or is_exact(dtype) else "csr"
        return matrix_nbytes(*self.shape, self.nnz, dtype, form) + bias

    def layer(self, dtype: DType, *, matrix_free: bool = False) -> Layer:
        """Return the stage as a layer."""
        if not matrix_free:
            return Dense(self.build(dtype), self.bias(dtype))
        weight = self.as_linear_operator(dtype)
        weight.unbuilt = Unbuilt(self, dtype)
        return Dense(weight, self.bias(dtype))

    def bias(self, dtype: DType) -> Array | None:
        """Return what is added to the product, if anything is."""
        if not self.has_bias:
            return None
        biases = []
        for row in self.rows:
            each = np.zeros(1, dtype=dtype) if row.bias is None else row.bias
            biases.append(np.repeat(each, row.size // len(each)))
        return np.concatenate(biases).astype(dtype)

    def to_csr(self, dtype: DType) -> csr_array:
        starts = _starts(self.widths)
        if len(self.rows) == 1:
            return self.rows[0].to_csr(starts, dtype)
        # Allocated once at their final size: stacking the rows would hold every number twice.
        index = index_dtype(*self.shape, self.nnz)
        data, indices = np.empty(self.nnz, dtype=dtype), np.empty(self.nnz, dtype=index)
        indptr = np.zeros(self.shape[0] + 1, dtype=index)
        first = at = 0
        for row in self.rows:
            part = row.to_csr(starts, dtype)
            data[at : at + part.nnz], indices[at : at + part.nnz] = part.data, part.indices
            indptr[first + 1 : first + row.size + 1] = part.indptr[1:] + index.type(at)
            first, at = first + row.size, at + part.nnz
        return scipy.sparse.csr_array((data, indices, indptr), shape=self.shape)

    def dense_rows(self, dtype: DType, numbers: int) -> Iterator[Array]:
        """Yield the matrix dense, some rows at a time: about so many numbers, or one row."""
        starts, step = _starts(self.widths), max(1, numbers // self.shape[1])
        for row in self.rows:
            parts = [(t.factor, t.operator.sliceable(dtype), starts[t.block]) for t in row.terms]
            for begin in range(0, row.size, step):
                block = np.zeros((min(step, row.size - begin), self.shape[1]), dtype=dtype)
                for factor, matrix, start in parts:
                    part = matrix[begin : begin + step]
                    part = part if factor == 1 else part * dtype.type(factor)
                    place = block[:, start : start + part.shape[1]]
                    place[:] = part.toarray() if is_sparse(part) else part
                yield block

    def to_objects(self) -> Array:
        matrix = np.zeros(self.shape, dtype=object)
        for rows, columns, term in self._blocks():
            matrix[rows, columns] = term.factor * term.operator.to_objects()
        return matrix

    def as_linear_operator(self, dtype: DType) -> LinearOperator:
        @cache
        def blocks() -> list[tuple[slice, slice, Number, LinearOperator]]:
            return [
                (rows, columns, term.factor, term.operator.as_linear_operator(dtype))
                for rows, columns, term in self._blocks()
            ]

        def apply(x: Array) -> Array:
            y = np.zeros((self.shape[0], x.shape[1]), dtype=np.result_type(dtype, x))
            for rows, columns, factor, operator in blocks():
                y[rows] += factor * operator.matmat(x[columns])
            return y

        def adjoint(y: Array) -> Array:
            x = np.zeros((self.shape[1], y.shape[1]), dtype=np.result_type(dtype, y))
            for rows, columns, factor, operator in blocks():
                x[columns] += factor * operator.rmatmat(y[rows])
            return x

        return _linear_operator(self.shape, apply, adjoint, dtype)

    def _blocks(self) -> list[tuple[slice, slice, Term]]:
        """Return each term with the rows and the columns that it takes."""
        row, column = _starts(row.size for row in self.rows), _starts(self.widths)
        return [
            (slice(row[i], row[i + 1]), slice(column[t.block], column[t.block + 1]), t)
            for i, block_row in enumerate(self.rows)
            for t in block_row.terms
        ]

    def __str__(self) -> str:
        return " | ".join(map(str, self.rows))


class Unbuilt(NamedTuple):
    """How to build the weight of a layer that only applies it, to write it to a file for example.

    The LinearOperators of ``to_mlp(net, matrix_free=True)`` have one as ``.unbuilt``.
    """

    stage: AffineStage
    dtype: DType

    @property
    def nnz(self) -> int:
        """Numbers that the sparse form stores."""
        return self.stage.nnz

    def to_csr(self) -> csr_array:
        """Build the sparse matrix."""
        return self.stage.to_csr(self.dtype)

    def dense_rows(self, numbers: int) -> Iterator[Array]:
        """Yield the dense matrix, some rows at a time."""
        return self.stage.dense_rows(self.dtype, numbers)


@dataclass(frozen=True)
class ReLUStage:
    """A ReLU layer of the converted network: it stores nothing.

    Attributes
    ----------
    owner : int
        Position of the layer of the given network that the stage is there for.
    """

    owner: int
    dense = 0

    def stored(self, dtype: DType) -> int:
        """Count the numbers that are stored."""
        return 0

    def nbytes(self, dtype: DType, *, dense: bool = False) -> int:
        """Count the bytes of what is stored."""
        return 0

    def layer(self, dtype: DType, *, matrix_free: bool = False) -> Layer:
        """Return the stage as a layer."""
        return ReLU()

    def __str__(self) -> str:
        return "relu"


Stage: TypeAlias = AffineStage | ReLUStage
