"""The page of theorems: all of them, each with how it is checked and where."""

import re

import pytest
import replay
import theorems
from bs4 import BeautifulSoup
from conftest import read

ALL = [theorem for stem in replay.stems() for theorem in theorems.of_chapter(stem)]


def test_every_theorem_of_the_chapters_is_found():
    text = "\n".join(c.source for stem in replay.stems() for c in read(replay.notebook(stem)).cells)
    labels = re.findall(r"^:label: (thm-[\w-]+)$", text, flags=re.M)
    assert [theorem.label for theorem in ALL] == labels
    assert len(labels) > 85


@pytest.mark.parametrize("theorem", ALL, ids=lambda theorem: theorem.label)
def test_a_theorem_has_a_proof_in_words_or_by_symbols_and_a_cell_that_guards_it(theorem):
    assert theorem.proved or theorem.symbols in theorems.GENERAL
    assert theorem.cells


def test_symbols_prove_most_theorems_for_every_size():
    general = [theorem for theorem in ALL if theorem.symbols in theorems.GENERAL]
    assert len(general) / len(ALL) >= 0.58


def test_the_page_links_each_theorem_and_its_cells(html):
    soup = BeautifulSoup((html / "back/theorems.html").read_text("utf-8"), "html.parser")
    linked = {a["href"].partition("#")[2] for a in soup.select("article a.reference[href]")}
    for theorem in ALL:
        assert theorem.label in linked
        assert set(theorem.cells) <= linked
