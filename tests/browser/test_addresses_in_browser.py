"""Addresses that do not exist any more: the reader is led on, or told where to look."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "_extensions")]

import head  # noqa: E402
from hosting import base_path, hosted  # noqa: E402


@pytest.mark.parametrize("address", ["nowhere.html", "chapters/no/such/page", "chapters/"])
def test_at_any_depth_a_lost_reader_gets_the_whole_page(browser, site, address):
    with browser.new_context() as context:
        page, answers = context.new_page(), []
        page.on("response", lambda answer: answers.append((answer.url, answer.status)))
        page.goto(site + address, wait_until="load")
        assert [url for url, status in answers if status >= 400] == [site + address]
        assert len(answers) > 2  # its style and its script came
        page.get_by_role("main").get_by_role("link", name="front page").click()
        page.wait_for_url(f"{site}index.html")
        assert page.title() == "One Matrix"


def test_a_lost_reader_can_search(browser, site):
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{site}chapters/no/such/page.html")
        page.fill("#lost-words", "Toeplitz")
        page.press("#lost-words", "Enter")
        page.wait_for_url(f"{site}search.html?q=Toeplitz")


@pytest.fixture
def moved(tmp_path):
    """A page that has moved from one folder to another, with its new address."""
    (tmp_path / "old").mkdir()
    (tmp_path / "new.html").write_text(
        "<!doctype html><title>New</title><p id=a>a<p id=b>b", encoding="utf-8"
    )
    leading = head.leading_on("../new.html", "a", "https://book.example/new.html")
    (tmp_path / "old" / "page.html").write_text(leading, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("served", [True, False])
@pytest.mark.parametrize(
    ("asked", "got"),
    [("", "#a"), ("#b", "#b"), ("?q=1#b", "?q=1#b")],
)
def test_an_old_address_keeps_what_was_asked_for(browser, moved, served, asked, got):
    with hosted(moved, "/book/") as site, browser.new_context() as context:
        base = site if served else f"{moved.as_uri()}/"
        page = context.new_page()
        page.goto(f"{base}old/page.html{asked}")
        page.wait_for_url(f"{base}new.html{got}")


def test_an_old_address_leads_on_without_scripts(browser, moved):
    with (
        hosted(moved, "/book/") as site,
        browser.new_context(java_script_enabled=False) as context,
    ):
        page = context.new_page()
        page.goto(f"{site}old/page.html")
        page.wait_for_url(f"{site}new.html#a")


def test_the_server_of_the_tests_serves_below_the_path_of_the_book(book, site):
    assert base_path(book).startswith("/")
    assert site.endswith(base_path(book))
