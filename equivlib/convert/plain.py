r"""The same function with plain convolutions only: one rule for each kind of layer.

A convolution is *plain* if it has dilation 1, one group, no flip, and as many zeros at the low end
of an axis as at its high end. Along one axis every convolution says at which *offsets* from
``stride * output`` its taps read, and the plain one has a tap for each offset between the first
and the last that ever meets the input:

>>> _window(np.array([-1, 1, 3]), size=8, outputs=7, stride=1)  # dilation 2, padding (1, 2)
Window(padding=2, size=6)

Its taps stand at 1, 3 and 5: a zero before them makes the padding (2, 2), and zeros between them
take the place of the dilation. So a rule describes offsets, and :func:`_window` does the rest.

What is not the same at every position, such as mirrored padding or windows of unequal sizes, is a
small matrix along one axis. :func:`_along` applies it as a 1 x 1 convolution for which the
positions of this axis are the channels, so it has one number for each pair of positions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch
from itertools import product
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from ..convolution.axis import PADDING, Index
from ..convolution.csr import is_sparse
from ..convolution.geometry import Geometry
from ..convolution.matrix import MAX_BYTES, MatrixTooLarge, checked_limit, readable
from ..convolution.options import GeometryOptions
from ..convolution.patches import Array, DType
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
from ..layers.base import Shape
from ..layers.pooling import divided
from ..tables import Table
from .operators import Diagonal
from .plan import UnsupportedLayer, check_table, fold_norms, network_dtype
from .to_cnn import reading
from .tournament import tournament

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: Numbers of a pool's kernels beyond which it is taken axis by axis: a kernel for all pairs of
#: channels is mostly zeros, and over the full extent it would be the whole matrix.
LARGEST_BLOCK = 2**22

#: Layers whose outputs cannot be negative, and layers that keep what is not negative so.
NONNEGATIVE = (ReLU, ReLU6, Sigmoid, Softmax)
KEEPS_SIGN = (
    Add,
    AdaptiveAvgPool,
    AvgPool,
    Concat,
    Flatten,
    LeakyReLU,
    Maximum,
    MaxPool,
    Rearrange,
)

Verdict = Literal["kept", "rewritten", "refused"]


@dataclass(frozen=True)
class Rewriting:
    """What became of one layer of a network.

    Attributes
    ----------
    position : int
    layer : str
    verdict : {"kept", "rewritten", "refused"}
    reason : str
        What was not plain, or why it is refused; empty for a layer that is kept.
    before, after : int
        Numbers that the layer stores, and those of the layers in its place.
    """

    position: int
    layer: str
    verdict: Verdict
    reason: str
    before: int
    after: int


class PlainReport(tuple[Rewriting, ...]):
    """The :class:`Rewriting` of each layer of a network."""

    @property
    def table(self) -> Table:
        """The report in rows and columns."""
        rows = [(str(r.position), r.layer, r.verdict, r.before, r.after, r.reason) for r in self]
        headings = ["layer", "", "", "numbers", "then", "because of"]
        return Table(headings, rows, align="lllrrl")

    def __repr__(self) -> str:
        return str(self.table)

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return self.table._repr_html_()


class Plain(NamedTuple):
    """A network of plain convolutions, if every layer has a rule and a place, and the report."""

    network: Network | None
    report: PlainReport
    error: ValueError | None


def to_plain(
    net: Network,
    *,
    pools: bool = False,
    max_bytes: float = MAX_BYTES,
    dtype: DTypeLike | None = None,
) -> Network:
    r"""Return the same function with plain convolutions only.

    .. math:: plain(x) = net(x)

    A plain convolution has dilation 1, one group, no flip, and the same number of zeros at both
    ends of an axis. Many programs read no other. Every number of the result is one of ``net``, or
    0, 1, -1, a share of an average, or a product that folds batch normalisation.

    - dilation: zeros stand between the taps;
    - groups: the kernel is block diagonal;
    - unequal padding: zeros at one end of the kernel, as few as there can be;
    - taps that meet nothing but padding at every position are left out;
    - batch normalisation: folded into the layer before it, or a 1 x 1 convolution;
    - padding other than zeros: a 1 x 1 convolution that reads the positions of an axis as channels;
    - transposed convolution: a convolution of stride 1 that gives the ``stride`` neighbours of an
      output as channels, and a :class:`Rearrange` that puts them side by side;
    - average pooling: a convolution, or one for each axis if the windows differ in size or the
      channels are many;
    - interpolation: a convolution for each axis, as for averages;
    - with ``pools``, max pooling: ``max(a, b) = b + relu(a - b)`` for the elements of a window,
      which are channels, or for those along one axis after the other. The maximum of several
      layers becomes the same for their channels, one after the other.

    All else is kept: fully connected layers, activations, sums, concatenations, reorderings.

    Parameters
    ----------
    net : Network
    pools : bool, default False
        Whether max pooling and :class:`Maximum` become convolutions and ReLU.
    max_bytes : number, default 4 GiB
        Refuse to build more kernels than this in total.
    dtype : data type, optional
        Of numbers that ``net`` does not hold, such as 0, 1 and the shares of an average; by
        default that of its parameters. Pools alone stay exact with ``object``.

    Returns
    -------
    Network
        For the same input, with the output of the same shape. Fractions stay exact.

    Raises
    ------
    UnsupportedLayer
        If no rule is known for a layer. Names it.
    MatrixTooLarge
        If the kernels would take more than ``max_bytes``, before they are allocated.

    See Also
    --------
    plain_report : what becomes of each layer, and why.

    Examples
    --------
    Dilation 2 and a zero at the low end alone::

        taps 1 . 2    read    0 a b c     so    1 . 2 .    read    0 a b c 0

    >>> import numpy as np
    >>> from equivlib.layers import Conv
    >>> net = Network([Conv([[[1, 2]]], dilation=2, padding=[(1, 0)])], (1, 3))
    >>> plain = to_plain(net)
    >>> plain.layers[0]
    Conv(weight (1, 1, 4), stride=(1,), padding=(1,))
    >>> plain.layers[0].weight.tolist()
    [[[1, 0, 2, 0]]]
    >>> x = np.array([[3, 4, 5]])
    >>> plain(x)
    array([[ 8, 13]])
    >>> [int(np.dot([1, 0, 2], window)) for window in ([0, 3, 4], [3, 4, 5])]
    [8, 13]
    """
    made = rewritten(net, pools=pools, max_bytes=max_bytes, dtype=dtype)
    if made.network is None:
        assert made.error is not None  # it is why there is none
        raise made.error
    return made.network


def plain_report(
    net: Network,
    *,
    pools: bool = False,
    max_bytes: float = MAX_BYTES,
    dtype: DTypeLike | None = None,
) -> PlainReport:
    """Return what :func:`to_plain` makes of each layer, and why.

    Parameters
    ----------
    net : Network
    pools, max_bytes, dtype
        As for :func:`to_plain`.

    Returns
    -------
    PlainReport
        A tuple with a :class:`Rewriting` for each layer, printed as a table; ``.table`` is a
        ``equivlib.tables.Table``. A layer that is refused does not hide the later ones.

    Examples
    --------
    >>> import numpy as np
    >>> from equivlib.layers import Conv, MaxPool
    >>> net = Network([Conv(np.ones((2, 1, 3)), groups=2), ReLU(), MaxPool(2)], (2, 9))
    >>> plain_report(net, pools=True)
    layer                      numbers  then  because of
    0      Conv     rewritten        6    12  2 groups
    1      ReLU     kept             0     0
    2      MaxPool  rewritten        0    24  pools

    The numbers are those of the network that is built:

    >>> plain = to_plain(net, pools=True)
    >>> sum(value.size for _, _, value in plain.parameters())
    36
    """
    return rewritten(net, pools=pools, max_bytes=max_bytes, dtype=dtype).report


def rewritten(
    net: Network, *, pools: bool, max_bytes: float, dtype: DTypeLike | None = None
) -> Plain:
    """Return the network of plain convolutions together with the report."""
    checked_limit(max_bytes)
    number = network_dtype(net) if dtype is None else np.dtype(dtype)
    room = Room(max_bytes)
    layers: list[Layer] = []
    entries: list[Rewriting] = []
    first: ValueError | None = None
    places, positive = {-1: -1}, {-1: False}
    for position, layer in enumerate(fold_norms(net)):
        given, sources = net.layers[position], net.sources(position)
        shape = net.input_shapes(position)[0]
        read = all(positive[source] for source in sources)
        positive[position] = isinstance(given, NONNEGATIVE) or (
            isinstance(given, KEEPS_SIGN) and read
        )
        site = Site(shape, read, number, pools, room)
        verdict: Verdict = "refused"
        try:
            step = _folded(net, position) if layer is None else plain_layer(layer, site)
        except (UnsupportedLayer, MatrixTooLarge) as error:
            first = first or type(error)(f"{net.label(position)}: {error}")
            step = Step((), str(error))
        else:
            folds = layer is not None and layer is not given
            reasons = [step.reason] * bool(step.reason) + ["normalisation after it"] * folds
            step = step._replace(reason=", ".join(reasons))
            verdict = "rewritten" if reasons else "kept"
        places[position] = _append(layers, step, tuple(places[source] for source in sources))
        numbers = [_numbers(given), sum(map(_numbers, step.layers))]
        entries.append(Rewriting(position, given.name, verdict, step.reason, *numbers))
    network = None if first else Network(layers, net.input_shape, dtype=number)
    return Plain(network, PlainReport(entries), first)


def _append(layers: list[Layer], step: Step, sources: tuple[int, ...]) -> int:
    """Append the layers of a step, the first of which reads some positions; return the last one."""
    for layer in step.layers:
        layers.append(reading(layer, () if sources == (len(layers) - 1,) else sources))
        sources = (len(layers) - 1,)
    return sources[0]


def _numbers(layer: Layer) -> int:
    return sum(v.nnz if is_sparse(v) else v.size for v in layer.params.values())


# --- one rule for each kind of layer ------------------------------------------------------------


class Step(NamedTuple):
    """The layers in place of one, and what about it was not plain: nothing if it is kept."""

    layers: tuple[Layer, ...]
    reason: str = ""


class Room:
    """The bytes that may still be built."""

    def __init__(self, max_bytes: float) -> None:
        self.max_bytes, self.taken = max_bytes, 0

    def check(self, shape: Sequence[int], dtype: DType) -> int:
        """Return the bytes of a kernel of this shape, or refuse it."""
        size = math.prod(shape) * dtype.itemsize
        if self.taken + size > self.max_bytes:
            before = f" and those before it {readable(self.taken)}" if self.taken else ""
            raise MatrixTooLarge(
                f"its plain kernel of shape {tuple(shape)} would take {readable(size)}{before}, "
                f"over max_bytes (={self.max_bytes})"
            )
        return size

    def zeros(self, shape: Sequence[int], dtype: DType) -> Array:
        """Return a kernel of zeros, refused before it is allocated if it is too large."""
        self.taken += self.check(shape, dtype)
        return np.zeros(shape, dtype=dtype)


class Site(NamedTuple):
    """Where a layer stands: all that its rule needs besides the layer.

    Attributes
    ----------
    shape : tuple of int
        Of what it reads; of the first, if it reads several layers.
    nonnegative : bool
        Whether nothing that it reads can be negative.
    dtype : data type
        Of numbers that are not the layer's own.
    pools : bool
        Whether maxima are rewritten.
    room : Room
    """

    shape: Shape
    nonnegative: bool
    dtype: DType
    pools: bool
    room: Room


def _folded(net: Network, position: int) -> Step:
    return Step((), f"folded into {net.label(net.sources(position)[0])}")


@singledispatch
def plain_layer(layer: Layer, site: Site) -> Step:
    """Return the layers in place of one, which read each other in turn; its class chooses the rule.

    Raises
    ------
    UnsupportedLayer
        If the class is not known: what it computes might be a convolution.
    """
    raise UnsupportedLayer("no rule is known for it")


@plain_layer.register(Add)
@plain_layer.register(Concat)
@plain_layer.register(Dense)
@plain_layer.register(Flatten)
@plain_layer.register(LeakyReLU)
@plain_layer.register(ReLU)
@plain_layer.register(ReLU6)
@plain_layer.register(Rearrange)
@plain_layer.register(Sigmoid)
@plain_layer.register(Softmax)
@plain_layer.register(Tanh)
def _kept(layer: Layer, site: Site) -> Step:
    return Step((layer,))


@plain_layer.register(Conv)
def _conv(layer: Conv, site: Site) -> Step:
    geometry = layer.geometry(site.shape)
    reasons = _not_plain(geometry)
    if not reasons:
        return Step((layer,))
    layers: list[Layer] = []
    if geometry.padding_mode != "zeros":
        shape = site.shape
        for number, axis in enumerate(geometry.axes):
            if axis.low or axis.high:
                matrix = _selection(axis.padded(), axis.size, site)
                shape = _along([matrix], shape, number, layers)
        unpadded: GeometryOptions = {**geometry.options, "padding": 0, "padding_mode": "zeros"}
        geometry = Geometry(geometry.weight_shape, shape, **unpadded)
    return Step((*_fused(layers), _block(layer.weight, layer.bias, geometry, site)), reasons)


def _not_plain(geometry: Geometry) -> str:
    """Return what is not plain about a convolution, as words."""
    ends = geometry.padding
    padded = any(low or high for low, high in ends)
    found = {
        f"dilation {_by_axis(geometry.dilation)}": any(d > 1 for d in geometry.dilation),
        f"{geometry.groups} groups": geometry.groups > 1,
        f"padding {', '.join(map(str, ends))}": any(low != high for low, high in ends),
        f"padding_mode {geometry.padding_mode!r}": padded and geometry.padding_mode != "zeros",
        "flip": geometry.flip,
    }
    return ", ".join(words for words, true in found.items() if true)


def _by_axis(numbers: Sequence[int]) -> str:
    return " x ".join(map(str, numbers if len(set(numbers)) > 1 else numbers[:1]))


@plain_layer.register(ConvTranspose)
def _conv_transpose(layer: ConvTranspose, site: Site) -> Step:
    """Return the convolution of stride 1 that gives all outputs between two inputs as channels."""
    geometry = layer.geometry(site.shape)
    around = geometry.padding_mode != "zeros" and any(a.low or a.high for a in geometry.axes)
    whole = [a.low + a.size + a.high if around else a.size for a in geometry.axes]
    steps = [-(-size // stride) for size, stride in zip(whole, geometry.stride, strict=True)]
    weight, windows = _phases(layer.weight, geometry, site, whole)
    copies, channels = math.prod(geometry.stride), geometry.in_channels
    bias = None if layer.bias is None or around else np.repeat(layer.bias, copies)
    layers: list[Layer] = [Conv(weight, bias, padding=tuple(w.padding for w in windows))]
    shape = channels, *(m * s for m, s in zip(steps, geometry.stride, strict=True))
    if copies > 1:
        places = np.arange(math.prod(shape)).reshape(channels, *geometry.stride, *steps)
        count = len(steps)
        order = [0, *(i + j for i in range(1, count + 1) for j in (count, 0))]
        layers.append(Rearrange(places.transpose(order).reshape(shape)))
    if shape[1:] != tuple(whole):
        layers.append(_cropped(shape, whole, site))
    if around:
        _summed_ends(geometry, layer.bias, layers, site)
    return Step(_fused(layers), "transposed")


def _summed_ends(geometry: Geometry, bias: Array | None, layers: list[Layer], site: Site) -> None:
    """Append what adds each place beyond the ends to the element that it shows, and the bias."""
    shape = geometry.in_channels, *(a.low + a.size + a.high for a in geometry.axes)
    for number, axis in enumerate(geometry.axes):
        if axis.low or axis.high:
            matrix = _selection(axis.padded(), axis.size, site).T
            shape = _along([matrix], shape, number, layers)
    if bias is not None:
        ones = np.ones(len(bias), dtype=bias.dtype)
        layers.append(_scaled(ones, bias, shape, site))


@plain_layer.register(BatchNorm)
def _batch_norm(layer: BatchNorm, site: Site) -> Step:
    if len(site.shape) == 1:
        diagonal = Diagonal(layer.scale, 1)
        return Step((Dense(diagonal.build(layer.scale.dtype), layer.shift),), "normalisation")
    return Step((_scaled(layer.scale, layer.shift, site.shape, site),), "normalisation")


@plain_layer.register(AvgPool)
def _average(layer: AvgPool, site: Site) -> Step:
    geometry = layer.geometry(site.shape)
    by_axis = layer.counts_by_axis(geometry)
    equal = all((counts == counts[0]).all() for counts in by_axis)
    if equal and site.shape[0] ** 2 * math.prod(geometry.kernel_size) <= LARGEST_BLOCK:
        ones = np.ones(geometry.weight_shape, dtype=site.dtype)
        count = math.prod(int(counts[0]) for counts in by_axis)
        weight = divided(ones, np.full(ones.shape, count))
        return Step((_block(weight, None, geometry, site),), "averages")
    matrices = []
    for axis, counts in zip(geometry.axes, by_axis, strict=True):
        sums = site.room.zeros((axis.outputs, axis.size), site.dtype)
        for place, reads in enumerate(axis.reads()):
            sums[place, reads[reads != PADDING]] = 1
        matrices.append([divided(sums, np.broadcast_to(counts[:, None], sums.shape))])
    return Step(_along_all(matrices, site.shape), "averages")


@plain_layer.register(AdaptiveAvgPool)
def _adaptive(layer: AdaptiveAvgPool, site: Site) -> Step:
    sizes = list(zip(site.shape[1:], layer.output_shape(site.shape)[1:], strict=True))
    if not any(n % m for n, m in sizes):
        return _average(AvgPool([n // m for n, m in sizes]), site)
    matrices = [[matrix] for matrix in layer.averages(site.shape, site.dtype)]
    return Step(_along_all(matrices, site.shape), "averages")


@plain_layer.register(Resample)
def _resample(layer: Resample, site: Site) -> Step:
    kind = site.dtype.kind
    matrices = [[m.astype(site.dtype) if kind in "fc" else m] for m in layer.matrices]
    return Step(_along_all(matrices, site.shape), "interpolation")


@plain_layer.register(Maximum)
def _larger(layer: Maximum, site: Site) -> Step:
    """Return a tournament of the layers that are read, whose channels stand one after the other."""
    if not site.pools:
        return Step((layer,))
    count, (channels, *spatial) = len(layer.sources), site.shape
    rounds, result = tournament(np.arange(count)[None], count, nonnegative=site.nonnegative)
    layers: list[Layer] = [Concat(*layer.sources)]
    for matrix in (*rounds, result):
        rows, columns = matrix.shape
        weight = site.room.zeros((rows, channels, columns, channels), site.dtype)
        every = np.arange(channels)
        weight[:, every, :, every] = matrix.toarray()
        weight = weight.reshape(rows * channels, columns * channels, *(1 for _ in spatial))
        layers += [Conv(weight) if spatial else Dense(weight), ReLU()]
    return Step(tuple(layers[:-1]), "a maximum")


@plain_layer.register(MaxPool)
def _max_pool(layer: MaxPool, site: Site) -> Step:
    """Return a tournament of the elements of a window, which are the channels of a convolution.

    Padding reads as 0 there, which is never chosen if no element is negative. Otherwise, and where
    the kernels would be large, there is a tournament along each axis.
    """
    if not site.pools:
        return Step((layer,))
    geometry = layer.geometry(site.shape)
    for axis in geometry.axes:
        check_table(axis.outputs, axis.taps, site.room.max_bytes)
    count, channels = math.prod(geometry.kernel_size), geometry.in_channels
    rounds, result = tournament(np.arange(count)[None], count, nonnegative=site.nonnegative)
    numbers = channels**2 * sum(math.prod(matrix.shape) for matrix in (*rounds, result))
    padded = any((axis.reads() == PADDING).any() for axis in geometry.axes)
    if numbers > LARGEST_BLOCK or (padded and not site.nonnegative):
        return Step(_maxima_along_axes(geometry, site), "pools")
    layers: list[Layer] = []
    for matrix in (*rounds, result):
        each = matrix.toarray().astype(site.dtype)
        weight = np.tile(each, (channels, 1)).reshape(-1, *geometry.weight_shape[1:])
        geometry = Geometry(weight.shape, geometry.input_shape, **geometry.options)
        layers += [_block(weight, None, geometry, site), ReLU()]
        pixel = channels, len(each), *(1,) * geometry.ndim
        geometry = Geometry(pixel, geometry.output_shape, groups=channels)
    return Step(tuple(layers[:-1]), "pools")


def _maxima_along_axes(geometry: Geometry, site: Site) -> tuple[Layer, ...]:
    """Return a tournament along each axis: the largest of the largest is the largest of all."""
    by_axis = []
    for axis in geometry.axes:
        rounds, result = tournament(axis.reads(), axis.size, nonnegative=site.nonnegative)
        by_axis.append([_filled(matrix, site) for matrix in (*rounds, result)])
    return _along_all(by_axis, site.shape)


def _filled(sparse: csr_array, site: Site) -> Array:
    """Return a sparse matrix with its zeros."""
    matrix, entries = site.room.zeros(sparse.shape, site.dtype), sparse.tocoo()
    matrix[entries.coords] = entries.data
    return matrix


# --- the parts that rules share -----------------------------------------------------------------


class Window(NamedTuple):
    """A plain kernel along one axis: the zeros at either end of the input, and its taps."""

    padding: int
    size: int


def _window(offsets: Index, size: int, outputs: int, stride: int) -> Window:
    """Return the smallest plain kernel whose outputs read at these offsets, among others.

    A kernel of K taps with padding P gives ``(size + 2 P - K) // stride + 1`` outputs, so of zeros
    before and after the taps a certain difference is needed, or one of ``stride`` differences.
    """
    first, last = (int(offsets.min()), int(offsets.max())) if len(offsets) else (0, 0)
    extent = last - first + 1
    least = stride * (outputs - 1) - (size - 2 * first - extent)
    before = max(0, first, least)
    after = max(0, before - (least + stride - 1))
    return Window(before - first, before + extent + after)


def _met(offsets: Index, size: int, outputs: int, stride: int) -> Index:
    """Return the taps that meet the input at one output or more."""
    places = stride * np.arange(outputs)[:, None] + offsets
    return np.flatnonzero(((places >= 0) & (places < size)).any(axis=0))


def _block(weight: Array, bias: Array | None, geometry: Geometry, site: Site) -> Conv:
    """Return a convolution padded with zeros as a plain one."""
    taps, places, windows = [], [], []
    for axis in geometry.axes:
        offsets = np.array(axis.offsets()) - axis.low
        met = _met(offsets, axis.size, axis.outputs, axis.stride)
        window = _window(offsets[met], axis.size, axis.outputs, axis.stride)
        taps.append(met)
        places.append(offsets[met] + window.padding)
        windows.append(window)
    shape = geometry.out_channels, geometry.in_channels, *(w.size for w in windows)
    kernel = site.room.zeros(shape, weight.dtype)
    into, out = weight.shape[1], len(weight) // geometry.groups
    for group in range(geometry.groups):
        rows, columns = np.arange(group * out, (group + 1) * out), np.arange(into)
        taken = weight[np.ix_(rows, columns, *taps)]
        kernel[np.ix_(rows, columns + group * into, *places)] = taken
    padding = tuple(window.padding for window in windows)
    return Conv(kernel, bias, stride=geometry.stride, padding=padding)


def _phases(
    weight: Array, geometry: Geometry, site: Site, whole: Sequence[int]
) -> tuple[Array, list[Window]]:
    r"""Return the kernel that gives the outputs of a transposed convolution as channels.

    Output ``s*m + r`` of tap t is input ``m + q`` with ``q = (r + low - offset) / s``, if s divides
    that. So the outputs of one r, its phase, are a convolution of stride 1 with offsets q.
    """
    by_axis, windows = [], []
    # One tap at least for each phase: an absurd stride is refused before they are gone through.
    site.room.check((geometry.in_channels, *geometry.stride, len(weight)), weight.dtype)
    for axis, count, size in zip(geometry.axes, site.shape[1:], whole, strict=True):
        low = axis.low if size == axis.size else 0
        reach = np.arange(axis.stride)[:, None] + low - np.array(axis.offsets())
        phases = []
        for phase, line in enumerate(reach):
            taps = np.flatnonzero(line % axis.stride == 0)
            offsets = line[taps] // axis.stride
            outputs = max(0, -(-(size - phase) // axis.stride))
            met = _met(offsets, count, outputs, 1)
            phases.append((taps[met], offsets[met]))
        used = np.concatenate([offsets for _, offsets in phases])
        windows.append(_window(used, count, -(-size // axis.stride), 1))
        by_axis.append(phases)
    return _phased(weight, geometry, site, by_axis, windows), windows


def _phased(
    weight: Array,
    geometry: Geometry,
    site: Site,
    by_axis: Sequence[Sequence[tuple[Index, Index]]],
    windows: Sequence[Window],
) -> Array:
    """Return the kernel, given the taps and offsets of each phase of each axis."""
    out, into = weight.shape[1], len(weight) // geometry.groups
    sizes = [window.size for window in windows]
    kernel = site.room.zeros(
        (geometry.in_channels, *geometry.stride, len(weight), *sizes), weight.dtype
    )
    phases = list(product(*(range(stride) for stride in geometry.stride)))
    for group, phase in product(range(geometry.groups), phases):
        chosen = [phases[r] for phases, r in zip(by_axis, phase, strict=True)]
        rows, columns = np.arange(out) + group * out, np.arange(into) + group * into
        taken = weight[np.ix_(columns, np.arange(out), *(taps for taps, _ in chosen))]
        places = [q + window.padding for (_, q), window in zip(chosen, windows, strict=True)]
        there = np.ix_(rows, *(np.array([r]) for r in phase), columns, *places)
        kernel[there] = taken.swapaxes(0, 1).reshape([index.size for index in there])
    return kernel.reshape(-1, len(weight), *sizes)


def _scaled(scale: Array, shift: Array, shape: Shape, site: Site) -> Conv:
    """Return the 1 x 1 convolution that multiplies each channel and adds to it."""
    weight = scale.reshape(-1, *(1,) * len(shape))
    return _block(weight, shift, Geometry(weight.shape, shape, groups=len(weight)), site)


def _cropped(shape: Shape, whole: Sequence[int], site: Site) -> Conv:
    """Return a convolution that leaves out what is beyond these sizes at the high ends."""
    channels, beyond = shape[0], (n - m for n, m in zip(shape[1:], whole, strict=True))
    kernel = site.room.zeros((channels, channels, *(1 + n for n in beyond)), site.dtype)
    first_taps = kernel.reshape(channels, channels, -1)[:, :, 0]
    first_taps[np.arange(channels), np.arange(channels)] = 1
    return Conv(kernel)


def _selection(elements: Index, size: int, site: Site) -> Array:
    """Return the matrix that reads these elements of an axis, and 0 for padding."""
    matrix = site.room.zeros((len(elements), size), site.dtype)
    places = np.flatnonzero(elements != PADDING)
    matrix[places, elements[places]] = 1
    return matrix


def _along(matrices: Sequence[Array], shape: Shape, number: int, layers: list[Layer]) -> Shape:
    """Append the layers that apply matrices along a spatial axis; return the shape after them.

    Its positions become channels and the channels an axis of space; then a 1 x 1 convolution is
    the product, and everything moves back. Between two matrices there is a ReLU.
    """
    axis = number + 1
    there = np.moveaxis(np.arange(math.prod(shape)).reshape(shape), axis, 0)
    layers.append(Rearrange(there))
    for matrix in matrices:
        pixel = (1,) * (len(shape) - 1)
        layers += [Conv(matrix.reshape(*matrix.shape, *pixel)), ReLU()]
    moved = len(matrices[-1]), *there.shape[1:]
    back = np.moveaxis(np.arange(math.prod(moved)).reshape(moved), 0, axis)
    layers[-1] = Rearrange(back)
    return back.shape


def _along_all(by_axis: Sequence[Sequence[Array]], shape: Shape) -> tuple[Layer, ...]:
    """Return the layers that apply matrices along each axis where they change anything.

    If that is nowhere, the last axis is taken all the same: a step has a layer at least.
    """
    layers: list[Layer] = []
    for number, matrices in enumerate(by_axis):
        (matrix, *others), last = matrices, number == len(by_axis) - 1 and not layers
        same = not others and np.array_equal(matrix, np.eye(len(matrix)))
        if last or not same:
            shape = _along(matrices, shape, number, layers)
    return _fused(layers)


def _fused(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Return the layers with one Rearrange in place of two in a row."""
    fused: list[Layer] = []
    for layer in layers:
        before = fused[-1] if fused else None
        if isinstance(layer, Rearrange) and isinstance(before, Rearrange):
            places = np.where(layer.indices < 0, -1, before.indices.ravel()[layer.indices])
            fused[-1] = Rearrange(places, size=before.size)
        else:
            fused.append(layer)
    return tuple(fused)
