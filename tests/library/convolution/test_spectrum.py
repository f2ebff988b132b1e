"""Singular values and operator norm against numpy's decomposition of the matrix."""

import numpy as np
import pytest
from cases import CASES, each_case
from reference import gaussian_integers, integers
from scipy import sparse

from equivlib import (
    Geometry,
    MatrixTooLarge,
    conv_matrix,
    operator_norm,
    singular_values,
)
from equivlib.convolution.spectrum import is_circular, transfer

CIRCULAR = [
    ("even kernel", (2, 3, 4), (3, 8), {"padding": "same"}),
    ("odd kernel, two axes", (3, 2, 3, 3), (2, 5, 6), {"padding": 1}),
    ("dilation", (2, 2, 3, 2), (2, 7, 6), {"padding": "same", "dilation": (2, 3)}),
    ("groups", (4, 1, 3), (2, 6), {"padding": 1, "groups": 2}),
    ("flipped", (2, 2, 3), (2, 6), {"padding": 1, "flip": True}),
    ("kernel larger than the input", (1, 1, 5), (1, 3), {"padding": 2}),
    ("three axes", (2, 1, 2, 2, 3), (1, 3, 4, 3), {"padding": "same"}),
]


def by_numpy(weight, input_shape, **options):
    W = conv_matrix(weight, input_shape, format="dense", **options)
    return np.linalg.svd(W, compute_uv=False)


@each_case
def test_they_are_the_singular_values_of_the_matrix(case):
    weight = integers(case.weight).astype(float)
    values = singular_values(weight, case.input, **case.options)
    expected = by_numpy(weight, case.input, **case.options)
    # Both decompositions are backward stable: 100 n eps is far above what they lose.
    allowed = 100 * max(np.prod(case.input), np.prod(case.output)) * np.finfo(float).eps
    assert values.shape == expected.shape
    np.testing.assert_allclose(values, expected, rtol=0, atol=allowed * expected[0] + 1e-300)


@pytest.mark.parametrize("kind", [integers, gaussian_integers], ids=["real", "complex"])
@pytest.mark.parametrize(
    ("weight_shape", "input_shape", "options"),
    [c[1:] for c in CIRCULAR],
    ids=[c[0] for c in CIRCULAR],
)
def test_the_transform_takes_circular_convolutions_apart(kind, weight_shape, input_shape, options):
    options = {**options, "padding_mode": "circular"}
    weight = kind(weight_shape).astype(np.result_type(kind(weight_shape), float))
    assert is_circular(Geometry(weight_shape, input_shape, **options))
    values = singular_values(weight, input_shape, **options)
    expected = by_numpy(weight, input_shape, **options)
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12 * expected[0])
    np.testing.assert_allclose(operator_norm(weight, input_shape, **options), expected[0])


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "symmetric"])
def test_other_paddings_are_not_taken_for_circular(mode):
    assert not is_circular(Geometry((1, 1, 3), (1, 6), padding=1, padding_mode=mode))


def test_circular_padding_with_another_size_is_not_circulant():
    assert not is_circular(Geometry((1, 1, 3), (1, 6), padding=2, padding_mode="circular"))
    assert not is_circular(
        Geometry((1, 1, 3), (1, 6), padding=1, padding_mode="circular", stride=2)
    )


def test_a_pointwise_kernel_needs_no_padding_to_be_taken_apart():
    assert is_circular(Geometry((2, 3, 1, 1), (3, 4, 4)))
    values = singular_values(np.eye(3)[..., None], (3, 5))
    np.testing.assert_allclose(values, np.ones(15))


@each_case
def test_the_norm_is_the_largest_singular_value(case):
    weight = integers(case.weight, seed=7).astype(float)
    largest = by_numpy(weight, case.input, **case.options)[0]
    norm = operator_norm(weight, case.input, rtol=1e-10, **case.options)
    np.testing.assert_allclose(norm, largest, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("weight_shape", [(8, 4, 3, 3), (2, 4, 3, 3)], ids=["tall", "wide"])
def test_the_lanczos_method_finds_it_without_the_matrix(weight_shape):
    weight = gaussian_integers(weight_shape)
    W = conv_matrix(weight, (4, 12, 11), padding=1, stride=2)
    largest = sparse.linalg.svds(W, k=1, return_singular_vectors=False, random_state=0)[0]
    norm = operator_norm(weight, (4, 12, 11), padding=1, stride=2, rtol=1e-9)
    np.testing.assert_allclose(norm, largest, rtol=1e-7)


def test_a_layer_far_too_large_to_store_has_a_norm():
    weight = np.random.default_rng(0).standard_normal((2, 2, 3, 3)).astype(np.float32)
    shape = (2, 150, 150)
    with pytest.raises(MatrixTooLarge):
        singular_values(weight, shape, padding=1)
    norm = operator_norm(weight, shape, padding=1, rtol=1e-3)
    circular = singular_values(weight, shape, padding=1, padding_mode="circular")[0]
    # On a large image the border hardly counts.
    np.testing.assert_allclose(norm, circular, rtol=1e-2)


def test_the_limit_is_that_of_the_caller():
    with pytest.raises(MatrixTooLarge, match=r"max_bytes \(=10\)"):
        singular_values(np.ones((1, 1, 2)), (1, 4), max_bytes=10)


def test_a_norm_below_one_is_found_as_one_above():
    weight = np.random.default_rng(0).standard_normal((4, 4, 3, 3))
    norm = operator_norm(weight, (4, 12, 12), padding=1)
    assert norm > 1
    small = operator_norm(weight / 1024, (4, 12, 12), padding=1)
    np.testing.assert_allclose(small, norm / 1024, rtol=1e-5)


def test_the_transfer_has_a_block_for_each_group_and_frequency():
    geometry = Geometry((4, 3, 3), (6, 5), groups=2, padding=1, padding_mode="circular")
    assert transfer(integers((4, 3, 3)).astype(float), geometry).shape == (2, 5, 2, 3)


def test_a_matrix_of_one_long_row_has_the_norm_of_its_numbers():
    weight = np.arange(36.0).reshape(1, 1, 6, 6)
    np.testing.assert_allclose(operator_norm(weight, (1, 6, 6)), np.linalg.norm(weight), rtol=1e-14)


def test_the_same_seed_gives_the_same_norm():
    weight = np.random.default_rng(0).standard_normal((4, 4, 3, 3))
    first, second = (operator_norm(weight, (4, 16, 16), padding=1) for _ in range(2))
    assert first == second


def test_single_precision_stays_single():
    assert singular_values(np.ones((1, 1, 2), np.float32), (1, 4)).dtype == np.float32


def test_a_kernel_of_zeros_has_norm_zero():
    assert operator_norm(np.zeros((4, 4, 3, 3)), (4, 12, 12), padding=1) == 0


@pytest.mark.parametrize("rtol", [0, -1, 1, float("nan"), True])
def test_a_tolerance_that_means_nothing_is_refused(rtol):
    with pytest.raises(ValueError, match="rtol"):
        operator_norm(np.ones((1, 1, 2)), (1, 4), rtol=rtol)


def test_symbols_are_refused_by_their_dtype():
    with pytest.raises(ValueError, match="dtype object"):
        singular_values(np.ones((1, 1, 2), dtype=object), (1, 4))


def test_the_cases_hold_both_kinds():
    circular = [c for c in CASES if is_circular(Geometry(c.weight, c.input, **c.options))]
    assert 0 < len(circular) < len(CASES)
