"""Names, titles and numbers of any kind in what becomes HTML: nothing of them becomes markup."""

import json
import unicodedata
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from equivlib import explore, explore_network, to_plain
from equivlib.convert.plain import plain_report
from equivlib.explorer import svg
from equivlib.layers import Conv, Network, ReLU
from equivlib.tables import Table

HOSTILE = (
    "<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "'\"><b onclick='x'>",
    "' onmouseover='alert(1)", '" autofocus onfocus="alert(1)', "&lt;b&gt;&#39;&quot;&amp;",
    "<!--", "-->", "]]>", "<![CDATA[<b>]]>", "</svg><b>", "</td></tr></table><b>", "`", "\\'",
    "\x1b[2J", "\x00", "\x7f", "\u2028", "\u202e", "\ufffe", "\ud800", "\udfff<b>", "a" * 20_000,
    "<" * 5000, "${alert(1)}", "{{7*7}}", "javascript:alert(1)",
)  # fmt: skip

anything = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=30),
    st.text(st.characters(categories=["Cs", "Cc", "Cf", "Zl", "Zp", "Po", "Sm"]), max_size=10),
    st.text("<>&'\"=/ ab\x00\ud800", max_size=20),
)
numbers = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -0.0, np.nan, np.inf, -np.inf, 5e-324, 1.7e308]),
)


class Skeleton(HTMLParser):
    """The elements of a page and their attributes, without texts; and the data of the picture."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.data, self.texts, self.open = [], None, [], []
        page.encode()  # what no page can hold is an error here
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(set(names)) == len(names)
        self.elements.append((tag, names))
        self.data = dict(attributes).get("data", self.data)
        self.open += [tag]

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.texts.append(text)

    def handle_comment(self, text):
        raise AssertionError(f"a comment: {text!r}")

    handle_decl = handle_pi = unknown_decl = handle_comment


def can_be_shown(text):
    return all(unicodedata.category(c) not in ("Cc", "Cs") or c in "\n\t" for c in text) and not (
        {"\ufffe", "\uffff"} & set(text)
    )


def same_markup(make, plain, *texts, argument):
    """Assert that a page has the elements that it has with plain texts, or that it is refused.

    The refusal is a ValueError that names the argument, and only for what no page can hold.
    """
    if not all(map(can_be_shown, texts)):
        with pytest.raises(ValueError, match=argument):
            make(*texts)
        return None
    found = Skeleton(make(*texts))
    assert found.elements == Skeleton(make(*plain)).elements
    return found


def shown(title, name):
    variants = {title: {}, "another": {"padding": 1}}
    return explore([[[5, 7]]], (1, 3), variants=variants, names=name)._repr_html_()


@given(anything.filter(lambda title: title != "another"), anything)
@example("\ud800", "k").via("a title that no page can hold")
@example("k", "\ud800").via("a name that no page can hold")
@example("</script>", "'><b>").via("markup")
def test_titles_and_names_of_a_linked_picture(title, name):
    found = same_markup(shown, ("a", "k"), title, name, argument="names|variants")
    if found is not None:
        data = json.loads(found.data)
        assert data["settings"][0]["title"] == title
        assert data["names"] == name


@pytest.mark.parametrize(("title", "name", "message"), [
    ("\ud800", "k", r"variants \(with '\\ud800'\) must be text that a page can hold"),
    ("a", "k\x00", r"names \(with 'k\\x00'\) must be text that a page can hold"),
])  # fmt: skip
def test_what_no_page_can_hold_is_refused_with_its_argument(title, name, message):
    with pytest.raises(ValueError, match=message):
        shown(title, name)


@given(st.lists(numbers, min_size=5, max_size=5))
def test_numbers_of_a_linked_picture(values):
    with np.errstate(all="ignore"):
        made = explore(np.reshape(values[:2], (1, 1, 2)), (1, 3), x=[values[2:]])
        data = json.loads(Skeleton(made._repr_html_()).data)
    kept = data["x"].get("values")
    assert kept is None or kept == values[2:]


@given(anything)
@example("<b onclick=alert(1)>").via("markup in an exact number")
def test_the_texts_of_exact_numbers(text):
    sympy = pytest.importorskip("sympy", reason="its symbols have names")

    def make(text):
        k = np.array([[[sympy.Symbol(text), sympy.Integer(2)]]], dtype=object)
        return explore(k, (1, 3))._repr_html_()

    same_markup(make, ("a",), text, argument="weight")


@given(anything)
@example("<b onclick=alert(1)>").via("markup in the name of a layer's class")
def test_the_names_of_layers_beside_their_perceptron(text):
    def make(text):
        kind = type(text, (Conv,), {})
        net = Network([kind([[[1, -1]]]), ReLU()], (1, 3))
        return explore_network(net, [[5, 3, 4]])._repr_html_()

    if "\x00" in text or not text.isprintable():
        text = text.encode("unicode_escape").decode()
    same_markup(make, ("a",), text, argument="net")


def test_markup_that_is_not_escaped_is_noticed(monkeypatch):
    monkeypatch.setattr(svg, "escape", lambda text: text)
    with pytest.raises(AssertionError):
        test_the_names_of_layers_beside_their_perceptron.hypothesis.inner_test(
            "<b onclick=alert(1)>"
        )
    with pytest.raises(AssertionError):
        test_the_texts_of_exact_numbers.hypothesis.inner_test("<b onclick=alert(1)>")


@given(st.lists(anything, min_size=4, max_size=4))
def test_the_cells_of_a_table(texts):
    def make(caption, heading, cell, other):
        table = Table([heading, "b"], [(cell, 1), (other, 2.5)], caption=caption)
        assert str(table)
        return table._repr_html_()

    plain = [text and "a" for text in texts]
    same_markup(make, plain, *texts, argument="caption|headings|row [01] ")


@given(numbers, numbers)
def test_the_report_of_what_was_rewritten(first, second):
    with np.errstate(all="ignore"):
        net = Network([Conv([[[first, second]]], dilation=2), ReLU()], (1, 5))
        report = plain_report(net)
        assert to_plain(net) is not None
    Skeleton(report._repr_html_())
