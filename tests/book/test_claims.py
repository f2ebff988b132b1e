"""The page of claims: each with a verdict, a reason in two sentences, and a cell that shows it."""

import functools
import re

import claims
import pytest
from bs4 import BeautifulSoup

SOURCES = claims.load()
CLAIMS = [claim for source in SOURCES for claim in source["claims"]]
# What the texts are known for, in their words; each must be judged.
SAID = {
    "matrix": "converted to a matrix multiplication",
    "nonlinear": "nonlinear case",
    "accuracy": "preserves the accuracy",
    "mlp-special-cnn": "MLP is a special case of a convolution",
    "cnn-special-mlp": "CNN is a special case of an MLP",
    "efficient-computation": "enables more efficient computation",
    "efficient-training": "enables more efficient training",
    "not-all-cnns": "may not be applicable to all types of CNNs",
    "more-resources": "may require additional computational resources",
    "uncertainty": "uncertainty over to convolutional layers",
    "morphism": "network morphism",
    "overfit": "too many degrees of freedom, it is likely to overfit",
    "dependency-structure": "have to learn their dependency structure",
}


def test_every_known_claim_is_judged():
    judged = {claim["id"]: claim["claim"] for claim in CLAIMS}
    assert len(judged) == len(CLAIMS)
    for name, words in SAID.items():
        assert words in judged[name]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim["id"])
def test_the_reason_is_two_sentences_and_a_cell_shows_it(claim):
    sentences = re.split(r"(?<=[.?])\s+(?=[A-Z])", claim["reason"].strip())
    assert len(sentences) == 2, sentences
    assert re.search(r"\{prf:ref\}`", claim["shown"])
    assert re.search(r"<cell-[\w-]+>", claim["shown"])


@functools.cache
def parsed(path):
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")


def test_the_page_shows_every_claim_and_each_link_leads_to_its_cell(html):
    page = parsed(html / "back" / "claims.html")
    for claim in CLAIMS:
        assert page.find(id=f"claim-{claim['id']}")
        for target in re.findall(r"<(cell-[\w-]+)>", claim["shown"]):
            address = page.find("a", href=re.compile(rf"#{target}$"))["href"]
            there = html / "back" / address.split("#")[0]
            place = parsed(there.resolve()).find(id=target)
            cell = place if "cell" in place["class"] else place.find_parent("div", "cell")
            assert cell.select(".cell_input")


@pytest.mark.parametrize(
    "change",
    [{"verdict": "perhaps"}, {"condition": "always"}, {"verdict": "holds if"}],
    ids=str,
)
def test_a_claim_that_is_not_whole_is_refused(tmp_path, change):
    whole = {"id": "a", "claim": "b", "verdict": "holds", "reason": "c", "shown": "d"}
    file = tmp_path / "claims.yml"
    for claim in (whole | change, {"id": "a"}):
        file.write_text(str([{"title": "t", "about": "u", "claims": [claim]}]), encoding="utf-8")
        with pytest.raises(ValueError, match="claim"):
            claims.load(file)
