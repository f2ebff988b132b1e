"""The page of theorems, made from the notebooks: what each claims and how it is checked."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import nbformat
import planted
import replay

PLACE = "<!-- the theorems -->"  # where they go in back/theorems.md
THEOREM = re.compile(r"^:::+\{prf:theorem\} (?P<title>.*)\n:label: (?P<label>thm-[\w-]+)$", re.M)
NEXT = re.compile(r"^:::+\{prf:(\w+)\}", re.M)

SYMBOLS = {
    "whole": "symbols prove it for every size",
    "step": "symbols prove the decisive step for every size",
    "algebra": "symbols check the algebra",
    "fixed": "symbols for the kernel, at fixed sizes",
    "none": "no symbols",
}
NUMBERS = {
    "exact": "numbers agree exactly",
    "bound": "numbers agree within a bound",
    "none": "no numbers",
}
GENERAL = ("whole", "step")


@dataclass(frozen=True)
class Theorem:
    """A theorem as its notebook and the register have it.

    Attributes
    ----------
    label, title, claim : str
    proved : bool
        Whether a proof in words follows it.
    symbols, numbers : str
        How it is checked, a key of ``SYMBOLS`` and of ``NUMBERS``; empty if it is not registered.
    cells : tuple of str
        The link targets of the cells that guard it.
    planted : int
        How many false claims its cells catch.
    """

    label: str
    title: str
    claim: str
    proved: bool
    symbols: str
    numbers: str
    cells: tuple[str, ...]
    planted: int


@functools.cache
def of_chapter(stem: str) -> tuple[Theorem, ...]:
    """Return the theorems of a chapter in their order."""
    path = replay.notebook(stem)
    markdown = [
        c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown"
    ]
    targets = [target for cell in replay.cells(path) for target in cell.targets]
    return tuple(_theorems("\n\n".join(markdown), targets, planted.load(stem)))


def _theorems(text: str, targets: list[str], register: dict[str, Any]) -> Iterator[Theorem]:
    for found in THEOREM.finditer(text):
        label = found["label"]
        entry = register.get(label, {})
        following = NEXT.search(text, found.end())
        guards = {p["cell"] for p in entry.get("planted", ()) if "cell" in p}
        named = {t for t in targets if t in (f"cell-{label}", f"cell-{label}-numbers")}
        yield Theorem(
            label,
            found["title"].strip(),
            entry.get("claim", ""),
            following is not None and following[1] == "proof",
            entry.get("symbols", ""),
            entry.get("numbers", ""),
            tuple(t for t in targets if t in guards | named),
            len(entry.get("planted", ())),
        )


def render(stems: list[str]) -> str:
    """Return the theorems as MyST Markdown: a table of counts, then each with its checks."""
    chapters = {stem: of_chapter(stem) for stem in stems}
    lines = [*_summary(chapters), ""]
    for stem, theorems in chapters.items():
        lines += [f"## {_title(stem)}", "", f"{_kind(stem)} {{doc}}`/chapters/{stem}`.", ""]
        for theorem in theorems:
            lines += [f"- {_line(theorem)}"]
        lines += [""]
    return "\n".join(lines)


def _kind(stem: str) -> str:
    """Sort by names: chapters have names that begin with a number, appendices with a letter."""
    return "Appendix" if stem[0].isalpha() else "Chapter"


def _title(stem: str) -> str:
    """Return the heading of a chapter."""
    first = nbformat.read(replay.notebook(stem), as_version=4).cells[0].source
    return first.splitlines()[0].removeprefix("# ")


def _summary(chapters: dict[str, tuple[Theorem, ...]]) -> Iterator[str]:
    every = [theorem for theorems in chapters.values() for theorem in theorems]
    counts = Counter(theorem.symbols for theorem in every)
    general = sum(counts[kind] for kind in GENERAL)
    yield (
        f"The book has {len(every)} theorems; {sum(t.proved for t in every)} of them are followed "
        f"by a proof in words. For {general} of them ({general / len(every):.0%}) symbols prove "
        f"the whole statement or its decisive step for every size. "
        f"{sum(t.planted for t in every)} false claims are planted."
    )
    yield ""
    yield "| symbols | theorems |"
    yield "| --- | ---: |"
    for kind, words in {**SYMBOLS, "": "not registered yet"}.items():
        if counts[kind]:
            yield f"| {words} | {counts[kind]} |"


def _line(theorem: Theorem) -> str:
    cells = [f"{{ref}}`{n} <{cell}>`" for n, cell in enumerate(theorem.cells, start=1)]
    checks = ["words"] if theorem.proved else []
    checks += [SYMBOLS[theorem.symbols]] if theorem.symbols not in ("", "none") else []
    checks += [NUMBERS[theorem.numbers]] if theorem.numbers not in ("", "none") else []
    parts = [f"{{prf:ref}}`{theorem.label}` ({theorem.title})."]
    parts += [theorem.claim] if theorem.claim else []
    parts += [f"**Checked by** {'; '.join(checks)}."] if checks else []
    parts += [f"Cells {', '.join(cells)}."] if cells else []
    parts += [f"Planted: {theorem.planted}."] if theorem.planted else []
    return " ".join(parts)


def write_into(app: Any, name: str, source: list[str]) -> None:
    """Put the theorems into their page when Sphinx reads it."""
    if name == "back/theorems":
        stems = replay.stems()
        for stem in stems:
            app.env.note_dependency(str(replay.notebook(stem)))
            app.env.note_dependency(str(planted.REGISTER / f"{stem}.yml"))
        source[0] = source[0].replace(PLACE, render(stems))


def main() -> None:
    """Print the page, for a look at it."""
    print(render(replay.stems()))


if __name__ == "__main__":
    main()
