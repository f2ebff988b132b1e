"""Sphinx extension of the book: what the theme and its extensions leave to be mended."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import claims
import status
import theorems


def use_built_repository(app: Any, config: Any) -> None:
    """Let BOOK_REPOSITORY and BOOK_BRANCH stand in for the address in _config.yml.

    So a fork publishes buttons that open the fork, with no file changed.
    """
    repository = os.environ.get("BOOK_REPOSITORY", "").removesuffix("/")
    if repository:
        if not re.fullmatch(r"https://[\w.-]+/[\w.-]+/[\w.-]+", repository):
            raise ValueError(f"BOOK_REPOSITORY (={repository!r}) must be https://host/owner/name")
        config.html_theme_options["repository_url"] = repository
    branch = os.environ.get("BOOK_BRANCH", "")
    if branch:
        config.html_theme_options["repository_branch"] = branch


def list_of_sources(app: Any, page: str, template: str, context: Any, doctree: Any) -> None:
    """Make each source of the bibliography an item of its list, as the list's role demands."""
    if 'role="doc-biblioentry"' in context.get("body", ""):
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx: options before the theme reads them, scripts after all have added."""
    app.setup_extension("formulas")
    app.setup_extension("head")
    app.setup_extension("places")
    app.setup_extension("sections")
    app.setup_extension("folds")
    app.connect("config-inited", use_built_repository, priority=100)
    app.connect("source-read", claims.write_into)
    app.connect("source-read", theorems.write_into)
    app.connect("source-read", status.write_into)
    app.setup_extension("look")
    app.setup_extension("downloads")
    app.setup_extension("body")
    app.setup_extension("shared")
    app.setup_extension("boxes")
    app.connect("html-page-context", list_of_sources)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
