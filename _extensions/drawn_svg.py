"""Draw the plain SVG of the linked picture with Pillow, which matplotlib brings.

Only what that picture consists of is understood: groups that are moved, paths of straight lines,
rectangles, lines, circles, embedded images, text in one size. Anything else is an error, so that no
half-drawn picture gets published.
"""

from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
from PIL import Image, ImageColor, ImageDraw, ImageFont

Point = tuple[float, float]
PRESENTATION = ("fill", "stroke", "stroke-width", "font-size", "font-weight", "text-anchor")
#: Where nothing else is said. SVG's own ink is black; the picture's root gives its own.
INITIAL = {"fill": "#1b1b1b", "stroke": "none", "stroke-width": "1", "font-size": "16"}
SILENT = {"title", "desc", "metadata"}
ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}
TOKEN = re.compile(r"[a-zA-Z]|[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?")


class NotDrawn(ValueError):
    """The picture has something that is not drawn here."""


@cache
def font(size: int, bold: bool = False, serif: bool = False) -> ImageFont.FreeTypeFont:
    """Return a font that comes with matplotlib, so it is the same on every machine."""
    name = f"DejaVu{'Serif' if serif else 'Sans'}{'-Bold' if bold else ''}.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", name), size)


def size(svg: str) -> tuple[float, float]:
    """Return the width and height of a picture in its own units."""
    return _box(svg)[2:]


def _box(svg: str) -> tuple[float, float, float, float]:
    told = _parsed(svg).get("viewBox", "")
    try:
        left, top, width, height = map(float, told.split())
    except ValueError as error:
        raise NotDrawn(f"the viewBox {told!r}") from error
    return left, top, width, height


def draw(svg: str, scale: float) -> Image.Image:
    """Return the picture, ``scale`` pixels for each of its units."""
    left, top, width, height = _box(svg)
    canvas = Image.new("RGB", (round(width * scale), round(height * scale)), "#fdfdfb")
    _element(_parsed(svg), _Pen(canvas, scale), INITIAL, (-left, -top))
    return canvas


def _parsed(svg: str) -> ET.Element:
    try:
        return ET.fromstring(svg)
    except ET.ParseError as error:
        raise NotDrawn(str(error)) from error


class _Pen:
    """A canvas, and how many of its pixels a unit of the picture is."""

    def __init__(self, canvas: Image.Image, scale: float) -> None:
        self.canvas, self.scale, self.on = canvas, scale, ImageDraw.Draw(canvas)

    def polygon(self, points: list[Point], style: dict[str, str], closed: bool = True) -> None:
        scaled = [(x * self.scale, y * self.scale) for x, y in points]
        if closed and _colour(style["fill"]):
            self.on.polygon(scaled, fill=_colour(style["fill"]))
        if _colour(style["stroke"]):
            width = max(1, round(float(style["stroke-width"]) * self.scale))
            self.on.line(
                [*scaled, scaled[0]] if closed else scaled, _colour(style["stroke"]), width
            )


def _colour(name: str) -> str | None:
    if name == "none":
        return None
    try:
        ImageColor.getrgb(name)
    except ValueError as error:
        raise NotDrawn(f"the colour {name!r}") from error
    return name


def _element(element: ET.Element, pen: _Pen, outer: dict[str, str], origin: Point) -> None:
    kind = element.tag.rpartition("}")[2]
    if kind in SILENT:
        return
    style = {**outer, **{key: element.attrib[key] for key in PRESENTATION if key in element.attrib}}
    if kind in ("svg", "g"):
        inner = _moved(element, origin)
        for child in element:
            _element(child, pen, style, inner)
        return
    if kind not in SHAPES:
        raise NotDrawn(f"the element {kind}")
    SHAPES[kind](element, pen, style, _moved(element, origin))


def _moved(element: ET.Element, origin: Point) -> Point:
    told = element.get("transform")
    if told is None:
        return origin
    found = re.fullmatch(r"translate\(\s*([-.\d]+)(?:[\s,]+([-.\d]+))?\s*\)", told.strip())
    if not found:
        raise NotDrawn(f"the transformation {told}")
    return origin[0] + float(found[1]), origin[1] + float(found[2] or 0)


def _number(element: ET.Element, name: str, default: float = 0.0) -> float:
    return float(element.get(name, default))


def _path(element: ET.Element, pen: _Pen, style: dict[str, str], origin: Point) -> None:
    for points, closed in subpaths(element.get("d", "")):
        moved = [(origin[0] + x, origin[1] + y) for x, y in points]
        pen.polygon(moved, style, closed or style["fill"] != "none")


def subpaths(told: str) -> Iterator[tuple[list[Point], bool]]:
    """Yield the corners of each part of a path of straight lines, and whether it is closed."""
    tokens = TOKEN.findall(told)
    points: list[Point] = []
    x = y = 0.0
    command = ""
    while tokens:
        if tokens[0].isalpha():
            command = tokens.pop(0)
        kind, relative = command.upper(), command.islower()
        if kind == "Z":
            x, y = points[0]
            yield points, True
            points = []
            continue
        if kind not in ("M", "L", "H", "V"):
            raise NotDrawn(f"the path command {command!r}")
        if kind == "M" and points:
            yield points, False
            points = []
        if kind != "V":
            x = float(tokens.pop(0)) + (x if relative else 0)
        if kind != "H":
            y = float(tokens.pop(0)) + (y if relative else 0)
        points.append((x, y))
        if kind == "M":  # further pairs are lines
            command = "l" if relative else "L"
    if points:
        yield points, False


def _rect(element: ET.Element, pen: _Pen, style: dict[str, str], origin: Point) -> None:
    left, top = origin[0] + _number(element, "x"), origin[1] + _number(element, "y")
    right, bottom = left + _number(element, "width"), top + _number(element, "height")
    pen.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], style)


def _line(element: ET.Element, pen: _Pen, style: dict[str, str], origin: Point) -> None:
    ends = [
        (origin[0] + _number(element, f"x{end}"), origin[1] + _number(element, f"y{end}"))
        for end in "12"
    ]
    pen.polygon(ends, style, closed=False)


def _circle(element: ET.Element, pen: _Pen, style: dict[str, str], origin: Point) -> None:
    x, y, r = (_number(element, name) for name in ("cx", "cy", "r"))
    corners = [(origin[0] + x + d) * pen.scale for d in (-r, r)]
    sides = [(origin[1] + y + d) * pen.scale for d in (-r, r)]
    width = max(1, round(float(style["stroke-width"]) * pen.scale))
    pen.on.ellipse(
        (corners[0], sides[0], corners[1], sides[1]),
        _colour(style["fill"]),
        _colour(style["stroke"]),
        width,
    )


def _text(element: ET.Element, pen: _Pen, style: dict[str, str], origin: Point) -> None:
    if len(element):
        raise NotDrawn("text in parts")
    written = font(
        max(1, round(float(style["font-size"].removesuffix("px")) * pen.scale)),
        bold=style.get("font-weight") in ("bold", "600", "700"),
    )
    pen.on.text(
        (
            (origin[0] + _number(element, "x")) * pen.scale,
            (origin[1] + _number(element, "y")) * pen.scale,
        ),
        (element.text or "").strip(),
        fill=_colour(style["fill"]),
        font=written,
        anchor=ANCHORS[style.get("text-anchor", "start")],
    )


def _image(element: ET.Element, pen: _Pen, style: dict[str, str], origin: Point) -> None:
    told = element.get("href") or element.get("{http://www.w3.org/1999/xlink}href", "")
    if not told.startswith("data:image/png;base64,"):
        raise NotDrawn(f"the image {told[:30]}")
    picture = Image.open(io.BytesIO(base64.b64decode(told.partition(",")[2]))).convert("RGB")
    wide, tall = (max(1, round(_number(element, k) * pen.scale)) for k in ("width", "height"))
    place = (
        round((origin[0] + _number(element, "x")) * pen.scale),
        round((origin[1] + _number(element, "y")) * pen.scale),
    )
    pen.canvas.paste(picture.resize((wide, tall), Image.Resampling.NEAREST), place)


SHAPES: dict[str, Any] = {
    "path": _path,
    "rect": _rect,
    "line": _line,
    "circle": _circle,
    "text": _text,
    "image": _image,
}
