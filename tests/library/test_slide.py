"""A network over a larger input gives what it gives on crops, or says why not."""

from itertools import product

import numpy as np
import pytest
from networks import inputs, norm, whole

from equivlib.layers import (
    AdaptiveAvgPool,
    Add,
    AvgPool,
    Conv,
    ConvTranspose,
    Dense,
    Flatten,
    MaxPool,
    Network,
    Rearrange,
    ReLU,
    Softmax,
    Tanh,
)
from equivlib.slide import slide

SLIDING = {
    "LeNet": (
        [
            Conv(whole(2, 1, 3, 3), whole(2)),
            ReLU(),
            MaxPool(2),
            Conv(whole(3, 2, 2, 2), whole(3)),
            ReLU(),
            AvgPool(2),
            Flatten(),
            Dense(whole(4, 12), whole(4)),
            ReLU(),
            Dense(whole(3, 4), whole(3)),
        ],
        (1, 12, 12),
        (1, 20, 17),
        (4, 4),
        (3, 3, 2),
    ),
    "one axis, overlapping and dilated": (
        [Conv(whole(2, 1, 3), dilation=2), MaxPool(3, stride=2), Flatten(), Dense(whole(2, 8))],
        (1, 13),
        (1, 20),
        (2,),
        (2, 4),
    ),
    "three axes": (
        [Conv(whole(2, 1, 2, 1, 2), stride=(1, 2, 1)), Flatten(), Dense(whole(3, 16))],
        (1, 3, 3, 3),
        (1, 5, 7, 3),
        (1, 2, 1),
        (3, 3, 3, 1),
    ),
    "shortcut and normalisation": (
        [
            Conv(whole(2, 2, 1), stride=2),
            norm(2),
            Conv(whole(2, 2, 1), source=0),
            Add(1, 2),
            Tanh(),
            Flatten(),
            Dense(whole(3, 8)),
            Softmax(),
        ],
        (2, 7),
        (2, 16),
        (2,),
        (3, 5),
    ),
    "average over all of it": (
        [Conv(whole(2, 1, 2, 2)), AdaptiveAvgPool(1), Flatten(), Dense(whole(3, 2))],
        (1, 5, 5),
        (1, 7, 8),
        (1, 1),
        (3, 3, 4),
    ),
    "adaptive average of equal windows": (
        [AdaptiveAvgPool(2), Flatten(), Dense(whole(3, 2))],
        (1, 8),
        (1, 17),
        (4,),
        (3, 3),
    ),
    "averages of two values": (
        [
            Conv(whole(2, 2, 1)),
            AdaptiveAvgPool(1, source=-1),
            AdaptiveAvgPool(1, source=0),
            Add(1, 2),
            Flatten(),
            Dense(whole(3, 2)),
        ],
        (2, 4),
        (2, 9),
        (1,),
        (3, 6),
    ),
    "perceptron on every pixel": (
        [Dense(whole(4, 3)), ReLU(), Dense(whole(2, 4))],
        (3,),
        (3, 2, 5),
        (1, 1),
        (2, 2, 5),
    ),
}


@pytest.mark.parametrize(
    ("layers", "small", "large", "stride", "output"), SLIDING.values(), ids=SLIDING
)
def test_the_score_map_is_the_network_on_crops(layers, small, large, stride, output):
    net = Network(layers, small)
    network, found = slide(net, large)
    assert (found, network.output_shape) == (stride, output)
    x = inputs(network, count=2)
    y = network(x)
    sizes = small[1:] or (1,) * len(stride)
    for place in product(*(range(n) for n in output[1:])):
        starts = [s * p for s, p in zip(stride, place, strict=True)]
        crop = x[(..., *(slice(a, a + n) for a, n in zip(starts, sizes, strict=True)))]
        ours = y[(slice(None), slice(None), *place)]
        np.testing.assert_allclose(ours, net(crop.reshape(2, *small)), rtol=1e-13, atol=1e-13)


HEAD = [Flatten(), Dense(whole(2, 4))]

NOT_SLIDING = {
    "padded convolution": (
        [Conv(whole(1, 1, 3), padding=1), *HEAD],
        (1, 4),
        r"layer 0 \(Conv\) pads its input \(padding=\(\(1, 1\),\)\): near the border of a crop",
    ),
    "padded on one side": (
        [ReLU(), AvgPool(2, stride=1, padding=((0, 1),)), *HEAD],
        (1, 4),
        r"layer 1 \(AvgPool\) pads its input",
    ),
    "circular convolution": (
        [Conv(whole(1, 1, 3), padding="same", padding_mode="circular"), *HEAD],
        (1, 4),
        r"layer 0 \(Conv\) pads its input",
    ),
    "transposed convolution": (
        [ConvTranspose(whole(1, 1, 2)), *HEAD],
        (1, 3),
        r"layer 0 \(ConvTranspose\) spreads each number",
    ),
    "unequal adaptive windows": (
        [AdaptiveAvgPool(4), *HEAD],
        (1, 6),
        r"layer 0 \(AdaptiveAvgPool\) averages over windows of unequal sizes",
    ),
    "a last window that depends on the size": (
        [MaxPool(2, ceil_mode=True), *HEAD],
        (1, 7),
        r"layer 0 \(MaxPool\) has ceil_mode=True",
    ),
    "strides that differ": (
        [Conv(whole(1, 1, 1), stride=2), Conv(whole(1, 1, 4), source=-1), Add(0, 1), *HEAD],
        (1, 7),
        r"layer 2 \(Add\) joins values whose strides differ: \(1,\), \(2,\)",
    ),
}


@pytest.mark.parametrize(("layers", "small", "reason"), NOT_SLIDING.values(), ids=NOT_SLIDING)
def test_a_network_that_is_not_equal_on_crops_is_refused_with_the_reason(layers, small, reason):
    net = Network(layers, small)
    with pytest.raises(ValueError, match=reason):
        slide(net, (1, 20))


def test_with_padding_the_score_map_is_indeed_another():
    net = Network([Conv(np.ones((1, 1, 3)), padding=1), *HEAD], (1, 4))
    with pytest.warns(UserWarning, match=r"layer 0 \(Conv\) pads its input"):
        network, stride = slide(net, (1, 9), exact=False)
    assert stride == (1,)
    x = inputs(network, count=1) + 10
    crops = np.stack([net(x[..., p : p + 4]) for p in range(9 - 4 + 1)], axis=-1)
    assert network(x).shape == crops.shape
    differs = (network(x) != crops).any(axis=(0, 1))
    assert differs.all()


def test_on_its_own_size_it_is_the_network_even_with_padding():
    net = Network([Conv(whole(1, 1, 3), padding=1), *HEAD], (1, 4))
    with pytest.warns(UserWarning, match="pads"):
        network, _ = slide(net, (1, 4), exact=False)
    x = inputs(net)
    np.testing.assert_array_equal(network(x)[..., 0], net(x))


@pytest.mark.parametrize("larger", [(1, 3), (2, 9), (1, 9, 9), (9,), (1, 9.5)], ids=str)
def test_an_input_that_does_not_hold_a_crop_is_refused(larger):
    net = Network([Conv(whole(1, 1, 1)), *HEAD], (1, 4))
    with pytest.raises(ValueError, match="input_shape"):
        slide(net, larger)


def test_a_rearrangement_is_of_one_size():
    net = Network([Conv(whole(2, 1, 2)), Rearrange(np.arange(6).reshape(3, 2))], (1, 4))
    with pytest.raises(ValueError, match=r"layer 1 \(Rearrange\) moves each number"):
        slide(net, (1, 8))
