"""A real browser: Debian's Chromium, driven by Playwright. Without one these tests are skipped."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from chromium import ARGUMENTS, chromium  # noqa: E402
from hosting import hosted  # noqa: E402

HTML = ROOT / "_build" / "html"

MISSING = (
    "NO BROWSER: the tests of the linked picture in a real browser were SKIPPED. "
    "Install Chromium, or name it in the variable CHROMIUM."
)


def pytest_terminal_summary(terminalreporter):
    if chromium() is None:
        terminalreporter.write_line(MISSING, red=True, bold=True)


@pytest.fixture(scope="session")
def browser():
    path = chromium()
    if path is None:
        pytest.skip(MISSING)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def book():
    """The folder of the built book."""
    if not (HTML / "intro.html").is_file():
        pytest.fail("the book is not built: make book builds it")
    return HTML


@pytest.fixture(scope="module")
def site(book):
    """The address of the built book, served on this machine, compressed as its readers get it."""
    with hosted(book) as address:
        yield address


#: Lays out the whole page at once, where its style would wait until a part comes near the screen:
#: what a test measures has to be there.
WHOLE = """const whole = new CSSStyleSheet();
whole.replaceSync("* { content-visibility: visible !important }");
document.adoptedStyleSheets = [whole];"""


class Visit:
    """A page with what went wrong on it: what it said on the console, what it asked of others."""

    def __init__(self, browser, **options):
        self.context = browser.new_context(**{"reduced_motion": "reduce", **options})
        self.context.add_init_script(WHOLE)
        self.page = self.context.new_page()
        self.complaints = []
        self.requests = []
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def _hear(self, told):
        if told.type in ("warning", "error"):
            self.complaints.append(told.text)

    def show(self, *explorers, style=""):
        """Return a page that holds nothing but these explorers."""
        body = "".join(explorer._repr_html_() for explorer in explorers)
        self.page.set_content(
            "<!doctype html><html lang=en><head><meta charset=utf-8><title>Explorer</title>"
            "<meta name=viewport content='width=device-width, initial-scale=1'>"
            f"<style>body{{margin:16px;{style}}}</style></head>"
            f"<body><main><h1>Explorer</h1>{body}</main></body></html>"
        )
        return self.page


@pytest.fixture
def visit(browser):
    """Opens pages, and at the end demands that none complained or asked another host."""
    visits = []

    def open_one(**options):
        visits.append(Visit(browser, **options))
        return visits[-1]

    yield open_one
    for one in visits:
        one.context.close()
        assert one.complaints == []
        assert [
            url
            for url in one.requests
            if not url.startswith(("data:", "about:", "file:", "http://127.0.0.1"))
        ] == []
