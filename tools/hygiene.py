"""Check files for what editors and merges leave behind, before it is committed.

Spaces at the end of a line, line ends of another system, no newline or several at the end of a
file, marks of a merge, YAML, TOML and JSON that cannot be read, and files that are too large to be
in a history for ever. No network, and no book.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]

#: The largest file of the repository has 2.2 million bytes: stored runs of an experiment.
LARGEST = 2_500_000

MERGE = re.compile(r"^(?:<{7}|\|{7}|>{7})(?: |$)", flags=re.M)

READERS: dict[str, Callable[[str], object]] = {
    ".yml": lambda text: list(yaml.safe_load_all(text)),
    ".yaml": lambda text: list(yaml.safe_load_all(text)),
    ".cff": yaml.safe_load,
    ".toml": tomllib.loads,
    ".json": json.loads,
    ".ipynb": json.loads,
}


def mended(text: str) -> str:
    """Return the text with plain line ends, no spaces before them, and one at its end."""
    lines = [line.rstrip(" \t") for line in re.split(r"\r\n|\r|\n", text)]
    ended = "\n".join(lines).rstrip("\n")
    return f"{ended}\n" if ended else ""


def faults(path: Path) -> Iterator[str]:
    """Yield what is wrong with a file, a line for each kind of fault."""
    data = path.read_bytes()
    if len(data) > LARGEST:
        yield f"{len(data):,} bytes, over {LARGEST:,}"
    if b"\0" in data:
        return  # a picture, a font, an archive
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        yield "not UTF-8"
        return
    if "\r" in text:
        yield "line ends of another system; --fix mends them"
    if re.search(r"[ \t]\r?$", text, flags=re.M):
        yield "spaces at the end of a line; --fix removes them"
    if text and not re.search(r"[^\r\n]\r?\n\Z", text):
        yield "it must end with one newline; --fix mends it"
    if MERGE.search(text):
        yield "a mark of a merge"
    if read := READERS.get(path.suffix):
        try:
            read(text)
        except (ValueError, yaml.YAMLError) as error:
            yield f"it cannot be read: {' '.join(str(error).split())}"


def fix(path: Path) -> None:
    """Mend the ends of lines and of the file."""
    data = path.read_bytes()
    if b"\0" in data:
        return
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return
    if (better := mended(text)) != text:
        path.write_bytes(better.encode("utf-8"))


def tracked() -> list[Path]:
    """Return the files that git knows; what comes from elsewhere stays as it is."""
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = [name for name in listed.split("\0") if name and "/vendor/" not in name]
    return [ROOT / name for name in names]


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fix", action="store_true", help="mend ends of lines and of files")
    parser.add_argument("paths", nargs="*", type=Path, help="default: all files that git knows")
    arguments = parser.parse_args()
    found = 0
    for path in arguments.paths or tracked():
        if not path.is_file() or path.is_symlink():
            continue
        if arguments.fix:
            fix(path)
        for fault in faults(path):
            print(f"{path}: {fault}", file=sys.stderr)
            found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
