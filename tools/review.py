"""Print a notebook as text to be reviewed: git calls this for a readable diff (.gitattributes).

It goes one way: the notebook stays the only copy. Sources come whole, with tags and captions; of a
long output come the first lines, of a picture its description, each with a digest of the whole. So
the text of two notebooks is the same only if nothing but the ids and counts of cells differs. Needs
no package, so any Python can run it.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LINES = 12  # of an output


def text(notebook: dict[str, Any]) -> str:
    """Return a notebook as text."""
    lines = []
    for cell in notebook["cells"]:
        lines += _cell(cell)
    return "\n".join([*lines, "", f"# metadata: {_flat(notebook.get('metadata', {}))}", ""])


def _cell(cell: dict[str, Any]) -> Iterator[str]:
    metadata = dict(cell.get("metadata", {}))
    tags = metadata.pop("tags", [])
    yield f"\n#### {' '.join([cell['cell_type'], *tags])}"
    if metadata:
        yield f"# {_flat(metadata)}"
    yield from _joined(cell["source"]).split("\n")
    for output in cell.get("outputs", ()):
        yield from _output(output)


def _output(output: dict[str, Any]) -> Iterator[str]:
    kind = " ".join([output["output_type"], *filter(None, [output.get("name")])])
    if output["output_type"] == "error":
        yield from _shortened(kind, f"{output['ename']}: {output['evalue']}")
    if "text" in output:
        yield from _shortened(kind, _joined(output["text"]))
    for form, content in output.get("data", {}).items():
        whole = content if isinstance(content, dict) else _joined(content)
        if form.startswith("text/") and form != "text/html":
            yield from _shortened(form, whole)
        else:
            yield f"-> {form}: {_digest(whole)}"
    if output.get("metadata"):
        yield f"-> metadata: {_flat(output['metadata'])}"


def _shortened(kind: str, whole: str) -> Iterator[str]:
    lines = whole.split("\n")
    yield f"-> {kind}"
    yield from (f"   {line}" for line in lines[:LINES])
    if len(lines) > LINES:
        yield f"   ... {len(lines)} lines, {_digest(whole)}"


def _digest(content: Any) -> str:
    whole = content if isinstance(content, str) else _flat(content)
    return f"{len(whole)} characters, {hashlib.sha256(whole.encode()).hexdigest()[:12]}"


def _joined(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


def _flat(metadata: Any) -> str:
    return json.dumps(metadata, ensure_ascii=False, sort_keys=True)


def main() -> None:
    """Run from the command line, with the path of a notebook."""
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    path = Path(sys.argv[1])
    source = path.read_text(encoding="utf-8")
    # Git also asks for a side that is not there, as an empty file.
    sys.stdout.write(text(json.loads(source)) if source.strip() else "")


if __name__ == "__main__":
    main()
