"""Notebooks as text for a review: what changes in a notebook changes the text."""

import copy
import json
import subprocess
import sys

import notebooks
import pytest
import review
from conftest import ROOT

NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["# Title\n", "Text."]},
        {
            "cell_type": "code",
            "execution_count": 1,
            "id": "b",
            "metadata": {"tags": ["check"], "mystnb": {"figure": {"caption": "A curve"}}},
            "source": "x = 1\nx",
            "outputs": [
                {"output_type": "stream", "name": "stdout", "text": [f"{n}\n" for n in range(40)]},
                {
                    "output_type": "execute_result",
                    "execution_count": 1,
                    "data": {"image/png": "AAAA", "text/plain": "a curve that falls"},
                    "metadata": {"image/png": {"width": 400}},
                },
            ],
        },
    ],
    "metadata": {"kernelspec": {"name": "python3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


def changed(value, *path):
    notebook = copy.deepcopy(NOTEBOOK)
    at = notebook
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return review.text(notebook)


def test_sources_tags_and_descriptions_can_be_read():
    lines = review.text(NOTEBOOK).splitlines()
    for line in ("#### markdown", "# Title", "Text.", "#### code check", "x = 1", "   0"):
        assert line in lines
    assert "   a curve that falls" in lines
    assert not any("AAAA" in line for line in lines)
    assert len(lines) < 40


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (["# Title\n", "Text!"], ("cells", 0, "source")),
        ("raw", ("cells", 0, "cell_type")),
        ("x = 2\nx", ("cells", 1, "source")),
        ([], ("cells", 1, "metadata", "tags")),
        ("A line", ("cells", 1, "metadata", "mystnb", "figure", "caption")),
        ("40\n", ("cells", 1, "outputs", 0, "text", 39)),  # beyond what is shown
        ("stderr", ("cells", 1, "outputs", 0, "name")),
        ("AAAB", ("cells", 1, "outputs", 1, "data", "image/png")),
        ("a curve that rises", ("cells", 1, "outputs", 1, "data", "text/plain")),
        (500, ("cells", 1, "outputs", 1, "metadata", "image/png", "width")),
        ([], ("cells", 1, "outputs")),
        ("other", ("metadata", "kernelspec", "name")),
    ],
)
def test_a_change_of_anything_changes_the_text(value, path):
    assert changed(value, *path) != review.text(NOTEBOOK)


def test_ids_and_counts_do_not():
    assert changed("c", "cells", 1, "id") == review.text(NOTEBOOK)
    assert changed(7, "cells", 1, "execution_count") == review.text(NOTEBOOK)


@pytest.mark.parametrize("path", notebooks.NOTEBOOKS, ids=lambda path: path.stem)
def test_every_line_of_every_source_is_in_the_text(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    text = review.text(notebook)
    for cell in notebook["cells"]:
        assert f"\n{''.join(cell['source'])}\n" in text
    assert max(map(len, text.splitlines())) < 5000  # no picture, no script


def test_git_shows_it_in_a_diff(tmp_path):
    def git(*arguments):
        done = subprocess.run(
            ["git", *arguments], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        return done.stdout

    git("init", "--quiet")
    (tmp_path / ".gitattributes").write_bytes((ROOT / ".gitattributes").read_bytes())
    (tmp_path / "a.ipynb").write_text(json.dumps(NOTEBOOK), encoding="utf-8")
    git("add", ".")
    notebook = copy.deepcopy(NOTEBOOK)
    notebook["cells"][0]["source"] = ["# Title\n", "Other text."]
    (tmp_path / "a.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    reader = f"'{sys.executable}' '{ROOT / 'tools' / 'review.py'}'"
    told = git("-c", f"diff.notebook.textconv={reader}", "diff")
    assert "-Text.\n+Other text.\n" in told
