"""Every bad input is refused with a message that names the argument and its value."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest

from equivlib import (
    Geometry,
    col2im,
    conv,
    conv_matrix,
    conv_operator,
    conv_transpose,
    dense_to_conv,
    dense_to_pointwise,
    im2col,
    kernel_from_matrix,
    operator_norm,
    project,
    singular_values,
)


class Bad(NamedTuple):
    """A bad option, or a bad shape, and what the message must mention, as regular expressions."""

    id: str
    mentions: tuple[str, ...]
    options: Mapping[str, Any] = MappingProxyType({})
    weight: Any = (4, 3, 3, 2)
    input: Any = (3, 5, 6)


BAD_OPTIONS = [
    Bad("stride 0", ("stride", "0"), {"stride": 0}),
    Bad("stride 0 on one axis", ("stride", "0"), {"stride": (1, 0)}),
    Bad("negative stride", ("stride", "-2"), {"stride": -2}),
    Bad("float stride", ("stride", r"1\.5"), {"stride": 1.5}),
    Bad("float stride that is whole", ("stride", r"2\.0"), {"stride": 2.0}),
    Bad("bool stride", ("stride", "True"), {"stride": True}),
    Bad("bool stride on one axis", ("stride", "True"), {"stride": (1, True)}),
    Bad("string stride", ("stride", "two"), {"stride": "two"}),
    Bad("no stride", ("stride", "None"), {"stride": None}),
    Bad("stride for too few axes", ("stride", r"\(2,\)", "2"), {"stride": (2,)}),
    Bad("stride for too many axes", ("stride", r"\(1, 2, 3\)", "2"), {"stride": (1, 2, 3)}),
    Bad("dilation 0", ("dilation", "0"), {"dilation": 0}),
    Bad("negative dilation on one axis", ("dilation", "-1"), {"dilation": (1, -1)}),
    Bad("float dilation", ("dilation", r"1\.0"), {"dilation": 1.0}),
    Bad("bool dilation", ("dilation", "True"), {"dilation": True}),
    Bad("dilation for too many axes", ("dilation", r"\(1, 1, 1\)"), {"dilation": (1, 1, 1)}),
    Bad("negative padding", ("padding", "-1"), {"padding": -1}),
    Bad("negative padding on one axis", ("padding", "-3"), {"padding": (0, -3)}),
    Bad("negative padding on one end", ("padding", "-2"), {"padding": ((0, 0), (1, -2))}),
    Bad("float padding", ("padding", r"0\.5"), {"padding": 0.5}),
    Bad("bool padding", ("padding", "True"), {"padding": True}),
    Bad("bool padding on one end", ("padding", "True"), {"padding": ((0, True), (0, 0))}),
    Bad("unknown padding word", ("padding", "full", "same"), {"padding": "full"}),
    Bad("padding word in capitals", ("padding", "SAME", "same"), {"padding": "SAME"}),
    Bad("padding for too many axes", ("padding", r"\(1, 1, 1\)"), {"padding": (1, 1, 1)}),
    Bad("pair for one axis of two", ("padding", r"\(1, 2\)"), {"padding": ((1, 2),)}),
    Bad("three ends of an axis", ("padding", r"\(1, 2, 3\)"), {"padding": ((1, 2, 3), (0, 0, 0))}),
    Bad(
        "bare pair for one axis",
        ("padding", r"\(1, 2\)"),
        {"padding": (1, 2)},
        weight=(1, 1, 3),
        input=(1, 7),
    ),
    Bad("unknown padding mode", ("padding_mode", "wrap", "circular"), {"padding_mode": "wrap"}),
    Bad("padding mode that is no word", ("padding_mode", "1"), {"padding_mode": 1}),
    Bad("groups 0", ("groups", "0"), {"groups": 0}),
    Bad("negative groups", ("groups", "-1"), {"groups": -1}),
    Bad("bool groups", ("groups", "True"), {"groups": True}),
    Bad("float groups", ("groups", r"1\.0"), {"groups": 1.0}),
    Bad(
        "in_channels not divisible by groups",
        (r"in_channels \(=3\) must be divisible by groups \(=2\)",),
        {"groups": 2},
        weight=(4, 1, 3, 2),
    ),
    Bad(
        "out_channels not divisible by groups",
        (r"out_channels \(=4\) must be divisible by groups \(=3\)",),
        {"groups": 3},
        weight=(4, 1, 3, 2),
    ),
    Bad("flip that is no bool", ("flip", "yes"), {"flip": "yes"}),
    Bad(
        "weight for all channels with groups",
        ("weight", "3", "groups"),
        {"groups": 3},
        weight=(3, 3, 3, 2),
    ),
    Bad("kernel larger than the input", ("kernel", "6", "5"), weight=(4, 3, 6, 2)),
    Bad(
        "kernel larger than the padded input", ("kernel", "10", "9"), {"padding": 2}, (4, 3, 10, 2)
    ),
    Bad("dilated kernel larger than the input", ("kernel", "7", "5"), {"dilation": 3}),
]

BAD_WEIGHTS = [
    Bad("weight for more channels", ("weight", "4", "3"), weight=(4, 4, 3, 2)),
    Bad("weight with too few axes", ("weight", r"\(4, 3, 3\)"), weight=(4, 3, 3)),
    Bad("weight with too many axes", ("weight", r"\(4, 3, 3, 2, 2\)"), weight=(4, 3, 3, 2, 2)),
    Bad("weight with an empty axis", ("weight", "0"), weight=(4, 3, 0, 2)),
    Bad("weight without output channels", ("weight", "0"), weight=(0, 3, 3, 2)),
    Bad("weight without input channels", ("weight", "0"), weight=(4, 0, 3, 2)),
    Bad("a word for the weight shape", ("weight_shape", "3x3"), weight="3x3"),
]

BAD_INPUTS = [
    Bad("no spatial axis", ("input_shape", r"\(3,\)"), weight=(4, 3), input=(3,)),
    Bad("input with an empty axis", ("input_shape", "0"), input=(3, 5, 0)),
    Bad("no input channels", ("input_shape", "0"), input=(0, 5, 6)),
    Bad("negative size", ("input_shape", "-5"), input=(3, -5, 6)),
    Bad("float size", ("input_shape", r"5\.0"), input=(3, 5.0, 6)),
    Bad("bool size", ("input_shape", "True"), weight=(4, 3, 1, 1), input=(3, True, 6)),
    Bad("a number for the input shape", ("input_shape", "7"), input=7),
]


def refuses(call, mentions):
    """Assert that `call` raises ValueError and that the message mentions everything it must."""
    # A lookahead for each, in any order; a number must not be a part of a longer one.
    all_of_them = "".join(rf"(?=[\s\S]*(?<![\d.])(?:{mention})(?!\d))" for mention in mentions)
    with pytest.raises(ValueError, match=all_of_them):
        call()


@pytest.mark.parametrize("bad", BAD_OPTIONS + BAD_WEIGHTS + BAD_INPUTS, ids=lambda bad: bad.id)
def test_a_geometry_that_cannot_be_is_refused(bad):
    refuses(lambda: Geometry(bad.weight, bad.input, **bad.options), bad.mentions)


@pytest.mark.parametrize("bad", BAD_OPTIONS + BAD_INPUTS, ids=lambda bad: bad.id)
@pytest.mark.parametrize("function", [conv_matrix, conv_operator])
def test_the_matrix_and_the_operator_refuse_it_too(function, bad):
    refuses(lambda: function(np.ones(bad.weight), bad.input, **bad.options), bad.mentions)


@pytest.mark.parametrize("bad", BAD_OPTIONS, ids=lambda bad: bad.id)
def test_conv_refuses_it_too(bad):
    refuses(lambda: conv(np.ones(bad.input), np.ones(bad.weight), **bad.options), bad.mentions)


WEIGHT, X = np.ones((4, 3, 3, 2)), np.ones((3, 5, 6))
SHAPE = (3, 5, 6)
COLUMNS = np.ones((3 * 3 * 2, 3 * 5))

CALLS = {
    "bias with another number of channels": (
        lambda: conv(X, WEIGHT, np.ones(3)),
        ("bias", r"\(3,\)", r"4"),
    ),
    "bias with two axes": (lambda: conv(X, WEIGHT, np.ones((4, 1))), ("bias", r"\(4, 1\)")),
    "bias of one number": (lambda: conv(X, WEIGHT, 1.0), ("bias", r"\(\)")),
    "bias of words": (lambda: conv(X, WEIGHT, np.array(list("abcd"))), ("bias", "<U1")),
    "x with an empty axis": (lambda: conv(X[:, :0], WEIGHT), (r"x|input_shape", "0")),
    "weight with an empty axis": (lambda: conv(X, WEIGHT[:, :, :0]), ("weight", "0")),
    "weight without spatial axes": (lambda: conv(X, WEIGHT[..., 0, 0]), ("weight", r"\(4, 3\)")),
    "x with other channels": (lambda: conv(X[:2], WEIGHT), ("2", "3")),
    "x with too few axes": (lambda: conv(X[0], WEIGHT), (r"\bx\b", r"\(5, 6\)")),
    "x of words": (lambda: conv(X.astype(str), WEIGHT), (r"\bx\b", "<U32")),
    "weight of words": (lambda: conv(X, WEIGHT.astype(str)), ("weight", "<U32")),
    "matrix of words": (lambda: conv_matrix(WEIGHT.astype(str), SHAPE), ("weight", "<U32")),
    "operator of words": (lambda: conv_operator(WEIGHT.astype(str), SHAPE), ("weight", "<U32")),
    "matrix of dates": (
        lambda: conv_matrix(WEIGHT.astype("M8[s]"), SHAPE),
        ("weight", "datetime64"),
    ),
    "columns of words": (lambda: im2col(X.astype(str), (3, 2)), (r"\bx\b", "<U32")),
    "unknown format": (lambda: conv_matrix(WEIGHT, SHAPE, format="coo"), ("format", "coo", "csr")),
    "no format": (lambda: conv_matrix(WEIGHT, SHAPE, format=None), ("format", "None")),
    "nbytes of an unknown format": (
        lambda: Geometry((4, 3, 3, 2), SHAPE).nbytes("float32", "coo"),
        ("format", "coo"),
    ),
    "rows with a step": (
        lambda: conv_matrix(WEIGHT, SHAPE, rows=slice(0, 9, 2)),
        ("rows", "step|2"),
    ),
    "rows backwards": (
        lambda: conv_matrix(WEIGHT, SHAPE, rows=slice(9, 0, -1)),
        ("rows", "step|-1"),
    ),
    "rows that are a number": (lambda: conv_matrix(WEIGHT, SHAPE, rows=3), ("rows", "3")),
    "rows that are a pair": (
        lambda: conv_matrix(WEIGHT, SHAPE, rows=(0, 3)),
        ("rows", r"\(0, 3\)"),
    ),
    "rows between words": (
        lambda: conv_matrix(WEIGHT, SHAPE, rows=slice("a", None)),
        ("rows", "a"),
    ),
    "rows between floats": (
        lambda: conv_matrix(WEIGHT, SHAPE, rows=slice(0, 2.5)),
        ("rows", r"2\.5"),
    ),
    "limit of nothing": (lambda: conv_matrix(WEIGHT, SHAPE, max_bytes=0), ("max_bytes", "0")),
    "negative limit": (lambda: conv_matrix(WEIGHT, SHAPE, max_bytes=-1), ("max_bytes", "-1")),
    "limit in words": (lambda: conv_matrix(WEIGHT, SHAPE, max_bytes="1 GB"), ("max_bytes", "1 GB")),
    "limit that is no number": (
        lambda: conv_matrix(WEIGHT, SHAPE, max_bytes=float("nan")),
        ("max_bytes", "nan"),
    ),
    "columns for another kernel": (
        lambda: col2im(COLUMNS, SHAPE, (3, 3)),
        ("columns", r"\(18, 15\)", r"27"),
    ),
    "columns for another number of positions": (
        lambda: col2im(COLUMNS[:, 1:], SHAPE, (3, 2)),
        ("columns", r"\(18, 14\)", r"15"),
    ),
    "columns with one axis": (lambda: col2im(COLUMNS[0], SHAPE, (3, 2)), ("columns", r"\(15,\)")),
    "columns that are words": (
        lambda: col2im(COLUMNS.astype(str), SHAPE, (3, 2)),
        ("columns", "<U32"),
    ),
    "im2col with a kernel of size 0": (lambda: im2col(X, (3, 0)), ("kernel_size", "0")),
    "im2col with a float kernel": (lambda: im2col(X, 2.0), ("kernel_size", r"2\.0")),
    "im2col with a bool kernel": (lambda: im2col(X, True), ("kernel_size", "True")),
    "im2col with a kernel without axes": (lambda: im2col(X, ()), ("kernel_size", r"\(\)")),
    "im2col with more kernel axes than x": (
        lambda: im2col(X, (2, 2, 2, 2)),
        (r"\bx\b", r"\(3, 5, 6\)"),
    ),
    "im2col with too large a kernel": (lambda: im2col(X, (6, 2)), ("kernel", "6", "5")),
    "im2col with stride 0": (lambda: im2col(X, (3, 2), stride=0), ("stride", "0")),
    "im2col with an unknown mode": (
        lambda: im2col(X, (3, 2), padding_mode="wrap"),
        ("padding_mode", "wrap"),
    ),
    "im2col with groups that do not divide": (
        lambda: im2col(X, (3, 2), groups=2),
        (r"in_channels \(=3\) must be divisible by groups \(=2\)",),
    ),
    "col2im with a kernel of other axes": (
        lambda: col2im(COLUMNS, SHAPE, (3,)),
        ("kernel_size", r"\(3,\)"),
    ),
    "col2im with a number for the input shape": (
        lambda: col2im(COLUMNS, 7, (3, 2)),
        ("input_shape", "7"),
    ),
    "col2im with an empty axis": (
        lambda: col2im(COLUMNS, (3, 5, 0), (3, 2)),
        ("input_shape", "0"),
    ),
    "col2im with dilation 0": (
        lambda: col2im(COLUMNS, SHAPE, (3, 2), dilation=0),
        ("dilation", "0"),
    ),
}


@pytest.mark.parametrize(("call", "mentions"), CALLS.values(), ids=CALLS.keys())
def test_a_bad_argument_is_refused(call, mentions):
    refuses(call, mentions)


ARRAYS = pytest.mark.parametrize(
    ("name", "call"),
    [
        ("x", lambda words: conv(words(X), WEIGHT)),
        ("weight", lambda words: conv(X, words(WEIGHT))),
        ("bias", lambda words: conv(X, WEIGHT, words(np.ones(4)))),
        ("y", lambda words: conv_transpose(words(np.ones((4, 5, 6))), WEIGHT)),
        ("weight", lambda words: conv_transpose(np.ones((4, 5, 6)), words(WEIGHT))),
        ("bias", lambda words: conv_transpose(np.ones((4, 5, 6)), WEIGHT, words(np.ones(3)))),
        ("x", lambda words: im2col(words(X), (3, 2))),
        ("columns", lambda words: col2im(words(COLUMNS), SHAPE, (3, 2))),
        ("weight", lambda words: conv_matrix(words(WEIGHT), SHAPE)),
        ("weight", lambda words: conv_operator(words(WEIGHT), SHAPE)),
        ("matrix", lambda words: dense_to_conv(words(np.eye(4)), (1, 4))),
        ("matrix", lambda words: dense_to_pointwise(words(np.eye(4)))),
        ("matrix", lambda words: project(words(np.eye(4)), (1, 1, 1), (1, 4))),
        ("matrix", lambda words: kernel_from_matrix(words(np.eye(4)), (1, 1, 1), (1, 4))),
        ("weight", lambda words: singular_values(words(WEIGHT), SHAPE)),
        ("weight", lambda words: operator_norm(words(WEIGHT), SHAPE)),
    ],
)


@ARRAYS
def test_an_array_of_numbers_is_taken(name, call):
    call(np.asarray)


@ARRAYS
def test_an_array_of_words_is_refused_by_its_name(name, call):
    with pytest.raises(ValueError, match=rf"^{name} \(of dtype <U\d+\) must hold numbers"):
        call(lambda array: array.astype(str))


def test_groups_that_do_not_fit_the_patches_are_refused_as_those_of_a_convolution():
    said = (
        r"^in_channels \(=3\) must be divisible by groups \(=2\): "
        r"weight_shape \(=\(1, 3, 3, 2\)\), input_shape \(=\(3, 5, 6\)\)$"
    )
    with pytest.raises(ValueError, match=said):
        im2col(X, (3, 2), groups=2)
    for groups in (0, -3, 1.5, True):
        with pytest.raises(ValueError, match=rf"^groups \(={groups}\) must be an integer"):
            im2col(X, (3, 2), groups=groups)


def test_an_input_without_channels_is_refused():
    with pytest.raises(ValueError, match=r"^x \(of shape \(3, 5, 6\)\) must be .* 3 spatial axes"):
        im2col(X, (2, 2, 2))


@pytest.mark.parametrize(
    "call",
    [
        lambda **options: Geometry((4, 3, 3, 2), SHAPE, **options),
        lambda **options: conv(X, WEIGHT, **options),
        lambda **options: conv_matrix(WEIGHT, SHAPE, **options),
        lambda **options: conv_operator(WEIGHT, SHAPE, **options),
        lambda **options: im2col(X, (3, 2), **options),
        lambda **options: col2im(COLUMNS, SHAPE, (3, 2), **options),
    ],
    ids=["Geometry", "conv", "conv_matrix", "conv_operator", "im2col", "col2im"],
)
def test_a_misspelled_option_is_refused_by_its_name(call):
    call()
    with pytest.raises((TypeError, ValueError), match="strides"):
        call(strides=2)


@pytest.mark.parametrize("options", [{"stride": 2}, {"padding": 2}], ids=str)
def test_a_small_kernel_on_a_small_input_is_not_refused(options):
    assert conv(np.ones((1, 1)), np.ones((1, 1, 1)), **options).shape[0] == 1


def test_a_wrong_vector_for_the_operator_is_refused():
    operator = conv_operator(WEIGHT, SHAPE)
    with pytest.raises(ValueError, match="dimension mismatch"):
        operator.matvec(np.ones(operator.shape[1] + 1))
    with pytest.raises(ValueError, match="dimension mismatch"):
        operator.rmatvec(np.ones(operator.shape[0] + 1))


def test_the_first_of_two_faults_does_not_hide_behind_work():
    # A huge input with a bad option: refused at once, before any array is made.
    with pytest.raises(ValueError, match="stride"):
        Geometry((1, 1, 3), (1, 10**15), stride=0)
