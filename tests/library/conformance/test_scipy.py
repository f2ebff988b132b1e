"""The table of scipy's tests of `convolution_matrix`, applied to the case of one axis.

The cases are read from scipy's test class itself: a method with parameters is a case for each
combination, any other method is the refusal of what it passes.
"""

from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.linalg import convolution_matrix

from equivlib import Geometry, conv, conv_matrix

suite = pytest.importorskip(
    "scipy.linalg.tests.test_special_matrices",
    reason="this build of scipy comes without its tests",
)
TABLE = suite.TestConvolutionMatrix


def padding_of(mode, taps, size):
    """Return what is padded so that as many rows remain as scipy keeps of the full matrix.

    The shorter of kernel and signal decides, so with the longer kernel there are zeros on both
    sides even of the "valid" outputs.
    """
    shorter = min(taps, size) - 1
    cut = {"full": (0, 0), "same": (shorter // 2, shorter - shorter // 2), "valid": 2 * (shorter,)}
    return [(taps - 1 - cut[mode][0], taps - 1 - cut[mode][1])] if mode in cut else mode


def ours(a, n, mode="full"):
    """Return the matrix of `scipy.linalg.convolution_matrix` by `equivlib`."""
    weight = np.reshape(a, (1, 1, -1))
    padding = padding_of(mode, weight.size, n)
    return conv_matrix(weight, (1, n), padding=padding, flip=True).toarray()


class Case(NamedTuple):
    """A test of scipy's table: a method and its arguments."""

    name: str
    method: str
    arguments: dict[str, Any]
    suite: str = "scipy convolution_matrix"


def cases():
    for name, method in vars(TABLE).items():
        if not name.startswith("test_"):
            continue
        marks = [mark.args for mark in getattr(method, "pytestmark", ())]
        for values in product(*(values for _, values in marks)):
            arguments = dict(zip((argument for argument, _ in marks), values, strict=True))
            yield Case(f"{name}{arguments or ''}", name, arguments)


CASES = list(cases())
VALID = [case for case in CASES if case.arguments]
REFUSED = [case for case in CASES if not case.arguments]


def each(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


def run(case, replacement, monkeypatch):
    """Run scipy's test with another function in the place of `convolution_matrix`."""
    monkeypatch.setattr(suite, "convolution_matrix", replacement)
    getattr(TABLE(), case.method)(**case.arguments)


def recorded_calls(case, monkeypatch):
    """Return the arguments that scipy's test passes to `convolution_matrix`."""
    calls = []

    def record(*args, **kwargs):
        calls.append((args, kwargs))
        return convolution_matrix(*args, **kwargs)

    run(case, record, monkeypatch)
    assert calls
    return calls


def test_the_table_has_its_75_cases():
    assert (len(VALID), len(REFUSED)) == (72, 3)


@each(VALID)
def test_the_matrix_passes_the_test_of_scipy(case, monkeypatch):
    run(case, ours, monkeypatch)


@each(VALID)
def test_the_matrix_is_that_of_scipy_to_the_last_bit(case, monkeypatch):
    for args, kwargs in recorded_calls(case, monkeypatch):
        expected = convolution_matrix(*args, **kwargs)
        matrix = ours(*args, **kwargs)
        assert matrix.dtype == expected.dtype
        np.testing.assert_array_equal(matrix, expected)


@each(VALID)
def test_the_function_is_the_matrix_of_scipy_applied(case, monkeypatch):
    for (a, n, *mode), _ in recorded_calls(case, monkeypatch):
        signal = TABLE().create_vector(n, case.arguments["cpx"])
        padding = padding_of(*mode or ["full"], len(a), n)
        y = conv(signal[None], np.reshape(a, (1, 1, -1)), padding=padding, flip=True)
        # A sum of at most nine products, whose factors are at most 5 in magnitude.
        atol = 9 * np.finfo(float).eps * 9 * 5**2
        expected = convolution_matrix(a, n, *mode) @ signal
        np.testing.assert_allclose(y[0], expected, rtol=0, atol=atol)


@each([case for case in VALID if case.arguments["na"] <= case.arguments["nv"]])
def test_the_modes_have_names_where_the_kernel_is_not_longer_than_the_signal(case):
    """Those of the padding. An odd extra element of mode "same" is at the low end."""
    taps, size, mode = case.arguments["na"], case.arguments["nv"], case.arguments["mode"] or "full"
    name = {"full": taps - 1, "valid": "valid", "same": "same_lower"}[mode]
    geometry = Geometry((1, 1, taps), (1, size), padding=name)
    assert list(geometry.padding) == padding_of(mode, taps, size)


@each(REFUSED)
def test_what_scipy_refuses_is_refused(case, monkeypatch):
    for args, kwargs in recorded_calls(case, monkeypatch):
        with pytest.raises(ValueError, match=r"\(=.*\) must"):
            ours(*args, **kwargs)
