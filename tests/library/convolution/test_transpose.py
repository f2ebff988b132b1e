"""The transposed convolution is multiplication by the transpose of the matrix."""

from fractions import Fraction

import numpy as np
import pytest
import reference
from cases import each_case
from reference import gaussian_integers, integers
from scipy.sparse.linalg import LinearOperator

from equivlib import Geometry, conv_matrix, conv_operator, conv_transpose, dot_test


def transposed(case, weight, y, **more):
    """Return the transpose that leads back to the input of the case."""
    return conv_transpose(y, weight, output_shape=case.input[1:], **case.options, **more)


@each_case
def test_it_is_the_transpose_of_the_definition(case):
    weight, y = integers(case.weight), integers(case.output, seed=1)
    expected = reference.matrix(weight, case.input, **case.options).T @ y.ravel()
    x = transposed(case, weight, y)
    assert x.shape == case.input
    assert x.dtype == np.int64
    np.testing.assert_array_equal(x.ravel(), expected)


@each_case
def test_nothing_is_conjugated(case):
    weight, y = gaussian_integers(case.weight), gaussian_integers(case.output, seed=1)
    expected = reference.matrix(weight, case.input, **case.options).T @ y.ravel()
    np.testing.assert_array_equal(transposed(case, weight, y).ravel(), expected)


@each_case
def test_batches_and_bias(case):
    weight, y = integers(case.weight), integers((2, 3, *case.output), seed=1)
    bias = integers((case.input[0],), seed=2)
    x = transposed(case, weight, y, bias=bias)
    assert x.shape == (2, 3, *case.input)
    one = transposed(case, weight, y[1, 2])
    np.testing.assert_array_equal(x[1, 2], one + bias.reshape(-1, *[1] * (one.ndim - 1)))


def test_fractions_stay_exact():
    weight = np.array([[[Fraction(1, 3), Fraction(1, 7)]]])
    x = conv_transpose(np.array([[Fraction(3), Fraction(7)]]), weight)
    assert x.tolist() == [[Fraction(1), Fraction(58, 21), Fraction(1)]]


OUTPUT_PADDING = [
    (stride, dilation, extra)
    for stride in (1, 2, 3)
    for dilation in (1, 2, 4)
    for extra in range(4)
]


@pytest.mark.parametrize(
    ("stride", "dilation", "extra"), [c for c in OUTPUT_PADDING if c[2] >= max(c[:2])]
)
def test_output_padding_stays_below_stride_or_dilation(stride, dilation, extra):
    weight, y = integers((2, 3, 3)), integers((2, 5), seed=1)
    options = {"stride": stride, "dilation": dilation, "padding": 1}
    with pytest.raises(ValueError, match="output_padding"):
        conv_transpose(y, weight, output_padding=extra, **options)


@pytest.mark.parametrize(
    ("stride", "dilation", "extra"), [c for c in OUTPUT_PADDING if c[2] < max(c[:2])]
)
def test_output_padding_adds_places_at_the_high_end(stride, dilation, extra):
    weight, y = integers((2, 3, 3)), integers((2, 5), seed=1)
    options = {"stride": stride, "dilation": dilation, "padding": 1}
    x = conv_transpose(y, weight, output_padding=extra, **options)
    n = stride * 4 + dilation * 2 + 1 - 2 + extra
    assert x.shape == (3, n)
    rows = 2 * Geometry(weight.shape, (3, n), **options).output_shape[1]
    W = conv_matrix(weight, (3, n), format="dense", **options).reshape(2, rows // 2, -1)
    np.testing.assert_array_equal(x.ravel(), W[:, :5].reshape(10, -1).T @ y.ravel())


def test_output_padding_along_one_axis_of_two_reads_zeros_there():
    weight, y = integers((2, 3, 2, 2)), integers((2, 3, 4), seed=1)
    options = {"dilation": (3, 1)}
    x = conv_transpose(y, weight, output_padding=(2, 0), **options)
    longer = np.pad(y, ((0, 0), (0, 2), (0, 0)))
    np.testing.assert_array_equal(x, conv_transpose(longer, weight, **options))


@pytest.mark.parametrize(
    ("y", "weight", "said"),
    [
        ((1, 4), (1, 1), r"^y \(of shape \(1, 4\)\) must be \(\*batch, in_channels, \*spatial\)"),
        ((4,), (1, 1, 2), r"^y \(of shape \(4,\)\) must be \(\*batch, in_channels, \*spatial\)"),
        ((1, 0), (1, 1, 2), r"^y\.shape\[1\] \(=0\)"),
        ((3, 4), (1, 1, 2), r"^y \(of shape \(3, 4\)\) must have in_channels = 1 channels"),
    ],
)
def test_shapes_that_do_not_fit_are_named(y, weight, said):
    with pytest.raises(ValueError, match=said):
        conv_transpose(np.ones(y), np.ones(weight))


@pytest.mark.parametrize("padding", ["same", "same_lower"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
def test_same_padding_multiplies_the_size_by_the_stride(padding, stride, kernel):
    weight, y = integers((1, 1, kernel)), integers((1, 4), seed=1)
    x = conv_transpose(y, weight, stride=stride, padding=padding)
    assert x.shape == (1, 4 * stride)
    W = conv_matrix(weight, x.shape, stride=stride, padding=padding)
    np.testing.assert_array_equal(x.ravel(), W.T @ y.ravel())


@pytest.mark.parametrize("kernel", [2, 4])
def test_circular_padding_with_an_even_kernel_stays_aligned(kernel):
    """One at place j comes back around j: the adjoint of a shift is the shift back."""
    weight = np.eye(kernel, dtype=int)[0].reshape(1, 1, kernel)  # y[i] = x[i - low]
    options = {"padding": "same", "padding_mode": "circular"}
    low = Geometry(weight.shape, (1, 6), **options).padding[0][0]
    y = np.arange(6)[None]
    assert conv_transpose(y, weight, **options)[0].tolist() == np.roll(y[0], -low).tolist()


@each_case
def test_the_operator_passes_the_dot_test(case):
    dot_test(conv_operator(gaussian_integers(case.weight), case.input, **case.options))


def test_the_dot_test_prints_both_sides_of_a_wrong_adjoint():
    right = conv_operator(np.array([[[1.0, 2.0]]]), (1, 4))
    wrong = conv_operator(np.array([[[1.0, 2.5]]]), (1, 4))
    right.rmatvec, right.rmatmat = wrong.rmatvec, wrong.rmatmat
    with pytest.raises(AssertionError, match=r"<Ax, y> = -?[\d.]+ but <x, A\*y> = -?[\d.]+"):
        dot_test(right)


class TestTolerance:
    """What the dot test allows is ``rtol`` times the larger product of two norms."""

    shape = (40, 60)

    def vectors(self, dtype=float):
        """Return the two vectors that the dot test draws."""
        seen = {}
        spy = LinearOperator(
            self.shape,
            matvec=lambda x: seen.setdefault("x", x)[0] * np.zeros(self.shape[0]),
            rmatvec=lambda y: seen.setdefault("y", y)[0] * np.zeros(self.shape[1]),
            dtype=dtype,
        )
        dot_test(spy)
        return seen["x"], seen["y"]

    @pytest.mark.parametrize("dtype", [float, complex])
    def test_the_vectors_are_standard_normal_in_each_part(self, dtype):
        for vector in self.vectors(dtype):
            assert np.iscomplexobj(vector) == (dtype is complex)
            for part in (vector.real, vector.imag)[: 1 + (dtype is complex)]:
                assert abs(part.mean()) < 4 / len(part) ** 0.5
                assert 0.5 < part.std() < 1.5

    @pytest.mark.parametrize("larger", ["image", "back"])
    @pytest.mark.parametrize("rtol", [None, 1e-3])
    def test_it_is_measured_by_the_larger_norms(self, larger, rtol):
        x, y = self.vectors()
        one, other = (x, y) if larger == "image" else (y, x)  # what is fitted is along `one`
        given = np.cos(np.arange(len(other)))
        allowed = 2 * 100 * np.finfo(float).eps if rtol is None else rtol
        allowed *= np.linalg.norm(given) * np.linalg.norm(other)
        for share in (0.9, 1.1):
            fitted = one * (given @ other + share * allowed) / (one @ one)
            image, back = (given, fitted) if larger == "image" else (fitted, given)
            operator = LinearOperator(
                self.shape,
                matvec=lambda _, image=image: image,
                rmatvec=lambda _, back=back: back,
                dtype=float,
            )
            if share < 1:
                dot_test(operator, rtol=rtol)
            else:
                with pytest.raises(AssertionError, match="is allowed"):
                    dot_test(operator, rtol=rtol)

    def test_single_precision_is_allowed_its_own_rounding(self):
        A = np.random.default_rng(0).standard_normal((30, 30)).astype(np.float32)
        single = LinearOperator(
            A.shape,
            matvec=lambda x: A @ x.astype(np.float32),
            rmatvec=lambda y: A.T @ y.astype(np.float32),
            dtype=np.float32,
        )
        dot_test(single)
        with pytest.raises(AssertionError):
            dot_test(single, rtol=1e-12)

    def test_no_difference_is_within_no_tolerance(self):
        dot_test(np.eye(2), rtol=0)


def test_the_dot_test_notices_a_lost_conjugate():
    matrix = np.array([[1.0, 1j], [2.0, 3.0]])
    wrong = LinearOperator(
        (2, 2), matvec=lambda x: matrix @ x, rmatvec=lambda y: matrix.T @ y, dtype=complex
    )
    with pytest.raises(AssertionError):
        dot_test(wrong)


@pytest.mark.parametrize("word", ["same", "same_lower"])
@pytest.mark.parametrize(("kernel", "stride", "extra"), [(3, 2, 1), (4, 3, 2), (2, 2, 1)])
def test_output_padding_beside_same_moves_what_is_cut_off(word, kernel, stride, extra):
    """The size is stride * spatial, so the whole sum is cut at both ends, a little more in all."""
    y, weight = integers((1, 4)), integers((1, 1, kernel), seed=1)
    x = conv_transpose(y, weight, stride=stride, padding=word, output_padding=extra)
    whole = np.zeros(stride * 3 + kernel + extra, dtype=int)
    for o in range(4):
        whole[stride * o : stride * o + kernel] += y[0, o] * weight[0, 0]
    total = len(whole) - 4 * stride
    low = total // 2 if word == "same" else total - total // 2
    np.testing.assert_array_equal(x[0], whole[low : low + 4 * stride])


def test_output_shape_decides_whatever_output_padding_says():
    y, weight = integers((1, 4)), integers((1, 1, 3), seed=1)
    one = conv_transpose(y, weight, stride=2, output_shape=10, output_padding=1)
    np.testing.assert_array_equal(one, conv_transpose(y, weight, stride=2, output_shape=10))
    assert one.shape == (1, 10)
