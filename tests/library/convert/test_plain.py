"""Networks become plain convolutions that equal them exactly, as fractions show rule by rule."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import reference
from cases import CASES, each_case
from networks import NETWORKS, each_network, fractions, inputs, normal, with_random_weights

from equivlib import MatrixTooLarge, PlainReport, UnsupportedLayer, plain_report, to_plain
from equivlib.convert import plain as module
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
    Network,
    Rearrange,
    ReLU,
    ReLU6,
    Resample,
    Sigmoid,
    Softmax,
    Tanh,
)

KEPT = {Add, Concat, Dense, Flatten, LeakyReLU, Rearrange, ReLU, ReLU6, Sigmoid, Softmax, Tanh}


def check_plain(net, *, pools):
    """Check by the definition that no layer of a network is anything but plain."""
    allowed = KEPT | {Conv} | (set() if pools else {MaxPool, Maximum})
    assert {type(layer) for layer in net.layers} <= allowed
    for position, layer in enumerate(net.layers):
        if isinstance(layer, Conv):
            geometry = layer.geometry(net.input_shapes(position)[0])
            padded = any(low or high for low, high in geometry.padding)
            assert set(geometry.dilation) == {1}
            assert geometry.groups == 1
            assert not geometry.flip
            assert all(low == high for low, high in geometry.padding)
            assert geometry.padding_mode == "zeros" or not padded


def kernels(net):
    return [layer.weight for layer in net.layers if isinstance(layer, Conv)]


def equal(net, *, pools=False, seed=0):
    """Return whether the plain network gives the same fractions."""
    plain = to_plain(net, pools=pools, dtype=object)
    check_plain(plain, pools=pools)
    x = fractions(2, *net.input_shape, seed=seed + 7)
    y = net(x)
    assert len({*y.flat}) > 1 or y.size <= 2
    assert plain.output_shape == net.output_shape
    return (plain(x) == y).all()


# --- one rule after the other -------------------------------------------------------------------


@each_case
def test_a_convolution_equals_the_definition(case):
    weight, bias = fractions(*case.weight), fractions(case.weight[0], seed=1)
    net = Network([Conv(weight, bias, **case.options)], case.input)
    plain, x = to_plain(net), fractions(*case.input, seed=2)
    check_plain(plain, pools=True)
    expected = reference.conv(x, weight, **case.options)
    expected += bias.reshape(-1, *[1] * (x.ndim - 1))
    assert plain(x).shape == expected.shape
    assert (plain(x) == expected).all()


@each_case
def test_a_transposed_convolution_equals_the_definition(case):
    weight, bias = fractions(*case.weight), fractions(case.input[0], seed=1)
    layer = ConvTranspose(weight, bias, output_shape=case.input[1:], **case.options)
    plain, y = to_plain(Network([layer], case.output)), fractions(*case.output, seed=2)
    check_plain(plain, pools=True)
    expected = reference.matrix(weight, case.input, **case.options).T @ y.ravel()
    expected = expected.reshape(case.input) + bias.reshape(-1, *[1] * (y.ndim - 1))
    assert (plain(y) == expected).all()


@pytest.mark.parametrize(
    ("stride", "kernel", "dilation"), list(product((1, 2, 3), (1, 2, 4), (1, 2, 3)))
)
def test_a_transposed_convolution_with_all_paddings_at_its_end(stride, kernel, dilation):
    for extra in range(max(stride, dilation)):
        options = {
            "stride": stride,
            "dilation": dilation,
            "output_padding": extra,
            "padding": [(0, 1)],
        }
        layer = ConvTranspose(fractions(2, 1, kernel), groups=2, **options)
        size = 3 if dilation * (kernel - 1) + extra else 4
        assert equal(Network([layer], (2, size)), seed=extra)


POOLS = {
    "side by side": {"kernel_size": 2},
    "with a rest": {"kernel_size": 3, "stride": 2},
    "one element": {"kernel_size": 1, "stride": 2},
    "padded": {"kernel_size": 3, "stride": 2, "padding": 1},
    "padded at one end": {"kernel_size": (2, 3), "stride": 1, "padding": [(0, 1), (2, 0)]},
    "padding that a stride leaves out": {
        "kernel_size": 2,
        "stride": 3,
        "padding": [(0, 1), (0, 0)],
    },
    "ceil mode": {"kernel_size": 2, "stride": 3, "ceil_mode": True},
    "ceil mode and padding": {"kernel_size": 3, "stride": 3, "padding": 1, "ceil_mode": True},
    "over everything": {"kernel_size": (5, 6)},
}
each_pool = pytest.mark.parametrize("options", POOLS.values(), ids=POOLS)


@each_pool
@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("largest", [module.LARGEST_BLOCK, 0])
def test_averages(options, counted, largest, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_BLOCK", largest)
    assert equal(Network([AvgPool(**options, count_include_pad=counted)], (2, 5, 6)))


@pytest.mark.parametrize("size", [1, (5, 6), (5, 3), (2, 4), (3, 5), (7, 2)])
@pytest.mark.parametrize("largest", [module.LARGEST_BLOCK, 0])
def test_adaptive_averages(size, largest, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_BLOCK", largest)
    assert equal(Network([AdaptiveAvgPool(size)], (2, 5, 6)))


@each_pool
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("first", [[], [ReLU()]])
@pytest.mark.parametrize("largest", [module.LARGEST_BLOCK, 0])
def test_maxima(options, dilation, first, largest, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_BLOCK", largest)
    if dilation == 2 and options["kernel_size"] == (5, 6):
        options = {"kernel_size": (3, 3)}
    layers = [*first, MaxPool(**options, dilation=dilation)]
    assert equal(Network(layers, (2, 5, 6)), pools=True)
    assert to_plain(Network(layers, (2, 5, 6))).layers[-1] is layers[-1]


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 2, 3)])
@pytest.mark.parametrize("sources", [(0, -1), (1, 0, -1), (-1, 0, 1, 1, 0)])
def test_the_largest_of_several_layers(shape, sources):
    layers = [ReLU(), LeakyReLU(Fraction(-1, 2), source=-1), Maximum(*sources), Add(2, 1)]
    net = Network(layers, shape)
    assert equal(net, pools=True)
    assert to_plain(net).layers == net.layers


def test_a_maximum_takes_the_sign_of_all_that_it_reads():
    """With the first alone not negative, fewer numbers would be carried than there must be."""
    assert equal(Network([ReLU(), Maximum(0, -1, 0)], (1, 4)), pools=True)
    assert equal(Network([ReLU(), Add(-1, -1), Maximum(0, 1)], (1, 4)), pools=True)
    not_negative = to_plain(Network([ReLU(), ReLU(source=-1), Maximum(0, 1)], (1, 4)), pools=True)
    either = to_plain(Network([ReLU(), Add(-1, -1), Maximum(0, 1)], (1, 4)), pools=True)
    assert not_negative.layers[3].weight.size < either.layers[3].weight.size


def test_interpolation_is_a_convolution_for_each_axis():
    matrices = [fractions(4, 3), fractions(3, 5), fractions(1, 2)]
    for count in (1, 2, 3):
        shape = (2, *(m.shape[1] for m in matrices[:count]))
        net = Network([Resample(*matrices[:count])], shape)
        assert equal(net)
        plain = to_plain(net, dtype=object)
        assert sum(kernel.size for kernel in kernels(plain)) == sum(
            m.size for m in matrices[:count]
        )


def test_reorderings_in_a_row_are_one_also_with_zeros_between():
    first, second = Rearrange([3, -1, 0, 0], size=5), Rearrange([[-1, 0], [1, 2]], size=4)
    (fused,) = module._fused([first, second])
    x = np.arange(1, 6)[None]
    np.testing.assert_array_equal(fused.forward(x), second.forward(first.forward(x)))


def test_one_axis_and_three():
    assert equal(Network([MaxPool(3, padding=1), AvgPool(2, stride=1)], (2, 9)), pools=True)
    layers = [MaxPool(2, stride=1, padding=1), AvgPool(2, count_include_pad=False, padding=1)]
    layers += [Conv(fractions(2, 1, 2, 2, 1), groups=2, padding_mode="circular", padding=1)]
    layers += [ConvTranspose(fractions(2, 1, 2, 1, 2), stride=(2, 1, 3))]
    assert equal(Network(layers, (2, 2, 3, 2)), pools=True)


def squares(channels, seed):
    bottom = np.random.default_rng(seed).integers(1, 4, channels)
    return np.array([Fraction(1, int(n) ** 2) for n in bottom], dtype=object)


def normalisation(channels, seed, **options):
    three = (fractions(channels, seed=seed + i) for i in range(3))
    return BatchNorm(*three, squares(channels, seed), 0, **options)


@pytest.mark.parametrize(
    "before",
    [
        lambda: [Conv(fractions(4, 1, 3), dilation=2, groups=2)],
        lambda: [Conv(fractions(4, 2, 3))],
        lambda: [ConvTranspose(fractions(2, 2, 3), groups=2, stride=2)],
        lambda: [ReLU(), Conv(fractions(4, 2, 3)), ReLU()],
        lambda: [Flatten(), Dense(fractions(4, 14))],
        lambda: [Flatten(), Dense(fractions(4, 14)), ReLU()],
    ],
)
def test_normalisation(before):
    net = Network([*before(), normalisation(4, 3), ReLU()], (2, 7))
    assert equal(net)
    assert net.layers[-2].name == "BatchNorm"


def test_a_convolution_that_is_read_without_its_normalisation_too():
    layers = [Conv(fractions(2, 1, 3), groups=2), normalisation(2, 1), Add(0, 1), ReLU(), Add(3, 0)]
    assert equal(Network(layers, (2, 7)))


# --- whole networks -----------------------------------------------------------------------------


@each_network
@pytest.mark.parametrize("pools", [False, True])
def test_the_plain_network_equals_the_network_exactly(net, pools):
    # All numbers are small multiples of powers of 2, so there is no rounding that could differ.
    plain, x = to_plain(net, pools=pools), inputs(net)
    check_plain(plain, pools=pools)
    np.testing.assert_array_equal(plain(x), net(x))


@each_network
def test_numbers_of_many_digits_and_their_precision(net):
    drawn = with_random_weights(net, np.float32, seed=5)
    plain, x = to_plain(drawn, pools=True), normal(3, *net.input_shape).astype(np.float32)
    if any(layer.params for layer in drawn.layers):
        assert {value.dtype for _, _, value in plain.parameters()} == {np.dtype(np.float32)}
    np.testing.assert_allclose(plain(x), drawn(x), rtol=1e-4, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(400))
def test_random_networks_of_fractions(seed):
    assert equal(random_network(seed), pools=bool(seed % 2), seed=seed)


@pytest.mark.parametrize("seed", range(400, 425))
def test_some_random_networks_of_fractions(seed):
    assert equal(random_network(seed), pools=bool(seed % 2), seed=seed)


def random_network(seed):
    """Return up to four layers with random options, and a sum with what was before the last."""
    rng = np.random.default_rng(seed)
    ndim = int(rng.integers(1, 3))
    shape = (2, *(int(n) for n in rng.integers(3, 8, ndim)))
    layers, start = [], shape
    while len(layers) < 4:
        layer = random_layer(rng, shape, seed + len(layers))
        try:
            after = layer.output_shape(shape)
        except ValueError:
            continue
        if max(after[1:]) > 12:
            break
        layers, shape = [*layers, layer], after
    layers = layers or [ReLU()]
    layers += [LeakyReLU(Fraction(1, 3)), Add(len(layers), len(layers) - 1)]
    return Network(layers, start)


def random_layer(rng, shape, seed):
    ndim = len(shape) - 1
    pads = [tuple(int(n) for n in rng.integers(0, 3, 2)) for _ in range(ndim)]
    kernel = [int(n) for n in rng.integers(1, 4, ndim)]
    common = {
        "padding": pads,
        "stride": int(rng.integers(1, 4)),
        "dilation": int(rng.integers(1, 3)),
    }
    groups, kind = int(rng.choice([1, shape[0]])), rng.integers(6)
    options = dict(common, groups=groups, flip=bool(rng.integers(2)))
    options["padding_mode"] = str(rng.choice(["zeros", *reference.MODES]))
    if kind == 0:
        weight = fractions(shape[0], 2 // groups, *kernel, seed=seed)
        return ConvTranspose(weight, fractions(2, seed=seed + 1), **options)
    if kind == 1:
        return MaxPool(kernel, ceil_mode=bool(rng.integers(2)), **common)
    if kind == 2:
        del common["dilation"]
        return AvgPool(kernel, count_include_pad=bool(rng.integers(2)), **common)
    if kind == 3:
        return normalisation(shape[0], seed)
    weight = fractions(2, shape[0] // groups, *kernel, seed=seed)
    return Conv(weight, fractions(2, seed=seed + 1), **options)


# --- no larger than needed ----------------------------------------------------------------------


def windows_by_trial(offsets, size, outputs, stride):
    """Return the fewest taps with which a plain kernel can read at all of these offsets."""
    for taps in range(1, 60):
        for padding in range(60):
            held = -padding <= min(offsets) and max(offsets) < taps - padding
            if held and (size + 2 * padding - taps) // stride + 1 == outputs:
                return taps
    raise AssertionError


@pytest.mark.parametrize("seed", range(60))
def test_no_plain_kernel_with_these_taps_is_smaller(seed):
    rng = np.random.default_rng(seed)
    size, stride, taps, dilation = (int(n) for n in rng.integers(1, (9, 4, 5, 4)))
    low, high = (int(n) for n in rng.integers(0, 6, 2))
    layer = Conv(fractions(1, 1, taps), stride=stride, dilation=dilation, padding=[(low, high)])
    try:
        outputs = layer.output_shape((1, size))[1]
    except ValueError:
        return
    reads = list(reference.reads((taps,), (size,), **layer.options))
    met = sorted({dilation * tap[0] - low for _, tap, place in reads if place is not None})
    (weight,) = kernels(
        to_plain(Network([Conv(layer.weight, flip=True, **layer.options)], (1, size)))
    )
    assert weight.shape[2] == windows_by_trial(met or [0], size, outputs, stride)


def test_sizes_of_some_kernels():
    def shape(layer, *input_shape):
        return [weight.shape for weight in kernels(to_plain(Network([layer], input_shape)))]

    ones = np.ones
    assert shape(Conv(ones((8, 4, 3, 3)), dilation=36, padding=36), 4, 33, 33) == [(8, 4, 1, 1)]
    assert shape(Conv(ones((8, 1, 3, 3)), groups=8, padding=1), 8, 9, 9) == [(8, 8, 3, 3)]
    # A stride that leaves a rest needs no zeros in the kernel, only other padding.
    assert shape(Conv(ones((1, 1, 3)), stride=2, padding=[(1, 0)]), 1, 8) == [(1, 1, 3)]
    assert shape(Conv(ones((1, 1, 3)), stride=2, padding=[(0, 1)]), 1, 8) == [(1, 1, 4)]
    assert shape(ConvTranspose(ones((4, 3, 2, 2)), stride=2), 4, 5, 5) == [(12, 4, 1, 1)]
    assert shape(ConvTranspose(ones((4, 3, 4, 4)), stride=2, padding=1), 4, 5, 5) == [(12, 4, 3, 3)]
    mirrored = Conv(ones((6, 4, 3, 3)), padding=1, padding_mode="reflect")
    assert shape(mirrored, 4, 9, 7) == [(11, 9, 1, 1), (9, 7, 1, 1), (6, 4, 3, 3)]
    # The averages of many channels over everything: not the matrix of 2048 x 2048 x 49 numbers.
    assert shape(AdaptiveAvgPool(1), 2048, 7, 7) == [(1, 7, 1, 1), (1, 7, 1, 1)]
    assert shape(AdaptiveAvgPool(1), 16, 7, 7) == [(16, 16, 7, 7)]
    assert shape(AvgPool((1, 2)), 4096, 2, 4) == [(2, 4, 1, 1)]
    assert shape(AvgPool(1), 4096, 2, 4) == [(4, 4, 1, 1)]
    net = Network([ReLU(), MaxPool((7, 7))], (512, 7, 7))
    assert sum(weight.size for weight in kernels(to_plain(net, pools=True))) < 300


def test_what_is_plain_already_is_kept():
    layers = [Conv(normal(3, 2, 3, 3), padding="same"), ReLU(), Conv(normal(2, 3, 2, 2), stride=2)]
    net = Network(layers, (2, 6, 6))
    assert all(a is b for a, b in zip(to_plain(net).layers, layers, strict=True))
    assert [entry.verdict for entry in plain_report(net)] == ["kept"] * 3


# --- the report ---------------------------------------------------------------------------------


def test_the_report_says_what_was_not_plain():
    layers = [
        Conv(normal(4, 1, 3, 3), groups=2, dilation=(1, 2), padding=[(0, 1), (1, 1)], flip=True),
        BatchNorm(*normal(3, 4), np.ones(4)),
        ReLU(),
        Conv(normal(2, 4, 3, 3), padding=1, padding_mode="circular"),
        AvgPool(2),
        MaxPool(2),
    ]
    net = Network(layers, (2, 9, 10))
    report = plain_report(net)
    assert [(entry.verdict, entry.reason) for entry in report] == [
        (
            "rewritten",
            "dilation 1 x 2, 2 groups, padding (0, 1), (1, 1), flip, normalisation after it",
        ),
        ("rewritten", "folded into layer 0 (Conv)"),
        ("kept", ""),
        ("rewritten", "padding_mode 'circular'"),
        ("rewritten", "averages"),
        ("kept", ""),
    ]
    assert plain_report(net, pools=True)[5].reason == "pools"
    assert sum(entry.after for entry in report) == sum(
        value.size for _, _, value in to_plain(net).parameters()
    )
    assert str(report.table) == repr(report)
    assert "<table" in report._repr_html_()


class Unknown(Layer):
    def forward(self, *xs):
        return xs[0]


def test_what_is_refused_is_named_and_the_rest_is_reported_all_the_same():
    net = Network([Unknown(), Conv(normal(2, 1, 3), groups=2), Conv(normal(2, 2, 3))], (2, 9))
    report = plain_report(net)
    assert isinstance(report, PlainReport)
    assert [entry.verdict for entry in report] == ["refused", "rewritten", "kept"]
    assert report[0].reason == "no rule is known for it"
    with pytest.raises(UnsupportedLayer, match=r"layer 0 \(Unknown\): no rule is known for it"):
        to_plain(net)


def test_what_is_too_large_is_refused_before_it_is_allocated():
    huge = Conv(np.ones((50_000, 1, 3)), groups=50_000)
    net = Network([huge], (50_000, 9))
    message = r"layer 0 \(Conv\): its plain kernel of shape \(50000, 50000, 3\) would take 60 GB"
    with pytest.raises(MatrixTooLarge, match=message):
        to_plain(net)
    small = Network([Conv(np.ones((2, 1, 3)), groups=2)] * 2, (2, 9))
    assert to_plain(small, max_bytes=192)
    with pytest.raises(MatrixTooLarge, match=r"layer 1 .* over max_bytes \(=191\)"):
        to_plain(small, max_bytes=191)
    with pytest.raises(ValueError, match="max_bytes"):
        to_plain(small, max_bytes=0)


# --- planted errors -----------------------------------------------------------------------------


def everything_equal():
    """Return whether every third of the cases above, and each pool, still is equal."""
    layers = []
    for case in CASES[::3]:
        weight, shape = fractions(*case.weight), case.input[1:]
        layers.append((Conv(weight, **case.options), case.input))
        layers.append((ConvTranspose(weight, output_shape=shape, **case.options), case.output))
    for options in POOLS.values():
        layers += [(MaxPool(**options), (2, 5, 6)), (AvgPool(**options), (2, 5, 6))]
    try:
        return all(equal(Network([layer], shape), pools=True) for layer, shape in layers)
    except (ValueError, IndexError, AssertionError):
        return False


def zeros_at_the_other_end(window, *given):
    found = window(*given)
    return found._replace(padding=max(0, found.padding - 1))


def larger_by_one(window, *given):
    found = window(*given)
    return found._replace(size=found.size + 1)


def one_tap_less(met, *given):
    return met(*given)[1:]


def first_element_for_padding(selection, elements, *given):
    return selection(np.maximum(elements, 0), *given)


def axes_swapped(along, matrix, shape, number, layers):
    return along(matrix, shape, max(0, len(shape) - 2 - number), layers)


def no_rearrangement(fused, layers):
    return fused([layer for layer in layers if not isinstance(layer, Rearrange)])


def nothing_cropped(cropped, shape, whole, site):
    return cropped(shape, shape[1:], site)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("_window", zeros_at_the_other_end),
        ("_window", larger_by_one),
        ("_met", one_tap_less),
        ("_selection", None),
        ("_along", axes_swapped),
        ("_fused", no_rearrangement),
        ("_cropped", nothing_cropped),
        ("PADDING", None),
        ("tournament", None),
    ],
)
def test_a_planted_error_is_noticed(name, wrong, monkeypatch):
    honest = getattr(module, name)
    if name == "PADDING":  # as if no window reached over the input
        replacement = honest - 1
    elif name == "tournament":
        replacement = lambda *given, nonnegative: honest(*given, nonnegative=True)  # noqa: E731
    elif name == "_selection":
        replacement = lambda elements, *given: honest(elements[::-1], *given)  # noqa: E731
    else:
        replacement = lambda *given: wrong(honest, *given)  # noqa: E731
    monkeypatch.setattr(module, name, replacement)
    assert not everything_equal()


def test_without_a_planted_error_everything_is_equal():
    assert everything_equal()


def test_networks_that_are_there_for_every_rule():
    kinds = {type(layer) for make in NETWORKS.values() for layer in make().layers}
    assert kinds >= {Conv, ConvTranspose, BatchNorm, AvgPool, AdaptiveAvgPool, MaxPool, Rearrange}
    assert kinds >= {Concat, Maximum, Resample}
