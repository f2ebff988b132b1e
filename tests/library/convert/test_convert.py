"""Whole networks become multilayer perceptrons and convolutions that equal them on every input."""

import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse
from networks import NETWORKS, distinct, each_network, flat, fractions, inputs, norm, normal, whole

from equivlib import MatrixTooLarge
from equivlib.convert import UnsupportedLayer, conversion_table, to_cnn, to_mlp
from equivlib.layers import (
    AdaptiveAvgPool,
    Add,
    AvgPool,
    BatchNorm,
    Conv,
    ConvTranspose,
    Dense,
    Flatten,
    LeakyReLU,
    MaxPool,
    Network,
    ReLU,
    ReLU6,
    Sigmoid,
    Softmax,
    Tanh,
)


def weights(mlp):
    return [layer.weight for layer in mlp.layers if isinstance(layer, Dense)]


@each_network
def test_the_perceptron_equals_the_network_exactly(net):
    # All numbers are small multiples of powers of 2, so there is no rounding that could differ.
    mlp, x = to_mlp(net), inputs(net)
    y = net(x)
    assert len(np.unique(y)) > 1
    np.testing.assert_array_equal(mlp(flat(x)), flat(y))


@each_network
def test_it_has_only_dense_layers_with_sparse_weights_and_relu(net):
    mlp = to_mlp(net)
    assert mlp.input_shape == (math.prod(net.input_shape),)
    assert {type(layer) for layer in mlp.layers} <= {Dense, ReLU}
    assert all(layer.sources == () for layer in mlp.layers)
    for weight in weights(mlp):
        assert isinstance(weight, scipy.sparse.csr_array)
        assert weight.dtype == np.float64
        assert weight.has_canonical_format


@each_network
def test_the_table_says_what_is_built(net):
    table, mlp = conversion_table(net), to_mlp(net)
    dense = [layer for layer in mlp.layers if isinstance(layer, Dense)]
    arrays = [a for w in weights(mlp) for a in (w.data, w.indices, w.indptr)]
    arrays += [layer.bias for layer in dense if layer.bias is not None]
    assert table.total.stored == sum(weight.nnz for weight in weights(mlp))
    assert table.total.dense == sum(math.prod(weight.shape) for weight in weights(mlp))
    assert table.total.nbytes == sum(array.nbytes for array in arrays)
    assert table.total.depth == len(mlp.layers)
    assert [cost.layer for cost in table] == [layer.name for layer in net.layers]


@each_network
def test_merging_leaves_no_two_dense_layers_next_to_each_other(net):
    mlp, x = to_mlp(net, merge=True), inputs(net)
    names = [layer.name for layer in mlp.layers]
    assert "Dense Dense" not in " ".join(names)
    np.testing.assert_allclose(mlp(flat(x)), flat(net(x)), rtol=1e-12, atol=1e-12)


@each_network
def test_unbuilt_weights_give_the_same(net):
    mlp, x = to_mlp(net, matrix_free=True, max_bytes=1), inputs(net)
    assert not any(isinstance(w, (np.ndarray, scipy.sparse.sparray)) for w in weights(mlp))
    np.testing.assert_array_equal(mlp(flat(x)), flat(net(x)))
    y = mlp(flat(x))
    net(x)
    grad = whole(*y.shape, seed=3)
    built = to_mlp(net)
    built(flat(x))
    np.testing.assert_allclose(mlp.backward(grad), built.backward(grad), rtol=1e-12, atol=1e-12)


@each_network
def test_the_gradient_is_that_of_the_network_where_nothing_switches(net):
    x = distinct(2, *net.input_shape) * 1.0009765625
    grad = whole(2, *net.output_shape, seed=4)
    mlp = to_mlp(net)
    mlp(flat(x))
    net(x)
    np.testing.assert_allclose(mlp.backward(flat(grad)), flat(net.backward(grad)), atol=1e-9)


# --- exact numbers ------------------------------------------------------------------------------


def exact_network():
    quarter = [Fraction(1, 4), Fraction(9)]
    return Network(
        [
            Conv(fractions(2, 1, 3, 3), fractions(2), padding=1),
            BatchNorm(fractions(2, seed=1), fractions(2, seed=2), fractions(2, seed=3), quarter, 0),
            LeakyReLU(Fraction(1, 3)),
            Conv(fractions(2, 1, 1, 1, seed=4), source=-1),
            Add(2, 3),
            MaxPool(3, stride=2, padding=1),
            ReLU6(),
            AvgPool(3, stride=1, padding=1, count_include_pad=False),
            ConvTranspose(fractions(2, 2, 2, 2, seed=5), fractions(2)),
            AdaptiveAvgPool((3, 2)),
            Flatten(),
            Dense(fractions(3, 12, seed=6), fractions(3)),
        ],
        (1, 4, 4),
    )


@pytest.mark.parametrize("options", [{}, {"merge": True}, {"matrix_free": True}], ids=str)
def test_with_fractions_the_results_are_the_same_fractions(options):
    net, x = exact_network(), fractions(2, 1, 4, 4, seed=7)
    y = net(x)
    assert len({*y.ravel()}) > 3
    assert all(isinstance(value, (Fraction, int)) for value in y.ravel())
    mlp = to_mlp(net, **options)
    assert (mlp(flat(x)) == y).all()
    if not options:
        cnn = to_cnn(mlp)
        assert (cnn(flat(x)[..., None, None])[..., 0, 0] == y).all()
        assert all(isinstance(value, (Fraction, int)) for value in mlp(flat(x)).ravel())


def test_the_table_of_exact_weights_counts_every_entry():
    table, mlp = conversion_table(exact_network()), to_mlp(exact_network())
    assert table.total.stored == sum(weight.size for weight in weights(mlp))
    assert table.total.stored == table.total.dense


def test_a_type_can_be_asked_for():
    net = Network([MaxPool(2), AvgPool(3)], (1, 6))
    x = fractions(2, 6)
    y = to_mlp(net, dtype=object)(x)
    assert (y == flat(net(x.reshape(2, 1, 6)))).all()
    assert to_mlp(net, dtype=np.float32).layers[0].weight.dtype == np.float32


def test_integers_stay_integers():
    net = Network([Conv(np.array([[[1, -2]]])), LeakyReLU(3), MaxPool(3), ReLU6()], (1, 4))
    x = np.random.default_rng(0).integers(-9, 9, (5, 4))
    mlp = to_mlp(net)
    assert {weight.dtype for weight in weights(mlp)} == {np.dtype(np.int64)}
    assert mlp(x).dtype == np.int64
    np.testing.assert_array_equal(mlp(x), flat(net(x[:, None])))


# --- depth and size -----------------------------------------------------------------------------


def names(net):
    return " ".join(layer.name for layer in net.layers)


def test_a_chain_of_convolutions_and_relu_gets_not_a_layer_more():
    net = Network(
        [Conv(whole(2, 1, 3)), norm(2), ReLU(), Conv(whole(2, 2, 3)), ReLU(), Flatten()], (1, 9)
    )
    assert names(to_mlp(net)) == "Dense ReLU Dense ReLU"
    assert [cost.depth for cost in conversion_table(net)] == [1, 0, 1, 1, 1, 0]


def test_a_shortcut_that_is_never_negative_costs_one_number_for_each_element_and_layer():
    plain = [ReLU(), Conv(whole(2, 2, 3), padding=1), ReLU(), Conv(whole(2, 2, 3), padding=1)]
    table = conversion_table(Network([*plain, Add(3, 0)], (2, 9)))
    without = conversion_table(Network(plain, (2, 9)))
    elements = 2 * 9
    assert table[1].stored - without[1].stored == elements
    assert table[3].stored - without[3].stored == elements
    assert table[4].stored == 2 * elements
    assert [cost.depth for cost in table] == [1, 1, 1, 1, 1]


def test_a_shortcut_that_may_be_negative_costs_two():
    plain = [Conv(whole(2, 2, 3), padding=1), ReLU(), Conv(whole(2, 2, 3), padding=1)]
    table = conversion_table(Network([*plain, Add(2, -1)], (2, 9)))
    without = conversion_table(Network(plain, (2, 9)))
    elements = 2 * 9
    assert [a.stored - b.stored for a, b in zip(table, without, strict=False)] == [36, 0, 36]
    assert table[3].stored == 3 * elements  # one for the branch, two for the shortcut
    assert [cost.depth for cost in table] == [1, 1, 1, 1]


def test_what_changes_nothing_disappears():
    layers = [ReLU(), ReLU(), Flatten(), LeakyReLU(), Flatten()]
    net = Network(layers, (2, 3))
    assert names(to_mlp(net)) == "ReLU"
    assert [cost.depth for cost in conversion_table(net)] == [1, 0, 0, 0, 0]


@pytest.mark.parametrize(("window", "rounds"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (9, 4)])
def test_a_maximum_of_k_takes_the_rounds_of_a_tournament(window, rounds):
    mlp = to_mlp(Network([MaxPool(window)], (1, 18)))
    assert names(mlp) == "Dense ReLU " * rounds + "Dense"
    assert names(to_mlp(Network([ReLU(), MaxPool(window)], (1, 18)))).startswith("ReLU Dense")


def test_a_pair_that_several_windows_compare_is_compared_once():
    # Windows of 4 with stride 2 pair up as [0 1] [2 3], [2 3] [4 5], ...: 5 pairs, not 8.
    mlp = to_mlp(Network([ReLU(), MaxPool(4, stride=2)], (1, 10)))
    assert mlp.layers[1].weight.shape == (5 + 5, 10)


def test_what_is_too_large_is_refused_before_it_is_built_but_not_if_it_is_not_built():
    net = Network([Conv(normal(64, 3, 3, 3), padding=1), ReLU()], (3, 512, 512))
    with pytest.raises(MatrixTooLarge, match=r"layer 0 \(Conv\) .* 5\.\d+ GB sparse .* 106 TB"):
        to_mlp(net)
    assert to_mlp(net, matrix_free=True).output_shape == (64 * 512 * 512,)


@pytest.mark.parametrize(
    "layer",
    [Conv(np.ones((1, 1, 3, 3))), MaxPool(3), AvgPool(3), AdaptiveAvgPool(2), LeakyReLU()],
    ids=lambda layer: layer.name,
)
def test_sizes_beyond_any_memory_are_refused_at_once(layer):
    net = Network([layer], (1, 10**6, 10**6))
    with pytest.raises(MatrixTooLarge, match=rf"layer 0 \({layer.name}\) .* [TP]B sparse"):
        to_mlp(net)


def test_the_limit_is_on_the_total():
    net = Network([Conv(whole(2, 1, 3)), ReLU(), Conv(whole(2, 2, 3))], (1, 30))
    needed = conversion_table(net).total.nbytes
    assert to_mlp(net, max_bytes=needed).output_shape == (52,)
    with pytest.raises(MatrixTooLarge, match=r"up to layer 2 \(Conv\)"):
        to_mlp(net, max_bytes=needed - 1)


def test_a_merged_product_is_refused_by_its_bound():
    net = Network([Dense(whole(2, 50)), Dense(whole(50, 2))], (50,))
    apart = conversion_table(net).total.nbytes
    assert len(to_mlp(net, max_bytes=apart).layers) == 2
    with pytest.raises(MatrixTooLarge, match=r"the product .* \(50, 50\) may take .* merge=False"):
        to_mlp(net, merge=True, max_bytes=apart)


# --- what has no such form, and bad arguments ---------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (Sigmoid(), r"layer 1 \(Sigmoid\) .* is not piecewise linear"),
        (Tanh(), r"layer 1 \(Tanh\) .* is not piecewise linear"),
        (Softmax(), r"layer 1 \(Softmax\) .* divides by a sum of exponentials"),
    ],
)
def test_a_layer_without_such_a_form_is_named_with_its_position_and_why(layer, reason):
    net = Network([ReLU(), layer, ReLU()], (3,))
    for call in (to_mlp, conversion_table):
        with pytest.raises(UnsupportedLayer, match=reason):
            call(net)


def test_a_layer_of_an_unknown_kind_is_named():
    class Square(ReLU.__mro__[1]):
        pass

    with pytest.raises(UnsupportedLayer, match=r"layer 0 \(Square\) .* no rule is known"):
        to_mlp(Network([Square()], (3,)))


def test_bad_arguments_are_refused():
    net = Network([ReLU()], (3,))
    with pytest.raises(ValueError, match=r"max_bytes \(=0\)"):
        to_mlp(net, max_bytes=0)
    with pytest.raises(ValueError, match=r"max_bytes \(='1 GB'\)"):
        to_cnn(net, max_bytes="1 GB")
    with pytest.raises(ValueError, match=r"merge \(=True\) .* matrix_free \(=True\)"):
        to_mlp(net, merge=True, matrix_free=True)


# --- and back -----------------------------------------------------------------------------------


@each_network
def test_the_perceptron_as_1_x_1_convolutions_equals_it_exactly(net):
    mlp, x = to_mlp(net), inputs(net)
    cnn = to_cnn(mlp)
    kernels = [layer.weight for layer in cnn.layers if isinstance(layer, Conv)]
    assert {type(layer) for layer in cnn.layers} <= {Conv, ReLU}
    assert all(kernel.shape[2:] == (1, 1) for kernel in kernels)
    y = cnn(flat(x)[..., None, None])
    assert y.shape == (len(x), *mlp.output_shape, 1, 1)
    np.testing.assert_array_equal(y[..., 0, 0], flat(net(x)))


@pytest.mark.parametrize("name", ["LeNet", "residual", "MobileNet", "flat"])
def test_fully_connected_layers_become_convolutions_over_the_full_extent(name):
    net = NETWORKS[name]()
    cnn, x = to_cnn(net), inputs(net)
    assert not any(isinstance(layer, (Dense, Flatten)) for layer in cnn.layers)
    pixel = x if len(net.input_shape) > 1 else x[..., None, None]
    np.testing.assert_array_equal(cnn(pixel)[..., 0, 0], net(x))


def test_shortcuts_keep_what_they_read_and_the_given_network_is_not_changed():
    layers = [Flatten(), Dense(whole(4, 4)), Sigmoid(), Dense(whole(4, 4), source=0), Add(3, 2)]
    net = Network(layers, (1, 2, 2))
    before = repr(net)
    cnn, x = to_cnn(net), inputs(net)
    np.testing.assert_allclose(cnn(x)[..., 0, 0], net(x), rtol=1e-12)
    assert repr(net) == before
    assert cnn.layers[3].sources == (2, 1)


def test_kernels_that_are_too_large_are_refused():
    wide = scipy.sparse.csr_array(([1.0], ([0], [0])), shape=(10**5, 10**5))
    with pytest.raises(MatrixTooLarge, match=r"80 GB.* stores every number of a sparse weight"):
        to_cnn(Network([Dense(wide)], (10**5,)))


def test_a_weight_that_is_not_built_cannot_become_a_kernel():
    mlp = to_mlp(Network([Conv(whole(2, 1, 3))], (1, 9)), matrix_free=True)
    for call in (to_cnn, to_mlp):
        with pytest.raises(ValueError, match=r"layer 0 \(Dense\) has an operator as weight"):
            call(mlp)
    x = inputs(mlp)
    again = to_mlp(Network([*mlp.layers, ReLU()], (9,)), matrix_free=True)
    np.testing.assert_array_equal(again(x), mlp(x).clip(0))


# --- random networks ----------------------------------------------------------------------------


def random_layer(rng, shapes, source):
    """Return a random layer for one of the values that there are, or a sum of two of one shape."""
    shape, seed = shapes[source + 1], int(rng.integers(10**6))
    channels, ndim = shape[0], len(shape) - 1
    kind = rng.choice(
        [
            "conv",
            "transposed",
            "norm",
            "relu",
            "leaky",
            "relu6",
            "max",
            "average",
            "adaptive",
            "add",
        ]
    )
    kernel = tuple(int(k) for k in rng.integers(1, 4, ndim))
    options = {"stride": int(rng.integers(1, 3)), "padding": int(rng.integers(0, 2))}
    if kind == "conv":
        out, groups = (channels, channels) if rng.integers(2) else (int(rng.integers(1, 3)), 1)
        weight = whole(out, channels // groups, *kernel, seed=seed).clip(-1, 1)
        return Conv(weight, whole(out, seed=seed), groups=groups, source=source, **options)
    if kind == "transposed":
        weight = whole(channels, 1, *kernel, seed=seed).clip(-1, 1)
        return ConvTranspose(weight, source=source, output_padding=options["stride"] - 1, **options)
    if kind == "norm":
        made = norm(channels, seed)
        made.sources = (source,)
        return made
    if kind == "add":
        same = [i - 1 for i, other in enumerate(shapes) if other == shape]
        return Add(source, int(rng.choice(same)))
    return {
        "relu": lambda: ReLU(source=source),
        "leaky": lambda: LeakyReLU(float(rng.choice([-0.5, 0.25])), source=source),
        "relu6": lambda: ReLU6(source=source),
        "max": lambda: MaxPool(kernel, source=source, ceil_mode=bool(rng.integers(2)), **options),
        "average": lambda: AvgPool(2, source=source, **options),
        "adaptive": lambda: AdaptiveAvgPool(1 if shape[1] not in (4, 8) else 4, source=source),
    }[str(kind)]()


def without_unread(layers):
    """Return the layers that the last one depends on, with their new positions."""
    needed, waiting = set(), [len(layers) - 1]
    while waiting:
        position = waiting.pop()
        if position >= 0 and position not in needed:
            needed.add(position)
            waiting += layers[position].sources
    place = {-1: -1} | {old: new for new, old in enumerate(sorted(needed))}
    for old in needed:
        layers[old].sources = tuple(place[source] for source in layers[old].sources)
    return [layers[old] for old in sorted(needed)]


def random_network(seed):
    rng = np.random.default_rng(seed)
    shapes = [(2, *(int(n) for n in rng.integers(4, 9, seed % 2 + 1)))]
    layers = []
    while len(layers) < 9:
        recent = max(-1, len(layers) - 1 - int(rng.integers(0, 3)))
        layer = random_layer(rng, shapes, recent)
        try:
            shapes.append(layer.output_shape(*(shapes[s + 1] for s in layer.sources)))
        except ValueError:
            continue  # a window that does not fit: draw again
        layers.append(layer)
    return Network(without_unread(layers), shapes[0])


@pytest.mark.parametrize("seed", range(80))
def test_a_random_network_without_loops_equals_its_perceptron(seed):
    net = random_network(seed)
    x, mlp = inputs(net, count=4, seed=seed), to_mlp(net)
    y, ours = net(x), mlp(flat(x))
    size = abs(y).max() + 1
    np.testing.assert_allclose(ours, flat(y), rtol=0, atol=1e-12 * size)
    assert conversion_table(net).total.stored == sum(weight.nnz for weight in weights(mlp))
    np.testing.assert_allclose(to_mlp(net, merge=True)(flat(x)), flat(y), rtol=0, atol=1e-12 * size)


def test_the_random_networks_are_not_all_alike():
    nets = [random_network(seed) for seed in range(80)]
    kinds = {layer.name for net in nets for layer in net.layers}
    assert len(kinds) == 10
    assert sum(any(len(layer.sources) == 2 for layer in net.layers) for net in nets) > 20
    assert np.mean([len(net.layers) for net in nets]) > 4


def test_a_network_of_every_kind_of_layer_becomes_convolutions_as_it_is():
    name = "channels last, from a flat input, and one normalisation of all features"
    nets = [NETWORKS[name]()]
    nets.append(Network([Flatten(), norm(12), ReLU(), Dense(whole(3, 12))], (3, 4)))
    nets.append(Network([Flatten(), Dense(whole(12, 12)), Add(0, 1), Softmax()], (3, 2, 2)))
    for net in nets:
        cnn, x = to_cnn(net), inputs(net)
        assert not any(isinstance(layer, Dense) for layer in cnn.layers)
        np.testing.assert_array_equal(flat(cnn(x.reshape(len(x), *cnn.input_shape))), flat(net(x)))
