"""The look of the pages: the book's own theme, its one style sheet, and what its frame shows."""

from __future__ import annotations

import functools
import hashlib
import re
from pathlib import Path
from typing import Any

import downloads

THEME = Path(__file__).resolve().parents[1] / "_theme" / "one_matrix"
STATIC = THEME / "static"
#: The parts of the style sheet in their order; one that is not there is left out.
PARTS = ("base.css", "formulas.css", "folds.css", "search.css", "late.css", "print.css")
SHEET = "one_matrix.css"
SCRIPT = "one.js"


def squeezed(css: str) -> str:
    """Return a style sheet without comments, line breaks and the spaces that mean nothing."""
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.S)
    css = re.sub(r"\s+", " ", css)
    return re.sub(r"\s*([{};,>])\s*", r"\1", css).replace(";}", "}").strip()


@functools.cache
def style_sheet() -> str:
    """Return the parts of the style sheet, joined."""
    return "".join(
        squeezed((STATIC / part).read_text(encoding="utf-8"))
        for part in PARTS
        if (STATIC / part).is_file()
    )


@functools.cache
def cover_text() -> str:
    """Return what the drawing on the cover shows, in words."""
    drawing = (THEME.parents[1] / "_static" / "cover.svg").read_text(encoding="utf-8")
    told = re.search("<title>(.*?)</title>", drawing)
    return told[1] if told else ""


def version(content: bytes) -> str:
    """Return a mark of a file's content, for its address: a browser may keep it for ever."""
    return hashlib.sha256(content).hexdigest()[:8]


def write_style_sheet(app: Any, error: Exception | None) -> None:
    """Write the one style sheet, and remove those that no page asks for: its parts, extensions'."""
    folder = Path(app.outdir) / "_static"
    if error is None and app.builder.format == "html":
        for other in folder.glob("*.css"):
            other.unlink()
        (folder / SHEET).write_text(style_sheet(), encoding="utf-8")


def contents(toctree: str, home: str, title: str, front: bool) -> str:
    """Return the list of all pages, from what Sphinx makes of the table of contents."""
    listed = re.sub(
        r'<p class="caption"[^>]*>\s*<span class="caption-text">(.*?)</span>\s*</p>',
        r'<p class="part">\1</p>',
        toctree,
        flags=re.S,
    )
    listed = re.sub(r'<li class="[^"]*">', "<li>", listed).replace('<ul class="current">', "<ul>")
    listed = re.sub(r'<a class="(current )?reference internal"', _marked, listed)
    here = ' aria-current="page"' if front else ""
    return f'<ul><li><a href="{home}"{here}>{title}</a></li></ul>{listed}'


def _marked(link: re.Match[str]) -> str:
    return '<a aria-current="page"' if link[1] else "<a"


def part(listed: str) -> str:
    """Return the name of the part of the book that the current page belongs to."""
    before = listed.partition(' aria-current="page"')[0]
    names = re.findall(r'<p class="part">(.*?)</p>', before, flags=re.S)
    return names[-1] if names and before != listed else ""


def sections(toc: str) -> str:
    """Return the list of a page's sections, without the page's own title."""
    start, end = toc.find("<ul", 3), toc.rfind("</ul>", 0, toc.rfind("</ul>"))
    if start < 0 or end < start:
        return ""
    return toc[start : end + len("</ul>")].replace(' class="reference internal"', "")


def tools(options: dict[str, Any], source: str, copy: str, title: str) -> list[dict[str, str]]:
    """Return what a reader can do with a page: links with a kind, an address and a text.

    Parameters
    ----------
    options : dict
        Those of the theme: the address of the repository, its branch, the address of Binder.
    source : str
        The page's file in the repository.
    copy : str
        Address of the page's copies in the built book, without its ending.
    title : str
        The page's title, for a report.
    """
    repository = str(options.get("repository_url", "")).rstrip("/")
    branch = options.get("repository_branch") or "main"
    launch = options.get("launch_buttons") or {}
    found = []
    if source.endswith(".ipynb"):
        found += _copies(copy)
        hub = str(launch.get("binderhub_url", "")).rstrip("/")
        name = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+)", repository)
        if hub and name:
            folder = "lab/tree" if launch.get("notebook_interface") == "jupyterlab" else "tree"
            address = f"{hub}/v2/gh/{name[1]}/{branch}?urlpath={folder}/{source}"
            found.append({"kind": "run", "address": address, "text": "Run it on Binder"})
    if repository and options.get("use_repository_button"):
        address = f"{repository}/blob/{branch}/{source}"
        found.append({"kind": "source", "address": address, "text": "Source of this page"})
    if repository and options.get("use_issues_button"):
        about = re.sub(r"<[^>]+>", "", title).replace("&amp;", "and").replace(" ", "%20")
        address = f"{repository}/issues/new?title=On%20“{about}”:%20"
        found.append({"kind": "issue", "address": address, "text": "Report an error"})
    return found


def _copies(copy: str) -> list[dict[str, str]]:
    folder = copy.rpartition("/")[0]
    return [
        {"kind": "notebook", "address": f"{copy}.ipynb", "text": "Download the notebook"},
        {"kind": "script", "address": f"{copy}.py", "text": "Download as a script"},
        {
            "kind": "archive",
            "address": f"{folder}/{downloads.ARCHIVE}",
            "text": "All chapters with what they need",
        },
    ]


def kept(scripts: list[Any]) -> list[Any]:
    """Return those scripts of extensions that do something on a page of this theme."""
    own = {path.name for path in STATIC.glob("*.js")} - {SCRIPT}
    found = {}
    for script in scripts:
        name = str(getattr(script, "filename", None) or "").removeprefix("_static/")
        if name in own:
            found[name] = script
    return list(found.values())


def frame(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Give the templates what stands around the text, and drop what other extensions load."""
    pathto = context["pathto"]
    context["css_files"] = []
    context["script_files"] = kept(context["script_files"])
    script = (STATIC / SCRIPT).read_bytes()
    context["style_sheet"] = pathto(f"_static/{SHEET}", 1) + f"?v={version(style_sheet().encode())}"
    context["page_script"] = pathto(f"_static/{SCRIPT}", 1) + f"?v={version(script)}"
    context["metatags"] = re.sub(
        r'<meta name="(viewport|generator)"[^>]*>\s*', "", context.get("metatags") or ""
    )
    root = app.config.root_doc
    listed = contents(
        context["toctree"](collapse=False, maxdepth=1, titles_only=True, includehidden=True) or "",
        pathto(root),
        app.env.titles[root].astext(),
        page == root,
    )
    context["page_contents"] = listed
    context["page_part"] = part(listed) if page != root else ""
    context["author"] = app.config.author
    context["cover_text"] = cover_text()
    context["theorem_index"] = "prf-prf" if getattr(app.env, "proof_list", None) else ""
    if doctree is not None:
        context["page_sections"] = sections(context.get("toc") or "")
        source = Path(app.env.doc2path(page, base=False))
        prefix = str(app.config.html_theme_options.get("path_to_docs", "")).strip("/")
        context["page_tools"] = tools(
            app.config.html_theme_options,
            (Path(prefix) / source).as_posix(),
            pathto(downloads.FOLDER, 1) + f"/{source.stem}",
            context.get("title") or page,
        )


def setup(app: Any) -> dict[str, bool]:
    """Register the theme, and the frame after all extensions have added their scripts."""
    app.add_html_theme("one_matrix", str(THEME))
    app.connect("html-page-context", frame, priority=990)
    app.connect("build-finished", write_style_sheet)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
