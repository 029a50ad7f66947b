"""What a person does on the page, and the photo that it is done with."""

from playwright.sync_api import Page, expect
from serving import photo

PHOTO = photo({(84, 60): 255, (204, 100): 255, (300, 180): 180, (44, 204): 100}, (320, 240), "PNG")


def count(page: Page, expected: int) -> None:
    expect(page.locator("#count")).to_have_text(f"{expected:,}", timeout=30_000)


def upload(page: Page, *contents: bytes, name: str = "crowd.png") -> None:
    stem, _, ending = name.partition(".")
    files = [
        {"name": f"{stem}{index or ''}.{ending}", "mimeType": "image/png", "buffer": content}
        for index, content in enumerate(contents)
    ]
    page.set_input_files("#file", files)  # type: ignore[arg-type]


def tap(page: Page, x: float, y: float) -> None:
    """Clicks at pixels of the photo, which is shown whole."""
    box = page.locator("#picture").bounding_box()
    assert box
    page.mouse.click(box["x"] + x / 320 * box["width"], box["y"] + y / 240 * box["height"])


def use(page: Page, tool: str) -> None:
    page.get_by_role("radio", name=tool).check()
