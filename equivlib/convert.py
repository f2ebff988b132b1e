"""From a network to a multilayer perceptron and back to convolutions, equal on every input."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import DTypeLike

from .geometry import matrix_nbytes
from .layers import Add, BatchNorm, Conv, Dense, Flatten, Layer, Network, Rearrange, ReLU, Softmax
from .matrix import MAX_BYTES, MatrixTooLarge, checked_limit, dense_to_conv, readable
from .plan import Plan, UnsupportedLayer, network_dtype
from .tables import Table

__all__ = ["ConversionTable", "Cost", "UnsupportedLayer", "conversion_table", "to_cnn", "to_mlp"]


def to_mlp(
    net: Network,
    *,
    merge: bool = False,
    max_bytes: float = MAX_BYTES,
    matrix_free: bool = False,
    dtype: DTypeLike | None = None,
) -> Network:
    r"""The multilayer perceptron that equals a network on every finite input, up to rounding.

    .. math:: mlp(x.ravel()) = net(x).ravel()

    It has only :class:`Dense` layers, with sparse weights, and :class:`ReLU`. Affine layers are
    their matrices. The others are these combinations of ReLU:

    - LeakyReLU: ``relu(x) - slope * relu(-x)``;
    - ReLU6: ``relu(x) - relu(x - 6)``;
    - MaxPool: a tournament of ``max(a, b) = b + relu(a - b)``;
    - a shortcut past a ReLU: ``v = relu(v) - relu(-v)``, or v itself where it cannot be negative.

    Parameters
    ----------
    net : Network
    merge : bool, default False
        Multiply neighbouring Dense layers. By default each layer of ``net`` stays visible.
    max_bytes : number, default 4 GiB
        Refuse to build more than this in total.
    matrix_free : bool, default False
        Make weights that are applied but never built: LinearOperators.
    dtype : data type, optional
        Of the weights; by default that of the parameters. With exact objects (fractions) the
        weights are ndarrays, because scipy.sparse holds numbers only.

    Returns
    -------
    Network
        For the input shape ``(prod(net.input_shape),)``. Batch normalisation is folded into the
        affine layer before it, if nothing else reads that layer.

    Raises
    ------
    UnsupportedLayer
        With the position of the layer and the reason.
    MatrixTooLarge
        With the size, before anything of that size is allocated.
    ValueError
        Names the argument, its value and the rule it breaks.

    See Also
    --------
    conversion_table : what each layer will take, without building it.

    Examples
    --------
    A maximum of two becomes ``relu(b) - relu(-b) + relu(a - b)``::

        1 -1                 1 1 -1
        .  1    and then
        . -1

    >>> import numpy as np
    >>> from equivlib.layers import Conv, MaxPool
    >>> mlp = to_mlp(Network([MaxPool(2)], (1, 2)))
    >>> mlp.layers[0].weight.toarray()
    array([[ 1., -1.],
           [ 0.,  1.],
           [ 0., -1.]])
    >>> mlp.layers[2].weight.toarray()
    array([[ 1.,  1., -1.]])
    >>> mlp([[-5.0, -3.0], [4.0, 1.0]])
    array([[-3.],
           [ 4.]])

    scipy computes the same convolution and maximum:

    >>> from scipy.ndimage import maximum_filter
    >>> from scipy.signal import correlate2d
    >>> rng = np.random.default_rng(0)
    >>> x, k = rng.integers(-9, 9, (6, 7)), rng.integers(-9, 9, (3, 3))
    >>> net = Network([Conv(k[None, None], [5]), MaxPool((3, 3), stride=1)], (1, 6, 7))
    >>> y = to_mlp(net)(x.ravel())
    >>> expected = maximum_filter(correlate2d(x, k, mode="valid") + 5, size=3)[1:-1, 1:-1]
    >>> bool((y == expected.ravel()).all())
    True
    """
    checked_limit(max_bytes)
    if merge and matrix_free:
        raise ValueError(
            "merge (=True) multiplies matrices and matrix_free (=True) builds none: choose one"
        )
    for position, layer in enumerate(net.layers):
        if isinstance(layer, Dense) and "weight" not in layer.params and not matrix_free:
            raise ValueError(
                f"{net.label(position)} has an operator as weight: there are no numbers to store, "
                "but matrix_free=True applies it"
            )
    number = network_dtype(net) if dtype is None else np.dtype(dtype)
    plan = Plan(net, number, math.inf if matrix_free else max_bytes)
    layers: list[Layer] = []
    for stage in plan.stages:
        if stage.parts is None:
            layers.append(ReLU())
            continue
        weight = stage.operator(number) if matrix_free else stage.matrix(number)
        dense = Dense(weight, stage.bias(number))
        if merge and layers and isinstance(layers[-1], Dense):
            dense = _product(dense, layers.pop(), max_bytes)
        layers.append(dense)
    return Network(layers, (math.prod(net.input_shape),))


def _product(second: Dense, first: Any, max_bytes: float) -> Dense:
    """Two affine maps as one, refused before it is made if even its bound does not fit."""
    a, b = second.weight, first.weight
    if scipy.sparse.issparse(a):
        rows, columns = a.shape[0], b.shape[1]
        reads = np.bincount(a.indices, minlength=a.shape[1])
        most = min(int(reads @ np.diff(b.indptr)), rows * columns)
        size = matrix_nbytes(rows, columns, most, np.result_type(a, b), "csr")
        if size > max_bytes:
            raise MatrixTooLarge(
                f"the product of two Dense layers of shape {(rows, columns)} may take "
                f"{readable(size)}, over max_bytes (={max_bytes}); merge=False keeps them apart"
            )
    bias = None
    if first.bias is not None or second.bias is not None:
        bias = 0 if first.bias is None else a @ first.bias
        bias = bias if second.bias is None else bias + second.bias
    return Dense(a @ b, bias)


def to_cnn(net: Network, *, max_bytes: float = MAX_BYTES) -> Network:
    r"""The same function with convolutions in place of fully connected layers.

    A :class:`Dense` layer that reads a flattened input of ``(channels, *spatial)`` becomes a
    convolution over the full extent of it, with one position. The next one then reads one pixel,
    and is a 1 x 1 convolution. So a multilayer perceptron, whose input becomes a pixel with as many
    channels as there are features, has 1 x 1 convolutions only.

    Parameters
    ----------
    net : Network
        A multilayer perceptron of input shape ``(features,)``, or a network with convolutions,
        Flatten and Dense in this order. Layers other than these two are kept.
    max_bytes : number, default 4 GiB
        Refuse to build more than this in total: convolutions store every number of a sparse weight.

    Returns
    -------
    Network
        For the input shape ``(features, 1, 1)``, or that of ``net`` if it has spatial axes. Where
        the output of ``net`` is ``(units,)``, it is ``(units, 1, 1)``.

    Raises
    ------
    MatrixTooLarge
        With the size, before anything of that size is allocated.
    ValueError
        If a weight is an operator, which has no numbers to put into a kernel.

    See Also
    --------
    slide : the network over a larger input.

    Examples
    --------
    ::

        Flatten, Dense of (3, 8) on (2, 2, 2)    Conv of (3, 2, 2, 2)
        Dense of (1, 3)                          Conv of (1, 3, 1, 1)

    >>> import numpy as np
    >>> from equivlib.layers import Flatten
    >>> rng = np.random.default_rng(0)
    >>> A, B, x = (rng.integers(-5, 6, shape) for shape in ((3, 8), (1, 3), (2, 2, 2)))
    >>> cnn = to_cnn(Network([Flatten(), Dense(A), ReLU(), Dense(B)], (2, 2, 2)))
    >>> [layer.weight.shape for layer in cnn.layers if layer.params]
    [(3, 2, 2, 2), (1, 3, 1, 1)]
    >>> bool((cnn(x).ravel() == B @ np.maximum(A @ x.ravel(), 0)).all())
    True
    """
    checked_limit(max_bytes)
    flat = len(net.input_shape) == 1
    shapes = {-1: (*net.input_shape, 1, 1) if flat else net.input_shape}
    kernels = [layer for layer in net.layers if isinstance(layer, Dense)]
    size = sum(math.prod(k.weight.shape) * np.dtype(k.weight.dtype).itemsize for k in kernels)
    if size > max_bytes:
        raise MatrixTooLarge(
            f"the kernels would take {readable(size)}, over max_bytes (={max_bytes}): a "
            "convolution stores every number of a sparse weight"
        )
    layers: list[Layer] = []
    place = {-1: -1}
    for position, layer in enumerate(net.layers):
        sources = net.sources(position)
        shape = shapes[sources[0]]
        if isinstance(layer, Flatten):
            place[position], shapes[position] = place[sources[0]], shape
            continue
        if isinstance(layer, Dense):
            layer = _as_convolution(layer, shape, net.label(position))
        elif isinstance(layer, Rearrange) and layer.indices.ndim == 1:
            layer = Rearrange(layer.indices[:, None, None])
        elif isinstance(layer, (Add, BatchNorm, Softmax)):
            for source in sources:
                features = net.shapes[source] if source >= 0 else net.input_shape
                pixel = (features[0], *(1,) * (len(shapes[source]) - 1))
                if len(features) == 1 and shapes[source] != pixel:  # each feature is a channel
                    indices = np.arange(features[0]).reshape(pixel)
                    layers.append(Rearrange(indices, source=place[source]))
                    place[source], shapes[source] = len(layers) - 1, pixel
        moved = tuple(place[source] for source in sources)
        layers.append(_reading(layer, () if moved == (len(layers) - 1,) else moved))
        place[position] = len(layers) - 1
        shapes[position] = layer.output_shape(*(shapes[source] for source in sources))
    return Network(layers, shapes[-1])


def _as_convolution(layer: Dense, shape: tuple[int, ...], label: str) -> Conv:
    """A fully connected layer as a convolution over the full extent of its input."""
    if "weight" not in layer.params:
        raise ValueError(f"{label} has an operator as weight: there are no numbers for a kernel")
    weight = layer.weight.toarray() if scipy.sparse.issparse(layer.weight) else layer.weight
    return Conv(dense_to_conv(weight, shape), layer.bias)


def _reading(layer: Layer, sources: tuple[int, ...]) -> Layer:
    """The layer, reading other positions: a copy, as the given network keeps its own."""
    if layer.sources == sources:
        return layer
    moved = copy.copy(layer)
    moved.sources = sources
    return moved


@dataclass(frozen=True)
class Cost:
    """What one layer of a network takes in the converted one.

    Attributes
    ----------
    position : int
    layer : str
    depth : int
        Dense and ReLU layers made for it; 0 if it disappears.
    stored : int
        Numbers in the sparse weights.
    dense : int
        Numbers in the weights if all entries were stored.
    nbytes : int
        Bytes of weights and biases.
    """

    position: int
    layer: str
    depth: int
    stored: int
    dense: int
    nbytes: int


class ConversionTable(tuple[Cost, ...]):
    """The :class:`Cost` of each layer of a network."""

    @property
    def total(self) -> Cost:
        """All layers together."""
        sums = [
            sum(getattr(c, name) for c in self) for name in ("depth", "stored", "dense", "nbytes")
        ]
        return Cost(len(self), "total", *sums)

    def __repr__(self) -> str:
        rows = []
        for cost in (*self, self.total):
            position = "" if cost.layer == "total" else str(cost.position)
            rows.append((position, cost.layer, cost.depth, cost.stored, cost.dense, cost.nbytes))
        headings = ["layer", "", "depth", "stored", "dense", "bytes"]
        return str(Table(headings, rows, align="llrrrr"))


def conversion_table(net: Network, dtype: DTypeLike | None = None) -> ConversionTable:
    """What :func:`to_mlp` will make of each layer, found without building it.

    A number that carries a value past a layer counts for the layer whose matrix it is in.

    Parameters
    ----------
    net : Network
    dtype : data type, optional
        As for :func:`to_mlp`.

    Returns
    -------
    ConversionTable
        A tuple with a :class:`Cost` for each layer, printed as a table, and ``.total``.

    Raises
    ------
    UnsupportedLayer
        With the position of the layer and the reason.

    Examples
    --------
    >>> import numpy as np
    >>> from equivlib.layers import Conv, MaxPool
    >>> net = Network([Conv(np.ones((2, 1, 3, 3))), ReLU(), MaxPool(2)], (1, 6, 6))
    >>> table = conversion_table(net)
    >>> table
    layer           depth  stored  dense  bytes
    0      Conv         1     288  1,152  3,588
    1      ReLU         1       0      0      0
    2      MaxPool      5     112  1,664  1,580
           total        7     400  2,816  5,168

    It is what is built then:

    >>> weights = [layer.weight for layer in to_mlp(net).layers if isinstance(layer, Dense)]
    >>> sum(weight.nnz for weight in weights) == table.total.stored
    True
    """
    number = network_dtype(net) if dtype is None else np.dtype(dtype)
    plan = Plan(net, number)
    costs = []
    for position, layer in enumerate(net.layers):
        own = [stage for stage in plan.stages if stage.owner == position]
        dense = sum(math.prod(stage.shape) for stage in own if stage.parts)
        stored = sum(stage.stored(number) for stage in own)
        nbytes = sum(stage.nbytes(number) for stage in own)
        costs.append(Cost(position, layer.name, len(own), stored, dense, nbytes))
    return ConversionTable(costs)
