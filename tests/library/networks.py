"""Networks of every kind with small whole numbers, and arrays for them, for several tests."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse

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
)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def distinct(*shape, seed=0):
    """Return numbers that differ by at least 0.1 from each other and from 0, in random order."""
    size = int(np.prod(shape))
    values = 0.2 * (np.arange(size) - size // 2) + 0.1
    return np.random.default_rng(seed).permutation(values).reshape(shape)


def quotient(f, values, step=1e-5):
    """Compute central difference quotients of a number for each of the values, in place."""
    slopes = np.empty(values.shape)
    for index in np.ndindex(values.shape):
        kept = values[index]
        values[index] = kept + step
        above = f()
        values[index] = kept - step
        slopes[index] = (above - f()) / (2 * step)
        values[index] = kept
    return slopes


def fractions(*shape, seed=0):
    rng = np.random.default_rng(seed)
    top, bottom = rng.integers(-9, 10, shape), rng.integers(1, 5, shape)
    pairs = zip(top.flat, bottom.flat, strict=True)
    values = [Fraction(int(a), int(b)) for a, b in pairs]
    return np.array(values, dtype=object).reshape(shape)


def whole(*shape, seed=0):
    """Return small integers as float64: with them every product and sum here is exact."""
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(float)


def norm(channels, seed=0):
    """Return a batch normalisation whose factors are powers of 2, so that it is exact too."""
    rng = np.random.default_rng(seed)
    var = 4.0 ** rng.integers(-1, 2, channels)
    return BatchNorm(*(whole(channels, seed=seed + i) for i in range(3)), var, 0)


def basic_block(layers, into, out, stride, seed):
    """Append a block of a residual network; its shortcut is a 1 x 1 convolution if it must."""
    start = len(layers) - 1
    layers += [
        Conv(whole(out, into, 3, 3, seed=seed), stride=stride, padding=1),
        norm(out, seed),
        ReLU(),
        Conv(whole(out, out, 3, 3, seed=seed + 1), padding=1),
        norm(out, seed + 1),
    ]
    end = len(layers) - 1
    if stride > 1 or into != out:
        layers += [
            Conv(whole(out, into, 1, 1, seed=seed + 2), stride=stride, source=start),
            norm(out, seed + 2),
        ]
        start = len(layers) - 1
    layers += [Add(end, start), ReLU()]


def resnet():
    layers = [Conv(whole(3, 2, 3, 3), padding=1), norm(3), ReLU()]
    basic_block(layers, 3, 3, 1, 1)
    basic_block(layers, 3, 4, 2, 5)
    layers += [AvgPool(4), Flatten(), Dense(whole(5, 4), whole(5))]
    return Network(layers, (2, 8, 8))


def mobilenet():
    return Network(
        [
            Conv(whole(4, 2, 3, 3), stride=2, padding=1),
            norm(4),
            ReLU6(),
            Conv(whole(4, 1, 3, 3), padding=1, groups=4),
            norm(4, 1),
            ReLU6(),
            Conv(whole(6, 4, 1, 1)),
            norm(6, 2),
            ReLU6(),
            AdaptiveAvgPool(1),
            Flatten(),
            Dense(whole(3, 6), whole(3)),
        ],
        (2, 8, 8),
    )


def before_activation():
    """Make a network that carries values of both signs past ReLU layers to several readers."""
    return Network(
        [
            norm(2),  # nothing to fold it into
            ReLU(),
            Conv(whole(2, 2, 3, 3), padding=1),
            Add(2, -1),
            LeakyReLU(0.25),
            Conv(whole(2, 2, 3, 3, seed=1), whole(2), padding=1),
            ReLU6(),
            Add(6, 3, 3),
            MaxPool(3, stride=2, padding=1),
            Add(8, 8),
        ],
        (2, 6, 6),
    )


def branches():
    """Make two convolutions of one input, each with its ReLU, as tracing a graph orders them."""
    return Network(
        [
            Conv(whole(2, 1, 3), padding=1),
            Conv(whole(2, 1, 1, seed=1), source=-1),
            ReLU(source=0),
            ReLU(source=1),
            MaxPool(3, stride=1, padding=1, source=1),
            Add(2, 3, 4, 0),
            LeakyReLU(-0.5),
            ReLU(),
        ],
        (1, 9),
    )


NETWORKS = {
    "LeNet": lambda: Network(
        [
            Conv(whole(2, 1, 5, 5), whole(2), padding=2),
            ReLU(),
            MaxPool(2),
            Conv(whole(3, 2, 5, 5), whole(3)),
            ReLU(),
            MaxPool(2),
            Flatten(),
            Dense(whole(6, 12), whole(6)),
            ReLU(),
            Dense(whole(4, 6), whole(4)),
        ],
        (1, 16, 16),
    ),
    "residual": resnet,
    "MobileNet": mobilenet,
    "normalised before the activation": before_activation,
    "branches": branches,
    "a convolution that is read with and without its normalisation": lambda: Network(
        [Conv(whole(2, 1, 3)), norm(2), Add(0, 1)], (1, 7)
    ),
    "channels last, from a flat input, and one normalisation of all features": lambda: Network(
        [
            Dense(whole(24, 5), whole(24)),
            Rearrange(np.arange(24).reshape(4, 3, 2).transpose(2, 0, 1)),
            Conv(whole(3, 2, 2, 2), whole(3)),
            Rearrange(np.arange(18).reshape(3, 3, 2).transpose(1, 2, 0)),
            ReLU(),
            Flatten(),
            norm(18),
            Rearrange(np.arange(18)[::-1]),
            Dense(whole(4, 18), whole(4)),
        ],
        (5,),
    ),
    "a leaky activation carried past another": lambda: Network(
        [LeakyReLU(0.5), Conv(whole(2, 2, 3), padding=1), ReLU(), Add(2, 0)], (2, 5)
    ),
    "one axis": lambda: Network(
        [Conv(whole(3, 1, 5), stride=2), norm(3), LeakyReLU(0.5), MaxPool(3, stride=2), AvgPool(4)],
        (1, 33),
    ),
    "three axes": lambda: Network(
        [
            Conv(whole(2, 1, 2, 3, 2), whole(2), padding=1, stride=(1, 2, 1)),
            MaxPool(2, stride=1),
            ReLU(),
            AvgPool((2, 1, 4), stride=1),
        ],
        (1, 3, 4, 5),
    ),
    "autoencoder": lambda: Network(
        [
            Conv(whole(3, 1, 3, 3), whole(3), stride=2, padding=1),
            ReLU(),
            ConvTranspose(whole(3, 2, 3, 3), whole(2), stride=2, padding=1, output_padding=1),
            norm(2),
            ReLU(),
            ConvTranspose(whole(2, 1, 2, 2), stride=1, dilation=3, output_padding=2),
        ],
        (1, 6, 6),
    ),
    "negative numbers into overlapping, padded windows": lambda: Network(
        [Conv(-abs(whole(2, 1, 1, 1)), [-5.0, 5.0]), MaxPool((3, 2), stride=(1, 2), padding=1)],
        (1, 5, 6),
    ),
    "dilated windows with a rest": lambda: Network(
        [MaxPool(3, dilation=2, stride=2, padding=1, ceil_mode=True)], (2, 8, 9)
    ),
    "window of seven": lambda: Network([MaxPool(7, stride=3), ReLU()], (1, 12)),
    "window of one": lambda: Network([MaxPool(1, stride=2)], (2, 5)),
    "averages that do not count padding": lambda: Network(
        [AvgPool(2, stride=1, padding=1, count_include_pad=False)], (2, 4, 5)
    ),
    "averages with a rest": lambda: Network([AvgPool(4, stride=4, ceil_mode=True)], (1, 6)),
    "adaptive averages of unequal windows": lambda: Network([AdaptiveAvgPool((4, 2))], (2, 6, 4)),
    "parts of the input joined, with zeros between and one twice": lambda: Network(
        [
            Rearrange([[5, 1, -1, 0], [-1, 2, 2, 3]], size=6),
            Conv(whole(3, 2, 2, seed=1), whole(3)),
            ReLU(),
            Conv(whole(2, 2, 2, seed=2), source=0),
            Concat(2, 3, 3),
            Conv(whole(2, 7, 1)),
            Concat(5, 2),
        ],
        (2, 3),
    ),
    "the largest of several": lambda: Network(
        [
            Conv(whole(2, 2, 3), padding=1),
            ReLU(),
            Maximum(0, -1),
            Conv(whole(2, 2, 1, seed=1), whole(2), source=1),
            Maximum(2, 1, 3),
            Maximum(4, 0, 0, 3, 1),
            Add(5, 0),
        ],
        (2, 5),
    ),
    "interpolated": lambda: Network(
        [
            Resample([[1, 0], [0.5, 0.5], [0, 1]], [[0.25, 0.75, 0], [0, -0.5, 1.5]]),
            ReLU(),
            Conv(whole(2, 2, 2, 2)),
        ],
        (2, 2, 3),
    ),
    "mirrored": lambda: Network(
        [Conv(whole(2, 2, 3, 3), padding=2, padding_mode="reflect"), ReLU()], (2, 4, 4)
    ),
    "flat": lambda: Network([Dense(whole(3, 4)), norm(3), ReLU(), Dense(whole(2, 3))], (4,)),
    "sparse": lambda: Network([Dense(scipy.sparse.csr_array(whole(3, 4)), whole(3))], (4,)),
    "nothing but Flatten": lambda: Network([Flatten()], (2, 3)),
    "nothing but ReLU": lambda: Network([ReLU(), ReLU()], (3,)),
}


each_network = pytest.mark.parametrize("net", [make() for make in NETWORKS.values()], ids=NETWORKS)


def inputs(net, count=6, seed=0):
    return np.random.default_rng(seed).integers(-9, 10, (count, *net.input_shape)).astype(float)


def flat(batch):
    return batch.reshape(len(batch), -1)


def with_random_weights(net, dtype, seed):
    """Return the same layers with weights of many digits, so that everything is rounded."""
    rng = np.random.default_rng(seed)

    def drawn(array, least=None):
        values = rng.standard_normal(np.shape(array)).astype(dtype)
        return values if least is None else abs(values) + dtype(least)

    layers = []
    for layer in net.layers:
        source = layer.sources[0] if layer.sources else None
        if isinstance(layer, BatchNorm):
            four = [drawn(layer.mean), drawn(layer.mean), drawn(layer.mean), drawn(layer.mean, 0.1)]
            layers.append(BatchNorm(*four, 1e-5, source=source))
        elif isinstance(layer, (Conv, ConvTranspose, Dense)):
            weight = drawn(layer.weight)
            bias = None if layer.bias is None else drawn(layer.bias)
            options = {} if isinstance(layer, Dense) else layer.options
            layers.append(type(layer)(weight, bias, source=source, **options))
        else:
            layers.append(layer)
    return Network(layers, net.input_shape, dtype=dtype)
