"""Parse ONNX files and their nodes. Files come from anywhere, so everything in them is checked."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...convert import UnsupportedLayer
from ...convolution.matrix import checked_limit, readable
from ...convolution.patches import Array, DType
from ...layers.base import Shape
from ..graph import Value

if TYPE_CHECKING:
    import onnx

#: Largest file that is read by default: the limit of its format.
MAX_BYTES = 2**31

#: The oldest version of the operators that is read, by rules that know what has changed since:
#: what is an input today was an attribute. ``onnx.version_converter`` would make one version of
#: all, but one node that it does not know, or ``spatial=0``, makes it refuse a whole file.
OLDEST = 7

#: Stand for an open batch in a shape that a graph computes with: primes, so that no sum or product
#: is one of them by chance. What differs between the two depends on the batch.
OPEN = (1_000_003, 1_000_033)

#: Largest integer in a list of attributes.
LARGEST = 2**20


def read_model(path: str | os.PathLike[str], max_bytes: float) -> onnx.ModelProto:
    """Return the message in a file, or a ValueError that says what is wrong with the file."""
    import onnx
    from google.protobuf.message import DecodeError

    checked_limit(max_bytes)
    file = Path(path)
    if not file.exists():
        raise FileNotFoundError(f"{file} does not exist")
    if not file.is_file():
        raise ValueError(f"{file} is not a file")
    size = file.stat().st_size
    if size > max_bytes:
        raise ValueError(f"{file} has {readable(size)}, over max_bytes (={max_bytes})")
    if size > MAX_BYTES:
        raise ValueError(f"{file} has {readable(size)}, over {readable(MAX_BYTES)}, its format's")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(file.read_bytes())
    except DecodeError:
        raise ValueError(f"{file} is not an ONNX file, or only a part of one") from None
    if not model.HasField("graph") or not model.graph.node:
        raise ValueError(f"{file} is not an ONNX file, or a graph without a node")
    for text in _names(model):
        if not isinstance(text, str):  # the parser gives bytes that are no text as they are
            raise ValueError(f"{file} has a name that is no text in UTF-8: {text[:40]!r}")
    return model


def _names(model: onnx.ModelProto) -> Iterator[str | bytes]:
    """Yield every name in a file that something looks at."""
    graph = model.graph
    yield from (entry.domain for entry in model.opset_import)
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (entry.name for entry in node.attribute)
    tensors = [*graph.initializer, *(entry.values for entry in graph.sparse_initializer)]
    for entry in (*graph.input, *graph.output, *tensors):
        yield entry.name
    for tensor in tensors:
        yield from (text for entry in tensor.external_data for text in (entry.key, entry.value))


def opset(model: onnx.ModelProto) -> int:
    """Return the version of ONNX's own operators, if it is one that can be read."""
    import onnx

    # If a domain is there twice, the last counts, as for onnxruntime and onnx's own evaluator.
    last = {entry.domain: entry.version for entry in model.opset_import}
    versions = {last[domain] for domain in ("", "ai.onnx") if domain in last}
    newest = onnx.defs.onnx_opset_version()
    if len(versions) != 1 or not OLDEST <= min(versions) <= newest:
        listed = ", ".join(map(str, sorted(versions))) or "none"
        raise ValueError(f"the file's opset (={listed}) must be one from {OLDEST} to {newest}")
    if model.functions:
        raise UnsupportedLayer("functions that a file defines are not supported, only operators")
    return int(versions.pop())


def is_external(tensor: onnx.TensorProto) -> bool:
    """Return whether the numbers of a tensor are in another file."""
    import onnx

    return bool(tensor.external_data) or tensor.data_location == onnx.TensorProto.EXTERNAL


def checked_shape(tensor: onnx.TensorProto, name: str) -> DType:
    """Return the dtype of a tensor message whose type and shape are possible."""
    import onnx

    kinds = onnx.TensorProto
    known: dict[int, type[np.generic]] = {
        kinds.FLOAT: np.float32,
        kinds.DOUBLE: np.float64,
        kinds.INT8: np.int8,
        kinds.INT16: np.int16,
        kinds.INT32: np.int32,
        kinds.INT64: np.int64,
        kinds.UINT8: np.uint8,
        kinds.UINT16: np.uint16,
        kinds.UINT32: np.uint32,
        kinds.UINT64: np.uint64,
        kinds.BOOL: np.bool_,
    }
    if tensor.data_type not in known:
        raise ValueError(
            f"tensor {name!r} has the data type {tensor.data_type}: only float32, float64, bool "
            "and integers of 8 to 64 bits are read"
        )
    if any(size < 0 for size in tensor.dims):
        raise ValueError(f"tensor {name!r} has the impossible shape {tuple(tensor.dims)}")
    return np.dtype(known[tensor.data_type])


def to_array(tensor: onnx.TensorProto, name: str) -> Array:
    """Return the numbers of a tensor message."""
    import onnx

    if is_external(tensor):
        raise ValueError(
            f"tensor {name!r} is stored in another file, which only constants of the graph may "
            "be: save the model as one file"
        )
    checked_shape(tensor, name)
    try:
        array: Array = onnx.numpy_helper.to_array(tensor)
    except Exception as error:  # whatever a malformed message makes it raise
        raise ValueError(f"tensor {name!r} cannot be read: {error}") from None
    return array


def filled(tensor: onnx.SparseTensorProto, max_bytes: float) -> Array:
    """Return the numbers of a sparse tensor message, zeros included."""
    name, shape = tensor.values.name, tuple(tensor.dims)
    values, places = to_array(tensor.values, name), to_array(tensor.indices, f"places of {name}")
    if not shape or any(size < 1 for size in shape):
        raise ValueError(f"sparse tensor {name!r} has the impossible shape {shape}")
    if math.prod(shape) * values.itemsize > max_bytes:
        raise ValueError(
            f"sparse tensor {name!r} would take {readable(math.prod(shape) * values.itemsize)} "
            f"with its zeros, over max_bytes (={max_bytes})"
        )
    if places.dtype != np.int64 or places.shape not in (values.shape, (values.size, len(shape))):
        raise ValueError(
            f"sparse tensor {name!r} has places of shape {places.shape} and dtype {places.dtype}, "
            f"which must be int64 and one for each of its {values.size} numbers"
        )
    sizes = shape if places.ndim == 2 else (math.prod(shape),)
    if (places < 0).any() or (places.reshape(-1, len(sizes)) >= sizes).any():
        raise ValueError(f"sparse tensor {name!r} has places outside its shape {shape}")
    flat = places if places.ndim == 1 else np.ravel_multi_index(tuple(places.T), shape)
    if len(np.unique(flat)) < len(flat):
        raise ValueError(f"sparse tensor {name!r} has a place twice")
    array = np.zeros(math.prod(shape), dtype=values.dtype)
    array[flat] = values
    return array.reshape(shape)


class Input(NamedTuple):
    """The input of a graph: its name, samples at a time (0 if open), shape of one, and dtype."""

    name: str
    batch: int
    shape: Shape
    dtype: DType
    #: Whether its first axis is that of the batch. With one axis alone it is one sample.
    batched: bool


def free_input(model: onnx.ModelProto, needed: set[str]) -> onnx.ValueInfoProto:
    """Return the one input among the names that an output depends on."""
    stored = {tensor.name for tensor in model.graph.initializer}
    stored |= {tensor.values.name for tensor in model.graph.sparse_initializer}
    free = [entry for entry in model.graph.input if entry.name not in stored]
    free = [entry for entry in free if entry.name in needed] or free
    if len(free) != 1:
        names = ", ".join(repr(entry.name) for entry in free) or "none"
        raise ValueError(f"the graph must have one input, and has {len(free)}: {names}")
    return free[0]


def graph_input(model: onnx.ModelProto, needed: set[str], given: Sequence[int] | None) -> Input:
    """Return the one input that the output depends on, described."""
    import onnx

    entry = free_input(model, needed)
    tensor = entry.type.tensor_type
    dtypes = {onnx.TensorProto.FLOAT: np.float32, onnx.TensorProto.DOUBLE: np.float64}
    if not entry.type.HasField("tensor_type") or tensor.elem_type not in dtypes:
        raise ValueError(f"input {entry.name!r} must be a tensor of float32 or float64")
    # Some exporters write a size that is open as 0 or -1.
    sizes = [max(dim.dim_value, 0) for dim in tensor.shape.dim]
    if not tensor.HasField("shape") and given is not None:
        sizes = [0] * (1 + len(given))
    if not sizes:
        raise ValueError(f"input {entry.name!r} has no axes: input_shape must say what is in it")
    batched = len(sizes) > 1
    batch, inner = (sizes[0], sizes[1:]) if batched else (1, sizes)
    dtype = np.dtype(dtypes[tensor.elem_type])
    return Input(entry.name, batch, _closed(entry.name, inner, given), dtype, batched)


def one_sample(first: Input) -> Input:
    """Return an input of a fixed batch as one sample with all its axes."""
    return first._replace(batch=1, shape=(first.batch, *first.shape), batched=False)


def _closed(name: str, sizes: Sequence[int], given: Sequence[int] | None) -> Shape:
    """Return the shape of the input without batch, with the given sizes where it is open."""
    if given is None:
        given = sizes
    elif len(given) != len(sizes) or any(
        m not in (0, n) for n, m in zip(given, sizes, strict=True)
    ):
        raise ValueError(
            f"input_shape (={tuple(given)}) must fit the input {name!r}, whose shape without batch "
            f"is {_shown(sizes)}"
        )
    if not all(given):
        raise ValueError(
            f"input {name!r} has the shape {_shown(given)} without batch: input_shape must say "
            "what is open in it"
        )
    return tuple(int(n) for n in given)


def _shown(sizes: Sequence[int]) -> str:
    return f"({', '.join(str(n) if n else '?' for n in sizes)})"


class Node:
    """An operator with its inputs and attributes, each taken out once and checked."""

    def __init__(
        self, message: onnx.NodeProto, inputs: list[Value | Array | None], version: int
    ) -> None:
        self.op, self.inputs, self.opset = message.op_type, inputs, version
        self.message, self.outputs = message, list(message.output)
        self.label = label(message)
        self._attributes = {entry.name: entry for entry in message.attribute}

    def value(self, index: int = 0) -> Value:
        """Return an input that depends on the network's input."""
        found = self.inputs[index] if index < len(self.inputs) else None
        if isinstance(found, Value):
            return found
        what = "missing" if found is None else "a constant"
        raise UnsupportedLayer(f"its input {index} is {what}, and must depend on the graph's input")

    def operand(self, index: int) -> Value | Array:
        """Return an input of either kind."""
        found = self.inputs[index] if index < len(self.inputs) else None
        if found is None:
            raise ValueError(f"its input {index} is missing")
        return found

    def constant(self, index: int) -> Array:
        """Return an input that is stored in the file."""
        found = self.optional(index)
        if found is None:
            raise ValueError(f"its input {index} is missing")
        return found

    def optional(self, index: int) -> Array | None:
        """Return an input that is stored in the file, or None if there is none."""
        found = self.inputs[index] if index < len(self.inputs) else None
        if isinstance(found, Value):
            raise UnsupportedLayer(
                f"its input {index} depends on the graph's input, and must be a constant"
            )
        return found

    def _take(self, name: str, kind: str) -> Any:
        entry = self._attributes.pop(name, None)
        if entry is None:
            return None
        types = {"f": entry.FLOAT, "i": entry.INT, "s": entry.STRING, "t": entry.TENSOR}
        types |= {"floats": entry.FLOATS, "ints": entry.INTS}
        if entry.type != types[kind]:
            raise ValueError(f"its attribute {name!r} is of the wrong kind")
        return getattr(entry, kind)

    def number(self, name: str, default: float) -> float:
        """Return a float attribute."""
        found = self._take(name, "f")
        return default if found is None else float(found)

    def numbers(self, name: str) -> tuple[float, ...] | None:
        """Return an attribute that lists floats."""
        found = self._take(name, "floats")
        return None if found is None else tuple(float(n) for n in found)

    def integer(self, name: str, default: int) -> int:
        """Return an int attribute."""
        found = self._take(name, "i")
        return default if found is None else int(found)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return an int attribute that is 0 or 1: programs differ in what any other means."""
        found = self.integer(name, int(default))
        if found not in (0, 1):
            raise ValueError(f"its attribute {name!r} (={found}) must be 0 or 1")
        return bool(found)

    def integers(
        self, name: str, default: Sequence[int] | None = None, *, any_size: bool = False
    ) -> tuple[int, ...] | None:
        """Return an attribute that lists ints, none absurdly large unless that has a meaning."""
        found = self._take(name, "ints")
        if found is None:
            return None if default is None else tuple(default)
        if not any_size and any(abs(n) > LARGEST for n in found):
            raise ValueError(f"its attribute {name!r} (={tuple(found)}) is over {LARGEST}")
        return tuple(int(n) for n in found)

    def per_axis(self, name: str, count: int, default: int) -> tuple[int, ...]:
        """Return an attribute with an int for each of so many axes."""
        found = self.integers(name, (default,) * count) or ()
        if len(found) != count:
            raise ValueError(f"its attribute {name!r} (={found}) must hold {count} integers")
        return found

    def text(self, name: str, default: str) -> str:
        """Return a string attribute."""
        found = self._take(name, "s")
        return default if found is None else found.decode("utf-8", "replace")

    def ignore(self, *names: str) -> None:
        """Drop attributes that have no effect here."""
        for name in names:
            self._attributes.pop(name, None)

    def ignore_all(self) -> None:
        """Drop all attributes, because something else has read them."""
        self._attributes.clear()

    def stored(self) -> Array:
        """Return the array in a Constant node."""
        if len(self._attributes) != 1:
            raise ValueError("it must have one attribute")
        (name,) = self._attributes
        if name == "value":
            return to_array(self._take(name, "t"), "value")
        kinds = {
            "value_float": ("f", np.float32),
            "value_floats": ("floats", np.float32),
            "value_int": ("i", np.int64),
            "value_ints": ("ints", np.int64),
        }
        if name not in kinds:
            raise UnsupportedLayer(f"unsupported attribute: {name!r}")
        kind, dtype = kinds[name]
        found = self._take(name, kind)
        return np.array(list(found) if kind.endswith("s") else found, dtype=dtype)

    def finish(self) -> None:
        """Refuse what nothing has asked for."""
        if self._attributes:
            names = ", ".join(sorted(repr(name) for name in self._attributes))
            raise UnsupportedLayer(f"unsupported attributes: {names}")


def label(message: onnx.NodeProto) -> str:
    """Return the name and operator of a node, for messages."""
    name = message.name or ", ".join(message.output)
    return f"node {name!r} ({message.op_type})"


def integers(array: Array, what: str) -> list[int]:
    """Return a short list of integers that is an input of a node, such as a shape."""
    if array.dtype.kind not in "iu" or array.ndim > 1 or array.size > 64:
        raise ValueError(f"{what} (of shape {array.shape}) must be a list of integers")
    return [int(n) for n in array.ravel()]
