"""Sphinx extension of the book: what is out of the way until asked for becomes a native fold.

A fold is ``<details class="fold KIND"><summary>Proof</summary>…</details>``. The browser itself
opens it by keyboard, by its search and by a link to anything inside, so no script is needed. The
notebooks stay as they are: this works on the document tree, when the HTML is built.

=========  ======================================================================
kind       what becomes one
=========  ======================================================================
proof      a ``prf:proof``
solution   a solution of an exercise
check      code that only asserts (see `kind_of`), or is tagged ``check``
code       longer code, code tagged ``hide-input`` or ``hide-cell``, hidden outputs
record     a section "For the record", and what has the class or tag ``record``
=========  ======================================================================
"""

from __future__ import annotations

import ast
from typing import Any

import count
from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx_exercise.nodes import solution_node
from sphinx_proof.nodes import NODE_TYPES, proof_node

#: The words on the bars.
BARS = {
    "proof": "Proof",
    "solution": "Solution",
    "check": "Check",
    "code": "Code",
    "record": "For the record",
}
#: In this section a short assertion is the point: the misconception, shown failing.
OPEN_SECTION = "What goes wrong"
PROVED = ("theorem", "lemma", "corollary", "proposition")


class Tag(nodes.Element):
    """An HTML element: its ``tag`` is the name, ``kind`` that of a fold."""


def visit_tag(translator: Any, node: Tag) -> None:
    """Write the start of the element."""
    translator.body.append(translator.starttag(node, node["tag"], suffix=""))


def depart_tag(translator: Any, node: Tag) -> None:
    """Write its end."""
    line = "\n" if node["tag"] in ("details", "summary", "div") else ""
    translator.body.append(f"</{node['tag']}>{line}")


def fold(kind: str, bar: list[nodes.Node], content: list[nodes.Node], ids: list[str]) -> Tag:
    """Wrap nodes in a fold.

    The ids belong to what is inside, because a browser opens a fold for a link to its content,
    not for a link to the fold itself.
    """
    summary = Tag("", *bar, tag="summary")
    body = Tag("", *content, tag="div", classes=["fold-body"], ids=ids)
    return Tag("", summary, body, tag="details", kind=kind, classes=["fold", kind])


def replace(parent: nodes.Element, node: nodes.Node, by: nodes.Node) -> None:
    """Put one node in the place of another, without its classes and ids."""
    parent[parent.index(node)] = by


def words(kind: str, of: str = "") -> list[nodes.Node]:
    """Give the text of a bar; ``of`` names what the fold belongs to, in quieter letters."""
    bar: list[nodes.Node] = [nodes.Text(BARS[kind])]
    if of:
        bar.append(Tag("", nodes.Text(f" {of}"), tag="span", classes=["fold-of"]))
    return bar


def kind_of(source: str, lines_printed: int | None, section: str = "") -> str | None:
    r"""Tell whether code without a tag is folded: as a check, as code, or not at all.

    Parameters
    ----------
    source : str
        The code of the cell.
    lines_printed : int or None
        How many lines of text the cell gives; None if it gives a figure, a formula or a table.
    section : str, optional
        The title of the section that the cell is in.

    Notes
    -----
    Code of more than `count.CODE_LINES` lines is folded. So is a cell that asserts and gives at
    most one line of text: it is there for what it asserts, and its line of result stays in sight.

    Examples
    --------
    >>> kind_of("assert 1 + 1 == 2", 0), kind_of("print(1 + 1)", 1)
    ('check', None)
    >>> kind_of("draw()\n" * 21, None), kind_of("assert True", 0, "What goes wrong")
    ('code', None)
    """
    long = len(source.splitlines()) > count.CODE_LINES
    if is_check(source, lines_printed):
        short_result = lines_printed is not None and lines_printed <= 1
        return "check" if long or (short_result and section != OPEN_SECTION) else None
    return "code" if long else None


def is_check(source: str, lines_printed: int | None) -> bool:
    """Tell whether code is there for what it asserts, not for a figure, a formula or a table."""
    asserts = any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(source)))
    return asserts and lines_printed is not None


def lines_of(output: nodes.Node | None) -> int | None:
    """Count the lines of text of a cell's output, None if it is not text alone."""
    children = output.children if output is not None else []
    if not all(isinstance(child, nodes.literal_block) for child in children):
        return None
    return sum(len(child.astext().splitlines()) for child in children)


def ancestors(node: nodes.Node) -> Any:
    """Go from a node up to the document."""
    while node.parent is not None:
        node = node.parent
        yield node


def title_of(section: nodes.Node) -> str:
    """Give the heading of a section, nothing if it has none."""
    first = section.children[0] if section.children else None
    return first.astext() if isinstance(first, nodes.title) else ""


class Fold(SphinxPostTransform):
    """Fold proofs, solutions, code and appendix parts of one page."""

    default_priority = 190  # after titles and outputs are resolved, before myst-nb hides cells
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Fold the cells first: whether one is folded depends on the box that it is in."""
        self._proofs = 0
        for cell in self._all(nodes.container):
            if cell.get("nb_element") == "cell_code":
                self._cell(cell)
        for proof in self._all(proof_node):
            self._proof(proof)
        for solution in self._all(solution_node):
            self._solution(solution)
        for box in self._all(nodes.Admonition):
            if "dropdown" in box["classes"] and isinstance(box, nodes.admonition):
                self._dropdown(box)
        for part in self._all((nodes.section, nodes.container)):
            self._record(part)

    def _all(self, kind: Any) -> list[Any]:
        return [node for node in self.document.findall() if isinstance(node, kind)]

    def _number(self, node: nodes.Node) -> str:
        """Give the name of a numbered theorem or exercise, as in "Theorem 2.3"."""
        kind = node.get("countertype") or "exercise"
        numbers = self.env.toc_fignumbers.get(self.env.docname, {}).get(kind, {})
        number = numbers.get(next(iter(node["ids"]), ""))
        name = (node.get("realtype") or "exercise").title()
        return f"{name} {'.'.join(map(str, number))}" if number else ""

    def _cell(self, cell: nodes.container) -> None:
        """Fold the code of a cell, its output, or both."""
        metadata = cell.get("cell_metadata", {})
        tags = set(metadata.get("tags", ()))
        hidden = cell.attributes.pop("hide_mode", None)
        parts = {child.get("nb_element"): child for child in cell.children}
        code, output = parts.get("cell_code_source"), parts.get("cell_code_output")
        if "record" in tags or hidden == "all":
            kind = "record" if "record" in tags else "code"
            cell.children = [fold(kind, words(kind), cell.children, cell["ids"])]
            cell["ids"] = []
            cell.setup_child(cell.children[0])
            return
        kind = self._kind(cell, code, output, tags, hidden) if code is not None else None
        if kind:
            self._fold_code(cell, code, kind, metadata)
        if output is not None and hidden in ("output", "input+output"):
            replace(cell, output, fold("code", [nodes.Text("Output")], [output], []))

    def _kind(self, cell: Any, code: Any, output: Any, tags: set[str], hidden: Any) -> str | None:
        """Tell as which kind the code of a cell is folded, if it is."""
        if "check" in tags:
            return "check"
        if hidden in ("input", "input+output"):
            return "check" if is_check(code.astext(), lines_of(output)) else "code"
        around = list(ancestors(cell))
        if "show" in tags or any(isinstance(box, (solution_node, proof_node)) for box in around):
            return None
        sections = [node for node in around if isinstance(node, nodes.section)]
        section = title_of(sections[-2]) if len(sections) > 1 else ""
        return kind_of(code.astext(), lines_of(output), section)

    def _fold_code(self, cell: Any, code: Any, kind: str, metadata: Any) -> None:
        """Put the code behind a bar and leave the output where it is.

        A link to a check leads to its code, so it opens; a link to a picture does not.
        """
        text = metadata.get("mystnb", {}).get("code_prompt_show")
        ids = cell["ids"] if kind == "check" else []
        bar = [nodes.Text(text)] if text else words(kind, self._checked(ids))
        replace(cell, code, fold(kind, bar, [code], ids))
        if ids:
            cell["ids"] = []

    def _checked(self, ids: list[str]) -> str:
        """Name the theorem that the link target of a check belongs to."""
        for name in ids:
            label = name.removeprefix("cell-").removesuffix("-numbers")
            for theorem in self._all(tuple(NODE_TYPES.values())):
                if name.startswith("cell-") and label in theorem["ids"] and self._number(theorem):
                    how = " by numbers" if name.endswith("-numbers") else ""
                    return f"of {self._number(theorem)}{how}"
        return ""

    def _proof(self, proof: Any) -> None:
        """Fold a proof; the bar says the word, so the text need not begin with it."""
        self._proofs += 1
        theorem = self._proved(proof)
        name = theorem["ids"][0] if theorem else f"{self._proofs}"
        bar = words("proof", f"of {self._number(theorem)}" if theorem else "")
        content = proof.children[0].children
        first = next(iter(proof.findall(nodes.Text)), None)
        if first is not None and first.startswith("Proof. "):
            first.parent.replace(first, nodes.Text(first.removeprefix("Proof. ")))
        replace(proof.parent, proof, fold("proof", bar, content, [f"proof-of-{name}"]))

    def _proved(self, proof: Any) -> Any:
        """Find the theorem before a proof, unless another proof comes between."""
        section = proof.parent
        for node in reversed(section.children[: section.index(proof)]):
            if isinstance(node, Tag) and node.get("kind") == "proof":
                return None
            if node.get("realtype") in PROVED:
                return node if self._number(node) else None
        return None

    def _solution(self, solution: Any) -> None:
        target = solution["target_label"]
        own = solution["label"]
        generated = own.startswith(f"{self.env.docname}-")
        exercise = next((box for box in self._all(nodes.Admonition) if target in box["ids"]), None)
        number = self._number(exercise) if exercise is not None else ""
        content = [child for child in solution.children if not isinstance(child, nodes.title)]
        ids = [f"solution-{target}" if generated else own]
        bar = words("solution", f"to {number}" if number else "")
        replace(solution.parent, solution, fold("solution", bar, content, ids))

    def _dropdown(self, box: Any) -> None:
        """Fold any other box of the class ``dropdown``; its title is on the bar."""
        kind = next((name for name in BARS if name in box["classes"]), "record")
        title = box.children[0] if isinstance(box.children[0], nodes.title) else None
        bar = list(title.children) if title is not None else words(kind)
        content = [child for child in box.children if child is not title]
        replace(box.parent, box, fold(kind, bar, content, box["ids"]))

    def _record(self, part: Any) -> None:
        """Fold the inside of a section, so that the page keeps its outline."""
        title = title_of(part)
        if title != BARS["record"] and "record" not in part["classes"]:
            return
        bar = [self._heading(part)] if title else words("record")
        inside = fold("record", bar, part.children[1:] if title else part.children, part["ids"])
        inside.children[1]["heading"] = title  # search leads to it by this name
        part.children, part["ids"] = [], []
        part.append(inside)

    def _heading(self, section: Any) -> Tag:
        """Make the heading of a folded section, with its number."""
        level = 1 + sum(isinstance(node, nodes.section) for node in ancestors(section))
        anchors = self.env.toc_secnumbers.get(self.env.docname, {})
        numbers = next((anchors[f"#{i}"] for i in section["ids"] if f"#{i}" in anchors), None)
        heading = Tag("", tag=f"h{level}")
        if numbers:
            text = ".".join(map(str, numbers)) + self.config.html_secnumber_suffix
            heading += Tag("", nodes.Text(text), tag="span", classes=["section-number"])
        heading.extend(section.children[0].children)
        return heading


def reading_time(app: Any, page: str, template: str, context: Any, doctree: Any) -> None:
    """Say under the title of a chapter how long it takes to read."""
    body = context.get("body", "")
    if page.startswith("chapters/") and "</h1>" in body:
        line = f'<p class="reading-time">{count.reading_time(count.read(body))}</p>'
        context["body"] = body.replace("</h1>", f"</h1>\n{line}", 1)


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx; the reading time comes after all that changes the text."""
    app.add_node(Tag, html=(visit_tag, depart_tag))
    app.add_post_transform(Fold)
    app.connect("html-page-context", reading_time, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
