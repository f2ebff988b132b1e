"""List what the book has: labels, theorems and their proofs, exercises, assertions, page by page.

``tests/book/inventory.yml`` keeps the list from before the chapters were written anew, and a test
compares it with the book of today: what has gone has to be listed there with a reason.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import yaml

ROOT = Path(__file__).resolve().parents[1]
STORED = ROOT / "tests" / "book" / "inventory.yml"
#: Above the first label of a page.
TOP = "top"

TARGET = re.compile(r"^\s*\((?P<label>[\w.-]+)\)=\s*$")
EQUATION = re.compile(r"^.*\$\$ *\((?P<label>[\w-]+)\)\s*$")
DIRECTIVE = re.compile(r"^\s*(?:`{3,}|:{3,})\{(?P<kind>[\w:-]+)\}(?P<title>.*)$")
OPTION = re.compile(r"^\s*:(?P<name>[\w-]+):(?P<value>.*)$")
#: The first line of a proof that does not follow its theorem.
PROOF_OF = re.compile(r"\s*(?:\*\*)?Proof of \{prf:ref\}`(?:[^`]*<)?(?P<label>[\w-]+)>?`")
KINDS = {"prf:theorem": "theorems", "prf:definition": "definitions", "exercise": "exercises"}
OTHER_BOXES = "definitions"  # lemmas, remarks and the like: a box with a label


@dataclass
class Page:
    """What one page has.

    Attributes
    ----------
    targets, equations, figures, definitions : list of str
        Labels.
    theorems, exercises : dict
        Labels, each with whether it is proved or solved.
    asserts : Counter
        How many assertions its code cells have below each label.
    proves : list of str
        The theorems, perhaps of another page, that are named by a proof: "Proof of ...".
    """

    targets: list[str] = field(default_factory=list)
    equations: list[str] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)
    definitions: list[str] = field(default_factory=list)
    theorems: dict[str, bool] = field(default_factory=dict)
    exercises: dict[str, bool] = field(default_factory=dict)
    asserts: Counter[str] = field(default_factory=Counter)
    proves: list[str] = field(default_factory=list)
    _near: str = TOP
    _box: str = ""

    def labels(self) -> list[str]:
        """Return every label of the page that a link can name."""
        boxes = [*self.definitions, *self.theorems, *self.exercises]
        return [*self.targets, *self.equations, *self.figures, *boxes]

    def read_text(self, text: str) -> None:
        """Add what a text in MyST Markdown has."""
        lines = text.splitlines()
        for number, line in enumerate(lines):
            if found := TARGET.match(line):
                self._see(self.targets, found["label"])
            elif found := EQUATION.match(line):
                self.equations.append(found["label"])
            elif found := DIRECTIVE.match(line):
                self._read_box(found["kind"], found["title"].strip(), lines[number + 1 :])

    def _see(self, kind: list[str], label: str) -> None:
        kind.append(label)
        self._near = label

    def _read_box(self, kind: str, title: str, below: list[str]) -> None:
        options, first = _options(below)
        label = options.get("label") or options.get("name")
        if kind == "prf:proof":
            self._read_proof(first)
        elif kind in ("solution", "solution-start"):
            self.exercises[title] = True
            self._near = title
        elif kind in ("math", "figure", "image") and label:
            (self.equations if kind == "math" else self.figures).append(label)
        elif label:
            self._near = label
            boxes = getattr(self, KINDS.get(kind, OTHER_BOXES))
            boxes.append(label) if isinstance(boxes, list) else boxes.setdefault(label, False)
        if kind.startswith("prf:"):
            self._box = label if kind == "prf:theorem" and label else ""

    def _read_proof(self, first: str) -> None:
        if named := PROOF_OF.match(first):
            self.proves.append(named["label"])
        elif self._box:
            self.theorems[self._box] = True

    def read_code(self, source: str, figure: str) -> None:
        """Add what a code cell has."""
        if figure:
            self.figures.append(figure)
        count = sum(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(source)))
        if count:
            self.asserts[self._near] += count


def _options(below: list[str]) -> tuple[dict[str, str], str]:
    """Return the options of a directive, and the first line of its content."""
    options = {}
    for line in below:
        if found := OPTION.match(line):
            options[found["name"]] = found["value"].strip()
        elif line.strip():
            return options, line
    return options, ""


def of_notebook(path: Path) -> Page:
    """Return what a notebook has."""
    page = Page()
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            page.read_text(cell.source)
        elif cell.cell_type == "code":
            told = cell.metadata.get("mystnb", {})
            page.read_code(cell.source, told.get("figure", {}).get("name", ""))
    return page


def of_text(path: Path) -> Page:
    """Return what a page in Markdown has; that of claims is made from its list."""
    page = Page()
    page.read_text(path.read_text(encoding="utf-8"))
    listed = path.with_suffix(".yml")
    if listed.is_file():
        groups = yaml.safe_load(listed.read_text(encoding="utf-8"))
        page.targets += [f"claim-{claim['id']}" for group in groups for claim in group["claims"]]
    return page


def of_book(folder: Path = ROOT) -> dict[str, Page]:
    """Return each page of a book by its name, such as chapters/02_one_dimension."""
    notebooks = [*folder.glob("*.ipynb"), *folder.glob("chapters/*.ipynb")]
    texts = [*folder.glob("chapters/*.md"), *folder.glob("back/*.md")]
    pages = {path: of_notebook(path) for path in notebooks}
    pages |= {path: of_text(path) for path in texts}
    return {
        path.relative_to(folder).with_suffix("").as_posix(): page
        for path, page in sorted(pages.items())
    }


def as_data(pages: dict[str, Page]) -> dict[str, Any]:
    """Return the pages as they are stored: sorted, and without what is empty."""
    proved_elsewhere = {label for page in pages.values() for label in page.proves}
    data = {}
    for name, page in pages.items():
        theorems = {k: v or k in proved_elsewhere for k, v in page.theorems.items()}
        parts = {
            "targets": sorted(page.targets),
            "equations": sorted(page.equations),
            "figures": sorted(page.figures),
            "definitions": sorted(page.definitions),
            "proved": sorted(k for k, proved in theorems.items() if proved),
            "not proved": sorted(k for k, proved in theorems.items() if not proved),
            "solved": sorted(k for k, solved in page.exercises.items() if solved),
            "not solved": sorted(k for k, solved in page.exercises.items() if not solved),
            "asserts": dict(sorted(page.asserts.items())),
        }
        data[name] = {part: entries for part, entries in parts.items() if entries}
    return {name: parts for name, parts in data.items() if parts}


LABELS = ("targets", "equations", "figures", "definitions")
BOXES = ("proved", "not proved", "solved", "not solved")


def labels_of(parts: dict[str, Any]) -> list[str]:
    """Return every label of a stored page."""
    return [label for part in (*LABELS, *BOXES) for label in parts.get(part, ())]


def faults(stored: dict[str, Any], pages: dict[str, Page]) -> Iterator[str]:
    """Yield what a book has lost against the stored inventory without giving a reason.

    Parameters
    ----------
    stored : dict
        ``pages`` as :func:`as_data` makes them; ``gone`` has, for a label that the book no longer
        has, ``why`` and, if another one took its place, ``now``; ``merged`` has, for a page,
        how many ``asserts`` it lost and ``why``.
    pages : dict
        The book of today.
    """
    gone, merged = stored.get("gone") or {}, stored.get("merged") or {}
    data = as_data(pages)
    known = {label for parts in data.values() for label in labels_of(parts)}
    yield from _wrong_reasons(stored["pages"], gone, merged, known)
    good = {
        label for parts in data.values() for k in ("proved", "solved") for label in parts.get(k, ())
    }
    for name, before in stored["pages"].items():
        for label in labels_of(before):
            if label not in known and label not in gone:
                yield f"{name}: {label} is no longer in the book: put it under gone, with why"
        for kind, lost in (("proved", "proof"), ("solved", "solution")):
            for label in before.get(kind, ()):
                today = gone[label].get("now") if label in gone else label
                if today in known and today not in good:
                    yield f"{name}: {today} has lost its {lost}"
        allowed = merged.get(name, {}).get("asserts", 0)
        if (lost := _lost_asserts(name, before, data)) > allowed:
            yield (
                f"{name}: {lost} assertions fewer than before, of which {allowed} are explained: "
                "put them under merged, with why"
            )


def _lost_asserts(name: str, before: dict[str, Any], data: dict[str, Any]) -> int:
    """Count the assertions that a page lacks, without those that are elsewhere now."""
    labels = set(labels_of(before))
    today = sum(data.get(name, {}).get("asserts", {}).values())
    for other, parts in data.items():
        if other != name:
            today += sum(n for label, n in parts.get("asserts", {}).items() if label in labels)
    return sum(before.get("asserts", {}).values()) - today


def _wrong_reasons(
    pages: dict[str, Any], gone: dict[str, Any], merged: dict[str, Any], known: set[str]
) -> Iterator[str]:
    """Yield entries of the two lists that explain nothing."""
    labels = {label for parts in pages.values() for label in labels_of(parts)}
    for label, entry in gone.items():
        if label not in labels:
            yield f"gone: {label} is not in the inventory"
        if label in known:
            yield f"gone: {label} is still in the book"
        if not entry.get("why") or set(entry) - {"why", "now"}:
            yield f"gone: {label} must have why, and may have now"
        if entry.get("now", label) not in known | {label}:
            yield f"gone: {label} became {entry['now']}, which is not in the book"
    for name, entry in merged.items():
        if name not in pages:
            yield f"merged: {name} is not in the inventory"
        if set(entry) != {"asserts", "why"} or not entry["why"]:
            yield f"merged: {name} must have asserts and why"


def load(path: Path = STORED) -> dict[str, Any]:
    """Return the stored inventory."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="print the inventory of this book")
    arguments = parser.parse_args()
    if arguments.folder:
        data = {"pages": as_data(of_book(arguments.folder))}
        yaml.safe_dump(
            data,
            sys.stdout,
            width=100,
            sort_keys=False,
            default_flow_style=None,
            allow_unicode=True,
        )
        return 0
    found = list(faults(load(), of_book()))
    print("\n".join(found) or "Nothing of the inventory is lost.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
