"""What a reader takes along: each notebook as a notebook and as a script, and all of them together.

A notebook that is alone on a disk lacks what it imports and reads. So the copy that the book offers
begins with a cell that says what it needs and where that is: ``chapters.zip``, which holds the
library, the notebooks and all that lies beside them, and runs after one line. A second cell fetches
that, where the copy was uploaded to Colab, and does nothing elsewhere. The notebooks of the
repository have no such cells, because there nothing is missing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from packing import packed

ROOT = Path(__file__).resolve().parents[1]
FOLDER = "downloads"
#: What the archive holds: all that the notebooks need, and what pip installs.
TAKEN = ("intro.ipynb", "chapters", "equivlib", "pyproject.toml", "README.md", "LICENSE")
ARCHIVE = "chapters.zip"
INSTALLED = '".[symbolic,draw,onnx]" mnist1d dask distributed psutil'
LINE = f"pip install {INSTALLED} jupyterlab jupyterlab-myst"
#: What the copy of a notebook fetches in Colab: from where, and which folder of it is the page's.
COLAB = """\
# In Colab this fetches what the notebook needs. Anywhere else it does nothing.
import sys

if "google.colab" in sys.modules:
    !curl --fail --silent --show-error --location --remote-name {address}
    !unzip -q -o {archive}
    %cd one-matrix
    !pip install --quiet {installed}
    %cd {folder}"""


def taken(root: Path = ROOT) -> Iterator[tuple[Path, str]]:
    """Yield the files of the archive, with their names below ``one-matrix/``."""
    for name in TAKEN:
        place = root / name
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            inside = path.relative_to(root)
            hidden = any(part.startswith((".", "__pycache__")) for part in inside.parts)
            if path.is_file() and not hidden:
                yield path, f"one-matrix/{inside.as_posix()}"


def needs(notebook: Any, folder: Path) -> list[str]:
    """Return what a notebook imports or reads from its own folder, besides the library.

    Parameters
    ----------
    notebook : notebook
    folder : Path
        Where it lies.
    """
    found = set()
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        for node in ast.walk(ast.parse(cell.source)):
            for name in _named(node):
                top = name.partition(".")[0]
                if (folder / f"{top}.py").is_file():
                    found.add(f"{top}.py")
                elif (folder / top / "__init__.py").is_file():
                    found.add(f"{top}/")
                elif name.startswith("data/") and (folder / name).is_file():
                    found.add(name)
    return sorted(found)


def _named(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield node.module or ""
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        # A path alone: what is no path of a file here is dropped by the caller.
        yield node.value if node.value.startswith("data/") else ""


def told(needed: list[str], address: str) -> str:
    """Return in words what a notebook needs that has been downloaded alone."""
    beside = ", ".join(f"`{name}`" for name in needed)
    files = f", and beside it in its folder {beside}" if needed else ""
    return (
        f"**This copy was downloaded from the book *One Matrix*.** It needs Python 3.11, 3.12 or "
        f"3.13 with the library `equivlib`{files}. All of this is in [{ARCHIVE}]({address}). "
        f"Unpack it, and run one line in the folder `one-matrix`: `{LINE}`. Then `jupyter lab` "
        f"opens the chapters, with their theorems set as in the book."
    )


def for_colab(address: str, folder: str) -> str:
    """Return the cell that fetches the archive and goes to a folder in it, in Colab alone."""
    return COLAB.format(address=address, archive=ARCHIVE, installed=INSTALLED, folder=folder)


def alone(notebook: Any, words: str, fetching: str = "") -> Any:
    """Return a copy of a notebook that begins with these words, and a cell that fetches."""
    copy = nbformat.from_dict(notebook)
    head = [nbformat.v4.new_markdown_cell(words, id="what-it-needs")]
    if fetching:
        tags = {"tags": ["hide-input"]}
        head.append(nbformat.v4.new_code_cell(fetching, id="in-colab", metadata=tags))
    copy.cells = [*head, *copy.cells]
    return copy


def script(notebook: Any, words: str) -> str:
    """Return a notebook as a program: its text in comments, its cells between ``# %%``.

    Editors show such a file cell by cell.
    """
    parts = [f"# %% [markdown]\n{_comment(words)}"]
    for cell in notebook.cells:
        code = cell.cell_type == "code"
        parts.append(
            f"# %%\n{cell.source}" if code else f"# %% [markdown]\n{_comment(cell.source)}"
        )
    return "\n\n".join(parts) + "\n"


def _comment(text: str) -> str:
    return "\n".join(f"# {line}".rstrip() for line in text.splitlines())


def copies(app: Any, folder: Path) -> None:
    """Write both copies of each notebook of the book, and the archive, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    repository = str(app.config.html_theme_options.get("repository_url", ""))
    published = app.config.book_address
    address = f"{published}{FOLDER}/{ARCHIVE}" if published else repository
    for page in sorted(app.env.found_docs):
        source = Path(app.env.doc2path(page))
        if source.suffix != ".ipynb":
            continue
        notebook = nbformat.read(source, as_version=4)
        words = told(needs(notebook, source.parent), address)
        inside = source.parent.relative_to(app.srcdir).as_posix()  # "." for the front page
        fetching = for_colab(address, inside) if published else ""
        copy = nbformat.writes(alone(notebook, words, fetching))
        target = folder / source.name
        target.write_text(f"{copy}\n", encoding="utf-8", newline="\n")
        text = script(notebook, words)
        target.with_suffix(".py").write_text(text, encoding="utf-8", newline="\n")
    packed(taken(Path(app.srcdir)), folder / ARCHIVE)


def finish(app: Any, exception: Exception | None) -> None:
    """Write the downloads beside the pages."""
    if exception is None and app.builder.format == "html":
        copies(app, Path(app.outdir) / FOLDER)


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
