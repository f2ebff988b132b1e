"""The built pages as a reader meets them: light and dark, wide and on a phone, by any means."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import check_pages  # noqa: E402
from measures import SIZES, answers_in_sight  # noqa: E402

PAGES = check_pages.pages()
#: The page on how the experiments are made draws its runs alone.
WITH_PICTURE = [
    name
    for name in PAGES
    if name == "intro" or (name.startswith("chapters/") and name != "chapters/D_protocol")
]


@pytest.fixture
def read(visit, site):
    """Opens a page of the built book."""

    def open_page(name, **options):
        page = visit(**options).page
        page.goto(f"{site}{name}.html")
        return page

    return open_page


CODE_CHECKED = "chapters/01_two_layers"  # the page on which the colours of code are looked at
ALL = [*PAGES, "genindex", "prf-prf", "py-modindex", "search"]
PHONE = {"viewport": {"width": 390, "height": 844}}
DARK = {"color_scheme": "dark"}
# All pages have one theme: every form of every page once a week, and each time every form of the
# pages that have most kinds of things. The dark form of a page differs in its colours alone.
CONTRAST = {"runOnly": ["color-contrast"]}
MANY_KINDS = ("intro", "chapters/01_two_layers", "back/glossary", "prf-prf")
OTHERS = ("chapters/08_nonlinear", "chapters/12_learning_the_structure", "back/api")
CHECKED = [
    pytest.param(name, form, rules, marks=() if name in often else pytest.mark.slow)
    for form, rules, often in (
        ({}, {}, (*MANY_KINDS, *OTHERS)),
        (PHONE, {}, MANY_KINDS),
        (DARK, CONTRAST, MANY_KINDS),
    )
    for name in ALL
]


# What is wide is measured little by little after the page is there: when it is done.
MEASURED = """[...document.querySelectorAll('.highlight pre, .wide')].every(box =>
  (box.scrollWidth > box.clientWidth + 1) ===
  (box.tabIndex === 0 && box.hasAttribute('aria-label')))"""


def form_name(value):
    return {str(PHONE): "phone", str(DARK): "dark", str(CONTRAST): "contrast"}.get(str(value))


@pytest.mark.parametrize(("name", "form", "rules"), CHECKED, ids=form_name)
def test_axe_finds_nothing_on_any_page(read, name, form, rules):
    from axe_playwright_python.sync_playwright import Axe

    # Code has the same few colours on every page: tens of thousands of elements, and a minute each.
    page = read(name, **form)
    page.wait_for_function(MEASURED)
    if name != CODE_CHECKED:
        page.evaluate(
            "document.querySelectorAll('.highlight pre')"
            ".forEach(code => { code.textContent = code.textContent })"
        )
    # Its preloading looks for imported styles beside the page, where they are not.
    options = {"preload": False, "resultTypes": ["violations"], **rules}
    found = Axe().run(page, None, options).response["violations"]
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found] == []


@pytest.mark.parametrize("name", ALL)
def test_no_page_scrolls_sideways_on_a_phone(read, name):
    """At 320 pixels too, which is also what a laptop shows at 400 %, with every fold open."""
    page = read(name, viewport={"width": 320, "height": 640})
    page.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true })")
    for width in (320, 390):
        page.set_viewport_size({"width": width, "height": 640})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width


# What the tab key stops at, apart from links in the text and folds: these are what a reader wants.
STOPS = """[...document.querySelectorAll('a[href], button, input, summary, [tabindex]')]
  .filter(e => e.tabIndex >= 0 && e.checkVisibility({contentVisibilityAuto: true}))
  .filter(e => !e.matches('article a, article summary, nav a, aside a'))"""


def test_the_tab_key_stops_at_few_things(read):
    """No formula is a stop unless it scrolls, nor is a piece of code."""
    page = read("chapters/07_gradients", viewport={"width": 1280, "height": 800})
    page.wait_for_load_state()
    assert 5 < page.evaluate(f"{STOPS}.length") < 30
    assert (
        page.evaluate("document.querySelectorAll('math[tabindex], span.math[tabindex]').length")
        == 0
    )


def test_what_scrolls_in_its_box_is_a_stop_with_a_name(read):
    page = read("chapters/07_gradients", **PHONE)
    page.wait_for_load_state()
    page.wait_for_function(MEASURED)
    assert page.locator("pre[tabindex='0']").count() > 0


# A browser that keeps nothing, as with site data blocked.
NO_STORAGE = "Object.defineProperty(window, 'localStorage', {get() { throw new Error('blocked') }})"


@pytest.mark.parametrize("script", ["", NO_STORAGE], ids=["kept", "blocked"])
def test_the_colours_are_chosen_by_one_button(visit, site, script):
    page = visit(color_scheme="light").page
    if script:
        page.add_init_script(script)
    page.goto(f"{site}intro.html")
    button = page.get_by_role("button", name="Colours")
    chosen = []
    for _ in range(3):
        chosen.append(page.evaluate("[...Object.values({...document.documentElement.dataset})]"))
        button.click()
    themes = [{"auto", "light", "dark"} & set(values) for values in chosen]
    assert themes == [{"auto", "light"}, {"light"}, {"dark"}]
    if not script:
        button.click()
        button.click()
        page.reload()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_a_copied_example_is_what_one_types(visit, site):
    page = visit(viewport={"width": 1280, "height": 800}).page
    page.add_init_script(
        "Object.defineProperty(navigator, 'clipboard', {value: {writeText: async (text) => "
        "{ window.copied = text }}})"
    )
    page.goto(f"{site}back/api.html")
    example = page.locator(".highlight", has_text="layer.output_shape").first
    assert ">>> " in example.locator("pre").inner_text()
    example.locator("button.copy").click()
    page.wait_for_function("window.copied")
    lines = page.evaluate("window.copied").splitlines()
    assert lines[0].startswith("layer = Geometry(")
    assert lines[1] == "layer.output_shape"
    assert not any(line.startswith((">>>", "...", "(")) for line in lines)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "none"])
def test_the_contents_are_behind_one_button_on_a_phone(read, scripts):
    page = read("chapters/02_one_dimension", java_script_enabled=scripts, **PHONE)
    contents = page.locator("#contents")
    assert not contents.is_visible()
    page.get_by_role("button", name="Contents").focus()
    page.keyboard.press("Enter")
    assert contents.is_visible()
    assert contents.get_by_role("link", name="2. One dimension").is_visible()
    page.keyboard.press("Escape")
    assert not contents.is_visible()


def test_paper_has_no_buttons_and_no_cut_code(read):
    page = read(
        "chapters/07_gradients", viewport={"width": 700, "height": 900}, color_scheme="dark"
    )
    page.emulate_media(media="print")
    assert not page.evaluate(
        "[...document.querySelectorAll('button, nav, .headerlink, .search')]"
        ".some(thing => thing.checkVisibility())"
    )
    assert page.evaluate(
        "[...document.querySelectorAll('pre')].every(pre => pre.scrollWidth <= pre.clientWidth + 1)"
    )
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    assert page.evaluate(ground) == "rgb(255, 255, 255)"


@pytest.mark.parametrize("name", WITH_PICTURE)
def test_the_picture_of_a_page_can_be_pointed_at(read, name):
    page = read(name)
    network = page.locator("[data-panel=y]").count() == 0
    units = page.locator("[data-panel^=n] .cell" if network else "[data-panel=y] .cell")
    last = units.count() - 1
    units.last.hover()
    told = page.locator("p[role=status]").inner_text()
    assert ("in the perceptron" if network else f"row {last} of W") in told
    assert page.locator(".cell.marked").count() > 0
    assert page.locator(".cell.on").count() > 0


@pytest.mark.parametrize(
    ("name", "viewport"),
    [
        ("chapters/08_nonlinear", (1280, 800)),
        ("chapters/09_dense_to_convolution", (390, 844)),
        pytest.param("chapters/08_nonlinear", (390, 844), marks=pytest.mark.slow),
        pytest.param("chapters/09_dense_to_convolution", (1280, 800), marks=pytest.mark.slow),
    ],
)
def test_the_answer_of_a_long_picture_is_in_sight(read, name, viewport):
    page = read(name, viewport=dict(zip(("width", "height"), viewport, strict=True)))
    answers_in_sight(page, page.locator("[data-panel]"))


@pytest.mark.parametrize("name", WITH_PICTURE)
def test_on_a_phone_input_kernel_output_and_matrix_are_within_700_pixels(read, name):
    page = read(name, viewport={"width": 390, "height": 844})
    picture = page.locator("[data]").first
    top = picture.bounding_box()["y"]
    network = page.locator("[data-panel=y]").count() == 0
    # Of a network: its input, and its first layer with its kernel and its matrix.
    panels = page.locator(".pair:nth-child(-n+2) .panel" if network else ".panel")
    boxes = [panel.bounding_box() for panel in panels.all()]
    assert len(boxes) >= 4
    assert max(box["y"] + box["height"] for box in boxes) - top <= 700
    assert min(picture.evaluate(SIZES)) >= 11.99


def test_the_picture_turns_dark_with_the_page(read):
    page = read("intro", color_scheme="light")
    host = "document.querySelector('article [data]')"
    assert not page.evaluate(f"{host}.hasAttribute('dark')")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_function(f"{host}.hasAttribute('dark')")


def test_the_picture_is_seen_early(read):
    """Within the first screen of a laptop the front page shows that it can be pointed at."""
    page = read("intro", viewport={"width": 1280, "height": 900})
    hint = page.get_by_text("Point at or tap any number")
    assert hint.bounding_box()["y"] + 40 < 900


@pytest.mark.parametrize("viewport", [(1280, 800), (390, 844)], ids=["laptop", "phone"])
def test_the_first_screen_has_the_guide_and_the_whole_matrix(read, viewport):
    page = read("intro", viewport=dict(zip(("width", "height"), viewport, strict=True)))
    matrix, guide, answer, verdict = (
        page.locator(part).first.bounding_box() for part in (".W", ".guide", ".answer", ".verdict")
    )
    assert page.locator(".guide small").inner_text() == "1/6"
    for name in ("Shift x", "Convolution", "Locally connected", "Fully connected"):
        box = page.get_by_role("button", name=name).first.bounding_box()
        assert box["y"] + box["height"] <= answer["y"]  # whole, and covered by nothing
    assert matrix["y"] + matrix["height"] <= guide["y"]
    assert answer["y"] + answer["height"] <= viewport[1]
    assert answer["y"] + answer["height"] <= verdict["y"]  # one does not cover the other


STARTS = {
    "00_ten_minutes": "Output y1",
    "01_two_layers": "Output y1",
    "02_one_dimension": "Output y0",
    "03_two_dimensions": "Output y00",
    "04_channels": "Output y00",
    "05_patches": "Output y11",
    "06_tied_weights": "Weight k1 = -2 stands at 4 places",
    "07_gradients": "Result",
    "08_nonlinear": "a00",
    "09_dense_to_convolution": "c00",
    "10_the_paper": "Weight k00 = 1 stands at 4 places",
    "11_degrees_of_freedom": "Weight k1 = -2 stands at 6 places",
    "13_cost": "Output y4",
    "A_rounding": "Output y1",
    "B_orders": "Input x001 = 1: column 1 of W",
    "C_fourier_cost": "Row 0, column 8: k0",
}


@pytest.mark.parametrize("name", STARTS)
def test_the_picture_starts_in_the_state_that_its_text_speaks_of(read, name):
    page = read(f"chapters/{name}")
    assert page.locator("p[role=status]").first.inner_text().startswith(STARTS[name])
    assert page.locator("article [data][pinned]").count() == 0
