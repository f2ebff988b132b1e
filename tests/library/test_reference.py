"""The reference itself, against NumPy, SciPy and shapes worked out by hand."""

import numpy as np
import pytest
import reference
from cases import each_case
from reference import MODES, NUMPY_NAME, integers
from scipy import signal


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("mode", MODES)
def test_an_extended_axis_is_that_of_np_pad(mode, size):
    low, high = 3 * size + 1, 4 * size + 2
    element = np.arange(1, size + 1)
    places = [reference.extend(place, size, mode) for place in range(-low, size + high)]
    extended = [0 if place is None else element[place] for place in places]
    np.testing.assert_array_equal(extended, np.pad(element, (low, high), NUMPY_NAME[mode]))


@each_case
def test_the_output_has_the_shape_worked_out_by_hand(case):
    assert reference.output_shape(case.weight, case.input, **case.options) == case.output


@each_case
def test_the_matrix_applied_to_the_input_is_the_convolution(case):
    x, weight = integers(case.input), integers(case.weight, seed=1)
    matrix = reference.matrix(weight, case.input, **case.options)
    y = reference.conv(x, weight, **case.options)
    np.testing.assert_array_equal((matrix @ x.ravel()).reshape(case.output), y)


def test_one_axis_is_np_correlate_and_flipped_np_convolve():
    x, kernel = integers(8), integers(3, seed=1)
    for flip, numpy_does in ((False, np.correlate), (True, np.convolve)):
        y = reference.conv(x[None], kernel[None, None], padding=2, flip=flip)
        np.testing.assert_array_equal(y[0], numpy_does(x, kernel, "full"))


def test_two_axes_are_correlate2d_and_flipped_convolve2d():
    x, kernel = integers((5, 6)), integers((2, 3), seed=1)
    for flip, scipy_does in ((False, signal.correlate2d), (True, signal.convolve2d)):
        y = reference.conv(x[None], kernel[None, None], padding=(1, 2), flip=flip)
        np.testing.assert_array_equal(y[0], scipy_does(x, kernel, "full"))


def test_columns_of_a_small_signal_are_its_windows():
    x = np.array([[1, 2, 3, 4], [5, 6, 7, 8]])
    expected = [[1, 2, 3], [2, 3, 4], [5, 6, 7], [6, 7, 8]]
    np.testing.assert_array_equal(reference.im2col(x, (2,)), expected)
