"""Files of networks: weights written as they are made, sparse ones, circular padding."""

import numpy as np
import pytest
import scipy.sparse
from networks import NETWORKS, each_network, flat, inputs, normal, with_random_weights

from equivlib import MatrixTooLarge, to_mlp
from equivlib.convert.operators import AffineStage
from equivlib.interop.onnx import load, save, writer
from equivlib.layers import Conv, Dense, Network, Rearrange, ReLU
from equivlib.rounding import error_bound

onnx = pytest.importorskip("onnx", reason="'onnx' reads and writes the files: install the extra")
reference = pytest.importorskip("onnx.reference", reason="onnx runs its graphs itself")


@pytest.fixture(scope="module")
def onnxruntime():
    return pytest.importorskip(
        "onnxruntime", reason="onnxruntime is an optional oracle: install the extra 'onnx'"
    )


@each_network
def test_weights_that_are_built_when_they_are_written_give_the_same_file(net, tmp_path):
    built, unbuilt = tmp_path / "built.onnx", tmp_path / "unbuilt.onnx"
    save(to_mlp(net), built)
    save(to_mlp(net, matrix_free=True), unbuilt)
    model = onnx.load(unbuilt)
    onnx.checker.check_model(model, full_check=True)
    assert unbuilt.stat().st_size == len(model.SerializeToString()) == built.stat().st_size
    weights = [layer.weight for layer in to_mlp(net).layers if isinstance(layer, Dense)]
    stored = {entry.name: onnx.numpy_helper.to_array(entry) for entry in model.graph.initializer}
    gemms = [entry for entry in model.graph.node if entry.op_type == "Gemm"]
    for weight, gemm in zip(weights, gemms, strict=True):
        np.testing.assert_array_equal(stored[gemm.input[1]], weight.toarray())
        assert {a.name: a.f or a.i for a in gemm.attribute} == {"alpha": 1, "beta": 1, "transB": 1}
        assert stored[gemm.input[2]].shape == (len(stored[gemm.input[1]]),)


def test_blocks_of_rows_are_the_whole_matrix(tmp_path, monkeypatch):
    net = to_mlp(NETWORKS["normalised before the activation"](), matrix_free=True)
    save(net, tmp_path / "whole.onnx")
    monkeypatch.setattr(writer, "NUMBERS", 100)
    save(net, tmp_path / "blocks.onnx")
    assert (tmp_path / "whole.onnx").read_bytes() == (tmp_path / "blocks.onnx").read_bytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("limit", [writer.LIMIT, 5000])
@pytest.mark.parametrize("name", ["LeNet", "residual", "three axes", "sparse"])
def test_sparse_matrices_run_in_onnxruntime(name, limit, dtype, tmp_path, onnxruntime, monkeypatch):
    net = with_random_weights(NETWORKS[name](), dtype, seed=1)
    mlp, path, dense = to_mlp(net, matrix_free=True), tmp_path / "mlp.onnx", tmp_path / "d.onnx"
    save(mlp, dense)
    monkeypatch.setattr(writer, "LIMIT", limit)
    save(mlp, path, sparse=True)
    model = onnx.load(path)
    onnx.checker.check_model(model)
    kinds = {entry.op_type for entry in model.graph.node}
    several = limit == 5000 and name != "sparse"
    assert kinds - {"Relu"} == ({"Gemm", "Concat"} if several else {"Gemm"})
    if name != "sparse":
        assert model.graph.sparse_initializer
        assert path.stat().st_size < dense.stat().st_size / 2
    for matrix in model.graph.sparse_initializer:
        assert matrix.dims[0] * matrix.dims[1] * np.dtype(dtype).itemsize <= limit
    x = inputs(net).astype(dtype)
    run = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run
    (y,) = run(None, {"input": flat(x)})
    allowed = flat(error_bound(net, x, dtype))
    for found in (y, load(path)(flat(x))):
        assert (abs(found.astype(float) - flat(net(x))) <= allowed).all()


def sparse_file(path, values, places, shape):
    """Write a graph that multiplies three numbers by a sparse matrix."""
    helper, as_tensor = onnx.helper, onnx.numpy_helper.from_array
    matrix = helper.make_sparse_tensor(
        as_tensor(np.array(values, np.float32), "W"), as_tensor(np.array(places), "places"), shape
    )
    ends = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, ["N", None]) for n in "xy"]
    ends[0].type.tensor_type.shape.dim[1].dim_value = 3
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "W"], ["y"])], "g", ends[:1], ends[1:]
    )
    graph.sparse_initializer.append(matrix)
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return path


@pytest.mark.parametrize("places", [[1, 4], [[0, 1], [2, 0]]])
def test_sparse_constants_are_read_with_their_zeros(places, tmp_path):
    net = load(sparse_file(tmp_path / "net.onnx", [5, 7], places, [3, 2]))
    expected = [[0, 0, 7], [5, 0, 0]]
    np.testing.assert_array_equal(net.layers[0].weight, expected)


@pytest.mark.parametrize(
    ("values", "places", "shape", "message"),
    [
        ([5, 7], [1, 6], [3, 2], "places outside its shape"),
        ([5, 7], [1, -1], [3, 2], "places outside its shape"),
        ([5, 7], [[0, 1], [0, 2]], [3, 2], "places outside its shape"),
        ([5, 7], [1, 1], [3, 2], "a place twice"),
        ([5, 7], [1], [3, 2], "one for each of its 2 numbers"),
        ([5, 7], [1.0, 4.0], [3, 2], "must be int64"),
        ([5, 7], [1, 4], [-3, 2], "impossible shape"),
        ([5, 7], [1, 4], [3, 2**40], "with its zeros, over max_bytes"),
    ],
)
def test_malformed_sparse_constants_are_refused(values, places, shape, message, tmp_path):
    path = sparse_file(tmp_path / "net.onnx", values, places, shape)
    with pytest.raises(ValueError, match=message):
        load(path)


@pytest.mark.slow
def test_a_file_that_would_be_over_2_gib_dense_runs_sparse(tmp_path, onnxruntime):
    # Two permutations of 17,000 features, 1.2 GB each as dense matrices.
    rng, size = np.random.default_rng(0), 17_000
    orders = [rng.permutation(size) for _ in range(2)]
    ones = np.ones(size, dtype=np.float32)
    rows = np.arange(size + 1)
    layers = [Dense(scipy.sparse.csr_array((ones, order, rows))) for order in orders]
    net, path = Network(layers, (size,)), tmp_path / "net.onnx"
    with pytest.raises(MatrixTooLarge, match=r"would take 2.31 GB, over the 2.15 GB"):
        save(net, path)
    save(net, path, sparse=True)
    assert path.stat().st_size < 1_000_000
    x = rng.standard_normal((2, size)).astype(np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(session.run(None, {"input": x})[0], net(x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_circular_padding_is_saved(dtype, tmp_path, onnxruntime):
    for padding in (1, [(0, 2), (3, 0)], [(5, 9), (1, 1)]):
        weight = normal(2, 1, 3, 2).astype(dtype)
        conv = Conv(weight, padding=padding, padding_mode="circular")
        net, path = Network([conv, ReLU()], (1, 3, 4)), tmp_path / "net.onnx"
        save(net, path)
        model, x = onnx.load(path), normal(2, 1, 3, 4, seed=1).astype(dtype)
        assert [entry.version for entry in model.opset_import] == [19]
        (y,) = reference.ReferenceEvaluator(model).run(None, {"input": x})
        np.testing.assert_allclose(y, net(x), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(load(path)(x), net(x), rtol=1e-4, atol=1e-5)
        if dtype == np.float32:  # it has no convolution of float64
            session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            np.testing.assert_allclose(session.run(None, {"input": x})[0], y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("indices", "operators"),
    [
        (np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1), ["Reshape", "Transpose", "Reshape"]),
        (np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2), ["Transpose"]),
        (np.arange(24).reshape(2, 3, 2, 2).transpose(0, 2, 1, 3).reshape(4, 6), None),
        (np.arange(24).reshape(6, 4), ["Reshape"]),
        (np.arange(24)[::-1], ["Flatten", "Gather", "Reshape"]),
    ],
)
def test_transpositions_are_written_as_such(indices, operators, tmp_path):
    net, path = Network([Rearrange(indices)], (2, 3, 4)), tmp_path / "net.onnx"
    save(net, path, dtype=np.float32)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    found = [entry.op_type for entry in model.graph.node]
    assert found == operators if operators else "Gather" not in found
    x = normal(2, 2, 3, 4).astype(np.float32)
    (y,) = reference.ReferenceEvaluator(model).run(None, {"input": x})
    np.testing.assert_array_equal(y, net(x))
    np.testing.assert_array_equal(load(path)(x), net(x))


@pytest.mark.parametrize("places", [[0, 1, 2], [0, 2, 1, 3], [[4, 0], [5, 1]], [0, 0, -1], [-1]])
def test_a_selection_is_no_transposition(places, tmp_path):
    layer, path = Rearrange(places, size=6), tmp_path / "net.onnx"
    net = Network([layer], (2, 3), dtype=np.float32)
    assert layer.transposition() is None
    save(net, path)
    x = normal(2, 2, 3).astype(np.float32)
    (y,) = reference.ReferenceEvaluator(onnx.load(path)).run(None, {"input": x})
    np.testing.assert_array_equal(y, net(x))
    np.testing.assert_array_equal(load(path)(x), net(x))


def test_a_length_that_would_be_wrong_is_noticed_and_nothing_is_written(tmp_path, monkeypatch):
    net = to_mlp(NETWORKS["LeNet"](), matrix_free=True)
    honest = AffineStage.dense_rows
    monkeypatch.setattr(AffineStage, "dense_rows", lambda *given: list(honest(*given))[1:])
    with pytest.raises(AssertionError, match="bytes are written, and"):
        save(net, tmp_path / "net.onnx")
    assert not any(tmp_path.iterdir())
