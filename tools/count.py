"""Count what a reader of each page gets: words, minutes, open code, the way between pictures.

What is folded is counted apart. A formula is one word. Code and what it prints are not words; the
exercises and the captions are. The same functions give the reading time under a chapter's title.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import check_pages

from equivlib.tables import Table

ROOT = Path(__file__).resolve().parents[1]
WORDS_A_MINUTE = 250
#: The limits of a chapter in the new form. The longest ones have limits of their own.
WORDS = 2200
MORE_WORDS = {"10": 2500, "11": 2500, "12": 2500, "13": 2500, "15": 3000}
CODE_LINES = 20
WAY = 1800  # pixels between two pictures, on a page 1280 pixels wide: two screens
#: A chapter that has these sections is in the new form.
NEW_FORM = {"The short answer", "For the record"}
#: This page answers first, too, and keeps the same limits. It has more pictures.
TEN_MINUTES, TEN_MINUTES_PICTURES = "chapters/00_ten_minutes", 8

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
INLINE = {
    "a",
    "abbr",
    "b",
    "cite",
    "code",
    "em",
    "i",
    "kbd",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
}
#: What is no text of the page: its tools, its drawings, and the bars of folds.
SILENT = {"button", "nav", "script", "style", "summary", "svg", "template"}
SILENT_CLASSES = {"headerlink", "reading-time", "eqno"}
WORD = re.compile(r"\S*\w\S*")

#: For the estimate without a browser, in pixels: how high the pages set these at 1280 wide.
LINE, CHARACTERS, BLOCK = 27, 72, 17  # a line of text, what it holds, the space below it
CODE_LINE, CODE_BLOCK, BAR = 19.5, 40, 41
FORMULA, FORMULA_CHARACTERS, HEADING = 97, 3, 77


@dataclasses.dataclass
class Page:
    """What was counted on a page.

    Attributes
    ----------
    visible, words : int
        Words that are seen at once, and all of them.
    cells : list of int
        The lines of each piece of open code.
    pictures : int
        Pictures that are seen at once.
    way : int
        The longest way without a picture, in pixels; an estimate unless a browser measured it.
    headings : list of str
        The titles of the sections.
    """

    visible: int
    words: int
    cells: list[int]
    pictures: int
    way: int
    headings: list[str]

    @property
    def longest(self) -> int:
        """The lines of the longest piece of open code."""
        return max(self.cells, default=0)

    @property
    def new_form(self) -> bool:
        """Whether the page gives the answer first."""
        return set(self.headings) >= NEW_FORM


@dataclasses.dataclass
class Element:
    """An open element: its name, and what holds inside it."""

    tag: str
    text: bool = False
    folded: bool = False
    code: bool = False
    output: bool = False
    silent: bool = False
    formula: bool = False


class Reader(HTMLParser):
    """Reads a page, or the body of one, from start to end."""

    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("")]
        self.seen: list[str] = []
        self.folded: list[str] = []
        self.cells: list[int] = []
        self.code = ""
        self.headings: list[str] = []
        self.title: list[str] | None = None
        self.pictures, self.since, self.way, self.block = 0, 0.0, 0.0, 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note what is inside the new element; count pictures and formulas at once."""
        values = dict(attributes)
        classes = set((values.get("class") or "").split())
        outer = self.open[-1]
        inner = dataclasses.replace(outer, tag=tag)
        inner.text |= tag == "section"
        inner.folded |= tag == "details" and "open" not in values
        inner.output = (outer.output or "cell_output" in classes) and "caption" not in tag
        inner.code |= tag == "pre" and not inner.output
        formula = tag == "math" or bool({"math", "katex"} & classes)
        picture = tag in ("img", "svg") or tag.startswith("one-matrix-")
        inner.silent |= tag in SILENT or bool(SILENT_CLASSES & classes) or "-" in tag
        if inner.text and not outer.silent:
            if formula and not outer.formula:
                self._formula(inner, tag == "div" or values.get("display") == "block")
            if picture and not inner.folded and not outer.formula:
                self._picture()
        inner.formula |= formula
        if tag not in INLINE and not inner.formula:
            self._break(outer, tag)
        if tag == "h2" and inner.text and not outer.formula:
            self.title = []
        if tag not in VOID:
            self.open.append(inner)

    def handle_endtag(self, tag: str) -> None:
        """Leave the element, and what was left open inside it."""
        depth = next((i for i in range(len(self.open) - 1, 0, -1) if self.open[i].tag == tag), 0)
        if not depth:
            return
        element = self.open[depth]
        del self.open[depth:]
        if element.code and not self.open[-1].code:
            self._code(element)
        if tag == "h2" and self.title is not None:
            self.headings.append(re.sub(r"^([A-Z]\.)?[\d.\s]+", "", "".join(self.title)).strip())
            self.title = None
        if tag not in INLINE and not element.formula:
            self._break(element, tag)
        if tag in ("h2", "h3") and element.text:
            self._tall(element, HEADING - LINE - BLOCK)
        if tag == "summary" and element.text:
            self._tall(self.open[-2], BAR)

    def handle_data(self, data: str) -> None:
        """Keep the text: of a heading, of code, of the page."""
        here = self.open[-1]
        hidden = here.silent and here.tag not in ("h2", "span")
        if self.title is not None and not hidden:
            self.title.append(data)
        if not here.text or here.silent or here.formula:
            return
        if here.code:
            self.code += data
        elif here.output:
            self._tall(here, data.count("\n") * CODE_LINE * (here.tag == "pre"))
        else:
            self._say(here, data)

    def _say(self, where: Element, text: str) -> None:
        (self.folded if where.folded else self.seen).append(text)
        if not where.folded:
            self.block += len(" ".join(text.split()))

    def _formula(self, where: Element, display: bool) -> None:
        """Count a formula as a word, or as a part of one: in "n-dimensional" it is a letter."""
        (self.folded if where.folded else self.seen).append(" x " if display else "x")
        if display:
            self._tall(where, FORMULA)
        elif not where.folded:
            self.block += FORMULA_CHARACTERS

    def _code(self, where: Element) -> None:
        lines = len(self.code.strip("\n").splitlines())
        if where.text and not where.folded and lines:
            self.cells.append(lines)
            self._tall(where, CODE_BLOCK + lines * CODE_LINE)
        self.code = ""

    def _break(self, where: Element, tag: str) -> None:
        """End a word, and a paragraph unless the cells of a table follow each other in a row."""
        (self.folded if where.folded else self.seen).append(" ")
        if self.block and not where.folded and tag not in ("td", "th"):
            self.since += math.ceil(self.block / CHARACTERS) * LINE + BLOCK
            self.block = 0

    def _tall(self, where: Element, height: float) -> None:
        if not where.folded:
            self.since += height

    def _picture(self) -> None:
        self.pictures += 1
        self.way, self.since = max(self.way, self.since), 0.0

    def page(self) -> Page:
        """Put together what was counted; the last way leads to the end of the page."""
        visible = len(WORD.findall("".join(self.seen)))
        way = round(max(self.way, self.since))
        words = visible + len(WORD.findall("".join(self.folded)))
        return Page(visible, words, self.cells, self.pictures, way, self.headings)


def read(html: str) -> Page:
    """Count a page, or the body of one. What belongs to the text is inside a ``section``.

    Examples
    --------
    >>> page = read('<section><p>Two words, <span class="math">y = W x</span>.</p></section>')
    >>> page.visible, page.words
    (3, 3)
    """
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader.page()


def minutes(words: int) -> int:
    """Give the minutes that it takes to read so many words, rounded up.

    Examples
    --------
    >>> minutes(250), minutes(251)
    (1, 2)
    """
    return max(1, math.ceil(words / WORDS_A_MINUTE))


def reading_time(page: Page) -> str:
    """Say how long a page takes to read, without and with what is folded.

    Examples
    --------
    >>> reading_time(Page(3000, 7600, [], 0, 0, []))
    '12 minutes; 31 with everything that is folded'
    >>> reading_time(Page(240, 250, [], 0, 0, []))
    '1 minute'
    """
    short, long = minutes(page.visible), minutes(page.words)
    text = f"{short} minute{'s' if short > 1 else ''}"
    return text if long == short else f"{text}; {long} with everything that is folded"


def words_allowed(name: str) -> int:
    """Give the limit of visible words of a chapter, by the number or letter in its name.

    Examples
    --------
    >>> words_allowed("chapters/02_one_dimension"), words_allowed("chapters/13_cost")
    (2200, 2500)
    >>> words_allowed("chapters/A_rounding")
    2200
    """
    return MORE_WORDS.get(Path(name).name[:2], WORDS)


def has_limits(name: str, page: Page) -> bool:
    """Tell whether a page has to keep the limits.

    Examples
    --------
    >>> has_limits("chapters/00_ten_minutes", Page(0, 0, [], 0, 0, []))
    True
    >>> has_limits("chapters/02_one_dimension", Page(0, 0, [], 0, 0, ["The question"]))
    False
    """
    return page.new_form or name == TEN_MINUTES


def excesses(name: str, page: Page) -> list[str]:
    """Name each limit that a page does not keep."""
    limits = [
        ("visible words", page.visible, words_allowed(name)),
        ("lines in an open cell", page.longest, CODE_LINES),
        ("pixels without a picture", page.way, WAY),
    ]
    told = [f"{name}: {got} {what}, at most {most}" for what, got, most in limits if got > most]
    if name == TEN_MINUTES and page.pictures < TEN_MINUTES_PICTURES:
        told.append(f"{name}: {page.pictures} pictures, at least {TEN_MINUTES_PICTURES}")
    return told


#: Run in the page: the longest way from one picture to the next, from the title to the end.
MEASURE = """() => {
  const text = document.querySelector("article") || document.querySelector("main");
  const box = (node) => node.getBoundingClientRect();
  const open = (node) => !node.closest("details:not([open])");
  const shown = [...text.querySelectorAll("img, svg, *")]
    .filter((node) => /^(img|svg|one-matrix-.*)$/i.test(node.tagName))
    .filter((node) => !node.parentElement.closest("a.headerlink, button, svg, math, summary"))
    .filter(open)
    .map(box).filter((at) => at.height > 40)
    .sort((one, other) => one.top - other.top);
  let from = box(text.querySelector("h1")).bottom, way = 0;
  for (const at of shown) {
    way = Math.max(way, at.top - from);
    from = Math.max(from, at.bottom);
  }
  const sections = [...text.querySelectorAll("section")].filter(open);
  const end = Math.max(...sections.map((node) => box(node).bottom));
  return Math.round(Math.max(way, end - from));
}"""


def measure(pages: dict[str, Page], html: Path, browser: Any) -> None:
    """Replace the estimated ways by those that a browser shows at 1280 wide."""
    view = browser.new_page(viewport={"width": 1280, "height": 900})
    for name, page in pages.items():
        view.goto((html / f"{name}.html").as_uri(), wait_until="load")
        view.add_style_tag(content="section { content-visibility: visible !important; }")
        page.way = view.evaluate(MEASURE)
    view.close()


def measure_in_chromium(pages: dict[str, Page], html: Path) -> None:
    """Start the browser of this machine, and measure in it."""
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = [os.environ.get("CHROMIUM"), *map(shutil.which, names)]
    path = next((name for name in found if name), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        measure(pages, html, browser)
        browser.close()


def count_all(html: Path) -> dict[str, Page]:
    """Count every page of the table of contents."""
    return {
        name: read((html / f"{name}.html").read_text(encoding="utf-8"))
        for name in check_pages.pages()
    }


def table(pages: dict[str, Page], measured: bool = False) -> str:
    """Write a line for each page."""
    head = ["page", "seen", "words", "minutes", "with all", "code", "longest", "pictures", "way"]
    rows = []
    for name, page in pages.items():
        way = f"{'' if measured else '~'}{page.way}"
        values: list[Any] = [page.visible, page.words, minutes(page.visible), minutes(page.words)]
        values += [sum(page.cells), page.longest, page.pictures, way]
        rows.append((name, *values, "new form" if page.new_form else ""))
    return str(Table([*head, ""], rows, align=f"l{'r' * len(head[1:])}l"))


def main() -> int:
    """Print the table, and what a page with limits has too much of."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("html", type=Path, nargs="?", default=ROOT / "_build" / "html")
    parser.add_argument("--browser", action="store_true", help="measure the ways in a browser")
    options = parser.parse_args()
    pages = count_all(options.html)
    if options.browser:
        measure_in_chromium(pages, options.html)
    print(table(pages, options.browser))
    limited = {name: page for name, page in pages.items() if has_limits(name, page)}
    wrong = [line for name, page in limited.items() for line in excesses(name, page)]
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
