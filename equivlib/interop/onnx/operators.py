"""One rule for each ONNX operator: it parses the node and calls the builder. A table ends it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypedDict

from ...convert import UnsupportedLayer
from ...convolution.options import PaddingMode, PaddingWord, Pairs, PoolOptions
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
from .file import Node, integers


class Window(TypedDict):
    """Options that all operators with a window have."""

    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: Pairs | PaddingWord


class KernelWindow(Window):
    """The same with groups."""

    groups: int


AUTO_PAD: Final[dict[str, PaddingWord]] = {
    "SAME_UPPER": "same",
    "SAME_LOWER": "same_lower",
    "VALID": "valid",
}
PADDING_MODE: Final[dict[str, PaddingMode]] = {
    "constant": "zeros",
    "edge": "replicate",
    "reflect": "reflect",
    "wrap": "circular",
}


def pairs(pads: Sequence[int]) -> Pairs:
    """Return (low, high) pairs of ONNX's list: all low ends, then all high ends."""
    half = len(pads) // 2
    return tuple(zip(pads[:half], pads[half:], strict=True))


def window(node: Node, ndim: int) -> Window:
    """Return the stride, dilation and padding, which all operators with a window have."""
    auto_pad = node.text("auto_pad", "NOTSET")
    padding: Pairs | PaddingWord = pairs(node.per_axis("pads", 2 * ndim, 0))
    if auto_pad != "NOTSET":
        padding = chosen(AUTO_PAD, auto_pad, "auto_pad")
    return {
        "stride": node.per_axis("strides", ndim, 1),
        "dilation": node.per_axis("dilations", ndim, 1),
        "padding": padding,
    }


def _kernel(node: Node) -> tuple[Array, Array | None, KernelWindow]:
    weight, bias = node.constant(1), node.optional(2)
    if weight.ndim < 3:
        raise ValueError(f"its weight (of shape {weight.shape}) must have spatial axes")
    given = node.integers("kernel_shape", weight.shape[2:])
    if given != weight.shape[2:]:
        raise ValueError(f"its kernel_shape (={given}) is not that of weight {weight.shape}")
    groups = node.integer("group", 1)
    return weight, bias, {**window(node, weight.ndim - 2), "groups": groups}


def conv(b: Builder, node: Node) -> Value:
    weight, bias, options = _kernel(node)
    return b.layer(Conv(weight, bias, **options), node.value())


def conv_transpose(b: Builder, node: Node) -> Value:
    """Add a transposed convolution; a given output shape decides its pads, whatever they say."""
    x = node.value()
    weight, bias, options = _kernel(node)
    ndim = weight.ndim - 2
    extra = node.per_axis("output_padding", ndim, 0)
    sizes = node.integers("output_shape")
    if sizes is None:
        return b.layer(ConvTranspose(weight, bias, output_padding=extra, **options), x)
    sizes = sizes[-ndim:]
    if len(sizes) != ndim or len(x.shape) != ndim + 1:
        raise ValueError(f"its output_shape (={sizes}) must have a size for each spatial axis")
    steps = zip(
        x.shape[1:], weight.shape[2:], options["stride"], options["dilation"], extra, sizes,
        strict=True,
    )  # fmt: skip
    totals = [max(0, s * (n - 1) + d * (k - 1) + 1 + e - size) for n, k, s, d, e, size in steps]
    upper = options["padding"] == "same"
    halves = [(total // 2, total - total // 2) for total in totals]
    options["padding"] = tuple((a, c) if upper else (c, a) for a, c in halves)
    return b.layer(ConvTranspose(weight, bias, output_shape=sizes, **options), x)


def _pool_options(node: Node, x: Value) -> tuple[tuple[int, ...], PoolOptions]:
    kernel = node.integers("kernel_shape")
    if kernel is None or len(kernel) != len(x.shape) - 1:
        raise ValueError(f"its kernel_shape (={kernel}) must fit a value of shape {x.shape}")
    ceil_mode = bool(node.integer("ceil_mode", 0))
    return kernel, {**window(node, len(kernel)), "ceil_mode": ceil_mode}


def max_pool(b: Builder, node: Node) -> Value:
    node.ignore("storage_order")  # it is about the second output
    kernel, options = _pool_options(node, node.value())
    return b.layer(MaxPool(kernel, **options), node.value())


def average_pool(b: Builder, node: Node) -> Value:
    kernel, options = _pool_options(node, node.value())
    counted = bool(node.integer("count_include_pad", 0))
    return b.average(node.value(), AvgPool(kernel, count_include_pad=counted, **options))


def global_average_pool(b: Builder, node: Node) -> Value:
    return b.layer(AdaptiveAvgPool(1), node.value())


def global_max_pool(b: Builder, node: Node) -> Value:
    return b.layer(MaxPool(node.value().shape[1:]), node.value())


def reduce_mean(b: Builder, node: Node) -> Value:
    listed = node.integers("axes") if node.opset < 18 else _listed(node, 1)
    node.ignore("noop_with_empty_axes")
    return b.mean(node.value(), listed, keep=bool(node.integer("keepdims", 1)))


def _listed(node: Node, index: int) -> list[int] | None:
    """Return an input that lists axes, if it is there."""
    given = node.optional(index)
    return None if given is None else integers(given, "axes")


def batch_norm(b: Builder, node: Node) -> Value:
    if node.integer("training_mode", 0):
        raise UnsupportedLayer("training_mode=1 uses statistics of the batch")
    node.ignore("momentum")
    eps = node.number("epsilon", 1e-5)
    gamma, beta, mean, var = (node.constant(i) for i in range(1, 5))
    return b.layer(BatchNorm(gamma, beta, mean, var, eps), node.value())


def leaky_relu(b: Builder, node: Node) -> Value:
    return b.pointwise(LeakyReLU(node.number("alpha", 0.01)), node.value())


def p_relu(b: Builder, node: Node) -> Value:
    return b.leaky(node.value(), node.constant(1))


def _pointwise(make: Callable[[], Layer], b: Builder, node: Node) -> Value:
    return b.pointwise(make(), node.value())


def softmax(b: Builder, node: Node) -> Value:
    """Read a softmax; before version 13 it is over all axes from the given one on."""
    x = node.value()
    axis = node.integer("axis", -1 if node.opset >= 13 else 1)
    if node.opset >= 13:
        return b.softmax(x, axis)
    return b.softmax_from(x, axis)


def clip(b: Builder, node: Node) -> Value:
    low, high = node.optional(1), node.optional(2)
    bounds = [
        default if bound is None else _single(bound, "a bound")
        for bound, default in ((low, -math.inf), (high, math.inf))
    ]
    return b.clip(node.value(), *bounds)


def _single(array: Array, what: str) -> float:
    if array.size != 1:
        raise ValueError(f"{what} (of shape {array.shape}) must be one number")
    return float(array.item())


def gemm(b: Builder, node: Node) -> Value:
    alpha, beta = node.number("alpha", 1), node.number("beta", 1)
    trans_a, trans_b = node.integer("transA", 0), node.integer("transB", 0)
    x, weight, bias = node.value(), node.constant(1), node.optional(2)
    if trans_a:
        raise UnsupportedLayer("transA=1 makes the batch axis the last one")
    if len(x.shape) != 1 or weight.ndim != 2:
        raise ValueError(f"it multiplies a value of shape {x.shape} by one of {weight.shape}")
    weight = weight if trans_b else weight.T
    weight = weight if alpha == 1 else weight.dtype.type(alpha) * weight
    y = b.dense(x, weight)
    if bias is None or beta == 0:
        return y
    return b.add(y, bias.dtype.type(beta) * bias)


def matmul(b: Builder, node: Node) -> Value:
    x, weight = node.value(), node.constant(1)
    if weight.ndim != 2:
        raise UnsupportedLayer(f"its constant (of shape {weight.shape}) must be a matrix")
    return b.dense(x, weight.T)


def add(b: Builder, node: Node) -> Value:
    return b.add(*(node.operand(i) for i in range(len(node.inputs))))


def _two(node: Node) -> tuple[Operand, Operand]:
    if len(node.inputs) != 2:
        raise ValueError("it must have two inputs")
    return node.operand(0), node.operand(1)


def subtract(b: Builder, node: Node) -> Value:
    return b.subtract(*_two(node))


def negate(b: Builder, node: Node) -> Value:
    return b.negative(node.value())


def multiply(b: Builder, node: Node) -> Value:
    return b.multiply(*_two(node))


def divide(b: Builder, node: Node) -> Value:
    return b.divide(*_two(node))


def identity(b: Builder, node: Node) -> Value:
    return node.value()


def dropout(b: Builder, node: Node) -> Value:
    node.ignore("ratio", "seed")
    training = node.optional(2)
    if training is not None and training.any():
        raise UnsupportedLayer("training_mode=True drops numbers at random")
    return node.value()


def flatten(b: Builder, node: Node) -> Value:
    x, axis = node.value(), node.integer("axis", 1)
    if axis % x.rank != 1:
        raise UnsupportedLayer(f"axis (={axis}) must be 1, so that the batch axis stays")
    return b.flatten(x)


def reshape(b: Builder, node: Node) -> Value:
    """Reshape; a size of 0 is that of the input, unless allowzero says otherwise."""
    x, target = node.value(), integers(node.constant(1), "its shape")
    if node.integer("allowzero", 0):
        if 0 in target:
            raise ValueError(f"the shape {tuple(target)} has no elements, as allowzero=1 says")
        return b.reshape(x, target)
    sizes = (0, *x.shape, *[0] * len(target))
    return b.reshape(x, [n or size for n, size in zip(target, sizes, strict=False)])


def transpose(b: Builder, node: Node) -> Value:
    x = node.value()
    return b.permute(x, node.integers("perm", range(x.rank)[::-1]) or ())


def _axes(node: Node) -> Sequence[int]:
    return (node.integers("axes") if node.opset < 13 else _listed(node, 1)) or ()


def squeeze(b: Builder, node: Node) -> Value:
    return b.squeeze(node.value(), _axes(node))


def unsqueeze(b: Builder, node: Node) -> Value:
    return b.unsqueeze(node.value(), _axes(node))


def gather(b: Builder, node: Node) -> Value:
    return b.take(node.value(), node.integer("axis", 0), node.constant(1))


def pad(b: Builder, node: Node) -> Value:
    x = node.value()
    mode = chosen(PADDING_MODE, node.text("mode", "constant"), "mode")
    value, axes = node.optional(2), _listed(node, 3)
    ends = pairs(integers(node.constant(1), "its pads"))
    places = range(x.rank) if axes is None else [axis % x.rank for axis in axes]
    by_axis = dict(zip(places, ends, strict=True))
    fill = 0 if value is None else _single(value, "the constant")
    return b.pad(x, [by_axis.get(place, (0, 0)) for place in range(x.rank)], mode, fill)


Rule = Callable[[Builder, Node], Value]

#: Rule of each operator, where it depends on the input.
OPERATORS: dict[str, Rule] = {
    "Add": add,
    "AveragePool": average_pool,
    "BatchNormalization": batch_norm,
    "Clip": clip,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Div": divide,
    "Dropout": dropout,
    "Flatten": flatten,
    "Gather": gather,
    "Gemm": gemm,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "Identity": identity,
    "LeakyRelu": leaky_relu,
    "MatMul": matmul,
    "MaxPool": max_pool,
    "Mul": multiply,
    "Neg": negate,
    "PRelu": p_relu,
    "Pad": pad,
    "ReduceMean": reduce_mean,
    "Relu": partial(_pointwise, ReLU),
    "Reshape": reshape,
    "Sigmoid": partial(_pointwise, Sigmoid),
    "Softmax": softmax,
    "Squeeze": squeeze,
    "Sub": subtract,
    "Sum": add,
    "Tanh": partial(_pointwise, Tanh),
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
