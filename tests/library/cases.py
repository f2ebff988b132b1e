"""Named convolutions with the output shape that each must have, worked out by hand.

The table is the specification of the options. `weight` is (out_channels, in_channels // groups,
*kernel), `input` is (in_channels, *spatial), `output` is (out_channels, *positions).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from reference import MODES


class Case(NamedTuple):
    """One convolution."""

    id: str
    weight: tuple[int, ...]
    input: tuple[int, ...]
    output: tuple[int, ...]
    options: Mapping[str, Any] = MappingProxyType({})


ONE_AXIS = [
    Case("three taps along seven samples", (1, 1, 3), (1, 7), (1, 5)),
    Case("one tap on one sample", (1, 1, 1), (1, 1), (1, 1)),
    Case("kernel as large as the input", (1, 1, 5), (1, 5), (1, 1)),
    Case("channels in and out", (3, 2, 3), (2, 6), (3, 4)),
    Case("flipped", (1, 1, 3), (1, 6), (1, 4), {"flip": True}),
]

STRIDE_AND_DILATION = [
    Case("stride that leaves the last sample unread", (1, 1, 3), (1, 8), (1, 3), {"stride": 2}),
    Case("stride larger than the kernel", (1, 1, 2), (1, 9), (1, 2), {"stride": 4}),
    Case("stride larger than the input", (1, 1, 2), (1, 3), (1, 1), {"stride": 7}),
    Case("dilation", (1, 1, 3), (1, 8), (1, 4), {"dilation": 2}),
    Case("dilation of a single tap", (1, 1, 1), (1, 4), (1, 4), {"dilation": 9}),
    Case("dilation and stride", (1, 1, 3), (1, 9), (1, 2), {"dilation": 3, "stride": 2}),
    Case("stride (2, 3)", (1, 1, 3, 2), (1, 9, 8), (1, 4, 3), {"stride": (2, 3)}),
    Case("dilation (3, 2)", (1, 1, 2, 3), (1, 6, 9), (1, 3, 5), {"dilation": (3, 2)}),
]

PADDING = [
    Case("padding on both ends", (1, 1, 3), (1, 4), (1, 4), {"padding": 1}),
    Case("padding for the full convolution", (1, 1, 3), (1, 4), (1, 6), {"padding": 2}),
    Case("padding per axis, one axis", (1, 1, 3), (1, 5), (1, 5), {"padding": (1,)}),
    Case("padding at the low end only", (1, 1, 3), (1, 6), (1, 6), {"padding": ((2, 0),)}),
    Case("padding at the high end only", (1, 1, 2), (1, 4), (1, 6), {"padding": ((0, 3),)}),
    Case("padding larger than the kernel", (1, 1, 2), (1, 3), (1, 10), {"padding": 4}),
    Case("kernel larger than the input", (1, 1, 5), (1, 2), (1, 2), {"padding": 2}),
    Case("padding per axis, two axes", (1, 1, 3, 3), (1, 4, 5), (1, 2, 7), {"padding": (0, 2)}),
    Case(
        "padding per end of each axis",
        (1, 1, 3, 2),
        (1, 4, 3),
        (1, 3, 7),
        {"padding": ((1, 0), (2, 3))},
    ),
]

NAMED_PADDING = [
    Case("valid", (1, 1, 4), (1, 6), (1, 3), {"padding": "valid"}),
    Case("same, odd kernel", (1, 1, 3), (1, 6), (1, 6), {"padding": "same"}),
    Case("same, even kernel", (1, 1, 4), (1, 6), (1, 6), {"padding": "same"}),
    Case("same_lower, even kernel", (1, 1, 4), (1, 6), (1, 6), {"padding": "same_lower"}),
    Case("same, dilated", (1, 1, 3), (1, 5), (1, 5), {"padding": "same", "dilation": 3}),
    Case("same, stride 2", (1, 1, 4), (1, 7), (1, 4), {"padding": "same", "stride": 2}),
    Case("same_lower, stride 2", (1, 1, 4), (1, 7), (1, 4), {"padding": "same_lower", "stride": 2}),
    Case("same, nothing to pad", (1, 1, 2), (1, 6), (1, 2), {"padding": "same", "stride": 3}),
    Case("same, two axes", (1, 1, 2, 3), (1, 5, 4), (1, 5, 4), {"padding": "same"}),
    Case(
        "same, two strides",
        (2, 1, 3, 3),
        (1, 6, 7),
        (2, 3, 3),
        {"padding": "same", "stride": (2, 3)},
    ),
]

CHANNELS_AND_GROUPS = [
    Case("image", (1, 1, 3, 3), (1, 5, 6), (1, 3, 4)),
    Case("kernel (2, 4)", (1, 1, 2, 4), (1, 5, 7), (1, 4, 4)),
    Case("color image", (4, 3, 3, 3), (3, 5, 6), (4, 5, 6), {"padding": 1}),
    Case("1x1", (5, 3, 1, 1), (3, 4, 4), (5, 4, 4)),
    Case("1x1 with stride", (2, 3, 1, 1), (3, 5, 4), (2, 3, 2), {"stride": 2}),
    Case("full extent: a fully connected layer", (6, 2, 3, 4), (2, 3, 4), (6, 1, 1)),
    Case("single pixel: a fully connected layer", (3, 2, 1, 1), (2, 1, 1), (3, 1, 1)),
    Case("single pixel in padding", (1, 1, 3, 3), (1, 1, 1), (1, 1, 1), {"padding": 1}),
    Case("two groups", (4, 2, 3, 3), (4, 5, 5), (4, 3, 3), {"groups": 2}),
    Case("groups that widen", (6, 1, 2, 2), (3, 4, 4), (6, 3, 3), {"groups": 3}),
    Case("groups that narrow", (2, 3, 2, 2), (6, 4, 3), (2, 3, 2), {"groups": 2}),
    Case("depthwise", (3, 1, 3, 3), (3, 4, 5), (3, 4, 5), {"groups": 3, "padding": 1}),
    Case("flipped image", (1, 1, 3, 2), (1, 5, 4), (1, 3, 3), {"flip": True}),
    Case(
        "flipped with groups, stride and padding",
        (4, 1, 2, 3),
        (2, 4, 5),
        (4, 2, 6),
        {"flip": True, "groups": 2, "stride": (2, 1), "padding": ((0, 1), (2, 1))},
    ),
]

MORE_AXES = [
    Case("volume", (1, 1, 2, 3, 2), (1, 3, 4, 5), (1, 2, 2, 4)),
    Case(
        "volume with channels, stride and padding",
        (2, 2, 3, 2, 1),
        (2, 3, 3, 2),
        (2, 2, 2, 2),
        {"stride": (2, 1, 1), "padding": (1, 0, 0)},
    ),
    Case(
        "volume with every option",
        (4, 1, 2, 2, 3),
        (2, 3, 4, 3),
        (4, 2, 2, 5),
        {
            "groups": 2,
            "stride": (1, 2, 1),
            "dilation": (2, 1, 1),
            "padding": ((0, 1), (1, 0), (2, 2)),
            "padding_mode": "circular",
            "flip": True,
        },
    ),
    Case("four axes", (1, 1, 2, 1, 2, 1), (1, 2, 2, 2, 2), (1, 1, 2, 1, 2)),
]


def in_mode(mode):
    """Return the cases in which the padding mode matters."""

    def case(name, weight, input, output, **options):
        return Case(f"{mode}, {name}", weight, input, output, dict(padding_mode=mode, **options))

    return [
        case("odd kernel", (1, 1, 3), (1, 5), (1, 5), padding=1),
        case("even kernel", (1, 1, 4), (1, 6), (1, 6), padding=((1, 2),)),
        case("same, even kernel", (1, 1, 2), (1, 4), (1, 4), padding="same"),
        case("padding larger than the input", (1, 1, 3), (1, 3), (1, 19), padding=9),
        case("kernel larger than the input", (1, 1, 5), (1, 3), (1, 3), padding=2),
        case("one element", (1, 1, 3), (1, 1), (1, 3), padding=2),
        case("two elements", (1, 1, 4), (1, 2), (1, 7), padding=4),
        case("stride and dilation", (1, 1, 3), (1, 7), (1, 4), padding=2, stride=2, dilation=2),
        case("image", (2, 1, 3, 3), (1, 3, 4), (2, 3, 4), padding=1),
        case("corners", (1, 1, 2, 3), (1, 2, 3), (1, 5, 6), padding=((3, 1), (0, 5))),
        case("channels in groups", (4, 2, 2, 2), (4, 3, 2), (4, 4, 3), padding=1, groups=2),
        case("flipped", (1, 1, 2, 3), (1, 3, 3), (1, 3, 4), padding=((1, 0), (1, 2)), flip=True),
        case(
            "volume", (1, 2, 2, 2, 3), (2, 2, 2, 1), (1, 3, 2, 1), padding=((1, 1), (0, 1), (0, 2))
        ),
    ]


CASES = [
    *ONE_AXIS,
    *STRIDE_AND_DILATION,
    *PADDING,
    *NAMED_PADDING,
    *CHANNELS_AND_GROUPS,
    *MORE_AXES,
    *(case for mode in MODES for case in in_mode(mode)),
]

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
