"""The maximum of many numbers by affine maps and ReLU: a tournament of ``b + relu(a - b)``."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse

from ..convolution.axis import PADDING, Index

#: A value that may be negative goes through a ReLU as ``relu(v)`` and ``relu(-v)``.
SIGNED = (1, -1)


class Tournament(NamedTuple):
    """Matrices M0, M1, ..., with ``Mn relu(... M1 relu(M0 x))`` the maximum of each window.

    Attributes
    ----------
    rounds : list of csr_array
        Each is followed by a ReLU.
    result : csr_array
        From the last of them to the maxima; from the elements, if there is nothing to compare.
    """

    rounds: list[scipy.sparse.csr_array]
    result: scipy.sparse.csr_array


def tournament(windows: Index, size: int, *, nonnegative: bool) -> Tournament:
    r"""Plan the maximum of each window of a vector.

    In each round the candidates of a window meet in pairs, and of two the larger goes on:

    .. math:: \max(a, b) = b + \operatorname{relu}(a - b),
              \quad b = \operatorname{relu}(b) - \operatorname{relu}(-b).

    If the largest window has K elements, padding not counted, this takes
    :math:`\lceil \log_2 K \rceil` rounds. A pair that several windows compare is compared once.

    Parameters
    ----------
    windows : ndarray of int, shape ``(windows, K)``
        Elements of each window, or ``PADDING``, which no window chooses.
    size : int
        Length of the vector.
    nonnegative : bool
        Whether no element is negative: then ``relu(b)`` is b, and less is carried.

    Examples
    --------
    Three elements, [a b c]: in round one a meets b, and c waits.

    >>> plan = tournament(np.array([[0, 1, 2]]), 3, nonnegative=True)
    >>> plan.rounds[0].toarray()
    array([[ 1, -1,  0],
           [ 0,  1,  0],
           [ 0,  0,  1]])
    >>> x = np.array([3, 5, 4])
    >>> for matrix in plan.rounds:
    ...     x = np.maximum(matrix @ x, 0)
    >>> (plan.result @ x).tolist()
    [5]
    """
    signs = (1,) if nonnegative else SIGNED
    # Padding last, so that windows with less in them are done sooner.
    candidates = np.take_along_axis(
        windows, np.argsort(windows == PADDING, axis=1, kind="stable"), axis=1
    )
    # Each candidate as a combination of what the last ReLU gave.
    value = scipy.sparse.eye_array(size, dtype=np.int64, format="csr")
    rounds = []
    while (candidates[:, 1:] != PADDING).any():
        if candidates.shape[1] % 2:
            candidates = np.pad(candidates, [(0, 0), (0, 1)], constant_values=PADDING)
        pairs = candidates.reshape(-1, 2)
        met, winner = np.unique(pairs[pairs[:, 0] != PADDING], axis=0, return_inverse=True)
        matrix, value = _round(met, value, signs)
        rounds.append(matrix)
        following = np.full(len(pairs), PADDING)
        following[pairs[:, 0] != PADDING] = winner.ravel()
        candidates = following.reshape(len(candidates), -1)
    return Tournament(rounds, scipy.sparse.csr_array(value[candidates[:, 0]]))


def _round(
    met: Index, value: scipy.sparse.csr_array, signs: tuple[int, ...]
) -> tuple[scipy.sparse.csr_array, scipy.sparse.csr_array]:
    """Return the matrix before the ReLU of a round, and each winner in terms of its outputs."""
    first, second = met.T
    compared = np.flatnonzero(second != PADDING)
    # Of a pair the second is carried; a candidate without an opponent carries itself.
    carried, place = np.unique(np.where(second == PADDING, first, second), return_inverse=True)
    difference = value[first[compared]] - value[second[compared]]
    matrix = scipy.sparse.vstack(
        [difference, *(sign * value[carried] for sign in signs)], format="csr"
    )
    matrix.eliminate_zeros()
    matrix.sort_indices()
    begin = len(compared)
    entries = [(compared, np.arange(begin), np.ones(begin, dtype=np.int64))]
    for sign in signs:
        columns = begin + place.ravel()
        entries.append((np.arange(len(met)), columns, np.full(len(met), sign)))
        begin += len(carried)
    rows, columns, data = (np.concatenate(part) for part in zip(*entries, strict=True))
    winners = scipy.sparse.csr_array((data, (rows, columns)), shape=(len(met), begin))
    return scipy.sparse.csr_array(matrix), winners
