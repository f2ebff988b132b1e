"""A network over a larger input: its outputs at every place, and when they are those of crops."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

from .convert import to_cnn
from .convolution.geometry import checked_shape
from .layers import (
    AdaptiveAvgPool,
    AvgPool,
    Conv,
    ConvTranspose,
    Layer,
    MaxPool,
    Network,
    Rearrange,
    Resample,
)

Strides = tuple[int, ...]


class Sliding(NamedTuple):
    """A network on a larger input, and how far apart the places are that it looks at.

    Attributes
    ----------
    network : Network
        Its output is the score map, ``(units, *positions)``.
    stride : tuple of int
        Position ``p`` of the score map belongs to the crop that begins at ``p * stride``.
    """

    network: Network
    stride: Strides


def slide(net: Network, input_shape: Sequence[int], *, exact: bool = True) -> Sliding:
    r"""Apply a network at every place of a larger input, all at once.

    .. math:: map[:, p] = net(x[:, \, S p : S p + n])

    for every crop that lies inside x, with n the size that the network is made for and S the
    product of all strides. What neighbouring crops share is computed once, before the fully
    connected layers.

    This is an equality if nothing that an output reads depends on where the crop ends. So:

    - No layer pads. Beyond the border of a crop padding shows 0 (or a mirror image), and the
      larger input shows its own numbers. (Padding that no output reads would do no harm, and is
      refused too.)
    - All that a layer with several inputs reads (Add, Concat, Maximum) has moved by one stride.
    - Averages over the whole input become averages over windows of the size that it has here.

    Parameters
    ----------
    net : Network
        Convolutions, pools, activations, then Flatten and Dense; or a multilayer perceptron,
        which is applied at every pixel.
    input_shape : tuple of int
        ``(channels, *spatial)``, at least as large as that of ``net``.
    exact : bool, default True
        If False, a layer that pads gives a warning instead of an error: then the score map is that
        of the larger input, which in general differs from the scores of the crops.

    Returns
    -------
    Sliding
        ``network`` and ``stride``.

    Raises
    ------
    ValueError
        Names the layer and the reason why the score map need not be that of crops.

    See Also
    --------
    to_cnn : how the fully connected layers become convolutions.

    Examples
    --------
    A network for 4 numbers, with stride 2, on 8 of them::

        0 1 2 3 4 5 6 7
        [     ]             map[0]
            [     ]         map[1]
                [     ]     map[2]

    >>> import numpy as np
    >>> from equivlib.layers import Dense, Flatten
    >>> rng = np.random.default_rng(0)
    >>> k, W, x = (rng.integers(-5, 6, shape) for shape in ((2, 1, 2), (3, 4), (1, 8)))
    >>> net = Network([Conv(k, stride=2), Flatten(), Dense(W)], (1, 4))
    >>> network, stride = slide(net, (1, 8))
    >>> stride, network.output_shape
    ((2,), (3, 3))
    >>> crops = [net(x[:, 2 * p : 2 * p + 4]) for p in range(3)]
    >>> bool((network(x) == np.stack(crops, axis=1)).all())
    True
    """
    cnn = to_cnn(net)
    larger = checked_shape("input_shape", input_shape)
    fits = len(larger) == len(cnn.input_shape) and larger[0] == cnn.input_shape[0]
    if not fits or any(n < m for n, m in zip(larger, cnn.input_shape, strict=True)):
        raise ValueError(
            f"input_shape (={larger}) must have the channels of the network's input "
            f"{cnn.input_shape}, and along each axis at least its size"
        )
    ndim = len(larger) - 1
    strides: dict[int, Strides] = {-1: (1,) * ndim}
    layers: list[Layer] = []
    for position, layer in enumerate(cnn.layers):
        before = {strides[source] for source in cnn.sources(position)}
        shape = cnn.input_shapes(position)[0]
        layer, step = _sliding(layer, shape, cnn.label(position), exact)
        if len(before) > 1:
            raise ValueError(
                f"{cnn.label(position)} joins values whose strides differ: "
                f"{', '.join(map(str, sorted(before)))}"
            )
        layers.append(layer)
        pairs = zip(before.pop(), step, strict=True)
        strides[position] = tuple(a * b for a, b in pairs)
    return Sliding(Network(layers, larger, dtype=cnn.dtype), strides[len(layers) - 1])


def _sliding(
    layer: Layer, shape: tuple[int, ...], label: str, exact: bool
) -> tuple[Layer, Strides]:
    """Return the layer as it slides, and its stride; or why it does not."""
    once = (1,) * (len(shape) - 1)
    if isinstance(layer, ConvTranspose):
        raise ValueError(
            f"{label} spreads each number over several outputs, so those at the border of a crop "
            "lack what numbers outside it add"
        )
    if isinstance(layer, Rearrange):
        raise ValueError(f"{label} moves each number of an input of one size to a place of its own")
    if isinstance(layer, Resample):
        raise ValueError(f"{label} interpolates over an input of one size")
    if isinstance(layer, AdaptiveAvgPool):
        layer = _fixed_windows(layer, shape, label)
    if not isinstance(layer, (Conv, MaxPool, AvgPool)):
        return layer, once
    if layer.options.get("ceil_mode", False):
        raise ValueError(f"{label} has ceil_mode=True: its last window depends on the size")
    geometry = layer.geometry(shape)
    if any(low or high for low, high in geometry.padding):
        reason = (
            f"{label} pads its input (padding={geometry.padding}): near the border of a crop it "
            "reads padding where the larger input has numbers, so the score map need not be that "
            "of crops"
        )
        if exact:
            raise ValueError(f"{reason}; exact=False slides all the same")
        warnings.warn(reason, stacklevel=3)
    return layer, geometry.stride


def _fixed_windows(layer: AdaptiveAvgPool, shape: tuple[int, ...], label: str) -> AvgPool:
    """Return the windows that an adaptive average has on an input of this shape."""
    sizes = layer.output_shape(shape)[1:]
    if any(n % m for n, m in zip(shape[1:], sizes, strict=True)):
        raise ValueError(
            f"{label} averages over windows of unequal sizes: {shape[1:]} elements for {sizes} "
            "outputs"
        )
    window = tuple(n // m for n, m in zip(shape[1:], sizes, strict=True))
    # A single window can move by one element: nothing says where the next one is.
    stride = tuple(1 if m == 1 else n for n, m in zip(window, sizes, strict=True))
    fixed = AvgPool(window, stride=stride)
    fixed.sources = layer.sources
    return fixed
