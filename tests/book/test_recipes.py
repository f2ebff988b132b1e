"""The page of recipes: each snippet runs by itself, is short, and names what there is."""

import contextlib
import importlib
import io
import re
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "back" / "recipes.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^\(recipe-(\S+)\)=\n.*?^```python\n(.*?)^```", PAGE, flags=re.S | re.M))


def test_there_are_ten_recipes_and_more():
    assert len(RECIPES) >= 10
    assert len(RECIPES) == PAGE.count("```python")


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_runs_alone_and_has_fewer_than_ten_lines(name):
    code = RECIPES[name]
    assert len([line for line in code.splitlines() if line.strip()]) < 10
    assert "assert" in code
    if "import torch" in code:
        pytest.importorskip("torch")
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()) as printed:
        warnings.simplefilter("error")
        exec(compile(code, f"recipe-{name}", "exec"), {})
    assert not printed.getvalue()


def test_the_first_table_names_functions_that_there_are():
    table = PAGE.partition("## Which function")[2].partition("\n## ")[0]
    names = re.findall(r"`([\w.]+)`", table)
    assert len(names) > 20
    for name in names:
        module, _, function = f"equivlib.{name}".rpartition(".")
        if "interop" in name:
            pytest.importorskip("onnx" if "onnx" in name else "torch")
        assert callable(getattr(importlib.import_module(module), function))
