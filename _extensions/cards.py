"""The picture with which other places show a page: its first figure and its title, on our paper."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import drawn_svg
from PIL import Image, ImageDraw
from sphinx.util import logging

logger = logging.getLogger(__name__)

WIDTH, HEIGHT = 1200, 630  # what the sites that show such pictures ask for
FINE = 2  # it is drawn so many times as large, then made smaller
MARGIN = 56
PAPER, INK, QUIET, ACCENT = "#fdfdfb", "#1b1b1b", "#5a5a57", "#77AADD"
COVER = Path(__file__).resolve().parents[1] / "_static" / "cover.svg"

FIGURE = re.compile(
    r'<svg\b(?=[^>]*\bviewBox=)(?=[^>]*\brole="img")[^>]*\baria-label="(?P<told>[^"]+)"[^>]*>'
    r'.*?</svg>|<img\b(?=[^>]*\bsrc="[^"]*_images/(?P<file>[^"/]+\.png)")'
    r'[^>]*\balt="(?P<alt>[^"]+)"[^>]*>',
    re.S,
)


@dataclass(frozen=True)
class Figure:
    """A figure of a page: what it shows in words, and where it is."""

    alt: str
    svg: str = ""
    file: str = ""


def figures(body: str) -> list[Figure]:
    """Return the figures of a page in their order."""
    found = []
    for match in FIGURE.finditer(body):
        alt = html.unescape(match["told"] or match["alt"])
        alt = re.sub(r"^explore(_network)?: ", "", " ".join(alt.split()))
        found.append(Figure(alt, "" if match["file"] else match[0], match["file"] or ""))
    return found


#: A picture in SVG has letters of 10 or 11 units; smaller than so many pixels a unit they are dust.
READABLE = 1.0


def chosen(found: list[Figure]) -> Figure:
    """Return the first figure that can be read on a card; the cover where there is none."""
    return next((figure for figure in found if figure.file or _readable(figure)), cover())


@cache
def cover() -> Figure:
    """Return the drawing on the cover of the book, which says in its title what it shows."""
    svg = COVER.read_text(encoding="utf-8")
    told = re.search(r"<title>(.*?)</title>", svg, re.S)
    return Figure(html.unescape(told[1]) if told else "", svg)


def _readable(figure: Figure) -> bool:
    try:
        width, height = drawn_svg.size(figure.svg)
        scale = min((WIDTH - 2 * MARGIN) / width, (HEIGHT - 3 * MARGIN) / height)
        return scale >= READABLE and drawn_svg.draw(figure.svg, 0.1) is not None
    except drawn_svg.NotDrawn as reason:
        logger.info("a picture is not drawn on a card: %s", reason)
        return False


def picture(figure: Figure, images: Path) -> Image.Image:
    """Return a figure in pixels, more than a card has."""
    if figure.file:
        drawn = Image.open(images / figure.file).convert("RGBA")
        ground = Image.new("RGBA", drawn.size, PAPER)
        return Image.alpha_composite(ground, drawn).convert("RGB")
    width, height = drawn_svg.size(figure.svg)
    return drawn_svg.draw(figure.svg, FINE * min(WIDTH / width, HEIGHT / height))


def card(title: str, told: str, book: str, shown: Image.Image) -> Image.Image:
    """Return the title beside or above a figure, whichever shows the figure larger.

    Parameters
    ----------
    title, told, book : str
        The page, its description (shown beside the figure if there is room), the whole.
    shown : Image
    """
    beside = (MARGIN + 450, MARGIN, WIDTH - MARGIN, HEIGHT - MARGIN)
    narrow, wide = _wrapped(title, 50, 420), _wrapped(title, 50, WIDTH - 2 * MARGIN)
    above = (MARGIN, MARGIN + 64 * len(wide) + 12, WIDTH - MARGIN, HEIGHT - MARGIN - 34)
    box, lines = max((beside, narrow), (above, wide), key=lambda way: _fit(shown, way[0])[0])
    canvas = Image.new("RGB", (FINE * WIDTH, FINE * HEIGHT), PAPER)
    size = _fit(shown, box)[1]
    room = FINE * (box[2] - box[0]) - size[0], FINE * (box[3] - box[1]) - size[1]
    left = room[0] // 2 if box is beside else 0
    smaller = shown.resize(size, Image.Resampling.LANCZOS)
    canvas.paste(smaller, (FINE * box[0] + left, FINE * box[1] + room[1] // 2))
    _write(canvas, lines, MARGIN + 42, 50, 64, INK, bold=True)
    if box is beside:
        top = MARGIN + 64 * len(lines) + 30
        most = (HEIGHT - MARGIN - 30 - top) // 34
        _write(canvas, _shortened(_wrapped(told, 23, 420), most), top, 23, 34, QUIET)
    if title != book:
        _write(canvas, [book], HEIGHT - MARGIN + 14, 26, 0, QUIET)
    ImageDraw.Draw(canvas).rectangle((0, 0, FINE * 14, FINE * HEIGHT), ACCENT)
    smaller = canvas.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    return smaller.quantize(256, dither=Image.Dither.NONE)


def _fit(shown: Image.Image, box: tuple[int, int, int, int]) -> tuple[float, tuple[int, int]]:
    scale = min(FINE * (box[2] - box[0]) / shown.width, FINE * (box[3] - box[1]) / shown.height)
    return scale, (round(shown.width * scale), round(shown.height * scale))


def _wrapped(text: str, size: int, width: int) -> list[str]:
    """Return the text in lines of at most so many pixels; a longer word has its own line."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and drawn_svg.font(size, bold=size > 40).getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _shortened(lines: list[str], most: int) -> list[str]:
    if len(lines) <= most:
        return lines
    return [*lines[: most - 1], lines[most - 1].rstrip(".,;:") + " …"] if most > 0 else []


def _write(
    canvas: Image.Image,
    lines: list[str],
    top: int,
    size: int,
    step: int,
    colour: str,
    bold: bool = False,
) -> None:
    written = drawn_svg.font(FINE * size, bold=bold)
    for number, line in enumerate(lines):
        place = FINE * MARGIN, FINE * (top + step * number)
        ImageDraw.Draw(canvas).text(place, line, colour, written, anchor="ls")
