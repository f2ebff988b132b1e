"""`conv_matrix` and `conv_operator`: the same linear map as numbers and as a function."""

import inspect
import sys
import tracemalloc
from fractions import Fraction
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import reference
import sympy
from cases import CASES, each_case
from reference import gaussian_integers, integers
from scipy import linalg, sparse

from equivlib import Geometry, MatrixTooLarge, conv, conv_matrix, conv_operator

DTYPES = ["float32", "float64", "complex64", "complex128", "int8", "int16", "int32", "int64"]

ROWS = [
    slice(None),
    slice(0, 4),
    slice(3, 8),
    slice(7, None),
    slice(-5, None),
    slice(-8, -2),
    slice(None, -3),
    slice(2, 3),
    slice(4, 4),
    slice(6, 2),
    slice(2, 10**9),
    slice(10**9, None),
    slice(1, 6, 1),
    slice(np.int64(2), np.int64(5)),
]

# A layer whose matrix takes 904 MB, or 161 GB as a dense array, of float32.
LAYER = {"weight_shape": (64, 64, 3, 3), "input_shape": (64, 56, 56), "padding": 1}
SPARSE_BYTES = 112_869_376 * 8 + (64 * 56 * 56 + 1) * 4


def layer(function, **options):
    """Apply `function` to the weight and the input shape of the layer above."""
    weight = np.ones(LAYER["weight_shape"], dtype="float32")
    return function(weight, LAYER["input_shape"], padding=LAYER["padding"], **options)


def peak_memory(function):
    """Return the result of calling `function` and the most bytes it held at a time."""
    tracemalloc.start()
    result = function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return result, peak


def assert_same_csr(actual, expected):
    """Assert that two CSR matrices hold the same numbers in the same three arrays."""
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual.indptr, expected.indptr)
    np.testing.assert_array_equal(actual.indices, expected.indices)
    np.testing.assert_array_equal(actual.data, expected.data)


class TestEntries:
    @each_case
    def test_the_matrix_is_the_definition(self, case):
        weight = integers(case.weight)
        expected = reference.matrix(weight, case.input, **case.options)
        matrix = conv_matrix(weight, case.input, **case.options)
        assert isinstance(matrix, sparse.csr_array)
        np.testing.assert_array_equal(matrix.toarray(), expected)
        dense = conv_matrix(weight, case.input, format="dense", **case.options)
        assert isinstance(dense, np.ndarray)
        np.testing.assert_array_equal(dense, expected)

    @each_case
    def test_exactly_the_connected_pairs_are_stored_even_where_the_weight_is_zero(self, case):
        weight = np.zeros(case.weight)
        matrix = conv_matrix(weight, case.input, **case.options)
        rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        stored = list(zip(rows.tolist(), matrix.indices.tolist(), strict=True))
        # Sorted, without duplicates, and without padding, all in one comparison.
        assert stored == sorted(reference.entries(weight, case.input, **case.options))

    @each_case
    def test_the_arrays_are_canonical(self, case):
        matrix = conv_matrix(integers(case.weight), case.input, **case.options)
        assert matrix.has_canonical_format
        # The flag above may have been set by hand: let SciPy look for itself.
        arrays = (matrix.data, matrix.indices, matrix.indptr)
        assert sparse.csr_array(arrays, matrix.shape).has_canonical_format
        assert matrix.indices.dtype == matrix.indptr.dtype == np.int32
        assert len(matrix.data) == len(matrix.indices) == matrix.indptr[-1] == matrix.nnz

    def test_a_small_matrix_can_be_read_off(self):
        matrix = conv_matrix(np.array([[[1, 2, 3]]]), (1, 4), padding=1, format="dense")
        expected = [
            [2, 3, 0, 0],
            [1, 2, 3, 0],
            [0, 1, 2, 3],
            [0, 0, 1, 2],
        ]
        np.testing.assert_array_equal(matrix, expected)

    def test_a_small_matrix_in_two_axes_can_be_read_off(self):
        matrix = conv_matrix(np.array([[[[1, 2], [3, 4]]]]), (1, 2, 3), format="dense")
        expected = [
            [1, 2, 0, 3, 4, 0],
            [0, 1, 2, 0, 3, 4],
        ]
        np.testing.assert_array_equal(matrix, expected)

    @pytest.mark.parametrize(
        ("padding_mode", "expected"),
        [
            ("zeros", [[3, 4, 0], [2, 3, 4], [1, 2, 3]]),
            ("circular", [[3, 4 + 1, 2], [2, 3, 4 + 1], [4 + 1, 2, 3]]),
            ("reflect", [[3, 4 + 2, 1], [2, 3 + 1, 4], [1, 2 + 4, 3]]),
            ("replicate", [[3 + 2 + 1, 4, 0], [2 + 1, 3, 4], [1, 2, 3 + 4]]),
            ("symmetric", [[3 + 2, 4 + 1, 0], [2 + 1, 3, 4], [1, 2, 3 + 4]]),
        ],
    )
    def test_taps_that_fall_on_one_element_are_one_entry(self, padding_mode, expected):
        weight = np.array([[[1, 2, 3, 4]]])
        matrix = conv_matrix(weight, (1, 3), padding=((2, 1),), padding_mode=padding_mode)
        np.testing.assert_array_equal(matrix.toarray(), expected)
        assert matrix.nnz == np.count_nonzero(expected)

    def test_groups_give_diagonal_blocks(self):
        weight = integers((4, 1, 3))
        matrix = conv_matrix(weight, (2, 6), groups=2)
        halves = [conv_matrix(weight[half], (1, 6)) for half in (slice(2), slice(2, 4))]
        assert_same_csr(matrix, sparse.block_diag(halves, format="csr"))

    def test_a_kernel_over_the_full_extent_is_the_fully_connected_layer(self):
        weight = integers((5, 2, 3, 4))
        matrix = conv_matrix(weight, (2, 3, 4), format="dense")
        np.testing.assert_array_equal(matrix, weight.reshape(5, -1))

    def test_a_large_dense_matrix_is_whole(self):
        # Large enough to be written in several pieces by an implementation that does so.
        weight = integers((3000, 1500, 1), dtype=np.int8)
        matrix = conv_matrix(weight, (1500, 1), format="dense")
        np.testing.assert_array_equal(matrix, weight[:, :, 0])

    def test_1x1_is_a_kronecker_product_with_the_identity(self):
        weight = integers((3, 2, 1, 1))
        matrix = conv_matrix(weight, (2, 4, 5), format="dense")
        np.testing.assert_array_equal(matrix, np.kron(weight[:, :, 0, 0], np.eye(20, dtype=int)))


class TestAgainstScipy:
    @pytest.mark.parametrize("mode", ["full", "same", "valid"])
    @pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
    def test_flipped_is_convolution_matrix(self, size, mode):
        kernel = integers(size)
        # SciPy drops (size - 1) // 2 rows of the full matrix at the top, the rest at the bottom.
        low = size // 2
        padding = {"full": size - 1, "same": ((low, size - 1 - low),), "valid": 0}[mode]
        build = partial(conv_matrix, format="dense", padding=padding)
        matrix = build(kernel[None, None], (1, 7), flip=True)
        np.testing.assert_array_equal(matrix, linalg.convolution_matrix(kernel, 7, mode))
        # The cross-correlation of deep learning is the same with the kernel reversed.
        matrix = build(kernel[None, None, ::-1], (1, 7))
        np.testing.assert_array_equal(matrix, linalg.convolution_matrix(kernel, 7, mode))

    @pytest.mark.parametrize("size", [1, 2, 5, 6])
    def test_flipped_and_circular_is_circulant(self, size):
        kernel = integers(size)
        options = {"padding": ((size - 1, 0),), "padding_mode": "circular", "flip": True}
        matrix = conv_matrix(kernel[None, None], (1, size), format="dense", **options)
        np.testing.assert_array_equal(matrix, linalg.circulant(kernel))

    def test_unpadded_is_toeplitz(self):
        matrix = conv_matrix(np.array([[[1, 2, 3]]]), (1, 6), format="dense")
        np.testing.assert_array_equal(matrix, linalg.toeplitz([1, 0, 0, 0], [1, 2, 3, 0, 0, 0]))

    def test_a_separable_kernel_is_a_kronecker_product(self):
        rows, columns = integers(3), integers(2, seed=1)
        build = partial(conv_matrix, format="dense")
        matrix = build(np.multiply.outer(rows, columns)[None, None], (1, 6, 5), stride=(2, 3))
        along_rows = build(rows[None, None], (1, 6), stride=2)
        along_columns = build(columns[None, None], (1, 5), stride=3)
        np.testing.assert_array_equal(matrix, np.kron(along_rows, along_columns))


class TestRows:
    @pytest.mark.parametrize("rows", ROWS, ids=str)
    @pytest.mark.parametrize("padding_mode", reference.MODES)
    def test_rows_are_that_block_of_the_matrix(self, padding_mode, rows):
        options = {
            "stride": (2, 1),
            "padding": ((1, 3), (2, 2)),
            "padding_mode": padding_mode,
            "groups": 2,
            "flip": True,
        }
        build = partial(conv_matrix, integers((4, 1, 3, 2)), (2, 4, 3), **options)
        assert_same_csr(build(rows=rows), build()[rows])
        np.testing.assert_array_equal(build(rows=rows, format="dense"), build(format="dense")[rows])

    @each_case
    def test_blocks_put_together_are_the_matrix(self, case):
        build = partial(conv_matrix, integers(case.weight), case.input, **case.options)
        height = int(np.prod(case.output))
        cuts = [0, height // 3, height // 2, height]
        blocks = [build(rows=slice(a, b)) for a, b in pairwise(cuts)]
        assert all(block.has_canonical_format for block in blocks)
        assert_same_csr(sparse.vstack(blocks, format="csr"), build())

    def test_a_block_of_a_matrix_that_is_too_large_can_be_built(self):
        block, peak = peak_memory(
            lambda: layer(conv_matrix, rows=slice(100_000, 100_010), max_bytes=10**6)
        )
        assert block.shape == (10, 64 * 56 * 56)
        assert block.nnz <= 10 * 64 * 9
        assert block.indices.dtype == np.int32
        assert peak < SPARSE_BYTES / 20

    def test_a_few_rows_far_down_have_small_indices(self):
        weight = np.broadcast_to(np.int8(1), (2**30 + 8, 1, 1))
        block = conv_matrix(weight, (1, 1), rows=slice(2**30, 2**30 + 4))
        assert block.toarray().tolist() == [[1]] * 4
        assert block.indices.dtype == block.indptr.dtype == np.int32

    def test_a_block_that_is_too_large_is_refused(self):
        with pytest.raises(MatrixTooLarge):
            layer(conv_matrix, rows=slice(0, 10_000), max_bytes=10**6)


class TestDtype:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("padding_mode", ["zeros", "replicate"])
    def test_dtype_of_the_weight_is_preserved(self, dtype, padding_mode):
        weight = integers((2, 1, 3)).astype(dtype)
        build = partial(conv_matrix, weight, (1, 5), padding=2, padding_mode=padding_mode)
        expected = reference.matrix(weight, (1, 5), padding=2, padding_mode=padding_mode)
        for matrix in (build(), build(format="dense"), build(rows=slice(2, 5))):
            assert matrix.dtype == dtype
        np.testing.assert_array_equal(build().toarray(), expected.astype(dtype))
        np.testing.assert_array_equal(build(format="dense"), expected.astype(dtype))

    def test_indices_that_do_not_fit_32_bits_take_64(self):
        matrix = conv_matrix(np.array([[[7]]]), (1, 2**32), stride=2**31)
        assert matrix.shape == (2, 2**32)
        assert matrix.indices.dtype == matrix.indptr.dtype == np.int64
        assert matrix.indices.tolist() == [0, 2**31]

    def test_lists_are_arrays(self):
        matrix = conv_matrix([[[1, 2]]], [1, 3])
        np.testing.assert_array_equal(matrix.toarray(), [[1, 2, 0], [0, 1, 2]])

    def test_the_weight_is_left_as_it_is_and_not_shared(self):
        for format in ("csr", "dense"):
            weight = integers((2, 2, 1))
            before = weight.copy()
            matrix = conv_matrix(weight, (2, 1), format=format)
            matrix *= 5
            np.testing.assert_array_equal(weight, before)

    def test_strided_views_are_read_as_they_look(self):
        weight = integers((4, 2, 3, 3)).transpose(1, 0, 3, 2)[:, :, ::-1, ::2]
        expected = conv_matrix(weight.copy(order="C"), (4, 4, 5))
        assert_same_csr(conv_matrix(weight, (4, 4, 5)), expected)


class TestExactObjects:
    @each_case
    def test_dense_holds_the_objects(self, case):
        weight = integers(case.weight, dtype=object) * Fraction(1, 7)
        matrix = conv_matrix(weight, case.input, format="dense", **case.options)
        assert matrix.dtype == object
        expected = reference.matrix(weight, case.input, **case.options)
        np.testing.assert_array_equal(matrix, expected)

    def test_integers_beyond_64_bits_stay_exact(self):
        weight = np.array([[[10**30, 1]]], dtype=object)
        options = {"padding": ((1, 0),), "padding_mode": "replicate"}
        matrix = conv_matrix(weight, (1, 2), format="dense", **options)
        assert matrix.tolist() == [[10**30 + 1, 0], [10**30, 1]]

    def test_rows_of_objects_are_that_block(self):
        build = partial(conv_matrix, integers((2, 1, 2), dtype=object), (1, 4), format="dense")
        np.testing.assert_array_equal(build(rows=slice(2, 5)), build()[2:5])

    @pytest.mark.parametrize("entry", [Fraction(1, 2), 10**30])
    def test_csr_cannot_hold_objects_and_says_what_can(self, entry):
        with pytest.raises(ValueError, match=r"""object(?s:.)*format=["']dense["']"""):
            conv_matrix(np.array([[[entry]]], dtype=object), (1, 3))


class TestSymbols:
    a, b, c = sympy.symbols("a b c")

    def test_the_matrix_of_a_symbolic_kernel_can_be_read_off(self):
        a, b, c = self.a, self.b, self.c
        weight = np.array([[[a, b, c]]])
        expected = sympy.Matrix([[b, c, 0, 0], [a, b, c, 0], [0, a, b, c], [0, 0, a, b]])
        matrix = conv_matrix(weight, (1, 4), padding=1)
        assert isinstance(matrix, (sympy.SparseMatrix, sympy.ImmutableSparseMatrix))
        assert matrix == expected
        dense = conv_matrix(weight, (1, 4), padding=1, format="dense")
        assert isinstance(dense, sympy.MatrixBase)
        assert not isinstance(dense, (sympy.SparseMatrix, sympy.ImmutableSparseMatrix))
        assert dense == expected

    def test_symbols_that_fall_on_one_element_are_added(self):
        a, b, c = self.a, self.b, self.c
        options = {"padding": 1, "padding_mode": "circular"}
        matrix = conv_matrix(np.array([[[a, b, c]]]), (1, 2), **options)
        assert matrix == sympy.Matrix([[b, a + c], [a + c, b]])

    @pytest.mark.parametrize("container", [sympy.Array, sympy.ImmutableDenseNDimArray])
    def test_a_sympy_array_is_a_weight(self, container):
        a, b = self.a, self.b
        matrix = conv_matrix(container([[[a, b]]]), (1, 3))
        assert matrix == sympy.Matrix([[a, b, 0], [0, a, b]])

    def test_sympy_numbers_stay_exact(self):
        weight = np.array([[[sympy.Rational(1, 3), sympy.sqrt(2)]]])
        matrix = conv_matrix(weight, (1, 2), padding_mode="replicate", padding=((0, 1),))
        third, root = sympy.Rational(1, 3), sympy.sqrt(2)
        assert matrix == sympy.Matrix([[third, root], [0, third + root]])

    def test_objects_need_no_sympy(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "sympy", None)
        weight = np.array([[[Fraction(1, 3), Fraction(1, 7)]]])
        matrix = conv_matrix(weight, (1, 3), format="dense")
        third, seventh = weight.ravel()
        assert matrix.tolist() == [[third, seventh, 0], [0, third, seventh]]

    def test_symbols_and_numbers_mix(self):
        weight = np.array([[[self.a, 2, 0]]], dtype=object)
        matrix = conv_matrix(weight, (1, 4))
        assert matrix == sympy.Matrix([[self.a, 2, 0, 0], [0, self.a, 2, 0]])

    @pytest.mark.parametrize("format", ["csr", "dense"])
    def test_rows_of_symbols_are_that_block(self, format):
        weight = np.array([[[self.a, self.b]], [[self.b, self.c]]])
        build = partial(conv_matrix, weight, (1, 4), format=format)
        assert build(rows=slice(2, 5)) == build()[2:5, :]

    @pytest.mark.parametrize("case", CASES[::3], ids=lambda case: case.id)
    def test_numbers_put_for_the_symbols_give_the_matrix_of_numbers(self, case):
        numbers = integers(case.weight)
        symbols = np.array(sympy.symbols(f"k:{numbers.size}")).reshape(case.weight)
        values = dict(zip(symbols.ravel(), numbers.ravel().tolist(), strict=True))
        matrix = conv_matrix(symbols, case.input, **case.options)
        expected = reference.matrix(numbers, case.input, **case.options)
        assert matrix.shape == expected.shape
        assert matrix.subs(values) == sympy.Matrix(*expected.shape, expected.ravel().tolist())

    def test_the_matrix_applied_to_symbols_is_conv(self):
        x = np.array(sympy.symbols("x:12")).reshape(1, 4, 3)
        weight = np.array(sympy.symbols("k:6")).reshape(1, 1, 3, 2)
        matrix = conv_matrix(weight, x.shape, padding=1, format="dense")
        y = conv(x, weight, padding=1)
        difference = matrix * sympy.Matrix(x.ravel()) - sympy.Matrix(y.ravel())
        assert difference.expand() == sympy.zeros(y.size, 1)


class TestSizeLimit:
    def test_the_message_says_what_both_formats_take(self):
        with pytest.raises(MatrixTooLarge) as caught:
            layer(conv_matrix, max_bytes=100 * 10**6)
        message = str(caught.value)
        assert "904 MB" in message
        assert "161 GB" in message
        assert "max_bytes" in message

    def test_it_is_a_value_error(self):
        assert issubclass(MatrixTooLarge, ValueError)

    @pytest.mark.parametrize("options", [{"max_bytes": 10**8}, {"format": "dense"}], ids=str)
    def test_nothing_is_allocated_before_the_refusal(self, options):
        def refused():
            with pytest.raises(MatrixTooLarge):
                layer(conv_matrix, **options)

        # The weight itself takes 0.15 MB.
        assert peak_memory(refused)[1] < 2 * 10**6

    @pytest.mark.parametrize("format", ["csr", "dense"])
    def test_the_limit_is_the_last_size_allowed(self, format):
        weight, input_shape = integers((2, 1, 3)), (1, 9)
        size = Geometry(weight.shape, input_shape, padding=1).nbytes(weight.dtype, format)
        build = partial(conv_matrix, weight, input_shape, padding=1, format=format)
        assert build(max_bytes=size).shape == (18, 9)
        with pytest.raises(MatrixTooLarge):
            build(max_bytes=size - 1)

    def test_the_default_limit_is_four_gibibytes(self):
        assert inspect.signature(conv_matrix).parameters["max_bytes"].default == 4 * 2**30


class TestOperator:
    @each_case
    def test_all_four_products_are_those_of_the_matrix(self, case):
        weight = gaussian_integers(case.weight)
        matrix = reference.matrix(weight, case.input, **case.options).astype(complex)
        operator = conv_operator(weight, case.input, **case.options)
        assert isinstance(operator, sparse.linalg.LinearOperator)
        assert operator.shape == matrix.shape
        assert operator.dtype == weight.dtype
        outputs, inputs = matrix.shape
        x, y = gaussian_integers((inputs, 3), seed=3), gaussian_integers((outputs, 3), seed=5)
        adjoint = matrix.conj().T
        np.testing.assert_array_equal(operator.matvec(x[:, 0]), matrix @ x[:, 0])
        np.testing.assert_array_equal(operator.matmat(x), matrix @ x)
        np.testing.assert_array_equal(operator.rmatvec(y[:, 0]), adjoint @ y[:, 0])
        np.testing.assert_array_equal(operator.rmatmat(y), adjoint @ y)

    def test_the_transpose_is_not_conjugated_and_the_adjoint_is(self):
        weight = gaussian_integers((2, 1, 3))
        operator, matrix = conv_operator(weight, (1, 6)), conv_matrix(weight, (1, 6))
        y = gaussian_integers(8, seed=3)
        np.testing.assert_array_equal(operator.T @ y, matrix.toarray().T @ y)
        np.testing.assert_array_equal(operator.H @ y, matrix.toarray().conj().T @ y)

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_dtype_of_the_weight_is_preserved(self, dtype):
        weight = integers((2, 1, 3)).astype(dtype)
        operator = conv_operator(weight, (1, 6))
        assert operator.dtype == dtype
        assert operator.matvec(np.ones(6, dtype=dtype)).dtype == dtype
        assert operator.rmatvec(np.ones(8, dtype=dtype)).dtype == dtype

    def test_small_unsigned_weights_stay_unsigned(self):
        assert conv_operator(np.ones((1, 1, 2), dtype=np.uint8), (1, 4)).dtype == np.uint8

    def test_a_real_kernel_takes_a_complex_vector(self):
        weight = integers((2, 1, 3)).astype(float)
        operator, matrix = conv_operator(weight, (1, 6)), conv_matrix(weight, (1, 6))
        x, y = gaussian_integers(6), gaussian_integers(8)
        np.testing.assert_array_equal(operator @ x, matrix @ x)
        np.testing.assert_array_equal(operator.H @ y, matrix.T @ y)

    def test_fractions_stay_exact(self):
        weight = integers((2, 1, 3), dtype=object) * Fraction(1, 7)
        operator = conv_operator(weight, (1, 6))
        matrix = reference.matrix(weight, (1, 6))
        x = integers(6, seed=1, dtype=object) * Fraction(1, 3)
        y = integers(8, seed=2, dtype=object) * Fraction(1, 5)
        np.testing.assert_array_equal(operator.matvec(x), matrix @ x)
        np.testing.assert_array_equal(operator.rmatvec(y), matrix.T @ y)

    def test_a_column_vector_stays_a_column(self):
        operator = conv_operator(integers((2, 1, 3)), (1, 6))
        assert operator.matvec(np.ones((6, 1))).shape == (8, 1)
        assert operator.rmatvec(np.ones((8, 1))).shape == (6, 1)

    def test_it_works_where_the_matrix_would_not_fit(self):
        def apply():
            operator = layer(conv_operator)
            y = operator @ np.ones(operator.shape[1], dtype="float32")
            return y, operator.H @ y

        (y, x), peak = peak_memory(apply)
        assert peak < SPARSE_BYTES / 5
        # With ones everywhere, the middle of y counts the taps, and the middle of x their squares.
        assert y.reshape(64, 56, 56)[5, 20, 20] == 64 * 9
        assert x.reshape(64, 56, 56)[5, 20, 20] == (64 * 9) ** 2

    def test_it_serves_an_iterative_solver(self):
        # Diagonally dominant, so the smallest singular value is at least 4 - 2 = 2.
        weight = np.array([[[1.0, 4.0, 1.0]]])
        operator = conv_operator(weight, (1, 50), padding=1)
        x = np.cos(np.arange(50.0))
        found = sparse.linalg.lsqr(operator, operator @ x, atol=1e-12, btol=1e-12)[0]
        # The solver stops at a residual of about 1e-12 |A| |x|, with |A| <= 6: an error in x of
        # at most 3e-12 |x|. The bound leaves a factor of 30.
        np.testing.assert_allclose(found, x, rtol=0, atol=1e-10 * np.linalg.norm(x))


class Module:
    """What a module of PyTorch is known by, with the attributes of a convolution of its kind."""

    transposed, stride, padding, dilation, groups = False, (2,), (1,), (2,), 2
    padding_mode = "circular"
    named_parameters = forward = None

    def __init__(self, weight, **attributes):
        self.weight = Parameter(weight)
        vars(self).update(attributes)


class Parameter:
    """A tensor that has a gradient: numpy may not read it as it is."""

    def __init__(self, weight):
        self.numbers = weight

    def __array__(self, *_, **__):
        raise RuntimeError("call detach() first")

    def detach(self):
        return self

    def cpu(self):
        return self.numbers


def test_a_convolution_with_the_attributes_of_pytorch_has_its_matrix():
    weight = integers((4, 1, 3), seed=1)
    options = {"stride": 2, "padding": 1, "dilation": 2, "groups": 2, "padding_mode": "circular"}
    expected = conv_matrix(weight, (2, 9), format="dense", **options)
    for given in (Module(weight), Module(weight, groups=2)):
        np.testing.assert_array_equal(conv_matrix(given, (2, 9), format="dense"), expected)
    assert conv_matrix(Parameter(weight), (1, 9)).shape == (4 * 7, 9)


def test_other_modules_and_options_beside_a_module_are_refused():
    weight, methods = integers((4, 1, 3), seed=1), {"named_parameters": None, "forward": None}
    linear = type("Linear", (), methods)()
    odd = type("Odd", (), {**methods, "padding_mode": "zeros"})()
    for other in (linear, odd, Module(weight, transposed=True)):
        with pytest.raises(ValueError, match=r"must be a convolution; .*from_torch"):
            conv_matrix(other, (2, 9))
    with pytest.raises(ValueError, match=r"the options of weight \(a module Module\).*stride must"):
        conv_matrix(Module(weight), (2, 9), stride=1)
    with pytest.raises(ValueError, match=r"x \(a module Linear\) must hold numbers.*from_torch"):
        conv(linear, weight)


@pytest.mark.parametrize("missing", ["named_parameters", "forward"])
def test_what_has_only_one_method_of_a_module_is_read_as_numbers(missing):
    other = {"named_parameters": "forward", "forward": "named_parameters"}[missing]
    numbers = np.ones((1, 3)).view(type("Numbers", (np.ndarray,), {other: None}))
    assert (conv(numbers, np.ones((1, 1, 2))) == 2).all()


def test_a_dense_matrix_is_built_in_pieces_of_at_least_one_row(monkeypatch):
    weight = integers((2, 2, 3), seed=2)
    expected = conv_matrix(weight, (2, 5), format="dense")
    monkeypatch.setattr("equivlib.convolution.matrix.DENSE_BLOCK", 1)
    np.testing.assert_array_equal(conv_matrix(weight, (2, 5), format="dense"), expected)


def test_building_holds_little_more_memory_than_the_result():
    weight = np.ones((8, 16, 3, 3), dtype=np.float32)
    conv_matrix(weight[:1], (16, 28, 28), padding=1)  # whatever is loaded once
    tracemalloc.start()
    matrix = conv_matrix(weight, (16, 28, 28), padding=1)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
    assert most <= 1.1 * size
