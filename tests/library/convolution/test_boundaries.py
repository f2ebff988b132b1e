"""At the boundary of what is allowed: the last good value, the first bad one, and its message."""

import tracemalloc
from itertools import product

import numpy as np
import pytest
import reference
from reference import integers

from equivlib import (
    Geometry,
    MatrixTooLarge,
    conv_matrix,
    conv_operator,
    dot_test,
    im2col,
    tap_matrix,
)
from equivlib.convolution.axis import Axis
from equivlib.convolution.csr import _boxes, stored_count
from equivlib.convolution.geometry import checked_shape, index_dtype
from equivlib.convolution.matrix import DENSE_BLOCK

WEIGHT, SHAPE = integers((2, 1, 3)), (1, 9)


class TestSizesOfTheTranspose:
    def test_output_padding_starts_at_0(self):
        build = Geometry.of_transpose
        assert build((1, 1, 3), (4,), stride=2, output_padding=0).input_shape == (1, 9)
        with pytest.raises(ValueError, match=r"output_padding \(=-1\) .* at least 0"):
            build((1, 1, 3), (4,), stride=2, output_padding=-1)

    def test_output_shape_starts_at_1(self):
        build = Geometry.of_transpose
        assert build((1, 1, 3), (1,), padding=1, output_shape=1).input_shape == (1, 1)
        with pytest.raises(ValueError, match=r"output_shape \(=0\) .* at least 1"):
            build((1, 1, 3), (1,), padding=1, output_shape=0)

    @pytest.mark.parametrize("size", [9, 10])
    def test_output_shape_leads_back_to_the_positions(self, size):
        built = Geometry.of_transpose((1, 1, 3), (4,), stride=2, output_shape=size)
        assert built.output_shape == (1, 4)

    @pytest.mark.parametrize(("size", "reached"), [(8, 3), (11, 5)])
    def test_output_shape_must_lead_back_to_the_positions(self, size, reached):
        with pytest.raises(
            ValueError, match=rf"output_shape \(={size}\) .* takes it to \({reached}"
        ):
            Geometry.of_transpose((1, 1, 3), (4,), stride=2, output_shape=size)

    def test_groups_start_at_1(self):
        with pytest.raises(ValueError, match=r"groups \(=0\) must be an integer of at least 1"):
            Geometry.of_transpose((1, 1, 3), (4,), groups=0)

    @pytest.mark.parametrize(
        ("name", "given"),
        [
            ("stride", {"stride": 0, "padding": "same"}),
            ("dilation", {"dilation": 0, "padding": 1}),
            ("weight_shape", {"weight_shape": "111"}),
        ],
    )
    def test_a_bad_argument_is_named_before_the_sizes_are(self, name, given):
        given = {"weight_shape": (1, 1, 3), "spatial": (1,), **given}
        with pytest.raises(ValueError, match=rf"^{name} "):
            Geometry.of_transpose(**given)

    def test_valid_padding_is_none(self):
        built = Geometry.of_transpose((1, 1, 3), (4,), stride=2, padding="valid")
        assert built.input_shape == (1, 9)

    def test_one_bad_axis_of_two_is_enough(self):
        build = Geometry.of_transpose
        with pytest.raises(ValueError, match=r"output_padding \(=\(1, 0\)\) must be less than"):
            build((1, 1, 3, 3), (4, 4), output_padding=(1, 0))
        with pytest.raises(ValueError, match=r"leaves nothing of the output: .* \(0, 4\)"):
            build((1, 1, 1, 1), (1, 4), padding=((1, 0), (0, 0)))

    @pytest.mark.parametrize("spatial", [(), (4, 4)], ids=str)
    @pytest.mark.parametrize("padding", [0, "same"])
    def test_as_many_positions_as_the_kernel_has_axes(self, spatial, padding):
        with pytest.raises(ValueError, match=r"spatial \(="):
            Geometry.of_transpose((1, 1, 3), spatial, padding=padding)


def test_an_array_in_the_place_of_a_number_is_refused_by_its_name():
    with pytest.raises(ValueError, match=r"^stride\[0\] \(=array\(\[1, 2\]\)\) must be an integer"):
        Geometry((1, 1, 3, 3), (1, 4, 4), stride=np.array([[1, 2], [3, 4]]))


@pytest.mark.parametrize("entry", [(), (1,), (1, 1, 1)], ids=str)
def test_padding_of_an_axis_has_two_ends(entry):
    with pytest.raises(ValueError, match=r"padding\[0\] .* must be an integer or a \(low, high\)"):
        Geometry((1, 1, 3, 3), (1, 4, 4), padding=(entry, (0, 0)))


def test_a_shape_without_spatial_axes_is_one_only_where_it_may_be_flat():
    assert checked_shape("shape", (3,), flat=True) == (3,)
    with pytest.raises(ValueError, match=r"^shape \(=\(3,\)\) must hold channels and at least one"):
        checked_shape("shape", (3,))
    with pytest.raises(ValueError, match=r"^shape \(=\(\)\) must hold at least one size$"):
        checked_shape("shape", (), flat=True)


@pytest.mark.parametrize("counts", [(2**31 - 1, 1, 1), (1, 2**31 - 1, 1), (1, 1, 2**31 - 1)])
def test_indices_take_32_bits_up_to_the_largest_that_fits(counts):
    assert index_dtype(*counts) == np.int32
    assert index_dtype(*(n + (n > 1) for n in counts)) == np.int64


def test_a_kernel_has_at_least_one_tap_along_each_axis():
    x = integers((1, 3, 4))
    assert im2col(x, (3, 1)).shape == (3, 4)
    with pytest.raises(ValueError, match=r"kernel_size\[1\] \(=0\) .* at least 1"):
        im2col(x, (3, 0))


@pytest.mark.parametrize("weight", [(2, 1), (2, 1, 3, 3)], ids=str)
def test_the_weight_has_one_axis_more_than_the_input(weight):
    with pytest.raises(ValueError, match=r"weight_shape .* (one axis more|spatial axis)"):
        Geometry(weight, (1, 9))
    with pytest.raises(ValueError, match=r"must have one axis more than input_shape"):
        Geometry((2, 1, 3), (1, 9, 9))


class TestTap:
    @pytest.mark.parametrize("tap", [(0, 0, 0), (1, 0, 2)], ids=str)
    def test_the_first_and_the_last_tap_have_a_matrix(self, tap):
        one_hot = np.zeros(WEIGHT.shape, dtype=int)
        one_hot[tap] = 1
        expected = reference.matrix(one_hot, SHAPE)
        np.testing.assert_array_equal(tap_matrix(tap, WEIGHT.shape, SHAPE).toarray(), expected)

    @pytest.mark.parametrize(
        "tap", [(), (0, 0), (0, 0, 0, 0), (0, 0, 3), (2, 0, 0), (0, 0, -1), (-1, 0, 0)], ids=str
    )
    def test_what_is_no_index_of_the_weight_is_refused(self, tap):
        with pytest.raises(ValueError, match=r"tap \(=.*\) must be an index into weight_shape"):
            tap_matrix(tap, WEIGHT.shape, SHAPE)


class TestLimit:
    @pytest.mark.parametrize("limit", [0, -1, 0.0, True, False, None, "9", 1j], ids=repr)
    def test_what_is_no_positive_number_is_refused_as_such(self, limit):
        with pytest.raises(ValueError, match=r"max_bytes \(=.*\) must be a positive number"):
            conv_matrix(WEIGHT, SHAPE, max_bytes=limit)

    @pytest.mark.parametrize("limit", [1, 0.5])
    def test_the_smallest_limits_are_limits(self, limit):
        with pytest.raises(MatrixTooLarge, match=rf"max_bytes \(={limit}\)"):
            conv_matrix(WEIGHT, SHAPE, max_bytes=limit)

    @pytest.mark.parametrize("limit", [10**9, 1e9, np.int64(10**9), np.float32(1e9), float("inf")])
    def test_every_real_number_is_a_limit(self, limit):
        assert conv_matrix(WEIGHT, SHAPE, max_bytes=limit).shape == (14, 9)

    @pytest.mark.parametrize(
        ("weight", "shape", "size"),
        [
            ((27, 37, 1), (37, 1), "999 bytes"),
            ((25, 40, 1), (40, 1), "1 kB"),
            ((1, 1, 1), (1, 1000), "1 MB"),
            ((1, 999_499, 1), (999_499, 1), "999 kB"),
            ((1, 999_500, 1), (999_500, 1), "1 MB"),
            ((1, 999_500_000, 1), (999_500_000, 1), "1 GB"),
            ((30, 50, 1), (50, 1), "1.5 kB"),
            ((1, 1, 1), (1, 10**6), "1 TB"),
            ((10, 1, 1), (1, 10**7), "1 PB"),
            ((1, 1, 1), (1, 10**9), "1 EB"),
            ((10, 1, 1), (1, 10**10), "1000 EB"),
        ],
        ids=str,
    )
    def test_sizes_are_readable_on_both_sides_of_a_unit(self, weight, shape, size):
        ones = np.broadcast_to(np.int8(1), weight)
        with pytest.raises(MatrixTooLarge, match=rf" {size} dense"):
            conv_matrix(ones, shape, format="dense", max_bytes=1)


@pytest.mark.parametrize("step", [None, 1, np.int64(1)], ids=repr)
def test_rows_may_name_the_step_1(step):
    block = conv_matrix(WEIGHT, SHAPE, rows=slice(3, 9, step))
    np.testing.assert_array_equal(block.toarray(), conv_matrix(WEIGHT, SHAPE).toarray()[3:9])


class TestStretches:
    """The parts into which a stretch of outputs is cut."""

    @pytest.mark.parametrize("padding_mode", reference.MODES)
    def test_runs_cover_their_positions_once_and_none_is_empty(self, padding_mode):
        geometry = Geometry((1, 1, 3), (1, 6), stride=1, padding=3, padding_mode=padding_mode)
        (axis,) = geometry.axes
        for start in range(axis.outputs):
            for stop in range(start + 1, axis.outputs + 1):
                runs = [range(run.start, run.stop) for run in axis.runs_within(start, stop)]
                assert all(runs)
                assert [o for run in runs for o in run] == list(range(start, stop))

    @pytest.mark.parametrize("stride", [1, 2, 3])
    @pytest.mark.parametrize(("taps", "dilation"), [(1, 1), (2, 3), (3, 1), (3, 2)])
    def test_all_positions_that_meet_no_border_are_one_run(self, taps, dilation, stride):
        for low, high, size in product(range(5), range(4), range(6, 10)):
            axis = Axis(size, taps, stride, dilation, low, high, "zeros", False)
            first_places = [stride * o - low for o in range(axis.outputs)]
            reach = dilation * (taps - 1)
            inside = [o for o, j in enumerate(first_places) if j >= 0 and j + reach < size]
            runs = [list(range(run.start, run.stop)) for run in axis.runs]
            assert not inside or inside in runs
            assert all(len(run) == 1 for run in runs if run != inside)

    def test_an_axis_cannot_be_changed(self):
        """Its runs are computed once."""
        axis = Axis(6, 3, 1, 1, 0, 0, "zeros", False)
        with pytest.raises(AttributeError):
            axis.stride = 2

    @pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 2), (600, 2)], ids=str)
    def test_boxes_cover_their_elements_once_in_order_and_none_is_empty(self, shape):
        size = int(np.prod(shape))
        numbers = np.arange(size).reshape(shape)
        some = range(size + 1) if size < 100 else (0, 1, 2, 599, 600, 601, 602, 603, size)
        for start in some:
            for stop in some:
                boxes = list(_boxes(shape, start, stop))
                assert all(len(part) > 0 for box in boxes for part in box)
                covered = [numbers[np.ix_(*box)].ravel() for box in boxes]
                assert np.concatenate([*covered, []]).tolist() == list(range(start, stop))

    def test_no_rows_store_no_numbers(self):
        geometry = Geometry((1, 1, 3), (1, 1000))
        assert stored_count(geometry, 300, 301) == 3
        assert stored_count(geometry, 300, int("300")) == 0
        assert stored_count(geometry, 301, 300) == 0


def test_the_operator_applies_the_weight_where_it_lies():
    weight = np.ones((1000, 1000, 1))  # 8 MB
    operator, x = conv_operator(weight, (1000, 1)), np.ones(1000)
    operator @ x  # whatever is loaded once
    tracemalloc.start()
    operator @ x
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < weight.nbytes / 4


def test_a_dense_matrix_is_filled_with_little_memory_beside_it():
    weight = np.ones((2000, 2000, 1), dtype=np.int8)  # four million stored numbers
    conv_matrix(weight[:1], (2000, 1), format="dense")  # whatever is loaded once
    tracemalloc.start()
    matrix = conv_matrix(weight, (2000, 1), format="dense")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A million numbers at a time: each a number, two indices and what NumPy makes of them.
    assert most <= matrix.nbytes + 2**20 * (1 + 8 + 8 + 8)


def test_a_kernel_of_more_numbers_than_a_piece_holds_is_written_row_by_row():
    weight = np.zeros((2, DENSE_BLOCK + 1, 1), dtype=np.int8)
    weight[1, -1] = 7
    matrix = conv_matrix(weight, (DENSE_BLOCK + 1, 1), format="dense")
    np.testing.assert_array_equal(matrix, weight[..., 0])


@pytest.mark.parametrize(
    "call",
    [
        lambda: Geometry((1, 1, 3), (1, 9), 1),
        lambda: Geometry.of_transpose((1, 1, 3), (4,), 0),
        lambda: conv_matrix(WEIGHT, SHAPE, "csr"),
        lambda: conv_operator(WEIGHT, SHAPE, 1),
        lambda: dot_test(np.eye(2), 0),
    ],
    ids=["Geometry", "of_transpose", "conv_matrix", "conv_operator", "dot_test"],
)
def test_options_are_given_by_name(call):
    with pytest.raises(TypeError, match="positional argument"):
        call()


def test_what_is_no_option_may_be_given_by_name():
    geometry = Geometry(weight_shape=(2, 1, 3), input_shape=SHAPE)
    assert geometry == Geometry.of_transpose(weight_shape=(2, 1, 3), spatial=(7,))
    matrix = conv_matrix(weight=WEIGHT, input_shape=SHAPE)
    assert matrix.shape == conv_operator(weight=WEIGHT, input_shape=SHAPE).shape
    dot_test(operator=matrix.astype(float))
