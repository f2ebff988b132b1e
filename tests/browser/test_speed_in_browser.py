"""How long a change takes until it is drawn, for every picture of the book: on a slow phone.

A phone is taken to be four times slower than this machine. What counts is the processor time of the
page's thread, times four: what else runs on this machine is not measured with it.
"""

import html
import json
import re

import numpy as np
import pytest
from conftest import ROOT

from equivlib import explore

PHONE = 4
LIMIT, LARGE = 50, 100  # milliseconds
TIMES = 8
NOTEBOOKS = [ROOT / "intro.ipynb", *sorted((ROOT / "chapters").glob("*.ipynb"))]

#: Changes the input, then the kernel, in turn, and has the page laid out after each change.
CHANGES = """(picture, { times, setting }) => {
  const layer = picture.setTie !== undefined;
  if (setting) picture.load(setting);
  const inside = layer ? picture.layout.inside.indexOf(true) : 0;
  const place = layer ? inside + Math.floor((picture.layout.shows.length - inside) / 2) : 0;
  const x = layer && picture.layout.inside[place] ? place : inside;
  const cells = layer ? [["x", x], ["k", picture.state.k.length >> 1]] : [["n", "-1,0"]];
  for (let n = 0; n < times; n++) {
    picture.change(...cells[n % cells.length], 1 + (n % 7));
    picture.shadowRoot.querySelector(".answer").getBoundingClientRect();
  }
  return cells.length;
}"""


class Stored:
    """A picture as a notebook keeps it."""

    def __init__(self, html):
        self._html = html

    def _repr_html_(self):
        return self._html


def stored(path):
    """Return the pictures in the outputs of a notebook."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    texts = ["".join(output.get("data", {}).get("text/html", "")) for output in outputs]
    return [Stored(text) for text in texts if text.startswith("<one-matrix-")]


def processor(session):
    """Return the milliseconds that the page's thread has worked so far."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return 1000 * next(one["value"] for one in metrics if one["name"] == "TaskDuration")


def took(page, setting=0):
    """Return milliseconds of a change on a phone, after some that warm up."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    picture = page.locator("main > [data]")
    picture.evaluate(CHANGES, {"times": TIMES, "setting": setting})
    before = processor(session)
    picture.evaluate(CHANGES, {"times": TIMES, "setting": 0})
    return PHONE * (processor(session) - before) / TIMES


def settings(picture):
    """Return how many settings a picture has."""
    text = re.search(r"data='([^']*)'", picture._repr_html_())[1]
    told = json.loads(html.unescape(text))
    return len(told.get("settings", [0]))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_change_in_each_picture_of_the_book_is_drawn_at_once(visit, path):
    for picture in stored(path):
        for setting in range(settings(picture)):
            page = visit().show(picture)
            assert took(page, setting) <= LIMIT, setting


def test_all_pages_with_a_picture_are_measured():
    assert len([path for path in NOTEBOOKS if stored(path)]) >= 17


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "limit"), [((1, 16, 16), LARGE), ((1, 28, 28), LARGE)])
def test_a_change_in_a_large_picture_is_drawn_soon(visit, shape, limit):
    page = visit().show(explore(np.ones((1, 1, 3, 3), int), shape, padding=1))
    assert took(page) <= limit


@pytest.mark.slow
def test_a_slow_change_is_found(visit):
    """A control: with a hundred million square roots more, each change is beyond the limit."""
    page = visit().show(explore([[[1, -2, 1]]], (1, 5)))
    page.locator("main > [data]").evaluate(
        """picture => { const right = picture.change.bind(picture); picture.change = (...all) => {
        let sum = 0; for (let n = 0; n < 1e8; n++) sum += Math.sqrt(n);
        window.spent = sum; right(...all); }; }"""
    )
    assert took(page) > LIMIT
