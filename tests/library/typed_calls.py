"""Calls of the library as a type checker sees them: checked by ``make lint``, never run.

Each comment that asks mypy to ignore an error says that there must be one: without it, mypy
complains about the comment.
"""

from typing import assert_type

import numpy as np

from equivlib import (
    Geometry,
    GeometryOptions,
    Network,
    conv,
    conv_matrix,
    conv_operator,
    explore,
    layers,
    recognize_network,
)
from equivlib.convolution.geometry import Format
from equivlib.convolution.patches import Array

WEIGHT, X = np.ones((1, 1, 3)), np.ones((1, 5))


def the_format_tells_the_type(form: Format) -> None:
    assert_type(conv_matrix(WEIGHT, (1, 5), format="dense"), Array)
    conv_matrix(WEIGHT, (1, 5)).tocsc()
    conv_matrix(WEIGHT, (1, 5), format="csr", stride=2).tocsc()
    conv_matrix(WEIGHT, (1, 5), format="dense").tocsc()  # type: ignore[attr-defined]
    conv_matrix(WEIGHT, (1, 5), format="coo")  # type: ignore[call-overload]
    conv_matrix(WEIGHT, (1, 5), format=form)


def the_six_options_are_known() -> None:
    conv(X, WEIGHT, stride=2, padding=1, dilation=1, groups=1, padding_mode="circular", flip=True)
    conv(X, WEIGHT, stride=(2,), padding=((1, 2),), dilation=[1])
    conv(X, WEIGHT, padding="same_lower")
    options: GeometryOptions = {"stride": 2, "padding": "same"}
    conv(X, WEIGHT, **options)
    layers.Conv(WEIGHT, **options)
    layers.ConvTranspose(WEIGHT, output_padding=1, stride=2)
    layers.MaxPool(2, ceil_mode=True)
    conv(X, WEIGHT, **Geometry((1, 1, 3), (1, 5), **options).options)


def a_network_gives_a_network(mlp: Network) -> None:
    assert_type(recognize_network(mlp, (3, 8, 8), tol=1e-6), Network)
    recognize_network(mlp, 64)  # type: ignore[arg-type]
    recognize_network(mlp, (1, 8, 8), 1e-6)  # type: ignore[call-arg]


def others_are_not() -> None:
    conv(X, WEIGHT, strides=2)  # type: ignore[call-arg]
    conv_matrix(WEIGHT, (1, 5), strides=2)  # type: ignore[call-overload]
    conv_operator(WEIGHT, (1, 5), strides=2)  # type: ignore[call-arg]
    explore(WEIGHT, (1, 5), strides=2)  # type: ignore[call-arg]
    layers.Conv(WEIGHT, strides=2)  # type: ignore[call-arg]
    layers.MaxPool(2, flip=True)  # type: ignore[call-arg]
    conv(X, WEIGHT, padding="full")  # type: ignore[arg-type]
    conv(X, WEIGHT, padding_mode="wrap")  # type: ignore[arg-type]
    options: GeometryOptions = {"strides": 2}  # type: ignore[typeddict-unknown-key]
    conv(X, WEIGHT, **options)
