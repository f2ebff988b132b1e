"""ONNX's own cases: its single nodes, and its models with data on disk.

A node's attributes are translated to options of `equivlib`. Then the case is run twice, by the
functions and by the matrices, and must give what ONNX expects.

Where the numbers are floats, both sides may round. A sum of terms `t`, made by `k` operations in
any order, is off by at most `k * eps / 2 * sum(abs(t))`, so two such results differ by at most
twice that. The last sum is what the same case gives on the absolute values.
"""

import math
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.sparse

from equivlib import Geometry, col2im, conv, conv_matrix, conv_transpose

from .through_matrix import apply, patch_matrix, with_bias

REASON = "ONNX ships these cases: install 'onnx' to run them"
onnx = pytest.importorskip("onnx", reason=REASON)
nodes = pytest.importorskip("onnx.backend.test.case.node", reason=REASON)


class NotSupported(ValueError):
    """Why `equivlib` has no form of a node."""


# Attributes become options. What a translation understands, it takes out of the attributes.

AUTO_PAD = {"SAME_UPPER": "same", "SAME_LOWER": "same_lower", "VALID": "valid"}
PADDING_MODE = {"constant": "zeros", "edge": "replicate", "reflect": "reflect", "wrap": "circular"}


def pairs(pads):
    """Return (low, high) pairs of ONNX's list: all low ends, then all high ends."""
    half = len(pads) // 2
    return tuple(zip(map(int, pads[:half]), map(int, pads[half:]), strict=True))


def window_options(attributes, kernel_size):
    """Return the stride, dilation and padding, which all operators with a window have."""
    given = tuple(attributes.pop("kernel_shape", kernel_size))
    if given != tuple(kernel_size):
        raise NotSupported(f"kernel_shape {given} with a kernel of shape {kernel_size}")
    ndim, auto_pad = len(kernel_size), attributes.pop("auto_pad", "NOTSET")
    pads = pairs(attributes.pop("pads", 2 * ndim * [0]))
    return {
        "stride": tuple(attributes.pop("strides", ndim * [1])),
        "dilation": tuple(attributes.pop("dilations", ndim * [1])),
        "padding": pads if auto_pad == "NOTSET" else AUTO_PAD[auto_pad],
    }


def conv_options(attributes, x, weight, bias=None):
    return window_options(attributes, weight.shape[2:]) | {"groups": attributes.pop("group", 1)}


def conv_transpose_options(attributes, y, weight, bias=None):
    """Return the pads that follow from a given output shape, whatever else the node says."""
    options = conv_options(attributes, y, weight)
    output_padding = tuple(attributes.pop("output_padding", (y.ndim - 2) * [0]))
    if "output_shape" not in attributes:
        return options | {"output_padding": output_padding}
    sizes, padding = tuple(attributes.pop("output_shape")), []
    spans = uncut_sizes(y, weight, output_padding, **options)
    for span, size in zip(spans, sizes, strict=True):
        total = max(0, span - size)
        small, large = total // 2, total - total // 2
        padding.append((small, large) if options["padding"] == "same" else (large, small))
    return options | {"padding": tuple(padding), "output_shape": sizes}


def uncut_sizes(y, weight, output_padding, *, stride, dilation, **_):
    """Return the spatial shape of a transposed convolution from which no padding is cut off."""
    each = zip(y.shape[2:], weight.shape[2:], stride, dilation, output_padding, strict=True)
    return [s * (n - 1) + d * (k - 1) + 1 + more for n, k, s, d, more in each]


def col2im_options(attributes, columns, image_shape, block_shape):
    return window_options(attributes, block_shape)


def pool_options(attributes, x):
    kernel_size = tuple(attributes["kernel_shape"])
    return window_options(attributes, kernel_size) | {
        "kernel_size": kernel_size,
        "ceil": bool(attributes.pop("ceil_mode", 0)),
        "count_padding": bool(attributes.pop("count_include_pad", 0)),
    }


def pad_options(attributes, x, pads=None, value=None, axes=None):
    """Read pads and value, which were attributes before they became inputs."""
    ends = pairs(attributes.pop("pads") if pads is None else pads)
    if any(end < 0 for pair in ends for end in pair):
        raise NotSupported("negative pads cut elements off, which is no padding")
    padding = [(0, 0)] * x.ndim
    for axis, pair in zip(range(x.ndim) if axes is None else axes, ends, strict=True):
        padding[axis] = pair
    constant = attributes.pop("value", 0) if value is None else value
    mode = PADDING_MODE[attributes.pop("mode", "constant")]
    return {"padding": padding, "padding_mode": mode, "value": x.dtype.type(constant)}


# Options and inputs become outputs: by the functions, and by the matrices.


def conv_by_matrix(x, weight, bias=None, **options):
    shape = Geometry(weight.shape, x.shape[1:], **options).output_shape
    return with_bias(apply(conv_matrix(weight, x.shape[1:], **options), x, shape), bias)


def conv_transpose_by_matrix(
    y, weight, bias=None, *, output_padding=None, output_shape=None, **options
):
    """Return the input of `conv`, whose shape ONNX's equations give as that of the output."""
    if output_shape is not None:
        sizes = output_shape
    elif options["padding"] in ("same", "same_lower"):
        sizes = [n * s for n, s in zip(y.shape[2:], options["stride"], strict=True)]
    else:
        spans = uncut_sizes(y, weight, output_padding, **options)
        cuts = options["padding"] if options["padding"] != "valid" else [(0, 0)] * len(spans)
        sizes = [span - low - high for span, (low, high) in zip(spans, cuts, strict=True)]
    shape = (weight.shape[1] * options["groups"], *sizes)
    return with_bias(apply(conv_matrix(weight, shape, **options).T, y, shape), bias)


def col2im_by_function(columns, image_shape, block_shape, **options):
    shape = (columns.shape[1] // math.prod(block_shape), *image_shape)
    return col2im(columns, shape, tuple(block_shape), **options)


def col2im_by_matrix(columns, image_shape, block_shape, **options):
    shape = (columns.shape[1] // math.prod(block_shape), *image_shape)
    return apply(patch_matrix(shape, block_shape, columns.dtype, **options).T, columns, shape)


def pool_sums(x, *, kernel_size, ceil, count_padding, **options):
    """Return the depthwise convolution that sums each window, and how many elements it counts."""
    weight, inputs = np.ones((x.shape[1], 1, *kernel_size), x.dtype), x.shape[1:]
    options["groups"] = x.shape[1]
    axes = Geometry(weight.shape, inputs, **options).axes
    added = [missing_for_last_window(axis) if ceil else 0 for axis in axes]
    sides = [(axis.low, axis.high, more) for axis, more in zip(axes, added, strict=True)]
    options["padding"] = [(low, high + more) for low, high, more in sides]
    counted = np.ones(inputs, x.dtype)
    if not count_padding:
        return weight, options, conv(counted, weight, **options)
    padded = [(0, 0), *((low, high) for low, high, _ in sides)]
    counted = np.pad(counted, padded, constant_values=1)
    only_added = options | {"padding": [(0, more) for more in added]}
    return weight, options, conv(counted, weight, **only_added)


def missing_for_last_window(axis):
    """Return what one more window lacks; no window starts in the padding at the high end."""
    left_over = (axis.low + axis.size + axis.high - axis.extent) % axis.stride
    starts_inside = axis.outputs * axis.stride < axis.low + axis.size
    return axis.stride - left_over if left_over and starts_inside else 0


def pool_by_function(x, **options):
    weight, options, counts = pool_sums(x, **options)
    return conv(x, weight, **options) / counts


def pool_by_matrix(x, **options):
    """Average as a sum divided by its count: each row of the matrix by its own."""
    weight, options, counts = pool_sums(x, **options)
    divide = scipy.sparse.diags_array(1 / counts.ravel())
    return apply(divide @ conv_matrix(weight, x.shape[1:], **options), x, counts.shape)


def pad_by_function(x, *_, value, **options):
    """Return one tap over all axes, batch and channels too; value where it finds no element."""
    tap, image, inside = np.ones((1,) * (x.ndim + 2), x.dtype), x[None], np.ones_like(x)[None]
    return (conv(image, tap, **options) + value * (1 - conv(inside, tap, **options)))[0]


def pad_by_matrix(x, *_, value, **options):
    tap, inside = np.ones((1,) * (x.ndim + 2), x.dtype), np.ones_like(x)
    shape = [n + low + high for n, (low, high) in zip(x.shape, options["padding"], strict=True)]
    matrix = conv_matrix(tap, (1, *x.shape), **options)
    return apply(matrix, x[None], shape)[0] + value * (1 - apply(matrix, inside[None], shape)[0])


class Operator(NamedTuple):
    """How to translate and run a node, and how many rounded operations are behind an output."""

    options: Callable[..., dict[str, Any]]
    by_function: Callable[..., np.ndarray]
    by_matrix: Callable[..., np.ndarray]
    roundings: Callable[..., int]


OPERATORS = {
    "Conv": Operator(
        conv_options,
        conv,
        conv_by_matrix,
        lambda x, weight, *bias, **_: weight[0].size + len(bias),
    ),
    "ConvTranspose": Operator(
        conv_transpose_options,
        conv_transpose,
        conv_transpose_by_matrix,
        lambda y, weight, *bias, **_: weight[:, 0].size + len(bias),
    ),
    "Col2Im": Operator(
        col2im_options,
        col2im_by_function,
        col2im_by_matrix,
        lambda columns, image_shape, block_shape, **_: math.prod(block_shape),
    ),
    "AveragePool": Operator(
        pool_options,
        pool_by_function,
        pool_by_matrix,
        lambda x, kernel_size, **_: math.prod(kernel_size) + 2,
    ),
    # Every element is a copy: nothing is rounded.
    "Pad": Operator(pad_options, pad_by_function, pad_by_matrix, lambda *_, **__: 0),
}
AROUND = {"Unsqueeze": np.expand_dims, "Squeeze": np.squeeze}


def translate(node, operands):
    """Return the options of a node, or `NotSupported` with the reason."""
    if node.op_type not in OPERATORS:
        raise NotSupported(f"no form of the operator {node.op_type}")
    values = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    attributes = {k: v.decode() if isinstance(v, bytes) else v for k, v in values.items()}
    options = OPERATORS[node.op_type].options(attributes, *operands)
    if attributes:
        raise NotSupported(f"no meaning known of the attributes {sorted(attributes)}")
    return options


# Cases and how to run them.


class Case(NamedTuple):
    """A model, what goes in, and what ONNX expects to come out."""

    suite: str
    name: str
    model: Any
    inputs: list[np.ndarray]
    expected: np.ndarray


def node_cases():
    """Collect the cases of ONNX, which computes those of all operators at once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # overflows that other operators are for
        collected = nodes.collect_testcases(None)
    for case in collected:
        found = [node.op_type for node in case.model.graph.node]
        if len(found) == 1 and found[0] in OPERATORS:
            for inputs, outputs in case.data_sets:
                name = case.name.removeprefix("test_")
                yield Case(f"ONNX {found[0]}", name, case.model, inputs, outputs[0])


def model_cases():
    data = Path(onnx.__file__).parent / "backend" / "test" / "data"
    for path in sorted(data.glob("pytorch-*/*/model.onnx")):
        model = onnx.load(path)
        found = [node.op_type for node in model.graph.node if node.op_type in OPERATORS]
        for data_set in sorted(path.parent.glob("test_data_set_*")) if found else ():
            name = path.parent.name.removeprefix("test_")
            inputs, (expected,) = tensors(data_set, "input"), tensors(data_set, "output")
            yield Case(f"ONNX models on disk, {found[0]}", name, model, inputs, expected)


def tensors(folder, kind):
    files = [folder / f"{kind}_{i}.pb" for i in range(len(list(folder.glob(f"{kind}_*.pb"))))]
    return [onnx.numpy_helper.to_array(onnx.load_tensor(file)) for file in files]


def run(case, operation, prepare=np.asarray):
    """Return the output of the case's model, each node done by `operation(node, operands)`."""
    graph = case.model.graph
    values = {array.name: onnx.numpy_helper.to_array(array) for array in graph.initializer}
    free = [entry.name for entry in graph.input if entry.name not in values]
    values |= zip(free, case.inputs, strict=True)
    values = {name: prepare(value) for name, value in values.items()}
    for node in graph.node:
        operands = [values[name] if name else None for name in node.input]
        values[node.output[0]] = operation(node, operands)
    return values[graph.output[0].name]


def through(way):
    """Return an operation for `run`: by the named field of `Operator`."""

    def operation(node, operands):
        if node.op_type in AROUND:
            (axes,) = node.attribute
            return AROUND[node.op_type](operands[0], tuple(axes.ints))
        options = translate(node, operands)
        return getattr(OPERATORS[node.op_type], way)(*operands, **options)

    return operation


def check(case, way):
    try:
        output = run(case, through(way))
    except NotSupported as reason:
        pytest.skip(str(reason))
    assert output.dtype == case.expected.dtype
    assert output.shape == case.expected.shape
    if output.dtype.kind == "f":
        error, most = np.abs(output - case.expected), tolerance(case)
        assert (error <= most).all(), f"off by {error.max()}, with a tolerance of {most.max()}"
    else:
        np.testing.assert_array_equal(output, case.expected)


#: The decimals to which ONNX writes the numbers of a case. Inputs and outputs are off by half a
#: unit each, and an average by no more than what goes into it.
DECIMALS = {"averagepool_2d_ceil_last_window_starts_on_pad": 4}


def tolerance(case):
    """Return how far two results of a case may be apart, element by element."""
    operations = []

    def count(node, operands):
        if node.op_type in OPERATORS:
            options = translate(node, operands)
            operations.append(OPERATORS[node.op_type].roundings(*operands, **options))
        return through("by_function")(node, operands)

    sums = run(case, count, prepare=lambda v: np.abs(v) if v.dtype.kind == "f" else v)
    written = 10.0 ** -DECIMALS[case.name] if case.name in DECIMALS else 0
    return sum(operations) * np.finfo(case.expected.dtype).eps * sums + written


CASES = [*node_cases(), *model_cases()]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.suite}, {case.name}")


#: As many as onnx 1.23 ships; a later release may have more.
AT_LEAST = {
    "ONNX Conv": 6,
    "ONNX ConvTranspose": 11,
    "ONNX Col2Im": 5,
    "ONNX AveragePool": 20,
    "ONNX Pad": 6,
    "ONNX models on disk, Conv": 27,
    "ONNX models on disk, ConvTranspose": 3,
    "ONNX models on disk, AveragePool": 7,
    "ONNX models on disk, Pad": 5,
}


def test_all_cases_that_onnx_ships_are_found():
    assert Counter(case.suite for case in CASES) >= Counter(AT_LEAST)


@each_case
def test_the_functions_give_what_onnx_expects(case):
    check(case, "by_function")


@each_case
def test_the_matrices_give_what_onnx_expects(case):
    check(case, "by_matrix")
