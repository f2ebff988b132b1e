"""Check a built book: every page of its contents is there, whole, and asks no other host."""

from __future__ import annotations

import functools
import re
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[1]
#: What a page shows if a directive or a role was not understood.
RAW = re.compile(r"(:{3,}|`{3,})\s*\{\w|\{(prf:ref|ref|eq|cite|term|numref|doc)[\w:]*\}`", re.M)
MANY_WORDS = 80  # fewer than this is an empty page


def pages(toc: Path = ROOT / "_toc.yml") -> list[str]:
    """Return every document that the table of contents names, as a path without its ending."""
    found: list[str] = []

    def walk(node: object) -> None:
        if isinstance(node, dict):
            found.extend(node[key] for key in ("root", "file") if key in node)
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(yaml.safe_load(toc.read_text(encoding="utf-8")))
    return [str(Path(name).with_suffix("")) for name in found]


def faults(html: Path, name: str) -> list[str]:
    """Return what is wrong with one page."""
    path = html / f"{name}.html"
    if not path.is_file():
        return ["was not built"]
    soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    article = soup.find("article") or soup.find("main")
    if article is None or len(article.get_text().split()) < MANY_WORDS:
        return ["is empty"]
    return [
        *_text_faults(article),
        *(f"loads {address}" for address in _foreign(soup)),
        *(f"links to {address}, which is not there" for address in _broken(soup, path)),
        *(
            f"shows {image.get('src')} without a description"
            for image in article.find_all("img")
            if len((image.get("alt") or "").split()) < 3
        ),
    ]


def _text_faults(article: BeautifulSoup) -> list[str]:
    found = []
    if (
        article.select(".output.traceback, .cell_output .error")
        or "Traceback (most" in article.text
    ):
        found.append("shows a traceback")
    for code in article.select(".cell_input, .tex2jax_ignore"):
        code.extract()
    raw = RAW.search(article.get_text())
    if raw:
        found.append(f"shows a raw directive: {raw.group(0).strip()!r}")
    if article.select(".system-message, .problematic"):
        found.append("shows a message of the builder")
    return found


def _foreign(soup: BeautifulSoup) -> list[str]:
    """Return the addresses on other hosts that the page itself would ask for."""
    sources = [
        tag[attribute]
        for attribute in ("src", "srcset", "data", "poster")
        for tag in soup.find_all(attrs={attribute: True})
    ]
    loaded = {
        "stylesheet",
        "icon",
        "preload",
        "prefetch",
        "modulepreload",
        "preconnect",
        "manifest",
    }
    sources += [
        tag["href"] for tag in soup.find_all("link", href=True) if loaded & set(tag.get("rel", []))
    ]
    return [source for source in sources if re.match(r"(https?:)?//", source)]


def _broken(soup: BeautifulSoup, path: Path) -> list[str]:
    """Return the addresses within the book that lead nowhere."""
    broken = []
    addresses = {tag["href"] for tag in soup.find_all("a", href=True)}
    addresses |= {tag["src"] for tag in soup.find_all(src=True)}
    for address in sorted(addresses):
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        target = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
        place = unquote(parts.fragment) if target.suffix == ".html" else ""
        if not target.exists() or (place and place not in _ids(target)):
            broken.append(address)
    return broken


@functools.cache
def _ids(page: Path) -> set[str]:
    """Return the places of a page that a link may name; pages link to each other often."""
    return set(re.findall(r'id="([^"]*)"', page.read_text(encoding="utf-8")))


def main() -> int:
    """Check the book in the folder named on the command line."""
    html = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "_build" / "html")
    names = pages()
    wrong = [f"{name} {fault}" for name in names for fault in faults(html, name)]
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"{len(names)} pages checked, {len(wrong)} faults")
    return 1 if wrong or not names else 0


if __name__ == "__main__":
    sys.exit(main())
