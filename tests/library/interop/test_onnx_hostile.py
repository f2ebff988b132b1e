"""Files that nobody vouches for: what tools/fuzz.py has found, each as a small file."""

import numpy as np
import pytest
from test_onnx_graphs import graph, node, read

from equivlib.convert import UnsupportedLayer

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
