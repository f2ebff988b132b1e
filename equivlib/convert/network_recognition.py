r"""Which convolutional network a perceptron is, up to the order and the scales of its hidden units.

A hidden unit may be moved within its layer, and its row and bias multiplied by a number s > 0 if
the column that reads it is divided by s: the network stays the same function. So a row means
something up to a positive factor only, and neither the position nor the channel of a unit is
known. Layer by layer this is found again:

1. The columns of a layer stand in the order of the grid that the layer before has been given; for
   the first layer that is the input. Each column has been multiplied by the factor of its unit.
2. Two units of one channel, d places apart, have *one row, moved by d times the stride*: where
   both see the input, their rows and biases agree up to one positive factor. Rows are cut off at
   the border. So from the unit with the most weights, a channel is followed place by place
   (:class:`~equivlib.convert.channels.Channel`), and whatever a unit sees beyond the ones before is
   learned from it.
3. All channels have the same number of places. Units without weights fill places at which a
   kernel lies in padding; the others of them are channels of zeros.
4. Units with parallel rows, *twins*, cannot be told apart by this layer, but by the next one: its
   columns have to be those of a convolution too (:class:`_Columns`).
5. What has been found is compared with the whole matrix (:func:`_kernel`). So nothing that is
   returned can be wrong; whether something is found is the subject of the theorem in
   :func:`recognize_network`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np

from ..convolution.axis import Index
from ..convolution.csr import is_sparse
from ..convolution.geometry import Geometry, checked_shape
from ..convolution.matrix import MAX_BYTES, MatrixTooLarge, conv_matrix, readable
from ..convolution.options import GeometryOptions
from ..convolution.patches import Array
from ..convolution.pattern import pattern
from ..convolution.projection import NotAConvolution, kernel_from_matrix, project
from ..convolution.recognition import fits
from ..layers import Conv, Dense, Flatten, Layer, Network, ReLU
from ..layers.affine import Weight
from ..layers.base import Number, Shape
from .channels import Arrangement, Nearly, arrangements
from .units import Grid, Mask, Numbers, Rows, objects

#: Choices among equal units that are tried in a layer.
TRIALS = 256


def recognize_network(mlp: Network, input_shape: Sequence[int], *, tol: float = 0) -> Network:
    r"""Find the convolutional network that a perceptron is, whatever the order of its hidden units.

    The units of a hidden layer have no order: with a permutation P and positive scales D,

    .. math:: A \, \mathrm{relu}(W x + b)
              = (A D^{-1} P^T) \, \mathrm{relu}(P D W x + P D b).

    So a perceptron may be a convolutional network although none of its matrices is that of a
    convolution. This finds positions, channels and scales of the units again, from the numbers
    alone.

    Parameters
    ----------
    mlp : Network
        Of :class:`~equivlib.layers.Dense` and :class:`~equivlib.layers.ReLU`, each reading the one
        before it; :class:`~equivlib.layers.Flatten` is passed over.
    input_shape : tuple of int
        ``(channels, *spatial)`` of what the first layer reads, flattened row-major.
    tol : float, default 0
        Noise: a weight may differ by so much from the one that it shares, relative to the largest
        weight of its channel. With 0, integers and fractions are compared exactly and floats up to
        a few roundings. It has to be several times the error of a weight, and more if the scales
        of the units of one layer differ much, because that makes some errors larger.

    Returns
    -------
    Network
        ``Conv`` and ``ReLU``, then, if there is a head, ``Flatten``, ``Dense`` and ``ReLU``. It is
        the same function of ``(channels, *spatial)``, and :func:`~equivlib.to_mlp` of it has the
        rows of ``mlp`` but for the order and the scales of hidden units: exactly for integers and
        fractions, otherwise up to rounding or ``tol``. With noise a weight is the mean of those
        that share it.

        The order and the scale of the channels are free, so this is a choice: the numbers of a
        hidden channel, its bias among them, are integers without a common divisor if all numbers
        are exact, and else have the largest absolute value 1; channels are sorted by their
        weights. Kernels are the smallest, with the widest dilation, and without groups.

    Raises
    ------
    NotAConvolution
        Names the layer and the first reason.
    MatrixTooLarge
        If a weight would take more than 4 GiB as a dense matrix.
    ValueError
        If ``mlp`` has other layers or a weight without real, finite numbers, or ``input_shape``
        does not have as many elements as ``mlp`` has inputs.

    See Also
    --------
    recognize : the same for one matrix whose rows are in order.

    Notes
    -----
    Every perceptron is a convolutional network in a trivial way, with kernels as large as the
    input. So a convolution must have more than one place here, and the first layer must be one.
    The dense head begins with the first layer that is none, if at least half of its units read
    the full extent of the grid along each axis. Otherwise that layer is refused.

    **Theorem.** Let ``mlp`` be a convolutional network with zero padding and a dense head, its
    hidden units in any order and positive scale, and let numbers be exact. Its convolutions are
    found if each has the following properties. *Certain* weights are those of input channels that
    are not zero, with the weights of equal ones sorted, tap by tap; a row is that of the certain
    weights and the bias.

    1. Each channel is zero, or shows all of its certain weights at one place at least, and some
       of them at each place.
    2. No unit goes on with a channel where its places end: at a place beside the grid, no row is a
       positive multiple of what the kernel would give there, on the elements at which the
       channel's places have seen the kernel.
    3. Along each axis, no row is a positive multiple of that of a fullest unit, moved by less
       than the stride, where both see the input; along an axis with one place, moved at all.
    4. Parallel rows are those of channels that are multiples of each other, place by place, or of
       channels of zeros; and to tell these apart by the next layer needs fewer than 256 trials.
    5. The smallest kernel that holds the certain weights of all channels holds all weights.

    The first layer of the head must not be local, as above. It may turn out to be a convolution
    too, by chance.

    *Proof.* The unit with the most certain weights shows its channel whole, by 1: a border can only
    cut weights off. So the channel's other units have no weight where nothing is known, and the
    ones beside a unit that is found are found in turn, each with a row that is right as a whole,
    before any that is right in part. When all have been taken, 2 says that no other unit is taken.
    So the channel has the places that it has in the network. What is left are the other channels,
    for which the same holds, and the zero ones, whose units fill whole channels. The stride is the
    right one by 3. By 4 and 5, the columns of twins can be put into an order in which they are
    those of a convolution, the true one being such an order. Then the comparison with the matrix
    holds, and the next layer is read with its columns in the right order. ∎

    Weights of a continuous distribution have 2, 3 and 4 with probability 1, if at each place
    compared a channel shows two weights, or one and a bias. Where a property fails, for example on
    a grid so small that no unit shows a whole kernel, the network may still be found. It may also
    be found as another one of the same function, such as one channel of stride 1 in place of two
    of stride 2 that alternate, or with a longer head.

    Examples
    --------
    The rows of a convolution with stride 2 and padding, moved and rescaled. The last one is the
    first place, and three times as long::

        . 1 2 3 .              2 . .  is  [1 2 3], place 1 of 3,
        . . . 5 10             . 5 .      five times place 2, cut off by the border,
        6 9 . . .              . . 3      three times place 0, cut off as well

    >>> import numpy as np
    >>> from equivlib.layers import Dense, ReLU
    >>> W = np.array([[0, 1, 2, 3, 0], [0, 0, 0, 5, 10], [6, 9, 0, 0, 0]])
    >>> A = np.array([[30, 12, 40]])
    >>> mlp = Network([Dense(W), ReLU(), Dense(A)], (5,))
    >>> net = recognize_network(mlp, (1, 5))
    >>> net
    Network for an input of (1, 5)
    layer  reads  output  numbers
    0      input  (1, 3)        3  Conv(weight (1, 1, 3), stride=(2,), padding=((1, 1),))
    1      0      (1, 3)        0  ReLU()
    2      1      (3,)          0  Flatten()
    3      2      (1,)          3  Dense(weight (1, 3))
    >>> net.layers[0].weight
    array([[[1, 2, 3]]])
    >>> net.layers[3].weight
    array([[120,  30,  60]])

    numpy's correlation with that kernel gives what the perceptron gives:

    >>> x = np.array([1, -4, 2, 3, 7])
    >>> hidden = np.maximum(np.correlate(np.pad(x, 1), [1, 2, 3])[::2], 0)
    >>> bool(([120, 30, 60] @ hidden == mlp(x)).all())
    True
    """
    shape = checked_shape("input_shape", input_shape)
    dense = _checked(mlp, shape, tol)
    search = _Search(mlp, dense, tol)
    layers = search.layers(shape)
    replaced = dict(zip(dense, layers, strict=True))
    result: list[Layer] = []
    flat = False
    for position, layer in enumerate(mlp.layers):
        if isinstance(layer, Flatten):
            continue
        layer = replaced.get(position, layer)
        if isinstance(layer, Dense) and not flat:
            result.append(Flatten())
            flat = True
        result.append(layer)
    return Network(result, shape)


def _checked(mlp: Network, shape: Shape, tol: float) -> list[int]:
    """Return the positions of the Dense layers, or the error that says what is not as it must."""
    if not isinstance(mlp, Network):
        raise ValueError(f"mlp (={mlp!r}) must be a Network")
    if isinstance(tol, bool) or not 0 <= tol < 1:
        raise ValueError(f"tol (={tol!r}) must be a number of at least 0 and less than 1")
    for position, layer in enumerate(mlp.layers):
        label = mlp.label(position)
        if not isinstance(layer, (Dense, ReLU, Flatten)):
            raise ValueError(f"{label} of mlp must be Dense, ReLU or Flatten; to_mlp makes it so")
        if mlp.sources(position) != (position - 1,):
            raise ValueError(f"{label} of mlp must read the layer before it")
        if isinstance(layer, Dense):
            _check_weight(label, layer)
    size = math.prod(mlp.input_shape)
    if math.prod(shape) != size:
        raise ValueError(
            f"input_shape (={shape}) must have as many elements as mlp has inputs, {size}"
        )
    dense = [p for p, layer in enumerate(mlp.layers) if isinstance(layer, Dense)]
    if not dense:
        raise ValueError("mlp must have at least one Dense layer")
    return dense


def _check_weight(label: str, layer: Dense) -> None:
    if "weight" not in layer.params:
        raise ValueError(f"{label} has an operator as weight: there are no numbers to read")
    for name, array in layer.params.items():
        values = array.data if is_sparse(array) else np.asarray(array)
        entries = values.flat if values.dtype == object else ()
        if values.dtype.kind == "c" or not all(isinstance(entry, Real) for entry in entries):
            raise ValueError(f"{name} of {label} must hold real numbers, floats or fractions")
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError(f"{name} of {label} must hold finite numbers")
    size = math.prod(layer.weight.shape) * 8
    if size > MAX_BYTES:
        raise MatrixTooLarge(
            f"the dense weight of {label} would take {readable(size)}, over {readable(MAX_BYTES)}"
        )


class _Search:
    """The layers one after the other, with a step back where a choice turns out wrong."""

    def __init__(self, mlp: Network, dense: list[int], tol: float) -> None:
        self.mlp, self.dense = mlp, dense
        arrays = []
        for position in dense:
            for array in mlp.layers[position].params.values():
                arrays.append(array.data if is_sparse(array) else np.asarray(array))
        self.numbers = Numbers.of(arrays, tol)
        self.refusals: list[tuple[int, NotAConvolution]] = []

    def layers(self, shape: Shape) -> list[Conv | Dense]:
        """Return the layers in place of the Dense ones, or raise the first reason against it."""
        size = math.prod(shape)
        ones = self.numbers.array(np.ones(size, dtype=int))
        places = np.arange(size)
        grid = Grid(shape, places, ones, places, ones, np.zeros(size, dtype=bool))
        found = self._after(0, grid)
        if found is None:
            raise self._reason()
        return found

    def _reason(self) -> NotAConvolution:
        """Return the first refusal, or one of the same layer that can name a unit."""
        index, first = self.refusals[0]
        own = [error for layer, error in self.refusals if layer == index]
        named = next((error for error in own if isinstance(error, Nearly)), first)
        return NotAConvolution(f"{self.mlp.label(self.dense[index])}: {named}")

    def _after(self, index: int, grid: Grid) -> list[Conv | Dense] | None:
        """Return the layers from one on, which reads a grid; None if they cannot be found."""
        if index == len(self.dense):
            return []
        position = self.dense[index]
        given = self.mlp.layers[position]
        assert isinstance(given, Dense)
        rows = self._rows(index, given, grid)
        for found in _convolutions(rows, last=index == len(self.dense) - 1):
            rest = self._after(index + 1, found.grid)
            if rest is not None:
                return [self._conv(given, found), *rest]
        if index == 0 or rows.is_local():
            return None
        weight = self.numbers.given(rows.rows[:, :-1] * rows.factor[:, None])
        return [_owned(given, weight), *(self._kept(later) for later in self.dense[index + 1 :])]

    def _kept(self, position: int) -> Dense:
        layer = self.mlp.layers[position]
        assert isinstance(layer, Dense)
        return _owned(layer, layer.weight.copy())

    def _rows(self, index: int, layer: Dense, grid: Grid) -> Rows:
        matrix = layer.weight.toarray() if is_sparse(layer.weight) else layer.weight
        bias = np.zeros(len(matrix), dtype=int) if layer.bias is None else layer.bias
        numbers = self.numbers

        def refuse(error: NotAConvolution) -> None:
            self.refusals.append((index, error))

        return Rows.of(numbers.array(matrix), numbers.array(bias), grid, numbers, refuse)

    def _conv(self, given: Dense, found: _Found) -> Conv:
        bias = None if given.bias is None else self.numbers.given(found.bias)
        options = found.options
        kept: GeometryOptions = {"stride": options["stride"], "padding": options["padding"]}
        if any(step > 1 for step in np.ravel(options["dilation"])):
            kept["dilation"] = options["dilation"]
        return Conv(self.numbers.given(found.weight), bias, **kept)


def _owned(layer: Dense, weight: Weight) -> Dense:
    """Return the layer with this weight, and a bias that is its own."""
    return Dense(weight, None if layer.bias is None else layer.bias.copy())


# --- twins --------------------------------------------------------------------------------------


def _twins(rows: Array, numbers: Numbers) -> tuple[Index, Array]:
    """Return a number for each row, the same for rows that are parallel, and how long they are."""
    factors = objects([numbers.factor(row) for row in rows], (len(rows),)).astype(rows.dtype)
    unit = numbers.ratio(rows, factors[:, None])
    # Rows of one projection are compared in full; few others have it.
    probe = np.asarray(np.random.default_rng(0).integers(1, 2**20, rows.shape[1]))
    shadow = unit @ numbers.array(probe)
    bound = 2.0**20 * rows.shape[1] * (numbers.tol + (0 if numbers.exact else numbers.rounding))
    twin = np.arange(len(rows))
    seen: list[int] = []
    for row in np.argsort(shadow, kind="stable").tolist():
        for other in reversed(seen):
            if shadow[row] - shadow[other] > bound:
                other = row
                break
            if numbers.near(unit[row], unit[other], abs(unit[other]).max()).all():
                break
        else:
            other = row
        twin[row] = other
        if other == row:
            seen.append(row)
    return np.unique(twin, return_inverse=True)[1], factors


@dataclass(eq=False)
class _Choice:
    """Which columns have been put where, and the weights that they have shown."""

    kernel: Array
    known: Mask
    columns: dict[int, tuple[int, Number]]

    def copy(self) -> _Choice:
        """Return a choice that can go on in another way."""
        return _Choice(self.kernel.copy(), self.known.copy(), dict(self.columns))


class _Columns:
    """The columns of a matrix whose rows are placed: which of equal units stands where."""

    def __init__(self, layer: Rows, matrix: Array, geometry: Geometry) -> None:
        self.numbers, self.grid = layer.numbers, layer.grid
        self.matrix = matrix.reshape(geometry.out_channels, -1, matrix.shape[1])
        self.size = abs(self.matrix).max(axis=(1, 2))[:, None]
        self.support = ~self.numbers.near(self.matrix, 0, self.size[:, :, None])
        self.reads = pattern(geometry)
        self.places = math.prod(self.grid.shape[1:])
        self.pool: dict[int, list[int]] = {}
        for column, twin in enumerate(self.grid.twin.tolist()):
            self.pool.setdefault(twin, []).append(column)
        self.trials, self.stuck = 0, 0

    def settled(self) -> tuple[Index, Array]:
        """Return the order of the columns with which they are those of a convolution, and scales.

        The scales are 1, but for a unit that has another place than before, of which the row is
        longer or shorter, and for one that gives zero always: of that the scale is not known.
        """
        order = np.arange(self.matrix.shape[2])
        scale = self.numbers.array(np.ones(len(order), dtype=int))
        slots = self._slots()
        shape = len(self.matrix), self.grid.shape[0], self.reads.shape[1]
        kernel = np.zeros(shape, dtype=self.matrix.dtype)
        chosen = self._chosen(slots, _Choice(kernel, np.zeros(shape[1:], dtype=bool), {}))
        if chosen is None:
            place = tuple(int(i) for i in np.unravel_index(self.stuck, self.grid.shape))
            raise NotAConvolution(
                f"none of the units of the layer before that may stand at {place} is read as that "
                "place of a convolution"
            )
        for at, (column, factor) in chosen.columns.items():
            order[at], scale[at] = column, factor
        return order, scale

    def _slots(self) -> list[int]:
        """Return the places of channels with twins, in the order in which they are filled.

        That is: those whose unit is certain first, then those that show most of the kernel.
        """
        alone = [len(self.pool[twin]) == 1 for twin in self.grid.twin.tolist()]
        sure = np.array(alone).reshape(self.grid.shape[0], self.places)
        shows = (self.reads[:, :, None] == np.arange(self.places)).sum(axis=(0, 1))
        slots: list[int] = []
        for channel in np.argsort(-sure.sum(axis=1), kind="stable").tolist():
            if not sure[channel].all():
                order = np.lexsort((-shows, ~sure[channel]))
                slots += (channel * self.places + order).tolist()
        return slots

    def _chosen(self, slots: list[int], choice: _Choice) -> _Choice | None:
        """Return a choice of columns for these places, None if there is none that goes on."""
        for number, at in enumerate(slots):
            fitting, all_known = self._fitting(at, choice)
            if not fitting:
                self.stuck = at
                return None
            if all_known or len(fitting) == 1:
                self._put(at, choice, *fitting[0])
                continue
            for column, scale in fitting:
                self.trials += 1
                trial = choice.copy()
                self._put(at, trial, column, scale)
                done = self._chosen(slots[number + 1 :], trial)
                if done is not None or self.trials >= TRIALS:
                    return done
            return None
        return choice

    def _fitting(self, at: int, choice: _Choice) -> tuple[list[tuple[int, Number]], bool]:
        """Return the columns that may stand at a place, the fullest first, with their scales.

        Also whether the place shows nothing of the kernel that is not known yet.
        """
        channel, place = divmod(at, self.places)
        outputs, taps = np.nonzero(self.reads == place)
        taken = {column for column, _ in choice.columns.values()}
        pool = [c for c in self.pool[int(self.grid.twin[at])] if c not in taken]
        outside = np.setdiff1d(np.arange(self.matrix.shape[1]), outputs)
        reaches = np.asarray(self.support[:, outside][:, :, pool].any(axis=(0, 1)))
        pool = [column for column, far in zip(pool, reaches, strict=True) if not far]
        known = choice.known[channel, taps]
        asked = choice.kernel[:, channel, taps[known]]
        found, gauge = [], self.numbers.ratio(self.grid.gauge, self.grid.gauge[at])
        for column in sorted(pool, key=lambda c: -int(self.support[:, :, c].sum())):
            values = self.matrix[:, outputs[known], column]
            scale = self._scale(values, asked) if self.grid.silent[at] else gauge[column]
            if self.numbers.near(scale * values, asked, self.size).all():
                found.append((column, scale))
        return found, bool(known.all())

    def _scale(self, values: Array, asked: Array) -> Number:
        """Return by what to multiply the column of a unit that gives zero always."""
        strongest = int(abs(asked).argmax()) if asked.size else 0
        if not asked.size or not asked.flat[strongest] or not values.flat[strongest]:
            return 1
        ratio: Number = abs(self.numbers.ratio(asked.flat[[strongest]], values.flat[strongest])[0])
        return ratio

    def _put(self, at: int, choice: _Choice, column: int, scale: Number) -> None:
        """Put a column at a place, and learn the weights that it shows."""
        channel, place = divmod(at, self.places)
        outputs, taps = np.nonzero(self.reads == place)
        new = ~choice.known[channel, taps]
        shown = self.matrix[:, outputs[new], column] * scale
        choice.kernel[:, channel, taps[new]] = shown
        choice.known[channel, taps[new]] = True
        choice.columns[at] = column, scale


# --- a layer as a convolution -------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Found:
    """A convolution, and where its units stand."""

    weight: Array
    bias: Array
    options: GeometryOptions
    grid: Grid


def _convolutions(layer: Rows, *, last: bool) -> Iterator[_Found]:
    """Yield the convolutions that a layer may be.

    The units of the last layer are the outputs of the network: their order and scales are given.
    """
    for arrangement in arrangements(layer):
        try:
            found = _convolution(layer, arrangement, last=last)
        except NotAConvolution as error:
            layer.refuse(error)
        else:
            yield found


def _convolution(layer: Rows, arrangement: Arrangement, *, last: bool) -> _Found:
    """Return the convolution that a layer is with its units in this arrangement."""
    order, scale = arrangement.order, arrangement.scale
    if last:
        order = np.arange(order.size).reshape(order.shape)
        scale = layer.numbers.ratio(1, layer.factor).reshape(order.shape)
    geometry = _geometry(layer, arrangement)
    rows = layer.numbers.ratio(layer.rows[order.ravel()], scale.reshape(-1, 1))
    columns, factors = _Columns(layer, rows[:, :-1], geometry).settled()
    rows[:, :-1] = rows[:, columns] * factors
    weight, bias = _kernel(layer, rows, order, geometry)
    if not last:
        weight, bias, order, scale = _normal_form(layer.numbers, weight, bias, order, scale)
    options = geometry.options
    built = conv_matrix(weight, layer.grid.shape, format="dense", max_bytes=math.inf, **options)
    full = np.concatenate([built, np.repeat(bias, order.shape[1])[:, None]], axis=1)
    silent = ~(full != 0).any(axis=1)
    twin, gauge = _twins(full, layer.numbers)
    true = (scale * layer.factor[order]).ravel()
    grid = Grid(geometry.output_shape, order.ravel(), true, twin, gauge, silent)
    return _Found(weight, bias, options, grid)


def _geometry(layer: Rows, arrangement: Arrangement) -> Geometry:
    """Return the convolution with the smallest kernel that reads at these offsets."""
    per_axis = []
    for axis, n in enumerate(layer.grid.shape[1:]):
        step, outputs = max(1, arrangement.stride[axis]), arrangement.shape[1 + axis]
        offsets = arrangement.offsets[axis]
        options = fits(offsets, step, n, outputs, longest=3 * n)
        if not options:
            raise NotAConvolution(
                f"along spatial axis {axis}, {outputs} places with stride {step} would read "
                f"{n} inputs at offsets from {offsets[0]} to {offsets[-1]}, which no padding gives"
            )
        per_axis.append(options[0])
    kernel, stride, dilation, padding = zip(*per_axis, strict=True)
    weight_shape = (arrangement.shape[0], layer.grid.shape[0], *kernel)
    return Geometry(
        weight_shape, layer.grid.shape, stride=stride, padding=padding, dilation=dilation
    )


def _kernel(layer: Rows, rows: Array, order: Index, geometry: Geometry) -> tuple[Array, Array]:
    """Return weight and bias, compared with the whole matrix."""
    shapes = geometry.weight_shape, geometry.input_shape
    matrix, bias = rows[:, :-1], rows[:, -1].reshape(order.shape)
    if layer.numbers.tol:
        weight = project(matrix, *shapes, **geometry.options).weight
        shared = layer.numbers.ratio(bias.sum(axis=1), order.shape[1])
    else:
        weight = kernel_from_matrix(matrix, *shapes, tol=math.inf, **geometry.options)
        shared = bias[:, 0]
    options = geometry.options
    built = conv_matrix(weight, shapes[1], format="dense", max_bytes=math.inf, **options)
    expected = np.concatenate([built, np.repeat(shared, order.shape[1])[:, None]], axis=1)
    largest = abs(weight).max(axis=tuple(range(1, weight.ndim)))
    size = np.repeat(np.where(largest > 0, largest, abs(shared)), order.shape[1])
    wrong = np.argwhere(~layer.numbers.near(rows, expected, size[:, None]))
    if len(wrong):
        row, column = int(wrong[0, 0]), int(wrong[0, 1])
        channel, place = divmod(row, order.shape[1])
        where = np.unravel_index(place, geometry.output_shape[1:])
        at = tuple(int(index) for index in where)
        raise NotAConvolution(
            f"unit {order[channel, place]} would be channel {channel} at place {at}, but its "
            f"{layer.name(column)} is {rows[row, column]}, not {expected[row, column]}"
        )
    return weight, shared


def _normal_form(
    numbers: Numbers, weight: Array, bias: Array, order: Index, scale: Array
) -> tuple[Array, Array, Index, Array]:
    """Return the channels in their normal scale, and sorted by their numbers."""
    flat = np.concatenate([weight.reshape(len(weight), -1), bias[:, None]], axis=1)
    factors = objects([numbers.factor(row) for row in flat], (len(flat),)).astype(flat.dtype)
    flat, scale = numbers.ratio(flat, factors[:, None]), scale * factors[:, None]
    ranked = sorted(range(len(flat)), key=lambda channel: flat[channel].tolist())
    weight = flat[ranked, :-1].reshape(weight.shape)
    return weight, flat[ranked, -1], order[ranked], scale[ranked]
