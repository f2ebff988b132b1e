"""Networks as ONNX files: one rule per kind of layer, and the file written in one step."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from functools import singledispatch
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ...convert import UnsupportedLayer
from ...convolution.csr import is_sparse
from ...convolution.geometry import Geometry
from ...convolution.matrix import MatrixTooLarge, readable
from ...convolution.patches import Array
from ...files import replaced
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
from ...layers.base import Parameter, Shape
from ...layers.network import checked_network
from ..graph import float_dtype

if TYPE_CHECKING:
    import onnx

#: An attribute of a node.
Attribute: TypeAlias = int | float | str | list[int]

#: Largest message of this format.
LIMIT = 2**31 - 1

#: The version of the operators that is written: old enough to be read anywhere.
OPSET = 17

PADDING_MODE = {"replicate": "edge", "reflect": "reflect"}


def save(net: Network, path: str | os.PathLike[str]) -> None:
    r"""Write a network as an ONNX file, which appears whole or not at all.

    .. math:: graph(x) = net(x)

    Every layer becomes the operators that compute it. A network of :class:`Dense` and
    :class:`ReLU`, as :func:`~equivlib.to_mlp` makes it, becomes Gemm and Relu and nothing else. A
    sparse weight is written with all its zeros, because ONNX has no sparse Gemm.

    Parameters
    ----------
    net : Network
        Of floating-point or integer numbers; integers are written as float64.
    path : path
        Replaced if it exists. The folder must be there.

    Raises
    ------
    MatrixTooLarge
        If the file would be over 2 GiB, the limit of the format, with the size it would have.
    UnsupportedLayer
        If a layer has no ONNX equivalent. Names the layer and why.
    ValueError
        If the network holds exact objects, complex numbers or weights that are not built, or if
        ``path`` is a folder or in one that does not exist.
    OSError
        If the file cannot be written. What stood there before is then unchanged.

    Notes
    -----
    Numbers keep their precision. The input is named ``input``, of shape
    ``(batch, *net.input_shape)`` with an open batch, and the output ``output``. onnxruntime runs
    Gemm and Relu in float64 too, but not every convolution and pool.

    Examples
    --------
    ::

        save(equivlib.to_mlp(net), "lenet_mlp.onnx")
    """
    data = serialized(net)
    with replaced(path) as file:
        file.write_bytes(data)


def file_size(net: Network) -> int:
    """Count the bytes of the numbers in a network's file: dense weights and what is with them."""
    item = float_dtype(net).itemsize
    size: int = sum(math.prod(value.shape) for _, _, value in net.parameters()) * item
    moved = sum(layer.indices.size for layer in net.layers if isinstance(layer, Rearrange))
    fixed = [each for layer in net.layers if isinstance(layer, Resample) for each in layer.matrices]
    return size + moved * 8 + sum(matrix.size for matrix in fixed) * item


def serialized(net: Network) -> bytes:
    """Return the file of a network as bytes, checked by onnx itself."""
    import onnx

    for position, layer in enumerate(checked_network(net).layers):
        if isinstance(layer, Dense) and "weight" not in layer.params:
            raise ValueError(
                f"{net.label(position)} has an operator as weight: there are no numbers to write"
            )
    size = file_size(net)
    if size > LIMIT:
        raise MatrixTooLarge(
            f"the file would take {readable(size)}, over the {readable(LIMIT)} that its format "
            "allows: zeros of sparse weights are written"
        )
    writer = _Writer(net)
    model = writer.model()
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


class _Writer:
    """Nodes and constants so far."""

    def __init__(self, net: Network) -> None:
        self.net, self.dtype = net, float_dtype(net)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def model(self) -> onnx.ModelProto:
        import onnx

        helper = onnx.helper
        last = len(self.net.layers) - 1
        for position, layer in enumerate(self.net.layers):
            read = [self.name(source) for source in self.net.sources(position)]
            try:
                write(layer, self, read, self.name(position))
            except UnsupportedLayer as error:
                raise UnsupportedLayer(
                    f"{self.net.label(position)} has no ONNX equivalent: {error}"
                ) from None
        kind = helper.np_dtype_to_tensor_dtype(self.dtype)
        ends = (("input", self.net.input_shape), (self.name(last), self.net.output_shape))
        first, final = (
            helper.make_tensor_value_info(name, kind, ["batch", *shape]) for name, shape in ends
        )
        graph = helper.make_graph(self.nodes, "network", [first], [final], self.constants)
        versions = [helper.make_opsetid("", OPSET)]
        return helper.make_model(
            graph, producer_name="equivlib", opset_imports=versions, ir_version=8
        )

    def name(self, position: int) -> str:
        if position == len(self.net.layers) - 1:
            return "output"
        return "input" if position < 0 else f"layer{position}"

    def shape(self, read: str) -> Shape:
        return self.net.input_shape if read == "input" else self.net.shapes[int(read[5:])]

    def node(self, op: str, inputs: list[str], output: str, **attributes: Attribute) -> None:
        import onnx

        self.nodes.append(onnx.helper.make_node(op, inputs, [output], name=output, **attributes))

    def constant(self, array: Parameter, name: str) -> str:
        import onnx

        self.constants.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def number(self, array: Parameter, name: str) -> str:
        dense = array.toarray() if is_sparse(array) else np.asarray(array)
        return self.constant(dense.astype(self.dtype), name)

    def parameters(self, layer: Layer, output: str) -> list[str]:
        return [self.number(value, f"{output}.{name}") for name, value in layer.params.items()]


@singledispatch
def write(layer: Layer, w: _Writer, read: list[str], out: str) -> None:
    """Append the nodes of a layer, which read some names and give one; its class chooses the rule.

    An UnsupportedLayer says why there are none; the caller names the layer.
    """
    raise UnsupportedLayer("layers of its class are not supported")


@write.register(Dense)
def _dense(layer: Dense, w: _Writer, read: list[str], out: str) -> None:
    w.node("Gemm", [*read, *w.parameters(layer, out)], out, transB=1)


def _ends(padding: Sequence[tuple[int, int]]) -> list[int]:
    return [low for low, _ in padding] + [high for _, high in padding]


def _options(geometry: Geometry, weight: Array) -> tuple[dict[str, Attribute], Array]:
    spatial = tuple(range(2, weight.ndim))
    options: dict[str, Attribute] = {
        "kernel_shape": list(weight.shape[2:]),
        "strides": list(geometry.stride),
        "dilations": list(geometry.dilation),
        "group": geometry.groups,
    }
    return options, np.flip(weight, spatial) if geometry.flip else weight


@write.register(Conv)
def _conv(layer: Conv, w: _Writer, read: list[str], out: str) -> None:
    geometry = layer.geometry(w.shape(read[0]))
    options, weight = _options(geometry, layer.weight)
    ends, mode = _ends(geometry.padding), geometry.padding_mode
    if mode != "zeros" and any(ends):
        if mode not in PADDING_MODE:
            raise UnsupportedLayer(f"padding_mode (={mode!r}) is not in opset {OPSET}")
        half = len(ends) // 2
        pads = [0, 0, *ends[:half], 0, 0, *ends[half:]]
        padded = w.constant(np.array(pads, dtype=np.int64), f"{out}.pads")
        w.node("Pad", [*read, padded], f"{out}.padded", mode=PADDING_MODE[mode])
        read, ends = [f"{out}.padded"], [0] * len(ends)
    names = [w.number(weight, f"{out}.weight")]
    names += [] if layer.bias is None else [w.number(layer.bias, f"{out}.bias")]
    w.node("Conv", [*read, *names], out, pads=ends, **options)


@write.register(ConvTranspose)
def _conv_transpose(layer: ConvTranspose, w: _Writer, read: list[str], out: str) -> None:
    shape = w.shape(read[0])
    geometry = layer.geometry(shape)
    if geometry.padding_mode != "zeros":
        raise UnsupportedLayer(f"padding_mode (={geometry.padding_mode!r}) must be 'zeros'")
    options, weight = _options(geometry, layer.weight)
    extra: list[int] = []
    padding: list[tuple[int, int]] = []
    for axis, n in zip(geometry.axes, shape[1:], strict=True):
        more = axis.size + axis.low + axis.high - axis.stride * (n - 1) - axis.extent
        uncut = min(more, axis.high)  # the same, and onnxruntime wants output_padding to be small
        extra.append(more - uncut)
        padding.append((axis.low, axis.high - uncut))
    names = [w.number(weight, f"{out}.weight")]
    names += [] if layer.bias is None else [w.number(layer.bias, f"{out}.bias")]
    pads = _ends(padding)
    w.node("ConvTranspose", [*read, *names], out, pads=pads, output_padding=extra, **options)


@write.register(BatchNorm)
def _batch_norm(layer: BatchNorm, w: _Writer, read: list[str], out: str) -> None:
    # The attribute epsilon is a float32, so it goes into the variance.
    var = layer.var + w.dtype.type(layer.eps)
    four = {**layer.params, "mean": layer.mean, "var": var}
    names = [w.number(value, f"{out}.{name}") for name, value in four.items()]
    w.node("BatchNormalization", [*read, *names], out, epsilon=0.0)


@write.register(MaxPool)
def _max_pool(layer: MaxPool, w: _Writer, read: list[str], out: str) -> None:
    geometry = layer.geometry(w.shape(read[0]))
    options, _ = _options(geometry, np.empty(geometry.weight_shape))
    del options["group"]
    w.node("MaxPool", read, out, pads=_ends(geometry.padding), **options)


@write.register(AvgPool)
def _avg_pool(layer: AvgPool, w: _Writer, read: list[str], out: str) -> None:
    shape = w.shape(read[0])
    geometry, ceil = layer.geometry(shape), {}
    padding = layer.padding(shape)
    if padding != geometry.padding:
        ceil = {"ceil_mode": 1}  # and not as padding, which would count
    attributes = {"kernel_shape": list(geometry.kernel_size), "strides": list(geometry.stride)}
    attributes["pads"] = _ends(padding)
    counted = int(layer.count_include_pad)
    w.node("AveragePool", read, out, count_include_pad=counted, **attributes, **ceil)


@write.register(AdaptiveAvgPool)
def _adaptive(layer: AdaptiveAvgPool, w: _Writer, read: list[str], out: str) -> None:
    shape = w.shape(read[0])
    sizes = layer.output_shape(shape)[1:]
    if all(size == 1 for size in sizes):
        w.node("GlobalAveragePool", read, out)
        return
    if any(n % m for n, m in zip(shape[1:], sizes, strict=True)):
        _along_axes(layer.averages(shape, w.dtype), w, read, out)
        return
    kernel = [n // m for n, m in zip(shape[1:], sizes, strict=True)]
    w.node("AveragePool", read, out, kernel_shape=kernel, strides=kernel)


@write.register(Resample)
def _resample(layer: Resample, w: _Writer, read: list[str], out: str) -> None:
    _along_axes(layer.matrices, w, read, out)


def _along_axes(matrices: Sequence[Array], w: _Writer, read: list[str], out: str) -> None:
    """Multiply by a matrix along each spatial axis: each becomes the last one for a product."""
    (name,), rank = read, len(matrices) + 2
    for axis, matrix in enumerate(matrices, start=2):
        order = list(range(rank))
        order[axis], order[-1] = order[-1], order[axis]
        along, last = f"{out}.axis{axis}", axis == rank - 1
        if not last:
            w.node("Transpose", [name], f"{along}.last", perm=order)
            name = f"{along}.last"
        product = out if last else f"{along}.product"
        w.node("MatMul", [name, w.number(matrix.T, f"{along}.matrix")], product)
        if not last:
            w.node("Transpose", [product], f"{along}.back", perm=order)
            name = f"{along}.back"


@write.register(LeakyReLU)
def _leaky(layer: LeakyReLU, w: _Writer, read: list[str], out: str) -> None:
    # The attribute alpha is a float32: what that cannot hold is a constant of its own.
    slope = float(layer.slope)
    if w.dtype == np.float32 or float(np.float32(slope)) == slope:
        w.node("LeakyRelu", read, out, alpha=slope)
    else:
        w.node("PRelu", [*read, w.number([slope], f"{out}.slope")], out)


@write.register(ReLU6)
def _relu6(layer: ReLU6, w: _Writer, read: list[str], out: str) -> None:
    bounds = [w.number(np.array(n), f"{out}.{name}") for name, n in (("min", 0), ("max", 6))]
    w.node("Clip", [*read, *bounds], out)


@write.register(Flatten)
def _flatten(layer: Flatten, w: _Writer, read: list[str], out: str) -> None:
    w.node("Flatten", read, out, axis=1)


@write.register(Rearrange)
def _rearrange(layer: Rearrange, w: _Writer, read: list[str], out: str) -> None:
    if not layer.keeps_order:
        w.node("Flatten", read, f"{out}.flat", axis=1)
        read, places = [f"{out}.flat"], layer.indices.ravel().astype(np.int64)
        if (places < 0).any():  # which read a zero that is put at the end
            ends = w.constant(np.array([0, 0, 0, 1], dtype=np.int64), f"{out}.ends")
            w.node("Pad", [*read, ends], f"{out}.wider")
            read, places = [f"{out}.wider"], np.where(places < 0, layer.size, places)
        w.node("Gather", [*read, w.constant(places, f"{out}.places")], f"{out}.moved", axis=1)
        read = [f"{out}.moved"]
    shape = w.constant(np.array([0, *layer.indices.shape], dtype=np.int64), f"{out}.shape")
    w.node("Reshape", [*read, shape], out)


@write.register(Concat)
def _concat(layer: Concat, w: _Writer, read: list[str], out: str) -> None:
    w.node("Concat", read, out, axis=1)


@write.register(Maximum)
def _maximum(layer: Maximum, w: _Writer, read: list[str], out: str) -> None:
    w.node("Max", read, out)


@write.register(Add)
def _add(layer: Add, w: _Writer, read: list[str], out: str) -> None:
    so_far = read[0]
    for i, name in enumerate(read[1:], start=2):
        total = out if i == len(read) else f"{out}.sum{i}"
        w.node("Add", [so_far, name], total)
        so_far = total


@write.register(Softmax)
def _softmax(layer: Softmax, w: _Writer, read: list[str], out: str) -> None:
    w.node("Softmax", read, out, axis=1)


@write.register(ReLU)
def _relu(layer: ReLU, w: _Writer, read: list[str], out: str) -> None:
    w.node("Relu", read, out)


@write.register(Sigmoid)
def _sigmoid(layer: Sigmoid, w: _Writer, read: list[str], out: str) -> None:
    w.node("Sigmoid", read, out)


@write.register(Tanh)
def _tanh(layer: Tanh, w: _Writer, read: list[str], out: str) -> None:
    w.node("Tanh", read, out)
