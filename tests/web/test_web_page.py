"""The page in a headless Chromium: the photo in view, as a person uses it."""

from pathlib import Path

import pytest
from browsing import PHOTO, count, draw_zone, open_photo, save, tap, upload, use
from playwright.sync_api import Browser, Dialog, Page, Request, Route, expect

from crowdpoint import draw, formats, images, zones
from crowdpoint.draw.heat import UNIT, compute_heat

pytest_plugins = ["page_in_chromium"]


def expect_heat(page: Page, x: float, y: float, there: bool) -> None:
    """Waits until the drawing over a pixel of the photo is opaque, or nearly transparent."""
    page.wait_for_function(
        """([x, y, there]) => {
            const drawing = document.getElementById("drawing");
            const [over, under] = [drawing, document.getElementById("picture")]
                .map((element) => element.getBoundingClientRect());
            const ratio = drawing.width / over.width;
            const left = (under.left - over.left + (x / 320) * under.width) * ratio;
            const top = (under.top - over.top + (y / 240) * under.height) * ratio;
            const opacity = drawing.getContext("2d").getImageData(left, top, 1, 1).data[3];
            return there ? opacity > 100 : opacity < 20;
        }""",
        arg=[x, y, there],
        timeout=60_000,
    )


def slide(page: Page, value: float) -> None:
    page.locator("#threshold").fill(str(value))


def test_the_slider_needs_no_request(page: Page) -> None:
    open_photo(page)
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))
    for threshold, expected in ((0.9, 2), (0.3, 4), (0.6, 3)):
        slide(page, threshold)
        count(page, expected)
    page.get_by_text("the model’s own").click()
    expect(page.locator("#threshold-value")).to_have_text("0.50")
    assert requests == []


def test_the_heat_map_follows_the_points(page: Page) -> None:
    open_photo(page)
    page.get_by_label("Points", exact=True).uncheck()
    expect_heat(page, 84, 60, False)
    page.get_by_label("Heat map").check()
    expect_heat(page, 84, 60, True)
    expect_heat(page, 44, 204, False)  # that point is below the threshold
    expect(page.locator("#picture")).to_have_class("dimmed")
    use(page, "Correct points")
    tap(page, 84, 60)  # removes
    count(page, 2)
    use(page, "Look")  # which does not mark what is removed
    expect_heat(page, 84, 60, False)
    expect_heat(page, 204, 100, True)
    slide(page, 1)
    slide(page, 0.99)
    count(page, 1)
    page.keyboard.press("Control+z")
    count(page, 2)
    expect_heat(page, 84, 60, True)
    page.get_by_label("Heat map").uncheck()
    expect_heat(page, 84, 60, False)
    expect(page.locator("#legend")).to_be_hidden()


def test_the_heat_map_is_that_of_files(page: Page, tmp_path: Path) -> None:
    open_photo(page)
    page.get_by_label("Points", exact=True).uncheck()
    page.get_by_label("Heat map").check()
    expect(page.locator("#legend")).to_be_visible(timeout=60_000)
    (points,) = formats.read(save(page, "json", tmp_path)).values()
    peak = compute_heat(points, (320, 240)).peak
    expect(page.locator("#legend-peak")).to_have_text(f"{peak:.3g}")
    expect(page.locator("#legend-unit")).to_have_text(UNIT)
    saved = images.read(save(page, "picture", tmp_path)).astype(int)
    drawn = draw.heatmap(images.read(PHOTO), points).astype(int)
    assert saved[190:, 60:].min(axis=2).max() > 200, "the legend is in white"
    for picture in (saved, drawn):
        picture[:40, :100] = picture[190:, 60:] = 0  # the count and the legend
    assert drawn.max() > 200
    assert abs(saved - drawn).mean() < 2
    assert abs(saved - drawn).max() < 60


def test_a_warning_stands_beside_the_count_until_points_are_corrected(page: Page) -> None:
    def warn(route: Route) -> None:
        response = route.fetch()
        document = response.json()
        document["results"][0]["warning"] = "half of the heads are smaller than 5 pixels"
        route.fulfill(response=response, json=document)

    warning = page.locator("#warning")
    open_photo(page)
    expect(warning).to_be_hidden()
    page.route("**/v1/predict*", warn)
    page.locator("#model").select_option("calibrated")
    expect(warning).to_have_text("Half of the heads are smaller than 5 pixels.", timeout=30_000)
    use(page, "Correct points")
    tap(page, 84, 60)
    expect(warning).to_be_hidden()


def test_the_count_has_an_interval_where_it_is_calibrated(page: Page, tmp_path: Path) -> None:
    open_photo(page)
    interval = page.locator("#interval")
    expect(interval).to_be_hidden()
    assert save(page, "counts", tmp_path).read_text("utf-8").endswith("crowd.png,320,240,3,,,,1,\n")
    page.locator("#model").select_option("calibrated")
    expect(interval).to_have_text("90 % interval: 2 to 6", timeout=30_000)
    assert save(page, "counts", tmp_path).read_text("utf-8").endswith("crowd.png,320,240,3,2,6,,1,\n")
    slide(page, 0.3)
    count(page, 4)
    expect(interval).to_be_hidden()
    page.get_by_text("the model’s own").click()
    expect(interval).to_be_visible()
    use(page, "Correct points")
    tap(page, 84, 60)
    expect(interval).to_be_hidden()
    page.get_by_role("button", name="Undo").click()
    expect(interval).to_be_visible()


def test_the_working_scale_is_chosen(page: Page) -> None:
    open_photo(page)
    expect(page.locator("#scale")).to_have_value("auto")
    page.locator("#scale").select_option("0.5")
    count(page, 0)  # the dots are darker at half the size
    page.locator("#scale").select_option("1")
    count(page, 3)
    use(page, "Correct points")
    tap(page, 84, 60)
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.locator("#scale").select_option("0.5")
    expect(page.locator("#scale")).to_have_value("1")
    count(page, 2)


def test_points_are_corrected_and_the_annotation_is_what_the_page_shows(page: Page, tmp_path: Path) -> None:
    open_photo(page)
    use(page, "Correct points")
    tap(page, 84, 60)  # removes
    count(page, 2)
    tap(page, 160, 200)  # adds
    count(page, 3)
    tap(page, 204, 100)  # removes
    tap(page, 204, 100)  # and brings back
    count(page, 3)
    expect(page.locator("#edits-text")).to_have_text("1 added, 1 removed")
    annotation = formats.read(save(page, "annotation", tmp_path))
    (points,) = annotation.values()
    assert list(annotation) == ["crowd.png"]
    assert points.image_size == (320, 240)
    assert points.scores.tolist() == [1, 1, 1]
    assert points.xy[:2].tolist() == [[204, 100], [300, 180]]
    assert points.xy[2] == pytest.approx([160, 200], abs=0.6)
    for kind in ("csv", "json"):
        (found,) = formats.read(save(page, kind, tmp_path)).values()
        assert found.xy.tolist() == points.xy.tolist()
        assert found.scores.tolist() == pytest.approx([1, 180 / 255, 1], abs=1e-3)
    for expected in (2, 3, 2, 3):  # restoring, removing, adding, removing
        page.keyboard.press("Control+z")
        count(page, expected)
    for keys, expected in (("Control+y", 2), ("Control+Shift+z", 3)):
        page.keyboard.press(keys)
        count(page, expected)
    tap(page, 204, 100)  # discards what could be redone
    count(page, 2)
    expect(page.get_by_role("button", name="Redo")).to_be_disabled()


def test_counts_are_saved_and_a_reload_asks_before_edits_are_lost(page: Page, tmp_path: Path) -> None:
    upload(page, PHOTO, PHOTO, name="=crowd, 1.png")
    expect(page.locator("#about")).to_contain_text("6 in 2 photos", timeout=60_000)
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    use(page, "Correct points")
    tap(page, 84, 60)
    count(page, 2)
    rows = save(page, "counts", tmp_path).read_text("utf-8").splitlines()
    assert rows[0] == "name,width,height,count,low,high,warning,scale,error"
    assert rows[1] == """"'=crowd, 1.png",320,240,2,,,,1,"""
    assert rows[2].endswith(",320,240,3,,,,1,")
    page.evaluate("setTimeout(() => location.reload(), 0)")
    page.wait_for_timeout(1000)
    assert asked == ["beforeunload"]
    count(page, 2)
    save(page, "annotation", tmp_path)
    page.reload()  # nothing is lost
    expect(page.locator("#welcome")).to_be_visible()
    assert asked == ["beforeunload"]


def test_the_picture_is_saved_with_its_points(page: Page, tmp_path: Path) -> None:
    open_photo(page)
    pixels = images.read(save(page, "picture", tmp_path))
    assert pixels.shape == (240, 320, 3)
    assert pixels[60, 84, 1] > 180
    assert pixels[60, 84, 0] < 120  # a point's colour, and not the white dot below it
    assert pixels[204, 44].max() < 130  # that point is below the threshold
    use(page, "Correct points")
    tap(page, 84, 60)  # removes
    tap(page, 204, 200)  # adds
    count(page, 3)
    pixels = images.read(save(page, "picture", tmp_path)).astype(int)
    assert pixels[200, 204, 0] - pixels[200, 204, 2] > 100, "the added point is yellow"
    around = pixels[45:75, 69:99]
    assert (around[..., 0] - around[..., 1]).max() < 60, "no red ring stands where the removed point was"


def test_the_picture_waits_for_its_heat_map(page: Page) -> None:
    waiting: list[Route] = []
    page.route("**/v1/heatmap*", lambda route: waiting.append(route))
    open_photo(page)
    picture = page.locator("[data-save=picture]")
    expect(picture).to_be_enabled()
    with page.expect_request("**/v1/heatmap*"):
        page.get_by_label("Heat map").check()
    expect(picture).to_be_disabled()
    waiting[0].continue_()
    expect(picture).to_be_enabled(timeout=30_000)


def test_the_strip_follows_the_photo_in_view(page: Page) -> None:
    page.set_viewport_size({"width": 420, "height": 800})
    upload(page, *[PHOTO] * 12)
    last = page.locator("#strip button").nth(11)
    expect(page.locator("#about")).to_contain_text("36 in 12 photos", timeout=120_000)
    expect(last).not_to_be_in_viewport()
    last.evaluate("(button) => button.click()")
    expect(last).to_be_in_viewport()


def test_zones_count_and_can_be_saved(page: Page, tmp_path: Path) -> None:
    open_photo(page)
    draw_zone(page, (60, 30), (250, 30), (250, 130), (60, 130))
    zone = page.locator("#zones li")
    expect(zone).to_have_count(1)
    expect(zone.locator("b")).to_have_text("2")
    use(page, "Correct points")
    tap(page, 84, 60)
    expect(zone.locator("b")).to_have_text("1")
    zone.locator("input").press("End")
    zone.locator("input").press_sequentially(" is being typed")
    # Meanwhile everything is shown anew, as after another photo's count.
    page.evaluate("document.querySelector('#threshold').dispatchEvent(new Event('input'))")
    expect(zone.locator("input")).to_have_value("Zone 1 is being typed")
    zone.locator("input").fill("")
    zone.locator("input").press("Enter")
    expect(zone.locator("input")).to_have_value("Zone 1")
    zone.locator("input").fill("gate")
    zone.locator("input").press("Enter")
    stored = zones.load(save(page, "zones", tmp_path))
    assert stored.image_size == (320, 240)
    (gate,) = stored.zones
    assert gate.name == "gate"
    assert gate.polygon[2] == pytest.approx([250, 130], abs=0.6)
    zone.locator("button").click()
    expect(zone).to_have_count(0)
    for expected in ("gate", "Zone 1"):
        page.get_by_role("button", name="Undo").click()
        expect(zone.locator("input")).to_have_value(expected)
    page.keyboard.press("Control+z")  # the removed point
    expect(zone.locator("b")).to_have_text("2")
    page.keyboard.press("Control+z")
    expect(zone).to_have_count(0)
    page.get_by_role("button", name="Redo").click()
    expect(zone.locator("input")).to_have_value("Zone 1")


def test_corners_of_an_unfinished_zone_are_undone(page: Page) -> None:
    open_photo(page)
    use(page, "Draw zone")
    for corner in ((60, 30), (250, 30), (10, 230), (250, 130), (60, 130)):
        tap(page, *corner)
        if corner == (10, 230):
            page.keyboard.press("Control+z")
    tap(page, 60, 30)
    expect(page.locator("#zones b")).to_have_text("2")


def test_sides_of_a_zone_do_not_cross(page: Page) -> None:
    open_photo(page)
    use(page, "Draw zone")
    for corner in ((60, 30), (250, 130), (250, 30), (60, 130)):
        tap(page, *corner)
    expect(page.locator("#hint")).to_contain_text("may not cross")
    page.keyboard.press("Escape")
    expect(page.locator("#hint")).to_contain_text("discarded")


@pytest.mark.parametrize("middle", [(160, 30), (60, 30)])
def test_a_zone_without_an_area_is_not_closed(page: Page, middle: tuple[int, int]) -> None:
    open_photo(page)
    use(page, "Draw zone")
    for corner in ((60, 30), (250, 30), middle):
        tap(page, *corner)
    expect(page.locator("#hint")).to_contain_text("may not cross" if middle[0] == 160 else "not on one line")
    tap(page, 250, 130)
    tap(page, 60, 30)
    expect(page.locator("#zones b")).to_have_text("1")


def test_the_keyboard_is_enough(page: Page) -> None:
    open_photo(page)
    page.get_by_role("radio", name="Look").focus()
    page.keyboard.press("ArrowRight")
    page.locator("#viewport").focus()
    page.keyboard.press("Enter")  # adds in the middle
    count(page, 4)
    for name in ("+", "+", "ArrowRight", "ArrowDown"):
        page.keyboard.press(name)
    page.wait_for_timeout(100)
    page.keyboard.press("Enter")
    count(page, 5)
    page.keyboard.press("0")
    page.wait_for_timeout(100)
    page.keyboard.press("Enter")  # removes what is in the middle
    count(page, 4)


def test_zoomed_in_taps_still_hit(page: Page) -> None:
    open_photo(page)
    use(page, "Correct points")
    box = page.locator("#picture").bounding_box()
    assert box
    x, y = box["x"] + 84 / 320 * box["width"], box["y"] + 60 / 240 * box["height"]
    page.mouse.move(x, y)
    for _ in range(6):
        page.mouse.wheel(0, -100)
        page.wait_for_timeout(60)
    zoomed = page.locator("#picture").bounding_box()
    assert zoomed
    assert zoomed["width"] > 1.5 * box["width"]
    page.mouse.click(x, y)  # zooming keeps what is under the mouse
    count(page, 2)
    page.mouse.down()
    page.mouse.move(x - 80, y - 40, steps=4)
    page.mouse.up()  # a drag moves the photo and changes no point
    count(page, 2)


def pinch(page: Page, x: float, y: float) -> None:
    """Two fingers move apart around a place."""
    devtools = page.context.new_cdp_session(page)
    for kind, apart in (("touchStart", 20), ("touchMove", 50), ("touchMove", 80), ("touchEnd", None)):
        places = (
            [] if apart is None else [{"x": x - apart, "y": y, "id": 1}, {"x": x + apart, "y": y, "id": 2}]
        )
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})
        page.wait_for_timeout(60)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_takes_touch(browser: Browser, url: str, scheme: str) -> None:
    context = browser.new_context(
        viewport={"width": 390, "height": 844},
        is_mobile=True,
        has_touch=True,
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    page = context.new_page()
    page.goto(url)
    expect(page.locator("#threshold")).to_have_attribute("min", "0.05")
    upload(page, PHOTO, PHOTO, PHOTO, PHOTO, PHOTO)
    count(page, 3)
    use(page, "Correct points")
    box = page.locator("#picture").bounding_box()
    assert box
    page.touchscreen.tap(box["x"] + 84 / 320 * box["width"], box["y"] + 60 / 240 * box["height"])
    count(page, 2)
    pinch(page, box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    zoomed = page.locator("#picture").bounding_box()
    assert zoomed
    assert zoomed["width"] > 1.3 * box["width"]
    count(page, 2)  # fingers that pinch tap nothing
    page.get_by_label("Heat map").check()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    context.close()
