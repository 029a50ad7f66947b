"""The page in a browser: it fits a phone and a desk, its charts are painted, and it asks for nothing."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from chromium import Chromium, chromium, needs_chromium
from drawn_systems import draw_images, draw_system, draw_truth
from PIL import Image

from crowdpoint import report

pytestmark = needs_chromium

TOO_WIDE = """[...document.querySelectorAll("body *")].filter(element =>
    !element.closest(".scroll") && !element.closest("svg")
    && element.getBoundingClientRect().right > document.documentElement.clientWidth + 1
).map(element => element.outerHTML.slice(0, 80))"""
BOXES = """[...document.querySelectorAll(".chart svg, .views img")].map(element => {
    const box = element.getBoundingClientRect();
    return [box.left, box.top + scrollY, box.width, box.height].map(Math.round);
})"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    truth = draw_truth()
    names = ("one", "a-system-with-a-name-that-is-far-too-long-for-any-column-of-a-table-on-a-phone")
    systems = [draw_system(name, truth, spread=spread) for spread, name in enumerate(names, 2)]
    images = draw_images(folder / "images", truth)
    return report.write(folder, "shanghaitech-a", truth, systems, images)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_fits_and_everything_is_rendered(browser: Chromium, page: Path, width: int) -> None:
    browser.open(page, width)
    assert browser.evaluate("innerWidth") == width
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate(TOO_WIDE) == []
    shot = np.asarray(Image.open(io.BytesIO(browser.screenshot())).convert("RGB"), np.int16)
    assert shot.shape[1] == width
    boxes = browser.evaluate(BOXES)
    assert len(boxes) == 6 + 6 * 2
    for left, top, wide, high in boxes:
        assert min(wide, high) > 100
        part = shot[top : top + high, left : left + wide]
        painted = np.abs(part - 255).max(axis=2) > 60
        assert painted.mean() > 0.005
        colored = np.ptp(part, axis=2) > 60
        assert colored.any(), "no system's colour, no point"
    assert browser.requests() == [page.as_uri()]
    assert browser.complaints() == []


def test_it_can_be_printed(browser: Chromium, page: Path) -> None:
    browser.ask("Emulation.setEmulatedMedia", media="print")
    browser.open(page, 690)  # the width between the margins of a sheet of A4
    assert browser.evaluate("document.documentElement.scrollWidth") <= 690
    assert browser.pdf().startswith(b"%PDF")
