"""Let links to old places arrive: a label that was on another page once leads on from there.

Whole pages that move are in moved.yml. For a label, the inventory says where it was and the built
pages say where it is, so nobody has to keep a list. The old page gets a line with the
label's id and a link, which is seen only by a reader who asks for that place; a script follows it.
"""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import inventory

ID = re.compile(r'\sid="([^"]+)"')
END = "</article>"
LINE = re.compile(r'<p class="moved-place".*?</p>\n?', re.S)


def write(out: Path, stored: dict[str, Any]) -> None:
    """Add to each old page of a built book the places that are elsewhere now."""
    texts = {
        path.relative_to(out).with_suffix("").as_posix(): LINE.sub("", text)
        for path in out.rglob("*.html")
        if END in (text := path.read_text("utf-8"))
    }
    ids = {page: set(ID.findall(text)) for page, text in texts.items()}
    for page in stored["pages"]:
        lines = list(_lines(page, stored, ids)) if page in texts else []
        if lines:
            before, end, after = texts[page].rpartition(END)
            new = "".join([before, *lines, end, after])
            (out / f"{page}.html").write_text(new, encoding="utf-8")


def _lines(page: str, stored: dict[str, Any], ids: dict[str, set[str]]) -> Iterator[str]:
    gone = stored.get("gone") or {}
    equations = {
        label for parts in stored["pages"].values() for label in parts.get("equations", ())
    }
    for label in inventory.labels_of(stored["pages"][page]):
        old = f"equation-{label}" if label in equations else label
        today = gone.get(label, {}).get("now", label)
        names = (today, f"equation-{today}")
        found = next(((p, n) for p in sorted(ids) for n in names if n in ids[p]), None)
        if old in ids[page] or found is None:
            continue
        other, name = found
        near = os.path.relpath(f"{other}.html", Path(page).parent).replace(os.sep, "/")
        link = f'<a href="{html.escape(f"{near}#{name}")}">This part is in another place now.</a>'
        yield f'<p class="moved-place" id="{html.escape(old)}">{link}</p>\n'


def finish(app: Any, error: Exception | None) -> None:
    """Write the lines once all pages are there."""
    if error is None and app.builder.format == "html":
        write(Path(app.outdir), inventory.load())


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("build-finished", finish, priority=300)  # before the front page is copied
    return {"parallel_read_safe": True, "parallel_write_safe": True}
