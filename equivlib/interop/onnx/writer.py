"""Networks as ONNX files: one rule per kind of layer, and the file written in one step."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial, singledispatch
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ...convert import UnsupportedLayer
from ...convert.operators import AffineStage, BlockRow, Matrix, Term, Unbuilt
from ...convolution.geometry import Geometry
from ...convolution.patches import Array, DType
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
from ...layers.base import Shape
from ...layers.network import checked_network
from ..graph import float_dtype
from . import stream
from .stream import LIMIT, NUMBERS, Progress, write_model

if TYPE_CHECKING:
    import onnx
    from scipy.sparse import csr_array

#: An attribute of a node.
Attribute: TypeAlias = int | float | str | list[int]

#: The type of the places in a sparse matrix.
INDEX = np.dtype(np.int64)

#: The version of the operators that is written: old enough to be read anywhere.
OPSET = 17

#: The version that has circular padding, and the version of the format that goes with it.
WRAP_OPSET, WRAP_IR = 19, 9

PADDING_MODE = {"replicate": "edge", "reflect": "reflect", "circular": "wrap"}


def save(
    net: Network,
    path: str | os.PathLike[str],
    *,
    sparse: bool = False,
    dtype: DTypeLike | None = None,
) -> None:
    r"""Write a network as an ONNX file, which appears whole or not at all.

    .. math:: graph(x) = net(x)

    Every layer becomes the operators that compute it. A network of :class:`Dense` and
    :class:`ReLU`, as :func:`~equivlib.to_mlp` makes it, becomes Gemm and Relu and nothing else.
    Weights are written one after the other, some rows at a time, so that nothing of the size of
    the file is held: with ``to_mlp(net, matrix_free=True)`` each is built only then.

    Parameters
    ----------
    net : Network
        Of floating-point or integer numbers; integers are written as float64.
    path : path
        Replaced if it exists. The folder must be there.
    sparse : bool, default False
        Write the matrices of Dense layers with their places (``sparse_initializer``) where that
        is shorter. By default they are written with all their zeros, which every program reads.
        onnxruntime fills in the zeros when it reads the file; a matrix that takes over 2 GiB then
        is written as several of fewer rows, whose results are concatenated.
    dtype : {"float32", "float64"}, optional
        Of a network without parameters, and of its input; by default ``net.dtype``.

    Raises
    ------
    MatrixTooLarge
        If the file would be over 2 GiB, the limit of the format, with the size it would have.
    UnsupportedLayer
        If a layer has no ONNX equivalent. Names the layer and why.
    ValueError
        If the network holds exact objects, complex numbers or operators that cannot be built, or if
        ``path`` is a folder or in one that does not exist.
    OSError
        If the file cannot be written. What stood there before is then unchanged.

    Notes
    -----
    Numbers keep their precision. The input is named ``input``, of shape
    ``(batch, *net.input_shape)`` with an open batch, and the output ``output``. onnxruntime runs
    Gemm and Relu in float64 too, but not every convolution and pool. The file has opset 17, or 19
    if a padding is circular.

    Examples
    --------
    ::

        save(equivlib.to_mlp(net), "lenet_mlp.onnx")
    """
    with replaced(path) as target, target.open("wb") as file:
        write_network(net, file, sparse=sparse, dtype=dtype)


def write_network(
    net: Network,
    file: BinaryIO,
    *,
    sparse: bool = False,
    dtype: DTypeLike | None = None,
    progress: Progress | None = None,
) -> None:
    """Write a network to a file, after onnx itself has checked the graph."""
    import onnx

    for position, layer in enumerate(checked_network(net).layers):
        if isinstance(layer, Dense) and not _has_numbers(layer):
            raise ValueError(
                f"{net.label(position)} has an operator as weight: there are no numbers to write"
            )
    writer = _Writer(net, sparse, None if dtype is None else np.dtype(dtype))
    model = writer.model()
    onnx.checker.check_model(writer.with_inputs(model))
    write_model(model, writer.dense, writer.sparse, file, progress)


def _has_numbers(layer: Dense) -> bool:
    return "weight" in layer.params or hasattr(layer.weight, "unbuilt")


def _unbuilt(layer: Dense, dtype: DType) -> Unbuilt:
    """Return how to build the weight; one that is there already is a stage of one operator."""
    if "weight" not in layer.params:
        unbuilt: Unbuilt = getattr(layer.weight, "unbuilt")  # noqa: B009
        return unbuilt._replace(dtype=dtype)
    row = BlockRow((Term(1, Matrix(layer.weight), 0),))
    return Unbuilt(AffineStage(0, (layer.weight.shape[1],), (row,)), dtype)


class _Writer:
    """Nodes and constants so far."""

    def __init__(self, net: Network, sparse: bool, dtype: DType | None) -> None:
        self.net, self.shortens = net, sparse
        stored = any(isinstance(layer, Dense) or layer.params for layer in net.layers)
        self.dtype = float_dtype(net) if stored or dtype is None else dtype
        self.opset = OPSET
        self.nodes: list[onnx.NodeProto] = []
        self.dense: list[stream.Dense] = []
        self.sparse: list[stream.Sparse] = []

    def model(self) -> onnx.ModelProto:
        """Return the graph without its constants."""
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
        graph = helper.make_graph(self.nodes, "network", [first], [final])
        versions = [helper.make_opsetid("", self.opset)]
        ir = WRAP_IR if self.opset == WRAP_OPSET else 8
        return helper.make_model(
            graph, producer_name="equivlib", opset_imports=versions, ir_version=ir
        )

    def with_inputs(self, model: onnx.ModelProto) -> onnx.ModelProto:
        """Return the graph with inputs in place of constants, for the checker of onnx."""
        import onnx

        checked = onnx.ModelProto()
        checked.CopyFrom(model)
        every = [(c.name, c.dtype, c.shape) for c in self.dense]
        every += [(c.name, c.dtype, c.shape) for c in self.sparse]
        for name, dtype, shape in every:
            kind = onnx.helper.np_dtype_to_tensor_dtype(dtype)
            checked.graph.input.append(onnx.helper.make_tensor_value_info(name, kind, shape))
        return checked

    def name(self, position: int) -> str:
        if position == len(self.net.layers) - 1:
            return "output"
        return "input" if position < 0 else f"layer{position}"

    def shape(self, read: str) -> Shape:
        return self.net.input_shape if read == "input" else self.net.shapes[int(read[5:])]

    def node(self, op: str, inputs: list[str], output: str, **attributes: Attribute) -> None:
        import onnx

        self.nodes.append(onnx.helper.make_node(op, inputs, [output], name=output, **attributes))

    def constant(self, array: Array, name: str) -> str:
        self.dense.append(stream.Dense(name, array.dtype, array.shape, lambda: [array]))
        return name

    def reshaped(self, read: list[str], shape: Shape, out: str) -> str:
        # Some programs take a 0 for the batch literally, and all compute what -1 stands for.
        sizes = self.constant(np.array([-1, *shape], dtype=np.int64), f"{out}.shape")
        self.node("Reshape", [*read, sizes], out)
        return out

    def number(self, array: ArrayLike, name: str) -> str:
        """Add a constant of the network's precision, which is converted when it is written."""
        dtype, values = self.dtype, np.asarray(array)
        blocks = lambda: [values.astype(dtype, copy=False)]  # noqa: E731
        self.dense.append(stream.Dense(name, dtype, values.shape, blocks))
        return name

    def matrices(self, layer: Dense, out: str) -> list[tuple[str, slice]]:
        """Add the weight of a Dense layer, in one part or several; return their names and rows."""
        weight, name = _unbuilt(layer, self.dtype), f"{out}.weight"
        (height, width), dense = weight.stage.shape, weight.stage.dense * self.dtype.itemsize
        if not self.shortens or weight.nnz * (self.dtype.itemsize + INDEX.itemsize) >= dense:
            shape, blocks = (height, width), lambda: weight.dense_rows(NUMBERS)
            self.dense.append(stream.Dense(name, self.dtype, shape, blocks))
            return [(name, slice(0, height))]
        if dense <= LIMIT:
            entries = lambda: _entries(weight.to_csr())  # noqa: E731
            whole = stream.Sparse(name, self.dtype, (height, width), weight.nnz, entries)
            self.sparse.append(whole)
            return [(name, slice(0, height))]
        # What reads the file fills in the zeros, and no tensor may then be over the limit.
        step, matrix, parts = max(1, LIMIT * height // dense), weight.to_csr(), []
        for begin in range(0, height, step):
            rows = matrix[begin : begin + step]
            entries = partial(_entries, rows)
            part = stream.Sparse(f"{name}{begin}", self.dtype, rows.shape, rows.nnz, entries)
            self.sparse.append(part)
            parts.append((part.name, slice(begin, begin + step)))
        return parts


def _entries(matrix: csr_array) -> tuple[Array, Array]:
    """Return the stored numbers of a sparse matrix, and their places in the flattened dense one."""
    rows = np.repeat(np.arange(matrix.shape[0], dtype=INDEX), np.diff(matrix.indptr))
    rows *= matrix.shape[1]
    rows += matrix.indices
    return matrix.data, rows


@singledispatch
def write(layer: Layer, w: _Writer, read: list[str], out: str) -> None:
    """Append the nodes of a layer, which read some names and give one; its class chooses the rule.

    An UnsupportedLayer says why there are none; the caller names the layer.
    """
    raise UnsupportedLayer("layers of its class are not supported")


@write.register(Dense)
def _dense(layer: Dense, w: _Writer, read: list[str], out: str) -> None:
    # Some programs do not know that alpha, beta and the bias can be left out.
    bias = np.zeros(layer.weight.shape[0]) if layer.bias is None else layer.bias
    parts = w.matrices(layer, out)
    results = [out] if len(parts) == 1 else [f"{out}.part{i}" for i in range(len(parts))]
    for result, (name, rows) in zip(results, parts, strict=True):
        inputs = [*read, name, w.number(bias[rows], f"{result}.bias")]
        w.node("Gemm", inputs, result, alpha=1.0, beta=1.0, transB=1)
    if len(parts) > 1:
        w.node("Concat", results, out, axis=1)


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
            raise UnsupportedLayer(f"padding_mode (={mode!r}) is not one of its own")
        if mode == "circular":
            w.opset = WRAP_OPSET
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
    shape: Shape | None = w.shape(read[0])
    found = None if layer.keeps_order else layer.transposition()
    if found is not None:
        if found[0] != shape:
            read = [w.reshaped(read, found[0], f"{out}.axes")]
        shape = tuple(found[0][axis] for axis in found[1])
        moved = out if shape == layer.indices.shape else f"{out}.moved"
        w.node("Transpose", read, moved, perm=[0, *(axis + 1 for axis in found[1])])
        read = [moved]
    elif not layer.keeps_order:
        w.node("Flatten", read, f"{out}.flat", axis=1)
        read, places = [f"{out}.flat"], layer.indices.ravel().astype(np.int64)
        if (places < 0).any():  # which read a zero that is put at the end
            ends = w.constant(np.array([0, 0, 0, 1], dtype=np.int64), f"{out}.ends")
            w.node("Pad", [*read, ends], f"{out}.wider")
            read, places = [f"{out}.wider"], np.where(places < 0, layer.size, places)
        w.node("Gather", [*read, w.constant(places, f"{out}.places")], f"{out}.moved", axis=1)
        read, shape = [f"{out}.moved"], None
    if found is None or shape != layer.indices.shape:
        w.reshaped(read, layer.indices.shape, out)


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
