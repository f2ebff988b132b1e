"""A layer that moves numbers and computes nothing: reshape, transposition, any reordering."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ..convolution.patches import Array
from .base import Arrays, Layer, Shape


class Rearrange(Layer):
    r"""Numbers of the input at other places: reordered, selected, repeated, with zeros between.

    .. math:: y[i] = x.ravel()[\text{indices}[i]], \quad \text{or } 0 \text{ where it is } -1

    Reshape, transposition, slices, padding and enlarging by repetition are of this kind: what they
    do to ``np.arange(n)`` is ``indices``.

    Parameters
    ----------
    indices : array_like of int
        Of the shape of the output: each element's place in the flattened input, or -1. A
        permutation, unless ``size`` is given.
    size : int, optional
        Elements of the input, of which any may be read and any not.
    source : int, optional
        Position of the layer that it reads, if that is not the one before it.

    Raises
    ------
    ValueError
        If ``indices`` does not hold each of the integers below its size once; with ``size``, if
        one is less than -1 or not below it.

    Examples
    --------
    Three numbers for each of two pixels become two pixels in each of three channels::

        a b c    becomes    a d
        d e f               b e
                            c f

    >>> import numpy as np
    >>> layer = Rearrange(np.arange(6).reshape(2, 3).T)
    >>> x = np.array([[[1, 2, 3], [4, 5, 6]]])
    >>> bool((layer.forward(x)[0] == x[0].T).all())
    True

    With ``size``, the last two of three numbers, and one zero of padding:

    >>> layer = Rearrange([1, 2, -1], size=3)
    >>> layer.forward(np.array([[7, 8, 9]]))
    array([[8, 9, 0]])
    """

    def __init__(
        self, indices: ArrayLike, *, size: int | None = None, source: int | None = None
    ) -> None:
        super().__init__(source=source)
        places = np.asarray(indices)
        whole = places.ndim >= 1 and places.size > 0 and places.dtype.kind in "iu"
        if size is None:
            seen = np.zeros(places.size, dtype=bool)
            if whole and places.min() >= 0 and places.max() < places.size:
                seen[places] = True
            if not whole or not seen.all():
                raise ValueError(
                    f"indices (of shape {places.shape} and dtype {places.dtype}) must hold each of "
                    f"the integers from 0 to {places.size - 1} once, or size must be given"
                )
        elif not whole or places.min() < -1 or places.max() >= size:
            raise ValueError(
                f"indices (of shape {places.shape} and dtype {places.dtype}) must be integers from "
                f"-1 to size - 1 (={size - 1})"
            )
        self.indices, self.size = places, places.size if size is None else int(size)

    @property
    def keeps_order(self) -> bool:
        """Whether only the shape changes."""
        flat = self.indices.ravel()
        return flat.size == self.size and bool((flat == np.arange(self.size)).all())

    def transposition(self) -> tuple[Shape, tuple[int, ...]] | None:
        """Return the shape to give the input and the order of its axes, if that is all it does.

        The fewest axes are taken: neighbours that stay together are one.

        Examples
        --------
        >>> Rearrange(np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1)).transposition()
        ((6, 4), (1, 0))
        >>> Rearrange([2, 0, 1]).transposition() is None
        True
        >>> Rearrange([0, 1], size=3).transposition() is None
        True
        """
        order, block = self.indices.ravel(), 1
        if len(order) != self.size:
            return None
        axes: list[tuple[int, int]] = []  # stride and length, the innermost first
        while block < len(order):
            firsts = order[::block]
            stride = int(firsts[1] - firsts[0])
            regular = firsts == stride * np.arange(len(firsts))
            length = len(firsts) if regular.all() else int(np.argmin(regular))
            if length < 2 or len(order) % (block * length):
                return None
            axes.append((stride, length))
            block *= length
        axes = axes[::-1] or [(1, 1)]
        places = sorted(range(len(axes)), key=lambda axis: -axes[axis][0])
        shape = tuple(axes[axis][1] for axis in places)
        perm = tuple(places.index(axis) for axis in range(len(axes)))
        moved = np.arange(len(order)).reshape(shape).transpose(perm)
        return (shape, perm) if (moved.ravel() == order).all() else None

    def details(self) -> list[str]:
        return [f"to {self.indices.shape}", *["in the same order"] * self.keeps_order]

    def output_shape(self, *shapes: Shape) -> Shape:
        if math.prod(shapes[0]) != self.size:
            raise ValueError(
                f"the input (of shape {shapes[0]}) must have as many elements as indices (of shape "
                f"{self.indices.shape}) count, {self.size}"
            )
        return self.indices.shape

    def forward(self, *xs: Array) -> Array:
        y: Array = xs[0].reshape(len(xs[0]), self.size)[:, self.indices]
        empty = self.indices < 0
        if empty.any():
            y[:, empty] = 0
        return y

    def backward(self, xs: Arrays, y: Array, grad: Array) -> Arrays:
        back: Array = np.zeros((self.size, len(grad)), dtype=grad.dtype)
        read = self.indices >= 0
        np.add.at(back, self.indices[read], grad[:, read].T)
        return (back.T.reshape(xs[0].shape),)


class Flatten(Layer):
    """All elements as one axis, row-major over channels and space.

    Examples
    --------
    >>> import numpy as np
    >>> Flatten().forward(np.arange(8).reshape(1, 2, 2, 2))
    array([[0, 1, 2, 3, 4, 5, 6, 7]])
    """

    def output_shape(self, *shapes: Shape) -> Shape:
        return (math.prod(shapes[0]),)

    def forward(self, *xs: Array) -> Array:
        return xs[0].reshape(len(xs[0]), math.prod(xs[0].shape[1:]))

    def backward(self, xs: Arrays, y: Array, grad: Array) -> Arrays:
        return (grad.reshape(xs[0].shape),)
