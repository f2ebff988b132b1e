"""Both readers build with one builder: what neither can read has one message."""

import numpy as np
import pytest

from equivlib.interop.onnx import load
from equivlib.interop.torch import from_torch

onnx = pytest.importorskip("onnx", reason="one of the two readers needs it: the extra 'onnx'")
torch = pytest.importorskip("torch", reason="one of the two readers needs it: the extra 'torch'")
functional = torch.nn.functional

CONSTANTS = {
    "one": np.ones(1),
    "wide": np.ones((2, 3, 4)),
    "first": np.array([0]),
    "sizes": np.array([5, -1]),
    "ends": np.array([0, 0, 1, 0, 0, 1]),
    "two": np.array(np.inf),
    "reversed": np.array([3, 2, 1, 0]),
    "zero": np.array(0.0),
    "three": np.arange(3.0),
    "column": np.ones((1, 1)),
}


class Does(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        for name, value in CONSTANTS.items():
            self.register_buffer(name, torch.from_numpy(value))

    def forward(self, x):
        return self.function(self, x)


def refusal(read, *args):
    """Return the class of the error and its reason, without the place."""
    with pytest.raises(ValueError, match=": ") as error:
        read(*args)
    return type(error.value), str(error.value).rpartition("): ")[2]


@pytest.mark.parametrize(
    ("function", "op", "inputs", "attributes"),
    [
        (lambda m, x: x * x, "Mul", ["x", "x"], {}),
        (lambda m, x: 1 / x, "Div", ["one", "x"], {}),
        (lambda m, x: x / 0, "Div", ["x", "zero"], {}),
        (lambda m, x: x + m.wide, "Add", ["x", "wide"], {}),
        (lambda m, x: x - m.three, "Sub", ["x", "three"], {}),
        (lambda m, x: x.permute(1, 0, 2), "Transpose", ["x"], {"perm": [1, 0, 2]}),
        (lambda m, x: x.view(5, -1), "Reshape", ["x", "sizes"], {}),
        (lambda m, x: x.squeeze(0), "Squeeze", ["x", "first"], {}),
        (lambda m, x: x.unsqueeze(0), "Unsqueeze", ["x", "first"], {}),
        (lambda m, x: x.softmax(0), "Softmax", ["x"], {"axis": 0}),
        (lambda m, x: x.softmax(3), "Softmax", ["x"], {"axis": 3}),
        (lambda m, x: x.mean((0, 1)), "ReduceMean", ["x"], {"axes": [0, 1]}),
        (lambda m, x: functional.pad(x, (1, 1), value=np.inf), "Pad", ["x", "ends", "two"], {}),
        (lambda m, x: x @ x, "MatMul", ["x", "x"], {}),
        (lambda m, x: x @ m.wide, "MatMul", ["x", "wide"], {}),
        (lambda m, x: torch.cat((x, m.wide), 1), "Concat", ["x", "wide"], {"axis": 1}),
        (
            lambda m, x: torch.index_select(x, 1, m.reversed),
            "Gather",
            ["x", "reversed"],
            {"axis": 1},
        ),
        (lambda m, x: functional.linear(x, m.column), "MatMul", ["x", "column"], {}),
    ],
)
def test_both_readers_refuse_in_the_same_words(function, op, inputs, attributes, tmp_path):
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.DOUBLE, ["N", 3, 4])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.DOUBLE, None)
    stored = [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in CONSTANTS.items()]
    node = onnx.helper.make_node(op, inputs, ["y"], **attributes)
    graph = onnx.helper.make_graph([node], "one node", [x], [y], stored)
    versions = [onnx.helper.make_opsetid("", 17)]
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx.helper.make_model(graph, opset_imports=versions).SerializeToString())
    assert refusal(load, path) == refusal(from_torch, Does(function).eval(), (3, 4))
