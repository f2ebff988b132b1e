"""The measure over a folder of files: each outcome, the rule that lists files, the table."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT))
onnx = pytest.importorskip("onnx", reason="'onnx' reads the files: install the extra")
from benchmarks import listed, networks  # noqa: E402
from benchmarks.listed import unlisted  # noqa: E402


def node(op, inputs, output, **attributes):
    return onnx.helper.make_node(op, inputs, [output], **attributes)


def graph(*nodes, constants=None, shape=(1, 4), inputs=("x",), outputs=("y",)):
    def info(name, shape):
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)

    stored = [onnx.numpy_helper.from_array(v, k) for k, v in (constants or {}).items()]
    ends = [info(name, None) for name in outputs]
    made = onnx.helper.make_graph(nodes, "g", [info(n, shape) for n in inputs], ends, stored)
    versions = [onnx.helper.make_opsetid("", 17)]
    return onnx.helper.make_model(made, opset_imports=versions, ir_version=8)


W = {"W": np.arange(12, dtype="f").reshape(4, 3)}
LINEAR = graph(node("MatMul", ["x", "W"], "z"), node("Relu", ["z"], "y"), constants=W)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (LINEAR, None),
        (graph(node("Relu", ["z"], "y"), node("Neg", ["x"], "z")), None),  # in any order
        (graph(node("Mul", ["x", "x"], "y")), "Mul of two activations"),
        (graph(node("Div", ["x", "c"], "y"), constants={"c": np.ones(4, "f")}), None),
        (graph(node("Div", ["c", "x"], "y"), constants={"c": np.ones(4, "f")}),
         "Div with a computed operand"),
        (graph(node("Relu", ["x"], "z"), node("Tanh", ["z"], "y")), "Tanh"),
        # What is computed from constants and shapes alone is a constant.
        (graph(node("Tanh", ["c"], "t"), node("Mul", ["x", "t"], "y"),
               constants={"c": np.ones(4, "f")}), None),
        (graph(node("Tanh", ["x"], "t"), node("Shape", ["t"], "s"),
               node("Reshape", ["x", "s"], "y")), None),
        # What the output does not depend on does not count.
        (graph(node("Relu", ["x"], "y"), node("Tanh", ["x"], "z"), outputs=("y", "z")), None),
        (graph(node("Relu", ["x"], "y"), node("Tanh", ["x"], "z"), outputs=("z", "y")), "Tanh"),
        (graph(node("Add", ["x", "z"], "y"), inputs=("x", "z")), "2 inputs"),
        (graph(node("Relu", ["x"], "y"), inputs=("x", "z")), None),
        (graph(node("Cast", ["x"], "y", to=onnx.TensorProto.DOUBLE)), None),
        (graph(node("Cast", ["x"], "y", to=onnx.TensorProto.INT64)), "Cast to integers"),
        (graph(node("Shrink", ["x"], "y", lambd=1.0, bias=1.0)), None),
        (graph(node("Shrink", ["x"], "y", lambd=1.0)), "Shrink with a jump"),
        (graph(node("Dropout", ["x", "", "t"], "y"), constants={"t": np.array(False)}), None),
        (graph(node("Dropout", ["x", "", "t"], "y"), constants={"t": np.array(True)}), "training"),
        (graph(node("Dropout", ["x"], "y")), None),
        (graph(onnx.helper.make_node("Relu", ["x"], ["y"], domain="own")), "own.Relu"),
    ],
)  # fmt: skip
def test_a_file_is_listed_if_each_operator_is_piecewise_linear(model, why):
    assert unlisted(model) == why


@pytest.mark.parametrize("op", sorted(listed.ALONE & {
    "Abs", "HardSigmoid", "LeakyRelu", "Neg", "Relu", "Shrink", "Identity", "GlobalAveragePool",
    "GlobalMaxPool", "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1", "Flatten",
}))  # fmt: skip
def test_a_listed_operator_is_linear_near_almost_every_point(op):
    """By onnx's own evaluator: the second difference along a line vanishes where it is smooth."""
    from onnx.reference import ReferenceEvaluator

    attributes = {"bias": 0.5, "lambd": 0.5} if op == "Shrink" else {}
    evaluator = ReferenceEvaluator(graph(node(op, ["x"], "y", **attributes), shape=(2, 3, 4)))
    x, along = (np.random.default_rng(i).normal(size=(2, 3, 4)).astype("f") for i in (0, 1))
    before, here, after = (evaluator.run(None, {"x": x + t * along})[0] for t in (-2e-3, 0, 2e-3))
    np.testing.assert_allclose(before + after, 2 * here, atol=2e-6)


@pytest.fixture
def folder(tmp_path):
    """Small files: two of the same bytes, and one of each outcome that needs no limit."""
    kernel = {"K": np.ones((1, 1, 3, 3), "f")}
    made = {
        "a/linear.onnx": LINEAR,
        "a/again.onnx": LINEAR,
        "a/tanh.onnx": graph(node("Tanh", ["x"], "y")),
        "b/large.onnx": graph(node("Conv", ["x", "K"], "y"), constants=kernel,
                              shape=(1, 1, 200, 200)),
        "b/open.onnx": graph(node("Relu", ["x"], "y"), shape=("N", 2, "height")),
        "b/twice.onnx": graph(node("Neg", ["x"], "y"), node("Abs", ["x"], "z"),
                              outputs=("y", "z")),
    }  # fmt: skip
    for name, model in made.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(model.SerializeToString())
    (tmp_path / "b/text.onnx").write_text("nothing of the kind")
    return tmp_path


def test_a_folder_with_each_outcome(folder, capsys):
    report = folder / "found.json"
    assert networks.main([str(folder), "--json", str(report), "--open-size", "3"]) == 0
    found = json.loads(report.read_text())
    assert {name: (facts["outcome"], facts["listed"]) for name, facts in found.items()} == {
        "a/again.onnx": ("converted", True),  # and not a/linear.onnx: the same bytes
        "a/tanh.onnx": ("refused", False),
        "b/large.onnx": ("too large", True),
        "b/open.onnx": ("converted", True),
        "b/twice.onnx": ("converted", True),
        "b/text.onnx": ("refused", False),
    }
    assert "Tanh" in found["a/tanh.onnx"]["reason"]
    assert found["b/open.onnx"]["check"]["samples"] == 8
    printed = capsys.readouterr()
    assert "[6/6]" in printed.err
    assert "| a | 2 | 1 | 1 | 0 | 0 | 0 | 1 | 1 | 1 | 1 |" in printed.out
    assert "| b | 4 | 2 | 1 | 1 | 0 | 0 | 3 | 3 | 2 | 2 |" in printed.out
    assert "| all | 6 | 3 | 2 | 1 | 0 | 0 | 4 | 4 | 3 | 3 |" in printed.out


def test_a_process_is_stopped_when_its_time_is_over(folder, monkeypatch):
    monkeypatch.setattr(networks, "PATIENCE", 0)
    found = measured(folder / "a/linear.onnx")
    assert (found["outcome"], found["reason"]) == ("over limits", "time")


def test_a_process_is_stopped_when_it_wants_too_much_memory(folder):
    large = graph(node("ConstantOfShape", ["s"], "c"), node("Mul", ["x", "c"], "y"),
                  constants={"s": np.array([2**27])}, shape=(1, 1))  # fmt: skip
    (folder / "c.onnx").write_bytes(large.SerializeToString())
    found = measured(folder / "c.onnx", "--gigabytes", "0.4")
    assert (found["outcome"], found["reason"]) == ("over limits", "memory")


def measured(path, *options):
    """What is found of one file, in a folder of its own."""
    alone = path.with_suffix("")
    alone.mkdir()
    path.rename(alone / path.name)
    report = alone / "found.json"
    networks.main([str(alone), "--json", str(report), *options])
    return json.loads(report.read_text())[path.name]


@pytest.mark.parametrize(
    ("code", "error", "outcome"),
    [
        (0, None, {"outcome": "converted", "check": {"equal": True}}),
        (1, "they differ", {"outcome": "failed", "reason": "they differ"}),
        (2, "node 'y': no", {"outcome": "refused", "reason": "node 'y': no"}),
        (2, "Unable to allocate 9 GiB", {"outcome": "over limits", "reason": "memory"}),
    ],
)
def test_what_the_command_ends_with_is_the_outcome(code, error, outcome, tmp_path, monkeypatch):
    def command(arguments):
        facts = {"error": error, "check": {"equal": True}}
        Path(arguments[arguments.index("--report") + 1]).write_text(json.dumps(facts))
        return code

    monkeypatch.setattr("equivlib.cli.main", command)
    said = {}
    networks.convert(tmp_path / "x.onnx", {"input_shape": (2, 3), "output": "y"}, said.update)
    assert said == outcome


@pytest.mark.parametrize(
    ("code", "errors", "outcome"),
    [
        (-24, "", "over limits"),
        (-6, "terminate called after throwing std::bad_alloc", "over limits"),
        (-11, "", "failed"),
        (1, "Traceback\nKeyError: 'x'", "failed"),
    ],
)
def test_a_process_that_says_no_outcome(code, errors, outcome):
    assert networks.ended(code, errors)["outcome"] == outcome


def test_a_defect_is_the_exit_code(folder, monkeypatch):
    monkeypatch.setattr(networks, "measured", lambda path, arguments: {
        "outcome": "failed", "listed": True, "read": True, "reason": "KeyError: 'x'"})  # fmt: skip
    assert networks.main([str(folder)]) == 1
