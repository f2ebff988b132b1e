"""The linked picture: what it holds is what the library says; the browser tests see it drawn."""

import html
import json
import re
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from cases import CASES
from reference import integers

import equivlib
from equivlib import Geometry, conv, conv_matrix, explore, tap_matrix
from equivlib.explorer.page import SCRIPTS, script
from equivlib.layers import Conv, MaxPool, Network, ReLU

EDGES = np.array([[[[1, 0, -1], [2, 0, -2], [1, 0, -1]]]])


def matrix_of(facts):
    """Return W again from the facts alone, following the links as the script does."""
    values = [int(value) for value in facts["k"]["values"]]
    W = np.zeros((len(facts["y"]["labels"]), len(facts["x"]["labels"])), dtype=int)
    positions = len(W) // len(facts["weights"])
    for row, places in enumerate(facts["reads"]):
        for weight, place in zip(facts["weights"][row // positions], places, strict=True):
            if facts["columns"][place] >= 0:
                W[row, facts["columns"][place]] += values[weight]
    return W


def drawable(case):
    return len(case.weight) <= 4 and Geometry(case.weight, case.input, **case.options).nnz <= 20_000


def each(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.id)


def short(case):
    return max(np.prod(case.weight), np.prod(case.input)) <= 200


DRAWABLE = [case for case in CASES if drawable(case)]
each_drawable = each(DRAWABLE)


@each([case for case in CASES if not drawable(case)])
def test_what_is_too_large_to_be_pointed_at_is_refused(case):
    with pytest.raises(ValueError, match=r"spatial axes|can be pointed at"):
        explore(np.ones(case.weight, dtype=int), case.input, **case.options)


@each_drawable
def test_its_links_are_the_matrix_and_its_numbers_the_results(case):
    weight, x = integers(case.weight, 0), integers(case.input, 1)
    facts = explore(weight, case.input, x=x, **case.options).facts()
    W = conv_matrix(weight, case.input, **case.options)
    np.testing.assert_array_equal(matrix_of(facts), W.toarray())
    assert facts["y"]["values"] == [str(value) for value in W @ x.ravel()]
    assert facts["x"]["back"] == [str(value) for value in W.T @ (W @ x.ravel())]
    assert facts["x"]["values"] == [str(value) for value in x.ravel()]
    assert facts["k"]["counts"] == [
        tap_matrix(tap, case.weight, case.input, **case.options).nnz
        for tap in np.ndindex(*case.weight)
    ]
    for at, value in facts["sums"].items():
        assert value == str(W.toarray().flat[at])


@each_drawable
def test_a_reason_is_given_only_where_the_entry_is_empty(case):
    geometry = Geometry(case.weight, case.input, **case.options)
    facts = explore(np.ones(case.weight, dtype=int), case.input, **case.options).facts()
    one = (1, 1, *geometry.kernel_size), (1, *geometry.spatial_shape)
    options = {**geometry.options, "groups": 1}
    W = conv_matrix(np.ones(one[0], dtype=int), one[1], format="dense", **options)
    for reason in ("gaps", "edges"):
        for position, inputs in enumerate(facts["why"].get(reason, [])):
            assert not W[position, list(inputs)].any()


@each_drawable
def test_it_starts_at_an_output_that_reads_as_much_as_any(case):
    weight = np.ones(case.weight, dtype=int)
    W = conv_matrix(weight, case.input, **case.options)
    read = np.diff(W.indptr)
    start = explore(weight, case.input, **case.options).facts()["y"]["start"]
    most = np.flatnonzero(read == read.max())
    assert start == most[len(most) // 2]


def test_it_starts_inside_where_no_weight_meets_the_padding():
    facts = explore(EDGES, (1, 4, 4), padding=1).facts()
    assert facts["y"]["labels"][facts["y"]["start"]] == "y21"
    assert -1 not in [facts["columns"][place] for place in facts["reads"][facts["y"]["start"]]]


def test_an_input_between_two_taps_is_called_a_gap():
    facts = explore([[[1, 1]]], (1, 5), dilation=3).facts()
    assert facts["why"] == {"gaps": [[1, 2], [2, 3]]}


def test_a_diagonal_that_breaks_off_at_the_edge_is_explained():
    # Of the output at the end of the first line, the tap to its right meets padding; one column on
    # stands the first pixel of the second line, which the diagonal would have read.
    facts = explore([[[[0, 0, 1]]]], (1, 2, 3), padding=((0, 0), (1, 1))).facts()
    assert facts["why"]["edges"][2] == {3: 2}


def test_groups_are_told_where_there_are_some():
    assert "groups" not in explore(np.ones((2, 2, 1)), (2, 3)).facts()["why"]
    shown = explore(np.ones((4, 1, 1)), (2, 3), groups=2).facts()
    assert shown["why"]["groups"] == [[0, 1], [0, 0, 1, 1]]


@each([case for case in DRAWABLE if short(case)])
def test_its_code_makes_the_matrix_and_the_same_layer_in_pytorch(case):
    weight, x = integers(case.weight, 0), integers(case.input, 1)
    code = explore(weight, case.input, x=x, **case.options).facts()["code"]
    ours, theirs = code.split("\n\n# the same layer, in PyTorch\n")
    made = run(ours)
    W = conv_matrix(weight, case.input, **case.options)
    assert abs(made["W"] - W).sum() == 0
    np.testing.assert_array_equal(made["y"], W @ x.ravel())
    pytest.importorskip("torch", reason="PyTorch is not installed")
    y = run(theirs)["y"].detach().numpy()
    np.testing.assert_array_equal(y, conv(x, weight, **case.options))


def test_its_code_for_a_large_layer_runs_too():
    code = explore(np.ones((1, 1, 3, 3)), (1, 16, 16)).facts()["code"]
    ours, theirs = code.split("\n\n# the same layer, in PyTorch\n")
    y = run(ours)["y"]
    pytest.importorskip("torch", reason="PyTorch is not installed")
    np.testing.assert_array_equal(run(theirs)["y"].detach().numpy().ravel(), y)


def run(code):
    """Return the names that lines of Python leave behind."""
    names = {}
    exec(compile(code, "the code to copy", "exec"), names)
    return names


def test_fractions_and_complex_numbers_are_shown_exactly():
    shown = explore([[[Fraction(1, 3), Fraction(1, 6)]]], (1, 2), x=[[1, 2]])
    assert shown.facts()["y"]["values"] == ["2/3"]
    assert run(shown.facts()["code"].split("\n\n# the same")[0])["W"].shape == (1, 2)
    assert explore([[[1 + 2j]]], (1, 1), x=[[1j]]).facts()["y"]["values"] == ["-2+1j"]


def test_it_is_the_same_text_every_time():
    first, second = (explore(EDGES, (1, 4, 4), padding=1) for _ in range(2))
    assert first._repr_html_() == second._repr_html_()
    assert first._repr_svg_() == second._repr_svg_()


def test_it_is_small():
    """The script, which the book takes out of its pages, does not count."""
    shown = explore(EDGES, (1, 4, 4), padding=1)._repr_html_()
    element, _, rest = shown.partition("<script data-shared>")
    assert rest == f"{script()}</script>"
    assert len(element.encode()) <= 40_000


def test_its_script_is_the_files_as_they_are():
    static = Path(equivlib.explorer.__file__).parent / "static"
    assert {path.name for path in static.glob("*.js")} == set(SCRIPTS)
    joined = script()
    for path in static.glob("*.js"):
        assert path.read_text(encoding="utf-8") in joined
    assert "</script" not in joined


def test_it_asks_nobody_for_anything():
    shown = explore(EDGES, (1, 4, 4))._repr_html_().replace("http://www.w3.org/", "")
    assert not re.search(r"https?:|\bsrc=|@import|url\(|fetch\(|import\(|eval\(", shown)


def test_labels_are_text_whatever_they_are():
    label = "<script>alert('1')</script>&\"</one-matrix>"
    shown = explore([[[1, 2]]], (1, 3), names=label, variants={label: {}})
    page = shown._repr_html_()
    assert page.count("<script") == 1
    assert page.count("</one-matrix") == 1
    data = json.loads(html.unescape(re.search(r"data='([^']*)'", page)[1]))
    assert data["names"] == label
    assert shown.facts()["k"]["labels"] == [label + "0", label + "1"]
    assert data["settings"][0]["title"] == label
    assert label + "0" in [node.text for node in ElementTree.fromstring(shown._repr_svg_()).iter()]


def test_the_static_picture_is_whole_and_described():
    shown = explore(EDGES, (1, 4, 4))
    picture = ElementTree.fromstring(shown._repr_svg_())
    assert picture.get("role") == "img"
    assert picture.get("aria-label") == repr(shown)
    texts = [node.text for node in picture.iter() if node.tag.endswith("text")]
    assert texts.count("k11") == 1 + 4


def test_a_large_matrix_is_an_image_in_the_static_picture_too():
    shown = explore(np.ones((1, 1, 3, 3)), (1, 16, 16), padding=1)
    assert len(shown._repr_svg_()) < 100_000
    assert "W is 256 × 256" in repr(shown)


STILL = [
    explore(EDGES, (1, 4, 4)),
    explore(np.arange(1, 13).reshape(2, 1, 6) * 100, (1, 12), padding=3, padding_mode="reflect"),
    explore(np.ones((1, 1, 3, 3)), (1, 16, 16), padding=1),
    equivlib.explore_network(Network([Conv([[[1, -1]]]), ReLU(), MaxPool(2)], (1, 6))),
]


def luminance(colour):
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("shown", STILL)
def test_labels_of_the_static_picture_have_twelve_pixels(shown):
    picture = ElementTree.fromstring(shown._repr_svg_())
    _, _, wide, tall = map(float, picture.get("viewBox").split())
    assert (float(picture.get("width")), float(picture.get("height"))) == (wide, tall)
    assert "max-width" not in picture.get("style", "")
    sizes = re.findall(r'font-size="([\d.]+)"', shown._repr_svg_())
    assert min(map(float, sizes)) >= 12


@pytest.mark.parametrize("shown", STILL)
def test_every_mark_of_the_static_picture_can_be_told_from_its_ground(shown):
    """A cell has a line around it of 3 to 1, or is itself of that contrast to what is behind it."""
    space = "{http://www.w3.org/2000/svg}"
    picture = ElementTree.fromstring(shown._repr_svg_())
    paper = picture.find(f"{space}path").get("fill")
    seen = 0
    for panel in picture.findall(f"{space}g"):
        ground = panel.find(f"{space}path")  # of W; other cells lie on the paper
        behind = paper if ground is None else ground.get("fill")
        assert ground is None or contrast(ground.get("stroke"), paper) >= 3
        for group in panel.findall(f"{space}g"):
            for mark in group.findall(f"{space}path"):
                line = group.get("stroke")
                assert contrast(mark.get("fill") if line == "none" else line, behind) >= 3
                assert line == "none" or contrast(mark.get("fill"), picture.get("fill")) >= 4.5
                seen += 1
    assert seen >= 3


def test_settings_change_options_and_weight():
    depthwise = np.ones((2, 1, 2), dtype=int)
    shown = explore(
        np.ones((2, 2, 2), dtype=int),
        (2, 3),
        stride=1,
        variants={"all": {}, "two groups": {"groups": 2, "weight": depthwise}},
    )
    assert matrix_of(shown.facts(0)).sum() == 16
    assert matrix_of(shown.facts(1)).sum() == 8
    assert shown.facts(1)["title"] == "two groups"
    assert repr(shown).endswith("2 settings")


def test_facts_are_a_copy():
    shown = explore([[[1, 2]]], (1, 3))
    shown.facts()["k"]["labels"][0] = "another"
    assert shown.facts()["k"]["labels"] == ["k0", "k1"]


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: explore(np.ones((1, 1, 1, 1, 1)), (1, 2, 2, 2)), "one or two spatial axes"),
        (lambda: explore(np.ones((1, 1, 3, 3)), (1, 40, 40)), r"1444 × 1600 .* at most 1024"),
        (lambda: explore(np.ones((64, 64, 1)), (64, 16)), r"65536 entries; .* 20000"),
        (lambda: explore([[[1, 2]]], (1, 3), variants={}), r"variants \(=\{\}\)"),
        (lambda: explore([[[1, 2]]], (1, 3), x=[1, 2, 3]), r"x \(of shape \(3,\)\)"),
        (lambda: explore([[[1, 2]]], (1, 3), y=[1, 2]), r"y \(of shape \(2,\)\)"),
        (lambda: explore([[[1]]], (1, 3), start={"step": 1}), r"start \(with 'step'\) must"),
        (lambda: explore([[[1]]], (1, 3), start={"guide": 7}), r"start\['guide'\] \(=7\)"),
        (lambda: explore([[[1]]], (1, 3), start={"at": "y3"}), r"start\['at'\] \(='y3'\) must"),
        (lambda: explore([[[1]]], (1, 3), start={"at": "W[3, 0]"}), r"\(='W\[3, 0\]'\) must"),
        (lambda: explore([[[1]]], (1, 3), start={"setting": "a"}), r"start\['setting'\] \(='a'\)"),
        (lambda: explore([[[1]]], (1, 3), controls=["all"]), r"controls \(with 'all'\)"),
        (lambda: explore([[[1, 2]]], (1, 3), stride=0), r"stride \(=0\)"),
        (lambda: explore([[[1, 2]]], (1, 3), variants={"a": {"stride": 0}}), r"stride \(=0\)"),
    ],
)
def test_what_cannot_be_shown_is_refused_before_any_work(action, message):
    with pytest.raises(ValueError, match=message):
        action()


def test_the_name_is_the_function():
    assert callable(equivlib.explore)
    assert isinstance(equivlib.explore([[[1]]], (1, 1)), equivlib.Explorer)
