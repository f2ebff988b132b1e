"""The linked picture changed by a reader: numbers, options, the freed matrix, the guide."""

import numpy as np
import pytest
from measures import faults
from test_explore_in_browser import CASES, IMAGE, KERNEL, button, cell, lit, sentence

from equivlib import conv_matrix, explore
from equivlib.labels import written

LINE = explore([[[1, -2, 1]]], (1, 5), x=[[3, 1, 4, 1, 5]])
ROUND = explore([[[1, -2, 3]]], (1, 6), padding=1, padding_mode="circular")


def numbers(page, panel):
    """Return what the cells of a panel show, as it is written there."""
    texts = page.locator(f"[data-panel={panel}] .cell:not(.outside) text:last-of-type")
    return texts.all_text_contents()


def put(page, panel, at, value):
    """Change a number as a reader does who has a mouse and a keyboard."""
    cell(page, panel, at).click()
    page.locator(".field").fill(str(value))
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")


def matrix(page, columns):
    """Return W from the numbers that the picture shows."""
    shown = page.locator("[data-panel=W] .cell")
    found = shown.evaluate_all(
        "all => all.map(cell => [+cell.dataset.at, +cell.querySelector('text').textContent])"
    )
    rows = page.locator("[data-panel=y] .cell").count()
    W = np.zeros((rows, columns))
    for at, value in found:
        W.flat[at] = value
    return W


def own(page, text, sizes=("", "")):
    """Type a matrix and ask about it."""
    page.locator(".more").evaluate("more => { more.open = true; }")
    box = page.locator("details", has_text="A matrix of your own").last
    box.evaluate("box => { box.open = true; }")
    page.locator("textarea").fill(text)
    for side, told in zip(("input", "output"), sizes, strict=True):
        page.get_by_label(f"sizes of the {side}").fill(told)
    page.get_by_role("button", name="Is it a convolution?").click()


@pytest.mark.parametrize("name", CASES, ids=str)
def test_after_every_edit_outputs_matrix_and_sums_are_right(visit, name):
    weight, x, options = CASES[name]
    page = visit().show(explore(weight, x.shape, x=x, **options))
    button(page, "Numbers in W").click()
    facts = explore(weight, x.shape, x=x, **options).facts()
    rng = np.random.default_rng(1)
    weight, x, edits = weight.copy(), x.copy(), 0
    inside = np.flatnonzero(facts["x"]["inside"])
    for _ in range(3):
        k, place, value = (
            int(rng.integers(weight.size)),
            rng.choice(inside),
            rng.integers(-9, 10, 2),
        )
        put(page, "k", k, value[0])
        weight.flat[k] = value[0]
        put(page, "x", place, value[1])
        x.flat[facts["columns"][place]] = value[1]
        edits += 2
        W = conv_matrix(weight, x.shape, **options).toarray()
        assert numbers(page, "y") == [str(v) for v in W @ x.ravel()]
        np.testing.assert_array_equal(matrix(page, x.size), W)
        cell(page, "y", 0).hover()
        assert page.locator(".equation div").nth(1).inner_text().endswith(f"= {(W @ x.ravel())[0]}")
    assert edits == 6


def test_each_change_is_said(visit):
    page = visit().show(LINE)
    assert page.locator("p[role=status]").get_attribute("aria-live") == "polite"
    put(page, "x", 2, 7)
    assert sentence(page).startswith("x2 is now 7: y0 = 8, y1 = -12, y2 = 10.")
    put(page, "x", 0, 3)
    put(page, "k", 0, 0)
    assert sentence(page).startswith("k0 is now 0: y0 = 5, y1 = -13, y2 = 3.")


def test_keys_change_a_number(visit):
    page = visit().show(LINE)
    page.locator("[data-panel=x]").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert numbers(page, "x") == ["3", "3", "4", "1", "5"]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+ArrowUp")
    assert numbers(page, "x")[1] == "2.1"
    page.keyboard.press("Escape")
    assert numbers(page, "x")[1] == "1"
    assert page.locator(".field").count() == 0
    page.keyboard.press("ArrowRight")
    page.keyboard.type("-12")
    page.keyboard.press("Enter")
    assert numbers(page, "x") == ["3", "1", "-12", "1", "5"]
    page.keyboard.press("ArrowRight")
    assert lit(page, "x", mark="marked") == {3}


def test_what_is_no_number_is_refused_and_the_number_stays(visit):
    page = visit().show(LINE)
    cell(page, "x", 1).click()
    page.locator(".field").fill("abc")
    assert page.locator(".field").get_attribute("aria-invalid") == "true"
    page.keyboard.press("Enter")
    assert sentence(page).startswith("“abc” is not a number. x1 stays 1.")
    assert numbers(page, "x") == ["3", "1", "4", "1", "5"]


def test_a_finger_points_first_and_its_second_tap_changes(visit):
    page = visit(has_touch=True, viewport={"width": 390, "height": 800}).show(LINE)
    cell(page, "k", 1).tap()
    assert page.locator(".field").count() == 0
    cell(page, "k", 1).tap()
    box = page.locator(".field").bounding_box()
    assert min(box["width"], box["height"]) >= 24
    page.locator(".field").fill("5")
    assert numbers(page, "k") == ["1", "5", "1"]


def test_the_field_stays_open_when_a_longer_number_makes_the_panels_wider(visit):
    page = visit().show(LINE)
    cell(page, "x", 1).click()
    page.keyboard.type("1234567")
    assert page.locator(".field").input_value() == "1234567"
    assert numbers(page, "x")[1] == "1234567"
    page.keyboard.press("Enter")
    assert numbers(page, "y")[0] == str(3 - 2 * 1234567 + 4)


@pytest.mark.parametrize(
    ("panel", "at", "told"),
    [
        ("y", 1, "y1 is a result"),
        ("W", 3, "W[0, 3] is empty, and a convolution has no weight there."),
    ],
)
def test_what_cannot_be_changed_says_why(visit, panel, at, told):
    page = visit().show(LINE)
    box = page.locator(f"[data-panel={panel}]")
    box.focus()
    for _ in range(at if panel == "W" else 0):
        page.keyboard.press("ArrowRight")
    page.keyboard.type("5")
    assert told in sentence(page)
    assert page.locator(".field").count() == 0


def test_a_sum_of_weights_and_padding_are_not_changed_directly(visit):
    page = visit().show(explore([[[2, 5, 9]]], (1, 4), padding=1, padding_mode="reflect"))
    page.locator("[data-panel=W]").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert "W[0, 1] is the sum k0 + k2" in sentence(page)
    page.keyboard.press("Escape")
    page.locator("[data-panel=x]").focus()
    page.keyboard.press("Enter")
    assert "The padding is no input: change x1 itself." in sentence(page)


def test_reset_brings_everything_back(visit):
    page = visit().show(
        explore(KERNEL, IMAGE.shape, x=IMAGE, variants={"a": {}, "b": {"padding": 1}})
    )
    before = [numbers(page, panel) for panel in "xky"]
    put(page, "x", 1, 9)
    button(page, "b").click()
    put(page, "k", 3, 9)
    button(page, "Fully connected").click()
    button(page, "Shift x").click()
    button(page, "Reset").click()
    assert [numbers(page, panel) for panel in "xky"] == before
    assert button(page, "Convolution").get_attribute("aria-pressed") == "true"
    assert page.locator("summary").first.inner_text() == "Settings: a"
    assert page.locator(".cell.kept, .cell.lost, .cell.broken").count() == 0


@pytest.mark.parametrize(
    "preset", ["edge", "blur", "sharpen", "shift", "digit", "gradient", "impulse"]
)
def test_presets_give_kernel_or_input_and_the_outputs_follow(visit, preset):
    page = visit().show(explore(KERNEL, (1, 8, 8)))
    x, k = np.arange(1, 65).reshape(1, 8, 8), KERNEL
    page.locator(".more").evaluate("more => { more.open = true; }")
    page.get_by_role("button", name=preset, exact=True).click()
    wanted = {
        "edge": [[-1, 0, 1]] * 3,
        "blur": np.full((3, 3), 1 / 9),
        "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
        "shift": [[1, 0, 0], [0, 0, 0], [0, 0, 0]],
    }
    if preset in wanted:
        k = np.reshape(wanted[preset], (1, 1, 3, 3))
        assert numbers(page, "k") == [written(v) for v in k.ravel()]
    else:
        shown = np.reshape([float(v) for v in numbers(page, "x")], x.shape)
        inputs = {
            "gradient": np.add.outer(np.arange(8), np.arange(8)),
            "impulse": np.eye(64)[3 * 8 + 3].reshape(8, 8),
        }
        assert (
            set(shown.ravel()) == {0, 9}
            if preset == "digit"
            else (shown[0] == inputs[preset]).all()
        )
        x = shown
    y = conv_matrix(k, x.shape) @ x.ravel()
    np.testing.assert_allclose([float(v) for v in numbers(page, "y")], y, rtol=5e-3, atol=1e-9)


def test_an_input_is_drawn_with_the_pointer(visit):
    page = visit().show(explore(KERNEL, (1, 5, 5), x=np.zeros((1, 5, 5), int)))
    button(page, "Draw").click()
    cell(page, "x", 0).scroll_into_view_if_needed()
    boxes = [cell(page, "x", at).bounding_box() for at in (0, 1, 2, 7)]
    page.mouse.move(boxes[0]["x"] + 9, boxes[0]["y"] + 9)
    page.mouse.down()
    for box in boxes[1:]:
        page.mouse.move(box["x"] + 9, box["y"] + 9, steps=4)
    page.mouse.up()
    page.mouse.move(boxes[0]["x"] + 9, boxes[0]["y"] + 9)
    drawn = np.array([int(v) for v in numbers(page, "x")])
    assert set(np.flatnonzero(drawn)) == {0, 1, 2, 7}
    assert numbers(page, "y") == [str(v) for v in conv_matrix(KERNEL, (1, 5, 5)) @ drawn]
    cell(page, "x", 1).click()  # what has ink is erased
    assert numbers(page, "x")[1] == "0"


# Options.


def field(page, name):
    page.locator(".more").evaluate("more => { more.open = true; }")
    options = page.locator(".more details").first
    options.evaluate("all => { all.open = true; }")
    return options.get_by_label(name, exact=True)


def ask(page, name, value):
    if name in ("padding shows",):
        field(page, name).select_option(value)
    elif name == "flip the kernel":
        field(page, name).click()
    else:
        field(page, name).fill(str(value))
        page.keyboard.press("Enter")


@pytest.mark.parametrize(
    ("asked", "options", "channels"),
    [
        ({"stride rows": 2}, {"stride": (2, 1)}, (1, 1)),
        ({"padding before rows": 1, "padding after columns": 2},
         {"padding": ((1, 0), (0, 2))}, (1, 1)),
        ({"padding after rows": 2, "padding shows": "reflect"},
         {"padding": ((0, 2), (0, 0)), "padding_mode": "reflect"}, (1, 1)),
        ({"kernel rows": 2, "dilation rows": 2}, {"dilation": (2, 1)}, (1, 1)),
        ({"flip the kernel": True}, {"flip": True}, (1, 1)),
        ({"input channels": 2, "output channels": 2, "groups": 2}, {"groups": 2}, (2, 2)),
        ({"size rows": 6, "size columns": 3}, {}, (1, 1)),
    ],
)  # fmt: skip
def test_options_make_the_layer_that_the_library_makes(visit, asked, options, channels):
    page = visit().show(explore(KERNEL, IMAGE.shape, x=IMAGE))
    button(page, "Numbers in W").click()
    for name, value in asked.items():
        ask(page, name, value)
    shape = channels[0], asked.get("size rows", 4), asked.get("size columns", 4)
    groups = options.get("groups", 1)
    kernel = channels[1], channels[0] // groups, asked.get("kernel rows", 3), 3
    x = np.reshape([int(v) for v in numbers(page, "x")], shape)
    k = np.reshape([int(v) for v in numbers(page, "k")], kernel)
    W = conv_matrix(k, shape, **options)
    np.testing.assert_array_equal(matrix(page, x.size), W.toarray())
    assert numbers(page, "y") == [str(v) for v in W @ x.ravel()]
    assert page.locator("summary").first.inner_text() == "Settings"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("stride rows", 0, "whole numbers from 1 on"),
        ("kernel rows", 5, "The kernel reaches over 5 elements, and the input has 4"),
        ("groups", 2, "2 groups cannot share 1"),
        ("padding before rows", -1, "Padding is a whole number from 0 on"),
        ("size rows", 2000, "at most 1024 × 1024"),
    ],
)
def test_what_is_impossible_is_refused_and_nothing_changes(visit, name, value, told):
    page = visit().show(explore(KERNEL, IMAGE.shape, x=IMAGE))
    before = [numbers(page, panel) for panel in "xky"], field(page, name).input_value()
    ask(page, name, value)
    assert told in sentence(page)
    assert ([numbers(page, panel) for panel in "xky"], field(page, name).input_value()) == before


# The freed matrix.


def test_beside_each_tie_stands_how_many_numbers_are_free(visit):
    page = visit().show(explore(KERNEL, IMAGE.shape, padding=1))
    W = conv_matrix(KERNEL, IMAGE.shape, padding=1)
    for name, count in (("Convolution", 9), ("Locally connected", W.nnz), ("Fully connected", 256)):
        assert button(page, name).inner_text().removeprefix("✓ ") == f"{name}: {count}"


def test_in_a_convolution_an_entry_changes_all_its_twins_and_freed_only_itself(visit):
    page = visit().show(LINE)
    button(page, "Numbers in W").click()
    twins = {1, 7, 13}
    put(page, "W", 1, 5)
    W = matrix(page, 5)
    assert {int(at) for at in np.flatnonzero(W == 5)} == twins
    assert "k1" not in sentence(page) or "so is W[1, 2], W[2, 3]" in sentence(page)
    assert numbers(page, "k") == ["1", "5", "1"]
    button(page, "Locally connected").click()
    for freed, at in enumerate(sorted(twins), 1):
        put(page, "W", at, 100 + at)
        changed = np.flatnonzero(matrix(page, 5) != W)
        assert set(changed) == set(sorted(twins)[:freed])
    x = np.array([3, 1, 4, 1, 5])
    assert numbers(page, "y") == [written(v) for v in (matrix(page, 5) @ x).astype(int)]
    button(page, "Fully connected").click()
    put(page, "W", 4, 7)
    assert matrix(page, 5)[0, 4] == 7
    assert page.locator("[data-panel=W] .cell").count() == 15


def test_what_is_typed_key_by_key_is_told_against_the_outputs_before_the_first(visit):
    page = visit().show(LINE)
    cell(page, "x", 0).click()
    page.locator(".field").press_sequentially("0.3333")  # the last key changes no shown digit
    assert "y0 = 2.33" in sentence(page)
    page.keyboard.press("Escape")
    assert numbers(page, "y")[0] == "5"


def test_a_freed_entry_has_a_residual_and_the_nearest_kernel_is_the_mean_over_its_places(visit):
    page = visit().show(LINE)
    verdict = page.locator(".verdict")
    assert "W is a convolution: 3 numbers" in verdict.inner_text()
    button(page, "Locally connected").click()
    assert "9 numbers can be chosen freely" in verdict.inner_text()
    put(page, "W", 1, 4)
    away = np.linalg.norm([4 - 0, -2 - 0, -2 - 0])  # from their mean, which is 0
    assert verdict.inner_text().startswith(
        "No kernel of this size gives this map any more. The nearest one takes"
    )
    assert "k1 = 0 for 4, -2, -2" in verdict.inner_text()
    assert f"is {written(away)} away: the root of the sum of squared" in verdict.inner_text()
    assert page.locator(".cell.broken").count() == 1
    button(page, "Convolution").click()
    assert numbers(page, "k") == ["1", "0", "1"]
    assert "each weight is the mean over its places" in verdict.inner_text()
    button(page, "Locally connected").click()  # and back to the freed one
    assert matrix(page, 5)[0, 1] == 4
    assert matrix(page, 5)[1, 2] == -2


def test_the_input_shifts_and_so_does_the_output_of_a_convolution_alone(visit):
    page = visit().show(ROUND)
    y = numbers(page, "y")
    button(page, "Shift x").click()
    pairs = [f"y{i} is {y[i - 1]} as y{(i - 1) % 6} was" for i in range(4)]
    told = f"Shifted by 1: {', '.join(pairs)} and 2 more. Of 6 compared, all shifted along."
    assert sentence(page) == told
    assert numbers(page, "y") == [y[-1], *y[:-1]]
    assert page.locator("[data-panel=y] .cell.kept").count() == 6
    button(page, "Fully connected").click()
    put(page, "W", 2, 40)
    button(page, "Shift x").click()
    assert " Of 6 compared, 4 shifted along. The rows" in sentence(page)
    lost = [i for i in range(6) if f"y{i} is " in sentence(page).partition(" but ")[0]]
    assert f"y{lost[0]} is {numbers(page, 'y')[lost[0]]} but y" in sentence(page)
    assert page.locator("[data-panel=y] .cell.lost").count() == 2


# Another matrix, a step, the guide.


def test_a_matrix_of_ones_own_is_a_convolution_or_fails_at_an_entry_and_its_twin(visit):
    page = visit().show(LINE)
    own(page, "2 -1 0 0\n0 2 -1 0\n0 0 2 -1")
    assert sentence(page).startswith("It is a convolution: kernel [2, -1], stride 1")
    assert numbers(page, "k") == ["2", "-1"]
    own(page, "1 2 0\n0 1 5")
    assert sentence(page).startswith("It is not a convolution: with stride 1, W[1, 2] = 5 and")
    assert lit(page, "W") == {5, 1}
    own(page, "1 2\n3")
    assert "all of one length" in sentence(page)
    own(page, "1 2\n3 4")
    assert sentence(page).startswith("No kernel that is no larger than the input takes 1 × 2 to")


def test_a_matrix_between_images_of_several_channels_is_recognised(visit):
    page = visit().show(LINE)
    kernel = np.arange(1, 9).reshape(2, 1, 2, 2)
    W = conv_matrix(kernel, (2, 3, 3), groups=2, padding=((1, 0), (0, 1))).toarray()
    rows = ["\n".join(" ".join(map(str, row)) for row in W)]
    own(page, rows[0], ("2 × 3 × 3", "2 × 3 × 3"))
    told = (
        "kernel [1, 2, 3, 4, 5, 6, 7, 8], stride 1 × 1, padding (1, 0) and (0, 1), dilation 1 × 1"
    )
    assert told in sentence(page)
    assert "groups 2." in sentence(page)
    assert numbers(page, "k") == [str(v) for v in kernel.ravel()]
    button(page, "Numbers in W").click()
    np.testing.assert_array_equal(matrix(page, 18), W)
    # The options follow from one axis to two; an entry in the second channel breaks it.
    assert field(page, "padding before rows").input_value() == "1"
    W[4, 3] += 7
    own(page, "\n".join(" ".join(map(str, row)) for row in W), ("2 × 3 × 3", "2 × 3 × 3"))
    assert "It is not a convolution" in sentence(page)
    at = 4 * 18 + 3
    assert {at} < lit(page, "W", mark="marked") | lit(page, "W")


@pytest.mark.parametrize(
    "sizes",
    [("1 × 2", "1 × 2"), ("1 × 3", "2"), ("1 × 1 × 3", "1 × 2"), ("three", "1 × 2")],
)
def test_sizes_that_do_not_fit_a_matrix_are_refused(visit, sizes):
    page = visit().show(LINE)
    before = numbers(page, "k")
    own(page, "1 2 0\n0 1 2", sizes)
    assert "This matrix takes 3 inputs to 2 outputs: give sizes" in sentence(page)
    assert numbers(page, "k") == before


def test_the_matrix_of_the_picture_is_there_to_be_changed(visit):
    page = visit().show(explore(KERNEL, IMAGE.shape, x=IMAGE))
    page.locator(".more").evaluate("more => { more.open = true; }")
    page.get_by_text("A matrix of your own").click()
    page.wait_for_function(
        "document.querySelector('main > [data]').shadowRoot.querySelector('textarea').value"
    )
    typed = [
        list(map(int, row.split())) for row in page.locator("textarea").input_value().split("\n")
    ]
    assert (np.array(typed) == conv_matrix(KERNEL, IMAGE.shape).toarray()).all()
    page.get_by_role("button", name="Is it a convolution?").click()
    assert sentence(page).startswith("It is a convolution: kernel [")


def test_one_step_moves_each_weight_against_the_sum_over_its_places(visit):
    page = visit().show(LINE)
    button(page, "Give the outputs a target").click()
    x, y, k = np.array([3, 1, 4, 1, 5]), np.array([5, -6, 7]), np.array([1, -2, 1])
    for weight in range(3):
        cell(page, "k", weight).hover()
        slope = sum(y[o] * x[o + weight] for o in range(3))
        assert f"has the slope {slope}: the sum of (y − t)·x over its 3 places" in sentence(page)
        assert page.locator(".equation div").nth(1).inner_text().endswith(f"= {slope}")
    slopes = np.array([sum(y[o] * x[o + w] for o in range(3)) for w in range(3)])
    along = conv_matrix(slopes.reshape(1, 1, 3), (1, 5)) @ x
    button(page, "One step").click()
    moved = k - slopes * (slopes @ slopes) / (along @ along)
    assert numbers(page, "k") == [written(v) for v in moved]
    assert "half the squared error fell from 55 to" in sentence(page)
    put(page, "y", 0, 3)
    assert sentence(page).startswith("The target of y0 is now 3.")


def test_read_by_columns_the_given_y_can_be_changed(visit):
    shown = explore([[[1, -2, 1]]], (1, 5), y=[[1, 2, 3]], start={"columns": True})
    page = visit().show(shown)
    assert numbers(page, "y") == ["1", "2", "3"]
    W = conv_matrix([[[1, -2, 1]]], (1, 5))
    assert numbers(page, "x") == [str(v) for v in W.T @ np.array([1, 2, 3])]
    put(page, "y", 1, -4)
    assert numbers(page, "x") == [str(v) for v in W.T @ np.array([1, -4, 3])]


BOOK = {
    "front page": LINE,
    "two dimensions": explore(
        [[[[1, 0, -1], [2, 0, -2], [1, 0, -1]]]],
        (1, 4, 4),
        x=[[[1, 2, 0, 1], [0, 3, 1, 1], [2, 1, 0, 0], [1, 0, 1, 2]]],
    ),
    "channels": explore(np.arange(1, 9).reshape(2, 2, 1, 2), (2, 2, 2)),
    "stride 2": explore([[[1, 2, 3]]], (1, 10), stride=2),
    "one output": explore([[[1, 2, 3]]], (1, 3)),
}


@pytest.mark.parametrize("name", BOOK)
def test_each_step_of_the_guide_is_true_of_each_picture(visit, name):
    page = visit().show(BOOK[name])
    button(page, "Guide: six steps").click()
    alone = name in ("one output", "channels")
    for _ in range(3):
        page.get_by_role("button", name="Next").click()
    assert ("there is one output" if alone else "compared, all shifted along") in sentence(page)
    for _ in range(2):
        page.get_by_role("button", name="Next").click()
    assert ("there is one output" if alone else "shifted along") in sentence(page)
    assert ", all " not in sentence(page)
    verdict = page.locator(".verdict").inner_text()
    broken = "No kernel of this size gives this map any more" in verdict
    assert broken or name == "one output"


def test_the_guide_has_six_steps_and_does_what_it_says(visit):
    page = visit().show(ROUND)
    button(page, "Guide: six steps").click()
    told = page.locator(".guide p")
    seen = []
    for step in range(1, 7):
        assert page.locator(".guide small").inner_text() == f"{step}/6"
        seen.append((told.inner_text(), sentence(page)))
        if step < 6:
            page.get_by_role("button", name="Next").click()
    starts = ["Output y", "Weight k1", "Row ", "Shifted by 1: ", "W[", "Shifted by 1: "]
    assert all(said.startswith(s) for (_, said), s in zip(seen, starts, strict=True))
    assert "empty, because" in seen[2][1]
    assert "Of 6 compared, all shifted along." in seen[3][1]
    assert "Of 6 compared, 4 shifted along." in seen[5][1]
    page.get_by_role("button", name="Back", exact=True).click()
    assert (told.inner_text(), sentence(page)) == seen[4]
    button(page, "Guide: six steps").click()
    assert not page.locator(".guide").is_visible()


def test_while_the_guide_is_open_pointing_wins(visit):
    page = visit().show(explore([[[1, -2, 1]]], (1, 5), start={"guide": 1}))
    assert sentence(page).startswith("Output y1")
    for panel, at, told in (("y", 2, "Output y2"), ("k", 0, "Weight k0"), ("x", 0, "Input x0")):
        cell(page, panel, at).hover()
        assert sentence(page).startswith(told)
        assert lit(page, panel, mark="marked") == {at}
    assert page.locator(".guide small").inner_text() == "1/6"
    page.get_by_role("button", name="Next").click()
    assert sentence(page).startswith("Weight k1")


@pytest.mark.parametrize("width", [320, 390, 700, 1280])
def test_the_guide_is_under_the_picture_and_as_high_at_each_step(visit, width):
    page = visit(viewport={"width": width, "height": 800}).show(
        explore([[[1, -2, 1]]], (1, 5), start={"guide": 1})
    )
    heights = set()
    for step in range(6):
        heights.add(page.locator(".guide").bounding_box()["height"])
        button(page, "Shift x").click()  # the sentence that says so is no higher
        heights.add(page.locator(".guide").bounding_box()["height"])
        if step < 5:
            page.get_by_role("button", name="Next").click()
    assert len(heights) == 1
    assert heights.pop() <= (90 if width < 500 else 40)
    page.evaluate("scrollTo(0, 0)")
    matrix_ends = page.locator(".panel.W").bounding_box()
    assert (
        matrix_ends["y"] + matrix_ends["height"] <= page.locator(".guide").bounding_box()["y"] + 1
    )


FRONT = explore(
    [[[1, -2, 1]]],
    (1, 5),
    x=[[3, 1, 4, 1, 5]],
    variants={"plain": {}, "round": {"padding": ((0, 2),), "padding_mode": "circular"}},
    start={"guide": 1},
)


def guided(page):
    """Return what the guide's line says."""
    return page.locator(".guide p").inner_text()


LEAVES = {
    "a number": lambda page: put(page, "x", 1, 9),
    "free entries": lambda page: button(page, "Fully connected").click(),
    "a shift": lambda page: button(page, "Shift x").click(),
    "a setting": lambda page: button(page, "round").click(),
    "an option": lambda page: ask(page, "stride", 2),
    "a kernel": lambda page: button(page, "blur").click(),
    "columns": lambda page: button(page, "Read W by columns").click(),
    "a target": lambda page: button(page, "Give the outputs a target").click(),
    "a matrix": lambda page: own(page, "2 -1 0 0\n0 2 -1 0\n0 0 2 -1"),
}


@pytest.mark.parametrize("what", LEAVES)
def test_the_sentence_of_a_step_is_there_only_as_long_as_its_state(visit, what):
    page = visit().show(FRONT)
    first = guided(page), sentence(page)
    cell(page, "x", 0).hover()
    cell(page, "W", 1).click()
    page.keyboard.press("Escape")
    button(page, "Numbers in W").click()
    assert guided(page) == first[0]  # what is pointed at, and how, leaves it true
    LEAVES[what](page)
    assert guided(page) == ("Step 1 of 6, changed by you: ◀ undoes it, ▶ goes on without it.")
    assert page.get_by_role("button", name="Back", exact=True).count() == 0
    page.get_by_role("button", name="Return to step 1").click()
    assert (guided(page), sentence(page)) == first
    assert page.locator("[data-panel=W] .cell").count() == 9


def test_a_number_put_back_brings_the_sentence_of_the_step_back(visit):
    page = visit().show(FRONT)
    first = guided(page)
    put(page, "x", 1, 9)
    assert guided(page) != first
    put(page, "x", 1, 1)
    assert guided(page) == first


def test_the_last_step_has_no_next_to_go_on_to(visit):
    page = visit().show(explore([[[1, -2, 1]]], (1, 5), start={"guide": 6}))
    button(page, "Convolution").click()
    assert guided(page) == "Step 6 of 6, changed by you: ◀ undoes it."


def test_a_link_to_a_changed_step_leads_to_the_change(visit, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><main><p>{FRONT._repr_html_()}", "utf-8")
    page = visit().page
    page.goto(path.as_uri())
    put(page, "x", 1, 9)
    page.locator(".more").evaluate("more => { more.open = true; }")
    page.get_by_role("button", name="Link to this state").click()
    again = visit().page
    again.goto(page.url)
    assert numbers(again, "x")[1] == "9"
    assert guided(again).startswith("Step 1 of 6, changed by you")


def looks(page):
    """Return what is seen of the picture, without what was said last."""
    return page.locator("main > [data]").evaluate(
        """picture => {
            const parts = ".board, .guide, .ties, .equation, .verdict, .hint, .bar";
            const seen = [...picture.shadowRoot.querySelectorAll(parts)];
            const texts = seen.map(one => one.hidden || one.outerHTML);
            return [picture.hasAttribute("pinned"), ...texts];
        }"""
    )


@pytest.mark.parametrize("start", [{"guide": 1}, {"guide": 4}, {"at": "k1", "tie": "local"}, {}])
def test_reset_gives_the_first_screen_again_and_says_so(visit, start):
    variants = {"plain": {}, "round": {"padding": 1, "padding_mode": "circular"}}
    shown = explore([[[1, -2, 1]]], (1, 5), variants=variants, start=start)
    page = visit().show(shown)
    first, said = looks(page), sentence(page)
    put(page, "x", 3, 6)
    button(page, "Fully connected").click()
    button(page, "Shift x").click()
    button(page, "round").click()
    button(page, "Guide").first.click()
    page.get_by_role("button", name="Draw").click()
    cell(page, "W", 1).click()
    button(page, "Reset").click()
    page.mouse.move(0, 0)
    assert looks(page) == first
    # A step that shifts ends with that sentence; what is marked is told again.
    assert sentence(page).startswith("The picture is as it was at first. ")
    if start.get("guide") != 4:
        assert sentence(page).endswith(said)


def test_a_shift_says_what_is_compared_with_what_and_what_is_not(visit):
    page = visit().show(LINE)
    x, W = np.array([3, 1, 4, 1, 5]), conv_matrix([[[1, -2, 1]]], (1, 5)).toarray()
    before, after = W @ x, W @ np.array([0, 3, 1, 4, 1])
    button(page, "Shift x").click()
    assert sentence(page) == (
        f"Shifted by 1: y1 is {before[0]} as y0 was, y2 is {before[1]} as y1 was. "
        "Of 2 compared, all shifted along. Without a left neighbour: y0."
    )
    for row, sign in enumerate(["", "✓", "✓"]):
        cell(page, "y", row).hover()
        name = cell(page, "y", row).locator("text").first.text_content()
        assert name == f"y{row}{sign}"
        told = f" Before the shift y{row - 1} was {before[row - 1]}."
        assert (told in sentence(page)) == (row > 0)
    assert numbers(page, "y") == [str(v) for v in after]
    button(page, "Fully connected").click()
    put(page, "W", 6, 4)  # row 1 alone, so y2 is no more what y1 was
    assert "✓" not in page.locator("[data-panel=y]").text_content()
    button(page, "Shift x").click()
    assert "Of 2 compared, " in sentence(page)
    assert " but y" in sentence(page)


def test_what_has_shifted_along_is_seen_in_the_chosen_output_too(visit):
    page = visit().show(LINE)
    button(page, "Fully connected").click()
    put(page, "W", 0, 7)
    button(page, "Shift x").click()
    for row in (1, 2):
        cell(page, "y", row).click()
        shown = cell(page, "y", row)
        assert shown.locator("text").first.text_content()[-1] == "✗✓"[row - 1]
    chosen, lost = (
        page.locator(f"[data-panel=y] {which} rect").first.evaluate(
            "rect => getComputedStyle(rect).stroke"
        )
        for which in (".marked", ".lost:not(.marked)")
    )
    assert chosen != lost


@pytest.mark.parametrize("viewport", [(1280, 800), (390, 844)], ids=["laptop", "phone"])
def test_opened_settings_leave_the_picture_in_sight(visit, viewport):
    size = dict(zip(("width", "height"), viewport, strict=True))
    page = visit(viewport=size).show(FRONT, style="padding: 300px 0 1500px")
    page.locator(".more > summary").click()
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    choice = page.get_by_role("button", name="round")
    matrix, chosen = (one.bounding_box() for one in (page.locator(".panel.W"), choice))
    assert matrix["y"] >= 0
    assert matrix["y"] + matrix["height"] < chosen["y"]
    assert chosen["y"] + chosen["height"] <= viewport[1]
    place = chosen["x"] + chosen["width"] / 2, chosen["y"] + chosen["height"] / 2
    page.mouse.click(*place)  # without scrolling there first
    assert page.locator("[data-panel=W] .cell").count() == 15
    matrix = page.locator(".panel.W").bounding_box()
    assert matrix["y"] >= 0
    assert matrix["y"] + matrix["height"] <= page.locator(".answer").bounding_box()["y"]


TIES_AGAIN = {
    "a setting": lambda page: button(page, "round").click(),
    "an option": lambda page: ask(page, "stride", 2),
    "a kernel": lambda page: button(page, "blur").click(),
}


@pytest.mark.parametrize("what", TIES_AGAIN)
def test_what_ties_a_freed_matrix_again_says_so(visit, what):
    page = visit().show(FRONT)
    TIES_AGAIN[what](page)
    assert "tied again" not in sentence(page)
    button(page, "Reset").click()
    button(page, "Locally connected").click()
    TIES_AGAIN[what](page)
    assert button(page, "Convolution").get_attribute("aria-pressed") == "true"
    assert sentence(page).startswith("W is tied again, a convolution; its freed numbers are gone.")


def test_numbers_that_local_connection_drops_are_counted(visit):
    page = visit().show(LINE)
    button(page, "Fully connected").click()
    put(page, "W", 4, 5)
    button(page, "Locally connected").click()
    assert sentence(page).startswith("1 number outside the convolution's places went")


def test_the_nearest_kernel_is_explained_and_lit_only_when_it_is_pointed_at(visit):
    page = visit().show(LINE)
    cell(page, "y", 1).hover()
    assert lit(page, "k") == {0, 1, 2}
    button(page, "Locally connected").click()
    assert page.locator(".panel.k .title").inner_text().startswith("nearest kernel")
    assert "the kernel nearest to W is its own" in page.locator(".verdict").inner_text()
    put(page, "W", 6, 4)
    for panel, at in (("y", 1), ("x", 1), ("W", 6)):
        cell(page, panel, at).hover()
        assert lit(page, "k") == set()
    cell(page, "k", 0).hover()
    assert lit(page, "k") == {0}
    told = "k0 = 2 of the nearest kernel is in no sum: it is the mean of W at 3 places, 1, 4, 1."
    assert sentence(page) == told


def test_the_formulas_say_no_more_than_is_added(visit):
    page = visit().show(LINE)
    cell(page, "x", 3).hover()
    assert page.locator(".equation").inner_text() == "x3 → k2·x3 in y1, k1·x3 in y2"
    cell(page, "k", 1).hover()
    assert page.locator(".equation").inner_text() == ""


def test_a_phone_is_told_how_to_change_a_number(visit):
    page = visit(has_touch=True, is_mobile=True, viewport={"width": 390, "height": 844}).show(LINE)
    assert page.locator(".hint").inner_text() == "Tap any number; tap it again to change it."
    desk = visit().show(LINE)
    assert desk.locator(".hint").inner_text().endswith("click to change it.")


def test_a_page_can_start_in_any_state(visit):
    shown = explore(
        KERNEL, IMAGE.shape, x=IMAGE, variants={"a": {}, "b": {"padding": 1}},
        start={"setting": "b", "at": "k11", "tie": "local", "numbers": True},
    )  # fmt: skip
    page = visit().show(shown)
    assert page.locator("summary").first.inner_text() == "Settings: b"
    assert sentence(page).startswith("k11 = 3 of the nearest kernel is in no sum")
    assert button(page, "Locally connected").get_attribute("aria-pressed") == "true"
    guided = visit().show(explore(KERNEL, IMAGE.shape, start={"guide": 3}))
    assert guided.locator(".guide small").inner_text() == "3/6"


def test_what_a_page_starts_with_stays_until_somebody_points(visit):
    page = visit(reduced_motion="no-preference").show(
        explore(KERNEL, IMAGE.shape, start={"at": "k11"})
    )
    page.wait_for_timeout(1500)
    assert sentence(page).startswith("Weight k11")
    button(page, "Play").wait_for()
    cell(page, "y", 0).hover()
    assert sentence(page).startswith("Output y00")


def test_a_link_leads_back_to_the_state(visit, tmp_path):
    path = tmp_path / "page.html"
    two = LINE._repr_html_() + ROUND._repr_html_()
    path.write_text(f"<!doctype html><meta charset=utf-8><title>t</title><main><p>{two}", "utf-8")
    one = visit()
    page = one.page
    page.goto(path.as_uri())
    cell(page, "x", 3, of=1).click()
    page.locator(".field").fill("8")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Fully connected").nth(1).click()
    cell(page, "W", 3, of=1).click()
    page.locator(".field").fill("6")
    page.keyboard.press("Enter")
    page.locator(".more").nth(1).evaluate("more => { more.open = true; }")
    page.get_by_role("button", name="Link to this state").click()
    address = page.url
    assert "picture=2" in address
    again = visit().page
    again.goto(address)
    for panel in "xyW":
        same = f"[data-panel={panel}]"
        assert again.locator(same).nth(1).text_content() == page.locator(same).nth(1).text_content()
        first = again.locator(same).first.text_content()
        assert first == page.locator(same).first.text_content()


@pytest.mark.parametrize(
    "query", ["?picture=1&x=1,2", "?picture=1&layer=9_9&k=a&tie=z&at=q&guide=9"]
)
def test_an_address_that_asks_for_nonsense_changes_nothing(visit, tmp_path, query):
    path = tmp_path / "page.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><main><p>{LINE._repr_html_()}", "utf-8")
    page = visit().page
    page.goto(f"{path.as_uri()}?picture=1&{query}")
    assert numbers(page, "x") == ["3", "1", "4", "1", "5"]


def test_exact_numbers_are_shown_and_not_changed(visit):
    from fractions import Fraction

    page = visit().show(explore([[[Fraction(1, 3), Fraction(1, 6)]]], (1, 3), x=[[1, 2, 3]]))
    assert numbers(page, "y") == ["2/3", "7/6"]
    cell(page, "k", 0).click()
    assert page.locator(".field").count() == 0
    page.locator("[data-panel=k]").focus()
    page.keyboard.type("5")
    why = "These numbers are fractions, complex numbers or symbols."
    assert why in sentence(page)
    assert why in page.locator(".verdict").inner_text()
    assert page.locator(".hint").inner_text() == "Point at or tap any number."
    assert page.get_by_role("button").all_inner_texts() == ["▶ Play", "Reset"]


def test_the_code_of_a_changed_picture_makes_what_is_shown(visit):
    page = visit().show(explore(KERNEL, IMAGE.shape, x=IMAGE))
    put(page, "k", 4, -2.5)
    ask(page, "stride columns", 2)
    ask(page, "padding before rows", 1)
    names = {}
    exec(compile(page.locator("pre").text_content(), "the code to copy", "exec"), names)
    assert numbers(page, "y") == [written(v) for v in names["y"]]
    button(page, "Fully connected").click()
    exec(compile(page.locator("pre").text_content(), "the code to copy", "exec"), names)
    assert numbers(page, "y") == [written(v) for v in names["y"]]


def test_two_pictures_share_one_script(visit):
    page = visit().show(LINE, ROUND)
    assert page.locator("script[data-shared]").count() == 2
    names = page.locator("main > [data]").evaluate_all("all => all.map(one => one.localName)")
    assert len(set(names)) == 1
    put(page, "x", 0, 9)
    first = [page.locator("[data-panel=x]").nth(n).locator("text").nth(1) for n in (0, 1)]
    assert [text.text_content() for text in first] == ["9", "6"]


# Everywhere.

STATES = {
    "edited": lambda page: put(page, "x", 1, 9),
    "open field": lambda page: cell(page, "k", 0).click(),
    "freed": lambda page: (button(page, "Locally").click(), put(page, "W", 1, 9)),
    "shifted": lambda page: (button(page, "Fully").click(), button(page, "Shift x").click()),
    "guided": lambda page: button(page, "Guide: six steps").click(),
    "target": lambda page: button(page, "Give the outputs a target").click(),
    "settings": lambda page: page.locator("details").evaluate_all(
        "all => all.forEach(one => { one.open = true; })"
    ),
}
THEMES = {"light": "", "dark": "background:#121212;color:#eee"}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_in_any_state(visit, state, theme):
    from axe_playwright_python.sync_playwright import Axe

    page = visit().show(LINE, style=THEMES[theme])
    STATES[state](page)
    found = Axe().run(page).response["violations"]
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found] == []


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("state", [name for name in STATES if name not in ("open field",)])
def test_every_mark_has_contrast_in_any_state(visit, state, theme):
    page = visit().show(LINE, style=THEMES[theme])
    STATES[state](page)
    assert faults(page) == []


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("width", [320, 390])
def test_on_a_phone_nothing_scrolls_sideways_in_any_state(visit, state, width):
    page = visit(viewport={"width": width, "height": 800}).show(LINE)
    STATES[state](page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_row_labels_stay_in_sight_and_cells_are_large_enough_to_touch(visit):
    page = visit(viewport={"width": 390, "height": 800}).show(explore(KERNEL, (1, 4, 4), padding=1))
    box = page.locator("[data-panel=W]")
    cell(page, "y", 15).hover()
    assert box.evaluate("box => box.scrollLeft") > 0
    labels, shown = page.locator(".stub").bounding_box(), box.bounding_box()
    assert labels["x"] == pytest.approx(shown["x"], abs=1)
    for panel in "xkyW":
        first = page.locator(f"[data-panel={panel}] .cell rect").first
        size = first.evaluate("rect => rect.getBoundingClientRect().toJSON()")
        assert min(size["width"], size["height"]) >= 23.9


def test_in_forced_colours_everything_is_there(visit):
    page = visit(forced_colors="active").show(LINE)
    put(page, "x", 1, 9)
    button(page, "Locally connected").click()
    sign = "node => getComputedStyle(node, '::before').content"
    assert button(page, "Locally connected").evaluate(sign) == '"✓ "'
    assert button(page, "Fully connected").evaluate(sign) == "none"
    assert numbers(page, "x")[1] == "9"


def test_a_large_matrix_zooms(visit):
    page = visit().show(explore(KERNEL, (1, 16, 16), padding=1))
    wide = page.locator("canvas").bounding_box()["width"]
    page.get_by_role("button", name="Zoom in").click()
    page.get_by_role("button", name="Zoom in").click()
    assert page.locator("canvas").bounding_box()["width"] == pytest.approx(4 * wide, rel=0.02)
    box = page.locator("[data-panel=W]")
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")
    page.get_by_role("button", name="Zoom out").click()
    page.get_by_role("button", name="Zoom out").click()
    assert page.locator("canvas").bounding_box()["width"] == pytest.approx(wide, rel=0.02)


def test_more_than_nine_weights_are_told_apart_by_strokes(visit):
    page = visit().show(explore(np.arange(1, 13).reshape(1, 1, 12), (1, 14)))
    looks = page.locator("[data-panel=k] .cell").evaluate_all(
        """all => all.map(cell => [cell.querySelector("rect").style.fill,
             cell.querySelector(".strokes")?.getAttribute("d").split("M").length ?? 0].join())"""
    )
    assert len(set(looks)) == 12
