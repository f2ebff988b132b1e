"""The base class of all layers, and what several kinds of layers share."""

from __future__ import annotations

import operator
from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from ..convolution.patches import Array, as_array

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: What training changes: the numbers of an array, or those that a sparse one stores.
Parameter: TypeAlias = "Array | csr_array"

#: A single number, exact or not.
Number: TypeAlias = float | Fraction

Shape: TypeAlias = tuple[int, ...]
Arrays: TypeAlias = tuple[Array, ...]
Gradients: TypeAlias = dict[str, "Parameter"]


class Layer:
    r"""One layer: a function of arrays ``(batch, *shape)``, channels first.

    Every layer has the same members. A new kind of layer defines those of the methods that differ
    from here.

    Attributes
    ----------
    sources : tuple of int
        Positions in the network of the layers that it reads, -1 for the network's input; empty
        for a layer that reads the one before it.
    params : dict of str to ndarray
        The numbers that training changes.

    Methods
    -------
    output_shape(*shapes)
        The shape for these input shapes, without batch; ValueError if they do not fit.
    forward(*xs)
        The output ``(batch, *output_shape)``. Integers and exact objects stay exact, except in
        Sigmoid, Tanh and Softmax, whose values are rounded.
    backward(xs, y, grad)
        With ``y = forward(*xs)`` and ``grad`` the gradient of a number with respect to ``y``: its
        gradient with respect to each of ``xs``.
    parameter_gradients(xs, y, grad)
        The same with respect to each of ``params``, by name.
    """

    def __init__(self, *, source: int | None = None) -> None:
        self.sources: tuple[int, ...] = () if source is None else (_position(source),)
        self.params: dict[str, Parameter] = {}

    def output_shape(self, *shapes: Shape) -> Shape:
        """Return the input's shape, unless a layer says otherwise."""
        return shapes[0]

    def forward(self, *xs: Array) -> Array:
        """Apply the layer to a batch."""
        raise NotImplementedError

    def backward(self, xs: Arrays, y: Array, grad: Array) -> Arrays:
        """Return the gradients with respect to the inputs."""
        raise NotImplementedError

    def parameter_gradients(self, xs: Arrays, y: Array, grad: Array) -> Gradients:
        """Return the gradients with respect to the parameters: none, unless a layer has some."""
        return {}

    def details(self) -> list[str]:
        """Return what the representation tells besides the name."""
        return [f"{name} {value.shape}" for name, value in self.params.items()]

    @property
    def name(self) -> str:
        """The name of the kind of layer."""
        return type(self).__name__

    def __repr__(self) -> str:
        sources = [f"source={source}" for source in self.sources]
        return f"{self.name}({', '.join(self.details() + sources)})"


def _position(source: object) -> int:
    rule = f"source (={source!r}) must be the position of an earlier layer, or -1 for the input"
    if isinstance(source, (bool, np.bool_)):
        raise ValueError(rule)
    try:
        position = operator.index(source)  # type: ignore[arg-type]
    except TypeError:
        raise ValueError(rule) from None
    if position < -1:
        raise ValueError(rule)
    return position


def checked_vector(name: str, value: ArrayLike, length: int, what: str) -> Array:
    """Return ``value`` as one number for each channel, or the error that names it."""
    vector = as_array(name, value)
    if vector.shape != (length,):
        raise ValueError(
            f"{name} (of shape {vector.shape}) must have one number for each {what}: ({length},)"
        )
    return vector


def exact_scalar(value: Number, x: Array) -> Number:
    """Return a number to use with an array: as it is beside exact entries, else as a float."""
    whole = isinstance(value, (int, np.integer))
    return value if x.dtype == object or (whole and x.dtype.kind in "iu") else float(value)
