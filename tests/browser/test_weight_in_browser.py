"""What each page weighs stays below its limits, and a heavy page is found."""

import functools
import random
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import weigh  # noqa: E402
from hosting import hosted  # noqa: E402

HTML = ROOT / "_build" / "html"


@pytest.fixture(scope="module")
def weighed_once(browser, site):
    """Weighs a page of the book, or remembers what it weighed."""
    return functools.cache(functools.partial(weigh.weigh, browser, site, HTML))


@pytest.mark.parametrize("name", weigh.names(HTML))
def test_a_page_is_light(weighed_once, name):
    seen = weighed_once(weigh.seen_before(name))
    assert list(weigh.faults(weighed_once(name), seen)) == []


#: The parts of a page that are laid out late, and whether its script has given them their height.
LATE = """() => [...document.querySelectorAll("article section > section, dl.py")]
  .filter(part => getComputedStyle(part).contentVisibility == "auto")"""


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize("name", ["chapters/07_gradients", "back/api"])
def test_a_link_far_down_leads_there_although_the_page_is_laid_out_late(
    browser, site, name, scripts
):
    with browser.new_context(
        viewport={"width": 390, "height": 844}, java_script_enabled=scripts
    ) as context:
        page = context.new_page()
        page.goto(f"{site}{name}.html")
        last = page.evaluate(
            "[...document.querySelectorAll('article section[id], article dt[id]')]"
            ".filter(place => !place.closest('details')).pop().id"
        )
        page.goto("about:blank")
        page.goto(f"{site}{name}.html#{last}")
        assert page.evaluate(f"({LATE})().length") > 5
        if scripts:
            page.wait_for_function(f"({LATE})().every(part => part.style.containIntrinsicHeight)")
        top = page.evaluate("id => document.getElementById(id).getBoundingClientRect().top", last)
        assert -2 < top < 400


def test_a_page_is_as_long_before_it_is_laid_out_as_afterwards(browser, site):
    with browser.new_context(viewport={"width": 390, "height": 844}) as context:
        page = context.new_page()
        page.goto(f"{site}chapters/07_gradients.html")
        page.wait_for_function(f"({LATE})().every(part => part.style.containIntrinsicHeight)")
        tall = "document.documentElement.scrollHeight"
        before = page.evaluate(tall)
        page.add_style_tag(content="* { content-visibility: visible !important }")
        assert page.evaluate(tall) == pytest.approx(before, rel=0.03)


PAGE = """<!doctype html><meta name=viewport content='width=device-width'><title>x</title>
<link rel=stylesheet href=a.css><script src=a.js></script><body>{}"""


@pytest.fixture
def small_book(tmp_path):
    """Writes a page with its files; the picture is noise, which no format makes smaller."""

    def write(body):
        (tmp_path / "page.html").write_text(PAGE.format(body), encoding="utf-8")
        for name in ("a.css", "a.js"):
            (tmp_path / name).touch()
        noise = random.Random(0).randbytes(3 * 130 * 130)
        Image.frombytes("RGB", (130, 130), noise).save(tmp_path / "b.png")
        return tmp_path

    return write


def weighed(browser, folder):
    with hosted(folder, "/") as site:
        return weigh.weigh(browser, site, folder, "page")


def test_what_a_page_loads_is_counted_compressed(browser, small_book):
    light = weighed(browser, small_book("<p>text"))
    assert len(light.loaded) == 3
    folder = small_book("<p>text")
    (folder / "a.css").write_text("p { color: red }\n" * 10_000, encoding="utf-8")
    heavier = weighed(browser, folder)
    assert light.first < heavier.first < light.first + 5_000


def test_pictures_below_the_first_screen_are_listed_apart_if_they_are_lazy(browser, small_book):
    down = "<div style='height:1000px'></div><img src=b.png {} width=9 height=9 alt=b>"
    eager = weighed(browser, small_book(down.format("")))
    lazy = weighed(browser, small_book(down.format("loading=lazy")))
    assert eager.first > 50_000 > lazy.first
    assert sum(lazy.lazy.values()) > 50_000
    assert eager.lazy == {}
    high = weighed(browser, small_book("<img src=b.png loading=lazy width=9 height=9 alt=b>"))
    assert high.first > 50_000


def test_a_heavy_page_is_found():
    first = {"http://x/a": weigh.FIRST + 1}
    many = {f"http://x/{n}": 1 for n in range(weigh.REQUESTS + 1)}
    seen = weigh.Weight("intro", {}, {}, 1)
    for heavy in (
        weigh.Weight("p", first, {}, 1),
        weigh.Weight("p", {"http://x/a": weigh.SECOND + 1}, {}, 1),
        weigh.Weight("p", many, {}, 1),
        weigh.Weight("p", {}, {}, weigh.ELEMENTS + 1),
    ):
        assert len(list(weigh.faults(heavy, seen))) >= 1
    known = weigh.Weight("intro", {"http://x/a": weigh.SECOND + 1}, {}, 1)
    assert list(weigh.faults(weigh.Weight("p", dict(known.loaded), {}, 1), known)) == []
