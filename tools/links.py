"""Follow every link that leads out of the book, and name those that lead nowhere.

``python tools/links.py _build/html`` reads built pages; an address reads the published book, whose
``sitemap.xml`` lists its pages. Links within the book are checked whenever it is built
(``tools/check_pages.py``). The outcome depends on other people's machines, so it stops nothing: it
is looked at weekly, and an issue is opened (``.github/workflows/weekly.yml``).
"""

from __future__ import annotations

import argparse
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urlsplit

from bs4 import BeautifulSoup

#: Links that are not followed, and why. A pattern has to begin the address.
EXCLUDED = {
    r"https://mybinder\.org/v2/": "each request would start a build there",
    r"https://github\.com/[^/]+/[^/]+/issues/new": "it asks for an account",
}
#: Publishers refuse programs, so a DOI is not followed: it is asked whether it is registered.
DOI = "https://doi.org/"
REGISTERED = "https://doi.org/api/handles/"
AGENT = "Mozilla/5.0 (compatible; link check of a book)"
#: The server is there and knows the page, but wants no program, or not now.
UNWILLING = {401, 403, 405, 406, 418, 429, 451, 503, 999}
TRIES = 3
SECONDS = 30
AT_ONCE = 8


def outgoing(text: str, own: str = "") -> set[str]:
    """Return the links of a page that lead to other places than its own book.

    Examples
    --------
    >>> sorted(outgoing('<a href="b.html"></a><a href="https://a.example/x#y"></a>'))
    ['https://a.example/x#y']
    >>> outgoing('<a href="https://a.example/book/b.html"></a>', "https://a.example/book/")
    set()
    """
    soup = BeautifulSoup(text, "html.parser")
    found = {str(tag["href"]).strip() for tag in soup.find_all("a", href=True)}
    outside = {link for link in found if urlsplit(link).scheme in ("http", "https")}
    return {link for link in outside if not (own and link.startswith(own))}


def pages(place: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each page, in a folder or below an address."""
    if re.match(r"https?://", place):
        base = place.rstrip("/") + "/"
        listed = _read(f"{base}sitemap.xml")
        for address in re.findall(r"<loc>([^<]+)</loc>", listed):
            yield address.removeprefix(base), _read(address)
        return
    folder = Path(place)
    for path in sorted(folder.rglob("*.html")):
        yield path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8")


def _read(address: str) -> str:
    with _open(address) as answer:
        return str(answer.read().decode("utf-8"))


def _open(address: str) -> Any:
    request = urllib.request.Request(address, headers={"User-Agent": AGENT, "Accept": "*/*"})
    return urllib.request.urlopen(request, timeout=SECONDS)


def excluded(link: str) -> str:
    """Return why a link is not followed; empty for all others."""
    return next((why for start, why in EXCLUDED.items() if re.match(start, link)), "")


def fault(link: str, pause: float = 5.0) -> str:
    """Return what is wrong with a link; empty if it leads somewhere, or nobody can tell.

    Parameters
    ----------
    link : str
    pause : float
        Seconds before another try; the second pause is twice as long.
    """
    address, place = urldefrag(link)
    if address.startswith(DOI):
        address, place = REGISTERED + address.removeprefix(DOI), ""
    told = ""
    for number in range(TRIES):
        if number:
            time.sleep(pause * number)
        try:
            with _open(address) as answer:
                return _missing(answer, place)
        except urllib.error.HTTPError as error:
            told = f"answers {error.code}"
            if error.code in UNWILLING:
                return ""
            if error.code < 500:
                return told
        except (OSError, ValueError) as error:
            told = f"does not answer: {getattr(error, 'reason', error)}"
    return told


def _missing(answer: Any, place: str) -> str:
    """Return that a page lacks the place which a link names, if it is one that can be looked at."""
    kind = answer.headers.get_content_type()
    if not place or kind != "text/html" or re.match(r":~:|L\d+|/|!", place):
        return ""
    text = answer.read().decode("utf-8", errors="replace")
    wanted = unquote(place)
    # Places that a script makes later are in the text of the page in another form, or not at all.
    if wanted in text or "<script" in text.lower():
        return ""
    return f"has no place #{place}"


def check(links: dict[str, list[str]], ask: Callable[[str], str] = fault) -> list[str]:
    """Return a line for every link that leads nowhere, with the pages that have it.

    Parameters
    ----------
    links : dict of str to list of str
        Each link with the pages that have it.
    ask : callable
        Returns what is wrong with a link.
    """
    followed = sorted(link for link in links if not excluded(link))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(ask, followed))
    wrong = [(link, told) for link, told in zip(followed, answers, strict=True) if told]
    return [f"- {link} {told}; on {', '.join(sorted(links[link]))}" for link, told in wrong]


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("place", help="a folder of built pages, or the book's address")
    place = parser.parse_args().place
    links: dict[str, list[str]] = {}
    own = place if place.startswith("http") else ""
    number = 0
    for name, text in pages(place):
        number += 1
        for link in outgoing(text, own):
            links.setdefault(link, []).append(name)
    if not number:
        parser.error(f"place (={place!r}) must have pages")
    wrong = check(links)
    left = [link for link in links if excluded(link)]
    print("\n".join(wrong), end="\n" if wrong else "")
    told = f"{len(links)} links on {number} pages, {len(left)} not followed, {len(wrong)} faults"
    print(told, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
