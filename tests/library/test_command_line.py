"""The command line: what it prints, writes and ends with."""

import subprocess
import sys

import numpy as np
import pytest
from networks import NETWORKS, flat, inputs, with_random_weights

from equivlib import cli as command
from equivlib import conversion_table, to_cnn
from equivlib.interop.onnx import load, save
from equivlib.layers import Dense, MaxPool, Network, ReLU, Sigmoid

onnx = pytest.importorskip("onnx", reason="'onnx' reads and writes the files: install the extra")


@pytest.fixture
def lenet(tmp_path):
    path = tmp_path / "lenet.onnx"
    save(with_random_weights(NETWORKS["LeNet"](), np.float32, seed=1), path)
    return path


def run(*arguments):
    return command.main([str(argument) for argument in arguments])


def test_convert_writes_the_perceptron_and_says_how_far_it_is_off(lenet, tmp_path, capsys):
    target = tmp_path / "mlp.onnx"
    assert run("convert", lenet, target, "--samples", 3) == 0
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in err.splitlines() if "onnxruntime" not in line] == [
        "reading",
        "building",
        "writing",
        "checking",
    ]
    net, mlp = load(lenet), load(target)
    assert {type(layer) for layer in mlp.layers} == {Dense, ReLU}
    assert {entry.op_type for entry in onnx.load(target).graph.node} == {"Gemm", "Relu"}
    x = inputs(net).astype(np.float32)
    np.testing.assert_allclose(mlp(flat(x)), net(x), rtol=1e-4, atol=1e-3)
    total = conversion_table(net).total
    (sums,) = [line.split() for line in out.splitlines() if "total" in line]
    assert sums == ["total", "311", f"{total.stored:,}", f"{total.dense:,}"]
    figures = {line[:20].strip(): line[20:] for line in out.splitlines()[-4:]}
    assert 0 < float(figures["largest difference"]) < 1e-3
    assert float(figures["bound from rounding"]) < float(figures["largest output"])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["lenet.onnx", "mlp.onnx"]


@pytest.mark.parametrize("missing", [False, True])
def test_a_perceptron_that_differs_is_not_written(lenet, tmp_path, capsys, monkeypatch, missing):
    def wrong(net, **options):
        mlp = honest(net, **options)
        mlp.layers[-1].params["bias"] += np.float32(0.5)
        return mlp

    honest = command.to_mlp
    monkeypatch.setattr(command, "to_mlp", wrong)
    if missing:
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
    target = tmp_path / "mlp.onnx"
    assert run("convert", lenet, target) == 1
    out, err = capsys.readouterr()
    assert "differ by more than rounding can explain; nothing is written" in err
    assert "largest difference  0.5" in out
    assert ("by equivlib, the perceptron by equivlib" in out) >= missing
    assert list(tmp_path.iterdir()) == [tmp_path / "lenet.onnx"]


def test_shapes_that_differ_are_said_and_end_with_1(lenet, tmp_path, monkeypatch, capsys):
    """As where onnxruntime reads an operator otherwise than the standard's text says."""
    honest = command._applied

    def shorter(file, name, x, other):
        y, by = honest(file, name, x, other)
        return (y[:, :3], by) if name == lenet.name else (y, by)

    monkeypatch.setattr(command, "_applied", shorter)
    assert run("convert", lenet, tmp_path / "mlp.onnx") == 1
    assert "lenet.onnx gives 3 numbers by" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [tmp_path / "lenet.onnx"]


def test_float32_stays_float32_where_no_layer_holds_numbers(tmp_path, capsys):
    path, target = tmp_path / "pool.onnx", tmp_path / "mlp.onnx"
    save(Network([MaxPool(2), ReLU()], (1, 4, 4), dtype=np.float32), path)
    assert run("convert", path, target) == 0
    kinds = [load(path).dtype, load(target).dtype, to_cnn(load(target)).dtype]
    assert kinds == [np.float32] * 3
    assert {p.dtype for _, _, p in load(target).parameters()} == {np.dtype(np.float32)}
    assert "does not run" not in capsys.readouterr().err
    save(Network([ReLU()], (3,), dtype=np.float32), path)
    assert run("convert", path, target) == 0
    assert load(target).dtype == np.float32


def test_an_output_is_chosen_and_what_is_checked_is_the_graph_up_to_it(tmp_path, capsys):
    path, target = tmp_path / "net.onnx", tmp_path / "mlp.onnx"
    layers = [Dense(np.ones((3, 4), np.float32)), Sigmoid()]
    save(Network(layers, (4,)), path)
    assert run("convert", path, target) == 2
    assert "output='layer0' stops before it" in capsys.readouterr().err
    assert run("convert", path, target, "--output", "layer0") == 0
    assert {entry.op_type for entry in onnx.load(target).graph.node} == {"Gemm"}
    out, err = capsys.readouterr()
    assert "largest difference" in out
    assert "does not run" not in err
    assert run("inspect", path, "--output", "layer0") == 0
    assert run("inspect", path, "--output", "none") == 2
    assert "output (='none') must be a value of the graph" in capsys.readouterr().err


def test_a_graph_without_a_batch_axis_is_checked_sample_by_sample(tmp_path, capsys):
    path = tmp_path / "net.onnx"
    save(Network([Dense(np.ones((3, 4), np.float32)), ReLU()], (4,)), path)
    model = onnx.load(path)
    weight = onnx.numpy_helper.from_array(np.ones((4, 3), np.float32), "W")
    model.graph.node[0].CopyFrom(onnx.helper.make_node("MatMul", ["input", "W"], ["layer0"]))
    model.graph.initializer.append(weight)
    for end in (model.graph.input[0], model.graph.output[0]):
        del end.type.tensor_type.shape.dim[0]
    path.write_bytes(model.SerializeToString())
    assert run("convert", path, tmp_path / "mlp.onnx") == 0
    out, err = capsys.readouterr()
    assert "net.onnx by onnxruntime" in out or "onnxruntime" not in sys.modules
    assert "does not run" not in err


def test_a_difference_that_is_no_number_fails_the_check(lenet, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_applied", lambda *_: (np.full(32, np.nan), "nan"))
    assert run("convert", lenet, tmp_path / "mlp.onnx") == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "lenet.onnx"]


def test_a_fixed_batch_is_filled_up(tmp_path, capsys):
    pytest.importorskip("onnxruntime", reason="it is what insists on the batch of a file")
    path = tmp_path / "fixed.onnx"
    save(with_random_weights(NETWORKS["LeNet"](), np.float32, seed=1), path)
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 3
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 3
    onnx.save(model, path)
    assert run("convert", path, tmp_path / "mlp.onnx", "--samples", 7) == 0
    assert "fixed.onnx by onnxruntime" in capsys.readouterr().out


def test_inspect_prints_what_convert_would_make_and_writes_nothing(lenet, tmp_path, capsys):
    assert run("inspect", lenet) == 0
    out, err = capsys.readouterr()
    table = conversion_table(load(lenet))
    lines = out.splitlines()
    for cost, line in zip(table, lines[1:], strict=False):
        assert line.split()[:2] == [str(cost.position), cost.layer]
        assert line.split()[-2:] == [f"{cost.stored:,}", f"{cost.dense:,}"]
    assert f"as Dense and ReLU: {table.total.depth} layers" in lines[-1]
    assert err == ""
    assert list(tmp_path.iterdir()) == [tmp_path / "lenet.onnx"]


def test_what_does_not_fit_a_file_is_told_by_inspect_and_refused_by_convert(tmp_path, capsys):
    path, wide = tmp_path / "wide.onnx", Network([Dense(np.ones((1, 4)))], (4,))
    save(wide, path)
    model = onnx.load(path)
    model.graph.node[0].op_type = "GlobalAveragePool"
    del model.graph.node[0].attribute[:], model.graph.node[0].input[1:]
    del model.graph.input[0].type.tensor_type.shape.dim[:]
    for size in (1, 20_000, 200, 1):
        model.graph.input[0].type.tensor_type.shape.dim.add().dim_value = size
    path.write_bytes(model.SerializeToString())
    assert run("inspect", path) == 0
    assert "convert refuses it: a file holds dense matrices" in capsys.readouterr().out
    assert run("convert", path, tmp_path / "mlp.onnx") == 2
    assert "error: the file would take 640 GB, over the 2.15 GB" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [tmp_path / "wide.onnx"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["convert", "nowhere.onnx", "mlp.onnx"], r"error: nowhere.onnx does not exist"),
        (["inspect", "nowhere.onnx"], "error: nowhere.onnx does not exist"),
        (["convert", "sigmoid.onnx", "mlp.onnx"], "layer 1 (Sigmoid) cannot be written"),
        (["inspect", "sigmoid.onnx"], "layer 1 (Sigmoid) cannot be written"),
        (["inspect", "text.onnx"], "error: text.onnx is not an ONNX file"),
        (["convert", "sigmoid.onnx", "sigmoid.onnx"], "must not be the file that is read"),
        (["convert", "sigmoid.onnx", "mlp.onnx", "--input-shape", "5"], "input_shape (=(5,))"),
        (["convert", "lenet.onnx", "mlp.onnx", "--max-bytes", "1000"], "over max_bytes (=1000)"),
        (["convert", "lenet.onnx", "no/mlp.onnx"], "the folder no does not exist"),
    ],
)
def test_an_error_is_one_line_and_the_exit_code_2(
    arguments, message, lenet, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    save(Network([Dense(np.ones((2, 3))), Sigmoid()], (3,)), "sigmoid.onnx")
    (tmp_path / "text.onnx").write_text("This is not a network.")
    before = sorted(tmp_path.iterdir())
    assert run(*arguments) == 2
    err = capsys.readouterr().err
    assert message in err.splitlines()[-1]
    assert err.count("error: ") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_onnx_missing_is_an_error_like_others(lenet, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert run("inspect", lenet) == 2
    assert "needs the package onnx" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [[], ["compress"], ["convert", "a"], ["inspect", "a", "--input-shape", "3,x"]]
)
def test_wrong_words_are_explained(arguments, capsys):
    with pytest.raises(SystemExit) as error:
        run(*arguments)
    assert error.value.code == 2
    assert "usage: python -m equivlib" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["convert", "inspect"])
def test_help_says_what_a_command_does(name, capsys):
    with pytest.raises(SystemExit) as error:
        run(name, "--help")
    assert error.value.code == 0
    out = capsys.readouterr().out
    assert "IN.onnx" in out
    assert "fully connected" in out or "multilayer perceptron" in out


def test_help_ends_with_examples_that_run(lenet, tmp_path, capsys, monkeypatch):
    with pytest.raises(SystemExit) as error:
        run("--help")
    assert error.value.code == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    examples = [words[3:] for words in lines if words[:3] == ["python", "-m", "equivlib"]]
    assert {words[0] for words in examples} == {"convert", "inspect"}
    monkeypatch.chdir(tmp_path)
    lenet.rename("net.onnx")
    for words in examples:
        if "--input-shape" in words:  # made for a larger image, so only its words are checked
            assert command._parser().parse_args(words).input_shape == (3, 224, 224)
        elif "--output" in words:  # of a graph whose values have other names
            assert command._parser().parse_args(words).value == "logits"
        else:
            assert run(*words) == 0


def test_it_runs_as_a_module(lenet, tmp_path):
    words = [sys.executable, "-m", "equivlib", "convert", str(lenet), str(tmp_path / "mlp.onnx")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "largest difference" in done.stdout
    words[3:] = ["inspect", str(tmp_path / "nowhere.onnx")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
