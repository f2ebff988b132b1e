"""The chain of Dense and ReLU that a network becomes, as a plan: sizes known, nothing built.

The plan follows the values of the network through the chain. What a layer reads later is carried
beside what is computed now, as a block of its own. Every kind of layer has one rule, below.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import scipy.sparse

from ..convolution.csr import is_sparse
from ..convolution.geometry import Geometry, index_dtype
from ..convolution.matrix import MatrixTooLarge, readable
from ..convolution.patches import Array, DType
from ..convolution.pattern import pattern
from ..layers import (
    AdaptiveAvgPool,
    Add,
    AvgPool,
    BatchNorm,
    Conv,
    ConvTranspose,
    Dense,
    Flatten,
    Layer,
    LeakyReLU,
    MaxPool,
    Network,
    Rearrange,
    ReLU,
    ReLU6,
    Sigmoid,
    Softmax,
    Tanh,
)
from ..layers.affine import Weight
from ..layers.base import Number
from ..layers.pooling import divided, one_channel
from .operators import (
    Built,
    Map,
    Part,
    Stage,
    convolution,
    diagonal,
    fully_connected,
    identity,
    is_exact,
    per_channel,
    permutation,
    transposed_convolution,
)
from .tournament import tournament

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: Why a layer has no equal made of affine maps and ReLU, which are piecewise linear.
REASONS: dict[type[Layer], str] = {
    Sigmoid: "the logistic function is not piecewise linear",
    Tanh: "the hyperbolic tangent is not piecewise linear",
    Softmax: (
        "it divides by a sum of exponentials; without it the outputs are the logits, whose order "
        "is the same"
    ),
}


class UnsupportedLayer(ValueError):
    """A layer for which no equal network of Dense and ReLU is known; the message says which."""


def unsupported(net: Network, position: int) -> UnsupportedLayer:
    """The error that names a layer and why it has no equal."""
    layer, unknown = net.layers[position], "no rule is known for it"
    reason = next((why for kind, why in REASONS.items() if isinstance(layer, kind)), unknown)
    return UnsupportedLayer(f"{net.label(position)} has no equal of Dense and ReLU: {reason}")


def network_dtype(net: Network) -> DType:
    """The type that holds the numbers of all layers, averages included."""
    arrays: list[Weight] = [value for _, _, value in net.parameters()]
    arrays += [layer.weight for layer in net.layers if isinstance(layer, Dense)]
    arrays += [layer.scale for layer in net.layers if isinstance(layer, BatchNorm)]
    number = np.result_type(*(value.dtype for value in arrays)) if arrays else np.dtype(float)
    fractional = any(
        isinstance(layer, (AvgPool, AdaptiveAvgPool))
        or (isinstance(layer, LeakyReLU) and not isinstance(layer.slope, (int, np.integer)))
        for layer in net.layers
    )
    return np.result_type(number, np.float64) if fractional and number.kind in "iu" else number


#: A number times a block of the state.
Term: TypeAlias = tuple[Number, int]


@dataclass(frozen=True)
class Value:
    """The output of a layer, flattened, as a sum of numbers times blocks of the state."""

    terms: tuple[Term, ...]
    nonnegative: bool = False


class Form(NamedTuple):
    """Where a layer's output is found in the chain: a sum of factors times units of one stage.

    Attributes
    ----------
    stage : int
        Position in the chain, -1 for its input.
    terms : tuple of (factor, start)
        Unit u of the layer, flattened, is the sum of ``factor`` times unit ``start + u``.
    """

    stage: int
    terms: tuple[Term, ...]


class Plan:
    """The chain of Dense and ReLU, not built yet.

    The state is what the last stage gives: a few blocks. Each value of the network that is still
    to be read is a combination of blocks.
    """

    def __init__(self, net: Network, dtype: DType, max_bytes: float = math.inf) -> None:
        self.net, self.dtype, self.max_bytes = net, dtype, max_bytes
        self.stages: list[Stage] = []
        self.widths: tuple[int, ...] = (math.prod(net.input_shape),)
        self.nonnegative = [False]
        self.values = {-1: Value(((1, 0),))}
        #: Of each layer, but for those whose output is folded into the layer after it.
        self.forms = {-1: Form(-1, ((1, 0),))}
        self.readers: dict[int, list[int]] = {
            position: [] for position in range(-1, len(net.layers))
        }
        for position in range(len(net.layers)):
            for source in net.sources(position):
                self.readers[source].append(position)
        self.readers[len(net.layers) - 1].append(len(net.layers))
        for position, layer in enumerate(net.layers):
            self._add(position, layer)
        self._finish(len(net.layers) - 1)

    def _add(self, position: int, layer: Layer) -> None:
        rule = next((rule for kind, rule in RULES.items() if isinstance(layer, kind)), None)
        if rule is None:
            raise unsupported(self.net, position)
        value = self.values[position] = rule(self, position, layer)
        if not isinstance(layer, (Conv, ConvTranspose, Dense)) or not _norm_to_fold(self, position):
            starts = [0, *itertools.accumulate(self.widths)]
            terms = tuple((factor, starts[block]) for factor, block in value.terms)
            self.forms[position] = Form(len(self.stages) - 1, terms)
        self._drop(position)

    # --- what the rules use -------------------------------------------------------------------

    def read(self, position: int) -> Value:
        """What the layer reads."""
        return self.values[self.net.sources(position)[0]]

    def shape(self, position: int) -> tuple[int, ...]:
        """Shape of what the layer reads."""
        source = self.net.sources(position)[0]
        return self.net.shapes[source] if source >= 0 else self.net.input_shape

    def affine(self, position: int, parts: Sequence[Part], signs: Sequence[bool]) -> list[int]:
        """Add a Dense: the parts, and every block that is read later. Blocks of the parts."""
        self._drop(position)
        carried = sorted({block for value in self.values.values() for _, block in value.terms})
        rows = [*parts, *(self._same(block) for block in carried)]
        self._append(Stage(position, self.widths, rows))
        place = {block: len(parts) + i for i, block in enumerate(carried)}
        self._rename(lambda factor, block: ((factor, place[block]),))
        self.nonnegative = [*signs, *(self.nonnegative[block] for block in carried)]
        return list(range(len(parts)))

    def relu(self, position: int, parts: Sequence[Part]) -> list[int]:
        """Add what gives ReLU of each part, with values that are read later carried past it."""
        self._drop(position)
        carried = sorted({block for value in self.values.values() for _, block in value.terms})
        signed = [block for block in carried if not self.nonnegative[block]]
        direct = [part.carried for part in parts]
        if None in direct or not self._negate_in_place(signed):
            rows = list(parts)
            place = {}
            for block in carried:
                place[block] = direct.index(block) if block in direct else len(rows)
                if place[block] == len(rows):
                    rows.append(self._same(block))
            negative = {block: len(rows) + i for i, block in enumerate(signed)}
            rows += [self._same(block, factor=-1) for block in signed]
            self._append(Stage(position, self.widths, rows))
            blocks = list(range(len(parts)))
        else:
            place = {block: block for block in carried}
            first = len(self.widths) - len(signed)
            negative = {block: first + i for i, block in enumerate(signed)}
            blocks = [block for block in direct if block is not None]
        self._append(Stage(position, self.widths))
        self._rename(
            lambda factor, block: (
                ((factor, place[block]), (-factor, negative[block]))
                if block in negative
                else ((factor, place[block]),)
            )
        )
        self.nonnegative = [True] * len(self.widths)
        return blocks

    def combination(self, value: Value, factor: Number = 1, bias: Array | None = None) -> Part:
        """A number times a value, plus a bias."""
        terms = ((factor * c, identity(self.widths[block]), block) for c, block in value.terms)
        return Part(tuple(terms), bias)

    def mapped(self, value: Value, of: Map, bias: Array | None = None) -> Part:
        """A map of a value, plus a bias."""
        return Part(tuple((factor, of, block) for factor, block in value.terms), bias)

    # --- the state ----------------------------------------------------------------------------

    def _drop(self, position: int) -> None:
        """Forget the values that no layer after this one reads."""
        for source in [s for s in self.values if max(self.readers[s]) <= position]:
            del self.values[source]

    def _same(self, block: int, factor: int = 1) -> Part:
        return Part(((factor, identity(self.widths[block]), block),))

    def _rename(self, renamed: Callable[[Number, int], tuple[Term, ...]]) -> None:
        for source, value in self.values.items():
            terms = tuple(new for term in value.terms for new in renamed(*term))
            self.values[source] = replace(value, terms=terms)

    def _negate_in_place(self, blocks: list[int]) -> bool:
        """Let the last Dense give these blocks negated too, if it only carries them."""
        if not blocks:
            return True
        parts = self.stages[-1].parts if self.stages else None
        if parts is None or any(parts[block].carried is None for block in blocks):
            return False
        for block in blocks:
            ((_, of, source),) = parts[block].terms
            parts.append(Part(((-1, of, source),)))
        self.widths += tuple(self.widths[block] for block in blocks)
        self._check_size()
        return True

    def _append(self, stage: Stage) -> None:
        self.stages.append(stage)
        if stage.parts is not None:
            self.widths = tuple(part.size for part in stage.parts)
        self._check_size()

    def _check_size(self, more: int = 0) -> None:
        size = sum(stage.nbytes(self.dtype) for stage in self.stages) + more
        if size > self.max_bytes:
            position = self.stages[-1].owner if self.stages else 0
            dense = sum(stage.nbytes(self.dtype, dense=True) for stage in self.stages)
            raise MatrixTooLarge(
                f"up to {self.net.label(position)} the layers take {readable(size)} sparse "
                f"and {readable(dense)} dense, over max_bytes (={self.max_bytes}); "
                "matrix_free=True applies them unbuilt, conversion_table lists them all"
            )

    def _finish(self, position: int) -> None:
        """Leave the output as the only block."""
        value = self.values.pop(position)
        if value.terms != ((1, 0),) or len(self.widths) > 1 or not self.stages:
            self.affine(position, [self.combination(value)], [value.nonnegative])

    def check_reads(self, geometry: Geometry) -> None:
        """Refuse windows that are too many before their table is made."""
        entry = self.dtype.itemsize + index_dtype(*geometry.matrix_shape, geometry.nnz).itemsize
        self._check_size(geometry.nnz * entry)


# --- one rule for each kind of layer ------------------------------------------------------------


def _affine(plan: Plan, position: int, layer: Conv | ConvTranspose | Dense) -> Value:
    shape = plan.shape(position)
    norm = _norm_to_fold(plan, position)
    layer = layer if norm is None else norm.folded(layer)
    if isinstance(layer, Conv):
        of = convolution(layer.weight, layer.geometry(shape))
    elif isinstance(layer, ConvTranspose):
        of = transposed_convolution(layer.weight, layer.geometry(shape), shape[1:])
    else:
        of = fully_connected(layer.weight)
    (block,) = plan.affine(position, [plan.mapped(plan.read(position), of, layer.bias)], [False])
    return Value(((1, block),))


def _norm_to_fold(plan: Plan, position: int) -> BatchNorm | None:
    """The batch normalisation that alone reads a layer, if that is affine with a stored weight."""
    readers = plan.readers[position]
    foldable = "weight" in plan.net.layers[position].params
    if len(readers) != 1 or readers[0] == len(plan.net.layers) or not foldable:
        return None
    reader = plan.net.layers[readers[0]]
    return reader if isinstance(reader, BatchNorm) else None


def _batch_norm(plan: Plan, position: int, layer: BatchNorm) -> Value:
    source = plan.net.sources(position)[0]
    if source >= 0 and _norm_to_fold(plan, source) is layer:
        return plan.read(position)
    of = diagonal(layer.scale, math.prod(plan.shape(position)[1:]))
    part = plan.mapped(plan.read(position), of, layer.shift)
    (block,) = plan.affine(position, [part], [False])
    return Value(((1, block),))


def _average(plan: Plan, position: int, layer: AvgPool) -> Value:
    geometry = layer.geometry(plan.shape(position))
    one = one_channel(geometry)

    def make(dtype: DType) -> Built:
        counts = layer.counts(geometry).reshape(-1, 1)
        ones = convolution(np.ones(one.weight_shape, dtype=int), one).build(dtype)
        if not is_sparse(ones):
            return divided(ones, np.broadcast_to(counts, ones.shape))
        ones.data /= np.repeat(counts.ravel(), np.diff(ones.indptr)).astype(dtype)
        return ones

    of = per_channel(geometry.in_channels, one.matrix_shape, one.nnz, make)
    return _averaged(plan, position, of)


def _adaptive_average(plan: Plan, position: int, layer: AdaptiveAvgPool) -> Value:
    shape = plan.shape(position)
    sizes = math.prod(layer.output_shape(shape)[1:]), math.prod(shape[1:])
    nnz = math.prod(int((ends - begins).sum()) for begins, ends in layer.bounds(shape))

    def make(dtype: DType) -> Built:
        product: Built = np.ones((1, 1), dtype=dtype)
        for matrix in layer.averages(shape, dtype):
            if is_exact(dtype):
                product = np.kron(product, matrix)
            else:
                product = scipy.sparse.kron(product, scipy.sparse.csr_array(matrix), "csr")
        return product

    return _averaged(plan, position, per_channel(shape[0], sizes, nnz, make))


def _averaged(plan: Plan, position: int, of: Map) -> Value:
    value = plan.read(position)
    (block,) = plan.affine(position, [plan.mapped(value, of)], [value.nonnegative])
    return Value(((1, block),), value.nonnegative)


def _maximum(plan: Plan, position: int, layer: MaxPool) -> Value:
    geometry, value = layer.geometry(plan.shape(position)), plan.read(position)
    plan.check_reads(geometry)
    size, channels = math.prod(geometry.spatial_shape), geometry.in_channels
    reads = pattern(one_channel(geometry))
    rounds, result = tournament(reads, size, nonnegative=value.nonnegative)
    current = value
    for matrix in rounds:
        part = plan.mapped(current, _in_each_channel(channels, matrix))
        (block,) = plan.relu(position, [part])
        current = Value(((1, block),), nonnegative=True)
    part = plan.mapped(current, _in_each_channel(channels, result))
    (block,) = plan.affine(position, [part], [value.nonnegative])
    return Value(((1, block),), value.nonnegative)


def _in_each_channel(channels: int, matrix: csr_array) -> Map:
    def make(dtype: DType) -> Built:
        if is_exact(dtype):
            return np.array(matrix.toarray().tolist(), dtype=object).reshape(matrix.shape)
        return matrix.astype(dtype)

    return per_channel(channels, matrix.shape, matrix.nnz, make)


def _relu(plan: Plan, position: int, layer: ReLU) -> Value:
    value = plan.read(position)
    if value.nonnegative:
        return value
    (block,) = plan.relu(position, [plan.combination(value)])
    return Value(((1, block),), nonnegative=True)


def _leaky_relu(plan: Plan, position: int, layer: LeakyReLU) -> Value:
    value = plan.read(position)
    if value.nonnegative:
        return value
    slope = _scalar(layer.slope, plan.dtype)
    parts = [plan.combination(value), plan.combination(value, factor=-1)]
    above, below = plan.relu(position, parts)
    part = plan.combination(Value(((1, above), (-slope, below))))
    (block,) = plan.affine(position, [part], [bool(slope <= 0)])
    return Value(((1, block),), bool(slope <= 0))


def _scalar(value: Number, dtype: DType) -> Number:
    return value if is_exact(dtype) or isinstance(value, int) else float(value)


def _relu6(plan: Plan, position: int, layer: ReLU6) -> Value:
    value = plan.read(position)
    minus_six = np.array([-6], dtype=object if is_exact(plan.dtype) else int)
    parts = [plan.combination(value), plan.combination(value, bias=minus_six)]
    above, beyond = plan.relu(position, parts)
    part = plan.combination(Value(((1, above), (-1, beyond))))
    (block,) = plan.affine(position, [part], [True])
    return Value(((1, block),), nonnegative=True)


def _flatten(plan: Plan, position: int, layer: Flatten) -> Value:
    return plan.read(position)


def _rearrange(plan: Plan, position: int, layer: Rearrange) -> Value:
    value = plan.read(position)
    if layer.keeps_order:
        return value
    (block,) = plan.affine(
        position, [plan.mapped(value, permutation(layer.indices.ravel()))], [value.nonnegative]
    )
    return Value(((1, block),), value.nonnegative)


def _add(plan: Plan, position: int, layer: Add) -> Value:
    values = [plan.values[source] for source in plan.net.sources(position)]
    factors: dict[int, Number] = {}
    for value in values:
        for factor, block in value.terms:
            factors[block] = factors.get(block, 0) + factor
    nonnegative = all(value.nonnegative for value in values)
    total = Value(tuple((factor, block) for block, factor in factors.items()))
    (block,) = plan.affine(position, [plan.combination(total)], [nonnegative])
    return Value(((1, block),), nonnegative)


RULES: dict[type[Layer], Callable[[Plan, int, Any], Value]] = {
    Conv: _affine,
    ConvTranspose: _affine,
    Dense: _affine,
    BatchNorm: _batch_norm,
    AvgPool: _average,
    AdaptiveAvgPool: _adaptive_average,
    MaxPool: _maximum,
    ReLU: _relu,
    LeakyReLU: _leaky_relu,
    ReLU6: _relu6,
    Flatten: _flatten,
    Rearrange: _rearrange,
    Add: _add,
}
