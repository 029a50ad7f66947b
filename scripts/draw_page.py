"""Draws the screenshots of the page of `crowdpoint serve`: `python scripts/draw_page.py`. Needs Chromium."""

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import draw_crowd
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

IMAGES = Path(__file__).parents[1] / "docs" / "images"
CHROMIUM = os.environ.get("CROWDPOINT_CHROMIUM") or shutil.which("chromium")
TIMEOUT = 120_000
"""Milliseconds for a busy machine to count the photos."""


def draw_desktop(page: Page) -> None:
    """Show two photos with a zone and a corrected point."""
    page.set_viewport_size({"width": 1280, "height": 860})
    _upload(page, seeds=(0, 1))
    page.get_by_role("radio", name="Draw zone").check()
    for x, y in ((0.05, 0.35), (0.47, 0.35), (0.47, 0.9), (0.05, 0.9), (0.05, 0.35)):
        _tap(page, x, y)
    page.get_by_role("radio", name="Correct points").check()
    _tap(page, 0.6, 0.871)  # a child that the model misses
    expect(page.locator("#edits")).to_be_visible()
    page.get_by_role("radio", name="Look").check()


def draw_phone(page: Page) -> None:
    """Show the heat map of a photo."""
    page.set_viewport_size({"width": 390, "height": 844})
    _upload(page, seeds=(0,))
    page.get_by_label("Heat map").check()
    page.get_by_label("Points", exact=True).uncheck()
    expect(page.locator("#legend")).to_be_visible(timeout=TIMEOUT)


PICTURES = {"page-desktop.webp": draw_desktop, "page-phone.webp": draw_phone}


def draw(folder: Path) -> None:
    """Write all pictures to a folder."""
    with _serve() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name, prepare in PICTURES.items():
            page = browser.new_page(color_scheme="light")
            page.goto(url)
            expect(page.locator("#threshold")).to_have_attribute("min", re.compile("."), timeout=TIMEOUT)
            prepare(page)
            page.evaluate("scrollTo(0, 0)")
            expect(page.locator("#hint")).to_be_hidden()
            content = page.screenshot(animations="disabled")
            Image.open(io.BytesIO(content)).convert("RGB").save(folder / name, quality=80, method=6)
            page.close()
        browser.close()


def _upload(page: Page, seeds: tuple[int, ...]) -> None:
    files = []
    for seed in seeds:
        stream = io.BytesIO()
        Image.fromarray(draw_crowd.draw(seed=seed)[0]).save(stream, "JPEG", quality=92)
        files.append({"name": f"plaza-{seed + 1}.jpg", "mimeType": "image/jpeg", "buffer": stream.getvalue()})
    page.set_input_files("#file", files)  # type: ignore[arg-type]
    expect(page.locator("#interval")).to_be_visible(timeout=TIMEOUT)
    if len(seeds) > 1:
        expect(page.locator(".badge.done")).to_have_count(len(seeds), timeout=TIMEOUT)


def _tap(page: Page, x: float, y: float) -> None:
    """Click on the photo; x and y are parts of its width and height."""
    box = page.locator("#picture").bounding_box()
    assert box  # the photo is shown
    page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])


@contextmanager
def _serve() -> Iterator[str]:
    """Run the server on a free port, and yield its address."""
    # The arguments are fixed, and so need no check of S603.
    command = [sys.executable, "-m", "crowdpoint", "serve", "--port", "0", "--workers", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: S603
    assert process.stderr  # it is a pipe
    try:
        line = process.stderr.readline()
        found = re.search(r"http://\S+:\d+", line)
        if not found:
            raise SystemExit(f"crowdpoint serve: {line}")
        yield found[0]
    finally:
        process.terminate()
        process.wait()
        process.stderr.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder to write to")
    draw(parser.parse_args().out)
