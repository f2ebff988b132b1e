"""One rule for each PyTorch module, function and method, in tables at the end."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

import numpy as np

from ...convert import UnsupportedLayer
from ...convolution.options import GeometryOptions, PaddingMode, PaddingWord, PerAxis
from ...convolution.patches import Array
from ...layers import (
    AdaptiveAvgPool,
    AvgPool,
    BatchNorm,
    Conv,
    ConvTranspose,
    Layer,
    LeakyReLU,
    MaxPool,
    ReLU,
    Sigmoid,
    Tanh,
)
from ..graph import Builder, Operand, Value, chosen
from .shapes import (
    Axes,
    Called,
    attribute,
    flatten,
    index_select,
    item,
    numbers,
    optional_numbers,
    permute,
    size,
    squeeze,
    transpose,
    unflatten,
    unsqueeze,
    view,
)

if TYPE_CHECKING:
    from torch import nn

T = TypeVar("T")

#: Rule of a module, with the value that it reads.
Rule: TypeAlias = "Callable[[Builder, Value, nn.Module], Value]"

#: A function, or the type of a module.
Key: TypeAlias = Callable[..., object]

# --- layers -------------------------------------------------------------------------------------


def _conv(b: Builder, x: Value, m: nn.Module) -> Value:
    options = {"stride": m.stride, "dilation": m.dilation, "groups": m.groups}
    options |= {"padding": m.padding, "padding_mode": m.padding_mode}
    return b.layer(Conv(numbers(m.weight), optional_numbers(m.bias), **options), x)


def _conv_transpose(b: Builder, x: Value, m: nn.Module) -> Value:
    options = {"stride": m.stride, "dilation": m.dilation, "groups": m.groups}
    options |= {"padding": m.padding, "output_padding": m.output_padding}
    return b.layer(ConvTranspose(numbers(m.weight), optional_numbers(m.bias), **options), x)


def _linear(b: Builder, x: Value, m: nn.Module) -> Value:
    return linear(b, x, numbers(m.weight), optional_numbers(m.bias))


def linear(b: Builder, x: Value, weight: Array, bias: Array | None = None) -> Value:
    return b.dense(x, weight, bias)


def conv(
    b: Builder,
    x: Value,
    weight: Array,
    bias: Array | None = None,
    stride: PerAxis = 1,
    padding: PerAxis | PaddingWord = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
) -> Value:
    options: GeometryOptions = {
        "stride": _plain(stride),
        "padding": padding if isinstance(padding, str) else _plain(padding),
        "dilation": _plain(dilation),
        "groups": groups,
    }
    return b.layer(Conv(weight, bias, **options), x)


def _plain(given: PerAxis) -> PerAxis:
    """Return the int in a tuple of one, which PyTorch takes for all axes."""
    return given[0] if isinstance(given, tuple) and len(given) == 1 else given


def _batch_norm(b: Builder, x: Value, m: nn.Module) -> Value:
    if m.running_mean is None:
        raise UnsupportedLayer("track_running_stats=False uses statistics of the batch")
    mean, var = numbers(m.running_mean), numbers(m.running_var)
    gamma = np.ones_like(mean) if m.weight is None else numbers(m.weight)
    beta = np.zeros_like(mean) if m.bias is None else numbers(m.bias)
    return b.layer(BatchNorm(gamma, beta, mean, var, m.eps), x)


def max_pool(
    b: Builder,
    x: Value,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Value:
    if return_indices:
        raise UnsupportedLayer("return_indices=True has a second output")
    pool = MaxPool(
        _plain(kernel_size),
        stride=_plain(stride) if stride else None,
        padding=_plain(padding),
        dilation=_plain(dilation),
        ceil_mode=ceil_mode,
    )
    return b.layer(pool, x)


def avg_pool(
    b: Builder,
    x: Value,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Value:
    if divisor_override is not None:
        raise UnsupportedLayer(f"divisor_override (={divisor_override}) is not supported")
    pool = AvgPool(
        _plain(kernel_size),
        count_include_pad=count_include_pad,
        stride=_plain(stride) if stride else None,
        padding=_plain(padding),
        ceil_mode=ceil_mode,
    )
    return b.layer(pool, x)


def _max_pool(b: Builder, x: Value, m: nn.Module) -> Value:
    geometry = m.kernel_size, m.stride, m.padding, m.dilation
    return max_pool(b, x, *geometry, m.ceil_mode, m.return_indices)


def _avg_pool(b: Builder, x: Value, m: nn.Module) -> Value:
    override = getattr(m, "divisor_override", None)
    geometry = m.kernel_size, m.stride, m.padding
    return avg_pool(b, x, *geometry, m.ceil_mode, m.count_include_pad, override)


def _sizes(x: Value, output_size: PerAxis) -> tuple[int, ...]:
    """Return an output size for each axis; None keeps that of the input."""
    ndim = len(x.shape) - 1
    each = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * ndim
    if len(each) != ndim:
        raise ValueError(f"output_size (={output_size}) does not fit a value of shape {x.shape}")
    return tuple(n if m is None else m for n, m in zip(x.shape[1:], each, strict=True))


def adaptive_avg_pool(b: Builder, x: Value, output_size: PerAxis) -> Value:
    return b.layer(AdaptiveAvgPool(_sizes(x, output_size)), x)


def adaptive_max_pool(
    b: Builder, x: Value, output_size: PerAxis, return_indices: bool = False
) -> Value:
    sizes = _sizes(x, output_size)
    if return_indices or any(n % m for n, m in zip(x.shape[1:], sizes, strict=True)):
        raise UnsupportedLayer(f"windows of unequal sizes, of {x.shape[1:]} elements for {sizes}")
    return b.layer(MaxPool(tuple(n // m for n, m in zip(x.shape[1:], sizes, strict=True))), x)


def _adaptive_avg_pool(b: Builder, x: Value, m: nn.Module) -> Value:
    return adaptive_avg_pool(b, x, m.output_size)


def _adaptive_max_pool(b: Builder, x: Value, m: nn.Module) -> Value:
    return adaptive_max_pool(b, x, m.output_size, m.return_indices)


def mean(b: Builder, x: Value, dim: Axes | None = None, keepdim: bool = False) -> Value:
    return b.mean(x, [dim] if isinstance(dim, int) else dim, keep=keepdim)


# --- activations --------------------------------------------------------------------------------


def pointwise(make: Callable[[], Layer], b: Builder, x: Value, inplace: bool = False) -> Value:
    return b.pointwise(make(), x)


def leaky_relu(b: Builder, x: Value, negative_slope: float = 0.01, inplace: bool = False) -> Value:
    return b.pointwise(LeakyReLU(negative_slope), x)


def _p_relu(b: Builder, x: Value, m: nn.Module) -> Value:
    return p_relu(b, x, numbers(m.weight))


def p_relu(b: Builder, x: Value, weight: Array) -> Value:
    return b.leaky(x, weight.reshape(-1, *(1,) * (len(x.shape) - 1)))


def clip(
    b: Builder, x: Value, min: float | None = None, max: float | None = None, inplace: bool = False
) -> Value:
    low, high = (-math.inf if min is None else min), (math.inf if max is None else max)
    return b.clip(x, low, high)


def hardtanh(
    b: Builder, x: Value, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Value:
    return b.clip(x, min_val, max_val)


def softmax(
    b: Builder, x: Value, dim: int | None = None, _stacklevel: int = 3, dtype: object = None
) -> Value:
    if dim is None or dtype is not None:
        raise UnsupportedLayer(f"dim (={dim}) must be given, and dtype (={dtype}) must not")
    return b.softmax(x, dim)


def dropout(
    b: Builder, x: Value, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Value:
    if training:
        raise UnsupportedLayer("training=True drops numbers at random: pass training=self.training")
    return x


def _passed_on(b: Builder, x: Value, m: nn.Module) -> Value:
    return x


def contiguous(b: Builder, x: Value, memory_format: object = None) -> Value:
    return x


# --- arithmetic ---------------------------------------------------------------------------------


def add(b: Builder, x: Operand, y: Operand, alpha: float = 1) -> Value:
    return b.add(x, _times(b, y, alpha))


def subtract(b: Builder, x: Operand, y: Operand, alpha: float = 1) -> Value:
    return b.subtract(x, _times(b, y, alpha))


def _times(b: Builder, y: Operand, alpha: float) -> Operand:
    if alpha == 1:
        return y
    return b.multiply(y, alpha) if isinstance(y, Value) else np.asarray(y) * alpha


def multiply(b: Builder, x: Operand, y: Operand) -> Value:
    return b.multiply(x, y)


def divide(b: Builder, x: Operand, y: Operand) -> Value:
    return b.divide(x, y)


def negative(b: Builder, x: Value) -> Value:
    return b.negative(x)


def pad(
    b: Builder, x: Value, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Value:
    """Read padding whose list begins with the ends of the last axis."""
    pairs = list(zip(pad[::2], pad[1::2], strict=True))[::-1]
    return b.pad(x, pairs, chosen(PADDING, mode, "mode"), value or 0)


def _padding(mode: str, b: Builder, x: Value, m: nn.Module) -> Value:
    return pad(b, x, m.padding, mode, getattr(m, "value", None))


PADDING: Final[dict[str, PaddingMode]] = {
    "constant": "zeros",
    "reflect": "reflect",
    "replicate": "replicate",
    "circular": "circular",
}


def _of_axes(name: str, rule: T) -> dict[str, T]:
    """Return a rule under its name for 1, 2 and 3 axes."""
    return {name.format(ndim): rule for ndim in (1, 2, 3)}


# --- tables -------------------------------------------------------------------------------------


#: Modules of torch.nn.
NN: Final[dict[str, Rule]] = {
    "Linear": _linear,
    "ReLU": lambda b, x, m: b.pointwise(ReLU(), x),
    "LeakyReLU": lambda b, x, m: b.pointwise(LeakyReLU(m.negative_slope), x),
    "PReLU": _p_relu,
    "Hardtanh": lambda b, x, m: b.clip(x, m.min_val, m.max_val),  # ReLU6 is one
    "Sigmoid": lambda b, x, m: b.pointwise(Sigmoid(), x),
    "Tanh": lambda b, x, m: b.pointwise(Tanh(), x),
    "Softmax": lambda b, x, m: softmax(b, x, m.dim),
    "Softmax2d": lambda b, x, m: b.softmax(x, 1),
    "Flatten": lambda b, x, m: flatten(b, x, m.start_dim, m.end_dim),
    "Unflatten": lambda b, x, m: unflatten(b, x, m.dim, m.unflattened_size),
    "Identity": _passed_on,
    "Dropout": _passed_on,
    "AlphaDropout": _passed_on,
    "FeatureAlphaDropout": _passed_on,
    **_of_axes("Conv{}d", _conv),
    **_of_axes("ConvTranspose{}d", _conv_transpose),
    **_of_axes("BatchNorm{}d", _batch_norm),
    **_of_axes("MaxPool{}d", _max_pool),
    **_of_axes("AvgPool{}d", _avg_pool),
    **_of_axes("AdaptiveAvgPool{}d", _adaptive_avg_pool),
    **_of_axes("AdaptiveMaxPool{}d", _adaptive_max_pool),
    **_of_axes("Dropout{}d", _passed_on),
    **_of_axes("ZeroPad{}d", partial(_padding, "constant")),
    **_of_axes("ConstantPad{}d", partial(_padding, "constant")),
    **_of_axes("ReflectionPad{}d", partial(_padding, "reflect")),
    **_of_axes("ReplicationPad{}d", partial(_padding, "replicate")),
    **_of_axes("CircularPad{}d", partial(_padding, "circular")),
}

#: Functions of torch that are methods of a tensor too.
BOTH: Final[dict[str, Called]] = {
    "add": add,
    "clamp": clip,
    "flatten": flatten,
    "mean": mean,
    "mul": multiply,
    "permute": permute,
    "relu": partial(pointwise, ReLU),
    "reshape": view,
    "sigmoid": partial(pointwise, Sigmoid),
    "softmax": softmax,
    "squeeze": squeeze,
    "sub": subtract,
    "tanh": partial(pointwise, Tanh),
    "transpose": transpose,
    "unsqueeze": unsqueeze,
}

METHODS: Final[dict[str, Called]] = {
    **BOTH,
    "add_": add,
    "contiguous": contiguous,
    "relu_": partial(pointwise, ReLU),
    "size": size,
    "unflatten": unflatten,
    "view": view,
}

TORCH: Final[dict[str, Called]] = {
    **BOTH,
    "div": divide,
    "index_select": index_select,
    "neg": negative,
}

#: Functions of torch.nn.functional.
FUNCTIONAL: Final[dict[str, Called]] = {
    "alpha_dropout": dropout,
    "dropout": dropout,
    "hardtanh": hardtanh,
    "leaky_relu": leaky_relu,
    "linear": linear,
    "pad": pad,
    "prelu": p_relu,
    "relu": partial(pointwise, ReLU),
    "relu6": partial(hardtanh, min_val=0, max_val=6),
    "sigmoid": partial(pointwise, Sigmoid),
    "softmax": softmax,
    "tanh": partial(pointwise, Tanh),
    **_of_axes("adaptive_avg_pool{}d", adaptive_avg_pool),
    **_of_axes("adaptive_max_pool{}d", adaptive_max_pool),
    **_of_axes("avg_pool{}d", avg_pool),
    **_of_axes("conv{}d", conv),
    **_of_axes("dropout{}d", dropout),
    **_of_axes("max_pool{}d", max_pool),
}

#: Functions of the standard library's module operator.
OPERATOR: Final[dict[str, Called]] = {
    **dict.fromkeys(("add", "iadd"), add),
    **dict.fromkeys(("sub", "isub"), subtract),
    **dict.fromkeys(("mul", "imul"), multiply),
    **dict.fromkeys(("truediv", "itruediv"), divide),
    "getitem": item,
    "neg": negative,
}


@cache
def module_rules() -> dict[type[nn.Module], Rule]:
    """Return a rule for each kind of module. Needs torch, so it is a function."""
    from torch import nn

    return {getattr(nn, name): rule for name, rule in NN.items()}


@cache
def function_rules() -> dict[Key, Called]:
    """Return a rule for each function. Needs torch, so it is a function."""
    import torch

    tables = ((torch, TORCH), (torch.nn.functional, FUNCTIONAL), (operator, OPERATOR))
    rules = {
        getattr(origin, name): rule for origin, table in tables for name, rule in table.items()
    }
    return rules | {getattr: attribute}
