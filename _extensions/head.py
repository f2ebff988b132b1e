"""What a page says about itself to those who only pass by: search engines, links, lost readers.

Every page gets a description, its one public address, and a title and a picture for places that
show links. The book gets a list of its pages, a page for addresses that do not exist, and pages
that lead on from addresses that have moved.

The public address is that of the pages of the repository, so a fork's book names the fork. The
variable ``BOOK_ADDRESS`` names any other one.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import cards
import yaml
from sphinx.util import logging

logger = logging.getLogger(__name__)

SETTINGS = Path(__file__).resolve().parents[1] / "_config.yml"
MOVED = Path(__file__).with_name("moved.yml")
CARDS = "_static/cards"
LOST = "404"
#: Where the hosts of repositories publish the pages of one.
PAGES = {
    "github.com": "https://{owner}.github.io/",
    "gitlab.com": "https://{owner}.gitlab.io/",
    "codeberg.org": "https://{owner}.codeberg.page/",
}
#: Pages that Sphinx makes by itself: a title, and a description.
GENERATED = {
    "genindex": (
        "Index",
        "Index of One Matrix: every function, class and term, with links to where it is explained.",
    ),
    "py-modindex": (
        "Modules",
        "The Python modules of equivlib, the library of One Matrix, with a line on each.",
    ),
    "prf-prf": (
        "Definitions and theorems",
        "Every definition, theorem and lemma of One Matrix, with links to statement and proof.",
    ),
    "search": (
        "Search",
        "Search all pages of One Matrix: chapters, theorems, glossary, the library's reference.",
    ),
    LOST: (
        "There is no page here",
        "No page of One Matrix has this address: search the book, or choose from its contents.",
    ),
}


def public_address(repository: str, chosen: str = "") -> str:
    """Return the address below which the book is published, with a slash at its end.

    Parameters
    ----------
    repository : str
        ``https://host/owner/name``.
    chosen : str, optional
        Another address, which then holds.

    Returns
    -------
    str
        Empty if nothing is chosen and nobody knows where the host publishes pages.

    Examples
    --------
    >>> public_address("https://github.com/Somebody/book")
    'https://somebody.github.io/book/'
    >>> public_address("https://github.com/somebody/somebody.github.io")
    'https://somebody.github.io/'
    >>> public_address("https://github.com/somebody/book", "https://book.example")
    'https://book.example/'
    """
    if chosen:
        if not re.fullmatch(r"https?://[\w.-]+(:\d+)?(/[\w.~-]+)*/?", chosen):
            raise ValueError(f"BOOK_ADDRESS (={chosen!r}) must be https://host/path/")
        return chosen.removesuffix("/") + "/"
    host, _, path = repository.removeprefix("https://").partition("/")
    owner, _, name = path.strip("/").partition("/")
    if host not in PAGES or not name:
        return ""
    site = PAGES[host].format(owner=owner.lower())
    return site if name.lower() == urlsplit(site).netloc else f"{site}{name}/"


def use_public_address(app: Any, config: Any) -> None:
    """Find the address after BOOK_REPOSITORY has had its say."""
    repository = config.html_theme_options.get("repository_url", "")
    config.book_address = public_address(repository, os.environ.get("BOOK_ADDRESS", ""))


def address_of(app: Any, page: str) -> str:
    """Return the one public address of a page; the front page has that of the whole book."""
    base = app.config.book_address
    return base if page == app.config.root_doc else f"{base}{quote(page)}.html"


def describe(app: Any, page: str, template: str, context: Any, doctree: Any) -> None:
    """Put into a page's head what it says about itself."""
    tags = context.get("metatags") or ""
    if page in GENERATED and 'name="description"' not in tags:
        tags += f'\n<meta name="description" content="{html.escape(GENERATED[page][1])}" />'
    context["metatags"] = tags + "".join(f"\n{tag}" for tag in _tags(app, page, context, tags))


def _tags(app: Any, page: str, context: Any, tags: str) -> Iterator[str]:
    if page == LOST:  # it has no address of its own
        yield '<meta name="robots" content="noindex" />'
        return
    title = _plain(context.get("title") or GENERATED.get(page, ("",))[0])
    figure = cards.chosen(cards.figures(context.get("body") or ""))
    facts = {
        "og:site_name": app.config.html_title,
        "og:title": title,
        "og:description": description(tags),
        "og:type": "website" if page == app.config.root_doc else "article",
    }
    if app.config.book_address:  # these have to be complete addresses
        yield f'<link rel="canonical" href="{html.escape(address_of(app, page))}" />'
        facts |= {
            "og:url": address_of(app, page),
            "og:image": f"{app.config.book_address}{CARDS}/{_file(page)}",
            "og:image:type": "image/png",
            "og:image:width": str(cards.WIDTH),
            "og:image:height": str(cards.HEIGHT),
            "og:image:alt": f"{title}. {figure.alt}",
        }
        yield '<meta name="twitter:card" content="summary_large_image" />'
    for name, told in facts.items():
        if told:
            yield f'<meta property="{name}" content="{html.escape(told)}" />'


def _plain(title: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", title)).split())


def description(tags: str) -> str:
    """Return the description among the tags of a page's head, in either order of its parts."""
    for tag in re.findall(r"<meta\b[^>]*>", tags):
        if 'name="description"' in tag:
            found = re.search(r'content="([^"]*)"', tag)
            return html.unescape(found[1]) if found else ""
    return ""


def _file(page: str) -> str:
    """Return the name of a page's picture."""
    return page.replace("/", "-") + ".png"


def draw_cards(app: Any) -> None:
    """Draw the picture of each page from the page as it was written."""
    out = Path(app.outdir)
    shutil.rmtree(out / CARDS, ignore_errors=True)
    (out / CARDS).mkdir(parents=True)
    for page in sorted({*app.env.found_docs, *GENERATED} - {LOST}):
        path = out / f"{page}.html"
        if not path.is_file():  # a book without modules has no list of them
            continue
        text = path.read_text(encoding="utf-8")
        figure = cards.chosen(cards.figures(text[text.find("<article") :]))
        shown = cards.picture(figure, out / "_images")
        title = html.unescape(re.findall(r'property="og:title" content="([^"]*)"', text)[0])
        drawn = cards.card(title, description(text), app.config.html_title, shown)
        drawn.save(out / CARDS / _file(page), optimize=True)


def list_pages(app: Any) -> None:
    """Write sitemap.xml and robots.txt, which need complete addresses."""
    base = app.config.book_address
    if not base:
        return
    listed = sorted(address_of(app, page) for page in app.env.found_docs)
    rows = "".join(f"<url><loc>{html.escape(address)}</loc></url>\n" for address in listed)
    (Path(app.outdir) / "sitemap.xml").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{rows}</urlset>\n',
        encoding="utf-8",
    )
    (Path(app.outdir) / "robots.txt").write_text(
        f"User-agent: *\nAllow: /\nSitemap: {base}sitemap.xml\n", encoding="utf-8"
    )


def lost_page(app: Any) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield the page for addresses that do not exist, with a way to what the reader wants."""
    contents = "".join(
        f'<li><a href="{quote(page)}.html">{html.escape(_numbered(app, page))}</a></li>'
        for page in _in_order(app)
    )
    body = f"""<section id="no-such-page"><h1>{GENERATED[LOST][0]}</h1>
<p>Nothing is wrong on your side: the address has a slip of the pen in it, or the page has moved.
The <a href="index.html">front page</a> begins the book, and these lead on.</p>
<form class="search-page" action="search.html" role="search" aria-label="Search for the page">
<label for="lost-words">Search the book</label>
<input id="lost-words" type="search" name="q" /> <button type="submit">Search</button></form>
<h2>Contents</h2><ul>{contents}</ul></section>"""
    yield LOST, {"title": GENERATED[LOST][0], "body": body}, "page.html"


def _in_order(app: Any) -> list[str]:
    """Return all pages of the book in the order of its contents."""
    found: list[str] = []

    def walk(page: str) -> None:
        if page not in found:
            found.append(page)
            for below in app.env.toctree_includes.get(page, []):
                walk(below)

    walk(app.config.root_doc)
    return found


def _numbered(app: Any, page: str) -> str:
    """Return the title of a page behind its number, if it has one."""
    number = app.env.toc_secnumbers.get(page, {}).get("", ())
    return "".join(f"{n}. " for n in number) + str(app.env.titles[page].astext())


def lift(text: str, base: str) -> str:
    """Make a page independent of the depth of the address under which it is shown.

    Every relative address in it becomes one that begins with ``base``, the path of the book.

    Examples
    --------
    >>> lift('<a href="intro.html">', "/book/")
    '<a href="/book/intro.html">'
    >>> lift('<a href="#top"> <a href="https://example.org/">', "/book/")
    '<a href="#top"> <a href="https://example.org/">'
    """
    own = r'(\s(?:href|src|action|data-content_root)=")(?!#|/|[a-z]+:)(?:\./)?([^"]*)'
    return re.sub(own, lambda found: f"{found[1]}{base}{found[2]}", text)


def lift_lost_page(app: Any) -> None:
    """Let the page for lost readers work at any address below that of the book."""
    path = Path(app.outdir) / f"{LOST}.html"
    base = urlsplit(app.config.book_address).path or "/"
    path.write_text(lift(path.read_text(encoding="utf-8"), base), encoding="utf-8")


def front_page(app: Any) -> None:
    """Let the book's own address show its front page, instead of a page that leads there."""
    out = Path(app.outdir)
    shutil.copyfile(out / f"{app.config.root_doc}.html", out / "index.html")


def lead_on(app: Any, table: Path | None = None) -> None:
    """Write a page at each old address that leads to the new one."""
    moved = yaml.safe_load((table or MOVED).read_text(encoding="utf-8")) or {}
    out = Path(app.outdir)
    for old, told in moved.items():
        new, _, place = told.partition("#")
        wrong = "is not needed: the old page is still there" if old in app.env.found_docs else ""
        wrong = wrong or _mistake(out, new, place, moved)
        if wrong:
            logger.warning("moved.yml: %s: %s %s", old, told, wrong, type="head")
            continue
        path = out / f"{old}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        near = os.path.relpath(out / f"{new}.html", path.parent).replace(os.sep, "/")
        known = address_of(app, new) if app.config.book_address else ""
        path.write_text(leading_on(near, place, known), encoding="utf-8")


def _mistake(out: Path, new: str, place: str, moved: dict[str, str]) -> str:
    target = out / f"{new}.html"
    if new in moved:
        return "has moved itself: name the last address"
    if not target.is_file():
        return "is not there"
    if place and f'id="{place}"' not in target.read_text(encoding="utf-8"):
        return f"has no place {place!r}"
    return ""


def leading_on(near: str, place: str, canonical: str) -> str:
    """Return a page that leads on to another one, with scripts and without.

    The script comes first, since it alone can keep what follows "#" in the address asked for.
    """
    whole = html.escape(near + (f"#{place}" if place else ""))
    script = f"location.replace({json.dumps(near)} + location.search + (location.hash || "
    script += f"{json.dumps('#' + place if place else '')}))"
    link = f'<link rel="canonical" href="{html.escape(canonical)}" />\n' if canonical else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8" />
<title>This page has moved</title>
{link}<script>{script.replace("<", chr(92) + "u003c")}</script>
<meta http-equiv="refresh" content="0; url={whole}" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
</head>
<body><p>This page has moved <a href="{whole}">here</a>.</p></body>
</html>
"""


def finish(app: Any, exception: Exception | None) -> None:
    """Write what needs the finished pages."""
    if exception is not None or app.builder.format != "html":
        return
    draw_cards(app)
    front_page(app)
    list_pages(app)
    lift_lost_page(app)
    lead_on(app)


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_config_value("book_address", "", "env")
    app.connect("config-inited", use_public_address, priority=110)
    app.connect("html-collect-pages", lost_page)
    app.connect("html-page-context", describe)
    # Before the extension of the contents writes a front page that only leads on.
    app.connect("build-finished", finish, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def main() -> None:
    """Print the public address of the book."""
    settings = yaml.safe_load(SETTINGS.read_text(encoding="utf-8"))
    repository = os.environ.get("BOOK_REPOSITORY") or settings["repository"]["url"]
    print(public_address(repository, os.environ.get("BOOK_ADDRESS", "")))


if __name__ == "__main__":
    main()
