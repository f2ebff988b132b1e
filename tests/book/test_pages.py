"""The built book: every page is whole, self-contained and reachable."""

import re

import check_pages
import notebooks
import pytest
from bs4 import BeautifulSoup
from conftest import ROOT

GOOD = "<html><body><article>{}</article></body></html>"
WORDS = "word " * check_pages.MANY_WORDS


def soup(html, page):
    return BeautifulSoup((html / f"{page}.html").read_text(encoding="utf-8"), "html.parser")


def test_the_page_is_whole(html, page):
    assert check_pages.faults(html, page) == []


def test_the_page_describes_itself_to_search_engines(html, page):
    described = soup(html, page).find("meta", attrs={"name": "description"})
    assert described
    assert len(described["content"]) > 40


def test_every_script_is_loaded_once(html, page):
    scripts = [tag["src"] for tag in soup(html, page).find_all("script", src=True)]
    assert len(scripts) == len(set(scripts))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "is empty"),
        (WORDS + "<p>:::{prf:theorem} Name</p>", "raw directive"),
        (WORDS + "<p>see {prf:ref}`thm-affine`</p>", "raw directive"),
        (WORDS + "<pre>Traceback (most recent call last):</pre>", "traceback"),
        (WORDS + "<img src='x.png'>", "without a description"),
        (WORDS + "<script src='https://elsewhere.example/a.js'></script>", "loads"),
        (WORDS + "<link rel='stylesheet' href='//elsewhere.example/a.css'>", "loads"),
        (WORDS + "<a href='nowhere.html'>x</a>", "not there"),
        (WORDS + "<a href='#nowhere'>x</a>", "not there"),
    ],
)
def test_the_check_finds_what_is_wrong(tmp_path, content, fault):
    (tmp_path / "page.html").write_text(GOOD.format(content), encoding="utf-8")
    (tmp_path / "x.png").touch()
    assert any(fault in told for told in check_pages.faults(tmp_path, "page"))


def test_the_check_finds_a_page_that_was_not_built(tmp_path):
    assert check_pages.faults(tmp_path, "missing") == ["was not built"]


def test_every_label_that_is_a_term_has_a_glossary_entry():
    glossary = (ROOT / "back" / "glossary.md").read_text(encoding="utf-8")
    entries = {line.strip().lower() for line in glossary.splitlines() if re.match(r"\w", line)}
    text = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "chapters").glob("*.ipynb"))
    used = {t.split("<")[-1].strip(" >").lower() for t in re.findall(r"\{term\}`([^`]+)`", text)}
    assert used
    assert used <= entries


def test_every_source_that_is_cited_is_in_the_bibliography():
    known = set(
        re.findall(r"^@\w+\{(\S+),", (ROOT / "chapters/references.bib").read_text("utf-8"), re.M)
    )
    pages = [*notebooks.NOTEBOOKS, *(ROOT / "back").glob("*.md")]
    text = "".join(p.read_text(encoding="utf-8") for p in pages)
    cited = {k for keys in re.findall(r"\{cite:\w+\}`([^`]+)`", text) for k in keys.split(",")}
    assert cited
    assert cited <= known
