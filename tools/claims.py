"""The page of claims, made from back/claims.yml: what was said, by whom, and if it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "back" / "claims.yml"
PLACE = "<!-- the claims -->"  # where they go in back/claims.md
VERDICTS = {"holds": "Holds.", "holds if": "Holds if", "does not hold": "Does not hold."}
FIELDS = {"id", "claim", "verdict", "reason", "shown"}


def load(path: Path = DATA) -> list[dict[str, Any]]:
    """Return the sources in their order, each with its claims."""
    sources = yaml.safe_load(path.read_text(encoding="utf-8"))
    for claim in (claim for source in sources for claim in source["claims"]):
        if FIELDS - claim.keys() or claim["verdict"] not in VERDICTS:
            raise ValueError(
                f"claim (={claim}) must have {sorted(FIELDS)}, its verdict one of {list(VERDICTS)}"
            )
        if ("condition" in claim) != (claim["verdict"] == "holds if"):
            raise ValueError(f"claim (={claim['id']}) must have a condition exactly if it holds if")
    return sources


def render(sources: list[dict[str, Any]]) -> str:
    """Return the claims as MyST Markdown: all verdicts at a glance, then each with its reason."""
    claims = [claim for source in sources for claim in source["claims"]]
    lines = ["## At a glance", ""]
    for verdict, words in VERDICTS.items():
        chosen = [claim for claim in claims if claim["verdict"] == verdict]
        if not chosen:
            continue
        lines += [f"**{words.removesuffix('.')}** ({len(chosen)})", ""]
        lines += [f"- [{claim['claim']}](#claim-{claim['id']})" for claim in chosen]
        lines += [""]
    for source in sources:
        lines += [f"## {source['title']}", "", source["about"], ""]
        for claim in source["claims"]:
            lines += [f"(claim-{claim['id']})=", f"### {claim['claim']}", ""]
            verdict = f"**{VERDICTS[claim['verdict']]}**"
            condition = f" {claim['condition']}" if "condition" in claim else ""
            lines += [f"{verdict}{condition} {claim['reason']}", ""]
            lines += [f"Shown by {claim['shown']}", ""]
    return "\n".join(lines)


def write_into(app: Any, name: str, source: list[str]) -> None:
    """Put the claims into their page when Sphinx reads it."""
    if name == "back/claims":
        app.env.note_dependency(str(DATA))
        source[0] = source[0].replace(PLACE, render(load()))
