"""Make the font of the formulas: the part of STIX Two Math that the book can need.

Run it by hand when a formula uses a sign that the font lacks (a test says so):

    pip install fonttools brotli
    python tools/subset_font.py stix-two-math-latin-400-normal.woff2

The argument is the whole font, as in the npm package `@fontsource/stix-two-math`.
"""

from __future__ import annotations

import argparse
import unicodedata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FONT = ROOT / "_theme" / "one_matrix" / "static" / "fonts" / "stix-two-math.woff2"

# Signs that text about matrices and networks uses. More than the book has today, so that a new
# formula seldom needs a new font.
SIGNS = (
    "¬±×÷·ˆˇ˘˙˜¯′″‴‖†…⁡⁢ℓℒℝℂℕℤℚℱℓ←↑→↓↔↦⇐⇒⇔∀∂∃∅∆∇∈∉∋∏∑−∓∖∗∘∙√∝∞∠∣∥∧∨∩∪∫∼≃≅≈≔≜≠≡≤≥≪≫"
    "⊂⊃⊆⊇⊕⊖⊗⊙⊤⊥⋀⋁⋂⋃⋄⋅⋆⋮⋯⋱⌈⌉⌊⌋⎵⏞⏟⏠⏡⟂⟦⟧⟨⟩⟵⟶⟷⟸⟹⟺⟼‾"
)
ITALIC = {"h": "ℎ"}  # the one letter that stands elsewhere


def letters() -> set[str]:
    """List upright and italic letters, Latin and Greek, and those of other alphabets in use."""
    found = {chr(code) for code in range(0x20, 0x7F)}
    found |= {chr(code) for code in range(0x391, 0x3CA) if unicodedata.name(chr(code), "")}
    found |= set("ϑϕϖϱϵ") | set(ITALIC.values())
    found |= {chr(code) for code in range(0x1D434, 0x1D468) if code != 0x1D455}  # italic
    found |= {chr(code) for code in range(0x1D6E2, 0x1D71C)}  # Greek italic
    found |= set("𝒜ℬ𝒞𝒟ℰℱ𝒢ℋℐ𝒦ℒℳ𝒩𝒪𝒫𝒬ℛ𝒮𝒯𝒰𝒱𝒲𝒳𝒴𝒵𝔼𝔽𝕀𝕂𝕃𝕊𝕋𝐛𝐞𝐡𝐮𝐯𝐰𝐱𝐲𝐳𝟎𝟏")
    return found | set("𝖳𝖧\xa0")  # transposed, with conjugates too; a space that stays


def italic(letter: str) -> str:
    """Return the italic form that a browser shows of a single letter, or nothing."""
    for first, last, to in (("a", "z", 0x1D44E), ("A", "Z", 0x1D434), ("α", "ω", 0x1D6FC)):
        if len(letter) == 1 and first <= letter <= last:
            return ITALIC.get(letter, chr(to + ord(letter) - ord(first)))
    return ""


def wanted() -> set[str]:
    """Return all signs that the font has to hold."""
    return letters() | set(SIGNS) | {""}


def lower_primes(font: Any) -> None:
    """Draw primes for exponents, where formulas have them: larger, and from the exponent's foot.

    The whole font draws them as they hang beside a letter. Raised and reduced once more as
    exponents they could hardly be seen.
    """
    names = font.getBestCmap()
    for prime in "′″‴":
        glyph = font["glyf"][names[ord(prime)]]
        foot = glyph.yMin
        glyph.coordinates.translate((0, -foot))
        glyph.coordinates.scale((1.2, 1.4))
        glyph.coordinates.translate((0, 40))
        glyph.recalcBounds(font["glyf"])
        advance, _ = font["hmtx"][names[ord(prime)]]
        font["hmtx"][names[ord(prime)]] = (round(1.2 * advance), glyph.xMin)


def level_scripts(font: Any) -> None:
    """Set indices and exponents of letters at one height, whether a letter reaches below or not.

    TeX does so by a rule of its own; browsers measure each letter. The two distances, in
    thousandths of an em, are close to those of TeX's fonts for what is taller than a letter.
    """
    constants = font["MATH"].table.MathConstants
    constants.SubscriptBaselineDropMin.Value = 20
    constants.SuperscriptBaselineDropMax.Value = 386


def subset(source: Path, target: Path) -> None:
    """Write the part of a font that holds these signs, with what brackets need to stretch."""
    from fontTools import subset as fonts

    options = fonts.Options()
    options.flavor = "woff2"
    options.hinting = False
    options.layout_features = []  # the signs of a formula are neither joined nor kerned
    options.notdef_outline = True
    font = fonts.load_font(str(source), options)
    missing = sorted(sign for sign in wanted() - {""} if ord(sign) not in font.getBestCmap())
    subsetter = fonts.Subsetter(options)
    subsetter.populate(unicodes=[ord(sign) for sign in wanted() - {""}])
    subsetter.subset(font)
    lower_primes(font)
    level_scripts(font)
    fonts.save_font(font, str(target), options)
    print(f"{target}: {target.stat().st_size} bytes, {len(font.getGlyphOrder())} glyphs")
    if missing:
        print("not in the whole font:", " ".join(missing))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="the whole font")
    parser.add_argument("--target", type=Path, default=FONT)
    told = parser.parse_args()
    subset(told.source, told.target)
