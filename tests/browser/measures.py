"""What a reader sees of the linked picture, measured: contrast, sizes, what is in sight."""

import re

#: What is drawn, in the colours it is computed to have: each mark, its line and what is behind.
MARKS = """picture => {
    const root = picture.shadowRoot;
    const page = getComputedStyle(root.querySelector('.answer')).backgroundColor;
    const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
    const over = (colour, alpha, behind) => {
        const top = numbers(colour), below = numbers(behind), part = (top[3] ?? 1) * alpha;
        return `rgb(${[0, 1, 2].map(i => top[i] * part + below[i] * (1 - part)).join(', ')})`;
    };
    return [...root.querySelectorAll('rect, svg path:not(.strokes)')].map(node => {
        const style = getComputedStyle(node), cell = node.closest('.cell');
        const ground = node.closest('svg').querySelector('.ground');
        const behind = ground && ground !== node ? getComputedStyle(ground).fill : page;
        const filled = style.fill !== 'none' && style.display !== 'none';
        const paint = filled ? over(style.fill, style.fillOpacity * style.opacity, behind) : null;
        const drawn = style.stroke !== 'none' && parseFloat(style.strokeWidth) > 0;
        const text = cell && [...cell.querySelectorAll('text')].find(one => one.textContent);
        const unlit = cell && [...cell.parentNode.querySelectorAll('.cell')].find(
            one => !one.matches('.on, .marked, .tint, .outside'));
        const other = unlit && getComputedStyle(unlit.firstChild);
        const lit = node.matches('.on') || (cell || node).matches('.on, .marked');
        return {
            what: [node.closest('.panel'), cell, node].map(one => one?.getAttribute('class')),
            hidden: style.visibility === 'hidden' || node.getBoundingClientRect().width === 0,
            line: drawn ? over(style.stroke, style.strokeOpacity * style.opacity, behind) : null,
            text: text ? getComputedStyle(text).fill : null,
            unlit: lit && other ? over(other.fill, other.fillOpacity, behind) : null,
            level: node.closest('.x .small, .y .small') !== null && cell !== null,
            half: node.matches('.cell > path'), paint, behind, lit,
        };
    });
}"""


def luminance(colour):
    parts = (float(part) / 255 for part in re.findall(r"[\d.]+", colour)[:3])
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def faults(page):
    """Return marks that cannot be told from what is around them, and labels not to be read."""
    found, marks = [], page.locator("main > :nth-child(2)").evaluate(MARKS)
    assert len(marks) > 10
    for mark in marks:
        if mark["hidden"]:
            continue
        seen = [colour for colour in (mark["paint"], mark["line"]) if colour]
        if mark["level"]:  # what is lit stands among greys, of which this is the darkest
            mark["behind"] = mark["unlit"] = "rgb(117, 117, 117)"
        # A grey of a small image is its value; what has to be seen there is what is lit.
        grey = mark["level"] and not mark["lit"]
        second = mark["half"]  # the second weight of an entry, whose line is that of the entry
        if not grey and not second and max(contrast(c, mark["behind"]) for c in seen) < 3:
            found.append(("mark", mark))
        if (
            mark["lit"]
            and mark["unlit"]
            and not second
            and max(contrast(c, mark["unlit"]) for c in seen) < 3
        ):
            found.append(("lit", mark))
        if mark["text"] and contrast(mark["text"], mark["paint"] or mark["behind"]) < 4.5:
            found.append(("text", mark))
    return found


SIZES = """picture => [...picture.shadowRoot.querySelectorAll('*')].flatMap(node => {
    const own = [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim());
    if (!own || node.matches('style')) return [];
    const size = parseFloat(getComputedStyle(node).fontSize), svg = node.ownerSVGElement;
    return [size * (svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1)];
})"""


# Both wait until what follows a scroll or a move has been drawn.
FRAMES = "await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));"
SCROLLED = f"""async (cell, block) => {{
    cell.scrollIntoView({{block}});
    {FRAMES}
    const at = cell.getBoundingClientRect();
    return [at.x + at.width / 2, at.y + at.height / 2];
}}"""
ANSWERED = f"""async (cell, answer) => {{
    const marked = cell.classList.contains("marked");
    {FRAMES}
    const at = cell.getBoundingClientRect(), told = answer.getBoundingClientRect();
    return {{marked, middle: at.y + at.height / 2, top: told.top, bottom: told.bottom}};
}}"""


def answers_in_sight(page, panels):
    """Point at the first and the last cell of each panel, high and low in the window.

    The sentence must be whole in the window, and must not cover what is pointed at.
    """
    height = page.evaluate("innerHeight")
    answer = page.locator("p[role=status]").element_handle()
    count = panels.count()
    assert count > 3
    for number in range(count):
        cells = panels.nth(number).locator(".cell")
        for cell in (cells.first.element_handle(), cells.last.element_handle()):
            for block in ("start", "center"):
                # Moved to without Playwright's own scrolling, which is what is looked at here.
                page.mouse.move(*cell.evaluate(SCROLLED, block))
                seen = cell.evaluate(ANSWERED, answer)
                assert seen["marked"]
                assert seen["top"] >= 0
                assert seen["bottom"] <= height + 1
                assert seen["middle"] < seen["top"]
