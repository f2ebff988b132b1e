"""The text of a page, after Sphinx has written it and before it is put into the frame."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

#: Pieces of code that have no colour of their own: as spans they would be most of a page.
PLAIN = r"n|p|o|w|nn|nb|mi|mf|si|bp|vm|sa|fm|nv|pre"
#: Names that extensions give to every box of a kind, so that they are there many times.
REPEATED = re.compile(r' id="(?:proof|[a-z]+-content)"')
BOX = re.compile(
    r'(<(\w+) class="(?:proof|exercise)\b[^"]*" id="([^"]+)"[^>]*>\s*'
    r'<p class="admonition-title">)(.*?)(</p>)',
    re.S,
)


def light_code(body: str) -> str:
    """Remove from code the elements that only name what is not coloured."""
    body = re.sub(rf'<span class="(?:{PLAIN})">([^<]*)</span>', r"\1", body)
    return body.replace("<pre><span></span>", "<pre>").replace(
        '<code class="docutils literal notranslate">', "<code>"
    )


def unique_names(body: str) -> str:
    """Remove from boxes the names that each of them has."""
    return REPEATED.sub("", body)


def linked_boxes(body: str) -> str:
    """Put a link to itself on each theorem, definition and exercise, as headings have."""
    return BOX.sub(
        r'\1\4<a class="headerlink" href="#\3" title="Link to this box">#</a>\5',
        body,
    )


def links_by_mouse(body: str) -> str:
    """Take the links of headings and boxes to themselves out of the order of the tab key.

    There are sixty on a page. By keyboard the contents, the list beside the text and the index of
    theorems lead to the same places.
    """
    return body.replace('class="headerlink"', 'class="headerlink" tabindex="-1"')


def framed_tables(body: str) -> str:
    """Put each table in a box of its own, in which it scrolls if it is too wide."""
    body = re.sub(r"<th\b[^>]*>\s*</th>", "<td></td>", body)  # an empty corner heads nothing
    return re.sub(r"<table\b.*?</table>", r'<div class="wide">\g<0></div>', body, flags=re.S)


def size(path: Path) -> tuple[int, int] | None:
    """Return the width and height of a PNG file in pixels, from its head."""
    head = path.read_bytes()[:24]
    if head[:8] != b"\x89PNG\r\n\x1a\n":
        return None
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def sized_pictures(body: str, files: dict[str, Path]) -> str:
    """Keep the place of pictures that are not there yet, and load them when they are near.

    Parameters
    ----------
    body : str
    files : dict
        The file of each picture, by its name in the book.
    """
    top = body.find("<h2")

    def sized(tag: re.Match[str]) -> str:
        # Only what stands above the first heading can be on the first screen.
        later = "" if tag.start() < top or top < 0 else ' loading="lazy"'
        name = re.search(r'src="(?:[^"]*/)?([^"/]+)"', tag[0])
        pixels = size(files[name[1]]) if name and name[1] in files else None
        if not pixels:
            return tag[0].replace("<img", f'<img{later} decoding="async"', 1)
        told = re.search(r"width: ([\d.]+)px", tag[0])
        width = round(float(told[1])) if told else pixels[0]
        height = round(width * pixels[1] / pixels[0])
        plain = re.sub(r' style="[^"]*"', "", tag[0])
        return plain.replace(
            "<img", f'<img{later} decoding="async" width="{width}" height="{height}"', 1
        )

    return re.sub(r"<img\b[^>]*>", sized, body)


def change(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Change the text of one page."""
    body = context.get("body")
    if not body:
        return
    folder = Path(app.srcdir)
    files = {name: folder / path for path, name in app.builder.images.items()}
    body = sized_pictures(unique_names(light_code(body)), files)
    context["body"] = links_by_mouse(framed_tables(linked_boxes(body)))


def setup(app: Any) -> dict[str, bool]:
    """Register after other extensions have changed the text, before the frame is made."""
    app.connect("html-page-context", change, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
