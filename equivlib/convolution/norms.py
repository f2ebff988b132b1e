"""Certified bounds of the operator norm of a convolution, without its matrix where that is large.

The lower bound is a quotient ``|W x| / |x|``, the upper one comes from the symbol.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, NamedTuple, Unpack

import numpy as np
from numpy.typing import ArrayLike

from .functional import backward, forward
from .geometry import Geometry
from .matrix import conv_matrix, conv_operator
from .options import GeometryOptions, check_names, lists_options
from .patches import Array, as_array
from .symbol import TINY, Line, Search, U, eigenvalue_bounds, line_of, matrix_norms, symbol_of

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: Up to so many rows or columns the norm is taken from the sparse matrix, if that is small enough.
SHORT, SPARSE_BYTES = 2048, 2**28

#: How near both bounds have to be to each other for nothing more to be done.
ENOUGH = 1e-8

#: Products for steps towards a better lower bound beyond the first 15; there are at most 80.
ASCENT = 2 * 10**9

#: If they are farther apart than this, a band matrix is tried, up to so many stored numbers of the
#: Gram matrix and products of its decomposition: some seconds.
APART, GRAM_SIZE, BAND_WORK = 1e-3, 2**24, 6e10


class NormBounds(NamedTuple):
    """Two numbers with the operator norm between them, and where the upper one comes from.

    Attributes
    ----------
    lower, upper : float
        ``lower <= norm <= upper``, whatever was rounded.
    method : str
        ``"matrix"``, ``"circulant"``, ``"symbol"`` (a circulant whose points were too many to
        look at each), one of these with ``" and padding"``, ``"Schur test"``, ``"band"``, or
        ``"zero"``.
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
      the supremum of the symbol, which in turn is never above the tensor bound (Grishina
      et al.), the four reshapes (Singla and Feizi) and the sum over the taps.
    - Circular padding with a stride that divides the input has such a matrix itself.
    - Any other padding is the same without padding after a map that copies each element up to r
      times, of norm :math:`\sqrt r`. For 3 x 3 taps that can be twice the norm.
    - The Schur test, the root of the largest sum of :math:`\|w_a\|` along a row times that along a
      column, is taken where it is smaller: for averages it is the norm, whatever the padding.

    If that leaves more than a thousandth between the bounds, and the Gram matrix of W, its rows in
    a good order, is a band that is narrow enough, the band decides: for some thousands of rows.

    The lattice is searched box by box: between neighbours at distance h along an axis of k taps,
    :math:`\|T\|` is at most the larger of both, plus :math:`((k - 1) h)^2 / 32` times its
    supremum. Its values are certified directly, where Delattre et al. iterate Gram matrices.

    Rounding is covered as follows, in IEEE double precision with sums in any order. The bound t of
    a Hermitian matrix A holds because Cholesky's algorithm runs to the end on t I - A, which proves
    t I - A + E semidefinite with a known bound of E (Rump). Errors of A, of the symbol and of W x
    are bounded by :math:`\gamma_n` times the products of absolute values (Higham) and added.

    References
    ----------
    E. Grishina, M. Gorbunov, M. Rakhuba, "Tight and Efficient Upper Bound on Spectral Norm of
    Convolutional Layers", ECCV 2024.

    S. Singla, S. Feizi, "Fantastic Four: Differentiable Bounds on Singular Values of Convolution
    Layers", ICLR 2021.

    B. Delattre, Q. Barthélemy, A. Allauzen, "Spectral Norm of Convolutional Layers with Circular
    and Zero Paddings", arXiv:2402.00240, 2024.

    S. M. Rump, "Verification of Positive Definiteness", BIT 46, 2006.

    N. J. Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., SIAM, 2002.

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
    if lower and upper > (1 + APART) * lower and _gram_size(geometry) <= GRAM_SIZE:
        upper, method = min((upper, method), (_by_band(scaled, geometry, lower, upper), "band"))
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
        value = math.inf  # the next one towards 0 is the largest number there is
    return math.nextafter(value, towards)


def _quotient(x: Array, weight: Array, geometry: Geometry) -> float:
    """Return a lower bound of ``|W x| / |x|``: each sum is off by its share of ``|W| |x|``."""
    x = (x / np.linalg.norm(x)).reshape(1, *geometry.input_shape)
    terms = math.prod(geometry.weight_shape[1:])
    image = float(np.linalg.norm(forward(x, weight, geometry)))
    off = 8 * (terms + 8) * U * float(np.linalg.norm(forward(abs(x), abs(weight), geometry)))
    roots = 1 - 8 * (sum(geometry.matrix_shape) + 8) * U
    return max((image - off) / float(np.linalg.norm(x)) * roots - math.sqrt(TINY), 0.0)


def _ascend(start: Array, weight: Array, geometry: Geometry) -> Array:
    """Return an x with a larger quotient: the best in the span of x, its gradient, its last step.

    Whatever happens to the numbers here, the quotient of the result is a lower bound.
    """
    layer = conv_operator(weight, geometry.input_shape, **geometry.options)
    noise = np.random.default_rng(0).standard_normal(start.size)
    x = start / np.linalg.norm(start) + 0.3 * noise / np.linalg.norm(noise)
    x = x / np.linalg.norm(x)
    image, square = layer.matvec(x), 0.0
    step: list[tuple[Array, Array]] = []
    for _ in range(min(80, 15 + ASCENT // max(1, geometry.nnz))):
        last, square = square, float(np.linalg.norm(image)) ** 2
        gradient = layer.rmatvec(image) - square * x
        size = float(np.linalg.norm(gradient))
        if size <= 1e-6 * square or square <= last * (1 + 1e-10):
            break
        pairs = [(x, image), (gradient / size, layer.matvec(gradient / size)), *step]
        basis, mixed = np.linalg.qr(np.stack([v for v, _ in pairs], axis=1))
        if abs(np.diagonal(mixed)).min() < 1e-8:  # the step adds no direction
            basis, mixed, pairs = basis[:, :2], mixed[:2, :2], pairs[:2]
        images = np.linalg.solve(mixed.T, np.stack([y for _, y in pairs])).T
        best = np.linalg.svd(images, full_matrices=False)[2][0].conj()
        moved = best * np.r_[0, np.ones(len(best) - 1)]
        step, x, image = [(basis @ moved, images @ moved)], basis @ best, images @ best
    found: Array = x
    return found


class Gram(NamedTuple):
    """A A* for the matrix or its adjoint, whichever A has fewer rows, and how far it is off."""

    short: csr_array
    product: csr_array
    #: Inner products have at most so many terms.
    terms: int
    #: Bound of the norm of the rounding of A itself, because entries that several taps share are
    #: sums, with over a hundred roundings of its norm to spare for a root and what is added to it.
    off: float

    @classmethod
    def of(cls, weight: Array, geometry: Geometry) -> Gram:
        """Build it for a scaled weight."""
        matrix = conv_matrix(weight, geometry.input_shape, **geometry.options)
        short = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.conj().T.tocsr()
        sums = conv_matrix(abs(weight), geometry.input_shape, **geometry.options)
        off = 16 * (math.prod(geometry.kernel_size) + 8) * U * float(np.linalg.norm(sums.data))
        return cls(short, short @ short.conj().T, int(np.diff(short.indptr).max()), off)


def _by_matrix(weight: Array, geometry: Geometry) -> tuple[float, Array, str]:
    """Return an upper bound, an x that almost attains it, and the name of the method."""
    from scipy.linalg import eigh  # an import alone does not pay for it

    gram = Gram.of(weight, geometry)
    dense = gram.product.toarray()
    upper = math.sqrt(float(eigenvalue_bounds(dense, gram.terms))) + gram.off
    vector = eigh(dense, subset_by_index=[len(dense) - 1] * 2)[1][:, 0]
    wide = gram.short.shape[1] == geometry.matrix_shape[1]
    start = gram.short.conj().T @ vector if wide else vector
    return upper, start if np.linalg.norm(start) else np.ones(start.size), "matrix"


def _by_band(weight: Array, geometry: Geometry, lower: float, upper: float) -> float:
    """Return an upper bound near the lower one, or infinity if there is none at this price.

    The squares of the bounds differ by a little more each time, until Cholesky's algorithm, on a
    band as narrow as the order of rows allows, proves the upper one.
    """
    from scipy.linalg import LinAlgError, cholesky_banded
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    gram = Gram.of(weight, geometry)
    order = reverse_cuthill_mckee(gram.product, symmetric_mode=True)
    entries = gram.product[order][:, order].tocoo()
    side, width = len(order), int(abs(entries.row - entries.col).max())
    if side * width**2 > BAND_WORK or side * width * weight.itemsize > SPARSE_BYTES:
        return math.inf
    low = entries.row >= entries.col
    band = np.zeros((width + 1, side), weight.dtype)
    band[(entries.row - entries.col)[low], entries.col[low]] = -entries.data[low]
    diagonal, excess = band[0].copy(), 1e-6
    while (square := lower**2 * (1 + excess)) < upper**2:
        band[0] = diagonal + square
        try:
            cholesky_banded(band, lower=True)
        except LinAlgError:
            excess *= 8
            continue
        rounding = 8 * side * (width + gram.terms + 8) * U
        return math.sqrt(square * (1 + rounding) + TINY) + gram.off
    return math.inf


def _gram_size(geometry: Geometry) -> int:
    """Return about how many numbers the smaller Gram matrix stores, or the matrix if more."""
    rows, columns = geometry.matrix_shape
    shape = geometry.output_shape if rows <= columns else geometry.input_shape
    near = [min(n, 2 * axis.taps - 1) for n, axis in zip(shape[1:], geometry.axes, strict=True)]
    return max(geometry.nnz, min(rows, columns) * shape[0] // geometry.groups * math.prod(near))


def _by_symbol(weight: Array, geometry: Geometry) -> tuple[float, Array, str]:
    """Return an upper bound, an x that almost attains it, and the name of the method."""
    lines = [line_of(axis) for axis in geometry.axes]
    symbol, points = symbol_of(weight, geometry, lines), np.array([line.points for line in lines])
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
    return x.ravel() if np.linalg.norm(x) else np.ones(x.size)


def _schur_test(weight: Array, geometry: Geometry) -> float:
    """Return the root of the largest sum of norms of taps along a row times that along a column."""
    groups, taps = geometry.groups, math.prod(geometry.kernel_size)
    blocks = weight.reshape(groups, -1, weight.shape[1], taps)
    norms = matrix_norms(np.moveaxis(blocks, -1, 1)).reshape(groups, 1, *geometry.kernel_size)
    each = Geometry(norms.shape, (groups, *geometry.spatial_shape), **geometry.options)
    rows = forward(np.ones((1, *each.input_shape)), norms, each).reshape(groups, -1)
    columns = backward(np.ones((1, *each.output_shape)), norms, each).reshape(groups, -1)
    square = float((rows.max(axis=1) * columns.max(axis=1)).max())
    terms = taps * math.prod(geometry.output_shape[1:])
    return math.sqrt(square) * (1 + 8 * (terms + 8) * U)
