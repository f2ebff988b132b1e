"""Batch normalisation as it is at inference, and how it disappears into the layer before it."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TypeVar

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike

from ..convolution.csr import is_sparse
from ..convolution.patches import Array, as_array
from .affine import Affine, ConvTranspose
from .base import Arrays, Gradients, Layer, Number, Shape, checked_vector

AnyAffine = TypeVar("AnyAffine", bound=Affine)


class BatchNorm(Layer):
    r"""Batch normalisation as it is at inference: an affine map of each channel.

    .. math:: y[c] = \gamma_c \, \frac{x[c] - \mu_c}{\sqrt{\sigma_c^2 + \epsilon}} + \beta_c

    Parameters
    ----------
    gamma, beta, mean, var : array_like, shape ``(channels,)``
        Exact objects stay exact if each ``var + eps`` is the square of a fraction.
    eps : number, default 1e-5
    source : int, optional
        Position of the layer that it reads, if that is not the one before it.

    Raises
    ------
    ValueError
        If the four vectors do not have a number for each channel, or ``var + eps`` is not positive;
        for exact objects also if it is not the square of a fraction.

    Examples
    --------
    Mean 3 and variance 4 become mean 0 and variance 1::

        (1 - 3) / 2 = -1    (5 - 3) / 2 = 1

    >>> import numpy as np
    >>> layer = BatchNorm([1], [0], [3], [4], eps=0)
    >>> y = layer.forward(np.array([[[1, 5]]]))
    >>> y
    array([[[-1.,  1.]]])
    >>> float(np.mean(y)), float(np.var(y))
    (0.0, 1.0)
    """

    def __init__(
        self,
        gamma: ArrayLike,
        beta: ArrayLike,
        mean: ArrayLike,
        var: ArrayLike,
        eps: Number = 1e-5,
        *,
        source: int | None = None,
    ) -> None:
        super().__init__(source=source)
        first = as_array("gamma", gamma)
        if first.ndim != 1:
            raise ValueError(f"gamma (of shape {first.shape}) must have one number per channel")
        named = (("gamma", gamma), ("beta", beta), ("mean", mean), ("var", var))
        arrays = [checked_vector(name, value, len(first), "channel") for name, value in named]
        self.params["gamma"], self.params["beta"], self.mean, self.var = arrays
        self.eps = eps
        if not all(value + eps > 0 for value in self.var):
            raise ValueError(f"var + eps (={self.var + eps}) must be positive, eps (={eps})")
        self._deviation = _root(self.var, eps)

    @property
    def scale(self) -> Array:
        """What each channel is multiplied by."""
        scale: Array = self.params["gamma"] / self._deviation
        return scale

    @property
    def shift(self) -> Array:
        """What is added to each channel after that."""
        shift: Array = self.params["beta"] - self.mean * self.scale
        return shift

    def details(self) -> list[str]:
        return [f"{len(self.mean)} channels"]

    def output_shape(self, *shapes: Shape) -> Shape:
        if shapes[0][0] != len(self.mean):
            raise ValueError(
                f"the input (of shape {shapes[0]}) must have {len(self.mean)} channels for gamma "
                f"(of shape {self.mean.shape})"
            )
        return shapes[0]

    def forward(self, *xs: Array) -> Array:
        y: Array = xs[0] * _per_channel(self.scale, xs[0]) + _per_channel(self.shift, xs[0])
        return y

    def backward(self, xs: Arrays, y: Array, grad: Array) -> Arrays:
        return (grad * _per_channel(self.scale, grad),)

    def parameter_gradients(self, xs: Arrays, y: Array, grad: Array) -> Gradients:
        axes = (0, *range(2, grad.ndim))
        normal = (xs[0] - _per_channel(self.mean, xs[0])) / _per_channel(self._deviation, xs[0])
        return {"gamma": (grad * normal).sum(axis=axes), "beta": grad.sum(axis=axes)}

    def folded(self, layer: AnyAffine) -> AnyAffine:
        r"""Return ``layer`` followed by this one, as a single layer.

        Its weight is :math:`\gamma w / \sqrt{\sigma^2 + \epsilon}` and its bias
        :math:`\beta + \gamma (b - \mu) / \sqrt{\sigma^2 + \epsilon}`.

        Parameters
        ----------
        layer : Conv, ConvTranspose or Dense
            With as many output channels as this layer has. A Dense must have a stored weight.

        Examples
        --------
        >>> import numpy as np
        >>> from equivlib.layers import Conv
        >>> conv, norm = Conv([[[1.0, 2.0]]]), BatchNorm([2], [5], [3], [4], eps=0)
        >>> x = np.arange(4.0).reshape(1, 1, 4)
        >>> folded = norm.folded(conv)
        >>> bool((folded.forward(x) == norm.forward(conv.forward(x))).all())
        True
        """
        scale, weight = self.scale, layer.weight
        outputs = weight.shape[0]
        if isinstance(layer, ConvTranspose):
            groups = layer.options.get("groups", 1)
            outputs = weight.shape[1] * groups
        if outputs != len(scale):
            raise ValueError(
                f"layer (={layer}) must have the {len(scale)} output channels of the batch "
                f"normalisation, not {outputs}"
            )
        unscaled = bool((scale == 1).all()) and np.result_type(weight, scale) == weight.dtype
        if unscaled:
            pass  # a bias alone: a copy would be as large as the weight
        elif isinstance(layer, ConvTranspose):
            taps = (1,) * (weight.ndim - 2)
            split = weight.reshape(groups, -1, *weight.shape[1:])
            weight = (split * scale.reshape(groups, 1, -1, *taps)).reshape(weight.shape)
        elif is_sparse(weight):
            data = weight.data * np.repeat(scale, np.diff(weight.indptr))
            weight = scipy.sparse.csr_array((data, weight.indices, weight.indptr), weight.shape)
        else:
            weight = weight * scale.reshape(-1, *(1,) * (len(weight.shape) - 1))
        bias = self.shift if layer.bias is None else self.shift + layer.bias * scale
        return layer.replaced(weight, bias)


def _per_channel(values: Array, like: Array) -> Array:
    return values.reshape(-1, *(1,) * (like.ndim - 2))


def _root(var: Array, eps: Number) -> Array:
    """Return ``sqrt(var + eps)``; of exact objects only where it is exact."""
    total = var + np.asarray(eps, dtype=None if var.dtype == object else np.result_type(var, 0.0))
    if total.dtype != object:
        root: Array = np.sqrt(total)
        return root
    roots = [_exact_root(value, eps) for value in total]
    return np.array(roots, dtype=object)


def _exact_root(value: Number, eps: Number) -> Number:
    if isinstance(value, float):
        return math.sqrt(value)
    fraction = Fraction(value)
    root = Fraction(math.isqrt(fraction.numerator), math.isqrt(fraction.denominator))
    if root * root != fraction:
        raise ValueError(
            f"var + eps (={value}) of exact objects must be the square of a fraction, eps (={eps})"
        )
    return root
