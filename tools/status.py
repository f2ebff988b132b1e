"""The page of the book's state: when each notebook was executed, and what guards it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import executed
import inventory
import nbformat
import planted
import replay

PLACE = "<!-- the state -->"  # where it goes in back/status.md
PAGE = "back/status"
UNKNOWN = "not recorded"


@dataclass(frozen=True)
class State:
    """What the table says of a notebook.

    Attributes
    ----------
    stem : str
        ``intro``, or the name of a file of ``chapters`` without its ending.
    record : dict or None
        What ``executed.stamp`` has stored, if the code has not changed since.
    outputs, assertions : int
        How many stored outputs each test run compares, and how many ``assert`` its cells have.
    claims, planted : int
        How many claims its register has, and how many false ones its cells have to catch.
    """

    stem: str
    record: dict[str, Any] | None
    outputs: int
    assertions: int
    claims: int
    planted: int


def of_notebook(stem: str) -> State:
    """Return the state of a notebook."""
    path = replay.notebook(stem)
    notebook = nbformat.read(path, as_version=4)
    return State(
        stem,
        executed.record(notebook),
        sum(len(cell.get("outputs", ())) for cell in notebook.cells),
        sum(inventory.of_notebook(path).asserts.values()),
        len(planted.load(stem)),
        len(planted.claims(stem)),
    )


def render(states: list[State]) -> str:
    """Return the state of all notebooks as MyST Markdown: a table, then what they ran on."""
    recorded = [state for state in states if state.record]
    asserts, false = sum(s.assertions for s in states), sum(s.planted for s in states)
    lines = [
        f"{len(states)} notebooks, {asserts:,} assertions, {sum(s.claims for s in states)} claims "
        f"with {false:,} false ones planted. {_together(recorded, len(states))}",
        "",
        "| page | executed | seconds | outputs | assertions | claims | planted |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
        *map(_row, states),
        "",
        *_versions(recorded),
    ]
    return "\n".join(lines)


def _together(recorded: list[State], number: int) -> str:
    if not recorded:
        return "No execution is recorded."
    seconds = sum(state.record["seconds"] for state in recorded if state.record)
    those = "all of them" if len(recorded) == number else f"the {len(recorded)} with a record"
    return f"To execute {those} takes {seconds:.0f} seconds, one after the other."


def _row(state: State) -> str:
    place = "/intro" if state.stem == "intro" else f"/chapters/{state.stem}"
    known = state.record or {"on": UNKNOWN, "seconds": ""}
    counts = (state.outputs, state.assertions, state.claims or "", state.planted or "")
    return f"| {{doc}}`{place}` | {known['on']} | {known['seconds']} | " + (
        " | ".join(map(str, counts)) + " |"
    )


def _versions(recorded: list[State]) -> Iterator[str]:
    """Yield a line for each set of versions; most often there is one."""
    sets: dict[str, list[str]] = {}
    for state in recorded:
        if state.record:
            told = ", ".join(f"{name} {v}" for name, v in state.record["versions"].items())
            sets.setdefault(told, []).append(state.stem)
    for told, stems in sets.items():
        which = "Executed" if len(sets) == 1 else f"{', '.join(f'`{s}`' for s in stems)}: executed"
        yield f"{which} with {told}."
        yield ""


def write_into(app: Any, name: str, source: list[str]) -> None:
    """Put the state into its page when Sphinx reads it."""
    if name == PAGE:
        stems = ["intro", *replay.stems()]
        registers = [planted.REGISTER / f"{stem}.yml" for stem in stems]
        for path in [*map(replay.notebook, stems), *filter(Path.is_file, registers)]:
            app.env.note_dependency(str(path))
        source[0] = source[0].replace(PLACE, render([of_notebook(stem) for stem in stems]))


def main() -> None:
    """Print the table, for a look at it."""
    print(render([of_notebook(stem) for stem in ["intro", *replay.stems()]]))


if __name__ == "__main__":
    main()
