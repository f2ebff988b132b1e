"""From a matrix back to its kernel: nearest, exact, or refused."""

import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
import reference
from cases import CASES, each_case
from reference import gaussian_integers, integers
from scipy import sparse

from equivlib import (
    NotAConvolution,
    conv_matrix,
    dense_to_conv,
    dense_to_pointwise,
    kernel_from_matrix,
    project,
    tap_matrix,
)
from equivlib.convolution.projection import BLOCK

SMALL = [c for c in CASES if np.prod(c.weight) * np.prod(c.output) * np.prod(c.input) < 40_000]
each_small_case = pytest.mark.parametrize("case", SMALL, ids=lambda case: case.id)
MODES = [m for m in reference.MODES if m != "zeros"]


def arbitrary(case, seed=3):
    return np.random.default_rng(seed).standard_normal((np.prod(case.output), np.prod(case.input)))


def least_squares(case, matrix):
    """Return the nearest combination of the tap matrices, by numpy's least squares."""
    taps = [
        tap_matrix(t, case.weight, case.input, **case.options).toarray().ravel()
        for t in np.ndindex(*case.weight)
    ]
    solved, *_ = np.linalg.lstsq(np.stack(taps, axis=1).astype(float), matrix.ravel(), rcond=None)
    return np.stack(taps, axis=1) @ solved


class TestTapMatrix:
    @each_small_case
    def test_the_weights_times_their_patterns_add_up_to_the_matrix(self, case):
        weight = integers(case.weight)
        total = sum(
            weight[t] * tap_matrix(t, case.weight, case.input, **case.options).toarray()
            for t in np.ndindex(*case.weight)
        )
        np.testing.assert_array_equal(
            total, reference.matrix(weight, case.input, **case.options).astype(int)
        )

    def test_only_where_the_weight_stands_is_anything_stored(self):
        assert tap_matrix((0, 0, 1), (1, 1, 3), (1, 5)).nnz == 3

    @pytest.mark.parametrize("tap", [(0, 0), (0, 0, 3), (0, -1, 0), (1, 0, 0)])
    def test_a_tap_outside_the_weight_is_refused(self, tap):
        with pytest.raises(ValueError, match=r"tap \(="):
            tap_matrix(tap, (1, 1, 3), (1, 5))


class TestProject:
    @each_small_case
    def test_it_is_the_least_squares_solution(self, case):
        matrix = arbitrary(case)
        nearest = project(matrix, case.weight, case.input, **case.options)
        ours = conv_matrix(nearest.weight, case.input, **case.options).toarray()
        expected = least_squares(case, matrix).reshape(ours.shape)
        np.testing.assert_allclose(ours, expected, atol=1e-10)
        distance = np.linalg.norm(matrix - ours)
        np.testing.assert_allclose(nearest.residual, distance, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(
            nearest.relative_residual, distance / np.linalg.norm(matrix), rtol=1e-12, atol=1e-12
        )

    @each_small_case
    def test_sparse_and_dense_give_the_same(self, case):
        matrix = arbitrary(case)
        matrix[abs(matrix) < 0.5] = 0
        dense = project(matrix, case.weight, case.input, **case.options)
        thin = project(sparse.csr_array(matrix), case.weight, case.input, **case.options)
        np.testing.assert_allclose(thin.weight, dense.weight, atol=1e-13)
        np.testing.assert_allclose(thin.residual, dense.residual, rtol=1e-12, atol=1e-12)

    @each_small_case
    def test_a_convolution_is_its_own_nearest(self, case):
        matrix = conv_matrix(integers(case.weight).astype(float), case.input, **case.options)
        for form in (matrix, matrix.toarray()):
            nearest = project(form, case.weight, case.input, **case.options)
            again = conv_matrix(nearest.weight, case.input, **case.options)
            np.testing.assert_allclose(again.toarray(), matrix.toarray(), atol=1e-12)
            assert nearest.residual < 1e-11

    @pytest.mark.parametrize("mode", MODES)
    def test_fractions_are_exact_in_every_mode(self, mode):
        options = {"padding": 2, "padding_mode": mode}
        rng = np.random.default_rng(5)
        matrix = np.array([[Fraction(int(v)) for v in row] for row in rng.integers(-9, 9, (4, 4))])
        weight = project(matrix, (1, 1, 5), (1, 4), **options).weight
        assert all(isinstance(entry, Fraction) for entry in weight.flat)
        # The difference is orthogonal to every pattern, exactly.
        difference = matrix - conv_matrix(weight, (1, 4), format="dense", **options)
        for tap in range(5):
            pattern = tap_matrix((0, 0, tap), (1, 1, 5), (1, 4), **options).toarray()
            assert (pattern * difference).sum() == 0

    def test_without_sums_a_weight_is_the_mean_of_its_places_to_the_last_digit(self):
        weight = integers((1, 1, 3, 3)) / 4
        for size in range(3, 10):
            shapes = (weight.shape, (1, size, size))
            nearest = project(conv_matrix(weight, shapes[1]), *shapes)
            np.testing.assert_array_equal(nearest.weight, weight)

    def test_fractions_have_their_mean(self):
        rows = [[1, 2, 7], [0, 4, 9]]
        matrix = np.array([[Fraction(n) for n in row] for row in rows])
        nearest = project(matrix, (1, 1, 2), (1, 3))
        assert nearest.weight.ravel().tolist() == [Fraction(5, 2), Fraction(11, 2)]
        # Differences of 3/2 and 7/2, each twice, and 7 where there is no place.
        assert nearest.residual == math.sqrt(2 * 1.5**2 + 2 * 3.5**2 + 7**2)

    def test_a_tap_that_lies_in_padding_everywhere_has_weight_0(self):
        for kind in (Fraction, float, int):
            matrix = np.array([[kind(6)]], dtype=object if kind is Fraction else kind)
            assert project(matrix, (1, 1, 3), (1, 1), padding=1).weight.ravel().tolist() == [
                0,
                6,
                0,
            ]

    def test_the_residual_of_fractions_does_not_cancel(self):
        matrix = np.array([[Fraction(int(i == j)) for j in range(3)] for i in range(3)])
        matrix[0, 2] = Fraction(1, 10**12)
        assert project(matrix, (1, 1, 1), (1, 3)).residual == 1e-12

    def test_integers_do_not_overflow(self):
        nearest = project(np.diag([2**62] * 4), (1, 1, 1), (1, 4))
        assert nearest.weight.item() == 2.0**62
        nearest = project(np.diag([100, 50]).astype(np.int8), (1, 1, 1), (1, 2))
        assert nearest.weight.item() == 75
        np.testing.assert_allclose(nearest.residual, math.hypot(25, 25), rtol=1e-15)
        np.testing.assert_allclose(
            nearest.relative_residual, math.hypot(25, 25) / math.hypot(100, 50), rtol=1e-15
        )

    def test_a_sparse_matrix_is_left_as_it_is(self):
        arrays = np.array([1.0, 2, 3]), np.array([1, 1, 0]), np.array([0, 2, 3])
        matrix = sparse.csr_array(arrays, shape=(2, 2))  # one entry in two parts
        assert project(matrix, (1, 1, 1), (1, 2)).residual == math.hypot(3, 3)
        assert matrix.data.tolist() == [1, 2, 3]
        assert matrix.indices.tolist() == [1, 1, 0]
        assert matrix.indptr.tolist() == [0, 2, 3]

    def test_complex_matrices_keep_both_parts(self):
        matrix = np.array([[1 + 2j, 0], [0, 3 - 4j]])
        assert project(matrix, (1, 1, 1), (1, 2)).weight.item() == 2 - 1j

    def test_single_precision_stays_single(self):
        matrix = np.eye(3, dtype=np.float32)
        assert project(matrix, (1, 1, 1), (1, 3)).weight.dtype == np.float32

    def test_a_small_residual_keeps_its_digits(self):
        matrix = np.eye(50)
        matrix[3, 40] = 1e-9
        np.testing.assert_allclose(project(matrix, (1, 1, 1), (1, 50)).residual, 1e-9, rtol=1e-9)

    def test_a_projection_cannot_be_changed(self):
        nearest = project(np.eye(2), (1, 1, 1), (1, 2))
        with pytest.raises(AttributeError):
            nearest.residual = 0.0

    def test_zeros_have_a_relative_residual_of_zero(self):
        assert project(np.zeros((3, 3)), (1, 1, 1), (1, 3)).relative_residual == 0


class TestKernelFromMatrix:
    @each_case
    def test_the_weight_comes_back(self, case):
        weight = integers(case.weight)
        matrix = conv_matrix(weight, case.input, **case.options)
        for form in (matrix, matrix.toarray()):
            found = kernel_from_matrix(form, case.weight, case.input, tol=1e-9, **case.options)
            again = conv_matrix(found, case.input, **case.options).toarray()
            np.testing.assert_allclose(again, matrix.toarray(), atol=1e-9)

    def test_it_is_read_exactly(self):
        weight = np.random.default_rng(0).standard_normal((4, 3, 3, 3))
        matrix = conv_matrix(weight, (3, 6, 5), padding=1)
        assert (kernel_from_matrix(matrix, weight.shape, (3, 6, 5), padding=1) == weight).all()

    def test_a_tap_that_lies_in_padding_everywhere_leaves_integers_integers(self):
        weight = kernel_from_matrix(np.array([[6]]), (1, 1, 3), (1, 1), padding=1)
        assert weight.dtype == np.int64
        assert weight.ravel().tolist() == [0, 6, 0]

    @pytest.mark.parametrize("form", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
    def test_a_broken_tie_is_named(self, form):
        matrix = conv_matrix(np.array([[[1.0, 2.0]]]), (1, 5)).toarray()
        matrix[2, 3] = 7
        with pytest.raises(NotAConvolution) as told:
            kernel_from_matrix(form(matrix), (1, 1, 2), (1, 5))
        assert str(told.value) == (
            "entry (2, 3) of matrix is 7.0, but weight[0, 0, 1] is 2.0 by entry (0, 1)"
        )

    @pytest.mark.parametrize("form", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
    def test_an_entry_out_of_reach_is_named(self, form):
        matrix = conv_matrix(np.array([[[1.0, 2.0]]]), (1, 5)).toarray()
        matrix[0, 4] = 1e-9
        with pytest.raises(NotAConvolution, match=r"entry \(0, 4\) .* must be 0: .* out of reach"):
            kernel_from_matrix(form(matrix), (1, 1, 2), (1, 5))

    def test_an_entry_of_another_group_is_named(self):
        matrix = conv_matrix(np.ones((2, 1, 1)), (2, 3), groups=2).toarray()
        matrix[0, 3] = 1
        with pytest.raises(NotAConvolution, match=r"entry \(0, 3\) .* of another group"):
            kernel_from_matrix(matrix, (2, 1, 1), (2, 3), groups=2)

    @pytest.mark.parametrize(
        ("place", "said"),
        [
            (
                (4, 13),  # output 2, position 0
                "entry (4, 13) of matrix is 9.0, but must be 0: "
                "input element 1 of channel 4 is of another group",
            ),
            (
                (9, 17),  # output 4, position 1; its group reads the channels 4 and 5
                "entry (9, 17) of matrix is 9.0, but weight[4, 1, 1] is 4.0 by entry (8, 16)",
            ),
            (
                (9, 15),
                "entry (9, 15) of matrix is 9.0, but must be 0: "
                "input element 0 of channel 5 is out of reach",
            ),
            (
                (8, 3),
                "entry (8, 3) of matrix is 9.0, but must be 0: "
                "input element 0 of channel 1 is of another group",
            ),
        ],
        ids=["group after", "tie", "reach", "group before"],
    )
    def test_an_entry_of_the_last_groups_is_named(self, place, said):
        weight = np.arange(1.0, 25).reshape(6, 2, 2) % 5
        weight[4, 1, 1] = 4
        matrix = conv_matrix(weight, (6, 3), groups=3).toarray()
        matrix[place] = 9
        with pytest.raises(NotAConvolution) as told:
            kernel_from_matrix(matrix, weight.shape, (6, 3), groups=3)
        assert str(told.value) == said

    def test_a_group_is_told_from_the_reach_of_a_larger_kernel(self):
        matrix = conv_matrix(np.ones((2, 1, 3)), (2, 5), groups=2).toarray()
        matrix[0, 5] = 1
        with pytest.raises(
            NotAConvolution, match=r"entry \(0, 5\) .* channel 1 is of another group"
        ):
            kernel_from_matrix(matrix, (2, 1, 3), (2, 5), groups=2)

    def test_a_weight_that_padding_hides_at_first_is_named_where_it_is_read(self):
        weight = np.arange(1.0, 7).reshape(2, 1, 3)
        matrix = conv_matrix(weight, (1, 5), padding=1).toarray()
        matrix[8, 2] = 9  # output 1, position 3
        with pytest.raises(NotAConvolution) as told:
            kernel_from_matrix(matrix, weight.shape, (1, 5), padding=1)
        assert str(told.value) == (
            "entry (8, 2) of matrix is 9.0, but weight[1, 0, 0] is 4.0 by entry (6, 0)"
        )

    def test_a_wrong_sum_of_mirrored_taps_is_named(self):
        options = {"padding": 1, "padding_mode": "reflect"}
        matrix = conv_matrix(np.array([[[1.0, 2.0, 4.0]]]), (1, 4), **options).toarray()
        matrix[0, 1] = 6
        with pytest.raises(
            NotAConvolution, match=r"\(0, 1\) .* weight\[0, 0, 0\] \+ weight\[0, 0, 2\]"
        ):
            kernel_from_matrix(matrix, (1, 1, 3), (1, 4), **options)

    def test_a_tolerance_forgives_as_much_and_no_more(self):
        matrix = conv_matrix(np.array([[[1.0, 2.0]]]), (1, 5)).toarray()
        matrix[2, 3] += 1e-3
        kernel_from_matrix(matrix, (1, 1, 2), (1, 5), tol=2e-3)
        with pytest.raises(NotAConvolution):
            kernel_from_matrix(matrix, (1, 1, 2), (1, 5), tol=1e-4)

    @pytest.mark.parametrize("form", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
    def test_a_tolerance_includes_its_end(self, form):
        matrix = conv_matrix(np.array([[[1, 2]]]), (1, 5)).toarray()
        matrix[2, 3] += 1
        kernel_from_matrix(form(matrix), (1, 1, 2), (1, 5), tol=1)
        with pytest.raises(NotAConvolution):
            kernel_from_matrix(form(matrix), (1, 1, 2), (1, 5), tol=0.5)

    def test_a_row_longer_than_a_block_is_compared(self):
        matrix = np.zeros((2, BLOCK + 1), dtype=np.int8)
        matrix[1, -1] = 7
        weight = kernel_from_matrix(matrix, (2, BLOCK + 1, 1), (BLOCK + 1, 1))
        np.testing.assert_array_equal(weight[..., 0], matrix)

    def test_a_dense_matrix_is_compared_with_little_memory_beside_it(self):
        matrix = np.eye(4000, dtype=np.int8)
        kernel_from_matrix(matrix[:9, :9], (1, 1, 1), (1, 9))  # whatever is loaded once
        tracemalloc.start()
        kernel_from_matrix(matrix, (1, 1, 1), (1, 4000))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert most < matrix.nbytes / 2

    def test_not_a_number_is_no_convolution(self):
        with pytest.raises(NotAConvolution):
            kernel_from_matrix(np.array([[1.0, 0], [np.nan, 1.0]]), (1, 1, 1), (1, 2), tol=1)

    def test_symbols_come_back(self):
        sympy = pytest.importorskip("sympy")
        k = sympy.symbols("k0:2")
        matrix = conv_matrix(np.array([[list(k)]]), (1, 3), format="dense")
        assert kernel_from_matrix(np.array(matrix), (1, 1, 2), (1, 3)).ravel().tolist() == list(k)


class TestDenseLayers:
    @pytest.mark.parametrize("shape", [(7,), (2, 3), (2, 3, 4), (2, 3, 2, 2)])
    def test_a_kernel_of_full_extent_is_the_layer(self, shape):
        shape = shape if len(shape) > 1 else (1, *shape)
        layer = gaussian_integers((5, int(np.prod(shape))))
        weight = dense_to_conv(layer, shape)
        assert weight.shape == (5, *shape)
        np.testing.assert_array_equal(
            reference.matrix(weight, shape).astype(complex), layer.reshape(5, -1)
        )

    def test_a_pointwise_kernel_is_the_layer_at_every_pixel(self):
        layer = integers((3, 4))
        weight = dense_to_pointwise(layer)
        expected = reference.matrix(weight, (4, 1, 1)).astype(int)
        np.testing.assert_array_equal(expected, layer)


SHAPES = ((1, 1, 2), (1, 4))


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: project(np.ones((2, 4)), *SHAPES), r"matrix \(of shape \(2, 4\)\).*\(3, 4\)"),
        (lambda: project(sparse.eye_array(4), *SHAPES), r"matrix \(of shape \(4, 4\)\)"),
        (lambda: project(np.array([["a"]]), (1, 1, 1), (1, 1)), "matrix .*dtype"),
        (lambda: project(sparse.csr_array(np.eye(1) > 0), (1, 1, 1), (1, 1)), "dtype bool"),
        (lambda: kernel_from_matrix(np.ones((3, 4)), *SHAPES, tol=-1), r"tol \(=-1\)"),
        (lambda: kernel_from_matrix(np.ones((3, 4)), *SHAPES, tol=float("nan")), r"tol \(=nan\)"),
        (lambda: kernel_from_matrix(np.ones(3), *SHAPES), r"matrix \(of shape \(3,\)\)"),
        (lambda: dense_to_conv(np.ones((2, 5)), (1, 2, 2)), r"matrix \(of shape \(2, 5\)\).*4"),
        (lambda: dense_to_conv(np.ones(4), (1, 4)), "two axes"),
        (lambda: dense_to_conv(np.ones((2, 4)), (4,)), r"input_shape \(="),
        (lambda: dense_to_pointwise(np.ones((2, 4, 1))), "two axes"),
    ],
)
def test_bad_input_is_refused_by_name(action, message):
    with pytest.raises(ValueError, match=message):
        action()
