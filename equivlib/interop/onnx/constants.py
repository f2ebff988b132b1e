"""Operators on constants: exporters compute shapes and turn weights in the graph itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...convert import UnsupportedLayer
from ...convolution.patches import Array
from ..graph import Value
from .file import Node, integers

#: How much larger a folded constant may be than what it is made from.
LIMIT = 2**28


def shape(node: Node, batch: int) -> Array:
    """The shape of a value; an open batch is 0, which means in Reshape that it stays."""
    sizes = (batch, *node.value().shape)
    start, end = node.integer("start", 0), node.integer("end", len(sizes))
    return np.array(sizes[start:end], dtype=np.int64)


def _gather(node: Node) -> Array:
    data, places = node.constant(0), node.constant(1)
    if places.dtype.kind not in "iu" or places.size > LIMIT:
        raise ValueError("its indices must be integers")
    return np.take(data, places, axis=node.integer("axis", 0))


def _concat(node: Node) -> Array:
    parts = [node.constant(i) for i in range(len(node.inputs))]
    return np.concatenate(parts, axis=node.integer("axis", 0))


def _axes(node: Node) -> tuple[int, ...] | None:
    given = node.integers("axes")
    listed = node.optional(1)
    return given if listed is None else tuple(integers(listed, "axes"))


def _unsqueeze(node: Node) -> Array:
    return np.expand_dims(node.constant(0), _axes(node) or ())


def _squeeze(node: Node) -> Array:
    return np.squeeze(node.constant(0), _axes(node))


def _transpose(node: Node) -> Array:
    return np.transpose(node.constant(0), node.integers("perm"))


def _reshape(node: Node) -> Array:
    node.ignore("allowzero")
    return node.constant(0).reshape(integers(node.constant(1), "its shape"))


def _cast(node: Node) -> Array:
    import onnx

    kinds = onnx.TensorProto
    dtypes: dict[int, type[np.generic]] = {
        kinds.FLOAT: np.float32,
        kinds.DOUBLE: np.float64,
        kinds.INT64: np.int64,
    }
    to = node.integer("to", 0)
    node.ignore("saturate")
    if to not in dtypes:
        raise UnsupportedLayer(f"constants are not cast to the data type {to}")
    return node.constant(0).astype(dtypes[to])


def _identity(node: Node) -> Array:
    return node.constant(0)


FOLDED: dict[str, Callable[[Node], Array]] = {
    "Cast": _cast,
    "Concat": _concat,
    "Constant": Node.stored,
    "Gather": _gather,
    "Identity": _identity,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}


def folded(node: Node, batch: int) -> Array | None:
    """The constant that a node gives, or None if it depends on the graph's input."""
    if node.op == "Shape" and node.inputs and isinstance(node.inputs[0], Value):
        return shape(node, batch)
    if node.op not in FOLDED or any(isinstance(x, Value) for x in node.inputs):
        return None
    try:
        return FOLDED[node.op](node)
    except (ValueError, UnsupportedLayer):
        raise
    except (IndexError, TypeError, OverflowError) as error:
        raise ValueError(f"its constants do not fit: {error}") from None
