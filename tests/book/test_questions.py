"""The page of questions: all of them, each with its answer first, and with its proof."""

import functools
import re

import pytest
from bs4 import BeautifulSoup

QUESTIONS = [
    "q-equal",
    "q-special-case",
    "q-free-parameters",
    "q-share",
    "q-whole-network",
    "q-gates",
    "q-one-by-one",
    "q-connection-table",
    "q-locally-connected",
    "q-toeplitz",
    "q-stored-kernel",
    "q-two-dimensions",
    "q-options",
    "q-stride",
    "q-which-matrix",
    "q-bias",
    "q-mirrored",
    "q-equivariance",
    "q-fourier-zero-padding",
    "q-rank",
    "q-spectral-norm",
    "q-singular-values",
    "q-orthogonal",
    "q-recognise",
    "q-nearest",
    "q-rotation",
    "q-sum-or-mean",
    "q-weight-decay",
    "q-fan-in",
    "q-deconvolution",
    "q-output-padding",
    "q-fold",
    "q-larger-image",
    "q-flatten-order",
    "q-channels-last",
    "q-allclose",
    "q-bit-for-bit",
    "q-batch-norm",
    "q-one-big-mlp",
    "q-overfit",
    "q-start-as-cnn",
    "q-shifted-copies",
    "q-same-training",
    "q-faster",
    "q-im2col-why",
    "q-fourier",
    "q-good-for",
    "q-trained-network",
    "q-unsupported",
    "q-was-cnn",
    "q-lipschitz",
    "q-grow",
    "q-deblur",
    "q-does-not-fit",
    "q-attention-dense",
    "q-attention-convolution",
    "q-mixer",
    "q-silu-relu",
]

#: What readers type, and the entry that has it in its heading or its first sentence.
WORDS = {
    "Toeplitz": "q-toeplitz",
    "circulant": "q-stored-kernel",
    "convolution as a matrix product": "q-two-dimensions",
    "stride": "q-stride",
    "im2col": "q-which-matrix",
    "unfold": "q-fold",
    "equivariance": "q-equivariance",
    "zero padding Fourier": "q-fourier-zero-padding",
    "spectral norm": "q-spectral-norm",
    "spectral_norm": "q-spectral-norm",
    "recognise": "q-recognise",
    "nearest": "q-nearest",
    "free parameters": "q-free-parameters",
    "sum or mean gradient": "q-sum-or-mean",
    "weight decay": "q-weight-decay",
    "fan-in": "q-fan-in",
    "initialisation": "q-fan-in",
    "deconvolution": "q-deconvolution",
    "output_padding": "q-output-padding",
    "HWC": "q-channels-last",
    "NHWC": "q-channels-last",
    "channels last": "q-channels-last",
    "flatten": "q-flatten-order",
    "allclose": "q-allclose",
    "softmax": "q-gates",
    "layer normalisation": "q-gates",
    "data augmentation": "q-shifted-copies",
    "bias": "q-bias",
    "singular values": "q-singular-values",
    "FFT": "q-singular-values",
    "orthogonal": "q-orthogonal",
    "good for": "q-good-for",
    "ONNX": "q-trained-network",
    "PyTorch to matrices": "q-trained-network",
    "not support dilation": "q-unsupported",
    "groups": "q-unsupported",
    "recognize_network": "q-was-cnn",
    "Lipschitz": "q-lipschitz",
    "widen": "q-grow",
    "deepen": "q-grow",
    "Net2Net": "q-grow",
    "network morphism": "q-grow",
    "blurred image": "q-deblur",
    "does not fit into memory": "q-does-not-fit",
    "self-attention": "q-attention-dense",
    "attention convolution": "q-attention-convolution",
    "MLP-Mixer": "q-mixer",
    "GELU": "q-silu-relu",
}


@functools.cache
def parsed(path):
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")


@pytest.fixture(scope="module")
def page_of_questions(html):
    return parsed(html / "back/questions.html")


def answer(page, label):
    """Return the section of one question."""
    target = page.find(id=label)
    assert target, f"{label} is not on the page"
    section = target if target.name == "section" else target.find_parent("section")
    assert section.find(["h2", "h3"]).name == "h3"
    return section


def targets(section, pattern):
    links = [a["href"].partition("#") for a in section.select("a[href*='#']")]
    return [(path, name) for path, _, name in links if re.match(pattern, name)]


def test_the_page_has_the_questions_and_lists_them(page_of_questions):
    article = page_of_questions.find("article")
    assert len(article.find_all("h3")) == len(QUESTIONS)
    for label in QUESTIONS:
        assert article.select(f"ul a[href='#{label}']"), label


def paragraphs(section):
    """Return the answer, and the links below it."""
    found = section.find_all("p", recursive=False)
    return [p for p in found if not p.get_text().startswith("Asked")]


@pytest.mark.parametrize("label", QUESTIONS)
def test_the_answer_is_one_paragraph_and_one_line_of_links(page_of_questions, label):
    text, links = paragraphs(answer(page_of_questions, label))
    assert 50 < len(text.get_text().split()) < 250
    line = links.get_text(" ")
    assert re.match(r"Theorem.*Cell.*Picture", line, flags=re.S), line


@pytest.mark.parametrize("label", [label for label in QUESTIONS if label != "q-start-as-cnn"])
def test_the_answer_says_why(page_of_questions, label):
    text = paragraphs(answer(page_of_questions, label))[0].get_text()
    why = r"\b(because|since|so|therefore|the reason|for example|that is why)\b"
    assert re.search(why, text, flags=re.I)


@pytest.mark.parametrize(("words", "label"), WORDS.items())
def test_a_reader_s_words_are_in_the_heading_or_the_first_sentence(page_of_questions, words, label):
    section = answer(page_of_questions, label)
    first = re.split(r"(?<=[.?])\s", paragraphs(section)[0].get_text(), maxsplit=1)[0]
    told = f"{section.find('h3').get_text()} {first}".lower()
    for word in words.lower().split():
        assert word in told, word


@pytest.mark.parametrize("label", QUESTIONS)
def test_the_answer_links_to_a_theorem_a_cell_and_a_picture(page_of_questions, html, label):
    section = answer(page_of_questions, label)
    for kind, tag in (
        ("(thm|def)-", ".proof"),
        ("cell-", "div.cell"),
        ("picture-", "div.cell"),
    ):
        found = targets(section, kind)
        assert found, f"{label} has no link to {kind}"
        for path, name in found:
            there = parsed((html / "back" / path).resolve())
            # The target of a check is inside its fold, so that a link opens it.
            place = f"{tag}[id='{name}'], {tag} .fold-body[id='{name}']"
            assert there.select(place), f"{path}#{name} is no {tag}"
