"""Search as a reader uses it: online, from a disk, with storage forbidden, by keyboard."""

import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))


HTML = ROOT / "_build" / "html"

#: What readers type, and the page that has to be among the results.
WORDS = {
    "Toeplitz": "chapters/02_one_dimension",
    "doubly blocked": "chapters/03_two_dimensions",
    "circulant": "chapters/02_one_dimension",
    "cross-correlation": "chapters/02_one_dimension",
    "BCCB": "back/glossary",
    "BTTB": "back/glossary",
    "spectral norm": "back/glossary",
    "Lipschitz": "back/glossary",
    "FLOP": "back/glossary",
    "NHWC": "back/glossary",
    "HWC": "chapters/B_orders",
    "channels last": "chapters/B_orders",
    "output_padding": "chapters/07_gradients",
    "weight decay": "chapters/07_gradients",
    "unfold": "chapters/05_patches",
    "im2col": "chapters/05_patches",
    "toepl": "chapters/02_one_dimension",
    "conv_matrix": "back/api",
    "singular values": "chapters/14_spectrum",
    "symbol": "back/glossary",
    "attention": "chapters/15_other_architectures",
    "LSTM": "chapters/15_other_architectures",
    "ONNX": "chapters/16_real_networks",
    "opset": "back/glossary",
    "verifier": "back/glossary",
    "covariance": "chapters/17_what_it_is_for",
    "deblur": "back/glossary",
    "Dask": "chapters/18_beyond_one_machine",
    "halo": "back/glossary",
}

#: What readers type, and the entry of the page of questions that has to be among the results.
ENTRIES = {
    "Toeplitz": "q-toeplitz",
    "circulant": "q-stored-kernel",
    "im2col": "q-which-matrix",
    "unfold": "q-fold",
    "equivariance": "q-equivariance",
    "spectral norm": "q-spectral-norm",
    "free parameters": "q-free-parameters",
    "weight decay": "q-weight-decay",
    "fan-in": "q-fan-in",
    "initialisation": "q-fan-in",
    "output_padding": "q-output-padding",
    "deconvolution": "q-deconvolution",
    "HWC": "q-channels-last",
    "NHWC": "q-channels-last",
    "channels last": "q-channels-last",
    "softmax": "q-gates",
    "data augmentation": "q-shifted-copies",
    "convmtx2": "q-options",
    "get_weights": "q-stored-kernel",
    "singular values": "q-singular-values",
    "orthogonal convolution": "q-orthogonal",
    "Lipschitz": "q-lipschitz",
    "ONNX": "q-trained-network",
    "unsupported attribute": "q-unsupported",
    "recognize": "q-was-cnn",
    "Net2Net": "q-grow",
    "widen": "q-grow",
    "blur": "q-deblur",
    "fit into memory": "q-does-not-fit",
    "self-attention": "q-attention-dense",
    "MLP-Mixer": "q-mixer",
    "GELU": "q-silu-relu",
}

BLOCKED = """Object.defineProperty(window, "localStorage", {
  get() { throw new DOMException("blocked", "SecurityError"); } });
Object.defineProperty(window, "sessionStorage", {
  get() { throw new DOMException("blocked", "SecurityError"); } });"""


def found(page):
    """Return the pages that the search page lists, in order, once it has searched."""
    page.wait_for_function("/have |has /.test(document.getElementById('search-told').textContent)")
    addresses = page.eval_on_selector_all("#search-results > li > a", "all => all.map(a => a.href)")
    return [address.split("#")[0].removesuffix(".html") for address in addresses]


@pytest.mark.parametrize("storage", ["allowed", "blocked"])
@pytest.mark.parametrize("place", ["served", "from a disk"])
def test_each_word_that_a_reader_uses_is_found(visit, site, place, storage):
    page = visit().page
    if storage == "blocked":
        page.add_init_script(BLOCKED)
    base = site if place == "served" else f"{HTML.as_uri()}/"
    page.goto(f"{base}search.html")
    missing = {}
    for words, wanted in WORDS.items():
        page.fill("input[name=q]", words)
        page.press("input[name=q]", "Enter")
        page.wait_for_function("told => document.body.innerText.includes(told)", arg=f"“{words}”")
        pages = found(page)
        if f"{base}{wanted}" not in pages:
            missing[words] = pages
    assert missing == {}


def test_each_word_of_a_learner_leads_to_its_question(visit, site):
    file = HTML / "back" / "questions.html"
    questions = BeautifulSoup(file.read_text("utf-8"), "html.parser")
    page = visit().page
    page.goto(f"{site}search.html")
    missing = {}
    for words, label in ENTRIES.items():
        page.fill("input[name=q]", words)
        page.press("input[name=q]", "Enter")
        page.wait_for_function("told => document.body.innerText.includes(told)", arg=f"“{words}”")
        links = page.locator("#search-results ul a[href*='back/questions.html#']").all()
        anchors = [link.get_attribute("href").partition("#")[2] for link in links]
        found = [questions.find(id=anchor.partition(":~:")[0]) for anchor in anchors]
        wanted = questions.find(id=label)
        section = wanted if wanted.name == "section" else wanted.find_parent("section")
        if section not in found:
            missing[words] = [place.get("id") for place in found]
    assert missing == {}


def test_an_address_with_a_question_is_answered(visit, site):
    page = visit().page
    page.goto(f"{site}search.html?q=Toeplitz")
    assert f"{site}chapters/02_one_dimension" in found(page)
    assert page.input_value("input[name=q]") == "Toeplitz"


def test_a_word_that_is_nowhere_is_said_not_to_be_found(visit, site):
    page = visit().page
    page.goto(f"{site}search.html?q=zzyzx")
    assert found(page) == []
    assert "No page has “zzyzx”" in page.locator("[role=status]").inner_text()


def test_a_question_is_text_and_never_markup(visit, site):
    page = visit().page
    page.goto(f"{site}search.html?q=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E%20matrix")
    found(page)
    assert page.locator("article img").count() == 0


def test_a_result_leads_to_the_section_that_has_the_words(visit, site):
    page = visit().page
    page.goto(f"{site}search.html?q=spectral%20norm")
    found(page)
    page.locator("#search-results ul a", has_text="Spectral norm").first.click()
    page.wait_for_url("**/back/glossary.html**")
    top = page.locator("[id='term-Spectral-norm']").bounding_box()["y"]
    assert 0 <= top < page.viewport_size["height"]


def test_no_page_loads_the_index_before_somebody_searches(visit, site):
    for name in ("intro", "chapters/05_patches", "search"):
        one = visit()
        one.page.goto(f"{site}{name}.html", wait_until="networkidle")
        assert [url for url in one.requests if "searchindex" in url or "searchsect" in url] == []


@pytest.mark.parametrize("key", ["/", "Control+k"])
def test_a_key_leads_to_the_search(visit, site, key):
    page = visit().page
    page.goto(f"{site}chapters/05_patches.html")
    page.keyboard.press(key)
    assert page.evaluate("document.activeElement.name") == "q"
    page.keyboard.type("adjoint")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=adjoint")
    assert f"{site}chapters/05_patches" in found(page)


def test_a_key_that_is_typed_into_a_field_stays_there(visit, site):
    page = visit().page
    page.goto(f"{site}search.html")
    page.locator("input[name=q]").focus()
    page.keyboard.type("1/2")
    assert page.input_value("input[name=q]") == "1/2"


def test_the_results_are_reached_by_keyboard(visit, site):
    page = visit().page
    page.goto(f"{site}search.html?q=Toeplitz")
    found(page)
    page.locator("input[name=q]").focus()
    for _ in range(2):  # the button, then the first result
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#search-results') !== null")
