"""The Lipschitz bound of a network against differences that inputs really make."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse
from networks import each_network, with_random_weights

from equivlib import Network, lipschitz_bound
from equivlib.layers import (
    AdaptiveAvgPool,
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    ConvTranspose,
    Dense,
    Flatten,
    Layer,
    LeakyReLU,
    Maximum,
    MaxPool,
    Rearrange,
    ReLU,
    ReLU6,
    Resample,
    Sigmoid,
    Softmax,
    Tanh,
)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def stretch(net, x, y):
    """Return by how much the network enlarges the difference of two inputs."""
    return np.linalg.norm(net(x) - net(y)) / np.linalg.norm(x - y)


def matrix_of(layer, shape):
    """Return the matrix of a linear layer from what it does to unit vectors."""
    size = int(np.prod(shape))
    return layer.forward(np.eye(size).reshape(size, *shape)).reshape(size, -1).T


@each_network
def test_no_difference_is_enlarged_by_more(net):
    net = with_random_weights(net, np.float64, seed=4)
    bound = lipschitz_bound(net)
    rng = np.random.default_rng(0)
    for _ in range(20):
        x = rng.standard_normal((1, *net.input_shape))
        y = x + 10.0 ** rng.integers(-3, 2) * rng.standard_normal(x.shape)
        assert stretch(net, x, y) <= bound


# Layers with two inputs whose difference is enlarged by exactly as much as the bound says.
ATTAINED = [
    ("convolution", Conv([[[3.0]]]), (1, 4), normal(1, 1, 4), normal(1, 1, 4, seed=1), 3),
    ("transposed", ConvTranspose([[[3.0, 4.0]]], stride=2), (1, 3), normal(1, 1, 3), None, 5),
    ("fully connected", Dense([[3.0, 4.0]]), (2,), [[3.0, 4.0]], None, 5),
    ("sparse", Dense(scipy.sparse.csr_array([[2.0, 0], [0, -2]])), (2,), [[1.0, 1]], None, 2),
    ("largest scale", BatchNorm([1, -6], [1, 1], [0, 2], [1, 4], eps=0), (2,), [[0, 1.0]], None, 3),
    ("maxima side by side", MaxPool(2), (1, 4), [[[1.0, 0, 2, 0]]], None, 1),
    ("maxima that overlap", MaxPool(3, stride=1), (1, 5), [[[0, 0, 1.0, 0, 0]]], None, np.sqrt(3)),
    (
        "maxima of a padded window",
        MaxPool(2, stride=1, padding=1),
        (1, 2, 2),
        [[[[1.0, 0], [0, 0]]]],
        None,
        2,
    ),
    ("averages side by side", AvgPool(4), (1, 8), np.ones((1, 1, 8)), None, 0.5),
    ("the mean", AdaptiveAvgPool(1), (1, 3, 3), np.ones((1, 1, 3, 3)), None, 1 / 3),
    ("positive part", ReLU(), (2,), [[1.0, 2]], None, 1),
    ("clipped", ReLU6(), (2,), [[1.0, 2]], None, 1),
    ("gentle slope", LeakyReLU(0.1), (2,), [[1.0, 2]], None, 1),
    ("steep slope", LeakyReLU(-3), (2,), [[-1.0, -2]], None, 3),
    ("flat", Flatten(), (1, 2), [[[1.0, 2]]], None, 1),
    ("in another order", Rearrange([1, 0]), (2,), [[1.0, 2]], None, 1),
    ("one of two", Rearrange([1, -1], size=2), (2,), [[0, 2.0]], None, 1),
    ("three times", Rearrange([1, 0, 1, 1], size=2), (2,), [[0, 2.0]], None, np.sqrt(3)),
    ("nothing", Rearrange([-1], size=2), (2,), [[1.0, 2.0]], None, 0),
    ("interpolated", Resample([[3, 0]], [[4], [3]]), (1, 2, 1), [[[[2.0], [0]]]], None, 15),
    ("logistic function", Sigmoid(), (1,), [[1e-4]], None, 0.25),
    ("hyperbolic tangent", Tanh(), (1,), [[1e-4]], None, 1),
    ("softmax", Softmax(), (2,), [[1e-4, -1e-4]], None, 0.5),
]


@pytest.mark.parametrize("case", ATTAINED, ids=[case[0] for case in ATTAINED])
def test_the_constant_of_a_layer_is_attained(case):
    _, layer, shape, x, y, constant = case
    net = Network([layer], shape)
    bound = lipschitz_bound(net)
    x = np.array(x)
    enlarged = stretch(net, x, np.zeros_like(x) if y is None else y)
    assert constant * (1 - 1e-15) <= bound <= constant * (1 + 1e-12)
    np.testing.assert_allclose(enlarged, constant, rtol=1e-6)


@pytest.mark.parametrize("layer", [AvgPool(3, stride=2, padding=1), AdaptiveAvgPool((3, 2))])
def test_averages_are_bounded_by_their_matrix(layer):
    shape = (1, 5, 7)
    norm = np.linalg.norm(matrix_of(layer, shape), 2)
    assert norm <= lipschitz_bound(Network([layer], shape)) <= 1.5 * norm


def test_a_sparse_matrix_is_bounded_without_its_dense_form():
    matrix = scipy.sparse.random_array((30, 40), density=0.2, rng=np.random.default_rng(0))
    net = Network([Dense(scipy.sparse.csr_array(matrix))], (40,))
    assert np.linalg.norm(matrix.toarray(), 2) <= lipschitz_bound(net)


def test_layers_multiply_and_branches_add():
    layers = [Conv([[[2.0]]]), ReLU(), Conv([[[3.0]]]), Add(2, 0, -1)]
    assert lipschitz_bound(Network(layers, (1, 4))) == pytest.approx(2 * 3 + 2 + 1, rel=1e-12)


@pytest.mark.parametrize("kind", [Concat, Maximum])
def test_what_stands_side_by_side_adds_squares(kind):
    layers = [Conv([[[3.0]]]), Conv([[[-4.0]]], source=-1), kind(0, 1)]
    net = Network(layers, (1, 4))
    assert lipschitz_bound(net) == pytest.approx(5, rel=1e-12)
    x = np.array([[1.0, -1, 0, 0]])
    assert stretch(net, x, np.zeros_like(x)) == pytest.approx(
        5 if kind is Concat else np.sqrt(12.5), rel=1e-12
    )


def test_the_largest_of_equal_inputs_may_need_the_root_of_squares():
    """Two coordinates, each taken from another input: the bound is attained."""
    layers = [Dense([[1.0, 0], [0, 0]]), Dense([[0, 0], [0, 1.0]], source=-1), Maximum(0, 1)]
    net = Network(layers, (2,))
    x = np.array([3.0, 4.0])
    assert stretch(net, x, np.zeros_like(x)) == 1
    assert 1 <= lipschitz_bound(net) <= np.sqrt(2) * (1 + 1e-12)


def test_roundings_of_the_products_are_covered():
    net = Network([Conv([[[1.1]]])] * 50, (1, 4))
    assert Fraction(lipschitz_bound(net)) >= Fraction(1.1) ** 50


def test_single_precision_scales_are_computed_in_double():
    gamma, var = np.float32([1.1]), np.float32([0.7])
    net = Network([BatchNorm(gamma, [0], [0], var, eps=0)], (1, 4))
    exact = float(gamma[0]) / np.sqrt(float(var[0]))
    assert exact <= lipschitz_bound(net) <= exact * (1 + 1e-14)


class Unknown(Layer):
    def forward(self, *xs):
        return xs[0]


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (Unknown(), "layer 1, Unknown: the layer .* no Lipschitz constant"),
        (Dense(scipy.sparse.linalg.aslinearoperator(np.eye(4))), "layer 1, Dense: .*operator"),
        (Dense(np.eye(4, dtype=object)), "layer 1, Dense: weight .of dtype object"),
    ],
)
def test_a_layer_without_a_constant_is_named(layer, said):
    with pytest.raises(ValueError, match=said):
        lipschitz_bound(Network([ReLU(), layer], (4,)))
