"""The plain oracles: one module, which knows nothing of the library and stands in chapter 1."""

import ast

import pytest
from conftest import CHAPTERS, ROOT, read

PATH = ROOT / "chapters" / "oracles.py"
TREE = ast.parse(PATH.read_text(encoding="utf-8"))
FUNCTIONS = {node.name for node in TREE.body if isinstance(node, ast.FunctionDef)}


def code(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def test_they_import_nothing_but_numpy():
    nodes = [node for node in ast.walk(TREE) if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert [alias.name for node in nodes for alias in node.names] == ["math", "numpy"]


def test_no_page_has_a_copy_of_one(notebook):
    for cell in code(notebook):
        names = {n.name for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.FunctionDef)}
        assert not names & FUNCTIONS, cell.source


def test_the_first_chapter_prints_them_whole_and_no_other_does():
    printing = [
        (path.stem, output.data["text/markdown"])
        for path in CHAPTERS
        for cell in code(path)
        if "getsource(oracles)" in cell.source
        for output in cell.outputs
    ]
    assert printing == [("01_two_layers", f"```python\n{PATH.read_text(encoding='utf-8')}```")]


@pytest.mark.parametrize("name", sorted(FUNCTIONS - {"products"}))
def test_each_is_imported_by_a_chapter(name):
    imported = {
        alias.name
        for path in CHAPTERS
        for cell in code(path)
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.ImportFrom) and node.module == "oracles"
        for alias in node.names
    }
    assert name in imported
