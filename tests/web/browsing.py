"""What a person does on the page, and the photo that it is done with."""

from pathlib import Path

from playwright.sync_api import Page, expect
from serving import photo

PHOTO = photo({(84, 60): 255, (204, 100): 255, (300, 180): 180, (44, 204): 100}, (320, 240), "PNG")


def count(page: Page, expected: int) -> None:
    expect(page.locator("#count")).to_have_text(f"{expected:,}", timeout=30_000)


def wait_until_ready(page: Page) -> None:
    """Waits until the page has its models and listens."""
    expect(page.locator("#threshold")).to_have_attribute("min", "0.05", timeout=30_000)


def upload(page: Page, *contents: bytes, name: str = "crowd.png") -> None:
    stem, _, ending = name.partition(".")
    files = [
        {"name": f"{stem}{index or ''}.{ending}", "mimeType": "image/png", "buffer": content}
        for index, content in enumerate(contents)
    ]
    page.set_input_files("#file", files)  # type: ignore[arg-type]


def open_photo(page: Page) -> None:
    """Uploads the photo, and waits for its points."""
    upload(page, PHOTO)
    count(page, 3)


def save(page: Page, kind: str, folder: Path) -> Path:
    """Clicks a download, and keeps its file."""
    with page.expect_download() as download:
        page.locator(f"[data-save={kind}]").click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def draw_zone(page: Page, *corners: tuple[float, float]) -> None:
    use(page, "Draw zone")
    for corner in (*corners, corners[0]):
        tap(page, *corner)


def tap(page: Page, x: float, y: float) -> None:
    """Clicks at pixels of the photo, which is shown whole."""
    box = page.locator("#picture").bounding_box()
    assert box
    page.mouse.click(box["x"] + x / 320 * box["width"], box["y"] + y / 240 * box["height"])


def use(page: Page, tool: str) -> None:
    page.get_by_role("radio", name=tool).check()
