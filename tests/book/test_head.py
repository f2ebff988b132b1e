"""What pages say about themselves: descriptions, addresses, pictures; pages for lost readers."""

import functools
import re
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit
from xml.etree import ElementTree

import cards
import check_pages
import drawn_svg
import head
import numpy as np
import pytest
import sections
from bs4 import BeautifulSoup
from PIL import Image
from sphinx.search.en import SearchEnglish

GENERATED = [name for name in head.GENERATED if name != head.LOST]
PAGES = [*check_pages.pages(), *GENERATED]
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20" role="img" aria-label="Two '
    'squares">{}</svg>'
)


def soup(html, page):
    return BeautifulSoup((html / f"{page}.html").read_text(encoding="utf-8"), "html.parser")


@functools.cache
def top(html, page):
    """Return the head of a page."""
    text = (html / f"{page}.html").read_text(encoding="utf-8")
    return BeautifulSoup(text.partition("</head>")[0], "html.parser")


def said(html, page):
    """Return the properties of a page's head by name."""
    tags = top(html, page).find_all("meta", content=True)
    return {tag.get("property") or tag.get("name"): tag["content"] for tag in tags}


@pytest.fixture(scope="module")
def base(html):
    """The address of the built book, as its front page has it."""
    return top(html, "intro").find("link", rel="canonical")["href"]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_one_description_and_one_address(html, base, page):
    found = top(html, page)
    (described,) = found.find_all("meta", attrs={"name": "description"})
    assert 40 < len(described["content"]) < 320
    (canonical,) = found.find_all("link", rel="canonical")
    assert canonical["href"] == (base if page == "intro" else f"{base}{page}.html")


def test_no_two_pages_describe_themselves_alike(html):
    told = [said(html, page)["description"] for page in PAGES]
    assert len(set(told)) == len(told)


@pytest.mark.parametrize("page", PAGES)
def test_a_link_to_a_page_shows_its_title_and_its_picture(html, base, page):
    facts = said(html, page)
    assert facts["og:title"]
    assert facts["og:url"] == top(html, page).find("link", rel="canonical")["href"]
    assert facts["og:description"] == facts["description"]
    assert facts["og:type"] == ("website" if page == "intro" else "article")
    assert len(facts["og:image:alt"].split()) > 5
    path = html / facts["og:image"].removeprefix(base)
    with Image.open(path) as drawn:
        assert drawn.format == "PNG"
        size = tuple(int(facts[f"og:image:{side}"]) for side in ("width", "height"))
        assert drawn.size == size == (cards.WIDTH, cards.HEIGHT)
    assert path.stat().st_size < 300_000  # more is not loaded by some sites


def test_every_page_with_a_figure_is_shown_with_its_own(html):
    """The cover is for pages without a figure; a picture that cannot be drawn would get it too."""
    for page in check_pages.pages():
        text = (html / f"{page}.html").read_text(encoding="utf-8")
        figures = cards.figures(text[text.find("<article") :])
        if page == "intro" or page.startswith("chapters/"):
            assert cards.chosen(figures) in figures, page
        for figure in figures:
            if figure.svg:
                drawn_svg.draw(figure.svg, 0.2)  # raises where it meets what it does not know


def test_no_two_chapters_are_shown_alike(html):
    shown = [path.read_bytes() for path in (html / head.CARDS).glob("*.png")]
    assert len(set(shown)) == len(shown) >= len(check_pages.pages())


def test_the_sitemap_lists_the_pages_of_the_book_and_no_others(html, base):
    tree = ElementTree.parse(html / "sitemap.xml")
    listed = {place.text for place in tree.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")}
    named = {page for page in check_pages.pages() if page != "intro"}
    assert listed == {base, *(f"{base}{page}.html" for page in named)}
    assert f"Sitemap: {base}sitemap.xml" in (html / "robots.txt").read_text(encoding="utf-8")


def test_the_address_of_the_book_shows_its_front_page(html):
    assert (html / "index.html").read_bytes() == (html / "intro.html").read_bytes()


def test_the_page_for_lost_readers_names_nothing_by_a_relative_address(html, base):
    path = urlsplit(base).path
    found = soup(html, head.LOST)
    addresses = [
        tag[name]
        for name in ("href", "src", "action")
        for tag in found.find_all(attrs={name: True})
    ]
    own = [address for address in addresses if not re.match(r"#|https?://", address)]
    assert [address for address in own if not address.startswith(path)] == []
    for wanted in ("index.html", "search.html", "chapters/01_two_layers.html"):
        assert path + wanted in own
    for address in own:
        assert (html / address.removeprefix(path).split("?")[0]).exists(), address


@pytest.mark.parametrize(
    ("repository", "chosen", "address"),
    [
        ("https://github.com/Somebody/fork", "", "https://somebody.github.io/fork/"),
        ("https://github.com/somebody/somebody.github.io", "", "https://somebody.github.io/"),
        ("https://gitlab.com/somebody/fork", "", "https://somebody.gitlab.io/fork/"),
        ("https://github.com/a/b", "https://book.example", "https://book.example/"),
        ("https://github.com/a/b", "http://127.0.0.1:8000/x/", "http://127.0.0.1:8000/x/"),
        ("https://git.example/a/b", "", ""),
    ],
)
def test_the_address_is_that_of_the_repository_unless_another_is_chosen(
    repository, chosen, address
):
    assert head.public_address(repository, chosen) == address


@pytest.mark.parametrize("chosen", ["book.example", "ftp://book.example/", "https://a b/"])
def test_a_malformed_address_is_refused(chosen):
    with pytest.raises(ValueError, match="BOOK_ADDRESS"):
        head.public_address("https://github.com/a/b", chosen)


@pytest.fixture
def moved(tmp_path, monkeypatch):
    """Writes the pages that lead on from a table, and returns what was warned of."""
    for name in ("new", "chapters/kept"):
        path = tmp_path / f"{name}.html"
        path.parent.mkdir(exist_ok=True)
        path.write_text('<p id="place">text</p>', encoding="utf-8")
    warned = []
    monkeypatch.setattr(head.logger, "warning", lambda told, *rest, **_: warned.append(told % rest))
    app = SimpleNamespace(
        outdir=tmp_path,
        config=SimpleNamespace(book_address="https://book.example/", root_doc="intro"),
        env=SimpleNamespace(found_docs={"new", "chapters/kept"}),
    )

    def write(table):
        (tmp_path / "moved.yml").write_text(table, encoding="utf-8")
        head.lead_on(app, tmp_path / "moved.yml")
        return tmp_path, warned

    return write


def test_an_old_address_leads_to_the_new_one(moved):
    folder, warned = moved("chapters/old: new#place\n")
    assert warned == []
    found = soup(folder, "chapters/old")
    refresh = found.find("meta", attrs={"http-equiv": "refresh"})
    assert refresh["content"] == "0; url=../new.html#place"
    assert found.find("a")["href"] == "../new.html#place"
    assert found.find("link", rel="canonical")["href"] == "https://book.example/new.html"


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("old: nowhere", "is not there"),
        ("old: new#nowhere", "has no place"),
        ("chapters/kept: new", "still there"),
        ("old: older\nolder: new", "name the last address"),
    ],
)
def test_a_wrong_line_of_the_table_is_warned_of(moved, table, told):
    assert any(told in one for one in moved(table)[1])


def test_the_table_of_the_book_is_right(html):
    table = head.yaml.safe_load(head.MOVED.read_text(encoding="utf-8"))
    for old, new in table.items():
        assert (html / f"{old}.html").is_file()
        assert (html / f"{new.partition('#')[0]}.html").is_file()


def test_a_picture_in_svg_is_drawn_where_its_squares_are():
    shapes = (
        '<g transform="translate(20 5)" stroke="none"><path fill="#ff0000" d="M0 0h10v10h-10z'
        'M12 0h4v10h-4z"/></g><rect x="2" y="2" width="4" height="4" fill="#0000ff"/>'
    )
    drawn = np.asarray(drawn_svg.draw(SVG.format(shapes), 2.0))
    assert drawn.shape == (40, 80, 3)
    red, blue = (drawn == (255, 0, 0)).all(axis=2), (drawn == (0, 0, 255)).all(axis=2)
    assert red[12:28, 42:58].all()
    assert red[12:28, 66:70].all()
    assert blue[5:11, 5:11].all()
    assert not red[:, :39].any()
    assert not blue[:, 14:].any()


@pytest.mark.parametrize(
    "shape",
    [
        '<path d="M0 0C1 1 2 2 3 3"/>',
        '<path fill="var(--ink)" d="M0 0h1v1z"/>',
        '<g transform="rotate(3)"/>',
        "<foreignObject/>",
    ],
)
def test_what_is_not_drawn_is_refused(shape):
    with pytest.raises(drawn_svg.NotDrawn):
        drawn_svg.draw(SVG.format(shape), 1.0)
    figure = cards.Figure("Two squares", SVG.format(shape))
    assert cards.chosen([figure]) == cards.cover() != figure


def test_the_index_of_sections_finds_a_word_by_its_stem():
    language = SearchEnglish({})
    assert sections.stems(language, "Weights decay, and the output_padding") >= {
        "weight",
        "decai",
        "output_pad",
    }
    assert "and" not in sections.stems(language, "Weights and biases")


def test_every_place_of_the_index_exists(html):
    told = (html / sections.FILE).read_text(encoding="utf-8")
    found = head.json.loads(told.removeprefix("setSections(").removesuffix(")\n"))
    assert len(found["places"]) > 100
    ids = {}
    for page, anchor, _ in found["places"]:
        if page not in ids:
            text = Path(html, f"{page}.html").read_text(encoding="utf-8")
            ids[page] = set(re.findall(r'\bid="([^"]*)"', text))
        assert anchor in ids[page], (page, anchor)
    assert max(sum(map(int, steps.split())) for steps in found["stems"].values()) < len(
        found["places"]
    )
