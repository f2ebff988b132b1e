"""`Geometry`: options become shapes, counts and bytes, without building anything."""

import tracemalloc
from itertools import product

import numpy as np
import pytest
import reference
from cases import each_case

from equivlib import Geometry, conv_matrix


def geometry_of(case):
    return Geometry(case.weight, case.input, **case.options)


@each_case
def test_output_shape_is_the_one_worked_out_by_hand(case):
    assert geometry_of(case).output_shape == case.output


@each_case
def test_matrix_shape_is_the_number_of_outputs_by_the_number_of_inputs(case):
    assert geometry_of(case).matrix_shape == (np.prod(case.output), np.prod(case.input))


@each_case
def test_nnz_counts_the_connected_pairs(case):
    weight = np.ones(case.weight, dtype=int)
    assert geometry_of(case).nnz == len(reference.entries(weight, case.input, **case.options))


@each_case
def test_padding_is_normalised_to_a_low_and_a_high_number_per_axis(case):
    axes = reference.axes(case.weight[2:], case.input[1:], **case.options)
    assert geometry_of(case).padding == tuple((axis.low, axis.high) for axis in axes)


@each_case
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_nbytes_is_what_the_matrix_takes(case, dtype):
    weight = np.ones(case.weight, dtype=dtype)
    sparse = conv_matrix(weight, case.input, **case.options)
    dense = conv_matrix(weight, case.input, format="dense", **case.options)
    stored = sparse.data.nbytes + sparse.indices.nbytes + sparse.indptr.nbytes
    assert geometry_of(case).nbytes(dtype, "csr") == stored
    assert geometry_of(case).nbytes(dtype, "dense") == dense.nbytes


class TestPool:
    """The windows of a pooling layer, as PyTorch and ONNX place them."""

    @pytest.mark.parametrize("ceil_mode", [False, True])
    @pytest.mark.parametrize("stride", [None, 1, 2, 3])
    @pytest.mark.parametrize("window", [2, 3])
    @pytest.mark.parametrize("dilation", [1, 2])
    def test_a_last_window_is_added_if_it_begins_inside(self, dilation, window, stride, ceil_mode):
        for size, low, high in product(range(5, 9), (0, 1), (0, 1, 2)):
            options = {"padding": ((low, high),), "stride": stride, "dilation": dilation}
            windows = Geometry.of_pool((2, size), window, ceil_mode=ceil_mode, **options)
            step, reach = stride or window, dilation * (window - 1)
            whole = [o for o in range(0, low + size + high, step) if o + reach < low + size + high]
            # It begins before the end of the input, and is needed only if the others leave an end.
            more = whole[-1] + step
            left_over = whole[-1] + reach + 1 < low + size + high
            expected = len(whole) + (ceil_mode and left_over and more < low + size)
            assert windows.output_shape == (2, expected)
            assert windows.weight_shape == (2, 1, window)
            assert windows.input_shape == (2, size)
            assert (windows.groups, windows.stride, windows.dilation) == (2, (step,), (dilation,))
            assert windows.padding[0][0] == low
            # What is added at the high end is what the last window needs.
            end = max(low + size + high, step * (expected - 1) + reach + 1)
            assert windows.padding[0][1] == end - size - low

    def test_windows_lie_side_by_side_unless_told_otherwise(self):
        told = {"stride": 3, "padding": 0, "dilation": 1, "ceil_mode": False}
        assert Geometry.of_pool((1, 8), 3) == Geometry.of_pool((1, 8), 3, **told)

    def test_a_bad_shape_is_named(self):
        for asked in (Geometry.of_pool, Geometry.pool_padding):
            with pytest.raises(ValueError, match=r"^input_shape\[0\] \(=0\)"):
                asked((0, 5), 2)

    @pytest.mark.parametrize("option", ["stride", "dilation"])
    def test_a_bad_option_is_named(self, option):
        with pytest.raises(ValueError, match=rf"^{option} \(=0\) must be an integer of at least 1"):
            Geometry.of_pool((1, 5), 2, **{option: 0})


def test_same_of_a_transposed_layer_may_have_more_outputs_along_one_axis_alone():
    def padding(kernel):
        layer = {"stride": 2, "padding": "same", "output_padding": (1, 0)}
        return Geometry.of_transpose((1, 1, *kernel), (3, 3), **layer).padding

    # Windows cover 2 * 2 + 3 places, or with the one more 8, and 6 are to be left.
    assert padding((3, 3)) == ((1, 1), (0, 1))
    assert padding((3, 1)) == ((1, 1), (0, 0))


def test_attributes_are_normalised():
    geometry = Geometry((4, 1, 3, 2), (2, 9, 8), stride=2, padding=(1, 0), groups=2, flip=True)
    assert geometry.weight_shape == (4, 1, 3, 2)
    assert geometry.input_shape == (2, 9, 8)
    assert geometry.output_shape == (4, 5, 4)
    assert geometry.stride == (2, 2)
    assert geometry.padding == ((1, 1), (0, 0))
    assert geometry.dilation == (1, 1)
    assert geometry.groups == 2
    assert geometry.padding_mode == "zeros"
    assert geometry.flip is True
    assert geometry.ndim == 2
    assert geometry.kernel_size == (3, 2)
    assert geometry.in_channels == 2
    assert geometry.out_channels == 4


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "expected"),
    [
        (6, 3, 1, "same", (1, 1)),
        (6, 4, 1, "same", (1, 2)),
        (6, 4, 1, "same_lower", (2, 1)),
        (6, 2, 1, "same", (0, 1)),
        (6, 2, 1, "same_lower", (1, 0)),
        (224, 7, 2, "same", (2, 3)),  # the stem of ResNet in TensorFlow
        (224, 7, 2, "same_lower", (3, 2)),
        (5, 3, 2, "same", (1, 1)),
        (6, 1, 4, "same", (0, 0)),
        (6, 4, 1, "valid", (0, 0)),
    ],
)
def test_named_padding_puts_the_odd_element_at_its_end(size, kernel, stride, padding, expected):
    geometry = Geometry((1, 1, kernel), (1, size), stride=stride, padding=padding)
    assert geometry.padding == (expected,)


@pytest.mark.parametrize("padding", ["same", "same_lower"])
@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [1, 2, 3, 6, 7])
def test_same_padding_divides_the_size_by_the_stride_and_rounds_up(size, kernel, stride, padding):
    geometry = Geometry((1, 1, kernel), (1, size), stride=stride, padding=padding, dilation=2)
    assert geometry.output_shape == (1, -(-size // stride))


def test_same_padding_is_exact_for_sizes_beyond_53_bits():
    geometry = Geometry((1, 1, 3), (1, 2**60 + 1), stride=2, padding="same")
    assert geometry.output_shape == (1, 2**59 + 1)


def test_equal_options_make_equal_geometries_whatever_their_form():
    forms = [1, (1, 1), ((1, 1), (1, 1)), [1, 1], [[1, 1], [1, 1]], "same", "same_lower"]
    geometries = {Geometry((2, 1, 3, 3), (1, 5, 6), padding=padding) for padding in forms}
    assert len(geometries) == 1
    assert Geometry([2, 1, 3, 3], [1, 5, 6], stride=[1, 1], padding=1) in geometries


@pytest.mark.parametrize(
    "other",
    [
        {"stride": 2},
        {"padding": 1},
        {"dilation": 2},
        {"padding_mode": "circular"},
        {"flip": True},
    ],
)
def test_geometries_with_another_option_differ(other):
    assert Geometry((1, 1, 2), (1, 5)) != Geometry((1, 1, 2), (1, 5), **other)


def test_a_geometry_cannot_be_changed():
    with pytest.raises(AttributeError):
        Geometry((1, 1, 2), (1, 5)).stride = (2,)


def test_numpy_integers_are_integers():
    plain = Geometry((2, 1, 3), (2, 9), stride=2, padding=1, dilation=2, groups=2)
    two, one = np.int64(2), np.uint8(1)
    numpy = Geometry(
        (two, one, 3), np.array([2, 9]), stride=two, padding=one, dilation=two, groups=two
    )
    assert numpy == plain
    assert all(type(size) is int for size in numpy.output_shape + numpy.stride + numpy.weight_shape)


def test_counts_of_a_layer_of_a_network_are_known_at_once():
    geometry = Geometry((64, 64, 3, 3), (64, 56, 56), padding=1)
    # Along an axis of 56, each of 3 taps meets 56 elements, but for the two that stick out.
    per_pair = (3 * 56 - 2) ** 2
    numbers = 64 * 64 * per_pair
    rows = 64 * 56 * 56
    assert geometry.nnz == numbers == 112_869_376
    assert geometry.nbytes("float32", "csr") == numbers * (4 + 4) + (rows + 1) * 4
    assert geometry.nbytes("float32", "dense") == rows * rows * 4
    assert type(geometry.nnz) is int
    assert type(geometry.nbytes("float32", "csr")) is int


def test_indices_that_do_not_fit_32_bits_take_64():
    many_numbers = Geometry((512, 512, 3, 3), (512, 56, 56), padding=1)
    numbers = 512 * 512 * 166**2  # about 7.2e9
    assert many_numbers.nnz == numbers
    assert many_numbers.nbytes("float32", "csr") == numbers * (4 + 8) + (512 * 56 * 56 + 1) * 8

    far_columns = Geometry((1, 1, 1), (1, 2**32), stride=2**31)
    assert far_columns.nnz == 2
    assert far_columns.nbytes("float32", "csr") == 2 * (4 + 8) + 3 * 8


@pytest.mark.parametrize("padding_mode", reference.MODES)
def test_sizes_of_a_huge_matrix_take_no_memory(padding_mode):
    tracemalloc.start()
    geometry = Geometry((512, 512, 3, 3), (512, 500, 400), padding=2, padding_mode=padding_mode)
    assert geometry.output_shape == (512, 502, 402)
    assert geometry.nnz > 10**10
    assert geometry.nbytes("float64", "dense") > 10**16
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10**6  # an axis of 500 numbers is fine, an image of them is not


def test_nbytes_takes_a_dtype_in_any_form():
    geometry = Geometry((1, 1, 2), (1, 5))
    forms = ["float64", float, np.float64, np.dtype("float64")]
    assert {geometry.nbytes(form, "dense") for form in forms} == {4 * 5 * 8}


def test_nbytes_is_that_of_the_sparse_matrix_unless_told_otherwise():
    geometry = Geometry((1, 1, 2), (1, 5))
    assert geometry.nbytes() == geometry.nbytes("float64", "csr") != geometry.nbytes(format="dense")
