"""Make and try out what a release uploads; the workflow of a release only adds the upload.

``make rehearsal`` checks that the places which name the version agree, builds the wheel and the
source archive twice (their bytes must be the same), writes their checksums, installs each in an
empty environment and runs the library there. ``make rehearsal TAG=v1.2.3`` also demands that the
tag is the version, and that the changelog has a section for it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUMS = "SHA256SUMS"


def version() -> str:
    """Return the version that the package states."""
    return _first(r'^__version__ = "(.*)"$', "equivlib/__init__.py")


def _first(pattern: str, name: str) -> str:
    found = re.search(pattern, (ROOT / name).read_text(encoding="utf-8"), flags=re.M)
    return found[1] if found else ""


def problems(tag: str) -> Iterator[str]:
    """Yield what keeps this tree from being released under a tag; an empty one is a rehearsal."""
    stated = version()
    if _first(r'^version: "?([^"\n]*)"?$', "CITATION.cff") != stated:
        yield f"CITATION.cff does not name version {stated}"
    if tag and tag != f"v{stated}":
        yield f"the tag {tag} is not v{stated}, the version of equivlib/__init__.py"
    if tag and not _first(rf"^## ({re.escape(stated)})\b", "CHANGELOG.md"):
        yield f"CHANGELOG.md has no section for {stated}"


def notes(tag: str) -> str:
    """Return the changelog's section for a tag, the notes of its release."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.M)[1:]
    return next((s for s in sections if s.startswith(tag.removeprefix("v"))), "")


def build(folder: Path) -> list[Path]:
    """Build wheel and source archive into a folder; the same commit gives the same bytes."""
    command = ["git", "log", "-1", "--format=%ct"]
    stamp = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    code = (
        "import sys; from flit_core.buildapi import build_sdist, build_wheel\n"
        "build_wheel(sys.argv[1]); build_sdist(sys.argv[1])"
    )
    environment = {**os.environ, "SOURCE_DATE_EPOCH": stamp.strip()}
    subprocess.run([sys.executable, "-c", code, folder], cwd=ROOT, env=environment, check=True)
    return sorted(folder.iterdir())


def checksums(files: list[Path]) -> str:
    """Return the lines of ``sha256sum`` for some files."""
    return "".join(f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.name}\n" for f in files)


def try_out(archive: Path, folder: Path) -> None:
    """Install an archive in an empty environment, and run the README's examples of the library."""
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", archive.resolve()], check=True)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for example in re.findall(r"^```python\n(.*?)^```", readme, flags=re.S | re.M):
        subprocess.run([python, "-c", example], cwd=folder, check=True)
    subprocess.run([python, "-m", "equivlib", "--version"], cwd=folder, check=True)


def rehearse(tag: str, dist: Path) -> None:
    """Do all that comes before the upload, and leave it in ``dist``."""
    if found := list(problems(tag)):
        sys.exit("\n".join(found))
    shutil.rmtree(dist, ignore_errors=True)
    dist.mkdir()
    files = build(dist)
    sums = checksums(files)
    with tempfile.TemporaryDirectory() as again:
        if checksums(build(Path(again))) != sums:
            sys.exit("two builds of one commit differ")
    for file in files:
        with tempfile.TemporaryDirectory() as empty:
            try_out(file, Path(empty))
    (source,) = (file for file in files if file.suffix == ".gz")
    with tarfile.open(source) as archive:
        if not any("/tests/library/" in name for name in archive.getnames()):
            sys.exit(f"{source.name} lacks the tests of the library")
    (dist / SUMS).write_text(sums, encoding="utf-8")
    if tag:
        (dist / "NOTES.md").write_text(notes(tag), encoding="utf-8")
    print(sums, end="")
    print(f"{version()} is ready in {dist}: only the upload is missing")


if __name__ == "__main__":
    rehearse(os.environ.get("TAG", ""), ROOT / "dist")
