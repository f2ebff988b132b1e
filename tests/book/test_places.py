"""A link to a label that has moved to another page, or is another label now, arrives."""

import inventory
import places
import pytest
from bs4 import BeautifulSoup

PAGE = "<html><body><article>{}</article></body></html>"
STORED = {
    "pages": {
        "chapters/01_one": {
            "targets": ["cell-kept", "cell-moved", "cell-merged", "cell-lost"],
            "equations": ["eq-moved"],
        },
        "chapters/02_gone": {"targets": ["cell-other"]},
    },
    "gone": {
        "cell-merged": {"why": "one cell", "now": "cell-kept"},
        "cell-lost": {"why": "it said nothing"},
    },
}


@pytest.fixture
def book(tmp_path):
    """The folder of a small built book, with its places led on."""
    there = '<p id="cell-moved"></p><p id="equation-eq-moved"></p>'
    for name, content in {
        "chapters/01_one": '<p id="cell-kept"></p>',
        "back/A_more": there,
    }.items():
        path = tmp_path / f"{name}.html"
        path.parent.mkdir()
        path.write_text(PAGE.format(content), encoding="utf-8")
    places.write(tmp_path, STORED)
    return tmp_path


def lines(folder, page):
    soup = BeautifulSoup((folder / f"{page}.html").read_text("utf-8"), "html.parser")
    return {line["id"]: line.a["href"] for line in soup.select("article > .moved-place")}


def test_each_old_place_leads_to_the_new_one(book):
    assert lines(book, "chapters/01_one") == {
        "cell-moved": "../back/A_more.html#cell-moved",
        "cell-merged": "01_one.html#cell-kept",
        "equation-eq-moved": "../back/A_more.html#equation-eq-moved",
    }
    assert lines(book, "back/A_more") == {}


def test_to_write_them_again_changes_nothing(book):
    before = (book / "chapters/01_one.html").read_text("utf-8")
    places.write(book, STORED)
    assert (book / "chapters/01_one.html").read_text("utf-8") == before


def test_every_place_of_the_inventory_is_on_its_page_or_leads_on(html):
    stored = inventory.load()
    gone = stored["gone"] or {}
    for page, parts in stored["pages"].items():
        path = html / f"{page}.html"
        known = set(places.ID.findall(path.read_text("utf-8"))) if path.is_file() else None
        for label in inventory.labels_of(parts) if known else ():
            if label not in gone or gone[label].get("now"):
                assert {label, f"equation-{label}"} & known, (page, label)
