"""Results in rows and columns: the text, the HTML, and what is refused."""

import pytest
from bs4 import BeautifulSoup

from equivlib.tables import Table

ROWS = [("a <b>", 1234567, "0.5 ± 0.1"), ("longer name", 2, "12")]


def test_the_text_has_aligned_columns():
    assert str(Table(["name", "count", "share"], ROWS)).splitlines() == [
        "name             count      share",
        "a <b>        1,234,567  0.5 ± 0.1",
        "longer name          2         12",
    ]


def test_no_line_ends_in_blanks():
    lines = str(Table(["x", "y"], [("a", "b"), ("long", "long")], align="ll")).splitlines()
    assert lines == ["x     y", "a     b", "long  long"]


def test_the_page_shows_the_same_cells_as_the_text():
    table = Table(["name", "count", "share"], ROWS, caption="Shares & counts")
    soup = BeautifulSoup(table._repr_html_(), "html.parser")
    shown = [[cell.text for cell in row.find_all(["th", "td"])] for row in soup.find_all("tr")]
    assert shown == [list(table.headings), *map(list, table.rows)]
    assert soup.caption.text == "Shares & counts" == str(table).splitlines()[0]


def test_a_screen_reader_finds_the_headings_of_rows_and_columns():
    soup = BeautifulSoup(Table(["name", "count", "share"], ROWS)._repr_html_(), "html.parser")
    assert [cell["scope"] for cell in soup.find_all("th")] == ["col"] * 3 + ["row"] * 2


def test_an_empty_corner_is_no_heading():
    soup = BeautifulSoup(Table(["", "count"], [("a", 1)])._repr_html_(), "html.parser")
    assert [cell.name for cell in soup.tr.find_all(True)] == ["td", "th"]


def test_a_table_without_rows_has_its_headings():
    assert str(Table(["name", "count"], [])) == "name  count"


@pytest.mark.parametrize(
    ("rows", "align", "told"),
    [
        ([("a",)], None, r"row 0 \(=\('a',\)\) must have 2 cells"),
        ([], "l", r"align \(='l'\) must have one of 'l', 'r' for each of 2 columns"),
        ([], "lc", "align"),
    ],
)
def test_what_does_not_fit_is_refused(rows, align, told):
    with pytest.raises(ValueError, match=told):
        Table(["x", "y"], rows, align=align)
