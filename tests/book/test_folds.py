"""What is folded when the HTML is built, and with which words on the bar."""

import doctest
import sys

import pytest
from bs4 import BeautifulSoup
from conftest import CHAPTERS, ROOT
from docutils import nodes

sys.path.insert(0, str(ROOT / "tests"))

import count
import folded
import folds
import sections


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    html = folded.build(tmp_path_factory.mktemp("folds"))
    text = (html / "chapters" / "page.html").read_text(encoding="utf-8")
    return BeautifulSoup(text, "html.parser")


def bar(fold):
    return fold.find("summary", recursive=False).get_text()


def around(page, words):
    """Return the folds around a text of the page, the inner ones first."""
    return page.find(string=lambda text: words in text).find_parents("details", class_="fold")


@pytest.mark.parametrize(
    ("words", "kind", "bars"),
    [
        ("kingfisher", "proof", ["Proof of Theorem 1.1"]),
        ("nightjar", "proof", ["Proof"]),
        ("wagtail", "record", ["Another way"]),
        ("goldcrest", "solution", ["Solution to Exercise 1.1"]),
        ("lapwing", "record", ["1.4. For the record"]),
        ("dunnock", "proof", ["Proof of Theorem 1.2", "1.4. For the record"]),
        ("'two'", "check", ["Check of Theorem 1.1"]),
        ("'tagged'", "check", ["Check"]),
        ("'long'", "code", ["Code"]),
        ("'without its input'", "code", ["Code"]),
        ("hidden with it", "code", ["Code"]),
        ("much output", "code", ["Output"]),
        ("'own words'", "code", ["Drawing"]),
        ("# in the solution", "solution", ["Solution to Exercise 1.1"]),
    ],
)
def test_each_part_is_behind_the_bar_that_names_it(page, words, kind, bars):
    found = around(page, words)
    assert found[0]["class"] == ["fold", kind]
    assert [bar(fold) for fold in found] == bars


@pytest.mark.parametrize(
    "words",
    [
        *("Two words", "What holds", "two\n", "long\n", "'first'", "a picture", "'much'", "Do it"),
        *("# stays open", "# stays open too", "# the trap"),
    ],
)
def test_text_outputs_and_what_is_tagged_show_stay_in_sight(page, words):
    assert around(page, words) == []


def test_all_folds_are_closed_and_say_what_they_hold_in_their_first_child(page):
    for fold in page.select("details"):
        assert "fold" in fold["class"]
        assert not fold.has_attr("open")
        assert fold.find(True).name == "summary"
        assert not fold.summary.select("a, button, details")


def test_a_proof_does_not_say_the_word_again(page):
    assert not page.find(string=lambda text: text.startswith("Proof. "))


@pytest.mark.parametrize("name", ["proof-of-thm-one", "cell-thm-one", "for-the-record"])
def test_the_place_a_link_leads_to_is_inside_the_fold_so_that_it_opens(page, name):
    (place,) = page.select(f"[id='{name}']")
    assert place["class"] == ["fold-body"]


def test_a_folded_section_keeps_its_heading_and_its_level(page):
    heading = page.find(id="for-the-record").find_previous_sibling("summary").find(True)
    assert heading.name == "h2"
    assert page.find(id="a-part-of-it").find(True).name == "h3"


def test_search_leads_to_a_folded_section_by_its_heading():
    inside = folds.fold("record", [], [nodes.paragraph("", "lapwing")], ["for-the-record"])
    inside.children[1]["heading"] = "For the record"
    section = nodes.section("", nodes.title("", "Page"), inside, ids=["page"])
    assert list(sections.places(section)) == [
        ("page", "Page", "Page"),
        ("for-the-record", "For the record", "lapwing"),
    ]


@pytest.mark.parametrize("stem", [path.stem for path in CHAPTERS])
def test_ids_are_there_once_and_no_open_code_is_long(html, stem):
    text = (html / "chapters" / f"{stem}.html").read_text(encoding="utf-8")
    page = BeautifulSoup(text, "html.parser")
    names = [tag["id"] for tag in page.select("article [id]")]
    assert len(names) == len(set(names))
    assert page.select("details.proof")
    assert page.select("details.solution")
    shown = page.select(".cell.tag_show .cell_input")
    for code in page.select("article .cell_input"):
        if not code.find_parent("details") and code not in shown:
            assert len(code.get_text().strip("\n").splitlines()) <= count.CODE_LINES


@pytest.mark.parametrize("stem", [path.stem for path in CHAPTERS])
def test_no_script_of_other_folds_is_loaded(html, stem):
    text = (html / "chapters" / f"{stem}.html").read_text(encoding="utf-8")
    assert "togglebutton" not in text


def test_the_examples_of_the_rule_hold():
    assert doctest.testmod(folds).failed == 0
