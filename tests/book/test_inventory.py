"""Nothing that the book had before its chapters were written anew is lost without a reason."""

import subprocess
import sys

import inventory
import nbformat.v4 as v4
import pytest
import yaml
from conftest import ROOT

CHAPTER = [
    "(picture-one)=\n## One\n\n:::{prf:definition} Layer\n:label: def-one\nText.\n:::",
    "::::{prf:theorem} Sum\n:label: thm-sum\n$$ a $$ (eq-inline)\n\n$$ (eq-sum)\n::::",
    ":::{prf:proof}\nBy {prf:ref}`thm-other`.\n:::\n\n(cell-thm-sum)=",
    "assert 1\nif True:\n    assert 2",
    "(cell-more)=",
    "assert 3",
    ":::{exercise}\n:label: ex-one\nProve it.\n:::",
    ":::{solution-start} ex-one\n:class: dropdown\n:::",
    "assert 4",
    ":::{solution-end}\n:::",
]
APART = ":::{prf:proof}\nProof of {prf:ref}`the theorem <thm-sum>`. By counting.\n:::"


@pytest.fixture
def book(tmp_path):
    """A function that writes a small book, its texts changed, and says what it has."""
    (tmp_path / "chapters").mkdir()
    (tmp_path / "back").mkdir()

    def write(changes=(), back="(q-one)=\nText.", more=()):
        cells = []
        for source in CHAPTER:
            for old, new in changes:
                source = source.replace(old, new)
            make = v4.new_code_cell if source.startswith("assert") else v4.new_markdown_cell
            cells.append(make(source))
        pages = {"01_one": cells, **dict(more)}
        for name, content in pages.items():
            notebook = v4.new_notebook(cells=content)
            (tmp_path / f"chapters/{name}.ipynb").write_text(
                inventory.nbformat.writes(notebook), encoding="utf-8"
            )
        (tmp_path / "back/questions.md").write_text(back, encoding="utf-8")
        return inventory.of_book(tmp_path)

    return write


@pytest.fixture
def faults(book):
    """A function that changes the small book and says what it has lost; lists are YAML."""
    before = inventory.as_data(book())

    def lost(*changes, gone="", merged="", **others):
        lists = {"gone": yaml.safe_load(gone), "merged": yaml.safe_load(merged)}
        return list(inventory.faults({"pages": before, **lists}, book(changes, **others)))

    return lost


def test_nothing_is_lost_without_a_reason():
    assert list(inventory.faults(inventory.load(), inventory.of_book())) == []


def test_the_inventory_has_all_that_the_chapters_had():
    pages = inventory.load()["pages"].values()
    assert sum(len(inventory.labels_of(parts)) for parts in pages) == 733
    assert sum(len(parts.get("proved", ())) for parts in pages) == 90
    assert sum(len(parts.get("solved", ())) for parts in pages) == 60
    assert sum(sum(parts.get("asserts", {}).values()) for parts in pages) == 2260


def test_a_page_is_read_part_by_part(book):
    assert inventory.as_data(book())["chapters/01_one"] == {
        "targets": ["cell-more", "cell-thm-sum", "picture-one"],
        "equations": ["eq-inline", "eq-sum"],
        "definitions": ["def-one"],
        "proved": ["thm-sum"],
        "solved": ["ex-one"],
        "asserts": {"cell-more": 1, "cell-thm-sum": 2, "ex-one": 1},
    }


def test_what_is_the_same_has_no_faults(faults):
    assert faults() == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("(cell-more)=", "Text.", "cell-more is no longer in the book"),
        ("(eq-sum)", "", "eq-sum is no longer in the book"),
        (":label: def-one", "", "def-one is no longer in the book"),
        ("thm-sum\n", "thm-all\n", "thm-sum is no longer in the book"),
        (":::{prf:proof}", ":::{note}", "thm-sum has lost its proof"),
        (":::{solution-start} ex-one", ":::{note}", "ex-one has lost its solution"),
        ("    assert 2", "    pass", "1 assertions fewer than before, of which 0 are explained"),
        ("assert 4", "4", "1 assertions fewer than before"),
    ],
)
def test_what_is_lost_is_named(faults, old, new, told):
    (fault,) = faults((old, new))
    assert told in fault


def test_a_page_of_the_back_may_not_lose_a_label_either(faults):
    (fault,) = faults(back="Text.")
    assert "back/questions: q-one is no longer" in fault


def test_a_part_may_move_to_another_page_with_its_label(faults):
    appendix = [v4.new_markdown_cell("(cell-more)="), v4.new_code_cell("assert 3")]
    moves = [("(cell-more)=", "Text."), ("assert 3", "3")]
    assert faults(*moves, more={"A_more": appendix}) == []


def test_assertions_of_a_new_page_replace_none(faults):
    new = [v4.new_markdown_cell("(cell-new)="), v4.new_code_cell("assert 3")]
    (fault,) = faults(("assert 3", "3"), more={"00_new": new})
    assert "1 assertions fewer" in fault


def test_a_proof_may_stand_on_another_page_if_it_names_its_theorem(faults):
    away = (":::{prf:proof}", ":::{note}")
    assert faults(away, more={"A_more": [v4.new_markdown_cell(APART)]}) == []
    other = v4.new_markdown_cell(APART.replace("thm-sum", "thm-other"))
    (fault,) = faults(away, more={"A_more": [other]})
    assert "thm-sum has lost its proof" in fault


def test_what_is_gone_with_a_reason_is_no_fault(faults):
    change = ("(cell-more)=", "Text.")
    assert faults(change, gone="cell-more: {why: merged, now: cell-thm-sum}") == []
    lost = ("assert 3", "3")
    assert faults(lost, merged="chapters/01_one: {asserts: 1, why: said twice}") == []


def test_a_theorem_that_another_replaces_still_needs_a_proof(faults):
    gone = "thm-sum: {why: a better name, now: thm-all}"
    renamed = ("thm-sum\n", "thm-all\n")
    assert faults(renamed, gone=gone) == []
    (fault,) = faults(renamed, (":::{prf:proof}", ":::{note}"), gone=gone)
    assert "thm-all has lost its proof" in fault


@pytest.mark.parametrize(
    ("lists", "told"),
    [
        ({"gone": "cell-more: {why: merged}"}, "cell-more is still in the book"),
        ({"gone": "cell-none: {why: merged}"}, "cell-none is not in the inventory"),
        ({"merged": "chapters/02: {asserts: 1, why: so}"}, "chapters/02 is not in the inventory"),
        ({"merged": "chapters/01_one: {asserts: 1}"}, "must have asserts and why"),
    ],
)
def test_a_reason_that_explains_nothing_is_told(faults, lists, told):
    (fault,) = faults(**lists)
    assert told in fault


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("{now: cell-thm-sum}", "must have why"),
        ("{why: merged, to: cell-thm-sum}", "must have why, and may have now"),
        ("{why: merged, now: cell-none}", "became cell-none, which is not in the book"),
    ],
)
def test_a_label_that_is_gone_needs_a_reason_and_a_true_place(faults, entry, told):
    (fault,) = faults(("(cell-more)=", "Text."), gone=f"cell-more: {entry}")
    assert told in fault


def test_the_real_book_cannot_lose_a_label_a_proof_or_an_assertion():
    stored, pages = inventory.load(), inventory.of_book()
    page = pages["chapters/01_two_layers"]
    page.targets.remove("cell-thm-affine")
    page.theorems["thm-affine"] = False
    page.asserts["cell-one-input"] -= 10
    told = "\n".join(inventory.faults(stored, pages))
    for words in ("cell-thm-affine is no longer", "thm-affine has lost", "assertions fewer"):
        assert words in told


def test_it_prints_the_inventory_of_a_folder(book, tmp_path):
    pages = book()
    told = subprocess.run(
        [sys.executable, ROOT / "tools" / "inventory.py", tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    assert yaml.safe_load(told.stdout) == {"pages": inventory.as_data(pages)}
