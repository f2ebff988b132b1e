"""The book as one PDF: every link arrives, every chapter has a bookmark, nothing is left raw."""

import re
from datetime import UTC, datetime
from html import unescape
from io import BytesIO
from pathlib import Path
from unicodedata import normalize

import compact_pdf
import pdf
import pytest
from bs4 import BeautifulSoup
from check_pages import pages
from chromium import chromium

EARLY, LATE = (datetime(year, 2, 3, 4, 5, 6, tzinfo=UTC) for year in (2001, 2026))
BASE = "https://book.example/"
TIME = b"D:20200101000000+00'00'"
#: What a formula or a reference would show if it was not set.
RAW = re.compile(
    r"\\(?:frac|sum|begin|end|mathbb|cdot|times|text)\b|\\[(\[]|\{(?:prf:ref|ref|eq)\}"
)


@pytest.mark.parametrize(
    ("href", "arrives"),
    [
        ("02_b.html", "#02_b"),
        ("02_b.html#thm-%C3%A9", "#02_b.thm-%C3%A9"),
        ("#here", "#01_a.here"),
        ("../intro.html#top", "#intro.top"),
        ("../genindex.html", f"{BASE}genindex.html"),
        ("../downloads/01_a.py", f"{BASE}downloads/01_a.py"),
        ("../prf-prf.html#thm", f"{BASE}prf-prf.html#thm"),
        ("https://else.example/02_b.html#x", "https://else.example/02_b.html#x"),
        ("mailto:a@else.example", "mailto:a@else.example"),
    ],
)
def test_a_link_arrives_in_the_file_or_at_the_published_book(href, arrives):
    inside = {"intro", "chapters/01_a", "chapters/02_b"}
    assert pdf.target(href, "chapters/01_a", inside, BASE) == arrives
    known = not arrives.startswith(BASE)
    assert pdf.target(href, "chapters/01_a", inside, "") == (arrives if known else None)


def test_the_parts_hold_every_page_once_and_no_two_share_a_name():
    named = [page for _, part in pdf.parts() for page in part]
    assert named == pages()
    assert len({pdf.place(page) for page in named}) == len(named)


PAGE = """<main><article><section id="one"><h1>One<a class="headerlink" href="#one">#</a></h1>
<p class="reading-time">9 minutes</p><p><a href="two.html#one">on</a> <a href="#one">here</a></p>
<div id="picture-a"><one-matrix-layer-1 data='{}'><div tabindex="0"><svg></svg></div>
</one-matrix-layer-1><script src="a.js"></script></div>
<details class="fold proof"><summary>Proof</summary><p aria-labelledby="one">So.</p></details>
<img src="../_images/a.png" alt="" loading="lazy"></section></article></main>"""


def test_a_page_is_open_static_and_named_apart(tmp_path):
    (tmp_path / "chapters").mkdir()
    (tmp_path / "chapters" / "one.html").write_text(PAGE, encoding="utf-8")
    text = pdf.text_of(tmp_path, "chapters/one", {"chapters/one", "chapters/two"}, BASE)
    assert text["id"] == "one"
    assert text.section["id"] == "one.one"
    assert text.h2.get_text() == "One"
    assert text.select_one("h1, script, .reading-time, [tabindex], [loading]") is None
    assert [a["href"] for a in text.select("p > a")][:2] == ["#two.one", "#one.one"]
    assert text.select_one(".live a")["href"] == f"{BASE}chapters/one.html#picture-a"
    assert text.select_one(".picture svg") is not None
    assert text.select_one("details").has_attr("open")
    assert text.select_one("details p")["aria-labelledby"] == "one.one"
    assert text.img["src"].endswith("_images/a.png")


def test_a_request_to_another_host_or_for_a_missing_file_fails(tmp_path):
    if chromium() is None:
        pytest.skip(pdf.MISSING)
    page = tmp_path / "page.html"
    here = f"<img src='{(pdf.ROOT / '_static' / 'logo.svg').as_uri()}'>"
    sources = ("https://else.example/a.png", "absent.png")
    page.write_text(here + "".join(f"<img src='{s}'>" for s in sources), encoding="utf-8")
    with pytest.raises(SystemExit) as told:
        pdf.printed(page)
    assert all(source in str(told.value) for source in sources)
    assert "logo.svg" not in str(told.value)


def written(words):
    """Return a small PDF with a plain table of places, a bookmark and an uncompressed stream."""
    pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed: make installs the lock")
    writer = pypdf.PdfWriter()
    writer.add_blank_page(width=200, height=200)
    writer.add_outline_item(title=words, page_number=0)
    writer.add_attachment(filename="a.txt", data=words.encode())
    writer.add_metadata({"/CreationDate": TIME.decode(), "/Title": words})
    file = BytesIO()
    writer.write(file)
    # As many bytes as Chromium's, which writes times without a code for a sign.
    at = re.compile(rb"\(D[^)]*20200101[^)]*\)")
    plain = at.sub(lambda found: (b"(%b)" % TIME).ljust(len(found[0])), file.getvalue())
    return pypdf, plain


def test_the_compact_file_is_the_same_document_at_the_time_of_the_commit():
    pypdf, plain = written("A small book")
    small = compact_pdf.compact(plain, EARLY)
    read = pypdf.PdfReader(BytesIO(small), strict=True)
    assert len(read.pages) == 1
    assert [item.title for item in read.outline] == ["A small book"]
    assert read.attachments["a.txt"] == [b"A small book"]
    assert read.metadata.title == "A small book"
    assert read.metadata.creation_date == EARLY
    assert compact_pdf.compact(plain, EARLY) == small != compact_pdf.compact(plain, LATE)
    printed_later = plain.replace(b"D:20200101", b"D:20210630")
    assert compact_pdf.compact(printed_later, EARLY) == small


def test_many_objects_are_told_apart():
    pypdf, plain = written("A book")
    writer = pypdf.PdfWriter(BytesIO(plain))
    for n in range(2 * compact_pdf.TOGETHER):
        writer.add_blank_page(width=100 + n, height=200)
    file = BytesIO()
    writer.write(file)
    small = compact_pdf.compact(file.getvalue(), EARLY)
    assert len(small) < len(file.getvalue()) / 4
    widths = [page.mediabox.width for page in pypdf.PdfReader(BytesIO(small), strict=True).pages]
    assert widths == [200, *range(100, 100 + 2 * compact_pdf.TOGETHER)]


@pytest.mark.parametrize("spoilt", [(b"/Root", b"/Prev 1 /Root"), (b" 0 obj", b" 1 obj")])
def test_a_file_that_is_not_as_chromium_writes_is_refused(spoilt):
    _, plain = written("A book")
    trailer = plain.rfind(b"trailer") if spoilt[0] == b"/Root" else 0
    with pytest.raises(ValueError, match="the PDF must"):
        compact_pdf.compact(plain[:trailer] + plain[trailer:].replace(*spoilt), EARLY)


@pytest.fixture(scope="module")
def whole(html):
    """The built pages as the one that is printed."""
    return BeautifulSoup(pdf.assembled(html, LATE), "html.parser")


def reader(file):
    """Read a PDF, and complain about whatever is irregular in it."""
    pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed: make installs the lock")
    return pypdf.PdfReader(file, strict=True)


@pytest.fixture(scope="module")
def book(html, tmp_path_factory):
    """The book as `make pdf` has left it, or printed here if that is older than what makes it."""
    if chromium() is None:
        pytest.skip(pdf.MISSING)
    sources = (html / "intro.html", pdf.SHEET, Path(pdf.__file__), Path(compact_pdf.__file__))
    newest = max(path.stat().st_mtime for path in sources)
    if pdf.BOOK.is_file() and pdf.BOOK.stat().st_mtime >= newest:
        return reader(BytesIO(pdf.BOOK.read_bytes()))
    with pytest.MonkeyPatch.context() as patch:
        page = tmp_path_factory.mktemp("pdf") / "one-matrix.html"
        patch.setattr(pdf, "WHOLE", page)
        page.write_text(pdf.assembled(html, LATE), encoding="utf-8")
        return reader(BytesIO(compact_pdf.compact(pdf.printed(page), LATE)))


@pytest.fixture(scope="module")
def words(book):
    """The text of each sheet."""
    return [" ".join(page.extract_text().split()) for page in book.pages]


def plain(text):
    """Return a title in common letters: those of a formula are others in a PDF."""
    return " ".join(normalize("NFKC", text).split())


def bookmarks(entries, depth=0):
    for entry in entries:
        if isinstance(entry, list):
            yield from bookmarks(entry, depth + 1)
        else:
            yield depth, plain(entry.title), entry


@pytest.mark.slow
def test_in_the_whole_page_every_id_is_there_once_and_every_link_has_one(whole):
    ids = [element["id"] for element in whole.find_all(id=True)]
    assert len(ids) == len(set(ids)) > 1000
    links = [unescape(a["href"]) for a in whole.find_all("a", href=True)]
    inside = [pdf.unquote(link[1:]) for link in links if link.startswith("#")]
    assert len(inside) > 2000
    assert set(inside) <= set(ids)
    assert all(link.startswith(("#", "https://", "http://")) for link in links)
    assert whole.select("details:not([open]), script, [loading]") == []
    pictures = whole.select(".picture")
    assert len(pictures) >= 20
    assert all(picture.find("svg") for picture in pictures)


def links(read):
    """Return the places that links of a PDF ask for, those that are there, and addresses."""
    asked, addresses = set(), set()
    for page in read.pages:
        for note in (note.get_object() for note in page.get("/Annots", [])):
            action = note.get("/A", {})
            if "/URI" in action:
                addresses.add(str(action["/URI"]))
            else:
                asked.add(str(note.get("/Dest", action.get("/D"))).removeprefix("/"))
    numbers = {page.indirect_reference.idnum for page in read.pages}
    named = read.named_destinations.items()
    there = {name.removeprefix("/") for name, entry in named if entry.page.idnum in numbers}
    return asked, there, addresses


@pytest.mark.slow
def test_every_link_of_the_pdf_arrives(book, whole):
    asked, there, addresses = links(book)
    assert len(asked) > 1000
    assert asked <= there
    assert asked == {pdf.unquote(a["href"][1:]) for a in whole.select("a[href^='#']")}
    assert len(addresses) > 100
    assert [address for address in addresses if not address.startswith("http")] == []


@pytest.mark.slow
def test_a_link_that_leads_nowhere_is_noticed(tmp_path):
    if chromium() is None:
        pytest.skip(pdf.MISSING)
    page = tmp_path / "page.html"
    body = "<h1 id='a.b'>A</h1><a href='#a.b'>there</a> <a href='#gone'>nowhere</a>"
    page.write_text(f"<!DOCTYPE html><title>A</title>{body}", encoding="utf-8")
    asked, there, _ = links(reader(BytesIO(pdf.printed(page))))
    assert asked == there == {"a.b"}  # Chromium leaves out the other, which the test above counts


@pytest.mark.slow
def test_the_bookmarks_are_parts_chapters_and_sections(book, whole):
    found = list(bookmarks(book.outline))
    headings = [plain(h.get_text()) for h in whole.find_all(re.compile("^h[1-6]$"))]
    assert [title for _, title, _ in found] == headings
    top = [title for depth, title, _ in found if depth == 0]
    assert top[:2] == ["Contents", "One Matrix"]
    assert top[2:] == [caption for caption, _ in pdf.parts() if caption]
    chapters = [title for depth, title, _ in found if depth == 1 and "." in title.split()[0]]
    assert len(chapters) >= 23
    sheets = [book.get_destination_page_number(entry) for _, _, entry in found]
    assert sheets == sorted(sheets)


@pytest.mark.slow
def test_the_text_holds_every_theorem_and_nothing_raw(whole, words):
    text = " ".join(words)
    titles = [t.get_text() for t in whole.select(".proof > .admonition-title")]
    labels = {found[0] for title in titles if (found := re.match(r"\w+ [\dA-Z]+\.\d+", title))}
    assert len(labels) > 100
    assert [label for label in labels if f"{label} (" not in text and f"{label} " not in text] == []
    for code in whole.select("pre, code"):
        code.decompose()
    assert RAW.findall(whole.body.get_text()) == []
    assert RAW.search(r"so \frac{1}{2}")
    assert "\N{REPLACEMENT CHARACTER}" not in text


@pytest.mark.slow
def test_the_sheets_are_numbered_full_and_light(book, words):
    assert len(words) < 1000
    assert book.stream.getbuffer().nbytes < 30e6
    numbered = [n for n, text in enumerate(words, 1) if re.search(rf"(^|\D){n}($|\D)", text)]
    assert numbered == list(range(2, len(words) + 1)) or numbered == list(range(1, len(words) + 1))
    assert [n for n, text in enumerate(words, 1) if len(text) < 60] == []


@pytest.mark.slow
def test_every_font_is_in_the_file(book):
    fonts = {}
    for page in book.pages:
        for name, font in page["/Resources"].get("/Font", {}).items():
            fonts[name] = font.get_object()
    assert len(fonts) > 5
    for font in fonts.values():
        inner = font["/DescendantFonts"][0].get_object() if "/DescendantFonts" in font else font
        embedded = {"/FontFile", "/FontFile2", "/FontFile3"} & set(inner.get("/FontDescriptor", {}))
        assert font["/Subtype"] == "/Type3" or embedded, font
