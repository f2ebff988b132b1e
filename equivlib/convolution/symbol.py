"""The symbol of a convolution: what it does to each frequency of an input without borders.

A layer with zero padding is a block of a circulant matrix, so of all frequencies only those on a
lattice count. Strides are first taken apart into phases, which become channels, and dilation into
smaller layers without any. All norms here are upper bounds, roundings included.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .axis import Axis, Index
from .geometry import Geometry
from .patches import Array, Selection

Floats: TypeAlias = NDArray[np.float64]

#: Unit roundoff of float64. Weights are scaled to 1: no square that underflows reaches TINY.
U, TINY = 2.0**-53, 2.0**-1000

#: What a sine of frequency 1/2 rises above a chord, for each square of its angle: (1/2)² / 8.
CURVATURE = 1 / 32

#: Points to look at on one lattice, and more if they cost no more than so many products (1,000
#: for a point, and the cube of the side of its matrices). Beyond, boxes stay as they are.
POINTS, WORK = 256, 2.0e8

#: How near to the largest norm on a lattice its bound has to come.
CLOSE = 1e-9


def eigenvalue_bounds(gram: Array, terms: int) -> Floats:
    """Return upper bounds of the largest eigenvalues of A A*, computed as ``gram``.

    Cholesky's algorithm decides; the eigenvalues only say where to try.
    """
    side = gram.shape[-1]
    top = np.maximum(np.linalg.eigvalsh(gram)[..., -1], 0)
    slack = 8 * side * U * top + TINY
    while True:
        try:
            np.linalg.cholesky((top + slack)[..., None, None] * np.eye(side) - gram)
            break
        except np.linalg.LinAlgError:
            slack = 16 * slack
    bounds: Floats = (top + slack) * (1 + 8 * side * (side + terms + 8) * U) + TINY
    return bounds


def matrix_norms(matrices: Array) -> Floats:
    """Return upper bounds of the norms of a stack of matrices."""
    rows, columns = matrices.shape[-2:]
    adjoint = matrices.conj().swapaxes(-1, -2)
    gram = matrices @ adjoint if rows <= columns else adjoint @ matrices
    bounds: Floats = np.sqrt(eigenvalue_bounds(gram, max(rows, columns))) * (1 + 4 * U)
    return bounds


class Line(NamedTuple):
    """What one axis is to the symbol."""

    #: Points along the lattice, and whether one turned by half a step serves too.
    points: int
    turns: bool
    #: Square of the norm of the padding map.
    copies: int
    #: The stride left to take apart, and for each tap ``phases * exponent + phase``.
    phases: int
    offsets: Index
    #: The same for each element of the input, -1 for one to leave out of a start.
    places: Index


def line_of(axis: Axis) -> Line:
    """Return the lattice of one axis, and how its taps and elements become phases."""
    if axis.mode == "circular" and (axis.low or axis.high) and axis.size % axis.stride == 0:
        points, offsets = axis.size // axis.stride, axis.dilation * np.arange(axis.taps)
        copies, places = -(-axis.outputs // points), np.arange(axis.size) + axis.low
        return Line(points, False, copies, axis.stride, offsets, places)
    present, copies = np.arange(axis.size) + axis.low, 1
    if axis.mode != "zeros":
        read = np.unique(np.concatenate([np.r_[places] for places in axis.tap_slices()]))
        shown = axis.padded()
        present, copies = np.arange(len(shown)), int(np.bincount(shown[read]).max())
    common = math.gcd(axis.stride, axis.dilation)
    stride, dilation = axis.stride // common, axis.dilation // common
    points, places = 1, np.full(axis.size, -1)
    for residue in range(min(dilation, axis.outputs)):  # outputs that share their elements
        place, rest = np.divmod(present - common * stride * residue, common * dilation)
        met = (rest == 0) & (place >= 0) & (place % stride < axis.taps)
        place, elements = place[met], present[met] - axis.low
        outputs = len(range(residue, axis.outputs, dilation))
        needed = _circle(place // stride, (axis.taps - 1) // stride, outputs)
        inside = (elements >= 0) & (elements < axis.size)
        if inside.any() and (needed > points or (places < 0).all()):
            places = np.full(axis.size, -1)
            places[elements[inside]] = place[inside]
        points = max(points, needed)
    return Line(points, True, copies, stride, np.arange(axis.taps), places)


def _circle(elements: Index, reach: int, outputs: int) -> int:
    """Return the size of a circle on which no output meets an element that it does not read.

    Output o reads the places o to o + reach, of which the ascending ``elements`` are there.
    """
    if not elements.size:
        return 1
    first, last = max(0, elements[0] - reach), min(outputs - 1, elements[-1])
    low, high = max(elements[0], first), min(elements[-1], last + reach)
    return int(1 + max(last + reach - low, high - first, high - low, last - first))


@dataclass
class Symbol:
    r"""The matrices :math:`T(\theta) = \sum_b t_b e^{i \theta \cdot b}` of all groups."""

    #: b, ``(terms, axes)``, and t, ``(terms, groups, rows, columns)``.
    exponents: Index
    terms: Array

    @property
    def widths(self) -> Index:
        """Largest less smallest exponent along each axis."""
        widths: Index = np.ptp(self.exponents, axis=0)
        return widths

    def at(self, halves: Index, points: Index) -> Array:
        """Return the matrices at ``pi * halves / points``, the angles reduced before rounding."""
        angles = halves[:, None] * self.exponents % (2 * points) * (np.pi / points)
        waves = np.prod(np.cos(angles) + 1j * np.sin(angles), axis=-1)
        values: Array = waves @ self.terms.reshape(len(self.terms), -1)
        return values.reshape(len(halves), *self.terms.shape[1:])

    def norms(self, halves: Index, points: Index) -> Floats:
        """Return upper bounds of the norms there, each the largest of all groups."""
        total = np.linalg.norm(abs(self.terms).sum(axis=0), axis=(1, 2)).max()
        off = 64 * (sum(self.exponents.shape) + 8) * U * float(total)
        step = max(1, 2**22 // self.terms.size)
        parts = [halves[start : start + step] for start in range(0, len(halves), step)]
        bounds: Floats = np.concatenate(
            [matrix_norms(self.at(part, points)).max(axis=1) for part in parts]
        )
        return bounds + off


def symbol_of(weight: Array, geometry: Geometry, lines: Sequence[Line]) -> Symbol:
    """Return the symbol of a layer whose phases have become channels."""
    grouped = weight.reshape(geometry.groups, -1, *weight.shape[1:])
    if geometry.flip:
        grouped = np.flip(grouped, axis=tuple(range(3, grouped.ndim)))
    empty = np.zeros((*grouped.shape[:3], *(line.phases for line in lines)), weight.dtype)
    terms: dict[tuple[int, ...], Array] = {}
    for tap in np.ndindex(*geometry.kernel_size):
        offsets = [int(line.offsets[a]) for a, line in zip(tap, lines, strict=True)]
        split = [divmod(o, line.phases) for o, line in zip(offsets, lines, strict=True)]
        blocks: Selection = (*[slice(None)] * 3, *(phase for _, phase in split))
        term = terms.setdefault(tuple(b for b, _ in split), empty.copy())
        term[blocks] = grouped[:, :, :, *tap]
    stacked = np.stack(list(terms.values()))
    return Symbol(np.array(list(terms)), stacked.reshape(*stacked.shape[:3], -1))


@dataclass
class Search:
    """The largest norm of a symbol at the points of a lattice, turned by half a step or not."""

    symbol: Symbol
    points: Index
    turn: Index
    known: dict[int, float] = field(default_factory=dict)
    best: float = -1.0
    #: Where that is, as :meth:`Symbol.at` takes it.
    where: Index = field(default_factory=lambda: np.zeros(0, int))

    def largest(self, stop: float) -> tuple[float, bool]:
        """Return an upper bound of the norms on the lattice, and whether all were bounded well.

        Infinity as soon as one is as large as ``stop``.
        """
        side, groups = min(self.symbol.terms.shape[2:]), self.symbol.terms.shape[1]
        boxes, supremum = self.boxes(), 0.0
        while True:
            heights = self.heights(boxes)
            if self.best >= stop:
                return math.inf, True
            sides = boxes[..., 1] - boxes[..., 0]
            angles = 2 * math.pi * sides * self.symbol.widths / self.points
            bends = np.where(sides > 1, CURVATURE * angles**2, 0).sum(axis=1)
            if not supremum:  # of the first boxes, which are all there are
                supremum = self.best / (1 - float(bends.max())) * (1 + CLOSE)
            bounds, level = heights + supremum * bends, self.best * (1 + CLOSE)
            left = (bends > 0) & (bounds > level)
            if not left.any():
                return level, True
            if len(self.known) > POINTS + WORK / groups / (side**3 + 1000):
                return float(bounds[left].max()), False
            boxes = _halved(boxes[left])

    def boxes(self) -> Index:
        """Return boxes ``(count, axes, 2)`` that cover the lattice, with its points as corners.

        They are so small that between corners the norm rises by at most half of its supremum. At
        opposite angles a real kernel has one norm, so half of the first axis is enough.
        """
        lows, highs = np.zeros_like(self.points), self.points.copy()
        if not np.iscomplexobj(self.symbol.terms):
            lows[0], highs[0] = -self.turn[0], self.points[0] // 2
        counts = np.ceil(math.pi * math.sqrt(len(self.points)) * self.symbol.widths) + 1
        sides = []
        for low, high, count in zip(lows, highs, counts, strict=True):
            edges = np.unique(np.linspace(low, high, int(count) + 1).astype(int)).tolist()
            sides.append(list(pairwise(edges)) or [(low, low)])
        return np.array(list(product(*sides)))

    def heights(self, boxes: Index) -> Floats:
        """Return the largest norm at a corner of each box."""
        axes = np.arange(len(self.points))
        corners = boxes[:, axes, np.array(list(product((0, 1), repeat=len(axes))))] % self.points
        keys = np.ravel_multi_index(tuple(np.moveaxis(corners, -1, 0)), tuple(self.points))
        new = np.array([key for key in np.unique(keys).tolist() if key not in self.known], int)
        if new.size:
            halves = 2 * np.stack(np.unravel_index(new, tuple(self.points)), axis=1) + self.turn
            values = self.symbol.norms(halves, self.points)
            self.known.update(zip(new.tolist(), values.tolist(), strict=True))
            if values.max() > self.best:
                self.best, self.where = float(values.max()), halves[values.argmax()]
        return np.array([max(self.known[key] for key in row) for row in keys.tolist()])


def _halved(boxes: Index) -> Index:
    """Return the boxes cut in two along each axis on which they hold points inside."""
    for axis in range(boxes.shape[1]):
        middle = boxes[:, axis].sum(axis=1) // 2
        wide = boxes[:, axis, 1] - boxes[:, axis, 0] > 1
        lower, upper = boxes.copy(), boxes[wide].copy()
        lower[wide, axis, 1] = upper[:, axis, 0] = middle[wide]
        boxes = np.concatenate([lower, upper])
    return boxes
