"""The numbers of the picture: its one index rule, and what it computes, against the library."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

import equivlib
from equivlib import Geometry, conv_matrix, explore, project, recognize
from equivlib.explorer.page import script
from equivlib.labels import labels, written

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "library"))

from cases import CASES
from reference import integers

MODES = ("zeros", "circular", "reflect", "replicate", "symmetric")
GEOMETRIES = 5000


def told(geometry):
    """Return a layer as the page is told it."""
    return {
        "input": list(geometry.input_shape),
        "weight": list(geometry.weight_shape),
        "stride": list(geometry.stride),
        "padding": [list(pair) for pair in geometry.padding],
        "dilation": list(geometry.dilation),
        "groups": geometry.groups,
        "mode": geometry.padding_mode,
        "flip": geometry.flip,
    }


def random_geometry(rng):
    """Return any layer of one or two axes that has an output."""
    while True:
        ndim, groups = rng.integers(1, 3), int(rng.integers(1, 3))
        shape = groups * int(rng.integers(1, 3)), *rng.integers(1, 7, ndim).tolist()
        weight = groups * int(rng.integers(1, 3)), shape[0] // groups
        try:
            return Geometry(
                (*weight, *rng.integers(1, 5, ndim).tolist()),
                shape,
                stride=tuple(rng.integers(1, 4, ndim).tolist()),
                dilation=tuple(rng.integers(1, 4, ndim).tolist()),
                padding=tuple(map(tuple, rng.integers(0, 4, (ndim, 2)).tolist())),
                groups=groups,
                padding_mode=str(rng.choice(MODES)),
                flip=bool(rng.integers(2)),
            )
        except ValueError:  # the kernel is wider than the padded input
            continue


@pytest.fixture(scope="module")
def random_cases():
    """Layers with a weight, and each entry that the library's matrix has."""
    rng, found = np.random.default_rng(17), []
    for _ in range(GEOMETRIES):
        geometry = random_geometry(rng)
        weight = rng.integers(1, 10**6, geometry.weight_shape)
        matrix = conv_matrix(weight, geometry.input_shape, **geometry.options).tocoo()
        at = matrix.row.astype(int) * matrix.shape[1] + matrix.col
        found.append(
            {
                "layer": told(geometry),
                "k": weight.ravel().tolist(),
                "outputs": list(geometry.output_shape),
                "at": at.tolist(),
                "values": matrix.data.tolist(),
            }
        )
    return found


@pytest.fixture(scope="module")
def model(browser):
    """A page in which the functions of the scripts are global, and no element is defined."""
    page = browser.new_page()
    inner = script().partition("return;\n")[2].rpartition("customElements.define(`one-matrix-l")[0]
    page.add_script_tag(content=f'const VERSION = "0";\n{inner}')
    yield page
    page.close()


#: Returns the cases in which some entry differs, and how many entries agree.
COMPARE = """cases => {
  let [entries, wrong] = [0, []];
  cases.forEach(({ layer, k, outputs, at, values }, n) => {
    const layout = layoutOf(layer);
    const state = { x: [], k, tie: "convolution", W: null };
    const shape = [layout.outputs[0], ...layout.outputs.slice(3 - layer.stride.length)];
    const found = [...layout.entries.keys()].sort((a, b) => a - b);
    const same = String(shape) === String(outputs) && String(found) === String(at)
      && found.every((entry, i) => entryOf(layout, state, entry) === values[i]);
    if (same) entries += at.length;
    else wrong.push(n);
  });
  return { entries, wrong };
}"""


def test_the_index_rule_is_that_of_the_library(model, random_cases):
    assert len(random_cases) >= 5000
    modes = [case["layer"]["mode"] for case in random_cases]
    assert min(map(modes.count, MODES)) >= 900
    found = model.evaluate(COMPARE, random_cases)
    assert found["wrong"] == []
    assert found["entries"] == sum(len(case["at"]) for case in random_cases) > 200_000


@pytest.mark.parametrize(
    ("rule", "planted"),
    [
        ("shown", "(place, n, mode) => right(place, n, mode === 'reflect' ? 'symmetric' : mode)"),
        ("shown", "(place, n, mode) => mode === 'zeros' ? right(place, n, mode) : Math.abs(place)"),
        ("placeOf", "(axis, o, a) => axis.stride * o + axis.dilation * a"),
        ("placeOf", "(axis, o, a, flip) => right({ ...axis, dilation: 1 }, o, a, flip)"),
        ("outputsOf", "(axis) => Math.ceil((axis.size + axis.low + axis.high) / axis.stride)"),
    ],
)
def test_an_error_in_the_rule_is_found(model, random_cases, rule, planted):
    model.evaluate(f"() => {{ globalThis.right = {rule}; {rule} = {planted}; }}")
    try:
        assert len(model.evaluate(COMPARE, random_cases[:500])["wrong"]) > 20
    finally:
        model.evaluate(f"() => {{ {rule} = right; }}")


def is_drawable(case):
    return len(case.weight) <= 4 and Geometry(case.weight, case.input, **case.options).nnz <= 20_000


@pytest.mark.parametrize("case", [c for c in CASES if is_drawable(c)], ids=lambda case: case.id)
def test_its_facts_are_those_of_the_library(model, case):
    weight, x = integers(case.weight, 0), integers(case.input, 1)
    geometry = Geometry(case.weight, case.input, **case.options)
    facts = explore(weight, case.input, x=x, **case.options).facts()
    found = model.evaluate(
        """({ layer, x, k }) => {
          const layout = layoutOf(layer), state = { x, k, tie: "convolution", W: null };
          const y = outputOf(layout, state), why = {};
          for (let row = 0; row < layout.rows; row++)
            for (let c = 0; c < layout.columns; c++)
              if (!layout.entries.has(row * layout.columns + c))
                why[[row, c]] = whyEmpty(layout, row, c).what;
          return {
            reads: range(layout.rows).map((row) => linksOfRow(layout, row).map((one) => one.x)),
            columns: layout.shows, inside: layout.inside.map(Number), start: startOf(layout),
            padded: layout.padded, y: y.map(written), back: backOf(layout, state, y).map(written),
            labels: labelsOf("x", layer.input), why,
            refused: refusal(layer, { rows: 1024, entries: 20000 }),
          };
        }""",
        {"layer": told(geometry), "x": x.ravel().tolist(), "k": weight.ravel().tolist()},
    )
    assert found["refused"] is None
    for name in ("reads", "columns"):
        assert found[name] == facts[name]
    for name in ("inside", "padded", "back", "labels"):
        assert found[name] == facts["x"][name]
    assert (found["y"], found["start"]) == (facts["y"]["values"], facts["y"]["start"])
    assert found["why"] == reasons(facts, geometry)


def reasons(facts, geometry):
    """Return why each empty entry is empty, from the tables of the library's facts."""
    why, found = facts["why"], {}
    full = conv_matrix(
        np.ones(geometry.weight_shape, int), geometry.input_shape, **geometry.options
    )
    positions, plane = (
        int(np.prod(s)) for s in (geometry.output_shape[1:], geometry.spatial_shape)
    )
    for row, column in zip(*np.nonzero(full.toarray() == 0), strict=True):
        (u, position), (c, j) = divmod(row, positions), divmod(column, plane)
        if "groups" in why and why["groups"][0][c] != why["groups"][1][u]:
            reason = "group"
        elif "gaps" in why and j in why["gaps"][position]:
            reason = "gap"
        else:
            reason = "edge" if "edges" in why and j in why["edges"][position] else "reach"
        found[f"{row},{column}"] = reason
    return found


def test_the_nearest_kernel_is_the_projection_of_the_library(model):
    rng, sums = np.random.default_rng(3), 0
    for _ in range(150):
        geometry = random_geometry(rng)
        W = rng.integers(-9, 10, geometry.matrix_shape).astype(float)
        nearest = project(W, geometry.weight_shape, geometry.input_shape, **geometry.options)
        found = model.evaluate(
            """({ layer, W }) => {
              const layout = layoutOf(layer);
              const { k, residual } = nearest(layout, Float64Array.from(W));
              return { residual, W: [...matrixOf(layout, { k, W: null })],
                double: [...layout.entries.values()].some((all) => all.length > 1) };
            }""",
            {"layer": told(geometry), "W": W.ravel().tolist()},
        )
        assert found["residual"] == pytest.approx(nearest.residual, abs=1e-8)
        theirs = conv_matrix(nearest.weight, geometry.input_shape, **geometry.options).toarray()
        np.testing.assert_allclose(np.reshape(found["W"], W.shape), theirs, atol=1e-8)
        sums += found["double"]
    assert sums >= 30  # entries of two weights, where the mean alone would not do


def own_matrix(rng, ndim):
    """Return the matrix of any layer with zero padding, and its shapes; every second one broken."""
    while True:
        groups = int(rng.integers(1, 3))
        size = rng.integers(2, 7 if ndim == 1 else 5, ndim).tolist()
        shape = groups * int(rng.integers(1, 3)), *size
        weight = groups * int(rng.integers(1, 3)), shape[0] // groups
        kernel = [int(rng.integers(1, n + 1)) for n in size]
        try:
            geometry = Geometry(
                (*weight, *kernel),
                shape,
                stride=tuple(rng.integers(1, 4, ndim).tolist()),
                dilation=tuple(rng.integers(1, 3, ndim).tolist()),
                padding=tuple(tuple(rng.integers(0, n, 2).tolist()) for n in size),
                groups=groups,
            )
        except ValueError:
            continue
        numbers = rng.integers(-3, 4, geometry.weight_shape)
        W = conv_matrix(numbers, shape, format="dense", **geometry.options)
        if rng.integers(2):
            W[tuple(rng.integers(0, W.shape))] += 1
        return W, shape, geometry.output_shape


@pytest.mark.parametrize("ndim", [1, 2])
def test_a_matrix_is_recognised_as_the_library_does(model, ndim):
    rng, verdicts = np.random.default_rng(5), []
    cases = [own_matrix(rng, ndim) for _ in range(200)]
    ours = model.evaluate(
        "cases => cases.map((case_) => recognise(...case_))",
        [[W.ravel().tolist(), list(inputs), list(outputs)] for W, inputs, outputs in cases],
    )
    for found, (W, inputs, outputs) in zip(ours, cases, strict=True):
        try:
            theirs = recognize(W, inputs, outputs)
        except equivlib.NotAConvolution:
            theirs = None
        verdicts.append(theirs is not None)
        assert (found is not None and "k" in found) == verdicts[-1], (W, inputs, outputs)
        if found is None:  # no kernel within the input gives outputs at these places
            continue
        layer = found["layer"]
        if theirs is not None:
            assert found["k"] == theirs.weight.ravel().tolist()
            geometry = Geometry(theirs.weight.shape, inputs, **theirs.options)
            assert layer == told(geometry)
        else:
            assert are_twins(found, W, inputs, outputs)
    assert min(verdicts.count(True), verdicts.count(False)) > 60


def are_twins(found, W, inputs, outputs):
    """Return whether two entries differ that one weight would have to be, along a single axis."""
    (r, c), (s, d) = (divmod(found[name], W.shape[1]) for name in ("at", "twin"))
    y, other_y = (np.unravel_index(row, outputs) for row in (r, s))
    x, other_x = (np.unravel_index(column, inputs) for column in (c, d))
    axes = [a for a in range(len(inputs)) if (y[a], x[a]) != (other_y[a], other_x[a])]
    if len(axes) != 1 or axes[0] == 0:
        return False
    (a,) = axes
    stride = found["layer"]["stride"][a - 1]
    return x[a] - stride * y[a] == other_x[a] - stride * other_y[a] and W[r, c] != W[s, d]


def test_the_gradient_is_that_of_finite_differences(model):
    rng = np.random.default_rng(7)
    for _ in range(50):
        geometry = random_geometry(rng)
        k, x = (rng.integers(-3, 4, s) for s in (geometry.weight_shape, geometry.input_shape))
        target = rng.integers(-3, 4, geometry.matrix_shape[0])

        def loss(weight, x=x, target=target, geometry=geometry):
            W = conv_matrix(weight, geometry.input_shape, **geometry.options)
            return ((W @ x.ravel() - target) ** 2).sum() / 2

        found = model.evaluate(
            """({ layer, x, k, target }) => {
              const layout = layoutOf(layer), state = { x, k, W: null };
              return descend(layout, state, target);
            }""",
            {
                "layer": told(geometry),
                "x": x.ravel().tolist(),
                "k": k.ravel().tolist(),
                "target": target.tolist(),
            },
        )
        slopes = []
        for at in np.ndindex(*k.shape):
            step = np.zeros(k.shape, int)
            step[at] = 1  # of a parabola the symmetric difference is exact
            slopes.append((loss(k + step) - loss(k - step)) / 2)
        assert found["slopes"] == slopes
        after = loss(np.reshape(found["k"], k.shape))
        assert after < loss(k) or not any(slopes)


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 1, 2, 2), (12, 1, 1), (1, 1, 11, 2)])
def test_names_are_those_of_the_library(model, shape):
    assert model.evaluate("shape => labelsOf('k', shape)", list(shape)) == labels("k", shape)


def test_numbers_are_written_as_by_the_library(model):
    rng = np.random.default_rng(11)
    values = [float(v) for v in rng.normal(size=300) * 10.0 ** rng.integers(-8, 12, 300)]
    values += [0.5, -0.25, 999.4, 999.6, 123456.7, 1e-5, 0.0001, 1.004, 2.0, -3.0]
    assert model.evaluate("all => all.map(written)", values) == [written(v) for v in values]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        (" -1.5", -1.5),
        ("−2", -2),
        ("1/4", 0.25),
        ("1e3", 1000),
        (".5", 0.5),
        ("2,5", 2.5),
    ],
)
def test_a_typed_number_is_read(model, text, value):
    assert model.evaluate("text => parsed(text)", text) == value


@pytest.mark.parametrize("text", ["", "-", "x", "1/0", "1e99", "1 2", "0x10", "NaN", "1//2"])
def test_what_is_no_number_is_not_read(model, text):
    assert model.evaluate("text => parsed(text)", text) is None


@pytest.mark.parametrize("circular", [True, False])
def test_all_outputs_of_a_convolution_shift_along_if_it_is_circular(model, circular):
    mode = "circular" if circular else "zeros"
    geometry = Geometry((1, 1, 3), (1, 7), padding=1, padding_mode=mode)
    layer = {"layer": told(geometry), "k": [1, -2, 3], "x": [3, 1, 4, 1, 5, 9, 2]}
    moved = model.evaluate(
        """({ layer, k, x }) => {
          const layout = layoutOf(layer), state = { k, x, W: null };
          return follows(layout, outputOf(layout, state),
            outputOf(layout, state, shifted(layout, x, 1)));
        }""",
        layer,
    )
    assert moved == ([True] * 7 if circular else [None, *[True] * 5, False])


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"stride": [0]}, "notPositive"),
        ({"stride": [1.5]}, "notPositive"),
        ({"input": [1, 0]}, "notPositive"),
        ({"padding": [[-1, 0]]}, "notPadding"),
        ({"groups": 2}, "groupsDivide"),
        ({"weight": [1, 1, 6]}, "tooWide"),
        ({"input": [1, 1025]}, "tooLarge"),
        ({"input": [1, 800], "weight": [1, 1, 30]}, "tooLarge"),
    ],
)
def test_what_is_impossible_is_refused_in_words(model, change, what):
    layer = {**told(Geometry((1, 1, 3), (1, 5))), **change}
    refused = model.evaluate(
        """(layer) => {
          const found = refusal(layer, { rows: 1024, entries: 20000 });
          return [found.what, filled(WORDS[found.what], found)];
        }""",
        layer,
    )
    assert refused[0] == what
    assert refused[1].endswith((".", "them evenly."))


def test_every_sentence_can_be_filled(model):
    """Each brace of the words is filled by something, or it says so."""
    with pytest.raises(Exception, match=r"nothing for \{k\}"):
        model.evaluate("() => filled(WORDS.weight, {})")
    names = model.evaluate("() => [WORDS, NETWORK_WORDS].map(Object.keys).flat()")
    source = script()
    unused = [
        name
        for name in names
        if not any(
            word in source
            for word in (f'"{name}"', f"words.{name}", f'"{name[:-1]}', f"words[`{name[:-1]}")
        )
        and name not in ("convolution", "local", "full")
        and not name.startswith("guide")
    ]
    assert unused == []


def test_the_state_in_an_address_comes_back(model):
    for mode, flip in itertools.product(MODES, (False, True)):
        layer = told(
            Geometry(
                (2, 1, 2, 3),
                (2, 4, 5),
                groups=2,
                padding=((1, 0), (2, 1)),
                padding_mode=mode,
                flip=flip,
            )
        )
        found = model.evaluate(
            """(layer) => stateInAddress(2, queryOf(2, { layer, x: ["1", "-2.5"], columns: true,
                 numbers: false, tie: "local", at: "W[0, 1]" }))""",
            layer,
        )
        assert found == {
            "layer": layer, "x": [1, -2.5], "columns": True, "tie": "local", "at": "W[0, 1]"
        }  # fmt: skip
    assert model.evaluate("() => stateInAddress(1, '?picture=2&guide=3')") == {}
    assert model.evaluate("() => stateInAddress(2, '?picture=2&layer=1_2')") == {"layer": None}
