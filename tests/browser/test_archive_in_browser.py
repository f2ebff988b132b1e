"""The archive of the pages as a reader takes it along: unpacked on a disk, with the network off."""

import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import packing  # noqa: E402

CHAPTER = "chapters/03_two_dimensions.html"


@pytest.fixture(scope="module")
def unpacked(book, tmp_path_factory):
    """The pages out of their archive, in a folder whose name has a space and other letters."""
    folder = tmp_path_factory.mktemp("kept") / "a disk, Bücher, 本"
    archive = folder.parent / "one-matrix.zip"
    packing.packed(packing.files(book), archive)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    return folder / "one-matrix"


@pytest.fixture
def page(visit):
    """A page that has no network: what it asks of any host is an error of the test."""
    return visit(offline=True).page


def test_the_archive_holds_every_file_of_the_book(book, unpacked):
    def names(folder):
        return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}

    assert names(unpacked) == names(book)


def test_no_page_of_it_complains_or_lacks_a_picture(unpacked, page):
    broken = {}
    for path in sorted(unpacked.rglob("*.html")):
        if path.name == "404.html":  # which a server alone shows, with its own addresses
            continue
        page.goto(path.as_uri())
        page.evaluate("for (const i of document.images) i.loading = 'eager'")
        page.wait_for_function("[...document.images].every(image => image.complete)")
        lost = page.evaluate(
            "[...document.images].filter(i => !i.naturalWidth).map(i => i.getAttribute('src'))"
        )
        if lost:
            broken[path.name] = lost
    assert broken == {}


def test_the_picture_answers(unpacked, page):
    page.goto((unpacked / CHAPTER).as_uri())
    status = page.locator("p[role=status]").first
    before = status.inner_text()
    page.locator("[data-panel=W] [data-at]").last.hover()
    page.locator("[data-panel=y] [data-at]").last.click()
    assert status.inner_text() != before


def test_formulas_have_a_size_and_their_font(unpacked, page):
    page.goto((unpacked / CHAPTER).as_uri())
    assert page.evaluate("document.fonts.load('20px STIX Two Math', '𝑥').then(f => f.length)") == 1
    widths = page.eval_on_selector_all(
        "math", "all => all.map(one => one.getBoundingClientRect().width)"
    )
    assert sum(width > 0 for width in widths) > 20


def test_a_fold_opens_and_a_link_to_a_proof_opens_it_too(unpacked, page):
    page.goto((unpacked / CHAPTER).as_uri())
    fold = page.locator("details.fold").first
    fold.locator("summary").first.click()
    assert fold.get_attribute("open") is not None
    page.goto((unpacked / "index.html").as_uri())
    page.goto(f"{(unpacked / CHAPTER).as_uri()}#proof-of-thm-kronecker")
    page.wait_for_function(
        "document.getElementById('proof-of-thm-kronecker').closest('details').open"
    )


def test_search_finds_a_page_and_its_link_leads_there(unpacked, page):
    page.goto((unpacked / "search.html").as_uri())
    page.fill("input[name=q]", "doubly blocked")
    page.press("input[name=q]", "Enter")
    page.locator("#search-results a[href*='03_two_dimensions']").first.click()
    page.wait_for_function("location.pathname.endsWith('03_two_dimensions.html')")
    assert "Two dimensions" in page.title()


def test_every_link_between_its_pages_exists(unpacked, page):
    page.goto((unpacked / "index.html").as_uri())
    page.wait_for_load_state()
    links = page.eval_on_selector_all("a[href]", "all => all.map(link => link.href)")
    local = {link.partition("#")[0].partition("?")[0] for link in links if link[:5] == "file:"}
    assert len(local) > 20
    here = f"{unpacked.as_uri()}/"
    assert all(link.startswith(here) for link in local)
    assert [link for link in local if not (unpacked / link.removeprefix(here)).is_file()] == []
