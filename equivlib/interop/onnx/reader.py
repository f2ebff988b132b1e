"""Networks from ONNX files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...convert import UnsupportedLayer
from ...convolution.matrix import MAX_BYTES
from ...convolution.patches import Array
from ...layers import Network
from ..graph import Builder, Value, located, not_supported
from .constants import COMPUTED, FOLDED, folded
from .external import Folder
from .file import (
    OPEN,
    Node,
    filled,
    free_input,
    graph_input,
    is_external,
    label,
    one_sample,
    opset,
    read_model,
    to_array,
)
from .operators import OPERATORS, REASONS

if TYPE_CHECKING:
    import onnx


def load(
    path: str | os.PathLike[str],
    *,
    input_shape: Sequence[int] | None = None,
    output: str | None = None,
    max_bytes: float = MAX_BYTES,
) -> Network:
    r"""Return the network in an ONNX file.

    .. math:: net(x) = graph(x)

    for every batch ``x``, up to rounding. The first axis of the graph's input is the batch; an
    input with one axis is one sample. If a graph for a fixed batch does with its first axis what
    samples do not allow, such as adding other numbers to each, its input is one sample as a whole.

    ============================================  ================================================
    operator                                      becomes
    ============================================  ================================================
    Conv, ConvTranspose, Col2Im                   Conv, ConvTranspose
    Gemm, MatMul and Einsum with a constant       Dense, or a Conv of one tap
    MaxPool, GlobalMaxPool, ReduceMax, ReduceMin  MaxPool
    AveragePool, GlobalAveragePool, ReduceMean    AvgPool, AdaptiveAvgPool
    ReduceSum, ReduceL1                           a depthwise Conv of ones
    BatchNormalization                            BatchNorm
    Add, Sub, Sum, Mean                           a bias, or Add
    Max, Min                                      Maximum, or a shifted ReLU
    Neg, and Mul, Div and Where by a constant     BatchNorm
    Relu, LeakyRelu, PRelu, Abs, Clip,            ReLU, LeakyReLU, ReLU6, or a sum of such
    HardSigmoid, Shrink
    Sigmoid, Tanh, Softmax                        Sigmoid, Tanh, Softmax
    Concat                                        Concat
    Resize, Upsample                              Resample, or Rearrange if nearest
    Pad                                           a depthwise Conv of one tap, or Rearrange
    Slice, Split, Gather, Expand, Tile,           Rearrange
    DepthToSpace, SpaceToDepth
    Flatten, Reshape, Squeeze, Unsqueeze          nothing, Flatten or Rearrange
    Transpose                                     nothing, or Rearrange
    Identity, Dropout, Cast, constants, Shape     nothing
    ============================================  ================================================

    Nodes may stand in any order that defines each value once. Constants are computed from constants
    and shapes; of sparse ones the zeros are filled in.

    The order in which a graph flattens is read from the graph. So where a graph works channels
    last, the columns of the matrix that reads the flattened value are permuted.

    Parameters
    ----------
    path : path
        A file of opset 7 or newer, with its tensors inside or in files in the same folder. Nothing
        in it is executed.
    input_shape : tuple of int, optional
        Without batch, for a graph that leaves sizes open.
    output : str, optional
        The value that is the output: one of several outputs of the graph, or any that a node gives,
        to stop before what cannot be read or converted. What it does not depend on is not read.
    max_bytes : number, default 4 GiB
        Refuse a larger file, its tensors in other files included, and a graph with larger values
        for one sample.

    Returns
    -------
    Network
        With the numbers of the file in their precision, for the shape of the graph's input without
        batch.

    Raises
    ------
    UnsupportedLayer
        If a node has no equivalent in ``Network``, because of its operator, an attribute or an
        input. Names the node, its operator, and a value before it that could be the output.
    ValueError
        If the file is malformed or larger than ``max_bytes``, if a tensor is in a file outside its
        folder, if the output depends on several
        inputs, if the graph has several outputs and ``output`` chooses none, if a value is defined
        twice or depends on itself, if shapes do not fit, or if the graph leaves sizes open and
        ``input_shape`` is missing or contradicts it.
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
    # What overflows is infinite here too, as in what the file says.
    with located(os.fspath(path)), np.errstate(all="ignore"):
        return _network(model, output, input_shape, path, max_bytes)


def _network(
    model: onnx.ModelProto,
    output: str | None,
    given: Sequence[int] | None,
    path: str | os.PathLike[str],
    max_bytes: float,
) -> Network:
    """Return the network of a graph, whose first axis is that of the batch, or else of the sample.

    If it can be read neither way, the error is that of the way on which more of it was read.
    """
    graph = _Graph(model, output, given, Folder(path, max_bytes))
    try:
        return graph.network()
    except ValueError as error:
        if graph.input.batch < 2:
            raise
        alone = _Graph(model, output, given, Folder(path, max_bytes), alone=True)
        try:
            return alone.network()
        except ValueError:
            if len(alone.values) > len(graph.values):
                raise
            raise error from None


def extracted(path: str | os.PathLike[str], output: str, max_bytes: float = MAX_BYTES) -> bytes:
    """Return a file of the part of a graph that a value depends on, with that as its output."""
    import onnx

    model = read_model(path, max_bytes)
    with located(os.fspath(path)):
        nodes = _needed(model.graph, output)
        needed = {name for message in nodes for name in message.input}
        kind = free_input(model, needed).type.tensor_type.elem_type
        kept = [entry for entry in model.graph.input if entry.name in needed]
        last = onnx.helper.make_tensor_value_info(output, kind, None)
        for field, entries in (("node", nodes), ("input", kept), ("output", [last])):
            copies = [type(entry).FromString(entry.SerializeToString()) for entry in entries]
            model.graph.ClearField(field)
            getattr(model.graph, field).extend(copies)
    data: bytes = model.SerializeToString()
    return data


class _Graph:
    """A graph that is being read: what its names stand for so far."""

    def __init__(
        self,
        model: onnx.ModelProto,
        output: str | None,
        given: Sequence[int] | None,
        folder: Folder,
        *,
        alone: bool = False,
    ) -> None:
        self.version, graph = opset(model), model.graph
        self.output = _chosen_output(graph, output)
        self.nodes = _needed(graph, self.output)
        self.read = {self.output, *(name for message in self.nodes for name in message.input)}
        first = graph_input(model, self.read, given)
        self.input = first = one_sample(first) if alone else first
        self.folder = folder
        self.builder = Builder(
            first.shape, first.dtype, folder.max_bytes, first.batch, batched=first.batched
        )
        self.stored = {tensor.name: tensor for tensor in graph.initializer}
        self.sparse = {tensor.values.name: tensor for tensor in graph.sparse_initializer}
        self.values: dict[str, Value | Array] = {first.name: self.builder.input}
        #: The constants that depend on the size of the batch, where that is open, for another size.
        self.others: dict[str, Array] = {}

    def network(self) -> Network:
        """Read the nodes one by one."""
        for message in self.nodes:
            with located(label(message)):
                try:
                    self._read(message)
                except UnsupportedLayer as error:
                    raise UnsupportedLayer(f"{error}{self._hint(message)}") from None
        result = self.values.get(self.output)
        if not isinstance(result, Value):
            raise ValueError(f"output {self.output!r} does not depend on the graph's input")
        return self.builder.network(result)

    def _hint(self, message: onnx.NodeProto) -> str:
        """Return where the graph can be read up to, in place of its end."""
        computed = {name for other in self.nodes for name in other.output}
        read = [n for n in message.input if isinstance(self.values.get(n), Value) and n in computed]
        return f"; output={read[0]!r} stops before it" if read else ""

    def _read(self, message: onnx.NodeProto) -> None:
        known = message.domain in ("", "ai.onnx")
        op = message.op_type if known else f"{message.domain}.{message.op_type}"
        if op not in KNOWN and op not in REASONS:
            raise not_supported(op, KNOWN)
        inputs = [self._input(name) for name in message.input]
        constants = self._folded(message, inputs)
        if constants is None and op in REASONS:
            raise UnsupportedLayer(f"{op} is not supported: {REASONS[op]}")
        results: Sequence[Value | Array] = (
            self._applied(message, inputs) if constants is None else constants
        )
        for name, value in zip(message.output, results, strict=False):
            self.values[name] = value
            if isinstance(value, Value):
                self.builder.names[value.source] = name
        for name in message.output[len(results) :]:
            if name and name in self.read:
                raise UnsupportedLayer("only its first output is supported")

    def _input(self, name: str) -> Value | Array | None:
        if name and name not in self.values:
            self.values[name] = self._constant(name)
        return self.values[name] if name else None

    def _constant(self, name: str) -> Array:
        if name in self.sparse:
            return filled(self.sparse[name], self.builder.max_bytes)
        tensor = self.stored[name]
        return self.folder.array(tensor, name) if is_external(tensor) else to_array(tensor, name)

    def _folded(
        self, message: onnx.NodeProto, inputs: list[Value | Array | None]
    ) -> list[Array] | None:
        """Return the constants that a node gives, if it depends on no number of the input."""
        batch, limit = self.builder.batch, self.builder.max_bytes
        node = Node(message, inputs, self.version)
        results = folded(node, batch or OPEN[0], limit)
        if results is None:
            return None
        node.finish()
        for result in results:
            if result.size * 8 > limit:
                raise ValueError(f"its constant of shape {result.shape} is over max_bytes")
        sized = node.op in ("Shape", "Size") and not batch
        if sized or any(name in self.others for name in message.input):
            others = [self.others.get(n, x) for n, x in zip(message.input, inputs, strict=True)]
            again = folded(Node(message, others, self.version), OPEN[1], limit) or []
            for name, one, other in zip(message.output, results, again, strict=False):
                if one.shape != other.shape or (one != other).any():
                    self.others[name] = other
        return list(results)

    def _applied(self, message: onnx.NodeProto, inputs: list[Value | Array | None]) -> list[Value]:
        """Return the values that the rule of an operator gives."""
        if not any(isinstance(x, Value) for x in inputs):
            raise UnsupportedLayer("it is supported only as an operation on the graph's input")
        if message.op_type not in OPERATORS:
            raise UnsupportedLayer("it is supported only as an operation on constants")
        for place, name in enumerate(message.input):
            if name in self.others and place != SHAPES.get(message.op_type):
                raise UnsupportedLayer("it computes with the size of the batch, which is open")
        node = Node(message, inputs, self.version)
        result = OPERATORS[message.op_type](self.builder, node)
        node.finish()
        return result if isinstance(result, list) else [result]


#: All operators that are read, and the inputs in which some take a shape, batch included.
KNOWN = {*OPERATORS, *FOLDED, *COMPUTED, "Shape", "Size"}
SHAPES = {"Reshape": 1, "Expand": 1, "Resize": 3}


def _chosen_output(graph: onnx.GraphProto, output: str | None) -> str:
    """Return the name of the value that is the output."""
    names: list[str] = [entry.name for entry in graph.output]
    if output is None and len(names) == 1:
        return names[0]
    listed = ", ".join(map(repr, names)) or "none"
    if output is None:
        raise ValueError(
            f"the graph must have one output, and has {len(names)}: {listed}; output must choose "
            "one"
        )
    if output in names or any(output in message.output for message in graph.node if output):
        return output
    raise ValueError(
        f"output (={output!r}) must be a value of the graph: one of its outputs, {listed}, or one "
        "that a node gives"
    )


def _needed(graph: onnx.GraphProto, output: str) -> list[onnx.NodeProto]:
    """Return the nodes that a value depends on, each after those that it reads.

    Their order in the file does not matter, as long as each value is defined once and none depends
    on itself.
    """
    origin = _origins(graph)
    ordered: list[onnx.NodeProto] = []
    state: dict[int, int] = {}  # of a node's position: 1 while what it reads is looked for, then 2
    waiting = [(output, "the output")]
    while waiting:
        name, reader = waiting[-1]
        position = origin.get(name)
        if position is None:
            if name not in origin:
                raise ValueError(f"{reader}: it reads {name!r}, which nothing gives")
            waiting.pop()
        elif state.get(position) == 2:
            waiting.pop()
        elif state.get(position) == 1:
            waiting.pop()
            ordered.append(graph.node[position])
            state[position] = 2
        else:
            message, state[position] = graph.node[position], 1
            for read in reversed(message.input):
                at = origin.get(read, -1) if read else None
                if at is not None and state.get(at) == 1:
                    raise ValueError(f"{label(message)}: it reads {read!r}, which depends on it")
                if read:
                    waiting.append((read, label(message)))
    return ordered


def _origins(graph: onnx.GraphProto) -> dict[str, int | None]:
    """Return the position of the node that gives each value; None for inputs and constants."""
    origin: dict[str, int | None] = {}
    stored = [entry.name for entry in graph.initializer]
    stored += [entry.values.name for entry in graph.sparse_initializer]
    for names in ([entry.name for entry in graph.input], stored):
        twice = (
            next((name for name in names if names.count(name) > 1), None)
            if len(set(names)) < len(names)
            else None
        )
        if twice is not None:
            raise ValueError(f"the graph has two inputs or constants of the name {twice!r}")
        origin |= dict.fromkeys(names)
    for position, message in enumerate(graph.node):
        for name in message.output:
            if name in origin:
                raise ValueError(f"{label(message)}: it gives {name!r}, which is there already")
            if name:
                origin[name] = position
    return origin
