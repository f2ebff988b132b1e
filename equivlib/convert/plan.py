r"""Plan the chain of Dense and ReLU layers equal to a network: sizes known, nothing built.

A layer of a network may read any earlier one; a stage of a chain reads the one before it alone.
So what a later layer reads has to be carried along. Each stage gives a few *blocks* of numbers, and
each *live value*, the output of a layer that a later one reads, is a sum of numbers times blocks.

**A residual block, worked through.** ``relu(x + conv(relu(conv(x))))`` is five layers:

>>> import numpy as np
>>> from equivlib.layers import Add, Conv, Network, ReLU
>>> conv = Conv([[[1, -2, 1]]], padding=1)
>>> net = Network([conv, ReLU(), conv, Add(2, -1), ReLU()], (1, 5))

After each of them these values are live; -1 is the input x. Layer 3 is the last to read x:

>>> [sorted(values) for values in liveness(net)]
[[-1, 0], [-1, 1], [-1, 2], [3], [4]]

The plan has five stages. The rows of a stage give its blocks, and ``b0``, ``b1``, … are the blocks
of the stage before, or the input:

>>> for stage in make_plan(net, np.dtype(float)).stages:
...     print(f"layer {stage.owner}: {stage}")
layer 0: Convolution b0 | b0 | -b0
layer 1: relu
layer 2: Convolution b0 | b1 | b2
layer 3: b0 + b1 - b2
layer 4: relu

- Layer 0 reads x, the only block. As x stays live, a second row copies it: the blocks are now the
  convolution h and x.
- Layer 1 is a ReLU, which would lose what is negative in x. But ``x = relu(x) - relu(-x)``, so the
  stage before the ReLU has to give -x too. That stage is affine and copies x, so it is replaced by
  one with a third row. (Where there is no such stage, a new one is put before the ReLU.) The blocks
  are now relu(h), relu(x), relu(-x), and the value x is ``b1 - b2``.
- Layer 2 reads b0 and copies b1 and b2. None of these can be negative, so they would pass through
  another ReLU as they are: a value is split once.
- Layer 3 adds what layer 2 gave and ``b1 - b2``. No other value is live, so one block is left.
- Layer 4 applies ReLU to it. The output is the only block, as it has to be in the end.

:func:`liveness` says what to carry, :func:`plan_layer` has one rule for each kind of layer, and
the rules add stages by :func:`emit_affine` and :func:`emit_relu`. All of them are functions of an
immutable :class:`State`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from itertools import accumulate
from typing import NamedTuple, TypeAlias

import numpy as np

from ..convolution.geometry import index_dtype
from ..convolution.matrix import MAX_BYTES, MatrixTooLarge, readable
from ..convolution.patches import Array, DType
from ..convolution.pattern import pattern
from ..layers import (
    AdaptiveAvgPool,
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    ConvTranspose,
    Dense,
    Flatten,
    Layer,
    LeakyReLU,
    Maximum,
    MaxPool,
    Network,
    Rearrange,
    ReLU,
    ReLU6,
    Resample,
    Sigmoid,
    Softmax,
    Tanh,
)
from ..layers.affine import Weight
from ..layers.base import Number, Shape
from ..layers.pooling import one_channel
from .operators import (
    AdaptiveAverage,
    AffineStage,
    Average,
    BlockRow,
    Convolution,
    Diagonal,
    Identity,
    Joined,
    Kronecker,
    Matrix,
    Operator,
    PerChannel,
    ReLUStage,
    Selection,
    Stage,
    Term,
    TransposedConvolution,
    is_exact,
)
from .tournament import tournament

#: Why a layer cannot be written with affine maps and ReLU, which are piecewise linear.
REASONS: dict[type[Layer], str] = {
    Sigmoid: "the logistic function is not piecewise linear",
    Tanh: "the hyperbolic tangent is not piecewise linear",
    Softmax: (
        "it divides by a sum of exponentials; without it the outputs are the logits, whose order "
        "is the same"
    ),
}


class UnsupportedLayer(ValueError):
    """A layer that cannot be written with Dense and ReLU layers; the message says which."""


def unsupported(net: Network, position: int) -> UnsupportedLayer:
    """Return the error that names a layer and why it cannot be converted."""
    layer, unknown = net.layers[position], "no rule is known for it"
    reason = next((why for kind, why in REASONS.items() if isinstance(layer, kind)), unknown)
    label = net.label(position)
    name = net.names.get(net.sources(position)[0])
    hint = "" if name is None else f"; output={name!r} stops before it"
    return UnsupportedLayer(f"{label} cannot be written with Dense and ReLU layers: {reason}{hint}")


def network_dtype(net: Network) -> DType:
    """Return the type that holds the numbers of all layers, averages included."""
    arrays: list[Weight] = [value for _, _, value in net.parameters()]
    arrays += [layer.weight for layer in net.layers if isinstance(layer, Dense)]
    arrays += [layer.scale for layer in net.layers if isinstance(layer, BatchNorm)]
    number = np.result_type(*(value.dtype for value in arrays)) if arrays else net.dtype
    fractional = any(
        isinstance(layer, (AvgPool, AdaptiveAvgPool, Resample))
        or (isinstance(layer, LeakyReLU) and not isinstance(layer.slope, (int, np.integer)))
        for layer in net.layers
    )
    return np.result_type(number, np.float64) if fractional and number.kind in "iu" else number


# --- what is known before the first stage -------------------------------------------------------


def liveness(net: Network) -> tuple[frozenset[int], ...]:
    """Find which values are still needed after each layer.

    Parameters
    ----------
    net : Network

    Returns
    -------
    tuple of frozenset of int
        For each layer the positions, up to its own, whose outputs a later layer reads; -1 is the
        input of the network. After the last layer the output is live.

    Examples
    --------
    >>> net = Network([ReLU(), ReLU(), Add(1, 0)], (2,))
    >>> [sorted(values) for values in liveness(net)]
    [[0], [0, 1], [2]]
    """
    live = frozenset({len(net.layers) - 1})
    after = []
    for position in reversed(range(len(net.layers))):
        after.append(live)
        # A value is needed from the layer that computes it to the last one that reads it.
        live = (live - {position}) | set(net.sources(position))
    return tuple(reversed(after))


def fold_norms(net: Network) -> list[Layer | None]:
    """Return the layers, with batch normalisation folded into the affine layer that it alone reads.

    In place of a batch normalisation that is folded there is None.
    """
    layers: list[Layer | None] = list(net.layers)
    readers = Counter(s for position in range(len(layers)) for s in net.sources(position))
    for position, norm in enumerate(net.layers):
        source = net.sources(position)[0]
        if not isinstance(norm, BatchNorm) or source < 0 or readers[source] > 1:
            continue
        before = net.layers[source]
        if isinstance(before, (Conv, ConvTranspose, Dense)) and "weight" in before.params:
            layers[source], layers[position] = norm.folded(before), None
    return layers


# --- the state ----------------------------------------------------------------------------------


#: A sum of factors times blocks, or times what begins at a unit.
Terms: TypeAlias = tuple[tuple[Number, int], ...]


class Value(NamedTuple):
    """The output of a layer, flattened, as a sum of numbers times blocks.

    Attributes
    ----------
    terms : tuple of (factor, block)
    nonnegative : bool
        Whether no entry can be negative, so that ReLU does not change it.
    """

    terms: Terms
    nonnegative: bool = False

    def row(self, operator: Operator, *, factor: Number = 1, bias: Array | None = None) -> BlockRow:
        """Return the rows that give a number times an operator on the value, plus a bias."""
        return BlockRow(tuple(Term(factor * c, operator, block) for c, block in self.terms), bias)


class Block(NamedTuple):
    """Some of the numbers that a stage gives: how many, and whether none can be negative."""

    size: int
    nonnegative: bool


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
    terms: Terms


@dataclass(frozen=True, eq=False)
class State:
    """The plan so far.

    Attributes
    ----------
    stages : tuple of Stage
    blocks : tuple of Block
        What the last stage gives; before the first one, the input.
    values : mapping of int to Value
        The values that are carried, by the position of their layer.
    """

    stages: tuple[Stage, ...]
    blocks: tuple[Block, ...]
    values: Mapping[int, Value]

    @property
    def widths(self) -> tuple[int, ...]:
        """Sizes of the blocks."""
        return tuple(block.size for block in self.blocks)

    @property
    def carried(self) -> list[int]:
        """The blocks that the carried values are made of."""
        return sorted({block for value in self.values.values() for _, block in value.terms})

    def keeping(self, live: Collection[int]) -> State:
        """Return the state without the values that are not live."""
        return replace(self, values={p: v for p, v in self.values.items() if p in live})

    def holding(self, position: int, value: Value) -> State:
        """Return the state with the value of one more layer."""
        return replace(self, values={**self.values, position: value})

    def form(self, value: Value) -> Form:
        """Return where a value is found."""
        starts = list(accumulate(self.widths, initial=0))
        terms = tuple((factor, starts[block]) for factor, block in value.terms)
        return Form(len(self.stages) - 1, terms)

    def copy(self, block: int) -> BlockRow:
        """Return the rows that copy a block."""
        return BlockRow((Term(1, Identity(self.blocks[block].size), block),))

    def rewritten(self, new: Mapping[int, Terms]) -> dict[int, Value]:
        """Return the values made of other blocks: each old block sums factors times new ones."""
        return {
            position: value._replace(
                terms=tuple(
                    (factor * c, to) for factor, block in value.terms for c, to in new[block]
                )
            )
            for position, value in self.values.items()
        }


# --- emitters: a state with more stages ---------------------------------------------------------


def emit_affine(
    state: State, owner: int, row: BlockRow, *, nonnegative: bool = False
) -> tuple[State, Value]:
    """Append an affine stage: the row, and a copy of every block that is carried.

    Returns the state and the value of the row, which is the first block.
    """
    state, _ = _append_affine(state, owner, [row])
    blocks = Block(row.size, nonnegative), *state.blocks[1:]
    return replace(state, blocks=blocks), Value(((1, 0),), nonnegative)


def emit_relu(state: State, owner: int, *rows: BlockRow) -> tuple[State, tuple[int, ...]]:
    """Append a ReLU of each of the rows; what is carried gets past it unchanged.

    A block v that may be negative is carried as ``relu(v) - relu(-v)``, so the stage before the
    ReLU has to give -v too: the last one if it can, otherwise one that is put between.

    Returns the state and its blocks with the results.
    """
    signed = [block for block in state.carried if not state.blocks[block].nonnegative]
    results = tuple(block for row in rows if (block := row.copied_block) is not None)
    ready = _append_negatives(state, signed) if len(results) == len(rows) else None
    if ready is None:
        state, places = _append_affine(state, owner, rows)
        signed, results = [places[block] for block in signed], tuple(range(len(rows)))
        ready = _append_negatives(state, signed)
        assert ready is not None  # the stage just appended copies all that is carried
    parts: dict[int, Terms] = {block: ((1, block),) for block in state.carried}
    for place, block in enumerate(signed, start=len(state.blocks)):
        parts[block] += ((-1, place),)
    blocks = tuple(Block(size, nonnegative=True) for size in ready.widths)
    stages = *ready.stages, ReLUStage(owner)
    return State(stages, blocks, state.rewritten(parts)), results


def _append_affine(
    state: State, owner: int, rows: Sequence[BlockRow]
) -> tuple[State, dict[int, int]]:
    """Append an affine stage: the rows, and copies of the carried blocks if none of them is one.

    Returns the state, and where the carried blocks are now.
    """
    every, places = list(rows), {}
    for place, row in enumerate(rows):
        if row.copied_block is not None:
            places[row.copied_block] = place
    for block in state.carried:
        if block not in places:
            places[block] = len(every)
            every.append(state.copy(block))
    copies = {place: state.blocks[block] for block, place in places.items()}
    blocks = tuple(copies.get(i, Block(row.size, False)) for i, row in enumerate(every))
    stage = AffineStage(owner, state.widths, tuple(every))
    values = state.rewritten({block: ((1, place),) for block, place in places.items()})
    return State((*state.stages, stage), blocks, values), places


def _append_negatives(state: State, signed: Sequence[int]) -> State | None:
    """Let the last stage give the negatives of these blocks too.

    None unless it is an affine stage that copies them: of other rows it would compute the same
    numbers twice.
    """
    if not signed:
        return state
    last = state.stages[-1] if state.stages else None
    if not isinstance(last, AffineStage):
        return None
    copies = [last.rows[block] for block in signed]
    if any(row.copied_block is None for row in copies):
        return None
    negatives = (BlockRow((row.terms[0]._replace(factor=-1),)) for row in copies)
    stage = AffineStage(last.owner, last.widths, (*last.rows, *negatives))
    blocks = *state.blocks, *(state.blocks[block] for block in signed)
    return State((*state.stages[:-1], stage), blocks, state.values)


# --- one rule for each kind of layer ------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Site:
    """Where a layer stands, which is all that its rule needs besides the layer and the state.

    Attributes
    ----------
    net : Network
    position : int
    inputs : tuple of Value
        What the layer reads.
    dtype : data type
        Of the weights to come.
    max_bytes : number
        What all stages together may take.
    """

    net: Network
    position: int
    inputs: tuple[Value, ...]
    dtype: DType
    max_bytes: float

    @property
    def value(self) -> Value:
        """What a layer with one input reads."""
        return self.inputs[0]

    @property
    def shape(self) -> Shape:
        """Shape of what a layer with one input reads."""
        return self.net.input_shapes(self.position)[0]

    @property
    def identity(self) -> Identity:
        """The identity on it."""
        return Identity(math.prod(self.shape))

    def check_size(self, stages: Sequence[Stage], more: int = 0) -> None:
        """Refuse stages that take more than ``max_bytes``, together with ``more`` bytes."""
        sizes = list(accumulate((stage.nbytes(self.dtype) for stage in stages), initial=0))
        sizes[-1] += more
        count = next((count for count, size in enumerate(sizes) if size > self.max_bytes), None)
        if count is None:
            return
        position = stages[count - 1].owner if count else 0
        dense = sum(stage.nbytes(self.dtype, dense=True) for stage in stages[:count])
        raise MatrixTooLarge(
            f"up to {self.net.label(position)} the layers take {readable(sizes[count])} sparse "
            f"and {readable(dense)} dense, over max_bytes (={self.max_bytes}); "
            "matrix_free=True applies them unbuilt, conversion_table lists them all"
        )

    def apply(
        self,
        operator: Operator,
        state: State,
        bias: Array | None = None,
        *,
        nonnegative: bool = False,
    ) -> tuple[State, Value]:
        """Append an operator on what the layer reads, plus a bias."""
        row = self.value.row(operator, bias=bias)
        return emit_affine(state, self.position, row, nonnegative=nonnegative)


@singledispatch
def plan_layer(layer: Layer, site: Site, state: State) -> tuple[State, Value]:
    """Append the stages of a layer; its class chooses the rule.

    The given state carries what later layers read. Returns the new one and the layer's output.
    """
    raise unsupported(site.net, site.position)


@plan_layer.register(Conv)
def _conv(layer: Conv, site: Site, state: State) -> tuple[State, Value]:
    return site.apply(Convolution(layer.weight, layer.geometry(site.shape)), state, layer.bias)


@plan_layer.register(ConvTranspose)
def _conv_transpose(layer: ConvTranspose, site: Site, state: State) -> tuple[State, Value]:
    convolution = Convolution(layer.weight, layer.geometry(site.shape))
    return site.apply(TransposedConvolution(convolution, site.shape[1:]), state, layer.bias)


@plan_layer.register(Dense)
def _dense(layer: Dense, site: Site, state: State) -> tuple[State, Value]:
    return site.apply(Matrix(layer.weight), state, layer.bias)


@plan_layer.register(BatchNorm)
def _batch_norm(layer: BatchNorm, site: Site, state: State) -> tuple[State, Value]:
    return site.apply(Diagonal(layer.scale, math.prod(site.shape[1:])), state, layer.shift)


@plan_layer.register(AvgPool)
def _average(layer: AvgPool, site: Site, state: State) -> tuple[State, Value]:
    operator = PerChannel(site.shape[0], Average(layer, layer.geometry(site.shape)))
    return site.apply(operator, state, nonnegative=site.value.nonnegative)


@plan_layer.register(AdaptiveAvgPool)
def _adaptive_average(layer: AdaptiveAvgPool, site: Site, state: State) -> tuple[State, Value]:
    operator = PerChannel(site.shape[0], AdaptiveAverage(layer, site.shape))
    return site.apply(operator, state, nonnegative=site.value.nonnegative)


def check_table(windows: int, taps: int, max_bytes: float, place: str = "") -> None:
    """Refuse a table of the elements of each window, padding included, that is too large to make.

    It is made where nothing else is built too, so it has a limit in any case.
    """
    size = windows * taps * np.dtype(np.int64).itemsize
    if size > max_bytes:
        raise MatrixTooLarge(
            f"{place}the table of {windows} windows with {taps} elements would take "
            f"{readable(size)}, over max_bytes (={max_bytes})"
        )


@plan_layer.register(MaxPool)
def _maximum(layer: MaxPool, site: Site, state: State) -> tuple[State, Value]:
    geometry, value = layer.geometry(site.shape), site.value
    # The table of the windows is as large as the matrix, so refuse it before it is made.
    index = index_dtype(*geometry.matrix_shape, geometry.nnz)
    site.check_size(state.stages, geometry.nnz * (site.dtype.itemsize + index.itemsize))
    positions, taps = math.prod(geometry.output_shape[1:]), math.prod(geometry.kernel_size)
    place = f"{site.net.label(site.position)}: "
    check_table(positions, taps, min(site.max_bytes, MAX_BYTES), place)
    windows, size = pattern(one_channel(geometry)), math.prod(geometry.spatial_shape)
    rounds, result = tournament(windows, size, nonnegative=value.nonnegative)
    channels, current = geometry.in_channels, value
    for matrix in rounds:
        row = current.row(PerChannel(channels, Matrix(matrix)))
        state, (block,) = emit_relu(state, site.position, row)
        current = Value(((1, block),), nonnegative=True)
    row = current.row(PerChannel(channels, Matrix(result)))
    return emit_affine(state, site.position, row, nonnegative=value.nonnegative)


@plan_layer.register(ReLU)
def _relu(layer: ReLU, site: Site, state: State) -> tuple[State, Value]:
    if site.value.nonnegative:
        return state, site.value
    state, (block,) = emit_relu(state, site.position, site.value.row(site.identity))
    return state, Value(((1, block),), nonnegative=True)


@plan_layer.register(LeakyReLU)
def _leaky_relu(layer: LeakyReLU, site: Site, state: State) -> tuple[State, Value]:
    """Return ``relu(x) - slope * relu(-x)``."""
    value, slope, same = site.value, _scalar(layer.slope, site.dtype), site.identity
    if value.nonnegative:
        return state, value
    rows = value.row(same), value.row(same, factor=-1)
    state, (above, below) = emit_relu(state, site.position, *rows)
    row = Value(((1, above), (-slope, below))).row(same)
    return emit_affine(state, site.position, row, nonnegative=bool(slope <= 0))


def _scalar(value: Number, dtype: DType) -> Number:
    return value if is_exact(dtype) or isinstance(value, int) else float(value)


@plan_layer.register(ReLU6)
def _relu6(layer: ReLU6, site: Site, state: State) -> tuple[State, Value]:
    """Return ``relu(x) - relu(x - 6)``."""
    minus_six = np.array([-6], dtype=object if is_exact(site.dtype) else int)
    rows = site.value.row(site.identity), site.value.row(site.identity, bias=minus_six)
    state, (above, beyond) = emit_relu(state, site.position, *rows)
    row = Value(((1, above), (-1, beyond))).row(site.identity)
    return emit_affine(state, site.position, row, nonnegative=True)


@plan_layer.register(Flatten)
def _flatten(layer: Flatten, site: Site, state: State) -> tuple[State, Value]:
    return state, site.value


@plan_layer.register(Rearrange)
def _rearrange(layer: Rearrange, site: Site, state: State) -> tuple[State, Value]:
    if layer.keeps_order:
        return state, site.value
    operator = Selection(layer.indices.ravel(), layer.size)
    return site.apply(operator, state, nonnegative=site.value.nonnegative)


@plan_layer.register(Resample)
def _resample(layer: Resample, site: Site, state: State) -> tuple[State, Value]:
    kept = all((matrix >= 0).all() for matrix in layer.matrices)
    operator = PerChannel(site.shape[0], Kronecker(layer.matrices))
    return site.apply(operator, state, nonnegative=kept and site.value.nonnegative)


@plan_layer.register(Add)
def _add(layer: Add, site: Site, state: State) -> tuple[State, Value]:
    total = _total(term for value in site.inputs for term in value.terms)
    nonnegative = all(value.nonnegative for value in site.inputs)
    return emit_affine(state, site.position, total.row(site.identity), nonnegative=nonnegative)


def _total(terms: Iterable[tuple[Number, int]]) -> Value:
    """Return a sum of factors times blocks, each block once."""
    factors: dict[int, Number] = {}
    for factor, block in terms:
        factors[block] = factors.get(block, 0) + factor
    return Value(tuple((factor, block) for block, factor in factors.items()))


@plan_layer.register(Concat)
def _concat(layer: Concat, site: Site, state: State) -> tuple[State, Value]:
    """Put each value below the one before it: the rows of all are one block."""
    sizes = [math.prod(shape) for shape in site.net.input_shapes(site.position)]
    copies: dict[int, list[tuple[Number, int]]] = {}
    for value, first in zip(site.inputs, accumulate(sizes, initial=0), strict=False):
        for factor, block in value.terms:
            copies.setdefault(block, []).append((factor, first))
    rows = sum(sizes)
    terms = tuple(
        Term(1, Joined(state.blocks[block].size, rows, each), block)
        for block, each in copies.items()
    )
    nonnegative = all(value.nonnegative for value in site.inputs)
    return emit_affine(state, site.position, BlockRow(terms), nonnegative=nonnegative)


@plan_layer.register(Maximum)
def _larger(layer: Maximum, site: Site, state: State) -> tuple[State, Value]:
    """Let the values meet in pairs: the larger of two is ``b + relu(a - b)``."""
    live, values = set(state.values), list(site.inputs)
    nonnegative = any(value.nonnegative for value in values)
    while len(values) > 1:
        # What goes on besides the differences is carried, at positions that no layer has.
        pairs = list(zip(values[::2], values[1::2], strict=False))
        waiting = [b for _, b in pairs] + values[2 * len(pairs) :]
        for i, value in enumerate(waiting):
            state = state.holding(-2 - i, value)
        differences = [
            _total((*a.terms, *((-factor, block) for factor, block in b.terms))) for a, b in pairs
        ]
        rows = [difference.row(site.identity) for difference in differences]
        state, results = emit_relu(state, site.position, *rows)
        waiting = [state.values[-2 - i] for i in range(len(waiting))]
        state = state.keeping(live)
        sums = [((1, r), *b.terms) for r, b in zip(results, waiting, strict=False)]
        values = [_total(terms) for terms in sums] + waiting[len(pairs) :]
    row = values[0].row(site.identity)
    return emit_affine(state, site.position, row, nonnegative=nonnegative)


# --- the plan -----------------------------------------------------------------------------------


class Plan(NamedTuple):
    """The chain of Dense and ReLU layers, not built yet.

    Attributes
    ----------
    stages : tuple of Stage
    forms : dict of int to Form
        Where the output of each layer is found, and the input (-1). Layers that a batch
        normalisation is folded into have none.
    """

    stages: tuple[Stage, ...]
    forms: dict[int, Form]


def make_plan(net: Network, dtype: DType, max_bytes: float = math.inf) -> Plan:
    """Plan the chain of Dense and ReLU layers equal to a network, for weights of this dtype.

    Raises
    ------
    UnsupportedLayer
        If a layer cannot be written with Dense and ReLU layers.
    MatrixTooLarge
        If the stages take more than ``max_bytes``.
    """
    the_input = Value(((1, 0),))
    state = State((), (Block(math.prod(net.input_shape), False),), {-1: the_input})
    forms = {-1: state.form(the_input)}
    for position, (layer, live) in enumerate(zip(fold_norms(net), liveness(net), strict=True)):
        inputs = tuple(state.values[source] for source in net.sources(position))
        site, state = Site(net, position, inputs, dtype, max_bytes), state.keeping(live)
        if layer is None:  # a batch normalisation that the layer before does as well
            value = site.value
        else:
            state, value = plan_layer(layer, site, state)
        site.check_size(state.stages)
        state = state.holding(position, value)
        if layer is None or layer is net.layers[position]:
            forms[position] = state.form(value)
    stages = _output_alone(state, position)
    site.check_size(stages)
    return Plan(stages, forms)


def _output_alone(state: State, position: int) -> tuple[Stage, ...]:
    """Return the stages, with one more if the output is not the only block already."""
    value = state.values[position]
    if value.terms == ((1, 0),) and len(state.blocks) == 1 and state.stages:
        return state.stages
    row = value.row(Identity(state.blocks[value.terms[0][1]].size))
    return emit_affine(state.keeping(()), position, row)[0].stages
