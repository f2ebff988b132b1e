"""What the pictures are told, by name: the same names that the scripts document with JSDoc."""

from __future__ import annotations

from typing import NotRequired, Required, TypeAlias, TypedDict


class InputFacts(TypedDict):
    """The input, with its padding."""

    shape: list[int]
    padded: list[int]
    #: 1 for each padded place that is no padding.
    inside: list[int]
    labels: list[str]
    values: list[str]
    #: Values of the transpose times the output.
    back: list[str]


class KernelFacts(TypedDict):
    """The weights."""

    shape: list[int]
    labels: list[str]
    values: list[str]
    #: The number of entries of W at which each weight stands.
    counts: list[int]
    #: The number of weights after which colours begin again.
    hues: int


class OutputFacts(TypedDict):
    """The output; ``start`` is the one that the picture begins with."""

    shape: list[int]
    labels: list[str]
    values: list[str]
    start: int


class Reasons(TypedDict, total=False):
    """Why entries of W are empty."""

    gaps: list[list[int]]
    edges: list[dict[int, int]]
    groups: list[list[int]]


class LayerFacts(TypedDict):
    """One setting of the picture of a layer, as the library knows it."""

    x: InputFacts
    k: KernelFacts
    y: OutputFacts
    reads: list[list[int]]
    weights: list[list[int]]
    columns: list[int]
    sums: dict[int, str]
    why: Reasons
    rounded: bool
    title: NotRequired[str]
    code: NotRequired[str]


class ArrayTold(TypedDict):
    """Numbers of the page: ``values`` where a script can compute with them, else ``texts``."""

    values: NotRequired[list[int | float]]
    texts: NotRequired[list[str]]


class LayerTold(TypedDict):
    """A layer, as ``Layer`` in model.js: what decides every index."""

    input: list[int]
    weight: list[int]
    stride: list[int]
    padding: list[list[int]]
    dilation: list[int]
    groups: int
    mode: str
    flip: bool


class ResultsTold(TypedDict):
    """Results that a script cannot compute: of fractions, complex numbers, symbols."""

    y: list[str]
    back: list[str]
    sums: dict[int, str]
    rounded: bool


class SettingTold(TypedDict):
    """One setting to switch to."""

    title: str
    layer: LayerTold
    weight: ArrayTold
    code: str
    results: NotRequired[ResultsTold]


class Most(TypedDict):
    """What a page can draw and a reader point at: rows or columns of W, and entries in it."""

    rows: int
    entries: int


class Start(TypedDict, total=False):
    """What the picture shows first."""

    setting: str
    at: str
    tie: str
    guide: int
    columns: bool
    numbers: bool


class LayerPage(TypedDict):
    """All that the page gets of a layer."""

    labelled: int
    most: Most
    names: str
    x: ArrayTold
    y: NotRequired[ArrayTold]
    settings: list[SettingTold]
    start: Start
    controls: NotRequired[list[str]]


#: What a unit is made of: layer, unit, factor, and which weight of the kernel that is, or -1.
Part: TypeAlias = list[int | str]


class KernelTold(TypedDict):
    """The weights of a layer of a network."""

    shape: list[int]
    values: list[str]
    hues: int


class Made(TypedDict, total=False):
    """How units are made: the sum of their parts, the bias, what an activation does to it."""

    sign: str
    #: Of a LeakyReLU, below 0.
    slope: str
    reads: list[list[Part]]
    bias: list[str]
    kernel: KernelTold


class UnitFacts(Made):
    """A layer of a network, or its input."""

    name: str
    shape: list[int]
    labels: list[str]
    values: list[str]


class Weighted(TypedDict, total=False):
    """A stage of the perceptron by itself."""

    kind: Required[str]
    reads: list[list[list[int | str]]]
    bias: list[str]
    wide: int


class StageFacts(Weighted):
    """A stage of the perceptron, and the layer that it does the work of."""

    owner: int
    values: list[str]


#: Where a layer is in the perceptron: the stage, and (factor, first unit) of each term of the sum.
Form: TypeAlias = list[int | list[list[int | str]]]


class NetworkFacts(TypedDict):
    """A network beside its perceptron."""

    layers: list[UnitFacts]
    stages: list[StageFacts]
    forms: dict[int, Form]
    rounded: bool
    start: str
    #: Whether it may walk by itself: not where somebody has said where to begin.
    walks: bool
