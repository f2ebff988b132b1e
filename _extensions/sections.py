"""Where on a page a word is: what search adds to Sphinx's index, which knows only pages.

Sphinx's index says which pages have a word. This one says which of their sections, theorems and
glossary entries have it, in the same stems, so that a result leads to the place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes

FILE = "searchsections.js"
#: What is no prose: program text that a page repeats, formulas, what is written for one format.
SILENT = (nodes.raw, nodes.comment, nodes.math, nodes.math_block, nodes.image)


def places(doctree: nodes.document) -> Iterator[tuple[str, str, str]]:
    """Yield the anchor, title and text of every part of a page that a result can lead to."""
    for node in doctree.findall(_is_place):
        title = (_title(node) or "").strip()
        if title.startswith("(") and title.endswith(")"):  # that of a theorem
            title = title[1:-1]
        yield node["ids"][0], title, " ".join(_words(node, node))
    for item in doctree.findall(nodes.definition_list_item):
        term = item[0]
        if isinstance(term, nodes.term) and term["ids"]:
            yield term["ids"][0], term.astext(), " ".join(_words(item, item))


def _is_place(node: nodes.Node) -> bool:
    """Return whether a node is a section, or a theorem or the like, with an anchor and a title."""
    return isinstance(node, nodes.Element) and bool(node["ids"]) and _title(node) is not None


def _title(node: nodes.Element) -> str | None:
    """Return the title of a section or box; that of a folded section is noted on its contents."""
    if isinstance(node, (nodes.section, nodes.Admonition)):
        first = node.first_child_matching_class(nodes.title)
        return node[first].astext() if first is not None else None
    return node.get("heading")


def _words(node: nodes.Node, place: nodes.Node) -> Iterator[str]:
    """Yield the text of a place without that of the places in it."""
    if isinstance(node, SILENT) or (node is not place and _is_place(node)):
        return
    if isinstance(node, nodes.Text):
        yield node.astext()
    for child in node.children:
        yield from _words(child, place)


def stems(language: Any, text: str) -> set[str]:
    """Return the words of a text as Sphinx's index has them."""
    found = set()
    for word in language.split(text.lower()):
        kept = next(filter(language.word_filter, (language.stem(word), word)), None)
        found |= {kept} if kept else set()
    return found


def collect(app: Any, page: str, template: str, context: Any, doctree: Any) -> None:
    """Note the places of a page while it is written."""
    if doctree is None or app.builder.format != "html":
        return
    language = app.builder.indexer.lang
    app.builder.book_places = getattr(app.builder, "book_places", {})
    app.builder.book_places[page] = [
        (anchor, title, stems(language, f"{title} {text}"))
        for anchor, title, text in places(doctree)
    ]


def index(noted: dict[str, list[tuple[str, str, set[str]]]]) -> dict[str, Any]:
    """Return the places of all pages in a row, and for each stem the numbers of its places.

    Each number but the first is written as the distance from the one before, which is shorter.

    Examples
    --------
    >>> noted = {"a": [("one", "One", {"matrix"})], "b": [("two", "Two", {"matrix", "row"})]}
    >>> index(noted)
    {'places': [['a', 'one', 'One'], ['b', 'two', 'Two']], 'stems': {'matrix': '0 1', 'row': '1'}}
    """
    row: list[list[str]] = []
    where: dict[str, list[int]] = {}
    for page in sorted(noted):
        for anchor, title, found in noted[page]:
            for stem in found:
                where.setdefault(stem, []).append(len(row))
            row.append([page, anchor, " ".join(title.split())])
    return {"places": row, "stems": {stem: _steps(where[stem]) for stem in sorted(where)}}


def _steps(numbers: list[int]) -> str:
    return " ".join(str(b - a) for a, b in zip([0, *numbers], numbers, strict=False))


def write(app: Any, exception: Exception | None) -> None:
    """Write the index as a script, since a page opened from a disk cannot read another file."""
    if exception is not None or app.builder.format != "html":
        return
    told = json.dumps(index(app.builder.book_places), ensure_ascii=False, separators=(",", ":"))
    (Path(app.outdir) / FILE).write_text(f"setSections({told})\n", encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx; what is noted lives in one process."""
    app.connect("html-page-context", collect)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
