"""The page in a headless Chromium: files of points and zones are opened again."""

import json
from pathlib import Path

import numpy as np
import pytest
from browsing import PHOTO, count, draw_zone, open_photo, save, tap, upload, use, wait_until_ready
from playwright.sync_api import Page, Request, expect

from crowdpoint import formats, zones
from crowdpoint.points import Points

pytest_plugins = ["page_in_chromium"]

XY = [[84.5, 60], [10, 10.25]]


def add(page: Page, *files: Path | tuple[str, bytes]) -> None:
    """Chooses files, which are on disk or have a name and a content."""
    pairs = [(file.name, file.read_bytes()) if isinstance(file, Path) else file for file in files]
    kinds = {"png": "image/png", "csv": "text/csv", "json": "application/json"}
    page.set_input_files(
        "#file",
        [  # type: ignore[arg-type]
            {"name": name, "mimeType": kinds.get(name.split(".")[-1], ""), "buffer": content}
            for name, content in pairs
        ],
    )


def watch(page: Page) -> list[str]:
    """The addresses that are asked to predict from now on."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if "v1/predict" in request.url:
            asked.append(request.url)

    page.on("request", note)
    return asked


@pytest.mark.parametrize("kind", ["annotation", "csv", "json"])
def test_saved_points_are_corrected_further(page: Page, tmp_path: Path, kind: str) -> None:
    name = "=crowd, 1.png"
    upload(page, PHOTO, name=name)
    count(page, 3)
    page.locator("#threshold").fill("0.3")
    use(page, "Correct points")
    tap(page, 84, 60)
    tap(page, 160, 200)
    tap(page, 250, 60)
    count(page, 5)
    path = save(page, kind, tmp_path)
    first = formats.read(path)
    page.reload()
    wait_until_ready(page)
    asked = watch(page)
    add(page, path, (name, PHOTO))
    count(page, 5)
    expect(page.locator("#source")).to_have_text(path.name)
    expect(page.locator("#threshold-part")).to_be_hidden()
    expect(page.locator("#edits")).to_be_hidden()
    again = formats.read(save(page, kind, tmp_path))
    order = [np.lexsort(points[name].xy.T) for points in (first, again)]
    assert first[name].xy[order[0]].tolist() == again[name].xy[order[1]].tolist()
    assert first[name].scores[order[0]].tolist() == again[name].scores[order[1]].tolist()
    use(page, "Correct points")
    tap(page, 160, 200)
    count(page, 4)
    page.keyboard.press("Control+z")
    count(page, 5)
    assert asked == []
    page.get_by_role("button", name="Count again").click()
    count(page, 3)
    assert len(asked) == 1


@pytest.mark.parametrize("ending", ["csv", "jsonl", "json"])
def test_points_of_other_commands_are_opened(page: Page, tmp_path: Path, ending: str) -> None:
    sized = Points(np.array(XY, np.float32), image_size=(320, 240))
    path = tmp_path / f"points.{ending}"
    formats.write(path, {"street/Crowd.PNG": sized, "street/empty.png": Points.empty((320, 240))})
    add(page, ("crowd.png", PHOTO), path, ("empty.png", PHOTO))
    count(page, 2)
    expect(page.locator("#about")).to_contain_text("2 in 2 photos")
    (points,) = [p for name, p in formats.read(save(page, "json", tmp_path)).items() if name == "crowd.png"]
    assert points.xy.tolist() == XY


@pytest.mark.parametrize("kind", ["annotation", "csv", "json"])
def test_sizes_of_heads_are_kept(page: Page, tmp_path: Path, kind: str) -> None:
    """A point that is added has the size of the nearest one."""
    sizes = np.array([[9, 12.5], [4, 5]], np.float32)
    sized = Points(np.array(XY, np.float32), sizes=sizes, image_size=(320, 240))
    path = tmp_path / ("heads.csv" if kind == "csv" else "heads.json")
    formats.write(path, {"crowd.png": sized, "empty.png": Points.empty((320, 240))})
    add(page, ("crowd.png", PHOTO), ("empty.png", PHOTO), path)
    count(page, 2)
    use(page, "Correct points")
    tap(page, 84, 60)
    tap(page, 120, 60)
    count(page, 2)
    found = formats.read(save(page, kind, tmp_path))["crowd.png"]
    assert found.sizes is not None
    assert found.sizes.tolist() == sizes[::-1].tolist()


def test_points_without_the_size_of_their_photo(page: Page) -> None:
    add(page, ("points.csv", b"image,x,y\r\ncrowd.png,5,6\r\n"))
    expect(page.locator("#hint")).to_contain_text("points.csv has points of crowd.png; add this photo")
    add(page, ("crowd.png", PHOTO))
    count(page, 1)
    expect(page.locator("#about")).to_contain_text("crowd.png, 320 × 240")
    expect(page.locator("#hint")).to_be_hidden()


def test_opening_points_of_an_edited_photo_asks_first(page: Page) -> None:
    open_photo(page)
    use(page, "Correct points")
    tap(page, 84, 60)
    count(page, 2)
    points = ("points.csv", b"image,x,y\ncrowd.png,5,6\n")
    page.once("dialog", lambda dialog: dialog.dismiss())
    add(page, points)
    expect(page.locator("#edits-text")).to_have_text("0 added, 1 removed")
    count(page, 2)
    page.once("dialog", lambda dialog: dialog.accept())
    add(page, points)
    count(page, 1)


def test_points_of_another_photo(page: Page) -> None:
    open_photo(page)
    add(page, ("points.csv", b"image,x,y\nmall.png,5,6\nroad.png,1,1\n"))
    hint = "points.csv has points of mall.png and 1 more; add this photo; the photos here are crowd.png"
    expect(page.locator("#hint")).to_have_text(hint)
    count(page, 3)


def test_points_of_another_size(page: Page) -> None:
    record = {"image": "crowd.png", "width": 640, "height": 480, "points": [{"x": 1, "y": 2}]}
    add(page, ("crowd.png", PHOTO), ("crowd.json", json.dumps(record).encode()))
    expected = "crowd.json is for a photo of 640 × 480 pixels, and crowd.png has 320 × 240."
    expect(page.locator("#status")).to_contain_text(expected)
    expect(page.locator("#count")).to_have_text("–")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.json", b'{"image": "a.png"', "a.json: line 1 is not JSON"),
        ("a.json", b'{"image": "a.png", "points": null}', "a.json: expected objects with `image`"),
        ("a.jsonl", b'{"image": "a.png", "points": [{"x": 1}]}', "expected numbers as x, y and score"),
        ("a.csv", b"image;x;y\n", "a.csv: expected the columns image, x and y"),
        ("a.csv", b"image,x,y\na.png,1,\n", "expected numbers as x, y and score of a point of a.png"),
        ("a.csv", b"image,x,y,box_width\na.png,1,2,3\n", "and as its box_width and box_height, or none"),
        (
            "a.jsonl",
            b'{"image": "a.png", "points": [{"x": 1, "y": 2, "box_width": 3, "box_height": 4},'
            b' {"x": 1, "y": 1}]}',
            "a.jsonl: expected box_width and box_height on all points of a.png or on none",
        ),
        ("a.json", b'{"zones": [{"name": "a", "polygon": [[1, 2]]}]}', "a.json: expected zones with"),
        ("a.json", b'{"zones": [null]}', "a.json: expected zones with"),
        ("a.json", b'{"zones": [{"name": "a", "polygon": [1, 2, 3]}]}', "a.json: expected zones with"),
        (
            "a.json",
            b'{"zones": [{"name": "%s", "polygon": [[0, 0], [9, 9], [9, 0]]}]}' % (b"a" * 101),
            "a.json: expected zones with `name`, of at most 100 characters",
        ),
        (
            "a.json",
            b'{"zones": [{"name": "a", "polygon": [[0, 0], [9, 9], [1e9, 0]]}]}',
            "a.json: expected zones with",
        ),
        (
            "a.json",
            b'{"zones": [{"name": "a", "polygon": [[0, 0], [9, 9], [9, 0], [0, 9]]}]}',
            "a.json: a: The sides of a zone may not cross",
        ),
        (
            "a.json",
            b'{"zones": [{"name": "a", "polygon": [[0, 0], [9, 9], [0, 0]]}]}',
            "a.json: a: A zone needs three corners that are not on one line",
        ),
        (
            "a.json",
            b'{"zones": [{"name": "a", "polygon": [[0, 0], [9, 9], [9, 0]]}],'
            b' "lines": [{"name": "a", "line": [[0, 0], [9, 9]]}]}',
            "a.json: expected unique names of zones and lines, found a twice",
        ),
        ("a.json", b'{"lines": [{"name": "a"}]}', "a.json: expected lines with"),
        ("a.json", b'{"zones": [], "image_size": [0, 9]}', "a.json: expected [width, height]"),
        ("a.json", b'{"zones": [], "ground": {}}', "a.json: expected points [x, y] as `image` of `ground`"),
        ("a.json", b'{"type": "FeatureCollection"}', "a.json: the page reads zones as JSON"),
        ("a.yaml", b"zones:", "a.yaml: the page reads zones as JSON"),
        ("a.csv", b"", "a.csv: expected the columns image, x and y"),
        ("a.json", b'{"image": "a.png", "points": [null]}', "expected numbers as x, y and score"),
        ("a.txt", b"", "a.txt is neither a photo nor a file of points"),
        ("a.json", b'{"zones": []}', "a.json has zones; add its photo first"),
    ],
)
def test_files_that_cannot_be_opened(page: Page, name: str, content: bytes, expected: str) -> None:
    add(page, (name, content))
    expect(page.locator("#hint")).to_contain_text(expected)
    expect(page.locator("#welcome")).to_be_visible()


def test_zones_are_opened(page: Page, tmp_path: Path) -> None:
    open_photo(page)
    draw_zone(page, (60, 30), (250, 30), (250, 130), (60, 130))
    path = save(page, "zones", tmp_path)
    page.reload()
    wait_until_ready(page)
    add(page, path, ("other.png", PHOTO), ("crowd.png", PHOTO))
    page.locator("#strip button").nth(1).click()
    expect(page.locator("#zones b")).to_have_text("2", timeout=30_000)
    assert zones.load(save(page, "zones", tmp_path)) == zones.load(path)
    page.locator("#strip button").nth(0).click()
    expect(page.locator("#zones-part")).to_be_hidden()
    wrong = {"image_size": [9, 9], "zones": [{"name": "a", "polygon": [[0, 0], [1, 0], [1, 1]]}]}
    add(page, ("b.json", json.dumps(wrong).encode()))  # for the photo in view
    expect(page.locator("#hint")).to_contain_text("b.json is for a photo of 9 × 9 pixels, and other.png")


def test_all_members_of_a_file_of_zones_are_kept_and_scaled(page: Page, tmp_path: Path) -> None:
    document = {
        "image_size": [640, 482],  # nearly the same shape
        "ground": {
            "image": [[0, 0], [640, 0], [640, 480], [0, 480]],
            "metres": [[0, 0], [8, 0], [8, 6], [0, 6]],
        },
        "lines": [{"name": "Zone 1", "line": [[10, 20], [400, 20]]}],
        "zones": [
            {
                "name": "gate",
                "polygon": [[120, 60], [500, 60], [500, 260], [120, 260]],
                "alert": {"above": 2.5, "for": "10s", "measure": "density"},
            }
        ],
    }
    path = tmp_path / "view.json"
    path.write_text(json.dumps(document))
    open_photo(page)
    add(page, path)
    expect(page.locator("#zones b")).to_have_text("2")
    saved = zones.load(save(page, "zones", tmp_path))
    expected = zones.load(path).fit((320, 240))
    assert saved.image_size == (320, 240)
    assert saved.ground is not None
    assert expected.ground is not None
    assert saved.ground.metres == expected.ground.metres
    assert np.array(saved.ground.image) == pytest.approx(np.array(expected.ground.image))
    assert np.array(saved.lines[0].line) == pytest.approx(np.array(expected.lines[0].line))
    assert np.array(saved.zones[0].polygon) == pytest.approx(np.array(expected.zones[0].polygon), abs=1e-3)
    assert saved.zones[0].alert == expected.zones[0].alert
    draw_zone(page, (20, 150), (250, 150), (250, 220))
    page.get_by_label("Name of Zone 2").fill("Zone 1")  # as the line
    page.get_by_label("Name of Zone 2").press("Enter")
    assert [zone.name for zone in zones.load(save(page, "zones", tmp_path)).zones] == ["gate", "Zone 2"]


def test_a_file_of_lines_keeps_them(page: Page, tmp_path: Path) -> None:
    lines = [{"name": "door", "line": [[1, 2], [3, 4]]}]
    add(page, ("crowd.png", PHOTO), ("crowd.json", json.dumps({"lines": lines}).encode()))
    count(page, 3)
    draw_zone(page, (20, 150), (250, 150), (250, 220))
    assert json.loads(save(page, "zones", tmp_path).read_text("utf-8"))["lines"] == lines


def test_opening_zones_asks_before_it_replaces_unsaved_ones(page: Page, tmp_path: Path) -> None:
    open_photo(page)
    draw_zone(page, (60, 30), (250, 30), (250, 130))
    other = ("b.json", b'{"zones": [{"name": "other", "polygon": [[0, 0], [9, 0], [9, 9]]}]}')
    name = page.locator("#zones input")
    page.once("dialog", lambda dialog: dialog.dismiss())
    with page.expect_event("dialog") as asked:
        add(page, other)
    question = "Replace the zones of crowd.png by those of b.json? Your zones are not saved."
    assert asked.value.message == question
    expect(name).to_have_value("Zone 1")
    save(page, "zones", tmp_path)
    add(page, other)  # without a question, which would be dismissed
    expect(name).to_have_value("other")


def test_photos_whose_names_differ_in_case_keep_their_own_points(page: Page, tmp_path: Path) -> None:
    table = b"image,x,y\nA.png,5,6\na.png,7,8\na.png,17,18\n"
    near = ("a.zones.json", b'{"zones": [{"name": "gate", "polygon": [[0, 0], [9, 0], [9, 9], [0, 9]]}]}')
    add(page, ("A.png", PHOTO), ("a.png", PHOTO), ("points.csv", table), near)
    expect(page.locator("#about")).to_contain_text("3 in 2 photos")
    expect(page.locator("#zones-part")).to_be_hidden()
    path = save(page, "annotation", tmp_path)
    assert {name: len(points) for name, points in formats.read(path).items()} == {"A.png": 1, "a.png": 2}
    page.reload()
    wait_until_ready(page)
    add(page, ("a.png", PHOTO), ("A.png", PHOTO), path)
    count(page, 2)
    expect(page.locator("#about")).to_contain_text("3 in 2 photos")
    expect(page.locator("#hint")).to_be_hidden()
    page.reload()
    wait_until_ready(page)
    add(page, ("A.PNG", PHOTO), path)  # which of the two is it?
    expect(page.locator("#hint")).to_contain_text("points of A.png and 1 more; add this photo")
    count(page, 3)


def test_a_prediction_with_zones_is_opened(page: Page) -> None:
    points = [{"x": x, "y": y, "score": 1} for x, y in XY]
    record = {
        "image": "crowd.png",
        "width": 320,
        "height": 240,
        "points": points,
        "zones": {"gate": {"count": 1}},
    }
    add(page, ("crowd.png", PHOTO), ("found.json", json.dumps(record).encode()))
    count(page, 2)


def test_points_of_photos_of_one_name_are_not_mixed_up(page: Page) -> None:
    table = b"image,x,y\nnorth/crowd.png,5,6\nsouth/crowd.png,7,8\n"
    add(page, ("crowd.png", PHOTO), ("points.csv", table))
    expect(page.locator("#hint")).to_contain_text("points.csv has several photos named crowd.png")
    count(page, 3)  # by the server


def test_a_file_without_content_is_named(page: Page) -> None:
    add(page, ("crowd.png", PHOTO), ("points.json", b"null"))
    expect(page.locator("#hint")).to_contain_text("points.json: expected objects with `image`")
