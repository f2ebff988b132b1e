"""When a notebook was executed: ``make notebooks`` stores it, a change of the code drops it."""

from __future__ import annotations

import hashlib
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

KEY = "executed"
#: The packages whose version can change what a chapter prints.
PACKAGES = ("numpy", "scipy", "sympy", "matplotlib")


def digest(notebook: Any) -> str:
    """Return a mark of a notebook's code: the same as long as no code cell changes.

    Examples
    --------
    >>> from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
    >>> one = new_notebook(cells=[new_markdown_cell("# One"), new_code_cell("1 + 1")])
    >>> other = new_notebook(cells=[new_markdown_cell("# Two"), new_code_cell("1 + 1")])
    >>> digest(one) == digest(other), digest(one) == digest(new_notebook())
    (True, False)
    """
    sources = [cell.source.strip("\n") for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()[:16]


def stamp(notebook: Any, seconds: float) -> None:
    """Store in a notebook that it was executed just now, for how long, and on which versions."""
    notebook.metadata[KEY] = {
        "code": digest(notebook),
        "on": datetime.now(tz=UTC).date().isoformat(),
        "seconds": round(seconds, 1),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
        },
    }


def record(notebook: Any) -> dict[str, Any] | None:
    """Return what ``stamp`` has stored; nothing if the code is no longer what was executed."""
    stored = notebook.metadata.get(KEY)
    if stored is None or stored.get("code") != digest(notebook):
        return None
    return dict(stored)
