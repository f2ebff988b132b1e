"""Print the whole book as one PDF, with the Chromium that the tests use.

``python tools/pdf.py`` takes the built pages, puts their texts one after the other into one page
in the order of ``_toc.yml``, and prints it into ``_build/one-matrix.pdf``. Each id gets its page's
name in front, so a link from page to page becomes one inside the file; what is not in the file is
linked at its published address. Everything that the pages fold stands open, and a linked picture is
the drawing that it is without scripts. Nothing is asked of another host: a request fails the build.
"""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from urllib.parse import quote, unquote, urljoin, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag
from chromium import ARGUMENTS, chromium
from compact_pdf import compact
from release import version

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "_build" / "html"
WHOLE = ROOT / "_build" / "pdf" / "one-matrix.html"
BOOK = ROOT / "_build" / "one-matrix.pdf"
SHEET = Path(__file__).with_name("pdf.css")
MISSING = "there is no Chromium to print with: install it, or name it in the variable CHROMIUM"
PATIENCE = 600_000  # milliseconds that the browser gets; it needs a tenth

#: Attributes that name one or more ids of their page.
NAMING = ("aria-labelledby", "aria-describedby", "aria-controls", "headers", "for")
#: What has no use on paper: links of headings to themselves, scripts, how long a page takes.
DROPPED = "script, .headerlink, .reading-time, .moved-place:empty"
#: Makes smaller what is wider than the page, so that nothing of it is cut.
FIT = """() => {
  const wide = [...document.querySelectorAll(".wide, div.math, .picture, .output, pre, figure")]
    .map(box => [box, box.clientWidth / box.scrollWidth]).filter(([, part]) => part < .995)
  for (const [box, part] of wide) for (const inner of box.children) inner.style.zoom = part
  return wide.map(([box, part]) =>
    `${part.toFixed(2)} ${box.closest("article").id} ${box.className || box.tagName}`)
}"""
#: The width of the text on paper in pixels of CSS, which `pdf.css` states in millimetres.
WIDTH = round(160 / 25.4 * 96)


def parts(toc: Path = ROOT / "_toc.yml") -> list[tuple[str, list[str]]]:
    """Return the parts of the book in reading order, each with its pages; the first has no name."""
    told = yaml.safe_load(toc.read_text(encoding="utf-8"))
    named = [(part["caption"], [c["file"] for c in part["chapters"]]) for part in told["parts"]]
    return [("", [told["root"]]), *named]


def stem(page: str) -> str:
    """Return what stands before each id of a page.

    Examples
    --------
    >>> stem("chapters/02_one_dimension")
    '02_one_dimension'
    """
    return page.rpartition("/")[2]


def place(page: str, name: str = "") -> str:
    """Return the id in the whole book of a page, or of a place on it."""
    return f"{stem(page)}.{name}" if name else stem(page)


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
    parts = urlsplit(href)
    if parts.scheme or parts.netloc:
        return href
    folder = posixpath.dirname(page)
    path = posixpath.normpath(posixpath.join(folder, unquote(parts.path))) if parts.path else page
    named = path.removesuffix(".html")
    if named in pages or not parts.path:
        return "#" + quote(place(named, unquote(parts.fragment)))
    return urljoin(base, quote(path) + (f"#{parts.fragment}" if parts.fragment else "")) if base else None


def published(html: Path) -> str:
    """Return the address below which the built book is published, as its front page says it."""
    soup = BeautifulSoup((html / "intro.html").read_text(encoding="utf-8"), "html.parser")
    link = soup.find("link", rel="canonical")
    return str(link["href"]) if link else ""


def text_of(html: Path, page: str, pages: set[str], base: str) -> Tag:
    """Return the text of a page as it stands in the PDF."""
    path = html / f"{page}.html"
    soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    article = soup.find("article")
    if article is None:
        sys.exit(f"{path} has no text: make book builds it")
    for element in article.select(DROPPED):
        element.decompose()
    pictures(article, f"{base}{quote(page)}.html" if base else "")
    for fold in article.find_all("details"):
        fold["open"] = ""
    renamed(article, page)
    linked(article, page, pages, base)
    for image in article.find_all("img", src=True):
        del image["loading"]
        image["src"] = quote(os.path.relpath((path.parent / unquote(image["src"])), WHOLE.parent).replace(os.sep, "/"))
    return article


def pictures(article: Tag, address: str) -> None:
    """Leave of each linked picture its drawing, and say where the numbers can be pointed at."""
    for element in article.find_all(re.compile("^one-matrix-")):
        element.name, element.attrs = "div", {"class": "picture"}
        for box in element.find_all(tabindex=True):
            box.unwrap()
        if address:
            cell = element.find_parent(id=True)
            words = BeautifulSoup(
                f'<p class="live"><a href="{address}#{cell["id"] if cell else ""}">'
                "Point at these numbers and change them in the book on the web.</a></p>",
                "html.parser",
            )
            element.append(words)


def renamed(article: Tag, page: str) -> None:
    """Put the name of the page before each id, and lower each heading of a chapter by a level."""
    for element in article.find_all(id=True):
        element["id"] = place(page, element["id"])
    for name in NAMING:
        for element in article.find_all(attrs={name: True}):
            element[name] = " ".join(place(page, each) for each in str(element[name]).split())
    if page != parts()[0][1][0]:
        for heading in article.find_all(re.compile("^h[1-5]$")):
            heading.name = f"h{int(heading.name[1]) + 1}"
    article["id"] = place(page)


def linked(article: Tag, page: str, pages: set[str], base: str) -> None:
    """Let each link of a page lead to its place in the PDF, or to the published book."""
    for link in article.find_all("a", href=True):
        found = target(link["href"], page, pages, base)
        if found is None:
            del link["href"]
        else:
            link["href"] = found


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
    texts, styles = [], []
    for caption, named in parts():
        for n, page in enumerate(named):
            text = text_of(html, page, pages, base)
            if n == 0 and caption:
                text.insert(0, BeautifulSoup(f'<h1 class="part">{escape(caption)}</h1>', "html.parser"))
            styles.append(running(page, title(text)))
            texts.append((caption if n == 0 else "", text))
    body = "\n".join(str(text) for _, text in texts)
    sheet = SHEET.read_text(encoding="utf-8") + "\n".join(styles)
    look = os.path.relpath(html / "_static" / "one_matrix.css", WHOLE.parent).replace(os.sep, "/")
    return (
        '<!DOCTYPE html>\n<html lang="en" data-theme="light" data-mode="light"><head>'
        f'<meta charset="utf-8"><title>{escape(settings()["title"])}</title>'
        f'<meta name="author" content="{escape(settings()["author"])}">'
        f'<link rel="stylesheet" href="{look}"><style>{sheet}</style></head><body>'
        f"{front(html, moment, base)}{contents(texts)}{body}</body></html>"
    )


def settings() -> dict[str, object]:
    """Return what `_config.yml` says about the book."""
    return dict(yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8")))


def title(text: Tag) -> str:
    """Return the title of a page, with its number."""
    heading = next(h for h in text.find_all(["h1", "h2"]) if "part" not in h.get("class", []))
    return " ".join(heading.get_text().split())


def running(page: str, words: str) -> str:
    """Return the style that puts the title of a page at the top of each of its sheets."""
    name = "of-" + stem(page).replace("_", "-")
    told = words.replace("\\", "\\\\").replace('"', '\\"')
    return f'[id="{place(page)}"]{{page:{name}}}@page {name}{{@top-left{{content:"{told}"}}}}'


def front(html: Path, moment: datetime, base: str) -> str:
    """Return the title page."""
    told = settings()
    cover = quote(os.path.relpath(html / "_static" / "cover.svg", WHOLE.parent).replace(os.sep, "/"))
    intro = BeautifulSoup((html / "intro.html").read_text(encoding="utf-8"), "html.parser")
    drawing = intro.select_one("img.cover")
    where = f'<p><a href="{base}">{base}</a></p>' if base else ""
    return (
        f'<header class="title-page"><p class="title">{escape(str(told["title"]))}</p>'
        f'<img src="{cover}" alt="{escape(drawing["alt"] if drawing else "")}">'
        f'<p class="authors">{escape(str(told["author"]))}</p>'
        f"<p>Version {version()}, {moment:%-d %B %Y}</p>{where}"
        f'<p class="licence">© {told["copyright"]}. {told["html"]["extra_footer"]}</p></header>'
    )


def contents(texts: list[tuple[str, Tag]]) -> str:
    """Return the list of contents: parts, pages and their sections, each a link."""
    rows = []
    for caption, text in texts:
        if caption:
            rows.append(f'<p class="part">{escape(caption)}</p>')
        rows.append(f'<p><a href="#{quote(text["id"])}">{escape(title(text))}</a></p>')
    return f'<nav class="whole"><h1>Contents</h1>{"".join(rows)}</nav>'


def printed(page: Path) -> bytes:
    """Print a page of this machine; a request to anything else is an error."""
    from playwright.sync_api import Route, sync_playwright

    refused = []

    def only_files(route: Route) -> None:
        if route.request.url.startswith(("file:", "data:")):
            route.continue_()
        else:
            refused.append(route.request.url)
            route.abort()

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        tab = browser.new_page(viewport={"width": WIDTH, "height": 1000}, color_scheme="light")
        tab.set_default_timeout(PATIENCE)
        tab.route("**/*", only_files)
        tab.on("requestfailed", lambda request: refused.append(request.url))
        tab.emulate_media(media="print")
        tab.goto(page.as_uri())
        tab.evaluate("document.fonts.ready.then(() => null)")
        print("\n".join(tab.evaluate(FIT)))
        pdf = tab.pdf(prefer_css_page_size=True, print_background=True, outline=True, tagged=True)
        browser.close()
    if refused:
        sys.exit("the book asks for what is not beside it: " + ", ".join(sorted(set(refused))))
    return pdf


def made() -> datetime:
    """Return when the commit was made, or what SOURCE_DATE_EPOCH says."""
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    stamp = os.environ.get("SOURCE_DATE_EPOCH") or subprocess.run(
        command, capture_output=True, text=True, check=True
    ).stdout
    return datetime.fromtimestamp(int(stamp), tz=UTC)


def main() -> None:
    """Print the built book."""
    if not (PAGES / "intro.html").is_file():
        sys.exit("the book is not built: make book builds it")
    if chromium() is None:
        sys.exit(MISSING)
    WHOLE.parent.mkdir(parents=True, exist_ok=True)
    WHOLE.write_text(assembled(PAGES, made()), encoding="utf-8")
    pdf = compact(printed(WHOLE), made())
    BOOK.write_bytes(pdf)
    print(f"{BOOK.relative_to(ROOT)}: {len(pdf) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
