"""Changes of valid graphs for tools/fuzz.py: of messages, and of the bytes of a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from equivlib.interop.onnx.operators import REASONS
from equivlib.interop.onnx.reader import KNOWN

#: Integers that are wrong nearly everywhere, or that something counts with.
INTEGERS = (0, 1, 2, 3, 4, -1, -2, -3, -100, 64, 255, 2**20, 2**20 + 1, 2**31 - 1, 2**31, -(2**31),
            2**62, 2**63 - 1, -(2**63), 1_000_003, 1_000_033)  # fmt: skip
NUMBERS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-45, 3e38, -3e38, float("inf"), -float("inf"),
           float("nan"))  # fmt: skip
TEXTS = (
    "", " ", "<script>alert(1)</script>", "'\"><img src=x onerror=alert(1)>", "a\x00b",
    "\x1b[2J\x1b]0;title\x07", "line\nbreak\r", "\u202etxt.exe", "\U0001f600", "x" * 5000,
    "%s%n{0}{}", "../../etc/passwd", "input", "output", "x", "NOTSET", "SAME_UPPER", "SAME_LOWER",
    "VALID", "linear", "cubic", "nearest", "edge", "reflect", "wrap", "constant", "DCR", "CRD",
    "half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel", "half_pixel_symmetric",
    "tf_crop_and_resize", "floor", "ceil", "round_prefer_ceil", "not_larger", "not_smaller",
    "ij,jk->ik", "...i,ij->...j", "ii->i", "nijk->nkj", "ni,->n", "->", "ij->ji", "bij->b",
)  # fmt: skip
#: Where external data are said to be. tools/fuzz.py makes the files, links and folders.
PLACES = (
    "weights.bin", "deep/weights.bin", "./weights.bin", "deep/../weights.bin", "../secret/data.bin",
    "link.bin", "linked/data.bin", "pipe", "deep", ".", "..", "", "/etc/passwd", "/dev/zero",
    "/proc/self/mem", "weights.bin\x00.txt", "nothing.bin", "x" * 5000, "C:\\weights.bin",
    "file:///etc/passwd", "~/data.bin", "$HOME", "model.onnx", "loop.bin",
)  # fmt: skip
SPANS = ("0", "1", "4", "16", "-1", "4096", "9" * 19, "9" * 40, "", " 1", "1e3", "０", "0x10")
ATTRIBUTES = (
    "axis", "axes", "perm", "pads", "strides", "dilations", "kernel_shape", "group", "auto_pad",
    "ceil_mode", "count_include_pad", "output_shape", "output_padding", "keepdims", "alpha", "beta",
    "transA", "transB", "epsilon", "mode", "coordinate_transformation_mode", "nearest_mode",
    "exclude_outside", "keep_aspect_ratio_policy", "cubic_coeff_a", "blocksize", "equation", "to",
    "num_outputs", "split", "noop_with_empty_axes", "allowzero", "start", "end", "value",
    "value_float", "value_floats", "value_int", "value_ints", "value_string", "sparse_value",
    "spatial", "min", "max", "scales", "lambd", "bias", "antialias", "starts", "ends", "slope",
    "training_mode", "storage_order", "extrapolation_value", "then_branch", "body", "upper",
)  # fmt: skip
DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "<b>", "ai.onnx.preview.training")
OPS = tuple(sorted({*KNOWN, *REASONS}))

Random = np.random.Generator
Change = Callable[[onnx.ModelProto, Random], None]


def one(rng: Random, things: Sequence[Any]) -> Any:
    """Return one of some things, or None if there are none."""
    return things[int(rng.integers(len(things)))] if len(things) else None


def _node(model: onnx.ModelProto, rng: Random) -> onnx.NodeProto:
    return one(rng, model.graph.node) or model.graph.node.add(op_type="Relu")


def _attribute(model: onnx.ModelProto, rng: Random) -> onnx.AttributeProto:
    holders = [node for node in model.graph.node if node.attribute]
    return one(rng, (one(rng, holders) or _with_attribute(model, rng)).attribute)


def _with_attribute(model: onnx.ModelProto, rng: Random) -> onnx.NodeProto:
    node = _node(model, rng)
    _set(node.attribute.add(name=one(rng, ATTRIBUTES)), rng)
    return node


def _tensor(model: onnx.ModelProto, rng: Random) -> TensorProto:
    if not model.graph.initializer:
        values = rng.standard_normal(int(rng.integers(4))).astype("f")
        model.graph.initializer.append(numpy_helper.from_array(values, "extra"))
    return one(rng, model.graph.initializer)


def _names(model: onnx.ModelProto) -> list[str]:
    graph = model.graph
    found = [name for node in graph.node for name in (*node.input, *node.output)]
    return [*found, *(entry.name for entry in (*graph.input, *graph.initializer, *graph.output))]


def _integers(rng: Random) -> list[int]:
    near = rng.random() < 0.6
    count = int(rng.integers(0, 7)) if rng.random() < 0.97 else 3000
    few = range(-3, 6)
    return [int(one(rng, few if near else INTEGERS)) for _ in range(count)]


def _set(entry: onnx.AttributeProto, rng: Random) -> None:
    """Give an attribute a value of any kind."""
    kind = int(rng.integers(0, 12))
    entry.type = kind if rng.random() < 0.95 else int(one(rng, (0, 13, 14, 3)))
    entry.i, entry.f = int(one(rng, INTEGERS)), float(one(rng, NUMBERS))
    if kind == entry.STRING:
        entry.s = one(rng, TEXTS).encode()
        entry.s = rng.bytes(5) if rng.random() < 0.1 else entry.s
    elif kind == entry.INTS:
        entry.ints[:] = _integers(rng)
    elif kind == entry.FLOATS:
        entry.floats[:] = [float(one(rng, NUMBERS)) for _ in range(int(rng.integers(5)))]
    elif kind == entry.STRINGS:
        entry.strings[:] = [one(rng, TEXTS).encode()]
    elif kind == entry.TENSOR:
        entry.t.CopyFrom(numpy_helper.from_array(np.array(_integers(rng)[:9])))
        _spoil(entry.t, rng)
    elif kind == entry.GRAPH:
        entry.g.node.add(op_type="Relu", input=["x"], output=["inner"])
        entry.g.output.add(name="inner")
    elif kind == entry.SPARSE_TENSOR:
        entry.sparse_tensor.dims[:] = _integers(rng)[:4]


# --- attributes ----------------------------------------------------------------------------------


def drop_attribute(model: onnx.ModelProto, rng: Random) -> None:
    node = _node(model, rng)
    if node.attribute:
        del node.attribute[int(rng.integers(len(node.attribute)))]


def change_attribute(model: onnx.ModelProto, rng: Random) -> None:
    """Change a value, and keep its kind."""
    entry = _attribute(model, rng)
    if entry.type == entry.INT:
        entry.i = int(one(rng, INTEGERS))
    elif entry.type == entry.FLOAT:
        entry.f = float(one(rng, NUMBERS))
    elif entry.type == entry.STRING:
        entry.s = one(rng, TEXTS).encode()
    elif entry.type == entry.INTS and entry.ints and rng.random() < 0.7:
        entry.ints[int(rng.integers(len(entry.ints)))] = int(one(rng, (*INTEGERS, 1, 2, 3, -1, 0)))
    elif entry.type == entry.INTS:
        entry.ints[:] = _integers(rng)
    elif entry.type == entry.TENSOR:
        _spoil(entry.t, rng)


def retype_attribute(model: onnx.ModelProto, rng: Random) -> None:
    _set(_attribute(model, rng), rng)


def double_attribute(model: onnx.ModelProto, rng: Random) -> None:
    node = _node(model, rng)
    if node.attribute:
        copy = node.attribute.add()
        copy.CopyFrom(one(rng, node.attribute[:-1]))
        if rng.random() < 0.5:
            _set(copy, rng)


def add_attribute(model: onnx.ModelProto, rng: Random) -> None:
    _with_attribute(model, rng)


def rename_attribute(model: onnx.ModelProto, rng: Random) -> None:
    _attribute(model, rng).name = one(rng, (*ATTRIBUTES, *TEXTS))


# --- shapes --------------------------------------------------------------------------------------


def _end(model: onnx.ModelProto, rng: Random) -> onnx.ValueInfoProto:
    graph = model.graph
    return one(rng, [*graph.input, *graph.input, *graph.output]) or graph.input.add(name="x")


def change_size(model: onnx.ModelProto, rng: Random) -> None:
    """Give an axis of an input or output another size, an open one, or none."""
    shape = _end(model, rng).type.tensor_type.shape
    if not shape.dim:
        shape.dim.add()
    dim = one(rng, shape.dim)
    if rng.random() < 0.3:
        dim.dim_param = one(rng, ("N", "height", *TEXTS))
    elif rng.random() < 0.2:
        dim.Clear()
    else:
        dim.dim_value = int(one(rng, (*INTEGERS, 1, 2, 3, 4, 5)))


def change_rank(model: onnx.ModelProto, rng: Random) -> None:
    shape = _end(model, rng).type.tensor_type.shape
    if rng.random() < 0.5 and shape.dim:
        del shape.dim[int(rng.integers(len(shape.dim)))]
    else:
        for _ in range(1 if rng.random() < 0.9 else 70):
            shape.dim.add(dim_value=int(one(rng, (1, 2, 3))))


def change_kind(model: onnx.ModelProto, rng: Random) -> None:
    """Give an input or output another type, or none, or one that is no tensor."""
    entry, way = _end(model, rng), rng.random()
    if way < 0.5:
        entry.type.tensor_type.elem_type = int(rng.integers(-1, 25))
    elif way < 0.6:
        entry.ClearField("type")
    elif way < 0.7:
        entry.type.tensor_type.ClearField("shape")
    elif way < 0.8:
        entry.type.sequence_type.elem_type.tensor_type.elem_type = 1
    else:
        entry.type.tensor_type.elem_type = TensorProto.DOUBLE


def change_ends(model: onnx.ModelProto, rng: Random) -> None:
    """Add, remove or double an input or output of the graph, or choose another output."""
    ends, way = one(rng, (model.graph.input, model.graph.output)), rng.random()
    if way < 0.4 and ends:
        del ends[int(rng.integers(len(ends)))]
    elif way < 0.6 and ends:
        ends.add().CopyFrom(one(rng, ends[:-1]) or ends[0])
    else:
        name = one(rng, _names(model)) or ""
        if way < 0.8:
            del ends[:]
        ends.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]))


# --- nodes ---------------------------------------------------------------------------------------


def shuffle_nodes(model: onnx.ModelProto, rng: Random) -> None:
    nodes = [type(node).FromString(node.SerializeToString()) for node in model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes[i] for i in rng.permutation(len(nodes)))


def double_node(model: onnx.ModelProto, rng: Random) -> None:
    copy = onnx.NodeProto()
    copy.CopyFrom(_node(model, rng))
    if rng.random() < 0.6 and copy.output:
        copy.output[0] = "another"
    model.graph.node.append(copy)


def drop_node(model: onnx.ModelProto, rng: Random) -> None:
    if len(model.graph.node) > 1 or rng.random() < 0.1:
        del model.graph.node[int(rng.integers(len(model.graph.node) or 1)) :][:1]


def add_node(model: onnx.ModelProto, rng: Random) -> None:
    """Put a node with any operator at the end, which reads any values."""
    names = _names(model)
    inputs = [one(rng, names) or "" for _ in range(int(rng.integers(0, 4)))]
    if model.graph.output and rng.random() < 0.8:
        inputs[:1] = [model.graph.output[0].name]
    node = model.graph.node.add(op_type=one(rng, OPS), input=inputs, output=["added"])
    for _ in range(int(rng.integers(0, 3))):
        _set(node.attribute.add(name=one(rng, ATTRIBUTES)), rng)
    if model.graph.output:
        model.graph.output[0].name = "added"


def change_inputs(model: onnx.ModelProto, rng: Random) -> None:
    """Drop, add, empty, exchange or replace inputs of a node: cycles too."""
    node, way = _node(model, rng), rng.random()
    if way < 0.2 and node.input:
        del node.input[int(rng.integers(len(node.input)))]
    elif way < 0.3:
        node.input.append(one(rng, _names(model)) or "")
    elif way < 0.5 and node.input:
        node.input[int(rng.integers(len(node.input)))] = ""
    elif way < 0.6 and len(node.input) > 1:
        node.input[0], node.input[1] = node.input[1], node.input[0]
    elif way < 0.65:
        node.input.extend(["x"] * 70)
    elif node.input:
        node.input[int(rng.integers(len(node.input)))] = one(rng, [*_names(model), "nowhere"])


def change_outputs(model: onnx.ModelProto, rng: Random) -> None:
    node, way = _node(model, rng), rng.random()
    if way < 0.3 and node.output:
        del node.output[int(rng.integers(len(node.output)))]
    elif way < 0.6 and node.output:
        node.output[int(rng.integers(len(node.output)))] = one(rng, ["", *_names(model)])
    else:
        node.output.append(one(rng, ["", "more", *_names(model)]))


def change_operator(model: onnx.ModelProto, rng: Random) -> None:
    node, way = _node(model, rng), rng.random()
    if way < 0.8:
        node.op_type = one(rng, OPS)
    elif way < 0.9:
        node.op_type = one(rng, ("If", "Loop", "Scan", "LSTM", "StringNormalizer", *TEXTS))
    else:
        node.domain = one(rng, DOMAINS)


def change_version(model: onnx.ModelProto, rng: Random) -> None:
    way = rng.random()
    if way < 0.7 and model.opset_import:
        model.opset_import[0].version = int(rng.integers(6, 30))
    elif way < 0.8:
        version = int(one(rng, (*INTEGERS, 7, 13, 17)))
        model.opset_import.add(domain=one(rng, DOMAINS), version=version)
    elif way < 0.9:
        model.ir_version = int(one(rng, (*INTEGERS, 3)))
    elif rng.random() < 0.5:
        del model.opset_import[:]
    else:
        model.functions.add(name="f", domain="d")


# --- constants -----------------------------------------------------------------------------------


def _spoil(tensor: TensorProto, rng: Random) -> None:
    """Change type, shape, length or place of a tensor's numbers."""
    way = int(rng.integers(8))
    if way == 0:
        tensor.data_type = int(rng.integers(-1, 26))
    elif way == 1 and tensor.dims:
        tensor.dims[int(rng.integers(len(tensor.dims)))] = int(one(rng, (*INTEGERS, 1, 2, 3)))
    elif way == 2:
        tensor.dims.append(int(one(rng, (1, 1, 2, 0, -1))))
    elif way == 3 and tensor.dims:
        del tensor.dims[int(rng.integers(len(tensor.dims)))]
    elif way == 4:
        tensor.raw_data = tensor.raw_data[: int(rng.integers(len(tensor.raw_data) + 1))]
    elif way == 5:
        tensor.raw_data = tensor.raw_data + rng.bytes(int(rng.integers(1, 9)))
    elif way == 6:
        field = one(rng, (tensor.float_data, tensor.int32_data, tensor.int64_data))
        field.extend([1] * int(rng.integers(1, 5)))
    else:
        tensor.ClearField(one(rng, ("raw_data", "dims", "data_type", "name")))


def spoil_constant(model: onnx.ModelProto, rng: Random) -> None:
    _spoil(_tensor(model, rng), rng)


def change_numbers(model: onnx.ModelProto, rng: Random) -> None:
    """Change numbers, and keep type and shape."""
    tensor = _tensor(model, rng)
    try:
        array = numpy_helper.to_array(tensor).copy()
    except Exception:  # spoilt before
        return
    if array.size and array.dtype.kind in "iuf":
        value = one(rng, NUMBERS if array.dtype.kind == "f" else (*INTEGERS, 0, 1, 2, 3, -1, -2))
        with np.errstate(all="ignore"):
            value = np.array(value).astype(array.dtype)
        if rng.random() < 0.7:
            array.ravel()[int(rng.integers(array.size))] = value
        else:
            array.ravel()[:] = value
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def retype_numbers(model: onnx.ModelProto, rng: Random) -> None:
    """Store the same numbers in another type or shape."""
    tensor = _tensor(model, rng)
    try:
        array = numpy_helper.to_array(tensor)
        with np.errstate(all="ignore"):
            array = array.astype(one(rng, ("f4", "f8", "i4", "i8", "u1", "?", "f2", "c8")))
    except Exception:  # spoilt before, or a type that cannot be another
        return
    shape = one(rng, (array.shape, array.shape[::-1], (-1,), (1, *array.shape), (*array.shape, 1)))
    tensor.CopyFrom(numpy_helper.from_array(array.reshape(shape), tensor.name))


def double_constant(model: onnx.ModelProto, rng: Random) -> None:
    way, tensor = rng.random(), _tensor(model, rng)
    if way < 0.4:
        model.graph.initializer.add().CopyFrom(tensor)
    elif way < 0.6:
        kind = tensor.data_type
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, kind, tensor.dims))
    elif way < 0.8:
        node = helper.make_node("Constant", [], [tensor.name], value=tensor)
        model.graph.node.insert(0, node)
        model.graph.initializer.remove(tensor)
    else:
        model.graph.initializer.remove(tensor)


def sparse_constant(model: onnx.ModelProto, rng: Random) -> None:
    """Store a constant with its places, which may be wrong."""
    tensor = _tensor(model, rng)
    try:
        array = numpy_helper.to_array(tensor)
    except Exception:  # spoilt before
        return
    flat = np.flatnonzero(array) if array.dtype.kind in "iuf" else np.arange(1)
    sparse = model.graph.sparse_initializer.add(dims=array.shape)
    values = array.ravel()[flat] if array.size else array.ravel()
    places = flat.astype(np.int64)
    if rng.random() < 0.4 and array.ndim and array.size:
        places = np.argwhere(array).astype(np.int64)
    sparse.values.CopyFrom(numpy_helper.from_array(values, tensor.name))
    sparse.indices.CopyFrom(numpy_helper.from_array(places, ""))
    if rng.random() < 0.9:
        model.graph.initializer.remove(tensor)
    if rng.random() < 0.4:
        _spoil(one(rng, (sparse.values, sparse.indices)), rng)
    if rng.random() < 0.3 and sparse.dims:
        sparse.dims[0] = int(one(rng, INTEGERS))


def external_constant(model: onnx.ModelProto, rng: Random) -> None:
    """Say that a constant is in another file: a right one, one outside, or none."""
    tensor = _tensor(model, rng)
    size = len(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    place = "weights.bin" if rng.random() < 0.4 else one(rng, PLACES)
    tensor.external_data.add(key="location", value=place)
    if rng.random() < 0.4:
        tensor.external_data.add(key="length", value=str(size))
        return
    for key in ("offset", "length", "checksum", "location", "basepath", "<key>"):
        if rng.random() < 0.2:
            tensor.external_data.add(key=key, value=one(rng, SPANS))


# --- names, and what lies deeper -----------------------------------------------------------------


def rename_value(model: onnx.ModelProto, rng: Random) -> None:
    """Give a value another name wherever it stands."""
    old, new, graph = one(rng, _names(model)), one(rng, TEXTS), model.graph
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
    for entry in (*graph.input, *graph.output, *graph.initializer):
        entry.name = new if entry.name == old else entry.name


def rename_thing(model: onnx.ModelProto, rng: Random) -> None:
    """Give a node, a tensor or an end another name, there alone."""
    graph = model.graph
    thing = one(rng, [*graph.node, *graph.node, *graph.initializer, *graph.input, *graph.output])
    if thing is not None:
        thing.name = one(rng, TEXTS)
    model.producer_name, graph.name, graph.doc_string = (one(rng, TEXTS) for _ in range(3))


def nest_graph(model: onnx.ModelProto, rng: Random) -> None:
    """Add a graph within a graph, a few levels deep."""
    entry = _node(model, rng).attribute.add(name=one(rng, ("body", "then_branch", "g")))
    entry.type, inner = entry.GRAPH, entry.g
    for _ in range(int(rng.integers(1, 12))):
        deeper = inner.node.add(op_type="If", output=["y"]).attribute.add(name="then_branch")
        deeper.type, inner = deeper.GRAPH, deeper.g
    inner.name = "deepest"


CHANGES: tuple[Change, ...] = (
    drop_attribute, change_attribute, change_attribute, change_attribute, retype_attribute,
    double_attribute, add_attribute, rename_attribute, change_size, change_size, change_rank,
    change_kind, change_ends, shuffle_nodes, double_node, drop_node, add_node, add_node, add_node,
    change_inputs, change_inputs, change_outputs, change_operator, change_operator, change_version,
    spoil_constant, change_numbers, change_numbers, change_numbers, retype_numbers, double_constant,
    sparse_constant, external_constant, rename_value, rename_thing, nest_graph,
)  # fmt: skip


def changed(seed: onnx.ModelProto, rng: Random) -> bytes:
    """Return the bytes of a graph after a few changes; the parser of protobuf reads them."""
    while True:
        model = onnx.ModelProto()
        model.CopyFrom(seed)
        for _ in range(1 + min(int(rng.geometric(0.6)) - 1, 5)):
            one(rng, CHANGES)(model, rng)
        data: bytes = model.SerializeToString()
        try:
            onnx.ModelProto.FromString(data)
        except Exception:  # the parser refuses its own bytes, of texts for example
            continue
        return data


# --- bytes ---------------------------------------------------------------------------------------

#: Lengths and numbers of fields that say more than is there, or never end.
VARINTS = (
    b"\xff" * 9 + b"\x01", b"\xff" * 11, b"\xff\xff\xff\xff\x0f", b"\x80\x80\x80\x80\x10",
    b"\x80" * 30, b"\x00", b"\x7f", b"\xff\xff\xff\xff\x07", b"\x3a\xff\xff\xff\xff\x07",
)  # fmt: skip


def garbled(data: bytes, other: bytes, rng: Random) -> bytes:
    """Return bytes of a file that are flipped, cut, repeated, spliced, or random ones."""
    made, way = bytearray(data), int(rng.integers(12))
    first, second = sorted(int(i) for i in rng.integers(0, len(data) + 1, 2))
    if way == 0:
        return rng.bytes(int(rng.integers(0, 200)))
    if way == 1:
        return data[:first]
    if way == 2:
        return data[:first] + data[second:]
    if way == 3:
        return data[:second] + data[first:second] * int(rng.integers(1, 4)) + data[second:]
    if way == 4:
        return data[:first] + other[min(first, len(other)) :]
    if way == 5:
        return data[:first] + VARINTS[int(rng.integers(len(VARINTS)))] + data[first:]
    if way == 6:
        return data[:first] + rng.bytes(int(rng.integers(1, 9))) + data[second:]
    for place in rng.integers(0, len(made), int(rng.integers(1, 4))):
        made[place] = made[place] ^ (1 << int(rng.integers(8))) if way < 10 else rng.integers(256)
    return bytes(made)
