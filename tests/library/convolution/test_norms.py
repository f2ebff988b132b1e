"""Bounds of the operator norm against the dense matrix, norms known by hand, and exact numbers."""

from fractions import Fraction
from itertools import product

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
