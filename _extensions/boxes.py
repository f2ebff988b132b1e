"""The index of theorems and definitions: with number and name, chapter by chapter."""

from __future__ import annotations

from typing import Any

from docutils import nodes


def remember(app: Any, doctree: nodes.document) -> None:
    """Keep the name of each theorem for the index: sphinx-proof keeps its label alone."""
    known = getattr(app.env, "proof_list", {})
    for node in doctree.findall(nodes.Element):
        if node.get("label") in known and "realtype" in node:
            title = next(iter(node.findall(nodes.title)), None)
            name = title.astext().strip() if title else ""
            known[node["label"]]["name"] = name.removeprefix("(").removesuffix(")")


def listed(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Give the page of the index its entries, in the order of the book."""
    if page != "prf-prf":
        return
    env, chapters = app.env, []
    order = list(env.toctree_includes.get(app.config.root_doc, []))
    for name in order:
        entries = []
        for label, box in env.proof_list.items():
            if box["docname"] != name or box["realtype"] == "proof":
                continue
            numbers = env.toc_fignumbers.get(name, {}).get(box["countertype"], {}).get(label, ())
            number = ".".join(map(str, numbers))
            entries.append(
                {
                    "address": f"{context['pathto'](name)}#{label}",
                    "what": f"{box['realtype'].capitalize()} {number}".strip(),
                    "name": box.get("name", ""),
                }
            )
        if entries:
            number = ".".join(map(str, env.toc_secnumbers.get(name, {}).get("", ())))
            title = f"{number}. {env.titles[name].astext()}"
            chapters.append({"title": title, "entries": entries})
    context["indextitle"] = "Theorems and definitions"
    context["chapters"] = chapters


def setup(app: Any) -> dict[str, bool]:
    """Register: names when a page is read, the index when its page is written."""
    app.connect("doctree-read", remember)
    app.connect("html-page-context", listed)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
