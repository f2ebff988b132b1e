"""The script of the pictures is one file of the book, and no page holds it."""

import re

import pytest
import shared

SCRIPT = re.compile(r'<script defer src="([^"]*/?_static/picture\.[0-9a-f]{8}\.js)"></script>')
ELEMENT = re.compile(r"<(one-matrix-\w+-[0-9a-f]{8}) data='.*?</\1>", re.S)


@pytest.fixture
def written():
    return {}


def made(body, written):
    def write(name, text):
        written[name] = text
        return f"../_static/{name}"

    return shared.shared(body, write)


def test_two_pictures_share_one_script(written):
    one = "<a></a><script data-shared>one();\n</script>"
    found = made(one + "<p>text</p>" + one, written)
    (name,) = written
    assert written[name] == "one();\n"
    link = f'<script defer src="../_static/{name}"></script>'
    assert found == f"<a></a>{link}<p>text</p><a></a>"


def test_pictures_of_two_versions_keep_each_their_own(written):
    found = made("<script data-shared>1</script><script data-shared>2</script>", written)
    assert sorted(written.values()) == ["1", "2"]
    assert found.count("<script defer") == 2


def test_other_scripts_stay(written):
    body = "<script>one();</script><script src=a.js></script>"
    assert made(body, written) == body
    assert written == {}


def test_each_page_with_a_picture_asks_for_the_script_once(html):
    seen = 0
    for path in html.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert "<script data-shared>" not in text, path
        pictures = ELEMENT.findall(text)
        links = SCRIPT.findall(text)
        assert len(links) == bool(pictures), path
        for link in links:
            assert (path.parent / link).is_file()
            seen += 1
    assert seen >= 15


def test_the_picture_of_the_front_page_is_small(html):
    text = (html / "intro.html").read_text(encoding="utf-8")
    (picture,) = ELEMENT.finditer(text)
    assert len(picture[0].encode()) <= 40_000
