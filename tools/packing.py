"""Pack files into an archive that is the same to the byte whenever and wherever it is made.

``python tools/packing.py`` packs the built pages into ``_build/one-matrix.zip``, which works from a
disk without a network.
"""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "_build" / "html"
BOOK = ROOT / "_build" / "one-matrix.zip"
EARLIEST = (1980, 1, 1, 0, 0, 0)  # before that an archive can hold no date


def packed(contents: Iterable[tuple[Path, str]], target: Path) -> None:
    """Write an archive that depends on nothing but the contents and the date of the commit.

    Parameters
    ----------
    contents : iterable of (Path, str)
        Each file with its name in the archive.
    target : Path
    """
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or 0)
    date = max(EARLIEST, datetime.fromtimestamp(epoch, tz=UTC).timetuple()[:6])
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, name in sorted(contents, key=lambda file: file[1]):
            entry = zipfile.ZipInfo(name, date)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # as on Linux, whatever made it
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, path.read_bytes())


def files(pages: Path) -> Iterable[tuple[Path, str]]:
    """Yield the files of the built book, with their names in its archive."""
    for path in pages.rglob("*"):
        if path.is_file():
            yield path, f"one-matrix/{path.relative_to(pages).as_posix()}"


def main() -> None:
    """Pack the built pages."""
    if not (PAGES / "index.html").is_file():
        sys.exit("the book is not built: make book builds it")
    packed(files(PAGES), BOOK)
    print(f"{BOOK.relative_to(ROOT)}: {BOOK.stat().st_size / 1e6:.1f} MB; open index.html in it")


if __name__ == "__main__":
    main()
