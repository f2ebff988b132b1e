"""Figures: what they show is what was stored, what they say is what the library computes.

When a figure is meant to change, `RENEW_PICTURES=1 python -m pytest tests/library/draw` stores the
new pictures; look at each of them before you commit it. Matplotlib renders text and
images a little differently in each of its versions, so pictures are compared only under the one
that drew them, which is the one of the lock; all other tests hold under every version.
"""

import io
import math
import os
import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import matplotlib
import matplotlib.image
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.testing.compare import compare_images
from matplotlib.testing.exceptions import ImageComparisonFailure
from matplotlib.text import Text
from pictures import DPI, DRAWINGS, IMAGE, KERNEL, SIGNAL, STORED, training
from reference import products
from scipy import stats

from equivlib import Geometry, conv, draw, im2col, to_mlp
from equivlib.draw import _entries, _style
from equivlib.draw.structure import HUES
from equivlib.layers import Dense, MaxPool, Network, ReLU

#: Root mean square over all pixels and channels, of 255: above what another processor rounds, and
#: far below a colour exchanged (9 and more), a patch moved by one (12) or a guide line lost (4).
TOLERANCE = 1.0

MINOR = ".".join(matplotlib.__version__.split(".")[:2])
DREW = STORED / "matplotlib.txt"  # the version that drew the pictures
RENEW = bool(os.environ.get("RENEW_PICTURES"))
compares_pictures = pytest.mark.skipif(
    not RENEW and DREW.read_text(encoding="utf-8").strip() != MINOR,
    reason=f"the stored pictures are of another version of matplotlib than {MINOR}",
)


def difference(name, drawing, folder):
    """Return None if the drawing looks like the stored picture, else a sentence with all paths."""
    stored, actual = STORED / f"{name}.png", folder / f"{name}.png"
    actual.write_bytes(drawing.png(dpi=DPI))
    renew = "RENEW_PICTURES=1 python -m pytest tests/library/draw/test_draw.py stores new pictures"
    try:
        found = compare_images(str(stored), str(actual), TOLERANCE, in_decorator=True)
    except (OSError, ImageComparisonFailure) as error:
        return f"{error}; stored {stored}, drawn {actual}; {renew}"
    if found is None:
        return None
    return (
        f"{name} differs by {found['rms']:.1f}, allowed {TOLERANCE}: stored {stored}, drawn "
        f"{actual}, difference {found['diff']}; {renew}"
    )


@compares_pictures
@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_looks_like_the_stored_picture(name, tmp_path):
    if RENEW:
        (STORED / f"{name}.png").write_bytes(DRAWINGS[name]().png(dpi=DPI))
        DREW.write_text(MINOR + "\n", encoding="utf-8")
    told = difference(name, DRAWINGS[name](), tmp_path)
    assert told is None, told


@compares_pictures
def test_a_colour_exchanged_is_seen(tmp_path, monkeypatch):
    swapped = (_entries.TAP_COLOURS[1], _entries.TAP_COLOURS[0], *_entries.TAP_COLOURS[2:])
    monkeypatch.setattr(_entries, "TAP_COLOURS", swapped)
    told = difference("layer", DRAWINGS["layer"](), tmp_path)
    assert "layer differs by" in told
    assert all(Path(path).exists() for path in re.findall(r"\S+\.png", told))
    assert "RENEW_PICTURES=1" in told


@compares_pictures
@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("layer", lambda: draw.layer(KERNEL, SIGNAL, output=2, padding=1)),
        ("structure_labelled", lambda: draw.structure((2, 2, 2), (2, 4), blocks=False)),
        ("patches", lambda: draw.patches(IMAGE[:3], 3, [0, 1, 7], padding=1)),
        (
            "heat",
            lambda: draw.heat(
                {"kernel": [[1, 0, -1], [2, 0, -2], [1, 0, -1]], "difference": -np.eye(3) / 4}
            ),
        ),
    ],
)
def test_a_small_change_is_seen(name, other, tmp_path):
    assert "differs by" in difference(name, other(), tmp_path)


@compares_pictures
def test_a_picture_of_another_size_is_named_with_both_files(tmp_path):
    told = difference("heat", DRAWINGS["heat_large"](), tmp_path)
    assert "sizes do not match" in told
    assert str(tmp_path / "heat.png") in told


def test_the_description_names_what_the_marked_output_reads():
    drawing = draw.layer(KERNEL, SIGNAL, output=1)
    assert "it reads k0 on x[1], k1 on x[2], k2 on x[3]" in drawing.alt
    assert f"its value is {conv(SIGNAL, KERNEL)[0, 1]}." in drawing.alt
    assert repr(drawing) == drawing.alt


def test_the_description_leaves_out_what_meets_padding():
    assert "it reads k1 on x[0], k2 on x[1]," in draw.layer(KERNEL, SIGNAL, padding=1).alt


def test_the_description_of_matrices_spells_them_out():
    cases = {"none": {}, "mirror": {"padding": 1, "padding_mode": "reflect"}}
    alt = draw.matrices(cases, (1, 1, 3), (1, 4)).alt
    assert "none: k0 k1 k2 . | . k0 k1 k2;" in alt
    assert "mirror: k1 k0+k2 . . | k0 k1 k2 . | . k0 k1 k2 | . . k0+k2 k1." in alt


WAYS_BACK = [
    ((1, 1, 3), (1, 7), {"stride": 2}),
    ((1, 1, 2, 2), (1, 3, 4), {"padding": 1}),
    ((1, 1, 3), (1, 4), {"padding": 1, "padding_mode": "reflect"}),
    ((1, 1, 3), (1, 5), {"padding": 4, "stride": 3}),
]


@pytest.mark.parametrize(("weight_shape", "input_shape", "options"), WAYS_BACK)
def test_the_description_of_a_shared_gradient_has_the_sums_of_the_definition(
    weight_shape, input_shape, options
):
    rng = np.random.default_rng(3)
    x = rng.integers(1, 10, size=input_shape)
    g = rng.integers(1, 10, size=conv(x, np.ones(weight_shape, int), **options).shape)
    sums = dict.fromkeys(np.ndindex(*weight_shape), 0)
    for output, weight, element in products(weight_shape, input_shape, **options):
        sums[weight] += g[output] * x[element]
    told = draw.shared_gradient(weight_shape, x, g, **options).alt.split("The sum over")[1]
    found = re.findall(r"of (k\d+): (?:[^;.]* = )?(\d+)", told)
    names = ["k" + "".join(map(str, tap[2:])) for tap in sums]
    assert found == [(name, str(total)) for name, total in zip(names, sums.values(), strict=True)]


@pytest.mark.parametrize(("weight_shape", "input_shape", "options"), WAYS_BACK)
def test_the_descriptions_of_the_way_back_follow_the_definition(weight_shape, input_shape, options):
    every = list(products(weight_shape, input_shape, **options))
    counts = Counter(np.ravel_multi_index(element, input_shape) for _, _, element in every)
    alt = draw.column_counts({"W": (weight_shape, input_shape, options)}).alt
    expected = [str(counts[j]) for j in range(math.prod(input_shape))]
    assert alt.endswith(f", weights {' '.join(expected)}.")
    alt = draw.transpose(weight_shape, input_shape, column=1, **options).alt
    marked = alt.split("row 1 of the transpose: ")[1].rstrip(".")
    assert len(re.findall(r"k\d+", marked)) == counts[1]


GEOMETRIES = [
    ((1, 1, 3), (1, 5), {"padding": 1, "padding_mode": "reflect"}),
    ((2, 3, 3), (3, 9), {"padding": 2, "padding_mode": "replicate", "stride": 2}),
    ((4, 2, 2, 3), (4, 5, 6), {"groups": 2, "padding": 1}),
    ((1, 1, 3, 3), (1, 6, 6), {"dilation": 2, "padding": 2, "padding_mode": "circular"}),
    ((2, 1, 2, 2, 2), (1, 3, 4, 3), {}),
]


@pytest.mark.parametrize(("weight_shape", "input_shape", "options"), GEOMETRIES)
def test_the_description_of_a_structure_counts_what_the_definition_gives(
    weight_shape, input_shape, options
):
    alt = draw.structure(weight_shape, input_shape, **options).alt
    every = list(products(weight_shape, input_shape, **options))
    places = Counter((output, element) for output, _, element in every)
    uses = Counter(weight for _, weight, _ in every)
    assert f": {len(places)} of " in alt
    assert f"; {math.prod(weight_shape)} different weights, each in " in alt
    least, most = min(uses.values()), max(uses.values())
    assert f"each in {least} to {most} places" in alt or (
        least == most and f"each in {least} place" in alt
    )
    sums = sum(count > 1 for count in places.values())
    assert re.findall(r"(\d+) of the entries", alt) == ([str(sums)] if sums else [])
    pairs = {(output[0], element[0]) for output, element in places}
    empty = weight_shape[0] * input_shape[0] - len(pairs)
    assert re.findall(r"(\d+) of them empty", alt) == ([str(empty)] if empty else [])
    if len(input_shape) > 2:
        first = next(iter(pairs))
        inner = {(o[1], e[1]) for o, e in places if (o[0], e[0]) == first}
        assert f"{len(inner)} hold entries" in alt


@pytest.mark.parametrize(
    "action",
    [
        lambda: draw.structure((1, 1, 1), (1, 1)),
        lambda: draw.structure((64, 64, 1), (64, 1)),
        lambda: draw.structure((300, 1, 1), (1, 1)),
        lambda: draw.heat({"tall": np.arange(200).reshape(100, 2), "zero": [[0.0]]}),
        lambda: draw.patches(np.zeros((50, 4)), 2, [0]),
        lambda: draw.patches(np.linspace(0, 1, 36).reshape(6, 6), 3, range(6)),
        lambda: draw.spectrum({"one": [3.0]}),
    ],
)
def test_extreme_sizes_keep_the_width_and_a_height_of_a_page(action):
    width, height = action().figure.get_size_inches()
    assert width == draw.WIDTH
    assert height < 8


INCLUDED = [
    ((1, 1, 3), (1, 6), {}),
    ((1, 1, 3), (1, 5), {"padding": 1, "stride": 2}),
    ((1, 1, 3), (1, 3), {"padding": 4, "dilation": 4}),
    ((2, 1, 2), (1, 4), {}),
]


@pytest.mark.parametrize(("weight_shape", "input_shape", "options"), INCLUDED)
def test_the_description_of_inclusions_counts_what_the_definition_gives(
    weight_shape, input_shape, options
):
    drawing = draw.inclusions(weight_shape, input_shape, **options)
    every = list(products(weight_shape, input_shape, **options))
    rows, columns = Geometry(weight_shape, input_shape, **options).matrix_shape
    counts = [rows * columns, len(every), len({weight for _, weight, _ in every})]
    assert re.findall(r"(\d+) free number", drawing.alt) == list(map(str, counts))
    told = [part.split(".")[0] for part in drawing.alt.split("free number")[1:]]
    assert told[0].count("w") == counts[0]
    texts = [text.get_text() for axes in drawing.figure.axes[1:] for text in axes.texts]
    assert sum(text.startswith("w") for text in texts) == counts[0] + counts[1]
    assert len({text for text in texts if text.startswith("k")}) == counts[2]


def test_a_small_structure_is_spelled_out():
    alt = draw.structure((2, 1, 2), (1, 3), names="w").alt
    assert alt.endswith(": w00 w01 . | . w00 w01 | w10 w11 . | . w10 w11.")


@pytest.mark.parametrize("weight_shape", [(1, 1, 3, 3), (2, 2, 3, 3)])
def test_equal_weights_have_one_colour_and_others_another(weight_shape):
    input_shape = (weight_shape[1], 8, 8)
    drawing = draw.structure(weight_shape, input_shape, padding=1)
    pixels = drawing.figure.axes[0].images[0].get_array()
    outputs, inputs = (weight_shape[0], 8, 8), input_shape
    assert pixels.shape[:2] == (math.prod(outputs), math.prod(inputs))
    seen = {}
    for output, weight, element in products(weight_shape, input_shape, padding=1):
        at = np.ravel_multi_index(output, outputs), np.ravel_multi_index(element, inputs)
        seen.setdefault(weight, set()).add(tuple(pixels[at].round(6)))
    assert all(len(colours) == 1 for colours in seen.values())
    assert len(set.union(*seen.values())) == math.prod(weight_shape)


def test_a_matrix_of_thousands_of_rows_loses_no_diagonal():
    drawing = draw.structure((1, 1, 3, 3), (1, 64, 64), padding=1)
    pixels = drawing.figure.axes[0].images[0].get_array()
    empty = np.array(matplotlib.colors.to_rgb(_style.EMPTY))
    filled = (abs(pixels - empty) > 1e-9).any(axis=2)
    assert max(pixels.shape) < 450
    assert filled.any(axis=1).all()
    assert filled.any(axis=0).all()


def test_the_description_of_patches_gives_their_columns():
    options = {"padding": ((0, 1), (2, 0)), "stride": (1, 2), "dilation": (2, 1)}
    columns = im2col(IMAGE[None], (2, 3), **options)
    alt = draw.patches(IMAGE, (2, 3), [1, 4], **options).alt
    for output in (1, 4):
        values = " ".join(map(str, columns[:, output]))
        assert re.search(rf"Position {output} reads [^:]*: {values}\.", alt)
    assert "Position 1 reads rows 0, 2 and columns 0, 1, 2: " in alt
    assert "Position 4 reads rows 2, 4 and columns -2, -1, 0 (5 of its 6 values fall on" in alt


def test_the_description_of_a_flipped_patch_follows_the_taps():
    alt = draw.patches([3, 1, 4], 2, [1], flip=True).alt
    assert "Position 1 reads columns 2, 1: 4 1." in alt


def test_the_kernel_of_full_extent_has_the_numbers_of_the_row_in_their_order():
    alt = draw.full_extent((2, 3), (3, 5), at=(0, 2)).alt
    row, larger = re.search(r"row of W: ([\w ]+)\.", alt)[1], alt.split("no weight: ")[1]
    assert row == "w0 w1 w2 w3 w4 w5"
    assert "on 2 × 3 inputs, one position: w0 w1 w2 | w3 w4 w5. " in alt
    assert "On 3 × 5 inputs it has 2 × 3 positions" in alt
    assert larger == ". . w0 w1 w2 | . . w3 w4 w5 | . . . . ."


@pytest.mark.parametrize("padding", [0, 1, (0, 1)])
def test_the_description_of_a_crop_names_what_differs_from_the_whole(padding):
    x, (begin, size) = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]), (2, 7)
    padding = padding if isinstance(padding, int) else (padding,)
    layers = {"a": ([1, 2, -1], {"padding": padding}), "b": ([2, 1], {"stride": 2})}
    alt = draw.crop(layers, x, begin, size).alt

    def run(row):
        first = conv(row[None], [[[1, 2, -1]]], padding=padding)
        return first[0], conv(first, [[[2, 1]]], stride=2)[0]

    both = zip(run(x), run(x[begin : begin + size]), (begin, begin // 2), "ab", strict=True)
    for whole, alone, ahead, name in both:
        same = whole[ahead : ahead + len(alone)] == alone
        told = re.search(
            rf"alone: .*\b{name} ([-\d ]+)(?:, of which ([\d, and]+) differs?)?[;.]", alt
        )
        assert told[1] == " ".join(map(str, alone))
        assert re.findall(r"\d+", told[2] or "") == [str(i) for i in np.flatnonzero(~same)]
    assert ("differ" in alt) == (padding != 0)


def test_the_description_of_a_receptive_field_follows_the_taps():
    layers = {
        "a": (3, {"padding": ((2, 1),), "dilation": 2}),
        "b": (2, {"stride": 2}),
        "c": (2, {"stride": 3}),
    }
    alt = draw.receptive_field(layers, 20, [0, 1]).alt
    for i in (0, 1):
        seen = {3 * i + a for a in range(2)}
        seen = {2 * at + a for at in seen for a in range(2)}
        seen = {at + 2 * a - 2 for at in seen for a in range(3)}
        assert f"utput {i} sees places {min(seen)} to {max(seen)}" in alt
    assert alt.endswith(f"{max(seen) - min(seen) + 1} places each, 6 apart.")
    assert "input 20, a 19, b 9, c 3." in alt
    assert "apart" not in draw.receptive_field(layers, 20, [1]).alt


@pytest.mark.parametrize("nonnegative", [True, False])
@pytest.mark.parametrize("count", range(2, 10))
def test_the_description_of_a_tournament_has_the_rounds_that_are_built(count, nonnegative):
    values = np.random.default_rng(count).integers(0 if nonnegative else -9, 10, size=count)
    alt = draw.tournament(values, nonnegative=nonnegative).alt
    net = Network([ReLU()] * nonnegative + [MaxPool(count)], (1, count))
    built = [layer for layer in to_mlp(net).layers if isinstance(layer, Dense)]
    units = re.findall(r"Round \d, (\d+) units", alt)
    assert units == [str(len(layer.weight.toarray())) for layer in built[:-1]]
    assert alt.endswith(f"The largest number is {values.max()}.".replace("-", "−"))
    candidates = values.tolist()
    for told in re.findall(r"units: ([^.]+)\.", alt):
        winners = [max(candidates[i : i + 2]) for i in range(0, len(candidates), 2)]
        ends = [re.search(r"(−?\d+)( waits)?$", match)[1] for match in told.split("; ")]
        assert [int(end.replace("−", "-")) for end in ends] == winners
        candidates = winners
    assert candidates == [values.max()]


@pytest.mark.parametrize("signed", [True, False])
def test_the_description_of_a_shortcut_says_what_arrives(signed):
    rng = np.random.default_rng(4)
    first, second = rng.integers(-2, 3, size=(2, 3)), rng.integers(-2, 3, size=(3, 2))
    x = np.array([2, -1, 3])
    alt = draw.shortcut(first, second, x, follow=1, signed=signed).alt.replace("−", "-")
    layer = second @ np.maximum(first @ x, 0)
    arrived = layer + (x if signed else np.maximum(x, 0))
    assert f"gives y = {' '.join(map(str, arrived))}" in alt
    assert (f"the layer gives is {' '.join(map(str, layer + x))}" in alt) != signed
    assert ("-I: -1 0 0 | 0 -1 0 | 0 0 -1" in alt) == signed
    assert f"Number 1 of x is -1, and {'0 - 1 = -1' if signed else 0} of it arrives at y." in alt


def test_without_negative_numbers_one_identity_is_enough():
    matrices = np.array([[1, -1], [2, 1]]), np.array([[1, 0], [-1, 1]])
    assert "but" not in draw.shortcut(*matrices, [1, 2], signed=False).alt
    assert "but" in draw.shortcut(*matrices, [1, -2], signed=False).alt


def test_the_description_of_spectra_gives_their_numbers():
    values = np.linalg.svd(np.vander([1.0, 2, 3, 4, 5]), compute_uv=False)
    alt = draw.spectrum({"Vandermonde": values[::-1], "projection": [1, 0, 1]}).alt
    assert (
        f"Vandermonde: 5 values, largest {values[0]:.3g}, middle {values[2]:.3g}, smallest "
        f"{values[4]:.3g};" in alt
    )
    assert "projection: 3 values, largest 1, middle 1, smallest 0; 1 of them 0 up to" in alt


def test_zeros_are_drawn_below_all_other_values():
    axes = draw.spectrum({"one": [4.0, 2.0, 0.0], "two": [1.0, 1e-17]}).figure.axes[0]
    drawn = np.concatenate([line.get_ydata() for line in axes.lines[:2]])
    assert (np.sort(drawn)[:2] == drawn.min()).all()
    assert 0 < drawn.min() < 1


def test_the_description_of_curves_gives_the_interval_of_student():
    alt = draw.curves(training(), x_label="epoch", y_label="loss", interval=0.9).alt
    for name, (x, runs) in training().items():
        for place in (0, -1):
            mean = runs[:, place].mean()
            low, high = stats.t.interval(0.9, 3, mean, stats.sem(runs[:, place]))
            told = f"at epoch = {x[place]} it is {mean:.3g} ± {(high - low) / 2:.3g}"
            assert told in alt, name


def test_curves_draw_each_run_as_a_point_where_asked():
    drawing = draw.curves(training(), x_label="epoch", y_label="loss", points=True)
    lines = drawing.figure.axes[0].lines
    for x, runs in training().values():
        at = np.tile(x, len(runs))
        assert any(
            np.array_equal(line.get_xdata(), at)
            and np.array_equal(line.get_ydata(), np.ravel(runs))
            and line.get_linestyle() == "None"
            for line in lines
        )
    assert "each run a point" in drawing.alt
    assert "point" not in draw.curves(training(), x_label="epoch", y_label="loss").alt


def test_the_description_of_estimates_gives_the_interval_of_student():
    samples = [[3.0, 5.0, 4.5], [7.0, 9.0]]
    for x, told in (([10, 20], ("10", "20")), (["one", "two"], ("one", "two"))):
        alt = draw.estimates({"a": (x, samples), "b": (x[:1], [[6]])}, labels=("n", "s")).alt
        for name, sample in zip(told, samples, strict=True):
            low, high = stats.t.interval(0.95, len(sample) - 1, np.mean(sample), stats.sem(sample))
            assert f"{name} {np.mean(sample):.3g} ± {(high - low) / 2:.3g}" in alt
        assert "a, 2 to 3 runs" in alt
        assert alt.endswith(f"b: {told[0]} 6.")
    alone = draw.estimates({"b": ([1, 2], [[6], [7]])}, labels=("n", "s")).alt
    assert alone == "s for each n. b: 1 6, 2 7."


def test_the_rows_of_estimates_are_those_of_all_series_in_order():
    series = {"a": (["one", "two"], [[1, 2], [3]]), "b": (["three", "two"], [[1], [4]])}
    axes = draw.estimates(series, labels=("n", "s")).figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one", "two", "three"]
    rows = [np.round(container[0].get_ydata()).tolist() for container in axes.containers]
    assert rows == [[0, 1], [2, 1]]


def test_the_description_of_costs_gives_exponents_and_break_even():
    sizes = np.array([5, 10, 20, 50])
    noise = np.array([1.1, 0.9, 1.05, 1])
    series = {"cheap": (sizes, 3 * noise * sizes), "steep": (sizes, 0.25 * noise * sizes**2)}
    alt = draw.costs(series, x_label="n", y_label="s").alt
    for name, (x, y) in series.items():
        assert f"exponent {stats.linregress(np.log(x), np.log(y)).slope:.2f}" in alt, name
    assert "cheap and steep cross at n = 12: before it steep is lower." in alt


def test_the_description_of_a_roofline_compares_each_rate_with_what_the_machine_allows():
    rising, flat = ([2, 4], [10, 30]), ([50], [60])
    alt = draw.roofline({"left": rising, "right": flat}, peak=100, bandwidth=10).alt
    assert "left: intensity 2 to 4, rate 10 to 30, 50 to 75 % of the roof." in alt
    assert "right: intensity 50, rate 60, 60 % of the roof." in alt
    assert "at 10 multiplications per byte" in alt


def test_the_points_of_a_roofline_may_have_labels():
    series = {"left": ([2, 4], [10, 30]), "right": ([50], [60])}
    drawing = draw.roofline(series, peak=100, bandwidth=10, labels={"left": ["one", ""]})
    assert "left (one): intensity 2 to 4" in drawing.alt
    assert "right: intensity 50" in drawing.alt
    assert "one" in [text.get_text() for text in drawing.figure.axes[0].texts]


LOGARITHMIC = {
    "costs": lambda: draw.costs({"a": ([8, 70], [1, 900]), "b": ([8, 70], [2, 3])}, **XY),
    "curves": lambda: draw.curves(
        {"a": ([1, 30], [[1, 2], [3, 9]])}, **XY, log_x=True, log_y=True, slopes=(-1,)
    ),
    "hardly": lambda: draw.curves({"a": ([1, 2], [[1, 2], [3, 2]])}, **XY, log_x=True, log_y=True),
    "roofline": DRAWINGS["roofline"],
    "estimates": lambda: draw.estimates({"a": ([1, 9], [[1], [80]])}, labels=AXES, log_x=True),
    "rows": lambda: draw.estimates({"a": (["n", "m"], [[1], [80]])}, labels=AXES, log_y=True),
    "spectrum": DRAWINGS["spectrum"],
}


@pytest.mark.parametrize("name", LOGARITHMIC)
def test_a_logarithmic_axis_says_so_and_has_ticks_between_powers(name):
    figure = LOGARITHMIC[name]().figure
    (axes,) = figure.axes
    above = [text.get_text() for text in figure.texts]
    found = 0
    for axis, label in ((axes.xaxis, axes.get_xlabel()), (axes.yaxis, "".join(above))):
        is_log = axis.get_scale() == "log"
        assert label.endswith("(log scale)") == is_log
        if is_log:
            low, high = sorted(axis.get_view_interval())
            between = [tick for tick in axis.get_minorticklocs() if low <= tick <= high]
            expected = {n * 10.0**k for k in range(-9, 15) for n in range(2, 10)}
            expected = sorted(tick for tick in expected if low <= tick <= high)
            majors = axis.get_majorticklocs()
            assert set(between) <= set(expected)
            assert set(np.round(expected, 12)) <= set(np.round([*between, *majors], 12))
            found += 1
    assert found


@pytest.mark.parametrize("name", ["curves", "costs", "estimates_numbers", "roofline", "spectrum"])
def test_no_line_leaves_the_axes_and_every_series_is_in_the_key(name):
    """A line from a curve to its name would read as more of the curve."""
    figure = DRAWINGS[name]().figure
    (axes,) = figure.axes
    (key,) = figure.legends
    assert all(line.get_clip_on() for line in axes.lines)
    assert all(line.get_transform() != axes.transAxes for line in axes.lines)
    FigureCanvasAgg(figure).draw()
    assert key.get_window_extent().y0 >= axes.get_window_extent().y1
    drawn = {(line.get_color(), line.get_marker()) for line in axes.lines}
    for handle, text in zip(key.legend_handles, key.get_texts(), strict=True):
        assert (handle.get_color(), handle.get_marker()) in drawn
        assert text.get_text()


def test_a_note_is_on_the_drawing_and_in_its_description():
    note = "batch of 16, float32"
    for drawing in (
        draw.costs({"a": ([1, 2], [1, 2])}, **XY, note=note),
        draw.curves(training(), **XY, note=note),
        draw.estimates({"a": ([1, 2], [[1], [2]])}, labels=AXES, note=note),
        draw.estimates({"a": (["n"], [[1]])}, labels=AXES, note=note),
        draw.roofline({"a": ([1], [1])}, **ROOF, note=note),
    ):
        assert note in [text.get_text() for text in drawing.figure.texts]
        assert f" {note}." in drawing.alt


def test_a_guide_line_has_its_slope():
    shown = draw.costs({"a": ([1, 100], [1, 1000])}, **XY, slopes=(2, -0.5)).figure.axes[0]
    dotted = [line for line in shown.lines if line.get_color() == "#777777"]
    slopes = [
        np.diff(np.log(line.get_ydata())) / np.diff(np.log(line.get_xdata())) for line in dotted
    ]
    np.testing.assert_allclose(np.ravel(slopes), [2, -0.5])


def test_costs_that_do_not_cross_are_compared():
    one, two, other = ([1, 10], [1, 10]), ([1, 10], [3, 20]), ([20, 30], [1, 1])
    alt = draw.costs({"a": one, "b": two, "c": other}, x_label="n", y_label="s").alt
    assert "a is lower than b at all sizes they share, by a factor of 2 to 3." in alt
    assert "a and c have no size in common." in alt
    same = draw.costs({"a": one, "b": one}, x_label="n", y_label="s", slopes=()).alt
    assert same.endswith("a and b cost the same.")


def test_series_that_meet_and_part_again_do_not_cross():
    series = {"a": ([1, 2, 4], [1, 4, 9]), "b": ([1, 2, 4], [2, 4, 10])}
    alt = draw.costs(series, x_label="n", y_label="s").alt
    assert "a is nowhere higher than b" in alt
    crossing = {"a": ([1, 2, 4], [1, 4, 11]), "b": ([1, 2, 4], [2, 4, 10])}
    assert "cross at n = 2:" in draw.costs(crossing, x_label="n", y_label="s").alt


def test_the_scale_of_a_heat_map_begins_at_zero_where_nothing_is_negative():
    assert draw.heat({"a": [[0, 3]]}, of="counts").alt.startswith("Counts on one scale from 0 to 3")
    assert "from -3 to 3" in draw.heat({"a": [[0, 3]], "b": [[-1, 0]]}).alt


def test_the_description_of_a_heat_map_gives_values_or_extremes():
    plane = np.sin(np.arange(40.0)).reshape(4, 10)
    alt = draw.heat({"small": [[1, -2]], "large": plane}).alt
    assert "one scale from -2 to 2" in alt
    assert "small (1 × 2): 1 -2" in alt
    assert f"least {plane.min():.3g} in row 1, column 1" in alt
    assert f"{(plane < 0).sum()} values negative, 1 zero, {(plane > 0).sum()} positive" in alt


# One of each way to draw: cells, blocks, patches, series, a heat map.
@pytest.mark.parametrize("name", ["layer", "structure_channels", "patches", "curves", "heat"])
def test_the_same_drawing_is_the_same_file_every_time(name):
    first = DRAWINGS[name]().png(dpi=DPI)
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "font.family": "serif"}):
        assert DRAWINGS[name]().png(dpi=DPI) == first


def written(drawing):
    """Yield each text of a drawing with its box in inches and its size in points."""
    FigureCanvasAgg(drawing.figure).draw()
    undrawn = set()
    for axes in drawing.figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = axis.get_major_ticks()
            shown = [axes.axison and low <= tick.get_loc() <= high for tick in ticks]
            undrawn |= {t.label1 for t, is_shown in zip(ticks, shown, strict=True) if not is_shown}
    inches = drawing.figure.dpi_scale_trans.inverted()
    for text in set(drawing.figure.findobj(Text)) - undrawn:
        if text.get_text().strip() and text.get_visible():
            yield text.get_text(), text.get_window_extent().transformed(inches), text


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_text_is_large_enough_and_inside_the_figure(name):
    drawing = DRAWINGS[name]()
    width, height = drawing.figure.get_size_inches()
    assert width == draw.WIDTH
    for told, box, text in written(drawing):
        assert text.get_fontsize() >= 8, told
        assert box.x0 >= 0, told
        assert box.x1 <= width, told
        assert box.y0 >= 0, told
        assert box.y1 <= height, told


@pytest.mark.parametrize("name", [n for n in DRAWINGS if n not in {"patches", "patches_dilated"}])
def test_no_text_lies_on_another(name):
    boxes = [(told, box) for told, box, _ in written(DRAWINGS[name]())]
    for (told, box), (other, beside) in combinations(boxes, 2):
        apart = (
            min(box.x1, beside.x1) - max(box.x0, beside.x0) < 0.01
            or min(box.y1, beside.y1) - max(box.y0, beside.y0) < 0.03
        )
        assert apart, (told, other)


def luminance(colour):
    """Return the relative luminance of WCAG 2."""
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in matplotlib.colors.to_rgb(colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(colour, ground):
    light, dark = sorted((luminance(colour) + 0.05, luminance(ground) + 0.05), reverse=True)
    return light / dark


def test_lines_stand_out_from_the_paper_and_labels_from_the_cells():
    assert all(contrast(line.colour, draw.PAPER) >= 3 for line in draw.LINES)
    assert all(contrast(_style.INK, colour) >= 4.5 for colour in draw.TAP_COLOURS)


def test_no_two_lines_share_a_colour_a_marker_or_a_dash():
    for kind in zip(*draw.LINES, strict=True):
        assert len(set(map(str, kind))) == len(draw.LINES)


@pytest.mark.parametrize("ramp", [_style.RAMP, *HUES])
def test_the_weights_of_a_kernel_get_darker_from_tap_to_tap(ramp):
    light = [luminance(colour) for colour in ramp]
    assert light == sorted(light, reverse=True)
    assert contrast(ramp[0], ramp[-1]) > 3


def test_a_marked_output_changes_the_picture():
    assert draw.layer(KERNEL, SIGNAL, output=0).png() != draw.layer(KERNEL, SIGNAL, output=2).png()


def test_a_notebook_gets_the_picture_with_its_description():
    data, metadata = draw.layer(KERNEL, SIGNAL)._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == data["text/plain"]
    pixels = matplotlib.image.imread(io.BytesIO(data["image/png"]))
    assert pixels.shape[1] == draw.WIDTH * draw.DPI


def test_each_weight_has_its_own_colour_in_the_picture():
    pixels = matplotlib.image.imread(io.BytesIO(draw.layer(KERNEL, SIGNAL).png()))[..., :3]
    found = {tuple(colour) for colour in (pixels.reshape(-1, 3) * 255).round().astype(int)}
    for colour in draw.TAP_COLOURS[:3]:
        assert tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5)) in found


def test_images_are_named_with_their_sizes():
    alt = draw.images({"one": np.zeros((2, 3)), "two": np.eye(4)}, of="test images").alt
    assert alt == "Grey test images side by side: one (2 × 3 pixels), two (4 × 4 pixels)."


def test_equal_labels_of_grids_are_spelled_out_and_share_a_colour():
    drawing = draw.grids({"one": [["a", 0], ["", "b"]], "other": ["b"]})
    assert drawing.alt.endswith("one: a . | . b; other: b.")
    cells = [patch for axes in drawing.figure.axes for patch in axes.patches]
    colours = [matplotlib.colors.to_hex(patch.get_facecolor()).upper() for patch in cells]
    first, second = draw.TAP_COLOURS[:2]
    assert colours == [first, _style.EMPTY.upper(), _style.EMPTY.upper(), second, second]


def test_grids_draw_the_lines_of_blocks():
    plain, lined = ({"t": np.full((4, 6), "a")}, {"blocks": (2, 3)})
    assert draw.grids(plain).png() != draw.grids(plain, **lined).png()


XY = {"x_label": "n", "y_label": "s"}
ROOF = {"peak": 1, "bandwidth": 1}
REFLECTED = {"padding": 1, "padding_mode": "reflect"}
AXES = ("n", "s")


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: draw.layer(KERNEL, SIGNAL, output=3), r"output \(=3\).* 0 to 2"),
        (lambda: draw.layer(np.ones((1, 2, 3)), np.ones((2, 5))), "weight_shape"),
        (lambda: draw.layer(np.ones((1, 1, 2, 2, 2)), np.ones((1, 3, 3, 3))), "weight_shape"),
        (lambda: draw.matrices({}, (1, 1, 3), (1, 5)), "cases"),
        (lambda: draw.inclusions((1, 1, 3), (1, 9)), r"weight_shape .* 7 × 9"),
        (lambda: draw.inclusions((9, 1, 1), (1, 1)), r"weight_shape .* 9 × 1"),
        (
            lambda: draw.inclusions((1, 1, 3), (1, 4), padding=1, padding_mode="reflect"),
            r"padding_mode \(='reflect'\)",
        ),
        (lambda: draw.images({}), "planes"),
        (lambda: draw.images({"line": np.ones(3)}), "planes"),
        (lambda: draw.images({"square": np.eye(3)}, across=0), r"across \(=0\).* at least 1"),
        (lambda: draw.matrices({"one": {}}, (1, 1, 3), (1, 5), across=True), "across"),
        (lambda: draw.structure((1, 1, 3), (2, 5)), "weight_shape"),
        (lambda: draw.structure((64, 64, 3, 3), (64, 56, 56)), "weight_shape.* 5000000"),
        (lambda: draw.structure((1, 1, 3), (1, 5), strides=2), "strides"),
        (lambda: draw.patches(IMAGE, 3, []), r"outputs \(=\[\]\).* 0 to 3"),
        (lambda: draw.patches(IMAGE, 3, [4]), r"outputs \(=\[4\]\).* 0 to 3"),
        (lambda: draw.patches(IMAGE, 3, [1, 1]), "different"),
        (lambda: draw.patches(IMAGE, 3, 1), r"outputs \(=1\)"),
        (lambda: draw.patches(IMAGE, 3, [0.5]), "outputs"),
        (lambda: draw.patches(IMAGE, 1, range(7)), "one to 6"),
        (lambda: draw.patches(IMAGE[None], 3, [0]), r"image \(of shape \(1, 4, 4\)"),
        (lambda: draw.patches(IMAGE * 1j, 3, [0]), "image .* real"),
        (lambda: draw.patches(IMAGE, 5, [0]), "weight_shape"),
        (lambda: draw.shared_gradient((2, 1, 2), [[1, 2]], [[1], [1]]), r"weight_shape .*\(1, 1"),
        (lambda: draw.shared_gradient((1, 1, 2), [[1, 2, 3]], [[1]]), r"g \(of shape \(1, 1\)\)"),
        (lambda: draw.transpose((1, 2, 2), (2, 3), column=0), r"weight_shape .*\(1, 1"),
        (lambda: draw.transpose((1, 1, 2), (1, 3), column=3), r"column \(=3\) .* 0 to 2"),
        (lambda: draw.transpose((1, 1, 2), (1, 3), column=-1), r"column \(=-1\)"),
        (lambda: draw.column_counts({}), r"cases \(={}\)"),
        (lambda: draw.column_counts({"a": ((1, 2, 2), (2, 3), {})}), r"weight_shape .*\(1, 1"),
        (lambda: draw.full_extent((3, 3), (2, 4)), "weight_shape"),
        (lambda: draw.full_extent((2, 2), (3, 4), at=(2, 0)), r"at \(=\(2, 0\)\).* 2 × 3"),
        (lambda: draw.crop({}, [1, 2], 0, 2), r"layers \(={}\)"),
        (lambda: draw.crop({"a": ([1], {"stride": 2})}, [1, 2, 3], 1, 2), r"begin \(=1\).* 2"),
        (lambda: draw.crop({"a": ([1], {})}, [1, 2, 3], 2, 2), r"size \(=2\).* 3 numbers"),
        (lambda: draw.crop({"a": ([1], {})}, [[1, 2, 3]], 0, 2), r"x \(of shape \(1, 3\)\)"),
        (lambda: draw.crop({"a": ([[1]], {})}, [1, 2, 3], 0, 2), r"a \(of shape \(1, 1\)\)"),
        (lambda: draw.crop({"a": ([1, 1], REFLECTED)}, [1, 2, 3], 0, 2), "padding_mode .*zeros"),
        (lambda: draw.receptive_field({}, 4, [0]), r"layers \(={}\)"),
        (lambda: draw.receptive_field({"a": (2, {})}, 4, [3]), r"outputs \(=\[3\]\).* 0 to 2"),
        (lambda: draw.receptive_field({"a": (2, {})}, 4, []), r"outputs \(=\[\]\)"),
        (lambda: draw.tournament([3]), r"window \(of shape \(1, 1\)\) .* two to 9"),
        (lambda: draw.tournament(np.ones((2, 5))), r"window \(of shape \(2, 5\)\)"),
        (lambda: draw.tournament([1, 2j]), "window .* real"),
        (lambda: draw.tournament([1, -2], nonnegative=True), r"window \(with -2\).* negative"),
        (lambda: draw.tournament(1000 * np.eye(3)), r"window .* too long"),
        (lambda: draw.shortcut([[1]], [[1]], 3), r"x \(of shape \(\)\)"),
        (lambda: draw.shortcut([[1, 2]], [[1]], [3]), r"first \(of shape \(1, 2\)\).* 1\)"),
        (lambda: draw.shortcut([[1, 2]], [[1]], [3, 4]), r"second .* must be \(2, 1\)"),
        (lambda: draw.shortcut([[1]], [[1]], [3], follow=1), r"follow \(=1\).* 0 to 0"),
        (lambda: draw.shortcut(np.eye(9), np.eye(9), range(9)), r"first .* too many"),
        (lambda: draw.spectrum({}), r"values \(=\[\]\).* one to 6"),
        (lambda: draw.spectrum([1, 2]), r"values \(=\[1, 2\]\)"),
        (lambda: draw.spectrum({str(i): [1] for i in range(7)}), "one to 6"),
        (lambda: draw.spectrum({"a": [1, -1]}), r"values\['a'\] \(from -1 to 1\).* negative"),
        (lambda: draw.spectrum({"a": [0, 0]}), "not all 0"),
        (lambda: draw.spectrum({"a": [1j]}), "real"),
        (lambda: draw.spectrum({"a": [np.nan, 1]}), "finite"),
        (lambda: draw.spectrum({"a": [[1]]}), r"shape \(1, 1\)"),
        (lambda: draw.curves({"a": ([1, 2], [[1, 2]])}, **XY), r"series\['a'\]\[1\].* 2"),
        (lambda: draw.curves({"a": ([1, 2], np.ones((2, 3)))}, **XY), r"\(n_runs, 2\)"),
        (lambda: draw.curves({"a": ([2, 1], np.ones((2, 2)))}, **XY), "ascending"),
        (lambda: draw.curves({"a": [1, 2, 3]}, **XY), "pair"),
        (lambda: draw.curves({"a": ([0, 1], np.ones((2, 2)))}, **XY, log_x=True), "least x 0"),
        (lambda: draw.curves({"a": ([1, 2], -np.ones((2, 2)))}, **XY, log_y=True), "least y -1"),
        (lambda: draw.curves({"a": ([1, 2], np.full((2, 2), np.inf))}, **XY), "finite"),
        (lambda: draw.curves(training(), **XY, interval=95), r"interval \(=95\)"),
        (lambda: draw.estimates({}, labels=AXES), r"series \(=\[\]\)"),
        (lambda: draw.estimates({"a": ([1], [[2]])}, labels=AXES, interval=95), "interval"),
        (lambda: draw.estimates({"a": [[1]]}, labels=AXES), "pair"),
        (lambda: draw.estimates({"a": ([1, 2], [[2]])}, labels=AXES), "2 x and 1 samples"),
        (lambda: draw.estimates({"a": ([1], [[]])}, labels=AXES), r"at 1 .*shape \(0,\)"),
        (lambda: draw.estimates({"a": ([1], [[np.nan]])}, labels=AXES), "finite"),
        (lambda: draw.estimates({"a": ([2, 1], [[2], [2]])}, labels=AXES), "ascending"),
        (lambda: draw.estimates({"a": (["n", "n"], [[2], [2]])}, labels=AXES), "different"),
        (lambda: draw.estimates({"a": (["n"], [[2]])}, labels=AXES, log_x=True), "without log_x"),
        (lambda: draw.estimates({"a": ([1], [[-2]])}, labels=AXES, log_y=True), "least mean -2"),
        (lambda: draw.costs({"a": ([1, 2], [1, 0])}, **XY), "positive"),
        (lambda: draw.costs({"a": ([1, 2], [1])}, **XY), "one cost for each"),
        (lambda: draw.costs({"a": ([1], [1])}, **XY), "two or more"),
        (lambda: draw.costs({"a": ([1, 2], [1, 2])}, **XY, slopes=(0,)), r"slopes \(=\(0,\)\)"),
        (lambda: draw.curves(training(), **XY, slopes=(1,)), "need log_x and log_y"),
        (lambda: draw.roofline({}, **ROOF), "one to 6"),
        (lambda: draw.roofline({"a": [1]}, **ROOF), "pair"),
        (lambda: draw.roofline({"a": ([1], [1, 2])}, **ROOF), r"shapes \(1,\) and \(2,\)"),
        (lambda: draw.roofline({"a": ([1], [0])}, **ROOF), "positive and finite"),
        (lambda: draw.roofline({"a": ([1], [1])}, peak=0, bandwidth=1), r"peak \(=0\)"),
        (lambda: draw.grids({}), "tables"),
        (lambda: draw.grids({"a": np.ones((1, 1, 1))}), r"tables\['a'\] \(of shape"),
        (lambda: draw.grids({"a": ["b"]}, across=0), "across"),
        (lambda: draw.grids({"a": ["b"]}, blocks=(1,)), r"blocks \(=\(1,\)\).* pair"),
        (lambda: draw.grids({"a": ["b"]}, blocks=(-1, 0)), "negative"),
        (lambda: draw.grids({"a": ["b"]}, names="ab c"), "names"),
        (lambda: draw.grids({"a": ["a wide label"]}), "too wide"),
        (lambda: draw.roofline({"a": ([1], [1])}, **ROOF, labels={"b": ["1"]}), r"labels has 'b'"),
        (
            lambda: draw.roofline({"a": ([1], [1])}, **ROOF, labels={"a": []}),
            "each of its 1 points",
        ),
        (lambda: draw.heat({}), "planes"),
        (lambda: draw.heat({"a": np.ones((1, 1, 1))}), r"planes\['a'\] \(of shape"),
        (lambda: draw.heat({"a": [1j]}), "real"),
        (lambda: draw.heat({"a": [np.inf]}), "finite"),
        (lambda: draw.heat({"a": [1]}, across=0), "across"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_the_reason(action, message):
    with pytest.raises((ValueError, TypeError), match=message):
        action()


@pytest.mark.parametrize("runs", [2.0, [], [1.0]])
def test_an_interval_of_fewer_than_two_runs_is_refused(runs):
    with pytest.raises(ValueError, match="at least two runs"):
        draw.half_width(runs)


@pytest.mark.parametrize("interval", [0, 1, 95, math.nan])
def test_the_probability_of_an_interval_lies_between_0_and_1(interval):
    with pytest.raises(ValueError, match="between 0 and 1"):
        draw.half_width([1.0, 2.0], interval)
