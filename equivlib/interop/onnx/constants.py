"""Fold operators on constants: exporters compute shapes and transpose weights in the graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from ...convolution.patches import Array
from ..graph import Value, chosen
from .file import LARGEST, OPEN, Node, integers, to_array

#: Largest number of indices of a Gather.
LIMIT = 2**28


def shape(node: Node, batch: int) -> Array:
    """Return the shape of an input, with the size of the batch that is told."""
    x = node.operand(0)
    sizes = (batch, *x.shape) if isinstance(x, Value) and x.batched else x.shape
    with _fitting():
        if node.op == "Size":
            return np.array(math.prod(sizes), dtype=np.int64)
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
        "INT32": np.int32,
        "BOOL": np.bool_,
    }
    names = {number: name for name, number in onnx.TensorProto.DataType.items()}
    to = node.integer("to", 0)
    node.ignore("saturate", "round_mode")
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


# --- operators that onnx itself computes ----------------------------------------------------------


def _broadcast(*xs: Array) -> int:
    return math.prod(np.broadcast_shapes(*(x.shape for x in xs)))


def _as_many(x: Array, *_: Array) -> int:
    return x.size


def _product(x: Array, y: Array) -> int:
    return x.size * (y.shape[-1] if y.ndim > 1 else 1)


def _filled(sizes: Array) -> int:
    return math.prod(integers(sizes, "its shape"))


def _expanded(x: Array, sizes: Array) -> int:
    return math.prod(np.broadcast_shapes(x.shape, tuple(integers(sizes, "its shape"))))


def _tiled(x: Array, repeats: Array) -> int:
    return x.size * math.prod(integers(repeats, "its repeats"))


def _counted(start: Array, limit: Array, delta: Array) -> int:
    if not all(array.size == 1 for array in (start, limit, delta)) or not delta.item():
        raise ValueError("its start, limit and delta must be numbers, no step 0")
    count: int = max(math.ceil((limit.item() - start.item()) / delta.item()), 0)
    return count


#: Operators that onnx computes on constants, with a bound on the numbers they give: so nothing
#: large is made before it is known to be.
COMPUTED: dict[str, Callable[..., int]] = {
    **dict.fromkeys(
        ("Add", "Sub", "Mul", "Div", "Pow", "Mod", "Min", "Max", "Mean", "Sum"), _broadcast
    ),
    **dict.fromkeys(("And", "Or", "Xor", "Equal", "Greater", "Less", "Where", "PRelu"), _broadcast),
    **dict.fromkeys(("GreaterOrEqual", "LessOrEqual"), _broadcast),
    **dict.fromkeys(
        ("Abs", "Neg", "Floor", "Ceil", "Round", "Sqrt", "Exp", "Log", "Not"), _as_many
    ),
    **dict.fromkeys(("Reciprocal", "Sign", "Relu", "Sigmoid", "Tanh", "Clip", "Erf"), _as_many),
    **dict.fromkeys(("CumSum", "DequantizeLinear", "Flatten", "Slice", "Split", "Trilu"), _as_many),
    **dict.fromkeys(("ReduceMax", "ReduceMin", "ReduceSum", "ReduceMean", "ReduceProd"), _as_many),
    "ConstantOfShape": _filled,
    "Expand": _expanded,
    "MatMul": _product,
    "Range": _counted,
    "Tile": _tiled,
}


def _check_attributes(node: Node) -> None:
    """Refuse what onnx would read from another file or run, and counts that are absurd."""
    for entry in node.message.attribute:
        if entry.type not in (entry.FLOAT, entry.INT, entry.STRING, entry.TENSOR, entry.INTS):
            raise ValueError(f"its attribute {entry.name!r} is of the wrong kind")
        if entry.type == entry.TENSOR:
            to_array(entry.t, entry.name)
        if entry.type == entry.INT and abs(entry.i) > LARGEST:
            raise ValueError(f"its attribute {entry.name!r} (={entry.i}) is over {LARGEST}")


def _computed(node: Node, batch: int, max_bytes: float) -> list[Array]:
    """Let onnx compute a node, where the bound on its result fits."""
    from onnx.reference import ReferenceEvaluator

    arrays = [None if x is None else np.asarray(x) for x in node.inputs]
    _check_attributes(node)
    target = arrays[-1] if node.op in ("ConstantOfShape", "Expand") and arrays else None
    if batch in OPEN and target is not None and target.ndim == 1 and batch in target[:1]:
        arrays[-1] = np.array([1, *target[1:]])  # it is the same in each sample
    try:
        size = COMPUTED[node.op](*(array for array in arrays if array is not None))
    except TypeError:
        raise ValueError(f"it does not have the inputs of {node.op}") from None
    if size * 8 > max_bytes:
        raise ValueError(f"its {size} constants are over max_bytes (={max_bytes})")
    given = {name: x for name, x in zip(node.message.input, arrays, strict=True) if name}
    try:
        evaluator = ReferenceEvaluator(node.message, opsets={"": node.opset})
        with np.errstate(all="ignore"):
            found = evaluator.run(None, given)
    except Exception as error:  # whatever malformed constants make it raise
        raise ValueError(f"its constants cannot be computed: {error}") from None
    node.ignore_all()
    return [np.asarray(array) for array in found]


def folded(node: Node, batch: int, max_bytes: float) -> list[Array] | None:
    """Return the constants that a node computes, or None if it depends on the graph's input."""
    if node.op in ("Shape", "Size"):
        return [shape(node, batch)]
    if any(isinstance(x, Value) for x in node.inputs):
        return None
    if node.op in FOLDED:
        return [FOLDED[node.op](node)]
    return _computed(node, batch, max_bytes) if node.op in COMPUTED else None
