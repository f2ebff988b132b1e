"""The built pages as a reader meets them: light and dark, wide and on a phone, by any means."""

import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import check_pages  # noqa: E402
from measures import SIZES, answers_in_sight  # noqa: E402

HTML = ROOT / "_build" / "html"
PAGES = check_pages.pages()
WITH_PICTURE = [name for name in PAGES if name == "intro" or name.startswith("chapters/")]


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a line on stderr for each."""

    def log_message(self, *told):
        pass


@pytest.fixture(scope="module")
def site():
    """The address of the built book, served on this machine."""
    if not (HTML / "intro.html").is_file():
        pytest.fail("the book is not built: make book builds it")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=HTML)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def read(visit, site):
    """Opens a page of the built book."""

    def open_page(name, **options):
        page = visit(**options).page
        page.goto(f"{site}/{name}.html")
        return page

    return open_page


CODE_CHECKED = "chapters/01_two_layers"  # the page on which the colours of code are looked at

# The dark form of a page differs in its colours alone, and those are the same on every page.
CHECKED = [
    *((name, "light", {}) for name in PAGES),
    *((name, "dark", {"runOnly": ["color-contrast"]}) for name in ("intro", "back/glossary")),
]


@pytest.mark.parametrize(("name", "scheme", "rules"), CHECKED)
def test_axe_finds_nothing_on_any_page(read, name, scheme, rules):
    from axe_playwright_python.sync_playwright import Axe

    # Code has the same few colours on every page: tens of thousands of elements, and a minute each.
    page = read(name, color_scheme=scheme)
    if name != CODE_CHECKED:
        page.evaluate(
            "document.querySelectorAll('.highlight pre')"
            ".forEach(code => { code.textContent = code.textContent })"
        )
    # Its preloading looks for imported styles beside the page, where they are not.
    options = {"preload": False, "resultTypes": ["violations"], **rules}
    found = Axe().run(page, None, options).response["violations"]
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found] == []


@pytest.mark.parametrize("name", PAGES)
def test_no_page_scrolls_sideways_on_a_phone(read, name):
    page = read(name, viewport={"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


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


@pytest.mark.parametrize("viewport", [(1280, 800), (390, 844)], ids=["laptop", "phone"])
@pytest.mark.parametrize("name", ["chapters/08_nonlinear", "chapters/09_dense_to_convolution"])
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
