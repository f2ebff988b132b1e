"""Make and try out what a release uploads; the workflow of a release only adds the upload.

``make rehearsal`` checks that the places which name the version agree, builds the wheel and the
source archive twice (their bytes must be the same), installs each in an empty environment and runs
the library there, takes the book along, and writes the checksums of all. ``make rehearsal
TAG=v1.2.3`` also demands that the tag is the version, that the changelog has a section for it, and
that every form of the book is there. ``make prepare NEXT=1.2.3`` writes a version into its places.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUMS = "SHA256SUMS"
#: The forms of the book: the file in _build, how a release calls it, and which target makes it.
BOOK = {
    "one-matrix.zip": ("one-matrix-{}-html.zip", "archive"),
    "one-matrix.pdf": ("one-matrix-{}.pdf", "pdf"),
}
UNRELEASED = "## Unreleased\n"


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
    for name, (_, target) in BOOK.items():
        if tag and not (ROOT / "_build" / name).is_file():
            yield f"_build/{name} is not there: make {target} makes it"


def notes(tag: str) -> str:
    """Return the changelog's section for a tag, the notes of its release."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.M)[1:]
    return next((s for s in sections if s.startswith(tag.removeprefix("v"))), "")


def committed(root: Path) -> str:
    """Return when the commit that is checked out was made, in seconds of Unix time."""
    command = ["git", "-C", str(root), "log", "-1", "--format=%ct"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def build(folder: Path) -> list[Path]:
    """Build wheel and source archive into a folder; the same commit gives the same bytes."""
    code = (
        "import sys; from flit_core.buildapi import build_sdist, build_wheel\n"
        "build_wheel(sys.argv[1]); build_sdist(sys.argv[1])"
    )
    environment = {**os.environ, "SOURCE_DATE_EPOCH": committed(ROOT)}
    subprocess.run([sys.executable, "-c", code, folder], cwd=ROOT, env=environment, check=True)
    return sorted(folder.iterdir())


def take_book(folder: Path) -> list[Path]:
    """Copy the forms of the book that are there into a folder, under the version's names."""
    taken = []
    for name, (called, target) in BOOK.items():
        source = ROOT / "_build" / name
        if source.is_file():
            taken.append(Path(shutil.copy(source, folder / called.format(version()))))
        else:
            print(f"_build/{name} is not there, so a tag would be refused: make {target} makes it")
    return taken


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
    sums = checksums(sorted([*files, *take_book(dist)]))
    (dist / SUMS).write_text(sums, encoding="utf-8", newline="\n")
    if tag:
        (dist / "NOTES.md").write_text(notes(tag), encoding="utf-8")
    print(sums, end="")
    print(f"{version()} is ready in {dist}: only the upload is missing")


def prepare(number: str, day: str) -> None:
    """Write a version and its day into all places that name them, and begin the next section.

    Parameters
    ----------
    number : str
        Such as ``1.2.3``.
    day : str
        Such as ``2026-01-31``.

    Raises
    ------
    ValueError
        If the number is none, is not above the newest of the changelog, or has nothing to tell.
    """
    if not re.fullmatch(r"\d+\.\d+\.\d+", number):
        raise ValueError(f"NEXT (={number!r}) must be three numbers, for example 0.2.0")
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## (\d+\.\d+\.\d+)", text, flags=re.M)
    if released and _parts(number) <= max(map(_parts, released)):
        raise ValueError(f"NEXT (={number!r}) must be above {released[0]}, which is released")
    if not re.search(r"^## Unreleased\n(?:(?!^## ).*\n)*?- ", text, flags=re.M):
        raise ValueError(f"CHANGELOG.md must tell under Unreleased what is new in {number}")
    titled = text.replace(UNRELEASED, f"{UNRELEASED}\n## {number} - {day}\n", 1)
    source = _changed("equivlib/__init__.py", r'^__version__ = ".*"$', f'__version__ = "{number}"')
    cited = _changed("CITATION.cff", r"^version: .*$", f"version: {number}")
    cited = re.sub(r"^date-released: .*\n", "", cited, flags=re.M)
    cited = cited.replace(f"version: {number}\n", f"version: {number}\ndate-released: {day}\n")
    for name, new in (
        ("CHANGELOG.md", titled), ("equivlib/__init__.py", source), ("CITATION.cff", cited),
    ):  # fmt: skip
        (ROOT / name).write_text(new, encoding="utf-8", newline="\n")


def _parts(number: str) -> tuple[int, ...]:
    return tuple(map(int, number.split(".")))


def _changed(name: str, pattern: str, new: str) -> str:
    text, count = re.subn(pattern, new, (ROOT / name).read_text(encoding="utf-8"), flags=re.M)
    if count != 1:
        raise ValueError(f"{name} must name the version once, not {count} times")
    return text


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prepare", metavar="NUMBER", help="write this version into its places")
    number = parser.parse_args().prepare
    if number is None:
        rehearse(os.environ.get("TAG", ""), ROOT / "dist")
        return
    try:
        prepare(number, datetime.now(tz=UTC).date().isoformat())
    except ValueError as error:
        sys.exit(str(error))
    print(f"{number} stands in its places; commit, and try make rehearsal TAG=v{number}")


if __name__ == "__main__":
    main()
