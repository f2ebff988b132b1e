"""Plant the false claims of tests/book/planted into the chapters and see that a cell fails.

Each entry of the register names a theorem, a cell by its link target, a piece of the cell's source
and what replaces it. The notebook is run once; before each cell it is forked for each claim planted
there, and the changed cell or one after it has to raise an AssertionError.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import replay
import yaml

REGISTER = replay.ROOT / "tests" / "book" / "planted"
SYMBOLS = ("whole", "step", "algebra", "fixed", "none")
NUMBERS = ("exact", "bound", "none")
SECONDS = 60.0


@dataclass(frozen=True)
class Planted:
    """A false claim: in the cell with this target, ``old`` becomes ``new``."""

    theorem: str
    cell: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.theorem}, {self.cell}: {self.old!r} -> {self.new!r}"


def load(stem: str) -> dict[str, dict[str, Any]]:
    """The register of a chapter: for each theorem its claim, how it is checked, what is planted.

    Raises
    ------
    ValueError
        If an entry lacks a field or has an unknown one.
    """
    path = REGISTER / f"{stem}.yml"
    if not path.is_file():
        return {}
    theorems = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    for label, entry in theorems.items():
        where = f"{path.name}, {label}"
        if set(entry) != {"claim", "symbols", "numbers", "planted"}:
            raise ValueError(
                f"{where} (={sorted(entry)}) must have claim, symbols, numbers, planted"
            )
        if entry["symbols"] not in SYMBOLS or entry["numbers"] not in NUMBERS:
            raise ValueError(f"{where} must have symbols of {SYMBOLS} and numbers of {NUMBERS}")
        for planted in entry["planted"]:
            if set(planted) != {"cell", "old", "new"}:
                raise ValueError(f"{where}: planted (={planted}) must have cell, old and new")
    return theorems


def claims(stem: str) -> list[Planted]:
    """Every planted claim of a chapter."""
    return [
        Planted(label, planted["cell"], str(planted["old"]), str(planted["new"]))
        for label, entry in load(stem).items()
        for planted in entry["planted"]
    ]


def faults(stem: str, only: str | None = None, at_once: int | None = None) -> Iterator[str]:
    """What is wrong with the register of a chapter: claims that pass, or that cannot be planted."""
    path = replay.notebook(stem)
    cells = replay.cells(path)
    chosen = [claim for claim in claims(stem) if only in (None, claim.theorem, claim.cell)]
    known = {target for cell in cells for target in cell.targets}
    yield from (f"{claim}: no cell has this target" for claim in chosen if claim.cell not in known)
    last = max((i for i, c in enumerate(cells) for p in chosen if p.cell in c.targets), default=-1)
    state = replay.Replay(path)
    for position, cell in enumerate(cells[: last + 1]):
        here = [claim for claim in chosen if claim.cell in cell.targets]
        fitting = [claim for claim in here if cell.source.count(claim.old) == 1]
        for claim in here:
            if claim not in fitting:
                yield f"{claim}: old is there {cell.source.count(claim.old)} times, not once"
        runs = [
            state.changed(cell.source.replace(claim.old, claim.new), cells[position:])
            for claim in fitting
        ]
        outcomes = replay.in_copies(runs, seconds=SECONDS, at_once=at_once)
        for claim, failure in zip(fitting, outcomes, strict=True):
            if failure is None:
                yield f"{claim}: PASSES, no cell fails"
            elif failure.kind != "AssertionError":
                yield f"{claim}: no assertion fails, but {failure}"
        if failure := state.run(cell):
            yield f"nothing is planted, and {failure}"
            return


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stems", nargs="*", help="such as 02_one_dimension; default: all chapters")
    parser.add_argument("--only", help="one theorem (thm-entry) or one cell (cell-thm-entry)")
    arguments = parser.parse_args()
    bad = 0
    for stem in arguments.stems or replay.stems():
        found = 0
        for fault in faults(Path(stem).stem, arguments.only):
            print(f"{stem}: {fault}", flush=True)
            found += 1
        print(f"{stem}: {len(claims(Path(stem).stem))} claims planted, {found} faults", flush=True)
        bad += found
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
