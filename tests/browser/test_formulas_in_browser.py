"""Formulas as a reader meets them: whole on a phone, brackets that stretch, read aloud."""

import re
import sys
from html import escape
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "_extensions")]

import check_pages  # noqa: E402
import formulas  # noqa: E402
import subset_font  # noqa: E402

HTML = ROOT / "_build" / "html"
WITH_FORMULAS = [
    page
    for page in check_pages.pages()
    if (HTML / f"{page}.html").is_file() and "<math" in (HTML / f"{page}.html").read_text("utf-8")
]

# How many formulas are seen, and those of them whose last sign lies outside the box of their
# paragraph. A box that scrolls may be as wide as it likes.
OUTSIDE = """() => {
  document.querySelectorAll("details").forEach(fold => { fold.open = true });
  const style = element => getComputedStyle(element);
  const scrolls = element => element && element !== document.documentElement
    && (["auto", "scroll"].includes(style(element).overflowX) || scrolls(element.parentElement));
  const outside = [];
  let seen = 0;
  for (const math of document.querySelectorAll("math")) {
    if (!math.getBoundingClientRect().width) continue;
    seen += 1;
    let box = math.parentElement;
    while (style(box).display === "inline") box = box.parentElement;
    const right = Math.max(...[math, ...math.querySelectorAll("*")]
      .map(part => part.getBoundingClientRect().right));
    const edge = Math.min(box.getBoundingClientRect().right, innerWidth);
    if (right > edge + 1 && !scrolls(box)) outside.push([math.textContent, right - edge]);
  }
  return [seen, outside];
}"""

READY = "document.fonts.load('20px STIX Two Math', '𝑥').then(() => document.fonts.ready)"


@pytest.fixture
def show(visit, tmp_path, book):
    """Opens a page that holds nothing but this, with the style sheet of the book."""

    def open_page(content, **options):
        sheet = (book / "_static" / "one_matrix.css").as_uri()
        source = tmp_path / "page.html"
        source.write_text(
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>Formulas</title>'
            f'<link rel="stylesheet" href="{sheet}"><main><article>{content}</article></main>',
            encoding="utf-8",
        )
        page = visit(**options).page
        page.goto(source.as_uri())
        page.evaluate(READY)
        return page

    return open_page


def inline(tex):
    """Return a formula as a page has it within a sentence."""
    return f'<span class="math">{formulas.mathml(tex)}</span>'


def display(tex):
    """Return a formula as a page has it on a line of its own."""
    return f'<div class="math">{formulas.mathml(tex, display=True)}</div>'


def test_pages_with_formulas_are_looked_at():
    assert len(WITH_FORMULAS) > 15


@pytest.mark.parametrize("name", WITH_FORMULAS)
@pytest.mark.parametrize(
    ("width", "size"), [(320, "100%"), pytest.param(640, "200%", marks=pytest.mark.slow)]
)
def test_every_formula_is_whole(visit, name, width, size):
    """On the narrowest phone, and with text of twice the size, the last sign can be seen."""
    page = visit(viewport={"width": width, "height": 800}).page
    page.goto((HTML / f"{name}.html").as_uri())
    page.evaluate(f"document.documentElement.style.fontSize = '{size}'")
    page.evaluate(READY)
    seen, outside = page.evaluate(OUTSIDE)
    assert seen > 0
    assert outside == []


def test_the_check_finds_a_formula_that_is_cut_off(show):
    sum_of_many = r"\left(" + " + ".join(["x"] * 40) + r" + \frac{1}{2}\right)"
    page = show(f"<p>{inline(sum_of_many)}</p>", viewport={"width": 320, "height": 800})
    seen, outside = page.evaluate(OUTSIDE)
    assert seen == len(outside) == 1


def test_a_long_formula_takes_several_lines(show):
    page = show(
        "<p>Here " + inline("y = " + " + ".join(f"x_{{{i}}}" for i in range(30))) + ".</p>",
        viewport={"width": 320, "height": 800},
    )
    lines = page.evaluate(
        "new Set([...document.querySelectorAll('math')]"
        ".map(math => Math.round(math.getBoundingClientRect().bottom / 10))).size"
    )
    assert lines > 2
    assert page.evaluate(OUTSIDE)[1] == []


@pytest.mark.parametrize("name", WITH_FORMULAS)
def test_no_line_begins_with_the_comma_after_a_formula(visit, name):
    page = visit(viewport={"width": 320, "height": 800}).page
    page.goto((HTML / f"{name}.html").as_uri())
    page.evaluate(READY)
    apart = page.evaluate(
        """() => [...document.querySelectorAll("span.math")].filter(formula => {
          const after = formula.nextSibling;
          if (!after || after.nodeType !== 3 || !/^\\S/.test(after.data)) return false;
          const range = document.createRange();
          range.setStart(after, 0);
          range.setEnd(after, 1);
          const sign = range.getBoundingClientRect();
          const last = formula.querySelector("math:last-of-type").getBoundingClientRect();
          return sign.width && sign.left < last.right - 2;
        }).map(formula => formula.textContent)"""
    )
    assert apart == []


def test_a_wide_display_formula_is_reached_with_the_keyboard(show):
    page = show(
        display("y = " + " + ".join(f"x_{{{i}}}" for i in range(40))),
        viewport={"width": 320, "height": 800},
    )
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('div.math').scrollLeft > 0")


def test_a_wide_display_formula_scrolls_in_its_own_box(show):
    page = show(
        display("y = " + " + ".join(f"x_{{{i}}}" for i in range(40))),
        viewport={"width": 320, "height": 800},
    )
    box = page.locator("div.math")
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert box.evaluate("box => { box.scrollLeft = 1e6; return box.scrollLeft }") > 0
    last = box.evaluate(
        "box => box.getBoundingClientRect().right"
        " - [...box.querySelectorAll('mi')].at(-1).getBoundingClientRect().right"
    )
    assert last >= 0


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_the_brackets_of_a_matrix_are_as_tall_as_it_is(show, rows):
    table = r" \\ ".join(["x & y"] * rows)
    page = show(display(rf"\begin{{pmatrix}} {table} \end{{pmatrix}}"))
    height = "element => element.getBoundingClientRect().height"
    table_height = page.locator("mtable").evaluate(height)
    for bracket in page.locator("mo").all():
        assert 0.85 * table_height < bracket.evaluate(height) < 1.3 * table_height


def test_a_prime_and_an_index_stand_where_they_belong(show):
    page = show(f"<p>{inline('x_1')} {inline('j_1')} {inline('f^2')} {inline('a^2')}</p>")
    foot = "element => element.getBoundingClientRect().bottom"
    low = [page.locator("msub mn").nth(i).evaluate(foot) for i in range(2)]
    high = [page.locator("msup mn").nth(i).evaluate(foot) for i in range(2)]
    size = page.locator("p").evaluate("p => parseFloat(getComputedStyle(p).fontSize)")
    assert max(low) - min(low) < size / 12  # a boundary is rounded to a pixel
    assert max(high) - min(high) < size / 12
    assert min(low) > max(high)


def spoken(page, selector):
    """Return what a screen reader is given of an element: the kinds of its parts, and its text."""
    session = page.context.new_cdp_session(page)
    session.send("DOM.enable")
    root = session.send("DOM.getDocument")["root"]["nodeId"]
    node = session.send("DOM.querySelector", {"nodeId": root, "selector": selector})["nodeId"]
    backend = session.send("DOM.describeNode", {"nodeId": node})["node"]["backendNodeId"]
    parts = session.send("Accessibility.queryAXTree", {"backendNodeId": backend})["nodes"]
    seen = [part for part in parts if not part["ignored"]]
    text = [p["name"]["value"] for p in seen if p["role"]["value"] == "StaticText"]
    return [part["role"]["value"] for part in seen], "".join(text)


def test_a_screen_reader_is_given_the_formula(show):
    page = show(display(r"\frac{1}{n} \begin{pmatrix} 2 & 3 \\ 4 & 5 \end{pmatrix}"))
    roles, text = spoken(page, "math")
    assert roles[0] == "MathMLMath"
    assert roles.count("MathMLFraction") == roles.count("MathMLTable") == 1
    assert roles.count("MathMLTableRow") == 2
    assert roles.count("MathMLTableCell") == 4
    assert text == "1𝑛(2345)"


def test_formulas_are_no_tab_stops(show):
    page = show(f"<p>{inline('a + b')}</p>{display('c = d')}<p><a href='#x'>link</a></p>")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "A"


def test_formulas_need_no_script(visit):
    page = visit(java_script_enabled=False, viewport={"width": 1280, "height": 900}).page
    page.goto((HTML / "chapters" / "01_two_layers.html").as_uri())
    assert page.locator("math").first.bounding_box()["width"] > 5
    assert "\\" not in page.locator("math").first.text_content()


def test_all_signs_are_in_the_font_of_the_book(show):
    """The browser takes no sign of the book from a font of the machine."""
    used = set()
    for name in WITH_FORMULAS:
        source = (HTML / f"{name}.html").read_text(encoding="utf-8")
        signs = re.findall(r"<m[ino][^>]*>([^<&]+)</m", source)
        used |= {sign for text in signs for sign in text}
        used |= {subset_font.italic(text) for text in signs if len(text) == 1}
    used -= {"", formulas.APPLY, "\xa0", " "}
    page = show(f'<math><mtext id="all">{escape("".join(sorted(used)))}</mtext></math>')
    session = page.context.new_cdp_session(page)
    session.send("DOM.enable")
    session.send("CSS.enable")
    root = session.send("DOM.getDocument")["root"]["nodeId"]
    node = session.send("DOM.querySelector", {"nodeId": root, "selector": "#all"})["nodeId"]
    fonts = session.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
    assert [(font["familyName"], font["isCustomFont"]) for font in fonts] == [
        ("STIX Two Math", True)
    ]
