"""Text on the page can be read: WCAG 2.2 asks for a contrast of 4.5 to 1, and of 3 to 1 for controls."""

import re

import pytest
from browsing import PHOTO, count, draw_zone, tap, upload, use
from playwright.sync_api import Browser, Page, expect

from crowdpoint.web.app import PAGE

pytest_plugins = ["page_in_chromium"]

MEASURE = """() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const parse = (color) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = color;
        canvas.fillRect(0, 0, 1, 1);
        const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
        return [red, green, blue, alpha / 255];
    };
    const lay = (over, under) => [0, 1, 2].map((i) => over[3] * over[i] + (1 - over[3]) * under[i]).concat(1);
    const luminance = (color) => color.slice(0, 3)
        .map((part) => part / 255)
        .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
        .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
    const measure = (one, other) => {
        const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    };
    const findGround = (element, photo) => {
        if (!element) return [255, 255, 255, 1];
        // What lies in the viewer may be over any photo.
        if (element.id === "viewport" || (photo && element.classList.contains("viewer"))) return photo;
        const color = parse(getComputedStyle(element).backgroundColor);
        return color[3] === 1 ? color : lay(color, findGround(element.parentElement, photo));
    };
    const faults = [];
    let seen = 0;
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        const isBlank = !walker.currentNode.data.trim();
        if (isBlank || !element.checkVisibility() || element.closest(".unseen")) continue;
        seen += 1;
        for (const photo of [[0, 0, 0, 1], [255, 255, 255, 1]]) {
            const isOver = document.getElementById("viewport").checkVisibility();
            const ground = findGround(element, isOver && !element.closest(".strip") ? photo : null);
            const opacity = Number(getComputedStyle(element).opacity);
            const color = parse(getComputedStyle(element).color);
            color[3] *= opacity;
            const contrast = measure(lay(color, ground), ground);
            if (contrast < 4.5) faults.push([walker.currentNode.data.trim(), contrast]);
        }
    }
    return [seen, faults];
}"""


def check(page: Page, least: int) -> None:
    """Every visible text has the contrast, and there are at least so many."""
    seen, faults = page.evaluate(MEASURE)
    assert faults == []
    assert seen >= least


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_on_the_page(browser: Browser, url: str, scheme: str) -> None:
    context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(url)
    expect(page.locator("#threshold")).to_have_attribute("min", "0.05")
    check(page, 7)
    upload(page, PHOTO, PHOTO, b"\xff\xd8\xff broken")
    count(page, 3)
    page.locator("#model").select_option("calibrated")
    expect(page.locator("#interval")).to_be_visible(timeout=30_000)
    expect(page.locator(".badge.failed")).to_be_visible(timeout=30_000)
    page.get_by_label("Heat map").check()
    expect(page.locator("#legend")).to_be_visible(timeout=60_000)
    check(page, 30)  # with a legend, and disabled buttons
    draw_zone(page, (60, 30), (250, 30), (250, 130))
    use(page, "Correct points")
    tap(page, 84, 60)
    page.get_by_role("button", name="Undo").hover()
    check(page, 35)  # with a hint, edits and a zone
    page.locator("#strip button").nth(2).click()
    expect(page.locator("#status")).to_be_visible()
    page.evaluate("document.getElementById('key-dialog').showModal()")
    check(page, 35)  # with a message and a dialog
    page.evaluate("document.getElementById('veil').classList.add('on')")
    check(page, 36)
    context.close()


def test_labels_of_zones_over_any_photo(page: Page) -> None:
    label, colors = page.evaluate(
        "import('/page/painting.js').then(({ LABEL, ZONE_COLORS }) => [LABEL, ZONE_COLORS])"
    )
    *edge, opacity = map(int, re.findall(r"\d+", label))
    assert len(colors) >= 6
    for photo in (0, 255):
        ground = [opacity / 100 * part + (1 - opacity / 100) * photo for part in edge]
        for color in colors:
            assert contrast(parse(color), ground) >= 4.5, color


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_controls(scheme: int) -> None:
    style = (PAGE / "style.css").read_text(encoding="utf-8")
    root = re.findall(r":root \{(.*?)\}", style, re.DOTALL)[scheme]
    colors = {name: parse(color) for name, color in re.findall(r"--([\w-]+): (#\w{6});", root)}
    for mark in ("faint", "accent"):  # of sliders, switches and bars
        assert contrast(colors[mark], colors["surface"]) >= 3, mark
    assert contrast(colors["accent"], colors["faint"]) >= 1.5, "bars from the threshold on stand out"


def parse(color: str) -> list[float]:
    """The parts of `#rrggbb`."""
    return [int(color[start : start + 2], 16) for start in (1, 3, 5)]


def contrast(*colors: list[float]) -> float:
    """Contrast of two colours, as WCAG defines it."""
    low, high = sorted(map(luminance, colors))
    return (high + 0.05) / (low + 0.05)


def luminance(color: list[float]) -> float:
    """Relative luminance of red, green and blue in [0, 255], as WCAG defines it."""
    parts = [part / 255 for part in color]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
