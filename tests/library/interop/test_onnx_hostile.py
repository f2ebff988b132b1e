"""Files that nobody vouches for: what tools/fuzz.py has found, each as a small file."""

import numpy as np
import pytest
from test_onnx_graphs import agrees, graph, node, read, sample

from equivlib import conversion_table, to_mlp, to_plain
from equivlib.convert import UnsupportedLayer
from equivlib.convolution.matrix import MatrixTooLarge
from equivlib.interop.onnx import load
from equivlib.layers import ConvTranspose, MaxPool, Network

onnx = pytest.importorskip("onnx", reason="'onnx' reads and writes the files: install the extra")


@pytest.mark.parametrize("op", ["AveragePool", "MaxPool"])
def test_padding_that_is_absurdly_wide_is_refused_at_once(op, tmp_path):
    """Each window that reads padding was worked out alone, before one was empty."""
    wide = [node(op, ["x"], "y", kernel_shape=[2, 2], pads=[0, 2**20, 0, 0])]
    with pytest.raises(ValueError, match=r"padding \(=\(1048576, 0\)\) makes 1048576 windows"):
        read(graph(wide, shape=(1, 3, 5, 4)), tmp_path)
    convolution = [node("Conv", ["x", "k"], "y", pads=[0, 2**18, 0, 0])]
    with pytest.raises(ValueError, match=r"makes 262144 windows that read it, over 65536"):
        read(graph(convolution, {"k": np.ones((1, 3, 2, 2))}, (1, 3, 5, 4)), tmp_path)


def test_a_pool_whose_table_of_windows_is_too_large_is_refused_before_it_is_made():
    net = Network([MaxPool((60, 80), stride=1, dilation=10)], (1, 2000, 2000))
    message = r"layer 0 \(MaxPool\): the table of \d+ windows with 4?8\d+ elements would take"
    for refused in (conversion_table, lambda net: to_mlp(net, max_bytes=1e12)):
        with pytest.raises(MatrixTooLarge, match=message):
            refused(net)
    with pytest.raises(MatrixTooLarge, match=message):
        to_plain(Network([MaxPool(80)], (1, 9000)), pools=True, max_bytes=10_000)


def test_a_loop_of_links_is_no_file(tmp_path):
    model = graph([node("Add", ["x", "c"], "y")], {"c": np.ones(4)}, (1, 4))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="loop.bin")
    (tmp_path / "loop.bin").symlink_to("loop.bin")
    with pytest.raises(ValueError, match=r"tensor 'c' is stored in 'loop.bin', which is no"):
        read(model, tmp_path)


def test_col2im_of_a_window_without_an_element_is_refused(tmp_path):
    nodes = [node("Col2Im", ["x", "image", "block"], "y")]
    constants = {"image": np.array([5, 4]), "block": np.array([0, 4])}
    with pytest.raises(ValueError, match=r"must hold columns of windows of \(0, 4\)"):
        read(graph(nodes, constants, (1, 8, 5), opset=18), tmp_path)


@pytest.mark.parametrize("name", [b"a node", b"a value", b"weights.bin", b"length", b"Add"])
def test_a_name_that_is_no_text_is_refused(name, tmp_path):
    """The parser gives such a name as bytes, which no message could join."""
    model = graph(
        [node("Add", ["a value", "c"], "y")], {"c": np.ones(4)}, (1, 4), inputs=["a value"]
    )
    model.graph.node[0].name = "a node"
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    tensor.external_data.add(key="length", value="16")
    (tmp_path / "weights.bin").write_bytes(bytes(16))
    path, data = tmp_path / "model.onnx", model.SerializeToString()
    path.write_bytes(data)
    assert load(path).input_shape == (4,)
    path.write_bytes(data.replace(name, b"\xff" + name[1:]))
    with pytest.raises(
        ValueError, match=r"model.onnx has a name that is no text in UTF-8: b'\\xff"
    ):
        load(path)


def test_a_message_shows_what_a_terminal_would_obey(tmp_path):
    model = graph([node("Relu", ["x"], "y")], shape=(1, 4))
    model.graph.node[0].op_type = "\x1b]0;title\x07\u202e"
    with pytest.raises(UnsupportedLayer) as error:
        read(model, tmp_path)
    assert str(error.value).isprintable()
    assert r"\x1b]0;title\x07\u202e is not supported" in str(error.value)


def test_numbers_that_overflow_are_refused_without_a_warning(tmp_path):
    nodes = [node("Div", ["x", "c"], "y")]
    with pytest.raises(ValueError, match=r"\(Div\): constants must be finite"):
        read(graph(nodes, {"c": np.array([1e-45, 1.0])}, (1, 2)), tmp_path)


@pytest.mark.parametrize("bound", [3e38, 3.4028234663852886e38, 1e9])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_bound_that_is_far_away_keeps_the_digits(bound, sign, tmp_path):
    """Exporters write the largest number for no bound; relu(x - c) + c was 0 beside it."""
    ends = {"low": np.array(-bound), "high": np.array(0.5)}
    if sign > 0:
        ends = {"low": np.array(-0.5), "high": np.array(bound)}
    x = sample(2, 3, 5, 4)
    agrees(graph([node("Clip", ["x", "low", "high"], "y")], ends), x, tmp_path)
    for op in ("Max", "Min"):
        far = {"c": np.array([sign * bound, 0, -0.25, 1])}
        agrees(graph([node(op, ["x", "c"], "y")], far), x, tmp_path)


def test_constants_of_gemm_that_are_stored_as_integers_are_scaled_as_numbers(tmp_path):
    nodes = [node("Gemm", ["x", "W", "b"], "y", alpha=0.5, beta=0.25)]
    constants = {"W": np.array([[1], [2]]), "b": np.array([2])}
    net = read(graph(nodes, constants, ("N", 2)), tmp_path)
    np.testing.assert_array_equal(net(np.array([[3, 5]], dtype="f")), [[7]])


def test_of_a_message_that_is_absurdly_long_the_middle_is_left_out(tmp_path):
    nodes = [node("Transpose", ["x"], "y", perm=[2**40] * 3000)]
    with pytest.raises(ValueError, match=r"'perm' .* \.\.\. .* is over 1048576") as error:
        read(graph(nodes), tmp_path)
    assert len(str(error.value)) < 5000


@pytest.mark.parametrize(("op", "name"), [("AveragePool", "ceil_mode"), ("ReduceMax", "keepdims")])
def test_a_flag_is_0_or_1(op, name, tmp_path):
    """Programs differ in what 2^63 - 1 means: here it was yes, and for onnxruntime no."""
    options = {"kernel_shape": [2, 2]} if op == "AveragePool" else {}
    nodes = [node(op, ["x"], "y", **options, **{name: 2**63 - 1})]
    with pytest.raises(ValueError, match=rf"its attribute '{name}' \(=9\d+7\) must be 0 or 1"):
        read(graph(nodes, shape=(1, 3, 5, 4)), tmp_path)


@pytest.mark.parametrize("policy", ["not_larger", "not_smaller"])
@pytest.mark.parametrize("sizes", [[1, 1], [7, 3], [3, 9], [2, 5]])
def test_a_kept_aspect_ratio_has_one_scale_for_all_axes(policy, sizes, tmp_path):
    """That scale says where an element comes from, and not the rounded size over the old one."""
    options = {"axes": [2, 3], "keep_aspect_ratio_policy": policy}
    for mode in ("nearest", "linear"):
        nodes = [node("Resize", ["x", "", "", "s"], "y", mode=mode, **options)]
        model = graph(nodes, {"s": np.array(sizes)}, (1, 1, 2, 4), opset=19)
        agrees(model, sample(1, 1, 2, 4), tmp_path)


@pytest.mark.parametrize(("op", "inputs"), [("Reshape", "xs"), ("Resize", "x__s")])
def test_the_prime_that_stands_for_an_open_batch_is_a_number_like_others(op, inputs, tmp_path):
    names = ["" if name == "_" else name for name in inputs]
    model = graph([node(op, names, "y")], {"s": np.array([1_000_003, 1, 4, 4])}, (1, 1, 4, 4))
    with pytest.raises(ValueError, match=rf"\({op}\): .*1000003|resizes the batch axis"):
        read(model, tmp_path, max_bytes=2**20)


def test_an_absurd_stride_is_refused_before_its_phases_are_gone_through():
    net = Network([ConvTranspose(np.ones((1, 1, 2, 2)), stride=2**20, padding=2**19)], (1, 2, 2))
    with pytest.raises(MatrixTooLarge, match=r"kernel of shape \(1, 1048576, 1048576, 1\) would"):
        to_plain(net)


def test_a_number_of_elements_beyond_64_bits_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"its constants do not fit|takes 111 EB"):
        read(graph([node("Size", ["x"], "y")], shape=(2**62, 3)), tmp_path)
