r"""How much a network can enlarge a difference of inputs: a certified bound, layer by layer.

If :math:`\|f(x) - f(y)\| \le L_f \|x - y\|` and likewise for g, then :math:`f \circ g` has the
constant :math:`L_f L_g` and :math:`f + g` the constant :math:`L_f + L_g`. So each layer multiplies
the constant of what it reads by its own, and Add sums those of its inputs. For Concat and Maximum
it is the root of the sum of their squares, because squares of differences add up in the one, and
no number differs by more than one of its inputs in the other. The constants of the layers, all for
the Euclidean norm:

- Conv, ConvTranspose, Dense: the operator norm, bounded by :func:`~equivlib.norm_bounds`; a sparse
  matrix by the root of its largest row sum of absolute values times the largest column sum.
- Averages, whose entries are not negative, by the same two sums.
- MaxPool: two maxima differ by no more than the largest difference in their window, so the root of
  the number of windows that share an element.
- Resample, a Kronecker product: the product of the norms of its matrices.
- Rearrange: the root of how often one number is read at most, so 1 for a permutation.
- ReLU, ReLU6, Tanh, Flatten: 1. LeakyReLU: 1 or its slope. BatchNorm: the largest scale.
  Sigmoid: 1/4, its largest slope. Softmax: 1/2, the largest norm of :math:`diag(p) - p p^T`.
"""

from __future__ import annotations

import math
from functools import singledispatch
from typing import TYPE_CHECKING

import numpy as np

from .convolution.axis import PADDING
from .convolution.csr import is_sparse
from .convolution.norms import norm_bounds
from .layers import (
    AdaptiveAvgPool,
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    ConvTranspose,
    Dense,
    Flatten,
    Layer,
    LeakyReLU,
    Maximum,
    MaxPool,
    Network,
    Rearrange,
    ReLU,
    ReLU6,
    Resample,
    Sigmoid,
    Softmax,
    Tanh,
)
from .layers.base import Shape

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: Unit roundoff of float64.
U = 2.0**-53

#: Layers that have the same constant whatever their numbers and shapes are.
CONSTANTS: dict[type[Layer], float] = {
    **dict.fromkeys([Add, Concat, Flatten, Maximum, ReLU, ReLU6, Tanh], 1.0),
    Sigmoid: 0.25,
    Softmax: 0.5,
}


def lipschitz_bound(net: Network) -> float:
    r"""Return a number L with :math:`\|f(x) - f(y)\|_2 \le L \, \|x - y\|_2` for all inputs.

    .. math:: L_{layer} = c_{layer} \, L_{source}, \qquad L_{Add} = \textstyle\sum L_{sources}
              \qquad L_{Concat}, L_{Maximum} = \sqrt{\textstyle\sum L_{sources}^2}

    Parameters
    ----------
    net : Network
        Of real or complex numbers.

    Returns
    -------
    float
        Certified for the network in exact arithmetic, whatever was rounded on the way to L.

    Raises
    ------
    ValueError
        If a layer has no constant here, or its numbers are exact objects; with its position.

    See Also
    --------
    norm_bounds : the bound of one convolution.
    equivlib.rounding.error_bound : how far rounding can take the network itself.

    Notes
    -----
    L is not the smallest such number. Each layer is taken by itself, as if what it lengthens most
    were what the layer before gives most, and every ReLU lets everything pass. So L grows with
    the depth, often far above the largest slope that any input meets. It is of use for networks of
    a few layers, and for those whose layers were trained to have norms of about 1. It bounds
    Euclidean distances; it is no bound for the largest change of a single number.

    Examples
    --------
    A difference of neighbours has the norm :math:`2 \cos(\pi / 6) = \sqrt 3` on three numbers:

    >>> from equivlib.layers import Add
    >>> difference = Conv([[[-1.0, 1.0]]], padding=((1, 0),), padding_mode="circular")
    >>> print(f"{lipschitz_bound(Network([difference, ReLU(), Add(1, -1)], (1, 3))):.6f}")
    2.732051
    """
    bounds = {-1: 1.0}
    for position, layer in enumerate(net.layers):
        sources = net.sources(position)
        shape = net.input_shape if sources[0] < 0 else net.shapes[sources[0]]
        try:
            constant = factor(layer, shape)
        except ValueError as error:
            raise ValueError(f"layer {position}, {layer.name}: {error}") from None
        each = [bounds[source] for source in sources]
        total = math.hypot(*each) if isinstance(layer, (Concat, Maximum)) else sum(each)
        bounds[position] = constant * total * (1 + 2 * (len(sources) + 1) * U)
    return bounds[len(net.layers) - 1]


@singledispatch
def factor(layer: Layer, shape: Shape) -> float:
    """Return by how much a layer can enlarge a difference of its inputs ``shape``, or of their sum.

    Here for the layers that it does not matter of which shape they are.
    """
    for kind, constant in CONSTANTS.items():
        if isinstance(layer, kind):
            return constant
    if isinstance(layer, LeakyReLU):
        return max(1.0, math.nextafter(abs(float(layer.slope)), math.inf))
    if isinstance(layer, BatchNorm):
        variances = [float(var) + float(layer.eps) for var in layer.var]
        gammas = [abs(float(gamma)) for gamma in layer.params["gamma"]]
        each = zip(gammas, variances, strict=True)
        return max(gamma / math.sqrt(var) for gamma, var in each) * (1 + 16 * U)
    if isinstance(layer, Resample):
        return _interpolation(layer)
    if isinstance(layer, Rearrange):
        return _moved(layer)
    raise ValueError(f"the layer (of input shape {shape}) has no Lipschitz constant here")


@factor.register(Conv)
@factor.register(ConvTranspose)
def _convolution(layer: Conv | ConvTranspose, shape: Shape) -> float:
    # A transposed convolution is the transpose of a convolution, perhaps without some columns.
    geometry = layer.geometry(shape)
    return norm_bounds(layer.weight, geometry.input_shape, **geometry.options).upper


@factor.register(Dense)
def _dense(layer: Dense, shape: Shape) -> float:
    if "weight" not in layer.params:
        raise ValueError("its weight is an operator, whose numbers are not known")
    weight = layer.params["weight"]
    if is_sparse(weight):
        return _sparse(weight)
    return norm_bounds(weight[..., None], (*shape, 1)).upper


def _sparse(weight: csr_array) -> float:
    """Return the root of the largest row sum of absolute values times the largest column sum."""
    entries = abs(weight).astype(np.float64)
    rows, columns = float(entries.sum(axis=1).max()), float(entries.sum(axis=0).max())
    terms = int(sum(weight.shape))
    return math.sqrt(rows) * math.sqrt(columns) * (1 + 8 * (terms + 8) * U)


@factor.register(AvgPool)
@factor.register(AdaptiveAvgPool)
def _average(layer: AvgPool | AdaptiveAvgPool, shape: Shape) -> float:
    one = (1, *shape[1:])  # all channels alike
    ones = np.ones((1, *one))
    rows = layer.forward(ones)
    columns = layer.backward((ones,), rows, np.ones_like(rows))[0]
    return math.sqrt(float(rows.max()) * float(columns.max())) * (1 + 8 * (math.prod(one) + 8) * U)


@factor.register(MaxPool)
def _max_pool(layer: MaxPool, shape: Shape) -> float:
    shared = 1
    for axis in layer.geometry(shape).axes:
        reads = axis.reads()
        shared *= int(np.bincount(reads[reads != PADDING]).max())
    return math.sqrt(shared) * (1 + 4 * U)


def _interpolation(layer: Resample) -> float:
    norms = [norm_bounds(m[..., None], (m.shape[1], 1)).upper for m in layer.matrices]
    return math.prod(norms) * (1 + 2 * len(norms) * U)


def _moved(layer: Rearrange) -> float:
    # Different numbers go to different places, so its adjoint times it is diagonal: these counts.
    read = layer.indices[layer.indices >= 0]
    often = int(np.bincount(read).max()) if read.size else 0
    return 1.0 if often == 1 else math.sqrt(often) * (1 + 4 * U)
