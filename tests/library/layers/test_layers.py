"""Each layer against PyTorch and against difference quotients; the network against both."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse
from networks import distinct, fractions, normal, quotient

from equivlib import conv_operator
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
    Sigmoid,
    Softmax,
    Tanh,
)

CASES_EACH = 40


def random_conv(seed, *, transposed=False):
    """Return a random (layer options, weight shape, input shape) that PyTorch has too."""
    rng = np.random.default_rng(seed)
    ndim, groups = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    into, out = (groups * int(rng.integers(1, 3)) for _ in range(2))
    kernel = tuple(int(k) for k in rng.integers(1, 4, ndim))
    stride = tuple(int(s) for s in rng.integers(1, 4, ndim))
    dilation = tuple(int(d) for d in rng.integers(1, 3, ndim))
    padding = tuple(int(p) for p in rng.integers(0, 3, ndim))
    sizes = tuple(int(n) for n in rng.integers(5, 8, ndim))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    if transposed:
        limits = [max(s, d) for s, d in zip(stride, dilation, strict=True)]
        options["output_padding"] = tuple(int(rng.integers(0, limit)) for limit in limits)
        return options, (into, out // groups, *kernel), (into, *sizes)
    return options, (out, into // groups, *kernel), (into, *sizes)


def random_pool(seed):
    """Return a random (kernel_size, options, input shape) that PyTorch has too."""
    rng = np.random.default_rng(seed)
    ndim = int(rng.integers(1, 4))
    kernel = tuple(int(k) for k in rng.integers(1, 4, ndim))
    options = {
        "stride": tuple(int(s) for s in rng.integers(1, 4, ndim)),
        "padding": tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel),
        "ceil_mode": bool(rng.integers(2)),
    }
    return kernel, options, (int(rng.integers(1, 4)), *(int(n) for n in rng.integers(5, 9, ndim)))


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip(
        "torch", reason="PyTorch is an optional oracle: install the extra 'torch' to run these"
    )


def torch_function(torch, name, shape):
    return getattr(torch.nn.functional, f"{name}{len(shape) - 1}d")


def agrees_with_torch(torch, layer, function, x):
    """Assert values and gradients equal those of a PyTorch function of the parameters."""
    leaf = torch.tensor(x, requires_grad=True)
    params = {name: torch.tensor(p, requires_grad=True) for name, p in layer.params.items()}
    expected = function(leaf, **params)
    y = layer.forward(x)
    assert y.shape == (len(x), *layer.output_shape(x.shape[1:]))
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-11, atol=1e-11)
    grad = normal(*y.shape, seed=7)
    expected.backward(torch.tensor(grad))
    (back,), gradients = layer.backward((x,), y, grad), layer.parameter_gradients((x,), y, grad)
    np.testing.assert_allclose(back, leaf.grad.numpy(), rtol=1e-11, atol=1e-11)
    assert gradients.keys() == params.keys()
    for name, p in params.items():
        np.testing.assert_allclose(gradients[name], p.grad.numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("seed", range(CASES_EACH))
def test_a_convolution_is_that_of_pytorch(torch, seed):
    options, weight, shape = random_conv(seed)
    function = torch_function(torch, "conv", shape)
    layer = Conv(normal(*weight), normal(weight[0], seed=1), **options)
    agrees_with_torch(torch, layer, lambda x, **p: function(x, **p, **options), normal(2, *shape))


@pytest.mark.parametrize("seed", range(CASES_EACH))
def test_a_transposed_convolution_is_that_of_pytorch(torch, seed):
    options, weight, shape = random_conv(seed, transposed=True)
    function = torch_function(torch, "conv_transpose", shape)
    bias = normal(weight[1] * options["groups"], seed=1)
    layer = ConvTranspose(normal(*weight), bias, **options)
    agrees_with_torch(torch, layer, lambda x, **p: function(x, **p, **options), normal(2, *shape))


@pytest.mark.parametrize("seed", range(CASES_EACH))
def test_max_pooling_is_that_of_pytorch(torch, seed):
    kernel, options, shape = random_pool(seed)
    options["dilation"] = 1 + seed % 2
    function = torch_function(torch, "max_pool", shape)
    layer = MaxPool(kernel, **options)
    x = normal(2, *shape) - 3  # mostly negative: a zero from padding would win
    agrees_with_torch(torch, layer, lambda x: function(x, kernel, **options), x)
    ties = x.round()  # the first of several largest has the gradient
    agrees_with_torch(torch, layer, lambda x: function(x, kernel, **options), ties)


@pytest.mark.parametrize("seed", range(CASES_EACH))
def test_average_pooling_is_that_of_pytorch(torch, seed):
    kernel, options, shape = random_pool(seed)
    options["count_include_pad"] = bool(seed % 2)
    function = torch_function(torch, "avg_pool", shape)
    layer = AvgPool(kernel, **options)
    agrees_with_torch(torch, layer, lambda x: function(x, kernel, **options), normal(2, *shape))


@pytest.mark.parametrize("count", [True, False])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "size"),
    [(3, 2, 0, 2), (1280, 1280, 0, 7), (5, 4, 1, 1), (8, 3, 2, 2), (4, 4, 2, 5)],
)
def test_a_last_window_may_be_larger_than_the_input(torch, kernel, stride, padding, size, count):
    options = {"stride": stride, "padding": padding, "ceil_mode": True}
    x = normal(2, 1, size) - 3
    function = torch_function(torch, "max_pool", (1, size))
    layer = MaxPool(kernel, **options)
    agrees_with_torch(torch, layer, lambda x: function(x, kernel, **options), x)
    options["count_include_pad"] = count
    function = torch_function(torch, "avg_pool", (1, size))
    layer = AvgPool(kernel, **options)
    agrees_with_torch(torch, layer, lambda x: function(x, kernel, **options), x)


def test_a_window_that_needs_more_than_one_stride_beyond_the_end_is_refused(torch):
    with pytest.raises(ValueError, match="reaches over 5 elements"):
        Network([MaxPool(5, stride=2, ceil_mode=True)], (1, 2))
    with pytest.raises(RuntimeError, match="output size"):
        torch.nn.functional.max_pool1d(torch.zeros(1, 1, 2), 5, 2, ceil_mode=True)


@pytest.mark.parametrize("seed", range(CASES_EACH))
def test_adaptive_pooling_is_that_of_pytorch(torch, seed):
    rng = np.random.default_rng(seed)
    shape = (2, *(int(n) for n in rng.integers(1, 9, seed % 3 + 1)))
    size = tuple(int(m) for m in rng.integers(1, 9, len(shape) - 1))
    function = torch_function(torch, "adaptive_avg_pool", shape)
    x = normal(3, *shape)
    agrees_with_torch(torch, AdaptiveAvgPool(size), lambda x: function(x, size), x)


@pytest.mark.parametrize("shape", [(3,), (3, 5), (3, 4, 5), (3, 2, 3, 4)], ids=str)
def test_batch_normalisation_is_that_of_pytorch(torch, shape):
    mean, var = normal(3, seed=1), normal(3, seed=2) ** 2
    layer = BatchNorm(normal(3, seed=3), normal(3, seed=4), mean, var, 1e-3)
    fixed = torch.tensor(mean), torch.tensor(var)

    def function(x, gamma, beta):
        return torch.nn.functional.batch_norm(x, *fixed, gamma, beta, eps=1e-3)

    agrees_with_torch(torch, layer, function, normal(4, *shape))


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (ReLU(), "relu"),
        (LeakyReLU(0.3), "leaky_relu"),
        (ReLU6(), "relu6"),
        (Sigmoid(), "sigmoid"),
        (Tanh(), "tanh"),
        (Softmax(), "softmax"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("shape", [(5,), (4, 3), (2, 3, 4)], ids=str)
def test_an_activation_is_that_of_pytorch(torch, layer, name, shape):
    extra = {"leaky_relu": {"negative_slope": 0.3}, "softmax": {"dim": 1}}.get(name, {})
    function = getattr(torch.nn.functional, name)
    x = 4 * normal(6, *shape)
    x.flat[:2] = 0, 6  # where the derivative jumps, by the convention of PyTorch
    agrees_with_torch(torch, layer, lambda x: function(x, **extra), x)


def test_a_dense_layer_is_that_of_pytorch(torch):
    layer = Dense(normal(4, 6), normal(4, seed=1))
    agrees_with_torch(torch, layer, torch.nn.functional.linear, normal(3, 6, seed=2))


def test_a_sparse_weight_gives_what_the_dense_one_gives_and_gradients_where_it_stores():
    dense = np.where(normal(5, 7) > 0.5, normal(5, 7, seed=1), 0)
    x, grad, bias = normal(3, 7), normal(3, 5), normal(5)
    full, sparse = Dense(dense, bias), Dense(scipy.sparse.csr_array(dense), bias)
    y = full.forward(x)
    np.testing.assert_allclose(sparse.forward(x), y, rtol=1e-12)
    (back,), (sparse_back,) = full.backward((x,), y, grad), sparse.backward((x,), y, grad)
    gradients = full.parameter_gradients((x,), y, grad)
    sparse_gradients = sparse.parameter_gradients((x,), y, grad)
    np.testing.assert_allclose(sparse_back, back, rtol=1e-12)
    stored = sparse_gradients["weight"]
    assert stored.nnz == np.count_nonzero(dense) > 0
    expected = np.where(dense != 0, gradients["weight"], 0)
    np.testing.assert_allclose(stored.toarray(), expected, rtol=1e-12)
    np.testing.assert_array_equal(sparse_gradients["bias"], gradients["bias"])


def test_an_operator_as_weight_is_applied_both_ways_and_has_no_gradient():
    weight = normal(3, 2, 3, 3)
    layer = Dense(conv_operator(weight, (2, 5, 5)), normal(27))
    conv = Conv(weight)
    x = normal(4, 2, 5, 5)
    y = layer.forward(x.reshape(4, -1))
    expected = conv.forward(x)
    np.testing.assert_allclose(y - layer.bias, expected.reshape(4, -1), atol=1e-12)
    grad = normal(*expected.shape)
    given = (x.reshape(4, -1),), y, grad.reshape(4, -1)
    (back,), (conv_back,) = layer.backward(*given), conv.backward((x,), expected, grad)
    np.testing.assert_allclose(back, conv_back.reshape(4, -1), atol=1e-12)
    assert layer.parameter_gradients(*given).keys() == {"bias"}


def test_the_gradient_of_a_weight_is_the_dense_gradient_summed_over_ties():
    from equivlib import tap_matrix

    options = {"stride": 2, "padding": 1, "padding_mode": "reflect"}
    weight, x = normal(2, 1, 3), normal(4, 1, 7)
    layer = Conv(weight, **options)
    y = layer.forward(x)
    grad = normal(*y.shape, seed=1)
    dense = grad.reshape(4, -1).T @ x.reshape(4, -1)
    ours = layer.parameter_gradients((x,), y, grad)["weight"]
    for tap in np.ndindex(weight.shape):
        ties = tap_matrix(tap, weight.shape, x.shape[1:], **options)
        np.testing.assert_allclose(ours[tap], (ties * dense).sum(), rtol=1e-12)


# --- against difference quotients -------------------------------------------------------------


def small_networks():
    """Return a network for each kind of layer and wiring, with an input away from corners."""
    head = [Flatten(), Dense(normal(3, 8), normal(3))]
    block = [
        Conv(normal(2, 2, 3, 3), padding=1, padding_mode="circular"),
        BatchNorm(normal(2), normal(2), normal(2), [0.5, 2.0]),
        LeakyReLU(0.2),
        Conv(normal(2, 2, 1, 1), normal(2), source=-1),
        Add(2, 3, -1),
    ]
    image = (2, 4, 4)
    return {
        "residual block": Network([*block, MaxPool(2), *head], image),
        "average": Network([AvgPool(3, stride=1), Tanh(), *head], image),
        "adaptive": Network([AdaptiveAvgPool((1, 4)), Sigmoid(), *head, Softmax()], image),
        "transposed": Network(
            [MaxPool(2), ConvTranspose(normal(2, 2, 3, 3), stride=2), ReLU6(), ReLU()], image
        ),
        "one axis": Network([Conv(normal(2, 1, 3), dilation=2), ReLU(), Flatten()], (1, 8)),
        "input used twice": Network([Add(-1, -1), Tanh()], (3,)),
        "selected, joined": Network(
            [
                Rearrange([[5, 1, -1, 0], [-1, 2, 2, 3]], size=6),
                Conv(normal(3, 2, 2), normal(3)),
                Conv(normal(2, 2, 2, seed=1), source=0),
                Concat(1, 2, 2),
                Tanh(),
            ],
            (2, 3),
        ),
        "largest": Network(
            [Conv(normal(2, 2, 1)), Conv(normal(2, 2, 1, seed=1), source=-1), Maximum(0, 1, -1)],
            (2, 5),
        ),
        "interpolated": Network([Resample(normal(3, 4), normal(5, 4)), Tanh()], image),
        "sparse": Network([Dense(scipy.sparse.csr_array([[1.0, 0], [2, 3]])), Tanh()], (2,)),
    }


@pytest.mark.parametrize("name", small_networks())
def test_gradients_are_the_difference_quotients(name):
    net = small_networks()[name]
    x = distinct(2, *net.input_shape)
    direction = normal(2, *net.output_shape, seed=5)

    def number():
        return float((net(x) * direction).sum())

    net(x)
    back = net.backward(direction)
    np.testing.assert_allclose(back, quotient(number, x), rtol=1e-6, atol=1e-7)
    checked = 0
    for position, key, value in net.parameters():
        ours = net.gradients[position][key]
        if scipy.sparse.issparse(value):
            value, ours = value.data, ours.data
        net(x)
        np.testing.assert_allclose(ours, quotient(number, value), rtol=1e-6, atol=1e-7)
        checked += value.size
    assert checked > 0 or not any(layer.params for layer in net.layers)


# --- exact numbers ------------------------------------------------------------------------------


EXACT = [
    Conv(fractions(3, 2, 2, 2), fractions(3)),
    ConvTranspose(fractions(2, 3, 2, 2), fractions(3), stride=2, output_padding=1),
    BatchNorm(fractions(2), fractions(2), fractions(2), [Fraction(1, 4), Fraction(9)], 0),
    MaxPool(2, padding=1, stride=1),
    AvgPool(3, padding=1, stride=2, count_include_pad=False),
    AdaptiveAvgPool(3),
    Resample(fractions(3, 4), fractions(2, 5)),
    Rearrange([[[39, -1], [3, 3]]], size=40),
    ReLU(),
    LeakyReLU(Fraction(1, 3)),
    ReLU6(),
]


@pytest.mark.parametrize("layer", EXACT, ids=lambda layer: layer.name)
def test_fractions_stay_exact_forward_and_backward(layer):
    x = fractions(2, 2, 4, 5, seed=1)
    y = layer.forward(x)
    given = (x,), y, fractions(*y.shape, seed=2)
    (back,), gradients = layer.backward(*given), layer.parameter_gradients(*given)
    for array in (y, back, *gradients.values()):
        assert all(isinstance(value, (Fraction, int)) for value in array.flat)
    floats = type(layer).__new__(type(layer))
    floats.__dict__.update(layer.__dict__)
    floats.params = {name: value.astype(float) for name, value in layer.params.items()}
    for name in ("mean", "_deviation"):
        if hasattr(layer, name):
            setattr(floats, name, getattr(layer, name).astype(float))
    close = floats.forward(x.astype(float))
    np.testing.assert_allclose(y.astype(float), close, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layer", [Add(-1, -1, -1), Maximum(-1, -1, -1), Concat(-1, -1, -1)])
def test_what_joins_layers_keeps_fractions_exact(layer):
    xs = tuple(fractions(2, 3, 4, seed=seed) for seed in range(3))
    y = layer.forward(*xs)
    whole = np.stack(xs) if not isinstance(layer, Concat) else np.concatenate(xs, axis=1)
    expected = {"Add": lambda: whole.sum(axis=0), "Maximum": lambda: whole.max(axis=0)}
    assert (y == expected.get(layer.name, lambda: whole)()).all()
    grad = fractions(*y.shape, seed=3)
    back = layer.backward(xs, y, grad)
    assert [g.shape for g in back] == [x.shape for x in xs]
    total = sum(g.sum() for g in back)
    assert total == grad.sum() * (3 if layer.name == "Add" else 1)


def test_of_equal_values_the_first_has_the_gradient():
    x = np.array([[1, 2, 3]])
    first, second = Maximum(-1, -1).backward((x, x), x, x)
    assert (first == x).all()
    assert not second.any()


def test_integers_stay_integers():
    net = Network([Conv(np.ones((1, 1, 2), int)), MaxPool(2), ReLU6(), LeakyReLU(2)], (1, 5))
    y = net(np.array([[2**60, 1, -5, 3, -9]]))
    assert y.dtype == np.int64
    assert y.tolist() == [[6, 0]]
    assert MaxPool(3, padding=1).forward(np.full((1, 1, 3), -7, np.int8)).tolist() == [[[-7]]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_precision_is_that_of_the_input_and_the_weights(dtype):
    def parameter(*shape):
        return normal(*shape).astype(dtype)

    net = Network(
        [
            Conv(parameter(2, 1, 2, 2), parameter(2)),
            BatchNorm(parameter(2), parameter(2), parameter(2), parameter(2) ** 2),
            LeakyReLU(),
            MaxPool(2, stride=1, padding=1),
            AvgPool(3, padding=1, stride=1, count_include_pad=False),
            ConvTranspose(parameter(2, 2, 2, 2)),
            AdaptiveAvgPool(2),
            ReLU6(),
            Sigmoid(),
            Tanh(),
            Flatten(),
            Dense(parameter(3, 8), parameter(3)),
            ReLU(),
            Softmax(),
        ],
        (1, 6, 6),
    )
    y = net(parameter(2, 1, 6, 6))
    assert y.dtype == dtype
    assert net.backward(y).dtype == dtype
    assert {g.dtype for layer in net.gradients for g in layer.values()} == {np.dtype(dtype)}


# --- folding ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Conv(fractions(4, 1, 2, 2), groups=2, stride=2), (2, 5, 5)),
        (Conv(fractions(4, 2, 3), fractions(4), padding=1, source=-1), (2, 5)),
        (ConvTranspose(fractions(2, 2, 2), fractions(4), groups=2, stride=2), (2, 5)),
        (Dense(fractions(4, 3), fractions(4)), (3,)),
    ],
    ids=str,
)
def test_a_folded_layer_is_the_two_layers(layer, shape):
    var = np.array([Fraction(n * n, 4) for n in (1, 2, 3, 5)], dtype=object)
    norm = BatchNorm(fractions(4, seed=3), fractions(4, seed=4), fractions(4, seed=5), var, 0)
    folded, x = norm.folded(layer), fractions(2, *shape, seed=6)
    assert (folded.forward(x) == norm.forward(layer.forward(x))).all()
    assert folded.sources == layer.sources


def test_a_sparse_layer_is_folded_too():
    layer = Dense(scipy.sparse.csr_array([[1.0, 0, 2], [0, 3, 0]]))
    norm, x = BatchNorm([2, 3], [1, 1], [0, 1], [4, 9], 0), normal(2, 3)
    folded = norm.folded(layer)
    np.testing.assert_allclose(folded.forward(x), norm.forward(layer.forward(x)), rtol=1e-12)
    assert folded.weight.nnz == 3


# --- the network --------------------------------------------------------------------------------


def test_any_number_of_batch_axes_is_taken():
    net = Network([Conv(normal(2, 1, 3)), Flatten(), Dense(normal(3, 6))], (1, 5))
    x = normal(2, 3, 1, 5)
    y = net(x)
    assert y.shape == (2, 3, 3)
    assert net.backward(y).shape == x.shape
    np.testing.assert_allclose(net(x[1, 2]), y[1, 2], rtol=1e-12)
    assert net(np.empty((0, 1, 5))).shape == (0, 3)


def test_the_gradient_of_the_input_can_be_left_out():
    net = small_networks()["residual block"]
    x = distinct(2, *net.input_shape)
    y = net(x)
    net.backward(y)
    expected = net.gradients
    assert net.backward(y, to_input=False) is None
    for ours, theirs in zip(net.gradients, expected, strict=True):
        assert ours.keys() == theirs.keys()
        assert all((ours[name] == theirs[name]).all() for name in ours)


def test_a_shortcut_in_a_shortcut_is_the_formula():
    a, b = normal(2, 2, 1), normal(2, 2, 1)
    net = Network([Conv(a), Conv(b), Add(0, 1), Conv(a, source=0), Add(3, 2, -1)], (2, 4))
    x = normal(2, 4)
    first = a[..., 0] @ x
    expected = a[..., 0] @ first + (first + b[..., 0] @ first) + x
    np.testing.assert_allclose(net(x), expected, rtol=1e-12)


BAD = {
    "no layers": (lambda: Network([], (3,)), r"layers must hold at least one"),
    "something else": (lambda: Network(["relu"], (3,)), r"layers\[0\] \(='relu'\)"),
    "input_shape of no size": (lambda: Network([ReLU()], ()), r"input_shape \(=\(\)\)"),
    "input_shape with a 0": (lambda: Network([ReLU()], (3, 0)), r"input_shape\[1\] \(=0\)"),
    "reading a later layer": (
        lambda: Network([Add(-1, 1), ReLU()], (3,)),
        r"layer 0 \(Add\) reads layer 1, but can only read earlier ones",
    ),
    "a layer that nothing reads": (
        lambda: Network([ReLU(), Tanh(source=-1)], (3,)),
        r"layer 0 \(ReLU\) is read by no later layer",
    ),
    "sum of one": (lambda: Add(1), r"sources \(=\(1,\)\)"),
    "source that is no position": (lambda: ReLU(source=1.5), r"source \(=1\.5\)"),
    "negative source": (lambda: ReLU(source=-2), r"source \(=-2\)"),
    "bool source": (lambda: Add(True, 0), r"source \(=True\)"),
    "sum of two shapes": (
        lambda: Network([Conv(normal(2, 1, 3)), Add(0, -1)], (1, 5)),
        r"layer 1 \(Add\): .*\(2, 3\), \(1, 5\)",
    ),
    "channels that do not fit": (
        lambda: Network([ReLU(), Conv(normal(2, 3, 3))], (1, 5)),
        r"layer 1 \(Conv\): weight_shape\[1\] \(=3\) must be in_channels",
    ),
    "kernel without axes": (lambda: Conv(normal(2, 3)), r"weight \(of shape \(2, 3\)\)"),
    "bias of another length": (lambda: Conv(normal(2, 3, 1), [1]), r"bias \(of shape \(1,\)\)"),
    "transposed with other channels": (
        lambda: Network([ConvTranspose(normal(2, 3, 2))], (3, 5)),
        r"layer 0 \(ConvTranspose\): the input \(of shape \(3, 5\)\) must have 2 channels",
    ),
    "dense on an image": (
        lambda: Network([Dense(normal(2, 12))], (3, 4)),
        r"\(3, 4\)\) must have shape \(features,\) = \(12,\) \(Flatten makes it flat\)",
    ),
    "dense of three axes": (lambda: Dense(normal(1, 2, 3)), r"weight \(of shape \(1, 2, 3\)\)"),
    "dense of words": (lambda: Dense(np.array([["a"]])), r"weight \(of dtype <U1\)"),
    "gamma of two axes": (
        lambda: BatchNorm([[1]], [0], [0], [1]),
        r"gamma \(of shape \(1, 1\)\)",
    ),
    "mean of another length": (lambda: BatchNorm([1], [0], [0, 0], [1]), r"mean \(of shape \(2,\)"),
    "negative variance": (lambda: BatchNorm([1], [0], [0], [-1]), r"var \+ eps .* be positive"),
    "irrational deviation": (
        lambda: BatchNorm([1], [0], [0], np.array([2], dtype=object), 0),
        r"var \+ eps \(=2\) of exact objects must be the square of a fraction",
    ),
    "norm of other channels": (
        lambda: Network([BatchNorm([1], [0], [0], [1])], (2, 3)),
        r"layer 0 \(BatchNorm\): the input \(of shape \(2, 3\)\) must have 1 channels",
    ),
    "folding other channels": (
        lambda: BatchNorm([1], [0], [0], [1]).folded(Conv(normal(2, 1, 1))),
        r"the 1 output channels of the batch normalisation, not 2",
    ),
    "window larger than the input": (
        lambda: Network([MaxPool(4)], (1, 3)),
        r"layer 0 \(MaxPool\): the kernel",
    ),
    "window in padding alone": (
        lambda: Network([MaxPool(2, padding=2)], (1, 4)),
        r"layer 0 \(MaxPool\): padding .* must leave an element of the input",
    ),
    "average of padding alone": (
        lambda: Network([AvgPool(1, padding=1)], (1, 4)),
        r"layer 0 \(AvgPool\): padding .* must leave an element of the input",
    ),
    "dilated average": (lambda: Network([AvgPool(2, dilation=2)], (1, 4)), "dilation is no option"),
    "mirrored maximum": (
        lambda: Network([MaxPool(2, padding_mode="reflect")], (1, 4)),
        r"padding_mode \(='reflect'\) is not an option of MaxPool",
    ),
    "adaptive size 0": (lambda: Network([AdaptiveAvgPool(0)], (1, 4)), r"output_size \(=0\)"),
    "adaptive for other axes": (
        lambda: Network([AdaptiveAvgPool((1, 1))], (1, 4)),
        r"output_size \(=\(1, 1\)\) .* 1 spatial axes",
    ),
    "x of another shape": (
        lambda: Network([ReLU()], (1, 4))(np.ones((2, 4))),
        r"x \(of shape \(2, 4\)\) must be \(\*batch, \*input_shape\)",
    ),
    "x of words": (lambda: Network([ReLU()], (1,))(["a"]), r"x \(of dtype <U1\)"),
    "backward before forward": (lambda: Network([ReLU()], (1,)).backward([1]), "to be called"),
    "fractions through a sparse weight": (
        lambda: Network([Dense(scipy.sparse.csr_array([[1]]))], (1,))(fractions(1)),
        "scipy.sparse holds numbers only",
    ),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD.keys())
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_gradient_of_another_shape_is_refused():
    net = Network([ReLU()], (3,))
    net(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"grad \(of shape \(3,\)\) .* \(2, 3\)"):
        net.backward(np.ones(3))


def test_a_network_says_what_shapes_a_layer_reads():
    net = Network(
        [Conv(normal(3, 2, 3, 3)), ReLU(), Conv(normal(3, 2, 3, 3), source=-1), Add(1, 2)],
        (2, 4, 5),
    )
    assert [net.input_shapes(position) for position in range(4)] == [
        ((2, 4, 5),),
        ((3, 2, 3),),
        ((2, 4, 5),),
        ((3, 2, 3), (3, 2, 3)),
    ]


def test_a_rearrangement_is_reshape_and_transposition():
    x = normal(2, 3, 4, 5)
    places = np.arange(60).reshape(3, 4, 5)
    turned = Rearrange(places.transpose(2, 0, 1))
    np.testing.assert_array_equal(turned.forward(x), x.transpose(0, 3, 1, 2))
    assert turned.output_shape((3, 4, 5)) == (5, 3, 4)
    assert not turned.keeps_order
    grad = normal(2, 5, 3, 4, seed=1)
    (back,) = turned.backward((x,), turned.forward(x), grad)
    np.testing.assert_array_equal(back, grad.transpose(0, 2, 3, 1))
    folded = Rearrange(places.reshape(12, 5))
    np.testing.assert_array_equal(folded.forward(x), x.reshape(2, 12, 5))
    assert folded.keeps_order
    assert repr(folded) == "Rearrange(to (12, 5), in the same order)"


@pytest.mark.parametrize("indices", [[0, 0, 1], [0, 2], [-1, 0], [0.0, 1.0], [], 0])
def test_what_is_no_permutation_is_refused(indices):
    with pytest.raises(ValueError, match=r"indices \(of shape .* must hold each of the integers"):
        Rearrange(indices)


def test_a_rearrangement_needs_as_many_elements():
    with pytest.raises(ValueError, match=r"layer 0 \(Rearrange\): the input \(of shape \(5,\)\)"):
        Network([Rearrange([1, 0])], (5,))
    for indices in ([0, 5], [-2, 1], [], [0.5]):
        with pytest.raises(ValueError, match="must be integers from -1 to size - 1"):
            Rearrange(indices, size=5)
    with pytest.raises(ValueError, match=r"as many elements as indices .* count, 5"):
        Network([Rearrange([0, 4], size=5)], (6,))
