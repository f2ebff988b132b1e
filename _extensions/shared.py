"""The script of the linked pictures: one file of the book, which a browser keeps.

A notebook's output holds the script itself, because it has to work alone. In the book it is taken
out of each page, written beside the pages once, and asked for by its address. The file is made from
what stands in the notebook, so a picture gets the script that it was made with.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from look import version

INLINE = re.compile(r"<script data-shared>(.*?)</script>", re.S)
NAME = "picture.{}.js"


def shared(body: str, write: Callable[[str, str], str]) -> str:
    """Replace the scripts of a page: the first of each kind by a link, the others by nothing.

    Parameters
    ----------
    body : str
    write : callable
        Given the name of a file and what is in it, it returns the address of the file.

    Examples
    --------
    >>> body = "<a></a><script data-shared>one();</script>" * 2
    >>> shared(body, lambda name, text: f"_static/{name}")
    '<a></a><script defer src="_static/picture.d3e58efc.js"></script><a></a>'
    """
    seen = set()

    def linked(script: re.Match[str]) -> str:
        name = NAME.format(version(script[1].encode()))
        if name in seen:
            return ""
        seen.add(name)
        return f'<script defer src="{write(name, script[1])}"></script>'

    return INLINE.sub(linked, body)


def change(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Take the scripts out of one page."""

    def write(name: str, text: str) -> str:
        path = Path(app.outdir) / "_static" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return str(context["pathto"](f"_static/{name}", 1))

    if app.builder.format == "html" and context.get("body"):
        context["body"] = shared(context["body"], write)


def remove_old(app: Any) -> None:
    """Remove the files of an earlier build."""
    for path in (Path(app.outdir) / "_static").glob(NAME.format("*")):
        path.unlink()


def setup(app: Any) -> dict[str, bool]:
    """Register before the text is changed otherwise."""
    app.connect("builder-inited", remove_old)
    app.connect("html-page-context", change, priority=880)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
