"""The bound on rounding holds for every network, in every form, and is not idle."""

import numpy as np
import pytest
from networks import NETWORKS, each_network, flat, normal, with_random_weights
from scipy.sparse import csr_array

from equivlib.convert import UnsupportedLayer, to_cnn, to_mlp
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
    LeakyReLU,
    Maximum,
    MaxPool,
    Network,
    Rearrange,
    ReLU,
    ReLU6,
    Resample,
    Tanh,
)
from equivlib.rounding import error_bound

UNIT = np.finfo(float).eps / 2


@each_network
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_network_perceptron_and_convolutions_agree_within_the_bound(net, dtype):
    net = with_random_weights(net, dtype, seed=1)
    x = normal(5, *net.input_shape).astype(dtype)
    allowed, mlp, y = error_bound(net, x, dtype), to_mlp(net, dtype=dtype), net(x)
    ours = mlp(flat(x))
    assert y.dtype == ours.dtype == dtype
    assert (abs(ours.astype(float) - flat(y)) <= flat(allowed)).all()
    pixels = to_cnn(mlp)(flat(x)[..., None, None])[..., 0, 0]
    assert (abs(pixels.astype(float) - flat(y)) <= flat(allowed)).all()


def test_float32_is_within_the_bound_of_float64_and_the_difference_is_no_accident():
    net32 = with_random_weights(NETWORKS["residual"](), np.float32, seed=2)
    x = normal(20, *net32.input_shape).astype(np.float32)
    y32, y64 = to_mlp(net32)(flat(x)), to_mlp(net32, dtype=np.float64)(flat(x).astype(float))
    difference, allowed = abs(y32 - y64), error_bound(net32, x, np.float32)
    assert (difference <= allowed).all()
    assert difference.max() > 1e-8
    assert np.isclose(error_bound(net32, x), allowed * 2.0**-29, rtol=1e-2).all()


def test_the_bound_counts_every_term():
    # 10^5 equal terms: their sum is rounded again and again.
    net = Network([Dense(np.full((1, 10**5), 0.1))], (10**5,))
    allowed = error_bound(net, np.full(10**5, 0.1))
    np.testing.assert_allclose(allowed, 2 * (10**5 + 1) * UNIT * 1000, rtol=1e-6)


#: Layers on the input 1, -3, 2, 0.5: roundings, and what the first output is at most.
BY_HAND = {
    # Each round of a maximum adds |a| + 2 |b|, and six numbers; the last sum has three.
    "maximum of four": ([MaxPool(4)], 6 * 2 + 3, 9 * 3.0),
    "clipped": ([ReLU6()], 2, 2 * 1 + 6.0),
    "leaky": ([LeakyReLU(-3)], 2, 3 * 1.0),
    "average": ([AvgPool(4)], 4 + 1, 6.5 / 4),
    "adaptive average": ([AdaptiveAvgPool(2)], 2 + 2 + 1, 2.0),
    # A round adds |a| + 2 |b| of four numbers, and one; the last sum has three.
    "larger of two": ([Maximum(-1, -1)], 2 * 2 + 3 + 1, 3 * 1.0),
    "joined": ([LeakyReLU(-3), Concat(0, -1)], 2, 3.0),
    "interpolated": ([Resample([[0, 2, -1, 0.5]])], 3 + 3 + 1, 6 + 2 + 0.25),
    "selected": ([Rearrange([[2, -1]], size=4)], 0, 2.0),
    "convolution": ([Conv([[[5, -1]]], [-7])], 2 + 1, 5 + 3 + 7.0),
    "transposed": ([ConvTranspose(np.full((1, 1, 3), -2.0))], 3 + 1, 2.0),
    "transposed, two channels": (
        [Conv([[[2]], [[3]]]), ConvTranspose(np.ones((2, 1, 1)))],
        (1 + 1) + (2 + 1),
        2 + 3.0,
    ),
    "groups": (
        [Conv([[[2]], [[3]]]), ConvTranspose(np.ones((2, 1, 1)), groups=2)],
        (1 + 1) + (1 + 1),
        2.0,
    ),
    "normalisation": ([BatchNorm([-2], [-3], [5], [16], 0)], 7, 0.5 + 3 + 2.5),
    "sum": ([Conv([[[4]]]), Add(0, -1, -1)], (1 + 1) + 3, 4 + 1 + 1.0),
    "flat": ([Flatten(), Dense(np.ones((1, 4)))], 4 + 1, 6.5),
    "sparse": ([Flatten(), Dense(csr_array([[0, 2, 0, -1.0]]))], 2 + 1, 6.5),
    "rectified": ([ReLU()], 0, 1.0),
}


@pytest.mark.parametrize(("layers", "roundings", "size"), BY_HAND.values(), ids=BY_HAND)
def test_the_bound_of_one_layer_is_the_one_found_by_hand(layers, roundings, size):
    allowed = error_bound(Network(layers, (1, 4)), [[1.0, -3.0, 2.0, 0.5]])
    np.testing.assert_allclose(allowed.flat[0], 2 * roundings * UNIT * size, rtol=1e-9)


def test_what_has_no_perceptron_has_no_bound():
    with pytest.raises(UnsupportedLayer, match=r"layer 1 \(Tanh\)"):
        error_bound(Network([ReLU(), Tanh()], (3,)), np.ones(3))


def test_a_precision_that_leaves_no_digit_is_refused():
    net = Network([Dense(np.ones((1, 3000), np.float16))], (3000,))
    with pytest.raises(ValueError, match=r"dtype \(=float16\) is too coarse for 3001 roundings"):
        error_bound(net, np.ones(3000), np.float16)
