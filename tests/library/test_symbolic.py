"""Symbols: small cases, and the proof for every size."""

import numpy as np
import pytest
import reference
import sympy
from cases import CASES

from equivlib import conv, conv_matrix, symbolic
from equivlib.symbolic import axis_symbols, symbol_array

SMALL = [case for case in CASES if np.prod(case.weight) * np.prod(case.input) < 300]


def test_each_symbol_of_an_array_is_named_by_its_index():
    assert symbol_array("k", (2, 1, 3)).ravel().tolist() == list(
        sympy.symbols("k00 k01 k02 k10 k11 k12")
    )


def test_long_axes_get_names_that_cannot_be_confused():
    names = [str(symbol) for symbol in symbol_array("k", (12, 12)).flat]
    assert len(set(names)) == 144


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_matrix_is_the_convolution_for_every_size(count):
    axes = [axis_symbols(number) for number in range(count)]
    assert symbolic.difference(*axes) == 0


def test_the_proof_notices_another_place():
    """With a wrong sign of the padding the two sides differ."""
    right = axis_symbols()
    product = symbolic.matrix_times_input(right).function
    wrong = symbolic.convolution(right).function.subs(right.low, -right.low)
    assert sympy.simplify(sympy.piecewise_fold(product - wrong)) != 0


@pytest.mark.parametrize(
    ("n", "m", "s", "d", "p"), [(5, 3, 1, 1, 0), (7, 3, 2, 2, 1), (4, 2, 3, 1, 2), (3, 5, 1, 1, 4)]
)
def test_the_entry_formula_gives_the_matrix_of_the_library(n, m, s, d, p):
    axis = axis_symbols()
    sizes = {axis.size: n, axis.taps: m, axis.stride: s, axis.dilation: d, axis.low: p}
    kernel = symbol_array("k", (1, 1, m))
    values = {symbolic.KERNEL[a]: kernel[0, 0, a] for a in range(m)}
    built = conv_matrix(kernel, (1, n), stride=s, dilation=d, padding=p, format="dense")

    def formula(i, j):
        return (
            symbolic.entry(axis).subs({**sizes, axis.output: i, axis.input: j}).doit().subs(values)
        )

    assert built == sympy.Matrix(*built.shape, formula)


def test_a_proof_over_no_axes_is_refused():
    with pytest.raises(ValueError, match="axes"):
        symbolic.entry()


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.id)
def test_symbols_go_through_the_same_functions(case):
    """The convolution of symbols, the matrix of symbols times symbols, and the loops agree."""
    weight = symbol_array("k", case.weight)
    x = symbol_array("x", case.input)
    by_function = conv(x, weight, **case.options).ravel()
    matrix = conv_matrix(weight, case.input, **case.options)
    by_matrix = matrix * sympy.Matrix(x.ravel().tolist())
    by_loops = reference.conv(x, weight, **case.options).ravel()
    for function, product, loops in zip(by_function, by_matrix, by_loops, strict=True):
        assert sympy.expand(function - loops) == 0
        assert sympy.expand(product - loops) == 0


def test_a_place_is_taken_apart_for_every_size():
    (i, _), (j, columns) = symbolic.index_below("i"), symbolic.index_below("j")
    assert symbolic.divided(i * columns + j, columns, j) == (i, j)


@pytest.mark.parametrize("wrong", ["remainder", "size", "no integer"])
def test_a_division_that_is_not_proved_is_refused(wrong):
    (i, rows), (j, columns) = symbolic.index_below("i"), symbolic.index_below("j")
    claims = {
        "remainder": (i * columns + j, columns, i),
        "size": (i * columns + j, rows, j),
        "no integer": (i * rows + j, columns, j),
    }
    with pytest.raises(AssertionError, match="not proved"):
        symbolic.divided(*claims[wrong])


def test_an_entry_of_a_kronecker_product_is_the_one_of_numpy():
    left, right = np.arange(6).reshape(2, 3), np.arange(20).reshape(4, 5) - 7
    (i1, _), (i2, _) = symbolic.index_below("i1"), symbolic.index_below("i2")
    (j1, _), (j2, _) = symbolic.index_below("j1"), symbolic.index_below("j2")
    r_i2, r_j2 = sympy.symbols("r_i2 r_j2", integer=True, nonnegative=True)
    o2, n2 = i2 + r_i2 + 1, j2 + r_j2 + 1
    entry = symbolic.kronecker_entry(
        lambda i, j: sympy.Function("A")(i, j),
        lambda i, j: sympy.Function("B")(i, j),
        (i1 * o2 + i2, o2, i2),
        (j1 * n2 + j2, n2, j2),
    )
    assert not entry.has(r_i2, r_j2)
    for a, b, c, d in np.ndindex(2, 4, 3, 5):
        found = entry.subs({i1: a, i2: b, j1: c, j2: d})
        numbers = left[a, c] * right[b, d]
        assert found == sympy.Function("A")(a, c) * sympy.Function("B")(b, d)
        assert np.kron(left, right)[a * 4 + b, c * 5 + d] == numbers


def test_sums_over_deltas_pick_a_term_under_conditions():
    i, j, n = sympy.symbols("i j n", integer=True)
    place, column, m = sympy.symbols("place column m", integer=True)
    deltas = sympy.KroneckerDelta(j, i) * sympy.KroneckerDelta(column, place)
    total = sympy.summation(deltas * symbolic.INPUT[j, column], (j, 0, n - 1), (column, 0, m - 1))
    assert symbolic.picked(total) == (
        symbolic.INPUT[i, place],
        {i, n - 1 - i, place, m - 1 - place},
    )


def test_a_second_case_is_refused():
    i = sympy.Symbol("i")
    with pytest.raises(AssertionError, match="second case"):
        symbolic.picked(sympy.Piecewise((i, i >= 0), (1, True)))
