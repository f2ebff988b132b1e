"""Sphinx extension of the book: buttons that open the repository which built it."""

from __future__ import annotations

import os
import re
from typing import Any


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


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx, before the theme reads its options."""
    app.connect("config-inited", use_built_repository, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
