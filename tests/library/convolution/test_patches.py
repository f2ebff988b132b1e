"""`im2col` and its adjoint `col2im`."""

import numpy as np
import pytest
import reference
from cases import each_case
from reference import gaussian_integers, integers

from equivlib import col2im, conv, im2col


@each_case
def test_columns_are_those_of_the_definition(case):
    x, kernel_size = integers(case.input), case.weight[2:]
    expected = reference.im2col(x, kernel_size, **case.options)
    np.testing.assert_array_equal(im2col(x, kernel_size, **case.options), expected)


@each_case
def test_weight_times_columns_is_the_convolution(case):
    options = {**case.options, "groups": 1}
    weight = integers((3, case.input[0], *case.weight[2:]), seed=1)
    x = integers(case.input)
    product = weight.reshape(3, -1) @ im2col(x, case.weight[2:], **options)
    np.testing.assert_array_equal(product.reshape(3, *case.output[1:]), conv(x, weight, **options))


@each_case
def test_col2im_is_the_transpose_of_im2col(case):
    kernel_size = case.weight[2:]
    x = gaussian_integers(case.input)
    columns = im2col(x, kernel_size, **case.options)
    y = gaussian_integers(columns.shape, seed=5)
    image = col2im(y, case.input, kernel_size, **case.options)
    assert image.shape == case.input
    assert (columns * y).sum() == (x * image).sum()  # the transpose: nothing is conjugated


def test_windows_of_a_small_signal_can_be_read_off():
    x = np.array([[1, 2, 3, 4]])
    np.testing.assert_array_equal(im2col(x, (3,)), [[1, 2], [2, 3], [3, 4]])
    np.testing.assert_array_equal(im2col(x, (3,), flip=True), [[3, 4], [2, 3], [1, 2]])
    np.testing.assert_array_equal(im2col(x, (3,), stride=2, padding=1), [[0, 2], [1, 3], [2, 4]])


def test_col2im_sums_where_windows_overlap():
    ones = np.ones((3, 4), dtype=int)
    np.testing.assert_array_equal(col2im(ones, (1, 6), (3,)), [[1, 2, 3, 3, 2, 1]])


def test_col2im_sums_what_padding_repeats():
    ones = np.ones((1, 7), dtype=int)
    image = col2im(ones, (1, 4), (1,), padding=((2, 1),), padding_mode="replicate")
    np.testing.assert_array_equal(image, [[3, 1, 1, 2]])


@pytest.mark.parametrize("batch", [(), (1,), (3,), (2, 3), (0,)], ids=str)
def test_any_number_of_batch_axes_comes_first(batch):
    options = {"padding": ((1, 0), (2, 1)), "stride": (2, 1), "padding_mode": "reflect"}
    x = integers((*batch, 2, 4, 3))
    columns = im2col(x, (3, 2), **options)
    assert columns.shape == (*batch, 2 * 3 * 2, 2 * 5)
    image = col2im(columns, (2, 4, 3), (3, 2), **options)
    assert image.shape == x.shape
    for index in np.ndindex(batch):
        np.testing.assert_array_equal(columns[index], im2col(x[index], (3, 2), **options))
        alone = col2im(columns[index], (2, 4, 3), (3, 2), **options)
        np.testing.assert_array_equal(image[index], alone)


def test_a_kernel_size_of_one_number_is_that_size_on_every_axis():
    x = integers((2, 5, 6))
    np.testing.assert_array_equal(im2col(x, 3), im2col(x, (3, 3)))
    np.testing.assert_array_equal(
        col2im(im2col(x, 3), x.shape, 3), col2im(im2col(x, (3, 3)), x.shape, (3, 3))
    )


def test_groups_do_not_change_the_columns():
    x = integers((4, 5))
    columns = im2col(x, (2,), groups=2)
    np.testing.assert_array_equal(columns, im2col(x, (2,)))
    np.testing.assert_array_equal(
        col2im(columns, x.shape, (2,), groups=2), col2im(columns, x.shape, (2,))
    )


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "int8", "int64", object])
def test_dtype_is_preserved(dtype):
    x = integers((1, 5), dtype=dtype)
    columns = im2col(x, (2,), padding=1)
    assert columns.dtype == dtype
    assert col2im(columns, x.shape, (2,), padding=1).dtype == dtype


def test_columns_are_a_new_array():
    x = integers((1, 4))
    before = x.copy()
    columns = im2col(x, (1,))
    columns += 1
    image = col2im(columns, x.shape, (1,))
    image += 1
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(columns, before + 1)


def test_strided_views_are_read_as_they_look():
    x = integers((6, 7, 2)).transpose(2, 1, 0)[:, ::-1, ::2]
    columns = im2col(x, (2, 2))
    np.testing.assert_array_equal(columns, im2col(x.copy(order="C"), (2, 2)))
    view = np.repeat(columns, 2, axis=1)[:, ::2]
    np.testing.assert_array_equal(col2im(view, x.shape, (2, 2)), col2im(columns, x.shape, (2, 2)))
