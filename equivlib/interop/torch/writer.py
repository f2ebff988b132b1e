"""Networks as PyTorch modules: one rule per kind of layer."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from functools import reduce, singledispatch
from typing import TYPE_CHECKING

import numpy as np

from ...convert import UnsupportedLayer
from ...convolution.csr import is_sparse
from ...convolution.geometry import Geometry
from ...convolution.matrix import MAX_BYTES, MatrixTooLarge, readable
from ...convolution.options import Pairs
from ...convolution.patches import Array, DType
from ...layers import (
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
from ...layers.base import Shape
from ..graph import float_dtype

if TYPE_CHECKING:
    import torch
    from torch import nn

PADDING = {"reflect": "ReflectionPad", "replicate": "ReplicationPad", "circular": "CircularPad"}


def to_torch(net: Network) -> torch.nn.Module:
    r"""Return a PyTorch module with the numbers of a network.

    .. math:: module(x) = net(x)

    for every batch ``x``, up to rounding, in the precision of the parameters.

    Parameters
    ----------
    net : Network
        Of float32 or float64 numbers; integers become float64.

    Returns
    -------
    torch.nn.Module
        In eval mode. An ``nn.Sequential`` if each layer reads the one before it, otherwise a
        module that runs the same list. Sparse weights become dense ones, because the gradient of
        ``nn.Linear`` is.

    Raises
    ------
    MatrixTooLarge
        If the dense weights would take over 4 GiB.
    UnsupportedLayer
        If a layer has no PyTorch equivalent. Names the layer and why.
    ValueError
        If the network holds exact objects or complex numbers.

    Examples
    --------
    ::

        module = to_torch(equivlib.to_mlp(net))
        y = module(torch.from_numpy(x).flatten(1))
    """
    from torch import nn

    dtype = float_dtype(net)
    size = sum(math.prod(value.shape) for _, _, value in net.parameters()) * dtype.itemsize
    if size > MAX_BYTES:
        raise MatrixTooLarge(f"the dense weights would take {readable(size)}, over 4 GiB")
    modules = [_module(net, position, dtype) for position in range(len(net.layers))]
    sources = [net.sources(position) for position in range(len(net.layers))]
    chain = all(each == (position - 1,) for position, each in enumerate(sources))
    module: nn.Module = nn.Sequential(*modules) if chain else _graph(modules, sources)
    return module.eval()


def _graph(modules: list[nn.Module], sources: list[tuple[int, ...]]) -> nn.Module:
    """Return a module that runs a list in which layers name what they read."""
    from torch import nn

    class Graph(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layers, self.sources = nn.ModuleList(modules), sources

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            values = [x]
            for layer, read in zip(self.layers, self.sources, strict=True):
                values.append(layer(*(values[source + 1] for source in read)))
            return values[-1]

    return Graph()


def _module(net: Network, position: int, dtype: DType) -> nn.Module:
    try:
        return to_module(net.layers[position], net.input_shapes(position)[0], dtype)
    except UnsupportedLayer as error:
        label = net.label(position)
        raise UnsupportedLayer(f"{label} has no PyTorch equivalent: {error}") from None


@singledispatch
def to_module(layer: Layer, shape: Shape, dtype: DType) -> nn.Module:
    """Return the module of a layer that reads this shape; its class chooses the rule.

    An UnsupportedLayer says why there is none; the caller names the layer.
    """
    raise UnsupportedLayer("layers of its class are not supported")


def _of_axes(name: str, ndim: int) -> type[nn.Module]:
    from torch import nn

    if ndim > 3:
        raise UnsupportedLayer(f"{name} has at most 3 spatial axes, not {ndim}")
    kind: type[nn.Module] = getattr(nn, f"{name}{ndim}d")
    return kind


def _filled(module: nn.Module, dtype: DType, **values: Array) -> nn.Module:
    """Return the module with these parameters and buffers."""
    import torch

    for name, value in values.items():
        tensor = torch.tensor(np.ascontiguousarray(value).astype(dtype))
        known = dict(module.named_buffers(recurse=False))
        setattr(module, name, tensor if name in known else torch.nn.Parameter(tensor))
    return module


@to_module.register(Dense)
def _dense(layer: Dense, shape: Shape, dtype: DType) -> nn.Module:
    from torch import nn

    if "weight" not in layer.params:
        raise UnsupportedLayer("its weight is an operator, so there are no numbers to copy")
    units, features = layer.weight.shape
    weight = layer.weight.toarray() if is_sparse(layer.weight) else layer.weight
    bias = {} if layer.bias is None else {"bias": layer.bias}
    module = nn.utils.skip_init(nn.Linear, features, units, bias=bool(bias))
    return _filled(module, dtype, weight=weight, **bias)


def _numbers(geometry: Geometry, layer: Conv | ConvTranspose) -> dict[str, Array]:
    weight = layer.weight
    if geometry.flip:
        weight = np.flip(weight, tuple(range(2, weight.ndim)))
    return {"weight": weight} if layer.bias is None else {"weight": weight, "bias": layer.bias}


def _ends(padding: Sequence[tuple[int, int]]) -> list[int]:
    """Return padding as PyTorch lists it: the ends of the last axis first."""
    return [end for pair in reversed(padding) for end in pair]


def _padded(padding: Pairs, value: float, module: nn.Module) -> nn.Module:
    from torch import nn

    return nn.Sequential(_of_axes("ConstantPad", len(padding))(_ends(padding), value), module)


@to_module.register(Conv)
def _conv(layer: Conv, shape: Shape, dtype: DType) -> nn.Module:
    from torch import nn

    geometry = layer.geometry(shape)
    kind, padding = _of_axes("Conv", geometry.ndim), geometry.padding
    symmetric = all(low == high for low, high in padding) and geometry.padding_mode == "zeros"
    module = kind(
        geometry.in_channels,
        geometry.out_channels,
        geometry.kernel_size,
        stride=geometry.stride,
        padding=tuple(low for low, _ in padding) if symmetric else 0,
        dilation=geometry.dilation,
        groups=geometry.groups,
        bias=layer.bias is not None,
    )
    module = _filled(module, dtype, **_numbers(geometry, layer))
    if symmetric:
        return module
    if geometry.padding_mode == "zeros":
        return _padded(padding, 0, module)
    if geometry.padding_mode not in PADDING:
        raise UnsupportedLayer(f"padding_mode (={geometry.padding_mode!r}) is not supported")
    name = PADDING[geometry.padding_mode]
    return nn.Sequential(_of_axes(name, geometry.ndim)(tuple(_ends(padding))), module)


@to_module.register(ConvTranspose)
def _conv_transpose(layer: ConvTranspose, shape: Shape, dtype: DType) -> nn.Module:
    """Write it without padding, then cut to its size, unless PyTorch can say it in one."""
    geometry = layer.geometry(shape)
    if geometry.padding_mode != "zeros":
        raise UnsupportedLayer(f"padding_mode (={geometry.padding_mode!r}) must be 'zeros'")
    axes = list(zip(geometry.axes, shape[1:], strict=True))
    whole = [axis.stride * (n - 1) + axis.extent for axis, n in axes]
    extra = [axis.size - (n - 2 * axis.low) for (axis, _), n in zip(axes, whole, strict=True)]
    limits = [max(axis.stride, axis.dilation) for axis, _ in axes]
    plain = all(0 <= more < limit for more, limit in zip(extra, limits, strict=True))
    module = _of_axes("ConvTranspose", geometry.ndim)(
        shape[0],
        geometry.in_channels,
        geometry.kernel_size,
        stride=geometry.stride,
        padding=tuple(axis.low for axis, _ in axes) if plain else 0,
        output_padding=tuple(extra) if plain else 0,
        dilation=geometry.dilation,
        groups=geometry.groups,
        bias=layer.bias is not None,
    )
    module = _filled(module, dtype, **_numbers(geometry, layer))
    if plain:
        return module
    cuts = [(axis.low, n - axis.low - axis.size) for (axis, _), n in zip(axes, whole, strict=True)]
    if any(high < 0 for _, high in cuts):
        raise UnsupportedLayer("it has more output padding than PyTorch allows")
    from torch import nn

    ends = _ends([(-low, -high) for low, high in cuts])
    return nn.Sequential(module, _of_axes("ConstantPad", geometry.ndim)(ends, 0))


@to_module.register(BatchNorm)
def _batch_norm(layer: BatchNorm, shape: Shape, dtype: DType) -> nn.Module:
    module = _of_axes("BatchNorm", max(1, len(shape) - 1))(len(layer.mean), eps=float(layer.eps))
    numbers = {"weight": layer.params["gamma"], "bias": layer.params["beta"]}
    return _filled(module, dtype, running_mean=layer.mean, running_var=layer.var, **numbers)


def _symmetric(padding: Pairs, kernel_size: tuple[int, ...]) -> bool:
    """Return whether PyTorch pools with this padding: equal at both ends, half a window at most."""
    pairs = zip(padding, kernel_size, strict=True)
    return all(low == high and 2 * low <= k for (low, high), k in pairs)


@to_module.register(MaxPool)
def _max_pool(layer: MaxPool, shape: Shape, dtype: DType) -> nn.Module:
    geometry = layer.geometry(shape)
    kind = _of_axes("MaxPool", geometry.ndim)
    plain = _symmetric(geometry.padding, geometry.kernel_size)
    padding = tuple(low for low, _ in geometry.padding) if plain else 0
    module = kind(geometry.kernel_size, geometry.stride, padding, geometry.dilation)
    return module if plain else _padded(geometry.padding, -math.inf, module)


@to_module.register(AvgPool)
def _avg_pool(layer: AvgPool, shape: Shape, dtype: DType) -> nn.Module:
    geometry, padding = layer.geometry(shape), layer.padding(shape)
    kind, ceil = _of_axes("AvgPool", geometry.ndim), padding != geometry.padding
    given = geometry.kernel_size, geometry.stride
    if _symmetric(padding, geometry.kernel_size):
        low = tuple(low for low, _ in padding)
        return kind(*given, low, ceil_mode=ceil, count_include_pad=layer.count_include_pad)
    if ceil or not layer.count_include_pad:
        raise UnsupportedLayer(f"padding (={padding}) must be alike at both ends")
    return _padded(padding, 0, kind(*given))


@to_module.register(AdaptiveAvgPool)
def _adaptive(layer: AdaptiveAvgPool, shape: Shape, dtype: DType) -> nn.Module:
    return _of_axes("AdaptiveAvgPool", len(shape) - 1)(layer.output_shape(shape)[1:])


@to_module.register(Resample)
def _resample(layer: Resample, shape: Shape, dtype: DType) -> nn.Module:
    import torch

    class Interpolated(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            for axis, matrix in enumerate(layer.matrices, start=2):
                turned = np.ascontiguousarray(matrix.T.astype(dtype))
                self.register_buffer(f"axis{axis}", torch.from_numpy(turned))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for axis in range(2, 2 + len(layer.matrices)):
                product = torch.matmul(x.transpose(axis, -1), getattr(self, f"axis{axis}"))
                x = product.transpose(axis, -1)
            return x

    return Interpolated()


@to_module.register(Rearrange)
def _rearrange(layer: Rearrange, shape: Shape, dtype: DType) -> nn.Module:
    import torch

    places = layer.indices.ravel().astype(np.int64)
    zeros = bool((places < 0).any())  # which read a zero that is put at the end
    places = np.where(places < 0, layer.size, places)

    class Moved(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("places", torch.from_numpy(places))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = torch.flatten(x, 1)
            if zeros:
                x = torch.nn.functional.pad(x, (0, 1))
            return torch.index_select(x, 1, self.places)

    steps = [torch.nn.Flatten() if layer.keeps_order else Moved()]
    if layer.indices.ndim > 1:
        steps.append(torch.nn.Unflatten(1, layer.indices.shape))
    return torch.nn.Sequential(*steps)


@to_module.register(ReLU)
def _relu(layer: ReLU, shape: Shape, dtype: DType) -> nn.Module:
    from torch import nn

    return nn.ReLU()


@to_module.register(LeakyReLU)
def _leaky_relu(layer: LeakyReLU, shape: Shape, dtype: DType) -> nn.Module:
    from torch import nn

    return nn.LeakyReLU(float(layer.slope))


@to_module.register(ReLU6)
def _relu6(layer: ReLU6, shape: Shape, dtype: DType) -> nn.Module:
    from torch import nn

    return nn.ReLU6()


@to_module.register(Sigmoid)
def _sigmoid(layer: Sigmoid, shape: Shape, dtype: DType) -> nn.Module:
    from torch import nn

    return nn.Sigmoid()


@to_module.register(Tanh)
def _tanh(layer: Tanh, shape: Shape, dtype: DType) -> nn.Module:
    from torch import nn

    return nn.Tanh()


@to_module.register(Softmax)
def _softmax(layer: Softmax, shape: Shape, dtype: DType) -> nn.Module:
    from torch import nn

    return nn.Softmax(1)


@to_module.register(Flatten)
def _flatten(layer: Flatten, shape: Shape, dtype: DType) -> nn.Module:
    from torch import nn

    return nn.Flatten()


@to_module.register(Add)
def _add(layer: Add, shape: Shape, dtype: DType) -> nn.Module:
    return _joining(lambda *xs: reduce(operator.add, xs))


@to_module.register(Maximum)
def _maximum(layer: Maximum, shape: Shape, dtype: DType) -> nn.Module:
    import torch

    return _joining(lambda *xs: reduce(torch.maximum, xs))


@to_module.register(Concat)
def _concat(layer: Concat, shape: Shape, dtype: DType) -> nn.Module:
    import torch

    return _joining(lambda *xs: torch.cat(xs, 1))


def _joining(function: Callable[..., torch.Tensor]) -> nn.Module:
    """Return a module that applies a function to all that its layer reads."""
    from torch import nn

    class Joining(nn.Module):  # type: ignore[misc]
        def forward(self, *xs: torch.Tensor) -> torch.Tensor:
            return function(*xs)

    return Joining()
