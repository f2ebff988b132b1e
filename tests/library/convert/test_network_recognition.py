"""The convolutional network that a perceptron is, found although its hidden units are moved."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse
from renamed import broken_properties, equal_up_to_renaming, outcome, random_network, renamed, tally

from equivlib import NotAConvolution, recognize_network, to_mlp
from equivlib.layers import Conv, Dense, Flatten, LeakyReLU, Network, ReLU


def whole(*shape, seed=0):
    return np.random.default_rng(seed).integers(-9, 10, shape)


def network(*layers, shape, head=3):
    """Return convolutions with ReLU between, and a dense head of so many units, if any."""
    every = [part for layer in layers for part in (layer, ReLU())]
    if not head:
        return Network(every[:-1], shape)
    features = int(np.prod(Network(every, shape).output_shape))
    return Network([*every, Flatten(), Dense(whole(head, features, seed=9))], shape)


TWO = {"stride": 2, "padding": 1}

#: Networks whose perceptron hides them well: each has one thing that is to be found out.
HIDDEN = {
    "one channel": network(Conv(whole(1, 1, 3)), shape=(1, 8)),
    "padding": network(Conv(whole(3, 2, 3), whole(3), padding=1), shape=(2, 9)),
    "stride": network(Conv(whole(3, 2, 3, 2), whole(3), stride=(2, 1)), shape=(2, 7, 6)),
    "dilation": network(Conv(whole(2, 1, 3), whole(2), dilation=2, padding=2), shape=(1, 9)),
    "uneven padding": network(Conv(whole(2, 1, 3), whole(2), padding=((2, 1),)), shape=(1, 9)),
    "pixels": network(Conv(whole(3, 2, 1, 1), whole(3)), shape=(2, 3, 3)),
    "three layers": network(
        Conv(whole(2, 1, 3, 3), whole(2), padding=1),
        Conv(whole(3, 2, 3, 3, seed=1), whole(3, seed=1), **TWO),
        Conv(whole(2, 3, 2, 2, seed=2), whole(2, seed=2)),
        shape=(1, 7, 7),
    ),
    "a row": network(
        Conv(whole(2, 1, 3), whole(2), padding=1),
        Conv(whole(3, 2, 3, seed=1), whole(3, seed=1), **TWO),
        Conv(whole(2, 3, 2, seed=2), whole(2, seed=2)),
        shape=(1, 11),
    ),
    "no head": network(
        Conv(whole(2, 1, 3), whole(2)), Conv(whole(3, 2, 2), whole(3)), shape=(1, 8), head=0
    ),
    "equal channels": network(
        Conv(whole(1, 1, 3).repeat(2, axis=0), [4, 4], padding=1),
        Conv(whole(2, 2, 3), whole(2), **TWO),
        shape=(1, 9),
    ),
    "multiples": network(
        Conv(whole(1, 1, 3) * np.array([1, 3, -1])[:, None, None], [2, 6, -2]),
        Conv(whole(2, 3, 3), whole(2), padding=1),
        shape=(1, 9),
    ),
    "channel of zeros": network(
        Conv(whole(2, 1, 3) * np.array([1, 0])[:, None, None], [5, 2], padding=1),
        Conv(whole(2, 2, 3), whole(2), **TWO),
        shape=(1, 9),
    ),
    "channels that never act": network(
        Conv(whole(3, 1, 3) * np.array([1, 0, 0])[:, None, None], [5, -2, 0], padding=1),
        Conv(whole(2, 3, 3), whole(2), padding=1),
        shape=(1, 9),
    ),
    "no bias, twins at the border": network(
        Conv(np.array([[[1, 2, 3]], [[5, 7, 1]], [[4, -1, 2]], [[3, 1, 7]]]), padding=((2, 0),)),
        Conv(whole(2, 4, 3), padding=1),
        shape=(1, 9),
    ),
    "kernels cut off everywhere": network(
        Conv(whole(3, 2, 3, 3), whole(3), padding=1), shape=(2, 2, 3)
    ),
    "a weight at one end": network(
        Conv(np.array([[[4, 0, 0]], [[1, 2, 3]]]), [1, 2], padding=1),
        Conv(whole(2, 2, 3), whole(2), padding=1),
        shape=(1, 9),
    ),
    "three axes": network(Conv(whole(2, 1, 2, 2, 2), whole(2), padding=1), shape=(1, 3, 3, 3)),
}

each = pytest.mark.parametrize("net", HIDDEN.values(), ids=HIDDEN)


def kernels(net):
    return [layer for layer in net.layers if isinstance(layer, Conv)]


@each
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 9))]
)
def test_it_is_found_and_equal_as_a_function_and_as_a_perceptron(net, seed):
    rng = np.random.default_rng(seed)
    mlp = renamed(net, rng)
    found = recognize_network(mlp, net.input_shape)
    assert outcome(net, found) == "found"
    x = rng.integers(-9, 10, (8, *net.input_shape)).astype(object)
    expected = mlp(x.reshape(8, -1))
    assert (found(x).reshape(8, -1) == expected).all()
    assert (net(x).reshape(8, -1) == expected).all()
    assert equal_up_to_renaming(to_mlp(found), mlp, rng)


@each
def test_floats_are_found_up_to_rounding(net):
    rng = np.random.default_rng(0)
    mlp = renamed(net, rng, factors="floats")
    found = recognize_network(mlp, net.input_shape)
    assert outcome(net, found) == "found"
    assert all(np.asarray(v).dtype == np.float64 for _, _, v in found.parameters())
    x = rng.standard_normal((8, *net.input_shape))
    np.testing.assert_allclose(found(x), net(x), rtol=1e-12, atol=1e-10)


@each
def test_integers_stay_integers_where_units_are_only_moved(net):
    mlp = renamed(net, np.random.default_rng(1), factors="ones")
    found = recognize_network(mlp, net.input_shape)
    x = np.random.default_rng(2).integers(-9, 10, (8, *net.input_shape))
    assert (found(x) == net(x)).all()
    # A unit of which little is left at a border can stand for one of another channel, or be zero.
    if net not in (HIDDEN["a weight at one end"], HIDDEN["three axes"]):
        assert all(v.dtype == np.int64 for _, _, v in found.parameters())


@pytest.mark.parametrize("name", ["padding", "stride", "three layers", "dilation"])
def test_the_normal_form_does_not_depend_on_the_order_and_scale_of_the_units(name):
    net = HIDDEN[name]
    first, second = (
        recognize_network(renamed(net, np.random.default_rng(seed)), net.input_shape)
        for seed in (1, 2)
    )
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert all((a == b).all() for (*_, a), (*_, b) in pairs)
    for conv in kernels(first):
        numbers = np.concatenate([conv.weight.reshape(len(conv.weight), -1), conv.bias[:, None]], 1)
        assert all(np.gcd.reduce([int(v) for v in row]) == 1 for row in numbers)
        assert conv.weight.reshape(len(numbers), -1).tolist() == sorted(
            conv.weight.reshape(len(numbers), -1).tolist()
        )


def test_the_kernel_is_that_of_the_network_but_for_the_order_and_scale_of_its_channels():
    net = HIDDEN["three layers"]
    found = recognize_network(renamed(net, np.random.default_rng(0)), net.input_shape)
    true, got = kernels(net)[0], kernels(found)[0]
    whole = got.weight.astype(float)
    assert got.geometry((1, 7, 7)).padding == ((1, 1), (1, 1))
    unit = sorted((w / np.abs(w).max()).ravel().tolist() for w in true.weight)
    scaled = sorted((w / np.abs(w).max()).ravel().tolist() for w in whole)
    np.testing.assert_allclose(scaled, unit, rtol=1e-15)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_sparse_weights_and_single_precision(kind):
    net = HIDDEN["three layers"]
    mlp = renamed(net, np.random.default_rng(0), factors="floats")
    layers = [
        Dense(
            scipy.sparse.csr_array(part.weight.astype(kind)),
            None if part.bias is None else part.bias.astype(kind),
        )
        if isinstance(part, Dense)
        else part
        for part in mlp.layers
    ]
    found = recognize_network(Network(layers, mlp.input_shape), net.input_shape)
    assert outcome(net, found) == "found"
    assert {v.dtype for _, _, v in found.parameters()} == {np.dtype(kind)}
    x = np.random.default_rng(1).standard_normal((4, *net.input_shape))
    expected = net(x)
    error = np.finfo(kind).eps * 1000 * abs(expected).max()
    np.testing.assert_allclose(found(x), expected, atol=error)


def test_a_network_of_one_layer_and_one_that_flattens_its_input():
    net = Network([Conv(whole(3, 1, 3), whole(3), padding=1)], (1, 8))
    for mlp in (to_mlp(net), Network([Flatten(), *to_mlp(net).layers], (1, 8))):
        found = recognize_network(mlp, (1, 8))
        assert [type(layer) for layer in found.layers] == [Conv]
        assert (found.layers[0].weight == net.layers[0].weight).all()
        assert (found.layers[0].bias == net.layers[0].bias).all()


def test_what_is_returned_shares_no_numbers_with_the_perceptron():
    net = HIDDEN["padding"]
    mlp = renamed(net, np.random.default_rng(0))
    found = recognize_network(mlp, net.input_shape)
    ours = [value for _, _, value in found.parameters()]
    assert not any(np.shares_memory(a, b) for a in ours for _, _, b in mlp.parameters())


def noisy(mlp, size, seed=0):
    rng = np.random.default_rng(seed)
    layers = []
    for layer in mlp.layers:
        if isinstance(layer, Dense):
            largest = abs(layer.weight).max(axis=1, keepdims=True)
            noise = rng.uniform(-size, size, layer.weight.shape) * largest
            layer = Dense(layer.weight + noise, layer.bias)
        layers.append(layer)
    return Network(layers, mlp.input_shape)


def test_noise_within_the_tolerance_is_averaged_and_beyond_it_refused():
    net = HIDDEN["three layers"]
    mlp = noisy(renamed(net, np.random.default_rng(0), factors="floats"), 1e-7)
    with pytest.raises(NotAConvolution, match="layer 0"):
        recognize_network(mlp, net.input_shape)
    found = recognize_network(mlp, net.input_shape, tol=1e-4)
    assert outcome(net, found) == "found"
    x = np.random.default_rng(1).standard_normal((8, *net.input_shape))
    np.testing.assert_allclose(found(x), net(x), atol=1e-5 * abs(net(x)).max())
    true, got = (
        sorted((w / abs(w).max()).ravel().tolist() for w in kernels(which)[0].weight)
        for which in (net, found)
    )
    assert 0 < abs(np.subtract(true, got)).max() < 1e-7  # the mean over 49 places


# --- what is none -------------------------------------------------------------------------------


def refusal(mlp, shape, **options):
    with pytest.raises(NotAConvolution) as error:
        recognize_network(mlp, shape, **options)
    return str(error.value)


@pytest.mark.parametrize("tol", [0, 1e-9])
def test_a_random_perceptron_is_refused_at_its_first_layer(tol):
    rng = np.random.default_rng(0)
    layers = [Dense(rng.standard_normal((12, 16)), rng.standard_normal(12)), ReLU()]
    mlp = Network([*layers, Dense(rng.standard_normal((3, 12)))], (16,))
    told = refusal(mlp, (1, 4, 4), tol=tol)
    assert told.startswith("layer 0 (Dense): no unit has the weights of unit")


def test_a_network_whose_input_pixels_are_shuffled_is_refused():
    net = HIDDEN["three layers"]
    mlp = renamed(net, np.random.default_rng(0))
    first = mlp.layers[0]
    order = np.random.default_rng(1).permutation(49)
    shuffled = Network([Dense(first.weight[:, order], first.bias), *mlp.layers[1:]], (49,))
    assert refusal(shuffled, (1, 7, 7)).startswith("layer 0 (Dense): ")


def test_a_locally_connected_network_is_refused():
    rng = np.random.default_rng(0)
    pattern = to_mlp(Network([Conv(np.ones((2, 1, 3, 3)), padding=1)], (1, 5, 5))).layers[0]
    local = pattern.weight.toarray() * rng.standard_normal((50, 25))
    mlp = Network([Dense(local), ReLU(), Dense(rng.standard_normal((3, 50)))], (25,))
    assert refusal(mlp, (1, 5, 5)).startswith("layer 0 (Dense): no unit has the weights of unit")


@pytest.mark.parametrize("layer", [0, 2, 4])
@pytest.mark.parametrize("kind", ["a weight", "a zero", "a bias"])
def test_one_changed_number_is_found_and_named(layer, kind):
    net = HIDDEN["a row"]
    mlp = renamed(net, np.random.default_rng(0), factors="ones")
    changed = mlp.layers[layer]
    weight, bias = changed.weight.copy(), changed.bias.copy()
    unit = 5
    if kind == "a bias":
        bias[unit] += 1
    else:
        column = np.flatnonzero((weight[unit] == 0) == (kind == "a zero"))[2]
        weight[unit, column] += 1
    layers = [*mlp.layers[:layer], Dense(weight, bias), *mlp.layers[layer + 1 :]]
    told = refusal(Network(layers, mlp.input_shape), net.input_shape)
    assert told.startswith(f"layer {layer} (Dense): ")
    # With one weight more the unit is the fullest one, so it is the others that do not fit.
    assert f"unit {unit}" in told or kind == "a zero"


def test_a_permutation_that_is_no_renaming_is_refused():
    """The rows of a hidden layer are moved, but not the columns that read them."""
    net = HIDDEN["a row"]
    mlp = renamed(net, np.random.default_rng(0), factors="ones")
    first = mlp.layers[0]
    swapped = [1, 0, *range(2, len(first.bias))]
    layers = [Dense(first.weight[swapped], first.bias[swapped]), *mlp.layers[1:]]
    assert refusal(Network(layers, mlp.input_shape), net.input_shape).startswith("layer 2 (Dense)")


def test_a_negative_scale_is_refused():
    """It does not pass a ReLU, so the perceptron is another function."""
    net = HIDDEN["padding"]
    mlp = renamed(net, np.random.default_rng(0), factors="ones")
    first, last = mlp.layers[0], mlp.layers[2]
    sign = np.where(np.arange(len(first.bias)) == 4, -1, 1)
    layers = [
        Dense((first.weight.T * sign).T, first.bias * sign),
        ReLU(),
        Dense(last.weight * sign),
    ]
    assert "unit 4" in refusal(Network(layers, mlp.input_shape), net.input_shape)


def test_outputs_have_an_order_and_a_scale():
    net = HIDDEN["no head"]
    moved = renamed(net, np.random.default_rng(0), output=True)
    assert "layer 2 (Dense): unit" in refusal(moved, net.input_shape)
    mlp = renamed(net, np.random.default_rng(0))
    last = mlp.layers[-1]
    scale = np.where(np.arange(len(last.bias)) == 2, Fraction(3), Fraction(1))
    scaled = Dense((last.weight.T * scale).T, last.bias * scale)
    assert "unit 2" in refusal(Network([*mlp.layers[:-1], scaled], mlp.input_shape), (1, 8))


def test_what_it_cannot_read_is_a_value_error():
    mlp = Network([Dense(whole(4, 8))], (8,))
    cases = [
        ((mlp, (1, 9)), {}, "input_shape"),
        ((mlp, (8,)), {}, "input_shape"),
        ((mlp, (1, 8)), {"tol": -1}, "tol"),
        ((mlp, (1, 8)), {"tol": True}, "tol"),
        (("mlp", (1, 8)), {}, "must be a Network"),
        ((Network([ReLU()], (8,)), (1, 8)), {}, "at least one Dense"),
        ((Network([Dense(whole(4, 8)), LeakyReLU()], (8,)), (1, 8)), {}, "layer 1 (LeakyReLU)"),
        ((Network([Dense(whole(4, 8) * 1j)], (8,)), (1, 8)), {}, "real numbers"),
        ((Network([Dense(np.full((4, 8), np.nan))], (8,)), (1, 8)), {}, "finite"),
        ((to_mlp(HIDDEN["padding"], matrix_free=True), (2, 9)), {}, "operator"),
    ]
    for arguments, options, told in cases:
        with pytest.raises(ValueError, match=r"must|has an operator") as error:
            recognize_network(*arguments, **options)
        assert told in str(error.value)
        assert not isinstance(error.value, NotAConvolution)


# --- the theorem --------------------------------------------------------------------------------


def measured(seeds):
    """Return which properties each random network does not have, and what became of it."""
    results = []
    for seed in seeds:
        net = random_network(seed)
        rng = np.random.default_rng(10**6 + seed)
        mlp, broken = renamed(net, rng), broken_properties(net)
        try:
            found = recognize_network(mlp, net.input_shape)
        except NotAConvolution:
            results.append((broken, "refused"))
            continue
        x = rng.integers(-9, 10, (4, *net.input_shape)).astype(object)
        assert (found(x).reshape(4, -1) == mlp(x.reshape(4, -1))).all()
        assert equal_up_to_renaming(to_mlp(found), mlp, rng)
        results.append((broken, outcome(net, found)))
    return results


def check(results):
    """Check what the theorem says, and that it says something."""
    told = "\n".join(tally(results))
    assert all(what == "found" for broken, what in results if not broken), told
    found = sum(what == "found" for _, what in results)
    assert found >= 0.9 * len(results), told
    assert sum(not broken for broken, _ in results) >= 0.5 * len(results), told


def test_what_the_theorem_promises_holds_on_random_networks():
    check(measured(range(5, 9)))


@pytest.mark.slow
def test_what_the_theorem_promises_holds_on_five_hundred_random_networks():
    check(measured(range(500)))
