"""What each page of the built book weighs: bytes on the wire, requests, elements.

A page is opened in Chromium, on a phone's screen, from a server that compresses as GitHub Pages
does. Counted is all that it loads by itself, headers included. Pictures that are loaded lazily and
stand below the first screen are listed apart: a reader gets them on the way.

``python tools/weigh.py`` prints the table, ``--gate`` fails where a page exceeds a limit.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from check_pages import pages
from chromium import ARGUMENTS, chromium
from hosting import hosted

ROOT = Path(__file__).resolve().parents[1]
KIB = 1024
FIRST, SECOND = 350 * KIB, 80 * KIB  # bytes, of a first and of a further page
REQUESTS = 12
#: Lighthouse remarks on more than 1,400 elements and gives the remark no weight; a page of formulas
#: has more, since each part of one is an element. What they cost is time until the page answers:
#: the largest pages, of 8,500, block a slow phone for less than 100 ms. The reference of the
#: library grows with it, and is looked up and not read.
ELEMENTS = 12_000
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2}

#: Elements of the page, those in shadow trees included, as Lighthouse counts them.
COUNT = """() => {
  const count = root => [...root.querySelectorAll("*")]
    .reduce((n, e) => n + 1 + (e.shadowRoot ? count(e.shadowRoot) : 0), 0)
  return count(document.body)
}"""
#: Addresses of the lazily loaded pictures that begin below the first screen.
LAZY = """() => [...document.querySelectorAll("img[loading=lazy]")]
  .filter(image => !image.checkVisibility() || image.getBoundingClientRect().top >= innerHeight)
  .map(image => image.src)"""


@dataclass(frozen=True)
class Weight:
    """What one page weighs; ``loaded`` has the bytes of each address that it loads."""

    name: str
    loaded: dict[str, int]
    lazy: dict[str, int]
    elements: int

    @property
    def first(self) -> int:
        """Bytes of a first visit."""
        return sum(self.loaded.values())

    def second(self, seen: Weight) -> int:
        """Return the bytes for a reader who comes from the page ``seen`` and has its files."""
        return sum(size for address, size in self.loaded.items() if address not in seen.loaded)


def weigh(browser: Any, site: str, folder: Path, name: str) -> Weight:
    """Open a page as a reader who was never here before, and count.

    Parameters
    ----------
    browser : playwright.sync_api.Browser
    site : str
        Address of the served book, with a slash at its end.
    folder : Path
        Where the served book lies.
    name : str
        The page, without its ending.
    """
    with browser.new_context(**PHONE) as context:
        page, finished = context.new_page(), []
        page.on("requestfinished", lambda request: finished.append(request))
        page.goto(f"{site}{name}.html", wait_until="networkidle")
        lazy = {address: _size(folder, site, address) for address in page.evaluate(LAZY)}
        loaded: dict[str, int] = {}
        for request in finished:
            if request.url.startswith(site) and request.url not in lazy:
                loaded[request.url] = loaded.get(request.url, 0) + _received(request)
        return Weight(name, loaded, lazy, page.evaluate(COUNT))


def _received(request: Any) -> int:
    sizes = request.sizes()
    return sizes["responseHeadersSize"] + sizes["responseBodySize"]


def _size(folder: Path, site: str, address: str) -> int:
    path = folder / unquote(address.removeprefix(site).split("?")[0])
    return path.stat().st_size if path.is_file() else 0


def names(folder: Path) -> list[str]:
    """Return every page that a reader can come to: not those that only lead on."""
    found = []
    for path in sorted(folder.rglob("*.html")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        text = path.read_text(encoding="utf-8")
        if not name.startswith("_") and 'http-equiv="refresh"' not in text.lower():
            found.append(name)
    return found


def faults(weight: Weight, seen: Weight) -> Iterator[str]:
    """Yield what of a page exceeds its limit."""
    for told, measured, limit in (
        ("bytes on a first visit", weight.first, FIRST),
        ("bytes as a second page", weight.second(seen), SECOND),
        ("requests", len(weight.loaded), REQUESTS),
        ("elements", weight.elements, ELEMENTS),
    ):
        if measured > limit:
            yield f"{weight.name}: {measured:,} {told}, at most {limit:,}"


def seen_before(name: str) -> str:
    """Return the page a reader comes from: the front page, and to it from the first chapter."""
    front, first, *_ = pages()
    return first if name in (front, "index") else front


def table(weights: dict[str, Weight]) -> str:
    """Return the weights of all pages in Markdown."""
    lines = [
        "| page | first, KiB | second, KiB | lazy pictures, KiB | requests | elements |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, weight in weights.items():
        second = weight.second(weights[seen_before(name)])
        lines.append(
            f"| {name} | {weight.first / KIB:,.0f} | {second / KIB:,.0f} "
            f"| {sum(weight.lazy.values()) / KIB:,.0f} | {len(weight.loaded)} "
            f"| {weight.elements:,} |"
        )
    return "\n".join(lines)


def weigh_all(folder: Path) -> dict[str, Weight]:
    """Weigh every page of a built book."""
    from playwright.sync_api import sync_playwright

    path = chromium()
    if path is None:
        sys.exit("weigh.py needs Chromium: install it, or name it in the variable CHROMIUM")
    with sync_playwright() as playwright, hosted(folder) as site:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        return {name: weigh(browser, site, folder, name) for name in names(folder)}


def main() -> int:
    """Weigh the book in the folder named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "_build" / "html")
    parser.add_argument("--gate", action="store_true", help="fail where a page exceeds a limit")
    options = parser.parse_args()
    weights = weigh_all(options.folder)
    print(table(weights))
    wrong = [
        fault
        for name, weight in weights.items()
        for fault in faults(weight, weights[seen_before(name)])
    ]
    for fault in wrong:
        print(fault, file=sys.stderr)
    return 1 if wrong and options.gate else 0


if __name__ == "__main__":
    sys.exit(main())
