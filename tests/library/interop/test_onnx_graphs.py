"""Graphs as people have them: old versions, any order, no batch axis, a chosen output, shapes."""

import builtins
import contextlib
import os

import numpy as np
import pytest
from networks import flat, normal

from equivlib import to_mlp
from equivlib.cli import main
from equivlib.convert import UnsupportedLayer
from equivlib.interop.onnx import load
from equivlib.interop.onnx.constants import COMPUTED
from equivlib.layers import Dense

onnx = pytest.importorskip("onnx", reason="'onnx' reads and writes the files: install the extra")
onnxruntime = pytest.importorskip(
    "onnxruntime", reason="onnxruntime is an optional oracle: install the extra 'onnx'"
)


def node(op, inputs, output, **attributes):
    outputs = output if isinstance(output, list) else [output]
    return onnx.helper.make_node(op, inputs, outputs, name=f"the {outputs[0]}", **attributes)


def graph(nodes, constants=None, shape=("N", 3, 5, 4), *, opset=17, outputs=None, inputs=("x",)):
    def info(name, shape):
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)

    stored = [
        onnx.numpy_helper.from_array(
            np.asarray(v, None if np.asarray(v).dtype.kind != "f" else "f"), k
        )
        for k, v in (constants or {}).items()
    ]
    ends = [info(name, None) for name in outputs or [nodes[-1].output[0]]]
    made = onnx.helper.make_graph(nodes, "g", [info(n, shape) for n in inputs], ends, stored)
    versions = [onnx.helper.make_opsetid("", opset)]
    return onnx.helper.make_model(made, opset_imports=versions, ir_version=8)


def read(model, folder, **options):
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return load(path, **options)


def agrees(model, x, folder, *, batch_stays=True, **options):
    """Assert that the network and its perceptron give what onnxruntime gives."""
    net = read(model, folder, **options)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    expected = session.run(None, {"x": x})[0]
    alone = net.input_shape == x.shape
    given = x[None] if alone else x
    y = net(given)
    assert y.dtype == np.float32
    # A graph for one sample may drop the batch axis, which a network keeps.
    assert expected.shape in ((y.shape,) if batch_stays else (y.shape, y.shape[1:]))
    scale = max(abs(expected).max(), 1)
    np.testing.assert_allclose(y.reshape(expected.shape), expected, atol=1e-5 * scale)
    ours = to_mlp(net)(flat(given))
    np.testing.assert_allclose(ours.ravel(), expected.ravel(), atol=1e-5 * scale)
    return net


def sample(*shape):
    return normal(*shape).astype("f")


# --- old versions -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("opset", "nodes", "constants"),
    [
        (7, [node("Clip", ["x"], "y", min=-0.5, max=0.75)], {}),
        (10, [node("Clip", ["x"], "y", max=0.25)], {}),
        (7, [node("Pad", ["x"], "y", pads=[0, 0, 1, 0, 0, 0, 2, 3], value=1.5)], {}),
        (10, [node("Pad", ["x"], "y", pads=[0, 1, 0, 0, 0, 0, 2, 1], mode="edge")], {}),
        (8, [node("Pad", ["x"], "y", pads=[0, -1, 1, -2, 0, 0, -1, 1], value=0.5)], {}),
        (8, [node("Slice", ["x"], "y", starts=[1, -3], ends=[9, -1], axes=[2, 3])], {}),
        (9, [node("Slice", ["x"], "y", starts=[0, 1], ends=[2**40, 3])], {}),
        (10, [node("Slice", ["x", "s", "e"], "y")], {"s": [0, 1], "e": [99, 2]}),
        (7, [node("Upsample", ["x"], "y", scales=[1.0, 1.0, 2.0, 3.0])], {}),
        (8, [node("Upsample", ["x"], "y", scales=[1.0, 1.0, 2.0, 3.0], mode="linear")], {}),
        (9, [node("Upsample", ["x", "s"], "y", mode="nearest")], {"s": [1.0, 1, 1.6, 2]}),
        (10, [node("Resize", ["x", "s"], "y", mode="nearest")], {"s": [1.0, 1, 0.6, 0.5]}),
        (10, [node("Resize", ["x", "s"], "y", mode="linear")], {"s": [1.0, 1, 2, 0.5]}),
        (7, [node("Dropout", ["x"], "y", ratio=0.25)], {}),
        (7, [node("Flatten", ["x"], "f"), node("Gemm", ["f", "W", "b"], "y")],
         {"W": normal(60, 3), "b": normal(3)}),
        (8, [node("ReduceSum", ["x"], "y", axes=[1, 2], keepdims=0)], {}),
        (8, [node("Max", ["x", "c"], "y")], {"c": normal(5, 1)}),
        (8, [node("Unsqueeze", ["x"], "u", axes=[1]), node("Squeeze", ["u"], "y", axes=[1])], {}),
        (7, [node("Split", ["x"], ["a", "y"], axis=2, split=[2, 3])], {}),
        (7, [node("BatchNormalization", ["x", "g", "b", "m", "v"], "y")],
         {"g": normal(3), "b": normal(3), "m": normal(3), "v": abs(normal(3))}),
        (7, [node("Constant", [], "s", value=onnx.numpy_helper.from_array(np.array([0, -1]))),
             node("Reshape", ["x", "s"], "y")], {}),
    ],
)  # fmt: skip
def test_an_operator_of_an_old_version_is_what_onnxruntime_computes(
    opset, nodes, constants, tmp_path
):
    model = graph(nodes, constants, (2, 3, 5, 4), opset=opset, outputs=["y"])
    agrees(model, sample(2, 3, 5, 4), tmp_path)


def test_statistics_of_each_number_before_version_9(tmp_path):
    """By numpy: onnxruntime does not run spatial=0."""
    four = {name: normal(3, 2, seed=i) for i, name in enumerate("gbm")} | {"v": abs(normal(3, 2))}
    nodes = [node("BatchNormalization", ["x", *"gbmv"], "y", spatial=0, epsilon=0.5)]
    x = sample(4, 3, 2)
    y = read(graph(nodes, four, ("N", 3, 2), opset=8), tmp_path)(x)
    g, b, m, v = four.values()
    np.testing.assert_allclose(y, g * (x - m) / np.sqrt(v + 0.5) + b, atol=1e-5)


# --- the order of nodes, and names --------------------------------------------------------------


def chain():
    nodes = [
        node("Relu", ["x"], "a"),
        node("Neg", ["a"], "b"),
        node("Add", ["a", "b2"], "c"),
        node("Abs", ["b"], "b2"),
        node("Sub", ["c", "b"], "y"),
    ]
    return graph(nodes)


def test_any_order_is_read_that_defines_each_value_once(tmp_path):
    x, seen = sample(2, 3, 5, 4), []
    for seed in range(8):
        model = chain()
        nodes = list(model.graph.node)
        order = np.random.default_rng(seed).permutation(len(nodes))
        del model.graph.node[:]
        model.graph.node.extend([nodes[i] for i in order])
        seen.append(read(model, tmp_path)(x))
    positive = np.maximum(x, 0)
    for y in seen:
        np.testing.assert_allclose(y, 3 * positive, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: g.node[0].input.__setitem__(0, "c"), r"node 'the .*which depends on it"),
        (lambda g: g.node[0].input.__setitem__(0, "a"), r"node 'the a'.*'a', which depends on it"),
        (lambda g: g.node[3].output.__setitem__(0, "a"), r"it gives 'a', which is there already"),
        (lambda g: g.node[3].output.__setitem__(0, "x"), r"it gives 'x', which is there already"),
        (
            lambda g: g.node[1].input.__setitem__(0, "no"),
            r"node 'the b'.*'no', which nothing gives",
        ),
        (lambda g: g.input.append(g.input[0]), r"two inputs or constants of the name 'x'"),
    ],
)
def test_a_graph_that_is_none_is_refused(change, message, tmp_path):
    model = chain()
    change(model.graph)
    with pytest.raises(ValueError, match=message):
        read(model, tmp_path)


def test_a_long_chain_is_no_recursion(tmp_path):
    nodes = [node("Identity", [f"v{i}" if i else "x"], f"v{i + 1}") for i in range(5000)]
    assert read(graph(nodes[::-1], outputs=["v5000"]), tmp_path).output_shape == (3, 5, 4)


# --- no batch axis, and a graph for one sample --------------------------------------------------


def image_from_a_vector():
    nodes = [
        node("Reshape", ["x", "image"], "i"),
        node("Conv", ["i", "k"], "c"),
        node("Relu", ["c"], "r"),
        node("Reshape", ["r", "flat"], "f"),
        node("MatMul", ["W", "f"], "p"),
        node("Add", ["p", "b"], "y"),
    ]
    constants = {"image": [1, 1, 3, 4], "k": normal(2, 1, 2, 2), "flat": [-1]}
    return graph(nodes, constants | {"W": normal(3, 12), "b": normal(3)}, (12,))


@pytest.mark.parametrize(
    "make",
    [
        lambda: graph([node("MatMul", ["x", "W"], "y")], {"W": normal(12, 3)}, (12,)),
        lambda: graph([node("Unsqueeze", ["x", "a"], "u"), node("Gemm", ["u", "W"], "y")],
                      {"a": [0], "W": normal(12, 3)}, (12,)),
        lambda: graph([node("Slice", ["x", "s", "e"], "p"),
                       node("Concat", ["p", "x"], "y", axis=0)], {"s": [2], "e": [5]}, (12,)),
        lambda: graph([node("ReduceMax", ["x"], "y", axes=[0])], {}, (12,)),
        lambda: graph([node("Reshape", ["x", "s"], "r"), node("Softmax", ["r"], "q", axis=0),
                       node("Identity", ["r"], "y")], {"s": [3, 4]}, (12,)),
        lambda: graph([node("Gather", ["x", "i"], "a"), node("Add", ["a", "x"], "y")],
                      {"i": np.array(3)}, (12,)),
        image_from_a_vector,
    ],
)  # fmt: skip
def test_an_input_without_a_batch_axis_is_one_sample(make, tmp_path):
    net = agrees(make(), sample(12), tmp_path, batch_stays=False)
    assert net.input_shape == (12,)


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        ([node("Squeeze", ["x", "a"], "s"), node("Relu", ["s"], "y")], {"a": [0]}),
        ([node("Transpose", ["x"], "t", perm=[1, 0, 2, 3]), node("Neg", ["t"], "y")], {}),
        ([node("ReduceSum", ["x"], "y", keepdims=0), node("Reshape", ["y", "s"], "z")], {"s": [1]}),
        ([node("Reshape", ["x", "s"], "y")], {"s": [3, 20]}),
        ([node("Concat", ["x", "x"], "y", axis=0)], {}),
        ([node("Add", ["x", "c"], "y")], {"c": normal(2, 3, 5, 4)}),
        ([node("Flatten", ["x"], "y", axis=2)], {}),
        ([node("Expand", ["x", "s"], "y")], {"s": [4, 3, 5, 4]}),
        ([node("Squeeze", ["x"], "y")], {}),
        ([node("Einsum", ["x", "c"], "y", equation="nchw,wk->khnc")], {"c": normal(4, 2)}),
        ([node("Einsum", ["x", "c"], "y", equation="nchw,wk->kn")], {"c": normal(4, 2)}),
        ([node("Unsqueeze", ["x", "a"], "u"), node("Add", ["u", "x"], "y")], {"a": [0]}),
        (
            [node("Squeeze", ["x", "a"], "s"), node("MatMul", ["W", "s"], "p"),
             node("Unsqueeze", ["p", "a"], "y")],
            {"a": [0], "W": normal(3, 2, 5)},
        ),
    ],
)  # fmt: skip
def test_a_graph_for_one_sample_may_move_its_batch_axis(nodes, constants, tmp_path):
    model = graph(nodes, constants, (1, 3, 5, 4))
    agrees(model, sample(1, 3, 5, 4), tmp_path, batch_stays=False)
    with pytest.raises(UnsupportedLayer):  # for any number of samples it would mix them
        read(graph(nodes, constants, ("N", 3, 5, 4)), tmp_path)


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        ([node("Add", ["x", "c"], "y")], {"c": normal(2, 3, 4)}),
        ([node("Relu", ["x"], "r"), node("Sub", ["c", "r"], "y")], {"c": normal(2, 1, 4)}),
        ([node("Transpose", ["x"], "y", perm=[2, 0, 1])], {}),
        ([node("Flatten", ["x"], "y", axis=2)], {}),
        ([node("Reshape", ["x", "s"], "r"), node("MatMul", ["r", "W"], "y")],
         {"s": [1, -1], "W": normal(24, 2)}),
        ([node("ReduceMax", ["x"], "y", axes=[0])], {}),
        ([node("Slice", ["x", "s", "e"], "y")], {"s": [1], "e": [2]}),
        ([node("MatMul", ["W", "x"], "m"), node("Abs", ["m"], "y")], {"W": normal(2, 5, 3)}),
    ],
)  # fmt: skip
def test_a_graph_that_mixes_a_fixed_batch_is_one_of_a_single_sample(nodes, constants, tmp_path):
    net = agrees(graph(nodes, constants, (2, 3, 4)), sample(2, 3, 4), tmp_path, batch_stays=False)
    assert net.input_shape == (2, 3, 4)
    with pytest.raises(ValueError, match=r"batch|cannot have|differ|widen"):
        read(graph(nodes, constants, ("N", 3, 4)), tmp_path)  # another batch means something else


def test_a_graph_that_leaves_a_fixed_batch_alone_is_one_of_samples(tmp_path):
    net = read(graph([node("Relu", ["x"], "y")], {}, (2, 3, 4)), tmp_path)
    assert net.input_shape == (3, 4)


def test_the_error_is_that_of_the_way_that_leads_further(tmp_path):
    late = [node("Add", ["x", "c"], "a"), node("Erf", ["a"], "y")]
    early = [node("Conv", ["x", "k"], "a"), node("Erf", ["a"], "y")]
    for nodes, name, given in ((late, "c", (2, 3, 5)), (early, "k", (2, 3, 1))):
        with pytest.raises(UnsupportedLayer, match=r"'the y' .*not piecewise"):
            read(graph(nodes, {name: normal(*given)}, (2, 3, 5)), tmp_path)


def test_of_a_domain_that_is_there_twice_the_last_version_counts(tmp_path):
    """So onnxruntime reads it too: the bounds of Clip were attributes until version 10."""
    model = graph([node("Clip", ["x"], "y", min=-0.5, max=0.5)], {}, (2, 3), opset=12)
    model.opset_import.append(onnx.helper.make_opsetid("", 9))
    agrees(model, sample(2, 3), tmp_path)
    model.opset_import.append(onnx.helper.make_opsetid("ai.onnx", 12))
    with pytest.raises(ValueError, match=r"opset \(=9, 12\) must be one"):
        read(model, tmp_path)


# --- a chosen output ----------------------------------------------------------------------------


def two_ends():
    nodes = [
        node("Flatten", ["x"], "f"),
        node("Gemm", ["f", "W"], "z"),
        node("Sigmoid", ["z"], "y"),
        node("Erf", ["f"], "e"),
        node("Add", ["f", "x2"], "s"),
    ]
    return graph(nodes, {"W": normal(12, 3)}, ("N", 3, 4), outputs=["y", "e"], inputs=("x", "x2"))


def test_an_output_is_chosen_by_its_name(tmp_path):
    model = two_ends()
    with pytest.raises(ValueError, match=r"one output, and has 2: 'y', 'e'; output must choose"):
        read(model, tmp_path)
    net = read(model, tmp_path, output="z")
    assert [type(layer) for layer in net.layers][-1] is Dense
    assert read(model, tmp_path, output="y").layers[-1].name == "Sigmoid"
    with pytest.raises(UnsupportedLayer, match=r"\(Erf\).*; output='f' stops before it"):
        read(model, tmp_path, output="e")
    with pytest.raises(ValueError, match="must have one input, and has 2: 'x', 'x2'"):
        read(model, tmp_path, output="s")
    with pytest.raises(
        ValueError, match=r"output \(='no'\) must be a value of the graph: .*'y', 'e'"
    ):
        read(model, tmp_path, output="no")
    with pytest.raises(
        UnsupportedLayer, match=r"layer \d \(Sigmoid\) .*; output='z' stops before it"
    ):
        to_mlp(read(model, tmp_path, output="y"))


def test_a_value_that_is_read_for_its_shape_alone_leaves_no_layer(tmp_path):
    nodes = [
        node("Conv", ["x", "k"], "c"),
        node("Shape", ["c"], "s"),
        node("Slice", ["s", "one", "two"], "channels"),
        node("Mul", ["channels", "twelve"], "n"),
        node("Concat", ["all", "n"], "target", axis=0),
        node("Reshape", ["x", "target"], "y"),
    ]
    constants = {"k": normal(5, 3, 2, 2), "one": [1], "two": [2], "twelve": [12], "all": [-1]}
    net = agrees(graph(nodes, constants), sample(2, 3, 5, 4), tmp_path)
    assert net.output_shape == (60,)
    assert not net.layers[0].params


# --- sizes --------------------------------------------------------------------------------------


def with_the_batch(op, *others):
    """Return a graph that multiplies the size of the batch by another number in its way."""
    return [
        node("Shape", ["x"], "s"),
        node("Gather", ["s", "i"], "n"),
        node("Mul", ["n", "k"], "m"),
        *others,
    ]


@pytest.mark.parametrize(
    ("others", "constants", "message"),
    [
        ([node("Concat", ["m", "rest"], "t", axis=0), node("Reshape", ["x", "t"], "y")],
         {"rest": [-1]}, "must begin with the size of the batch|cannot have the shape"),
        ([node("Cast", ["m"], "f", to=1), node("Div", ["x", "f"], "y")], {},
         "it computes with the size of the batch, which is open"),
        ([node("Concat", ["rest", "n"], "t", axis=0), node("Reshape", ["x", "t"], "y")],
         {"rest": [60]}, "must begin with the size of the batch"),
    ],
)  # fmt: skip
def test_what_depends_on_the_size_of_an_open_batch_is_refused(others, constants, message, tmp_path):
    constants = {"i": [0], "k": [3], **constants}
    with pytest.raises(ValueError, match=message):
        read(graph(with_the_batch("Mul", *others), constants), tmp_path)


def test_constants_of_the_shape_of_a_batch_are_those_of_each_sample(tmp_path):
    nodes = [
        node("Shape", ["x"], "s"),
        node("ConstantOfShape", ["s"], "ones",
             value=onnx.numpy_helper.from_array(np.array([2.5], "f"))),
        node("Add", ["x", "ones"], "a"),
        node("Concat", ["a", "ones"], "y", axis=1),
    ]  # fmt: skip
    for batch in ("N", 2):
        agrees(graph(nodes, {}, (batch, 3, 5, 4)), sample(2, 3, 5, 4), tmp_path)


def test_an_open_size_may_be_written_as_0_or_less(tmp_path):
    for size in (0, -1):
        model = graph([node("Relu", ["x"], "y")], {}, (2, 3, 5, 4))
        for dim in (0, 2):
            model.graph.input[0].type.tensor_type.shape.dim[dim].dim_value = size
        with pytest.raises(ValueError, match=r"has the shape \(3, \?, 4\) without batch"):
            read(model, tmp_path)
        assert read(model, tmp_path, input_shape=(3, 7, 4)).output_shape == (3, 7, 4)
    model.graph.input[0].type.tensor_type.ClearField("shape")
    assert read(model, tmp_path, input_shape=(3, 7, 4)).output_shape == (3, 7, 4)
    with pytest.raises(ValueError, match="has no axes: input_shape must say"):
        read(model, tmp_path)


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        ([node("Range", ["a", "b", "c"], "i"), node("Gather", ["x", "i"], "y", axis=1)],
         {"a": np.array(2), "b": np.array(-1), "c": np.array(-1)}),
        ([node("Add", ["a", "b"], "s"), node("Expand", ["s", "e"], "c"),
          node("Mul", ["x", "c"], "y")],
         {"a": normal(5, 1), "b": normal(4), "e": [3, 5, 4]}),
        ([node("MatMul", ["a", "b"], "W"), node("MatMul", ["x", "W"], "y")],
         {"a": normal(4, 2), "b": normal(2, 3)}),
        ([node("Greater", ["a", "b"], "g"), node("Where", ["g", "x", "b"], "y")],
         {"a": normal(4), "b": normal(1)}),
        ([node("Sqrt", ["a"], "r"), node("Div", ["x", "r"], "y")], {"a": abs(normal(3, 1, 1)) + 1}),
        ([node("DequantizeLinear", ["q", "s", "z"], "k", axis=0), node("Conv", ["x", "k"], "y")],
         {"q": np.arange(-60, 60, 5, np.int8).reshape(2, 3, 2, 2), "s": np.array([0.5, 0.01], "f"),
          "z": np.array([3, -7], np.int8)}),
    ],
)  # fmt: skip
def test_constants_from_constants_are_what_onnx_computes(nodes, constants, tmp_path):
    agrees(graph(nodes, constants, (2, 3, 5, 4)), sample(2, 3, 5, 4), tmp_path)


INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("outside", [False, True])
def test_integers_of_every_size_are_read_as_constants(dtype, outside, tmp_path):
    numbers = np.array([[0, 1, 127, 3]] * 5, dtype)
    if numbers.dtype.kind == "i":
        numbers[2] *= -1
    nodes = [node("Cast", ["i"], "f", to=onnx.TensorProto.FLOAT), node("Mul", ["x", "f"], "y")]
    model = graph(nodes, {"i": numbers}, (2, 3, 5, 4))
    x = sample(2, 3, 5, 4)
    if outside:
        onnx.save(
            model, tmp_path / "m.onnx", save_as_external_data=True, location="n", size_threshold=0
        )
    else:
        onnx.save(model, tmp_path / "m.onnx")
    np.testing.assert_array_equal(load(tmp_path / "m.onnx")(x), x * numbers.astype("f"))


@pytest.mark.parametrize(
    ("op", "reason"),
    [
        ("Erf", "not piecewise linear"),
        ("Exp", "not piecewise linear"),
        ("Floor", "it jumps"),
        ("Sign", "it jumps"),
    ],
)
def test_a_function_that_is_not_piecewise_linear_is_read_of_constants_alone(op, reason, tmp_path):
    nodes = [node(op, ["c"], "d"), node("Add", ["x", "d"], "y")]
    agrees(graph(nodes, {"c": normal(5, 4)}, (2, 3, 5, 4)), sample(2, 3, 5, 4), tmp_path)
    with pytest.raises(UnsupportedLayer, match=f"the y.*{op} is not supported: .*{reason}"):
        read(graph([node(op, ["x"], "y")]), tmp_path)


def test_a_rounding_of_activations_is_refused_with_its_reason(tmp_path):
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], "q"),
        node("DequantizeLinear", ["q", "s", "z"], "y"),
    ]
    constants = {"s": np.array(0.5, "f"), "z": np.array(3, np.int8)}
    with pytest.raises(UnsupportedLayer, match=r"QuantizeLinear is not supp.*rounding, which"):
        read(graph(nodes, constants), tmp_path)


HUGE = 2**40


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        ([node("ConstantOfShape", ["n"], "c"), node("Add", ["x", "c"], "y")], {"n": [HUGE]}),
        ([node("Range", ["a", "b", "c"], "i"), node("Gather", ["x", "i"], "y", axis=1)],
         {"a": np.array(0), "b": np.array(2**60), "c": np.array(1)}),
        ([node("Tile", ["a", "n"], "c"), node("Add", ["x", "c"], "y")], {"a": [1.0], "n": [HUGE]}),
        ([node("Expand", ["a", "n"], "c"), node("Add", ["x", "c"], "y")],
         {"a": [1.0], "n": [HUGE, 1]}),
        ([node("Add", ["a", "b"], "c"), node("Mul", ["x", "c"], "y")],
         {"a": np.zeros((2**16, 1)), "b": np.zeros(2**16)}),
        ([node("Tile", ["x", "n"], "y")], {"n": [1, 1, 2**30, 1]}),
        ([node("Expand", ["x", "n"], "y")], {"n": [2**16, 2**16, 3, 5, 4]}),
        ([node("Pad", ["x", "n", "", "a"], "y", mode="edge")],
         {"n": [2**40, 0], "a": [1]}),
        ([node("Pad", ["x", "n"], "y")], {"n": [0, 1, 2**20, 2**20, 0, 0, 0, 0]}),
        ([node("Resize", ["x", "", "n"], "y")], {"n": [1.0, 1, 1e5, 1e5]}),
        ([node("Resize", ["x", "", "n"], "y", mode="linear")], {"n": [1.0, 1, 1e7, 1]}),
        ([node("Gather", ["x", "i"], "z", axis=1), node("Gather", ["z", "i"], "y", axis=2)],
         {"i": np.zeros((300, 300), int)}),
        ([node("Reshape", ["x", "n"], "z"), node("MaxPool", ["z"], "y", kernel_shape=[2**20])],
         {"n": [0, 1, 60]}),
        ([node("Split", ["x"], "y", axis=1, num_outputs=2**40)], {}),
    ],
)  # fmt: skip
def test_sizes_that_a_file_makes_up_are_refused_before_anything_is_made(
    nodes, constants, tmp_path, monkeypatch
):
    import tracemalloc

    model = graph(nodes, constants, opset=18)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"over|positive|at most|num_outputs|reaches|batch"):
            read(model, tmp_path, max_bytes=2**31)
        assert tracemalloc.get_traced_memory()[1] < 2**27
    finally:
        tracemalloc.stop()


def test_an_attribute_opens_no_other_file(tmp_path, monkeypatch):
    value = onnx.TensorProto(name="v", data_type=1, dims=[1])
    value.data_location = onnx.TensorProto.EXTERNAL
    value.external_data.add(key="location", value="/etc/hostname")
    nodes = [node("ConstantOfShape", ["n"], "c", value=value), node("Add", ["x", "c"], "y")]
    opened, real = [], builtins.open
    monkeypatch.setattr(builtins, "open", lambda *a, **k: opened.append(a[0]) or real(*a, **k))
    with pytest.raises(
        ValueError, match="is stored in another file, which only constants of the graph may be"
    ):
        read(graph(nodes, {"n": [4]}), tmp_path)
    assert not [name for name in opened if "hostname" in str(name)]


@pytest.mark.parametrize("op", COMPUTED)
def test_malformed_constants_are_refused_in_one_way(op, tmp_path):
    for inputs in ([], ["a"], ["a", "b"], ["s", "a", "b"], ["b", "b", "b"]):
        nodes = [node(op, inputs, "c"), node("Add", ["x", "c"], "y")]
        model = graph(nodes, {"a": normal(3, 2), "b": [-1, 2], "s": np.array([0, 7, 5])})
        with contextlib.suppress(ValueError):  # and no other error
            read(model, tmp_path)


# --- nothing in it ------------------------------------------------------------------------------

NOTHING = {"none": np.zeros((1, 0, 5, 4)), "no": np.zeros(0), "i": np.zeros(0, int)}


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        ([node("Concat", ["x", "none"], "y", axis=1)], {}),
        ([node("Concat", ["none", "x", "none"], "y", axis=-3)], {}),
        ([node("Concat", ["no", "c"], "d", axis=0), node("Add", ["x", "d"], "y")],
         {"c": normal(4)}),
        ([node("ReduceSum", ["no"], "d", keepdims=0), node("Add", ["x", "d"], "y")], {}),
        ([node("Resize", ["x", "no", "s"], "y")], {"s": [1.0, 1, 2, 2]}),
        ([node("Unsqueeze", ["x", "i"], "y")], {}),
        ([node("ReduceSum", ["x", "i"], "y", noop_with_empty_axes=1)], {}),
    ],
)  # fmt: skip
def test_arrays_without_elements_add_nothing(nodes, constants, tmp_path):
    model = graph(nodes, constants | NOTHING, ("N", 3, 5, 4), opset=18)
    agrees(model, sample(2, 3, 5, 4), tmp_path)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([node("MatMul", ["x", "W"], "y")], r"constants of shape \(4, 0\) have no elements"),
        ([node("Einsum", ["x", "W"], "y", equation="nchw,wk->nchk")], "have no elements"),
        ([node("Flatten", ["x"], "f"), node("Gemm", ["f", "V"], "y")], "have no elements"),
        (
            [node("Split", ["x", "s"], ["y", "z"], axis=1)],
            r"\(0, 3\) must be positive and sum to 3",
        ),
        ([node("Gather", ["x", "i"], "y", axis=1)], "at least one"),
        ([node("Slice", ["x", "s", "s"], "y")], "has no elements"),
        ([node("Add", ["x", "no"], "y")], "do not spread"),
        (
            [node("Concat", ["none", "none"], "d", axis=1), node("Add", ["x", "d"], "y")],
            "do not spread",
        ),
    ],
)
def test_values_without_elements_are_refused(nodes, message, tmp_path):
    constants = {"W": np.zeros((4, 0)), "V": np.zeros((60, 0)), "s": [0, 3], **NOTHING}
    with pytest.raises(ValueError, match=message):
        read(graph(nodes, constants, (1, 3, 5, 4), opset=18, outputs=["y"]), tmp_path)


# --- numbers in other files ---------------------------------------------------------------------


def with_numbers_outside(folder, *, location="numbers.bin", **told):
    """Write a graph whose matrix W is in another file, at 8 of it; return the graph and W."""
    W = normal(60, 3).astype("f")
    nodes = [node("Flatten", ["x"], "f"), node("MatMul", ["f", "W"], "m"), node("Relu", ["m"], "y")]
    model = graph(nodes, {"W": W})
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {
        "location": location,
        "offset": "8",
        "length": str(W.nbytes),
        **told,
    }.items():
        if value is not None:
            tensor.external_data.add(key=key, value=value)
    (folder / "numbers.bin").write_bytes(b"8 bytes." + W.tobytes())
    return model, W


@pytest.mark.parametrize("told", [{}, {"length": None}, {"checksum": "0" * 40}])
def test_numbers_in_a_file_beside_it_are_read(told, tmp_path):
    model, W = with_numbers_outside(tmp_path, **told)
    x = sample(4, 3, 5, 4)
    np.testing.assert_allclose(read(model, tmp_path)(x), np.maximum(flat(x) @ W, 0), atol=1e-5)


def test_numbers_in_a_folder_below_are_read_as_onnx_writes_them(tmp_path):
    kept = {"W": normal(60, 3).astype("f"), "b": np.array([True, False, True])}
    nodes = [node("Flatten", ["x"], "f"), node("MatMul", ["f", "W"], "m"),
             node("Where", ["b", "m", "c"], "y")]  # fmt: skip
    model = graph(nodes, kept | {"c": np.zeros(3)})
    expected = read(model, tmp_path)(sample(2, 3, 5, 4))
    (tmp_path / "below").mkdir()
    onnx.save(
        model, tmp_path / "out.onnx", save_as_external_data=True, location="below/all.bin",
        size_threshold=0,
    )  # fmt: skip
    assert (tmp_path / "below" / "all.bin").stat().st_size > kept["W"].nbytes
    np.testing.assert_array_equal(load(tmp_path / "out.onnx")(sample(2, 3, 5, 4)), expected)


def test_a_file_of_numbers_over_2_gib_is_read_where_they_are(tmp_path):
    model, W = with_numbers_outside(tmp_path, offset=str(3 * 2**30))
    with (tmp_path / "numbers.bin").open("r+b") as file:  # a hole, which takes no room
        file.seek(3 * 2**30)
        file.write(W.tobytes())
    x = sample(1, 3, 5, 4)
    np.testing.assert_allclose(read(model, tmp_path)(x), np.maximum(flat(x) @ W, 0), atol=1e-5)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"location": "/etc/hostname"}, "is not in the folder"),
        ({"location": "../numbers.bin"}, "is not in the folder"),
        ({"location": "below/../../numbers.bin"}, "is not in the folder"),
        ({"location": "link.bin"}, "is not in the folder"),
        ({"location": "links/numbers.bin"}, "is not in the folder"),
        ({"location": ""}, "is not in the folder"),
        ({"location": None}, "is not in the folder"),
        ({"location": "a" * 10**4}, "is not in the folder"),
        ({"location": "zero\0byte"}, "is not in the folder"),
        ({"location": "missing.bin"}, "which is no file"),
        ({"location": "."}, "which is no file"),
        ({"location": "pipe"}, "which is no file"),
        ({"offset": "-8"}, "strange offset"),
        ({"offset": "8e0"}, "strange offset"),
        ({"offset": "9" * 30}, "strange offset"),
        ({"offset": "9"}, r"shape \(60, 3\) needs 720 bytes, and has 720 at 9 of a file with 728"),
        ({"offset": "99999999", "length": None}, "needs 720 bytes, and has 0"),
        ({"length": "716"}, "needs 720 bytes, and has 716"),
        ({"offset": "4", "length": None}, "needs 720 bytes, and has 724"),
        ({"url": "https://localhost/numbers.bin"}, "strangely"),
    ],
)
def test_numbers_outside_the_folder_or_outside_the_file_are_refused(told, message, tmp_path):
    inside = tmp_path / "inside"
    (inside / "below").mkdir(parents=True)
    model, _ = with_numbers_outside(inside, **told)
    (tmp_path / "numbers.bin").write_bytes((inside / "numbers.bin").read_bytes())
    (inside / "link.bin").symlink_to(tmp_path / "numbers.bin")
    (inside / "links").symlink_to(tmp_path)
    os.mkfifo(inside / "pipe")
    with pytest.raises(ValueError, match=message):
        read(model, inside)


def test_numbers_in_other_files_count_for_the_limit(tmp_path):
    model, W = with_numbers_outside(tmp_path)
    size = len(model.SerializeToString())
    read(model, tmp_path, max_bytes=size + W.nbytes)
    with pytest.raises(ValueError, match="its numbers in other files have over"):
        read(model, tmp_path, max_bytes=size + W.nbytes - 1)


def test_the_command_line_checks_a_file_with_numbers_outside(tmp_path, capsys):
    model, _ = with_numbers_outside(tmp_path)
    (tmp_path / "in.onnx").write_bytes(model.SerializeToString())
    for more in ([], ["--output", "m"]):
        assert main(["convert", str(tmp_path / "in.onnx"), str(tmp_path / "out.onnx"), *more]) == 0
        assert "in.onnx by onnxruntime" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        ([node("Squeeze", ["x"], "y")], {}),  # two axes of the sample, none of the batch
        ([node("Reshape", ["x", "s"], "y")], {"s": [-1]}),
        ([node("Transpose", ["x"], "y", perm=[2, 0, 1])], {}),
    ],
)
def test_the_command_line_checks_a_graph_that_drops_its_batch_axis(nodes, constants, tmp_path):
    model = graph(nodes, constants, (1, 3, 5))
    (tmp_path / "in.onnx").write_bytes(model.SerializeToString())
    assert main(["convert", str(tmp_path / "in.onnx"), str(tmp_path / "out.onnx")]) == 0
