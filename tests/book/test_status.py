"""The page of the book's state says what is stored, and no more."""

import ast
import doctest
import time

import executed
import nbformat
import notebooks
import pytest
import replay
import status
import yaml
from bs4 import BeautifulSoup
from conftest import CHAPTERS, NOTEBOOKS, ROOT
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook


def small(source="1 + 1"):
    return new_notebook(cells=[new_markdown_cell("# A title"), new_code_cell(source)])


def test_a_digest_is_that_of_the_code_alone():
    assert doctest.testmod(executed).failed == 0


def test_an_execution_is_kept_until_the_code_changes():
    notebook = small()
    assert executed.record(notebook) is None
    executed.stamp(notebook, 1.26)
    told = executed.record(notebook)
    assert told["seconds"] == 1.3
    assert set(told["versions"]) == {"python", *executed.PACKAGES}
    notebook.cells[0].source = "# Another title"
    assert executed.record(notebook) == told
    notebook.cells[1].source = "1 + 2"
    assert executed.record(notebook) is None


def test_the_normal_form_keeps_what_is_true_and_drops_what_is_not():
    notebook = small()
    executed.stamp(notebook, 1)
    assert executed.KEY in notebooks.normalise(notebook).metadata
    notebook.cells[1].source = "1 + 2"
    assert executed.KEY not in notebooks.normalise(notebook).metadata


def test_execution_stores_its_own_time(tmp_path):
    path = tmp_path / "a.ipynb"
    nbformat.write(small("import time; time.sleep(0.3)"), path)
    before = time.perf_counter()
    notebook = notebooks.execute(path)
    most = time.perf_counter() - before
    notebooks.write(path, notebooks.normalise(notebook))
    told = executed.record(nbformat.read(path, as_version=4))
    assert 0.3 <= told["seconds"] <= most + 0.05
    assert notebooks.faults(path) == []


@pytest.mark.parametrize("path", NOTEBOOKS[:2], ids=lambda path: path.stem)
def test_the_counts_are_those_of_the_files(path):
    state = status.of_notebook(path.stem)
    cells = nbformat.read(path, as_version=4).cells
    trees = [ast.parse(c.source) for c in cells if c.cell_type == "code"]
    asserts = [n for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Assert)]
    assert state.assertions == len(asserts) > 0
    register = ROOT / "tests" / "book" / "planted" / path.with_suffix(".yml").name
    entries = yaml.safe_load(register.read_text(encoding="utf-8"))
    assert state.claims == len(entries)
    assert state.planted == sum(len(entry["planted"]) for entry in entries.values())
    assert state.outputs == sum(len(c.get("outputs", ())) for c in cells)


RECORD = {"on": "2026-01-02", "seconds": 3.5, "versions": {"python": "3.13.0", "numpy": "2.3"}}


def test_a_row_says_what_is_known_and_what_is_not():
    known = status.State("01_two_layers", RECORD, 2, 3, 4, 5)
    told = status.render([known, status.State("intro", None, 1, 1, 0, 0)])
    assert "| {doc}`/chapters/01_two_layers` | 2026-01-02 | 3.5 | 2 | 3 | 4 | 5 |" in told
    assert f"| {{doc}}`/intro` | {status.UNKNOWN} |  | 1 | 1 |  |  |" in told
    assert "To execute the 1 with a record takes 4 seconds" in told
    assert "Executed with python 3.13.0, numpy 2.3." in told


def test_two_sets_of_versions_are_told_apart():
    other = {**RECORD, "versions": {"python": "3.11.2", "numpy": "2.3"}}
    states = [status.State("a", RECORD, 0, 0, 0, 0), status.State("b", other, 0, 0, 0, 0)]
    told = status.render(states)
    assert "To execute all of them takes 7 seconds" in told
    assert "`a`: executed with python 3.13.0" in told
    assert "`b`: executed with python 3.11.2" in told


def test_the_page_lists_every_notebook_once(html):
    soup = BeautifulSoup((html / "back/status.html").read_text("utf-8"), "html.parser")
    rows = soup.select("table tbody tr")
    linked = [row.find("a")["href"] for row in rows]
    assert linked == ["../intro.html", *(f"../chapters/{stem}.html" for stem in replay.stems())]
    planted = [row.find_all("td")[6].get_text() for row in rows]
    assert all(number.isdigit() for number in planted[-len(CHAPTERS) :])
