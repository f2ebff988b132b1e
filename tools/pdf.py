"""Print the whole book as one PDF, with the Chromium that the tests use.

``python tools/pdf.py`` puts the texts of the built pages one after the other into one page, in the
order of ``_toc.yml``, and prints it into ``_build/one-matrix.pdf``. Each id gets its page's name in
front, so a link from page to page becomes one inside the file; what is not in the file is linked at
its published address. Everything that the pages fold stands open, and a linked picture is the
drawing that it is without scripts. A request to another host, or for a file that is not there,
fails the build.

The same commit gives the same bytes with the same Chromium and the same fonts of the system, which
set code, captions and tables.
"""

from __future__ import annotations

import os
import posixpath
import re
import sys
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag
from chromium import ARGUMENTS, chromium
from compact_pdf import compact
from release import committed, version

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "_build" / "html"
WHOLE = ROOT / "_build" / "pdf" / "one-matrix.html"
BOOK = ROOT / "_build" / "one-matrix.pdf"
SHEET = Path(__file__).with_name("pdf.css")
MISSING = (
    "there is no Chromium to print the book with: install it, or name it in the variable CHROMIUM"
)
PATIENCE = 900_000  # milliseconds; two busy cores need a fifth of it
#: The width of the text on paper, in pixels of CSS: A4 less the margins that `pdf.css` states.
WIDTH = round((210 - 2 * 22) / 25.4 * 96)

#: Attributes that name one or more ids of their page.
NAMING = ("aria-labelledby", "aria-describedby", "aria-controls", "headers", "for")
#: What has no use on paper: scripts, how long a page takes, and what only links from outside need.
DROPPED = "script, .headerlink, .reading-time, .moved-place"
#: Makes smaller what is wider than the page, so that nothing of it is cut.
FIT = """() => {
  const wide = [...document.querySelectorAll(".wide, div.math, .picture, .output, pre, figure")]
    .map(box => [box, box.clientWidth / box.scrollWidth]).filter(([, part]) => part < .995)
  for (const [box, part] of wide) for (const inner of box.children) inner.style.zoom = part
}"""


def parts(toc: Path = ROOT / "_toc.yml") -> list[tuple[str, list[str]]]:
    """Return the parts of the book in reading order, each with its pages.

    The first has no name, and holds the front page alone.
    """
    told = yaml.safe_load(toc.read_text(encoding="utf-8"))
    named = [(part["caption"], [c["file"] for c in part["chapters"]]) for part in told["parts"]]
    return [("", [told["root"]]), *named]


def settings() -> dict[str, Any]:
    """Return what ``_config.yml`` says about the book."""
    return dict(yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8")))


def place(page: str, name: str = "") -> str:
    """Return the id that a page, or a place on it, has in the whole book.

    Examples
    --------
    >>> place("chapters/02_one_dimension"), place("chapters/02_one_dimension", "exercises")
    ('02_one_dimension', '02_one_dimension.exercises')
    """
    stem = page.rpartition("/")[2]
    return f"{stem}.{name}" if name else stem


def target(href: str, page: str, pages: set[str], base: str) -> str | None:
    """Return where a link of a page leads from the PDF.

    Parameters
    ----------
    href : str
        As it stands on the page.
    page : str
        The page, as ``_toc.yml`` names it.
    pages : set of str
        All pages that are in the PDF.
    base : str
        Where the book is published, with a slash at its end; empty if nobody knows.

    Returns
    -------
    str or None
        Nothing, if the link leads out of the PDF to no known address.

    Examples
    --------
    >>> target("02_b.html#c", "chapters/01_a", {"chapters/02_b"}, "https://book.example/")
    '#02_b.c'
    >>> target("../genindex.html#c", "chapters/01_a", set(), "https://book.example/")
    'https://book.example/genindex.html#c'
    """
    asked = urlsplit(href)
    if asked.scheme or asked.netloc:
        return href
    joined = posixpath.join(posixpath.dirname(page), unquote(asked.path))
    path = posixpath.normpath(joined) if asked.path else f"{page}.html"
    if path.removesuffix(".html") in pages:
        return "#" + quote(place(path.removesuffix(".html"), unquote(asked.fragment)))
    return f"{base}{quote(path)}{'#' * bool(asked.fragment)}{asked.fragment}" if base else None


def parsed(path: Path) -> BeautifulSoup:
    """Return a built page."""
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def published(html: Path) -> str:
    """Return the address below which the book is published, as its front page states it."""
    link = parsed(html / "intro.html").find("link", rel="canonical")
    return str(link["href"]) if link else ""


def beside(path: Path) -> str:
    """Return the address of a file as it is seen from the page that is printed."""
    return quote(os.path.relpath(path, WHOLE.parent).replace(os.sep, "/"))


def text_of(html: Path, page: str, pages: set[str], base: str) -> Tag:
    """Return the text of a page as it stands in the PDF."""
    path = html / f"{page}.html"
    article = parsed(path).find("article")
    if article is None:
        sys.exit(f"{path} has no text: make book builds it")
    for element in article.select(DROPPED):
        element.decompose()
    keep_drawings(article, f"{base}{quote(page)}.html" if base else "")
    for fold in article.find_all("details"):
        fold["open"] = ""
    rename(article, page)
    for link in article.find_all("a", href=True):
        found = target(link["href"], page, pages, base)
        if found is None:
            del link["href"]
        else:
            link["href"] = found
    for image in article.find_all("img", src=True):
        del image["loading"]
        image["src"] = beside(path.parent / unquote(image["src"]))
    return article


def keep_drawings(article: Tag, address: str) -> None:
    """Leave of each linked picture its drawing, and say where its numbers can be pointed at."""
    for element in article.find_all(re.compile("^one-matrix-")):
        element.name, element.attrs = "div", {"class": "picture"}
        for box in element.find_all(tabindex=True):
            box.unwrap()
        if address:
            cell = element.find_parent(id=True)
            href = f"{address}#{cell['id']}" if cell else address
            words = "Point at these numbers and change them in the book on the web."
            said = f'<p class="live"><a href="{escape(href)}">{words}</a></p>'
            element.append(BeautifulSoup(said, "html.parser"))


def rename(article: Tag, page: str) -> None:
    """Put the name of the page before each id, and lower its headings below that of its part."""
    for element in article.find_all(id=True):
        element["id"] = place(page, element["id"])
    for name in NAMING:
        for element in article.find_all(attrs={name: True}):
            element[name] = " ".join(place(page, each) for each in str(element[name]).split())
    article["id"] = place(page)
    if page in parts()[0][1]:
        return
    for heading in article.find_all(re.compile("^h[1-5]$")):
        heading.name = f"h{int(heading.name[1]) + 1}"


def assembled(html: Path, moment: datetime) -> str:
    """Return the whole book as one page of HTML.

    Parameters
    ----------
    html : Path
        The folder of the built book.
    moment : datetime
        When the commit was made.
    """
    base = published(html)
    pages = {page for _, named in parts() for page in named}
    texts, listed = [], []
    for caption, named in parts():
        if caption:
            listed.append(f'<p class="part">{escape(caption)}</p>')
        for page in named:
            text = text_of(html, page, pages, base)
            listed.append(f'<p><a href="#{place(page)}">{escape(title(text))}</a></p>')
            if caption and page == named[0]:
                heading = f'<h1 class="part">{escape(caption)}</h1>'
                text.insert(0, BeautifulSoup(heading, "html.parser"))
            texts.append(f"<style>{running(page, title(text))}</style>{text}")
    body = (
        front(html, moment, base) + f'<nav class="whole"><h1>Contents</h1>{"".join(listed)}</nav>'
    )
    told = settings()
    return (
        '<!DOCTYPE html>\n<html lang="en" data-theme="light" data-mode="light"><head>'
        f'<meta charset="utf-8"><title>{escape(told["title"])}</title>'
        f'<link rel="stylesheet" href="{beside(html / "_static" / "one_matrix.css")}">'
        f"<style>{SHEET.read_text(encoding='utf-8')}</style></head>\n"
        f"<body>{body}{''.join(texts)}</body></html>\n"
    )


def title(text: Tag) -> str:
    """Return the title of a page, with its number."""
    heading = next(h for h in text.find_all(["h1", "h2"]) if "part" not in h.get("class", []))
    return " ".join(heading.get_text().split())


def running(page: str, words: str) -> str:
    """Return the style that puts the title of a page at the top of each of its sheets."""
    name = "of-" + place(page).replace("_", "-")
    told = words.replace("\\", "\\\\").replace('"', '\\"')
    return f'[id="{place(page)}"]{{page:{name}}}@page {name}{{@top-left{{content:"{told}"}}}}'


def front(html: Path, moment: datetime, base: str) -> str:
    """Return the title page."""
    told = settings()
    drawing = parsed(html / "intro.html").select_one("img.cover")
    words = escape(str(drawing["alt"])) if drawing else ""
    where = f'<p><a href="{escape(base)}">{escape(base)}</a></p>' if base else ""
    return (
        f'<header class="title-page"><p class="title">{escape(told["title"])}</p>'
        f'<img src="{beside(html / "_static" / "cover.svg")}" alt="{words}">'
        f'<p class="authors">{escape(told["author"])}</p>'
        f"<p>Version {version()}, {moment.day} {moment:%B %Y}</p>{where}"
        f'<p class="licence">© {told["copyright"]}. {told["html"]["extra_footer"]}</p></header>'
    )


def printed(page: Path) -> bytes:
    """Print a page of this machine; a request to anything else is an error."""
    from playwright.sync_api import Route, sync_playwright

    refused = set()

    def only_files(route: Route) -> None:
        if route.request.url.startswith(("file:", "data:")):
            route.continue_()
        else:
            route.abort()

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        tab = browser.new_page(viewport={"width": WIDTH, "height": 1000}, color_scheme="light")
        tab.set_default_timeout(PATIENCE)
        tab.route("**/*", only_files)
        tab.on("requestfailed", lambda request: refused.add(request.url))
        tab.emulate_media(media="print")
        tab.goto(page.as_uri())
        tab.evaluate("document.fonts.ready.then(() => null)")
        tab.evaluate(FIT)
        pdf = tab.pdf(prefer_css_page_size=True, print_background=True, outline=True, tagged=True)
        browser.close()
    if refused:
        sys.exit("the book asks for what is not beside it: " + ", ".join(sorted(refused)))
    return pdf


def made() -> datetime:
    """Return when the commit was made, or the time that SOURCE_DATE_EPOCH states."""
    stamp = os.environ.get("SOURCE_DATE_EPOCH") or committed(ROOT)
    return datetime.fromtimestamp(int(stamp), tz=UTC)


def main() -> None:
    """Print the built book."""
    if not (PAGES / "intro.html").is_file():
        sys.exit("the book is not built: make book builds it")
    if chromium() is None:
        sys.exit(MISSING)
    WHOLE.parent.mkdir(parents=True, exist_ok=True)
    day = made()
    WHOLE.write_text(assembled(PAGES, day), encoding="utf-8", newline="\n")
    pdf = compact(printed(WHOLE), day)
    BOOK.write_bytes(pdf)
    print(f"{BOOK.relative_to(ROOT)}: {len(pdf) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
