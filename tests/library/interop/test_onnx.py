"""Networks from and to ONNX files, and what is done with files that are not what they should be."""

import builtins
import io
import math
import os

import numpy as np
import pytest
from networks import NETWORKS, flat, inputs, normal, whole, with_random_weights
from scipy.sparse import csr_array
from scipy.sparse.linalg import aslinearoperator

from equivlib import MatrixTooLarge, to_cnn, to_mlp
from equivlib.convert import UnsupportedLayer
from equivlib.interop.onnx import load, save
from equivlib.interop.onnx.constants import FOLDED
from equivlib.interop.onnx.operators import OPERATORS
from equivlib.layers import (
    AdaptiveAvgPool,
    Add,
    AvgPool,
    BatchNorm,
    Conv,
    ConvTranspose,
    Dense,
    Flatten,
    Layer,
    LeakyReLU,
    MaxPool,
    Network,
    Rearrange,
    ReLU,
    ReLU6,
    Sigmoid,
    Softmax,
    Tanh,
)
from equivlib.rounding import error_bound

onnx = pytest.importorskip("onnx", reason="'onnx' reads and writes the files: install the extra")
reference = pytest.importorskip("onnx.reference", reason="onnx runs its graphs itself")


@pytest.fixture(scope="module")
def onnxruntime():
    return pytest.importorskip(
        "onnxruntime", reason="onnxruntime is an optional oracle: install the extra 'onnx'"
    )


# --- graphs written by hand ---------------------------------------------------------------------


def node(op, inputs, output, **attributes):
    outputs = output if isinstance(output, list) else [output]
    return onnx.helper.make_node(op, inputs, outputs, name=f"the {outputs[0]}", **attributes)


def model_of(nodes, constants, shape, *, opset=17, dtype=np.float64, output=None):
    """Return a model of one input `x` and one output, that of the last node."""
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    first = onnx.helper.make_tensor_value_info("x", kind, shape)
    last = onnx.helper.make_tensor_value_info(output or nodes[-1].output[0], kind, None)
    stored = [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    graph = onnx.helper.make_graph(nodes, "by hand", [first], [last], stored)
    versions = [onnx.helper.make_opsetid("", opset)]
    return onnx.helper.make_model(graph, opset_imports=versions, ir_version=8)


def read(model, folder, **options):
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return load(path, **options)


def agrees(model, x, folder, *, oracle=None, **options):
    """Assert that network, perceptron and convolutions give what onnx's own evaluator gives."""
    net = read(model, folder, **options)
    (expected,) = reference.ReferenceEvaluator(oracle or model).run(None, {"x": x})
    y, allowed = net(x), error_bound(net, x)
    assert y.shape == expected.shape
    assert (abs(y - expected) <= allowed).all()
    assert allowed.max() < 1e-9
    mlp = to_mlp(net)
    for ours in (mlp(flat(x)), to_cnn(mlp)(flat(x)[..., None, None])):
        assert (abs(flat(ours) - flat(expected)) <= flat(allowed)).all()
    return net


def slicing(starts, ends, axes=None, steps=None):
    """Return the constants of a Slice."""
    lists = {"s": starts, "e": ends, "a": axes, "p": steps}
    return {name: np.array(listed) for name, listed in lists.items() if listed is not None}


SHAPED = [2, 3, 5, 4]  # batch, channels, height and width, all different


def test_a_channels_last_graph_flattens_in_its_own_order(tmp_path):
    nodes = [
        node("Transpose", ["x"], "first", perm=[0, 3, 1, 2]),
        node("Conv", ["first", "k", "c"], "conv"),
        node("Transpose", ["conv"], "back", perm=[0, 2, 3, 1]),
        node("Add", ["back", "per channel"], "biased"),
        node("Relu", ["biased"], "relu"),
        node("Transpose", ["relu"], "again", perm=[0, 3, 1, 2]),
        node("MaxPool", ["again"], "pool", kernel_shape=[2, 1], strides=[1, 1]),
        node("Transpose", ["pool"], "last", perm=[0, 2, 3, 1]),
        node("Reshape", ["last", "flat"], "reshape"),
        node("MatMul", ["reshape", "W"], "product"),
        node("Add", ["product", "b"], "out"),
    ]
    constants = {
        "k": normal(2, 3, 2, 3),
        "c": normal(2),
        "per channel": normal(2, seed=5),
        "flat": np.array([-1, 12]),
        "W": normal(12, 5, seed=1),
        "b": normal(5),
    }
    model = model_of(nodes, constants, ["N", 5, 4, 3])
    net = agrees(model, normal(2, 5, 4, 3, seed=2), tmp_path)
    names = [layer.name for layer in net.layers]
    # The transpositions within have gone; the bias after the matrix is in it.
    expected = ["Rearrange", "Conv", "BatchNorm", "ReLU", "MaxPool", "Flatten", "Dense"]
    assert names in (expected, [n for n in expected if n != "BatchNorm"])
    assert net.layers[-1].bias is not None


def test_the_same_weights_flattened_channels_first_give_something_else(tmp_path):
    # So a wrong order would not go unnoticed.
    constants = {"W": normal(12, 5)}
    x = normal(2, 2, 2, 3)
    first = [node("Flatten", ["x"], "flat"), node("MatMul", ["flat", "W"], "y")]
    last = [node("Transpose", ["x"], "t", perm=[0, 2, 3, 1]), node("Flatten", ["t"], "flat")]
    nets = [
        read(model_of(nodes, constants, [2, 2, 2, 3]), tmp_path)
        for nodes in (first, [*last, first[1]])
    ]
    assert abs(nets[0](x) - nets[1](x)).max() > 0.1
    assert [layer.name for layer in nets[1].layers] == ["Flatten", "Dense"]


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        ([node("Flatten", ["x"], "y")], {}),
        ([node("Reshape", ["x", "s"], "y")], {"s": np.array([0, -1])}),
        ([node("Reshape", ["x", "s"], "y")], {"s": np.array([-1, 4, 5, 3])}),
        ([node("Reshape", ["x", "s"], "y")], {"s": np.array([0, 0, -1])}),
        ([node("Transpose", ["x"], "y", perm=[0, 2, 3, 1])], {}),
        ([node("Identity", ["x"], "y")], {}),
        ([node("Clip", ["x", "a", "b"], "y")], {"a": 0.0, "b": 6.0}),
        ([node("Clip", ["x", "a", "b"], "y")], {"a": -0.5, "b": 0.75}),
        ([node("Clip", ["x", "a"], "y")], {"a": 0.25}),
        ([node("Clip", ["x", "", "b"], "y")], {"b": 0.25}),
        ([node("PRelu", ["x", "a"], "y")], {"a": normal(3, 1, 1)}),
        ([node("Abs", ["x"], "y")], {}),
        ([node("HardSigmoid", ["x"], "y", alpha=0.5, beta=0.25)], {}),
        ([node("Shrink", ["x"], "y", bias=0.25, lambd=0.25)], {}),
        ([node("Max", ["x", "a"], "y")], {"a": normal(3, 1, 4)}),
        ([node("Min", ["x", "a", "x"], "y")], {"a": np.array(0.25)}),
        ([node("Neg", ["x"], "n"), node("Max", ["x", "n"], "y")], {}),
        ([node("ReduceMean", ["x"], "m", axes=[3]), node("Min", ["m", "x"], "y")], {}),
        ([node("ReduceMean", ["x"], "m", axes=[1, 3]), node("Sub", ["x", "m"], "y")], {}),
        ([node("Mean", ["x", "a"], "y")], {"a": normal(4)}),
        ([node("Where", ["c", "x", "a"], "y")], {"c": normal(5, 1) > 0, "a": normal(3, 1, 1)}),
        ([node("Add", ["x", "a"], "y")], {"a": normal(2, 1, 1, 1)[:1]}),
        (
            [node("ReduceMean", ["x"], "m", axes=[3]), node("Add", ["m", "a"], "y")],
            {"a": normal(7)},
        ),
        (
            [node("Slice", ["x", "s", "e", "a", "p"], "y")],
            slicing([1, -1], [3, -9], [2, 3], [1, -2]),
        ),
        ([node("Slice", ["x", "s", "e"], "y")], slicing([0, 1], [2**62, 9])),
        ([node("Slice", ["x", "s", "e", "a"], "y")], slicing([-3], [-1], [-2])),
        ([node("Gather", ["x", "i"], "y", axis=1)], {"i": np.array([2, 0, -1, 2])}),
        ([node("Gather", ["x", "i"], "y", axis=-1)], {"i": np.array([[1, 0], [3, 3]])}),
        ([node("Gather", ["x", "i"], "y", axis=2)], {"i": np.array(3)}),
        ([node("Concat", ["x", "x"], "y", axis=1)], {}),
        ([node("Relu", ["x"], "r"), node("Concat", ["x", "r", "x"], "y", axis=1)], {}),
        ([node("Relu", ["x"], "r"), node("Concat", ["x", "r"], "y", axis=-1)], {}),
        (
            [
                node("Transpose", ["x"], "t", perm=[0, 1, 3, 2]),
                node("Relu", ["t"], "r"),
                node("Slice", ["t", "s", "e", "a"], "p"),
                node("Concat", ["p", "r"], "y", axis=2),
            ],
            slicing([1], [4], [2]) | {"unused": normal(2)},
        ),
        (
            [
                node("Split", ["x", "n"], ["a", "b"], axis=2),
                node("Add", ["b", "c"], "d"),
                node("Concat", ["d", "a"], "y", axis=2),
            ],
            {"n": np.array([3, 2]), "c": normal(4)},
        ),
        ([node("Split", ["x"], ["a", "b", "c"], axis=1), node("Max", ["a", "c", "b"], "y")], {}),
        ([node("ReduceMean", ["x"], "y", axes=[1])], {}),
        (
            [
                node("ReduceMean", ["x"], "y", axes=[1, 2, 3], keepdims=0),
                node("Unsqueeze", ["y", "a"], "z"),
            ],
            {"a": np.array([1])},
        ),
        ([node("ReduceSum", ["x", "a"], "y", keepdims=0)], {"a": np.array([1, -1])}),
        ([node("ReduceMax", ["x"], "y", axes=[2])], {}),
        ([node("ReduceMax", ["x"], "y", axes=[1, 3], keepdims=0)], {}),
        ([node("ReduceMin", ["x"], "y", axes=[3, 2], keepdims=0)], {}),
        ([node("ReduceL1", ["x"], "y", axes=[1])], {}),
        ([node("MatMul", ["a", "x"], "y")], {"a": normal(7, 5)}),
        ([node("MatMul", ["a", "x"], "y")], {"a": normal(3, 7, 5)}),
        ([node("MatMul", ["x", "a"], "y")], {"a": normal(3, 4, 2)}),
        ([node("MatMul", ["x", "a"], "y")], {"a": normal(1, 1, 4, 2)}),
        ([node("MatMul", ["x", "a"], "y")], {"a": normal(4)}),
        ([node("MatMul", ["a", "x"], "y")], {"a": normal(5)}),
        ([node("Einsum", ["x", "a"], "y", equation="bchw,cd->bdhw")], {"a": normal(3, 2)}),
        ([node("Einsum", ["a", "x"], "y", equation="hk,bchw->bkw")], {"a": normal(5, 6)}),
        ([node("Einsum", ["x", "a"], "y", equation="bchw,hc->bwhc")], {"a": normal(5, 3)}),
        ([node("Einsum", ["x"], "y", equation="bchw->bwc")], {}),
        ([node("Expand", ["x", "s"], "y")], {"s": np.array([3, 5, 4])}),
        (
            [node("ReduceMean", ["x"], "m", axes=[1]), node("Expand", ["m", "s"], "y")],
            {"s": np.array([1, 6, 5, 4])},
        ),
        ([node("Tile", ["x", "r"], "y")], {"r": np.array([1, 2, 1, 3])}),
        (
            [
                node("Gather", ["x", "i"], "p", axis=1),
                node("DepthToSpace", ["p"], "y", blocksize=2),
            ],
            {"i": np.array([0, 1, 2, 1, 0, 2, 2, 1])},
        ),
        (
            [
                node("Gather", ["x", "i"], "p", axis=1),
                node("DepthToSpace", ["p"], "y", blocksize=2, mode="CRD"),
            ],
            {"i": np.array([0, 1, 2, 1, 0, 2, 2, 1])},
        ),
        (
            [
                node("Slice", ["x", "s", "e", "a"], "p"),
                node("SpaceToDepth", ["p"], "y", blocksize=2),
            ],
            slicing([0], [4], [2]),
        ),
        (
            [node("Resize", ["x", "", "s"], "y", mode="nearest")],
            {"s": np.array([1, 1, 2, 1.5], "f")},
        ),
        (
            [node("Resize", ["x", "", "s"], "y", mode="linear")],
            {"s": np.array([1, 1, 2, 0.5], "f")},
        ),
        (
            [
                node(
                    "Resize",
                    ["x", "", "s"],
                    "y",
                    mode="cubic",
                    coordinate_transformation_mode="align_corners",
                )
            ],
            {"s": np.array([1, 1, 9 / 5, 7 / 4])},
        ),
        (
            [node("Resize", ["x", "", "s"], "y", mode="cubic", exclude_outside=1)],
            {"s": np.array([1, 1, 2, 0.5], "f")},
        ),
        (
            [
                node(
                    "Resize",
                    ["x", "", "s"],
                    "y",
                    mode="nearest",
                    nearest_mode="floor",
                    coordinate_transformation_mode="asymmetric",
                )
            ],
            {"s": np.array([1, 2, 0.75, 2.25], "f")},
        ),
        (
            [node("Pad", ["x", "p", "v"], "y")],
            {"p": np.array([0, 1, 1, 0, 0, 0, 2, 2]), "v": np.array(1.5)},
        ),
        ([node("Pad", ["x", "p"], "y", mode="reflect")], {"p": np.array([0, 1, 2, 0, 0, 1, 0, 1])}),
        ([node("Cast", ["x"], "y", to=11)], {}),
        (
            [
                node("Reshape", ["x", "s"], "r"),
                node("Col2Im", ["r", "n", "k"], "y", pads=[1, 0, 0, 1]),
            ],
            {"s": np.array([0, 12, 5]), "n": np.array([5, 1]), "k": np.array([2, 2])},
        ),
        ([node("LeakyRelu", ["x"], "y", alpha=0.25)], {}),
        ([node("Add", ["x", "a"], "y")], {"a": normal(1, 3, 1, 1)}),
        ([node("Add", ["a", "x"], "y")], {"a": normal(5, 4)}),
        ([node("Sub", ["a", "x"], "y")], {"a": normal(3, 5, 1)}),
        ([node("Sub", ["x", "a"], "y")], {"a": normal(1)}),
        ([node("Mul", ["x", "a"], "y")], {"a": normal(3, 1, 4)}),
        ([node("Div", ["x", "a"], "y")], {"a": np.array(4.0)}),
        ([node("Neg", ["x"], "y")], {}),
        ([node("Sum", ["x", "x", "a"], "y")], {"a": normal(4)}),
        ([node("MatMul", ["x", "a"], "y")], {"a": normal(4, 6)}),
        ([node("GlobalAveragePool", ["x"], "y")], {}),
        ([node("GlobalMaxPool", ["x"], "y")], {}),
        ([node("ReduceMean", ["x"], "y", axes=[2, 3])], {}),
        ([node("ReduceMean", ["x"], "y", axes=[-1, -2], keepdims=0)], {}),
        ([node("Pad", ["x", "p"], "y")], {"p": np.array([0, 0, 1, 0, 0, 0, 2, 3])}),
        ([node("Pad", ["x", "p"], "y", mode="edge")], {"p": np.array([0, 0, 1, 0, 0, 0, 2, 3])}),
        ([node("Unsqueeze", ["x", "a"], "y")], {"a": np.array([2])}),
        (
            [node("Conv", ["x", "k"], "y", auto_pad="SAME_LOWER", strides=[2, 2])],
            {"k": normal(4, 3, 2, 3)},
        ),
        (
            [node("Conv", ["x", "k"], "y", pads=[0, 1, 2, 1], group=3, dilations=[2, 1])],
            {"k": normal(6, 1, 2, 3)},
        ),
        (
            [node("ConvTranspose", ["x", "k", "b"], "y", strides=[2, 3], output_padding=[1, 0])],
            {"k": normal(3, 2, 2, 3), "b": normal(2)},
        ),
        ([node("AveragePool", ["x"], "y", kernel_shape=[3, 3], pads=[1, 1, 1, 1])], {}),
        (
            [node("AveragePool", ["x"], "y", kernel_shape=[2, 2], strides=[2, 3], ceil_mode=1)],
            {},
        ),
        ([node("MaxPool", ["x"], "y", kernel_shape=[2, 2], dilations=[2, 1])], {}),
        (
            [node("Flatten", ["x"], "f"), node("Gemm", ["f", "W", "b"], "y", alpha=0.5, beta=2.0)],
            {"W": normal(60, 4), "b": normal(1, 4)},
        ),
        (
            [node("Flatten", ["x"], "f"), node("Gemm", ["f", "W"], "y", transB=1)],
            {"W": normal(4, 60)},
        ),
        (
            [node("BatchNormalization", ["x", "g", "b", "m", "v"], "y", epsilon=0.5)],
            {"g": normal(3), "b": normal(3), "m": normal(3), "v": abs(normal(3))},
        ),
    ],
)
def test_an_operator_gives_what_onnx_itself_computes(nodes, constants, tmp_path):
    for batch in (2, "N"):
        agrees(model_of(nodes, constants, [batch, 3, 5, 4]), normal(*SHAPED), tmp_path)


def test_shapes_computed_in_the_graph_and_turned_weights(tmp_path):
    """As exporters write ``x.view(x.size(0), -1)`` and a weight that is stored the other way."""
    nodes = [
        node("Shape", ["x"], "shape"),
        node("Gather", ["shape", "zero"], "batch", axis=0),
        node("Unsqueeze", ["batch", "first"], "as list"),
        node("Constant", [], "minus one", value_ints=[-1]),
        node("Concat", ["as list", "minus one"], "target", axis=0),
        node("Reshape", ["x", "target"], "flat"),
        node("Transpose", ["W"], "turned", perm=[1, 0]),
        node("MatMul", ["flat", "turned"], "y"),
    ]
    constants = {"zero": np.array(0), "first": np.array([0]), "W": normal(3, 60)}
    for batch in (2, "N"):
        model = model_of(nodes, constants, [batch, 3, 5, 4])
        net = agrees(model, normal(*SHAPED), tmp_path)
        assert [layer.name for layer in net.layers] == ["Flatten", "Dense"]


def test_a_bias_joins_its_layer_unless_something_else_reads_that(tmp_path):
    constants = {"k": normal(3, 3, 1, 1), "b": normal(3, 1, 1)}
    nodes = [node("Conv", ["x", "k"], "conv"), node("Add", ["conv", "b"], "biased")]
    alone = agrees(model_of(nodes, constants, SHAPED), normal(*SHAPED), tmp_path)
    assert [layer.name for layer in alone.layers] == ["Conv"]
    nodes.append(node("Add", ["biased", "conv"], "y"))
    both = agrees(model_of(nodes, constants, SHAPED), normal(*SHAPED), tmp_path)
    assert [layer.name for layer in both.layers] == ["Conv", "BatchNorm", "Add"]


def test_a_sum_of_values_in_different_orders(tmp_path):
    nodes = [
        node("Transpose", ["x"], "turned", perm=[0, 2, 1]),
        node("MatMul", ["turned", "a"], "product"),
        node("Add", ["product", "x"], "mixed"),
        node("Transpose", ["mixed"], "t", perm=[0, 2, 1]),
        node("Relu", ["t"], "relu"),
        node("Add", ["relu", "t"], "y"),
    ]
    model = model_of(nodes, {"a": normal(4, 4)}, ["N", 4, 4])
    agrees(model, normal(2, 4, 4), tmp_path)


def test_a_sum_of_a_flattened_value_and_a_flat_one(tmp_path):
    nodes = [
        node("Flatten", ["x"], "flat"),
        node("MatMul", ["flat", "a"], "product"),
        node("Add", ["flat", "product"], "y"),
    ]
    agrees(model_of(nodes, {"a": normal(12, 12)}, ["N", 3, 4]), normal(2, 3, 4), tmp_path)


@pytest.mark.parametrize("auto_pad", ["NOTSET", "SAME_UPPER", "SAME_LOWER"])
def test_an_output_shape_of_a_transposed_convolution_says_what_is_cut(
    auto_pad, tmp_path, onnxruntime
):
    # An odd number of elements is cut: at which end there is one more, the specification says.
    attributes = {"output_shape": [9, 8], "strides": [2, 2], "auto_pad": auto_pad}
    nodes = [node("ConvTranspose", ["x", "k"], "y", **attributes)]
    constants = {"k": normal(3, 2, 2, 3).astype(np.float32)}
    model = model_of(nodes, constants, SHAPED, dtype=np.float32)
    net, x = read(model, tmp_path), normal(*SHAPED).astype(np.float32)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (expected,) = session.run(None, {"x": x})
    assert expected.shape == (2, 2, 9, 8)
    assert (abs(net(x).astype(float) - expected) <= error_bound(net, x, np.float32)).all()


def test_softmax_over_any_axis_before_and_after_its_meaning_changed(tmp_path):
    x = normal(2, 3, 4, 5)
    for opset, axis in [(17, 1), (17, -1), (17, 2), (11, 1), (11, 2), (11, 3)]:
        model = model_of([node("Softmax", ["x"], "y", axis=axis)], {}, [2, 3, 4, 5], opset=opset)
        (expected,) = reference.ReferenceEvaluator(model).run(None, {"x": x})
        if opset == 11:
            rows = np.exp(x).reshape(math.prod(x.shape[:axis]), -1)
            expected = (rows / rows.sum(axis=1, keepdims=True)).reshape(x.shape)
        np.testing.assert_allclose(read(model, tmp_path)(x), expected, rtol=1e-12)


def graph_of_version(opset):
    squeeze = {"axes": [2, 3]} if opset < 13 else {}
    nodes = [
        node("Conv", ["x", "k"], "conv"),
        node("BatchNormalization", ["conv", "one", "one", "one", "one"], "norm"),
        node("Clip", ["norm", "low", "high"], "clip"),
        node("GlobalAveragePool", ["clip"], "mean"),
        node("Squeeze", ["mean"] + ["axes"] * (opset >= 13), "flat", **squeeze),
        node("Dropout", ["flat"], "dropout"),
        node("Gemm", ["dropout", "W"], "y"),
    ]
    constants = {"k": normal(2, 3, 2, 2), "one": np.ones(2), "low": np.array(0.0)}
    constants |= {"high": np.array(6.0), "axes": np.array([2, 3]), "W": normal(2, 4)}
    return model_of(nodes, constants, ["N", 3, 5, 4], opset=opset)


@pytest.mark.parametrize("opset", [11, 12, 13, 17, 21])
def test_every_version_from_11_on_is_read(opset, tmp_path):
    # onnx evaluates normalisations before version 14 as in training: the newer graph is the oracle.
    newer = graph_of_version(17)
    net = agrees(graph_of_version(opset), normal(*SHAPED), tmp_path, oracle=newer)
    names = ["Conv", "BatchNorm", "ReLU6", "AdaptiveAvgPool", "Flatten", "Dense"]
    assert [layer.name for layer in net.layers] == names


# --- round trips --------------------------------------------------------------------------------


EVERY_LAYER = Network(
    [
        Conv(whole(4, 1, 3, 2), whole(4), stride=2, padding=((1, 0), (2, 1)), groups=2),
        BatchNorm(whole(4), whole(4), whole(4), [1.0, 2.0, 3.0, 4.0], 0.3),
        LeakyReLU(0.3),
        Conv(whole(4, 4, 2, 2), padding=1, padding_mode="reflect", flip=True),
        ReLU6(),
        MaxPool(2, stride=1, padding=((1, 0), (0, 0))),
        ConvTranspose(whole(4, 2, 3, 2), whole(2), stride=2, padding=1, output_padding=1),
        AvgPool(2, stride=3, ceil_mode=True),
        Tanh(),
        Rearrange(np.arange(18).reshape(2, 3, 3).transpose(2, 0, 1)),
        Add(9, 9, 9),
        AdaptiveAvgPool((1, 3)),
        Flatten(),
        Dense(csr_array(whole(4, 9)), whole(4)),
        Sigmoid(),
        Softmax(),
    ],
    (2, 7, 7),
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [*NETWORKS, "every layer"])
def test_what_is_saved_is_read_as_it_was(name, dtype, tmp_path):
    net = EVERY_LAYER if name == "every layer" else NETWORKS[name]()
    net = with_random_weights(net, dtype, seed=1)
    path = tmp_path / "net.onnx"
    save(net, path)
    back, x = load(path), inputs(net).astype(dtype)
    y, ours = net(x), back(x)
    assert back.input_shape == net.input_shape
    np.testing.assert_allclose(ours, y, rtol=1e-4 if dtype == np.float32 else 1e-12, atol=1e-4)
    assert {v.dtype for _, _, v in back.parameters()} <= {np.dtype(dtype)}
    assert back.dtype == dtype
    # A bias is always written, and a normalisation may be read as a bias. What is done along an
    # axis without a parameter, such as averages of unequal windows, is read as a product.
    mine, theirs = ({k for _, k, _ in n.parameters()} - {"gamma", "bias"} for n in (net, back))
    assert mine <= theirs <= mine | {"weight"}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_perceptron_is_gemm_and_relu_and_runs_in_onnxruntime(name, dtype, tmp_path, onnxruntime):
    net = with_random_weights(NETWORKS[name](), dtype, seed=1)
    mlp, path = to_mlp(net, dtype=dtype), tmp_path / "mlp.onnx"
    save(mlp, path)
    assert {entry.op_type for entry in onnx.load(path).graph.node} <= {"Gemm", "Relu"}
    x = inputs(net).astype(dtype)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"input": flat(x)})
    assert y.dtype == dtype
    allowed = flat(error_bound(net, x, dtype))
    assert (abs(y.astype(float) - flat(net(x))) <= allowed).all()
    assert (abs(load(path)(flat(x)).astype(float) - flat(net(x))) <= allowed).all()


@pytest.mark.parametrize("name", ["LeNet", "residual", "MobileNet", "three axes", "every layer"])
def test_the_layers_themselves_run_in_onnxruntime(name, tmp_path, onnxruntime):
    net = EVERY_LAYER if name == "every layer" else NETWORKS[name]()
    net, path = with_random_weights(net, np.float32, seed=1), tmp_path / "net.onnx"
    save(net, path)
    x = inputs(net).astype(np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"input": x})
    assert np.abs(net(x)).max() > 1e-3
    np.testing.assert_allclose(y, net(x), rtol=1e-4, atol=1e-5 * np.abs(net(x)).max())


def test_integers_are_written_as_float64(tmp_path):
    net = Network([Dense(np.array([[1, -2]]), [3])], (2,))
    save(net, tmp_path / "net.onnx")
    back = load(tmp_path / "net.onnx")
    assert back.layers[0].weight.dtype == np.float64
    np.testing.assert_array_equal(back([[5.0, 7.0]]), [[-6.0]])


# --- what cannot be read ------------------------------------------------------------------------


def small_model():
    constants = {"k": whole(2, 1, 2, 2), "W": whole(8, 3)}
    nodes = [
        node("Conv", ["x", "k"], "conv", pads=[0, 1, 0, 0]),
        node("Relu", ["conv"], "relu"),
        node("MaxPool", ["relu"], "pool", kernel_shape=[1, 1]),
        node("Flatten", ["pool"], "flat"),
        node("Gemm", ["flat", "W"], "y", transB=0),
    ]
    return model_of(nodes, constants, ["N", 1, 3, 2])


def test_the_small_model_is_read(tmp_path):
    assert read(small_model(), tmp_path).output_shape == (3,)


def test_a_part_of_a_file_is_refused_wherever_it_ends(tmp_path):
    data, path = small_model().SerializeToString(), tmp_path / "part.onnx"
    for end in range(len(data) - 1):
        path.write_bytes(data[:end])
        with pytest.raises(ValueError, match="part"):
            load(path)


def test_a_file_with_flipped_bits_is_read_or_refused(tmp_path):
    data, path = small_model().SerializeToString(), tmp_path / "flipped.onnx"
    read_all = refused = 0
    for place in range(len(data)):
        for bit in (place % 8, (place + 3) % 8, 7):
            flipped = bytearray(data)
            flipped[place] ^= 1 << bit
            path.write_bytes(flipped)
            try:
                assert isinstance(load(path), Network)
                read_all += 1
            except ValueError:
                refused += 1
    assert read_all > 100
    assert refused > 500


def test_random_bytes_are_refused(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "random.onnx"
    for size in (0, 1, 2, 10, 100, 10_000):
        for _ in range(30):
            path.write_bytes(rng.bytes(size))
            with pytest.raises(ValueError, match=r"random\.onnx"):
                load(path)


def test_what_is_too_large_is_refused_before_it_is_read(tmp_path):
    with pytest.raises(ValueError, match=r"over max_bytes \(=100\)"):
        read(small_model(), tmp_path, max_bytes=100)
    with pytest.raises(ValueError, match=r"max_bytes \(=0\) must be a positive number"):
        read(small_model(), tmp_path, max_bytes=0)
    nodes = [node("Transpose", ["x"], "y", perm=[0, 2, 1])]
    with pytest.raises(ValueError, match=r"a value of shape \(1048576, 1048576\) takes 8.8 TB"):
        read(model_of(nodes, {}, [1, 2**20, 2**20]), tmp_path)
    with pytest.raises(ValueError, match=r"takes 65.5 kB, over max_bytes \(=10000\)"):
        read(model_of(nodes, {}, [1, 2, 2**12]), tmp_path, max_bytes=10_000)


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load(tmp_path / "nothing.onnx")
    with pytest.raises(ValueError, match="is not a file"):
        load(tmp_path)


def second_input(model):
    entry = onnx.helper.make_tensor_value_info("x2", onnx.TensorProto.DOUBLE, [1, 1])
    model.graph.input.append(entry)
    model.graph.node[4].input.append("x2")


def second_output(model):
    entry = onnx.helper.make_tensor_value_info("relu", onnx.TensorProto.DOUBLE, None)
    model.graph.output.append(entry)


def outside(model):
    tensor = model.graph.initializer[1]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/hostname")


def change(path, value):
    """Return a change of one field of the model, by its path."""

    def apply(model):
        *parents, last = path.split(".")
        target = model
        for part in parents:
            target = target[int(part)] if part.isdigit() else getattr(target, part)
        setattr(target, last, value)

    return apply


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (second_input, r"must have one input, and has 2: 'x', 'x2'"),
        (second_output, r"must have one output, and has 2: 'y', 'relu'"),
        (outside, r"tensor 'W' is stored in '/etc/hostname', which is not in the folder"),
        (change("opset_import.0.version", 6), r"opset \(=6\) must be one from 7 to"),
        (change("opset_import.0.version", 999), r"opset \(=999\) must be one from 7 to"),
        (
            change("graph.node.1.op_type", "Elu"),
            r"node 'the relu' \(Elu\): Elu is not supported; supported are .*output='conv' stops",
        ),
        (change("graph.node.1.domain", "org.x"), r"org\.x\.Relu is not supported"),
        (change("graph.node.1.input", None), None),
        (change("graph.node.0.attribute.0.name", "pad"), r"unsupported attributes: 'pad'"),
        (change("graph.node.0.attribute.0.type", 1), r"attribute 'pads' is of the wrong kind"),
        (change("graph.initializer.0.data_type", 10), r"tensor 'k' has the data type 10"),
        (change("graph.input.0.type.tensor_type.elem_type", 7), r"must be a tensor of float32"),
        (change("graph.output.0.name", "z"), r"the output: it reads 'z', which nothing gives"),
        (change("graph.node.4.attribute.0.i", 1), r"node 'the y' \(Gemm\): a weight of"),
    ],
)
def test_a_message_names_what_is_wrong(spoil, message, tmp_path):
    model = small_model()
    if message is None:
        model.graph.node[1].input[0] = "nowhere"
        message = r"node 'the relu' \(Relu\): it reads 'nowhere', which nothing gives"
    else:
        spoil(model)
    with pytest.raises(ValueError, match=message):
        read(model, tmp_path)


def test_an_unknown_operator_is_an_unsupported_layer_and_says_what_is_known(tmp_path):
    model = small_model()
    model.graph.node[1].op_type = "Celu"
    with pytest.raises(UnsupportedLayer) as error:
        read(model, tmp_path)
    assert all(name in str(error.value) for name in OPERATORS)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([node("Mul", ["x", "x"], "y")], "product of two activations is not piecewise linear"),
        ([node("Transpose", ["x"], "y", perm=[1, 0, 2, 3])], "must leave the batch axis first"),
        ([node("Reshape", ["x", "s"], "y")], r"\(6, -1\) must begin with the size of the batch"),
        ([node("Flatten", ["x"], "y", axis=2)], "so that the batch axis stays"),
        ([node("Add", ["x", "wide"], "y")], "differ along the batch axis"),
        ([node("Conv", ["x", "x"], "y")], "its input 1 depends on the graph's input"),
        ([node("Conv", ["x"], "y")], "its input 1 is missing"),
        ([node("Dropout", ["x", "", "yes"], "y")], "drops numbers at random"),
        ([node("Softmax", ["x"], "y", axis=0)], "must not be that of the batch"),
        ([node("MaxPool", ["x"], "y", kernel_shape=[2, 2], pads=[3, 3, 3, 3])], "must leave an"),
        ([node("MaxPool", ["x"], "y", kernel_shape=[2**40, 2])], "is over 1048576"),
        ([node("Clip", ["x", "wide"], "y")], "must be one number"),
        ([node("Identity", ["wide"], "y")], "does not depend on the graph's input"),
    ],
)
def test_what_an_operator_does_not_mean_here_is_refused(nodes, message, tmp_path):
    constants = {"s": np.array([6, -1]), "wide": normal(2, 3, 4, 5), "yes": np.array(True)}
    with pytest.raises(ValueError, match=message):
        read(model_of(nodes, constants, ["N", 3, 4, 5]), tmp_path)


def raises(error):
    """Return a rule with a bug."""

    def rule(*_):
        raise error

    return rule


@pytest.mark.parametrize("error", [TypeError("a bug"), KeyError("a bug"), IndexError("a bug")])
def test_a_bug_within_a_rule_is_not_reported_as_an_unsupported_operator(
    error, tmp_path, monkeypatch
):
    nodes = [node("Identity", ["shape"], "same"), node("Reshape", ["x", "same"], "y")]
    model = model_of(nodes, {"shape": np.array([-1, 60])}, ["N", 3, 5, 4])
    for table, op in ((FOLDED, "Identity"), (OPERATORS, "Reshape")):
        with monkeypatch.context() as planted:
            planted.setitem(table, op, raises(error))
            with pytest.raises(type(error)) as found:
                read(model, tmp_path)
        assert found.value is error
    assert read(model, tmp_path).output_shape == (60,)


def test_a_second_output_is_not_read_where_something_needs_it(tmp_path):
    pool = node("MaxPool", ["x"], "y", kernel_shape=[2, 2])
    pool.output.append("places")
    assert read(model_of([pool], {}, SHAPED, output="y"), tmp_path).output_shape == (3, 4, 3)
    nodes = [pool, node("Identity", ["places"], "same")]
    with pytest.raises(UnsupportedLayer, match=r"node 'the y' \(MaxPool\): only its first output"):
        read(model_of(nodes, {}, SHAPED), tmp_path)


def test_open_sizes_have_to_be_given(tmp_path):
    model = model_of([node("Relu", ["x"], "y")], {}, ["N", 3, "H", "W"])
    with pytest.raises(ValueError, match=r"'x' has the shape \(3, \?, \?\) without batch"):
        read(model, tmp_path)
    assert read(model, tmp_path, input_shape=(3, 5, 6)).input_shape == (3, 5, 6)
    for wrong in ((4, 5, 6), (3, 5)):
        with pytest.raises(ValueError, match=r"input_shape \(=.*\) must fit the input 'x'"):
            read(model, tmp_path, input_shape=wrong)


# --- what cannot be written ---------------------------------------------------------------------


class Unknown(Layer):
    def forward(self, *xs):
        return xs[0]


@pytest.mark.parametrize(
    ("layers", "shape", "message"),
    [
        ([Unknown()], (3,), r"layer 0 \(Unknown\) has no ONNX equivalent"),
        ([Dense(aslinearoperator(np.eye(3)))], (3,), r"layer 0 \(Dense\) has an operator"),
        ([Dense(np.eye(3) * 1j)], (3,), r"net \(of dtype complex128\) must hold"),
        ([Conv(whole(1, 1, 2), padding=1, padding_mode="symmetric")], (1, 3), "symmetric"),
    ],
)
def test_what_has_no_form_in_onnx_is_named(layers, shape, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        save(Network(layers, shape), tmp_path / "net.onnx")
    assert not any(tmp_path.iterdir())


def test_a_file_over_the_limit_of_its_format_is_refused_with_its_size(tmp_path):
    wide = csr_array((20_000, 20_000))
    with pytest.raises(MatrixTooLarge, match=r"the file would take 3\.2 GB, over the 2\.15 GB"):
        save(Network([Dense(wide)], (20_000,)), tmp_path / "net.onnx")
    assert not any(tmp_path.iterdir())


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path, net = tmp_path / "net.onnx", NETWORKS["LeNet"]()
    path.write_bytes(b"the old one")

    def full(*_):
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space left"):
            save(net, path)
    assert path.read_bytes() == b"the old one"
    assert list(tmp_path.iterdir()) == [tmp_path / "net.onnx"]
    save(net, path)
    assert list(tmp_path.iterdir()) == [tmp_path / "net.onnx"]
    assert load(path).output_shape == net.output_shape


def test_the_place_of_the_file_must_be_one(tmp_path):
    net = Network([ReLU()], (3,))
    with pytest.raises(ValueError, match="is a folder"):
        save(net, tmp_path)
    with pytest.raises(ValueError, match=r"the folder .* does not exist"):
        save(net, tmp_path / "nowhere" / "net.onnx")


def test_nothing_but_the_file_is_opened(tmp_path, monkeypatch):
    model = small_model()
    outside(model)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    opened = []
    real = builtins.open
    for module in (builtins, io):  # paths open files by the second
        monkeypatch.setattr(module, "open", lambda *a, **k: opened.append(a[0]) or real(*a, **k))
    with pytest.raises(ValueError, match="is not in the folder of the file and is not opened"):
        load(path)
    assert str(path) in map(str, opened)
    assert not [name for name in opened if "hostname" in str(name)]
