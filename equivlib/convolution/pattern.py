"""The index pattern of a whole convolution: the product of the tables of its axes."""

from __future__ import annotations

import numpy as np

from .axis import PADDING, Index
from .geometry import Geometry


def pattern(geometry: Geometry) -> Index:
    r"""Return the flat input element, within one channel, that each (output position, tap) reads.

    Parameters
    ----------
    geometry : Geometry

    Returns
    -------
    ndarray of int, shape ``(positions, taps)``
        Positions and taps are flattened row-major. ``PADDING`` (-1) marks zero padding.

    Examples
    --------
    Two taps over three elements with one zero in front, a row for each output position::

        position 0 reads  .  0
        position 1 reads  0  1
        position 2 reads  1  2

    >>> pattern(Geometry((1, 1, 2), (1, 3), padding=((1, 0),)))
    array([[-1,  0],
           [ 0,  1],
           [ 1,  2]])

    With mirrored borders it is what :func:`numpy.pad` makes of the positions themselves:

    >>> import numpy as np
    >>> padded = np.pad(np.arange(4), 2, mode="reflect")
    >>> table = pattern(Geometry((1, 1, 3), (1, 4), padding=2, padding_mode="reflect"))
    >>> bool((table == np.lib.stride_tricks.sliding_window_view(padded, 3)).all())
    True
    """
    flat: Index = np.zeros((1, 1), dtype=np.intp)
    for axis in geometry.axes:
        outer = flat[:, None, :, None]
        inner = axis.reads()[None, :, None, :]
        read = np.where((outer == PADDING) | (inner == PADDING), PADDING, outer * axis.size + inner)
        flat = read.reshape(len(flat) * axis.outputs, -1)
    return flat
