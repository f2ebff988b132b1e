"""One rule for each ONNX operator: it parses the node and calls the builder. A table ends it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
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
    Layer,
    LeakyReLU,
    MaxPool,
    ReLU,
    Sigmoid,
    Tanh,
)
from ..graph import Builder, Operand, Reduction, Value, chosen
from ..interpolation import COORDINATES, NEAREST, cubic, linear, nearest
from ..products import matmul, summed
from ..views import END
from .file import LARGEST, OPEN, Node, integers


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
    ceil_mode = node.flag("ceil_mode")
    return kernel, {**window(node, len(kernel)), "ceil_mode": ceil_mode}


def max_pool(b: Builder, node: Node) -> Value:
    node.ignore("storage_order")  # it is about the second output
    kernel, options = _pool_options(node, node.value())
    return b.layer(MaxPool(kernel, **options), node.value())


def average_pool(b: Builder, node: Node) -> Value:
    kernel, options = _pool_options(node, node.value())
    counted = node.flag("count_include_pad")
    return b.average(node.value(), AvgPool(kernel, count_include_pad=counted, **options))


def global_average_pool(b: Builder, node: Node) -> Value:
    return b.layer(AdaptiveAvgPool(1), node.value())


def global_max_pool(b: Builder, node: Node) -> Value:
    return b.layer(MaxPool(node.value().shape[1:]), node.value())


def reduce(kind: Reduction, b: Builder, node: Node) -> Value:
    """Reduce along axes, all if none are named; they became an input with some version."""
    x, keep = node.value(), node.flag("keepdims", default=True)
    listed: Sequence[int] | None
    if node.opset >= (13 if node.op == "ReduceSum" else 18):
        listed = _listed(node, 1)
    else:
        listed = node.integers("axes")
    if node.flag("noop_with_empty_axes") and not listed:
        return x
    return b.reduce(x, listed or None, kind, keep=keep)


def reduce_absolute(b: Builder, node: Node) -> Value:
    node.inputs[0] = b.absolute(node.value())
    return reduce("sum", b, node)


def _listed(node: Node, index: int) -> list[int] | None:
    """Return an input that lists axes, if it is there."""
    given = node.optional(index)
    return None if given is None else integers(given, "axes")


def batch_norm(b: Builder, node: Node) -> Value:
    if node.flag("training_mode"):
        raise UnsupportedLayer("training_mode=1 uses statistics of the batch")
    node.ignore("momentum")
    eps, x = node.number("epsilon", 1e-5), node.value()
    four = [node.constant(i) for i in range(1, 5)]
    if node.opset < 9 and not node.flag("spatial", default=True):  # statistics of each number
        if any(numbers.shape != x.shape for numbers in four):
            raise ValueError(f"its statistics with spatial=0 must have the shape {x.shape}")
        gamma, beta, mean, var = four
        scale = gamma / np.sqrt(var + eps)
        return b.add(b.multiply(x, scale), beta - mean * scale)
    gamma, beta, mean, var = four
    return b.layer(BatchNorm(gamma, beta, mean, var, eps), x)


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
    """Clip to bounds, which were attributes before they became inputs in version 11."""
    low, high = node.optional(1), node.optional(2)
    if node.opset < 11:
        return b.clip(node.value(), node.number("min", -math.inf), node.number("max", math.inf))
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
    """Multiply two matrices, one of them constant, and add."""
    alpha, beta = node.number("alpha", 1), node.number("beta", 1)
    factors = [
        _turned(b, node.operand(i)) if node.flag(name) else node.operand(i)
        for i, name in enumerate(("transA", "transB"))
    ]
    if any((x.rank if isinstance(x, Value) else x.ndim) != 2 for x in factors):
        raise ValueError(f"it multiplies matrices, not {factors[0].shape} and {factors[1].shape}")
    scaled = [x if isinstance(x, Value) else _times(b, alpha, x) for x in factors]
    y = matmul(b, *scaled)
    if node.optional(2) is None or beta == 0:
        return y
    return b.add(y, _times(b, beta, node.constant(2)))


def _times(b: Builder, factor: float, constants: Array) -> Array:
    """Multiply constants in the precision of the graph, whatever they are stored as."""
    return constants if factor == 1 else np.asarray(factor, b.dtype) * constants.astype(b.dtype)


def _turned(b: Builder, x: Value | Array) -> Value | Array:
    return b.swap(x, 0, 1) if isinstance(x, Value) else x.T


def product(b: Builder, node: Node) -> Value:
    return matmul(b, *_two(node))


def einsum(b: Builder, node: Node) -> Value:
    operands = [node.operand(i) for i in range(len(node.inputs))]
    return summed(b, node.text("equation", ""), operands)


def add(b: Builder, node: Node) -> Value:
    return b.add(*(node.operand(i) for i in range(len(node.inputs))))


def _two(node: Node) -> tuple[Operand, Operand]:
    if len(node.inputs) != 2:
        raise ValueError("it must have two inputs")
    return node.operand(0), node.operand(1)


def subtract(b: Builder, node: Node) -> Value:
    return b.subtract(*_two(node))


def average(b: Builder, node: Node) -> Value:
    return b.divide(add(b, node), float(len(node.inputs)))


def larger(b: Builder, node: Node) -> Value:
    return b.larger(*(node.operand(i) for i in range(len(node.inputs))))


def smaller(b: Builder, node: Node) -> Value:
    return b.smaller(*(node.operand(i) for i in range(len(node.inputs))))


def absolute(b: Builder, node: Node) -> Value:
    return b.absolute(node.value())


def hard_sigmoid(b: Builder, node: Node) -> Value:
    return b.hard_sigmoid(node.value(), node.number("alpha", 0.2), node.number("beta", 0.5))


def shrink(b: Builder, node: Node) -> Value:
    """Shrink towards 0 by as much as what is set to 0: other functions of this name jump."""
    bound, bias = node.number("lambd", 0.5), node.number("bias", 0.0)
    if bias != bound or bound < 0:
        raise UnsupportedLayer(f"with bias (={bias}) other than lambd (={bound}) it jumps")
    return b.subtract(node.value(), b.clip(node.value(), -bound, bound))


def where(b: Builder, node: Node) -> Value:
    """Choose by a constant condition: a sum of products with zeros and ones."""
    chosen_by = node.constant(0).astype(bool)
    parts = ((node.operand(1), chosen_by), (node.operand(2), ~chosen_by))
    return b.add(
        *(
            b.multiply(x, mask.astype(b.dtype)) if isinstance(x, Value) else np.where(mask, x, 0)
            for x, mask in parts
        )
    )


def cast(b: Builder, node: Node) -> Value:
    """Read a cast that keeps every number: to the type of the graph, or to a wider one."""
    import onnx

    to = node.integer("to", 0)
    node.ignore("saturate", "round_mode")
    wide = {onnx.TensorProto.DOUBLE, onnx.helper.np_dtype_to_tensor_dtype(b.dtype)}
    if to not in wide:
        names = {number: name for name, number in onnx.TensorProto.DataType.items()}
        raise UnsupportedLayer(
            f"a cast of activations to {names.get(to, to)} rounds them, which is not piecewise "
            "linear"
        )
    return node.value()


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
    return b.matrix(node.value(), node.integer("axis", 1))


def reshape(b: Builder, node: Node) -> Value:
    """Reshape; a size of 0 is that of the input, unless allowzero says otherwise."""
    x, target = node.value(), integers(node.constant(1), "its shape")
    if node.flag("allowzero") and 0 in target:
        raise ValueError(f"the shape {tuple(target)} has no elements, as allowzero=1 says")
    sizes = (*b.sizes(x), *[0] * len(target))
    target = [n or size for n, size in zip(target, sizes, strict=False)]
    batch = b.batch or OPEN[0]
    return b.reshape(x, [0 if n == batch else n for n in target[:1]] + target[1:])


def expand(b: Builder, node: Node) -> Value:
    """Repeat along axes of size 1, all but that of the batch."""
    x, target = node.value(), integers(node.constant(1), "its shape")
    if not x.batched or len(target) < x.rank:
        return b.expand(x, target)
    if len(target) == x.rank and target[0] in (1, b.batch or OPEN[0]):
        return b.expand(x, target[1:])
    if b.batch != 1:
        raise UnsupportedLayer(f"the shape {tuple(target)} repeats samples of the batch")
    return b.expand(b.opened(x), target)


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


def sliced(b: Builder, node: Node) -> Value:
    """Slice along axes; before version 10 what is now an input was an attribute."""
    x = node.value()
    starts: Sequence[int] | None
    ends: Sequence[int] | None
    axes: Sequence[int] | None
    steps: Sequence[int] | None
    if node.opset < 10:
        starts, ends = (node.integers(name, any_size=True) for name in ("starts", "ends"))
        axes, steps = node.integers("axes"), None
    else:
        starts, ends = (integers(node.constant(i), "starts and ends") for i in (1, 2))
        axes, steps = _listed(node, 3), _listed(node, 4)
    if starts is None or ends is None:
        raise ValueError("its starts and ends are missing")
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    if len({len(starts), len(ends), len(axes), len(steps)}) > 1 or 0 in steps:
        raise ValueError("its starts, ends, axes and steps must be equally many, no step 0")
    parts = zip(axes, starts, ends, steps, strict=True)
    # Backwards, an end before the first element is one that no index says.
    slices = {
        axis: slice(start, None if step < 0 and end <= -END else end, step)
        for axis, start, end, step in parts
    }
    if len(slices) < len(axes):
        raise ValueError(f"its axes (={tuple(axes)}) must differ from each other")
    return b.cut(x, slices)


def split(b: Builder, node: Node) -> list[Value]:
    """Split an axis into parts: of given sizes, or equal ones with a smaller last one."""
    x, axis, count = node.value(), node.integer("axis", 0), len(node.outputs)
    sizes = node.integers("split") if node.opset < 13 else _listed(node, 1)
    if node.integer("num_outputs", count) != count:
        raise ValueError(f"its num_outputs must be the {count} outputs that it has")
    if sizes is None:
        if not -x.rank <= axis < x.rank:
            raise ValueError(f"axis (={axis}) must be one of a value of rank {x.rank}")
        total = b.sizes(x)[axis]
        each = -(-total // count) if count else 0
        sizes = [max(min(each, total - i * each), 0) for i in range(count)]
    return b.split(x, axis, sizes)


def concat(b: Builder, node: Node) -> Value:
    axis = node.integer("axis", 0)
    return b.concat([node.operand(i) for i in range(len(node.inputs))], axis)


def tile(b: Builder, node: Node) -> Value:
    return b.tile(node.value(), integers(node.constant(1), "its repeats"))


def depth_to_space(b: Builder, node: Node) -> Value:
    """Move blocks of channels into space; the mode says which axis of channels is the block's."""
    x, block, mode = node.value(), node.integer("blocksize", 0), node.text("mode", "DCR")
    if not x.batched or len(x.shape) != 3 or block < 1 or x.shape[0] % block**2:
        raise ValueError(f"blocksize (={block}) must fit a value of shape {x.shape}")
    channels, height, width = x.shape
    inner = channels // block**2
    if chosen({"DCR": True, "CRD": False}, mode, "mode"):
        y = b.permute(b.reshape(x, [0, block, block, inner, height, width]), [0, 3, 4, 1, 5, 2])
    else:
        y = b.permute(b.reshape(x, [0, inner, block, block, height, width]), [0, 1, 4, 2, 5, 3])
    return b.reshape(y, [0, inner, height * block, width * block])


def space_to_depth(b: Builder, node: Node) -> Value:
    x, block, mode = node.value(), node.integer("blocksize", 0), node.text("mode", "DCR")
    if not x.batched or len(x.shape) != 3 or block < 1 or any(n % block for n in x.shape[1:]):
        raise ValueError(f"blocksize (={block}) must fit a value of shape {x.shape}")
    channels, height, width = x.shape[0], x.shape[1] // block, x.shape[2] // block
    y = b.reshape(x, [0, channels, height, block, width, block])
    order = chosen({"DCR": [0, 3, 5, 1, 2, 4], "CRD": [0, 1, 3, 5, 2, 4]}, mode, "mode")
    return b.reshape(b.permute(y, order), [0, channels * block**2, height, width])


def col2im(b: Builder, node: Node) -> Value:
    shape, kernel = (integers(node.constant(i), "its shape") for i in (1, 2))
    return b.fold(node.value(), shape, kernel, **window(node, len(kernel)))


def pad(b: Builder, node: Node) -> Value:
    """Pad axes; before version 11 the pads and the constant were attributes."""
    x, mode = node.value(), chosen(PADDING_MODE, node.text("mode", "constant"), "mode")
    if node.opset < 11:
        listed: Sequence[int] = node.integers("pads") or ()
        axes, fill = None, node.number("value", 0.0)
    else:
        listed, axes, value = (
            integers(node.constant(1), "its pads"),
            _listed(node, 3),
            node.optional(2),
        )
        fill = 0 if value is None else _single(value, "the constant")
    places = range(x.rank) if axes is None else [axis % x.rank for axis in axes]
    if len(listed) != 2 * len(places):
        raise ValueError(f"its pads (={tuple(listed)}) must be two for each of {len(places)} axes")
    by_axis = dict(zip(places, pairs(listed), strict=True))
    return b.pad(x, [by_axis.get(place, (0, 0)) for place in range(x.rank)], mode, fill)


def resize(b: Builder, node: Node) -> Value:
    """Resize each axis by its scale or to its size, by the nearest element or by a matrix."""
    x, mode = node.value(), node.text("mode", "nearest")
    old = node.op == "Upsample" or node.opset < 11
    where = node.text("coordinate_transformation_mode", "asymmetric" if old else "half_pixel")
    rounding = node.text("nearest_mode", "simple" if old else "round_prefer_floor")
    a, inside = node.number("cubic_coeff_a", -0.75), node.flag("exclude_outside")
    node.ignore("extrapolation_value")  # it is about a mode that is refused
    if node.flag("antialias"):
        raise UnsupportedLayer("antialias=1 is not supported")
    coordinates = chosen(COORDINATES, where, "coordinate_transformation_mode")
    matrices: dict[int, Array] = {}
    for axis, size, scale in _resized(b, x, node):
        n = b.sizes(x)[axis]
        b.check((size, n))
        places = coordinates(size, n, scale)
        if chosen({"nearest": True, "linear": False, "cubic": False}, mode, "mode"):
            simple = np.ceil if scale < 1 else np.floor
            rule = simple if rounding == "simple" else chosen(NEAREST, rounding, "nearest_mode")
            x = b.take(x, axis, nearest(places, n, rule))
        else:
            matrix = cubic(places, n, a, inside=inside) if mode == "cubic" else linear(places, n)
            matrices[axis - 1] = matrix.astype(b.dtype)
    return b.interpolate(x, matrices)


def _resized(b: Builder, x: Value, node: Node) -> list[tuple[int, int, float]]:
    """Return the axes that are resized, each with its size and its scale."""
    if node.op == "Upsample" and node.opset < 9:
        listed = node.numbers("scales")
        scales, sizes = None if listed is None else np.array(listed), None
    elif node.opset < 11 or node.op == "Upsample":
        scales, sizes = node.optional(1), None
    else:
        scales, sizes = node.optional(2), node.optional(3)
    policy = node.text("keep_aspect_ratio_policy", "stretch")
    axes = [axis % x.rank for axis in node.integers("axes") or range(x.rank)]
    each: list[tuple[int | None, float | None]]
    if sizes is not None and sizes.size:
        each = [(n, None) for n in integers(sizes, "its sizes")]
    elif scales is not None and scales.size:
        each = [(None, float(f)) for f in scales.ravel()]
    else:
        raise ValueError("its scales and sizes are missing")
    if len(each) != len(axes):
        raise ValueError(f"its scales or sizes must be as many as the axes {tuple(axes)}")
    if policy != "stretch" and each[0][0] is not None:  # one scale for all, that of some axis
        rule = chosen({"not_larger": min, "not_smaller": max}, policy, "keep_aspect_ratio_policy")
        wanted = integers(sizes, "its sizes") if sizes is not None else []
        same = rule(n / (b.sizes(x)[axis] or n) for axis, n in zip(axes, wanted, strict=True))
        each = [(int(np.floor(same * b.sizes(x)[axis] + 0.5)), same) for axis in axes]
    found = []
    for axis, (size, scale) in zip(axes, each, strict=True):
        n = b.sizes(x)[axis]
        if x.batched and axis == 0:
            if size in (b.batch or OPEN[0], n) or (size is None and scale == 1):
                continue
            raise UnsupportedLayer("it resizes the batch axis")
        if scale is not None and not 0 < scale < LARGEST:
            raise ValueError(f"its scale (={scale}) must be positive and less than {LARGEST}")
        if size is None:
            size = int(np.floor(n * (scale or 1)))
        if not 0 < size <= LARGEST:
            raise ValueError(f"its size (={size}) must be positive and at most {LARGEST}")
        if size != n or scale not in (None, 1):
            found.append((axis, size, size / n if scale is None else scale))
    return found


Rule = Callable[[Builder, Node], Value | list[Value]]

#: Rule of each operator, where it depends on the input.
OPERATORS: dict[str, Rule] = {
    "Abs": absolute,
    "Add": add,
    "AveragePool": average_pool,
    "BatchNormalization": batch_norm,
    "Cast": cast,
    "Clip": clip,
    "Col2Im": col2im,
    "Concat": concat,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "DepthToSpace": depth_to_space,
    "Div": divide,
    "Dropout": dropout,
    "Einsum": einsum,
    "Expand": expand,
    "Flatten": flatten,
    "Gather": gather,
    "Gemm": gemm,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "HardSigmoid": hard_sigmoid,
    "Identity": identity,
    "LeakyRelu": leaky_relu,
    "MatMul": product,
    "Max": larger,
    "MaxPool": max_pool,
    "Mean": average,
    "Min": smaller,
    "Mul": multiply,
    "Neg": negate,
    "PRelu": p_relu,
    "Pad": pad,
    "ReduceL1": reduce_absolute,
    "ReduceMax": partial(reduce, "max"),
    "ReduceMean": partial(reduce, "mean"),
    "ReduceMin": partial(reduce, "min"),
    "ReduceSum": partial(reduce, "sum"),
    "Relu": partial(_pointwise, ReLU),
    "Reshape": reshape,
    "Resize": resize,
    "Shrink": shrink,
    "Sigmoid": partial(_pointwise, Sigmoid),
    "Slice": sliced,
    "Softmax": softmax,
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Squeeze": squeeze,
    "Sub": subtract,
    "Sum": add,
    "Tanh": partial(_pointwise, Tanh),
    "Tile": tile,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
    "Upsample": resize,
    "Where": where,
}

#: Why an operator that looks like one of them cannot be a layer, where it depends on the input.
REASONS: dict[str, str] = {
    **dict.fromkeys(
        ("Cos", "Exp", "Log", "Pow", "Reciprocal", "Sin", "Sqrt"), "it is not piecewise linear"
    ),
    **dict.fromkeys(
        ("ArgMax", "ArgMin", "Ceil", "Equal", "Floor", "Greater", "Less", "Round", "Sign"),
        "it jumps, and a sum of ReLUs is continuous",
    ),
    **dict.fromkeys(
        ("DequantizeLinear", "DynamicQuantizeLinear", "QuantizeLinear"),
        "of anything but constants, it stands for a rounding, which jumps",
    ),
    "HardSwish": "x times a hard sigmoid of x is quadratic between its corners",
    "ThresholdedRelu": "it jumps, and a sum of ReLUs is continuous",
    "Erf": "it is not piecewise linear",
    "Gelu": "it is not piecewise linear",
    "LayerNormalization": "it divides by a deviation of its input",
}
