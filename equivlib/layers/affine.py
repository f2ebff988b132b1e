"""The affine layers: Conv, ConvTranspose and Dense."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Self, TypeAlias, TypeGuard, Unpack

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike

from ..convolution.csr import is_sparse
from ..convolution.functional import backward as transposed
from ..convolution.functional import conv, conv_transpose, weight_gradient
from ..convolution.functional import forward as convolved
from ..convolution.geometry import Geometry, check_words
from ..convolution.options import (
    TRANSPOSE_DEFAULTS,
    GeometryOptions,
    TransposeOptions,
    check_names,
    lists_options,
    lists_transpose_options,
)
from ..convolution.patches import Array, as_array
from .base import Arrays, Gradients, Layer, Parameter, Shape, checked_vector

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from scipy.sparse.linalg import LinearOperator

Weight: TypeAlias = "Array | csr_array | LinearOperator"

#: Sums of products that a sparse weight gradient makes at a time, to bound the scratch memory.
BLOCK = 2**22


class Affine(Layer):
    """A layer with a weight, and a bias for each output channel or unit."""

    def __init__(
        self, weight: Weight, bias: ArrayLike | None, outputs: int, source: int | None
    ) -> None:
        super().__init__(source=source)
        self.params["weight"] = weight
        if bias is not None:
            self.params["bias"] = checked_vector("bias", bias, outputs, "output")

    @property
    def weight(self) -> Weight:
        """The weight."""
        return self.params["weight"]

    def replaced(self, weight: Weight, bias: ArrayLike | None) -> Self:
        """Return the same layer with other numbers."""
        raise NotImplementedError

    @property
    def source(self) -> int | None:
        """Position of the layer that it reads, if that is not the one before it."""
        return self.sources[0] if self.sources else None

    @property
    def bias(self) -> Array | None:
        """The bias, if there is one."""
        return self.params.get("bias")

    def parameter_gradients(self, xs: Arrays, y: Array, grad: Array) -> Gradients:
        gradients: Gradients = {}
        if "weight" in self.params:
            gradients["weight"] = self.weight_gradient(xs[0], grad)
        if "bias" in self.params:
            gradients["bias"] = grad.sum(axis=(0, *range(2, grad.ndim)))
        return gradients

    def weight_gradient(self, x: Array, grad: Array) -> Parameter:
        """Return the gradient of the loss with respect to the weight, summed over the batch.

        The one place to change for a layer whose weight is trained in another way: a subclass may
        keep entries at zero, sum over entries that are tied, or add the gradient of a penalty.

        Parameters
        ----------
        x : ndarray, shape ``(batch, *input_shape)``
            What the layer has read.
        grad : ndarray, shape ``(batch, *output_shape)``
            Gradient of the loss with respect to what it gave.

        Returns
        -------
        ndarray or sparse array, of the shape of the weight

        Examples
        --------
        A fully connected layer that keeps its zeros:

        >>> import numpy as np
        >>> class Masked(Dense):
        ...     def weight_gradient(self, x, grad):
        ...         return super().weight_gradient(x, grad) * (self.weight != 0)
        >>> layer = Masked([[1.0, 0.0]])
        >>> layer.weight_gradient(np.array([[2.0, 3.0]]), np.array([[5.0]]))
        array([[10.,  0.]])
        """
        raise NotImplementedError


def _checked_kernel(weight: ArrayLike) -> Array:
    kernel = as_array("weight", weight)
    if kernel.ndim < 3 or 0 in kernel.shape:
        raise ValueError(
            f"weight (of shape {kernel.shape}) must have two axes of channels and at least one "
            "spatial axis, none empty"
        )
    return kernel


def _common(weight: Array, grad: Array) -> Arrays:
    """Return both arrays with the dtype of their products."""
    dtype = np.result_type(weight, grad)
    return weight.astype(dtype, copy=False), grad.astype(dtype, copy=False)


def _given(options: GeometryOptions) -> list[str]:
    return [f"{name}={value!r}" for name, value in options.items()]


@lists_options
class Conv(Affine):
    r"""A convolutional layer, with the options of :func:`~equivlib.conv`.

    .. math:: y[u, o] = b[u] + \sum_{c, a} w[u, c, a] \; x[c, \, s\,o + d\,a - p]

    summed over the channels c of u's group, with x outside of the input as ``padding_mode`` says.

    Parameters
    ----------
    weight : array_like, shape ``(out_channels, in_channels // groups, *kernel)``
    bias : array_like, shape ``(out_channels,)``, optional
    source : int, optional
        Position of the layer that it reads, if that is not the one before it.
    **options : GeometryOptions

    Raises
    ------
    ValueError
        If ``weight`` does not have two axes of channels and a spatial one, ``bias`` does not have a
        number for each output channel, or an option is unknown. Options are checked against the
        input when its shape is known.

    Examples
    --------
    Two taps over three numbers. The gradient of the weight sums those of the entries it is tied
    to: the dense layer has the gradient :math:`g x^T`, one number for each entry::

        g xᵀ = 1*1 1*2 1*4     tap 0 stands at 1*1 and 10*2, tap 1 at 1*2 and 10*4
              10*1 10*2 10*4

    >>> import numpy as np
    >>> layer = Conv([[[-1, 1]]])
    >>> x, g = np.array([[[1, 2, 4]]]), np.array([[[1, 10]]])
    >>> gradients = layer.parameter_gradients((x,), layer.forward(x), g)
    >>> gradients["weight"]
    array([[[21, 42]]])

    It is numpy's correlation of input and output gradient:

    >>> bool((gradients["weight"][0, 0] == np.correlate(x[0, 0], g[0, 0])).all())
    True
    """

    def __init__(
        self,
        weight: ArrayLike,
        bias: ArrayLike | None = None,
        *,
        source: int | None = None,
        **options: Unpack[GeometryOptions],
    ) -> None:
        check_names(options, "Conv", ("bias", "source"))
        kernel = _checked_kernel(weight)
        check_words(kernel.shape[2:], options)
        super().__init__(kernel, bias, len(kernel), source)
        self.options = options

    @property
    def weight(self) -> Array:
        """The weight."""
        return self.params["weight"]

    def replaced(self, weight: ArrayLike, bias: ArrayLike | None) -> Self:
        return type(self)(weight, bias, source=self.source, **self.options)

    def details(self) -> list[str]:
        return super().details() + _given(self.options)

    def geometry(self, shape: Shape) -> Geometry:
        """Return the convolution of an input of this shape."""
        return Geometry(self.weight.shape, shape, **self.options)

    def output_shape(self, *shapes: Shape) -> Shape:
        return self.geometry(shapes[0]).output_shape

    def forward(self, *xs: Array) -> Array:
        return conv(xs[0], self.weight, self.bias, **self.options)

    def backward(self, xs: Arrays, y: Array, grad: Array) -> Arrays:
        weight, grad = _common(self.weight, grad)
        return (transposed(grad, weight, self.geometry(xs[0].shape[1:])),)

    def weight_gradient(self, x: Array, grad: Array) -> Parameter:
        return weight_gradient(x, grad, self.geometry(x.shape[1:]))


@lists_transpose_options
class ConvTranspose(Affine):
    r"""A transposed convolution, with the options of :func:`~equivlib.conv_transpose`.

    .. math:: x[c, j] = b[c] + \sum_{u, o, a} w[u, c, a] \; \delta(j, \, s\,o + d\,a - p) \; y[u, o]

    Parameters
    ----------
    weight : array_like, shape ``(in_channels, out_channels // groups, *kernel)``
    bias : array_like, shape ``(out_channels,)``, optional
    source : int, optional
        Position of the layer that it reads, if that is not the one before it.
    output_padding : int or tuple of N int, default 0
        As for :func:`~equivlib.conv_transpose`.
    output_shape : tuple of N int, optional
        As for :func:`~equivlib.conv_transpose`.
    **options : GeometryOptions

    Raises
    ------
    ValueError
        If ``weight`` does not have two axes of channels and a spatial one, ``bias`` does not have a
        number for each output channel, or an option is unknown. Options are checked against the
        input when its shape is known.

    Examples
    --------
    Two numbers with stride 2, each writing the kernel once::

        [1 10] becomes [1 2 3 . .] + [. . 10 20 30]

    >>> import numpy as np
    >>> layer = ConvTranspose([[[1, 2, 3]]], stride=2)
    >>> y = layer.forward(np.array([[[1, 10]]]))
    >>> y
    array([[[ 1,  2, 13, 20, 30]]])

    With stride 1 it is numpy's full convolution:

    >>> full = ConvTranspose([[[1, 2, 3]]]).forward(np.array([[[4, 5, 6]]]))
    >>> bool((full[0, 0] == np.convolve([4, 5, 6], [1, 2, 3])).all())
    True
    """

    def __init__(
        self,
        weight: ArrayLike,
        bias: ArrayLike | None = None,
        *,
        source: int | None = None,
        **options: Unpack[TransposeOptions],
    ) -> None:
        check_names(options, "ConvTranspose", ("bias", "source"), TRANSPOSE_DEFAULTS)
        kernel = _checked_kernel(weight)
        check_words(kernel.shape[2:], options)
        groups = options.get("groups", 1)
        # An impossible number of groups is refused by the geometry, as soon as there is one.
        whole = isinstance(groups, (int, np.integer))
        super().__init__(kernel, bias, kernel.shape[1] * (groups if whole else 1), source)
        self.options = options

    @property
    def weight(self) -> Array:
        """The weight."""
        return self.params["weight"]

    def replaced(self, weight: ArrayLike, bias: ArrayLike | None) -> Self:
        return type(self)(weight, bias, source=self.source, **self.options)

    def details(self) -> list[str]:
        return super().details() + _given(self.options)

    def geometry(self, shape: Shape) -> Geometry:
        """Return the convolution whose transpose this layer is, for an input of this shape."""
        kernel = self.weight.shape
        if len(shape) != len(kernel) - 1 or shape[0] != kernel[0]:
            raise ValueError(
                f"the input (of shape {shape}) must have {kernel[0]} channels and "
                f"{len(kernel) - 2} spatial axes for weight (of shape {kernel})"
            )
        return Geometry.of_transpose(kernel, shape[1:], **self.options)

    def output_shape(self, *shapes: Shape) -> Shape:
        return self.geometry(shapes[0]).input_shape

    def forward(self, *xs: Array) -> Array:
        return conv_transpose(xs[0], self.weight, self.bias, **self.options)

    def backward(self, xs: Arrays, y: Array, grad: Array) -> Arrays:
        weight, grad = _common(self.weight, grad)
        shape = xs[0].shape[1:]
        back = convolved(grad, weight, self.geometry(shape))
        # The convolution may have a few outputs more than there are inputs here (output_padding).
        return (back[(slice(None), *(slice(n) for n in shape))],)

    def weight_gradient(self, x: Array, grad: Array) -> Parameter:
        geometry = self.geometry(x.shape[1:])
        missing = [(0, n - m) for n, m in zip(geometry.output_shape, x.shape[1:], strict=True)]
        return weight_gradient(grad, np.pad(x, [(0, 0), *missing]), geometry)


class Dense(Affine):
    r"""A fully connected layer on a flat input.

    .. math:: y = W x + b

    Parameters
    ----------
    weight : array_like, scipy.sparse array or LinearOperator, shape ``(units, features)``
        A sparse weight has gradients where it stores numbers, an operator none. scipy.sparse
        holds no exact objects: fractions need an ndarray.
    bias : array_like, shape ``(units,)``, optional
    source : int, optional
        Position of the layer that it reads, if that is not the one before it.

    Raises
    ------
    ValueError
        If ``weight`` does not have two axes or holds no numbers, or ``bias`` does not have a number
        for each unit.

    Examples
    --------
    ::

        W = 1 2 .    x = [1 10 100]    W x + b = [21 + 5, 300 + 6]
            . . 3

    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> W, b, x = np.array([[1, 2, 0], [0, 0, 3]]), np.array([5, 6]), np.array([[1, 10, 100]])
    >>> Dense(csr_array(W), b).forward(x)
    array([[ 26, 306]])
    >>> bool((Dense(W, b).forward(x)[0] == np.einsum("uf,f->u", W, x[0]) + b).all())
    True
    """

    def __init__(
        self,
        weight: ArrayLike | csr_array | LinearOperator,
        bias: ArrayLike | None = None,
        *,
        source: int | None = None,
    ) -> None:
        checked = _checked_matrix(weight)
        super().__init__(checked, bias, checked.shape[0], source)
        self._operator = checked
        if _is_operator(checked):
            del self.params["weight"]  # it holds no numbers that could be changed

    @property
    def weight(self) -> Weight:
        return self.params.get("weight", self._operator)

    def replaced(self, weight: Weight, bias: ArrayLike | None) -> Self:
        return type(self)(weight, bias, source=self.source)

    def details(self) -> list[str]:
        weight = self.weight
        if is_sparse(weight):
            return [f"weight {weight.shape} storing {weight.nnz}", *super().details()[1:]]
        unbuilt = [] if "weight" in self.params else [f"weight {weight.shape} not built"]
        return unbuilt + super().details()

    def output_shape(self, *shapes: Shape) -> Shape:
        units, features = self.weight.shape
        if shapes[0] != (features,):
            flat = " (Flatten makes it flat)" if math.prod(shapes[0]) == features else ""
            raise ValueError(
                f"the input (of shape {shapes[0]}) must have shape (features,) = ({features},)"
                f"{flat} for weight (of shape {(units, features)})"
            )
        return (units,)

    def forward(self, *xs: Array) -> Array:
        if is_sparse(self.weight) and xs[0].dtype == object:
            raise ValueError(
                "weight (a sparse array) cannot multiply exact objects: scipy.sparse holds "
                "numbers only; make the weight an ndarray of objects"
            )
        y: Array = (self.weight @ xs[0].T).T
        return y if self.bias is None else y + self.bias

    def backward(self, xs: Arrays, y: Array, grad: Array) -> Arrays:
        return ((self.weight.T @ grad.T).T,)

    def weight_gradient(self, x: Array, grad: Array) -> Parameter:
        if is_sparse(self.weight):
            return _sparse_gradient(self.weight, x, grad)
        return grad.T @ x


def _is_operator(weight: object) -> TypeGuard[LinearOperator]:
    return hasattr(weight, "rmatmat")


def _checked_matrix(weight: ArrayLike | csr_array | LinearOperator) -> Weight:
    matrix: Weight
    if is_sparse(weight):
        if weight.dtype.kind not in "iufc":
            raise ValueError(f"weight (of dtype {weight.dtype}) must hold numbers")
        matrix = scipy.sparse.csr_array(weight)
    elif _is_operator(weight):
        matrix = weight
    else:
        matrix = as_array("weight", weight)
    if len(matrix.shape) != 2 or 0 in matrix.shape:
        raise ValueError(
            f"weight (of shape {matrix.shape}) must have two axes, (units, features), none empty"
        )
    return matrix


def _sparse_gradient(weight: csr_array, x: Array, grad: Array) -> csr_array:
    """Return ``grad.T @ x`` at the places that the weight stores."""
    rows = np.repeat(np.arange(weight.shape[0]), np.diff(weight.indptr))
    data = np.empty(weight.nnz, dtype=np.result_type(x, grad))
    step = max(1, BLOCK // len(x))
    for start in range(0, weight.nnz, step):
        part = slice(start, start + step)
        data[part] = np.einsum("np,np->p", grad[:, rows[part]], x[:, weight.indices[part]])
    return scipy.sparse.csr_array((data, weight.indices, weight.indptr), shape=weight.shape)
