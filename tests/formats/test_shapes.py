"""formats: the shapes of labelling tools that mark a head, with its size, and those that do not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crowdpoint import formats
from crowdpoint.errors import FormatError
from crowdpoint.formats import Classes
from crowdpoint.formats.text import build_points


def write_task(folder: Path, *regions: dict[str, Any]) -> Path:
    """Write a Label Studio task of an image of 600x400 pixels."""
    size = {"original_width": 600, "original_height": 400, "image_rotation": 0}
    result = [{**size, **region} for region in regions]
    path = folder / "tasks.json"
    path.write_text(json.dumps([{"data": {"image": "a.jpg"}, "annotations": [{"result": result}]}]))
    return path


def build_region(kind: str, id: str = "", **value: Any) -> dict[str, Any]:
    return {"id": id, "type": kind, "value": value}


RECTANGLE = build_region(
    "rectanglelabels", x=10, y=20, width=5, height=10, rotation=0, rectanglelabels=["Head"]
)
ELLIPSE = build_region("ellipselabels", x=50, y=50, radiusX=2, radiusY=3, ellipselabels=["Head"])
KEY_POINT = build_region("keypointlabels", x=50, y=25, width=0.4, keypointlabels=["Nose"])


def test_rectangles_and_ellipses_of_label_studio_are_heads_with_sizes(tmp_path: Path) -> None:
    assert formats.read(write_task(tmp_path, RECTANGLE, ELLIPSE)) == {
        "a.jpg": build_points([[75, 100, 1, 30, 40], [300, 200, 1, 24, 24]], (600, 400))
    }
    assert formats.read(write_task(tmp_path, RECTANGLE, KEY_POINT)) == {
        "a.jpg": build_points([[75, 100, 1], [300, 100, 1]], (600, 400))
    }
    chosen = formats.read(write_task(tmp_path, RECTANGLE, KEY_POINT), classes=Classes(["Head"]))
    assert chosen["a.jpg"].sizes is not None


@pytest.mark.parametrize(("rotation", "centre"), [(0, (75, 100)), (90, (40, 95)), (180, (45, 60))])
def test_a_turned_rectangle_of_label_studio(
    tmp_path: Path, rotation: int, centre: tuple[float, float]
) -> None:
    turned = build_region("rectangle", x=10, y=20, width=5, height=10, rotation=rotation)
    (points,) = formats.read(write_task(tmp_path, turned)).values()
    np.testing.assert_allclose(points.xy, [centre], atol=1e-4)
    assert points.sizes is not None
    assert points.sizes.tolist() == [[30, 40]]


def test_shapes_without_labels_share_those_of_their_id(tmp_path: Path) -> None:
    regions = [
        build_region(kind, id, x=10, y=y, width=5, height=10, **labels)
        for id, y, name in (("a", 20, "Head"), ("b", 40, "Bag"))
        for kind, labels in (("rectangle", {}), ("labels", {"labels": [name]}))
    ]
    path = write_task(tmp_path, *regions)
    classes = Classes(["Head"])
    assert formats.read(path, classes=classes)["a.jpg"].xy.tolist() == [[75, 100]]
    assert classes.counts == {"Head": 1, "Bag": 1}


@pytest.mark.parametrize(
    ("region", "message"),
    [
        (build_region("rectangle", x=1, y=1, width=1), "region 1: height: expected"),
        (
            build_region("rectangle", x=1, y=1, width=1, height=1, rotation="x"),
            "region 1: rotation: expected",
        ),
        (build_region("rectangle", x=1, y=1, width=-1, height=1), "sizes: expected"),
        (build_region("ellipse", x=1, y=1, radiusX=1), "region 1: radiusY: expected"),
    ],
)
def test_damaged_shapes_of_label_studio(tmp_path: Path, region: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError, match=rf"tasks\.json: task 1: {message}"):
        formats.read(write_task(tmp_path, region))


def test_shapes_that_are_left_out_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    outlines = [
        build_region("polygonlabels", points=[[1, 2], [3, 4], [5, 6]], polygonlabels=["Head"]),
        build_region("brushlabels", rle=[1, 2], brushlabels=["Head"]),
        build_region("polygon", points=[[1, 2], [3, 4], [5, 6]]),
        build_region("videorectangle", sequence=[{"frame": 1, "x": 1, "y": 1, "width": 2, "height": 2}]),
        build_region("choices", choices=["crowded"]),
        {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right"},
    ]
    assert len(formats.read(write_task(tmp_path, ELLIPSE, *outlines))["a.jpg"]) == 1
    shapes = '<polygon label="head" points="1,2;3,4;5,6"/><mask label="head" rle="3, 4"/>'
    path = tmp_path / "annotations.xml"
    path.write_text(f'<annotations><image id="0" name="a.jpg">{shapes}</image></annotations>')
    assert not len(formats.read(path)["a.jpg"])
    of_label_studio, of_cvat = caplog.messages
    assert (
        "tasks.json: leaves out shapes that mark no single head: polygon (2), brush (1), video"
        in of_label_studio
    )
    assert "annotations.xml: leaves out shapes that mark no single head: polygon (1), mask (1)" in of_cvat


def test_an_ellipse_of_cvat_is_a_head_with_a_size(tmp_path: Path) -> None:
    shapes = '<ellipse label="head" cx="10.5" cy="20" rx="4" ry="5"/><box xtl="1" ytl="2" xbr="3" ybr="6"/>'
    path = tmp_path / "annotations.xml"
    path.write_text(f'<annotations><image id="0" name="a.jpg">{shapes}</image></annotations>')
    assert formats.read(path) == {"a.jpg": build_points([[10.5, 20, 1, 8, 10], [2, 4, 1, 2, 4]], None)}
