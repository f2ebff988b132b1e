"""The picture without a script: what shows where scripts are stripped, and on paper."""

from __future__ import annotations

import textwrap
from html import escape

from ..labels import TAP_COLOURS
from .typed import LayerFacts, NetworkFacts

INK, PAPER, CELL, LINE = "#1b1b1b", "#fdfdfb", "#f6f6f3", "#7d7d78"
#: A matrix of at most so many rows and columns has a label in each entry; a larger one is an image.
LABELLED = 40
WIDTH, TALL = 28, 22  # of an entry of W with a label
SIDE = 30  # of any other cell
ROOM = 688  # px: as wide as a page of the book; panels that do not fit go on in the next row
TEXT = 12  # px, of every label


def static(facts: LayerFacts, told: str) -> str:
    """Draw input, kernel and output side by side, W below, as one SVG; a colour for each weight."""
    x, k, y = facts["x"], facts["k"], facts["y"]
    panels = [
        _planes(title, shape, texts, colours)
        for title, shape, texts, colours in (
            ("input x", x["shape"], x["values"], None),
            (
                "kernel",
                k["shape"],
                k["labels"],
                [_colour(facts, t) for t, _ in enumerate(k["labels"])],
            ),
            ("output y", y["shape"], y["values"], None),
        )
    ]
    placed, left, top, height, reach = [], 4.0, 4.0, 0.0, 0.0
    for drawn, width, tall in [*panels, _matrix(facts)]:
        if left > 4 and left + width + 4 > ROOM:
            left, top, height = 4.0, top + height + 12, 0.0
        placed.append(f'<g transform="translate({left:g} {top:g})">{drawn}</g>')
        left, height = left + width + 24, max(height, tall)
        reach = max(reach, left - 20)
    return _framed("".join(placed), reach, top + height + 4, told)


def _framed(drawn: str, width: float, height: float, told: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" '
        f'aria-label="{escape(told)}" font-family="sans-serif" fill="{INK}">'
        f'<path fill="{PAPER}" d="M0 0H{width:g}V{height:g}H0z"/>{drawn}</svg>'
    )


def static_network(facts: NetworkFacts, told: str) -> str:
    """Draw the layers with their values, one below the other, and which stages do the same."""
    drawn, top, width = [], 4.0, 0.0
    for position, layer in enumerate(facts["layers"], start=-1):
        stages = [
            f"stage {number}: {stage['kind']} of {len(stage['values'])}"
            for number, stage in enumerate(facts["stages"])
            if stage["owner"] == position
        ]
        name = "input" if position < 0 else f"layer {position}: {layer['name']}"
        lines = [name, *textwrap.wrap(", ".join(stages), 80)]
        for line in lines[:-1]:
            drawn.append(f'<text x="4" y="{top + 13:g}" font-size="13">{escape(line)}</text>')
            top += 16
        panel, wide, tall = _planes(lines[-1], layer["shape"], layer["values"], None)
        drawn.append(f'<g transform="translate(4 {top:g})">{panel}</g>')
        top, width = top + tall + 6, max(width, wide, *(7.5 * len(line) for line in lines))
    return _framed("".join(drawn), width + 8, top, told)


def _planes(
    title: str, shape: list[int], texts: list[str], colours: list[str] | None
) -> tuple[str, float, float]:
    """Draw planes of cells, one below the other; kernels of several inputs also side by side."""
    across = shape[1] if len(shape) == 4 else 1
    lines, cells = shape[-2:]
    readable = max(lines, cells) <= 12
    tall = SIDE if readable else 10
    side = max(SIDE, 8 + 7 * max(map(len, texts))) if readable else 10
    squares: dict[str, list[str]] = {}
    words = []
    for n, text in enumerate(texts):
        plane, within = divmod(n, lines * cells)
        u, c = divmod(plane, across)
        i, j = divmod(within, cells)
        left, top = c * (cells * side + 8) + j * side, 20 + u * (lines * tall + 8) + i * tall
        colour = CELL if colours is None else colours[n]
        squares.setdefault(colour, []).append(f"M{left} {top}h{side}v{tall}h-{side}z")
        if readable:
            words.append(_text(left + side / 2, top + 19, text))
    width = across * (cells * side + 8) - 8
    height = 20 + shape[0] * (lines * tall + 8)
    head = f'<text y="13" font-size="13">{escape(title)}</text>'
    return head + _filled(squares, LINE) + _group(words), max(width, 60), height


def _matrix(facts: LayerFacts) -> tuple[str, float, float]:
    """Draw W, with a label in each entry as long as one can be read."""
    columns, rows = len(facts["x"]["labels"]), len(facts["y"]["labels"])
    readable = max(rows, columns) <= LABELLED
    entries = _entries(facts)
    labels = {at: _sum(facts, weights) for at, weights in entries.items()}
    longest = max(map(len, labels.values()), default=0)
    width, tall = (max(WIDTH, 8 + 7 * longest), TALL) if readable else (2, 2)
    squares: dict[str, list[str]] = {}
    words = []
    for (row, column), weights in entries.items():
        left, top = column * width, 20 + row * tall
        squares.setdefault(_colour(facts, weights[0]), []).append(
            f"M{left:g} {top}h{width:g}v{tall}h-{width:g}z"
        )
        if readable:
            words.append(_text(left + width / 2, top + 15, labels[row, column]))
    head = f'<text y="13" font-size="13">W, {rows} × {columns}</text>'
    # The colours are light: where no line fits around each entry, the ground is dark.
    ground, line = (CELL, LINE) if readable else (INK, "none")
    frame = (
        f'<path d="M0 20h{columns * width:g}v{rows * tall}h-{columns * width:g}z" fill="{ground}" '
        f'stroke="{LINE}"/>'
    )
    drawn = head + frame + _filled(squares, line) + _group(words)
    return drawn, max(columns * width, 90), 20 + rows * tall


def _entries(facts: LayerFacts) -> dict[tuple[int, int], list[int]]:
    """Return the weights at each place of W that is not empty."""
    entries: dict[tuple[int, int], list[int]] = {}
    positions = len(facts["reads"]) // len(facts["weights"])
    for row, places in enumerate(facts["reads"]):
        for weight, place in zip(facts["weights"][row // positions], places, strict=True):
            column = facts["columns"][place]
            if column >= 0:
                entries.setdefault((row, column), []).append(weight)
    return entries


def _sum(facts: LayerFacts, weights: list[int]) -> str:
    """Return the label of an entry; of a sum of more than two weights, how it begins."""
    names = [facts["k"]["labels"][weight] for weight in weights]
    return "+".join(names if len(names) <= 2 else [names[0], "…"])


def _colour(facts: LayerFacts, weight: int) -> str:
    return TAP_COLOURS[weight % facts["k"]["hues"] % len(TAP_COLOURS)]


def _filled(squares: dict[str, list[str]], line: str) -> str:
    return (
        f'<g stroke="{line}" stroke-width=".6">'
        + "".join(
            f'<path fill="{colour}" d="{"".join(parts)}"/>' for colour, parts in squares.items()
        )
        + "</g>"
    )


def _group(words: list[str]) -> str:
    return f'<g font-size="{TEXT}" text-anchor="middle">{"".join(words)}</g>' if words else ""


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:g}" y="{y:g}">{escape(text)}</text>'
