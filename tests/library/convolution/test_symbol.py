"""The symbol against waves that are sent through the layer, its lattice against every point."""

from fractions import Fraction
from itertools import product
from math import gcd

import numpy as np
import pytest

from equivlib import Geometry, conv
from equivlib.convolution import symbol
from equivlib.convolution.axis import Axis
from equivlib.convolution.symbol import U

# --- constants


def test_the_constants_are_those_of_double_precision():
    assert np.finfo(float).eps / 2 == U
    smallest = np.finfo(float).smallest_normal  # what underflows is off by less
    assert 2.0**20 * smallest < symbol.TINY < 1e-200


def test_the_curvature_is_what_a_sine_of_frequency_one_half_rises_above_its_chord():
    angle = 1e-3
    rise = 1 - np.cos(angle / 4)  # from -angle / 2 to angle / 2, at half the frequency
    assert pytest.approx(rise / angle**2, rel=1e-4) == symbol.CURVATURE


# --- bounds of norms, roundings included


@pytest.mark.parametrize("side", [1, 2, 9, 40])
@pytest.mark.parametrize("terms", [1, 3, 50, 2000])
def test_the_largest_rounding_of_a_gram_matrix_and_of_cholesky_is_covered(side, terms):
    # If `terms` I is what came out, each exact entry may be larger by the rounding of a sum of so
    # many ones, 3 `terms` U if they are complex. Cholesky's algorithm is off by no more than
    # 3 (side + 2) U times the trace.
    (bound,) = symbol.eigenvalue_bounds(terms * np.eye(side)[None], terms)
    assert bound >= terms * (1 + 3 * side * (terms + side + 2) * U)
    assert bound <= terms * (1 + 100 * side * (side + terms + 8) * U)


def test_a_zero_matrix_has_a_norm_almost_zero():
    assert symbol.TINY <= symbol.eigenvalue_bounds(np.zeros((1, 3, 3)), 3) < 1e-200


@pytest.mark.parametrize("scale", [1.0, 2.0**-30])
def test_whatever_the_eigenvalues_are_said_to_be_cholesky_decides(scale, monkeypatch):
    monkeypatch.setattr(np.linalg, "eigvalsh", lambda gram: np.full(gram.shape[:-1], 0.5 * scale))
    gram = scale * np.diag([1.0, 0.25])[None]
    (bound,) = symbol.eigenvalue_bounds(gram, 1)
    assert scale <= bound <= 16 * scale


def test_the_norms_of_a_stack_are_bounded_closely():
    rng = np.random.default_rng(0)
    for shape in ((4, 3, 5), (4, 5, 3), (2, 3, 4, 4)):
        stack = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
        norms, bounds = np.linalg.norm(stack, 2, axis=(-2, -1)), symbol.matrix_norms(stack)
        assert bounds.shape == shape[:-2]
        assert (norms <= bounds).all()
        assert (bounds <= norms * (1 + 1e-12)).all()


@pytest.mark.parametrize("shape", [(1, 3, 7), (1, 7, 3), (1, 4, 4)])
def test_a_norm_comes_from_the_smaller_gram_matrix_whose_sums_are_as_long_as_the_other_side(
    shape, monkeypatch
):
    seen = []

    def spy(gram, terms):
        seen.append((gram.shape[-1], terms))
        return np.ones(len(gram))

    monkeypatch.setattr(symbol, "eigenvalue_bounds", spy)
    symbol.matrix_norms(np.ones(shape))
    assert seen == [(min(shape[1:]), max(shape[1:]))]


def test_no_root_is_rounded_below_the_square(monkeypatch):
    squares = np.random.default_rng(1).random(200)
    monkeypatch.setattr(symbol, "eigenvalue_bounds", lambda *_: squares)
    roots = symbol.matrix_norms(np.ones((200, 1, 1)))
    assert all(
        Fraction(r) ** 2 >= Fraction(s)
        for r, s in zip(roots.tolist(), squares.tolist(), strict=True)
    )
    assert (roots <= np.sqrt(squares) * (1 + 1e-14)).all()


@pytest.mark.parametrize("rows", [1, 20_000])
def test_the_largest_rounding_of_a_symbol_is_covered(rows, monkeypatch):
    # At angle 0 the symbol is the sum of its terms. A sum of n complex products is off by at most
    # 3 n U times the sum of absolute values, each wave by 24 U for each axis, its angle above all.
    terms = np.ones((400, 2, rows, 1))
    terms[:, 0] /= 1024  # a group that is small must not be the one that counts
    whole, at = symbol.Symbol(np.arange(400)[:, None], terms), symbol.Symbol.at
    worst = 1 - (3 * 400 + 24) * U
    monkeypatch.setattr(symbol.Symbol, "at", lambda *of: worst * at(*of))
    monkeypatch.setattr(symbol, "matrix_norms", lambda m: np.linalg.norm(m, axis=(2, 3)))
    (bound,) = whole.norms(np.array([[0]]), np.array([5]))
    assert bound >= 400 * np.sqrt(rows) * (1 + 4 * U)  # of the root and the product here
    assert bound <= 400 * np.sqrt(rows) * (1 + 1e-10)


def test_a_symbol_of_one_term_allows_for_the_rounding_of_its_wave(monkeypatch):
    # One term along one axis: the angle, its cosine and its sine, and the product.
    at = symbol.Symbol.at
    monkeypatch.setattr(symbol.Symbol, "at", lambda *of: (1 - 100 * U) * at(*of))
    one = symbol.Symbol(np.array([[1]]), np.ones((1, 1, 1, 1)))
    assert one.norms(np.array([[1]]), np.array([3])) >= 1


def test_a_symbol_of_more_than_four_million_numbers_is_bounded():
    terms = np.full((1, 1, 1, 2**22 + 1), 2.0**-11)
    (bound,) = symbol.Symbol(np.array([[0]]), terms).norms(np.array([[0]]), np.array([1]))
    assert 1 <= bound <= 1 + 1e-6


# --- the symbol is what the layer does to waves


def wave(lines, halves, vector):
    """Return an input: the entry of a vector for each channel and phase, times a wave."""
    x = vector[:, :, *np.ix_(*(line.places % line.phases for line in lines))]
    for number, (line, half) in enumerate(zip(lines, halves, strict=True)):
        factors = np.exp(1j * np.pi * half / line.points * (line.places // line.phases))
        factors[line.places < 0] = np.nan  # no output that is looked at reads it
        x = x * factors.reshape(-1, *(1,) * (len(lines) - number - 1))
    return x.reshape(-1, *x.shape[2:])


def inside(axis, line):
    """Return the outputs that read the wave and no padding but that of a whole circle."""
    first = axis.outputs
    places = axis.stride * np.arange(first)[:, None] + np.array(axis.offsets()) - axis.low
    if axis.mode == "circular" and not line.turns:
        places, first = places % axis.size, line.points
    read = (places >= 0) & (places < axis.size)
    read &= line.places[places.clip(0, axis.size - 1)] >= 0
    return np.flatnonzero(read.all(axis=1)[:first])


def long_layers(count):
    """Yield layers in one or two dimensions that are long enough to have an inside."""
    rng = np.random.default_rng(3)
    for _ in range(count):
        ndim = int(rng.integers(1, 3))
        kernel = rng.integers(1, 5, ndim)
        groups, outputs, channels = map(int, rng.integers(1, 3, 3))
        options = {
            "stride": tuple(map(int, rng.integers(1, 4, ndim))),
            "dilation": tuple(map(int, rng.integers(1, 4, ndim))),
            "padding": [tuple(map(int, pair)) for pair in rng.integers(0, 4, (ndim, 2))],
            "padding_mode": str(rng.choice(["zeros", "circular", "replicate"])),
            "groups": groups,
            "flip": bool(rng.integers(2)),
        }
        size = (groups * outputs, channels, *kernel)
        weight = rng.standard_normal(size) + 1j * rng.standard_normal(size)
        yield weight, (groups * channels, *map(int, 12 * rng.integers(1, 3, ndim))), options


def test_a_wave_becomes_a_wave_as_the_symbol_says():
    rng, looked_at = np.random.default_rng(4), 0
    for weight, shape, options in long_layers(150):
        geometry = Geometry(weight.shape, shape, **options)
        lines = [symbol.line_of(axis) for axis in geometry.axes]
        points = np.array([line.points for line in lines])
        turns = [line.turns and rng.integers(2) for line in lines]
        halves = 2 * rng.integers(points) + np.array(turns, int)
        vector = rng.standard_normal((geometry.groups, weight.shape[1], *(n.phases for n in lines)))
        matrices = symbol.symbol_of(weight, geometry, lines).at(halves[None], points)[0]
        told = matrices @ vector.reshape(geometry.groups, -1, 1)

        y = conv(wave(lines, halves, vector), weight, **options)
        y = y.reshape(geometry.groups, -1, *y.shape[1:])
        places = list(map(inside, geometry.axes, lines))
        y = y[:, :, *np.ix_(*places)].reshape(*told.shape[:2], -1)
        np.testing.assert_allclose(abs(y), np.broadcast_to(abs(told), y.shape), rtol=1e-11)
        looked_at += y[0, 0].size
    assert looked_at > 3000


# --- lattices


def some_axes(count):
    rng = np.random.default_rng(5)
    while count:
        size, taps, low, high = map(int, rng.integers((1, 1, 0, 0), (12, 6, 7, 7)))
        stride, dilation = map(int, rng.integers(1, 5, 2))
        mode = str(rng.choice(["zeros", "zeros", "reflect"]))
        axis = Axis(size, taps, stride, dilation, low, high, mode, flip=False)
        if size + low + high >= axis.extent:
            count -= 1
            yield axis


def meeting_strangers(axis, points):
    """Return the residues of which, on a circle, an output meets an element that it does not read.

    Output ``residue + dilation * o`` reads the places ``stride * o + a`` of a smaller layer
    without dilation. What reads nothing, and what is not read, is left out.
    """
    common = gcd(axis.stride, axis.dilation)
    stride, dilation = axis.stride // common, axis.dilation // common
    present = range(axis.low, axis.low + axis.size)
    if axis.mode != "zeros":  # each place of the padding is an element of its own
        present = range(axis.low + axis.size + axis.high)
    found = set()
    for residue in range(min(dilation, axis.outputs)):
        split = [divmod(p - axis.stride * residue, axis.dilation) for p in present]
        outputs = range(len(range(residue, axis.outputs, dilation)))
        places = [place for place, rest in split if not rest]
        read = {(o, p) for o, p in product(outputs, places) if 0 <= p - stride * o < axis.taps}
        for o, p in product({o for o, _ in read}, {p for _, p in read}):
            met = sum((p - stride * o - a) % (stride * points) == 0 for a in range(axis.taps))
            if met != ((o, p) in read):
                found.add(residue)
    return found


def test_no_output_meets_an_element_that_it_does_not_read_and_no_shorter_circle_would_do():
    longer = 0
    for axis in some_axes(1500):
        points = symbol.line_of(axis).points
        assert not meeting_strangers(axis, points)
        if points > 1 and not meeting_strangers(axis, points - 1):
            longer += 1
            # Of a block of places that is read in part, the circle counts the whole.
            assert axis.taps % (axis.stride // gcd(axis.stride, axis.dilation))
    assert 0 < longer < 100


def test_every_element_of_the_longest_circle_has_a_place_of_its_own():
    for axis in some_axes(800):
        line = symbol.line_of(axis)
        there = np.flatnonzero(line.places >= 0)
        assert len(np.unique(line.places[there])) == len(there)
        read = axis.stride * np.arange(axis.outputs)[:, None] + np.array(axis.offsets()) - axis.low
        inside = (read >= 0) & (read < axis.size)
        placed = (inside & (line.places[read.clip(0, axis.size - 1)] >= 0)).sum(axis=1)
        assert (placed[placed > 0] == inside.sum(axis=1)[placed > 0]).all()
        assert placed.any() == inside.any()
        common = gcd(axis.stride, axis.dilation)
        if line.points > 1 and axis.mode == "zeros" and axis.taps % (axis.stride // common) == 0:
            place = int(there[0]) + axis.low
            (residue,) = {
                r
                for r in range(axis.dilation // common)
                if (place - axis.stride * r) % axis.dilation == 0
            }
            assert residue in meeting_strangers(axis, line.points - 1)


@pytest.mark.parametrize("padding", [(2, 0), (0, 2), (1, 3)])
@pytest.mark.parametrize("dilation", [1, 2])
def test_a_circle_is_its_own_lattice_whichever_side_is_padded(padding, dilation):
    axis = Axis(12, 2, 2, dilation, *padding, "circular", flip=False)
    line = symbol.line_of(axis)
    assert (line.points, line.turns, line.phases) == (6, False, 2)
    assert line.copies == -(-axis.outputs // 6)
    assert line.offsets.tolist() == [0, dilation]


def test_a_copied_element_counts_as_often_as_it_is_read():
    axis = Axis(4, 2, 1, 1, 2, 1, "replicate", flip=False)  # 0 0 0 1 2 3 3
    assert symbol.line_of(axis).copies == 3
    assert symbol.line_of(Axis(4, 2, 4, 1, 2, 0, "replicate", flip=False)).copies == 2
    assert symbol.line_of(Axis(4, 2, 1, 1, 2, 1, "zeros", flip=False)).copies == 1


# --- the search


def random_searches(count):
    rng = np.random.default_rng(6)
    for _ in range(count):
        axes = int(rng.integers(1, 4))
        terms, groups, rows, columns = map(int, rng.integers(1, (6, 3, 4, 4)))
        exponents = rng.integers(0, 5, (terms, axes))
        values = 20 * rng.standard_normal((terms, groups, rows, columns))
        if rng.integers(2):
            values = values + 20j * rng.standard_normal(values.shape)
        points = rng.integers(1, {1: 300, 2: 30, 3: 9}[axes], axes)
        turn = rng.integers(0, 2, axes)
        yield symbol.Search(symbol.Symbol(exponents, rng.choice([1, 1e-3]) * values), points, turn)


def every_norm(search):
    """Return the norm at each point of the lattice, by a sum of waves."""
    of = search.symbol
    where = np.array(list(np.ndindex(*search.points))) + search.turn / 2
    waves = np.exp(2j * np.pi * (where / search.points) @ of.exponents.T)
    matrices = np.einsum("pt,tgrc->pgrc", waves, of.terms)
    return np.linalg.norm(matrices, 2, axis=(2, 3)).max(axis=1)


def test_the_largest_norm_on_a_lattice_is_found_among_all_points():
    for search in random_searches(250):
        norm = every_norm(search).max()
        value, close = search.largest(stop=np.inf)
        assert close
        assert norm * (1 - 1e-13) <= value <= norm * (1 + 1.1e-9)
        found = search.symbol.norms(search.where[None], search.points)
        assert found == pytest.approx(norm, rel=1e-8)
        again = symbol.Search(search.symbol, search.points, search.turn)
        assert again.largest(stop=search.best) == (np.inf, True)


def test_the_height_of_a_box_is_the_norm_at_its_highest_corner():
    for search in random_searches(40):
        norms = every_norm(search).reshape(search.points)
        boxes = np.array([[(0, p - 1) for p in search.points]])
        corners = norms[np.ix_(*[(0, -1)] * norms.ndim)]
        assert search.heights(boxes) == pytest.approx(corners.max(), rel=1e-10)


def test_a_search_that_is_cut_short_still_bounds_every_point(monkeypatch):
    monkeypatch.setattr(symbol, "POINTS", 0)
    monkeypatch.setattr(symbol, "WORK", 0)
    cut = 0
    for search in random_searches(150):
        norm = every_norm(search).max()
        value, close = search.largest(stop=np.inf)
        assert norm * (1 - 1e-13) <= value <= 2.1 * norm
        cut += not close
    assert cut > 50


def test_boxes_of_unlike_sides_are_bounded_by_the_widest(monkeypatch):
    # 2 |cos((t - t0) / 2)| with t0 at the middle of a box of two steps; others have one.
    monkeypatch.setattr(symbol, "POINTS", 0)
    monkeypatch.setattr(symbol, "WORK", 0)
    wave = symbol.Symbol(np.array([[0], [1]]), np.array([1, -1j]).reshape(2, 1, 1, 1))
    search = symbol.Search(wave, np.array([8]), np.array([0]))
    assert [1, 3] in search.boxes()[:, 0].tolist()
    value, close = search.largest(stop=np.inf)
    assert not close
    assert 2 <= value <= 2.1


def test_the_work_allowed_counts_groups_and_the_cube_of_a_side(monkeypatch):
    rng = np.random.default_rng(7)
    terms = rng.standard_normal((3, 2, 4, 5))
    whole = symbol.Symbol(np.array([[0, 0], [1, 2], [2, 1]]), terms)

    def search():
        return symbol.Search(whole, np.array([90, 70]), np.array([0, 1]))

    seen, halved = [], symbol._halved
    monkeypatch.setattr(
        symbol, "_halved", lambda boxes: seen.append(len(first.known)) or halved(boxes)
    )
    monkeypatch.setattr(symbol, "POINTS", 0)
    monkeypatch.setattr(symbol, "WORK", np.inf)
    first = search()
    value, close = first.largest(stop=np.inf)
    assert close
    monkeypatch.setattr(symbol, "_halved", halved)
    enough = seen[-1] * 2 * (4**3 + 1000)
    for work, done in ((enough * (1 + 1e-9), True), (enough * (1 - 1e-9), False)):
        monkeypatch.setattr(symbol, "WORK", work)
        again, close = search().largest(stop=np.inf)
        assert close == done
        assert value <= again
