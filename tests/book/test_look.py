"""The pages' frame and form: what the theme makes of what Sphinx gives it."""

import re
from collections import Counter
from pathlib import Path

import body
import cover
import look
import pytest
from bs4 import BeautifulSoup
from conftest import ROOT

BASE = (look.STATIC / "base.css").read_text(encoding="utf-8")
COLOURS = dict(re.findall(r"--([\w-]+): light-dark\((#[^)]+)\)", BASE))
OPTIONS = {
    "repository_url": "https://github.com/a/b",
    "repository_branch": "main",
    "launch_buttons": {"binderhub_url": "https://hub.example", "notebook_interface": "jupyterlab"},
    "use_repository_button": True,
    "use_issues_button": True,
}


def soup(html, name):
    return BeautifulSoup((html / f"{name}.html").read_text(encoding="utf-8"), "html.parser")


def brightness(colour):
    """Return the relative luminance of WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one, other):
    darker, lighter = sorted((brightness(one), brightness(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_that_of_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("ground", ["paper", "paper-2", "code"])
@pytest.mark.parametrize("ink", ["ink", "ink-2", "link", "accent", "accent-2"])
def test_text_and_code_can_be_read_on_every_ground(ink, ground):
    """The colours of code are these too: one for each kind of word."""
    for theme in (0, 1):
        colours = [COLOURS[name].split(",")[theme].strip() for name in (ink, ground)]
        assert contrast(*colours) >= 4.5, (theme, colours)


def test_code_has_no_colours_but_those():
    rules = re.search(r"/\* Colours of code.*?(?=/\* Tables)", BASE, flags=re.S)[0]
    named = set(re.findall(r"color: ([^;]+);", rules))
    assert named <= {f"var(--{ink})" for ink in ("link", "accent", "accent-2", "ink-2")}


def test_a_page_loads_one_style_sheet_and_scripts_of_the_theme(html, page):
    (sheet,) = soup(html, page).find_all("link", rel="stylesheet")
    assert "one_matrix.css?v=" in sheet["href"]
    own = {path.name for path in look.STATIC.glob("*.js")}
    for script in soup(html, page).select("head > script[src]"):
        assert Path(script["src"].split("?")[0]).name in own
        assert script.has_attr("defer")


def test_the_style_sheet_has_all_parts_of_the_theme(html):
    written = (html / "_static" / look.SHEET).read_text(encoding="utf-8")
    for path in look.STATIC.glob("*.css"):
        assert path.name in look.PARTS
        assert look.squeezed(path.read_text(encoding="utf-8")) in written
    for address in re.findall(r'url\("([^"]+)"\)', written):
        assert (html / "_static" / address).is_file()


def test_no_name_is_there_twice(html, page):
    names = Counter(tag["id"] for tag in soup(html, page).find_all(id=True))
    assert [name for name, times in names.items() if times > 1] == []


def test_theorems_definitions_and_exercises_link_to_themselves(html, page):
    for box in soup(html, page).select(".proof.admonition[id], .exercise.admonition[id]"):
        title = box.find(class_="admonition-title")
        assert title.find("a", class_="headerlink")["href"] == f"#{box['id']}"


def test_pictures_keep_their_place_and_come_when_they_are_near(html, page):
    for picture in soup(html, page).select("article .cell_output img"):
        assert int(picture["width"]) > 0
        assert int(picture["height"]) > 0
        assert (picture.get("loading") == "lazy") == bool(picture.find_previous("h2"))


def test_the_contents_name_every_page_and_mark_this_one(html, page):
    contents = soup(html, page).find("nav", id="contents")
    assert contents.find("a", attrs={"aria-current": "page"})["href"] in ("#", "intro.html")
    parts = [part.text for part in contents.find_all(class_="part")]
    assert parts[:5] == [
        "In short",
        "One layer",
        "A whole network",
        "Why not one big MLP?",
        "What the matrix is good for",
    ]
    numbers = [m[1] for a in contents.find_all("a") if (m := re.match(r"(\d+|[A-Z])\. ", a.text))]
    chapters = [number for number in numbers if number.isdigit()]
    assert chapters == [str(n) for n in range(1, len(chapters) + 1)]
    assert numbers[len(chapters) :] == list("ABCDEFGH"[: len(numbers) - len(chapters)])


def test_the_text_leaves_the_frame_whole(html, page):
    """A text with one closing tag too many would close the columns before their end."""
    frame = soup(html, page)
    assert len(frame.select(".sheet > main > article")) == 1
    assert len(frame.select(".sheet > aside.on-this-page")) == 1
    assert len(frame.select("body > footer")) == 1


def test_every_table_has_a_box_in_which_it_scrolls():
    tables = "<table><tr><td>1</td></tr></table><p>x</p><table class='a'>\n</table>"
    framed = BeautifulSoup(body.framed_tables(tables), "html.parser")
    assert len(framed.select("div.wide > table")) == 2
    assert len(framed.find_all(recursive=False)) == 3


def test_the_index_of_theorems_tells_number_and_name(html):
    told = soup(html, "prf-prf").find("main").get_text(" ", strip=True)
    assert "Theorem 1.1 A layer is known from its answers" in told
    assert "thm-" not in told


def test_the_cover_is_what_the_library_draws():
    assert cover.PATH.read_text(encoding="utf-8") == cover.cover()


def test_a_page_can_be_run_and_reported():
    found = look.tools(OPTIONS, "chapters/01.ipynb", "../downloads/01", "1. <b>A</b> &amp; B")
    assert {tool["kind"]: tool["address"] for tool in found} == {
        "notebook": "../downloads/01.ipynb",
        "script": "../downloads/01.py",
        "archive": "../downloads/chapters.zip",
        "run": "https://hub.example/v2/gh/a/b/main?urlpath=lab/tree/chapters/01.ipynb",
        "source": "https://github.com/a/b/blob/main/chapters/01.ipynb",
        "issue": "https://github.com/a/b/issues/new?title=On%20“1.%20A%20and%20B”:%20",
    }


def test_a_page_of_text_is_not_run():
    kinds = [tool["kind"] for tool in look.tools(OPTIONS, "back/a.md", "", "A")]
    assert kinds == ["source", "issue"]


def test_a_page_without_sections_has_no_list_of_them():
    assert look.sections('<ul>\n<li><a href="#">Title</a></li>\n</ul>') == ""
    inner = '<ul>\n<li><a href="#a">A</a></li>\n</ul>'
    assert look.sections(f'<ul>\n<li><a href="#">Title</a>{inner}\n</li>\n</ul>') == inner


def test_the_style_sheet_keeps_what_it_says():
    css = "/* a */ a > b , c {\n  margin: 0 auto;\n  color : red;\n}\n"
    assert look.squeezed(css) == "a>b,c{margin: 0 auto;color : red}"


def test_code_loses_the_elements_that_have_no_colour():
    code = '<pre><span></span><span class="n">x</span> <span class="o">=</span> '
    code += '<span class="s2">&quot;a&quot;</span></pre>'
    assert body.light_code(code) == '<pre>x = <span class="s2">&quot;a&quot;</span></pre>'


def test_a_picture_gets_its_size_from_its_file():
    tag = '<img alt="x" src="../_images/a.png" style="width: 100px;" />'
    drawn = ROOT / "_static" / "layer.png"
    wide, high = body.size(drawn)
    text = f"<h1>Title</h1>{tag}<h2>Section</h2>{tag}"
    first, second = re.findall("<img[^>]*>", body.sized_pictures(text, {"a.png": drawn}))
    assert f'width="100" height="{round(100 * high / wide)}"' in first
    assert "lazy" not in first
    assert 'loading="lazy"' in second
