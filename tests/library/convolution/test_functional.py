"""`conv`, against the definition, NumPy and SciPy."""

import tracemalloc
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import reference
import sympy
from cases import each_case
from reference import MODES, gaussian_integers, integers
from scipy import ndimage, signal

from equivlib import Geometry, conv, conv_matrix
from equivlib.convolution import functional

NDIMAGE_NAME = {
    "zeros": "constant",
    "circular": "wrap",
    "reflect": "mirror",
    "replicate": "nearest",
    "symmetric": "reflect",
}


@each_case
def test_conv_is_the_definition(case):
    x, weight = integers(case.input), integers(case.weight, seed=1)
    y = conv(x, weight, **case.options)
    assert y.shape == case.output
    np.testing.assert_array_equal(y, reference.conv(x, weight, **case.options))


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_one_axis_is_np_correlate_and_flipped_np_convolve(size, mode):
    x, kernel = integers(7), integers(size, seed=1)
    # NumPy drops (size - 1) // 2 of the full result at the low end, the rest at the high end.
    low = size // 2
    padding = {"full": size - 1, "same": ((low, size - 1 - low),), "valid": 0}[mode]
    correlate = partial(conv, x[None], kernel[None, None], padding=padding)
    np.testing.assert_array_equal(correlate()[0], np.correlate(x, kernel, mode))
    np.testing.assert_array_equal(correlate(flip=True)[0], np.convolve(x, kernel, mode))


@pytest.mark.parametrize(
    ("padding_mode", "boundary"), [("zeros", "fill"), ("circular", "wrap"), ("symmetric", "symm")]
)
def test_two_axes_are_correlate2d_and_convolve2d_at_every_boundary(padding_mode, boundary):
    x, kernel = integers((5, 6)), integers((2, 3), seed=1)
    correlate = partial(
        conv, x[None], kernel[None, None], padding=(1, 2), padding_mode=padding_mode
    )
    expected = signal.correlate2d(x, kernel, "full", boundary)
    np.testing.assert_array_equal(correlate()[0], expected)
    expected = signal.convolve2d(x, kernel, "full", boundary)
    np.testing.assert_array_equal(correlate(flip=True)[0], expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("shape", "kernel_shape"),
    [
        ((7,), (3,)),
        ((7,), (4,)),
        ((3,), (9,)),
        ((5, 6), (3, 2)),
        ((3, 2), (5, 4)),
        ((4, 3, 2), (2, 3, 3)),
    ],
    ids=str,
)
def test_every_padding_mode_is_that_of_ndimage_correlate(shape, kernel_shape, mode):
    x, kernel = integers(shape), integers(kernel_shape, seed=1)
    # ndimage puts tap size // 2 of the kernel on the output element.
    padding = [(size // 2, size - 1 - size // 2) for size in kernel_shape]
    y = conv(x[None], kernel[None, None], padding=padding, padding_mode=mode)
    np.testing.assert_array_equal(y[0], ndimage.correlate(x, kernel, mode=NDIMAGE_NAME[mode]))


@pytest.mark.parametrize("batch", [(), (1,), (3,), (2, 3), (2, 1, 2), (0,)], ids=str)
def test_any_number_of_batch_axes_comes_first(batch):
    options = {"stride": 2, "padding": ((1, 2), (0, 1)), "padding_mode": "circular", "groups": 2}
    x, weight, bias = (
        integers((*batch, 4, 5, 3)),
        integers((6, 2, 3, 2), seed=1),
        integers(6, seed=2),
    )
    y = conv(x, weight, bias, **options)
    assert y.shape == (*batch, 6, 3, 2)
    for index in np.ndindex(batch):
        np.testing.assert_array_equal(y[index], conv(x[index], weight, bias, **options))


def test_the_bias_is_added_to_every_element_of_its_channel():
    x, weight = integers((2, 5, 4)), integers((3, 2, 2, 2), seed=1)
    y = conv(x, weight, np.array([10, -20, 30]))
    expected = conv(x, weight) + np.array([10, -20, 30])[:, None, None]
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize(
    ("x", "weight", "bias"),
    [
        ("float32", "float32", None),
        ("float32", "float32", "float32"),
        ("float32", "float64", None),
        ("float32", "float32", "float64"),
        ("int8", "int8", None),
        ("uint8", "int8", None),
        ("uint8", "float32", None),
        ("int64", "float32", None),
        ("int32", "int32", "int64"),
        ("float32", "complex64", None),
        ("float64", "complex64", None),
        ("float64", "float64", "complex128"),
        ("int64", object, None),
        ("float64", "float64", object),
    ],
)
def test_the_dtype_is_the_result_type_of_the_arguments(x, weight, bias):
    arrays = [integers((1, 4)).astype(x), integers((2, 1, 2)).astype(weight)]
    arrays += [] if bias is None else [integers(2).astype(bias)]
    y = conv(*arrays, groups=1)
    assert y.dtype == np.result_type(*arrays)
    arrays = [array.astype(np.result_type(*arrays)) for array in arrays]
    np.testing.assert_array_equal(y, conv(*arrays))


def test_complex_weights_are_not_conjugated():
    x, weight = gaussian_integers((2, 4, 3)), gaussian_integers((3, 2, 2, 2), seed=7)
    for flip in (False, True):
        y = conv(x, weight, flip=flip)
        np.testing.assert_array_equal(y, reference.conv(x, weight, flip=flip).astype(complex))


def test_fractions_stay_exact():
    x = np.array([[Fraction(1, 3), Fraction(1, 7), Fraction(2, 5), Fraction(-1, 9)]])
    weight = np.array([[[Fraction(1, 2), Fraction(-3, 11)]]])
    y = conv(x, weight, np.array([Fraction(1, 13)]))
    assert y.dtype == object
    assert y[0, 2] == Fraction(2, 5) / 2 + Fraction(1, 9) * Fraction(3, 11) + Fraction(1, 13)
    np.testing.assert_array_equal(y, reference.conv(x, weight) + Fraction(1, 13))


def test_python_integers_of_any_size_stay_exact():
    x = np.array([[10**30, -(10**30), 1]], dtype=object)
    weight = np.array([[[10**20, 1]]], dtype=object)
    assert conv(x, weight).tolist() == [[10**50 - 10**30, 1 - 10**50]]


@each_case
def test_objects_go_through_every_option(case):
    x, weight = integers(case.input, dtype=object), integers(case.weight, seed=1, dtype=object)
    y = conv(x, weight, **case.options)
    assert y.dtype == object
    np.testing.assert_array_equal(y, reference.conv(x, weight, **case.options))


def test_symbols_give_the_formula():
    a, b, c = sympy.symbols("a b c")
    p, q, r, s = sympy.symbols("p q r s")
    y = conv(np.array([[p, q, r, s]]), np.array([[[a, b, c]]]), padding=((1, 0),))
    expected = [b * p + c * q, a * p + b * q + c * r, a * q + b * r + c * s]
    assert [sympy.expand(entry - value) for entry, value in zip(y[0], expected, strict=True)] == [
        0
    ] * 3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_are_within_the_rounding_error_of_a_sum(dtype):
    generator = np.random.default_rng(3)
    x = generator.standard_normal((8, 9, 7)).astype(dtype)
    weight = generator.standard_normal((4, 8, 3, 3)).astype(dtype)
    y = conv(x, weight, padding=1)

    def fractions(array):
        return np.vectorize(Fraction, otypes=[object])(array.astype(object))

    exact = reference.conv(fractions(x), fractions(weight), padding=1)
    # A sum of n products, in any order, is within n*u / (1 - n*u) of the exact one, times the
    # sum of their magnitudes (Higham 2002, section 3.1); u is half the spacing of 1.
    terms = 8 * 3 * 3 * Fraction(float(np.finfo(dtype).eps)) / 2
    magnitudes = reference.conv(fractions(abs(x)), fractions(abs(weight)), padding=1)
    assert (abs(fractions(y) - exact) <= terms / (1 - terms) * magnitudes).all()


def test_the_arguments_are_left_as_they_are():
    arrays = [integers((2, 3, 5)), integers((4, 3, 3), seed=1), integers(4, seed=2)]
    before = [array.copy() for array in arrays]
    y = conv(*arrays, padding=1)
    y += 1
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_strided_views_are_read_as_they_look():
    x = integers((9, 2, 8)).transpose(1, 0, 2)[:, ::-2, 1::3]
    weight = integers((2, 3, 2, 4), seed=1).transpose(3, 2, 1, 0)[::-1]
    expected = conv(x.copy(order="C"), weight.copy(order="C"))
    np.testing.assert_array_equal(conv(x, weight), expected)
    np.testing.assert_array_equal(expected, reference.conv(x, weight))


def test_lists_are_arrays():
    assert conv([[1, 2, 3]], [[[1, 10]]], [100]).tolist() == [[121, 132]]


def test_a_large_batch_is_the_same_inputs_one_by_one():
    # Large enough to be worked through in several pieces by an implementation that does so.
    x, weight = integers((40, 16, 33, 31)).astype("float64"), integers((8, 16, 3, 3), seed=1)
    y = conv(x, weight, padding=1)
    for index in (0, 17, 39):
        np.testing.assert_array_equal(y[index], conv(x[index], weight, padding=1))
    row = conv(x[23, :, 3:6], weight, padding=((0, 0), (1, 1)))
    np.testing.assert_array_equal(y[23, :, 4:5], row)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize(
    ("shape", "kernel", "options"),
    [
        ((40, 40), (3, 3), {"padding": 1}),
        ((33, 50), (2, 3), {"padding": ((0, 2), (1, 0)), "dilation": (3, 2), "flip": True}),
        ((700,), (5,), {"padding": "same"}),
        ((12, 9, 11), (2, 2, 3), {"padding": (1, 0, 4)}),
    ],
)
def test_a_large_layer_is_summed_over_its_taps_and_equals_its_matrix(
    monkeypatch, dtype, shape, kernel, options
):
    calls = []
    by_taps = functional._forward_by_taps
    monkeypatch.setattr(functional, "_forward_by_taps", lambda *a: calls.append(a) or by_taps(*a))
    rng = np.random.default_rng(0)
    x = rng.integers(-9, 10, size=(2, 20, *shape)).astype(dtype)
    weight = rng.integers(-9, 10, size=(18, 20, *kernel)).astype(dtype)
    if np.iscomplexobj(x):
        x, weight = x * (1 + 2j), weight * (2 - 1j)
    y = conv(x, weight, **options)
    assert calls
    assert y.dtype == dtype
    # Small integers: every sum is exact, whatever the order.
    W = conv_matrix(weight, x.shape[1:], **options)
    np.testing.assert_array_equal(y.reshape(2, -1).T, W @ x.reshape(2, -1).T)


@pytest.mark.parametrize(
    "options", [{"stride": 2}, {"stride": (1, 2)}, {"padding_mode": "circular"}], ids=str
)
def test_a_large_layer_whose_taps_read_no_block_is_not_summed_over_them(options):
    x, weight = integers((20, 40, 40)).astype(float), integers((18, 20, 3, 3), seed=1)
    y = conv(x, weight, padding=1, **options)
    W = conv_matrix(weight, x.shape, padding=1, **options)
    np.testing.assert_array_equal(y.ravel(), W @ x.ravel())


class TestGradientOfTheWeight:
    """Each product of the definition adds ``grad * x`` to its weight."""

    @staticmethod
    def by_products(case, x, grad):
        total = np.zeros(case.weight, dtype=object)
        for target, tap, source in reference.products(case.weight, case.input, **case.options):
            total[tap] += (grad[:, *target] * x[:, *source]).sum()
        return total

    @each_case
    def test_it_is_the_sum_over_batch_and_positions(self, case):
        x, grad = integers((3, *case.input)), integers((3, *case.output), seed=1)
        geometry = Geometry(case.weight, case.input, **case.options)
        gradient = functional.weight_gradient(x, grad, geometry)
        assert gradient.dtype == np.int64
        np.testing.assert_array_equal(gradient, self.by_products(case, x, grad))

    @pytest.mark.parametrize("tile_bytes", [1, 2**10, 2**12])
    def test_a_batch_in_several_pieces_gives_the_same(self, monkeypatch, tile_bytes):
        geometry = Geometry((4, 1, 3, 2), (2, 5, 4), groups=2, padding=1)
        x, grad = integers((7, 2, 5, 4)), integers((7, 4, 5, 5), seed=1)
        whole = functional.weight_gradient(x, grad, geometry)
        monkeypatch.setattr(functional, "TILE_BYTES", tile_bytes)
        np.testing.assert_array_equal(functional.weight_gradient(x, grad, geometry), whole)

    def test_its_dtype_is_that_of_the_products(self):
        geometry = Geometry((1, 1, 2), (1, 4))
        x, grad = integers((2, 1, 4)), gaussian_integers((2, 1, 3))
        assert functional.weight_gradient(x, grad, geometry).dtype == np.complex128


def test_a_batch_is_worked_through_with_little_memory_beside_it():
    x, weight = np.ones((64, 4, 32, 32)), np.ones((4, 4, 3, 3))
    conv(x[:1], weight, padding=1)  # whatever is loaded once
    tracemalloc.start()
    y = conv(x, weight, padding=1)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A tile of columns and the padded samples of that tile, but not the 19 MB of all columns.
    assert most < y.nbytes + 2 * functional.TILE_BYTES
