"""Film the linked picture of a layer into .github/layer.webp, the first picture of the README.

Chromium points at one output after the other, then at a weight and at an input, and what lights up
is photographed. Whoever asks for less motion is shown _static/layer.png instead.
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
#: What is pointed at: the panel, and the number of the cell in it.
PLACES = ("y", 0), ("y", 1), ("y", 2), ("y", 3), ("k", 1), ("x", 4)
WIDTH = 720
#: In milliseconds: how long a frame is shown, and how long the picture takes to follow the pointer.
SHOWN, SETTLED = 1300, 300
ALT = (
    "The linked picture: a kernel of 2 × 2 on an image of 3 × 3, and below them the matrix W of "
    "4 rows and 9 columns. One output after the other is pointed at, and its patch, the kernel and "
    "its row of W light up; then one weight, which stands in every row; then one input, which "
    "stands in one column."
)


def frames(page: Page) -> Iterator[Image.Image]:
    """Yield a photograph for each place that is pointed at."""
    shown = equivlib.explore(KERNEL, IMAGE.shape, x=IMAGE)._repr_html_()
    page.set_content(f"<style>body {{ font-family: sans-serif; margin: 12px }}</style>{shown}")
    for panel, place in PLACES:
        page.locator(f"[data-panel={panel}] [data-at='{place}']").first.hover()
        page.wait_for_timeout(SETTLED)
        yield Image.open(io.BytesIO(page.screenshot(clip=_box(page))))


def _box(page: Page) -> FloatRect:
    """Return the part of the page that the picture takes, with a margin."""
    box = page.locator("body > :not(style, script)").first.bounding_box()
    assert box is not None
    return {"x": 0, "y": 0, "width": WIDTH, "height": box["y"] + box["height"] + 12}


def film() -> bytes:
    """Return the frames as an animated WebP file, which runs until it is stopped."""
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": WIDTH, "height": 900}, device_scale_factor=1.5)
        first, *others = list(frames(page))
        browser.close()
    file = io.BytesIO()
    first.save(
        file, "WEBP", save_all=True, append_images=others, duration=SHOWN, loop=0, quality=80
    )
    return file.getvalue()


if __name__ == "__main__":
    if chromium() is None:
        sys.exit("Chromium is not installed")
    PATH.write_bytes(film())
    print(f"{PATH.stat().st_size:,} bytes: {ALT}")
