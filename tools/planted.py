"""Plant the false claims of tests/book/planted into the chapters and see that a cell fails.

Each entry of the register names a theorem, a cell by its link target, a piece of the cell's source
and what replaces it. The notebook is run once; before each cell it is forked for each claim planted
there, and the changed cell or one after it has to raise an AssertionError. An entry may name a file
beside the chapters instead, such as oracles.py: then the cells that import it have to notice.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator, Sequence
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
    """A false claim: in the cell with this target, or in this file, ``old`` becomes ``new``."""

    theorem: str
    cell: str
    old: str
    new: str
    file: str = ""

    def __str__(self) -> str:
        return f"{self.theorem}, {self.cell or self.file}: {self.old!r} -> {self.new!r}"


def load(stem: str) -> dict[str, dict[str, Any]]:
    """Read the register of a chapter: each theorem's claim, how it is checked, what is planted.

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
            if set(planted) not in ({"cell", "old", "new"}, {"file", "old", "new"}):
                raise ValueError(f"{where}: planted (={planted}) must have cell or file, old, new")
    return theorems


def claims(stem: str) -> list[Planted]:
    """Return every planted claim of a chapter."""
    return [
        Planted(
            label,
            planted.get("cell", ""),
            str(planted["old"]),
            str(planted["new"]),
            planted.get("file", ""),
        )
        for label, entry in load(stem).items()
        for planted in entry["planted"]
    ]


def some(planted: Sequence[Planted], each: int) -> list[Planted]:
    """Return at most ``each`` claims of each theorem, spread over those that it has."""
    by_theorem: dict[str, list[Planted]] = {}
    for claim in planted:
        by_theorem.setdefault(claim.theorem, []).append(claim)
    return [
        of_one[position]
        for of_one in by_theorem.values()
        for position in sorted({k * (len(of_one) - 1) // max(each - 1, 1) for k in range(each)})
    ]


def faults(
    stem: str, only: str | None = None, at_once: int | None = None, each: int | None = None
) -> Iterator[str]:
    """Yield what is wrong with a chapter's register: claims that pass, or cannot be planted.

    With ``each``, at most so many claims of a theorem are planted.
    """
    path = replay.notebook(stem)
    cells = replay.cells(path)
    chosen = [claim for claim in claims(stem) if only in (None, claim.theorem, claim.cell)]
    chosen = chosen if each is None else some(chosen, each)
    places = {claim: _place(claim, cells) for claim in chosen}
    for claim, place in places.items():
        if place is None:
            kind = "imports this file" if claim.file else "has this target"
            yield f"{claim}: no cell {kind}"
    last = max((place for place in places.values() if place is not None), default=-1)
    state = replay.Replay(path)
    for position, cell in enumerate(cells[: last + 1]):
        here = [claim for claim in chosen if places[claim] == position]
        fitting = [claim for claim in here if _text(claim, path, cell).count(claim.old) == 1]
        for claim in here:
            if claim not in fitting:
                count = _text(claim, path, cell).count(claim.old)
                yield f"{claim}: old is there {count} times, not once"
        runs = [_run(claim, state, cells[position:]) for claim in fitting]
        outcomes = replay.in_copies(runs, seconds=SECONDS, at_once=at_once)
        for claim, failure in zip(fitting, outcomes, strict=True):
            if failure is None:
                yield f"{claim}: PASSES, no cell fails"
            elif failure.kind != "AssertionError":
                yield f"{claim}: no assertion fails, but {failure}"
        if failure := state.run(cell):
            yield f"nothing is planted, and {failure}"
            return


def _place(claim: Planted, cells: Sequence[replay.Cell]) -> int | None:
    """Return the cell a claim is planted in, or before: the one that first imports its file."""
    imports = re.compile(rf"^(?:from|import) {re.escape(Path(claim.file).stem)}\b", re.M)
    for position, cell in enumerate(cells):
        if imports.search(cell.source) if claim.file else claim.cell in cell.targets:
            return position
    return None


def _text(claim: Planted, path: Path, cell: replay.Cell) -> str:
    """Return what the claim changes: the source of the cell or of the file."""
    if not claim.file:
        return cell.source
    return (path.parent / claim.file).read_text(encoding="utf-8")


def _run(
    claim: Planted, state: replay.Replay, cells: Sequence[replay.Cell]
) -> Callable[[], replay.Failure | None]:
    """Return a run of these cells with the claim planted."""
    text = _text(claim, state.path, cells[0]).replace(claim.old, claim.new)
    if not claim.file:
        return state.changed(text, cells)

    def run() -> replay.Failure | None:
        name = Path(claim.file).stem
        module = importlib.util.module_from_spec(
            importlib.util.spec_from_file_location(name, state.path.parent / claim.file)
        )
        exec(compile(text, claim.file, "exec"), module.__dict__)
        sys.modules[name] = module
        return state.run_all(cells)

    return run


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
