"""formats: files as labelling tools write them, and broken ones."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crowdpoint import datasets, formats
from crowdpoint.errors import FormatError
from crowdpoint.formats import yolo
from crowdpoint.formats.text import build_points
from crowdpoint.points import FloatArray, Points

COCO: dict[str, Any] = {
    "info": {"description": "a drawn crowd", "year": 2024},
    "licenses": [],
    "images": [
        {"id": 7, "file_name": "a.jpg", "width": 64, "height": 48, "license": 1, "date_captured": ""},
        {"id": 3, "file_name": "b.jpg", "width": 32, "height": 24},
    ],
    "annotations": [
        {
            "id": 1, "image_id": 7, "category_id": 1, "bbox": [10, 20, 6, 8], "area": 48.0, "iscrowd": 0,
            "segmentation": [], "num_keypoints": 2, "keypoints": [0, 0, 0, 12.5, 21, 1, 14, 22, 2],
        },
        {
            "id": 2, "image_id": 7, "category_id": 1, "bbox": [0, 0, 64, 48], "area": 9.0, "iscrowd": 1,
            "segmentation": {"size": [48, 64], "counts": [0]}, "num_keypoints": 0, "keypoints": [0] * 9,
        },
        {
            "id": 3, "image_id": 7, "category_id": 1, "bbox": [30, 30, 2, 2], "area": 4.0, "iscrowd": 0,
            "segmentation": [], "num_keypoints": 0, "keypoints": [0] * 9,
        },
    ],
    "categories": [
        {
            "id": 1, "name": "person", "supercategory": "person",
            "keypoints": ["nose", "left_eye", "right_eye"], "skeleton": [[1, 2]],
        }
    ],
}  # fmt: skip

REGION = {
    "original_width": 600, "original_height": 400, "image_rotation": 0,
    "value": {"x": 50.0, "y": 25.0, "width": 0.4, "keypointlabels": ["Head"]},
    "id": "hqudA4A3U4", "from_name": "kp-1", "to_name": "img-1", "type": "keypointlabels", "origin": "manual",
}  # fmt: skip

LABEL_STUDIO: list[dict[str, Any]] = [
    {
        "id": 1,
        "annotations": [
            {"id": 10, "completed_by": 1, "was_cancelled": True, "ground_truth": False, "result": []},
            {
                "id": 11, "completed_by": 2, "was_cancelled": False, "ground_truth": False, "lead_time": 4.2,
                "result": [
                    {**REGION, "type": "polygonlabels", "value": {"points": [[1, 2], [3, 4], [5, 6]]}},
                    REGION,
                ],
            },
        ],
        "predictions": [],
        "data": {"image": "/data/upload/1/2f8a-a.jpg"},
        "meta": {},
        "project": 1,
    },
    {
        "id": 2,
        "predictions": [{"model_version": "1", "score": 0.5, "result": [{**REGION, "score": 0.25}]}],
        "data": {"image": "b.jpg"},
    },
    {"id": 3, "annotations": [{"result": []}], "data": {"image": "c.jpg"}},
]  # fmt: skip

CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><id>1</id><name>crowd</name><size>2</size><mode>annotation</mode><overlap>0</overlap>
    <labels><label><name>head</name><color>#ff0000</color><type>points</type><attributes></attributes></label>
    </labels></task><dumped>2024-01-01 00:00:00.000000+00:00</dumped></meta>
  <image id="0" name="day/a.jpg" width="64" height="48">
    <points label="head" source="manual" occluded="0" points="1.50,2.00;30.00,4.25" z_order="0"></points>
    <points label="car" occluded="1" points="7,8" z_order="0"><attribute name="id">3</attribute></points>
    <box label="head" occluded="0" xtl="1" ytl="2" xbr="3" ybr="4" z_order="0"></box>
  </image>
  <image id="1" name="b.jpg" width="32" height="24"></image>
</annotations>
"""

LABELME: dict[str, Any] = {
    "version": "5.2.1",
    "flags": {},
    "shapes": [
        {"label": "head", "points": [[25, 20], [15, 40]], "shape_type": "rectangle", "flags": {}},
        {"label": "head", "points": [[50, 60], [53, 64]], "shape_type": "circle", "score": 0.5},
        {
            "label": "head",
            "points": [[100, 200], [108, 200], [108, 212], [100, 212]],
            "shape_type": "rectangle",
            "score": 0.75,
        },
        {"label": "wall", "points": [[0, 0], [9, 0], [9, 9]], "shape_type": "polygon", "score": None},
        {"label": "wall", "points": [[0, 0], [9, 0], [9, 9]]},
    ],
    "imagePath": "photos/a.jpg",
    "imageData": None,
    "imageHeight": 480,
    "imageWidth": 640,
}
VOC = """<annotation verified="yes">
  <folder>VOC2007</folder>
  <filename>000001.jpg</filename>
  <source><database>The VOC2007 Database</database><image>flickr</image></source>
  <size><width>353</width><height>500</height><depth>3</depth></size>
  <segmented>0</segmented>
  <object>
    <name>person</name><pose>Left</pose><truncated>1</truncated><difficult>0</difficult>
    <bndbox><xmin>48</xmin><ymin>240</ymin><xmax>195</xmax><ymax>371</ymax></bndbox>
    <part><name>head</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox></part>
  </object>
</annotation>
"""

GEOJSON: dict[str, Any] = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [1.5, 2.0, 0.0]},
            "properties": {"image": "a.jpg", "width": 64, "height": 48, "score": 0.5, "box_width": None},
        },
        {"type": "Feature", "geometry": None, "properties": {"image": "b.jpg"}},
    ],
}


JSON_MIN = [{"image": "/data/a.jpg", "id": 1, "kp": [{"x": 5, "y": 5}], "annotation_id": 7, "annotator": 1}]


def written(folder: Path, name: str, content: object) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def picture(path: Path, width: int, height: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))


def test_coco_keypoints(tmp_path: Path) -> None:
    assert formats.read(written(tmp_path, "a.json", COCO)) == {
        "a.jpg": Points(np.array([[12.5, 21]]), image_size=(64, 48)),
        "b.jpg": Points.empty((32, 24)),
    }


def test_coco_boxes(tmp_path: Path) -> None:
    annotations = [{k: v for k, v in a.items() if "keypoints" not in k} for a in COCO["annotations"]]
    annotations[0]["score"] = 0.5
    content = {**COCO, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
    expected = Points(
        np.array([[13, 24], [31, 31]]), np.array([0.5, 1]), np.array([[6, 8], [2, 2]]), image_size=(64, 48)
    )
    assert formats.read(written(tmp_path, "a.json", content)) == {
        "a.jpg": expected,
        "b.jpg": Points.empty((32, 24)),
    }
    assert formats.read(written(tmp_path, "a.json", COCO), "coco-boxes")["a.jpg"] == Points(
        expected.xy, sizes=expected.sizes, image_size=(64, 48)
    )


def test_coco_as_written(tmp_path: Path) -> None:
    points = Points(np.array([[10, 20]]), np.array([0.5]), np.array([[4, 6]]), (64, 48))
    formats.write(tmp_path / "a.json", {"a.jpg": points}, "coco-keypoints")
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}],
        "annotations": [
            {
                "id": 1, "image_id": 1, "category_id": 1, "bbox": [8, 17, 4, 6], "area": 24, "iscrowd": 0,
                "keypoints": [10, 20, 2], "num_keypoints": 1, "score": 0.5,
            }
        ],
        "categories": [
            {"id": 1, "name": "head", "supercategory": "", "keypoints": ["head"], "skeleton": []}
        ],
    }  # fmt: skip


def test_label_studio(tmp_path: Path) -> None:
    assert formats.read(written(tmp_path, "a.json", LABEL_STUDIO)) == {
        "/data/upload/1/2f8a-a.jpg": Points(np.array([[300, 100]]), image_size=(600, 400)),
        "b.jpg": Points(np.array([[300, 100]]), np.array([0.25]), image_size=(600, 400)),
        "c.jpg": Points.empty(),
    }


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ({"photo": "a.jpg"}, "a.jpg"),
        ({"url": "no ending"}, "no ending"),
        ({"image": "a", "preview": "b.jpg"}, "a"),
        (
            {"note": "by hand", "img": "https://example.org/a.jpg?x=1", "n": 3},
            "https://example.org/a.jpg?x=1",
        ),
    ],
)
def test_label_studio_with_any_data_key(tmp_path: Path, data: dict[str, Any], name: str) -> None:
    content = changed(LABEL_STUDIO[:1], 0, "data", to=data)
    assert list(formats.read(written(tmp_path, "a.json", content))) == [name]


def test_skipped_and_open_tasks_of_label_studio_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They are not annotated as images without people, which would train a model to find nobody."""
    skipped = {"was_cancelled": True, "result": [REGION]}
    predicted = {"model_version": "1", "result": [REGION]}
    tasks = [
        {"data": {"image": "skipped.jpg"}, "annotations": [skipped], "predictions": [predicted]},
        {"data": {"image": "open.jpg"}, "annotations": [], "predictions": []},
        {"data": {"image": "new.jpg"}},
        {"data": {"image": "empty.jpg"}, "annotations": [skipped, {"was_cancelled": False, "result": []}]},
    ]
    (tmp_path / "a.json").write_text(json.dumps(tasks), encoding="utf-8")
    assert formats.read(tmp_path / "a.json") == {"empty.jpg": Points.empty()}
    assert "leaves out tasks that are skipped or not annotated: 3 of 4" in caplog.text


def test_cvat(tmp_path: Path) -> None:
    assert formats.read(written(tmp_path, "annotations.xml", CVAT)) == {
        "day/a.jpg": Points(np.array([[1.5, 2], [30, 4.25], [7, 8], [2, 3]]), image_size=(64, 48)),
        "b.jpg": Points.empty((32, 24)),
    }


def test_boxes_of_cvat_have_sizes(tmp_path: Path) -> None:
    boxes = (
        f'<box label="head" xtl="{x}" ytl="2" xbr="{x + 4}" ybr="8"{outside}/>'
        for x, outside in ((1, ""), (20, ' outside="0"'), (40, ' outside="1"'))
    )
    content = f'<annotations><image id="0" name="a.jpg">{"".join(boxes)}</image></annotations>'
    expected = Points(np.array([[3, 5], [22, 5]]), sizes=np.array([[4, 6], [4, 6]]))
    assert formats.read(written(tmp_path, "a.xml", content)) == {"a.jpg": expected}


def test_a_cvat_skeleton_is_one_head(tmp_path: Path) -> None:
    def skeleton(*joints: tuple[int, str]) -> str:
        points = (f'<points label="j" outside="{outside}" points="{xy}"/>' for outside, xy in joints)
        return f'<skeleton label="person">{"".join(points)}</skeleton>'

    shapes = [
        skeleton((0, "1,2"), (0, "3,4")),
        skeleton((1, "5,6"), (0, "7,8")),
        skeleton((1, "9,9")),
        '<points label="head" outside="1" points="9,9"/>',
        '<points label="head" points="10,11"/>',
    ]
    content = f'<annotations><image id="0" name="a.jpg">{"".join(shapes)}</image></annotations>'
    (points,) = formats.read(written(tmp_path, "a.xml", content)).values()
    assert points.xy.tolist() == [[1, 2], [7, 8], [10, 11]]


def test_labelme(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A rectangle has two opposite corners, or four in AnyLabeling; a circle its centre and a point on it."""
    heads: list[list[float]] = [[20, 30, 1, 10, 20], [50, 60, 0.5, 10, 10], [104, 206, 0.75, 8, 12]]
    expected = {"photos/a.jpg": build_points(heads, (640, 480))}
    assert formats.read(written(tmp_path, "a.json", LABELME)) == expected
    assert "a.json: leaves out shapes that mark no single head: polygon (2)" in caplog.text
    point = {"label": "head", "points": [[7.5, 8]], "shape_type": "point"}
    with_point = changed(LABELME, "shapes", 3, to=point)
    expected = {"photos/a.jpg": build_points([row[:3] for row in heads] + [[7.5, 8, 1]], (640, 480))}
    assert formats.read(written(tmp_path, "a.json", with_point)) == expected, "a point has no size"


def test_labelme_files_beside_photos_are_a_dataset(tmp_path: Path) -> None:
    """As `convert --to labelme` writes them, for correction."""
    points = {f"{x}.jpg": build_points([[5, x, 0.5]], (40, 30)) for x in (6, 7)}
    for name in points:
        Image.new("RGB", (40, 30)).save(tmp_path / name)
    formats.write(tmp_path, points, "labelme")
    first = json.loads((tmp_path / "6.json").read_text())
    assert {
        "imagePath": "6.jpg",
        "imageData": None,
        "imageHeight": 30,
        "imageWidth": 40,
    }.items() <= first.items()
    assert first["shapes"][0]["score"] == 0.5
    assert [sample.points() for sample in datasets.load("folder", tmp_path)] == list(points.values())


def test_voc(tmp_path: Path) -> None:
    expected = Points(np.array([[121.5, 305.5]]), sizes=np.array([[147, 131]]), image_size=(353, 500))
    assert formats.read(written(tmp_path, "000001.xml", VOC)) == {"000001.jpg": expected}
    bare = "<annotation><size><width>0</width><height>0</height></size></annotation>"
    assert formats.read(written(tmp_path, "b.xml", bare)) == {"b": Points.empty()}


@pytest.mark.parametrize("image", ["labels/train/a.JPG", "images/train/a.png"])
def test_yolo(tmp_path: Path, image: str) -> None:
    picture(tmp_path / image, 200, 100)
    path = written(tmp_path, "labels/train/a.txt", "0 0.5 0.25 0.1 0.2\n15 0.125 1 0.5 0.0 0.75\n")
    expected = Points(
        np.array([[100, 25], [25, 100]]), np.array([1, 0.75]), np.array([[20, 20], [100, 0]]), (200, 100)
    )
    assert formats.read(path) == {"a": expected}
    assert formats.read(path.parent) == {"a": expected}
    written(tmp_path, "labels/train/a.txt", "")
    assert formats.read(path, "yolo") == {"a": Points.empty((200, 100))}


@pytest.mark.parametrize("image", ["labels/a.jpg", "images/a.JPG", "images/a.png"])
def test_the_image_of_yolo_labels_is_found_without_listing_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image: str
) -> None:
    (tmp_path / "images").mkdir()
    path = written(tmp_path, "labels/a.txt", "")
    picture(tmp_path / image, 200, 100)
    monkeypatch.setattr(yolo, "list_files", None)
    assert formats.read(path, "yolo") == {"a": Points.empty((200, 100))}


def test_a_yolo_polygon_is_its_box(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 200, 100)
    path = written(tmp_path, "a.txt", "0 0.1 0.1 0.3 0.1 0.3 0.5 0.1 0.5\n0 0.5 0.5 0.7 0.5 0.6 0.9\n")
    points = formats.read(path)["a"]
    assert points.sizes is not None
    np.testing.assert_allclose(points.xy, [[40, 30], [120, 70]], rtol=1e-6)
    np.testing.assert_allclose(points.sizes, [[40, 40], [40, 40]], rtol=1e-6)


def test_geojson_does_not_mix_degrees_and_pixels(tmp_path: Path) -> None:
    on_map = {"image": "a.tif", "pixel_x": 1, "pixel_y": 2}
    added = {"image": "a.tif", "pixel_x": None, "pixel_y": None}
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [8.5, 47.3]},
            "properties": properties,
        }
        for properties in (on_map, added)
    ]
    path = written(tmp_path, "a.geojson", {"type": "FeatureCollection", "features": features})
    with pytest.raises(FormatError, match=r"a\.geojson: feature 2: has no pixel_x and pixel_y"):
        formats.read(path)


def test_a_point_that_was_moved_on_the_map_is_not_read_at_its_old_pixel(tmp_path: Path) -> None:
    shared = {"image": "a.tif", "pixel_x": 1, "pixel_y": 2, "longitude": 8.5, "latitude": 47.3}
    for latitude, moved in ((47.3, False), (47.30000005, False), (47.300001, True)):
        feature = {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [8.5, latitude]},
            "properties": shared,
        }
        path = written(tmp_path, "a.geojson", {"type": "FeatureCollection", "features": [feature]})
        if moved:
            with pytest.raises(FormatError, match=r"feature 1: was moved on the map, from latitude 47\.3 to"):
                formats.read(path)
        else:
            assert formats.read(path)["a.tif"].xy.tolist() == [[1, 2]]


def test_map_points_whose_moves_cannot_be_told_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def read(**properties: float) -> FloatArray:
        feature = {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [8.5, 47.3]},
            "properties": {"image": "a.tif", **properties},
        }
        path = written(tmp_path, "a.geojson", {"type": "FeatureCollection", "features": [feature]})
        return formats.read(path)["a.tif"].xy

    assert read(pixel_x=1, pixel_y=2, longitude=8.5, latitude=47.3).tolist() == [[1, 2]]
    assert read(pixel_x=8.5, pixel_y=47.3) == pytest.approx(np.array([[8.5, 47.3]]))
    assert read() == pytest.approx(np.array([[8.5, 47.3]]))
    assert not caplog.messages
    assert read(pixel_x=1, pixel_y=2).tolist() == [[1, 2]]
    (message,) = caplog.messages
    assert "a.geojson: 1 points lack the properties longitude and latitude" in message


def test_geojson(tmp_path: Path) -> None:
    expected = {
        "a.jpg": Points(np.array([[1.5, 2]]), np.array([0.5]), image_size=(64, 48)),
        "b.jpg": Points.empty(),
    }
    assert formats.read(written(tmp_path, "a.geojson", GEOJSON)) == expected
    assert formats.read(written(tmp_path, "a.json", GEOJSON)) == expected


def changed(content: Any, *keys: str | int, to: object) -> Any:
    """A copy with one value replaced."""
    copy = json.loads(json.dumps(content))
    entry = copy
    for key in keys[:-1]:
        entry = entry[key]
    entry[keys[-1]] = to
    return copy


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("coco-boxes", "{", r"a\.x:1: not JSON"),
        ("coco-boxes", [], r"a\.x: expected an object with the lists images and annotations"),
        ("coco-boxes", changed(COCO, "images", 1, to=5), r"a\.x: image 2: expected an object with file_name"),
        (
            "coco-boxes",
            changed(COCO, "images", 1, "id", to=7),
            r"a\.x: image 2: duplicate file_name b\.jpg or id 7",
        ),
        (
            "coco-boxes",
            changed(COCO, "images", 1, "width", to=-1),
            r"a\.x: image 2: width: expected an integer",
        ),
        (
            "coco-boxes",
            changed(COCO, "images", 1, "width", to=0),
            r"a\.x: image b\.jpg: image_size: expected",
        ),
        ("coco-boxes", changed(COCO, "annotations", 2, to=5), r"a\.x: annotation 3: expected an object"),
        (
            "coco-boxes",
            changed(COCO, "annotations", 2, "image_id", to=8),
            r"annotation 3: image_id: expected",
        ),
        ("coco-boxes", changed(COCO, "annotations", 2, "bbox", to=[1, 2]), r"annotation 3: bbox: expected a"),
        (
            "coco-boxes",
            changed(COCO, "annotations", 2, "bbox", to=[1, 2, 3, "4"]),
            r"3: bbox: expected a num",
        ),
        ("coco-boxes", changed(COCO, "annotations", 2, "bbox", to=[1, 2, 3, -4]), r"image a\.jpg: sizes"),
        ("coco-boxes", changed(COCO, "annotations", 2, "score", to=2), r"image a\.jpg: scores: expected"),
        (
            "coco-keypoints",
            changed(COCO, "annotations", 2, "keypoints", to=[1, 2]),
            r"annotation 3: keypoints",
        ),
        ("coco-keypoints", changed(COCO, "annotations", 2, "keypoints", to=None), r"annotation 3: keypoints"),
        (
            "coco-boxes",
            changed(COCO, "annotations", 2, "bbox", to=[3e38, 1, 3e38, 1]),
            r"a\.jpg: xy: expected",
        ),
        ("label-studio", {}, r"a\.x: expected a list of tasks"),
        ("label-studio", JSON_MIN, r"a\.x: task 1: Label Studio's JSON-MIN .* export the project as JSON"),
        (
            "label-studio",
            changed(LABEL_STUDIO, 1, "data", to={}),
            r"a\.x: task 2: expected an object whose data",
        ),
        (
            "label-studio",
            changed(LABEL_STUDIO, 1, "data", to={"left": "a.jpg", "right": "b.jpg"}),
            r"task 2: expected an object whose data has an image, found left, right",
        ),
        (
            "label-studio",
            changed(LABEL_STUDIO, 1, "data", "image", to="c.jpg"),
            r"task 3: duplicate image c\.jpg",
        ),
        ("label-studio", changed(LABEL_STUDIO, 1, "predictions", to=[1]), r"task 2: predictions: expected"),
        (
            "label-studio",
            changed(LABEL_STUDIO, 1, "predictions", 0, "result", to=[1]),
            r"task 2: region 1: expected an object with type",
        ),
        *(
            ("label-studio", changed(LABEL_STUDIO, 1, "predictions", 0, "result", 0, key, to=value), message)
            for key, value, message in (
                ("original_width", 0, r"task 2: image_size: expected positive"),
                ("original_width", None, r"task 2: original_width: expected a finite number"),
                ("image_rotation", 90, r"task 2: region 1: image_rotation: expected 0"),
                ("value", {"x": 1}, r"task 2: region 1: y: expected a finite number"),
            )
        ),
        ("labelme", [], r"a\.x: expected an object with imagePath"),
        ("labelme", changed(LABELME, "shapes", 0, to=3), r"a\.x: shape 1: expected an object, found 3"),
        (
            "labelme",
            changed(LABELME, "shapes", 0, "points", to=[]),
            r"shape 1: points: expected a list of at",
        ),
        ("labelme", changed(LABELME, "shapes", 1, "points", 1, to=[5]), r"shape 2: points: expected pairs"),
        (
            "labelme",
            changed(LABELME, "shapes", 1, "points", 1, 0, to="5"),
            r"shape 2: points: expected a num",
        ),
        ("labelme", changed(LABELME, "shapes", 2, "score", to=7), r"a\.x: scores: expected"),
        ("labelme", changed(LABELME, "imageWidth", to=-1), r"a\.x: imageWidth: expected an integer"),
        ("cvat", "<annotations>\n<image>", r"a\.x:2: not XML"),
        ("cvat", "", r"a\.x:1: not XML"),
        ("cvat", VOC, r"a\.x: expected the element annotations, found annotation"),
        ("cvat", CVAT.replace("b.jpg", "day/a.jpg"), r"a\.x: image 2: expected a unique name"),
        ("cvat", CVAT.replace("7,8", "7;8"), r"a\.x: image 1: points: expected `x,y;x,y;...`, found '7'"),
        ("cvat", CVAT.replace("7,8", "7,nan"), r"a\.x: image 1: y: expected a finite number, found 'nan'"),
        ("cvat", CVAT.replace('"24"', '"no"'), r"a\.x: image 2: height: expected a finite number"),
        ("voc", CVAT, r"a\.x: expected the element annotation, found annotations"),
        ("voc", VOC.replace("<xmax>195", "<xmax>19"), r"a\.x: object 1: expected xmax and ymax of at least"),
        ("voc", VOC.replace("<xmax>195</xmax>", ""), r"a\.x: object 1: xmax: expected a finite number"),
        ("voc", VOC.replace("<width>353", "<width>0"), r"a\.x: image 000001\.jpg: image_size"),
        ("yolo", "0 0.5 0.5 0.1\n", r"a\.x:1: expected class x y width height \[score\], .* found 4"),
        ("yolo", "0 0.5 0.5 0.1 0.1\n0 120 80 9 9\n", r"a\.x:2: x: expected a fraction of the image size"),
        ("yolo", "0 -1.5 0.5 0.1 0.1\n", r"a\.x:1: x: expected a fraction of the image size, found -1\.5"),
        ("yolo", "0.5 0.5 0.5 0.1 0.1\n", r"a\.x:1: class: expected an integer"),
        ("yolo", "0 0.5 0.5 -0.1 0.1\n", r"a\.x:1: width: expected a fraction"),
        ("yolo", "0 0.5 0.5 0.1 0.1 1.5\n", r"a\.x:1: score: expected a value in \[0, 1\]"),
        ("yolo", "0 0.5 0.5 0.1 0.1\n", r"a\.x: no image found beside it"),
        ("geojson", {"features": []}, r"a\.x: expected a FeatureCollection"),
        (
            "geojson",
            changed(GEOJSON, "features", 0, "properties", to={}),
            r"a\.x: feature 1: .*property image",
        ),
        (
            "geojson",
            changed(GEOJSON, "features", 0, "geometry", "type", to="Polygon"),
            r"feature 1: expected a Point",
        ),
        (
            "geojson",
            changed(GEOJSON, "features", 0, "geometry", "coordinates", to=["1", 2]),
            r"feature 1: x: expected a number, found '1'",
        ),
        ("geojson", changed(GEOJSON, "features", 0, "properties", "score", to=7), r"a\.x: feature 1: scores"),
        (
            "geojson",
            changed(GEOJSON, "features", 1, "properties", to={"image": "a.jpg", "width": 1, "height": 1}),
            r"a\.x: feature 2: image a\.jpg has a different size",
        ),
    ],
)
def test_malformed(tmp_path: Path, name: str, content: object, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        formats.read(written(tmp_path, "a.x", content), name)


def test_label_studios_short_json_is_recognized(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="JSON-MIN"):
        formats.read(written(tmp_path, "a.json", JSON_MIN))


def places(content: Any, *keys: str | int) -> list[tuple[str | int, ...]]:
    """The keys that lead to every value inside `content`."""
    entries = content.items() if isinstance(content, dict) else enumerate(content)
    inner = [(value, (*keys, key)) for key, value in entries]
    deeper = [
        place for value, place in inner if isinstance(value, dict | list) for place in places(value, *place)
    ]
    return [place for _, place in inner] + deeper


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("coco-keypoints", COCO),
        ("coco-boxes", COCO),
        ("label-studio", LABEL_STUDIO),
        ("labelme", LABELME),
        ("geojson", GEOJSON),
    ],
)
@settings(max_examples=50)
@given(data=st.data())
def test_any_damage_is_a_format_error(
    tmp_path_factory: pytest.TempPathFactory, name: str, content: Any, data: st.DataObject
) -> None:
    place = data.draw(st.sampled_from(places(content)))
    value = data.draw(st.sampled_from([None, True, -1, 3e38, 10**400, "", "a", [], [None], {}, {"x": 1}]))
    path = written(tmp_path_factory.getbasetemp(), "damaged.json", changed(content, *place, to=value))
    for format_ in (name, None):
        try:
            found = formats.read(path, format_)
        except FormatError:
            continue
        assert all(isinstance(points, Points) for points in found.values())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused(tmp_path: Path, encoding: str) -> None:
    entities = '<!ENTITY b "ha"><!ENTITY c "&b;&b;">'
    bomb = f'<?xml version="1.0"?><!DOCTYPE a [{entities}]><annotations>&c;</annotations>'
    path = tmp_path / "a.xml"
    path.write_bytes(bomb.encode(encoding))
    with pytest.raises(FormatError, match=r"a\.xml: expected plain XML|a\.xml:1: expected UTF-8"):
        formats.read(path, "cvat")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (
            "0 .5 .5 .2 .4 .45 .4 2 .55 .4 2",
            "expected a polygon of fractions of the image size, found 2;",
        ),
        ("0 .5 .5 .2 .4 .9 17", "lines with key points or a track's number cannot be read"),
        ("0 .5 .5 .2 .4 3", r"score: expected a value in \[0, 1\], found 3.0"),
        ("0 .5 .5 .2 .4 .9 .1 .2", "found 8 numbers"),
    ],
)
def test_other_lines_of_yolo_are_named(tmp_path: Path, line: str, fault: str) -> None:
    picture(tmp_path / "a.png", 200, 150)
    with pytest.raises(FormatError, match=f"a.txt:1: .*{fault}"):
        formats.read(written(tmp_path, "a.txt", line))


def test_an_indented_object_is_read(tmp_path: Path) -> None:
    record = {"image": "a.jpg", "points": [{"x": 1, "y": 2}]}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(record, indent=2))
    assert formats.read(path)["a.jpg"].xy.tolist() == [[1, 2]]
    path.write_text(json.dumps({"version": "5.0", "shapes": [], "image": "a.jpg"}, indent=2))
    with pytest.raises(FormatError, match=r"a\.json: object 1: .*found the keys version, shapes, image"):
        formats.read(path)


def test_coco_boxes_may_have_empty_key_points_and_unknown_sizes(tmp_path: Path) -> None:
    image = {"id": 1, "file_name": "a.jpg", "width": 0, "height": 0}
    content = {
        "images": [image],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 4, 6], "keypoints": []}],
        "categories": [{"id": 1, "name": "head", "keypoints": []}],
    }
    points = formats.read(written(tmp_path, "a.json", content))["a.jpg"]
    assert points.xy.tolist() == [[3, 5]]
    assert points.image_size is None
