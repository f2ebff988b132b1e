"""Bounds of the operator norm against the dense matrix, norms known by hand, and exact numbers."""

from fractions import Fraction
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from cases import each_case
from reference import MODES, integers

from equivlib import Geometry, conv_matrix, norm_bounds, operator_norm
from equivlib.convolution import norms, symbol

ONES = np.ones


def let_small_layers_be_large(monkeypatch):
    monkeypatch.setattr(norms, "SHORT", 0)
    monkeypatch.setattr(norms, "GRAM_SIZE", 0)


@pytest.fixture
def by_symbol(monkeypatch):
    """Let small layers be bounded as large ones are."""
    let_small_layers_be_large(monkeypatch)


def let_the_band_decide(monkeypatch):
    monkeypatch.setattr(norms, "SHORT", 0)
    monkeypatch.setattr(norms, "APART", -1)


#: Every way to an upper bound, for layers of any size.
WAYS = {
    "by matrix": lambda monkeypatch: None,
    "by symbol": let_small_layers_be_large,
    "by band": let_the_band_decide,
}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def dense_norm(weight, input_shape, options):
    """Return the norm by numpy's decomposition, of the matrix divided by its largest entry."""
    matrix = conv_matrix(
        weight.astype(np.result_type(weight, float)), input_shape, format="dense", **options
    )
    largest = abs(matrix).max() or 1.0
    return np.linalg.norm(matrix / largest, 2), largest, 1e-13 * max(matrix.shape)


def holds(weight, input_shape, options):
    """Tell whether the norm lies between its bounds, as far as numpy can tell."""
    norm, unit, allowed = dense_norm(weight, input_shape, options)
    lower, upper, _ = norm_bounds(weight, input_shape, **options)
    return lower / unit <= norm * (1 + allowed) and upper / unit >= norm * (1 - allowed)


def random_options(rng, ndim):
    most = {1: 6, 2: 4, 3: 3}[ndim]
    padding = [tuple(map(int, pair)) for pair in rng.integers(0, most + 2, (ndim, 2))]
    if rng.random() < 0.4:
        padding = str(rng.choice(["same", "same_lower", "valid"]))
    return {
        "stride": tuple(map(int, rng.integers(1, 4, ndim))) if rng.random() < 0.7 else 1,
        "padding": padding,
        "dilation": tuple(map(int, rng.integers(1, 4, ndim))) if rng.random() < 0.7 else 1,
        "groups": int(rng.integers(1, 3)),
        "padding_mode": str(rng.choice(MODES)),
        "flip": bool(rng.random() < 0.3),
    }


def random_weight(rng, shape):
    weight = rng.standard_normal(shape)
    kind = rng.integers(8)
    if kind == 0:
        return weight + 1j * rng.standard_normal(shape)
    if kind == 1:
        return ONES(shape, dtype=int)
    if kind == 2:
        return rng.integers(-2, 3, shape)
    if kind == 3:
        return weight.astype(np.float32)
    if kind == 4:
        return weight * 2.0 ** rng.integers(-1060, 1000)
    return weight


def random_layers(seed, count):
    """Yield layers in one to three dimensions that have an output, of every kind of option."""
    rng = np.random.default_rng(seed)
    while count:
        ndim = int(rng.choice([1, 1, 2, 2, 3]))
        kernel = rng.integers(1, {1: 7, 2: 5, 3: 4}[ndim], ndim)
        sizes = rng.integers(1, {1: 31, 2: 10, 3: 6}[ndim], ndim)
        options = random_options(rng, ndim)
        channels, outputs = rng.integers(1, 3, 2)
        weight = random_weight(rng, (options["groups"] * outputs, channels, *kernel))
        shape = (int(options["groups"] * channels), *map(int, sizes))
        try:
            Geometry(weight.shape, shape, **options)
        except ValueError:  # the kernel is larger than the padded input
            continue
        count -= 1
        yield weight, shape, options


@each_case
def test_the_norm_of_each_named_case_lies_between(case, monkeypatch):
    weight = integers(case.weight, seed=3)
    for way in WAYS.values():
        way(monkeypatch)
        assert holds(weight, case.input, case.options)
        monkeypatch.undo()


@each_way
def test_the_norm_of_random_layers_lies_between(way, monkeypatch):
    way(monkeypatch)
    assert all(holds(*layer) for layer in random_layers(1, 40))


@pytest.mark.slow
@each_way
@pytest.mark.parametrize("seed", range(10, 18))
def test_the_norm_of_thousands_of_random_layers_lies_between(seed, way, monkeypatch):
    way(monkeypatch)
    wrong = [layer for layer in random_layers(seed, 300) if not holds(*layer)]
    assert not wrong, [(weight.shape, *rest) for weight, *rest in wrong]


KNOWN = [
    ("one weight", [[[3.0]]], (1, 9), {}, 3),
    ("two neighbours of n", [[[1, 1]]], (1, 9), {}, 2 * np.cos(np.pi / 18)),
    ("and the full convolution", [[[1, 1]]], (1, 9), {"padding": 1}, 2 * np.cos(np.pi / 20)),
    ("second difference", [[[1, -2, 1]]], (1, 9), {"padding": 1}, 2 + 2 * np.cos(np.pi / 10)),
    (
        "its product along two axes",
        np.multiply.outer([1, -2, 1], [1, -2, 1])[None, None],
        (1, 7, 9),
        {"padding": 1},
        (2 + 2 * np.cos(np.pi / 8)) * (2 + 2 * np.cos(np.pi / 10)),
    ),
    ("dilated", [[[1, 1]]], (1, 18), {"dilation": 2}, 2 * np.cos(np.pi / 18)),
    (
        "average in a circle",
        ONES((1, 1, 3, 3)) / 9,
        (1, 6, 6),
        {"padding": 1, "padding_mode": "circular"},
        1,
    ),
    (
        "difference in a circle",
        [[[-1, 1]]],
        (1, 8),
        {"padding": "same", "padding_mode": "circular"},
        2,
    ),
    ("windows side by side", [[[1, 2, 2]]], (1, 12), {"stride": 3}, 3),
    ("windows apart", [[[1, 2, 2]]], (1, 14), {"stride": 4}, 3),
    (
        "one edge element copied",
        [[[1, 0, 0]]],
        (1, 9),
        {"padding": 1, "padding_mode": "replicate"},
        np.sqrt(2),
    ),
    (
        "averages that sum to 1 both ways",
        [[[1, 1, 1]]],
        (1, 9),
        {"padding": 1, "padding_mode": "replicate"},
        3,
    ),
    ("the larger of two groups", [[[3.0]], [[4.0]]], (2, 5), {"groups": 2}, 4),
]


@each_way
@pytest.mark.parametrize("known", KNOWN, ids=[known[0] for known in KNOWN])
def test_a_norm_known_by_hand_is_found_from_both_sides(known, way, monkeypatch):
    _, weight, shape, options, norm = known
    way(monkeypatch)
    lower, upper, _ = norm_bounds(weight, shape, **options)
    # What the hand computes is itself rounded.
    assert lower <= norm * (1 + 1e-15)
    assert upper >= norm * (1 - 1e-15)
    assert upper - lower <= 2e-8 * norm


def rows_of_one(count):
    """Yield layers with one output, whose norm is the root of a sum of squares."""
    rng = np.random.default_rng(5)
    for _ in range(count):
        weight = rng.standard_normal((1, int(rng.integers(1, 4)), int(rng.integers(1, 9))))
        yield weight, weight.shape[1:], sum(Fraction(float(w)) ** 2 for w in weight.flat)


@each_way
def test_no_rounding_takes_a_bound_to_the_wrong_side(way, monkeypatch):
    way(monkeypatch)
    for weight, shape, square in rows_of_one(40):
        lower, upper, _ = norm_bounds(weight, shape)
        assert Fraction(lower) ** 2 <= square <= Fraction(upper) ** 2


def test_without_the_allowance_for_rounding_some_bound_is_wrong(monkeypatch):
    for module in (norms, symbol):
        monkeypatch.setattr(module, "U", 0.0)
    sides = [
        (Fraction(lower) ** 2 <= square, square <= Fraction(upper) ** 2)
        for weight, shape, square in rows_of_one(40)
        for lower, upper, _ in [norm_bounds(weight, shape)]
    ]
    assert not all(right for right, _ in sides)


def test_the_longest_circle_counts_even_if_it_holds_padding_alone(by_symbol):
    # Every third place from the first is a copy; the element itself stands on a shorter circle.
    options = {"padding": ((4, 2),), "dilation": 3, "padding_mode": "reflect"}
    assert holds(ONES((1, 1, 2)), (1, 1), options)
    line = symbol.line_of(Geometry((1, 1, 2), (1, 1), **options).axes[0])
    assert line.points == 3


# --- planted errors: each must put some bound on the wrong side


def forgets_the_padding_map(monkeypatch):
    line = norms.line_of
    monkeypatch.setattr(norms, "line_of", lambda axis: line(axis)._replace(copies=1))
    monkeypatch.setattr(norms, "_schur_test", lambda *_: np.inf)


def takes_one_phase_only(monkeypatch):
    symbol_of = norms.symbol_of

    def one_sided(weight, geometry, lines):
        whole = symbol_of(weight, geometry, lines)
        phases = int(np.prod([line.phases for line in lines]))
        blocks = whole.terms.reshape(*whole.terms.shape[:3], -1, phases).copy()
        blocks[..., 1:] = 0
        return symbol.Symbol(whole.exponents, blocks.reshape(whole.terms.shape))

    monkeypatch.setattr(norms, "symbol_of", one_sided)


def draws_the_circle_too_small(monkeypatch):
    circle = symbol._circle
    monkeypatch.setattr(symbol, "_circle", lambda *of: max(1, circle(*of) - 1))


def counts_one_row_of_several(monkeypatch):
    schur = norms._schur_test
    monkeypatch.setattr(norms, "_schur_test", lambda *of: schur(*of) / 1.2)


PLANTED = [
    forgets_the_padding_map,
    takes_one_phase_only,
    draws_the_circle_too_small,
    counts_one_row_of_several,
]


@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_error_is_caught_by_the_random_layers(plant, by_symbol, monkeypatch):
    plant(monkeypatch)
    assert not all(holds(*layer) for layer in random_layers(1, 40))


def test_cholesky_alone_decides_about_the_band(monkeypatch):
    let_the_band_decide(monkeypatch)
    monkeypatch.setattr(norms, "_ascend", lambda start, *_: np.ones_like(start))  # a poor x
    layers = list(random_layers(2, 12))
    assert all(holds(*layer) for layer in layers)
    monkeypatch.setattr("scipy.linalg.cholesky_banded", lambda *_, **__: None)
    assert not all(holds(*layer) for layer in layers)


def test_a_grid_whose_factor_is_a_tenth_too_small_is_caught(by_symbol, monkeypatch):
    # Its symbol 2 |sin 2 t| is largest in the middle between two points of the coarse grid.
    layer = [[[1, 0, 0, 0, -1]]], (1, 420)
    norm = 2 * np.cos(np.pi / 210)
    monkeypatch.setattr(symbol, "WORK", 0)  # a coarse grid is all there is
    monkeypatch.setattr(symbol, "POINTS", 0)
    monkeypatch.setattr(norms, "_schur_test", lambda *_: np.inf)
    lower, upper, method = norm_bounds(*layer)
    assert method == "symbol"
    assert lower <= norm <= upper <= 1.001 * norm
    monkeypatch.setattr(symbol, "CURVATURE", 0.9 * symbol.CURVATURE)
    assert norm_bounds(*layer).upper < norm


# --- how close they are


@pytest.mark.parametrize(("kernel", "size"), [(2, 12), (3, 16), (5, 16)])
@pytest.mark.parametrize("channels", [1, 2])
def test_zero_padding_leaves_a_small_gap(kernel, size, channels, by_symbol):
    rng = np.random.default_rng(kernel)
    shape = (channels, channels, kernel, kernel)
    for weight in (ONES(shape), *(rng.standard_normal(shape) for _ in range(2))):
        for padding in ("same", 0):
            lower, upper, _ = norm_bounds(weight, (channels, size, size), padding=padding)
            assert upper <= (1 + 2 * ((kernel - 1) / size) ** 2) * lower


@pytest.mark.parametrize("stride", [1, 2])
def test_circular_padding_leaves_no_gap(stride, by_symbol):
    rng = np.random.default_rng(0)
    for weight in (ONES((2, 2, 3, 3)), *(rng.standard_normal((3, 2, 3, 3)) for _ in range(4))):
        options = {"padding": 1, "padding_mode": "circular", "stride": stride}
        lower, upper, method = norm_bounds(weight, (2, 8, 10), **options)
        assert method in ("circulant", "Schur test")
        assert upper <= lower * (1 + 1e-7)


def test_a_symmetric_smoothing_kernel_is_bounded_well_whatever_the_padding(by_symbol):
    weight = np.multiply.outer([1, 2, 1], [1, 2, 1])[None, None] / 16
    for mode in ("replicate", "symmetric"):
        lower, upper, method = norm_bounds(weight, (1, 9, 9), padding=1, padding_mode=mode)
        assert method == "Schur test"
        assert upper <= lower * (1 + 1e-7)


def test_a_band_closes_the_gap_for_every_padding():
    weight = np.random.default_rng(1).standard_normal((3, 3, 3, 3))
    for mode in MODES:
        options = {"padding": 1, "padding_mode": mode, "stride": 1}
        lower, upper, method = norm_bounds(weight, (3, 27, 27), **options)
        assert method == ("circulant" if mode == "circular" else "band")
        assert upper <= (1 + 1e-4) * lower


def test_no_simpler_bound_is_smaller(by_symbol):
    rng = np.random.default_rng(6)
    for _ in range(10):
        weight = rng.standard_normal((3, 2, 3, 2))
        upper = norm_bounds(weight, (2, 7, 7), padding=1).upper
        taps = np.moveaxis(weight, (0, 1), (2, 3)).reshape(6, 3, 2)
        assert upper <= np.linalg.norm(taps, 2, axis=(1, 2)).sum()
        for order, rows in (
            ((0, 1, 2, 3), 3),
            ((0, 2, 1, 3), 9),
            ((0, 3, 1, 2), 6),
            ((1, 0, 2, 3), 2),
        ):
            reshaped = weight.transpose(order).reshape(rows, -1)
            assert upper <= np.sqrt(6) * np.linalg.norm(reshaped, 2)


def test_a_layer_far_too_large_to_store_lies_between_close_bounds():
    weight = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    shape = (3, 64, 64)
    lower, upper, _ = norm_bounds(weight, shape, padding=1, stride=2)
    estimate = operator_norm(weight.astype(float), shape, padding=1, stride=2, rtol=1e-8)
    assert lower <= estimate * (1 + 1e-12)
    assert estimate * (1 - 1e-12) <= upper <= 1.005 * lower


# --- unusual numbers


def test_a_kernel_of_zeros_has_norm_zero():
    assert norm_bounds(np.zeros((2, 2, 3)), (2, 5)) == (0.0, 0.0, "zero")


def test_a_layer_that_reads_only_padding_has_norm_almost_zero(monkeypatch):
    for way in WAYS.values():
        way(monkeypatch)
        lower, upper, _ = norm_bounds([[[2.0]]], (1, 1), padding=((1, 0),), stride=3)
        assert lower == 0
        assert upper < 1e-100
        monkeypatch.undo()


@pytest.mark.parametrize("exponent", [-1074, -1040, 0, 1000, 1023])
def test_the_largest_and_smallest_numbers_are_bounded(exponent):
    weight = np.ldexp([[[1.0, 1.0]]], exponent)
    lower, upper, _ = norm_bounds(weight, (1, 3))
    square = 3 * Fraction(float(weight[0, 0, 0])) ** 2
    assert Fraction(lower) ** 2 <= square
    assert np.isinf(upper) or square <= Fraction(upper) ** 2


def test_what_overflows_has_no_finite_upper_bound():
    lower, upper, _ = norm_bounds(np.full((1, 1, 8), 1e308), (1, 8))
    assert 1e308 < lower < np.inf == upper


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        (ONES((1, 1, 2), dtype=object), "dtype object"),
        ([[[1.0, np.nan]]], "finite"),
        ([[[1.0, np.inf]]], "finite"),
        ([[[1j, complex(0, np.inf)]]], "finite"),
    ],
)
def test_numbers_that_have_no_norm_are_refused(weight, said):
    with pytest.raises(ValueError, match=said):
        norm_bounds(weight, (1, 4))


def test_an_unknown_option_is_refused():
    with pytest.raises(ValueError, match=r"strides.*norm_bounds.*stride"):
        norm_bounds([[[1.0]]], (1, 4), strides=2)


def test_boxes_cover_every_point_of_the_lattice_up_to_its_sign():
    terms = ONES((3, 1, 1, 1))
    for points, turn in product(product(range(1, 8), range(1, 6)), product((0, 1), repeat=2)):
        search = symbol.Search(
            symbol.Symbol(np.array([[0, 0], [1, 0], [2, 1]]), terms),
            np.array(points),
            np.array(turn),
        )
        met = set()
        for box in search.boxes():
            for j in product(*[range(low, high + 1) for low, high in box]):
                met.add(tuple(np.array(j) % points))
                met.add(tuple((-np.array(j) - turn) % points))
        assert len(met) == np.prod(points)


# --- its parts, each against numbers known without it


def prepared(weight, input_shape, **options):
    """Return the scaled weight and the geometry that the parts take."""
    weight = np.asarray(weight)
    return norms._scaled(weight)[0], Geometry(weight.shape, input_shape, **options)


def lengthened(x, weight, geometry):
    """Return ``|W x| / |x|`` as a share of the norm."""
    matrix = conv_matrix(weight, geometry.input_shape, format="dense", **geometry.options)
    return np.linalg.norm(matrix @ x) / np.linalg.norm(x) / np.linalg.norm(matrix, 2)


DIAGONAL, TURNED = [[[3], [0]], [[0], [1]]], [[[2], [2]], [[2], [-1.9]]]
CIRCLE = {"padding": "same", "padding_mode": "circular"}

#: Layers and what the first x may miss: nothing, where sines and waves are the singular vectors.
FIRST = [
    ("sum of two", [[[1, 1]]], (1, 9), {"padding": 1}, 0),
    ("difference of two", [[[1, -1]]], (1, 9), {"padding": 1}, 0),
    ("along two axes", [[[[1, -1], [1, -1]]]], (1, 5, 7), {"padding": 1}, 0),
    ("complex", [[[1, 1j]]], (1, 9), {"padding": 1}, 0),
    ("in a circle", [[[-1, 1]]], (1, 8), CIRCLE, 0),
    ("every second in a circle", [[[1, 0, -1]]], (1, 8), CIRCLE, 0),
    ("the first group", DIAGONAL + TURNED, (4, 5), {"groups": 2}, 0),
    ("the second group", TURNED + DIAGONAL, (4, 5), {"groups": 2}, 0),
    ("one circle of two", [[[1, -1]]], (1, 99), {"padding": 2, "dilation": 2}, 1e-5),
    ("two phases", [[[1, 1, -1, -1]]], (1, 80), {"padding": 2, "stride": 2}, 2e-4),
]


@pytest.mark.parametrize("first", FIRST, ids=[first[0] for first in FIRST])
def test_the_wave_that_the_symbol_lengthens_most_almost_attains_the_norm(first):
    _, weight, shape, options, lost = first
    layer = prepared(weight, shape, **options)
    _, start, _ = norms._by_symbol(*layer)
    assert lengthened(start, *layer) >= 1 - lost - 1e-13


@pytest.mark.parametrize(
    ("shape", "inputs", "options"),
    [
        ((1, 1, 3), (1, 14), {"stride": 4}),  # elements that nothing reads
        ((3, 1, 3), (1, 9), {"padding": 2}),  # more rows than columns
        ((2, 2, 2), (4, 5), {"groups": 2}),
    ],
)
def test_the_matrix_gives_the_norm_and_its_x(shape, inputs, options):
    layer = prepared(np.random.default_rng(0).standard_normal(shape), inputs, **options)
    upper, start, method = norms._by_matrix(*layer)
    assert method == "matrix"
    assert lengthened(start, *layer) >= 1 - 1e-13
    norm = np.linalg.norm(conv_matrix(layer[0], inputs, format="dense", **options), 2)
    assert norm <= upper <= norm * (1 + 1e-11)


@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"padding_mode": "replicate"}])
def test_steps_come_near_the_norm(options):
    weight = np.random.default_rng(4).standard_normal((3, 3, 3, 3))
    layer = prepared(weight, (3, 8, 8), padding=1, **options)
    for start in (norms._by_symbol(*layer)[1], ONES(192)):
        assert lengthened(norms._ascend(start, *layer), *layer) >= 1 - 1e-7


def test_a_start_that_no_step_could_leave_is_left():
    layer = prepared([[[1.0]], [[2.0]]], (2, 1), groups=2)
    assert lengthened(norms._ascend(np.array([1.0, 0.0]), *layer), *layer) >= 1 - 1e-12


def test_a_start_that_the_layer_forgets_is_left(monkeypatch):
    # The first step goes so far that the place it leads to and its direction are the same.
    layer = prepared([[[1.0]], [[0.9]], [[0.0]], [[0.5]]], (4, 1), groups=4)
    start = np.array([1e-30, 1e-30, 1, 1e-30])
    same = SimpleNamespace(standard_normal=lambda _: start)
    monkeypatch.setattr(np.random, "default_rng", lambda _: same)
    assert lengthened(norms._ascend(start, *layer), *layer) >= 1 - 1e-12


def test_steps_begin_near_the_start_however_long_it_is(monkeypatch):
    weight, geometry = prepared([[[1, 1]]], (1, 50))
    monkeypatch.setattr(norms, "ASCENT", -15 * geometry.nnz)  # not one step
    start = np.cos(np.arange(50)) / 4
    begun = norms._ascend(start, weight, geometry)
    shared = start @ begun / np.linalg.norm(start) / np.linalg.norm(begun)
    assert 0.9 < shared < 0.99
    for factor in (2.0**-30, 2.0**30):
        assert (norms._ascend(factor * start, weight, geometry) == begun).all()


def products(monkeypatch, start, weight, geometry):
    """Count the products with the matrix and with its adjoint that the steps take."""
    count, conv_operator = [0, 0], norms.conv_operator

    def counting(*arguments, **options):
        layer = conv_operator(*arguments, **options)

        def counted(which, product):
            def multiply(x):
                count[which] += 1
                return product(x)

            return multiply

        return SimpleNamespace(matvec=counted(0, layer.matvec), rmatvec=counted(1, layer.rmatvec))

    monkeypatch.setattr(norms, "conv_operator", counting)
    norms._ascend(start, weight, geometry)
    monkeypatch.setattr(norms, "conv_operator", conv_operator)
    return count


def test_at_most_80_steps_are_taken_and_15_if_they_are_dear(monkeypatch):
    start = np.random.default_rng(0).standard_normal(2000)
    layer = prepared([[[1, 1]]], (1, 2000))  # whose norm is hard to tell from the next
    assert products(monkeypatch, start, *layer) == [81, 80]
    monkeypatch.setattr(norms, "ASCENT", 5 * layer[1].nnz)
    assert products(monkeypatch, start, *layer) == [21, 20]
    monkeypatch.setattr(norms, "ASCENT", layer[1].nnz - 1)
    assert products(monkeypatch, start, *layer) == [16, 15]


def test_no_step_is_taken_from_the_best_x(monkeypatch):
    assert products(monkeypatch, ONES(1), *prepared([[[1, 1]]], (1, 1), padding=1)) == [1, 1]


# --- roundings, each the worst that is possible


@pytest.mark.parametrize("factor", [1, 1 + 1j])
@pytest.mark.parametrize("shape", [(1, 4, 1), (1, 256, 1), (1, 1, 256), (1, 8, 8)])
def test_products_that_round_as_badly_as_they_may_leave_a_lower_bound(shape, factor, monkeypatch):
    # Half of the weights are the negatives of the others, so W x is 0, and what else is found
    # is rounding: Higham's bound of it.
    signs = (-1.0) ** np.arange(np.prod(shape)).reshape(shape)
    layer = prepared(factor * signs, shape[1:])
    terms = np.prod(shape[1:])
    worst = (terms if factor == 1 else np.sqrt(2) * (terms + 2)) * symbol.U
    forward, calls = norms.forward, []

    def rounded(x, weight, geometry):
        calls.append(1)
        size = forward(abs(x), abs(weight), geometry)
        return worst * size if len(calls) == 1 else (1 - worst) * size

    monkeypatch.setattr(norms, "forward", rounded)
    assert norms._quotient(ONES(terms), *layer) == 0


@pytest.mark.parametrize("scale", [1e-161, 1e-150, 1e150])
def test_a_quotient_has_the_same_bound_however_long_its_x(scale):
    layer = prepared([[[1, 1, 1]]], (1, 9))
    x = np.arange(1.0, 10.0)
    expected = norms._quotient(x, *layer)
    assert abs(norms._quotient(scale * x, *layer) / expected - 1) < 1e-13


def test_the_root_of_the_bound_of_an_eigenvalue_is_rounded_up(monkeypatch):
    for weight, shape, _ in rows_of_one(40):
        layer = prepared(weight, shape)
        square = float((abs(layer[0]) ** 2).sum())
        monkeypatch.setattr(norms, "eigenvalue_bounds", lambda *_, square=square: square)
        assert Fraction(norms._by_matrix(*layer)[0]) ** 2 >= Fraction(square)


def test_how_far_the_matrix_is_off_counts(monkeypatch):
    # A matrix a quarter too small, that knows it.
    weight, geometry = prepared([[[1, 2, 1]]], (1, 12), padding=1)
    norm = np.linalg.norm(conv_matrix(weight, (1, 12), format="dense", padding=1), 2)
    gram_of = norms.Gram.of
    smaller = gram_of(0.75 * weight, geometry)._replace(off=0.25 * norm)
    monkeypatch.setattr(norms.Gram, "of", lambda *_: smaller)
    assert norms._by_matrix(weight, geometry)[0] >= norm
    assert norms._by_band(weight, geometry, 0.75 * norm * (1 - 1e-6), 2 * norm) >= norm


def test_a_decomposition_that_rounds_as_badly_as_it_may_leaves_an_upper_bound(monkeypatch):
    # If it runs to the end on a band, the matrix is off by width + 2 roundings of its trace (Rump),
    # and the Gram matrix by as many of its own as a row has taps (Higham). Complex numbers have
    # two more each, and the root of 2 times all.
    gram_of = norms.Gram.of
    monkeypatch.setattr(norms.Gram, "of", lambda *of: gram_of(*of)._replace(off=0.0))
    monkeypatch.setattr("scipy.linalg.cholesky_banded", lambda *_, **__: None)
    for taps, size in ((1, 4), (2, 9), (40, 60), (3, 2000)):
        layer = prepared(ONES((1, 1, taps)), (1, size))
        rows = size - taps + 1
        width = min(taps - 1, rows - 1)
        norm = 1.5  # any number: what is proved is that it is not above the bound
        worst = np.sqrt(2) * rows * (width + taps + 6) * symbol.U
        found = norms._by_band(*layer, norm * np.sqrt((1 - worst) / (1 + 1e-6)), 2 * norm)
        assert norm <= found <= norm * (1 + 8 * rows * (width + taps + 8) * symbol.U)


def test_the_band_covers_what_underflows_in_a_square():
    # The squares of these weights are as small as what may be lost.
    weight, geometry = ONES((1, 1, 2)) * 2.0**-499, Geometry((1, 1, 2), (1, 9), padding=1)
    norm = 2 * np.cos(np.pi / 20) * 2.0**-499
    assert norm <= norms._by_band(weight, geometry, norm * (1 - 1e-5), 2 * norm)


@pytest.mark.parametrize("copies", [2, 3, 5, 7])
def test_the_norm_of_the_padding_map_is_rounded_up(copies, monkeypatch):
    monkeypatch.setattr(norms, "_schur_test", lambda *_: np.inf)
    options = {"padding": ((copies - 1, 0),), "padding_mode": "replicate"}
    layer = prepared([[[1.0]]], (1, 4), **options)
    for norm in np.random.default_rng(copies).random(20) + 1:
        largest = symbol.Search.largest

        def planted(search, stop, largest=largest, norm=float(norm)):
            return (norm, True) if largest(search, stop)[0] < np.inf else (np.inf, True)

        with monkeypatch.context() as patch:
            patch.setattr(symbol.Search, "largest", planted)
            upper, _, method = norms._by_symbol(*layer)
        assert method == "circulant and padding"
        square = copies * Fraction(float(norm)) ** 2
        assert square <= Fraction(upper) ** 2 <= square * (1 + Fraction(1, 10**14))


def test_sums_of_the_schur_test_that_round_as_badly_as_they_may_leave_an_upper_bound(monkeypatch):
    # The norms of the taps are exact here. An element that is copied 100 times is read 100 times
    # by each tap.
    monkeypatch.setattr(norms, "matrix_norms", lambda matrices: abs(matrices[..., 0, 0]))
    for taps, copies in ((1, 1), (2, 2), (100, 199)):
        options = {"padding": ((copies - 1, 0),), "padding_mode": "replicate"}
        layer = prepared(ONES((1, 1, taps)), (1, 1), **options)
        outputs = copies - taps + 1
        worst = {"forward": taps, "backward": taps * outputs}
        with monkeypatch.context() as patch:
            for name, terms in worst.items():
                product = getattr(norms, name)

                def rounded(*of, product=product, terms=terms):
                    return (1 - (terms + 1) * symbol.U) * product(*of)

                patch.setattr(norms, name, rounded)
            upper = norms._schur_test(*layer)
        square = Fraction(taps) ** 2 * outputs / 4  # the weight is scaled to 1 / 2
        assert square <= Fraction(upper) ** 2 <= square * (1 + Fraction(1, 10**10))


def test_the_schur_test_looks_at_each_group_alone():
    # 3 along a row and 1 along a column; 1.7 along both.
    layer = prepared([[[1, 1, 1]], [[1.7, 0, 0]]], (2, 9), groups=2, stride=3)
    assert abs(2 * norms._schur_test(*layer) / np.sqrt(3) - 1) < 1e-12


# --- which way is taken


def method_of(weight, shape, **options):
    return norm_bounds(weight, shape, **options).method


def test_the_matrix_is_taken_up_to_so_many_rows_or_columns_and_bytes(monkeypatch):
    monkeypatch.setattr(norms, "GRAM_SIZE", 0)
    wide, tall = ([[[1, 1]]], (1, 9)), (ONES((3, 1, 2)), (1, 4))
    for layer, shorter in ((wide, 8), (tall, 4)):
        monkeypatch.setattr(norms, "SHORT", shorter)
        assert method_of(*layer) == "matrix"
        monkeypatch.setattr(norms, "SHORT", shorter - 1)
        assert method_of(*layer) != "matrix"
    monkeypatch.setattr(norms, "SHORT", 8)
    size = conv_matrix(ONES((1, 1, 2)), (1, 9))
    size = size.data.nbytes + size.indices.nbytes + size.indptr.nbytes
    monkeypatch.setattr(norms, "SPARSE_BYTES", size)
    assert method_of(*wide) == "matrix"
    monkeypatch.setattr(norms, "SPARSE_BYTES", size - 1)
    assert method_of(*wide) != "matrix"


def test_the_limits_are_those_that_the_documentation_names():
    limits = f"{norms.SHORT:,} rows or columns (and {norms.SPARSE_BYTES // 2**20} MiB of sparse"
    assert f"Up to {limits} matrix)" in norm_bounds.__doc__


@pytest.fixture
def apart(monkeypatch):
    """Let a layer be bounded with a gap, and return what was done about that."""
    weight, shape, options = [[[1, 1]]], (1, 9), {"padding": 1}
    norm = np.cos(np.pi / 20)  # of the scaled weight
    start = np.sin(np.arange(1, 10) * np.pi / 10)

    def done(gap):
        steps = []
        monkeypatch.setattr(norms, "SHORT", 0)
        upper = norm * (1 + gap)
        monkeypatch.setattr(norms, "_by_symbol", lambda *_: (upper, start, "symbol"))
        monkeypatch.setattr(norms, "_ascend", lambda *_: steps.append("steps") or start)
        monkeypatch.setattr(norms, "_by_band", lambda *_: steps.append("band") or upper)
        norm_bounds(weight, shape, **options)
        return steps

    return done


def test_more_is_done_the_farther_the_bounds_are_apart(apart, monkeypatch):
    assert apart(5e-9) == []
    assert apart(2e-8) == ["steps"]
    assert apart(9e-4) == ["steps"]
    assert apart(1.1e-3) == ["steps", "band"]
    assert apart(3) == ["steps", "band"]
    size = norms._gram_size(Geometry((1, 1, 2), (1, 9), padding=1))
    monkeypatch.setattr(norms, "GRAM_SIZE", size)
    assert apart(1.1e-3) == ["steps", "band"]
    monkeypatch.setattr(norms, "GRAM_SIZE", size - 1)
    assert apart(1.1e-3) == ["steps"]


def test_no_band_is_tried_for_a_hundred_thousand_rows(monkeypatch):
    weight, shape = np.random.default_rng(0).standard_normal((16, 16, 3, 3)), (16, 80, 80)
    start = ONES(np.prod(shape))
    monkeypatch.setattr(norms, "_by_symbol", lambda *_: (1e3, start, "symbol"))
    monkeypatch.setattr(norms, "_ascend", lambda *_: start)
    monkeypatch.setattr(norms, "_by_band", lambda *_: 0)
    lower, upper, method = norm_bounds(weight, shape, padding=1)
    assert method == "symbol"
    assert upper > 1.1 * lower


def test_a_band_is_tried_up_to_so_many_products_and_bytes(monkeypatch):
    # Each row meets the four before it, and no order makes that fewer.
    layer = prepared(ONES((1, 1, 5)), (1, 34))
    rows, width = 30, 4
    norm = np.linalg.norm(conv_matrix(layer[0], (1, 34), format="dense"), 2)
    for name, price in (("BAND_WORK", rows * width**2), ("SPARSE_BYTES", rows * width * 8)):
        with monkeypatch.context() as patch:
            patch.setattr(norms, name, price)
            assert norm <= norms._by_band(*layer, norm * (1 - 1e-9), 2 * norm) <= norm * (1 + 1e-6)
            patch.setattr(norms, name, price - 1)
            assert norms._by_band(*layer, norm * (1 - 1e-9), 2 * norm) == np.inf


@pytest.mark.parametrize("unit", [1, 2.0**-20])
def test_a_band_finds_a_bound_between_those_that_are_known(unit):
    weight, geometry = prepared([[[1, 2, 1]]], (1, 30), padding=1)
    weight = unit * weight
    norm = np.linalg.norm(conv_matrix(weight, (1, 30), format="dense", padding=1), 2)
    assert norm <= norms._by_band(weight, geometry, norm * 0.99, 1.2 * norm) <= 1.1 * norm
    assert norms._by_band(weight, geometry, norm * 0.9, norm * 0.99) == np.inf


# --- the Gram matrix


def zero_padded(count):
    """Yield layers with zero padding of every kind."""
    for weight, shape, options in random_layers(7, count):
        yield prepared(weight, shape, **(options | {"padding_mode": "zeros"}))


def test_the_gram_matrix_is_that_of_the_shorter_side():
    for weight, geometry in zero_padded(60):
        gram = norms.Gram.of(weight, geometry)
        matrix = conv_matrix(weight, geometry.input_shape, format="dense", **geometry.options)
        assert gram.short.shape == (min(matrix.shape), max(matrix.shape))
        read = conv_matrix(
            ONES(weight.shape), geometry.input_shape, format="dense", **geometry.options
        )
        longest = (read.T if len(read) > read.shape[1] else read).sum(axis=1).max()
        assert gram.terms == longest
        product = gram.short.toarray() @ gram.short.toarray().conj().T
        assert np.allclose(gram.product.toarray(), product)


def stored(geometry):
    """Count the pairs of rows, of the shorter side, that share an element; or all entries."""
    read = conv_matrix(ONES(geometry.weight_shape), geometry.input_shape, **geometry.options)
    short = read if read.shape[0] <= read.shape[1] else read.T
    return max((short @ short.T).nnz, read.nnz)


def test_the_size_of_the_gram_matrix_is_never_underestimated():
    for _, geometry in zero_padded(150):
        assert norms._gram_size(geometry) >= stored(geometry)


@pytest.mark.parametrize(
    ("shape", "inputs", "options"),
    [
        ((1, 1, 5), (1, 200), {}),  # rows
        ((1, 1, 4), (1, 200), {"padding": 3}),  # columns
        ((2, 3, 4), (6, 200), {"groups": 2}),  # rows of two groups
        ((6, 2, 4), (4, 200), {"groups": 2}),  # columns of two groups
        ((1, 1, 6), (1, 5), {"padding": 5}),  # everything shares something
        ((2, 2, 2, 2), (2, 30, 40), {"padding": 1}),
        ((1, 40, 5), (40, 5), {}),  # the matrix has more numbers
    ],
)
def test_the_size_of_the_gram_matrix_is_not_far_above(shape, inputs, options):
    geometry = Geometry(shape, inputs, **options)
    assert norms._gram_size(geometry) <= 1.06 * stored(geometry)


# --- more unusual numbers


def test_a_weight_may_lie_in_memory_in_any_order():
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((2, 3, 2, 4)) + 1j * rng.standard_normal((2, 3, 2, 4))
    expected = norm_bounds(weight, (3, 6, 6))
    assert norm_bounds(np.asfortranarray(weight), (3, 6, 6)) == expected
    assert norm_bounds(np.repeat(weight, 2, axis=-1)[..., ::2], (3, 6, 6)) == expected


def test_weights_of_every_size_side_by_side_are_scaled_by_the_largest():
    lower, upper, _ = norm_bounds(np.ldexp([[[1.0, 0.0, 2.0**-600]]], 1000), (1, 3))
    assert lower <= 2.0**1000 <= upper <= 2.0**1000 * (1 + 1e-13)


@pytest.mark.parametrize("kind", [np.longdouble, np.clongdouble])
@pytest.mark.skipif(np.finfo(np.longdouble).max == np.finfo(float).max, reason="no longer type")
def test_a_number_too_large_for_double_precision_is_refused(kind):
    weight = np.full((1, 1, 1), np.finfo(kind).max, kind)
    with pytest.raises(ValueError, match="finite in double precision"):
        norm_bounds(weight, (1, 4))


def test_what_is_no_number_is_refused_by_name():
    with pytest.raises(ValueError, match="weight"):
        norm_bounds([[["x"]]], (1, 4))


@pytest.mark.parametrize("small", [1e-120, 1e-160, 1e-170, 1e-320])
@pytest.mark.parametrize("stride", [1, 4])
def test_weights_far_smaller_than_one_that_reads_padding_are_bounded(small, stride, monkeypatch):
    # The 1 is read nowhere, and squares of the other weight underflow.
    for way in WAYS.values():
        way(monkeypatch)
        layer = [[[1.0, small]]], (1, 1)
        lower, upper, _ = norm_bounds(*layer, padding=((1, 0),), stride=stride)
        assert 0 <= lower <= small <= upper <= small * (1 + 1e-12) + 1e-150
        monkeypatch.undo()
