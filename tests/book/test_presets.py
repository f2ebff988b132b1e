"""The presets of the linked pictures: what a preset is called is what it changes."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = [ROOT / "intro.ipynb", *sorted((ROOT / "chapters").glob("*.ipynb"))]


def presets(path):
    """Yield the title of each preset of a notebook's pictures with the options that it changes."""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code" or "equivlib.explore(" not in cell.source:
            continue
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.keyword) and node.arg == "variants":
                for title, changed in zip(node.value.keys, node.value.values, strict=True):
                    keys = changed.keys if isinstance(changed, ast.Dict) else [None]
                    yield title.value, [key.value if key else None for key in keys]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_preset_called_stride_changes_the_stride_alone(path):
    for title, changed in presets(path):
        if re.fullmatch(r"stride \d+", title):
            assert changed in ([], ["stride"]), title
