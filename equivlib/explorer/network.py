"""A network beside its perceptron, joined unit by unit."""

from __future__ import annotations

import copy
import math

import numpy as np
from numpy.typing import ArrayLike

from ..convert import conversion_table
from ..convolution.patches import as_array
from ..layers import Network
from .chain import chain_facts
from .page import Picture
from .svg import static_network
from .typed import NetworkFacts

#: What a page can still draw and a reader still point at.
MOST_UNITS, MOST_NUMBERS = 1500, 6000


class NetworkExplorer(Picture):
    """A network and its perceptron to point at; made by :func:`explore_network`."""

    kind = "network"

    def __init__(self, facts: NetworkFacts, drawn: str, told: str) -> None:
        super().__init__(facts, drawn, told)
        self._facts = facts

    def facts(self) -> NetworkFacts:
        """Return all that is shown: layers, the perceptron's stages, where each finds the other."""
        return copy.deepcopy(self._facts)


def explore_network(
    net: Network, x: ArrayLike | None = None, *, start: str | None = None
) -> NetworkExplorer:
    r"""Show a small network beside the perceptron that equals it, layer by layer.

    .. math:: mlp(x.ravel()) = net(x).ravel()

    Pointing at a unit of one lights up its equal in the other, what it reads in both, and the
    weights: the kernel on one side, a row of the matrix on the other. All numbers are computed
    here; the page only draws them.

    Parameters
    ----------
    net : Network
        With at most two spatial axes.
    x : array_like, shape ``net.input_shape``, optional
        The input; 1, 2, 3, ... unless given.
    start : str, optional
        The unit to begin with, by its label: the input has ``x``, the layers ``a``, ``b``, ...;
        ``"b01"`` for example. One that reads the most unless given.

    Returns
    -------
    NetworkExplorer
        The same text on every platform, for the same numbers.

    Raises
    ------
    UnsupportedLayer
        If a layer cannot be written with Dense and ReLU layers.
    ValueError
        If the network is too large to point at (the message has the limit), or has no unit
        ``start``.

    See Also
    --------
    equivlib.to_mlp : the conversion that is shown.

    Examples
    --------
    Two weights over three inputs, then ReLU::

        a0 = 1*x0 - 1*x1    b0 = relu(a0)        [1 -1  .]
        a1 = 1*x1 - 1*x2    b1 = relu(a1)        [. 1  -1] , relu

    >>> from equivlib.layers import Conv, ReLU
    >>> shown = explore_network(Network([Conv([[[1, -1]]]), ReLU()], (1, 3)), [[5, 3, 4]])
    >>> shown
    explore_network: 2 layers from 1 × 3 to 1 × 2, as 2 stages of Dense and ReLU with 4 numbers
    >>> shown.facts()["stages"][-1]["values"] == [str(max(0, v)) for v in (5 - 3, 3 - 4)]
    True
    """
    if not isinstance(net, Network):
        raise ValueError(f"net (={net!r}) must be a Network")
    shapes = [net.input_shape, *net.shapes]
    if any(len(shape) > 3 for shape in shapes):
        raise ValueError(f"net (with shapes {shapes}) must have at most two spatial axes")
    table = conversion_table(net)
    units = sum(math.prod(shape) for shape in shapes)
    if units > MOST_UNITS or table.total.stored > MOST_NUMBERS:
        raise ValueError(
            f"net (with {units} units, and {table.total.stored} numbers in its perceptron) must "
            f"have at most {MOST_UNITS} units and {MOST_NUMBERS} numbers to be pointed at"
        )
    shape = net.input_shape
    array = np.arange(1, math.prod(shape) + 1).reshape(shape) if x is None else as_array("x", x)
    if array.shape != shape:
        raise ValueError(f"x (of shape {array.shape}) must have net.input_shape (={shape})")
    facts = chain_facts(net, array, start)
    first, last = (" × ".join(map(str, shape)) for shape in (shapes[0], shapes[-1]))
    told = (
        f"explore_network: {len(net.layers)} layers from {first} to {last}, as "
        f"{len(facts['stages'])} stages of Dense and ReLU with {table.total.stored} numbers"
    )
    return NetworkExplorer(facts, static_network(facts, told), told)
