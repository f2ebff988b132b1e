"""The formulas: all of the book are MathML, and the MathML is what TeX means."""

import hashlib
import re
import subprocess
import sys
from html import unescape

import check_pages
import formulas
import pytest
import subset_font
from bs4 import BeautifulSoup
from conftest import ROOT

# Small formulas with their MathML, written by hand.
KNOWN = {
    "x": "<math><mi>x</mi></math>",
    "x_i": "<math><msub><mi>x</mi><mi>i</mi></msub></math>",
    "3{,}456": "<math><mn>3,456</mn></math>",
    "a + b": "<math><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow></math>",
    r"\frac{1}{n}": "<math><mfrac><mn>1</mn><mi>n</mi></mfrac></math>",
    r"\sqrt{2}": "<math><msqrt><mn>2</mn></msqrt></math>",
    r"A^{\mathsf T}": "<math><msup><mi>A</mi><mi>𝖳</mi></msup></math>",
    r"\text{if } n": "<math><mrow><mtext>if\xa0</mtext><mi>n</mi></mrow></math>",
    # No space inside an index, a thin one before a function with a name.
    "x_{i+1}": ("<math><msub><mi>x</mi><mrow><mi>i</mi><mo>+</mo><mn>1</mn></mrow></msub></math>"),
    r"W \operatorname{vec} x": (
        '<math><mrow><mi>W</mi><mspace width="0.1667em"/><mi>vec</mi><mo>\u2061</mo>'
        '<mspace width="0.1667em"/><mi>x</mi></mrow></math>'
    ),
}

# What concerns the distance of signs is compared where a case is about it.
SPACING = re.compile(r' (?:class|form|stretchy|lspace|rspace|style)="[^"]*"')

CONF = f"""
import sys
sys.path.insert(0, {str(ROOT / "_extensions")!r})
extensions = ["formulas"]
"""


def tags(tex, display=False):
    """Return the elements of a formula without what they say about spaces."""
    return SPACING.sub("", formulas.mathml(tex, display)).replace(" />", "/>")


@pytest.mark.parametrize("tex", KNOWN)
def test_small_formulas_are_as_written_by_hand(tex):
    assert tags(tex) == KNOWN[tex]


def test_an_index_has_no_space_around_its_operators():
    assert '<mo lspace="0" rspace="0">+</mo>' in formulas.mathml("x_{i+1}")
    assert "lspace" not in formulas.mathml("x + 1")


def test_the_brackets_of_a_matrix_stretch_and_those_of_an_argument_do_not():
    matrix = formulas.mathml(r"\begin{pmatrix} 1 & 0 \\ 0 & 1 \end{pmatrix}", display=True)
    assert re.findall(r'stretchy="(\w+)">([()])', matrix) == [("true", "("), ("true", ")")]
    assert re.findall(r'stretchy="(\w+)">([()])', formulas.mathml("f(x)")) == [
        ("false", "("),
        ("false", ")"),
    ]
    table = BeautifulSoup(matrix, "html.parser").mtable
    assert [[cell.get_text() for cell in row("mtd")] for row in table("mtr")] == [
        ["1", "0"],
        ["0", "1"],
    ]


def test_brackets_stretch_only_around_what_is_tall():
    """Sympy writes every pair of brackets as one that stretches."""
    assert 'stretchy="true"' not in formulas.mathml(r"e \left(d t + i\right)")
    assert formulas.mathml(r"\left(\frac{1}{2}\right)").count('stretchy="true"') == 2


@pytest.mark.parametrize("environment", ["aligned", "align", "gathered", "cases", "array"])
def test_environments_become_tables(environment):
    columns = "{ll}" if environment == "array" else ""
    tex = rf"\begin{{{environment}}}{columns} a &= b \\ c &= d \end{{{environment}}}"
    tex = tex.replace("&", "") if environment == "gathered" else tex
    assert formulas.mathml(tex, display=True).count("<mtr>") == 2


def test_lengths_grow_with_the_formula():
    assert not re.search(r"\d(pt|px)", formulas.mathml(r"\begin{matrix} 1 & 2 \end{matrix}", True))


LONG = r"y[u, o] = b[u] + \sum_{c, a} w[u, c, a]\, x[c, s\,o + d\,a - p] \le M"


def test_a_long_inline_formula_may_break_after_its_operators():
    parts = re.findall(r"<math>.*?</math>", formulas.mathml(LONG))
    ends = [BeautifulSoup(part, "html.parser").get_text()[-1] for part in parts]
    assert ends == ["=", "+", "+", "≤", "M"]
    whole = BeautifulSoup(formulas.mathml(LONG, display=True), "html.parser")
    assert len(whole("math")) == 1
    assert "".join(BeautifulSoup(p, "html.parser").get_text() for p in parts) == whole.get_text()


def test_an_operator_at_the_end_of_a_line_keeps_its_space():
    first = re.findall(r"<math>.*?</math>", formulas.mathml(LONG))[0]
    assert first.endswith('<mo form="infix">=</mo></math>')


def test_a_short_formula_and_a_sign_before_its_number_stay_whole():
    assert formulas.mathml("a = -b").count("<math") == 1
    for part in re.findall(
        r"<math>.*?</math>", formulas.mathml("a_{1} + a_{2} + a_3 = -b_1 - b_2")
    ):
        assert BeautifulSoup(part, "html.parser").get_text() != "−"


@pytest.mark.parametrize("tex", [r"\frac{1", r"\nosuchcommand x", r"\begin{matrix} 1", "x_i_j"])
def test_what_cannot_be_set_is_refused(tex):
    with pytest.raises(formulas.FormulaError):
        formulas.mathml(tex)


@pytest.mark.parametrize(
    ("tex", "becomes"),
    [
        (r"a \\ b", r"\begin{split}a \\ b\end{split}"),
        (r"\begin{matrix} a \\ b \end{matrix}", r"\begin{matrix} a \\ b \end{matrix}"),
        ("a\n\nb", r"\begin{gathered}a\\b\end{gathered}"),
    ],
)
def test_lines_of_a_display_formula(tex, becomes):
    from docutils import nodes

    assert formulas.display_source(nodes.math_block(tex, tex, nowrap=False)) == becomes


def built(folder, source):
    """Return a page with this source, built with warnings as errors."""
    (folder / "conf.py").write_text(CONF, encoding="utf-8")
    (folder / "index.rst").write_text("Page\n====\n\n" + source, encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q"]
    return subprocess.run(
        [*command, str(folder), str(folder / "out")], capture_output=True, text=True, check=False
    )


def test_a_broken_formula_fails_the_build_and_is_named(tmp_path):
    done = built(tmp_path, r"Text with :math:`\frac{1` in it." + "\n")
    assert done.returncode != 0
    assert "index" in done.stderr
    assert r"\\frac{1" in done.stderr


@pytest.mark.parametrize(
    ("source", "joined"),
    [
        ("So (:math:`a`, b).", ["(a,"]),
        (":math:`a`, :math:`b`.", ["a,", "b."]),
        ("The :math:`n`\\ th of :math:`m` here", ["nth"]),
        (":math:`k`-dimensional", ["k-"]),
        ("Let :math:`a` be", []),
    ],
)
def test_what_touches_a_formula_stays_with_it(tmp_path, source, joined):
    done = built(tmp_path, source + "\n")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    soup = BeautifulSoup(page, "html.parser")
    assert [span.get_text() for span in soup.select("span.joined")] == joined
    plain = re.sub(r":math:`(.)`", r"\1", source).replace("\\ ", "")
    assert soup.select_one("div.body p").get_text() == plain


def test_dots_between_commas_and_between_operators():
    assert '<mo lspace="0" rspace="0.1667em">…</mo>' in formulas.mathml(r"1, \dots, n")
    assert '<mo lspace="0" rspace="0">⋯</mo>' in formulas.mathml(r"1 + \cdots + n")


def test_a_numbered_equation_has_its_number_and_its_link(tmp_path):
    done = built(tmp_path, ".. math:: y = Wx\n   :label: one\n\nSee :eq:`one`.\n")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    soup = BeautifulSoup(page, "html.parser")
    box = soup.find(id="equation-one")
    assert box.find(class_="eqno").get_text().startswith("(1)")
    assert box.find("a", class_="headerlink")["href"] == "#equation-one"
    assert box.find("math")["display"] == "block"
    assert soup.find("a", href="#equation-one", class_="reference")
    assert "mathjax" not in page.lower()


def set_formulas(html, page):
    """Return the formulas of a built page, each with its element around it, as text."""
    source = (html / f"{page}.html").read_text(encoding="utf-8")
    marked = r'<(span|div)(?=[^>]* class="[^"]*\bmath\b)[^>]*>(.*?)</\1>'
    return source, [match[2] for match in re.finditer(marked, source, re.DOTALL)]


def test_every_formula_of_the_book_is_mathml(html, page):
    source, found = set_formulas(html, page)
    assert [one for one in found if "<math" not in one or "<code" in one or "\\" in one] == []
    assert sum(one.count("<math") for one in found) == source.count("<math")
    assert "<merror" not in source
    assert "mathjax" not in "".join(re.findall("<(?:script|link)[^>]*>", source)).lower()


def test_the_book_has_its_formulas(html):
    assert sum(len(set_formulas(html, page)[1]) for page in check_pages.pages()) > 4000


def test_the_font_holds_every_sign_of_the_formulas(html):
    used = set()
    for page in check_pages.pages():
        formulas_there = "".join(set_formulas(html, page)[1])
        used |= {
            sign for text in re.findall(r">([^<]+)<", formulas_there) for sign in unescape(text)
        }
        used |= {subset_font.italic(one) for one in re.findall(r"<mi>(.)</mi>", formulas_there)}
    assert {"x", "𝑥", "∑"} <= used
    assert used - subset_font.wanted() == set()


def test_the_vendored_converter_is_the_published_one():
    readme = (formulas.TEMML.parent / "README.md").read_text(encoding="utf-8")
    assert hashlib.sha256(formulas.TEMML.read_bytes()).hexdigest() in readme
