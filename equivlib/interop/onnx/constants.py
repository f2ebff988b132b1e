"""Fold operators on constants: exporters compute shapes and transpose weights in the graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from ...convolution.patches import Array
from ..graph import Value, chosen
from .file import Node, integers

#: Largest number of indices of a Gather.
LIMIT = 2**28


def shape(node: Node, batch: int) -> Array:
    """Return the shape of a value; an open batch is 0, which means in Reshape that it stays."""
    sizes = (batch, *node.value().shape)
    start, end = node.integer("start", 0), node.integer("end", len(sizes))
    return np.array(sizes[start:end], dtype=np.int64)


@contextmanager
def _fitting() -> Iterator[None]:
    """Wrap one call of NumPy with arguments from a file: what it raises is about the file."""
    try:
        yield
    except (IndexError, OverflowError) as error:
        raise ValueError(f"its constants do not fit: {error}") from None


def _gather(node: Node) -> Array:
    data, places = node.constant(0), node.constant(1)
    if places.dtype.kind not in "iu" or places.size > LIMIT:
        raise ValueError("its indices must be integers")
    axis = node.integer("axis", 0)
    with _fitting():
        return np.take(data, places, axis=axis)


def _concat(node: Node) -> Array:
    parts = [node.constant(i) for i in range(len(node.inputs))]
    axis = node.integer("axis", 0)
    with _fitting():
        return np.concatenate(parts, axis=axis)


def _axes(node: Node) -> tuple[int, ...] | None:
    given = node.integers("axes")
    listed = node.optional(1)
    return given if listed is None else tuple(integers(listed, "axes"))


def _unsqueeze(node: Node) -> Array:
    data, axes = node.constant(0), _axes(node) or ()
    with _fitting():
        return np.expand_dims(data, axes)


def _squeeze(node: Node) -> Array:
    data, axes = node.constant(0), _axes(node)
    with _fitting():
        return np.squeeze(data, axes)


def _transpose(node: Node) -> Array:
    data, axes = node.constant(0), node.integers("perm")
    with _fitting():
        return np.transpose(data, axes)


def _reshape(node: Node) -> Array:
    node.ignore("allowzero")
    data, sizes = node.constant(0), integers(node.constant(1), "its shape")
    with _fitting():
        return data.reshape(sizes)


def _cast(node: Node) -> Array:
    import onnx

    dtypes: dict[str, type[np.generic]] = {
        "FLOAT": np.float32,
        "DOUBLE": np.float64,
        "INT64": np.int64,
    }
    names = {number: name for name, number in onnx.TensorProto.DataType.items()}
    to = node.integer("to", 0)
    node.ignore("saturate")
    return node.constant(0).astype(chosen(dtypes, names.get(to, str(to)), "a cast of constants"))


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
    """Return the constant that a node computes, or None if it depends on the graph's input."""
    if node.op == "Shape" and node.inputs and isinstance(node.inputs[0], Value):
        return shape(node, batch)
    if node.op not in FOLDED or any(isinstance(x, Value) for x in node.inputs):
        return None
    return FOLDED[node.op](node)
