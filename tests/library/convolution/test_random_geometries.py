"""Random convolutions in one to three dimensions: every face of the map agrees, exactly.

All numbers are small integers, or complex numbers with such parts, so sums and products are exact
and the comparisons are equalities.
"""

from typing import Any, NamedTuple

import numpy as np
import reference
from hypothesis import given
from hypothesis import strategies as st
from reference import MODES, gaussian_integers, integers

from equivlib import Geometry, col2im, conv, conv_matrix, conv_operator, im2col


class Example(NamedTuple):
    """A convolution drawn at random."""

    weight: tuple[int, ...]
    input: tuple[int, ...]
    options: dict[str, Any]
    seed: int


@st.composite
def examples(draw):
    """Any geometry that has an output: every option, padding beyond the input, small sizes."""
    ndim = draw(st.integers(1, 3))
    most = {1: 5, 2: 3, 3: 2}[ndim]

    def per_axis(strategy):
        return tuple(draw(st.lists(strategy, min_size=ndim, max_size=ndim)))

    kernel = per_axis(st.integers(1, most))
    stride = per_axis(st.integers(1, 3))
    dilation = per_axis(st.integers(1, most))
    named = st.sampled_from(["valid", "same", "same_lower"])
    numbers = st.tuples(*[st.tuples(st.integers(0, most + 1), st.integers(0, most + 1))] * ndim)
    padding = draw(st.one_of(numbers, numbers, named))
    sizes = []
    for axis in range(ndim):
        reach = dilation[axis] * (kernel[axis] - 1) + 1
        padded = {"valid": 0, "same": reach, "same_lower": reach}.get(padding)
        padded = sum(padding[axis]) if padded is None else padded
        least = max(1, reach - padded)
        sizes.append(draw(st.integers(least, least + most)))
    groups = draw(st.integers(1, 3))
    group_size, widening = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    options = {
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "padding_mode": draw(st.sampled_from(MODES)),
        "flip": draw(st.booleans()),
    }
    weight = (groups * widening, group_size, *kernel)
    return Example(weight, (groups * group_size, *sizes), options, draw(st.integers(0, 999)))


@given(examples())
def test_conv_is_the_matrix_is_the_operator_is_the_definition(example):
    x = integers(example.input, example.seed)
    weight = integers(example.weight, example.seed + 1)
    expected = reference.conv(x, weight, **example.options)
    y = conv(x, weight, **example.options)
    matrix = conv_matrix(weight, example.input, **example.options)
    dense = conv_matrix(weight, example.input, format="dense", **example.options)
    operator = conv_operator(weight, example.input, **example.options)
    np.testing.assert_array_equal(y, expected)
    for linear_map in (matrix, dense, operator):
        np.testing.assert_array_equal((linear_map @ x.ravel()).reshape(y.shape), expected)


@given(examples())
def test_the_matrix_has_exactly_the_entries_of_the_definition(example):
    weight = integers(example.weight, example.seed)
    matrix = conv_matrix(weight, example.input, **example.options)
    entries = reference.entries(weight, example.input, **example.options)
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)).tolist()
    stored = zip(rows, matrix.indices.tolist(), strict=True)
    # The order of the stored numbers is part of the comparison: sorted, without duplicates.
    assert list(zip(stored, matrix.data.tolist(), strict=True)) == sorted(entries.items())
    assert matrix.indices.dtype == matrix.indptr.dtype == np.int32


@given(examples())
def test_sizes_are_known_before_anything_is_built(example):
    weight = integers(example.weight, example.seed, dtype=np.float32)
    geometry = Geometry(example.weight, example.input, **example.options)
    matrix = conv_matrix(weight, example.input, **example.options)
    assert geometry.matrix_shape == matrix.shape
    assert geometry.nnz == matrix.nnz
    stored = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
    assert geometry.nbytes("float32", "csr") == stored
    assert geometry.nbytes("float32", "dense") == matrix.toarray().nbytes


@given(examples())
def test_the_adjoint_of_the_operator_passes_the_dot_test(example):
    weight = gaussian_integers(example.weight, example.seed)
    operator = conv_operator(weight, example.input, **example.options)
    x = gaussian_integers(operator.shape[1], example.seed + 2)
    y = gaussian_integers(operator.shape[0], example.seed + 4)
    # <y, A x> = <A^H y, x>, where vdot conjugates its first argument.
    assert np.vdot(y, operator.matvec(x)) == np.vdot(operator.rmatvec(y), x)


@given(examples())
def test_col2im_is_the_transpose_of_im2col(example):
    kernel_size = example.weight[2:]
    x = gaussian_integers((2, *example.input), example.seed)
    columns = im2col(x, kernel_size, **example.options)
    y = gaussian_integers(columns.shape, example.seed + 2)
    image = col2im(y, example.input, kernel_size, **example.options)
    assert (columns * y).sum() == (x * image).sum()


@given(examples())
def test_columns_are_those_of_the_definition(example):
    x, kernel_size = integers(example.input, example.seed), example.weight[2:]
    expected = reference.im2col(x, kernel_size, **example.options)
    np.testing.assert_array_equal(im2col(x, kernel_size, **example.options), expected)


@given(examples(), st.data())
def test_rows_are_that_block_of_the_matrix(example, data):
    weight = integers(example.weight, example.seed)
    matrix = conv_matrix(weight, example.input, **example.options)
    height = matrix.shape[0]
    end = st.one_of(st.none(), st.integers(-height - 2, height + 2))
    rows = slice(data.draw(end, "start"), data.draw(end, "stop"))
    block = conv_matrix(weight, example.input, rows=rows, **example.options)
    assert block.shape == matrix[rows].shape
    assert block.has_canonical_format
    np.testing.assert_array_equal(block.indptr, matrix[rows].indptr)
    np.testing.assert_array_equal(block.indices, matrix[rows].indices)
    np.testing.assert_array_equal(block.data, matrix[rows].data)


@given(examples())
def test_a_batch_is_the_inputs_one_by_one(example):
    x = integers((2, 2, *example.input), example.seed)
    weight = integers(example.weight, example.seed + 1)
    bias = integers(example.weight[0], example.seed + 2)
    y = conv(x, weight, bias, **example.options)
    for index in np.ndindex(2, 2):
        np.testing.assert_array_equal(y[index], conv(x[index], weight, bias, **example.options))
