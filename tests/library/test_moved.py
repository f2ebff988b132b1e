"""Modules of earlier versions are found at their old paths, with one warning."""

import json
import re
import subprocess
import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec

import pytest

from equivlib._moved import MOVED, SHADOWED

FOUND = [old for old in MOVED if old not in SHADOWED]

# What somebody may write, and the old modules he is told of.
WRITTEN = {
    "from equivlib.converse import project, NotAConvolution": ["converse"],
    "import equivlib.converse as old, equivlib.converse; old.project": ["converse"],
    "import equivlib; equivlib.converse.project; equivlib.converse.project": ["converse"],
    "from equivlib import converse; from equivlib.converse import project": ["converse"],
    "from equivlib.explore import Explorer, explore": ["explore"],
    "from equivlib.explore.page import Picture": ["explore.page"],
    "from equivlib.pattern import pattern": ["pattern"],
    "from equivlib.linear import Conv, Layer, Shape": ["linear"],
    "from equivlib.interop.onnx_file import read_model": ["interop.onnx_file"],
    # A function keeps its place from the old module of its name.
    "import equivlib.explore; assert equivlib.explorer.explore is equivlib.explore": [],
    "import equivlib.pattern; assert callable(equivlib.pattern)": [],
    "import equivlib; from equivlib.explore.code import code; equivlib.explore([[[1]]], (1, 1))": [
        "explore.code"
    ],
    # The package itself uses none of them.
    "import equivlib.cli, equivlib.symbolic, equivlib.train, equivlib.slide, equivlib.tables": [],
    "import equivlib.draw, equivlib.interop.onnx, equivlib.interop.torch": [],
}

RUN = """
import json, sys, warnings

told = []
for code in json.loads(sys.argv[1]):
    for name in [name for name in sys.modules if name.split(".")[0] == "equivlib"]:
        del sys.modules[name]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DeprecationWarning)
        exec(compile(code, "here", "exec"), {})
    told.append([(str(one.message), one.filename) for one in caught])
print(json.dumps(told))
"""


@cache
def told():
    """Return the warnings of each piece of code, each with the file that it blames."""
    command = [sys.executable, "-c", RUN, json.dumps(list(WRITTEN))]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return dict(zip(WRITTEN, found, strict=True))


@pytest.mark.parametrize("code", WRITTEN)
def test_whoever_asks_for_an_old_module_is_told_once_and_where_he_asked(code):
    expected = [[f"equivlib.{old} is now equivlib.{MOVED[old]}", "here"] for old in WRITTEN[code]]
    assert told()[code] == expected


def test_every_new_path_leads_to_a_module():
    assert all(find_spec(f"equivlib.{new}") for new in MOVED.values())


@pytest.mark.parametrize("old", FOUND)
def test_the_old_modules_are_the_new_ones(old, monkeypatch):
    monkeypatch.delitem(sys.modules, f"equivlib.{old}", raising=False)
    message = re.escape(f"equivlib.{old} is now equivlib.{MOVED[old]}")
    with pytest.warns(DeprecationWarning, match=f"^{message}$"):
        module = import_module(f"equivlib.{old}")
    assert module is import_module(f"equivlib.{MOVED[old]}")


def test_what_never_was_is_missing_as_before():
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'equivlib\.nowhere'"):
        import_module("equivlib.nowhere")
    with pytest.raises(AttributeError, match="module 'equivlib' has no attribute 'nowhere'"):
        import_module("equivlib").nowhere  # noqa: B018
