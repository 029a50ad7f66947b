"""formats: which classes of a file are read."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import crowdpoint
from PIL import Image

from crowdpoint import datasets, formats
from crowdpoint.cli.pictures import GroundTruth
from crowdpoint.errors import ConfigError, FormatError
from crowdpoint.formats import Classes
from crowdpoint.recipe import DataConfig, RunConfig
from crowdpoint.train.data import split


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


def _labelme() -> str:
    shapes = [
        {"label": name, "points": [[x, y]], "shape_type": "point"}
        for x, y, name in ((14, 24, "head"), (14, 48, "body"), (54, 24, "head"))
    ]
    return json.dumps({"shapes": shapes, "imagePath": "a.png"})


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
    "a.json": (_labelme(), "head"),
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


def test_convert_reports_merged_classes_and_can_choose(tmp_path: Path) -> None:
    path, target = _write(tmp_path, "coco.json"), tmp_path / "a.csv"
    outcome = crowdpoint("convert", path, target)
    assert "reads all classes as one: head (2), body (1); choose with --classes" in outcome.err
    for chosen, count in (("head", 2), ("head, body", 3)):
        outcome = crowdpoint("convert", path, target, "--classes", chosen)
        assert (outcome.code, outcome.err) == (0, "")
        assert f"{count} points" in outcome.out
    for wrong in (",", "head,", "head,,body"):
        assert crowdpoint("convert", path, target, "--classes", wrong).code == 2


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


def _folder(folder: Path, *names: str) -> Path:
    """A dataset with a file of YOLO for each image: the first has a head alone, the others bodies, too."""
    folder.mkdir()
    for number, name in enumerate(names):
        Image.new("RGB", (200, 100)).save(folder / f"{name}.png")
        (folder / f"{name}.txt").write_text(YOLO if number else YOLO.splitlines()[0])
    return folder


def test_a_folder_has_the_wanted_classes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = _folder(tmp_path / "data", "a", "b", "c")
    for classes, counts in (((), [1, 3, 3]), (("0",), [1, 2, 2]), (("1",), [0, 1, 1])):
        samples = datasets.load("folder", root, "test", classes)
        assert [len(sample.points()) for sample in samples] == counts
    (warning,) = caplog.messages  # one for all files, of the classes that nobody chose
    assert warning.startswith(
        f"warning: {root}: reads all classes as one: 0 (3), 1 (1); choose with --classes"
    )
    with pytest.raises(FormatError, match=r"data: no annotation has the class 7; its classes are 0 \(5\)"):
        datasets.load("folder", root, "test", ("0", "7"))
    with pytest.raises(ConfigError, match="shanghaitech-a: has no classes to choose from"):
        datasets.load("shanghaitech-a", root, "test", ("0",))


def test_files_that_were_read_for_their_classes_are_not_read_again(tmp_path: Path) -> None:
    root = _folder(tmp_path / "data", "a", "b")
    samples = datasets.load("folder", root, "test", ("0",))
    for sample in samples:
        assert sample.annotation
        sample.annotation.unlink()
    assert [len(sample.points()) for sample in samples] == [1, 2]


@pytest.mark.parametrize("name", ["coco.json", "cvat.xml", "tasks.json"])
def test_a_folder_with_one_file_has_the_wanted_classes(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    _write(tmp_path, name)
    for classes, count in (((), 3), (("head",), 2)):
        (sample,) = datasets.load("folder", tmp_path, "test", classes)
        assert len(sample.points()) == count
    assert caplog.text.count("reads all classes as one: head (2), body (1)") == 1


def test_evaluate_and_recipes_choose_classes(tiny: Path, tmp_path: Path) -> None:
    root = _folder(tmp_path / "data", "a", "b")
    shared = ("evaluate", tiny, "--data", root, "--dataset", "folder", "--json")
    maes = [json.loads(crowdpoint(*shared, *chosen).out)["mae"] for chosen in ((), ("--classes", "0"))]
    assert maes == [2, 1.5]  # nothing is found on black images
    assert crowdpoint(*shared, "--classes", "7").code == 1
    data = DataConfig(name="folder", path="data", classes=("0",), fold=1, folds=2)
    parts = split(data, tmp_path, RunConfig(protocol="paper", steps=1))
    assert sorted(len(sample.points()) for part in parts for sample in part) == [1, 2]


def test_the_truth_of_a_panel_has_the_wanted_classes(tiny: Path, tmp_path: Path) -> None:
    truth = _write(tmp_path, "coco.json")
    shared = ("predict", tmp_path / "a.png", "--model", tiny, "--out", tmp_path / "out")
    assert "reads all classes as one" in crowdpoint(*shared, "--save", "panel", "--gt", truth).err
    chosen = ("--classes", "head")
    outcome = crowdpoint(*shared, "--save", "panel", "--gt", truth, *chosen)
    assert (outcome.code, "reads all classes" in outcome.err) == (0, False)
    assert len(GroundTruth(truth, ["a.png"], Classes(["head"]))._points["a.png"]) == 2
    outcome = crowdpoint(*shared, *chosen)
    assert (outcome.code, "--classes needs --gt" in outcome.err) == (2, True)
