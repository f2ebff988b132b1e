"""One element of a page with everything in it: data, style, script, and a picture without them."""

from __future__ import annotations

import hashlib
import json
import re
from importlib.resources import files
from typing import Any, TypeAlias

from ..labels import TAP_COLOURS

#: What a picture shows, by name, ready for JSON.
Facts: TypeAlias = dict[str, Any]

HINT = (
    "Point at or tap any number to see it everywhere.",
    "Click or Enter pins it, Esc releases; arrow keys move.",
)


class Picture:
    """What a notebook shows: an element of a page, an SVG without scripts, a line of text."""

    kind = ""

    def __init__(self, data: Facts, drawn: str, told: str) -> None:
        self._data, self._drawn, self._told = data, drawn, told

    def __repr__(self) -> str:
        return self._told

    def _repr_svg_(self) -> str:
        return self._drawn

    def _repr_html_(self) -> str:
        return element(self.kind, self._data, self._drawn)


def element(kind: str, data: Facts, picture: str) -> str:
    """Return HTML of the element that ``kind``.js draws; ``picture`` stands there without scripts.

    The data are an attribute, so that they are there when the page meets the element, and the
    element draws into a shadow root, so that two on one page share no name.
    """
    tag, script = _script(kind)
    told = {"css": _style(), "colours": TAP_COLOURS, "hint": HINT, **data}
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    # Between single quotes only these three characters have a meaning.
    quoted = text.replace("&", "&amp;").replace("'", "&#39;").replace("<", "&lt;")
    # A picture wider than the page scrolls: made smaller, its labels could not be read.
    still = f'<div style="overflow-x:auto" tabindex="0" role="group">{picture}</div>'
    return f"<{tag} data='{quoted}'>{still}</{tag}><script>{script}</script>"


def _read(name: str) -> str:
    return files(__package__).joinpath("static", name).read_text(encoding="utf-8")


def _style() -> str:
    source = re.sub(r"/\*.*?\*/", "", _read("style.css"), flags=re.S)
    return re.sub(r":\s+", ":", re.sub(r"\s*([{};,>])\s*", r"\1", source)).strip()


def _script(kind: str) -> tuple[str, str]:
    """Return the name of the element, which depends on the version, and the script defining it."""
    source = _squeeze(_read("common.js") + _read(f"{kind}.js"))
    tag = f"one-matrix-{kind}-" + hashlib.sha256(source.encode()).hexdigest()[:8]
    return tag, f'(()=>{{const TAG="{tag}";if(customElements.get(TAG))return;{source}}})();'


#: Shorter words of the same meaning, after comments and spaces: what stands before the first brace
#: of an arrow, the last semicolon of a block, a constant that nobody changes.
SHORTER = (
    (r"\((\w+)\)=>", r"\1=>"),
    (r";}", "}"),
    (r"\bconst\b", "let"),
    (r"\btrue\b", "!0"),
    (r"\bfalse\b", "!1"),
)


#: Names that only the scripts use, none of them in the data or in HTML, and shorter ones.
NAMES = {
    "links": "ls", "link": "li", "column": "co", "panel": "pa", "panels": "ps", "equation": "eq",
    "cursor": "cu", "result": "rs", "chosen": "ch", "matrix": "mx", "spots": "sp", "touched": "tc",
    "choices": "cs", "numbers": "ns", "select": "se", "colour": "cl", "button": "bt",
    "sheet": "sh", "found": "fo", "told": "tl", "node": "nd", "summary": "su", "nodes": "nz",
    "player": "py", "weight": "wt", "entry": "en", "answer": "aw", "board": "bo", "facts": "fc",
    "cells": "ce", "event": "ev", "across": "ac", "terms": "te",
    "lines": "ln", "names": "nm", "walk": "wa", "count": "cn", "group": "gp", "moved": "mv",
    "shown": "sw", "signed": "sg", "listed": "lt", "inSight": "iS", "label": "la", "keep": "kp",
    "status": "st", "pinned": "pd", "digits": "dg", "upper": "ur", "timer": "ti",
    "double": "db", "large": "lg",
    "turn": "tu", "room": "ro", "rows": "rw", "first": "fi", "theme": "th", "make": "mk",
}  # fmt: skip


def _renamed(source: str) -> str:
    return re.sub(r"\w+", lambda m: NAMES.get(m[0], m[0]), source)


def _squeeze(source: str) -> str:
    """Leave out what means nothing; strings and templates stay as they are."""
    source = re.sub(r"(?m)(^|\s)//.*$", "", source)
    kept, sign = r"\"[^\"\n]*\"|`[^`]*`", r"[-=+*/<>?:;,{}()\[\]&|%!]"
    parts = re.split(f"({kept})", source)
    for i in range(0, len(parts), 2):
        part = re.sub(rf"\s*({sign})\s*|\s*(\n)\s*", lambda m: m[1] or m[2], parts[i])
        for long, short in SHORTER:
            part = re.sub(long, short, part)
        parts[i] = _renamed(part)
    for i in range(1, len(parts), 2):
        if parts[i][0] == "`":
            parts[i] = re.sub(r"\$\{[^}]*\}", lambda m: _renamed(m[0]), parts[i])
    return "".join(parts).strip()
