"""Execute the notebooks of the book and keep them in one normal form.

Normal form: executed from top to bottom with counts 1, 2, 3, ..., no metadata but what the book
uses and when the code was executed, the description of each figure stored where the book looks for
it, one way to write the file.
nbval runs a cell without a count but never compares it, so a count that is missing is an error.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import executed
import nbformat
from nbclient import NotebookClient

from equivlib.files import replaced

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = [ROOT / "intro.ipynb", *sorted((ROOT / "chapters").glob("*.ipynb"))]
MEND = "make notebooks"
NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
CELL_METADATA = ("tags", "mystnb")
OUTPUT_METADATA = ("alt", "width")


def normalise(notebook: Any) -> Any:
    """Bring an executed notebook into the normal form, in place."""
    kept = {key: notebook.metadata[key] for key in ("myst",) if key in notebook.metadata}
    if known := executed.record(notebook):
        kept[executed.KEY] = known
    notebook.metadata = nbformat.from_dict({**NOTEBOOK_METADATA, **kept})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    count = 0
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict(
            {key: cell.metadata[key] for key in CELL_METADATA if cell.metadata.get(key)}
        )
        cell.source = cell.source.strip("\n")
        if cell.cell_type == "code":
            count += 1
            _normalise_code(cell, count)
    return notebook


def _normalise_code(cell: Any, count: int) -> None:
    if cell.execution_count is not None:
        cell.execution_count = count
    cell.outputs = _joined(cell.outputs)
    for output in cell.outputs:
        if output.output_type == "execute_result":
            output.execution_count = cell.execution_count
        for kind, entries in list(output.get("metadata", {}).items()):
            output.metadata[kind] = {k: entries[k] for k in OUTPUT_METADATA if k in entries}
        description = output.get("metadata", {}).get("image/png", {}).get("alt")
        if description:
            # MyST-NB takes the description of an image from the cell, not from its output.
            cell.metadata.setdefault("mystnb", {})["image"] = {"alt": description}


def _joined(outputs: list[Any]) -> list[Any]:
    """Join the pieces of one stream that follow each other: where they are cut is chance."""
    whole: list[Any] = []
    for output in outputs:
        name = output.get("name")
        if whole and name and whole[-1].get("name") == name:
            whole[-1].text += output.text
        else:
            whole.append(output)
    return whole


def execute(path: Path) -> Any:
    """Run a notebook from an empty kernel, in its own folder, and store that it ran."""
    notebook = nbformat.read(path, as_version=4)
    started = time.perf_counter()
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    ).execute()
    executed.stamp(notebook, time.perf_counter() - started)
    return notebook


def faults(path: Path) -> list[str]:
    """Return what keeps a notebook from the normal form."""
    text = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)
    found = []
    for number, cell in enumerate(c for c in notebook.cells if c.cell_type == "code"):
        where = f"{path.name}, code cell {number + 1}"
        if cell.execution_count is None:
            found.append(f"{where} has no execution count, so nbval would compare nothing")
        for output in cell.outputs:
            if output.output_type == "error":
                found.append(f"{where} stores an error")
            if output.get("name") == "stderr":
                found.append(f"{where} stores a warning or another text on stderr")
            if "image/png" in output.get("data", {}) and not output.metadata.get(
                "image/png", {}
            ).get("alt"):
                found.append(f"{where} shows a figure without a description")
    if not found and nbformat.writes(normalise(notebook)) + "\n" != text:
        found.append(f"{path.name} is not written in the normal form")
    return found


def write(path: Path, notebook: Any) -> None:
    """Replace the file in one step, so that a failure leaves the old one whole."""
    nbformat.validate(notebook)
    with replaced(path) as file:
        file.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8", newline="\n")


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--execute", action="store_true", help="run, normalise and write")
    what.add_argument(
        "--normalise", action="store_true", help="normalise and write, without running"
    )
    what.add_argument("--check", action="store_true", help="only say what is not in normal form")
    parser.add_argument("paths", nargs="*", type=Path, help="default: all notebooks")
    arguments = parser.parse_args()
    paths = arguments.paths or NOTEBOOKS
    found: list[str] = []
    for path in paths:
        if not arguments.check:
            print(f"{path.name} ...", flush=True)
            source = execute(path) if arguments.execute else nbformat.read(path, as_version=4)
            write(path, normalise(source))
        found += faults(path)
    for fault in found:
        print(f"{fault}: {MEND} mends it", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
