"""The activations: functions of each number, and Softmax over the channels."""

from __future__ import annotations

import numpy as np

from ..convolution.patches import Array
from .base import Arrays, Layer, Number, exact_scalar


class ReLU(Layer):
    r"""The positive part of each number.

    .. math:: y = \max(x, 0)

    Examples
    --------
    ::

        -2 0 3  becomes  0 0 3

    >>> import numpy as np
    >>> ReLU().forward(np.array([[-2, 0, 3]]))
    array([[0, 0, 3]])
    """

    def forward(self, *xs: Array) -> Array:
        y: Array = np.maximum(xs[0], 0)
        return y

    def backward(self, xs: Arrays, y: Array, grad: Array) -> Arrays:
        return (np.where(xs[0] > 0, grad, 0),)


class LeakyReLU(Layer):
    r"""Each number, times ``slope`` if it is negative.

    .. math:: y = \max(x, 0) + s \, \min(x, 0)

    Parameters
    ----------
    slope : number, default 0.01
    source : int, optional
        Position of the layer that it reads, if that is not the one before it.

    Examples
    --------
    ::

        -2 0 3  becomes  -0.5 0 3

    >>> import numpy as np
    >>> LeakyReLU(0.25).forward(np.array([[-2.0, 0.0, 3.0]]))
    array([[-0.5,  0. ,  3. ]])
    """

    def __init__(self, slope: Number = 0.01, *, source: int | None = None) -> None:
        super().__init__(source=source)
        self.slope = slope

    def details(self) -> list[str]:
        return [str(self.slope)]

    def forward(self, *xs: Array) -> Array:
        y: Array = np.where(xs[0] > 0, xs[0], exact_scalar(self.slope, xs[0]) * xs[0])
        return y

    def backward(self, xs: Arrays, y: Array, grad: Array) -> Arrays:
        return (np.where(xs[0] > 0, grad, exact_scalar(self.slope, grad) * grad),)


class ReLU6(Layer):
    r"""Each number clipped to between 0 and 6.

    .. math:: y = \min(\max(x, 0), 6)

    Examples
    --------
    ::

        -2 3 9  becomes  0 3 6

    >>> import numpy as np
    >>> ReLU6().forward(np.array([[-2, 3, 9]]))
    array([[0, 3, 6]])
    """

    def forward(self, *xs: Array) -> Array:
        y: Array = np.minimum(np.maximum(xs[0], 0), 6)
        return y

    def backward(self, xs: Arrays, y: Array, grad: Array) -> Arrays:
        return (np.where((xs[0] > 0) & (xs[0] < 6), grad, 0),)


class Sigmoid(Layer):
    r"""The logistic function of each number.

    .. math:: y = 1 / (1 + e^{-x})

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.special import expit
    >>> x = np.linspace(-800, 800, 9)[None]
    >>> bool(np.allclose(Sigmoid().forward(x), expit(x)))
    True
    """

    def forward(self, *xs: Array) -> Array:
        y: Array = (1 + np.tanh(xs[0] / 2)) / 2  # which never overflows
        return y

    def backward(self, xs: Arrays, y: Array, grad: Array) -> Arrays:
        return (grad * y * (1 - y),)


class Tanh(Layer):
    r"""The hyperbolic tangent of each number.

    .. math:: y = \tanh x

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[0.5]])
    >>> bool(np.isclose(Tanh().forward(x), (np.e - 1) / (np.e + 1)).all())
    True
    """

    def forward(self, *xs: Array) -> Array:
        return np.tanh(xs[0])

    def backward(self, xs: Arrays, y: Array, grad: Array) -> Arrays:
        return (grad * (1 - y * y),)


class Softmax(Layer):
    r"""Positive numbers of sum 1, over the channels or units.

    .. math:: y_c = e^{x_c} / \textstyle\sum_d e^{x_d}

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.special import softmax
    >>> x = np.array([[1.0, 2.0, 1000.0], [0.0, 0.0, 0.0]])
    >>> bool(np.allclose(Softmax().forward(x), softmax(x, axis=1)))
    True
    """

    def forward(self, *xs: Array) -> Array:
        powers = np.exp(xs[0] - xs[0].max(axis=1, keepdims=True))
        y: Array = powers / powers.sum(axis=1, keepdims=True)
        return y

    def backward(self, xs: Arrays, y: Array, grad: Array) -> Arrays:
        return (y * (grad - (grad * y).sum(axis=1, keepdims=True)),)
