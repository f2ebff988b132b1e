"""`pattern`: which flat element of one channel each (position, tap) reads, -1 for padding."""

import numpy as np
import pytest
import reference
from cases import each_case
from numpy.lib.stride_tricks import sliding_window_view
from reference import MODES, NUMPY_NAME

from equivlib import Geometry
from equivlib.convolution.pattern import pattern


def pattern_of(weight_shape, input_shape, **options):
    return pattern(Geometry(weight_shape, input_shape, **options))


@each_case
def test_the_pattern_is_the_definition(case):
    kernel_size, sizes = case.weight[2:], case.input[1:]
    positions = reference.flat_index(case.output[1:])
    taps, elements = reference.flat_index(kernel_size), reference.flat_index(sizes)
    table = pattern_of(case.weight, case.input, **case.options)
    assert table.shape == (len(positions), len(taps))
    assert np.issubdtype(table.dtype, np.integer)
    for position, tap, place in reference.reads(kernel_size, sizes, **case.options):
        expected = -1 if place is None else elements[place]
        assert table[positions[position], taps[tap]] == expected


def test_a_small_pattern_can_be_read_off():
    table = pattern_of((1, 1, 3), (1, 4), padding=1)
    np.testing.assert_array_equal(table, [[-1, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, -1]])


def test_a_small_pattern_in_two_axes_can_be_read_off():
    # 0 1 2
    # 3 4 5
    table = pattern_of((1, 1, 2, 2), (1, 2, 3))
    np.testing.assert_array_equal(table, [[0, 1, 3, 4], [1, 2, 4, 5]])


def test_a_row_of_an_image_does_not_go_on_in_the_next():
    # 0 1
    # 2 3
    table = pattern_of((1, 1, 1, 3), (1, 2, 2), padding=((0, 0), (1, 1)))
    np.testing.assert_array_equal(table, [[-1, 0, 1], [0, 1, -1], [-1, 2, 3], [2, 3, -1]])


def test_flip_reverses_the_taps():
    options = {"stride": (1, 2), "padding": 1, "dilation": (2, 1)}
    table = pattern_of((1, 1, 2, 3), (1, 4, 5), **options)
    flipped = pattern_of((1, 1, 2, 3), (1, 4, 5), flip=True, **options)
    np.testing.assert_array_equal(flipped, table[:, ::-1])


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "zeros"])
@pytest.mark.parametrize("pad", [((1, 2), (0, 1)), ((5, 4), (7, 9))], ids=str)
@pytest.mark.parametrize("sizes", [(3, 4), (2, 1)], ids=str)
def test_a_padded_pattern_is_np_pad_of_the_numbered_elements(sizes, pad, mode):
    padded = np.pad(np.arange(np.prod(sizes)).reshape(sizes), pad, NUMPY_NAME[mode])
    kernel_size = (3, 2)
    table = pattern_of((1, 1, *kernel_size), (1, *sizes), padding=pad, padding_mode=mode)
    expected = sliding_window_view(padded, kernel_size)
    np.testing.assert_array_equal(table, expected.reshape(table.shape))


@pytest.mark.parametrize("mode", MODES)
def test_channels_and_groups_do_not_change_the_pattern(mode):
    options = {"padding": 2, "padding_mode": mode}
    table = pattern_of((6, 1, 3, 2), (3, 4, 5), groups=3, **options)
    np.testing.assert_array_equal(table, pattern_of((1, 1, 3, 2), (1, 4, 5), **options))
