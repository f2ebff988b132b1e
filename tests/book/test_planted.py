"""Every result has false claims in the register, and the cells that guard it catch each."""

import re
import sys

import planted
import pytest
import replay
import yaml
from conftest import NOTEBOOKS, read

#: Chapters and appendices whose register has to be complete; those of part III are planted as far
#: as they go.
COMPLETE = [path.stem for path in NOTEBOOKS if path.stem < "10" or path.stem >= "13"]
REGISTERED = [path.stem for path in NOTEBOOKS if planted.load(path.stem)]


def results(stem):
    """Return what has false claims: a chapter's theorems, or each target of a page without."""
    text = "\n".join(c.source for c in read(replay.notebook(stem)).cells)
    found = re.findall(r"^:label: (thm-[\w-]+)$", text, flags=re.M)
    return found or [t for cell in replay.cells(replay.notebook(stem)) for t in cell.targets]


@pytest.mark.parametrize("stem", COMPLETE)
def test_three_planted_claims_of_each_result_fail_a_cell(stem):
    replay.warm_up()
    assert list(planted.faults(stem, each=3)) == []


@pytest.mark.slow  # and part III trains networks in its cells, again for each claim
@pytest.mark.parametrize("stem", REGISTERED)
def test_every_planted_claim_fails_a_cell(stem):
    replay.warm_up()
    assert list(planted.faults(stem)) == []


@pytest.mark.parametrize("count", range(1, 9))
def test_some_claims_are_spread_over_those_of_a_theorem(count):
    all_of_it = [planted.Planted("thm-a", "cell", str(i), "") for i in range(count)]
    other = planted.Planted("thm-b", "cell", "x", "")
    chosen = planted.some([*all_of_it, other], 3)
    assert chosen[-1] == other
    assert chosen[0] == all_of_it[0]
    assert chosen[-2] == all_of_it[-1]
    assert len(set(chosen)) == len(chosen) == min(count, 3) + 1


@pytest.mark.parametrize("stem", COMPLETE)
def test_each_result_has_three_planted_claims(stem):
    register = planted.load(stem)
    assert list(register) == results(stem)  # in the order of the page
    for label, entry in register.items():
        assert len(entry["planted"]) >= 3, label
        assert 0 < len(entry["claim"]) <= 160, label


def test_the_register_is_large():
    assert sum(len(planted.claims(stem)) for stem in COMPLETE) >= 250


@pytest.mark.parametrize("stem", REGISTERED)
def test_the_register_names_results_of_its_page_and_plants_each_claim_once(stem):
    assert set(planted.load(stem)) <= set(results(stem))
    claims = [(claim.cell, claim.file, claim.old, claim.new) for claim in planted.claims(stem)]
    assert len(set(claims)) == len(claims)


@pytest.fixture
def small_book(tmp_path, monkeypatch):
    """A register and a notebook of two cells, in which x is 3."""
    import nbformat.v4 as v4

    cells = [
        v4.new_markdown_cell("Text\n\n(cell-thm-x)="),
        v4.new_code_cell("from plain_sums import start\nx = 3\nbound = 10\nassert x < bound"),
        v4.new_code_cell("assert start == 0"),
        v4.new_code_cell("assert x == 3"),
    ]
    (tmp_path / "chapter.ipynb").write_text(
        replay.nbformat.writes(v4.new_notebook(cells=cells)), encoding="utf-8"
    )
    (tmp_path / "plain_sums.py").write_text("start = 0\n", encoding="utf-8")
    monkeypatch.delitem(sys.modules, "plain_sums", raising=False)
    monkeypatch.setattr(planted, "REGISTER", tmp_path)
    monkeypatch.setattr(replay, "notebook", lambda stem: tmp_path / f"{stem}.ipynb")

    def faults(**entry):
        one = {**({} if "file" in entry else {"cell": "cell-thm-x"}), **entry}
        theorem = {"claim": "x is 3", "symbols": "none", "numbers": "exact", "planted": [one]}
        (tmp_path / "chapter.yml").write_text(yaml.safe_dump({"thm-x": theorem}), encoding="utf-8")
        return list(planted.faults("chapter"))

    return faults


@pytest.mark.parametrize(("old", "new"), [("x = 3", "x = 4"), ("bound = 10", "bound = 2")])
def test_a_claim_may_fail_its_own_cell_or_a_later_one(small_book, old, new):
    assert small_book(old=old, new=new) == []


def test_a_claim_may_be_planted_in_a_file_that_the_cells_import(small_book):
    assert small_book(file="plain_sums.py", old="start = 0", new="start = 1") == []


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"file": "plain_sums.py", "old": "= 0", "new": "= 0.0"}, "PASSES, no cell fails"),
        ({"file": "plain_sums.py", "old": "= 2", "new": "= 3"}, "old is there 0 times, not once"),
        ({"file": "others.py", "old": "= 2", "new": "= 3"}, "no cell imports this file"),
        ({"old": "bound = 10", "new": "bound = 11"}, "PASSES, no cell fails"),
        ({"old": "x", "new": "y"}, "old is there 2 times, not once"),
        (
            {"old": "x = 3", "new": "x = three"},
            "no assertion fails, but chapter, cell 1: NameError",
        ),
        ({"old": "x = 3", "new": "x = 4", "cell": "cell-gone"}, "no cell has this target"),
    ],
)
def test_a_claim_that_is_not_caught_is_told_with_the_reason(small_book, entry, told):
    (fault,) = small_book(**entry)
    assert told in fault
