"""Networks from ONNX files."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ...convert import UnsupportedLayer
from ...convolution.matrix import MAX_BYTES as VALUE_BYTES
from ...convolution.patches import Array
from ...layers import Network
from ..graph import Builder, Value, located, not_supported
from .constants import FOLDED, folded
from .file import MAX_BYTES, Node, graph_input, label, opset, read_model, to_array
from .operators import OPERATORS

if TYPE_CHECKING:
    import onnx


def load(
    path: str | os.PathLike[str],
    *,
    input_shape: Sequence[int] | None = None,
    max_bytes: float = MAX_BYTES,
) -> Network:
    r"""Return the network in an ONNX file.

    .. math:: net(x) = graph(x)

    for every batch ``x``, up to rounding. The first axis of the graph's one input is the batch.

    ============================================  ================================================
    operator                                      becomes
    ============================================  ================================================
    Conv, ConvTranspose, Gemm, MatMul             Conv, ConvTranspose, Dense
    MaxPool, GlobalMaxPool                        MaxPool
    AveragePool, GlobalAveragePool, ReduceMean    AvgPool, AdaptiveAvgPool
    BatchNormalization                            BatchNorm
    Add, Sub, Sum                                 a bias, or Add
    Neg, and Mul and Div by a constant            BatchNorm
    Relu, LeakyRelu, PRelu, Clip                  ReLU, LeakyReLU, ReLU6, or a sum of such
    Sigmoid, Tanh, Softmax                        Sigmoid, Tanh, Softmax
    Pad                                           a depthwise Conv of one tap
    Flatten, Reshape, Squeeze, Unsqueeze          nothing, Flatten or Rearrange
    Transpose, Gather                             nothing, or Rearrange
    Identity, Dropout, constants, Shape           nothing
    ============================================  ================================================

    The order in which a graph flattens is read from the graph. So where a graph works channels
    last, the columns of the matrix that reads the flattened value are permuted.

    Parameters
    ----------
    path : path
        A file of opset 11 or newer, with all its tensors inside. Nothing in it is executed.
    input_shape : tuple of int, optional
        Without batch, for a graph that leaves sizes open.
    max_bytes : number, default 2 GiB
        Refuse a larger file, and a graph with larger values for one sample.

    Returns
    -------
    Network
        With the numbers of the file in their precision, for the shape of the graph's input without
        batch.

    Raises
    ------
    UnsupportedLayer
        If a node has no equivalent in ``Network``, because of its operator, an attribute or an
        input. Names the node and its operator.
    ValueError
        If the file is malformed or larger than ``max_bytes``, if its graph has several inputs or
        outputs, if shapes do not fit, or if the graph leaves sizes open and ``input_shape`` is
        missing or contradicts it.
    OSError
        If the file cannot be opened or read.

    Examples
    --------
    ::

        net = load("lenet.onnx")
        mlp = equivlib.to_mlp(net)
        save(mlp, "lenet_mlp.onnx")
    """
    model = read_model(path, max_bytes)
    with located(os.fspath(path)):
        return _network(model, input_shape, max_bytes)


def _network(model: onnx.ModelProto, given: Sequence[int] | None, max_bytes: float) -> Network:
    version = opset(model)
    graph = model.graph
    if len(graph.output) != 1:
        names = ", ".join(repr(entry.name) for entry in graph.output) or "none"
        raise ValueError(f"the graph must have one output, and has {len(graph.output)}: {names}")
    if graph.sparse_initializer:
        raise UnsupportedLayer("sparse constants are not supported")
    name, batch, shape, dtype = graph_input(model, given)
    output = graph.output[0].name
    builder = Builder(shape, dtype, max(max_bytes, VALUE_BYTES), batch)
    stored = {tensor.name: tensor for tensor in graph.initializer}
    values: dict[str, Value | Array] = {name: builder.input}
    for message in _needed(graph, output):
        with located(label(message)):
            inputs = [_input(name, values, stored) for name in message.input]
            values[message.output[0]] = _result(builder, message, inputs, version)
    result = values.get(output)
    if not isinstance(result, Value):
        raise ValueError(f"output {output!r} does not depend on the graph's input")
    return builder.network(result)


def _needed(graph: onnx.GraphProto, output: str) -> list[onnx.NodeProto]:
    """Return the nodes that the output depends on, in their order."""
    wanted, kept = {output}, []
    for message in reversed(graph.node):
        if not wanted.isdisjoint(name for name in message.output if name):
            kept.append(message)
            wanted.update(message.input)
            if wanted.intersection(message.output[1:]):
                raise UnsupportedLayer(f"{label(message)}: only its first output is supported")
    return kept[::-1]


def _input(
    name: str, values: dict[str, Value | Array], stored: Mapping[str, onnx.TensorProto]
) -> Value | Array | None:
    if not name:
        return None
    if name not in values:
        if name not in stored:
            raise ValueError(f"it reads {name!r}, which nothing before it gives")
        values[name] = to_array(stored[name], name)
    return values[name]


def _result(
    b: Builder, message: onnx.NodeProto, inputs: list[Value | Array | None], version: int
) -> Value | Array:
    known = message.domain in ("", "ai.onnx")
    if not known or message.op_type not in {*OPERATORS, *FOLDED, "Shape"}:
        operator = message.op_type if known else f"{message.domain}.{message.op_type}"
        raise not_supported(operator, {*OPERATORS, *FOLDED, "Shape"})
    node = Node(message, inputs, version)
    result: Value | Array | None = folded(node, b.batch)
    if result is None:
        if not any(isinstance(x, Value) for x in inputs):
            raise UnsupportedLayer("it is supported only as an operation on the graph's input")
        if message.op_type not in OPERATORS:
            raise UnsupportedLayer("it is supported only as an operation on constants")
        result = OPERATORS[message.op_type](b, node)
    elif math.prod(result.shape) * 8 > b.max_bytes:
        raise ValueError(f"its constant of shape {result.shape} is over max_bytes")
    node.finish()
    return result
