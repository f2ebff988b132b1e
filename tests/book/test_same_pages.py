"""Two builds are compared byte by byte: every kind of difference is named, and nothing else."""

import doctest

import pytest
import same_pages
from conftest import ROOT

PAGES = {"index.html": b"<p>One</p>", "back/a b.html": b"<p>Two</p>", ".buildinfo": b"config: 1"}


def book(folder, **changed):
    """Write a book of three files; a change of None leaves the file out."""
    for name, content in {**PAGES, **changed}.items():
        if content is not None:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return folder


def compared(tmp_path, **changed):
    return list(same_pages.differences(book(tmp_path / "1"), book(tmp_path / "2", **changed)))


def test_equal_books_have_no_difference(tmp_path):
    assert compared(tmp_path) == []


def test_what_the_builder_keeps_for_itself_is_left_out(tmp_path):
    assert compared(tmp_path, **{".doctrees/index.doctree": b"1"}) == []


@pytest.mark.parametrize(
    ("changed", "name", "told"),
    [
        ({"index.html": b"<p>0ne</p>"}, "index.html", "byte 3 of 10 and 10"),
        ({"index.html": b"<p>One</p>\n"}, "index.html", "byte 10 of 10 and 11"),
        ({"index.html": b""}, "index.html", "byte 0 of 10 and 0"),
        ({"back/a b.html": None}, "back/a b.html", "only in"),
        ({"new.png": b"\x89"}, "new.png", "only in"),
        ({".buildinfo": b"config: 2"}, ".buildinfo", "byte 8"),
    ],
)
def test_each_kind_of_difference_is_named_once(tmp_path, changed, name, told):
    (line,) = compared(tmp_path, **changed)
    assert line.startswith(f"{name}: {told}")


def test_a_page_that_names_the_place_of_its_build_is_found(tmp_path):
    folder = book(tmp_path / "1", **{"index.html": f"from {tmp_path}/book".encode()})
    (line,) = same_pages.traces(folder, tmp_path / "book")
    assert line.startswith("index.html: it names")
    assert list(same_pages.traces(folder, tmp_path / "elsewhere")) == []


def test_the_first_difference_is_shown_with_what_is_around_it():
    assert doctest.testmod(same_pages).failed == 0


def run(monkeypatch, *folders):
    monkeypatch.setattr("sys.argv", ["same_pages.py", *map(str, folders)])
    return same_pages.main()


def test_the_exit_code_tells_the_outcome(monkeypatch, tmp_path, capsys):
    one, other = book(tmp_path / "1"), book(tmp_path / "2")
    assert run(monkeypatch, one, other) == 0
    assert "byte by byte" in capsys.readouterr().out
    (other / "index.html").unlink()
    assert run(monkeypatch, one, other) == 1


def test_a_folder_without_files_is_no_book(monkeypatch, tmp_path):
    (tmp_path / "2").mkdir()
    with pytest.raises(SystemExit) as error:
        run(monkeypatch, book(tmp_path / "1"), tmp_path / "2")
    assert error.value.code == 2


def test_the_two_builds_have_nothing_in_common_but_the_commit(tmp_path):
    (one, first), (other, second) = same_pages.BUILDS
    assert one != other
    assert " " in other
    assert not other.isascii()
    assert all(first[name] != second[name] for name in first)
    stamp = same_pages.export(tmp_path)
    assert stamp.isdigit()
    assert (tmp_path / "_toc.yml").read_bytes() == (ROOT / "_toc.yml").read_bytes()


def test_a_build_that_makes_no_page_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(same_pages, "BOOK", "pass")
    with pytest.raises(SystemExit, match="no book was built"):
        same_pages.build(tmp_path / "one", {})


@pytest.mark.slow
def test_two_builds_of_this_commit_are_the_same():
    assert same_pages.built_twice() == []
