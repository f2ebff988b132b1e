"""The counts of a page, on pages whose numbers are known; and the limits of the chapters."""

import doctest

import count
import pytest
from bs4 import BeautifulSoup
from conftest import TEN_MINUTES

CODE = '<div class="cell_input"><div class="highlight"><pre>{}</pre></div></div>'
OUTPUT = '<div class="cell_output"><pre>{}</pre></div>'


def fold(text):
    return f"<details class='fold proof'><summary>Proof of it</summary>{text}</details>"


@pytest.mark.parametrize(
    ("html", "seen", "words"),
    [
        ("<p>Three short words.</p>", 3, 3),
        ("<p>a <em>b</em>c<br>d</p><p>e</p>", 4, 4),
        ('<p>one <span class="math">\\(x + y\\)</span>, and</p>', 3, 3),
        ("<p>one <math><mi>x</mi><mo>+</mo><mi>y</mi></math>-sized</p>", 2, 2),
        ('<div class="math">\\[a\\]<span class="eqno">(1.2)</span></div>', 1, 1),
        (f"<p>seen</p>{fold('<p>not at once</p>')}", 1, 4),
        (fold(f"<p>one</p>{fold('<p>two three</p>')}") + "<p>four</p>", 1, 4),
        ("<details open><summary>Bar</summary><p>open</p></details>", 1, 1),
        (CODE.format("a = 1\nb = 2") + OUTPUT.format("1 2"), 0, 0),
        ('<div class="cell_output"><figcaption>A caption</figcaption></div>', 2, 2),
        ('<div class="exercise"><p>Do this.</p></div>', 2, 2),
        ("<table><tr><td>1</td><td>2</td></tr></table>", 2, 2),
        ("<h2>Title<a class='headerlink'>#</a></h2><p class='reading-time'>9 minutes</p>", 1, 1),
        ("<script>var a</script><p>word – word</p>", 2, 2),
    ],
)
def test_words(html, seen, words):
    page = count.read(f"<section>{html}</section>")
    assert (page.visible, page.words) == (seen, words)


def test_what_is_around_the_text_of_a_page_is_not_counted():
    page = count.read("<nav><a>Next</a></nav><article><section><p>One</p></section>More</article>")
    assert page.words == 1


def test_open_code():
    lines = "\n".join("x = 1" for _ in range(7))
    html = CODE.format("a\n\nb\n") + fold(CODE.format("folded")) + CODE.format(lines)
    page = count.read(f"<section>{html}{OUTPUT.format('printed')}</section>")
    assert page.cells == [3, 7]
    assert page.longest == 7


def test_the_way_between_pictures_grows_with_what_lies_between():
    def way(between):
        ends = "<img src='a.png' alt=''>{}<one-matrix-layer-1></one-matrix-layer-1>"
        return count.read(f"<section>{ends.format(between)}</section>").way

    text = "<p>" + "word " * 170 + "</p>"
    assert way("") == 0
    assert way(text) == 12 * count.LINE + count.BLOCK
    assert way(text * 2) == 2 * way(text)
    assert way(CODE.format("a\nb")) == count.CODE_BLOCK + 2 * count.CODE_LINE
    assert way(fold(text)) < way(text)
    assert way(f"{text}<img src='b.png' alt=''>{text}{text}") == way(text * 2)


def test_the_way_leads_from_the_start_and_to_the_end():
    text = "<p>" + "word " * 170 + "</p>"
    picture = "<img src='a.png' alt=''>"
    assert (
        count.read(f"<section>{text}{text}{picture}{text}</section>").way
        == count.read(f"<section>{text}{picture}{text}{text}</section>").way
    )


def test_a_page_over_a_limit_is_named_with_what_it_has_too_much_of():
    within = count.Page(2200, 9000, [20, 20], 5, 1800, [])
    assert count.excesses("chapters/02_one_dimension", within) == []
    above = count.Page(2201, 9000, [20, 21], 5, 1801, [])
    assert count.excesses("chapters/02_one_dimension", above) == [
        "chapters/02_one_dimension: 2201 visible words, at most 2200",
        "chapters/02_one_dimension: 21 lines in an open cell, at most 20",
        "chapters/02_one_dimension: 1801 pixels without a picture, at most 1800",
    ]
    assert len(count.excesses("chapters/13_cost", above)) == 2


def test_the_page_of_ten_minutes_keeps_the_same_limits_and_has_eight_pictures():
    assert count.has_limits(count.TEN_MINUTES, count.Page(0, 0, [], 0, 0, []))
    assert not count.has_limits("back/api", count.Page(0, 0, [], 0, 0, []))
    assert count.excesses(count.TEN_MINUTES, count.Page(2200, 2300, [20], 8, 1800, [])) == []
    assert count.excesses(count.TEN_MINUTES, count.Page(2201, 2300, [20], 7, 1800, [])) == [
        "chapters/00_ten_minutes: 2201 visible words, at most 2200",
        "chapters/00_ten_minutes: 7 pictures, at least 8",
    ]


def test_the_new_form_is_known_by_its_headings():
    titles = ["The short answer", "Exercises", "For the record"]
    heading = "<h2><span class='section-number'>1.2. </span>{}<a class='headerlink'>#</a></h2>"
    html = f"<section>{''.join(map(heading.format, titles))}</section>"
    page = count.read(html)
    assert page.headings == titles
    assert page.new_form
    assert not count.read(html.replace("The short answer", "What you will see")).new_form
    assert count.read(html.replace("1.2.", "A.2.")).headings == titles


def built(html, chapter):
    return (html / "chapters" / f"{chapter.stem}.html").read_text(encoding="utf-8")


def test_a_chapter_keeps_the_limits(html, chapter):
    page = count.read(built(html, chapter))
    assert page.visible > 300
    assert page.new_form
    assert count.excesses(f"chapters/{chapter.stem}", page) == []


def test_the_answer_in_ten_minutes_keeps_its_limits(html):
    page = count.read(built(html, TEN_MINUTES))
    assert page.visible > 1000
    assert count.excesses(count.TEN_MINUTES, page) == []


def test_the_reading_time_on_a_page_is_that_of_its_text(html, notebook):
    text = built(html, notebook)
    (line,) = BeautifulSoup(text, "html.parser").select("h1 + .reading-time")
    assert line.get_text() == count.reading_time(count.read(text))


def test_each_page_has_a_line_in_the_table(html):
    pages = count.count_all(html)
    lines = count.table(pages).splitlines()
    assert [line.split()[0] for line in lines] == ["page", *pages]


def test_the_examples_hold():
    assert doctest.testmod(count).failed == 0
