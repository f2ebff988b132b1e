"""Certified bounds of the operator norm of a convolution, without its matrix where that is large.

The lower bound is a quotient ``|W x| / |x|``. The upper one comes from the *symbol*: on an input
without borders, a layer multiplies each frequency by a small matrix. A layer with zero padding is
a block of a circulant matrix, of which only the frequencies on a lattice count. Strides are first
taken apart into phases, which become channels, and dilation into smaller layers without any.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from typing import NamedTuple, TypeAlias, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .axis import Axis, Index
from .functional import backward, forward
from .geometry import Geometry
from .matrix import conv_matrix, conv_operator
from .options import GeometryOptions, check_names, lists_options
from .patches import Array, Selection, as_array

Floats: TypeAlias = NDArray[np.float64]

#: Up to so many rows or columns the norm is taken from the sparse matrix, if that is small enough.
SHORT, SPARSE_BYTES = 2048, 2**28

#: Unit roundoff of float64. Weights are scaled to 1: no square that underflows reaches TINY.
U, TINY = 2.0**-53, 2.0**-1000

#: What a sine of frequency 1/2 rises above a chord, for each square of its angle: (1/2)² / 8.
CURVATURE = 1 / 32

#: Points of one lattice, and products there (1,000 more for each): beyond them, boxes stay as they
#: are.
POINTS, WORK = 256, 2.0e8

#: How near to the largest value on a lattice its bound has to come, and to each other both bounds
#: for nothing more to be done.
CLOSE, ENOUGH = 1e-9, 1e-8


class NormBounds(NamedTuple):
    """Two numbers with the operator norm between them, and where the upper one comes from.

    Attributes
    ----------
    lower, upper : float
        ``lower <= norm <= upper``, whatever was rounded.
    method : str
        ``"matrix"``, ``"circulant"``, ``"symbol"`` (a circulant whose points were too many to
        look at each), one of these with ``" and padding"``, ``"Schur test"``, or ``"zero"``.
    """

    lower: float
    upper: float
    method: str


@lists_options
def norm_bounds(
    weight: ArrayLike, input_shape: Sequence[int], **options: Unpack[GeometryOptions]
) -> NormBounds:
    r"""Return a certified lower and upper bound of the largest singular value.

    .. math:: \text{lower} \le \|W\|_2 = \max_{x \ne 0} \|W x\|_2 / \|x\|_2 \le \text{upper}

    Parameters
    ----------
    weight : array_like
        As for :func:`~equivlib.conv_matrix`; real or complex numbers.
    input_shape : tuple of int
    **options : GeometryOptions

    Returns
    -------
    NormBounds
        ``lower``, ``upper`` and ``method``.

    Raises
    ------
    ValueError
        If ``weight`` holds objects or numbers that are not finite in double precision, the shapes
        do not fit each other, or an option is unknown or out of range.

    See Also
    --------
    operator_norm : an estimate from below.

    Notes
    -----
    Up to 2,048 rows or columns (and 256 MiB of sparse matrix) the upper bound comes from the
    matrix and exceeds the norm by rounding alone. Beyond that it comes from the symbol

    .. math:: T(\theta) = \sum_a w_a \, e^{i \theta \cdot a}

    - With zero padding W is a block of a circulant matrix of M points along each axis, also of
      one whose entries that wrap around are negated. So :math:`\|W\|` is at most the largest
      :math:`\|T(\theta)\|` for :math:`\theta = 2 \pi j / M`, and for :math:`2 \pi (j + 1/2) / M`.
      The smallest over all choices, along each axis one of the two, is taken. It is never above
      the supremum of the symbol, which in turn is never above the tensor bound [1]_, the four
      reshapes and the sum over the taps.
    - Circular padding with a stride that divides the input has such a matrix itself.
    - Any other padding is the same without padding after a map that copies each element up to r
      times, of norm :math:`\sqrt r`; or the Schur test, the root of the largest sum of
      :math:`\|w_a\|` along a row times that along a column, where that is smaller. These bounds
      can be far above the norm.

    The lattice is searched box by box: between neighbours at distance h along an axis of k taps,
    :math:`\|T\|` is at most the larger of both, plus :math:`((k - 1) h)^2 / 32` times its
    supremum. The layer of [2]_ is bounded by the same symbol with a cruder factor.

    Rounding is covered as follows, in IEEE double precision with sums in any order. The bound t of
    a Hermitian matrix A holds because Cholesky's algorithm runs to the end on t I - A, which proves
    t I - A + E semidefinite with a known bound of E [3]_. Errors of A, of the symbol and of W x are
    bounded by :math:`\gamma_n` times the products of absolute values [4]_ and added.

    References
    ----------
    .. [1] E. Grishina, M. Gorbunov, M. Rakhuba, "Tight and Efficient Upper Bound on Spectral Norm
       of Convolutional Layers", ECCV 2024.
    .. [2] B. Delattre, Q. Barthélemy, A. Allauzen, "Spectral Norm of Convolutional Layers with
       Circular and Zero Paddings", arXiv:2402.00240, 2024.
    .. [3] S. M. Rump, "Verification of Positive Definiteness", BIT 46, 2006.
    .. [4] N. J. Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., SIAM, 2002.

    Examples
    --------
    Sums of two neighbours among n numbers have the norm :math:`2 \cos(\pi / 2n)`::

        1 1 .
        . 1 1    has the norm 2 cos(pi / 6) = sqrt(3)

    >>> lower, upper, method = norm_bounds([[[1, 1]]], (1, 3))
    >>> bool(lower <= np.sqrt(3) <= upper), bool(upper - lower < 1e-12)
    (True, True)

    So it is for a row too long for its matrix, and along both axes of an image:

    >>> lower, upper, method = norm_bounds([[[[1, 1], [1, 1]]]], (1, 64, 64))
    >>> norm = (2 * np.cos(np.pi / 128)) ** 2
    >>> bool(lower <= norm <= upper), bool(upper - lower < 1e-6), method
    (True, True, 'circulant')
    """
    check_names(options, "norm_bounds")
    array = as_array("weight", weight)
    geometry = Geometry(array.shape, input_shape, **options)
    scaled, exponent = _scaled(array)
    if not scaled.any():
        return NormBounds(0.0, 0.0, "zero")
    short = min(geometry.matrix_shape) <= SHORT
    if short and geometry.nbytes(scaled.dtype) <= SPARSE_BYTES:
        upper, start, method = _by_matrix(scaled, geometry)
    else:
        upper, start, method = _by_symbol(scaled, geometry)
    lower = _quotient(start, scaled, geometry)
    if lower < (1 - ENOUGH) * upper:
        lower = max(lower, _quotient(_ascend(start, scaled, geometry), scaled, geometry))
    return NormBounds(_unscaled(lower, exponent, 0.0), _unscaled(upper, exponent, math.inf), method)


def _scaled(weight: Array) -> tuple[Array, int]:
    """Return the weight divided by a power of two, so that its largest part is about 1."""
    if weight.dtype == object:
        raise ValueError("weight (of dtype object) must hold real or complex numbers")
    with np.errstate(over="ignore"):
        array = weight.astype(np.complex128 if weight.dtype.kind == "c" else np.float64, order="C")
    parts = array.view(np.float64)
    if not np.isfinite(parts).all():
        raise ValueError("weight must hold numbers that are finite in double precision")
    exponent = int(np.frexp(abs(parts).max())[1])
    scaled: Array = np.ldexp(parts, -exponent).view(array.dtype)
    return scaled, exponent


def _unscaled(bound: float, exponent: int, towards: float) -> float:
    """Return a bound of the weight as it was given, rounded towards 0 or infinity."""
    try:
        value = math.ldexp(bound, exponent)
    except OverflowError:
        value = math.inf if towards else sys.float_info.max
    return math.nextafter(value, towards)


def _quotient(x: Array, weight: Array, geometry: Geometry) -> float:
    """Return a lower bound of ``|W x| / |x|``: each sum is off by its share of ``|W| |x|``."""
    x = (x / np.linalg.norm(x)).reshape(1, *geometry.input_shape)
    terms = math.prod(geometry.weight_shape[1:])
    image = float(np.linalg.norm(forward(x, weight, geometry)))
    off = 8 * (terms + 8) * U * float(np.linalg.norm(forward(abs(x), abs(weight), geometry)))
    roots = 1 - 8 * (sum(geometry.matrix_shape) + 8) * U
    return max((image - off) / float(np.linalg.norm(x)) * roots - math.sqrt(TINY), 0.0)


def _ascend(start: Array, weight: Array, geometry: Geometry, rounds: int = 80) -> Array:
    """Return an x with a larger quotient: the best in the span of x, its gradient, its last step.

    Whatever happens to the numbers here, the quotient of the result is a lower bound.
    """
    layer = conv_operator(weight, geometry.input_shape, **geometry.options)
    noise = np.random.default_rng(0).standard_normal(start.size)
    x = start / np.linalg.norm(start) + 0.3 * noise / np.linalg.norm(noise)
    x = x / np.linalg.norm(x)
    image, square = layer.matvec(x), 0.0
    step: list[tuple[Array, Array]] = []
    for _ in range(rounds):
        last, square = square, float(np.linalg.norm(image)) ** 2
        gradient = layer.rmatvec(image) - square * x
        size = float(np.linalg.norm(gradient))
        if size <= 1e-6 * square or square <= last * (1 + 1e-10):
            break
        pairs = [(x, image), (gradient / size, layer.matvec(gradient / size)), *step]
        basis, mixed = np.linalg.qr(np.stack([v for v, _ in pairs], axis=1))
        if abs(np.diagonal(mixed)).min() < 1e-8:  # the step is the gradient once more
            basis, mixed, pairs = basis[:, :2], mixed[:2, :2], pairs[:2]
        images = np.linalg.solve(mixed.T, np.stack([y for _, y in pairs])).T
        best = np.linalg.svd(images, full_matrices=False)[2][0].conj()
        moved = best * np.r_[0, np.ones(len(best) - 1)]
        if not moved.any():
            break
        moved /= np.linalg.norm(moved)
        step, x, image = [(basis @ moved, images @ moved)], basis @ best, images @ best
    found: Array = x
    return found


def _certified(gram: Array, terms: int) -> Floats:
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


def _norms(matrices: Array) -> Floats:
    """Return upper bounds of the norms of a stack of matrices."""
    rows, columns = matrices.shape[-2:]
    adjoint = matrices.conj().swapaxes(-1, -2)
    gram = matrices @ adjoint if rows <= columns else adjoint @ matrices
    bounds: Floats = np.sqrt(_certified(gram, max(rows, columns))) * (1 + 4 * U)
    return bounds


def _by_matrix(weight: Array, geometry: Geometry) -> tuple[float, Array, str]:
    """Return an upper bound, an x that almost attains it, and the name of the method."""
    from scipy.linalg import eigh  # an import alone does not pay for it

    matrix = conv_matrix(weight, geometry.input_shape, **geometry.options)
    short = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.conj().T.tocsr()
    gram = (short @ short.conj().T).toarray()
    upper = math.sqrt(float(_certified(gram, int(np.diff(short.indptr).max()))))
    # An entry that several taps share is a rounded sum.
    sums = conv_matrix(abs(weight), geometry.input_shape, **geometry.options)
    upper += 16 * (math.prod(geometry.kernel_size) + 8) * U * float(np.linalg.norm(sums.data))
    vector = eigh(gram, subset_by_index=[len(gram) - 1] * 2)[1][:, 0]
    start = vector if short is not matrix else matrix.conj().T @ vector
    return upper * (1 + 4 * U), start if start.any() else np.ones(matrix.shape[1]), "matrix"


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


def _line(axis: Axis) -> Line:
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
        met = (rest == 0) & (place % stride < axis.taps)
        place, elements = place[met], present[met] - axis.low
        outputs = len(range(residue, axis.outputs, dilation))
        needed = _circle(place // stride, (axis.taps - 1) // stride, outputs)
        inside = (elements >= 0) & (elements < axis.size)
        if inside.any() and (needed > points or (places < 0).all()):
            places = np.full(axis.size, -1)
            places[elements[inside]] = place[inside] - stride * np.min(place // stride, initial=0)
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
    return max(1, int(1 + max(last + reach - low, high - first, high - low, last - first)))


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
            [_norms(self.at(part, points)).max(axis=1) for part in parts]
        )
        return bounds + off


def _symbol(weight: Array, geometry: Geometry, lines: Sequence[Line]) -> Symbol:
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
            lows[0], highs[0] = -self.turn[0], (self.points[0] + 1) // 2
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


def _by_symbol(weight: Array, geometry: Geometry) -> tuple[float, Array, str]:
    """Return an upper bound, an x that almost attains it, and the name of the method."""
    lines = [_line(axis) for axis in geometry.axes]
    symbol, points = _symbol(weight, geometry, lines), np.array([line.points for line in lines])
    upper, method, searches = math.inf, "", []
    for turn in product(*[(0, 1) if line.turns else (0,) for line in lines]):
        search = Search(symbol, points, np.array(turn))
        value, close = search.largest(stop=upper)
        searches.append(search)
        if value < upper:
            upper, method = value, "circulant" if close else "symbol"
    start = _start(max(searches, key=lambda search: search.best), lines, geometry)
    copies = math.prod(line.copies for line in lines)
    if copies > 1:
        upper, method = upper * math.sqrt(copies) * (1 + 4 * U), f"{method} and padding"
    upper, method = min((upper, method), (_schur_test(weight, geometry), "Schur test"))
    return upper, start, method


def _start(search: Search, lines: Sequence[Line], geometry: Geometry) -> Array:
    """Return the wave that the symbol lengthens most, and that fades out towards a border."""
    matrices = search.symbol.at(search.where[None], search.points)[0]
    group = int(np.linalg.norm(matrices, 2, axis=(1, 2)).argmax())
    channels, x = geometry.weight_shape[1], np.zeros(geometry.input_shape, complex)
    vector = np.linalg.svd(matrices[group])[2][0].conj()
    vector = vector.reshape(channels, *(line.phases for line in lines))
    wave = vector[:, *np.ix_(*(line.places % line.phases for line in lines))]
    for number, (line, half) in enumerate(zip(lines, search.where, strict=True)):
        factors = np.exp(1j * np.pi * half / line.points * (line.places // line.phases))
        if line.turns:
            factors *= np.sin(np.pi * np.arange(1, factors.size + 1) / (factors.size + 1))
        factors[line.places < 0] = 0
        wave = wave * factors.reshape(-1, *(1,) * (len(lines) - number - 1))
    x[group * channels : (group + 1) * channels] = wave
    if not np.iscomplexobj(search.symbol.terms):
        x = max(x.real, x.imag, key=np.linalg.norm)
    return x.ravel() if x.any() else np.ones(x.size)


def _schur_test(weight: Array, geometry: Geometry) -> float:
    """Return the root of the largest sum of norms of taps along a row times that along a column."""
    groups, taps = geometry.groups, math.prod(geometry.kernel_size)
    blocks = weight.reshape(groups, -1, weight.shape[1], taps)
    norms = _norms(np.moveaxis(blocks, -1, 1)).reshape(groups, 1, *geometry.kernel_size)
    each = Geometry(norms.shape, (groups, *geometry.spatial_shape), **geometry.options)
    rows = forward(np.ones((1, *each.input_shape)), norms, each).reshape(groups, -1)
    columns = backward(np.ones((1, *each.output_shape)), norms, each).reshape(groups, -1)
    square = float((rows.max(axis=1) * columns.max(axis=1)).max())
    terms = taps * math.prod(geometry.output_shape[1:])
    return math.sqrt(square) * (1 + 8 * (terms + sum(weight.shape) + 8) * U) + TINY
