"""A convolution is recognised from its matrix alone, and nothing else is."""

import contextlib
import math

import numpy as np
import pytest
from cases import CASES
from hypothesis import given
from hypothesis import strategies as st
from reference import integers
from scipy import sparse

from equivlib import Geometry, NotAConvolution, conv_matrix, recognize


def within_bounds(case):
    """Return what recognise promises: zero padding, kernel and padding no larger than the input."""
    geometry = Geometry(case.weight, case.input, **case.options)
    return geometry.padding_mode == "zeros" and all(
        axis.extent <= axis.size and axis.low < axis.size and axis.high < axis.size
        for axis in geometry.axes
    )


INSIDE = [case for case in CASES if within_bounds(case)]


def check(matrix, input_shape, output_shape):
    found = recognize(matrix, input_shape, output_shape)
    again = conv_matrix(found.weight, input_shape, **found.options)
    dense = matrix.toarray() if sparse.issparse(matrix) else matrix
    np.testing.assert_array_equal(again.toarray(), dense)
    return found


@pytest.mark.parametrize("case", INSIDE, ids=lambda case: case.id)
def test_each_case_within_the_bounds_is_found_and_rebuilt(case):
    matrix = conv_matrix(integers(case.weight), case.input, **case.options)
    check(matrix, case.input, case.output)
    check(matrix.toarray(), case.input, case.output)


def test_there_are_many_cases_within_the_bounds():
    assert len(INSIDE) > 40


def test_the_options_themselves_come_back_where_nothing_else_fits():
    weight = np.arange(1, 1 + 4 * 2 * 3 * 2).reshape(4, 2, 3, 2)
    options = {"stride": (2, 1), "padding": ((1, 1), (0, 1)), "dilation": (1, 3), "groups": 2}
    geometry = Geometry(weight.shape, (4, 9, 8), **options)
    found = check(conv_matrix(weight, (4, 9, 8), **options), (4, 9, 8), geometry.output_shape)
    assert (found.weight == weight).all()
    assert found.options == {k: geometry.options[k] for k in found.options}


@st.composite
def geometries(draw):
    axes = draw(st.integers(1, 2))
    sizes, kernel, stride, dilation, padding = [], [], [], [], []
    for _ in range(axes):
        n = draw(st.integers(1, 7))
        k = draw(st.integers(1, n))
        d = draw(st.integers(1, max(1, (n - 1) // max(1, k - 1)))) if k > 1 else 1
        sizes.append(n)
        kernel.append(k)
        dilation.append(d)
        stride.append(draw(st.integers(1, 4)))
        padding.append((draw(st.integers(0, n - 1)), draw(st.integers(0, n - 1))))
    groups = draw(st.integers(1, 2))
    weight_shape = (groups * draw(st.integers(1, 2)), draw(st.integers(1, 2)), *kernel)
    options = {"stride": stride, "dilation": dilation, "padding": padding, "groups": groups}
    return Geometry(weight_shape, (groups * weight_shape[1], *sizes), **options)


@given(geometries(), st.integers(0, 10**6), st.sampled_from([0.0, 0.5]))
def test_random_convolutions_are_found_zeros_in_the_kernel_included(geometry, seed, zeros):
    rng = np.random.default_rng(seed)
    weight = rng.integers(1, 9, geometry.weight_shape) * (
        rng.random(geometry.weight_shape) >= zeros
    )
    matrix = conv_matrix(weight, geometry.input_shape, **geometry.options)
    check(matrix, geometry.input_shape, geometry.output_shape)


@given(geometries(), st.integers(0, 10**6))
def test_what_is_returned_rebuilds_the_matrix_even_after_one_entry_was_changed(geometry, seed):
    rng = np.random.default_rng(seed)
    weight = rng.integers(1, 9, geometry.weight_shape)
    matrix = conv_matrix(weight, geometry.input_shape, **geometry.options).toarray()
    matrix[tuple(rng.integers(matrix.shape))] += 100
    with contextlib.suppress(NotAConvolution):
        check(matrix, geometry.input_shape, geometry.output_shape)


def test_a_changed_entry_is_refused_with_its_place():
    matrix = conv_matrix(np.arange(1, 10).reshape(1, 1, 3, 3), (1, 6, 6)).toarray()
    matrix[7, 8] += 1
    with pytest.raises(
        NotAConvolution, match=r"no stride along spatial axis 0 explains entry \(7, 8\) of matrix"
    ):
        recognize(matrix, (1, 6, 6), (1, 4, 4))


@pytest.mark.parametrize("lost", [(0, 0), (3, 4)], ids=["first", "last"])
def test_a_diagonal_without_its_first_or_last_number_is_no_stride(lost):
    matrix = conv_matrix(np.array([[[1, 2]]]), (1, 5)).toarray()
    matrix[lost] = 0
    with pytest.raises(NotAConvolution, match="no stride along spatial axis 0 explains entry"):
        recognize(matrix, (1, 5), (1, 4))


def test_a_random_matrix_is_refused():
    matrix = np.random.default_rng(0).standard_normal((12, 12))
    with pytest.raises(NotAConvolution, match=r"entry \(\d+, \d+\)"):
        recognize(matrix, (1, 12), (1, 12))


def test_without_the_bound_every_matrix_would_be_a_convolution():
    """Kernel 2n, stride n: each output has taps of its own. The bound is what excludes it."""
    n, rows = 4, 2
    matrix = np.random.default_rng(0).integers(1, 99, (rows, n))
    kernel = np.concatenate([matrix[1], matrix[0]])[None, None]
    options = {"stride": n, "padding": ((n, n),)}
    assert (conv_matrix(kernel, (1, n), **options).toarray() == matrix).all()
    with pytest.raises(NotAConvolution):
        recognize(matrix, (1, n), (1, rows))


def test_a_matrix_of_zeros_is_a_convolution():
    found = check(np.zeros((9, 16)), (1, 4, 4), (1, 3, 3))
    assert not found.weight.any()


def test_a_kernel_that_reaches_over_one_element_more_than_the_input_is_refused():
    """Stride 2 and taps at the places -1 and 2: four elements, and the input has three."""
    matrix = np.array([[0, 0, 5], [0, 7, 0]])
    options = {"stride": 2, "dilation": 3, "padding": ((1, 2),)}
    assert (conv_matrix(np.array([[[7, 5]]]), (1, 3), **options).toarray() == matrix).all()
    with pytest.raises(NotAConvolution):
        recognize(matrix, (1, 3), (1, 2))


def test_padding_is_smaller_than_the_input():
    assert check(np.zeros((4, 2)), (1, 2), (1, 4)).options["padding"] == ((1, 1),)
    with pytest.raises(NotAConvolution):
        recognize(np.zeros((5, 2)), (1, 2), (1, 5))


def test_too_many_outputs_are_refused():
    with pytest.raises(NotAConvolution, match="axis 0, 20 outputs of 2 inputs need a kernel that"):
        recognize(np.zeros((20, 2)), (1, 2), (1, 20))


def test_the_entry_that_no_stride_explains_may_be_the_first():
    with pytest.raises(NotAConvolution, match=r"no stride along spatial axis 0 .* entry \(0, 0\)"):
        recognize(np.array([[1, 2], [3, 0]]), (1, 2), (1, 2))


class TestSmallest:
    """Of several convolutions with one matrix, the one with the smallest numbers is told."""

    @pytest.mark.parametrize("matrix", [np.eye(4), np.zeros((4, 4))], ids=["identity", "zeros"])
    def test_one_tap_is_enough(self, matrix):
        found = check(matrix, (1, 4), (1, 4))
        assert found.weight.shape == (1, 1, 1)
        assert found.options["dilation"] == (1,)

    def test_the_widest_dilation_is_found_behind_padding(self):
        options = {"padding": ((1, 1),), "dilation": (3,)}
        matrix = conv_matrix(np.array([[[1, 2, 4]]]), (1, 9), **options)
        found = check(matrix, (1, 9), (1, 5))
        assert found.weight.ravel().tolist() == [1, 2, 4]
        assert found.options["dilation"] == (3,)

    def test_the_widest_dilation_is_found_where_the_first_weight_is_0(self):
        options = {"padding": ((2, 2),), "dilation": (3,)}
        matrix = conv_matrix(np.array([[[0, 2, 4]]]), (1, 9), **options)
        found = check(matrix, (1, 9), (1, 7))
        assert found.weight.ravel().tolist() == [0, 2, 4]
        assert found.options["padding"] == options["padding"]
        assert found.options["dilation"] == (3,)

    def test_a_dilation_that_would_reach_too_far_is_not_taken(self):
        found = check(np.array([[5, 0, 7, 0]]), (1, 4), (1, 1))
        assert found.weight.ravel().tolist() == [5, 0, 7, 0]
        assert found.options["dilation"] == (1,)


def test_a_recognition_cannot_be_changed():
    found = recognize(np.eye(4), (1, 4), (1, 4))
    with pytest.raises(AttributeError):
        found.weight = None


def test_the_largest_number_of_groups_is_found():
    weight = np.arange(1, 7).reshape(6, 1, 1)
    matrix = conv_matrix(weight, (6, 3), groups=6)
    assert check(matrix, (6, 3), (6, 3)).options["groups"] == 6


def test_three_groups_of_six_channels_are_found():
    weight = np.arange(1, 13).reshape(6, 2, 1)
    assert check(conv_matrix(weight, (6, 3), groups=3), (6, 3), (6, 3)).options["groups"] == 3


def test_groups_divide_both_numbers_of_channels():
    matrix = np.zeros((9, 6), dtype=int)
    matrix[:4, :3] = matrix[4:8, 3:] = 1  # two blocks, but nine channels have no halves
    assert check(matrix, (6, 1), (9, 1)).options["groups"] == 1


def test_a_large_sparse_matrix_is_recognised():
    weight = np.random.default_rng(0).standard_normal((4, 3, 3, 3))
    matrix = conv_matrix(weight, (3, 40, 40), stride=2, padding=1)
    found = recognize(matrix, (3, 40, 40), (4, 20, 20))
    assert (found.weight == weight).all()
    assert math.prod(matrix.shape) > 10**6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones((3, 4)), (1, 4), (1, 4)), r"matrix \(of shape \(3, 4\)\) .*\(4, 4\)"),
        ((np.ones((4, 4)), (1, 4), (1, 2, 2)), "output_shape .* as many axes"),
        ((np.ones((4, 4)), (4,), (1, 4)), r"input_shape \(="),
        ((np.ones((4, 4)), (1, 4), (1, 0)), "output_shape"),
        ((np.array([["x"]]), (1, 1), (1, 1)), "matrix .*dtype"),
    ],
)
def test_bad_input_is_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        recognize(*arguments)
