"""The page in a headless Chromium: photos come and go, and the server answers or does not."""

import base64
import json
from pathlib import Path

from browsing import PHOTO, count, open_photo, tap, upload, use
from playwright.sync_api import Browser, Page, expect
from serving import photo, served
from tiny_models import write_tiny

pytest_plugins = ["page_in_chromium"]


def transfer(page: Page, event: str) -> None:
    """Fires the browser's event of a person who drops a photo on the page, or pastes one."""
    page.evaluate(
        """([event, content]) => {
            const data = new DataTransfer();
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
            data.items.add(new File([bytes], "crowd.png", { type: "image/png" }));
            const fields = { bubbles: true, cancelable: true };
            document.body.dispatchEvent(event === "paste"
                ? new ClipboardEvent(event, { clipboardData: data, ...fields })
                : new DragEvent(event, { dataTransfer: data, ...fields }));
        }""",
        [event, base64.b64encode(PHOTO).decode()],
    )


def test_photos_are_dropped_and_pasted(page: Page) -> None:
    transfer(page, "dragover")
    expect(page.locator("#veil")).to_be_visible()
    transfer(page, "drop")
    expect(page.locator("#veil")).to_be_hidden()
    count(page, 3)
    transfer(page, "paste")
    expect(page.locator("#strip button")).to_have_count(2)
    expect(page.locator("#about")).to_contain_text("6 in 2 photos", timeout=30_000)


def test_removed_photos_are_released(page: Page) -> None:
    def readable(address: str | None) -> bool:
        found: bool = page.evaluate(
            """(address) => new Promise((resolve) => {
                const image = Object.assign(new Image(), { src: address });
                image.onload = () => resolve(true);
                image.onerror = () => resolve(false);
            })""",
            address,
        )
        return found

    remove = page.get_by_role("button", name="Remove photo")
    upload(page, PHOTO, photo({(84, 60): 255}, (320, 240)), PHOTO)
    count(page, 3)
    strip = page.locator("#strip button")
    strip.nth(1).click()
    count(page, 1)
    address = page.locator("#picture").get_attribute("src")
    assert readable(address)
    remove.click()
    expect(strip).to_have_count(2)
    expect(page.locator("#about")).to_contain_text("crowd2.png", timeout=30_000)
    expect(page.locator("#about")).to_contain_text("6 in 2 photos", timeout=30_000)
    assert not readable(address)
    use(page, "Correct points")
    tap(page, 160, 200)
    count(page, 4)
    page.once("dialog", lambda dialog: dialog.dismiss())
    remove.click()
    count(page, 4)  # an edited one is asked for first
    page.once("dialog", lambda dialog: dialog.accept())
    remove.click()
    expect(page.locator("#about")).to_contain_text("crowd.png")
    remove.press("Enter")
    expect(page.get_by_role("button", name="Choose photos")).to_be_focused()
    expect(page.locator("#panel")).to_be_hidden()
    open_photo(page)


def test_failures_are_shown_and_do_not_affect_other_photos(page: Page) -> None:
    upload(page, PHOTO, b"\xff\xd8\xff broken", photo({}, (600, 400)))
    count(page, 3)
    strip = page.locator("#strip button")
    expect(strip).to_have_count(3)
    strip.nth(1).click()
    expect(page.locator("#status")).to_contain_text("cannot be counted", timeout=30_000)
    strip.nth(2).click()
    expect(page.locator("#status")).to_contain_text("Too large", timeout=30_000)
    strip.nth(0).click()
    count(page, 3)
    expect(page.locator("#status")).to_be_hidden()


def test_requests_to_a_busy_server_are_repeated(page: Page) -> None:
    document = {"type": "about:blank", "title": "busy", "status": 503, "detail": "busy"}
    page.route(
        "**/v1/predict*",
        lambda route: route.fulfill(
            status=503,
            headers={"Retry-After": "1"},
            content_type="application/problem+json",
            body=json.dumps(document),
        ),
        times=1,
    )
    upload(page, PHOTO)
    expect(page.locator("#status")).to_contain_text("busy. Trying again in 1 second")
    count(page, 3)


def test_another_model_counts_again(page: Page) -> None:
    open_photo(page)
    page.locator("#model").select_option("strict")
    count(page, 2)
    expect(page.locator("#threshold-value")).to_have_text("0.90")
    page.locator("#model").select_option("lax")
    count(page, 4)
    expect(page.locator("#threshold")).to_have_attribute("min", "0.01")  # the least that the API takes


def test_the_key_is_asked_for(browser: Browser, tmp_path: Path) -> None:
    tiny = write_tiny(tmp_path / "tiny.onnx")
    with served("--model", tiny, CROWDPOINT_API_KEY="sesame") as server:
        page = browser.new_page()
        page.goto(server.url)
        for key in ("wrong", "sesame"):
            expect(page.get_by_role("dialog")).to_be_visible()
            page.locator("#key").fill(key)
            page.get_by_role("button", name="Continue").click()
        expect(page.locator("#threshold")).to_have_attribute("min", "0.05")
        upload(page, PHOTO)
        count(page, 3)
        page.close()


def test_an_answer_of_another_program_is_an_error_of_its_photo(page: Page) -> None:
    """Such as the page of a proxy where one signs in."""
    page.route("**/v1/predict*", lambda route: route.fulfill(status=200, body="<html>"), times=2)
    upload(page, PHOTO, PHOTO)
    expect(page.locator("#status")).to_contain_text("sign in if you are asked to", timeout=30_000)
    again = page.get_by_role("button", name="Try again")
    again.focus()
    upload(page, PHOTO, name="third.png")
    expect(page.locator("#about")).to_contain_text("third.png", timeout=30_000)
    count(page, 3)
    page.locator("#strip button").nth(0).click()
    again.click()
    count(page, 3)


def test_a_picture_that_the_browser_cannot_make_is_not_saved(page: Page) -> None:
    open_photo(page)
    page.evaluate("() => { HTMLCanvasElement.prototype.toBlob = (done) => done(null); }")
    page.locator("[data-save=picture]").click()
    expect(page.locator("#hint")).to_contain_text("cannot save this photo as a picture")
