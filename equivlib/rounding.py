r"""How far a network and its perceptron can differ by rounding, derived from their sizes.

Both compute the same numbers in another order. Let u be the unit roundoff and
:math:`\gamma_k = k u / (1 - k u)`. Then:

1. A sum of n products, in any order, is off by at most :math:`\gamma_n \sum |w_i| |x_i|`
   (Higham, section 3.1). With a bias that is n + 1.
2. So if each :math:`\hat x_i` is off by at most :math:`\gamma_k a_i`, where :math:`|x_i| \le a_i`,
   the computed :math:`y = W x + b` is off by at most :math:`\gamma_{k + n + 1} (|W| a + |b|)`, by
   :math:`\gamma_k + \gamma_n + \gamma_k \gamma_n \le \gamma_{k + n}` (Higham, lemma 3.3). A weight
   that is itself rounded j times adds j to the index.
3. ReLU and the maximum do not enlarge an error: :math:`|\max(x, 0) - \max(y, 0)| \le |x - y|`.

So one pass with absolute weights gives a, and along it the roundings k are counted; the computed
output is within :math:`\gamma_k a` of the exact one. Every rule counts what the network does and
what the perceptron does, whichever is more, so that both are within it.

This is the worst case, in which all roundings and all weights conspire: a grows with the sums of
absolute weights, layer by layer, where the values themselves hardly grow. So it is of use for
networks of a few layers, and says nothing for very deep ones.

The sections are those of N. J. Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed.,
SIAM, 2002.
"""

from __future__ import annotations

import math
from functools import reduce, singledispatch
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .convert.plan import unsupported
from .convolution.csr import is_sparse
from .convolution.patches import Array
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
)
from .layers.base import Parameter
from .layers.network import checked_network


class Size(NamedTuple):
    """What a value and its error cannot exceed: ``bound``, and ``gamma(roundings) * bound``."""

    bound: Array
    roundings: int


def error_bound(net: Network, x: ArrayLike, dtype: DTypeLike = np.float64) -> Array:
    r"""Return a bound on how far ``to_mlp(net)(x)`` can differ from ``net(x)``, for each output.

    Parameters
    ----------
    net : Network
        Of floating-point parameters.
    x : array_like, shape ``(*batch, *input_shape)``
    dtype : data type, default float64
        In which both networks compute.

    Returns
    -------
    ndarray, shape ``(*batch, *output_shape)``
        float64. Twice :math:`\gamma_k a`, as the module derives it. It holds for
        ``merge=False``, and as long as nothing overflows or underflows.

    Raises
    ------
    UnsupportedLayer
        With the position of the layer and the reason.
    ValueError
        If the sizes are too large for the precision, so that no digit is certain.

    Examples
    --------
    Two terms and a bias are off by at most :math:`\gamma_3 (|w_0 x_0| + |w_1 x_1| + |b|)`:

    >>> import numpy as np
    >>> net = Network([Conv([[[0.1, -0.2]]], [0.3])], (1, 2))
    >>> u = np.finfo(float).eps / 2
    >>> one_way = 3 * u * (0.1 * 5 + 0.2 * 7 + 0.3)
    >>> bool(np.isclose(error_bound(net, [[5.0, 7.0]]), 2 * one_way, rtol=1e-9).all())
    True
    """
    samples, batch = checked_network(net).samples(x)
    sizes = {-1: Size(_absolute(samples), 0)}
    for position, layer in enumerate(net.layers):
        size = propagate(layer, [sizes[source] for source in net.sources(position)])
        if size is None:
            raise unsupported(net, position)
        sizes[position] = size
    bound, roundings = sizes[len(net.layers) - 1]
    unit = float(np.finfo(dtype).eps) / 2
    if roundings * unit >= 0.5:
        raise ValueError(
            f"dtype (={np.dtype(dtype)}) is too coarse for {roundings} roundings after each other"
        )
    gamma = _gamma(roundings, unit)
    # The bound itself is computed in float64, by as many roundings.
    computed = 1 + 2 * _gamma(roundings, float(np.finfo(np.float64).eps) / 2)
    result: Array = (2 * gamma * computed * bound).reshape(*batch, *net.output_shape)
    return result


def _gamma(roundings: int, unit: float) -> float:
    return roundings * unit / (1 - roundings * unit)


def _absolute(value: Parameter) -> Parameter:
    if is_sparse(value) or value.dtype.kind != "f":
        return abs(value).astype(np.float64)
    absolute: Array = np.abs(value, dtype=np.float64)  # in one step, as weights may be large
    return absolute


@singledispatch
def propagate(layer: Layer, sizes: list[Size]) -> Size | None:
    """Return the size of a layer's output from those of its inputs; None if it has no rule."""
    return None


@propagate.register(Conv)
@propagate.register(ConvTranspose)
@propagate.register(Dense)
def _affine(layer: Conv | ConvTranspose | Dense, sizes: list[Size]) -> Size:
    ((bound, roundings),) = sizes
    weight = _absolute(layer.weight)
    bias = None if layer.bias is None else _absolute(layer.bias)
    if isinstance(layer, Dense):
        terms = weight.shape[1]
        if is_sparse(weight):
            terms = int(np.diff(weight.indptr).max())
        return Size(layer.replaced(weight, bias).forward(bound), roundings + terms + 1)
    channels = weight.shape[1]
    if isinstance(layer, ConvTranspose):  # each output sums over the input channels of its group
        channels = weight.shape[0] // layer.geometry(bound.shape[1:]).groups
    terms = channels * math.prod(weight.shape[2:])
    return Size(layer.replaced(weight, bias).forward(bound), roundings + terms + 1)


@propagate.register(BatchNorm)
def _batch_norm(layer: BatchNorm, sizes: list[Size]) -> Size:
    ((bound, roundings),) = sizes
    taken = (1,) * (bound.ndim - 2)
    scale = _absolute(layer.scale).reshape(-1, *taken)
    shift = _absolute(layer.params["beta"]) + _absolute(layer.mean) * _absolute(layer.scale)
    # Root, quotient, and the sum below it; the product with the weight or with x; the two sums
    # of the bias.
    return Size(scale * bound + shift.reshape(-1, *taken), roundings + 7)


@propagate.register(AvgPool)
def _average(layer: AvgPool, sizes: list[Size]) -> Size:
    ((bound, roundings),) = sizes
    window = math.prod(layer.geometry(bound.shape[1:]).kernel_size)
    return Size(layer.forward(bound), roundings + window + 1)


@propagate.register(AdaptiveAvgPool)
def _adaptive_average(layer: AdaptiveAvgPool, sizes: list[Size]) -> Size:
    ((bound, roundings),) = sizes
    windows = [int((end - begin).max()) for begin, end in layer.bounds(bound.shape[1:])]
    # For each axis a rounded quotient and a product of two of them.
    return Size(layer.forward(bound), roundings + math.prod(windows) + 2 * len(windows) + 1)


@propagate.register(Resample)
def _resample(layer: Resample, sizes: list[Size]) -> Size:
    ((bound, roundings),) = sizes
    absolute = Resample(*(_absolute(matrix) for matrix in layer.matrices))
    terms = [int(np.count_nonzero(matrix, axis=1).max()) for matrix in layer.matrices]
    # The perceptron sums over all axes at once, with products of entries, one for each axis; the
    # network sums axis by axis, zeros included, which are not rounded.
    return Size(absolute.forward(bound), roundings + math.prod(terms) + sum(terms) + len(terms))


@propagate.register(MaxPool)
def _maximum(layer: MaxPool, sizes: list[Size]) -> Size:
    ((bound, roundings),) = sizes
    geometry = layer.geometry(bound.shape[1:])
    rounds = math.ceil(math.log2(math.prod(geometry.kernel_size)))
    # A round computes b + relu(a - b), so |a| + 2 |b|, as a sum of up to six numbers.
    return Size(3.0**rounds * layer.forward(bound), roundings + 6 * rounds + 3)


@propagate.register(LeakyReLU)
def _leaky_relu(layer: LeakyReLU, sizes: list[Size]) -> Size:
    ((bound, roundings),) = sizes
    return Size(max(1.0, abs(float(layer.slope))) * bound, roundings + 2)


@propagate.register(ReLU6)
def _relu6(layer: ReLU6, sizes: list[Size]) -> Size:
    ((bound, roundings),) = sizes
    return Size(2 * bound + 6, roundings + 2)  # relu(x) - relu(x - 6), where x may be large


@propagate.register(Add)
def _add(layer: Add, sizes: list[Size]) -> Size:
    total: Array = sum((size.bound for size in sizes[1:]), start=sizes[0].bound)
    # Each value may be carried as a positive and a negative part, of which one is 0.
    return Size(total, max(size.roundings for size in sizes) + len(sizes))


@propagate.register(Maximum)
def _larger(layer: Maximum, sizes: list[Size]) -> Size:
    bound: Array = reduce(np.maximum, [size.bound for size in sizes])
    rounds = math.ceil(math.log2(len(sizes)))
    # As in a window, of values that are carried in two parts, and in one more after each round.
    steps = sum(2 * (2 + done) for done in range(rounds)) + 3 + rounds
    return Size(3.0**rounds * bound, max(size.roundings for size in sizes) + steps)


@propagate.register(Concat)
def _concat(layer: Concat, sizes: list[Size]) -> Size:
    parts = [size.bound for size in sizes]
    return Size(layer.forward(*parts), max(size.roundings for size in sizes))


@propagate.register(Flatten)
@propagate.register(Rearrange)
def _moved(layer: Flatten | Rearrange, sizes: list[Size]) -> Size:
    return Size(layer.forward(sizes[0].bound), sizes[0].roundings)


@propagate.register(ReLU)
def _unchanged(layer: ReLU, sizes: list[Size]) -> Size:
    return sizes[0]
