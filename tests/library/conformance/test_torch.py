"""PyTorch's functional convolutions on random geometries.

All numbers are small integers in float64, so every sum is exact and must be equal.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from reference import integers

from equivlib import Geometry, col2im, conv, conv_matrix, conv_operator, conv_transpose, im2col

from .through_matrix import apply, patch_matrix, with_bias

torch = pytest.importorskip(
    "torch", reason="PyTorch is an optional oracle: install the extra 'torch' to run these tests"
)
functional = torch.nn.functional

CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
CONV_TRANSPOSE = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}
#: The padding modes that both have: PyTorch's names, and how far its padding goes on n elements.
MODES = {
    "zeros": ("constant", lambda n: n + 2),
    "circular": ("circular", lambda n: n),
    "reflect": ("reflect", lambda n: n - 1),
    "replicate": ("replicate", lambda n: n + 2),
}


class Case(NamedTuple):
    """A random geometry, with a batch of data and a bias or none."""

    suite: str
    name: str
    x: np.ndarray
    weight: np.ndarray
    bias: np.ndarray | None
    options: dict[str, Any]
    output_padding: tuple[int, ...] = ()

    @property
    def ndim(self):
        return self.weight.ndim - 2

    @property
    def shape(self):
        """Of one sample: the `input_shape` of the library."""
        return self.x.shape[1:]


# Random geometries.


def draw(rng, ndim, mode="zeros"):
    """Return options that all have, the kernel, and sizes that the dilated kernel fits into."""
    kernel, stride, dilation, sizes, padding = [], [], [], [], []
    for _ in range(ndim):
        n, s, d = rng.integers(1, 8 - ndim), rng.integers(1, 4), rng.integers(1, 4)
        low, high = rng.integers(0, min(MODES[mode][1](n), 3) + 1, size=2)
        k = rng.integers(1, min(4, (n + low + high - 1) // d + 1) + 1)
        for values, value in zip(
            (kernel, stride, dilation, sizes, padding), (k, s, d, n, (low, high)), strict=True
        ):
            values.append(value)
    options = {"stride": stride, "dilation": dilation, "padding": padding}
    return kernel, sizes, {name: plain(value) for name, value in options.items()}


def plain(values):
    """Return nested tuples of int."""
    return tuple(tuple(map(int, v)) if isinstance(v, tuple) else int(v) for v in values)


def data(rng, channels_in, weight_channels, kernel, sizes, channels_out):
    """Return a batch, a weight, and a bias or none."""
    seeds = rng.integers(2**31, size=3)
    x = integers((rng.integers(1, 4), channels_in, *sizes), seeds[0], np.float64)
    weight = integers((*weight_channels, *kernel), seeds[1], np.float64)
    bias = integers((channels_out,), seeds[2], np.float64) if rng.integers(2) else None
    return x, weight, bias


def draw_groups(rng):
    """Return groups, and for each the number of channels in and out."""
    return (int(number) for number in rng.integers(1, 4, size=3))


def conv_cases(rng, count):
    for number in range(count):
        ndim, mode = 1 + number % 3, list(MODES)[number // 3 % 4]
        kernel, sizes, options = draw(rng, ndim, mode)
        groups, inputs, outputs = draw_groups(rng)
        options |= {"groups": groups, "padding_mode": mode, "flip": bool(rng.integers(4) == 0)}
        arrays = data(
            rng, groups * inputs, (groups * outputs, inputs), kernel, sizes, groups * outputs
        )
        yield Case(f"PyTorch conv{ndim}d", f"{number}, {mode}", *arrays, options)


def conv_transpose_cases(rng, count):
    """Yield every other one with unequal low and high padding, which PyTorch cannot say."""
    for number in range(count):
        ndim, even = 1 + number % 3, number % 2 == 0
        kernel, sizes, options = draw(rng, ndim)
        groups, inputs, outputs = draw_groups(rng)
        extra, padding = [], []
        for n, k, s, d in zip(sizes, kernel, options["stride"], options["dilation"], strict=True):
            extra.append(rng.integers(max(s, d)))
            whole = int(s * (n - 1) + d * (k - 1) + 1 + extra[-1])
            low = int(rng.integers(min(4, (whole - 1) // 2 + 1)))
            high = low if even else int(rng.integers(min(4, whole - low)))
            padding.append((low, high))
        options |= {"groups": groups, "padding": tuple(padding), "flip": bool(rng.integers(4) == 0)}
        arrays = data(
            rng, groups * inputs, (groups * inputs, outputs), kernel, sizes, groups * outputs
        )
        name = f"{number}, {'equal' if even else 'unequal'} ends"
        yield Case(f"PyTorch conv_transpose{ndim}d", name, *arrays, options, plain(extra))


def patch_cases(rng, count):
    """Yield what PyTorch unfolds: images alone, with the same padding at both ends."""
    for number in range(count):
        kernel, sizes, options = draw(rng, 2)
        options["padding"] = tuple(max(ends) for ends in options["padding"])
        channels = int(rng.integers(1, 4))
        arrays = data(rng, channels, (1, channels), kernel, sizes, 1)
        yield Case("PyTorch unfold and fold", str(number), *arrays, options)


RNG = np.random.default_rng(20240229)
CONV_CASES = list(conv_cases(RNG, 240))
CONV_TRANSPOSE_CASES = list(conv_transpose_cases(RNG, 150))
PATCH_CASES = list(patch_cases(RNG, 60))


def each(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: f"{case.suite}, {case.name}")


def reads_all_outputs(case):
    """Return whether `conv` makes of the result just as many positions as it came from.

    With an output padding beyond the stride, which only a dilation allows, it makes more.
    """
    each = zip(case.output_padding, case.options["stride"], strict=True)
    return all(extra < stride for extra, stride in each)


# The same by PyTorch.


def tensors(case):
    """Return the data and the weight, as it is slid, as tensors; the bias too, if there is one."""
    weight = torch.from_numpy(case.weight)
    if case.options["flip"]:
        weight = weight.flip(tuple(range(2, weight.ndim)))
    bias = None if case.bias is None else torch.from_numpy(case.bias)
    return torch.from_numpy(case.x), weight, bias


def torch_conv(case, x, weight, bias):
    """Pad, then convolve. PyTorch lists the ends of the last axis first."""
    options = case.options
    ends = [end for pair in reversed(options["padding"]) for end in pair]
    padded = functional.pad(x, ends, MODES[options["padding_mode"]][0])
    kept = {name: options[name] for name in ("stride", "dilation", "groups")}
    return CONV[case.ndim](padded, weight, bias, **kept)


def torch_conv_transpose(case):
    """Compute unequal ends without padding, then cut off at each end what it would be."""
    options = {name: case.options[name] for name in ("stride", "dilation", "groups")}
    options["output_padding"] = case.output_padding
    low, high = zip(*case.options["padding"], strict=True)
    if low == high:
        return CONV_TRANSPOSE[case.ndim](*tensors(case), padding=low, **options)
    whole = CONV_TRANSPOSE[case.ndim](*tensors(case), **options)
    kept = zip(low, high, whole.shape[2:], strict=True)
    return whole[:, :, *(slice(start, size - end) for start, end, size in kept)]


# Convolutions.


def test_there_are_more_than_four_hundred_geometries_of_great_variety():
    assert len({case.name for case in CONV_CASES}) == len(CONV_CASES)
    assert len(CONV_CASES) + len(CONV_TRANSPOSE_CASES) + len(PATCH_CASES) >= 400
    for cases in (CONV_CASES, CONV_TRANSPOSE_CASES):
        for name in ("stride", "dilation"):
            assert {max(case.options[name]) for case in cases} == {1, 2, 3}
        assert {case.options["groups"] for case in cases} == {1, 2, 3}
        assert {case.options["flip"] for case in cases} == {False, True}
        assert {case.bias is None for case in cases} == {False, True}
    assert 10 <= sum(reads_all_outputs(case) for case in CONV_TRANSPOSE_CASES) <= 140


@each(CONV_CASES)
def test_conv_is_that_of_pytorch(case):
    expected = torch_conv(case, *tensors(case)).numpy()
    y = conv(case.x, case.weight, case.bias, **case.options)
    np.testing.assert_array_equal(y, expected)


@each(CONV_CASES)
def test_the_matrix_does_what_the_convolution_of_pytorch_does(case):
    expected = torch_conv(case, *tensors(case)).numpy()
    for linear in (conv_matrix, conv_operator):
        matrix = linear(case.weight, case.shape, **case.options)
        y = with_bias(apply(matrix, case.x, expected.shape[1:]), case.bias)
        np.testing.assert_array_equal(y, expected)


@each(CONV_CASES)
def test_the_transpose_is_the_gradient_of_pytorch_with_respect_to_the_input(case):
    x, weight, bias = tensors(case)
    x.requires_grad_()
    y = torch_conv(case, x, weight, bias)
    direction = integers(tuple(y.shape), seed=5, dtype=np.float64)
    y.backward(torch.from_numpy(direction))
    matrix = conv_matrix(case.weight, case.shape, **case.options)
    gradient = apply(matrix.T, direction, case.shape)
    np.testing.assert_array_equal(gradient, x.grad.numpy())
    gradient = conv_transpose(direction, case.weight, output_shape=case.shape[1:], **case.options)
    np.testing.assert_array_equal(gradient, x.grad.numpy())


# Transposed convolutions.


@each(CONV_TRANSPOSE_CASES)
def test_conv_transpose_is_that_of_pytorch(case):
    y = conv_transpose(
        case.x, case.weight, case.bias, output_padding=case.output_padding, **case.options
    )
    np.testing.assert_array_equal(y, torch_conv_transpose(case).numpy())


@each(CONV_TRANSPOSE_CASES)
def test_the_transposed_matrix_does_what_the_transposed_convolution_of_pytorch_does(case):
    """Where `conv` makes more positions than it came from, those are zeros."""
    expected = torch_conv_transpose(case).numpy()
    matrix = conv_matrix(case.weight, expected.shape[1:], **case.options)
    sizes = Geometry(case.weight.shape, expected.shape[1:], **case.options).output_shape[1:]
    missing = [(0, more - n) for more, n in zip(sizes, case.shape[1:], strict=True)]
    x = np.pad(case.x, [(0, 0), (0, 0), *missing])
    y = with_bias(apply(matrix.T, x, expected.shape[1:]), case.bias)
    np.testing.assert_array_equal(y, expected)


@each([case for case in CONV_TRANSPOSE_CASES if reads_all_outputs(case)])
def test_the_output_shape_says_the_same_as_the_output_padding_of_pytorch(case):
    expected = torch_conv_transpose(case).numpy()
    y = conv_transpose(
        case.x, case.weight, case.bias, output_shape=expected.shape[2:], **case.options
    )
    np.testing.assert_array_equal(y, expected)


# Patches.


@each(PATCH_CASES)
def test_im2col_is_unfold_by_function_and_by_matrix(case):
    kernel = case.weight.shape[2:]
    expected = functional.unfold(torch.from_numpy(case.x), kernel, **case.options).numpy()
    np.testing.assert_array_equal(im2col(case.x, kernel, **case.options), expected)
    matrix = patch_matrix(case.shape, kernel, case.x.dtype, **case.options)
    np.testing.assert_array_equal(apply(matrix, case.x, expected.shape[1:]), expected)


@each(PATCH_CASES)
def test_col2im_is_fold_by_function_and_by_matrix(case):
    kernel, shape = case.weight.shape[2:], case.shape
    positions = math.prod(Geometry(case.weight.shape, shape, **case.options).output_shape[1:])
    columns = integers((2, shape[0] * math.prod(kernel), positions), 7, np.float64)
    expected = functional.fold(torch.from_numpy(columns), shape[1:], kernel, **case.options)
    image = col2im(columns, shape, kernel, **case.options)
    np.testing.assert_array_equal(image, expected.numpy())
    matrix = patch_matrix(shape, kernel, columns.dtype, **case.options)
    np.testing.assert_array_equal(apply(matrix.T, columns, shape), expected.numpy())
