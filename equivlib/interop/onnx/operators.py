"""What each ONNX operator becomes: one function for each, in two tables at the end."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, TypedDict

import numpy as np

from ...convert import UnsupportedLayer
from ...convolution.options import PaddingMode, PaddingWord, Pairs, PoolOptions
from ...convolution.patches import Array
from ...layers import (
    AdaptiveAvgPool,
    AvgPool,
    BatchNorm,
    Conv,
    ConvTranspose,
    LeakyReLU,
    MaxPool,
    ReLU,
    Sigmoid,
    Tanh,
)
from ..graph import Builder, Value
from .file import Node, integers, resolved


class Window(TypedDict):
    """What all operators with a window have, as options here."""

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
    """ONNX lists all low ends, then all high ends."""
    half = len(pads) // 2
    return tuple(zip(pads[:half], pads[half:], strict=True))


def window(node: Node, ndim: int) -> Window:
    """Stride, dilation and padding, which all operators with a window have."""
    auto_pad = node.text("auto_pad", "NOTSET")
    padding: Pairs | PaddingWord = pairs(node.per_axis("pads", 2 * ndim, 0))
    if auto_pad != "NOTSET":
        if auto_pad not in AUTO_PAD:
            raise ValueError(f"its attribute 'auto_pad' (={auto_pad!r}) has no meaning")
        padding = AUTO_PAD[auto_pad]
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
    """An output shape makes ONNX work out the pads, whatever it is told of them."""
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
    """The mean over all spatial axes."""
    x = node.value()
    listed = node.integers("axes") if node.opset < 18 else None
    axes = node.optional(1) if node.opset >= 18 else None
    chosen = listed if axes is None else integers(axes, "axes")
    node.ignore("noop_with_empty_axes")
    keep = node.integer("keepdims", 1)
    rank = len(x.shape) + 1
    if sorted(axis % rank for axis in chosen or ()) != list(range(2, rank)) or rank < 3:
        raise UnsupportedLayer(f"the mean is read over all spatial axes only, not over {chosen}")
    y = b.layer(AdaptiveAvgPool(1), x)
    return y if keep else b.reshape(y, x.shape[:1])


def batch_norm(b: Builder, node: Node) -> Value:
    if node.integer("training_mode", 0):
        raise UnsupportedLayer("training_mode=1 uses statistics of the batch")
    node.ignore("momentum")
    eps = node.number("epsilon", 1e-5)
    gamma, beta, mean, var = (node.constant(i) for i in range(1, 5))
    return b.layer(BatchNorm(gamma, beta, mean, var, eps), node.value())


def relu(b: Builder, node: Node) -> Value:
    return b.pointwise(ReLU(), node.value())


def leaky_relu(b: Builder, node: Node) -> Value:
    return b.pointwise(LeakyReLU(node.number("alpha", 0.01)), node.value())


def p_relu(b: Builder, node: Node) -> Value:
    return b.leaky(node.value(), _without_batch(node.constant(1), node.value()))


def sigmoid(b: Builder, node: Node) -> Value:
    return b.pointwise(Sigmoid(), node.value())


def tanh(b: Builder, node: Node) -> Value:
    return b.pointwise(Tanh(), node.value())


def softmax(b: Builder, node: Node) -> Value:
    """Before version 13 over all axes from the given one on."""
    x = node.value()
    rank = len(x.shape) + 1
    axis = node.integer("axis", -1 if node.opset >= 13 else 1)
    axis += rank if axis < 0 else 0
    if not 1 <= axis < rank:
        raise UnsupportedLayer(f"its axis (={axis}) must not be that of the batch")
    if node.opset >= 13:
        return b.softmax(x, axis - 1)
    if axis > 1:
        rows = math.prod(x.shape[: axis - 1]), math.prod(x.shape[axis - 1 :])
        return b.reshape(b.softmax(b.reshape(x, rows), 1), x.shape)
    return b.reshape(b.softmax(b.reshape(x, (math.prod(x.shape),)), 0), x.shape)


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
    return b.affine(y, None, _without_batch(bias.dtype.type(beta) * bias, y))


def matmul(b: Builder, node: Node) -> Value:
    x, weight = node.value(), node.constant(1)
    if weight.ndim != 2:
        raise UnsupportedLayer(f"a matrix is read, not a constant of shape {weight.shape}")
    return b.dense(x, weight.T)


def _without_batch(constants: Array, like: Value) -> Array:
    """Constants without the batch axis, along which they must not change."""
    if constants.ndim <= len(like.shape):
        return constants
    if constants.ndim > len(like.shape) + 1 or len(constants) != 1:
        raise UnsupportedLayer(
            f"constants of shape {constants.shape} differ along the batch axis, or widen a value "
            f"of shape {like.shape}"
        )
    first: Array = constants[0]
    return first


def add(b: Builder, node: Node) -> Value:
    values = [x for x in node.inputs if isinstance(x, Value)]
    constants = [x for x in node.inputs if isinstance(x, np.ndarray)]
    y = b.sum(*values) if len(values) > 1 else values[0]
    for constant in constants:
        y = b.affine(y, None, _without_batch(constant, y))
    return y


def _values_and_constants(node: Node) -> tuple[list[Value], list[Array]]:
    """Two inputs, by whether they depend on the graph's input."""
    values = [x for x in node.inputs if isinstance(x, Value)]
    constants = [x for x in node.inputs if isinstance(x, np.ndarray)]
    if len(values) + len(constants) != 2 or len(node.inputs) != 2:
        raise ValueError("it must have two inputs")
    return values, constants


def subtract(b: Builder, node: Node) -> Value:
    (value, *others), constants = _values_and_constants(node)
    if others:
        return b.sum(value, b.affine(others[0], np.array(-1), None))
    (constant,) = constants
    if node.inputs[0] is value:
        return b.affine(value, None, _without_batch(-constant, value))
    return b.affine(value, np.array(-1), _without_batch(constant, value))


def negate(b: Builder, node: Node) -> Value:
    return b.affine(node.value(), np.array(-1), None)


def multiply(b: Builder, node: Node) -> Value:
    (value, *others), constants = _values_and_constants(node)
    if others:
        raise UnsupportedLayer("a product of two activations is not piecewise linear")
    return b.affine(value, _without_batch(constants[0], value), None)


def divide(b: Builder, node: Node) -> Value:
    x, y = node.value(0), node.constant(1)
    if not np.all(y) or y.dtype.kind != "f":
        raise ValueError("its divisor must be numbers other than 0")
    return b.affine(x, 1 / _without_batch(y, x), None)


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
    if axis % (len(x.shape) + 1) != 1:
        raise UnsupportedLayer(f"axis (={axis}) must be 1, so that the batch axis stays")
    return b.reshape(x, (math.prod(x.shape),))


def reshape(b: Builder, node: Node) -> Value:
    x, target = node.value(), integers(node.constant(1), "its shape")
    copies = not node.integer("allowzero", 0)
    return b.reshape(x, resolved(target, x.shape, b.batch, zero_copies=copies))


def transpose(b: Builder, node: Node) -> Value:
    x = node.value()
    rank = len(x.shape) + 1
    axes = node.integers("perm", range(rank)[::-1]) or ()
    if len(axes) != rank or axes[0] != 0:
        raise UnsupportedLayer(f"perm (={axes}) must leave the batch axis first")
    return b.transpose(x, [axis - 1 for axis in axes[1:]])


def _axes(node: Node) -> list[int] | None:
    if node.opset < 13:
        listed = node.integers("axes")
        return None if listed is None else list(listed)
    given = node.optional(1)
    return None if given is None else integers(given, "axes")


def squeeze(b: Builder, node: Node) -> Value:
    x, axes = node.value(), _axes(node)
    rank = len(x.shape) + 1
    gone = {axis % rank for axis in axes or ()}
    if not gone or 0 in gone or any(x.shape[axis - 1] != 1 for axis in gone):
        raise UnsupportedLayer(f"axes (={axes}) must be axes of size 1, and not that of the batch")
    return b.reshape(x, [n for i, n in enumerate(x.shape, start=1) if i not in gone])


def unsqueeze(b: Builder, node: Node) -> Value:
    x, axes = node.value(), _axes(node) or []
    rank = len(x.shape) + 1 + len(axes)
    new = {axis % rank for axis in axes}
    if not new or 0 in new or len(new) != len(axes):
        raise UnsupportedLayer(f"axes (={axes}) must not come before that of the batch")
    old = iter(x.shape)
    return b.reshape(x, [1 if i in new else next(old) for i in range(1, rank)])


def gather(b: Builder, node: Node) -> Value:
    """Of a flat value, if it only changes the order."""
    x, places, axis = node.value(), node.constant(1), node.integer("axis", 0)
    whole = sorted(places.ravel().tolist()) == list(range(math.prod(x.shape)))
    if axis % 2 != 1 or len(x.shape) != 1 or not whole:
        raise UnsupportedLayer("it is read where it only changes the order of a flat value")
    return b.seen(x, places)


def pad(b: Builder, node: Node) -> Value:
    x = node.value()
    rank = len(x.shape) + 1
    mode = node.text("mode", "constant")
    value, axes = node.optional(2), node.optional(3)
    if mode not in PADDING_MODE or (mode == "constant" and value is not None and value.any()):
        raise UnsupportedLayer("padding is read with zeros, or in mode edge, reflect or wrap")
    ends = pairs(integers(node.constant(1), "its pads"))
    chosen = range(rank) if axes is None else [a % rank for a in integers(axes, "its axes")]
    by_axis = dict(zip(chosen, ends, strict=True))
    padding = [by_axis.get(axis, (0, 0)) for axis in range(rank)]
    if any(end < 0 for pair in padding for end in pair):
        raise UnsupportedLayer("negative pads cut elements off, which is no padding")
    if padding[0] != (0, 0) or padding[1] != (0, 0):
        raise UnsupportedLayer("the batch axis and the channels are not padded")
    return b.pad(x, padding[2:], PADDING_MODE[mode])


Rule = Callable[[Builder, Node], Value]

#: What is read of an operator that depends on the input.
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
    "Relu": relu,
    "Reshape": reshape,
    "Sigmoid": sigmoid,
    "Softmax": softmax,
    "Squeeze": squeeze,
    "Sub": subtract,
    "Sum": add,
    "Tanh": tanh,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
