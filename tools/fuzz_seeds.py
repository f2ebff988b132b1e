"""Valid graphs for tools/fuzz.py: onnx's own cases, files that the library writes, random nets."""

from __future__ import annotations

import functools
import io
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from equivlib.interop.onnx.operators import REASONS
from equivlib.interop.onnx.reader import KNOWN
from equivlib.interop.onnx.writer import write_network

ROOT = Path(__file__).resolve().parents[1]

#: Of a graph that is changed: small, so that a case takes milliseconds.
MOST_BYTES = 12_000

#: Newest version of the operators that onnxruntime and the rules of random nets know.
OPSET = 17


class Graph:
    """A graph that is being made at random: its last value and that value's shape."""

    def __init__(self, rng: np.random.Generator, shape: list[int], opset: int = OPSET) -> None:
        self.rng, self.shape, self.first, self.opset = rng, list(shape), list(shape), opset
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.last, self.before = "x", [("x", list(shape))]

    def constant(self, values: object, kind: str = "f4") -> str:
        """Store a constant and return its name."""
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(values, dtype=kind)
        return name

    def random(self, *shape: int) -> str:
        """Store random numbers."""
        return self.constant(self.rng.standard_normal(shape))

    def node(self, op: str, *inputs: str, shape: list[int] | None = None, **attributes) -> None:
        """Append a node that reads the last value, with its shape if that changes."""
        out = f"v{len(self.nodes)}"
        read = [self.last, *inputs]
        self.nodes.append(helper.make_node(op, read, [out], name=f"n{out}", **attributes))
        self.last, self.shape = out, self.shape if shape is None else list(shape)
        self.before.append((out, self.shape))

    def model(self, *, batch: int | str | None = None) -> onnx.ModelProto:
        """Return the whole, whose batch is open unless it is a number."""
        sizes = self.first if batch is None else [batch, *self.first[1:]]
        kind = onnx.TensorProto.FLOAT
        ends = [helper.make_tensor_value_info("x", kind, sizes)]
        stored = [numpy_helper.from_array(v, k) for k, v in self.constants.items()]
        final = [helper.make_tensor_value_info(self.last, kind, None)]
        graph = helper.make_graph(self.nodes, "g", ends, final, stored)
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8
        )


# --- steps of random nets: each appends nodes, or nothing where the shape does not allow it -------


def _convolution(g: Graph) -> None:
    n, c, *spatial = g.shape
    kernel = [int(g.rng.integers(1, min(s, 3) + 1)) for s in spatial]
    groups = c if g.rng.random() < 0.3 else 1
    out = groups * int(g.rng.integers(1, 3))
    pads = [int(g.rng.integers(0, 2)) for _ in range(2 * len(spatial))]
    stride = [int(g.rng.integers(1, 3)) for _ in spatial]
    low, high = pads[: len(spatial)], pads[len(spatial) :]
    sizes = [
        (s + a + b - k) // t + 1
        for s, a, b, k, t in zip(spatial, low, high, kernel, stride, strict=True)
    ]
    inputs = [g.random(out, c // groups, *kernel)] + [g.random(out)] * bool(g.rng.random() < 0.5)
    g.node("Conv", *inputs, shape=[n, out, *sizes], group=groups, pads=pads, strides=stride)


def _transposed(g: Graph) -> None:
    n, c, *spatial = g.shape
    g.node(
        "ConvTranspose", g.random(c, 2, *[2] * len(spatial)),
        shape=[n, 2, *(2 * s for s in spatial)], strides=[2] * len(spatial),
    )  # fmt: skip


def _pool(g: Graph) -> None:
    n, c, *spatial = g.shape
    kernel, op = [min(2, s) for s in spatial], g.rng.choice(["MaxPool", "AveragePool"])
    sizes = [s // k for s, k in zip(spatial, kernel, strict=True)]
    options = {"ceil_mode": 0} if op == "MaxPool" else {"count_include_pad": 1}
    g.node(op, shape=[n, c, *sizes], kernel_shape=kernel, strides=kernel, **options)


def _global(g: Graph) -> None:
    op = str(g.rng.choice(["GlobalAveragePool", "GlobalMaxPool"]))
    g.node(op, shape=[*g.shape[:2], *[1] * len(g.shape[2:])])


def _normalised(g: Graph) -> None:
    c = g.shape[1]
    spread = g.constant(abs(g.rng.standard_normal(c)) + 0.5)
    g.node("BatchNormalization", g.random(c), g.random(c), g.random(c), spread)


def _pointwise(g: Graph) -> None:
    op = str(g.rng.choice(["Relu", "Neg", "Abs", "Sigmoid", "Tanh", "HardSigmoid", "LeakyRelu"]))
    g.node(op, **({"alpha": 0.2} if op in ("HardSigmoid", "LeakyRelu") else {}))


def _clipped(g: Graph) -> None:
    g.node("Clip", g.constant(-0.5), g.constant(2.0))


def _arithmetic(g: Graph) -> None:
    op = str(g.rng.choice(["Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu"]))
    shape = [1, *(s if g.rng.random() < 0.6 else 1 for s in g.shape[1:])]
    g.node(op, g.random(*shape))


def _residual(g: Graph) -> None:
    alike = [name for name, shape in g.before[:-1] if shape == g.shape]
    if alike:
        g.node(str(g.rng.choice(["Add", "Sub", "Max", "Min"])), str(g.rng.choice(alike)))


def _concatenated(g: Graph) -> None:
    n, c, *rest = g.shape
    alike = [(m, s) for m, s in g.before[:-1] if len(s) > 1 and s[2:] == rest]
    if alike:
        name, shape = alike[int(g.rng.integers(len(alike)))]
        g.node("Concat", name, shape=[n, c + shape[1], *rest], axis=1)


def _padded(g: Graph) -> None:
    spatial, mode = len(g.shape) - 2, str(g.rng.choice(["constant", "edge", "reflect"]))
    if min(g.shape[2:], default=0) < 3:
        return
    pads = g.constant([0, 0, *[1] * spatial] * 2, "i8")
    more = [g.constant(0.5)] if mode == "constant" else []
    g.node("Pad", pads, *more, shape=[*g.shape[:2], *(s + 2 for s in g.shape[2:])], mode=mode)


def _sliced(g: Graph) -> None:
    axis = len(g.shape) - 1
    if g.shape[axis] < 3:
        return
    ends = [g.constant([n], "i8") for n in (1, 2**40, axis, 1)]
    g.node("Slice", *ends, shape=[*g.shape[:axis], g.shape[axis] - 1])


def _gathered(g: Graph) -> None:
    axis = int(g.rng.integers(1, len(g.shape)))
    places = g.rng.integers(-g.shape[axis], g.shape[axis], 3)
    shape = [*g.shape[:axis], 3, *g.shape[axis + 1 :]]
    g.node("Gather", g.constant(places, "i8"), shape=shape, axis=axis)


def _split(g: Graph) -> None:
    n, c, *rest = g.shape
    if c > 1:
        g.node("Split", g.constant([1, c - 1], "i8"), shape=[n, 1, *rest], axis=1)
        g.nodes[-1].output.append(f"{g.last}.rest")
        g.before.append((f"{g.last}.rest", [n, c - 1, *rest]))


def _reduced(g: Graph) -> None:
    op = str(g.rng.choice(["ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1"]))
    axis = int(g.rng.integers(1, len(g.shape)))
    shape = [1 if i == axis else s for i, s in enumerate(g.shape)]
    g.node(op, shape=shape, axes=[axis - len(g.shape)], keepdims=1)


def _summed(g: Graph) -> None:
    if len(g.shape) > 2:
        g.node("ReduceSum", g.constant([-1], "i8"), shape=g.shape[:-1], keepdims=0)


def _resized(g: Graph) -> None:
    mode = str(g.rng.choice(["nearest", "linear", "cubic"]))
    if len(g.shape) != 4:
        mode = "nearest"
    scales = g.constant([1, 1, *[2.0] * (len(g.shape) - 2)])
    g.node("Resize", "", scales, shape=[*g.shape[:2], *(2 * s for s in g.shape[2:])], mode=mode)


def _turned(g: Graph) -> None:
    order = [0, *(int(i) for i in 1 + g.rng.permutation(len(g.shape) - 1))]
    g.node("Transpose", shape=[g.shape[i] for i in order], perm=order)


def _widened(g: Graph) -> None:
    where = int(g.rng.integers(1, len(g.shape)))
    g.node("Unsqueeze", g.constant([where], "i8"), shape=[*g.shape[:where], 1, *g.shape[where:]])
    g.node("Squeeze", g.constant([where], "i8"), shape=[*g.shape[:where], *g.shape[where + 1 :]])


def _blocks(g: Graph) -> None:
    if len(g.shape) == 4 and g.shape[1] % 4 == 0:
        n, c, h, w = g.shape
        g.node("DepthToSpace", shape=[n, c // 4, 2 * h, 2 * w], blocksize=2, mode="CRD")


def _by_shape(g: Graph) -> None:
    """Flatten as exporters do: by a shape that the graph computes."""
    total = int(np.prod(g.shape[1:]))
    read, zero, one = g.last, g.constant(0, "i8"), g.constant([-1], "i8")
    number = len(g.nodes)
    names = [f"s{number}.{i}" for i in range(4)]
    axes = g.constant([0], "i8")
    g.nodes += [
        helper.make_node("Shape", [read], [names[0]]),
        helper.make_node("Gather", [names[0], zero], [names[1]], axis=0),
        helper.make_node("Unsqueeze", [names[1], axes], [names[2]]),
        helper.make_node("Concat", [names[2], one], [names[3]], axis=0),
    ]
    g.node("Reshape", names[3], shape=[g.shape[0], total])


def _dense(g: Graph) -> None:
    if len(g.shape) != 2:
        g.node("Flatten", shape=[g.shape[0], int(np.prod(g.shape[1:]))], axis=1)
    width = int(g.rng.integers(1, 5))
    turned = int(g.rng.integers(2))
    weight = g.random(*([width, g.shape[1]] if turned else [g.shape[1], width]))
    g.node(
        "Gemm", weight, g.random(width), shape=[g.shape[0], width], transB=turned, alpha=0.5,
        beta=2.0,
    )  # fmt: skip


def _product(g: Graph) -> None:
    """Multiply by a matrix, on either side, or by one for each channel."""
    width, way = int(g.rng.integers(1, 4)), int(g.rng.integers(3))
    *lead, n, m = g.shape
    if way == 0 or not lead:
        g.node("MatMul", g.random(m, width), shape=[*lead, n, width])
    elif way == 1:
        g.node("MatMul", g.random(*lead[1:], m, width), shape=[*lead, n, width])
    else:
        value, g.last = g.last, g.random(width, n)
        g.node("MatMul", value, shape=[*lead, width, m])


def _einsum(g: Graph) -> None:
    ours = "abcdefg"[: len(g.shape)]
    ways = ((f"{ours},{ours[-1]}z->{ours[:-1]}z", [*g.shape[:-1], 2]),
            (f"...{ours[-1]},{ours[-1]}z->...z", [*g.shape[:-1], 2]),
            (f"{ours},{ours[-1]}z", [*g.shape[:-1], 2]))  # fmt: skip
    equation, shape = ways[int(g.rng.integers(len(ways)))]
    g.node("Einsum", g.random(g.shape[-1], 2), shape=shape)
    g.nodes[-1].attribute.append(helper.make_attribute("equation", equation))


def _softmax(g: Graph) -> None:
    g.node("Softmax", axis=-1)


def _chosen(g: Graph) -> None:
    mask = g.constant(g.rng.random(g.shape[1:]) < 0.5, "?")
    g.node("Identity")
    value, other = g.last, g.random(*[1] * len(g.shape))
    g.last = mask
    g.node("Where", value, other)


SPATIAL = (_convolution, _convolution, _transposed, _pool, _global, _normalised, _padded, _resized)
ANYWHERE = (
    _pointwise, _pointwise, _clipped, _arithmetic, _arithmetic, _residual, _concatenated, _sliced,
    _gathered, _split, _reduced, _summed, _turned, _widened, _blocks, _by_shape, _dense, _product,
    _einsum, _softmax, _chosen,
)  # fmt: skip


def random_net(rng: np.random.Generator) -> onnx.ModelProto:
    """Return a net of two to seven steps, over images, signals or features."""
    shape = [[2, 4, 4, 3], [2, 2, 5], [2, 6], [1, 3, 4, 4]][int(rng.integers(4))]
    g = Graph(rng, shape)
    for _ in range(int(rng.integers(2, 8))):
        steps: tuple[Callable[[Graph], None], ...] = ANYWHERE
        if len(g.shape) > 2 and rng.random() < 0.5:
            steps = SPATIAL
        if np.prod(g.shape) < 300:
            steps[int(rng.integers(len(steps)))](g)
    if not g.nodes:
        _pointwise(g)
    return g.model(batch=str(rng.choice(["N", ""])) or None)


# --- the other sources ---------------------------------------------------------------------------


def cases_of_onnx() -> Iterator[onnx.ModelProto]:
    """Yield onnx's own cases of operators that are read, all inputs but one as constants."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case import node

        collected = node.collect_testcases(None)
    for case in collected:
        graph = case.model.graph
        known = all(n.op_type in KNOWN or n.op_type in REASONS for n in graph.node)
        if not known or not case.data_sets or not graph.input:
            continue
        model, given = onnx.ModelProto(), case.data_sets[0][0]
        model.CopyFrom(case.model)
        for entry, values in zip(graph.input[1:], given[1:], strict=False):
            if isinstance(values, np.ndarray):
                model.graph.initializer.append(numpy_helper.from_array(values, entry.name))
        stored = {tensor.name for tensor in model.graph.initializer}
        kept = [entry for entry in graph.input if entry.name not in stored]
        del model.graph.input[:]
        model.graph.input.extend(kept)
        yield model


def stored_files() -> Iterator[onnx.ModelProto]:
    """Yield the small files that the package onnx brings: old versions, exported by PyTorch."""
    data = Path(onnx.__file__).parent / "backend" / "test" / "data"
    for path in sorted(data.rglob("*.onnx")):
        if path.stat().st_size < MOST_BYTES:
            yield onnx.load(path, load_external_data=False)


def written_files() -> Iterator[onnx.ModelProto]:
    """Yield what the library writes, with dense and with sparse matrices."""
    sys.path.insert(0, str(ROOT / "tests" / "library"))
    from networks import NETWORKS, with_random_weights

    from equivlib import to_mlp

    for make in NETWORKS.values():
        net = with_random_weights(make(), np.float32, seed=1)
        for made, sparse in ((net, False), (to_mlp(net), True)):
            file = io.BytesIO()
            write_network(made, file, sparse=sparse)
            yield onnx.ModelProto.FromString(file.getvalue())


def old_forms() -> Iterator[onnx.ModelProto]:
    """Yield operators as they were before their attributes became inputs."""
    for version, op, options in (
        (7, "Clip", {"min": -0.5, "max": 0.75}),
        (7, "Pad", {"pads": [0, 0, 1, 0, 0, 0, 2, 3], "value": 1.5}),
        (10, "Pad", {"pads": [0, 1, 0, 0, 0, 0, 2, 1], "mode": "edge"}),
        (8, "Slice", {"starts": [1, -3], "ends": [9, -1], "axes": [2, 3]}),
        (8, "Upsample", {"scales": [1.0, 1.0, 2.0, 3.0], "mode": "linear"}),
        (7, "Dropout", {"ratio": 0.25}),
        (8, "ReduceSum", {"axes": [1, 2], "keepdims": 0}),
        (8, "Unsqueeze", {"axes": [1]}),
        (7, "Split", {"axis": 2, "split": [2, 3]}),
        (9, "Softmax", {"axis": 1}),
        (9, "Flatten", {"axis": 1}),
        (12, "ReduceMean", {"axes": [2], "keepdims": 0}),
        (8, "BatchNormalization", {"spatial": 0}),
        (19, "Pad", {"mode": "wrap"}),
        (18, "Split", {"axis": 2, "num_outputs": 2}),
        (18, "ReduceMax", {}),
        (17, "Shrink", {"lambd": 0.5, "bias": 0.5}),
        (17, "Cast", {"to": 1}),
        (17, "Tile", {}),
        (17, "Expand", {}),
        (18, "Col2Im", {}),
        (17, "SpaceToDepth", {"blocksize": 1}),
        (17, "Mean", {}),
    ):
        yield _alone(version, op, options)


def _alone(version: int, op: str, options: dict[str, object]) -> onnx.ModelProto:
    """Return one operator over a value of four axes, three for columns."""
    g = Graph(np.random.default_rng(version), [1, 3, 5, 4], version)
    inputs = {
        "wrap": [[0, 0, 1, 1, 0, 0, 1, 2]], "Tile": [[1, 2, 1, 1]], "Expand": [[1, 3, 5, 4]],
        "Col2Im": [[5, 4], [1, 4]],
    }  # fmt: skip
    if op == "Col2Im":
        g.first = [1, 8, 5]
    given = [g.constant(v, "i8") for v in inputs.get(str(options.get("mode", op)), [])]
    if op == "BatchNormalization":
        given = [g.constant(abs(g.rng.standard_normal((3, 5, 4))) + 0.5) for _ in range(4)]
    g.node(op, *given, **options)
    if op == "Split":
        g.nodes[-1].output.append("rest")
    return g.model()


@functools.cache
def seeds(count: int = 400) -> tuple[onnx.ModelProto, ...]:
    """Return all valid graphs: the same on every run."""
    found = [*old_forms(), *written_files(), *stored_files(), *cases_of_onnx()]
    small = [model for model in found if model.ByteSize() < MOST_BYTES]
    return (*small, *(random_net(np.random.default_rng([7, i])) for i in range(count)))
