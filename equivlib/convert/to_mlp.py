"""From a network to a multilayer perceptron, equal on every input."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from ..convolution.csr import is_sparse
from ..convolution.geometry import matrix_nbytes
from ..convolution.matrix import MAX_BYTES, MatrixTooLarge, checked_limit, readable
from ..layers import Dense, Layer, Network
from ..layers.network import checked_network
from .plan import make_plan, network_dtype


def to_mlp(
    net: Network,
    *,
    merge: bool = False,
    max_bytes: float = MAX_BYTES,
    matrix_free: bool = False,
    dtype: DTypeLike | None = None,
) -> Network:
    r"""Convert a network to a multilayer perceptron that equals it on every finite input.

    .. math:: mlp(x.ravel()) = net(x).ravel()

    It has only :class:`Dense` layers, with sparse weights, and :class:`ReLU`. Affine layers are
    their matrices. The others are these combinations of ReLU:

    - LeakyReLU: ``relu(x) - slope * relu(-x)``;
    - ReLU6: ``relu(x) - relu(x - 6)``;
    - MaxPool and Maximum: a tournament of ``max(a, b) = b + relu(a - b)``;
    - a shortcut past a ReLU: ``v = relu(v) - relu(-v)``, or v itself where it cannot be negative.

    Parameters
    ----------
    net : Network
    merge : bool, default False
        Multiply neighbouring Dense layers. By default each layer of ``net`` stays visible.
    max_bytes : number, default 4 GiB
        Refuse to build more than this in total.
    matrix_free : bool, default False
        Make weights that are applied but never built: LinearOperators.
    dtype : data type, optional
        Of the weights; by default that of the parameters. With exact objects (fractions) the
        weights are ndarrays, because scipy.sparse holds numbers only.

    Returns
    -------
    Network
        For the input shape ``(prod(net.input_shape),)``. Batch normalisation is folded into the
        affine layer before it, if nothing else reads that layer.

    Raises
    ------
    UnsupportedLayer
        With the position of the layer and the reason.
    MatrixTooLarge
        With the size, before anything of that size is allocated.
    ValueError
        If ``merge`` and ``matrix_free`` are both true, a ``Dense`` layer has an operator as weight
        without ``matrix_free``, or ``max_bytes`` is not positive.

    See Also
    --------
    conversion_table : what each layer will take, without building it.

    Examples
    --------
    A maximum of two becomes ``relu(b) - relu(-b) + relu(a - b)``::

        1 -1                 1 1 -1
        .  1    and then
        . -1

    >>> import numpy as np
    >>> from equivlib.layers import Conv, MaxPool
    >>> mlp = to_mlp(Network([MaxPool(2)], (1, 2)))
    >>> mlp.layers[0].weight.toarray()
    array([[ 1., -1.],
           [ 0.,  1.],
           [ 0., -1.]])
    >>> mlp.layers[2].weight.toarray()
    array([[ 1.,  1., -1.]])
    >>> mlp([[-5.0, -3.0], [4.0, 1.0]])
    array([[-3.],
           [ 4.]])

    scipy computes the same convolution and maximum:

    >>> from scipy.ndimage import maximum_filter
    >>> from scipy.signal import correlate2d
    >>> rng = np.random.default_rng(0)
    >>> x, k = rng.integers(-9, 9, (6, 7)), rng.integers(-9, 9, (3, 3))
    >>> net = Network([Conv(k[None, None], [5]), MaxPool((3, 3), stride=1)], (1, 6, 7))
    >>> y = to_mlp(net)(x.ravel())
    >>> expected = maximum_filter(correlate2d(x, k, mode="valid") + 5, size=3)[1:-1, 1:-1]
    >>> bool((y == expected.ravel()).all())
    True
    """
    checked_network(net)
    checked_limit(max_bytes)
    if merge and matrix_free:
        raise ValueError(
            "merge (=True) multiplies matrices and matrix_free (=True) builds none: choose one"
        )
    for position, layer in enumerate(net.layers):
        if isinstance(layer, Dense) and "weight" not in layer.params and not matrix_free:
            raise ValueError(
                f"{net.label(position)} has an operator as weight: there are no numbers to store, "
                "but matrix_free=True applies it"
            )
    number = network_dtype(net) if dtype is None else np.dtype(dtype)
    layers: list[Layer] = []
    for stage in make_plan(net, number, math.inf if matrix_free else max_bytes).stages:
        layer = stage.layer(number, matrix_free=matrix_free)
        before = layers[-1] if layers else None
        if merge and isinstance(layer, Dense) and isinstance(before, Dense):
            layers[-1] = _product(layer, before, max_bytes)
        else:
            layers.append(layer)
    return Network(layers, (math.prod(net.input_shape),), dtype=number)


def _product(second: Dense, first: Dense, max_bytes: float) -> Dense:
    """Return two affine maps as one, refused before it is made if even its bound does not fit."""
    a, b = second.weight, first.weight
    if is_sparse(a) and is_sparse(b):
        rows, columns = a.shape[0], b.shape[1]
        reads = np.bincount(a.indices, minlength=a.shape[1])
        most = min(int(reads @ np.diff(b.indptr)), rows * columns)
        size = matrix_nbytes(rows, columns, most, np.result_type(a, b), "csr")
        if size > max_bytes:
            raise MatrixTooLarge(
                f"the product of two Dense layers of shape {(rows, columns)} may take "
                f"{readable(size)}, over max_bytes (={max_bytes}); merge=False keeps them apart"
            )
    bias = None
    if first.bias is not None or second.bias is not None:
        bias = 0 if first.bias is None else a @ first.bias
        bias = bias if second.bias is None else bias + second.bias
    return Dense(a @ b, bias)
