"""Files that are written, read by programs that are not ours: whichever of them is installed.

None of them is a dependency. An environment of its own with some of `onnx2torch`, `omlt`,
`maraboupy` and `vibecheck-nn` runs these tests once a week; what is missing is skipped.
"""

import importlib

import numpy as np
import pytest

from equivlib import to_mlp, to_plain
from equivlib.interop.onnx import save
from equivlib.layers import (
    Add,
    AvgPool,
    BatchNorm,
    Conv,
    ConvTranspose,
    Dense,
    Flatten,
    MaxPool,
    Network,
    ReLU,
)

onnx = pytest.importorskip("onnx", reason="'onnx' reads and writes the files: install the extra")

# What they warn about, and what they import, is not for these tests to judge.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


#: Half a side of the box of inputs that a property is about.
BOX = 0.001


def drawn(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def headed(*layers, shape=(2, 6, 6)):
    features = int(np.prod(Network(layers, shape).output_shape))
    head = [ReLU(), Flatten(), Dense(drawn(3, features) / np.float32(3), drawn(3))]
    return Network([*layers, *head], shape)


def normalised():
    four = drawn(2), drawn(2, seed=1), drawn(2, seed=2), abs(drawn(2, seed=3)) + np.float32(0.5)
    return [Conv(drawn(2, 2, 3, 3)), ReLU(), BatchNorm(*four), Conv(drawn(2, 2, 2, 2))]


CASES = {
    "ordinary": lambda: headed(Conv(drawn(2, 2, 3, 3), drawn(2), padding=1)),
    "dilation": lambda: headed(Conv(drawn(2, 2, 2, 2), drawn(2), dilation=2, stride=2)),
    "dilation with the shape of none": lambda: headed(
        Conv(drawn(2, 1, 2, 2), drawn(2), dilation=2, stride=2), shape=(1, 5, 5)
    ),
    "padding": lambda: headed(Conv(drawn(2, 2, 3, 3), padding=[(0, 1), (2, 0)], stride=2)),
    "groups": lambda: headed(Conv(drawn(4, 1, 3, 3), drawn(4), groups=2)),
    "normalisation": lambda: headed(*normalised()),
    "averages": lambda: headed(Conv(drawn(2, 2, 3, 3)), AvgPool(2)),
    "averages without padding": lambda: headed(
        Conv(drawn(2, 2, 3, 3)), AvgPool(3, stride=2, padding=1, count_include_pad=False)
    ),
    "maxima": lambda: headed(Conv(drawn(2, 2, 3, 3)), ReLU(), MaxPool(2)),
    "maxima with padding": lambda: headed(Conv(drawn(2, 2, 3, 3)), MaxPool(3, stride=2, padding=1)),
    "transposed": lambda: headed(
        ConvTranspose(drawn(2, 2, 3, 3), stride=2, padding=1, output_padding=1)
    ),
    "circular": lambda: headed(Conv(drawn(2, 2, 3, 3), padding=1, padding_mode="circular")),
    "residual": lambda: headed(
        Conv(drawn(2, 2, 3, 3), padding=1),
        ReLU(),
        Conv(drawn(2, 2, 3, 3, seed=1), dilation=2, padding=2),
        Add(2, 0),
    ),
}


def value_in_onnx2torch(path, x):
    import onnx2torch
    import torch

    module = onnx2torch.convert(onnx.load(path)).eval()
    return module(torch.from_numpy(x[None])).detach().numpy().ravel()


def value_in_omlt(path, x):
    from omlt.io.onnx import load_onnx_neural_network

    bounds = dict.fromkeys(range(len(x)), (-10, 10))
    _, *layers = load_onnx_neural_network(onnx.load(path), input_bounds=bounds).layers
    for layer in layers:
        x = layer.eval_single_layer(x)
    return np.asarray(x).ravel()


def value_in_maraboupy(path, x):
    from maraboupy import Marabou

    quiet = Marabou.createOptions(verbosity=0)
    network = Marabou.read_onnx(str(path))
    found = network.evaluateWithMarabou([x[None]], filename=f"{path}.log", options=quiet)
    return np.asarray(found[0]).ravel()


def reached_in_maraboupy(path, x, least):
    from maraboupy import Marabou

    network = Marabou.read_onnx(str(path))
    places = np.asarray(network.inputVars[0]).ravel()
    for place, number in zip(places, x.ravel(), strict=True):
        network.setLowerBound(place, float(number) - BOX)
        network.setUpperBound(place, float(number) + BOX)
    network.setLowerBound(np.asarray(network.outputVars[0]).ravel()[0], least)
    quiet = Marabou.createOptions(verbosity=0, timeoutInSeconds=60)
    return network.solve(verbose=False, options=quiet)[0]


def reached_in_vibecheck(path, x, least):
    import vibecheck

    flat = x.ravel().astype(float)
    spec = vibecheck.Spec(x_lo=flat - BOX, x_hi=flat + BOX).forbid([[1, 0, 0]], [-least])
    return vibecheck.verify(str(path), spec, timeout=60).verdict


def written(name, form, folder):
    """Return a file, an input of it, and the right output."""
    net, path = CASES[name](), folder / "net.onnx"
    x = drawn(*net.input_shape, seed=9)
    made = to_mlp(net) if form == "perceptron" else to_plain(net, pools=True)
    save(made, path)
    return path, x.ravel() if form == "perceptron" else x, net(x).astype(float)


each_case = pytest.mark.parametrize("name", CASES)
each_form = pytest.mark.parametrize("form", ["perceptron", "plain"])


def installed(package):
    try:
        importlib.import_module(package)
    except Exception as error:  # also where something that it needs does not fit
        pytest.skip(f"{package} is not installed, or not with all that it needs: {error!r}")


@each_case
@each_form
@pytest.mark.parametrize(
    ("package", "value"),
    [
        ("onnx2torch", value_in_onnx2torch),
        ("omlt", value_in_omlt),
        ("maraboupy", value_in_maraboupy),
    ],
)
def test_they_compute_the_same(package, value, form, name, tmp_path):
    installed(package)
    if package == "omlt" and form == "plain":
        pytest.skip("it reads no Flatten")
    path, x, y = written(name, form, tmp_path)
    np.testing.assert_allclose(value(path, x), y, rtol=1e-3, atol=1e-3)


@each_case
@each_form
@pytest.mark.parametrize(
    ("package", "reached"),
    [("maraboupy", reached_in_maraboupy), ("vibecheck", reached_in_vibecheck)],
)
def test_they_prove_what_is_true_and_find_what_is_not(package, reached, form, name, tmp_path):
    installed(package)
    path, x, y = written(name, form, tmp_path)
    # All inputs of the box give outputs within 3 of this one, as the last test shows.
    assert reached(path, x, float(y[0]) - 3) == "sat"
    assert reached(path, x, float(y[0]) + 3) == "unsat"


def test_the_box_is_as_small_as_that():
    for make in CASES.values():
        mlp = to_mlp(make())
        reach = np.full(mlp.input_shape, BOX)  # how far each number can be off
        for layer in mlp.layers:  # ReLU takes no two numbers further apart
            if isinstance(layer, Dense):
                reach = abs(layer.weight) @ reach
        assert reach[0] < 3
