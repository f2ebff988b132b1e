"""From fully connected layers to convolutions, equal on every input."""

from __future__ import annotations

import copy
import math

import numpy as np

from ..convolution.csr import is_sparse
from ..convolution.matrix import (
    MAX_BYTES,
    MatrixTooLarge,
    checked_limit,
    dense_to_conv,
    readable,
)
from ..layers import (
    Add,
    BatchNorm,
    Concat,
    Conv,
    Dense,
    Flatten,
    Layer,
    Maximum,
    Network,
    Rearrange,
    Softmax,
)
from ..layers.network import checked_network


def to_cnn(net: Network, *, max_bytes: float = MAX_BYTES) -> Network:
    r"""Return the same function with convolutions in place of fully connected layers.

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
    >>> from equivlib.layers import Flatten, ReLU
    >>> rng = np.random.default_rng(0)
    >>> A, B, x = (rng.integers(-5, 6, shape) for shape in ((3, 8), (1, 3), (2, 2, 2)))
    >>> cnn = to_cnn(Network([Flatten(), Dense(A), ReLU(), Dense(B)], (2, 2, 2)))
    >>> [layer.weight.shape for layer in cnn.layers if layer.params]
    [(3, 2, 2, 2), (1, 3, 1, 1)]
    >>> bool((cnn(x).ravel() == B @ np.maximum(A @ x.ravel(), 0)).all())
    True
    """
    checked_network(net)
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
            layer = Rearrange(layer.indices[:, None, None], size=layer.size)
        elif isinstance(layer, (Add, BatchNorm, Concat, Maximum, Softmax)):
            for source, features in zip(sources, net.input_shapes(position), strict=True):
                pixel = (features[0], *(1,) * (len(shapes[source]) - 1))
                if len(features) == 1 and shapes[source] != pixel:  # each feature is a channel
                    indices = np.arange(features[0]).reshape(pixel)
                    layers.append(Rearrange(indices, source=place[source]))
                    place[source], shapes[source] = len(layers) - 1, pixel
        moved = tuple(place[source] for source in sources)
        layers.append(reading(layer, () if moved == (len(layers) - 1,) else moved))
        place[position] = len(layers) - 1
        shapes[position] = layer.output_shape(*(shapes[source] for source in sources))
    return Network(layers, shapes[-1], dtype=net.dtype)


def _as_convolution(layer: Dense, shape: tuple[int, ...], label: str) -> Conv:
    """Return a fully connected layer as a convolution over the full extent of its input."""
    if "weight" not in layer.params:
        raise ValueError(f"{label} has an operator as weight: there are no numbers for a kernel")
    weight = layer.weight.toarray() if is_sparse(layer.weight) else layer.weight
    return Conv(dense_to_conv(weight, shape), layer.bias)


def reading(layer: Layer, sources: tuple[int, ...]) -> Layer:
    """Return the layer, reading other positions: a copy, as the given network keeps its own."""
    if layer.sources == sources:
        return layer
    moved = copy.copy(layer)
    moved.sources = sources
    return moved
