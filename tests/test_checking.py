"""checking: nothing wrong with drawn datasets, until something is planted in one."""

import shutil
from collections.abc import Callable
from pathlib import Path

import drawn_datasets as drawn
import numpy as np
import pytest
from drawn_datasets import BOXES, HEADS, save_mat, save_nwpu, save_shanghaitech, save_text

from crowdpoint import datasets
from crowdpoint.checking import DatasetChecker, Fault

LINES = "".join(f"{x} {y} 4 6 1 0\n" for x, y in HEADS)
GT = "part_A/train_data/ground-truth/GT_IMG_2.mat"


def faults(name: str, root: Path, split: str = "all") -> list[Fault]:
    inspection = DatasetChecker(name, root, split)
    return [
        *inspection.layout,
        *(fault for sample in inspection.samples for fault in inspection.check(sample)),
    ]


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("name", datasets.DATASETS)
def test_a_whole_dataset_has_no_faults(name: str, tmp_path: Path) -> None:
    drawn.DRAW[name](tmp_path)
    inspection = DatasetChecker(name, tmp_path)
    assert inspection.layout == []
    for sample in inspection.samples:
        assert list(inspection.check(sample)) == []
    on_disk = {path for path in tmp_path.rglob("*.[jp][pn]g") if "dots" not in path.name}
    assert {sample.image for sample in inspection.samples} == on_disk
    assert len(inspection.samples) == len(on_disk)
    assert inspection.heads > 0
    for split in datasets.DATASETS[name].splits:
        if (name, split) not in (("folder", "test"), ("folder", "all")):  # not drawn
            assert faults(name, tmp_path, split) == []


@pytest.mark.parametrize(
    ("name", "path", "plant", "severity", "kind", "line", "message"),
    [
        ("ucf-qnrf", "Test/img_0002_ann.mat", Path.unlink, "error", "missing annotation", None, "img_0002"),
        ("nwpu-crowd", "images/0008.jpg", Path.unlink, "error", "missing image", None, "0008 needs it"),
        (
            "trancos",
            "images/image-1-000001mask.mat",
            Path.unlink,
            "error",
            "missing mask",
            None,
            "no such file",
        ),
        ("jhu-crowd++", "val/image_labels.txt", Path.unlink, "error", "broken layout", None, "no such file"),
        (
            "shanghaitech-a",
            "part_A/test_data/images",
            shutil.rmtree,
            "error",
            "broken layout",
            None,
            "images",
        ),
        (
            "nwpu-crowd",
            "val.txt",
            lambda p: save_text(p, "0004 2 1\n0005 2\n"),
            "error",
            "broken layout",
            2,
            "expected image luminance scene_level",
        ),
        ("ucf-cc-50", "3.jpg", truncate, "error", "broken image", None, "truncated"),
        ("ucf-cc-50", "3.jpg", lambda p: p.write_bytes(b""), "error", "broken image", None, "is empty"),
        ("ucf-cc-50", "3_ann.mat", truncate, "error", "broken annotation", None, "MATLAB"),
        (
            "ucf-qnrf",
            "Train/img_0001_ann.mat",
            lambda p: save_mat(p, annPoints=[[1.0, 2, 3]]),
            "error",
            "broken annotation",
            None,
            "expected shape (N, 2), found (1, 3)",
        ),
        (
            "ucf-qnrf",
            "Train/img_0001_ann.mat",
            lambda p: save_mat(p, annPoints=[[1.0, 2], [3, np.nan]]),
            "error",
            "broken annotation",
            None,
            "head 2: expected finite coordinates",
        ),
        (
            "jhu-crowd++",
            "train/gt/0001.txt",
            lambda p: save_text(p, LINES + "\n1 nan 4 6 1 0\n"),
            "error",
            "broken annotation",
            5,
            "expected finite numbers",
        ),
        (
            "trancos",
            "images/image-1-000003dots.png",
            lambda p: drawn.save_dots(p, HEADS, (60, 41)),
            "error",
            "broken annotation",
            None,
            "60 x 41",
        ),
        (
            "trancos",
            "images/image-1-000003dots.png",
            truncate,
            "error",
            "broken annotation",
            None,
            "truncated",
        ),
        (
            "trancos",
            "images/image-1-000003mask.mat",
            lambda p: save_mat(p, BW=np.ones((60, 40))),
            "error",
            "broken mask",
            None,
            "40 x 60",
        ),
        (
            "shanghaitech-a",
            GT,
            lambda p: save_shanghaitech(p, [[1.0, 2.0], [60.0, 39.0], [3.0, -0.5]], 3),
            "warning",
            "head outside",
            None,
            "head 2 at (60, 39) is outside its image of 60 x 40 pixels",
        ),
        (
            "folder",
            "train/a.txt",
            lambda p: save_text(p, "1 2\n\n3 40\n"),
            "warning",
            "head outside",
            3,
            "head 2 at (3, 40)",
        ),
        (
            "shanghaitech-a",
            GT,
            lambda p: save_shanghaitech(p, [[5, 6], [1, 2], [5, 6]], 3),
            "warning",
            "duplicate head",
            None,
            "head 3 at (5, 6) is where head 1 is",
        ),
        (
            "shanghaitech-a",
            GT,
            lambda p: save_shanghaitech(p, HEADS, 4),
            "warning",
            "wrong count",
            None,
            "states 4 heads, found 3",
        ),
        (
            "jhu-crowd++",
            "val/gt/0005.txt",
            lambda p: save_text(p, LINES),
            "warning",
            "wrong count",
            None,
            "states 0 heads, found 3",
        ),
        (
            "nwpu-crowd",
            "jsons/0004.json",
            lambda p: save_text(p, p.read_text().replace('"human_num": 3', '"human_num": 2')),
            "warning",
            "wrong count",
            None,
            "states 2 heads, found 3",
        ),
        (
            "shanghaitech-a",
            "part_A/test_data/images/IMG_1.jpg",
            lambda p: shutil.copy(p.parents[2] / "train_data" / "images" / "IMG_10.jpg", p),
            "warning",
            "duplicate image",
            None,
            "IMG_10.jpg",
        ),
        (
            "ucf-cc-50",
            "9_ann.mat",
            lambda p: save_mat(p, annPoints=HEADS),
            "warning",
            "orphan file",
            None,
            "",
        ),
        ("nwpu-crowd", "images/9.jpg", drawn.draw_image, "warning", "orphan file", None, "no image"),
        (
            "nwpu-crowd",
            "jsons/9.json",
            lambda p: save_nwpu(p, HEADS, BOXES),
            "warning",
            "orphan file",
            None,
            "",
        ),
        ("folder", "train/a.jpg", drawn.draw_image, "error", "same name", None, ""),
        (
            "jhu-crowd++",
            "val/images/9999.jpg",
            drawn.draw_image,
            "warning",
            "missing labels",
            None,
            "other images",
        ),
    ],
)
def test_planted_faults_are_found(
    tmp_path: Path,
    name: str,
    path: str,
    plant: Callable[[Path], object],
    severity: str,
    kind: str,
    line: int | None,
    message: str,
) -> None:
    drawn.DRAW[name](tmp_path)
    plant(tmp_path / path)
    found = [fault for fault in faults(name, tmp_path) if fault.kind == kind]
    assert found
    fault = found[0]
    assert (fault.severity, fault.line) == (severity, line)
    assert fault.path in (tmp_path / path, (tmp_path / path).parent, (tmp_path / path).with_suffix(".png"))
    assert message in fault.message
    assert fault.place == (str(fault.path) if line is None else f"{fault.path}:{line}")


def test_all_faults_are_listed_at_once(tmp_path: Path) -> None:
    drawn.ucf_cc_50(tmp_path)
    truncate(tmp_path / "1.jpg")
    (tmp_path / "2.jpg").write_text("no picture")
    (tmp_path / "3_ann.mat").unlink()
    save_mat(tmp_path / "4_ann.mat", annPoints=[[70, 5], [1, 1], [1, 1], [1, 1], [-1, 5]])
    found = faults("ucf-cc-50", tmp_path)
    assert [(fault.path.name, fault.kind) for fault in found] == [
        ("1.jpg", "broken image"),
        ("2.jpg", "broken image"),
        ("3_ann.mat", "missing annotation"),
        ("4_ann.mat", "head outside"),
        ("4_ann.mat", "head outside"),
        ("4_ann.mat", "duplicate head"),
        ("4_ann.mat", "duplicate head"),
    ]


def test_every_missing_file_of_a_folder_is_listed(tmp_path: Path) -> None:
    for name in "abcd":
        drawn.draw_image(tmp_path / f"{name}.png")
        save_text(tmp_path / f"{name}.txt", "1 2\n")
    (tmp_path / "b.txt").unlink()
    (tmp_path / "d.txt").unlink()
    found = faults("folder", tmp_path)
    assert [(fault.path.name, fault.kind) for fault in found] == [
        ("b.txt", "missing annotation"),
        ("d.txt", "missing annotation"),
    ]


def test_a_file_for_several_images_has_no_line_for_each_head(tmp_path: Path) -> None:
    """Its lines are those of images, of which there may be as many as heads."""
    for name in "ab":
        drawn.draw_image(tmp_path / f"{name}.png")
    save_text(tmp_path / "points.txt", "a 2 500 5 600 6\nb 0\n")
    assert [(fault.kind, fault.line) for fault in faults("folder", tmp_path)][:2] == [
        ("head outside", None)
    ] * 2


def test_one_split_is_checked_alone(tmp_path: Path) -> None:
    drawn.nwpu_crowd(tmp_path)
    (tmp_path / "images" / "0001.jpg").unlink()
    (tmp_path / "test.txt").unlink()
    assert faults("nwpu-crowd", tmp_path, "val") == []
    assert [fault.kind for fault in faults("nwpu-crowd", tmp_path)] == ["broken layout", "missing image"]


def test_faults_below_the_current_folder_have_their_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn.jhu_crowd(tmp_path)
    save_text(tmp_path / "val" / "image_labels.txt", "4,three,stadium,0,0\n")
    monkeypatch.chdir(tmp_path)
    (fault,) = faults("jhu-crowd++", Path())
    assert fault.place == str(Path("val", "image_labels.txt")) + ":1"
    assert fault.message.startswith("count: ")


def test_research_data_has_known_faults(shared_data: Path) -> None:
    found = faults("ucf-cc-50", shared_data / "ucf_cc_50")
    assert [(fault.path.name, fault.kind) for fault in found] == [
        (f"{number}_ann.mat", "head outside") for number in (1, 1, 6, 17, 20)
    ]


def test_images_that_only_the_file_for_all_has_are_listed(tmp_path: Path) -> None:
    drawn.draw_image(tmp_path / "a.png")
    (tmp_path / "points.csv").write_text("image,x,y\na.png,1,2\nday/b.png,3,4\n")
    (fault,) = faults("folder", tmp_path)
    assert (fault.severity, fault.kind, fault.path) == ("warning", "missing image", tmp_path / "points.csv")
    assert fault.message == "has points of day/b.png, found no such image"


def test_a_file_for_all_images_may_be_named_like_one_of_them(tmp_path: Path) -> None:
    for name in "ab":
        drawn.draw_image(tmp_path / f"{name}.png")
    (tmp_path / "a.csv").write_text("image,x,y\na.png,1,2\nb.png,3,4\nc.png,5,6\n")
    (fault,) = faults("folder", tmp_path)
    assert (fault.kind, fault.message) == ("missing image", "has points of c.png, found no such image")


def test_every_image_that_the_file_for_all_lacks_is_listed(tmp_path: Path) -> None:
    for name in "abcd":
        drawn.draw_image(tmp_path / f"{name}.png")
    truncate(tmp_path / "c.png")
    path = tmp_path / "points.csv"
    path.write_text("image,x,y\na.png,1,2\nc.png,1,2\n")
    found = faults("folder", tmp_path)
    expected = ["broken image", "missing annotation", "missing annotation"]
    assert sorted(fault.kind for fault in found) == expected
    missing = [fault for fault in found if fault.kind == "missing annotation"]
    assert [(fault.severity, fault.path, fault.image) for fault in missing] == [
        ("error", path, tmp_path / "b.png"),
        ("error", path, tmp_path / "d.png"),
    ]
    assert missing[0].message.startswith("no entry for b.png, the most similar of its 2 images is ")


def test_faults_in_a_file_for_all_images_name_the_image(tmp_path: Path) -> None:
    for name in "abc":
        drawn.draw_image(tmp_path / f"{name}.png")
    rows = "a.png,70,2,,\nb.png,70,2,,\nb.png,70,2,,\nc.png,1,2,40,60\n"
    (tmp_path / "points.csv").write_text(f"image,x,y,width,height\n{rows}")
    a, b, c = (tmp_path / f"{name}.png" for name in "abc")
    outside = "at (70, 2) is outside its image of 60 x 40 pixels"
    assert [(fault.image, fault.message) for fault in faults("folder", tmp_path)] == [
        (a, f"{a}: head 1 {outside}"),
        (b, f"{b}: head 1 {outside}"),
        (b, f"{b}: head 2 {outside}"),
        (b, f"{b}: head 2 at (70, 2) is where head 1 is"),
        (c, f"{c}: states an image size of (40, 60) pixels, but the image has (60, 40)"),
    ]
