"""Compare two built books byte by byte, and name what differs.

``python tools/same_pages.py ONE OTHER`` compares two folders. Without folders it builds the commit
that is checked out twice, each in a folder of its own, and compares the two. The builds have other
paths (one with a space and other alphabets), other orders of sets, another time zone and another
language, because a page that depends on any of these is different for every reader who builds it.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from release import committed

ROOT = Path(__file__).resolve().parents[1]
AROUND = 40  # bytes shown before and after the first difference
BOOK = "from jupyter_book.cli.main import main; main()"

#: The two builds: a name of the folder, and what else is different.
BUILDS = (
    ("one", {"PYTHONHASHSEED": "1", "TZ": "UTC0", "LC_ALL": "C.UTF-8"}),
    ("eine Matrix 矩阵", {"PYTHONHASHSEED": "2", "TZ": "XYZ-13", "LC_ALL": "de_DE.UTF-8"}),
)


def files(folder: Path) -> dict[str, Path]:
    """Return the files below a folder by their names in it; those of Sphinx's own use are hidden.

    ``.doctrees`` and the like are no part of the pages, ``.nojekyll`` and ``.buildinfo`` are.
    """
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    named = {path.relative_to(folder).as_posix(): path for path in found}
    return {name: path for name, path in named.items() if not name.startswith(".doctrees/")}


def differences(one: Path, other: Path) -> Iterator[str]:
    """Yield a line for every file that is not the same in both folders."""
    left, right = files(one), files(other)
    for name in sorted(left.keys() | right.keys()):
        if name not in right:
            yield f"{name}: only in {one}"
        elif name not in left:
            yield f"{name}: only in {other}"
        elif told := difference(left[name].read_bytes(), right[name].read_bytes()):
            yield f"{name}: {told}"


def difference(one: bytes, other: bytes) -> str:
    """Return where two files first differ, with what stands there; empty if they are the same.

    Examples
    --------
    >>> difference(b"built in May", b"built in June")
    "byte 9 of 12 and 13: b'built in May' and b'built in June'"
    >>> difference(b"same", b"same")
    ''
    """
    if one == other:
        return ""
    shorter = min(len(one), len(other))
    at = next((n for n in range(shorter) if one[n] != other[n]), shorter)
    shown = slice(max(0, at - AROUND), at + AROUND)
    return f"byte {at} of {len(one)} and {len(other)}: {one[shown]!r} and {other[shown]!r}"


def traces(folder: Path, place: Path) -> Iterator[str]:
    """Yield the files that name the place where they were built."""
    sought = str(place).encode()
    for name, path in files(folder).items():
        if sought in path.read_bytes():
            yield f"{name}: it names {place}, where it was built"


def export(target: Path) -> str:
    """Write the files of the commit that is checked out into a folder; return its time."""
    command = ["git", "-C", str(ROOT), "archive", "HEAD"]
    packed = subprocess.run(command, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(target, filter="data")
    return committed(ROOT)


def build(place: Path, different: dict[str, str]) -> Path:
    """Build the book of this commit in a new folder, and return the folder of its pages."""
    place.mkdir()
    stamp = export(place)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": stamp, "PYTHONPATH": str(place), **different}
    command = [sys.executable, "-c", BOOK, "build", str(place), "--all", "--quiet"]
    subprocess.run(command, cwd=place, env=environment, check=True)
    pages = place / "_build" / "html"
    if not (pages / "index.html").is_file():
        sys.exit(f"no book was built in {place}")
    return pages


def built_twice() -> list[str]:
    """Return what differs between two builds of one commit."""
    with tempfile.TemporaryDirectory() as made:
        places = [Path(made) / name for name, _ in BUILDS]
        pages = [build(place, BUILDS[n][1]) for n, place in enumerate(places)]
        for place, page in zip(places, pages, strict=True):
            print(f"{len(files(page))} files built in {place}", flush=True)
        found = [line for n in (0, 1) for line in traces(pages[n], places[n])]
        return [*found, *differences(*pages)]


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="two built books; default: build two")
    folders = parser.parse_args().folders
    if len(folders) not in (0, 2):
        parser.error(f"folders (={len(folders)}) must be two, or none")
    for folder in folders:
        if not files(folder):
            parser.error(f"{folder} has no files: make book builds into _build/html")
    found = list(differences(*folders)) if folders else built_twice()
    print("\n".join(found) or "the two books are the same, byte by byte")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
