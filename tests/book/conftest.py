"""What the tests of the book share: its files, its chapters, its built pages."""

import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "_extensions")]

import check_pages  # noqa: E402

#: The short answer to the question of the book: a page of pictures, without theorems and exercises.
TEN_MINUTES = ROOT / "chapters" / "00_ten_minutes.ipynb"
#: How the experiments are made: an appendix without theorems and exercises.
PROTOCOL = ROOT / "chapters" / "D_protocol.ipynb"
NOTEBOOKS = sorted((ROOT / "chapters").glob("*.ipynb"))
CHAPTERS = [path for path in NOTEBOOKS if path not in (TEN_MINUTES, PROTOCOL)]


def read(path):
    return nbformat.read(path, as_version=4)


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def chapter(request):
    """The path of each chapter in turn."""
    return request.param


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    """The path of each chapter, and of the pages with a form of their own, in turn."""
    return request.param


@pytest.fixture(scope="session")
def html():
    """The folder of the built book."""
    folder = ROOT / "_build" / "html"
    if not (folder / "intro.html").is_file():
        pytest.fail("the book is not built: make book builds it")
    return folder


@pytest.fixture(params=check_pages.pages())
def page(request):
    """The name of each page of the table of contents in turn."""
    return request.param
