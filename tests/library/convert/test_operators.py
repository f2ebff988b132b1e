"""Operators say beforehand what they store, and all their forms are the same matrix."""

from fractions import Fraction

import numpy as np
import pytest
from networks import fractions, whole
from scipy.sparse import csr_array
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from equivlib.convert.operators import (
    AdaptiveAverage,
    AffineStage,
    Average,
    BlockRow,
    Convolution,
    Diagonal,
    Identity,
    Joined,
    Kronecker,
    Matrix,
    PerChannel,
    Selection,
    Term,
    TransposedConvolution,
)
from equivlib.layers import AdaptiveAvgPool, AvgPool, Conv, ConvTranspose

FLOAT = np.dtype(float)


def convolution(layer, shape):
    return Convolution(layer.weight, layer.geometry(shape))


def average(shape, *args, **options):
    layer = AvgPool(*args, **options)
    return Average(layer, layer.geometry(shape))


def transposed(layer, shape):
    return TransposedConvolution(convolution(layer, shape), shape[1:])


OPERATORS = {
    "identity": Identity(3),
    "diagonal": Diagonal(np.array([2, -1]), 3),
    "permutation": Selection(np.array([2, 0, 1]), 3),
    "selection": Selection(np.array([4, -1, 0, 4]), 5),
    "joined": Joined(2, 7, [(3, 4), (Fraction(1, 2), 1)]),
    "Kronecker": Kronecker([whole(2, 3), np.array([[0, 2], [1, 0], [0, 0]])]),
    "dense": Matrix(whole(3, 4)),
    "sparse": Matrix(csr_array(np.array([[0, 2, 0], [1, 0, -1]]))),
    "convolution": convolution(Conv(whole(2, 2, 3), stride=2, padding=1), (2, 5)),
    "transposed": transposed(ConvTranspose(whole(2, 1, 2), stride=2), (2, 3)),
    "more positions than are read": transposed(
        ConvTranspose(whole(1, 1, 2), dilation=3, output_padding=2), (1, 4)
    ),
    "average": average((1, 5), 2, stride=1, padding=1, count_include_pad=False),
    "adaptive average": AdaptiveAverage(AdaptiveAvgPool((2, 3)), (1, 3, 4)),
    "per channel": PerChannel(2, Matrix(whole(2, 3))),
    "stage": AffineStage(
        0,
        (3, 2),
        (
            BlockRow((Term(2, Matrix(whole(2, 2)), 1), Term(-1, Matrix(whole(2, 3)), 0))),
            BlockRow((Term(1, Identity(3), 0),)),
        ),
    ),
}

each_operator = pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)


@each_operator
def test_what_is_stored_is_known_before(operator):
    matrix = operator.to_csr(FLOAT)
    assert isinstance(matrix, csr_array)
    assert matrix.dtype == FLOAT
    assert matrix.has_canonical_format
    assert (matrix.shape, matrix.nnz) == (operator.shape, operator.nnz)


@each_operator
def test_exact_objects_are_the_same_numbers(operator):
    exact = operator.to_objects()
    assert exact.shape == operator.shape
    assert {type(value) for value in exact.flat} <= {int, float, Fraction}
    np.testing.assert_allclose(exact.astype(float), operator.to_csr(FLOAT).toarray(), rtol=1e-15)


@each_operator
def test_it_is_applied_both_ways_without_being_built(operator):
    unbuilt, dense = operator.as_linear_operator(FLOAT), operator.to_csr(FLOAT).toarray()
    assert isinstance(unbuilt, LinearOperator)
    rows, columns = operator.shape
    for shape in ((), (4,)):
        x, y = whole(columns, *shape, seed=1), whole(rows, *shape, seed=2)
        np.testing.assert_allclose(unbuilt @ x, dense @ x, rtol=1e-14, atol=1e-14)
        np.testing.assert_allclose(unbuilt.H @ y, dense.T @ y, rtol=1e-14, atol=1e-14)


@each_operator
def test_each_matrix_is_built_anew(operator):
    matrix = operator.to_csr(FLOAT)
    before = matrix.toarray()
    for array in (matrix.data, matrix.indices, matrix.indptr):
        array += 1
    np.testing.assert_array_equal(operator.to_csr(FLOAT).toarray(), before)


def test_a_weight_that_is_an_operator_is_passed_on():
    given = aslinearoperator(whole(2, 3))
    assert Matrix(given).as_linear_operator(FLOAT) is given
    assert (Matrix(given).shape, Matrix(given).nnz) == ((2, 3), 6)


def test_fractions_stay_fractions_unbuilt():
    operator, x = Matrix(fractions(2, 3)), fractions(3, 2, seed=1)
    y = operator.as_linear_operator(np.dtype(object)).matmat(x)
    assert (y == operator.matrix @ x).all()
    assert all(isinstance(value, Fraction) for value in y.flat)


def test_a_row_passes_a_block_on_only_if_nothing_is_changed():
    same = Term(1, Identity(2), 5)
    assert BlockRow((same,)).copied_block == 5
    assert BlockRow((same,), bias=np.ones(2)).copied_block is None
    assert BlockRow((same, same._replace(block=1))).copied_block is None
    assert BlockRow((same._replace(factor=-1),)).copied_block is None
    assert BlockRow((same._replace(operator=Selection(np.arange(2), 2)),)).copied_block is None
