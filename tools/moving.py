"""Film the linked picture of a layer into .github/layer.webp, the first picture of the README.

Chromium points at two outputs, at a weight and at an input, then changes a weight, frees the matrix
and changes one of its entries, and what is drawn is photographed. Whoever asks for less motion is
shown _static/layer.png instead.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from chromium import ARGUMENTS, chromium
from PIL import Image
from playwright.sync_api import FloatRect, Page, sync_playwright

import equivlib

PATH = Path(__file__).resolve().parents[1] / ".github" / "layer.webp"
KERNEL = np.array([[[[1, 2], [-1, 3]]]])
IMAGE = np.array([[[3, 1, 4], [1, 5, 9], [2, 6, 5]]])
#: What is done: to point at a cell of a panel, to change it by so much with the arrow keys, or to
#: press a button.
PLACES = (
    ("y", 0, 0), ("y", 1, 0), ("k", 1, 0), ("x", 4, 0), ("k", 1, 2), ("Locally connected", 0, 0),
    ("W", 1, -2),
)  # fmt: skip
WIDTH = 720
#: In milliseconds: how long a frame is shown, and how long the picture takes to follow the pointer.
SHOWN, SETTLED = 1300, 300
ALT = (
    "The linked picture: a kernel of 2 × 2 on an image of 3 × 3, and below them the matrix W of "
    "4 rows and 9 columns. Two outputs are pointed at, and patch, kernel and row of W light up; "
    "then a weight, which stands in every row; then an input, which stands in one column. The "
    "weight is changed, and with it all its places; the entries are freed, and one changes alone."
)


def frames(page: Page) -> Iterator[Image.Image]:
    """Yield a photograph for each place that is pointed at."""
    shown = equivlib.explore(KERNEL, IMAGE.shape, x=IMAGE)._repr_html_()
    page.set_content(f"<style>body {{ font-family: sans-serif; margin: 12px }}</style>{shown}")
    for place in PLACES:
        _do(page, *place)
        page.wait_for_timeout(SETTLED)
        yield Image.open(io.BytesIO(page.screenshot(clip=_box(page))))


def _do(page: Page, what: str, cell: int, by: int) -> None:
    """Point, change or press."""
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    if len(what) > 1:
        page.get_by_role("button", name=what).click()
        return
    place = page.locator(f"[data-panel={what}] [data-at='{cell}']").first
    place.hover()
    if by:
        place.click()
    for _ in range(abs(by)):
        page.keyboard.press("ArrowUp" if by > 0 else "ArrowDown")
    if by:
        page.keyboard.press("Enter")


def _box(page: Page) -> FloatRect:
    """Return the part of the page that the picture takes, with a margin."""
    box = page.locator("body > :not(style, script)").first.bounding_box()
    assert box is not None
    return {"x": 0, "y": 0, "width": WIDTH, "height": box["y"] + box["height"] + 12}


def _of_one_size(shown: list[Image.Image]) -> list[Image.Image]:
    """Put each frame on white as high as the highest: a sentence may need one line more."""
    size = shown[0].width, max(frame.height for frame in shown)
    whole = [Image.new("RGB", size, "white") for _ in shown]
    for ground, frame in zip(whole, shown, strict=True):
        ground.paste(frame.convert("RGB"))
    return whole


def film() -> bytes:
    """Return the frames as an animated WebP file, which runs until it is stopped."""
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": WIDTH, "height": 900}, device_scale_factor=1.5)
        first, *others = _of_one_size(list(frames(page)))
        browser.close()
    file = io.BytesIO()
    first.save(
        file, "WEBP", save_all=True, append_images=others, duration=SHOWN, loop=0, quality=45
    )
    return file.getvalue()


if __name__ == "__main__":
    if chromium() is None:
        sys.exit("Chromium is not installed")
    PATH.write_bytes(film())
    print(f"{PATH.stat().st_size:,} bytes: {ALT}")
