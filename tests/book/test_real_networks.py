"""The chapter on real networks: its PyTorch code runs, and its stored files are what they say."""

import hashlib
import re
import shutil
import warnings

import numpy as np
import pytest
from conftest import ROOT, read

from equivlib import to_plain
from equivlib.interop.onnx import load
from equivlib.layers import BatchNorm, Conv

CHAPTER = ROOT / "chapters" / "16_real_networks.ipynb"
DATA = ROOT / "chapters" / "data"


def torch_code():
    """Return what stands in the page as text: the model, and its training and export."""
    text = "\n".join(c.source for c in read(CHAPTER).cells if c.cell_type == "markdown")
    return re.findall(r"^```python\n(.*?)^```$", text, flags=re.M | re.S)


def nodes(path):
    """Return the operators of a file, each with its attributes and the shapes of its constants."""
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(path).graph
    shapes = {value.name: list(value.dims) for value in graph.initializer}
    return [
        (
            node.op_type,
            {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute},
            [shapes[name] for name in node.input if name in shapes],
        )
        for node in graph.node
    ]


def run(folder, monkeypatch, epochs=None):
    """Run the code of the page in an empty folder; return what it has defined."""
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    (folder / "data").mkdir()
    shutil.copy(DATA / "fashion.npz", folder / "data")
    monkeypatch.chdir(folder)
    model, training = torch_code()
    if epochs is not None:
        assert training.count("range(20)") == 1
        training = training.replace("range(20)", f"range({epochs})")
    defined = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter announces its successor
        exec(model + training, defined)
    return defined


def accuracy(net):
    with np.load(DATA / "fashion.npz") as data:
        images, labels = data["test"][:, None] / 255, data["truth"]
    return float((net(images).argmax(axis=1) == labels).mean())


def test_the_code_of_the_page_writes_a_file_like_the_stored_one(tmp_path, monkeypatch):
    defined = run(tmp_path, monkeypatch, epochs=0)
    written = tmp_path / "data" / "fashion_cnn.onnx"
    assert nodes(written) == nodes(DATA / "fashion_cnn.onnx")
    from equivlib.interop.torch import from_torch

    module = from_torch(defined["model"], (1, 28, 28))
    assert any(isinstance(layer, BatchNorm) for layer in module.layers)
    x = np.random.default_rng(0).random((5, 1, 28, 28))
    assert abs(module(x) - load(written)(x)).max() < 1e-5
    plain = to_plain(module)
    assert not any(isinstance(layer, BatchNorm) for layer in plain.layers)
    assert abs(plain(x) - module(x)).max() < 1e-5
    sizes = [layer.weight.shape for layer in plain.layers if isinstance(layer, Conv)]
    assert sizes == [(4, 1, 3, 3), (12, 4, 5, 5)]


@pytest.mark.slow
def test_training_as_in_the_page_gives_a_network_as_good_as_the_stored_one(tmp_path, monkeypatch):
    run(tmp_path, monkeypatch)
    trained = accuracy(load(tmp_path / "data" / "fashion_cnn.onnx"))
    assert abs(trained - accuracy(load(DATA / "fashion_cnn.onnx"))) < 0.04


def test_the_public_file_is_the_published_one_and_its_licence_is_named():
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    digest = hashlib.sha256((DATA / "mnist-8.onnx").read_bytes()).hexdigest()
    (row,) = [line for line in readme.splitlines() if line.startswith("| `mnist-8.onnx`")]
    assert digest in row
    assert "| MIT," in row
    assert (DATA / "mnist-8.onnx").stat().st_size < 1_000_000


def test_the_digits_are_twenty_of_each_class():
    with np.load(DATA / "digits.npz") as data:
        assert data["x"].shape == (200, 8, 8)
        assert data["x"].max() == 16
        assert np.bincount(data["labels"]).tolist() == [20] * 10
