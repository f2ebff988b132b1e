"""ONNX's own cases, read as networks: the network, its perceptron and its convolutions.

A node's further inputs become constants of the graph. Its first axis is the batch; where that is
refused, because the operator mixes or moves the samples, the whole input is one sample.

What ONNX expects was computed in some order, and so are our three. So each may be off by half of
`error_bound`, and two by all of it.
"""

import warnings
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from equivlib import to_cnn, to_mlp
from equivlib.convert import UnsupportedLayer
from equivlib.interop.onnx import load
from equivlib.interop.onnx.constants import FOLDED
from equivlib.interop.onnx.operators import OPERATORS
from equivlib.rounding import error_bound

REASON = "ONNX ships these cases: install 'onnx' to run them"
onnx = pytest.importorskip("onnx", reason=REASON)
nodes = pytest.importorskip("onnx.backend.test.case.node", reason=REASON)

#: Of the layers that have no perceptron, and so no bound: what their functions are off by.
ULPS = 16


#: The decimals to which ONNX writes the numbers of a case, inputs and outputs.
DECIMALS = {"averagepool_2d_ceil_last_window_starts_on_pad": 4}

KNOWN = {*OPERATORS, *FOLDED, "Shape"}


#: Numbers of an input that is too large for a quick perceptron: two cases on disk have more.
LARGE = 100_000

#: Cases of onnx 1.23 that are read: a later release may have more.
AT_LEAST = {
    "Abs": 1,
    "Add": 2,
    "AveragePool": 20,
    "BatchNormalization": 2,
    "Clip": 1,
    "Col2Im": 5,
    "Concat": 12,
    "Conv": 6,
    "ConvTranspose": 11,
    "DepthToSpace": 2,
    "Div": 3,
    "Dropout": 4,
    "Einsum": 3,
    "Expand": 2,
    "Flatten": 9,
    "Gather": 4,
    "Gemm": 8,
    "GlobalAveragePool": 2,
    "GlobalMaxPool": 2,
    "HardSigmoid": 3,
    "Identity": 2,
    "LeakyRelu": 3,
    "MatMul": 5,
    "Max": 5,
    "MaxPool": 18,
    "Mean": 3,
    "Min": 5,
    "Mul": 3,
    "Neg": 2,
    "PRelu": 2,
    "ReduceL1": 8,
    "ReduceMax": 8,
    "ReduceMean": 8,
    "ReduceMin": 8,
    "ReduceSum": 10,
    "Relu": 1,
    "Reshape": 9,
    "Resize": 31,
    "Shrink": 1,
    "Sigmoid": 2,
    "Slice": 7,
    "Softmax": 7,
    "SpaceToDepth": 4,
    "Split": 35,
    "Squeeze": 2,
    "Sub": 3,
    "Sum": 3,
    "Tanh": 2,
    "Tile": 2,
    "Transpose": 7,
    "Unsqueeze": 7,
    "Upsample": 1,
    "Where": 1,
    "on disk": 85,
}


class Case(NamedTuple):
    """A model of one input, what goes in, and what ONNX expects to come out."""

    suite: str
    name: str
    model: Any
    x: np.ndarray
    expected: np.ndarray
    output: str | None = None


def node_cases():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        collected = nodes.collect_testcases(None)
    for case in collected:
        found = [node.op_type for node in case.model.graph.node]
        if len(found) != 1 or found[0] not in OPERATORS:
            continue
        for inputs, outputs in case.data_sets:
            arrays = all(isinstance(value, np.ndarray) for value in (*inputs, *outputs))
            if arrays and inputs:
                name = case.name.removeprefix("test_")
                yield from of_one_input(found[0], name, case.model, inputs, outputs)


def of_one_input(op, name, model, inputs, outputs):
    """Make a case for each output, whose other inputs are constants of the graph."""
    place = next((i for i, x in enumerate(inputs) if x.dtype.kind == "f"), 0)
    for output, expected in zip(model.graph.output, outputs, strict=True):
        each = copy(model)
        for entry, array in zip(list(each.graph.input), inputs, strict=True):
            if entry.name == model.graph.input[place].name:
                shaped(entry, array)
                continue
            each.graph.initializer.append(onnx.numpy_helper.from_array(array, entry.name))
            each.graph.input.remove(entry)
        called = name if len(outputs) == 1 else f"{name}, {output.name}"
        suite = f"ONNX network of {op}"
        yield Case(suite, called, each, inputs[place], expected, output.name)


def of_one_sample(case):
    """Return the case with its input as the one sample of a batch, whose axis the graph drops."""
    model = copy(case.model)
    (entry,) = model.graph.input
    drop = onnx.helper.make_node("Reshape", ["the batch", "the shape"], [entry.name])
    shape = onnx.numpy_helper.from_array(np.array(case.x.shape, dtype=np.int64), "the shape")
    model.graph.initializer.append(shape)
    nodes = [drop, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    entry.name = "the batch"
    shaped(entry, case.x[None])
    return case._replace(model=model, x=case.x[None])


def copy(model):
    other = onnx.ModelProto()
    other.CopyFrom(model)
    return other


def shaped(entry, x):
    """Declare the shape of an input."""
    del entry.type.tensor_type.shape.dim[:]
    for size in x.shape:
        entry.type.tensor_type.shape.dim.add().dim_value = size


def model_cases():
    data = Path(onnx.__file__).parent / "backend" / "test" / "data"
    for path in sorted(data.glob("*/*/model.onnx")):
        model = onnx.load(path)
        if path.parent.parent.name not in ("pytorch-converted", "pytorch-operator", "simple"):
            continue
        if not {node.op_type for node in model.graph.node} <= KNOWN:
            continue
        version = max(entry.version for entry in model.opset_import)
        for folder in sorted(path.parent.glob("test_data_set_*")):
            files = sorted(folder.glob("input_*.pb")), sorted(folder.glob("output_*.pb"))
            if [len(each) for each in files] != [1, 1]:
                continue
            x, expected = (read_tensor(each[0]) for each in files)
            if version < 7:  # the same nodes under a newer version, where they mean the same
                try:
                    model = onnx.version_converter.convert_version(model, 13)
                except Exception:
                    continue
            if x is not None:
                name = path.parent.name.removeprefix("test_")
                yield Case("ONNX networks on disk", name, model, x, expected)


def read_tensor(file):
    try:
        return onnx.numpy_helper.to_array(onnx.load_tensor(file))
    except Exception:
        return None


CASES = [*node_cases(), *model_cases()]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.suite}, {case.name}")


def network_of(case, folder):
    """Read a case as it is or, if that is refused, as a graph for one sample."""
    path = folder / "case.onnx"
    path.write_bytes(case.model.SerializeToString())
    try:
        return case, load(path, output=case.output)
    except ValueError as refusal:
        if not case.x.ndim or case.suite == "ONNX networks on disk":
            raise
        one = of_one_sample(case)
        path.write_bytes(one.model.SerializeToString())
        try:
            return one, load(path, output=case.output)
        except ValueError:
            raise refusal from None


@each_case
def test_network_perceptron_and_convolutions_give_what_onnx_expects(case, tmp_path):
    try:
        case, net = network_of(case, tmp_path)
    except ValueError as reason:
        pytest.skip(str(reason).split(": ", maxsplit=1)[1])
    if net.input_shape == case.x.shape:  # a graph without a batch axis
        case = case._replace(x=case.x[None])
    y = net(case.x)
    assert y.dtype == case.expected.dtype
    alone = y.shape == (1, *(case.expected.shape or (1,)))  # a batch that was dropped
    assert y.shape == case.expected.shape or alone
    case = case._replace(expected=case.expected.reshape(y.shape))
    try:
        allowed = error_bound(net, case.x, case.x.dtype)
    except UnsupportedLayer:
        ulps = ULPS * np.finfo(y.dtype).eps
        np.testing.assert_allclose(y, case.expected, rtol=ulps, atol=ulps)
        return
    allowed += 10.0 ** -DECIMALS[case.name] if case.name in DECIMALS else 0
    close(y, case.expected, allowed)
    if case.x[0].size > LARGE:
        return
    mlp = to_mlp(net, dtype=case.x.dtype)
    flat = case.x.reshape(len(case.x), -1)
    close(mlp(flat).reshape(y.shape), case.expected, allowed)
    if sum(np.prod(layer.weight.shape) for layer in mlp.layers if layer.params) < 2**25:
        pixels = to_cnn(mlp)(flat[..., None, None])
        close(pixels.reshape(y.shape), case.expected, allowed)


def test_as_many_cases_are_read_as_are_known(tmp_path):
    read = Counter()
    for case in CASES:
        try:
            network_of(case, tmp_path)
        except ValueError:
            continue
        read[case.suite.removeprefix("ONNX network of ").removeprefix("ONNX networks ")] += 1
    assert read >= Counter(AT_LEAST)


def close(y, expected, allowed):
    error = np.abs(y.astype(float) - expected)
    assert (error <= allowed).all(), f"off by {error.max()}, with a bound of {allowed.max()}"
