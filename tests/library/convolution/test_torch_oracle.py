"""PyTorch as an oracle. All numbers are small integers in float64, so equality is exact."""

from functools import partial

import numpy as np
import pytest
import reference
from cases import CASES
from reference import integers

from equivlib import col2im, conv, conv_matrix, im2col

torch = pytest.importorskip(
    "torch", reason="PyTorch is an optional oracle: install the extra 'torch' to run these tests"
)
functional = torch.nn.functional

CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
LAYER = {1: torch.nn.Conv1d, 2: torch.nn.Conv2d, 3: torch.nn.Conv3d}


def tensor(shape, seed=0):
    """Return small integers as a float64 tensor."""
    return torch.from_numpy(integers(shape, seed, dtype=np.float64))


def ends(case):
    """Return the padding of the case, a (low, high) pair for each axis."""
    axes = reference.axes(case.weight[2:], case.input[1:], **case.options)
    return [(axis.low, axis.high) for axis in axes]


def torch_conv(case, x, weight):
    """Return the convolution of a case by PyTorch: pad, then convolve."""
    options = dict(case.options)
    mode = options.pop("padding_mode", "zeros")
    options.pop("padding", None)
    if options.pop("flip", False):
        weight = weight.flip(tuple(range(2, weight.ndim)))
    # PyTorch lists the ends of the last axis first.
    pairs = [number for pair in reversed(ends(case)) for number in pair]
    padded = functional.pad(x[None], pairs, "constant" if mode == "zeros" else mode)
    return CONV[len(case.input) - 1](padded, weight, **options)[0]


def has_torch_form(case):
    """Tell what PyTorch has: no symmetric padding, at most 3 axes, one turn around the input."""
    mode = case.options.get("padding_mode", "zeros")
    most = {"circular": 0, "reflect": -1}.get(mode, 10**9)
    fits = all(
        max(pair) <= size + most for pair, size in zip(ends(case), case.input[1:], strict=True)
    )
    return mode != "symmetric" and len(case.input) <= 4 and fits


TORCH_CASES = [case for case in CASES if has_torch_form(case)]
each_torch_case = pytest.mark.parametrize("case", TORCH_CASES, ids=lambda case: case.id)


def test_most_cases_have_a_form_in_pytorch():
    assert len(TORCH_CASES) >= 80


@each_torch_case
def test_conv_is_that_of_pytorch(case):
    x, weight = tensor(case.input), tensor(case.weight, seed=1)
    y = conv(x.numpy(), weight.numpy(), **case.options)
    np.testing.assert_array_equal(y, torch_conv(case, x, weight).numpy())


@each_torch_case
def test_the_matrix_is_the_jacobian(case):
    x, weight = tensor(case.input), tensor(case.weight, seed=1)
    jacobian = torch.autograd.functional.jacobian(lambda x: torch_conv(case, x, weight), x)
    matrix = conv_matrix(weight.numpy(), case.input, **case.options)
    np.testing.assert_array_equal(matrix.toarray(), jacobian.numpy().reshape(matrix.shape))


# PyTorch says that it copies the input there, which is no fault.
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("padding_mode", ["zeros", "circular", "reflect", "replicate"])
@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "padding": 2},
        {"kernel_size": 2, "padding": 1, "stride": 2},
        {"kernel_size": 3, "padding": 1, "dilation": 2, "groups": 2},
        {"kernel_size": 2, "padding": "same", "dilation": 3},
        {"kernel_size": 3, "padding": "same", "groups": 4},
        {"kernel_size": 4, "padding": "valid"},
    ],
    ids=str,
)
def test_conv_is_the_layer_of_pytorch(options, padding_mode, ndim):
    torch.manual_seed(0)
    layer = LAYER[ndim](4, 8, padding_mode=padding_mode, dtype=torch.float64, **options)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(tensor(tuple(parameter.shape), seed=2))
        x = tensor((2, 4, 6, 5, 4)[: 2 + ndim])
        expected = layer(x).numpy()
        weight, bias = layer.weight.numpy(), layer.bias.numpy()
    ours = {name: value for name, value in options.items() if name != "kernel_size"}
    y = conv(x.numpy(), weight, bias, padding_mode=padding_mode, **ours)
    np.testing.assert_array_equal(y, expected)


UNFOLD = [
    {},
    {"stride": 2},
    {"stride": (1, 3), "padding": (2, 0)},
    {"dilation": (1, 2), "padding": 1},
    {"stride": (2, 1), "padding": (0, 1), "dilation": (2, 1)},
]


@pytest.mark.parametrize("options", UNFOLD, ids=str)
@pytest.mark.parametrize("kernel_size", [(1, 1), (3, 2), (2, 3)], ids=str)
def test_im2col_is_unfold_and_col2im_is_fold(kernel_size, options):
    x = tensor((2, 3, 6, 7))
    columns = im2col(x.numpy(), kernel_size, **options)
    np.testing.assert_array_equal(columns, functional.unfold(x, kernel_size, **options).numpy())
    y = tensor(columns.shape, seed=1)
    image = col2im(y.numpy(), (3, 6, 7), kernel_size, **options)
    expected = functional.fold(y, (6, 7), kernel_size, **options).numpy()
    np.testing.assert_array_equal(image, expected)


def test_the_transposed_matrix_is_the_gradient_with_respect_to_the_input():
    x, weight = tensor((4, 6, 5)).requires_grad_(), tensor((6, 2, 3, 2), seed=1)
    options = {"stride": (2, 1), "padding": (1, 0), "groups": 2}
    y = functional.conv2d(x[None], weight, **options)
    direction = tensor(tuple(y.shape), seed=2)
    y.backward(direction)
    matrix = conv_matrix(weight.numpy(), (4, 6, 5), **options)
    gradient = matrix.T @ direction.numpy().ravel()
    np.testing.assert_array_equal(gradient.reshape(4, 6, 5), x.grad.numpy())


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_the_dtype_is_that_of_pytorch(dtype):
    x, weight = tensor((1, 5)).to(dtype), tensor((2, 1, 3), seed=1).to(dtype)
    convolve = partial(functional.conv1d, x[None], weight)
    y = conv(x.numpy(), weight.numpy())
    expected = convolve()[0].numpy()
    assert y.dtype == expected.dtype
    np.testing.assert_array_equal(y, expected)
