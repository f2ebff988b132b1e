"""Ask whether a weakness is known of any package that the project locks.

The question goes to OSV, the open database that collects what is reported for every registry. It is
asked for the packages of ``requirements.txt``, for those that check the scripts
(``tools/javascript/package-lock.json``), and for the program that is kept in the repository.
"""

from __future__ import annotations

import json
import re
import sys
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SERVICE = "https://api.osv.dev/v1/querybatch"
SECONDS = 60
#: Weaknesses that do not concern this project: each with the reason, and when to look again.
IGNORED: dict[str, str] = {}

Package = tuple[str, str, str]  # registry, name, version


def locked(root: Path = ROOT) -> list[Package]:
    """Return every package that is locked or kept, with its registry and version."""
    pins = re.findall(r"^([\w.-]+)==([^\s;\\]+)", _text(root / "requirements.txt"), flags=re.M)
    found = {("PyPI", name, version) for name, version in pins}
    scripts = json.loads(_text(root / "tools" / "javascript" / "package-lock.json"))
    for place, entry in scripts["packages"].items():
        if place:  # the entry without a place is the project itself
            found.add(("npm", place.rpartition("node_modules/")[2], entry["version"]))
    kept = _text(root / "_extensions" / "vendor" / "temml" / "README.md")
    if version := re.search(r"\b\d+\.\d+\.\d+\b", kept):
        found.add(("npm", "temml", version[0]))
    return sorted(found)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def ask(packages: list[Package], service: str = SERVICE) -> list[dict[str, Any]]:
    """Return what is known of each package, in the same order."""
    queries = [
        {"package": {"ecosystem": registry, "name": name}, "version": version}
        for registry, name, version in packages
    ]
    request = urllib.request.Request(
        service,
        json.dumps({"queries": queries}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        results = json.load(answer)["results"]
    if len(results) != len(packages):
        raise ValueError(f"results (={len(results)}) must be one for each of {len(packages)}")
    return list(results)


def known(packages: list[Package], results: list[dict[str, Any]]) -> list[str]:
    """Return a line for each weakness that is not ignored, with the page that describes it."""
    found = []
    for (registry, name, version), result in zip(packages, results, strict=True):
        for entry in result.get("vulns", ()):
            if entry["id"] not in IGNORED:
                page = f"https://osv.dev/vulnerability/{entry['id']}"
                found.append(f"- {name} {version} ({registry}): {page}")
    return found


def main() -> int:
    """Run from the command line."""
    packages = locked()
    try:
        found = known(packages, ask(packages))
    except OSError as error:
        print(f"{SERVICE} does not answer, so nothing is known: {error}", file=sys.stderr)
        return 2
    print("\n".join(found), end="\n" if found else "")
    print(f"{len(packages)} packages, {len(found)} weaknesses known", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
