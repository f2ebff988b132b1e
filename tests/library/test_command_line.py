"""The command line: what it prints, writes and ends with."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from networks import NETWORKS, flat, inputs, with_random_weights
from renamed import renamed

from equivlib import cli as command
from equivlib import conversion_table, to_cnn
from equivlib.interop.onnx import load, save
from equivlib.layers import AvgPool, Conv, Dense, Flatten, MaxPool, Network, ReLU, Sigmoid

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
    assert run("plain", path, target, "--output", "layer0") == 0
    assert {entry.op_type for entry in onnx.load(target).graph.node} == {"Gemm"}
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
    assert (
        "convert refuses it without --sparse: a file holds 2.15 GB at most"
        in capsys.readouterr().out
    )
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
        (["convert", "sigmoid.onnx", "sigmoid.onnx"], "must not be the file IN.onnx too"),
        (["convert", "sigmoid.onnx", "mlp.onnx", "--input-shape", "5"], "input_shape (=(5,))"),
        (["convert", "lenet.onnx", "mlp.onnx", "--max-bytes", "1000"], "over --max-bytes 1000"),
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


# --- plain --------------------------------------------------------------------------------------


@pytest.fixture
def crooked(tmp_path):
    """Return a file in which nothing is plain, and which ends in a sigmoid."""
    weight = np.random.default_rng(0).standard_normal
    layers = [
        Conv(weight((4, 1, 2, 2)), dilation=2, padding=[(1, 0), (0, 1)], groups=2),
        MaxPool(2, stride=1),
        AvgPool(2),
        Flatten(),
        Dense(weight((3, 36))),
        Sigmoid(),
    ]
    net, path = Network(layers, (2, 8, 8)), tmp_path / "crooked.onnx"
    save(with_random_weights(net, np.float32, seed=2), path)
    return path


@pytest.mark.parametrize("pools", [[], ["--pools"]])
def test_plain_writes_plain_convolutions_and_says_what_became_of_each_layer(
    pools, crooked, tmp_path, capsys
):
    target, report = tmp_path / "plain.onnx", tmp_path / "plain.json"
    assert run("plain", crooked, target, *pools, "--report", report) == 0
    out, _ = capsys.readouterr()
    lines = out.splitlines()
    assert "dilation 2, 2 groups, padding (1, 0), (0, 1)" in lines[1]
    assert ("rewritten" in lines[2]) == bool(pools)
    figures = {line[:20].strip(): line[20:] for line in lines}
    assert float(figures["largest difference"]) < 1e-5
    assert "bound from rounding" not in figures  # none is known for a sigmoid
    facts = json.loads(report.read_text())
    verdicts = [layer["verdict"] for layer in facts["layers"]]
    middle = "rewritten" if pools else "kept"
    assert verdicts == ["rewritten", middle, "rewritten", "kept", "kept", "kept"]
    assert facts["written"]
    assert facts["error"] is None
    assert facts["bytes"] == target.stat().st_size
    assert facts["check"]["equal"]
    graph = onnx.load(target).graph
    convolutions = [entry for entry in graph.node if entry.op_type == "Conv"]
    assert len(convolutions) >= 2 + bool(pools)
    for entry in convolutions:
        given = {a.name: onnx.helper.get_attribute_value(a) for a in entry.attribute}
        assert given["dilations"] == [1, 1]
        assert given["group"] == 1
        assert given["pads"][:2] == given["pads"][2:]
    kinds = {entry.op_type for entry in graph.node}
    assert ("MaxPool" in kinds) == (not pools)
    assert kinds <= {"Conv", "Relu", "MaxPool", "Flatten", "Gemm", "Sigmoid"}


def test_a_plain_network_that_differs_is_not_written(crooked, tmp_path, capsys, monkeypatch):
    def wrong(net, **options):
        made = honest(net, **options)
        made.network.layers[0].weight[0, 0, 0, 0] += np.float32(0.5)
        return made

    honest = command.rewritten
    monkeypatch.setattr(command, "rewritten", wrong)
    report = tmp_path / "plain.json"
    assert run("plain", crooked, tmp_path / "plain.onnx", "--report", report) == 1
    assert "differ by more than rounding can explain" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == [crooked, report]
    facts = json.loads(report.read_text())
    assert not facts["written"]
    assert not facts["check"]["equal"]
    assert "nothing is written" in facts["error"]


def test_what_has_no_room_is_named_after_the_report(crooked, tmp_path, capsys):
    report = tmp_path / "plain.json"
    target = tmp_path / "plain.onnx"
    assert run("plain", crooked, target, "--max-bytes", "200", "--report", report) == 2
    out, err = capsys.readouterr()
    assert "refused" in out
    assert "layer 0 (Conv): its plain kernel of shape (4, 2, 4, 4) would take 512" in err
    assert "over --max-bytes (=200)" in err
    assert json.loads(report.read_text())["layers"][0]["verdict"] == "refused"
    assert not target.exists()


# --- reports, interruptions, precision, shapes --------------------------------------------------


def test_the_report_of_convert_says_what_is_printed(lenet, tmp_path, capsys):
    report = tmp_path / "mlp.json"
    assert run("convert", lenet, tmp_path / "mlp.onnx", "--report", report) == 0
    facts, table = json.loads(report.read_text()), conversion_table(load(lenet))
    assert facts["command"] == "convert"
    assert [layer["stored"] for layer in facts["layers"]] == [cost.stored for cost in table]
    assert facts["check"]["samples"] == 8
    assert f"{facts['check']['largest difference']:.3g}" in capsys.readouterr().out
    assert run("convert", tmp_path / "no.onnx", tmp_path / "m.onnx", "--report", report) == 2
    assert "does not exist" in json.loads(report.read_text())["error"]
    assert run("convert", lenet, tmp_path / "m.onnx", "--report", tmp_path / "m.onnx") == 2
    assert "must not be the file OUT.onnx too" in capsys.readouterr().err


def test_ctrl_c_leaves_the_old_file_and_nothing_else(lenet, tmp_path):
    target = tmp_path / "mlp.onnx"
    target.write_text("the old one")
    code = f"""
        import os, signal, equivlib.cli as command

        def interrupted(self, done, size):
            if done < size:
                os.kill(os.getpid(), signal.SIGINT)

        # A shell that starts the tests in its background has told them to ignore it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        command.Progress.__call__ = interrupted
        raise SystemExit(command.main(["convert", {str(lenet)!r}, {str(target)!r}]))
    """
    words = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr.splitlines()[-1] == "interrupted; nothing is written"
    assert "Traceback" not in done.stderr
    assert target.read_text() == "the old one"
    assert sorted(tmp_path.iterdir()) == [lenet, target]


def test_progress_is_told_if_it_takes_long(lenet, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "PATIENCE", -1)
    assert run("convert", lenet, tmp_path / "mlp.onnx") == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("written")]
    assert len(lines) > 3
    assert all(" of " in line for line in lines)


@pytest.mark.parametrize("name", ["convert", "plain"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_graph_without_parameters_keeps_its_precision(name, dtype, tmp_path):
    path, target = tmp_path / "pool.onnx", tmp_path / "out.onnx"
    save(Network([MaxPool(2), ReLU()], (1, 4, 4)), path, dtype=dtype)
    assert run(name, path, target, *(["--pools"] if name == "plain" else [])) == 0
    for file in (path, target):
        model = onnx.load(file)
        kinds = {entry.type.tensor_type.elem_type for entry in model.graph.input}
        kinds |= {tensor.data_type for tensor in model.graph.initializer}
        assert kinds == {onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))}


def test_sparse_files_are_smaller_and_checked_too(lenet, tmp_path, capsys):
    dense, sparse = tmp_path / "dense.onnx", tmp_path / "sparse.onnx"
    assert run("convert", lenet, dense) == 0
    assert run("convert", lenet, sparse, "--sparse") == 0
    assert "the perceptron by " in capsys.readouterr().out
    assert sparse.stat().st_size < dense.stat().st_size / 4


def test_shapes_that_differ_are_said_to_differ(lenet, tmp_path, capsys, monkeypatch):
    honest = command._applied
    given = lambda *words: (honest(*words)[0][:, :2], "somebody")  # noqa: E731
    monkeypatch.setattr(
        command, "_applied", lambda file, *more: (given if file == lenet else honest)(file, *more)
    )
    assert run("convert", lenet, tmp_path / "mlp.onnx") == 1
    assert "the shapes differ: lenet.onnx by somebody gives (2,)" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [lenet]


PEAK = """
    import sys
    import numpy, scipy.sparse.linalg, onnx, onnxruntime
    from equivlib import cli

    def peak():
        lines = open("/proc/self/status").read().splitlines()
        return [int(line.split()[1]) for line in lines if line.startswith("VmHWM")][0] * 1024

    before = peak()
    assert cli.main(["convert", *sys.argv[1:]]) == 0
    print("peak", peak() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("size", [24, 32, 40, 48, 56])
def test_convert_takes_at_most_twice_the_memory_of_the_file_it_writes(size, tmp_path):
    pytest.importorskip("onnxruntime", reason="its check takes the most")
    if not Path("/proc/self/status").exists():
        pytest.skip("the peak of a process is read in /proc")
    draw = np.random.default_rng(0).standard_normal
    layers = [
        Conv(draw((4, 3, 3, 3)), padding=1),
        ReLU(),
        Conv(draw((8, 4, 3, 3)), padding=1, stride=2),
        ReLU(),
        Flatten(),
        Dense(draw((10, 2 * size**2))),
    ]
    net = with_random_weights(Network(layers, (3, size, size)), np.float32, seed=1)
    path, target = tmp_path / "net.onnx", tmp_path / "mlp.onnx"
    save(net, path)
    words = [sys.executable, "-c", textwrap.dedent(PEAK), str(path), str(target)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    (peak,) = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("peak")]
    written = target.stat().st_size
    print(f"{written / 1e6:.0f} MB, {peak / written:.2f} times that")
    assert written > 20_000_000
    assert written < peak < 2 * written + 50_000_000  # what onnxruntime needs for itself


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


@pytest.mark.parametrize("name", ["convert", "inspect", "plain", "recognize"])
def test_help_says_what_a_command_does(name, capsys):
    with pytest.raises(SystemExit) as error:
        run(name, "--help")
    assert error.value.code == 0
    out = capsys.readouterr().out
    assert "IN.onnx" in out or "MLP.onnx" in out
    assert any(s in out for s in ("fully connected", "perceptron", "plain convolutions"))


def test_help_ends_with_examples_that_run(lenet, tmp_path, capsys, monkeypatch):
    with pytest.raises(SystemExit) as error:
        run("--help")
    assert error.value.code == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    examples = [words[3:] for words in lines if words[:3] == ["python", "-m", "equivlib"]]
    assert {words[0] for words in examples} == {"convert", "inspect", "plain", "recognize"}
    monkeypatch.chdir(tmp_path)
    lenet.rename("net.onnx")
    for words in examples:
        if "--input-shape" in words:  # made for a larger image, so only its words are checked
            asked = (3, 32, 32) if words[0] == "recognize" else (3, 224, 224)
            assert command._parser().parse_args(words).input_shape == asked
        elif "--output" in words:  # of a graph whose values have other names
            assert command._parser().parse_args(words).value == "logits"
        else:
            assert run(*words) == 0


@pytest.fixture
def hidden(tmp_path):
    """Return the file of a perceptron that is a network of two convolutions and a dense layer."""
    rng = np.random.default_rng(0)
    shapes = [(3, 1, 3, 3), (3,), (4, 3, 3, 3), (4,), (5, 36), (5,)]
    first, b, second, c, last, d = (rng.standard_normal(s).astype(np.float32) for s in shapes)
    layers = [Conv(first, b), ReLU(), Conv(second, c, stride=2, padding=1), ReLU()]
    net = Network([*layers, Flatten(), Dense(last, d)], (1, 8, 8))
    mlp = renamed(net, rng, factors="floats")
    single = [
        Dense(p.weight.astype(np.float32), p.bias.astype(np.float32)) if isinstance(p, Dense) else p
        for p in mlp.layers
    ]
    path = tmp_path / "mlp.onnx"
    save(Network(single, mlp.input_shape), path)
    return path


def test_recognize_prints_and_writes_the_network(hidden, tmp_path, capsys):
    target, report = tmp_path / "net.onnx", tmp_path / "report.json"
    assert run("recognize", hidden, target, "--input-shape", "1,8,8", "--report", report) == 0
    out = capsys.readouterr().out
    check = json.loads(report.read_text(encoding="utf-8"))["check"]
    assert check["equal"]
    assert f"largest difference  {check['largest difference']:.3g}" in out
    assert "Conv(weight (4, 3, 3, 3), bias (4,), stride=(2, 2)" in out
    net, mlp = load(target), load(hidden)
    assert [type(layer) for layer in net.layers if layer.params] == [Conv, Conv, Dense]
    x = np.random.default_rng(1).standard_normal((6, 1, 8, 8))
    np.testing.assert_allclose(net(x), mlp(x.reshape(6, -1)), rtol=1e-4, atol=1e-4)


def test_recognize_says_why_not_and_ends_with_1(lenet, tmp_path, capsys):
    rng = np.random.default_rng(0)
    path, target = tmp_path / "mlp.onnx", tmp_path / "net.onnx"
    layers = [Dense(rng.standard_normal((5, 16))), ReLU(), Dense(rng.standard_normal((2, 5)))]
    save(Network(layers, (16,)), path)
    assert run("recognize", path, target, "--input-shape", "1,4,4") == 1
    assert "is no convolutional network: layer 0 (Dense)" in capsys.readouterr().err
    assert not target.exists()
    assert run("recognize", lenet, "--input-shape", "1,28,28") == 2
    assert "must be Dense, ReLU or Flatten" in capsys.readouterr().err
    assert run("recognize", path, path, "--input-shape", "1,4,4") == 2


def test_recognize_writes_nothing_that_differs(hidden, tmp_path, capsys, monkeypatch):
    def wrong(mlp, shape, **options):
        net = honest(mlp, shape, **options)
        net.layers[-1].params["bias"] += np.float32(0.5)
        return net

    honest, target = command.recognize_network, tmp_path / "net.onnx"
    monkeypatch.setattr(command, "recognize_network", wrong)
    report = tmp_path / "report.json"
    assert run("recognize", hidden, target, "--input-shape", "1,8,8", "--report", report) == 1
    assert "differ by more than rounding" in capsys.readouterr().err
    assert not json.loads(report.read_text(encoding="utf-8"))["check"]["equal"]
    assert not target.exists()


def test_it_runs_as_a_module(lenet, tmp_path):
    words = [sys.executable, "-m", "equivlib", "convert", str(lenet), str(tmp_path / "mlp.onnx")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "largest difference" in done.stdout
    words[3:] = ["inspect", str(tmp_path / "nowhere.onnx")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
