"""The linked picture as a reader meets it: pointed at, tapped, walked through by keyboard."""

import numpy as np
import pytest
from measures import MARKS, SIZES, answers_in_sight, faults, luminance

from equivlib import conv_matrix, conv_transpose, explore, explore_network, tap_matrix
from equivlib.layers import Conv, Dense, Flatten, MaxPool, Network, ReLU

KERNEL = np.array([[[[1, 2, 0], [-1, 3, 5], [4, -2, 7]]]])
IMAGE = np.array([[[3, 1, 4, 1], [5, 9, 2, 6], [5, 3, 5, 8], [9, 7, 9, 3]]])
CASES = {
    "plain": (KERNEL, IMAGE, {}),
    "padded, stride 2": (KERNEL, IMAGE, {"padding": 1, "stride": 2}),
    "mirrored": (KERNEL, IMAGE, {"padding": 1, "padding_mode": "reflect"}),
    "wrapped, flipped": (KERNEL, IMAGE, {"padding": 1, "padding_mode": "circular", "flip": True}),
    "unequal axes": (KERNEL[:, :, :2], IMAGE[:, :3], {"dilation": (1, 1), "padding": (0, 1)}),
    "causal": (np.array([[[2, -1, 3]]]), np.array([[1, 2, 3, 4, 5]]), {"padding": ((2, 0),)}),
    "channels": (np.arange(1, 25).reshape(3, 2, 2, 2), np.arange(18).reshape(2, 3, 3), {}),
    "groups": (np.arange(1, 9).reshape(4, 1, 2), np.arange(8).reshape(2, 4), {"groups": 2}),
}


def lit(page, panel, of=0, mark="on"):
    """Return the cells of a panel that are lit, by number."""
    cells = page.locator(f"[data-panel={panel}]").nth(of).locator(f".cell.{mark}")
    places = cells.evaluate_all("all => all.map(cell => cell.dataset.at)")
    return {int(at) for place in places for at in place.split()}  # in an image, many are one shape


def cell(page, panel, at, of=0):
    return page.locator(f"[data-panel={panel}]").nth(of).locator(f"[data-at='{at}']").first


def sentence(page, of=0):
    text = page.locator("p[role=status]").nth(of).inner_text()
    assert "undefined" not in text
    return text


def button(page, name, of=0):
    """Return a button; all but one are behind the settings, which are opened if they are closed."""
    if name not in ("Play", "Pause", "Guide", "Reset"):
        page.locator(".more").nth(of).evaluate("more => { more.open = true; }")
    return page.get_by_role("button", name=name).nth(of)


@pytest.fixture(params=CASES, ids=str)
def case(request):
    return CASES[request.param]


def test_at_every_output_lights_its_row_its_patch_and_its_weights(visit, case):
    weight, x, options = case
    page = visit().show(explore(weight, x.shape, x=x, **options))
    W = conv_matrix(weight, x.shape, **options).tocoo()
    columns = explore(weight, x.shape, x=x, **options).facts()["columns"]
    taps = [tap_matrix(t, weight.shape, x.shape, **options) for t in np.ndindex(*weight.shape)]
    y = conv_matrix(weight, x.shape, **options) @ x.ravel()
    for row in range(W.shape[0]):
        cell(page, "y", row).hover()
        assert lit(page, "W") == {
            row * W.shape[1] + c for r, c in zip(W.row, W.col, strict=True) if r == row
        }
        seen = {columns[place] for place in lit(page, "x")} - {-1}
        assert seen == {int(c) for r, c in zip(W.row, W.col, strict=True) if r == row}
        met = {t for t, E in enumerate(taps) if E.tocsr()[[row]].nnz}
        assert met <= lit(page, "k")
        assert lit(page, "y", mark="marked") == {row}
        assert page.locator(".equation div").nth(1).inner_text().endswith(f"= {y[row]}")
        assert f"row {row} of W" in sentence(page)


def test_at_every_input_lights_its_column_which_is_the_transpose(visit, case):
    weight, x, options = case
    explorer = explore(weight, x.shape, x=x, **options)
    page = visit().show(explorer)
    W = conv_matrix(weight, x.shape, **options)
    back = conv_transpose(
        (W @ x.ravel()).reshape(explorer.facts()["y"]["shape"])
        if x.ndim == 3
        else (W @ x.ravel()).reshape(len(weight), -1),
        weight,
        output_shape=x.shape[1:],
        **options,
    ).ravel()
    W = W.tocoo()
    columns, inside = explorer.facts()["columns"], explorer.facts()["x"]["inside"]
    button(page, "Read W by columns").click()
    for place in np.flatnonzero(inside):
        column = columns[place]
        cell(page, "x", place).hover()
        rows = {int(r) for r, c in zip(W.row, W.col, strict=True) if c == column}
        assert lit(page, "W") == {r * W.shape[1] + column for r in rows}
        assert lit(page, "y") == rows
        assert page.locator(".equation div").nth(1).inner_text().endswith(f"= {back[column]}")


def test_at_an_input_tells_where_it_goes(visit):
    page = visit().show(explore([[[2, 5]]], (1, 4), x=[[3, 1, 4, 1]]))
    cell(page, "x", 1).hover()
    assert page.locator(".equation").inner_text() == "x1 → k1·x1 in y0, k0·x1 in y1"
    assert sentence(page) == "Input x1 = 1: column 1 of W, read by y0, y1."


def test_at_every_weight_lights_all_its_places(visit, case):
    weight, x, options = case
    page = visit().show(explore(weight, x.shape, x=x, **options))
    for number, tap in enumerate(np.ndindex(*weight.shape)):
        E = tap_matrix(tap, weight.shape, x.shape, **options).tocoo()
        cell(page, "k", number).hover()
        assert lit(page, "W") == {
            int(r) * E.shape[1] + int(c) for r, c in zip(E.row, E.col, strict=True)
        }
        assert f"stands at {E.nnz} place" in sentence(page)


def test_at_an_entry_tells_weight_pair_and_twins(visit):
    page = visit().show(explore(KERNEL, IMAGE.shape, x=IMAGE))
    cell(page, "W", 16 + 6).hover()
    assert sentence(page) == (
        "Row 1, column 6: k11, the weight of x12 in y01; it stands at 3 other places."
    )
    assert lit(page, "W") == {5, 22, 41, 58}
    assert lit(page, "k") == {4}
    assert lit(page, "y", mark="marked") == {1}
    assert "W[1, 6] = k11 = 3" in page.locator(".equation").inner_text()


def test_an_entry_of_two_weights_shows_their_sum(visit):
    page = visit().show(explore([[[2, 5, 9]]], (1, 4), padding=1, padding_mode="reflect"))
    cell(page, "W", 1).hover()
    assert "W[0, 1] = k0 + k2 = 11" in page.locator(".equation").inner_text()
    assert "because the padding shows x1 to these weights of y0" in sentence(page)
    assert lit(page, "W") == {1}


def test_rounded_numbers_are_not_called_equal(visit):
    page = visit().show(explore([[[1.004, -1.0]]], (1, 2), x=[[1000.4, 1003.6]]))
    assert page.locator(".equation div").nth(1).inner_text() == "≈ 1·1000 + (-1)·1004 ≈ 0.802"
    exact = visit().show(explore([[[0.5, -1.0]]], (1, 2), x=[[2.0, 3.0]]))
    assert exact.locator(".equation div").nth(1).inner_text() == "= 0.5·2 + (-1)·3 = -2"


def test_the_matrix_shows_names_or_numbers(visit):
    page = visit().show(explore([[[2, 5, 9]]], (1, 4), padding=1, padding_mode="reflect"))
    button(page, "Numbers in W").click()
    shown = page.locator("[data-panel=W] .cell text").all_text_contents()
    W = conv_matrix([[[2, 5, 9]]], (1, 4), padding=1, padding_mode="reflect").tocsr()
    assert shown == [str(value) for value in W.data]


def test_a_copy_in_the_padding_says_what_it_copies(visit):
    page = visit().show(explore([[[1, 2, 3]]], (1, 4), padding=1, padding_mode="circular"))
    cell(page, "x", 0).hover()
    assert sentence(page).startswith("Padding that shows x3 again. Input x3 = 4: column 3 of W")


def test_by_columns_the_padding_holds_no_result(visit):
    page = visit().show(explore([[[1, 2, 3]]], (1, 4), padding=1, padding_mode="circular"))
    button(page, "Read W by columns").click()
    assert cell(page, "x", 0).locator("text").all_text_contents() == ["", ""]
    cell(page, "x", 1).hover()
    assert "column 0 of W is a row of Wᵀ, and collects from y0, y1, y3" in sentence(page)


def test_a_change_of_setting_keeps_what_was_chosen_by_its_name(visit):
    settings = {"plain": {}, "padded": {"padding": 1}}
    page = visit().show(explore(KERNEL, IMAGE.shape, x=IMAGE, variants=settings))
    cell(page, "y", 2).click()
    button(page, "padded").click()
    assert sentence(page).startswith("Output y10 ")
    cell(page, "x", 2 * 6 + 3).click()
    assert "Input x12" in sentence(page)
    button(page, "plain").click()
    assert "Input x12" in sentence(page)


@pytest.mark.parametrize(
    ("weight", "shape", "options", "entry", "reason"),
    [
        ([[[1, 2]]], (1, 5), {}, 4, "x4 is out of reach of y0"),
        ([[[1, 2]]], (1, 5), {"dilation": 3}, 1, "x1 lies between two taps of y0"),
        (np.ones((2, 1, 2)), (2, 3), {"groups": 2}, 4, "x11 is in another group than y00"),
        ([[[[1, 2, 3]]]], (1, 2, 3), {"padding": ((0, 0), (1, 1))}, 2 * 6 + 3, "diagonal of k2"),
        ([[[[1, 2], [3, 4]]]], (1, 2, 3), {"padding": 1}, 3, "x10 is out of reach of y00"),
    ],
)
def test_at_an_empty_entry_says_why(visit, weight, shape, options, entry, reason):
    page = visit().show(explore(weight, shape, **options))
    wide = int(np.prod(shape))
    box = page.locator("[data-panel=W] .ground").bounding_box()
    rows = explore(weight, shape, **options).facts()["y"]["labels"]
    at = divmod(entry, wide)
    page.mouse.move(
        box["x"] + (at[1] + 0.5) * box["width"] / wide,
        box["y"] + (at[0] + 0.5) * box["height"] / len(rows),
    )
    assert reason in sentence(page)
    assert lit(page, "W") == set()


def test_padding_can_be_pointed_at(visit):
    page = visit().show(explore([[[1, 2, 3]]], (1, 4), padding=1))
    cell(page, "x", 0).hover()
    assert sentence(page) == "Padding: a zero that has no column in W, read by y0."
    assert lit(page, "y") == {0}


def test_a_click_pins_and_escape_or_a_second_click_releases(visit):
    page = visit().show(explore(KERNEL, IMAGE.shape, x=IMAGE))
    cell(page, "y", 3).click()
    cell(page, "y", 0).hover()
    assert lit(page, "y", mark="marked") == {3}
    assert button(page, "Pin the selection").get_attribute("aria-pressed") == "true"
    assert page.locator("main > [pinned]").count() == 1
    page.keyboard.press("Escape")
    cell(page, "y", 1).hover()
    assert lit(page, "y", mark="marked") == {1}
    cell(page, "y", 2).click()
    cell(page, "y", 2).click()
    cell(page, "y", 0).hover()
    assert lit(page, "y", mark="marked") == {0}
    cell(page, "y", 1).hover()
    button(page, "Pin the selection").click()
    cell(page, "y", 0).hover()
    assert lit(page, "y", mark="marked") == {1}
    page.locator("h1").click()
    page.keyboard.press("Escape")
    cell(page, "y", 0).hover()
    assert lit(page, "y", mark="marked") == {0}


def test_a_tap_selects_and_stays(visit):
    page = visit(has_touch=True, viewport={"width": 390, "height": 800}).show(
        explore(KERNEL, IMAGE.shape, x=IMAGE)
    )
    cell(page, "k", 8).tap()
    assert "Weight k22 = 7 stands at 4 places" in sentence(page)
    cell(page, "x", 0).tap()
    assert "Input x00 = 3: column 0 of W" in sentence(page)


def test_everything_can_be_reached_by_keyboard(visit):
    page = visit().show(
        explore(KERNEL, IMAGE.shape, x=IMAGE, variants={"a": {}, "b": {"padding": 1}})
    )
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate(
                """() => { let at = document.activeElement;
                while (at.shadowRoot) at = at.shadowRoot.activeElement;
                return at.dataset.panel || at.getAttribute('aria-label') || at.textContent; }"""
            )
        )
        if seen[-1] == "Settings: a" and seen.count(seen[-1]) == 1:
            page.keyboard.press("Enter")  # opens them
    for name in [
        "Settings: a",
        "a",
        "b",
        "Step back",
        "Play",
        "Step on",
        "Pin the selection",
        *"xkyW",
        "Answer",
        "Guide: six steps",
        "Convolution: 9",
        "Fully connected: 64",
        "Shift x → by one",
        "Reset: everything as at first",
        "edge",
        "digit",
        "Link to this state",
    ]:
        assert name in seen
    assert seen.index("W") < seen.index("Convolution: 9") < seen.index("Answer")


def test_arrow_keys_move_within_a_panel_and_enter_pins(visit):
    page = visit().show(explore(KERNEL, IMAGE.shape, x=IMAGE))
    page.locator("[data-panel=y]").focus()
    assert lit(page, "y", mark="marked") == {2}
    page.keyboard.press("ArrowUp")
    assert lit(page, "y", mark="marked") == {0}
    page.keyboard.press("ArrowRight")
    assert lit(page, "y", mark="marked") == {1}
    page.keyboard.press("ArrowDown")
    assert lit(page, "y", mark="marked") == {3}
    page.keyboard.press("ArrowDown")
    assert lit(page, "y", mark="marked") == {3}
    page.keyboard.press(" ")
    cell(page, "k", 0).hover()
    assert lit(page, "y", mark="marked") == {3}
    page.keyboard.press("Escape")
    page.locator("[data-panel=W]").focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    assert sentence(page).startswith("Row 1, column 2: k01")


def test_settings_switch_in_place(visit):
    settings = {"stride 1": {"padding": 1}, "stride 2": {"padding": 1, "stride": 2}}
    explorer = explore(KERNEL, IMAGE.shape, x=IMAGE, variants=settings)
    page = visit().show(explorer)
    assert page.locator("[data-panel=y] .cell").count() == 16
    button(page, "stride 2").click()
    assert page.locator("[data-panel=y] .cell").count() == 4
    assert button(page, "stride 2").get_attribute("aria-pressed") == "true"
    assert button(page, "stride 1").get_attribute("aria-pressed") == "false"
    values = page.locator("[data-panel=y] .cell text:last-of-type").all_text_contents()
    assert values == explorer.facts(1)["y"]["values"]
    button(page, "Copy")
    page.locator(".more .code summary").click()
    assert "stride=2" in page.locator("pre").inner_text()


def test_reading_by_columns_turns_the_picture_round(visit):
    explorer = explore(KERNEL, IMAGE.shape, x=IMAGE, padding=1)
    page = visit().show(explorer)
    button(page, "Read W by columns").click()
    inside = explorer.facts()["x"]["inside"]
    shown = page.locator("[data-panel=x] .cell:not(.outside) text:last-of-type").all_text_contents()
    assert shown == explorer.facts()["x"]["back"]
    assert "Result" in sentence(page)
    button(page, "Step on").click()
    assert lit(page, "x", mark="marked") == {int(np.flatnonzero(inside)[1])}
    button(page, "Read W by columns").click()
    assert sentence(page).startswith("Output")


def test_steps_walk_the_outputs_in_order_and_round(visit):
    page = visit().show(explore(KERNEL, IMAGE.shape, x=IMAGE))
    walked = []
    for _ in range(5):
        walked.append(lit(page, "y", mark="marked"))
        button(page, "Step on").click()
    assert walked == [{2}, {3}, {0}, {1}, {2}]
    button(page, "Step back").click()
    assert lit(page, "y", mark="marked") == {2}


MARKED = """at => document.querySelector('main > *:nth-child(2)').shadowRoot
    .querySelector(`[data-panel=y] [data-at="${at}"]`).classList.contains('marked')"""


def test_it_plays_by_itself_until_somebody_points(visit):
    one = visit(reduced_motion="no-preference")
    page = one.show(explore(KERNEL, IMAGE.shape, x=IMAGE))
    button(page, "Pause").wait_for()
    assert page.locator("p[role=status]").get_attribute("aria-live") == "off"
    page.wait_for_function(MARKED, arg=1)
    cell(page, "y", 3).hover()
    button(page, "Play").wait_for()
    assert page.locator("p[role=status]").get_attribute("aria-live") == "polite"
    page.wait_for_timeout(1500)
    assert lit(page, "y", mark="marked") == {3}
    button(page, "Play").click()
    page.wait_for_function(MARKED, arg=0)  # after the last output comes the first
    button(page, "Pause").click()
    assert button(page, "Play").is_visible()


def test_it_does_not_play_for_those_who_prefer_less_motion(visit):
    page = visit().show(explore(KERNEL, IMAGE.shape, x=IMAGE))
    page.wait_for_timeout(1500)
    assert lit(page, "y", mark="marked") == {2}
    button(page, "Play").click()
    assert button(page, "Pause").is_visible()


def test_it_plays_once_round(visit):
    page = visit().show(explore([[[1, 2]]], (1, 3)))
    button(page, "Play").click()
    page.wait_for_function(MARKED, arg=0)
    page.wait_for_function(MARKED, arg=1)
    button(page, "Play").wait_for()


def test_few_buttons_are_in_sight_and_one_holds_all_others(visit):
    page = visit().show(explore(KERNEL, IMAGE.shape, variants={"a": {}, "padded": {"padding": 1}}))
    assert page.get_by_role("button").all_inner_texts() == [
        "▶ Play",
        "Guide",
        "Shift x →",
        "Reset",
        "Convolution: 9",
        "Locally connected: 36",
        "Fully connected: 64",
    ]
    settings = page.locator("summary")
    assert settings.first.inner_text() == "Settings: a"
    settings.first.click()
    assert page.get_by_role("button").count() > 20
    button(page, "padded").click()
    assert settings.first.inner_text() == "Settings: padded"


def test_a_page_can_ask_for_the_picture_alone(visit):
    page = visit().show(explore(KERNEL, IMAGE.shape, controls=()))
    assert page.get_by_role("button").all_inner_texts() == ["▶ Play", "Reset"]
    cell(page, "k", 1).click()
    assert page.locator(".field").count() == 0


def test_the_first_look_says_that_it_can_be_pointed_at(visit):
    page = visit().show(explore(KERNEL, IMAGE.shape, x=IMAGE))
    assert page.get_by_text("Point at or tap any number").is_visible()
    assert lit(page, "W") == {2 * 16 + at for at in (4, 5, 6, 8, 9, 10, 12, 13, 14)}


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", CASES, ids=str)
def test_nothing_scrolls_sideways_but_the_matrix_in_its_box(visit, width, name):
    weight, x, options = CASES[name]
    page = visit(viewport={"width": width, "height": 800}).show(explore(weight, x.shape, **options))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    boxes = page.locator(".box").evaluate_all(
        """all => all.filter(box => box.scrollWidth > box.clientWidth + 1)
        .map(box => box.dataset.panel)"""
    )
    assert set(boxes) <= {"W"}


def test_on_a_phone_the_matrix_scrolls_to_what_is_lit(visit):
    page = visit(viewport={"width": 390, "height": 800}).show(
        explore(KERNEL, IMAGE.shape, padding=1)
    )
    box = page.locator("[data-panel=W]")
    cell(page, "x", 4 * 6 + 4).hover()
    assert box.evaluate("box => box.scrollLeft") > 0
    frame, shown = page.locator("[data-panel=W] .band").bounding_box(), box.bounding_box()
    assert frame["x"] + frame["width"] <= shown["x"] + shown["width"] + 2


@pytest.mark.parametrize(
    ("style", "dark"),
    [("", False), ("background:#121212;color:#eee", True), ("background:#fff;color:#333", False)],
)
def test_it_follows_the_colours_of_the_page(visit, style, dark):
    page = visit().show(explore(KERNEL, IMAGE.shape), style=style)
    explorer = page.locator("main > :nth-child(2)")
    assert (explorer.get_attribute("dark") is not None) == dark
    page.evaluate("document.body.style.color = 'rgb(240, 240, 240)'")
    page.wait_for_function("document.querySelector('main > :nth-child(2)').hasAttribute('dark')")


@pytest.mark.parametrize("style", ["", "background:#121212;color:#eee"], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["plain", "mirrored", "groups"])
def test_axe_finds_nothing(visit, style, name):
    from axe_playwright_python.sync_playwright import Axe

    weight, x, options = CASES[name]
    one = visit()
    page = one.show(explore(weight, x.shape, variants={"a": options, "b": options}), style=style)
    for act in (
        lambda: None,
        lambda: cell(page, "y", 1).click(),
        lambda: button(page, "Read W by columns").click(),
        lambda: page.locator(".more .code summary").click(),
    ):
        act()
        found = Axe().run(page).response["violations"]
        assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found] == []


def test_two_explorers_on_one_page_do_not_disturb_each_other(visit):
    one = explore(KERNEL, IMAGE.shape, x=IMAGE)
    page = visit().show(one, explore([[[1, 2]]], (1, 3)), one)
    cell(page, "y", 2, of=0).hover()
    cell(page, "k", 1, of=1).hover()
    cell(page, "y", 1, of=2).hover()
    assert lit(page, "y", 0, mark="marked") == {2}
    assert lit(page, "W", 1) == {1, 5}
    assert lit(page, "y", 2, mark="marked") == {1}
    cell(page, "y", 3, of=0).click()
    assert page.locator("main > [pinned]").count() == 1


def test_a_label_is_text_even_if_it_looks_like_a_script(visit):
    label = "<script>alert(1)</script>"
    one = visit()
    one.page.on("dialog", lambda dialog: one.complaints.append("a label was run"))
    page = one.show(explore([[[1, 2]]], (1, 3), names=label, variants={label: {}, "b": {}}))
    assert button(page, label).is_visible()
    cell(page, "k", 1).hover()
    assert sentence(page).startswith(f"Weight {label}1 = 2")


def test_a_large_matrix_is_an_image_whose_row_is_written_out(visit):
    x = np.arange(256).reshape(1, 16, 16) % 7
    tall = visit(viewport={"width": 1000, "height": 1600})
    page = tall.show(explore(KERNEL, x.shape, x=x, padding=1))
    box = page.locator("[data-panel=W] canvas").bounding_box()
    page.mouse.move(box["x"] + 100.5 / 256 * box["width"], box["y"] + 100.5 / 256 * box["height"])
    assert sentence(page).startswith("Row 100, column 100: k11")
    y = conv_matrix(KERNEL, x.shape, padding=1) @ x.ravel()
    assert f"= {y[100]}" in page.locator(".equation").inner_text()
    cell(page, "y", 100).hover()
    W = conv_matrix(KERNEL, x.shape, padding=1).tocsr()
    assert {at % 256 for at in lit(page, "W")} == set(W[[100]].indices.tolist())
    page.locator("[data-panel=W]").focus()
    page.keyboard.press("ArrowDown")
    assert sentence(page).startswith("Row ")


def test_the_code_can_be_copied(visit):
    one = visit(permissions=["clipboard-read", "clipboard-write"])
    page = one.show(explore(KERNEL, IMAGE.shape, x=IMAGE))
    button(page, "Copy")
    page.locator(".more .code summary").click()
    shown = page.locator("pre").inner_text()
    assert "conv_matrix(weight, x.shape)" in shown
    assert "torch.nn.Conv2d(1, 1, (3, 3)" in shown


def test_without_scripts_the_static_picture_stands_in_its_place(browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_content(explore(KERNEL, IMAGE.shape, x=IMAGE)._repr_html_())
    assert (
        page.get_by_role("img").get_attribute("aria-label").startswith("explore: input 1 × 4 × 4")
    )
    context.close()


SHOWN = {
    **{name: explore(weight, x.shape, x=x, **told) for name, (weight, x, told) in CASES.items()},
    "image": explore(KERNEL, (1, 16, 16), padding=1),
    "network": explore_network(
        Network(
            [Conv([[[[1, 0], [2, -1]]]], [-1]), ReLU(), MaxPool(2), Flatten(), Dense([[1], [-1]])],
            (1, 3, 3),
        )
    ),
}
THEMES = {"light": "", "dark": "background:#121212;color:#eee"}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name == "image" else ()) for name in SHOWN],
)
def test_every_mark_has_contrast(visit, name, theme):
    page = visit().show(SHOWN[name], style=THEMES[theme])
    for kind in ("n", "m", "k") if name == "network" else ("x", "k", "y", "W"):
        cells = page.locator(f"[data-panel^={kind}] .cell")
        cells.nth(cells.count() // 2).hover()
        assert faults(page) == []
    cells.first.click()
    assert page.locator("main > [pinned]").count() == 1
    assert faults(page) == []


def test_a_mark_without_contrast_is_found(visit):
    """The measure itself: pale squares on a pale ground, as matrices of pooling once were."""
    page = visit().show(SHOWN["network"])
    assert faults(page) == []
    page.locator("main > :nth-child(2)").evaluate(
        "picture => { const style = document.createElement('style');"
        "style.textContent = '.entry { stroke: none; }'; picture.shadowRoot.append(style); }"
    )
    assert {kind for kind, _ in faults(page)} == {"mark"}


@pytest.mark.parametrize("width", [320, pytest.param(390, marks=pytest.mark.slow), 1280])
@pytest.mark.parametrize("name", SHOWN)
def test_every_label_has_twelve_pixels(visit, name, width):
    page = visit(viewport={"width": width, "height": 844}).show(SHOWN[name])
    if name != "network":
        button(page, "Copy")
        page.locator(".more .code summary").click()
    sizes = page.locator("main > :nth-child(2)").evaluate(SIZES)
    assert len(sizes) > 10
    assert min(sizes) >= 11.99


@pytest.mark.parametrize("name", [name for name in CASES if name != "channels"])
def test_on_a_phone_the_whole_layer_is_within_700_pixels(visit, name):
    page = visit(viewport={"width": 390, "height": 844}).show(SHOWN[name])
    top = page.locator("main > :nth-child(2)").bounding_box()["y"]
    boxes = [panel.bounding_box() for panel in page.locator(".panel").all()]
    assert len(boxes) == 4
    assert max(box["y"] + box["height"] for box in boxes) - top <= 700


@pytest.mark.parametrize("name", ["plain", "wrapped, flipped", "network"])
def test_it_uses_the_width_it_has(visit, name):
    page = visit(viewport={"width": 720, "height": 844}).show(SHOWN[name])
    room = page.locator(".board").bounding_box()["width"]
    boxes = [panel.bounding_box() for panel in page.locator(".panel > .box svg").all()]
    reach = max(box["x"] + box["width"] for box in boxes) - min(box["x"] for box in boxes)
    assert reach >= 0.8 * room


def test_pressed_buttons_are_told_by_a_sign_too(visit):
    page = visit(forced_colors="active").show(SHOWN["plain"])
    pressed = button(page, "Numbers in W")
    look = """node => [getComputedStyle(node).backgroundColor,
        getComputedStyle(node, '::before').content]"""
    before = pressed.evaluate(look)
    pressed.click()
    after = pressed.evaluate(look)
    assert before[0] != after[0]
    assert (before[1], after[1]) == ("none", '"✓ "')


def test_on_paper_it_is_dark_on_white(visit):
    page = visit().show(SHOWN["plain"], style=THEMES["dark"])
    page.emulate_media(media="print")
    assert not page.locator(".bar").is_visible()
    assert faults(page) == []
    marks = page.locator("main > :nth-child(2)").evaluate(MARKS)
    assert {mark["behind"] for mark in marks if "panel W" not in mark["what"]} == {
        "rgb(255, 255, 255)"
    }
    inks = {mark["text"] for mark in marks if mark["text"]}
    assert all(luminance(ink) < 0.02 or luminance(ink) > 0.9 for ink in inks)
    assert page.locator("p[role=status]").evaluate("p => getComputedStyle(p).color") == (
        "rgb(27, 27, 27)"
    )


CLIPPED = {"plain": "", "clipped": "overflow-x:auto", "scrolling": "height:600px;overflow:auto"}


@pytest.mark.parametrize("viewport", [(1280, 800), (390, 844)], ids=["laptop", "phone"])
@pytest.mark.parametrize("style", CLIPPED)
@pytest.mark.parametrize("name", ["plain", pytest.param("network", marks=pytest.mark.slow)])
def test_the_answer_is_in_sight_at_every_cell(visit, name, style, viewport):
    """Whatever an ancestor does about what is wider or higher than itself."""
    page = visit(viewport=dict(zip(("width", "height"), viewport, strict=True))).show(SHOWN[name])
    page.evaluate(
        """style => { const main = document.querySelector('main'); main.style = style;
        main.insertAdjacentHTML('beforeend', '<p style="height:2000px">more</p>'); }""",
        CLIPPED[style],
    )
    answers_in_sight(page, page.locator(".panel .box"))
