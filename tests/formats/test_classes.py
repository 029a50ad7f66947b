"""formats: which classes of a file are read."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import crowdpoint
from PIL import Image

from crowdpoint import formats
from crowdpoint.errors import FormatError
from crowdpoint.formats import Classes


def _coco() -> str:
    images = [{"id": 1, "file_name": "a.png", "width": 200, "height": 100}]
    boxes = [(4, [10, 20, 8, 8]), (9, [6, 18, 16, 60]), (4, [50, 20, 8, 8])]
    annotations = [{"image_id": 1, "category_id": number, "bbox": box} for number, box in boxes]
    categories = [{"id": 4, "name": "head"}, {"id": 9, "name": "body"}]
    return json.dumps({"images": images, "annotations": annotations, "categories": categories})


def _label_studio() -> str:
    size = {"original_width": 200, "original_height": 100}
    regions = [
        {"type": "keypointlabels", **size, "value": {"x": x, "y": y, "keypointlabels": [name]}}
        for x, y, name in ((7, 24, "head"), (7, 48, "body"), (27, 24, "head"))
    ]
    return json.dumps([{"data": {"image": "a.png"}, "annotations": [{"result": regions}]}])


CVAT = (
    '<annotations><image name="a.png" width="200" height="100">'
    '<points label="head" points="14,24"/><points label="body" points="14,48"/>'
    '<skeleton label="head"><points label="nose" points="54,24"/></skeleton></image></annotations>'
)
VOC = "<annotation><filename>a.png</filename>{}</annotation>".format(
    "".join(
        f"<object><name>{name}</name><bndbox><xmin>{x}</xmin><ymin>{y}</ymin><xmax>{x + 8}</xmax>"
        f"<ymax>{y + 8}</ymax></bndbox></object>"
        for name, x, y in (("head", 10, 20), ("body", 10, 44), ("head", 50, 20))
    )
)
YOLO = "0 0.07 0.24 0.04 0.08\n1 0.07 0.48 0.08 0.6\n0 0.27 0.24 0.04 0.08\n"
FILES = {
    "coco.json": (_coco(), "head"),
    "tasks.json": (_label_studio(), "head"),
    "cvat.xml": (CVAT, "head"),
    "voc.xml": (VOC, "head"),
    "a.txt": (YOLO, "0"),
}
"""Name -> content with two heads and a body, and what the file calls a head."""


def _write(folder: Path, name: str) -> Path:
    Image.new("RGB", (200, 100)).save(folder / "a.png")
    (folder / name).write_text(FILES[name][0])
    return folder / name


@pytest.mark.parametrize("name", FILES)
def test_only_the_wanted_classes_are_read(tmp_path: Path, name: str) -> None:
    path, head = _write(tmp_path, name), FILES[name][1]
    (points,) = formats.read(path).values()
    assert len(points) == 3
    classes = Classes([head])
    (points,) = formats.read(path, classes=classes).values()
    np.testing.assert_allclose(points.xy, [[14, 24], [54, 24]], rtol=1e-6)
    assert classes.counts[head] == 2
    assert classes.counts.total() == 3
    with pytest.raises(FormatError, match=rf"no annotation has the class hat; its classes are {head} \(2\)"):
        formats.read(path, classes=Classes([head, "hat"]))


def test_a_format_without_classes_has_none_to_choose(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("image,x,y\na.png,1,2\n")
    with pytest.raises(FormatError, match=r"a\.csv: no annotation has the class head; it has no classes"):
        formats.read(path, classes=Classes(["head"]))


def test_convert_says_what_it_merges_and_can_choose(tmp_path: Path) -> None:
    path, target = _write(tmp_path, "coco.json"), tmp_path / "a.csv"
    outcome = crowdpoint("convert", path, target)
    assert "reads all classes as one: head (2), body (1); choose with --classes" in outcome.err
    for chosen, count in (("head", 2), ("head, body", 3)):
        outcome = crowdpoint("convert", path, target, "--classes", chosen)
        assert (outcome.code, outcome.err) == (0, "")
        assert f"{count} points" in outcome.out
    assert crowdpoint("convert", path, target, "--classes", ",").code == 2


def test_score_chooses_among_the_classes_of_the_truth(tmp_path: Path) -> None:
    path, found = _write(tmp_path, "voc.xml"), tmp_path / "a.csv"
    found.write_text("image,x,y\na.png,14,24\na.png,54,24\n")
    shared = ("score", "--pred", found, "--gt", path, "--json")
    outcome = crowdpoint(*shared)
    assert "head (2), body (1)" in outcome.err
    assert json.loads(outcome.out)["mae"] == 1
    for sigmas in ((), ("--sigma", "file")):
        outcome = crowdpoint(*shared, "--classes", "head", *sigmas)
        assert (outcome.code, outcome.err) == (0, "")
        assert json.loads(outcome.out)["mae"] == 0
