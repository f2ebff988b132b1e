"""One element of a page with its data, the script that draws it, and a picture without scripts."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files

from ..labels import TAP_COLOURS

#: The parts of the one script, each after what it uses: numbers, words, what is drawn.
SCRIPTS = (
    "model.js",
    "words.js",
    "address.js",
    "code.js",
    "linked.js",
    "panel.js",
    "edit.js",
    "guide.js",
    "controls.js",
    "view.js",
    "layer.js",
    "through.js",
    "bracket.js",
    "network.js",
    "start.js",
)


class Picture:
    """What a notebook shows: an element of a page, an SVG without scripts, a line of text."""

    kind = ""

    def __init__(self, data: Mapping[str, object], drawn: str, told: str) -> None:
        self._data, self._drawn, self._told = data, drawn, told

    def __repr__(self) -> str:
        return self._told

    def _repr_svg_(self) -> str:
        return self._drawn

    def _repr_html_(self) -> str:
        return element(self.kind, self._data, self._drawn)


def element(kind: str, data: Mapping[str, object], picture: str) -> str:
    """Return HTML of a linked picture; ``picture`` stands there without scripts.

    The data are an attribute, so that they are there when the page meets the element, and the
    element draws into a shadow root, so that two on one page share no name. The script is the same
    for every picture and returns at once where a page has run it already; the book takes it out of
    its pages and into one file (``_extensions/shared.py``).
    """
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # Between single quotes only these three characters have a meaning.
    quoted = text.replace("&", "&amp;").replace("'", "&#39;").replace("<", "&lt;")
    # A picture wider than the page scrolls: made smaller, its labels could not be read.
    still = f'<div style="overflow-x:auto" tabindex="0" role="group">{picture}</div>'
    tag = f"one-matrix-{kind}-{version()}"
    return f"<{tag} data='{quoted}'>{still}</{tag}><script data-shared>{script()}</script>"


@functools.cache
def version() -> str:
    """Return a mark of the script, so that pictures of two versions can share a page."""
    return hashlib.sha256("".join(_sources()).encode()).hexdigest()[:8]


@functools.cache
def script() -> str:
    """Return the one script of all pictures: its parts as they are, in a scope of their own."""
    style, *parts = _sources()
    head = (
        f'const VERSION = "{version()}";\n'
        "if (customElements.get(`one-matrix-layer-${VERSION}`)) return;\n"
        f"const STYLE = {json.dumps(style)};\n"
        f"const COLOURS = {json.dumps(TAP_COLOURS)};\n"
    )
    return f'(() => {{\n"use strict";\n{head}\n{"".join(parts)}}})();'


def _sources() -> list[str]:
    static = files(__package__).joinpath("static")
    return [static.joinpath(name).read_text(encoding="utf-8") for name in ("style.css", *SCRIPTS)]
