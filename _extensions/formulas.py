"""Sphinx extension that sets formulas as MathML when the book is built.

Temml, a converter written in JavaScript, runs in an embedded engine. So a page needs no script for
its formulas, and a build no Node.js. `FORMULAS.md` beside this file tells what else was tried.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import quickjs
from docutils import nodes
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

TEMML = Path(__file__).resolve().parent / "vendor" / "temml" / "temml.min.js"

# The engine hands a string over only if it lies in one piece, as text made by JSON.stringify does.
SET = """
function set(tex, display) {
  try { return JSON.stringify({mathml: temml.renderToString(
    tex, {displayMode: display, throwOnError: true})}); }
  catch (error) { return JSON.stringify({fault: error.message}); }
}
"""

# An inline formula wider than this, in em, may break at the end of a line. No piece is wider than
# PIECE if its operators allow it: a phone's line holds 15 em, an exercise's a little less.
WHOLE = 7.0
PIECE = 11.0

# The signs after which a line may end.
RELATIONS = set("=≠<>≤≥≈≡∈⊆→←↦⇒⇔∼∝")
OPERATORS = set("+−±∓×⋅·⊗⊙∘∗⋆∧∨∪∩")
APPLY = "\u2061"  # between a function's name and its argument; cannot be seen
SCRIPTED = ("msub", "msup", "msubsup", "munder", "mover", "munderover")
TALL = ("mfrac", "mtable", "msqrt", "mroot", "munder", "mover", "munderover", "mpadded")
BREAKS = RELATIONS | OPERATORS | set(",;")

logger = logging.getLogger(__name__)


class FormulaError(ValueError):
    """TeX that cannot be set, with the converter's reason."""


@cache
def engine() -> Callable[[str, bool], str]:
    """Return the converter, started once for a build."""
    context = quickjs.Context()
    context.eval(TEMML.read_text(encoding="utf-8") + ";globalThis.temml = temml;" + SET)
    return context.get("set")  # type: ignore[no-any-return]


@cache
def mathml(tex: str, display: bool = False) -> str:
    """Return one formula as MathML.

    Parameters
    ----------
    tex : str
        The formula in TeX, without dollars.
    display : bool
        Whether it stands on a line of its own. An inline formula that is long becomes several
        `<math>` elements, between which a line may end.

    Returns
    -------
    str
        The elements, to be put into a page as they are.

    Raises
    ------
    FormulaError
        If the formula cannot be set.
    """
    told = json.loads(engine()(tex, display))
    if "fault" in told:
        raise FormulaError(told["fault"])
    math = ElementTree.fromstring(told["mathml"])
    tidy(math)
    if display:
        math.attrib = {"display": "block"}
        return written(math)
    if width(math) <= WHOLE:
        return written(math)
    return "<wbr>".join(written(piece) for piece in pieces(math))


def written(math: ElementTree.Element) -> str:
    """Return the element as text, its non-ASCII letters as they are."""
    return ElementTree.tostring(math, encoding="unicode")


def tidy(math: ElementTree.Element) -> None:
    """Take out what changes nothing in the picture, and add the spaces that TeX would set."""
    for parent in math.iter():
        if parent.get("style"):
            parent.set("style", re.sub(r"([\d.]+)pt", in_em, parent.get("style", "")))
        for name in ("fence", "separator"):  # browsers look at neither
            parent.attrib.pop(name, None)
        for place, child in enumerate(parent):
            while child.tag == "mrow" and len(child) == 1 and not child.attrib:
                child = child[0]
            parent[place] = child
        if parent.tag in SCRIPTED:
            tighten(parent)
        if parent.tag == "mrow" and fenced(parent):
            calm(parent)
        set_off_functions(parent)
        set_dots(parent)


def in_em(points: re.Match[str]) -> str:
    """Return a length in TeX's points as em of its ten-point text: it grows with the formula."""
    return f"{float(points[1]) / 10:.2g}em"


def tighten(scripted: ElementTree.Element) -> None:
    """Take the space around operators out of indices and exponents, as TeX does."""
    for script in scripted[1:]:
        for sign in script.iter("mo"):
            if (sign.text or "") in BREAKS:
                sign.attrib.update(lspace="0", rspace="0")


def calm(brackets: ElementTree.Element) -> None:
    """Leave brackets at their size around what is as high as a line, as TeX does."""
    if not any(inside.tag in TALL for inside in brackets.iter()):
        for bracket in (brackets[0], brackets[-1]):
            bracket.set("stretchy", "false")


def set_off_functions(row: ElementTree.Element) -> None:
    """Put a thin space between a factor and a function with a name, as in 2 log x."""
    children = list(row)
    for place in reversed(range(len(children) - 2)):
        before, name, apply = children[place : place + 3]
        named = name.tag == "mi" and len(name.text or "") > 1
        factor = before.tag not in ("mo", "mspace") or before.get("form") == "postfix"
        if named and factor and apply.text == APPLY:
            row.insert(place + 1, ElementTree.Element("mspace", width="0.1667em"))


def set_dots(row: ElementTree.Element) -> None:
    """Give dots the space that TeX gives them: a thin one before a comma, else none."""
    children = list(row)
    for place, dots in enumerate(children):
        if dots.tag == "mo" and dots.text in ("…", "⋯"):
            comma = place + 1 < len(children) and children[place + 1].text == ","
            dots.attrib.update(lspace="0", rspace="0.1667em" if comma else "0")


def width(element: ElementTree.Element) -> float:
    """Estimate the width of an element in em, well enough to tell long formulas from short ones."""
    if element.tag == "mspace":
        return float((element.get("width") or "0em").removesuffix("em").removesuffix("pt"))
    if not len(element):
        return token_width(element)
    parts = [width(child) for child in element]
    if element.tag in ("msub", "msup"):
        return parts[0] + 0.7 * parts[1]
    if element.tag == "msubsup":
        return parts[0] + 0.7 * max(parts[1:])
    if element.tag in ("munder", "mover", "munderover"):
        return max(parts[0], *(0.7 * part for part in parts[1:]))
    if element.tag in ("mfrac", "mtable"):
        return max(parts) + 0.2
    return sum(parts)


def token_width(token: ElementTree.Element) -> float:
    """Return roughly how wide a single sign or word is, with the space around an operator."""
    text = token.text or ""
    if token.tag != "mo":
        return 0.55 * len(text)
    if text in RELATIONS or text in OPERATORS:
        return 1.3
    return 0.0 if text == APPLY else 0.4


def pieces(math: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """Yield the parts of a long inline formula, each ending in an operator, as TeX ends a line."""
    signs = list(flat(math, 0))
    yield from (framed(group) for group in divided(signs, 0))


def flat(row: ElementTree.Element, depth: int) -> Iterator[tuple[ElementTree.Element, int]]:
    """Yield the signs of a row one after another, each with the number of brackets around it.

    A pair of brackets that stretches with its content stays one sign.
    """
    for child in row:
        if child.tag != "mrow" or child.attrib:
            yield child, depth
        elif not fenced(child):
            yield from flat(child, depth)
        elif child[0].get("stretchy") == "false":
            yield child[0], depth
            yield from ((sign, deep + 1) for sign, deep in flat_inside(child, depth))
            yield child[-1], depth
        else:
            yield child, depth


def flat_inside(row: ElementTree.Element, depth: int) -> Iterator[tuple[ElementTree.Element, int]]:
    """Yield what stands between the brackets of a row."""
    inside = ElementTree.Element("mrow")
    inside.extend(list(row)[1:-1])
    yield from flat(inside, depth)


def fenced(row: ElementTree.Element) -> bool:
    """Return whether a row is a pair of brackets with its content."""
    return len(row) > 1 and row[0].tag == row[-1].tag == "mo" and "stretchy" in row[0].attrib


def divided(
    signs: list[tuple[ElementTree.Element, int]], depth: int
) -> Iterator[list[tuple[ElementTree.Element, int]]]:
    """Divide signs after the operators that stand in no more than so many brackets.

    Only what is still too long is divided within its brackets, in parts as long as may be.
    """
    deepest = max(deep for _, deep in signs)
    for group in cut(signs, depth):
        if depth == deepest or length(group) <= PIECE:
            yield group
            continue
        line: list[tuple[ElementTree.Element, int]] = []
        for part in divided(group, depth + 1):
            if line and length(line) + length(part) > PIECE:
                yield line
                line = []
            line = line + part
        yield line


def length(signs: list[tuple[ElementTree.Element, int]]) -> float:
    """Return roughly how wide signs are beside one another, in em."""
    return sum(width(sign) for sign, _ in signs)


def cut(
    signs: list[tuple[ElementTree.Element, int]], depth: int
) -> Iterator[list[tuple[ElementTree.Element, int]]]:
    """Cut a list of signs after every operator at this depth that has something before it."""
    group: list[tuple[ElementTree.Element, int]] = []
    for place, (sign, deep) in enumerate(signs):
        group.append((sign, deep))
        after = signs[place + 1][0] if place + 1 < len(signs) else None
        if deep == depth and after is not None and ends_a_line([s for s, _ in group], after):
            yield group
            group = []
    if group:
        yield group


def ends_a_line(line: list[ElementTree.Element], after: ElementTree.Element) -> bool:
    """Return whether a line of these signs may end before the next: wide space, or operator."""
    if after.tag == "mspace":
        return False
    if line[-1].tag == "mspace" and width(line[-1]) >= 0.9:
        return True
    visible = [sign for sign in line if sign.tag != "mspace"]
    if len(visible) < 2:
        return False  # a sign before its number
    return visible[-1].tag == "mo" and (visible[-1].text or "") in BREAKS


def framed(group: list[tuple[ElementTree.Element, int]]) -> ElementTree.Element:
    """Return a piece of a formula as a formula of its own.

    Its outer operators would be taken for signs before or after a number: they say what they are.
    """
    math = ElementTree.Element("math")
    math.extend(sign for sign, _ in group)
    for sign in (math[0], math[-1]):
        if sign.tag == "mo" and (sign.text or "") in RELATIONS | OPERATORS and len(math) > 1:
            sign.set("form", "infix" if sign is math[-1] else sign.get("form", "prefix"))
    return math


def display_source(node: nodes.math_block) -> str:
    """Return the TeX of a display formula: lines of the source are lines below one another."""
    tex = node.astext().strip()
    if node.get("nowrap"):
        return tex
    parts = [part.strip() for part in tex.split("\n\n") if part.strip()]
    parts = [rf"\begin{{split}}{p}\end{{split}}" if broken(p) else p for p in parts]
    if len(parts) < 2:
        return "".join(parts)
    return r"\begin{gathered}" + r"\\".join(parts) + r"\end{gathered}"


def broken(tex: str) -> bool:
    """Return whether TeX has a line break outside all environments."""
    depth = 0
    for mark in re.findall(r"\\begin\{|\\end\{|\\\\", tex):
        depth += {r"\begin{": 1, r"\end{": -1}.get(mark, 0)
        if mark == r"\\" and depth == 0:
            return True
    return False


def formula(writer: Any, node: nodes.Element, tex: str, display: bool) -> str:
    """Return the MathML of a node; one that cannot be set is reported and stays TeX."""
    try:
        return mathml(tex, display)
    except FormulaError as error:
        page = writer.builder.current_docname
        logger.warning(
            "page %s: the formula %r cannot be set: %s",
            page,
            tex,
            error,
            location=(page, node.line),
            type="formulas",
        )
        return f"<code>{writer.encode(tex)}</code>"


def join(app: Any, doctree: nodes.document, page: str) -> None:
    """Keep what touches an inline formula on its line: browsers would let a comma begin the next.

    A bracket before it, and punctuation or the end of a word behind it, go with the formula into
    one element in which no line ends, except within the formula.
    """
    for math in list(doctree.findall(nodes.math)):
        before = touching(math, -1, r"[^\s\w]{1,3}$")
        after = touching(math, 1, r"^\S{1,8}(?=\s|$)|^[^\s\w]{1,3}")
        if before or after:
            parent, place = math.parent, math.parent.index(math)
            joined = nodes.inline("", "", classes=["joined"])
            parent[place] = joined
            joined += [nodes.Text(before), math, nodes.Text(after)]


def touching(math: nodes.math, step: int, pattern: str) -> str:
    """Take the part of the text beside a formula that touches it out of that text."""
    place = math.parent.index(math) + step
    if not 0 <= place < len(math.parent) or not isinstance(math.parent[place], nodes.Text):
        return ""
    text = math.parent[place].astext()
    found = re.search(pattern, text)
    if found is None:
        return ""
    math.parent[place] = nodes.Text(text[: found.start()] + text[found.end() :])
    return found[0]


def visit_inline(writer: Any, node: nodes.math) -> None:
    """Write an inline formula."""
    writer.body.append(writer.starttag(node, "span", "", CLASS="math notranslate"))
    writer.body.append(formula(writer, node, node.astext(), display=False) + "</span>")
    raise nodes.SkipNode


def visit_display(writer: Any, node: nodes.math_block) -> None:
    """Write a display formula, with its number and a link to it if it has one."""
    writer.body.append(writer.starttag(node, "div", "", CLASS="math notranslate"))
    set_formula = formula(writer, node, display_source(node), display=True)
    if node["number"]:
        number = get_node_equation_number(writer, node)
        writer.body.append(f'<div class="wide">{set_formula}</div><span class="eqno">({number})')
        writer.add_permalink_ref(node, "Link to this equation")
        writer.body.append("</span>")
    else:
        writer.body.append(set_formula)
    writer.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx: the renderer, and its name as the one to use."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_display, None))
    app.connect("doctree-resolved", join)
    app.connect("config-inited", lambda _, config: setattr(config, "html_math_renderer", "mathml"))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
