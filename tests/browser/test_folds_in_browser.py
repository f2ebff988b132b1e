"""Folds in a real browser: by keyboard, by links, by search, on paper, and without scripts."""

import re
import sys
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]

import count  # noqa: E402
import folded  # noqa: E402

CHAPTER = ROOT / "_build" / "html" / "chapters" / "02_one_dimension.html"
OPEN = """() => [...document.querySelectorAll("details.fold[open] > summary")]
  .map((bar) => bar.textContent.trim())"""


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    return folded.build(tmp_path_factory.mktemp("folds"))


@pytest.fixture
def address(html):
    return (html / "chapters" / "page.html").as_uri()


def opened(page):
    page.wait_for_timeout(100)
    return page.evaluate(OPEN)


BOTH = ["1.4. For the record", "Proof of Theorem 1.2"]


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_every_fold_opens_and_closes_by_keyboard(visit, address, scripts, key):
    page = visit(java_script_enabled=scripts).page
    page.goto(address)
    bars = page.locator("details.fold > summary:visible")
    assert bars.count() == 12
    for bar in bars.all():
        bar.focus()
        shut = page.locator("details.fold[open]").count()
        page.keyboard.press(key)
        assert page.locator("details.fold[open]").count() == shut + 1
        page.keyboard.press(key)
        assert page.locator("details.fold[open]").count() == shut


def test_tab_leads_from_bar_to_bar(visit, address):
    page = visit().page
    page.goto(address)
    page.locator("summary").first.focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent").strip() == "Proof"


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
@pytest.mark.parametrize(
    ("place", "bars"),
    [
        ("words-of-the-proof", ["Proof of Theorem 1.1"]),
        ("proof-of-thm-one", ["Proof of Theorem 1.1"]),
        ("cell-thm-one", ["Check of Theorem 1.1"]),
        ("for-the-record", ["1.4. For the record"]),
        ("a-part-of-it", ["1.4. For the record"]),
        ("thm-two", ["1.4. For the record"]),
        ("inside-both", BOTH),
    ],
)
def test_a_link_to_anything_inside_opens_it_and_nothing_else(visit, address, scripts, place, bars):
    page = visit(java_script_enabled=scripts).page
    page.goto(f"{address}#{place}")
    found = page.locator("details.fold[open] > summary")
    page.locator(f"#{place}").wait_for(state="visible")
    assert [text.strip() for text in found.all_text_contents()] == bars
    place = page.locator(f"#{place}").bounding_box()
    assert -1 < place["y"] < page.viewport_size["height"]


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_a_link_on_another_page_opens_it(visit, html, scripts):
    page = visit(java_script_enabled=scripts).page
    for text, word in (("proof", "kingfisher"), ("record", "lapwing")):
        page.goto((html / "index.html").as_uri())
        page.get_by_role("link", name=text, exact=True).click()
        page.get_by_text(word).wait_for(state="visible")


def test_the_script_opens_what_a_browser_does_not_open_itself(visit):
    page = visit().page
    script = (ROOT / "_theme" / "one_matrix" / "static" / "one.js").read_text(encoding="utf-8")
    page.set_content(
        "<details id=outer class=fold><summary>Bar</summary>"
        "<details id=inner class=fold><summary>Bar</summary><p id=it>it</p></details></details>"
        f"<details id=other class=fold><summary>Bar</summary></details><script>{script}</script>"
    )
    # No navigation, so that the browser has no reason to open anything.
    page.evaluate("history.replaceState(null, '', '#it')")
    assert page.evaluate("document.querySelectorAll('[open]').length") == 0
    page.evaluate("dispatchEvent(new Event('hashchange'))")
    assert page.evaluate("[outer.open, inner.open, other.open]") == [True, True, False]
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("other.open")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("[outer.open, inner.open, other.open]") == [True, True, False]


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
@pytest.mark.parametrize(
    ("word", "bars"),
    [
        ("kingfisher", ["Proof of Theorem 1.1"]),
        ("nightjar", ["Proof"]),
        ("wagtail", ["Another way"]),
        ("goldcrest", ["Solution to Exercise 1.1"]),
        ("dunnock", BOTH),
    ],
)
def test_the_browsers_search_reaches_into_it_and_opens_it(visit, address, scripts, word, bars):
    """A text fragment takes the way of the search in the page: it finds a word and shows it."""
    page = visit(java_script_enabled=scripts).page
    page.goto(f"{address}#:~:text={word}")
    page.get_by_text(word).wait_for(state="visible")
    found = page.locator("details.fold[open] > summary")
    assert [text.strip() for text in found.all_text_contents()] == bars


def texts(pdf):
    """Return the text of Chromium's PDF: glyphs, and for each font what they stand for."""
    objects = {
        int(number): body
        for number, body in re.findall(rb"(\d+) 0 obj(.*?)endobj", pdf, flags=re.S)
    }

    def stream(body):
        data = body.split(b"stream", 1)[1].split(b"endstream")[0].strip(b"\r\n")
        return zlib.decompressobj().decompress(data) if b"FlateDecode" in body else data

    def letters(font):
        table = {}
        cmap = stream(objects[int(re.search(rb"/ToUnicode (\d+)", font)[1])]).decode()
        for block in re.findall(r"beginbfchar(.*?)endbfchar", cmap, flags=re.S):
            table |= {int(a, 16): b for a, b in re.findall(r"<(\w+)>\s*<(\w+)>", block)}
        for block in re.findall(r"beginbfrange(.*?)endbfrange", cmap, flags=re.S):
            for first, last, to in re.findall(r"<(\w+)>\s*<(\w+)>\s*<(\w+)>", block):
                for glyph in range(int(first, 16), int(last, 16) + 1):
                    table[glyph] = f"{int(to, 16) + glyph - int(first, 16):04x}"
        return {g: bytes.fromhex(code).decode("utf-16-be") for g, code in table.items()}

    told = []
    for body in objects.values():
        if not re.search(rb"/Type\s*/Page\b", body):
            continue
        fonts = {
            name: letters(objects[int(number)])
            for name, number in re.findall(rb"/(F\d+) (\d+) 0 R", body)
            if b"/ToUnicode" in objects[int(number)]
        }
        content = stream(objects[int(re.search(rb"/Contents (\d+)", body)[1])])
        table = {}
        for font, glyphs in re.findall(rb"/(F\d+) [\d.]+ Tf|<([0-9A-Fa-f]+)> Tj", content):
            if font:
                table = fonts.get(font, {})
            codes = [int(glyphs[i : i + 4], 16) for i in range(0, len(glyphs), 4)]
            told.append("".join(table.get(code, "?") for code in codes))
    return "".join(told)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_all_of_it_is_printed(visit, address, scripts):
    page = visit(java_script_enabled=scripts).page
    page.goto(address)
    printed = texts(page.pdf())
    for word in ("kingfisher", "nightjar", "wagtail", "goldcrest", "lapwing", "dunnock"):
        assert word in printed
    assert "albatross" not in printed
    page.emulate_media(media="print")
    assert page.get_by_text("dunnock").bounding_box()["height"] > 10


def test_what_is_folded_is_not_seen_before(visit, address):
    page = visit().page
    page.goto(address)
    for word in ("kingfisher", "nightjar", "wagtail", "goldcrest", "lapwing", "dunnock"):
        assert not page.evaluate(
            """(word) => [...document.querySelectorAll(".fold-body")].some((body) =>
              body.textContent.includes(word) && body.checkVisibility())""",
            word,
        )


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.usefixtures("book")
def test_every_fold_of_a_chapter_opens_by_a_click(visit, dark):
    """A proof's bar once stopped a script, and every fold after it was dead."""
    page = visit(color_scheme="dark" if dark else "light").page
    page.goto(CHAPTER.as_uri())
    bars = page.locator("article details.fold > summary")
    assert bars.count() > 30
    for bar in bars.all():
        bar.click(position={"x": 8, "y": 8})
    assert page.locator("article details.fold:not([open])").count() == 0
    assert page.locator("article details.fold.proof").count() >= 5


def test_a_link_from_the_page_of_theorems_opens_the_check_of_one(visit):
    page = visit().page
    page.goto(f"{CHAPTER.as_uri()}#cell-thm-output-size")
    assert opened(page) == ["Check of Theorem 2.1"]


def test_the_ways_between_pictures_are_measured(tmp_path, browser):
    """Two pictures 700 pixels apart, and 500 to the end; what is folded is no way."""
    (tmp_path / "page.html").write_text(
        "<!doctype html><article><section style='padding:0'><h1 style='margin:0'>Title</h1>"
        "<div style='height:300px'></div><img style='display:block' height=100 width=100 alt=''>"
        "<details><summary style='display:none'>Bar</summary><section style='height:3000px'>"
        "<img height=100 width=100 alt=''></section></details>"
        "<div style='height:700px'></div><svg style='display:block' height=100 width=100></svg>"
        "<div style='height:500px'></div></section></article>",
        encoding="utf-8",
    )
    pages = {"page": count.Page(0, 0, [], 0, 0, [])}
    count.measure(pages, tmp_path, browser)
    assert pages["page"].way == 700


def test_the_chapters_in_the_new_form_have_a_picture_every_two_screens(browser):
    html = ROOT / "_build" / "html"
    pages = {name: page for name, page in count.count_all(html).items() if page.new_form}
    count.measure(pages, html, browser)
    assert [line for name, page in pages.items() for line in count.excesses(name, page)] == []
