"""The rule by which a file should convert: one by one, its operators are piecewise linear.

It was written before the first run and knows nothing of the readers. A file is listed if

1. its output, the first if there are several, depends on exactly one input;
2. each node on the way from that input to the output is an operator of ONNX's own, and in what it
   reads from the input, with everything else held constant, affine or continuous and piecewise
   linear. So a product of two values that depend on the input is not, nor is a division by one.

What is computed from constants and shapes alone is a constant, by whatever operator. Nodes of which
only the shape is used may be anything. A cast from one kind of floating point numbers to another
counts as the identity, one to integers as a rounding, which jumps.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

#: Operators that are affine or piecewise linear in all their inputs together.
JOINTLY = {
    "Add", "Sub", "Sum", "Mean", "Concat", "Max", "Min",
}  # fmt: skip

#: Operators of one input that counts; what else they read has to be constant.
ALONE = {
    # affine
    "AffineGrid", "AveragePool", "BatchNormalization", "Cast", "CastLike", "CenterCropPad",
    "Col2Im", "Compress", "CumSum", "DepthToSpace", "Div", "Dropout", "Expand", "Flatten", "Gather",
    "GatherElements", "GatherND", "GlobalAveragePool", "Identity", "Neg", "Pad", "ReduceMean",
    "ReduceSum", "Reshape", "Resize", "ReverseSequence", "Slice", "SpaceToDepth", "Split",
    "Squeeze", "Tile", "Transpose", "Trilu", "Unsqueeze", "Upsample",
    # piecewise linear
    "Abs", "Clip", "GlobalMaxPool", "HardSigmoid", "LeakyRelu", "MaxPool", "PRelu", "ReduceL1",
    "ReduceMax", "ReduceMin", "Relu", "Shrink",
}  # fmt: skip

#: Operators that multiply two of their inputs, of which one has to be constant; others are added.
PRODUCTS = {"Conv", "ConvTranspose", "Einsum", "Gemm", "MatMul", "Mul"}

#: Operators with the inputs that may depend on the network's.
SOME = {"Where": {1, 2}, "ScatterElements": {0, 2}, "ScatterND": {0, 2}}

SHAPES = {"Shape", "Size"}

#: ONNX's numbers of float32, float16, float64 and bfloat16.
FLOATS = {1, 10, 11, 16}


def unlisted(model: Any) -> str | None:
    """Return why a model (an ``onnx.ModelProto``) is not listed, or None if it is."""
    graph = model.graph
    if not graph.node or not graph.output:
        return "no graph"
    needed = _needed(graph, graph.output[0].name)
    read = {name for node in needed for name in _read(node)} | {graph.output[0].name}
    stored = {tensor.name for tensor in graph.initializer}
    stored |= {tensor.values.name for tensor in graph.sparse_initializer}
    free = [e.name for e in graph.input if e.name not in stored and e.name in read]
    if len(free) != 1:
        return f"{len(free)} inputs"
    depend = _dependent(needed, free[0])
    if graph.output[0].name not in depend:
        return "an output that does not depend on the input"
    for node in needed:
        if depend.intersection(node.output):
            why = _not_linear(node, depend) or _random(node, graph)
            if why is not None:
                return why
    return None


def _read(node: Any) -> Iterable[str]:
    """Return the values whose numbers a node reads."""
    return () if node.op_type in SHAPES else node.input


def _needed(graph: Any, output: str) -> list[Any]:
    """Return the nodes that an output depends on, in their order."""
    origin = {name: node for node in graph.node for name in node.output if name}
    found: set[int] = set()
    waiting = [output]
    while waiting:
        node = origin.get(waiting.pop())
        if node is not None and id(node) not in found:
            found.add(id(node))
            waiting += _read(node)
    return [node for node in graph.node if id(node) in found]


def _dependent(nodes: list[Any], first: str) -> set[str]:
    """Return the values that depend on a first one, in whatever order the nodes stand."""
    depend, before = {first}, 0
    while len(depend) > before:
        before = len(depend)
        for node in nodes:
            if not depend.isdisjoint(_read(node)):
                depend.update(name for name in node.output if name)
    return depend


def _not_linear(node: Any, depend: set[str]) -> str | None:
    """Return why a node is not piecewise linear in what depends on the input."""
    op = node.op_type
    if node.domain not in ("", "ai.onnx"):
        return f"{node.domain}.{op}"
    places = {i for i, name in enumerate(node.input) if name in depend}
    if op in JOINTLY:
        return None
    if op in PRODUCTS:
        factors = places if op == "Einsum" else places & {0, 1}
        return f"{op} of two activations" if len(factors) > 1 else None
    if op not in ALONE and op not in SOME:
        return op
    if not places <= SOME.get(op, {0}):
        return f"{op} with a computed operand"
    return _by_attributes(node)


def _random(node: Any, graph: Any) -> str | None:
    """Return that a node drops numbers at random, unless a constant says that it does not."""
    if node.op_type != "Dropout" or len(node.input) < 3 or not node.input[2]:
        return None
    found = [tensor for tensor in graph.initializer if tensor.name == node.input[2]]
    for other in graph.node:
        if other.op_type == "Constant" and node.input[2] in other.output:
            found += [entry.t for entry in other.attribute]
    off = [not any(tensor.raw_data) and not any(tensor.int32_data) for tensor in found]
    return None if off == [True] else "training"


def _by_attributes(node: Any) -> str | None:
    """Return why the attributes of a node make it something else."""
    given = {entry.name: entry for entry in node.attribute}
    if node.op_type == "Cast" and ("to" not in given or given["to"].i not in FLOATS):
        return "Cast to integers"
    if node.op_type == "BatchNormalization":
        return "training" if "training_mode" in given and given["training_mode"].i else None
    if node.op_type == "Shrink":
        bias = given["bias"].f if "bias" in given else 0.0
        bound = given["lambd"].f if "lambd" in given else 0.5
        return None if bias == bound else "Shrink with a jump"
    return None
