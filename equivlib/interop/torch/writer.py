"""PyTorch modules with the numbers of a network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...convert import UnsupportedLayer
from ...convert.plan import network_dtype
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
from ...layers.base import Shape

if TYPE_CHECKING:
    import torch
    from torch import nn

PADDING = {"reflect": "ReflectionPad", "replicate": "ReplicationPad", "circular": "CircularPad"}


def to_torch(net: Network) -> torch.nn.Module:
    r"""A PyTorch module with the numbers of a network.

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
        Names the layer that no module is equal to.

    Examples
    --------
    ::

        module = to_torch(equivlib.to_mlp(net))
        y = module(torch.from_numpy(x).flatten(1))
    """
    from torch import nn

    dtype = network_dtype(net)
    dtype = np.dtype(np.float64) if dtype.kind in "iu" else dtype
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"net (of dtype {dtype}) must hold float32 or float64 numbers")
    size = sum(math.prod(value.shape) for _, _, value in net.parameters()) * dtype.itemsize
    if size > MAX_BYTES:
        raise MatrixTooLarge(f"the dense weights would take {readable(size)}, over 4 GiB")
    modules = []
    for position, layer in enumerate(net.layers):
        try:
            modules.append(_module(layer, net.input_shapes(position)[0], dtype))
        except UnsupportedLayer as error:
            raise UnsupportedLayer(f"{net.label(position)}: {error}") from None
    sources = [net.sources(position) for position in range(len(net.layers))]
    chain = all(each == (position - 1,) for position, each in enumerate(sources))
    module: nn.Module = nn.Sequential(*modules) if chain else _graph(modules, sources)
    return module.eval()


def _graph(modules: list[nn.Module], sources: list[tuple[int, ...]]) -> nn.Module:
    """A module that runs a list in which layers name what they read."""
    from torch import nn

    class Graph(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layers, self.sources = nn.ModuleList(modules), sources

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            values = [x]
            for layer, read in zip(self.layers, self.sources, strict=True):
                inputs = [values[source + 1] for source in read]
                total = inputs[0]
                for other in inputs[1:]:
                    total = total + other
                values.append(layer(total))
            return values[-1]

    return Graph()


def _module(layer: Layer, shape: Shape, dtype: DType) -> nn.Module:
    rule = next((rule for kind, rule in RULES.items() if isinstance(layer, kind)), None)
    if rule is None:
        raise UnsupportedLayer("it is equal to no module")
    return rule(layer, shape, dtype)


def _of_axes(name: str, ndim: int) -> type[nn.Module]:
    from torch import nn

    if ndim > 3:
        raise UnsupportedLayer(f"PyTorch has no {name} of {ndim} spatial axes")
    kind: type[nn.Module] = getattr(nn, f"{name}{ndim}d")
    return kind


def _filled(module: nn.Module, dtype: DType, **values: Array) -> nn.Module:
    """The module with these parameters and buffers."""
    import torch

    for name, value in values.items():
        tensor = torch.tensor(np.ascontiguousarray(value).astype(dtype))
        known = dict(module.named_buffers(recurse=False))
        setattr(module, name, tensor if name in known else torch.nn.Parameter(tensor))
    return module


def _dense(layer: Dense, shape: Shape, dtype: DType) -> nn.Module:
    from torch import nn

    if "weight" not in layer.params:
        raise UnsupportedLayer("its weight is an operator: there are no numbers for a module")
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
    """PyTorch lists the ends of the last axis first."""
    return [end for pair in reversed(padding) for end in pair]


def _padded(padding: Pairs, value: float, module: nn.Module) -> nn.Module:
    from torch import nn

    return nn.Sequential(_of_axes("ConstantPad", len(padding))(_ends(padding), value), module)


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
        raise UnsupportedLayer(f"PyTorch has no padding_mode {geometry.padding_mode!r}")
    name = PADDING[geometry.padding_mode]
    return nn.Sequential(_of_axes(name, geometry.ndim)(tuple(_ends(padding))), module)


def _conv_transpose(layer: ConvTranspose, shape: Shape, dtype: DType) -> nn.Module:
    """Without padding, then cut to its size, unless PyTorch can say it in one."""
    geometry = layer.geometry(shape)
    if geometry.padding_mode != "zeros":
        raise UnsupportedLayer(f"PyTorch has no padding_mode {geometry.padding_mode!r} for it")
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


def _batch_norm(layer: BatchNorm, shape: Shape, dtype: DType) -> nn.Module:
    module = _of_axes("BatchNorm", max(1, len(shape) - 1))(len(layer.mean), eps=float(layer.eps))
    numbers = {"weight": layer.params["gamma"], "bias": layer.params["beta"]}
    return _filled(module, dtype, running_mean=layer.mean, running_var=layer.var, **numbers)


def _symmetric(geometry: Geometry) -> bool:
    """Whether PyTorch's pools have this padding: alike at both ends, half a window at most."""
    pairs = zip(geometry.padding, geometry.kernel_size, strict=True)
    return all(low == high and 2 * low <= k for (low, high), k in pairs)


def _max_pool(layer: MaxPool, shape: Shape, dtype: DType) -> nn.Module:
    geometry = layer.geometry(shape)
    kind, plain = _of_axes("MaxPool", geometry.ndim), _symmetric(geometry)
    padding = tuple(low for low, _ in geometry.padding) if plain else 0
    module = kind(geometry.kernel_size, geometry.stride, padding, geometry.dilation)
    return module if plain else _padded(geometry.padding, -math.inf, module)


def _avg_pool(layer: AvgPool, shape: Shape, dtype: DType) -> nn.Module:
    floor = layer.floor(shape)
    kind, ceil = _of_axes("AvgPool", floor.ndim), bool(layer.options.get("ceil_mode", False))
    given = floor.kernel_size, floor.stride
    if _symmetric(floor):
        padding = tuple(low for low, _ in floor.padding)
        return kind(*given, padding, ceil_mode=ceil, count_include_pad=layer.count_include_pad)
    if ceil or not layer.count_include_pad:
        raise UnsupportedLayer(f"PyTorch has no average pooling with padding {floor.padding}")
    return _padded(floor.padding, 0, kind(*given))


def _adaptive(layer: AdaptiveAvgPool, shape: Shape, dtype: DType) -> nn.Module:
    return _of_axes("AdaptiveAvgPool", len(shape) - 1)(layer.output_shape(shape)[1:])


def _rearrange(layer: Rearrange, shape: Shape, dtype: DType) -> nn.Module:
    import torch

    class Permuted(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("places", torch.from_numpy(layer.indices.ravel().astype(np.int64)))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.index_select(torch.flatten(x, 1), 1, self.places)

    steps = [torch.nn.Flatten() if layer.keeps_order else Permuted()]
    if layer.indices.ndim > 1:
        steps.append(torch.nn.Unflatten(1, layer.indices.shape))
    return torch.nn.Sequential(*steps)


def _plain(make: Callable[[Any, Any], Any]) -> Callable[[Any, Shape, Any], Any]:
    def rule(layer: Any, shape: Shape, dtype: DType) -> nn.Module:
        from torch import nn

        return make(nn, layer)

    return rule


RULES: dict[type[Layer], Callable[[Any, Shape, Any], Any]] = {
    Conv: _conv,
    ConvTranspose: _conv_transpose,
    Dense: _dense,
    BatchNorm: _batch_norm,
    MaxPool: _max_pool,
    AvgPool: _avg_pool,
    AdaptiveAvgPool: _adaptive,
    ReLU: _plain(lambda nn, layer: nn.ReLU()),
    LeakyReLU: _plain(lambda nn, layer: nn.LeakyReLU(float(layer.slope))),
    ReLU6: _plain(lambda nn, layer: nn.ReLU6()),
    Sigmoid: _plain(lambda nn, layer: nn.Sigmoid()),
    Tanh: _plain(lambda nn, layer: nn.Tanh()),
    Softmax: _plain(lambda nn, layer: nn.Softmax(1)),
    Flatten: _plain(lambda nn, layer: nn.Flatten()),
    Add: _plain(lambda nn, layer: nn.Identity()),  # the sum is made before it
    Rearrange: _rearrange,
}
