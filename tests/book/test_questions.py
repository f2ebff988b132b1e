"""The page of questions: all of them, each with where it was asked and with its proof."""

import functools
import re

import pytest
from bs4 import BeautifulSoup

QUESTIONS = [
    "q-equal",
    "q-special-case",
    "q-whole-network",
    "q-one-by-one",
    "q-connection-table",
    "q-locally-connected",
    "q-toeplitz",
    "q-two-dimensions",
    "q-options",
    "q-which-matrix",
    "q-bias",
    "q-mirrored",
    "q-rank",
    "q-rotation",
    "q-deconvolution",
    "q-fold",
    "q-larger-image",
    "q-flatten-order",
    "q-allclose",
    "q-bit-for-bit",
    "q-batch-norm",
    "q-one-big-mlp",
    "q-overfit",
    "q-start-as-cnn",
    "q-same-training",
    "q-faster",
    "q-im2col-why",
    "q-fourier",
]


@functools.cache
def parsed(path):
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")


@pytest.fixture(scope="module")
def page_of_questions(html):
    return parsed(html / "back/questions.html")


def answer(page, label):
    """The section of one question."""
    target = page.find(id=label)
    assert target, f"{label} is not on the page"
    section = target if target.name == "section" else target.find_parent("section")
    assert section.find(["h2", "h3"]).name == "h3"
    return section


def targets(section, pattern):
    links = [a["href"].partition("#") for a in section.select("a[href*='#']")]
    return [(path, name) for path, _, name in links if re.match(pattern, name)]


def test_the_page_has_the_questions_and_lists_them(page_of_questions):
    article = page_of_questions.find("article")
    assert len(article.find_all("h3")) == len(QUESTIONS)
    for label in QUESTIONS:
        assert article.select(f"ul a[href='#{label}']"), label


@pytest.mark.parametrize("label", QUESTIONS)
def test_the_question_says_where_it_was_asked(page_of_questions, label):
    asked = answer(page_of_questions, label).find("p")
    assert asked.get_text().startswith("Asked")
    assert asked.select("a.external[href^='http']") or asked.get_text() == "Asked next."


@pytest.mark.parametrize("label", QUESTIONS)
def test_the_answer_is_one_paragraph_and_one_line_of_links(page_of_questions, label):
    _, text, links = answer(page_of_questions, label).find_all("p", recursive=False)
    assert 50 < len(text.get_text().split()) < 250
    told = links.get_text(" ")
    assert re.match(r"Theorem.*Cell.*Picture", told, flags=re.S), told


@pytest.mark.parametrize("label", QUESTIONS)
def test_the_answer_links_to_a_theorem_a_cell_and_a_picture(page_of_questions, html, label):
    section = answer(page_of_questions, label)
    for kind, tag in (
        ("(thm|def)-", ".proof"),
        ("cell-", "div.cell"),
        ("picture-", "div.cell"),
    ):
        found = targets(section, kind)
        assert found, f"{label} has no link to {kind}"
        for path, name in found:
            there = parsed((html / "back" / path).resolve())
            # The target of a check is inside its fold, so that a link opens it.
            place = f"{tag}[id='{name}'], {tag} .fold-body[id='{name}']"
            assert there.select(place), f"{path}#{name} is no {tag}"
