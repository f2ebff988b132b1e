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
from .. import products
from ..graph import Builder, Operand, Reduction, Value, chosen
from ..interpolation import COORDINATES, cubic, nearest
from ..interpolation import linear as linear_between
from .shapes import (
    Axes,
    Called,
    Extremes,
    Traced,
    attribute,
    cat,
    channel_shuffle,
    chunk,
    expand,
    flatten,
    flip,
    index_select,
    item,
    movedim,
    narrow,
    numbers,
    optional_numbers,
    permute,
    pixel_shuffle,
    pixel_unshuffle,
    repeat,
    roll,
    select,
    size,
    split,
    squeeze,
    stack,
    transpose,
    unbind,
    unflatten,
    unsqueeze,
    view,
    windows,
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
    pool = AvgPool(
        _plain(kernel_size),
        count_include_pad=count_include_pad,
        stride=_plain(stride) if stride else None,
        padding=_plain(padding),
        ceil_mode=ceil_mode,
    )
    return (
        b.layer(pool, x) if divisor_override is None else b.divided_sum(x, pool, divisor_override)
    )


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
    if return_indices:
        raise UnsupportedLayer("return_indices=True has a second output")
    return b.largest_of_windows(x, _sizes(x, output_size))


def _adaptive_avg_pool(b: Builder, x: Value, m: nn.Module) -> Value:
    return adaptive_avg_pool(b, x, m.output_size)


def _adaptive_max_pool(b: Builder, x: Value, m: nn.Module) -> Value:
    return adaptive_max_pool(b, x, m.output_size, m.return_indices)


def reduce(
    kind: Reduction,
    b: Builder,
    x: Value,
    dim: Axes | None = None,
    keepdim: bool = False,
    dtype: object = None,
) -> Value:
    if dtype is not None:
        raise UnsupportedLayer(f"dtype (={dtype}) must not be given")
    return b.reduce(x, [dim] if isinstance(dim, int) else dim or None, kind, keep=keepdim)


def extreme(
    kind: Reduction,
    b: Builder,
    x: Operand,
    dim: Operand | None = None,
    keepdim: bool = False,
    other: Operand | None = None,
) -> Traced:
    """Read both functions of this name: the extremes along an axis, or of two tensors."""
    second = dim if other is None else other
    if isinstance(x, Value) and isinstance(second, int):
        return Extremes(b.reduce(x, [second], kind, keep=keepdim))
    if second is None:
        raise UnsupportedLayer("the axis must be named, because the batch is one of them")
    return b.larger(x, second) if kind == "max" else b.smaller(x, second)


def matmul(b: Builder, x: Operand, y: Operand) -> Value:
    return products.matmul(b, x, y)


def einsum(b: Builder, equation: str, *operands: Operand) -> Value:
    return products.summed(b, equation, operands)


def interpolate(
    b: Builder,
    x: Value,
    size: PerAxis | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Value:
    """Resize each spatial axis to a size or by a scale."""
    if antialias:
        raise UnsupportedLayer("antialias=True is not supported")
    chosen(RESIZED, mode, "mode")
    given = not recompute_scale_factor and not align_corners
    resized = _resized(x.shape[1:], size, scale_factor, given=given)
    if mode == "area":
        return b.layer(AdaptiveAvgPool(tuple(m for m, _ in resized)), x)
    b.check((x.shape[0], *(m for m, _ in resized)))
    coordinates = COORDINATES["align_corners" if align_corners else "half_pixel"]
    matrices: dict[int, Array] = {}
    for axis, (n, (m, scale)) in enumerate(zip(x.shape[1:], resized, strict=True), start=2):
        b.check((m, n))
        if mode.startswith("nearest"):  # in the precision in which PyTorch finds the places
            half = np.float32(0.5 if mode == "nearest-exact" else 0)
            places = (np.arange(m, dtype=np.float32) + half) * np.float32(1 / scale)
            x = b.take(x, axis, nearest(places, n, np.floor))
            continue
        places = coordinates(m, n, scale)
        matrix = cubic(places, n, -0.75) if mode == "bicubic" else linear_between(places, n)
        matrices[axis - 1] = matrix.astype(b.dtype)
    return b.interpolate(x, matrices)


def _resized(
    shape: Sequence[int],
    size: PerAxis | None,
    scale_factor: float | Sequence[float] | None,
    *,
    given: bool,
) -> list[tuple[int, float]]:
    """Return the new size of each axis, and its scale: the one that is given, or that of sizes."""
    one = scale_factor if size is None else size
    each: tuple[float, ...] = ()
    if isinstance(one, (tuple, list)):
        each = tuple(one)
    elif isinstance(one, (int, float)):
        each = (one,) * len(shape)
    if len(each) != len(shape):
        raise ValueError("size or scale_factor must be given for each spatial axis")
    if any(not 0 < f < LARGEST for f in each):
        raise ValueError(f"sizes and scales (={each}) must be positive and not huge")
    if size is not None:
        return [(int(m), m / n) for n, m in zip(shape, each, strict=True)]
    found = [(int(n * f), f if given else int(n * f) / n) for n, f in zip(shape, each, strict=True)]
    if min(m for m, _ in found) < 1:
        raise ValueError(f"scale_factor (={scale_factor}) leaves nothing of {tuple(shape)}")
    return found


def _upsample(b: Builder, x: Value, m: nn.Module) -> Value:
    again = getattr(m, "recompute_scale_factor", None)
    return interpolate(b, x, m.size, m.scale_factor, m.mode, m.align_corners, again)


#: How ``interpolate`` can resize.
RESIZED = dict.fromkeys(
    ("area", "bicubic", "bilinear", "linear", "nearest", "nearest-exact", "trilinear")
)

#: Sizes and scales from here on are no sizes.
LARGEST = 2**20


def unfold(
    b: Builder,
    x: Value,
    kernel_size: PerAxis,
    dilation: PerAxis = 1,
    padding: PerAxis = 0,
    stride: PerAxis = 1,
) -> Value:
    options: GeometryOptions = {"dilation": dilation, "padding": padding, "stride": stride}
    return b.unfold(x, _both(kernel_size), options)


def fold(
    b: Builder,
    x: Value,
    output_size: PerAxis,
    kernel_size: PerAxis,
    dilation: PerAxis = 1,
    padding: PerAxis = 0,
    stride: PerAxis = 1,
) -> Value:
    sizes = _both(output_size), _both(kernel_size)
    return b.fold(x, *sizes, stride=stride, padding=padding, dilation=dilation)


def _both(given: PerAxis) -> tuple[int, ...]:
    return (given, given) if isinstance(given, int) else tuple(given)


def _fold(b: Builder, x: Value, m: nn.Module) -> Value:
    return fold(b, x, m.output_size, m.kernel_size, m.dilation, m.padding, m.stride)


def _unfold(b: Builder, x: Value, m: nn.Module) -> Value:
    return unfold(b, x, m.kernel_size, m.dilation, m.padding, m.stride)


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


def hardsigmoid(b: Builder, x: Value, inplace: bool = False) -> Value:
    return b.hard_sigmoid(x, 1 / 6, 1 / 2)


def hardswish(b: Builder, x: Value, inplace: bool = False) -> Value:
    raise UnsupportedLayer("x times a hard sigmoid of x is quadratic between its corners")


def softshrink(b: Builder, x: Value, lambd: float = 0.5) -> Value:
    return b.subtract(x, b.clip(x, -lambd, lambd))


def threshold(b: Builder, x: Value, threshold: float, value: float, inplace: bool = False) -> Value:
    if value != threshold:
        raise UnsupportedLayer(
            f"with value (={value}) other than threshold (={threshold}) it jumps"
        )
    return b.clip(x, threshold, math.inf)


def absolute(b: Builder, x: Value) -> Value:
    return b.absolute(x)


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


def maximum(b: Builder, x: Operand, other: Operand) -> Value:
    return b.larger(x, other)


def minimum(b: Builder, x: Operand, other: Operand) -> Value:
    return b.smaller(x, other)


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
    "ChannelShuffle": lambda b, x, m: channel_shuffle(b, x, m.groups),
    "Fold": _fold,
    "Hardsigmoid": lambda b, x, m: hardsigmoid(b, x),
    "Hardswish": lambda b, x, m: hardswish(b, x),
    "PixelShuffle": lambda b, x, m: pixel_shuffle(b, x, m.upscale_factor),
    "PixelUnshuffle": lambda b, x, m: pixel_unshuffle(b, x, m.downscale_factor),
    "Softshrink": lambda b, x, m: softshrink(b, x, m.lambd),
    "Threshold": lambda b, x, m: threshold(b, x, m.threshold, m.value),
    "Unfold": _unfold,
    "Upsample": _upsample,
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
    **dict.fromkeys(("abs", "absolute"), absolute),
    "add": add,
    "amax": partial(reduce, "max"),
    "amin": partial(reduce, "min"),
    "chunk": chunk,
    **dict.fromkeys(("clamp", "clip"), clip),
    "div": divide,
    "flatten": flatten,
    "flip": flip,
    "index_select": index_select,
    "matmul": matmul,
    "max": partial(extreme, "max"),
    "maximum": maximum,
    "mean": partial(reduce, "mean"),
    "min": partial(extreme, "min"),
    "minimum": minimum,
    "movedim": movedim,
    "narrow": narrow,
    **dict.fromkeys(("neg", "negative"), negative),
    "roll": roll,
    "select": select,
    "split": split,
    **dict.fromkeys(("swapaxes", "swapdims"), transpose),
    "sum": partial(reduce, "sum"),
    "tile": repeat,
    "unbind": unbind,
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
    "expand": expand,
    "repeat": repeat,
    "unfold": windows,
    "relu_": partial(pointwise, ReLU),
    "size": size,
    "unflatten": unflatten,
    "view": view,
}

TORCH: Final[dict[str, Called]] = {
    **BOTH,
    **dict.fromkeys(("cat", "concat", "concatenate"), cat),
    "einsum": einsum,
    "mm": matmul,
    "stack": stack,
}

#: Functions of torch.nn.functional.
FUNCTIONAL: Final[dict[str, Called]] = {
    "alpha_dropout": dropout,
    "channel_shuffle": channel_shuffle,
    "dropout": dropout,
    "fold": fold,
    "hardsigmoid": hardsigmoid,
    "hardswish": hardswish,
    "hardtanh": hardtanh,
    "interpolate": interpolate,
    "leaky_relu": leaky_relu,
    "linear": linear,
    "pad": pad,
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "prelu": p_relu,
    "relu": partial(pointwise, ReLU),
    "relu6": partial(hardtanh, min_val=0, max_val=6),
    "sigmoid": partial(pointwise, Sigmoid),
    "softmax": softmax,
    "softshrink": softshrink,
    "tanh": partial(pointwise, Tanh),
    "threshold": threshold,
    "unfold": unfold,
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
    "abs": absolute,
    "getitem": item,
    "matmul": matmul,
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
