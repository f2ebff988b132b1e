"""What each layer of a network takes in the converted one, found without building it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from ..layers import Network
from ..layers.network import checked_network
from ..tables import Table
from .plan import make_plan, network_dtype


@dataclass(frozen=True)
class Cost:
    """What one layer of a network takes in the converted one.

    Attributes
    ----------
    position : int
    layer : str
    depth : int
        Dense and ReLU layers made for it; 0 if it disappears.
    stored : int
        Numbers in the sparse weights.
    dense : int
        Numbers in the weights if all entries were stored.
    nbytes : int
        Bytes of weights and biases.
    """

    position: int
    layer: str
    depth: int
    stored: int
    dense: int
    nbytes: int


class ConversionTable(tuple[Cost, ...]):
    """The :class:`Cost` of each layer of a network."""

    @property
    def total(self) -> Cost:
        """All layers together."""
        sums = [
            sum(getattr(c, name) for c in self) for name in ("depth", "stored", "dense", "nbytes")
        ]
        return Cost(len(self), "total", *sums)

    def __repr__(self) -> str:
        rows = []
        for cost in (*self, self.total):
            position = "" if cost.layer == "total" else str(cost.position)
            rows.append((position, cost.layer, cost.depth, cost.stored, cost.dense, cost.nbytes))
        headings = ["layer", "", "depth", "stored", "dense", "bytes"]
        return str(Table(headings, rows, align="llrrrr"))


def conversion_table(net: Network, dtype: DTypeLike | None = None) -> ConversionTable:
    """Return what :func:`to_mlp` will make of each layer, found without building it.

    A number that carries a value past a layer counts for the layer whose matrix it is in.

    Parameters
    ----------
    net : Network
    dtype : data type, optional
        As for :func:`to_mlp`.

    Returns
    -------
    ConversionTable
        A tuple with a :class:`Cost` for each layer, printed as a table, and ``.total``.

    Raises
    ------
    UnsupportedLayer
        With the position of the layer and the reason.

    Examples
    --------
    >>> import numpy as np
    >>> from equivlib import to_mlp
    >>> from equivlib.layers import Conv, Dense, MaxPool, ReLU
    >>> net = Network([Conv(np.ones((2, 1, 3, 3))), ReLU(), MaxPool(2)], (1, 6, 6))
    >>> table = conversion_table(net)
    >>> table
    layer           depth  stored  dense  bytes
    0      Conv         1     288  1,152  3,588
    1      ReLU         1       0      0      0
    2      MaxPool      5     112  1,664  1,580
           total        7     400  2,816  5,168

    It is what is built then:

    >>> weights = [layer.weight for layer in to_mlp(net).layers if isinstance(layer, Dense)]
    >>> sum(weight.nnz for weight in weights) == table.total.stored
    True
    """
    checked_network(net)
    number = network_dtype(net) if dtype is None else np.dtype(dtype)
    plan = make_plan(net, number)
    costs = []
    for position, layer in enumerate(net.layers):
        own = [stage for stage in plan.stages if stage.owner == position]
        dense = sum(stage.dense for stage in own)
        stored = sum(stage.stored(number) for stage in own)
        nbytes = sum(stage.nbytes(number) for stage in own)
        costs.append(Cost(position, layer.name, len(own), stored, dense, nbytes))
    return ConversionTable(costs)
